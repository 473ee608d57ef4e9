//! The leaves that hold for a value of some columns, remembered for as long as values repeat.
//!
//! A value is a word of a dictionary, or a pair of words. What a leaf says of a word is found out when the word is new.

use super::coded::{Coded, first_rows, of_words};
use super::{Front, Lexicon, Rows};
use crate::exec::eval::{eval, mask};
use crate::exec::group::tuples::Tuples;
use crate::exec::{Cx, column};
use crate::value::column::{Batch, Column, Positions};
use crate::value::dictionary::Dictionary;
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use rayon::prelude::*;
use std::collections::HashMap;

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
    /// Of the batch: it was looked at; the class of each row; leaves that hold in some row, and in every row.
    looked: bool,
    ids: ScalarBuffer<u32>,
    some: Vec<u64>,
    every: Vec<u64>,
    /// The leaves that hold for each class.
    of: Of,
}

/// What is known of values, numbered from 0: the class of each. The same leaves hold for all of a class, and there are few
/// classes, so that what is looked up for every row stays in the cache.
#[derive(Clone, Default)]
struct Known {
    /// What the numbers depend on: the dictionaries, and the constants beside them.
    context: Vec<u8>,
    class_of: Vec<u16>,
    /// The leaves that hold, `stride` words a class.
    bits: Vec<u64>,
    classes: HashMap<Box<[u64]>, u16>,
}

/// Where the leaves are that hold for the rows of the batch.
enum Of {
    Words,
    Pairs,
    /// Not kept: each row is a class of its own.
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
        self.words.bytes() + self.known.bytes() + self.pairs.bytes()
    }

    /// Judges all words of a batch's dictionary, if only one column is not constant.
    pub fn judge(&mut self, front: &Front, lexicon: &Lexicon, batch: &Batch, cx: &Cx<'_>) {
        const AT_ONCE: usize = 4096;
        let columns: Vec<Column> = lexicon.columns.iter().map(|slot| column(batch, *slot)).collect();
        let Some(Coded { context, parts }) = Coded::of(&columns) else { return };
        let [(_, _, dictionary)] = parts[..] else { return };
        self.words.renew(context);
        let judge = Judge { front, lexicon, stride: self.stride, cx };
        let new = self.words.new_of(dictionary);
        let bits = |words: &[u32]| judge.bits(of_words(&columns, words));
        let bits: Vec<Vec<u64>> = cx.ctl.install(|| new.par_chunks(AT_ONCE).map(bits).collect());
        bits.iter().all(|bits| self.words.add(bits, self.stride));
    }

    /// Knows of words what another memo of the same lexicon knows.
    pub fn learn(&mut self, other: &Memo) {
        self.words = other.words.clone();
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

    /// Judges every row by itself.
    fn once(&mut self, judge: &Judge<'_>, columns: Vec<Column>, rows: usize) {
        self.ids = (0..rows as u32).collect();
        self.of = Of::Once(judge.bits(columns));
    }

    /// Finds the class of every row, and judges values that are new.
    fn look(&mut self, front: &Front, lexicon: &Lexicon, batch: &Batch, cx: &Cx<'_>) {
        let columns: Vec<Column> = lexicon.columns.iter().map(|slot| column(batch, *slot)).collect();
        let stride = self.stride;
        let judge = Judge { front, lexicon, stride, cx };
        match Coded::of(&columns) {
            Some(Coded { parts, .. }) if parts.is_empty() => {
                self.ids = vec![0; batch.rows].into();
                self.of = Of::Once(judge.bits(columns.iter().map(|c| c.slice(0, batch.rows.min(1))).collect()));
            }
            Some(Coded { context, parts }) if parts.len() == 1 => {
                let (_, words, dictionary) = parts[0];
                self.words.renew(context);
                let new = self.words.new_of(dictionary);
                match new.is_empty() || self.words.add(&judge.bits(of_words(&columns, &new)), stride) {
                    true => {
                        self.ids = self.words.classes(words);
                        self.of = Of::Words;
                    }
                    false => self.once(&judge, columns, batch.rows),
                }
            }
            Some(coded) if !self.off => {
                if self.known.class_of.len() > MOST_PAIRS {
                    self.off = self.known.class_of.len() as u64 * 2 > self.lookups;
                    self.known.context.clear();
                }
                let numbers = coded.lists();
                if self.known.renew(coded.context) {
                    (self.pairs, self.lookups) = (Tuples::new(numbers.len()), 0);
                }
                let mut ids = Vec::with_capacity(batch.rows);
                self.pairs.of(&numbers, batch.rows, &mut ids);
                self.lookups += batch.rows as u64;
                let first = first_rows(&ids, self.known.class_of.len(), self.pairs.len());
                let new = || judge.bits(columns.iter().map(|c| c.take(&first)).collect());
                match first.is_empty() || self.known.add(&new(), stride) {
                    true => {
                        self.ids = self.known.classes(&ids);
                        self.of = Of::Pairs;
                    }
                    false => self.once(&judge, columns, batch.rows),
                }
            }
            _ => self.once(&judge, columns, batch.rows),
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
    /// The words of a dictionary of which nothing is known.
    fn new_of(&self, dictionary: &Dictionary) -> Vec<u32> {
        (self.class_of.len() as u32..dictionary.len() as u32).collect()
    }

    /// Takes in the leaves that hold for more values; false, and nothing is known any more, if there are too many classes.
    fn add(&mut self, bits: &[u64], stride: usize) -> bool {
        for of in bits.chunks_exact(stride) {
            let class = match self.classes.get(of) {
                Some(class) => *class,
                None => {
                    let Ok(class) = u16::try_from(self.classes.len()) else {
                        *self = Known::default();
                        return false;
                    };
                    self.classes.insert(of.into(), class);
                    self.bits.extend_from_slice(of);
                    class
                }
            };
            self.class_of.push(class);
        }
        true
    }

    fn classes(&self, values: &[u32]) -> ScalarBuffer<u32> {
        values.iter().map(|value| u32::from(self.class_of[*value as usize])).collect()
    }

    fn bytes(&self) -> usize {
        self.class_of.capacity() * 2 + self.bits.capacity() * 3 * 8
    }

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
