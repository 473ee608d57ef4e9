//! The different cells of a column, each with a number: what a dictionary-encoded column points into.
//!
//! A dictionary only grows, and what is in it stays where it is: columns that point into it may be kept while its owner
//! adds to it. Word 0 is null. The first words may lie in a buffer that somebody else has filled, a page of a file, so that
//! such a dictionary is made without touching them.

use super::{Kind, ValueRef};
use arrow::array::{Array, BinaryViewArray};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Texts of some kinds, numbered from 1; number 0 is null.
#[derive(Debug)]
pub struct Dictionary {
    id: u64,
    /// The first words: strings.
    given: Option<BinaryViewArray>,
    words: boxcar::Vec<(Kind, Box<[u8]>)>,
    /// Whoever adds words adds none twice.
    is_set: bool,
    /// A bit for each kind that words have.
    kinds: AtomicU64,
    text: AtomicUsize,
    /// What [`Dictionary::numbers_of`] found out.
    translations: Mutex<Vec<Translation>>,
}

/// The numbers in a dictionary of the words of another.
#[derive(Debug)]
struct Translation {
    other: u64,
    /// Words there were in the dictionary itself.
    words: usize,
    numbers: Arc<[u32]>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Default for Dictionary {
    fn default() -> Dictionary {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (kinds, text, translations) = (AtomicU64::new(0), AtomicUsize::new(0), Mutex::default());
        Dictionary { id, given: None, words: boxcar::Vec::new(), is_set: false, kinds, text, translations }
    }
}

impl Dictionary {
    /// The number of null.
    pub const NULL: u32 = 0;

    /// A dictionary of these strings, numbered from 1 in their order. The same text may be there more than once.
    pub fn of_strings(texts: BinaryViewArray) -> Dictionary {
        let kinds = if texts.is_empty() { 0 } else { 1 << Kind::String as u8 };
        Dictionary { given: Some(texts), kinds: AtomicU64::new(kinds), ..Dictionary::default() }
    }

    /// A dictionary to which nobody will add the same kind and text twice.
    pub fn of_different_words() -> Dictionary {
        Dictionary { is_set: true, ..Dictionary::default() }
    }

    /// Whether nobody adds the same kind and text twice.
    pub fn has_different_words(&self) -> bool {
        self.is_set
    }

    /// Whether words with different numbers are different texts.
    pub fn tells_texts_apart(&self) -> bool {
        self.is_set && self.kind().is_some()
    }

    /// Adds a word and returns its number.
    pub fn push(&self, kind: Kind, text: &[u8]) -> u32 {
        self.kinds.fetch_or(1 << kind as u8, Ordering::Relaxed);
        self.text.fetch_add(text.len(), Ordering::Relaxed);
        (1 + self.given_words() + self.words.push((kind, text.into()))) as u32
    }

    /// Different for every dictionary.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Number of words, null among them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        1 + self.given_words() + self.words.count()
    }

    fn given_words(&self) -> usize {
        self.given.as_ref().map_or(0, BinaryViewArray::len)
    }

    /// The strings it was made of, the first of which has the number 1.
    pub fn given(&self) -> Option<&BinaryViewArray> {
        self.given.as_ref()
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
        let mut at = word as usize - 1;
        if let Some(given) = &self.given {
            if at < given.len() {
                return (Kind::String, given.value(at));
            }
            at -= given.len();
        }
        let (kind, text) = &self.words[at];
        (*kind, text)
    }

    /// The kind that all words have.
    pub fn kind(&self) -> Option<Kind> {
        let kinds = self.kinds.load(Ordering::Relaxed);
        kinds.is_power_of_two().then(|| Kind::of(kinds.trailing_zeros() as u8)).flatten()
    }

    /// The number here of each word of another dictionary, [`Dictionary::NULL`] where that is not here; texts are told
    /// apart, kinds are not. It is found out once, as long as neither grows.
    pub fn numbers_of(&self, other: &Dictionary) -> Arc<[u32]> {
        let mut known = self.translations.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.len();
        let is_it = |t: &&Translation| (t.other, t.words, t.numbers.len()) == (other.id, count, other.len());
        if let Some(translation) = known.iter().find(is_it) {
            return Arc::clone(&translation.numbers);
        }
        let hasher = FixedState::default();
        let hash = |text: &[u8]| {
            let mut hasher = hasher.build_hasher();
            hasher.write(text);
            hasher.finish()
        };
        let mut mine: HashTable<u32> = HashTable::with_capacity(count);
        for word in 1..count as u32 {
            let text = self.text(word).1;
            mine.insert_unique(hash(text), word, |word| hash(self.text(*word).1));
        }
        let number = |word: u32| {
            let text = other.text(word).1;
            mine.find(hash(text), |mine| self.text(*mine).1 == text).copied().unwrap_or(Dictionary::NULL)
        };
        let numbers: Arc<[u32]> =
            std::iter::once(Dictionary::NULL).chain((1..other.len() as u32).map(number)).collect();
        known.retain(|t| t.other != other.id);
        known.push(Translation { other: other.id, words: count, numbers: Arc::clone(&numbers) });
        numbers
    }

    /// Bytes of memory, roughly.
    pub fn bytes(&self) -> usize {
        /// Kind, place and length of the text, and what the allocator adds.
        const EACH: usize = 48;
        self.text.load(Ordering::Relaxed) + self.words.count() * EACH + self.given_bytes()
    }

    /// Those of the strings it was made of.
    pub fn given_bytes(&self) -> usize {
        self.given.as_ref().map_or(0, |texts| {
            texts.len() * size_of::<u128>() + texts.data_buffers().iter().map(|b| b.len()).sum::<usize>()
        })
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

    #[test]
    fn the_numbers_of_the_words_of_another() {
        let dictionary = |words: &[&str]| {
            let dictionary = Dictionary::default();
            words.iter().for_each(|word| {
                dictionary.push(Kind::String, word.as_bytes());
            });
            dictionary
        };
        let (here, there) = (dictionary(&["a", "b", ""]), dictionary(&["x", "b", "", "a"]));
        assert_eq!(*here.numbers_of(&there), [0, 0, 2, 3, 1]);
        assert_eq!(*there.numbers_of(&here), [0, 4, 2, 3]);
        here.push(Kind::String, b"x");
        assert_eq!(*here.numbers_of(&there), [0, 4, 2, 3, 1]);
        there.push(Kind::String, b"y");
        assert_eq!(*here.numbers_of(&there), [0, 4, 2, 3, 1, 0]);
    }

    #[test]
    fn words_that_were_given_come_first() {
        let words = Dictionary::of_strings(
            ["a", "a text longer than twelve bytes", "a"].map(str::as_bytes).into_iter().map(Some).collect(),
        );
        assert_eq!((words.len(), words.kind()), (4, Some(Kind::String)));
        assert_eq!(words.text(2), (Kind::String, &b"a text longer than twelve bytes"[..]));
        assert!(words.get(Dictionary::NULL).is_null());
        assert_eq!(words.push(Kind::Number, b"7"), 4);
        assert_eq!((words.text(3), words.text(4)), ((Kind::String, &b"a"[..]), (Kind::Number, &b"7"[..])));
        assert_eq!((words.len(), words.kind()), (5, None));
        assert_eq!(Dictionary::of_strings(BinaryViewArray::from_iter_values([b""; 0])).kind(), None);
    }
}
