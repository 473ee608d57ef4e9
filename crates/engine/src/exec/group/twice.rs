//! Which keys were met more than once: what tells ids that were delivered twice from millions that were not.
//!
//! Hashes of 64 bits tell keys apart, so that a table of them says almost always that there are none where there are none,
//! and nobody has to look again; counters that keys share would send some to every one.

use hashbrown::HashTable;

/// The hashes met, as long as there is room for them.
pub(super) struct Twice {
    seen: HashTable<u64>,
    again: HashTable<u64>,
    /// Hashes that are in `seen`, at most.
    most: usize,
}

impl Twice {
    /// With so many bytes for hashes.
    pub fn new(bytes: usize) -> Twice {
        /// A table of hashes is at least half empty after it has grown, and has a byte more for each.
        const EACH: usize = 2 * (size_of::<u64>() + 1);
        Twice { seen: HashTable::new(), again: HashTable::new(), most: bytes / EACH }
    }

    /// A key comes so often; false if there is no room for another.
    #[inline]
    pub fn add(&mut self, hash: u64, times: u64) -> bool {
        let is_known = insert(&mut self.seen, hash);
        if is_known || times > 1 {
            insert(&mut self.again, hash);
        }
        self.seen.len() <= self.most
    }

    /// Whether the key of a hash came more than once.
    #[inline]
    pub fn has(&self, hash: u64) -> bool {
        self.again.find(hash, |other| *other == hash).is_some()
    }

    /// Whether any did.
    pub fn has_any(&self) -> bool {
        !self.again.is_empty()
    }

    /// The hashes met, and how often each was: once, or twice.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.seen.iter().map(|hash| (*hash, 1 + u64::from(self.has(*hash))))
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.seen.clear();
        self.again.clear();
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.seen.allocation_size() + self.again.allocation_size()
    }
}

/// Adds a hash; true if it was there.
#[inline]
fn insert(table: &mut HashTable<u64>, hash: u64) -> bool {
    let found = table.find(hash, |other| *other == hash).is_some();
    if !found {
        table.insert_unique(hash, hash, |hash| *hash);
    }
    found
}
