//! Records as columns: the rows of a row group, built from blocks.
//!
//! A value goes into the column of its key if its kind and its meaning come back from there, and into `@extra`, as
//! spelled, if its spelling does not. So a record is its layout, with each mark replaced by what `@extra` holds for the
//! key, else by what the column says, else by `null`. Every value is checked for that here, and every other byte was
//! when its layout was found: what is stored gives back the record.

use super::block::{Block, Row};
use super::fields::{Builder, Fit, Place};
use super::fixed::{Ids, Ints};
use super::layout::Layout;
use super::schema::{KIND, Schema, System, Type};
use super::stretch::Stretch;
use super::words::Words;
use arrow::array::{ArrayRef, BooleanBuilder};
use backsight_engine::value::json::{self, Shape};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// A column.
pub(crate) enum Made {
    Words(Words),
    Ids(Ids),
    Ints(Ints),
    Array(ArrayRef),
}

/// About how many different texts the fields of a row group have, as the last one showed.
#[derive(Debug)]
pub(crate) struct Sizes(Vec<AtomicUsize>);

impl Sizes {
    pub(crate) fn new(schema: &Schema) -> Sizes {
        Sizes(schema.fields.iter().map(|_| AtomicUsize::new(0)).collect())
    }
}

/// The columns of the rows, in the order of the schema. Blocks are let go as soon as their rows are in them.
pub(crate) fn build(schema: &Schema, runs: Vec<Run>, sizes: &Sizes) -> Vec<Made> {
    let mut fields: Vec<Vec<Vec<Option<u32>>>> = Vec::new();
    let mut numbers = HashMap::new();
    let numbered: Vec<usize> = runs
        .iter()
        .map(|run| {
            *numbers.entry(Arc::as_ptr(&run.block)).or_insert_with(|| {
                fields.push(fields_of(schema, &run.block));
                fields.len() - 1
            })
        })
        .collect();
    let mut rows = Rows::new(schema, rows(&runs), sizes);
    for (run, number) in runs.into_iter().zip(numbered) {
        rows.add(&run, &fields[number]);
    }
    for (field, size) in rows.fields.iter().zip(&sizes.0) {
        if let Builder::Text(words) = field {
            size.store(words.len(), Ordering::Relaxed);
        }
    }
    rows.finish()
}

/// For each layout of a block the fields of its values.
fn fields_of(schema: &Schema, block: &Block) -> Vec<Vec<Option<u32>>> {
    let field = |key: &[u8]| schema.field(key).map(|n| n as u32);
    block.layouts.iter().map(|layout| layout.keys.iter().map(|key| field(key)).collect()).collect()
}

/// The rows so far.
struct Rows<'s> {
    schema: &'s Schema,
    rows: usize,
    /// Input, and offset behind the last record.
    last: Option<(u32, u64)>,
    times: Ints,
    logs: Words,
    streams: Words,
    inputs: Ints,
    seqs: Ints,
    gaps: Ints,
    direct: BooleanBuilder,
    layouts: Words,
    texts: Words,
    bytes: Words,
    extra: Words,
    lead: Words,
    before: Words,
    preambles: Words,
    pointers: Words,
    /// The row has another `@log` or `@logStream` than its file.
    is_away: bool,
    fields: Vec<Builder>,
    scratch: Vec<u8>,
    more: Vec<u8>,
}

impl<'s> Rows<'s> {
    /// `room`: so many rows are to come.
    fn new(schema: &'s Schema, room: usize, sizes: &Sizes) -> Rows<'s> {
        let sized = schema.fields.iter().zip(&sizes.0);
        let fields = sized.map(|(f, size)| Builder::new(f.ty, room, size.load(Ordering::Relaxed))).collect();
        Rows {
            schema,
            rows: 0,
            last: None,
            times: Ints::with_room(room),
            logs: Words::with_room(room, 0),
            streams: Words::with_room(room, 0),
            inputs: Ints::with_room(room),
            seqs: Ints::with_room(room),
            gaps: Ints::with_room(room),
            direct: BooleanBuilder::new(),
            layouts: Words::with_room(room, 0),
            texts: Words::default(),
            bytes: Words::default(),
            extra: Words::default(),
            lead: Words::default(),
            before: Words::default(),
            preambles: Words::default(),
            pointers: Words::default(),
            is_away: false,
            fields,
            scratch: Vec::new(),
            more: Vec::new(),
        }
    }

    fn add(&mut self, run: &Run, fields: &[Vec<Option<u32>>]) {
        let block = &*run.block;
        let first = self.rows;
        let mut at = run.rows.start;
        while at < run.rows.end {
            self.system(run, at, at > run.rows.start);
            self.rows += 1;
            at += 1;
            at += self.alike(run, at);
        }
        // Column by column: what a column has so far stays in the cache.
        let stretch = |at| Stretch::of(block, at..run.rows.end, first + at - run.rows.start);
        let mut now = stretch(run.rows.start);
        while let Some(of_now) = now {
            let next = stretch(of_now.rows.end);
            let layout = block.rows[of_now.rows.start].layout;
            if let Some(number) = layout.filter(|n| !block.layouts[*n as usize].is_text) {
                self.values(&of_now, next.as_ref(), number as usize, &fields[number as usize]);
            }
            now = next;
        }
    }

    /// Adds what is not said by the record itself. `follows`: the row before in the block was added just now.
    fn system(&mut self, run: &Run, at: usize, follows: bool) {
        let block = &*run.block;
        let row = &block.rows[at];
        let before = if follows { Some(&block.rows[at - 1]) } else { None };
        let (offset, end) = block.place(at);
        let gap = match self.last {
            Some((input, end)) if input == run.input => offset.wrapping_sub(end),
            _ => offset,
        };
        self.last = Some((run.input, end));
        let number = self.rows;
        row.time.into_iter().for_each(|time| self.times.push(number, time));
        if before.is_some_and(|before| before.origin == row.origin) {
            self.logs.again(number..number + 1);
            self.streams.again(number..number + 1);
        } else {
            let (log, stream) = &block.origins[row.origin as usize];
            self.logs.push(number, log);
            self.streams.push(number, stream);
            self.is_away = block.origins[row.origin as usize] != block.home;
        }
        if self.is_away {
            self.pointers.push(number, &[&*block.home.0, b"#", &*block.home.1, b":"].concat());
        }
        self.inputs.push(number, run.input.into());
        self.seqs.push(number, (run.seq + at as u64) as i64);
        self.gaps.push(number, gap as i64);
        if at == 0 && !block.lead.is_empty() {
            self.lead.push(number, &block.lead);
        }
        let Some(layout) = block.layout(row) else {
            self.direct.append_value(false);
            self.preambles.push(number, &block.preamble);
            return self.bytes.push(number, &block.data[row.start as usize..row.end as usize]);
        };
        self.direct.append_value(layout.is_direct());
        // Whoever asks for a token by another of its names must know how lines of the file are divided.
        if !layout.is_direct() || layout.is_line {
            self.preambles.push(number, &block.preamble);
        }
        match before.is_some_and(|before| before.layout == row.layout) {
            true => self.layouts.again(number..number + 1),
            false => self.layouts.push(number, &layout.text),
        }
        if layout.before {
            let start = row.start as usize;
            self.before.push(number, &block.data[start..start + row.before as usize]);
        }
        if layout.is_bytes {
            self.bytes.push(number, block.slot(row, 0).text(&block.data));
        } else if layout.is_text {
            self.texts.push(number, block.slot(row, 0).text(&block.data));
        }
    }

    /// Adds the same for rows from `at` on that are like the one before it in all but time and place: how many.
    fn alike(&mut self, run: &Run, at: usize) -> usize {
        let block = &*run.block;
        let before = &block.rows[at - 1];
        let is_plain = |layout: &Layout| layout.is_direct() && !layout.is_text && !layout.before;
        if self.is_away || !before.layout.is_some_and(|layout| is_plain(&block.layouts[layout as usize])) {
            return 0;
        }
        let is_alike = |row: &&Row| row.layout == before.layout && row.origin == before.origin;
        let count = block.rows[at..run.rows.end].iter().take_while(is_alike).count();
        let rows = self.rows..self.rows + count;
        let of_block = &block.rows[at..at + count];
        let mut last = self.last.map_or(0, |(_, end)| end);
        let gap = |number| {
            let (offset, end) = block.place(number);
            offset.wrapping_sub(std::mem::replace(&mut last, end)) as i64
        };
        self.gaps.push_all(rows.clone(), (at..at + count).map(gap));
        self.last = Some((run.input, last));
        if of_block.iter().all(|row| row.time.is_some()) {
            self.times.push_all(rows.clone(), of_block.iter().map(|row| row.time.unwrap_or_default()));
        } else {
            let times = rows.clone().zip(of_block).filter_map(|(number, row)| Some((number, row.time?)));
            times.for_each(|(number, time)| self.times.push(number, time));
        }
        let seq = run.seq as i64 + at as i64;
        self.seqs.push_all(rows.clone(), seq..);
        self.inputs.push_all(rows.clone(), std::iter::repeat(run.input.into()));
        if before.layout.is_some_and(|layout| block.layouts[layout as usize].is_line) {
            self.preambles.again(rows.clone());
        }
        for words in [&mut self.logs, &mut self.streams, &mut self.layouts] {
            words.again(rows.clone());
        }
        self.direct.append_n(count, true);
        self.rows += count;
        count
    }

    /// Adds the values of records that have the same layout. Going from value to value would be waiting for memory, so that
    /// those of the stretch to come are asked for meanwhile.
    fn values(&mut self, stretch: &Stretch<'_>, next: Option<&Stretch<'_>>, layout: usize, fields: &[Option<u32>]) {
        let mut others = Vec::new();
        for (slot, field) in fields.iter().enumerate() {
            next.into_iter().for_each(|next| next.fetch(slot, fields.len()));
            match field.map(|n| &mut self.fields[n as usize]) {
                Some(Builder::Text(words)) => stretch.texts(slot, words, &mut self.scratch, &mut others),
                Some(Builder::Uuid(ids)) => stretch.ids(slot, ids, &mut others),
                Some(builder) => {
                    for (row, value) in stretch.slots(slot).filter(|(_, value)| value.shape != Shape::Null) {
                        let place = Place { block: stretch.block, row };
                        if builder.add(place, &value, &mut self.scratch) != Fit::Whole {
                            others.push((row, slot));
                        }
                    }
                }
                None => {
                    let values = stretch.slots(slot).filter(|(_, value)| value.shape != Shape::Null);
                    others.extend(values.map(|(row, _)| (row, slot)));
                }
            }
        }
        if others.is_empty() {
            return;
        }
        others.sort_unstable();
        for of_row in others.chunk_by(|a, b| a.0 == b.0) {
            let row = of_row[0].0;
            self.more.clear();
            for (_, slot) in of_row {
                self.more.push(if self.more.is_empty() { b'{' } else { b',' });
                json::write_bytes(&stretch.block.layouts[layout].keys[*slot], &mut self.more);
                self.more.push(b':');
                let value = stretch.slot(row, *slot);
                match value.is_token {
                    true => json::write_bytes(value.string(&stretch.block.data), &mut self.more),
                    false => self.more.extend_from_slice(value.text(&stretch.block.data)),
                }
            }
            self.more.push(b'}');
            self.extra.push(row, &self.more);
        }
    }

    fn finish(self) -> Vec<Made> {
        let rows = self.rows;
        let mut out: Vec<Made> = Vec::with_capacity(System::COUNT + self.fields.len());
        let mut direct = self.direct;
        let ints = |mut ints: Ints| {
            ints.end(rows);
            Made::Ints(ints)
        };
        out.push(ints(self.times));
        out.push(made(self.logs, rows));
        out.push(made(self.streams, rows));
        out.extend([self.inputs, self.seqs, self.gaps].map(ints));
        out.push(Made::Array(Arc::new(direct.finish())));
        for texts in
            [self.layouts, self.texts, self.bytes, self.extra, self.lead, self.before, self.preambles, self.pointers]
        {
            out.push(made(texts, rows));
        }
        let mut kinds = Vec::new();
        for (builder, field) in self.fields.into_iter().zip(&self.schema.fields) {
            let (made, kind) = builder.finish(rows);
            out.push(made);
            kinds.extend(kind.map(Made::Array));
            debug_assert!(
                field.ty != Type::Mixed || self.schema.arrow.field_with_name(&format!("{KIND}{}", field.name)).is_ok()
            );
        }
        out.extend(kinds);
        out
    }
}

pub(super) fn made(mut words: Words, rows: usize) -> Made {
    words.end(rows);
    Made::Words(words)
}
