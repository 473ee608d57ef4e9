//! The morsels of many files, one file after another.
//!
//! A file is begun by one worker, outside the lock under which morsels are handed out: its first bytes may be what takes
//! long, as those of a gzip file are that is inflated in one go. Meanwhile another may begin the file after it.

use crate::archive::Tap;
use crate::dates;
use crate::files::{Begun, Files};
use crate::formats::{Memory, Pass, Queue};
use crate::input::Input;
use crate::records::Broken;
use crate::tally::Tally;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Morsel, Morsels, Scan};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The queue of one pass over all files.
pub(crate) struct Sequence<'a> {
    files: &'a Files,
    scan: &'a Scan<'a>,
    counters: &'a Counters,
    memory: Arc<Memory>,
    tap: Option<&'a dyn Tap>,
    state: Mutex<Handout<'a>>,
    /// Told when a file has been begun.
    turn: Condvar,
}

struct Handout<'a> {
    /// The file after those that are begun.
    next: usize,
    /// The one being handed out.
    queue: Option<Box<dyn Queue<'a> + 'a>>,
    /// Those after it; nothing for one that somebody is about to begin.
    ahead: VecDeque<Option<Ahead<'a>>>,
    /// How many have been taken from there.
    taken: usize,
    /// Morsels handed out.
    morsels: u64,
}

/// A file that has been begun.
struct Ahead<'a> {
    input: Arc<Input>,
    begun: Result<Begun<'a>, Error>,
    /// The first of the morsels that are shared out.
    first: Option<Box<dyn Morsel + 'a>>,
}

impl<'a> Sequence<'a> {
    /// From file number `first` on.
    pub(crate) fn new(
        files: &'a Files,
        scan: &'a Scan<'a>,
        counters: &'a Counters,
        first: usize,
        tap: Option<&'a dyn Tap>,
    ) -> Sequence<'a> {
        let state = Handout { next: first, queue: None, ahead: VecDeque::new(), taken: 0, morsels: 0 };
        let (memory, state, turn) = (Arc::default(), Mutex::new(state), Condvar::new());
        Sequence { files, scan, counters, memory, tap, state, turn }
    }

    /// Whether the next morsel is one of a file that somebody is about to begin.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.state();
        state.queue.is_none() && matches!(state.ahead.front(), Some(None))
    }

    /// Begins the file after the one being handed out, or being begun, if nobody is at it yet.
    pub(crate) fn ahead(&self) {
        let state = self.state();
        let is_free = match &state.queue {
            Some(_) => state.ahead.is_empty(),
            None => state.ahead.len() == 1,
        };
        if is_free {
            drop(self.begin(state));
        }
    }

    /// The next morsel and its number.
    pub(crate) fn numbered(&self) -> Option<(u64, Box<dyn Morsel + '_>)> {
        let mut state = self.state();
        let morsel = loop {
            if let Some(morsel) = state.queue.as_mut().and_then(|queue| queue.next()) {
                break morsel;
            }
            state.queue = None;
            if !matches!(state.ahead.front(), Some(Some(_))) {
                // Nobody has begun the next file; or somebody is at it, and the one after it can be begun meanwhile.
                let is_needed = state.ahead.is_empty();
                let is_begun;
                (state, is_begun) = if state.ahead.len() < 2 { self.begin(state) } else { (state, false) };
                match (is_begun, is_needed) {
                    (true, _) => {}
                    (false, true) => return None,
                    (false, false) => state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
                continue;
            }
            let Some(Ahead { input, begun, first }) = state.ahead.pop_front().flatten() else { continue };
            state.taken += 1;
            self.counters.reading(&input.shown);
            match begun {
                Ok(Begun::Nothing) => {}
                Ok(Begun::Queue(queue)) => {
                    state.queue = Some(queue);
                    if let Some(first) = first {
                        break first;
                    }
                }
                Ok(Begun::Morsel(morsel)) => break morsel,
                Err(e) => break Box::new(Broken(e)),
            }
        };
        state.morsels += 1;
        Some((state.morsels - 1, morsel))
    }

    /// How many morsels have been handed out.
    pub(crate) fn count(&self) -> u64 {
        self.state().morsels
    }

    /// Begins the next file; false if there is none.
    fn begin<'s>(&'s self, mut state: MutexGuard<'s, Handout<'a>>) -> (MutexGuard<'s, Handout<'a>>, bool) {
        let input = loop {
            let Some(input) = self.files.inputs.get(state.next) else { return (state, false) };
            state.next += 1;
            if !dates::is_outside(&input.stream, self.scan.range) {
                break input;
            }
            Counters::add(&self.counters.out_of_range, 1);
            Counters::add(&self.counters.input_bytes, input.size.unwrap_or(0));
        };
        let (last, number) = (state.next == self.files.inputs.len(), state.taken + state.ahead.len());
        state.ahead.push_back(None);
        drop(state);
        // Others wait for what is begun, whatever comes of it.
        let failed = |_| {
            let begun = Err(Error::Bug(format!("{} could not be begun", input.shown)));
            Ahead { input: Arc::clone(input), begun, first: None }
        };
        let ahead = catch_unwind(AssertUnwindSafe(|| self.begun(input, last))).unwrap_or_else(failed);
        let mut state = self.state();
        let at = number - state.taken;
        state.ahead[at] = Some(ahead);
        self.turn.notify_all();
        (state, true)
    }

    fn begun(&self, input: &Arc<Input>, last: bool) -> Ahead<'a> {
        let pass = Pass {
            input: Arc::clone(input),
            scan: self.scan,
            counters: Arc::new(Tally::new(self.counters, input)),
            options: &self.files.options,
            memory: Arc::clone(&self.memory),
            tap: self.tap,
        };
        let mut begun = self.files.begin(pass, last);
        let first = match &mut begun {
            Ok(Begun::Queue(queue)) => queue.next(),
            _ => None,
        };
        Ahead { input: Arc::clone(input), begun, first }
    }

    fn state(&self) -> MutexGuard<'_, Handout<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Morsels for Sequence<'_> {
    fn next(&self) -> Option<Box<dyn Morsel + '_>> {
        self.numbered().map(|(_, morsel)| morsel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::files::open;
    use backsight_engine::source::Flow;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// Files of several kinds: compressed and not, of several morsels and of one, empty, and what is none.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..24u32 {
            let lines = [0, 1, 400][number as usize % 3];
            let text: String = (0..lines).map(|line| format!("{{\"file\":{number},\"line\":{line}}}\n")).collect();
            let bytes = match number % 4 {
                0 => b"\x1f\x8b\x08\x00 cut off".to_vec(),
                1 => text.into_bytes(),
                _ => {
                    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("in memory")
                }
            };
            std::fs::write(folder.path().join(format!("{number:02}.log")), bytes).expect("written");
        }
        folder
    }

    #[test]
    fn morsels_come_in_order_whoever_begins_files() {
        let folder = folder();
        let files = open(&[folder.path().to_owned()], Options { morsel: 500, ..Options::default() }).expect("files");
        let scan = Scan::default();
        let read = |workers: usize, is_ahead: bool| {
            let (counters, rows) = (Counters::default(), Mutex::new(Vec::new()));
            let sequence = Sequence::new(&files, &scan, &counters, 0, None);
            let work = || {
                loop {
                    if is_ahead && !sequence.is_busy() {
                        sequence.ahead();
                    }
                    let Some((number, morsel)) = sequence.numbered() else { break };
                    let mut first = None;
                    morsel
                        .read(&mut |batch| {
                            first = first.or(batch.positions.iter().next());
                            Ok(Flow::More)
                        })
                        .expect("damage is noted");
                    rows.lock().expect("nobody fails").push((number, first));
                }
            };
            std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
            let count = sequence.count();
            let mut rows = rows.into_inner().expect("nobody fails");
            rows.sort_unstable();
            assert!(rows.iter().map(|(number, _)| *number).eq(0..count));
            rows
        };
        let alone = read(1, false);
        let positions: Vec<u64> = alone.iter().filter_map(|(_, first)| *first).collect();
        assert!(positions.len() > 40 && positions.is_sorted());
        for _ in 0..10 {
            assert!(read(1, true) == alone && read(3, true) == alone && read(3, false) == alone);
        }
    }
}
