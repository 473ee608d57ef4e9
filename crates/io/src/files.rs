//! Many files as one source: which there are, opening them one after another, handing out their morsels.

use crate::Options;
use crate::archive::{self, Tap};
use crate::bytes::{Stored, io_error};
use crate::codec::{self, Again, Codec, Decoder, Feed, Finding, Identity, State, Utf16};
use crate::columnar;
use crate::discover::{Origin, discover};
use crate::formats::{self, FORMATS, Format, HEAD, Memory, Pass, Queue, Reader};
use crate::head::Head;
use crate::partitions;
use crate::records::{Broken, Plain, Stream, finding, read_all};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Flow, Morsel, Morsels, Note, Scan, Source, Weight};
use backsight_engine::value::column::{Batch, OFFSET_BITS};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One file of a source.
#[derive(Debug)]
pub struct Input {
    /// Its number in source order.
    pub number: u64,
    /// The number of the first file of the archive it belongs to; its own if it is of none.
    pub family: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its name for people.
    pub shown: String,
    /// `@log` of its events, unless they have their own.
    pub log: String,
    /// `@logStream` of its events, unless they have their own.
    pub stream: String,
    /// Fields its folders give: `year=2024/…`.
    pub partitions: Vec<(String, String)>,
    /// Bytes as stored; `None` for a pipe.
    pub size: Option<u64>,
    origin: Origin,
    /// What a pipe held, once it has been read.
    drained: OnceLock<Arc<Stored>>,
}

impl Input {
    /// An input that is not read from its file.
    pub(crate) fn elsewhere(log: String, stream: String) -> Input {
        Input {
            number: 0,
            family: 0,
            path: PathBuf::new(),
            shown: stream.clone(),
            log,
            stream,
            partitions: Vec::new(),
            size: None,
            origin: Origin::Pipe,
            drained: OnceLock::new(),
        }
    }

    /// Position of the record at `offset` of the (decompressed) file, or of that row number.
    pub fn position(&self, offset: u64) -> u64 {
        (self.number << OFFSET_BITS) + offset
    }

    pub(crate) fn stored(&self) -> Result<Arc<Stored>, Error> {
        let fail = |e| io_error(&self.shown, e);
        if let Origin::File(_) = self.origin {
            return Ok(Arc::new(Stored::open(&self.path).map_err(fail)?));
        }
        if let Some(stored) = self.drained.get() {
            return Ok(Arc::clone(stored));
        }
        let stored = match self.origin {
            Origin::Stdin => Stored::drain(std::io::stdin().lock()),
            _ => File::open(&self.path).and_then(Stored::drain),
        };
        let stored = Arc::new(stored.map_err(fail)?);
        Ok(Arc::clone(self.drained.get_or_init(|| stored)))
    }
}

/// What a file was taken for.
#[derive(Clone, Copy, Debug)]
pub struct Detected {
    /// Its format.
    pub format: &'static Format,
    /// Its compression.
    pub codec: Option<&'static Codec>,
}

/// The files behind some paths.
#[derive(Debug)]
pub struct Files {
    pub(crate) inputs: Vec<Arc<Input>>,
    pub(crate) notes: Vec<Note>,
    pub(crate) options: Options,
    /// The format all files are read as, if it was given.
    pub(crate) format: Option<&'static Format>,
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
    let mut families = Families::default();
    let inputs = found.into_iter().enumerate().map(|(number, found)| {
        Arc::new(Input {
            number: number as u64,
            family: families.of(&found.path, number as u64),
            shown: if found.origin == Origin::Stdin {
                "standard input".into()
            } else {
                found.path.to_string_lossy().into_owned()
            },
            log: options.log.clone().unwrap_or(found.root),
            partitions: partitions::of(&found.path),
            path: found.path,
            stream: found.below,
            size: if let Origin::File(size) = found.origin { Some(size) } else { None },
            origin: found.origin,
            drained: OnceLock::new(),
        })
    });
    Ok(Files { inputs: inputs.collect(), notes, options, format })
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
        let content = Content::open(input)?;
        let format = self.format.unwrap_or_else(|| formats::sniff(&content.head));
        let table = match content.body {
            Body::Plain(stored) if matches!(format.reader, Reader::Whole(_)) => {
                columnar::format(stored.bytes().clone())
            }
            _ => None,
        };
        Ok(Detected { format: table.unwrap_or(format), codec: content.codec })
    }

    /// Those of the files that are taken for one of these formats, numbered as they are here. Files that cannot be looked at
    /// stay, to be reported when they are read.
    pub fn only(&self, formats: &[&'static Format]) -> Files {
        let is = |input: &Arc<Input>| {
            self.detect(input).map_or(true, |found| formats.iter().any(|f| f.name == found.format.name))
        };
        let inputs = self.inputs.iter().filter(|input| is(input)).cloned().collect();
        Files { inputs, notes: self.notes.clone(), options: self.options.clone(), format: self.format }
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
    ) -> Box<dyn Morsels + 'a> {
        let state = Mutex::new(Handout { next: first, queue: None });
        Box::new(Sequence { files: self, scan, counters, memory: Arc::default(), tap: Some(tap), state })
    }
}

impl Source for Files {
    fn open<'a>(&'a self, scan: &'a Scan<'a>, counters: &'a Counters) -> Result<Box<dyn Morsels + 'a>, Error> {
        let state = Mutex::new(Handout { next: 0, queue: None });
        Ok(Box::new(Sequence { files: self, scan, counters, memory: Arc::default(), tap: None, state }))
    }

    fn size(&self) -> Option<u64> {
        self.inputs.iter().map(|i| i.size).sum()
    }
}

/// The queue of one pass over all files.
struct Sequence<'a> {
    files: &'a Files,
    scan: &'a Scan<'a>,
    counters: &'a Counters,
    memory: Arc<Memory>,
    tap: Option<&'a dyn Tap>,
    state: Mutex<Handout<'a>>,
}

struct Handout<'a> {
    /// The file after the one being handed out.
    next: usize,
    queue: Option<Box<dyn Queue<'a> + 'a>>,
}

/// A compressed file from this size on is shared out chunk by chunk, if no other files are left to read beside it.
const SHARE_FROM: u64 = 8 << 20;

/// Decompressed bytes that are scanned at a time by a worker that has the file to itself: they stay in its cache.
const CACHED_CHUNK: usize = 256 << 10;

impl Morsels for Sequence<'_> {
    fn next(&self) -> Option<Box<dyn Morsel + '_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(morsel) = state.queue.as_mut().and_then(|q| q.next()) {
                return Some(morsel);
            }
            state.queue = None;
            let input = self.files.inputs.get(state.next)?;
            state.next += 1;
            self.counters.reading(&input.shown);
            let pass = Pass {
                input: Arc::clone(input),
                scan: self.scan,
                counters: self.counters,
                options: &self.files.options,
                memory: Arc::clone(&self.memory),
                tap: self.tap,
            };
            let last = state.next == self.files.inputs.len();
            // A file that is one piece of work anyway is opened by the worker that takes it, not under this lock.
            if input.size.is_some_and(|size| size <= self.files.options.morsel as u64) {
                return Some(Box::new(Unopened { pass, files: self.files }));
            }
            match self.files.start(pass, last) {
                Ok(None) => {}
                Ok(Some((queue, true))) => state.queue = Some(queue),
                Ok(Some((queue, false))) => return Some(Box::new(Single(queue))),
                Err(e) => return Some(Box::new(Broken(e))),
            }
        }
    }
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
    /// Opens a file for a pass. One that cannot be read is damage, not an error, as long as there are others and the run
    /// is not strict; it then has no morsels. `last`: no file follows it.
    fn start<'a>(&self, pass: Pass<'a>, last: bool) -> Result<Option<Started<'a>>, Error> {
        let forgive = self.inputs.len() > 1 && !self.options.strict;
        let (offset, why) = match self.try_start(pass.clone(), last) {
            Err(Error::Input { offset, why, .. }) if forgive => (offset, why),
            Err(Error::Io { source, .. }) if forgive => (None, format!("cannot be read: {source}")),
            other => return other,
        };
        pass.note(Weight::Damage, offset, why);
        Ok(None)
    }

    fn try_start<'a>(&self, pass: Pass<'a>, last: bool) -> Result<Option<Started<'a>>, Error> {
        let Content { codec: _, head, body, findings } = Content::open(&pass.input)?;
        if head.is_empty() && findings.is_empty() {
            pass.note(Weight::Notice, None, "empty");
        }
        for found in findings {
            finding(&pass, found.weight, found.offset, &found.message)?;
        }
        if head.is_empty() {
            return Ok(None);
        }
        let format = match (self.format, formats::no_log(&head)) {
            (Some(format), _) => format,
            (None, None) => formats::sniff(&head),
            (None, Some((what, Weight::Notice))) if self.inputs.len() > 1 => {
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
        let filled = pass.clone();
        let (queue, shared): Started<'a> = match (&format.reader, body) {
            (Reader::Whole(open), Body::Plain(stored)) => (open(pass, stored.bytes().clone())?, true),
            (Reader::Whole(open), Body::Decoded(decoder, state)) => {
                let bytes = decode_all(&pass.input, decoder, head, state, pass.options)?;
                (open(pass, bytes.into())?, true)
            }
            (Reader::Records(open), Body::Plain(stored)) => {
                let records = pass.tapped(format, open(&pass, &Head::new(&head))).into();
                (Box::new(Plain::new(pass, records, stored)), true)
            }
            (Reader::Records(open), Body::Decoded(decoder, state)) => {
                let records = pass.tapped(format, open(&pass, &Head::new(&head))).into();
                // With other files to read at the same time, a worker keeps this one: chunks stay in its cache.
                let shared = pass.tap.is_some() || last && pass.input.size.is_none_or(|size| size >= SHARE_FROM);
                let chunk = if shared { pass.options.morsel } else { pass.options.morsel.min(CACHED_CHUNK) };
                (Box::new(Stream::new(pass, records, decoder, (head, state), chunk)), shared)
            }
        };
        // Formats that are read whole see to this themselves.
        let queue = if let Reader::Whole(_) = format.reader { queue } else { partitions::fill(&filled, queue) };
        Ok(Some((queue, shared)))
    }
}

/// A file with its container opened.
struct Content {
    codec: Option<&'static Codec>,
    /// The first bytes, decompressed; at least one unless there are none.
    head: Vec<u8>,
    body: Body,
    /// What was noticed on the way.
    findings: Vec<Finding>,
}

enum Body {
    /// As stored.
    Plain(Arc<Stored>),
    /// What follows the head, and how that ended.
    Decoded(Box<dyn Decoder>, State),
}

/// Compression within compression that is followed.
const MAX_NESTING: usize = 3;

impl Content {
    fn open(input: &Input) -> Result<Content, Error> {
        let stored = input.stored()?;
        let mut head = stored.bytes()[..stored.check(HEAD)].to_vec();
        let mut body = Body::Plain(stored);
        let (mut findings, mut outermost) = (Vec::new(), None);
        let mut depth = 0;
        while let Some(codec) = codec::sniff(&head) {
            if depth == MAX_NESTING {
                let why = format!("compressed more than {MAX_NESTING} times");
                return Err(Error::Input { file: input.shown.clone(), offset: None, why });
            }
            depth += 1;
            outermost = outermost.or(Some(codec));
            let feed = match body {
                Body::Plain(stored) => Feed::new(stored),
                Body::Decoded(decoder, state) => Feed::piped(decoder, head, state),
            };
            (head, body) = start_decoding((codec.open)(feed), &mut findings)?;
        }
        if Utf16::sniff(&head) {
            let bytes: Box<dyn Decoder> = match body {
                Body::Plain(stored) => Box::new(Identity::new(Feed::new(stored))),
                Body::Decoded(decoder, state) => Box::new(Again::new(decoder, head, state)),
            };
            (head, body) = start_decoding(Box::new(Utf16::new(bytes)), &mut findings)?;
        }
        Ok(Content { codec: outermost, head, body, findings })
    }
}

/// Decompresses the first bytes.
fn start_decoding(mut decoder: Box<dyn Decoder>, findings: &mut Vec<Finding>) -> Result<(Vec<u8>, Body), Error> {
    let mut head = vec![0; HEAD];
    let mut len = 0;
    let mut state = State::More;
    while len < HEAD && state == State::More {
        let (n, now) = decoder.fill(&mut head[len..], findings)?;
        len += n;
        state = now;
        // Nothing before the first damage: look behind it.
        if len == 0 && matches!(state, State::Gap | State::Break) {
            state = State::More;
        }
    }
    head.truncate(len);
    Ok((head, Body::Decoded(decoder, state)))
}

/// Decompresses all of a file into memory, for formats that need it so.
fn decode_all(
    input: &Input,
    mut decoder: Box<dyn Decoder>,
    head: Vec<u8>,
    state: State,
    options: &Options,
) -> Result<Vec<u8>, Error> {
    let fail = |offset, why: String| Error::Input { file: input.shown.clone(), offset, why };
    let (mut bytes, mut state) = (head, state);
    let mut findings = Vec::new();
    while state == State::More {
        let len = bytes.len();
        bytes.resize((len * 2).max(1 << 20), 0);
        let (n, now) = decoder.fill(&mut bytes[len..], &mut findings)?;
        bytes.truncate(len + n);
        state = now;
        if bytes.len() as u64 > options.expansion_floor {
            return Err(fail(None, format!("more than {} bytes that are needed at once", options.expansion_floor)));
        }
    }
    if let Some(found) = findings.into_iter().find(|f| f.weight == Weight::Damage) {
        return Err(fail(Some(found.offset), found.message));
    }
    Ok(bytes)
}
