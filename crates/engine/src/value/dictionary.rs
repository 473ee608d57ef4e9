//! The different cells of a column, each with a number: what a dictionary-encoded column points into.
//!
//! A dictionary only grows, and what is in it stays where it is: columns that point into it may be kept while its owner
//! adds to it. Word 0 is null.

use super::{Kind, ValueRef};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Texts of some kinds, numbered from 1; number 0 is null.
#[derive(Debug)]
pub struct Dictionary {
    id: u64,
    words: boxcar::Vec<(Kind, Box<[u8]>)>,
    /// A bit for each kind that words have.
    kinds: AtomicU64,
    text: AtomicUsize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Default for Dictionary {
    fn default() -> Dictionary {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let words = boxcar::Vec::new();
        words.push((Kind::String, Box::default()));
        Dictionary { id, words, kinds: AtomicU64::new(0), text: AtomicUsize::new(0) }
    }
}

impl Dictionary {
    /// The number of null.
    pub const NULL: u32 = 0;

    /// Adds a word, which must be new, and returns its number.
    pub fn push(&self, kind: Kind, text: &[u8]) -> u32 {
        self.kinds.fetch_or(1 << kind as u8, Ordering::Relaxed);
        self.text.fetch_add(text.len(), Ordering::Relaxed);
        self.words.push((kind, text.into())) as u32
    }

    /// Different for every dictionary.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Number of words, null among them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.words.count()
    }

    /// The cell of a number below [`Dictionary::len`].
    #[inline]
    pub fn get(&self, word: u32) -> ValueRef<'_> {
        match word {
            Dictionary::NULL => ValueRef::Null,
            word => {
                let (kind, text) = self.text(word);
                ValueRef::Text(kind, text)
            }
        }
    }

    /// Kind and text of a word that is not null.
    #[inline]
    pub fn text(&self, word: u32) -> (Kind, &[u8]) {
        let (kind, text) = &self.words[word as usize];
        (*kind, text)
    }

    /// The kind that all words have.
    pub fn kind(&self) -> Option<Kind> {
        let kinds = self.kinds.load(Ordering::Relaxed);
        kinds.is_power_of_two().then(|| Kind::of(kinds.trailing_zeros() as u8)).flatten()
    }

    /// Bytes of memory, roughly.
    pub fn bytes(&self) -> usize {
        /// Kind, place and length of the text, and what the allocator adds.
        const EACH: usize = 48;
        self.text.load(Ordering::Relaxed) + self.len() * EACH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_numbers_and_kinds() {
        let words = Dictionary::default();
        assert_eq!(words.kind(), None);
        for n in 1..3000u32 {
            assert_eq!(words.push(Kind::String, n.to_string().as_bytes()), n);
        }
        assert_eq!((words.len(), words.kind()), (3000, Some(Kind::String)));
        assert_eq!(words.push(Kind::Number, b"1"), 3000);
        assert_eq!(words.kind(), None);
        assert!(words.get(Dictionary::NULL).is_null());
        assert_eq!((words.text(1), words.text(3000)), ((Kind::String, &b"1"[..]), (Kind::Number, &b"1"[..])));
        assert_ne!(words.id(), Dictionary::default().id());
    }
}
