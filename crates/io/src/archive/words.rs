//! Text of a column while a row group is gathered: each different text once, and for each row which one it is.
//!
//! Logs say the same few things millions of times. A text is looked up by its hash among those the column has so far: short
//! ones are their own key. All lie one behind the other, which is the dictionary as Parquet stores it. Where nearly all
//! texts differ, they are no longer looked up, only kept.

use super::keys::{Key, Place, SHORT, ends, fold, halves, same};
use backsight_engine::hint::prefetch;
use foldhash::fast::{FixedState, RandomState};
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::OnceLock;

/// The code of a row without text.
pub(crate) const NONE: u32 = u32::MAX;

/// Texts after which a column is judged, and the rows they must have served to be looked up further, as a ratio.
const TRIAL: usize = 1 << 14;
const SERVED: (usize, usize) = (5, 4);

/// The texts of a column.
#[derive(Debug)]
pub(crate) struct Words {
    /// For each row its text.
    codes: Vec<u32>,
    /// The texts, each behind its length in four bytes.
    texts: Vec<u8>,
    /// Where each begins in there.
    starts: Vec<u32>,
    /// What each is looked up by, as far as it is.
    keys: Vec<Key>,
    /// Where texts are found by their hash; a power of two of them.
    table: Vec<Slot>,
    /// What hashes depend on, so that nobody can choose texts that all have the same.
    seeds: [u64; 2],
    /// Rows with text.
    values: usize,
    /// The text of the row before.
    last: u32,
    /// Texts are not looked up: some may be there more than once.
    is_unique: bool,
    /// There are long ones.
    has_long: bool,
}

/// A text in the table: part of its hash, and its code. Small, so that more of the table stays in the cache.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u32,
    code: u32,
}

/// A free one.
const FREE: Slot = Slot { tag: 0, code: NONE };

/// Slots of a table that is in the cache in any case.
const SMALL: usize = 1 << 10;

/// Texts that are looked up together.
pub(crate) const TOGETHER: usize = 64;

impl Default for Words {
    fn default() -> Words {
        static STATE: OnceLock<RandomState> = OnceLock::new();
        let state = STATE.get_or_init(RandomState::default);
        Words {
            codes: Vec::new(),
            texts: Vec::new(),
            starts: Vec::new(),
            keys: Vec::new(),
            table: Vec::new(),
            seeds: [state.hash_one(0), state.hash_one(1)],
            values: 0,
            last: 0,
            is_unique: false,
            has_long: false,
        }
    }
}

impl Words {
    /// For so many rows, and about so many different texts.
    pub(crate) fn with_room(rows: usize, texts: usize) -> Words {
        let table = match texts {
            0 => Vec::new(),
            // What is not looked up for long needs no room.
            _ if texts * SERVED.0 > rows * SERVED.1 => Vec::new(),
            _ => vec![FREE; (texts * 4 / 3 + TOGETHER).next_power_of_two()],
        };
        let (codes, keys) = (Vec::with_capacity(rows), Vec::with_capacity(table.len() / 2));
        Words { codes, keys, table, ..Words::default() }
    }

    /// Gives a row its text. Rows come in order; those passed over have none.
    pub(crate) fn push(&mut self, row: usize, text: &[u8]) {
        self.push_all(&[row], text, &[(0, text.len() as u32)]);
    }

    /// Gives rows the text of the one before that has any.
    pub(crate) fn again(&mut self, rows: Range<usize>) {
        self.codes.resize(rows.start, NONE);
        self.codes.resize(rows.end, self.last);
        self.values += rows.len();
    }

    /// Gives rows their texts, at most [`TOGETHER`], which lie in `data`.
    pub(crate) fn push_all(&mut self, rows: &[usize], data: &[u8], places: &[Place]) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        if *last - *first + 1 == rows.len() {
            return self.push_run(*first, data, places);
        }
        let mut codes = [NONE; TOGETHER];
        self.look_up(data, places, &mut codes);
        for (row, code) in rows.iter().zip(codes) {
            self.code_of(*row, code);
        }
    }

    /// The same for neighbouring rows.
    pub(crate) fn push_run(&mut self, first: usize, data: &[u8], places: &[Place]) {
        let mut codes = [NONE; TOGETHER];
        self.look_up(data, places, &mut codes);
        let Some(last) = codes[..places.len()].last() else { return };
        self.last = *last;
        self.codes.resize(first, NONE);
        self.codes.extend_from_slice(&codes[..places.len()]);
    }

    /// The codes of texts. The table is looked at for all of them at once, since it is the waiting for memory that takes
    /// time.
    fn look_up(&mut self, data: &[u8], places: &[Place], codes: &mut [u32; TOGETHER]) {
        let text = |(start, end): Place| &data[start as usize..end as usize];
        self.values += places.len();
        if self.is_unique {
            for (code, place) in codes.iter_mut().zip(places) {
                *code = self.keep(text(*place));
            }
            return;
        }
        while (self.starts.len() + places.len()) * 4 > self.table.len() * 3 {
            self.grow();
        }
        if !self.has_long && self.table.len() <= SMALL && self.look_up_few(data, places, codes) {
            return;
        }
        // Neighbours often share their text, so that runs of texts are looked up: the key of each, its first text, and which run
        // each text is in.
        let mut keys = [Key::default(); TOGETHER];
        let (mut first, mut run_of) = ([0u8; TOGETHER], [0u8; TOGETHER]);
        let mut runs = 0;
        // Those of the text before: read from where they were just written they would be waited for.
        let (mut before, mut key_before): (&[u8], _) = (b"", None);
        for (at, (place, run)) in places.iter().zip(&mut run_of).enumerate() {
            let len = place.1 - place.0;
            let (key, is_new) = if len as usize <= SHORT {
                let key = Key::short(data, *place);
                before = b"";
                (key, !key_before.is_some_and(|before: Key| before.is(&key)))
            } else {
                let text = text(*place);
                let is_again = text.len() == before.len() && same(text, before);
                before = text;
                match key_before.filter(|_| is_again) {
                    Some(key) => (key, false),
                    None => (Key::long(self.long(text), len), true),
                }
            };
            key_before = Some(key);
            keys[runs] = key;
            first[runs] = at as u8;
            runs += usize::from(is_new);
            *run = runs as u8 - 1;
        }
        let place = |run: usize| places[usize::from(first[run])];
        let (keys, mut found) = (&keys[..runs], [NONE; TOGETHER]);
        if let [key] = keys {
            return codes[..places.len()].fill(self.code(key, text(place(0))));
        }
        let mask = self.table.len() - 1;
        let mut hashes = [0; TOGETHER];
        for (key, hash) in keys.iter().zip(&mut hashes) {
            *hash = self.hash(key);
            prefetch(&self.table[*hash as usize & mask]);
        }
        for (hash, code) in hashes.into_iter().zip(&mut found[..runs]) {
            // The place next to it is looked at, too: it lies in the same line of the cache, most likely.
            let (slot, next) = (self.table[hash as usize & mask], self.table[(hash as usize + 1) & mask]);
            *code = if slot.tag == tag(hash) { slot.code } else { next.code };
            self.keys.get(*code as usize).into_iter().for_each(|key| prefetch(key));
        }
        // One bit a run: what was found is not it; it is long.
        let (mut missing, mut long) = (0u64, 0u64);
        for (run, (key, code)) in keys.iter().zip(&found[..runs]).enumerate() {
            let known = self.keys.get(*code as usize).filter(|known| known.is(key));
            missing |= u64::from(known.is_none()) << run;
            if key.is_long() {
                long |= 1 << run;
                known.and_then(|known| self.texts.get(known.start())).into_iter().for_each(|text| prefetch(text));
            }
        }
        let mut rest = missing | long;
        while rest != 0 {
            let run = rest.trailing_zeros() as usize;
            let bit = rest & rest.wrapping_neg();
            rest ^= bit;
            let text = text(place(run));
            let is_it = missing & bit == 0 && self.is_at(self.keys[found[run] as usize].start(), text);
            if !is_it {
                found[run] = self.code(&keys[run], text);
            }
        }
        for (code, run) in codes.iter_mut().zip(&run_of[..places.len()]) {
            *code = found[usize::from(*run)];
        }
    }

    /// The same where the table is in the cache and all texts are short; false if they are not. Each text is looked up: that
    /// takes less time than to find out which are those of their neighbours.
    fn look_up_few(&mut self, data: &[u8], places: &[Place], codes: &mut [u32; TOGETHER]) -> bool {
        let mask = self.table.len() - 1;
        let mut missing = 0u64;
        for (at, (place, code)) in places.iter().zip(codes.iter_mut()).enumerate() {
            if place.1 - place.0 > SHORT as u32 {
                self.has_long = true;
                return false;
            }
            let key = Key::short(data, *place);
            let hash = self.hash(&key) as usize;
            let [slot, next] = [hash, hash + 1].map(|at| self.table[at & mask].code);
            let is = |code: u32| self.keys.get(code as usize).is_some_and(|known| known.is(&key));
            let (is_slot, is_next) = (is(slot), is(next));
            *code = if is_slot { slot } else { next };
            missing |= u64::from(!(is_slot | is_next)) << at;
        }
        while missing != 0 {
            let at = missing.trailing_zeros() as usize;
            missing &= missing - 1;
            let (start, end) = places[at];
            codes[at] = self.code(&Key::short(data, places[at]), &data[start as usize..end as usize]);
        }
        true
    }

    /// Whether a text begins at this place.
    #[inline]
    fn is_at(&self, start: usize, text: &[u8]) -> bool {
        let (len, rest) = self.texts[start..].split_first_chunk().expect("a length");
        u32::from_le_bytes(*len) as usize == text.len() && same(&rest[..text.len()], text)
    }

    #[inline]
    fn code_of(&mut self, row: usize, code: u32) {
        if self.codes.len() < row {
            self.codes.resize(row, NONE);
        }
        self.codes.push(code);
        self.last = code;
    }

    /// There are no more rows than these.
    pub(crate) fn end(&mut self, rows: usize) {
        self.codes.resize(rows, NONE);
        (self.table, self.keys) = (Vec::new(), Vec::new());
    }

    /// The hash of a long text.
    #[inline]
    fn long(&self, text: &[u8]) -> u64 {
        match ends(text) {
            Some(ends) => {
                let [a, b] = ends.map(halves);
                fold(a[0] ^ self.seeds[0], a[1] ^ self.seeds[1]).rotate_left(32)
                    ^ fold(b[0] ^ self.seeds[1], b[1] ^ !self.seeds[0])
            }
            None => {
                let mut hasher = FixedState::with_seed(self.seeds[0]).build_hasher();
                hasher.write(text);
                hasher.finish()
            }
        }
    }

    /// Where the text of a key belongs.
    #[inline]
    fn hash(&self, key: &Key) -> u64 {
        fold(key.low ^ self.seeds[0], key.high() ^ self.seeds[1])
    }

    /// The code of a text; there is room for one more in the table.
    fn code(&mut self, key: &Key, text: &[u8]) -> u32 {
        let mask = self.table.len() - 1;
        let hash = self.hash(key);
        let (tag, mut at) = (tag(hash), hash as usize & mask);
        while let Slot { tag: other, code } = self.table[at]
            && code != NONE
        {
            let known = &self.keys[code as usize];
            if other == tag && known.is(key) && (text.len() <= SHORT || self.is_at(known.start(), text)) {
                return code;
            }
            at = (at + 1) & mask;
        }
        self.keys.push(key.at(self.texts.len() as u32));
        let code = self.keep(text);
        self.table[at] = Slot { tag, code };
        if self.starts.len() == TRIAL && self.values * SERVED.1 < TRIAL * SERVED.0 {
            self.is_unique = true;
        }
        code
    }

    fn keep(&mut self, text: &[u8]) -> u32 {
        self.starts.push(self.texts.len() as u32);
        self.texts.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.texts.extend_from_slice(text);
        self.starts.len() as u32 - 1
    }

    fn grow(&mut self) {
        self.table = vec![FREE; (self.table.len() * 2).max(4 * TOGETHER)];
        let mask = self.table.len() - 1;
        for (code, key) in (0..).zip(&self.keys) {
            let hash = self.hash(key);
            let mut at = hash as usize & mask;
            while self.table[at].code != NONE {
                at = (at + 1) & mask;
            }
            self.table[at] = Slot { tag: tag(hash), code };
        }
    }

    /// For each row its text by number; [`NONE`] if it has none.
    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The text of a code.
    #[inline]
    pub(crate) fn text(&self, code: u32) -> &[u8] {
        let start = self.starts[code as usize] as usize;
        let (len, rest) = self.texts[start..].split_first_chunk().expect("a length");
        &rest[..u32::from_le_bytes(*len) as usize]
    }

    /// Number of texts.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// All texts, each behind its length.
    pub(crate) fn all(&self) -> &[u8] {
        &self.texts
    }

    /// Number of rows with text.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// True if each text serves a few rows.
    pub(crate) fn is_shared(&self) -> bool {
        !self.is_unique && self.len() * 2 <= self.values
    }
}

/// The part of a hash that does not say where a text belongs.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_apart() {
        let texts =
            ["a text that is long", "a text that is long", "short", "a text that is long", "", "short", "other"];
        let (data, mut start) = (texts.concat(), 0);
        let places: Vec<Place> = texts
            .iter()
            .map(|text| {
                start += text.len() as u32;
                (start - text.len() as u32, start)
            })
            .collect();
        let mut words = Words::default();
        for round in 0..3 {
            let rows: Vec<usize> = (0..texts.len()).map(|row| 10 * round + row).collect();
            words.push_all(&rows, data.as_bytes(), &places);
        }
        for (row, code) in words.codes().iter().enumerate().filter(|(_, code)| **code != NONE) {
            assert_eq!(words.text(*code), texts[row % 10].as_bytes(), "{row}");
        }
        assert_eq!((words.len(), words.codes().len()), (4, 27));
    }

    #[test]
    fn texts_that_hardly_differ_are_told_apart() {
        let long = |len: usize, last: u8| [vec![b'a'; len - 1], vec![last]].concat();
        let mut texts: Vec<Vec<u8>> = (0..18).map(|len| vec![0; len]).collect();
        texts.extend(
            [14, 15, 16, 17, 31, 32, 33, 34, 200]
                .into_iter()
                .flat_map(|len| [b'a', b'b', 0].map(|last| long(len, last))),
        );
        let (data, mut start) = (texts.concat(), 0);
        let place = |text: &Vec<u8>| {
            start += text.len() as u32;
            (start - text.len() as u32, start)
        };
        let places: Vec<Place> = texts.iter().map(place).collect();
        let mut words = Words::default();
        for first in [0, places.len()] {
            words.push_run(first, &data, &places);
        }
        assert_eq!(words.len(), texts.len());
        assert!(
            words.codes().iter().zip(texts.iter().chain(&texts)).all(|(code, text)| words.text(*code) == &text[..])
        );
    }

    #[test]
    fn texts_come_back() {
        for different in [1, 7, 1000, 40_000] {
            let mut words = Words::default();
            let pad = |row: usize| ["", "and more text", "until it is quite a long one"][row % different % 3];
            let text = |row: usize| format!("text {}{}", row % different, pad(row));
            let (mut rows, mut data, mut places) = (Vec::new(), Vec::new(), Vec::new());
            for row in (0..60_000).filter(|row| row % 5 != 3) {
                match row % 10 {
                    1 if different == 1 => words.again(row..row + 1),
                    _ if row < 30_000 => words.push(row, text(row).as_bytes()),
                    _ => {
                        rows.push(row);
                        let start = data.len() as u32;
                        data.extend(text(row).bytes());
                        places.push((start, data.len() as u32));
                    }
                }
                if rows.len() == TOGETHER || row == 59_999 || different == 1 && row % 10 == 0 {
                    words.push_all(&rows, &data, &places);
                    (rows, data, places) = Default::default();
                }
            }
            words.end(60_002);
            assert_eq!(words.codes().len(), 60_002);
            assert_eq!(words.values(), words.codes().iter().filter(|code| **code != NONE).count());
            for (row, code) in words.codes().iter().enumerate() {
                match code {
                    &NONE => assert!(row % 5 == 3 || row >= 60_000),
                    code => assert_eq!(words.text(*code), text(row).as_bytes()),
                }
            }
            assert!(words.len() <= 60_000.min(different) || !words.is_shared());
            assert_eq!(words.is_shared(), different <= 1000);
        }
    }
}
