//! A pipe table for reports. Values are text: no markup, link, image or entity in them takes effect.

use super::{Look, Writer, headings, shown};
use backsight_engine::value::column::Batch;
use std::io::{self, Write};

/// Writes a header, a rule, and a line per row.
pub(super) struct Markdown<'a> {
    out: &'a mut dyn Write,
    look: Look,
    columns: Vec<String>,
    begun: bool,
}

impl<'a> Markdown<'a> {
    /// A table with these columns.
    pub(super) fn new(look: Look, columns: &[String], out: &'a mut dyn Write) -> Markdown<'a> {
        Markdown { out, look, columns: columns.to_vec(), begun: false }
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        self.out.write_all(b"|")?;
        for cell in cells {
            write!(self.out, " {cell} |")?;
        }
        self.out.write_all(b"\n")
    }

    fn header(&mut self, batch: Option<&Batch>) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let names = headings(&self.columns, batch, &self.look.zone);
        self.line(names.iter().map(|name| literal(name)))?;
        self.line(names.iter().map(|_| "---".to_string()))
    }
}

impl Writer for Markdown<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.header(Some(batch))?;
        let zone = self.look.zone.clone();
        (0..batch.rows).try_for_each(|i| self.line(batch.columns.iter().map(|c| literal(&shown(c.get(i), &zone)))))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.header(None)
    }
}

/// Text that every Markdown reader shows as it stands. The colon of `://` and the dot of `www.` are escaped because
/// GitHub's dialect turns bare addresses into links.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let special = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '!' | '$')
            || rest.starts_with("://")
            || c == '.' && out.len() >= 3 && out.as_bytes()[out.len() - 3..].eq_ignore_ascii_case(b"www");
        if special {
            out.push('\\');
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::output::tests::{batch, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::Value;

    #[test]
    fn values_are_literal() {
        for (value, cell) in [
            ("198.51.100.7", "198.51.100.7"),
            ("a|b", "a\\|b"),
            ("`rm`", "\\`rm\\`"),
            ("![x](http://e.x/i.png)", "\\!\\[x\\](http\\://e.x/i.png)"),
            ("<script>", "\\<script\\>"),
            ("WWW.example.com &lt;", "WWW\\.example.com \\&lt;"),
            ("a\nb", "a\\\\nb"),
            ("é.x", "é.x"),
        ] {
            let rows = batch(vec![vec![text(value)], vec![Value::Int(1)]]);
            let out = written(Format::Markdown, Look::default(), &["v", "count(*)"], &[rows]);
            assert_eq!(out, format!("| v | count(\\*) |\n| --- | --- |\n| {cell} | 1 |\n"));
        }
    }
}
