//! The fields of one format, as a tree of keys.

use super::{EXAMPLE, EXAMPLES, FieldProfile, Fields, KINDS, MOST_DISTINCT, MOST_FIELDS, widen};
use crate::json::is_system;
use backsight_engine::value::json::{self, Cursor, Malformed, Raw, Shape};
use backsight_engine::value::{Kind, ValueRef};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The fields of one format, as a tree of keys.
pub(super) struct Tree {
    records: u64,
    texts: u64,
    pub times: Option<(i64, i64)>,
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
    pub fn record(&mut self, position: u64, message: ValueRef<'_>) -> bool {
        self.records += 1;
        self.keys = 0;
        let Some(text) = message.text() else { return false };
        let is_object = json::whole(&text).is_ok_and(|raw| matches!(raw.shape, Shape::Map { .. }));
        is_object && self.map(&mut Cursor::new(&text), 0, position).is_ok()
    }

    /// Adds the fields of the last record, which is text.
    pub fn text<'v>(&mut self, position: u64, cells: impl Iterator<Item = (&'v String, ValueRef<'v>)>) {
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
    pub fn merge(&mut self, other: Tree) {
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

    pub fn finish(self) -> Fields {
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
