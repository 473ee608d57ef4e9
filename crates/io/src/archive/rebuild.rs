//! Records from the columns of an archive.

use super::layout::Layout;
use super::schema::{KIND, System, column_name};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use backsight_engine::value::json::{self, Cursor};
use backsight_engine::value::{Kind, number};
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

/// The columns of an archive's file, by name.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    names: HashMap<String, usize>,
    /// Columns of JSON text.
    json: Vec<bool>,
}

impl Columns {
    /// `columns`: name, and whether it is JSON text. `None` if they are not those of an archive.
    pub(crate) fn new<'a>(columns: impl Iterator<Item = (&'a str, bool)>) -> Option<Columns> {
        let mut out = Columns { names: HashMap::new(), json: Vec::new() };
        for (at, (name, json)) in columns.enumerate() {
            out.names.insert(name.to_owned(), at);
            out.json.push(json);
        }
        let known = |column: &System| out.names.get(column.name()) == Some(&(*column as usize));
        System::ALL.iter().all(known).then_some(out)
    }

    /// The column of a key.
    pub(crate) fn of_key(&self, key: &[u8]) -> Option<usize> {
        column_name(key).and_then(|name| self.names.get(&name).copied())
    }

    /// The column of the kinds of another.
    pub(crate) fn kinds(&self, key: &[u8]) -> Option<usize> {
        column_name(key).and_then(|name| self.names.get(&format!("{KIND}{name}")).copied())
    }

    /// Whether a column is JSON text.
    pub(crate) fn is_json(&self, column: usize) -> bool {
        self.json.get(column).copied().unwrap_or(false)
    }

    /// Number of columns.
    pub(crate) fn len(&self) -> usize {
        self.json.len()
    }
}

/// A layout, and the columns of its keys.
#[derive(Debug)]
struct Form {
    layout: Layout,
    /// Column, and that of its kinds.
    columns: Vec<(Option<usize>, Option<usize>)>,
}

/// Makes records again.
#[derive(Debug)]
pub(crate) struct Rebuilder {
    columns: Columns,
    forms: HashMap<Box<[u8]>, Arc<Form>>,
}

/// A record, where it lies in the text it was added to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rebuilt {
    /// Where it begins.
    pub start: usize,
    /// Where it ends; bytes that belong to no record follow.
    pub end: usize,
    /// Where `@message` lies, if the event is the record.
    pub message: Option<(usize, usize)>,
}

/// Layouts kept.
const MAX_FORMS: usize = 1 << 14;

impl Rebuilder {
    pub(crate) fn new(columns: Columns) -> Rebuilder {
        Rebuilder { columns, forms: HashMap::new() }
    }

    /// Adds the record of a row, and all that follows it up to the next one, to `out`. `None` if the columns are not
    /// what an archive holds.
    pub(crate) fn add(&mut self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Option<Rebuilt> {
        let start = out.len();
        let Some(layout) = text(batch, System::Layout as usize, row) else {
            out.extend_from_slice(text(batch, System::Bytes as usize, row)?);
            return Some(Rebuilt { start, end: out.len(), message: None });
        };
        let form = self.form(layout)?;
        let before = text(batch, System::Before as usize, row).unwrap_or_default();
        if form.layout.is_text {
            let column = if form.layout.is_bytes { System::Bytes } else { System::Text };
            let record = text(batch, column as usize, row)?;
            let (message, end) = form.layout.write(out, before, |_, out| {
                out.extend_from_slice(record);
                Some(())
            })?;
            return Some(Rebuilt { start, end, message });
        }
        let mut extra = text(batch, System::Extra as usize, row).and_then(Extra::new);
        let (message, end) = form.layout.write(out, before, |slot, out| {
            let is_line = form.layout.is_line;
            if let Some(value) = extra.as_mut().and_then(|extra| extra.take(&form.layout.keys[slot])) {
                match is_line {
                    true => drop(json::decode(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?, out)),
                    false => out.extend_from_slice(value),
                }
                return Some(());
            }
            let (column, kinds) = form.columns[slot];
            match column {
                Some(column) if is_line => token(batch.column(column), row, out),
                None if is_line => Some(()),
                Some(column) => {
                    let json = self.columns.is_json(column);
                    spell(batch.column(column), json, kinds.map(|k| batch.column(k)), row, out)
                }
                None => {
                    out.extend_from_slice(b"null");
                    Some(())
                }
            }
        })?;
        Some(Rebuilt { start, end, message })
    }

    fn form(&mut self, text: &[u8]) -> Option<Arc<Form>> {
        if let Some(form) = self.forms.get(text) {
            return Some(Arc::clone(form));
        }
        let layout = Layout::parse(text)?;
        let columns = layout.keys.iter().map(|key| (self.columns.of_key(key), self.columns.kinds(key))).collect();
        let form = Arc::new(Form { layout, columns });
        if self.forms.len() >= MAX_FORMS {
            self.forms.clear();
        }
        self.forms.insert(text.into(), Arc::clone(&form));
        Some(form)
    }
}

/// Text of a system column.
pub(crate) fn text(batch: &RecordBatch, column: usize, row: usize) -> Option<&[u8]> {
    let array: &BinaryViewArray = batch.column(column).as_binary_view_opt()?;
    array.is_valid(row).then(|| array.value(row))
}

/// A number of a system column.
pub(crate) fn integer(batch: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    let array = batch.column(column);
    if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        return array.is_valid(row).then(|| array.value(row));
    }
    let array = array.as_primitive_opt::<Int32Type>()?;
    array.is_valid(row).then(|| array.value(row).into())
}

/// Adds a token of a line; nothing if it is not there.
fn token(array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Option<()> {
    if array.is_null(row) {
        return Some(());
    }
    match array.data_type() {
        DataType::BinaryView => out.extend_from_slice(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(16) => {
            out.extend_from_slice(&crate::parquet::uuid(array.as_fixed_size_binary().value(row)));
        }
        _ => return spell(array, false, None, row, out),
    }
    Some(())
}

/// Adds a value as it is spelled in the record.
fn spell(array: &ArrayRef, json: bool, kinds: Option<&ArrayRef>, row: usize, out: &mut Vec<u8>) -> Option<()> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Some(());
    }
    match array.data_type() {
        DataType::BinaryView => {
            let text = array.as_binary_view().value(row);
            let bare = json
                || kinds
                    .and_then(|k| k.as_primitive_opt::<Int32Type>())
                    .is_some_and(|kinds| kinds.is_valid(row) && kinds.value(row) != Kind::String as i32);
            if bare {
                out.extend_from_slice(text);
            } else {
                json::write_bytes(text, out);
            }
        }
        // Writing to a vector cannot fail.
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)).ok()?,
        DataType::Float64 => {
            let x = array.as_primitive::<arrow::datatypes::Float64Type>().value(row);
            out.extend_from_slice(number::float_text(x).as_bytes());
        }
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
        }
        DataType::FixedSizeBinary(16) => {
            out.push(b'"');
            out.extend_from_slice(&crate::parquet::uuid(array.as_fixed_size_binary().value(row)));
            out.push(b'"');
        }
        _ => return None,
    }
    Some(())
}

/// The values of `@extra`, which come in the order of the record.
struct Extra<'a> {
    cursor: Cursor<'a>,
    first: bool,
    next: Option<(Vec<u8>, &'a [u8])>,
}

impl<'a> Extra<'a> {
    fn new(text: &'a [u8]) -> Option<Extra<'a>> {
        let mut cursor = Cursor::new(text);
        cursor.enter_map().ok()?;
        let mut out = Extra { cursor, first: true, next: None };
        out.advance();
        Some(out)
    }

    fn advance(&mut self) {
        self.next = match self.cursor.key(&mut self.first) {
            Ok(Some(key)) => {
                let mut name = Vec::with_capacity(key.inner.len());
                json::decode(key.inner, &mut name);
                self.cursor.value().ok().map(|value| (name, value.text))
            }
            _ => None,
        };
    }

    /// The value of a key, if it is the next.
    fn take(&mut self, key: &[u8]) -> Option<&'a [u8]> {
        if self.next.as_ref().is_none_or(|(name, _)| name != key) {
            return None;
        }
        let value = self.next.take().map(|(_, value)| value);
        self.advance();
        value
    }
}
