//! Values of a fixed size of a column while a row group is gathered.

use std::ops::Range;

/// The values of a column.
#[derive(Debug)]
pub(crate) struct Fixed<T> {
    values: Vec<T>,
    /// For each row whether it has one.
    present: Vec<bool>,
}

/// Ids of sixteen bytes.
pub(crate) type Ids = Fixed<[u8; 16]>;

/// Integers, and times.
pub(crate) type Ints = Fixed<i64>;

impl<T: Clone> Fixed<T> {
    /// For so many rows.
    pub(crate) fn with_room(rows: usize) -> Fixed<T> {
        Fixed { values: Vec::with_capacity(rows), present: Vec::with_capacity(rows) }
    }

    /// Gives a row its value. Rows come in order; those passed over have none.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, value: T) {
        self.present.resize(row, false);
        self.present.push(true);
        self.values.push(value);
    }

    /// Gives neighbouring rows their values.
    pub(crate) fn push_run(&mut self, first: usize, values: &[T]) {
        self.push_all(first..first + values.len(), values.iter().cloned());
    }

    /// The same.
    pub(crate) fn push_all(&mut self, rows: Range<usize>, values: impl Iterator<Item = T>) {
        self.present.resize(rows.start, false);
        self.present.resize(rows.end, true);
        self.values.extend(values.take(rows.len()));
    }

    /// There are no more rows than these.
    pub(crate) fn end(&mut self, rows: usize) {
        self.present.resize(rows, false);
    }

    /// Those that are there, in order.
    pub(crate) fn all(&self) -> &[T] {
        &self.values
    }

    /// For each row whether it has one.
    pub(crate) fn present(&self) -> &[bool] {
        &self.present
    }

    /// For each so many rows which of them have a value, and the values.
    pub(crate) fn pages(&self, rows: usize) -> impl Iterator<Item = (&[bool], &[T])> {
        let mut rest = &self.values[..];
        self.present.chunks(rows).map(move |present| {
            let (values, after) = rest.split_at(present.iter().filter(|is| **is).count());
            rest = after;
            (present, values)
        })
    }
}
