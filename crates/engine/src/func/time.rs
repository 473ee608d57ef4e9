//! Functions on time. A time argument is a timestamp, epoch milliseconds, or text in one of the readable forms; results
//! outside the years 0000 to 9999 are null.

mod format;
pub mod grid;
mod pattern;

use super::memo::Memo;
use super::{Args, Eval, Function, Prepared, ROW, Type};
use crate::value::column::Column;
use crate::value::number::{self, Number};
use crate::value::{Kind, Value, ValueRef, time};
use arrow::array::{Array, Int64Array};
use grid::Grid;
use jiff::tz::{Offset, TimeZone};
use pattern::Pattern;
use std::cell::Cell;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "bin",
        params: &[("period", Type::Period)],
        result: Type::Time,
        about: "The start of the period that `@timestamp` lies in; weeks start on Monday, months are calendar months, UTC.",
        examples: &[("bin(5m)", "2024-05-01 10:35:00.000"), ("bin(1w)", "2024-04-29 00:00:00.000")],
        // The planner puts `@timestamp` in front of the period.
        eval: Eval::Values(|args| snap(args, Grid::floor)),
        ..ROW
    },
    Function {
        name: "datefloor",
        params: &[("t", Type::Time), ("period", Type::Period)],
        result: Type::Time,
        about: "The start of the period that `t` lies in.",
        examples: &[("datefloor(@timestamp, 1h)", "2024-05-01 10:00:00.000")],
        eval: Eval::Values(|args| snap(args, Grid::floor)),
        ..ROW
    },
    Function {
        name: "dateceil",
        params: &[("t", Type::Time), ("period", Type::Period)],
        result: Type::Time,
        about: "The end of the period that `t` lies in; `t` itself where a period starts there.",
        examples: &[("dateceil(@timestamp, 1h)", "2024-05-01 11:00:00.000")],
        eval: Eval::Values(|args| snap(args, Grid::ceil)),
        ..ROW
    },
    Function {
        name: "fromMillis",
        params: &[("n", Type::Number)],
        result: Type::Time,
        about: "The time `n` milliseconds after 1970-01-01T00:00Z; a fraction is cut off downwards.",
        examples: &[("fromMillis(1642195111000)", "2022-01-14 21:18:31.000")],
        eval: Eval::Values(|args| {
            args.map(|row| args.number(0, row).and_then(millis).map_or(Value::Null, Value::Time))
        }),
        ..ROW
    },
    Function {
        name: "toMillis",
        params: &[("t", Type::Time)],
        result: Type::Number,
        about: "Milliseconds from 1970-01-01T00:00Z to `t`.",
        examples: &[("toMillis(@timestamp)", "1714559832345")],
        eval: Eval::Values(|args| args.map(|row| instant(args.get(0, row)).map_or(Value::Null, Value::Int))),
        ..ROW
    },
    Function {
        name: "parseDate",
        params: &[("s", Type::Text), ("format", Type::Text), ("zone", Type::Text)],
        optional: 1,
        result: Type::Number,
        about: "Epoch milliseconds of the date `s` spells in Java pattern letters `y M d H h m s S a E X Z`, local to `zone` \
                (UTC) unless it names its offset; null where it does not match.",
        examples: &[
            (r#"parseDate("2024-05-01", "yyyy-MM-dd", "UTC")"#, "1714521600000"),
            (r#"parseDate("10/Oct/2000:13:55:36 -0700", "dd/MMM/yyyy:HH:mm:ss Z")"#, "971211336000"),
        ],
        eval: Eval::Values(parse_date),
        ..ROW
    },
    Function {
        name: "formatDate",
        aliases: &["strftime"],
        params: &[("t", Type::Time), ("format", Type::Text), ("zone", Type::Text)],
        optional: 1,
        result: Type::Text,
        about: "`t` in `zone` (UTC), by the strftime codes `%Y %m %d %H %M %S %f %L %j %a %b %e %p %I %z %Z %s %%`; `%f` \
                is microseconds, `%L` milliseconds.",
        examples: &[
            (r#"formatDate(@timestamp, "%H:%M", "Asia/Tokyo")"#, "19:37"),
            (r#"formatDate(@timestamp, "%Y-%m-%dT%H:%M:%S.%L%z")"#, "2024-05-01T10:37:12.345+0000"),
        ],
        eval: Eval::Values(format_date),
        ..ROW
    },
];

/// The first and last millisecond that the canonical text of a timestamp can spell.
pub(crate) const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

fn in_range(t: i64) -> Option<i64> {
    YEARS.contains(&t).then_some(t)
}

/// A number of milliseconds as a time.
fn millis(n: Number<'_>) -> Option<i64> {
    match n {
        Number::Int(n) => in_range(n),
        Number::Float(x) => in_range(x.floor() as i64),
        Number::Big(_) => None,
    }
}

/// A time argument as epoch milliseconds.
fn instant(t: ValueRef<'_>) -> Option<i64> {
    match t {
        ValueRef::Text(Kind::String, text) => read(text),
        _ => millis(t.number()?),
    }
}

/// A string as a time: a readable form, or a numeric string of milliseconds.
fn read(text: &[u8]) -> Option<i64> {
    time::parse_readable(text).and_then(in_range).or_else(|| millis(number::numeric(text)?))
}

/// Moves times to boundaries of a period: `bin`, `datefloor`, `dateceil`.
fn snap(args: &Args<'_>, to: fn(&Grid, i64) -> Option<i64>) -> Column {
    let Some(Prepared::Period(period)) = args.prepared(1) else { return Column::null(args.rows) };
    let Some(grid) = Grid::new(*period) else { return Column::null(args.rows) };
    let to_boundary = |t| to(&grid, t).and_then(in_range);
    match args.columns.first() {
        Some(Column::Time(times)) => {
            // All times between one and its boundary have this boundary, and records follow each other in time.
            let known = Cell::new((1, 0, 0));
            Column::Time(times.unary_opt(|t| match known.get() {
                (from, to, boundary) if from <= t && t <= to => Some(boundary),
                _ => {
                    let boundary = to_boundary(t)?;
                    known.set((t.min(boundary), t.max(boundary), boundary));
                    Some(boundary)
                }
            }))
        }
        Some(Column::Text(texts, kinds)) => {
            // Records follow each other in time, so the same second is often read many times in a row.
            let mut memo = Memo::new();
            let cells = (0..args.rows).map(|row| match kinds.get(row) {
                _ if texts.is_null(row) => None,
                Kind::String => *memo.get(texts.value(row), |text| read(text).and_then(to_boundary)),
                kind => instant(ValueRef::Text(kind, texts.value(row))).and_then(to_boundary),
            });
            Column::Time(Int64Array::from_iter(cells))
        }
        _ => args.map(|row| instant(args.get(0, row)).and_then(to_boundary).map_or(Value::Null, Value::Time)),
    }
}

fn parse_date(args: &Args<'_>) -> Column {
    let (mut patterns, mut zones) = (Memo::new(), Memo::new());
    args.map(|row| {
        let mut parse = || {
            let (s, format) = (args.text(0, row)?, args.text(1, row)?);
            let zone = zone(args, row, &mut zones)?;
            let pattern = patterns.get(format.as_bytes(), |_| Pattern::read(&format)).as_ref()?;
            pattern.parse(&s, zone).and_then(in_range)
        };
        parse().map_or(Value::Null, Value::Int)
    })
}

fn format_date(args: &Args<'_>) -> Column {
    let mut zones = Memo::new();
    args.strings(|row, out| {
        let t = instant(args.get(0, row))?;
        let format = args.bytes(1, row)?;
        format::write(t, &format, zone(args, row, &mut zones)?, out)
    })
}

/// The zone named by the third argument, UTC if it is left out; `None` if there is no such zone.
fn zone<'m>(args: &Args<'_>, row: usize, zones: &'m mut Memo<Option<TimeZone>>) -> Option<&'m TimeZone> {
    if args.len() < 3 {
        return zones.get(b"", |_| Some(TimeZone::UTC)).as_ref();
    }
    let name = args.text(2, row)?;
    zones.get(name.as_bytes(), |_| zone_named(&name)).as_ref()
}

/// A zone of the tz database, or an offset such as `+09:00`.
fn zone_named(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" | "GMT" | "Z" => Some(TimeZone::UTC),
        _ if name.starts_with(['+', '-']) => {
            let (seconds, rest) = pattern::offset(name)?;
            let offset = Offset::from_seconds(seconds).ok()?;
            rest.is_empty().then(|| TimeZone::fixed(offset))
        }
        _ => TimeZone::get(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn boundaries() {
        check(&[
            (r#"datefloor("2024-05-01T10:37:12Z", 15m)"#, "2024-05-01 10:30:00.000"),
            (r#"datefloor("01/Nov/2025:23:59:59 -0100", 1d)"#, "2025-11-02 00:00:00.000"),
            (r#"datefloor("1714559832345", 1m)"#, "2024-05-01 10:37:00.000"),
            ("datefloor(1714559832345, 100ms)", "2024-05-01 10:37:12.300"),
            ("datefloor(1714559832345.9, 1ms)", "2024-05-01 10:37:12.345"),
            ("datefloor(-1, 1s)", "1969-12-31 23:59:59.000"),
            ("datefloor(-0.5, 1ms)", "1969-12-31 23:59:59.999"),
            ("datefloor(concat(@timestamp, \"\"), 7d)", "2024-04-25 00:00:00.000"),
            ("dateceil(\"2024-05-01 10:00\", 1h)", "2024-05-01 10:00:00.000"),
            ("dateceil(\"2024-05-01 10:00:00.001\", 1h)", "2024-05-01 11:00:00.000"),
            ("dateceil(\"2024-02-29\", 1mo)", "2024-03-01 00:00:00.000"),
            ("dateceil(\"9999-12-31T23:00:00Z\", 1y)", ""),
            ("datefloor(\"9999-12-31T23:59:59.999Z\", 1y)", "9999-01-01 00:00:00.000"),
            ("datefloor(\"0000-01-01\", 1w)", ""),
            ("datefloor(\"soon\", 1h)", ""),
            ("datefloor(true, 1h)", ""),
            ("datefloor(missing, 1h)", ""),
            ("datefloor(l, 1h)", ""),
        ]);
    }

    #[test]
    fn milliseconds() {
        check(&[
            ("fromMillis(\"1642195111001\")", "2022-01-14 21:18:31.001"),
            ("fromMillis(1.9)", "1970-01-01 00:00:00.001"),
            ("fromMillis(-1)", "1969-12-31 23:59:59.999"),
            ("fromMillis(253402300799999)", "9999-12-31 23:59:59.999"),
            ("fromMillis(253402300800000)", ""),
            ("fromMillis(-62167219200000)", "0000-01-01 00:00:00.000"),
            ("fromMillis(1e300)", ""),
            ("fromMillis(\"soon\")", ""),
            ("fromMillis(missing)", ""),
            ("toMillis(\"2024-05-01T10:37:12.345Z\")", "1714559832345"),
            ("toMillis(1642195111)", "1642195111"),
            ("toMillis(fromMillis(-5))", "-5"),
            ("toMillis(\"soon\")", ""),
            ("toMillis(m)", ""),
        ]);
    }

    #[test]
    fn zones() {
        check(&[
            // Clocks in Berlin go forward on 2026-03-29 at 01:00 UTC and back on 2026-10-25 at 01:00 UTC.
            (r#"formatDate("2026-03-29T00:59:59Z", "%H:%M %z %Z", "Europe/Berlin")"#, "01:59 +0100 CET"),
            (r#"formatDate("2026-03-29T01:00:00Z", "%H:%M %z %Z", "Europe/Berlin")"#, "03:00 +0200 CEST"),
            (r#"formatDate("2026-10-25T01:00:00Z", "%H:%M %z", "Europe/Berlin")"#, "02:00 +0100"),
            (r#"parseDate("2026-03-29 02:30", "yyyy-MM-dd HH:mm", "Europe/Berlin")"#, "1774747800000"),
            (r#"parseDate("2026-10-25 02:30", "yyyy-MM-dd HH:mm", "Europe/Berlin")"#, "1792888200000"),
            (r#"parseDate("2026-07-01 12:00", "yyyy-MM-dd HH:mm", "america/new_york")"#, "1782921600000"),
            (r#"formatDate(0, "%H:%M %z", "+05:30")"#, "05:30 +0530"),
            (r#"formatDate(0, "%H:%M %z %Z", "Asia/Kathmandu")"#, "05:30 +0530 +0530"),
            (r#"formatDate(0, "%d %H %z", "-0330")"#, "31 20 -0330"),
            (r#"formatDate(0, "%Z", "UTC")"#, "UTC"),
            (r#"formatDate(0, "%H", "Mars/Olympus")"#, ""),
            (r#"formatDate(0, "%H", "")"#, ""),
            (r#"formatDate(0, "%H", "+25:00")"#, ""),
            (r#"formatDate(0, "%H", missing)"#, ""),
            (r#"parseDate("2024", "yyyy", "Nowhere")"#, ""),
            (r#"parseDate("0000-01-01", "yyyy-MM-dd", "Asia/Tokyo")"#, ""),
            (r#"formatDate("0000-01-01", "%Y-%m-%d %H", "-01:00")"#, "-0001-12-31 23"),
        ]);
    }
}
