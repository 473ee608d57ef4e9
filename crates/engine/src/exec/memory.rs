//! The memory a run may hold, and where what does not fit goes.
//!
//! Whoever keeps rows or groups has a [`Share`] and says before growing how much it will need at its peak. As soon as
//! all shares together are beyond the limit, those that hold most are told to put what they have into temporary files.

use crate::error::Error;
use crate::value::column::{Batch, Column};
use crate::value::dictionary::Dictionary;
use arrow::array::Array;
use std::collections::HashSet;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A temporary file: written once, then read from its start.
pub trait ScratchFile: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> ScratchFile for T {}

/// Where temporary files come from. The engine opens none itself.
pub trait Scratch: Send + Sync {
    /// A new, empty file that is gone as soon as it is dropped, and with the process.
    ///
    /// # Errors
    /// What the operating system says.
    fn file(&self) -> io::Result<Box<dyn ScratchFile>>;

    /// Where the files are, for messages.
    fn place(&self) -> String;
}

/// The memory of a run.
pub(crate) struct Memory {
    limit: usize,
    threads: usize,
    scratch: Option<Box<dyn Scratch>>,
    /// Whatever can go to files does, even where there is room.
    eager: bool,
    /// What all shares hold.
    held: AtomicUsize,
    /// Number of shares.
    shares: AtomicUsize,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} bytes", self.held.load(Ordering::Relaxed), self.limit)
    }
}

impl Memory {
    /// Without a limit.
    pub fn unlimited(threads: usize) -> Memory {
        let (held, shares) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Memory { limit: usize::MAX, threads, scratch: None, eager: false, held, shares }
    }

    /// Up to `limit` bytes, the rest in files of `scratch`; if `eager`, all that can be there.
    pub fn limited(limit: usize, scratch: Box<dyn Scratch>, eager: bool, threads: usize) -> Memory {
        Memory { limit, scratch: Some(scratch), eager, ..Memory::unlimited(threads) }
    }

    /// A share that holds nothing yet.
    pub fn share(self: &Arc<Self>) -> Share {
        self.shares.fetch_add(1, Ordering::Relaxed);
        Share { memory: Arc::clone(self), held: 0 }
    }

    /// Whether so many bytes can be had beside what is held already.
    pub fn fits(&self, bytes: usize) -> bool {
        !self.eager && self.held.load(Ordering::Relaxed).saturating_add(bytes) <= self.limit
    }

    /// Bytes of records to sort at once when they go to files: 1/16 of the limit, or less where many may have to.
    pub fn run_bytes(&self) -> usize {
        let each = self.limit / self.shares.load(Ordering::Relaxed).max(1) * 2;
        if self.eager { 16 << 10 } else { (self.limit / 16).min(each).clamp(1 << 10, 64 << 20) }
    }

    /// How many counters of a byte a worker may have for one `stats`, as a power of two: up to 4 MiB, 1/128 of its part.
    pub fn counter_bits(&self) -> u32 {
        (self.limit / self.threads.max(1) / 128).max(1 << 12).ilog2().min(22)
    }

    /// Bytes of rows that a worker may keep only to spare a second reading: its part of a quarter of the limit.
    pub fn rows_kept(&self) -> usize {
        const MOST: usize = 512 << 20;
        if self.eager { 0 } else { (self.limit / 4).min(MOST) / self.threads.max(1) }
    }

    /// How many sorted runs are read side by side, at most: files that one worker holds open.
    pub fn fan_in(&self) -> usize {
        (256 / self.threads.max(1)).clamp(8, 64)
    }

    /// Bytes to read at once from each of so many files.
    pub fn read_bytes(&self, files: usize) -> usize {
        (self.limit / 8 / files.max(1)).clamp(4 << 10, 256 << 10)
    }

    /// A temporary file.
    pub fn file(&self) -> Result<Box<dyn ScratchFile>, Error> {
        match &self.scratch {
            Some(scratch) => scratch.file().map_err(|e| self.failed(e)),
            None => Err(Error::Bug("nothing to spill to".into())),
        }
    }

    /// The error for what happened to a temporary file.
    pub fn failed(&self, source: io::Error) -> Error {
        let place = self.scratch.as_ref().map_or_else(String::new, |s| s.place());
        Error::Io { what: format!("temporary file in {place}, for what is beyond --memory-limit"), source }
    }

    /// The error for what must be in memory as a whole and is not to be.
    pub fn refused(&self, what: &str) -> Error {
        let limit = self.limit as f64 / f64::from(1 << 20);
        Error::Limit(format!("{what} needs more memory than the limit of {limit:.1} MiB; raise it with --memory-limit"))
    }
}

/// What one holder of memory has.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Memory>,
    held: usize,
}

impl Share {
    /// Says how many bytes are needed now. False: the limit is reached and this share is among the larger ones, so its
    /// holder should put what it has into a file.
    pub fn set(&mut self, bytes: usize) -> bool {
        let held = &self.memory.held;
        let total = match bytes >= self.held {
            true => held.fetch_add(bytes - self.held, Ordering::Relaxed).saturating_add(bytes - self.held),
            false => held.fetch_sub(self.held - bytes, Ordering::Relaxed) - (self.held - bytes),
        };
        self.held = bytes;
        let shares = self.memory.shares.load(Ordering::Relaxed).max(1);
        let room = !self.memory.eager && total <= self.memory.limit;
        room || bytes == 0 || !self.memory.eager && bytes < total / shares / 2
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// As [`Share::set`], where nothing can be put into a file.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond the limit; `what` says for what.
    pub fn need(&mut self, bytes: usize, what: &str) -> Result<(), Error> {
        self.set(bytes);
        let held = self.memory.held.load(Ordering::Relaxed);
        if held <= self.memory.limit { Ok(()) } else { Err(self.memory.refused(what)) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
        self.memory.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Larger buffers are mapped files; keeping them costs nothing.
const MAPPED: usize = 64 << 20;

/// What a batch keeps alive.
struct Weight {
    /// Views, numbers, positions.
    fixed: usize,
    /// Text the cells stand in.
    text: usize,
    /// Blocks that text lies in.
    blocks: usize,
}

fn weight<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> Weight {
    let mut weight = Weight { fixed: 0, text: 0, blocks: 0 };
    let mut seen: HashSet<*const u8, foldhash::fast::RandomState> = HashSet::default();
    for batch in batches {
        weight.fixed += batch.rows * 4;
        for column in &batch.columns {
            match column {
                Column::Const(..) => weight.fixed += 64,
                Column::Text(array, _) => {
                    weight.fixed += array.len() * 17;
                    weight.text += array.total_buffer_bytes_used();
                    let blocks = array.data_buffers().iter().filter(|b| b.len() <= MAPPED);
                    weight.blocks +=
                        blocks.filter(|b| seen.insert(b.as_ptr())).map(arrow::buffer::Buffer::len).sum::<usize>();
                }
                // What others have filled is kept for this; all other dictionaries are somebody's who counts them.
                Column::Dict(words, dictionary) => {
                    weight.fixed += words.len() * 4;
                    if let Some(given) = dictionary.given()
                        && seen.insert(given.views().as_ptr().cast())
                    {
                        weight.blocks += dictionary.given_bytes();
                        let here = words.iter().filter(|word| **word != Dictionary::NULL);
                        weight.text += here.map(|word| dictionary.text(*word).1.len()).sum::<usize>();
                    }
                }
                other => weight.fixed += other.len() * 8,
            }
        }
    }
    weight
}

/// Bytes of memory kept with some batches, roughly; a block of text that several of them stand in counts once.
pub(crate) fn cost(batches: &[Batch]) -> usize {
    let Weight { fixed, text, blocks } = weight(batches);
    fixed + text.max(blocks)
}

/// Bytes of memory that a copy of some batches takes, roughly.
pub(crate) fn copied(batches: &[Batch]) -> usize {
    let Weight { fixed, text, .. } = weight(batches);
    fixed + text
}

/// A batch that is to be kept: it keeps no block of input alive for a few words of it.
pub(crate) fn keep(batch: Batch) -> Batch {
    if is_wasteful([&batch]) { batch.owned() } else { batch }
}

/// Batches that are to be kept together.
pub(crate) fn keep_all(batches: Vec<Batch>) -> Vec<Batch> {
    if is_wasteful(&batches) { batches.iter().map(Batch::owned).collect() } else { batches }
}

fn is_wasteful<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> bool {
    let Weight { text, blocks, .. } = weight(batches);
    blocks > 2 * text + 4096
}

impl Batch {
    /// Bytes of memory kept with the batch, roughly.
    pub(crate) fn cost(&self) -> usize {
        cost(std::slice::from_ref(self))
    }
}
/// Counters at nothing, whose memory is really there: pages that are read before they are written are got twice.
pub(super) fn zeros<T: Clone + Default>(n: usize) -> Vec<T> {
    let mut counters = Vec::with_capacity(n);
    counters.resize(n, T::default());
    counters
}
