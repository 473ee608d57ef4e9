//! `histogram`: how the numbers of a group spread over their range.

use super::cells::texts;
use super::tally::{Item, Tally};
use super::{Accumulator, Aggregate, Input, Put, Restore, Stop, quantile, same_type};
use crate::error::Error;
use crate::func::{Status, Type};
use crate::value::column::Column;
use crate::value::number::{Number, float_text};
use crate::value::{Kind, Value, ValueRef};

pub(super) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "histogram",
    aliases: &[],
    params: &[("x", Type::Number), ("n", Type::Number)],
    literal: &[1],
    optional: 0,
    star: false,
    needs_time: false,
    result: Type::Nested,
    status: Status::Insights,
    about: "Map from the lower bound of each of `n` (up to 10000) equal ranges between least and greatest number to how many lie in \
            it; the last range holds its upper bound, too. Null if there is no number.",
    examples: &[
        ("histogram(x, 3)", r#"{"1":3,"4":0,"7":1}"#),
        ("histogram(x, 2)", r#"{"1":3,"5.5":1}"#),
        ("histogram(who, 2)", ""),
    ],
    new: |settings| {
        Box::new(Histogram { ranges: settings.number.unwrap_or(1.0).clamp(1.0, MOST) as u64, tally: Tally::default() })
    },
}];

/// Ranges are listed one by one: a slip of the keyboard must not fill the memory.
const MOST: f64 = 10_000.0;

struct Histogram {
    ranges: u64,
    tally: Tally<u64>,
}

impl Accumulator for Histogram {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        if let Some(column) = input.args.first() {
            let is_number = |v: ValueRef<'_>| v.number().is_some();
            texts(column, groups, n_groups, is_number, |group, kind, text, rows| {
                self.tally.add(group, Some(kind), text, rows)
            });
        }
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, _: usize) {
        self.tally.merge(same_type::<Self>(others).map(|(other, map)| (other.tally, map)));
    }

    fn finish(self: Box<Self>, n_groups: usize) -> Column {
        let ranges = self.ranges;
        self.tally.grouped(n_groups).column(|items| of_items(&items, ranges))
    }

    fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.tally.stop_with(stop);
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
        self.tally.save(put, |_, item, key, value| quantile::write(item, key, value))
    }

    fn restore(self: Box<Self>) -> Box<dyn Restore> {
        Box::new(Ranging { ranges: self.ranges, spread: Spread::default() })
    }
}

/// Numbers of one group and how often they occur.
#[derive(Default)]
struct Spread {
    integers: Vec<(i64, u64)>,
    floats: Vec<(f64, u64)>,
}

impl Spread {
    fn add(&mut self, v: ValueRef<'_>, rows: u64) {
        match v.number() {
            Some(Number::Int(n)) => self.integers.push((n, rows)),
            Some(n) => self.floats.push((n.as_f64(), rows)),
            None => {}
        }
    }

    fn ranges(mut self, n: u64) -> Value {
        if self.floats.is_empty() {
            return of_integers(&self.integers, n);
        }
        self.floats.extend(self.integers.iter().map(|(n, rows)| (*n as f64, *rows)));
        of_floats(&self.floats, n)
    }
}

/// Gathers the numbers of a group: where the ranges lie shows only when all are known.
struct Ranging {
    ranges: u64,
    spread: Spread,
}

impl Restore for Ranging {
    fn add(&mut self, _: &[u8], value: &[u8]) -> Result<(), Error> {
        let (weight, kind, text) = quantile::read(value)?;
        self.spread.add(ValueRef::Text(kind, text), weight);
        Ok(())
    }

    fn finish(&mut self) -> Value {
        std::mem::take(&mut self.spread).ranges(self.ranges)
    }

    fn bytes(&self) -> usize {
        (self.spread.integers.capacity() + self.spread.floats.capacity()) * 16
    }
}

fn of_items(items: &[Item<'_, u64>], ranges: u64) -> Value {
    let mut spread = Spread::default();
    items.iter().for_each(|item| item.with_text(|t| spread.add(ValueRef::Text(item.kind(), t), item.weight)));
    spread.ranges(ranges)
}

fn of_integers(values: &[(i64, u64)], ranges: u64) -> Value {
    let numbers = || values.iter().map(|(n, _)| i128::from(*n));
    let (Some(least), Some(most)) = (numbers().min(), numbers().max()) else { return Value::Null };
    let (width, n) = (most - least, i128::from(ranges));
    let mut counts = vec![0; ranges as usize];
    for (value, rows) in values {
        // The only value of a range without width is its upper bound, too; it goes first.
        let range = ((i128::from(*value) - least) * n).checked_div(width).unwrap_or(0);
        counts[range.clamp(0, n - 1) as usize] += rows;
    }
    map(counts, |i| {
        let bound = least * n + i as i128 * width;
        if bound % n == 0 { (bound / n).to_string() } else { float_text(bound as f64 / n as f64) }
    })
}

fn of_floats(values: &[(f64, u64)], ranges: u64) -> Value {
    let least = values.iter().map(|v| v.0).fold(f64::INFINITY, f64::min);
    let most = values.iter().map(|v| v.0).fold(f64::NEG_INFINITY, f64::max);
    // Halves, because the width of all floats is not a float.
    let (half, n) = (most / 2.0 - least / 2.0, ranges as f64);
    if !half.is_finite() {
        return Value::Null;
    }
    let mut counts = vec![0; ranges as usize];
    let last = counts.len() - 1;
    for (value, rows) in values {
        // Not a number where the range has no width; that converts to 0.
        let range = (value / 2.0 - least / 2.0) / half * n;
        counts[(range as usize).min(last)] += rows;
    }
    map(counts, |i| float_text(least + (half * (i as f64 / n)) * 2.0))
}

/// The map of lower bounds to counts. Ranges too narrow for their bounds to differ become one.
fn map(counts: Vec<u64>, bound: impl Fn(usize) -> String) -> Value {
    let mut listed: Vec<(String, u64)> = Vec::new();
    for (i, rows) in counts.into_iter().enumerate() {
        let bound = bound(i);
        match listed.last_mut() {
            Some((last, sum)) if *last == bound => *sum += rows,
            _ => listed.push((bound, rows)),
        }
    }
    let entries: Vec<String> = listed.iter().map(|(bound, rows)| format!("\"{bound}\":{rows}")).collect();
    Value::Text(Kind::Map, format!("{{{}}}", entries.join(",")).into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(v: &Value) -> String {
        String::from_utf8_lossy(&v.as_ref().text().unwrap_or_default()).into_owned()
    }

    #[test]
    fn ranges_at_the_edges() {
        let whole = [(i64::MIN, 1), (0, 2), (i64::MAX, 3)];
        assert_eq!(text(&of_integers(&whole, 2)), r#"{"-9223372036854775808":1,"-0.5":5}"#);
        assert_eq!(text(&of_integers(&[(5, 9)], 4)), r#"{"5":9}"#);
        assert_eq!(text(&of_integers(&[], 4)), "");
        assert_eq!(text(&of_floats(&[(0.5, 9)], 4)), r#"{"0.5":9}"#);
        assert_eq!(
            text(&of_floats(&[(-f64::MAX, 1), (0.0, 1), (f64::MAX, 1)], 2)),
            r#"{"-1.7976931348623157e+308":1,"0":2}"#
        );
        assert_eq!(text(&of_floats(&[(0.0, 1), (0.25, 2), (1.0, 4)], 4)), r#"{"0":1,"0.25":2,"0.5":0,"0.75":4}"#);
    }
}
