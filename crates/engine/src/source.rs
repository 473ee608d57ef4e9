//! The engine's view of data: something that hands out morsels of rows.

use crate::error::Error;
use crate::value::column::{Batch, Column};
use arrow::buffer::BooleanBuffer;
use backsight_lang::ast::{Path, Segment};
use std::sync::atomic::{AtomicU64, Ordering};

/// A field the scan delivers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `@timestamp`
    Timestamp,
    /// `@message`
    Message,
    /// `@logStream`
    LogStream,
    /// `@log`
    Log,
    /// `@ingestionTime`
    IngestionTime,
    /// `@ptr`
    Ptr,
    /// A field of the data, by path (language reference, "Paths"); never empty.
    Path(Vec<Segment>),
}

impl Field {
    /// The field a name of the query stands for: a system field if it is one word that names one, else a path.
    pub fn named(path: &Path) -> Field {
        match path.segments.as_slice() {
            [Segment::Name { text, .. }] => match text.as_str() {
                "@timestamp" => Field::Timestamp,
                "@message" => Field::Message,
                "@logStream" => Field::LogStream,
                "@log" => Field::Log,
                "@ingestionTime" => Field::IngestionTime,
                "@ptr" => Field::Ptr,
                _ => Field::Path(path.segments.clone()),
            },
            _ => Field::Path(path.segments.clone()),
        }
    }

    /// The name as a query writes it, without backticks.
    pub fn name(&self) -> String {
        match self {
            Field::Timestamp => "@timestamp".into(),
            Field::Message => "@message".into(),
            Field::LogStream => "@logStream".into(),
            Field::Log => "@log".into(),
            Field::IngestionTime => "@ingestionTime".into(),
            Field::Ptr => "@ptr".into(),
            Field::Path(segments) => {
                let parts: Vec<String> = segments
                    .iter()
                    .map(|s| match s {
                        Segment::Name { text, .. } => text.clone(),
                        Segment::Index(n) => n.to_string(),
                    })
                    .collect();
                parts.join(".")
            }
        }
    }
}

/// What a run wants from its source. A source must deliver `want`; the rest is advice it may use to read less.
#[derive(Clone, Debug, Default)]
pub struct Scan<'f> {
    /// The fields, one slot each: column `i` of every batch is `want[i]`.
    pub want: Vec<Field>,
    /// Sound prefilter: a record can only pass the query's filters if, for each entry, its bytes hold at least one of
    /// the needles, or a backslash (an escape can hide a needle). The case of letters does not count, and in a needle
    /// `s` may stand for U+017F, `k` for U+212A, which are the same letters so compared. Empty: no prefilter.
    pub needles: Vec<Vec<Vec<u8>>>,
    /// A record can only pass the query's filters if each of these fields has one of these canonical texts.
    pub equals: Vec<(Field, Vec<Vec<u8>>)>,
    /// Half-open time range in epoch milliseconds; rows outside may be left out, the run filters again.
    pub range: (Option<i64>, Option<i64>),
    /// The query's first filters, for sources that can read some fields before others.
    pub filter: Option<Filter<'f>>,
    /// A further test, of rows that are sorted: those that come too late do not pass. What has come before is asked for
    /// again and again, so this is for sources where other fields are dear to read.
    pub top: Option<Filter<'f>>,
    /// Texts that are numbers of words in the source may come as such ([`Column::Dict`]).
    ///
    /// [`Column::Dict`]: crate::value::column::Column::Dict
    pub words: bool,
}

/// A test of rows by some of the fields. Rows that do not pass may be left out; the run filters again.
#[derive(Clone, Copy)]
pub struct Filter<'f> {
    /// The fields it looks at, as places in [`Scan::want`].
    pub fields: &'f [usize],
    /// The rows of a batch that pass. Columns of other fields are not looked at, and may be null throughout.
    pub keep: &'f (dyn Fn(&Batch) -> BooleanBuffer + Sync),
}

impl std::fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("fields", &self.fields).finish_non_exhaustive()
    }
}

/// Whether the receiver of batches wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    More,
    /// No later row can change the answer.
    Enough,
}

/// Rows to read: files, or a table in memory.
pub trait Source: Sync {
    /// Starts a pass over the data. Cheap: reads no more than what is needed to hand out the first morsel.
    fn open<'a>(&'a self, scan: &'a Scan<'a>, counters: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error>;

    /// Bytes on disk, where known, for progress and `estimate`.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// The queue of one pass. Workers ask for morsels until there are none.
pub trait Morsels: Sync {
    /// The next piece of work. Morsels are handed out in source order; each is read by the worker that took it.
    fn next(&self) -> Option<Box<dyn Morsel + '_>>;
}

/// A piece of input that one worker reads.
pub trait Morsel: Send {
    /// Reads the morsel and gives its rows, at most [`BATCH_ROWS`] at a time, in source order, to `out`, until that
    /// says [`Flow::Enough`] or fails. Damage in the data is counted and noted in [`Counters`], not an error.
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error>;
}

/// Rows in a batch, at most.
pub const BATCH_ROWS: usize = 8192;

/// What a pass has seen so far: added to by workers, read by whoever shows progress, and by the summary.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records read, before any filter; what a literal prefilter passed over is counted too.
    pub records: AtomicU64,
    /// Lines without anything in them: no records.
    pub blank: AtomicU64,
    /// Bytes of records (decompressed).
    pub bytes: AtomicU64,
    /// Bytes of input files consumed (compressed).
    pub input_bytes: AtomicU64,
    /// Records that are not JSON in a JSON log: kept as events with only `@message`.
    pub not_json: AtomicU64,
    /// Of `input_bytes`, those of files of which only parts are read, such as Parquet,
    pub columnar_bytes: AtomicU64,
    /// and the bytes of such files that were in fact read: footers, filters, pages of columns.
    pub fetched_bytes: AtomicU64,
    /// Row groups of Parquet files in which nothing can be found, going by statistics and bloom filters.
    pub passed_groups: AtomicU64,
    /// Records with bytes that are not UTF-8.
    pub not_utf8: AtomicU64,
    /// Records that do not look like those of their log: kept as events with only `@message`.
    pub unlike: AtomicU64,
    /// Records with an object that has a key twice: the last one counts.
    pub repeated_keys: AtomicU64,
    /// Records with half of a surrogate pair, which is read as U+FFFD.
    pub half_surrogates: AtomicU64,
    /// Records with a zero character, as such or as an escape.
    pub zeros: AtomicU64,
    /// Rows without a readable `@timestamp`, where one was asked for.
    pub no_timestamp: AtomicU64,
    /// Bytes of input files that could not be read; where is in the notes.
    pub lost: AtomicU64,
    /// Files that were not read because the dates in their paths lie outside the time range.
    pub out_of_range: AtomicU64,
    /// Findings about the input, in no particular order; sorted by file and offset when shown.
    pub notes: std::sync::Mutex<Vec<Note>>,
    /// The file that was begun last, for progress.
    pub file: std::sync::Mutex<String>,
    /// Each file by itself, in no particular order.
    pub files: std::sync::Mutex<Vec<std::sync::Arc<FileCount>>>,
}

/// What a pass has seen of one file, or one member of an archive.
#[derive(Debug, Default)]
pub struct FileCount {
    /// Its name.
    pub file: String,
    /// The position before its first record: its place in source order.
    pub position: u64,
    /// The format and compression it was taken for.
    pub taken_for: std::sync::OnceLock<(&'static str, Option<&'static str>)>,
    /// Its counts; the lists in here stay empty.
    pub counts: Counters,
}

/// A counter's name and where it is.
pub type Count = (&'static str, fn(&Counters) -> &AtomicU64);

/// All counters.
pub const COUNTS: &[Count] = &[
    ("records", |c| &c.records),
    ("blank", |c| &c.blank),
    ("bytes", |c| &c.bytes),
    ("input_bytes", |c| &c.input_bytes),
    ("columnar_bytes", |c| &c.columnar_bytes),
    ("fetched_bytes", |c| &c.fetched_bytes),
    ("passed_groups", |c| &c.passed_groups),
    ("not_json", |c| &c.not_json),
    ("unlike", |c| &c.unlike),
    ("not_utf8", |c| &c.not_utf8),
    ("repeated_keys", |c| &c.repeated_keys),
    ("half_surrogates", |c| &c.half_surrogates),
    ("zeros", |c| &c.zeros),
    ("no_timestamp", |c| &c.no_timestamp),
    ("lost", |c| &c.lost),
    ("out_of_range", |c| &c.out_of_range),
];

impl Counters {
    /// Begins to count a file.
    pub fn begin(&self, file: &str, position: u64) -> std::sync::Arc<FileCount> {
        let count = std::sync::Arc::new(FileCount { file: file.into(), position, ..FileCount::default() });
        let mut files = self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.push(std::sync::Arc::clone(&count));
        count
    }

    /// Moves all counts to others, and the notes to the last of them.
    pub fn hand_on(&self, to: &[&Counters]) {
        for (_, counter) in COUNTS {
            let n = counter(self).swap(0, Ordering::Relaxed);
            if n > 0 {
                to.iter().for_each(|to| Counters::add(counter(to), n));
            }
        }
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if let Some(last) = to.last() {
            notes.into_iter().for_each(|note| last.note(note));
        }
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// Bytes of input files that were read.
    pub fn bytes_read(&self) -> u64 {
        let whole = Counters::get(&self.input_bytes).saturating_sub(Counters::get(&self.columnar_bytes));
        whole + Counters::get(&self.fetched_bytes)
    }

    /// Reads a counter.
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Says which file is being read now.
    pub fn reading(&self, file: &str) {
        let mut now = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.clone_into(&mut now);
    }

    /// Records a finding.
    pub fn note(&self, note: Note) {
        // A poisoned lock only means another worker panicked while pushing; the list itself is whole.
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(note);
    }
}

/// Something about the input that the person must hear of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The file, as the user named or the walk found it.
    pub file: String,
    /// Byte offset in the file as stored, where one is known.
    pub offset: Option<u64>,
    /// What was found.
    pub message: String,
    /// How it bears on the answer.
    pub weight: Weight,
}

/// How a [`Note`] bears on the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Said for completeness: a file skipped because it is no log, say.
    Notice,
    /// Part of the input could not be read: exit status 3.
    Damage,
}

/// Where a query's sources come from.
pub trait Catalog: Sync {
    /// The source for the `source` commands of a query; for none, the default source.
    ///
    /// # Errors
    /// [`Error::Input`] where nothing fits.
    fn open(&self, wanted: &[crate::plan::SourceRef]) -> Result<std::sync::Arc<dyn Source + Send>, Error>;

    /// The rows of a table for `lookup` and `in table`: CSV with a header, or any format with records.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Io`] where the file cannot be read.
    fn table(&self, file: &str) -> Result<Table, Error> {
        Err(Error::Input { file: file.to_owned(), offset: None, why: "this source has no tables".to_owned() })
    }
}

/// A table beside the data, all in memory.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Names and cells, in the order of the file.
    pub columns: Vec<(String, Column)>,
    /// Number of rows.
    pub rows: usize,
}

impl Table {
    /// The cells of a column.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, c)| c)
    }

    /// The names of the columns.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(n, _)| n.as_str()).collect()
    }
}
