//! `stats`: rows in, one row a group out. Remembers every group's key and the aggregates' states; tables of several
//! workers merge by key, so the answer does not depend on who saw which row.
//!
//! A key is the canonical texts of its cells one after another, each behind its length. A time is kept as its number
//! (rendering it for every row would cost more than the rest), and so is a string that reads exactly as one, because
//! identity is text. The kinds of the cells are no part of the key: `404` and `"404"` are one group. A group whose cells
//! had several kinds shows the least (string first), which is the same whatever row came first.

use crate::agg::{Accumulator, Input};
use crate::plan::{AggCall, Slot};
use crate::source::BATCH_ROWS;
use crate::value::column::{Batch, Column, ColumnBuilder, Kinds, Positions};
use crate::value::{Kind, ValueRef, time};
use arrow::array::Array;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Length that stands for a null cell.
const NULL: u32 = u32::MAX;
/// Length that stands for a time: eight bytes of milliseconds follow.
const TIME: u32 = u32::MAX - 1;

/// The groups one worker has seen.
pub(super) struct GroupTable<'a> {
    keys: &'a [Slot],
    calls: &'a [AggCall],
    hasher: foldhash::fast::RandomState,
    table: HashTable<Entry>,
    /// Where each group's key lies in `arena`.
    starts: Vec<usize>,
    hashes: Vec<u64>,
    arena: Vec<u8>,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    scratch: Vec<u8>,
    groups: Vec<u32>,
}

struct Entry {
    hash: u64,
    group: u32,
}

/// The kinds of one key's cells.
enum GroupKinds {
    /// All rows so far had this one; `None` before the first.
    Same(Option<Kind>),
    /// One a group.
    Each(Vec<Kind>),
}

impl<'a> GroupTable<'a> {
    pub fn new(keys: &'a [Slot], calls: &'a [AggCall], hasher: foldhash::fast::RandomState) -> GroupTable<'a> {
        let mut table = GroupTable {
            keys,
            calls,
            hasher,
            table: HashTable::new(),
            starts: Vec::new(),
            hashes: Vec::new(),
            arena: Vec::new(),
            kinds: keys.iter().map(|_| GroupKinds::Same(None)).collect(),
            states: calls.iter().map(|c| (c.aggregate.new)(&c.settings)).collect(),
            scratch: Vec::new(),
            groups: Vec::new(),
        };
        if keys.is_empty() {
            // Without keys there is one group, even of no rows.
            table.intern_scratch();
        }
        table
    }

    /// Number of groups.
    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Adds the rows of a batch.
    pub fn push(&mut self, batch: &Batch) {
        let mut groups = std::mem::take(&mut self.groups);
        groups.clear();
        if self.keys.is_empty() {
            groups.resize(batch.rows, 0);
        } else {
            let columns: Vec<Column> = self.keys.iter().map(|slot| super::column(batch, *slot)).collect();
            self.intern(&columns, batch.rows, &mut groups);
        }
        let n = self.len();
        for (call, state) in self.calls.iter().zip(&mut self.states) {
            let args: Vec<Column> = call.args.iter().map(|slot| super::column(batch, *slot)).collect();
            let times = call.time.map(|slot| super::column(batch, slot));
            state.update(&Input { args: &args, times: times.as_ref(), positions: &batch.positions }, &groups, n);
        }
        self.groups = groups;
    }

    /// The group of every row, new groups added.
    fn intern(&mut self, columns: &[Column], rows: usize, groups: &mut Vec<u32>) {
        for i in 0..rows {
            self.scratch.clear();
            for column in columns {
                push_cell(column, i, &mut self.scratch);
            }
            groups.push(self.intern_scratch());
        }
        for (k, column) in columns.iter().enumerate() {
            note_kinds(&mut self.kinds[k], column, groups, self.starts.len());
        }
    }

    fn intern_scratch(&mut self) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&self.scratch);
        let hash = hasher.finish();
        let key = std::mem::take(&mut self.scratch);
        let group = self.intern_key(&key, hash);
        self.scratch = key;
        group
    }

    fn intern_key(&mut self, key: &[u8], hash: u64) -> u32 {
        let (starts, arena) = (&self.starts, &self.arena);
        let same = |e: &Entry| {
            let start = starts[e.group as usize];
            e.hash == hash && arena.get(start..start + key.len()) == Some(key)
        };
        if let Some(found) = self.table.find(hash, same) {
            return found.group;
        }
        let group = self.starts.len() as u32;
        self.table.insert_unique(hash, Entry { hash, group }, |e| e.hash);
        self.starts.push(self.arena.len());
        self.hashes.push(hash);
        self.arena.extend_from_slice(key);
        group
    }

    fn key(&self, group: usize) -> &[u8] {
        let end = self.starts.get(group + 1).copied().unwrap_or(self.arena.len());
        &self.arena[self.starts[group]..end]
    }

    /// One table of several, all of the same op and hasher.
    pub fn merge(mut tables: Vec<GroupTable<'a>>) -> GroupTable<'a> {
        // The largest takes in the others.
        tables.sort_by_key(|t| std::cmp::Reverse(t.len()));
        let mut tables = tables.into_iter();
        let mut all = tables.next().expect("a run has at least one worker");
        let mut others: Vec<Vec<(Box<dyn Accumulator>, Vec<u32>)>> = all.states.iter().map(|_| Vec::new()).collect();
        for table in tables {
            let map: Vec<u32> = (0..table.len()).map(|g| all.intern_key(table.key(g), table.hashes[g])).collect();
            for (mine, theirs) in all.kinds.iter_mut().zip(&table.kinds) {
                mine.merge(theirs, &map, all.starts.len());
            }
            for (k, state) in table.states.into_iter().enumerate() {
                others[k].push((state, map.clone()));
            }
        }
        let n = all.len();
        for (state, others) in all.states.iter_mut().zip(others) {
            if !others.is_empty() {
                state.merge(others, n);
            }
        }
        all
    }

    /// The groups as rows: keys, then aggregates, in a batch of `slots` columns; in no order.
    pub fn finish(mut self, slots: usize) -> Vec<Batch> {
        let n = self.len();
        let mut columns = self.key_columns();
        columns.extend(std::mem::take(&mut self.states).into_iter().map(|state| state.finish(n)));
        columns.resize(slots.max(columns.len()), Column::null(n));
        let whole = Batch { columns, rows: n, positions: Positions::sequence(0, n) };
        if n <= BATCH_ROWS {
            return vec![whole];
        }
        let cuts: Vec<u32> = (0..n as u32).collect();
        cuts.chunks(BATCH_ROWS).map(|rows| whole.take(rows)).collect()
    }

    fn key_columns(&self) -> Vec<Column> {
        let mut builders: Vec<ColumnBuilder> = self.keys.iter().map(|_| ColumnBuilder::default()).collect();
        for group in 0..self.len() {
            let mut key = self.key(group);
            for (k, builder) in builders.iter_mut().enumerate() {
                let (length, rest) = key.split_at(4);
                let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
                let kind = self.kinds[k].get(group);
                let size = match length {
                    NULL => 0,
                    TIME => 8,
                    n => n as usize,
                };
                let (cell, rest) = rest.split_at(size);
                match length {
                    NULL => builder.push(ValueRef::Null),
                    TIME => {
                        let ms = i64::from_le_bytes(cell.try_into().expect("eight bytes"));
                        match kind {
                            Kind::Time => builder.push(ValueRef::Time(ms)),
                            kind => builder.push(ValueRef::Text(kind, time::format(ms).as_bytes())),
                        }
                    }
                    _ => builder.push(ValueRef::Text(kind, cell)),
                }
                key = rest;
            }
        }
        builders.into_iter().map(ColumnBuilder::finish).collect()
    }
}

/// Appends the identity of a cell.
#[inline]
fn push_cell(column: &Column, i: usize, out: &mut Vec<u8>) {
    match column {
        Column::Text(array, _) if array.is_null(i) => out.extend_from_slice(&NULL.to_le_bytes()),
        Column::Text(array, _) => push_text(array.value(i), out),
        Column::Time(array) if !array.is_null(i) => push_time(array.value(i), out),
        other => match other.get(i) {
            ValueRef::Null => out.extend_from_slice(&NULL.to_le_bytes()),
            ValueRef::Time(ms) => push_time(ms, out),
            value => push_text(&value.text().unwrap_or_default(), out),
        },
    }
}

#[inline]
fn push_text(text: &[u8], out: &mut Vec<u8>) {
    // `YYYY-MM-DD HH:MM:SS.mmm` is the text of a time, whatever its kind.
    if text.len() == 23
        && text[10] == b' '
        && let Some(ms) = time::parse_canonical(text)
        && time::format(ms).as_bytes() == text
    {
        return push_time(ms, out);
    }
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn push_time(ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&TIME.to_le_bytes());
    out.extend_from_slice(&ms.to_le_bytes());
}

impl GroupKinds {
    fn get(&self, group: usize) -> Kind {
        match self {
            GroupKinds::Same(kind) => kind.unwrap_or(Kind::String),
            GroupKinds::Each(each) => each[group],
        }
    }

    /// Turns to one kind a group; groups without a cell so far have the greatest.
    fn each(&mut self, groups: usize) -> &mut Vec<Kind> {
        if let GroupKinds::Same(kind) = self {
            *self = GroupKinds::Each(vec![kind.unwrap_or(Kind::Map); groups]);
        }
        match self {
            GroupKinds::Each(each) => {
                each.resize(groups.max(each.len()), Kind::Map);
                each
            }
            GroupKinds::Same(_) => unreachable!("just turned"),
        }
    }

    fn merge(&mut self, other: &GroupKinds, map: &[u32], groups: usize) {
        match (&mut *self, other) {
            (GroupKinds::Same(a), GroupKinds::Same(b)) if a == b || b.is_none() => {}
            (GroupKinds::Same(a @ None), GroupKinds::Same(b)) => *a = *b,
            _ => {
                // Groups that only the other has seen take its kind.
                let known = match self {
                    GroupKinds::Each(each) => each.len(),
                    GroupKinds::Same(_) => groups,
                };
                let each = self.each(groups);
                let mut fresh = vec![false; groups];
                map.iter().for_each(|g| fresh[*g as usize] = *g as usize >= known);
                for (theirs, mine) in map.iter().enumerate() {
                    let kind = other.get(theirs);
                    let mine = *mine as usize;
                    each[mine] = if fresh[mine] { kind } else { each[mine].min(kind) };
                }
            }
        }
    }
}

/// Takes in the kinds of a batch's cells.
fn note_kinds(kinds: &mut GroupKinds, column: &Column, groups: &[u32], n_groups: usize) {
    let uniform = match column {
        Column::Text(_, Kinds::All(kind)) => Some(*kind),
        Column::Text(_, Kinds::Each(_)) => None,
        Column::Int(_) | Column::Float(_) => Some(Kind::Number),
        Column::Bool(_) => Some(Kind::Bool),
        Column::Time(_) => Some(Kind::Time),
        Column::Const(v, _) => match v.as_ref().kind() {
            Some(kind) => Some(kind),
            None => return,
        },
    };
    if let (GroupKinds::Same(same), Some(kind)) = (&mut *kinds, uniform)
        && same.is_none_or(|s| s == kind)
    {
        *same = Some(kind);
        return;
    }
    let each = kinds.each(n_groups);
    for (i, group) in groups.iter().enumerate() {
        if let Some(kind) = column.get(i).kind() {
            let slot = &mut each[*group as usize];
            *slot = (*slot).min(kind);
        }
    }
}
