//! Numbers the texts of a column, so that all that several plans ask of a text is asked once, and keys are small integers.
//! Where texts hardly repeat, it is noticed and left.

use crate::exec::ctl::Ctl;
use crate::exec::index::{Id, Index, NONE};
use crate::exec::memory::Share;
use crate::hint::prefetch;
use crate::value::column::{Column, Kinds};
use crate::value::dictionary::Dictionary;
use crate::value::short::{ONE, SHORT, fold, pack_short};
use crate::value::{Kind, Value, ValueRef};
use arrow::array::{Array, BinaryViewArray, make_view};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// The texts of a column that one worker has seen.
pub(in crate::exec) struct Coder {
    words: Arc<Dictionary>,
    index: Index,
    /// Of each word.
    ids: Vec<Id>,
    hashes: Vec<u64>,
    /// Texts seen and texts that were new, since the dictionary was last begun.
    seen: u64,
    new: u64,
    off: bool,
    /// What hashes start from.
    seed: u64,
    share: Share,
}

/// A text with its id and hash; nothing for null.
type Told<'d> = Option<(Kind, &'d [u8], Id, u64)>;

/// Rows looked at together: as many as a word has bits.
const TOGETHER: usize = 64;

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
            seen: 0,
            new: 0,
            off: false,
            seed: ctl.seed(),
            share: ctl.memory().share(),
        };
        coder.begin();
        coder
    }

    /// The same cells, as numbers if they are texts that repeat.
    pub fn code(&mut self, column: Column) -> Column {
        let Column::Text(array, kinds) = &column else { return column };
        if self.off {
            return column;
        }
        let numbers = self.numbers(array, kinds);
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
    pub fn words(&mut self, column: &Column) -> Option<Vec<u32>> {
        Some(match column {
            Column::Text(array, kinds) => self.numbers(array, kinds),
            Column::Const(Value::Null, n) => vec![Dictionary::NULL; *n],
            Column::Const(Value::Text(kind, text), n) => {
                let told = self.id(*kind, text);
                let word = self.find(*kind, text, told);
                vec![word; *n]
            }
            Column::Dict(words, dictionary) => {
                let mut numbers = Vec::with_capacity(words.len());
                for words in words.chunks(TOGETHER) {
                    let told: [Told<'_>; TOGETHER] = std::array::from_fn(|at| {
                        let told = self.told(dictionary, words.get(at).copied().unwrap_or(Dictionary::NULL));
                        told.iter().for_each(|(.., hash)| self.index.ask_soon(*hash));
                        told
                    });
                    numbers.extend(told.iter().take(words.len()).map(|told| match told {
                        Some((kind, text, id, hash)) => self.find(*kind, text, (*id, *hash)),
                        None => Dictionary::NULL,
                    }));
                }
                numbers
            }
            _ => return None,
        })
    }

    /// Takes a dictionary over, nothing having been numbered yet: its words keep their numbers, and others are added to it.
    fn take_over(&mut self, dictionary: &Arc<Dictionary>) {
        self.words = Arc::clone(dictionary);
        for word in 1..dictionary.len() as u32 {
            let Some((.., id, hash)) = self.told(dictionary, word) else { continue };
            self.index.add(hash, |word| self.hashes[word as usize]);
            self.hashes.push(hash);
            self.ids.push(id);
        }
    }

    /// A word of a dictionary and what tells it apart; nothing of null.
    fn told<'d>(&self, dictionary: &'d Dictionary, word: u32) -> Told<'d> {
        match dictionary.get(word) {
            ValueRef::Text(kind, text) => {
                let (id, hash) = self.id(kind, text);
                Some((kind, text, id, hash))
            }
            _ => None,
        }
    }

    /// The dictionary.
    pub fn dictionary(&self) -> Arc<Dictionary> {
        Arc::clone(&self.words)
    }

    /// A column of words of this dictionary.
    pub fn column(&self, words: impl Iterator<Item = u32>) -> Column {
        Column::Dict(words.collect(), Arc::clone(&self.words))
    }

    /// Begins another dictionary.
    fn begin(&mut self) {
        self.words = Arc::new(Dictionary::of_different_words());
        (self.index, self.ids, self.hashes) = (Index::default(), Vec::new(), Vec::new());
        (self.seen, self.new) = (0, 0);
        self.share.set(0);
        // Null has a number too, which no text has.
        self.index.add(0, |_| 0);
        self.ids.push(NOTHING);
        self.hashes.push(0);
    }

    fn numbers(&mut self, array: &BinaryViewArray, kinds: &Kinds) -> Vec<u32> {
        let rows = array.len();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let (seed, views) = (self.seed, array.views());
        let mut numbers: Vec<u32> = vec![Dictionary::NULL; rows];
        let (mut ids, mut hashes) = ([NOTHING; TOGETHER], [0; TOGETHER]);
        for (block, numbers) in numbers.chunks_mut(TOGETHER).enumerate() {
            let first = block * TOGETHER;
            let rows = numbers.len();
            // One bit a row: it is null; its id does not say everything.
            let (mut null, mut long) = (0u64, 0u64);
            if let Some(nulls) = nulls {
                (0..rows).for_each(|at| null |= u64::from(nulls.is_null(first + at)) << at);
            }
            for at in 0..rows {
                let (view, kind) = (views[first + at], kinds.get(first + at));
                (ids[at], hashes[at]) = if null >> at & 1 != 0 {
                    (NOTHING, 0)
                } else if view as u32 <= INLINE {
                    (view_id(view, kind), view_hash(view, seed))
                } else {
                    let text = array.value(first + at);
                    long |= u64::from(!Id::is_whole(text)) << at;
                    let hash = long_hash(text, seed);
                    (Id::of_text(text, hash, kind as u16), hash)
                };
                self.index.ask_soon(hashes[at]);
            }
            // All first looks, then all comparisons: neither waits for the one before.
            for (number, hash) in numbers.iter_mut().zip(&hashes) {
                *number = self.index.likely(*hash);
                self.ids.get(*number as usize).into_iter().for_each(|id| prefetch(id));
            }
            let mut rest = long;
            for (at, (number, id)) in numbers.iter().zip(&ids).enumerate() {
                let is_it = self.ids.get(*number as usize).is_some_and(|known| known == id);
                rest |= u64::from(!is_it) << at;
            }
            while rest != 0 {
                let at = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let (text, number) = (array.value(first + at), &mut numbers[at]);
                let is_it = long >> at & 1 != 0 && *number != NONE && self.is(*number, ids[at], text);
                if !is_it {
                    *number = self.find(kinds.get(first + at), text, (ids[at], hashes[at]));
                }
            }
        }
        self.seen += rows as u64;
        numbers
    }

    /// What tells a text apart, and its hash.
    fn id(&self, kind: Kind, text: &[u8]) -> (Id, u64) {
        match text.len() as u64 <= u64::from(INLINE) {
            true => {
                let view = make_view(text, 0, 0);
                (view_id(view, kind), view_hash(view, self.seed))
            }
            false => {
                let hash = long_hash(text, self.seed);
                (Id::of_text(text, hash, kind as u16), hash)
            }
        }
    }

    /// Whether a word is this text.
    #[inline]
    fn is(&self, word: u32, id: Id, text: &[u8]) -> bool {
        self.ids[word as usize] == id && (Id::is_whole(text) || self.words.text(word).1 == text)
    }

    /// The word of a text by id and hash; a new one if need be.
    fn find(&mut self, kind: Kind, text: &[u8], (id, hash): (Id, u64)) -> u32 {
        if let Some(word) = self.index.find(hash, |word| self.is(word, id, text)) {
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

/// One dictionary of all the words of several, and for each of those by id which word of it each of their words is. It is
/// the first of them, to which the words of the others are added, if nobody else adds any (`is_free`).
pub(in crate::exec) fn in_one(
    dictionaries: &[&Arc<Dictionary>],
    is_free: impl Fn(&Dictionary) -> bool,
    ctl: &Ctl,
) -> (Arc<Dictionary>, HashMap<u64, Arc<[u32]>>) {
    let itself = |one: &Arc<Dictionary>| (one.id(), (0..one.len() as u32).collect());
    if let [one] = dictionaries {
        return (Arc::clone(one), HashMap::from([itself(one)]));
    }
    let mut coder = Coder::new(ctl);
    let mut numbers = HashMap::new();
    let mut dictionaries = dictionaries;
    if let [first, others @ ..] = dictionaries
        && first.has_different_words()
        && is_free(first)
    {
        coder.take_over(first);
        numbers.extend([itself(first)]);
        dictionaries = others;
    }
    for dictionary in dictionaries {
        let all = Column::Dict((0..dictionary.len() as u32).collect(), Arc::clone(dictionary));
        numbers.insert(dictionary.id(), coder.words(&all).unwrap_or_default().into());
    }
    (coder.dictionary(), numbers)
}

/// Longest text that stands in its view.
const INLINE: u32 = 12;

/// What tells null apart, whose hash is 0.
const NOTHING: Id = Id::of_number(0, u16::MAX);

/// What tells a text apart that stands in its view.
#[inline]
fn view_id(view: u128, kind: Kind) -> Id {
    Id::of_view(view, kind as u16)
}

/// The hash of a text that stands in its view.
#[inline]
fn view_hash(view: u128, seed: u64) -> u64 {
    fold(view as u64 ^ seed, (view >> 64) as u64 ^ ONE)
}

/// The hash of a longer text.
#[inline]
fn long_hash(text: &[u8], seed: u64) -> u64 {
    if text.len() <= SHORT {
        let (low, high) = pack_short(text);
        return fold(low ^ seed, high ^ ONE.rotate_left(text.len() as u32));
    }
    let ends = (text.first_chunk::<16>(), text.last_chunk::<16>());
    if let (Some(first), Some(last), true) = (ends.0, ends.1, text.len() <= 32) {
        let half = |bytes: &[u8; 16]| {
            let bytes = u128::from_le_bytes(*bytes);
            (bytes as u64, (bytes >> 64) as u64)
        };
        let ((a, b), (c, d)) = (half(first), half(last));
        return fold(fold(a ^ seed, b ^ ONE) ^ c, d ^ ONE.rotate_left(text.len() as u32));
    }
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    hasher.write(text);
    hasher.finish()
}
