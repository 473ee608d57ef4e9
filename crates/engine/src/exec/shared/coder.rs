//! Numbers the texts of a column, so that all that several plans ask of a text is asked once, and keys are small integers.
//! Where texts hardly repeat, it is noticed and left.

use crate::exec::ctl::Ctl;
use crate::exec::hashes::Hashes;
use crate::exec::index::{Id, Index, NONE};
use crate::exec::memory::Share;
use crate::value::column::{Column, Kinds};
use crate::value::dictionary::Dictionary;
use crate::value::{Kind, Value, ValueRef};
use arrow::array::{Array, BinaryViewArray};
use std::sync::Arc;

/// The texts of a column that one worker has seen.
pub(super) struct Coder {
    words: Arc<Dictionary>,
    index: Index,
    /// Of each word.
    ids: Vec<Id>,
    hashes: Vec<u64>,
    /// Of the rows at hand.
    row_hashes: Vec<u64>,
    /// Texts seen and texts that were new, since the dictionary was last begun.
    seen: u64,
    new: u64,
    off: bool,
    share: Share,
}

/// Texts after which it is judged whether they repeat.
const TRIAL: u64 = 8 * 1024;

/// Words and bytes of a dictionary; beyond, another is begun, or none if texts hardly repeat.
const MOST_WORDS: usize = 1 << 18;
const MOST_TEXT: usize = 32 << 20;

impl Coder {
    pub fn new(ctl: &Ctl) -> Coder {
        let mut coder = Coder {
            words: Arc::default(),
            index: Index::default(),
            ids: Vec::new(),
            hashes: Vec::new(),
            row_hashes: Vec::new(),
            seen: 0,
            new: 0,
            off: false,
            share: ctl.memory().share(),
        };
        coder.begin();
        coder
    }

    /// The same cells, as numbers if they are texts that repeat.
    pub fn code(&mut self, column: Column, hashes: &Hashes) -> Column {
        let Column::Text(array, kinds) = &column else { return column };
        if self.off {
            return column;
        }
        let numbers = self.numbers(array, kinds, hashes);
        let dictionary = Arc::clone(&self.words);
        let full = self.words.len() > MOST_WORDS || self.words.bytes() > MOST_TEXT;
        if self.seen > TRIAL && self.new * 4 > self.seen * 3 || full && self.new * 2 > self.seen {
            self.off = true;
        }
        if full || self.off || !self.share.set(self.bytes()) {
            self.begin();
        }
        if self.off { column } else { Column::Dict(numbers.into(), dictionary) }
    }

    /// The words of texts and nulls; nothing for any other column.
    pub fn words(&mut self, column: &Column, hashes: &Hashes) -> Option<Vec<u32>> {
        Some(match column {
            Column::Text(array, kinds) => self.numbers(array, kinds, hashes),
            Column::Const(Value::Null, n) => vec![Dictionary::NULL; *n],
            Column::Const(Value::Text(kind, text), n) => {
                let word = self.intern(*kind, text, hashes.of_text(text), NONE);
                vec![word; *n]
            }
            Column::Dict(words, dictionary) => {
                let word = |word: &u32| match dictionary.get(*word) {
                    ValueRef::Text(kind, text) => self.intern(kind, text, hashes.of_text(text), NONE),
                    _ => Dictionary::NULL,
                };
                words.iter().map(word).collect()
            }
            _ => return None,
        })
    }

    /// A column of words of this dictionary.
    pub fn column(&self, words: impl Iterator<Item = u32>) -> Column {
        Column::Dict(words.collect(), Arc::clone(&self.words))
    }

    /// Begins another dictionary.
    fn begin(&mut self) {
        self.words = Arc::default();
        (self.index, self.ids, self.hashes) = (Index::default(), Vec::new(), Vec::new());
        (self.seen, self.new) = (0, 0);
        self.share.set(0);
        // Null has a number too, which no text has.
        self.index.add(0, |_| 0);
        self.ids.push(Id::of_number(0, u32::MAX));
        self.hashes.push(0);
    }

    fn numbers(&mut self, array: &BinaryViewArray, kinds: &Kinds, hashes: &Hashes) -> Vec<u32> {
        let rows = array.len();
        let mut of = std::mem::take(&mut self.row_hashes);
        of.clear();
        of.extend((0..rows).map(|i| if array.is_null(i) { 0 } else { hashes.of_text(array.value(i)) }));
        let mut numbers: Vec<u32> = Vec::with_capacity(rows);
        // All first looks, then all comparisons: neither waits for the one before.
        numbers.extend(of.iter().map(|hash| self.index.likely(*hash)));
        for (i, number) in numbers.iter_mut().enumerate() {
            *number = match array.is_null(i) {
                true => Dictionary::NULL,
                false => self.intern(kinds.get(i), array.value(i), of[i], *number),
            };
        }
        self.seen += rows as u64;
        self.row_hashes = of;
        numbers
    }

    /// The word of a text, which is likely to be `likely`.
    #[inline]
    fn intern(&mut self, kind: Kind, text: &[u8], hash: u64, likely: u32) -> u32 {
        let id = Id::of_text(text, hash, kind as u32);
        let is_it =
            |word: u32| self.ids[word as usize] == id && (Id::is_whole(text) || self.words.text(word).1 == text);
        if likely != NONE && is_it(likely) {
            return likely;
        }
        if let Some(word) = self.index.find(hash, is_it) {
            return word;
        }
        let word = self.words.push(kind, text);
        self.index.add(hash, |word| self.hashes[word as usize]);
        self.hashes.push(hash);
        self.ids.push(id);
        self.new += 1;
        word
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let ids = self.ids.capacity() * size_of::<Id>() + self.hashes.capacity() * 8;
        self.words.bytes() + self.index.bytes() + ids
    }
}
