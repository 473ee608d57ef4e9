//! Tables beside the data, for `in table`, `lookup` and `cidrlookup`: CSV with a header, or JSON lines.

use backsight_engine::error::Error;
use backsight_engine::source::Table;
use backsight_engine::value::column::{Column, ColumnBuilder};
use backsight_engine::value::{Kind, ValueRef, json};
use std::collections::HashMap;

/// Reads a table as a whole. Content decides: JSON lines if the first byte opens an object, else CSV.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::Input`] where it is neither.
pub(crate) fn read(file: &str) -> Result<Table, Error> {
    let bytes = std::fs::read(file).map_err(|source| Error::Io { what: file.into(), source })?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.trim_ascii_start().starts_with(b"{") { json_lines(file, text) } else { csv(file, text) }
}

fn wrong(file: &str, offset: u64, why: impl Into<String>) -> Error {
    Error::Input { file: file.into(), offset: Some(offset), why: why.into() }
}

/// Cells are strings; an empty cell is null, so that a gap in a list of indicators matches nothing.
fn csv(file: &str, text: &[u8]) -> Result<Table, Error> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let bad = |e: csv::Error| wrong(file, e.position().map_or(0, csv::Position::byte), "is not CSV");
    let names: Vec<String> =
        reader.byte_headers().map_err(bad)?.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let mut columns: Vec<ColumnBuilder> = names.iter().map(|_| ColumnBuilder::default()).collect();
    let mut rows = 0;
    for record in reader.byte_records() {
        let record = record.map_err(bad)?;
        for (column, cell) in columns.iter_mut().zip(&record) {
            column.push(if cell.is_empty() { ValueRef::Null } else { ValueRef::Text(Kind::String, cell) });
        }
        rows += 1;
    }
    Ok(Table { columns: names.into_iter().zip(columns.into_iter().map(ColumnBuilder::finish)).collect(), rows })
}

/// One object a line; columns in the order in which their keys first appear.
fn json_lines(file: &str, text: &[u8]) -> Result<Table, Error> {
    let mut names: Vec<String> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut cells: Vec<HashMap<usize, (Kind, Vec<u8>)>> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let object = line.trim_ascii();
        if !object.is_empty() {
            if !matches!(json::whole(object), Ok(raw) if matches!(raw.shape, json::Shape::Map { .. })) {
                return Err(wrong(file, at, "is not a JSON object a line"));
            }
            let mut row = HashMap::new();
            for (key, value) in json::entries(object) {
                let place = *places.entry(key.to_vec()).or_insert_with(|| {
                    names.push(String::from_utf8_lossy(&key).into_owned());
                    names.len() - 1
                });
                match value {
                    Some((kind, text)) => row.insert(place, (kind, text.into_owned())),
                    None => row.remove(&place),
                };
            }
            cells.push(row);
        }
        at += line.len() as u64;
    }
    let column = |place: usize| -> Column {
        let mut column = ColumnBuilder::default();
        for row in &cells {
            column.push(row.get(&place).map_or(ValueRef::Null, |(kind, text)| ValueRef::Text(*kind, text)));
        }
        column.finish()
    };
    let rows = cells.len();
    let columns = (0..names.len()).map(column).collect::<Vec<_>>();
    Ok(Table { columns: names.into_iter().zip(columns).collect(), rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(table: &Table) -> Vec<(&str, Vec<Option<String>>)> {
        let text = |v: ValueRef<'_>| v.text().map(|t| String::from_utf8_lossy(&t).into_owned());
        table.columns.iter().map(|(name, column)| (name.as_str(), column.iter().map(text).collect())).collect()
    }

    #[test]
    fn csv_and_json_lines_are_tables() {
        let some = |s: &str| Some(s.to_string());
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (text, rows, expected) in [
            (
                "\u{feff}ip, note\n192.0.2.1,\"a, b\"\n192.0.2.2,\n",
                2,
                vec![("ip", vec![some("192.0.2.1"), some("192.0.2.2")]), ("note", vec![some("a, b"), None])],
            ),
            (
                "{\"ip\":\"192.0.2.1\"}\n\n{\"n\":1.0,\"ip\":null}\n",
                2,
                vec![("ip", vec![some("192.0.2.1"), None]), ("n", vec![None, some("1.0")])],
            ),
            ("ip\n", 0, vec![("ip", vec![])]),
        ] {
            let path = folder.path().join("table");
            std::fs::write(&path, text).expect("a temporary file");
            let table = read(&path.to_string_lossy()).expect(text);
            assert_eq!((table.rows, cells(&table)), (rows, expected), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_its_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (text, place) in [("{\"a\":1}\nnope\n", 8), ("a,b\n1\n", 4)] {
            let path = folder.path().join("table");
            std::fs::write(&path, text).expect("a temporary file");
            match read(&path.to_string_lossy()) {
                Err(Error::Input { offset, .. }) => assert_eq!(offset, Some(place), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(read("/nowhere/table.csv"), Err(Error::Io { .. })));
    }
}
