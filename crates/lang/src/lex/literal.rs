//! Literals: strings with escapes, numbers with units, regular expressions. Pure text in, value out.

use nom::branch::alt;
use nom::bytes::complete::{tag_no_case, take_while, take_while1};
use nom::character::complete::{anychar, char, digit1, none_of, one_of};
use nom::combinator::{opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

use super::token::continues_name;
use crate::ast::{Duration, Regex, Unit};

/// The spellings of the units of time; each longer than one character may take a plural `s`.
const UNITS: &[(Unit, &[&str])] = &[
    (Unit::Millisecond, &["ms", "msec", "millisecond"]),
    (Unit::Second, &["s", "sec", "second"]),
    (Unit::Minute, &["m", "min", "minute"]),
    (Unit::Hour, &["h", "hr", "hour"]),
    (Unit::Day, &["d", "day"]),
    (Unit::Week, &["w", "week"]),
    (Unit::Month, &["mo", "mon", "month"]),
    (Unit::Quarter, &["q", "qtr", "quarter"]),
    (Unit::Year, &["y", "yr", "year"]),
];

impl Unit {
    /// The shortest spelling.
    pub fn symbol(self) -> &'static str {
        UNITS.iter().find(|(unit, _)| *unit == self).and_then(|(_, spellings)| spellings.first()).unwrap_or(&"")
    }

    /// The unit spelled `text`, in any case, except that `M` alone is nobody's: minutes or months.
    pub(crate) fn from_spelling(text: &str) -> Option<Unit> {
        if text == "M" {
            return None;
        }
        let text = text.to_ascii_lowercase();
        let spelled = |s: &str| text == s || (s.len() > 1 && text.strip_suffix('s') == Some(s));
        UNITS.iter().find(|(_, spellings)| spellings.iter().any(|s| spelled(s))).map(|(unit, _)| *unit)
    }
}

/// The symbols of all units, for messages.
pub(crate) fn unit_symbols() -> String {
    let symbols: Vec<&str> = UNITS.iter().map(|(unit, _)| unit.symbol()).collect();
    symbols.join(", ")
}

/// A number and the letters glued to it.
pub(crate) struct Quantity<'a> {
    /// Digits, fraction, exponent.
    pub number: &'a str,
    /// Letters and digits behind it; empty for a plain number.
    pub unit: &'a str,
}

/// Digits with optional fraction and exponent, and the word glued to them. An `e` without digits belongs to the word.
pub(crate) fn quantity(text: &str) -> IResult<&str, Quantity<'_>> {
    let exponent = (tag_no_case("e"), opt(one_of("+-")), digit1);
    let fraction = pair(char('.'), digit1);
    let (rest, number) = recognize((digit1, opt(fraction), opt(exponent))).parse(text)?;
    let (rest, unit) = take_while(continues_name).parse(rest)?;
    Ok((rest, Quantity { number, unit }))
}

/// What a number with a unit means.
pub(crate) enum Period {
    /// A duration.
    Valid(Duration),
    /// The unit does not exist.
    UnknownUnit,
    /// The count is zero, has a fraction, or is beyond 64 bits.
    BadCount,
}

impl Quantity<'_> {
    /// Reads the quantity as a duration; its unit must not be empty.
    pub fn period(&self) -> Period {
        match (Unit::from_spelling(self.unit), self.number.parse::<u64>()) {
            (None, _) => Period::UnknownUnit,
            (Some(unit), Ok(count)) if count > 0 => Period::Valid(Duration { count, unit }),
            (Some(_), _) => Period::BadCount,
        }
    }
}

/// The inside of a string up to `quote` or the end of the line: the raw text; what follows is left.
pub(crate) fn string_body(quote: char, text: &str) -> IResult<&str, &str> {
    let stop = if quote == '"' { "\"\\\r\n" } else { "'\\\r\n" };
    let escaped = preceded(char('\\'), none_of("\r\n"));
    recognize(many0_count(alt((take_while1(|c| !stop.contains(c)).map(|_| ' '), escaped)))).parse(text)
}

/// The text a raw string stands for. An escape the language does not have keeps both of its characters.
pub(crate) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (value, length) = escape(&rest[at..]);
        match value {
            Some(c) => text.push(c),
            None => text.push_str(&rest[at..at + length]),
        }
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}

/// The character an escape at the start of `text` stands for, if the language has it, and its length in bytes.
pub(crate) fn escape(text: &str) -> (Option<char>, usize) {
    let Some(second) = text[1..].chars().next() else { return (None, 1) };
    let simple = match second {
        '\\' | '"' | '\'' | '/' => Some(second),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => return unicode_escape(text).map_or((None, 2), |(c, length)| (Some(c), length)),
        _ => None,
    };
    (simple, 1 + second.len_utf8())
}

/// `\uXXXX`, or two of them for a character beyond the basic plane. A lone half of such a pair is no escape.
fn unicode_escape(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    let first = unit(0)?;
    if let Some(c) = char::from_u32(u32::from(first)) {
        return Some((c, 6));
    }
    let pair = [first, unit(6)?];
    char::decode_utf16(pair).next()?.ok().map(|c| (c, 12))
}

/// A regular expression starting at the slash: the literal, its flags' text, and what follows. `None` if the line ends first.
///
/// A slash inside a character class does not end the literal: cut there, the class would be open and the pattern
/// invalid, so nothing valid is read differently. If that reading finds no end, the first slash ends it.
pub(crate) fn regex(text: &str) -> Option<(Regex, &str)> {
    let body = text.strip_prefix('/')?;
    let end = regex_end(body, true).or_else(|| regex_end(body, false))?;
    let pattern = unescape_slashes(&body[..end]);
    Some((Regex { pattern, flags: String::new() }, &body[end + 1..]))
}

fn regex_end(body: &str, skip_classes: bool) -> Option<usize> {
    let mut classes = 0usize;
    let mut rest = body;
    loop {
        let at = body.len() - rest.len();
        let (after, c) = anychar::<_, nom::error::Error<&str>>(rest).ok()?;
        rest = after;
        match c {
            '\n' | '\r' => return None,
            '/' if classes == 0 => return Some(at),
            '\\' => rest = none_of::<_, _, nom::error::Error<&str>>("\r\n").parse(rest).ok()?.0,
            '[' if skip_classes => {
                // A `]` right behind the opening bracket is a member, not the end.
                let inner = rest.strip_prefix('^').unwrap_or(rest);
                rest = inner.strip_prefix(']').unwrap_or(inner);
                classes += 1;
            }
            ']' => classes = classes.saturating_sub(1),
            _ => {}
        }
    }
}

fn unescape_slashes(body: &str) -> String {
    let mut pattern = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            pattern.push(c);
            continue;
        }
        match chars.next() {
            Some('/') => pattern.push('/'),
            other => pattern.extend(['\\'].into_iter().chain(other)),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_strings() {
        let cases = [
            (r"plain", "plain"),
            (r#"a\\b\"c\'d\/e"#, "a\\b\"c'd/e"),
            (r"\n\r\t", "\n\r\t"),
            (r"\d \* \x", r"\d \* \x"),
            (r"\u0041\u00e9", "Aé"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d \u12 \uzzzz", r"\ud83d \u12 \uzzzz"),
            (r"\é", r"\é"),
        ];
        for (raw, text) in cases {
            assert_eq!(unescape(raw), text, "{raw}");
        }
    }

    #[test]
    fn spellings_of_units() {
        let cases = [
            ("ms", Some(Unit::Millisecond)),
            ("milliseconds", Some(Unit::Millisecond)),
            ("mins", Some(Unit::Minute)),
            ("hrs", Some(Unit::Hour)),
            ("mo", Some(Unit::Month)),
            ("mos", Some(Unit::Month)),
            ("qtrs", Some(Unit::Quarter)),
            ("Days", Some(Unit::Day)),
            ("H", Some(Unit::Hour)),
            ("M", None),
            ("x", None),
            ("hs", None),
            ("", None),
        ];
        for (text, unit) in cases {
            assert_eq!(Unit::from_spelling(text), unit, "{text}");
        }
    }

    #[test]
    fn regex_literals_end_at_the_right_slash() {
        let cases = [
            (r"/abc/ rest", Some(("abc", " rest"))),
            (r"/a\/b/i", Some(("a/b", "i"))),
            (r"/a\\/x", Some((r"a\\", "x"))),
            (r"/[/]x/", Some(("[/]x", ""))),
            (r"/[]/]x/", Some(("[]/]x", ""))),
            (r"/[^]/]x/", Some(("[^]/]x", ""))),
            (r"/[abc/ or", Some(("[abc", " or"))),
            (r"/\[/ or x", Some((r"\[", " or x"))),
            ("//", Some(("", ""))),
            ("/abc\n/", None),
            (r"/abc\", None),
        ];
        for (text, expected) in cases {
            let found = regex(text);
            let found = found.as_ref().map(|(regex, rest)| (regex.pattern.as_str(), *rest));
            assert_eq!(found, expected, "{text}");
        }
    }
}
