//! Sorting by texts that come again and again: each is put in its place among the others once, and rows then compare by
//! small numbers ("rank encoding" of a dictionary; Binnig, Hildenbrand & Färber, "Dictionary-based Order-preserving String
//! Compression for Main Memory Column Stores", 2009).

use crate::exec::Ctl;
use crate::exec::shared::coder;
use crate::plan::{Slot, SortKey};
use crate::value::Value;
use crate::value::column::{Batch, Column};
use crate::value::dictionary::Dictionary;
use crate::value::order;
use rayon::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

/// Of one key, the rank of each word of the dictionary that all batches have in common.
pub(super) struct Ranks(Vec<u32>);

/// Rows that a word must stand for, on average, to be worth a rank.
const REPEATS: usize = 2;

impl Ranks {
    /// The ranks of each key that has them.
    pub fn of(batches: &[Batch], keys: &[SortKey]) -> Vec<Option<Ranks>> {
        let rows: usize = batches.iter().map(|batch| batch.rows).sum();
        let ranks = |key: &SortKey| {
            let dictionary = dictionary(batches, key.slot)?;
            (dictionary.len() * REPEATS <= rows).then(|| Ranks::new(&dictionary, key))
        };
        keys.iter().map(ranks).collect()
    }

    fn new(dictionary: &Dictionary, key: &SortKey) -> Ranks {
        let of_word = |word: u32| {
            let mut bytes = Vec::new();
            order::push(dictionary.get(word), false, key.by_text, &mut bytes);
            (bytes, word)
        };
        let mut words: Vec<(Vec<u8>, u32)> = (0..dictionary.len() as u32).into_par_iter().map(of_word).collect();
        words.par_sort_unstable();
        let mut ranks = vec![0; words.len()];
        let mut rank = 0;
        for (at, (bytes, word)) in words.iter().enumerate() {
            // What is the same to the order has the same rank.
            rank += u32::from(at > 0 && words[at - 1].0 != *bytes);
            ranks[*word as usize] = rank;
        }
        Ranks(ranks)
    }

    /// Appends the key of a row of a column of words, or of nulls.
    pub fn push(&self, column: &Column, row: usize, descending: bool, out: &mut Vec<u8>) {
        let word = if let Column::Dict(words, _) = column { words[row] } else { Dictionary::NULL };
        let rank = self.0[word as usize];
        out.extend_from_slice(&if descending { !rank } else { rank }.to_be_bytes());
    }
}

/// The batches with the words of each column in one dictionary, where these are few for the rows.
pub(super) fn in_one(mut batches: Vec<Batch>, ctl: &Ctl) -> Vec<Batch> {
    let rows: usize = batches.iter().map(|batch| batch.rows).sum();
    let width = batches.iter().map(|batch| batch.columns.len()).max().unwrap_or(0);
    let dictionaries = |slot: usize| {
        let mut all: Vec<&Arc<Dictionary>> = Vec::new();
        for batch in &batches {
            match batch.columns.get(slot) {
                Some(Column::Dict(_, one)) if all.iter().all(|other| other.id() != one.id()) => all.push(one),
                None | Some(Column::Dict(..) | Column::Const(Value::Null, _)) => {}
                Some(_) => return None,
            }
        }
        let words: usize = all.iter().map(|one| one.len()).sum();
        (all.len() > 1 && words * REPEATS <= rows).then(|| coder::in_one(&all, |_| false, ctl))
    };
    let ones: Vec<_> = (0..width).into_par_iter().map(dictionaries).collect();
    batches.par_iter_mut().for_each(|batch| {
        for (column, one) in batch.columns.iter_mut().zip(&ones) {
            if let (Column::Dict(words, of), Some((dictionary, numbers))) = (&*column, one) {
                let number = &numbers[&of.id()];
                let words = words.iter().map(|word| number[*word as usize]).collect();
                *column = Column::Dict(words, Arc::clone(dictionary));
            }
        }
    });
    batches
}

/// The dictionary of a column, if all batches that have anything in it have the same.
pub(super) fn dictionary(batches: &[Batch], slot: Slot) -> Option<Arc<Dictionary>> {
    let mut found: Option<&Arc<Dictionary>> = None;
    for batch in batches {
        match batch.columns.get(slot) {
            Some(Column::Dict(_, dictionary)) if found.is_none_or(|found| found.id() == dictionary.id()) => {
                found = Some(dictionary);
            }
            None | Some(Column::Const(Value::Null, _)) => {}
            Some(_) => return None,
        }
    }
    found.map(Arc::clone)
}

/// Tells row by row, of a batch and a place in it, whether it may be the first with its combination of words; rows with a
/// null among them always may. Nothing where a column is not one of words.
pub(super) fn first_of<'b>(batches: &'b [Batch], slots: &[Slot]) -> Option<impl FnMut(usize, usize) -> bool + 'b> {
    /// As many words as a key of 128 bits holds.
    const MOST: usize = 4;
    if slots.len() > MOST || slots.iter().any(|slot| dictionary(batches, *slot).is_none()) {
        return None;
    }
    let words = |batch: &'b Batch, slot: &Slot| match batch.columns.get(*slot) {
        Some(Column::Dict(words, _)) => Some(&words[..]),
        _ => None,
    };
    // One list of words a batch and slot; none where the column is null.
    let all: Vec<Vec<Option<&[u32]>>> =
        batches.iter().map(|batch| slots.iter().map(|slot| words(batch, slot)).collect()).collect();
    let mut seen: HashSet<u128, foldhash::fast::RandomState> = HashSet::default();
    Some(move |batch: usize, row: usize| {
        let mut key = 0;
        for words in &all[batch] {
            match words.map_or(Dictionary::NULL, |words| words[row]) {
                Dictionary::NULL => return true,
                word => key = key << 32 | u128::from(word),
            }
        }
        seen.insert(key)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Wanted, sort};
    use super::*;
    use crate::value::Kind;
    use crate::value::column::Positions;

    #[test]
    fn rows_by_ranks_are_in_the_order_of_rows_by_texts() {
        let words = Dictionary::default();
        for (kind, text) in [
            (Kind::String, "b"),
            (Kind::String, "a10"),
            (Kind::String, "a9"),
            (Kind::Number, "10"),
            (Kind::String, "9"),
            (Kind::String, "09"),
            (Kind::Map, "{}"),
            (Kind::String, ""),
        ] {
            words.push(kind, text.as_bytes());
        }
        let words = Arc::new(words);
        let count = words.len() as u32;
        let batch = |of: &dyn Fn(u32) -> u32, base: u64| {
            let column = |by: u32| Column::Dict((0..50).map(|row| of(row * by)).collect(), Arc::clone(&words));
            let columns = vec![column(1), column(7), Column::Int((0..50).map(|row| row % 3).collect())];
            Batch { columns, rows: 50, positions: Positions::sequence(base, 50) }
        };
        let mut batches = vec![batch(&|n| n % count, 0), batch(&|n| (n * 5 + 3) % count, 50)];
        batches[1].columns[1] = Column::null(50);
        let as_texts = |column: &Column| match column {
            Column::Dict(..) => column.iter().map(|value| value.to_value()).collect(),
            other => other.clone(),
        };
        let texts = |batch: &Batch| Batch { columns: batch.columns.iter().map(as_texts).collect(), ..batch.clone() };
        let plain: Vec<Batch> = batches.iter().map(texts).collect();
        let ctl = Ctl::new(2).expect("threads");
        let cells = |batches: Vec<Batch>| -> Vec<String> {
            let all =
                batches.iter().flat_map(|b| b.columns.iter().map(|c| format!("{:?}", c.iter().collect::<Vec<_>>())));
            all.collect()
        };
        for (first, then) in [(0, 1), (1, 0), (1, 2), (2, 0)] {
            for (descending, by_text) in [(false, false), (true, false), (false, true), (true, true)] {
                let keys = [
                    SortKey { slot: first, descending, by_text },
                    SortKey { slot: then, descending: !descending, by_text },
                ];
                assert!(Ranks::of(&batches, &keys).iter().any(Option::is_some));
                assert!(Ranks::of(&plain, &keys).iter().all(Option::is_none));
                let sorted =
                    |batches: &[Batch]| cells(sort(batches.to_vec(), &keys, Wanted::All, &ctl).expect("sorts"));
                assert_eq!(sorted(&batches), sorted(&plain), "{keys:?}");
            }
        }
    }

    #[test]
    fn the_first_of_each_combination_stay() {
        let words = Arc::new(Dictionary::default());
        ["a", "b", "c"].iter().for_each(|word| {
            words.push(Kind::String, word.as_bytes());
        });
        let column = |of: &[u32]| Column::Dict(of.to_vec().into(), Arc::clone(&words));
        let batch = |one: Column, other: Column, n: &[i64], base: u64| {
            let columns = vec![one, other, Column::Int(n.to_vec().into())];
            Batch { columns, rows: n.len(), positions: Positions::sequence(base, n.len()) }
        };
        let batches = vec![
            batch(column(&[1, 1, 0, 2]), column(&[3, 3, 1, 1]), &[4, 2, 6, 5], 0),
            batch(column(&[1, 0, 2]), column(&[3, 1, 2]), &[1, 7, 3], 4),
            batch(column(&[1, 2]), Column::null(2), &[8, 9], 7),
        ];
        let keys = [SortKey { slot: 2, descending: false, by_text: false }];
        let ctl = Ctl::new(1).expect("a thread");
        let stay = |slots: &[Slot]| -> Vec<String> {
            let sorted = sort(batches.clone(), &keys, Wanted::FirstOf(slots), &ctl).expect("sorts");
            sorted
                .iter()
                .flat_map(|b| {
                    b.columns[2]
                        .iter()
                        .map(|n| n.text().map_or_else(String::new, |t| String::from_utf8_lossy(&t).into_owned()))
                })
                .collect()
        };
        assert_eq!(stay(&[0]), ["1", "3", "6", "7"]);
        assert_eq!(stay(&[0, 1]), ["1", "3", "5", "6", "7", "8", "9"]);
        // Of a column that is not of words, all do.
        assert_eq!(stay(&[2]).len(), 9);
    }
}
