//! One cell kept from a batch to the next.

use crate::value::{Kind, Value, ValueRef};
use serde::{Deserialize, Serialize};

/// An owned cell that is overwritten many times: text goes into the memory of the text before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) enum Held {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Time(i64),
    Text(Kind, Vec<u8>),
}

impl Held {
    /// Replaces the cell.
    #[inline]
    pub(super) fn set(&mut self, value: ValueRef<'_>) {
        *self = match value {
            ValueRef::Text(kind, text) => {
                if let Held::Text(old, buffer) = self {
                    *old = kind;
                    buffer.clear();
                    buffer.extend_from_slice(text);
                    return;
                }
                Held::Text(kind, text.to_vec())
            }
            ValueRef::Null => Held::Null,
            ValueRef::Bool(b) => Held::Bool(b),
            ValueRef::Int(n) => Held::Int(n),
            ValueRef::Float(x) => Held::Float(x),
            ValueRef::Time(t) => Held::Time(t),
        };
    }

    /// The cell.
    #[inline]
    pub(super) fn get(&self) -> ValueRef<'_> {
        match self {
            Held::Null => ValueRef::Null,
            Held::Bool(b) => ValueRef::Bool(*b),
            Held::Int(n) => ValueRef::Int(*n),
            Held::Float(x) => ValueRef::Float(*x),
            Held::Time(t) => ValueRef::Time(*t),
            Held::Text(kind, text) => ValueRef::Text(*kind, text),
        }
    }

    /// Copies the cell.
    pub(super) fn to_value(&self) -> Value {
        self.get().to_value()
    }

    /// Bytes of memory beside the cell itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Held::Text(_, text) => text.capacity(),
            _ => 0,
        }
    }
}
