//! The columns of fields while a row group is gathered: what of a value comes back from there.

use super::block::Block;
use super::columns::{Made, made};
use super::fixed::Ids;
use super::schema::{Type, float, int};
use super::slot::Slot;
use super::words::Words;
use arrow::array::{ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder};
use backsight_engine::value::Kind;
use backsight_engine::value::json::{self, Shape};
use std::sync::Arc;

/// Whether a value comes back from its column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// Kind and spelling.
    Whole,
    /// Kind and meaning, but it is spelled otherwise.
    Meaning,
    /// It is not in the column.
    Not,
}

/// Where a value comes from and goes to.
#[derive(Clone, Copy)]
pub(super) struct Place<'b> {
    pub(super) block: &'b Block,
    pub(super) row: usize,
}

/// A column of values.
pub(super) enum Builder {
    Text(Words),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Uuid(Ids),
    Json(Words),
    Mixed(Words, Int32Builder),
}

impl Builder {
    /// `room`: so many rows are to come, with about so many different texts.
    pub(super) fn new(ty: Type, room: usize, texts: usize) -> Builder {
        match ty {
            Type::Text => Builder::Text(Words::with_room(room, texts)),
            Type::Int => Builder::Int(Int64Builder::new()),
            Type::Float => Builder::Float(Float64Builder::new()),
            Type::Bool => Builder::Bool(BooleanBuilder::new()),
            Type::Uuid => Builder::Uuid(Ids::with_room(room)),
            Type::Json => Builder::Json(Words::default()),
            Type::Mixed => Builder::Mixed(Words::default(), Int32Builder::new()),
        }
    }

    /// Adds a value that is not null.
    #[inline]
    pub(super) fn add(&mut self, place: Place<'_>, slot: &Slot, scratch: &mut Vec<u8>) -> Fit {
        let text = slot.text(&place.block.data);
        match self {
            Builder::Text(texts) => match slot.shape {
                Shape::String { escaped } => string(texts, place, slot, escaped, scratch),
                _ => Fit::Not,
            },
            Builder::Mixed(texts, kinds) => {
                let (kind, fit) = match slot.shape {
                    Shape::String { escaped } => (Kind::String, string(texts, place, slot, escaped, scratch)),
                    other => {
                        texts.push(place.row, text);
                        match other {
                            Shape::Number => match json::number_kind(text) {
                                // Beyond what a number can be: its text, but without quotes.
                                Kind::String => (Kind::String, Fit::Meaning),
                                kind => (kind, Fit::Whole),
                            },
                            Shape::Bool => (Kind::Bool, Fit::Whole),
                            Shape::List { .. } => (Kind::List, Fit::Whole),
                            _ => (Kind::Map, Fit::Whole),
                        }
                    }
                };
                kinds.append_nulls(place.row - kinds.len());
                kinds.append_value(kind as i32);
                fit
            }
            Builder::Json(texts) => match slot.shape {
                Shape::List { .. } | Shape::Map { .. } => {
                    texts.push(place.row, text);
                    Fit::Whole
                }
                _ => Fit::Not,
            },
            Builder::Int(values) => match int(text).filter(|_| slot.shape == Shape::Number || slot.is_token) {
                Some(n) => {
                    values.append_nulls(place.row - values.len());
                    values.append_value(n);
                    Fit::Whole
                }
                None => Fit::Not,
            },
            Builder::Float(values) => match float(text).filter(|_| slot.shape == Shape::Number) {
                Some(x) => {
                    values.append_nulls(place.row - values.len());
                    values.append_value(x);
                    Fit::Whole
                }
                None => Fit::Not,
            },
            Builder::Bool(values) if slot.shape == Shape::Bool => {
                values.append_nulls(place.row - values.len());
                values.append_value(text == b"true");
                Fit::Whole
            }
            // Ids are added a column at a time.
            Builder::Bool(_) | Builder::Uuid(_) => Fit::Not,
        }
    }

    /// The column, and that of its kinds.
    pub(super) fn finish(self, rows: usize) -> (Made, Option<ArrayRef>) {
        macro_rules! filled {
            ($values:ident) => {{
                let mut values = $values;
                values.append_nulls(rows - values.len());
                Arc::new(values.finish()) as ArrayRef
            }};
        }
        match self {
            Builder::Text(texts) | Builder::Json(texts) => (made(texts, rows), None),
            Builder::Mixed(texts, kinds) => (made(texts, rows), Some(filled!(kinds))),
            Builder::Int(values) => (Made::Array(filled!(values)), None),
            Builder::Float(values) => (Made::Array(filled!(values)), None),
            Builder::Bool(values) => (Made::Array(filled!(values)), None),
            Builder::Uuid(mut ids) => {
                ids.end(rows);
                (Made::Ids(ids), None)
            }
        }
    }
}

/// Adds a string.
#[inline]
pub(super) fn string(texts: &mut Words, place: Place<'_>, slot: &Slot, escaped: bool, scratch: &mut Vec<u8>) -> Fit {
    if !escaped {
        texts.push(place.row, slot.string(&place.block.data));
        return Fit::Whole;
    }
    let text = slot.text(&place.block.data);
    scratch.clear();
    json::decode(&text[1..text.len() - 1], scratch);
    texts.push(place.row, scratch);
    let mut spelled = Vec::with_capacity(text.len());
    json::write_bytes(scratch, &mut spelled);
    if spelled == text { Fit::Whole } else { Fit::Meaning }
}
