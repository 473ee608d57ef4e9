//! The leaves that hold for a value of some columns, remembered for as long as values repeat.
//!
//! A value is a word of a dictionary, or a pair of words. What a leaf says of a word is found out when the word is new.

use super::coded::{Coded, first_rows, of_words};
use super::{Front, Lexicon, Rows};
use crate::exec::eval::{eval, mask};
use crate::exec::group::tuples::Tuples;
use crate::exec::{Cx, column};
use crate::value::column::{Batch, Column, Positions};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};

/// Values of the columns of a lexicon that were seen, and the leaves that hold for each.
pub(super) struct Memo {
    stride: usize,
    /// The only column that is not constant: what is known of its words.
    words: Known,
    /// Two columns: what is known of pairs of their words.
    pairs: Tuples,
    known: Known,
    /// Pairs do not repeat: every row is judged by itself.
    off: bool,
    lookups: u64,
    /// Of the batch: it was looked at; the value of each row; leaves that hold in some row, and in every row.
    looked: bool,
    ids: ScalarBuffer<u32>,
    some: Vec<u64>,
    every: Vec<u64>,
    /// The leaves that hold for each value.
    of: Of,
}

/// What is known of values, numbered from 0.
#[derive(Default)]
struct Known {
    /// What the numbers depend on: the dictionaries, and the constants beside them.
    context: Vec<u8>,
    /// `stride` words a value.
    bits: Vec<u64>,
    values: usize,
}

/// Where the leaves are that hold for the values of the batch.
enum Of {
    Words,
    Pairs,
    /// Not kept.
    Once(Vec<u64>),
}

/// Pairs kept; beyond, the memo is emptied, or given up if they hardly repeat.
const MOST_PAIRS: usize = 1 << 17;

impl Memo {
    pub fn new(words: &Lexicon) -> Memo {
        let stride = words.leaves.len().div_ceil(64);
        Memo {
            stride,
            words: Known::default(),
            pairs: Tuples::new(words.columns.len()),
            known: Known::default(),
            off: false,
            lookups: 0,
            looked: false,
            ids: Vec::new().into(),
            some: vec![0; stride],
            every: vec![0; stride],
            of: Of::Words,
        }
    }

    /// Another batch comes.
    pub fn next(&mut self) {
        self.looked = false;
    }

    /// Forgets all values.
    pub fn forget(&mut self) {
        (self.words, self.known) = (Known::default(), Known::default());
        self.pairs = Tuples::new(0);
        self.looked = false;
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        (self.words.bits.capacity() + self.known.bits.capacity()) * 8 + self.pairs.bytes()
    }

    /// The rows in which a leaf holds.
    pub fn rows(&mut self, front: &Front, (words, bit): (usize, usize), batch: &Batch, cx: &Cx<'_>) -> Rows {
        if !self.looked {
            self.looked = true;
            self.look(front, &front.words[words], batch, cx);
        }
        let (word, bit) = (bit / 64, 1u64 << (bit % 64));
        if self.some[word] & bit == 0 {
            return Rows::None;
        }
        if self.every[word] & bit != 0 {
            return Rows::All;
        }
        let bits = self.bits();
        let holds = |i: usize| bits[self.ids[i] as usize * self.stride + word] & bit != 0;
        Rows::Some(BooleanBuffer::collect_bool(batch.rows, holds))
    }

    fn bits(&self) -> &[u64] {
        match &self.of {
            Of::Words => &self.words.bits,
            Of::Pairs => &self.known.bits,
            Of::Once(bits) => bits,
        }
    }

    /// Finds the value of every row, and judges those that are new.
    fn look(&mut self, front: &Front, lexicon: &Lexicon, batch: &Batch, cx: &Cx<'_>) {
        let columns: Vec<Column> = lexicon.columns.iter().map(|slot| column(batch, *slot)).collect();
        let judge = Judge { front, lexicon, stride: self.stride, cx };
        match Coded::of(&columns) {
            Some(Coded { parts, .. }) if parts.is_empty() => {
                self.ids = vec![0; batch.rows].into();
                self.of = Of::Once(judge.bits(columns.iter().map(|c| c.slice(0, batch.rows.min(1))).collect()));
            }
            Some(Coded { context, parts }) if parts.len() == 1 => {
                let (_, words, dictionary) = parts[0];
                self.words.renew(context);
                let new: Vec<u32> = (self.words.values as u32..dictionary.len() as u32).collect();
                if !new.is_empty() {
                    self.words.bits.extend(judge.bits(of_words(&columns, &new)));
                    self.words.values = dictionary.len();
                }
                self.ids = words.clone();
                self.of = Of::Words;
            }
            Some(coded) if !self.off => {
                if self.known.values > MOST_PAIRS {
                    self.off = self.known.values as u64 * 2 > self.lookups;
                    self.known.context.clear();
                }
                let numbers = coded.lists();
                if self.known.renew(coded.context) {
                    (self.pairs, self.lookups) = (Tuples::new(numbers.len()), 0);
                }
                let mut ids = Vec::with_capacity(batch.rows);
                self.pairs.of(&numbers, batch.rows, &mut ids);
                self.lookups += batch.rows as u64;
                let first = first_rows(&ids, self.known.values, self.pairs.len());
                if !first.is_empty() {
                    self.known.bits.extend(judge.bits(columns.iter().map(|c| c.take(&first)).collect()));
                    self.known.values = self.pairs.len();
                }
                self.ids = ids.into();
                self.of = Of::Pairs;
            }
            _ => {
                // Every row is a value of its own.
                self.ids = (0..batch.rows as u32).collect();
                self.of = Of::Once(judge.bits(columns));
            }
        }
        let (mut some, mut every) = (std::mem::take(&mut self.some), std::mem::take(&mut self.every));
        some.fill(0);
        every.fill(u64::MAX);
        let bits = self.bits();
        match self.stride {
            1 => {
                let (mut any, mut all) = (0, u64::MAX);
                for id in &self.ids {
                    any |= bits[*id as usize];
                    all &= bits[*id as usize];
                }
                (some[0], every[0]) = (any, all);
            }
            stride => {
                for id in &self.ids {
                    let of = &bits[*id as usize * stride..][..stride];
                    some.iter_mut().zip(of).for_each(|(some, of)| *some |= of);
                    every.iter_mut().zip(of).for_each(|(every, of)| *every &= of);
                }
            }
        }
        (self.some, self.every) = (some, every);
    }
}

impl Known {
    /// Forgets everything if it was found out in another context.
    fn renew(&mut self, context: Vec<u8>) -> bool {
        let changed = self.context != context;
        if changed {
            *self = Known { context, ..Known::default() };
        }
        changed
    }
}

/// What judges values.
struct Judge<'a> {
    front: &'a Front,
    lexicon: &'a Lexicon,
    stride: usize,
    cx: &'a Cx<'a>,
}

impl Judge<'_> {
    /// The leaves that hold for each of some values.
    fn bits(&self, values: Vec<Column>) -> Vec<u64> {
        let Judge { front, lexicon, stride, cx } = *self;
        let rows = values.first().map_or(0, Column::len);
        let mut bits = vec![0u64; rows * stride];
        let mut set = |row: usize, bit: usize| bits[row * stride + bit / 64] |= 1 << (bit % 64);
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
