//! Groups so many that most are too small to be kept: rows are only counted, by the hash of their group's key, and those
//! of groups that can be kept are grouped at a second look.
//!
//! Groups that share a counter are counted together, so a counter is never less than what one of its groups amounts to,
//! and a group whose counter does not reach what the filters behind `stats` demand ([`reach`](crate::plan::reach)) is not
//! kept whatever its rows hold.

use super::{GroupTable, fresh};
use crate::exec::ctl::Ctl;
use crate::exec::hashes::Hashes;
use crate::plan::Slot;
use crate::plan::reach::{Ceiling, Reach, Weight};
use crate::value::column::{Batch, Column, Nulls};
use crate::value::compare::truth;
use crate::value::dictionary::Dictionary;
use crate::value::number::Number;
use crate::value::short::short_digits;
use crate::value::{Kind, ValueRef};
use arrow::array::Array;
use arrow::buffer::BooleanBuffer;

/// Counters of one worker, or of all.
pub(crate) struct Sieve {
    counters: Counters,
    /// Bits of a hash that are not the number of its counter.
    shift: u32,
    /// Weights are counted in units of 2 to this power, rounded up.
    unit: u32,
    least: u32,
}

/// A counter each for the groups of some hashes.
enum Counters {
    /// Of rows: small, so that they stay in the cache.
    Rows(Vec<u8>),
    /// Of sums, where one row may be worth much more than another; with what each word of a dictionary adds.
    Sums(Vec<u32>, Option<u64>, Vec<u64>),
    /// Of different texts, where these are words of a dictionary: the word met last, in the upper bits, and how often it
    /// was another one than before. Each word a group has was another one at least once.
    Changes(Vec<u32>, Option<u64>),
}

/// Counters times what a group must reach, as a power of two: with fewer, hundreds of millions of rows would fill all.
const SPREAD: u32 = 28;

/// A counter of rows counts up to this many units. That a thousand is counted in units of eight, each row a whole one,
/// lets some more groups pass.
const MOST: u64 = 200;

/// Bits of a sum that must be reached.
const SUM_BITS: u32 = 30;

/// The fewest counters, as a power of two, where all rows are counted.
const LEAST: u32 = 16;

/// Counters of sums, as a power of two.
const SUMS: u32 = 18;

/// Bits of a counter of changes that are the count, and what can be demanded of it.
const CHANGES: u32 = 12;
const MOST_CHANGES: u32 = (1 << CHANGES) - 1;

impl Sieve {
    /// With 2 to the power of `room` bytes at most, but for the least that makes sense.
    fn new(reach: Reach, room: u32) -> Sieve {
        // The more a group must reach, the more groups may share a counter.
        let spread = SPREAD.saturating_sub(reach.least.max(1).ilog2());
        Sieve::of(reach, |bytes, most| room.saturating_sub(bytes.ilog2()).min(spread).min(most).max(LEAST))
    }

    /// For the groups of so many rows.
    fn of_part(reach: Reach, rows: usize) -> Sieve {
        /// Counters for each group that there could be, as a power of two.
        const EACH: u32 = 4;
        const SOME: u32 = 12;
        let groups = (rows as u64 / reach.least.max(1)).max(1).ilog2();
        Sieve::of(reach, |_, most| (groups + EACH).min(most).clamp(SOME, LEAST))
    }

    /// With as many counters as `bits`, given their size and how many make sense, says, as powers of two.
    fn of(reach: Reach, bits: impl Fn(usize, u32) -> u32) -> Sieve {
        let most = match reach.weight {
            Weight::Number(_) => 1 << SUM_BITS,
            Weight::Distinct(_) if reach.least < u64::from(MOST_CHANGES) => u64::from(MOST_CHANGES),
            _ => MOST,
        };
        let mut unit = 0;
        while reach.least >> unit > most {
            unit += 1;
        }
        let (bits, counters): (u32, fn(usize) -> Counters) = match reach.weight {
            Weight::Number(_) => (bits(4, SUMS), |n| Counters::Sums(zeros(n), None, Vec::new())),
            Weight::Distinct(_) if most > MOST => (bits(4, u32::BITS), |n| Counters::Changes(zeros(n), None)),
            _ => (bits(1, u32::BITS), |n| Counters::Rows(zeros(n))),
        };
        let least = (reach.least >> unit) as u32;
        Sieve { counters: counters(1 << bits), shift: 64 - bits, unit, least }
    }

    /// Adds the rows of a batch, whose keys have these hashes.
    fn add(&mut self, weight: Weight, batch: &Batch, keys: &[u64]) {
        let (shift, unit) = (self.shift, self.unit);
        let at = |i: usize| (keys[i] >> shift) as usize;
        let units = |weight: u64| (weight >> unit) + u64::from(weight & ((1 << unit) - 1) != 0);
        match &mut self.counters {
            Counters::Rows(counters) => weigh(weight, batch, |i, weight| {
                let counter = &mut counters[at(i)];
                *counter = counter.saturating_add(units(weight).min(u64::from(u8::MAX)) as u8);
            }),
            Counters::Sums(counters, of, worths) => {
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
            Counters::Changes(counters, of) => {
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
    fn add_group(&mut self, hash: u64, weight: u64) {
        let at = (hash >> self.shift) as usize;
        let units = weight.div_ceil(1 << self.unit).min(u64::from(u32::MAX)) as u32;
        match &mut self.counters {
            Counters::Rows(counters) => counters[at] = counters[at].saturating_add(units.min(u32::from(u8::MAX)) as u8),
            Counters::Sums(counters, ..) => counters[at] = counters[at].saturating_add(units),
            Counters::Changes(counters, _) => raise(&mut counters[at], units.min(MOST_CHANGES)),
        }
    }

    fn merge(&mut self, other: &Sieve) {
        match (&mut self.counters, &other.counters) {
            (Counters::Rows(all), Counters::Rows(others)) => {
                all.iter_mut().zip(others).for_each(|(a, b)| *a = a.saturating_add(*b));
            }
            (Counters::Sums(all, ..), Counters::Sums(others, ..)) => {
                all.iter_mut().zip(others).for_each(|(a, b)| *a = a.saturating_add(*b));
            }
            (Counters::Changes(all, _), Counters::Changes(others, _)) => {
                all.iter_mut().zip(others).for_each(|(a, b)| raise(a, *b & MOST_CHANGES));
            }
            _ => unreachable!("workers of a plan count the same"),
        }
    }

    /// Counts nothing any more.
    fn clear(&mut self) {
        match &mut self.counters {
            Counters::Rows(counters) => counters.fill(0),
            Counters::Sums(counters, ..) | Counters::Changes(counters, _) => counters.fill(0),
        }
    }

    /// The rows whose groups may be kept.
    pub fn passing(&self, batch: &Batch, keys: &[Slot], hashes: &mut Hashes) -> BooleanBuffer {
        self.pass(hashes.keys(batch, keys))
    }

    /// The rows, of keys with these hashes, whose groups may be kept.
    fn pass(&self, keys: &[u64]) -> BooleanBuffer {
        let at = |i: usize| (keys[i] >> self.shift) as usize;
        let (rows, least) = (keys.len(), self.least);
        match &self.counters {
            Counters::Rows(counters) => BooleanBuffer::collect_bool(rows, |i| u32::from(counters[at(i)]) >= least),
            Counters::Sums(counters, ..) => BooleanBuffer::collect_bool(rows, |i| counters[at(i)] >= least),
            Counters::Changes(counters, _) => {
                BooleanBuffer::collect_bool(rows, |i| counters[at(i)] & MOST_CHANGES >= least)
            }
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        match &self.counters {
            Counters::Rows(counters) => counters.len(),
            Counters::Sums(counters, ..) | Counters::Changes(counters, _) => counters.len() * 4,
        }
    }
}

/// What leaves out rows whose groups cannot be kept, where a batch holds all rows of its groups.
pub(crate) struct OfBatch<'a> {
    keys: &'a [Slot],
    reach: Reach,
    sieve: Sieve,
}

impl<'a> OfBatch<'a> {
    /// For batches of so many rows, or more.
    pub fn new(keys: &'a [Slot], reach: Reach, rows: usize) -> OfBatch<'a> {
        OfBatch { keys, reach, sieve: Sieve::of_part(reach, rows) }
    }

    /// The rows of a batch whose groups may be kept.
    pub fn passing(&mut self, batch: &Batch, hashes: &mut Hashes) -> BooleanBuffer {
        let OfBatch { keys, reach, sieve } = self;
        let keys = hashes.keys(batch, keys);
        sieve.clear();
        sieve.add(reach.weight, batch, keys);
        sieve.pass(keys)
    }
}

/// Counters at nothing, whose memory is really there: pages that are read before they are written are got twice.
fn zeros<T: Clone + Default>(n: usize) -> Vec<T> {
    let mut counters = Vec::with_capacity(n);
    counters.resize(n, T::default());
    counters
}

/// Adds to a counter of changes; which word was the last is no longer known.
fn raise(counter: &mut u32, by: u32) {
    *counter = ((*counter & MOST_CHANGES) + by).min(MOST_CHANGES);
}

/// What groups must reach to be kept, and what they amount to: each by itself, or by counters once they are too many.
pub(super) struct Count {
    reach: Reach,
    weights: Vec<u64>,
    sieve: Option<Sieve>,
}

/// Groups that have become too large to be kept: the rest of their rows need not be looked at.
pub(super) struct Over {
    ceiling: Ceiling,
    /// Of each group, until it is too large.
    weights: Vec<u64>,
}

impl Over {
    pub fn clear(&mut self) {
        self.weights.clear();
    }
}

impl<'a> GroupTable<'a> {
    /// Only groups that stay below so much will be kept.
    pub fn limit(&mut self, ceiling: Ceiling) {
        self.over = Some(Over { ceiling, weights: Vec::new() });
    }

    /// The rows of a batch whose groups may still be kept, and their groups; nothing if that is all.
    pub(super) fn left(&mut self, batch: &Batch, groups: &mut Vec<u32>) -> Option<Batch> {
        let n = self.len();
        let Over { ceiling, weights } = self.over.as_mut()?;
        weights.resize(n, 0);
        let open = |i: &usize| weights[groups[*i] as usize] <= ceiling.most;
        let rows: Vec<u32> = (0..batch.rows).filter(open).map(|i| i as u32).collect();
        let left = (rows.len() < batch.rows).then(|| batch.take(&rows));
        if left.is_some() {
            *groups = rows.iter().map(|i| groups[*i as usize]).collect();
        }
        weigh(ceiling.weight, left.as_ref().unwrap_or(batch), |i, weight| weights[groups[i] as usize] += weight);
        left
    }

    /// Only groups that reach so much will be kept; where there are many, [`GroupTable::sieve`] says which can.
    pub fn demand(&mut self, reach: Reach) {
        self.count = Some(Count { reach, weights: Vec::new(), sieve: None });
    }

    /// Counts the rows of a batch if groups are too many; false if they are to be grouped.
    pub(super) fn sift(&mut self, batch: &Batch, hashes: &mut Hashes) -> bool {
        let Some(Count { reach, sieve: Some(sieve), .. }) = &mut self.count else { return false };
        let keys = hashes.keys(batch, self.keys);
        sieve.add(reach.weight, batch, keys);
        true
    }

    /// Rows of the scan have been looked at for those that belong here.
    pub fn scanned(&mut self, rows: usize) {
        self.scanned += rows;
    }

    /// Weighs the rows of a batch, as long as each group has a weight of its own.
    pub(super) fn weigh(&mut self, batch: &Batch, groups: &[u32]) {
        let n = self.len();
        if let Some(Count { reach, weights, sieve: None }) = &mut self.count {
            weights.resize(n, 0);
            weigh(reach.weight, batch, |i, weight| {
                let sum = &mut weights[groups[i] as usize];
                *sum = sum.saturating_add(weight);
            });
        }
    }

    /// Groups are too many to be built before it is known which are kept. Where one text makes the group, there are
    /// seldom as many as where times and other texts tell them apart, too; and where they become many only as so many
    /// rows are looked at, to look at all rows again costs more than to build some more groups.
    pub(super) fn are_many(&self) -> bool {
        const MORE: usize = 32;
        const SELDOM: usize = 16;
        const STILL: usize = 8;
        let most = self.ctl.groups_kept();
        let most = if self.keys.len() == 1 { most.saturating_mul(MORE) } else { most };
        let n = self.len();
        let are_often = n.saturating_mul(SELDOM) > self.scanned;
        self.count.is_some() && n > if are_often { most } else { most.saturating_mul(STILL) }
    }

    /// Forgets the groups but for what they amount to.
    pub(super) fn pour(&mut self) {
        let Some(Count { reach, weights, .. }) = self.count.take() else { return };
        let mut sieve = Sieve::new(reach, self.ctl.memory().counter_bits());
        weights.iter().enumerate().for_each(|(group, weight)| sieve.add_group(self.hash(group), *weight));
        self.share.set(sieve.bytes());
        self.count = Some(Count { reach, weights: Vec::new(), sieve: Some(sieve) });
        self.clear();
        self.states = self.calls.iter().map(|call| fresh(call, self.ctl)).collect();
    }

    /// The counters of several tables together, if one of them had too many groups: then none has an answer.
    pub fn sieve(tables: Vec<&mut GroupTable<'a>>, ctl: &Ctl) -> Option<Sieve> {
        let counted = |table: &GroupTable<'_>| table.count.as_ref().is_some_and(|count| count.sieve.is_some());
        if !tables.iter().any(|table| counted(table)) {
            return None;
        }
        let mut all: Option<Sieve> = None;
        for table in tables {
            if ctl.aborted() {
                break;
            }
            if !counted(table) {
                table.pour();
            }
            match (&mut all, table.count.take().and_then(|count| count.sieve)) {
                (Some(all), Some(sieve)) => all.merge(&sieve),
                (all, sieve) => *all = sieve,
            }
            table.share.set(0);
        }
        all
    }
}

/// Calls `add` with each row and what it adds, where that is more than nothing.
#[inline]
fn weigh(weight: Weight, batch: &Batch, mut add: impl FnMut(usize, u64)) {
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
    use crate::value::column::Positions;
    use crate::value::dictionary::Dictionary;

    /// A sieve that has seen a column, all rows of one group.
    fn sieve(reach: Reach, columns: &[Column]) -> Sieve {
        let mut sieve = Sieve::new(reach, 16);
        for column in columns {
            let rows = column.len();
            let batch = Batch { columns: vec![column.clone()], rows, positions: Positions::sequence(0, rows) };
            sieve.add(reach.weight, &batch, &vec![7; rows]);
        }
        sieve
    }

    /// Whether the group passes.
    fn passes(sieve: &Sieve) -> bool {
        match &sieve.counters {
            Counters::Rows(counters) => u32::from(counters[0]) >= sieve.least,
            Counters::Sums(counters, ..) => counters[0] >= sieve.least,
            Counters::Changes(counters, _) => counters[0] & MOST_CHANGES >= sieve.least,
        }
    }

    #[test]
    fn a_counter_is_no_less_than_its_groups() {
        let numbers = |all: &[i64]| Column::Int(all.to_vec().into());
        for (least, cells) in [(5, vec![2, 2, 1]), (1_000_000, vec![999_999, 1]), (1 << 40, vec![1 << 39, 1 << 39])] {
            assert!(passes(&sieve(Reach { weight: Weight::Number(0), least }, &[numbers(&cells)])), "{least}");
            assert!(!passes(&sieve(Reach { weight: Weight::Number(0), least }, &[numbers(&cells[1..])])), "{least}");
        }
        for (weight, least, rows, passing) in
            [(Weight::One, 5, 4, false), (Weight::One, 5, 5, true), (Weight::Present(0), 1001, 1001, true)]
        {
            let seen = sieve(Reach { weight, least }, &[numbers(&vec![1; rows])]);
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
        let three = Reach { weight: Weight::Distinct(0), least: 3 };
        assert!(!passes(&sieve(three, &[dict(&[1, 1, 1, 0, 0, 2, 2])])));
        assert!(passes(&sieve(three, &[dict(&[1, 1, 2, 2, 3])])));
        // Words of another dictionary are others, even if their numbers are the same.
        assert!(passes(&sieve(three, &[dict(&[1, 1]), dict(&[1]), dict(&[1, 1])])));
        let texts: Column = ["a", "a", "b"].map(crate::value::Value::string).into_iter().collect();
        assert!(passes(&sieve(three, &[texts])));
        let mut both = sieve(three, &[dict(&[1])]);
        assert!(!passes(&both));
        both.merge(&sieve(three, &[dict(&[1, 2])]));
        assert!(passes(&both));
        let mut begun = sieve(three, &[]);
        begun.add_group(7, 2);
        assert!(!passes(&begun));
        begun.add_group(7, 1);
        assert!(passes(&begun));
    }
}
