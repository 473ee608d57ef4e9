//! Reads a chunk of lines.

use super::Plan;
use super::bet::{Bet, room};
use super::layout::{Layout, Pick};
use super::rows::{Count, Rows, Times};
use super::simd::{Level, dispatch};
use super::wanted::{Hit, Hits, MESSAGE, Want};
use crate::formats::{Chunk, Pass};
use crate::rows::{Cells, Side, view};
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Flow};
use backsight_engine::value::Kind;
use backsight_engine::value::column::Batch;
use backsight_engine::value::json::{self, Shape};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

/// Bytes of rendered text after which a batch is handed out even if it has few rows.
const SIDE_LIMIT: usize = 16 << 20;

/// A chunk being read.
pub(super) struct Reader<'r> {
    pass: &'r Pass<'r>,
    plan: &'r Plan,
    chunk: Chunk,
    hits: Hits,
    /// Hits in the record that `@message` of a record holds as text.
    inner_hits: Hits,
    inner: Vec<u8>,
    times: Times,
    rows: Rows,
    count: Count,
    layouts: Layouts,
}

/// Where the line being read lies in the chunk.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    end: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(pass: &'r Pass<'r>, plan: &'r Plan, chunk: Chunk) -> Reader<'r> {
        Reader {
            pass,
            chunk,
            hits: plan.tree.hits(),
            inner_hits: plan.tree.hits(),
            inner: Vec::new(),
            times: Times::default(),
            rows: Rows::new(plan),
            count: Count::default(),
            layouts: Layouts::of(plan, pass.options.strict),
            plan,
        }
    }

    /// Reads all lines.
    pub(super) fn read(mut self, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let flow = self.lines(out);
        self.count.add_to(self.pass.counters);
        self.layouts.give_back(self.plan);
        flow
    }

    fn lines(&mut self, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let data = self.chunk.data.clone();
        let data = data.as_slice();
        let timed = self.plan.is_timed();
        let mut at = if self.chunk.offset == 0 && data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while at < data.len() {
            if self.layouts.worth_trying() {
                at = self.bet(data, at, timed);
            }
            if self.rows.offsets.len() < BATCH_ROWS && at < data.len() {
                let feed = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |n| at + n);
                let carriage_return = feed > at && data[feed - 1] == b'\r';
                let line = Line { start: at, end: feed - usize::from(carriage_return) };
                let is_json = self.line(data, line);
                if is_json && self.layouts.wants_another() {
                    self.layouts.learn(&data[line.start..line.end], carriage_return, self.plan);
                }
                at = feed + 1;
            }
            if self.rows.offsets.len() >= BATCH_ROWS || self.rows.side.len() > SIDE_LIMIT {
                let batch = self.batch();
                if out(batch)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
        if self.rows.offsets.is_empty() {
            return Ok(Flow::More);
        }
        let batch = self.batch();
        out(batch)
    }

    /// Reads lines by the layouts that are known, as far as they go.
    fn bet(&mut self, data: &[u8], mut at: usize, timed: bool) -> usize {
        let Layouts { known, ends, level, .. } = &mut self.layouts;
        let start = at;
        let mut tried = 0;
        // The last layout that matched comes first; any that matches starts a new round.
        while tried < known.len() && self.rows.offsets.len() < BATCH_ROWS {
            let layout = Arc::clone(&known[tried]);
            ends.resize(room(&layout).max(ends.len()), 0);
            for (slot, pick) in layout.picks.iter().enumerate() {
                if *pick != Pick::Unsaid && matches!(self.plan.slots[slot], Want::System(_)) {
                    self.rows.catch_up(slot, self.rows.offsets.len());
                }
            }
            let bet = Bet {
                data,
                at,
                layout: &layout,
                ends: &mut ends[..],
                rows: &mut self.rows,
                enough: BATCH_ROWS,
                timed,
                times: &mut self.times,
                count: &mut self.count,
            };
            let stopped = dispatch(*level, bet);
            if stopped == at {
                tried += 1;
                continue;
            }
            known[..=tried].rotate_right(1);
            tried = usize::from(tried == 0);
            at = stopped;
        }
        self.layouts.won((at - start) as u64);
        at
    }

    /// Reads any line, whatever is in it. True if it is a JSON object.
    fn line(&mut self, data: &[u8], line: Line) -> bool {
        let text = &data[line.start..line.end];
        if text.trim_ascii().is_empty() {
            self.count.blank += 1;
            return false;
        }
        self.count.records += 1;
        if !text.is_ascii() && simdutf8::basic::from_utf8(text).is_err() {
            self.count.not_utf8 += 1;
        }
        self.rows.offsets.push(line.start as u32);
        if self.plan.tree.find(text, true, &mut self.hits).is_err() {
            self.count.not_json += 1;
            self.text_row(data, line);
            return false;
        }
        let message = if self.plan.reserved { self.hits.get(MESSAGE) } else { None };
        let has_inner = message.is_some_and(|hit| self.open_message(text, hit));
        for (slot, want) in self.plan.slots.iter().enumerate() {
            let cells = &mut self.rows.cells[slot];
            let side = &mut self.rows.side;
            match want {
                Want::Path(leaves) => match self.hits.first(leaves) {
                    Some(hit) => push(cells, side, data, line.start, hit),
                    None => match self.inner_hits.first(leaves).filter(|_| has_inner) {
                        Some(hit) => push_copy(cells, side, &self.inner, hit),
                        None => cells.push_null(),
                    },
                },
                Want::Message => match message {
                    Some(hit) => push(cells, side, data, line.start, hit),
                    None => cells.push(view(data, 0, line.start, text.len()), Kind::String),
                },
                Want::System(leaf) => match self.hits.get(*leaf) {
                    Some(hit) => {
                        // Rows before this one did not say; what they have instead is filled in at the end.
                        self.rows.catch_up(slot, self.rows.offsets.len() - 1);
                        push(&mut self.rows.cells[slot], &mut self.rows.side, data, line.start, hit);
                    }
                    None if cells.is_empty() => {}
                    None => cells.push_null(),
                },
                Want::Time => {
                    let found = match self.hits.first(&self.plan.times) {
                        Some(hit) => Some((text, hit)),
                        None => self
                            .inner_hits
                            .first(&self.plan.times)
                            .filter(|_| has_inner)
                            .map(|hit| (&self.inner[..], hit)),
                    };
                    let time = found.and_then(|(text, hit)| {
                        let (kind, text) = canonical(text, hit);
                        self.times.read(kind, &text)
                    });
                    self.count.no_timestamp += u64::from(time.is_none());
                    self.rows.times.push(time);
                }
            }
        }
        true
    }

    /// A line that is no JSON object: nothing but `@message`.
    fn text_row(&mut self, data: &[u8], line: Line) {
        for (cells, want) in self.rows.cells.iter_mut().zip(&self.plan.slots) {
            match want {
                Want::Message => cells.push(view(data, 0, line.start, line.end - line.start), Kind::String),
                Want::System(_) if cells.is_empty() => {}
                Want::System(_) | Want::Path(_) => cells.push_null(),
                Want::Time => {
                    self.count.no_timestamp += 1;
                    self.rows.times.push(None);
                }
            }
        }
    }

    /// Looks into the text of a record's `@message`: true if it is a JSON object, whose fields are then in `inner_hits`.
    fn open_message(&mut self, text: &[u8], message: Hit) -> bool {
        self.inner.clear();
        let whole = &text[message.start..message.end];
        match message.shape {
            Shape::String { .. } => drop(json::decode(&whole[1..whole.len() - 1], &mut self.inner)),
            _ => self.inner.extend_from_slice(whole),
        }
        self.plan.tree.find(&self.inner, false, &mut self.inner_hits).is_ok()
    }

    /// Hands out the rows so far as a batch.
    fn batch(&mut self) -> Batch {
        let rows = std::mem::replace(&mut self.rows, Rows::new(self.plan));
        rows.finish(self.plan, self.pass, &self.chunk)
    }
}

/// Layouts at hand, the last that matched first.
struct Layouts {
    known: Vec<Arc<Layout>>,
    learned: bool,
    ends: Vec<u32>,
    level: Level,
    /// Goes up when bets win and down when they lose. At zero lines are read in the general way for a while.
    credit: u32,
    /// Lines still to be read in the general way.
    pause: u32,
    /// Every line is to be read in the general way.
    off: bool,
}

/// Layouts kept. Logs of many kinds of events have more, but then trying them all costs what one of them gains.
const MAX_LAYOUTS: usize = 8;

/// Credit at the start, and the most there is.
const CREDIT: u32 = 64;

/// Lines read in the general way once all credit is gone.
const PAUSE: u32 = 2000;

impl Layouts {
    fn of(plan: &Plan, off: bool) -> Layouts {
        let known = plan.layouts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Layouts { known, learned: false, ends: Vec::new(), level: Level::best(), credit: CREDIT, pause: 0, off }
    }

    /// Leaves what was learned to those who read the next chunks.
    fn give_back(self, plan: &Plan) {
        if self.learned {
            *plan.layouts.lock().unwrap_or_else(PoisonError::into_inner) = self.known;
        }
    }

    fn worth_trying(&mut self) -> bool {
        self.pause = self.pause.saturating_sub(1);
        self.pause == 0 && !self.off && !self.known.is_empty()
    }

    /// Takes note of a bet: so many bytes were read by it.
    fn won(&mut self, bytes: u64) {
        if bytes > 0 {
            self.credit = (self.credit + 2).min(CREDIT);
            return;
        }
        self.credit = self.credit.saturating_sub(1);
        if self.credit == 0 {
            self.pause = PAUSE;
            self.credit = CREDIT / 4;
        }
    }

    /// True if the line that was just read in the general way should be learned from.
    fn wants_another(&self) -> bool {
        self.pause == 0 && !self.off
    }

    fn learn(&mut self, text: &[u8], carriage_return: bool, plan: &Plan) {
        if let Some(layout) = Layout::learn(text, carriage_return, plan) {
            self.known.truncate(MAX_LAYOUTS - 1);
            self.known.insert(0, Arc::new(layout));
            self.learned = true;
        }
    }
}

/// Kind and canonical text of a hit in `text`.
fn canonical(text: &[u8], hit: Hit) -> (Kind, Cow<'_, [u8]>) {
    let raw = json::Raw { text: &text[hit.start..hit.end], shape: hit.shape };
    raw.canonical().expect("a hit is never null")
}

/// Adds a value that lies in a line of the chunk: in place, unless its text must be made.
fn push(cells: &mut Cells, side: &mut Side, data: &[u8], line: usize, hit: Hit) {
    let (start, len) = (line + hit.start, hit.end - hit.start);
    match hit.shape {
        Shape::String { escaped: false } => cells.push(view(data, 0, start + 1, len - 2), Kind::String),
        Shape::Number => cells.push(view(data, 0, start, len), json::number_kind(&data[start..start + len])),
        Shape::Bool => cells.push(view(data, 0, start, len), Kind::Bool),
        Shape::List { clean: true } => cells.push(view(data, 0, start, len), Kind::List),
        Shape::Map { clean: true } => cells.push(view(data, 0, start, len), Kind::Map),
        _ => push_copy(cells, side, &data[line..], hit),
    }
}

/// Adds a value whose text must be made, or lies nowhere for long.
fn push_copy(cells: &mut Cells, side: &mut Side, text: &[u8], hit: Hit) {
    let (kind, text) = canonical(text, hit);
    cells.push(side.keep(&text, 1), kind);
}
