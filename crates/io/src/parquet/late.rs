//! Reading the fields of a filter first, and the others only for the rows that pass.

use super::columns::Reader;
use super::plan::Plan;
use super::read::share_of_bytes;
use super::{Damage, ParquetFile, Stretch, guarded};
use backsight_engine::source::{BATCH_ROWS, Field, Filter, Scan};
use backsight_engine::value::column::{Batch, Column, OFFSET_BITS, Positions};
use backsight_lang::ast::Segment;

/// Reading the rest later pays if fewer than so many of the rows, as a fraction, need it.
const PAYS: usize = 3;

/// Filters and how what they look at is read.
pub(super) struct First<'f> {
    filters: Vec<Filter<'f>>,
    /// The fields the filters look at.
    slots: Vec<usize>,
    plan: Plan<'f>,
    /// The others.
    other_slots: Vec<usize>,
    others: Plan<'f>,
    /// Fields of the scan; which of them are the time of an event.
    times: Vec<bool>,
}

/// What the filter leaves of a stretch.
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// Too much, or it cannot be said: all of the stretch is to be read.
    All,
    /// Some rows: their batches, and how many have no time.
    Some(Vec<Batch>, usize),
}

/// Rows that pass.
struct Kept {
    /// Their numbers in the row group.
    rows: Vec<u32>,
    /// Pieces of them: how many rows, and the columns of the filter.
    pieces: Vec<(usize, Vec<Column>)>,
}

impl<'f> First<'f> {
    /// `None` where nothing is read later.
    pub(super) fn new(
        file: &'f ParquetFile,
        plan: &Plan<'_>,
        scan: &Scan<'f>,
        times: &[Vec<Segment>],
    ) -> Option<First<'f>> {
        let filters: Vec<Filter<'f>> = scan.filter.into_iter().chain(scan.top).collect();
        let (slots, other_slots): (Vec<usize>, Vec<usize>) =
            (0..scan.want.len()).partition(|slot| filters.iter().any(|filter| filter.fields.contains(slot)));
        let of = |slots: &[usize]| {
            let want = slots.iter().map(|slot| scan.want.get(*slot).cloned()).collect::<Option<Vec<_>>>()?;
            Some(Plan::new(file, &Scan { want, words: scan.words, ..Scan::default() }, times))
        };
        let first = of(&slots)?;
        if !first.leaves.contains(&true) || first.leaves == plan.leaves {
            return None;
        }
        let times = scan.want.iter().map(|field| *field == Field::Timestamp).collect();
        Some(First { filters, slots, plan: first, others: of(&other_slots)?, other_slots, times })
    }

    /// Bytes of the columns the filter looks at.
    pub(super) fn bytes(&self, file: &ParquetFile, stretch: &Stretch) -> u64 {
        share_of_bytes(file, &self.plan, stretch)
    }

    /// Reads what the filter leaves of a stretch. Where there is damage, nothing is decided: all of it is to be read.
    pub(super) fn read(&self, file: &ParquetFile, stretch: &Stretch) -> Left {
        let Ok(Some(kept)) = guarded(|| self.kept(file, stretch)) else { return Left::All };
        if kept.rows.is_empty() {
            return Left::Nothing;
        }
        match guarded(|| self.rest(file, stretch, kept)) {
            Ok((batches, without_time)) => Left::Some(batches, without_time),
            Err(_) => Left::All,
        }
    }

    /// The rows that pass; `None` if they are too many to be worth it.
    fn kept(&self, file: &ParquetFile, stretch: &Stretch) -> Result<Option<Kept>, Damage> {
        if u32::try_from(stretch.skip + stretch.rows).is_err() {
            return Ok(None);
        }
        let mut kept = Kept { rows: Vec::new(), pieces: Vec::new() };
        let mut done = 0u64;
        let mut reader = Reader::open(file, &self.plan, stretch, None)?;
        while let Some((cells, rows)) = reader.next(BATCH_ROWS)? {
            let positions = positions(file, stretch, (done as u32..).take(rows).collect());
            let (first, _) = self.plan.columns(&cells, &positions);
            let mut columns = vec![Column::null(rows); self.times.len()];
            for (slot, column) in self.slots.iter().zip(&first) {
                columns[*slot] = column.clone();
            }
            let batch = Batch { columns, rows, positions };
            let passing = self.filters.iter().map(|filter| (filter.keep)(&batch)).reduce(|a, b| &a & &b);
            let passing: Vec<u32> = passing.iter().flat_map(|rows| rows.set_indices()).map(|row| row as u32).collect();
            if !passing.is_empty() {
                let columns = first.iter().map(|column| column.take(&passing)).collect();
                kept.pieces.push((passing.len(), columns));
                kept.rows.extend(passing.iter().map(|row| (stretch.skip + done) as u32 + row));
            }
            done += rows as u64;
            if kept.rows.len() * PAYS > stretch.rows as usize {
                return Ok(None);
            }
        }
        if done == stretch.rows { Ok(Some(kept)) } else { Err(Damage::new("the columns end too early")) }
    }

    /// Reads the other columns of the rows that pass.
    fn rest(&self, file: &ParquetFile, stretch: &Stretch, kept: Kept) -> Result<(Vec<Batch>, usize), Damage> {
        let (mut batches, mut without_time, mut at) = (Vec::new(), 0, 0);
        let mut reader = Reader::open(file, &self.others, stretch, Some(&kept.rows))?;
        for (count, first) in kept.pieces {
            let mut done = 0;
            while done < count {
                let Some((cells, rows)) = reader.next(count - done)? else {
                    return Err(Damage::new("the columns end too early"));
                };
                let numbers = kept.rows[at..at + rows].iter().map(|row| row - stretch.skip as u32);
                let positions = positions(file, stretch, numbers.collect());
                let (others, missing) = self.others.columns(&cells, &positions);
                without_time += missing;
                let mut columns = vec![Column::null(rows); self.times.len()];
                self.other_slots.iter().zip(others).for_each(|(slot, column)| columns[*slot] = column);
                for (slot, column) in self.slots.iter().zip(&first) {
                    let column = column.slice(done, rows);
                    without_time += if self.times[*slot] { column.null_count() } else { 0 };
                    columns[*slot] = column;
                }
                batches.push(Batch { columns, rows, positions });
                (at, done) = (at + rows, done + rows);
            }
        }
        Ok((batches, without_time))
    }
}

/// Positions of some rows of a stretch.
fn positions(file: &ParquetFile, stretch: &Stretch, rows: Vec<u32>) -> Positions {
    Positions::Near { base: (file.origin.number << OFFSET_BITS) + stretch.first, offsets: rows.into() }
}
