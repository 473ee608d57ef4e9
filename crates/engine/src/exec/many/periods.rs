//! Parts by time: the periods that `bin` puts times into.

use super::kept::{Cells, Packed};
use super::parted::{AT_ONCE, MOST, Parted};
use crate::exec::ctl::Ctl;
use crate::func::YEARS;
use rayon::prelude::*;

/// Parts by the times of a column: each holds all rows of some periods that follow each other. Where records follow each
/// other in time, as they do in most logs, the rows of a part lie together, too.
#[derive(Debug)]
pub(super) struct Periods {
    column: usize,
    /// Milliseconds.
    width: i64,
    /// The number of the first period, counted from 1970.
    first: i64,
    pub part_of: Vec<u16>,
}

impl Periods {
    /// Calls `put` with the period of each row of a batch, counted from the first.
    pub fn of(&self, batch: &Packed, mut put: impl FnMut(usize)) {
        let Cells::Times(base, distances) = batch.cells(self.column) else { return };
        // Most are in the period of the row before.
        let (mut start, mut period) = (i64::MAX, 0);
        for distance in distances {
            let time = base + i64::from(*distance);
            if start > time || time - start >= self.width {
                start = time - time.rem_euclid(self.width);
                period = (start.div_euclid(self.width) - self.first) as usize;
            }
            put(period);
        }
    }
}

impl Parted {
    /// Parts by the periods of so many milliseconds, counted from 1970, that the times of a column lie in; nothing if
    /// that is no column of times, or one part would have too many of all rows.
    pub fn periods(&self, column: usize, width: i64, ctl: &Ctl) -> Option<Periods> {
        /// Periods at most.
        const LONG: i64 = 1 << 20;
        let column = self.original(column);
        let mut edges: Option<(i64, i64)> = None;
        for batch in &self.batches {
            let Cells::Times(first, distances) = batch.cells(column) else { return None };
            let last = first + i64::from(distances.iter().max().copied().unwrap_or(0));
            edges = Some(edges.map_or((*first, last), |(a, b)| (a.min(*first), b.max(last))));
        }
        // Times beyond all years are in no period.
        let (first, last) = edges.filter(|(first, last)| YEARS.contains(first) && YEARS.contains(last))?;
        let first = first.div_euclid(width);
        let count = usize::try_from(last.div_euclid(width) - first).ok().filter(|n| (*n as i64) < LONG)? + 1;
        let mut periods = Periods { column, width, first, part_of: Vec::with_capacity(count) };
        let counted = |batches: &[Packed]| {
            let mut rows = vec![0u32; count];
            batches.iter().for_each(|batch| periods.of(batch, |period| rows[period] += 1));
            rows
        };
        let both = |mut all: Vec<u32>, some: Vec<u32>| {
            all.iter_mut().zip(some).for_each(|(all, some)| *all += some);
            all
        };
        let at_once = self.batches.len().div_ceil(ctl.threads()).max(1);
        let rows = ctl.install(|| self.batches.par_chunks(at_once).map(counted).reduce_with(both)).unwrap_or_default();
        let enough = ctl.part_rows().max(self.rows as usize >> MOST) as u32;
        let (mut part, mut held, mut largest) = (0, 0u32, 0);
        for rows in rows {
            if held > 0 && held + rows > enough {
                (part, held) = (part + 1, 0);
            }
            held += rows;
            largest = largest.max(held);
            periods.part_of.push(part);
        }
        let is_one_batch = largest as usize <= ctl.part_rows().saturating_mul(AT_ONCE);
        (is_one_batch && !ctl.is_lopsided(largest as usize, self.rows as usize)).then_some(periods)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::Kept;
    use super::super::parted::By;
    use super::*;
    use crate::value::column::{Batch, Column, Positions};
    use std::collections::BTreeMap;

    #[test]
    fn every_period_is_in_one_part() {
        let ctl = Ctl::new(2).expect("threads").with_parts_of(10);
        let of = |times: Vec<i64>| {
            let rows = times.len();
            let batch =
                Batch { columns: vec![Column::Time(times.into())], rows, positions: Positions::sequence(0, rows) };
            let mut kept = Kept::new(vec![vec![true]], &ctl);
            kept.add(&batch);
            Parted::new(vec![kept], &ctl)
        };
        // 3, 0, and so on rows a second, in no order, around 1970.
        let times: Vec<i64> = (0..1000).map(|i| i * i % 1009 * 333 - 100_000).collect();
        let parted = of(times.clone());
        let by = By::Periods(parted.periods(0, 1000, &ctl).expect("periods"));
        let parts = parted.parts(Some(&by), &ctl);
        assert!(parts.len() > 50 && parts.iter().all(|rows| rows.len() <= 10));
        let (mut part_of, mut rows) = (BTreeMap::new(), 0);
        for (number, part) in parts.iter().enumerate() {
            rows += part.len();
            for row in part {
                let second = times[*row as usize].div_euclid(1000);
                assert_eq!(*part_of.entry(second).or_insert(number), number);
            }
        }
        assert_eq!(rows, times.len());
        // A period of more rows than are in a batch, and more periods than anyone wants.
        assert!(parted.periods(0, 60_000, &ctl).is_some() && parted.periods(0, 1 << 40, &ctl).is_none());
        assert!(of(vec![0, 1 << 31]).periods(0, 1, &ctl).is_none());
        // A time of no year is in no period.
        assert!(of(vec![*YEARS.end()]).periods(0, 1000, &ctl).is_some());
        assert!(of(vec![*YEARS.end(), YEARS.end() + 1]).periods(0, 1000, &ctl).is_none());
    }
}
