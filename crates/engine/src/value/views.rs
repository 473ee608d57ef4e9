//! Columns of strings that stay where they are: in a few large buffers, pages of a file, say.

use arrow::array::{Array, BinaryViewArray, NullBufferBuilder};
use arrow::buffer::{Buffer, ScalarBuffer};

/// Builds a column of strings, each a piece of a buffer.
#[derive(Debug)]
pub struct Views {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    buffers: Vec<Buffer>,
}

/// Longest text that stands in its view.
const INLINE: usize = 12;

impl Views {
    /// No cells; `rows` is only a hint.
    pub fn with_capacity(rows: usize) -> Views {
        Views { views: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows), buffers: Vec::new() }
    }

    /// Number of cells.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Takes in a buffer, whose number is returned.
    pub fn buffer(&mut self, buffer: &Buffer) -> u32 {
        // The one at hand is mostly there already.
        let same = |b: &Buffer| b.as_ptr() == buffer.as_ptr() && b.len() == buffer.len();
        if !self.buffers.last().is_some_and(same) {
            self.buffers.push(buffer.clone());
        }
        (self.buffers.len() - 1) as u32
    }

    /// Adds the text of `length` bytes that begins in a buffer at `start`. False if it is not in there, or beyond what a
    /// view can say; no cell is added then.
    #[inline]
    pub fn push(&mut self, buffer: u32, start: usize, length: usize) -> bool {
        let Some(data) = self.buffers.get(buffer as usize).map(Buffer::as_slice) else { return false };
        let Some(text) = start.checked_add(length).and_then(|end| data.get(start..end)) else { return false };
        let (Ok(place), Ok(size)) = (u32::try_from(start), u32::try_from(length)) else { return false };
        let view = match text.first_chunk::<4>() {
            Some(prefix) if length > INLINE => {
                let prefix = u32::from_le_bytes(*prefix);
                u128::from(size) | u128::from(prefix) << 32 | u128::from(buffer) << 64 | u128::from(place) << 96
            }
            _ => {
                // Sixteen bytes at once, of which those behind the text are taken off.
                let bytes = match data[start..].first_chunk::<16>() {
                    Some(bytes) => u128::from_le_bytes(*bytes) & !(u128::MAX << (8 * length)),
                    None => text.iter().rev().fold(0, |bytes, byte| bytes << 8 | u128::from(*byte)),
                };
                bytes << 32 | u128::from(size)
            }
        };
        self.views.push(view);
        self.nulls.append_non_null();
        true
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.views.push(0);
        self.nulls.append_null();
    }

    /// Adds cells of another column, by their numbers there; `None` is null.
    pub fn extend(&mut self, from: &BinaryViewArray, cells: impl Iterator<Item = Option<usize>>) {
        let first = self.buffers.len() as u32;
        self.buffers.extend(from.data_buffers().iter().cloned());
        for cell in cells {
            match cell.filter(|cell| from.is_valid(*cell)) {
                None => self.push_null(),
                Some(cell) => {
                    let view = from.views()[cell];
                    let moved = if view as u32 as usize > INLINE { view + (u128::from(first) << 64) } else { view };
                    self.views.push(moved);
                    self.nulls.append_non_null();
                }
            }
        }
    }

    /// The column.
    pub fn finish(mut self) -> BinaryViewArray {
        let nulls = self.nulls.finish();
        // SAFETY: `push` makes views of texts that it finds in the buffer it names; `extend` takes over those of a valid
        // array, whose buffers stand one after another from the number on that is added to theirs.
        unsafe { BinaryViewArray::new_unchecked(ScalarBuffer::from(self.views), self.buffers.into(), nulls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_buffers() {
        let texts = ["", "a", "twelve bytes", "thirteen byte", "0123456789abcdef", "a text longer than all that"];
        let (mut all, mut places) = (Vec::new(), Vec::new());
        for text in texts {
            places.push((all.len(), text.len()));
            all.extend_from_slice(text.as_bytes());
        }
        let end = all.len();
        let buffer = Buffer::from(all);
        let mut views = Views::with_capacity(8);
        let number = views.buffer(&buffer);
        assert_eq!(views.buffer(&buffer), number);
        for (start, length) in &places {
            assert!(views.push(number, *start, *length));
        }
        // Short texts at the very end, where sixteen bytes cannot be read at once.
        assert!(views.push(number, end - 4, 4) && views.push(number, end, 0));
        views.push_null();
        for (start, length) in [(end - 1, 2), (end + 1, 0), (usize::MAX, 1)] {
            assert!(!views.push(number, start, length));
        }
        assert!(!views.push(number + 1, 0, 1));
        let one = views.finish();
        let mut views = Views::with_capacity(0);
        views.buffer(&Buffer::from(b"another buffer".to_vec()));
        views.extend(&one, [Some(8), Some(5), None, Some(3), Some(1)].into_iter());
        let two = views.finish();
        one.to_data().validate_full().expect("sound");
        two.to_data().validate_full().expect("sound");
        let expected: Vec<_> =
            texts.iter().map(|t| Some(t.as_bytes())).chain([Some(&b"that"[..]), Some(b""), None]).collect();
        assert_eq!(one.iter().collect::<Vec<_>>(), expected);
        let expected = [None, Some(texts[5]), None, Some(texts[3]), Some("a")].map(|t| t.map(str::as_bytes));
        assert_eq!(two.iter().collect::<Vec<_>>(), expected);
    }
}
