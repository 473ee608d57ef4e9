//! Layouts: everything of a record but its values, kept once for all the records that share it.
//!
//! Logs are written by programs, so millions of records have the same keys in the same order with the same spacing. A
//! layout is the record's text with a mark in the place of every value at its top level (the idea of CLP, Rodrigues et
//! al., OSDI 2021, and μSlope, Wang et al., OSDI 2024). It also holds what follows the record up to the next one: a line
//! feed, the comma of a list, the end of an envelope. Marks are control characters, which stand in no JSON text:
//!
//! | mark | stands for |
//! |---|---|
//! | `\x01` | the value of the key before it |
//! | `\x02` | nothing: `@message` ends here, and the fields of the event are those of the record |
//! | `\x03` | what stands before `@message`: column `@before` |
//! | `\x04` | the text of the record: column `@text` |
//! | `\x05` | the record, which is not UTF-8: column `@bytes` |
//! | `\x06`name`\x06` | a token of a line of text: its column |

use super::keys::same;
use super::slot::Slot;
use backsight_engine::value::json::{self, Cursor};

pub(crate) const VALUE: u8 = 1;
pub(crate) const END: u8 = 2;
pub(crate) const BEFORE: u8 = 3;
pub(crate) const TEXT: u8 = 4;
pub(crate) const BYTES: u8 = 5;
pub(crate) const TOKEN: u8 = 6;

/// True for text that holds no mark.
pub(crate) fn markless(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(*b, VALUE..=TOKEN))
}

/// A layout, ready to match records and to write them.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    /// As stored.
    pub text: Box<[u8]>,
    /// One before each value and one behind the last; without marks.
    pub literals: Vec<Box<[u8]>>,
    /// The keys of the values, escapes resolved.
    pub keys: Vec<Box<[u8]>>,
    /// Text stands before `@message`.
    pub before: bool,
    /// The record is text, no object.
    pub is_text: bool,
    /// It is no text either.
    pub is_bytes: bool,
    /// The record is a line of text in tokens, which are as they stand there.
    pub is_line: bool,
    /// Bytes of the last literal that belong to the record.
    pub end: usize,
    /// Bytes of the last literal that belong to `@message`; `None` if the event is not simply the record.
    pub message: Option<usize>,
}

impl Layout {
    /// Reads a layout as stored; `None` for what is none.
    pub(crate) fn parse(text: &[u8]) -> Option<Layout> {
        let mut out = Layout {
            text: text.into(),
            literals: Vec::new(),
            keys: Vec::new(),
            before: false,
            is_text: false,
            is_bytes: false,
            is_line: false,
            end: 0,
            message: None,
        };
        let mut rest = text;
        if let [BEFORE, after @ ..] = rest {
            (out.before, rest) = (true, after);
        }
        if let [mark @ (TEXT | BYTES), after @ ..] = rest {
            (out.is_text, out.is_bytes, rest) = (true, *mark == BYTES, after);
        }
        let mut literal = Vec::new();
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            match *byte {
                TOKEN if !out.is_text && out.message.is_none() => {
                    let end = memchr::memchr(TOKEN, rest)?;
                    out.is_line = true;
                    out.keys.push(rest[..end].into());
                    out.literals.push(std::mem::take(&mut literal).into());
                    rest = &rest[end + 1..];
                }
                VALUE if out.is_line => return None,
                VALUE if !out.is_text && out.message.is_none() => {
                    out.keys.push(key(&literal)?);
                    out.literals.push(std::mem::take(&mut literal).into());
                }
                END if out.message.is_none() => out.message = Some(literal.len()),
                VALUE..=TOKEN => return None,
                other => literal.push(other),
            }
        }
        if out.is_line {
            out.end = out.message?;
        } else if !out.is_text {
            out.end = literal.iter().position(|b| *b == b'}')? + 1;
        }
        out.literals.push(literal.into());
        Some(out)
    }

    /// Number of values.
    pub(crate) fn values(&self) -> usize {
        self.keys.len()
    }

    /// True if the event is the record: its text is `@message` and its keys are the fields.
    pub(crate) fn is_direct(&self) -> bool {
        self.message.is_some()
    }

    /// Adds the record to `out`: `before` and `value` add what the marks stand for; a record of text is value 0.
    /// Returns where `@message` lies in it, if the event is the record, and where the record ends. `None` if `value`
    /// fails.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        before: &[u8],
        mut value: impl FnMut(usize, &mut Vec<u8>) -> Option<()>,
    ) -> Option<(Option<(usize, usize)>, usize)> {
        if self.before {
            out.extend_from_slice(before);
        }
        let start = out.len();
        if self.is_text {
            value(0, out)?;
        }
        let (last, literals) = self.literals.split_last()?;
        for (slot, literal) in literals.iter().enumerate() {
            match **literal {
                // A space, in lines; not worth a call.
                [byte] => out.push(byte),
                _ => out.extend_from_slice(literal),
            }
            value(slot, out)?;
        }
        let (message, end) = (self.message.map(|n| (start, out.len() + n)), out.len() + self.end);
        out.extend_from_slice(last);
        Some((message, end))
    }

    /// Finds the values of the record from `at` to the end of `text`, if it has this layout; what stands before
    /// `@message` is not looked at. Values are checked to be JSON. Adds nothing to `values` and returns false if it has
    /// another layout.
    pub(crate) fn find(&self, text: &[u8], at: usize, values: &mut Vec<Slot>) -> bool {
        let before = values.len();
        let found = !self.is_text && !self.is_line && self.try_find(text, at, values).is_some();
        if !found {
            values.truncate(before);
        }
        found
    }

    fn try_find(&self, text: &[u8], mut at: usize, values: &mut Vec<Slot>) -> Option<()> {
        let (last, literals) = self.literals.split_last()?;
        for literal in literals {
            if !same(text.get(at..at + literal.len())?, literal) {
                return None;
            }
            at += literal.len();
            let slot = Slot::at(text, at)?;
            at = slot.end();
            values.push(slot);
        }
        (text[at..] == **last).then_some(())
    }
}

/// The key a literal ends in: it stands between the first quote and its end.
fn key(literal: &[u8]) -> Option<Box<[u8]>> {
    let start = memchr::memchr(b'"', literal)?;
    let key = Cursor::new(&literal[start..]).string().ok()?;
    let mut out = Vec::with_capacity(key.inner.len());
    json::decode(key.inner, &mut out);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_come_back() {
        let layout = Layout::parse(b"\x03{ \"a\": \x01,\"b\\u0062\":\x01}\x02,\n").expect("a layout");
        assert_eq!(layout.keys, [Box::from(*b"a"), Box::from(*b"bb")]);
        assert!(layout.before && layout.is_direct() && !layout.is_text);
        let mut values = Vec::new();
        assert!(layout.find(b"{ \"a\": 12,\"b\\u0062\":\"x\"},\n", 0, &mut values));
        let mut out = Vec::new();
        let text = b"{ \"a\": 12,\"b\\u0062\":\"x\"},\n";
        let message = layout.write(&mut out, b"T ", |slot, out| {
            out.extend_from_slice(values[slot].text(text));
            Some(())
        });
        assert_eq!(out, b"T { \"a\": 12,\"b\\u0062\":\"x\"},\n");
        assert_eq!(message, Some((Some((2, out.len() - 2)), out.len() - 2)));
    }

    #[test]
    fn other_records_are_not_taken() {
        let layout = Layout::parse(b"{\"a\":\x01}\x02\n").expect("a layout");
        for text in [
            "{\"a\":1}",
            "{\"a\":1}\n\n",
            "{\"b\":1}\n",
            "{\"a\":01}\n",
            "{\"a\":\"\t\"}\n",
            "{\"a\":1,}\n",
            "{\"a\":}\n",
        ] {
            assert!(!layout.find(text.as_bytes(), 0, &mut Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_layout() {
        for text in
            [&b"{\"a\":\x02\x02"[..], b"\x01", b"{\"a\":\x03}", b"\x04\x01", b"a\x02\"k\":\x01", b"{\"a\":\x01\n"]
        {
            assert!(Layout::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn lines_have_tokens() {
        let layout = Layout::parse(b"\x06a\x06 [\x06b\x06]\x02\n").expect("a layout");
        assert!(layout.is_line && layout.is_direct());
        assert_eq!(layout.keys, [Box::from(*b"a"), Box::from(*b"b")]);
        let mut out = Vec::new();
        let message = layout.write(&mut out, b"", |slot, out| {
            out.extend_from_slice([&b"1"[..], b""][slot]);
            Some(())
        });
        assert_eq!((&out[..], message), (&b"1 []\n"[..], Some((Some((0, 4)), 4))));
        for text in [&b"\x06a\x06 \x06b"[..], b"\x06a\x06\n", b"\x06a\x06 \x01\x02", b"{\x01\x06a\x06\x02"] {
            assert!(Layout::parse(text).is_none(), "{text:?}");
        }
    }
}
