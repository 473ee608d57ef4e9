//! Reads chunks of lines.

use super::divide::{Span, table_record};
use super::{Divide, Divider, Found, Header, Layout, Names, Pick, VariantPlan};
use crate::formats::{Chunk, Pass, Records, Splitter};
use crate::json::{Count, Times};
use crate::records::Lines;
use crate::rows::{Cells, Side, view};
use crate::system;
use arrow::array::Int64Array;
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Field, Flow};
use backsight_engine::value::Kind;
use backsight_engine::value::column::{Batch, Column, Positions};
use std::sync::{Arc, Mutex, PoisonError};

/// Receives batches.
type Out<'o> = &'o mut dyn FnMut(Batch) -> Result<Flow, Error>;

/// Finds the names in a header line; `None`: the line is no header.
pub(crate) type ReadHeader = fn(&[u8]) -> Option<Vec<String>>;

/// Lines that name the columns.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    /// One of these stands in each of them, and hardly in any other line: to find them fast.
    pub marks: &'static [&'static str],
    /// How they are read. Must see fast that a line is none.
    pub read: ReadHeader,
}

impl Headers {
    /// Where the lines with marks begin, in order.
    fn candidates(&self, window: &[u8]) -> Vec<usize> {
        let found = self.marks.iter().flat_map(|mark| memchr::memmem::find_iter(window, mark.as_bytes()));
        let mut starts: Vec<usize> =
            found.map(|at| memchr::memrchr(b'\n', &window[..at]).map_or(0, |n| n + 1)).collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }
}

/// The names of a file's columns until another header says others.
#[derive(Clone, Debug, Default)]
pub(crate) struct First<'h> {
    pub names: Vec<String>,
    /// The header; empty if the names are those of the format.
    pub line: &'h [u8],
}

/// Opens a file of lines.
pub(crate) fn records<'a>(
    pass: &Pass<'a>,
    layout: Layout,
    headers: Option<Headers>,
    first: First<'_>,
) -> Box<dyn Records + 'a> {
    let seen = Seen(Arc::new(Mutex::new(vec![(first.names.into(), first.line.into())])));
    Box::new(File { pass: pass.clone(), layout, headers, seen, plans: Mutex::default() })
}

/// The headers met so far, and their lines; the first is that of the start of the file.
#[derive(Clone, Debug)]
struct Seen(Arc<Mutex<Vec<Met>>>);

/// A header, and the line it was read from.
type Met = (Header, Arc<[u8]>);

impl Seen {
    /// The number of a header.
    fn number(&self, header: Header, line: &[u8]) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.iter().position(|(h, _)| *h == header);
        known.unwrap_or_else(|| {
            seen.push((header, line.into()));
            seen.len() - 1
        }) as u64
    }

    fn get(&self, number: u64) -> Met {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen[(number as usize).min(seen.len() - 1)].clone()
    }
}

/// A file of lines, opened.
struct File<'a> {
    pass: Pass<'a>,
    layout: Layout,
    headers: Option<Headers>,
    seen: Seen,
    /// By the number of the header.
    plans: Mutex<Vec<(u64, Arc<Vec<VariantPlan>>)>>,
}

impl File<'_> {
    fn plan(&self, number: u64) -> Arc<Vec<VariantPlan>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(n, _)| *n == number) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(self.layout.plan(&self.pass, &self.seen.get(number).0));
        plans.push((number, Arc::clone(&plan)));
        plan
    }

    /// What divides records that may hold line feeds.
    fn table(&self) -> Option<u8> {
        match self.layout.variants.first()?.divide {
            Divide::Table(by) => Some(by),
            _ => None,
        }
    }
}

impl Records for File<'_> {
    fn splitter(&self) -> Box<dyn Splitter> {
        if let Some(by) = self.table() {
            return Box::new(Rows(by));
        }
        match &self.headers {
            None => Box::new(Lines),
            Some(headers) => {
                Box::new(Headed { headers: headers.clone(), seen: self.seen.clone(), next: 0, before: 0, stops: false })
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let by_header = self.layout.variants.iter().any(|v| matches!(v.tokens, Names::Header));
        if by_header { self.seen.get(0).0.to_vec() } else { Vec::new() }
    }

    fn read(&self, chunk: Chunk, out: Out<'_>) -> Result<Flow, Error> {
        let plan = self.plan(chunk.context);
        Reader::new(self, plan, chunk).read(out)
    }

    fn divider(&self, context: u64) -> Option<Divider> {
        Some(Divider::new(&self.layout.variants, &self.seen.get(context).0))
    }

    fn preamble(&self, context: u64) -> Vec<u8> {
        // Without a header it is a line that is no JSON that tells such files from others of their format.
        match &self.seen.get(context).1[..] {
            b"" => b"-\n".to_vec(),
            line => [line, b"\n"].concat(),
        }
    }
}

/// Splits at the ends of a table's rows.
#[derive(Debug)]
pub(crate) struct Rows(pub u8);

impl Splitter for Rows {
    fn cut(&mut self, window: &[u8]) -> usize {
        let mut end = 0;
        while let Some(len) = table_record(&window[end..], self.0) {
            end += len;
        }
        end
    }

    fn skip(&mut self, window: &[u8]) -> Option<usize> {
        Lines.skip(window)
    }

    fn is_whole(&self, tail: &[u8], damaged: bool) -> bool {
        !tail.is_empty() && !damaged
    }
}

/// Splits between lines, and before every header that says something new.
struct Headed {
    headers: Headers,
    seen: Seen,
    /// The header in force where the next piece begins, and that of the last piece.
    next: u64,
    before: u64,
    stops: bool,
}

impl Splitter for Headed {
    fn cut(&mut self, window: &[u8]) -> usize {
        self.before = self.next;
        self.stops = false;
        let end = Lines.cut(window);
        for start in self.headers.candidates(&window[..end]) {
            let behind = start + memchr::memchr(b'\n', &window[start..]).unwrap_or(window.len() - start);
            let line = window[start..behind].trim_ascii_end();
            let Some(names) = (self.headers.read)(line) else { continue };
            let number = self.seen.number(names.into(), line);
            if start > 0 && number != self.next {
                // What is before it is read by the names in force so far.
                self.stops = true;
                return start;
            }
            (self.before, self.next) = (number, number);
        }
        end
    }

    fn skip(&mut self, window: &[u8]) -> Option<usize> {
        Lines.skip(window)
    }

    fn is_whole(&self, tail: &[u8], damaged: bool) -> bool {
        !tail.is_empty() && !damaged
    }

    fn context(&self) -> u64 {
        self.before
    }

    fn stops(&self) -> bool {
        self.stops
    }
}

/// A chunk being read.
struct Reader<'r, 'a> {
    file: &'r File<'a>,
    plan: Arc<Vec<VariantPlan>>,
    chunk: Chunk,
    /// One a slot; those of system fields stay empty.
    cells: Vec<Cells>,
    times: Vec<Option<i64>>,
    offsets: Vec<u32>,
    side: Side,
    spans: Vec<Span>,
    last_time: Times,
    count: Count,
    /// There are zero characters in the chunk.
    has_zeros: bool,
}

impl<'r, 'a> Reader<'r, 'a> {
    fn new(file: &'r File<'a>, plan: Arc<Vec<VariantPlan>>, chunk: Chunk) -> Reader<'r, 'a> {
        let cells = file.pass.scan.want.iter().map(|_| Cells::default()).collect();
        Reader {
            file,
            plan,
            chunk,
            cells,
            times: Vec::new(),
            offsets: Vec::new(),
            side: Side::default(),
            spans: Vec::new(),
            last_time: Times::default(),
            count: Count::default(),
            has_zeros: false,
        }
    }

    fn read(mut self, out: Out<'_>) -> Result<Flow, Error> {
        let flow = self.lines(out);
        self.count.add_to(&self.file.pass.counters);
        flow
    }

    fn lines(&mut self, out: Out<'_>) -> Result<Flow, Error> {
        let data = self.chunk.data.clone();
        let data = data.as_slice();
        self.has_zeros = memchr::memchr(0, data).is_some();
        let table = self.file.table();
        let mut at = if self.chunk.offset == 0 && data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let begin = at;
        while at < data.len() {
            let behind = match table {
                None => memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |n| at + n + 1),
                Some(by) => table_record(&data[at..], by).map_or(data.len(), |n| at + n),
            };
            let mut end = behind - usize::from(data[behind - 1] == b'\n');
            end -= usize::from(end > at && data[end - 1] == b'\r');
            let is_header = table.is_some() && self.chunk.offset == 0 && at == begin;
            self.line(data, at, end, is_header);
            at = behind;
            if self.offsets.len() >= BATCH_ROWS || self.side.len() > 16 << 20 {
                let batch = self.batch();
                if out(batch)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
        if self.offsets.is_empty() {
            return Ok(Flow::More);
        }
        let batch = self.batch();
        out(batch)
    }

    fn line(&mut self, data: &[u8], start: usize, end: usize, is_header: bool) {
        let line = &data[start..end];
        if line.trim_ascii().is_empty() {
            self.count.blank += 1;
            return;
        }
        let named = || self.file.headers.as_ref().is_some_and(|headers| (headers.read)(line).is_some());
        if is_header || (self.file.layout.skip)(line) || named() {
            return;
        }
        self.count.records += 1;
        if !line.is_ascii() && simdutf8::basic::from_utf8(line).is_err() {
            self.count.not_utf8 += 1;
        }
        self.count.zeros += u64::from(self.has_zeros && memchr::memchr(0, line).is_some());
        self.offsets.push(start as u32);
        let plan = Arc::clone(&self.plan);
        let found = divide(&plan, line, &mut self.spans);
        self.count.unlike += u64::from(found.is_none());
        let Reader { cells, side, spans, .. } = self;
        for (slot, field) in self.file.pass.scan.want.iter().enumerate() {
            let cells = &mut cells[slot];
            match field {
                Field::Message => cells.push(view(data, 0, start, line.len()), Kind::String),
                Field::Path(_) => match found.and_then(|p| p.picks[slot]) {
                    Some(pick) => push(cells, side, data, start, line, pick, spans),
                    None => cells.push_null(),
                },
                Field::Timestamp => {
                    let time = found.and_then(|p| p.time(line, spans, &mut self.last_time));
                    self.count.no_timestamp += u64::from(time.is_none());
                    self.times.push(time);
                }
                Field::LogStream | Field::Log | Field::IngestionTime | Field::Ptr => {}
            }
        }
    }

    fn batch(&mut self) -> Batch {
        let pass = &self.file.pass;
        let offsets = std::mem::take(&mut self.offsets);
        let positions = Positions::Near { base: pass.position(self.chunk.offset), offsets: offsets.into() };
        let side = std::mem::take(&mut self.side);
        let buffers = side.buffers(std::slice::from_ref(&self.chunk.data));
        let times = std::mem::take(&mut self.times);
        let columns = self.cells.iter_mut().zip(&pass.scan.want).map(|(cells, field)| match field {
            Field::Path(_) | Field::Message => std::mem::take(cells).finish(&buffers),
            Field::Timestamp => Column::Time(Int64Array::from(times.clone())),
            Field::LogStream | Field::Log | Field::IngestionTime | Field::Ptr => {
                system::column(pass, field, &positions)
            }
        });
        let columns = columns.collect();
        Batch { columns, rows: positions.len(), positions }
    }
}

/// The plan that fits a line, whose tokens are then in `spans`.
pub(crate) fn divide<'p>(plans: &'p [VariantPlan], line: &[u8], spans: &mut Vec<Span>) -> Option<&'p VariantPlan> {
    plans.iter().find(|plan| {
        let variant = &plan.variant;
        (variant.fits)(line) && {
            variant.divide.tokens(line, plan.tokens, spans);
            spans.len() >= variant.least
        }
    })
}

/// Adds the field of a line, which lies at `start` of the data.
#[allow(clippy::too_many_arguments)]
#[inline]
pub(crate) fn push(
    cells: &mut Cells,
    side: &mut Side,
    data: &[u8],
    start: usize,
    line: &[u8],
    pick: Pick,
    spans: &[Span],
) {
    let span = pick.of.and_then(|token| spans.get(token));
    if let (Some(span), None) = (span, pick.find) {
        let (from, len) = (span.start as usize, (span.end - span.start) as usize);
        if len == 0 && span.absent {
            return cells.push_null();
        }
        if span.doubled {
            return cells.push(side.keep(&span.text(line), 1), Kind::String);
        }
        return cells.push(view(data, 0, start + from, len), Kind::String);
    }
    match pick.get(line, spans) {
        None => cells.push_null(),
        Some(Found::Made(text)) => cells.push(side.keep(text.as_bytes(), 1), Kind::Number),
        Some(Found::There(text)) => {
            // What was found lies in the line.
            let from = text.as_ptr() as usize - line.as_ptr() as usize;
            cells.push(view(data, 0, start + from, text.len()), Kind::String);
        }
    }
}
