//! `rate`: how fast a counter grows.

use super::cells::present;
use super::group::{PerGroup, State};
use super::{Aggregate, Input};
use crate::func::{Status, Type};
use crate::value::Value;
use crate::value::number::Number;
use serde::{Deserialize, Serialize};

pub(super) const AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "rate",
    aliases: &[],
    params: &[("x", Type::Number), ("period", Type::Period)],
    literal: &[1],
    optional: 0,
    star: false,
    needs_time: true,
    result: Type::Number,
    status: Status::Insights,
    about: "Latest minus earliest number, for each `period` of the time between them. Null with fewer than two times, \
            and for periods without a fixed length (months, quarters, years).",
    examples: &[("rate(x, 1m)", "2.25"), ("rate(x, 4m)", "9"), ("rate(who, 1m)", "")],
    new: |settings| PerGroup::<Ends>::boxed(settings.period.and_then(|p| p.millis())),
}];

/// The first and the last row in time that have a number.
#[derive(Default, Serialize, Deserialize)]
struct Ends {
    first: Option<Point>,
    last: Option<Point>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Point {
    /// Time and position of the row.
    at: (i64, u64),
    value: Reading,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Reading {
    Int(i64),
    Float(f64),
}

impl Reading {
    fn as_f64(self) -> f64 {
        match self {
            Reading::Int(n) => n as f64,
            Reading::Float(x) => x,
        }
    }
}

impl Ends {
    fn add(&mut self, new: Point) {
        if self.first.is_none_or(|p| new.at < p.at) {
            self.first = Some(new);
        }
        if self.last.is_none_or(|p| new.at >= p.at) {
            self.last = Some(new);
        }
    }
}

impl State for Ends {
    /// Milliseconds of the period.
    type Variant = Option<i64>;

    fn update(states: &mut [Ends], _: &Option<i64>, input: &Input<'_>, groups: &[u32]) {
        let (Some(column), Some(times)) = (input.args.first(), input.times) else { return };
        present(column, |i, v| {
            let (Some(number), Some(time)) = (v.operand(), times.get(i).timestamp()) else { return };
            let value = match number {
                Number::Int(n) => Reading::Int(n),
                Number::Float(_) | Number::Big(_) => Reading::Float(number.as_f64()),
            };
            states[groups[i] as usize].add(Point { at: (time, input.positions.get(i)), value });
        });
    }

    fn merge(&mut self, other: Ends, _: &Option<i64>) {
        other.first.into_iter().chain(other.last).for_each(|p| self.add(p));
    }

    fn finish(self, period: &Option<i64>) -> Value {
        let (Some(first), Some(last), Some(period)) = (self.first, self.last, *period) else { return Value::Null };
        let elapsed = i128::from(last.at.0) - i128::from(first.at.0);
        if elapsed == 0 {
            return Value::Null;
        }
        if let (Reading::Int(a), Reading::Int(b)) = (first.value, last.value) {
            // 65 bits times 63 bits.
            let growth = (i128::from(b) - i128::from(a)) * i128::from(period);
            return match i64::try_from(growth / elapsed) {
                Ok(n) if growth % elapsed == 0 => Value::Int(n),
                _ => Value::float(growth as f64 / elapsed as f64),
            };
        }
        Value::float((last.value.as_f64() - first.value.as_f64()) / (elapsed as f64 / period as f64))
    }
}
