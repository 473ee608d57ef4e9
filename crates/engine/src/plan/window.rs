//! Where a query reads and over which time: `source`, ranges, the first and last event, windows to compare.

use super::lower::Lowering;
use super::{Op, Slot, SourceRef};
use crate::func::Grid;
use crate::source::Field;
use crate::value::time;
use crate::when::{Edges, When};
use backsight_lang::ast::{self, Duration, SourceSpec, Stage, Text, Unit};
use backsight_lang::diag::Diagnostic;

/// A half-open range of time, epoch milliseconds; an end that is missing is open.
pub(super) type Range = (Option<i64>, Option<i64>);

/// How far back the other window of a comparison lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shift {
    /// Right before the window.
    Length,
    /// So many milliseconds.
    Millis(i64),
    /// A calendar month.
    Month,
}

impl Shift {
    /// Of a period; `None` for one without a length that is a month's.
    pub fn of(period: Duration) -> Option<Shift> {
        match (period.unit, period.count) {
            (Unit::Month, 1) => Some(Shift::Month),
            _ => period.millis().map(Shift::Millis),
        }
    }

    fn back(self, t: i64, length: i64) -> i64 {
        match self {
            Shift::Length => t.saturating_sub(length),
            Shift::Millis(d) => t.saturating_sub(d),
            Shift::Month => time::month_before(t),
        }
    }
}

/// The periods `bin(auto)` chooses from.
const STEPS: &[Duration] = &[
    step(1, Unit::Second),
    step(5, Unit::Second),
    step(10, Unit::Second),
    step(30, Unit::Second),
    step(1, Unit::Minute),
    step(5, Unit::Minute),
    step(10, Unit::Minute),
    step(30, Unit::Minute),
    step(1, Unit::Hour),
    step(3, Unit::Hour),
    step(6, Unit::Hour),
    step(12, Unit::Hour),
    step(1, Unit::Day),
    step(1, Unit::Week),
    step(1, Unit::Month),
];

const fn step(count: u64, unit: Unit) -> Duration {
    Duration { count, unit }
}

/// Bins that `bin(auto)` gives at most, unless months are too short.
const MOST_BINS: i64 = 60;

impl Lowering<'_> {
    pub(super) fn source(&mut self, stage: &Stage, source: &ast::SourceStage) {
        if !self.ops.is_empty() {
            return self.error("E002", stage.word, "expected `source` before all other commands, found it after one");
        }
        for spec in &source.specs {
            match spec {
                SourceSpec::Name(text) => self.sources.push((SourceRef::Name(text.text.clone()), text.span)),
                SourceSpec::DataSource(all) => {
                    self.sources.extend(all.iter().map(|t| (SourceRef::Format(t.text.clone()), t.span)))
                }
                SourceSpec::LogGroups(args) => {
                    for (name, values) in args {
                        if name.text.eq_ignore_ascii_case("namePrefix") {
                            let prefixes = values.iter().map(|t| (SourceRef::Prefix(t.text.clone()), t.span));
                            self.sources.extend(prefixes);
                        } else {
                            let message = format!("argument `{}` is ignored", name.text);
                            self.report(Diagnostic::warning("W006", name.span, message));
                        }
                    }
                }
            }
        }
        // What the query says of its source comes before what was said of all.
        for (text, is_start) in [(&source.start, true), (&source.end, false)] {
            let Some(text) = text else { continue };
            let Some(time) = self.time(text) else { continue };
            self.needs_time(text.span, "is outside of every time range");
            let side = if is_start { &mut self.range.0 } else { &mut self.range.1 };
            *side = Some(time);
        }
    }

    /// A time of the query; `None` also while the first and last event are not known yet.
    fn time(&mut self, text: &Text) -> Option<i64> {
        let Ok(when) = When::parse(&text.text) else {
            self.no_time(text);
            return None;
        };
        let edges = if when.needs_edges() { self.edges()? } else { None };
        let time = when.resolve(self.settings.clock.now, edges);
        if time.is_none() {
            let message = format!("no event of the source has a time that `{}` could count from", text.text);
            self.error("E014", text.span, message);
        }
        time
    }

    /// Reports that a text is no time.
    pub(super) fn no_time(&mut self, text: &Text) {
        let error = Diagnostic::error("E002", text.span, format!("expected a time, found `{}`", text.text));
        self.report(error.help("write RFC 3339, a date, epoch, `now-1h`, `first+7d` or `last-1d`"));
    }

    /// The first and last time of the sources; `None` while it is not known yet.
    fn edges(&mut self) -> Option<Edges> {
        let sources: Vec<SourceRef> = self.sources.iter().map(|(source, _)| source.clone()).collect();
        let known = self.settings.edges.iter().find(|(known, _)| *known == sources);
        if known.is_none() && !self.unknown_edges.contains(&sources) {
            self.unknown_edges.push(sources);
        }
        known.map(|(_, edges)| *edges)
    }

    /// The query's window of time: its range, its open ends those of the source; the end is one past the last event.
    /// Zero where there is nothing, or nothing known yet.
    pub(super) fn window(&mut self) -> (i64, i64) {
        if let (Some(start), Some(end)) = self.range {
            return (start, end);
        }
        let (first, last) = self.edges().flatten().map_or((0, 0), |(first, last)| (first, last.saturating_add(1)));
        (self.range.0.unwrap_or(first), self.range.1.unwrap_or(last))
    }

    /// The windows of a comparison, the later one first. Without a range they are the last two that fit: the second half
    /// of the source's time and the first, or as long as the shift each.
    pub(super) fn windows(&mut self, shift: Shift) -> (Range, Range) {
        let (start, end) = self.window();
        let start = match (self.range, shift) {
            ((None, None), Shift::Length) => start + end.saturating_sub(start) / 2,
            ((None, None), _) => shift.back(end, 0),
            _ => start,
        };
        let length = end.saturating_sub(start);
        let whole = |start, end| (Some(start), Some(end));
        (whole(start, end), whole(shift.back(start, length), shift.back(end, length)))
    }

    /// The period of `bin(auto)`: the shortest that gives at most 60 bins.
    pub(super) fn auto_period(&mut self) -> Duration {
        let (start, end) = self.window();
        let fits = |period: &&Duration| {
            let bin = |t: i64| Some(Grid::new(**period)?.floor(t)? / period.millis()?);
            bin(start).zip(bin(end.saturating_sub(1))).is_some_and(|(first, last)| last - first < MOST_BINS)
        };
        *STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1])
    }

    /// Puts a time range in front of everything.
    pub(super) fn keep_range(&mut self, (start, end): Range) {
        let time = self.source_time();
        self.ops.insert(0, Op::Range { time, start, end });
    }

    /// The slot of the events' own time, at the start of the plan.
    pub(super) fn source_time(&mut self) -> Slot {
        match self.scan_fields() {
            Some(scan) => match scan.fields.iter().find(|(f, _)| *f == Field::Timestamp) {
                Some((_, slot)) => *slot,
                None => {
                    scan.fields.push((Field::Timestamp, scan.slots));
                    scan.slots += 1;
                    scan.slots - 1
                }
            },
            None => self.scope.field(Field::Timestamp),
        }
    }
}
