//! Rows held against earlier ones, of all rows or of one key.

use super::Cx;
use super::eval::arithmetic;
use super::ordered::stoppable;
use super::steps::put;
use crate::plan::Slot;
use crate::value::column::{Batch, Column, ColumnBuilder};
use crate::value::{Value, ValueRef, compare};
use crate::when::When;
use arrow::array::Array;
use backsight_lang::ast::BinaryOp;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::atomic::{self, AtomicI64};

/// The first and last time of the events seen so far, by all workers.
pub(crate) struct Seen {
    first: AtomicI64,
    last: AtomicI64,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { first: AtomicI64::new(i64::MAX), last: AtomicI64::new(i64::MIN) }
    }
}

impl Seen {
    /// Takes note of the times of a batch.
    pub(super) fn see(&self, times: &Column) {
        let wider = |edges: Option<(i64, i64)>, t: i64| {
            let (first, last) = edges.unwrap_or((t, t));
            Some((t.min(first), t.max(last)))
        };
        let edges = match times {
            Column::Time(times) if times.null_count() == 0 => times.values().iter().copied().fold(None, wider),
            times => times.iter().filter_map(ValueRef::timestamp).fold(None, wider),
        };
        if let Some((first, last)) = edges {
            self.first.fetch_min(first, atomic::Ordering::Relaxed);
            self.last.fetch_max(last, atomic::Ordering::Relaxed);
        }
    }

    /// Both; nothing without any time.
    pub(super) fn edges(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.first.load(atomic::Ordering::Relaxed), self.last.load(atomic::Ordering::Relaxed));
        (first <= last).then_some((first, last))
    }
}

/// The rows of each key, in their order; rows with a null among the keys belong to none. Without keys, all are one's.
fn of_keys(rows: &Batch, keys: &[Slot], cx: &Cx<'_>) -> Vec<Vec<usize>> {
    if keys.is_empty() {
        return vec![(0..rows.rows).collect()];
    }
    let columns: Vec<Column> = keys.iter().map(|s| super::column(rows, *s)).collect();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut key = Vec::new();
    'row: for i in stoppable(0..rows.rows, cx) {
        key.clear();
        for column in &columns {
            let Some(text) = column.get(i).text() else { continue 'row };
            key.extend_from_slice(&(text.len() as u64).to_le_bytes());
            key.extend_from_slice(&text);
        }
        match numbers.get(&key) {
            Some(number) => groups[*number].push(i),
            None => {
                numbers.insert(key.clone(), groups.len());
                groups.push(vec![i]);
            }
        }
    }
    groups
}

/// Running sums.
pub(super) fn accum(rows: &Batch, keys: &[Slot], input: Slot, cx: &Cx<'_>) -> Column {
    let column = super::column(rows, input);
    let mut sums = vec![Value::Null; rows.rows];
    for group in stoppable(of_keys(rows, keys, cx), cx) {
        let mut sum = Value::Null;
        for i in stoppable(group, cx) {
            // A time counts as its number.
            let v = column.get(i);
            let v = v.timestamp().map_or(v, ValueRef::Int);
            if v.operand().is_some() {
                let before = if matches!(sum, Value::Null) { ValueRef::Int(0) } else { sum.as_ref() };
                sum = arithmetic(BinaryOp::Add, before, v);
            }
            sums[i] = sum.clone();
        }
    }
    sums.into_iter().collect()
}

/// The cells `lag` rows of the same key before.
pub(super) fn earlier(rows: &Batch, keys: &[Slot], input: Slot, lag: usize, cx: &Cx<'_>) -> Column {
    let column = super::column(rows, input);
    let mut before: Vec<Option<usize>> = vec![None; rows.rows];
    for group in stoppable(of_keys(rows, keys, cx), cx) {
        for (later, i) in group.iter().skip(lag).zip(&group) {
            before[*later] = Some(*i);
        }
    }
    let mut out = ColumnBuilder::default();
    before.into_iter().for_each(|at| out.push(at.map_or(ValueRef::Null, |at| column.get(at))));
    out.finish()
}

/// Of the numbers in earlier rows of the key: the median, the median distance from it, and how many there are.
pub(super) fn baseline(rows: &Batch, keys: &[Slot], input: Slot, cx: &Cx<'_>) -> [Column; 3] {
    let column = super::column(rows, input);
    let mut cells = [(); 3].map(|()| vec![Value::Null; rows.rows]);
    for group in stoppable(of_keys(rows, keys, cx), cx) {
        let mut sorted: Vec<usize> = group.iter().copied().filter(|i| column.get(*i).number().is_some()).collect();
        sorted.sort_by(|a, b| compare::total(column.get(*a), column.get(*b)).then_with(|| a.cmp(b)));
        let ranks: HashMap<usize, usize> = sorted.iter().enumerate().map(|(rank, i)| (*i, rank)).collect();
        let mut past = Ranks::new(sorted.len());
        for i in stoppable(group, cx) {
            let median = past.median().map(|rank| column.get(sorted[rank]));
            cells[0][i] = median.map_or(Value::Null, ValueRef::to_value);
            cells[1][i] = median.map_or(Value::Null, |m| {
                past.median_by_distance(|rank| distance(column.get(sorted[rank]), m)).unwrap_or_default()
            });
            cells[2][i] = Value::Int(past.len as i64);
            if let Some(rank) = ranks.get(&i) {
                past.add(*rank);
            }
        }
    }
    cells.map(|column| column.into_iter().collect())
}

fn distance(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    let difference = arithmetic(BinaryOp::Sub, a, b);
    match compare::order(difference.as_ref(), ValueRef::Int(0)) {
        Some(Ordering::Less) => arithmetic(BinaryOp::Sub, ValueRef::Int(0), difference.as_ref()),
        _ => difference,
    }
}

/// A growing set of ranks out of `0..n`, a Fenwick tree: adding one and finding the k-th take logarithmic time.
struct Ranks {
    /// Node `i` counts the `i & -i` ranks up to `i - 1`.
    tree: Vec<usize>,
    len: usize,
}

impl Ranks {
    fn new(n: usize) -> Ranks {
        Ranks { tree: vec![0; n + 1], len: 0 }
    }

    fn add(&mut self, rank: usize) {
        self.len += 1;
        let mut node = rank + 1;
        while let Some(count) = self.tree.get_mut(node) {
            *count += 1;
            node += node & node.wrapping_neg();
        }
    }

    /// The smallest rank but `k` others.
    fn nth(&self, k: usize) -> usize {
        let (mut node, mut left) = (0, k);
        let mut step = self.tree.len().next_power_of_two();
        while step > 0 {
            if let Some(count) = self.tree.get(node + step)
                && *count <= left
            {
                node += step;
                left -= count;
            }
            step /= 2;
        }
        node
    }

    /// Nearest rank: of n, number n/2, rounded up.
    fn median(&self) -> Option<usize> {
        (self.len > 0).then(|| self.nth(self.len.div_ceil(2) - 1))
    }

    /// The median of distances from the median. They rise to both sides of it, so it is the k-th of two sorted lists.
    fn median_by_distance(&self, distance: impl Fn(usize) -> Value) -> Option<Value> {
        let wanted = self.len.div_ceil(2);
        let middle = wanted.checked_sub(1)?;
        let left = |i: usize| distance(self.nth(middle - i));
        let right = |i: usize| distance(self.nth(middle + 1 + i));
        let less = |a: &Value, b: &Value| compare::total(a.as_ref(), b.as_ref()) == Ordering::Less;
        // How many of the wanted stand on the left, the median itself included.
        let (mut low, mut high) = (wanted.saturating_sub(self.len - middle - 1), wanted);
        while low < high {
            let taken = (low + high) / 2;
            if less(&left(taken), &right(wanted - taken - 1)) { low = taken + 1 } else { high = taken }
        }
        let last_left = low.checked_sub(1).map(left);
        let last_right = (wanted - low).checked_sub(1).map(right);
        match (last_left, last_right) {
            (Some(a), Some(b)) => Some(if less(&a, &b) { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// The groups first seen at or after a time; `known` tells how many values of the key had been seen before that, or,
/// without a time, before this one.
pub(super) fn new_values(
    mut rows: Batch,
    first: Slot,
    after: Option<When>,
    known: Option<&(Vec<Slot>, Slot)>,
    cx: &Cx<'_>,
) -> Batch {
    let firsts = super::column(&rows, first);
    let bound = after.map(|when| when.resolve(cx.clock.now, cx.edges.edges()));
    if let Some((keys, output)) = known {
        let mut counts = vec![Value::Null; rows.rows];
        for group in stoppable(of_keys(&rows, keys, cx), cx) {
            let mut times: Vec<i64> = group.iter().filter_map(|i| firsts.get(*i).timestamp()).collect();
            times.sort_unstable();
            for i in group {
                let before = bound.unwrap_or_else(|| firsts.get(i).timestamp());
                counts[i] = before.map_or(Value::Null, |t| Value::Int(times.partition_point(|x| *x < t) as i64));
            }
        }
        put(&mut rows, *output, counts.into_iter().collect());
    }
    match bound {
        None => rows,
        Some(bound) => {
            let keep: Vec<bool> =
                firsts.iter().map(|v| v.timestamp().zip(bound).is_some_and(|(t, b)| t >= b)).collect();
            rows.filter(&keep.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_distance_is_that_of_a_sorted_list() {
        let values: [i64; 11] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, -8];
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by_key(|i| (values[*i], *i));
        let mut past = Ranks::new(values.len());
        assert_eq!(past.median(), None);
        for n in 1..=values.len() {
            past.add(order.iter().position(|i| *i == n - 1).expect("a rank"));
            let mut sorted = values[..n].to_vec();
            sorted.sort_unstable();
            let median = sorted[n.div_ceil(2) - 1];
            let mut distances: Vec<i64> = sorted.iter().map(|x| (x - median).abs()).collect();
            distances.sort_unstable();
            assert_eq!(past.median().map(|rank| values[order[rank]]), Some(median), "of {n}");
            let found = past.median_by_distance(|rank| Value::Int((values[order[rank]] - median).abs()));
            assert_eq!(
                found.map(|v| v.as_ref().text().map(|t| t.into_owned())),
                Some(Some(distances[n.div_ceil(2) - 1].to_string().into_bytes())),
                "of {n}"
            );
        }
    }
}
