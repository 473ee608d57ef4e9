//! Sort keys: bytes whose plain order is the sort order of the language (language reference, §4.7).
//!
//! A key says null, other or number by its first byte; what follows is self-delimiting, so keys of several columns are
//! written one after another, a descending one complemented bit by bit. Sorting, the best n, and spilled runs then only
//! compare bytes.

use super::ValueRef;
use super::number::Number;

const NULL: u8 = 0;
const OTHER: u8 = 1;
const NUMBER: u8 = 2;

/// Appends the key of `v`. With `by_text`, values of equal rank (`01`, `1`) are told apart by canonical text.
pub fn push(v: ValueRef<'_>, descending: bool, by_text: bool, out: &mut Vec<u8>) {
    let start = out.len();
    match v.number() {
        _ if v.is_null() => out.push(NULL),
        Some(n) => {
            out.push(NUMBER);
            push_number(n, out);
        }
        None => {
            out.push(OTHER);
            push_natural(&v.text().unwrap_or_default(), out);
        }
    }
    if by_text && let Some(text) = v.text() {
        push_escaped(&text, out);
    }
    if descending {
        out[start..].iter_mut().for_each(|b| *b = !*b);
    }
}

/// Appends the key of a number: the nearest float, then by how much the number differs from it.
pub fn push_number(n: Number<'_>, out: &mut Vec<u8>) {
    let near = n.as_f64();
    let near = if near == 0.0 { 0.0 } else { near };
    let bits = near.to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&ordered.to_be_bytes());
    match n {
        Number::Float(_) => push_residue(0, out),
        // Beyond 2^53 several integers share a float; the float is a whole number there.
        Number::Int(i) => push_residue(i128::from(i) - near as i128, out),
        Number::Big(digits) => match digits.parse::<i128>() {
            Ok(i) => push_residue(i - near as i128, out),
            Err(_) => push_huge(digits, out),
        },
    }
}

fn push_residue(residue: i128, out: &mut Vec<u8>) {
    if residue == 0 {
        return out.push(0x80);
    }
    out.push(if residue < 0 { 0x7f } else { 0x81 });
    out.extend_from_slice(&((residue as u128) ^ 1 << 127).to_be_bytes());
}

/// Integers of 39 digits and more: by their digits.
fn push_huge(digits: &str, out: &mut Vec<u8>) {
    let negative = digits.starts_with('-');
    let digits = digits.trim_start_matches('-').trim_start_matches('0');
    out.push(if negative { 0x7e } else { 0x82 });
    let start = out.len();
    out.extend_from_slice(&(digits.len() as u64).to_be_bytes());
    out.extend_from_slice(digits.as_bytes());
    if negative {
        out[start..].iter_mut().for_each(|b| *b = !*b);
    }
}

/// Natural order. A run of non-digits ends in a byte pair below every continuation; a run of digits starts with a
/// digit, for its order against other characters, and carries its length in front of its digits.
fn push_natural(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(first) = rest.first() {
        let digit = first.is_ascii_digit();
        let end = rest.iter().position(|c| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if digit {
            out.push(b'0');
            // Lengths of one byte each, so that the first bytes of a key tell more; longer ones behind all of them.
            match u8::try_from(run.len()) {
                Ok(length) if length < u8::MAX => out.push(length),
                _ => {
                    out.push(u8::MAX);
                    out.extend_from_slice(&(run.len() as u64).to_be_bytes());
                }
            }
            out.extend_from_slice(run);
        } else {
            push_escaped_run(run, out);
            out.extend_from_slice(&[0, 1]);
        }
        rest = after;
    }
    out.extend_from_slice(&[0, 0]);
}

fn push_escaped_run(run: &[u8], out: &mut Vec<u8>) {
    for b in run {
        out.push(*b);
        if *b == 0 {
            out.push(0xff);
        }
    }
}

fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    push_escaped_run(text, out);
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, compare};
    use super::*;

    #[test]
    fn bytes_order_as_values_do() {
        let texts = [
            "",
            "a",
            "A",
            "a1",
            "a01",
            "a10",
            "a2",
            "ab!",
            "ab1",
            "ab",
            "abc",
            "1a",
            "2a",
            "10a",
            "01a",
            "0",
            "1",
            "01",
            "1.0",
            "-1",
            "-1.5",
            "9007199254740993",
            "9007199254740992",
            "9223372036854775808",
            "99999999999999999999999999999999999999999999",
            "!:",
            "#",
            "é",
            "\u{0}x",
            "\u{0}",
            "x\u{0}1",
            "x",
            "-99999999999999999999999999999999999999999999",
            "0.1",
            "1e3",
        ];
        let long = [300, 255, 254].map(|digits| format!("a{}1", "0".repeat(digits - 1)));
        let texts = texts.into_iter().chain(long.iter().map(String::as_str));
        let mut values: Vec<ValueRef<'_>> = texts.map(ValueRef::string).collect();
        values.extend([
            ValueRef::Null,
            ValueRef::Int(7),
            ValueRef::Float(2.5),
            ValueRef::Float(-0.0),
            ValueRef::Time(5),
            ValueRef::Bool(true),
        ]);
        values.push(ValueRef::Text(Kind::Number, b"1e3"));
        values.push(ValueRef::Text(Kind::Map, b"{\"a\":1}"));
        for a in &values {
            for b in &values {
                for descending in [false, true] {
                    let (mut x, mut y) = (Vec::new(), Vec::new());
                    push(*a, descending, false, &mut x);
                    push(*b, descending, false, &mut y);
                    let expected = compare::sort_order(*a, *b);
                    assert_eq!(x.cmp(&y), if descending { expected.reverse() } else { expected }, "{a:?} {b:?}");
                    let (mut x, mut y) = (Vec::new(), Vec::new());
                    push(*a, descending, true, &mut x);
                    push(*b, descending, true, &mut y);
                    let expected = compare::total(*a, *b);
                    assert_eq!(x.cmp(&y), if descending { expected.reverse() } else { expected }, "{a:?} {b:?}");
                }
            }
        }
    }
}
