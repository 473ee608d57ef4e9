//! Records as columns: the rows of a row group, built from blocks.
//!
//! A value goes into the column of its key if its kind and its meaning come back from there, and into `@extra`, as
//! spelled, if its spelling does not. So a record is its layout, with each mark replaced by what `@extra` holds for the
//! key, else by what the column says, else by `null`. Every value is checked for that here, and every other byte was
//! when its layout was found: what is stored gives back the record.

use super::block::{Block, Row};
use super::schema::{KIND, Schema, System, Type, float, int, uuid};
use super::slot::Slot;
use crate::rows::{Cells, Side, view};
use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int32Builder, Int64Builder,
    TimestampMillisecondBuilder, new_null_array,
};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use backsight_engine::value::Kind;
use backsight_engine::value::column::Column;
use backsight_engine::value::json::{self, Shape};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Neighbouring rows of a block that go into the same row group.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub block: Arc<Block>,
    pub rows: Range<usize>,
    /// Number of the input in the manifest.
    pub input: u32,
    /// Number of the block's first row in the archive.
    pub seq: u64,
}

/// Number of rows.
pub(crate) fn rows(runs: &[Run]) -> usize {
    runs.iter().map(|r| r.rows.len()).sum()
}

/// The columns of the rows, in the order of the schema.
pub(crate) fn build(schema: &Schema, runs: &[Run]) -> Vec<ArrayRef> {
    let mut blocks: Vec<&Arc<Block>> = Vec::new();
    let mut numbers = HashMap::new();
    let numbered: Vec<usize> = runs
        .iter()
        .map(|run| {
            *numbers.entry(Arc::as_ptr(&run.block)).or_insert_with(|| {
                blocks.push(&run.block);
                blocks.len() - 1
            })
        })
        .collect();
    let buffers: Arc<[Buffer]> = blocks.iter().map(|b| b.data.clone()).collect();
    let fields: Vec<Vec<Vec<Option<u32>>>> = blocks.iter().map(|block| fields_of(schema, block)).collect();
    let mut rows = Rows::new(schema, buffers.len() as u32);
    for (run, number) in runs.iter().zip(numbered) {
        rows.block = number as u32;
        for at in run.rows.clone() {
            let lead = if at == 0 { &run.block.lead[..] } else { &[] };
            rows.add(run, &run.block.rows[at], at, lead, &fields[number]);
        }
    }
    rows.finish(&buffers)
}

/// For each layout of a block the fields of its values.
fn fields_of(schema: &Schema, block: &Block) -> Vec<Vec<Option<u32>>> {
    let field = |key: &[u8]| schema.field(key).map(|n| n as u32);
    block.layouts.iter().map(|layout| layout.keys.iter().map(|key| field(key)).collect()).collect()
}

/// Whether a value comes back from its column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fit {
    /// Kind and spelling.
    Whole,
    /// Kind and meaning, but it is spelled otherwise.
    Meaning,
    /// It is not in the column.
    Not,
}

/// The rows so far.
struct Rows<'s> {
    schema: &'s Schema,
    rows: usize,
    /// Number of the block being read, and of all blocks.
    block: u32,
    blocks: u32,
    /// Input, and offset behind the last record.
    last: Option<(u32, u64)>,
    times: TimestampMillisecondBuilder,
    logs: Texts,
    streams: Texts,
    inputs: Int32Builder,
    seqs: Int64Builder,
    gaps: Int64Builder,
    direct: BooleanBuilder,
    layouts: Texts,
    texts: Texts,
    bytes: Texts,
    extra: Texts,
    lead: Texts,
    before: Texts,
    preambles: Texts,
    fields: Vec<Builder>,
    scratch: Vec<u8>,
    more: Vec<u8>,
}

impl<'s> Rows<'s> {
    fn new(schema: &'s Schema, blocks: u32) -> Rows<'s> {
        Rows {
            schema,
            rows: 0,
            block: 0,
            blocks,
            last: None,
            times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            logs: Texts::default(),
            streams: Texts::default(),
            inputs: Int32Builder::new(),
            seqs: Int64Builder::new(),
            gaps: Int64Builder::new(),
            direct: BooleanBuilder::new(),
            layouts: Texts::default(),
            texts: Texts::default(),
            bytes: Texts::default(),
            extra: Texts::default(),
            lead: Texts::default(),
            before: Texts::default(),
            preambles: Texts::default(),
            fields: schema.fields.iter().map(|f| Builder::new(f.ty)).collect(),
            scratch: Vec::new(),
            more: Vec::new(),
        }
    }

    fn add(&mut self, run: &Run, row: &Row, at: usize, lead: &[u8], fields: &[Vec<Option<u32>>]) {
        let block = &*run.block;
        let offset = block.offset + u64::from(row.start);
        let gap = match self.last {
            Some((input, end)) if input == run.input => offset.wrapping_sub(end),
            _ => offset,
        };
        self.last = Some((run.input, block.offset + u64::from(row.end)));
        let (number, blocks) = (self.rows, self.blocks);
        self.times.append_option(row.time);
        let (log, stream) = &block.origins[row.origin as usize];
        self.logs.keep(number, log, blocks);
        self.streams.keep(number, stream, blocks);
        self.inputs.append_value(run.input as i32);
        self.seqs.append_value((run.seq + at as u64) as i64);
        self.gaps.append_value(gap as i64);
        if !lead.is_empty() {
            self.lead.keep(number, lead, blocks);
        }
        match block.values(row) {
            None => {
                self.direct.append_value(false);
                self.preambles.keep(number, &block.preamble, blocks);
                self.bytes.lie(number, block, self.block, row.start as usize, row.end as usize);
            }
            Some((layout, slots)) => {
                self.direct.append_value(layout.is_direct());
                if !layout.is_direct() {
                    self.preambles.keep(number, &block.preamble, blocks);
                }
                self.layouts.keep(number, &layout.text, blocks);
                if layout.before {
                    let start = row.start as usize;
                    self.before.lie(number, block, self.block, start, start + row.before as usize);
                }
                if layout.is_bytes {
                    self.bytes.lie(number, block, self.block, slots[0].start(), slots[0].end());
                } else if layout.is_text {
                    self.texts.lie(number, block, self.block, slots[0].start(), slots[0].end());
                } else if let Some(layout_number) = row.layout {
                    self.values(block, &layout.keys, slots, &fields[layout_number as usize]);
                }
            }
        }
        self.rows += 1;
    }

    fn values(&mut self, block: &Block, keys: &[Box<[u8]>], slots: &[Slot], fields: &[Option<u32>]) {
        self.more.clear();
        let place = Place { block, number: self.block, blocks: self.blocks, row: self.rows };
        for (slot, (key, field)) in slots.iter().zip(keys.iter().zip(fields)) {
            let fit = match field {
                _ if slot.shape == Shape::Null => Fit::Whole,
                Some(field) => self.fields[*field as usize].add(place, slot, &mut self.scratch),
                None => Fit::Not,
            };
            if fit != Fit::Whole {
                self.more.push(if self.more.is_empty() { b'{' } else { b',' });
                json::write_bytes(key, &mut self.more);
                self.more.push(b':');
                self.more.extend_from_slice(slot.text(&block.data));
            }
        }
        if !self.more.is_empty() {
            self.more.push(b'}');
            self.extra.keep(self.rows, &self.more, self.blocks);
        }
    }

    fn finish(self, buffers: &Arc<[Buffer]>) -> Vec<ArrayRef> {
        let rows = self.rows;
        let mut out: Vec<ArrayRef> = Vec::with_capacity(System::COUNT + self.fields.len());
        let (mut times, mut inputs, mut seqs, mut gaps, mut direct) =
            (self.times, self.inputs, self.seqs, self.gaps, self.direct);
        out.push(Arc::new(times.finish()));
        out.push(self.logs.finish(rows, buffers));
        out.push(self.streams.finish(rows, buffers));
        out.push(Arc::new(inputs.finish()));
        out.push(Arc::new(seqs.finish()));
        out.push(Arc::new(gaps.finish()));
        out.push(Arc::new(direct.finish()));
        for texts in [self.layouts, self.texts, self.bytes, self.extra, self.lead, self.before, self.preambles] {
            out.push(texts.finish(rows, buffers));
        }
        let mut kinds = Vec::new();
        for (builder, field) in self.fields.into_iter().zip(&self.schema.fields) {
            let (array, kind) = builder.finish(rows, buffers);
            out.push(array);
            kinds.extend(kind);
            debug_assert!(
                field.ty != Type::Mixed || self.schema.arrow.field_with_name(&format!("{KIND}{}", field.name)).is_ok()
            );
        }
        out.extend(kinds);
        out
    }
}

/// Text by row, mostly where it lies in a block.
#[derive(Default)]
struct Texts {
    cells: Cells,
    side: Side,
}

impl Texts {
    fn upto(&mut self, row: usize) {
        while self.cells.len() < row {
            self.cells.push_null();
        }
    }

    /// Text that lies in a block.
    fn lie(&mut self, row: usize, block: &Block, number: u32, start: usize, end: usize) {
        self.upto(row);
        self.cells.push(view(&block.data, number, start, end - start), Kind::String);
    }

    /// Text that does not.
    fn keep(&mut self, row: usize, text: &[u8], blocks: u32) {
        self.upto(row);
        let view = self.side.keep(text, blocks);
        self.cells.push(view, Kind::String);
    }

    fn finish(mut self, rows: usize, buffers: &Arc<[Buffer]>) -> ArrayRef {
        self.upto(rows);
        array(self.cells.finish(&self.side.buffers(buffers)), rows)
    }
}

fn array(column: Column, rows: usize) -> ArrayRef {
    match column {
        Column::Text(array, _) => Arc::new(array),
        _ => new_null_array(&DataType::BinaryView, rows),
    }
}

/// Where a value comes from and goes to.
#[derive(Clone, Copy)]
struct Place<'b> {
    block: &'b Block,
    number: u32,
    blocks: u32,
    row: usize,
}

/// A column of values.
enum Builder {
    Text(Texts),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Json(Texts),
    Mixed(Texts, Int32Builder),
}

impl Builder {
    fn new(ty: Type) -> Builder {
        match ty {
            Type::Text => Builder::Text(Texts::default()),
            Type::Int => Builder::Int(Int64Builder::new()),
            Type::Float => Builder::Float(Float64Builder::new()),
            Type::Bool => Builder::Bool(BooleanBuilder::new()),
            Type::Uuid => Builder::Uuid(FixedSizeBinaryBuilder::new(16)),
            Type::Json => Builder::Json(Texts::default()),
            Type::Mixed => Builder::Mixed(Texts::default(), Int32Builder::new()),
        }
    }

    /// Adds a value that is not null.
    #[inline]
    fn add(&mut self, place: Place<'_>, slot: &Slot, scratch: &mut Vec<u8>) -> Fit {
        let text = slot.text(&place.block.data);
        match self {
            Builder::Text(texts) => match slot.shape {
                Shape::String { escaped } => string(texts, place, slot, escaped, scratch),
                _ => Fit::Not,
            },
            Builder::Mixed(texts, kinds) => {
                let (kind, fit) = match slot.shape {
                    Shape::String { escaped } => (Kind::String, string(texts, place, slot, escaped, scratch)),
                    other => {
                        texts.lie(place.row, place.block, place.number, slot.start(), slot.end());
                        match other {
                            Shape::Number => match json::number_kind(text) {
                                // Beyond what a number can be: its text, but without quotes.
                                Kind::String => (Kind::String, Fit::Meaning),
                                kind => (kind, Fit::Whole),
                            },
                            Shape::Bool => (Kind::Bool, Fit::Whole),
                            Shape::List { .. } => (Kind::List, Fit::Whole),
                            _ => (Kind::Map, Fit::Whole),
                        }
                    }
                };
                kinds.append_nulls(place.row - kinds.len());
                kinds.append_value(kind as i32);
                fit
            }
            Builder::Json(texts) => match slot.shape {
                Shape::List { .. } | Shape::Map { .. } => {
                    texts.lie(place.row, place.block, place.number, slot.start(), slot.end());
                    Fit::Whole
                }
                _ => Fit::Not,
            },
            Builder::Int(values) => match int(text).filter(|_| slot.shape == Shape::Number) {
                Some(n) => {
                    values.append_nulls(place.row - values.len());
                    values.append_value(n);
                    Fit::Whole
                }
                None => Fit::Not,
            },
            Builder::Float(values) => match float(text).filter(|_| slot.shape == Shape::Number) {
                Some(x) => {
                    values.append_nulls(place.row - values.len());
                    values.append_value(x);
                    Fit::Whole
                }
                None => Fit::Not,
            },
            Builder::Bool(values) if slot.shape == Shape::Bool => {
                values.append_nulls(place.row - values.len());
                values.append_value(text == b"true");
                Fit::Whole
            }
            Builder::Uuid(values) if slot.shape == (Shape::String { escaped: false }) => {
                match uuid(&text[1..text.len() - 1]) {
                    Some(bytes) => {
                        values.append_nulls(place.row - values.len());
                        // Cannot fail: it is sixteen bytes.
                        values.append_value(bytes).map_or(Fit::Not, |()| Fit::Whole)
                    }
                    None => Fit::Not,
                }
            }
            Builder::Bool(_) | Builder::Uuid(_) => Fit::Not,
        }
    }

    /// The column, and that of its kinds.
    fn finish(self, rows: usize, buffers: &Arc<[Buffer]>) -> (ArrayRef, Option<ArrayRef>) {
        macro_rules! filled {
            ($values:ident) => {{
                let mut values = $values;
                values.append_nulls(rows - values.len());
                Arc::new(values.finish()) as ArrayRef
            }};
        }
        match self {
            Builder::Text(texts) | Builder::Json(texts) => (texts.finish(rows, buffers), None),
            Builder::Mixed(texts, kinds) => (texts.finish(rows, buffers), Some(filled!(kinds))),
            Builder::Int(values) => (filled!(values), None),
            Builder::Float(values) => (filled!(values), None),
            Builder::Bool(values) => (filled!(values), None),
            Builder::Uuid(values) => (filled!(values), None),
        }
    }
}

/// Adds a string.
#[inline]
fn string(texts: &mut Texts, place: Place<'_>, slot: &Slot, escaped: bool, scratch: &mut Vec<u8>) -> Fit {
    if !escaped {
        texts.lie(place.row, place.block, place.number, slot.start() + 1, slot.end() - 1);
        return Fit::Whole;
    }
    let text = slot.text(&place.block.data);
    scratch.clear();
    json::decode(&text[1..text.len() - 1], scratch);
    texts.keep(place.row, scratch, place.blocks);
    let mut spelled = Vec::with_capacity(text.len());
    json::write_bytes(scratch, &mut spelled);
    if spelled == text { Fit::Whole } else { Fit::Meaning }
}
