//! Takes chunks of files apart: finds the layout of each record, and its values.

use super::block::{Block, Origin, Row};
use super::keys::same;
use super::layout::{BEFORE, BYTES, END, Layout, TEXT, TOKEN, VALUE, markless};
use super::slot::Slot;
use super::traces::Traces;
use crate::json::{Traced, is_reserved};
use crate::text::{Divider, Span};
use arrow::buffer::Buffer;
use backsight_engine::value::json::Cursor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the reader of a format says about a record.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Where it begins in the chunk.
    pub start: u32,
    /// Where its `@message` lies in the chunk, if it does.
    pub message: Option<(u32, u32)>,
    pub time: Option<i64>,
    pub origin: u32,
}

/// All layouts seen, shared by blocks.
#[derive(Debug, Default)]
pub(crate) struct Layouts(Mutex<HashMap<Box<[u8]>, Arc<Layout>>>);

/// Layouts kept for sharing; beyond that each block has its own.
const MAX_SHARED: usize = 1 << 16;

impl Layouts {
    fn share(&self, text: Vec<u8>) -> Option<Arc<Layout>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = all.get(&text[..]) {
            return Some(Arc::clone(layout));
        }
        let layout = Arc::new(Layout::parse(&text)?);
        if all.len() < MAX_SHARED {
            all.insert(text.into(), Arc::clone(&layout));
        }
        Some(layout)
    }
}

/// Which records are what they seem: their fields are those that stand in them, and there are no others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Direct {
    /// JSON objects: their keys are their fields.
    pub objects: bool,
    /// Text: it has no fields.
    pub text: bool,
}

/// Takes chunks of one file apart.
pub(crate) struct Parser<'a> {
    layouts: &'a Layouts,
    direct: Direct,
    block: Block,
    /// Numbers of layouts in the order in which they are tried.
    recent: Vec<u32>,
    by_text: HashMap<Box<[u8]>, u32>,
    /// What the reader found out about records; their values are the first ones of the block.
    traces: Traces,
    /// How lines of text are divided, if they are.
    divider: Option<Divider>,
    spans: Vec<Span>,
    /// Layouts of lines, with the variants of lines they are of: those used last come first.
    lines: Vec<(usize, u32)>,
    utf8: bool,
    template: Vec<u8>,
}

/// Layouts tried before a record is looked at more closely.
const RECENT: usize = 16;

/// Layouts of lines that are tried before one is put together.
const LINES: usize = 8;

/// What may follow a record in a layout; longer than that it is kept with its bytes.
const MAX_TRAILER: usize = 1024;

impl<'a> Parser<'a> {
    /// `direct`: which of the format's records are.
    pub(crate) fn new(layouts: &'a Layouts, direct: Direct, data: Buffer, offset: u64) -> Parser<'a> {
        let block = Block {
            data,
            offset,
            lead: Vec::new(),
            rows: Vec::new(),
            slots: Vec::new(),
            ends: Vec::new(),
            forms: Vec::new(),
            layouts: Vec::new(),
            origins: Vec::new(),
            preamble: Arc::default(),
            home: Origin::default(),
            is_table: false,
        };
        Parser {
            layouts,
            direct,
            block,
            recent: Vec::new(),
            by_text: HashMap::new(),
            traces: Traces::default(),
            divider: None,
            spans: Vec::new(),
            lines: Vec::new(),
            utf8: false,
            template: Vec::new(),
        }
    }

    /// Lines of text are divided so.
    pub(crate) fn divide(&mut self, divider: Option<Divider>) {
        self.divider = divider;
    }

    /// Takes down what the reader of the records knows of them.
    pub(crate) fn trace(&mut self, traced: &Traced<'_>) {
        self.traces.add(traced, &mut self.block);
    }

    /// Takes the chunk apart at the records found in it.
    pub(crate) fn parse(mut self, mut said: Vec<Said>, origins: Vec<Origin>, preamble: Vec<u8>) -> Block {
        self.block.preamble = preamble.into();
        said.sort_by_key(|s| s.start);
        let data = self.block.data.clone();
        // Traced records have been looked at.
        self.utf8 = self.traces.is_empty() && simdutf8::basic::from_utf8(&data).is_ok();
        let first = said.first().map_or(data.len(), |s| s.start as usize);
        self.block.lead = data[..first].to_vec();
        self.block.origins = origins;
        self.block.rows.reserve(said.len());
        for (i, record) in said.iter().enumerate() {
            let end = said.get(i + 1).map_or(data.len(), |next| next.start as usize);
            let row = self.row(&data, record, end);
            self.block.rows.push(row);
        }
        self.block
    }

    fn row(&mut self, data: &[u8], said: &Said, end: usize) -> Row {
        // Nothing of the text is looked at: it has left the cache.
        if let Some((layout, first, way)) = self.traces.known(said, end) {
            let (start, time, origin) = (said.start, said.time, said.origin);
            return Row { start, end: end as u32, before: 0, layout: Some(layout), first, way, time, origin };
        }
        let start = said.start as usize;
        let message = said.message.map(|(from, to)| (from as usize, to as usize));
        let message = message.filter(|(from, to)| start <= *from && from <= to && *to <= end);
        // An object that has its `@message` within is not that message: its keys are fields too.
        let is_object = data[start..end].trim_ascii_start().starts_with(b"{");
        let message = message.filter(|(from, _)| *from == start || !is_object);
        let body = message.map_or(start, |(from, _)| from);
        let mut row = Row {
            start: said.start,
            end: end as u32,
            before: (body - start) as u32,
            layout: None,
            first: self.block.slots.len() as u32,
            way: None,
            time: said.time,
            origin: said.origin,
        };
        if self.utf8 || simdutf8::basic::from_utf8(&data[start..end]).is_ok() {
            row.layout = self
                .known(&data[..end], start, body, message)
                .or_else(|| self.learn(&data[..end], start, body, message));
        } else {
            row.layout = self.bytes(&data[..end], start, message);
            row.before = 0;
        }
        if row.layout.is_none() {
            row.before = 0;
        }
        self.traces.learn(said, &row, &self.block);
        row
    }

    /// Tries the layouts of the records before.
    fn known(&mut self, text: &[u8], start: usize, body: usize, message: Option<(usize, usize)>) -> Option<u32> {
        for at in 0..self.recent.len() {
            let number = self.recent[at];
            let layout = &self.block.layouts[number as usize];
            let fits = layout.before == (body > start) && layout.find(text, body, &mut self.block.slots);
            if !fits {
                continue;
            }
            let ends = layout.message.map(|n| text.len() - layout.literals.last().map_or(0, |l| l.len()) + n);
            if ends.is_some_and(|end| message.map(|(_, to)| to) != Some(end)) {
                let values = layout.values();
                self.block.slots.truncate(self.block.slots.len() - values);
                continue;
            }
            self.recent[..=at].rotate_right(1);
            return Some(number);
        }
        None
    }

    /// Makes the layout of a record.
    fn learn(&mut self, text: &[u8], start: usize, body: usize, message: Option<(usize, usize)>) -> Option<u32> {
        let first = self.block.slots.len();
        let message_of_line = message.filter(|(from, _)| *from == start);
        let divided = message_of_line.and_then(|line| self.divide_line(text, line).map(|variant| (variant, line)));
        if let Some((variant, line)) = divided
            && let Some(number) = self.known_line(text, line, variant)
        {
            return Some(number);
        }
        self.template.clear();
        if body > start {
            self.template.push(BEFORE);
        }
        let prefix = self.template.len();
        let found = match (&self.divider, divided) {
            (None, _) => self.object(text, body, message),
            (Some(_), Some((variant, line))) => self.line(text, line, variant),
            (Some(_), None) => None,
        };
        if found.is_none() {
            self.block.slots.truncate(first);
            self.template.truncate(prefix);
            self.text(text, body, message)?;
        }
        let number = self.numbered(first)?;
        if let Some((variant, _)) = divided.filter(|_| self.block.layouts[number as usize].is_line) {
            self.lines.truncate(LINES - 1);
            self.lines.insert(0, (variant, number));
        }
        Some(number)
    }

    /// Divides a line into tokens: the variant that tells their names.
    fn divide_line(&mut self, text: &[u8], (from, to): (usize, usize)) -> Option<usize> {
        self.divider.as_ref()?.tokens(&text[from..to], &mut self.spans)
    }

    /// Tries the layouts of the lines before for one that was divided.
    fn known_line(&mut self, text: &[u8], (from, to): (usize, usize), variant: usize) -> Option<u32> {
        let is_it = |(of, number): &(usize, u32)| {
            let layout = &self.block.layouts[*number as usize];
            let Some((last, literals)) = layout.literals.split_last() else { return false };
            let mut at = from;
            let is_between = |(span, literal): (&Span, &[u8])| {
                let between = text.get(at..from + span.start as usize);
                at = from + span.end as usize;
                between.is_some_and(|between| between.len() == literal.len() && same(between, literal))
            };
            *of == variant
                && self.spans.len() == literals.len()
                && self.spans.iter().zip(literals.iter().map(|literal| &**literal)).all(is_between)
                && text[at..] == **last
                && layout.message == Some(to - at)
        };
        let place = self.lines.iter().position(is_it)?;
        self.lines[..=place].rotate_right(1);
        self.block.slots.extend(self.spans.iter().map(|span| token(*span, from)));
        Some(self.lines[0].1)
    }

    /// The layout of a record that is not UTF-8.
    fn bytes(&mut self, text: &[u8], start: usize, message: Option<(usize, usize)>) -> Option<u32> {
        let first = self.block.slots.len();
        let end = message.map_or(text.len(), |(_, to)| to);
        let trailer = &text[end..];
        if trailer.len() > MAX_TRAILER || !trailer.is_ascii() || !markless(trailer) {
            return None;
        }
        self.template.clear();
        self.template.push(BYTES);
        self.template.extend_from_slice(trailer);
        self.block.slots.push(Slot::whole(start, end));
        self.numbered(first)
    }

    /// The number of the layout that was put together. If there is none, its values, from `first` on, are removed.
    fn numbered(&mut self, first: usize) -> Option<u32> {
        let number = match self.by_text.get(&self.template[..]) {
            Some(number) => *number,
            None => {
                let Some(layout) = self.layouts.share(self.template.clone()) else {
                    self.block.slots.truncate(first);
                    return None;
                };
                let number = self.block.layouts.len() as u32;
                self.block.layouts.push(layout);
                self.by_text.insert(self.template.clone().into(), number);
                number
            }
        };
        let layout = &self.block.layouts[number as usize];
        if !layout.is_text && !layout.is_line && !self.recent.contains(&number) {
            self.recent.truncate(RECENT - 1);
            self.recent.insert(0, number);
        }
        Some(number)
    }

    /// The layout of a JSON object.
    fn object(&mut self, text: &[u8], body: usize, message: Option<(usize, usize)>) -> Option<()> {
        let mut cursor = Cursor::new(&text[body..]);
        let mut keys: Vec<(&[u8], bool)> = Vec::new();
        let (mut first, mut literal, mut direct) = (true, body, self.direct.objects);
        cursor.enter_map().ok()?;
        while let Some(key) = cursor.key(&mut first).ok()? {
            direct &= !is_reserved(&key);
            keys.push((key.inner, key.escaped));
            cursor.peek();
            let slot = Slot::at(text, body + cursor.at())?;
            cursor.value().ok()?;
            self.template.extend_from_slice(&text[literal..slot.start()]);
            self.template.push(VALUE);
            literal = slot.end();
            self.block.slots.push(slot);
        }
        if repeats(&mut keys) {
            return None;
        }
        let end = body + cursor.at();
        let trailer = text.get(end..)?;
        if trailer.len() > MAX_TRAILER || !markless(trailer) {
            return None;
        }
        self.template.extend_from_slice(&text[literal..end]);
        match message {
            // The message must be the object and nothing else.
            Some((_, to))
                if direct && to >= end && text[end..to].iter().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) =>
            {
                self.template.extend_from_slice(&text[end..to]);
                self.template.push(END);
                self.template.extend_from_slice(&text[to..]);
            }
            // With something else behind the object, the record is a line of text.
            Some((_, to)) if to > end && !text[end..to].iter().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) => {
                return None;
            }
            _ => self.template.extend_from_slice(trailer),
        }
        Some(())
    }

    /// The layout of a line in tokens.
    fn line(&mut self, text: &[u8], (from, to): (usize, usize), variant: usize) -> Option<()> {
        let divider = self.divider.as_ref()?;
        let mut literal = from;
        for (number, span) in self.spans.iter().enumerate() {
            let (start, end) = (from + span.start as usize, from + span.end as usize);
            let (name, between) = (divider.name(variant, number), text.get(literal..start)?);
            if !markless(between) || !markless(name.as_bytes()) {
                return None;
            }
            self.template.extend_from_slice(between);
            self.template.push(TOKEN);
            self.template.extend_from_slice(name.as_bytes());
            self.template.push(TOKEN);
            self.block.slots.push(token(*span, from));
            literal = end;
        }
        let behind = &text[literal..];
        if behind.len() > MAX_TRAILER || !markless(behind) {
            return None;
        }
        self.template.extend_from_slice(&text[literal..to]);
        self.template.push(END);
        self.template.extend_from_slice(&text[to..]);
        Some(())
    }

    /// The layout of a line of text.
    fn text(&mut self, text: &[u8], body: usize, message: Option<(usize, usize)>) -> Option<()> {
        let end = message.map_or(text.len(), |(_, to)| to);
        let trailer = &text[end..];
        if trailer.len() > MAX_TRAILER || !markless(trailer) {
            return None;
        }
        let alone = self.template.is_empty();
        self.template.push(TEXT);
        // A record that is JSON after all, but repeats a key, say, has fields that only its own reader finds.
        if alone && self.direct.text && message.is_some() && !is_object(&text[body..end]) {
            self.template.push(END);
        }
        self.template.extend_from_slice(trailer);
        self.block.slots.push(Slot::whole(body, end));
        Some(())
    }
}

/// A token of a line that begins at `from`.
fn token(span: Span, from: usize) -> Slot {
    let is_there = !(span.absent && span.start == span.end);
    Slot::token(is_there.then_some((from + span.start as usize, from + span.end as usize)))
}

fn is_object(text: &[u8]) -> bool {
    backsight_engine::value::json::whole(text).is_ok_and(|raw| raw.text.starts_with(b"{"))
}

/// True if two keys are equal, or have escapes, which are not looked into.
fn repeats(keys: &mut [(&[u8], bool)]) -> bool {
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0].0 == pair[1].0) || keys.len() > 1 && keys.iter().any(|(_, escaped)| *escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str) -> (Block, Layouts) {
        let layouts = Layouts::default();
        let data = Buffer::from(lines.as_bytes().to_vec());
        let mut said = Vec::new();
        let mut at = 0;
        for line in lines.split_inclusive('\n') {
            let message = line.trim_end_matches(['\n', '\r']);
            if !message.trim().is_empty() {
                let start = at as u32;
                said.push(Said { start, message: Some((start, start + message.len() as u32)), time: None, origin: 0 });
            }
            at += line.len();
        }
        let origins = vec![(Arc::from(*b"log"), Arc::from(*b"stream"))];
        (Parser::new(&layouts, Direct { objects: true, text: true }, data, 0).parse(said, origins, Vec::new()), layouts)
    }

    /// The record made of its layout and values again.
    fn rebuilt(block: &Block, row: &Row) -> (Vec<u8>, bool) {
        let Some(layout) = block.layout(row) else { return (block.text(row).to_vec(), false) };
        let mut out = Vec::new();
        let before = &block.text(row)[..row.before as usize];
        let message = layout.write(&mut out, before, |slot, out| {
            out.extend_from_slice(block.slot(row, slot).text(&block.data));
            Some(())
        });
        (out, message.expect("values cannot fail").0.is_some())
    }

    #[test]
    fn records_come_back_and_share_layouts() {
        let table: &[(&str, bool)] = &[
            ("{\"a\":1,\"b\":\"x\"}\n", true),
            ("{\"a\":2,\"b\":[1, {\"c\":\"\\u0041\"}]}\n", true),
            ("{\"a\":null,\"b\":\"\\\"\"}\n\n  \n", true),
            (" { \"a\" : true }  \r\n", true),
            ("not JSON\n", true),
            ("{\"a\":1} x\n", true),
            ("{\"a\":1,\"a\":2}\n", false),
            ("{\"@message\":\"m\"}\n", false),
            ("{\"\\u0061\":1}\n", true),
            ("{\"\\u0061\":1,\"a\":2}\n", false),
            ("[1]\n", true),
            ("{}\n", true),
            ("{\"a\":3,\"b\":\"y\"}", true),
        ];
        let lines: String = table.iter().map(|(line, _)| *line).collect();
        let (block, _) = parse(&lines);
        assert_eq!(block.rows.len(), table.len());
        for (row, (line, direct)) in block.rows.iter().zip(table) {
            let (text, is_direct) = rebuilt(&block, row);
            assert_eq!((String::from_utf8_lossy(&text).as_ref(), is_direct), (*line, *direct));
        }
        assert_eq!(block.rows[0].layout, block.rows[1].layout);
        assert_ne!(block.rows[0].layout, block.rows[12].layout, "no line feed behind the last");
    }

    #[test]
    fn what_precedes_the_first_record_is_kept() {
        let (block, _) = parse("\n \n{\"a\":1}\n");
        assert_eq!(block.lead, b"\n \n");
        let (block, _) = parse("\n\n");
        assert_eq!((block.lead.len(), block.rows.len()), (2, 0));
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_bytes() {
        let layouts = Layouts::default();
        let data = Buffer::from(b"{\"a\":\"\xff\"}\n".to_vec());
        let said = vec![Said { start: 0, message: Some((0, 9)), time: None, origin: 0 }];
        let block =
            Parser::new(&layouts, Direct { objects: true, text: true }, data, 0).parse(said, Vec::new(), Vec::new());
        assert!(block.layout(&block.rows[0]).is_some_and(|layout| layout.is_bytes && !layout.is_direct()));
    }
}
