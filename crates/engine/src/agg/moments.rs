//! `variance`, `stddev`: of the population, from exact sums of the values and of their squares.

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
        name: "variance",
        aliases: &[],
        params: &[("x", Type::Number)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Population variance of what `avg` averages: the mean of the squared distances from the mean, rounded once.",
        examples: &[("variance(x)", "13.1875"), ("variance(who)", "")],
        new: |_| PerGroup::<Moments>::boxed(What::Variance),
    },
    Aggregate {
        name: "stddev",
        aliases: &[],
        params: &[("x", Type::Number)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Population standard deviation: the square root of `variance`.",
        examples: &[("stddev(x)", "3.6314597615834874"), ("stddev(ok)", "0.4714045207910317")],
        new: |_| PerGroup::<Moments>::boxed(What::Deviation),
    },
];

#[derive(Clone)]
enum What {
    Variance,
    Deviation,
}

#[derive(Default, Serialize, Deserialize)]
struct Moments {
    count: u64,
    /// Sum of the integers.
    integers: i128,
    /// Sum of their squares, as far as it fits.
    squares: u128,
    rest: Option<Box<Rest>>,
}

/// What the integers cannot hold.
#[derive(Default, Serialize, Deserialize)]
struct Rest {
    sum: Exact,
    squares: Exact,
}

impl Moments {
    #[inline]
    fn add(&mut self, n: Number<'_>) {
        self.count += 1;
        match n {
            Number::Int(n) => {
                self.integers += i128::from(n);
                let square = u128::from(n.unsigned_abs()) * u128::from(n.unsigned_abs());
                self.add_squares(square);
            }
            Number::Float(x) => self.add_float(x),
            // As the nearest float: the square of an integer of any length is not worth its memory.
            Number::Big(_) => self.add_float(n.as_f64()),
        }
    }

    fn add_squares(&mut self, squares: u128) {
        match self.squares.checked_add(squares) {
            Some(sum) => self.squares = sum,
            None => {
                let full = std::mem::replace(&mut self.squares, squares);
                self.rest.get_or_insert_default().squares.add_unsigned(full);
            }
        }
    }

    fn add_float(&mut self, x: f64) {
        let rest = self.rest.get_or_insert_default();
        if x.is_finite() {
            rest.sum.add_float(x);
            rest.squares.add_square(x);
        } else {
            rest.sum.add_beyond();
        }
    }

    /// (n·Σx² - (Σx)²) / n²
    fn variance(self) -> Option<f64> {
        /// Up to here every integer is a float, and one division rounds once.
        const EXACT: u128 = 1 << 53;
        let n = self.count;
        let Some(mut rest) = self.rest else {
            let wide = u128::from(n);
            if let (Some(squares), Some(square), Some(divisor)) = (
                self.squares.checked_mul(wide),
                self.integers.unsigned_abs().checked_mul(self.integers.unsigned_abs()),
                wide.checked_mul(wide),
            ) && squares - square <= EXACT
                && divisor <= EXACT
            {
                return Some((squares - square) as f64 / divisor as f64);
            }
            return Some(spread(&Scaled::integer(self.integers), &unsigned(self.squares)?, n));
        };
        rest.sum.add_integer(self.integers);
        rest.squares.add_unsigned(self.squares);
        Some(spread(&rest.sum.total()?, &rest.squares.total()?, n))
    }
}

fn unsigned(n: u128) -> Option<Scaled> {
    let mut exact = Exact::default();
    exact.add_unsigned(n);
    exact.total()
}

fn spread(sum: &Scaled, squares: &Scaled, n: u64) -> f64 {
    squares.times(n).minus(&sum.squared()).divided_twice(n)
}

impl State for Moments {
    type Variant = What;

    fn update(states: &mut [Moments], _: &What, input: &Input<'_>, groups: &[u32]) {
        if let Some(column) = input.args.first() {
            operands(states, column, groups, Moments::add);
        }
    }

    fn merge(&mut self, other: Moments, _: &What) {
        self.count += other.count;
        self.integers += other.integers;
        self.add_squares(other.squares);
        if let Some(other) = other.rest {
            let rest = self.rest.get_or_insert_default();
            rest.sum.merge(other.sum);
            rest.squares.merge(other.squares);
        }
    }

    fn finish(self, what: &What) -> Value {
        if self.count == 0 {
            return Value::Null;
        }
        match (what, self.variance()) {
            (_, None) => Value::Null,
            (What::Variance, Some(x)) => Value::float(x),
            (What::Deviation, Some(x)) => Value::float(x.sqrt()),
        }
    }

    fn heap_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |r| size_of::<Rest>() + r.sum.heap_bytes() + r.squares.heap_bytes())
    }
}
