//! The time zone in which people are shown times. The language itself knows only UTC.

use backsight_engine::value::time;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A zone; UTC unless chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Zone(Option<TimeZone>);

impl Zone {
    /// Reads `UTC`, a name of the IANA database, or an offset such as `+02:00`.
    ///
    /// # Errors
    /// A message for people.
    pub(crate) fn parse(text: &str) -> Result<Zone, String> {
        if ["utc", "z", "gmt"].iter().any(|utc| text.eq_ignore_ascii_case(utc)) {
            return Ok(Zone(None));
        }
        if text.starts_with(['+', '-']) {
            let offset = offset(text).ok_or("expected an offset such as +02:00")?;
            return Ok(Zone(Some(TimeZone::fixed(offset))));
        }
        TimeZone::get(text)
            .map(|zone| Zone(Some(zone)))
            .map_err(|_| "no such time zone; expected `UTC`, a name such as `Europe/Berlin`, or `+02:00`".into())
    }

    /// What to call it.
    pub(crate) fn name(&self) -> String {
        match &self.0 {
            None => "UTC".into(),
            Some(zone) => match zone.iana_name() {
                Some(name) => name.into(),
                None => zone.to_offset(Timestamp::UNIX_EPOCH).to_string(),
            },
        }
    }

    /// Whether times are shown as the language prints them.
    pub(crate) fn is_utc(&self) -> bool {
        self.0.is_none()
    }

    /// Epoch milliseconds as text: canonical in UTC, elsewhere with the offset, as an hour can come twice.
    pub(crate) fn text(&self, millis: i64) -> String {
        match (&self.0, Timestamp::from_millisecond(millis)) {
            (Some(zone), Ok(at)) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%3f%:z").to_string(),
            _ => time::format(millis),
        }
    }
}

fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at(1) {
        ("-", rest) => (-1, rest),
        (_, rest) => (1, rest),
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match digits.len() {
        _ if !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
        1 | 2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if minutes > 59 || hours > 24 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_zones() {
        const NOON: i64 = 1_714_564_800_000;
        for (zone, name, text) in [
            ("utc", "UTC", "2024-05-01 12:00:00.000"),
            ("Europe/Berlin", "Europe/Berlin", "2024-05-01 14:00:00.000+02:00"),
            ("america/new_york", "America/New_York", "2024-05-01 08:00:00.000-04:00"),
            ("+0530", "+05:30", "2024-05-01 17:30:00.000+05:30"),
            ("-3", "-03", "2024-05-01 09:00:00.000-03:00"),
        ] {
            let zone = Zone::parse(zone).expect(zone);
            assert_eq!((zone.name().as_str(), zone.text(NOON).as_str()), (name, text));
        }
        for bad in ["", "Mars/Base", "+", "+2:3:4", "+25:00", "+00:60", "+é", "+aéb"] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }
}
