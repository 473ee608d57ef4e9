//! The texts whose hash falls in one range.

use super::Weight;
use super::arena::Arena;
use super::key::Key;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Texts remembered in front of the list.
const RECENT: usize = 64;
/// A list shorter than this is not deduplicated.
const SHORT: usize = 2048;

/// A list of keys in which some may stand twice.
pub(super) struct Part<W> {
    /// The last texts seen, by hash; what is here is not yet in the list.
    recent: Box<[(Key, W); RECENT]>,
    list: Vec<(Key, W)>,
    /// The long texts.
    arena: Arena,
    /// The first entries of the list, which are all different.
    settled: usize,
    /// Length at which the list is deduplicated.
    limit: usize,
}

impl<W: Weight> Default for Part<W> {
    fn default() -> Self {
        let recent = Box::new([(Key::VACANT, W::default()); RECENT]);
        Part { recent, list: Vec::new(), arena: Arena::default(), settled: 0, limit: SHORT }
    }
}

impl<W: Weight> Part<W> {
    /// Adds a key, whose text is `text`. `table` is lent for deduplication.
    #[inline]
    pub(super) fn add(&mut self, mut key: Key, hash: u64, text: &[u8], weight: W, table: &mut Table) {
        let slot = &mut self.recent[(hash >> 40) as usize % RECENT];
        if slot.0.is(&self.arena, &key, text) {
            slot.1.add(weight);
            return;
        }
        if key.is_long() {
            key.set_place(self.arena.push(text));
        }
        let old = std::mem::replace(slot, (key, weight));
        if !old.0.is_vacant() {
            self.list.push(old);
            if self.list.len() >= self.limit {
                self.settle(table);
            }
        }
    }

    /// Puts everything into the list.
    pub(super) fn flush(&mut self) {
        for slot in self.recent.iter_mut().filter(|slot| !slot.0.is_vacant()) {
            self.list.push(std::mem::replace(slot, (Key::VACANT, W::default())));
        }
    }

    /// Puts everything into the list and leaves each key in once.
    #[inline(never)]
    pub(super) fn settle(&mut self, table: &mut Table) {
        self.flush();
        let before = self.list.len();
        if before == self.settled {
            return;
        }
        table.unite(&mut self.list, &self.arena);
        let distinct = self.list.len();
        if distinct < before && !self.arena.is_empty() {
            let old = std::mem::take(&mut self.arena);
            self.list.iter_mut().for_each(|(key, _)| key.move_text(&old, &mut self.arena));
        }
        // Where hardly anything was there twice, the next texts will be new too: look later.
        let mostly_new = (distinct - self.settled) * 8 > (before - self.settled) * 7;
        self.limit = SHORT.max(distinct * if mostly_new { 4 } else { 2 });
        self.settled = distinct;
    }

    /// Takes in parts of the same hash range.
    pub(super) fn absorb(&mut self, others: Vec<Part<W>>, table: &mut Table) {
        self.flush();
        self.list.reserve_exact(others.iter().map(|p| p.list.len() + RECENT).sum());
        for mut other in others {
            other.flush();
            self.append(&other.list, &other.arena);
        }
        self.settle(table);
        if self.list.len() < self.list.capacity() / 2 {
            self.list.shrink_to_fit();
        }
    }

    /// Adds entries whose long texts are in `arena`.
    pub(super) fn append(&mut self, entries: &[(Key, W)], arena: &Arena) {
        self.list.extend(entries.iter().map(|(key, weight)| {
            let mut key = *key;
            key.move_text(arena, &mut self.arena);
            (key, *weight)
        }));
    }

    /// The list, without what is only remembered.
    pub(super) fn entries(&self) -> &[(Key, W)] {
        &self.list
    }

    /// The long texts.
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Gives up everything but the long texts.
    pub(super) fn into_arena(self) -> Arena {
        self.arena
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        (self.list.capacity() + RECENT) * size_of::<(Key, W)>() + self.arena.bytes()
    }
}

/// Finds equal keys; kept by the caller only so that its memory is used again.
#[derive(Default)]
pub(super) struct Table(HashTable<u32>);

impl Table {
    /// Leaves in the first of equal keys, with the weights of all.
    fn unite<W: Weight>(&mut self, list: &mut Vec<(Key, W)>, arena: &Arena) {
        let table = &mut self.0;
        table.clear();
        table.reserve(list.len(), |_| 0);
        let mut kept = 0;
        for i in 0..list.len() {
            let (key, weight) = list[i];
            let text = key.long_text(arena);
            let entry = table.entry(
                key.hash(),
                |j| list[*j as usize].0.is(arena, &key, text),
                // Never called: there is room for all.
                |_| 0,
            );
            match entry {
                Entry::Occupied(same) => list[*same.get() as usize].1.add(weight),
                Entry::Vacant(vacant) => {
                    // A list of 2^32 keys would take 100 GB.
                    vacant.insert(kept as u32);
                    list[kept] = (key, weight);
                    kept += 1;
                }
            }
        }
        list.truncate(kept);
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.0.allocation_size()
    }
}
