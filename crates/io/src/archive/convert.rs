//! Converting: workers take chunks apart, rows are gathered in source order, groups are encoded and written in order.
//!
//! ```text
//! files ──(any worker)──▶ blocks ──(in order)──▶ groups ──(any worker)──▶ encoded ──(in order)──▶ files of the archive
//! ```
//!
//! A worker that is too far ahead of the order waits, so a few blocks and a few groups are all there is in memory.

use super::block::{Block, Layouts};
use super::encode::{self, Encoder, File, Group};
use super::gather::{Form, Gatherer, Job, Partition, Place};
use super::manifest::{FileEntry, InputEntry, Loss, MANIFEST, Manifest, Part, VERSION};
use super::output::{Faults, Target, hex};
use super::tap::{self, Take, Tap, Tapped, WANT};
use crate::bytes::io_error;
use crate::files::{Files, Input};
use crate::formats::{Pass, Records};
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::source::{Flow, Morsels, Note, Scan, Weight};
use backsight_engine::value::column::Batch;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

/// How to convert.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder or file to make.
    pub target: PathBuf,
    /// Folders of a folder.
    pub partition: Partition,
    /// Replace what is there.
    pub force: bool,
    /// Go on where an earlier run was stopped.
    pub resume: bool,
    /// Stored bytes of inputs after which files are closed and settled for good.
    pub part_bytes: u64,
    /// Bytes of memory to stay below.
    pub memory: u64,
    /// Worker threads.
    pub threads: usize,
    /// The command, for the manifest.
    pub command: Vec<String>,
    /// For tests.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            target: PathBuf::new(),
            partition: Partition::Day,
            force: false,
            resume: false,
            part_bytes: 512 << 20,
            memory: 1 << 30,
            threads: 1,
            command: Vec::new(),
            faults: Faults::default(),
        }
    }
}

impl Settings {
    /// True if the target is one file.
    pub fn is_single(&self) -> bool {
        self.target.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
    }

    fn form(&self) -> Form {
        // A group is held as chunks while it waits, as columns while it is encoded, and encoded; one waits, and each
        // worker has one.
        let group_bytes = (self.memory / (4 * (self.threads as u64 + 1))).clamp(4 << 20, 96 << 20) as usize;
        let partition = if self.is_single() { Partition::None } else { self.partition };
        Form { partition, group_bytes, part_bytes: self.part_bytes, single: self.is_single() }
    }
}

/// What a conversion did.
#[derive(Clone, Debug)]
pub struct Converted {
    /// As written.
    pub manifest: Manifest,
    /// Inputs that an earlier run had converted.
    pub resumed: usize,
}

/// Bytes of a file of an archive after which the next one is begun.
const FILE_BYTES: u64 = 512 << 20;

/// Name of the list of parts that are settled.
const JOURNAL: &str = "journal";

/// Converts files to an archive.
///
/// # Errors
/// [`Error::Input`] where the target may not be written, [`Error::Io`] for the disk, [`Error::Cancelled`]. Nothing is then
/// under the target's name. Damage in the input is noted in the counters of `ctl` and in the manifest.
pub fn convert(files: &Files, settings: &Settings, ctl: &Ctl) -> Result<Converted, Error> {
    let target = Target::claim(&settings.target, settings.force, settings.resume, settings.faults.clone())?;
    let parts = if settings.resume { settled(&target, files)? } else { Vec::new() };
    let resumed = parts.last().map_or(0, |p| p.next_input);
    let pipeline = Pipeline::new(settings, target, parts);
    let result = pipeline.run(files, resumed, ctl);
    let mut state = pipeline.writing.into_inner().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(()) => {}
        Err(error) => {
            match error {
                Error::Cancelled if !state.parts.is_empty() => state.target.keep(),
                _ => state.target.discard(),
            }
            return Err(error);
        }
    }
    let manifest = manifest(files, settings, state.parts, ctl);
    publish(state.target, settings, &manifest)?;
    Ok(Converted { manifest, resumed })
}

/// The parts an earlier run has settled, checked against the disk.
fn settled(target: &Target, files: &Files) -> Result<Vec<Part>, Error> {
    let text = std::fs::read_to_string(target.work().join(JOURNAL)).unwrap_or_default();
    let mut parts: Vec<Part> = Vec::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let Ok(part) = serde_json::from_str::<Part>(line) else { break };
        let from = parts.last().map_or(0, |p| p.next_input);
        let same = part.next_input <= files.inputs().len()
            && part.inputs.iter().all(|entry| {
                files.inputs()[from..part.next_input].iter().any(|input| {
                    input.shown == entry.path && input.size == entry.size && modified(&input.path) == entry.modified
                })
            })
            && part.files.iter().all(|file| {
                sha256_of(&target.work().join(&file.path))
                    .is_ok_and(|(sum, bytes)| sum == file.sha256 && bytes == file.bytes)
            });
        if !same {
            break;
        }
        parts.push(part);
    }
    let mut known: Vec<&str> = parts.iter().flat_map(|p| p.files.iter().map(|f| f.path.as_str())).collect();
    known.push(JOURNAL);
    target.retain(&known)?;
    // Parts that did not stand up are not to be found by the next run either.
    std::fs::remove_file(target.work().join(JOURNAL)).ok();
    for part in &parts {
        target.append(JOURNAL, &line(part)?)?;
    }
    Ok(parts)
}

fn line(part: &Part) -> Result<String, Error> {
    let text = serde_json::to_string(part).map_err(|e| Error::Bug(e.to_string()))?;
    Ok(text + "\n")
}

fn manifest(files: &Files, settings: &Settings, parts: Vec<Part>, ctl: &Ctl) -> Manifest {
    let notes: Vec<Note> = {
        let mut notes = ctl.counters.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.extend_from_slice(files.notes());
        notes.sort();
        notes.dedup();
        notes
    };
    let loss = |note: &Note| Loss { path: note.file.clone(), offset: note.offset, why: note.message.clone() };
    let mut inputs: Vec<InputEntry> = Vec::new();
    let mut outputs = Vec::new();
    let records = parts.last().map_or(0, |p| p.next_record);
    for part in parts {
        inputs.extend(part.inputs);
        outputs.extend(part.files);
    }
    for entry in &mut inputs {
        let of_it = |note: &&Note| note.file == entry.path && note.weight == Weight::Damage;
        let losses: Vec<Loss> = notes.iter().filter(of_it).map(loss).collect();
        if !losses.is_empty() {
            entry.losses = losses;
        }
    }
    let mut skipped: Vec<Loss> = Vec::new();
    let is_input = |path: &str, inputs: &[InputEntry]| inputs.iter().any(|entry| entry.path == path);
    for input in files.inputs() {
        if input.size == Some(0) && !is_input(&input.shown, &inputs) {
            let empty = hex(&Sha256::new().finalize());
            inputs.push(InputEntry {
                sha256_stored: Some(empty.clone()),
                sha256: empty,
                first: records,
                ..entry(input, "", false)
            });
        }
    }
    skipped.extend(notes.iter().filter(|note| !is_input(&note.file, &inputs)).map(loss));
    Manifest {
        version: VERSION,
        tool: concat!("backsight ", env!("CARGO_PKG_VERSION")).into(),
        command: settings.command.clone(),
        records,
        inputs,
        skipped,
        files: outputs,
    }
}

fn publish(target: Target, settings: &Settings, manifest: &Manifest) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(manifest).map_err(|e| Error::Bug(e.to_string()))?;
    let mut file = target.create(MANIFEST)?;
    let write = |e| super::output::io_error(&settings.target, e);
    file.write_all(&text).map_err(write)?;
    file.finish().map_err(write)?;
    if !settings.is_single() {
        target.retain(&manifest.files.iter().map(|f| f.path.as_str()).chain([MANIFEST]).collect::<Vec<_>>())?;
        return target.finish_folder();
    }
    let mut renames = vec![(MANIFEST, Manifest::beside(&settings.target))];
    renames.extend(manifest.files.iter().map(|f| (f.path.as_str(), settings.target.clone())));
    target.finish_files(&renames)
}

/// SHA-256 and size of a file.
pub(crate) fn sha256_of(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 18], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex(&hash.finalize()), bytes)),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// Modification time of a file in milliseconds.
pub(crate) fn modified(path: &Path) -> Option<i64> {
    let time = std::fs::metadata(path).ok()?.modified().ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_millis() as i64)
}

fn entry(input: &Input, format: &str, is_table: bool) -> InputEntry {
    InputEntry {
        is_table,
        path: input.shown.clone(),
        log: input.log.clone(),
        stream: input.stream.clone(),
        format: format.to_owned(),
        size: input.size,
        modified: input.size.and_then(|_| modified(&input.path)),
        partitions: input.partitions.clone(),
        ..InputEntry::default()
    }
}

/// Everything workers share.
struct Pipeline<'s> {
    settings: &'s Settings,
    layouts: Layouts,
    gathering: Mutex<Gathering>,
    /// Told when the next in order may go on.
    turn: Condvar,
    writing: Mutex<Writing>,
    stop: AtomicBool,
}

/// The order of blocks.
struct Gathering {
    gatherer: Gatherer,
    /// The ticket whose blocks are next.
    next: u64,
    /// Blocks that came too early.
    early: BTreeMap<u64, Early>,
    /// Bytes of them.
    early_bytes: usize,
    jobs: u64,
}

#[derive(Default)]
struct Early {
    blocks: Vec<(Arc<Input>, &'static str, Block)>,
    ended: bool,
}

/// The order of what is written.
struct Writing {
    target: Target,
    parts: Vec<Part>,
    next: u64,
    early: BTreeMap<u64, Done>,
    open: HashMap<Place, File>,
    /// Files of places so far, for their names.
    begun: HashMap<Place, u32>,
    closed: Vec<FileEntry>,
}

/// A job that is done.
enum Done {
    Group(Place, Arc<Encoder>, Group),
    Part(Part),
}

thread_local! {
    /// The ticket of the morsel this thread reads.
    static TICKET: Cell<u64> = const { Cell::new(0) };
}

/// A tap that hands blocks to the pipeline.
struct Listener<'p> {
    layouts: &'p Layouts,
    take: &'p Take<'p>,
}

impl std::fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Tap for Listener<'_> {
    fn tap<'a>(
        &'a self,
        pass: &Pass<'a>,
        format: &'static str,
        records: Box<dyn Records + 'a>,
    ) -> Box<dyn Records + 'a> {
        Box::new(Tapped { pass: pass.clone(), format, records, layouts: self.layouts, take: self.take })
    }

    fn rows(&self, pass: &Pass<'_>, format: &'static str, rows: &Batch) -> Result<Flow, Error> {
        match tap::lines(pass, format, rows, self.layouts) {
            Some(block) => (self.take)(&pass.input, format, block),
            None => Ok(Flow::More),
        }
    }
}

impl<'s> Pipeline<'s> {
    fn new(settings: &'s Settings, target: Target, parts: Vec<Part>) -> Pipeline<'s> {
        let gatherer = Gatherer::new(settings.form(), &parts);
        Pipeline {
            settings,
            layouts: Layouts::default(),
            gathering: Mutex::new(Gathering { gatherer, next: 0, early: BTreeMap::new(), early_bytes: 0, jobs: 0 }),
            turn: Condvar::new(),
            writing: Mutex::new(Writing {
                target,
                parts,
                next: 0,
                early: BTreeMap::new(),
                open: HashMap::new(),
                begun: HashMap::new(),
                closed: Vec::new(),
            }),
            stop: AtomicBool::new(false),
        }
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Converts the inputs from number `first` on.
    fn run(&self, files: &Files, first: usize, ctl: &Ctl) -> Result<(), Error> {
        let scan = Scan { want: WANT.to_vec(), ..Scan::default() };
        let take = |input: &Arc<Input>, format, block| self.take(input, format, block, ctl);
        let listener = Listener { layouts: &self.layouts, take: &take };
        let morsels = files.tapped(&scan, &ctl.counters, first, &listener);
        let tickets = Mutex::new(0);
        let work = || -> Result<(), Error> {
            while let Some((ticket, morsel)) = next(&*morsels, &tickets) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if ctl.cancelled() {
                    return Err(Error::Cancelled);
                }
                TICKET.set(ticket);
                morsel.read(&mut |_| Ok(Flow::More))?;
                self.end(ticket)?;
            }
            Ok(())
        };
        let guarded = || {
            let result = work();
            if result.is_err() {
                self.stop.store(true, Ordering::Relaxed);
                self.turn.notify_all();
            }
            result
        };
        let results: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.settings.threads.max(1)).map(|_| scope.spawn(guarded)).collect();
            let died = || Err(Error::Bug("a worker of the conversion failed".into()));
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| died())).collect()
        });
        results.into_iter().collect::<Result<(), Error>>()?;
        if ctl.cancelled() {
            return Err(Error::Cancelled);
        }
        let mut jobs = Vec::new();
        self.gathering().gatherer.finish(files.inputs().len(), &mut jobs)?;
        let jobs = self.numbered(&mut self.gathering(), jobs);
        jobs.into_iter().try_for_each(|(number, job)| self.job(number, job))
    }

    fn numbered(&self, state: &mut Gathering, jobs: Vec<Job>) -> Vec<(u64, Job)> {
        let first = state.jobs;
        state.jobs += jobs.len() as u64;
        (first..).zip(jobs).collect()
    }

    /// Takes a block of the morsel this thread reads.
    fn take(&self, input: &Arc<Input>, format: &'static str, block: Block, ctl: &Ctl) -> Result<Flow, Error> {
        let ticket = TICKET.get();
        let mut state = self.gathering();
        let most = 2 * self.settings.form().group_bytes / 3;
        while state.next != ticket && state.early_bytes > most && !self.stop.load(Ordering::Relaxed) {
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if ctl.cancelled() {
            return Err(Error::Cancelled);
        }
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Flow::Enough);
        }
        if state.next != ticket {
            state.early_bytes += block.data.len();
            state.early.entry(ticket).or_default().blocks.push((Arc::clone(input), format, block));
            return Ok(Flow::More);
        }
        let mut jobs = Vec::new();
        // Blocks of this morsel from before its turn came go first.
        self.admit(&mut state, ticket, &mut jobs)?;
        let is_table = block.is_table;
        state.gatherer.add(input, format, block, || entry(input, format, is_table), &mut jobs)?;
        let jobs = self.numbered(&mut state, jobs);
        drop(state);
        jobs.into_iter().try_for_each(|(number, job)| self.job(number, job))?;
        Ok(Flow::More)
    }

    /// Adds the early blocks of a ticket whose turn has come.
    fn admit(&self, state: &mut Gathering, ticket: u64, jobs: &mut Vec<Job>) -> Result<bool, Error> {
        let Some(early) = state.early.get_mut(&ticket) else { return Ok(false) };
        let ended = early.ended;
        for (input, format, block) in std::mem::take(&mut early.blocks) {
            state.early_bytes -= block.data.len();
            let is_table = block.is_table;
            state.gatherer.add(&input, format, block, || entry(&input, format, is_table), jobs)?;
        }
        Ok(ended)
    }

    /// The morsel of a ticket has been read.
    fn end(&self, ticket: u64) -> Result<(), Error> {
        let mut state = self.gathering();
        if state.next != ticket {
            state.early.entry(ticket).or_default().ended = true;
            return Ok(());
        }
        let mut jobs = Vec::new();
        self.admit(&mut state, ticket, &mut jobs)?;
        state.early.remove(&ticket);
        state.next += 1;
        loop {
            let next = state.next;
            if !self.admit(&mut state, next, &mut jobs)? {
                break;
            }
            state.early.remove(&next);
            state.next += 1;
        }
        let jobs = self.numbered(&mut state, jobs);
        drop(state);
        self.turn.notify_all();
        jobs.into_iter().try_for_each(|(number, job)| self.job(number, job))
    }

    fn job(&self, number: u64, job: Job) -> Result<(), Error> {
        let done = match job {
            Job::Group { place, encoder, runs, partitions } => {
                let group = encoder.encode(&runs, partitions);
                Done::Group(place, encoder, group.map_err(|e| encode::error(&self.settings.target, e))?)
            }
            Job::Part(mut part) => {
                stored_sums(&mut part.inputs)?;
                Done::Part(part)
            }
        };
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.early.insert(number, done);
        while let Some(done) = {
            let next = writing.next;
            writing.early.remove(&next)
        } {
            writing.next += 1;
            writing.write(done, self.settings)?;
        }
        Ok(())
    }
}

impl Writing {
    fn write(&mut self, done: Done, settings: &Settings) -> Result<(), Error> {
        let fail = |e| encode::error(&settings.target, e);
        match done {
            Done::Group(place, encoder, group) => {
                let file = match self.open.entry(place.clone()) {
                    std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        let number = self.begun.entry(place.clone()).and_modify(|n| *n += 1).or_insert(0);
                        let output = self.target.create(&name(&place, *number))?;
                        entry.insert(File::new(output, &encoder, group.first).map_err(fail)?)
                    }
                };
                file.append(group).map_err(fail)?;
                if file.bytes() >= FILE_BYTES && !settings.is_single() {
                    self.close(&place, settings)?;
                }
            }
            Done::Part(mut part) => {
                let mut places: Vec<Place> = self.open.keys().cloned().collect();
                places.sort();
                places.iter().try_for_each(|place| self.close(place, settings))?;
                part.files = std::mem::take(&mut self.closed);
                part.files.sort_by_key(|f| f.first);
                self.begun.clear();
                self.target.append(JOURNAL, &line(&part)?)?;
                self.parts.push(part);
            }
        }
        Ok(())
    }

    fn close(&mut self, place: &Place, settings: &Settings) -> Result<(), Error> {
        let Some(file) = self.open.remove(place) else { return Ok(()) };
        let number = self.begun.get(place).copied().unwrap_or_default();
        let (rows, first) = (file.rows, file.first);
        let facts = serde_json::json!({
            "version": VERSION, "format": place.format, "partitions": file.partitions, "filters": file.filters,
        });
        let facts = facts.to_string();
        let written = file.finish(facts).map_err(|e| encode::error(&settings.target, e))?;
        self.closed.push(FileEntry {
            path: name(place, number),
            rows,
            bytes: written.bytes,
            sha256: written.sha256,
            first,
            format: place.format.to_owned(),
        });
        Ok(())
    }
}

/// The name of the `n`th file of a place.
fn name(place: &Place, n: u32) -> String {
    let Place { folder, format, part, version } = place;
    format!("{folder}{format}-{part:05}-{version:02}{n:02}.parquet")
}

fn next<'m>(
    morsels: &'m dyn Morsels,
    tickets: &Mutex<u64>,
) -> Option<(u64, Box<dyn backsight_engine::source::Morsel + 'm>)> {
    let mut ticket = tickets.lock().unwrap_or_else(PoisonError::into_inner);
    let morsel = morsels.next()?;
    *ticket += 1;
    Some((*ticket - 1, morsel))
}

/// Fills in the hashes of inputs as stored.
fn stored_sums(inputs: &mut [InputEntry]) -> Result<(), Error> {
    let mut last: Option<(String, String)> = None;
    for entry in inputs {
        if entry.size.is_none() {
            continue;
        }
        if entry.size == Some(entry.bytes) && !entry.is_table {
            // Not compressed: what was read is what is stored.
            entry.sha256_stored = Some(entry.sha256.clone());
            continue;
        }
        if last.as_ref().is_none_or(|(path, _)| *path != entry.path) {
            let (sum, _) = sha256_of(Path::new(&entry.path)).map_err(|e| io_error(&entry.path, e))?;
            last = Some((entry.path.clone(), sum));
        }
        entry.sha256_stored = last.as_ref().map(|(_, sum)| sum.clone());
    }
    Ok(())
}
