//! Many files as one source: which there are, and what each of them is.

use crate::Options;
use crate::archive::{self, Tap};
use crate::bytes::Stored;
use crate::codec::{Codec, Finding};
use crate::container::{self, Container};
use crate::content::{Body, Content, decode_all};
use crate::discover::discover;
use crate::formats::{self, FORMATS, Format, Pass, Queue, Reader};
use crate::head::Head;
pub use crate::input::Input;
use crate::records::{Plain, Stream, finding, read_all};
use crate::sequence::Sequence;
use crate::tally::{Counted, Tally};
use crate::{claims, columnar, partitions, text};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Flow, Morsel, Morsels, Note, Scan, Source, Weight};
use backsight_engine::value::column::{Batch, OFFSET_BITS};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file was taken for.
#[derive(Clone, Copy, Debug)]
pub struct Detected {
    /// Its format.
    pub format: &'static Format,
    /// Its compression.
    pub codec: Option<&'static Codec>,
    /// The kind of archive it is; its members are what has a format then.
    pub container: Option<&'static Container>,
}

/// The files behind some paths.
#[derive(Debug)]
pub struct Files {
    pub(crate) inputs: Vec<Arc<Input>>,
    pub(crate) notes: Vec<Note>,
    pub(crate) options: Options,
    /// The format all files are read as, if it was given.
    pub(crate) format: Option<&'static Format>,
    /// Only the first records of a file will be looked at.
    pub(crate) glance: bool,
}

/// The archives that files belong to.
#[derive(Default)]
struct Families {
    /// Folders with a manifest, and the first file of each.
    archives: HashMap<PathBuf, u64>,
    /// Folders looked at.
    known: HashMap<PathBuf, Option<PathBuf>>,
}

impl Families {
    /// The first file of the archive that holds this one.
    fn of(&mut self, path: &Path, number: u64) -> u64 {
        let folder = path.parent().unwrap_or(Path::new(""));
        if !self.known.contains_key(folder) {
            // Folders of archives lie in one or two folders of partitions.
            let found = folder.ancestors().take(4).find(|f| f.join(archive::MANIFEST).is_file());
            self.known.insert(folder.to_owned(), found.map(Path::to_owned));
        }
        match &self.known[folder] {
            Some(archive) => *self.archives.entry(archive.clone()).or_insert(number),
            None => number,
        }
    }
}

/// Members of an archive that get a place of their own in source order, at most.
const MOST_MEMBERS: u64 = 1 << 20;

/// Finds the files behind `paths`: files, directories, patterns, and `-` for standard input.
///
/// Reads no content yet. Fails if a path does not exist or cannot be read, if a directory or a pattern has no file
/// behind it that may be a log, or if `options.format` names no format. An empty file is fine: it has no records.
pub fn open(paths: &[PathBuf], options: Options) -> Result<Files, Error> {
    let format = match &options.format {
        None => None,
        Some(name) => Some(formats::named(name).ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
            let why = format!("no such format; there are: {}", names.join(", "));
            Error::Input { file: name.clone(), offset: None, why }
        })?),
    };
    let (found, notes) = discover(paths)?;
    let span = (1 << (u64::BITS - OFFSET_BITS)) / (found.len() as u64 + 1);
    let span = span.clamp(1, MOST_MEMBERS);
    let mut families = Families::default();
    let inputs = (0..).step_by(span as usize).zip(found).map(|(number, found)| {
        let family = families.of(&found.path, number);
        let mut input = Input::new(found, (number, span), &options);
        input.family = family;
        Arc::new(input)
    });
    Ok(Files { inputs: inputs.collect(), notes, options, format, glance: false })
}

impl Files {
    /// The files, in the order in which they are read.
    pub fn inputs(&self) -> &[Arc<Input>] {
        &self.inputs
    }

    /// What was left out while looking for files, and why. What is found inside files is noted in the counters of a run.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What a file is taken for, going by its content.
    pub fn detect(&self, input: &Input) -> Result<Detected, Error> {
        let content = Content::open(input, true)?;
        let format = self.format.unwrap_or_else(|| formats::sniff(&content.head));
        let at_end = container::sniff_end(&content.body);
        let table = match content.body {
            Body::Plain(stored) if matches!(format.reader, Reader::Whole(_)) => {
                columnar::format(stored.bytes().clone())
            }
            _ => None,
        };
        let container = container::sniff(&content.head).or(at_end);
        Ok(Detected { format: table.unwrap_or(format), codec: content.codec, container })
    }

    /// The format of a file of records, and the fields its text may have: those the format is known for, and those its header
    /// names. Of an archive whose members may be anything, those of every format of text.
    pub(crate) fn fields_of_text(&self, input: &Arc<Input>) -> Result<Vec<(&'static str, Vec<String>)>, Error> {
        let content = Content::open(input, true)?;
        if self.format.is_none() && container::sniff(&content.head).is_some() {
            return Ok(FORMATS.iter().map(|format| (format.name, fields_of(format, Vec::new()))).collect());
        }
        let format = self.format.unwrap_or_else(|| formats::sniff(&content.head));
        let Reader::Records(open) = &format.reader else { return Ok(Vec::new()) };
        let (scan, counters) = (Scan::default(), Counters::default());
        let pass = Pass {
            input: Arc::clone(input),
            scan: &scan,
            counters: Arc::new(Tally::new(&counters, input)),
            options: &self.options,
            memory: Arc::default(),
            tap: None,
        };
        let names = open(&pass, &Head::new(&content.head)).names();
        Ok(vec![(format.name, fields_of(format, names))])
    }

    /// Those of the files that are taken for one of these formats, numbered as they are here. Files that cannot be looked at
    /// stay, to be reported when they are read; archives stay for their members.
    pub fn of_formats(&self, formats: &[&'static Format]) -> Files {
        let chosen = self.only(|input| {
            self.detect(input)
                .map_or(true, |found| found.container.is_some() || formats.iter().any(|f| f.name == found.format.name))
        });
        Files { notes: self.notes.clone(), ..chosen }
    }
}

impl Files {
    /// A pass over the files from number `first` on that `tap` takes part in. Morsels are those of single chunks.
    pub(crate) fn tapped<'a>(
        &'a self,
        scan: &'a Scan,
        counters: &'a Counters,
        first: usize,
        tap: &'a dyn Tap,
    ) -> Sequence<'a> {
        Sequence::new(self, scan, counters, first, Some(tap))
    }
}

impl Source for Files {
    fn open<'a>(&'a self, scan: &'a Scan<'a>, counters: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error> {
        Ok(Box::new(Sequence::new(self, scan, counters, 0, None)))
    }

    fn size(&self) -> Option<u64> {
        self.inputs.iter().map(|i| i.size).sum()
    }
}

/// Says so where a file is not what its name claims, unless all files are read as what was given.
fn note_claim(pass: &Pass<'_>, codec: Option<&Codec>, container: Option<&Container>, is_parquet: bool) {
    if pass.options.format.is_none()
        && let Some(why) = claims::untrue(&pass.input.stream, codec, container, is_parquet)
    {
        pass.note(Weight::Notice, None, why);
    }
}

/// The fields a format is known for, and more names that are none of those spelled otherwise.
fn fields_of(format: &Format, more: Vec<String>) -> Vec<String> {
    let mut fields: Vec<String> =
        format.fields.names().into_iter().filter(|name| !name.starts_with('@')).map(String::from).collect();
    let others = more.into_iter().filter(|name| !fields.iter().any(|field| text::same(field, name)));
    let others: Vec<String> = others.collect();
    fields.extend(others);
    fields
}

/// A compressed file from this size on is shared out chunk by chunk, if no other files are left to read beside it.
const SHARE_FROM: u64 = 8 << 20;

/// What is said of a file without content.
pub(crate) const EMPTY: &str = "empty";

/// Decompressed bytes that are scanned at a time by a worker that has the file to itself: they stay in its cache.
const CACHED_CHUNK: usize = 256 << 10;

/// What a file is to those who hand out its morsels.
pub(crate) enum Begun<'a> {
    /// There is nothing to read.
    Nothing,
    /// One piece of work.
    Morsel(Box<dyn Morsel + 'a>),
    /// Pieces to share out.
    Queue(Box<dyn Queue<'a> + 'a>),
}

/// A file as one morsel, not opened yet.
struct Unopened<'a> {
    pass: Pass<'a>,
    files: &'a Files,
}

/// A file as one morsel.
struct Single<'a>(Box<dyn Queue<'a> + 'a>);

impl Morsel for Single<'_> {
    fn read(mut self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        read_all(&mut *self.0, out)
    }
}

impl Morsel for Unopened<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        match self.files.start(self.pass, false)? {
            Some((mut queue, _)) => read_all(&mut *queue, out),
            None => Ok(Flow::More),
        }
    }
}

/// The morsels of a file, and whether workers may share them.
type Started<'a> = (Box<dyn Queue<'a> + 'a>, bool);

impl Files {
    /// Begins a file. One that is one piece of work anyway is opened by the worker that takes it, not under the lock of
    /// those who hand out. `last`: no file follows it.
    pub(crate) fn begin<'a>(&'a self, pass: Pass<'a>, last: bool) -> Result<Begun<'a>, Error> {
        if pass.input.size.is_some_and(|size| size <= self.options.morsel as u64) {
            return Ok(Begun::Morsel(Box::new(Unopened { pass, files: self })));
        }
        Ok(match self.start(pass, last)? {
            None => Begun::Nothing,
            Some((queue, true)) => Begun::Queue(queue),
            Some((queue, false)) => Begun::Morsel(Box::new(Single(queue))),
        })
    }

    /// Begins a member of an archive that is being decompressed: its morsels must be asked for in order.
    pub(crate) fn begin_streamed<'a>(
        &'a self,
        pass: Pass<'a>,
        content: Content,
    ) -> Result<Option<Box<dyn Queue<'a> + 'a>>, Error> {
        let started = self.forgiving(pass, &mut None, |pass, _| self.start_content(pass, content, true))?;
        Ok(started.map(|(queue, _)| queue))
    }

    /// Opens a file for a pass. One that cannot be read is damage, not an error, as long as there are others and the run
    /// is not strict; it then has no morsels. `last`: no file follows it.
    fn start<'a>(&'a self, pass: Pass<'a>, last: bool) -> Result<Option<Started<'a>>, Error> {
        let mut stored = None;
        self.forgiving(pass, &mut stored, |pass, stored| {
            let content = Content::open(&pass.input, self.glance)?;
            stored.clone_from(&content.stored);
            self.start_content(pass, content, last)
        })
    }

    fn forgiving<'a>(
        &'a self,
        pass: Pass<'a>,
        stored: &mut Option<Arc<Stored>>,
        start: impl FnOnce(Pass<'a>, &mut Option<Arc<Stored>>) -> Result<Option<Started<'a>>, Error>,
    ) -> Result<Option<Started<'a>>, Error> {
        let forgive = self.is_one_of_many(&pass) && !self.options.strict;
        let (offset, why) = match start(pass.clone(), stored) {
            Err(Error::Input { offset, why, .. }) if forgive => (offset, why),
            Err(Error::Io { source, .. }) if forgive => (None, format!("cannot be read: {source}")),
            Ok(Some((queue, shared))) => {
                return Ok(Some((Box::new(Counted { queue, pass, stored: stored.take() }), shared)));
            }
            other => return other,
        };
        pass.note(Weight::Damage, offset, why);
        Ok(None)
    }

    /// True if there are other files, or other members of an archive, to go on with.
    fn is_one_of_many(&self, pass: &Pass<'_>) -> bool {
        self.inputs.len() > 1 || pass.input.depth > 0
    }

    fn start_content<'a>(&'a self, pass: Pass<'a>, content: Content, last: bool) -> Result<Option<Started<'a>>, Error> {
        let Content { codec, head, body, findings, stored: _ } = content;
        if head.is_empty() && findings.is_empty() {
            // What is compressed may well be nothing.
            match claims::cut_off(&pass.input.stream).filter(|_| codec.is_none()) {
                Some(what) => {
                    let message = format!("truncated: empty, which no {what} file is");
                    finding(&pass, &Finding { weight: Weight::Damage, offset: 0, message, lost: 0 })?;
                }
                None => pass.note(Weight::Notice, None, EMPTY),
            }
        }
        for found in &findings {
            finding(&pass, found)?;
        }
        if head.is_empty() {
            // Nothing comes out of it, but it was read.
            Counters::add(&pass.counters.input_bytes, pass.input.size.unwrap_or(0));
            pass.counters.flush();
            return Ok(None);
        }
        if let Some(container) = container::sniff(&head).or_else(|| container::sniff_end(&body))
            && self.format.is_none()
        {
            if pass.input.depth >= container::MAX_DEPTH {
                let why = format!("skipped: an archive within {} archives", container::MAX_DEPTH);
                pass.note(Weight::Notice, None, why);
                return Ok(None);
            }
            pass.counters.taken_for(container.name, codec.map(|c| c.name));
            note_claim(&pass, codec, Some(container), false);
            return Ok(Some((container::open(container, self, pass, head, body)?, true)));
        }
        let format = match (self.format, formats::no_log(&head)) {
            (Some(format), _) => format,
            (None, None) => formats::sniff(&head),
            (None, Some((what, Weight::Notice))) if self.is_one_of_many(&pass) => {
                pass.note(Weight::Notice, None, format!("skipped: {what}"));
                return Ok(None);
            }
            (None, Some((what, _))) => {
                return Err(Error::Input {
                    file: pass.input.shown.clone(),
                    offset: None,
                    why: format!("not a log: {what}"),
                });
            }
        };
        note_claim(&pass, codec, None, matches!(format.reader, Reader::Whole(_)));
        let filled = pass.clone();
        let (queue, shared): Started<'a> = match (&format.reader, body) {
            (Reader::Whole(open), body) => {
                let bytes = match body {
                    Body::Plain(stored) => stored.bytes().clone(),
                    Body::Decoded(decoder, state) => decode_all(&pass, decoder, head, state)?.into(),
                };
                let queue = open(pass, bytes);
                // Whoever reads a table may know better what it holds.
                filled.counters.taken_for(format.name, codec.map(|c| c.name));
                (queue?, true)
            }
            (Reader::Records(open), Body::Plain(stored)) => {
                let records = pass.tapped(format, open(&pass, &Head::new(&head))).into();
                (Box::new(Plain::new(pass, records, stored)), true)
            }
            (Reader::Records(open), Body::Decoded(mut decoder, state)) => {
                if pass.tap.is_some() {
                    decoder.expect_all();
                }
                let records = pass.tapped(format, open(&pass, &Head::new(&head))).into();
                // With other files to read at the same time, a worker keeps this one: chunks stay in its cache.
                let shared = pass.tap.is_some() || last && pass.input.size.is_none_or(|size| size >= SHARE_FROM);
                let chunk = if shared { pass.options.morsel } else { pass.options.morsel.min(CACHED_CHUNK) };
                (Box::new(Stream::new(pass, records, decoder, (head, state), chunk)), shared)
            }
        };
        filled.counters.taken_for(format.name, codec.map(|c| c.name));
        // Formats that are read whole see to this themselves.
        let queue = if let Reader::Whole(_) = format.reader { queue } else { partitions::fill(&filled, queue) };
        Ok(Some((queue, shared)))
    }
}
