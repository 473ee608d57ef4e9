//! What a group of `stats` must amount to, going by the filters behind it: `stats count(*) as n by ip | filter n > 20`
//! keeps no group of fewer than 21 rows, so that a group may be left out that can be known to have fewer.

use super::ordered::Ordered;
use super::{AggCall, CompareOp, Expr, Op, Slot};
use crate::value::Kind;

/// What each row of a group adds at most, and what the sum must be at least for the group to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// What a row adds.
    pub weight: Weight,
    /// The least sum that passes.
    pub least: u64,
}

/// What a group must not amount to more than, to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ceiling {
    /// What a row adds.
    pub weight: Weight,
    /// The greatest sum that passes.
    pub most: u64,
}

/// What a row adds to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// One.
    One,
    /// One if the cell is not null.
    Present(Slot),
    /// One if the cell is true.
    True(Slot),
    /// One if the cell is not null, and nothing if the same group had the same text before.
    Distinct(Slot),
    /// The number in the cell, if it is above 0, rounded up.
    Number(Slot),
}

/// The strictest demand that the filters behind a `stats` make on its groups; nothing if any group may be kept.
pub(crate) fn reach(ops: &[Op], group: usize) -> Option<Reach> {
    let demand = |Demand { weight, op, bound, .. }: Demand| {
        let least = match (op, weight) {
            // A sum above 20 may be 20.5: at least 20 for whoever knows whole numbers only.
            (CompareOp::Ge | CompareOp::Eq, _) | (CompareOp::Gt, Weight::Number(_)) => bound,
            (CompareOp::Gt, _) => bound + 1,
            _ => return None,
        };
        Some(Reach { weight, least })
    };
    demands(ops, group).filter_map(demand).filter(|r| r.least > 1).max_by_key(|r| match r.weight {
        // Counts are told apart better than sums.
        Weight::Number(_) => (0, r.least),
        _ => (1, r.least),
    })
}

/// What the rows of a key must amount to so that an op that looks for events finds any.
pub(crate) fn of_events(op: &Ordered) -> Option<Reach> {
    match op {
        // Each step must be met so often, each time by another row.
        Ordered::Sequence { steps, .. } => {
            let (slot, least) = steps.iter().max_by_key(|(_, least)| *least)?;
            (*least > 1).then_some(Reach { weight: Weight::True(*slot), least: *least })
        }
        _ => None,
    }
}

/// The strictest limit that the filters behind a `stats` set to the number of its groups' rows.
pub(crate) fn ceiling(ops: &[Op], group: usize) -> Option<Ceiling> {
    let limit = |Demand { weight, op, bound, exact }: Demand| {
        let limits = matches!(op, CompareOp::Lt | CompareOp::Le | CompareOp::Eq);
        (exact && limits).then_some(Ceiling { weight, most: bound })
    };
    demands(ops, group).filter_map(limit).min_by_key(|c| c.most)
}

/// What a filter behind a `stats` demands of a result.
struct Demand {
    /// What a row adds to it.
    weight: Weight,
    /// It is neither more nor less than that, and more rows do not make it less.
    exact: bool,
    /// How it is compared.
    op: CompareOp,
    /// With what, without its fraction.
    bound: u64,
}

/// The demands that all groups of a `stats` with keys must meet.
fn demands(ops: &[Op], group: usize) -> impl Iterator<Item = Demand> {
    let (keys, aggs): (&[Slot], &[AggCall]) = match ops.get(group) {
        Some(Op::Group { keys, aggs, .. }) if !keys.is_empty() => (keys, aggs),
        _ => (&[], &[]),
    };
    // Slots are written once, so that a filter behind a computed column still sees the group's own results.
    let behind = ops.get(group + 1..).unwrap_or_default();
    let behind = behind.iter().take_while(|op| matches!(op, Op::Filter(_) | Op::Extend(_) | Op::Drop(_)));
    let filters = behind.filter_map(|op| match op {
        Op::Filter(Expr::And(all)) => Some(all.as_slice()),
        Op::Filter(one) => Some(std::slice::from_ref(one)),
        _ => None,
    });
    filters.flatten().filter_map(|e| {
        let (slot, op, bound) = bound(e)?;
        let (weight, exact) = weight(aggs.get(slot.checked_sub(keys.len())?)?)?;
        Some(Demand { weight, exact, op, bound })
    })
}

/// The slot that a condition compares with a number, how, and the number without its fraction.
fn bound(e: &Expr) -> Option<(Slot, CompareOp, u64)> {
    let Expr::Compare(op, left, right) = e else { return None };
    let (op, slot, value) = match (&**left, &**right) {
        (Expr::Slot(slot), Expr::Literal(v)) => (*op, *slot, v),
        (Expr::Literal(v), Expr::Slot(slot)) => (op.flipped(), *slot, v),
        _ => return None,
    };
    if value.as_ref().kind() != Some(Kind::Number) {
        return None;
    }
    // Up to here floats are exact.
    let bound = value.as_ref().number()?.as_f64().floor();
    (1.0..1e15).contains(&bound).then_some((slot, op, bound as u64))
}

/// What a row adds at most to the result of an aggregate, and whether the result is a count of just that.
fn weight(call: &AggCall) -> Option<(Weight, bool)> {
    match (call.aggregate.name, call.args.first()) {
        ("count" | "count_over_time", None) => Some((Weight::One, true)),
        ("count" | "count_over_time", Some(slot)) => Some((Weight::Present(*slot), true)),
        ("count_distinct" | "approx_count_distinct", Some(slot)) => Some((Weight::Distinct(*slot), false)),
        ("countIf", Some(slot)) => Some((Weight::True(*slot), true)),
        ("sum", Some(slot)) => Some((Weight::Number(*slot), false)),
        _ => None,
    }
}
