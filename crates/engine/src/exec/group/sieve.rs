//! Groups so many that most are too small to be kept: rows are only counted, by the hash of their group's key, and those
//! of groups that can be kept are grouped when the source is read again.
//!
//! Groups that share a counter are counted together, so a counter is never less than what one of its groups amounts to,
//! and a group whose counter does not reach what the filters behind `stats` demand ([`reach`](crate::plan::reach)) is not
//! kept whatever its rows hold.

use super::{GroupTable, fresh};
use crate::exec::ctl::Ctl;
use crate::exec::hashes::Hashes;
use crate::plan::Slot;
use crate::plan::reach::{Ceiling, Reach, Weight};
use crate::value::ValueRef;
use crate::value::column::Batch;
use crate::value::compare::truth;
use crate::value::number::Number;
use arrow::buffer::BooleanBuffer;

/// Counters of one worker, or of all.
pub(crate) struct Sieve {
    counters: Vec<u8>,
    /// Bits of a hash that are not the number of its counter.
    shift: u32,
    /// Weights are counted in units of 2 to this power, rounded up.
    unit: u32,
    least: u8,
}

/// Counters times what a group must reach, as a power of two: with fewer, hundreds of millions of rows would fill all.
const SPREAD: u32 = 28;

/// A counter counts up to this many units. Small counters stay in the cache; that a thousand is counted in units of eight,
/// each row a whole one, lets some more groups pass.
const MOST: u64 = 200;

impl Sieve {
    fn new(reach: Reach, bits: u32) -> Sieve {
        let mut unit = 0;
        while reach.least >> unit > MOST {
            unit += 1;
        }
        Sieve { counters: vec![0; 1 << bits], shift: 64 - bits, unit, least: (reach.least >> unit) as u8 }
    }

    #[inline]
    fn add(&mut self, hash: u64, weight: u64) {
        let counter = &mut self.counters[(hash >> self.shift) as usize];
        let units = (weight >> self.unit) + u64::from(weight & ((1 << self.unit) - 1) != 0);
        *counter = counter.saturating_add(units.min(u64::from(u8::MAX)) as u8);
    }

    fn merge(&mut self, other: &Sieve) {
        self.counters.iter_mut().zip(&other.counters).for_each(|(a, b)| *a = a.saturating_add(*b));
    }

    /// The rows whose groups may be kept.
    pub fn passing(&self, batch: &Batch, keys: &[Slot], hashes: &mut Hashes) -> BooleanBuffer {
        let of = hashes.keys(batch, keys);
        BooleanBuffer::collect_bool(batch.rows, |i| self.counters[(of[i] >> self.shift) as usize] >= self.least)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.counters.len()
    }
}

/// What groups must reach to be kept, and the counters once there are too many groups.
pub(super) struct Count {
    reach: Reach,
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
        self.count = Some(Count { reach, sieve: None });
    }

    /// Counts the rows of a batch if groups are too many; false if they are to be grouped.
    pub(super) fn sift(&mut self, batch: &Batch, hashes: &mut Hashes) -> bool {
        let Some(Count { reach, sieve: Some(sieve) }) = &mut self.count else { return false };
        let keys = hashes.keys(batch, self.keys);
        weigh(reach.weight, batch, |i, weight| sieve.add(keys[i], weight));
        true
    }

    /// Groups are too many to be built before it is known which are kept.
    pub(super) fn are_many(&self) -> bool {
        self.count.is_some() && self.len() > self.ctl.groups_kept()
    }

    /// Forgets the groups. What they amount to is not known: the few there were may all be kept.
    pub(super) fn pour(&mut self) {
        let Some(reach) = self.count.as_ref().map(|count| count.reach) else { return };
        // The more a group must reach, the more groups may share a counter.
        let bits = self.ctl.memory().counter_bits().min(SPREAD.saturating_sub(reach.least.max(1).ilog2()).max(16));
        let mut sieve = Sieve::new(reach, bits);
        (0..self.len()).for_each(|group| sieve.add(self.hash(group), reach.least));
        self.share.set(sieve.bytes());
        self.count = Some(Count { reach, sieve: Some(sieve) });
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
fn weigh(weight: Weight, batch: &Batch, mut add: impl FnMut(usize, u64)) {
    let mut of = |slot: Slot, each: &dyn Fn(ValueRef<'_>) -> u64| {
        let column = crate::exec::column(batch, slot);
        for (i, cell) in column.iter().enumerate() {
            match each(cell) {
                0 => {}
                weight => add(i, weight),
            }
        }
    };
    match weight {
        Weight::One => (0..batch.rows).for_each(|i| add(i, 1)),
        Weight::Present(slot) => of(slot, &|cell| u64::from(!cell.is_null())),
        Weight::True(slot) => of(slot, &|cell| u64::from(truth(cell))),
        Weight::Number(slot) => of(slot, &|cell| match cell.operand() {
            Some(Number::Int(n)) => u64::try_from(n).unwrap_or(0),
            Some(Number::Float(x)) => x.ceil() as u64,
            Some(Number::Big(digits)) if digits.starts_with('-') => 0,
            Some(Number::Big(_)) => u64::MAX,
            None => 0,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_no_less_than_its_groups() {
        for (least, weights) in [(5, vec![2, 2, 1]), (1_000_000, vec![999_999, 1]), (1 << 40, vec![1 << 39, 1 << 39])] {
            let mut sieve = Sieve::new(Reach { weight: Weight::One, least }, 4);
            weights.iter().for_each(|w| sieve.add(7, *w));
            assert!(sieve.counters[0] >= sieve.least, "{least}");
        }
        let mut sieve = Sieve::new(Reach { weight: Weight::One, least: 5 }, 4);
        (0..4).for_each(|_| sieve.add(7, 1));
        assert!(sieve.counters[0] < sieve.least);
    }
}
