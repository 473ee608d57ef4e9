//! Rewrites of a finished plan that never change its answer.

use super::nested::Combine;
use super::tables::LookupBy;
use super::{Op, Plan, Slot};
use std::collections::BTreeSet;

impl Op {
    /// The slots the op reads.
    pub fn reads(&self) -> Vec<Slot> {
        match self {
            Op::Filter(e) => e.slots(),
            Op::Range { time, .. } | Op::Edges(time) => vec![*time],
            Op::Extend(columns) => columns.iter().flat_map(|(_, e)| e.slots()).collect(),
            Op::Parse { input, .. } => input.slots(),
            Op::Unnest { list, .. } => list.slots(),
            Op::Trace { time, .. } => vec![*time],
            Op::Drop(_) | Op::Limit { .. } => Vec::new(),
            Op::Group { keys, aggs, .. } => {
                keys.iter().copied().chain(aggs.iter().flat_map(|a| a.args.iter().copied().chain(a.time))).collect()
            }
            Op::Sort { keys, .. } => keys.iter().map(|k| k.slot).collect(),
            Op::Dedup(slots) => slots.clone(),
            Op::Ordered(op) => op.reads(),
            Op::Lookup(lookup) => {
                let keys: Vec<Slot> = match &lookup.by {
                    LookupBy::Keys(keys) => keys.iter().map(|(_, s)| *s).collect(),
                    LookupBy::Network(_, ip) => vec![*ip],
                };
                keys.into_iter().chain(lookup.outputs.iter().filter_map(|(_, old, _)| *old)).collect()
            }
            Op::Nested(nested) => match &nested.how {
                Combine::Union(columns) => columns.iter().filter_map(|(left, _)| *left).collect(),
                Combine::Paste { replaced, .. } => replaced.iter().map(|(left, ..)| *left).collect(),
                Combine::Join { left, .. } => vec![*left],
            },
        }
    }

    /// The slots the op writes.
    fn writes(&self) -> Vec<Slot> {
        match self {
            Op::Extend(columns) => columns.iter().map(|(s, _)| *s).collect(),
            Op::Parse { outputs, .. } => outputs.clone(),
            Op::Unnest { output, .. } | Op::Trace { output, .. } => vec![*output],
            Op::Ordered(op) => op.writes(),
            Op::Lookup(lookup) => lookup.outputs.iter().map(|(_, _, s)| *s).collect(),
            Op::Nested(nested) => match &nested.how {
                Combine::Union(_) => Vec::new(),
                Combine::Paste { columns, replaced, .. } => {
                    columns.iter().map(|(_, to)| *to).chain(replaced.iter().map(|(_, _, to)| *to)).collect()
                }
                Combine::Join { columns, .. } => columns.iter().map(|(_, to)| *to).collect(),
            },
            _ => Vec::new(),
        }
    }
}

/// Puts an [`Op::Drop`] behind each op after which columns are not read any more, so that filters and sorts do not
/// carry them along.
pub(super) fn drop_unread(plan: &mut Plan) {
    let mut live: BTreeSet<Slot> = plan.shown.iter().map(|(_, s)| *s).collect();
    let mut out = Vec::new();
    for op in std::mem::take(&mut plan.ops).into_iter().rev() {
        let dead: Vec<Slot> = op
            .reads()
            .into_iter()
            .chain(op.writes())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|s| !live.contains(s))
            .collect();
        match op {
            // A group op renumbers: before it, only what it reads is alive.
            Op::Group { .. } => live = op.reads().into_iter().collect(),
            Op::Ordered(ref o) if o.renumbers() => live = op.reads().into_iter().collect(),
            Op::Nested(ref n) if matches!(n.how, Combine::Union(_)) => live = op.reads().into_iter().collect(),
            _ => {
                if !dead.is_empty() {
                    out.push(Op::Drop(dead));
                }
                op.writes().iter().for_each(|s| {
                    live.remove(s);
                });
                live.extend(op.reads());
            }
        }
        out.push(op);
    }
    out.reverse();
    plan.ops = out;
}
