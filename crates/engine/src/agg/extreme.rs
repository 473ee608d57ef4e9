//! `min`, `max`, `sortsFirst`, `sortsLast`: one value picked by order, returned as it was found.

use super::cells::present;
use super::group::{PerGroup, State};
use super::held::Held;
use super::{Aggregate, Input};
use crate::func::{Status, Type};
use crate::value::column::Column;
use crate::value::compare::natural;
use crate::value::number::Number;
use crate::value::{Value, ValueRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "min",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Any,
        status: Status::Insights,
        about: "Least number, as it was spelled; where there is none, the first value in sort order.",
        examples: &[("min(x)", "1"), ("min(who)", "ann")],
        new: |_| PerGroup::<Extreme>::boxed(What::Least),
    },
    Aggregate {
        name: "max",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Any,
        status: Status::Insights,
        about: "Greatest number, as it was spelled; where there is none, the last value in sort order.",
        examples: &[("max(x)", "10"), ("max(who)", "web10")],
        new: |_| PerGroup::<Extreme>::boxed(What::Last),
    },
    Aggregate {
        name: "sortsFirst",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Any,
        status: Status::Insights,
        about: "First value in sort order: text before numbers.",
        examples: &[("sortsFirst(x)", "-"), ("sortsFirst(who)", "ann")],
        new: |_| PerGroup::<Extreme>::boxed(What::First),
    },
    Aggregate {
        name: "sortsLast",
        aliases: &[],
        params: &[("x", Type::Any)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Any,
        status: Status::Insights,
        about: "Last value in sort order: numbers after text.",
        examples: &[("sortsLast(x)", "10"), ("sortsLast(who)", "web10")],
        new: |_| PerGroup::<Extreme>::boxed(What::Last),
    },
];

#[derive(Clone, Copy, PartialEq)]
enum What {
    /// The least, numbers before everything else.
    Least,
    /// The first in sort order.
    First,
    /// The last in sort order. Numbers are last, so this is the greatest number, too.
    Last,
}

#[derive(Default, Serialize, Deserialize)]
struct Extreme {
    /// Null: nothing yet.
    held: Held,
    rank: Rank,
}

/// What `held` is in the order, read once.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
enum Rank {
    #[default]
    Other,
    Int(i64),
    Float(f64),
    /// A number whose digits are the text.
    Big,
}

impl Extreme {
    fn number(&self) -> Option<Number<'_>> {
        match self.rank {
            Rank::Other => None,
            Rank::Int(n) => Some(Number::Int(n)),
            Rank::Float(x) => Some(Number::Float(x)),
            Rank::Big => self.held.get().number(),
        }
    }

    #[inline]
    fn offer(&mut self, what: What, new: ValueRef<'_>) {
        let number = new.number();
        if self.is_empty() || self.wins(what, new, number) {
            self.held.set(new);
            self.rank = match number {
                None => Rank::Other,
                Some(Number::Int(n)) => Rank::Int(n),
                Some(Number::Float(x)) => Rank::Float(x),
                Some(Number::Big(_)) => Rank::Big,
            };
        }
    }

    fn is_empty(&self) -> bool {
        self.held.get().is_null()
    }

    #[inline]
    fn wins(&self, what: What, new: ValueRef<'_>, number: Option<Number<'_>>) -> bool {
        let old = self.held.get();
        let order = match (number, self.number()) {
            (Some(a), Some(b)) => a.compare(b),
            (None, None) => natural(&text(new), &text(old)),
            (Some(_), None) if what == What::Least => Ordering::Less,
            (None, Some(_)) if what == What::Least => Ordering::Greater,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
        };
        let wanted = if what == What::Last { Ordering::Greater } else { Ordering::Less };
        match order {
            Ordering::Equal => equals(new, old) == wanted,
            order => order == wanted,
        }
    }
}

fn text(v: ValueRef<'_>) -> Cow<'_, [u8]> {
    v.text().unwrap_or_default()
}

/// Equals are ordered by canonical text; what is still the same, by kind, so that the result never depends on which of
/// them came first.
fn equals(new: ValueRef<'_>, old: ValueRef<'_>) -> Ordering {
    match (new, old) {
        (ValueRef::Int(a), ValueRef::Int(b)) | (ValueRef::Time(a), ValueRef::Time(b)) if a == b => Ordering::Equal,
        (ValueRef::Float(a), ValueRef::Float(b)) if a == b => Ordering::Equal,
        _ => text(new).cmp(&text(old)).then_with(|| new.kind().cmp(&old.kind())),
    }
}

impl State for Extreme {
    type Variant = What;

    fn update(states: &mut [Extreme], what: &What, input: &Input<'_>, groups: &[u32]) {
        let Some(column) = input.args.first() else { return };
        match states {
            [one] => match (column, what) {
                // Of times only one can win.
                (Column::Time(times), What::Last) => {
                    arrow::compute::max(times).iter().for_each(|ms| one.offer(*what, ValueRef::Time(*ms)));
                }
                (Column::Time(times), _) => {
                    arrow::compute::min(times).iter().for_each(|ms| one.offer(*what, ValueRef::Time(*ms)));
                }
                _ => present(column, |_, v| one.offer(*what, v)),
            },
            many => present(column, |i, v| many[groups[i] as usize].offer(*what, v)),
        }
    }

    fn merge(&mut self, other: Extreme, what: &What) {
        if self.is_empty() || !other.is_empty() && self.wins(*what, other.held.get(), other.number()) {
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
