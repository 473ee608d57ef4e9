//! Following a record along the ways that are known ([`super::ways`]).
//!
//! Blocks of 64 bytes become bits, one a quote. Then it goes from value to value: a literal is compared where the last
//! value ended; if it leads to a string, the next quote behind it is where that ends. Every byte of a record that is
//! followed to its end has been looked at, and what is found is what [`super::walk`] finds.

use super::index::Escapes;
use super::simd::{Loop, Simd};
use super::wanted::{Hit, Hits};
use super::ways::{FIRST, Mark, Target, Ways, number};
use backsight_engine::value::json::{Cursor, Shape};

/// The longest record that is followed; places in it have 16 bits.
const MAX_RECORD: usize = (1 << 16) - 128;

/// Follows the record that lies at these offsets.
pub(super) struct Follow<'f> {
    pub data: &'f [u8],
    pub start: usize,
    pub end: usize,
    pub ways: &'f mut Ways,
    pub hits: &'f mut Hits,
    /// Memory for the places of quotes.
    pub quotes: &'f mut Vec<u16>,
}

/// What is seen on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// There are bytes beyond ASCII.
    pub high: bool,
    /// There are backslashes.
    pub slashed: bool,
}

/// Bytes set that count of the first of a literal.
const MASKS: [[u8; FIRST]; FIRST + 1] = {
    let mut masks = [[0; FIRST]; FIRST + 1];
    let mut length = 0;
    while length <= FIRST {
        let mut i = 0;
        while i < length {
            masks[length][i] = 0xff;
            i += 1;
        }
        length += 1;
    }
    masks
};

impl Loop for Follow<'_> {
    type Output = Option<Seen>;

    /// `None` if it cannot be followed to the end.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<Seen> {
        let Follow { data, start, end, ways, hits, quotes } = self;
        let seen = find_quotes(simd, data, start, end, quotes)?;
        hits.begin();
        let text = &data[start..end];
        let Ways { places, met, serial, taken, missed, .. } = ways;
        (*taken, *missed) = (0, 0);
        *serial = serial.wrapping_add(1);
        let (record, mut element) = (*serial, *serial);
        // The place of the last value, where it ends, and the first quote that is not before that.
        let (mut place, mut behind, mut quote) = (0, 0, 0);
        loop {
            let next = data.get(start + behind..)?.first_chunk()?;
            let steps = &places.get(place)?.steps;
            let mut known = (0..).zip(steps);
            let (i, step, from, end) = loop {
                let (i, step) = known.next()?;
                if simd.any(simd.differ(simd.none(), next, &step.first, &MASKS[usize::from(step.known)])) {
                    continue;
                }
                let rest = behind + usize::from(step.known);
                if !step.rest.is_empty() && !text.get(rest..).is_some_and(|text| text.starts_with(&step.rest)) {
                    continue;
                }
                let from = rest + step.rest.len();
                let end = match step.to {
                    Target::Text => string(text, from, *quotes.get(quote + usize::from(step.quotes))?, seen.slashed)?,
                    Target::Number => match text.get(from..).map_or(0, number) {
                        0 => continue,
                        length => from + length,
                    },
                    Target::Word(..) => from,
                    Target::End if from == text.len() => from,
                    Target::End => continue,
                };
                break (i, step, from, end);
            };
            let mut meets = |key: u32, object: u32| {
                let met = met.get_mut(key as usize)?;
                (std::mem::replace(met, object) != object).then_some(())
            };
            if let Some(key) = step.key {
                meets(key, if step.is_listed { element } else { record })?;
            }
            for mark in &step.marks {
                match *mark {
                    Mark::Key(key) => {
                        let is_listed = places.get(key as usize)?.is_listed();
                        meets(key, if is_listed { element } else { record })?;
                    }
                    Mark::Element => {
                        *serial = serial.wrapping_add(1);
                        element = *serial;
                    }
                    Mark::Open(leaf, ahead) => {
                        let at = behind + ahead;
                        hits.set(leaf, Some(Hit { start: at, end: at, shape: Shape::Map { clean: false } }));
                    }
                    Mark::Close(leaf, ahead) => {
                        let (start, end) = (hits.get(leaf)?.start, behind + ahead);
                        let shape = Cursor::new(text.get(start..end)?).value().ok()?.shape;
                        hits.set(leaf, Some(Hit { start, end, shape }));
                    }
                }
            }
            if step.to == Target::End {
                return Some(seen);
            }
            if let Some(leaf) = step.leaf {
                hits.set(leaf, hit(step.to, text, from, end, seen.slashed));
            }
            *taken += 1;
            *missed += i as u32;
            let before = std::mem::replace(&mut place, step.place as usize);
            (behind, quote) = (end, quote + usize::from(step.quotes));
            if i > 0 {
                places[before].steps.swap(i, i - 1);
            }
        }
    }
}

/// Finds the quotes of a record that no backslash escapes, counted from its start. `None` if it is too long, or no JSON.
#[inline(always)]
fn find_quotes<S: Simd>(simd: S, data: &[u8], start: usize, end: usize, quotes: &mut Vec<u16>) -> Option<Seen> {
    let length = end - start;
    if length > MAX_RECORD {
        return None;
    }
    let (mut offset, mut known) = (0, 0);
    let (mut high, mut slashes, mut unsound) = (0, 0, 0);
    let mut escapes = Escapes::default();
    while offset < length {
        let mut padded = [b' '; 64];
        let block = match data.get(start + offset..).and_then(|rest| rest.first_chunk()) {
            Some(block) => block,
            None => {
                let rest = &data[start + offset..];
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            }
        };
        let inside = if length - offset >= 64 { !0 } else { (1u64 << (length - offset)) - 1 };
        let marks = simd.marks(block);
        let found = marks.quotes & !escapes.next(marks.slashes) & inside;
        if marks.control & inside != 0 {
            let strings = simd.running_parity(found) ^ if known % 2 == 0 { 0 } else { !0 };
            unsound |= marks.control & strings & inside;
        }
        high |= marks.high & inside;
        slashes |= marks.slashes & inside;
        if quotes.len() < known + 64 {
            quotes.resize((known + 64) * 2, 0);
        }
        simd.places(found, offset as u16, quotes.get_mut(known..)?.first_chunk_mut()?);
        known += found.count_ones() as usize;
        offset += 64;
    }
    quotes.truncate(known);
    (unsound == 0).then_some(Seen { high: high != 0, slashed: slashes != 0 })
}

/// The end of the string that begins at `from`, behind its opening quote, if that is where the next quote is.
#[inline(always)]
fn string(text: &[u8], from: usize, quote: u16, slashed: bool) -> Option<usize> {
    let end = usize::from(quote);
    if slashed && is_slashed(text, from, end) {
        Cursor::new(text.get(from - 1..end + 1)?).string().ok()?;
    }
    (from <= end).then_some(end)
}

fn is_slashed(text: &[u8], from: usize, end: usize) -> bool {
    text.get(from..end).is_some_and(|text| memchr::memchr(b'\\', text).is_some())
}

/// A value that lies between these offsets; `None` for `null`.
#[inline(always)]
fn hit(to: Target, text: &[u8], from: usize, end: usize, slashed: bool) -> Option<Hit> {
    match to {
        Target::Text => {
            let escaped = slashed && is_slashed(text, from, end);
            Some(Hit { start: from - 1, end: end + 1, shape: Shape::String { escaped } })
        }
        Target::Number => Some(Hit { start: from, end, shape: Shape::Number }),
        Target::Word(_, Shape::Null) | Target::End => None,
        Target::Word(length, shape) => Some(Hit { start: end - usize::from(length), end, shape }),
    }
}
