//! `parse`: cutting strings out of a text by a glob, a regular expression, as logfmt or as CSV.

use crate::plan::ParsePattern;
use crate::value::column::{Batch, Column, TextBuilder};
use crate::value::{Kind, ValueRef, json};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;

/// Adds the captured columns, one per slot of `outputs`. Rows that do not match are kept with nulls; with `multi`, a row
/// is repeated for each match.
pub(super) fn parse(mut batch: Batch, input: &Column, pattern: &ParsePattern, outputs: &[usize]) -> Batch {
    let columns = if pattern.repeats_rows() {
        let (rows, columns) = cut(input, pattern, outputs.len());
        batch = batch.take(&rows);
        columns.into_iter().map(TextBuilder::finish).collect()
    } else {
        columns(input, pattern, outputs.len())
    };
    for (slot, column) in outputs.iter().zip(columns) {
        super::steps::put(&mut batch, *slot, column);
    }
    batch
}

/// The captured columns, a row a row.
pub(super) fn columns(input: &Column, pattern: &ParsePattern, outputs: usize) -> Vec<Column> {
    let finished = |input: &Column| cut(input, pattern, outputs).1.into_iter().map(TextBuilder::finish);
    match different(input) {
        Some((first, numbers)) => finished(&input.take(&first)).map(|c| c.take(&numbers)).collect(),
        None => finished(input).collect(),
    }
}

/// Rows after which it is judged whether texts repeat.
const TRIAL: usize = 512;

/// What is cut alike: whether it is a list or map, and its text.
type Known<'a> = (bool, Option<Cow<'a, [u8]>>);

/// The first row of each different text, and for every row the number of its text among these; nothing if texts hardly
/// repeat.
fn different(input: &Column) -> Option<(Vec<u32>, Vec<u32>)> {
    let (mut first, mut numbers) = (Vec::new(), Vec::with_capacity(input.len()));
    let mut known: HashMap<Known<'_>, u32, RandomState> = HashMap::default();
    for (i, cell) in input.iter().enumerate() {
        if i == TRIAL && first.len() * 4 >= i * 3 {
            return None;
        }
        let next = first.len() as u32;
        // A list is not cut though a string of the same text is; null is not the empty text.
        let number = *known.entry((cell.is_nested(), cell.text())).or_insert(next);
        if number == next {
            first.push(i as u32);
        }
        numbers.push(number);
    }
    (first.len() * 4 < input.len() * 3).then_some((first, numbers))
}

/// The input row of each output row, and the columns.
fn cut(input: &Column, pattern: &ParsePattern, outputs: usize) -> (Vec<u32>, Vec<TextBuilder>) {
    let mut out = Captures { columns: (0..outputs).map(|_| TextBuilder::default()).collect(), rows: Vec::new() };
    // Where the groups of a match lie: memory for all rows.
    let mut found = match pattern {
        ParsePattern::Regex { regex, multi: false, .. } => Some(regex.capture_locations()),
        _ => None,
    };
    for i in 0..input.len() {
        let value = input.get(i);
        let text = if value.is_nested() { None } else { value.text() };
        match (text, pattern) {
            (None, _) => out.miss(i),
            (Some(text), ParsePattern::Glob(pieces)) => match glob(&text, pieces) {
                Some(found) => out.row(i, found.into_iter().map(Some)),
                None => out.miss(i),
            },
            (Some(text), ParsePattern::Regex { regex, groups, .. }) => {
                if let Some(found) = &mut found {
                    match regex.captures_read(found, &text) {
                        Some(_) => out.row(i, groups.iter().map(|g| found.get(*g).map(|(from, to)| &text[from..to]))),
                        None => out.miss(i),
                    }
                    continue;
                }
                let mut any = false;
                for captures in regex.captures_iter(&text) {
                    any = true;
                    out.row(i, groups.iter().map(|g| captures.get(*g).map(|m| m.as_bytes())));
                }
                if !any {
                    out.miss(i);
                }
            }
            (Some(text), ParsePattern::Logfmt) => match logfmt(&text) {
                Some(map) => {
                    out.rows.push(i as u32);
                    out.columns.iter_mut().for_each(|c| c.push_text(Kind::Map, &map));
                }
                None => out.miss(i),
            },
            (Some(text), ParsePattern::Csv) => {
                let fields = csv(&text);
                out.row(i, (0..outputs).map(|k| fields.get(k).map(Vec::as_slice)));
            }
        }
    }
    (out.rows, out.columns)
}

struct Captures {
    columns: Vec<TextBuilder>,
    /// The input row of each output row.
    rows: Vec<u32>,
}

impl Captures {
    fn row<'t>(&mut self, i: usize, found: impl Iterator<Item = Option<&'t [u8]>>) {
        self.rows.push(i as u32);
        for (column, text) in self.columns.iter_mut().zip(found) {
            match text {
                Some(t) => column.push_text(Kind::String, t),
                None => column.push(ValueRef::Null),
            }
        }
    }

    fn miss(&mut self, i: usize) {
        self.rows.push(i as u32);
        self.columns.iter_mut().for_each(|c| c.push(ValueRef::Null));
    }
}

/// The texts taken by the stars of a glob, leftmost match, each as short as possible; a star at the very end takes the
/// rest. `pieces` are the literals around the stars.
pub fn glob<'t>(text: &'t [u8], pieces: &[Vec<u8>]) -> Option<Vec<&'t [u8]>> {
    let (first, rest) = pieces.split_first()?;
    let start = memchr::memmem::find(text, first)?;
    let mut at = start + first.len();
    if rest.is_empty() {
        // Without a star, the text itself is what is found.
        return Some(vec![&text[start..at]]);
    }
    let mut found = Vec::with_capacity(rest.len());
    for (i, piece) in rest.iter().enumerate() {
        if piece.is_empty() && i + 1 == rest.len() {
            found.push(&text[at..]);
            return Some(found);
        }
        let end = at + memchr::memmem::find(&text[at..], piece)?;
        found.push(&text[at..end]);
        at = end + piece.len();
    }
    Some(found)
}

/// The `key=value` pairs of a text as a map of strings; `None` where there is no pair.
fn logfmt(text: &[u8]) -> Option<Vec<u8>> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let end = rest.iter().position(|c| c.is_ascii_whitespace() || *c == b'=').unwrap_or(rest.len());
        let key = &rest[..end];
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix(b"=") {
            let (value, after) = logfmt_value(after);
            if !key.is_empty() {
                pairs.retain(|(k, _)| k != key);
                pairs.push((key.to_vec(), value));
            }
            rest = after;
        }
        rest = rest.trim_ascii_start();
    }
    if pairs.is_empty() {
        return None;
    }
    let mut out = vec![b'{'];
    for (i, (key, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::write_bytes(key, &mut out);
        out.push(b':');
        json::write_bytes(value, &mut out);
    }
    out.push(b'}');
    Some(out)
}

/// A bare or quoted value, and what follows it.
fn logfmt_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        return (text[..end].to_vec(), &text[end..]);
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((i, c)) = bytes.next() {
        match c {
            b'"' => return (value, &quoted[i + 1..]),
            b'\\' => match bytes.next() {
                Some((_, e @ (b'"' | b'\\'))) => value.push(*e),
                Some((_, other)) => value.extend([b'\\', *other]),
                None => value.push(b'\\'),
            },
            other => value.push(*other),
        }
    }
    (value, b"")
}

/// The values of one CSV record (RFC 4180).
fn csv(text: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    let mut quoted = false;
    while let Some(c) = bytes.next() {
        match c {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                field.push(b'"');
            }
            b'"' if quoted => quoted = false,
            b'"' if field.is_empty() => quoted = true,
            b',' if !quoted => fields.push(std::mem::take(&mut field)),
            b'\r' | b'\n' if !quoted => break,
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globbed(text: &str, pieces: &[&str]) -> Option<Vec<String>> {
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|p| p.as_bytes().to_vec()).collect();
        Some(glob(text.as_bytes(), &pieces)?.into_iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect())
    }

    #[test]
    fn globs() {
        type Case = (&'static str, &'static [&'static str], Option<&'static [&'static str]>);
        let cases: &[Case] = &[
            ("[WARN] x The error was: y z", &["[", "] ", " The error was: ", ""], Some(&["WARN", "x", "y z"])),
            ("user=bob;", &["user=", ";"], Some(&["bob"])),
            ("a b c", &["", " ", ""], Some(&["a", "b c"])),
            ("abc", &["x", ""], None),
            ("k=", &["k=", ""], Some(&[""])),
            ("an ERROR line", &["ERROR"], Some(&["ERROR"])),
            ("a-b-c", &["", "-c"], Some(&["a-b"])),
        ];
        for (text, pieces, expected) in cases {
            assert_eq!(globbed(text, pieces), expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect()), "{text}");
        }
    }

    #[test]
    fn logfmt_and_csv() {
        assert_eq!(
            logfmt(br#"level=info msg="a \"b\" c" skip k=1 k=2 e="#).as_deref(),
            Some(&br#"{"level":"info","msg":"a \"b\" c","k":"2","e":""}"#[..])
        );
        assert_eq!(logfmt(b"no pairs"), None);
        assert_eq!(csv(br#"a,"b,""c",,d"#), [b"a".to_vec(), b"b,\"c".to_vec(), b"".to_vec(), b"d".to_vec()]);
    }
}
