//! What the numbers in earlier rows of a key say: their median, and how far they mostly are from it.

use super::owners::{Owners, texts};
use crate::exec::Cx;
use crate::exec::eval::arithmetic;
use crate::exec::index::NONE;
use crate::plan::Slot;
use crate::value::column::{Batch, Column, ColumnBuilder};
use crate::value::number::Number;
use crate::value::{Kind, Value, ValueRef, compare};
use backsight_lang::ast::BinaryOp;
use rayon::prelude::*;
use std::cmp::Ordering;

/// Of the numbers in earlier rows of the key: the median, the median distance from it, and how many there are.
pub(super) fn baseline(rows: &Batch, keys: &[Slot], input: Slot, cx: &Cx<'_>) -> [Column; 3] {
    let column = crate::exec::column(rows, input);
    let levels = Levels::of(&column, cx);
    let owners = Owners::of(rows, keys, cx);
    let ((medians, counts), distances) = match levels.whole() {
        Some(numbers) => {
            let distance = |a: u32, b: u32| (numbers[a as usize] - numbers[b as usize]).abs();
            let (past, distances) = levels.past(&owners, distance, |a, b| a < b, cx);
            (past, Column::Int(distances.into_iter().collect()))
        }
        None => {
            let cell = |level: u32| column.get(levels.rows[level as usize] as usize);
            let less = |a: &Value, b: &Value| compare::total(a.as_ref(), b.as_ref()) == Ordering::Less;
            let (past, distances) = levels.past(&owners, |a, b| distance(cell(a), cell(b)), less, cx);
            (past, distances.into_iter().map(Option::unwrap_or_default).collect())
        }
    };
    let mut median = ColumnBuilder::default();
    for level in medians {
        let row = levels.rows.get(level as usize);
        median.push(row.map_or(ValueRef::Null, |row| column.get(*row as usize)));
    }
    [median.finish(), distances, Column::Int(counts.into_iter().collect())]
}

fn distance(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    let difference = arithmetic(BinaryOp::Sub, a, b);
    match compare::order(difference.as_ref(), ValueRef::Int(0)) {
        Some(Ordering::Less) => arithmetic(BinaryOp::Sub, ValueRef::Int(0), difference.as_ref()),
        _ => difference,
    }
}

/// The different numbers of a column, in ascending order.
struct Levels<'a> {
    numbers: Vec<Number<'a>>,
    /// A row with each.
    rows: Vec<u32>,
    /// Whether all are times, or none is.
    alike: bool,
    /// The level of each row; [`NONE`] without a number.
    of_row: Vec<u32>,
}

impl<'a> Levels<'a> {
    fn of(column: &'a Column, cx: &Cx<'_>) -> Levels<'a> {
        const KINDS: usize = 8;
        const { assert!((Kind::Float as usize) < KINDS) }
        // A median is shown as it stands in a row, so `5` and `"5"` are two.
        let kind = |row: usize| column.get(row).kind().map_or(0, |kind| kind as usize);
        let mut of_row = texts(column, cx);
        of_row.iter_mut().enumerate().filter(|(_, text)| **text != NONE).for_each(|(row, text)| {
            *text = *text * KINDS as u32 + kind(row) as u32;
        });
        let most = of_row.iter().filter(|text| **text != NONE).max().map_or(0, |most| *most as usize + 1);
        let mut level_of = vec![NONE; most];
        let mut found: Vec<(Number<'a>, u32)> = Vec::new();
        for (row, text) in of_row.iter().enumerate().filter(|(_, text)| **text != NONE) {
            let level = &mut level_of[*text as usize];
            if *level == NONE
                && let Some(number) = column.get(row).number()
            {
                *level = 0;
                found.push((number, row as u32));
            }
        }
        let order = |(a, i): &(Number<'_>, u32), (b, j): &(Number<'_>, u32)| {
            let cells = || compare::total(column.get(*i as usize), column.get(*j as usize));
            a.compare(*b).then_with(cells).then_with(|| i.cmp(j))
        };
        cx.ctl.install(|| found.par_sort_unstable_by(order));
        found.iter().enumerate().for_each(|(level, (_, row))| level_of[of_row[*row as usize] as usize] = level as u32);
        of_row.iter_mut().filter(|text| **text != NONE).for_each(|text| *text = level_of[*text as usize]);
        let times = found.iter().filter(|(_, row)| column.get(*row as usize).timestamp().is_some()).count();
        let alike = times == 0 || times == found.len();
        let (numbers, rows) = found.into_iter().unzip();
        Levels { numbers, rows, alike, of_row }
    }

    /// The numbers, if they are all integers whose distances are, too.
    fn whole(&self) -> Option<Vec<i64>> {
        const FAR: i64 = 1 << 62;
        let whole = |number: &Number<'_>| match number {
            Number::Int(n) if (-FAR..FAR).contains(n) => Some(*n),
            _ => None,
        };
        self.numbers.iter().map(whole).collect::<Option<_>>().filter(|_| self.alike)
    }

    /// Of the levels in earlier rows of a row's key: the median and how many there are; and the median distance from it.
    #[allow(clippy::type_complexity)]
    fn past<D: Clone + Send>(
        &self,
        owners: &Owners,
        distance: impl Fn(u32, u32) -> D + Sync,
        less: impl Fn(&D, &D) -> bool + Sync,
        cx: &Cx<'_>,
    ) -> ((Vec<u32>, Vec<Option<i64>>), Vec<Option<D>>) {
        let told = owners.tell(cx, ((NONE, None), None), |rows: &[u32], out: &mut Vec<_>| {
            let mut mine: Vec<u32> = rows.iter().map(|row| self.of_row[*row as usize]).filter(|n| *n != NONE).collect();
            mine.sort_unstable();
            mine.dedup();
            let mut past = Ranks::new(mine.len());
            for row in rows {
                let median = past.median().map(|rank| mine[rank]);
                let far = median.and_then(|m| past.median_by_distance(|rank| distance(mine[rank], m), &less));
                out.push(((median.unwrap_or(NONE), Some(past.len as i64)), far));
                if let Ok(rank) = mine.binary_search(&self.of_row[*row as usize]) {
                    past.add(rank);
                }
            }
        });
        let (past, distances): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        (past.into_iter().unzip(), distances)
    }
}

/// A growing list of ranks out of `0..n`, a Fenwick tree: adding one and finding the k-th take logarithmic time.
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

    /// The `k`-th rank in ascending order, counted from 0.
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
    fn median_by_distance<D>(&self, distance: impl Fn(usize) -> D, less: impl Fn(&D, &D) -> bool) -> Option<D> {
        let wanted = self.len.div_ceil(2);
        let middle = wanted.checked_sub(1)?;
        let left = |i: usize| distance(self.nth(middle - i));
        let right = |i: usize| distance(self.nth(middle + 1 + i));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_distance_is_that_of_a_sorted_list() {
        let values: [i64; 11] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, -8];
        let mut levels = values.to_vec();
        levels.sort_unstable();
        levels.dedup();
        let mut past = Ranks::new(levels.len());
        assert_eq!(past.median(), None);
        for n in 1..=values.len() {
            past.add(levels.binary_search(&values[n - 1]).expect("a level"));
            let mut sorted = values[..n].to_vec();
            sorted.sort_unstable();
            let median = sorted[n.div_ceil(2) - 1];
            let mut distances: Vec<i64> = sorted.iter().map(|x| (x - median).abs()).collect();
            distances.sort_unstable();
            assert_eq!(past.median().map(|rank| levels[rank]), Some(median), "of {n}");
            let found = past.median_by_distance(|rank| (levels[rank] - median).abs(), |a, b| a < b);
            assert_eq!(found, Some(distances[n.div_ceil(2) - 1]), "of {n}");
        }
    }
}
