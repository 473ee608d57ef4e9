//! Reading any line by its tokens: what [`Tree::find`] gives, with the looking at bytes done beforehand.

use super::index::Index;
use super::odd::Keys;
use super::wanted::{Hit, Hits, Tree};
use backsight_engine::value::json::{Cursor, MAX_DEPTH, Malformed, Quoted, Shape};

/// Finds everything wanted in an indexed line, checking all of it, as [`Tree::find`] does, with reserved keys. `keys` is
/// told of all keys.
pub(super) fn find(tree: &Tree, text: &[u8], index: &Index, hits: &mut Hits, keys: &mut Keys) -> Result<(), Malformed> {
    hits.begin();
    keys.begin(index.tokens.len());
    if !index.sound {
        return Err(Malformed { at: text.len() });
    }
    let mut walk = Walk { text, tokens: &index.tokens, next: 0, slashed: index.slashed, depth: 0, tree, hits, keys };
    if walk.peek() != b'{' {
        return Err(walk.fault());
    }
    walk.map(0, true)?;
    if walk.at() < text.len() { Err(walk.fault()) } else { Ok(()) }
}

struct Walk<'a> {
    text: &'a [u8],
    tokens: &'a [u32],
    /// The next token.
    next: usize,
    /// There are backslashes in the line.
    slashed: bool,
    depth: u32,
    tree: &'a Tree,
    hits: &'a mut Hits,
    keys: &'a mut Keys,
}

impl<'a> Walk<'a> {
    /// Offset of the next token.
    #[inline(always)]
    fn at(&self) -> usize {
        self.token(0)
    }

    /// Offset of the token after so many.
    #[inline(always)]
    fn token(&self, ahead: usize) -> usize {
        self.tokens.get(self.next + ahead).map_or(self.text.len(), |at| *at as usize)
    }

    /// The first byte of the token after so many; 0 at the end.
    #[inline(always)]
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.token(ahead)).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn peek(&self) -> u8 {
        self.byte(0)
    }

    #[cold]
    fn fault(&self) -> Malformed {
        Malformed { at: self.at() }
    }

    #[inline(always)]
    fn deeper(&mut self) -> Result<(), Malformed> {
        self.next += 1;
        if self.depth == MAX_DEPTH {
            return Err(self.fault());
        }
        self.depth += 1;
        Ok(())
    }

    /// Takes what closes a list or map.
    #[inline(always)]
    fn close(&mut self) {
        self.next += 1;
        self.depth -= 1;
    }

    /// Takes a string, with its escapes checked; true if it has any.
    #[inline(always)]
    fn string(&mut self) -> Result<bool, Malformed> {
        let (open, close) = (self.token(0), self.token(1));
        self.next += 2;
        if !self.slashed || memchr::memchr(b'\\', &self.text[open..close]).is_none() {
            return Ok(false);
        }
        Cursor::new(&self.text[open..=close]).string().map(|_| true)
    }

    /// Takes a key and its colon.
    #[inline(always)]
    fn key(&mut self) -> Result<Quoted<'a>, Malformed> {
        if self.peek() != b'"' || self.byte(2) != b':' {
            return Err(self.fault());
        }
        let place = self.token(0) + 1..self.token(1);
        let inner = &self.text[place.clone()];
        let escaped = self.string()?;
        self.next += 1;
        self.keys.key(self.text, place, escaped);
        Ok(Quoted { inner, escaped })
    }

    /// What follows a value in a map or list: true for another one, its comma taken.
    #[inline(always)]
    fn more(&mut self, close: u8) -> Result<bool, Malformed> {
        match self.peek() {
            b',' => {
                self.next += 1;
                Ok(true)
            }
            byte if byte == close => {
                self.close();
                Ok(false)
            }
            _ => Err(self.fault()),
        }
    }

    fn map(&mut self, node: u32, outer: bool) -> Result<(), Malformed> {
        self.deeper()?;
        if self.peek() == b'}' {
            self.close();
            return Ok(());
        }
        self.keys.enter();
        loop {
            if self.text_pair(node, outer) {
                continue;
            }
            let key = self.key()?;
            if outer && let Some(leaf) = self.tree.reserved(&key) {
                let hit = self.take()?;
                self.hits.set(leaf, hit);
            } else {
                match self.tree.by_key(node, &key) {
                    Some(child) => self.value(child)?,
                    None => self.skip().map(drop)?,
                }
            }
            if !self.more(b'}')? {
                self.keys.leave();
                return Ok(());
            }
        }
    }

    /// Takes a key, its value and the comma behind it, if the value is a string and nothing is escaped: most pairs are so.
    #[inline(always)]
    fn text_pair(&mut self, node: u32, outer: bool) -> bool {
        let rest = self.tokens.get(self.next..).and_then(|rest| rest.first_chunk());
        let Some([open, close, colon, start, end, comma]) = rest.map(|places: &[u32; 6]| places.map(|at| at as usize))
        else {
            return false;
        };
        let byte = |at: usize| self.text.get(at).copied().unwrap_or(0);
        if self.slashed || [byte(open), byte(colon), byte(start), byte(comma)] != *b"\":\"," {
            return false;
        }
        let key = Quoted { inner: &self.text[open + 1..close], escaped: false };
        self.keys.key(self.text, open + 1..close, false);
        self.next += 6;
        let hit = Some(Hit { start, end: end + 1, shape: Shape::String { escaped: false } });
        if outer && let Some(leaf) = self.tree.reserved(&key) {
            self.hits.set(leaf, hit);
        } else if let Some(child) = self.tree.by_key(node, &key) {
            self.hits.meet(self.tree, child);
            if let Some(leaf) = self.tree.leaf(child) {
                self.hits.set(leaf, hit);
            }
        }
        true
    }

    fn list(&mut self, node: u32) -> Result<(), Malformed> {
        self.deeper()?;
        if self.peek() == b']' {
            self.close();
            return Ok(());
        }
        for at in 0.. {
            match self.tree.by_index(node, at) {
                Some(child) => self.value(child)?,
                None => self.skip().map(drop)?,
            }
            if !self.more(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// A value that leads to a wanted one, or is one.
    fn value(&mut self, at: u32) -> Result<(), Malformed> {
        self.hits.meet(self.tree, at);
        let opening = self.peek();
        let enters = match opening {
            b'{' => self.tree.leads_on(at),
            b'[' => self.tree.leads_on_by_index(at),
            _ => false,
        };
        let before = (self.next, self.depth);
        match self.tree.leaf(at) {
            Some(leaf) => {
                let hit = self.take()?;
                self.hits.set(leaf, hit);
                if !enters {
                    return Ok(());
                }
                (self.next, self.depth) = before;
            }
            None if !enters => return self.skip().map(drop),
            None => {}
        }
        if opening == b'{' { self.map(at, false) } else { self.list(at) }
    }

    /// Takes a value; `None` for `null`.
    fn take(&mut self) -> Result<Option<Hit>, Malformed> {
        let start = self.at();
        let shape = self.skip()?;
        Ok(match shape {
            Shape::Null => None,
            Shape::Number | Shape::Bool => {
                let end = self.at().min(self.text.len());
                let end = start + trimmed(&self.text[start..end]).len();
                Some(Hit { start, end, shape })
            }
            Shape::String { .. } => Some(Hit { start, end: self.tokens[self.next - 1] as usize + 1, shape }),
            Shape::List { .. } | Shape::Map { .. } => {
                let end = self.tokens[self.next - 1] as usize + 1;
                let shape = Cursor::new(&self.text[start..end]).value()?.shape;
                Some(Hit { start, end, shape })
            }
        })
    }

    /// Takes one value of any shape, checking all of it. Whether a list or map is clean is not said.
    #[inline(always)]
    fn skip(&mut self) -> Result<Shape, Malformed> {
        match self.peek() {
            b'"' => self.string().map(|escaped| Shape::String { escaped }),
            b'{' => self.nested().map(|()| Shape::Map { clean: false }),
            b'[' => self.nested().map(|()| Shape::List { clean: false }),
            _ => self.scalar(),
        }
    }

    /// Takes a number or word.
    #[inline(always)]
    fn scalar(&mut self) -> Result<Shape, Malformed> {
        let (start, end) = (self.token(0), self.token(1));
        let text = trimmed(&self.text[start..end]);
        self.next += 1;
        match text {
            [b'1'..=b'9', ..] | [b'0'] if text.iter().all(u8::is_ascii_digit) => Ok(Shape::Number),
            _ => other_scalar(text),
        }
    }

    /// Takes a list or map.
    fn nested(&mut self) -> Result<(), Malformed> {
        let outside = self.depth;
        // Bit n: level n, counted from `outside`, is a map.
        let mut maps: u128 = 0;
        loop {
            match self.peek() {
                b'"' => drop(self.string()?),
                open @ (b'{' | b'[') => {
                    self.deeper()?;
                    let bit = 1u128 << (self.depth - outside - 1);
                    let is_map = open == b'{';
                    maps = if is_map { maps | bit } else { maps & !bit };
                    if self.peek() != if is_map { b'}' } else { b']' } {
                        if is_map {
                            self.keys.enter();
                            self.key()?;
                        }
                        continue;
                    }
                    self.close();
                }
                _ => drop(self.scalar()?),
            }
            // A value has ended: what follows it, up to where the next one starts?
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                let is_map = maps >> (self.depth - outside - 1) & 1 == 1;
                if self.more(if is_map { b'}' } else { b']' })? {
                    if is_map {
                        self.key()?;
                    }
                    break;
                }
                if is_map {
                    self.keys.leave();
                }
            }
        }
    }
}

/// Without the white space of JSON at the end.
#[inline(always)]
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text {
        text = rest;
    }
    text
}

/// A scalar that is not just digits.
#[inline(never)]
pub(super) fn other_scalar(text: &[u8]) -> Result<Shape, Malformed> {
    let mut cursor = Cursor::new(text);
    match cursor.value()?.shape {
        shape @ (Shape::Number | Shape::Bool | Shape::Null) if cursor.at() == text.len() => Ok(shape),
        _ => Err(Malformed { at: 0 }),
    }
}
