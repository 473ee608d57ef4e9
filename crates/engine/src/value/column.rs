//! Columns: many cells of one field, as the executor passes them around in batches.

pub use super::batch::{Batch, OFFSET_BITS, Positions};
pub use super::builder::{ColumnBuilder, TextBuilder};
use super::dictionary::Dictionary;
use super::parts::Parts;
use super::{Kind, Value, ValueRef};
use arrow::array::{Array, BinaryViewArray, BooleanArray, Float64Array, Int64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use std::borrow::Cow;
use std::sync::Arc;

/// The cells of one field for the rows of a batch.
///
/// Text is the normal form (see [`Kind`]); the typed variants hold computed values and skip parsing. Text is kept as
/// bytes: what the data says is not always UTF-8, and evidence is not altered.
#[derive(Clone, Debug)]
pub enum Column {
    /// The same value in every row; `Value::Null` where no row of the batch has the field.
    Const(Value, usize),
    /// Canonical text, mostly in place in the input. Nulls in the array are null cells.
    Text(BinaryViewArray, Kinds),
    /// Computed integers; predicates are 1 and 0.
    Int(Int64Array),
    /// Computed floats, all finite.
    Float(Float64Array),
    /// Booleans.
    Bool(BooleanArray),
    /// Epoch milliseconds.
    Time(Int64Array),
    /// Texts that repeat, as numbers of words; [`Dictionary::NULL`] is null.
    Dict(ScalarBuffer<u32>, Arc<Dictionary>),
}

/// The kinds of the cells of a text column.
#[derive(Clone, Debug, PartialEq)]
pub enum Kinds {
    /// All cells that are not null have this kind.
    All(Kind),
    /// One kind a row (meaningless where the cell is null).
    Each(Arc<[Kind]>),
}

impl Kinds {
    /// The kind of row `i`.
    pub fn get(&self, i: usize) -> Kind {
        match self {
            Kinds::All(k) => *k,
            Kinds::Each(each) => each[i],
        }
    }
}

/// Where the nulls of a column are.
#[derive(Debug)]
pub enum Nulls<'a> {
    /// Nowhere.
    None,
    /// Everywhere.
    All,
    /// In some rows.
    Some(Cow<'a, NullBuffer>),
}

impl Column {
    /// A column of nulls.
    pub fn null(rows: usize) -> Column {
        Column::Const(Value::Null, rows)
    }

    /// The numbers 1 and 0.
    pub fn predicate(mask: &BooleanBuffer) -> Column {
        Column::Int(mask.iter().map(i64::from).collect::<Vec<i64>>().into())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Const(_, n) => *n,
            Column::Text(a, _) => a.len(),
            Column::Int(a) | Column::Time(a) => a.len(),
            Column::Float(a) => a.len(),
            Column::Bool(a) => a.len(),
            Column::Dict(words, _) => words.len(),
        }
    }

    /// True for a column without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the null cells are.
    pub fn nulls(&self) -> Nulls<'_> {
        let nulls = match self {
            Column::Const(Value::Null, _) => return Nulls::All,
            Column::Const(..) => None,
            Column::Text(a, _) => a.nulls(),
            Column::Int(a) | Column::Time(a) => a.nulls(),
            Column::Float(a) => a.nulls(),
            Column::Bool(a) => a.nulls(),
            Column::Dict(words, _) => {
                let valid = BooleanBuffer::collect_bool(words.len(), |i| words[i] != Dictionary::NULL);
                let nulls = NullBuffer::new(valid);
                return if nulls.null_count() > 0 { Nulls::Some(Cow::Owned(nulls)) } else { Nulls::None };
            }
        };
        nulls.filter(|n| n.null_count() > 0).map_or(Nulls::None, |n| Nulls::Some(Cow::Borrowed(n)))
    }

    /// Number of null cells.
    pub fn null_count(&self) -> usize {
        match self {
            Column::Const(Value::Null, rows) => *rows,
            Column::Const(..) => 0,
            Column::Text(a, _) => a.null_count(),
            Column::Int(a) | Column::Time(a) => a.null_count(),
            Column::Float(a) => a.null_count(),
            Column::Bool(a) => a.null_count(),
            Column::Dict(words, _) => words.iter().filter(|word| **word == Dictionary::NULL).count(),
        }
    }

    /// True if no row has a value.
    pub fn is_null(&self) -> bool {
        self.null_count() == self.len()
    }

    /// The cell of row `i`, which must be below [`Column::len`].
    pub fn get(&self, i: usize) -> ValueRef<'_> {
        match self {
            Column::Const(v, _) => v.as_ref(),
            Column::Text(a, _) if a.is_null(i) => ValueRef::Null,
            Column::Text(a, kinds) => ValueRef::Text(kinds.get(i), a.value(i)),
            Column::Int(a) if a.is_null(i) => ValueRef::Null,
            Column::Int(a) => ValueRef::Int(a.value(i)),
            Column::Float(a) if a.is_null(i) => ValueRef::Null,
            Column::Float(a) => ValueRef::Float(a.value(i)),
            Column::Bool(a) if a.is_null(i) => ValueRef::Null,
            Column::Bool(a) => ValueRef::Bool(a.value(i)),
            Column::Time(a) if a.is_null(i) => ValueRef::Null,
            Column::Time(a) => ValueRef::Time(a.value(i)),
            Column::Dict(words, dictionary) => dictionary.get(words[i]),
        }
    }

    /// All cells in order.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The rows named by `rows`, in that order. Text is shared, not copied.
    pub fn take(&self, rows: &[u32]) -> Column {
        match self {
            Column::Const(v, _) => Column::Const(v.clone(), rows.len()),
            Column::Text(a, kinds) => {
                let views: Vec<u128> = rows.iter().map(|i| a.views()[*i as usize]).collect();
                let kinds = match kinds {
                    Kinds::All(k) => Kinds::All(*k),
                    Kinds::Each(each) => Kinds::Each(rows.iter().map(|i| each[*i as usize]).collect()),
                };
                // SAFETY: the views come from a valid array with the same buffers.
                let array = unsafe {
                    BinaryViewArray::new_unchecked(
                        views.into(),
                        Arc::clone(a.data_buffers()),
                        take_nulls(a.nulls(), rows),
                    )
                };
                Column::Text(array, kinds)
            }
            Column::Int(a) => Column::Int(take_ints(a, rows)),
            Column::Time(a) => Column::Time(take_ints(a, rows)),
            Column::Float(a) => Column::Float(Float64Array::new(
                rows.iter().map(|i| a.values()[*i as usize]).collect(),
                take_nulls(a.nulls(), rows),
            )),
            Column::Bool(a) => Column::Bool(BooleanArray::new(
                BooleanBuffer::collect_bool(rows.len(), |i| a.values().value(rows[i] as usize)),
                take_nulls(a.nulls(), rows),
            )),
            Column::Dict(words, dictionary) => {
                Column::Dict(rows.iter().map(|i| words[*i as usize]).collect(), Arc::clone(dictionary))
            }
        }
    }

    /// Some rows in a row, nothing copied.
    pub fn slice(&self, first: usize, rows: usize) -> Column {
        match self {
            Column::Const(v, _) => Column::Const(v.clone(), rows),
            Column::Text(a, Kinds::All(kind)) => Column::Text(a.slice(first, rows), Kinds::All(*kind)),
            Column::Text(a, Kinds::Each(each)) => {
                Column::Text(a.slice(first, rows), Kinds::Each(each[first..first + rows].into()))
            }
            Column::Int(a) => Column::Int(a.slice(first, rows)),
            Column::Float(a) => Column::Float(a.slice(first, rows)),
            Column::Bool(a) => Column::Bool(a.slice(first, rows)),
            Column::Time(a) => Column::Time(a.slice(first, rows)),
            Column::Dict(words, dictionary) => Column::Dict(words.slice(first, rows), Arc::clone(dictionary)),
        }
    }

    /// The rows whose bit is set.
    pub fn filter(&self, keep: &BooleanBuffer) -> Column {
        self.take(&selected(keep))
    }

    /// The same cells with text in memory of their own, so that the input can be let go.
    pub fn owned(&self) -> Column {
        match self {
            Column::Text(a, kinds) => Column::Text(a.gc(), kinds.clone()),
            // A dictionary is kept for many rows, not for a few.
            Column::Dict(words, dictionary) if dictionary.given().is_some() && dictionary.len() > words.len() => {
                let mut out = TextBuilder::default();
                self.iter().for_each(|cell| out.push(cell));
                out.finish()
            }
            other => other.clone(),
        }
    }

    /// The same cells as words of a dictionary, if they are texts.
    #[cfg(test)]
    pub(crate) fn in_words(&self) -> Column {
        let Column::Text(..) = self else { return self.clone() };
        let dictionary = Dictionary::default();
        let mut known = std::collections::HashMap::new();
        let mut word = |cell: ValueRef<'_>| match cell {
            ValueRef::Text(kind, text) => {
                *known.entry((kind, text.to_vec())).or_insert_with(|| dictionary.push(kind, text))
            }
            _ => Dictionary::NULL,
        };
        let words = self.iter().map(&mut word).collect();
        Column::Dict(words, dictionary.into())
    }

    /// Bytes of memory this column keeps alive by itself, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Column::Const(..) => 64,
            Column::Text(a, _) => a.len() * 16 + a.total_buffer_bytes_used(),
            Column::Dict(words, _) => words.len() * 4,
            other => other.len() * 8,
        }
    }

    /// Several columns of the same field, one after another.
    pub fn concat(parts: &[Column]) -> Column {
        match parts {
            [] => Column::null(0),
            [one] => one.clone(),
            _ => Parts::new(parts.iter().map(Some).collect()).all(parts.iter().map(Column::len)),
        }
    }
}

/// The numbers of the set bits.
pub fn selected(keep: &BooleanBuffer) -> Vec<u32> {
    let mut rows = Vec::with_capacity(keep.count_set_bits());
    rows.extend(keep.set_indices_u32());
    rows
}

fn take_nulls(nulls: Option<&NullBuffer>, rows: &[u32]) -> Option<NullBuffer> {
    let nulls = nulls?;
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), |i| nulls.is_valid(rows[i] as usize))))
}

fn take_ints(a: &Int64Array, rows: &[u32]) -> Int64Array {
    Int64Array::new(rows.iter().map(|i| a.values()[*i as usize]).collect(), take_nulls(a.nulls(), rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_and_filter_keep_kinds_and_nulls() {
        let column: Column = [Value::Int(1), Value::Null, Value::string("x")].into_iter().collect();
        let taken = column.take(&[2, 1, 0]);
        assert_eq!(taken.get(0).kind(), Some(Kind::String));
        assert!(taken.get(1).is_null());
        assert_eq!(taken.get(2).kind(), Some(Kind::Number));
        assert_eq!(column.filter(&BooleanBuffer::from(vec![false, true, true])).len(), 2);
    }
}
