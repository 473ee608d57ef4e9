//! One line per field, a heading per row: for wide rows and long messages.

use super::{Look, Writer, headings, shown};
use backsight_engine::value::column::Batch;
use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns a value must have beside the names; a terminal with less gets its lines unbroken.
const ROOM: usize = 20;

/// Writes each row as a block of `name  value` lines; on a terminal, long values go on below themselves.
pub(super) struct Vertical<'a> {
    out: &'a mut dyn Write,
    look: Look,
    columns: Vec<String>,
    /// Escaped, padded to one width.
    names: Vec<String>,
    rows: u64,
}

impl<'a> Vertical<'a> {
    /// Blocks with the columns in order.
    pub(super) fn new(look: Look, columns: &[String], out: &'a mut dyn Write) -> Vertical<'a> {
        Vertical { out, look, columns: columns.to_vec(), names: Vec::new(), rows: 0 }
    }

    /// Blocks under headings that are fit to show, counted on from `rows` already written.
    pub(super) fn under(look: Look, headings: &[String], rows: u64, out: &'a mut dyn Write) -> Vertical<'a> {
        Vertical { out, look, columns: Vec::new(), names: padded(headings), rows }
    }

    /// Writes one row of cells that are fit to show.
    pub(super) fn row(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        self.rows += 1;
        writeln!(self.out, "row {}", self.rows)?;
        let indent = self.names.first().map_or(0, |name| name.width()) + 4;
        let room = self.look.width.map(|width| usize::from(width).saturating_sub(indent)).filter(|room| *room >= ROOM);
        for (name, cell) in self.names.iter().zip(cells) {
            let lines = room.map_or_else(|| vec![cell.as_str()], |room| wrap(&cell, room));
            for (i, line) in lines.iter().enumerate() {
                let line = if i == 0 { format!("  {name}  {line}") } else { format!("{:indent$}{line}", "") };
                writeln!(self.out, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}

/// Names filled up to the width of the widest.
fn padded(names: &[String]) -> Vec<String> {
    let widest = names.iter().map(|n| n.width()).max().unwrap_or(0);
    names.iter().map(|n| format!("{n}{:1$}", "", widest - n.width())).collect()
}

/// The lines of a text, none wider than `room`: broken at the last blank that fits, or where it must be.
fn wrap(text: &str, room: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut start, mut width, mut blank) = (0, 0, None);
    for (at, c) in text.char_indices() {
        let wide = c.width().unwrap_or(0);
        if width + wide > room && at > start {
            let end = blank.filter(|blank| *blank > start).unwrap_or(at);
            lines.push(text[start..end].trim_end());
            start = end;
            width = text[start..at].width();
            blank = None;
        }
        width += wide;
        if c == ' ' {
            blank = Some(at + 1);
        }
    }
    lines.push(&text[start..]);
    lines
}

impl Writer for Vertical<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if self.names.is_empty() {
            self.names = padded(&headings(&self.columns, Some(batch), &self.look.zone));
        }
        let zone = self.look.zone.clone();
        (0..batch.rows).try_for_each(|i| self.row(batch.columns.iter().map(|c| shown(c.get(i), &zone))))
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::wrap;
    use crate::output::tests::{batch, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::Value;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn blocks() {
        let rows = batch(vec![vec![text("10.0.0.1"), Value::Null], vec![Value::Int(3), Value::Int(4)]]);
        let out = written(Format::Vertical, Look::default(), &["ip", "failures"], &[rows]);
        assert_eq!(out, "row 1\n  ip        10.0.0.1\n  failures  3\nrow 2\n  ip\n  failures  4\n");
    }

    #[test]
    fn long_values_go_on_below_themselves() {
        let look = Look { width: Some(30), ..Look::default() };
        let rows =
            batch(vec![vec![text("one two three four five six seven")], vec![text("日本語日本語日本語日本語日")]]);
        let out = written(Format::Vertical, look, &["m", "k"], &[rows]);
        assert_eq!(
            out,
            "row 1\n  m  one two three four five\n     six seven\n  k  日本語日本語日本語日本語\n     日\n"
        );
    }

    #[test]
    fn lines_keep_all_text_and_fit() {
        for text in
            ["", " ", "aaaaaaaaaaaaaaaaaaaaaaaaaaa", "a b c d e f g h i j k l m", "日本 🙂 e\u{301}e\u{301} naïve text"]
        {
            for room in 2..20 {
                let lines = wrap(text, room);
                assert!(lines.iter().all(|l| l.width() <= room), "{text:?} {room} {lines:?}");
                let without = |s: &str| s.replace(' ', "");
                assert_eq!(without(&lines.concat()), without(text), "{room}");
            }
        }
    }
}
