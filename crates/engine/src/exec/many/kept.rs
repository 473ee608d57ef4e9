//! The rows of a pass, kept for the plans that want them once more: so the source is read, and its texts are numbered,
//! only once. Words of dictionaries are kept in as few bytes as they need.

use crate::exec::ctl::Ctl;
use crate::exec::memory::Share;
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
    /// The dictionary met last, a column.
    last: Vec<Option<Arc<Dictionary>>>,
    bytes: usize,
    most: usize,
    /// There are rows that are not here.
    lost: bool,
    share: Share,
}

/// A batch in little room.
struct Packed {
    columns: Vec<Cells>,
    rows: usize,
    positions: Positions,
}

/// A column.
enum Cells {
    /// Not wanted.
    Absent,
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
        Kept { wanted, batches: Vec::new(), last: Vec::new(), bytes: 0, most, lost, share }
    }

    /// Whether all rows are here.
    pub fn is_whole(&self) -> bool {
        !self.lost
    }

    /// Keeps the next batch, unless there is no room for it.
    pub fn add(&mut self, batch: &Batch) {
        if self.lost || batch.rows == 0 {
            return;
        }
        self.last.resize(batch.columns.len(), None);
        let mut columns = Vec::with_capacity(batch.columns.len());
        for (at, column) in batch.columns.iter().enumerate() {
            if !self.wanted.get(at).is_some_and(|wanted| *wanted) {
                columns.push(Cells::Absent);
                continue;
            }
            if let Column::Dict(_, dictionary) = column
                && self.last[at].as_ref().is_none_or(|last| last.id() != dictionary.id())
            {
                // One that came with the input is nobody else's, and of one whose owner has begun another it is so, too.
                self.bytes += dictionary.given_bytes();
                if let Some(old) = self.last[at].replace(Arc::clone(dictionary)) {
                    self.bytes += old.bytes() - old.given_bytes();
                }
            }
            match Cells::of(column) {
                Some(cells) => columns.push(cells),
                None => return self.lose(),
            }
        }
        self.bytes += columns.iter().map(Cells::bytes).sum::<usize>() + batch.rows * 4;
        if self.bytes > self.most || !self.share.set(self.bytes) {
            return self.lose();
        }
        self.batches.push(Packed { columns, rows: batch.rows, positions: batch.positions.clone() });
    }

    fn lose(&mut self) {
        (self.batches, self.last) = (Vec::new(), Vec::new());
        self.lost = true;
        self.share.set(0);
    }

    /// The batches, in the order in which they came.
    pub fn batches(&self) -> impl Iterator<Item = Batch> {
        self.batches.iter().map(|packed| {
            let columns = packed.columns.iter().map(|cells| cells.column(packed.rows)).collect();
            Batch { columns, rows: packed.rows, positions: packed.positions.clone() }
        })
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

    fn column(&self, rows: usize) -> Column {
        match self {
            Cells::Absent => Column::null(rows),
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
            Cells::Absent => 0,
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
        kept.add(&batch);
        kept.add(&batch);
        let cells = |batch: &Batch| -> Vec<String> {
            batch.columns.iter().flat_map(|c| c.iter().map(|v| format!("{v:?}"))).collect()
        };
        let again: Vec<Batch> = kept.batches().collect();
        assert_eq!(again.len(), 2);
        for other in &again {
            assert_eq!(cells(other), cells(&batch));
            assert_eq!(other.positions.get(2), 11);
        }
        // Texts in the lines of a log are not kept, and then nothing is.
        let texts: Column = ["a text longer than twelve bytes", "b"].map(Value::string).into_iter().collect();
        kept.add(&Batch { columns: vec![texts], rows: 2, positions: Positions::sequence(0, 2) });
        assert!(!kept.is_whole() && kept.batches().next().is_none());
    }
}
