//! The tokens of a line, found by looking at 64 bytes at a time.
//!
//! Which quotes are escaped, and then what lies between quotes, follows from bit arithmetic alone (Langdale and Lemire,
//! "Parsing gigabytes of JSON per second", VLDB Journal 2019); what is left are the places where the grammar has to be
//! looked at: quotes, operators, and the first bytes of other scalars.

use super::simd::{Loop, Simd, Structure};

/// Lines longer than this are not indexed: the index of one may take four times its bytes.
const MAX_LINE: usize = 1 << 20;

/// The tokens of one line.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Offsets in the line: every quote that is not escaped, opening and closing, every operator outside of strings, the
    /// first byte of every other scalar. Then the length of the line, [`GUARDS`] times.
    pub tokens: Vec<u32>,
    /// Bytes of the line, without the line feed.
    pub len: usize,
    /// There are bytes beyond ASCII.
    pub high: bool,
    /// There are backslashes.
    pub slashed: bool,
    /// No string lacks its end or holds control characters.
    pub sound: bool,
}

/// Tokens behind the last one, so that looking ahead needs no check.
pub(super) const GUARDS: usize = 4;

/// Indexes the line at `at`; false if it is too long.
pub(super) struct Indexing<'b> {
    pub data: &'b [u8],
    pub at: usize,
    pub index: &'b mut Index,
}

/// What a block needs to know of those before it.
#[derive(Default)]
struct Carry {
    escapes: Escapes,
    /// All bits set within a string.
    in_string: u64,
    /// The last byte belongs to a scalar.
    scalar: bool,
}

impl Loop for Indexing<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Indexing { data, at, index } = self;
        let mut carry = Carry::default();
        let (mut offset, mut known) = (0, 0);
        let (mut high, mut slashes, mut unsound) = (0, 0, 0);
        let mut places = [0; 64];
        let line = &data[at..];
        loop {
            let mut padded = [b'\n'; 64];
            let block = match line.get(offset..).and_then(|rest| rest.first_chunk()) {
                Some(block) => block,
                None => {
                    let rest = &line[offset..];
                    padded[..rest.len()].copy_from_slice(rest);
                    &padded
                }
            };
            let structure = simd.structure(block);
            // The bits before the first line feed.
            let inside = (structure.feeds & structure.feeds.wrapping_neg()).wrapping_sub(1);
            let (tokens, in_string) = carry.tokens(simd, &structure);
            unsound |= structure.control & in_string & inside;
            high |= structure.high & inside;
            slashes |= structure.slashes & inside;
            let tokens = tokens & inside;
            let count = tokens.count_ones() as usize;
            if index.tokens.len() < known + 64 + GUARDS {
                index.tokens.resize((known + 64 + GUARDS) * 2, 0);
            }
            simd.places(tokens, 0, &mut places);
            if let Some(out) = index.tokens.get_mut(known..).and_then(|rest| rest.first_chunk_mut::<64>()) {
                // In pieces, whole: cheaper than to the exact number.
                for (out, places) in out.chunks_exact_mut(16).zip(places.chunks_exact(16)).take(count.div_ceil(16)) {
                    for (out, place) in out.iter_mut().zip(places) {
                        *out = offset as u32 + u32::from(*place);
                    }
                }
            }
            known += count;
            if structure.feeds != 0 {
                let feed = structure.feeds.trailing_zeros();
                index.len = offset + feed as usize;
                index.high = high != 0;
                index.slashed = slashes != 0;
                index.sound = unsound == 0 && in_string >> feed & 1 == 0;
                index.tokens.truncate(known);
                index.tokens.resize(known + GUARDS, index.len as u32);
                return true;
            }
            offset += 64;
            if offset > MAX_LINE {
                return false;
            }
        }
    }
}

impl Carry {
    /// The tokens of a block, and what lies in strings: from each opening quote to the byte before the closing one.
    #[inline(always)]
    fn tokens<S: Simd>(&mut self, simd: S, s: &Structure) -> (u64, u64) {
        let quotes = s.quotes & !self.escapes.next(s.slashes);
        let in_string = simd.running_parity(quotes) ^ self.in_string;
        self.in_string = ((in_string as i64) >> 63) as u64;
        let scalar = !(s.operators | s.space | quotes | in_string);
        let starts = scalar & !(scalar << 1 | u64::from(self.scalar));
        self.scalar = scalar >> 63 == 1;
        (quotes | s.operators & !in_string | starts, in_string)
    }
}

/// Finds what backslashes escape, block by block.
#[derive(Clone, Copy, Default)]
pub(super) struct Escapes {
    /// The first byte of the next block is escaped.
    first: bool,
}

impl Escapes {
    /// True if nothing is escaped in a block without backslashes.
    #[inline(always)]
    pub(super) fn is_idle(self, slashes: u64) -> bool {
        slashes == 0 && !self.first
    }

    /// The bytes of the next block that follow an odd number of backslashes.
    #[inline(always)]
    pub(super) fn next(&mut self, slashes: u64) -> u64 {
        let first = u64::from(self.first);
        if slashes == 0 {
            self.first = false;
            return first;
        }
        // A backslash that is not escaped itself starts a series; subtracting carries through it, and whether it ends at
        // an odd or an even place tells whether the byte behind it is escaped.
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let starts = slashes & !first;
        let series = (starts << 1 | ODD).wrapping_sub(starts) ^ ODD;
        self.first = series & slashes & (1 << 63) != 0;
        series ^ (slashes | first)
    }
}
