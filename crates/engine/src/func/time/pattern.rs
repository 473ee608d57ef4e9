//! `parseDate`: dates read by a pattern of Java letters.

use crate::value::time::days_from_civil;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A pattern, taken apart: letters `y M d H h m s S a E X Z`, text in quotes, and everything that is no letter.
pub(super) struct Pattern(Vec<Piece>);

enum Piece {
    Text(String),
    Field {
        letter: char,
        /// How often the letter stands there.
        count: usize,
        /// Digits follow at once in the next field, so exactly `count` are taken.
        fixed: bool,
    },
}

impl Pattern {
    /// Reads a pattern; `None` for a letter it does not know or an open quote.
    pub(super) fn read(text: &str) -> Option<Pattern> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = match c {
                'y' | 'M' | 'd' | 'H' | 'h' | 'm' | 's' | 'S' | 'a' | 'E' | 'X' | 'Z' => {
                    let count = rest.chars().take_while(|next| *next == c).count();
                    if let Some(Piece::Field { letter, count: before, fixed }) = pieces.last_mut() {
                        *fixed = is_digits(c, count) && is_digits(*letter, *before);
                    }
                    pieces.push(Piece::Field { letter: c, count, fixed: false });
                    count
                }
                '\'' => {
                    let (quoted, taken) = quoted(&rest[1..])?;
                    pieces.push(Piece::Text(quoted));
                    taken + 1
                }
                c if c.is_ascii_alphabetic() => return None,
                c => {
                    pieces.push(Piece::Text(c.into()));
                    c.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        Some(Pattern(pieces))
    }

    /// Epoch milliseconds of the date that all of `text` spells, in `zone` unless it names an offset. What the pattern
    /// leaves out is taken from 1970-01-01T00:00. A time that clocks skip is read as if they had not been put forward;
    /// of one they show twice the first is meant.
    pub(super) fn parse(&self, text: &str, zone: &TimeZone) -> Option<i64> {
        let mut found = Found::default();
        let mut rest = text;
        for piece in &self.0 {
            rest = match piece {
                Piece::Text(literal) => rest.strip_prefix(literal.as_str())?,
                Piece::Field { letter, count, fixed } => found.take(*letter, *count, *fixed, rest)?,
            };
        }
        if rest.is_empty() { found.millis(zone) } else { None }
    }
}

/// True for fields that are spelled in digits only.
fn is_digits(letter: char, count: usize) -> bool {
    match letter {
        'M' => count <= 2,
        'a' | 'E' | 'X' | 'Z' => false,
        _ => true,
    }
}

/// What stands before the closing quote, two quotes in it being one, and how many bytes were read with that quote; two
/// quotes with nothing between them are a quote.
fn quoted(text: &str) -> Option<(String, usize)> {
    if text.starts_with('\'') {
        return Some(("'".into(), 1));
    }
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
            return Some((out, at + 1));
        }
        out.push(c);
    }
    None
}

/// What was read so far.
struct Found {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    /// Hour of a half day, where `h` was read.
    half_day_hour: Option<i8>,
    afternoon: bool,
    minute: i8,
    second: i8,
    nano: i32,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
}

impl Default for Found {
    fn default() -> Found {
        Found {
            year: 1970,
            month: 1,
            day: 1,
            hour: 0,
            half_day_hour: None,
            afternoon: false,
            minute: 0,
            second: 0,
            nano: 0,
            offset: None,
        }
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Found {
    /// Reads one field at the start of `text` and gives what follows.
    fn take<'t>(&mut self, letter: char, count: usize, fixed: bool, text: &'t str) -> Option<&'t str> {
        let exact = |n| digits(text, n, n);
        let up_to = |max| if fixed { digits(text, count, count) } else { digits(text, 1, max) };
        let small = |(n, rest): (i64, &'t str)| Some((i8::try_from(n).ok()?, rest));
        match letter {
            'y' => {
                let (n, rest) = match count {
                    1 => up_to(4)?,
                    n => exact(n)?,
                };
                // Two digits are a year of this century, as java.time has it.
                self.year = i16::try_from(if count == 2 { n + 2000 } else { n }).ok()?;
                Some(rest)
            }
            'M' if count > 2 => {
                let (at, rest) = name(text, &MONTHS)?;
                self.month = at;
                Some(rest)
            }
            'M' => {
                let (n, rest) = small(up_to(2)?)?;
                self.month = n;
                Some(rest)
            }
            'd' => {
                let (n, rest) = small(up_to(2)?)?;
                self.day = n;
                Some(rest)
            }
            'H' => {
                let (n, rest) = small(up_to(2)?)?;
                self.hour = n;
                Some(rest)
            }
            'h' => {
                let (n, rest) = small(up_to(2)?)?;
                self.half_day_hour = Some(n);
                Some(rest)
            }
            'm' => {
                let (n, rest) = small(up_to(2)?)?;
                self.minute = n;
                Some(rest)
            }
            's' => {
                let (n, rest) = small(up_to(2)?)?;
                self.second = n;
                Some(rest)
            }
            'S' => {
                let (n, rest) = up_to(9)?;
                let places = text.len() - rest.len();
                self.nano = i32::try_from(n * 10i64.pow(9u32.checked_sub(places as u32)?)).ok()?;
                Some(rest)
            }
            'a' => {
                let half = text.get(..2)?;
                self.afternoon = half.eq_ignore_ascii_case("pm");
                (self.afternoon || half.eq_ignore_ascii_case("am")).then(|| &text[2..])
            }
            // The date decides; a wrong name of the day is not held against it.
            'E' => name(text, &DAYS).map(|(_, rest)| rest),
            _ => {
                let (seconds, rest) = offset(text)?;
                self.offset = Some(seconds);
                Some(rest)
            }
        }
    }

    fn millis(&self, zone: &TimeZone) -> Option<i64> {
        let hour = match self.half_day_hour {
            Some(hour) if (1..=12).contains(&hour) => hour % 12 + if self.afternoon { 12 } else { 0 },
            Some(_) => return None,
            None => self.hour,
        };
        // A leap second is the last moment of its minute, as when events are read.
        let (second, nano) = if self.second == 60 { (59, 999_999_999) } else { (self.second, self.nano) };
        let local = DateTime::new(self.year, self.month, self.day, hour, self.minute, second, nano).ok()?;
        let offset = match self.offset {
            Some(seconds) => seconds,
            None => match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
                AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before.seconds(),
            },
        };
        let days = days_from_civil(self.year.into(), self.month.into(), self.day.into());
        let seconds = i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(second) - i64::from(offset);
        Some(days * 86_400_000 + seconds * 1000 + i64::from(nano / 1_000_000))
    }
}

/// A number of at least `min` and at most `max` digits at the start of `text`, and what follows.
fn digits(text: &str, min: usize, max: usize) -> Option<(i64, &str)> {
    let found = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let number = text[..found].parse().ok()?;
    (found >= min).then(|| (number, &text[found..]))
}

/// The position, from 1, of the name at the start of `text`: in full or its first three letters, any case.
fn name<'t>(text: &'t str, names: &[&str]) -> Option<(i8, &'t str)> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    for (name, position) in names.iter().zip(1i8..) {
        for length in [name.len(), 3] {
            if starts(&name[..length]) {
                return Some((position, &text[length..]));
            }
        }
    }
    None
}

/// `Z`, `UTC`, `GMT`, `±hh`, `±hhmm` or `±hh:mm` at the start of `text`: seconds east of Greenwich, and what follows.
pub(super) fn offset(text: &str) -> Option<(i32, &str)> {
    for zero in ["Z", "UTC", "GMT"] {
        if let Some(rest) = text.strip_prefix(zero) {
            return Some((0, rest));
        }
    }
    let (sign, unsigned) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, rest) = digits(unsigned, 2, 2)?;
    let minutes = digits(rest.strip_prefix(':').unwrap_or(rest), 2, 2);
    let (minutes, rest) = minutes.unwrap_or((0, rest));
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours <= 23 && minutes <= 59).then_some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn dates() {
        let cases = [
            ("2024-02-29", "yyyy-MM-dd", "2024-02-29 00:00:00.000"),
            ("2023-02-29", "yyyy-MM-dd", ""),
            ("2024-13-01", "yyyy-MM-dd", ""),
            ("2024-5-1", "yyyy-M-d", "2024-05-01 00:00:00.000"),
            ("2024-5-1", "yyyy-MM-dd", "2024-05-01 00:00:00.000"),
            ("01/05/2024", "yyyy-MM-dd", ""),
            ("24-05-01", "yyyy-MM-dd", ""),
            ("24-05-01", "yy-MM-dd", "2024-05-01 00:00:00.000"),
            ("20240501103712345", "yyyyMMddHHmmssSSS", "2024-05-01 10:37:12.345"),
            ("2024-05-01T10:37:12.345678Z", "yyyy-MM-dd'T'HH:mm:ss.SSSX", "2024-05-01 10:37:12.345"),
            ("2024-05-01T10:37:12.3+02:00", "yyyy-MM-dd'T'HH:mm:ss.SXXX", "2024-05-01 08:37:12.300"),
            ("10/Oct/2000:13:55:36 -0700", "dd/MMM/yyyy:HH:mm:ss Z", "2000-10-10 20:55:36.000"),
            ("Wed, 1 MAY 2024 10:37:12 GMT", "EEE, d MMM yyyy HH:mm:ss Z", "2024-05-01 10:37:12.000"),
            ("Wednesday 1 September 2024", "EEEE d MMMM yyyy", "2024-09-01 00:00:00.000"),
            ("1 Sept 2024", "d MMM yyyy", ""),
            ("May  1 10:37:12", "MMM  d HH:mm:ss", "1970-05-01 10:37:12.000"),
            ("12:30 am", "hh:mm a", "1970-01-01 00:30:00.000"),
            ("12:30 PM", "h:mm a", "1970-01-01 12:30:00.000"),
            ("11:30PM", "h:mma", "1970-01-01 23:30:00.000"),
            ("13:30 PM", "h:mm a", ""),
            ("3 o'clock", "h 'o''clock'", "1970-01-01 03:00:00.000"),
            ("'24", "''yy", "2024-01-01 00:00:00.000"),
            ("2024 Q", "yyyy 'Q", ""),
            ("2024T", "yyyyT", ""),
            ("2024", "YYYY", ""),
            ("2024-05-01 x", "yyyy-MM-dd", ""),
            ("x 2024-05-01", "yyyy-MM-dd", ""),
            ("2024-05-01", "yyyy-MM-dd HH", ""),
            ("2016-12-31 23:59:60", "yyyy-MM-dd HH:mm:ss", "2016-12-31 23:59:59.999"),
            ("2016-12-31 23:59:61", "yyyy-MM-dd HH:mm:ss", ""),
            ("2016-12-31 24:00", "yyyy-MM-dd HH:mm", ""),
            ("0000-01-01", "yyyy-MM-dd", "0000-01-01 00:00:00.000"),
            ("9999-12-31 23:59:59.999", "yyyy-MM-dd HH:mm:ss.SSS", "9999-12-31 23:59:59.999"),
            ("99999", "yyyyy", ""),
            ("1969-12-31 23:59:59.9999", "yyyy-MM-dd HH:mm:ss.SSSS", "1969-12-31 23:59:59.999"),
            ("2024年05月01日", "yyyy年MM月dd日", "2024-05-01 00:00:00.000"),
            ("2024-05-01+9", "yyyy-MM-ddX", ""),
            ("2024-05-01+09", "yyyy-MM-ddX", "2024-04-30 15:00:00.000"),
            ("2024-05-01-99:00", "yyyy-MM-ddX", ""),
            ("", "", "1970-01-01 00:00:00.000"),
            ("2024", "", ""),
        ];
        for (text, pattern, expected) in cases {
            check(&[(&format!("fromMillis(parseDate(\"{text}\", \"{pattern}\"))"), expected)]);
        }
        check(&[
            ("parseDate(20240501, \"yyyyMMdd\")", "1714521600000"),
            ("parseDate(missing, \"yyyy\")", ""),
            ("parseDate(\"2024\", missing)", ""),
            ("parseDate(\"2024\", \"yyyy\", missing)", ""),
            ("parseDate(l, \"yyyy\")", ""),
            ("parseDate(latin, \"yyyy\")", ""),
        ]);
    }
}
