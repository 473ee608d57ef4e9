//! Parquet and Arrow files: columns with types, for other programs. Values are exact and times are UTC.
//!
//! A column has the narrowest type that says all its cells as they are: integers, floats, booleans, timestamps,
//! otherwise text. Numbers that would not come back as they are spelled in the log (`1.0`, 30 digits) stay text. The
//! types are only known at the end, so the rows are held until then.

use super::Writer;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use backsight_engine::value::column::{Batch, Column};
use backsight_engine::value::{Kind, ValueRef, number};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::Arc;

/// The two kinds of file.
#[derive(Clone, Copy, Debug)]
pub(super) enum File {
    Parquet,
    Arrow,
}

/// Holds the rows of an answer and writes them as one file.
pub(super) struct Columnar<'a> {
    file: File,
    names: Vec<String>,
    batches: Vec<Batch>,
    out: &'a mut dyn Write,
}

impl<'a> Columnar<'a> {
    /// A file with these columns.
    pub(super) fn new(file: File, columns: &[String], out: &'a mut dyn Write) -> Columnar<'a> {
        Columnar { file, names: unique(columns), batches: Vec::new(), out }
    }
}

impl Writer for Columnar<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.rows > 0 {
            self.batches.push(batch.owned());
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let forms: Vec<Form> =
            (0..self.names.len()).map(|i| form(self.batches.iter().map(|b| &b.columns[i]))).collect();
        let fields = self.names.iter().zip(&forms).map(|(name, form)| Field::new(name, form.data_type(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut batches = self.batches.drain(..).map(|batch| {
            let columns = batch.columns.iter().zip(&forms).map(|(column, form)| form.array(column)).collect();
            RecordBatch::try_new(Arc::clone(&schema), columns)
        });
        match self.file {
            File::Arrow => {
                let mut writer = FileWriter::try_new(&mut self.out, &schema).map_err(arrow_error)?;
                batches.try_for_each(|batch| writer.write(&batch?)).map_err(arrow_error)?;
                writer.finish().map_err(arrow_error)
            }
            File::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                // Parquet wants a writer that may go to another thread; a file in memory is one.
                let mut file = Vec::new();
                let mut writer =
                    ArrowWriter::try_new(&mut file, Arc::clone(&schema), Some(properties)).map_err(parquet_error)?;
                for batch in batches {
                    writer.write(&batch.map_err(arrow_error)?).map_err(parquet_error)?;
                }
                writer.close().map_err(parquet_error)?;
                self.out.write_all(&file)
            }
        }
    }
}

/// The names, a number behind those that come again: a file has no two columns of one name.
fn unique(names: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let mut own = name.clone();
        let mut n = 2;
        while out.contains(&own) {
            own = format!("{name}_{n}");
            n += 1;
        }
        out.push(own);
    }
    out
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Int,
    /// Integers, some of which would change among floats.
    Long,
    Float,
    Bool,
    Time,
    Text,
    /// Text that is not UTF-8 all through.
    Bytes,
}

/// The narrowest form for all cells.
fn form<'c>(columns: impl Iterator<Item = &'c Column>) -> Form {
    let mut form = None;
    for cell in columns.flat_map(Column::iter) {
        let Some(own) = of(cell) else { continue };
        form = match form {
            None => Some(own),
            Some(form) if form == own => Some(form),
            Some(Form::Int | Form::Long) if matches!(own, Form::Int | Form::Long) => Some(Form::Long),
            Some(Form::Int | Form::Float) if matches!(own, Form::Int | Form::Float) => Some(Form::Float),
            Some(Form::Bytes) => return Form::Bytes,
            Some(_) if own == Form::Bytes => return Form::Bytes,
            Some(_) => Some(Form::Text),
        };
    }
    form.unwrap_or(Form::Text)
}

fn of(cell: ValueRef<'_>) -> Option<Form> {
    Some(match cell {
        ValueRef::Null => return None,
        ValueRef::Bool(_) | ValueRef::Text(Kind::Bool, _) => Form::Bool,
        ValueRef::Int(n) => integer_form(n),
        ValueRef::Float(_) => Form::Float,
        ValueRef::Time(_) => Form::Time,
        ValueRef::Text(Kind::Time, _) if cell.timestamp().is_some() => Form::Time,
        ValueRef::Text(Kind::Number, text) => number_form(text),
        ValueRef::Text(_, text) if std::str::from_utf8(text).is_ok() => Form::Text,
        ValueRef::Text(..) => Form::Bytes,
    })
}

/// The type from which a number comes back as it is spelled.
fn number_form(text: &[u8]) -> Form {
    let Ok(text) = std::str::from_utf8(text) else { return Form::Bytes };
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(n), _) if n.to_string() == text => integer_form(n),
        (_, Ok(x)) if x.is_finite() && number::float_text(x) == text => Form::Float,
        _ => Form::Text,
    }
}

fn integer_form(n: i64) -> Form {
    if n.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS { Form::Int } else { Form::Long }
}

impl Form {
    fn data_type(self) -> DataType {
        match self {
            Form::Int | Form::Long => DataType::Int64,
            Form::Float => DataType::Float64,
            Form::Bool => DataType::Boolean,
            Form::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Form::Text => DataType::Utf8,
            Form::Bytes => DataType::Binary,
        }
    }

    /// The cells of a column in this form, which is one for all of them.
    fn array(self, column: &Column) -> ArrayRef {
        match self {
            Form::Int | Form::Long => Arc::new(column.iter().map(integer).collect::<Int64Array>()),
            Form::Float => {
                Arc::new(column.iter().map(|v| v.number().map(number::Number::as_f64)).collect::<Float64Array>())
            }
            Form::Bool => Arc::new(column.iter().map(ValueRef::boolean).collect::<BooleanArray>()),
            Form::Time => {
                let times = column.iter().map(ValueRef::timestamp).collect::<TimestampMillisecondArray>();
                Arc::new(times.with_timezone("UTC"))
            }
            Form::Text => {
                let text = |v: ValueRef<'_>| v.text().map(|t| String::from_utf8_lossy(&t).into_owned());
                Arc::new(column.iter().map(text).collect::<StringArray>())
            }
            Form::Bytes => Arc::new(column.iter().map(|v| v.text().map(|t| t.into_owned())).collect::<BinaryArray>()),
        }
    }
}

fn integer(cell: ValueRef<'_>) -> Option<i64> {
    match cell {
        ValueRef::Int(n) => Some(n),
        other => std::str::from_utf8(&other.text()?).ok()?.parse().ok(),
    }
}

/// The system's own error, whose kind says whether the reader went away.
fn arrow_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

fn parquet_error(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::{batch, of_kind, text};
    use backsight_engine::value::Value;
    use std::io::Seek;

    fn column(cells: Vec<Value>) -> Column {
        cells.into_iter().collect()
    }

    #[test]
    fn forms_are_the_narrowest_that_lose_nothing() {
        let number = |s| of_kind(Kind::Number, s);
        for (cells, expected) in [
            (vec![Value::Null], Form::Text),
            (vec![Value::Int(1), Value::Null, number("-7")], Form::Int),
            (vec![number("0.5"), Value::Float(1.5)], Form::Float),
            (vec![Value::Int(1), Value::Float(1.5)], Form::Float),
            (vec![Value::Int(i64::MAX), Value::Int(1)], Form::Long),
            (vec![Value::Int(i64::MAX), Value::Float(1.5)], Form::Text),
            (vec![number("1.0")], Form::Text),
            (vec![number("123456789012345678901234567890")], Form::Text),
            (vec![Value::Bool(true), of_kind(Kind::Bool, "false")], Form::Bool),
            (vec![Value::Time(0), Value::Null], Form::Time),
            (vec![Value::Time(0), text("x")], Form::Text),
            (vec![text("007")], Form::Text),
            (vec![text("x"), Value::string(b"\xff")], Form::Bytes),
            (vec![Value::string(b"\xff"), Value::Int(1)], Form::Bytes),
            (vec![of_kind(Kind::List, "[1]")], Form::Text),
        ] {
            assert_eq!(form([&column(cells.clone())].into_iter()), expected, "{cells:?}");
        }
    }

    #[test]
    fn files_can_be_read_back() {
        let names = ["n".to_string(), "n".to_string()];
        let rows = batch(vec![vec![Value::Int(1), Value::Null], vec![text("x"), text("日本")]]);
        let written = |file| {
            let mut out = Vec::new();
            let mut writer = Columnar::new(file, &names, &mut out);
            writer.write(&rows).expect("memory");
            writer.finish().expect("memory");
            drop(writer);
            let mut stored = tempfile::tempfile().expect("a temporary file");
            stored.write_all(&out).and_then(|()| stored.rewind()).expect("a temporary file");
            stored
        };
        let arrow = arrow::ipc::reader::FileReader::try_new(written(File::Arrow), None).expect("arrow");
        let arrow: Vec<RecordBatch> = arrow.collect::<Result<_, _>>().expect("arrow");
        let parquet = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(written(File::Parquet), 10);
        let parquet: Vec<RecordBatch> = parquet.expect("parquet").collect::<Result<_, _>>().expect("parquet");
        for read in [arrow, parquet] {
            assert_eq!((read.len(), read[0].num_rows(), read[0].schema().field(1).name().as_str()), (1, 2, "n_2"));
            assert_eq!(read[0].column(0).data_type(), &DataType::Int64);
        }
    }
}
