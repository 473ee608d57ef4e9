//! Hashes of cells, each column's found out once a batch for all who look its values up.
//!
//! A hash is that of the cell's identity (see [`key`](super::group::key)): `404` and `"404"` have the same, and so have a
//! time and its text.

use super::group::key::{NULL, TIME, cell_at, cell_size};
use crate::plan::Slot;
use crate::value::column::{Batch, Column};
use crate::value::{ValueRef, time};
use arrow::array::{Array, make_view};
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

/// The hashes of the columns of a batch.
pub(crate) struct Hashes {
    seed: u64,
    known: Vec<(Column, Rc<[u64]>)>,
    sums: Vec<u64>,
}

impl Hashes {
    /// Hashes that start from `seed`.
    pub fn new(seed: u64) -> Hashes {
        Hashes { seed, known: Vec::new(), sums: Vec::new() }
    }

    /// Another batch comes.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// The hash of each row's key.
    pub fn keys(&mut self, batch: &Batch, keys: &[Slot]) -> &[u64] {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(batch.rows, self.seed);
        for slot in keys {
            let column = super::column(batch, *slot);
            if let Column::Const(value, _) = &column {
                let hash = cell_hash(value.as_ref(), self.seed);
                sums.iter_mut().for_each(|sum| *sum = join(*sum, hash));
            } else {
                let of = self.of(&column);
                sums.iter_mut().zip(of.iter()).for_each(|(sum, hash)| *sum = join(*sum, *hash));
            }
        }
        self.sums = sums;
        &self.sums
    }

    /// The hash of each cell.
    pub fn of(&mut self, column: &Column) -> Rc<[u64]> {
        if let Some((_, known)) = self.known.iter().find(|(other, _)| is_same(other, column)) {
            return Rc::clone(known);
        }
        let seed = self.seed;
        let hashes: Rc<[u64]> = match column {
            Column::Text(array, _) => {
                let views = array.views();
                let hash = |i: usize| match views[i] as u32 {
                    _ if array.is_null(i) => NOTHING,
                    // Short text lies in the view as a whole.
                    0..=12 => view_hash(views[i], seed),
                    _ => text_hash(array.value(i), seed),
                };
                (0..array.len()).map(hash).collect()
            }
            other => other.iter().map(|cell| cell_hash(cell, seed)).collect(),
        };
        // The column is kept so that no other can come to lie in its place.
        self.known.push((column.clone(), Rc::clone(&hashes)));
        hashes
    }
}

/// Two columns are the same memory.
fn is_same(a: &Column, b: &Column) -> bool {
    let nulls = |array: &dyn Array| array.nulls().map(|n| (n.buffer().as_ptr(), n.offset()));
    match (a, b) {
        (Column::Text(a, _), Column::Text(b, _)) => {
            a.views().as_ptr() == b.views().as_ptr() && a.len() == b.len() && nulls(a) == nulls(b)
        }
        (Column::Int(a), Column::Int(b)) | (Column::Time(a), Column::Time(b)) => {
            a.values().as_ptr() == b.values().as_ptr() && a.len() == b.len() && nulls(a) == nulls(b)
        }
        _ => false,
    }
}

/// The hash of a key as it stands in a table, the same as that of the cells it was made of.
pub(super) fn key_hash(key: &[u8], seed: u64) -> u64 {
    let (mut hash, mut at) = (seed, 0);
    while at < key.len() {
        let (length, from) = cell_at(key, at);
        at = from + cell_size(length);
        let cell = &key[from..at];
        let of = match length {
            NULL => NOTHING,
            TIME => time_hash(i64::from_le_bytes(cell.try_into().expect("eight bytes")), seed),
            _ => text_hash(cell, seed),
        };
        hash = join(hash, of);
    }
    hash
}

/// The hash of a cell's identity.
fn cell_hash(cell: ValueRef<'_>, seed: u64) -> u64 {
    match cell {
        ValueRef::Null => NOTHING,
        ValueRef::Time(ms) => time_hash(ms, seed),
        cell => cell.text().map_or(NOTHING, |text| text_hash(&text, seed)),
    }
}

fn text_hash(text: &[u8], seed: u64) -> u64 {
    if text.len() <= 12 {
        return view_hash(make_view(text, 0, 0), seed);
    }
    if let Some(ms) = time::as_canonical(text) {
        return time_hash(ms, seed);
    }
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    hasher.write(text);
    hasher.finish()
}

fn time_hash(ms: i64, seed: u64) -> u64 {
    fold(ms as u64 ^ seed, ONE)
}

fn view_hash(view: u128, seed: u64) -> u64 {
    fold(view as u64 ^ seed, (view >> 64) as u64 ^ ONE)
}

fn join(hash: u64, next: u64) -> u64 {
    fold(hash.rotate_left(23) ^ next, ONE)
}

/// Both halves of a product, folded together.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Digits of pi.
const ONE: u64 = 0x243f_6a88_85a3_08d3;
const NOTHING: u64 = 0x082e_fa98_ec4e_6c89;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::column::Positions;
    use crate::value::{Kind, Value};

    #[test]
    fn a_key_has_the_hash_of_its_cells() {
        let texts = ["", "a", "twelve bytes", "thirteen bytes", "2025-11-01 00:00:00.000"];
        let mut cells: Vec<Value> = texts.iter().map(|t| Value::Text(Kind::String, t.as_bytes().into())).collect();
        cells.extend([Value::Null, Value::Int(404), Value::Time(1_761_955_200_000), Value::Bool(true)]);
        for cell in &cells {
            let column = Column::Const(cell.clone(), 1);
            let filled: Column =
                [cell.clone(), Value::Text(Kind::String, b"another".as_slice().into())].into_iter().collect();
            let mut key = Vec::new();
            crate::exec::group::key::push_cell(&column, 0, &mut key);
            let batch = |column| Batch { columns: vec![column], rows: 1, positions: Positions::sequence(0, 1) };
            for column in [column, filled.slice(0, 1)] {
                assert_eq!(Hashes::new(7).keys(&batch(column), &[0]), [key_hash(&key, 7)], "{cell:?}");
            }
        }
    }
}
