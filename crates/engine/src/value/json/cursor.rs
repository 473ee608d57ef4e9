//! Reading JSON text from front to back.

use super::{MAX_DEPTH, Malformed, Quoted, Raw, Shape, plain};

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
