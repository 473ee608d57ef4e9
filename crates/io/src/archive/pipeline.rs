//! How archives are made: workers take chunks apart, rows are gathered in source order, groups are encoded and written in order.
//!
//! ```text
//! files ──(any worker)──▶ blocks ──(in order)──▶ groups ──(any worker)──▶ encoded ──(in order)──▶ files of the archive
//! ```
//!
//! A worker that is too far ahead of the order encodes what others have gathered, and then waits, so a few blocks and a few
//! groups are all there is in memory.

use super::account::{entry, stored_sum, stored_sums};
use super::block::Block;
use super::columns::Run;
use super::convert::Settings;
use super::encode::{self, Encoder};
use super::gather::{Gatherer, Job};
use super::group::{Columns, Group, Partitions};
use super::manifest::Part;
use super::output::Target;
use super::parser::Layouts;
use super::tap::{self, Take, Tap, Tapped, WANT};
use super::writing::{Done, Writing};
use crate::files::{Files, Input};
use crate::formats::{Pass, Records};
use ::parquet::errors::ParquetError;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::source::{Flow, Scan};
use backsight_engine::value::column::Batch;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Everything workers share.
pub(super) struct Pipeline<'s> {
    settings: &'s Settings,
    layouts: Layouts,
    gathering: Mutex<Gathering>,
    /// Told when the next in order may go on.
    turn: Condvar,
    /// Hashes of files that were read.
    stored: Mutex<HashMap<String, String>>,
    pub(super) writing: Mutex<Writing>,
    stop: AtomicBool,
}

/// The order of blocks.
struct Gathering {
    gatherer: Gatherer,
    /// The ticket whose blocks are next.
    next: u64,
    /// Blocks that came too early.
    early: BTreeMap<u64, Early>,
    /// Bytes of them.
    early_bytes: usize,
    /// Jobs so far.
    jobs: u64,
    /// Those that nobody has begun yet, with their numbers.
    queue: VecDeque<(u64, Job)>,
    /// Row groups being made of rows that are not columns yet.
    growing: usize,
    /// Those being encoded.
    open: Vec<Arc<Columns>>,
    /// There will be no more.
    is_finished: bool,
}

impl Gathering {
    fn enqueue(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            self.queue.push_back((self.jobs, job));
            self.jobs += 1;
        }
    }

    /// The next job, for whoever calls.
    fn begin(&mut self) -> Option<(u64, Job)> {
        let next = self.queue.pop_front()?;
        self.growing += usize::from(matches!(next.1, Job::Group { .. }));
        Some(next)
    }

    /// True if there is nothing to do besides reading, nor will be soon.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.growing == 0 && !self.open.iter().any(|columns| columns.is_waiting())
    }
}

#[derive(Default)]
struct Early {
    blocks: Vec<(Arc<Input>, &'static str, Block)>,
    ended: bool,
}

/// Goes off where a worker ends before its work is done: nobody shall wait for it.
struct Alarm<'p, 's>(&'p Pipeline<'s>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.turn.notify_all();
    }
}

thread_local! {
    /// The ticket of the morsel this thread reads.
    static TICKET: Cell<u64> = const { Cell::new(0) };
}

/// A tap that hands blocks to the pipeline.
struct Listener<'p> {
    layouts: &'p Layouts,
    take: &'p Take<'p>,
}

impl std::fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Tap for Listener<'_> {
    fn tap<'a>(
        &'a self,
        pass: &Pass<'a>,
        format: &'static str,
        records: Box<dyn Records + 'a>,
    ) -> Box<dyn Records + 'a> {
        Box::new(Tapped { pass: pass.clone(), format, records, layouts: self.layouts, take: self.take })
    }

    fn rows(&self, pass: &Pass<'_>, format: &'static str, rows: &Batch) -> Result<Flow, Error> {
        match tap::lines(pass, format, rows, self.layouts) {
            Some(block) => (self.take)(&pass.input, format, block),
            None => Ok(Flow::More),
        }
    }
}

impl<'s> Pipeline<'s> {
    pub(super) fn new(settings: &'s Settings, target: Target, parts: Vec<Part>, span: u64) -> Pipeline<'s> {
        let gatherer = Gatherer::new(settings.form(), &parts, span);
        Pipeline {
            settings,
            layouts: Layouts::default(),
            gathering: Mutex::new(Gathering {
                gatherer,
                next: 0,
                early: BTreeMap::new(),
                early_bytes: 0,
                jobs: 0,
                queue: VecDeque::new(),
                growing: 0,
                open: Vec::new(),
                is_finished: false,
            }),
            turn: Condvar::new(),
            stored: Mutex::default(),
            writing: Mutex::new(Writing::new(target, parts)),
            stop: AtomicBool::new(false),
        }
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Converts the inputs from number `first` on.
    pub(super) fn run(&self, files: &Files, first: usize, ctl: &Ctl) -> Result<(), Error> {
        let scan = Scan { want: WANT.to_vec(), ..Scan::default() };
        let take = |input: &Arc<Input>, format, block| self.take(input, format, block, ctl);
        let listener = Listener { layouts: &self.layouts, take: &take };
        let morsels = files.tapped(&scan, &ctl.counters, first, &listener);
        let work = || -> Result<(), Error> {
            loop {
                // While another worker begins a file, which may take inflating it, there is other work.
                if morsels.is_busy() {
                    self.work_off(0)?;
                }
                if self.settings.threads > 1 {
                    morsels.ahead();
                }
                let Some((ticket, morsel)) = morsels.numbered() else { break };
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if ctl.cancelled() {
                    return Err(Error::Cancelled);
                }
                TICKET.set(ticket);
                morsel.read(&mut |_| Ok(Flow::More))?;
                self.end(ticket)?;
            }
            self.rest(morsels.count(), files.inputs().len(), ctl)
        };
        self.by_all(&|| {
            let alarm = Alarm(self);
            let result = work();
            if result.is_ok() {
                std::mem::forget(alarm);
            }
            result
        })
    }

    /// Has all workers do something.
    fn by_all(&self, work: &(dyn Fn() -> Result<(), Error> + Sync)) -> Result<(), Error> {
        let results: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.settings.threads.max(1)).map(|_| scope.spawn(work)).collect();
            let died = || Err(Error::Bug("a worker of the conversion failed".into()));
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| died())).collect()
        });
        results.into_iter().collect()
    }

    /// Does jobs until there are no more, now that all morsels have been given out, so many of them.
    fn rest(&self, tickets: u64, inputs: usize, ctl: &Ctl) -> Result<(), Error> {
        let mut state = self.gathering();
        loop {
            if ctl.cancelled() {
                return Err(Error::Cancelled);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if state.next == tickets && !state.is_finished {
                let mut jobs = Vec::new();
                state.gatherer.finish(inputs, &mut jobs)?;
                state.enqueue(jobs);
                state.is_finished = true;
                self.turn.notify_all();
            }
            if state.is_finished && state.is_idle() {
                return Ok(());
            }
            state = self.help_or_wait(state)?;
        }
    }

    /// Does what there is to do besides reading, or waits for that.
    fn help_or_wait<'p>(&'p self, mut state: MutexGuard<'p, Gathering>) -> Result<MutexGuard<'p, Gathering>, Error> {
        if let Some((number, job)) = state.begin() {
            drop(state);
            self.job(number, job)?;
        } else if let Some(columns) = state.open.iter().find(|columns| columns.is_waiting()).map(Arc::clone) {
            drop(state);
            columns.work();
        } else {
            return Ok(self.turn.wait(state).unwrap_or_else(PoisonError::into_inner));
        }
        Ok(self.gathering())
    }

    /// Hashes what has been gathered, without keeping others from gathering.
    fn hash(&self, state: MutexGuard<'_, Gathering>) {
        let digest = state.gatherer.digest();
        drop(state);
        digest.iter().for_each(|digest| digest.work(self.settings.form().group_bytes));
    }

    /// Does jobs until only so many are left that nobody has begun.
    fn work_off(&self, left: usize) -> Result<(), Error> {
        while !self.stop.load(Ordering::Relaxed) {
            let mut state = self.gathering();
            let next = if state.queue.len() > left { state.begin() } else { None };
            drop(state);
            let Some((number, job)) = next else { break };
            self.job(number, job)?;
        }
        Ok(())
    }

    /// Takes a block of the morsel this thread reads.
    fn take(&self, input: &Arc<Input>, format: &'static str, block: Block, ctl: &Ctl) -> Result<Flow, Error> {
        let ticket = TICKET.get();
        let mut state = self.gathering();
        let most = 2 * self.settings.form().group_bytes / 3;
        while state.next != ticket && state.early_bytes > most && !self.stop.load(Ordering::Relaxed) {
            state = self.help_or_wait(state)?;
        }
        if ctl.cancelled() {
            return Err(Error::Cancelled);
        }
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Flow::Enough);
        }
        if state.next != ticket {
            state.early_bytes += block.data.len();
            state.early.entry(ticket).or_default().blocks.push((Arc::clone(input), format, block));
            return Ok(Flow::More);
        }
        let mut jobs = Vec::new();
        // Blocks of this morsel from before its turn came go first.
        self.admit(&mut state, ticket, &mut jobs)?;
        let is_table = block.is_table;
        state.gatherer.add(input, format, block, || entry(input, format, is_table), &mut jobs)?;
        if jobs.is_empty() {
            self.hash(state);
            return Ok(Flow::More);
        }
        state.enqueue(jobs);
        self.turn.notify_all();
        self.hash(state);
        // Whoever waits for this one's turn to end takes what is left.
        self.work_off(usize::from(self.settings.threads > 1))?;
        Ok(Flow::More)
    }

    /// Adds the early blocks of a ticket whose turn has come.
    fn admit(&self, state: &mut Gathering, ticket: u64, jobs: &mut Vec<Job>) -> Result<bool, Error> {
        let Some(early) = state.early.get_mut(&ticket) else { return Ok(false) };
        let ended = early.ended;
        for (input, format, block) in std::mem::take(&mut early.blocks) {
            state.early_bytes -= block.data.len();
            let is_table = block.is_table;
            state.gatherer.add(&input, format, block, || entry(&input, format, is_table), jobs)?;
        }
        Ok(ended)
    }

    /// The morsel of a ticket has been read.
    fn end(&self, ticket: u64) -> Result<(), Error> {
        let mut state = self.gathering();
        if state.next != ticket {
            state.early.entry(ticket).or_default().ended = true;
            drop(state);
            return self.work_off(0);
        }
        let mut jobs = Vec::new();
        self.admit(&mut state, ticket, &mut jobs)?;
        state.early.remove(&ticket);
        state.next += 1;
        loop {
            let next = state.next;
            if !self.admit(&mut state, next, &mut jobs)? {
                break;
            }
            state.early.remove(&next);
            state.next += 1;
        }
        state.enqueue(jobs);
        self.turn.notify_all();
        self.hash(state);
        self.work_off(0)
    }

    /// A row group of rows, encoded with the help of workers that have nothing else to do.
    fn group(&self, encoder: Arc<Encoder>, runs: Vec<Run>, partitions: Partitions) -> Result<Group, ParquetError> {
        let columns = Columns::new(encoder, runs, partitions).map(Arc::new);
        let mut state = self.gathering();
        state.growing -= 1;
        let columns = columns?;
        state.open.push(Arc::clone(&columns));
        drop(state);
        self.turn.notify_all();
        let group = columns.group();
        self.gathering().open.retain(|other| !Arc::ptr_eq(other, &columns));
        // Who meant to help may have come too late, and waits.
        self.turn.notify_all();
        group
    }

    fn job(&self, number: u64, job: Job) -> Result<(), Error> {
        let done = match job {
            Job::Group { place, encoder, runs, partitions } => {
                let encoder = Arc::clone(encoder.encoder()?);
                let group = self.group(Arc::clone(&encoder), runs, partitions);
                Done::Group(place, encoder, group.map_err(|e| encode::error(&self.settings.target, e))?)
            }
            Job::Stored(path) => {
                let sum = stored_sum(&path)?;
                self.stored().insert(path, sum);
                Done::Nothing
            }
            Job::Part(mut part) => {
                let known = std::mem::take(&mut *self.stored());
                stored_sums(&mut part.inputs, &known)?;
                Done::Part(part)
            }
        };
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.take(number, done, self.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::output::Faults;
    use crate::archive::schema::Schema;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Runs of a race that somebody loses in one of a few hundred.
    const RUNS: usize = 1000;
    const HELPERS: usize = 6;

    #[test]
    fn who_comes_too_late_to_help_does_not_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings: &'static Settings =
            Box::leak(Box::new(Settings { target: folder.path().join("out"), threads: 2, ..Settings::default() }));
        let target = Target::claim(&settings.target, false, false, Faults::default()).expect("a target");
        let pipeline: &'static Pipeline<'static> = Box::leak(Box::new(Pipeline::new(settings, target, Vec::new(), 1)));
        let encoder = Arc::new(Encoder::new(Schema::new(Vec::new()).expect("a schema")).expect("an encoder"));
        let ctl: &'static Ctl = Box::leak(Box::new(Ctl::new(1).expect("a thread")));
        pipeline.gathering().is_finished = true;
        for run in 0..RUNS {
            pipeline.gathering().growing = 1;
            let (tell, told) = mpsc::channel();
            for _ in 0..HELPERS {
                let tell = tell.clone();
                std::thread::spawn(move || tell.send(pipeline.rest(0, 0, ctl).is_ok()));
            }
            let group = pipeline.group(Arc::clone(&encoder), Vec::new(), Partitions::new());
            assert!(group.is_ok(), "{run}");
            for _ in 0..HELPERS {
                assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(true), "{run}");
            }
        }
    }
}
