//! An answer as cells, whatever it came from.

/// Columns and rows of canonical texts; null is the empty cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Answer {
    /// Aligned columns two spaces apart, as `.test` files show them.
    pub fn table(&self) -> String {
        let lines: Vec<Vec<String>> = std::iter::once(&self.columns)
            .chain(&self.rows)
            .map(|line| line.iter().map(|c| shown(c)).collect())
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = String::new();
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        out
    }

    /// The rows in an order of their own, for answers whose order is free.
    pub fn sorted(mut self) -> Answer {
        self.rows.sort();
        self
    }
}

fn shown(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}
