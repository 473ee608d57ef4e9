//! The rows of a nested query meet those of the pipeline: `union`, `appendcols`, `join`.

use super::Cx;
use super::steps::{concat, put};
use crate::error::Error;
use crate::plan::Slot;
use crate::plan::nested::{Combine, Nested};
use crate::value::ValueRef;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use std::collections::HashMap;

/// Runs the nested query and combines its rows with `left`, which are in order.
pub(super) fn combine(op: &Nested, left: Vec<Batch>, cx: &Cx<'_>) -> Result<Vec<Batch>, Error> {
    let right = concat(super::rows(&op.plan, cx.catalog, cx.clock, cx.ctl)?);
    let left = concat(left);
    Ok(vec![match &op.how {
        Combine::Union(columns) => union(&left, &right, columns),
        Combine::Paste { columns, replaced, max } => paste(left, &right, columns, replaced, *max),
        Combine::Join { left: a, right: b, outer, columns } => join(&left, &right, (*a, *b), *outer, columns),
    }])
}

fn union(left: &Batch, right: &Batch, columns: &[(Option<Slot>, Option<Slot>)]) -> Batch {
    let side =
        |batch: &Batch, slot: Option<Slot>| slot.map_or_else(|| Column::null(batch.rows), |s| super::column(batch, s));
    let rows = left.rows + right.rows;
    let columns = columns.iter().map(|(l, r)| Column::concat(&[side(left, *l), side(right, *r)])).collect();
    Batch { columns, rows, positions: Positions::sequence(0, rows) }
}

fn paste(
    mut left: Batch,
    right: &Batch,
    columns: &[(Slot, Slot)],
    replaced: &[(Slot, Slot, Slot)],
    max: usize,
) -> Batch {
    let there = right.rows.min(max);
    for (from, to) in columns {
        let cells = super::column(right, *from);
        let mut out = ColumnBuilder::default();
        (0..left.rows).for_each(|i| out.push(if i < there { cells.get(i) } else { ValueRef::Null }));
        put(&mut left, *to, out.finish());
    }
    for (here, from, to) in replaced {
        let (old, new) = (super::column(&left, *here), super::column(right, *from));
        let mut out = ColumnBuilder::default();
        (0..left.rows).for_each(|i| out.push(if i < there { new.get(i) } else { old.get(i) }));
        put(&mut left, *to, out.finish());
    }
    left
}

fn join(left: &Batch, right: &Batch, key: (Slot, Slot), outer: bool, columns: &[(Slot, Slot)]) -> Batch {
    let mut partners: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
    for (i, v) in super::column(right, key.1).iter().enumerate() {
        if let Some(text) = v.text() {
            partners.entry(text.into_owned()).or_default().push(i as u32);
        }
    }
    let mut lefts: Vec<u32> = Vec::new();
    let mut rights: Vec<Option<u32>> = Vec::new();
    for (i, v) in super::column(left, key.0).iter().enumerate() {
        match v.text().and_then(|t| partners.get(&*t)) {
            Some(found) => {
                lefts.extend(found.iter().map(|_| i as u32));
                rights.extend(found.iter().map(|r| Some(*r)));
            }
            None if outer => {
                lefts.push(i as u32);
                rights.push(None);
            }
            None => {}
        }
    }
    let mut rows = left.take(&lefts);
    for (from, to) in columns {
        let cells = super::column(right, *from);
        let mut out = ColumnBuilder::default();
        rights.iter().for_each(|r| out.push(r.map_or(ValueRef::Null, |r| cells.get(r as usize))));
        put(&mut rows, *to, out.finish());
    }
    rows.positions = Positions::sequence(0, rows.rows);
    rows
}
