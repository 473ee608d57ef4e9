//! `sort`, and in [`top`] the best n: both on the byte keys of [`order`], so that comparing is `memcmp`.
//!
//! A row's key ends in its source position, so the order does not depend on who read what.

pub(super) mod bound;
mod ranks;
mod top;

use super::ctl::Ctl;
use super::memory::{Share, copied, cost, keep_all};
use super::rows::{Held, Rows, Stream, sorted};
use super::shared::coders::{Coders, Met};
use super::spill::Sorter;
use super::spill::rows::push_row;
use crate::error::Error;
use crate::plan::{Slot, SortKey};
use crate::source::BATCH_ROWS;
use crate::value::column::{Batch, Column, Positions};
use crate::value::order;
use crate::value::parts::Parts;
use ranks::Ranks;
use rayon::prelude::*;
use std::cmp::Ordering;
pub(super) use top::Top;

/// The keys of the rows of a batch, one after another.
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Keys {
    /// Of the keys that have ranks, those are taken: they compare with nothing but each other.
    fn of(batch: &Batch, keys: &[SortKey], ranks: &[Option<Ranks>]) -> Keys {
        let columns: Vec<(Column, SortKey)> = keys.iter().map(|k| (super::column(batch, k.slot), *k)).collect();
        let mut out = Keys { bytes: Vec::new(), ends: Vec::with_capacity(batch.rows) };
        for i in 0..batch.rows {
            for (at, (column, key)) in columns.iter().enumerate() {
                match ranks.get(at) {
                    Some(Some(ranks)) => ranks.push(column, i, key.descending, &mut out.bytes),
                    _ => order::push(column.get(i), key.descending, key.by_text, &mut out.bytes),
                }
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
    prefix: u128,
    batch: u32,
    row: u32,
}

impl Row {
    fn new(key: &[u8], batch: u32, row: u32) -> Row {
        let mut prefix = [0; 16];
        let n = key.len().min(16);
        prefix[..n].copy_from_slice(&key[..n]);
        Row { prefix: u128::from_be_bytes(prefix), batch, row }
    }
}

/// What is wanted of the rows of an order.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'s> {
    All,
    /// So many, the first.
    First(u64),
    /// The first of each combination of values; others may come along, as what follows leaves them out anyway.
    FirstOf(&'s [Slot]),
}

/// Sorts rows that are in memory. They come out numbered in their new order.
pub(super) fn sort(batches: Vec<Batch>, keys: &[SortKey], wanted: Wanted<'_>, ctl: &Ctl) -> Result<Vec<Batch>, Error> {
    // Keys of a batch are addressed with 32 bits.
    let batches: Vec<Batch> = batches.into_iter().flat_map(small).collect();
    let batches = ranks::in_one(batches, ctl);
    let ranks = Ranks::of(&batches, keys);
    let keys_of = |b: &Batch| ctl.check().map(|()| Keys::of(b, keys, &ranks));
    let all: Vec<Keys> = batches.par_iter().map(keys_of).collect::<Result<_, _>>()?;
    let of_batch = |(b, keys): (usize, &'_ Keys)| -> Vec<Row> {
        (0..keys.ends.len() as u32).map(|r| Row::new(keys.get(r), b as u32, r)).collect()
    };
    let mut rows: Vec<Row> = all.par_iter().enumerate().flat_map_iter(of_batch).collect();
    // Rows made of one record share its position: they keep the order they were made in.
    let compare = |x: &Row, y: &Row| match ctl.aborted() {
        // Ends soon, with whatever order: nobody will see it.
        true => Ordering::Equal,
        false => x
            .prefix
            .cmp(&y.prefix)
            .then_with(|| all[x.batch as usize].get(x.row).cmp(all[y.batch as usize].get(y.row)))
            .then_with(|| (x.batch, x.row).cmp(&(y.batch, y.row))),
    };
    match wanted {
        Wanted::First(0) => rows.clear(),
        Wanted::First(n) if n < rows.len() as u64 => {
            rows.select_nth_unstable_by(n as usize - 1, compare);
            rows.truncate(n as usize);
            rows.par_sort_unstable_by(compare);
        }
        _ => rows.par_sort_unstable_by(compare),
    }
    ctl.check()?;
    if let Wanted::FirstOf(slots) = wanted
        && let Some(mut is_first) = ranks::first_of(&batches, slots)
    {
        // The others need not be moved.
        rows.retain(|row| is_first(row.batch as usize, row.row as usize));
    }
    gather(&batches, &rows, ctl)
}

/// Sorts rows that may be more than fits into memory.
pub(super) fn sort_rows<'a>(
    rows: Rows<'a>,
    keys: &'a [SortKey],
    limit: Option<u64>,
    ctl: &'a Ctl,
) -> Result<Rows<'a>, Error> {
    let wanted = limit.map_or(Wanted::All, Wanted::First);
    match (rows, limit) {
        // Most rows are out at the first look: no key is made for them, and nothing is sorted but the best.
        (Rows::Held(held), Some(n)) if n < FEW => {
            let at_once = held.batches.len().div_ceil(4 * ctl.threads()).max(1);
            let best = |batches: &[Batch]| {
                let mut top = Top::new(keys, n, ctl);
                batches.iter().try_for_each(|batch| ctl.check().and_then(|()| top.push(batch))).map(|()| top)
            };
            let tops = ctl.install(|| held.batches.par_chunks(at_once).map(best).collect::<Result<_, _>>())?;
            Top::finish(tops, limit, ctl)
        }
        (Rows::Held(held), _) => {
            // The copy that is made of the rows comes on top.
            let extra = sorting(&held.batches, keys);
            if ctl.memory().fits(extra) {
                let batches = held.batches;
                return Ok(Rows::held(ctl.install(|| sort(batches, keys, wanted, ctl))?, ctl));
            }
            let mut sorter = Sorter::new(ctl);
            for batch in Rows::Held(held).stream() {
                spill(batch?, keys, &mut sorter)?;
            }
            sorted(vec![sorter], limit, ctl)
        }
        (Rows::Stream(stream), Some(n)) => {
            let mut top = Top::new(keys, n, ctl);
            for batch in stream {
                top.push(&batch?)?;
            }
            Top::finish(vec![top], limit, ctl)
        }
        (Rows::Stream(stream), None) => gathered(stream, keys, ctl),
    }
}

/// Up to so many rows, the best are picked one by one.
const FEW: u64 = 10_000;

/// The batches of a stream, sorted; without keys, in the order they come.
pub(super) fn gathered<'a>(stream: Stream<'_>, keys: &'a [SortKey], ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
    let mut gather = Gather::new(keys, ctl);
    for batch in stream {
        ctl.check()?;
        gather.push(batch?)?;
    }
    Gather::finish(vec![gather], Wanted::All, ctl)
}

/// Gives the rows of a batch to a sorter.
fn spill(batch: Batch, keys: &[SortKey], sorter: &mut Sorter<'_>) -> Result<(), Error> {
    let mut payload = Vec::new();
    for batch in small(batch) {
        let keys = Keys::of(&batch, keys, &[]);
        for row in 0..batch.rows {
            payload.clear();
            push_row(&batch, row, &mut payload);
            sorter.push(keys.get(row as u32), &payload)?;
        }
    }
    Ok(())
}

/// Bytes it takes to sort batches in memory, beside the batches themselves: keys, and the rows in their new order.
fn sorting(batches: &[Batch], keys: &[SortKey]) -> usize {
    let text = |batch: &Batch, key: &SortKey| match super::column(batch, key.slot) {
        Column::Dict(words, dictionary) => words.len() * (dictionary.bytes() / dictionary.len().max(1)),
        other => other.bytes(),
    };
    let of_keys = |batch: &Batch| {
        let text: usize = keys.iter().map(|key| text(batch, key)).sum();
        text + batch.rows * (size_of::<Row>() + 16 + 12 * keys.len())
    };
    copied(batches) + batches.iter().map(of_keys).sum::<usize>()
}

/// All rows one worker has found, to be sorted.
pub(super) struct Gather<'a> {
    keys: &'a [SortKey],
    batches: Vec<Batch>,
    /// The last ones, whose memory is not looked at yet: batches that follow each other often lie in the same blocks.
    waiting: Vec<Batch>,
    waiting_bytes: usize,
    coders: Coders,
    met: Met,
    /// Bytes of the batches, and of what it takes to sort them.
    cost: usize,
    share: Share,
    sorter: Option<Sorter<'a>>,
    ctl: &'a Ctl,
}

impl<'a> Gather<'a> {
    /// Without keys, rows are put in source order.
    pub fn new(keys: &'a [SortKey], ctl: &'a Ctl) -> Gather<'a> {
        let (coders, met, share) = (Coders::default(), Met::default(), ctl.memory().share());
        Gather {
            keys,
            batches: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            coders,
            met,
            cost: 0,
            share,
            sorter: None,
            ctl,
        }
    }

    /// Takes rows. Texts that repeat are kept once, which is less to move, and less to compare.
    pub fn push(&mut self, batch: Batch) -> Result<(), Error> {
        /// Batches looked at together, and bytes, where there is room.
        const MANY: usize = 64;
        const MUCH: usize = 16 << 20;
        let much = MUCH.min(self.ctl.memory().rows_kept() / 16);
        let batch = self.coders.code(batch, self.ctl);
        for (at, column) in batch.columns.iter().enumerate() {
            if let Column::Dict(_, dictionary) = column {
                self.met.is_new(at, dictionary);
            }
        }
        self.waiting_bytes += batch.bytes();
        self.waiting.push(batch);
        let goes_on = self.waiting.len() < MANY && self.waiting_bytes < much;
        if goes_on || self.settle() { Ok(()) } else { self.spill() }
    }

    /// Takes in what is waiting. False if there is no room.
    fn settle(&mut self) -> bool {
        self.waiting_bytes = 0;
        let waiting = keep_all(std::mem::take(&mut self.waiting));
        self.cost += cost(&waiting) + sorting(&waiting, self.keys);
        self.batches.extend(waiting);
        self.share.set(self.cost + self.met.left())
    }

    /// Puts what is in memory into files.
    fn spill(&mut self) -> Result<(), Error> {
        let sorter = self.sorter.get_or_insert_with(|| Sorter::new(self.ctl));
        for batch in self.batches.drain(..).chain(self.waiting.drain(..)) {
            spill(batch, self.keys, sorter)?;
        }
        self.cost = 0;
        (self.coders, self.met) = (Coders::default(), Met::default());
        self.share.set(0);
        Ok(())
    }

    /// The rows of all workers, in order.
    pub fn finish(mut all: Vec<Gather<'a>>, wanted: Wanted<'_>, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        for gather in &mut all {
            if !gather.settle() {
                gather.spill()?;
            }
        }
        if all.iter().any(|g| g.sorter.is_some()) {
            let limit = if let Wanted::First(n) = wanted { Some(n) } else { None };
            all.iter_mut().try_for_each(Gather::spill)?;
            return sorted(all.into_iter().filter_map(|g| g.sorter).collect(), limit, ctl);
        }
        let Some(first) = all.first() else { return Ok(Rows::held(Vec::new(), ctl)) };
        let keys = first.keys;
        // The shares go with the sort, which they were for.
        let (mut batches, mut shares, mut words) = (Vec::new(), Vec::new(), 0);
        for gather in all {
            words += gather.met.bytes();
            batches.extend(gather.batches);
            shares.push((gather.coders, gather.share));
        }
        if keys.is_empty() {
            // Source order, whatever worker read what.
            batches.sort_by_key(|b: &Batch| if b.rows == 0 { 0 } else { b.positions.get(0) });
        } else {
            batches = ctl.install(|| sort(batches, keys, wanted, ctl))?;
        }
        drop(shares);
        Ok(Rows::Held(Held::new(batches, ctl).with_words(words)))
    }
}

fn small(batch: Batch) -> Vec<Batch> {
    if batch.rows <= BATCH_ROWS {
        return vec![batch];
    }
    let all: Vec<u32> = (0..batch.rows as u32).collect();
    all.chunks(BATCH_ROWS).map(|rows| batch.take(rows)).collect()
}

/// The named rows, in batches, numbered from 0.
fn gather(batches: &[Batch], rows: &[Row], ctl: &Ctl) -> Result<Vec<Batch>, Error> {
    let width = batches.iter().map(|b| b.columns.len()).max().unwrap_or(0);
    if rows.is_empty() {
        let columns = vec![Column::null(0); width];
        return Ok(vec![Batch { columns, rows: 0, positions: Positions::sequence(0, 0) }]);
    }
    let parts = |slot: usize| Parts::new(batches.iter().map(|batch| batch.columns.get(slot)).collect());
    let columns: Vec<Parts<'_>> = (0..width).into_par_iter().map(parts).collect();
    rows.par_chunks(BATCH_ROWS)
        .enumerate()
        .map(|(chunk, rows)| {
            ctl.check()?;
            let places = || rows.iter().map(|row| (row.batch as usize, row.row as usize));
            Ok(Batch {
                columns: columns.iter().map(|parts| parts.pick(rows.len(), places())).collect(),
                rows: rows.len(),
                positions: Positions::sequence((chunk * BATCH_ROWS) as u64, rows.len()),
            })
        })
        .collect()
}
