//! Columns whose cells are words of dictionaries, or the same in every row.

use crate::value::column::Column;
use crate::value::dictionary::Dictionary;
use arrow::buffer::ScalarBuffer;
use std::sync::Arc;

/// Some columns of a batch, seen as words.
pub(super) struct Coded<'c> {
    /// What the meaning of the words depends on: which dictionaries they are of, and the constants beside them.
    pub context: Vec<u8>,
    /// The columns that are not constant: which, the words, and their dictionary.
    pub parts: Vec<(usize, &'c ScalarBuffer<u32>, &'c Arc<Dictionary>)>,
}

impl<'c> Coded<'c> {
    /// Columns as words; nothing if one of them is neither words nor constant.
    pub fn of(columns: &'c [Column]) -> Option<Coded<'c>> {
        let mut coded = Coded { context: Vec::new(), parts: Vec::new() };
        for (at, column) in columns.iter().enumerate() {
            match column {
                Column::Dict(words, dictionary) => {
                    coded.parts.push((at, words, dictionary));
                    coded.context.extend_from_slice(&dictionary.id().to_le_bytes());
                }
                Column::Const(value, _) => {
                    let text = value.as_ref().text();
                    coded.context.push(value.as_ref().kind().map_or(u8::MAX, |kind| kind as u8));
                    coded.context.extend_from_slice(&(text.as_ref().map_or(0, |t| t.len()) as u64).to_le_bytes());
                    coded.context.extend_from_slice(&text.unwrap_or_default());
                }
                _ => return None,
            }
        }
        Some(coded)
    }

    /// The words of each column that is not constant.
    pub fn lists(&self) -> Vec<Vec<u32>> {
        self.parts.iter().map(|(_, words, _)| words.to_vec()).collect()
    }
}

/// The columns with these words in place of the one that is not constant.
pub(super) fn of_words(columns: &[Column], words: &[u32]) -> Vec<Column> {
    let cells = |column: &Column| match column {
        Column::Dict(_, dictionary) => Column::Dict(words.to_vec().into(), Arc::clone(dictionary)),
        Column::Const(value, _) => Column::Const(value.clone(), words.len()),
        other => other.slice(0, 0),
    };
    columns.iter().map(cells).collect()
}

/// The first row of each value from number `known` on, of `count` values.
pub(super) fn first_rows(values: &[u32], known: usize, count: usize) -> Vec<u32> {
    let mut first = vec![0; count - known];
    for (row, value) in values.iter().enumerate().rev() {
        if let Some(new) = (*value as usize).checked_sub(known) {
            first[new] = row as u32;
        }
    }
    first
}
