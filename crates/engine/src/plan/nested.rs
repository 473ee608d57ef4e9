//! Commands that hold a query: `join`, `union`, `appendcols`; and `pattern` with `diff`, which reshape like them.
//!
//! The fields of a join's right side are discovered as the rest of the query names them, so its lowering stays open
//! until the query ends.

use super::lower::Lowering;
use super::scope::{Resolved, Scope};
use super::{Expr, Op, Plan, Slot, SortKey};
use crate::func;
use backsight_lang::ast::{self, Path, Query, Segment};

/// A query inside a pipeline, and what its rows are for.
#[derive(Clone, Debug)]
pub struct Nested {
    /// The inner query.
    pub plan: Plan,
    /// What is done with its rows.
    pub how: Combine,
}

/// How the rows of a nested query meet those of the pipeline.
#[derive(Clone, Debug)]
pub enum Combine {
    /// Left rows, then right rows. Slots are renumbered: for each, the left and the right slot it comes from.
    Union(Vec<(Option<Slot>, Option<Slot>)>),
    /// Row by row: right slot, output slot; `max` rows of the right at most.
    Paste {
        /// From the right, to here.
        columns: Vec<(Slot, Slot)>,
        /// Left cells that a right cell replaces: left slot, right slot, output slot.
        replaced: Vec<(Slot, Slot, Slot)>,
        /// Rows of the right that are used.
        max: usize,
    },
    /// Every pair of rows whose keys are equal as text.
    Join {
        /// Key on the left.
        left: Slot,
        /// Key on the right.
        right: Slot,
        /// Left rows without a partner stay.
        outer: bool,
        /// From the right, to here.
        columns: Vec<(Slot, Slot)>,
    },
}

/// A join whose right side is still being discovered.
pub(super) struct OpenJoin<'a> {
    right_name: Option<String>,
    left_name: Option<String>,
    right: Lowering<'a>,
    key: (Slot, Slot),
    outer: bool,
    columns: Vec<(Slot, Slot)>,
    /// Where its op stands among the ops so far.
    op: usize,
}

impl<'a> Lowering<'a> {
    pub(super) fn union(&mut self, query: &Query) {
        let left = self.scope.shown();
        let plan = self.nested(query);
        let mut names: Vec<String> = left.iter().map(|(n, _)| n.clone()).collect();
        names.extend(plan.shown.iter().map(|(n, _)| n.clone()).filter(|n| !left.iter().any(|(l, _)| l == n)));
        let slot = |columns: &[(String, Slot)], name: &str| columns.iter().find(|(n, _)| n == name).map(|(_, s)| *s);
        let map = names.iter().map(|n| (slot(&left, n), slot(&plan.shown, n))).collect();
        // Left rows come in their own order where the default order has no say.
        self.settle(None);
        self.ops.push(Op::Nested(Box::new(Nested { plan, how: Combine::Union(map) })));
        let pairs: Vec<(String, Slot)> = names.into_iter().enumerate().map(|(i, n)| (n, i)).collect();
        let total = pairs.len();
        let time = pairs.iter().find(|(n, _)| n == "@timestamp").map(|(_, s)| *s);
        let mut scope = Scope::of_slots(pairs, total);
        scope.order = time.into_iter().map(|slot| SortKey { slot, descending: true, by_text: false }).collect();
        self.reshape(scope);
    }

    pub(super) fn appendcols(&mut self, options: &[ast::Setting], query: &Query) {
        let (mut replace, mut max) = (false, usize::MAX);
        for option in options {
            let value = option.value.text.as_str();
            match option.key.text.as_str() {
                "override" => replace = value.eq_ignore_ascii_case("true") || value == "1",
                _ => match value.parse() {
                    Ok(n) => max = n,
                    Err(_) => {
                        self.error("E002", option.value.span, format!("expected a whole number, found `{value}`"))
                    }
                },
            }
        }
        let shown = self.scope.shown();
        let plan = self.nested(query);
        self.settle(None);
        let (mut columns, mut replaced, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (name, right) in &plan.shown {
            match shown.iter().find(|(n, _)| n == name) {
                Some(_) if !replace => {}
                Some((_, left)) => {
                    let to = self.scope.slot();
                    replaced.push((*left, *right, to));
                    self.scope.create(name, to);
                    self.scope.shown.replace(name, to);
                }
                None => {
                    let to = self.scope.slot();
                    columns.push((*right, to));
                    new.push((name.clone(), to));
                }
            }
        }
        self.ops.push(Op::Nested(Box::new(Nested { plan, how: Combine::Paste { columns, replaced, max } })));
        new.iter().for_each(|(n, s)| self.scope.create(n, *s));
        self.scope.shown.append(&new);
    }

    pub(super) fn join(&mut self, join: &ast::Join) {
        let name = |n: &Option<ast::Name>| n.as_ref().map(|n| n.text.clone());
        let (left_name, right_name) = (name(&join.left), name(&join.right));
        let mut right = self.inner();
        right.stages(&join.query.stages);
        right.settle(None);
        let (a, b) = &join.on;
        let swapped = starts_with(a, right_name.as_deref()) || starts_with(b, left_name.as_deref());
        let (on_left, on_right) = if swapped { (b, a) } else { (a, b) };
        let on_left = strip(on_left, left_name.as_deref());
        let on_right = strip(on_right, right_name.as_deref());
        let left_key = self.slot_of(&path_expr(&on_left));
        let right_key = right.slot_of(&path_expr(&on_right));
        self.settle(None);
        // The op is filled in when the query ends; until then its place is held.
        self.ops.push(Op::Drop(Vec::new()));
        let op = self.ops.len() - 1;
        self.joins.push(OpenJoin {
            right_name,
            left_name,
            right,
            key: (left_key, right_key),
            outer: join.left_outer,
            columns: Vec::new(),
            op,
        });
    }

    /// Resolves a path that may name a side of a join. `None`: it names none.
    pub(super) fn joined(&mut self, path: &Path) -> Option<Expr> {
        let mut joins = std::mem::take(&mut self.joins);
        let found = joins.iter_mut().rev().find_map(|join| self.joined_side(join, path));
        self.joins = joins;
        found
    }

    fn joined_side(&mut self, join: &mut OpenJoin<'a>, path: &Path) -> Option<Expr> {
        if starts_with(path, join.right_name.as_deref()) {
            let inner = strip(path, join.right_name.as_deref());
            return self.right_field(join, &inner);
        }
        if starts_with(path, join.left_name.as_deref()) {
            let inner = strip(path, join.left_name.as_deref());
            let Resolved { slot, rest } = self.scope.resolve(&inner)?;
            return Some(whole(Expr::Slot(slot), rest));
        }
        // A bare name is the left field, else the right one.
        if self.scope.has(path) {
            return None;
        }
        let right = self.right_field(join, path)?;
        let Some(Resolved { slot, rest }) = self.scope.resolve(path) else { return Some(right) };
        let coalesce = func::find("coalesce").expect("a function of the table");
        let args = vec![whole(Expr::Slot(slot), rest), right];
        Some(Expr::Call(super::Call { function: coalesce, args, prepared: vec![None, None] }))
    }

    fn right_field(&mut self, join: &mut OpenJoin<'a>, path: &Path) -> Option<Expr> {
        let Resolved { slot, rest } = join.right.scope.resolve(path)?;
        let here = match join.columns.iter().find(|(from, _)| *from == slot) {
            Some((_, to)) => *to,
            None => {
                let to = self.scope.slot();
                join.columns.push((slot, to));
                to
            }
        };
        Some(whole(Expr::Slot(here), rest))
    }

    /// Puts the ops of the joins in their places.
    pub(super) fn close_joins(&mut self) {
        for join in std::mem::take(&mut self.joins).into_iter().chain(std::mem::take(&mut self.closed_joins)) {
            let OpenJoin { mut right, key, outer, columns, op, .. } = join;
            // What the left reads is what the right shows.
            let mut shown: Vec<(String, Slot)> = columns.iter().map(|(slot, _)| (format!("#{slot}"), *slot)).collect();
            shown.push(("key".into(), key.1));
            let plan = right.finish(shown);
            self.take_in(right);
            let how = Combine::Join { left: key.0, right: key.1, outer, columns };
            self.ops[op] = Op::Nested(Box::new(Nested { plan, how }));
        }
    }
}

fn whole(e: Expr, rest: Vec<Segment>) -> Expr {
    if rest.is_empty() { e } else { Expr::Member(Box::new(e), rest) }
}

fn starts_with(path: &Path, alias: Option<&str>) -> bool {
    matches!((path.segments.as_slice(), alias), ([Segment::Name { text, .. }, _, ..], Some(alias)) if text == alias)
}

/// The path without its side's alias.
fn strip(path: &Path, alias: Option<&str>) -> Path {
    if starts_with(path, alias) {
        Path { segments: path.segments[1..].to_vec(), span: path.span }
    } else {
        path.clone()
    }
}

fn path_expr(path: &Path) -> ast::Expr {
    ast::Expr { kind: ast::ExprKind::Path(path.clone()), span: path.span }
}
