//! Functions that look for text in text, and replace it.

use super::memo::Memo;
use super::{Args, Eval, Function, ROW, Regexes, Status, Type};
use crate::value::column::Column;
use crate::value::{Value, compare};
use arrow::buffer::BooleanBuffer;
use memchr::memmem::Finder;
use regex::bytes::Captures;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "strcontains",
        params: &[("s", Type::Text), ("t", Type::Text), ("ignoreCase", Type::Predicate)],
        optional: 1,
        result: Type::Predicate,
        about: "1 where `s` holds `t`; with a true third argument, where it does with both in lower case.",
        examples: &[(r#"strcontains("Hello", "hell")"#, "0"), (r#"strcontains("Hello", "hell", true)"#, "1")],
        eval: Eval::Predicate(contains),
        ..ROW
    },
    Function {
        name: "strcount",
        params: &[("s", Type::Text), ("t", Type::Text)],
        result: Type::Number,
        status: Status::Extension,
        about: "How often `t` stands in `s`, without overlap; 0 for an empty `t`.",
        examples: &[(r#"strcount("/../../etc", "../")"#, "2"), (r#"strcount("aaa", "aa")"#, "1")],
        eval: Eval::Values(|args| {
            let mut finders = Memo::new();
            args.map(|row| {
                let (Some(s), Some(t)) = (args.bytes(0, row), args.bytes(1, row)) else { return Value::Null };
                let found = finders.get(&t, |t| Finder::new(t).into_owned()).find_iter(&s).count();
                Value::Int(if t.is_empty() { 0 } else { found as i64 })
            })
        }),
        ..ROW
    },
    Function {
        name: "startsWith",
        params: &[("s", Type::Text), ("t", Type::Text)],
        result: Type::Predicate,
        about: "1 where `s` begins with `t`.",
        examples: &[(r#"startsWith("Hello", "He")"#, "1")],
        eval: Eval::Predicate(|args| compare_ends(args, <[u8]>::starts_with)),
        ..ROW
    },
    Function {
        name: "endsWith",
        params: &[("s", Type::Text), ("t", Type::Text)],
        result: Type::Predicate,
        about: "1 where `s` ends with `t`.",
        examples: &[(r#"endsWith("Hello", "lo")"#, "1")],
        eval: Eval::Predicate(|args| compare_ends(args, <[u8]>::ends_with)),
        ..ROW
    },
    Function {
        name: "replace",
        params: &[("s", Type::Text), ("a", Type::Text), ("b", Type::Text)],
        result: Type::Text,
        about: "`s` with every `a` replaced by `b`; unchanged where `a` is empty.",
        examples: &[(r#"replace("a.b.c", ".", "/")"#, "a/b/c")],
        eval: Eval::Values(replace),
        ..ROW
    },
    Function {
        name: "regexReplace",
        aliases: &["regex_replace"],
        params: &[("s", Type::Text), ("regex", Type::Regex), ("b", Type::Text)],
        result: Type::Text,
        about: "`s` with every match replaced by `b`, in which `$1` and `${name}` stand for groups and `$$` for a dollar.",
        examples: &[
            (r#"regexReplace("/u/12/o/7", /\d+/, "N")"#, "/u/N/o/N"),
            (r#"regexReplace("a=1", /(?<k>\w)=(\d)/, "${k}_$2")"#, "a_1"),
        ],
        eval: Eval::Values(regex_replace),
        ..ROW
    },
];

fn contains(args: &Args<'_>) -> BooleanBuffer {
    let mut exact = Memo::new();
    let mut folded = Memo::new();
    let mut buffer = Vec::new();
    args.test(|row| {
        let (Some(s), Some(t)) = (args.bytes(0, row), args.bytes(1, row)) else { return false };
        let flag = args.get(2, row);
        if args.len() > 2 && (flag.is_null() || flag.is_nested()) {
            return false;
        }
        if !compare::truth(flag) {
            return exact.get(&t, |t| Finder::new(t).into_owned()).find(&s).is_some();
        }
        let finder = folded.get(&t, |t| Finder::new(String::from_utf8_lossy(t).to_lowercase().as_bytes()).into_owned());
        if s.is_ascii() {
            buffer.clear();
            buffer.extend_from_slice(&s);
            buffer.make_ascii_lowercase();
            finder.find(&buffer).is_some()
        } else {
            finder.find(String::from_utf8_lossy(&s).to_lowercase().as_bytes()).is_some()
        }
    })
}

fn compare_ends(args: &Args<'_>, test: fn(&[u8], &[u8]) -> bool) -> BooleanBuffer {
    args.test(|row| match (args.bytes(0, row), args.bytes(1, row)) {
        (Some(s), Some(t)) => test(&s, &t),
        _ => false,
    })
}

fn replace(args: &Args<'_>) -> Column {
    let mut memo = Memo::new();
    args.strings(|row, out| {
        let (s, a, b) = (args.bytes(0, row)?, args.bytes(1, row)?, args.bytes(2, row)?);
        let mut done = 0;
        if !a.is_empty() {
            for at in memo.get(&a, |a| Finder::new(a).into_owned()).find_iter(&s) {
                out.extend_from_slice(&s[done..at]);
                out.extend_from_slice(&b);
                done = at + a.len();
            }
        }
        out.extend_from_slice(&s[done..]);
        Some(())
    })
}

fn regex_replace(args: &Args<'_>) -> Column {
    let mut regexes = Regexes::of(args, 1);
    let mut templates = Memo::new();
    args.strings(|row, out| {
        let s = args.bytes(0, row)?;
        let regex = regexes.get(args, 1, row)?;
        let template = templates.get(&args.bytes(2, row)?, Template::read);
        let mut done = 0;
        for found in regex.captures_iter(&s) {
            let whole = found.get_match();
            // An expression that matches nothing also does so between the bytes of a character.
            if whole.is_empty() && s.get(whole.start()).is_some_and(|c| c & 0xc0 == 0x80) {
                continue;
            }
            out.extend_from_slice(&s[done..whole.start()]);
            template.expand(&found, out);
            done = whole.end();
        }
        out.extend_from_slice(&s[done..]);
        Some(())
    })
}

/// A replacement text, taken apart.
struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(Vec<u8>),
    Group(usize),
    Name(String),
}

impl Template {
    /// Reads `$1` (digits only), `${name}`, `${1}` and `$$`; any other dollar stands for itself.
    fn read(text: &[u8]) -> Template {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.iter().position(|c| *c == b'$') {
            literal.extend_from_slice(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
            let (part, taken) = match rest {
                [b'$', ..] => (None, 1),
                [b'{', named @ ..] => match named.iter().position(|c| *c == b'}') {
                    Some(end) => (Some(group(&named[..end])), end + 2),
                    None => (None, 0),
                },
                _ if digits > 0 => (Some(group(&rest[..digits])), digits),
                _ => (None, 0),
            };
            match part {
                Some(part) => {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                    parts.push(part);
                }
                None => literal.push(b'$'),
            }
            rest = &rest[taken..];
        }
        literal.extend_from_slice(rest);
        parts.push(Part::Text(literal));
        parts.retain(|p| *p != Part::Text(Vec::new()));
        Template(parts)
    }

    /// Writes the replacement of one match. A group that is absent or took no part is the empty text.
    fn expand(&self, found: &Captures<'_>, out: &mut Vec<u8>) {
        for part in &self.0 {
            let text = match part {
                Part::Text(text) => text.as_slice(),
                Part::Group(n) => found.get(*n).map_or(&[][..], |m| m.as_bytes()),
                Part::Name(name) => found.name(name).map_or(&[][..], |m| m.as_bytes()),
            };
            out.extend_from_slice(text);
        }
    }
}

fn group(name: &[u8]) -> Part {
    let name = String::from_utf8_lossy(name);
    // No group has a number beyond what fits.
    let number = name.bytes().all(|c| c.is_ascii_digit()) && !name.is_empty();
    if number { Part::Group(name.parse().unwrap_or(usize::MAX)) } else { Part::Name(name.into_owned()) }
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn finding() {
        check(&[
            (r#"strcontains("abc", "")"#, "1"),
            (r#"strcontains("", "a")"#, "0"),
            (r#"strcontains("straße ΣΑΣ", "ßE σας", true)"#, "1"),
            (r#"strcontains("ÀB", "àb", true)"#, "1"),
            (r#"strcontains("Hello", "hell", false)"#, "0"),
            (r#"strcontains("Hello", "hell", 1)"#, "1"),
            (r#"strcontains("Hello", "Hell", missing)"#, "0"),
            ("strcontains(404, 40)", "1"),
            (r#"strcontains(missing, "")"#, "0"),
            (r#"strcontains("a", missing)"#, "0"),
            (r#"strcontains(l, "p")"#, "0"),
            (r#"strcontains(latin, "CAF", true)"#, "1"),
            (r#"startsWith("a", "")"#, "1"),
            (r#"startsWith("a", "ab")"#, "0"),
            (r#"startsWith(missing, "")"#, "0"),
            (r#"endsWith(404, "4")"#, "1"),
            (r#"endsWith("World", "world")"#, "0"),
            (r#"endsWith(m, "}")"#, "0"),
        ]);
    }

    #[test]
    fn replacing() {
        check(&[
            (r#"replace("aaa", "aa", "b")"#, "ba"),
            (r#"replace("abc", "", "X")"#, "abc"),
            (r#"replace("aXa", "a", "")"#, "X"),
            (r#"replace(404, 4, "$1")"#, "$10$1"),
            (r#"replace("a", "a", missing)"#, ""),
            (r#"replace(missing, "a", "b")"#, ""),
            (r#"replace(latin, "af", "é")"#, "cé\u{fffd}"),
        ]);
    }

    #[test]
    fn replacing_matches() {
        check(&[
            (r#"regexReplace("/users/7", "/(\w+)/(\d+)", "/$2/$1")"#, "/7/users"),
            (r#"regexReplace("ab", "(a)(x)?", "[$2$1]")"#, "[a]b"),
            (r#"regexReplace("a", "(a)", "$1_x")"#, "a_x"),
            (r#"regexReplace("a", "(a)", "${1}0")"#, "a0"),
            (r#"regexReplace("a", "(a)", "$10$9$99999999999999999999")"#, "\"\""),
            (r#"regexReplace("a", "a", "$$1 $ ${ $x $$")"#, "$1 $ ${ $x $"),
            (r#"regexReplace("a", "(?P<n>a)", "${n}${m}${}")"#, "a"),
            (r#"regexReplace("é1", "x*", "-")"#, "-é-1-"),
            (r#"regexReplace("aéa", "é", "\u00e8")"#, "aèa"),
            (r#"regexReplace("ABC", /(?i)b/, "")"#, "AC"),
            (r#"regexReplace("a.b", "[", "x")"#, ""),
            (r#"regexReplace("abc", "(?=b)", "x")"#, ""),
            (r#"regexReplace(1234, "2", "-")"#, "1-34"),
            (r#"regexReplace(missing, "a", "b")"#, ""),
            (r#"regexReplace("a", missing, "b")"#, ""),
            (r#"regexReplace("a", "a", missing)"#, ""),
            (r#"regexReplace(latin, "a.", "-")"#, "c-\u{fffd}"),
        ]);
    }
}
