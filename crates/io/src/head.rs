//! The first bytes of a file, looked at once for all formats.

use crate::json::frame::{Framer, Opening, Piece, State, opening};
use backsight_engine::value::json::Cursor;
use std::cell::OnceCell;

/// The start of a file, decompressed.
#[derive(Debug)]
pub struct Head<'h> {
    /// The bytes, at most [`crate::formats::HEAD`].
    pub bytes: &'h [u8],
    json: OnceCell<Option<JsonHead<'h>>>,
}

/// How JSON records lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One object a line.
    Lines,
    /// One value after another, whatever stands between them.
    Values,
    /// Elements of a list.
    List,
    /// Elements of a list in an object, by the key of the list.
    Envelope(&'static str),
}

/// What the start of a file of JSON shows.
#[derive(Debug)]
pub struct JsonHead<'h> {
    /// How its records lie.
    pub framing: Framing,
    /// The first records; the last one may be cut off.
    pub records: Vec<Sample<'h>>,
}

/// Records looked at.
const SAMPLES: usize = 8;

/// The members of a record, as far as they were there.
#[derive(Debug)]
pub struct Sample<'h> {
    /// All of it, or what there is.
    pub text: &'h [u8],
    members: Vec<(&'h [u8], &'h [u8])>,
}

impl<'h> Sample<'h> {
    fn new(text: &'h [u8]) -> Sample<'h> {
        Sample { text, members: members(text) }
    }

    /// The value of a key as it stands in the text; of a cut-off record it may be empty.
    pub fn get(&self, key: &str) -> Option<&'h [u8]> {
        self.members.iter().find(|(k, _)| *k == key.as_bytes()).map(|(_, value)| *value)
    }

    /// True if it has the key.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// True if it has all the keys.
    pub fn has_all(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.has(key))
    }

    /// How many of the keys it has.
    pub fn count(&self, keys: &[&str]) -> usize {
        keys.iter().filter(|key| self.has(key)).count()
    }
}

/// Keys and values of an object, up to where it is cut off or malformed.
fn members(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut members = Vec::new();
    let mut cursor = Cursor::new(text);
    let mut first = true;
    if cursor.enter_map().is_err() {
        return members;
    }
    while let Ok(Some(key)) = cursor.key(&mut first) {
        match cursor.value() {
            Ok(raw) => members.push((key.inner, raw.text)),
            Err(_) => {
                members.push((key.inner, &[]));
                break;
            }
        }
    }
    members
}

impl<'h> Head<'h> {
    /// Takes the first bytes.
    pub fn new(bytes: &'h [u8]) -> Head<'h> {
        Head { bytes: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), json: OnceCell::new() }
    }

    /// The lines that are not blank, without their ends. The last one may be cut off.
    pub fn lines(&self) -> impl Iterator<Item = &'h [u8]> {
        let lines = self.bytes.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.trim_ascii().is_empty())
    }

    /// What there is to say if the file starts with JSON.
    pub fn json(&self) -> Option<&JsonHead<'h>> {
        self.json.get_or_init(|| json(self.bytes)).as_ref()
    }

    /// True if the file has records of JSON and most of those at its start are plainly of one kind.
    pub fn records(&self, is: impl Fn(&Sample<'h>) -> bool) -> bool {
        self.json().is_some_and(|json| {
            let those = json.records.iter().filter(|r| is(r)).count();
            json.records.first().is_some_and(is) && those * 2 >= json.records.len()
        })
    }

    /// True if the file has records of JSON in an envelope with a list of this key.
    pub fn envelope(&self, list: &str) -> bool {
        self.json().is_some_and(|json| matches!(json.framing, Framing::Envelope(key) if key == list))
    }
}

fn json(bytes: &[u8]) -> Option<JsonHead<'_>> {
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace())?;
    let (framing, mut framer) = match bytes[start] {
        b'[' => {
            let after = start + 1 + bytes[start + 1..].iter().position(|b| !b.is_ascii_whitespace())?;
            matches!(bytes[after], b'{' | b']').then_some((Framing::List, Framer::default()))?
        }
        b'{' => match opening(&bytes[start..]) {
            Opening::Envelope(envelope, _) => (Framing::Envelope(envelope.list), Framer::default()),
            _ => (framing_of_values(bytes, start), Framer { state: State::List }),
        },
        _ => return None,
    };
    let mut records = Vec::new();
    let mut at = start;
    while records.len() < SAMPLES {
        match framer.next(bytes, at) {
            Piece::Record(start, end) => {
                records.push(Sample::new(&bytes[start..end]));
                at = end;
            }
            Piece::Text(_, end) => at = end,
            Piece::Cut(start) => {
                if bytes[start] == b'{' {
                    records.push(Sample::new(&bytes[start..]));
                }
                break;
            }
            Piece::End => break,
        }
    }
    Some(JsonHead { framing, records })
}

/// True for a whole object, and nothing else.
fn is_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"{") && backsight_engine::value::json::whole(line).is_ok()
}

/// Whether objects that are no envelopes lie one a line.
fn framing_of_values(bytes: &[u8], start: usize) -> Framing {
    let mut framer = Framer { state: State::List };
    let (end, whole) = match framer.next(bytes, start) {
        Piece::Record(_, end) | Piece::Text(_, end) => (end, true),
        Piece::Cut(_) | Piece::End => (bytes.len(), false),
    };
    let behind = bytes[end..].iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r'));
    // Text behind an object makes its line one of text.
    // An object that begins in one line and does not end, before lines that are objects by themselves, is a broken line.
    let broken_line = !whole && bytes[start..end].split(|b| *b == b'\n').skip(1).any(is_object);
    let one_a_line = broken_line
        || !bytes[start..end].contains(&b'\n') && (!whole || behind.is_none_or(|b| !matches!(b, b'{' | b',')));
    if one_a_line { Framing::Lines } else { Framing::Values }
}
