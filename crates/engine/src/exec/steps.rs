//! The ops that need no memory of their own, and the whole-table form of every op for the stages after the first.

use super::ctl::Ctl;
use super::eval::{eval, mask};
use super::group::GroupTable;
use super::hashes::Hashes;
use super::rows::Rows;
use super::{Cx, dedup, parse, sort};
use crate::agg::trace::Trace;
use crate::error::Error;
use crate::plan::{Op, Slot};
use crate::source::Counters;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::parts::Parts;
use crate::value::{Kind, ValueRef, json};
use arrow::buffer::BooleanBuffer;
use rayon::prelude::*;

/// Applies row-wise ops to a batch, in order.
pub(super) fn maps(ops: &[Op], mut batch: Batch, cx: &Cx<'_>) -> Batch {
    for (i, op) in ops.iter().enumerate() {
        if batch.rows == 0 {
            break;
        }
        batch = map(op, ops.get(i + 1), batch, cx);
    }
    batch
}

/// Applies one row-wise op; `next` may be the drop of columns that then need not be carried along.
pub(super) fn map(op: &Op, next: Option<&Op>, batch: Batch, cx: &Cx<'_>) -> Batch {
    match op {
        Op::Filter(condition) => {
            let keep = mask(condition, &batch, cx);
            keep_rows(batch, &keep, next)
        }
        Op::Range { time, start, end } => {
            let times = super::column(&batch, *time);
            let missing = times.iter().filter(|t| t.timestamp().is_none()).count() as u64;
            let keep = in_range(&times, *start, *end);
            Counters::add(&cx.ctl.counters.no_timestamp, missing);
            keep_rows(batch, &keep, next)
        }
        Op::Edges(time) => {
            cx.edges.see(&super::column(&batch, *time));
            batch
        }
        Op::Extend(columns) => {
            let mut batch = batch;
            for (slot, e) in columns {
                let column = eval(e, &batch, cx);
                put(&mut batch, *slot, column);
            }
            batch
        }
        Op::Parse { input, pattern, outputs } => {
            let text = eval(input, &batch, cx);
            parse::parse(batch, &text, pattern, outputs)
        }
        Op::Unnest { list, output } => {
            let list = eval(list, &batch, cx);
            unnest(batch, &list, *output)
        }
        Op::Lookup(lookup) => match cx.lookups.iter().find(|(l, _)| std::ptr::eq(*l, lookup)) {
            Some((_, index)) => index.apply(lookup, batch),
            None => batch,
        },
        Op::Drop(slots) => {
            let mut batch = batch;
            drop_columns(&mut batch, slots);
            batch
        }
        Op::Trace { time, output } => {
            let mut batch = batch;
            let times = super::column(&batch, *time);
            let trace = |i: usize| Trace::of(times.get(i).timestamp(), batch.positions.get(i));
            let traces = (0..batch.rows).map(trace).collect();
            put(&mut batch, *output, traces);
            batch
        }
        Op::Group { .. } | Op::Sort { .. } | Op::Limit { .. } | Op::Dedup(_) | Op::Ordered(_) | Op::Nested(_) => batch,
    }
}

/// The rows whose time lies in a half-open range.
fn in_range(times: &Column, start: Option<i64>, end: Option<i64>) -> BooleanBuffer {
    let inside = |t: i64| start.is_none_or(|s| s <= t) && end.is_none_or(|e| t < e);
    BooleanBuffer::collect_bool(times.len(), |i| times.get(i).timestamp().is_some_and(inside))
}

/// The rows that pass some filters and ranges; see [`crate::plan::ScanPlan::first`].
pub(super) fn passing<'o>(ops: impl Iterator<Item = &'o Op>, batch: &Batch, cx: &Cx<'_>) -> BooleanBuffer {
    let mut keep = BooleanBuffer::new_set(batch.rows);
    for op in ops {
        match op {
            Op::Filter(condition) => keep = &keep & &mask(condition, batch, cx),
            Op::Range { time, start, end } => keep = &keep & &in_range(&super::column(batch, *time), *start, *end),
            _ => {}
        }
        if keep.count_set_bits() == 0 {
            break;
        }
    }
    keep
}

fn keep_rows(mut batch: Batch, keep: &BooleanBuffer, next: Option<&Op>) -> Batch {
    if let Some(Op::Drop(slots)) = next {
        drop_columns(&mut batch, slots);
    }
    batch.filter(keep)
}

fn drop_columns(batch: &mut Batch, slots: &[Slot]) {
    for slot in slots {
        if let Some(column) = batch.columns.get_mut(*slot) {
            *column = Column::null(batch.rows);
        }
    }
}

/// Puts a column in its slot.
pub(super) fn put(batch: &mut Batch, slot: Slot, column: Column) {
    if batch.columns.len() <= slot {
        batch.columns.resize(slot + 1, Column::null(batch.rows));
    }
    batch.columns[slot] = column;
}

/// One row per element; a map, string or number is a list of one, an empty list gives no row, null one row with null.
fn unnest(batch: Batch, list: &Column, output: Slot) -> Batch {
    let mut rows = Vec::new();
    let mut cells = ColumnBuilder::default();
    for i in 0..batch.rows {
        match list.get(i) {
            ValueRef::Text(Kind::List, text) => {
                for element in json::elements(text) {
                    rows.push(i as u32);
                    match element {
                        Some((kind, t)) => cells.push(ValueRef::Text(kind, &t)),
                        None => cells.push(ValueRef::Null),
                    }
                }
            }
            single => {
                rows.push(i as u32);
                cells.push(single);
            }
        }
    }
    let mut batch = batch.take(&rows);
    put(&mut batch, output, cells.finish());
    batch
}

/// Applies any op to the rows of a later stage.
pub(super) fn whole<'a>(op: &'a Op, next: Option<&'a Op>, rows: Rows<'a>, cx: &'a Cx<'a>) -> Result<Rows<'a>, Error> {
    let ctl = cx.ctl;
    match op {
        Op::Group { keys, aggs, slots } => {
            let mut table = GroupTable::new(keys, aggs, ctl);
            let mut hashes = Hashes::new(ctl.seed());
            for batch in rows.stream() {
                ctl.check()?;
                table.push(&batch?, &mut hashes)?;
            }
            GroupTable::finish(vec![table], *slots, ctl)
        }
        Op::Sort { keys, limit } => sort::sort_rows(rows, keys, *limit, ctl),
        Op::Limit { rows: n, .. } => Ok(head(rows, *n, ctl)),
        Op::Dedup(slots) => dedup::dedup(rows, slots, ctl),
        Op::Nested(op) => super::nested::combine(op, rows, cx),
        Op::Ordered(op) => {
            let held = rows.hold("a command that looks at all rows in their order", ctl)?;
            let rows = super::ordered::ordered(op, concat(held.batches, ctl)?, cx);
            // What was stopped half way is no answer.
            ctl.check()?;
            Ok(Rows::held(vec![rows], ctl))
        }
        _ => rows.map(move |batch| map(op, next, batch, cx), ctl),
    }
}

/// All rows in one batch, numbered from 0.
pub(super) fn concat(mut batches: Vec<Batch>, ctl: &Ctl) -> Result<Batch, Error> {
    let rows = batches.iter().map(|b| b.rows).sum();
    let positions = Positions::sequence(0, rows);
    if batches.len() == 1
        && let Some(one) = batches.pop()
    {
        return Ok(Batch { positions, ..one });
    }
    let width = batches.iter().map(|b| b.columns.len()).max().unwrap_or(0);
    let column = |slot: usize| {
        ctl.check()?;
        let parts = Parts::new(batches.iter().map(|batch| batch.columns.get(slot)).collect());
        Ok(parts.all(batches.iter().map(|batch| batch.rows)))
    };
    let columns = ctl.install(|| (0..width).into_par_iter().map(column).collect::<Result<_, Error>>())?;
    Ok(Batch { columns, rows, positions })
}

/// The first rows.
fn head<'a>(rows: Rows<'a>, n: u64, ctl: &'a Ctl) -> Rows<'a> {
    let mut left = usize::try_from(n).unwrap_or(usize::MAX);
    match rows {
        Rows::Held(held) => {
            let head = |batch: Batch| {
                let batch = batch.head(left);
                left -= batch.rows;
                batch
            };
            Rows::held(held.batches.into_iter().map(head).collect(), ctl)
        }
        Rows::Stream(mut stream) => Rows::Stream(Box::new(std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let batch = stream.next()?.map(|batch| batch.head(left));
            left -= batch.as_ref().map_or(left, |b| b.rows);
            Some(batch)
        }))),
    }
}
