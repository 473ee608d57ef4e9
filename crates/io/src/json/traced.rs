//! Where the values of lines lie that were read by layouts, for those who want all of them and not only what was asked for.

use super::bet::Values;
use super::layout::{Layout, Pick};
use super::rows::{BROKEN, MARKS, SLASHED, UNKNOWN};
use backsight_engine::value::json::{Cursor, Shape};
use std::sync::Arc;

/// Receives what is known of lines, before their rows are handed out.
pub(super) type Trace<'t> = &'t mut dyn FnMut(&Traced<'_>);

/// Rows of a batch.
pub struct Traced<'t> {
    pub(super) data: &'t [u8],
    pub(super) offsets: &'t [u32],
    pub(super) ends: &'t [u16],
    /// See [`super::rows::Rows`].
    pub(super) origins: &'t [u32],
    pub(super) layouts: &'t [(u32, Arc<Layout>)],
}

/// What lines have in common: keys and all other bytes around their values.
#[derive(Debug)]
pub(crate) struct Form(Arc<Layout>);

impl Form {
    /// True for a line of that form.
    #[inline]
    pub(crate) fn is_of(&self, line: &Line<'_>) -> bool {
        Arc::ptr_eq(&self.0, line.layout)
    }
}

/// A line whose values are known.
pub(crate) struct Line<'t> {
    layout: &'t Arc<Layout>,
    /// Where it begins.
    pub start: usize,
    /// Where its text ends.
    pub text_end: usize,
    /// Where the next line begins.
    pub end: usize,
    values: Values<'t>,
}

impl<'t> Traced<'t> {
    /// About the number of rows of the chunk, if all of it is like this part, and that of their values.
    pub(crate) fn outlook(&self) -> (usize, usize) {
        let (Some(first), Some(last)) = (self.offsets.first(), self.offsets.last()) else { return (0, 0) };
        let of_row = ((last - first) as usize / self.offsets.len()).max(16);
        let rows = self.offsets.len().max(self.data.len() / of_row + 64);
        let values = rows * self.layouts.first().map_or(0, |(_, layout)| layout.tops.len());
        // Colon, comma and the quotes of a key at least.
        (rows, values.min(self.data.len() / 4))
    }

    /// The lines of which all is known, in order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut run = 0;
        (0u32..).zip(self.offsets.iter().zip(self.origins)).filter_map(move |(row, (offset, origin))| {
            if *origin == UNKNOWN || origin & BROKEN != 0 {
                return None;
            }
            while self.layouts.get(run + 1).is_some_and(|(first, _)| *first <= row) {
                run += 1;
            }
            let (_, layout) = self.layouts.get(run)?;
            if layout.tops.is_empty() {
                return None;
            }
            let (at, ends) = (*offset as usize, &self.ends[(origin & !MARKS) as usize..]);
            let values = Values { data: self.data, at, ends, layout, slashed: origin & SLASHED != 0 };
            let text_end = values.line_end();
            let end = text_end + 1 + usize::from(layout.carriage_return);
            Some(Line { layout, start: at, text_end, end, values })
        })
    }
}

impl Line<'_> {
    /// What it has in common with others.
    pub(crate) fn form(&self) -> Form {
        Form(Arc::clone(self.layout))
    }

    /// Calls `each` with start, end and shape of each value of the record; `None` if one needs a closer look.
    #[inline]
    pub(crate) fn values(&self, mut each: impl FnMut(usize, usize, Shape)) -> Option<()> {
        let (values, data) = (&self.values, self.values.data);
        for top in &self.layout.tops {
            match *top {
                Pick::Text(value) => {
                    let (start, end) = (values.start(value), values.end(value));
                    let escaped = values.slashed && data[start..end].contains(&b'\\');
                    each(start - 1, end + 1, Shape::String { escaped });
                }
                Pick::Span { from, to } => {
                    let (start, end) = (values.literal(from.0) + from.1, values.literal(to.0) + to.1);
                    let clean = !values.slashed;
                    each(start, end, if data[start] == b'[' { Shape::List { clean } } else { Shape::Map { clean } });
                }
                Pick::Bare(value) => {
                    let (start, end) = (values.start(value), values.end(value));
                    let shape = match data[start] {
                        b'n' => Shape::Null,
                        b't' | b'f' => Shape::Bool,
                        // How deep it may be nested depends on where it stands.
                        b'[' | b'{' => Cursor::within(&data[start..end], 1).value().ok()?.shape,
                        _ => Shape::Number,
                    };
                    each(start, end, shape);
                }
                Pick::Null | Pick::Unsaid | Pick::Line => return None,
            }
        }
        Some(())
    }
}
