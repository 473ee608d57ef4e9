//! JSON text as it lies in the input: a strict cursor over bytes, canonical text, and paths.
//!
//! Nothing here builds a tree. The [`Cursor`] walks over one value and says where its parts are; [`Raw`] is such a
//! part, and knows its canonical text (language reference, "Canonical text"); [`Route`] finds a path in a value.
//!
//! Strict means RFC 8259, with two allowances for evidence: bytes that are not UTF-8 pass inside strings, and lone
//! surrogates are read as U+FFFD. Nesting beyond [`MAX_DEPTH`] is malformed. Nothing recurses on the data.

mod cursor;
mod path;
mod text;

pub use cursor::Cursor;
pub use path::{Route, Step, get};
pub use text::{Entry, compact, decode, elements, entries, kind_and_text, number_kind, write_bytes, write_string};

/// Levels of lists and maps that are read; a value nested deeper is malformed.
pub const MAX_DEPTH: u32 = 128;

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset of the byte that cannot stand where it does; the length of the text if it ends too early.
    pub at: usize,
}

/// One JSON value as it lies in the text, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// All of it: a string with its quotes, a map with its braces.
    pub text: &'a [u8],
    /// What it is.
    pub shape: Shape,
}

/// What a [`Raw`] value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, not yet looked at.
    Number,
    /// A string; `escaped`: with at least one backslash.
    String {
        /// With at least one backslash: the text between the quotes is not yet the string.
        escaped: bool,
    },
    /// A list.
    List {
        /// Without spaces and backslashes: the text is canonical as it stands.
        clean: bool,
    },
    /// A map.
    Map {
        /// Without spaces and backslashes: the text is canonical as it stands.
        clean: bool,
    },
}

/// A string of the text: a key, mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// What stands between the quotes.
    pub inner: &'a [u8],
    /// With at least one backslash.
    pub escaped: bool,
}

impl Quoted<'_> {
    /// True if the string is `text`, escapes resolved.
    pub fn is(&self, text: &[u8]) -> bool {
        if !self.escaped {
            return self.inner == text;
        }
        let mut decoded = Vec::with_capacity(self.inner.len());
        decode(self.inner, &mut decoded);
        decoded == text
    }
}

/// Reads a text that is one JSON value and nothing else.
pub fn whole(text: &[u8]) -> Result<Raw<'_>, Malformed> {
    let mut cursor = Cursor::new(text);
    let raw = cursor.value()?;
    cursor.end()?;
    Ok(raw)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Number of bytes before the first quote, backslash or control character; all if there is none.
///
/// Eight at a time: `x - n` borrows into the high bit of a byte that is less than `n`, and only bytes above a hit can
/// be hit falsely, so the lowest is right (Lamport 1975, "Multiple byte processing with full-word instructions").
#[inline]
pub fn plain(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = text.get(at..at + 8) {
        let x = u64::from_le_bytes(eight.try_into().expect("eight bytes were asked for"));
        let quote = x ^ (ONES * b'"' as u64);
        let slash = x ^ (ONES * b'\\' as u64);
        let hits = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (x.wrapping_sub(ONES * 0x20) & !x);
        if hits & HIGHS != 0 {
            return at + ((hits & HIGHS).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &text[at..];
    at + rest.iter().position(|c| *c < b' ' || *c == b'"' || *c == b'\\').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        let good = [
            "0",
            "-0",
            "-1.5e+3",
            "1E9",
            "\"\"",
            "\"a\\u0041\\n\\/\"",
            "true",
            "false",
            "null",
            "[]",
            "{}",
            " [ ] ",
            "[[],{}]",
            "{\"a\":[1,{\"b\":null}],\"c\":\"d\"}",
            "{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }\n",
            "\"\\ud800\"",
            "\"12345678\\\"90\"",
        ];
        for text in good {
            let raw = whole(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!(raw.text, text.trim().as_bytes(), "{text}");
        }
        let bad = [
            ("", 0),
            ("01", 1),
            ("-", 1),
            ("1.", 2),
            (".5", 0),
            ("1e", 2),
            ("+1", 0),
            ("tru", 0),
            ("nulll", 4),
            ("\"", 1),
            ("\"\\x\"", 2),
            ("\"\\u00g0\"", 5),
            ("\"\t\"", 1),
            ("[1,]", 3),
            ("[,1]", 1),
            ("[1 2]", 3),
            ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("{\"a\":1]", 6),
            ("[1}", 2),
            ("[[]", 3),
            ("{}}", 2),
            ("NaN", 0),
            ("'a'", 0),
            ("{\"a\" \"b\"}", 5),
        ];
        for (text, at) in bad {
            assert_eq!(whole(text.as_bytes()), Err(Malformed { at }), "{text}");
        }
    }

    #[test]
    fn depth_is_limited_not_recursed() {
        let nest = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(whole(nest(128).as_bytes()).is_ok());
        assert_eq!(whole(nest(129).as_bytes()), Err(Malformed { at: 128 }));
        assert!(whole("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(whole(("{\"a\":".repeat(128) + "1" + &"}".repeat(128)).as_bytes()).is_ok());
        assert!(whole("{\"a\":[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn clean_means_canonical() {
        for (text, expected) in [
            ("[1,\"a b\"]", true),
            ("[1, 2]", false),
            ("[\"\\n\"]", false),
            ("{\"a\":{ }}", false),
            ("{\"\\u0061\":1}", false),
        ] {
            let (Shape::List { clean } | Shape::Map { clean }) = whole(text.as_bytes()).expect(text).shape else {
                panic!("{text}")
            };
            assert_eq!(clean, expected, "{text}");
        }
    }

    #[test]
    fn walking() {
        let mut cursor = Cursor::new(br#"{"a": [1, "x"], "b\u0062": {}}"#);
        let mut first = true;
        cursor.enter_map().expect("map");
        assert!(cursor.key(&mut first).expect("key").expect("a").is(b"a"));
        cursor.enter_list().expect("list");
        let mut inner = true;
        let mut seen = Vec::new();
        while cursor.element(&mut inner).expect("element") {
            seen.push(cursor.value().expect("value").text);
        }
        assert_eq!(seen, [&b"1"[..], b"\"x\""]);
        assert!(cursor.key(&mut first).expect("key").expect("bb").is(b"bb"));
        assert_eq!(cursor.value().expect("value").text, b"{}");
        assert_eq!(cursor.key(&mut first), Ok(None));
        assert_eq!(cursor.end(), Ok(()));
    }

    #[test]
    fn plain_stops_at_the_first_special_byte() {
        for len in 0..40 {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                for fill in [b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']', b' '] {
                    let mut text = vec![fill; len];
                    assert_eq!(plain(&text), len);
                    text.push(special);
                    text.extend([b'"', 0, fill]);
                    assert_eq!(plain(&text), len, "{len} {special} {fill}");
                }
            }
        }
    }
}
