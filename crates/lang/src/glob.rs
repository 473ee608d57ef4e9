//! The pattern of `parse e "…*…"`: literal text around wildcards.

use crate::lex::literal::escape;

/// A glob taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// The literal texts before, between and behind the wildcards: always one more than there are wildcards.
    pub literals: Vec<String>,
}

impl Glob {
    /// Takes the raw text of a string literal apart. `*` is a wildcard, `\*` a star, and every other escape what it is
    /// in a string.
    pub fn new(raw: &str) -> Glob {
        let mut literals = Vec::new();
        let mut literal = String::new();
        let mut rest = raw;
        while let Some(at) = rest.find(['*', '\\']) {
            literal.push_str(&rest[..at]);
            let special = &rest[at..];
            let length = if special.starts_with('*') {
                literals.push(std::mem::take(&mut literal));
                1
            } else if special.starts_with("\\*") {
                literal.push('*');
                2
            } else {
                let (value, length) = escape(special);
                match value {
                    Some(c) => literal.push(c),
                    None => literal.push_str(&special[..length]),
                }
                length
            };
            rest = &special[length..];
        }
        literal.push_str(rest);
        literals.push(literal);
        Glob { literals }
    }

    /// Number of wildcards.
    pub fn wildcards(&self) -> usize {
        self.literals.len() - 1
    }

    /// Whether two wildcards stand side by side, so that nothing says where one ends.
    pub fn has_adjacent_wildcards(&self) -> bool {
        let last = self.literals.len() - 1;
        self.literals.iter().enumerate().any(|(at, text)| at > 0 && at < last && text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_wildcards() {
        let cases: &[(&str, &[&str], bool)] = &[
            ("", &[""], false),
            ("*", &["", ""], false),
            ("a=* b=*", &["a=", " b=", ""], false),
            (r"\*=*", &["*=", ""], false),
            (r"\\*", &["\\", ""], false),
            (r#"\"id\":\"*\""#, &["\"id\":\"", "\""], false),
            (r"\d*", &["\\d", ""], false),
            ("**", &["", "", ""], true),
            ("a**b", &["a", "", "b"], true),
        ];
        for (raw, literals, adjacent) in cases {
            let glob = Glob::new(raw);
            assert_eq!(glob.literals, *literals, "{raw}");
            assert_eq!(glob.has_adjacent_wildcards(), *adjacent, "{raw}");
        }
    }
}
