//! The identity of a text within a group, in 24 bytes.

use super::arena::Arena;
use crate::value::Kind;
use crate::value::short::{pack_short, unpack_short};
use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};
use std::hash::{BuildHasher, Hasher};

/// A group and a text: the text itself if it has up to 16 bytes, or is an id of 32 hexadecimal digits (UUIDs among
/// them), which takes 16 bytes too; else its hash and its place in an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    low: u64,
    high: u64,
    pub(super) group: u32,
    /// The length of a text of up to 16 bytes, or one of the constants below.
    shape: u8,
    /// 0, or 1 plus the [`Kind`] for keys that tell kinds apart.
    kind: u8,
}

/// A UUID in lower case: groups of 8, 4, 4, 4 and 12 digits.
const UUID: u8 = 17;
/// 32 digits in lower case.
const HEX: u8 = 18;
/// `low` is the place in the arena, `high` the hash of the text.
const LONG: u8 = 19;

/// No text at all: a free place of a table.
const VACANT: u8 = 20;

/// Longest text that lies in a key.
const LONGEST: usize = 36;

/// Room for a text taken out of a key.
pub(super) type Room = [u8; LONGEST];

impl Key {
    /// Equal to no key that [`Key::new`] makes.
    pub(super) const VACANT: Key = Key { low: 0, high: 0, group: 0, shape: VACANT, kind: 0 };

    /// The key of a text. One that [is long](Key::is_long) has no place yet.
    #[inline]
    pub(super) fn new(group: u32, kind: Option<Kind>, text: &[u8]) -> Key {
        let (shape, low, high) = match text.len() {
            0..=16 => {
                let (low, high) = pack_short(text);
                (text.len() as u8, low, high)
            }
            36 if let Some((low, high)) = pack_uuid(text) => (UUID, low, high),
            32 if let Some((low, high)) = pack_hex(text) => (HEX, low, high),
            _ => (LONG, 0, hash_text(text)),
        };
        Key { low, high, group, shape, kind: kind.map_or(0, |k| k as u8 + 1) }
    }

    /// True if the text is in an arena.
    #[inline]
    pub(super) fn is_long(&self) -> bool {
        self.shape == LONG
    }

    /// True for [`Key::VACANT`].
    #[inline]
    pub(super) fn is_vacant(&self) -> bool {
        self.shape == VACANT
    }

    /// Says where the text is; only for keys that are long.
    pub(super) fn set_place(&mut self, place: u64) {
        self.low = place;
    }

    /// Copies the text of a long key from one arena to another.
    #[inline]
    pub(super) fn move_text(&mut self, from: &Arena, to: &mut Arena) {
        if self.is_long() {
            self.low = to.push(from.get(self.low));
        }
    }

    /// The text of a long key.
    #[inline]
    pub(super) fn long_text<'a>(&self, arena: &'a Arena) -> &'a [u8] {
        if self.is_long() { arena.get(self.low) } else { &[] }
    }

    /// The kind the key was made with.
    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::of(self.kind.checked_sub(1)?)
    }

    /// The hash of group, text and kind. The same in all threads of a process, but not from one process to the next, so
    /// that nobody can prepare logs whose texts collide.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = hasher();
        hasher.write_u64(if self.is_long() { 0 } else { self.low });
        hasher.write_u64(self.high);
        hasher.write_u64(u64::from(self.group) | u64::from(self.shape) << 32 | u64::from(self.kind) << 40);
        hasher.finish()
    }

    /// Whether this key of a table, whose text may be in `arena`, equals `new`, whose text is `text`.
    #[inline]
    pub(super) fn is(&self, arena: &Arena, new: &Key, text: &[u8]) -> bool {
        let same = (self.high, self.group, self.shape, self.kind) == (new.high, new.group, new.shape, new.kind);
        same && if self.is_long() { arena.get(self.low) == text } else { self.low == new.low }
    }

    /// The text.
    pub(super) fn text<'a>(&self, arena: &'a Arena, room: &'a mut Room) -> &'a [u8] {
        match self.shape {
            LONG => arena.get(self.low),
            UUID => unpack_uuid(self.low, self.high, room),
            HEX => unpack_hex(self.low, self.high, room),
            length => unpack_short(self.low, self.high, &mut room[..length as usize]),
        }
    }
}

fn hasher() -> FoldHasher<'static> {
    SeedableRandomState::with_seed(0, SharedSeed::global_random()).build_hasher()
}

fn hash_text(text: &[u8]) -> u64 {
    let mut hasher = hasher();
    hasher.write(text);
    hasher.finish()
}

/// A UUID of 36 bytes, if its digits are in lower case.
#[inline]
fn pack_uuid(text: &[u8]) -> Option<(u64, u64)> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [text[8], text[13], text[18], text[23]] != [b'-'; 4] {
        return None;
    }
    let halves = |a: usize, b: usize| word(&text[a..a + 4]) | word(&text[b..b + 4]) << 32;
    pack_words([word(&text[..8]), halves(9, 14), halves(19, 24), word(&text[28..])])
}

fn unpack_uuid(low: u64, high: u64, room: &mut Room) -> &[u8] {
    let words = unpack_words(low, high);
    let (bytes, _) = words.as_flattened().split_at(32);
    for (from, to) in [(0..8, 0), (8..12, 9), (12..16, 14), (16..20, 19), (20..32, 24)] {
        room[to..to + from.len()].copy_from_slice(&bytes[from]);
    }
    for dash in [8, 13, 18, 23] {
        room[dash] = b'-';
    }
    room
}

#[inline]
fn pack_hex(text: &[u8]) -> Option<(u64, u64)> {
    let text: &[u8; 32] = text.try_into().ok()?;
    pack_words([word(&text[..8]), word(&text[8..16]), word(&text[16..24]), word(&text[24..])])
}

fn unpack_hex(low: u64, high: u64, room: &mut Room) -> &[u8] {
    room[..32].copy_from_slice(unpack_words(low, high).as_flattened());
    &room[..32]
}

/// Up to 8 bytes as a word.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    let mut out = [0; 8];
    out[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(out)
}

#[inline]
fn pack_words(words: [u64; 4]) -> Option<(u64, u64)> {
    let [a, b, c, d] = words.map(digits_of);
    // Encoding what was decoded tells digits from everything else.
    if [a, b, c, d].map(text_of) != words {
        return None;
    }
    Some((a | b << 4, c | d << 4))
}

fn unpack_words(low: u64, high: u64) -> [[u8; 8]; 4] {
    const EVEN: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    [low & EVEN, low >> 4 & EVEN, high & EVEN, high >> 4 & EVEN].map(|w| text_of(w).to_le_bytes())
}

/// The values of eight hexadecimal digits, one a byte; anything within 0..16 for other bytes.
#[inline]
fn digits_of(text: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Letters have bit 6 set: their low four bits count from 1, so 9 is missing.
    ((text & (0x0f * ONES)) + 9 * (text >> 6 & ONES)) & (0x0f * ONES)
}

/// The lower-case digits of eight values below 16, one a byte.
#[inline]
fn text_of(digits: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    digits + 0x30 * ONES + 39 * letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let long = "x".repeat(40);
        let texts = [
            "",
            "a",
            "ab",
            "abc",
            "abcd",
            "abcde",
            "abcdefg",
            "abcdefgh",
            "abcdefghi",
            "abcdefghijklmno",
            "abcdefghijklmnop",
            "abcdefghijklmnopq",
            "0293ed93-d9da-143e-084f-d80a3f27823b",
            "0293ED93-d9da-143e-084f-d80a3f27823b",
            "0293ed93-d9da-143e-084f-d80a3f27823g",
            "0293ed93_d9da-143e-084f-d80a3f27823b",
            "ffffffffffffffffffffffffffffffff",
            "ffffffffffffffffffffffffffffff f",
            "00112233445566778899aabbccddeeff",
            "/0:`g@GA0123456789abcdef01234567",
            &long,
        ];
        let mut arena = Arena::default();
        let mut keys = Vec::new();
        for text in texts {
            let mut key = Key::new(7, None, text.as_bytes());
            if key.is_long() {
                key.set_place(arena.push(text.as_bytes()));
            }
            assert_eq!(key.text(&arena, &mut [0; LONGEST]), text.as_bytes());
            keys.push(key);
        }
        for (i, key) in keys.iter().enumerate() {
            for (j, text) in texts.iter().enumerate() {
                let new = Key::new(7, None, text.as_bytes());
                assert_eq!(key.is(&arena, &new, text.as_bytes()), i == j, "{i} {j}");
                assert_eq!(key.hash() == new.hash(), i == j, "{i} {j}");
            }
        }
        assert!(!Key::new(1, None, b"a").is(&arena, &Key::new(2, None, b"a"), b"a"));
        assert!(!Key::new(1, Some(Kind::Number), b"1").is(&arena, &Key::new(1, Some(Kind::String), b"1"), b"1"));
        assert_eq!(Key::new(1, Some(Kind::Map), b"{}").kind(), Some(Kind::Map));
    }

    #[test]
    fn only_lower_case_digits_are_packed() {
        for c in 0..=255u8 {
            let text = [c; 32];
            assert_eq!(pack_hex(&text).is_some(), matches!(c, b'0'..=b'9' | b'a'..=b'f'), "{c}");
        }
    }
}
