//! One value of a record, where it lies.

use backsight_engine::value::json::{Cursor, Shape, plain};

/// Offsets in the text a value was found in, and what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    start: u32,
    end: u32,
    pub shape: Shape,
    /// It is a token of a line: a string without quotes.
    pub is_token: bool,
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
                return Some(Slot {
                    start: at as u32,
                    end: end as u32,
                    shape: Shape::String { escaped: false },
                    is_token: false,
                });
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
        Some(Slot { start: at as u32, end: (at + raw.text.len()) as u32, shape: raw.shape, is_token: false })
    }

    /// A value that was checked elsewhere.
    pub(crate) fn checked(start: usize, end: usize, shape: Shape) -> Slot {
        Slot { start: start as u32, end: end as u32, shape, is_token: false }
    }

    /// A stretch of text that is a record.
    pub(crate) fn whole(start: usize, end: usize) -> Slot {
        Slot::checked(start, end, Shape::String { escaped: false })
    }

    /// A token of a line; `None` for one that is not there, which counts as null.
    pub(crate) fn token(place: Option<(usize, usize)>) -> Slot {
        let shape = if place.is_some() { Shape::String { escaped: false } } else { Shape::Null };
        let (start, end) = place.unwrap_or_default();
        Slot { is_token: true, ..Slot::checked(start, end, shape) }
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
    #[inline]
    pub(crate) fn inside(&self) -> (u32, u32) {
        let quote = u32::from(!self.is_token);
        (self.start + quote, self.end - quote)
    }

    /// The text of a string, without its quotes.
    #[inline]
    pub(crate) fn string<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let (start, end) = self.inside();
        &text[start as usize..end as usize]
    }

    /// The value as spelled.
    pub(crate) fn text<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }
}
