//! What a cell is: a kind and its canonical text, with typed columns as a cache of it.

mod batch;
mod builder;
pub mod column;
pub mod compare;
pub mod dictionary;
pub mod json;
pub mod number;
pub mod order;
pub(crate) mod parts;
pub mod set;
pub(crate) mod short;
pub mod time;
pub mod views;

use std::borrow::Cow;
use std::sync::Arc;

/// What a piece of text in a column stands for (language reference, "Types").
///
/// The text is canonical: a number as spelled in the data, a list or map as compact JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// Any bytes; normally UTF-8, but never assumed to be.
    String,
    /// A number as spelled; an integer within 64 bits or a finite decimal.
    Number,
    /// `true` or `false`.
    Bool,
    /// `YYYY-MM-DD HH:MM:SS.mmm`, UTC.
    Time,
    /// A JSON array.
    List,
    /// A JSON object.
    Map,
    /// A computed number that reckons as a float though its text is that of an integer. Only texts have this kind:
    /// [`ValueRef::kind`] says `Number`.
    Float,
}

impl Kind {
    /// The kind whose number (`kind as u8`) this is.
    pub(crate) fn of(number: u8) -> Option<Kind> {
        const KINDS: [Kind; 7] =
            [Kind::String, Kind::Number, Kind::Bool, Kind::Time, Kind::List, Kind::Map, Kind::Float];
        KINDS.get(usize::from(number)).copied()
    }
}

/// One cell, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// Absent, or JSON `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A computed integer.
    Int(i64),
    /// A computed float, always finite.
    Float(f64),
    /// Milliseconds since 1970-01-01T00:00Z.
    Time(i64),
    /// Anything else, as canonical text.
    Text(Kind, &'a [u8]),
}

/// One cell, owned.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Absent, or JSON `null`.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A computed integer.
    Int(i64),
    /// A computed float, always finite.
    Float(f64),
    /// Milliseconds since 1970-01-01T00:00Z.
    Time(i64),
    /// Anything else, as canonical text.
    Text(Kind, Arc<[u8]>),
}

impl Value {
    /// A string value.
    pub fn string(text: impl AsRef<[u8]>) -> Value {
        Value::Text(Kind::String, text.as_ref().into())
    }

    /// The float, or null where it is NaN or infinite (language reference, "Arithmetic").
    pub fn float(x: f64) -> Value {
        if x.is_finite() { Value::Float(x) } else { Value::Null }
    }

    /// Borrows the cell.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Bool(*b),
            Value::Int(n) => ValueRef::Int(*n),
            Value::Float(x) => ValueRef::Float(*x),
            Value::Time(t) => ValueRef::Time(*t),
            Value::Text(k, t) => ValueRef::Text(*k, t),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// A string cell.
    pub fn string(text: &'a str) -> ValueRef<'a> {
        ValueRef::Text(Kind::String, text.as_bytes())
    }

    /// True for null.
    pub fn is_null(self) -> bool {
        matches!(self, ValueRef::Null)
    }

    /// True for lists and maps.
    pub fn is_nested(self) -> bool {
        matches!(self, ValueRef::Text(Kind::List | Kind::Map, _))
    }

    /// Copies the cell.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(b) => Value::Bool(b),
            ValueRef::Int(n) => Value::Int(n),
            ValueRef::Float(x) => Value::Float(x),
            ValueRef::Time(t) => Value::Time(t),
            ValueRef::Text(k, t) => Value::Text(k, t.into()),
        }
    }

    /// The canonical text; `None` for null. Bytes, because text from the data may not be UTF-8.
    pub fn text(self) -> Option<Cow<'a, [u8]>> {
        Some(match self {
            ValueRef::Null => return None,
            ValueRef::Bool(true) => Cow::Borrowed(b"true"),
            ValueRef::Bool(false) => Cow::Borrowed(b"false"),
            ValueRef::Int(n) => Cow::Owned(n.to_string().into_bytes()),
            ValueRef::Float(x) => Cow::Owned(number::float_text(x).into_bytes()),
            ValueRef::Time(t) => Cow::Owned(time::format(t).into_bytes()),
            ValueRef::Text(_, t) => Cow::Borrowed(t),
        })
    }

    /// The canonical text of a scalar as a string, invalid UTF-8 replaced; `None` for null, lists and maps.
    ///
    /// What functions that expect text receive.
    pub fn scalar_text(self) -> Option<Cow<'a, str>> {
        if self.is_nested() {
            return None;
        }
        Some(match self.text()? {
            Cow::Borrowed(b) => String::from_utf8_lossy(b),
            Cow::Owned(b) => Cow::Owned(match String::from_utf8(b) {
                Ok(s) => s,
                Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
            }),
        })
    }

    /// The number this cell is or spells: numbers, numeric strings, and timestamps as epoch milliseconds; not booleans.
    ///
    /// This is *number-like* of the language reference.
    pub fn number(self) -> Option<number::Number<'a>> {
        match self {
            ValueRef::Null | ValueRef::Bool(_) => None,
            ValueRef::Int(n) => Some(number::Number::Int(n)),
            ValueRef::Float(x) => Some(number::Number::Float(x)),
            ValueRef::Time(t) => Some(number::Number::Int(t)),
            ValueRef::Text(Kind::Number, t) => number::json(t),
            ValueRef::Text(Kind::Float, t) => number::json(t).map(|n| number::Number::Float(n.as_f64())),
            ValueRef::Text(Kind::String, t) => number::numeric(t),
            ValueRef::Text(Kind::Time, t) => time::parse_canonical(t).map(number::Number::Int),
            ValueRef::Text(Kind::Bool | Kind::List | Kind::Map, _) => None,
        }
    }

    /// The boolean, if the cell is one.
    pub fn boolean(self) -> Option<bool> {
        match self {
            ValueRef::Bool(b) => Some(b),
            ValueRef::Text(Kind::Bool, t) => Some(t == b"true"),
            _ => None,
        }
    }

    /// Epoch milliseconds, if the cell is a timestamp.
    pub fn timestamp(self) -> Option<i64> {
        match self {
            ValueRef::Time(t) => Some(t),
            ValueRef::Text(Kind::Time, t) => time::parse_canonical(t),
            _ => None,
        }
    }

    /// An operand of arithmetic: number-like, or a boolean as 1 or 0.
    pub fn operand(self) -> Option<number::Number<'a>> {
        match self.boolean() {
            Some(b) => Some(number::Number::Int(b.into())),
            None => self.number(),
        }
    }

    /// The kind of value, whatever its representation; `None` for null.
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            ValueRef::Null => return None,
            ValueRef::Bool(_) => Kind::Bool,
            ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::Text(Kind::Float, _) => Kind::Number,
            ValueRef::Time(_) => Kind::Time,
            ValueRef::Text(k, _) => k,
        })
    }
}
