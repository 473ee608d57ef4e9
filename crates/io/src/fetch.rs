//! Single records by their positions: the events behind a finding, read where they stand.

use crate::Files;
use crate::bytes::Stored;
use arrow::buffer::BooleanBuffer;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Filter, Flow, Scan, Source};
use backsight_engine::value::column::{Batch, OFFSET_BITS};
use backsight_engine::value::json::Cursor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a file that are given back at a time.
const RELEASED: usize = 16 << 20;

impl Files {
    /// The files that `keep` lets pass, as a source of their own; positions stay what they are.
    pub fn only(&self, keep: impl Fn(&crate::Input) -> bool) -> Files {
        Files {
            inputs: self.inputs.iter().filter(|input| keep(input)).cloned().collect(),
            notes: Vec::new(),
            options: self.options.clone(),
            format: self.format,
        }
    }

    /// The file of a position (of a member of an archive: the archive), and the offset in it.
    pub fn place(&self, position: u64) -> Option<(&crate::Input, u64)> {
        let number = position >> OFFSET_BITS;
        let input = self.inputs.iter().find(|input| (input.number..input.number + input.span).contains(&number))?;
        Some((input, position & ((1 << OFFSET_BITS) - 1)))
    }

    /// The texts (`@message`) of the records at some positions. Files that lie plain on the disk are read at the place;
    /// others up to the last record wanted of them, by so many threads.
    ///
    /// # Errors
    /// What reading reports; a record that is not there any more is left out.
    pub fn events(&self, positions: &BTreeSet<u64>, threads: usize) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
        let all: Vec<u64> = positions.iter().copied().collect();
        let pieces: Vec<&[u64]> = all.chunks(all.len().div_ceil(threads.max(1)).max(1)).collect();
        let mut found = BTreeMap::new();
        let mut left: BTreeSet<u64> = BTreeSet::new();
        for (position, text) in side_by_side(pieces, |piece| Ok(self.standing(piece)))?.into_iter().flatten() {
            match text {
                Some(text) => {
                    found.insert(position, text);
                }
                None => {
                    left.insert(position);
                }
            }
        }
        if left.is_empty() {
            return Ok(found);
        }
        for input in &self.inputs {
            let from = input.position(0);
            let here: BTreeSet<u64> = left.range(from..from + (input.span << OFFSET_BITS)).copied().collect();
            if !here.is_empty() {
                found.extend(self.only(|other| other.number == input.number).events_of_one(here, threads)?);
            }
        }
        Ok(found)
    }

    /// The texts at some positions, in order, where they stand in their files.
    fn standing(&self, positions: &[u64]) -> Vec<(u64, Option<Vec<u8>>)> {
        // Positions of a file are together.
        let mut open: Option<(u64, Option<Arc<Stored>>)> = None;
        let mut done = 0;
        let mut text = |position: u64| {
            let (input, offset) = self.place(position).filter(|(input, _)| position >> OFFSET_BITS == input.number)?;
            let from = usize::try_from(offset).ok()?;
            if open.as_ref().is_none_or(|(number, _)| *number != input.number) {
                open = Some((input.number, self.plain(input)));
                done = from;
            }
            let stored = open.as_ref()?.1.as_ref()?;
            // A few words of each page would keep the whole file in memory.
            if from - done >= RELEASED {
                stored.release(done..from);
                done = from;
            }
            object_at(stored, from)
        };
        positions.iter().map(|position| (*position, text(*position))).collect()
    }

    /// The same of one file that must be read for it.
    fn events_of_one(&self, here: BTreeSet<u64>, threads: usize) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
        // Where fields are read one by one, only those records are put together.
        let keep = |batch: &Batch| BooleanBuffer::collect_bool(batch.rows, |i| here.contains(&batch.positions.get(i)));
        let filter = Filter { fields: &[1], keep: &keep };
        let want = vec![Field::Message, Field::Timestamp];
        let scan = Scan { want, filter: Some(filter), ..Scan::default() };
        let counters = Counters::default();
        let morsels = self.open(&scan, &counters)?;
        let left = AtomicUsize::new(here.len());
        let work = |()| -> Result<BTreeMap<u64, Vec<u8>>, Error> {
            let mut found = BTreeMap::new();
            while let Some(morsel) = morsels.next().filter(|_| left.load(Ordering::Relaxed) > 0) {
                morsel.read(&mut |batch| {
                    for row in 0..batch.rows {
                        let position = batch.positions.get(row);
                        if here.contains(&position) {
                            let text = batch.columns[0].get(row).text().map(|t| t.into_owned());
                            // A record lies in one morsel.
                            if found.insert(position, text.unwrap_or_default()).is_none() {
                                left.fetch_sub(1, Ordering::Relaxed);
                            }
                        }
                    }
                    Ok(if left.load(Ordering::Relaxed) == 0 { Flow::Enough } else { Flow::More })
                })?;
            }
            Ok(found)
        };
        let mut all = BTreeMap::new();
        for found in side_by_side(vec![(); threads.max(1)], work)? {
            all.extend(found);
        }
        Ok(all)
    }

    /// A file whose records stand in it as they are.
    fn plain(&self, input: &crate::Input) -> Option<Arc<Stored>> {
        self.detect(input).ok().filter(|d| d.codec.is_none() && d.container.is_none() && d.format.name != "parquet")?;
        Some(input.stored().ok()?.0)
    }
}

/// What comes of each piece of work, all done at the same time.
fn side_by_side<W: Send, T: Send>(work: Vec<W>, each: impl Fn(W) -> Result<T, Error> + Sync) -> Result<Vec<T>, Error> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = work.into_iter().map(|work| scope.spawn(|| each(work))).collect();
        let died = |_| Err(Error::Bug("a worker that fetches events failed".into()));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(died)).collect()
    })
}

/// The JSON object at an offset of a file.
fn object_at(stored: &Stored, offset: usize) -> Option<Vec<u8>> {
    let rest = stored.bytes().get(offset..)?;
    if rest.first() != Some(&b'{') {
        return None;
    }
    let mut cursor = Cursor::new(rest);
    cursor.value().ok()?;
    Some(rest[..cursor.at()].to_vec())
}
