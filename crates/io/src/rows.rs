//! Columns of text that mostly lies in a chunk already.
//!
//! A cell is a view: short text itself, or where longer text lies. Building one must cost a few instructions, without a
//! branch on the length, which is as good as random in logs.

use arrow::array::BinaryViewArray;
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use backsight_engine::value::Kind;
use backsight_engine::value::column::{Column, Kinds};
use std::sync::Arc;

/// Text of up to this many bytes lies in the view itself.
const INLINE: usize = 12;

/// The first `n` bytes of the twelve.
const MASKS: [u128; INLINE + 1] = {
    let mut masks = [0; INLINE + 1];
    let mut n = 0;
    while n <= INLINE {
        masks[n] = (1u128 << (8 * n)) - 1;
        n += 1;
    }
    masks
};

/// The view of `len` bytes at `start` of `data`, which is buffer number `buffer` of the column. Start and length must lie
/// in `data` and fit 32 bits.
#[inline]
pub fn view(data: &[u8], buffer: u32, start: usize, len: usize) -> u128 {
    debug_assert!(start + len <= data.len() && u32::try_from(start + len).is_ok());
    let sixteen = match data.get(start..start + 16) {
        Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("sixteen bytes were asked for")),
        None => last_bytes(data, start),
    };
    let inline = (sixteen & MASKS[len.min(INLINE)]) << 32;
    let outside = u128::from(sixteen as u32) << 32 | u128::from(buffer) << 64 | (start as u128) << 96;
    len as u128 | if len <= INLINE { inline } else { outside }
}

#[cold]
fn last_bytes(data: &[u8], start: usize) -> u128 {
    data[start..].iter().rev().fold(0, |all, byte| all << 8 | u128::from(*byte))
}

/// Text that does not lie in the input as it must be shown, for all columns of a batch.
#[derive(Debug, Default)]
pub struct Side {
    full: Vec<Buffer>,
    block: Vec<u8>,
}

/// Blocks are closed at this size, or at that of their one text.
const BLOCK: usize = 1 << 20;

impl Side {
    /// Keeps a text: its view. Buffers of the side come after the first `before` buffers of the column.
    pub fn keep(&mut self, text: &[u8], before: u32) -> u128 {
        if text.len() > INLINE && self.block.len() + text.len() > BLOCK && !self.block.is_empty() {
            self.full.push(std::mem::take(&mut self.block).into());
        }
        let start = self.block.len();
        self.block.extend_from_slice(text);
        let made = view(&self.block, before + self.full.len() as u32, start, text.len());
        if text.len() <= INLINE {
            self.block.truncate(start);
        }
        made
    }

    /// Bytes kept.
    pub fn len(&self) -> usize {
        self.full.iter().map(Buffer::len).sum::<usize>() + self.block.len()
    }

    /// True if nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffers, behind those in `before`.
    pub fn buffers(self, before: &[Buffer]) -> Arc<[Buffer]> {
        let last = (!self.block.is_empty()).then(|| self.block.into());
        before.iter().cloned().chain(self.full).chain(last).collect()
    }
}

/// One column while its rows are found.
#[derive(Debug, Default)]
pub struct Cells {
    views: Vec<u128>,
    /// Empty as long as no cell is null.
    valid: Vec<bool>,
    /// The kind of all cells so far.
    kind: Option<Kind>,
    /// Filled once they differ.
    kinds: Vec<Kind>,
}

impl Cells {
    /// An empty column with room for `rows`.
    pub fn with_capacity(rows: usize) -> Cells {
        Cells { views: Vec::with_capacity(rows), ..Cells::default() }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Adds a cell.
    #[inline]
    pub fn push(&mut self, view: u128, kind: Kind) {
        if self.kind != Some(kind) {
            self.mix(kind);
        }
        if !self.kinds.is_empty() {
            self.kinds.push(kind);
        }
        if !self.valid.is_empty() {
            self.valid.push(true);
        }
        self.views.push(view);
    }

    /// A cell of another kind than those before is to come.
    #[cold]
    fn mix(&mut self, kind: Kind) {
        match self.kind {
            // The first cell that is not null: those before are null, their kind means nothing.
            None => self.kind = Some(kind),
            Some(before) if self.kinds.is_empty() => self.kinds.resize(self.views.len(), before),
            Some(_) => {}
        }
    }

    /// Adds a null cell.
    #[inline]
    pub fn push_null(&mut self) {
        if self.valid.is_empty() {
            self.valid.resize(self.views.len(), true);
        }
        if !self.kinds.is_empty() {
            self.kinds.push(Kind::String);
        }
        self.valid.push(false);
        self.views.push(0);
    }

    /// The column. `buffers` are those its views were made for, in order.
    pub fn finish(self, buffers: &Arc<[Buffer]>) -> Column {
        let Some(kind) = self.kind else { return Column::null(self.views.len()) };
        let nulls = (!self.valid.is_empty()).then(|| NullBuffer::from(self.valid));
        let kinds = if self.kinds.is_empty() { Kinds::All(kind) } else { Kinds::Each(self.kinds.into()) };
        // SAFETY: `view` and `Side::keep` make views whose text lies inline or where they say, in the buffers given here.
        let array =
            unsafe { BinaryViewArray::new_unchecked(ScalarBuffer::from(self.views), Arc::clone(buffers), nulls) };
        Column::Text(array, kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, make_view};
    use backsight_engine::value::ValueRef;

    #[test]
    fn views_are_those_of_arrow() {
        let data: Vec<u8> = (0..64).collect();
        for start in 0..64 {
            for len in 0..=64 - start {
                assert_eq!(
                    view(&data, 3, start, len),
                    make_view(&data[start..start + len], 3, start as u32),
                    "{start} {len}"
                );
            }
        }
    }

    #[test]
    fn kinds_and_nulls() {
        let data = Buffer::from(b"a text longer than twelve bytes".to_vec());
        for first_null in [false, true] {
            let (mut cells, mut side) = (Cells::default(), Side::default());
            if first_null {
                cells.push_null();
            }
            cells.push(view(&data, 0, 0, data.len()), Kind::String);
            cells.push(side.keep(b"short", 1), Kind::String);
            cells.push(side.keep(b"another text longer than twelve", 1), Kind::Number);
            cells.push_null();
            cells.push(view(&data, 0, 2, 4), Kind::String);
            let column = cells.finish(&side.buffers(std::slice::from_ref(&data)));
            let found: Vec<_> = column
                .iter()
                .skip(usize::from(first_null))
                .map(|c| (c.kind(), c.text().map(|t| t.into_owned())))
                .collect();
            assert_eq!(
                found,
                [
                    (Some(Kind::String), Some(data.to_vec())),
                    (Some(Kind::String), Some(b"short".to_vec())),
                    (Some(Kind::Number), Some(b"another text longer than twelve".to_vec())),
                    (None, None),
                    (Some(Kind::String), Some(b"text".to_vec())),
                ]
            );
            let Column::Text(array, _) = &column else { panic!("text") };
            array.to_data().validate_full().expect("a valid array");
        }
        let mut nulls = Cells::default();
        nulls.push_null();
        assert!(matches!(nulls.finish(&Arc::from([])), Column::Const(..)));
    }

    #[test]
    fn the_side_holds_any_amount() {
        let (mut cells, mut side) = (Cells::default(), Side::default());
        let texts: Vec<Vec<u8>> =
            (0..20usize).map(|i| vec![i as u8; (i * 37_000) % 500_000 + i]).chain([vec![7; 3 * BLOCK]]).collect();
        texts.iter().for_each(|t| cells.push(side.keep(t, 0), Kind::String));
        let column = cells.finish(&side.buffers(&[]));
        for (i, text) in texts.iter().enumerate() {
            assert!(matches!(column.get(i), ValueRef::Text(Kind::String, t) if t == text));
        }
    }
}
