//! Canonical text of JSON values (language reference, "Types" and "Canonical text").

use super::{Cursor, Malformed, Raw, Shape};
use crate::value::Kind;
use std::borrow::Cow;

impl<'a> Raw<'a> {
    /// Kind and canonical text; `None` for `null`.
    pub fn canonical(self) -> Option<(Kind, Cow<'a, [u8]>)> {
        Some(match self.shape {
            Shape::Null => return None,
            Shape::Bool => (Kind::Bool, Cow::Borrowed(self.text)),
            Shape::Number => (number_kind(self.text), Cow::Borrowed(self.text)),
            Shape::String { escaped: false } => (Kind::String, Cow::Borrowed(self.inner())),
            Shape::String { escaped: true } => {
                let mut out = Vec::with_capacity(self.text.len());
                decode(self.inner(), &mut out);
                (Kind::String, Cow::Owned(out))
            }
            Shape::List { clean } => (Kind::List, self.nested(clean)),
            Shape::Map { clean } => (Kind::Map, self.nested(clean)),
        })
    }

    /// The text of a string without its quotes; of any other value all of it.
    pub fn inner(self) -> &'a [u8] {
        match self.shape {
            Shape::String { .. } => &self.text[1..self.text.len() - 1],
            _ => self.text,
        }
    }

    fn nested(self, clean: bool) -> Cow<'a, [u8]> {
        if clean {
            return Cow::Borrowed(self.text);
        }
        let mut out = Vec::with_capacity(self.text.len());
        compact(self.text, &mut out);
        Cow::Owned(out)
    }
}

/// Kind and canonical text of one JSON value; `None` for `null`, and for text that is not JSON.
pub fn kind_and_text(text: &[u8]) -> Option<(Kind, Cow<'_, [u8]>)> {
    super::whole(text).ok()?.canonical()
}

/// The kind of a number as spelled: an integer beyond 64 bits and a float beyond the finite ones stay text, so that
/// ids are never rounded. `text` must be a number of JSON.
pub fn number_kind(text: &[u8]) -> Kind {
    // Up to 18 digits fit 64 bits, and no float so short can overflow without an exponent.
    if text.len() <= 18 && !text.iter().any(|c| c | 0x20 == b'e') {
        return Kind::Number;
    }
    let Ok(spelled) = std::str::from_utf8(text) else { return Kind::String };
    let whole = !text.iter().any(|c| matches!(c, b'.' | b'e' | b'E'));
    let fits = if whole { spelled.parse::<i64>().is_ok() } else { spelled.parse::<f64>().is_ok_and(f64::is_finite) };
    if fits { Kind::Number } else { Kind::String }
}

/// Resolves the escapes of a string, given without quotes, and adds it to `out`. Gives the number of lone surrogates,
/// each of which becomes U+FFFD.
///
/// Total: an escape JSON does not have is kept as it stands.
pub fn decode(inner: &[u8], out: &mut Vec<u8>) -> usize {
    let mut lone = 0;
    let mut rest = inner;
    while let Some(slash) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..slash]);
        rest = &rest[slash + 1..];
        let Some(escape) = rest.first() else {
            out.push(b'\\');
            return lone;
        };
        let plain = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let Some(unit) = hex4(&rest[1..]) else {
                    out.push(b'\\');
                    continue;
                };
                rest = &rest[5..];
                let (character, used) = character(unit, rest);
                rest = &rest[used..];
                lone += usize::from(character.is_none());
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => {
                out.push(b'\\');
                continue;
            }
        };
        out.push(plain);
        rest = &rest[1..];
    }
    out.extend_from_slice(rest);
    lone
}

/// The character of a UTF-16 unit and, if it is a high surrogate, of the `\uxxxx` behind it; and the bytes used there.
fn character(unit: u32, behind: &[u8]) -> (Option<char>, usize) {
    if (0xd800..0xdc00).contains(&unit)
        && let Some(low) = behind.strip_prefix(b"\\u").and_then(hex4)
        && (0xdc00..0xe000).contains(&low)
    {
        return (char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)), 6);
    }
    (char::from_u32(unit), 0)
}

fn hex4(text: &[u8]) -> Option<u32> {
    text.get(..4)?.iter().try_fold(0, |n, c| Some(n << 4 | char::from(*c).to_digit(16)?))
}

/// Adds a string to `out` as JSON, with quotes; only quotes, backslashes and control characters are escaped.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    write_bytes(text.as_bytes(), out);
}

/// [`write_string`] for text that may not be UTF-8; such bytes stay as they are.
pub fn write_bytes(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|c| *c < b' ' || *c == b'"' || *c == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            c @ (b'"' | b'\\') => out.extend([b'\\', c]),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\r' => out.extend(b"\\r"),
            8 => out.extend(b"\\b"),
            12 => out.extend(b"\\f"),
            c => {
                let digit = |n: u8| b"0123456789abcdef"[usize::from(n)];
                out.extend([b'\\', b'u', b'0', b'0', digit(c >> 4), digit(c & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Adds JSON text to `out` in its compact form: no spaces, keys in source order, numbers as spelled, escapes only where
/// they must be. Gives the number of lone surrogates. `text` must be JSON; of other text the result is unspecified.
pub fn compact(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut lone = 0;
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        match first {
            b'"' => {
                let Ok(string) = Cursor::new(rest).string() else {
                    out.extend_from_slice(rest);
                    return lone;
                };
                let whole = string.inner.len() + 2;
                if string.escaped {
                    decoded.clear();
                    lone += decode(string.inner, &mut decoded);
                    write_bytes(&decoded, out);
                } else {
                    out.extend_from_slice(&rest[..whole]);
                }
                rest = &rest[whole..];
            }
            b' ' | b'\t' | b'\n' | b'\r' => rest = &rest[1..],
            other => {
                out.push(*other);
                rest = &rest[1..];
            }
        }
    }
    lone
}

/// The elements of a list in order, `None` for each that is `null`. Nothing for text that is not a list; of a malformed
/// list the elements before the fault.
pub fn elements(text: &[u8]) -> impl Iterator<Item = Option<(Kind, Cow<'_, [u8]>)>> {
    let mut cursor = Cursor::new(text);
    let mut first = true;
    let mut inside = cursor.enter_list().is_ok();
    std::iter::from_fn(move || {
        let mut next = || -> Result<Option<Raw<'_>>, Malformed> {
            Ok(if cursor.element(&mut first)? { Some(cursor.value()?) } else { None })
        };
        match inside.then(&mut next) {
            Some(Ok(Some(raw))) => Some(raw.canonical()),
            _ => {
                inside = false;
                None
            }
        }
    })
}

/// A key and its value; `None` for `null`.
pub type Entry<'a> = (Cow<'a, [u8]>, Option<(Kind, Cow<'a, [u8]>)>);

/// The entries of a map in source order, duplicates included. Nothing for text that is not a map; of a malformed map
/// the entries before the fault.
pub fn entries(text: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut cursor = Cursor::new(text);
    let mut first = true;
    let mut inside = cursor.enter_map().is_ok();
    std::iter::from_fn(move || {
        let mut next = || -> Result<Option<Entry<'_>>, Malformed> {
            let Some(key) = cursor.key(&mut first)? else { return Ok(None) };
            let name = if key.escaped {
                let mut out = Vec::with_capacity(key.inner.len());
                decode(key.inner, &mut out);
                Cow::Owned(out)
            } else {
                Cow::Borrowed(key.inner)
            };
            Ok(Some((name, cursor.value()?.canonical())))
        };
        match inside.then(&mut next) {
            Some(Ok(Some(entry))) => Some(entry),
            _ => {
                inside = false;
                None
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts() {
        let cases: [(&str, Option<(Kind, &str)>); 26] = [
            ("null", None),
            ("true", Some((Kind::Bool, "true"))),
            ("1.0", Some((Kind::Number, "1.0"))),
            ("-0.0", Some((Kind::Number, "-0.0"))),
            ("1e3", Some((Kind::Number, "1e3"))),
            ("9223372036854775807", Some((Kind::Number, "9223372036854775807"))),
            ("-9223372036854775808", Some((Kind::Number, "-9223372036854775808"))),
            ("9223372036854775808", Some((Kind::String, "9223372036854775808"))),
            ("123456789012345678901234567890", Some((Kind::String, "123456789012345678901234567890"))),
            ("123456789012345678901234567890.5", Some((Kind::Number, "123456789012345678901234567890.5"))),
            ("1e400", Some((Kind::String, "1e400"))),
            ("-1E400", Some((Kind::String, "-1E400"))),
            ("1e-999", Some((Kind::Number, "1e-999"))),
            ("\"\"", Some((Kind::String, ""))),
            ("\"404\"", Some((Kind::String, "404"))),
            (r#""a\"\\\/\b\f\n\r\tz""#, Some((Kind::String, "a\"\\/\u{8}\u{c}\n\r\tz"))),
            (r#""\u00e9\ud83d\ude00""#, Some((Kind::String, "é😀"))),
            (r#""\ud800x\udc00\ud800\ud800\udc00""#, Some((Kind::String, "\u{fffd}x\u{fffd}\u{fffd}\u{10000}"))),
            ("[]", Some((Kind::List, "[]"))),
            ("[1,2.50]", Some((Kind::List, "[1,2.50]"))),
            ("[ 1 ,\t2.50 ]", Some((Kind::List, "[1,2.50]"))),
            (r#"{"b": 1, "a": [true, null, "x y"]}"#, Some((Kind::Map, r#"{"b":1,"a":[true,null,"x y"]}"#))),
            (r#"{"\u0061\/":"\u000a\u0001\"\\\u00e9"}"#, Some((Kind::Map, r#"{"a/":"\n\u0001\"\\é"}"#))),
            ("{", None),
            ("1 2", None),
            ("nope", None),
        ];
        for (text, expected) in cases {
            let found = kind_and_text(text.as_bytes());
            let found = found.as_ref().map(|(kind, text)| (*kind, std::str::from_utf8(text).expect("text of a text")));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn lone_surrogates_are_counted() {
        let mut out = Vec::new();
        assert_eq!(decode(br"\ud800 \udfff \ud83d\ude00", &mut out), 2);
        assert_eq!(compact(br#"["\ud800", {"\udc00": 1}]"#, &mut out), 2);
    }

    #[test]
    fn bytes_that_are_not_utf8_stay() {
        assert_eq!(kind_and_text(b"\"\xff\xc3\"").expect("a string").1.as_ref(), b"\xff\xc3");
        assert_eq!(kind_and_text(b"[ \"\xff\" ]").expect("a list").1.as_ref(), b"[\"\xff\"]");
    }

    #[test]
    fn lists_and_maps_are_walked() {
        let texts = |text: &str| -> Vec<String> {
            elements(text.as_bytes())
                .map(|e| e.map_or("-".into(), |(_, t)| String::from_utf8(t.into_owned()).expect("text")))
                .collect()
        };
        assert_eq!(texts(r#"[1, null, "a\n", {"b": []}]"#), ["1", "-", "a\n", "{\"b\":[]}"]);
        assert_eq!(texts("[]"), [""; 0]);
        assert_eq!(texts("{}"), [""; 0]);
        assert_eq!(texts("[1,2"), ["1", "2"]);
        let keys: Vec<_> =
            entries(br#"{"a":1,"\u0062":null,"a":"x"}"#).map(|(k, v)| (k.into_owned(), v.is_some())).collect();
        assert_eq!(keys, [(b"a".to_vec(), true), (b"b".to_vec(), false), (b"a".to_vec(), true)]);
    }
}
