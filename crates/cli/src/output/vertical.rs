//! One line per field, a heading per row: for wide rows and long messages.

use super::{Writer, shown};
use crate::escape;
use backsight_engine::value::column::Batch;
use std::io::{self, Write};

/// Writes each row as a block of `name  value` lines.
pub(super) struct Vertical<'a> {
    out: &'a mut dyn Write,
    /// Escaped, padded to one width.
    names: Vec<String>,
    rows: u64,
}

impl<'a> Vertical<'a> {
    /// Blocks with the columns in order.
    pub(super) fn new(columns: &[String], out: &'a mut dyn Write) -> Vertical<'a> {
        let names: Vec<_> = columns.iter().map(|c| escape::visible(c)).collect();
        let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        Vertical { out, names: names.iter().map(|n| format!("{n:width$}")).collect(), rows: 0 }
    }

    /// Counts on from `rows` already written.
    pub(super) fn number_from(&mut self, rows: u64) {
        self.rows = rows;
    }

    /// Writes one row of cells that are fit to show.
    pub(super) fn row(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        self.rows += 1;
        writeln!(self.out, "row {}", self.rows)?;
        for (name, cell) in self.names.iter().zip(cells) {
            writeln!(self.out, "{}", format!("  {name}  {cell}").trim_end())?;
        }
        Ok(())
    }
}

impl Writer for Vertical<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        (0..batch.rows).try_for_each(|i| self.row(batch.columns.iter().map(|c| shown(c.get(i)))))
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::output::tests::{batch, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::Value;

    #[test]
    fn blocks() {
        let rows = batch(vec![vec![text("10.0.0.1"), Value::Null], vec![Value::Int(3), Value::Int(4)]]);
        let out = written(Format::Vertical, Look::default(), &["ip", "failures"], &[rows]);
        assert_eq!(out, "row 1\n  ip        10.0.0.1\n  failures  3\nrow 2\n  ip\n  failures  4\n");
    }
}
