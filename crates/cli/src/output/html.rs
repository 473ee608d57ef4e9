//! One HTML page that needs nothing beside it: no script, no address, nothing to fetch.

use super::{Look, Writer, headings, shown};
use crate::chart::series::Points;
use crate::chart::{self, Choice, page};
use crate::escape;
use backsight_engine::value::Kind;
use backsight_engine::value::ValueRef;
use backsight_engine::value::column::Batch;
use std::borrow::Cow;
use std::io::{self, Write};

/// What the page looks like. A policy beside it forbids everything but this.
const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8885;--dim:#8889}\
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:110rem;padding:0 1rem}\
pre{background:#8881;border-radius:6px;overflow-x:auto;padding:.8rem 1rem}\
div.answer{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th{background:Canvas;border-bottom:2px solid var(--line);position:sticky;text-align:left;top:0}\
th,td{padding:.25rem .8rem .25rem 0;vertical-align:top}\
td{border-bottom:1px solid var(--line);max-width:60rem;overflow-wrap:anywhere;white-space:pre-wrap}\
td.n{text-align:right;white-space:nowrap}\
footer{color:var(--dim);margin-top:1rem}\
body{display:flex;flex-direction:column}body>*{order:2}body>pre{order:0}body>figure{order:1}";

/// Writes a page with a table.
pub(super) struct Html<'a> {
    out: &'a mut dyn Write,
    look: Look,
    columns: Vec<String>,
    begun: bool,
    rows: u64,
    points: Option<Points>,
}

impl<'a> Html<'a> {
    /// A page with these columns.
    pub(super) fn new(look: Look, columns: &[String], out: &'a mut dyn Write) -> Html<'a> {
        let points = (look.chart != Choice::None).then(|| Points::of(&look.title, columns)).flatten();
        Html { out, look, columns: columns.to_vec(), begun: false, rows: 0, points }
    }

    fn begin(&mut self, batch: Option<&Batch>) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let title = escape::lines(&self.look.title);
        let line = title.lines().find(|l| !l.trim().is_empty()).unwrap_or("Backsight");
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width\">\n<meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{}</title>\n<style>{STYLE}{}</style>\n\
             </head>\n<body>\n",
            text(line),
            if self.points.is_some() { page::STYLE } else { "" }
        )?;
        if !title.trim().is_empty() {
            writeln!(self.out, "<pre>{}</pre>", text(title.trim_end()))?;
        }
        self.out.write_all(b"<div class=\"answer\"><table>\n<thead><tr>")?;
        for name in headings(&self.columns, batch, &self.look.zone) {
            write!(self.out, "<th>{}</th>", text(&name))?;
        }
        self.out.write_all(b"</tr></thead>\n<tbody>\n")
    }

    fn cell(&mut self, cell: ValueRef<'_>) -> io::Result<()> {
        let class = if cell.kind() == Some(Kind::Number) { " class=\"n\"" } else { "" };
        write!(self.out, "<td{class}>{}</td>", text(&shown(cell, &self.look.zone)))
    }
}

impl Writer for Html<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.begin(Some(batch))?;
        for row in 0..batch.rows {
            self.out.write_all(b"<tr>")?;
            batch.columns.iter().try_for_each(|column| self.cell(column.get(row)))?;
            self.out.write_all(b"</tr>\n")?;
        }
        self.rows += batch.rows as u64;
        if let Some(points) = &mut self.points {
            points.push(batch);
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin(None)?;
        let rows = crate::summary::counted(self.rows, "row");
        let zone = text(&self.look.zone.name()).into_owned();
        self.out.write_all(b"</tbody>\n</table></div>\n")?;
        // The chart is known last and shown first.
        if let Some(chart) = self.points.take().and_then(Points::chart) {
            self.out.write_all(chart::on_page(&chart, &self.look).as_bytes())?;
        }
        write!(self.out, "<footer>{rows}; times are {zone}</footer>\n</body>\n</html>\n")
    }
}

/// Text that a browser shows as it stands, within an element or an attribute.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use crate::chart::Choice;
    use crate::output::tests::{batch, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::Value;

    #[test]
    fn values_and_titles_are_text() {
        let hostile = "</td><script>alert('1')</script>&lt;\" onload=x";
        let rows = batch(vec![vec![text(hostile), Value::Null], vec![Value::Int(-5), Value::Time(0)]]);
        let look = Look { title: format!("fields a # {hostile}\n| limit 1"), ..Look::default() };
        let out = written(Format::Html, look, &["<b>", "n"], &[rows]);
        assert!(!out.contains("<script") && !out.contains("<b>") && out.contains("&lt;script&gt;"), "{out}");
        assert!(out.contains("<td class=\"n\">-5</td>") && out.contains("<td>1970-01-01 00:00:00.000</td>"), "{out}");
        assert!(out.contains("2 rows; times are UTC"), "{out}");
        for fetched in ["src=", "href=", "url(", "@import", "http:"] {
            assert!(!out.contains(fetched), "{fetched}");
        }
    }

    #[test]
    fn a_time_series_is_drawn_above_its_table() {
        let rows = || batch(vec![vec![Value::Time(0), Value::Time(3_600_000)], vec![Value::Int(5), Value::Int(7)]]);
        let look = |chart| Look { title: "stats count(*) as n by bin(1h)".into(), chart, ..Look::default() };
        let drawn = |chart| written(Format::Html, look(chart), &["bin(1h)", "n"], &[rows()]);
        let out = drawn(Choice::Auto);
        assert!(out.contains("<figure>") && out.contains("<rect class=\"s0\""), "{out}");
        assert!(!drawn(Choice::None).contains("<svg"));
    }

    #[test]
    fn no_rows_still_is_a_page() {
        let out = written(Format::Html, Look::default(), &["a"], &[]);
        assert!(out.contains("<th>a</th>") && out.ends_with("</html>\n"), "{out}");
    }
}
