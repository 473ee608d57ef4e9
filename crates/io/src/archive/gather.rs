//! Chunks of inputs in order, gathered into row groups.
//!
//! Blocks arrive in source order, whoever took them apart. Their rows are dealt out to partitions; when a partition has
//! enough of them, or too much is held in all, a job is made of them. What is in a row group, and which columns there
//! are, depends on nothing but the input and the settings: the same files come out whichever worker was faster.

use super::account::differs_from_file;
use super::block::{Block, Row};
use super::columns::{self, Run};
use super::digest::Digest;
use super::encode::{Encoder, GROUP_ROWS};
use super::group::Partitions;
use super::manifest::{InputEntry, Part};
use super::output::hex;
use super::schema::{Field, Schema};
use crate::files::Input;
use backsight_engine::error::Error;
use backsight_engine::value::time::civil_from_days;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// How rows are dealt out to folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Not at all.
    None,
    /// `day=2024-05-01`
    Day,
    /// `day=2024-05-01/hour=13`
    Hour,
    /// `month=2024-05`
    Month,
}

const HOUR: i64 = 3_600_000;

impl Partition {
    /// A number that all times of one partition share.
    fn number(self, time: Option<i64>) -> Option<i64> {
        let time = time.filter(|_| self != Partition::None)?;
        match self {
            Partition::None => None,
            Partition::Hour => Some(time.div_euclid(HOUR)),
            Partition::Day => Some(time.div_euclid(24 * HOUR)),
            Partition::Month => {
                let (year, month, _) = civil_from_days(time.div_euclid(24 * HOUR));
                Some(year * 12 + month - 1)
            }
        }
    }

    /// The folder of that partition, with its slash.
    fn folder(self, number: Option<i64>) -> String {
        const NONE: &str = "__HIVE_DEFAULT_PARTITION__";
        let day = |days: i64| {
            let (year, month, day) = civil_from_days(days);
            format!("{year:04}-{month:02}-{day:02}")
        };
        match (self, number) {
            (Partition::None, _) => String::new(),
            (Partition::Day, Some(n)) => format!("day={}/", day(n)),
            (Partition::Hour, Some(n)) => format!("day={}/hour={:02}/", day(n.div_euclid(24)), n.rem_euclid(24)),
            (Partition::Month, Some(n)) => format!("month={:04}-{:02}/", n.div_euclid(12), n.rem_euclid(12) + 1),
            (Partition::Day, None) => format!("day={NONE}/"),
            (Partition::Hour, None) => format!("day={NONE}/hour={NONE}/"),
            (Partition::Month, None) => format!("month={NONE}/"),
        }
    }
}

/// Which file rows go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub folder: String,
    pub format: &'static str,
    pub part: usize,
    /// Version of the columns.
    pub version: u32,
}

/// Something to be done by whoever is free; its result is put to use in order.
pub(crate) enum Job {
    /// A row group to encode.
    Group { place: Place, encoder: Arc<Settling>, runs: Vec<Run>, partitions: Partitions },
    /// A file was read that is not what came of it: to be hashed.
    Stored(String),
    /// All rows of a part have become groups.
    Part(Part),
}

/// Columns that are settled by looking at the rows of the first group that has them: by whoever needs them first, and not
/// while others wait to have their blocks gathered.
pub(crate) struct Settling {
    /// Of the format; goes up when columns are added.
    version: u32,
    encoder: LazyLock<Settled, Box<dyn FnOnce() -> Settled + Send>>,
}

type Settled = Result<Arc<Encoder>, String>;

impl Settling {
    /// `known`: columns that there are in any case.
    fn new(version: u32, known: Vec<Field>, runs: &[Run]) -> Settling {
        let runs = runs.to_vec();
        let settle = move || {
            let step = (columns::rows(&runs) / LOOKED_AT).max(1);
            let rows =
                runs.iter().flat_map(|run| run.block.rows[run.rows.clone()].iter().map(|row| (&*run.block, row)));
            let schema = Schema::of(&known, rows.step_by(step));
            schema.and_then(Encoder::new).map(Arc::new).map_err(|e| e.to_string())
        };
        Settling { version, encoder: LazyLock::new(Box::new(settle)) }
    }

    pub(crate) fn encoder(&self) -> Result<&Arc<Encoder>, Error> {
        self.encoder.as_ref().map_err(|e| Error::Bug(e.clone()))
    }
}

/// Rows of a partition that are not a group yet.
#[derive(Default)]
struct Waiting {
    runs: Vec<Run>,
    rows: usize,
    bytes: usize,
}

/// What decides about the form of an archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub partition: Partition,
    /// Bytes of records that make a group, if rows do not.
    pub group_bytes: usize,
    /// Stored bytes of inputs that make a part.
    pub part_bytes: u64,
    /// All goes into one file.
    pub single: bool,
}

pub(crate) struct Gatherer {
    form: Form,
    /// Numbers of inputs go up by this; those in between are members of archives.
    span: u64,
    /// The place of the current input, or of the archive it is in, among all inputs.
    place: Option<u64>,
    /// The input being read, and the hash of its stream.
    current: Option<(Arc<Input>, InputEntry, Arc<Digest>)>,
    /// Bytes of it that belong to no record so far.
    carry: Vec<u8>,
    part: usize,
    /// Stored bytes of the inputs of the part.
    stored: u64,
    settled: Vec<InputEntry>,
    /// Number of the current input among those that have any content.
    inputs: u32,
    next_record: u64,
    waiting: BTreeMap<(&'static str, Option<i64>), Waiting>,
    held: usize,
    encoders: BTreeMap<&'static str, Arc<Settling>>,
    /// Columns of formats in earlier parts.
    known: Vec<(String, Vec<Field>)>,
    /// Of the inputs of the part.
    partitions: Partitions,
}

/// Rows looked at to settle the columns.
const LOOKED_AT: usize = 50_000;

impl Gatherer {
    /// `after`: the parts that are there already.
    pub(crate) fn new(form: Form, after: &[Part], span: u64) -> Gatherer {
        let last = after.last();
        Gatherer {
            form,
            span: span.max(1),
            place: None,
            current: None,
            carry: Vec::new(),
            part: after.len(),
            stored: 0,
            settled: Vec::new(),
            inputs: after.iter().map(|p| p.inputs.len() as u32).sum(),
            next_record: last.map_or(0, |p| p.next_record),
            waiting: BTreeMap::new(),
            held: 0,
            encoders: BTreeMap::new(),
            known: last.map_or(Vec::new(), |p| p.fields.clone()),
            partitions: Partitions::new(),
        }
    }

    /// Takes the next block. `entry` describes its input, should it be a new one.
    pub(crate) fn add(
        &mut self,
        input: &Arc<Input>,
        format: &'static str,
        mut block: Block,
        entry: impl FnOnce() -> InputEntry,
        jobs: &mut Vec<Job>,
    ) -> Result<(), Error> {
        if self.current.as_ref().is_none_or(|(now, ..)| now.number != input.number) {
            self.settle(jobs);
            let place = input.number / self.span;
            // Members of one archive are not parted: a run that resumes begins with a file on the disk.
            if self.stored >= self.form.part_bytes && !self.form.single && self.place != Some(place) {
                self.end_part(place as usize, jobs)?;
            }
            self.place = Some(place);
            if !input.partitions.is_empty() {
                self.partitions.insert(self.inputs, input.partitions.clone());
            }
            let entry = InputEntry { first: self.next_record, ..entry() };
            self.current = Some((Arc::clone(input), entry, Arc::default()));
        }
        let Some((_, entry, digest)) = &mut self.current else { return Ok(()) };
        digest.add(block.data.clone());
        entry.bytes += block.data.len() as u64;
        if block.rows.is_empty() {
            self.carry.extend_from_slice(&block.data);
            return Ok(());
        }
        if !self.carry.is_empty() {
            self.carry.append(&mut block.lead);
            block.lead = std::mem::take(&mut self.carry);
        }
        entry.records += block.rows.len() as u64;
        let seq = self.next_record;
        self.next_record += block.rows.len() as u64;
        self.held += block.data.len();
        self.deal(Arc::new(block), format, seq, jobs)
    }

    /// The hash of the stream of the current input, of which some may wait to be hashed.
    pub(crate) fn digest(&self) -> Option<Arc<Digest>> {
        self.current.as_ref().map(|(.., digest)| Arc::clone(digest))
    }

    /// Deals the rows of a block out to partitions.
    fn deal(&mut self, block: Arc<Block>, format: &'static str, seq: u64, jobs: &mut Vec<Job>) -> Result<(), Error> {
        let partition = self.form.partition;
        let mut at = 0;
        while at < block.rows.len() {
            let number = partition.number(block.rows[at].time);
            let rest = &block.rows[at..];
            let same = match partition {
                Partition::None => rest.len(),
                _ => rest.iter().take_while(|row| partition.number(row.time) == number).count(),
            };
            let waiting = self.waiting.entry((format, number)).or_default();
            let taken = same.min(GROUP_ROWS - waiting.rows);
            let rows = at..at + taken;
            // One row begins where the other ends.
            waiting.bytes += (rest[taken - 1].end - rest[0].start) as usize;
            waiting.rows += taken;
            waiting.runs.push(Run { block: Arc::clone(&block), rows, input: self.inputs, seq });
            at += taken;
            if waiting.rows >= GROUP_ROWS || waiting.bytes >= self.form.group_bytes {
                self.group((format, number), jobs)?;
            }
        }
        if self.held > 2 * self.form.group_bytes {
            self.flush(jobs)?;
        }
        Ok(())
    }

    /// Makes a group of what waits.
    fn group(&mut self, key: (&'static str, Option<i64>), jobs: &mut Vec<Job>) -> Result<(), Error> {
        let Some(Waiting { runs, rows, bytes }) = self.waiting.remove(&key) else { return Ok(()) };
        self.held = self.held.saturating_sub(bytes);
        let encoder = self.encoder(key.0, &runs, rows)?;
        if self.form.single && self.encoders.len() > 1 {
            let formats: Vec<&str> = self.encoders.keys().copied().collect();
            return Err(Error::Input {
                file: "output".into(),
                offset: None,
                why: format!("the input has several formats ({}), which needs a folder", formats.join(", ")),
            });
        }
        let folder = self.form.partition.folder(key.1);
        let place = Place { folder, format: key.0, part: self.part, version: encoder.version };
        let mut partitions = Partitions::new();
        for run in &runs {
            if let Some(pairs) = self.partitions.get(&run.input) {
                partitions.entry(run.input).or_insert_with(|| pairs.clone());
            }
        }
        jobs.push(Job::Group { place, encoder, runs, partitions });
        Ok(())
    }

    /// The columns for these rows.
    fn encoder(&mut self, format: &'static str, runs: &[Run], rows: usize) -> Result<Arc<Settling>, Error> {
        let (version, known) = match self.encoders.get(format) {
            Some(now) => {
                let schema = &now.encoder()?.schema;
                if self.form.single || strangers(schema, runs) * 100 <= rows {
                    return Ok(Arc::clone(now));
                }
                (now.version + 1, schema.fields.clone())
            }
            None => {
                let earlier = self.known.iter().find(|(name, _)| name == format);
                (0, earlier.map_or(Vec::new(), |(_, fields)| fields.clone()))
            }
        };
        let settling = Arc::new(Settling::new(version, known, runs));
        self.encoders.insert(format, Arc::clone(&settling));
        Ok(settling)
    }

    fn flush(&mut self, jobs: &mut Vec<Job>) -> Result<(), Error> {
        while let Some(key) = self.waiting.keys().next().copied() {
            self.group(key, jobs)?;
        }
        self.held = 0;
        Ok(())
    }

    /// The current input has been read.
    fn settle(&mut self, jobs: &mut Vec<Job>) {
        if let Some((input, mut entry, digest)) = self.current.take() {
            entry.sha256 = digest.sum();
            entry.tail = hex(&std::mem::take(&mut self.carry));
            self.stored += input.size.unwrap_or(entry.bytes);
            if differs_from_file(&entry) {
                jobs.push(Job::Stored(entry.path.clone()));
            }
            self.settled.push(entry);
            self.inputs += 1;
        }
    }

    fn end_part(&mut self, next_input: usize, jobs: &mut Vec<Job>) -> Result<(), Error> {
        self.flush(jobs)?;
        for (format, encoder) in std::mem::take(&mut self.encoders) {
            self.known.retain(|(name, _)| name != format);
            self.known.push((format.to_owned(), encoder.encoder()?.schema.fields.clone()));
        }
        self.known.sort_by(|a, b| a.0.cmp(&b.0));
        jobs.push(Job::Part(Part {
            inputs: std::mem::take(&mut self.settled),
            next_input,
            next_record: self.next_record,
            files: Vec::new(),
            fields: self.known.clone(),
        }));
        self.partitions.clear();
        self.part += 1;
        self.stored = 0;
        Ok(())
    }

    /// All inputs have been read.
    pub(crate) fn finish(&mut self, inputs: usize, jobs: &mut Vec<Job>) -> Result<(), Error> {
        self.settle(jobs);
        self.end_part(inputs, jobs)
    }
}

/// Rows with keys that have no column and could have one.
fn strangers(schema: &Schema, runs: &[Run]) -> usize {
    let mut count = 0;
    for run in runs {
        let strange: Vec<bool> =
            run.block.layouts.iter().map(|l| l.keys.iter().any(|key| schema.is_stranger(key))).collect();
        if strange.contains(&true) {
            let is_strange = |row: &&Row| row.layout.is_some_and(|n| strange[n as usize]);
            count += run.block.rows[run.rows.clone()].iter().filter(is_strange).count();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_times() {
        let noon = 1_714_564_800_000;
        for (partition, folder) in [
            (Partition::None, ""),
            (Partition::Day, "day=2024-05-01/"),
            (Partition::Hour, "day=2024-05-01/hour=12/"),
            (Partition::Month, "month=2024-05/"),
        ] {
            assert_eq!(partition.folder(partition.number(Some(noon))), folder);
        }
        assert_eq!(Partition::Day.folder(Partition::Day.number(Some(-1))), "day=1969-12-31/");
        assert_eq!(Partition::Day.folder(None), "day=__HIVE_DEFAULT_PARTITION__/");
    }
}
