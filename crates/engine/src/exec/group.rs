//! `stats`: rows in, one row a group out. Remembers every group's key and the aggregates' states; tables of several
//! workers merge by key, so the answer does not depend on who saw which row.

mod columns;
mod counters;
pub(super) mod key;
mod kinds;
mod merge;
pub(super) mod sieve;
mod spill;
pub(super) mod tuples;
mod twice;
pub(super) mod words;

use super::ctl::Ctl;
use super::hashes::{Hashes, key_hash};
use super::memory::Share;
use super::spill::Sorter;
use crate::agg::{Accumulator, Input};
use crate::error::Error;
use crate::plan::{AggCall, Slot};
use crate::value::column::{Batch, Column};
use kinds::{GroupKinds, note_kinds};
use sieve::{Count, Over};
use tuples::Tuples;
use words::Words;

/// The groups one worker has seen.
///
/// The different cells of each key are numbered; a group is a word if there is one key, else a tuple of words.
pub(super) struct GroupTable<'a> {
    keys: &'a [Slot],
    calls: &'a [AggCall],
    words: Vec<Words>,
    tuples: Tuples,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    /// Of the rows at hand: the words of each key, and the groups.
    row_words: Vec<Vec<u32>>,
    groups: Vec<u32>,
    share: Share,
    /// Groups that had no room, as records.
    sorter: Option<Sorter<'a>>,
    /// What groups amount to, where that decides whether they are kept.
    count: Option<Count>,
    over: Option<Over>,
    /// Rows of the scan that those of the groups were found among, where that is counted.
    scanned: usize,
    ctl: &'a Ctl,
}

impl<'a> GroupTable<'a> {
    pub fn new(keys: &'a [Slot], calls: &'a [AggCall], ctl: &'a Ctl) -> GroupTable<'a> {
        GroupTable {
            keys,
            calls,
            words: keys.iter().map(|_| Words::default()).collect(),
            tuples: Tuples::new(keys.len()),
            kinds: keys.iter().map(|_| GroupKinds::Same(None)).collect(),
            states: calls.iter().map(|call| fresh(call, ctl)).collect(),
            row_words: vec![Vec::new(); keys.len()],
            groups: Vec::new(),
            share: ctl.memory().share(),
            sorter: None,
            count: None,
            over: None,
            scanned: 0,
            ctl,
        }
    }

    /// Number of groups. Without keys there is one, even of no rows.
    pub fn len(&self) -> usize {
        match self.words.as_slice() {
            [] => 1,
            [words] => words.len(),
            _ => self.tuples.len(),
        }
    }

    /// Adds the rows of a batch.
    pub fn push(&mut self, batch: &Batch, hashes: &mut Hashes) -> Result<(), Error> {
        if self.sift(batch, hashes) {
            return Ok(());
        }
        let mut groups = std::mem::take(&mut self.groups);
        groups.clear();
        self.intern(batch, hashes, &mut groups);
        let left = self.left(batch, &mut groups);
        let batch = left.as_ref().unwrap_or(batch);
        self.weigh(batch, &groups);
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
        if room && !self.words.iter().any(Words::is_full) { Ok(()) } else { self.spill() }
    }

    /// Forgets the keys.
    fn clear(&mut self) {
        self.words.iter_mut().for_each(|words| *words = Words::default());
        self.tuples = Tuples::new(self.keys.len());
        self.kinds = self.keys.iter().map(|_| GroupKinds::Same(None)).collect();
        self.over.iter_mut().for_each(Over::clear);
    }

    /// Bytes of memory held, roughly.
    fn bytes(&self) -> usize {
        let keys = self.words.iter().map(Words::bytes).sum::<usize>() + self.tuples.bytes();
        keys + self.states.iter().map(|s| s.bytes()).sum::<usize>()
    }

    /// The group of every row, new groups added.
    fn intern(&mut self, batch: &Batch, hashes: &mut Hashes, groups: &mut Vec<u32>) {
        let before = self.len();
        let columns: Vec<Column> = self.keys.iter().map(|slot| super::column(batch, *slot)).collect();
        for ((words, column), out) in self.words.iter_mut().zip(&columns).zip(&mut self.row_words) {
            words.of(column, hashes, out);
        }
        match self.row_words.as_mut_slice() {
            [] => groups.resize(batch.rows, 0),
            [words] => std::mem::swap(words, groups),
            words => self.tuples.of(words, batch.rows, groups),
        }
        let n = self.len();
        for (kinds, column) in self.kinds.iter_mut().zip(&columns) {
            note_kinds(kinds, column, groups, before, n);
        }
    }

    /// The words of a group.
    fn words_of(&self, group: usize) -> impl Iterator<Item = (&Words, u32)> {
        let word = move |k: usize| match self.words.len() {
            1 => group as u32,
            _ => self.tuples.get(group)[k],
        };
        self.words.iter().enumerate().map(move |(k, words)| (words, word(k)))
    }

    /// A group's key as bytes; see [`key`].
    fn key(&self, group: usize, out: &mut Vec<u8>) {
        out.clear();
        self.words_of(group).for_each(|(words, word)| out.extend_from_slice(words.cell(word)));
    }

    /// The hash of a group's key.
    fn hash(&self, group: usize) -> u64 {
        key_hash(self.words_of(group).map(|(words, word)| words.hash(word)), self.ctl.seed())
    }
}

/// The state of an aggregate without groups.
fn fresh(call: &AggCall, ctl: &Ctl) -> Box<dyn Accumulator> {
    let mut state = (call.aggregate.new)(&call.settings);
    state.stop_with(ctl.stop());
    state
}
