//! What is counted and noted about one file during a pass.

use crate::formats::Queue;
use crate::input::Input;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, FileCount, Flow, Morsel};
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

/// A queue whose morsels hand on what they counted.
pub(crate) struct Counted<'a> {
    pub queue: Box<dyn Queue<'a> + 'a>,
    pub tally: Arc<Tally<'a>>,
}

struct CountedMorsel<'a> {
    morsel: Box<dyn Morsel + 'a>,
    tally: Arc<Tally<'a>>,
}

impl<'a> Queue<'a> for Counted<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        let morsel = self.queue.next();
        self.tally.flush();
        Some(Box::new(CountedMorsel { morsel: morsel?, tally: Arc::clone(&self.tally) }))
    }
}

impl Morsel for CountedMorsel<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let result = self.morsel.read(out);
        self.tally.flush();
        result
    }
}
