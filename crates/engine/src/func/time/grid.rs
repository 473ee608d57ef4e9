//! Boundaries of periods: what `bin` rounds to (language reference, "`bin`, `datefloor`, `dateceil`").

use crate::value::time::{civil_from_days, days_from_civil};
use backsight_lang::ast::{Duration, Unit};

const DAY_MILLIS: i64 = 86_400_000;

/// Monday 1969-12-29, from which weeks are counted.
const FIRST_MONDAY: i64 = -3 * DAY_MILLIS;

/// The boundaries of a period, all in epoch milliseconds, UTC.
///
/// Units up to days are counted from 1970-01-01, weeks from the Monday before, months, quarters and years are calendar
/// units counted from January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// A boundary every so many milliseconds.
    Even {
        /// Milliseconds between two boundaries, at least 1.
        width: i64,
        /// One of the boundaries.
        origin: i64,
    },
    /// A boundary at the start of every so many months.
    Months(i64),
}

impl Grid {
    /// The grid of a period; `None` for one longer than 64 bits of milliseconds, or than a million years.
    pub fn new(period: Duration) -> Option<Grid> {
        let months = match period.unit {
            Unit::Month => 1,
            Unit::Quarter => 3,
            Unit::Year => 12,
            Unit::Week => return Some(Grid::Even { width: period.millis()?, origin: FIRST_MONDAY }),
            Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour | Unit::Day => {
                return Some(Grid::Even { width: period.millis()?, origin: 0 });
            }
        };
        let count = i64::try_from(period.count).ok().filter(|n| *n <= 12_000_000)?;
        Some(Grid::Months(count * months))
    }

    /// The last boundary not after `t`; `None` where it is beyond 64 bits.
    pub fn floor(&self, t: i64) -> Option<i64> {
        match *self {
            Grid::Even { width, origin } => t.checked_sub(t.checked_sub(origin)?.rem_euclid(width)),
            Grid::Months(n) => Some(month_start(month_of(t).div_euclid(n) * n)),
        }
    }

    /// The first boundary not before `t`; `None` where it is beyond 64 bits.
    pub fn ceil(&self, t: i64) -> Option<i64> {
        let floor = self.floor(t)?;
        if floor == t { Some(t) } else { self.next(floor) }
    }

    /// The boundary after `boundary`, which must be one; `None` where it is beyond 64 bits.
    pub fn next(&self, boundary: i64) -> Option<i64> {
        match *self {
            Grid::Even { width, .. } => boundary.checked_add(width),
            Grid::Months(n) => Some(month_start(month_of(boundary) + n)),
        }
    }
}

/// Months from January 1970 to the month `t` lies in.
fn month_of(t: i64) -> i64 {
    let (year, month, _) = civil_from_days(t.div_euclid(DAY_MILLIS));
    (year - 1970) * 12 + month - 1
}

/// The first millisecond of a month counted from January 1970; saturates at the ends of 64 bits.
fn month_start(months: i64) -> i64 {
    days_from_civil(1970 + months.div_euclid(12), months.rem_euclid(12) + 1, 1).saturating_mul(DAY_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::{format, parse};

    #[test]
    fn floors_and_ceilings() {
        use Unit::{Day, Hour, Minute, Month, Quarter, Week, Year};
        let cases = [
            (1, Week, "2024-05-05T23:59:59.999Z", "2024-04-29", "2024-05-06"),
            (1, Week, "2024-05-06", "2024-05-06", "2024-05-06"),
            (2, Week, "1970-01-12T01:00:00Z", "1970-01-12", "1970-01-26"),
            (1, Week, "1969-12-28", "1969-12-22", "1969-12-29"),
            (1, Month, "2024-02-29T12:00:00Z", "2024-02-01", "2024-03-01"),
            (2, Month, "2024-02-29", "2024-01-01", "2024-03-01"),
            (5, Month, "1970-05-31", "1970-01-01", "1970-06-01"),
            (5, Month, "1969-12-31", "1969-08-01", "1970-01-01"),
            (1, Quarter, "2024-05-15", "2024-04-01", "2024-07-01"),
            (3, Quarter, "1970-10-01", "1970-10-01", "1970-10-01"),
            (1, Year, "1900-12-31", "1900-01-01", "1901-01-01"),
            (10, Year, "2024-05-01", "2020-01-01", "2030-01-01"),
            (7, Hour, "1970-01-01T13:59:00Z", "1970-01-01T07:00:00Z", "1970-01-01T14:00:00Z"),
            (5, Minute, "1969-12-31T23:59:00Z", "1969-12-31T23:55:00Z", "1970-01-01"),
            (30, Day, "1970-01-31", "1970-01-31", "1970-01-31"),
        ];
        for (count, unit, t, floor, ceil) in cases {
            let grid = Grid::new(Duration { count, unit }).expect("a period");
            let millis = |text: &str| parse(text.as_bytes()).expect("a time");
            let show = |t: Option<i64>| t.map(format);
            assert_eq!(show(grid.floor(millis(t))), Some(format(millis(floor))), "floor {t} {count} {unit:?}");
            assert_eq!(show(grid.ceil(millis(t))), Some(format(millis(ceil))), "ceil {t} {count} {unit:?}");
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for unit in [Unit::Millisecond, Unit::Week, Unit::Month, Unit::Year] {
            for count in [1, 7, 1 << 20, u64::MAX] {
                let Some(grid) = Grid::new(Duration { count, unit }) else { continue };
                for t in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
                    assert!(grid.floor(t).is_none_or(|floor| floor <= t || t == i64::MIN), "{count} {unit:?} {t}");
                    assert!(grid.ceil(t).is_none_or(|ceil| ceil >= t), "{count} {unit:?} {t}");
                }
            }
        }
    }
}
