//! `values`, `topk`: lists of different texts.

use super::cells::texts;
use super::tally::{Item, Tally, Weight};
use super::{Accumulator, Aggregate, Input, Put, Restore, Stop, same_type, unreadable};
use crate::error::Error;
use crate::func::{Status, Type};
use crate::value::column::Column;
use crate::value::json::write_bytes;
use crate::value::{Kind, Value, ValueRef, compare, order};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "values",
        aliases: &["collect_values"],
        params: &[("x", Type::Any), ("n", Type::Number)],
        literal: &[1],
        optional: 1,
        star: false,
        needs_time: false,
        result: Type::Nested,
        status: Status::Insights,
        about: "List of the different values as strings, in sort order, of the first `n` if given; an empty list if there is none.",
        examples: &[
            ("values(x)", r#"["-","1","2","2.0","10"]"#),
            ("collect_values(who)", r#"["ann","bob","eve","web9","web10"]"#),
            ("values(missing)", "[]"),
            ("values(who, 2)", r#"["ann","bob"]"#),
        ],
        new: |settings| {
            let most = settings.number.map_or(usize::MAX, |n| n as usize);
            Box::new(Values { most, tally: Tally::default() })
        },
    },
    Aggregate {
        name: "topk",
        aliases: &[],
        params: &[("k", Type::Number), ("x", Type::Any)],
        literal: &[0],
        optional: 0,
        star: false,
        needs_time: false,
        result: Type::Nested,
        status: Status::Extension,
        about: "List of the `k` most frequent values as strings, the most frequent first, ties in sort order. Exact.",
        examples: &[("topk(2, who)", r#"["ann","bob"]"#), ("topk(1, ok)", r#"["true"]"#)],
        new: |settings| Box::new(Top { k: settings.number.unwrap_or(0.0) as usize, tally: Tally::default() }),
    },
];

/// Texts sorted between two looks at whether the run is to stop.
const PIECE: usize = 1 << 15;

struct Values {
    /// Listed at most.
    most: usize,
    tally: Tally<()>,
}

impl Accumulator for Values {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        if let Some(column) = input.args.first() {
            texts(column, groups, n_groups, |_| true, |group, _, text, _| self.tally.add(group, None, text, ()));
        }
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, _: usize) {
        self.tally.merge(same_type::<Self>(others).map(|(other, map)| (other.tally, map)));
    }

    fn finish(self: Box<Self>, n_groups: usize) -> Column {
        let (most, stop) = (self.most, self.tally.stop());
        self.tally.grouped(n_groups).column(|items| {
            let mut listed: Vec<Vec<u8>> = items.into_iter().map(text_of).collect();
            if most < listed.len() {
                listed.select_nth_unstable_by(most, |a, b| sort_order(a, b));
                listed.truncate(most);
            }
            // In pieces, so that a run that is to stop need not wait for all of it.
            for piece in listed.chunks_mut(PIECE) {
                if stop.load(Ordering::Relaxed) {
                    return Value::Null;
                }
                piece.sort_unstable_by(|a, b| sort_order(a, b));
            }
            if listed.len() > PIECE {
                listed.sort_by(|a, b| sort_order(a, b));
            }
            list(listed.iter())
        })
    }

    fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.tally.stop_with(stop);
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
        self.tally.save(put, |_, item, key, value| item.with_text(|t| write(t, 0, key, value)))
    }

    fn restore(self: Box<Self>) -> Box<dyn Restore> {
        Box::new(Listed { most: self.most, ..Listed::default() })
    }
}

/// Lists texts that come in order.
#[derive(Default)]
struct Listed {
    most: usize,
    listed: usize,
    last: Option<Vec<u8>>,
    json: Vec<u8>,
}

impl Restore for Listed {
    fn add(&mut self, _: &[u8], value: &[u8]) -> Result<(), Error> {
        let (_, text) = read(value)?;
        if self.last.as_deref() != Some(text) && self.listed < self.most {
            self.listed += 1;
            self.json.push(if self.json.is_empty() { b'[' } else { b',' });
            write_bytes(text, &mut self.json);
            self.last = Some(text.to_vec());
        }
        Ok(())
    }

    fn finish(&mut self) -> Value {
        let Listed { mut json, .. } = std::mem::replace(self, Listed { most: self.most, ..Listed::default() });
        json.extend_from_slice(if json.is_empty() { b"[]" } else { b"]" });
        Value::Text(Kind::List, json.into())
    }

    fn bytes(&self) -> usize {
        self.json.capacity()
    }
}

struct Top {
    k: usize,
    tally: Tally<u64>,
}

impl Accumulator for Top {
    fn update(&mut self, input: &Input<'_>, groups: &[u32], n_groups: usize) {
        if let Some(column) = input.args.first() {
            texts(column, groups, n_groups, |_| true, |group, _, text, rows| self.tally.add(group, None, text, rows));
        }
    }

    fn merge(&mut self, others: Vec<(Box<dyn Accumulator>, Vec<u32>)>, _: usize) {
        self.tally.merge(same_type::<Self>(others).map(|(other, map)| (other.tally, map)));
    }

    fn finish(self: Box<Self>, n_groups: usize) -> Column {
        let k = self.k;
        self.tally.grouped(n_groups).column(|mut items| {
            // Texts are compared only of what is as frequent as the last one wanted.
            if k < items.len() {
                let (_, last, _) = items.select_nth_unstable_by_key(k, |item| Reverse(item.weight));
                let least = last.weight;
                items.retain(|item| item.weight >= least);
            }
            let order = |a: &(u64, Vec<u8>), b: &(u64, Vec<u8>)| b.0.cmp(&a.0).then_with(|| sort_order(&a.1, &b.1));
            let mut listed: Vec<(u64, Vec<u8>)> = items.into_iter().map(|item| (item.weight, text_of(item))).collect();
            if k < listed.len() {
                listed.select_nth_unstable_by(k, order);
                listed.truncate(k);
            }
            listed.sort_unstable_by(order);
            list(listed.iter().map(|(_, text)| text))
        })
    }

    fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.tally.stop_with(stop);
    }

    fn save(&mut self, put: &mut Put<'_>) -> Result<(), Error> {
        self.tally.save(put, |_, item, key, value| item.with_text(|t| write(t, item.weight, key, value)))
    }

    fn restore(self: Box<Self>) -> Box<dyn Restore> {
        Box::new(Frequent { k: self.k, ..Frequent::default() })
    }
}

/// Keeps the `k` most frequent of texts that come in order.
#[derive(Default)]
struct Frequent {
    k: usize,
    /// The text at hand and how often it occurred.
    last: Option<(u64, Vec<u8>)>,
    /// The best so far, the worst of them first.
    best: BinaryHeap<Reverse<Ranked>>,
    arrived: usize,
}

/// How often a text occurred, when it arrived (later is worse), and the text.
type Ranked = (u64, Reverse<usize>, Vec<u8>);

impl Frequent {
    fn settle(&mut self) {
        let Some((weight, text)) = self.last.take() else { return };
        self.arrived += 1;
        self.best.push(Reverse((weight, Reverse(self.arrived), text)));
        if self.best.len() > self.k {
            self.best.pop();
        }
    }
}

impl Restore for Frequent {
    fn add(&mut self, _: &[u8], value: &[u8]) -> Result<(), Error> {
        let (weight, text) = read(value)?;
        match &mut self.last {
            Some((sum, last)) if last == text => *sum += weight,
            _ => {
                self.settle();
                self.last = Some((weight, text.to_vec()));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Value {
        self.settle();
        let done = std::mem::replace(self, Frequent { k: self.k, ..Frequent::default() });
        let texts: Vec<Vec<u8>> = done.best.into_sorted_vec().into_iter().map(|Reverse((_, _, text))| text).collect();
        list(texts.iter())
    }

    fn bytes(&self) -> usize {
        self.best.len() * 128
    }
}

/// A text as a part of saved state, under a key that sorts as lists do.
fn write(text: &[u8], weight: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
    order::push(ValueRef::Text(Kind::String, text), false, true, key);
    value.extend_from_slice(&weight.to_le_bytes());
    value.extend_from_slice(text);
}

fn read(value: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (weight, text) = value.split_first_chunk().ok_or_else(unreadable)?;
    Ok((u64::from_le_bytes(*weight), text))
}

fn text_of<W: Weight>(item: Item<'_, W>) -> Vec<u8> {
    item.with_text(<[u8]>::to_vec)
}

/// As strings: the order must not depend on which kind of equal texts was met.
fn sort_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    compare::total(ValueRef::Text(Kind::String, a), ValueRef::Text(Kind::String, b))
}

fn list<'a>(texts: impl Iterator<Item = &'a Vec<u8>>) -> Value {
    let mut json = vec![b'['];
    for (i, text) in texts.enumerate() {
        if i > 0 {
            json.push(b',');
        }
        write_bytes(text, &mut json);
    }
    json.push(b']');
    Value::Text(Kind::List, json.into())
}
