//! Reading the fields of a filter first, and the others only for the rows that pass.

use super::plan::Plan;
use super::read::{open, share_of_bytes};
use super::{Damage, ParquetFile, Stretch, guarded};
use ::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use backsight_engine::source::{Filter, Scan};
use backsight_engine::value::column::{Batch, Column, OFFSET_BITS, Positions};
use backsight_lang::ast::Segment;

/// Reading the rest later pays if fewer than so many of the rows, as a fraction, need it.
const PAYS: usize = 3;

/// A filter and how what it looks at is read.
pub(super) struct First<'f> {
    filter: Filter<'f>,
    plan: Plan<'f>,
    /// Fields of the scan.
    width: usize,
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

impl<'f> First<'f> {
    /// `None` where nothing is read later.
    pub(super) fn new(
        file: &'f ParquetFile,
        plan: &Plan<'_>,
        scan: &Scan<'f>,
        times: &[Vec<Segment>],
    ) -> Option<First<'f>> {
        let filter = scan.filter?;
        let want = filter.fields.iter().map(|slot| scan.want.get(*slot).cloned()).collect::<Option<Vec<_>>>()?;
        let first = Plan::new(file, &Scan { want, ..Scan::default() }, times);
        (first.leaves.contains(&true) && first.leaves != plan.leaves).then_some(First {
            filter,
            plan: first,
            width: scan.want.len(),
        })
    }

    /// Bytes of the columns the filter looks at.
    pub(super) fn bytes(&self, file: &ParquetFile, stretch: &Stretch) -> u64 {
        share_of_bytes(file, &self.plan, stretch)
    }

    /// Reads what the filter leaves of a stretch. Where there is damage, nothing is decided: all of it is to be read.
    pub(super) fn read(&self, file: &ParquetFile, plan: &Plan<'_>, stretch: &Stretch) -> Left {
        let Ok(Some(kept)) = guarded(|| self.kept(file, stretch)) else { return Left::All };
        if kept.is_empty() {
            return Left::Nothing;
        }
        match guarded(|| rest(file, plan, stretch, &kept)) {
            Ok((batches, without_time)) => Left::Some(batches, without_time),
            Err(_) => Left::All,
        }
    }

    /// The rows that pass, by their number in the stretch; `None` if they are too many to be worth it.
    fn kept(&self, file: &ParquetFile, stretch: &Stretch) -> Result<Option<Vec<u32>>, Damage> {
        let mut kept = Vec::new();
        let mut done = 0u64;
        for decoded in open(file, &self.plan, stretch, None)? {
            let decoded = decoded?;
            let rows = decoded.num_rows();
            let positions = positions(file, stretch, (done as u32..).take(rows).collect());
            let (first, _) = self.plan.columns(Some(&decoded), &positions);
            let mut columns = vec![Column::null(rows); self.width];
            for (slot, column) in self.filter.fields.iter().zip(first) {
                columns[*slot] = column;
            }
            let batch = Batch { columns, rows, positions };
            kept.extend((self.filter.keep)(&batch).set_indices().map(|row| done as u32 + row as u32));
            done += rows as u64;
            if kept.len() * PAYS > stretch.rows as usize {
                return Ok(None);
            }
        }
        if done == stretch.rows { Ok(Some(kept)) } else { Err(Damage::new("the columns end too early")) }
    }
}

/// Positions of some rows of a stretch.
pub(super) fn positions(file: &ParquetFile, stretch: &Stretch, rows: Vec<u32>) -> Positions {
    Positions { base: (file.origin.number << OFFSET_BITS) + stretch.first, offsets: rows.into() }
}

/// Reads some rows of a stretch.
fn rest(file: &ParquetFile, plan: &Plan<'_>, stretch: &Stretch, kept: &[u32]) -> Result<(Vec<Batch>, usize), Damage> {
    let (mut batches, mut without_time, mut done) = (Vec::new(), 0, 0);
    for decoded in open(file, plan, stretch, Some(selection(stretch, kept)))? {
        let decoded = decoded?;
        let rows = decoded.num_rows();
        let Some(kept) = kept.get(done..done + rows) else { return Err(Damage::new("more rows than were chosen")) };
        let positions = positions(file, stretch, kept.to_vec());
        let (columns, missing) = plan.columns(Some(&decoded), &positions);
        without_time += missing;
        done += rows;
        batches.push(Batch { columns, rows, positions });
    }
    if done == kept.len() { Ok((batches, without_time)) } else { Err(Damage::new("the columns end too early")) }
}

/// Rows of a stretch as the decoder wants them named: counted from the start of the row group.
fn selection(stretch: &Stretch, kept: &[u32]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for row in kept {
        let row = (stretch.skip + u64::from(*row)) as usize;
        if row > at {
            selectors.push(RowSelector::skip(row - at));
        }
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    RowSelection::from(selectors)
}
