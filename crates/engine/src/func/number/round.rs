//! Rounding to decimal places, half away from zero, decided on the digits people see.

use crate::value::Value;
use std::fmt::Write;

/// An integer rounded to `places`; only negative places change it.
pub(super) fn int(n: i64, places: i64) -> Value {
    if places >= 0 {
        return Value::Int(n);
    }
    // 10^19 is the last power an i64 can be rounded up to.
    if places < -19 {
        return Value::Int(0);
    }
    let unit = 10i128.pow(places.unsigned_abs() as u32);
    let magnitude = (i128::from(n).abs() + unit / 2) / unit * unit;
    let rounded = if n < 0 { -magnitude } else { magnitude };
    i64::try_from(rounded).map_or_else(|_| Value::float(rounded as f64), Value::Int)
}

/// A float rounded to `places`, decided on its shortest decimal form: 1.005 to 2 places is 1.01, although the float
/// nearest to 1.005 lies below it.
pub(super) fn float(x: f64, places: i64) -> f64 {
    // The shortest form of a float is a half only where the float is one, so whole places need no digits.
    if places == 0 {
        return x.round();
    }
    // Digits of a float stand between places -309 and 1074.
    let places = places.clamp(-400, 1100) as i32;
    let mut text = String::with_capacity(32);
    // Writing to a string does not fail; were it to, the number comes back as it is.
    let Ok(()) = write!(text, "{:e}", x.abs()) else { return x };
    let Some((mantissa, exponent)) = text.split_once('e') else { return x };
    let Ok(exponent) = exponent.parse::<i32>() else { return x };
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let keep = exponent + 1 + places;
    let Ok(keep) = usize::try_from(keep) else { return 0.0 };
    let Some(next) = digits.get(keep) else { return x };
    // At most 17 digits, so that one more unit fits.
    let kept = digits[..keep].iter().fold(0u64, |n, c| n * 10 + u64::from(c - b'0')) + u64::from(*next >= b'5');
    let magnitude = format!("{kept}e{}", -places).parse().unwrap_or(x.abs());
    f64::copysign(magnitude, x)
}

#[cfg(test)]
mod tests {
    #[test]
    fn agrees_with_digits_of_decimals() {
        // Every k/1000 rounded to two places, against integer arithmetic.
        for k in -20_000i32..=20_000 {
            let units = (k.abs() + 5) / 10 * k.signum();
            let expected: f64 = format!("{units}e-2").parse().expect("a decimal");
            let x: f64 = format!("{k}e-3").parse().expect("a decimal");
            assert_eq!(super::float(x, 2), expected, "{k}e-3");
        }
    }
}
