//! Equality, order, sort order and truth: sections 4.1, 4.2, 4.5 and 4.7 of the language reference, one function each.

use super::number::{self, Number};
use super::{Kind, ValueRef, time};
use std::borrow::Cow;
use std::cmp::Ordering;

/// `a = b`. Two numbers compare as numbers, anything with a string compares as text. `!=` is its negation only where
/// [`comparable`].
pub fn equal(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    if !comparable(a, b) {
        return false;
    }
    if a.timestamp().is_some() || b.timestamp().is_some() {
        return equal_times(a, b);
    }
    match (a.boolean(), b.boolean()) {
        (Some(x), Some(y)) => return x == y,
        (Some(x), None) => return equal_boolean(x, b),
        (None, Some(y)) => return equal_boolean(y, a),
        (None, None) => {}
    }
    if a.kind() == Some(Kind::Number) && b.kind() == Some(Kind::Number) {
        return match (a.number(), b.number()) {
            (Some(x), Some(y)) => x.compare(y) == Ordering::Equal,
            _ => false,
        };
    }
    a.text() == b.text()
}

/// False where `=`, `!=` and the order comparisons are all 0: a null, list or map on either side.
pub fn comparable(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    !(a.is_null() || b.is_null() || a.is_nested() || b.is_nested())
}

fn equal_boolean(b: bool, other: ValueRef<'_>) -> bool {
    match other {
        ValueRef::Text(Kind::String, t) => match b {
            true => t == b"true" || t == b"1",
            false => t == b"false" || t == b"0",
        },
        _ => other.number().is_some_and(|n| n.compare(Number::Int(b.into())) == Ordering::Equal),
    }
}

fn equal_times(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match (instant(a), instant(b)) {
        (Some(x), Some(y)) => x.compare(y) == Ordering::Equal,
        _ => false,
    }
}

/// Epoch milliseconds of a timestamp, a number, or a readable time string.
fn instant(v: ValueRef<'_>) -> Option<Number<'_>> {
    match v {
        ValueRef::Text(Kind::String, t) => time::parse_readable(t).map(Number::Int),
        _ => v.number(),
    }
}

/// The order used by `<`, `<=`, `>` and `>=`; `None` where all four are 0.
pub fn order(a: ValueRef<'_>, b: ValueRef<'_>) -> Option<Ordering> {
    if !comparable(a, b) {
        return None;
    }
    if (a.timestamp().is_some() || b.timestamp().is_some())
        && let (Some(x), Some(y)) = (instant(a), instant(b))
    {
        return Some(x.compare(y));
    }
    if let (Some(x), Some(y)) = (a.number(), b.number()) {
        return Some(x.compare(y));
    }
    if a.boolean().is_some() != b.boolean().is_some()
        && let (Some(x), Some(y)) = (a.operand(), b.operand())
    {
        return Some(x.compare(y));
    }
    Some(a.text()?.cmp(&b.text()?))
}

/// The one total order of `sort`, ascending: nulls, then what is not a number in natural order, then numbers.
///
/// Values of equal rank (`01` and `1`) compare as equal; [`total`] breaks such ties.
pub fn sort_order(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    match (a.number(), b.number()) {
        (Some(x), Some(y)) => x.compare(y),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => natural(&text(a), &text(b)),
    }
}

/// [`sort_order`], ties by canonical text: how one value is picked out of equals, and how groups are listed.
pub fn total(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    sort_order(a, b).then_with(|| text(a).cmp(&text(b)))
}

fn text(v: ValueRef<'_>) -> Cow<'_, [u8]> {
    v.text().unwrap_or(Cow::Borrowed(b""))
}

/// Natural order: runs of ASCII digits against runs of digits by length, then digits; everything else by code points.
///
/// UTF-8 orders as its code points do, so bytes are compared.
pub fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(_), Some(_)) => {}
        }
        let (x, rest_a) = a.split_at(run(a));
        let (y, rest_b) = b.split_at(run(b));
        let both_digits = x[0].is_ascii_digit() && y[0].is_ascii_digit();
        let ordering = if both_digits { x.len().cmp(&y.len()).then_with(|| x.cmp(y)) } else { x.cmp(y) };
        if ordering != Ordering::Equal {
            return ordering;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Length of the maximal run of digits, or of non-digits, at the start of `text`, which is not empty.
fn run(text: &[u8]) -> usize {
    let digit = text[0].is_ascii_digit();
    text.iter().position(|c| c.is_ascii_digit() != digit).unwrap_or(text.len())
}

/// Truth of a filter operand (language reference, "Truth of a filter operand").
pub fn truth(v: ValueRef<'_>) -> bool {
    match v {
        ValueRef::Null => false,
        ValueRef::Bool(b) => b,
        ValueRef::Int(n) => n != 0,
        ValueRef::Float(x) => x != 0.0,
        ValueRef::Time(_) | ValueRef::Text(Kind::Time, _) => true,
        ValueRef::Text(Kind::Bool, t) => t == b"true",
        ValueRef::Text(Kind::String, t) => t.eq_ignore_ascii_case(b"true") || nonzero(number::numeric(t)),
        ValueRef::Text(Kind::Number | Kind::Float, t) => nonzero(number::json(t)),
        ValueRef::Text(Kind::List | Kind::Map, _) => false,
    }
}

fn nonzero(n: Option<Number<'_>>) -> bool {
    n.is_some_and(|n| n.as_f64() != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValueRef::{Bool, Float, Int, Null, Time};

    fn s(text: &str) -> ValueRef<'_> {
        ValueRef::string(text)
    }

    fn n(text: &str) -> ValueRef<'_> {
        ValueRef::Text(Kind::Number, text.as_bytes())
    }

    #[test]
    fn equality() {
        let noon = Time(1_714_564_800_000);
        let map = ValueRef::Text(Kind::Map, b"{}");
        let cases = [
            (Null, Null, false),
            (Null, s(""), false),
            (map, map, false),
            (Bool(true), Bool(true), true),
            (Bool(true), Int(1), true),
            (Bool(true), n("1.0"), true),
            (Bool(true), s("true"), true),
            (Bool(true), s("1"), true),
            (Bool(true), s("TRUE"), false),
            (Bool(false), s("0"), true),
            (noon, Int(1_714_564_800_000), true),
            (noon, s("2024-05-01T12:00:00Z"), true),
            (noon, s("1714564800000"), false),
            (n("404"), n("404.0"), true),
            (n("404"), s("404"), true),
            (n("7"), s("007"), false),
            (n("404.0"), s("404"), false),
            (s("0404"), s("404"), false),
            (s("a"), s("A"), false),
            (Float(0.5), n("0.50"), true),
        ];
        for (a, b, expected) in cases {
            assert_eq!(equal(a, b), expected, "{a:?} {b:?}");
            assert_eq!(equal(b, a), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn order_of_pairs() {
        let cases = [
            (Null, Int(1), None),
            (s("9"), s("10"), Some(Ordering::Less)),
            (s("b"), s("10"), Some(Ordering::Greater)),
            (Bool(true), Int(0), Some(Ordering::Greater)),
            (Bool(true), s("2"), Some(Ordering::Less)),
            (Bool(true), Bool(false), Some(Ordering::Greater)),
            (Time(0), s("1970-01-02"), Some(Ordering::Less)),
            (n("2"), s("10"), Some(Ordering::Less)),
        ];
        for (a, b, expected) in cases {
            assert_eq!(order(a, b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn documented_sort_example() {
        let ascending = [
            "!:",
            "#",
            "*%04",
            "0#",
            "5A",
            "111A",
            "2345_",
            "@",
            "@_",
            "A",
            "A9876fghj",
            "a12345hfh",
            "0",
            "01",
            "1",
            "2",
            "3",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(total(s(a), s(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(sort_order(s("01"), s("1")), Ordering::Equal);
        assert_eq!(sort_order(Null, s("")), Ordering::Less);
    }

    #[test]
    fn truths() {
        for (v, expected) in [
            (Null, false),
            (s(""), false),
            (s("0"), false),
            (s("0.0"), false),
            (s("2"), true),
            (s("TRUE"), true),
            (s("yes"), false),
            (Time(0), true),
            (n("0e5"), false),
            (ValueRef::Text(Kind::List, b"[1]"), false),
        ] {
            assert_eq!(truth(v), expected, "{v:?}");
        }
    }
}
