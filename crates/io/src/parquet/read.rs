//! Reading a stretch of rows.

use super::columns::Reader;
use super::late::{First, Left};
use super::pages::count_values;
use super::plan::Plan;
use super::{Damage, ParquetFile, Stretch, guarded};
use ::parquet::file::metadata::RowGroupMetaData;
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Counters, Flow};
use backsight_engine::value::column::{Batch, Column, OFFSET_BITS, Positions};
use std::sync::Arc;

/// Where batches go.
pub(super) type Out<'a> = dyn FnMut(Batch) -> Result<Flow, Error> + 'a;

/// Reads a stretch and gives its rows to `out`. Rows that cannot be read are noted as damage.
pub(super) fn stretch(
    file: &ParquetFile,
    plan: &Plan<'_>,
    first: Option<&First<'_>>,
    stretch: &Stretch,
    counters: &Counters,
    out: &mut Out<'_>,
) -> Result<Flow, Error> {
    let group = file.metadata.metadata().row_group(stretch.group);
    let bytes = share_of_bytes(file, plan, stretch);
    if let Some(first) = first {
        let left = first.read(file, stretch);
        match &left {
            Left::Nothing => Counters::add(&counters.bytes, first.bytes(file, stretch)),
            Left::Some(..) => Counters::add(&counters.bytes, bytes),
            Left::All => {}
        }
        if !matches!(left, Left::All) {
            Counters::add(&counters.records, stretch.rows);
        }
        match left {
            Left::Nothing => return Ok(Flow::More),
            Left::Some(batches, without_time) => {
                Counters::add(&counters.no_timestamp, without_time as u64);
                for batch in batches {
                    if out(batch)? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
                return Ok(Flow::More);
            }
            Left::All => {}
        }
    }
    Counters::add(&counters.bytes, bytes);
    let mut rows = Rows::new(file, plan, stretch, counters);
    let done = if plan.leaves.contains(&true) { rows.decode(out) } else { rows.count(group, out) };
    match done {
        Ok(flow) => Ok(flow),
        Err(Stop::Receiver(error)) => Err(error),
        Err(Stop::Damage(damage)) => {
            let (lost, next) = (stretch.rows - rows.done, stretch.first + rows.done);
            let why = match lost {
                0 => format!("rows between row {next} and the next are not read: {}", damage.why),
                _ => format!("{lost} rows from row {next} on cannot be read: {}", damage.why),
            };
            counters.note(Damage { why, ..damage }.note(&file.origin.file));
            Ok(Flow::More)
        }
    }
}

enum Stop {
    /// The receiver of the batches failed.
    Receiver(Error),
    /// The rest of the stretch cannot be read.
    Damage(Damage),
}

impl<D: Into<Damage>> From<D> for Stop {
    fn from(damage: D) -> Stop {
        Stop::Damage(damage.into())
    }
}

/// The rows of a stretch, handed out so far.
struct Rows<'a> {
    file: &'a ParquetFile,
    plan: &'a Plan<'a>,
    stretch: &'a Stretch,
    counters: &'a Counters,
    /// `0, 1, 2 …`, shared by full batches.
    offsets: Arc<[u32]>,
    done: u64,
}

impl<'a> Rows<'a> {
    fn new(file: &'a ParquetFile, plan: &'a Plan<'a>, stretch: &'a Stretch, counters: &'a Counters) -> Rows<'a> {
        Rows { file, plan, stretch, counters, offsets: (0..BATCH_ROWS as u32).collect(), done: 0 }
    }

    fn decode(&mut self, out: &mut Out<'_>) -> Result<Flow, Stop> {
        let mut reader = guarded(|| Reader::open(self.file, self.plan, self.stretch, None))?;
        loop {
            let (plan, left) = (self.plan, self.stretch.rows - self.done);
            let decoded = guarded(|| {
                let Some((cells, rows)) = reader.next(BATCH_ROWS.min(left as usize).max(1))? else { return Ok(None) };
                let positions = self.positions(rows);
                Ok(Some((plan.columns(&cells, &positions), positions)))
            })?;
            match decoded {
                _ if left == 0 => {
                    return match decoded {
                        None => Ok(Flow::More),
                        Some(_) => Err(Damage::new("there are more than the footer says").into()),
                    };
                }
                Some((columns, positions)) => {
                    if self.give(columns, positions, out)? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
                None => return Err(Damage::new("the columns end too early").into()),
            }
        }
    }

    /// Positions of the next rows.
    fn positions(&self, rows: usize) -> Positions {
        let offsets = if rows == BATCH_ROWS { Arc::clone(&self.offsets) } else { (0..rows as u32).collect() };
        let base = (self.file.origin.number << OFFSET_BITS) + self.stretch.first + self.done;
        Positions::Near { base, offsets }
    }

    /// Hands out rows of which no column is wanted.
    fn count(&mut self, group: &RowGroupMetaData, out: &mut Out<'_>) -> Result<Flow, Stop> {
        // The footer is taken at its word unless it claims more rows than bytes could well hold.
        let claimed = group.num_rows() as u64;
        if claimed / 64 > group.compressed_size().unsigned_abs()
            && let Some(column) = group.columns().first()
            && count_values(&self.file.data, column)? < claimed
        {
            return Err(Damage::new("the footer claims more rows than there are").into());
        }
        while self.done < self.stretch.rows {
            let rows = (self.stretch.rows - self.done).min(BATCH_ROWS as u64) as usize;
            let positions = self.positions(rows);
            let columns = self.plan.columns(&[], &positions);
            if self.give(columns, positions, out)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    fn give(&mut self, columns: (Vec<Column>, usize), positions: Positions, out: &mut Out<'_>) -> Result<Flow, Stop> {
        let ((columns, without_time), rows) = (columns, positions.len());
        Counters::add(&self.counters.records, rows as u64);
        Counters::add(&self.counters.no_timestamp, without_time as u64);
        self.done += rows as u64;
        out(Batch { columns, rows, positions }).map_err(Stop::Receiver)
    }
}

/// The stretch's share of the bytes of the columns that are read.
pub(super) fn share_of_bytes(file: &ParquetFile, plan: &Plan<'_>, stretch: &Stretch) -> u64 {
    let group = file.metadata.metadata().row_group(stretch.group);
    let read = group.columns().iter().zip(&plan.leaves).filter(|(_, read)| **read).map(|(c, _)| c.uncompressed_size());
    let bytes = u128::from(read.fold(0, i64::saturating_add).unsigned_abs());
    let rows = u128::from(group.num_rows().unsigned_abs().max(1));
    let upto = |row: u64| (bytes * u128::from(row) / rows) as u64;
    upto(stretch.skip + stretch.rows) - upto(stretch.skip)
}
