//! Parquet files.
//!
//! A file is opened by its footer (`footer`), which gives the tree of its columns (`schema`). A scan's fields become
//! leaf columns to read (`paths`, `plan`), and a stretch of rows is read as batches (`read`) of the engine's
//! columns (`values`, `text`). Decoding is the `parquet` crate's; before it sees a column its pages are looked over
//! (`pages`, `thrift`), since a file may be damaged, or made to do damage.

pub(crate) mod archive;
mod columns;
mod footer;
mod hybrid;
mod late;
mod pages;
mod paths;
mod plan;
mod prune;
mod read;
mod schema;
mod text;
mod texts;
mod thrift;
mod times;
mod unpack;
mod unsupported;
mod values;

#[doc(hidden)]
pub mod testing;

pub use footer::sniff;
pub(crate) use text::uuid;

use ::parquet::arrow::arrow_reader::ArrowReaderMetadata;
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::SchemaDescriptor;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Flow, Note, Scan, Weight};
use backsight_engine::value::column::Batch;
use backsight_lang::ast::Segment;
use bytes::Bytes;
use paths::Access;
use schema::Node;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Once};

/// Rows from which a row group is read in several stretches, and the rows of one.
const STRETCH: u64 = 1 << 18;

/// What a file is called in notes and system fields.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Its name in notes and errors.
    pub file: String,
    /// Its number in source order.
    pub number: u64,
    /// Its `@logStream`, unless its rows have their own.
    pub log_stream: String,
    /// Its `@log`, unless its rows have their own.
    pub log: String,
    /// What stands before the row number in `@ptr`.
    pub pointer: String,
}

/// An open file. Its bytes are shared, mostly with a memory map.
pub struct ParquetFile {
    data: Bytes,
    origin: Origin,
    metadata: ArrowReaderMetadata,
    /// As the file states it.
    schema: Arc<SchemaDescriptor>,
    columns: Vec<Node>,
    unsupported: Vec<unsupported::Unsupported>,
    /// Rows the footer claims.
    claimed: i64,
    archive: Option<archive::Archive>,
}

/// Rows that are read in one go: (part of) a row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The row group.
    group: usize,
    /// Rows of the group before the stretch.
    skip: u64,
    /// The number of its first row in the file.
    first: u64,
    /// Its rows.
    rows: u64,
}

impl Stretch {
    /// True for the first of its file.
    pub(crate) fn is_first(&self) -> bool {
        self.first == 0
    }
}

impl ParquetFile {
    /// Opens a file by its footer. Fails where that is missing, damaged, encrypted or beyond reason.
    pub fn open(data: Bytes, origin: Origin) -> Result<ParquetFile, Error> {
        let opened = guarded(|| {
            let footer = footer::read(&data)?;
            let (metadata, columns) = schema::columns(&footer)?;
            Ok((metadata, columns, footer.schema, footer.claimed))
        });
        match opened {
            Ok((metadata, columns, schema, claimed)) => {
                let unsupported = unsupported::columns(metadata.metadata(), &schema);
                let mut file =
                    ParquetFile { data, origin, metadata, schema, columns, unsupported, claimed, archive: None };
                file.archive = archive::Archive::of(&file);
                Ok(file)
            }
            Err(Damage { offset, why }) => Err(Error::Input { file: origin.file, offset, why }),
        }
    }

    /// The names of its columns, of the outermost level.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.root_schema().get_fields().iter().map(|field| field.name())
    }

    /// The rows the footer claims and those its groups have, where these are less.
    pub(crate) fn missing_rows(&self) -> Option<(i64, i64)> {
        let there = self.metadata.metadata().row_groups().iter().map(|group| group.num_rows()).sum();
        (self.claimed > there).then_some((self.claimed, there))
    }

    /// All rows, in order, in pieces that can be read independently.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut out = Vec::new();
        let mut first = 0;
        for (group, metadata) in self.metadata.metadata().row_groups().iter().enumerate() {
            // The sum of all groups was checked not to be negative or absurd, and each is not negative.
            let rows = metadata.num_rows().unsigned_abs();
            let pieces = rows.div_ceil(STRETCH);
            for piece in 0..pieces {
                let (skip, end) = (rows * piece / pieces, rows * (piece + 1) / pieces);
                out.push(Stretch { group, skip, first: first + skip, rows: end - skip });
            }
            first += rows;
        }
        out
    }

    /// Reads a stretch: its rows, at most [`backsight_engine::source::BATCH_ROWS`] at a time, with the columns the scan
    /// wants, to `out`. Fails only where `out` does; rows that cannot be read are noted as damage in `counters`.
    ///
    /// `times`: the fields that may hold an event's time, the first that is not null counts.
    pub fn read(
        &self,
        stretch: &Stretch,
        scan: &Scan,
        times: &[Vec<Segment>],
        counters: &Counters,
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        if self.archive.is_none() && self.pass_over(stretch, scan, counters) {
            return Ok(Flow::More);
        }
        let plan = plan::Plan::new(self, scan, times);
        self.tell_unsupported(&plan.unsupported, counters);
        self.count_chunks(stretch, &plan.leaves, counters);
        let first = late::First::new(self, &plan, scan, times);
        read::stretch(self, &plan, first.as_ref(), stretch, counters, out)
    }

    /// Like [`ParquetFile::read`], but `@message` is the whole row as JSON.
    pub(crate) fn read_whole(
        &self,
        stretch: &Stretch,
        scan: &Scan,
        times: &[Vec<Segment>],
        counters: &Counters,
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        let plan = plan::Plan::whole(self, scan, times);
        self.tell_unsupported(&plan.unsupported, counters);
        self.count_chunks(stretch, &plan.leaves, counters);
        read::stretch(self, &plan, None, stretch, counters, out)
    }

    /// True if the statistics say that a column has a value in every row.
    fn is_never_null(&self, access: &Access) -> bool {
        if access.rest.is_some() || access.leaves.len() != 1 {
            return false;
        }
        let leaf = access.leaves.start;
        if self.schema.column(leaf).max_def_level() == 0 {
            return true;
        }
        let groups = self.metadata.metadata().row_groups();
        groups.iter().all(|g| g.column(leaf).statistics().and_then(|s| s.null_count_opt()) == Some(0))
    }
}

/// Why something cannot be read.
#[derive(Debug)]
pub(crate) struct Damage {
    offset: Option<u64>,
    why: String,
}

impl Damage {
    fn new(why: impl Into<String>) -> Damage {
        Damage { offset: None, why: why.into() }
    }

    fn note(self, file: &str) -> Note {
        Note { file: file.into(), offset: self.offset, message: self.why, weight: Weight::Damage }
    }
}

impl From<ParquetError> for Damage {
    fn from(error: ParquetError) -> Damage {
        match error {
            ParquetError::NYI(why) => Damage::new(format!("not supported: {why}")),
            other => Damage::new(bare(&other.to_string())),
        }
    }
}

impl From<arrow::error::ArrowError> for Damage {
    fn from(error: arrow::error::ArrowError) -> Damage {
        Damage::new(bare(&error.to_string()))
    }
}

/// A message of the decoders without the names of their error types.
fn bare(message: &str) -> &str {
    const NAMES: [&str; 5] = ["Parquet argument error: ", "Parquet error: ", "External: ", "EOF: ", "Arrow: "];
    let mut rest = message;
    while let Some(shorter) = NAMES.iter().find_map(|name| rest.strip_prefix(name)) {
        rest = shorter;
    }
    rest
}

thread_local! {
    /// True while this thread decodes what may be damaged.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs what decodes untrusted bytes; a panic in there is damage too, which costs the rows at hand and no more.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    // The panic is reported as damage; its trace would only frighten, and tells nothing about the file.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !DECODING.get() {
                usual(panic);
            }
        }));
    });
    DECODING.set(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    result.unwrap_or_else(|_| Err(Damage::new("the decoder failed on damaged data")))
}

#[cfg(test)]
mod tests;
