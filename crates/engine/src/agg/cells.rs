//! Loops over the cells of a column, with what does not change from row to row decided outside.

use crate::value::column::{Column, Kinds};
use crate::value::dictionary::Dictionary;
use crate::value::number::Number;
use crate::value::short::{short_digits, short_integer};
use crate::value::{Kind, ValueRef};
use arrow::array::Array;

/// Calls `each` with row and cell for all cells that are not null.
#[inline]
pub(super) fn present<'a>(column: &'a Column, mut each: impl FnMut(usize, ValueRef<'a>)) {
    match column {
        Column::Const(v, rows) => {
            let v = v.as_ref();
            if !v.is_null() {
                (0..*rows).for_each(|i| each(i, v));
            }
        }
        Column::Text(a, Kinds::All(kind)) => valid(a, |i| each(i, ValueRef::Text(*kind, a.value(i)))),
        Column::Text(a, Kinds::Each(kinds)) => valid(a, |i| each(i, ValueRef::Text(kinds[i], a.value(i)))),
        Column::Int(a) => valid(a, |i| each(i, ValueRef::Int(a.value(i)))),
        Column::Time(a) => valid(a, |i| each(i, ValueRef::Time(a.value(i)))),
        Column::Float(a) => valid(a, |i| each(i, ValueRef::Float(a.value(i)))),
        Column::Bool(a) => valid(a, |i| each(i, ValueRef::Bool(a.value(i)))),
        Column::Dict(words, dictionary) => {
            for (i, word) in words.iter().enumerate().filter(|(_, word)| **word != Dictionary::NULL) {
                each(i, dictionary.get(*word));
            }
        }
    }
}

/// Calls `each` with the rows that are not null.
#[inline]
fn valid(array: &impl Array, each: impl FnMut(usize)) {
    match array.nulls() {
        Some(nulls) if nulls.null_count() > 0 => nulls.valid_indices().for_each(each),
        _ => (0..array.len()).for_each(each),
    }
}

/// Calls `each` with the state of the row's group and the number, for all cells that are numbers, spell one, or are
/// booleans (1 or 0).
#[inline]
pub(super) fn operands<'a, S>(
    states: &mut [S],
    column: &'a Column,
    groups: &[u32],
    mut each: impl FnMut(&mut S, Number<'a>),
) {
    match states {
        [one] => numbers(column, |_, n| each(one, n)),
        many => numbers(column, |i, n| each(&mut many[groups[i] as usize], n)),
    }
}

#[inline]
fn numbers<'a>(column: &'a Column, mut each: impl FnMut(usize, Number<'a>)) {
    let mut general = |i: usize, v: ValueRef<'a>| {
        if let Some(n) = v.operand() {
            each(i, n);
        }
    };
    match column {
        // The common case: text, most of it short integers.
        Column::Text(a, Kinds::All(kind @ (Kind::String | Kind::Number))) => {
            let views = a.views();
            valid(a, |i| match short_integer(views[i]) {
                Some(n) => general(i, ValueRef::Int(n)),
                None => general(i, ValueRef::Text(*kind, a.value(i))),
            });
        }
        Column::Dict(words, dictionary) => {
            for (i, word) in words.iter().enumerate().filter(|(_, word)| **word != Dictionary::NULL) {
                match dictionary.text(*word) {
                    (kind @ (Kind::String | Kind::Number), text) => match short_digits(text) {
                        Some(n) => general(i, ValueRef::Int(n)),
                        None => general(i, ValueRef::Text(kind, text)),
                    },
                    (kind, text) => general(i, ValueRef::Text(kind, text)),
                }
            }
        }
        _ => present(column, general),
    }
}

/// Calls `each` with the row's group, and kind and canonical text of the cell, for all cells that are not null and that
/// `wanted` lets pass. A constant column of a single group is passed once only, with the number of its rows.
#[inline]
pub(super) fn texts(
    column: &Column,
    groups: &[u32],
    n_groups: usize,
    wanted: impl Fn(ValueRef<'_>) -> bool,
    mut each: impl FnMut(u32, Kind, &[u8], u64),
) {
    let mut int = itoa::Buffer::new();
    let mut float = ryu_js::Buffer::new();
    // Times of neighbouring rows are often the same, and slow to print.
    let mut time = (None, String::new());
    let mut text = |group: u32, v: ValueRef<'_>, rows: u64| {
        if !wanted(v) {
            return;
        }
        match v {
            ValueRef::Null => {}
            ValueRef::Text(kind, t) => each(group, kind, t, rows),
            ValueRef::Bool(b) => each(group, Kind::Bool, if b { b"true" } else { b"false" }, rows),
            ValueRef::Int(n) => each(group, Kind::Number, int.format(n).as_bytes(), rows),
            ValueRef::Float(x) => each(group, Kind::Number, float.format(x).as_bytes(), rows),
            ValueRef::Time(t) => {
                if time.0 != Some(t) {
                    time = (Some(t), crate::value::time::format(t));
                }
                each(group, Kind::Time, time.1.as_bytes(), rows);
            }
        }
    };
    match column {
        Column::Const(v, rows) if n_groups == 1 => {
            if *rows > 0 {
                text(0, v.as_ref(), *rows as u64);
            }
        }
        _ if n_groups == 1 => present(column, |_, v| text(0, v, 1)),
        _ => present(column, |i, v| text(groups[i], v, 1)),
    }
}
