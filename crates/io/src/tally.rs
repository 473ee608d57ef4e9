//! What is counted and noted about one file during a pass.

use crate::bytes::{Change, Stored};
use crate::codec::Finding;
use crate::formats::{Pass, Queue};
use crate::input::Input;
use crate::records::{SHRUNK, finding};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, FileCount, Flow, Morsel, Weight};
use backsight_engine::value::column::Batch;
use std::ops::Deref;
use std::sync::Arc;

/// Counters of one file in a pass. What readers add goes to the file and to the pass at the end of each morsel.
#[derive(Debug)]
pub struct Tally<'a> {
    /// Not handed on yet.
    own: Counters,
    total: &'a Counters,
    file: Arc<FileCount>,
}

impl<'a> Tally<'a> {
    /// Begins to count a file.
    pub fn new(total: &'a Counters, input: &Input) -> Tally<'a> {
        Tally { own: Counters::default(), total, file: total.begin(&input.shown, input.position(0)) }
    }

    /// The counters of the pass.
    pub fn total(&self) -> &'a Counters {
        self.total
    }

    /// Says what the file was taken for.
    pub fn taken_for(&self, format: &'static str, codec: Option<&'static str>) {
        let _ = self.file.taken_for.set((format, codec));
    }

    /// Hands on what was counted so far.
    pub fn flush(&self) {
        self.own.hand_on(&[&self.file.counts, self.total]);
    }
}

impl Deref for Tally<'_> {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.own
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A queue whose morsels hand on what they counted, and say what happened to their file meanwhile.
pub(crate) struct Counted<'a> {
    pub queue: Box<dyn Queue<'a> + 'a>,
    pub pass: Pass<'a>,
    /// The bytes of the file, where they could change.
    pub stored: Option<Arc<Stored>>,
}

struct CountedMorsel<'a> {
    morsel: Box<dyn Morsel + 'a>,
    pass: Pass<'a>,
    stored: Option<Arc<Stored>>,
}

/// Notes what happened to a file; that bytes went away is an error where the run is strict.
fn watch(pass: &Pass<'_>, stored: &Option<Arc<Stored>>) -> Result<(), Error> {
    let Some(change) = stored.as_ref().and_then(|stored| stored.changed()) else { return Ok(()) };
    let (weight, message) = match change {
        Change::Zeros => {
            (Weight::Damage, "the file was cut short while being read; some of what was read are zeros".into())
        }
        Change::Shrunk => (Weight::Damage, SHRUNK.to_owned()),
        Change::Grown(n) => (Weight::Notice, format!("the file grew while being read; {n} bytes more are not read")),
        Change::Touched => (Weight::Notice, "the file was written to while being read".into()),
    };
    finding(
        pass,
        &Finding { weight, offset: stored.as_ref().map_or(0, |s| s.check(usize::MAX) as u64), message, lost: 0 },
    )
}

impl<'a> Queue<'a> for Counted<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        let morsel = self.queue.next();
        self.pass.counters.flush();
        Some(Box::new(CountedMorsel { morsel: morsel?, pass: self.pass.clone(), stored: self.stored.clone() }))
    }
}

impl Morsel for CountedMorsel<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let result = self.morsel.read(out).and_then(|flow| watch(&self.pass, &self.stored).map(|()| flow));
        self.pass.counters.flush();
        result
    }
}
