//! The masking of `pattern` (language reference, §6.2): variable parts of a text become numbered tokens.

use regex::Regex;
use std::sync::LazyLock;

/// The labels in the order in which they are tried, with what they match at the start of a text.
static LABELS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    let time = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?";
    let uuid = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
    let ip = r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}";
    let number = r"^[0-9]+(?:\.[0-9]+)?";
    let compile = |source| Regex::new(source).expect("a fixed expression");
    vec![
        ("Time", compile(time)),
        ("ID", compile(uuid)),
        ("IP", compile(ip)),
        ("ID", compile(RUN)),
        ("Number", compile(number)),
    ]
});

const RUN: &str = r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";

/// The text with times, addresses, ids and numbers replaced by `<Label-k>`, k counting from 1.
pub(super) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut count = 0;
    let mut glued = false;
    while let Some(first) = rest.chars().next() {
        if !glued
            && first.is_ascii_alphanumeric()
            && let Some((label, length)) = token(rest)
        {
            count += 1;
            out.push_str(&format!("<{label}-{count}>"));
            glued = rest[..length].chars().next_back().is_some_and(is_word);
            rest = &rest[length..];
            continue;
        }
        out.push(first);
        glued = is_word(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The label and length of the token at the start of a text.
fn token(text: &str) -> Option<(&'static str, usize)> {
    LABELS.iter().find_map(|(label, regex)| {
        let found = regex.find(text)?.as_str();
        if regex.as_str() == RUN && !is_id(found) { None } else { Some((*label, found.len())) }
    })
}

/// Eight characters and more, four digits and more, and something that is no digit.
fn is_id(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    run.len() >= 8 && digits >= 4 && digits < run.len()
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
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }
}
