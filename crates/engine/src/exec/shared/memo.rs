//! The leaves that hold for a value of some columns, remembered for as long as values repeat.

use super::{Front, Lexicon, Rows};
use crate::exec::eval::{eval, mask};
use crate::exec::hashes::Hashes;
use crate::exec::{Cx, column};
use crate::value::ValueRef;
use crate::value::column::{Batch, Column, Kinds, Positions};
use arrow::array::{Array, BinaryViewArray};
use arrow::buffer::BooleanBuffer;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Values of the columns of a lexicon that were seen, and the leaves that hold for each.
pub(super) struct Memo {
    table: HashTable<Known>,
    hasher: foldhash::fast::RandomState,
    /// Values so far.
    values: usize,
    /// The values: which columns were constants and of which values, kinds and texts of the other cells, `u8::MAX` being
    /// the kind of null.
    texts: Vec<u8>,
    /// Constants met so far.
    constants: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    /// The leaves that hold for each value, `stride` words a value.
    bits: Vec<u64>,
    stride: usize,
    /// Values looked up and values that were new, since the memo was last emptied.
    lookups: u64,
    misses: u64,
    /// Values do not repeat: every row is judged by itself.
    off: bool,
    /// Of the batch: it was looked at; the value of each row; leaves that hold in some row, and in every row.
    looked: bool,
    ids: Vec<u32>,
    some: Vec<u64>,
    every: Vec<u64>,
    /// Of the batch, if its values are not kept: the leaves that hold for each.
    once: Option<Vec<u64>>,
}

/// A value, its number, and where it lies in the texts.
struct Known {
    hash: u64,
    id: u32,
    start: u32,
    end: u32,
}

/// Values kept; beyond, the memo is emptied, or given up if they hardly repeat.
const MOST_VALUES: usize = 1 << 16;

/// Bytes of values kept.
const MOST_TEXT: usize = 64 << 20;

impl Memo {
    pub fn new(words: &Lexicon) -> Memo {
        let stride = words.leaves.len().div_ceil(64);
        Memo {
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            values: 0,
            texts: Vec::new(),
            constants: Vec::new(),
            scratch: Vec::new(),
            bits: Vec::new(),
            stride,
            lookups: 0,
            misses: 0,
            off: false,
            looked: false,
            ids: Vec::new(),
            some: vec![0; stride],
            every: vec![0; stride],
            once: None,
        }
    }

    /// Another batch comes.
    pub fn next(&mut self) {
        self.looked = false;
    }

    /// The rows in which a leaf holds.
    pub fn rows(
        &mut self,
        front: &Front,
        (words, bit): (usize, usize),
        batch: &Batch,
        hashes: &mut Hashes,
        cx: &Cx<'_>,
    ) -> Rows {
        if !self.looked {
            self.looked = true;
            self.look(front, &front.words[words], batch, hashes, cx);
        }
        let (word, bit) = (bit / 64, 1u64 << (bit % 64));
        if self.some[word] & bit == 0 {
            return Rows::None;
        }
        if self.every[word] & bit != 0 {
            return Rows::All;
        }
        let bits = self.once.as_ref().unwrap_or(&self.bits);
        let holds = |i: usize| bits[self.ids[i] as usize * self.stride + word] & bit != 0;
        Rows::Some(BooleanBuffer::collect_bool(batch.rows, holds))
    }

    /// Finds the value of every row, and judges those that are new.
    fn look(&mut self, front: &Front, lexicon: &Lexicon, batch: &Batch, hashes: &mut Hashes, cx: &Cx<'_>) {
        let columns: Vec<Column> = lexicon.columns.iter().map(|slot| column(batch, *slot)).collect();
        let constant = |c: &Column| matches!(c, Column::Const(..));
        if self.values > MOST_VALUES || self.texts.len() > MOST_TEXT {
            self.off = self.misses * 2 > self.lookups;
            self.forget();
        }
        self.ids.clear();
        self.once = None;
        if columns.iter().all(constant) {
            self.ids.resize(batch.rows, 0);
            let one = columns.iter().map(|c| c.slice(0, batch.rows.min(1))).collect();
            self.once = Some(self.judge(front, lexicon, one, cx));
        } else if !self.off && columns.iter().all(|c| constant(c) || matches!(c, Column::Text(..))) {
            let constants = self.constants(&columns);
            let mut others = columns.iter().filter(|c| !constant(c));
            let new = match (others.next(), others.next()) {
                (Some(column @ Column::Text(array, kinds)), None) => {
                    self.number(array, kinds, &hashes.of(column), constants)
                }
                _ => self.number_all(&columns, batch.rows, constants),
            };
            if !new.is_empty() {
                let bits = self.judge(front, lexicon, columns.iter().map(|c| c.take(&new)).collect(), cx);
                self.bits.extend(bits);
            }
        } else {
            // Every row is a value of its own.
            self.ids.extend(0..batch.rows as u32);
            self.once = Some(self.judge(front, lexicon, columns, cx));
        }
        self.some.fill(0);
        self.every.fill(u64::MAX);
        let bits = self.once.as_ref().unwrap_or(&self.bits);
        for id in &self.ids {
            let of = &bits[*id as usize * self.stride..][..self.stride];
            for (word, of) in of.iter().enumerate() {
                self.some[word] |= of;
                self.every[word] &= of;
            }
        }
    }

    fn forget(&mut self) {
        self.table.clear();
        self.values = 0;
        self.texts.clear();
        self.constants.clear();
        self.bits.clear();
        (self.lookups, self.misses) = (0, 0);
    }

    /// The number of the constants among the columns: most fields are in all records of a batch or in none.
    fn constants(&mut self, columns: &[Column]) -> u8 {
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        for column in columns {
            match column {
                Column::Const(v, _) => push_cell(v.as_ref(), &mut value),
                _ => value.push(b'.'),
            }
        }
        let known = self.constants.iter().position(|known| *known == value);
        let number = known.unwrap_or_else(|| {
            if self.constants.len() > usize::from(u8::MAX) {
                self.forget();
            }
            self.constants.push(value.clone());
            self.constants.len() - 1
        });
        self.scratch = value;
        number as u8
    }

    /// The number of every row's value. Returns the rows whose values are new.
    fn number(&mut self, array: &BinaryViewArray, kinds: &Kinds, hashes: &[u64], constants: u8) -> Vec<u32> {
        let mut new = Vec::new();
        self.lookups += array.len() as u64;
        for (i, hash) in hashes.iter().copied().enumerate() {
            let valid = array.is_valid(i);
            let text: &[u8] = if valid { array.value(i) } else { b"" };
            let kind = if valid { kinds.get(i) as u8 } else { u8::MAX };
            let texts = &self.texts;
            let same = |known: &Known| {
                let value = &texts[known.start as usize..known.end as usize];
                known.hash == hash && value[..2] == [constants, kind] && value[2..] == *text
            };
            let id = match self.table.find(hash, same) {
                Some(known) => known.id,
                None => {
                    new.push(i as u32);
                    self.insert(hash, &[&[constants, kind], text])
                }
            };
            self.ids.push(id);
        }
        self.misses += new.len() as u64;
        new
    }

    /// The same for several columns, whose cells together are the value.
    fn number_all(&mut self, columns: &[Column], rows: usize, constants: u8) -> Vec<u32> {
        let mut new = Vec::new();
        self.lookups += rows as u64;
        let mut value = std::mem::take(&mut self.scratch);
        for i in 0..rows {
            value.clear();
            value.push(constants);
            columns.iter().for_each(|column| push_cell(column.get(i), &mut value));
            let hash = self.hasher.hash_one(value.as_slice());
            let texts = &self.texts;
            let same = |known: &Known| known.hash == hash && texts[known.start as usize..known.end as usize] == *value;
            let id = match self.table.find(hash, same) {
                Some(known) => known.id,
                None => {
                    new.push(i as u32);
                    self.insert(hash, &[&value])
                }
            };
            self.ids.push(id);
        }
        self.scratch = value;
        self.misses += new.len() as u64;
        new
    }

    fn insert(&mut self, hash: u64, parts: &[&[u8]]) -> u32 {
        let (id, start) = (self.values as u32, self.texts.len() as u32);
        parts.iter().for_each(|part| self.texts.extend_from_slice(part));
        self.table.insert_unique(hash, Known { hash, id, start, end: self.texts.len() as u32 }, |known| known.hash);
        self.values += 1;
        id
    }

    /// The leaves that hold for each of some values.
    fn judge(&self, front: &Front, lexicon: &Lexicon, values: Vec<Column>, cx: &Cx<'_>) -> Vec<u64> {
        let rows = values.first().map_or(0, Column::len);
        let mut bits = vec![0u64; rows * self.stride];
        let mut set = |row: usize, bit: usize| bits[row * self.stride + bit / 64] |= 1 << (bit % 64);
        let width = lexicon.columns.iter().max().map_or(0, |last| last + 1);
        let mut columns = vec![Column::null(rows); width];
        lexicon.columns.iter().zip(values).for_each(|(slot, column)| columns[*slot] = column);
        let batch = Batch { columns, rows, positions: Positions::sequence(0, rows) };
        let mut done = vec![false; lexicon.leaves.len()];
        for family in &lexicon.families {
            family.bits.iter().for_each(|bit| done[*bit] = true);
            for (row, cell) in eval(&family.text, &batch, cx).iter().enumerate() {
                if let Some(text) = cell.text() {
                    family.set.matches(&text).iter().for_each(|hit| set(row, family.bits[hit]));
                }
            }
        }
        for (bit, leaf) in lexicon.leaves.iter().enumerate().filter(|(bit, _)| !done[*bit]) {
            mask(&front.leaves[*leaf].expr, &batch, cx).set_indices().for_each(|row| set(row, bit));
        }
        bits
    }
}

/// Appends kind and text of a cell.
fn push_cell(cell: ValueRef<'_>, out: &mut Vec<u8>) {
    let text = cell.text().unwrap_or_default();
    out.push(cell.kind().map_or(u8::MAX, |kind| kind as u8));
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(&text);
}
