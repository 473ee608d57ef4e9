//! `earliest`, `latest`: the value of the first or last row in time.

use super::cells::present;
use super::group::{PerGroup, State};
use super::held::Held;
use super::{Aggregate, Input};
use crate::func::{Status, Type};
use crate::value::Value;
use serde::{Deserialize, Serialize};

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "earliest",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: true,
        result: Type::Any,
        status: Status::Insights,
        about: "The value of the row with the smallest `@timestamp` among those that have both; of several, the first as the rows stand: in source order, unless the query has sorted them.",
        examples: &[("earliest(x)", "1"), ("earliest(who)", "ann")],
        new: |_| PerGroup::<Edge>::boxed(What::Earliest),
    },
    Aggregate {
        name: "latest",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: true,
        result: Type::Any,
        status: Status::Insights,
        about: "The value of the row with the largest `@timestamp` among those that have both; of several, the last as the rows stand: in source order, unless the query has sorted them.",
        examples: &[("latest(x)", "10"), ("latest(who)", "web9"), ("latest(ok)", "true")],
        new: |_| PerGroup::<Edge>::boxed(What::Latest),
    },
];

#[derive(Clone, Copy)]
enum What {
    Earliest,
    Latest,
}

#[derive(Default, Serialize, Deserialize)]
struct Edge {
    /// Time and position of the row; `None` before the first.
    at: Option<(i64, u64)>,
    held: Held,
}

impl Edge {
    /// Rows made of one record share its position and come in their order, so the last of them wins `latest`.
    #[inline]
    fn loses(&self, what: What, at: (i64, u64)) -> bool {
        self.at.is_none_or(|old| match what {
            What::Earliest => at < old,
            What::Latest => at >= old,
        })
    }
}

impl State for Edge {
    type Variant = What;

    fn update(states: &mut [Edge], what: &What, input: &Input<'_>, groups: &[u32]) {
        let (Some(column), Some(times)) = (input.args.first(), input.times) else { return };
        present(column, |i, v| {
            let Some(time) = times.get(i).timestamp() else { return };
            let at = (time, input.positions.get(i));
            let state = match states.len() {
                1 => &mut states[0],
                _ => &mut states[groups[i] as usize],
            };
            if state.loses(*what, at) {
                state.at = Some(at);
                state.held.set(v);
            }
        });
    }

    fn merge(&mut self, other: Edge, what: &What) {
        if other.at.is_some_and(|at| self.loses(*what, at)) {
            *self = other;
        }
    }

    fn finish(self, _: &What) -> Value {
        self.held.to_value()
    }

    fn heap_bytes(&self) -> usize {
        self.held.heap_bytes()
    }
}
