//! JSON text as it lies in the input: a strict cursor over bytes, canonical text, and paths.
//!
//! Nothing here builds a tree. The [`Cursor`] walks over one value and says where its parts are; [`Raw`] is such a
//! part, and knows its canonical text (language reference, "Canonical text"); [`Route`] finds a path in a value.
//!
//! Strict means RFC 8259, with two allowances for evidence: bytes that are not UTF-8 pass inside strings, and lone
//! surrogates are read as U+FFFD. Nesting beyond [`MAX_DEPTH`] is malformed. Nothing recurses on the data.

mod path;
mod text;

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

/// Reads JSON text from front to back.
///
/// Every method that fails leaves the cursor anywhere; the text is malformed, and that is all there is to say.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `text`.
    pub fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0, depth: 0 }
    }

    /// A cursor at the start of a value that lies in so many lists and maps of a text already checked.
    pub fn within(text: &'a [u8], depth: u32) -> Cursor<'a> {
        Cursor { text, at: 0, depth }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Skips white space and gives the byte that follows, without taking it; `None` at the end.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Checks that only white space is left.
    pub fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault()),
        }
    }

    #[inline]
    fn fault(&self) -> Malformed {
        Malformed { at: self.at }
    }

    /// Takes `byte`, after white space.
    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault());
        }
        self.depth += 1;
        Ok(())
    }

    /// Steps into a map; [`Cursor::key`] with `first` set comes next.
    #[inline]
    pub fn enter_map(&mut self) -> Result<(), Malformed> {
        self.expect(b'{')?;
        self.deeper()
    }

    /// Steps into a list; [`Cursor::element`] with `first` set comes next.
    #[inline]
    pub fn enter_list(&mut self) -> Result<(), Malformed> {
        self.expect(b'[')?;
        self.deeper()
    }

    /// The next key of the map the cursor is in, its colon taken; the caller takes the value. `None`, and out of the
    /// map, if there are no more. `first` must be set before the first call and is cleared here.
    #[inline]
    pub fn key(&mut self, first: &mut bool) -> Result<Option<Quoted<'a>>, Malformed> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            Some(b',') if !*first => self.at += 1,
            Some(_) if *first => {}
            _ => return Err(self.fault()),
        }
        *first = false;
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// True if the list the cursor is in has another element, which the caller takes; false, and out of the list, if
    /// not. `first` must be set before the first call and is cleared here.
    #[inline]
    pub fn element(&mut self, first: &mut bool) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            Some(_) if *first => {}
            _ => return Err(self.fault()),
        }
        // `[1,]` fails in the caller: no value starts with a bracket that closes.
        *first = false;
        Ok(true)
    }

    /// Takes a string.
    #[inline]
    pub fn string(&mut self) -> Result<Quoted<'a>, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => {
                    let inner = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Quoted { inner, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    match self.text.get(self.at) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            for _ in 0..4 {
                                self.at += 1;
                                if !self.text.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                                    return Err(self.fault());
                                }
                            }
                            self.at += 1;
                        }
                        _ => return Err(self.fault()),
                    }
                }
                // A control character, or the end of the text.
                _ => return Err(self.fault()),
            }
        }
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault()) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.text.get(self.at) {
            // What follows a leading zero is for the caller to refuse: no digit may.
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fault());
        }
        self.at += word.len();
        Ok(())
    }

    /// Takes one value of any shape, checking all of it.
    pub fn value(&mut self) -> Result<Raw<'a>, Malformed> {
        let first = self.peek();
        let start = self.at;
        let shape = match first {
            Some(b'"') => Shape::String { escaped: self.string()?.escaped },
            Some(b'{') => Shape::Map { clean: self.nested()? },
            Some(b'[') => Shape::List { clean: self.nested()? },
            Some(other) => self.scalar(other)?,
            None => return Err(self.fault()),
        };
        Ok(Raw { text: &self.text[start..self.at], shape })
    }

    #[inline]
    fn scalar(&mut self, first: u8) -> Result<Shape, Malformed> {
        match first {
            b'-' | b'0'..=b'9' => self.number().map(|()| Shape::Number),
            b't' => self.word(b"true").map(|()| Shape::Bool),
            b'f' => self.word(b"false").map(|()| Shape::Bool),
            b'n' => self.word(b"null").map(|()| Shape::Null),
            _ => Err(self.fault()),
        }
    }

    /// Takes a list or map; true if it holds neither white space (between tokens) nor a backslash.
    fn nested(&mut self) -> Result<bool, Malformed> {
        let outside = self.depth;
        // Bit n: level n, counted from `outside`, is a map.
        let mut maps: u128 = 0;
        let mut clean = true;
        loop {
            match self.dense(&mut clean) {
                Some(b'"') => clean &= !self.string()?.escaped,
                Some(open @ (b'{' | b'[')) => {
                    self.deeper()?;
                    self.at += 1;
                    let bit = 1u128 << (self.depth - outside - 1);
                    let close = if open == b'{' { b'}' } else { b']' };
                    if open == b'{' {
                        maps |= bit
                    } else {
                        maps &= !bit
                    }
                    if self.dense(&mut clean) == Some(close) {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        if open == b'{' {
                            self.nested_key(&mut clean)?;
                        }
                        continue;
                    }
                }
                Some(other) => {
                    self.scalar(other)?;
                }
                None => return Err(self.fault()),
            }
            // A value has ended: what follows it, up to where the next one starts?
            loop {
                if self.depth == outside {
                    return Ok(clean);
                }
                let in_map = maps >> (self.depth - outside - 1) & 1 == 1;
                match self.dense(&mut clean) {
                    Some(b',') => {
                        self.at += 1;
                        if in_map {
                            self.nested_key(&mut clean)?;
                        }
                        break;
                    }
                    Some(b'}') if in_map => {}
                    Some(b']') if !in_map => {}
                    _ => return Err(self.fault()),
                }
                self.at += 1;
                self.depth -= 1;
            }
        }
    }

    fn nested_key(&mut self, clean: &mut bool) -> Result<(), Malformed> {
        self.dense(clean);
        *clean &= !self.string()?.escaped;
        if self.dense(clean) != Some(b':') {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    /// [`Cursor::peek`] that notes whether there was white space.
    #[inline]
    fn dense(&mut self, clean: &mut bool) -> Option<u8> {
        let before = self.at;
        let next = self.peek();
        *clean &= self.at == before;
        next
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
