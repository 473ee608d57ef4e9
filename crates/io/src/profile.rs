//! What is in some files: for each format its fields, what kinds their values have, how often they are there.
//!
//! One pass over everything, in bounded memory. Each worker keeps a tree of the fields it has met; the trees are merged
//! at the end. What comes out does not depend on how the input was cut or who read which piece.

use crate::files::Files;
use crate::formats::FORMATS;
use crate::json::is_system;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Field, Flow, Morsels, Scan, Source};
use backsight_engine::value::column::{Batch, OFFSET_BITS};
use backsight_engine::value::json::{self, Cursor, Malformed, Raw, Shape};
use backsight_engine::value::{Kind, ValueRef};
use backsight_lang::ast::Segment;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

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

/// The fields of one format, as a tree of keys.
struct Tree {
    records: u64,
    texts: u64,
    times: Option<(i64, i64)>,
    more: bool,
    /// Keys of the record so far.
    keys: u32,
    /// The root comes first; it is no field.
    nodes: Vec<Node>,
}

/// One field.
#[derive(Default)]
struct Node {
    key: Vec<u8>,
    /// In the order in which records have them, mostly.
    children: Vec<usize>,
    by_key: HashMap<Vec<u8>, usize>,
    /// The record it was met in last, and those before.
    last: u64,
    present: u64,
    kinds: [u64; KINDS.len()],
    distinct: HashSet<u64>,
    /// Distinct values and where each was met first, first come first.
    examples: Vec<(u64, Vec<u8>)>,
    /// Where it was met first, and the how manieth key of that record it was: gives the order of fields.
    first: (u64, u32),
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { records: 0, texts: 0, times: None, more: false, keys: 0, nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// Adds a record; false if it is no object.
    fn record(&mut self, position: u64, message: ValueRef<'_>) -> bool {
        self.records += 1;
        self.keys = 0;
        let Some(text) = message.text() else { return false };
        let is_object = json::whole(&text).is_ok_and(|raw| matches!(raw.shape, Shape::Map { .. }));
        is_object && self.map(&mut Cursor::new(&text), 0, position).is_ok()
    }

    /// Adds the fields of the last record, which is text.
    fn text<'v>(&mut self, position: u64, cells: impl Iterator<Item = (&'v String, ValueRef<'v>)>) {
        let mut guess = 0;
        for (name, cell) in cells {
            let Some((kind, text)) = cell.kind().zip(cell.text()) else { continue };
            self.keys += 1;
            let Some(child) = self.child(0, name.as_bytes(), &mut guess, (position, self.keys)) else { continue };
            let kind = match kind {
                Kind::Number | Kind::Float => 1,
                Kind::Bool => 2,
                Kind::Map => 3,
                Kind::List => 4,
                Kind::String | Kind::Time => 0,
            };
            self.count(child, kind, position, || Some(text));
        }
        self.texts += u64::from(self.keys == 0);
    }

    fn map(&mut self, cursor: &mut Cursor<'_>, at: usize, position: u64) -> Result<(), Malformed> {
        cursor.enter_map()?;
        let mut first = true;
        let mut guess = 0;
        while let Some(key) = cursor.key(&mut first)? {
            let mut decoded = Vec::new();
            let name = if key.escaped {
                json::decode(key.inner, &mut decoded);
                &decoded[..]
            } else {
                key.inner
            };
            self.keys += 1;
            let child = self.child(at, name, &mut guess, (position, self.keys));
            cursor.peek();
            let mut inside = cursor.clone();
            let value = cursor.value()?;
            let Some(child) = child else { continue };
            self.value(child, &value, position);
            if matches!(value.shape, Shape::Map { .. }) {
                self.map(&mut inside, child, position)?;
            }
        }
        Ok(())
    }

    /// The field of that key; `guess`: which of the children comes next if all records are alike.
    fn child(&mut self, at: usize, key: &[u8], guess: &mut usize, first: (u64, u32)) -> Option<usize> {
        if let Some(next) = self.nodes[at].children.get(*guess)
            && self.nodes[*next].key == key
        {
            *guess += 1;
            return Some(*next);
        }
        if let Some(child) = self.nodes[at].by_key.get(key) {
            *guess = self.nodes[at].children.iter().position(|c| c == child).map_or(*guess, |place| place + 1);
            return Some(*child);
        }
        if self.nodes.len() > MOST_FIELDS {
            self.more = true;
            return None;
        }
        let new = self.nodes.len();
        self.nodes.push(Node { key: key.to_vec(), first, ..Node::default() });
        let parent = &mut self.nodes[at];
        parent.by_key.insert(key.to_vec(), new);
        let place = (*guess).min(parent.children.len());
        parent.children.insert(place, new);
        *guess = place + 1;
        Some(new)
    }

    fn value(&mut self, at: usize, value: &Raw<'_>, position: u64) {
        let kind = match value.shape {
            Shape::String { .. } => 0,
            Shape::Number => 1,
            Shape::Bool => 2,
            Shape::Map { .. } => 3,
            Shape::List { .. } => 4,
            Shape::Null => 5,
        };
        self.count(at, kind, position, || value.canonical().map(|(_, text)| text));
    }

    /// Counts a value of a kind, by its place in [`KINDS`].
    fn count<'t>(&mut self, at: usize, kind: usize, position: u64, text: impl FnOnce() -> Option<Cow<'t, [u8]>>) {
        let records = self.records;
        let node = &mut self.nodes[at];
        // A key that stands twice in a record is there once.
        node.present += u64::from(std::mem::replace(&mut node.last, records) != records);
        node.kinds[kind] += 1;
        let wants_example = node.examples.len() < EXAMPLES;
        if (kind < 3 && node.distinct.len() <= MOST_DISTINCT) || (kind == 4 && wants_example) {
            let Some(text) = text() else { return };
            if kind < 3 {
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                node.distinct.insert(hasher.finish());
            }
            if wants_example {
                let text = &text[..text.len().min(EXAMPLE)];
                if !node.examples.iter().any(|(_, example)| example == text) {
                    node.examples.push((position, text.to_vec()));
                }
            }
        }
    }

    /// Adds what another worker has seen.
    fn merge(&mut self, other: Tree) {
        self.records += other.records;
        self.texts += other.texts;
        self.more |= other.more;
        self.times = match (self.times, other.times) {
            (Some(mut all), Some(more)) => {
                widen(&mut all, more);
                Some(all)
            }
            (one, another) => one.or(another),
        };
        let mut nodes: Vec<Option<Node>> = other.nodes.into_iter().map(Some).collect();
        let mut open = vec![(0, 0)];
        while let Some((mine, theirs)) = open.pop() {
            let Some(node) = nodes[theirs].take() else { continue };
            let mut guess = 0;
            for child in &node.children {
                let Some((key, first)) = nodes[*child].as_ref().map(|n| (n.key.clone(), n.first)) else { continue };
                match self.child(mine, &key, &mut guess, first) {
                    Some(same) => open.push((same, *child)),
                    None => self.more = true,
                }
            }
            self.nodes[mine].add(node);
        }
    }

    fn finish(self) -> Fields {
        let mut fields = Vec::new();
        // Depth first, children by where they were met first.
        let mut open: Vec<(usize, String)> = self.ordered(0, "");
        while let Some((at, path)) = open.pop() {
            let node = &self.nodes[at];
            let mut examples = node.examples.clone();
            examples.sort();
            fields.push(FieldProfile {
                path: path.clone(),
                present: node.present,
                kinds: node.kinds,
                distinct: (node.distinct.len() <= MOST_DISTINCT).then_some(node.distinct.len()),
                examples: examples.iter().map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect(),
            });
            open.extend(self.ordered(at, &path));
        }
        Fields { records: self.records, texts: self.texts, times: self.times, fields, more: self.more }
    }

    /// The children of a field with their paths, last first.
    fn ordered(&self, at: usize, path: &str) -> Vec<(usize, String)> {
        let children = self.nodes[at].children.iter();
        let mut children: Vec<_> = children
            .map(|child| {
                let key = &self.nodes[*child].key;
                // What could be mistaken for a system field has one `@` more in queries.
                let mark = if at == 0 && key.starts_with(b"@") && !is_system(key) { "@" } else { "" };
                let name = named(&format!("{mark}{}", String::from_utf8_lossy(key)));
                (*child, if path.is_empty() { name } else { format!("{path}.{name}") })
            })
            .collect();
        children.sort_by_key(|(child, _)| self.nodes[*child].first);
        children.reverse();
        children
    }
}

impl Node {
    fn add(&mut self, other: Node) {
        self.present += other.present;
        self.first = self.first.min(other.first);
        self.kinds.iter_mut().zip(other.kinds).for_each(|(a, b)| *a += b);
        for hash in other.distinct {
            if self.distinct.len() > MOST_DISTINCT {
                break;
            }
            self.distinct.insert(hash);
        }
        self.examples.extend(other.examples);
        self.examples.sort();
        let mut seen = HashSet::new();
        self.examples.retain(|(_, text)| seen.insert(text.clone()));
        self.examples.truncate(EXAMPLES);
    }
}

/// The name of a field as a query writes it.
fn named(key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '@'))
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@'));
    if plain { key.to_owned() } else { format!("`{}`", key.replace('`', "``")) }
}
