//! `dedup`: the first row per combination of texts; rows with a null among them all stay.
//!
//! The combinations seen are remembered until there is no more room. What comes then and was not seen before is sorted
//! by combination, the first of each by its place among the rows.

use super::ctl::Ctl;
use super::group::key::Keys;
use super::memory::Share;
use super::rows::{Rows, Stream, sorted};
use super::spill::rows::push_row;
use super::spill::{self, Sorter};
use crate::error::Error;
use crate::plan::Slot;
use crate::value::column::{Batch, Column};

/// Applies the op to rows in their order.
pub(super) fn dedup<'a>(rows: Rows<'a>, slots: &'a [Slot], ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
    let in_memory = matches!(&rows, Rows::Held(held) if ctl.memory().fits(2 * held.cost()));
    let mut kept =
        Dedup { input: rows.stream(), slots, seen: Keys::new(), share: ctl.memory().share(), rest: None, ctl };
    if !in_memory {
        return Ok(Rows::Stream(Box::new(kept)));
    }
    let mut batches = Vec::new();
    while let Some(batch) = kept.input.next() {
        ctl.check()?;
        batches.push(kept.first_rows(batch?));
    }
    Ok(Rows::held(batches, ctl))
}

/// Rows that are the first of their kind.
struct Dedup<'a> {
    input: Stream<'a>,
    slots: &'a [Slot],
    seen: Keys,
    share: Share,
    /// The rows after those whose combinations are remembered.
    rest: Option<Stream<'a>>,
    ctl: &'a Ctl,
}

impl<'a> Dedup<'a> {
    fn first_rows(&mut self, batch: Batch) -> Batch {
        let columns = self.columns(&batch);
        let mut kept = Vec::new();
        for row in 0..batch.rows {
            if self.seen.of(&columns, row).is_none() || self.seen.intern().1 {
                kept.push(row as u32);
            }
        }
        if kept.len() == batch.rows { batch } else { batch.take(&kept) }
    }

    fn columns(&self, batch: &Batch) -> Vec<Column> {
        self.slots.iter().map(|slot| super::column(batch, *slot)).collect()
    }

    /// The first rows of what is left of the input.
    fn outside_memory(&mut self) -> Result<Stream<'a>, Error> {
        let (mut by_key, mut by_place) = (Sorter::new(self.ctl), Sorter::new(self.ctl));
        let (mut place, mut key, mut payload) = (0u64, Vec::new(), Vec::new());
        while let Some(batch) = self.input.next() {
            let batch = batch?;
            let columns = self.columns(&batch);
            for row in 0..batch.rows {
                place += 1;
                key.clear();
                let known = self.seen.of(&columns, row).map(|k| key.extend_from_slice(k));
                if known.is_some() && self.seen.find().is_some() {
                    continue;
                }
                payload.clear();
                push_row(&batch, row, &mut payload);
                key.extend_from_slice(&place.to_be_bytes());
                let sorter = if known.is_some() { &mut by_key } else { &mut by_place };
                sorter.push(&key, &payload)?;
            }
        }
        let mut merged = spill::merge(vec![by_key], self.ctl)?;
        let mut last: Option<Vec<u8>> = None;
        while let Some((record, payload)) = merged.next()? {
            let (key, place) = record.split_at(record.len() - size_of::<u64>());
            if last.as_deref() != Some(key) {
                by_place.push(place, payload)?;
                let last = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
            }
        }
        Ok(sorted(vec![by_place], None, self.ctl)?.stream())
    }

    fn step(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(rest) = &mut self.rest {
                return rest.next().transpose();
            }
            if !self.share.set(2 * self.seen.bytes()) {
                self.rest = Some(self.outside_memory()?);
                self.seen = Keys::new();
                self.share.set(0);
                continue;
            }
            let Some(batch) = self.input.next().transpose()? else { return Ok(None) };
            let batch = self.first_rows(batch);
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }
}

impl Iterator for Dedup<'_> {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Result<Batch, Error>> {
        self.step().transpose()
    }
}
