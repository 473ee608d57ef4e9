//! What rows come too late to be among the first of an order, as far as the first key says.

use crate::plan::SortKey;
use crate::value::column::{Column, Kinds};
use crate::value::short::short_integer;
use crate::value::{Kind, order};
use arrow::array::Array;
use arrow::buffer::BooleanBuffer;
use std::sync::Mutex;

/// The lowest bound that a worker has found.
#[derive(Default)]
pub(in crate::exec) struct Bound {
    /// The key of the last row that is among the first so far, and its first value, if that is or spells an integer.
    last: Mutex<Option<(Vec<u8>, Option<i64>)>>,
}

impl Bound {
    /// A worker knows that rows behind this key are too late.
    pub fn lower(&self, key: &[u8], int: Option<i64>) {
        let Ok(mut last) = self.last.lock() else { return };
        if last.as_ref().is_none_or(|(known, _)| key < &known[..]) {
            *last = Some((key.to_vec(), int));
        }
    }

    /// The rows that may be among the first, by their first key.
    pub fn early(&self, column: &Column, key: &SortKey) -> BooleanBuffer {
        let rows = column.len();
        let last = self.last.lock().ok().and_then(|last| last.clone());
        let Some((bound, int)) = last else { return BooleanBuffer::new_set(rows) };
        let possible = int.and_then(|int| integers(column, key, int));
        let mut bytes = Vec::new();
        BooleanBuffer::collect_bool(rows, |row| {
            if possible.as_ref().is_some_and(|stays| !stays(row)) {
                return false;
            }
            bytes.clear();
            order::push(column.get(row), key.descending, key.by_text, &mut bytes);
            bytes[..] <= bound[..bytes.len().min(bound.len())]
        })
    }
}

/// Which rows an integer does not rule out, where that is a matter of comparing integers.
pub(super) fn integers<'c>(column: &'c Column, key: &SortKey, bound: i64) -> Option<Box<dyn Fn(usize) -> bool + 'c>> {
    if key.by_text {
        return None;
    }
    let descending = key.descending;
    let is_out = move |n: i64| if descending { n < bound } else { n > bound };
    match column {
        Column::Int(array) if array.null_count() == 0 => Some(Box::new(move |row| !is_out(array.value(row)))),
        Column::Text(array, Kinds::All(Kind::String | Kind::Number)) => {
            let views = array.views();
            Some(Box::new(move |row| array.is_null(row) || short_integer(views[row]).is_none_or(|n| !is_out(n))))
        }
        Column::Dict(words, dictionary) => {
            let views = dictionary.given()?.views();
            // Null, and what was added to the strings given, is looked at.
            let view = move |row: usize| views.get((words[row] as usize).wrapping_sub(1));
            Some(Box::new(move |row| view(row).and_then(|view| short_integer(*view)).is_none_or(|n| !is_out(n))))
        }
        _ => None,
    }
}
