//! The ops that need no memory of their own, and the whole-table form of every op for the stages after the first.

use super::ctl::Ctl;
use super::eval::{eval, mask};
use super::group::GroupTable;
use super::rows::Rows;
use super::{Cx, dedup, parse, sort};
use crate::agg::trace::Trace;
use crate::error::Error;
use crate::plan::{Op, Slot};
use crate::source::Counters;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::{Kind, ValueRef, json};
use arrow::buffer::BooleanBuffer;

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
            let mut missing = 0;
            let keep: Vec<bool> = times
                .iter()
                .map(|t| match t.timestamp() {
                    Some(t) => start.is_none_or(|s| s <= t) && end.is_none_or(|e| t < e),
                    None => {
                        missing += 1;
                        false
                    }
                })
                .collect();
            Counters::add(&cx.ctl.counters.no_timestamp, missing);
            keep_rows(batch, &BooleanBuffer::from(keep), next)
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
            let mut table = GroupTable::new(keys, aggs, foldhash::fast::RandomState::default(), ctl);
            for batch in rows.stream() {
                ctl.check()?;
                table.push(&batch?)?;
            }
            GroupTable::finish(vec![table], *slots, ctl)
        }
        Op::Sort { keys, limit } => sort::sort_rows(rows, keys, *limit, ctl),
        Op::Limit { rows: n, .. } => Ok(head(rows, *n, ctl)),
        Op::Dedup(slots) => dedup::dedup(rows, slots, ctl),
        Op::Nested(op) => super::nested::combine(op, rows, cx),
        Op::Ordered(op) => {
            let held = rows.hold("a command that looks at all rows in their order", ctl)?;
            Ok(Rows::held(vec![super::ordered::ordered(op, concat(held.batches), cx)], ctl))
        }
        _ => rows.map(move |batch| map(op, next, batch, cx), ctl),
    }
}

/// All rows in one batch, numbered from 0.
pub(super) fn concat(batches: Vec<Batch>) -> Batch {
    let width = batches.iter().map(|b| b.columns.len()).max().unwrap_or(0);
    let rows = batches.iter().map(|b| b.rows).sum();
    let columns = (0..width)
        .map(|slot| Column::concat(&batches.iter().map(|b| super::column(b, slot)).collect::<Vec<_>>()))
        .collect();
    Batch { columns, rows, positions: Positions::sequence(0, rows) }
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
