//! Reads a chunk of records: lines, and what others found to be one.
//!
//! What is known of neighbouring lines is used first ([`super::bet`]), then what is known of parts of others
//! ([`super::follow`]); what is left is read by its tokens. Where the query has filters, lines without a literal they want are passed over ([`super::skim`]), and of the others the fields
//! the filters look at are read first, the rest only for lines that pass.

mod fill;
mod open;

use super::Plan;
use super::bet::{Bet, Take, Values, room};
use super::index::Index;
use super::layout::Pick;
use super::layouts::Layouts;
use super::odd::Keys;
use super::rows::{Count, ENDS, MARKS, Rows, SLASHED, Times, UNKNOWN};
use super::simd::{Level, dispatch};
use super::skim::{Pays, Skim};
use super::traced::{Trace, Traced};
use super::wanted::{Hits, Leaf, RESERVED};
use super::ways::Ways;
use crate::formats::{Chunk, Pass};
use crate::partitions;
use crate::text::{Span, VariantPlan};
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Filter, Flow};
use backsight_engine::value::column::{Batch, Positions, selected};
use open::Read;
use std::sync::Arc;

/// Reading some fields later pays if fewer than so many of the rows, as a fraction, need them.
const LATE_PAYS: usize = 4;

/// Bytes of text of a batch, where it has more than [`FEW`] rows: little enough that they are still near when the batch
/// is looked at. Measured on 5,000,000 rows of twelve fields, numbering the texts of eight: a third less time than with
/// batches of [`BATCH_ROWS`].
const NEAR: usize = 256 << 10;

/// Rows that are worth a batch.
const FEW: usize = 512;

/// Receives batches.
pub(super) type Out<'o> = &'o mut dyn FnMut(Batch) -> Result<Flow, Error>;

/// A chunk being read.
pub(super) struct Reader<'r> {
    pass: &'r Pass<'r>,
    plan: &'r Plan,
    pub chunk: Chunk,
    level: Level,
    index: Index,
    hits: Hits,
    /// Hits in the record that `@message` of a record holds as text.
    inner_hits: Hits,
    inner: Vec<u8>,
    spans: Vec<Span>,
    times: Times,
    rows: Rows,
    /// Rows after which a batch is handed out.
    enough: usize,
    count: Count,
    layouts: Layouts,
    /// Slots that a layout fills.
    slots: Vec<usize>,
    ways: Ways,
    /// The record at hand should be learned from.
    learns: bool,
    quotes: Vec<u16>,
    keys: Keys,
    /// The filter, as long as it pays to read what it looks at first.
    filter: Option<Filter<'r>>,
    /// Lines without a needle need not be read, as long as that pays.
    skims: bool,
    pays: Pays,
    /// Is told where values lie. There is no filter then.
    trace: Option<Trace<'r>>,
}

/// Where the record being read lies in the chunk.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub start: usize,
    pub end: usize,
}

/// What is known of a record from elsewhere.
#[derive(Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// Where it counts as lying, if not where its text does.
    pub at: Option<usize>,
    /// `@message`, if it is not the text of the record.
    pub message: Option<Line>,
    /// `@logStream`
    pub stream: Option<&'a [u8]>,
    /// `@log`
    pub log: Option<&'a [u8]>,
    /// `@timestamp`
    pub time: Option<i64>,
    /// What text that is no JSON may look like. If there is anything, text is no fault.
    pub lines: &'a [VariantPlan],
    /// The text of the record does not lie in the chunk: what is taken from it must be kept.
    pub elsewhere: bool,
}

/// Nothing is known.
const ALONE: Around<'static> =
    Around { at: None, message: None, stream: None, log: None, time: None, lines: &[], elsewhere: false };

impl Around<'_> {
    /// What it says about a system field.
    fn system(&self, leaf: Leaf) -> Option<&[u8]> {
        match RESERVED[leaf as usize] {
            b"@logStream" => self.stream,
            b"@log" => self.log,
            _ => None,
        }
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(pass: &'r Pass<'r>, plan: &'r Plan, chunk: Chunk) -> Reader<'r> {
        let complete = !partitions::fills(pass);
        let filter = pass.scan.filter.filter(|_| complete && (!plan.late.slots.is_empty() || plan.late.timed));
        Reader {
            pass,
            chunk,
            level: Level::best(),
            index: Index::default(),
            hits: plan.tree.hits(),
            inner_hits: plan.tree.hits(),
            inner: Vec::new(),
            spans: Vec::new(),
            times: Times::default(),
            rows: Rows::new(plan, Vec::new()),
            enough: FEW,
            count: Count::default(),
            layouts: Layouts::of(plan, pass.options.strict),
            slots: Vec::new(),
            ways: Ways::of(&plan.ways),
            learns: false,
            quotes: Vec::new(),
            keys: Keys::default(),
            filter,
            // The plan may have been made for a pass that asks for more.
            skims: complete && !pass.options.strict && !pass.scan.needles.is_empty() && !plan.needles.is_empty(),
            pays: Pays::default(),
            trace: None,
            plan,
        }
    }

    /// Tells `trace` where the values of lines lie.
    pub(super) fn tracing(self, trace: Trace<'r>) -> Reader<'r> {
        Reader { filter: None, trace: Some(trace), ..self }
    }

    /// Reads all lines.
    pub(super) fn read(mut self, out: Out<'_>) -> Result<Flow, Error> {
        let flow = if self.plan.slots.is_empty() && !self.pass.options.strict && self.plan.needles.is_empty() {
            self.count(out)
        } else {
            self.lines(out)
        };
        self.finish(flow)
    }

    /// Adds up what was counted.
    pub(super) fn finish(self, flow: Result<Flow, Error>) -> Result<Flow, Error> {
        self.count.add_to(&self.pass.counters);
        self.layouts.give_back(self.plan);
        self.ways.give_back(&self.plan.ways);
        flow
    }

    /// The offset of the first line.
    fn begin(&self, data: &[u8]) -> usize {
        if self.chunk.offset == 0 && data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
    }

    fn lines(&mut self, out: Out<'_>) -> Result<Flow, Error> {
        let data = self.chunk.data.clone();
        let data = data.as_slice();
        let needles = if self.skims { self.plan.needles.get(data) } else { &[] };
        let mut at = self.begin(data);
        while at < data.len() {
            if self.skims {
                let mut passed = 0;
                at = dispatch(self.level, Skim { data, at, needles, passed: &mut passed });
                self.count.records += passed;
                if at >= data.len() {
                    break;
                }
                self.skims = self.pays.after(passed, 1);
            }
            let enough = if self.skims { self.rows.offsets.len() + 1 } else { self.enough };
            if self.layouts.worth_trying() {
                at = self.bet(data, at, enough);
            }
            if self.rows.offsets.len() < enough && at < data.len() && !self.is_full() {
                at = self.any_line(data, at);
            }
            if self.is_full() && self.hand_out(data, out)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        if self.rows.offsets.is_empty() { Ok(Flow::More) } else { self.hand_out(data, out) }
    }

    /// Counts the lines, where nothing else is asked for.
    fn count(&mut self, out: Out<'_>) -> Result<Flow, Error> {
        let data = self.chunk.data.clone();
        let data = data.as_slice();
        let mut at = self.begin(data);
        let mut passed = 0;
        while at < data.len() {
            at = dispatch(self.level, Skim { data, at, needles: &[], passed: &mut passed });
            if at < data.len() {
                at = self.any_line(data, at);
            }
        }
        self.count.records += passed;
        let rows = passed as usize + self.rows.offsets.len();
        let offsets: Arc<[u32]> = (0..rows.min(BATCH_ROWS) as u32).collect();
        for first in (0..rows).step_by(BATCH_ROWS) {
            let rows = (rows - first).min(BATCH_ROWS);
            // A line has a byte at least: so counted, the rows of a chunk stay before those of the next.
            let positions = Positions::Near {
                base: self.pass.position(self.chunk.offset + first as u64),
                offsets: if rows == offsets.len() { Arc::clone(&offsets) } else { offsets[..rows].into() },
            };
            if out(Batch { columns: Vec::new(), rows, positions })? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    /// True if a batch should be handed out.
    fn is_full(&self) -> bool {
        self.rows.offsets.len() >= self.enough || self.rows.is_full()
    }

    /// What is taken from each line at first.
    fn take(&self) -> Take<'r> {
        match self.filter {
            Some(_) => Take { slots: &self.plan.early.slots, timed: self.plan.early.timed, keep: true },
            None => Take { slots: &self.plan.all.slots, timed: self.plan.all.timed, keep: self.trace.is_some() },
        }
    }

    /// Reads lines by the layouts that are known, as far as they go, up to `enough` rows.
    fn bet(&mut self, data: &[u8], mut at: usize, enough: usize) -> usize {
        let take = self.take();
        let start = at;
        let mut tried = 0;
        let mut slots = std::mem::take(&mut self.slots);
        // The last layout that matched comes first; any that matches starts a new round.
        while let Some(layout) = self.layouts.get(tried)
            && self.rows.offsets.len() < enough
            && !self.is_full()
        {
            let needed = self.rows.ends_used + room(&layout);
            if self.rows.ends.len() < needed {
                let full = if take.keep { ENDS } else { 0 };
                self.rows.ends.resize(needed.max(full + room(&layout)), 0);
            }
            let before = self.rows.offsets.len();
            slots.clear();
            for slot in take.slots {
                if !matches!(layout.picks[*slot], Pick::Null | Pick::Unsaid) {
                    self.rows.catch_up(*slot, before);
                    slots.push(*slot);
                } else if !self.rows.cells[*slot].is_empty() {
                    slots.push(*slot);
                }
            }
            let first = before as u32;
            let bet = Bet {
                data,
                at,
                layout: &layout,
                rows: &mut self.rows,
                enough,
                take: Take { slots: &slots, ..take },
                times: &mut self.times,
                count: &mut self.count,
            };
            let stopped = dispatch(self.level, bet);
            if stopped == at {
                tried += 1;
                continue;
            }
            if take.keep {
                self.rows.layouts.push((first, layout));
            }
            self.layouts.matched(tried, self.rows.offsets.len() as u32 - first);
            tried = usize::from(tried == 0);
            at = stopped;
        }
        self.layouts.tried(at > start);
        self.slots = slots;
        at
    }

    /// Reads the line at `at`, whatever is in it. Gives where the next one begins.
    fn any_line(&mut self, data: &[u8], at: usize) -> usize {
        let (line, feed, read, looks) = self.open_line(data, at);
        if let Read::Blank = read {
            self.count.blank += 1;
            return feed + 1;
        }
        self.count.records += 1;
        let text = &data[line.start..line.end];
        self.rows.offsets.push(line.start as u32);
        let take = self.take();
        if take.keep {
            self.rows.origins.push(UNKNOWN);
        }
        self.count.not_json += u64::from(matches!(read, Read::Text));
        self.count_odd(text, &read, looks);
        self.fill(data, line, &read, take, &ALONE);
        if matches!(read, Read::Record { .. }) && self.layouts.wants_another() {
            self.layouts.learn(text, line.end < feed, self.plan);
        }
        feed + 1
    }

    /// Reads a record that is not a line, whatever is in it.
    pub(super) fn record(&mut self, data: &[u8], line: Line, around: &Around<'_>) {
        if data[line.start..line.end].trim_ascii().is_empty() {
            self.count.blank += 1;
            return;
        }
        self.event(data, line, around);
    }

    /// [`Reader::record`], also without text.
    pub(super) fn event(&mut self, data: &[u8], line: Line, around: &Around<'_>) {
        // All fields are read at once: where a record ends is not found again so easily.
        self.filter = None;
        let text = &data[line.start..line.end];
        self.count.records += 1;
        self.rows.offsets.push(around.at.unwrap_or(line.start) as u32);
        let (read, looks) = self.open_record(data, line);
        let is_record = matches!(read, Read::Record { .. });
        self.count.not_json += u64::from(!is_record && around.lines.is_empty());
        self.count_odd(text, &read, looks);
        self.fill(data, line, &read, self.take(), around);
    }

    /// Takes a record for one without looking at it, where nothing of it is wanted. False if something is.
    pub(super) fn count_record(&mut self, at: usize) -> bool {
        self.filter = None;
        let nothing = self.plan.slots.is_empty() && !self.pass.options.strict;
        if nothing {
            self.count.records += 1;
            self.rows.offsets.push(at as u32);
        }
        nothing
    }

    /// Hands out a batch of records that are not lines, if it is full or there are no more.
    pub(super) fn hand_out_records(&mut self, out: Out<'_>, last: bool) -> Result<Flow, Error> {
        if !self.is_full() && (!last || self.rows.offsets.is_empty()) {
            return Ok(Flow::More);
        }
        self.hand_out(&[], out)
    }

    /// Hands out the rows so far as a batch.
    fn hand_out(&mut self, data: &[u8], out: Out<'_>) -> Result<Flow, Error> {
        let ends = std::mem::take(&mut self.rows.ends);
        let mut rows = std::mem::replace(&mut self.rows, Rows::new(self.plan, ends));
        self.enough = rows.worth(NEAR).clamp(FEW, BATCH_ROWS);
        let Some(filter) = self.filter else {
            if let Some(trace) = &mut self.trace {
                let Rows { offsets, origins, layouts, .. } = &rows;
                trace(&Traced { data, offsets, ends: &self.rows.ends, origins, layouts });
            }
            return out(rows.finish(self.plan, self.pass, &self.chunk));
        };
        let (origins, layouts) = (std::mem::take(&mut rows.origins), std::mem::take(&mut rows.layouts));
        let offsets = rows.offsets.clone();
        let batch = rows.finish(self.plan, self.pass, &self.chunk);
        let kept = selected(&(filter.keep)(&batch));
        if kept.is_empty() {
            return Ok(Flow::More);
        }
        if kept.len() * LATE_PAYS > batch.rows {
            self.filter = None;
        }
        let mut batch = batch.take(&kept);
        let offsets: Vec<u32> = kept.iter().map(|row| offsets[*row as usize]).collect();
        let late = self.late(data, &offsets, &kept, &origins, &layouts);
        for slot in self.plan.late.slots.iter().chain(&self.plan.time_slot).filter(|s| !self.plan.is_early(**s)) {
            batch.columns[*slot] = late.columns[*slot].clone();
        }
        out(batch)
    }

    /// Reads the other fields of the rows that are kept; `offsets` are those of the kept ones.
    fn late(
        &mut self,
        data: &[u8],
        offsets: &[u32],
        kept: &[u32],
        origins: &[u32],
        layouts: &[(u32, Arc<super::layout::Layout>)],
    ) -> Batch {
        let take = Take { slots: &self.plan.late.slots, timed: self.plan.late.timed, keep: false };
        let mut run = 0;
        // The places of ends of the rows are still in the memory for those of the next ones.
        let ends = std::mem::take(&mut self.rows.ends);
        for (row, offset) in kept.iter().zip(offsets) {
            let at = *offset as usize;
            self.rows.offsets.push(*offset);
            match origins[*row as usize] {
                UNKNOWN => {
                    let (line, _, read, _) = self.open_line(data, at);
                    self.fill(data, line, &read, take, &ALONE);
                }
                origin => {
                    while layouts.get(run + 1).is_some_and(|(first, _)| first <= row) {
                        run += 1;
                    }
                    let (slashed, ends) = (origin & SLASHED != 0, &ends[(origin & !MARKS) as usize..]);
                    let values = Values { data, at, ends, layout: &layouts[run].1, slashed };
                    for slot in take.slots {
                        if !matches!(values.layout.picks[*slot], Pick::Null | Pick::Unsaid) {
                            self.rows.catch_up(*slot, self.rows.offsets.len() - 1);
                        }
                        values.fill(*slot, &mut self.rows.cells, &mut self.rows.side);
                    }
                    if take.timed {
                        let time = values.time(&mut self.times);
                        self.count.no_timestamp += u64::from(time.is_none());
                        self.rows.times.push(time);
                    }
                }
            }
        }
        let rows = std::mem::replace(&mut self.rows, Rows::new(self.plan, ends));
        rows.finish(self.plan, self.pass, &self.chunk)
    }
}
