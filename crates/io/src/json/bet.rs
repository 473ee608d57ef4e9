//! The bet that the next lines have the layout of those before, and reading them by it.
//!
//! Blocks of 64 bytes are turned into bits, one a quote; the quotes that end values are picked out by their number in the
//! line. Then every literal is compared where the quotes say it stands. Nothing is assumed: a line that matches has been
//! looked at in all its bytes. The first line that does not match ends the loop and is read in the general way.

use super::index::Escapes;
use super::layout::{Bare, Layout, Pick};
use super::odd::{Escaped, escaped};
use super::rows::{BROKEN, Count, Rows, SLASHED, Times};
use super::simd::{Loop, Simd};
use crate::rows::{Cells, Side, view};
use backsight_engine::value::Kind;
use backsight_engine::value::json::{Cursor, Shape, decode, number_kind};
use std::borrow::Cow;

/// Reads lines by a layout, from `at` on, until one does not match, the rows are enough, or the end of the data is near:
/// blocks are read whole. Gives where it stopped.
pub(super) struct Bet<'b> {
    pub data: &'b [u8],
    pub at: usize,
    pub layout: &'b Layout,
    pub rows: &'b mut Rows,
    /// Rows after which to stop.
    pub enough: usize,
    /// What to take from each line.
    pub take: Take<'b>,
    pub times: &'b mut Times,
    pub count: &'b mut Count,
}

/// Which cells are filled.
#[derive(Clone, Copy)]
pub(super) struct Take<'b> {
    /// Slots, all but those that ask for `@timestamp`.
    pub slots: &'b [usize],
    /// There are slots that ask for `@timestamp`.
    pub timed: bool,
    /// Where the values of each row end is kept, for the other slots.
    pub keep: bool,
}

/// Room for the ends of a line's values: those, the start of the line, and what is written in excess.
pub(super) fn room(layout: &Layout) -> usize {
    layout.values() + 1 + 64 + 64
}

/// The longest line that is matched; places in it have 16 bits.
const MAX_LINE: usize = (1 << 16) - 128;

/// A line that matches.
struct Match {
    /// Where the last literal begins.
    tail: usize,
    /// There are bytes beyond ASCII.
    high: bool,
    /// There are backslashes,
    slashed: bool,
    /// and what they escape is odd.
    escaped: Escaped,
}

impl Loop for Bet<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> usize {
        let values = self.layout.values();
        while self.rows.offsets.len() < self.enough {
            let Some(ends) = self.rows.ends.get_mut(self.rows.ends_used..) else { break };
            let Some(found) = line(simd, self.data, self.at, self.layout, ends) else { break };
            let is_broken = self.row(&found);
            if self.take.keep {
                let slashed = if found.slashed { SLASHED } else { 0 };
                self.rows.origins.push(self.rows.ends_used as u32 | slashed | if is_broken { BROKEN } else { 0 });
                self.rows.ends_used += values + 1;
            }
            if found.slashed && self.rows.is_full() {
                break;
            }
        }
        self.at
    }
}

/// Matches the line at `at`. The places of the ends of its values are left in `ends`, counted from `at`: entry 0 is the
/// start of the line, entry k + 1 belongs to value k.
#[inline(always)]
fn line<S: Simd>(simd: S, data: &[u8], at: usize, layout: &Layout, ends: &mut [u16]) -> Option<Match> {
    let (mut offset, mut seen, mut known) = (0, 0, 1);
    let (mut high, mut slashes) = (0, 0);
    let mut escapes = Escapes::default();
    *ends.first_mut()? = 0;
    let marks = loop {
        let block = data.get(at + offset..)?.first_chunk::<64>()?;
        simd.prefetch(data, at + offset);
        let mut marks = simd.marks(block);
        if !escapes.is_idle(marks.slashes) {
            marks.quotes &= !escapes.next(marks.slashes);
        }
        let found = simd.deposit(layout.ends[seen], marks.quotes);
        simd.places(found, offset as u16, ends.get_mut(known..)?.first_chunk_mut()?);
        known += found.count_ones() as usize;
        seen += marks.quotes.count_ones() as usize;
        if seen >= layout.quotes {
            break marks;
        }
        // A line feed, most likely: the line has fewer quotes.
        if marks.control != 0 || offset > MAX_LINE {
            return None;
        }
        high |= marks.high;
        slashes |= marks.slashes;
        offset += 64;
    };
    let last = usize::from(ends[known - 1]);
    let before = (1u64 << (last - offset)) - 1;
    if marks.control & before != 0 {
        return None;
    }
    high |= marks.high & before;
    slashes |= marks.slashes & before;
    let values = layout.values();
    if layout.bare_last {
        let end = line_end(simd, data, at + last + 1, layout)?;
        *ends.get_mut(values)? = u16::try_from(end - at).ok()?;
    }

    let ends = ends.get(..=values)?;
    let mut differences = simd.none();
    for check in &layout.checks {
        let start = (at + usize::from(ends[check.value])).wrapping_add_signed(check.moved);
        let text = data.get(start..)?.first_chunk()?;
        differences = simd.differ(differences, text, &check.text, &check.mask);
    }
    if simd.any(differences)
        || !layout.bare.iter().all(|bare| fits(&Values { data, at, ends, layout, slashed: false }, bare))
    {
        return None;
    }
    let back = layout.slots.last()?.back;
    let tail = at + usize::from(ends[values]) - back;
    if slashes != 0 && !escapes_are_sound(&data[at..tail], layout) {
        return None;
    }
    let escaped = if slashes == 0 { Escaped::default() } else { escaped(&data[at..tail]) };
    Some(Match { tail, high: high != 0, slashed: slashes != 0, escaped })
}

/// The end of the last value of a line that does not end in a quote: what stands before the last literal, which ends in
/// the line feed. Between them and the last quote, before `from`, there must be no quote and nothing odd.
#[inline(always)]
fn line_end<S: Simd>(simd: S, data: &[u8], mut from: usize, layout: &Layout) -> Option<usize> {
    let first = from;
    loop {
        let marks = simd.marks(data.get(from..)?.first_chunk()?);
        let stop = (marks.control | marks.slashes | marks.quotes).trailing_zeros() as usize;
        if stop < 64 {
            let feed = from + stop + usize::from(layout.carriage_return);
            let end = (feed + 1).checked_sub(layout.tail)?;
            return (end >= first && data.get(feed) == Some(&b'\n')).then_some(end);
        }
        // No JSON scalar is as long as that, but an empty line of thousands of spaces may follow.
        if marks.high != 0 {
            return None;
        }
        from += 64;
    }
}

/// Checks what follows each backslash of a line. That they all lie in strings is known: literals have none, and other
/// values are checked.
#[inline(never)]
fn escapes_are_sound(mut text: &[u8], layout: &Layout) -> bool {
    // Lists and maps with strings in them are handed out as they stand only if there is nothing to resolve in them.
    if layout.picks.iter().chain([&layout.time]).any(|pick| matches!(pick, Pick::Span { .. })) {
        return false;
    }
    while let Some(slash) = memchr::memchr(b'\\', text) {
        text = &text[slash + 1..];
        let length = match text {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 1,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 5,
            _ => return false,
        };
        text = &text[length..];
    }
    true
}

/// Checks a value without quotes.
#[inline(always)]
fn fits(line: &Values<'_>, bare: &Bare) -> bool {
    let (start, end) = (line.start(bare.value), line.end(bare.value));
    let Some(text) = line.data.get(start..end) else { return false };
    let digits = text.len() <= 18 && text.iter().all(u8::is_ascii_digit) && matches!(text, [b'1'..=b'9', ..] | [_]);
    if digits { !bare.must_be_null } else { is_sound(text, bare) }
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

/// A line that matches a layout.
pub(super) struct Values<'v> {
    pub data: &'v [u8],
    /// Where the line begins.
    pub at: usize,
    /// The places where its values end.
    pub ends: &'v [u16],
    pub layout: &'v Layout,
    /// There are backslashes in it.
    pub slashed: bool,
}

impl Values<'_> {
    #[inline(always)]
    pub(super) fn start(&self, value: usize) -> usize {
        self.at + usize::from(self.ends[value]) + self.layout.slots[value].ahead
    }

    #[inline(always)]
    pub(super) fn end(&self, value: usize) -> usize {
        self.at + usize::from(self.ends[value + 1]) - self.layout.slots[value].back
    }

    /// Where a literal begins.
    pub(super) fn literal(&self, literal: usize) -> usize {
        literal.checked_sub(1).map_or(self.at, |value| self.end(value))
    }

    /// The end of the line, without what ends it.
    pub(super) fn line_end(&self) -> usize {
        let feed = usize::from(self.layout.carriage_return) + 1;
        self.literal(self.layout.values()) + self.layout.tail - feed
    }

    /// Fills the cells of a slot.
    #[inline(always)]
    pub(super) fn fill(&self, slot: usize, cells: &mut [Cells], side: &mut Side) {
        let cells = &mut cells[slot];
        match self.layout.picks[slot] {
            Pick::Text(value) if self.slashed => {
                let text = &self.data[self.start(value)..self.end(value)];
                match resolved(text) {
                    Cow::Borrowed(_) => cells.push(view(self.data, 0, self.start(value), text.len()), Kind::String),
                    Cow::Owned(text) => cells.push(side.keep(&text, 1), Kind::String),
                }
            }
            Pick::Text(value) => {
                let start = self.start(value);
                cells.push(view(self.data, 0, start, self.end(value) - start), Kind::String);
            }
            Pick::Null | Pick::Unsaid if cells.is_empty() => {}
            other => match self.other(other) {
                Some((start, len, kind)) => cells.push(view(self.data, 0, start, len), kind),
                None => cells.push_null(),
            },
        }
    }

    /// The time of the event.
    #[inline(always)]
    pub(super) fn time(&self, times: &mut Times) -> Option<i64> {
        let (start, len, kind) = match self.layout.time {
            Pick::Text(value) => {
                let start = self.start(value);
                (start, self.end(value) - start, Kind::String)
            }
            other => self.other(other)?,
        };
        let text = &self.data[start..start + len];
        if self.slashed { times.read(kind, &resolved(text)) } else { times.read(kind, text) }
    }

    /// Start, length and kind of a cell; `None` for null.
    fn other(&self, pick: Pick) -> Option<(usize, usize, Kind)> {
        match pick {
            Pick::Null | Pick::Unsaid => None,
            Pick::Text(value) => {
                let start = self.start(value);
                Some((start, self.end(value) - start, Kind::String))
            }
            Pick::Line => Some((self.at, self.line_end() - self.at, Kind::String)),
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

/// The text of a string, given without quotes.
fn resolved(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    decode(text, &mut out);
    Cow::Owned(out)
}

impl Bet<'_> {
    /// Adds the row of a line that matches, and goes on to the next line. True if it is not UTF-8.
    #[inline(always)]
    fn row(&mut self, found: &Match) -> bool {
        let (data, next) = (self.data, found.tail + self.layout.tail);
        self.rows.offsets.push(self.at as u32);
        self.count.records += 1;
        let is_broken = found.high && simdutf8::basic::from_utf8(&data[self.at..next]).is_err();
        self.count.not_utf8 += u64::from(is_broken);
        self.count.repeated_keys += u64::from(self.layout.repeats);
        if found.slashed {
            self.count.half_surrogates += u64::from(found.escaped.half);
            self.count.zeros += u64::from(found.escaped.zero);
        }
        let ends = &self.rows.ends[self.rows.ends_used..];
        let values = Values { data, at: self.at, ends, layout: self.layout, slashed: found.slashed };
        for slot in self.take.slots {
            values.fill(*slot, &mut self.rows.cells, &mut self.rows.side);
        }
        if self.take.timed {
            let time = values.time(self.times);
            self.count.no_timestamp += u64::from(time.is_none());
            self.rows.times.push(time);
        }
        self.at = next;
        is_broken
    }
}
