//! What the columns of kept rows are, over the batches of all workers.

use super::kept::{Cells, Packed};
use crate::exec::ctl::Ctl;
use crate::exec::shared::coder::in_one;
use crate::value::Value;
use crate::value::column::Column;
use crate::value::dictionary::Dictionary;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What a column is in all batches.
pub(super) enum Form {
    /// Nobody wants it, or it is null everywhere.
    Null,
    /// That of an earlier column.
    Same(usize),
    /// Words, and what the words of each dictionary are in the one that holds all.
    Words(Arc<Dictionary>, HashMap<u64, Arc<[u32]>>),
    Times,
    /// Anything.
    Cells,
}

/// The dictionaries by id that several columns point into, but for those that are an earlier one in every batch.
pub(super) fn in_several_columns(batches: &[Packed], width: usize) -> HashSet<u64> {
    let mut owners: HashMap<u64, usize> = HashMap::new();
    let mut common = HashSet::new();
    for at in (0..width).filter(|at| same(batches, *at).is_none()) {
        for dictionary in batches.iter().filter_map(|batch| batch.cells(at).dictionary()) {
            if *owners.entry(dictionary.id()).or_insert(at) != at {
                common.insert(dictionary.id());
            }
        }
    }
    common
}

/// The earlier column that a column is in every batch.
fn same(batches: &[Packed], at: usize) -> Option<usize> {
    let mut same = batches.iter().map(|batch| match &batch.columns[at] {
        Cells::Same(before) => Some(*before),
        _ => None,
    });
    let before = same.next()??;
    same.all(|other| other == Some(before)).then_some(before)
}

impl Form {
    /// Bytes that a word or a time takes at least.
    pub fn width(&self) -> usize {
        match self {
            Form::Words(dictionary, _) => match dictionary.len() {
                0..=0x100 => 1,
                0x101..=0x1_0000 => 2,
                _ => 4,
            },
            Form::Times => 8,
            Form::Null | Form::Same(_) | Form::Cells => 0,
        }
    }

    /// What a column is. The dictionaries in `common` are not its alone.
    pub fn of(batches: &[Packed], at: usize, common: &HashSet<u64>, ctl: &Ctl) -> Form {
        if let Some(before) = same(batches, at) {
            return Form::Same(before);
        }
        let cells = || batches.iter().map(|batch| batch.cells(at));
        let is_null = |cells: &Cells| matches!(cells, Cells::Absent | Cells::Whole(Column::Const(Value::Null, _)));
        if cells().all(is_null) {
            return Form::Null;
        }
        if cells().all(|cells| matches!(cells, Cells::Times(..))) {
            return Form::Times;
        }
        let mut dictionaries: Vec<&Arc<Dictionary>> = Vec::new();
        for cells in cells() {
            match cells.dictionary() {
                Some(dictionary) if dictionaries.iter().any(|other| other.id() == dictionary.id()) => {}
                Some(dictionary) => dictionaries.push(dictionary),
                None if is_null(cells) => {}
                None => return Form::Cells,
            }
        }
        let (dictionary, numbers) = in_one(&dictionaries, |one| !common.contains(&one.id()), ctl);
        Form::Words(dictionary, numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::Kept;
    use super::super::parted::Parted;
    use super::*;
    use crate::value::Kind;
    use crate::value::column::{Batch, Positions};

    #[test]
    fn dictionaries_become_one() {
        let ctl = Ctl::new(2).expect("threads").with_parts_of(500);
        let dictionary = |words: [&str; 3]| {
            let dictionary = Dictionary::of_different_words();
            words.iter().for_each(|word| {
                dictionary.push(Kind::String, word.as_bytes());
            });
            Arc::new(dictionary)
        };
        let column = |dictionary: &Arc<Dictionary>| Column::Dict(vec![1, 2, 3].into(), Arc::clone(dictionary));
        let (one, two, three) = (dictionary(["a", "b", "c"]), dictionary(["c", "x", "a"]), dictionary(["y", "c", "z"]));
        let parted = |workers: [Vec<Column>; 2]| {
            let kept = |(number, columns): (usize, Vec<Column>)| {
                let mut kept = Kept::new(vec![vec![true; 2]], &ctl);
                kept.add(&Batch { columns, rows: 3, positions: Positions::sequence((number as u64) << 40, 3) });
                kept
            };
            Parted::new(workers.into_iter().enumerate().map(kept).collect(), &ctl)
        };
        let twice = |column: Column| vec![column.clone(), column];
        let is_first = |form: &Form| matches!(form, Form::Words(dictionary, _) if dictionary.id() == one.id());
        // Both columns point into the first dictionary, in one batch only: neither may add to it.
        let apart = parted([twice(column(&one)), vec![column(&two), column(&three)]]);
        let all = apart.sample(6, &[true; 2]).expect("rows");
        let texts = |column: &Column| -> Vec<String> {
            column.iter().map(|cell| String::from_utf8_lossy(&cell.text().unwrap_or_default()).into_owned()).collect()
        };
        assert_eq!(texts(&all.columns[0]), ["a", "b", "c", "c", "x", "a"]);
        assert_eq!(texts(&all.columns[1]), ["a", "b", "c", "y", "c", "z"]);
        assert!(one.len() == 4 && !apart.columns.iter().any(is_first));
        // The second is the first everywhere: then that is the dictionary, with what the other worker's has besides.
        let together = parted([twice(column(&one)), twice(column(&two))]);
        let all = together.sample(6, &[true; 2]).expect("rows");
        assert_eq!(texts(&all.columns[0]), ["a", "b", "c", "c", "x", "a"]);
        assert_eq!(texts(&all.columns[1]), texts(&all.columns[0]));
        assert!(one.len() == 5 && is_first(&together.columns[0]) && matches!(together.columns[1], Form::Same(0)));
    }
}
