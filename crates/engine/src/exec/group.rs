//! `stats`: rows in, one row a group out. Remembers every group's key and the aggregates' states; tables of several
//! workers merge by key, so the answer does not depend on who saw which row.
//!
//! A key is the canonical texts of its cells one after another, each behind its length. A time is kept as its number
//! (rendering it for every row would cost more than the rest), and so is a string that reads exactly as one, because
//! identity is text. The kinds of the cells are no part of the key: `404` and `"404"` are one group. A group whose cells
//! had several kinds shows the least (string first), which is the same whatever row came first.

mod spill;

use super::ctl::Ctl;
use super::memory::Share;
use super::rows::Rows;
use super::spill::Sorter;
use crate::agg::{Accumulator, Input};
use crate::error::Error;
use crate::plan::{AggCall, Slot};
use crate::value::column::{Batch, Column, ColumnBuilder, Kinds, Positions};
use crate::value::{Kind, ValueRef, time};
use arrow::array::{Array, BinaryViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer};
use hashbrown::HashTable;
use rayon::prelude::*;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Length that stands for a null cell.
const NULL: u32 = u32::MAX;
/// Length that stands for a time: eight bytes of milliseconds follow.
const TIME: u32 = u32::MAX - 1;

/// Keys and their numbers, for look-ups beside groups.
pub(super) struct Keys {
    table: HashTable<Entry>,
    found: Part,
    hasher: foldhash::fast::RandomState,
    scratch: Vec<u8>,
}

impl Keys {
    pub fn new() -> Keys {
        let hasher = foldhash::fast::RandomState::default();
        Keys { table: HashTable::new(), found: Part::default(), hasher, scratch: Vec::new() }
    }

    /// The identity of a row's cells; `None` if one is null.
    pub fn of(&mut self, columns: &[Column], row: usize) -> Option<&[u8]> {
        self.scratch.clear();
        for column in columns {
            if column.get(row).is_null() {
                return None;
            }
            push_cell(column, row, &mut self.scratch);
        }
        Some(&self.scratch)
    }

    /// The number of the identity that [`Keys::of`] gave last, and whether it is new.
    pub fn intern(&mut self) -> (usize, bool) {
        let (hash, before) = (self.hash(), self.found.starts.len());
        let number = self.found.intern(&mut self.table, &self.scratch, hash);
        (number as usize, self.found.starts.len() > before)
    }

    /// The number of the identity that [`Keys::of`] gave last, if it has one.
    pub fn find(&self) -> Option<usize> {
        self.found.find(&self.table, &self.scratch, self.hash()).map(|number| number as usize)
    }

    fn hash(&self) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&self.scratch);
        hasher.finish()
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.table.allocation_size() + self.found.arena.capacity() + self.found.starts.capacity() * 8
    }
}

/// The groups one worker has seen.
pub(super) struct GroupTable<'a> {
    keys: &'a [Slot],
    calls: &'a [AggCall],
    hasher: foldhash::fast::RandomState,
    table: HashTable<Entry>,
    /// The groups' keys and their hashes.
    found: Part,
    hashes: Vec<u64>,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    scratch: Vec<u8>,
    /// Hash and end of each key in `scratch`.
    pending: Vec<(u64, usize)>,
    groups: Vec<u32>,
    share: Share,
    /// Groups that had no room, as records.
    sorter: Option<Sorter<'a>>,
    ctl: &'a Ctl,
}

/// Rows whose keys are made before they are looked up.
const AT_ONCE: usize = 512;

struct Entry {
    hash: u64,
    /// Where the key lies in the arena.
    start: usize,
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
    pub fn new(
        keys: &'a [Slot],
        calls: &'a [AggCall],
        hasher: foldhash::fast::RandomState,
        ctl: &'a Ctl,
    ) -> GroupTable<'a> {
        let mut table = GroupTable {
            keys,
            calls,
            hasher,
            table: HashTable::new(),
            found: Part::default(),
            hashes: Vec::new(),
            kinds: keys.iter().map(|_| GroupKinds::Same(None)).collect(),
            states: calls.iter().map(|call| fresh(call, ctl)).collect(),
            scratch: Vec::new(),
            pending: Vec::new(),
            groups: Vec::new(),
            share: ctl.memory().share(),
            sorter: None,
            ctl,
        };
        table.without_keys();
        table
    }

    /// Without keys there is one group, even of no rows.
    fn without_keys(&mut self) {
        if self.keys.is_empty() {
            self.intern_key(&[], 0);
        }
    }

    /// Number of groups.
    fn len(&self) -> usize {
        self.found.starts.len()
    }

    /// Adds the rows of a batch.
    pub fn push(&mut self, batch: &Batch) -> Result<(), Error> {
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
        // Merging makes everything anew while the old is still there.
        if self.share.set(2 * self.bytes()) { Ok(()) } else { self.spill() }
    }

    /// Bytes of memory held, roughly.
    fn bytes(&self) -> usize {
        let keys = self.found.arena.capacity() + (self.found.starts.capacity() + self.hashes.capacity()) * 8;
        keys + self.table.allocation_size() + self.states.iter().map(|s| s.bytes()).sum::<usize>()
    }

    /// The group of every row, new groups added.
    fn intern(&mut self, columns: &[Column], rows: usize, groups: &mut Vec<u32>) {
        let before = self.len();
        // Keys first, look-ups then: without work in between, the cache misses of many look-ups overlap.
        for first in (0..rows).step_by(AT_ONCE) {
            self.scratch.clear();
            self.pending.clear();
            for i in first..rows.min(first + AT_ONCE) {
                let start = self.scratch.len();
                for column in columns {
                    push_cell(column, i, &mut self.scratch);
                }
                let mut hasher = self.hasher.build_hasher();
                hasher.write(&self.scratch[start..]);
                self.pending.push((hasher.finish(), self.scratch.len()));
            }
            let (scratch, pending) = (std::mem::take(&mut self.scratch), std::mem::take(&mut self.pending));
            let mut start = 0;
            for (hash, end) in &pending {
                groups.push(self.intern_key(&scratch[start..*end], *hash));
                start = *end;
            }
            (self.scratch, self.pending) = (scratch, pending);
        }
        for (k, column) in columns.iter().enumerate() {
            note_kinds(&mut self.kinds[k], column, groups, before, self.found.starts.len());
        }
    }

    fn intern_key(&mut self, key: &[u8], hash: u64) -> u32 {
        let before = self.found.starts.len();
        let group = self.found.intern(&mut self.table, key, hash);
        if self.found.starts.len() > before {
            self.hashes.push(hash);
        }
        group
    }

    /// The rows of all groups of several tables of the same op and hasher: keys, then aggregates, at least `slots`
    /// columns; in no order.
    pub fn finish(tables: Vec<GroupTable<'a>>, slots: usize, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        if tables.iter().any(|t| t.sorter.is_some()) {
            return GroupTable::merge_spilled(tables, ctl);
        }
        let batches = ctl.install(|| GroupTable::merge(tables, ctl)?.finish(slots, ctl))?;
        Ok(Rows::held(batches, ctl))
    }

    /// All groups of several tables that are in memory.
    fn merge(mut tables: Vec<GroupTable<'a>>, ctl: &Ctl) -> Result<Groups, Error> {
        let total: usize = tables.iter().map(GroupTable::len).sum();
        if tables.len() > 1 && total > FEW {
            return merge_parts(tables, ctl);
        }
        // The largest takes in the others.
        tables.sort_by_key(|t| std::cmp::Reverse(t.len()));
        let mut tables = tables.into_iter();
        let mut all = tables.next().expect("a run has at least one worker");
        let mut others: Vec<States> = all.states.iter().map(|_| Vec::new()).collect();
        let mut kinds = vec![(std::mem::take(&mut all.kinds), (0..all.len() as u32).collect::<Vec<u32>>())];
        for table in tables {
            let map: Vec<u32> = (0..table.len()).map(|g| all.intern_key(table.found.key(g), table.hashes[g])).collect();
            for (k, state) in table.states.into_iter().enumerate() {
                others[k].push((state, map.clone()));
            }
            kinds.push((table.kinds, map));
        }
        let n = all.len();
        for (state, others) in all.states.iter_mut().zip(others) {
            ctl.check()?;
            if !others.is_empty() {
                state.merge(others, n);
            }
        }
        Ok(Groups { kinds: merge_kinds(&kinds, n), parts: vec![all.found], states: all.states, n })
    }
}

/// The state of an aggregate without groups.
fn fresh(call: &AggCall, ctl: &Ctl) -> Box<dyn Accumulator> {
    let mut state = (call.aggregate.new)(&call.settings);
    state.stop_with(ctl.stop());
    state
}

/// The states of one aggregate in several tables, each with where its groups are in the merged one.
type States = Vec<(Box<dyn Accumulator>, Vec<u32>)>;

/// Groups up to this many are merged into one table.
const FEW: usize = 20_000;

/// Parts that tables are merged in, by the upper bits of the hash.
const PARTS: usize = 64;

/// Merges large tables part by part, so that parts are merged side by side and stay small enough for the cache.
fn merge_parts(tables: Vec<GroupTable<'_>>, ctl: &Ctl) -> Result<Groups, Error> {
    let calls = tables[0].calls;
    // Keys and states part ways: only keys are looked at from several threads.
    let mut keys: Vec<(Part, Vec<u64>)> = Vec::new();
    let mut rest = Vec::new();
    for table in tables {
        keys.push((table.found, table.hashes));
        rest.push((table.kinds, table.states));
    }
    let by_part: Vec<Vec<Vec<u32>>> = keys
        .par_iter()
        .map(|(_, hashes)| {
            let mut parts: Vec<Vec<u32>> = vec![Vec::new(); PARTS];
            for (group, hash) in hashes.iter().enumerate() {
                parts[(hash >> 58) as usize].push(group as u32);
            }
            parts
        })
        .collect();
    let merged: Vec<(Part, Vec<Vec<u32>>)> = (0..PARTS)
        .into_par_iter()
        .map(|p| {
            let mut part = Part::default();
            let mut table: HashTable<Entry> = HashTable::new();
            let mut maps = Vec::with_capacity(keys.len());
            ctl.check()?;
            for ((source, hashes), groups) in keys.iter().zip(&by_part) {
                let intern = |group: &u32| {
                    let (key, hash) = (source.key(*group as usize), hashes[*group as usize]);
                    part.intern(&mut table, key, hash)
                };
                maps.push(groups[p].iter().map(intern).collect());
            }
            Ok((part, maps))
        })
        .collect::<Result<_, Error>>()?;
    let mut maps: Vec<Vec<u32>> = keys.iter().map(|(k, _)| vec![0; k.starts.len()]).collect();
    let (mut parts, mut n) = (Vec::with_capacity(PARTS), 0);
    for (p, (part, local)) in merged.into_iter().enumerate() {
        for (w, local) in local.into_iter().enumerate() {
            by_part[w][p].iter().zip(local).for_each(|(group, to)| maps[w][*group as usize] = n as u32 + to);
        }
        n += part.starts.len();
        parts.push(part);
    }
    let mut states: Vec<States> = calls.iter().map(|_| Vec::new()).collect();
    let mut kinds = Vec::with_capacity(rest.len());
    for ((worker_kinds, worker_states), map) in rest.into_iter().zip(maps) {
        for (k, state) in worker_states.into_iter().enumerate() {
            states[k].push((state, map.clone()));
        }
        kinds.push((worker_kinds, map));
    }
    let states = calls
        .iter()
        .zip(states)
        .map(|(call, workers)| {
            ctl.check()?;
            let mut state = fresh(call, ctl);
            state.merge(workers, n);
            Ok(state)
        })
        .collect::<Result<_, Error>>()?;
    Ok(Groups { parts, kinds: merge_kinds(&kinds, n), states, n })
}

/// The kinds of every key over all tables.
fn merge_kinds(tables: &[(Vec<GroupKinds>, Vec<u32>)], n: usize) -> Vec<GroupKinds> {
    let keys = tables.first().map_or(0, |(kinds, _)| kinds.len());
    let of_key = |k: usize| tables.iter().map(|(kinds, map)| (&kinds[k], map.as_slice())).collect::<Vec<_>>();
    (0..keys).map(|k| GroupKinds::merge(&of_key(k), n)).collect()
}

/// The keys of some groups.
#[derive(Default)]
struct Part {
    arena: Vec<u8>,
    starts: Vec<usize>,
}

/// All groups of a run.
struct Groups {
    parts: Vec<Part>,
    kinds: Vec<GroupKinds>,
    states: Vec<Box<dyn Accumulator>>,
    n: usize,
}

impl Groups {
    /// The groups as rows: keys, then aggregates, in batches of `slots` columns; in no order.
    fn finish(self, slots: usize, ctl: &Ctl) -> Result<Vec<Batch>, Error> {
        let n = self.n;
        let finish = |state: Box<dyn Accumulator>| ctl.check().map(|()| state.finish(n));
        let results: Vec<Column> = self.states.into_par_iter().map(finish).collect::<Result<_, _>>()?;
        let kinds = &self.kinds;
        let mut firsts = Vec::with_capacity(self.parts.len());
        let mut first = 0;
        for part in &self.parts {
            firsts.push(first);
            first += part.starts.len();
        }
        let width = slots.max(kinds.len() + results.len());
        let parts: Vec<(Part, usize)> =
            self.parts.into_iter().zip(firsts).filter(|(p, _)| n == 0 || !p.starts.is_empty()).collect();
        parts
            .into_par_iter()
            .map(|(part, first)| {
                ctl.check()?;
                let rows = part.starts.len();
                let mut columns = part.columns(kinds, first);
                columns.extend(results.iter().map(|c| c.slice(first, rows)));
                columns.resize(width, Column::null(rows));
                Ok(Batch { columns, rows, positions: Positions::sequence(first as u64, rows) })
            })
            .collect()
    }
}

impl Part {
    /// The group of a key, added if it is new.
    #[inline]
    fn intern(&mut self, table: &mut HashTable<Entry>, key: &[u8], hash: u64) -> u32 {
        if let Some(group) = self.find(table, key, hash) {
            return group;
        }
        let group = self.starts.len() as u32;
        let start = self.arena.len();
        table.insert_unique(hash, Entry { hash, start, group }, |e| e.hash);
        self.starts.push(start);
        self.arena.extend_from_slice(key);
        group
    }

    #[inline]
    fn find(&self, table: &HashTable<Entry>, key: &[u8], hash: u64) -> Option<u32> {
        // A key says its own length, so no key is the start of another.
        let same = |e: &Entry| e.hash == hash && self.arena[e.start..].starts_with(key);
        table.find(hash, same).map(|e| e.group)
    }

    fn key(&self, group: usize) -> &[u8] {
        let end = self.starts.get(group + 1).copied().unwrap_or(self.arena.len());
        &self.arena[self.starts[group]..end]
    }

    /// The key columns of the groups from number `first` on. Text stays where it lies.
    fn columns(self, kinds: &[GroupKinds], first: usize) -> Vec<Column> {
        let rows = self.starts.len();
        if u32::try_from(self.arena.len()).is_err() {
            // Beyond 4 GiB of keys in one part, views cannot reach all of them.
            return self.copied(kinds, first);
        }
        let mut cells: Vec<KeyCells> = kinds.iter().map(|_| KeyCells::default()).collect();
        for start in &self.starts {
            let mut at = *start;
            for cell in &mut cells {
                at = cell.push(&self.arena, at);
            }
        }
        if cells.iter().any(|c| c.times > 0) {
            return self.copied(kinds, first);
        }
        let buffers: Arc<[Buffer]> = [Buffer::from(self.arena)].into();
        let finish = |(cell, kinds): (KeyCells, &GroupKinds)| cell.finish(&buffers, kinds.range(first, rows));
        cells.into_iter().zip(kinds).map(finish).collect()
    }

    /// The key columns, cell by cell: for times, and for more text than a view reaches.
    fn copied(&self, kinds: &[GroupKinds], first: usize) -> Vec<Column> {
        let mut builders: Vec<ColumnBuilder> = kinds.iter().map(|_| ColumnBuilder::default()).collect();
        for (group, start) in self.starts.iter().enumerate() {
            let mut at = *start;
            for (builder, kinds) in builders.iter_mut().zip(kinds) {
                at = key_cell(&self.arena, at, kinds.get(first + group), |value| builder.push(value));
            }
        }
        builders.into_iter().map(ColumnBuilder::finish).collect()
    }
}

/// The length word of the cell at a place of an arena, and where the cell itself starts.
fn cell_at(arena: &[u8], at: usize) -> (u32, usize) {
    let word = arena[at..at + 4].try_into().expect("four bytes");
    (u32::from_le_bytes(word), at + 4)
}

/// Gives the cell at a place of an arena to `push`; where the next one lies.
fn key_cell(arena: &[u8], at: usize, kind: Kind, push: impl FnOnce(ValueRef<'_>)) -> usize {
    let (length, from) = cell_at(arena, at);
    let end = from + cell_size(length);
    let cell = &arena[from..end];
    match (length, kind) {
        (NULL, _) => push(ValueRef::Null),
        (TIME, kind) => {
            let ms = i64::from_le_bytes(cell.try_into().expect("eight bytes"));
            match kind {
                Kind::Time => push(ValueRef::Time(ms)),
                kind => push(ValueRef::Text(kind, time::format(ms).as_bytes())),
            }
        }
        _ => push(ValueRef::Text(kind, cell)),
    }
    end
}

/// Bytes of a cell.
fn cell_size(length: u32) -> usize {
    match length {
        NULL => 0,
        TIME => 8,
        n => n as usize,
    }
}

/// One key's cells as views into the arena.
#[derive(Default)]
struct KeyCells {
    views: Vec<u128>,
    valid: Vec<bool>,
    nulls: usize,
    times: usize,
}

impl KeyCells {
    /// Adds the cell at `at`; where the next one lies.
    fn push(&mut self, arena: &[u8], at: usize) -> usize {
        let (length, from) = cell_at(arena, at);
        let end = from + cell_size(length);
        self.valid.push(length != NULL);
        self.nulls += usize::from(length == NULL);
        self.times += usize::from(length == TIME);
        self.views.push(make_view(&arena[from..end], 0, from as u32));
        end
    }

    fn finish(self, buffers: &Arc<[Buffer]>, kinds: Kinds) -> Column {
        let nulls = (self.nulls > 0).then(|| NullBuffer::from(self.valid));
        // SAFETY: every view was made from text at that place of the one buffer, which is the arena.
        let array = unsafe { BinaryViewArray::new_unchecked(self.views.into(), Arc::clone(buffers), nulls) };
        Column::Text(array, kinds)
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
            // A group beyond the list has only nulls, whose kind means nothing.
            GroupKinds::Each(each) => each.get(group).copied().unwrap_or(LAST),
        }
    }

    /// The least kind seen in a group; where there is none, the one that gives way to every other.
    fn least(&self, group: usize) -> Kind {
        match self {
            GroupKinds::Same(kind) => kind.unwrap_or(LAST),
            GroupKinds::Each(_) => self.get(group),
        }
    }

    /// The kinds of some groups in a row.
    fn range(&self, first: usize, n: usize) -> Kinds {
        match self {
            GroupKinds::Same(kind) => Kinds::All(kind.unwrap_or(Kind::String)),
            GroupKinds::Each(_) => Kinds::Each((first..first + n).map(|g| self.get(g)).collect()),
        }
    }

    /// Turns to one kind a group, `groups` in all; the first `before` of them had the one kind so far.
    fn each(&mut self, before: usize, groups: usize) -> &mut Vec<Kind> {
        if let GroupKinds::Same(kind) = self {
            *self = GroupKinds::Each(vec![kind.unwrap_or(LAST); before]);
        }
        match self {
            GroupKinds::Each(each) => {
                each.resize(groups.max(each.len()), LAST);
                each
            }
            GroupKinds::Same(_) => unreachable!("just turned"),
        }
    }

    /// The kinds of one key in several tables, whose group `g` is group `map[g]` of `n`.
    fn merge(tables: &[(&GroupKinds, &[u32])], n: usize) -> GroupKinds {
        let mut seen = tables.iter().map(|(kinds, _)| match kinds {
            GroupKinds::Same(kind) => Some(*kind),
            GroupKinds::Each(_) => None,
        });
        let first = seen.next().flatten();
        if let Some(first) = first {
            let same = seen.try_fold(first, |all, next| match (all, next?) {
                (None, kind) | (kind, None) => Some(kind),
                (a, b) if a == b => Some(a),
                _ => None,
            });
            if let Some(kind) = same {
                return GroupKinds::Same(kind);
            }
        }
        let mut each = vec![LAST; n];
        for (kinds, map) in tables {
            for (group, to) in map.iter().enumerate() {
                let slot = &mut each[*to as usize];
                *slot = (*slot).min(kinds.get(group));
            }
        }
        GroupKinds::Each(each)
    }
}

/// The kind that gives way to every other.
const LAST: Kind = Kind::Map;

/// Takes in the kinds of a batch's cells.
fn note_kinds(kinds: &mut GroupKinds, column: &Column, groups: &[u32], before: usize, n_groups: usize) {
    let uniform = match column {
        Column::Text(_, Kinds::All(Kind::Float)) => Some(Kind::Number),
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
    let each = kinds.each(before, n_groups);
    for (i, group) in groups.iter().enumerate() {
        if let Some(kind) = column.get(i).kind() {
            let slot = &mut each[*group as usize];
            *slot = (*slot).min(kind);
        }
    }
}
