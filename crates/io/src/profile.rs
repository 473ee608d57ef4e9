//! What is in some files: for each format its fields, what kinds their values have, how often they are there.
//!
//! One pass over everything, in bounded memory. Each worker keeps a tree of the fields it has met; the trees are merged
//! at the end. What comes out does not depend on how the input was cut or who read which piece.

mod tree;

use crate::files::Files;
use crate::formats::FORMATS;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Flow, Morsels, Scan, Source};
use backsight_engine::value::column::{Batch, OFFSET_BITS};
use backsight_lang::ast::Segment;
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use tree::Tree;

/// Distinct values of a field that are told apart.
pub const MOST_DISTINCT: usize = 1000;

/// Fields of a format that are told apart. Data whose keys are values have any number.
pub const MOST_FIELDS: usize = 10_000;

/// Fields of text that are asked for. A header may name any number.
const MOST_COLUMNS: usize = 1000;

/// Examples kept of each field, and bytes of one.
const EXAMPLES: usize = 3;
const EXAMPLE: usize = 80;

/// Kinds of values, in the order in which they are named. Null is a value here: the key is there.
pub const KINDS: [&str; 6] = ["string", "number", "boolean", "object", "array", "null"];

/// What was found.
#[derive(Debug, Default)]
pub struct Profile {
    /// The fields of each format, by its name.
    pub formats: BTreeMap<&'static str, Fields>,
    /// The files, in source order.
    pub files: Vec<FileProfile>,
}

/// The records of one format.
#[derive(Debug, Default)]
pub struct Fields {
    /// Records.
    pub records: u64,
    /// Records that are nothing but text.
    pub texts: u64,
    /// First and last time.
    pub times: Option<(i64, i64)>,
    /// The fields in the order in which records have them.
    pub fields: Vec<FieldProfile>,
    /// Set if there are more fields than are told apart.
    pub more: bool,
}

/// One field.
#[derive(Debug)]
pub struct FieldProfile {
    /// Its path, as a query names it.
    pub path: String,
    /// Records that have it.
    pub present: u64,
    /// How many values have each of [`KINDS`].
    pub kinds: [u64; KINDS.len()],
    /// Distinct values, objects and arrays apart; `None`: more than [`MOST_DISTINCT`].
    pub distinct: Option<usize>,
    /// The first few distinct values.
    pub examples: Vec<String>,
}

/// One file.
#[derive(Debug)]
pub struct FileProfile {
    /// Its name.
    pub file: String,
    /// What it was taken for.
    pub format: Option<&'static str>,
    /// Its compression.
    pub codec: Option<&'static str>,
    /// Records in it.
    pub records: u64,
    /// Bytes of records.
    pub bytes: u64,
    /// First and last time.
    pub times: Option<(i64, i64)>,
}

/// Reads everything and says what is in it. `range` in epoch milliseconds, half open.
///
/// # Errors
/// What stops any pass; [`Error::Cancelled`] where `ctl` was.
pub fn profile(files: &Files, range: (Option<i64>, Option<i64>), ctl: &Ctl) -> Result<Profile, Error> {
    let columns = Columns::of(files);
    let names = columns.names.iter().map(|name| Segment::Name { text: name.clone(), quoted: true });
    let want = [Field::Timestamp, Field::Message].into_iter().chain(names.map(|name| Field::Path(vec![name])));
    let scan = Scan { want: want.collect(), range, ..Scan::default() };
    let morsels = Source::open(files, &scan, &ctl.counters)?;
    let work = || {
        let mut worker = Worker { range, ..Worker::new(ctl, &columns) };
        worker.run(&*morsels).map(|()| worker)
    };
    let workers: Result<Vec<Worker<'_>>, Error> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..ctl.threads()).map(|_| scope.spawn(work)).collect();
        let bug = |_| Err(Error::Bug("a worker panicked".into()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(bug)).collect()
    });
    if ctl.cancelled() {
        return Err(Error::Cancelled);
    }
    let mut formats: BTreeMap<&'static str, Tree> = BTreeMap::new();
    let mut times: HashMap<u64, (i64, i64)> = HashMap::new();
    for worker in workers? {
        for (format, tree) in worker.trees {
            match formats.entry(format) {
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(tree)),
                std::collections::btree_map::Entry::Occupied(mut before) => before.get_mut().merge(tree),
            }
        }
        for (file, range) in worker.times {
            times.entry(file).and_modify(|all| widen(all, range)).or_insert(range);
        }
    }
    let mut counted: Vec<_> = ctl.counters.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
    counted.sort_by(|a, b| (a.position, &a.file).cmp(&(b.position, &b.file)));
    let files = counted.iter().map(|count| FileProfile {
        file: count.file.clone(),
        format: count.taken_for.get().map(|(format, _)| *format),
        codec: count.taken_for.get().and_then(|(_, codec)| *codec),
        records: Counters::get(&count.counts.records),
        bytes: Counters::get(&count.counts.bytes),
        times: times.get(&(count.position >> OFFSET_BITS)).copied(),
    });
    Ok(Profile { files: files.collect(), formats: formats.into_iter().map(|(f, tree)| (f, tree.finish())).collect() })
}

fn widen(all: &mut (i64, i64), more: (i64, i64)) {
    *all = (all.0.min(more.0), all.1.max(more.1));
}

/// The fields that text is asked for: it does not say itself which it has.
#[derive(Debug, Default)]
struct Columns {
    names: Vec<String>,
    /// By format: places in `names`.
    of: HashMap<&'static str, Vec<usize>>,
}

impl Columns {
    /// Looks at the start of each file. It is opened again when it is read, for what is wanted must be known before.
    fn of(files: &Files) -> Columns {
        let mut columns = Columns::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        // What cannot be read now is reported when it is read.
        for (format, names) in files.inputs().iter().flat_map(|input| files.fields_of_text(input).unwrap_or_default()) {
            for name in names {
                if columns.names.len() >= MOST_COLUMNS && !places.contains_key(&name) {
                    break;
                }
                let place = *places.entry(name).or_insert_with_key(|name| {
                    columns.names.push(name.clone());
                    columns.names.len() - 1
                });
                let of = columns.of.entry(format).or_default();
                if !of.contains(&place) {
                    of.push(place);
                }
            }
        }
        columns
    }
}

/// What one thread has seen.
struct Worker<'c> {
    ctl: &'c Ctl,
    columns: &'c Columns,
    range: (Option<i64>, Option<i64>),
    trees: HashMap<&'static str, Tree>,
    /// First and last time by the number of the file.
    times: HashMap<u64, (i64, i64)>,
    /// The format of each file, as far as we have asked.
    formats: HashMap<u64, &'static str>,
}

impl<'c> Worker<'c> {
    fn new(ctl: &'c Ctl, columns: &'c Columns) -> Worker<'c> {
        Worker {
            ctl,
            columns,
            range: (None, None),
            trees: HashMap::new(),
            times: HashMap::new(),
            formats: HashMap::new(),
        }
    }

    fn run(&mut self, morsels: &(dyn Morsels + '_)) -> Result<(), Error> {
        while let Some(morsel) = morsels.next() {
            let flow = morsel.read(&mut |batch| {
                self.batch(&batch);
                Ok(if self.ctl.cancelled() { Flow::Enough } else { Flow::More })
            })?;
            if flow == Flow::Enough {
                break;
            }
        }
        Ok(())
    }

    fn format(&mut self, file: u64) -> &'static str {
        if let Some(format) = self.formats.get(&file) {
            return format;
        }
        // It was begun not long ago: there may be a million before it.
        let files = self.ctl.counters.files.lock().unwrap_or_else(PoisonError::into_inner);
        let count = files.iter().rev().find(|count| count.position >> OFFSET_BITS == file);
        let format = count.and_then(|count| count.taken_for.get()).map(|(format, _)| *format);
        if let Some(format) = format {
            self.formats.insert(file, format);
        }
        format.unwrap_or(FORMATS[FORMATS.len() - 1].name)
    }

    fn batch(&mut self, batch: &Batch) {
        let [times, messages, cells @ ..] = &batch.columns[..] else { return };
        let Some(first) = batch.positions.iter().next() else { return };
        let file = first >> OFFSET_BITS;
        let format = self.format(file);
        let tree = self.trees.entry(format).or_default();
        let columns = self.columns.of.get(format).map_or(&[][..], Vec::as_slice);
        let (start, end) = self.range;
        for row in 0..batch.rows {
            let time = times.get(row).timestamp();
            if start.is_some_and(|start| time.is_none_or(|t| t < start))
                || end.is_some_and(|end| time.is_none_or(|t| t >= end))
            {
                continue;
            }
            if let Some(time) = time {
                self.times.entry(file).and_modify(|all| widen(all, (time, time))).or_insert((time, time));
                match &mut tree.times {
                    Some(all) => widen(all, (time, time)),
                    None => tree.times = Some((time, time)),
                }
            }
            let position = batch.positions.get(row);
            if !tree.record(position, messages.get(row)) {
                let cells = columns.iter().map(|place| (&self.columns.names[*place], cells[*place].get(row)));
                tree.text(position, cells);
            }
        }
    }
}
