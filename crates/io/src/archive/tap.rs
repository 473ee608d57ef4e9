//! Listening in on an ordinary pass over files: the chunks of records, with what the reader of their format says.

use super::block::{Block, Origin};
use super::parser::{Direct, Layouts, Parser, Said};
use crate::files::Input;
use crate::formats::{self, Chunk, Pass, Records, Splitter};
use crate::text::Divider;
use backsight_engine::error::Error;
use backsight_engine::source::{Field, Flow};
use backsight_engine::value::column::{Batch, Column};
use std::collections::HashMap;
use std::sync::Arc;

/// Takes part in a pass: stands before the reader of each file.
pub trait Tap: Sync + std::fmt::Debug {
    /// The reader to use instead of `records`, which is that of the file's format.
    fn tap<'a>(
        &'a self,
        pass: &Pass<'a>,
        format: &'static str,
        records: Box<dyn Records + 'a>,
    ) -> Box<dyn Records + 'a>;

    /// Takes rows of a table: what is in [`WANT`], where the message is the whole row as an object. `format` is what such
    /// objects are read as.
    fn rows(&self, pass: &Pass<'_>, format: &'static str, rows: &Batch) -> Result<Flow, Error>;
}

/// Rows of a table as a block of lines.
pub(crate) fn lines(pass: &Pass<'_>, format: &'static str, rows: &Batch, layouts: &Layouts) -> Option<Block> {
    let [times, messages, logs, streams] = &rows.columns[..] else { return None };
    let (mut data, mut said, mut origins) = (Vec::new(), Vec::new(), Origins::default());
    for row in 0..rows.rows {
        let text = |column: &Column| column.get(row).text().unwrap_or_default().into_owned();
        let start = data.len() as u32;
        data.extend(text(messages));
        let message = Some((start, data.len() as u32));
        data.push(b'\n');
        let origin = origins.number(text(logs), text(streams));
        said.push(Said { start, message, time: times.get(row).timestamp(), origin });
    }
    let first = rows.positions.get(0) - pass.position(0);
    let parser = Parser::new(layouts, direct(format), data.into(), first);
    let mut block = parser.parse(said, origins.list, b"{}\n".to_vec());
    block.home = home(pass);
    block.is_table = true;
    Some(block)
}

/// The fields that are asked of readers.
pub(crate) const WANT: [Field; 4] = [Field::Timestamp, Field::Message, Field::Log, Field::LogStream];

/// Receives blocks.
pub(crate) type Take<'a> = dyn Fn(&Arc<Input>, &'static str, Block) -> Result<Flow, Error> + Sync + 'a;

/// A reader that gives its chunks away as blocks.
pub(crate) struct Tapped<'a> {
    pub pass: Pass<'a>,
    pub format: &'static str,
    pub records: Box<dyn Records + 'a>,
    pub layouts: &'a Layouts,
    pub take: &'a Take<'a>,
}

impl Records for Tapped<'_> {
    fn splitter(&self) -> Box<dyn Splitter> {
        self.records.splitter()
    }

    fn read(&self, chunk: Chunk, _: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let mut parser = Parser::new(self.layouts, direct(self.format), chunk.data.clone(), chunk.offset);
        let mut said = Vec::new();
        let mut origins = Origins::default();
        let (base, data) = (self.pass.position(chunk.offset), chunk.data.clone());
        let context = chunk.context;
        parser.divide(self.records.divider(context));
        let flow = self.records.read_traced(chunk, &mut |traced| parser.trace(traced), &mut |batch| {
            listen(&batch, base, &data, &mut said, &mut origins);
            Ok(Flow::More)
        })?;
        drop(data);
        let mut block = parser.parse(said, origins.list, self.records.preamble(context));
        block.home = home(&self.pass);
        match (self.take)(&self.pass.input, self.format, block)? {
            Flow::Enough => Ok(Flow::Enough),
            Flow::More => Ok(flow),
        }
    }

    fn divider(&self, context: u64) -> Option<Divider> {
        self.records.divider(context)
    }

    fn preamble(&self, context: u64) -> Vec<u8> {
        self.records.preamble(context)
    }
}

/// What a file gives records that do not say it themselves.
fn home(pass: &Pass<'_>) -> Origin {
    (pass.input.log.as_bytes().into(), pass.input.stream.as_bytes().into())
}

/// Which records of a format are events as they stand. Text of formats that divide it has fields only their reader finds.
fn direct(format: &str) -> Direct {
    let objects = match formats::named(format) {
        Some(format) => matches!(format.name, "ndjson" | "json") || !format.times.is_empty(),
        None => false,
    };
    Direct { objects, text: format == "ndjson" }
}

/// Takes down what a batch says about its records.
fn listen(batch: &Batch, base: u64, data: &[u8], said: &mut Vec<Said>, origins: &mut Origins) {
    let [times, messages, logs, streams] = &batch.columns[..] else { return };
    let constant = matches!((logs, streams), (Column::Const(..), Column::Const(..)));
    let mut origin = None;
    if said.is_empty() && batch.rows > 0 {
        // Room for the whole chunk, should it go on like this.
        let bytes = batch.positions.get(batch.rows - 1).wrapping_sub(base) as usize + 1;
        said.reserve(batch.rows.max(data.len() / (bytes / batch.rows).max(64) + 64));
    }
    for row in 0..batch.rows {
        if !constant || origin.is_none() {
            let text = |column: &Column| column.get(row).text().unwrap_or_default().into_owned();
            origin = Some(origins.number(text(logs), text(streams)));
        }
        let start = batch.positions.get(row).wrapping_sub(base) as u32;
        said.push(Said {
            start,
            message: place(messages, row, data, start as usize),
            time: times.get(row).timestamp(),
            origin: origin.unwrap_or_default(),
        });
    }
}

/// Where a message lies in the chunk, if it does.
fn place(messages: &Column, row: usize, data: &[u8], start: usize) -> Option<(u32, u32)> {
    let Column::Text(array, _) = messages else { return None };
    if arrow::array::Array::is_null(array, row) {
        return None;
    }
    let text = array.value(row);
    // Short text is in the view itself, and some readers copy; then it is mostly where the record begins.
    let at = (text.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
    let (at, is_there) = if at < data.len() { (at, true) } else { (start, false) };
    let end = at.checked_add(text.len())?;
    (is_there && end <= data.len() || data.get(at..end)? == text).then_some((at as u32, end as u32))
}

/// Pairs of `@log` and `@logStream`, numbered.
#[derive(Default)]
struct Origins {
    list: Vec<Origin>,
    numbers: HashMap<(Vec<u8>, Vec<u8>), u32>,
}

impl Origins {
    fn number(&mut self, log: Vec<u8>, stream: Vec<u8>) -> u32 {
        let list = &mut self.list;
        *self.numbers.entry((log, stream)).or_insert_with_key(|(log, stream)| {
            list.push((log[..].into(), stream[..].into()));
            list.len() as u32 - 1
        })
    }
}
