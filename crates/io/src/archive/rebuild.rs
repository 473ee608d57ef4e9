//! Records from the columns of an archive.

use super::layout::Layout;
use super::schema::{KIND, System, column_name};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array,
    Int64Array, RecordBatch,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use backsight_engine::value::json::{self, Cursor};
use backsight_engine::value::{Kind, number};
use std::collections::HashMap;
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

/// The columns of some rows, by what they hold: that is asked once, not for each value.
#[derive(Debug)]
pub(crate) struct Cells(Vec<Column>);

#[derive(Debug)]
enum Column {
    Text(BinaryViewArray),
    Int(Int64Array),
    Small(Int32Array),
    Float(Float64Array),
    Bool(BooleanArray),
    Id(FixedSizeBinaryArray),
    /// Nothing that an archive has.
    Other,
}

impl Column {
    fn new(array: &ArrayRef) -> Column {
        match array.data_type() {
            DataType::BinaryView => Column::Text(array.as_binary_view().clone()),
            DataType::Int64 => Column::Int(array.as_primitive::<Int64Type>().clone()),
            DataType::Int32 => Column::Small(array.as_primitive::<Int32Type>().clone()),
            DataType::Float64 => Column::Float(array.as_primitive::<Float64Type>().clone()),
            DataType::Boolean => Column::Bool(array.as_boolean().clone()),
            DataType::FixedSizeBinary(16) => Column::Id(array.as_fixed_size_binary().clone()),
            _ => Column::Other,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Column::Text(array) => array.is_null(row),
            Column::Int(array) => array.is_null(row),
            Column::Small(array) => array.is_null(row),
            Column::Float(array) => array.is_null(row),
            Column::Bool(array) => array.is_null(row),
            Column::Id(array) => array.is_null(row),
            Column::Other => false,
        }
    }
}

impl Cells {
    pub(crate) fn new(batch: &RecordBatch) -> Cells {
        Cells(batch.columns().iter().map(Column::new).collect())
    }

    /// Text of a system column.
    fn text(&self, column: System, row: usize) -> Option<&[u8]> {
        let Column::Text(array) = self.0.get(column as usize)? else { return None };
        array.is_valid(row).then(|| array.value(row))
    }

    /// A number of a system column.
    pub(crate) fn integer(&self, column: System, row: usize) -> Option<i64> {
        match self.0.get(column as usize)? {
            Column::Int(array) => array.is_valid(row).then(|| array.value(row)),
            Column::Small(array) => array.is_valid(row).then(|| array.value(row).into()),
            _ => None,
        }
    }
}

/// Makes records again.
#[derive(Debug)]
pub(crate) struct Rebuilder {
    columns: Columns,
    forms: HashMap<Box<[u8]>, Arc<Form>>,
    /// That of the record before.
    last: Option<Arc<Form>>,
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
        Rebuilder { columns, forms: HashMap::new(), last: None }
    }

    /// Adds the record of a row, and all that follows it up to the next one, to `out`. `None` if the columns are not
    /// what an archive holds.
    pub(crate) fn add(&mut self, cells: &Cells, row: usize, out: &mut Vec<u8>) -> Option<Rebuilt> {
        let start = out.len();
        let Some(layout) = cells.text(System::Layout, row) else {
            out.extend_from_slice(cells.text(System::Bytes, row)?);
            return Some(Rebuilt { start, end: out.len(), message: None });
        };
        let form = self.form(layout)?;
        let before = cells.text(System::Before, row).unwrap_or_default();
        if form.layout.is_text {
            let column = if form.layout.is_bytes { System::Bytes } else { System::Text };
            let record = cells.text(column, row)?;
            let (message, end) = form.layout.write(out, before, |_, out| {
                out.extend_from_slice(record);
                Some(())
            })?;
            return Some(Rebuilt { start, end, message });
        }
        let mut extra = cells.text(System::Extra, row).and_then(Extra::new);
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
                Some(column) if is_line => token(cells.0.get(column)?, row, out),
                None if is_line => Some(()),
                Some(column) => {
                    let json = self.columns.is_json(column);
                    spell(cells.0.get(column)?, json, kinds.and_then(|kinds| cells.0.get(kinds)), row, out)
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
        if let Some(form) = self.last.as_ref().filter(|form| *form.layout.text == *text) {
            return Some(Arc::clone(form));
        }
        if let Some(form) = self.forms.get(text) {
            self.last = Some(Arc::clone(form));
            return self.last.clone();
        }
        let layout = Layout::parse(text)?;
        let columns = layout.keys.iter().map(|key| (self.columns.of_key(key), self.columns.kinds(key))).collect();
        let form = Arc::new(Form { layout, columns });
        if self.forms.len() >= MAX_FORMS {
            self.forms.clear();
        }
        self.forms.insert(text.into(), Arc::clone(&form));
        self.last = Some(Arc::clone(&form));
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
fn token(column: &Column, row: usize, out: &mut Vec<u8>) -> Option<()> {
    match column {
        Column::Text(array) if array.is_valid(row) => out.extend_from_slice(array.value(row)),
        Column::Int(array) if array.is_valid(row) => whole(array.value(row), out),
        Column::Id(array) if array.is_valid(row) => {
            out.extend_from_slice(&crate::parquet::uuid(array.value(row)));
        }
        column if column.is_null(row) => {}
        _ => return spell(column, false, None, row, out),
    }
    Some(())
}

/// Adds a whole number.
fn whole(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// Adds a value as it is spelled in the record.
fn spell(column: &Column, json: bool, kinds: Option<&Column>, row: usize, out: &mut Vec<u8>) -> Option<()> {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
        return Some(());
    }
    match column {
        Column::Text(array) => {
            let text = array.value(row);
            let is_bare = |kinds: &Column| match kinds {
                Column::Small(kinds) => kinds.is_valid(row) && kinds.value(row) != Kind::String as i32,
                _ => false,
            };
            if json || kinds.is_some_and(is_bare) {
                out.extend_from_slice(text);
            } else {
                json::write_bytes(text, out);
            }
        }
        Column::Int(array) => whole(array.value(row), out),
        Column::Float(array) => out.extend_from_slice(number::float_text(array.value(row)).as_bytes()),
        Column::Bool(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
        Column::Id(array) => {
            out.push(b'"');
            out.extend_from_slice(&crate::parquet::uuid(array.value(row)));
            out.push(b'"');
        }
        Column::Small(_) | Column::Other => return None,
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
