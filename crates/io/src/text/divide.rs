//! A line as tokens.

use std::borrow::Cow;

/// What divides a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Divide {
    /// Spaces; a token may stand in quotes, and one in square brackets if `brackets`.
    Spaces {
        /// Square brackets hold tokens together.
        brackets: bool,
    },
    /// Tabs, and nothing else.
    Tabs,
    /// Commas, and nothing else.
    Commas,
    /// A character; a token may stand in quotes, in which two quotes are one, and line feeds are text.
    Table(u8),
    /// Nothing: fields are found in the line as a whole.
    Nothing,
}

/// Where a token lies in its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
    /// It stood in quotes of a table and holds quotes: it is not yet the text.
    pub doubled: bool,
    /// Nothing stands there, not even quotes: if it is empty, it is absent.
    pub absent: bool,
}

impl Span {
    fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32, ..Span::default() }
    }

    /// Its text.
    #[inline]
    pub fn of(self, line: &[u8]) -> &[u8] {
        &line[self.start as usize..self.end as usize]
    }

    /// Its text, doubled quotes made one.
    pub fn text(self, line: &[u8]) -> Cow<'_, [u8]> {
        let text = self.of(line);
        if !self.doubled {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(n) = memchr::memmem::find(rest, b"\"\"") {
            out.extend_from_slice(&rest[..=n]);
            rest = &rest[n + 2..];
        }
        out.extend_from_slice(rest);
        Cow::Owned(out)
    }
}

impl Divide {
    /// The first `enough` tokens of a line.
    pub fn tokens(self, line: &[u8], enough: usize, out: &mut Vec<Span>) {
        out.clear();
        match self {
            Divide::Spaces { brackets } => spaces(line, brackets, enough, out),
            Divide::Tabs => plain(line, b'\t', enough, out),
            Divide::Commas => plain(line, b',', enough, out),
            Divide::Table(by) => table(line, by, enough, out),
            Divide::Nothing => {}
        }
    }
}

fn plain(line: &[u8], by: u8, enough: usize, out: &mut Vec<Span>) {
    let mut start = 0;
    while out.len() < enough && start <= line.len() {
        let end = memchr::memchr(by, &line[start..]).map_or(line.len(), |n| start + n);
        out.push(Span::new(start, end));
        start = end + 1;
    }
}

fn spaces(line: &[u8], brackets: bool, enough: usize, out: &mut Vec<Span>) {
    let mut at = 0;
    while out.len() < enough {
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        let closed = match line.get(at) {
            None => return,
            Some(b'"') => quoted(line, at + 1),
            Some(b'[') if brackets => bracketed(line, at + 1),
            Some(_) => None,
        };
        if let Some(end) = closed {
            // A list such as `"h2","http/1.1"` keeps its quotes.
            let list = usize::from(memchr::memmem::find(&line[at..end], b"\",\"").is_some());
            out.push(Span::new(at + 1 - list, end + list));
            at = end + 1;
        } else {
            let end = memchr::memchr(b' ', &line[at..]).map_or(line.len(), |n| at + n);
            out.push(Span::new(at, end));
            at = end;
        }
    }
}

/// The quote that closes a token: a space or the end follows it, and no backslash stands before it. Where there is none,
/// the last quote of the line.
fn quoted(line: &[u8], start: usize) -> Option<usize> {
    let mut last = None;
    for n in memchr::memchr_iter(b'"', &line[start..]) {
        let at = start + n;
        let slashes = line[start..at].iter().rev().take_while(|b| **b == b'\\').count();
        let ends = line.get(at + 1).is_none_or(|b| *b == b' ');
        if ends && slashes % 2 == 0 {
            return Some(at);
        }
        if ends {
            last = Some(at);
        }
    }
    last
}

/// The bracket that closes a token.
fn bracketed(line: &[u8], start: usize) -> Option<usize> {
    let end = start + memchr::memchr(b']', &line[start..])?;
    line.get(end + 1).is_none_or(|b| matches!(b, b' ' | b'"')).then_some(end)
}

fn table(line: &[u8], by: u8, enough: usize, out: &mut Vec<Span>) {
    let mut at = 0;
    while out.len() < enough && at <= line.len() {
        if line.get(at) == Some(&b'"') {
            let (mut end, mut doubled) = (at + 1, false);
            loop {
                end += memchr::memchr(b'"', &line[end..]).unwrap_or(line.len() - end);
                if line.get(end + 1) != Some(&b'"') {
                    break;
                }
                doubled = true;
                end += 2;
            }
            let end = end.min(line.len());
            // What follows the closing quote belongs to nothing.
            let next = memchr::memchr(by, &line[end..]).map_or(line.len(), |n| end + n);
            out.push(Span { doubled, ..Span::new((at + 1).min(end), end) });
            at = next + 1;
        } else {
            let end = memchr::memchr(by, &line[at..]).map_or(line.len(), |n| at + n);
            out.push(Span { absent: true, ..Span::new(at, end) });
            at = end + 1;
        }
    }
}

/// Where the record of a table that starts `data` ends: behind its line feed. `None` if there is none.
pub(crate) fn table_record(data: &[u8], by: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        let n = memchr::memchr2(b'"', b'\n', &data[at..])?;
        let found = at + n;
        if data[found] == b'\n' {
            return Some(found + 1);
        }
        let opens = found == 0 || data[found - 1] == by;
        at = found + 1;
        if opens {
            loop {
                at += memchr::memchr(b'"', &data[at..])? + 1;
                if data.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(divide: Divide, line: &str) -> Vec<String> {
        let mut spans = Vec::new();
        divide.tokens(line.as_bytes(), usize::MAX, &mut spans);
        spans.iter().map(|s| String::from_utf8_lossy(s.of(line.as_bytes())).into_owned()).collect()
    }

    #[test]
    fn lines_are_divided() {
        let plain = Divide::Spaces { brackets: false };
        assert_eq!(tokens(plain, "a  b \"c d\" - \"\" e"), ["a", "b", "c d", "-", "", "e"]);
        assert_eq!(tokens(plain, r#""GET /\"x\" y" 200"#), [r#"GET /\"x\" y"#, "200"]);
        assert_eq!(tokens(plain, r#""say "hello" there" 1"#), [r#"say "hello"#, "there\"", "1"]);
        assert_eq!(tokens(plain, r#""ends in slash\" 1"#), [r"ends in slash\", "1"]);
        assert_eq!(tokens(plain, "\"open end"), ["\"open", "end"]);
        assert_eq!(tokens(plain, r#""h2","http/1.1" x"#), [r#""h2","http/1.1""#, "x"]);
        assert_eq!(tokens(plain, "[::1]:80 x"), ["[::1]:80", "x"]);
        let brackets = Divide::Spaces { brackets: true };
        assert_eq!(
            tokens(brackets, "h [01/May/2024:10:00:00 +0000]\"GET /\" 1"),
            ["h", "01/May/2024:10:00:00 +0000", "GET /", "1"]
        );
        assert_eq!(tokens(Divide::Tabs, "a\t\tb c\t"), ["a", "", "b c", ""]);
        assert_eq!(tokens(Divide::Table(b','), "a,\"b,\n\"\"c\"\"\",,\"\""), ["a", "b,\n\"\"c\"\"", "", ""]);
        assert_eq!(tokens(Divide::Table(b','), "a,\"open"), ["a", "open"]);
        assert_eq!(tokens(Divide::Table(b','), "\""), [""]);
    }

    #[test]
    fn records_of_tables_end_at_line_feeds_outside_of_quotes() {
        assert_eq!(table_record(b"a,b\nc", b','), Some(4));
        assert_eq!(table_record(b"a,\"b\n\"\"\"\nc", b','), Some(9));
        assert_eq!(table_record(b"a,5\" pipe\nc", b','), Some(10));
        assert_eq!(table_record(b"a,\"b\n", b','), None);
    }
}
