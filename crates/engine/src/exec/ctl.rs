//! What steers a run from outside: threads, memory, cancelling, counters. The engine has no globals.

use super::memory::{Memory, Scratch};
use crate::error::Error;
use crate::source::Counters;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Groups that are many.
const MANY_GROUPS: usize = 1 << 12;

/// Rows of a part of those that are kept.
const PART_ROWS: usize = 32 << 10;

/// Shared by everyone who takes part in a run.
#[derive(Debug)]
pub struct Ctl {
    pool: rayon::ThreadPool,
    cancel: AtomicBool,
    abort: Arc<AtomicBool>,
    memory: Arc<Memory>,
    groups_kept: usize,
    rows_kept: usize,
    part_rows: usize,
    seed: u64,
    /// What was seen so far.
    pub counters: Counters,
}

impl Ctl {
    /// A control with this many threads; 0 means one per core.
    ///
    /// # Errors
    /// The reason the operating system gives for refusing threads.
    pub fn new(threads: usize) -> Result<Ctl, String> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
        let memory = Arc::new(Memory::unlimited(pool.current_num_threads()));
        let (cancel, abort) = (AtomicBool::new(false), Arc::default());
        let seed = foldhash::fast::RandomState::default().hash_one(0);
        Ok(Ctl {
            pool,
            cancel,
            abort,
            memory,
            groups_kept: MANY_GROUPS,
            rows_kept: usize::MAX,
            part_rows: PART_ROWS,
            seed,
            counters: Counters::default(),
        })
    }

    /// The same with a limit in bytes for what the run keeps in memory; what goes beyond it is kept in files of
    /// `scratch`, or refused with [`Error::Limit`] where that cannot be.
    pub fn with_memory_limit(mut self, bytes: u64, scratch: Box<dyn Scratch>) -> Ctl {
        let limit = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.memory = Arc::new(Memory::limited(limit, scratch, false, self.threads()));
        self
    }

    /// The same where everything that can be in files is, even where there is room: to check that nothing changes.
    pub fn with_eager_spill(mut self, scratch: Box<dyn Scratch>) -> Ctl {
        /// Enough for what cannot be in files.
        const ROOM: usize = 256 << 20;
        self.memory = Arc::new(Memory::limited(ROOM, scratch, true, self.threads()));
        self
    }

    /// The same where in a pass for several plans a worker keeps so many groups before it only counts them, if most may
    /// turn out too small to matter, and looks at the rows again for the others. It does not change the answer.
    pub fn with_groups_kept(mut self, groups: usize) -> Ctl {
        self.groups_kept = groups;
        self
    }

    /// The same where in a pass for several plans a worker keeps rows of so many bytes at most; where they are more, plans
    /// look at the rows as these are read, and the source is read again for a second look. It does not change the answer.
    pub fn with_rows_kept(mut self, bytes: usize) -> Ctl {
        self.rows_kept = bytes;
        self
    }

    /// The same where a pass for several plans looks at the rows it keeps in parts of so many, however few values there
    /// are, and rows in their order are shared between threads, and given away, in pieces of so many. It does not change
    /// the answer.
    pub fn with_parts_of(mut self, rows: usize) -> Ctl {
        self.part_rows = rows.max(1);
        self
    }

    /// Asks the run to stop reading and to answer with what it has.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Asks the run to stop at once, without an answer: what a while after [`Ctl::cancel`] is still at work ends with
    /// [`Error::Cancelled`].
    pub fn abort(&self) {
        self.cancel();
        self.abort.store(true, Ordering::Relaxed);
    }

    /// Whether the run should stop reading.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Whether the run should stop at once.
    pub(crate) fn aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }

    /// The flag that [`Ctl::abort`] sets.
    pub(crate) fn stop(&self) -> &Arc<AtomicBool> {
        &self.abort
    }

    /// An error if the run should stop at once.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.aborted() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// What the run may keep in memory.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// See [`Ctl::with_groups_kept`].
    pub(crate) fn groups_kept(&self) -> usize {
        self.groups_kept
    }

    /// Bytes of rows that each worker may keep for later looks at them.
    pub(crate) fn rows_kept(&self) -> usize {
        self.rows_kept.min(self.memory.rows_kept())
    }

    /// Rows of a part, if values are spread evenly.
    pub(crate) fn part_rows(&self) -> usize {
        self.part_rows
    }

    /// Whether values of which there are `each` for every part are too few to be spread over them.
    pub(crate) fn are_uneven(&self, each: usize) -> bool {
        const FEW: usize = 8;
        each < FEW && self.part_rows >= PART_ROWS
    }

    /// Whether so many groups are better looked at in parts.
    pub(crate) fn are_many(&self, groups: usize) -> bool {
        const MANY: usize = 1 << 14;
        groups > MANY || self.part_rows < PART_ROWS
    }

    /// Whether a part of so many rows is too large a piece of them all to be one worker's.
    pub(crate) fn is_lopsided(&self, part: usize, rows: usize) -> bool {
        const PIECES: usize = 4;
        self.part_rows >= PART_ROWS && part > self.part_rows && part * self.threads() * PIECES > rows
    }

    /// What hashes start from, so that nobody can write logs in which all are the same.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` once on every thread.
    pub(crate) fn broadcast<T: Send>(&self, work: impl Fn() -> T + Sync) -> Vec<T> {
        self.pool.broadcast(|_| work())
    }

    /// Runs `work` so that its parallel parts use this control's threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Does `work` on these threads, and `meanwhile` on that of the caller.
    pub fn beside<T: Send, M>(&self, work: impl FnOnce() -> T + Send, meanwhile: impl FnOnce() -> M) -> (T, M) {
        let mut done = None;
        let meant = self.pool.in_place_scope(|scope| {
            scope.spawn(|_| done = Some(work()));
            meanwhile()
        });
        (done.expect("the scope waits for it"), meant)
    }
}
