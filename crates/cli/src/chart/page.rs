//! The chart of a time series as SVG for a page: columns for one series, lines for several.

use super::cut;
use super::series::{Chart, Series};
use super::svg::{self, escaped};
use super::terminal::{Style, short};
use crate::zone::Zone;
use std::fmt::Write;

/// Series that are drawn, each in its class `s0`, `s1`, …
pub(crate) const MOST_SERIES: usize = 6;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
/// Room for the numbers, and for the times.
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;

/// What the classes of a chart look like, in light and dark.
pub(crate) const STYLE: &str = "\
figure{margin:0 0 1rem}figcaption{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin-bottom:.3rem}\
figcaption i{border-radius:2px;display:inline-block;height:.7em;margin-right:.4em;width:.7em}\
svg{display:block;height:auto;max-width:60rem;width:100%}\
svg text{fill:currentColor;font-size:12px;opacity:.7}svg .grid{stroke:var(--line)}\
svg polyline{fill:none;stroke-width:1.6}\
.s0{--c:#3b78c4}.s1{--c:#c46a1b}.s2{--c:#3c9a5f}.s3{--c:#b0479d}.s4{--c:#8a7a1f}.s5{--c:#c0392b}\
svg rect,svg circle{fill:var(--c)}svg polyline{stroke:var(--c)}figcaption i{background:var(--c)}";

/// The figure of a chart.
pub(crate) fn figure(chart: &Chart, style: Option<Style>, zone: &Zone) -> String {
    let drawn: Vec<&Series> = chart.series.iter().take(MOST_SERIES).collect();
    let (low, high) = drawn.iter().map(|s| s.range()).fold((0f64, 0f64), |(l, h), (a, b)| (l.min(a), h.max(b)));
    let frame = Frame { low, high: if high > low { high } else { low + 1.0 }, slots: slots(chart) };
    let about = format!("{} by {} ({})", names(&drawn), chart.axis, zone.name());
    let mut out = format!("<figure><figcaption>{}</figcaption>", legend(chart, &drawn, zone));
    out += &svg::open(&about, WIDTH, HEIGHT);
    frame.axes(chart, zone, &mut out);
    let columns = drawn.len() == 1 && low >= 0.0 && style != Some(Style::Line);
    for (i, series) in drawn.iter().enumerate() {
        if columns {
            frame.columns(chart, series, zone, &mut out);
        } else {
            frame.line(chart, series, i, zone, &mut out);
        }
    }
    out + "</svg></figure>\n"
}

fn names(drawn: &[&Series]) -> String {
    drawn.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn slots(chart: &Chart) -> usize {
    chart.series.iter().map(|s| s.values.len()).max().unwrap_or(1).max(1)
}

fn legend(chart: &Chart, drawn: &[&Series], zone: &Zone) -> String {
    let mut out = String::new();
    for (i, series) in drawn.iter().enumerate() {
        let _ = write!(out, "<span><i class=\"s{i}\"></i>{}</span>", escaped(&cut(&series.name, 60)));
    }
    let _ = write!(out, "<span>by {} ({})</span>", escaped(&chart.axis), escaped(&zone.name()));
    if chart.series.len() > drawn.len() {
        let _ = write!(out, "<span>{} smaller series are not drawn</span>", chart.series.len() - drawn.len());
    }
    out
}

/// Where values and times stand.
struct Frame {
    low: f64,
    high: f64,
    slots: usize,
}

impl Frame {
    fn x(&self, slot: usize) -> f64 {
        LEFT + slot as f64 * self.step()
    }

    fn step(&self) -> f64 {
        (WIDTH - LEFT) / self.slots as f64
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - BOTTOM - TOP) * (self.high - value) / (self.high - self.low)
    }

    fn axes(&self, chart: &Chart, zone: &Zone, out: &mut String) {
        for value in [self.low, (self.low + self.high) / 2.0, self.high] {
            let y = self.y(value);
            let _ = write!(
                out,
                r#"<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 6.0,
                y + 4.0,
                short(value),
            );
        }
        let last = self.slots - 1;
        let mut places = vec![(0, "start", LEFT), (last, "end", WIDTH)];
        if last > 2 {
            places.push((last / 2, "middle", self.x(last / 2) + self.step() / 2.0));
        }
        for (slot, anchor, x) in places {
            let label = escaped(&time(chart, slot, zone));
            let _ = write!(out, r#"<text x="{x:.1}" y="{}" text-anchor="{anchor}">{label}</text>"#, HEIGHT - 6.0);
        }
    }

    fn columns(&self, chart: &Chart, series: &Series, zone: &Zone, out: &mut String) {
        let wide = if self.step() > 4.0 { 0.84 } else { 1.0 };
        for (slot, value) in series.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let (top, floor) = (self.y(*value), self.y(0.0));
            let _ = write!(
                out,
                r#"<rect class="s0" x="{:.2}" y="{top:.1}" width="{:.2}" height="{:.1}"><title>{}: {value}</title></rect>"#,
                self.x(slot) + self.step() * (1.0 - wide) / 2.0,
                self.step() * wide,
                (floor - top).max(0.5),
                escaped(&time(chart, slot, zone)),
            );
        }
    }

    /// Lines between neighbouring values; nothing where there is none.
    fn line(&self, chart: &Chart, series: &Series, number: usize, zone: &Zone, out: &mut String) {
        let name = escaped(&series.name);
        let mut run: Vec<(f64, f64)> = Vec::new();
        let middle = |slot: usize| self.x(slot) + self.step() / 2.0;
        let flush = |run: &mut Vec<(f64, f64)>, out: &mut String| {
            let points: Vec<String> = run.drain(..).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            if points.len() > 1 {
                let points = points.join(" ");
                let _ =
                    write!(out, r#"<polyline class="s{number}" points="{points}"><title>{name}</title></polyline>"#);
            }
        };
        for (slot, value) in series.values.iter().enumerate() {
            match value {
                Some(value) => {
                    run.push((middle(slot), self.y(*value)));
                    let _ = write!(
                        out,
                        r#"<circle class="s{number}" cx="{:.1}" cy="{:.1}" r="{}"><title>{name}, {}: {value}</title></circle>"#,
                        middle(slot),
                        self.y(*value),
                        if self.step() > 8.0 { 2.4 } else { 1.2 },
                        escaped(&time(chart, slot, zone)),
                    );
                }
                None => flush(&mut run, out),
            }
        }
        flush(&mut run, out);
    }
}

fn time(chart: &Chart, slot: usize, zone: &Zone) -> String {
    zone.text(chart.start.saturating_add(chart.step.saturating_mul(slot as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: &[(&str, &[Option<f64>])]) -> Chart {
        let series = series.iter().map(|(name, v)| Series { name: (*name).into(), values: v.to_vec() }).collect();
        Chart { start: 1_762_128_000_000, step: 3_600_000, axis: "bin(1h)".into(), series }
    }

    #[test]
    fn one_series_is_columns_and_several_are_lines() {
        let one = figure(&chart(&[("n", &[Some(1.0), None, Some(7.5)])]), None, &Zone::default());
        assert_eq!((one.matches("<rect").count(), one.matches("<polyline").count()), (2, 0), "{one}");
        assert!(one.contains("2025-11-03 02:00:00.000: 7.5"), "{one}");
        let two = chart(&[("a", &[Some(1.0), Some(2.0), None, Some(3.0)]), ("b", &[Some(-1.0), Some(0.0)])]);
        let two = figure(&two, None, &Zone::default());
        assert_eq!((two.matches("<rect").count(), two.matches("<polyline").count()), (0, 2), "{two}");
        assert_eq!(two.matches("<circle").count(), 5, "{two}");
    }

    #[test]
    fn names_are_nothing_but_text() {
        let hostile = "</svg><script>alert(1)</script>\u{1b}[31m";
        let many: Vec<(&str, &[Option<f64>])> = (0..9).map(|_| (hostile, &[Some(1.0), Some(2.0)][..])).collect();
        let out = figure(&chart(&many), Some(Style::Line), &Zone::default());
        assert!(!out.contains("<script") && !out.contains('\u{1b}'), "{out}");
        assert!(out.contains("3 smaller series are not drawn"), "{out}");
    }
}
