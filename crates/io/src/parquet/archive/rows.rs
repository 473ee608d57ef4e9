//! The rows of a stretch of an archive, with what is wanted of them.

use super::super::{Damage, ParquetFile, Stretch, guarded, plan, times, values};
use super::slot::{Slot, Way};
use super::{Archive, next_rows, spread};
use crate::archive::{Cells, Rebuilder, Rebuilt, System, integer, text};
use crate::formats::{Memory, Pass};
use crate::text::{Find, Found};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Counters, Field, Flow, Scan};
use backsight_engine::value::column::{
    Batch, Column, ColumnBuilder, Kinds, Nulls, OFFSET_BITS, Positions, TextBuilder,
};
use backsight_engine::value::json::{self, Route};
use backsight_engine::value::{Kind, ValueRef};
use backsight_lang::ast::Segment;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Why reading ends early.
pub(super) enum Stop {
    Receiver(Error),
    Damage(Damage),
}

impl<D: Into<Damage>> From<D> for Stop {
    fn from(damage: D) -> Stop {
        Stop::Damage(damage.into())
    }
}

/// The rows of a stretch.
pub(super) struct Rows<'r, 'p> {
    pub file: &'r ParquetFile,
    pub archive: &'r Archive,
    pub pass: &'r Pass<'p>,
    /// What readers of formats are asked for: every event, whatever the query's filters say of it.
    pub plain: Scan<'static>,
    /// What such readers work out once.
    pub memory: Arc<Memory>,
    pub slots: Vec<Slot>,
    /// Lines of text are to be read again by the reader of their format.
    pub again: bool,
    /// Whole records are needed.
    pub whole: bool,
    pub leaves: Vec<bool>,
    /// The only rows that may be wanted, if that is known.
    pub selected: Option<Vec<Range<usize>>>,
    /// Input, and offset behind the last record.
    pub place: Option<(i64, u64)>,
}

/// Whole records of a batch.
#[derive(Default)]
pub(super) struct Records {
    pub text: Vec<u8>,
    pub places: Vec<Rebuilt>,
    /// Offsets in their inputs.
    pub offsets: Vec<u64>,
}

impl Rows<'_, '_> {
    pub(super) fn read(
        &mut self,
        stretch: &Stretch,
        done: &mut u64,
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Stop> {
        let counters: &Counters = &self.pass.counters;
        let mut reader = match &self.selected {
            None => {
                self.file.count_chunks(stretch, &self.leaves, counters);
                guarded(|| self.file.open_columns(stretch, &self.leaves, BATCH_ROWS))?
            }
            Some(rows) => {
                let wanted: usize = rows.iter().map(|r| r.len()).sum();
                Counters::add(&counters.records, stretch.rows - wanted as u64);
                guarded(|| self.file.open_rows(self.archive, stretch, &self.leaves, rows, counters))?
            }
        };
        let mut rebuilder = Rebuilder::new(self.archive.columns.clone());
        while let Some(batch) = next_rows(&mut reader)? {
            let batch = spread(&batch, &self.leaves);
            let records = if self.whole { self.records(&batch, &mut rebuilder)? } else { Records::default() };
            let cells = self.cells(&batch, &records)?;
            *done += batch.num_rows() as u64;
            Counters::add(&self.pass.counters.records, batch.num_rows() as u64);
            for made in self.positioned(&batch, cells)? {
                if out(made).map_err(Stop::Receiver)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
        if *done < stretch.rows && self.selected.is_none() {
            return Err(Damage::new("the columns end too early").into());
        }
        Ok(Flow::More)
    }

    fn records(&mut self, batch: &RecordBatch, rebuilder: &mut Rebuilder) -> Result<Records, Stop> {
        let mut out = Records::default();
        let cells = Cells::new(batch);
        for row in 0..batch.num_rows() {
            let rebuilt = rebuilder.add(&cells, row, &mut out.text);
            let rebuilt = rebuilt.ok_or_else(|| Damage::new("the columns do not give a record"))?;
            let gap = cells.integer(System::Gap, row).unwrap_or_default() as u64;
            let input = cells.integer(System::Input, row).unwrap_or_default();
            let offset = match self.place {
                Some((before, end)) if before == input => end.wrapping_add(gap),
                _ => gap,
            };
            self.place = Some((input, offset.wrapping_add((out.text.len() - rebuilt.start) as u64)));
            out.places.push(rebuilt);
            out.offsets.push(offset);
        }
        Ok(out)
    }

    /// One column a slot.
    fn cells(&self, batch: &RecordBatch, records: &Records) -> Result<Vec<Column>, Stop> {
        let mut columns = Vec::with_capacity(self.slots.len());
        let mut made = Made::new();
        for (slot, field) in self.slots.iter().zip(&self.pass.scan.want) {
            let column = match slot {
                Slot::Ways(ways) => self.partitioned(batch, field, self.first_of(batch, ways, &mut made)),
                Slot::Time(ways) => times::read(self.first_of(batch, ways, &mut made)),
                Slot::Log => self.column(batch, System::Log as usize, None),
                Slot::LogStream => self.column(batch, System::LogStream as usize, None),
                Slot::Nothing => Column::null(batch.num_rows()),
                Slot::Message => {
                    let mut out = TextBuilder::default();
                    for place in &records.places {
                        match place.message {
                            Some((start, end)) => out.push_text(Kind::String, &records.text[start..end]),
                            None => out.push(ValueRef::Null),
                        }
                    }
                    out.finish()
                }
                Slot::Pointer => self.pointers(batch, records),
            };
            columns.push(column);
        }
        let mut direct = match self.whole {
            true => batch.column(System::Direct as usize).as_boolean_opt().cloned(),
            false => None,
        };
        if let Some(found) = direct.as_mut().filter(|_| self.again) {
            // Lines have a preamble.
            let preambles = batch.column(System::Preamble as usize);
            *found = (0..found.len()).map(|row| Some(found.value(row) && preambles.is_null(row))).collect();
        }
        if let Some(direct) = direct
            && direct.true_count() < batch.num_rows()
        {
            columns = self.others(batch, records, &direct, columns)?;
        }
        let without_time: u64 = self
            .pass
            .scan
            .want
            .iter()
            .zip(&columns)
            .filter(|(field, _)| **field == Field::Timestamp)
            .map(|(_, times)| times.iter().filter(|t| t.is_null()).count() as u64)
            .sum();
        Counters::add(&self.pass.counters.no_timestamp, without_time);
        Ok(columns)
    }

    /// The first value that one of the ways to a field leads to. Several fields may lie in one column, which is made once.
    fn first_of(&self, batch: &RecordBatch, ways: &[Way], made: &mut Made) -> Column {
        let mut found = Column::null(batch.num_rows());
        for way in ways {
            let key = (way.column, way.kinds);
            let column = made.entry(key).or_insert_with(|| self.column(batch, way.column, way.kinds));
            let column = match &way.rest {
                None => column.clone(),
                Some(route) => within(column, route),
            };
            let column = way.token.map_or_else(|| column.clone(), |find| token(&column, find));
            found = plan::merge(&found, &column);
        }
        found
    }

    fn column(&self, batch: &RecordBatch, column: usize, kinds: Option<usize>) -> Column {
        let made = values::column(batch.column(column), &self.file.columns[column].shape);
        let (Column::Text(array, _), Some(kinds)) = (&made, kinds) else { return made };
        let Some(numbers) = batch.column(kinds).as_primitive_opt::<Int32Type>() else { return made };
        let kind = |row: usize| match numbers.is_valid(row).then(|| numbers.value(row)) {
            Some(n) if n == Kind::Number as i32 => Kind::Number,
            Some(n) if n == Kind::Bool as i32 => Kind::Bool,
            Some(n) if n == Kind::List as i32 => Kind::List,
            Some(n) if n == Kind::Map as i32 => Kind::Map,
            _ => Kind::String,
        };
        let each: Arc<[Kind]> = (0..array.len()).map(kind).collect();
        if !each.iter().any(|k| matches!(k, Kind::List | Kind::Map)) {
            return Column::Text(array.clone(), Kinds::Each(each));
        }
        // Lists and maps are stored as spelled.
        let mut out = TextBuilder::default();
        for (row, kind) in each.iter().enumerate() {
            match (array.is_valid(row).then(|| array.value(row)), kind) {
                (None, _) => out.push(ValueRef::Null),
                (Some(text), Kind::List | Kind::Map) => match json::kind_and_text(text) {
                    Some((kind, text)) => out.push_text(kind, &text),
                    None => out.push_text(Kind::String, text),
                },
                (Some(text), kind) => out.push_text(*kind, text),
            }
        }
        out.finish()
    }

    /// Fills in what the folders of the inputs say.
    pub(super) fn partitioned(&self, batch: &RecordBatch, field: &Field, column: Column) -> Column {
        let Field::Path(segments) = field else { return column };
        let [Segment::Name { text, .. }] = segments.as_slice() else { return column };
        let partitions = &self.archive.facts.partitions;
        if !partitions.values().any(|pairs| pairs.iter().any(|(key, _)| key == text)) {
            return column;
        }
        let mut out = ColumnBuilder::default();
        for (row, cell) in column.iter().enumerate() {
            let input = integer(batch, System::Input as usize, row);
            let said = input.and_then(|n| partitions.get(&n));
            let said = said.and_then(|pairs| pairs.iter().rfind(|(key, _)| key == text));
            match said {
                Some((_, value)) if cell.is_null() => out.push(ValueRef::string(value)),
                _ => out.push(cell),
            }
        }
        out.finish()
    }

    fn pointers(&self, batch: &RecordBatch, records: &Records) -> Column {
        let (logs, streams) =
            (self.column(batch, System::Log as usize, None), self.column(batch, System::LogStream as usize, None));
        let mut out = TextBuilder::default();
        for (row, offset) in records.offsets.iter().enumerate() {
            let of = |column: &Column| column.get(row).text().unwrap_or_default().into_owned();
            let mut pointer = match text(batch, System::Pointer as usize, row) {
                Some(start) => start.to_vec(),
                None => [&of(&logs)[..], b"#", &of(&streams), b":"].concat(),
            };
            pointer.extend_from_slice(offset.to_string().as_bytes());
            out.push_text(Kind::String, &pointer);
        }
        out.finish()
    }

    /// The rows with their numbers in the archive.
    fn positioned(&self, batch: &RecordBatch, columns: Vec<Column>) -> Result<Vec<Batch>, Stop> {
        let numbers: Option<Vec<u64>> =
            (0..batch.num_rows()).map(|row| u64::try_from(integer(batch, System::Seq as usize, row)?).ok()).collect();
        let numbers = numbers.ok_or_else(|| Damage::new("records have no numbers"))?;
        let mut out = Vec::new();
        let mut start = 0;
        while start < numbers.len() {
            let first = numbers[start];
            // Batches are put in order by their first rows, so none may have a row of another in its midst.
            let next = |(n, before): (&u64, u64)| *n == first + before;
            let rows = numbers[start..].iter().zip(0..).take_while(|pair| next(*pair)).count();
            let offsets = numbers[start..start + rows].iter().map(|n| (n - first) as u32).collect();
            let base = (self.file.origin.number << OFFSET_BITS) + first;
            let columns = columns.iter().map(|c| c.slice(start, rows)).collect();
            out.push(Batch { columns, rows, positions: Positions::Near { base, offsets } });
            start += rows;
        }
        Ok(out)
    }
}

/// Columns of a batch made so far, by their number and that of their kinds.
type Made = HashMap<(usize, Option<usize>), Column>;

/// What a route leads to in the cells of a column. Most columns hold no lists or maps, and most of these not what is looked
/// for.
fn within(column: &Column, route: &Route) -> Column {
    let rows: Vec<usize> = match column.nulls() {
        Nulls::All => Vec::new(),
        Nulls::None => (0..column.len()).collect(),
        Nulls::Some(nulls) => nulls.valid_indices().collect(),
    };
    let mut out = TextBuilder::default();
    let mut filled = 0;
    for row in rows {
        let cell = column.get(row);
        let text = cell.text().filter(|_| cell.is_nested());
        if let Some((kind, text)) = text.as_deref().and_then(|text| route.get(text)) {
            (filled..row).for_each(|_| out.push(ValueRef::Null));
            out.push_text(kind, &text);
            filled = row + 1;
        }
    }
    if filled == 0 {
        return Column::null(column.len());
    }
    (filled..column.len()).for_each(|_| out.push(ValueRef::Null));
    out.finish()
}

/// Tokens of lines, which are text whatever they are stored as, or what is found in them.
fn token(column: &Column, find: Option<Find>) -> Column {
    if let (Column::Text(array, _), None) = (column, find) {
        return Column::Text(array.clone(), Kinds::All(Kind::String));
    }
    let mut out = TextBuilder::default();
    for cell in column.iter() {
        match (cell.text(), find) {
            (None, _) => out.push(ValueRef::Null),
            (Some(text), None) => out.push_text(Kind::String, &text),
            (Some(text), Some(find)) => match find.get(&text) {
                None => out.push(ValueRef::Null),
                Some(Found::There(text)) => out.push_text(Kind::String, text),
                Some(Found::Made(text)) => out.push_text(Kind::Number, text.as_bytes()),
            },
        }
    }
    out.finish()
}
