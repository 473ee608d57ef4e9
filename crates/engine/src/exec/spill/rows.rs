//! Rows as payloads of records, and batches made of them again.

use super::Merged;
use super::run::push_size;
use crate::error::Error;
use crate::source::BATCH_ROWS;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::{Kind, ValueRef};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TIME: u8 = 5;
/// Plus the kind.
const TEXT: u8 = 6;

/// Appends a row, slot by slot.
pub(in super::super) fn push_row(batch: &Batch, row: usize, out: &mut Vec<u8>) {
    for column in &batch.columns {
        push_cell(column.get(row), out);
    }
}

/// Appends a cell.
pub(in super::super) fn push_cell(cell: ValueRef<'_>, out: &mut Vec<u8>) {
    let (tag, word) = match cell {
        ValueRef::Null => return out.push(NULL),
        ValueRef::Bool(b) => return out.push(if b { TRUE } else { FALSE }),
        ValueRef::Text(kind, text) => {
            out.push(TEXT + kind as u8);
            push_size(text.len() as u64, out);
            return out.extend_from_slice(text);
        }
        ValueRef::Int(n) => (INT, n as u64),
        ValueRef::Float(x) => (FLOAT, x.to_bits()),
        ValueRef::Time(t) => (TIME, t as u64),
    };
    out.push(tag);
    out.extend_from_slice(&word.to_le_bytes());
}

/// The first cell of what [`push_cell`] wrote, and the rest; `None` at the end.
fn cell(row: &[u8]) -> Option<(ValueRef<'_>, &[u8])> {
    let (tag, rest) = row.split_first()?;
    Some(match *tag {
        NULL => (ValueRef::Null, rest),
        FALSE => (ValueRef::Bool(false), rest),
        TRUE => (ValueRef::Bool(true), rest),
        tag @ (INT | FLOAT | TIME) => {
            let (word, rest) = rest.split_first_chunk()?;
            let word = u64::from_le_bytes(*word);
            let value = match tag {
                INT => ValueRef::Int(word as i64),
                FLOAT => ValueRef::Float(f64::from_bits(word)),
                _ => ValueRef::Time(word as i64),
            };
            (value, rest)
        }
        tag => {
            let kind = Kind::of(tag - TEXT)?;
            let last = rest.iter().position(|b| *b < 0x80)?;
            let (size, rest) = rest.split_at(last + 1);
            let size = size.iter().rev().fold(0, |n, b| n << 7 | usize::from(b & 0x7f));
            let (text, rest) = rest.split_at_checked(size)?;
            (ValueRef::Text(kind, text), rest)
        }
    })
}

/// The cells of what [`push_row`] wrote.
pub(in super::super) fn cells(mut row: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    std::iter::from_fn(move || {
        let (value, rest) = cell(row)?;
        row = rest;
        Some(value)
    })
}

/// Makes batches of rows.
#[derive(Default)]
pub(in super::super) struct RowBuilder {
    columns: Vec<ColumnBuilder>,
    rows: usize,
    /// Bytes of the rows, so that a batch of large ones is no burden.
    bytes: usize,
    /// Rows given before.
    first: u64,
}

/// Bytes of rows in a batch, roughly.
const BATCH_BYTES: usize = 4 << 20;

impl RowBuilder {
    /// Adds a row as [`push_row`] wrote it.
    pub fn push(&mut self, row: &[u8]) {
        self.bytes += row.len();
        let mut slot = 0;
        for value in cells(row) {
            if self.columns.len() <= slot {
                // A slot that no row before had.
                let mut column = ColumnBuilder::default();
                (0..self.rows).for_each(|_| column.push(ValueRef::Null));
                self.columns.push(column);
            }
            self.columns[slot].push(value);
            slot += 1;
        }
        self.columns[slot..].iter_mut().for_each(|column| column.push(ValueRef::Null));
        self.rows += 1;
    }

    /// Whether a batch is full.
    pub fn is_full(&self) -> bool {
        self.rows == BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows since the last time; rows are numbered in their order.
    pub fn take(&mut self) -> Batch {
        let columns: Vec<Column> = self.columns.iter_mut().map(|c| std::mem::take(c).finish()).collect();
        let rows = self.rows;
        let batch = Batch { columns, rows, positions: Positions::sequence(self.first, rows) };
        self.first += rows as u64;
        (self.rows, self.bytes) = (0, 0);
        batch
    }
}

/// The rows of sorted records, the first `limit` of them, in batches.
pub(in super::super) struct Sorted<'a> {
    merged: Merged<'a>,
    rows: RowBuilder,
    left: u64,
}

impl<'a> Sorted<'a> {
    pub fn new(merged: Merged<'a>, limit: Option<u64>) -> Sorted<'a> {
        Sorted { merged, rows: RowBuilder::default(), left: limit.unwrap_or(u64::MAX) }
    }

    fn batch(&mut self) -> Result<Option<Batch>, Error> {
        while self.left > 0 && !self.rows.is_full() {
            let Some((_, row)) = self.merged.next()? else { break };
            self.rows.push(row);
            self.left -= 1;
        }
        let batch = self.rows.take();
        Ok((batch.rows > 0).then_some(batch))
    }
}

impl Iterator for Sorted<'_> {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Result<Batch, Error>> {
        self.batch().transpose()
    }
}
