//! CSV and TSV, quoted after RFC 4180, lines ended by a line feed.
//!
//! Unless asked for raw, the file is made for people: a cell that a spreadsheet would run as a formula gets a `'` in
//! front, and what drives a terminal or reorders text is shown as an escape. Raw is byte for byte.

use super::Look;
use super::lines::Form;
use crate::escape;
use crate::zone::Zone;
use backsight_engine::value::Kind;
use backsight_engine::value::ValueRef;
use backsight_engine::value::column::Batch;
use backsight_engine::value::number;
use std::borrow::Cow;
use std::io;

/// A header line, then a line per row; null is the empty cell.
pub(super) struct Csv {
    delimiter: u8,
    header: Vec<String>,
    raw: bool,
    to_terminal: bool,
    zone: Zone,
}

/// Where the fields go.
type Fields<'o> = csv::Writer<&'o mut Vec<u8>>;

impl Csv {
    /// Cells separated by `delimiter`.
    pub(super) fn new(delimiter: u8, look: &Look, columns: &[String]) -> Csv {
        let (header, to_terminal) = (columns.to_vec(), look.width.is_some());
        Csv { delimiter, header, raw: look.csv_raw, to_terminal, zone: look.zone.clone() }
    }

    fn fields<'o>(&self, out: &'o mut Vec<u8>) -> Fields<'o> {
        csv::WriterBuilder::new().delimiter(self.delimiter).from_writer(out)
    }

    fn for_terminal<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        if self.to_terminal { Cow::Owned(escape::visible(&text).into_owned()) } else { text }
    }

    fn cell(&self, cell: ValueRef<'_>, out: &mut Fields<'_>) -> io::Result<()> {
        if let Some(millis) = cell.timestamp().filter(|_| !self.zone.is_utc()) {
            return field(out, self.zone.text(millis).as_bytes());
        }
        let text = cell.text().unwrap_or_default();
        if !self.to_terminal && (self.raw || is_harmless(&text)) {
            return field(out, &text);
        }
        if matches!(cell.kind(), Some(Kind::Number)) || number::numeric(&text).is_some() {
            return field(out, &text);
        }
        let text = String::from_utf8_lossy(&text);
        let text = if self.raw { text } else { guarded(text, true) };
        field(out, self.for_terminal(text).as_bytes())
    }
}

fn field(out: &mut Fields<'_>, bytes: &[u8]) -> io::Result<()> {
    out.write_field(bytes).map_err(io_error)
}

fn end_of_line(out: &mut Fields<'_>) -> io::Result<()> {
    out.write_record(None::<&[u8]>).map_err(io_error)
}

impl Form for Csv {
    fn rows(&self, batch: &Batch, out: &mut Vec<u8>) -> io::Result<()> {
        let mut out = self.fields(out);
        for row in 0..batch.rows {
            for column in &batch.columns {
                self.cell(column.get(row), &mut out)?;
            }
            end_of_line(&mut out)?;
        }
        out.flush()
    }

    fn opening(&self) -> io::Result<Vec<u8>> {
        let mut header = Vec::new();
        if !self.header.is_empty() {
            let mut out = self.fields(&mut header);
            for name in &self.header {
                let raw = self.raw || is_plain_name(name);
                let cell = if raw { Cow::Borrowed(name.as_str()) } else { guarded(Cow::Borrowed(name), false) };
                field(&mut out, self.for_terminal(cell).as_bytes())?;
            }
            end_of_line(&mut out)?;
            out.flush()?;
        }
        Ok(header)
    }

    fn empty(&self) -> io::Result<Vec<u8>> {
        self.opening()
    }
}

/// The system's own error, whose kind says whether the reader went away.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Text that is neither a formula nor anything but plain ASCII, which [`guarded`] leaves as it is.
fn is_harmless(text: &[u8]) -> bool {
    !matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@')) && text.iter().all(|b| matches!(b, b' '..=b'~'))
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
