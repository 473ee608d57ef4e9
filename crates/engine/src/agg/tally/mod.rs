//! A set, or counted set, of texts per group: what distinct counts, value lists and percentiles are made of.

mod arena;
mod key;

use arena::Arena;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use key::{Key, Room};
use crate::value::Kind;
use rayon::prelude::*;

/// What is remembered of each text.
pub trait Weight: Copy + Send + Sync + 'static {
    fn add(&mut self, other: Self);
}
impl Weight for () {
    fn add(&mut self, (): ()) {}
}
impl Weight for u64 {
    fn add(&mut self, other: u64) { *self += other; }
}

const PARTS: usize = 64;

pub struct Tally<N> {
    parts: Vec<Part<N>>,
}

struct Part<N> {
    table: HashTable<(Key, N)>,
    arena: Arena,
}

fn part_of(hash: u64) -> usize {
    (hash >> 48) as usize % PARTS
}

impl<N: Weight> Default for Tally<N> {
    fn default() -> Self {
        Tally { parts: (0..PARTS).map(|_| Part { table: HashTable::new(), arena: Arena::default() }).collect() }
    }
}

impl<N: Weight> Part<N> {
    #[inline]
    fn add(&mut self, mut key: Key, hash: u64, text: &[u8], n: N) {
        let arena = &mut self.arena;
        match self.table.entry(hash, |(k, _)| k.is(arena, &key, text), |(k, _)| k.hash()) {
            Entry::Occupied(mut e) => e.get_mut().1.add(n),
            Entry::Vacant(e) => {
                if key.is_long() {
                    key.set_place(arena.push(text));
                }
                e.insert((key, n));
            }
        }
    }
}

impl<N: Weight> Tally<N> {
    #[inline]
    pub fn add(&mut self, group: u32, kind: Option<Kind>, text: &[u8], n: N) {
        let key = Key::new(group, kind, text);
        let hash = key.hash();
        self.parts[part_of(hash)].add(key, hash, text, n);
    }
    pub fn len(&self) -> usize {
        self.parts.iter().map(|p| p.table.len()).sum()
    }
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|p| p.table.allocation_size() + p.arena.bytes()).sum()
    }
    pub fn merge_same(&mut self, others: Vec<Tally<N>>) {
        let mut lists: Vec<Vec<Part<N>>> = (0..PARTS).map(|_| Vec::new()).collect();
        for o in others {
            for (i, p) in o.parts.into_iter().enumerate() {
                lists[i].push(p);
            }
        }
        self.parts.par_iter_mut().zip(lists).for_each(|(mine, list)| {
            for Part { table, arena } in list {
                let mut room: Room = [0; 36];
                for (key, n) in table {
                    let hash = key.hash();
                    mine.add(key, hash, key.text(&arena, &mut room), n);
                }
            }
        });
    }
}
