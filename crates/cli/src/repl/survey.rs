//! Questions that are asked of a field again and again: its most frequent values, and how it is spread.

use super::session::{Session, wrong};
use crate::chart::bars;
use crate::escape;
use crate::query::Failure;
use backsight_engine::value::{Kind, Value};

/// Bars of a histogram, about.
const BARS: i64 = 20;
/// Periods that people read well, in milliseconds and as the language writes them.
const PERIODS: &[(i64, &str)] = &[
    (1_000, "1s"),
    (10_000, "10s"),
    (60_000, "1m"),
    (300_000, "5m"),
    (900_000, "15m"),
    (3_600_000, "1h"),
    (10_800_000, "3h"),
    (21_600_000, "6h"),
    (86_400_000, "1d"),
    (604_800_000, "7d"),
    (2_592_000_000, "30d"),
];

/// `\top FIELD [N]`
pub(super) fn top(session: &mut Session, field: &str, most: u64) -> Result<(), Failure> {
    let query = format!("stats count(*) as events by {field} | sort events desc | limit {most}");
    let answer = session.answer(&query)?;
    let rows: Vec<(String, u64)> = rows(&answer.rows.batches)
        .into_iter()
        .map(|row| (label(row.first()), row.get(1).and_then(whole).unwrap_or(0)))
        .collect();
    session.keep(query, answer);
    session.bars(&rows)
}

/// `\hist FIELD`
pub(super) fn hist(session: &mut Session, field: &str) -> Result<(), Failure> {
    let edges = format!("stats min({field}) as low, max({field}) as high, count({field}) as n");
    let answer = session.answer(&edges)?;
    let found = rows(&answer.rows.batches).into_iter().next().unwrap_or_default();
    let [low, high, ..] = found.as_slice() else { return Err(wrong(field, "no record has it")) };
    if low.as_ref().is_null() {
        return Err(wrong(field, "no record has it"));
    }
    if let (Some(low), Some(high)) = (low.as_ref().timestamp(), high.as_ref().timestamp()) {
        let period = period(high.saturating_sub(low));
        let query = if field == "@timestamp" {
            format!("stats count(*) as events by bin({period})")
        } else {
            format!("stats count({field}) as events by datefloor({field}, {period})")
        };
        return session.ask(&query);
    }
    match (low.as_ref().number(), high.as_ref().number()) {
        (Some(low), Some(high)) => numbers(session, field, low.as_f64(), high.as_f64()),
        _ => top(session, field, BARS as u64),
    }
}

/// Bars of equal width, from a round number on.
fn numbers(session: &mut Session, field: &str, low: f64, high: f64) -> Result<(), Failure> {
    let width = round_up((high - low) / BARS as f64);
    let text = backsight_engine::value::number::float_text(width);
    let query = format!("stats count({field}) as events by floor({field} / {text}) as bucket | sort bucket");
    let answer = session.answer(&query)?;
    let mut counts = std::collections::BTreeMap::new();
    for row in rows(&answer.rows.batches) {
        if let (Some(bucket), Some(n)) = (row.first().and_then(|v| v.as_ref().number()), row.get(1).and_then(whole)) {
            *counts.entry(bucket.as_f64() as i64).or_insert(0) += n;
        }
    }
    session.keep(query, answer);
    let (Some(first), Some(last)) = (counts.keys().next().copied(), counts.keys().next_back().copied()) else {
        return Err(wrong(field, "no record has a number in it"));
    };
    let number = |bucket: i64| {
        let digits = (-width.log10().floor()).clamp(0.0, 12.0) as usize;
        format!("{:.digits$}", bucket as f64 * width)
    };
    // Values far apart would make more bars than anybody reads; those in between are then left out.
    let shown: Vec<i64> = match last.saturating_sub(first) {
        span if span <= 4 * BARS => (first..=last).collect(),
        _ => counts.keys().copied().collect(),
    };
    let whole_numbers = width == 1.0;
    let rows: Vec<(String, u64)> = shown
        .into_iter()
        .map(|bucket| {
            let label = match bucket.checked_add(1) {
                Some(end) if !whole_numbers => format!("{} … {}", number(bucket), number(end)),
                _ => number(bucket),
            };
            (label, counts.get(&bucket).copied().unwrap_or(0))
        })
        .collect();
    session.bars(&rows)
}

/// The next number of 1, 2, 5, 10, 20, …; 1 for what is no width.
fn round_up(width: f64) -> f64 {
    if !width.is_finite() || width <= 0.0 {
        return 1.0;
    }
    let scale = 10f64.powf(width.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.iter().map(|step| step * scale).find(|step| *step >= width * (1.0 - 1e-9)).unwrap_or(width)
}

fn period(span: i64) -> &'static str {
    let fits = PERIODS.iter().find(|(millis, _)| span / millis <= 3 * BARS);
    fits.or(PERIODS.last()).map_or("1d", |(_, text)| text)
}

fn rows(batches: &[backsight_engine::value::column::Batch]) -> Vec<Vec<Value>> {
    let row = |batch: &backsight_engine::value::column::Batch, i: usize| -> Vec<Value> {
        batch.columns.iter().map(|column| column.get(i).to_value()).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.rows).map(move |i| row(batch, i))).collect()
}

fn whole(value: &Value) -> Option<u64> {
    u64::try_from(value.as_ref().number()?.as_f64() as i64).ok()
}

fn label(value: Option<&Value>) -> String {
    match value.map(|v| (v.as_ref().kind(), v.as_ref().text())) {
        Some((Some(Kind::String), Some(text))) if text.is_empty() => "(empty)".into(),
        Some((_, Some(text))) => escape::visible_bytes(&text).into_owned(),
        _ => "(none)".into(),
    }
}

impl Session {
    /// Prints counts as bars.
    fn bars(&self, rows: &[(String, u64)]) -> Result<(), Failure> {
        self.print(&bars::draw(rows, self.look().width.unwrap_or(80)))?;
        self.conclude();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_periods_are_round() {
        for (width, rounded) in
            [(0.0, 1.0), (f64::NAN, 1.0), (0.03, 0.05), (1.0, 1.0), (1.1, 2.0), (37.0, 50.0), (51.0, 100.0)]
        {
            assert!((round_up(width) - rounded).abs() < 1e-9, "{width}");
        }
        assert_eq!((period(0), period(3_600_000), period(172_800_000), period(i64::MAX)), ("1s", "1m", "1h", "30d"));
    }
}
