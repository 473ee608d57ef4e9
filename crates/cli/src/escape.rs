//! Makes text from logs and queries safe to show.
//!
//! A log value may hold escape sequences that drive a terminal, marks that reorder what stands around them, or
//! characters nobody sees. They are shown as visible escapes: `\n`, `\x1b`, `\u{202e}`. A backslash of the value
//! itself stays as it is, so that paths and patterns remain readable.

use std::borrow::Cow;
use std::fmt::Write;

/// For people: everything that would not show as itself is escaped, line breaks included.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_control(c) || is_hidden(c))
}

/// [`visible`] for text of several lines, whose line feeds stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && (is_control(c) || is_hidden(c)))
}

/// [`visible`] for bytes; what is not UTF-8 becomes U+FFFD.
pub(crate) fn visible_bytes(text: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => visible(text),
        Cow::Owned(text) => Cow::Owned(visible(&text).into_owned()),
    }
}

/// For files that people open: only what drives a terminal or reorders text is escaped. Tabs and line breaks stay.
pub(crate) fn inert(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_control(c) && !matches!(c, '\t' | '\n' | '\r') || is_reordering(c))
}

/// Controls and hidden characters, which JSON writers spell `\uXXXX`: the value stays exactly the same.
pub(crate) fn needs_json_escape(c: char) -> bool {
    is_control(c) || is_hidden(c)
}

fn escape(text: &str, unsafe_to_show: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(&unsafe_to_show) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if !unsafe_to_show(c) {
            out.push(c);
            continue;
        }
        let _ = match c {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    Cow::Owned(out)
}

/// C0, DEL and C1 (U+009B starts a control sequence as ESC `[` does), and the two Unicode line separators.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Marks that change the order in which text is laid out.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no room: Unicode's Default_Ignorable_Code_Point and the interlinear annotation marks. Also the
/// skin tones of emoji, of which some terminals make room for two characters and others for one.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see() {
        for (text, shown) in [
            ("GET /v1/orders", "GET /v1/orders"),
            (r"C:\Users\n", r"C:\Users\n"),
            ("naïve 日本 🙂", "naïve 日本 🙂"),
            ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
            ("\u{9b}31m", r"\x9b31m"),
            ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
            ("a\nb\r\tc\0", r"a\nb\r\tc\x00"),
            ("\u{7f}", r"\x7f"),
            ("user\u{202e}nimda", r"user\u{202e}nimda"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("x\u{2028}y", r"x\u{2028}y"),
            ("tag\u{e0041}", r"tag\u{e0041}"),
            ("❤\u{fe0f}", r"❤\u{fe0f}"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
            assert_eq!(visible_bytes(text.as_bytes()), shown, "{text:?}");
        }
        assert_eq!(visible_bytes(b"a\xff\x1bb"), "a\u{fffd}\\x1bb");
    }

    #[test]
    fn files_keep_lines_and_joiners() {
        for (text, shown) in [
            ("a\nb\tc\r\n", "a\nb\tc\r\n"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("\x1b[2J", r"\x1b[2J"),
            ("a\u{202e}b", r"a\u{202e}b"),
        ] {
            assert_eq!(inert(text), shown, "{text:?}");
        }
    }
}
