//! `sum`, `avg`, `sum_over_time`.
//!
//! Integers add up in 128 bits, everything else in an [`Exact`] sum that few groups need: the result is the true sum,
//! rounded once, in whatever order the rows come.

use super::cells::operands;
use super::exact::{Exact, Scaled};
use super::group::{PerGroup, State};
use super::{Aggregate, Input};
use crate::func::{Status, Type};
use crate::value::Value;
use crate::value::number::Number;
use serde::{Deserialize, Serialize};

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "sum",
        aliases: &[],
        params: &[("x", Type::Number)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Exact sum of numbers and numeric strings, booleans as 1 and 0. Other values count nothing; null if there is no number.",
        examples: &[("sum(x)", "15"), ("sum(ok)", "2"), ("sum(who)", "")],
        new: |_| PerGroup::<Sum>::boxed(What::Sum),
    },
    Aggregate {
        name: "avg",
        aliases: &[],
        params: &[("x", Type::Number)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Mean: the exact sum of what `sum` adds, divided by how many they are, rounded once. Null if there is no number.",
        examples: &[("avg(x)", "3.75"), ("avg(ok)", "0.6666666666666666"), ("avg(who)", "")],
        new: |_| PerGroup::<Sum>::boxed(What::Mean),
    },
    Aggregate {
        name: "sum_over_time",
        aliases: &[],
        params: &[("x", Type::Number)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "`sum`, as it is called on time series.",
        examples: &[("sum_over_time(x)", "15")],
        new: |_| PerGroup::<Sum>::boxed(What::Sum),
    },
];

#[derive(Clone)]
enum What {
    Sum,
    Mean,
}

#[derive(Default, Serialize, Deserialize)]
struct Sum {
    count: u64,
    /// Sum of the integers; 2^64 rows of 64 bits fit.
    integers: i128,
    rest: Option<Box<Rest>>,
}

/// Sum of what is not a 64-bit integer.
#[derive(Default, Serialize, Deserialize)]
struct Rest {
    exact: Exact,
    /// A float was among it, so the result is one.
    floats: bool,
}

impl Sum {
    #[inline]
    fn add(&mut self, n: Number<'_>) {
        self.count += 1;
        match n {
            Number::Int(n) => self.integers += i128::from(n),
            Number::Float(x) => {
                let rest = self.rest.get_or_insert_default();
                rest.exact.add_float(x);
                rest.floats = true;
            }
            Number::Big(digits) => self.rest.get_or_insert_default().exact.add_digits(digits),
        }
    }
}

impl State for Sum {
    type Variant = What;

    fn update(states: &mut [Sum], _: &What, input: &Input<'_>, groups: &[u32]) {
        if let Some(column) = input.args.first() {
            operands(states, column, groups, Sum::add);
        }
    }

    fn merge(&mut self, other: Sum, _: &What) {
        self.count += other.count;
        self.integers += other.integers;
        if let Some(other) = other.rest {
            match &mut self.rest {
                Some(rest) => {
                    rest.exact.merge(other.exact);
                    rest.floats |= other.floats;
                }
                none => *none = Some(other),
            }
        }
    }

    fn finish(self, what: &What) -> Value {
        let divisor = match what {
            _ if self.count == 0 => return Value::Null,
            What::Sum => 1,
            What::Mean => self.count,
        };
        match self.rest {
            None => mean_of_integers(self.integers, divisor),
            Some(mut rest) => {
                rest.exact.add_integer(self.integers);
                match rest.exact.total() {
                    None => Value::Null,
                    Some(total) if rest.floats => Value::float(total.divided(divisor)),
                    Some(total) => mean(&total, divisor),
                }
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |r| size_of::<Rest>() + r.exact.heap_bytes())
    }
}

/// An integer if it is one and has 64 bits.
fn mean_of_integers(sum: i128, count: u64) -> Value {
    let whole = sum / i128::from(count);
    if let Ok(n) = i64::try_from(whole)
        && whole * i128::from(count) == sum
    {
        return Value::Int(n);
    }
    /// Up to here every integer is a float, and one division rounds once.
    const EXACT: u64 = 1 << 53;
    if sum.unsigned_abs() <= u128::from(EXACT) && count <= EXACT {
        return Value::Float(sum as f64 / count as f64);
    }
    Value::float(Scaled::integer(sum).divided(count))
}

/// The same of sums with integers beyond 64 bits.
fn mean(total: &Scaled, count: u64) -> Value {
    match total.whole(count) {
        Some(n) => Value::Int(n),
        None => Value::float(total.divided(count)),
    }
}
