//! How an answer is written: one row per format, one small file per family of formats.

mod columnar;
mod csv;
mod html;
mod json;
mod lines;
mod markdown;
mod table;
pub(crate) mod target;
mod vertical;

use crate::chart::Choice;
use crate::escape;
use crate::zone::Zone;
use backsight_engine::Ctl;
use backsight_engine::value::column::{Batch, Column};
use backsight_engine::value::{Kind, ValueRef};
use lines::Lines;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// The formats an answer can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns fitted to the terminal, for people
    Table,
    /// One line per field, for people and wide rows
    Vertical,
    /// One array of objects, exact
    Json,
    /// One object per line, exact
    Ndjson,
    /// Comma-separated, safe to open in a spreadsheet; see --csv-raw
    Csv,
    /// Tab-separated, quoted as CSV
    Tsv,
    /// A pipe table for reports
    Markdown,
    /// One page that needs nothing beside it, with a chart where the answer is a time series
    Html,
    /// Apache Parquet, typed; times are UTC
    Parquet,
    /// An Arrow file, typed; times are UTC
    Arrow,
}

/// File name extensions and what they ask for.
const EXTENSIONS: &[(&str, Format)] = &[
    ("txt", Format::Table),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("jsonl", Format::Ndjson),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("md", Format::Markdown),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
    ("htm", Format::Html),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("feather", Format::Arrow),
];

impl Format {
    /// What the extension of a file name asks for.
    pub(crate) fn of_file(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?;
        EXTENSIONS.iter().find(|(e, _)| e.eq_ignore_ascii_case(extension)).map(|(_, format)| *format)
    }

    /// Bytes that are nothing for a terminal.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// The extension that asks for it.
    pub(crate) fn extension(self) -> &'static str {
        EXTENSIONS.iter().find(|(_, format)| *format == self).map_or("txt", |(extension, _)| extension)
    }

    /// The known extensions, for messages.
    pub(crate) fn extensions() -> String {
        EXTENSIONS.iter().map(|(e, _)| format!(".{e}")).collect::<Vec<_>>().join(" ")
    }
}

/// What a writer may assume about its reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// Columns of the terminal the answer goes to; `None` when it does not go to one.
    pub(crate) width: Option<u16>,
    /// Colour and bold are understood and wanted.
    pub(crate) color: bool,
    /// CSV is written for a program: no guard against formulas, bytes as they are.
    pub(crate) csv_raw: bool,
    /// The zone of times, in the formats for people.
    pub(crate) zone: Zone,
    /// What the answer is about, for formats that have a title.
    pub(crate) title: String,
    /// Whether and how a time series is drawn, in the formats for people.
    pub(crate) chart: Choice,
    /// Whose threads make text of many rows; without, it is made as the rows come.
    pub(crate) crew: Option<Arc<Ctl>>,
}

/// Takes the batches of one answer in order.
pub(crate) trait Writer {
    /// Writes rows, or keeps them until their layout is known.
    fn write(&mut self, batch: &Batch) -> io::Result<()>;

    /// Writes what is missing: an answer without rows still shows its columns, a JSON array is closed.
    fn finish(&mut self) -> io::Result<()>;
}

/// The writer of a format.
pub(crate) fn writer<'a>(
    format: Format,
    look: Look,
    columns: &[String],
    out: &'a mut dyn Write,
) -> Box<dyn Writer + 'a> {
    match format {
        Format::Table => Box::new(table::Table::new(look, columns, out)),
        Format::Vertical => Box::new(vertical::Vertical::new(look, columns, out)),
        Format::Json => Box::new(Lines::new(json::Json::array(columns), look.crew, out)),
        Format::Ndjson => Box::new(Lines::new(json::Json::lines(columns), look.crew, out)),
        Format::Csv => Box::new(Lines::new(csv::Csv::new(b',', &look, columns), look.crew, out)),
        Format::Tsv => Box::new(Lines::new(csv::Csv::new(b'\t', &look, columns), look.crew, out)),
        Format::Markdown => Box::new(markdown::Markdown::new(look, columns, out)),
        Format::Html => Box::new(html::Html::new(look, columns, out)),
        Format::Parquet => Box::new(columnar::Columnar::new(columnar::File::Parquet, columns, out)),
        Format::Arrow => Box::new(columnar::Columnar::new(columnar::File::Arrow, columns, out)),
    }
}

/// A cell as people read it; null is empty.
fn shown(cell: ValueRef<'_>, zone: &Zone) -> String {
    match cell.timestamp() {
        Some(millis) if !zone.is_utc() => zone.text(millis),
        _ => cell.text().map_or_else(String::new, |text| escape::visible_bytes(&text).into_owned()),
    }
}

/// The heading of a column as people read it: a column of times says of which zone they are.
fn heading(name: &str, cells: Option<&Column>, zone: &Zone) -> String {
    let first = cells.and_then(|column| column.iter().find_map(ValueRef::kind));
    match first {
        Some(Kind::Time) => format!("{} ({})", escape::visible(name), zone.name()),
        _ => escape::visible(name).into_owned(),
    }
}

/// The headings of all columns; `batch` holds the first rows.
fn headings(columns: &[String], batch: Option<&Batch>, zone: &Zone) -> Vec<String> {
    columns.iter().enumerate().map(|(i, name)| heading(name, batch.and_then(|b| b.columns.get(i)), zone)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use backsight_engine::value::column::{Column, Positions};
    use backsight_engine::value::{Kind, Value};

    /// A batch of columns given cell by cell.
    pub(crate) fn batch(columns: Vec<Vec<Value>>) -> Batch {
        let rows = columns.first().map_or(0, Vec::len);
        let columns = columns.into_iter().map(|cells| cells.into_iter().collect::<Column>()).collect();
        Batch { columns, rows, positions: Positions::sequence(0, rows) }
    }

    pub(crate) fn text(s: &str) -> Value {
        Value::string(s)
    }

    pub(crate) fn of_kind(kind: Kind, s: &str) -> Value {
        Value::Text(kind, s.as_bytes().into())
    }

    /// What a format makes of some batches.
    pub(crate) fn written(format: Format, look: Look, columns: &[&str], batches: &[Batch]) -> String {
        let columns: Vec<String> = columns.iter().map(|c| c.to_string()).collect();
        let mut out = Vec::new();
        let mut writer = writer(format, look, &columns, &mut out);
        batches.iter().for_each(|b| writer.write(b).expect("memory"));
        writer.finish().expect("memory");
        drop(writer);
        String::from_utf8(out).expect("formats write UTF-8 here")
    }

    #[test]
    fn extensions_name_formats() {
        for (name, format) in [
            ("out.csv", Some(Format::Csv)),
            ("a/b.JSON", Some(Format::Json)),
            ("x.jsonl", Some(Format::Ndjson)),
            ("x.parquet", Some(Format::Parquet)),
            ("x", None),
            ("x.pdf", None),
        ] {
            assert_eq!(Format::of_file(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn hostile_text_is_inert_for_people() {
        let hostile = "\x1b[31m\u{202e}x\u{200b}\r\n\u{9b}2J\x07";
        let rows = || [batch(vec![vec![text(hostile)]])];
        for format in [Format::Table, Format::Vertical, Format::Markdown, Format::Html, Format::Json, Format::Ndjson] {
            let out = written(format, Look::default(), &["na\x1bme"], &rows());
            let bad = out.chars().find(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202e}' | '\u{200b}'));
            assert_eq!(bad, None, "{format:?}: {out:?}");
        }
        for format in [Format::Csv, Format::Tsv] {
            let terminal = Look { width: Some(80), ..Look::default() };
            let out = written(format, terminal, &["na\x1bme"], &rows());
            assert!(!out.chars().any(|c| c.is_control() && c != '\n' || c == '\u{200b}'), "{format:?}: {out:?}");
            let file = written(format, Look::default(), &["name"], &rows());
            assert!(!file.contains(['\x1b', '\u{202e}', '\u{9b}', '\x07']), "{format:?}: {file:?}");
        }
    }
}
