//! Equality, order, and the one total order of `sort`.

use super::value::{N, V, read_time};
use std::cmp::Ordering;

/// Numeric comparison, exact between integer and float.
pub fn numbers(a: &N, b: &N) -> Ordering {
    match (a, b) {
        (N::Int(a), N::Int(b)) => a.cmp(b),
        (N::Float(a), N::Float(b)) => a.partial_cmp(b).expect("no NaN"),
        _ => a.scaled().cmp(&b.scaled()),
    }
}

/// `a = b`; `None` where both `=` and `!=` are 0.
pub fn equal(a: &V, b: &V) -> Option<bool> {
    let same_number = |a: &V, b: &V| {
        let (a, b) = (a.number_or_bool().expect("a number"), b.number_or_bool().expect("a number"));
        numbers(&a, &b) == Ordering::Equal
    };
    Some(match (a, b) {
        (V::Null | V::List(_) | V::Map(_), _) | (_, V::Null | V::List(_) | V::Map(_)) => return None,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Bool(_), V::Number(..)) | (V::Number(..), V::Bool(_)) => same_number(a, b),
        (V::Bool(b), V::String(s)) | (V::String(s), V::Bool(b)) => match s.as_str() {
            "true" | "1" => *b,
            "false" | "0" => !*b,
            _ => false,
        },
        // The table has no row for a boolean and a timestamp.
        (V::Bool(_), V::Time(_)) | (V::Time(_), V::Bool(_)) => false,
        (V::Time(_), V::Time(_) | V::Number(..)) | (V::Number(..), V::Time(_)) => same_number(a, b),
        (V::Time(t), V::String(s)) | (V::String(s), V::Time(t)) => read_time(s) == Some(*t),
        (V::Number(..), V::Number(..)) => same_number(a, b),
        (V::Number(_, text), V::String(s)) | (V::String(s), V::Number(_, text)) => s == text,
        (V::String(a), V::String(b)) => a == b,
    })
}

/// The order of `<` and its relatives; `None` where they are 0.
pub fn order(a: &V, b: &V) -> Option<Ordering> {
    if a.is_null() || b.is_null() || a.is_nested() || b.is_nested() {
        return None;
    }
    let as_numbers = match (a, b) {
        (V::Bool(_), b) => a.number_or_bool().zip(b.number()),
        (a, V::Bool(_)) => a.number().zip(b.number_or_bool()),
        (a, b) => a.number().zip(b.number()),
    };
    if let Some((a, b)) = as_numbers {
        return Some(numbers(&a, &b));
    }
    match (a, b) {
        (V::Time(t), V::String(s)) if read_time(s).is_some() => Some(t.cmp(&read_time(s)?)),
        (V::String(s), V::Time(t)) if read_time(s).is_some() => Some(read_time(s)?.cmp(t)),
        _ => Some(a.text().cmp(&b.text())),
    }
}

/// The order of `sort`, ascending.
pub fn sort_order(a: &V, b: &V) -> Ordering {
    let rank = |v: &V| match v {
        V::Null => 0,
        v if v.number().is_none() => 1,
        _ => 2,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a.number(), b.number()) {
        (Some(a), Some(b)) => numbers(&a, &b),
        _ => natural(&a.text().unwrap_or_default(), &b.text().unwrap_or_default()),
    })
}

/// As [`sort_order`], equals ordered by canonical text: the order of groups, whose identity that text is.
pub fn group_order(a: &V, b: &V) -> Ordering {
    sort_order(a, b).then_with(|| a.text().cmp(&b.text()))
}

/// As [`group_order`], and what is still the same by kind.
pub fn total_order(a: &V, b: &V) -> Ordering {
    group_order(a, b).then_with(|| a.kind().cmp(&b.kind()))
}

/// Natural order: runs of digits by length, then by digits; other runs by code points.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (runs(a).into_iter(), runs(b).into_iter());
    loop {
        let (a, b) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let digits = |run: &str| run.starts_with(|c: char| c.is_ascii_digit());
        let lengths = if digits(a) && digits(b) { a.len().cmp(&b.len()) } else { Ordering::Equal };
        match lengths.then_with(|| a.cmp(b)) {
            Ordering::Equal => {}
            decided => return decided,
        }
    }
}

/// Maximal runs of ASCII digits and of anything else.
fn runs(text: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        runs.push(&rest[..end]);
        rest = &rest[end..];
    }
    runs
}
