//! Charts as SVG text that stands in a page. Colours are classes, so that the page's style decides them for light, dark
//! and paper; every mark has a title, so that nothing is said by colour alone.

use std::fmt::Write;

/// A column of a time series: its label, and its parts from the bottom up as class and size.
pub(crate) struct Stack<'a> {
    /// What it stands for.
    pub(crate) label: &'a str,
    /// Class, which is its name too, and size of each part.
    pub(crate) parts: Vec<(&'static str, u64)>,
}

/// A bar with its name.
pub(crate) struct Bar {
    /// What it stands for.
    pub(crate) label: String,
    /// Its length.
    pub(crate) value: u64,
    /// Its class.
    pub(crate) class: &'static str,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 200.0;
/// Room for the axes.
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 22.0;

/// Columns side by side, each of stacked parts.
pub(crate) fn columns(about: &str, stacks: &[Stack<'_>]) -> String {
    let total = |s: &Stack<'_>| s.parts.iter().map(|(_, n)| n).sum::<u64>();
    let most = stacks.iter().map(total).max().unwrap_or(0).max(1);
    let top = nice(most);
    let mut out = open(about, WIDTH, HEIGHT);
    let floor = HEIGHT - BOTTOM;
    let scale = (floor - 10.0) / top as f64;
    for mark in [0, top / 2, top] {
        let y = floor - mark as f64 * scale;
        let _ = write!(out, r#"<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ =
            write!(out, r#"<text class="axis" x="{}" y="{:.1}" text-anchor="end">{mark}</text>"#, LEFT - 6.0, y + 4.0);
    }
    let step = (WIDTH - LEFT) / stacks.len().max(1) as f64;
    for (i, stack) in stacks.iter().enumerate() {
        let x = LEFT + i as f64 * step;
        let mut y = floor;
        for (class, n) in stack.parts.iter().filter(|(_, n)| *n > 0) {
            let height = *n as f64 * scale;
            y -= height;
            let _ = write!(
                out,
                r#"<rect class="{class}" x="{:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}"><title>{}: {n} {class}</title></rect>"#,
                x + step * 0.08,
                (step * 0.84).max(1.0),
                escaped(stack.label),
            );
        }
    }
    // The first, the middle and the last say enough.
    let places = [
        (0, "start", LEFT),
        (stacks.len() / 2, "middle", LEFT + (WIDTH - LEFT) / 2.0),
        (stacks.len().wrapping_sub(1), "end", WIDTH),
    ];
    for (i, anchor, x) in places {
        if let Some(stack) = stacks.get(i) {
            let label = escaped(stack.label);
            let _ = write!(
                out,
                r#"<text class="axis" x="{x:.1}" y="{}" text-anchor="{anchor}">{label}</text>"#,
                HEIGHT - 4.0
            );
        }
        if stacks.len() < 3 {
            break;
        }
    }
    out + "</svg>"
}

/// Bars below each other, names in front.
pub(crate) fn bars(about: &str, all: &[Bar]) -> String {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 300.0;
    let most = all.iter().map(|b| b.value).max().unwrap_or(0).max(1);
    let mut out = open(about, WIDTH, ROW * all.len().max(1) as f64);
    for (i, bar) in all.iter().enumerate() {
        let y = i as f64 * ROW;
        let width = (bar.value as f64 / most as f64 * (WIDTH - NAMES - 80.0)).max(2.0);
        let label = escaped(&shortened(&bar.label, 38));
        let _ = write!(
            out,
            r#"<g><title>{}: {}</title><text class="name" x="{}" y="{:.1}" text-anchor="end">{label}</text><rect class="{}" x="{NAMES}" y="{:.1}" width="{width:.1}" height="{}"/><text class="axis" x="{:.1}" y="{:.1}">{}</text></g>"#,
            escaped(&bar.label),
            bar.value,
            NAMES - 8.0,
            y + 16.0,
            bar.class,
            y + 4.0,
            ROW - 8.0,
            NAMES + width + 6.0,
            y + 16.0,
            bar.value,
        );
    }
    out + "</svg>"
}

pub(super) fn open(about: &str, width: f64, height: f64) -> String {
    format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#, escaped(about))
}

/// The next number of one digit and zeros.
fn nice(n: u64) -> u64 {
    let mut unit = 1u64;
    while n > unit.saturating_mul(10) {
        unit = unit.saturating_mul(10);
    }
    (n.div_ceil(unit) * unit).next_multiple_of(2)
}

fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() {
        n if n <= most => text.to_owned(),
        n => std::iter::once('…').chain(text.chars().skip(n - most + 1)).collect(),
    }
}

/// Text of a document.
pub(super) fn escaped(text: &str) -> String {
    let shown = crate::escape::visible(text);
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_nothing_but_text() {
        let bar = Bar { label: "</svg><script>\u{1b}".into(), value: 3, class: "high" };
        let chart = bars("a \"chart\"", &[bar]);
        assert!(!chart.contains("<script") && !chart.contains('\u{1b}') && chart.contains("&lt;script&gt;"), "{chart}");
        assert!(columns("", &[]).ends_with("</svg>"));
    }

    #[test]
    fn nice_numbers() {
        for (n, expected) in [(1, 2), (7, 8), (10, 10), (11, 20), (95, 100), (101, 200)] {
            assert_eq!(nice(n), expected, "{n}");
        }
    }
}
