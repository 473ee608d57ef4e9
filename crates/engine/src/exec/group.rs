//! `stats`: rows in, one row a group out. Remembers every group's key and the aggregates' states; tables of several
//! workers merge by key, so the answer does not depend on who saw which row.

pub(super) mod key;
mod kinds;
mod merge;
pub(super) mod sieve;
mod spill;

use super::ctl::Ctl;
use super::hashes::Hashes;
use super::memory::Share;
use super::spill::Sorter;
use crate::agg::{Accumulator, Input};
use crate::error::Error;
use crate::plan::{AggCall, Slot};
use crate::value::column::{Batch, Column};
use hashbrown::HashTable;
use key::{Entry, Part, push_cell};
use kinds::{GroupKinds, note_kinds};
use sieve::{Count, Over};
use std::hash::{BuildHasher, Hasher};

/// The groups one worker has seen.
pub(super) struct GroupTable<'a> {
    keys: &'a [Slot],
    calls: &'a [AggCall],
    hasher: foldhash::fast::RandomState,
    table: HashTable<Entry>,
    /// The groups' keys and their hashes.
    found: Part,
    hashes: Vec<u64>,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    scratch: Vec<u8>,
    /// Hash and end of each key in `scratch`.
    pending: Vec<(u64, usize)>,
    groups: Vec<u32>,
    share: Share,
    /// Groups that had no room, as records.
    sorter: Option<Sorter<'a>>,
    /// What groups amount to, where that decides whether they are kept.
    count: Option<Count>,
    over: Option<Over>,
    ctl: &'a Ctl,
}

/// Rows whose keys are made before they are looked up.
const AT_ONCE: usize = 512;

impl<'a> GroupTable<'a> {
    pub fn new(
        keys: &'a [Slot],
        calls: &'a [AggCall],
        hasher: foldhash::fast::RandomState,
        ctl: &'a Ctl,
    ) -> GroupTable<'a> {
        let mut table = GroupTable {
            keys,
            calls,
            hasher,
            table: HashTable::new(),
            found: Part::default(),
            hashes: Vec::new(),
            kinds: keys.iter().map(|_| GroupKinds::Same(None)).collect(),
            states: calls.iter().map(|call| fresh(call, ctl)).collect(),
            scratch: Vec::new(),
            pending: Vec::new(),
            groups: Vec::new(),
            share: ctl.memory().share(),
            sorter: None,
            count: None,
            over: None,
            ctl,
        };
        table.without_keys();
        table
    }

    /// Without keys there is one group, even of no rows.
    fn without_keys(&mut self) {
        if self.keys.is_empty() {
            self.intern_key(&[], 0);
        }
    }

    /// Number of groups.
    fn len(&self) -> usize {
        self.found.starts.len()
    }

    /// Adds the rows of a batch.
    pub fn push(&mut self, batch: &Batch, hashes: &mut Hashes) -> Result<(), Error> {
        if self.sift(batch, hashes) {
            return Ok(());
        }
        let mut groups = std::mem::take(&mut self.groups);
        groups.clear();
        if self.keys.is_empty() {
            groups.resize(batch.rows, 0);
        } else {
            let columns: Vec<Column> = self.keys.iter().map(|slot| super::column(batch, *slot)).collect();
            self.intern(&columns, batch.rows, &mut groups);
        }
        let left = self.left(batch, &mut groups);
        let batch = left.as_ref().unwrap_or(batch);
        let n = self.len();
        for (call, state) in self.calls.iter().zip(&mut self.states) {
            let args: Vec<Column> = call.args.iter().map(|slot| super::column(batch, *slot)).collect();
            let times = call.time.map(|slot| super::column(batch, slot));
            state.update(&Input { args: &args, times: times.as_ref(), positions: &batch.positions }, &groups, n);
        }
        self.groups = groups;
        // Merging makes everything anew while the old is still there.
        let room = self.share.set(2 * self.bytes());
        if self.are_many() || self.count.is_some() && !room {
            self.pour();
            return Ok(());
        }
        if room { Ok(()) } else { self.spill() }
    }

    /// Forgets the keys.
    fn clear(&mut self) {
        (self.table, self.found, self.hashes) = (HashTable::new(), Part::default(), Vec::new());
        self.kinds = self.keys.iter().map(|_| GroupKinds::Same(None)).collect();
        self.over.iter_mut().for_each(Over::clear);
    }

    /// Bytes of memory held, roughly.
    fn bytes(&self) -> usize {
        let keys = self.found.arena.capacity() + (self.found.starts.capacity() + self.hashes.capacity()) * 8;
        keys + self.table.allocation_size() + self.states.iter().map(|s| s.bytes()).sum::<usize>()
    }

    /// The group of every row, new groups added.
    fn intern(&mut self, columns: &[Column], rows: usize, groups: &mut Vec<u32>) {
        let before = self.len();
        // Keys first, look-ups then: without work in between, the cache misses of many look-ups overlap.
        for first in (0..rows).step_by(AT_ONCE) {
            self.scratch.clear();
            self.pending.clear();
            for i in first..rows.min(first + AT_ONCE) {
                let start = self.scratch.len();
                for column in columns {
                    push_cell(column, i, &mut self.scratch);
                }
                let mut hasher = self.hasher.build_hasher();
                hasher.write(&self.scratch[start..]);
                self.pending.push((hasher.finish(), self.scratch.len()));
            }
            let (scratch, pending) = (std::mem::take(&mut self.scratch), std::mem::take(&mut self.pending));
            let mut start = 0;
            for (hash, end) in &pending {
                groups.push(self.intern_key(&scratch[start..*end], *hash));
                start = *end;
            }
            (self.scratch, self.pending) = (scratch, pending);
        }
        for (k, column) in columns.iter().enumerate() {
            note_kinds(&mut self.kinds[k], column, groups, before, self.found.starts.len());
        }
    }

    fn intern_key(&mut self, key: &[u8], hash: u64) -> u32 {
        let before = self.found.starts.len();
        let group = self.found.intern(&mut self.table, key, hash);
        if self.found.starts.len() > before {
            self.hashes.push(hash);
        }
        group
    }
}

/// The state of an aggregate without groups.
fn fresh(call: &AggCall, ctl: &Ctl) -> Box<dyn Accumulator> {
    let mut state = (call.aggregate.new)(&call.settings);
    state.stop_with(ctl.stop());
    state
}
