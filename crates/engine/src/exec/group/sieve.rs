//! Groups so many that most are too small to be kept: rows are only counted, by the hash of their group's key, and those
//! of groups that can be kept are grouped at a second look.
//!
//! A group whose [`Counters`] do not reach what the filters behind `stats` demand ([`demand`](crate::plan::reach::demand))
//! is not kept whatever its rows hold.

use super::counters::{Counters, weigh};
use super::{GroupTable, fresh};
use crate::exec::ctl::Ctl;
use crate::exec::hashes::Hashes;
use crate::plan::Slot;
use crate::plan::reach::{Ceiling, Demand, Reach};
use crate::value::column::Batch;
use arrow::buffer::BooleanBuffer;

/// Counters of one worker, or of all.
pub(crate) struct Sieve {
    counters: Vec<Counters>,
    /// How many of them must be reached.
    least: usize,
}

/// Counters times what a group must reach, as a power of two: with fewer, hundreds of millions of rows would fill all.
const SPREAD: u32 = 28;

/// The fewest counters, as a power of two, where all rows are counted.
const LEAST: u32 = 16;

impl Sieve {
    /// With 2 to the power of `room` bytes for each sum at most, but for the least that makes sense.
    fn new(demand: &Demand, room: u32) -> Sieve {
        /// To tell groups apart is worth so many times the bytes, since there may be no second look then.
        const APART: usize = 16;
        let counters = |reach: &Reach| {
            // The more a group must reach, the more groups may share a counter.
            let spread = SPREAD.saturating_sub(reach.least.max(1).ilog2());
            Counters::new(*reach, APART << room, |bytes, most| {
                room.saturating_sub(bytes.ilog2()).min(spread).min(most).max(LEAST)
            })
        };
        Sieve { counters: demand.reaches.iter().map(counters).collect(), least: demand.least }
    }

    /// For the groups of so many rows.
    fn of_part(demand: &Demand, rows: usize) -> Sieve {
        /// Counters for each group that there could be, as a power of two.
        const EACH: u32 = 4;
        const SOME: u32 = 12;
        let counters = |reach: &Reach| {
            let groups = (rows as u64 / reach.least.max(1)).max(1).ilog2();
            // Where a counter is large, fewer of them are in the cache.
            Counters::new(*reach, 0, |bytes, most| (groups + EACH - bytes.ilog2() / 2).min(most).clamp(SOME, LEAST))
        };
        Sieve { counters: demand.reaches.iter().map(counters).collect(), least: demand.least }
    }

    /// Adds the rows of a batch, whose keys have these hashes.
    fn add(&mut self, batch: &Batch, keys: &[u64]) {
        self.counters.iter_mut().for_each(|counters| counters.add(batch, keys));
    }

    fn merge(&mut self, other: &Sieve) {
        self.counters.iter_mut().zip(&other.counters).for_each(|(counters, other)| counters.merge(other));
    }

    /// The rows of a batch whose groups may be kept.
    pub fn passing(&self, batch: &Batch, keys: &[Slot], hashes: &mut Hashes) -> BooleanBuffer {
        self.pass(hashes.keys(batch, keys))
    }

    /// The rows, of keys with these hashes, whose groups may be kept.
    fn pass(&self, keys: &[u64]) -> BooleanBuffer {
        match self.counters.as_slice() {
            [counters] => BooleanBuffer::collect_bool(keys.len(), |i| counters.reaches(keys[i])),
            several => BooleanBuffer::collect_bool(keys.len(), |i| {
                several.iter().filter(|counters| counters.reaches(keys[i])).count() >= self.least
            }),
        }
    }

    /// Whether it lets any row pass.
    pub fn is_passed(&self) -> bool {
        self.counters.iter().filter(|counters| counters.reach_any()).count() >= self.least
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.counters.iter().map(Counters::bytes).sum()
    }
}

/// What leaves out rows whose groups cannot be kept, where a batch holds all rows of its groups.
pub(crate) struct OfBatch<'a> {
    keys: &'a [Slot],
    sieve: Sieve,
}

impl<'a> OfBatch<'a> {
    /// For batches of so many rows, or more.
    pub fn new(keys: &'a [Slot], demand: &Demand, rows: usize) -> OfBatch<'a> {
        OfBatch { keys, sieve: Sieve::of_part(demand, rows) }
    }

    /// The rows of a batch whose groups may be kept.
    pub fn passing(&mut self, batch: &Batch, hashes: &mut Hashes) -> BooleanBuffer {
        let OfBatch { keys, sieve } = self;
        let keys = hashes.within(batch, keys);
        sieve.counters.iter_mut().for_each(Counters::clear);
        sieve.add(batch, keys);
        sieve.pass(keys)
    }
}

/// What groups must reach to be kept, and what they amount to: each by itself, or by counters once they are too many.
pub(super) struct Count {
    demand: Demand,
    /// Of each sum that is demanded: what each group amounts to.
    weights: Vec<Vec<u64>>,
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
    pub fn demand(&mut self, demand: Demand) {
        let weights = demand.reaches.iter().map(|_| Vec::new()).collect();
        self.count = Some(Count { demand, weights, sieve: None });
    }

    /// Counts the rows of a batch if groups are too many; false if they are to be grouped.
    pub(super) fn sift(&mut self, batch: &Batch, hashes: &mut Hashes) -> bool {
        let Some(Count { sieve: Some(sieve), .. }) = &mut self.count else { return false };
        let keys = hashes.keys(batch, self.keys);
        sieve.add(batch, keys);
        if !self.share.set(sieve.bytes()) {
            sieve.counters.iter_mut().for_each(Counters::share);
            self.share.set(sieve.bytes());
        }
        true
    }

    /// Rows of the scan have been looked at for those that belong here.
    pub fn scanned(&mut self, rows: usize) {
        self.scanned += rows;
    }

    /// Weighs the rows of a batch, as long as each group has a weight of its own.
    pub(super) fn weigh(&mut self, batch: &Batch, groups: &[u32]) {
        let n = self.len();
        if let Some(Count { demand, weights, sieve: None }) = &mut self.count {
            for (reach, weights) in demand.reaches.iter().zip(weights) {
                weights.resize(n, 0);
                weigh(reach.weight, batch, |i, weight| {
                    let sum = &mut weights[groups[i] as usize];
                    *sum = sum.saturating_add(weight);
                });
            }
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
        let Some(Count { demand, weights, .. }) = self.count.take() else { return };
        let mut sieve = Sieve::new(&demand, self.ctl.memory().counter_bits());
        for (counters, weights) in sieve.counters.iter_mut().zip(&weights) {
            weights.iter().enumerate().for_each(|(group, weight)| counters.add_group(self.hash(group), *weight));
        }
        self.share.set(sieve.bytes());
        self.count = Some(Count { demand, weights: Vec::new(), sieve: Some(sieve) });
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
