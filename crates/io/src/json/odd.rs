//! What is odd in a record that is read all the same, and counted: keys that stand twice in one object, halves of surrogate
//! pairs, zero characters.

use backsight_engine::value::json::{Cursor, Malformed, decode};
use memchr::memchr;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// Odd characters that a text writes as escapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Escaped {
    /// Half of a surrogate pair, which is no character.
    pub half: bool,
    /// U+0000
    pub zero: bool,
}

/// What is odd about the escapes of a JSON text that is sound.
pub(super) fn escaped(text: &[u8]) -> Escaped {
    let mut found = Escaped::default();
    let mut at = 0;
    while let Some(slash) = memchr(b'\\', text.get(at..).unwrap_or_default()) {
        at += slash;
        match unit(&text[at..]) {
            Some(0) => found.zero = true,
            Some(0xd800..=0xdbff) if matches!(unit(&text[at + 6..]), Some(0xdc00..=0xdfff)) => at += 6,
            Some(0xd800..=0xdfff) => found.half = true,
            _ => {}
        }
        at += 2;
    }
    found
}

/// The UTF-16 unit a text that starts with `\u` gives.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Looks for keys that stand twice in one object, record after record, as the keys come by.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Keys of the record by the hash of their text and their object, each with the number of the record.
    seen: Vec<(u32, u32)>,
    record: u32,
    /// Numbers of the objects around a key.
    around: Vec<u32>,
    objects: u32,
    /// Some object may have a key twice; if false, surely none has.
    pub may_repeat: bool,
}

impl Keys {
    /// Another record comes, with so many keys at most.
    pub(super) fn begin(&mut self, most: usize) {
        let room = most.next_power_of_two().max(256);
        if self.seen.len() < room || self.record == u32::MAX {
            self.seen.clear();
            self.seen.resize(room, (0, 0));
            self.record = 0;
        }
        self.record += 1;
        self.around.clear();
        (self.objects, self.may_repeat) = (0, false);
    }

    /// An object begins.
    #[inline(always)]
    pub(super) fn enter(&mut self) {
        self.objects += 1;
        self.around.push(self.objects);
    }

    /// An object ends.
    #[inline(always)]
    pub(super) fn leave(&mut self) {
        self.around.pop();
    }

    /// A key of the object at hand: its place in the text, and whether there are escapes in it.
    #[inline(always)]
    pub(super) fn key(&mut self, text: &[u8], place: Range<usize>, escaped: bool) {
        let hash = hash(text, place, self.around.last().copied().unwrap_or(0));
        let mask = self.seen.len() - 1;
        let tag = (hash >> 32) as u32;
        let mut at = hash as usize & mask;
        self.may_repeat |= escaped;
        while let Some(seen) = self.seen.get_mut(at) {
            if seen.0 != self.record {
                *seen = (self.record, tag);
                break;
            }
            if seen.1 == tag {
                self.may_repeat = true;
                break;
            }
            at = (at + 1) & mask;
        }
    }
}

/// Spreads short texts well and fast; nothing depends on it but time. Keys of up to 16 bytes are told apart without a
/// branch: where keys come in any order, their lengths cannot be foreseen.
#[inline(always)]
fn hash(text: &[u8], place: Range<usize>, object: u32) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let length = place.len();
    let spare = 8usize.saturating_sub(length) as u32 * 8;
    let first = text.get(place.start..).and_then(|text| text.first_chunk());
    let last = text.get(..place.end).and_then(|text| text.last_chunk());
    let (first, last) = match (first, last) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        // At an end of the text: as if there were more of it.
        _ => {
            let (key, mut first, mut last) = (&text[place.clone()], [0; 8], [0; 8]);
            let n = length.min(8);
            first[..n].copy_from_slice(&key[..n]);
            last[8 - n..].copy_from_slice(&key[length - n..]);
            (u64::from_le_bytes(first), u64::from_le_bytes(last))
        }
    };
    // What does not belong to the key is shifted out.
    let (first, last) = (first.unbounded_shl(spare), last.unbounded_shr(spare));
    let mut word = (u64::from(object) << 32 | length as u64) ^ first.wrapping_mul(ODD) ^ last.rotate_left(29);
    if length > 16 {
        for chunk in text[place.start + 8..place.end - 8].chunks(8) {
            let mut part = [0; 8];
            part[..chunk.len()].copy_from_slice(chunk);
            word = (word ^ u64::from_le_bytes(part)).wrapping_mul(ODD).rotate_left(31);
        }
    }
    let hash = word.wrapping_mul(ODD);
    (hash ^ hash >> 32).wrapping_mul(ODD)
}

/// True if some object of a sound JSON text has a key twice.
pub(super) fn repeats(text: &[u8]) -> bool {
    value(&mut Cursor::new(text)).unwrap_or(false)
}

/// Depth is bounded: the text was read before.
fn value<'a>(cursor: &mut Cursor<'a>) -> Result<bool, Malformed> {
    let mut first = true;
    match cursor.peek() {
        Some(b'{') => {
            cursor.enter_map()?;
            let mut keys: HashSet<Cow<'a, [u8]>> = HashSet::new();
            while let Some(key) = cursor.key(&mut first)? {
                let mut name = Cow::Borrowed(key.inner);
                if key.escaped {
                    let mut decoded = Vec::new();
                    decode(key.inner, &mut decoded);
                    name = Cow::Owned(decoded);
                }
                if !keys.insert(name) || value(cursor)? {
                    return Ok(true);
                }
            }
        }
        Some(b'[') => {
            cursor.enter_list()?;
            while cursor.element(&mut first)? {
                if value(cursor)? {
                    return Ok(true);
                }
            }
        }
        _ => drop(cursor.value()?),
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::index::{Index, Indexing};
    use super::super::simd::{Level, dispatch};
    use super::super::walk;
    use super::super::wanted::{Tree, USUAL};
    use super::*;

    #[test]
    fn keys_that_stand_twice() {
        let mut keys = Keys::default();
        let many: String = (0..5000).map(|i| format!("\"k{i}\":[{{\"a\":{i}}}],")).collect();
        for (text, expected) in [
            ("{}", false),
            (r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}],"d":"a"}"#, false),
            (r#"{"a":1,"b":2,"a":3}"#, true),
            (r#"{"a":[{"b":1,"c":{},"b":2}]}"#, true),
            (r#"{"a":1,"\u0061":2}"#, true),
            (r#"{"a":1,"\u0062":"a"}"#, false),
            (r#"{"":1,"":2}"#, true),
            (r#"{"A":1,"a":2}"#, false),
            (&format!("{{{many}\"z\":1}}"), false),
            (&format!("{{{many}\"k7\":1}}"), true),
        ] {
            let mut index = Index::default();
            let indexing = Indexing { data: text.as_bytes(), at: 0, index: &mut index };
            assert!(dispatch(Level::best(), indexing));
            let tree = Tree::new(USUAL);
            walk::find(&tree, text.as_bytes(), &index, &mut tree.hits(), &mut keys).expect("sound");
            assert_eq!(keys.may_repeat, expected || text.contains('\\'), "{text}");
            assert_eq!(repeats(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn odd_escapes() {
        for (text, half, zero) in [
            (r"\\u0000 \n \u00e9 \ud83d\ude00", false, false),
            (r"\ud83d", true, false),
            (r"\ude00\ud83d", true, false),
            (r"\ud83d\ud83d\ude00", true, false),
            (r"\uD83d\u0000", true, true),
            (r"\\\u0000", false, true),
        ] {
            assert_eq!(escaped(text.as_bytes()), Escaped { half, zero }, "{text}");
        }
    }
}
