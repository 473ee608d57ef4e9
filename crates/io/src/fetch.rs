//! Single records by their positions: the events behind a finding, read where they stand.

use crate::bytes::Stored;
use crate::codec::{Decoder, State};
use crate::content::{Body, Content};
use crate::formats::{self, Format};
use crate::input::Input;
use crate::{Files, container};
use arrow::buffer::BooleanBuffer;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Filter, Flow, Scan, Source};
use backsight_engine::value::column::{Batch, OFFSET_BITS};
use backsight_engine::value::json::Cursor;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a file that are given back at a time.
const RELEASED: usize = 16 << 20;

/// A file whose records stand in it as they are, and what may stand behind one of them.
type Plain = (Arc<Stored>, &'static [u8]);

impl Files {
    /// The files that `keep` lets pass, as a source of their own; positions stay what they are.
    pub fn only(&self, keep: impl Fn(&Input) -> bool) -> Files {
        self.these(self.inputs.iter().filter(|input| keep(input)).cloned().collect())
    }

    /// One file, of which only the first records will be looked at.
    pub fn glance(&self, input: &Arc<Input>) -> Files {
        Files { glance: true, ..self.these(vec![Arc::clone(input)]) }
    }

    fn these(&self, inputs: Vec<Arc<Input>>) -> Files {
        Files { inputs, notes: Vec::new(), options: self.options.clone(), format: self.format, glance: self.glance }
    }

    /// The file of a position (of a member of an archive: the archive), and the offset in it.
    pub fn place(&self, position: u64) -> Option<(&Input, u64)> {
        let number = position >> OFFSET_BITS;
        let at = self.inputs.partition_point(|input| input.number + input.span <= number);
        let input = self.inputs.get(at).filter(|input| input.number <= number)?;
        Some((input, position & ((1 << OFFSET_BITS) - 1)))
    }

    /// The texts (`@message`) of the records at some positions. Files that lie plain on the disk are read at the place;
    /// others up to the last record wanted of them, by so many threads.
    ///
    /// # Errors
    /// What reading reports; a record that is not there any more is left out.
    pub fn events(&self, positions: &BTreeSet<u64>, threads: usize) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
        let threads = threads.max(1);
        let all: Vec<u64> = positions.iter().copied().collect();
        let pieces: Vec<&[u64]> = all.chunks(all.len().div_ceil(threads).max(1)).collect();
        let mut found = BTreeMap::new();
        let mut left: BTreeSet<u64> = BTreeSet::new();
        for (position, text) in side_by_side(pieces, threads, |piece| Ok(self.standing(piece)))?.into_iter().flatten() {
            match text {
                Some(text) => {
                    found.insert(position, text);
                }
                None => {
                    left.insert(position);
                }
            }
        }
        let here = |input: &Arc<Input>| -> BTreeSet<u64> {
            let from = input.position(0);
            left.range(from..from + (input.span << OFFSET_BITS)).copied().collect()
        };
        let files: Vec<(&Arc<Input>, BTreeSet<u64>)> =
            self.inputs.iter().map(|input| (input, here(input))).filter(|(_, here)| !here.is_empty()).collect();
        let each = threads / files.len().clamp(1, threads);
        for texts in side_by_side(files, threads, |(input, here)| self.events_of_one(input, here, each))? {
            found.extend(texts);
        }
        Ok(found)
    }

    /// The texts at some positions, in order, where they stand in their files.
    fn standing(&self, positions: &[u64]) -> Vec<(u64, Option<Vec<u8>>)> {
        // Positions of a file are together.
        let mut open: Option<(u64, Option<Plain>)> = None;
        let mut done = 0;
        let mut text = |position: u64| {
            let (input, offset) = self.place(position).filter(|(input, _)| position >> OFFSET_BITS == input.number)?;
            let from = usize::try_from(offset).ok()?;
            if open.as_ref().is_none_or(|(number, _)| *number != input.number) {
                open = Some((input.number, self.plain(input)));
                done = from;
            }
            let (stored, ends) = open.as_ref()?.1.as_ref()?;
            // A few words of each page would keep the whole file in memory.
            if from - done >= RELEASED {
                stored.release(done..from);
                done = from;
            }
            object(stored.bytes().get(from..)?, true, ends)
        };
        positions.iter().map(|position| (*position, text(*position))).collect()
    }

    /// The texts at some positions of one file, which must be read for them.
    fn events_of_one(
        &self,
        input: &Arc<Input>,
        mut here: BTreeSet<u64>,
        threads: usize,
    ) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
        let mut found = self.unpacked(input, &here)?;
        here.retain(|position| !found.contains_key(position));
        if !here.is_empty() {
            found.extend(self.these(vec![Arc::clone(input)]).scanned(here, threads)?);
        }
        Ok(found)
    }

    /// The texts at some positions of a compressed file, where they stand in what it becomes.
    fn unpacked(&self, input: &Input, here: &BTreeSet<u64>) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
        let content = Content::open(input, false)?;
        let is_archive = container::sniff(&content.head).is_some() || container::sniff_end(&content.body).is_some();
        let Body::Decoded(mut decoder, state) = content.body else { return Ok(BTreeMap::new()) };
        if is_archive && self.format.is_none() {
            return Ok(BTreeMap::new());
        }
        decoder.expect_all();
        let ends = ends(self.format.unwrap_or_else(|| formats::sniff(&content.head)));
        let (held, bytes) = (0..content.head.len(), content.head);
        let mut window = Window { decoder, bytes, held, start: 0, is_over: state == State::End, ends };
        let mut found = BTreeMap::new();
        for position in here.iter().filter(|position| *position >> OFFSET_BITS == input.number) {
            if let Some(text) = window.object_at(position - input.position(0), self.options.record_limit)? {
                found.insert(*position, text);
            }
        }
        Ok(found)
    }

    /// The texts at some positions, found by reading all records before them.
    fn scanned(&self, here: BTreeSet<u64>, threads: usize) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
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
        for found in side_by_side(vec![(); threads], threads, work)? {
            all.extend(found);
        }
        Ok(all)
    }

    /// A file, if its records stand in it as they are.
    fn plain(&self, input: &Input) -> Option<Plain> {
        let found = self.detect(input).ok()?;
        let is_plain = found.codec.is_none() && found.container.is_none() && found.format.name != "parquet";
        is_plain.then(|| input.stored().ok()).flatten().map(|(stored, _)| (stored, ends(found.format)))
    }
}

/// What comes of each piece of work, done by so many threads.
fn side_by_side<W: Send, T: Send>(
    work: Vec<W>,
    threads: usize,
    each: impl Fn(W) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let threads = threads.min(work.len());
    let work = Mutex::new(work.into_iter());
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    let some = || std::iter::from_fn(next).map(&each).collect::<Result<Vec<T>, Error>>();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        let died = |_| Err(Error::Bug("a worker that fetches events failed".into()));
        let done: Result<Vec<Vec<T>>, Error> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(died)).collect();
        Ok(done?.into_iter().flatten().collect())
    })
}

/// A stretch of what a decoder gives, further and further behind.
struct Window {
    decoder: Box<dyn Decoder>,
    bytes: Vec<u8>,
    /// Where in these the stretch lies.
    held: Range<usize>,
    /// The offset at which it begins.
    start: u64,
    is_over: bool,
    /// See [`ends`].
    ends: &'static [u8],
}

impl Window {
    /// The JSON object at an offset, no longer than `limit`; offsets must ascend.
    fn object_at(&mut self, offset: u64, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        /// Most records end within so many bytes.
        const USUAL: usize = 4 << 10;
        if !self.begin_at(offset)? {
            return Ok(None);
        }
        let mut length = USUAL.min(limit);
        loop {
            self.extend_to(length)?;
            let bytes = &self.bytes[self.held.clone()];
            if let Some(text) = object(bytes, self.is_over, self.ends) {
                return Ok(Some(text));
            }
            if bytes.first() != Some(&b'{') || bytes.len() < length || length == limit {
                return Ok(None);
            }
            length = length.saturating_mul(4).min(limit);
        }
    }

    /// Begins at an offset; false if there is nothing any more.
    fn begin_at(&mut self, offset: u64) -> Result<bool, Error> {
        while offset > self.start + self.held.len() as u64 && !self.is_over {
            self.start += self.held.len() as u64;
            self.held = 0..0;
            self.extend_to(1)?;
        }
        let before = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.held.len());
        self.start += before as u64;
        self.held.start += before;
        Ok(self.start == offset && !self.held.is_empty())
    }

    /// Goes on until there are so many bytes, or no more.
    fn extend_to(&mut self, length: usize) -> Result<(), Error> {
        /// Bytes asked for at a time.
        const STEP: usize = 256 << 10;
        while self.held.len() < length && !self.is_over {
            if self.held.start > 0 {
                self.bytes.copy_within(self.held.clone(), 0);
                self.held = 0..self.held.len();
            }
            if self.bytes.len() < self.held.end + STEP {
                self.bytes.resize(self.held.end + STEP, 0);
            }
            // What is to be said of the file was said when it was first read.
            let (n, state) = self.decoder.fill(&mut self.bytes[self.held.end..], &mut Vec::new())?;
            self.held.end += n;
            self.is_over = state == State::End;
        }
        Ok(())
    }
}

/// What may stand behind a record that is an object. Where records are lines, another object makes both a line of text if
/// what follows them is none.
fn ends(format: &Format) -> &'static [u8] {
    if format.name == "ndjson" { b"\n,]" } else { b"\n,]{" }
}

/// The JSON object that some bytes begin with, if one of `ends` follows; `is_end`: nothing follows these bytes.
fn object(bytes: &[u8], is_end: bool, ends: &[u8]) -> Option<Vec<u8>> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut cursor = Cursor::new(bytes);
    cursor.value().ok()?;
    let (text, rest) = bytes.split_at(cursor.at());
    let is_whole = match rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
        Some(byte) => ends.contains(byte),
        None => is_end,
    };
    is_whole.then(|| text.to_vec())
}
