//! Charts of answers that are time series: what is drawn, and how on a terminal.

pub(crate) mod bars;
pub(crate) mod page;
pub(crate) mod series;
pub(crate) mod svg;
pub(crate) mod terminal;

use crate::output::Look;
use series::Chart;
use terminal::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// When and how to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// Where the last `stats` has a `bin()`: under a table on a terminal, above it on a page
    #[default]
    Auto,
    /// Columns
    Bar,
    /// Lines
    Line,
    /// No chart
    None,
}

/// A chart as the person wants it, for a page.
pub(crate) fn on_page(chart: &Chart, look: &Look) -> String {
    let style = match look.chart {
        Choice::Bar => Some(Style::Bar),
        Choice::Line => Some(Style::Line),
        Choice::Auto | Choice::None => None,
    };
    page::figure(chart, style, &look.zone)
}

/// A chart as the person wants it, an empty line before it.
pub(crate) fn drawn(chart: &Chart, look: &Look) -> String {
    let width = look.width.unwrap_or(80);
    let style = match look.chart {
        Choice::Bar => Style::Bar,
        Choice::Line => Style::Line,
        Choice::Auto | Choice::None => Style::fitting(chart, width),
    };
    format!("\n{}", terminal::draw(chart, style, width, &look.zone, look.color))
}

/// The start of a text that fits into `room` columns; `…` where something is missing.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_string();
    }
    let mut out = String::new();
    for c in text.chars() {
        if out.width() + c.width().unwrap_or(0) >= room {
            break;
        }
        out.push(c);
    }
    out + "…"
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn cut_texts_end_in_an_ellipsis() {
        assert_eq!(cut("日本語日本語", 6), "日本…");
        assert_eq!(cut("short", 6), "short");
    }
}
