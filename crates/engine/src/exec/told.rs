//! What expressions say of the words of dictionaries, found out once a word.
//!
//! Batches that come from one place of a file share a dictionary, so what was found out is kept for those that follow. It is
//! kept by the expression and the dictionary; workers mostly have dictionaries of their own, and where two have the same,
//! one of them finds things out anew.

use super::Cx;
use super::eval::{eval_rows, mask_rows};
use crate::plan::{Expr, Slot};
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::dictionary::Dictionary;
use crate::value::{Value, ValueRef};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use std::sync::{Arc, Mutex};

/// Answers about words. The expressions it is asked about must outlive it.
#[derive(Default)]
pub(crate) struct Told {
    answers: Mutex<Vec<Answers>>,
}

/// Expressions and dictionaries that are remembered; a file has few of them at a time.
const MOST: usize = 64;

/// What one expression says of the words of one dictionary.
struct Answers {
    expression: usize,
    dictionary: u64,
    about: About,
}

enum About {
    /// A word a byte: [`UNKNOWN`], [`ASKED`], or whether it fulfils a condition.
    Condition(Vec<u8>),
    /// The number of each word's value, from 1 on, and the values.
    Values(Vec<u32>, Values),
}

const UNKNOWN: u8 = 0;
const ASKED: u8 = 1;
const NO: u8 = 2;
const YES: u8 = 3;

/// Values of an expression.
enum Values {
    /// None so far.
    Nulls(usize),
    /// Numbers, times, booleans.
    Typed(ColumnBuilder, usize),
    /// Texts, and the words they are.
    Texts(Arc<Dictionary>, Vec<u32>),
    /// Not all of one sort, so that they cannot be one column.
    Mixed,
}

impl Told {
    fn taken(&self, e: &Expr, dictionary: &Dictionary) -> Option<About> {
        let mut answers = self.answers.lock().ok()?;
        let key = (std::ptr::from_ref(e).addr(), dictionary.id());
        let at = answers.iter().position(|a| (a.expression, a.dictionary) == key)?;
        Some(answers.remove(at).about)
    }

    fn put(&self, e: &Expr, dictionary: &Dictionary, about: About) {
        let Ok(mut answers) = self.answers.lock() else { return };
        if answers.len() >= MOST {
            answers.remove(0);
        }
        answers.push(Answers { expression: std::ptr::from_ref(e).addr(), dictionary: dictionary.id(), about });
    }
}

/// A column of words that is all an expression looks at.
struct Only<'b> {
    slot: Slot,
    words: &'b ScalarBuffer<u32>,
    dictionary: &'b Arc<Dictionary>,
}

impl<'b> Only<'b> {
    fn of(e: &Expr, batch: &'b Batch) -> Option<Only<'b>> {
        let (mut slot, mut several) = (None, false);
        e.visit(&mut |e| {
            if let Expr::Slot(s) = e {
                several |= slot.is_some_and(|slot| slot != *s);
                slot = Some(*s);
            }
        });
        let slot = slot.filter(|_| !several)?;
        match batch.columns.get(slot)? {
            // Of others it is not known that many rows will follow.
            Column::Dict(words, dictionary) if dictionary.given().is_some() => Some(Only { slot, words, dictionary }),
            _ => None,
        }
    }

    /// A batch of some words, one a row.
    fn batch(&self, words: Vec<u32>) -> Batch {
        let rows = words.len();
        let mut columns = vec![Column::null(rows); self.slot + 1];
        columns[self.slot] = Column::Dict(words.into(), Arc::clone(self.dictionary));
        Batch { columns, rows, positions: Positions::sequence(0, rows) }
    }
}

/// The rows in which an expression is true, if it looks at one column of words only.
pub(super) fn mask(e: &Expr, batch: &Batch, cx: &Cx<'_>) -> Option<BooleanBuffer> {
    let only = Only::of(e, batch)?;
    let mut said = match cx.told.taken(e, only.dictionary) {
        Some(About::Condition(said)) => said,
        _ => vec![UNKNOWN; only.dictionary.len()],
    };
    said.resize(only.dictionary.len(), UNKNOWN);
    let mut new = Vec::new();
    for word in only.words {
        let said = &mut said[*word as usize];
        if *said == UNKNOWN {
            *said = ASKED;
            new.push(*word);
        }
    }
    if !new.is_empty() {
        let hits = mask_rows(e, &only.batch(new.clone()), cx);
        for (word, hit) in new.iter().zip(&hits) {
            said[*word as usize] = if hit { YES } else { NO };
        }
    }
    let rows = BooleanBuffer::collect_bool(batch.rows, |row| said[only.words[row] as usize] == YES);
    cx.told.put(e, only.dictionary, About::Condition(said));
    Some(rows)
}

/// The value of an expression in every row, if it looks at one column of words only.
pub(super) fn eval(e: &Expr, batch: &Batch, cx: &Cx<'_>) -> Option<Column> {
    let only = Only::of(e, batch)?;
    let (mut numbers, mut values) = match cx.told.taken(e, only.dictionary) {
        Some(About::Values(numbers, values)) => (numbers, values),
        _ => (Vec::new(), Values::Nulls(0)),
    };
    let column = match values {
        Values::Mixed => None,
        _ => {
            numbers.resize(only.dictionary.len(), 0);
            let mut new = Vec::new();
            let before = values.len();
            let rows = only.words.iter().map(|word| {
                let number = &mut numbers[*word as usize];
                if *number == 0 {
                    new.push(*word);
                    *number = (before + new.len()) as u32;
                }
                *number - 1
            });
            let rows: Vec<u32> = rows.collect();
            if !new.is_empty() {
                values.add(eval_rows(e, &only.batch(new), cx));
            }
            values.take(&rows)
        }
    };
    cx.told.put(e, only.dictionary, About::Values(numbers, values));
    column
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Nulls(n) | Values::Typed(_, n) => *n,
            Values::Texts(_, words) => words.len(),
            Values::Mixed => 0,
        }
    }

    fn add(&mut self, new: Column) {
        if let Values::Nulls(n) = self
            && !new.is_null()
        {
            *self = match &new {
                Column::Text(..) | Column::Dict(..) | Column::Const(Value::Text(..), _) => {
                    Values::Texts(Arc::default(), vec![Dictionary::NULL; *n])
                }
                _ => Values::Typed(std::iter::repeat_n(ValueRef::Null, *n).collect(), *n),
            };
        }
        match self {
            Values::Nulls(n) => *n += new.len(),
            Values::Typed(builder, n) => {
                builder.extend(&new);
                *n += new.len();
                if !builder.is_typed() {
                    *self = Values::Mixed;
                }
            }
            Values::Texts(dictionary, words) => {
                for cell in new.iter() {
                    match cell {
                        ValueRef::Text(kind, text) => words.push(dictionary.push(kind, text)),
                        cell if cell.is_null() => words.push(Dictionary::NULL),
                        _ => {
                            *self = Values::Mixed;
                            return;
                        }
                    }
                }
            }
            Values::Mixed => {}
        }
    }

    /// The values of these numbers.
    fn take(&self, rows: &[u32]) -> Option<Column> {
        Some(match self {
            Values::Nulls(_) => Column::null(rows.len()),
            Values::Typed(builder, _) => builder.take(rows),
            Values::Texts(dictionary, words) => {
                Column::Dict(rows.iter().map(|n| words[*n as usize]).collect(), Arc::clone(dictionary))
            }
            Values::Mixed => return None,
        })
    }
}
