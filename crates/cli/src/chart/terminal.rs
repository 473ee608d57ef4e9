//! Charts in characters: columns for one series, a strip for each of several, or lines of dots.

use super::cut;
use super::series::{Chart, Series};
use crate::escape;
use crate::zone::Zone;
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// Rows of a chart, without its axis.
const HEIGHT: usize = 8;
/// Series that are drawn.
const MOST_SERIES: usize = 12;
/// Columns of a bar, at most.
const WIDEST_BAR: usize = 6;
/// Eighths of a character cell, from the bottom.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Colours of lines, in turn.
const COLORS: [u8; 6] = [36, 33, 35, 32, 34, 31];
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The two ways to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bar,
    Line,
}

impl Style {
    /// Columns where each slot has room for one and nothing lies below zero.
    pub(crate) fn fitting(chart: &Chart, width: u16) -> Style {
        let slots = chart.series.first().map_or(0, |s| s.values.len());
        let negative = chart.series.iter().any(|s| s.range().0 < 0.0);
        if negative || slots + 12 > usize::from(width) && chart.series.len() == 1 { Style::Line } else { Style::Bar }
    }
}

/// Draws a chart of `width` columns, ended by a line feed; nothing where the terminal is too narrow for one.
pub(crate) fn draw(chart: &Chart, style: Style, width: u16, zone: &Zone, color: bool) -> String {
    let width = usize::from(width);
    // A bar stands on zero.
    let style = if chart.series.iter().any(|s| s.range().0 < 0.0) { Style::Line } else { style };
    let text = match (style, chart.series.as_slice()) {
        (Style::Bar, [one]) => plot(chart, &[one], width, zone, false, columns),
        (Style::Bar, _) => strips(chart, width, zone),
        (Style::Line, [one]) => plot(chart, &[one], width, zone, false, dots),
        (Style::Line, _) if color => {
            let series: Vec<&Series> = chart.series.iter().take(COLORS.len()).collect();
            plot(chart, &series, width, zone, true, dots)
        }
        (Style::Line, _) => strips(chart, width, zone),
    };
    text.unwrap_or_default()
}

/// What fills the area between the axes: rows from the top, each `room` columns wide.
type Fill = fn(&Frame<'_>) -> Vec<String>;

/// The area between the axes.
struct Frame<'a> {
    series: &'a [&'a Series],
    low: f64,
    high: f64,
    /// Columns of the screen.
    room: usize,
    color: bool,
}

fn plot(chart: &Chart, series: &[&Series], width: usize, zone: &Zone, color: bool, fill: Fill) -> Option<String> {
    let (low, high) = series.iter().map(|s| s.range()).fold((0f64, 0f64), |(l, h), (a, b)| (l.min(a), h.max(b)));
    let high = if high > low { high } else { low + 1.0 };
    let (top, middle, bottom) = (short(high), short((high + low) / 2.0), short(low));
    let margin = [&top, &middle, &bottom].iter().map(|t| t.len()).max().unwrap_or(0);
    let slots = series.first()?.values.len();
    let room = room_for(slots, width.checked_sub(margin + 2).filter(|room| *room >= 10)?);
    let rows = fill(&Frame { series, low, high, room, color });
    let mut out = title(chart, series, (slots, room), zone, color);
    for (i, row) in rows.iter().enumerate() {
        let label = match i {
            0 => &top,
            _ if i == HEIGHT / 2 => &middle,
            _ => "",
        };
        let tick = if label.is_empty() { '│' } else { '┤' };
        let _ = writeln!(out, "{}", format!("{label:>margin$} {tick}{row}").trim_end());
    }
    let _ = writeln!(out, "{bottom:>margin$} ┼{}", "─".repeat(room));
    axis(&mut out, chart, margin + 2, room, zone);
    Some(out)
}

/// The columns `slots` are drawn in: as many times the slots as fit, or all there are.
fn room_for(slots: usize, room: usize) -> usize {
    if slots == 0 || slots > room { room } else { slots * (room / slots).min(WIDEST_BAR) }
}

fn title(chart: &Chart, series: &[&Series], (slots, room): (usize, usize), zone: &Zone, color: bool) -> String {
    let names: Vec<String> = series
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let name = cut(&escape::visible(&s.name), 40);
            if color { format!("\x1b[{}m{name}\x1b[0m", COLORS[i % COLORS.len()]) } else { name }
        })
        .collect();
    let mut out = format!("{} by {} ({})", names.join(", "), escape::visible(&chart.axis), zone.name());
    if slots > room {
        let _ = write!(out, "; a column is the highest of up to {}", slots.div_ceil(room));
    }
    if chart.series.len() > series.len() {
        let _ = write!(out, "; {} smaller series are not drawn", chart.series.len() - series.len());
    }
    out + "\n"
}

/// The value drawn in column `x` of `room`: the highest of the slots that share it.
fn at(values: &[Option<f64>], x: usize, room: usize) -> Option<f64> {
    let first = x * values.len() / room;
    let last = ((x + 1) * values.len()).div_ceil(room).clamp(first + 1, values.len());
    let last = if values.len() <= room { first + 1 } else { last };
    values.get(first..last)?.iter().flatten().copied().reduce(f64::max)
}

/// Standing bars; a column of blank between them where they are wide.
fn columns(frame: &Frame<'_>) -> Vec<String> {
    let Frame { series, low, high, room, .. } = *frame;
    let values = series.first().map_or(&[][..], |s| &s.values);
    let wide = room / values.len().max(1);
    let eighths: Vec<usize> = (0..room)
        .map(|x| match at(values, x, room) {
            _ if wide >= 3 && x % wide == wide - 1 => 0,
            Some(v) if v > low => (((v - low) / (high - low) * (HEIGHT * 8) as f64).round() as usize).max(1),
            _ => 0,
        })
        .collect();
    let cell = |n: usize, row: usize| EIGHTHS[n.saturating_sub((HEIGHT - 1 - row) * 8).min(8)];
    (0..HEIGHT).map(|row| eighths.iter().map(|n| cell(*n, row)).collect()).collect()
}

/// Lines of Braille dots, two by four a character.
fn dots(frame: &Frame<'_>) -> Vec<String> {
    const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let Frame { series, low, high, room, color } = *frame;
    let (across, down) = (room * 2, HEIGHT * 4);
    let mut cells = vec![vec![(0u32, 0usize); room]; HEIGHT];
    for (number, series) in series.iter().enumerate() {
        let height =
            |v: f64| ((high - v) / (high - low) * (down - 1) as f64).round().clamp(0.0, (down - 1) as f64) as usize;
        let mut before: Option<usize> = None;
        for x in 0..across {
            let y = at(&series.values, x, across).map(height);
            if let Some(y) = y {
                // A rise is drawn, so that a line stays one.
                let from = before.unwrap_or(y);
                let between = if from < y { from + 1..=y } else { y..=from.saturating_sub(1).max(y) };
                for y in between {
                    let cell = &mut cells[y / 4][x / 2];
                    *cell = (cell.0 | BITS[x % 2][y % 4], number);
                }
            }
            before = y;
        }
    }
    let draw = |(bits, number): &(u32, usize)| match char::from_u32(0x2800 + bits) {
        Some(dots) if *bits > 0 && color => format!("\x1b[{}m{dots}\x1b[0m", COLORS[number % COLORS.len()]),
        Some(dots) if *bits > 0 => dots.to_string(),
        _ => " ".into(),
    };
    cells.iter().map(|row| row.iter().map(draw).collect()).collect()
}

/// One line a series, each to its own scale.
fn strips(chart: &Chart, width: usize, zone: &Zone) -> Option<String> {
    let drawn = &chart.series[..chart.series.len().min(MOST_SERIES)];
    let names: Vec<String> = drawn.iter().map(|s| cut(&escape::visible(&s.name), (width / 3).clamp(8, 40))).collect();
    let margin = names.iter().map(|n| n.width()).max()?;
    let most: Vec<String> = drawn.iter().map(|s| format!("max {}", short(s.range().1))).collect();
    let behind = most.iter().map(String::len).max()?;
    let slots = drawn.first()?.values.len();
    let room = room_for(slots, width.checked_sub(margin + behind + 5).filter(|room| *room >= 10)?);
    let mut out = format!("by {} ({}), each to its own scale", escape::visible(&chart.axis), zone.name());
    if slots > room {
        let _ = write!(out, "; a column is the highest of up to {}", slots.div_ceil(room));
    }
    out.push('\n');
    for ((series, name), most) in drawn.iter().zip(&names).zip(&most) {
        let high = series.range().1;
        let strip: String = (0..room)
            .map(|x| match at(&series.values, x, room) {
                Some(v) if v > 0.0 && high > 0.0 => EIGHTHS[((v / high * 8.0).round() as usize).clamp(1, 8)],
                _ => ' ',
            })
            .collect();
        let _ = writeln!(out, "{name}{:1$} │{strip}│ {most}", "", margin - name.width());
    }
    axis(&mut out, chart, margin + 2, room, zone);
    if chart.series.len() > drawn.len() {
        let _ = writeln!(out, "{} smaller series are not drawn", chart.series.len() - drawn.len());
    }
    Some(out)
}

/// Times below the chart, as many as have room.
fn axis(out: &mut String, chart: &Chart, margin: usize, room: usize, zone: &Zone) {
    let slots = chart.series.first().map_or(1, |s| s.values.len()).max(1);
    let long = chart.step.saturating_mul(slots as i64) >= DAY;
    let mut line = String::new();
    let mut day = String::new();
    // The end of the last label, with a gap behind it.
    let mut free = 0;
    for x in 0..room {
        let slot = (x * slots).div_ceil(room);
        if x < free || slot >= slots || slot * room / slots > x {
            continue;
        }
        let text = zone.text(chart.start.saturating_add(chart.step.saturating_mul(slot as i64)));
        let (date, time) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let time = time.get(1..if chart.step < MINUTE { 9 } else { 6 }).unwrap_or("");
        let label = match (chart.step >= DAY, date == day) {
            (true, _) => date.to_string(),
            (false, true) => time.to_string(),
            (false, false) if long || day.is_empty() => format!("{date} {time}"),
            (false, false) => time.to_string(),
        };
        // The first label is needed most; where it has no room, its day has.
        let label = if x == 0 && label.len() > room { date.to_string() } else { label };
        if x + label.len() > room {
            break;
        }
        line.push_str(&" ".repeat(x - line.len()));
        line.push_str(&label);
        day = date.to_string();
        free = line.len() + 4;
    }
    let _ = writeln!(out, "{:margin$}{line}", "");
}

/// A number in few characters.
pub(super) fn short(x: f64) -> String {
    let (value, unit) = match x.abs() {
        a if a >= 1e12 => (x / 1e12, "T"),
        a if a >= 1e9 => (x / 1e9, "G"),
        a if a >= 1e6 => (x / 1e6, "M"),
        a if a >= 1e4 => (x / 1e3, "k"),
        _ => (x, ""),
    };
    let decimals = match value.abs() {
        a if a >= 100.0 || a == a.trunc() => 0,
        a if a >= 1.0 => 1,
        _ => 3,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: &[(&str, &[Option<f64>])]) -> Chart {
        let series = series.iter().map(|(name, v)| Series { name: (*name).into(), values: v.to_vec() }).collect();
        Chart { start: 1_762_128_000_000, step: 3_600_000, axis: "bin(1h)".into(), series }
    }

    #[test]
    fn one_series_is_columns_with_axes() {
        let values: Vec<Option<f64>> = (0..12).map(|i| (i != 5).then_some(f64::from(i) * 100.0)).collect();
        let out = draw(&chart(&[("n", &values)]), Style::Bar, 60, &Zone::default(), false);
        assert_eq!(
            out,
            "n by bin(1h) (UTC)
1100 ┤                                        ▂▂▂ ███
     │                                    ▄▄▄ ███ ███
     │                            ▁▁▁ ▇▇▇ ███ ███ ███
     │                        ▃▃▃ ███ ███ ███ ███ ███
 550 ┤                        ███ ███ ███ ███ ███ ███
     │            ▁▁▁ ▇▇▇     ███ ███ ███ ███ ███ ███
     │        ▄▄▄ ███ ███     ███ ███ ███ ███ ███ ███
     │    ▆▆▆ ███ ███ ███     ███ ███ ███ ███ ███ ███
   0 ┼────────────────────────────────────────────────
      2025-11-03 00:00    05:00       08:00
"
        );
    }

    #[test]
    fn every_chart_fits_every_terminal() {
        let wave: Vec<Option<f64>> = (0..300).map(|i| Some((f64::from(i) / 20.0).sin() * 1e6)).collect();
        let flat = vec![Some(0.0); 300];
        let gaps: Vec<Option<f64>> = (0..300).map(|i| (i % 7 == 0).then_some(1.0)).collect();
        for series in [&[("wave", &wave[..])][..], &[("flat", &flat)], &[("a", &wave), ("日本\u{202e}", &gaps)]] {
            for width in 0..220 {
                for style in [Style::Bar, Style::Line] {
                    let out = draw(&chart(series), style, width, &Zone::default(), false);
                    assert!(out.is_empty() || width >= 15 && !out.contains('\u{202e}'), "{width} {out}");
                    let body = out.lines().skip(1);
                    assert!(body.clone().all(|l| l.width() <= usize::from(width)), "{width}\n{out}");
                }
            }
        }
    }

    #[test]
    fn lines_are_dots_and_several_without_colour_are_strips() {
        let wave: Vec<Option<f64>> = (0..100).map(|i| Some(f64::from(i % 10))).collect();
        let one = draw(&chart(&[("n", &wave)]), Style::Line, 80, &Zone::default(), false);
        assert!(one.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{one}");
        let two = draw(&chart(&[("a", &wave), ("b", &wave)]), Style::Line, 80, &Zone::default(), false);
        assert!(two.contains("a │") && two.contains("│ max 9"), "{two}");
        let colored = draw(&chart(&[("a", &wave), ("b", &wave)]), Style::Line, 80, &Zone::default(), true);
        assert!(colored.contains("\x1b[36ma"), "{colored}");
    }

    #[test]
    fn numbers_are_short() {
        for (x, text) in
            [(0.0, "0"), (1120.0, "1120"), (12_345.0, "12.3k"), (2e9, "2G"), (0.25, "0.250"), (-1.5, "-1.5")]
        {
            assert_eq!(short(x), text);
        }
    }
}
