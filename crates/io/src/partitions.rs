//! Fields from the names of folders: `dt=2024-05-01/region=eu-west-1/…`, as Hive, Spark, Athena and Firehose write them.

use crate::formats::{Pass, Queue};
use backsight_engine::error::Error;
use backsight_engine::source::{Field, Flow, Morsel};
use backsight_engine::value::column::{Batch, Column, ColumnBuilder};
use backsight_engine::value::{Value, ValueRef};
use backsight_lang::ast::Segment;
use std::path::Path;

/// What Hive calls the folder of rows that have no value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The fields the folders of a path give.
pub fn of(path: &Path) -> Vec<(String, String)> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    folders
        .filter_map(|c| {
            let name = c.as_os_str().to_str()?;
            let (key, value) = name.split_once('=')?;
            (!key.is_empty() && value != NO_VALUE).then(|| (unescape(key), unescape(value)))
        })
        .collect()
}

/// Resolves `%2F` and the like; what is not hexadecimal stays.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok().and_then(|d| u8::from_str_radix(d, 16).ok()));
        match code.flatten() {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Fills in what rows lack and the folders of their file say.
pub fn fill<'a>(pass: &Pass<'a>, queue: Box<dyn Queue<'a> + 'a>) -> Box<dyn Queue<'a> + 'a> {
    let values: Vec<(usize, Value)> = values(pass).collect();
    if values.is_empty() { queue } else { Box::new(Filled { queue, values }) }
}

/// True if the folders of the file say something that is asked for. What its records say is then not all there is, so
/// no record may be judged by its bytes and fields alone.
pub(crate) fn fills(pass: &Pass<'_>) -> bool {
    values(pass).next().is_some()
}

/// The slots the folders of the file have a value for.
fn values(pass: &Pass<'_>) -> impl Iterator<Item = (usize, Value)> {
    pass.scan.want.iter().enumerate().filter_map(|(slot, field)| {
        let Field::Path(segments) = field else { return None };
        let [Segment::Name { text, .. }] = segments.as_slice() else { return None };
        let (_, value) = pass.input.partitions.iter().rfind(|(key, _)| key == text)?;
        Some((slot, Value::string(value)))
    })
}

struct Filled<'a> {
    queue: Box<dyn Queue<'a> + 'a>,
    values: Vec<(usize, Value)>,
}

struct FilledMorsel<'a> {
    morsel: Box<dyn Morsel + 'a>,
    values: Vec<(usize, Value)>,
}

impl<'a> Queue<'a> for Filled<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        let morsel = self.queue.next()?;
        Some(Box::new(FilledMorsel { morsel, values: self.values.clone() }))
    }
}

impl Morsel for FilledMorsel<'_> {
    fn read(self: Box<Self>, out: &mut dyn FnMut(Batch) -> Result<Flow, Error>) -> Result<Flow, Error> {
        self.morsel.read(&mut |mut batch| {
            for (slot, value) in &self.values {
                if let Some(column) = batch.columns.get_mut(*slot) {
                    *column = or_else(column, value);
                }
            }
            out(batch)
        })
    }
}

/// The column with its nulls replaced.
fn or_else(column: &Column, value: &Value) -> Column {
    if let Column::Const(Value::Null, rows) = column {
        return Column::Const(value.clone(), *rows);
    }
    if !column.iter().any(ValueRef::is_null) {
        return column.clone();
    }
    let mut out = ColumnBuilder::with_capacity(column.len());
    for cell in column.iter() {
        out.push(if cell.is_null() { value.as_ref() } else { cell });
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders() {
        let found = of(Path::new("/logs/year=2024/a%2Fb=x%20y%/region=__HIVE_DEFAULT_PARTITION__/=v/k=v=w/f=g.json"));
        let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, [("year", "2024"), ("a/b", "x y%"), ("k", "v=w")]);
    }

    #[test]
    fn only_nulls_are_filled() {
        let value = Value::string("p");
        let texts = |column: Column| -> Vec<String> {
            column.iter().map(|c| String::from_utf8(c.text().expect("no null").into_owned()).expect("text")).collect()
        };
        let column: Column = [Value::Null, Value::Int(1)].into_iter().collect();
        assert_eq!(texts(or_else(&column, &value)), ["p", "1"]);
        assert_eq!(texts(or_else(&Column::null(2), &value)), ["p", "p"]);
    }
}
