//! Files of records, cut into chunks of whole records.
//!
//! A plain file is cut where it lies, without copying. A compressed one is decompressed chunk by chunk, either by the
//! worker that asks for the next piece while others read the last ones, or, where there are other files to share out,
//! from front to back by the worker that takes the file.

use crate::bytes::{RELEASE_FROM, Stored};
use crate::codec::{Decoder, Finding, State};
use crate::formats::{Chunk, Pass, Queue, Records, Splitter};
use arrow::buffer::Buffer;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Flow, Morsel, Weight};
use backsight_engine::value::column::Batch;
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Receives batches.
type Out<'o> = &'o mut dyn FnMut(Batch) -> Result<Flow, Error>;

/// What is said when the bytes of a file go away while it is read.
pub(crate) const SHRUNK: &str = "the file was cut short while being read";

/// What is said when a list of records has no end.
const OPEN: &str = "truncated: the list of records is not closed, so the file is cut off";

/// A chunk and who reads it.
struct Piece<'a> {
    pass: Pass<'a>,
    records: Arc<dyn Records + 'a>,
    chunk: Chunk,
    /// Bytes of the stored file it stands for.
    stored_bytes: u64,
    /// For a chunk that lies in a map: the file, and where the chunk ends in it.
    mapped: Option<(Arc<Stored>, usize)>,
}

impl Morsel for Piece<'_> {
    fn read(mut self: Box<Self>, out: Out<'_>) -> Result<Flow, Error> {
        if let Some((stored, end)) = &self.mapped {
            let missing = end - stored.check(*end);
            if missing > 0 {
                let kept = self.chunk.data.len().saturating_sub(missing);
                self.chunk.data = self.chunk.data.slice_with_length(0, kept);
                damage(&self.pass, self.chunk.offset + kept as u64, SHRUNK, missing as u64)?;
            }
        }
        Counters::add(&self.pass.counters.bytes, self.chunk.data.len() as u64);
        Counters::add(&self.pass.counters.input_bytes, self.stored_bytes);
        let flow = self.records.read(self.chunk, out);
        // Who listens in looks at the bytes again, and gives them back himself.
        if let (Some((stored, end)), None) = (self.mapped, self.pass.tap)
            && stored.bytes().len() >= RELEASE_FROM
        {
            stored.release(end - self.stored_bytes as usize..end);
        }
        flow
    }
}

/// A morsel that cannot be read.
pub(crate) struct Broken(pub Error);

impl Morsel for Broken {
    fn read(self: Box<Self>, _: Out<'_>) -> Result<Flow, Error> {
        Err(self.0)
    }
}

/// Notes a finding; damage is an error where the run is strict.
pub(crate) fn finding(pass: &Pass<'_>, found: &Finding) -> Result<(), Error> {
    if found.weight == Weight::Damage && pass.options.strict {
        let (file, why) = (pass.input.shown.clone(), found.message.clone());
        return Err(Error::Input { file, offset: Some(found.offset), why });
    }
    Counters::add(&pass.counters.lost, found.lost);
    pass.note(found.weight, Some(found.offset), &found.message);
    Ok(())
}

/// Notes that so many bytes are lost.
fn damage(pass: &Pass<'_>, offset: u64, message: impl Into<String>, lost: u64) -> Result<(), Error> {
    finding(pass, &Finding { weight: Weight::Damage, offset, message: message.into(), lost })
}

fn too_long(pass: &Pass<'_>, offset: u64, bytes: u64) -> Result<(), Error> {
    let limit = pass.options.record_limit;
    damage(pass, offset, format!("a record of {bytes} bytes, longer than the limit of {limit}, is left out"), bytes)
}

/// Cuts a plain file.
pub(crate) struct Plain<'a> {
    pass: Pass<'a>,
    records: Arc<dyn Records + 'a>,
    splitter: Box<dyn Splitter>,
    stored: Arc<Stored>,
    buffer: Buffer,
    at: usize,
    /// What the reader of the piece cut last must know.
    context: u64,
    /// Bytes of the file, as far as we know by now.
    len: usize,
}

impl<'a> Plain<'a> {
    pub(crate) fn new(pass: Pass<'a>, records: Arc<dyn Records + 'a>, stored: Arc<Stored>) -> Plain<'a> {
        let buffer = Buffer::from(stored.bytes().clone());
        Plain { pass, splitter: records.splitter(), records, len: buffer.len(), buffer, stored, at: 0, context: 0 }
    }

    /// Moves past a record that is too long.
    fn skip(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.at < self.len {
            let end = self.stored.check(self.at.saturating_add(SKIP).min(self.len));
            if end <= self.at {
                self.len = self.at;
                break;
            }
            match self.splitter.skip(&self.buffer[self.at..end]) {
                Some(n) => {
                    self.at += n;
                    break;
                }
                None => {
                    self.stored.release(self.at..end);
                    self.at = end;
                }
            }
        }
        self.stored.release(start..self.at);
        too_long(&self.pass, start as u64, (self.at - start) as u64)
    }

    /// The next chunk as a range of the file.
    fn cut(&mut self) -> Result<Option<std::ops::Range<usize>>, Error> {
        loop {
            let limit = self.pass.options.record_limit;
            let mut size = self.pass.options.morsel.max(1);
            loop {
                let asked = self.at.saturating_add(size).min(self.len);
                let end = self.stored.check(asked);
                if end < asked {
                    damage(&self.pass, end as u64, SHRUNK, (self.len - end.max(self.at)) as u64)?;
                    self.len = end.max(self.at);
                }
                let window = &self.buffer[self.at..end.max(self.at)];
                if window.is_empty() {
                    return Ok(None);
                }
                let mut n = self.splitter.cut(window);
                self.context = self.splitter.context();
                let is_last = self.at + window.len() == self.len && !self.splitter.stops();
                if is_last && window.len() - n <= limit {
                    // The last record needs no end of its own, but a list does.
                    if self.splitter.left_open(&window[n..]) {
                        damage(&self.pass, self.len as u64, OPEN, 0)?;
                    }
                    n = window.len();
                }
                if n > 0 {
                    self.at += n;
                    return Ok(Some(self.at - n..self.at));
                }
                if window.len() > limit {
                    break;
                }
                size = size.saturating_mul(2).min(limit.saturating_add(1));
            }
            self.skip()?;
        }
    }
}

/// Bytes looked at in one go for the end of a record that is too long.
const SKIP: usize = 1 << 20;

impl<'a> Queue<'a> for Plain<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        match self.cut() {
            Ok(range) => range.map(|range| {
                let data = match self.pass.tap {
                    Some(_) => self.stored.passing(range.clone()).into(),
                    None => self.buffer.slice_with_length(range.start, range.len()),
                };
                let (offset, places) = (range.start as u64, self.splitter.places());
                let chunk = Chunk { data, offset, context: self.context, places };
                let mapped = Some((Arc::clone(&self.stored), range.end));
                let (pass, records) = (self.pass.clone(), Arc::clone(&self.records));
                Box::new(Piece { pass, records, chunk, stored_bytes: range.len() as u64, mapped })
                    as Box<dyn Morsel + 'a>
            }),
            Err(e) => {
                self.at = self.len;
                Some(Box::new(Broken(e)))
            }
        }
    }
}

/// Memory for decompressed chunks, used again once nobody looks at them any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// Memory of a pool, which it goes back to.
struct Pooled {
    bytes: Vec<u8>,
    pool: Pool,
}

/// Bytes kept for later. Workers have a buffer each, but whoever gathers chunks gives back many at a time.
const POOL: usize = 256 << 20;

impl Pool {
    /// Memory of at least `len` bytes; what is in there is unspecified.
    fn take(&self, len: usize) -> Vec<u8> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        bytes
    }

    fn give(&self, bytes: Vec<u8>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.iter().map(Vec::len).sum::<usize>() + bytes.len() <= POOL {
            free.push(bytes);
        }
    }

    /// The first `len` bytes as a buffer to share.
    fn share(&self, bytes: Vec<u8>, len: usize) -> Buffer {
        let bytes = Bytes::from_owner(Pooled { bytes, pool: self.clone() });
        Buffer::from(bytes).slice_with_length(0, len)
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.bytes));
    }
}

/// Cuts what a decoder gives.
pub(crate) struct Stream<'a> {
    pass: Pass<'a>,
    records: Arc<dyn Records + 'a>,
    splitter: Box<dyn Splitter>,
    decoder: Box<dyn Decoder>,
    /// Decompressed bytes not handed out yet.
    carry: Vec<u8>,
    /// Where they begin in the decompressed file.
    offset: u64,
    /// Compressed bytes counted so far.
    counted: u64,
    state: State,
    chunk: usize,
    pool: Pool,
    findings: Vec<Finding>,
}

impl<'a> Stream<'a> {
    /// `head` are bytes already taken from `decoder`, and how that ended; chunks have about `chunk` bytes.
    pub(crate) fn new(
        pass: Pass<'a>,
        records: Arc<dyn Records + 'a>,
        decoder: Box<dyn Decoder>,
        head: (Vec<u8>, State),
        chunk: usize,
    ) -> Stream<'a> {
        let splitter = records.splitter();
        let (carry, state) = head;
        let (pool, findings) = (pass.memory.pool.clone(), Vec::new());
        Stream {
            pass,
            records,
            splitter,
            decoder,
            carry,
            offset: 0,
            counted: 0,
            state,
            chunk: chunk.max(1),
            pool,
            findings,
        }
    }

    /// Decompresses into `buffer` from `len` on; `len` and the state are moved.
    fn fill(&mut self, buffer: &mut [u8], len: &mut usize) -> Result<(), Error> {
        let (n, state) = self.decoder.fill(&mut buffer[*len..], &mut self.findings)?;
        *len += n;
        self.state = state;
        for found in std::mem::take(&mut self.findings) {
            finding(&self.pass, &found)?;
        }
        let both = (self.decoder.taken(), self.offset + *len as u64);
        self.pass.input.expands(n as u64, both, self.pass.options)
    }

    /// Compressed bytes that were taken and not counted yet. Behind damage a decoder may go back.
    fn newly_taken(&mut self) -> u64 {
        let taken = self.decoder.taken().max(self.counted);
        taken - std::mem::replace(&mut self.counted, taken)
    }

    /// The next chunk, where it lies, if its bytes are in memory already and it is not the last.
    fn cut_in_place(&mut self) -> Result<Option<Chunk>, Error> {
        let carried = self.carry.len();
        let Some(window) = self.decoder.peek(carried, self.chunk.max(carried)) else { return Ok(None) };
        let cut = self.splitter.cut(&window);
        if cut == 0 {
            return Ok(None);
        }
        self.carry.drain(..cut.min(carried));
        let more = cut.saturating_sub(carried);
        self.decoder.pass(more);
        let offset = self.offset;
        self.offset += cut as u64;
        let both = (self.decoder.taken(), offset + cut as u64);
        self.pass.input.expands(more as u64, both, self.pass.options)?;
        let (context, places) = (self.splitter.context(), self.splitter.places());
        Ok(Some(Chunk { data: window.slice_with_length(0, cut), offset, context, places }))
    }

    /// The next chunk; its bytes in the compressed file.
    fn cut(&mut self) -> Result<Option<(Chunk, u64)>, Error> {
        if self.state == State::More
            && let Some(chunk) = self.cut_in_place()?
        {
            return Ok(Some((chunk, self.newly_taken())));
        }
        loop {
            // What is all there already needs no room for more: members of archives are small, and many.
            let room = match self.state {
                State::More => self.chunk.max(self.carry.len() + self.chunk.min(64 << 10)),
                _ => self.carry.len(),
            };
            let mut buffer = self.pool.take(room);
            let mut len = self.carry.len();
            buffer[..len].copy_from_slice(&self.carry);
            self.carry.clear();
            let cut = loop {
                while self.state == State::More && len < buffer.len() {
                    self.fill(&mut buffer, &mut len)?;
                }
                if self.state != State::More {
                    break self.last(&buffer[..len])?;
                }
                let n = self.splitter.cut(&buffer[..len]);
                if n > 0 {
                    break n;
                }
                if len > self.pass.options.record_limit {
                    self.skip(&mut buffer, &mut len)?;
                    continue;
                }
                let more = (len * 2).min(self.pass.options.record_limit.saturating_add(1));
                buffer.resize(more.max(len + 1), 0);
            };
            let offset = self.offset;
            self.offset += len as u64;
            let ended = self.state;
            let stops = cut > 0 && self.splitter.stops();
            match ended {
                _ if stops => {
                    self.carry.extend_from_slice(&buffer[cut..len]);
                    self.offset -= (len - cut) as u64;
                }
                State::More => {
                    self.carry.extend_from_slice(&buffer[cut..len]);
                    self.offset -= (len - cut) as u64;
                }
                State::Gap | State::Break => self.state = State::More,
                State::End => {}
            }
            let (context, places) = (self.splitter.context(), self.splitter.places());
            if ended == State::Gap && !stops {
                self.splitter.restart();
            }
            if cut > 0 {
                let chunk = Chunk { data: self.pool.share(buffer, cut), offset, context, places };
                return Ok(Some((chunk, self.newly_taken())));
            }
            self.pool.give(buffer);
            if ended == State::End {
                let taken = self.newly_taken();
                Counters::add(&self.pass.counters.input_bytes, taken);
                return Ok(None);
            }
        }
    }

    /// The end of the last record in bytes that nothing follows. Half a record before damage is left out, as part of the
    /// loss; at a proper end it is a record.
    fn last(&mut self, window: &[u8]) -> Result<usize, Error> {
        let mut n = self.splitter.cut(window);
        if n > 0 && self.splitter.stops() {
            return Ok(n);
        }
        let tail = &window[n..];
        let offset = self.offset + n as u64;
        if self.state == State::End && self.splitter.left_open(tail) {
            damage(&self.pass, self.decoder.taken(), OPEN, 0)?;
        }
        if tail.len() > self.pass.options.record_limit {
            too_long(&self.pass, offset, tail.len() as u64)?;
        } else if self.splitter.is_whole(tail, self.state == State::Gap) {
            n = window.len();
        } else if !tail.is_empty() {
            let what = format!("{} bytes of a record cut off by the damage are left out", tail.len());
            self.pass.note(Weight::Notice, None, format!("{what}, at byte {offset} of the decompressed data"));
        }
        Ok(n)
    }

    /// Moves past a record that is too long, in the memory there is; `buffer` then holds what follows it.
    fn skip(&mut self, buffer: &mut [u8], len: &mut usize) -> Result<(), Error> {
        let start = self.offset;
        loop {
            if let Some(n) = self.splitter.skip(&buffer[..*len]) {
                buffer.copy_within(n..*len, 0);
                *len -= n;
                self.offset += n as u64;
                break;
            }
            self.offset += *len as u64;
            *len = 0;
            if self.state != State::More {
                break;
            }
            self.fill(buffer, len)?;
        }
        too_long(&self.pass, start, self.offset - start)
    }
}

impl<'a> Queue<'a> for Stream<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        match self.cut() {
            Ok(cut) => cut.map(|(chunk, stored_bytes)| {
                let (pass, records) = (self.pass.clone(), Arc::clone(&self.records));
                Box::new(Piece { pass, records, chunk, stored_bytes, mapped: None }) as Box<dyn Morsel + 'a>
            }),
            Err(e) => {
                self.state = State::End;
                self.carry.clear();
                Some(Box::new(Broken(e)))
            }
        }
    }
}

/// All of a queue as one morsel.
pub(crate) fn read_all(queue: &mut dyn Queue<'_>, out: Out<'_>) -> Result<Flow, Error> {
    while let Some(morsel) = queue.next() {
        if morsel.read(out)? == Flow::Enough {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}

/// Splits at line feeds.
#[derive(Debug, Default)]
pub struct Lines;

impl Splitter for Lines {
    fn cut(&mut self, window: &[u8]) -> usize {
        memchr::memrchr(b'\n', window).map_or(0, |n| n + 1)
    }

    fn skip(&mut self, window: &[u8]) -> Option<usize> {
        memchr::memchr(b'\n', window).map(|n| n + 1)
    }

    fn is_whole(&self, tail: &[u8], damaged: bool) -> bool {
        // A JSON object says itself where it ends, a line of text does not.
        !tail.is_empty()
            && (!damaged || backsight_engine::value::json::whole(tail).is_ok_and(|raw| raw.text.starts_with(b"{")))
    }
}
