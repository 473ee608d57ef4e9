//! The best n: the first rows of an order, picked as they come.

use super::bound::{self, Bound};
use super::{Wanted, sort};
use crate::error::Error;
use crate::exec::ctl::Ctl;
use crate::exec::memory::Share;
use crate::exec::rows::{Rows, sorted};
use crate::exec::spill::Sorter;
use crate::exec::spill::rows::push_row;
use crate::plan::SortKey;
use crate::source::BATCH_ROWS;
use crate::value::column::{Batch, Column};
use crate::value::number::Number;
use crate::value::order;

/// The first `n` rows of an order, of everything pushed. Holds a few times `n` rows at most; where that is too much, it
/// sorts outside memory.
pub(in crate::exec) struct Top<'a> {
    keys: &'a [SortKey],
    n: usize,
    /// Candidates: a row's key, and where it lies in `batches`.
    rows: Vec<(Vec<u8>, u32, u32)>,
    batches: Vec<Batch>,
    /// The largest key that can still be among the first `n`.
    bound: Option<Vec<u8>>,
    /// Its first value, if that is or spells an integer.
    bound_int: Option<i64>,
    share: Share,
    /// Bytes of the candidates: keys, and batches.
    bytes: (usize, usize),
    sorter: Option<Sorter<'a>>,
    ctl: &'a Ctl,
}

/// Rows of a large batch that are looked at before the others.
const FIRST: usize = 1024;

impl<'a> Top<'a> {
    pub fn new(keys: &'a [SortKey], n: u64, ctl: &'a Ctl) -> Top<'a> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        Top {
            keys,
            n,
            rows: Vec::new(),
            batches: Vec::new(),
            bound: None,
            bound_int: None,
            share: ctl.memory().share(),
            bytes: (0, 0),
            sorter: None,
            ctl,
        }
    }

    /// Takes the rows of a batch that can be among the first.
    pub fn push(&mut self, batch: &Batch) -> Result<(), Error> {
        if self.n == 0 {
            return Ok(());
        }
        let first = self.n.saturating_mul(4).max(FIRST);
        if self.bound.is_none() && self.rows.is_empty() && batch.rows / 2 > first {
            // The first rows give a bound that rules out most of the others.
            self.push(&batch.slice(0, first))?;
            return self.push(&batch.slice(first, batch.rows - first));
        }
        let columns: Vec<(Column, SortKey)> =
            self.keys.iter().map(|k| (crate::exec::column(batch, k.slot), *k)).collect();
        let mut kept = Vec::new();
        let mut key = Vec::new();
        let possible = self.possible(columns.first(), batch.rows);
        'row: for i in possible.unwrap_or_else(|| (0..batch.rows as u32).collect()) {
            let i = i as usize;
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
            self.bytes.0 += key.len() + size_of::<(Vec<u8>, u32, u32)>();
            self.rows.push((key.clone(), self.batches.len() as u32, kept.len() as u32));
            kept.push(i as u32);
        }
        if kept.is_empty() {
            return Ok(());
        }
        let kept = batch.take(&kept).owned();
        self.bytes.1 += kept.cost();
        self.batches.push(kept);
        if !self.fits()
            || self.rows.len() >= self.n.saturating_mul(2).max(4 * BATCH_ROWS)
            || (self.bound.is_none() && self.rows.len() > self.n)
        {
            self.shrink();
        }
        if self.sorter.is_some() || !self.fits() { self.spill() } else { Ok(()) }
    }

    /// The rows that the first key does not rule out, where that is a matter of comparing integers.
    fn possible(&self, first: Option<&(Column, SortKey)>, rows: usize) -> Option<Vec<u32>> {
        let ((column, key), bound) = (first?, self.bound_int?);
        let stays = bound::integers(column, key, bound)?;
        Some((0..rows as u32).filter(|row| stays(*row as usize)).collect())
    }

    /// Tells all workers what is too late.
    pub fn tell(&self, bound: &Bound) {
        if let Some(key) = &self.bound {
            bound.lower(key, self.bound_int);
        }
    }

    /// Whether the candidates, and the copy made of them in the end, have room.
    fn fits(&mut self) -> bool {
        self.share.set(self.bytes.0 + 2 * self.bytes.1)
    }

    /// Puts the candidates into files.
    fn spill(&mut self) -> Result<(), Error> {
        let sorter = self.sorter.get_or_insert_with(|| Sorter::new(self.ctl));
        let mut payload = Vec::new();
        for (key, batch, row) in self.rows.drain(..) {
            payload.clear();
            push_row(&self.batches[batch as usize], row as usize, &mut payload);
            sorter.push(&key, &payload)?;
        }
        self.batches.clear();
        self.bytes = (0, 0);
        self.share.set(0);
        Ok(())
    }

    /// Forgets all candidates but the first `n`.
    fn shrink(&mut self) {
        if self.rows.len() <= self.n {
            return;
        }
        self.rows.select_nth_unstable(self.n - 1);
        self.rows.truncate(self.n);
        let last = self.rows.iter().max();
        self.bound = last.map(|(key, ..)| key.clone());
        self.bound_int = last.zip(self.keys.first()).and_then(|((_, batch, row), key)| {
            match crate::exec::column(&self.batches[*batch as usize], key.slot).get(*row as usize).number() {
                Some(Number::Int(n)) => Some(n),
                _ => None,
            }
        });
        self.bytes.0 = self.rows.iter().map(|r| r.0.len() + size_of_val(r)).sum();
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
        self.bytes.1 = batches.iter().map(Batch::cost).sum();
        self.batches = batches;
    }

    /// The first rows of all workers.
    pub fn finish(mut all: Vec<Top<'a>>, limit: Option<u64>, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        if all.iter().any(|top| top.sorter.is_some()) {
            all.iter_mut().try_for_each(Top::spill)?;
            return sorted(all.into_iter().filter_map(|top| top.sorter).collect(), limit, ctl);
        }
        let Some(first) = all.first() else { return Ok(Rows::held(Vec::new(), ctl)) };
        let keys = first.keys;
        let (mut batches, mut shares) = (Vec::new(), Vec::new());
        for mut top in all {
            top.shrink();
            batches.extend(top.batches);
            shares.push(top.share);
        }
        let wanted = limit.map_or(Wanted::All, Wanted::First);
        let batches = ctl.install(|| sort(batches, keys, wanted, ctl))?;
        drop(shares);
        Ok(Rows::held(batches, ctl))
    }
}
