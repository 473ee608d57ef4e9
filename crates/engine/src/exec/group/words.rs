//! The different cells of a group's key, each with a number. Keys of several cells are told apart by these numbers
//! ([`tuples`](super::tuples)), so that a long text is compared once for all keys it is part of.

use super::key::{NULL, TIME, cell_at, cell_size};
use crate::exec::hashes::Hashes;
use crate::exec::index::{Id, Index, NONE};
use crate::value::column::Column;
use crate::value::dictionary::Dictionary;
use crate::value::{ValueRef, time};
use arrow::array::Array;

/// The cells of one key, by identity: canonical text, or a time.
#[derive(Default)]
pub(in crate::exec) struct Words {
    index: Index,
    ids: Vec<Id>,
    hashes: Vec<u64>,
    /// Cells as [`cell_at`] reads them, each at a place that is a multiple of [`UNIT`].
    arena: Vec<u8>,
    places: Vec<u32>,
    /// The dictionary met last, and which word here each of its words is.
    known: Option<(u64, Vec<u32>)>,
}

/// A word that is about to get a number.
const MET: u32 = NONE - 1;

/// Bytes between two places: with 32 bits they reach 32 GiB.
const UNIT: usize = 8;

/// What tells apart cells that are no texts.
const NO_TEXT: u16 = 1;
const A_TIME: u16 = 2;

/// A cell.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Null,
    Time(i64),
    Text(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// A string that reads exactly as a time is the same as that time.
    #[inline]
    fn of_text(text: &'a [u8]) -> Cell<'a> {
        time::as_canonical(text).map_or(Cell::Text(text), Cell::Time)
    }

    /// The cell at a place.
    fn at(arena: &'a [u8], place: u32) -> Cell<'a> {
        let (length, from) = cell_at(arena, place as usize * UNIT);
        match length {
            NULL => Cell::Null,
            TIME => Cell::Time(i64::from_le_bytes(arena[from..from + 8].try_into().expect("eight bytes"))),
            length => Cell::Text(&arena[from..from + length as usize]),
        }
    }

    #[inline]
    fn id(self, hash: u64) -> Id {
        match self {
            Cell::Null => Id::of_number(0, NO_TEXT),
            Cell::Time(ms) => Id::of_number(ms as u64, A_TIME),
            Cell::Text(text) => Id::of_text(text, hash, 0),
        }
    }
}

impl Words {
    /// Number of words.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether places of many more words could not be told apart.
    pub fn is_full(&self) -> bool {
        self.arena.len() / UNIT > u32::MAX as usize / 2
    }

    /// The word of each cell of a column, new ones added.
    pub fn of(&mut self, column: &Column, hashes: &mut Hashes, out: &mut Vec<u32>) {
        out.clear();
        match column {
            _ if column.is_empty() => {}
            Column::Dict(numbers, dictionary) => self.of_dictionary(numbers, dictionary, hashes, out),
            Column::Const(value, rows) => {
                let hash = hashes.of_cell(value.as_ref());
                let word = self.intern_value(value.as_ref(), hash);
                out.resize(*rows, word);
            }
            Column::Text(array, _) => {
                let of = hashes.of(column);
                let cell = |i: usize| if array.is_null(i) { Cell::Null } else { Cell::of_text(array.value(i)) };
                // All first looks, then all comparisons: neither waits for the one before.
                out.extend(of.iter().map(|hash| self.index.likely(*hash)));
                for ((i, word), hash) in out.iter_mut().enumerate().zip(of.iter()) {
                    let cell = cell(i);
                    let id = cell.id(*hash);
                    if *word == NONE || !self.is(*word, cell, id) {
                        *word = self.intern(cell, id, *hash);
                    }
                }
            }
            Column::Time(times) => {
                // A time is often the start of a long span, and rows are not far from each other.
                const RECENT: u32 = 8;
                let mut recent = [(0i64, NONE); 1 << RECENT];
                let (mut last, mut of_last) = (0, NONE);
                for (i, ms) in times.values().iter().enumerate() {
                    if times.is_null(i) {
                        out.push(self.intern_cell(Cell::Null, hashes.of_cell(ValueRef::Null)));
                        continue;
                    }
                    if *ms == last && of_last != NONE {
                        out.push(of_last);
                        continue;
                    }
                    let hash = hashes.of_time(*ms);
                    let (known, word) = &mut recent[(hash >> (u64::BITS - RECENT)) as usize];
                    if *word == NONE || *known != *ms {
                        (*known, *word) = (*ms, self.intern_cell(Cell::Time(*ms), hash));
                    }
                    (last, of_last) = (*ms, *word);
                    out.push(*word);
                }
            }
            other => {
                let of = hashes.of(column);
                out.extend(other.iter().zip(of.iter()).map(|(value, hash)| self.intern_value(value, *hash)));
            }
        }
    }

    fn of_dictionary(&mut self, numbers: &[u32], dictionary: &Dictionary, hashes: &mut Hashes, out: &mut Vec<u32>) {
        let mut known = match self.known.take() {
            Some((id, known)) if id == dictionary.id() => known,
            _ => Vec::new(),
        };
        known.resize(dictionary.len(), NONE);
        let of = hashes.of_words(dictionary);
        let mut new: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            let word = &mut known[*number as usize];
            if *word == NONE {
                *word = MET;
                new.push((*number, self.index.likely(of[*number as usize])));
            }
        }
        // All first looks are done; neither these comparisons wait for one another.
        for (number, likely) in new {
            let hash = of[number as usize];
            let cell = match dictionary.get(number) {
                ValueRef::Text(_, text) => Cell::of_text(text),
                _ => Cell::Null,
            };
            let id = cell.id(hash);
            let is_it = likely != NONE && self.is(likely, cell, id);
            known[number as usize] = if is_it { likely } else { self.intern(cell, id, hash) };
        }
        out.extend(numbers.iter().map(|number| known[*number as usize]));
        self.known = Some((dictionary.id(), known));
    }

    fn intern_value(&mut self, value: ValueRef<'_>, hash: u64) -> u32 {
        match value {
            ValueRef::Null => self.intern_cell(Cell::Null, hash),
            ValueRef::Time(ms) => self.intern_cell(Cell::Time(ms), hash),
            value => self.intern_cell(Cell::of_text(&value.text().unwrap_or_default()), hash),
        }
    }

    fn intern_cell(&mut self, cell: Cell<'_>, hash: u64) -> u32 {
        self.intern(cell, cell.id(hash), hash)
    }

    fn intern(&mut self, cell: Cell<'_>, id: Id, hash: u64) -> u32 {
        match self.index.find(hash, |word| self.is(word, cell, id)) {
            Some(word) => word,
            None => self.add(cell, id, hash),
        }
    }

    /// Whether a word is this cell.
    #[inline]
    fn is(&self, word: u32, cell: Cell<'_>, id: Id) -> bool {
        self.ids[word as usize] == id
            && match cell {
                Cell::Text(text) if !Id::is_whole(text) => {
                    let from = self.places[word as usize] as usize * UNIT + 4;
                    self.arena[from..from + text.len()] == *text
                }
                _ => true,
            }
    }

    #[cold]
    fn add(&mut self, cell: Cell<'_>, id: Id, hash: u64) -> u32 {
        let word = self.places.len() as u32;
        self.arena.resize(self.arena.len().next_multiple_of(UNIT), 0);
        self.places.push((self.arena.len() / UNIT) as u32);
        match cell {
            Cell::Null => self.arena.extend_from_slice(&NULL.to_le_bytes()),
            Cell::Time(ms) => {
                self.arena.extend_from_slice(&TIME.to_le_bytes());
                self.arena.extend_from_slice(&ms.to_le_bytes());
            }
            Cell::Text(text) => {
                self.arena.extend_from_slice(&(text.len() as u32).to_le_bytes());
                self.arena.extend_from_slice(text);
            }
        }
        self.index.add(hash, |word| self.hashes[word as usize]);
        self.hashes.push(hash);
        self.ids.push(id);
        word
    }

    /// The words of others, taken in: which word here each of them is.
    pub fn take_in(&mut self, others: &Words, which: impl Iterator<Item = u32>) -> Vec<u32> {
        let take = |word: u32| {
            let cell = Cell::at(&others.arena, others.places[word as usize]);
            self.intern_cell(cell, others.hashes[word as usize])
        };
        which.map(take).collect()
    }

    /// The hash of a word.
    #[inline]
    pub fn hash(&self, word: u32) -> u64 {
        self.hashes[word as usize]
    }

    /// A word with its length, as it stands in keys of bytes.
    pub fn cell(&self, word: u32) -> &[u8] {
        let (length, from) = cell_at(&self.arena, self.places[word as usize] as usize * UNIT);
        &self.arena[from - 4..from + cell_size(length)]
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let known = self.known.as_ref().map_or(0, |(_, known)| known.capacity() * 4);
        self.arena.capacity()
            + self.places.capacity() * 4
            + self.hashes.capacity() * 8
            + self.ids.capacity() * size_of::<Id>()
            + self.index.bytes()
            + known
    }

    /// The cells one after another, and where each of them is; nothing is left here.
    pub fn into_cells(self) -> (Vec<u8>, Vec<usize>) {
        let places = self.places.into_iter().map(|place| place as usize * UNIT).collect();
        (self.arena, places)
    }
}
