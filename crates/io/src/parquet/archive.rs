//! Files of our own archives (see [`crate::archive`]), read so that nothing shows that they are not the exports.
//!
//! Where all that is wanted lies in plain columns, and all events of a row group are what columns say, the file is read
//! like any other. Else the columns of keys are looked up here, `@message` and places in the input are made from whole
//! records, and events that are not their record are read by the reader of their format.

use super::pages::Pages;
use super::paths::{route, text_column};
use super::{Damage, Origin, ParquetFile, Stretch, guarded, values};
use crate::archive::{Columns, FACTS, Rebuilder, Rebuilt, System, integer};
use crate::files::Input;
use crate::formats::{self, Chunk, Memory, Pass, Reader};
use crate::head::Head;
use crate::tally::Tally;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use ::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::statistics::Statistics;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::Int32Type;
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Counters, Field, Flow, Note, Scan, Weight};
use backsight_engine::value::column::{Batch, Column, ColumnBuilder, Kinds, OFFSET_BITS, Positions, TextBuilder};
use backsight_engine::value::json::{self, Route};
use backsight_engine::value::{Kind, ValueRef};
use backsight_lang::ast::Segment;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What the footer of an archive's file says.
#[derive(Debug, Deserialize)]
struct Facts {
    format: String,
    /// By input: fields that its folders give.
    #[serde(default)]
    partitions: BTreeMap<i64, Vec<(String, String)>>,
    /// Row group, column, and offset of the filters of its pages.
    #[serde(default)]
    filters: Vec<(usize, usize, u64)>,
}

/// What makes a file one of an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    pub columns: Columns,
    facts: Facts,
    /// The metadata with the places of pages, once somebody needs it.
    pages: OnceLock<Option<ArrowReaderMetadata>>,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl Archive {
    /// `None` if the file is not of an archive.
    pub(super) fn of(file: &ParquetFile) -> Option<Archive> {
        let pairs = file.metadata.metadata().file_metadata().key_value_metadata()?;
        let text = pairs.iter().find(|pair| pair.key == FACTS)?.value.as_ref()?;
        let facts = serde_json::from_str(text).ok()?;
        let names = file.columns.iter().map(|node| (node.name.as_str(), text_column(&node.shape)));
        Some(Archive { columns: Columns::new(names)?, facts, pages: OnceLock::new() })
    }

    /// Offset of the filters of pages of a column.
    pub(super) fn filters(&self, group: usize, column: usize) -> Option<u64> {
        let found = self.facts.filters.iter().find(|(g, c, _)| (*g, *c) == (group, column));
        found.map(|(_, _, offset)| *offset)
    }
}

impl ParquetFile {
    /// The file as one of an archive.
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// Makes positions of rows those of the archive that begins with that file.
    pub(crate) fn count_from(&mut self, family: u64) {
        self.origin.number = family;
    }

    /// Like [`ParquetFile::read`], for a file of an archive.
    pub(crate) fn read_archive(
        &self,
        archive: &Archive,
        stretch: &Stretch,
        pass: &Pass<'_>,
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        if self.pass_over(stretch, pass.scan, &pass.counters) {
            return Ok(Flow::More);
        }
        let span = self.integers(stretch, System::Seq);
        let direct = self.all_direct(stretch);
        let ordered = !pass.scan.want.contains(&Field::Ptr);
        let selected = if direct && ordered { self.hopeful(archive, stretch, pass.scan) } else { None };
        if let Some((first, last)) = span
            && direct
            && selected.is_none()
            && (last - first).checked_add(1) == i64::try_from(stretch.rows).ok()
            && pass.options.timestamp_field.is_none()
            && archive.facts.partitions.is_empty()
            && pass.scan.want.iter().all(|field| self.is_plain(archive, stretch, field))
        {
            let numbered = Stretch { first: first.unsigned_abs(), ..stretch.clone() };
            return self.read(&numbered, pass.scan, &[], &pass.counters, out);
        }
        let slots: Vec<Slot> =
            pass.scan.want.iter().map(|field| Slot::new(archive, field, pass, self.has_extra(stretch))).collect();
        let whole = !direct || slots.iter().any(|s| matches!(s, Slot::Message | Slot::Pointer));
        let mut leaves = vec![whole; archive.columns.len()];
        for column in [System::Seq, System::Input] {
            leaves[column as usize] = true;
        }
        slots.iter().flat_map(Slot::columns).for_each(|column| leaves[column] = true);
        let plain = Scan { want: pass.scan.want.clone(), ..Scan::default() };
        let memory = Arc::default();
        let mut rows = Rows { file: self, archive, pass, plain, memory, slots, whole, leaves, selected, place: None };
        let mut done = 0;
        match rows.read(stretch, &mut done, out) {
            Ok(flow) => Ok(flow),
            Err(Stop::Receiver(error)) => Err(error),
            Err(Stop::Damage(damage)) => {
                let why = format!("{} rows cannot be read: {}", stretch.rows - done, damage.why);
                let note = Note { file: self.origin.file.clone(), offset: None, message: why, weight: Weight::Damage };
                pass.counters.note(note);
                Ok(Flow::More)
            }
        }
    }

    /// The least and the greatest number of a column, if the statistics say.
    fn integers(&self, stretch: &Stretch, column: System) -> Option<(i64, i64)> {
        let group = self.metadata.metadata().row_group(stretch.group);
        match group.column(column as usize).statistics()? {
            Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)).filter(|_| s.null_count_opt() == Some(0)),
            _ => None,
        }
    }

    fn all_direct(&self, stretch: &Stretch) -> bool {
        let group = self.metadata.metadata().row_group(stretch.group);
        match group.column(System::Direct as usize).statistics() {
            Some(Statistics::Boolean(s)) => s.min_opt() == Some(&true),
            _ => false,
        }
    }

    fn has_extra(&self, stretch: &Stretch) -> bool {
        let group = self.metadata.metadata().row_group(stretch.group);
        let nulls = group.column(System::Extra as usize).statistics().and_then(|s| s.null_count_opt());
        nulls != Some(group.num_rows().unsigned_abs())
    }

    /// True if a column without more ado holds what is wanted.
    fn is_plain(&self, archive: &Archive, stretch: &Stretch, field: &Field) -> bool {
        match field {
            Field::Timestamp | Field::Log | Field::LogStream => true,
            Field::Message | Field::IngestionTime | Field::Ptr => false,
            Field::Path(_) => self.is_column(archive, stretch, field),
        }
    }

    /// True if a field of the data is in columns only: not in `@extra`, nor in events that are not their record.
    pub(super) fn is_column(&self, archive: &Archive, stretch: &Stretch, field: &Field) -> bool {
        match field {
            _ if !self.all_direct(stretch) => false,
            Field::Path(path) => Route::new(path).readings().iter().all(|reading| {
                let key = &reading[0].key;
                let column = archive.columns.of_key(key);
                let group = self.metadata.metadata().row_group(stretch.group);
                let never_null =
                    |column: usize| group.column(column).statistics().and_then(|s| s.null_count_opt()) == Some(0);
                !key.starts_with(b"@")
                    && archive.columns.kinds(key).is_none()
                    && (!self.has_extra(stretch) || column.is_some_and(never_null))
            }),
            _ => false,
        }
    }
}

/// Where the cells of a slot come from, for events that are their record.
enum Slot {
    /// Columns that may hold it, the first that is not null counts.
    Ways(Vec<Way>),
    /// The first of these columns that is not null, read as a time.
    Time(Vec<Way>),
    Log,
    LogStream,
    Message,
    Pointer,
    Nothing,
}

/// A column, and the rest of the path within its text.
struct Way {
    column: usize,
    kinds: Option<usize>,
    rest: Option<Route>,
}

impl Slot {
    fn new(archive: &Archive, field: &Field, pass: &Pass<'_>, extra: bool) -> Slot {
        match field {
            Field::Timestamp => match &pass.options.timestamp_field {
                Some(path) => Slot::Time(ways(archive, path, extra)),
                None => Slot::Time(vec![Way { column: System::Timestamp as usize, kinds: None, rest: None }]),
            },
            Field::Message => Slot::Message,
            Field::Log => Slot::Log,
            Field::LogStream => Slot::LogStream,
            Field::Ptr => Slot::Pointer,
            Field::IngestionTime => Slot::Nothing,
            Field::Path(path) => Slot::Ways(ways(archive, path, extra)),
        }
    }

    fn columns(&self) -> Vec<usize> {
        match self {
            Slot::Ways(ways) | Slot::Time(ways) => {
                ways.iter().flat_map(|way| [Some(way.column), way.kinds]).flatten().collect()
            }
            Slot::Log => vec![System::Log as usize],
            Slot::LogStream => vec![System::LogStream as usize],
            Slot::Pointer => vec![System::Log as usize, System::LogStream as usize],
            Slot::Message | Slot::Nothing => Vec::new(),
        }
    }
}

/// The columns a path of the data may mean, in the order in which they count.
fn ways(archive: &Archive, path: &[Segment], extra: bool) -> Vec<Way> {
    let mut out = Vec::new();
    for reading in Route::new(path).readings() {
        let mut reading = reading.clone();
        // `@@x` is the key `@x`, and no key is `@x`.
        if let Some(rest) = reading[0].key.strip_prefix(b"@") {
            if !rest.starts_with(b"@") {
                continue;
            }
            reading[0].key = rest.into();
        }
        let rest = (reading.len() > 1).then(|| route(&reading[1..]));
        if let Some(column) = archive.columns.of_key(&reading[0].key) {
            out.push(Way { column, kinds: archive.columns.kinds(&reading[0].key), rest });
        }
        if extra {
            out.push(Way { column: System::Extra as usize, kinds: None, rest: Some(Route::of(vec![reading])) });
        }
    }
    out
}

enum Stop {
    Receiver(Error),
    Damage(Damage),
}

impl<D: Into<Damage>> From<D> for Stop {
    fn from(damage: D) -> Stop {
        Stop::Damage(damage.into())
    }
}

/// The rows of a stretch.
struct Rows<'r, 'p> {
    file: &'r ParquetFile,
    archive: &'r Archive,
    pass: &'r Pass<'p>,
    /// What readers of formats are asked for: every event, whatever the query's filters say of it.
    plain: Scan<'static>,
    /// What such readers work out once.
    memory: Arc<Memory>,
    slots: Vec<Slot>,
    /// Whole records are needed.
    whole: bool,
    leaves: Vec<bool>,
    /// The only rows that may be wanted, if that is known.
    selected: Option<Vec<Range<usize>>>,
    /// Input, and offset behind the last record.
    place: Option<(i64, u64)>,
}

/// Whole records of a batch.
#[derive(Default)]
struct Records {
    text: Vec<u8>,
    places: Vec<Rebuilt>,
    /// Offsets in their inputs.
    offsets: Vec<u64>,
}

/// Formats whose records may depend on a header before them, which a record by itself does not tell.
const HEADED: &[&str] = &["csv", "tsv", "cloudfront", "vpcflow"];

impl Rows<'_, '_> {
    fn read(
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
        for row in 0..batch.num_rows() {
            let rebuilt = rebuilder.add(batch, row, &mut out.text);
            let rebuilt = rebuilt.ok_or_else(|| Damage::new("the columns do not give a record"))?;
            let gap = integer(batch, System::Gap as usize, row).unwrap_or_default() as u64;
            let input = integer(batch, System::Input as usize, row).unwrap_or_default();
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
        for (slot, field) in self.slots.iter().zip(&self.pass.scan.want) {
            let column = match slot {
                Slot::Ways(ways) => self.partitioned(batch, field, self.first_of(batch, ways)),
                Slot::Time(ways) => super::times::read(self.first_of(batch, ways)),
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
        let direct: Option<&BooleanArray> = match self.whole {
            true => batch.column(System::Direct as usize).as_boolean_opt(),
            false => None,
        };
        if let Some(direct) = direct
            && direct.true_count() < batch.num_rows()
        {
            columns = self.others(batch, records, direct, columns)?;
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

    fn first_of(&self, batch: &RecordBatch, ways: &[Way]) -> Column {
        let mut found = Column::null(batch.num_rows());
        for way in ways {
            let column = self.column(batch, way.column, way.kinds);
            let column = match &way.rest {
                None => column,
                Some(route) => {
                    let mut out = TextBuilder::default();
                    for cell in column.iter() {
                        let text = cell.text().filter(|_| cell.is_nested());
                        match text.as_deref().and_then(|text| route.get(text)) {
                            Some((kind, text)) => out.push_text(kind, &text),
                            None => out.push(ValueRef::Null),
                        }
                    }
                    out.finish()
                }
            };
            found = super::plan::merge(&found, &column);
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
    fn partitioned(&self, batch: &RecordBatch, field: &Field, column: Column) -> Column {
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
            let text = |column: &Column| column.get(row).text().unwrap_or_default().into_owned();
            let pointer = [&text(&logs)[..], b"#", &text(&streams), b":", offset.to_string().as_bytes()].concat();
            out.push_text(Kind::String, &pointer);
        }
        out.finish()
    }

    /// Has events that are not their record read by the reader of their format.
    fn others(
        &self,
        batch: &RecordBatch,
        records: &Records,
        direct: &BooleanArray,
        columns: Vec<Column>,
    ) -> Result<Vec<Column>, Stop> {
        let mut builders: Vec<ColumnBuilder> = columns.iter().map(|_| ColumnBuilder::default()).collect();
        let pointers = self.pass.scan.want.contains(&Field::Ptr);
        let mut row = 0;
        while row < batch.num_rows() {
            if direct.value(row) {
                builders.iter_mut().zip(&columns).for_each(|(out, column)| out.push(column.get(row)));
                row += 1;
                continue;
            }
            let input = integer(batch, System::Input as usize, row);
            let mut last = row + 1;
            // One place for all is only good if nobody asks for it.
            while last < batch.num_rows()
                && !pointers
                && !direct.value(last)
                && integer(batch, System::Input as usize, last) == input
            {
                last += 1;
            }
            let end = records.places.get(last).map_or(records.text.len(), |place| place.start);
            let text = &records.text[records.places[row].start..end];
            let found = self.by_its_reader(batch, row, text, records.offsets[row])?;
            let rows: usize = found.iter().map(|b| b.rows).sum();
            if rows != last - row {
                return Err(Damage::new("records are not read as they were when they were converted").into());
            }
            for batch in &found {
                for (out, column) in builders.iter_mut().zip(&batch.columns) {
                    out.extend(column);
                }
            }
            row = last;
        }
        let made: Vec<Column> = builders.into_iter().map(ColumnBuilder::finish).collect();
        Ok(made.into_iter().zip(&self.pass.scan.want).map(|(c, field)| self.partitioned(batch, field, c)).collect())
    }

    fn by_its_reader(&self, batch: &RecordBatch, row: usize, text: &[u8], offset: u64) -> Result<Vec<Batch>, Stop> {
        let name = |column: System| {
            let column = self.column(batch, column as usize, None);
            String::from_utf8_lossy(&column.get(row).text().unwrap_or_default()).into_owned()
        };
        let Some(format) = formats::named(&self.archive.facts.format) else {
            return Err(Damage::new(format!("no such format: {}", self.archive.facts.format)).into());
        };
        let Reader::Records(open) = &format.reader else {
            return Err(Damage::new("not a format of records").into());
        };
        if HEADED.contains(&format.name) {
            let why = format!(
                "records of {} mean nothing without their header: restore the archive to query it",
                format.name
            );
            return Err(Damage::new(why).into());
        }
        let counters = Counters::default();
        let input = Arc::new(Input::elsewhere(name(System::Log), name(System::LogStream)));
        let pass = Pass {
            counters: Arc::new(Tally::new(&counters, &input)),
            input,
            scan: &self.plain,
            options: self.pass.options,
            memory: Arc::clone(&self.memory),
            tap: None,
        };
        let reader = open(&pass, &Head::new(text));
        let mut found = Vec::new();
        let chunk = Chunk { data: Buffer::from(text.to_vec()), offset, context: 0 };
        let mut keep = |batch| {
            found.push(batch);
            Ok(Flow::More)
        };
        reader.read(chunk, &mut keep).map_err(Stop::Receiver)?;
        pass.counters.flush();
        for (from, to) in
            [(&counters.not_json, &self.pass.counters.not_json), (&counters.not_utf8, &self.pass.counters.not_utf8)]
        {
            Counters::add(to, Counters::get(from));
        }
        Ok(found)
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
            out.push(Batch { columns, rows, positions: Positions { base, offsets } });
            start += rows;
        }
        Ok(out)
    }
}

impl ParquetFile {
    /// True, and counted, if nothing in the stretch can be of interest.
    pub(super) fn pass_over(&self, stretch: &Stretch, scan: &Scan, counters: &Counters) -> bool {
        let hopeless = self.is_hopeless(stretch, scan);
        if hopeless {
            Counters::add(&counters.records, stretch.rows);
            Counters::add(&counters.passed_groups, 1);
        }
        hopeless
    }

    /// Counts the bytes of columns as read.
    pub(super) fn count_chunks(&self, stretch: &Stretch, leaves: &[bool], counters: &Counters) {
        let group = self.metadata.metadata().row_group(stretch.group);
        let read = group.columns().iter().zip(leaves).filter(|(_, read)| **read).map(|(c, _)| c.compressed_size());
        let bytes = u128::from(read.fold(0, i64::saturating_add).unsigned_abs());
        let rows = u128::from(group.num_rows().unsigned_abs().max(1));
        Counters::add(&counters.fetched_bytes, (bytes * u128::from(stretch.rows) / rows) as u64);
    }

    /// Opens some rows of columns for reading: only the pages that hold them are touched.
    fn open_rows(
        &self,
        archive: &Archive,
        stretch: &Stretch,
        leaves: &[bool],
        rows: &[Range<usize>],
        counters: &Counters,
    ) -> Result<ParquetRecordBatchReader, Damage> {
        let Some(metadata) = archive.pages.get_or_init(|| self.with_pages().ok()) else {
            self.count_chunks(stretch, leaves, counters);
            return self.open_columns(stretch, leaves, BATCH_ROWS);
        };
        let group = metadata.metadata().row_group(stretch.group);
        let index = metadata.metadata().page_index_for_row_group(stretch.group);
        for (leaf, chunk) in group.columns().iter().enumerate().filter(|(leaf, _)| leaves[*leaf]) {
            let dictionary = chunk.dictionary_page_offset().map_or(0, |at| chunk.data_page_offset().saturating_sub(at));
            let pages = index.page_locations(leaf).map_or(&[][..], |pages| &pages[..]);
            let first = |page: usize| pages.get(page).map_or(stretch.rows as i64, |p| p.first_row_index) as usize;
            let touched = (0..pages.len())
                .filter(|page| rows.iter().any(|r| r.start < first(page + 1) && first(*page) < r.end))
                .map(|page| i64::from(pages[page].compressed_page_size));
            Counters::add(&counters.fetched_bytes, (dictionary + touched.sum::<i64>()).unsigned_abs());
        }
        let selection = RowSelection::from_consecutive_ranges(rows.iter().cloned(), stretch.rows as usize);
        let wanted = leaves.iter().enumerate().filter(|(_, read)| **read).map(|(leaf, _)| leaf);
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), wanted);
        // Pages that are not wanted are not even looked over; this file is our own, and damage is caught as such.
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.data.clone(), metadata.clone())
            .with_row_groups(vec![stretch.group])
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(BATCH_ROWS);
        Ok(builder.build()?)
    }

    fn with_pages(&self) -> Result<ArrowReaderMetadata, Damage> {
        let metadata = ParquetMetaData::clone(self.metadata.metadata());
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Required);
        let made = guarded(|| {
            reader.read_page_indexes(&self.data)?;
            Ok(reader.finish()?)
        })?;
        let options = ArrowReaderOptions::new().with_schema(self.metadata.schema().clone());
        Ok(ArrowReaderMetadata::try_new(Arc::new(made), options)?)
    }

    /// Opens columns of a stretch for reading.
    pub(crate) fn open_columns(
        &self,
        stretch: &Stretch,
        leaves: &[bool],
        rows: usize,
    ) -> Result<ParquetRecordBatchReader, Damage> {
        let group = self.metadata.metadata().row_group(stretch.group);
        let chunks = group.columns().iter().zip(leaves).filter(|(_, read)| **read).map(|(chunk, _)| chunk);
        let pages = Pages::check(&self.data, chunks)?;
        let wanted = leaves.iter().enumerate().filter(|(_, read)| **read).map(|(leaf, _)| leaf);
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), wanted);
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, self.metadata.clone())
            .with_row_groups(vec![stretch.group])
            .with_projection(mask)
            .with_batch_size(rows);
        if stretch.rows < group.num_rows() as u64 {
            builder = builder.with_offset(stretch.skip as usize).with_limit(stretch.rows as usize);
        }
        Ok(builder.build()?)
    }
}

/// The next rows of columns that were opened.
pub(crate) fn next_rows(reader: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>, Damage> {
    guarded(|| reader.next().transpose().map_err(Damage::from))
}

/// The decoded columns in their places; what was not read is null.
pub(crate) fn spread(batch: &RecordBatch, leaves: &[bool]) -> RecordBatch {
    use arrow::array::{ArrayRef, NullArray};
    use arrow::datatypes::{DataType, Field, Schema};
    let mut decoded = batch.columns().iter();
    let columns: Vec<ArrayRef> = leaves
        .iter()
        .map(|read| match read.then(|| decoded.next()).flatten() {
            Some(column) => column.clone(),
            None => Arc::new(NullArray::new(batch.num_rows())),
        })
        .collect();
    let fields: Vec<Field> = columns.iter().map(|c| Field::new("", DataType::clone(c.data_type()), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|_| batch.clone())
}

/// For reading a file of an archive outside of a pass.
pub(crate) fn open(data: bytes::Bytes, file: &str) -> Result<ParquetFile, Error> {
    ParquetFile::open(data, Origin { file: file.into(), ..Origin::default() })
}
