//! Time stamps: the forms an input may spell them in, and the one form they are printed in.
//!
//! All instants are milliseconds since 1970-01-01T00:00Z. Logs are read by the million, so the fixed forms are read
//! by hand; time zones, names and formats of the functions are jiff's.

/// Reads any form of the language reference ("Events and system fields"), epoch numbers included.
///
/// RFC 3339, `YYYY-MM-DD[ T]HH:MM[:SS[.fff]][Z|±hh[:]mm]` (no offset means UTC), a bare date, CLF
/// `10/Oct/2000:13:55:36 -0700`, or a number: epoch milliseconds from a magnitude of 1e11, else epoch seconds.
pub fn parse(text: &[u8]) -> Option<i64> {
    parse_readable(text).or_else(|| match super::number::numeric(text)? {
        super::number::Number::Int(n) => Some(epoch(n)),
        super::number::Number::Float(x) => epoch_float(x),
        super::number::Number::Big(_) => None,
    })
}

/// Epoch milliseconds if the magnitude is at least 1e11, else epoch seconds.
pub fn epoch(n: i64) -> i64 {
    if n.unsigned_abs() >= 100_000_000_000 { n } else { n * 1000 }
}

/// [`epoch`] for numbers with a fraction; `None` beyond the range of milliseconds.
pub fn epoch_float(x: f64) -> Option<i64> {
    let millis = if x.abs() >= 1e11 { x } else { x * 1000.0 };
    // Halfway cases of a fraction such as .0005 do not matter; a float of milliseconds is exact far beyond our years.
    (millis.abs() < 9e15).then_some(millis.floor() as i64)
}

/// Reads the forms of [`parse`] except epoch numbers: what a string compared with a timestamp may be.
pub fn parse_readable(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    match text {
        [_, _, _, _, b'-', ..] => parse_iso(text),
        [_, b'/', ..] | [_, _, b'/', ..] => parse_clf(text),
        _ => None,
    }
}

/// Reads `YYYY-MM-DD HH:MM:SS.mmm`, the canonical text of a timestamp (years beyond four digits included).
pub fn parse_canonical(text: &[u8]) -> Option<i64> {
    // Years of other than four digits come from arithmetic alone.
    const REST: usize = "-MM-DD HH:MM:SS.mmm".len();
    match text.split_at_checked(text.len().wrapping_sub(REST)) {
        Some((year, rest)) if year.len() > 4 || year.starts_with(b"-") => far(year, rest),
        _ => parse_iso(text),
    }
}

/// A time in a year before 0 or after 9999.
fn far(year: &[u8], rest: &[u8]) -> Option<i64> {
    let (sign, digits) = match year.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, year),
    };
    let field = |at: usize| number(rest.get(at..at + 2)?);
    let year = (digits.len() <= 9).then(|| number(digits))??;
    let (day, hour) = (days_from_civil(sign * year, field(1)?, field(4)?), field(7)?);
    let of_day = ((hour * 60 + field(10)?) * 60 + field(13)?) * 1000 + number(rest.get(16..)?)?;
    i64::try_from(i128::from(day) * 86_400_000 + i128::from(of_day)).ok()
}

/// The time that a text of this very form spells, whatever its kind: only such a text is the same as a time.
#[inline]
pub(crate) fn as_canonical(text: &[u8]) -> Option<i64> {
    if text.len() != 23 || text[10] != b' ' {
        return None;
    }
    parse_canonical(text).filter(|ms| format(*ms).as_bytes() == text)
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut n = 0;
    for c in digits {
        if !c.is_ascii_digit() {
            return None;
        }
        n = n * 10 + i64::from(c - b'0');
    }
    Some(n)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn days_checked(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    (1..=last).contains(&day).then(|| days_from_civil(year, month, day))
}

/// `HH:MM[:SS[.fff]]` at the start of `text`: milliseconds of the day and what follows.
///
/// A leap second `:60` is read as the last millisecond before the next minute, so that order is kept.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (h, m) = (number(text.get(..2)?)?, number(text.get(3..5)?)?);
    if text[2] != b':' || h > 23 || m > 59 {
        return None;
    }
    let minute = (h * 60 + m) * 60_000;
    let Some(rest) = text[5..].strip_prefix(b":") else { return Some((minute, &text[5..])) };
    let seconds = number(rest.get(..2)?)?;
    if seconds > 60 {
        return None;
    }
    let mut rest = &rest[2..];
    let mut millis = 0;
    if let [b'.' | b',', digit, ..] = rest
        && digit.is_ascii_digit()
    {
        let digits = rest[1..].iter().take_while(|c| c.is_ascii_digit()).count();
        let mut scale = 100;
        for c in &rest[1..=digits] {
            millis += i64::from(c - b'0') * scale;
            scale /= 10;
        }
        rest = &rest[1 + digits..];
    }
    if seconds == 60 {
        return Some((minute + 59_999, rest));
    }
    Some((minute + seconds * 1000 + millis, rest))
}

/// `Z`, `±hh:mm`, `±hhmm`, `±hh`, `UTC`, or nothing: the offset in milliseconds.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let (sign, rest) = match text {
        b"" | b"Z" | b"z" | b"UTC" | b"GMT" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (h, m) = match rest {
        [_, _] => (number(rest)?, 0),
        [_, _, _, _] => (number(&rest[..2])?, number(&rest[2..])?),
        [_, _, b':', _, _] => (number(&rest[..2])?, number(&rest[3..])?),
        _ => return None,
    };
    (h <= 23 && m <= 59).then_some(sign * (h * 60 + m) * 60_000)
}

fn parse_iso(text: &[u8]) -> Option<i64> {
    let (year, month, day) = (number(text.get(..4)?)?, number(text.get(5..7)?)?, number(text.get(8..10)?)?);
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let date = days_checked(year, month, day)? * 86_400_000;
    match text.get(10) {
        None => Some(date),
        Some(b'T' | b't' | b' ') => {
            let (of_day, zone) = clock(&text[11..])?;
            Some(date + of_day - offset(zone)?)
        }
        Some(_) => None,
    }
}

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The number of a month from the first three letters of its English name, any case.
pub fn month_number(name: &[u8]) -> Option<i64> {
    let name = name.get(..3)?;
    MONTHS.iter().position(|m| name.eq_ignore_ascii_case(&m[..])).map(|m| m as i64 + 1)
}

/// Common Log Format: `d[d]/Mon/yyyy:HH:MM:SS[.fff] [±hhmm]`.
fn parse_clf(text: &[u8]) -> Option<i64> {
    let slash = text.iter().position(|c| *c == b'/')?;
    let rest = &text[slash + 1..];
    if rest.get(3) != Some(&b'/') || rest.get(8) != Some(&b':') {
        return None;
    }
    let days = days_checked(number(&rest[4..8])?, month_number(rest)?, number(&text[..slash])?)?;
    let (of_day, zone) = clock(&rest[9..])?;
    Some(days * 86_400_000 + of_day - offset(zone)?)
}

/// The canonical text: `YYYY-MM-DD HH:MM:SS.mmm`, UTC.
pub fn format(millis: i64) -> String {
    let (day, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (y, mo, d) = civil_from_days(day);
    let (h, m, s, ms) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60, of_day % 1000);
    if !(0..=9999).contains(&y) {
        return format!("{y:04}-{mo:02}-{d:02} {h:02}:{m:02}:{s:02}.{ms:03}");
    }
    // Digit by digit: answers have times in millions, and what `format!` does for each is most of writing them.
    let mut text = *b"0000-00-00 00:00:00.000";
    for (end, number) in [(4, y), (7, mo), (10, d), (13, h), (16, m), (19, s), (23, ms)] {
        let (mut rest, mut at) = (number, end);
        while rest > 0 {
            at -= 1;
            text[at] += (rest % 10) as u8;
            rest /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The same day and time a calendar month before; the last day of that month where it has no such day.
pub fn month_before(millis: i64) -> i64 {
    let (day, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, date) = civil_from_days(day);
    let (year, before) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    let first_of_next = days_from_civil(year + i64::from(before == 12), before % 12 + 1, 1);
    let same_day = days_from_civil(year, before, date).min(first_of_next - 1);
    same_day.saturating_mul(86_400_000).saturating_add(of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_before() {
        for (text, before) in [
            ("2024-05-01T12:00:00Z", "2024-04-01 12:00:00.000"),
            ("2024-03-31T00:00:00.001Z", "2024-02-29 00:00:00.001"),
            ("2024-01-15T00:00:00Z", "2023-12-15 00:00:00.000"),
            ("2023-12-31T00:00:00Z", "2023-11-30 00:00:00.000"),
        ] {
            assert_eq!(format(month_before(parse(text.as_bytes()).expect("a time"))), before, "{text}");
        }
    }

    #[test]
    fn forms() {
        let noon = 1_714_564_800_000;
        for (text, expected) in [
            ("2024-05-01T12:00:00Z", noon),
            ("2024-05-01 12:00:00.000", noon),
            ("2024-05-01T12:00:00.123456789Z", noon + 123),
            ("2024-05-01T14:00:00+02:00", noon),
            ("2024-05-01 14:00:00 +0200", noon),
            ("2024-05-01T12:00", noon),
            ("2024-05-01", noon - 43_200_000),
            ("01/May/2024:12:00:00 +0000", noon),
            ("1/may/2024:05:00:00 -0700", noon),
            ("1714564800", noon),
            ("1714564800000", noon),
            ("1714564800.5", noon + 500),
            ("2016-12-31T23:59:60Z", 1_483_228_799_999),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
        for bad in [
            "",
            "2024-13-01",
            "2024-02-30",
            "2024-05-01T25:00:00Z",
            "2024-05-01x",
            "yesterday",
            "1/Foo/2024:00:00:00",
            "2024-5-1",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn canonical_text_returns() {
        let far = [i64::MIN, -8_943_000_000_000_001, -62_300_000_000_000, 253_402_300_800_000, i64::MAX];
        for t in [0, -1, 1_714_559_832_345, -62_135_596_800_000, 253_402_300_799_999].into_iter().chain(far) {
            assert_eq!(parse_canonical(format(t).as_bytes()), Some(t));
        }
        assert_eq!(format(1_714_559_832_345), "2024-05-01 10:37:12.345");
    }
}
