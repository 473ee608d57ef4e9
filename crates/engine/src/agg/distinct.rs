//! `count_distinct`.

use super::cells::texts;
use super::pairs::Pairs;
use super::tally::Tally;
use super::{Accumulator, Aggregate, Input, Put, Restore, Settings, Stop, same_type};
use crate::error::Error;
use crate::func::{Status, Type};
use crate::value::Value;
use crate::value::column::Column;

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "count_distinct",
        aliases: &["countDistinct"],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Number of different values, told apart by their text: 404 and \"404\" are one. Exact.",
        examples: &[("count_distinct(who)", "5"), ("count_distinct(x)", "5"), ("countDistinct(ok)", "2")],
        new,
    },
    Aggregate {
        name: "approx_count_distinct",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Extension,
        about: "`count_distinct` for queries that allow an approximation; here it is exact, too.",
        examples: &[("approx_count_distinct(who)", "5")],
        new,
    },
];

fn new(_: &Settings) -> Box<dyn Accumulator> {
    Box::new(Distinct::default())
}

#[derive(Default)]
struct Distinct {
    tally: Tally<()>,
    /// Words of the dictionary at hand, not yet in the tally.
    pairs: Pairs,
    /// There is something in the tally.
    tallied: bool,
}

impl Distinct {
    /// Puts the words into the tally.
    fn pour(&mut self) {
        let pairs = std::mem::take(&mut self.pairs);
        self.tallied |= !pairs.is_empty();
        pairs.texts(|group, text| self.tally.add(group, None, text, ()));
    }

    /// Whether all there is are words, and equal texts are one word.
    fn is_words(&self) -> bool {
        !self.tallied && self.pairs.are_texts()
    }
}

impl Accumulator for Distinct {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        let Some(column) = input.args.first() else { return };
        if let Column::Dict(words, dictionary) = column {
            if !self.pairs.takes(dictionary) {
                self.pour();
            }
            self.pairs.add(groups, words, dictionary, n_groups);
        } else {
            self.tallied = true;
            texts(column, groups, n_groups, |_| true, |group, _, text, _| self.tally.add(group, None, text, ()));
        }
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, n_groups: usize) {
        let mut others: Vec<(Self, Vec<u32>)> = same_type::<Self>(others).collect();
        if self.is_words() && others.iter().all(|(other, _)| other.is_words() && !other.pairs.is_merged()) {
            let others = others.iter_mut().map(|(other, map)| (std::mem::take(&mut other.pairs), std::mem::take(map)));
            return self.pairs.merge(others.collect(), n_groups);
        }
        self.pour();
        others.iter_mut().for_each(|(other, _)| other.pour());
        self.tallied = true;
        self.tally.merge(others.into_iter().map(|(other, map)| (other.tally, map)));
    }

    fn finish(mut self: Box<Self>, n_groups: usize) -> Column {
        if self.is_words() {
            return Column::Int(self.pairs.counts(n_groups).into());
        }
        self.pour();
        Column::Int(self.tally.counts(n_groups).into())
    }

    fn bytes(&self) -> usize {
        self.tally.bytes() + self.pairs.bytes()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.tally.stop_with(stop);
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
        self.pour();
        self.tally.save(put, |_, item, key, _| item.with_text(|t| key.extend_from_slice(t)))
    }

    fn restore(self: Box<Self>) -> Box<dyn Restore> {
        Box::new(Counted::default())
    }
}

/// Counts texts that come in order.
#[derive(Default)]
struct Counted {
    last: Option<Vec<u8>>,
    count: i64,
}

impl Restore for Counted {
    fn add(&mut self, key: &[u8], _: &[u8]) -> Result<(), Error> {
        if self.last.as_deref() != Some(key) {
            self.count += 1;
            let last = self.last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
        }
        Ok(())
    }

    fn finish(&mut self) -> Value {
        Value::Int(std::mem::take(self).count)
    }
}
