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
pub trait Weight: Copy + Default + Send + Sync + 'static {
    fn add(&mut self, other: Self);
}
impl Weight for () {
    fn add(&mut self, (): ()) {}
}
impl Weight for u64 {
    fn add(&mut self, other: u64) { *self += other; }
}

const PARTS: usize = 64;
const RECENT: usize = 64;
const SMALLEST: usize = 2048;

pub struct Tally<N> {
    parts: Vec<Part<N>>,
    table: HashTable<u32>,
}

struct Part<N> {
    recent: [(Key, N); RECENT],
    log: Vec<(Key, N)>,
    arena: Arena,
    settled: usize,
    limit: usize,
}

fn part_of(hash: u64) -> usize {
    (hash >> 48) as usize % PARTS
}

impl<N: Weight> Default for Tally<N> {
    fn default() -> Self {
        Tally { parts: (0..PARTS).map(|_| Part::new()).collect(), table: HashTable::new() }
    }
}

impl<N: Weight> Part<N> {
    fn new() -> Self { Part { recent: [(Key::VACANT, N::default()); RECENT], log: Vec::new(), arena: Arena::default(), settled: 0, limit: SMALLEST }}
    #[inline]
    fn add(&mut self, mut key: Key, hash: u64, text: &[u8], n: N, table: &mut HashTable<u32>) {
        let slot = &mut self.recent[(hash >> 40) as usize % RECENT];
        if slot.0.is(&self.arena, &key, text) {
            slot.1.add(n);
            return;
        }
        if key.is_long() {
            key.set_place(self.arena.push(text));
        }
        let old = std::mem::replace(slot, (key, n));
        if !old.0.is_vacant() {
            self.log.push(old);
            if self.log.len() >= self.limit {
                self.settle(table);
            }
        }
    }
    #[inline(never)]
    fn settle(&mut self, table: &mut HashTable<u32>) {
        for slot in &mut self.recent {
            if !slot.0.is_vacant() {
                self.log.push(std::mem::replace(slot, (Key::VACANT, N::default())));
            }
        }
        let before = self.log.len();
        if before == self.settled { return }
        let old = self.settled;
        let distinct = unite(&mut self.log, &self.arena, table);
        if distinct < before {
            let arena = std::mem::take(&mut self.arena);
            for (key, _) in &mut self.log { key.move_text(&arena, &mut self.arena); }
        }
        self.settled = distinct;
        let fresh = distinct - old;
        self.limit = SMALLEST.max(if fresh * 8 > (before - old) * 7 { distinct * 4 } else { distinct * 2 });
    }
}

fn unite<N: Weight>(log: &mut Vec<(Key, N)>, arena: &Arena, table: &mut HashTable<u32>) -> usize {
    table.clear();
    table.reserve(log.len(), |_| unreachable!());
    let mut out = 0;
    for i in 0..log.len() {
        let (key, n) = log[i];
        let text = key.long_text(arena);
        match table.entry(key.hash(), |&j| log[j as usize].0.is(arena, &key, text), |_| 0) {
            Entry::Occupied(e) => log[*e.get() as usize].1.add(n),
            Entry::Vacant(e) => {
                e.insert(out as u32);
                log[out] = (key, n);
                out += 1;
            }
        }
    }
    log.truncate(out);
    out
}

impl<N: Weight> Tally<N> {
    #[inline]
    pub fn add(&mut self, group: u32, kind: Option<Kind>, text: &[u8], n: N) {
        let key = Key::new(group, kind, text);
        let hash = key.hash();
        self.parts[part_of(hash)].add(key, hash, text, n, &mut self.table);
    }
    pub fn len(&self) -> usize {
        self.parts.iter().map(|p| p.log.len()).sum()
    }
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|p| p.log.capacity() * size_of::<(Key, N)>() + p.arena.bytes()).sum()
    }
    pub fn merge_same(&mut self, others: Vec<Tally<N>>) {
        let mut lists: Vec<Vec<Part<N>>> = (0..PARTS).map(|_| Vec::new()).collect();
        for o in others {
            for (i, p) in o.parts.into_iter().enumerate() {
                lists[i].push(p);
            }
        }
        self.parts.par_iter_mut().zip(lists).for_each_init(HashTable::new, |table, (mine, list)| {
            for mut part in list {
                part.log.extend(part.recent.iter().filter(|s| !s.0.is_vacant()));
                for (mut key, n) in part.log {
                    key.move_text(&part.arena, &mut mine.arena);
                    mine.log.push((key, n));
                }
            }
            mine.settle(table);
        });
    }
}
