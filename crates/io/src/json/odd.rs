//! What is odd in a record that is read all the same, and counted: keys that stand twice in one object, halves of surrogate
//! pairs, zero characters.

use super::index::Index;
use backsight_engine::value::json::{Cursor, Malformed, decode};
use memchr::memchr;
use std::borrow::Cow;
use std::collections::HashSet;

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

/// Looks for keys that stand twice in one object, record after record.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Keys of the record by the hash of their text and their object, each with the number of the record.
    seen: Vec<(u32, u32)>,
    record: u32,
    /// Numbers of the objects around a key.
    around: Vec<u32>,
}

impl Keys {
    /// True if some object of a sound record has a key twice.
    pub(super) fn repeat(&mut self, text: &[u8], index: &Index) -> bool {
        self.may_repeat(text, &index.tokens, index.slashed) && repeats(text)
    }

    /// True if it may be so; false if surely not.
    fn may_repeat(&mut self, text: &[u8], tokens: &[u32], slashed: bool) -> bool {
        let room = tokens.len().next_power_of_two().max(256);
        if self.seen.len() < room || self.record == u32::MAX {
            self.seen.clear();
            self.seen.resize(room, (0, 0));
            self.record = 0;
        }
        self.record += 1;
        self.around.clear();
        let (mask, record) = (self.seen.len() - 1, self.record);
        let mut objects = 0;
        let mut rest = tokens;
        let byte = |token: &u32| text.get(*token as usize).copied().unwrap_or(0);
        while let [first, others @ ..] = rest {
            rest = others;
            match byte(first) {
                b'{' | b'[' => {
                    objects += 1;
                    self.around.push(objects);
                }
                b'}' | b']' => drop(self.around.pop()),
                b'"' => {
                    let [close, next, ..] = others else { break };
                    rest = &others[1..];
                    if byte(next) != b':' {
                        continue;
                    }
                    let key = &text[*first as usize + 1..*close as usize];
                    if slashed && memchr(b'\\', key).is_some() {
                        return true;
                    }
                    let hash = hash(key, self.around.last().copied().unwrap_or(0));
                    let mut at = hash as usize & mask;
                    while self.seen[at].0 == record {
                        if self.seen[at].1 == (hash >> 32) as u32 {
                            return true;
                        }
                        at = (at + 1) & mask;
                    }
                    self.seen[at] = (record, (hash >> 32) as u32);
                }
                _ => {}
            }
        }
        false
    }
}

/// Spreads short texts well and fast; nothing depends on it but time. On CloudTrail, with it, keys are a tenth of all work;
/// byte for byte they were a third.
#[inline(always)]
fn hash(key: &[u8], object: u32) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let long = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let short = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    let mut word = u64::from(object) << 32 | key.len() as u64;
    match key {
        [] => {}
        [first, .., last] if key.len() < 4 => {
            word ^= u64::from(*first) << 16 | u64::from(*last) << 8 | u64::from(key[1])
        }
        [only] => word ^= u64::from(*only) << 16,
        _ if key.len() < 8 => word ^= (short(key.first_chunk()) << 32 | short(key.last_chunk())).wrapping_mul(ODD),
        _ => {
            word ^= long(key.first_chunk()).wrapping_mul(ODD) ^ long(key.last_chunk()).rotate_left(29);
            if key.len() > 16 {
                for chunk in key[8..key.len() - 8].chunks(8) {
                    let part = chunk
                        .first_chunk()
                        .map_or_else(|| long(key[key.len() - 16..].first_chunk()), |c| long(Some(c)));
                    word = (word ^ part).wrapping_mul(ODD).rotate_left(31);
                }
            }
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
    use super::super::index::Indexing;
    use super::super::simd::{Level, dispatch};
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
            assert_eq!(keys.repeat(text.as_bytes(), &index), expected, "{text}");
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
