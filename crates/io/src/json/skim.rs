//! Passing over lines that need not be read.
//!
//! Lines whose rows no column or filter asks for are only counted; those of which the query's filters want a literal are
//! searched for it first (Palkar et al., "Filter before you parse", VLDB 2018). One look at each block tells where lines
//! end, whether they begin and end as JSON objects do, and whether a needle, or something that can hide one, is in there.
//! What looks odd is left to the reader, so that what is counted is counted right; only what is wrong inside of a line
//! that has the look of an object goes unnoticed.

use super::simd::{Loop, Simd};
use memchr::{memchr, memmem};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The needles of a pass: those of the condition that promises to be the most selective.
#[derive(Debug)]
pub(super) struct Needles {
    texts: Vec<Vec<u8>>,
    /// Made when the first data is seen.
    made: OnceLock<Vec<Needle>>,
}

/// Needles that are searched for at once. With more, reading every line is as good.
const MAX_NEEDLES: usize = 6;

/// Bytes of data from which it is learned which are rare.
const SAMPLE: usize = 32 << 10;

impl Needles {
    /// `conditions`: for each, the texts of which a record must hold one.
    pub(super) fn new(conditions: &[Vec<Vec<u8>>]) -> Needles {
        // What differs by case only is one needle, and one that is part of another stands for it.
        let merged = conditions.iter().map(|texts| {
            let lower: BTreeSet<Vec<u8>> = texts.iter().map(|text| text.to_ascii_lowercase()).collect();
            let part = |text: &Vec<u8>| lower.iter().any(|t| t != text && memmem::find(text, t).is_some());
            lower.iter().filter(|text| !part(text)).cloned().collect::<Vec<_>>()
        });
        let usable = merged.filter(|texts| texts.len() <= MAX_NEEDLES && texts.iter().all(|text| !text.is_empty()));
        let longest = usable.max_by_key(|texts| texts.iter().map(Vec::len).min());
        Needles { texts: longest.unwrap_or_default(), made: OnceLock::new() }
    }

    /// True if every line may be of interest.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The needles, made for data like this.
    pub(super) fn get(&self, data: &[u8]) -> &[Needle] {
        self.made.get_or_init(|| {
            let mut counts = [0u32; 256];
            data.iter().take(SAMPLE).for_each(|byte| counts[usize::from(*byte)] += 1);
            self.texts.iter().map(|text| Needle::new(text, &counts)).collect()
        })
    }
}

/// A text to search for, whatever the case of its ASCII letters.
#[derive(Debug)]
pub(super) struct Needle {
    text: Box<[u8]>,
    /// The two bytes looked for first, by their place in the text: the rarest in the data.
    pair: [usize; 2],
    /// Bits set in bytes before they are compared with the pair, and the pair.
    fold: [u8; 2],
    bytes: [u8; 2],
}

impl Needle {
    /// `counts`: how often each byte occurs in a sample of the data.
    pub(super) fn new(text: &[u8], counts: &[u32; 256]) -> Needle {
        let text: Box<[u8]> = text.to_ascii_lowercase().into();
        let count = |i: &usize| counts[usize::from(text[*i])] + counts[usize::from(text[*i].to_ascii_uppercase())];
        let mut places: Vec<usize> = (0..text.len()).collect();
        places.sort_by_key(count);
        let mut pair = [places[0], *places.get(1).unwrap_or(&places[0])];
        pair.sort_unstable();
        let fold = pair.map(|i| if text[i].is_ascii_lowercase() { 0x20 } else { 0 });
        Needle { pair, fold, bytes: pair.map(|i| text[i]), text }
    }

    /// True if the needle stands where its first byte of the pair was found.
    fn is_at(&self, data: &[u8], place: usize) -> bool {
        let text = place.checked_sub(self.pair[0]).and_then(|start| data.get(start..start + self.text.len()));
        text.is_some_and(|text| text.eq_ignore_ascii_case(&self.text))
    }

    /// Places in the block at `at` where the needle may be; `None` near the end of the data.
    #[inline(always)]
    fn candidates<S: Simd>(&self, simd: S, data: &[u8], at: usize) -> Option<u64> {
        let second = data.get(at + self.pair[1] - self.pair[0]..)?.first_chunk()?;
        let first = data.get(at..)?.first_chunk()?;
        Some(simd.equal(first, self.fold[0], self.bytes[0]) & simd.equal(second, self.fold[1], self.bytes[1]))
    }
}

/// Records after which it is judged whether passing over records pays: less than so many of them, as a fraction, are read.
const TRIAL: u64 = 256;
const PAYS: u64 = 4;

/// Whether passing over records pays.
#[derive(Debug, Default)]
pub(super) struct Pays {
    passed: u64,
    read: u64,
}

impl Pays {
    /// So many more were passed over and had to be read.
    pub(super) fn after(&mut self, passed: u64, read: u64) -> bool {
        self.passed += passed;
        self.read += read;
        self.passed + self.read < TRIAL || self.read * PAYS < self.passed
    }
}

/// Letters beyond ASCII that are the same as `s` and `k` where case does not count.
const EXOTIC: [&[u8]; 2] = ["ſ".as_bytes(), "\u{212a}".as_bytes()];

/// Passes over lines from `at`, the start of one, to the next that is to be read, or to the end of the data.
pub(super) struct Skim<'b> {
    pub data: &'b [u8],
    pub at: usize,
    /// A line must hold one of them, or a backslash. None: all lines may be passed over.
    pub needles: &'b [Needle],
    /// Lines passed over.
    pub passed: &'b mut u64,
}

/// What is known when a block begins.
struct State {
    /// The line the block begins in.
    line: usize,
    /// The byte before the block is a line feed, or a closing brace.
    feed: u64,
    close: u64,
    /// Bytes beyond ASCII up to here are known to be sound and to hide nothing.
    sound: usize,
}

impl Loop for Skim<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let data = self.data;
        let mut state = State { line: self.at, feed: 1, close: 0, sound: self.at };
        let mut at = self.at;
        while let Some(block) = data.get(at..).and_then(|rest| rest.first_chunk()) {
            simd.prefetch(data, at);
            let borders = simd.borders(block);
            let feeds = borders.feeds;
            let ends = feeds & !(borders.closes << 1 | state.close);
            let starts = (feeds << 1 | state.feed) & !borders.opens;
            let mut odd = ends | starts | borders.high;
            let mut found = 0;
            if !self.needles.is_empty() {
                odd |= borders.slashes;
                for needle in self.needles {
                    let Some(places) = needle.candidates(simd, data, at) else { return state.line };
                    found |= places;
                }
            }
            let mut events = odd | found;
            while events != 0 {
                let place = events.trailing_zeros();
                events &= events - 1;
                let before = feeds & ((1 << place) - 1);
                let line = if before == 0 { state.line } else { at + 64 - before.leading_zeros() as usize };
                if self.is_to_be_read(line, at + place as usize, &mut state.sound) {
                    *self.passed += u64::from(before.count_ones());
                    return line;
                }
            }
            *self.passed += u64::from(feeds.count_ones());
            if feeds != 0 {
                state.line = at + 64 - feeds.leading_zeros() as usize;
            }
            state.feed = feeds >> 63;
            state.close = borders.closes >> 63;
            at += 64;
        }
        state.line
    }
}

impl Skim<'_> {
    /// Looks at a place that stands out in a line.
    #[inline(never)]
    fn is_to_be_read(&self, line: usize, place: usize, sound: &mut usize) -> bool {
        let data = self.data;
        match data[place] {
            b'\n' => data[line..place].iter().rfind(|b| !matches!(b, b' ' | b'\t' | b'\r')) != Some(&b'}'),
            b'\\' if !self.needles.is_empty() => true,
            _ if place == line && data[place] != b'{' => true,
            byte if byte >= 128 => {
                if place < *sound {
                    return false;
                }
                let end = memchr(b'\n', &data[place..]).map_or(data.len(), |n| place + n);
                *sound = end;
                simdutf8::basic::from_utf8(&data[line..end]).is_err()
                    || !self.needles.is_empty() && EXOTIC.iter().any(|e| memmem::find(&data[line..end], e).is_some())
            }
            _ => self.needles.iter().any(|needle| needle.is_at(data, place)),
        }
    }
}

/// Finds out whether a record that is not a line is to be read: it holds a needle, or something that can hide one.
pub(super) struct Sought<'b> {
    pub data: &'b [u8],
    pub start: usize,
    pub end: usize,
    pub needles: &'b [Needle],
}

impl Loop for Sought<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Sought { data, start, end, needles } = self;
        let mut at = start;
        while at < end {
            let Some(block) = data.get(at..).and_then(|rest| rest.first_chunk()) else { return true };
            let marks = simd.marks(block);
            let mut found = marks.slashes | marks.high;
            for needle in needles {
                let Some(mut places) = needle.candidates(simd, data, at) else { return true };
                while places != 0 {
                    let place = places.trailing_zeros();
                    if needle.is_at(data, at + place as usize) {
                        found |= 1 << place;
                        break;
                    }
                    places &= places - 1;
                }
            }
            if end - at < 64 {
                found &= (1 << (end - at)) - 1;
            }
            if found != 0 {
                return true;
            }
            at += 64;
        }
        false
    }
}
