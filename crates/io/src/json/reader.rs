//! Reads a chunk of lines.

use super::wanted::{Hit, Hits, RESERVED, Want};
use super::Plan;
use crate::formats::{Chunk, Pass};
use crate::rows::{Cells, Side, view};
use crate::system;
use arrow::array::Int64Array;
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Counters, Flow};
use backsight_engine::value::column::{Batch, Column, Positions};
use backsight_engine::value::json::{self, Shape};
use backsight_engine::value::{Kind, time};
use std::borrow::Cow;

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
}

/// The batch being filled.
struct Rows {
    /// One a slot; those of system fields stay empty where records say nothing.
    cells: Vec<Cells>,
    times: Vec<Option<i64>>,
    side: Side,
    offsets: Vec<u32>,
}

/// What is added to the counters at the end.
#[derive(Default)]
struct Count {
    records: u64,
    blank: u64,
    not_json: u64,
    not_utf8: u64,
    no_timestamp: u64,
}

/// Reads times; neighbouring records share theirs, and text is dear to read.
#[derive(Default)]
struct Times {
    text: Vec<u8>,
    kind: Option<Kind>,
    time: Option<i64>,
}

impl Times {
    fn read(&mut self, kind: Kind, text: &[u8]) -> Option<i64> {
        if self.kind != Some(kind) || self.text != text {
            self.kind = Some(kind);
            self.text.clear();
            self.text.extend_from_slice(text);
            self.time = match kind {
                Kind::String | Kind::Number | Kind::Time => time::parse(text),
                Kind::Bool | Kind::List | Kind::Map => None,
            };
        }
        self.time
    }
}

/// Where the line being read lies in the chunk.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    end: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(pass: &'r Pass<'r>, plan: &'r Plan, chunk: Chunk) -> Reader<'r> {
        let (hits, inner_hits) = (plan.tree.hits(), plan.tree.hits());
        let rows = Rows::new(plan.slots.len());
        Reader { pass, plan, chunk, hits, inner_hits, inner: Vec::new(), times: Times::default(), rows, count: Count::default() }
    }

    /// Reads all lines.
    pub(super) fn read(mut self, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let flow = self.lines(out);
        let counters = self.pass.counters;
        for (counter, n) in [
            (&counters.records, self.count.records),
            (&counters.blank, self.count.blank),
            (&counters.not_json, self.count.not_json),
            (&counters.not_utf8, self.count.not_utf8),
            (&counters.no_timestamp, self.count.no_timestamp),
        ] {
            if n > 0 {
                Counters::add(counter, n);
            }
        }
        flow
    }

    fn lines(&mut self, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let data = self.chunk.data.clone();
        let data = data.as_slice();
        let mut at = if self.chunk.offset == 0 && data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while at < data.len() {
            let feed = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |n| at + n);
            let end = if feed > at && data[feed - 1] == b'\r' { feed - 1 } else { feed };
            self.line(data, Line { start: at, end });
            at = feed + 1;
            if self.rows.offsets.len() == BATCH_ROWS || self.rows.side.len() > SIDE_LIMIT {
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

    /// Reads any line, whatever is in it.
    fn line(&mut self, data: &[u8], line: Line) {
        let text = &data[line.start..line.end];
        if text.trim_ascii().is_empty() {
            self.count.blank += 1;
            return;
        }
        self.count.records += 1;
        if !text.is_ascii() && simdutf8::basic::from_utf8(text).is_err() {
            self.count.not_utf8 += 1;
        }
        self.rows.offsets.push(line.start as u32);
        if self.plan.tree.find(text, true, &mut self.hits).is_err() {
            self.count.not_json += 1;
            self.text_row(data, line);
            return;
        }
        let message = if self.plan.reserved { self.hits.reserved(MESSAGE) } else { None };
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
                Want::System(key) => match self.hits.reserved(*key) {
                    Some(hit) => {
                        // Rows before this one did not say; what they have instead is filled in at the end.
                        while cells.len() + 1 < self.rows.offsets.len() {
                            cells.push_null();
                        }
                        push(cells, side, data, line.start, hit);
                    }
                    None if cells.is_empty() => {}
                    None => cells.push_null(),
                },
                Want::Time => {
                    let found = match self.hits.first(&self.plan.times) {
                        Some(hit) => Some((text, hit)),
                        None => self.inner_hits.first(&self.plan.times).filter(|_| has_inner).map(|hit| (&self.inner[..], hit)),
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
        let rows = std::mem::replace(&mut self.rows, Rows::new(self.plan.slots.len()));
        let base = self.pass.position(self.chunk.offset);
        let positions = Positions { base, offsets: rows.offsets.into() };
        let buffers = rows.side.buffers(std::slice::from_ref(&self.chunk.data));
        let mut times = Some(rows.times);
        let columns = rows.cells.into_iter().zip(&self.plan.slots).zip(&self.pass.scan.want).map(|((cells, want), field)| {
            match want {
                Want::Path(_) | Want::Message => cells.finish(&buffers),
                Want::Time => Column::Time(Int64Array::from(times.take().unwrap_or_default())),
                Want::System(_) => {
                    let usual = system::column(self.pass, field, &positions);
                    if cells.is_empty() { usual } else { system::merge(&cells.finish(&buffers), &usual) }
                }
            }
        });
        let columns = columns.collect();
        Batch { columns, rows: positions.offsets.len(), positions }
    }
}

/// The number of the reserved key `@message`.
const MESSAGE: usize = 1;
const _: () = assert!(matches!(RESERVED[MESSAGE], b"@message"));

impl Rows {
    fn new(slots: usize) -> Rows {
        Rows { cells: (0..slots).map(|_| Cells::default()).collect(), times: Vec::new(), side: Side::default(), offsets: Vec::new() }
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
