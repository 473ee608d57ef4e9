//! The rows that workers have kept, looked at part by part. All rows with the same value of a column, or of the same period,
//! are in one part, so the groups of keys that have it among them are whole once their part is seen: workers need not merge,
//! groups that the filters behind `stats` leave out are forgotten at once, and the tables stay small enough for the cache
//! (partitioned hash aggregation; Shatdal et al., "Cache Conscious Algorithms for Relational Query Processing", 1994).

use super::form::{Form, in_several_columns};
use super::kept::{Cells, Kept, Packed};
use super::periods::Periods;
use crate::exec::ctl::Ctl;
use crate::exec::hashes::Hashes;
use crate::exec::memory::Share;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::dictionary::Dictionary;
use arrow::array::Int64Array;
use arrow::buffer::ScalarBuffer;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// All rows kept, in source order.
pub(super) struct Parted {
    pub batches: Vec<Packed>,
    /// The number of the first row of each batch.
    starts: Vec<u32>,
    pub rows: u32,
    pub columns: Vec<Form>,
    /// For the memory of all that.
    _share: Share,
}

/// What tells parts apart. All rows that agree in it are in one part.
#[derive(Debug)]
pub(super) enum By {
    /// The values of a column.
    Values(usize),
    /// The periods that times lie in.
    Periods(Periods),
}

/// Adds the part of each row of a batch.
pub(super) type PartOf<'a> = dyn Fn(&Packed, &mut Vec<u16>) + Sync + 'a;

/// Parts of usual size that a batch may be made of, where one is larger.
pub(super) const AT_ONCE: usize = 32;

/// Parts at most, as a power of two.
pub(super) const MOST: u32 = 12;

impl Parted {
    /// The rows of all workers.
    pub fn new(workers: Vec<Kept>, ctl: &Ctl) -> Parted {
        let bytes: usize = workers.iter().map(Kept::bytes).sum();
        let mut batches: Vec<Packed> = workers.into_iter().flat_map(|mut kept| kept.take()).collect();
        batches.sort_by_key(|batch| batch.positions.iter().next());
        // They fit into half a gigabyte, and each takes four bytes or more.
        let mut rows = 0u32;
        let mut starts = Vec::with_capacity(batches.len());
        for batch in &batches {
            starts.push(rows);
            rows += batch.rows as u32;
        }
        let width = batches.first().map_or(0, |batch| batch.columns.len());
        let common = in_several_columns(&batches, width);
        let columns =
            ctl.install(|| (0..width).into_par_iter().map(|at| Form::of(&batches, at, &common, ctl)).collect());
        // The numbers of the rows of all parts are held, too.
        let mut share = ctl.memory().share();
        share.set(bytes + rows as usize * size_of::<u32>());
        Parted { batches, starts, rows, columns, _share: share }
    }

    /// Whether a column has values enough for parts of them.
    pub fn is_parted_by(&self, column: usize, ctl: &Ctl) -> bool {
        match &self.columns[self.original(column)] {
            Form::Words(dictionary, _) => {
                let bits = self.bits(ctl);
                bits == 0 || !ctl.are_uneven(dictionary.len() >> bits)
            }
            Form::Null | Form::Same(_) | Form::Times | Form::Cells => false,
        }
    }

    /// How many words a column has.
    pub fn words_of(&self, column: usize) -> usize {
        match &self.columns[self.original(column)] {
            Form::Words(dictionary, _) => dictionary.len(),
            _ => 1,
        }
    }

    /// Some rows, all about as far from each other; nothing if there are none.
    pub fn sample(&self, rows: usize, wanted: &[bool]) -> Option<Batch> {
        let step = (self.rows as usize).div_ceil(rows).max(1);
        let some: Vec<u32> = (0..self.rows).step_by(step).collect();
        (!some.is_empty()).then(|| self.batch(&some, wanted))
    }

    /// How many parts there are, as a power of two.
    fn bits(&self, ctl: &Ctl) -> u32 {
        (self.rows as usize / ctl.part_rows()).max(1).ilog2().min(MOST)
    }

    /// The column that this one is, too.
    pub fn original(&self, column: usize) -> usize {
        if let Form::Same(before) = &self.columns[column] { self.original(*before) } else { column }
    }

    /// The rows of each part, else as they come.
    pub fn parts(&self, by: Option<&By>, ctl: &Ctl) -> Vec<Vec<u32>> {
        match by.and_then(|by| self.part_of(by, ctl)) {
            Some((parts, part_of)) => self.split(parts, &*part_of, ctl),
            None => self.pieces(ctl),
        }
    }

    /// How many parts there are, and what adds the part of each row of a batch; nothing if that parts no rows.
    pub fn part_of<'s>(&'s self, by: &'s By, ctl: &Ctl) -> Option<(usize, Box<PartOf<'s>>)> {
        Some(match by {
            By::Periods(periods) => {
                let part = |batch: &Packed, out: &mut Vec<u16>| {
                    periods.of(batch, |period| out.push(periods.part_of[period]));
                };
                (periods.part_of.last().map_or(0, |last| usize::from(*last) + 1), Box::new(part))
            }
            By::Values(column) => {
                let column = self.original(*column);
                let Form::Words(dictionary, _) = &self.columns[column] else { return None };
                let bits = self.bits(ctl);
                let mut hashes = Hashes::new(ctl.seed());
                let part = |hash: &u64| hash.checked_shr(64 - bits).unwrap_or(0) as u16;
                let part_of: Vec<u16> = hashes.of_words(dictionary).iter().map(part).collect();
                let part = move |batch: &Packed, out: &mut Vec<u16>| {
                    let mut words = Vec::with_capacity(batch.rows);
                    self.words(batch, column, &mut words, 0..batch.rows as u32);
                    out.extend(words.iter().map(|word| part_of[*word as usize]));
                };
                (1 << bits, Box::new(part))
            }
        })
    }

    /// The rows of so many parts; `part_of` says which part each row of a batch belongs to.
    fn split(&self, parts: usize, part_of: &PartOf<'_>, ctl: &Ctl) -> Vec<Vec<u32>> {
        let at_once = self.batches.len().div_ceil(4 * ctl.threads()).max(1);
        let split = |(chunk, batches): (usize, &[Packed])| {
            let mut rows: Vec<Vec<u32>> = vec![Vec::new(); parts];
            let mut of = Vec::new();
            for (batch, start) in batches.iter().zip(&self.starts[chunk * at_once..]) {
                of.clear();
                part_of(batch, &mut of);
                of.iter().enumerate().for_each(|(row, part)| rows[usize::from(*part)].push(start + row as u32));
            }
            rows
        };
        let chunks: Vec<Vec<Vec<u32>>> =
            ctl.install(|| self.batches.par_chunks(at_once).enumerate().map(split).collect());
        let whole = |part: usize| chunks.iter().flat_map(|rows| rows[part].iter().copied()).collect();
        ctl.install(|| (0..parts).into_par_iter().map(whole).collect())
    }

    /// All rows, in pieces.
    fn pieces(&self, ctl: &Ctl) -> Vec<Vec<u32>> {
        let rows = ctl.part_rows();
        let end = |first: u32| self.rows.min(first.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX)));
        (0..self.rows).step_by(rows).map(|first| (first..end(first)).collect()).collect()
    }

    /// The named rows, in ascending order, in batches.
    pub fn batches<'r>(
        &'r self,
        rows: &'r [u32],
        wanted: &'r [bool],
        ctl: &Ctl,
    ) -> impl ExactSizeIterator<Item = Batch> + 'r {
        rows.chunks(ctl.part_rows().saturating_mul(AT_ONCE)).map(move |rows| self.batch(rows, wanted))
    }

    fn batch(&self, rows: &[u32], wanted: &[bool]) -> Batch {
        // Rows of one batch each: which, and where they are among all.
        let mut runs = Vec::new();
        let mut first = 0;
        while first < rows.len() {
            let batch = self.starts.partition_point(|start| *start <= rows[first]) - 1;
            let end = self.starts[batch] + self.batches[batch].rows as u32;
            let next = first + rows[first..].partition_point(|row| *row < end);
            runs.push((batch, first..next));
            first = next;
        }
        let within = |batch: usize, run: &Range<usize>| {
            let start = self.starts[batch];
            rows[run.clone()].iter().map(move |row| row - start)
        };
        let mut columns: Vec<Column> = Vec::with_capacity(self.columns.len());
        for at in 0..self.columns.len() {
            let from = self.original(at);
            columns.push(match &self.columns[from] {
                _ if !wanted[at] => Column::null(rows.len()),
                _ if from < at && wanted[from] => columns[from].clone(),
                Form::Null | Form::Same(_) => Column::null(rows.len()),
                Form::Words(dictionary, _) => {
                    let mut words = Vec::with_capacity(rows.len());
                    for (batch, run) in &runs {
                        self.words(&self.batches[*batch], from, &mut words, within(*batch, run));
                    }
                    Column::Dict(words.into(), Arc::clone(dictionary))
                }
                Form::Times => {
                    let mut times: Vec<i64> = Vec::with_capacity(rows.len());
                    for (batch, run) in &runs {
                        if let Cells::Times(first, distances) = self.batches[*batch].cells(from) {
                            times.extend(within(*batch, run).map(|row| first + i64::from(distances[row as usize])));
                        }
                    }
                    Column::Time(Int64Array::new(ScalarBuffer::from(times), None))
                }
                Form::Cells => self.cells(&runs, from, rows),
            });
        }
        let mut positions = Vec::with_capacity(rows.len());
        for (batch, run) in &runs {
            let of = &self.batches[*batch].positions;
            positions.extend(within(*batch, run).map(|row| of.get(row as usize)));
        }
        Batch { columns, rows: rows.len(), positions: Positions::Far(positions.into()) }
    }

    /// Adds the words of some rows of a batch.
    pub fn words(&self, batch: &Packed, column: usize, out: &mut Vec<u32>, rows: impl Iterator<Item = u32>) {
        let column = self.original(column);
        let Form::Words(_, numbers) = &self.columns[column] else { return };
        let number = |dictionary: &Dictionary| &numbers[&dictionary.id()];
        match batch.cells(column) {
            Cells::Bytes(words, dictionary) => {
                let number = number(dictionary);
                out.extend(rows.map(|row| number[words[row as usize] as usize]));
            }
            Cells::Pairs(words, dictionary) => {
                let number = number(dictionary);
                out.extend(rows.map(|row| number[words[row as usize] as usize]));
            }
            Cells::Whole(Column::Dict(words, dictionary)) => {
                let number = number(dictionary);
                out.extend(rows.map(|row| number[words[row as usize] as usize]));
            }
            _ => out.extend(rows.map(|_| Dictionary::NULL)),
        }
    }

    /// A column of any cells.
    fn cells(&self, runs: &[(usize, Range<usize>)], column: usize, rows: &[u32]) -> Column {
        let mut cells = ColumnBuilder::default();
        for (batch, run) in runs {
            let of = self.batches[*batch].cells(column).column(self.batches[*batch].rows);
            let start = self.starts[*batch];
            rows[run.clone()].iter().for_each(|row| cells.push(of.get((row - start) as usize)));
        }
        cells.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::spread::Spread;
    use super::*;
    use crate::value::{Kind, Value};
    use std::collections::BTreeMap;

    const ROWS: usize = 5000;

    /// Rows of one worker: a word of 40, the same once more, a time, and texts for the odd ones only.
    fn batch(first: usize, dictionary: &Arc<Dictionary>) -> Batch {
        let rows = first..first + ROWS;
        let words: ScalarBuffer<u32> = rows.clone().map(|i| (i * 7 % 41) as u32).collect();
        let word = Column::Dict(words, Arc::clone(dictionary));
        let times: Vec<i64> = rows.clone().map(|i| 1_761_955_200_000 + i as i64).collect();
        let odd = rows.map(|i| if i % 2 == 1 { Value::Int(i as i64) } else { Value::Null }).collect();
        let columns = vec![Column::null(ROWS), word.clone(), word, Column::Time(times.into()), odd];
        Batch { columns, rows: ROWS, positions: Positions::sequence((first as u64) << 40, ROWS) }
    }

    fn lines(batch: &Batch) -> Vec<String> {
        let cells = |i: usize| batch.columns.iter().map(|column| format!("{:?}", column.get(i))).collect::<Vec<_>>();
        (0..batch.rows).map(|i| format!("{} {:?}", batch.positions.get(i), cells(i))).collect()
    }

    #[test]
    fn every_row_is_in_one_part_with_all_of_its_value() {
        let ctl = Ctl::new(2).expect("threads").with_parts_of(500);
        let mut expected = Vec::new();
        let worker = |number: usize| {
            let dictionary = Arc::new(Dictionary::default());
            // The same words by other numbers.
            (0..40).for_each(|i| {
                let word = if number == 0 { i } else { 39 - i };
                dictionary.push(Kind::String, format!("word {word}").as_bytes());
            });
            let mut kept = Kept::new(vec![vec![false, true, true, true, true]], &ctl);
            for half in 0..2 {
                let batch = batch((2 * half + number) * ROWS, &dictionary);
                expected.extend(lines(&batch));
                assert!(kept.add(&batch).is_empty() && kept.is_whole(0));
            }
            kept
        };
        let parted = Parted::new((0..2).map(worker).collect(), &ctl);
        expected.sort();
        assert!(parted.is_parted_by(2, &ctl) && !parted.is_parted_by(3, &ctl) && parted.original(2) == 1);
        for by in [None, Some(By::Values(1)), Some(By::Values(2))] {
            let parts = parted.parts(by.as_ref(), &ctl);
            assert!(parts.len() > 8);
            let (mut all, mut part_of) = (Vec::new(), BTreeMap::new());
            for (number, rows) in parts.iter().enumerate() {
                for batch in parted.batches(rows, &[true; 5], &ctl) {
                    all.extend(lines(&batch));
                    for word in batch.columns[1].iter().map(|cell| format!("{cell:?}")) {
                        assert!(*part_of.entry(word).or_insert(number) == number || by.is_none());
                    }
                }
            }
            all.sort();
            assert_eq!(all, expected);
        }
        // The same rows once all of them are put in the order of their parts.
        let by = By::Values(1);
        for wanted in [[true, true, true, true, false], [true, false, true, false, false]] {
            let spread = Spread::new(&parted, &by, &wanted, &ctl).expect("room");
            let parts = parted.parts(Some(&by), &ctl);
            assert_eq!(spread.sizes(), parts.iter().map(Vec::len).collect::<Vec<_>>());
            for (number, rows) in parts.iter().enumerate() {
                let of = |batches: &mut dyn Iterator<Item = Batch>| batches.flat_map(|b| lines(&b)).collect::<Vec<_>>();
                assert_eq!(of(&mut spread.batches(number)), of(&mut parted.batches(rows, &wanted, &ctl)));
            }
        }
        assert!(Spread::new(&parted, &by, &[true; 5], &ctl).is_none());
        let few = parted.batches(&[3, 4, 19_000], &[false, false, true, false, false], &ctl).next().expect("rows");
        assert!(few.rows == 3 && few.columns[1].is_null() && !few.columns[2].is_null() && few.columns[3].is_null());
    }
}
