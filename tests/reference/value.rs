//! Values, their canonical text, and what they are as numbers, times and truths.

use num_bigint::BigInt;
use regex::Regex;
use std::sync::LazyLock;

/// A value of the language.
#[derive(Clone, Debug)]
pub enum V {
    Null,
    Bool(bool),
    /// A number and its canonical text: as spelled where it comes from the data.
    Number(N, String),
    String(String),
    /// Epoch milliseconds.
    Time(i64),
    List(Vec<V>),
    Map(Vec<(String, V)>),
}

/// What counts of a number when reckoning.
#[derive(Clone, Debug)]
pub enum N {
    Int(BigInt),
    Float(f64),
}

impl V {
    pub fn string(text: impl Into<String>) -> V {
        V::String(text.into())
    }

    pub fn truth(yes: bool) -> V {
        V::int(i64::from(yes))
    }

    pub fn int(n: impl Into<BigInt>) -> V {
        let n = n.into();
        match i64::try_from(&n) {
            Ok(_) => V::Number(N::Int(n.clone()), n.to_string()),
            // "On 64-bit overflow the result is a float."
            Err(_) => V::float(nearest(&n, &BigInt::from(1))),
        }
    }

    pub fn float(x: f64) -> V {
        if x.is_finite() { V::Number(N::Float(x), float_text(x)) } else { V::Null }
    }

    /// A number as JSON spells it. An integer outside 64 bits keeps its digits as a string.
    pub fn spelled(text: &str) -> V {
        V::number_of(text).settled()
    }

    /// A value by itself that may have been inside of another, where even an integer outside 64 bits is a number.
    pub fn settled(self) -> V {
        match self {
            V::Number(N::Int(n), text) if i64::try_from(&n).is_err() => V::String(text),
            other => other,
        }
    }

    fn number_of(text: &str) -> V {
        if text.contains(['.', 'e', 'E']) {
            return V::Number(N::Float(text.parse().expect("a JSON number")), text.into());
        }
        match text.parse::<BigInt>() {
            Ok(n) => V::Number(N::Int(n), text.into()),
            Err(_) => V::string(text),
        }
    }

    /// A number literal of a query: `404.0` is the number 404, printed so. That it is a float when reckoned with is
    /// nowhere said, but so are the numbers of the data.
    pub fn literal(text: &str) -> V {
        match V::spelled(text) {
            V::Number(N::Float(x), _) => V::float(x),
            other => other,
        }
    }

    /// Values of one text may be of different kinds. Which one stands for all of them is nowhere said; it is the least
    /// in this order, so that it does not depend on the order of rows.
    pub fn kind(&self) -> u8 {
        match self {
            V::Null => 0,
            V::String(_) => 1,
            V::Number(..) => 2,
            V::Bool(_) => 3,
            V::Time(_) => 4,
            V::List(_) => 5,
            V::Map(_) => 6,
        }
    }

    /// Of a time, its milliseconds.
    pub fn millis(&self) -> Option<i64> {
        match self {
            V::Time(ms) => Some(*ms),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, V::Null)
    }

    pub fn is_nested(&self) -> bool {
        matches!(self, V::List(_) | V::Map(_))
    }

    /// Canonical text; null has none.
    pub fn text(&self) -> Option<String> {
        match self {
            V::Null => None,
            V::Bool(b) => Some(b.to_string()),
            V::Number(_, text) | V::String(text) => Some(text.clone()),
            V::Time(ms) => Some(time_text(*ms)),
            V::List(_) | V::Map(_) => Some(self.json()),
        }
    }

    /// The text of a scalar: what functions that expect text work on.
    pub fn scalar(&self) -> Option<String> {
        if self.is_nested() { None } else { self.text() }
    }

    /// Compact JSON.
    pub fn json(&self) -> String {
        match self {
            V::Null => "null".into(),
            V::Bool(_) | V::Number(..) => self.text().expect("not null"),
            V::String(text) => quote(text),
            V::Time(ms) => quote(&time_text(*ms)),
            V::List(items) => format!("[{}]", items.iter().map(V::json).collect::<Vec<_>>().join(",")),
            V::Map(members) => {
                let member = |(key, value): &(String, V)| format!("{}:{}", quote(key), value.json());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The number a number-like value is: number, numeric string, timestamp.
    pub fn number(&self) -> Option<N> {
        match self {
            V::Number(n, _) => Some(n.clone()),
            V::String(text) => numeric(text),
            V::Time(ms) => Some(N::Int((*ms).into())),
            _ => None,
        }
    }

    /// As [`V::number`], and booleans as 1 and 0.
    pub fn number_or_bool(&self) -> Option<N> {
        match self {
            V::Bool(b) => Some(N::Int(i32::from(*b).into())),
            other => other.number(),
        }
    }

    /// What arithmetic, functions and aggregates reckon with. An integer beyond 64 bits is exact where it is compared;
    /// the language says nothing about reckoning with it: it counts as the nearest float.
    pub fn operand(&self) -> Option<N> {
        self.number_or_bool().map(|n| match n {
            N::Int(n) if i64::try_from(&n).is_err() => N::Float(nearest(&n, &BigInt::from(1))),
            n => n,
        })
    }

    /// "Truth of a filter operand".
    pub fn is_true(&self) -> bool {
        match self {
            V::Null | V::List(_) | V::Map(_) => false,
            V::Number(n, _) => !n.is_zero(),
            V::Bool(b) => *b,
            V::String(text) => text.eq_ignore_ascii_case("true") || numeric(text).is_some_and(|n| !n.is_zero()),
            V::Time(_) => true,
        }
    }
}

impl N {
    pub fn is_zero(&self) -> bool {
        match self {
            N::Int(n) => *n == BigInt::ZERO,
            N::Float(x) => *x == 0.0,
        }
    }

    pub fn float(&self) -> f64 {
        match self {
            N::Int(n) => nearest(n, &BigInt::from(1)),
            N::Float(x) => *x,
        }
    }

    /// The number times 2^1074: a whole number, for every float.
    pub fn scaled(&self) -> BigInt {
        match self {
            N::Int(n) => n << 1074,
            N::Float(x) => {
                let bits = x.to_bits();
                let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
                let whole = match exponent {
                    0 => BigInt::from(fraction),
                    _ => BigInt::from(fraction | (1 << 52)) << (exponent - 1),
                };
                if x.is_sign_negative() { -whole } else { whole }
            }
        }
    }

    pub fn value(self) -> V {
        match self {
            N::Int(n) => V::int(n),
            N::Float(x) => V::float(x),
        }
    }
}

/// The float nearest to a quotient, ties to even. The divisor is positive.
pub fn nearest(dividend: &BigInt, divisor: &BigInt) -> f64 {
    let (negative, dividend) = (*dividend < BigInt::ZERO, dividend.magnitude());
    let divisor = divisor.magnitude();
    // 63 or 64 bits of quotient; a last bit of 1 stands for whatever is behind them.
    let shift = divisor.bits() as i64 - dividend.bits() as i64 + 63;
    let (above, below) =
        if shift >= 0 { (dividend << shift, divisor.clone()) } else { (dividend.clone(), divisor << -shift) };
    let (quotient, rest) = (&above / &below, &above % &below);
    let sticky = u64::from(rest.bits() > 0);
    let mantissa = u64::try_from(&quotient).expect("64 bits") | sticky;
    // Two steps, since 2^-shift alone may be out of range.
    let half = shift / 2;
    let x = mantissa as f64 * 2f64.powi(-half as i32) * 2f64.powi(-(shift - half) as i32);
    if negative { -x } else { x }
}

/// `-?[0-9]+(\.[0-9]+)?` exactly.
pub fn numeric(text: &str) -> Option<N> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^-?[0-9]+(\.[0-9]+)?\z").expect("valid"));
    if !FORM.is_match(text) {
        None
    } else if text.contains('.') {
        text.parse().ok().map(N::Float)
    } else {
        text.parse().ok().map(N::Int)
    }
}

/// ECMAScript's `Number::toString`.
fn float_text(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let sign = if x < 0.0 { "-" } else { "" };
    let (digits, exponent) = shortest(x.abs());
    let (count, point) = (digits.len() as i64, exponent + 1);
    let zeros = |n: i64| "0".repeat(n as usize);
    let body = if count <= point && point <= 21 {
        format!("{digits}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        format!("{}.{}", &digits[..point as usize], &digits[point as usize..])
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let fraction = if count > 1 { format!(".{}", &digits[1..]) } else { String::new() };
        format!("{}{fraction}e{:+}", &digits[..1], point - 1)
    };
    format!("{sign}{body}")
}

/// The fewest digits that are read back as the number, and the exponent of the first.
fn shortest(x: f64) -> (String, i64) {
    let taken_apart = |text: String| {
        let (mantissa, exponent) = text.split_once('e').expect("an exponent");
        (mantissa.replace('.', ""), exponent.parse::<i64>().expect("an exponent"))
    };
    let (digits, exponent) = taken_apart(format!("{x:e}"));
    // Of two equally near, ECMAScript takes the even one and Rust the upper.
    let exact = taken_apart(format!("{x:.60e}")).0;
    let exact = exact.trim_end_matches('0');
    match exact.strip_suffix('5') {
        Some(lower) if lower.len() == digits.len() && !lower.ends_with(['1', '3', '5', '7', '9']) => {
            let text = format!("{}.{}e{exponent}", &lower[..1], &lower[1..]);
            let same = text.replace(".e", "e").parse() == Ok(x);
            (if same { lower.to_string() } else { digits }, exponent)
        }
        _ => (digits, exponent),
    }
}

/// A JSON string: only quote, backslash and control characters are escaped.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

fn time_text(ms: i64) -> String {
    let (year, month, day) = date(ms.div_euclid(DAY));
    let of_day = ms.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}", of_day % 1000)
}

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;

fn month_lengths(year: i64) -> [i64; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Year, month and day of the date so many days after 1970-01-01.
pub fn date(days: i64) -> (i64, i64, i64) {
    // The calendar repeats every 400 years.
    let (cycles, mut rest) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let mut year = 1970;
    loop {
        for (month, length) in month_lengths(year).into_iter().enumerate() {
            if rest < length {
                return (year + 400 * cycles, month as i64 + 1, rest + 1);
            }
            rest -= length;
        }
        year += 1;
    }
}

/// The inverse of [`date`]; `None` for a date that is none.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (cycles, of_cycle) = ((year - 1970).div_euclid(400), (year - 1970).rem_euclid(400));
    let lengths = month_lengths(year);
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    let years: i64 = (1970..1970 + of_cycle).map(|y| month_lengths(y).iter().sum::<i64>()).sum();
    let months: i64 = lengths[..month as usize - 1].iter().sum();
    (1..=length).contains(&day).then(|| cycles * 146_097 + years + months + day - 1)
}

/// A time as text: RFC 3339 and its relatives, and the Common Log Format. No epoch numbers.
pub fn read_time(text: &str) -> Option<i64> {
    static ISO: LazyLock<Regex> = LazyLock::new(|| {
        let form = r"^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))?$";
        Regex::new(form).expect("valid")
    });
    static CLF: LazyLock<Regex> = LazyLock::new(|| {
        let form = r"^(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$";
        Regex::new(form).expect("valid")
    });
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |m: Option<regex::Match<'_>>| m.map_or(0, |m| m.as_str().parse::<i64>().expect("digits"));
    let (date, clock, fraction, zone) = if let Some(c) = ISO.captures(text) {
        let date = (number(c.get(1)), number(c.get(2)), number(c.get(3)));
        let fraction = c.get(7).map_or(".0", |m| m.as_str()).to_string();
        (date, (number(c.get(4)), number(c.get(5)), number(c.get(6))), fraction, (c.get(8), c.get(9), c.get(10)))
    } else {
        let c = CLF.captures(text)?;
        let month = MONTHS.iter().position(|m| *m == &c[2])? as i64 + 1;
        let date = (number(c.get(3)), month, number(c.get(1)));
        (date, (number(c.get(4)), number(c.get(5)), number(c.get(6))), ".0".into(), (c.get(7), c.get(8), c.get(9)))
    };
    let days = days(date.0, date.1, date.2)?;
    if clock.0 > 23 || clock.1 > 59 || clock.2 > 59 {
        return None;
    }
    let seconds = days * 86_400 + clock.0 * 3600 + clock.1 * 60 + clock.2;
    let millis: i64 = format!("{fraction}000")[1..4].parse().expect("digits");
    let sign = if zone.0.is_some_and(|s| s.as_str() == "-") { -1 } else { 1 };
    Some((seconds - sign * (number(zone.1) * 3600 + number(zone.2) * 60)) * 1000 + millis)
}

/// A time as the input spells it: also a number, or a numeric string, of epoch milliseconds or seconds.
pub fn read_timestamp(value: &V) -> V {
    let epoch = |n: N| match n.float() {
        x if x.abs() >= 1e11 => x,
        x => x * 1000.0,
    };
    let ms = match value {
        V::Number(..) => value.number().map(|n| epoch(n) as i64),
        V::String(text) => read_time(text).or_else(|| numeric(text).map(|n| epoch(n) as i64)),
        _ => None,
    };
    ms.map_or(V::Null, V::Time)
}

/// Reads JSON. Numbers keep their spelling, which is why this is not `serde_json`.
pub fn read_json(text: &str) -> Option<V> {
    // Whether the text is JSON at all is for a real parser to say; what follows may trust it.
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut rest = text.trim();
    Some(json_value(&mut rest).settled())
}

fn json_value(rest: &mut &str) -> V {
    *rest = rest.trim_start();
    match rest.chars().next().expect("valid JSON") {
        '{' => {
            let mut members: Vec<(String, V)> = Vec::new();
            while next_item(rest, '}') {
                let V::String(key) = json_value(rest) else { unreachable!("keys are strings") };
                *rest = rest.trim_start().strip_prefix(':').expect("valid JSON");
                let value = json_value(rest);
                // The last of equal keys wins.
                members.retain(|(k, _)| *k != key);
                members.push((key, value));
            }
            V::Map(members)
        }
        '[' => {
            let mut items = Vec::new();
            while next_item(rest, ']') {
                items.push(json_value(rest));
            }
            V::List(items)
        }
        '"' => {
            let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let string = strings.next().expect("valid JSON").expect("valid JSON");
            *rest = &rest[strings.byte_offset()..];
            V::String(string)
        }
        _ => {
            let end = rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            *rest = behind;
            match word {
                "null" => V::Null,
                "true" => V::Bool(true),
                "false" => V::Bool(false),
                number => V::number_of(number),
            }
        }
    }
}

/// Goes past the opening bracket or a comma; at the closing bracket, goes past it and says that nothing follows.
fn next_item(rest: &mut &str, close: char) -> bool {
    *rest = rest.trim_start();
    if let Some(behind) = rest.strip_prefix(close) {
        *rest = behind;
        return false;
    }
    *rest = rest[1..].trim_start();
    if let Some(behind) = rest.strip_prefix(close) {
        *rest = behind;
        return false;
    }
    true
}
