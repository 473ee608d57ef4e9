//! What steers a run from outside: threads, memory, cancelling, counters. The engine has no globals.

use super::memory::{Memory, Scratch};
use crate::error::Error;
use crate::source::Counters;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Groups that are many.
const MANY_GROUPS: usize = 1 << 12;

/// Shared by everyone who takes part in a run.
#[derive(Debug)]
pub struct Ctl {
    pool: rayon::ThreadPool,
    cancel: AtomicBool,
    abort: Arc<AtomicBool>,
    memory: Arc<Memory>,
    groups_kept: usize,
    keep_rows: bool,
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
            keep_rows: true,
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

    /// The same where a pass for several plans keeps no rows, however few, and always reads the source again for those
    /// who want a second look. It does not change the answer.
    pub fn without_rows_kept(mut self) -> Ctl {
        self.keep_rows = false;
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

    /// Bytes of rows that each worker may keep for a second look at them.
    pub(crate) fn rows_kept(&self) -> usize {
        if self.keep_rows { self.memory.rows_kept() } else { 0 }
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
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}
