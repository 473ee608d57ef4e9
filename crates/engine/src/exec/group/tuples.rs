//! Keys of several cells: tuples of the numbers of their [`words`](super::words), each with the number of its group.

use crate::exec::index::{Index, NONE};
use crate::value::short::spread;

/// The groups of keys of `width` words.
pub(in crate::exec) struct Tuples {
    width: usize,
    index: Index,
    ids: Vec<u64>,
    /// The words of each group one after another.
    cells: Vec<u32>,
    /// Of the rows at hand.
    row: Vec<u32>,
    row_ids: Vec<u64>,
}

/// Set in the id of a key that is told apart by more than its id.
const LONG: u64 = 1 << 63;

impl Tuples {
    /// No groups yet.
    pub fn new(width: usize) -> Tuples {
        Tuples {
            width,
            index: Index::default(),
            ids: Vec::new(),
            cells: Vec::new(),
            row: Vec::new(),
            row_ids: Vec::new(),
        }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// The words of a group.
    #[inline]
    pub fn get(&self, group: usize) -> &[u32] {
        &self.cells[group * self.width..(group + 1) * self.width]
    }

    /// All words of all groups.
    pub fn cells_mut(&mut self) -> std::slice::ChunksExactMut<'_, u32> {
        self.cells.chunks_exact_mut(self.width)
    }

    /// The group of each row, whose words are in `words`, one list a cell of the key.
    pub fn of(&mut self, words: &[Vec<u32>], rows: usize, out: &mut Vec<u32>) {
        let mut row = std::mem::take(&mut self.row);
        let mut ids = std::mem::take(&mut self.row_ids);
        let at = |row: &mut Vec<u32>, i: usize| {
            row.clear();
            row.extend(words.iter().map(|list| list[i]));
        };
        ids.clear();
        match words {
            [a, b] => ids.extend(a.iter().zip(b).map(|(a, b)| id(&[*a, *b]))),
            [a, b, c] => ids.extend(a.iter().zip(b).zip(c).map(|((a, b), c)| id(&[*a, *b, *c]))),
            _ => ids.extend((0..rows).map(|i| {
                at(&mut row, i);
                id(&row)
            })),
        }
        if are_runs(&ids) {
            let mut group = NONE;
            for i in 0..rows {
                if i == 0 || ids[i] != ids[i - 1] || ids[i] & LONG != 0 {
                    at(&mut row, i);
                    group = self.intern(&row);
                }
                out.push(group);
            }
            (self.row, self.row_ids) = (row, ids);
            return;
        }
        // All first looks, then all comparisons: neither waits for the one before.
        out.extend(ids.iter().map(|id| self.index.likely(spread(*id))));
        for ((i, group), id) in out.iter_mut().enumerate().zip(&ids) {
            if *group == NONE || self.ids[*group as usize] != *id || id & LONG != 0 {
                at(&mut row, i);
                *group = self.intern(&row);
            }
        }
        (self.row, self.row_ids) = (row, ids);
    }

    /// The group of a key.
    pub fn intern(&mut self, key: &[u32]) -> u32 {
        let id = id(key);
        let is_it = |group: u32| self.ids[group as usize] == id && (id & LONG == 0 || self.get(group as usize) == key);
        if let Some(group) = self.index.find(spread(id), is_it) {
            return group;
        }
        let group = self.len() as u32;
        self.index.add(spread(id), |group| spread(self.ids[group as usize]));
        self.ids.push(id);
        self.cells.extend_from_slice(key);
        group
    }

    /// Frees what only finding groups needs.
    pub fn close(&mut self) {
        (self.index, self.ids, self.row_ids) = (Index::default(), Vec::new(), Vec::new());
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.ids.capacity() * 8 + self.cells.capacity() * 4
    }
}

/// Whether keys are mostly those of the row before, as where they are periods.
fn are_runs(ids: &[u64]) -> bool {
    const MEAN: usize = 8;
    ids.windows(2).filter(|pair| pair[0] != pair[1]).count() < ids.len() / MEAN
}

/// The words of a key side by side if there is room for them, else their hash, which several keys may have.
#[inline]
fn id(key: &[u32]) -> u64 {
    let bits = 63 / key.len() as u32;
    let fits = |word: &u32| u64::from(*word) >> bits.min(63) == 0;
    match key.iter().all(fits) {
        true => key.iter().fold(0, |id, word| id << bits | u64::from(*word)),
        false => key.iter().fold(0u64, |id, word| spread(id.rotate_left(32) ^ u64::from(*word))) | LONG,
    }
}

/// The hash of a key.
pub(in crate::exec) fn hash(key: &[u32]) -> u64 {
    spread(id(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_the_same_group() {
        let mut tuples = Tuples::new(2);
        let words = [(0..9000).map(|i| i % 90).collect::<Vec<u32>>(), (0..9000).map(|i| i % 7).collect()];
        let mut groups = Vec::new();
        tuples.of(&words, 9000, &mut groups);
        assert_eq!(tuples.len(), 630);
        for (i, group) in groups.iter().enumerate() {
            assert_eq!(tuples.get(*group as usize), [words[0][i], words[1][i]]);
            assert_eq!(tuples.intern(&[words[0][i], words[1][i]]), *group);
        }
    }

    #[test]
    fn runs_of_a_key_are_its_group() {
        for large in [0, 1 << 31] {
            let words = [(0..9000).map(|i| (i / 90 % 50) | large).collect::<Vec<u32>>(), vec![7; 9000]];
            let (mut tuples, mut groups) = (Tuples::new(2), Vec::new());
            tuples.of(&words, 9000, &mut groups);
            assert!(groups.iter().enumerate().all(|(i, group)| *group == i as u32 / 90 % 50), "{large}");
        }
    }

    #[test]
    fn keys_of_many_words_and_of_large_words() {
        for width in [2, 3, 5, 70] {
            let mut tuples = Tuples::new(width);
            let key = |n: u32| {
                (0..width as u32).map(|k| (n % 50).wrapping_mul(k.wrapping_mul(0x3333_3333))).collect::<Vec<u32>>()
            };
            for n in 0..200 {
                assert_eq!(tuples.intern(&key(n)), n % 50, "{width}");
            }
        }
    }
}
