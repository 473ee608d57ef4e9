//! Rows held against earlier ones, of all rows or of one key.

use super::Cx;
use super::eval::arithmetic;
use super::ordered::owners::Owners;
use super::ordered::stoppable;
use super::steps::put;
use crate::plan::Slot;
use crate::value::column::{Batch, Column, ColumnBuilder};
use crate::value::{Value, ValueRef};
use crate::when::When;
use arrow::array::Array;
use backsight_lang::ast::BinaryOp;
use std::sync::atomic::{self, AtomicI64};

/// The first and last time of the events seen so far, by all workers.
pub(crate) struct Seen {
    first: AtomicI64,
    last: AtomicI64,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { first: AtomicI64::new(i64::MAX), last: AtomicI64::new(i64::MIN) }
    }
}

impl Seen {
    /// Takes note of the times of a batch.
    pub(super) fn see(&self, times: &Column) {
        let wider = |edges: Option<(i64, i64)>, t: i64| {
            let (first, last) = edges.unwrap_or((t, t));
            Some((t.min(first), t.max(last)))
        };
        let edges = match times {
            Column::Time(times) if times.null_count() == 0 => times.values().iter().copied().fold(None, wider),
            times => times.iter().filter_map(ValueRef::timestamp).fold(None, wider),
        };
        if let Some((first, last)) = edges {
            self.first.fetch_min(first, atomic::Ordering::Relaxed);
            self.last.fetch_max(last, atomic::Ordering::Relaxed);
        }
    }

    /// Both; nothing without any time.
    pub(super) fn edges(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.first.load(atomic::Ordering::Relaxed), self.last.load(atomic::Ordering::Relaxed));
        (first <= last).then_some((first, last))
    }
}

/// Running sums.
pub(super) fn accum(rows: &Batch, keys: &[Slot], input: Slot, cx: &Cx<'_>) -> Column {
    let column = super::column(rows, input);
    let sums = Owners::of(rows, keys, cx).tell(cx, Value::Null, |rows, out| {
        let mut sum = Value::Null;
        for row in stoppable(rows, cx) {
            // A time counts as its number.
            let v = column.get(*row as usize);
            let v = v.timestamp().map_or(v, ValueRef::Int);
            if v.operand().is_some() {
                let before = if matches!(sum, Value::Null) { ValueRef::Int(0) } else { sum.as_ref() };
                sum = arithmetic(BinaryOp::Add, before, v);
            }
            out.push(sum.clone());
        }
    });
    sums.into_iter().collect()
}

/// The cells `lag` rows of the same key before.
pub(super) fn earlier(rows: &Batch, keys: &[Slot], input: Slot, lag: usize, cx: &Cx<'_>) -> Column {
    let column = super::column(rows, input);
    let before = Owners::of(rows, keys, cx).tell(cx, None, |rows, out| {
        out.extend((0..rows.len()).map(|at| at.checked_sub(lag).map(|before| rows[before])));
    });
    let mut out = ColumnBuilder::default();
    before.into_iter().for_each(|at| out.push(at.map_or(ValueRef::Null, |at| column.get(at as usize))));
    out.finish()
}

/// The groups first seen at or after a time; `known` tells how many values of the key had been seen before that, or,
/// without a time, before this one.
pub(super) fn new_values(
    mut rows: Batch,
    first: Slot,
    after: Option<When>,
    known: Option<&(Vec<Slot>, Slot)>,
    cx: &Cx<'_>,
) -> Batch {
    let firsts = super::column(&rows, first);
    let bound = after.map(|when| when.resolve(cx.clock.now, cx.edges.edges()));
    if let Some((keys, output)) = known {
        let counts = Owners::of(&rows, keys, cx).tell(cx, None, |rows, out| {
            let time = |row: &u32| firsts.get(*row as usize).timestamp();
            let mut times: Vec<i64> = rows.iter().filter_map(time).collect();
            times.sort_unstable();
            let known = |row: &u32| {
                let before = bound.unwrap_or_else(|| time(row))?;
                Some(times.partition_point(|x| *x < before) as i64)
            };
            out.extend(rows.iter().map(known));
        });
        put(&mut rows, *output, Column::Int(counts.into_iter().collect()));
    }
    match bound {
        None => rows,
        Some(bound) => {
            let keep: Vec<bool> =
                firsts.iter().map(|v| v.timestamp().zip(bound).is_some_and(|(t, b)| t >= b)).collect();
            rows.filter(&keep.into())
        }
    }
}
