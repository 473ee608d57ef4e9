//! Sets of a few words each, for groups that are kept if they have that many different texts.

use crate::exec::memory::zeros;
use crate::value::dictionary::Dictionary;

/// Sets of so many words at most, side by side.
pub(super) struct Sets {
    /// One set after another; one that had more words than there is room for begins with [`FULL`].
    words: Vec<u32>,
    room: usize,
    /// The dictionary that words are of.
    of: Option<u64>,
    /// The last number given to a text that is no word of it.
    other: u32,
}

/// No word.
const NONE: u32 = Dictionary::NULL;
const FULL: u32 = u32::MAX;

/// Numbers from here on are texts that may be any.
const OTHERS: u32 = 1 << 31;

impl Sets {
    pub fn new(sets: usize, room: usize) -> Sets {
        Sets { words: zeros(sets * room), room, of: None, other: OTHERS }
    }

    pub fn clear(&mut self) {
        self.words.fill(NONE);
        self.other = OTHERS;
    }

    #[inline]
    pub fn insert(&mut self, at: usize, word: u32) {
        let set = &mut self.words[at * self.room..][..self.room];
        if set[0] == FULL {
            return;
        }
        match set.iter_mut().find(|of| **of == word || **of == NONE) {
            Some(of) => *of = word,
            None => set[0] = FULL,
        }
    }

    /// A text of which nothing is known.
    pub fn insert_other(&mut self, at: usize) {
        match self.another() {
            Some(word) => self.insert(at, word),
            None => self.words[at * self.room] = FULL,
        }
    }

    /// The number of a text of which nothing is known, as long as there are numbers.
    fn another(&mut self) -> Option<u32> {
        self.other = self.other.saturating_add(1);
        (self.other < FULL).then_some(self.other)
    }

    /// Words of this dictionary come: those of another may be the same texts, and may not.
    pub fn turn_to(&mut self, dictionary: u64) {
        if self.of.replace(dictionary).is_none_or(|of| of == dictionary) {
            return;
        }
        for at in 0..self.words.len() {
            if !matches!(self.words[at], NONE | FULL) {
                match self.another() {
                    Some(word) => self.words[at] = word,
                    None => self.words[at / self.room * self.room] = FULL,
                }
            }
        }
    }

    pub fn merge(&mut self, others: &Sets) {
        let same = self.of == others.of;
        for (at, set) in others.words.chunks_exact(self.room).enumerate() {
            for word in set.iter().filter(|word| **word != NONE) {
                match *word {
                    FULL => self.words[at * self.room] = FULL,
                    word if same && word < OTHERS => self.insert(at, word),
                    _ => self.insert_other(at),
                }
            }
        }
    }

    /// Whether a set had more words than there is room for.
    #[inline]
    pub fn is_full(&self, at: usize) -> bool {
        self.words[at * self.room] == FULL
    }

    /// Whether any had.
    pub fn is_any_full(&self) -> bool {
        self.words.chunks_exact(self.room).any(|set| set[0] == FULL)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.words.len() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_full_once_numbers_are_out() {
        let mut sets = Sets::new(2, 2);
        sets.turn_to(1);
        sets.insert(0, 7);
        sets.other = FULL - 2;
        sets.insert_other(0);
        assert_eq!(sets.words, [7, FULL - 1, NONE, NONE]);
        sets.insert_other(1);
        assert_eq!(sets.words, [7, FULL - 1, FULL, NONE]);
        sets.turn_to(2);
        assert_eq!([sets.words[0], sets.words[2]], [FULL; 2]);
        // Numbers are there again once no set has any.
        sets.clear();
        sets.insert_other(0);
        assert!(sets.words[0] > OTHERS && sets.words[0] < FULL);
    }
}
