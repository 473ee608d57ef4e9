//! What part plans take in the looks at the rows of a pass.

use super::sink_at;
use crate::exec::Cx;
use crate::exec::group::sieve::Sieve;
use crate::plan::ordered::Ordered;
use crate::plan::{Op, Plan, Slot};
use crate::when::When;

/// What part a plan takes in a look at the rows.
#[derive(Clone, Copy)]
pub(super) enum Part<'s> {
    /// It sees all rows, and may find that only a second look answers it.
    First,
    /// It waits for the rows to be kept, and sees them as [`Part::First`] if they cannot be.
    Later,
    /// It wants to know the first and the last time, without which it cannot tell whether any row matters.
    Edges,
    /// Its second look; it sees the rows that the sieve lets pass.
    Second(Option<&'s Sieve>),
    /// It sees all rows of some of its groups at once, and which sieve leaves out rows of those that are too small.
    Whole(usize),
}

impl<'s> Part<'s> {
    /// How it looks at the rows that were kept.
    pub fn again(self) -> Part<'s> {
        match self {
            Part::Later => Part::First,
            Part::First | Part::Edges | Part::Second(_) | Part::Whole(_) => Part::Second(None),
        }
    }
}

/// Now that the first and last time are known: whether there can be something new so late.
pub(super) fn is_new_wanted((plan, cx): (&Plan, &Cx<'_>)) -> bool {
    let Some(when) = new_after(plan) else { return false };
    let edges = cx.edges.edges();
    when.resolve(cx.clock.now, edges).zip(edges).is_some_and(|(after, (_, last))| after <= last)
}

/// The time from which on values count as new, where it depends on the first or last event: often all are before it.
pub(super) fn new_after(plan: &Plan) -> Option<When> {
    let at = sink_at(plan);
    let is_read = |slot: &Slot| plan.scan.fields.iter().any(|(_, s)| s == slot);
    let sees = plan.ops[..at].iter().any(|op| matches!(op, Op::Edges(time) if is_read(time)));
    match plan.ops.get(at..at + 2) {
        Some([Op::Group { .. }, Op::Ordered(Ordered::New { after: Some(when), .. })]) if sees && when.needs_edges() => {
            Some(*when)
        }
        _ => None,
    }
}
