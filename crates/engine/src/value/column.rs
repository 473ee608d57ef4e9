//! Columns and batches: many cells of one field, as the executor passes them around.

use super::dictionary::Dictionary;
use super::{Kind, Value, ValueRef};
use arrow::array::{Array, BinaryViewArray, BooleanArray, Float64Array, Int64Array, make_view};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
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
            _ => {
                let mut out = ColumnBuilder::with_capacity(parts.iter().map(Column::len).sum());
                for part in parts {
                    out.extend(part);
                }
                out.finish()
            }
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

/// Builds a column cell by cell. Stays typed while all cells have one computed type, else turns to text.
#[derive(Debug, Default)]
pub struct ColumnBuilder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Empty,
    Nulls(usize),
    Int(Vec<Option<i64>>),
    Time(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
    Text(TextBuilder),
}

impl ColumnBuilder {
    /// A builder; `rows` is only a hint.
    pub fn with_capacity(_rows: usize) -> ColumnBuilder {
        ColumnBuilder::default()
    }

    /// Adds a cell; text is copied.
    pub fn push(&mut self, value: ValueRef<'_>) {
        if let State::Empty = self.state {
            self.state = State::Nulls(0);
        }
        if let State::Nulls(n) = &mut self.state {
            let n = *n;
            match value {
                ValueRef::Null => {
                    self.state = State::Nulls(n + 1);
                    return;
                }
                ValueRef::Int(_) => self.state = State::Int(vec![None; n]),
                ValueRef::Time(_) => self.state = State::Time(vec![None; n]),
                ValueRef::Float(_) => self.state = State::Float(vec![None; n]),
                ValueRef::Bool(_) => self.state = State::Bool(vec![None; n]),
                ValueRef::Text(..) => self.state = State::Text(TextBuilder::nulls(n)),
            }
        }
        match (&mut self.state, value) {
            (State::Int(v), ValueRef::Int(x)) | (State::Time(v), ValueRef::Time(x)) => v.push(Some(x)),
            (State::Float(v), ValueRef::Float(x)) => v.push(Some(x)),
            (State::Bool(v), ValueRef::Bool(x)) => v.push(Some(x)),
            (State::Int(v) | State::Time(v), ValueRef::Null) => v.push(None),
            (State::Float(v), ValueRef::Null) => v.push(None),
            (State::Bool(v), ValueRef::Null) => v.push(None),
            (State::Text(t), value) => t.push(value),
            (_, value) => self.as_text().push(value),
        }
    }

    /// Adds all cells of a column.
    pub fn extend(&mut self, column: &Column) {
        for value in column.iter() {
            self.push(value);
        }
    }

    /// Whether all cells so far have one computed type.
    pub(crate) fn is_typed(&self) -> bool {
        !matches!(self.state, State::Text(_))
    }

    /// The cells named by `rows`, in that order, where all have one computed type.
    pub(crate) fn take(&self, rows: &[u32]) -> Column {
        match &self.state {
            State::Int(v) => Column::Int(rows.iter().map(|i| v[*i as usize]).collect()),
            State::Time(v) => Column::Time(rows.iter().map(|i| v[*i as usize]).collect()),
            State::Float(v) => Column::Float(rows.iter().map(|i| v[*i as usize]).collect()),
            State::Bool(v) => Column::Bool(rows.iter().map(|i| v[*i as usize]).collect()),
            State::Empty | State::Nulls(_) | State::Text(_) => Column::null(rows.len()),
        }
    }

    /// Renders what is there, because a cell of another type arrives.
    fn as_text(&mut self) -> &mut TextBuilder {
        let before = std::mem::take(self).finish();
        let mut text = TextBuilder::default();
        for value in before.iter() {
            text.push(value);
        }
        self.state = State::Text(text);
        match &mut self.state {
            State::Text(t) => t,
            _ => unreachable!("just set"),
        }
    }

    /// The finished column.
    pub fn finish(self) -> Column {
        match self.state {
            State::Empty => Column::null(0),
            State::Nulls(n) => Column::null(n),
            State::Int(v) => Column::Int(v.into()),
            State::Time(v) => Column::Time(v.into()),
            State::Float(v) => Column::Float(v.into()),
            State::Bool(v) => Column::Bool(v.into()),
            State::Text(t) => t.finish(),
        }
    }
}

impl<'a> FromIterator<ValueRef<'a>> for ColumnBuilder {
    fn from_iter<T: IntoIterator<Item = ValueRef<'a>>>(cells: T) -> ColumnBuilder {
        let mut builder = ColumnBuilder::default();
        cells.into_iter().for_each(|v| builder.push(v));
        builder
    }
}

impl FromIterator<Value> for Column {
    fn from_iter<T: IntoIterator<Item = Value>>(cells: T) -> Column {
        let mut builder = ColumnBuilder::default();
        cells.into_iter().for_each(|v| builder.push(v.as_ref()));
        builder.finish()
    }
}

/// Below this a whole float and the integer of the same text reckon alike.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Builds a text column: views, one growing set of blocks, kinds.
#[derive(Debug, Default)]
pub struct TextBuilder {
    views: Vec<u128>,
    valid: Vec<bool>,
    any_null: bool,
    kinds: Vec<Kind>,
    block: Vec<u8>,
    blocks: Vec<Buffer>,
}

/// Blocks are closed at this size; view offsets are 32 bits wide.
const BLOCK: usize = 1 << 20;

impl TextBuilder {
    fn nulls(n: usize) -> TextBuilder {
        let mut out = TextBuilder::default();
        (0..n).for_each(|_| out.push(ValueRef::Null));
        out
    }

    /// Adds a cell as its canonical text.
    pub fn push(&mut self, value: ValueRef<'_>) {
        let kind = match value {
            ValueRef::Float(x) if x.fract() == 0.0 && x.abs() >= EXACT => Some(Kind::Float),
            ValueRef::Text(kind, _) => Some(kind),
            other => other.kind(),
        };
        match (kind, value.text()) {
            (Some(kind), Some(text)) => self.push_text(kind, &text),
            _ => {
                self.any_null = true;
                self.views.push(0);
                self.valid.push(false);
                self.kinds.push(Kind::String);
            }
        }
    }

    /// Adds text of a kind.
    pub fn push_text(&mut self, kind: Kind, text: &[u8]) {
        let view = if text.len() <= 12 {
            make_view(text, 0, 0)
        } else {
            if self.block.len() + text.len() > BLOCK && !self.block.is_empty() {
                self.blocks.push(std::mem::take(&mut self.block).into());
            }
            let offset = self.block.len() as u32;
            self.block.extend_from_slice(text);
            make_view(text, self.blocks.len() as u32, offset)
        };
        self.views.push(view);
        self.valid.push(true);
        self.kinds.push(kind);
    }

    /// The finished column.
    pub fn finish(mut self) -> Column {
        if !self.block.is_empty() {
            self.blocks.push(self.block.into());
        }
        let nulls = self.any_null.then(|| NullBuffer::from(self.valid.as_slice()));
        let mut present = self.kinds.iter().zip(&self.valid).filter(|(_, v)| **v).map(|(k, _)| *k);
        let kinds = match present.next() {
            None => Kinds::All(Kind::String),
            Some(first) if present.all(|k| k == first) => Kinds::All(first),
            Some(_) => Kinds::Each(self.kinds.into()),
        };
        // SAFETY: every view was made from text that lies inline or in the named block at the named offset.
        let array =
            unsafe { BinaryViewArray::new_unchecked(ScalarBuffer::from(self.views), Arc::from(self.blocks), nulls) };
        Column::Text(array, kinds)
    }
}

/// Where the rows of a batch stand in source order.
///
/// A position is one `u64`: the number of the file (in the order of the sources) in the upper 24 bits, the byte offset
/// of the record in its (decompressed) file, or its row number in a Parquet file, in the lower 40. It does not depend
/// on morsels or threads, so ties broken by it are the same however the input was cut.
#[derive(Clone, Debug)]
pub enum Positions {
    /// Rows of one piece of a file.
    Near {
        /// Added to every offset.
        base: u64,
        /// One a row.
        offsets: Arc<[u32]>,
    },
    /// Rows of anywhere: one position each.
    Far(Arc<[u64]>),
}

/// Bits of a position that are the offset in the file.
pub const OFFSET_BITS: u32 = 40;

impl Positions {
    /// Rows numbered from `base` on.
    pub fn sequence(base: u64, rows: usize) -> Positions {
        Positions::Near { base, offsets: (0..rows as u32).collect() }
    }

    /// Number of rows.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Positions::Near { offsets, .. } => offsets.len(),
            Positions::Far(all) => all.len(),
        }
    }

    /// The position of row `i`.
    #[inline]
    pub fn get(&self, i: usize) -> u64 {
        match self {
            Positions::Near { base, offsets } => base + u64::from(offsets[i]),
            Positions::Far(all) => all[i],
        }
    }

    /// The positions of all rows.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The positions of some rows.
    pub fn take(&self, rows: &[u32]) -> Positions {
        match self {
            Positions::Near { base, offsets } => {
                Positions::Near { base: *base, offsets: rows.iter().map(|i| offsets[*i as usize]).collect() }
            }
            Positions::Far(all) => Positions::Far(rows.iter().map(|i| all[*i as usize]).collect()),
        }
    }

    /// The same in as little memory as it takes.
    pub fn packed(&self) -> Positions {
        let Positions::Far(all) = self else { return self.clone() };
        let base = all.iter().min().copied().unwrap_or(0);
        let offsets = all.iter().map(|position| u32::try_from(position - base).ok()).collect::<Option<_>>();
        offsets.map_or_else(|| self.clone(), |offsets| Positions::Near { base, offsets })
    }

    /// The positions of some rows in a row.
    pub fn slice(&self, first: usize, rows: usize) -> Positions {
        match self {
            Positions::Near { base, offsets } => {
                Positions::Near { base: *base, offsets: offsets[first..first + rows].into() }
            }
            Positions::Far(all) => Positions::Far(all[first..first + rows].into()),
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        match self {
            Positions::Near { offsets, .. } => size_of_val(&offsets[..]),
            Positions::Far(all) => size_of_val(&all[..]),
        }
    }
}

/// Some rows: one column a slot, all of the same length.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One a slot.
    pub columns: Vec<Column>,
    /// Number of rows.
    pub rows: usize,
    /// Source order.
    pub positions: Positions,
}

impl Batch {
    /// The rows named, in that order.
    pub fn take(&self, rows: &[u32]) -> Batch {
        Batch {
            columns: self.columns.iter().map(|c| c.take(rows)).collect(),
            rows: rows.len(),
            positions: self.positions.take(rows),
        }
    }

    /// Some rows in a row, columns shared.
    pub fn slice(&self, first: usize, rows: usize) -> Batch {
        let columns = self.columns.iter().map(|c| c.slice(first, rows)).collect();
        Batch { columns, rows, positions: self.positions.slice(first, rows) }
    }

    /// The rows whose bit is set.
    pub fn filter(self, keep: &BooleanBuffer) -> Batch {
        let kept = keep.count_set_bits();
        if kept == self.rows { self } else { self.take(&selected(keep)) }
    }

    /// The first `n` rows.
    pub fn head(self, n: usize) -> Batch {
        if n >= self.rows { self } else { self.take(&(0..n as u32).collect::<Vec<_>>()) }
    }

    /// The same rows with text in memory of their own.
    pub fn owned(&self) -> Batch {
        Batch { columns: self.columns.iter().map(Column::owned).collect(), ..self.clone() }
    }

    /// Bytes of memory, roughly.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum::<usize>() + self.positions.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builder_keeps_types_until_they_mix() {
        let ints: Column = [Value::Null, Value::Int(1), Value::Int(2)].into_iter().collect();
        assert!(matches!(ints, Column::Int(_)));
        assert!(ints.get(0).is_null());
        let mixed: Column =
            [Value::Int(1), Value::Null, Value::string("a text longer than twelve bytes"), Value::Bool(true)]
                .into_iter()
                .collect();
        let texts: Vec<_> = mixed.iter().map(|v| v.text().map(|t| t.into_owned())).collect();
        assert_eq!(
            texts,
            [Some(b"1".to_vec()), None, Some(b"a text longer than twelve bytes".to_vec()), Some(b"true".to_vec())]
        );
        assert_eq!(mixed.get(0).kind(), Some(Kind::Number));
        assert_eq!(mixed.get(3).kind(), Some(Kind::Bool));
    }

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
