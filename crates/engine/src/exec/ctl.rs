//! What steers a run from outside: threads, cancelling, counters. The engine has no globals.

use crate::source::Counters;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by everyone who takes part in a run.
#[derive(Debug)]
pub struct Ctl {
    pool: rayon::ThreadPool,
    cancel: AtomicBool,
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
        Ok(Ctl { pool, cancel: AtomicBool::new(false), counters: Counters::default() })
    }

    /// Asks the run to stop soon, with what it has.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Whether the run should stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
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
