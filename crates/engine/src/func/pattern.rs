//! The masking of `pattern` (language reference, §6.2): variable parts of a text become numbered tokens.

use regex::Regex;
use std::sync::LazyLock;

/// A time at the start of a text.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    let day = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}";
    let clock = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?";
    Regex::new(&format!("{day}(?:[T ]{clock})?")).expect("a fixed expression")
});

/// A UUID at the start of a text (RFC 9562).
static UUID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").expect("a fixed expression"));

/// An IPv4 address at the start of a text.
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[0-9]{1,3}(?:\.[0-9]{1,3}){3}").expect("a fixed expression"));

/// The text with times, addresses, ids and numbers replaced by `<Label-k>`, k counting from 1.
pub(super) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut count = 0;
    loop {
        let first = rest.as_bytes().first().copied().unwrap_or(b' ');
        let token = if first.is_ascii_alphanumeric() { token(rest) } else { None };
        let length = token.map_or(0, |(_, length)| length);
        if let Some((label, _)) = token {
            count += 1;
            out.extend(["<", label, "-"]);
            push_number(&mut out, count);
            out.push('>');
        }
        let (before, after) = rest.split_at(length);
        let plain = plain(after, before.ends_with(is_word));
        out.push_str(&after[..plain]);
        rest = &after[plain..];
        if rest.is_empty() {
            return out;
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes up to the next place where a token may begin, one at least unless it is the end: a letter or digit that is not
/// `glued` to a word before it. A word that is no token at its start has none inside.
fn plain(text: &str, mut glued: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_alphanumeric() {
            if !glued && at > 0 {
                return at;
            }
            glued = true;
            at += run(&bytes[at..], |b| b.is_ascii_alphanumeric());
        } else if byte.is_ascii() {
            glued = *byte == b'_';
            at += 1;
        } else {
            let Some(c) = text[at..].chars().next() else { break };
            glued = is_word(c);
            at += c.len_utf8();
        }
    }
    at
}

/// The label and length of the token at the start of a text, which is a letter or digit of ASCII. Most texts are told by
/// a look at a few of their bytes; only what may be more than a number or an id is matched.
fn token(text: &str) -> Option<(&'static str, usize)> {
    let bytes = text.as_bytes();
    let is_at = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let found = |regex: &Regex| regex.find(text).map(|found| found.len());
    let digits = run(bytes, |b| b.is_ascii_digit());
    if digits == 4
        && is_at(4, b'-')
        && let Some(length) = found(&TIME)
    {
        return Some(("Time", length));
    }
    if is_at(8, b'-')
        && let Some(length) = found(&UUID)
    {
        return Some(("ID", length));
    }
    if matches!(digits, 1..=3)
        && is_at(digits, b'.')
        && let Some(length) = found(&ADDRESS)
    {
        return Some(("IP", length));
    }
    let dashed = &bytes[..run(bytes, |b| b.is_ascii_alphanumeric() || b == b'-')];
    let word = &dashed[..dashed.iter().rposition(|b| *b != b'-').map_or(0, |last| last + 1)];
    if is_id(word) {
        return Some(("ID", word.len()));
    }
    let fraction =
        if digits > 0 && is_at(digits, b'.') { run(&bytes[digits + 1..], |b| b.is_ascii_digit()) } else { 0 };
    match (digits, fraction) {
        (0, _) => None,
        (_, 0) => Some(("Number", digits)),
        _ => Some(("Number", digits + 1 + fraction)),
    }
}

/// How many bytes at the start are such.
fn run(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|b| !is_such(*b)).unwrap_or(bytes.len())
}

/// Eight characters and more, four digits and more, and something that is no digit.
fn is_id(run: &[u8]) -> bool {
    let digits = run.iter().filter(|b| b.is_ascii_digit()).count();
    run.len() >= 8 && digits >= 4 && digits < run.len()
}

fn push_number(out: &mut String, number: u32) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn tokens() {
        for (text, expected) in [
            ("[INFO] Request time: 12.5 ms", "[INFO] Request time: <Number-1> ms"),
            (
                "2023-01-01 19:00:01 [INFO] 10.1.2.3 stored id 12342342k124-12345",
                "<Time-1> [INFO] <IP-2> stored id <ID-3>",
            ),
            ("id 550e8400-e29b-41d4-a716-446655440000.", "id <ID-1>."),
            ("v1 a2b x_9", "v1 a2b x_9"),
            ("12345678", "<Number-1>"),
            ("1.5.x 1.2.3.4.5 256.1.1", "<Number-1>.x <IP-2>.<Number-3> <Number-4>.<Number-5>"),
            ("2024-01-02,03 2024-1-2 20240-01-02", "<Time-1>,<Number-2> <ID-3> <ID-4>"),
            ("2024-01-02T03:04:05.678+01:00x", "<Time-1>x"),
            ("abcdefab-abcd-abcd-abcd-abcdefabcdef abcdefab-x", "<ID-1> abcdefab-x"),
            ("k8s-1234-pod-- 1234567a- _12 é12 1é2", "<ID-1>-- <ID-2>- _12 é12 <Number-3>é2"),
            ("", ""),
            ("12", "<Number-1>"),
            (
                "7 8 9 10 11 1 2 3 4 5 6 7",
                "<Number-1> <Number-2> <Number-3> <Number-4> <Number-5> <Number-6> <Number-7> <Number-8> <Number-9> <Number-10> <Number-11> <Number-12>",
            ),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }
}
