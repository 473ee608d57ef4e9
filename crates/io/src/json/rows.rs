//! The batch being filled, and what is counted on the way.

use super::Plan;
use super::layout::Layout;
use super::wanted::Want;
use crate::formats::{Chunk, Pass};
use crate::rows::{Cells, Side};
use crate::system;
use arrow::array::Int64Array;
use backsight_engine::source::Counters;
use backsight_engine::value::column::{Batch, Column, Positions};
use backsight_engine::value::{Kind, time};
use std::sync::Arc;

/// Rows so far.
#[derive(Default)]
pub(super) struct Rows {
    /// One a slot. A column has no cells as long as no record has a value for it: many are asked for that no record has.
    pub cells: Vec<Cells>,
    /// `@timestamp`, if it is wanted.
    pub times: Vec<Option<i64>>,
    /// Text that had to be made.
    pub side: Side,
    /// Where each row begins in the chunk.
    pub offsets: Vec<u32>,
    /// Where the ends of values of lines read by a layout are kept, and how much of that is in use.
    pub ends: Vec<u16>,
    pub ends_used: usize,
    /// One a row, if some cells are filled later: where its ends are; [`UNKNOWN`] for a row read in the general way.
    pub origins: Vec<u32>,
    /// From which row on which layout holds.
    pub layouts: Vec<(u32, Arc<Layout>)>,
}

/// Bytes of rendered text after which a batch is handed out even if it has few rows.
const SIDE_LIMIT: usize = 16 << 20;

/// Places of ends that are kept for one batch.
pub(super) const ENDS: usize = 1 << 18;

/// A row read in the general way.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Set in the origin of a row whose line has backslashes.
pub(super) const SLASHED: u32 = 1 << 30;

/// Set in the origin of a row whose line is not UTF-8.
pub(super) const BROKEN: u32 = 1 << 29;

/// All that may be set in origins.
pub(super) const MARKS: u32 = SLASHED | BROKEN;

impl Rows {
    /// `ends`: memory to use.
    pub(super) fn new(plan: &Plan, ends: Vec<u16>) -> Rows {
        Rows { cells: plan.slots.iter().map(|_| Cells::default()).collect(), ends, ..Rows::default() }
    }

    /// True if a batch should be handed out, however few rows it has.
    pub(super) fn is_full(&self) -> bool {
        self.side.len() > SIDE_LIMIT || self.ends_used > ENDS
    }

    /// As many rows as so many bytes of the input hold.
    pub(super) fn worth(&self, bytes: usize) -> usize {
        let (first, last) = (self.offsets.first().copied().unwrap_or(0), self.offsets.last().copied().unwrap_or(0));
        bytes * self.offsets.len() / (last.abs_diff(first) as usize).max(1)
    }

    /// Gives a column nulls for the rows it has been silent about so far.
    pub(super) fn catch_up(&mut self, slot: usize, rows: usize) {
        while self.cells[slot].len() < rows {
            self.cells[slot].push_null();
        }
    }

    /// The cells of a slot, as many as there are rows before the last, and where to keep text that must be made.
    pub(super) fn next(&mut self, slot: usize) -> (&mut Cells, &mut Side) {
        self.catch_up(slot, self.offsets.len() - 1);
        (&mut self.cells[slot], &mut self.side)
    }

    /// The last row has nothing in a slot.
    pub(super) fn null(&mut self, slot: usize) {
        if !self.cells[slot].is_empty() {
            self.cells[slot].push_null();
        }
    }

    /// The rows as a batch. Slots that have not been filled are null.
    pub(super) fn finish(self, plan: &Plan, pass: &Pass<'_>, chunk: &Chunk) -> Batch {
        let rows = self.offsets.len();
        let positions = Positions::Near { base: pass.position(chunk.offset), offsets: self.offsets.into() };
        let buffers = self.side.buffers(std::slice::from_ref(&chunk.data));
        let mut times = Some(self.times);
        let columns =
            self.cells.into_iter().zip(&plan.slots).zip(&pass.scan.want).map(|((cells, want), field)| match want {
                Want::Path(_) | Want::Message if cells.is_empty() => Column::null(rows),
                Want::Path(_) | Want::Message => cells.finish(&buffers),
                Want::Time if times.as_ref().is_none_or(Vec::is_empty) => Column::null(rows),
                Want::Time => Column::Time(Int64Array::from(times.take().unwrap_or_default())),
                Want::System(_) => {
                    let usual = system::column(pass, field, &positions);
                    if cells.is_empty() { usual } else { system::merge(&cells.finish(&buffers), &usual) }
                }
            });
        let columns = columns.collect();
        Batch { columns, rows, positions }
    }
}

/// What is added to the counters at the end of a chunk.
#[derive(Default)]
pub(crate) struct Count {
    pub records: u64,
    pub blank: u64,
    pub not_json: u64,
    pub not_utf8: u64,
    pub unlike: u64,
    pub repeated_keys: u64,
    pub half_surrogates: u64,
    pub zeros: u64,
    pub no_timestamp: u64,
}

impl Count {
    pub(crate) fn add_to(&self, counters: &Counters) {
        for (counter, n) in [
            (&counters.records, self.records),
            (&counters.blank, self.blank),
            (&counters.not_json, self.not_json),
            (&counters.not_utf8, self.not_utf8),
            (&counters.unlike, self.unlike),
            (&counters.repeated_keys, self.repeated_keys),
            (&counters.half_surrogates, self.half_surrogates),
            (&counters.zeros, self.zeros),
            (&counters.no_timestamp, self.no_timestamp),
        ] {
            if n > 0 {
                Counters::add(counter, n);
            }
        }
    }
}

/// Reads times; neighbouring records share theirs, and text is dear to read.
#[derive(Default)]
pub(crate) struct Times {
    text: Vec<u8>,
    kind: Option<Kind>,
    time: Option<i64>,
}

impl Times {
    #[inline]
    pub(crate) fn read(&mut self, kind: Kind, text: &[u8]) -> Option<i64> {
        if self.kind != Some(kind) || self.text != text {
            self.kind = Some(kind);
            self.text.clear();
            self.text.extend_from_slice(text);
            self.time = match kind {
                Kind::String | Kind::Number | Kind::Time => time::parse(text),
                Kind::Float | Kind::Bool | Kind::List | Kind::Map => None,
            };
        }
        self.time
    }
}
