//! Sets of words per group, where the texts of a column are words of a dictionary: which words a group has is told by
//! bits while the dictionary is small, else by pairs of group and word in a hash table. Neither looks at a text.

use crate::value::dictionary::Dictionary;
use crate::value::short::spread;
use std::collections::HashMap;
use std::sync::Arc;

/// Words of up to so many are bits.
const FEW: usize = 256;

/// The words of all groups, of one dictionary.
#[derive(Default)]
pub(super) struct Pairs {
    /// The dictionary, and how many words of it count.
    words: Option<(Arc<Dictionary>, usize)>,
    /// Words of other dictionaries, numbered behind those.
    more: Vec<Box<[u8]>>,
    sets: Sets,
    /// Words that each group has.
    counts: Vec<u32>,
}

/// Which group has which word.
enum Sets {
    /// As many words of 64 bits for each group.
    Bits(usize, Vec<u64>),
    Table(Table),
}

impl Default for Sets {
    fn default() -> Sets {
        Sets::Bits(1, Vec::new())
    }
}

impl Pairs {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_none()
    }

    /// Whether words of a dictionary can be added to what is here.
    pub(super) fn takes(&self, dictionary: &Dictionary) -> bool {
        self.more.is_empty() && self.words.as_ref().is_none_or(|(mine, _)| mine.id() == dictionary.id())
    }

    /// Adds words to groups; only where they can be [taken](Pairs::takes).
    pub(super) fn add(&mut self, groups: &[u32], words: &[u32], dictionary: &Arc<Dictionary>, n_groups: usize) {
        let count = dictionary.len();
        match &mut self.words {
            Some((_, known)) => *known = count,
            none => *none = Some((Arc::clone(dictionary), count)),
        }
        self.reach(n_groups, count);
        let rows = groups.iter().zip(words).filter(|(_, word)| **word != Dictionary::NULL);
        let counts = &mut self.counts;
        match &mut self.sets {
            Sets::Bits(stride, bits) => rows.for_each(|(group, word)| {
                let place = &mut bits[*group as usize * *stride + *word as usize / 64];
                let bit = 1 << (word % 64);
                counts[*group as usize] += u32::from(*place & bit == 0);
                *place |= bit;
            }),
            Sets::Table(table) => rows.for_each(|(group, word)| {
                if !table.is_recent(*group, *word) {
                    counts[*group as usize] += u32::from(table.insert(*group, *word));
                }
            }),
        }
    }

    /// Makes room for so many groups and words.
    fn reach(&mut self, n_groups: usize, words: usize) {
        if self.counts.len() < n_groups {
            self.counts.resize(n_groups, 0);
        }
        let Sets::Bits(stride, bits) = &mut self.sets else { return };
        let needed = words.div_ceil(64).next_power_of_two();
        // Of a dictionary that came with the input there is soon another, with room for all groups anew.
        let given = self.words.as_ref().is_some_and(|(words, _)| words.given().is_some());
        if words > FEW || given {
            let mut table = Table::default();
            each_bit(*stride, bits, |group, word| {
                table.insert(group, word);
            });
            self.sets = Sets::Table(table);
        } else if needed > *stride {
            let mut wider = vec![0; n_groups * needed];
            wider.chunks_exact_mut(needed).zip(bits.chunks_exact(*stride)).for_each(|(to, from)| {
                to[..from.len()].copy_from_slice(from);
            });
            (*stride, *bits) = (needed, wider);
        } else if bits.len() < n_groups * *stride {
            bits.resize(n_groups * *stride, 0);
        }
    }

    /// Calls `each` with every group and word.
    fn each(&self, mut each: impl FnMut(u32, u32)) {
        match &self.sets {
            Sets::Bits(stride, bits) => each_bit(*stride, bits, each),
            Sets::Table(table) => table.pairs().for_each(|(group, word)| each(group, word)),
        }
    }

    /// Calls `each` with every group and text; there may be equal texts of different kinds.
    pub(super) fn texts(&self, mut each: impl FnMut(u32, &[u8])) {
        let Some((dictionary, known)) = &self.words else { return };
        self.each(|group, word| match (word as usize).checked_sub(*known) {
            Some(beyond) => each(group, &self.more[beyond]),
            None => each(group, dictionary.text(word).1),
        });
    }

    /// Whether others were taken in.
    pub(super) fn is_merged(&self) -> bool {
        !self.more.is_empty()
    }

    /// Whether equal texts are one word.
    pub(super) fn are_texts(&self) -> bool {
        self.words.as_ref().is_none_or(|(words, _)| words.given().is_none() && words.kind().is_some())
    }

    /// Takes in others, whose group `g` is group `map[g]` here. All must [be texts](Pairs::are_texts), and the others have
    /// taken in none.
    pub(super) fn merge(&mut self, others: Vec<(Pairs, Vec<u32>)>, n_groups: usize) {
        let mut numbers: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState> = HashMap::default();
        for (other, map) in others {
            let Some((theirs, their_count)) = &other.words else { continue };
            let (mine, known) = self.words.get_or_insert_with(|| (Arc::clone(theirs), *their_count)).clone();
            if numbers.is_empty() {
                let more = self.more.iter().enumerate();
                numbers.extend(more.map(|(i, text)| (text.clone(), (known + i) as u32)));
            }
            let mut beyond = |text: &[u8]| match numbers.get(text) {
                Some(known) => *known,
                None => {
                    let number = (known + self.more.len()) as u32;
                    self.more.push(text.into());
                    numbers.insert(text.into(), number);
                    number
                }
            };
            let here = mine.numbers_of(theirs);
            let mut become_words: Vec<u32> = vec![Dictionary::NULL];
            for word in 1..*their_count as u32 {
                become_words.push(match here.get(word as usize) {
                    Some(number) if (1..known).contains(&(*number as usize)) => *number,
                    _ => beyond(theirs.text(word).1),
                });
            }
            self.reach(n_groups, known + self.more.len());
            let (sets, counts) = (&mut self.sets, &mut self.counts);
            other.each(|group, word| {
                let (group, word) = (map[group as usize], become_words[word as usize]);
                let new = match sets {
                    Sets::Bits(stride, bits) => {
                        let place = &mut bits[group as usize * *stride + word as usize / 64];
                        let bit = 1 << (word % 64);
                        let new = *place & bit == 0;
                        *place |= bit;
                        new
                    }
                    Sets::Table(table) => table.insert(group, word),
                };
                counts[group as usize] += u32::from(new);
            });
        }
    }

    /// How many words each of so many groups has.
    pub(super) fn counts(mut self, n_groups: usize) -> Vec<i64> {
        self.counts.resize(n_groups, 0);
        self.counts.into_iter().map(i64::from).collect()
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let sets = match &self.sets {
            Sets::Bits(_, bits) => bits.capacity() * 8,
            Sets::Table(table) => table.bytes(),
        };
        sets + self.counts.capacity() * 4 + self.more.iter().map(|text| text.len() + 16).sum::<usize>()
    }
}

/// Calls `each` with every group and word whose bit is set.
fn each_bit(stride: usize, bits: &[u64], mut each: impl FnMut(u32, u32)) {
    for (group, words) in bits.chunks_exact(stride).enumerate() {
        for (at, word) in words.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                each(group as u32, (at * 64) as u32 + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }
}

/// Pairs of a group and a word: a hash table with linear probing.
#[derive(Default)]
struct Table {
    slots: Vec<u64>,
    count: usize,
    /// Pairs met lately, one a place: most are met again while they are still here.
    recent: Vec<u64>,
}

/// A free slot: no group has this number and this word.
const FREE: u64 = u64::MAX;

/// Slots of the smallest table, and pairs remembered.
const SMALLEST: usize = 1 << 10;
const RECENT: usize = 1 << 12;

impl Table {
    /// Whether a pair was met lately; from now on it was.
    #[inline]
    fn is_recent(&mut self, group: u32, word: u32) -> bool {
        if self.recent.is_empty() {
            self.recent = vec![FREE; RECENT];
        }
        let pair = u64::from(group) << 32 | u64::from(word);
        let place = spread(pair) >> 52;
        std::mem::replace(&mut self.recent[place as usize % RECENT], pair) == pair
    }

    /// Adds a pair; whether it is new.
    #[inline]
    fn insert(&mut self, group: u32, word: u32) -> bool {
        if self.count * 2 >= self.slots.len() {
            self.grow();
        }
        let pair = u64::from(group) << 32 | u64::from(word);
        let mask = self.slots.len() - 1;
        let mut at = spread(pair) as usize & mask;
        loop {
            match self.slots[at] {
                FREE => {
                    self.slots[at] = pair;
                    self.count += 1;
                    return true;
                }
                there if there == pair => return false,
                _ => at = (at + 1) & mask,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.slots, vec![FREE; size]);
        let mask = size - 1;
        for pair in old.into_iter().filter(|pair| *pair != FREE) {
            let mut at = spread(pair) as usize & mask;
            while self.slots[at] != FREE {
                at = (at + 1) & mask;
            }
            self.slots[at] = pair;
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        let pairs = self.slots.iter().filter(|pair| **pair != FREE);
        pairs.map(|pair| ((pair >> 32) as u32, *pair as u32))
    }

    fn bytes(&self) -> usize {
        (self.slots.capacity() + self.recent.capacity()) * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_counted_once_whoever_met_them() {
        // As bits, as pairs, and from the one to the other.
        for words in [40u32, 250, 3000] {
            let mut expected: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); 50];
            let mut workers: Vec<Pairs> = Vec::new();
            for worker in 0..3u32 {
                let (dictionary, mut pairs) = (Arc::new(Dictionary::default()), Pairs::default());
                // Every worker has met other words, and in another order.
                let number = |n: u32| (n * (worker + 3)) % words;
                for part in 0..4 {
                    let mut rows = (Vec::new(), Vec::new());
                    for n in 0..words {
                        let text = number(n).to_string();
                        let known = (1..dictionary.len() as u32).find(|w| dictionary.text(*w).1 == text.as_bytes());
                        let word = known.unwrap_or_else(|| dictionary.push(Kind::String, text.as_bytes()));
                        let group = (n * 7 + part * worker) % 50;
                        rows.0.push(group);
                        rows.1.push(if n % 11 == 0 { Dictionary::NULL } else { word });
                        if n % 11 != 0 {
                            expected[group as usize].insert(number(n));
                        }
                    }
                    assert!(pairs.takes(&dictionary));
                    pairs.add(&rows.0, &rows.1, &dictionary, 50);
                }
                workers.push(pairs);
            }
            let others = workers.split_off(1).into_iter().map(|other| (other, (0..50).collect()));
            let mut all = workers.remove(0);
            all.merge(others.collect(), 50);
            assert!(!all.takes(&Dictionary::default()));
            assert_eq!(all.counts(50), expected.iter().map(|set| set.len() as i64).collect::<Vec<_>>(), "{words}");
        }
    }
}
