//! Neighbouring records of the same layout, whose values go into columns together.

use super::block::{Block, Row};
use super::fields::{Fit, Place, string};
use super::fixed::Ids;
use super::schema::uuid;
use super::slot::Slot;
use super::words::{TOGETHER, Words};
use crate::json::Ends;
use backsight_engine::hint::prefetch;
use backsight_engine::value::json::Shape;
use std::ops::Range;

/// Rows whose values are added together: their text stays in the cache while one column after the other is filled.
pub(super) const STRETCH: usize = 64;

/// Bytes that come into the cache together.
const LINE: usize = 64;

/// Neighbouring rows of a block with the same layout, whose values are found the same way.
pub(super) struct Stretch<'b> {
    pub(super) block: &'b Block,
    pub(super) rows: Range<usize>,
    /// Number of the first in the row group.
    pub(super) first: usize,
}

impl<'b> Stretch<'b> {
    /// Those of some rows that follow each other, up to the first that is unlike.
    pub(super) fn of(block: &'b Block, rows: Range<usize>, first: usize) -> Option<Stretch<'b>> {
        let rows = rows.start..rows.end.min(rows.start + STRETCH);
        let one = block.rows.get(rows.start).filter(|_| !rows.is_empty())?;
        let is_alike = |row: &&Row| row.layout == one.layout && row.form() == one.form();
        let count = block.rows[rows.clone()].iter().take_while(is_alike).count();
        Some(Stretch { block, rows: rows.start..rows.start + count, first })
    }

    /// Asks for one of so many parts of the memory of the records and their values, which have left the cache since they were
    /// taken apart.
    pub(super) fn fetch(&self, part: usize, parts: usize) {
        let rows = &self.block.rows[self.rows.clone()];
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        let values = self.block.layout(last).map_or(0, |layout| layout.values());
        let range = first.first as usize..last.first as usize + values;
        fetch(&self.block.data[first.start as usize..last.end as usize], part, parts);
        match first.way {
            Some(_) => fetch(self.block.ends.get(range).unwrap_or_default(), part, parts),
            None => fetch(self.block.slots.get(range).unwrap_or_default(), part, parts),
        }
    }

    /// A value of a row of the row group.
    pub(super) fn slot(&self, row: usize, slot: usize) -> Slot {
        self.block.slot(&self.block.rows[self.rows.start + row - self.first], slot)
    }

    /// The values of a column, and the numbers of their rows.
    pub(super) fn slots(&self, slot: usize) -> impl Iterator<Item = (usize, Slot)> {
        let block = self.block;
        let rows = (self.first..).zip(&block.rows[self.rows.clone()]);
        rows.map(move |(number, row)| (number, block.slot(row, slot)))
    }

    /// Where the values of a column lie, if all are strings without escapes and that is noted.
    pub(super) fn strings(&self, slot: usize) -> Option<Ends> {
        let rows = &self.block.rows[self.rows.clone()];
        let form = &self.block.forms[usize::from(rows.first()?.form()?)];
        let is_slashed = |row: &Row| row.way.is_some_and(|way| way.slashed);
        form.string(slot).filter(|_| !rows.iter().any(is_slashed))
    }

    /// Adds a column of ids; what is none goes to the others.
    pub(super) fn ids(&self, slot: usize, ids: &mut Ids, others: &mut Vec<(usize, usize)>) {
        let block = self.block;
        let mut add = |ids: &mut Ids, row: usize, text: Option<&[u8]>| match text.and_then(uuid) {
            Some(id) => ids.push(row, id),
            None => others.push((row, slot)),
        };
        if let Some(strings) = self.strings(slot) {
            let of_run = &block.rows[self.rows.clone()];
            for (first, rows) in (self.first..).step_by(TOGETHER).zip(of_run.chunks(TOGETHER)) {
                let text = |row: &Row| {
                    let (start, end) = strings.place(row.start, &block.ends[row.first as usize..]);
                    &block.data[start as usize..end as usize]
                };
                let mut all = [[0; 16]; TOGETHER];
                let are_ids = all.iter_mut().zip(rows).all(|(id, row)| uuid(text(row)).map(|is| *id = is).is_some());
                match are_ids {
                    true => ids.push_run(first, &all[..rows.len()]),
                    false => (first..).zip(rows).for_each(|(number, row)| add(ids, number, Some(text(row)))),
                }
            }
            return;
        }
        for (row, value) in self.slots(slot).filter(|(_, value)| value.shape != Shape::Null) {
            let is_plain = value.shape == Shape::String { escaped: false };
            add(ids, row, is_plain.then(|| value.string(&block.data)));
        }
    }

    /// Adds a column of strings; what is none, or spelled otherwise, goes to the others.
    pub(super) fn texts(
        &self,
        slot: usize,
        words: &mut Words,
        scratch: &mut Vec<u8>,
        others: &mut Vec<(usize, usize)>,
    ) {
        let (block, data) = (self.block, &self.block.data);
        if let Some(strings) = self.strings(slot) {
            let of_run = &block.rows[self.rows.clone()];
            for (first, rows) in (self.first..).step_by(TOGETHER).zip(of_run.chunks(TOGETHER)) {
                let mut places = [(0, 0); TOGETHER];
                for (place, row) in places.iter_mut().zip(rows) {
                    *place = strings.place(row.start, &block.ends[row.first as usize..]);
                }
                words.push_run(first, data, &places[..rows.len()]);
            }
            return;
        }
        let (mut rows, mut places, mut count) = ([0; TOGETHER], [(0, 0); TOGETHER], 0);
        for (row, value) in self.slots(slot) {
            match value.shape {
                Shape::String { escaped: false } => {
                    (rows[count], places[count]) = (row, value.inside());
                    count += 1;
                    if count == TOGETHER {
                        words.push_all(&rows, data, &places);
                        count = 0;
                    }
                }
                Shape::Null => {}
                Shape::String { escaped: true } => {
                    words.push_all(&rows[..count], data, &places[..count]);
                    count = 0;
                    if string(words, Place { block, row }, &value, true, scratch) != Fit::Whole {
                        others.push((row, slot));
                    }
                }
                _ => others.push((row, slot)),
            }
        }
        words.push_all(&rows[..count], data, &places[..count]);
    }
}

fn fetch<T>(all: &[T], part: usize, parts: usize) {
    let lines = all[all.len() * part / parts..all.len() * (part + 1) / parts].iter().step_by(LINE / size_of::<T>());
    lines.for_each(|line| prefetch(line));
}
