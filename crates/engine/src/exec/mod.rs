//! Runs a plan: a worker per thread over one queue of morsels, sinks merged at the end, then the rest of the list over
//! what they gave. The answer does not depend on the number of threads or the size of the morsels.

mod absent;
pub mod ctl;
mod dedup;
mod eval;
mod group;
mod hashes;
mod index;
mod many;
pub mod memory;
mod nested;
mod ordered;
mod parse;
mod past;
mod relevant;
mod repeats;
mod rows;
mod shared;
mod sort;
mod spill;
mod steps;
mod tables;
mod told;

pub use absent::absent;
pub use many::run_all;

use crate::error::Error;
use crate::func::Clock;
use crate::plan::tables::{Lookup, SetSource};
use crate::plan::{Op, Plan, ScanPlan};
use crate::source::{BATCH_ROWS, Catalog, Filter, Flow, Morsels, Scan, Source, Table};
use crate::value::Value;
use crate::value::column::{Batch, Column, Positions};
use crate::value::set::Set;
use absent::Sightings;
use arrow::buffer::BooleanBuffer;
use backsight_lang::diag::Diagnostic;
use ctl::Ctl;
use group::GroupTable;
use hashes::Hashes;
use past::Seen;
use rows::Rows;
use sort::bound::Bound;
use sort::{Gather, Top, Wanted};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tables::Index;
use told::Told;

/// What expressions see beside their batch.
pub(crate) struct Cx<'a> {
    /// The query's clock.
    pub clock: &'a Clock,
    /// The answers of the sub-queries.
    pub sets: Vec<Arc<Set>>,
    /// Counters and the cancel flag.
    pub ctl: &'a Ctl,
    /// Where nested queries read from.
    pub catalog: &'a dyn Catalog,
    /// The indexes of the plan's look-ups.
    pub lookups: Vec<(&'a Lookup, Index)>,
    /// The first and last time, as far as the events have been seen.
    pub edges: Seen,
    /// Which fields of the source the events have had.
    pub sightings: Sightings,
    /// What is known of words.
    pub told: Told,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows given to the receiver.
    pub rows: u64,
    /// The run was cancelled: the answer is that of the part read until then.
    pub partial: bool,
    /// Fields of the scan, by number, that no row had which the run was given: of all rows if the plan reads
    /// [whole](Plan::reads_all), else ask [`absent`].
    pub absent: Vec<usize>,
}

/// Runs a plan and gives the answer's batches, in order, to `out`, until that says [`Flow::Enough`].
///
/// Column `i` of each batch is `plan.shown[i]`.
///
/// # Errors
/// What the source or the receiver reports. Cancelling is not an error: see [`Outcome::partial`].
pub fn run(
    plan: &Plan,
    catalog: &dyn Catalog,
    clock: &Clock,
    ctl: &Ctl,
    out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
) -> Result<Outcome, Error> {
    let cx = context(plan, catalog, clock, ctl)?;
    let mut outcome = Outcome::default();
    'all: for batch in rows(plan, &cx)?.stream() {
        ctl.check()?;
        let batch = batch?;
        let columns = plan.shown.iter().map(|(_, slot)| column(&batch, *slot)).collect();
        let batch = Batch { columns, ..batch };
        // Who takes them may have several threads.
        let most = ctl.part_rows().min(BATCH_ROWS);
        for first in (0..batch.rows.max(1)).step_by(most) {
            let rows = most.min(batch.rows - first);
            outcome.rows += rows as u64;
            if out(if rows == batch.rows { batch.clone() } else { batch.slice(first, rows) })? == Flow::Enough {
                break 'all;
            }
        }
    }
    outcome.partial = ctl.cancelled();
    outcome.absent = cx.sightings.absent().collect();
    Ok(outcome)
}

/// What the expressions of a plan see: the answers of its sub-queries, its look-up tables.
fn context<'a>(plan: &'a Plan, catalog: &'a dyn Catalog, clock: &'a Clock, ctl: &'a Ctl) -> Result<Cx<'a>, Error> {
    let sightings = Sightings::new(plan.scan.fields.len());
    let mut cx = Cx {
        clock,
        sets: Vec::new(),
        ctl,
        catalog,
        lookups: Vec::new(),
        edges: Seen::default(),
        sightings,
        told: Told::default(),
    };
    for source in &plan.sets {
        cx.sets.push(Arc::new(match source {
            SetSource::Query(inner) => {
                let slot = inner.shown.first().map_or(0, |(_, s)| *s);
                let mut values: Vec<Value> = Vec::new();
                let (mut share, mut bytes) = (ctl.memory().share(), 0);
                for batch in answer(inner, catalog, clock, ctl)?.stream() {
                    let cells = column(&batch?, slot);
                    values.extend(cells.iter().map(|v| v.to_value()));
                    // Values, the set of their texts, and the copy of it.
                    bytes += 3 * cells.bytes() + 128 * cells.len();
                    share.need(bytes, "the set of `in (…)`")?;
                }
                Set::new(values)
            }
            SetSource::Table { file, column } => table_set(&catalog.table(file)?, file, column.as_deref())?,
        }));
    }
    for op in &plan.ops {
        if let Op::Lookup(lookup) = op {
            cx.lookups.push((lookup, Index::new(catalog.table(&lookup.file)?, lookup)?));
        }
    }
    Ok(cx)
}

/// All rows of a plan's answer, still in slots.
fn rows<'a>(plan: &'a Plan, cx: &'a Cx<'a>) -> Result<Rows<'a>, Error> {
    if plan.estimate {
        let bytes = opened(&plan.scan, cx.catalog)?.size().and_then(|n| i64::try_from(n).ok());
        let column = Column::Const(bytes.map_or(Value::Null, Value::Int), 1);
        let row = Batch { columns: vec![column], rows: 1, positions: Positions::sequence(0, 1) };
        return Ok(Rows::held(vec![row], cx.ctl));
    }
    let (mut rows, next) = scan(plan, cx.catalog, cx)?;
    for (i, op) in plan.ops.iter().enumerate().skip(next) {
        rows = steps::whole(op, plan.ops.get(i + 1), rows, cx)?;
    }
    Ok(rows)
}

/// All rows of a nested plan's answer.
fn answer<'a>(plan: &Plan, catalog: &dyn Catalog, clock: &Clock, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
    let cx = context(plan, catalog, clock, ctl)?;
    rows(plan, &cx)?.settle(ctl)
}

/// The values of a table's column; networks among them hold addresses.
fn table_set(table: &Table, file: &str, column: Option<&str>) -> Result<Set, Error> {
    let cells = match column {
        Some(name) => table.column(name),
        None => table.columns.first().map(|(_, c)| c),
    };
    let Some(cells) = cells else {
        let why = format!("the table has no column `{}`; it has {}", column.unwrap_or("1"), table.names().join(", "));
        return Err(Error::Input { file: file.to_owned(), offset: None, why });
    };
    let nets =
        cells.iter().filter_map(|v| v.scalar_text()).filter(|t| t.contains('/')).filter_map(|t| tables::network(&t));
    Ok(Set::new(cells.iter().map(|v| v.to_value())).with_networks(nets.collect()))
}

/// The column of a slot; null where the slot was never written (a pruned or empty input).
pub(crate) fn column(batch: &Batch, slot: usize) -> Column {
    batch.columns.get(slot).cloned().unwrap_or_else(|| Column::null(batch.rows))
}

/// What a worker gathers in the first stage.
enum Sink<'a> {
    /// Rows as they come.
    Collect(Gather<'a>),
    /// Groups.
    Group(Box<GroupTable<'a>>),
    /// The first rows of an order.
    Top(Top<'a>),
}

impl<'a> Sink<'a> {
    fn for_op(op: Option<&'a Op>, ctl: &'a Ctl) -> Sink<'a> {
        match op {
            Some(Op::Group { keys, aggs, .. }) => Sink::Group(Box::new(GroupTable::new(keys, aggs, ctl))),
            Some(Op::Sort { keys, limit: Some(n) }) => Sink::Top(Top::new(keys, *n, ctl)),
            Some(Op::Sort { keys, limit: None }) => Sink::Collect(Gather::new(keys, ctl)),
            _ => Sink::Collect(Gather::new(&[], ctl)),
        }
    }

    fn push(&mut self, batch: Batch, hashes: &mut Hashes) -> Result<(), Error> {
        match self {
            Sink::Collect(all) => all.push(batch),
            Sink::Group(table) => table.push(&batch, hashes),
            Sink::Top(top) => top.push(&batch),
        }
    }
}

/// What workers share.
#[derive(Default)]
struct Shared {
    /// Rows found so far, for `limit any`.
    found: AtomicU64,
    /// What rows of an order are too late.
    bound: Bound,
}

/// The source of a plan. One that the query names and that is not there is the query's error (E052).
fn opened(scan: &ScanPlan, catalog: &dyn Catalog) -> Result<Arc<dyn Source + Send>, Error> {
    catalog.open(&scan.sources).map_err(|error| {
        let (file, why) = match &error {
            Error::Input { file, why, .. } => (file, why.clone()),
            Error::Io { what, source } => (what, source.to_string()),
            _ => return error,
        };
        let named = scan.sources.iter().position(|source| Path::new(file).ends_with(source.name()));
        match named
            .or((scan.sources.len() == 1).then_some(0))
            .and_then(|at| Some((&scan.sources[at], scan.spans.get(at)?)))
        {
            Some((source, span)) => {
                let message = format!("unknown source `{}`", source.name());
                Diagnostic::error("E052", *span, message).help(why).into()
            }
            None => error,
        }
    })
}

/// Runs the ops up to and including the first sink over the source. Returns its rows and the number of the next op.
fn scan<'a>(plan: &'a Plan, catalog: &dyn Catalog, cx: &'a Cx<'a>) -> Result<(Rows<'a>, usize), Error> {
    let source = opened(&plan.scan, catalog)?;
    let sink_at = plan.ops.iter().position(is_sink).unwrap_or(plan.ops.len());
    let (maps, sink) = (&plan.ops[..sink_at], plan.ops.get(sink_at));
    let any = match sink {
        Some(Op::Limit { rows, any: true }) => Some(*rows),
        _ => None,
    };
    let range = plan.scan.range;
    let want = plan.scan.fields.iter().map(|(f, _)| f.clone()).collect();
    let slots = plan.first_slots();
    let looked_at = plan.scan.fields.iter().enumerate().filter(|(_, (_, slot))| slots.contains(slot));
    let looked_at: Vec<usize> = looked_at.map(|(i, _)| i).collect();
    let passing = |batch: &Batch| {
        let ops = plan.scan.first.iter().filter_map(|i| plan.ops.get(*i));
        steps::passing(ops, &spread(batch.clone(), plan), cx)
    };
    let filter = (!looked_at.is_empty()).then_some(Filter { fields: &looked_at, keep: &passing });
    let (needles, equals) = (plan.scan.needles.clone(), plan.scan.equals.clone());
    let shared = Shared::default();
    let key = match sink {
        Some(Op::Sort { keys, limit: Some(_) }) if plan.scan.top => keys.first(),
        _ => None,
    };
    let key = key.and_then(|key| Some((*key, plan.scan.fields.iter().position(|(_, slot)| *slot == key.slot)?)));
    let key_field = key.map(|(_, field)| [field]);
    let early = |batch: &Batch| match key {
        Some((key, field)) => shared.bound.early(&column(batch, field), &key),
        None => BooleanBuffer::new_set(batch.rows),
    };
    let top = key_field.as_ref().map(|fields| Filter { fields, keep: &early });
    let scan = Scan { want, needles, equals, range, filter, top, words: plan.scan.words };
    let morsels = source.open(&scan, &cx.ctl.counters)?;
    let worker = || -> Result<Sink<'a>, Error> {
        let mut mine = Sink::for_op(sink, cx.ctl);
        let mut hashes = Hashes::new(cx.ctl.seed());
        let mut flow = Flow::More;
        while flow == Flow::More && any != Some(0) {
            let Some(morsel) = next(&*morsels, cx.ctl) else { break };
            flow = morsel.read(&mut |batch| {
                if cx.ctl.cancelled() {
                    return Ok(Flow::Enough);
                }
                cx.sightings.see(&batch.columns);
                hashes.clear();
                let batch = steps::maps(maps, spread(batch, plan), cx);
                if batch.rows > 0 {
                    let before = shared.found.fetch_add(batch.rows as u64, Ordering::Relaxed);
                    match any {
                        Some(n) if before >= n => return Ok(Flow::Enough),
                        _ => mine.push(batch, &mut hashes)?,
                    }
                    if let Sink::Top(top) = &mine {
                        top.tell(&shared.bound);
                    }
                }
                match any {
                    Some(n) if shared.found.load(Ordering::Relaxed) >= n => Ok(Flow::Enough),
                    _ => Ok(Flow::More),
                }
            })?;
        }
        Ok(mine)
    };
    let mut sinks = Vec::new();
    for result in cx.ctl.broadcast(worker) {
        sinks.push(result?);
    }
    merge(sinks, sink_at, plan, cx)
}

fn next<'m>(morsels: &'m dyn Morsels, ctl: &Ctl) -> Option<Box<dyn crate::source::Morsel + 'm>> {
    if ctl.cancelled() { None } else { morsels.next() }
}

fn is_sink(op: &Op) -> bool {
    match op {
        Op::Group { .. } | Op::Sort { .. } | Op::Limit { .. } | Op::Dedup(_) | Op::Ordered(_) | Op::Nested(_) => true,
        Op::Filter(_)
        | Op::Range { .. }
        | Op::Edges(_)
        | Op::Extend(_)
        | Op::Parse { .. }
        | Op::Unnest { .. }
        | Op::Trace { .. }
        | Op::Lookup(_)
        | Op::Drop(_) => false,
    }
}

/// The scan's columns in their slots.
fn spread(batch: Batch, plan: &Plan) -> Batch {
    let mut columns = vec![Column::null(batch.rows); plan.scan.slots];
    for ((_, slot), column) in plan.scan.fields.iter().zip(batch.columns) {
        columns[*slot] = column;
    }
    Batch { columns, ..batch }
}

/// Makes one answer of the workers' sinks. Returns its rows and the number of the next op.
fn merge<'a>(sinks: Vec<Sink<'a>>, sink_at: usize, plan: &'a Plan, cx: &'a Cx<'a>) -> Result<(Rows<'a>, usize), Error> {
    let (mut collected, mut tables, mut tops) = (Vec::new(), Vec::new(), Vec::new());
    for sink in sinks {
        match sink {
            Sink::Collect(rows) => collected.push(rows),
            Sink::Group(table) => tables.push(*table),
            Sink::Top(top) => tops.push(top),
        }
    }
    Ok(match plan.ops.get(sink_at) {
        Some(Op::Group { slots, .. }) => (GroupTable::finish(tables, *slots, cx.ctl)?, sink_at + 1),
        Some(Op::Sort { limit: limit @ Some(_), .. }) => (Top::finish(tops, *limit, cx.ctl)?, sink_at + 1),
        Some(Op::Sort { limit: None, .. }) => {
            let then = plan.ops[sink_at + 1..].iter().find(|op| !matches!(op, Op::Drop(_)));
            let wanted = match then {
                Some(Op::Dedup(slots)) => Wanted::FirstOf(slots),
                _ => Wanted::All,
            };
            (Gather::finish(collected, wanted, cx.ctl)?, sink_at + 1)
        }
        _ => {
            let rows = match Gather::finish(collected, Wanted::All, cx.ctl)? {
                Rows::Held(held) if held.batches.is_empty() => Rows::held(vec![empty(plan)], cx.ctl),
                rows => rows,
            };
            (rows, sink_at)
        }
    })
}

fn empty(plan: &Plan) -> Batch {
    Batch { columns: vec![Column::null(0); plan.scan.slots], rows: 0, positions: Positions::sequence(0, 0) }
}
