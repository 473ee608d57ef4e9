//! One value of a record, where it lies.

use backsight_engine::value::json::{Cursor, Shape, plain};

/// Offsets in the text a value was found in, and what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    start: u32,
    end: u32,
    pub shape: Shape,
}

impl Slot {
    /// The value that starts at `at`, in a record, checked; `None` if none does.
    #[inline]
    pub(crate) fn at(text: &[u8], at: usize) -> Option<Slot> {
        if text.get(at) == Some(&b'"') {
            let inner = &text[at + 1..];
            let plain = plain(inner);
            if inner.get(plain) == Some(&b'"') {
                let end = at + plain + 2;
                return Some(Slot { start: at as u32, end: end as u32, shape: Shape::String { escaped: false } });
            }
        }
        Slot::other(text, at)
    }

    /// A value that is not a string without escapes.
    fn other(text: &[u8], at: usize) -> Option<Slot> {
        // A cursor passes over white space; in a layout that belongs to the literal.
        if text.get(at).is_none_or(u8::is_ascii_whitespace) {
            return None;
        }
        let raw = Cursor::within(&text[at..], 1).value().ok()?;
        Some(Slot { start: at as u32, end: (at + raw.text.len()) as u32, shape: raw.shape })
    }

    /// A value that was checked elsewhere.
    pub(crate) fn checked(start: usize, end: usize, shape: Shape) -> Slot {
        Slot { start: start as u32, end: end as u32, shape }
    }

    /// A stretch of text that is a record.
    pub(crate) fn whole(start: usize, end: usize) -> Slot {
        Slot { start: start as u32, end: end as u32, shape: Shape::String { escaped: false } }
    }

    /// Offset behind it.
    pub(crate) fn end(&self) -> usize {
        self.end as usize
    }

    /// Offset of its first byte.
    pub(crate) fn start(&self) -> usize {
        self.start as usize
    }

    /// Where the text of a string lies, without its quotes.
    pub(crate) fn inside(&self) -> (u32, u32) {
        (self.start + 1, self.end - 1)
    }

    /// The value as spelled.
    pub(crate) fn text<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }
}
