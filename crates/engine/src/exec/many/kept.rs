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

/// The batches one worker has seen, or nothing if they became too many.
pub(super) struct Kept {
    /// Columns that are wanted again.
    wanted: Vec<bool>,
    batches: Vec<Packed>,
    met: Met,
    /// Without those of dictionaries that were left.
    bytes: usize,
    most: usize,
    /// There are rows that are not here.
    lost: bool,
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
    /// Nothing yet; only the columns marked will be wanted again, and none of them if nothing is marked.
    pub fn new(wanted: Vec<bool>, ctl: &Ctl) -> Kept {
        let most = ctl.rows_kept();
        let lost = most == 0 || !wanted.contains(&true);
        let share = ctl.memory().share();
        Kept { wanted, batches: Vec::new(), met: Met::default(), bytes: 0, most, lost, share }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes + self.met.left()
    }

    /// Whether all rows are here.
    pub fn is_whole(&self) -> bool {
        !self.lost
    }

    /// Keeps the next batch. If there is no room for it, nothing is kept any more, and what was kept is given back.
    pub fn add(&mut self, batch: &Batch) -> Vec<Packed> {
        if self.lost || batch.rows == 0 {
            return Vec::new();
        }
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
            match Cells::of(column) {
                Some(cells) => columns.push(cells),
                None => return self.lose(),
            }
        }
        let positions = batch.positions.packed();
        self.bytes += columns.iter().map(Cells::bytes).sum::<usize>() + positions.bytes();
        if self.bytes() > self.most || !self.share.set(self.bytes()) {
            return self.lose();
        }
        self.batches.push(Packed { columns, rows: batch.rows, positions });
        Vec::new()
    }

    /// Keeps nothing any more, and gives back what was kept.
    pub fn lose(&mut self) -> Vec<Packed> {
        self.met = Met::default();
        self.lost = true;
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
    /// A column as it is kept; nothing for texts that are no words, which would keep their input alive.
    fn of(column: &Column) -> Option<Cells> {
        Some(match column {
            Column::Text(..) => return None,
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
        })
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
        let mut kept = Kept::new(vec![true; 8], &ctl);
        assert!(kept.add(&batch).is_empty() && kept.add(&batch).is_empty());
        let cells = |batch: &Batch| -> Vec<String> {
            batch.columns.iter().flat_map(|c| c.iter().map(|v| format!("{v:?}"))).collect()
        };
        let again: Vec<Batch> = kept.batches.iter().map(Packed::batch).collect();
        assert_eq!(again.len(), 2);
        for other in &again {
            assert_eq!(cells(other), cells(&batch));
            assert_eq!(other.positions.get(2), 11);
        }
        // Texts in the lines of a log are not kept, and then nothing is.
        let texts: Column = ["a text longer than twelve bytes", "b"].map(Value::string).into_iter().collect();
        let texts = Batch { columns: vec![texts], rows: 2, positions: Positions::sequence(0, 2) };
        let before = kept.add(&texts);
        assert_eq!(before.iter().map(|packed| cells(&packed.batch())).collect::<Vec<_>>(), vec![cells(&batch); 2]);
        assert!(!kept.is_whole() && kept.batches.is_empty());
    }

    #[test]
    fn a_column_that_is_there_twice_is_kept_once() {
        let words = Arc::new(Dictionary::default());
        words.push(Kind::String, b"a");
        let column = Column::Dict(vec![1, 0].into(), words);
        let columns = vec![column.clone(), column.clone(), column];
        let batch = Batch { columns, rows: 2, positions: Positions::sequence(0, 2) };
        let ctl = Ctl::new(1).expect("a thread");
        let mut kept = Kept::new(vec![false, true, true], &ctl);
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
