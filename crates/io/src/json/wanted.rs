//! The wanted paths as a tree, so that one pass over a record finds all of them.

use backsight_engine::source::Field;
use backsight_engine::value::json::{Cursor, Malformed, Quoted, Route, Shape, Step};
use backsight_lang::ast::Segment;

/// Keys by which a record gives system fields itself. Leaf `i` of every tree is key `i` here, at the top of a record.
pub const RESERVED: [&[u8]; 6] = [b"@timestamp", b"@message", b"@logStream", b"@log", b"@ingestionTime", b"@ptr"];

/// Keys by which records give system fields, and the leaf each stands for.
pub type Reserved = &'static [(&'static [u8], Leaf)];

/// What records of most formats reserve.
pub const USUAL: Reserved =
    &[(RESERVED[0], 0), (RESERVED[1], 1), (RESERVED[2], 2), (RESERVED[3], 3), (RESERVED[4], 4), (RESERVED[5], 5)];

/// A leaf: one reading of one wanted path. Numbers a place for its value.
pub type Leaf = u32;

/// The leaf of the reserved key `@timestamp`.
pub const TIMESTAMP: Leaf = 0;
/// The leaf of the reserved key `@message`.
pub const MESSAGE: Leaf = 1;
/// The leaf of the reserved key `@logStream`.
pub const LOG_STREAM: Leaf = 2;
/// The leaf of the reserved key `@ingestionTime`.
pub const INGESTION_TIME: Leaf = 4;
const _: () = assert!(matches!(RESERVED[TIMESTAMP as usize], b"@timestamp"));
const _: () = assert!(matches!(RESERVED[MESSAGE as usize], b"@message"));
const _: () = assert!(matches!(RESERVED[LOG_STREAM as usize], b"@logStream"));
const _: () = assert!(matches!(RESERVED[INGESTION_TIME as usize], b"@ingestionTime"));

/// All readings of all wanted paths, merged.
#[derive(Debug)]
pub struct Tree {
    /// The root comes first.
    nodes: Vec<Node>,
    leaves: Leaf,
    reserved: Reserved,
    /// All reserved keys start with `@`.
    marked: bool,
}

#[derive(Debug, Default)]
struct Node {
    keys: Vec<(Box<[u8]>, u32)>,
    /// Bit [`sieve`] of each key: most keys of a record are told not to be wanted by this alone.
    sieve: u64,
    indexes: Vec<(u64, u32)>,
    leaf: Option<Leaf>,
}

/// Where a value lies in the text it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
    /// What it is; never [`Shape::Null`].
    pub shape: Shape,
}

/// One bit, by the length of a key and its last byte.
#[inline]
fn sieve(key: &[u8]) -> u64 {
    1 << ((key.len() * 7 + usize::from(key.last().copied().unwrap_or(0))) % 64)
}

/// What one record gave: a place for each leaf.
#[derive(Debug, Default)]
pub struct Hits {
    found: Vec<Option<Hit>>,
    /// The record each node was met in last.
    met: Vec<u32>,
    record: u32,
}

impl Hits {
    /// The value of the first leaf that has one.
    pub fn first(&self, leaves: &[Leaf]) -> Option<Hit> {
        leaves.iter().find_map(|leaf| self.found[*leaf as usize])
    }

    /// Forgets everything: another record is to be read.
    pub fn begin(&mut self) {
        self.found.fill(None);
        self.record = self.record.wrapping_add(1);
    }

    /// A node is met. Of equal keys the last wins: what an earlier one gave is forgotten.
    #[inline]
    pub fn meet(&mut self, tree: &Tree, node: u32) {
        if std::mem::replace(&mut self.met[node as usize], self.record) == self.record {
            tree.forget(node, self);
        }
    }

    /// Sets the value of a leaf.
    #[inline]
    pub fn set(&mut self, leaf: Leaf, hit: Option<Hit>) {
        self.found[leaf as usize] = hit;
    }

    /// The value of a leaf.
    pub fn get(&self, leaf: Leaf) -> Option<Hit> {
        self.found[leaf as usize]
    }
}

impl Tree {
    /// A tree of nothing but the reserved keys.
    pub fn new(reserved: Reserved) -> Tree {
        let marked = reserved.iter().all(|(key, _)| key.starts_with(b"@"));
        Tree { nodes: vec![Node::default()], leaves: RESERVED.len() as Leaf, reserved, marked }
    }

    /// Adds a path of the data: its leaves, in the order in which they count.
    pub fn add(&mut self, path: &[Segment]) -> Vec<Leaf> {
        Route::new(path).readings().iter().filter_map(|steps| self.reading(steps)).collect()
    }

    fn reading(&mut self, steps: &[Step]) -> Option<Leaf> {
        let mut at = 0;
        for (level, step) in steps.iter().enumerate() {
            let mut key = &step.key[..];
            // A key of the data that starts with `@` is written with one more; with just one it is no key of the data.
            if level == 0 && key.starts_with(b"@") {
                key = &key[1..];
                if !key.starts_with(b"@") {
                    return None;
                }
            }
            let child = self.child(at, key);
            if let Some(index) = step.index
                && !self.nodes[at as usize].indexes.iter().any(|(i, _)| *i == index)
            {
                self.nodes[at as usize].indexes.push((index, child));
            }
            at = child;
        }
        let leaves = &mut self.leaves;
        Some(*self.nodes[at as usize].leaf.get_or_insert_with(|| {
            *leaves += 1;
            *leaves - 1
        }))
    }

    fn child(&mut self, node: u32, key: &[u8]) -> u32 {
        let new = self.nodes.len() as u32;
        let keys = &mut self.nodes[node as usize].keys;
        if let Some((_, child)) = keys.iter().find(|(k, _)| **k == *key) {
            return *child;
        }
        keys.push((key.into(), new));
        self.nodes[node as usize].sieve |= sieve(key);
        self.nodes.push(Node::default());
        new
    }

    /// Room for the hits of this tree.
    pub fn hits(&self) -> Hits {
        Hits { found: vec![None; self.leaves as usize], met: vec![0; self.nodes.len()], record: 0 }
    }

    /// True if there are paths besides the reserved keys.
    pub fn has_paths(&self) -> bool {
        self.leaves > RESERVED.len() as Leaf
    }

    /// Numbers of leaves and of nodes.
    pub fn size(&self) -> (usize, usize) {
        (self.leaves as usize, self.nodes.len())
    }

    /// The leaf of a reserved key.
    #[inline]
    pub fn reserved(&self, key: &Quoted<'_>) -> Option<Leaf> {
        if self.marked && key.inner.first() != Some(&b'@') && !key.escaped {
            return None;
        }
        self.reserved.iter().find(|(r, _)| key.is(r)).map(|(_, leaf)| *leaf)
    }

    /// The node behind a key. The root is node 0.
    #[inline]
    pub fn by_key(&self, node: u32, key: &Quoted<'_>) -> Option<u32> {
        let node = &self.nodes[node as usize];
        if !key.escaped && node.sieve & sieve(key.inner) == 0 {
            return None;
        }
        node.keys.iter().find(|(k, _)| key.is(k)).map(|(_, child)| *child)
    }

    /// The node behind a position of a list.
    pub fn by_index(&self, node: u32, index: u64) -> Option<u32> {
        self.nodes[node as usize].indexes.iter().find(|(i, _)| *i == index).map(|(_, child)| *child)
    }

    /// The leaf a node is.
    pub fn leaf(&self, node: u32) -> Option<Leaf> {
        self.nodes[node as usize].leaf
    }

    /// True if wanted paths lead further than this node.
    pub fn leads_on(&self, node: u32) -> bool {
        !self.nodes[node as usize].keys.is_empty()
    }

    /// True if wanted paths lead to elements of this node by their position.
    pub fn leads_on_by_index(&self, node: u32) -> bool {
        !self.nodes[node as usize].indexes.is_empty()
    }

    /// Finds everything in a record, checking all of it. `outer`: reserved keys count as such, not as data.
    ///
    /// Fails if the text is not one JSON object.
    pub fn find(&self, text: &[u8], outer: bool, hits: &mut Hits) -> Result<(), Malformed> {
        hits.begin();
        let mut cursor = Cursor::new(text);
        if cursor.peek() != Some(b'{') {
            return Err(Malformed { at: cursor.at() });
        }
        self.map(&mut cursor, 0, outer, hits)?;
        cursor.end()
    }

    fn map(&self, cursor: &mut Cursor<'_>, node: u32, outer: bool, hits: &mut Hits) -> Result<(), Malformed> {
        cursor.enter_map()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            if outer && let Some(leaf) = self.reserved(&key) {
                hits.found[leaf as usize] = take(cursor)?;
                continue;
            }
            match self.by_key(node, &key) {
                Some(child) => self.value(cursor, child, hits)?,
                None => drop(cursor.value()?),
            }
        }
        Ok(())
    }

    fn list(&self, cursor: &mut Cursor<'_>, node: u32, hits: &mut Hits) -> Result<(), Malformed> {
        cursor.enter_list()?;
        let mut first = true;
        let mut at = 0;
        while cursor.element(&mut first)? {
            match self.by_index(node, at) {
                Some(child) => self.value(cursor, child, hits)?,
                None => drop(cursor.value()?),
            }
            at += 1;
        }
        Ok(())
    }

    /// A value that leads to a wanted one, or is one.
    fn value(&self, cursor: &mut Cursor<'_>, at: u32, hits: &mut Hits) -> Result<(), Malformed> {
        hits.meet(self, at);
        let node = &self.nodes[at as usize];
        let opening = cursor.peek();
        let enters = match opening {
            Some(b'{') => !node.keys.is_empty(),
            Some(b'[') => !node.indexes.is_empty(),
            _ => false,
        };
        let Some(leaf) = node.leaf else {
            return match opening {
                Some(b'{') if enters => self.map(cursor, at, false, hits),
                Some(b'[') if enters => self.list(cursor, at, hits),
                _ => cursor.value().map(drop),
            };
        };
        let mut inside = enters.then(|| cursor.clone());
        hits.found[leaf as usize] = take(cursor)?;
        match (&mut inside, opening) {
            (Some(inside), Some(b'{')) => self.map(inside, at, false, hits),
            (Some(inside), _) => self.list(inside, at, hits),
            (None, _) => Ok(()),
        }
    }

    fn forget(&self, at: u32, hits: &mut Hits) {
        let node = &self.nodes[at as usize];
        if let Some(leaf) = node.leaf {
            hits.found[leaf as usize] = None;
        }
        for (_, child) in &node.keys {
            self.forget(*child, hits);
        }
        // Children by position are children by key too.
    }
}

/// Takes a value; `None` for `null`.
fn take(cursor: &mut Cursor<'_>) -> Result<Option<Hit>, Malformed> {
    cursor.peek();
    let start = cursor.at();
    let shape = cursor.value()?.shape;
    Ok((shape != Shape::Null).then(|| Hit { start, end: cursor.at(), shape }))
}

/// How a slot of the scan is filled.
#[derive(Debug)]
pub enum Want {
    /// A field of the data, by its leaves.
    Path(Vec<Leaf>),
    /// `@timestamp`
    Time,
    /// `@message`
    Message,
    /// A system field only records themselves can give another value: its reserved key.
    System(Leaf),
}

impl Want {
    /// How a field is filled; its path is added to the tree.
    pub fn new(field: &Field, tree: &mut Tree) -> Want {
        match field {
            Field::Path(path) => Want::Path(tree.add(path)),
            Field::Timestamp => Want::Time,
            Field::Message => Want::Message,
            Field::LogStream => Want::System(2),
            Field::Log => Want::System(3),
            Field::IngestionTime => Want::System(4),
            Field::Ptr => Want::System(5),
        }
    }
}
