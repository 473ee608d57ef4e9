//! What several plans ask of the same rows, found out once a batch.
//!
//! The conditions at the head of each plan are taken apart into leaves; equal leaves of all plans are one. A leaf that
//! depends on few columns is found out once a *distinct value* of them: each worker keeps the values it has seen, and for
//! each the leaves that hold. In logs addresses, statuses, agents and many paths repeat, so a batch costs a look-up a row
//! and column, and a condition no row fulfils costs nothing at all. Regular expressions over the same text are searched
//! for together, in one go over it.

mod coded;
pub(super) mod coder;
pub(super) mod coders;
mod derived;
mod memo;

use super::eval::{eval, mask};
use super::hashes::Hashes;
use super::memory::Share;
use super::{Ctl, Cx};
use crate::plan::{Expr, Matcher, Slot};
use crate::value::column::{Batch, Column, Nulls};
use arrow::buffer::BooleanBuffer;
use coders::Coders;
use derived::Derived;
use memo::Memo;
use regex::bytes::{RegexSet, RegexSetBuilder};
use std::collections::HashMap;
use std::fmt::Write;

/// The leaves and columns that some plans have in common, over the columns of their common scan.
#[derive(Default)]
pub(super) struct Front {
    leaves: Vec<Leaf>,
    by_text: HashMap<String, usize>,
    /// Computed columns, and how many plans want them.
    columns: Vec<(Expr, usize)>,
    column_by_text: HashMap<String, usize>,
    /// One per set of columns of the scan that has leaves of its own.
    words: Vec<Lexicon>,
}

struct Leaf {
    expr: Expr,
    /// The few columns it depends on, by number of their lexicon, and its bit there.
    home: Option<(usize, usize)>,
    /// How many plans ask for it.
    uses: usize,
}

/// The leaves of one column, or of few together.
struct Lexicon {
    columns: Vec<Slot>,
    /// Leaves by bit.
    leaves: Vec<usize>,
    families: Vec<Family>,
}

/// Leaves that search the same text.
struct Family {
    text: Expr,
    set: RegexSet,
    /// The bit of each expression.
    bits: Vec<usize>,
}

/// A condition made of leaves.
#[derive(Clone, Debug)]
pub(super) enum Cond {
    Leaf(usize),
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Not(Box<Cond>),
}

/// Regular expressions searched for together may take this much memory, and their automaton while it runs.
const SET_BYTES: usize = 64 << 20;

impl Front {
    /// The condition in terms of leaves; `e` reads columns of the scan only, and no sub-query.
    pub fn condition(&mut self, e: &Expr) -> Cond {
        match e {
            Expr::And(all) => Cond::And(all.iter().map(|e| self.condition(e)).collect()),
            Expr::Or(all) => Cond::Or(all.iter().map(|e| self.condition(e)).collect()),
            Expr::Not(inner) => Cond::Not(Box::new(self.condition(inner))),
            _ => Cond::Leaf(self.leaf(e)),
        }
    }

    fn leaf(&mut self, e: &Expr) -> usize {
        let text = identity(e);
        if let Some(known) = self.by_text.get(&text) {
            self.leaves[*known].uses += 1;
            return *known;
        }
        self.leaves.push(Leaf { expr: e.clone(), home: None, uses: 1 });
        self.by_text.insert(text, self.leaves.len() - 1);
        self.leaves.len() - 1
    }

    /// A computed column.
    pub fn column(&mut self, e: &Expr) -> usize {
        let text = identity(e);
        if let Some(known) = self.column_by_text.get(&text) {
            self.columns[*known].1 += 1;
            return *known;
        }
        self.columns.push((e.clone(), 1));
        self.column_by_text.insert(text, self.columns.len() - 1);
        self.columns.len() - 1
    }

    /// Whether several plans want a computed column.
    pub fn is_wanted_twice(&self, column: usize) -> bool {
        self.columns[column].1 > 1
    }

    /// Whether a condition costs more than look-ups, and only one plan asks for it.
    pub fn is_costly(&self, cond: &Cond) -> bool {
        match cond {
            Cond::Leaf(leaf) => {
                let leaf = &self.leaves[*leaf];
                leaf.uses == 1 && few_columns(&leaf.expr).is_none()
            }
            Cond::And(all) | Cond::Or(all) => all.iter().any(|c| self.is_costly(c)),
            Cond::Not(inner) => self.is_costly(inner),
        }
    }

    /// All plans are in: gives leaves of few columns their place.
    pub fn settle(&mut self) {
        for number in 0..self.leaves.len() {
            let Some(columns) = few_columns(&self.leaves[number].expr) else { continue };
            if present_column(&self.leaves[number].expr).is_some() {
                continue;
            }
            let at = self.words.iter().position(|w| w.columns == columns).unwrap_or_else(|| {
                self.words.push(Lexicon { columns, leaves: Vec::new(), families: Vec::new() });
                self.words.len() - 1
            });
            self.leaves[number].home = Some((at, self.words[at].leaves.len()));
            self.words[at].leaves.push(number);
        }
        for words in &mut self.words {
            words.families = families(&words.leaves, &self.leaves);
        }
    }
}

/// Searches of the same text by two regular expressions or more, put together.
fn families(numbers: &[usize], leaves: &[Leaf]) -> Vec<Family> {
    let mut by_text: Vec<(String, &Expr, Vec<&str>, Vec<usize>)> = Vec::new();
    for (bit, number) in numbers.iter().enumerate() {
        let Expr::Like(text, Matcher::Regex(regex)) = &leaves[*number].expr else { continue };
        let name = identity(text);
        let at = by_text.iter().position(|(n, ..)| *n == name).unwrap_or_else(|| {
            by_text.push((name, text, Vec::new(), Vec::new()));
            by_text.len() - 1
        });
        by_text[at].2.push(regex.as_str());
        by_text[at].3.push(bit);
    }
    let together = |(_, text, sources, bits): (String, &Expr, Vec<&str>, Vec<usize>)| {
        let mut builder = RegexSetBuilder::new(&sources);
        // One that cannot be put together is searched for alone.
        let set = builder.size_limit(SET_BYTES).dfa_size_limit(SET_BYTES).build().ok()?;
        Some(Family { text: text.clone(), set, bits })
    };
    by_text.into_iter().filter(|(_, _, sources, _)| sources.len() > 1).filter_map(together).collect()
}

/// Columns whose values are looked up together, at most.
const FEW: usize = 2;

/// The columns an expression depends on, if they are few.
fn few_columns(e: &Expr) -> Option<Vec<Slot>> {
    let mut slots = e.slots();
    slots.sort_unstable();
    slots.dedup();
    (1..=FEW).contains(&slots.len()).then_some(slots)
}

/// The column whose presence is asked for: that is told without looking at values.
pub(super) fn present_column(e: &Expr) -> Option<Slot> {
    match e {
        Expr::Call(call) if call.function.name == "ispresent" => match call.args.as_slice() {
            [Expr::Slot(slot)] => Some(*slot),
            _ => None,
        },
        _ => None,
    }
}

/// A text that two expressions share only if they mean the same.
fn identity(e: &Expr) -> String {
    let mut out = String::new();
    write_identity(e, &mut out);
    out
}

fn write_identity(e: &Expr, out: &mut String) {
    let list = |items: &[Expr], out: &mut String| {
        out.push('(');
        for item in items {
            write_identity(item, out);
            out.push(',');
        }
        out.push(')');
    };
    // Writing to a string does not fail.
    let _ = match e {
        Expr::Slot(slot) => write!(out, "#{slot}"),
        Expr::Literal(value) => write!(out, "{value:?}"),
        Expr::Member(inner, segments) => {
            write_identity(inner, out);
            write!(out, ".{segments:?}")
        }
        Expr::Call(call) => {
            let _ = write!(out, "{}{:?}", call.function.name, call.prepared);
            list(&call.args, out);
            Ok(())
        }
        Expr::Arithmetic(op, a, b) => {
            let _ = write!(out, "{op:?}");
            write_identity(a, out);
            out.push(' ');
            write_identity(b, out);
            Ok(())
        }
        Expr::Compare(op, a, b) => {
            let _ = write!(out, "{op:?}");
            write_identity(a, out);
            out.push(' ');
            write_identity(b, out);
            Ok(())
        }
        Expr::Negate(inner) => {
            out.push_str("neg ");
            write_identity(inner, out);
            Ok(())
        }
        Expr::Not(inner) => {
            out.push_str("not ");
            write_identity(inner, out);
            Ok(())
        }
        Expr::And(all) => {
            out.push_str("and");
            list(all, out);
            Ok(())
        }
        Expr::Or(all) => {
            out.push_str("or");
            list(all, out);
            Ok(())
        }
        Expr::Like(inner, matcher) => {
            write_identity(inner, out);
            match matcher {
                Matcher::SubstringOf(m) | Matcher::RegexOf(m) => {
                    out.push_str(if matches!(matcher, Matcher::RegexOf(_)) { " =~ " } else { " like " });
                    write_identity(m, out);
                    Ok(())
                }
                Matcher::Substring(s) => write!(out, " like {:?}", s.needle()),
                Matcher::Regex(r) => write!(out, " like {:?}", r.as_str()),
            }
        }
        Expr::In(inner, set) => {
            write_identity(inner, out);
            write!(out, " in {:?}", set.values())
        }
        Expr::InQuery(inner, n) => {
            write_identity(inner, out);
            write!(out, " in query {n}")
        }
    };
}

/// Rows of a batch.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    None,
    All,
    Some(BooleanBuffer),
}

impl Rows {
    fn of(mask: BooleanBuffer) -> Rows {
        match mask.count_set_bits() {
            0 => Rows::None,
            n if n == mask.len() => Rows::All,
            _ => Rows::Some(mask),
        }
    }

    /// The rows in both.
    pub fn and(self, other: Rows) -> Rows {
        match (self, other) {
            (Rows::None, _) | (_, Rows::None) => Rows::None,
            (Rows::All, rows) | (rows, Rows::All) => rows,
            (Rows::Some(a), Rows::Some(b)) => Rows::of(&a & &b),
        }
    }

    fn or(self, other: Rows) -> Rows {
        match (self, other) {
            (Rows::All, _) | (_, Rows::All) => Rows::All,
            (Rows::None, rows) | (rows, Rows::None) => rows,
            (Rows::Some(a), Rows::Some(b)) => Rows::of(&a | &b),
        }
    }

    fn not(self) -> Rows {
        match self {
            Rows::None => Rows::All,
            Rows::All => Rows::None,
            Rows::Some(mask) => Rows::Some(!&mask),
        }
    }
}

/// A worker's part: what it knows of values, and of the batch at hand.
pub(super) struct Answers<'f> {
    front: &'f Front,
    coders: Coders,
    memos: Vec<Memo>,
    /// By job and step; the columns that jobs have in common are those of no job.
    derived: HashMap<(usize, usize), Derived>,
    /// Of the batch's columns.
    pub hashes: Hashes,
    /// Of the batch: rows of a leaf, columns.
    leaves: Vec<Option<Rows>>,
    columns: Vec<Option<Column>>,
    share: Share,
}

impl<'f> Answers<'f> {
    pub fn new(front: &'f Front, ctl: &Ctl) -> Answers<'f> {
        Answers {
            front,
            coders: Coders::default(),
            derived: HashMap::new(),
            memos: front.words.iter().map(Memo::new).collect(),
            hashes: Hashes::new(ctl.seed()),
            leaves: vec![None; front.leaves.len()],
            columns: vec![None; front.columns.len()],
            share: ctl.memory().share(),
        }
    }

    /// What is known of single words here is known there, too.
    pub fn beside(&self, ctl: &Ctl) -> Answers<'f> {
        let mut other = Answers::new(self.front, ctl);
        other.memos.iter_mut().zip(&self.memos).for_each(|(memo, of)| memo.learn(of));
        other
    }

    /// Finds out all there is to know of the words of a batch's dictionaries, all threads together.
    pub fn judge(&mut self, batch: &Batch, cx: &Cx<'_>) {
        let Answers { front, memos, .. } = self;
        memos.iter_mut().zip(&front.words).for_each(|(memo, words)| memo.judge(front, words, batch, cx));
    }

    /// Another batch is to be looked at, whose texts are numbered.
    pub fn begin(&mut self) {
        self.hashes.clear();
        self.leaves.fill(None);
        self.columns.fill(None);
        self.memos.iter_mut().for_each(Memo::next);
        if !self.share.set(self.bytes()) {
            // What is known can be found out again.
            self.memos.iter_mut().for_each(Memo::forget);
            self.derived.clear();
            self.hashes.forget();
            self.share.set(self.bytes());
        }
    }

    /// A batch with its texts numbered.
    pub fn code(&mut self, batch: Batch, ctl: &Ctl) -> Batch {
        self.coders.code(batch, ctl)
    }

    fn bytes(&self) -> usize {
        let memos: usize = self.memos.iter().map(Memo::bytes).sum();
        memos + self.derived.values().map(Derived::bytes).sum::<usize>() + self.hashes.bytes()
    }

    /// A computed column of the batch.
    pub fn column(&mut self, number: usize, batch: &Batch, cx: &Cx<'_>) -> Column {
        let e = &self.front.columns[number].0;
        let derived = self.derived.entry((usize::MAX, number)).or_insert_with(|| Derived::new(e.slots()));
        let compute = |batch: &Batch| vec![eval(e, batch, cx)];
        let column = || derived.columns(batch, cx.ctl, &compute).remove(0);
        self.columns[number].get_or_insert_with(column).clone()
    }

    /// Columns that step `step` of job `job` computes of some columns of its rows.
    pub fn derive(
        &mut self,
        (job, step): (usize, usize),
        inputs: impl FnOnce() -> Vec<Slot>,
        batch: &Batch,
        cx: &Cx<'_>,
        compute: &dyn Fn(&Batch) -> Vec<Column>,
    ) -> Vec<Column> {
        let derived = self.derived.entry((job, step)).or_insert_with(|| Derived::new(inputs()));
        derived.columns(batch, cx.ctl, compute)
    }

    /// The rows of the batch that fulfil a condition.
    pub fn rows(&mut self, cond: &Cond, batch: &Batch, cx: &Cx<'_>) -> Rows {
        match cond {
            Cond::Leaf(leaf) => self.leaf(*leaf, batch, cx),
            Cond::Not(inner) => self.rows(inner, batch, cx).not(),
            Cond::Or(all) => all.iter().fold(Rows::None, |rows, c| match rows {
                Rows::All => Rows::All,
                rows => rows.or(self.rows(c, batch, cx)),
            }),
            Cond::And(all) => {
                // Look-ups first: they often leave nothing to do for the rest.
                let (cheap, costly): (Vec<&Cond>, Vec<&Cond>) = all.iter().partition(|c| self.is_looked_up(c));
                cheap.into_iter().chain(costly).fold(Rows::All, |rows, c| match rows {
                    Rows::None => Rows::None,
                    rows => rows.and(self.rows(c, batch, cx)),
                })
            }
        }
    }

    fn is_looked_up(&self, cond: &Cond) -> bool {
        match cond {
            Cond::Leaf(leaf) => {
                let leaf = &self.front.leaves[*leaf];
                leaf.home.is_some() || present_column(&leaf.expr).is_some()
            }
            Cond::And(all) | Cond::Or(all) => all.iter().all(|c| self.is_looked_up(c)),
            Cond::Not(inner) => self.is_looked_up(inner),
        }
    }

    fn leaf(&mut self, number: usize, batch: &Batch, cx: &Cx<'_>) -> Rows {
        if let Some(known) = &self.leaves[number] {
            return known.clone();
        }
        let leaf = &self.front.leaves[number];
        let rows = match (leaf.home, present_column(&leaf.expr)) {
            (Some((words, bit)), _) => self.memos[words].rows(self.front, (words, bit), batch, cx),
            (None, Some(slot)) => match super::column(batch, slot).nulls() {
                Nulls::None => Rows::All,
                Nulls::All => Rows::None,
                Nulls::Some(nulls) => Rows::of(nulls.inner().clone()),
            },
            (None, None) => Rows::of(mask(&leaf.expr, batch, cx)),
        };
        self.leaves[number] = Some(rows.clone());
        rows
    }
}
