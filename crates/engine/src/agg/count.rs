//! `count`, `countIf`, `count_over_time`.

use super::cells::present;
use super::group::{PerGroup, State};
use super::{Accumulator, Aggregate, Input, Settings};
use crate::func::{Status, Type};
use crate::value::Value;
use crate::value::column::{Column, Nulls};
use crate::value::compare::truth;
use arrow::array::Array;
use serde::{Deserialize, Serialize};

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "count",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 1,
        star: true,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Number of rows; with an argument, of those where it is not null.",
        examples: &[("count(*)", "6"), ("count()", "6"), ("count(x)", "5"), ("count(ok)", "3")],
        new: new_count,
    },
    Aggregate {
        name: "countIf",
        aliases: &["count_if"],
        params: &[("condition", Type::Predicate)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Extension,
        about: "Number of rows where the condition is true.",
        examples: &[("countIf(ok)", "2"), ("countIf(x)", "4")],
        new: |_| PerGroup::<Count>::boxed(What::True),
    },
    Aggregate {
        name: "count_over_time",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 1,
        star: true,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "`count`, as it is called on time series.",
        examples: &[("count_over_time(*)", "6"), ("count_over_time(x)", "5")],
        new: new_count,
    },
];

fn new_count(settings: &Settings) -> Box<dyn Accumulator> {
    PerGroup::<Count>::boxed(if settings.star { What::Rows } else { What::Present })
}

/// What is counted.
#[derive(Clone)]
enum What {
    Rows,
    Present,
    True,
}

#[derive(Default, Serialize, Deserialize)]
struct Count(i64);

impl State for Count {
    type Variant = What;

    fn update(states: &mut [Count], what: &What, input: &Input<'_>, groups: &[u32]) {
        match (what, input.args.first()) {
            (What::True, Some(column)) => count_true(states, column, groups),
            (What::Present, Some(column)) => match states {
                [one] => one.0 += (column.len() - column.null_count()) as i64,
                many => match column.nulls() {
                    Nulls::None => count_rows(many, groups),
                    Nulls::All => {}
                    Nulls::Some(nulls) => nulls.valid_indices().for_each(|i| many[groups[i] as usize].0 += 1),
                },
            },
            _ => count_rows(states, groups),
        }
    }

    fn merge(&mut self, other: Count, _: &What) {
        self.0 += other.0;
    }

    fn finish(self, _: &What) -> Value {
        Value::Int(self.0)
    }
}

fn count_rows(states: &mut [Count], groups: &[u32]) {
    match states {
        [one] => one.0 += groups.len() as i64,
        many => groups.iter().for_each(|g| many[*g as usize].0 += 1),
    }
}

fn count_true(states: &mut [Count], column: &Column, groups: &[u32]) {
    match (states, column) {
        // Conditions, mostly.
        ([one], Column::Int(of)) if of.null_count() == 0 => {
            one.0 += of.values().iter().map(|v| i64::from(*v != 0)).sum::<i64>()
        }
        (many, Column::Int(of)) if of.null_count() == 0 => {
            of.values().iter().zip(groups).for_each(|(v, group)| many[*group as usize].0 += i64::from(*v != 0));
        }
        ([one], _) => present(column, |_, v| one.0 += i64::from(truth(v))),
        (many, _) => present(column, |i, v| many[groups[i] as usize].0 += i64::from(truth(v))),
    }
}
