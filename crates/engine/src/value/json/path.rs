//! Paths into JSON text: which keys and positions `a.b.0` may stand for, and looking them up.

use super::{Cursor, Malformed, Raw, Shape};
use crate::value::Kind;
use backsight_lang::ast::Segment;
use std::borrow::Cow;

/// One step of a reading of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    /// The key, where the value is a map.
    pub key: Box<[u8]>,
    /// The position, where it is a list and the path has a position here.
    pub index: Option<u64>,
}

/// A path and everything it may stand for (language reference, "Paths").
///
/// JSON keys may hold dots, so `a.b.c` has several readings: `a`, `b`, `c` nested, else the key `b.c` in `a`, else the
/// key `c` in `a.b`, else the key `a.b.c`. The first that leads to a value other than `null` counts. A name in backticks
/// is tried as one key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    readings: Vec<Vec<Step>>,
}

/// Readings of one path that are tried. A path of nine parts or more has others, beyond any use.
const READINGS: usize = 128;

impl Route {
    /// The route of a path.
    pub fn new(segments: &[Segment]) -> Route {
        let mut pieces = Vec::new();
        for segment in segments {
            match segment {
                Segment::Index(n) => pieces.push(Piece { text: n.to_string(), index: Some(*n), glued: 1 }),
                Segment::Name { text, quoted } => {
                    let parts: Vec<&str> = if *quoted { text.split('.').collect() } else { vec![text] };
                    let first = pieces.len();
                    pieces.extend(parts.iter().map(|p| Piece { text: (*p).into(), index: None, glued: 1 }));
                    pieces[first].glued = parts.len();
                }
            }
        }
        let mut readings = Vec::new();
        read(&pieces, &mut Vec::new(), &mut readings);
        Route { readings }
    }

    /// The route of these readings alone.
    pub fn of(readings: Vec<Vec<Step>>) -> Route {
        Route { readings }
    }

    /// The readings, in the order in which they count; at least one, none of them empty.
    pub fn readings(&self) -> &[Vec<Step>] {
        &self.readings
    }

    /// The value the path leads to in a JSON text; `None` if it is absent or `null`, or the text is malformed on the way.
    pub fn find<'a>(&self, text: &'a [u8]) -> Option<Raw<'a>> {
        self.readings.iter().find_map(|steps| follow(text, steps).ok().flatten())
    }

    /// [`Route::find`] as kind and canonical text.
    pub fn get<'a>(&self, text: &'a [u8]) -> Option<(Kind, Cow<'a, [u8]>)> {
        self.find(text)?.canonical()
    }
}

/// The value at a path of a JSON text as kind and canonical text; see [`Route`], which is cheaper for many texts.
pub fn get<'a>(text: &'a [u8], segments: &[Segment]) -> Option<(Kind, Cow<'a, [u8]>)> {
    if segments.is_empty() {
        return super::kind_and_text(text);
    }
    Route::new(segments).get(text)
}

/// A part of a path between dots.
struct Piece {
    text: String,
    index: Option<u64>,
    /// Number of pieces from here on that stood in one pair of backticks, and so are tried as one key first.
    glued: usize,
}

/// Adds all ways of joining neighbouring pieces into keys.
fn read(pieces: &[Piece], before: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    let Some(first) = pieces.first() else {
        out.push(before.clone());
        return;
    };
    let others = (1..=pieces.len()).filter(|n| *n != first.glued);
    for n in std::iter::once(first.glued).chain(others) {
        if out.len() >= READINGS {
            return;
        }
        let key = pieces[..n].iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(".");
        let index = if n == 1 { first.index } else { None };
        before.push(Step { key: key.into_bytes().into(), index });
        read(&pieces[n..], before, out);
        before.pop();
    }
}

/// The value at the end of the steps, unless it is `null`.
fn follow<'a>(text: &'a [u8], steps: &[Step]) -> Result<Option<Raw<'a>>, Malformed> {
    let mut value = Raw { text, shape: Shape::Null };
    for step in steps {
        match child(value.text, step)? {
            Some(found) => value = found,
            None => return Ok(None),
        }
        if value.shape == Shape::Null {
            return Ok(None);
        }
    }
    Ok(Some(value))
}

fn child<'a>(text: &'a [u8], step: &Step) -> Result<Option<Raw<'a>>, Malformed> {
    let mut cursor = Cursor::new(text);
    let mut first = true;
    let mut found = None;
    match (cursor.peek(), step.index) {
        (Some(b'{'), _) => {
            cursor.enter_map()?;
            while let Some(key) = cursor.key(&mut first)? {
                let value = cursor.value()?;
                // No early end: of equal keys the last wins.
                if key.is(&step.key) {
                    found = Some(value);
                }
            }
        }
        (Some(b'['), Some(index)) => {
            cursor.enter_list()?;
            let mut at = 0;
            while cursor.element(&mut first)? {
                let value = cursor.value()?;
                if at == index {
                    found = Some(value);
                    break;
                }
                at += 1;
            }
        }
        _ => {}
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.b`, `` `a.b` ``, `a.0`: enough of the syntax for the tables below.
    fn path(text: &str) -> Vec<Segment> {
        let mut out = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if let Some(quoted) = rest.strip_prefix('`') {
                let (name, after) = quoted.split_once('`').expect("closed");
                out.push(Segment::Name { text: name.into(), quoted: true });
                rest = after;
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                let name = &rest[..end];
                out.push(match name.parse() {
                    Ok(n) => Segment::Index(n),
                    Err(_) => Segment::Name { text: name.into(), quoted: false },
                });
                rest = &rest[end..];
            }
        }
        out
    }

    #[test]
    fn lookups() {
        let nested = r#"{"id":"1","a":{"b":"nested"},"a.b":"literal"}"#;
        for (text, wanted, expected) in [
            (nested, "id", Some("1")),
            (nested, "a.b", Some("nested")),
            (nested, "`a.b`", Some("literal")),
            (nested, "a", Some(r#"{"b":"nested"}"#)),
            (nested, "a.c", None),
            (nested, "id.x", None),
            (r#"{"a.b":"literal"}"#, "a.b", Some("literal")),
            (r#"{"a":{"b":null},"a.b":"literal"}"#, "a.b", Some("literal")),
            (r#"{"a":{"b":"nested"}}"#, "`a.b`", Some("nested")),
            (r#"{"a":{"b.c":1},"a.b":{"c":2},"a.b.c":3}"#, "a.b.c", Some("1")),
            (r#"{"a":{},"a.b":{"c":2},"a.b.c":3}"#, "a.b.c", Some("2")),
            (r#"{"a":{},"a.b":[],"a.b.c":3}"#, "a.b.c", Some("3")),
            (r#"{"labels":{"user.id":"123","user":{"id":"4"}}}"#, "labels.`user.id`", Some("123")),
            (r#"{"labels":{"user":{"id":"4"}}}"#, "labels.`user.id`", Some("4")),
            (r#"{"items":[{"n":"a"},{"n":"b"}]}"#, "items.1.n", Some("b")),
            (r#"{"items":[{"n":"a"},{"n":"b"}]}"#, "items.2.n", None),
            (r#"{"items":[{"n":"a"}]}"#, "items.`0`.n", None),
            (r#"{"items":{"0":"key"}}"#, "items.0", Some("key")),
            (r#"{"items.0":"key"}"#, "items.0", Some("key")),
            (r#"{"a":1,"a":2}"#, "a", Some("2")),
            (r#"{"a":{"b":1},"a":5}"#, "a.b", None),
            (r#"{"\u0061":{"b\n":[ 1 ]}}"#, "a.`b\n`", Some("[1]")),
            (r#"{"":"empty"}"#, "``", Some("empty")),
            (r#"{"a":null}"#, "a", None),
            (r#"{"a":1"#, "a", None),
            ("[1]", "a", None),
            ("7", "a", None),
        ] {
            let found =
                get(text.as_bytes(), &path(wanted)).map(|(_, t)| String::from_utf8(t.into_owned()).expect("text"));
            assert_eq!(found.as_deref(), expected, "{wanted} in {text}");
        }
    }

    #[test]
    fn readings_are_ordered_and_bounded() {
        let keys = |text: &str| -> Vec<String> {
            let route = Route::new(&path(text));
            let line = |r: &Vec<Step>| {
                r.iter().map(|s| String::from_utf8_lossy(&s.key).into_owned()).collect::<Vec<_>>().join(" ")
            };
            route.readings().iter().map(line).collect()
        };
        assert_eq!(keys("a.b.c"), ["a b c", "a b.c", "a.b c", "a.b.c"]);
        assert_eq!(keys("`a.b`.c"), ["a.b c", "a b c", "a b.c", "a.b.c"]);
        assert!(keys("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v").len() <= READINGS);
    }
}
