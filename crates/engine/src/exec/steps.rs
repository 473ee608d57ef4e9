//! The ops that need no memory of their own, and the whole-table form of every op for the stages after the first.

use super::eval::{eval, mask};
use super::group::GroupTable;
use super::{Cx, parse, sort};
use crate::agg::trace::Trace;
use crate::error::Error;
use crate::plan::{Op, Slot};
use crate::source::Counters;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::{Kind, ValueRef, json};
use arrow::buffer::BooleanBuffer;
use std::collections::HashSet;

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
fn map(op: &Op, next: Option<&Op>, batch: Batch, cx: &Cx<'_>) -> Batch {
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
pub(super) fn whole(op: &Op, next: Option<&Op>, batches: Vec<Batch>, cx: &Cx<'_>) -> Result<Vec<Batch>, Error> {
    Ok(match op {
        Op::Group { keys, aggs, slots } => {
            let mut table = GroupTable::new(keys, aggs, foldhash::fast::RandomState::default());
            batches.iter().for_each(|b| table.push(b));
            GroupTable::merge(vec![table]).finish(*slots)
        }
        Op::Sort { keys, limit } => cx.ctl.install(|| sort::sort(batches, keys, *limit)),
        Op::Limit { rows, .. } => head(batches, *rows),
        Op::Dedup(slots) => dedup(batches, slots),
        Op::Nested(op) => super::nested::combine(op, batches, cx)?,
        Op::Ordered(op) => vec![super::ordered::ordered(op, concat(batches), cx)],
        _ => batches.into_iter().map(|b| map(op, next, b, cx)).collect(),
    })
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
pub(super) fn head(batches: Vec<Batch>, rows: u64) -> Vec<Batch> {
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    for batch in batches {
        let batch = batch.head(left);
        left -= batch.rows;
        out.push(batch);
    }
    out
}

/// The first row per combination of texts; rows with a null among them all stay.
pub(super) fn dedup(batches: Vec<Batch>, slots: &[Slot]) -> Vec<Batch> {
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut out = Vec::new();
    for batch in batches {
        let columns: Vec<Column> = slots.iter().map(|s| super::column(&batch, *s)).collect();
        let mut kept = Vec::new();
        'row: for i in 0..batch.rows {
            let mut key = Vec::new();
            for column in &columns {
                let Some(text) = column.get(i).text() else {
                    kept.push(i as u32);
                    continue 'row;
                };
                key.extend_from_slice(&(text.len() as u64).to_le_bytes());
                key.extend_from_slice(&text);
            }
            if seen.insert(key) {
                kept.push(i as u32);
            }
        }
        out.push(if kept.len() == batch.rows { batch } else { batch.take(&kept) });
    }
    out
}
