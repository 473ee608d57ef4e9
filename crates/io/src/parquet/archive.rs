//! Files of our own archives (see [`crate::archive`]), read so that nothing shows that they are not the exports.
//!
//! Where all that is wanted lies in plain columns, and all events of a row group are what columns say, the file is read
//! like any other. Else the columns of keys are looked up here, `@message` and places in the input are made from whole
//! records, and events that are not their record are read by the reader of their format.

mod apart;
mod rows;
mod slot;

use super::pages::Pages;
use super::paths::text_column;
use super::{Damage, Origin, ParquetFile, Stretch, guarded};
use crate::archive::{Columns, FACTS, System};
use crate::formats::{self, Pass, Reader};
use crate::head::Head;
use crate::text::{Divider, holders};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use ::parquet::basic::Type as Physical;
use ::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::statistics::Statistics;
use arrow::array::RecordBatch;
use backsight_engine::error::Error;
use backsight_engine::source::{BATCH_ROWS, Counters, Field, Flow, Note, Scan, Weight};
use backsight_engine::value::column::Batch;
use backsight_engine::value::json::Route;
use backsight_lang::ast::Segment;
use rows::{Rows, Stop};
use serde::Deserialize;
use slot::Slot;
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
    /// There are records whose columns are tokens of lines.
    #[serde(default)]
    lines: bool,
    /// What files start with whose lines are divided like all of its own.
    #[serde(default)]
    preambles: Option<Vec<String>>,
}

/// What makes a file one of an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    pub columns: Columns,
    facts: Facts,
    /// The metadata with the places of pages, once somebody needs it.
    pages: OnceLock<Option<ArrowReaderMetadata>>,
    /// How its records are divided if they are lines of text, once it was read: in all ways there are.
    dividers: OnceLock<Option<Vec<Divider>>>,
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
        Some(Archive { columns: Columns::new(names)?, facts, pages: OnceLock::new(), dividers: OnceLock::new() })
    }

    /// The format of its records.
    pub(crate) fn format(&self) -> &str {
        &self.facts.format
    }

    /// How its records are divided if they are lines of text: their tokens are columns.
    fn dividers(&self, pass: &Pass<'_>) -> Option<&[Divider]> {
        let found = || match &formats::named(&self.facts.format)?.reader {
            Reader::Records(open) => {
                let preambles = self.facts.preambles.as_ref()?.iter();
                preambles.map(|preamble| open(pass, &Head::new(preamble.as_bytes())).divider(0)).collect()
            }
            Reader::Whole(_) => None,
        };
        self.dividers.get_or_init(found).as_deref()
    }

    /// The token that is the field of lines of text, if it is one: its name.
    fn token(&self, path: &[Segment]) -> Option<String> {
        match holders(self.dividers.get()?.as_ref()?, path).as_deref() {
            Some([(name, None)]) => Some(name.clone()),
            _ => None,
        }
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
        let dividers = archive.dividers(pass);
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
        // Of some fields only who divides a line can say where they are.
        let is_token = |field: &Field| match field {
            Field::Timestamp => pass.options.timestamp_field.is_none(),
            Field::Path(path) => dividers.is_some_and(|dividers| holders(dividers, path).is_some()),
            _ => true,
        };
        let again = archive.facts.lines && !pass.scan.want.iter().all(is_token);
        let dividers = dividers.filter(|_| !again);
        let slots: Vec<Slot> = pass
            .scan
            .want
            .iter()
            .map(|field| Slot::new(self, archive, dividers, field, pass, self.has_extra(stretch)))
            .collect();
        let whole = !direct || again || slots.iter().any(|s| matches!(s, Slot::Message | Slot::Pointer));
        let mut leaves = vec![whole; archive.columns.len()];
        for column in [System::Seq, System::Input] {
            leaves[column as usize] = true;
        }
        slots.iter().flat_map(Slot::columns).for_each(|column| leaves[column] = true);
        let plain = Scan { want: pass.scan.want.clone(), ..Scan::default() };
        let memory = Arc::default();
        let mut rows =
            Rows { file: self, archive, pass, plain, memory, slots, again, whole, leaves, selected, place: None };
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

    /// True for a column that takes any text.
    fn is_text(&self, column: usize) -> bool {
        self.schema.column(column).physical_type() == Physical::BYTE_ARRAY
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
            Field::Path(path) if archive.facts.lines => archive.token(path).is_some_and(|token| {
                let column = archive.columns.of_key(token.as_bytes());
                let is_whole = |column| match self.schema.column(column).physical_type() {
                    Physical::INT64 => false,
                    _ => self.is_text(column) || !self.has_extra(stretch),
                };
                matches!(&path[..], [Segment::Name { text, .. }] if *text == token) && column.is_some_and(is_whole)
            }),
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
        let (pages, _) = Pages::check(&self.data, chunks)?;
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
