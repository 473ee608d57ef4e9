//! The keys of groups as columns: what each word of a key is as a cell.

use super::key::{NULL, TIME, cell_at, cell_size, key_cell};
use super::kinds::GroupKinds;
use super::words::Words;
use crate::value::column::{Column, ColumnBuilder};
use crate::value::dictionary::Dictionary;
use crate::value::{Kind, ValueRef};
use arrow::array::{BinaryViewArray, Int64Array, make_view};
use arrow::buffer::{Buffer, NullBuffer};
use std::sync::Arc;

/// The words of a key.
pub(super) enum Cells {
    /// Few for many groups, of one kind: the dictionary, and the number of each word in it.
    Dict(Arc<Dictionary>, Vec<u32>),
    /// Texts where they lie, with the view and presence of each word.
    Views(Arc<[Buffer]>, Vec<u128>, Option<Vec<bool>>),
    /// Times, and nulls.
    Times(Vec<Option<i64>>),
    /// Times beside texts, or more text than views reach: arena and place of each word.
    Mixed(Vec<Vec<u8>>, Vec<(usize, usize)>),
}

/// A dictionary pays where each word stands for so many groups.
const REPEATS: usize = 4;

impl Cells {
    /// The words, in parts, of the key of so many groups.
    pub fn new(parts: Vec<Words>, kinds: &GroupKinds, groups: usize) -> Cells {
        let parts: Vec<(Vec<u8>, Vec<usize>)> = parts.into_iter().map(Words::into_cells).collect();
        let count: usize = parts.iter().map(|(_, places)| places.len()).sum();
        let lengths = || parts.iter().flat_map(|(arena, places)| places.iter().map(|at| cell_at(arena, *at).0));
        let times = lengths().filter(|length| *length == TIME).count();
        let nulls = lengths().filter(|length| *length == NULL).count();
        let reached = parts.iter().all(|(arena, _)| u32::try_from(arena.len()).is_ok());
        let kind = match kinds {
            GroupKinds::Same(kind) => *kind,
            GroupKinds::Each(_) => None,
        };
        if times > 0 && times + nulls == count && kind == Some(Kind::Time) {
            let time = |arena: &[u8], at: usize| {
                let (length, from) = cell_at(arena, at);
                let bytes = || arena[from..from + 8].try_into().expect("eight bytes");
                (length == TIME).then(|| i64::from_le_bytes(bytes()))
            };
            let times = parts.iter().flat_map(|(arena, places)| places.iter().map(move |at| time(arena, *at)));
            return Cells::Times(times.collect());
        }
        if times > 0 || !reached {
            let places =
                parts.iter().enumerate().flat_map(|(part, (_, places))| places.iter().map(move |at| (part, *at)));
            let places = places.collect();
            return Cells::Mixed(parts.into_iter().map(|(arena, _)| arena).collect(), places);
        }
        let cell = |arena: &[u8], at: usize| {
            let (length, from) = cell_at(arena, at);
            (length, from..from + cell_size(length))
        };
        if let Some(kind) = kind
            && count * REPEATS <= groups
        {
            let words = Dictionary::default();
            let mut numbers = Vec::with_capacity(count);
            for (arena, places) in &parts {
                numbers.extend(places.iter().map(|at| match cell(arena, *at) {
                    (NULL, _) => Dictionary::NULL,
                    (_, text) => words.push(kind, &arena[text]),
                }));
            }
            return Cells::Dict(Arc::new(words), numbers);
        }
        let mut views = Vec::with_capacity(count);
        for (part, (arena, places)) in parts.iter().enumerate() {
            views.extend(places.iter().map(|at| {
                let (_, text) = cell(arena, *at);
                make_view(&arena[text.clone()], part as u32, text.start as u32)
            }));
        }
        let valid = (nulls > 0).then(|| lengths().map(|length| length != NULL).collect());
        let buffers = parts.into_iter().map(|(arena, _)| Buffer::from(arena)).collect();
        Cells::Views(buffers, views, valid)
    }

    /// The column of groups with these words, of which the first is group `first`.
    pub fn of(&self, words: &[u32], kinds: &GroupKinds, first: usize) -> Column {
        match self {
            Cells::Dict(dictionary, numbers) => {
                Column::Dict(words.iter().map(|word| numbers[*word as usize]).collect(), Arc::clone(dictionary))
            }
            Cells::Times(times) => Column::Time(words.iter().map(|word| times[*word as usize]).collect::<Int64Array>()),
            Cells::Views(buffers, views, valid) => {
                let views: Vec<u128> = words.iter().map(|word| views[*word as usize]).collect();
                let nulls =
                    valid.as_ref().map(|valid| words.iter().map(|w| valid[*w as usize]).collect::<NullBuffer>());
                // SAFETY: every view was made from text at that place of the buffer it names.
                let array = unsafe { BinaryViewArray::new_unchecked(views.into(), Arc::clone(buffers), nulls) };
                Column::Text(array, kinds.range(first, words.len()))
            }
            Cells::Mixed(arenas, places) => {
                let mut builder = ColumnBuilder::default();
                for (i, word) in words.iter().enumerate() {
                    let (part, at) = places[*word as usize];
                    key_cell(&arenas[part], at, kinds.get(first + i), |value: ValueRef<'_>| builder.push(value));
                }
                builder.finish()
            }
        }
    }

    /// The column of so many groups that are the words themselves.
    pub fn all(self, rows: usize, kinds: &GroupKinds, first: usize) -> Column {
        match self {
            Cells::Views(buffers, views, valid) => {
                // SAFETY: every view was made from text at that place of the buffer it names.
                let array =
                    unsafe { BinaryViewArray::new_unchecked(views.into(), buffers, valid.map(NullBuffer::from)) };
                Column::Text(array, kinds.range(first, rows))
            }
            other => other.of(&(0..rows as u32).collect::<Vec<_>>(), kinds, first),
        }
    }
}
