//! Text to number and back, and the exact comparison of numbers.

use std::cmp::Ordering;

/// A number of the language: an exact integer, a 64-bit float, or an integer beyond 64 bits as its digits.
#[derive(Clone, Copy, Debug)]
pub enum Number<'a> {
    /// Within 64-bit signed range.
    Int(i64),
    /// Finite.
    Float(f64),
    /// `-?[0-9]+` beyond 64 bits; compared exactly, turned into a float by arithmetic.
    Big(&'a str),
}

impl Number<'_> {
    /// The nearest float.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(x) => x,
            Number::Big(d) => d.parse().unwrap_or(f64::MAX),
        }
    }

    /// Numeric order, exact between integers, floats and big integers.
    pub fn compare(self, other: Number<'_>) -> Ordering {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a.cmp(&b),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Number::Int(a), Number::Float(b)) => int_float(a, b),
            (Number::Float(a), Number::Int(b)) => int_float(b, a).reverse(),
            (Number::Big(a), Number::Big(b)) => digits(a).cmp_digits(&digits(b)),
            (Number::Big(a), Number::Int(_)) => big_sign(a),
            (Number::Int(_), Number::Big(b)) => big_sign(b).reverse(),
            (Number::Big(a), Number::Float(b)) => big_float(a, b),
            (Number::Float(a), Number::Big(b)) => big_float(b, a).reverse(),
        }
    }
}

/// An integer beyond 64 bits lies above every `i64`, or below.
fn big_sign(digits: &str) -> Ordering {
    if digits.starts_with('-') { Ordering::Less } else { Ordering::Greater }
}

fn int_float(a: i64, b: f64) -> Ordering {
    // 2^63 is exact as a float; beyond it every i64 is smaller.
    if b >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = b.trunc();
    a.cmp(&(whole as i64)).then_with(|| 0.0.partial_cmp(&(b - whole)).unwrap_or(Ordering::Equal))
}

fn big_float(a: &str, b: f64) -> Ordering {
    // A float this large is a whole number, and `{:.0}` prints it exactly.
    if b.abs() < 9e18 {
        return big_sign(a);
    }
    digits(a).cmp_digits(&digits(&format!("{b:.0}")))
}

struct Digits<'a> {
    negative: bool,
    digits: &'a str,
}

fn digits(text: &str) -> Digits<'_> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    Digits { negative, digits: rest.trim_start_matches('0') }
}

impl Digits<'_> {
    fn cmp_digits(&self, other: &Digits<'_>) -> Ordering {
        let size = self.digits.len().cmp(&other.digits.len()).then_with(|| self.digits.cmp(other.digits));
        match (self.negative, other.negative) {
            (false, false) => size,
            (true, true) => size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// Reads a numeric string: text that matches `-?[0-9]+(\.[0-9]+)?` exactly.
pub fn numeric(text: &[u8]) -> Option<Number<'_>> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    // Most strings are refused by their first byte.
    if !unsigned.first()?.is_ascii_digit() {
        return None;
    }
    let whole = unsigned.iter().take_while(|c| c.is_ascii_digit()).count();
    if whole == unsigned.len() {
        return integer(text);
    }
    let fraction = unsigned[whole..].strip_prefix(b".")?;
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    float(text)
}

/// Reads a number as spelled in JSON; `None` for text that is none, and for a float beyond the 64-bit range.
pub fn json(text: &[u8]) -> Option<Number<'_>> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit) { integer(text) } else { float(text) }
}

/// `-?[0-9]+`, already checked.
fn integer(text: &[u8]) -> Option<Number<'_>> {
    let (negative, unsigned) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if unsigned.len() <= 18 {
        let n = unsigned.iter().fold(0i64, |n, c| n * 10 + i64::from(c - b'0'));
        return Some(Number::Int(if negative { -n } else { n }));
    }
    let text = std::str::from_utf8(text).ok()?;
    Some(text.parse().map_or(Number::Big(text), Number::Int))
}

fn float(text: &[u8]) -> Option<Number<'_>> {
    let x: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    x.is_finite().then_some(Number::Float(x))
}

/// The canonical text of a computed float: ECMAScript `Number::toString` (ECMA-262, "Number::toString"); `-0` is `0`.
pub fn float_text(x: f64) -> String {
    let mut buffer = ryu_js::Buffer::new();
    buffer.format(x).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_strings() {
        for good in ["0", "-1", "007", "1.50", "-0.0", "123456789012345678901234567890"] {
            assert!(numeric(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", "-", "+1", " 1", "1 ", "1e3", "12e4567", ".5", "1.", "0x1", "1.2.3", "--1", "NaN"] {
            assert!(numeric(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn order_is_exact() {
        let ascending = [
            "-99999999999999999999",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "0",
            "0.5",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "99999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (x, y) = (numeric(a.as_bytes()).expect(a), numeric(b.as_bytes()).expect(b));
                assert_eq!(x.compare(y), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(Number::Int(9007199254740993).compare(Number::Float(9007199254740992.0)), Ordering::Greater);
        assert_eq!(Number::Big("100000000000000000000").compare(Number::Float(1e20)), Ordering::Equal);
        assert_eq!(Number::Big("100000000000000000001").compare(Number::Float(1e20)), Ordering::Greater);
        assert_eq!(Number::Int(-1).compare(Number::Float(-1.5)), Ordering::Greater);
    }

    #[test]
    fn float_texts() {
        for (x, text) in [(3.0, "3"), (0.1, "0.1"), (1e21, "1e+21"), (-0.0, "0"), (1e-7, "1e-7"), (-2.5, "-2.5")] {
            assert_eq!(float_text(x), text);
        }
    }
}
