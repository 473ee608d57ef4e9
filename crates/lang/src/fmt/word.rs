//! Single words as canonical text: names, strings, regular expressions. Each reads back as what it was.

use crate::ast::{Duration, GlobName, Name, Path, Regex, Segment, Text};
use crate::lex::is_invisible;
use crate::lex::literal::escape;
use crate::lex::token::{RESERVED, RESERVED_IN_SORT, continues_name, is_one_of, starts_name};

/// A string literal: in double quotes, unless it holds some and no single ones.
pub(super) fn string(text: &str) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut out = String::from(quote);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Alone a backslash stays one unless the next character would make an escape of it.
            '\\' if chars.peek().is_none_or(|next| "\\\"'nrt/u".contains(*next) || is_hidden(*next)) => {
                out.push_str("\\\\")
            }
            _ if c == quote => out.extend(['\\', c]),
            _ if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// A character that a reader of the query would not see.
fn is_hidden(c: char) -> bool {
    c != ' ' && (c.is_control() || is_invisible(c))
}

/// A text literal as it was written, or a bare word where it was one.
pub(super) fn text(text: &Text) -> String {
    let bare = text.span.end - text.span.start == text.raw.len();
    if bare && !text.raw.is_empty() {
        return text.raw.clone();
    }
    let quote = if has_bare_quote(&text.raw) { '\'' } else { '"' };
    format!("{quote}{}{quote}", text.raw)
}

/// Whether a raw string holds `"` outside of an escape, so that it must have stood in single quotes.
fn has_bare_quote(raw: &str) -> bool {
    let mut rest = raw;
    while let Some(at) = rest.find(['"', '\\']) {
        let special = &rest[at..];
        if special.starts_with('"') {
            return true;
        }
        rest = &special[escape(special).1..];
    }
    false
}

/// A regular expression literal.
pub(super) fn regex(regex: &Regex) -> String {
    let mut out = String::from("/");
    let mut chars = regex.pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '/' => out.push_str("\\/"),
            '\\' => out.extend(['\\'].into_iter().chain(chars.next())),
            _ => out.push(c),
        }
    }
    out.push('/');
    out + &regex.flags
}

/// `5m`
pub(super) fn duration(duration: Duration) -> String {
    format!("{}{}", duration.count, duration.unit.symbol())
}

/// Whether `text` is a name without backticks in every command.
fn is_plain(text: &str) -> bool {
    text.starts_with(starts_name)
        && text.chars().all(continues_name)
        && !is_one_of(text, RESERVED)
        && !is_one_of(text, RESERVED_IN_SORT)
}

fn in_backticks(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// A name of a table, column, parameter or step.
pub(super) fn column(name: &Name) -> String {
    if is_plain(&name.text) { name.text.clone() } else { in_backticks(&name.text) }
}

/// A name for something new; with dots it is still one name.
pub(super) fn new_name(name: &Name) -> String {
    let mut parts = name.text.split('.');
    let plain =
        parts.next().is_some_and(is_plain) && parts.all(|part| !part.is_empty() && part.chars().all(continues_name));
    if plain { name.text.clone() } else { in_backticks(&name.text) }
}

/// A field.
pub(super) fn path(path: &Path) -> String {
    let mut out = segments(&path.segments);
    // The first dot belongs to no segment before it.
    out.remove(0);
    out
}

/// What hangs on an operand: each segment with a dot in front.
pub(super) fn segments(segments: &[Segment]) -> String {
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Name { text, quoted: true } => format!(".{}", in_backticks(text)),
            Segment::Name { text, quoted: false } => format!(".{text}"),
            Segment::Index(index) => format!(".{index}"),
        })
        .collect()
}

/// A name with wildcards.
pub(super) fn glob_name(name: &GlobName) -> String {
    if let Some(field) = &name.path {
        return path(field);
    }
    // Digits behind a star or a dot could be read with what follows them as a duration.
    let mut before = '*';
    let plain = name.text.chars().all(|c| {
        let fits = match c {
            '*' => true,
            '.' => before != '.',
            _ => continues_name(c) && !("*.".contains(before) && c.is_ascii_digit()),
        };
        before = c;
        fits
    });
    if plain && !name.text.is_empty() && !name.text.starts_with('.') {
        name.text.clone()
    } else {
        in_backticks(&name.text)
    }
}

/// The value of a setting.
pub(super) fn setting_value(name: &Name) -> String {
    let word = name.text.starts_with(starts_name) && name.text.chars().all(continues_name);
    let (whole, fraction) = name.text.split_once('.').unwrap_or((&name.text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if word || digits(whole) && digits(fraction) { name.text.clone() } else { string(&name.text) }
}
