//! Text of a column while a row group is gathered: each different text once, and for each row which one it is.
//!
//! Logs say the same few things millions of times. A text is looked up by its hash among those the column has so far; texts
//! lie one behind the other, so looking one up touches little memory, and that is the dictionary as Parquet stores it. Where
//! nearly all texts differ, they are no longer looked up, only kept.

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// The code of a row without text.
pub(crate) const NONE: u32 = u32::MAX;

/// Texts after which a column is judged, and the rows they must have served to be looked up further, as a ratio.
const TRIAL: usize = 1 << 14;
const SERVED: (usize, usize) = (5, 4);

/// The texts of a column.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// For each row its text.
    codes: Vec<u32>,
    /// The texts, each behind its length in four bytes.
    texts: Vec<u8>,
    /// Where each begins in there.
    starts: Vec<u32>,
    /// Where texts are found by their hash; a power of two of them.
    table: Vec<Slot>,
    /// Rows with text.
    values: usize,
    /// The text of the row before.
    last: u32,
    /// Texts are not looked up: some may be there more than once.
    is_unique: bool,
}

/// A text in the table; free if its code is [`NONE`].
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    code: u32,
    start: u32,
    len: u32,
}

const FREE: Slot = Slot { hash: 0, code: NONE, start: 0, len: 0 };

/// Texts that are looked up together.
pub(crate) const TOGETHER: usize = 32;

impl Words {
    /// Gives a row its text. Rows come in order; those passed over have none.
    pub(crate) fn push(&mut self, row: usize, text: &[u8]) {
        self.push_all(&[row], &[text]);
    }

    /// Gives a row the text of the one before that has any.
    pub(crate) fn again(&mut self, row: usize) {
        self.codes.resize(row, NONE);
        self.codes.push(self.last);
        self.values += 1;
    }

    /// Gives rows their texts, at most [`TOGETHER`]. The table is looked at for all of them at once, since it is the waiting
    /// for memory that takes time.
    pub(crate) fn push_all(&mut self, rows: &[usize], texts: &[&[u8]]) {
        if texts.is_empty() {
            return;
        }
        while (self.starts.len() + texts.len()) * 2 > self.table.len() && !self.is_unique {
            self.grow();
        }
        let (mut hashes, mut slots) = ([0; TOGETHER], [FREE; TOGETHER]);
        if !self.is_unique {
            for (hash, text) in hashes.iter_mut().zip(texts) {
                *hash = (FixedState::with_seed(0).hash_one(text) >> 32) as u32;
            }
            let mask = self.table.len() - 1;
            for (slot, hash) in slots.iter_mut().zip(&hashes[..texts.len()]) {
                *slot = self.table[*hash as usize & mask];
            }
        }
        for ((row, text), (hash, slot)) in rows.iter().zip(texts).zip(hashes.iter().zip(&slots)) {
            let code = match () {
                () if self.is_unique => self.keep(text),
                () if self.is_at(slot, *hash, text) => slot.code,
                () => self.code(*hash, text),
            };
            if self.codes.len() < *row {
                self.codes.resize(*row, NONE);
            }
            self.codes.push(code);
            self.values += 1;
            self.last = code;
        }
    }

    /// There are no more rows than these.
    pub(crate) fn end(&mut self, rows: usize) {
        self.codes.resize(rows, NONE);
        self.table = Vec::new();
    }

    #[inline]
    fn is_at(&self, slot: &Slot, hash: u32, text: &[u8]) -> bool {
        let may = slot.hash == hash && slot.len as usize == text.len() && slot.code != NONE;
        may && self.texts.get(slot.start as usize..slot.start as usize + text.len()).is_some_and(|t| same(t, text))
    }

    /// The code of a text; there is room for one more in the table.
    fn code(&mut self, hash: u32, text: &[u8]) -> u32 {
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        while self.table[at].code != NONE {
            if self.is_at(&self.table[at], hash, text) {
                return self.table[at].code;
            }
            at = (at + 1) & mask;
        }
        let code = self.keep(text);
        let start = self.starts[code as usize] + 4;
        self.table[at] = Slot { hash, code, start, len: text.len() as u32 };
        if self.starts.len() == TRIAL && self.values * SERVED.1 < TRIAL * SERVED.0 {
            self.is_unique = true;
        }
        code
    }

    fn keep(&mut self, text: &[u8]) -> u32 {
        self.starts.push(self.texts.len() as u32);
        self.texts.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.texts.extend_from_slice(text);
        self.starts.len() as u32 - 1
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.table);
        self.table = vec![FREE; (old.len() * 2).max(4 * TOGETHER)];
        let mask = self.table.len() - 1;
        for slot in old.into_iter().filter(|slot| slot.code != NONE) {
            let mut at = slot.hash as usize & mask;
            while self.table[at].code != NONE {
                at = (at + 1) & mask;
            }
            self.table[at] = slot;
        }
    }

    /// For each row its text by number; [`NONE`] if it has none.
    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The text of a code.
    #[inline]
    pub(crate) fn text(&self, code: u32) -> &[u8] {
        let start = self.starts[code as usize] as usize;
        let (len, rest) = self.texts[start..].split_first_chunk().expect("a length");
        &rest[..u32::from_le_bytes(*len) as usize]
    }

    /// Number of texts.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// All texts, each behind its length.
    pub(crate) fn all(&self) -> &[u8] {
        &self.texts
    }

    /// True if each text serves a few rows.
    pub(crate) fn is_shared(&self) -> bool {
        !self.is_unique && self.len() * 2 <= self.values
    }
}

/// Equality of texts of the same length, which are mostly short: a call costs more than the comparison.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (a.first_chunk::<8>(), a.last_chunk::<8>()) {
        let ends = b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
        return ends && (a.len() <= 16 || a == b);
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<4>(), a.last_chunk::<4>()) {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    a.iter().eq(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).collect();
            assert!(same(&text, &text.clone()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert!(!same(&text, &other), "{len} {at}");
            }
        }
    }

    #[test]
    fn texts_come_back() {
        for different in [1, 7, 1000, 40_000] {
            let mut words = Words::default();
            let text = |row: usize| format!("text {}", row % different);
            for row in (0..60_000).filter(|row| row % 5 != 3) {
                match row % 10 {
                    1 if different == 1 => words.again(row),
                    _ => words.push(row, text(row).as_bytes()),
                }
            }
            words.end(60_002);
            assert_eq!(words.codes().len(), 60_002);
            for (row, code) in words.codes().iter().enumerate() {
                match code {
                    &NONE => assert!(row % 5 == 3 || row >= 60_000),
                    code => assert_eq!(words.text(*code), text(row).as_bytes()),
                }
            }
            assert!(words.len() <= 60_000.min(different) || !words.is_shared());
            assert_eq!(words.is_shared(), different <= 1000);
        }
    }
}
