//! CSV and TSV, quoted after RFC 4180, lines ended by a line feed.
//!
//! Unless asked for raw, the file is made for people: a cell that a spreadsheet would run as a formula gets a `'` in
//! front, and what drives a terminal or reorders text is shown as an escape. Raw is byte for byte.

use super::{Look, Writer};
use crate::escape;
use backsight_engine::value::Kind;
use backsight_engine::value::ValueRef;
use backsight_engine::value::column::Batch;
use backsight_engine::value::number;
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes a header line, then a line per row; null is the empty cell.
pub(super) struct Csv<'a> {
    out: csv::Writer<&'a mut dyn Write>,
    header: Option<Vec<String>>,
    look: Look,
}

impl<'a> Csv<'a> {
    /// Cells separated by `delimiter`.
    pub(super) fn new(delimiter: u8, look: Look, columns: &[String], out: &'a mut dyn Write) -> Csv<'a> {
        let out = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
        Csv { out, header: Some(columns.to_vec()), look }
    }

    /// Writes the header unless it has been.
    fn header(&mut self) -> io::Result<()> {
        let Some(names) = self.header.take().filter(|names| !names.is_empty()) else { return Ok(()) };
        for name in &names {
            let raw = self.look.csv_raw || is_plain_name(name);
            let cell = if raw { Cow::Borrowed(name.as_str()) } else { guarded(Cow::Borrowed(name), false) };
            let cell = self.for_terminal(cell);
            self.field(cell.as_bytes())?;
        }
        self.end_of_line()
    }

    fn field(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_field(bytes).map_err(io_error)
    }

    fn end_of_line(&mut self) -> io::Result<()> {
        self.out.write_record(None::<&[u8]>).map_err(io_error)
    }

    fn for_terminal<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self.look.width {
            None => text,
            Some(_) => Cow::Owned(escape::visible(&text).into_owned()),
        }
    }

    fn cell(&mut self, cell: ValueRef<'_>) -> io::Result<()> {
        if let Some(millis) = cell.timestamp().filter(|_| !self.look.zone.is_utc()) {
            return self.field(self.look.zone.text(millis).as_bytes());
        }
        let text = cell.text().unwrap_or_default();
        let number = matches!(cell.kind(), Some(Kind::Number)) || number::numeric(&text).is_some();
        if number || self.look.csv_raw && self.look.width.is_none() {
            return self.field(&text);
        }
        let text = String::from_utf8_lossy(&text);
        let text = if self.look.csv_raw { text } else { guarded(text, true) };
        let text = self.for_terminal(text);
        self.field(text.as_bytes())
    }
}

impl Writer for Csv<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.header()?;
        for row in 0..batch.rows {
            for column in &batch.columns {
                self.cell(column.get(row))?;
            }
            self.end_of_line()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}

/// The system's own error, whose kind says whether the reader went away.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Text that neither a spreadsheet nor a terminal acts on.
///
/// Formula starts are those of OWASP's "CSV Injection" page with their full-width twins. A lone `-`, which AWS access
/// logs write for an absent value, is no formula.
fn guarded(text: Cow<'_, str>, lone_dash_is_plain: bool) -> Cow<'_, str> {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let plain = lone_dash_is_plain && text == "-";
    let text = match escape::inert(&text) {
        Cow::Owned(escaped) => Cow::Owned(escaped),
        Cow::Borrowed(_) => text,
    };
    if formula && !plain { Cow::Owned(format!("'{text}")) } else { text }
}

/// `@timestamp` and the like: a column name a spreadsheet cannot run.
fn is_plain_name(name: &str) -> bool {
    let rest = name.trim_start_matches('@');
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use crate::output::tests::{batch, of_kind, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::{Kind, Value};

    #[test]
    fn cells() {
        let raw = || Look { csv_raw: true, ..Look::default() };
        for (value, guarded, exact) in [
            (text("plain"), "plain", "plain"),
            (text("a,b \"c\"\nd"), "\"a,b \"\"c\"\"\nd\"", "\"a,b \"\"c\"\"\nd\""),
            (text("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0"),
            (text("+1+1"), "'+1+1", "+1+1"),
            (text("@SUM(A1)"), "'@SUM(A1)", "@SUM(A1)"),
            (text("\tx"), "'\tx", "\tx"),
            (text("＝1"), "'＝1", "＝1"),
            (text("-1+1"), "'-1+1", "-1+1"),
            (text("-5"), "-5", "-5"),
            (text("-"), "-", "-"),
            (of_kind(Kind::Number, "-1e5"), "-1e5", "-1e5"),
            (Value::Float(-0.5), "-0.5", "-0.5"),
            (text("\x1b[31m"), "\\x1b[31m", "\x1b[31m"),
        ] {
            let shown = format!("{value:?}");
            let rows = batch(vec![vec![text("k")], vec![value]]);
            let people = written(Format::Csv, Look::default(), &["k", "v"], std::slice::from_ref(&rows));
            assert_eq!(people, format!("k,v\nk,{guarded}\n"), "{shown}");
            assert_eq!(written(Format::Csv, raw(), &["k", "v"], &[rows]), format!("k,v\nk,{exact}\n"), "{shown}");
        }
    }

    #[test]
    fn headers() {
        let names = ["@timestamp", "count(*)", "=x", "@SUM(A1)"];
        assert_eq!(written(Format::Csv, Look::default(), &names, &[]), "@timestamp,count(*),'=x,'@SUM(A1)\n");
        assert_eq!(written(Format::Tsv, Look::default(), &["a b", "c"], &[]), "a b\tc\n");
    }

    #[test]
    fn times_outside_utc_carry_their_offset() {
        let zone = crate::zone::Zone::parse("+02:00").expect("a zone");
        let rows = batch(vec![vec![Value::Time(0)]]);
        let there = Look { zone, ..Look::default() };
        let out = written(Format::Csv, there, &["t"], std::slice::from_ref(&rows));
        assert_eq!(out, "t\n1970-01-01 02:00:00.000+02:00\n");
        assert_eq!(written(Format::Csv, Look::default(), &["t"], &[rows]), "t\n1970-01-01 00:00:00.000\n");
    }

    #[test]
    fn a_row_of_one_null_is_not_an_empty_line() {
        let rows = batch(vec![vec![Value::Null, text("x")]]);
        assert_eq!(written(Format::Csv, Look::default(), &["v"], &[rows]), "v\n\"\"\nx\n");
    }
}
