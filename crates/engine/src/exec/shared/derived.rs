//! Columns computed of columns of words: of every different value once, for as long as values repeat.

use super::coded::{Coded, first_rows, of_words};
use super::coder::Coder;
use crate::exec::ctl::Ctl;
use crate::exec::group::tuples::Tuples;
use crate::exec::index::NONE;
use crate::plan::Slot;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::dictionary::Dictionary;
use crate::value::{Value, ValueRef};

/// What was computed of the values of some columns.
pub(super) struct Derived {
    inputs: Vec<Slot>,
    context: Vec<u8>,
    /// The number of each value: of a word, if one column is not constant, else of a tuple of words.
    by_word: Vec<u32>,
    by_words: Tuples,
    values: usize,
    lookups: u64,
    results: Vec<Results>,
    /// Values do not repeat.
    off: bool,
}

/// The computed cells of all values.
enum Results {
    /// None so far.
    Nulls(usize),
    /// Texts, as words of the coder's dictionary.
    Words(Box<Coder>, Vec<u32>),
    /// Numbers, times, booleans.
    Typed(ColumnBuilder),
}

/// Values kept; beyond, all are forgotten, or it is given up if they hardly repeat.
const MOST: usize = 1 << 17;

/// Values after which it is judged whether they repeat.
const TRIAL: u64 = 8 * 1024;

impl Derived {
    /// Of these columns.
    pub fn new(mut inputs: Vec<Slot>) -> Derived {
        inputs.sort_unstable();
        inputs.dedup();
        let off = inputs.is_empty() || inputs.len() > super::FEW;
        Derived {
            inputs,
            context: Vec::new(),
            by_word: Vec::new(),
            by_words: Tuples::new(0),
            values: 0,
            lookups: 0,
            results: Vec::new(),
            off,
        }
    }

    /// The columns that `compute` makes of a batch, one row a row; it looks at the inputs only.
    pub fn columns(&mut self, batch: &Batch, ctl: &Ctl, compute: &dyn Fn(&Batch) -> Vec<Column>) -> Vec<Column> {
        if self.off {
            return compute(batch);
        }
        let columns: Vec<Column> = self.inputs.iter().map(|slot| crate::exec::column(batch, *slot)).collect();
        let Some(coded) = Coded::of(&columns).filter(|coded| !coded.parts.is_empty()) else { return compute(batch) };
        let several = coded.parts.len() > 1;
        let many = self.values > MOST;
        if many && self.values as u64 * 2 > self.lookups
            || self.lookups > TRIAL && self.values as u64 * 4 > self.lookups * 3
        {
            self.off = true;
            return compute(batch);
        }
        if self.context != coded.context || many {
            *self = Derived {
                context: coded.context.clone(),
                by_words: Tuples::new(coded.parts.len()),
                ..Derived::new(std::mem::take(&mut self.inputs))
            };
        }
        self.lookups += batch.rows as u64;
        let mut numbers = Vec::with_capacity(batch.rows);
        let new = match several {
            true => {
                self.by_words.of(&coded.lists(), batch.rows, &mut numbers);
                let first = first_rows(&numbers, self.values, self.by_words.len());
                columns.iter().map(|column| column.take(&first)).collect()
            }
            false => {
                let (_, words, dictionary) = coded.parts[0];
                self.by_word.resize(dictionary.len(), NONE);
                let mut new = Vec::new();
                numbers.extend(words.iter().map(|word| {
                    let number = &mut self.by_word[*word as usize];
                    if *number == NONE {
                        *number = (self.values + new.len()) as u32;
                        new.push(*word);
                    }
                    *number
                }));
                of_words(&columns, &new)
            }
        };
        let rows = new.first().map_or(0, Column::len);
        if rows > 0 || self.results.is_empty() {
            let width = self.inputs.last().map_or(0, |last| last + 1);
            let mut all = vec![Column::null(rows); width];
            self.inputs.iter().zip(new).for_each(|(slot, column)| all[*slot] = column);
            let new = compute(&Batch { columns: all, rows, positions: Positions::sequence(0, rows) });
            self.results.resize_with(new.len(), || Results::Nulls(self.values));
            let added = self.results.iter_mut().zip(new).all(|(results, new)| results.add(new, ctl));
            if !added {
                self.off = true;
                return compute(batch);
            }
            self.values += rows;
        }
        self.results.iter().map(|results| results.take(&numbers)).collect()
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let results = self.results.iter().map(|results| match results {
            Results::Nulls(_) => 0,
            Results::Words(coder, words) => coder.bytes() + words.capacity() * 4,
            Results::Typed(_) => self.values * 16,
        });
        self.by_word.capacity() * 4 + self.by_words.bytes() + results.sum::<usize>()
    }
}

impl Results {
    /// Takes in the cells of new values; false if they do not go with those that are there.
    fn add(&mut self, new: Column, ctl: &Ctl) -> bool {
        if let (Results::Nulls(n), false) = (&*self, matches!(new, Column::Const(Value::Null, _))) {
            let n = *n;
            *self = match &new {
                Column::Text(..) | Column::Dict(..) | Column::Const(Value::Text(..), _) => {
                    Results::Words(Box::new(Coder::new(ctl)), vec![Dictionary::NULL; n])
                }
                _ => Results::Typed(std::iter::repeat_n(ValueRef::Null, n).collect()),
            };
        }
        match (self, new) {
            (Results::Nulls(n), new) => *n += new.len(),
            (Results::Typed(builder), new) => {
                builder.extend(&new);
                return builder.is_typed();
            }
            (Results::Words(coder, words), new) => match coder.words(&new) {
                Some(of) => words.extend(of),
                None => return false,
            },
        }
        true
    }

    fn take(&self, numbers: &[u32]) -> Column {
        match self {
            Results::Nulls(_) => Column::null(numbers.len()),
            Results::Typed(builder) => builder.take(numbers),
            Results::Words(coder, words) => coder.column(numbers.iter().map(|n| words[*n as usize])),
        }
    }
}
