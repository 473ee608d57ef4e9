//! The bet that the next lines have the layout of those before, and reading them by it.
//!
//! Blocks of 64 bytes are turned into bits, one a quote; the quotes that end values are picked out by their number in the
//! line. Then every literal is compared where the quotes say it stands. Nothing is assumed: a line that matches has been
//! looked at in all its bytes. The first line that does not match ends the loop and is read in the general way.

use super::layout::{Bare, Layout, Pick};
use super::rows::{Count, Rows, Times};
use super::simd::{Loop, Simd};
use crate::rows::view;
use backsight_engine::value::Kind;
use backsight_engine::value::json::{Cursor, Shape, number_kind};

/// Reads lines by a layout, from `at` on, until one does not match, the rows are enough, or the end of the data is near:
/// blocks are read whole. Gives where it stopped.
pub(super) struct Bet<'b> {
    pub data: &'b [u8],
    pub at: usize,
    pub layout: &'b Layout,
    /// Has [`room`] for the layout.
    pub ends: &'b mut [u32],
    pub rows: &'b mut Rows,
    /// Rows after which to stop.
    pub enough: usize,
    /// The slots that ask for `@timestamp`: whether there are any.
    pub timed: bool,
    pub times: &'b mut Times,
    pub count: &'b mut Count,
}

/// Places that are written in one go, whether needed or not: a loop of unknown length costs more.
const AT_ONCE: usize = 4;

/// Length of the list of ends for a layout: its values, one more, and what is written in excess.
pub(super) fn room(layout: &Layout) -> usize {
    layout.values() + 1 + 64 + AT_ONCE
}

/// A line that matches.
struct Match {
    /// Where the last literal begins.
    tail: usize,
    /// There are bytes beyond ASCII.
    high: bool,
}

impl Loop for Bet<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> usize {
        while self.rows.offsets.len() < self.enough {
            let Some(found) = self.line(simd) else { break };
            self.row(&found);
        }
        self.at
    }
}

impl Bet<'_> {
    /// Matches the line at `at`. The ends of its values are left in `ends`, as places of quotes, counted from `at`.
    #[inline(always)]
    fn line<S: Simd>(&mut self, simd: S) -> Option<Match> {
        let (data, layout) = (self.data, self.layout);
        // Entry 0 is the start of the line, entry k + 1 the end of value k.
        let (mut offset, mut seen, mut known) = (0, 0, 1);
        let mut high = 0;
        let marks = loop {
            let block = data.get(self.at + offset..)?.first_chunk::<64>()?;
            let marks = simd.marks(block);
            let mut ends = simd.deposit(layout.ends[seen], marks.quotes);
            let count = ends.count_ones() as usize;
            for place in self.ends.get_mut(known..known + AT_ONCE)? {
                *place = offset as u32 + ends.trailing_zeros();
                ends &= ends.wrapping_sub(1);
            }
            let mut more = known + AT_ONCE;
            while ends != 0 {
                *self.ends.get_mut(more)? = offset as u32 + ends.trailing_zeros();
                ends &= ends - 1;
                more += 1;
            }
            known += count;
            seen += marks.quotes.count_ones() as usize;
            if seen >= layout.quotes {
                break marks;
            }
            // A line feed, most likely: the line has fewer quotes.
            if marks.odd != 0 {
                return None;
            }
            high |= marks.high;
            offset += 64;
        };
        let last = self.ends[known - 1] as usize;
        let before = (1u64 << (last - offset)) - 1;
        if marks.odd & before != 0 {
            return None;
        }
        high |= marks.high & before;
        let values = layout.values();
        if layout.bare_last {
            let end = self.line_end(simd, last)?;
            self.ends[values] = (end - self.at) as u32;
        }

        let mut start = self.at;
        let mut differs = 0;
        for (k, (literal, slot)) in layout.literals.iter().zip(&layout.slots).enumerate() {
            differs |= simd.differs(data.get(start..)?.first_chunk()?, &literal.head, literal.mask);
            let end = self.at + self.ends[k + 1] as usize - slot.back;
            if !literal.rest.is_empty() && data.get(start + 32..start + literal.len) != Some(&literal.rest) {
                return None;
            }
            if end < start + literal.len {
                return None;
            }
            start = end;
        }
        let tail = layout.literals.last()?;
        differs |= simd.differs(data.get(start..)?.first_chunk()?, &tail.head, tail.mask);
        if differs != 0 || data.get(start + tail.len) != Some(&b'\n') {
            return None;
        }
        if !tail.rest.is_empty() && data[start + 32..start + tail.len] != *tail.rest {
            return None;
        }
        if !layout.bare.iter().all(|bare| self.is_sound(bare)) {
            return None;
        }
        Some(Match { tail: start, high: high != 0 })
    }

    /// The end of the last value of a line that does not end in a quote: what stands before the last literal, which
    /// stands before the line feed. Between them and the last quote, at `last`, there must be no quote and nothing odd.
    #[inline(always)]
    fn line_end<S: Simd>(&self, simd: S, last: usize) -> Option<usize> {
        let mut from = self.at + last + 1;
        loop {
            let marks = simd.marks(self.data.get(from..)?.first_chunk()?);
            let stop = (marks.odd | marks.quotes).trailing_zeros() as usize;
            if stop < 64 {
                let tail = self.layout.literals.last()?;
                let carriage = usize::from(self.layout.carriage_return);
                return (from + stop).checked_sub(tail.len - carriage);
            }
            // No JSON scalar is as long as that, but an empty line of thousands of spaces may follow.
            if marks.high != 0 {
                return None;
            }
            from += 64;
        }
    }

    #[inline(always)]
    fn start(&self, value: usize) -> usize {
        self.at + self.ends[value] as usize + self.layout.slots[value].ahead
    }

    #[inline(always)]
    fn end(&self, value: usize) -> usize {
        self.at + self.ends[value + 1] as usize - self.layout.slots[value].back
    }

    /// Where a literal begins.
    fn literal(&self, literal: usize) -> usize {
        literal.checked_sub(1).map_or(self.at, |value| self.end(value))
    }

    /// Checks a value without quotes.
    #[inline(always)]
    fn is_sound(&self, bare: &Bare) -> bool {
        let text = &self.data[self.start(bare.value)..self.end(bare.value)];
        let digits = text.len() <= 18 && text.iter().all(u8::is_ascii_digit) && matches!(text, [b'1'..=b'9', ..] | [_]);
        if digits { !bare.must_be_null } else { is_sound(text, bare) }
    }

    /// Adds the row of a line that matches, and goes on to the next line.
    #[inline(always)]
    fn row(&mut self, found: &Match) {
        let data = self.data;
        let tail = self.layout.literals.last().map_or(0, |tail| tail.len);
        let end = found.tail + tail - usize::from(self.layout.carriage_return);
        self.rows.offsets.push(self.at as u32);
        self.count.records += 1;
        if found.high && simdutf8::basic::from_utf8(&data[self.at..end]).is_err() {
            self.count.not_utf8 += 1;
        }
        for (slot, pick) in self.layout.picks.iter().enumerate() {
            match *pick {
                Pick::Text(value) => {
                    let start = self.start(value);
                    let made = view(data, 0, start, self.end(value) - start);
                    self.rows.cells[slot].push(made, Kind::String);
                }
                Pick::Null => self.rows.cells[slot].push_null(),
                Pick::Unsaid if self.rows.cells[slot].is_empty() => {}
                other => match self.other(other, end) {
                    Some((start, len, kind)) => self.rows.cells[slot].push(view(data, 0, start, len), kind),
                    None => self.rows.cells[slot].push_null(),
                },
            }
        }
        if self.timed {
            let time = self
                .other(self.layout.time, end)
                .and_then(|(start, len, kind)| self.times.read(kind, &data[start..start + len]));
            self.count.no_timestamp += u64::from(time.is_none());
            self.rows.times.push(time);
        }
        self.at = found.tail + tail + 1;
    }

    /// Start, length and kind of a cell; `None` for null.
    #[inline]
    fn other(&self, pick: Pick, line_end: usize) -> Option<(usize, usize, Kind)> {
        match pick {
            Pick::Null | Pick::Unsaid => None,
            Pick::Text(value) => {
                let start = self.start(value);
                Some((start, self.end(value) - start, Kind::String))
            }
            Pick::Line => Some((self.at, line_end - self.at, Kind::String)),
            Pick::Bare(value) => {
                let start = self.start(value);
                let text = &self.data[start..self.end(value)];
                let kind = match text[0] {
                    b'n' => return None,
                    b't' | b'f' => Kind::Bool,
                    b'[' => Kind::List,
                    b'{' => Kind::Map,
                    _ => number_kind(text),
                };
                Some((start, text.len(), kind))
            }
            Pick::Span { from, to } => {
                let (start, end) = (self.literal(from.0) + from.1, self.literal(to.0) + to.1);
                Some((start, end - start, if self.data[start] == b'[' { Kind::List } else { Kind::Map }))
            }
        }
    }
}

/// Checks a value without quotes that is not just digits: well-formed, and leading no path elsewhere.
#[cold]
fn is_sound(text: &[u8], bare: &Bare) -> bool {
    let mut cursor = Cursor::new(text);
    match cursor.value() {
        Ok(raw) if raw.text.len() == text.len() => match raw.shape {
            Shape::Null => !bare.must_not_be_null,
            Shape::List { clean } | Shape::Map { clean } => clean && !bare.must_not_nest && !bare.must_be_null,
            Shape::Bool | Shape::Number => !bare.must_be_null,
            Shape::String { .. } => false,
        },
        _ => false,
    }
}
