//! Aggregates: one table row each, and the state they keep for all groups at once.
//!
//! There are two kinds. Those that need little of a group (`group`: counts, sums, extremes) keep one small state for
//! each; those that need every different value (`tally`: distinct counts, percentiles, lists) keep one table for all. Of words of
//! dictionaries only the numbers are kept (`pairs`).

mod cells;
mod count;
mod distinct;
mod exact;
mod extreme;
mod group;
mod held;
mod histogram;
mod list;
mod moments;
mod order;
mod pairs;
mod quantile;
mod rate;
mod sum;
mod tally;
#[cfg(test)]
mod tests;
pub mod trace;

use crate::error::Error;
use crate::func::{Status, Type};
use crate::value::Value;
use crate::value::column::{Column, Positions};
use backsight_lang::ast::Duration;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Everything known about an aggregate.
pub struct Aggregate {
    /// The name as written in the reference.
    pub name: &'static str,
    /// Other names of the same aggregate.
    pub aliases: &'static [&'static str],
    /// Name and type of each parameter. [`Type::Number`] and [`Type::Period`] parameters marked in `literal` are
    /// constants and reach [`Aggregate::new`] as [`Settings`]; the others are columns.
    pub params: &'static [(&'static str, Type)],
    /// Positions of the parameters that must be literals.
    pub literal: &'static [usize],
    /// How many of the last parameters may be left out.
    pub optional: usize,
    /// `name(*)` is allowed.
    pub star: bool,
    /// The rows' `@timestamp` is needed ([`Input::times`]).
    pub needs_time: bool,
    /// What it gives.
    pub result: Type,
    /// Whether Logs Insights has it.
    pub status: Status,
    /// One line for people: meaning, units, nulls.
    pub about: &'static str,
    /// Aggregate expression and the canonical text of its result over [`EXAMPLE_ROWS`]; of null, the empty text.
    pub examples: &'static [(&'static str, &'static str)],
    /// Makes the state.
    pub new: fn(&Settings) -> Box<dyn Accumulator>,
}

/// The literal arguments of an aggregate call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The number: percentile, count of values, number of buckets.
    pub number: Option<f64>,
    /// The period of `rate`.
    pub period: Option<Duration>,
    /// The call is `name(*)` or has no argument.
    pub star: bool,
}

/// What an accumulator sees of a batch.
pub struct Input<'a> {
    /// The argument columns (without the literal ones), each as long as `groups`.
    pub args: &'a [Column],
    /// `@timestamp` of the rows, for aggregates that need it.
    pub times: Option<&'a Column>,
    /// Source order of the rows, for ties.
    pub positions: &'a Positions,
}

/// The state of one aggregate for all groups.
///
/// Groups are dense numbers from 0; a group may first be seen in `update`, in `merge`, or never. The result must not
/// depend on how rows were split over batches and accumulators.
pub trait Accumulator: Send + Any {
    /// Adds rows: row `i` belongs to group `groups[i]`, all below `n_groups`.
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize);

    /// Adds the states of other workers: group `g` of `others[k].0` is group `others[k].1[g]` of this one. All are the
    /// same concrete type. May use rayon.
    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, n_groups: usize);

    /// One cell per group, `n_groups` in all.
    fn finish(self: Box<Self>, n_groups: usize) -> Column;

    /// Bytes of memory held, roughly.
    fn bytes(&self) -> usize;

    /// Once the flag is set, work that takes long may be left undone: nobody wants the result.
    fn stop_with(&mut self, _stop: &Stop) {}

    /// Gives all of the state to `put`, to be kept elsewhere: a group, a key within the group, and what belongs to it.
    /// [`Accumulator::restore`] says what must happen to it. The state is not used afterwards.
    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error>;

    /// Of an accumulator without groups: what makes results of saved states.
    fn restore(self: Box<Self>) -> Box<dyn Restore>;
}

/// Set when the run is to stop at once.
pub type Stop = Arc<AtomicBool>;

/// Takes the parts of a saved state: group, key within the group, value.
pub type Put<'a> = dyn FnMut(u32, &[u8], &[u8]) -> Result<(), Error> + 'a;

/// Makes results of what several accumulators saved, group by group.
pub trait Restore: Send {
    /// Takes a part of the group at hand. Parts come in the order of their keys' bytes.
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error>;

    /// The result for the group at hand; the next part belongs to another.
    fn finish(&mut self) -> Value;

    /// Bytes held for the group at hand, beyond what is always small.
    fn bytes(&self) -> usize {
        0
    }
}

/// The error for saved state that does not read back.
fn unreadable() -> Error {
    Error::Bug("a temporary file does not hold what was written to it".into())
}

/// The rows that [`Aggregate::examples`] are computed over, one JSON object each.
pub const EXAMPLE_ROWS: &str = r#"
{"@timestamp":"2024-05-01T10:00:00Z","x":1,"who":"ann","ok":true}
{"@timestamp":"2024-05-01T10:01:00Z","x":2,"who":"bob","ok":false}
{"@timestamp":"2024-05-01T10:02:00Z","x":"2.0","who":"ann","ok":true}
{"@timestamp":"2024-05-01T10:03:00Z","x":"-","who":"web10"}
{"@timestamp":"2024-05-01T10:04:00Z","x":10,"who":"web9","ok":null}
{"who":"eve"}
"#;

/// All aggregates, by family.
pub fn aggregates() -> impl Iterator<Item = &'static Aggregate> {
    [
        count::AGGREGATES,
        distinct::AGGREGATES,
        sum::AGGREGATES,
        extreme::AGGREGATES,
        quantile::AGGREGATES,
        moments::AGGREGATES,
        order::AGGREGATES,
        list::AGGREGATES,
        histogram::AGGREGATES,
        rate::AGGREGATES,
    ]
    .into_iter()
    .flatten()
}

/// The aggregate of a name or alias, any case.
pub fn find(name: &str) -> Option<&'static Aggregate> {
    aggregates().find(|a| a.name.eq_ignore_ascii_case(name) || a.aliases.iter().any(|n| n.eq_ignore_ascii_case(name)))
}

/// The accumulators that [`Accumulator::merge`] is given, as what they are.
fn same_type<A: Accumulator>(others: Vec<(Box<dyn Accumulator>, Vec<u32>)>) -> impl Iterator<Item = (A, Vec<u32>)> {
    others.into_iter().map(|(other, map)| {
        let other: Box<dyn Any> = other;
        (*other.downcast::<A>().expect("all workers run the same aggregate"), map)
    })
}
