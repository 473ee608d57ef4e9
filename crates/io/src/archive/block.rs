//! A chunk of a file, taken apart into records, and those into layouts and values.

use super::layout::Layout;
use super::slot::Slot;
use super::traces::Way;
use crate::json::Form;
use arrow::buffer::Buffer;
use std::sync::Arc;

/// A record: where it lies in the chunk and how it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Offset of its first byte.
    pub start: u32,
    /// Offset behind all that precedes the next record.
    pub end: u32,
    /// Bytes before `@message`.
    pub before: u32,
    /// Its layout, by number in the block; `None` if it is kept as mere bytes.
    pub layout: Option<u32>,
    /// Its first value among those of the block; with a way, what the reader noted of it.
    pub first: u32,
    pub way: Option<Way>,
    /// Its `@timestamp`.
    pub time: Option<i64>,
    /// Its `@log` and `@logStream`, by number in the block.
    pub origin: u32,
}

impl Row {
    /// The form its values are found by.
    pub(crate) fn form(&self) -> Option<u16> {
        self.way.map(|way| way.form)
    }
}

/// `@log` and `@logStream` of rows.
pub(crate) type Origin = (Arc<[u8]>, Arc<[u8]>);

/// A chunk, taken apart.
#[derive(Debug)]
pub(crate) struct Block {
    /// The chunk.
    pub data: Buffer,
    /// Where it begins in the (decompressed) file.
    pub offset: u64,
    /// Bytes before the first record, those of chunks without any included.
    pub lead: Vec<u8>,
    pub rows: Vec<Row>,
    pub slots: Vec<Slot>,
    /// What the reader noted of lines: where values end.
    pub ends: Vec<u16>,
    /// How values are found by that.
    pub forms: Vec<Form>,
    pub layouts: Vec<Arc<Layout>>,
    pub origins: Vec<Origin>,
    /// What a file starts with whose records are read like these, taken out of their file.
    pub preamble: Arc<[u8]>,
    /// `@log` and `@logStream` of records that do not have their own.
    pub home: Origin,
    /// Records are rows of a table: where they begin is their number in it.
    pub is_table: bool,
}

impl Block {
    /// The record's bytes, with all that precedes the next.
    #[cfg(test)]
    pub(crate) fn text(&self, row: &Row) -> &[u8] {
        &self.data[row.start as usize..row.end as usize]
    }

    /// Where a row begins in its file, and where it ends.
    pub(crate) fn place(&self, number: usize) -> (u64, u64) {
        let row = &self.rows[number];
        let start = self.offset + if self.is_table { number as u64 } else { u64::from(row.start) };
        (start, start + u64::from(row.end - row.start))
    }

    /// The layout of a row.
    pub(crate) fn layout(&self, row: &Row) -> Option<&Arc<Layout>> {
        Some(&self.layouts[row.layout? as usize])
    }

    /// A value of a row that has a layout; a record of text is value 0.
    #[inline]
    pub(crate) fn slot(&self, row: &Row, value: usize) -> Slot {
        match row.way {
            Some(way) => way.slot(self, row.start, row.first, value),
            None => self.slots[row.first as usize + value],
        }
    }
}
