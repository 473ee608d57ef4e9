//! `formatDate`: a time written by strftime codes.

use crate::value::time::civil_from_days;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes epoch milliseconds `t`, as clocks in `zone` show it, by `format`. A code that is not one of ours is written
/// as it stands. `t` lies in the years 0000 to 9999.
pub(super) fn write(t: i64, format: &[u8], zone: &TimeZone, out: &mut Vec<u8>) -> Option<()> {
    // jiff ends a day before year 9999 does; no clock is changed in that day.
    let info = zone.to_offset_info(Timestamp::from_millisecond(t).unwrap_or(Timestamp::MAX));
    let offset = i64::from(info.offset().seconds());
    let local = t + offset * 1000;
    let (day, of_day) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
    let (year, month, day_of_month) = civil_from_days(day);
    let (hour, minute, second, milli) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60, of_day % 1000);
    let mut rest = format;
    while let Some(percent) = rest.iter().position(|c| *c == b'%') {
        out.extend_from_slice(&rest[..percent]);
        let code = rest.get(percent + 1).copied();
        match code {
            // A sign takes none of the four digits of a year.
            Some(b'Y') if year < 0 => write!(out, "-{:04}", -year),
            Some(b'Y') => write!(out, "{year:04}"),
            Some(b'm') => write!(out, "{month:02}"),
            Some(b'd') => write!(out, "{day_of_month:02}"),
            Some(b'e') => write!(out, "{day_of_month:2}"),
            Some(b'H') => write!(out, "{hour:02}"),
            Some(b'I') => write!(out, "{:02}", (hour + 11) % 12 + 1),
            Some(b'p') => out.write_all(if hour < 12 { b"AM" } else { b"PM" }),
            Some(b'M') => write!(out, "{minute:02}"),
            Some(b'S') => write!(out, "{second:02}"),
            Some(b'f') => write!(out, "{:06}", milli * 1000),
            Some(b'L') => write!(out, "{milli:03}"),
            Some(b'j') => write!(out, "{:03}", day - crate::value::time::days_from_civil(year, 1, 1) + 1),
            // 1970-01-01 was a Thursday.
            Some(b'a') => out.write_all(DAYS[(day + 3).rem_euclid(7) as usize].as_bytes()),
            Some(b'b') => out.write_all(MONTHS[(month - 1) as usize].as_bytes()),
            Some(b'z') => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(out, "{sign}{:02}{:02}", offset.abs() / 3600, offset.abs() / 60 % 60)
            }
            Some(b'Z') => out.write_all(info.abbreviation().as_bytes()),
            Some(b's') => write!(out, "{}", t.div_euclid(1000)),
            Some(b'%') => out.write_all(b"%"),
            Some(other) => out.write_all(&[b'%', other]),
            None => out.write_all(b"%"),
        }
        .ok()?;
        rest = rest.get(percent + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn codes() {
        check(&[
            (r#"formatDate("2024-12-31T00:05:09.007Z", "%Y-%m-%d %H:%M:%S.%L %f")"#, "2024-12-31 00:05:09.007 007000"),
            (r#"formatDate("2024-12-31T00:05:09Z", "%I %p %j %a %b %e")"#, "12 AM 366 Tue Dec 31"),
            (r#"strftime("2023-03-05T12:00:00Z", "%I %p %j %a %b %e")"#, "12 PM 064 Sun Mar  5"),
            (r#"strftime("2023-03-05T23:00:00Z", "%I%p")"#, "11PM"),
            (r#"formatDate("1969-12-31T23:59:59.5Z", "%s %z %Z %%")"#, "-1 +0000 UTC %"),
            (r#"formatDate("0007-02-03", "%Y")"#, "0007"),
            (r#"formatDate("9999-12-31T23:59:59.999Z", "%Y%j")"#, "9999365"),
            (r#"formatDate(0, "%Q é %")"#, "%Q é %"),
            (r#"formatDate(0, "%é")"#, "%é"),
            (r#"formatDate(0, "")"#, "\"\""),
            (r#"formatDate("0", "%Y")"#, "1970"),
            (r#"formatDate("soon", "%Y")"#, ""),
            (r#"formatDate(missing, "%Y")"#, ""),
            (r#"formatDate(0, missing)"#, ""),
            (r#"formatDate(0, l)"#, ""),
        ]);
    }
}
