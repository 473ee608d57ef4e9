//! Days and hours that the folders of a path name: what AWS writes lies in folders by the time it arrived.
//!
//! A file can be passed over if its folders say that nothing in it is of the wanted time. Events arrive late, and zones
//! differ, so a day is taken to reach from a day before it to a day after it. Only folders below the path a person
//! named count: those above may have the date of the case.

use backsight_engine::value::time::days_from_civil;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// How far an event's time may be from the folder it lies in.
const MARGIN: i64 = DAY;

/// The time events in a file at this path may have, in epoch milliseconds, half open; `None` if no folder names a day.
pub fn of(below: &str) -> Option<(i64, i64)> {
    let folders: Vec<&str> = below.split(['/', '\\']).collect();
    let folders = &folders[..folders.len().saturating_sub(1)];
    // The last day named is the most precise one.
    (0..folders.len())
        .rev()
        .find_map(|at| day(&folders[at..]))
        .map(|(start, len)| (start - MARGIN, start + len + MARGIN))
}

/// True if nothing in a file at this path can be in the half-open range.
pub fn is_outside(below: &str, (start, end): (Option<i64>, Option<i64>)) -> bool {
    if start.is_none() && end.is_none() {
        return false;
    }
    of(below).is_some_and(|(first, last)| start.is_some_and(|s| last <= s) || end.is_some_and(|e| first >= e))
}

/// The day (or hour) that the first of these folders begins to name, and how long it is.
fn day(folders: &[&str]) -> Option<(i64, i64)> {
    let (first, rest) = folders.split_first()?;
    // `2024/05/01/13`, `year=2024/month=05/day=01/hour=13`.
    if let Some(year) = part(first, "year", 4)
        && let [month, day, rest @ ..] = rest
    {
        let start = date(year, part(month, "month", 2)?, part(day, "day", 2)?)?;
        let hour = rest.first().and_then(|hour| part(hour, "hour", 2)).filter(|hour| *hour < 24);
        return Some(hour.map_or((start, DAY), |hour| (start + hour * HOUR, HOUR)));
    }
    // `2024-05-01`, `20240501`, and either as `dt=…`, `eventDay=…`.
    let value = first.rsplit_once('=').map_or(*first, |(_, value)| value);
    let digits: String = match value.len() {
        10 if value.as_bytes()[4] == b'-' && value.as_bytes()[7] == b'-' => value.replace('-', ""),
        8 => value.to_owned(),
        _ => return None,
    };
    let number = |range: std::ops::Range<usize>| part(digits.get(range.clone())?, "", range.len());
    Some((date(number(0..4)?, number(4..6)?, number(6..8)?)?, DAY))
}

/// A number of so many digits, alone or behind its name and an equals sign.
fn part(folder: &str, name: &str, digits: usize) -> Option<i64> {
    let value = match folder.split_once('=') {
        Some((key, value)) if key.eq_ignore_ascii_case(name) => value,
        Some(_) => return None,
        None => folder,
    };
    (value.len() == digits && value.bytes().all(|b| b.is_ascii_digit())).then(|| value.parse().ok())?
}

fn date(year: i64, month: i64, day: i64) -> Option<i64> {
    let sound = (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    sound.then(|| days_from_civil(year, month, day) * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_days_and_hours() {
        let day = 1_714_521_600_000; // 2024-05-01
        for (path, expected) in [
            ("AWSLogs/1/CloudTrail/eu-west-1/2024/05/01/x.json.gz", Some((day, DAY))),
            ("2024/05/01/13/x.gz", Some((day + 13 * HOUR, HOUR))),
            ("2024/05/01/x/13/x.gz", Some((day, DAY))),
            ("year=2024/month=05/day=01/hour=13/x", Some((day + 13 * HOUR, HOUR))),
            ("dt=2024-05-01/x", Some((day, DAY))),
            ("region=eu/eventDay=20240501/x", Some((day, DAY))),
            ("2024-05-01/x", Some((day, DAY))),
            ("2020/01/01/2024-05-01/x", Some((day, DAY))),
            // File names, and what is no day.
            ("2024-05-01.json", None),
            ("2024/05/x", None),
            ("2024/13/01/x", None),
            ("12345678/x", None),
            ("a/b/c", None),
            ("é234567/x", None),
        ] {
            assert_eq!(of(path), expected.map(|(start, len)| (start - DAY, start + len + DAY)), "{path}");
        }
    }

    #[test]
    fn only_what_is_surely_outside() {
        let (path, day) = ("2024/05/02/x", 1_714_608_000_000);
        for (range, outside) in [
            ((None, None), false),
            ((Some(day + 2 * DAY), None), true),
            ((Some(day + 2 * DAY - 1), None), false),
            ((None, Some(day - DAY)), true),
            ((None, Some(day - DAY + 1)), false),
            ((Some(day), Some(day + DAY)), false),
        ] {
            assert_eq!(is_outside(path, range), outside, "{range:?}");
        }
    }
}
