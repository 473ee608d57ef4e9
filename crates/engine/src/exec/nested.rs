//! The rows of a nested query meet those of the pipeline: `union`, `appendcols`, `join`.

use super::Cx;
use super::ctl::Ctl;
use super::group::key::Keys;
use super::memory::Share;
use super::rows::{Held, Rows, Stream, sorted};
use super::spill::rows::{cells, push_cell, push_row};
use super::spill::{self, Sorter};
use super::steps::{concat, put};
use crate::error::Error;
use crate::plan::Slot;
use crate::plan::nested::{Combine, Nested};
use crate::source::BATCH_ROWS;
use crate::value::ValueRef;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};

/// Runs the nested query and combines its rows with `left`, which are in order.
pub(super) fn combine<'a>(op: &'a Nested, left: Rows<'a>, cx: &'a Cx<'a>) -> Result<Rows<'a>, Error> {
    let ctl = cx.ctl;
    let right = super::answer(&op.plan, cx.catalog, cx.clock, ctl)?;
    match &op.how {
        Combine::Union(columns) => {
            let left = left.map(|batch| renumber(&batch, columns.iter().map(|(left, _)| *left)), ctl)?;
            let right = right.map(|batch| renumber(&batch, columns.iter().map(|(_, right)| *right)), ctl)?;
            both(left, right, ctl)
        }
        Combine::Paste { columns, replaced, max } => {
            let right = concat(right.hold("the right side of `appendcols`", ctl)?.batches, ctl)?;
            let mut first = 0;
            let paste = move |batch: Batch| {
                let here = first;
                first += batch.rows;
                paste(batch, here, &right, columns, replaced, *max)
            };
            each(left, paste, ctl)
        }
        Combine::Join { left: a, right: b, outer, columns } => {
            let join = Join { key: (*a, *b), outer: *outer, columns };
            match right {
                // The index, and the rows once more as one batch.
                Rows::Held(right) if ctl.memory().fits(2 * right.cost()) => {
                    Ok(Rows::Stream(Box::new(join.in_memory(left.stream(), right, ctl)?)))
                }
                right => join.outside_memory(left.stream(), right.stream(), ctl),
            }
        }
    }
}

/// Some slots of a batch as its only ones.
fn renumber(batch: &Batch, slots: impl Iterator<Item = Option<Slot>>) -> Batch {
    let column = |slot: Option<Slot>| slot.map_or_else(|| Column::null(batch.rows), |s| super::column(batch, s));
    Batch { columns: slots.map(column).collect(), ..batch.clone() }
}

/// Rows after rows, numbered anew.
fn both<'a>(left: Rows<'a>, right: Rows<'a>, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
    let mut first = 0;
    let number = move |batch: Batch| {
        let positions = Positions::sequence(first, batch.rows);
        first += batch.rows as u64;
        Batch { positions, ..batch }
    };
    match (left, right) {
        (Rows::Held(left), Rows::Held(right)) => {
            Ok(Rows::held(left.batches.into_iter().chain(right.batches).map(number).collect(), ctl))
        }
        (left, right) => each(Rows::Stream(Box::new(left.stream().chain(right.stream()))), number, ctl),
    }
}

/// Batch after batch changed by what may remember those before.
fn each<'a>(rows: Rows<'a>, mut f: impl FnMut(Batch) -> Batch + Send + 'a, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
    Ok(match rows {
        Rows::Held(held) => Rows::held(held.batches.into_iter().map(f).collect(), ctl),
        Rows::Stream(stream) => Rows::Stream(Box::new(stream.map(move |batch| batch.map(&mut f)))),
    })
}

/// Puts cells of the right beside those of the left, whose first row is number `first`.
fn paste(
    mut left: Batch,
    first: usize,
    right: &Batch,
    columns: &[(Slot, Slot)],
    replaced: &[(Slot, Slot, Slot)],
    max: usize,
) -> Batch {
    let there = right.rows.min(max);
    for (from, to) in columns {
        let cells = super::column(right, *from);
        let cell = |i: usize| if first + i < there { cells.get(first + i) } else { ValueRef::Null };
        let column = (0..left.rows).map(cell).collect::<ColumnBuilder>().finish();
        put(&mut left, *to, column);
    }
    for (here, from, to) in replaced {
        let (old, new) = (super::column(&left, *here), super::column(right, *from));
        let cell = |i: usize| if first + i < there { new.get(first + i) } else { old.get(i) };
        let column = (0..left.rows).map(cell).collect::<ColumnBuilder>().finish();
        put(&mut left, *to, column);
    }
    left
}

/// Every pair of rows whose keys are equal as text.
#[derive(Clone, Copy)]
struct Join<'a> {
    key: (Slot, Slot),
    outer: bool,
    columns: &'a [(Slot, Slot)],
}

impl<'a> Join<'a> {
    /// Looks up each row of the left in an index of the right.
    fn in_memory(self, left: Stream<'a>, right: Held, ctl: &'a Ctl) -> Result<Pairs<'a>, Error> {
        let mut share = ctl.memory().share();
        share.set(2 * right.cost());
        let right = concat(right.batches, ctl)?;
        let mut keys = Keys::new();
        let mut partners: Vec<Vec<u32>> = Vec::new();
        let column = [super::column(&right, self.key.1)];
        for row in 0..right.rows {
            if keys.of(&column, row).is_some() {
                let (number, new) = keys.intern();
                if new {
                    partners.push(Vec::new());
                }
                partners[number].push(row as u32);
            }
        }
        let index = Index { join: self, right, keys, partners, first: 0, _share: share };
        Ok(Pairs { left, index, pending: Vec::new().into_iter(), ctl })
    }

    /// Sorts both sides by key, and the pairs by their places.
    fn outside_memory(self, left: Stream<'a>, right: Stream<'a>, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        let (mut by_key, mut by_place) = (Sorter::new(ctl), Sorter::new(ctl));
        self.records(right, self.key.1, 0, &mut by_key, None)?;
        self.records(left, self.key.0, 1, &mut by_key, self.outer.then_some(&mut by_place))?;
        let mut merged = spill::merge(vec![by_key], ctl)?;
        // The rows of the right with the key at hand.
        let (mut key, mut partners): (Vec<u8>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let mut share = ctl.memory().share();
        while let Some((record, row)) = merged.next()? {
            // Key, side, place.
            let (of, rest) = record.split_at(record.len() - 9);
            if of != key {
                key = of.to_vec();
                partners.clear();
                share.set(0);
            }
            let (side, place) = rest.split_at(1);
            if side == [0] {
                share.need(share.held() + row.len() + 24, "all rows of one key on the right side of `join`")?;
                partners.push(row.to_vec());
                continue;
            }
            for (n, partner) in partners.iter().enumerate() {
                let place = [place, &(n as u64).to_be_bytes()].concat();
                by_place.push(&place, &self.pair(row, Some(partner)))?;
            }
            if partners.is_empty() && self.outer {
                by_place.push(place, &self.pair(row, None))?;
            }
        }
        sorted(vec![by_place], None, ctl)
    }

    /// Gives the rows of a side to a sorter, under key, side and place. Rows without a key have no partner: they go to
    /// `alone` by their place.
    fn records(
        self,
        rows: Stream<'_>,
        key: Slot,
        side: u8,
        out: &mut Sorter<'_>,
        mut alone: Option<&mut Sorter<'_>>,
    ) -> Result<(), Error> {
        let (mut keys, mut place, mut payload) = (Keys::new(), 0u64, Vec::new());
        for batch in rows {
            let batch = batch?;
            let column = [super::column(&batch, key)];
            for row in 0..batch.rows {
                place += 1;
                payload.clear();
                push_row(&batch, row, &mut payload);
                match (keys.of(&column, row), &mut alone) {
                    (Some(key), _) => out.push(&[key, &[side], &place.to_be_bytes()].concat(), &payload)?,
                    (None, Some(alone)) => alone.push(&place.to_be_bytes(), &self.pair(&payload, None))?,
                    (None, None) => {}
                }
            }
        }
        Ok(())
    }

    /// A row of the left with the cells of its partner.
    fn pair(self, left: &[u8], right: Option<&Vec<u8>>) -> Vec<u8> {
        let mut row: Vec<ValueRef<'_>> = cells(left).collect();
        let right: Vec<ValueRef<'_>> = right.map_or_else(Vec::new, |r| cells(r).collect());
        for (from, to) in self.columns {
            if row.len() <= *to {
                row.resize(to + 1, ValueRef::Null);
            }
            row[*to] = right.get(*from).copied().unwrap_or(ValueRef::Null);
        }
        let mut out = Vec::new();
        row.into_iter().for_each(|cell| push_cell(cell, &mut out));
        out
    }
}

/// The right side of a join by key.
struct Index<'a> {
    join: Join<'a>,
    right: Batch,
    keys: Keys,
    partners: Vec<Vec<u32>>,
    /// Pairs given before.
    first: u64,
    _share: Share,
}

impl Index<'_> {
    /// The pairs of a batch of the left, in batches.
    fn pairs(&mut self, left: &Batch) -> Vec<Batch> {
        let mut pairs: Vec<(u32, Option<u32>)> = Vec::new();
        let column = [super::column(left, self.join.key.0)];
        let mut out = Vec::new();
        for row in 0..left.rows {
            let number = self.keys.of(&column, row).map(|_| ()).and_then(|()| self.keys.find());
            match number {
                Some(n) => pairs.extend(self.partners[n].iter().map(|r| (row as u32, Some(*r)))),
                None if self.join.outer => pairs.push((row as u32, None)),
                None => {}
            }
            if pairs.len() >= BATCH_ROWS {
                out.push(self.batch(left, &pairs));
                pairs.clear();
            }
        }
        out.push(self.batch(left, &pairs));
        out
    }

    fn batch(&mut self, left: &Batch, pairs: &[(u32, Option<u32>)]) -> Batch {
        let mut rows = left.take(&pairs.iter().map(|(left, _)| *left).collect::<Vec<u32>>());
        for (from, to) in self.join.columns {
            let cells = super::column(&self.right, *from);
            let cell = |(_, right): &(u32, Option<u32>)| right.map_or(ValueRef::Null, |r| cells.get(r as usize));
            put(&mut rows, *to, pairs.iter().map(cell).collect::<ColumnBuilder>().finish());
        }
        rows.positions = Positions::sequence(self.first, rows.rows);
        self.first += rows.rows as u64;
        rows
    }
}

/// The pairs of all batches of the left.
struct Pairs<'a> {
    left: Stream<'a>,
    index: Index<'a>,
    pending: std::vec::IntoIter<Batch>,
    ctl: &'a Ctl,
}

impl Iterator for Pairs<'_> {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Result<Batch, Error>> {
        loop {
            if let Some(batch) = self.pending.next() {
                return Some(Ok(batch));
            }
            match self.left.next()?.and_then(|batch| self.ctl.check().map(|()| batch)) {
                Ok(batch) => self.pending = self.index.pairs(&batch).into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}
