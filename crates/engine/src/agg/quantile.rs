//! `pct`, `median`: exact nearest rank, from the counts of all different values.

use super::cells::texts;
use super::tally::{Item, Tally};
use super::{Accumulator, Aggregate, Input, Put, Restore, Settings, Stop, same_type, unreadable};
use crate::error::Error;
use crate::func::{Status, Type};
use crate::value::column::Column;
use crate::value::number::Number;
use crate::value::{Kind, Value, ValueRef, order};
use std::cmp::Ordering;
use std::collections::HashMap;

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "pct",
        aliases: &["percentile"],
        params: &[("x", Type::Number), ("p", Type::Number)],
        literal: &[1],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Insights,
        about: "Percentile `p` (0 to 100) by nearest rank: of the n numbers ascending, number ⌈p·n/100⌉, as it was spelled. Exact.",
        examples: &[
            ("pct(x, 50)", "2"),
            ("pct(x, 51)", "2.0"),
            ("pct(x, 0)", "1"),
            ("pct(x, 99.9)", "10"),
            ("pct(who, 50)", ""),
        ],
        new: |settings| boxed(settings.number),
    },
    Aggregate {
        name: "median",
        aliases: &[],
        params: &[("x", Type::Number)],
        literal: &[],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Extension,
        about: "`pct(x, 50)`.",
        examples: &[("median(x)", "2")],
        new: |_| boxed(Some(50.0)),
    },
    Aggregate {
        name: "approx_pct",
        aliases: &[],
        params: &[("x", Type::Number), ("p", Type::Number)],
        literal: &[1],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Number,
        status: Status::Extension,
        about: "`pct` for queries that allow an approximation; here it is exact, too.",
        examples: &[("approx_pct(x, 50)", "2")],
        new: |settings: &Settings| boxed(settings.number),
    },
];

fn boxed(percentile: Option<f64>) -> Box<dyn Accumulator> {
    Box::new(Quantile { percentile: percentile.unwrap_or(f64::NAN).clamp(0.0, 100.0), tally: Tally::default() })
}

struct Quantile {
    percentile: f64,
    tally: Tally<u64>,
}

impl Accumulator for Quantile {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        if let Some(column) = input.args.first() {
            let is_number = |v: ValueRef<'_>| v.number().is_some();
            texts(column, groups, n_groups, is_number, |group, kind, text, rows| {
                self.tally.add(group, Some(kind), text, rows)
            });
        }
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, _: usize) {
        self.tally.merge(same_type::<Self>(others).map(|(other, map)| (other.tally, map)));
    }

    fn finish(self: Box<Self>, n_groups: usize) -> Column {
        let percentile = self.percentile;
        self.tally.grouped(n_groups).column(|items| {
            let n = items.iter().map(|item| item.weight).sum();
            let mut ranked: Vec<Ranked<'_>> = items.into_iter().map(Ranked::new).collect();
            at_rank(&mut ranked, rank(percentile, n))
                .map_or(Value::Null, |r| r.item.with_text(|t| Value::Text(r.item.kind(), t.into())))
        })
    }

    fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.tally.stop_with(stop);
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
        // A rank can be told as soon as the number of values is known: it goes first.
        let mut totals: HashMap<u32, u64> = HashMap::new();
        self.tally.save(put, |group, item, key, value| {
            *totals.entry(group).or_default() += item.weight;
            write(item, key, value);
        })?;
        totals.into_iter().try_for_each(|(group, n)| put(group, &[], &n.to_le_bytes()))
    }

    fn restore(self: Box<Self>) -> Box<dyn Restore> {
        Box::new(Passing { percentile: self.percentile, values: 0, passed: 0, found: Value::Null })
    }
}

/// A number as a part of saved state, under a key that sorts as numbers do.
pub(super) fn write(item: &Item<'_, u64>, key: &mut Vec<u8>, value: &mut Vec<u8>) {
    item.with_text(|text| {
        order::push(ValueRef::Text(item.kind(), text), false, true, key);
        key.push(item.kind() as u8);
        value.extend_from_slice(&item.weight.to_le_bytes());
        value.push(item.kind() as u8);
        value.extend_from_slice(text);
    });
}

/// Weight, kind and text of such a part.
pub(super) fn read(value: &[u8]) -> Result<(u64, Kind, &[u8]), Error> {
    let parts = value.split_first_chunk().and_then(|(weight, rest)| Some((weight, rest.split_first()?)));
    let (weight, (kind, text)) = parts.ok_or_else(unreadable)?;
    Ok((u64::from_le_bytes(*weight), Kind::of(*kind).ok_or_else(unreadable)?, text))
}

/// Lets numbers pass in order up to the rank.
struct Passing {
    percentile: f64,
    values: u64,
    passed: u64,
    found: Value,
}

impl Restore for Passing {
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if key.is_empty() {
            self.values += u64::from_le_bytes(value.try_into().map_err(|_| unreadable())?);
            return Ok(());
        }
        let (weight, kind, text) = read(value)?;
        let rank = rank(self.percentile, self.values);
        if self.passed < rank && rank <= self.passed + weight {
            self.found = Value::Text(kind, text.into());
        }
        self.passed += weight;
        Ok(())
    }

    fn finish(&mut self) -> Value {
        (self.values, self.passed) = (0, 0);
        std::mem::take(&mut self.found)
    }
}

/// A value with its number read once.
#[derive(Clone, Copy)]
struct Ranked<'a> {
    number: Read,
    item: Item<'a, u64>,
}

#[derive(Clone, Copy)]
enum Read {
    Int(i64),
    Float(f64),
    /// Too large: read again where it is needed.
    Big,
}

impl<'a> Ranked<'a> {
    fn new(item: Item<'a, u64>) -> Ranked<'a> {
        let number = item.with_text(|t| match ValueRef::Text(item.kind(), t).number() {
            Some(Number::Int(n)) => Read::Int(n),
            Some(Number::Float(x)) => Read::Float(x),
            Some(Number::Big(_)) | None => Read::Big,
        });
        Ranked { number, item }
    }

    fn with_number<R>(&self, f: impl FnOnce(Number<'_>) -> R) -> R {
        match self.number {
            Read::Int(n) => f(Number::Int(n)),
            Read::Float(x) => f(Number::Float(x)),
            Read::Big => self.item.with_text(|t| f(Number::Big(std::str::from_utf8(t).unwrap_or("0")))),
        }
    }

    /// By number, then by text, then by kind.
    fn cmp(&self, other: &Ranked<'_>) -> Ordering {
        self.with_number(|a| other.with_number(|b| a.compare(b)))
            .then_with(|| self.item.with_text(|a| other.item.with_text(|b| a.cmp(b))))
            .then_with(|| self.item.kind().cmp(&other.item.kind()))
    }
}

/// Rank, from 1, of a percentile of `n` values: ⌈p·n/100⌉, at least 1.
///
/// `p` is taken as the decimal number it is written as: 99.7 as a float is a little more, which must not count.
fn rank(p: f64, n: u64) -> u64 {
    let text = p.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let exact = || {
        let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        let divisor = 10u128.checked_pow(fraction.len() as u32)?.checked_mul(100)?;
        Some(digits.checked_mul(n.into())?.div_ceil(divisor) as u64)
    };
    // More than 30 decimals: so close to 0 that no rounding can matter.
    exact().unwrap_or_else(|| (p / 100.0 * n as f64).ceil() as u64).max(1)
}

/// The value of a rank, from 1, counting every value as often as it occurs. Reorders `values`.
fn at_rank<'r, 'a>(mut values: &'r mut [Ranked<'a>], mut rank: u64) -> Option<&'r Ranked<'a>> {
    loop {
        let middle = values.len() / 2;
        if middle == 0 {
            return values.first();
        }
        values.select_nth_unstable_by(middle, Ranked::cmp);
        let (below, above) = values.split_at_mut(middle);
        let before: u64 = below.iter().map(|r| r.item.weight).sum();
        if rank <= before {
            values = below;
        } else {
            rank -= before;
            values = above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn ranks() {
        for (p, n, expected) in [
            (0.0, 4, 1),
            (50.0, 4, 2),
            (51.0, 4, 3),
            (95.0, 4, 4),
            (100.0, 4, 4),
            (99.7, 1000, 997),
            (99.9, 1000, 999),
            (0.1, 1000, 1),
            (0.1, 1001, 2),
            (1e-9, 1_000_000_000_000, 10),
            (5e-324, u64::MAX, 1),
            (33.333333333333336, u64::MAX, 6_148_914_691_236_517_697),
            (100.0, u64::MAX, u64::MAX),
        ] {
            assert_eq!(rank(p, n), expected, "{p} {n}");
        }
    }
}
