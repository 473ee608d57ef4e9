//! What a group of `stats` must amount to, going by the filters behind it: `stats count(*) as n by ip | filter n > 20`
//! keeps no group of fewer than 21 rows, so that a group may be left out that can be known to have fewer.

use super::ordered::Ordered;
use super::{AggCall, CompareOp, Expr, Op, Slot};
use crate::value::Kind;
use backsight_lang::ast::BinaryOp;

/// What each row of a group adds at most, and what the sum must be at least for the group to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// What a row adds.
    pub weight: Weight,
    /// The least sum that passes.
    pub least: u64,
}

/// What a group must reach to be kept: so many of some sums, or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The sums.
    pub reaches: Vec<Reach>,
    /// How many of them, from 1 to all.
    pub least: usize,
}

impl Demand {
    /// This one.
    pub fn one(reach: Reach) -> Demand {
        Demand { reaches: vec![reach], least: 1 }
    }
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
pub(crate) fn demand(ops: &[Op], group: usize) -> Option<Demand> {
    let reaches = bounds(ops, group).filter_map(|bound| bound.reach()).filter(|r| r.least > 1);
    let strictest = reaches.max_by_key(|r| match r.weight {
        // Counts are told apart better than sums.
        Weight::Number(_) => (0, r.least),
        _ => (1, r.least),
    });
    strictest.map(Demand::one).or_else(|| of_signs(ops, group))
}

/// What a filter demands of a sum of conditions, as `if(ips >= 5, 1, 0) + if(n > 100, 1, 0) as signs | filter signs >= 2`.
fn of_signs(ops: &[Op], group: usize) -> Option<Demand> {
    let (keys, aggs) = grouped(ops, group);
    let computed = |slot: Slot| {
        behind(ops, group).find_map(|op| match op {
            Op::Extend(columns) => columns.iter().find(|(of, _)| *of == slot).map(|(_, e)| e),
            _ => None,
        })
    };
    filters(ops, group).find_map(|e| {
        let (slot, op, bound) = bound(e)?;
        let least = match op {
            CompareOp::Ge | CompareOp::Eq => bound,
            CompareOp::Gt => bound + 1,
            _ => return None,
        };
        let mut signs = Vec::new();
        summands(computed(slot)?, &mut signs);
        let conditions = signs.iter().map(|sign| condition(sign)).collect::<Option<Vec<&Expr>>>()?;
        let reach = |e: &&Expr| Bound::of(e, keys, aggs)?.reach().filter(|r| r.least > 1);
        let reaches: Vec<Reach> = conditions.iter().filter_map(reach).collect();
        // What is not understood may hold.
        let least = usize::try_from(least).ok()?.checked_sub(conditions.len() - reaches.len())?;
        (1..=reaches.len()).contains(&least).then_some(Demand { reaches, least })
    })
}

fn summands<'e>(e: &'e Expr, out: &mut Vec<&'e Expr>) {
    match e {
        Expr::Arithmetic(BinaryOp::Add, a, b) => {
            summands(a, out);
            summands(b, out);
        }
        one => out.push(one),
    }
}

/// The condition that an expression is 1 for, where it is 0 otherwise.
fn condition(e: &Expr) -> Option<&Expr> {
    let is = |e: &Expr, n: f64| matches!(e, Expr::Literal(v) if v.as_ref().number().is_some_and(|v| v.as_f64() == n));
    match e {
        Expr::Compare(..) => Some(e),
        Expr::Call(call) if call.function.name == "if" => match call.args.as_slice() {
            [cond, one, zero] if is(one, 1.0) && is(zero, 0.0) => Some(cond),
            _ => None,
        },
        _ => None,
    }
}

/// What the rows of a key must amount to so that an op that looks for events finds any.
pub(crate) fn of_events(op: &Ordered) -> Option<Demand> {
    match op {
        // Each step must be met so often, each time by another row.
        Ordered::Sequence { steps, .. } => {
            let (slot, least) = steps.iter().max_by_key(|(_, least)| *least)?;
            (*least > 1).then(|| Demand::one(Reach { weight: Weight::True(*slot), least: *least }))
        }
        _ => None,
    }
}

/// The strictest limit that the filters behind a `stats` set to the number of its groups' rows.
pub(crate) fn ceiling(ops: &[Op], group: usize) -> Option<Ceiling> {
    let limit = |Bound { weight, op, bound, exact }: Bound| {
        let limits = matches!(op, CompareOp::Lt | CompareOp::Le | CompareOp::Eq);
        (exact && limits).then_some(Ceiling { weight, most: bound })
    };
    bounds(ops, group).filter_map(limit).min_by_key(|c| c.most)
}

/// What a filter behind a `stats` demands of a result.
struct Bound {
    /// What a row adds to it.
    weight: Weight,
    /// It is neither more nor less than that, and more rows do not make it less.
    exact: bool,
    /// How it is compared.
    op: CompareOp,
    /// With what, without its fraction.
    bound: u64,
}

impl Bound {
    /// What a condition demands of the results of groups.
    fn of(e: &Expr, keys: &[Slot], aggs: &[AggCall]) -> Option<Bound> {
        let (slot, op, bound) = bound(e)?;
        let (weight, exact) = weight(aggs.get(slot.checked_sub(keys.len())?)?)?;
        Some(Bound { weight, exact, op, bound })
    }

    fn reach(&self) -> Option<Reach> {
        let Bound { weight, op, bound, .. } = *self;
        let least = match (op, weight) {
            // A sum above 20 may be 20.5: at least 20 for whoever knows whole numbers only.
            (CompareOp::Ge | CompareOp::Eq, _) | (CompareOp::Gt, Weight::Number(_)) => bound,
            (CompareOp::Gt, _) => bound + 1,
            _ => return None,
        };
        Some(Reach { weight, least })
    }
}

/// The keys and results of a `stats` with keys.
fn grouped(ops: &[Op], group: usize) -> (&[Slot], &[AggCall]) {
    match ops.get(group) {
        Some(Op::Group { keys, aggs, .. }) if !keys.is_empty() => (keys, aggs),
        _ => (&[], &[]),
    }
}

/// The ops that look at one group after another. Slots are written once, so that a filter behind a computed column still
/// sees the group's own results.
fn behind(ops: &[Op], group: usize) -> impl Iterator<Item = &Op> {
    let behind = ops.get(group + 1..).unwrap_or_default();
    behind.iter().take_while(|op| matches!(op, Op::Filter(_) | Op::Extend(_) | Op::Drop(_)))
}

/// The conditions that groups must fulfil.
fn filters(ops: &[Op], group: usize) -> impl Iterator<Item = &Expr> {
    fn parts(op: &Op) -> Option<&[Expr]> {
        match op {
            Op::Filter(Expr::And(all)) => Some(all),
            Op::Filter(one) => Some(std::slice::from_ref(one)),
            _ => None,
        }
    }
    behind(ops, group).filter_map(parts).flatten()
}

/// The demands that all groups of a `stats` with keys must meet.
fn bounds(ops: &[Op], group: usize) -> impl Iterator<Item = Bound> {
    let (keys, aggs) = grouped(ops, group);
    filters(ops, group).filter_map(|e| Bound::of(e, keys, aggs))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CompileSettings;

    fn demanded(text: &str) -> Option<Demand> {
        let plan = crate::compile(text, &CompileSettings::default()).expect("a query").plan;
        let group = plan.ops.iter().position(|op| matches!(op, Op::Group { .. })).expect("groups");
        demand(&plan.ops, group)
    }

    /// What is counted, and how much of it.
    fn of(text: &str) -> Vec<(String, u64)> {
        let reaches = demanded(text).map_or_else(Vec::new, |demand| demand.reaches);
        let name = |weight: Weight| format!("{weight:?}").split('(').next().unwrap_or("").to_owned();
        reaches.into_iter().map(|reach| (name(reach.weight), reach.least)).collect()
    }

    #[test]
    fn the_strictest_count_is_demanded() {
        let one = |name: &str, least| vec![(name.to_owned(), least)];
        assert_eq!(of("stats count(*) as n by a | filter n > 20"), one("One", 21));
        assert_eq!(of("stats count(*) as n, sum(b) as s by a | filter n >= 2 and s > 1000"), one("One", 2));
        assert_eq!(of("stats sum(b) as s by a | filter s > 10.5"), one("Number", 10));
        assert_eq!(of("stats count_distinct(b) as n by a | filter 3 <= n"), one("Distinct", 3));
        for none in ["n > 0", "n < 20", "n >= 1 or n > 7", "n != 9", "n > 'x'"] {
            assert_eq!(of(&format!("stats count(*) as n by a | filter {none}")), [], "{none}");
        }
        assert_eq!(of("stats count(*) as n | filter n > 20"), []);
    }

    #[test]
    fn sums_of_conditions_are_demanded() {
        let of = |signs: &str, filter: &str| {
            demanded(&format!(
                "stats count(*) as n, count_distinct(b) as k, max(b) as m by a | fields {signs} as signs | filter {filter}"
            ))
            .map(|demand| (demand.reaches.len(), demand.least))
        };
        let three = "if(n > 9, 1, 0) + if(k >= 3, 1, 0) + if(n > 99, 1, 0)";
        assert_eq!(of(three, "signs >= 2"), Some((3, 2)));
        assert_eq!(of(three, "signs > 2"), Some((3, 3)));
        assert_eq!(of(three, "signs >= 4"), None);
        assert_eq!(of(three, "signs < 2"), None);
        // What may hold whatever the rows are.
        assert_eq!(
            of("if(n > 9, 1, 0) + if(m > 3, 1, 0) + if(k > 0, 1, 0) + if(k > 5, 1, 0)", "signs >= 3"),
            Some((2, 1))
        );
        assert_eq!(of("if(n > 9, 1, 0) + if(m > 3, 1, 0)", "signs >= 1"), None);
        // No such sum.
        assert_eq!(of("if(n > 9, 2, 0) + if(k >= 3, 1, 0)", "signs >= 2"), None);
        assert_eq!(of("if(n > 9, 1, 0) + n", "signs >= 2"), None);
        assert_eq!(of("if(n > 9, 1, 0) * if(k >= 3, 1, 0)", "signs >= 1"), None);
    }
}
