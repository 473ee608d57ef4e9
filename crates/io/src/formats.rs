//! The table of input formats, and what a format has to offer.
//!
//! A file passes through layers: what is on disk ([`crate::bytes`]), its container ([`crate::codec`]), then its format.
//! A format is one row of [`FORMATS`] and one of two things: *records*, which lie one after another and may be cut
//! between any two of them, or a *whole*, which needs all bytes of the file at once. It is recognised by content.

use crate::archive::Tap;
use crate::files::Input;
use crate::head::Head;
use crate::json::{self, Traced};
use crate::records::Pool;
use crate::tally::Tally;
use crate::text::{Divider, Variant};
use crate::{Options, layouts};
use arrow::buffer::Buffer;
use backsight_engine::error::Error;
use backsight_engine::source::{Flow, Morsel, Note, Scan, Weight};
use backsight_engine::value::column::Batch;
use backsight_engine::value::json::write_bytes;
use bytes::Bytes;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// One input format: a file of code in [`crate::layouts`] and a row of [`FORMATS`].
#[derive(Debug)]
pub struct Format {
    /// What `--as` calls it.
    pub name: &'static str,
    /// One line for the reference.
    pub about: &'static str,
    /// Usual extensions, without compression; a hint for people, not used to decide.
    pub extensions: &'static [&'static str],
    /// Names `source dataSource([…])` knows it by, besides its own.
    pub sources: &'static [&'static str],
    /// Where `@timestamp` comes from, in words.
    pub time: &'static str,
    /// The fields it comes from where records are JSON or rows of Parquet, before those any record may have it in.
    pub times: &'static [&'static str],
    /// The fields of its records that are asked for most; for text, all there can be.
    pub fields: Fields,
    /// A record, shortened.
    pub example: &'static str,
    /// True if a file that starts like this is of this format.
    pub sniff: fn(&Head<'_>) -> bool,
    /// How it is read.
    pub reader: Reader,
}

/// The fields of a format: those listed, or those of its lines.
#[derive(Debug)]
pub struct Fields {
    listed: &'static [&'static str],
    lines: &'static [Variant],
}

impl Fields {
    pub(crate) const fn listed(listed: &'static [&'static str]) -> Fields {
        Fields { listed, lines: &[] }
    }

    pub(crate) const fn of(lines: &'static [Variant]) -> Fields {
        Fields { listed: &[], lines }
    }

    /// Their names. Of lines, those of the tokens in order, each followed by its parts; what a line before has by that name is
    /// not named again.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = self.listed.to_vec();
        for all in self.lines.iter().flat_map(Variant::names) {
            if !all.split('|').any(|name| names.contains(&name)) {
                names.extend(all.split('|').next());
            }
        }
        names
    }
}

/// The two ways of reading.
#[derive(Debug)]
pub enum Reader {
    /// Records that lie one after another.
    Records(for<'a> fn(&Pass<'a>, &Head<'_>) -> Box<dyn Records + 'a>),
    /// Everything at once; `Bytes` is all of the file, mapped where possible. Fails if the file cannot be read at all.
    Whole(for<'a> fn(Pass<'a>, Bytes) -> Result<Box<dyn Queue<'a> + 'a>, Error>),
}

/// Bytes a format may look at to recognise a file.
pub const HEAD: usize = 64 << 10;

/// The formats, in the order in which they are tried; the last one takes what no other does.
pub const FORMATS: &[Format] = &[
    layouts::parquet::FORMAT,
    layouts::cwl_events::FORMAT,
    layouts::cloudtrail::FORMAT,
    layouts::waf::FORMAT,
    layouts::guardduty::FORMAT,
    layouts::config::FORMAT,
    layouts::resolver::FORMAT,
    layouts::eks::FORMAT,
    layouts::ocsf::FORMAT,
    layouts::lambda::FORMAT,
    layouts::apigw::FORMAT,
    layouts::vpcflow::FORMAT,
    layouts::json::FORMAT,
    layouts::cwl_export::FORMAT,
    layouts::alb::FORMAT,
    layouts::nlb::FORMAT,
    layouts::clb::FORMAT,
    layouts::s3access::FORMAT,
    layouts::cloudfront::FORMAT,
    layouts::clf::FORMAT,
    layouts::csv::FORMAT,
    layouts::tsv::FORMAT,
    layouts::ndjson::FORMAT,
];

/// The format of that name.
pub fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// The format CloudWatch Logs calls a data source of that name, or that has the name itself.
pub fn data_source(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.sources.iter().any(|s| s.eq_ignore_ascii_case(name))).or_else(|| named(name))
}

/// The format of a file that starts with `head`.
pub fn sniff(head: &[u8]) -> &'static Format {
    let head = Head::new(head);
    FORMATS.iter().find(|f| (f.sniff)(&head)).expect("the last format takes everything")
}

/// The format whose records have these fields, if they are plainly those of one: what a table of any kind holds.
pub fn with_fields<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'static Format> {
    let mut record = b"{".to_vec();
    for name in names {
        write_bytes(name.as_bytes(), &mut record);
        record.extend_from_slice(b":null,");
    }
    if record.last() == Some(&b',') {
        record.pop();
    }
    record.push(b'}');
    Some(sniff(&record)).filter(|format| format.name != FALLBACK)
}

/// Content that is no log or cannot be read as one, by its first bytes. Damage where logs may well be in it.
const NO_LOGS: &[(&[u8], &str, Weight)] = &[
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive, which cannot be read", Weight::Damage),
    (b"Rar!\x1a\x07", "a RAR archive, which cannot be read", Weight::Damage),
    (b"\x1f\x9d", "compressed by compress, which cannot be read", Weight::Damage),
    (b"\xff\x06\0\0sNaPpY", "compressed by Snappy, which cannot be read", Weight::Damage),
    (b"LZIP", "compressed by lzip, which cannot be read", Weight::Damage),
    (b"ORC", "an ORC file, which cannot be read", Weight::Damage),
    (b"Obj\x01", "an Avro file, which cannot be read", Weight::Damage),
    (b"ARROW1\0\0", "an Arrow file, which cannot be read", Weight::Damage),
    (b"SQLite format 3\0", "an SQLite database", Weight::Notice),
    (b"\x7fELF", "a program", Weight::Notice),
    (b"MZ", "a program", Weight::Notice),
    (b"%PDF-", "a PDF document", Weight::Notice),
    (b"\x89PNG", "an image", Weight::Notice),
    (b"\xff\xd8\xff", "an image", Weight::Notice),
    (b"GIF8", "an image", Weight::Notice),
];

/// Says what the content is if it is no log; `head` are its first bytes, decompressed.
pub fn no_log(head: &[u8]) -> Option<(&'static str, Weight)> {
    let known = NO_LOGS.iter().find(|(magic, ..)| head.starts_with(magic) && (magic.len() > 3 || is_binary(head)));
    if let Some((_, what, weight)) = known {
        return Some((what, *weight));
    }
    (is_binary(head) && sniff(head).name == FALLBACK).then_some(("binary data", Weight::Notice))
}

/// The format of last resort.
const FALLBACK: &str = "ndjson";

/// True for bytes of which more than one in twenty is a control character no text has. A stray zero in a log is no reason to
/// refuse it, nor is damage behind its first lines, nor are zeros before them, which a crash leaves.
fn is_binary(head: &[u8]) -> bool {
    let text = head.iter().position(|b| *b != 0).map_or(head, |start| &head[start..]);
    let head = &text[..text.len().min(512)];
    let odd = head.iter().filter(|b| matches!(b, 0..=8 | 14..=26 | 28..=31)).count();
    odd * 20 > head.len()
}

/// One pass over one file: what a format needs to know.
#[derive(Clone, Debug)]
pub struct Pass<'a> {
    /// The file.
    pub input: Arc<Input>,
    /// What is wanted.
    pub scan: &'a Scan<'a>,
    /// Where to count and note.
    pub counters: Arc<Tally<'a>>,
    /// How to read.
    pub options: &'a Options,
    /// What formats work out once for all files.
    pub memory: Arc<Memory>,
    /// Who listens in.
    pub tap: Option<&'a dyn Tap>,
}

/// What formats keep from file to file during a pass.
#[derive(Debug, Default)]
pub struct Memory {
    /// See [`json::Plan`]; by the name of the dialect.
    pub json: Mutex<Vec<(&'static str, Arc<json::Plan>)>>,
    /// For decompressed chunks.
    pub(crate) pool: Pool,
}

impl<'a> Pass<'a> {
    /// The reader of a file of records, as the tap wants it.
    pub(crate) fn tapped(&self, format: &Format, records: Box<dyn Records + 'a>) -> Box<dyn Records + 'a> {
        match self.tap {
            Some(tap) => tap.tap(self, format.name, records),
            None => records,
        }
    }

    /// The same pass over another file.
    pub(crate) fn on(&self, input: Arc<Input>) -> Pass<'a> {
        let counters = Arc::new(Tally::new(self.counters.total(), &input));
        Pass { input, counters, ..self.clone() }
    }

    /// Notes a finding about the file; `offset` is in the file as stored.
    pub fn note(&self, weight: Weight, offset: Option<u64>, message: impl Into<String>) {
        self.note_on(self.input.shown.clone(), weight, offset, message);
    }

    /// Notes a finding about a file of that name.
    pub(crate) fn note_on(&self, file: String, weight: Weight, offset: Option<u64>, message: impl Into<String>) {
        self.counters.note(Note { file, offset, message: message.into(), weight });
    }

    /// Position of the record at `offset` of the (decompressed) file, or of that row number.
    pub fn position(&self, offset: u64) -> u64 {
        self.input.position(offset)
    }
}

/// Morsels of one file, in order.
pub trait Queue<'a>: Send {
    /// The next one. Called from any worker, one at a time.
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>>;
}

/// A piece of a file of records: whole records, first to last byte.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The bytes. Not more than [`crate::RECORD_LIMIT_MAX`] plus a morsel.
    pub data: Buffer,
    /// Offset of the first byte in the (decompressed) file.
    pub offset: u64,
    /// What its reader must know of what came before: see [`Splitter::context`].
    pub context: u64,
    /// Where records lie in it, if that is known: see [`Splitter::places`].
    pub places: Vec<Place>,
}

/// Where a record lies in a [`Chunk`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its first byte.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// False for something that stands where a record should.
    pub is_record: bool,
}

/// A format of records, opened on one file for one pass. Read by several workers at once.
pub trait Records: Send + Sync {
    /// Finds where records end; walks over the file once, from its first byte.
    fn splitter(&self) -> Box<dyn Splitter>;

    /// Names of columns that the file gives itself, in a header; empty where it does not.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Reads a chunk of whole records and gives rows to `out`, as [`Morsel::read`] does.
    fn read(&self, chunk: Chunk, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error>;

    /// [`Records::read`]. `trace` is told where the values of records lie, before their rows are handed out, as far as the
    /// reader knows.
    fn read_traced(
        &self,
        chunk: Chunk,
        _trace: &mut dyn FnMut(&Traced<'_>),
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        self.read(chunk, out)
    }

    /// How the lines of a chunk with that context are divided, where they are text and all their fields are tokens or in
    /// such.
    fn divider(&self, _context: u64) -> Option<Divider> {
        None
    }

    /// What a file may start with so that its reader, opened on that, reads records taken out of this file like this one
    /// does: `context` is that of the chunk they lie in.
    fn preamble(&self, context: u64) -> Vec<u8>;

    /// Reads records that were taken out of a file: each lies at one of these places, and what stands between them is of no
    /// account. By default all of the chunk is read, which is right where records show by themselves where they end.
    fn read_apart(
        &self,
        chunk: Chunk,
        _places: &[Range<usize>],
        out: &mut dyn FnMut(Batch) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        self.read(chunk, out)
    }
}

/// Finds the borders between records, front to back.
pub trait Splitter: Send {
    /// The end of the last whole record in `window`, which begins where the last cut was made; 0 if none ends in it:
    /// then the same bytes are shown again with more behind them.
    fn cut(&mut self, window: &[u8]) -> usize;

    /// Gives up the record `window` begins in: the bytes up to where the next one begins; `None` if that is not in
    /// `window`, of which nothing is shown again.
    fn skip(&mut self, window: &[u8]) -> Option<usize>;

    /// True if `tail`, bytes at the end of the file or before damage in which no record ends, are a record all the same.
    fn is_whole(&self, tail: &[u8], damaged: bool) -> bool;

    /// True if the file cannot be whole if `tail`, in which no record ends, is all that follows; said once.
    fn left_open(&mut self, _tail: &[u8]) -> bool {
        false
    }

    /// What the reader of the bytes that were cut last must know of what came before them. A number of the format's own.
    fn context(&self) -> u64 {
        0
    }

    /// Where records lie in the bytes that were cut last, if finding their end has shown it.
    fn places(&mut self) -> Vec<Place> {
        Vec::new()
    }

    /// True if whole records follow what was cut last, which its reader must not see.
    fn stops(&self) -> bool {
        false
    }

    /// Bytes are missing before those that come next.
    fn restart(&mut self) {}
}
