//! Functions on numbers. Whole results are exact integers where a float holds them exactly, else floats.

mod round;

use super::{Args, Eval, Function, ROW, Type};
use crate::value::number::{self, Number};
use crate::value::{Kind, Value, ValueRef};
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "abs",
        params: &[("n", Type::Number)],
        result: Type::Number,
        about: "The magnitude of `n`.",
        examples: &[("abs(-7.5)", "7.5"), ("abs(n)", "7.5")],
        eval: Eval::Values(|args| args.map(|row| args.number(0, row).map_or(Value::Null, abs))),
        ..ROW
    },
    Function {
        name: "ceil",
        params: &[("n", Type::Number)],
        result: Type::Number,
        about: "The smallest whole number not below `n`.",
        examples: &[("ceil(1.2)", "2")],
        eval: Eval::Values(|args| args.map(|row| to_whole(args.number(0, row), f64::ceil))),
        ..ROW
    },
    Function {
        name: "floor",
        params: &[("n", Type::Number)],
        result: Type::Number,
        about: "The largest whole number not above `n`.",
        examples: &[("floor(-1.2)", "-2")],
        eval: Eval::Values(|args| args.map(|row| to_whole(args.number(0, row), f64::floor))),
        ..ROW
    },
    Function {
        name: "round",
        params: &[("n", Type::Number), ("places", Type::Number)],
        optional: 1,
        result: Type::Number,
        about: "`n` rounded to `places` decimal places (0), half away from zero as its shortest decimal form shows it.",
        examples: &[
            ("round(2.5)", "3"),
            ("round(-2.5)", "-3"),
            ("round(1.005, 2)", "1.01"),
            ("round(1250, -2)", "1300"),
        ],
        eval: Eval::Values(|args| args.map(|row| round(args, row).unwrap_or_default())),
        ..ROW
    },
    Function {
        name: "sqrt",
        params: &[("n", Type::Number)],
        result: Type::Number,
        about: "The square root; null below 0.",
        examples: &[("sqrt(16)", "4"), ("sqrt(-1)", "")],
        eval: Eval::Values(|args| args.map(|row| float(args.number(0, row), f64::sqrt))),
        ..ROW
    },
    Function {
        name: "log",
        params: &[("n", Type::Number)],
        result: Type::Number,
        about: "The natural logarithm; null for 0 and below.",
        examples: &[("log(1)", "0"), ("log(0)", "")],
        eval: Eval::Values(|args| args.map(|row| float(args.number(0, row), f64::ln))),
        ..ROW
    },
    Function {
        name: "greatest",
        params: &[("n", Type::Number)],
        variadic: true,
        result: Type::Number,
        about: "The largest number among the arguments; what is no number is passed over.",
        examples: &[(r#"greatest(3, "10", missing)"#, "10")],
        eval: Eval::Values(|args| args.map(|row| extreme(args, row, Ordering::Greater))),
        ..ROW
    },
    Function {
        name: "least",
        params: &[("n", Type::Number)],
        variadic: true,
        result: Type::Number,
        about: "The smallest number among the arguments; what is no number is passed over.",
        examples: &[("least(3, 2.5)", "2.5")],
        eval: Eval::Values(|args| args.map(|row| extreme(args, row, Ordering::Less))),
        ..ROW
    },
    Function {
        name: "toNumber",
        params: &[("x", Type::Any)],
        result: Type::Number,
        about: "The number that `x` spells; white space around it, a sign and an exponent are accepted. Else null.",
        examples: &[(r#"toNumber(" 1e3 ")"#, "1000"), (r#"toNumber("0x10")"#, "")],
        eval: Eval::Values(|args| args.map(|row| to_number(args.get(0, row)).map_or(Value::Null, exact))),
        ..ROW
    },
    Function {
        name: "toInt",
        params: &[("x", Type::Any)],
        result: Type::Number,
        about: "`toNumber(x)` cut to a whole number; null outside 32 bits.",
        examples: &[(r#"toInt("-3.9")"#, "-3"), (r#"toInt("3000000000")"#, "")],
        eval: Eval::Values(|args| {
            args.map(|row| match to_long(args.get(0, row)) {
                Some(n) if i32::try_from(n).is_ok() => Value::Int(n),
                _ => Value::Null,
            })
        }),
        ..ROW
    },
    Function {
        name: "toLong",
        params: &[("x", Type::Any)],
        result: Type::Number,
        about: "`toNumber(x)` cut to a whole number; null outside 64 bits.",
        examples: &[(r#"toLong("3000000000")"#, "3000000000")],
        eval: Eval::Values(|args| args.map(|row| to_long(args.get(0, row)).map_or(Value::Null, Value::Int))),
        ..ROW
    },
    Function {
        name: "toDouble",
        params: &[("x", Type::Any)],
        result: Type::Number,
        about: "`toNumber(x)` as a 64-bit float.",
        examples: &[(r#"toDouble("1.50")"#, "1.5")],
        eval: Eval::Values(|args| args.map(|row| float(to_number(args.get(0, row)), |x| x))),
        ..ROW
    },
    Function {
        name: "haversine",
        params: &[("lat1", Type::Number), ("lon1", Type::Number), ("lat2", Type::Number), ("lon2", Type::Number)],
        result: Type::Number,
        about: "Kilometres between two places, in degrees, along a sphere of radius 6371 km.",
        examples: &[
            ("round(haversine(52.52, 13.405, 48.8566, 2.3522))", "877"),
            ("round(haversine(0, 0, 0, 180), 3)", "20015.087"),
        ],
        eval: Eval::Values(|args| args.map(|row| haversine(args, row).unwrap_or_default())),
        ..ROW
    },
    Function {
        name: "isNumeric",
        params: &[("x", Type::Any)],
        result: Type::Predicate,
        about: "1 where `x` is a number or a numeric string: digits, perhaps a minus and a fraction, nothing else.",
        examples: &[(r#"isNumeric("12e4567")"#, "0"), (r#"isNumeric("-12.5")"#, "1")],
        eval: Eval::Predicate(|args| {
            args.test(|row| {
                let x = args.get(0, row);
                x.timestamp().is_none() && x.number().is_some()
            })
        }),
        ..ROW
    },
    Function {
        name: "hexToDec",
        params: &[("s", Type::Text)],
        result: Type::Number,
        about: "The number a hexadecimal text stands for, `0x` in front or not, exact up to 128 bits. Else null.",
        examples: &[(r#"hexToDec("0xff")"#, "255")],
        eval: Eval::Values(|args| args.map(|row| hex_to_dec(args, row).unwrap_or_default())),
        ..ROW
    },
    Function {
        name: "decToHex",
        params: &[("n", Type::Number)],
        result: Type::Text,
        about: "Hexadecimal text such as `0xff`; a fraction is cut off. Null beyond 128 bits.",
        examples: &[("decToHex(-255)", "-0xff"), ("decToHex(255)", "0xff")],
        eval: Eval::Values(|args| args.map(|row| dec_to_hex(args, row).unwrap_or_default())),
        ..ROW
    },
];

/// Below this magnitude every whole float is an exact integer; from it on, a float is whole anyway and left alone.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole float as an integer.
fn whole(x: f64) -> Value {
    if x.abs() < EXACT { Value::Int(x as i64) } else { Value::float(x) }
}

/// The number as a value. One beyond 64 bits keeps its digits, as in the data.
fn exact(n: Number<'_>) -> Value {
    match n {
        Number::Int(n) => Value::Int(n),
        Number::Float(x) => Value::float(x),
        Number::Big(digits) => Value::string(digits),
    }
}

fn float(n: Option<Number<'_>>, f: fn(f64) -> f64) -> Value {
    n.map_or(Value::Null, |n| Value::float(f(n.as_f64())))
}

fn abs(n: Number<'_>) -> Value {
    match n {
        Number::Int(n) => n.checked_abs().map_or_else(|| Value::float((n as f64).abs()), Value::Int),
        other => Value::float(other.as_f64().abs()),
    }
}

fn to_whole(n: Option<Number<'_>>, f: fn(f64) -> f64) -> Value {
    match n {
        None => Value::Null,
        Some(Number::Int(n)) => Value::Int(n),
        Some(other) => whole(f(other.as_f64())),
    }
}

fn round(args: &Args<'_>, row: usize) -> Option<Value> {
    let n = args.number(0, row)?;
    let places = if args.len() > 1 { args.integer(1, row)? } else { 0 };
    Some(match n {
        Number::Int(n) => round::int(n, places),
        other if places <= 0 => whole(round::float(other.as_f64(), places)),
        other => Value::float(round::float(other.as_f64(), places)),
    })
}

/// The argument that stands furthest in `direction`, the first among equals.
fn extreme(args: &Args<'_>, row: usize, direction: Ordering) -> Value {
    let numbers = (0..args.len()).filter_map(|arg| args.number(arg, row));
    numbers.reduce(|best, n| if n.compare(best) == direction { n } else { best }).map_or(Value::Null, exact)
}

/// What `toNumber` reads: a string may have white space around, a sign and an exponent.
fn to_number(x: ValueRef<'_>) -> Option<Number<'_>> {
    match x {
        ValueRef::Text(Kind::String, text) => read(std::str::from_utf8(text).ok()?.trim()),
        other => other.operand(),
    }
}

fn read(text: &str) -> Option<Number<'_>> {
    let unsigned = match text.strip_prefix('+') {
        Some(rest) if rest.starts_with('-') => return None,
        Some(rest) => rest,
        None => text,
    };
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else {
        return number::numeric(unsigned.as_bytes());
    };
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let spelled = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    number::numeric(mantissa.as_bytes()).filter(|_| spelled)?;
    unsigned.parse().ok().filter(|x: &f64| x.is_finite()).map(Number::Float)
}

fn to_long(x: ValueRef<'_>) -> Option<i64> {
    match to_number(x)? {
        Number::Int(n) => Some(n),
        // Both bounds are exact as floats; the upper one is just beyond 64 bits.
        Number::Float(x) if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) => Some(x as i64),
        Number::Float(_) | Number::Big(_) => None,
    }
}

const EARTH_RADIUS_KM: f64 = 6371.0;

fn haversine(args: &Args<'_>, row: usize) -> Option<Value> {
    let radians = |arg| args.number(arg, row).map(|n| n.as_f64().to_radians());
    let (lat1, lon1, lat2, lon2) = (radians(0)?, radians(1)?, radians(2)?, radians(3)?);
    let half_chord =
        ((lat2 - lat1) / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * ((lon2 - lon1) / 2.0).sin().powi(2);
    // Opposite places may come out a rounding error above 1.
    Some(Value::float(2.0 * EARTH_RADIUS_KM * half_chord.sqrt().min(1.0).asin()))
}

fn hex_to_dec(args: &Args<'_>, row: usize) -> Option<Value> {
    let text = args.text(0, row)?;
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text.as_ref()), |rest| ("-", rest));
    let digits = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")).unwrap_or(unsigned);
    // `from_str_radix` alone would take a sign here.
    if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u128::from_str_radix(digits, 16).ok()?;
    let decimal = format!("{sign}{magnitude}");
    Some(decimal.parse().map_or_else(|_| Value::string(&decimal), Value::Int))
}

fn dec_to_hex(args: &Args<'_>, row: usize) -> Option<Value> {
    let n = match args.number(0, row)? {
        Number::Int(n) => i128::from(n),
        Number::Float(x) if x.abs() < 2f64.powi(127) => x as i128,
        Number::Float(_) => return None,
        Number::Big(digits) => digits.parse().ok()?,
    };
    let sign = if n < 0 { "-" } else { "" };
    Some(Value::string(format!("{sign}0x{:x}", n.unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn whole_numbers() {
        check(&[
            ("abs(-9223372036854775807)", "9223372036854775807"),
            ("abs(-9223372036854775808)", "9223372036854776000"),
            (r#"abs("-12345678901234567890123")"#, "1.2345678901234568e+22"),
            ("abs(true)", "1"),
            ("abs(missing)", ""),
            ("abs(l)", ""),
            (r#"abs("x")"#, ""),
            ("ceil(-0.5)", "0"),
            ("ceil(9007199254740993)", "9007199254740993"),
            ("ceil(1e300)", "1e+300"),
            (r#"floor("7.9")"#, "7"),
            ("floor(1152921504606846976.5)", "1152921504606847000"),
            ("floor(m)", ""),
        ]);
    }

    #[test]
    fn rounding() {
        check(&[
            ("round(-2.5)", "-3"),
            ("round(0.49999999999999994)", "0"),
            ("round(2.675, 2)", "2.68"),
            ("round(-1.005, 2)", "-1.01"),
            ("round(1.45, 1)", "1.5"),
            ("round(1.4, 5)", "1.4"),
            ("round(0.05, 1)", "0.1"),
            ("round(0.04, 1)", "0"),
            ("round(0.5, -1)", "0"),
            ("round(99.99, 1)", "100"),
            ("round(14.9, -1)", "10"),
            ("round(15.1, -1)", "20"),
            ("round(5, -1)", "10"),
            ("round(-4, -1)", "0"),
            ("round(9223372036854775807, -1)", "9223372036854776000"),
            ("round(9223372036854775807, -19)", "10000000000000000000"),
            ("round(9223372036854775807, -20)", "0"),
            ("round(1e300, 2)", "1e+300"),
            ("round(1.5, 1000000)", "1.5"),
            ("round(1.5, -1000000)", "0"),
            ("round(1.26, 1.9)", "1.3"),
            ("round(1.5, missing)", ""),
            ("round(missing, 1)", ""),
        ]);
    }

    #[test]
    fn reading_numbers() {
        check(&[
            (r#"toNumber("+5")"#, "5"),
            (r#"toNumber("+-5")"#, ""),
            (r#"toNumber("-2.50")"#, "-2.5"),
            (r#"toNumber("1E+2")"#, "100"),
            (r#"toNumber("1e")"#, ""),
            (r#"toNumber("1e+")"#, ""),
            (r#"toNumber("1e400")"#, ""),
            (r#"toNumber(".5")"#, ""),
            (r#"toNumber("inf")"#, ""),
            (r#"toNumber("NaN")"#, ""),
            (r#"toNumber("")"#, ""),
            (r#"toNumber("12345678901234567890123")"#, "12345678901234567890123"),
            ("toNumber(true)", "1"),
            ("toNumber(@timestamp)", "1714559832345"),
            ("toNumber(l)", ""),
            ("toNumber(latin)", ""),
            ("toInt(2147483647.9)", "2147483647"),
            ("toInt(-2147483649)", ""),
            ("toInt(missing)", ""),
            (r#"toLong("9223372036854775807")"#, "9223372036854775807"),
            (r#"toLong("9223372036854775808")"#, ""),
            ("toLong(9.3e18)", ""),
            ("toLong(-0.9)", "0"),
            (r#"toDouble("9007199254740993")"#, "9007199254740992"),
            ("toDouble(missing)", ""),
            ("isNumeric(n)", "1"),
            (r#"isNumeric("")"#, "0"),
            (r#"isNumeric(" 1")"#, "0"),
            ("isNumeric(true)", "0"),
            ("isNumeric(@timestamp)", "0"),
            ("isNumeric(missing)", "0"),
        ]);
    }

    #[test]
    fn extremes() {
        check(&[
            (r#"greatest("x", missing, l)"#, ""),
            ("greatest(9007199254740993, 9007199254740992.0)", "9007199254740993"),
            (r#"greatest("99999999999999999999", 5)"#, "99999999999999999999"),
            (r#"least("007", 8)"#, "7"),
            ("least(true, 2)", "1"),
            ("least(-0.5, -1e-7, n)", "-7.5"),
        ]);
    }

    #[test]
    fn hexadecimal() {
        check(&[
            (r#"hexToDec("FF")"#, "255"),
            (r#"hexToDec("-0X10")"#, "-16"),
            (r#"hexToDec("7fffffffffffffff")"#, "9223372036854775807"),
            (r#"hexToDec("0xffffffffffffffff")"#, "18446744073709551615"),
            (r#"hexToDec("ffffffffffffffffffffffffffffffff")"#, "340282366920938463463374607431768211455"),
            (r#"hexToDec("1ffffffffffffffffffffffffffffffff")"#, ""),
            (r#"hexToDec("-8000000000000000")"#, "-9223372036854775808"),
            (r#"hexToDec("0x")"#, ""),
            (r#"hexToDec("0x+1")"#, ""),
            (r#"hexToDec("")"#, ""),
            (r#"hexToDec("fg")"#, ""),
            ("hexToDec(10)", "16"),
            ("hexToDec(missing)", ""),
            ("decToHex(0)", "0x0"),
            ("decToHex(-0.9)", "0x0"),
            ("decToHex(255.9)", "0xff"),
            ("decToHex(1e40)", ""),
            (r#"decToHex("18446744073709551615")"#, "0xffffffffffffffff"),
            (r#"decToHex("x")"#, ""),
            ("decToHex(missing)", ""),
        ]);
    }

    #[test]
    fn distances() {
        check(&[
            ("haversine(1, 2, 1, 2)", "0"),
            ("round(haversine(90, 0, -90, 77), 3)", "20015.087"),
            (r#"round(haversine("40.7128", "-74.006", 35.6895, 139.6917))"#, "10849"),
            ("haversine(1, 2, missing, 4)", ""),
            ("haversine(1, 2, 3, \"x\")", ""),
            ("sqrt(missing)", ""),
            (r#"sqrt("2.25")"#, "1.5"),
            ("log(-1)", ""),
        ]);
    }
}
