//! From an answer to what can be drawn: numbers over evenly spaced times.

use backsight_engine::value::column::Batch;
use backsight_engine::value::{Kind, Value};
use backsight_lang::ast::{Expr, ExprKind, Stage, StageKind};
use std::collections::BTreeMap;

/// Rows that are kept for a chart; a longer answer gets none.
const MOST_ROWS: usize = 200_000;
/// Slots of time a chart keeps; more than any screen has columns.
const MOST_SLOTS: i64 = 4096;

/// The rows of an answer, as they pass by, that a chart may be made of.
#[derive(Debug)]
pub(crate) struct Points {
    names: Vec<String>,
    time: usize,
    /// The period of the time, where the query spells it.
    period: Option<i64>,
    /// Columns that are group keys beside the time.
    keys: Vec<usize>,
    rows: Vec<Vec<Value>>,
    too_many: bool,
}

/// Numbers over time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chart {
    /// The first slot, epoch milliseconds.
    pub(crate) start: i64,
    /// Milliseconds of a slot.
    pub(crate) step: i64,
    /// The column of the time as the answer names it.
    pub(crate) axis: String,
    /// At least one, the largest first.
    pub(crate) series: Vec<Series>,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// What it counts.
    pub(crate) name: String,
    /// One a slot; `None` where the answer says nothing.
    pub(crate) values: Vec<Option<f64>>,
}

impl Points {
    /// Ready to take the answer of a query, if that is a time series: its last `stats` groups by time.
    pub(crate) fn of(query: &str, columns: &[String]) -> Option<Points> {
        let parsed = backsight_lang::parse(query);
        let stats = parsed.query.stages.iter().rev().find_map(|stage| match stage {
            Stage { kind: StageKind::Stats(stats), .. } => Some(stats),
            _ => None,
        })?;
        let place = |name: &str| columns.iter().position(|column| column == name);
        let by_time = stats.by.iter().find(|item| is_time(&item.expr))?;
        let time = place(by_time.name())?;
        let keys = stats.by.iter().filter_map(|item| place(item.name())).filter(|key| *key != time).collect();
        let period = period(&by_time.expr);
        Some(Points { names: columns.to_vec(), time, period, keys, rows: Vec::new(), too_many: false })
    }

    /// Takes rows of the answer.
    pub(crate) fn push(&mut self, batch: &Batch) {
        self.too_many |= self.rows.len() + batch.rows > MOST_ROWS;
        if !self.too_many {
            let row = |i| batch.columns.iter().map(|column| column.get(i).to_value()).collect();
            self.rows.extend((0..batch.rows).map(row));
        }
    }

    /// The chart of all rows; `None` where there is nothing to draw.
    pub(crate) fn chart(self) -> Option<Chart> {
        let Points { names, time, period, keys, rows, too_many } = self;
        let at = |row: &Vec<Value>| row.get(time).and_then(|v| v.as_ref().timestamp());
        let mut times: Vec<i64> = rows.iter().filter_map(at).collect();
        times.sort_unstable();
        times.dedup();
        let (first, last) = (*times.first()?, *times.last()?);
        if too_many || first == last {
            return None;
        }
        let gap = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min()?.max(1);
        let gap = period.filter(|period| (1..=gap).contains(period)).unwrap_or(gap);
        let span = last.checked_sub(first)?;
        let step = gap.saturating_mul((span / gap).div_euclid(MOST_SLOTS) + 1);
        let slots = (span / step + 1) as usize;
        let measures: Vec<usize> =
            (0..names.len()).filter(|i| *i != time && !keys.contains(i) && is_measure(&rows, *i)).collect();
        let mut series: BTreeMap<(usize, String), Vec<Option<f64>>> = BTreeMap::new();
        for row in &rows {
            let Some(at) = at(row) else { continue };
            let slot = ((at - first) / step) as usize;
            let key: Vec<String> = keys.iter().map(|key| text(&row[*key])).collect();
            for (n, measure) in measures.iter().enumerate() {
                let Some(number) = row[*measure].as_ref().number() else { continue };
                let values = series.entry((n, key.join(" "))).or_insert_with(|| vec![None; slots]);
                let value = &mut values[slot];
                *value = Some(value.map_or(number.as_f64(), |so_far| so_far.max(number.as_f64())));
            }
        }
        let mut series: Vec<Series> = series
            .into_iter()
            .map(|((n, key), values)| {
                let measure = names[measures[n]].as_str();
                let name = match (key.is_empty(), measures.len()) {
                    (true, _) => measure.to_string(),
                    (false, 1) => key,
                    (false, _) => format!("{key} {measure}"),
                };
                Series { name, values }
            })
            .collect();
        if !keys.is_empty() {
            series.sort_by(|a, b| b.total().total_cmp(&a.total()));
        }
        (!series.is_empty()).then(|| Chart { start: first, step, axis: names[time].clone(), series })
    }
}

impl Series {
    /// The sum of all values.
    pub(crate) fn total(&self) -> f64 {
        self.values.iter().flatten().sum()
    }

    /// The smallest and the largest value.
    pub(crate) fn range(&self) -> (f64, f64) {
        let values = || self.values.iter().flatten().copied();
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    }
}

/// A call that cuts time into equal parts.
fn is_time(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call { name, .. } => {
            ["bin", "datefloor", "dateceil"].iter().any(|f| name.text.eq_ignore_ascii_case(f))
        }
        _ => false,
    }
}

/// The length of the parts, if it is a literal.
fn period(expr: &Expr) -> Option<i64> {
    let ExprKind::Call { args, .. } = &expr.kind else { return None };
    args.iter().find_map(|arg| match &arg.kind {
        ExprKind::Duration(duration) => duration.millis(),
        _ => None,
    })
}

/// A column that has numbers and nothing else.
fn is_measure(rows: &[Vec<Value>], column: usize) -> bool {
    let mut kinds = rows.iter().filter_map(|row| row[column].as_ref().kind()).peekable();
    kinds.peek().is_some() && kinds.all(|kind| kind == Kind::Number)
}

fn text(value: &Value) -> String {
    let bytes = value.as_ref().text().unwrap_or_default();
    if bytes.is_empty() { "-".into() } else { String::from_utf8_lossy(&bytes).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::{batch, text};

    const HOUR: i64 = 3_600_000;

    fn chart(query: &str, columns: &[&str], cells: Vec<Vec<Value>>) -> Option<Chart> {
        let columns: Vec<String> = columns.iter().map(|c| c.to_string()).collect();
        let mut points = Points::of(query, &columns)?;
        points.push(&batch(cells));
        points.chart()
    }

    #[test]
    fn gaps_are_slots_without_a_value() {
        let times = vec![Value::Time(3 * HOUR), Value::Time(0), Value::Time(HOUR)];
        let counts = vec![Value::Int(7), Value::Int(1), Value::Int(2)];
        let found = chart("stats count(*) as n by bin(1h)", &["bin(1h)", "n"], vec![times, counts]).expect("a series");
        assert_eq!((found.start, found.step), (0, HOUR));
        assert_eq!(found.series, [Series { name: "n".into(), values: vec![Some(1.0), Some(2.0), None, Some(7.0)] }]);
    }

    #[test]
    fn group_keys_are_series_the_largest_first() {
        let times = [0, 0, HOUR, HOUR].map(Value::Time).to_vec();
        let status = [200, 404, 200, 404].map(Value::Int).to_vec();
        let counts = [1, 5, 2, 6].map(Value::Int).to_vec();
        let query = "stats count(*) as n by status, bin(1h) as hour | sort hour";
        let found = chart(query, &["status", "hour", "n"], vec![status, times, counts]).expect("a series");
        let names: Vec<&str> = found.series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!((names, found.axis.as_str()), (vec!["404", "200"], "hour"));
    }

    #[test]
    fn what_is_no_time_series() {
        let one = || vec![vec![Value::Time(0)], vec![Value::Int(1)]];
        assert_eq!(chart("stats count(*) as n by ip", &["ip", "n"], one()), None);
        assert_eq!(chart("fields a", &["a", "n"], one()), None);
        assert_eq!(chart("stats count(*) as n by bin(1h)", &["bin(1h)", "n"], one()), None, "one time only");
        let words = vec![vec![Value::Time(0), Value::Time(HOUR)], vec![text("a"), text("b")]];
        assert_eq!(chart("stats latest(x) as n by bin(1h)", &["bin(1h)", "n"], words), None);
        let apart = || vec![vec![Value::Time(0), Value::Time(5 * HOUR)], vec![Value::Int(1), Value::Int(2)]];
        let slots = |query| chart(query, &["t", "n"], apart()).map(|c| c.series[0].values.len());
        assert_eq!(slots("stats count(*) as n by bin(1h) as t"), Some(6), "the period is what the query says");
        assert_eq!(slots("stats count(*) as n by bin($p) as t"), Some(2));
        let far =
            vec![vec![Value::Time(0), Value::Time(1), Value::Time(i64::MAX / 2)], [1, 2, 3].map(Value::Int).to_vec()];
        let far = chart("stats count(*) as n by bin(1h)", &["bin(1h)", "n"], far).expect("a series");
        assert!(far.series[0].values.len() <= 4097);
    }
}
