//! Bars that lie: one a value, for top lists and histograms.

use super::cut;
use crate::summary::grouped;
use unicode_width::UnicodeWidthStr;

/// Eighths of a character cell, from the left.
const EIGHTHS: [&str; 9] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
/// Columns a label may take of the terminal's, as a part of it.
const LABEL_PART: usize = 2;

/// Draws counts under each other. Labels are fit to show.
pub(crate) fn draw(rows: &[(String, u64)], width: u16) -> String {
    let width = usize::from(width);
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    let numbers = grouped(most).len();
    let widest = rows.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    let label_room = widest.min((width / LABEL_PART).max(8));
    let room = width.saturating_sub(label_room + numbers + 4);
    let mut out = String::new();
    for (label, n) in rows {
        let label = cut(label, label_room);
        let pad = " ".repeat(label_room.saturating_sub(label.width()));
        let eighths = (u128::from(*n) * (room as u128) * 8).div_ceil(u128::from(most)) as usize;
        let bar = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
        let line = format!("{label}{pad}  {:>numbers$}  {bar}", grouped(*n));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_to_scale_and_fit() {
        let rows = [("203.0.113.50".to_string(), 1120), ("日本".to_string(), 560), ("x".to_string(), 1)];
        let out = draw(&rows, 40);
        assert_eq!(
            out,
            "203.0.113.50  1,120  ███████████████████\n日本            560  █████████▌\nx                 1  ▏\n"
        );
        for width in 1..100 {
            assert!(draw(&rows, width).lines().all(|l| l.width() <= usize::from(width).max(30)), "{width}");
        }
        assert_eq!(draw(&[], 80), "");
        assert_eq!(draw(&[("a".into(), 0)], 20), "a  0\n");
        assert!(draw(&[("a".into(), u64::MAX)], 60).contains('█'));
    }
}
