//! Where parameters stand inside of regular expressions: `/^\/api\/$route/`.

/// The first `$name` of a regular expression that is neither escaped nor in a character class: what stands before it,
/// its name, and what stands behind.
pub(super) fn next(source: &str) -> Option<(&str, &str, &str)> {
    let bytes = source.as_bytes();
    // Character classes open here; in one, the first character is never its end.
    let mut classes = 0u32;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => {
                classes += 1;
                at += usize::from(bytes.get(at + 1) == Some(&b'^'));
                at += usize::from(bytes.get(at + 1) == Some(&b']'));
            }
            b']' => classes = classes.saturating_sub(1),
            b'$' if classes == 0 => {
                let behind = &source[at + 1..];
                let end = behind.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(behind.len());
                if end > 0 && !behind.starts_with(|c: char| c.is_ascii_digit()) {
                    return Some((&source[..at], &behind[..end], &behind[end..]));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn where_parameters_stand() {
        for (source, found) in [
            ("$a", Some(("", "a", ""))),
            ("^/x/$route_2/?$", Some(("^/x/", "route_2", "/?$"))),
            (r"\$a|$b", Some((r"\$a|", "b", ""))),
            ("[$a]$b", Some(("[$a]", "b", ""))),
            ("[]$a]x", None),
            ("[^]$a]$", None),
            ("a$", None),
            ("$1|$", None),
        ] {
            assert_eq!(next(source), found, "{source}");
        }
    }
}
