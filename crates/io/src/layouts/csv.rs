//! Tables with a header: values with commas between them, or semicolons or bars, and what else is like them.
//!
//! A table with columns such as `@message` is what CloudWatch Logs gave as an answer: its rows are events again.

use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::Head;
use crate::json;
use crate::text::{self, Divide, Layout, Names, Time, Variant};
use std::collections::HashSet;

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "csv",
    about: "values with commas (or semicolons, or bars) between them and a header",
    extensions: &["csv"],
    sources: &[],
    time: "timestamp, time, eventTime, requestTimeEpoch, requestTime or ts, the first that is there, in any spelling (`Event time`)",
    times: &[],
    fields: Fields::listed(&[]),
    example: "time,ip,status\\n2024-05-01T10:00:00Z,203.0.113.9,200",
    sniff: |head| is_table(head, divider(head)),
    reader: Reader::Records(|pass, head| open(pass, head, divider(head))),
};

/// What stands between the cells: the first of some characters that divides the header.
fn divider(head: &Head<'_>) -> u8 {
    let divides = |by: &u8| {
        let end = text::table_record(head.bytes, *by).unwrap_or(head.bytes.len());
        cells(ended(&head.bytes[..end]), *by).len() > 1
    };
    [b',', b';', b'|'].into_iter().find(divides).unwrap_or(b',')
}

/// Rows of a table.
const fn row(by: u8) -> Variant {
    Variant {
        fits: |_| true,
        divide: Divide::Table(by),
        tokens: Names::Header,
        parts: &[],
        least: 1,
        time: Time::Named(crate::system::TIMES),
    }
}

/// Opens a table.
pub(crate) fn open<'a>(pass: &Pass<'a>, head: &Head<'_>, by: u8) -> Box<dyn Records + 'a> {
    let end = text::table_record(head.bytes, by).unwrap_or(head.bytes.len());
    let line = ended(&head.bytes[..end]);
    let header = text::First { names: cells(line, by), line };
    if header.names.iter().any(|name| json::is_system(name.as_bytes())) {
        return json::table(pass, by, header);
    }
    text::records(pass, Layout::new(&[row(by)]), None, header)
}

/// A row without its end. Tabs there are cells.
fn ended(row: &[u8]) -> &[u8] {
    let len = row.iter().rposition(|b| !matches!(b, b' ' | b'\r' | b'\n')).map_or(0, |last| last + 1);
    &row[..len]
}

/// The cells of a row.
pub(crate) fn cells(row: &[u8], by: u8) -> Vec<String> {
    let mut spans = Vec::new();
    Divide::Table(by).tokens(row, usize::MAX, &mut spans);
    spans.iter().map(|s| String::from_utf8_lossy(&s.text(row)).into_owned()).collect()
}

/// True if the file starts with a row of names, and rows of as many cells follow.
pub(crate) fn is_table(head: &Head<'_>, by: u8) -> bool {
    let mut rows = Vec::new();
    let mut rest = head.bytes;
    while rows.len() < 8
        && let Some(len) = text::table_record(rest, by)
    {
        rows.push(ended(&rest[..len]));
        rest = &rest[len..];
    }
    if rows.len() < 2 && !rest.is_empty() {
        rows.push(ended(rest));
    }
    let Some((header, rows)) = rows.split_first() else { return false };
    let names = cells(header, by);
    let is_name = |name: &String| {
        let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@');
        starts && name.len() <= 100 && name.split(' ').count() <= 4 && !name.contains(['{', '}', '=', '"', '[', '<'])
    };
    let unique: HashSet<&String> = names.iter().collect();
    // A word that stands in the same place of the next row is a value: `INFO|app|started`.
    let has_value = rows.iter().filter(|row| *row != header).any(|row| {
        let cells = cells(row, by);
        cells.iter().zip(&names).any(|(cell, name)| cell == name)
    });
    let even = rows.iter().filter(|row| row.is_empty() || cells(row, by).len() == names.len()).count();
    // A header alone, or prose with commas, is no table.
    names.len() >= 2
        && !has_value
        && unique.len() == names.len()
        && names.iter().all(is_name)
        && !rows.is_empty()
        && if names.len() >= 3 {
            // Texts with commas and without quotes are in many tables.
            even * 2 >= rows.len()
        } else {
            even == rows.len() && names.iter().all(|n| !n.contains(' '))
        }
}
