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
pub(crate) struct Form {
    layout: Arc<Layout>,
    /// The values that are neither strings nor lists or maps with strings in them.
    bare: Box<[usize]>,
    /// Some value takes more than a look at the line.
    is_odd: bool,
}

/// A line of a form, as little as it takes to find its values again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'k> {
    /// What it lies in.
    pub data: &'k [u8],
    /// Where it begins.
    pub start: usize,
    /// Its [`Line::ends`].
    pub ends: &'k [u16],
    /// Its [`Line::slashed`].
    pub slashed: bool,
}

/// Where a string lies in lines of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    value: usize,
    ahead: u32,
    back: u32,
}

impl Ends {
    /// Start and end in the line that begins at `start`, without quotes.
    #[inline]
    pub(crate) fn place(self, start: u32, ends: &[u16]) -> (u32, u32) {
        let (before, end) = (ends[self.value], ends[self.value + 1]);
        (start + u32::from(before) + self.ahead, start + u32::from(end) - self.back)
    }
}

impl Form {
    /// True for a line of that form.
    #[inline]
    pub(crate) fn is_of(&self, line: &Line<'_>) -> bool {
        Arc::ptr_eq(&self.layout, line.layout)
    }

    /// Where a value lies in lines of the form, if it is a string in all of them.
    pub(crate) fn string(&self, value: usize) -> Option<Ends> {
        let Pick::Text(value) = self.layout.tops[value] else { return None };
        let slot = self.layout.slots[value];
        Some(Ends { value, ahead: slot.ahead as u32, back: slot.back as u32 })
    }

    /// Number of values of a line.
    pub(crate) fn values(&self) -> usize {
        self.layout.tops.len()
    }

    /// True if [`Form::value`] finds all values of the line.
    #[inline]
    pub(crate) fn suffices(&self, line: &Line<'_>) -> bool {
        let is_scalar = |value: &usize| !matches!(line.values.data[line.values.start(*value)], b'[' | b'{');
        !self.is_odd && self.bare.iter().all(is_scalar)
    }

    /// Start, end and shape of a value of a line for which this form suffices.
    #[inline]
    pub(crate) fn value(&self, line: Kept<'_>, value: usize) -> (usize, usize, Shape) {
        let Kept { data, start, ends, slashed } = line;
        let values = Values { data, at: start, ends, layout: &self.layout, slashed };
        place(&values, self.layout.tops[value]).unwrap_or((start, start, Shape::Null))
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
        let bare = |pick: &Pick| if let Pick::Bare(value) = pick { Some(*value) } else { None };
        let is_odd = |pick: &Pick| matches!(pick, Pick::Null | Pick::Unsaid | Pick::Line);
        Form {
            layout: Arc::clone(self.layout),
            bare: self.layout.tops.iter().filter_map(bare).collect(),
            is_odd: self.layout.tops.iter().any(is_odd),
        }
    }

    /// Where its values end, as the form needs it.
    pub(crate) fn ends(&self) -> &[u16] {
        &self.values.ends[..=self.layout.values()]
    }

    /// There are backslashes in it.
    pub(crate) fn slashed(&self) -> bool {
        self.values.slashed
    }

    /// Calls `each` with start, end and shape of each value of the record; `None` if one needs a closer look.
    #[inline]
    pub(crate) fn values(&self, mut each: impl FnMut(usize, usize, Shape)) -> Option<()> {
        for top in &self.layout.tops {
            let (start, end, shape) = place(&self.values, *top)?;
            each(start, end, shape);
        }
        Some(())
    }
}

/// Start, end and shape of a value; `None` if it needs a closer look.
#[inline]
fn place(values: &Values<'_>, pick: Pick) -> Option<(usize, usize, Shape)> {
    let data = values.data;
    match pick {
        Pick::Text(value) => {
            let (start, end) = (values.start(value), values.end(value));
            let escaped = values.slashed && data[start..end].contains(&b'\\');
            Some((start - 1, end + 1, Shape::String { escaped }))
        }
        Pick::Span { from, to } => {
            let (start, end) = (values.literal(from.0) + from.1, values.literal(to.0) + to.1);
            let clean = !values.slashed;
            Some((start, end, if data[start] == b'[' { Shape::List { clean } } else { Shape::Map { clean } }))
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
            Some((start, end, shape))
        }
        Pick::Null | Pick::Unsaid | Pick::Line => None,
    }
}
