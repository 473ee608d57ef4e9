//! NDJSON as Parquet, for tests: the same query must answer the same over both.
//!
//! Not a converter: columns are typed only where that cannot show (strings, integers, floats and booleans that all
//! print as they are spelled), and hold JSON text otherwise.

use super::text;
use ::parquet::basic::{LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::Type;
use arrow::array::{ArrayRef, BinaryViewArray};
use backsight_engine::value::{Kind, json, number};
use std::sync::Arc;

/// Rows of a group: few, so that small tests have several.
const GROUP: usize = 3;

/// A Parquet file whose rows have the fields, values and kinds of the lines, and their text as `@message`. Lines that
/// are not JSON objects become rows with only `@message`; blank lines are left out.
///
/// `None` where Parquet cannot say what the lines do: an `@message` of their own that is not a string.
pub fn from_ndjson(lines: &str) -> Option<Vec<u8>> {
    let lines: Vec<&str> = lines.lines().filter(|l| !l.trim().is_empty()).collect();
    let mut columns: Vec<Column> = Vec::new();
    for (row, line) in lines.iter().enumerate() {
        for (key, cell) in members(line.as_bytes())? {
            let column = match columns.iter_mut().find(|c| c.name == key) {
                Some(column) => column,
                None => {
                    columns.push(Column { name: key, cells: vec![None; lines.len()] });
                    columns.last_mut()?
                }
            };
            column.cells[row] = cell;
        }
    }
    match columns.iter().position(|c| c.name == "@message") {
        Some(at) => {
            let own = &mut columns[at];
            for (cell, line) in own.cells.iter_mut().zip(&lines) {
                *cell = cell.take().or_else(|| Some(Cell::string(line)));
            }
            if own.form() != Form::Text {
                return None;
            }
        }
        None if rebuilt(&columns, lines.len()) != lines => {
            let cells = lines.iter().map(|line| Some(Cell::string(line))).collect();
            columns.push(Column { name: "@message".into(), cells });
        }
        None => {}
    }
    write(&columns, lines.len()).ok()
}

struct Column {
    name: String,
    cells: Vec<Option<Cell>>,
}

/// A value that is not null.
#[derive(Clone)]
struct Cell {
    kind: Kind,
    /// Canonical.
    text: Vec<u8>,
    /// As JSON.
    json: Vec<u8>,
}

impl Cell {
    fn string(text: &str) -> Cell {
        let mut json = Vec::new();
        json::write_bytes(text.as_bytes(), &mut json);
        Cell { kind: Kind::String, text: text.into(), json }
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }
}

/// How a column is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Text,
    Int,
    Float,
    Bool,
    Json,
}

impl Column {
    fn form(&self) -> Form {
        let cells = || self.cells.iter().flatten();
        let int = |c: &Cell| c.text().parse::<i64>().is_ok_and(|n| n.to_string() == c.text());
        let float = |c: &Cell| c.text().parse().is_ok_and(|x: f64| number::float_text(x) == c.text());
        let all = |kind: Kind| cells().all(|c| c.kind == kind && c.json.starts_with(b"\"") == (kind == Kind::String));
        if all(Kind::String) {
            Form::Text
        } else if all(Kind::Bool) {
            Form::Bool
        } else if all(Kind::Number) && cells().all(int) {
            Form::Int
        } else if all(Kind::Number) && cells().all(float) {
            Form::Float
        } else {
            Form::Json
        }
    }
}

/// The members of a JSON object; none for text that is no object. `None` for keys that are not UTF-8.
fn members(line: &[u8]) -> Option<Vec<(String, Option<Cell>)>> {
    let mut out = Vec::new();
    if !matches!(json::whole(line), Ok(raw) if matches!(raw.shape, json::Shape::Map { .. })) {
        return Some(out);
    }
    let mut cursor = json::Cursor::new(line);
    let mut first = true;
    cursor.enter_map().ok()?;
    while let Some(key) = cursor.key(&mut first).ok()? {
        let mut name = Vec::new();
        json::decode(key.inner, &mut name);
        let raw = cursor.value().ok()?;
        let cell = raw.canonical().map(|(kind, text)| {
            let mut json = Vec::new();
            json::compact(raw.text, &mut json);
            Cell { kind, text: text.into_owned(), json }
        });
        out.push((String::from_utf8(name).ok()?, cell));
    }
    Some(out)
}

/// What the reader would make of the columns as whole rows.
fn rebuilt(columns: &[Column], rows: usize) -> Vec<String> {
    let nodes: Vec<ArrayRef> = columns
        .iter()
        .map(|c| {
            let texts = c.cells.iter().map(|cell| cell.as_ref().map(|c| &c.json[..]));
            Arc::new(texts.collect::<BinaryViewArray>()) as ArrayRef
        })
        .collect();
    let shape = super::schema::Shape::Leaf(super::schema::Meaning::Json);
    let parts = columns.iter().zip(&nodes).map(|(c, array)| (c.name.as_str(), array, &shape));
    let text = text::rows(parts, rows);
    text.iter().map(|v| String::from_utf8_lossy(&v.text().unwrap_or_default()).into_owned()).collect()
}

fn write(columns: &[Column], rows: usize) -> Result<Vec<u8>, ParquetError> {
    let fields = columns
        .iter()
        .map(|c| {
            let (physical, logical) = match c.form() {
                Form::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Form::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
                Form::Int => (Physical::INT64, None),
                Form::Float => (Physical::DOUBLE, None),
                Form::Bool => (Physical::BOOLEAN, None),
            };
            let builder = Type::primitive_type_builder(&c.name, physical).with_logical_type(logical);
            Ok(Arc::new(builder.with_repetition(Repetition::OPTIONAL).build()?))
        })
        .collect::<Result<Vec<_>, ParquetError>>()?;
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?);
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    for start in (0..rows).step_by(GROUP) {
        let mut group = file.next_row_group()?;
        for column in columns {
            let cells = &column.cells[start..rows.min(start + GROUP)];
            match column.form() {
                Form::Text => put::<ByteArrayType>(&mut group, cells, |c| c.text.clone().into())?,
                Form::Json => put::<ByteArrayType>(&mut group, cells, |c| ByteArray::from(c.json.clone()))?,
                Form::Int => put::<Int64Type>(&mut group, cells, |c| c.text().parse().unwrap_or_default())?,
                Form::Float => put::<DoubleType>(&mut group, cells, |c| c.text().parse().unwrap_or_default())?,
                Form::Bool => put::<BoolType>(&mut group, cells, |c| c.text == b"true")?,
            }
        }
        group.close()?;
    }
    file.into_inner()
}

fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: &[Option<Cell>],
    value: impl Fn(&Cell) -> T::T,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    let values: Vec<T::T> = cells.iter().flatten().map(value).collect();
    let present: Vec<i16> = cells.iter().map(|c| i16::from(c.is_some())).collect();
    column.typed::<T>().write_batch(&values, Some(&present), None)?;
    column.close()
}
