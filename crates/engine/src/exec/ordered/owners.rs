//! Whose each row is: the rows of each key, for commands that hold a row against others of its key.

use crate::exec::Cx;
use crate::exec::group::tuples::Tuples;
use crate::exec::group::words::Words;
use crate::exec::hashes::Hashes;
use crate::exec::index::NONE;
use crate::plan::Slot;
use crate::value::column::{Batch, Column, Nulls};
use rayon::prelude::*;
use std::ops::Range;

/// The rows of each key, in their order; keys in the order of their first rows. Rows with a null among the keys belong to
/// none. Without keys, all are one's.
pub(in crate::exec) struct Owners {
    rows: Vec<u32>,
    /// Where the rows of each key end.
    ends: Vec<usize>,
    /// Rows, those of no key counted.
    all: usize,
}

impl Owners {
    /// The rows of each of `keys`.
    pub fn of(rows: &Batch, keys: &[Slot], cx: &Cx<'_>) -> Owners {
        if keys.is_empty() {
            let ends = if rows.rows > 0 { vec![rows.rows] } else { Vec::new() };
            return Owners { rows: (0..rows.rows as u32).collect(), ends, all: rows.rows };
        }
        let columns: Vec<Column> = keys.iter().map(|slot| crate::exec::column(rows, *slot)).collect();
        let numbers = numbers(&columns, rows.rows, cx);
        let keys = numbers.iter().filter(|n| **n != NONE).max().map_or(0, |most| *most as usize + 1);
        let mut ends = vec![0; keys];
        numbers.iter().filter(|n| **n != NONE).for_each(|n| ends[*n as usize] += 1);
        let mut start = 0;
        for end in &mut ends {
            (*end, start) = (start, start + *end);
        }
        // What is the start of a key's rows becomes their end as they are put there.
        let mut owned = vec![0; start];
        for (row, number) in numbers.iter().enumerate().filter(|(_, n)| **n != NONE) {
            let end = &mut ends[*number as usize];
            owned[*end] = row as u32;
            *end += 1;
        }
        Owners { rows: owned, ends, all: rows.rows }
    }

    fn key(&self, number: usize) -> &[u32] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[start..self.ends[number]]
    }

    /// Keys in pieces of so many rows that they are worth a thread.
    fn pieces(&self, cx: &Cx<'_>) -> Vec<Range<usize>> {
        let (mut pieces, mut first, mut start) = (Vec::new(), 0, 0);
        for (key, end) in self.ends.iter().enumerate() {
            if end - start >= cx.ctl.part_rows() || key + 1 == self.ends.len() {
                pieces.push(first..key + 1);
                (first, start) = (key + 1, *end);
            }
        }
        pieces
    }

    /// What comes of the rows of each key, found by all threads, in the order of the keys.
    pub fn each<T: Send>(&self, cx: &Cx<'_>, of: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        self.told(cx, |rows, out| out.push(of(rows))).into_iter().flatten().collect()
    }

    /// What is said of each row: `of` adds it for the rows of a key, in their order; `none` for rows of no key.
    pub fn tell<T: Clone + Send>(&self, cx: &Cx<'_>, none: T, of: impl Fn(&[u32], &mut Vec<T>) + Sync) -> Vec<T> {
        let mut all = vec![none; self.all];
        let told = self.told(cx, of).into_iter().flatten();
        self.rows.iter().zip(told).for_each(|(row, value)| all[*row as usize] = value);
        all
    }

    /// What `of` adds for the rows of each key, in pieces.
    fn told<T: Send>(&self, cx: &Cx<'_>, of: impl Fn(&[u32], &mut Vec<T>) + Sync) -> Vec<Vec<T>> {
        let some = |keys: Range<usize>| {
            let mut out = Vec::new();
            keys.take_while(|_| !cx.ctl.aborted()).for_each(|key| of(self.key(key), &mut out));
            out
        };
        cx.ctl.install(|| self.pieces(cx).into_par_iter().map(some).collect())
    }
}

/// The number of each row's key, [`NONE`] where a cell is null.
fn numbers(columns: &[Column], rows: usize, cx: &Cx<'_>) -> Vec<u32> {
    let mut hashes = Hashes::new(cx.ctl.seed());
    let mut words: Vec<Words> = columns.iter().map(|_| Words::default()).collect();
    let mut tuples = Tuples::new(columns.len());
    let (mut numbers, mut lists) = (Vec::with_capacity(rows), vec![Vec::new(); columns.len()]);
    let mut together = Vec::new();
    let at_once = cx.ctl.part_rows();
    for first in (0..rows).step_by(at_once).take_while(|_| !cx.ctl.aborted()) {
        let some = at_once.min(rows - first);
        hashes.clear();
        for ((column, words), list) in columns.iter().zip(&mut words).zip(&mut lists) {
            words.of(&column.slice(first, some), &mut hashes, list);
        }
        match lists.as_slice() {
            [list] => numbers.extend_from_slice(list),
            several => {
                together.clear();
                tuples.of(several, some, &mut together);
                numbers.extend_from_slice(&together);
            }
        }
    }
    numbers.resize(rows, NONE);
    for column in columns {
        match column.nulls() {
            Nulls::None => {}
            Nulls::All => numbers.fill(NONE),
            Nulls::Some(nulls) => {
                numbers.iter_mut().enumerate().filter(|(i, _)| nulls.is_null(*i)).for_each(|(_, n)| *n = NONE);
            }
        }
    }
    numbers
}

/// The number of each cell among the different texts of a column.
pub(super) fn texts(column: &Column, cx: &Cx<'_>) -> Vec<u32> {
    numbers(std::slice::from_ref(column), column.len(), cx)
}
