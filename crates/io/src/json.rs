//! JSON lines to batches.
//!
//! A [`Plan`] is made once for a pass: the wanted paths as a tree ([`wanted`]). Each chunk of whole lines is then read by
//! a [`Reader`]: the bytes of a line that are wanted become views in the columns of a batch.

mod bet;
mod index;
mod layout;
mod layouts;
mod reader;
mod rows;
mod simd;
mod skim;
#[cfg(test)]
mod tests;
mod walk;
mod wanted;

use crate::formats::{Chunk, Pass, Records, Splitter};
use crate::records::Lines;
use crate::system;
use backsight_engine::error::Error;
use backsight_engine::source::Flow;
use backsight_engine::value::column::Batch;
use backsight_engine::value::json::Quoted;
use layouts::Layouts;
use reader::Reader;
use skim::Needles;
use std::sync::{Arc, Mutex};
use wanted::{Leaf, RESERVED, Tree, Want};

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
    fn new(pass: &Pass<'_>) -> Plan {
        let mut tree = Tree::new();
        let slots: Vec<Want> = pass.scan.want.iter().map(|field| Want::new(field, &mut tree)).collect();
        let mut times = Vec::new();
        if slots.iter().any(|s| matches!(s, Want::Time)) {
            if pass.options.timestamp_field.is_none() {
                times.extend(RESERVED.iter().position(|r| *r == b"@timestamp").map(|i| i as Leaf));
            }
            times.extend(system::times(pass.options).iter().flat_map(|path| tree.add(path)));
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
            tree,
            slots,
            times,
            reserved,
        }
    }

    /// True if a slot is filled before the filter is asked.
    fn is_early(&self, slot: usize) -> bool {
        if self.time_slot == Some(slot) { self.early.timed } else { self.early.slots.contains(&slot) }
    }
}

/// True for the keys by which a record gives system fields itself.
pub(crate) fn is_reserved(key: &Quoted<'_>) -> bool {
    Tree::reserved(key).is_some()
}

/// Opens a file of JSON lines.
pub fn records<'a>(pass: &Pass<'a>, _head: &[u8]) -> Box<dyn Records + 'a> {
    let plan = Arc::clone(pass.memory.json.get_or_init(|| Arc::new(Plan::new(pass))));
    Box::new(Ndjson { pass: pass.clone(), plan })
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
}
