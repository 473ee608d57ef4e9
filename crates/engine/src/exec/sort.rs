//! `sort`, and `sort | limit` as the best n: both on the byte keys of [`order`], so that comparing is `memcmp`.
//!
//! A row's key ends in its source position, so the order does not depend on who read what.

use crate::plan::SortKey;
use crate::source::BATCH_ROWS;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::order;
use rayon::prelude::*;

/// The keys of the rows of a batch, one after another.
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Keys {
    fn of(batch: &Batch, keys: &[SortKey]) -> Keys {
        let columns: Vec<(Column, SortKey)> = keys.iter().map(|k| (super::column(batch, k.slot), *k)).collect();
        let mut out = Keys { bytes: Vec::new(), ends: Vec::with_capacity(batch.rows) };
        for i in 0..batch.rows {
            for (column, key) in &columns {
                order::push(column.get(i), key.descending, key.by_text, &mut out.bytes);
            }
            out.bytes.extend_from_slice(&batch.positions.get(i).to_be_bytes());
            out.ends.push(out.bytes.len() as u32);
        }
        out
    }

    fn get(&self, row: u32) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row as usize - 1] as usize };
        &self.bytes[start..self.ends[row as usize] as usize]
    }
}

/// A row of one of several batches, with the first bytes of its key.
struct Row {
    prefix: [u8; 16],
    batch: u32,
    row: u32,
}

/// Sorts rows; with a limit, only the first are kept. Rows come out numbered in their new order.
pub(super) fn sort(batches: Vec<Batch>, keys: &[SortKey], limit: Option<u64>) -> Vec<Batch> {
    // Keys of a batch are addressed with 32 bits.
    let batches: Vec<Batch> = batches.into_iter().flat_map(small).collect();
    let all: Vec<Keys> = batches.par_iter().map(|b| Keys::of(b, keys)).collect();
    let mut rows: Vec<Row> = Vec::with_capacity(batches.iter().map(|b| b.rows).sum());
    for (b, keys) in all.iter().enumerate() {
        for r in 0..keys.ends.len() as u32 {
            let key = keys.get(r);
            let mut prefix = [0; 16];
            let n = key.len().min(16);
            prefix[..n].copy_from_slice(&key[..n]);
            rows.push(Row { prefix, batch: b as u32, row: r });
        }
    }
    // Rows made of one record share its position: they keep the order they were made in.
    let compare = |x: &Row, y: &Row| {
        x.prefix
            .cmp(&y.prefix)
            .then_with(|| all[x.batch as usize].get(x.row).cmp(all[y.batch as usize].get(y.row)))
            .then_with(|| (x.batch, x.row).cmp(&(y.batch, y.row)))
    };
    match limit.and_then(|n| usize::try_from(n).ok()) {
        Some(0) => rows.clear(),
        Some(n) if n < rows.len() => {
            rows.select_nth_unstable_by(n - 1, compare);
            rows.truncate(n);
            rows.sort_unstable_by(compare);
        }
        _ => rows.par_sort_unstable_by(compare),
    }
    gather(&batches, &rows)
}

fn small(batch: Batch) -> Vec<Batch> {
    if batch.rows <= BATCH_ROWS {
        return vec![batch];
    }
    let all: Vec<u32> = (0..batch.rows as u32).collect();
    all.chunks(BATCH_ROWS).map(|rows| batch.take(rows)).collect()
}

/// The named rows, in batches, numbered from 0.
fn gather(batches: &[Batch], rows: &[Row]) -> Vec<Batch> {
    let width = batches.iter().map(|b| b.columns.len()).max().unwrap_or(0);
    if rows.is_empty() {
        return vec![Batch { columns: vec![Column::null(0); width], rows: 0, positions: Positions::sequence(0, 0) }];
    }
    // Slots that no batch fills cost nothing.
    let filled: Vec<bool> = (0..width)
        .map(|s| {
            batches
                .iter()
                .any(|b| b.columns.get(s).is_some_and(|c| !matches!(c, Column::Const(crate::value::Value::Null, _))))
        })
        .collect();
    rows.par_chunks(BATCH_ROWS)
        .enumerate()
        .map(|(chunk, rows)| {
            let column = |slot: usize| {
                if !filled[slot] {
                    return Column::null(rows.len());
                }
                let mut out = ColumnBuilder::default();
                for row in rows {
                    match batches[row.batch as usize].columns.get(slot) {
                        Some(c) => out.push(c.get(row.row as usize)),
                        None => out.push(crate::value::ValueRef::Null),
                    }
                }
                out.finish()
            };
            Batch {
                columns: (0..width).map(column).collect(),
                rows: rows.len(),
                positions: Positions::sequence((chunk * BATCH_ROWS) as u64, rows.len()),
            }
        })
        .collect()
}

/// The first `n` rows of an order, of everything pushed. Holds a few times `n` rows at most.
pub(super) struct Top<'a> {
    keys: &'a [SortKey],
    n: usize,
    /// Candidates: a row's key, and where it lies in `batches`.
    rows: Vec<(Vec<u8>, u32, u32)>,
    batches: Vec<Batch>,
    /// The largest key that can still be among the first `n`.
    bound: Option<Vec<u8>>,
}

impl<'a> Top<'a> {
    pub fn new(keys: &'a [SortKey], n: u64) -> Top<'a> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        Top { keys, n, rows: Vec::new(), batches: Vec::new(), bound: None }
    }

    /// Takes the rows of a batch that can be among the first.
    pub fn push(&mut self, batch: &Batch) {
        if self.n == 0 {
            return;
        }
        let columns: Vec<(Column, SortKey)> = self.keys.iter().map(|k| (super::column(batch, k.slot), *k)).collect();
        let mut kept = Vec::new();
        let mut key = Vec::new();
        'row: for i in 0..batch.rows {
            key.clear();
            for (column, k) in &columns {
                order::push(column.get(i), k.descending, k.by_text, &mut key);
                // Most rows are out by their first key; the rest of it need not be built.
                if let Some(bound) = &self.bound
                    && key[..] > bound[..key.len().min(bound.len())]
                {
                    continue 'row;
                }
            }
            key.extend_from_slice(&batch.positions.get(i).to_be_bytes());
            if self.bound.as_ref().is_some_and(|bound| key > *bound) {
                continue;
            }
            self.rows.push((key.clone(), self.batches.len() as u32, kept.len() as u32));
            kept.push(i as u32);
        }
        if kept.is_empty() {
            return;
        }
        self.batches.push(batch.take(&kept).owned());
        if self.rows.len() >= self.n.saturating_mul(2).max(4 * BATCH_ROWS)
            || (self.bound.is_none() && self.rows.len() > self.n)
        {
            self.shrink();
        }
    }

    /// Forgets all candidates but the first `n`.
    fn shrink(&mut self) {
        if self.rows.len() <= self.n {
            return;
        }
        self.rows.select_nth_unstable(self.n - 1);
        self.rows.truncate(self.n);
        self.bound = self.rows.iter().map(|r| &r.0).max().cloned();
        self.rows.sort_unstable_by_key(|(_, batch, row)| (*batch, *row));
        let mut kept: Vec<Vec<u32>> = vec![Vec::new(); self.batches.len()];
        for (_, batch, row) in &mut self.rows {
            kept[*batch as usize].push(*row);
            *row = kept[*batch as usize].len() as u32 - 1;
        }
        let mut renumbered = vec![0; self.batches.len()];
        let mut batches = Vec::new();
        for (b, rows) in kept.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            renumbered[b] = batches.len() as u32;
            let old = &self.batches[b];
            batches.push(if rows.len() == old.rows { old.take(rows) } else { old.take(rows).owned() });
        }
        self.rows.iter_mut().for_each(|(_, batch, _)| *batch = renumbered[*batch as usize]);
        self.batches = batches;
    }

    /// The candidates, to be sorted with those of other workers.
    pub fn into_batches(mut self) -> Vec<Batch> {
        self.shrink();
        self.batches
    }
}
