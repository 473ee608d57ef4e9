//! Ids of sixteen bytes of a column while a row group is gathered.

/// The ids of a column.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    ids: Vec<[u8; 16]>,
    /// For each row whether it has one.
    present: Vec<bool>,
}

impl Ids {
    /// For so many rows.
    pub(crate) fn with_room(rows: usize) -> Ids {
        Ids { ids: Vec::with_capacity(rows), present: Vec::with_capacity(rows) }
    }

    /// Gives a row its id. Rows come in order; those passed over have none.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, id: [u8; 16]) {
        self.present.resize(row, false);
        self.present.push(true);
        self.ids.push(id);
    }

    /// Gives neighbouring rows their ids.
    pub(crate) fn push_run(&mut self, first: usize, ids: &[[u8; 16]]) {
        self.present.resize(first, false);
        self.present.resize(first + ids.len(), true);
        self.ids.extend_from_slice(ids);
    }

    /// There are no more rows than these.
    pub(crate) fn end(&mut self, rows: usize) {
        self.present.resize(rows, false);
    }

    /// Those that are there, in order.
    pub(crate) fn all(&self) -> &[[u8; 16]] {
        &self.ids
    }

    /// For each row whether it has one.
    pub(crate) fn present(&self) -> &[bool] {
        &self.present
    }
}
