//! The one way to keep more than fits into memory: records sorted outside it.
//!
//! A record is a key and a payload. [`Sorter`] takes records in any order, writes them down in sorted runs, and
//! [`merge`] gives them back in the order of their keys' bytes, equal keys in the order they were taken. Sorting rows is
//! that already; groups become records of their states that meet by key; rows to be told apart, or joined, are records
//! under the texts compared. However much there is, only a buffer a run is in memory.

pub(super) mod rows;
mod run;

use super::ctl::Ctl;
use super::memory::Share;
use crate::error::Error;
use rayon::prelude::*;
use run::{Reader, Run, Writer};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Records between two looks at whether the run was cancelled.
const PATIENCE: u64 = 4096;

/// Takes records and writes them down in sorted runs.
pub(super) struct Sorter<'a> {
    ctl: &'a Ctl,
    _share: Share,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Runs in the order they were written, and how often what is in them was merged before.
    runs: Vec<(u32, Run)>,
}

/// A record in `bytes`: key, then payload.
struct Entry {
    /// First bytes of the key; most comparisons end here.
    prefix: u64,
    start: usize,
    key: u32,
    payload: u32,
}

impl<'a> Sorter<'a> {
    /// A sorter without records.
    pub fn new(ctl: &'a Ctl) -> Sorter<'a> {
        let mut share = ctl.memory().share();
        share.set(ctl.memory().run_bytes());
        Sorter { ctl, _share: share, bytes: Vec::new(), entries: Vec::new(), runs: Vec::new() }
    }

    /// Takes a record.
    pub fn push(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        let more = key.len() + payload.len() + size_of::<Entry>();
        let held = self.bytes.len() + self.entries.len() * size_of::<Entry>();
        if held + more > self.ctl.memory().run_bytes() && !self.entries.is_empty() {
            self.flush()?;
        }
        let length = |part: &[u8]| u32::try_from(part.len()).map_err(|_| self.ctl.memory().refused("a row of 4 GiB"));
        let mut prefix = [0; 8];
        let n = key.len().min(8);
        prefix[..n].copy_from_slice(&key[..n]);
        self.entries.push(Entry {
            prefix: u64::from_be_bytes(prefix),
            start: self.bytes.len(),
            key: length(key)?,
            payload: length(payload)?,
        });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Writes what is in memory down as a run.
    fn flush(&mut self) -> Result<(), Error> {
        self.ctl.check()?;
        let (ctl, bytes) = (self.ctl, &self.bytes);
        let key = |e: &Entry| &bytes[e.start..e.start + e.key as usize];
        self.entries.par_sort_unstable_by(|a, b| match ctl.aborted() {
            // Ends soon, with whatever order: nobody will see it.
            true => Ordering::Equal,
            false => a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))).then(a.start.cmp(&b.start)),
        });
        let mut writer = Writer::new(ctl.memory())?;
        for (i, entry) in self.entries.iter().enumerate() {
            if (i as u64).is_multiple_of(PATIENCE) {
                ctl.check()?;
            }
            let payload = entry.start + entry.key as usize;
            writer.put(key(entry), &bytes[payload..payload + entry.payload as usize])?;
        }
        self.runs.push((0, writer.finish()?));
        self.bytes.clear();
        self.entries.clear();
        self.compact()
    }

    /// Keeps few files open: as many runs of one level as are read at once become one of the next.
    fn compact(&mut self) -> Result<(), Error> {
        let most = self.ctl.memory().fan_in();
        while let Some((level, _)) = self.runs.last() {
            let level = *level;
            let same = self.runs.iter().rev().take_while(|(l, _)| *l == level).count();
            if same < most {
                break;
            }
            let tail = self.runs.drain(self.runs.len() - same..).map(|(_, run)| run).collect();
            self.runs.push((level + 1, join(tail, self.ctl)?));
        }
        Ok(())
    }
}

/// One run of several that follow each other.
fn join(runs: Vec<Run>, ctl: &Ctl) -> Result<Run, Error> {
    let mut merged = Merged::new(runs, ctl)?;
    let mut writer = Writer::new(ctl.memory())?;
    while let Some((key, payload)) = merged.next()? {
        writer.put(key, payload)?;
    }
    writer.finish()
}

/// The records of several sorters in order.
pub(super) fn merge<'a>(sorters: Vec<Sorter<'a>>, ctl: &'a Ctl) -> Result<Merged<'a>, Error> {
    let mut runs = Vec::new();
    for mut sorter in sorters {
        if !sorter.entries.is_empty() {
            sorter.flush()?;
        }
        runs.extend(sorter.runs.into_iter().map(|(_, run)| run));
    }
    // A file each would be too many where there are many threads.
    let most = 4 * ctl.memory().fan_in();
    while runs.len() > most {
        let rest = runs.split_off(most);
        let joined = join(runs, ctl)?;
        runs = rest;
        runs.insert(0, joined);
    }
    Merged::new(runs, ctl)
}

/// Key and payload.
pub(super) type Record<'r> = (&'r [u8], &'r [u8]);

/// Records in order.
pub(super) struct Merged<'a> {
    ctl: &'a Ctl,
    _share: Share,
    heads: BinaryHeap<Head>,
    /// The record of the first head is lent out.
    lent: bool,
    given: u64,
}

/// A run at the record that is its next.
struct Head {
    reader: Reader,
    number: usize,
}

impl<'a> Merged<'a> {
    fn new(runs: Vec<Run>, ctl: &'a Ctl) -> Result<Merged<'a>, Error> {
        let at_once = ctl.memory().read_bytes(runs.len());
        let mut share = ctl.memory().share();
        share.set(at_once * runs.len());
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (number, run) in runs.into_iter().enumerate() {
            let mut reader = run.read(at_once, ctl.memory());
            if reader.advance()? {
                heads.push(Head { reader, number });
            }
        }
        Ok(Merged { ctl, _share: share, heads, lent: false, given: 0 })
    }

    /// The next record.
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        if self.given.is_multiple_of(PATIENCE) {
            self.ctl.check()?;
        }
        self.given += 1;
        if self.lent
            && let Some(mut first) = self.heads.peek_mut()
            && !first.reader.advance()?
        {
            PeekMut::pop(first);
        }
        self.lent = true;
        Ok(self.heads.peek().map(|head| (head.reader.key(), head.reader.payload())))
    }
}

impl Ord for Head {
    /// The largest of a heap is its first: the smallest key, of equal ones that of the run written first.
    fn cmp(&self, other: &Head) -> Ordering {
        other.reader.key().cmp(self.reader.key()).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
