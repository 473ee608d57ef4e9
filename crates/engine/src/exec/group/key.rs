//! The identity of a row's cells as bytes, and tables of such keys.
//!
//! A key is the canonical texts of its cells one after another, each behind its length. A time is kept as its number
//! (rendering it for every row would cost more than the rest), and so is a string that reads exactly as one, because
//! identity is text. The kinds of the cells are no part of the key: `404` and `"404"` are one group.

use crate::value::column::Column;
use crate::value::{Kind, ValueRef, time};
use arrow::array::Array;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Length that stands for a null cell.
pub(in crate::exec) const NULL: u32 = u32::MAX;
/// Length that stands for a time: eight bytes of milliseconds follow.
pub(in crate::exec) const TIME: u32 = u32::MAX - 1;

/// Keys and their numbers, for look-ups beside groups.
pub(crate) struct Keys {
    table: HashTable<Entry>,
    /// The keys one after another.
    arena: Vec<u8>,
    hasher: foldhash::fast::RandomState,
    scratch: Vec<u8>,
}

/// A key in the table.
struct Entry {
    hash: u64,
    /// Where it lies in the arena.
    start: usize,
    number: usize,
}

impl Keys {
    pub fn new() -> Keys {
        let hasher = foldhash::fast::RandomState::default();
        Keys { table: HashTable::new(), arena: Vec::new(), hasher, scratch: Vec::new() }
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
        let hash = self.hash();
        if let Some(number) = self.number(hash) {
            return (number, false);
        }
        let entry = Entry { hash, start: self.arena.len(), number: self.table.len() };
        let number = self.table.insert_unique(hash, entry, |e| e.hash).get().number;
        self.arena.extend_from_slice(&self.scratch);
        (number, true)
    }

    /// The number of the identity that [`Keys::of`] gave last, if it has one.
    pub fn find(&self) -> Option<usize> {
        self.number(self.hash())
    }

    fn number(&self, hash: u64) -> Option<usize> {
        // A key says its own length, so no key is the start of another.
        let same = |e: &Entry| e.hash == hash && self.arena[e.start..].starts_with(&self.scratch);
        self.table.find(hash, same).map(|e| e.number)
    }

    fn hash(&self) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&self.scratch);
        hasher.finish()
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.table.allocation_size() + self.arena.capacity()
    }
}

/// The length word of the cell at a place of an arena, and where the cell itself starts.
pub(in crate::exec) fn cell_at(arena: &[u8], at: usize) -> (u32, usize) {
    let word = arena[at..at + 4].try_into().expect("four bytes");
    (u32::from_le_bytes(word), at + 4)
}

/// Gives the cell at a place of an arena to `push`; where the next one lies.
pub(super) fn key_cell(arena: &[u8], at: usize, kind: Kind, push: impl FnOnce(ValueRef<'_>)) -> usize {
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
pub(in crate::exec) fn cell_size(length: u32) -> usize {
    match length {
        NULL => 0,
        TIME => 8,
        n => n as usize,
    }
}

/// Appends the identity of a cell.
#[inline]
pub(in crate::exec) fn push_cell(column: &Column, i: usize, out: &mut Vec<u8>) {
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
    if let Some(ms) = time::as_canonical(text) {
        return push_time(ms, out);
    }
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn push_time(ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&TIME.to_le_bytes());
    out.extend_from_slice(&ms.to_le_bytes());
}
