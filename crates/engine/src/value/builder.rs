//! Columns built cell by cell.

use super::column::{Column, Kinds};
use super::{Kind, Value, ValueRef};
use arrow::array::{BinaryViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use std::sync::Arc;

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
        // SAFETY: `push_text` makes every view from its text, which lies in the view or where it appended it to the block of
        // that number, and `push` makes the others empty; each adds one flag to `valid`, so there are as many as views.
        let array =
            unsafe { BinaryViewArray::new_unchecked(ScalarBuffer::from(self.views), Arc::from(self.blocks), nulls) };
        Column::Text(array, kinds)
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
}
