//! The rows of a pass, kept for the plans that want them later or once more: so the source is read, and its texts are
//! numbered, only once. Words of dictionaries are kept in as few bytes as they need.

use crate::exec::ctl::Ctl;
use crate::exec::hashes::is_same;
use crate::exec::memory::Share;
use crate::exec::shared::coders::Met;
use crate::value::column::{Batch, Column, Positions};
use crate::value::dictionary::Dictionary;
use arrow::array::{Array, Int64Array};
use arrow::buffer::ScalarBuffer;
use std::sync::Arc;

/// The batches one worker has seen, with the columns that plans want again; nothing for a plan whose columns cannot all be
/// kept, and nothing at all if they became too many.
pub(super) struct Kept {
    /// Of each plan: the columns it wants again.
    needs: Vec<Vec<bool>>,
    /// Of each plan: there are rows that are not here as it wants them.
    lost: Vec<bool>,
    /// Columns that are still wanted.
    wanted: Vec<bool>,
    batches: Vec<Packed>,
    met: Met,
    /// Without those of dictionaries that were left.
    bytes: usize,
    most: usize,
    share: Share,
}

/// A batch in little room.
pub(super) struct Packed {
    pub columns: Vec<Cells>,
    pub rows: usize,
    pub positions: Positions,
}

/// A column.
pub(super) enum Cells {
    /// Not wanted.
    Absent,
    /// Those of an earlier column: one field often has several names.
    Same(usize),
    /// Words, of which none is above 255.
    Bytes(Box<[u8]>, Arc<Dictionary>),
    /// Words, of which none is above 65,535.
    Pairs(Box<[u16]>, Arc<Dictionary>),
    /// Times, by their distance from the first of them.
    Times(i64, Box<[u32]>),
    /// As it came.
    Whole(Column),
}

impl Kept {
    /// Nothing yet; of each plan, the columns marked will be wanted again.
    pub fn new(needs: Vec<Vec<bool>>, ctl: &Ctl) -> Kept {
        let (most, share) = (ctl.rows_kept(), ctl.memory().share());
        let lost = needs.iter().map(|needs| most == 0 || !needs.contains(&true)).collect();
        let (wanted, batches, met) = (Vec::new(), Vec::new(), Met::default());
        let mut kept = Kept { needs, lost, wanted, batches, met, bytes: 0, most, share };
        kept.settle();
        kept
    }

    /// Finds out what is still wanted.
    fn settle(&mut self) {
        let columns = self.needs.iter().map(Vec::len).max().unwrap_or(0);
        let plans = || self.needs.iter().zip(&self.lost).filter(|(_, lost)| !**lost);
        self.wanted = (0..columns).map(|at| plans().any(|(needs, _)| needs[at])).collect();
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes + self.met.left()
    }

    /// Whether all rows are here as a plan wants them.
    pub fn is_whole(&self, plan: usize) -> bool {
        !self.lost[plan]
    }

    /// The batches kept.
    pub fn batches(&self) -> &[Packed] {
        &self.batches
    }

    /// Keeps the next batch. Says for which plans that is no longer done, because it is a column of texts that they want,
    /// or there is no room; batches before are still there until [`Kept::forget`].
    pub fn add(&mut self, batch: &Batch) -> Vec<usize> {
        if batch.rows == 0 || !self.wanted.contains(&true) {
            return Vec::new();
        }
        let before = self.lost.clone();
        for (at, column) in batch.columns.iter().enumerate() {
            if let Column::Text(..) = column {
                let (lost, needs) = (self.lost.iter_mut(), &self.needs);
                lost.zip(needs).for_each(|(lost, needs)| *lost |= needs.get(at).is_some_and(|needed| *needed));
            }
        }
        self.settle();
        if self.wanted.contains(&true) && !self.keep(batch) {
            self.lost.fill(true);
            self.settle();
        }
        (0..before.len()).filter(|plan| self.lost[*plan] && !before[*plan]).collect()
    }

    /// Keeps a batch, if there is room for it.
    fn keep(&mut self, batch: &Batch) -> bool {
        let mut columns = Vec::with_capacity(batch.columns.len());
        let is_wanted = |at: usize| self.wanted.get(at).is_some_and(|wanted| *wanted);
        for (at, column) in batch.columns.iter().enumerate() {
            if !is_wanted(at) {
                columns.push(Cells::Absent);
                continue;
            }
            let same = |before: &usize| is_wanted(*before) && is_same(&batch.columns[*before], column);
            if let Some(before) = (0..at).find(same) {
                columns.push(Cells::Same(before));
                continue;
            }
            if let Column::Dict(_, dictionary) = column
                && self.met.is_new(at, dictionary)
            {
                // What came with the input is nobody else's.
                self.bytes += dictionary.given_bytes();
            }
            columns.push(Cells::of(column));
        }
        let positions = batch.positions.packed();
        self.bytes += columns.iter().map(Cells::bytes).sum::<usize>() + positions.bytes();
        let fits = self.bytes() <= self.most && self.share.set(self.bytes());
        if fits {
            self.batches.push(Packed { columns, rows: batch.rows, positions });
        }
        fits
    }

    /// Forgets what nobody wants.
    pub fn forget(&mut self) {
        if !self.wanted.contains(&true) {
            self.take();
        }
    }

    /// Gives away what was kept.
    pub fn take(&mut self) -> Vec<Packed> {
        self.met = Met::default();
        self.share.set(0);
        std::mem::take(&mut self.batches)
    }
}

impl Packed {
    /// The cells of a column, whatever its name.
    pub fn cells(&self, column: usize) -> &Cells {
        match &self.columns[column] {
            Cells::Same(before) => self.cells(*before),
            cells => cells,
        }
    }

    /// The batch, with nulls in place of columns that are not wanted.
    pub fn batch(&self) -> Batch {
        let mut columns: Vec<Column> = Vec::with_capacity(self.columns.len());
        for cells in &self.columns {
            columns.push(match cells {
                Cells::Same(before) => columns[*before].clone(),
                cells => cells.column(self.rows),
            });
        }
        Batch { columns, rows: self.rows, positions: self.positions.clone() }
    }
}

impl Cells {
    /// A column as it is kept. Texts that are no words are none: they would keep their input alive.
    fn of(column: &Column) -> Cells {
        match column {
            Column::Dict(words, dictionary) => match words.iter().max() {
                Some(most) if *most <= u32::from(u8::MAX) => {
                    Cells::Bytes(words.iter().map(|word| *word as u8).collect(), Arc::clone(dictionary))
                }
                Some(most) if *most <= u32::from(u16::MAX) => {
                    Cells::Pairs(words.iter().map(|word| *word as u16).collect(), Arc::clone(dictionary))
                }
                _ => Cells::Whole(column.clone()),
            },
            Column::Time(times) if times.null_count() == 0 => {
                let first = times.values().iter().min().copied().unwrap_or(0);
                let distance = |ms: &i64| ms.checked_sub(first).and_then(|ms| u32::try_from(ms).ok());
                match times.values().iter().map(distance).collect() {
                    Some(distances) => Cells::Times(first, distances),
                    None => Cells::Whole(column.clone()),
                }
            }
            other => Cells::Whole(other.clone()),
        }
    }

    /// The dictionary of words.
    pub fn dictionary(&self) -> Option<&Arc<Dictionary>> {
        match self {
            Cells::Bytes(_, dictionary) | Cells::Pairs(_, dictionary) | Cells::Whole(Column::Dict(_, dictionary)) => {
                Some(dictionary)
            }
            _ => None,
        }
    }

    /// The times, if that is what it is.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        let (first, distances): (i64, &[u32]) = match self {
            Cells::Times(first, distances) => (*first, distances),
            _ => (0, &[]),
        };
        distances.iter().map(move |distance| first + i64::from(*distance))
    }

    pub fn column(&self, rows: usize) -> Column {
        match self {
            Cells::Absent | Cells::Same(_) => Column::null(rows),
            Cells::Bytes(words, dictionary) => {
                Column::Dict(words.iter().map(|word| u32::from(*word)).collect(), Arc::clone(dictionary))
            }
            Cells::Pairs(words, dictionary) => {
                Column::Dict(words.iter().map(|word| u32::from(*word)).collect(), Arc::clone(dictionary))
            }
            Cells::Times(first, distances) => {
                let times: ScalarBuffer<i64> = distances.iter().map(|ms| first + i64::from(*ms)).collect();
                Column::Time(Int64Array::new(times, None))
            }
            Cells::Whole(column) => column.clone(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Cells::Absent | Cells::Same(_) => 0,
            Cells::Bytes(words, _) => words.len(),
            Cells::Pairs(words, _) => words.len() * 2,
            Cells::Times(_, distances) => distances.len() * 4,
            Cells::Whole(column) => column.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Kind, Value};

    #[test]
    fn rows_come_back() {
        let words = Dictionary::default();
        (0..70_000).for_each(|n| {
            words.push(Kind::String, n.to_string().as_bytes());
        });
        let words = Arc::new(words);
        let dict = |numbers: &[u32]| Column::Dict(numbers.to_vec().into(), Arc::clone(&words));
        let columns = vec![
            dict(&[0, 255, 7]),
            dict(&[256, 65_535, 0]),
            dict(&[65_536, 1, 0]),
            Column::Time(vec![1_761_955_200_000, 1_761_955_100_000, 1_761_955_200_001].into()),
            Column::Time(vec![i64::MIN, 0, i64::MAX].into()),
            Column::Time(vec![Some(5), None, Some(7)].into()),
            Column::Const(Value::string("a"), 3),
            Column::Float(vec![0.5, 1.5, 2.5].into()),
        ];
        let batch = Batch { columns, rows: 3, positions: Positions::sequence(9, 3) };
        let ctl = Ctl::new(1).expect("a thread");
        let first: Vec<bool> = (0..8).map(|at| at == 0).collect();
        let mut kept = Kept::new(vec![vec![true; 8], first, vec![false; 8]], &ctl);
        assert!(kept.add(&batch).is_empty() && kept.add(&batch).is_empty());
        assert!(kept.is_whole(0) && kept.is_whole(1) && !kept.is_whole(2));
        let cells = |batch: &Batch| -> Vec<String> {
            batch.columns.iter().flat_map(|c| c.iter().map(|v| format!("{v:?}"))).collect()
        };
        let again: Vec<Batch> = kept.batches.iter().map(Packed::batch).collect();
        assert_eq!(again.len(), 2);
        for other in &again {
            assert_eq!(cells(other), cells(&batch));
            assert_eq!(other.positions.get(2), 11);
        }
        // Texts in the lines of a log are not kept, and then nothing is for who wants them.
        let texts: Column = ["a text longer than twelve bytes", "b", "c"].map(Value::string).into_iter().collect();
        let texts = |at: usize| {
            let mut columns = batch.columns.clone();
            columns[at] = texts.clone();
            Batch { columns, ..batch.clone() }
        };
        assert_eq!(kept.add(&texts(7)), [0]);
        kept.forget();
        assert!(!kept.is_whole(0) && kept.is_whole(1));
        let again: Vec<Batch> = kept.batches().iter().map(Packed::batch).collect();
        assert_eq!(again[..2].iter().map(&cells).collect::<Vec<_>>(), vec![cells(&batch); 2]);
        assert!(cells(&again[2])[..3] == cells(&batch)[..3] && again[2].columns[1].is_null());
        assert!(kept.add(&batch).is_empty() && kept.batches().len() == 4);
        assert_eq!(kept.add(&texts(0)), [1]);
        assert!(kept.batches().len() == 4 && kept.add(&batch).is_empty());
        kept.forget();
        assert!(!kept.is_whole(1) && kept.batches().is_empty());
        // What finds no room is not kept for anybody.
        let ctl = Ctl::new(1).expect("a thread").with_rows_kept(250);
        let mut kept = Kept::new(vec![vec![true; 8], vec![false; 8]], &ctl);
        assert!(kept.add(&batch).is_empty());
        assert_eq!(kept.add(&batch), [0]);
        assert!(kept.batches().len() == 1 && !kept.is_whole(0));
    }

    #[test]
    fn a_column_that_is_there_twice_is_kept_once() {
        let words = Arc::new(Dictionary::default());
        words.push(Kind::String, b"a");
        let column = Column::Dict(vec![1, 0].into(), words);
        let columns = vec![column.clone(), column.clone(), column];
        let batch = Batch { columns, rows: 2, positions: Positions::sequence(0, 2) };
        let ctl = Ctl::new(1).expect("a thread");
        let mut kept = Kept::new(vec![vec![false, true, true]], &ctl);
        kept.add(&batch);
        assert_eq!(kept.batches.len(), 1);
        let packed = &kept.batches[0];
        assert!(matches!(packed.columns[..], [Cells::Absent, Cells::Bytes(..), Cells::Same(1)]));
        let again = packed.batch();
        assert!(again.columns[0].is_null());
        let cells = |column: &Column| column.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>();
        assert!(again.columns[1..].iter().all(|column| cells(column) == cells(&batch.columns[0])));
    }
}
