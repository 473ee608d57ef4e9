//! Functions on text: measuring, cutting, joining. Text is taken as it is in the data; where characters matter, bytes
//! that are not UTF-8 count as U+FFFD.

use super::{Args, Eval, Function, ROW, Status, Type};
use crate::value::column::Column;
use crate::value::{Kind, Value, ValueRef, json};
use std::io::Write;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "isempty",
        params: &[("x", Type::Any)],
        result: Type::Predicate,
        about: "1 where `x` is null or the empty string.",
        examples: &[("isempty(missing)", "1"), (r#"isempty(" ")"#, "0")],
        eval: Eval::Predicate(|args| args.test(|row| is_void(args.get(0, row), <[u8]>::is_empty))),
        ..ROW
    },
    Function {
        name: "isblank",
        params: &[("x", Type::Any)],
        result: Type::Predicate,
        about: "1 where `x` is null, the empty string, or nothing but white space.",
        examples: &[(r#"isblank("  ")"#, "1"), ("isblank(n)", "0")],
        eval: Eval::Predicate(|args| args.test(|row| is_void(args.get(0, row), is_white))),
        ..ROW
    },
    Function {
        name: "concat",
        params: &[("x", Type::Any)],
        variadic: true,
        result: Type::Text,
        about: "The texts of the arguments, one after another. Null, a list and a map count as the empty string.",
        examples: &[(r#"concat("PUT", "-", 404, missing)"#, "PUT-404")],
        eval: Eval::Values(concat),
        ..ROW
    },
    Function {
        name: "trim",
        params: &[("s", Type::Text), ("chars", Type::Text)],
        optional: 1,
        result: Type::Text,
        about: "`s` without white space at both ends, or without any of `chars` instead.",
        examples: &[(r#"trim("  a ")"#, "a"), (r#"trim("xyZxyfooxyxyZ", "xyZ")"#, "foo")],
        eval: Eval::Values(|args| trim(args, true, true)),
        ..ROW
    },
    Function {
        name: "ltrim",
        params: &[("s", Type::Text), ("chars", Type::Text)],
        optional: 1,
        result: Type::Text,
        about: "`s` without white space at its start, or without any of `chars` instead.",
        examples: &[(r#"ltrim("xyZxyfooxyZ", "xyZ")"#, "fooxyZ")],
        eval: Eval::Values(|args| trim(args, true, false)),
        ..ROW
    },
    Function {
        name: "rtrim",
        params: &[("s", Type::Text), ("chars", Type::Text)],
        optional: 1,
        result: Type::Text,
        about: "`s` without white space at its end, or without any of `chars` instead.",
        examples: &[(r#"rtrim("xyZfooxyxyZ", "xyZ")"#, "xyZfoo")],
        eval: Eval::Values(|args| trim(args, false, true)),
        ..ROW
    },
    Function {
        name: "strlen",
        params: &[("s", Type::Text)],
        result: Type::Number,
        about: "Length of `s` in Unicode code points.",
        examples: &[(r#"strlen("héé")"#, "3")],
        eval: Eval::Values(|args| args.map(|row| count(args.text(0, row).map(|s| s.chars().count())))),
        ..ROW
    },
    Function {
        name: "messageSize",
        params: &[("s", Type::Text)],
        result: Type::Number,
        about: "Length of `s` in bytes of UTF-8.",
        examples: &[(r#"messageSize("héé")"#, "5")],
        eval: Eval::Values(|args| args.map(|row| count(args.bytes(0, row).map(|s| s.len())))),
        ..ROW
    },
    Function {
        name: "toupper",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "`s` in upper case, by the rules of Unicode.",
        examples: &[(r#"toupper("abc")"#, "ABC"), (r#"toupper("straße")"#, "STRASSE")],
        eval: Eval::Values(|args| recase(args, <[u8]>::make_ascii_uppercase, str::to_uppercase)),
        ..ROW
    },
    Function {
        name: "tolower",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "`s` in lower case, by the rules of Unicode.",
        examples: &[(r#"tolower("ABC")"#, "abc")],
        eval: Eval::Values(|args| recase(args, <[u8]>::make_ascii_lowercase, str::to_lowercase)),
        ..ROW
    },
    Function {
        name: "substr",
        params: &[("s", Type::Text), ("from", Type::Number), ("length", Type::Number)],
        optional: 1,
        result: Type::Text,
        about: "The part of `s` from code point `from` (the first is 0), at most `length` of them. A negative `from` is 0.",
        examples: &[(r#"substr("xyZfooxyZ", 3, 3)"#, "foo"), (r#"substr("abc", 1)"#, "bc")],
        eval: Eval::Values(substr),
        ..ROW
    },
    Function {
        name: "split",
        params: &[("s", Type::Text), ("delimiter", Type::Text)],
        result: Type::Nested,
        about: "The list of the parts of `s` between delimiters; an empty delimiter gives a list of one.",
        examples: &[(r#"split("a,b,c", ",")[1]"#, "b"), (r#"split("a,b", ",")"#, r#"["a","b"]"#)],
        eval: Eval::Values(split),
        ..ROW
    },
    Function {
        name: "entropy",
        params: &[("s", Type::Text)],
        result: Type::Number,
        status: Status::Extension,
        about: "Shannon entropy of `s` in bits per character: how random a name, token or user agent looks.",
        examples: &[(r#"entropy("aabb")"#, "1"), (r#"entropy("aaaa")"#, "0")],
        eval: Eval::Values(|args| args.map(|row| args.text(0, row).map_or(Value::Null, |s| Value::float(entropy(&s))))),
        ..ROW
    },
];

/// True for null and for a string that `test` holds of.
fn is_void(x: ValueRef<'_>, test: fn(&[u8]) -> bool) -> bool {
    match x {
        ValueRef::Null => true,
        ValueRef::Text(Kind::String, text) => test(text),
        _ => false,
    }
}

fn is_white(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|s| s.chars().all(char::is_whitespace))
}

fn count(n: Option<usize>) -> Value {
    n.map_or(Value::Null, |n| Value::Int(n as i64))
}

fn concat(args: &Args<'_>) -> Column {
    args.strings(|row, out| {
        for arg in 0..args.len() {
            match args.get(arg, row) {
                // Numbers are written in place, sparing a string each.
                ValueRef::Int(n) => write!(out, "{n}").ok()?,
                value if value.is_nested() => {}
                value => out.extend_from_slice(&value.text().unwrap_or_default()),
            }
        }
        Some(())
    })
}

fn trim(args: &Args<'_>, left: bool, right: bool) -> Column {
    args.strings(|row, out| {
        let s = args.text(0, row)?;
        let chars = if args.len() > 1 { Some(args.text(1, row)?) } else { None };
        let strip = |c: char| chars.as_ref().map_or_else(|| c.is_whitespace(), |chars| chars.contains(c));
        let s = if left { s.trim_start_matches(strip) } else { s.as_ref() };
        let s = if right { s.trim_end_matches(strip) } else { s };
        out.extend_from_slice(s.as_bytes());
        Some(())
    })
}

fn recase(args: &Args<'_>, ascii: fn(&mut [u8]), unicode: fn(&str) -> String) -> Column {
    args.strings(|row, out| {
        let s = args.bytes(0, row)?;
        if s.is_ascii() {
            out.extend_from_slice(&s);
            ascii(out);
        } else {
            out.extend_from_slice(unicode(&String::from_utf8_lossy(&s)).as_bytes());
        }
        Some(())
    })
}

fn substr(args: &Args<'_>) -> Column {
    args.strings(|row, out| {
        let s = args.text(0, row)?;
        let from = args.integer(1, row)?;
        let length = if args.len() > 2 { args.integer(2, row)? } else { i64::MAX };
        let rest = skip(&s, from);
        let end = rest.len() - skip(rest, length).len();
        out.extend_from_slice(&rest.as_bytes()[..end]);
        Some(())
    })
}

/// What is left of `s` behind its first `n` code points.
fn skip(s: &str, n: i64) -> &str {
    let n = usize::try_from(n.max(0)).unwrap_or(usize::MAX);
    // The n-th code point does not start before the n-th byte.
    if n >= s.len() {
        return "";
    }
    let start = if s.is_ascii() { n } else { s.char_indices().nth(n).map_or(s.len(), |(at, _)| at) };
    &s[start..]
}

fn split(args: &Args<'_>) -> Column {
    args.texts(Kind::List, |row, out| {
        let (s, delimiter) = (args.bytes(0, row)?, args.bytes(1, row)?);
        out.push(b'[');
        let mut start = 0;
        if !delimiter.is_empty() {
            for at in memchr::memmem::find_iter(&s, &delimiter) {
                json::write_bytes(&s[start..at], out);
                out.push(b',');
                start = at + delimiter.len();
            }
        }
        json::write_bytes(&s[start..], out);
        out.push(b']');
        Some(())
    })
}

/// Bits per character.
fn entropy(s: &str) -> f64 {
    let mut counts: Vec<u32> = if s.is_ascii() {
        let mut counts = vec![0; 128];
        s.bytes().for_each(|c| counts[usize::from(c)] += 1);
        counts
    } else {
        let mut chars: Vec<char> = s.chars().collect();
        chars.sort_unstable();
        chars.chunk_by(|a, b| a == b).map(|run| run.len() as u32).collect()
    };
    // One order of adding for one set of counts: the last digit must not depend on which characters they are.
    counts.sort_unstable();
    let total = f64::from(counts.iter().sum::<u32>());
    let bits = counts.iter().filter(|n| **n > 0).map(|n| {
        let share = f64::from(*n) / total;
        -share * share.log2()
    });
    bits.sum()
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn emptiness() {
        check(&[
            (r#"isempty("")"#, "1"),
            ("isempty(0)", "0"),
            ("isempty(l)", "0"),
            ("isempty(m)", "0"),
            (r#"isblank("")"#, "1"),
            ("isblank(missing)", "1"),
            ("isblank(\"\u{3000}\u{a0}\t\")", "1"),
            ("isblank(latin)", "0"),
            ("isblank(l)", "0"),
        ]);
    }

    #[test]
    fn joining_and_cutting() {
        check(&[
            ("concat(missing, l, m)", "\"\""),
            ("concat(1.0, true, @timestamp)", "1true2024-05-01 10:37:12.345"),
            ("concat(strlen(\"abc\"), round(2.5), 1e3)", "331000"),
            ("concat(latin, \"!\")", "caf\u{fffd}!"),
            ("trim(\"\u{3000}a\u{a0}\")", "a"),
            (r#"trim(" xax ", "x")"#, " xax "),
            (r#"trim("ééaé", "é")"#, "a"),
            (r#"trim("aaa", "a")"#, "\"\""),
            (r#"trim("a", "")"#, "a"),
            ("trim(404)", "404"),
            (r#"trim("a", missing)"#, ""),
            ("trim(missing)", ""),
            ("ltrim(\" a \")", "a "),
            ("rtrim(\" a \")", " a"),
            ("substr(\"abcdef\", 2, 100)", "cdef"),
            ("substr(\"abcdef\", 6)", "\"\""),
            ("substr(\"abcdef\", 9, 1)", "\"\""),
            ("substr(\"abcdef\", -2, 2)", "ab"),
            ("substr(\"abcdef\", 2, -1)", "\"\""),
            ("substr(\"abcdef\", 1.9, 1)", "b"),
            ("substr(\"héé😀x\", 2, 2)", "é😀"),
            ("substr(\"é\", 1)", "\"\""),
            ("substr(\"abc\", 1e30)", "\"\""),
            ("substr(\"abc\", \"-99999999999999999999\", \"99999999999999999999\")", "abc"),
            ("substr(\"abc\", \"x\")", ""),
            ("substr(\"abc\", 0, missing)", ""),
            ("substr(12345, 1, 2)", "23"),
            ("substr(latin, 3)", "\u{fffd}"),
            ("substr(l, 0)", ""),
        ]);
    }

    #[test]
    fn measures() {
        check(&[
            ("strlen(\"\")", "0"),
            ("strlen(\"😀é\")", "2"),
            ("strlen(404)", "3"),
            ("strlen(latin)", "4"),
            ("strlen(missing)", ""),
            ("strlen(m)", ""),
            ("messageSize(\"😀é\")", "6"),
            ("messageSize(latin)", "4"),
            ("messageSize(missing)", ""),
            ("entropy(\"\")", "0"),
            ("entropy(\"ab\")", "1"),
            ("entropy(\"éàéà\")", "1"),
            ("entropy(\"abcdefgh\")", "3"),
            ("round(entropy(\"aab\"), 4)", "0.9183"),
            ("entropy(missing)", ""),
        ]);
    }

    #[test]
    fn letter_case() {
        check(&[
            ("toupper(\"héé😀\")", "HÉÉ😀"),
            ("tolower(\"ΣΑΣ\")", "σας"),
            ("tolower(\"İ\")", "i\u{307}"),
            ("toupper(latin)", "CAF\u{fffd}"),
            ("toupper(true)", "TRUE"),
            ("toupper(missing)", ""),
            ("tolower(l)", ""),
        ]);
    }

    #[test]
    fn splitting() {
        check(&[
            (r#"split("/api/v1", "/")"#, r#"["","api","v1"]"#),
            (r#"split("", ",")"#, r#"[""]"#),
            (r#"split("abc", "")"#, r#"["abc"]"#),
            (r#"split("a\"b", "\"")"#, r#"["a","b"]"#),
            ("split(\"a\\\\x\", \"x\")", r#"["a\\",""]"#),
            ("split(\"a\tb\", \",\")", r#"["a\tb"]"#),
            (r#"split(1.5, ".")"#, r#"["1","5"]"#),
            (r#"split("a,b", ",")[2]"#, ""),
            (r#"split(missing, ",")"#, ""),
            (r#"split("a", missing)"#, ""),
            (r#"split(l, ",")"#, ""),
        ]);
    }
}
