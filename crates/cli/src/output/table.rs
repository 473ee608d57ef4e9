//! The table people read: fitted to the terminal, numbers to the right.
//!
//! The layout is taken from the first rows and kept, so that an answer of any length streams in bounded memory. Where
//! the terminal is too narrow for the columns, or cells would wrap into towers, rows are written as blocks instead.

use super::vertical::Vertical;
use super::{Look, Writer, headings, shown};
use backsight_engine::value::Kind;
use backsight_engine::value::column::{Batch, Column};
use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table as Grid,
    TableStyle, Width,
};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Rows that are laid out together; the first so many decide the widths.
const CHUNK: usize = 2_000;
/// A column cut narrower than this is not readable: times and addresses fall apart.
const MIN_WIDTH: u16 = 15;
/// Spaces and line between two columns.
const GAP: u16 = 3;
/// Rows that are looked at to choose between columns and blocks.
const SAMPLE: usize = 100;

const STYLE: TableStyle = NOTHING
    .header_separator(LineStyle::none().fill('─').junction('┼'))
    .header_lines(ContentLineStyle::none().junction('│'))
    .content_lines(ContentLineStyle::none().junction('│'));

/// Collects rows and prints them chunk by chunk.
pub(super) struct Table<'a> {
    look: Look,
    names: Vec<String>,
    /// The headings.
    columns: Vec<String>,
    zone_is_said: bool,
    rows: Vec<Vec<String>>,
    alignment: Vec<Alignment>,
    layout: Layout,
    out: &'a mut dyn Write,
    /// Rows written as blocks so far.
    blocks: u64,
}

/// Where the cells of a column stand; undecided while all of them are null.
#[derive(Clone, Copy, PartialEq)]
enum Alignment {
    Undecided,
    Left,
    Right,
}

enum Layout {
    /// No chunk has been laid out.
    Open,
    /// Widths of the columns; the header is printed.
    Columns(Vec<u16>),
    /// Too narrow for columns.
    Blocks,
}

impl<'a> Table<'a> {
    /// A table with these columns.
    pub(super) fn new(look: Look, columns: &[String], out: &'a mut dyn Write) -> Table<'a> {
        Table {
            columns: headings(columns, None, &look.zone),
            look,
            names: columns.to_vec(),
            zone_is_said: false,
            rows: Vec::new(),
            alignment: vec![Alignment::Undecided; columns.len()],
            layout: Layout::Open,
            out,
            blocks: 0,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let first = matches!(self.layout, Layout::Open);
        if first {
            self.layout = self.lay_out(&rows);
        }
        match &self.layout {
            Layout::Columns(widths) => {
                let grid = self.grid(&rows, first, Some(widths));
                grid.lines().try_for_each(|line| writeln!(self.out, "{}", line.trim_end()))
            }
            Layout::Blocks | Layout::Open => self.write_blocks(rows),
        }
    }

    /// Widths that fit the terminal; as wide as the content where there is none.
    fn lay_out(&self, rows: &[Vec<String>]) -> Layout {
        let natural = self.grid(rows, true, None).column_max_content_widths();
        let Some(terminal) = self.look.width else { return Layout::Columns(natural) };
        match fit(&natural, terminal) {
            Some(widths) if !towers(rows, &widths, terminal) => Layout::Columns(widths),
            _ => Layout::Blocks,
        }
    }

    fn grid(&self, rows: &[Vec<String>], header: bool, widths: Option<&[u16]>) -> Grid {
        let mut grid = Grid::new();
        grid.load_style(STYLE).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
        if self.look.color {
            grid.enforce_styling();
        }
        if header {
            grid.set_header(self.columns.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        }
        for row in rows {
            grid.add_row(row);
        }
        let last = self.columns.len() - 1;
        for (i, column) in grid.column_iter_mut().enumerate() {
            let padding = (u16::from(i > 0), u16::from(i < last));
            column.set_padding(padding);
            if self.alignment[i] == Alignment::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if let Some(widths) = widths {
                let width = Width::Fixed(widths[i].saturating_add(padding.0 + padding.1));
                column.set_constraint(ColumnConstraint::Absolute(width));
            }
        }
        grid
    }

    fn write_blocks(&mut self, rows: Vec<Vec<String>>) -> io::Result<()> {
        let mut blocks = Vertical::under(self.look.clone(), &self.columns, self.blocks, self.out);
        self.blocks += rows.len() as u64;
        rows.into_iter().try_for_each(|row| blocks.row(row.into_iter()))
    }

    fn align(&mut self, batch: &Batch) {
        if !matches!(self.layout, Layout::Open) {
            return;
        }
        if batch.rows > 0 && !std::mem::replace(&mut self.zone_is_said, true) {
            self.columns = headings(&self.names, Some(batch), &self.look.zone);
        }
        for (alignment, column) in self.alignment.iter_mut().zip(&batch.columns) {
            *alignment = aligned(*alignment, column);
        }
    }
}

fn aligned(so_far: Alignment, column: &Column) -> Alignment {
    if so_far == Alignment::Left {
        return Alignment::Left;
    }
    let mut kinds = column.iter().filter_map(|cell| cell.kind());
    match kinds.next() {
        None => so_far,
        Some(Kind::Number) if kinds.all(|kind| kind == Kind::Number) => Alignment::Right,
        Some(_) => Alignment::Left,
    }
}

/// Cuts the widest columns down to a common width until all fit; `None` if that width would not be readable.
fn fit(natural: &[u16], terminal: u16) -> Option<Vec<u16>> {
    let gaps = (natural.len() as u16).saturating_sub(1).saturating_mul(GAP);
    let room = u32::from(terminal.checked_sub(gaps)?);
    let total = |cap: u16| natural.iter().map(|w| u32::from((*w).min(cap))).sum::<u32>();
    let widest = natural.iter().copied().max().unwrap_or(0);
    let cap = if total(widest) <= room { widest } else { (MIN_WIDTH..widest).rev().find(|cap| total(*cap) <= room)? };
    Some(natural.iter().map(|w| (*w).min(cap)).collect())
}

/// Whether columns of these widths take much more room than blocks would: cells that wrap into towers.
fn towers(rows: &[Vec<String>], widths: &[u16], terminal: u16) -> bool {
    let lines = |text: &str, room: usize| text.width().div_ceil(room.max(1)).max(1);
    let room = usize::from(terminal).saturating_sub(20);
    let (mut as_columns, mut as_blocks) = (0, 0);
    for row in rows.iter().take(SAMPLE) {
        as_columns += row.iter().zip(widths).map(|(cell, width)| lines(cell, usize::from(*width))).max().unwrap_or(1);
        as_blocks += 1 + row.iter().map(|cell| lines(cell, room)).sum::<usize>();
    }
    as_columns > 2 * as_blocks
}

impl Writer for Table<'_> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.align(batch);
        for i in 0..batch.rows {
            self.rows.push(batch.columns.iter().map(|c| shown(c.get(i), &self.look.zone)).collect());
            if self.rows.len() == CHUNK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if matches!(self.layout, Layout::Open) || !self.rows.is_empty() { self.flush() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::fit;
    use crate::output::tests::{batch, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::Value;
    use unicode_width::UnicodeWidthStr;

    fn at(width: u16) -> Look {
        Look { width: Some(width), ..Look::default() }
    }

    #[test]
    fn numbers_to_the_right() {
        let rows = batch(vec![vec![text("203.0.113.7"), text("x")], vec![Value::Int(3), Value::Int(1200)]]);
        let out = written(Format::Table, Look::default(), &["ip", "n"], &[rows]);
        assert_eq!(out, "ip          │    n\n────────────┼─────\n203.0.113.7 │    3\nx           │ 1200\n");
    }

    #[test]
    fn long_cells_wrap_and_narrow_terminals_get_blocks() {
        let rows = || [batch(vec![vec![text("one two three four five six seven eight")], vec![Value::Int(7)]])];
        let out = written(Format::Table, at(30), &["message", "n"], &rows());
        assert!(out.lines().all(|l| l.chars().count() <= 30), "{out}");
        assert!(out.contains("one two three four five") && out.contains('7'), "{out}");
        let narrow = written(Format::Table, at(9), &["message", "n"], &rows());
        assert!(narrow.starts_with("row 1\n  message  one two"), "{narrow}");
        let tower = "word ".repeat(400);
        let rows = batch(vec![vec![text(&tower)], vec![text(&"x".repeat(40))], vec![text(&"y".repeat(40))]]);
        assert!(written(Format::Table, at(60), &["a", "b", "c"], &[rows]).starts_with("row 1\n"));
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let names = ["日本語", "🙂🙂", "cafe\u{301}", "plain"].map(text).to_vec();
        let rows = batch(vec![names, (1..5).map(Value::Int).collect()]);
        let out = written(Format::Table, at(80), &["name", "n"], &[rows]);
        let first = |line: &str| line.split(['│', '┼']).next().map(UnicodeWidthStr::width);
        assert!(out.lines().count() == 6 && out.lines().all(|line| first(line) == Some(7)), "{out}");
    }

    #[test]
    fn a_row_of_hundreds_of_columns_is_a_block() {
        let names: Vec<String> = (0..300).map(|i| format!("field_{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = batch((0..300).map(|i| vec![Value::Int(i)]).collect());
        let out = written(Format::Table, at(200), &names, &[rows]);
        assert_eq!(out.lines().count(), 301);
        assert!(out.starts_with("row 1\n  field_0    0\n"), "{out}");
    }

    #[test]
    fn columns_of_times_say_their_zone() {
        let rows = || [batch(vec![vec![Value::Time(0)]])];
        let out = written(Format::Table, at(80), &["t"], &rows());
        assert_eq!(out.lines().next(), Some("t (UTC)"), "{out}");
        let zone = crate::zone::Zone::parse("Asia/Tokyo").expect("a zone");
        let out = written(Format::Table, Look { zone, ..at(80) }, &["t"], &rows());
        assert!(out.starts_with("t (Asia/Tokyo)\n") && out.contains("1970-01-01 09:00:00.000+09:00"), "{out}");
    }

    #[test]
    fn no_rows_still_shows_the_columns() {
        assert_eq!(written(Format::Table, at(80), &["a", "bb"], &[]), "a │ bb\n──┼───\n");
    }

    #[test]
    fn long_answers_keep_one_layout() {
        let rows = batch(vec![(0..5000).map(Value::Int).collect(), vec![text("ü日本"); 5000]]);
        let out = written(Format::Table, at(80), &["n", "s"], &[rows]);
        assert_eq!(out.lines().count(), 5002);
        assert!(out.lines().skip(2).all(|l| l.contains("│ ü日本")), "one header");
    }

    #[test]
    fn fitting() {
        assert_eq!(fit(&[5, 10], 80), Some(vec![5, 10]));
        assert_eq!(fit(&[5, 100, 90], 71), Some(vec![5, 30, 30]));
        assert_eq!(fit(&[100, 100], 30), None);
        assert_eq!(fit(&[1; 100], 80), None);
        assert_eq!(fit(&[], 80), Some(vec![]));
    }
}
