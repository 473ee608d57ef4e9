//! Counters for groups told apart by the hash of their key, as [`Sieve`](super::sieve::Sieve) has them. Groups that share a
//! counter are counted together, so a counter is never less than what one of its groups amounts to.

mod sets;

use super::twice::Twice;
use crate::exec::memory::zeros;
use crate::plan::reach::{Reach, Weight};
use crate::value::column::{Batch, Column, Nulls};
use crate::value::compare::truth;
use crate::value::dictionary::Dictionary;
use crate::value::number::Number;
use crate::value::short::short_digits;
use crate::value::{Kind, ValueRef};
use arrow::array::Array;
use sets::Sets;

/// Counters of what rows add to one sum.
pub(super) struct Counters {
    weight: Weight,
    cells: Cells,
    /// Bits of a hash that are not the number of its counter.
    shift: u32,
    /// Weights are counted in units of 2 to this power, rounded up.
    unit: u32,
    least: u32,
}

/// A counter each for the groups of some hashes.
enum Cells {
    /// Of rows: small, so that they stay in the cache.
    Rows(Vec<u8>),
    /// Of rows where the second is enough: each group by itself, as long as there is room.
    Twice(Twice),
    /// Of sums, where one row may be worth much more than another; with what each word of a dictionary adds.
    Sums(Vec<u32>, Option<u64>, Vec<u64>),
    /// Of few different texts.
    Sets(Sets),
    /// Of different texts, where these are words of a dictionary: the word met last, in the upper bits, and how often it
    /// was another one than before. Each word a group has was another one at least once.
    Changes(Vec<u32>, Option<u64>),
}

/// A counter of rows counts up to this many units. That a thousand is counted in units of eight, each row a whole one,
/// lets some more groups pass.
const MOST: u64 = 200;

/// Bits of a sum that must be reached.
const SUM_BITS: u32 = 30;

/// Counters of sums, as a power of two.
const SUMS: u32 = 18;

/// Bits of a counter of changes that are the count, and what can be demanded of it.
const CHANGES: u32 = 12;
const MOST_CHANGES: u32 = (1 << CHANGES) - 1;

/// What can be demanded of a set.
const MOST_WORDS: u64 = 8;

impl Counters {
    /// As many as `bits`, given the size of one and how many make sense, says, as powers of two. Where two rows are enough,
    /// groups are told apart in `apart` bytes.
    pub fn new(reach: Reach, apart: usize, bits: impl Fn(usize, u32) -> u32) -> Counters {
        let Reach { weight, least } = reach;
        let most = match weight {
            Weight::Number(_) => 1 << SUM_BITS,
            Weight::Distinct(_) if least < u64::from(MOST_CHANGES) => u64::from(MOST_CHANGES),
            _ => MOST,
        };
        let mut unit = 0;
        while least >> unit > most {
            unit += 1;
        }
        let (bits, cells) = match weight {
            Weight::Number(_) => {
                let bits = bits(4, SUMS);
                (bits, Cells::Sums(zeros(1 << bits), None, Vec::new()))
            }
            Weight::Distinct(_) if least <= MOST_WORDS => {
                let room = least as usize - 1;
                let bits = bits(4 * room.next_power_of_two(), u32::BITS);
                (bits, Cells::Sets(Sets::new(1 << bits, room)))
            }
            Weight::Distinct(_) if most > MOST => {
                let bits = bits(4, u32::BITS);
                (bits, Cells::Changes(zeros(1 << bits), None))
            }
            _ => {
                let bits = bits(1, u32::BITS);
                let is_twice = least == 2 && apart > 0;
                (bits, if is_twice { Cells::Twice(Twice::new(apart)) } else { Cells::Rows(zeros(1 << bits)) })
            }
        };
        Counters { weight, cells, shift: 64 - bits, unit, least: (least >> unit) as u32 }
    }

    /// Adds the rows of a batch, whose keys have these hashes.
    pub fn add(&mut self, batch: &Batch, keys: &[u64]) {
        if let Cells::Twice(twice) = &mut self.cells {
            let mut fits = true;
            weigh(self.weight, batch, |i, weight| fits &= twice.add(keys[i], weight));
            if !fits {
                self.share();
            }
            return;
        }
        let (shift, unit, weight) = (self.shift, self.unit, self.weight);
        let at = |i: usize| (keys[i] >> shift) as usize;
        let units = |weight: u64| (weight >> unit) + u64::from(weight & ((1 << unit) - 1) != 0);
        match &mut self.cells {
            Cells::Rows(counters) => weigh(weight, batch, |i, weight| {
                let counter = &mut counters[at(i)];
                *counter = counter.saturating_add(units(weight).min(u64::from(u8::MAX)) as u8);
            }),
            Cells::Twice(_) => {}
            Cells::Sums(counters, of, worths) => {
                let mut add = |i: usize, weight: u64| {
                    let counter = &mut counters[at(i)];
                    *counter = counter.saturating_add(units(weight).min(u64::from(u32::MAX)) as u32);
                };
                if let Weight::Number(slot) = weight
                    && let Column::Dict(words, dictionary) = crate::exec::column(batch, slot)
                {
                    if of.replace(dictionary.id()) != Some(dictionary.id()) {
                        worths.clear();
                    }
                    let new = worths.len()..dictionary.len();
                    worths.extend(new.map(|word| worth(dictionary.get(word as u32))));
                    words.iter().enumerate().for_each(|(i, word)| add(i, worths[*word as usize]));
                } else {
                    weigh(weight, batch, add);
                }
            }
            Cells::Sets(sets) => match weight {
                Weight::Distinct(slot) => match &crate::exec::column(batch, slot) {
                    Column::Dict(words, dictionary) => {
                        sets.turn_to(dictionary.id());
                        let present = |(_, word): &(usize, &u32)| **word != Dictionary::NULL;
                        words.iter().enumerate().filter(present).for_each(|(i, word)| sets.insert(at(i), *word));
                    }
                    _ => weigh(weight, batch, |i, _| sets.insert_other(at(i))),
                },
                _ => weigh(weight, batch, |i, _| sets.insert_other(at(i))),
            },
            Cells::Changes(counters, of) => {
                let column = match weight {
                    Weight::Distinct(slot) => crate::exec::column(batch, slot),
                    _ => Column::null(batch.rows),
                };
                match &column {
                    Column::Dict(words, dictionary) => {
                        if *of != Some(dictionary.id()) {
                            // Other words come.
                            counters.iter_mut().for_each(|counter| *counter &= MOST_CHANGES);
                            *of = Some(dictionary.id());
                        }
                        for (i, word) in words.iter().enumerate().filter(|(_, word)| **word != Dictionary::NULL) {
                            let counter = &mut counters[at(i)];
                            // A word that is too large for its bits is another one each time.
                            let known = if *word >> (32 - CHANGES) == 0 { *word << CHANGES } else { 0 };
                            if known == 0 || *counter & !MOST_CHANGES != known {
                                *counter = known | ((*counter & MOST_CHANGES) + 1).min(MOST_CHANGES);
                            }
                        }
                    }
                    _ => weigh(weight, batch, |i, _| raise(&mut counters[at(i)], 1)),
                }
            }
        }
    }

    /// Adds what the rows of a group of this hash have amounted to.
    pub fn add_group(&mut self, hash: u64, weight: u64) {
        let at = (hash >> self.shift) as usize;
        let units = weight.div_ceil(1 << self.unit).min(u64::from(u32::MAX)) as u32;
        match &mut self.cells {
            Cells::Twice(twice) => {
                if weight > 0 && !twice.add(hash, weight) {
                    self.share();
                }
            }
            Cells::Rows(counters) => counters[at] = counters[at].saturating_add(units.min(u32::from(u8::MAX)) as u8),
            Cells::Sums(counters, ..) => counters[at] = counters[at].saturating_add(units),
            Cells::Sets(sets) => (0..units.min(MOST_WORDS as u32)).for_each(|_| sets.insert_other(at)),
            Cells::Changes(counters, _) => raise(&mut counters[at], units.min(MOST_CHANGES)),
        }
    }

    /// From now on groups share counters, which takes less memory.
    pub fn share(&mut self) {
        if let Cells::Twice(twice) = &mut self.cells {
            let twice = std::mem::replace(twice, Twice::new(0));
            self.cells = Cells::Rows(zeros(1 << (u64::BITS - self.shift)));
            twice.iter().for_each(|(hash, times)| self.add_group(hash, times));
        }
    }

    /// Adds what others of the same kind have counted.
    pub fn merge(&mut self, other: &Counters) {
        if let Cells::Twice(twice) = &other.cells {
            return twice.iter().for_each(|(hash, times)| self.add_group(hash, times));
        }
        self.share();
        match (&mut self.cells, &other.cells) {
            (Cells::Rows(all), Cells::Rows(others)) => {
                all.iter_mut().zip(others).for_each(|(a, b)| *a = a.saturating_add(*b));
            }
            (Cells::Sums(all, ..), Cells::Sums(others, ..)) => {
                all.iter_mut().zip(others).for_each(|(a, b)| *a = a.saturating_add(*b));
            }
            (Cells::Sets(all), Cells::Sets(others)) => all.merge(others),
            (Cells::Changes(all, _), Cells::Changes(others, _)) => {
                all.iter_mut().zip(others).for_each(|(a, b)| raise(a, *b & MOST_CHANGES));
            }
            _ => unreachable!("workers of a plan count the same"),
        }
    }

    /// Counts nothing any more.
    pub fn clear(&mut self) {
        match &mut self.cells {
            Cells::Rows(counters) => counters.fill(0),
            Cells::Twice(twice) => twice.clear(),
            Cells::Sums(counters, ..) | Cells::Changes(counters, _) => counters.fill(0),
            Cells::Sets(sets) => sets.clear(),
        }
    }

    /// Whether the group of a key with this hash may have reached what it must.
    #[inline]
    pub fn reaches(&self, key: u64) -> bool {
        let at = (key >> self.shift) as usize;
        match &self.cells {
            Cells::Rows(counters) => u32::from(counters[at]) >= self.least,
            Cells::Twice(twice) => twice.has(key),
            Cells::Sums(counters, ..) => counters[at] >= self.least,
            Cells::Sets(sets) => sets.is_full(at),
            Cells::Changes(counters, _) => counters[at] & MOST_CHANGES >= self.least,
        }
    }

    /// Whether the group of any key may have reached what it must; it is said to, where that is not known.
    pub fn reach_any(&self) -> bool {
        match &self.cells {
            Cells::Rows(counters) => counters.iter().any(|counter| u32::from(*counter) >= self.least),
            Cells::Twice(twice) => twice.has_any(),
            Cells::Sums(counters, ..) => counters.iter().any(|counter| *counter >= self.least),
            Cells::Sets(sets) => sets.is_any_full(),
            Cells::Changes(counters, _) => counters.iter().any(|counter| counter & MOST_CHANGES >= self.least),
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        match &self.cells {
            Cells::Twice(twice) => twice.bytes(),
            Cells::Rows(counters) => counters.len(),
            Cells::Sums(counters, ..) | Cells::Changes(counters, _) => counters.len() * 4,
            Cells::Sets(sets) => sets.bytes(),
        }
    }
}

/// Adds to a counter of changes; which word was the last is no longer known.
fn raise(counter: &mut u32, by: u32) {
    *counter = ((*counter & MOST_CHANGES) + by).min(MOST_CHANGES);
}

/// Calls `add` with each row and what it adds, where that is more than nothing.
#[inline]
pub(super) fn weigh(weight: Weight, batch: &Batch, mut add: impl FnMut(usize, u64)) {
    match weight {
        Weight::One => (0..batch.rows).for_each(|i| add(i, 1)),
        Weight::Present(slot) | Weight::Distinct(slot) => match crate::exec::column(batch, slot).nulls() {
            Nulls::None => (0..batch.rows).for_each(|i| add(i, 1)),
            Nulls::All => {}
            Nulls::Some(nulls) => nulls.valid_indices().for_each(|i| add(i, 1)),
        },
        Weight::True(slot) => match &crate::exec::column(batch, slot) {
            Column::Int(conditions) if conditions.null_count() == 0 => {
                conditions.values().iter().enumerate().filter(|(_, holds)| **holds != 0).for_each(|(i, _)| add(i, 1));
            }
            other => other.iter().enumerate().filter(|(_, cell)| truth(*cell)).for_each(|(i, _)| add(i, 1)),
        },
        Weight::Number(slot) => {
            let column = crate::exec::column(batch, slot);
            for (i, cell) in column.iter().enumerate() {
                match worth(cell) {
                    0 => {}
                    weight => add(i, weight),
                }
            }
        }
    }
}

/// What a number adds.
#[inline]
fn worth(cell: ValueRef<'_>) -> u64 {
    if let ValueRef::Text(Kind::String | Kind::Number, text) = cell
        && let Some(n) = short_digits(text)
    {
        return n as u64;
    }
    match cell.operand() {
        Some(Number::Int(n)) => u64::try_from(n).unwrap_or(0),
        Some(Number::Float(x)) => x.ceil() as u64,
        Some(Number::Big(digits)) if digits.starts_with('-') => 0,
        Some(Number::Big(_)) => u64::MAX,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use crate::value::column::Positions;
    use crate::value::dictionary::Dictionary;

    /// Counters that have seen a column, all rows of one group.
    fn counted(reach: Reach, columns: &[Column]) -> Counters {
        let mut counters = Counters::new(reach, 0, |_, _| 4);
        for column in columns {
            let rows = column.len();
            let batch = Batch { columns: vec![column.clone()], rows, positions: Positions::sequence(0, rows) };
            counters.add(&batch, &vec![7; rows]);
        }
        counters
    }

    fn passes(counters: &Counters) -> bool {
        counters.reaches(7)
    }

    #[test]
    fn a_counter_is_no_less_than_its_groups() {
        let numbers = |all: &[i64]| Column::Int(all.to_vec().into());
        for (least, cells) in [(5, vec![2, 2, 1]), (1_000_000, vec![999_999, 1]), (1 << 40, vec![1 << 39, 1 << 39])] {
            assert!(passes(&counted(Reach { weight: Weight::Number(0), least }, &[numbers(&cells)])), "{least}");
            assert!(!passes(&counted(Reach { weight: Weight::Number(0), least }, &[numbers(&cells[1..])])), "{least}");
        }
        for (weight, least, rows, passing) in
            [(Weight::One, 5, 4, false), (Weight::One, 5, 5, true), (Weight::Present(0), 1001, 1001, true)]
        {
            let seen = counted(Reach { weight, least }, &[numbers(&vec![1; rows])]);
            assert_eq!(passes(&seen), passing, "{least}");
        }
    }

    #[test]
    fn words_count_once_in_a_row() {
        let dict = |words: &[u32]| {
            let dictionary = Dictionary::default();
            (0..words.iter().max().map_or(0, |n| *n)).for_each(|n| {
                dictionary.push(Kind::String, n.to_string().as_bytes());
            });
            Column::Dict(words.to_vec().into(), dictionary.into())
        };
        // Few are told apart by themselves, more by how often they change.
        for least in [3, 30] {
            let words = |n: u32| (1..=n).flat_map(|word| [word, word, 0]).collect::<Vec<u32>>();
            let some = Reach { weight: Weight::Distinct(0), least: u64::from(least) };
            assert!(!passes(&counted(some, &[dict(&words(least - 1))])));
            assert!(passes(&counted(some, &[dict(&words(least))])));
            // Words of another dictionary are others, even if their numbers are the same.
            let again: Vec<Column> = (0..least).map(|_| dict(&[1, 1])).collect();
            assert!(passes(&counted(some, &again)) && !passes(&counted(some, &again[1..])));
            let texts: Column = (0..least).map(|n| crate::value::Value::string(n.to_string())).collect();
            assert!(passes(&counted(some, &[texts])));
            let mut both = counted(some, &[dict(&words(least - 2))]);
            assert!(!passes(&both));
            both.merge(&counted(some, &[dict(&[1, 2])]));
            assert!(passes(&both));
            let mut begun = counted(some, &[]);
            begun.add_group(7, u64::from(least) - 1);
            assert!(!passes(&begun));
            begun.add_group(7, 1);
            assert!(passes(&begun));
        }
        // Going to and fro between few words is no change of their number.
        let three = Reach { weight: Weight::Distinct(0), least: 3 };
        let to_and_fro = dict(&[1, 2, 1, 2, 1, 2]);
        let mut both = counted(three, std::slice::from_ref(&to_and_fro));
        both.merge(&counted(three, &[to_and_fro]));
        assert!(!passes(&both));
    }

    #[test]
    fn what_comes_twice_is_told_apart_as_long_as_there_is_room() {
        let reach = Reach { weight: Weight::Present(0), least: 2 };
        let column: Column =
            [Some(1), None, Some(1)].map(|cell| cell.map_or(Value::Null, Value::Int)).into_iter().collect();
        let batch = Batch { columns: vec![column], rows: 3, positions: Positions::sequence(0, 3) };
        let counters = |apart: usize, keys: &[[u64; 3]]| {
            let mut counters = Counters::new(reach, apart, |_, _| 4);
            keys.iter().for_each(|keys| counters.add(&batch, keys));
            counters
        };
        const ROOM: usize = 1 << 12;
        // The second row of each batch has no value. All hashes have the same first bits.
        let once = counters(ROOM, &[[1, 2, 3], [4, 2, 5]]);
        assert!(!once.reach_any() && (1..=5).all(|key| !once.reaches(key)));
        let mut twice = counters(ROOM, &[[1, 2, 3], [4, 2, 1]]);
        assert!(twice.reach_any() && (1..=5).all(|key| twice.reaches(key) == (key == 1)));
        twice.merge(&once);
        twice.add_group(6, 2);
        twice.add_group(7, 1);
        assert!((1..=7).all(|key| twice.reaches(key) != [2, 5, 7].contains(&key)));
        // Without room, groups share counters, of which there are few here; so do they with others that have none.
        let shared = counters(18, &[[1, 2, 3], [4, 2, 5]]);
        assert!(shared.reach_any() && shared.reaches(2) && !shared.reaches(1 << 63));
        let mut all = counters(ROOM, &[[1 << 63, 2, 3]]);
        assert!(!all.reach_any());
        all.merge(&shared);
        assert!(all.reaches(3) && !all.reaches(1 << 63) && matches!(all.cells, Cells::Rows(_)));
    }
}
