//! Text with a time before each event, as CloudWatch Logs exports it: an event goes on until the next line with a time.

use super::reader::{Around, Line, Out, Reader};
use super::{PLAIN, Plan};
use crate::formats::{Chunk, Pass, Records, Splitter};
use crate::text::{Layout, VariantPlan};
use backsight_engine::error::Error;
use backsight_engine::source::Flow;
use backsight_engine::value::time;
use std::sync::Arc;

/// What stands before an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Length of the time.
    pub time: usize,
    /// Where the stream is, if it is named.
    pub stream: Option<(usize, usize)>,
    /// Where the event begins.
    pub event: usize,
}

/// The prefix of a line: `2024-05-01T10:00:00.000Z ` of exports, `2024-05-01T10:00:00.000000+00:00 STREAM ` of `aws logs tail`,
/// `2024-05-01T10:00:00 ` of `aws logs tail --format short`.
pub(crate) fn prefix(line: &[u8]) -> Option<Prefix> {
    let date = line.first_chunk::<19>()?;
    let fits = |(at, b): (usize, &u8)| match at {
        4 | 7 => *b == b'-',
        10 => *b == b'T',
        13 | 16 => *b == b':',
        _ => b.is_ascii_digit(),
    };
    if !date.iter().enumerate().all(fits) {
        return None;
    }
    if line.get(23..25) == Some(b"Z ") && line[19] == b'.' && line[20..23].iter().all(u8::is_ascii_digit) {
        return Some(Prefix { time: 24, stream: None, event: 25 });
    }
    if line.get(19) == Some(&b' ') {
        return Some(Prefix { time: 19, stream: None, event: 20 });
    }
    let digits = line[19..].strip_prefix(b".").map_or(0, |f| 1 + f.iter().take_while(|b| b.is_ascii_digit()).count());
    let zone = 19 + digits;
    let rest = line[zone..].strip_prefix(b"+00:00 ")?;
    let stream = zone + 7;
    let len = memchr::memchr2(b' ', b'\n', rest)?;
    (rest[len] == b' ').then_some(Prefix {
        time: zone + 6,
        stream: Some((stream, stream + len)),
        event: stream + len + 1,
    })
}

/// Opens such a file. `lines`: what events that are no JSON may look like.
pub(crate) fn records<'a>(
    pass: &Pass<'a>,
    stream: Option<String>,
    lines: &Layout,
    header: &[String],
) -> Box<dyn Records + 'a> {
    let lines = lines.plan(pass, header);
    Box::new(Events { pass: pass.clone(), plan: Plan::of(pass, &PLAIN), stream, lines })
}

struct Events<'a> {
    pass: Pass<'a>,
    plan: Arc<Plan>,
    stream: Option<String>,
    lines: Vec<VariantPlan>,
}

impl Records for Events<'_> {
    fn splitter(&self) -> Box<dyn Splitter> {
        Box::new(Timed)
    }

    fn read(&self, chunk: Chunk, out: Out<'_>) -> Result<Flow, Error> {
        let data = chunk.data.clone();
        let mut reader = Reader::new(&self.pass, &self.plan, chunk);
        let flow = self.events(&mut reader, data.as_slice(), out);
        reader.finish(flow)
    }

    fn preamble(&self, _: u64) -> Vec<u8> {
        Vec::new()
    }
}

impl Events<'_> {
    fn events(&self, reader: &mut Reader<'_>, data: &[u8], out: Out<'_>) -> Result<Flow, Error> {
        let mut at = if data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while at < data.len() {
            let behind = next_event(data, at).unwrap_or(data.len());
            let record = &data[at..behind];
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let record = record.strip_suffix(b"\r").unwrap_or(record);
            let prefix = prefix(record);
            let end = at + record.len();
            let mut around = Around { at: Some(at), lines: &self.lines, ..Around::default() };
            around.stream = self.stream.as_deref().map(str::as_bytes);
            let start = match prefix {
                Some(found) => {
                    around.time = time::parse_readable(&record[..found.time]);
                    if let Some((from, to)) = found.stream {
                        around.stream = Some(&record[from..to]);
                    }
                    at + found.event
                }
                None => at,
            };
            let line = Line { start, end };
            around.message = Some(line);
            // An event without text is an event.
            reader.event(data, line, &around);
            if reader.hand_out_records(out, false)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
            at = behind;
        }
        reader.hand_out_records(out, true)
    }
}

/// Where the next line with a time begins, behind the line at `at`.
fn next_event(data: &[u8], at: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &data[at..]).map(|n| at + n + 1).find(|start| prefix(&data[*start..]).is_some())
}

/// Splits before lines with a time.
#[derive(Debug)]
struct Timed;

impl Splitter for Timed {
    fn cut(&mut self, window: &[u8]) -> usize {
        let starts = memchr::memrchr_iter(b'\n', window).map(|n| n + 1);
        starts.into_iter().find(|start| prefix(&window[*start..]).is_some()).unwrap_or(0)
    }

    fn skip(&mut self, window: &[u8]) -> Option<usize> {
        memchr::memchr(b'\n', window).map(|n| n + 1)
    }

    fn is_whole(&self, tail: &[u8], damaged: bool) -> bool {
        !tail.is_empty() && !damaged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let whole = |text: &str| prefix(text.as_bytes());
        assert_eq!(whole("2024-05-01T10:00:00.000Z x"), Some(Prefix { time: 24, stream: None, event: 25 }));
        let tail = whole("2024-05-01T10:00:00.123456+00:00 my/stream x").expect("tail");
        assert_eq!((tail.stream, tail.event), (Some((33, 42)), 43));
        assert_eq!(whole("2024-05-01T10:00:00 x"), Some(Prefix { time: 19, stream: None, event: 20 }));
        for text in [
            "2024-05-01T10:00:00.000Z",
            "2024-05-01 10:00:00.000Z x",
            "2024-05-01T10:00:00.000Z\tx",
            "2024-05-01T10:00:00Z x",
            "",
            "at x",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
