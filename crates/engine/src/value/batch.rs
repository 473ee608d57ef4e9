//! Batches: some rows, and where they stand in source order.

use super::column::{Column, selected};
use arrow::buffer::BooleanBuffer;
use std::sync::Arc;

/// Where the rows of a batch stand in source order.
///
/// A position is one `u64`: the number of the file (in the order of the sources) in the upper 24 bits, the byte offset
/// of the record in its (decompressed) file, or its row number in a Parquet file, in the lower 40. It does not depend
/// on morsels or threads, so ties broken by it are the same however the input was cut.
#[derive(Clone, Debug)]
pub enum Positions {
    /// Rows of one piece of a file.
    Near {
        /// Added to every offset.
        base: u64,
        /// One a row.
        offsets: Arc<[u32]>,
    },
    /// Rows of anywhere: one position each.
    Far(Arc<[u64]>),
}

/// Bits of a position that are the offset in the file.
pub const OFFSET_BITS: u32 = 40;

impl Positions {
    /// Rows numbered from `base` on.
    pub fn sequence(base: u64, rows: usize) -> Positions {
        Positions::Near { base, offsets: (0..rows as u32).collect() }
    }

    /// Number of rows.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Positions::Near { offsets, .. } => offsets.len(),
            Positions::Far(all) => all.len(),
        }
    }

    /// The position of row `i`.
    #[inline]
    pub fn get(&self, i: usize) -> u64 {
        match self {
            Positions::Near { base, offsets } => base + u64::from(offsets[i]),
            Positions::Far(all) => all[i],
        }
    }

    /// The positions of all rows.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The positions of some rows.
    pub fn take(&self, rows: &[u32]) -> Positions {
        match self {
            Positions::Near { base, offsets } => {
                Positions::Near { base: *base, offsets: rows.iter().map(|i| offsets[*i as usize]).collect() }
            }
            Positions::Far(all) => Positions::Far(rows.iter().map(|i| all[*i as usize]).collect()),
        }
    }

    /// The same in as little memory as it takes.
    pub fn packed(&self) -> Positions {
        let Positions::Far(all) = self else { return self.clone() };
        let base = all.iter().min().copied().unwrap_or(0);
        let offsets = all.iter().map(|position| u32::try_from(position - base).ok()).collect::<Option<_>>();
        offsets.map_or_else(|| self.clone(), |offsets| Positions::Near { base, offsets })
    }

    /// The positions of some rows in a row.
    pub fn slice(&self, first: usize, rows: usize) -> Positions {
        match self {
            Positions::Near { base, offsets } => {
                Positions::Near { base: *base, offsets: offsets[first..first + rows].into() }
            }
            Positions::Far(all) => Positions::Far(all[first..first + rows].into()),
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        match self {
            Positions::Near { offsets, .. } => size_of_val(&offsets[..]),
            Positions::Far(all) => size_of_val(&all[..]),
        }
    }
}

/// Some rows: one column a slot, all of the same length.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One a slot.
    pub columns: Vec<Column>,
    /// Number of rows.
    pub rows: usize,
    /// Source order.
    pub positions: Positions,
}

impl Batch {
    /// The rows named, in that order.
    pub fn take(&self, rows: &[u32]) -> Batch {
        Batch {
            columns: self.columns.iter().map(|c| c.take(rows)).collect(),
            rows: rows.len(),
            positions: self.positions.take(rows),
        }
    }

    /// Some rows in a row, columns shared.
    pub fn slice(&self, first: usize, rows: usize) -> Batch {
        let columns = self.columns.iter().map(|c| c.slice(first, rows)).collect();
        Batch { columns, rows, positions: self.positions.slice(first, rows) }
    }

    /// The rows whose bit is set.
    pub fn filter(self, keep: &BooleanBuffer) -> Batch {
        let kept = keep.count_set_bits();
        if kept == self.rows { self } else { self.take(&selected(keep)) }
    }

    /// The first `n` rows.
    pub fn head(self, n: usize) -> Batch {
        if n >= self.rows { self } else { self.take(&(0..n as u32).collect::<Vec<_>>()) }
    }

    /// The same rows with text in memory of their own.
    pub fn owned(&self) -> Batch {
        Batch { columns: self.columns.iter().map(Column::owned).collect(), ..self.clone() }
    }

    /// Bytes of memory, roughly.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum::<usize>() + self.positions.bytes()
    }
}
