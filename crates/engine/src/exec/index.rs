//! Finding numbered things by hash, many at once.
//!
//! A table of numbers with linear probing; what is told apart lies in lists beside it, by number. One look at the table
//! and one at the list mostly settle a row, and as the looks of neighbouring rows do not wait for each other, the misses
//! of the cache overlap ("vectorised" hash tables; Gubner et al., "Accelerating Vectorized Hash Tables", 2019).

use crate::hint::prefetch;
use crate::value::short::{SHORT, pack_short};

/// What a text is told apart by, with a mark beside it: one of up to 28 bytes as it is, so that nothing else need be
/// looked at, a longer one by its hash before it is compared. Half a line of the cache.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(in crate::exec) struct Id {
    /// Pieces of the text, which may overlap.
    pieces: [u64; 3],
    piece: u32,
    /// [`LONG`] of a text that is not here as a whole.
    length: u16,
    mark: u16,
}

/// Longest text that an id says everything about.
const WHOLE: usize = SHORT + REST;

/// Bytes an id has room for behind the first [`SHORT`].
const REST: usize = 12;

/// In place of the length of a text that is longer.
const LONG: u16 = u16::MAX;

impl PartialEq for Id {
    /// All at once: that some of it differs is no reason to hurry.
    #[inline]
    fn eq(&self, other: &Id) -> bool {
        let ([a, b, c], [d, e, f]) = (self.pieces, other.pieces);
        let rest = (self.piece ^ other.piece) | u32::from((self.length ^ other.length) | (self.mark ^ other.mark));
        (a ^ d) | (b ^ e) | (c ^ f) | u64::from(rest) == 0
    }
}

impl Id {
    /// A text, whose hash is `hash`.
    #[inline]
    pub fn of_text(text: &[u8], hash: u64, mark: u16) -> Id {
        if text.len() <= SHORT {
            let (low, high) = pack_short(text);
            return Id { pieces: [low, high, 0], piece: 0, length: text.len() as u16, mark };
        }
        match (text.first_chunk::<SHORT>(), text.last_chunk::<REST>()) {
            (Some(first), Some(last)) if text.len() <= WHOLE => {
                let (first, last) = (u128::from_le_bytes(*first), u128::from_le_bytes(padded(last)));
                let pieces = [first as u64, (first >> 64) as u64, last as u64];
                Id { pieces, piece: (last >> 64) as u32, length: text.len() as u16, mark }
            }
            _ => Id { pieces: [hash, text.len() as u64, 0], piece: 0, length: LONG, mark },
        }
    }

    /// A text that stands in its view.
    #[inline]
    pub fn of_view(view: u128, mark: u16) -> Id {
        Id { pieces: [(view >> 32) as u64, (view >> 96) as u64, 0], piece: 0, length: view as u16, mark }
    }

    /// A number.
    pub const fn of_number(number: u64, mark: u16) -> Id {
        Id { pieces: [number, 0, 0], piece: 0, length: 0, mark }
    }

    /// Whether the id says everything about the text.
    #[inline]
    pub fn is_whole(text: &[u8]) -> bool {
        text.len() <= WHOLE
    }
}

fn padded(rest: &[u8; REST]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..REST].copy_from_slice(rest);
    bytes
}

/// Numbers by hash.
#[derive(Default)]
pub(in crate::exec) struct Index {
    slots: Vec<Slot>,
    count: usize,
}

/// A number, or [`NONE`], and what is seldom the same for another.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    number: u32,
}

/// A part of a hash that its place in the table does not depend on.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// No number: a slot that is free, something that was not found.
pub(in crate::exec) const NONE: u32 = u32::MAX;

/// Slots of the smallest table.
const SMALLEST: usize = 64;

impl Index {
    /// The number that something of this hash most likely has, to be compared; [`NONE`] if it has none.
    #[inline]
    pub fn likely(&self, hash: u64) -> u32 {
        let mask = self.slots.len().wrapping_sub(1);
        let at = hash as usize & mask;
        // The place next to it is looked at, too: it lies in the same line of the cache, most likely.
        match (self.slots.get(at), self.slots.get((at + 1) & mask)) {
            (Some(slot), Some(next)) => {
                if slot.tag == tag(hash) {
                    slot.number
                } else {
                    next.number
                }
            }
            _ => NONE,
        }
    }

    /// Says that [`Index::likely`] will be asked soon.
    #[inline]
    pub fn ask_soon(&self, hash: u64) {
        if let Some(slot) = self.slots.get(hash as usize & self.slots.len().wrapping_sub(1)) {
            prefetch(slot);
        }
    }

    /// The number of this hash that is the one looked for.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                Slot { number: NONE, .. } => return None,
                slot if slot.tag == tag(hash) && is_it(slot.number) => return Some(slot.number),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds the next number, which is not there yet; `hash_of` gives the hashes of those that are.
    pub fn add(&mut self, hash: u64, hash_of: impl Fn(u32) -> u64) {
        if self.count * 2 >= self.slots.len() {
            let slots = (self.slots.len() * 2).max(SMALLEST);
            self.slots = vec![Slot { tag: 0, number: NONE }; slots];
            (0..self.count as u32).for_each(|number| self.put(hash_of(number), number));
        }
        self.put(hash, self.count as u32);
        self.count += 1;
    }

    fn put(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].number != NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { tag: tag(hash), number };
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}
