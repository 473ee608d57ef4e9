//! `count_distinct`.

use super::cells::texts;
use super::tally::Tally;
use super::{Accumulator, Aggregate, Input, Put, Restore, Settings, Stop, same_type};
use crate::error::Error;
use crate::func::{Status, Type};
use crate::value::Value;
use crate::value::column::Column;
use crate::value::dictionary::Dictionary;

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
    met: Met,
}

/// Groups and words that have been met lately: a text need not be looked at to know that it is there already.
#[derive(Default)]
struct Met {
    /// The dictionary the words are of.
    id: Option<u64>,
    /// Group and word, one a place; filled with what no row has.
    pairs: Vec<u64>,
}

/// Pairs remembered.
const PAIRS: usize = 1 << 12;

impl Met {
    /// Words of another dictionary come.
    fn begin(&mut self, id: u64) {
        if self.id != Some(id) {
            *self = Met { id: Some(id), pairs: vec![u64::MAX; PAIRS] };
        }
    }

    /// Whether a pair was met; from now on it was.
    #[inline]
    fn again(&mut self, group: u32, word: u32) -> bool {
        let pair = u64::from(group) << 32 | u64::from(word);
        let place = (pair ^ pair >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        std::mem::replace(&mut self.pairs[place as usize % PAIRS], pair) == pair
    }
}

impl Accumulator for Distinct {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        let Some(column) = input.args.first() else { return };
        if let Column::Dict(words, dictionary) = column {
            self.met.begin(dictionary.id());
            for (word, group) in words.iter().zip(groups).filter(|(word, _)| **word != Dictionary::NULL) {
                if !self.met.again(*group, *word) {
                    self.tally.add(*group, None, dictionary.text(*word).1, ());
                }
            }
        } else {
            texts(column, groups, n_groups, |_| true, |group, _, text, _| self.tally.add(group, None, text, ()));
        }
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, _: usize) {
        self.tally.merge(same_type::<Self>(others).map(|(other, map)| (other.tally, map)));
    }

    fn finish(self: Box<Self>, n_groups: usize) -> Column {
        Column::Int(self.tally.counts(n_groups).into())
    }

    fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.tally.stop_with(stop);
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
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
