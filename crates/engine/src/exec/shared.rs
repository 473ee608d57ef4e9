//! What several plans ask of the same rows, found out once a batch.
//!
//! The conditions at the head of each plan are taken apart into leaves; equal leaves of all plans are one. A leaf that
//! depends on few columns is found out once a *distinct value* of them: each worker keeps the values it has seen, and for
//! each the leaves that hold. In logs addresses, statuses, agents and many paths repeat, so a batch costs a look-up a row
//! and column, and a condition no row fulfils costs nothing at all. Regular expressions over the same text are searched
//! for together, in one go over it.

use super::Cx;
use super::eval::{eval, mask};
use crate::plan::{Expr, Matcher, Slot};
use crate::value::column::{Batch, Column, Kinds, Positions};
use arrow::array::{Array, BinaryViewArray};
use arrow::buffer::BooleanBuffer;
use hashbrown::HashTable;
use regex::bytes::{RegexSet, RegexSetBuilder};
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::BuildHasher;

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
    memos: Vec<Memo>,
    /// Of the batch: rows of a leaf, columns.
    leaves: Vec<Option<Rows>>,
    columns: Vec<Option<Column>>,
}

impl<'f> Answers<'f> {
    pub fn new(front: &'f Front) -> Answers<'f> {
        Answers {
            front,
            memos: front.words.iter().map(Memo::new).collect(),
            leaves: vec![None; front.leaves.len()],
            columns: vec![None; front.columns.len()],
        }
    }

    /// Another batch comes.
    pub fn next(&mut self) {
        self.leaves.fill(None);
        self.columns.fill(None);
        self.memos.iter_mut().for_each(|memo| memo.looked = false);
    }

    /// A computed column of the batch.
    pub fn column(&mut self, number: usize, batch: &Batch, cx: &Cx<'_>) -> Column {
        let front = self.front;
        self.columns[number].get_or_insert_with(|| eval(&front.columns[number].0, batch, cx)).clone()
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
            Cond::Leaf(leaf) => self.front.leaves[*leaf].home.is_some(),
            Cond::And(all) | Cond::Or(all) => all.iter().all(|c| self.is_looked_up(c)),
            Cond::Not(inner) => self.is_looked_up(inner),
        }
    }

    fn leaf(&mut self, number: usize, batch: &Batch, cx: &Cx<'_>) -> Rows {
        if let Some(known) = &self.leaves[number] {
            return known.clone();
        }
        let leaf = &self.front.leaves[number];
        let rows = match leaf.home {
            Some((words, bit)) => self.memos[words].rows(self.front, words, bit, batch, cx),
            None => Rows::of(mask(&leaf.expr, batch, cx)),
        };
        self.leaves[number] = Some(rows.clone());
        rows
    }
}

/// Values of the columns of a lexicon that were seen, and the leaves that hold for each.
struct Memo {
    table: HashTable<(u64, u32)>,
    hasher: foldhash::fast::RandomState,
    /// Where each value begins: kinds and texts of its cells, `u8::MAX` being the kind of null.
    starts: Vec<usize>,
    texts: Vec<u8>,
    scratch: Vec<u8>,
    /// The leaves that hold for each value, `stride` words a value.
    bits: Vec<u64>,
    stride: usize,
    /// Values looked up and values that were new, since the memo was last emptied.
    lookups: u64,
    misses: u64,
    /// Values do not repeat: every row is judged by itself.
    off: bool,
    /// Of the batch: it was looked at; the value of each row; leaves that hold in some row, and in every row.
    looked: bool,
    ids: Vec<u32>,
    some: Vec<u64>,
    every: Vec<u64>,
    /// Of the batch, if its values are not kept: the leaves that hold for each.
    once: Option<Vec<u64>>,
}

/// Values kept; beyond, the memo is emptied, or given up if they hardly repeat.
const MOST_VALUES: usize = 1 << 16;

impl Memo {
    fn new(words: &Lexicon) -> Memo {
        let stride = words.leaves.len().div_ceil(64);
        Memo {
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            starts: Vec::new(),
            texts: Vec::new(),
            scratch: Vec::new(),
            bits: Vec::new(),
            stride,
            lookups: 0,
            misses: 0,
            off: false,
            looked: false,
            ids: Vec::new(),
            some: vec![0; stride],
            every: vec![0; stride],
            once: None,
        }
    }

    /// The rows in which a leaf holds.
    fn rows(&mut self, front: &Front, words: usize, bit: usize, batch: &Batch, cx: &Cx<'_>) -> Rows {
        if !self.looked {
            self.looked = true;
            self.look(front, &front.words[words], batch, cx);
        }
        let (word, bit) = (bit / 64, 1u64 << (bit % 64));
        if self.some[word] & bit == 0 {
            return Rows::None;
        }
        if self.every[word] & bit != 0 {
            return Rows::All;
        }
        let bits = self.once.as_ref().unwrap_or(&self.bits);
        let holds = |i: usize| bits[self.ids[i] as usize * self.stride + word] & bit != 0;
        Rows::Some(BooleanBuffer::collect_bool(batch.rows, holds))
    }

    /// Finds the value of every row, and judges those that are new.
    fn look(&mut self, front: &Front, lexicon: &Lexicon, batch: &Batch, cx: &Cx<'_>) {
        let columns: Vec<Column> = lexicon.columns.iter().map(|slot| super::column(batch, *slot)).collect();
        let constant = |c: &Column| matches!(c, Column::Const(..));
        if self.starts.len() > MOST_VALUES {
            self.off = self.misses * 2 > self.lookups;
            self.forget();
        }
        self.ids.clear();
        self.once = None;
        if columns.iter().all(constant) {
            self.ids.resize(batch.rows, 0);
            let one = columns.iter().map(|c| c.slice(0, batch.rows.min(1))).collect();
            self.once = Some(self.judge(front, lexicon, one, cx));
        } else if !self.off && columns.iter().all(|c| constant(c) || matches!(c, Column::Text(..))) {
            let new = match columns.as_slice() {
                [Column::Text(array, kinds)] => self.number(array, kinds),
                several => self.number_all(several, batch.rows),
            };
            if !new.is_empty() {
                let bits = self.judge(front, lexicon, columns.iter().map(|c| c.take(&new)).collect(), cx);
                self.bits.extend(bits);
            }
        } else {
            // Every row is a value of its own.
            self.ids.extend(0..batch.rows as u32);
            self.once = Some(self.judge(front, lexicon, columns, cx));
        }
        self.some.fill(0);
        self.every.fill(u64::MAX);
        let bits = self.once.as_ref().unwrap_or(&self.bits);
        for id in &self.ids {
            let of = &bits[*id as usize * self.stride..][..self.stride];
            for (word, of) in of.iter().enumerate() {
                self.some[word] |= of;
                self.every[word] &= of;
            }
        }
    }

    fn forget(&mut self) {
        self.table.clear();
        self.starts.clear();
        self.texts.clear();
        self.bits.clear();
        (self.lookups, self.misses) = (0, 0);
    }

    /// The number of every row's value. Returns the rows whose values are new.
    fn number(&mut self, array: &BinaryViewArray, kinds: &Kinds) -> Vec<u32> {
        let mut new = Vec::new();
        self.lookups += array.len() as u64;
        for i in 0..array.len() {
            let valid = array.is_valid(i);
            let text: &[u8] = if valid { array.value(i) } else { b"" };
            let kind = if valid { kinds.get(i) as u8 } else { u8::MAX };
            let hash = self.hasher.hash_one((kind, text));
            let (starts, texts) = (&self.starts, &self.texts);
            let same = |entry: &(u64, u32)| {
                let id = entry.1 as usize;
                let end = starts.get(id + 1).copied().unwrap_or(texts.len());
                entry.0 == hash && texts[starts[id]] == kind && texts[starts[id] + 1..end] == *text
            };
            let id = match self.table.find(hash, same) {
                Some((_, id)) => *id,
                None => {
                    new.push(i as u32);
                    self.insert(hash, &[&[kind], text])
                }
            };
            self.ids.push(id);
        }
        self.misses += new.len() as u64;
        new
    }

    /// The same for several columns, whose cells together are the value.
    fn number_all(&mut self, columns: &[Column], rows: usize) -> Vec<u32> {
        let mut new = Vec::new();
        self.lookups += rows as u64;
        let mut value = std::mem::take(&mut self.scratch);
        for i in 0..rows {
            value.clear();
            for column in columns {
                let cell = column.get(i);
                let text = cell.text().unwrap_or_default();
                value.push(cell.kind().map_or(u8::MAX, |kind| kind as u8));
                value.extend_from_slice(&(text.len() as u32).to_le_bytes());
                value.extend_from_slice(&text);
            }
            let hash = self.hasher.hash_one(value.as_slice());
            let (starts, texts) = (&self.starts, &self.texts);
            let same = |entry: &(u64, u32)| {
                let id = entry.1 as usize;
                let end = starts.get(id + 1).copied().unwrap_or(texts.len());
                entry.0 == hash && texts[starts[id]..end] == *value
            };
            let id = match self.table.find(hash, same) {
                Some((_, id)) => *id,
                None => {
                    new.push(i as u32);
                    self.insert(hash, &[&value])
                }
            };
            self.ids.push(id);
        }
        self.scratch = value;
        self.misses += new.len() as u64;
        new
    }

    fn insert(&mut self, hash: u64, parts: &[&[u8]]) -> u32 {
        let id = self.starts.len() as u32;
        self.table.insert_unique(hash, (hash, id), |(hash, _)| *hash);
        self.starts.push(self.texts.len());
        parts.iter().for_each(|part| self.texts.extend_from_slice(part));
        id
    }

    /// The leaves that hold for each of some values.
    fn judge(&self, front: &Front, lexicon: &Lexicon, values: Vec<Column>, cx: &Cx<'_>) -> Vec<u64> {
        let rows = values.first().map_or(0, Column::len);
        let mut bits = vec![0u64; rows * self.stride];
        let mut set = |row: usize, bit: usize| bits[row * self.stride + bit / 64] |= 1 << (bit % 64);
        let width = lexicon.columns.iter().max().map_or(0, |last| last + 1);
        let mut columns = vec![Column::null(rows); width];
        lexicon.columns.iter().zip(values).for_each(|(slot, column)| columns[*slot] = column);
        let batch = Batch { columns, rows, positions: Positions::sequence(0, rows) };
        let mut done = vec![false; lexicon.leaves.len()];
        for family in &lexicon.families {
            family.bits.iter().for_each(|bit| done[*bit] = true);
            for (row, cell) in eval(&family.text, &batch, cx).iter().enumerate() {
                if let Some(text) = cell.text() {
                    family.set.matches(&text).iter().for_each(|hit| set(row, family.bits[hit]));
                }
            }
        }
        for (bit, leaf) in lexicon.leaves.iter().enumerate().filter(|(bit, _)| !done[*bit]) {
            mask(&front.leaves[*leaf].expr, &batch, cx).set_indices().for_each(|row| set(row, bit));
        }
        bits
    }
}
