//! Hashes of cells, each column's found out once a batch for all who look its values up.
//!
//! A hash is that of the cell's identity (see [`key`](super::group::key)): `404` and `"404"` have the same, and so have a
//! time and its text.

use crate::plan::Slot;
use crate::value::column::{Batch, Column};
use crate::value::dictionary::Dictionary;
use crate::value::short::{ONE, SHORT, fold, pack_short};
use crate::value::{ValueRef, time};
use arrow::array::Array;
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// The hashes of the columns of a batch.
pub(crate) struct Hashes {
    seed: u64,
    known: Vec<(Column, Arc<[u64]>)>,
    sums: Vec<u64>,
    /// Of the words of dictionaries, by their id.
    words: Vec<(u64, Vec<u64>)>,
}

/// Dictionaries whose words' hashes are kept.
const DICTIONARIES: usize = 64;

impl Hashes {
    /// Hashes that start from `seed`.
    pub fn new(seed: u64) -> Hashes {
        Hashes { seed, known: Vec::new(), sums: Vec::new(), words: Vec::new() }
    }

    /// Another batch comes.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// Forgets the words of dictionaries.
    pub fn forget(&mut self) {
        self.words.clear();
    }

    /// Bytes of memory held for longer than a batch.
    pub fn bytes(&self) -> usize {
        self.words.iter().map(|(_, hashes)| hashes.capacity() * 8).sum()
    }

    /// The hash of each row's key.
    pub fn keys(&mut self, batch: &Batch, keys: &[Slot]) -> &[u64] {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(batch.rows, self.seed);
        for slot in keys {
            let column = super::column(batch, *slot);
            if let Column::Const(value, _) = &column {
                let hash = cell_hash(value.as_ref(), self.seed);
                sums.iter_mut().for_each(|sum| *sum = join(*sum, hash));
            } else {
                let of = self.of(&column);
                sums.iter_mut().zip(of.iter()).for_each(|(sum, hash)| *sum = join(*sum, *hash));
            }
        }
        self.sums = sums;
        &self.sums
    }

    /// A hash of each row's key that holds within the batch only: where words are different texts, it is of their numbers.
    pub fn within(&mut self, batch: &Batch, keys: &[Slot]) -> &[u64] {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(batch.rows, self.seed);
        for slot in keys {
            match super::column(batch, *slot) {
                Column::Const(..) => {}
                Column::Dict(words, dictionary) if dictionary.tells_texts_apart() => {
                    sums.iter_mut().zip(&words).for_each(|(sum, word)| *sum = join(*sum, u64::from(*word)));
                }
                Column::Time(times) if times.null_count() == 0 => {
                    sums.iter_mut().zip(times.values()).for_each(|(sum, ms)| *sum = join(*sum, *ms as u64));
                }
                other => {
                    let of = self.of(&other);
                    sums.iter_mut().zip(of.iter()).for_each(|(sum, hash)| *sum = join(*sum, *hash));
                }
            }
        }
        self.sums = sums;
        &self.sums
    }

    /// The hash of each word of a dictionary.
    pub fn of_words(&mut self, dictionary: &Dictionary) -> &[u64] {
        let at = self.words.iter().position(|(id, _)| *id == dictionary.id()).unwrap_or_else(|| {
            if self.words.len() >= DICTIONARIES {
                self.words.remove(0);
            }
            self.words.push((dictionary.id(), Vec::new()));
            self.words.len() - 1
        });
        let (seed, hashes) = (self.seed, &mut self.words[at].1);
        hashes.extend((hashes.len()..dictionary.len()).map(|word| cell_hash(dictionary.get(word as u32), seed)));
        hashes
    }

    /// The hash of a cell.
    pub fn of_cell(&self, cell: ValueRef<'_>) -> u64 {
        cell_hash(cell, self.seed)
    }

    /// The hash of a time.
    pub fn of_time(&self, ms: i64) -> u64 {
        time_hash(ms, self.seed)
    }

    /// The hash of each cell.
    pub fn of(&mut self, column: &Column) -> Arc<[u64]> {
        if let Some((_, known)) = self.known.iter().find(|(other, _)| is_same(other, column)) {
            return Arc::clone(known);
        }
        let seed = self.seed;
        let hashes: Arc<[u64]> = match column {
            Column::Text(array, _) => {
                let hash = |i: usize| if array.is_null(i) { NOTHING } else { text_hash(array.value(i), seed) };
                (0..array.len()).map(hash).collect()
            }
            Column::Dict(numbers, dictionary) => {
                let of = self.of_words(dictionary);
                numbers.iter().map(|number| of[*number as usize]).collect()
            }
            Column::Time(times) if times.null_count() == 0 => {
                times.values().iter().map(|ms| time_hash(*ms, seed)).collect()
            }
            other => other.iter().map(|cell| cell_hash(cell, seed)).collect(),
        };
        // The column is kept so that no other can come to lie in its place.
        self.known.push((column.clone(), Arc::clone(&hashes)));
        hashes
    }
}

/// Two columns are the same memory.
pub(in crate::exec) fn is_same(a: &Column, b: &Column) -> bool {
    let nulls = |array: &dyn Array| array.nulls().map(|n| (n.buffer().as_ptr(), n.offset()));
    match (a, b) {
        (Column::Text(a, _), Column::Text(b, _)) => {
            a.views().as_ptr() == b.views().as_ptr() && a.len() == b.len() && nulls(a) == nulls(b)
        }
        (Column::Int(a), Column::Int(b)) | (Column::Time(a), Column::Time(b)) => {
            a.values().as_ptr() == b.values().as_ptr() && a.len() == b.len() && nulls(a) == nulls(b)
        }
        (Column::Dict(a, _), Column::Dict(b, _)) => a.as_ptr() == b.as_ptr() && a.len() == b.len(),
        _ => false,
    }
}

/// The hash of a key of cells with these hashes.
pub(super) fn key_hash(cells: impl Iterator<Item = u64>, seed: u64) -> u64 {
    cells.fold(seed, join)
}

/// The hash of a cell's identity.
fn cell_hash(cell: ValueRef<'_>, seed: u64) -> u64 {
    match cell {
        ValueRef::Null => NOTHING,
        ValueRef::Time(ms) => time_hash(ms, seed),
        cell => cell.text().map_or(NOTHING, |text| text_hash(&text, seed)),
    }
}

fn text_hash(text: &[u8], seed: u64) -> u64 {
    if text.len() <= SHORT {
        let (low, high) = pack_short(text);
        return short_hash(low, high, text.len(), seed);
    }
    if let Some(ms) = time::as_canonical(text) {
        return time_hash(ms, seed);
    }
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    hasher.write(text);
    hasher.finish()
}

fn time_hash(ms: i64, seed: u64) -> u64 {
    fold(ms as u64 ^ seed, ONE)
}

fn short_hash(low: u64, high: u64, length: usize, seed: u64) -> u64 {
    fold(low ^ seed, high ^ ONE.rotate_left(length as u32))
}

fn join(hash: u64, next: u64) -> u64 {
    fold(hash.rotate_left(23) ^ next, ONE)
}

const NOTHING: u64 = 0x082e_fa98_ec4e_6c89;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::column::Positions;
    use crate::value::{Kind, Value};

    #[test]
    fn keys_are_told_apart_within_a_batch() {
        // Told apart by their numbers, and as texts.
        let dict = |words: Dictionary| {
            [(Kind::String, b"1"), (Kind::String, b"2"), (Kind::Number, b"1")].iter().for_each(|(kind, word)| {
                words.push(*kind, *word);
            });
            words
        };
        let mixed = Column::Dict(vec![1, 2, 3, 1, 0, 1].into(), dict(Dictionary::of_different_words()).into());
        let times = Column::Time(vec![5, 5, 5, 7, 5, 5].into());
        let texts: Column = ["x", "x", "x", "x", "x", "y"].map(Value::string).into_iter().collect();
        let one = Column::Const(Value::string("c"), 6);
        let words = Dictionary::of_different_words();
        ["1", "2"].iter().for_each(|word| {
            words.push(Kind::String, word.as_bytes());
        });
        let words = Column::Dict(vec![1, 2, 1, 1, 0, 1].into(), words.into());
        for word in [mixed, words] {
            let columns = vec![word, times.clone(), texts.clone(), one.clone()];
            let batch = Batch { columns, rows: 6, positions: Positions::sequence(0, 6) };
            let mut hashes = Hashes::new(7);
            let of = hashes.within(&batch, &[0, 1, 2, 3]);
            let same = |a: usize, b: usize| of[a] == of[b];
            assert!(same(0, 2) && (1..6).filter(|i| *i != 2).all(|i| !same(0, i)));
        }
    }

    #[test]
    fn a_cell_has_the_same_hash_in_any_column() {
        let texts = ["", "a", "twelve bytes", "thirteen bytes", "2025-11-01 00:00:00.000"];
        let mut cells: Vec<Value> = texts.iter().map(|t| Value::Text(Kind::String, t.as_bytes().into())).collect();
        cells.extend([Value::Null, Value::Int(404), Value::Time(1_761_955_200_000), Value::Bool(true)]);
        for cell in &cells {
            let column = Column::Const(cell.clone(), 1);
            let filled: Column =
                [cell.clone(), Value::Text(Kind::String, b"another".as_slice().into())].into_iter().collect();
            let words = Dictionary::default();
            let word = cell.as_ref().text().map_or(Dictionary::NULL, |text| words.push(Kind::String, &text));
            let dict = Column::Dict(vec![word].into(), words.into());
            let batch = |column| Batch { columns: vec![column], rows: 1, positions: Positions::sequence(0, 1) };
            let expected = key_hash(std::iter::once(Hashes::new(7).of_cell(cell.as_ref())), 7);
            for column in [column, filled.slice(0, 1), dict] {
                assert_eq!(Hashes::new(7).keys(&batch(column), &[0]), [expected], "{cell:?}");
            }
        }
    }
}
