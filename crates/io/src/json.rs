//! JSON to batches.
//!
//! A [`Plan`] is made once for a pass and dialect: the wanted paths as a tree ([`wanted`]). Files are cut into chunks of
//! whole records, lines ([`crate::records::Lines`]) or framed otherwise ([`frame`]). Each chunk is then read by a
//! [`Reader`]: the bytes of a record that are wanted become views in the columns of a batch.

mod bet;
mod elements;
pub(crate) mod events;
mod follow;
pub(crate) mod frame;
mod index;
mod layout;
mod layouts;
pub(crate) mod nesting;
mod odd;
mod reader;
mod rows;
mod simd;
mod skim;
mod tables;
#[cfg(test)]
mod tests;
mod traced;
mod walk;
mod wanted;
mod ways;

use crate::formats::{Chunk, Pass, Records, Splitter};
use crate::head::{Framing, Head};
use crate::records::Lines;
use crate::system;
use crate::text;
use backsight_engine::error::Error;
use backsight_engine::source::Flow;
use backsight_engine::value::column::Batch;
use backsight_engine::value::json::Quoted;
use elements::Elements;
use layouts::Layouts;
use reader::Reader;
use skim::Needles;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use wanted::{Leaf, RESERVED, Tree, Want};
use ways::Ways;

pub use traced::Traced;

pub(crate) use rows::{Count, Times};
pub(crate) use traced::{Ends, Form, Kept};
pub(crate) use wanted::{INGESTION_TIME, LOG_STREAM, MESSAGE, Reserved, TIMESTAMP, USUAL};

/// How the records of a format are read, apart from what all JSON has in common.
#[derive(Debug)]
pub struct Dialect {
    /// Tells dialects apart; no two have the same.
    pub name: &'static str,
    /// Fields with the time of an event, before those any record may have.
    pub times: &'static [&'static str],
    /// Keys by which records give system fields.
    pub(crate) reserved: Reserved,
    /// What an element of the file is.
    pub(crate) element: Element,
    /// A record that tells the dialect from others of its format; a whole file, if elements are no records.
    pub(crate) example: &'static str,
}

/// What stands for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// An object.
    Record,
    /// A list of objects with `field` and `value`, as queries of CloudWatch Logs return rows.
    Fields,
    /// An object with events in its list `logEvents`, as subscriptions of CloudWatch Logs deliver them.
    Events,
}

/// True for the name of a system field.
pub(crate) fn is_system(name: &[u8]) -> bool {
    RESERVED.contains(&name)
}

/// JSON as it comes.
pub const PLAIN: Dialect = Dialect::timed("json", &[]);

impl Dialect {
    /// Plain records with the time in one of these fields.
    pub const fn timed(name: &'static str, times: &'static [&'static str]) -> Dialect {
        Dialect { name, times, reserved: USUAL, element: Element::Record, example: "{}" }
    }
}

/// What one pass wants, worked out.
#[derive(Debug)]
pub struct Plan {
    tree: Tree,
    /// One a slot.
    slots: Vec<Want>,
    /// The time of an event: the first of these that is present. Empty if nobody asks.
    times: Vec<Leaf>,
    /// Whether reserved keys of records matter.
    reserved: bool,
    element: Element,
    example: &'static str,
    /// The slot of `@timestamp`.
    time_slot: Option<usize>,
    /// All fields; those that are read first, if there is a filter; the others.
    all: Fields,
    early: Fields,
    late: Fields,
    /// What a line must hold to be read.
    needles: Needles,
    /// Layouts of lines seen so far, for whoever reads the next chunk.
    layouts: Mutex<Layouts>,
    /// Ways through records seen so far, of readers that are done.
    ways: Mutex<Vec<Ways>>,
}

/// Some of the slots.
#[derive(Debug, Default)]
struct Fields {
    /// All but that of `@timestamp`.
    slots: Vec<usize>,
    /// That one too.
    timed: bool,
}

impl Plan {
    fn new(pass: &Pass<'_>, dialect: &Dialect) -> Plan {
        let mut tree = Tree::new(dialect.reserved);
        let slots: Vec<Want> = pass.scan.want.iter().map(|field| Want::new(field, &mut tree)).collect();
        let mut times = Vec::new();
        if slots.iter().any(|s| matches!(s, Want::Time)) {
            if pass.options.timestamp_field.is_none() {
                times.extend(RESERVED.iter().position(|r| *r == b"@timestamp").map(|i| i as Leaf));
            }
            times.extend(system::times(pass.options, dialect.times).iter().flat_map(|path| tree.add(path)));
        }
        let reserved = tree.has_paths() || slots.iter().any(|s| matches!(s, Want::Message | Want::System(_)));
        let fields = |chosen: &dyn Fn(usize, &Want) -> bool| {
            let chosen = || slots.iter().enumerate().filter(|(slot, want)| chosen(*slot, want));
            Fields {
                slots: chosen().filter(|(_, want)| !matches!(want, Want::Time)).map(|(slot, _)| slot).collect(),
                timed: chosen().any(|(_, want)| matches!(want, Want::Time)),
            }
        };
        // What the file says in place of its records costs nothing.
        let first = |slot, want: &Want| {
            pass.scan.filter.is_none_or(|f| f.fields.contains(&slot)) || matches!(want, Want::System(_))
        };
        Plan {
            time_slot: slots.iter().position(|want| matches!(want, Want::Time)),
            all: fields(&|_, _| true),
            early: fields(&first),
            late: fields(&|slot, want| !first(slot, want)),
            needles: Needles::new(&pass.scan.needles),
            layouts: Mutex::default(),
            ways: Mutex::default(),
            tree,
            slots,
            times,
            reserved,
            element: dialect.element,
            example: dialect.example,
        }
    }

    /// The plan of a pass for a dialect.
    fn of(pass: &Pass<'_>, dialect: &Dialect) -> Arc<Plan> {
        let mut plans = pass.memory.json.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(name, _)| *name == dialect.name) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan::new(pass, dialect));
        plans.push((dialect.name, Arc::clone(&plan)));
        plan
    }

    /// True if a slot is filled before the filter is asked.
    fn is_early(&self, slot: usize) -> bool {
        if self.time_slot == Some(slot) { self.early.timed } else { self.early.slots.contains(&slot) }
    }
}

/// True for the keys by which a record gives system fields itself.
pub(crate) fn is_reserved(key: &Quoted<'_>) -> bool {
    RESERVED.iter().any(|reserved| key.is(reserved))
}

/// Opens a file of JSON records, framed as its head shows.
pub fn records<'a>(pass: &Pass<'a>, head: &Head<'_>, dialect: &Dialect) -> Box<dyn Records + 'a> {
    let plan = Plan::of(pass, dialect);
    let lines = dialect.element == Element::Record && head.json().is_none_or(|json| json.framing == Framing::Lines);
    if lines {
        return Box::new(Ndjson { pass: pass.clone(), plan });
    }
    Box::new(Elements { pass: pass.clone(), plan, noted: AtomicBool::new(false) })
}

/// Opens a file of one object a line.
pub fn lines<'a>(pass: &Pass<'a>, _: &Head<'_>) -> Box<dyn Records + 'a> {
    Box::new(Ndjson { pass: pass.clone(), plan: Plan::of(pass, &PLAIN) })
}

/// Opens a table whose rows are read as objects: its columns have names of system fields among them.
pub(crate) fn table<'a>(pass: &Pass<'a>, by: u8, header: text::First<'_>) -> Box<dyn Records + 'a> {
    let (names, line) = (header.names, header.line.into());
    Box::new(tables::Table { pass: pass.clone(), plan: Plan::of(pass, &PLAIN), by, names, line })
}

/// Opens a file of JSON without a dialect of its own.
pub fn plain<'a>(pass: &Pass<'a>, head: &Head<'_>) -> Box<dyn Records + 'a> {
    records(pass, head, &PLAIN)
}

struct Ndjson<'a> {
    pass: Pass<'a>,
    plan: Arc<Plan>,
}

impl Records for Ndjson<'_> {
    fn splitter(&self) -> Box<dyn Splitter> {
        Box::new(Lines)
    }

    fn read(&self, chunk: Chunk, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        Reader::new(&self.pass, &self.plan, chunk).read(out)
    }

    fn read_traced(
        &self,
        chunk: Chunk,
        trace: &mut dyn FnMut(&Traced<'_>),
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        Reader::new(&self.pass, &self.plan, chunk).tracing(trace).read(out)
    }

    fn preamble(&self, _: u64) -> Vec<u8> {
        format!("{}\n", self.plan.example).into_bytes()
    }
}
