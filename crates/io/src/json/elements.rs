//! Files of JSON whose records are not lines: how they are cut, and what each element becomes.

use super::frame::{Framer, Piece, State};
use super::nesting::{Ending, ending};
use super::reader::{Around, Line, Out, Reader};
use super::{Element, Plan};
use crate::formats::{Chunk, Pass, Place, Records, Splitter};
use backsight_engine::error::Error;
use backsight_engine::source::{Flow, Weight};
use backsight_engine::value::json::{Cursor, Malformed, Quoted, decode, whole, write_bytes};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file of elements, opened.
pub(super) struct Elements<'a> {
    pub pass: Pass<'a>,
    pub plan: Arc<Plan>,
    /// Control messages have been noted.
    pub noted: AtomicBool,
}

impl Records for Elements<'_> {
    fn splitter(&self) -> Box<dyn Splitter> {
        Box::new(Frames::default())
    }

    fn read(&self, mut chunk: Chunk, out: Out<'_>) -> Result<Flow, Error> {
        let framer = Framer { state: State::numbered(chunk.context) };
        let data = chunk.data.clone();
        let known = std::mem::take(&mut chunk.places);
        let mut reader = Reader::new(&self.pass, &self.plan, chunk);
        let flow = if known.last().is_some_and(|last| last.end == data.len()) {
            self.pieces(&mut reader, known.into_iter(), data.as_slice(), out)
        } else {
            self.pieces(&mut reader, framer.places(data.as_slice()), data.as_slice(), out)
        };
        reader.finish(flow)
    }

    fn preamble(&self, _: u64) -> Vec<u8> {
        match self.plan.element {
            Element::Record => format!("[{}]", self.plan.example),
            _ => self.plan.example.to_owned(),
        }
        .into_bytes()
    }

    fn read_apart(&self, chunk: Chunk, places: &[Range<usize>], out: Out<'_>) -> Result<Flow, Error> {
        let data = chunk.data.clone();
        let mut reader = Reader::new(&self.pass, &self.plan, chunk);
        let flow = self.apart(&mut reader, data.as_slice(), places, out);
        reader.finish(flow)
    }
}

/// Cuts between elements.
#[derive(Debug, Default)]
struct Frames {
    /// Where the next piece begins.
    framer: Framer,
    /// Where the last piece that was cut off began, and what is in it.
    before: State,
    places: Vec<Place>,
}

impl Splitter for Frames {
    fn cut(&mut self, window: &[u8]) -> usize {
        self.before = self.framer.state;
        let mut framer = self.framer;
        let mut behind = 0;
        self.places.clear();
        loop {
            let piece = framer.next(window, behind);
            let (Piece::Record(start, end) | Piece::Text(start, end)) = piece else { return behind };
            self.places.push(Place { start, end, is_record: matches!(piece, Piece::Record(..)) });
            behind = end;
            self.framer = framer;
        }
    }

    fn places(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.places)
    }

    fn skip(&mut self, window: &[u8]) -> Option<usize> {
        // A line feed, or what looks like the border between two elements.
        let feed = memchr::memchr(b'\n', window).map(|n| n + 1);
        let border = memchr::memmem::find(&window[..feed.unwrap_or(window.len())], b"},{\"").map(|n| n + 1);
        border.or(feed)
    }

    fn is_whole(&self, tail: &[u8], damaged: bool) -> bool {
        let mut framer = self.framer;
        match framer.next(tail, 0) {
            Piece::End => true,
            // Half a record before damage is part of the loss.
            _ => !damaged,
        }
    }

    fn left_open(&mut self, tail: &[u8]) -> bool {
        let (mut framer, mut at) = (std::mem::take(&mut self.framer), 0);
        while let Piece::Record(_, end) | Piece::Text(_, end) = framer.next(tail, at) {
            at = end;
        }
        matches!(framer.state, State::List | State::Records | State::Envelope)
    }

    fn context(&self) -> u64 {
        self.before as u64
    }

    fn restart(&mut self) {
        self.framer = Framer { state: State::Lost };
    }
}

impl State {
    fn numbered(number: u64) -> State {
        [State::Top, State::List, State::Records, State::Envelope, State::Lost][number as usize % 5]
    }
}

impl Elements<'_> {
    fn pieces(
        &self,
        reader: &mut Reader<'_>,
        places: impl Iterator<Item = Place>,
        data: &[u8],
        out: Out<'_>,
    ) -> Result<Flow, Error> {
        for Place { start, end, is_record } in places {
            let line = Line { start, end: start + data[start..end].trim_ascii_end().len() };
            let events = match self.plan.element {
                Element::Events if is_record => events(&data[start..end]),
                _ => None,
            };
            match (events, self.plan.element) {
                (Some(events), _) => {
                    if self.events(reader, data, start, events, out)? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
                (None, Element::Fields) if is_record => reader.fields(line),
                (None, _) if is_record && reader.count_record(start) => {}
                (None, Element::Record) if is_record && reader.pass_over(data, line) => {}
                (None, _) => reader.record(data, line, &Around::default()),
            }
            if reader.hand_out_records(out, false)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        reader.hand_out_records(out, true)
    }

    /// Reads the elements at these places; events of a delivery, each by itself.
    fn apart(
        &self,
        reader: &mut Reader<'_>,
        data: &[u8],
        places: &[Range<usize>],
        out: Out<'_>,
    ) -> Result<Flow, Error> {
        for place in places {
            let text = &data[place.clone()];
            // What belongs to no record may be at the end, where it was not seen which part of the record is its text.
            let (len, is_record) = match (text.first(), ending(text)) {
                (Some(b'{' | b'['), Ending::At(len)) => (len, true),
                (Some(b'{' | b'['), Ending::Broken(len)) => (len, false),
                _ => (text.len(), false),
            };
            let line = Line { start: place.start, end: place.start + text[..len].trim_ascii_end().len() };
            match self.plan.element {
                Element::Fields if is_record => reader.fields(line),
                _ => reader.record(data, line, &Around::default()),
            }
            if reader.hand_out_records(out, false)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        reader.hand_out_records(out, true)
    }

    /// Reads the events of a delivery that starts at `start`.
    fn events(
        &self,
        reader: &mut Reader<'_>,
        data: &[u8],
        start: usize,
        delivery: Delivery<'_>,
        out: Out<'_>,
    ) -> Result<Flow, Error> {
        if delivery.is_control {
            if !self.noted.swap(true, Ordering::Relaxed) {
                let what = "a control message of the subscription (and any others) is no event: left out";
                self.pass.note(Weight::Notice, None, what);
            }
            return Ok(Flow::More);
        }
        let log = match (&delivery.owner, &delivery.group) {
            (Some(owner), Some(group)) => Some([owner.as_slice(), b":", group].concat()),
            (None, Some(group)) => Some(group.clone()),
            _ => None,
        };
        let around = Around { stream: delivery.stream.as_deref(), log: log.as_deref(), ..Around::default() };
        for (from, to) in delivery.events {
            reader.record(data, Line { start: start + from, end: start + to }, &around);
            if reader.hand_out_records(out, false)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }
}

/// What a subscription delivers at a time.
#[derive(Debug, Default)]
struct Delivery<'t> {
    owner: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
    stream: Option<Vec<u8>>,
    is_control: bool,
    /// Where its events lie.
    events: Vec<(usize, usize)>,
    text: &'t [u8],
}

/// Reads a delivery; `None` if the text is something else.
fn events(text: &[u8]) -> Option<Delivery<'_>> {
    let mut delivery = Delivery { text, ..Delivery::default() };
    let found = delivery.read().ok()?;
    found.then_some(delivery)
}

impl Delivery<'_> {
    fn read(&mut self) -> Result<bool, Malformed> {
        let mut cursor = Cursor::new(self.text);
        cursor.enter_map()?;
        let (mut first, mut found) = (true, false);
        while let Some(key) = cursor.key(&mut first)? {
            if key.is(b"logEvents") && cursor.peek() == Some(b'[') {
                found = true;
                cursor.enter_list()?;
                let mut first = true;
                while cursor.element(&mut first)? {
                    cursor.peek();
                    let start = cursor.at();
                    cursor.value()?;
                    self.events.push((start, cursor.at()));
                }
                continue;
            }
            let value = cursor.value()?;
            let text = || string(value.text);
            match key {
                key if key.is(b"owner") => self.owner = text(),
                key if key.is(b"logGroup") => self.group = text(),
                key if key.is(b"logStream") => self.stream = text(),
                key if key.is(b"messageType") => self.is_control = value.text == b"\"CONTROL_MESSAGE\"",
                _ => {}
            }
        }
        cursor.end()?;
        Ok(found)
    }
}

/// The text of a string as it stands in JSON.
fn string(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(inner.len());
    decode(inner, &mut out);
    Some(out)
}

impl Reader<'_> {
    /// Reads a row as queries of CloudWatch Logs return it: a list of `{"field": …, "value": …}`.
    fn fields(&mut self, line: Line) {
        let data = self.chunk.data.clone();
        let mut object = Vec::new();
        if as_object(&data.as_slice()[line.start..line.end], &mut object).is_err() {
            self.record(data.as_slice(), line, &Around::default());
            return;
        }
        let around = Around { at: Some(line.start), message: Some(line), elsewhere: true, ..Around::default() };
        self.record(&object, Line { start: 0, end: object.len() }, &around);
    }
}

/// Writes the row as an object.
fn as_object(row: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    whole(row)?;
    let mut cursor = Cursor::new(row);
    cursor.enter_list()?;
    let mut first = true;
    out.push(b'{');
    while cursor.element(&mut first)? {
        cursor.enter_map()?;
        let mut first = true;
        let (mut field, mut value) = (None, None);
        while let Some(key) = cursor.key(&mut first)? {
            let raw = cursor.value()?;
            match key {
                Quoted { inner: b"field", .. } => field = string(raw.text),
                Quoted { inner: b"value", .. } => value = Some(raw.text),
                _ => {}
            }
        }
        let (Some(field), Some(value)) = (field, value) else { return Err(Malformed { at: cursor.at() }) };
        if out.len() > 1 {
            out.push(b',');
        }
        write_bytes(&field, out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(())
}
