//! What lies behind a group: when its events were, how many, and where the first of them stand. Not in the language:
//! the planner adds it to a query whose answers must be traced back to their events ([`Settings::trace`]).
//!
//! [`Settings::trace`]: crate::plan::CompileSettings::trace

use super::cells::present;
use super::group::{PerGroup, State};
use super::{Aggregate, Input};
use crate::func::{Status, Type};
use crate::value::column::Column;
use crate::value::{Kind, Value};
use serde::{Deserialize, Serialize};

/// Events kept of each group.
pub const KEPT: usize = 5;

/// Over rows: their times and positions. Over an earlier trace: that of all its groups together.
pub static TRACE: Aggregate = Aggregate {
    name: "trace",
    aliases: &[],
    params: &[("trace", Type::Any)],
    literal: &[],
    optional: 1,
    star: false,
    needs_time: true,
    result: Type::Any,
    status: Status::Extension,
    about: "When the events were, how many, and where the first of them stand.",
    examples: &[],
    new: |_| PerGroup::<Group>::boxed(()),
};

/// The events behind a row of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The earliest and the latest time, epoch milliseconds; `None` if no event has one.
    pub span: Option<(i64, i64)>,
    /// How many events.
    pub events: u64,
    /// Time and position of the first of them, in order of time, then position; those without a time last.
    pub first: Vec<(Option<i64>, u64)>,
}

impl Trace {
    /// Reads the cell of a trace column; empty for any other cell.
    pub fn read(cell: &[u8]) -> Trace {
        let mut group = Group::default();
        group.take(cell);
        let time = |t: i64| (t != NEVER).then_some(t);
        Trace {
            span: time(group.first).map(|first| (first, group.last)),
            events: group.events,
            first: group.kept[..group.n as usize].iter().map(|(t, p)| (time(*t), *p)).collect(),
        }
    }

    /// Takes in another: a trace of both.
    pub fn add(&mut self, other: &Trace) {
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        self.events += other.events;
        self.first.extend_from_slice(&other.first);
        self.first.sort_by_key(|(time, position)| (time.unwrap_or(NEVER), *position));
        self.first.dedup();
        self.first.truncate(KEPT);
    }

    /// The cell of one event.
    pub(crate) fn of(time: Option<i64>, position: u64) -> Value {
        let mut group = Group::default();
        group.event(time.unwrap_or(NEVER), position);
        group.finish(&())
    }

    /// The cell of some rows of a trace column together.
    pub(crate) fn join(traces: &Column, rows: impl IntoIterator<Item = usize>) -> Value {
        let mut group = Group::default();
        for row in rows {
            if let Some(cell) = traces.get(row).text() {
                group.take(&cell);
            }
        }
        group.finish(&())
    }
}

/// The time of an event without one: after all others.
const NEVER: i64 = i64::MAX;

#[derive(Serialize, Deserialize)]
struct Group {
    first: i64,
    last: i64,
    events: u64,
    kept: [(i64, u64); KEPT],
    n: u8,
}

impl Default for Group {
    fn default() -> Group {
        Group { first: NEVER, last: i64::MIN, events: 0, kept: [(NEVER, u64::MAX); KEPT], n: 0 }
    }
}

impl Group {
    #[inline]
    fn event(&mut self, time: i64, position: u64) {
        self.events += 1;
        if time != NEVER {
            self.first = self.first.min(time);
            self.last = self.last.max(time);
        }
        // Most events come after those kept.
        if (time, position) < self.kept[KEPT - 1] {
            self.keep((time, position));
        }
    }

    fn keep(&mut self, event: (i64, u64)) {
        let n = self.n as usize;
        let at = self.kept[..n].partition_point(|e| *e < event);
        // Rows made of one record share its position: it is kept once.
        if at == KEPT || self.kept[at] == event {
            return;
        }
        self.kept.copy_within(at..KEPT - 1, at + 1);
        self.kept[at] = event;
        self.n = (n + 1).min(KEPT) as u8;
    }

    fn take(&mut self, cell: &[u8]) {
        let mut words = cell.chunks_exact(8).map(|w| i64::from_le_bytes(w.try_into().expect("eight bytes")));
        let (Some(first), Some(last), Some(events)) = (words.next(), words.next(), words.next()) else { return };
        self.first = self.first.min(first);
        self.last = self.last.max(last);
        self.events += events as u64;
        while let (Some(time), Some(position)) = (words.next(), words.next()) {
            self.keep((time, position as u64));
        }
    }
}

impl State for Group {
    type Variant = ();

    fn update(states: &mut [Group], (): &(), input: &Input<'_>, groups: &[u32]) {
        let single = states.len() == 1;
        let of = |i: usize| if single { 0 } else { groups[i] as usize };
        match (input.args.first(), input.times) {
            (Some(traces), _) => present(traces, |i, v| {
                if let Some(cell) = v.text() {
                    states[of(i)].take(&cell);
                }
            }),
            (None, Some(times)) => (0..groups.len()).for_each(|i| {
                let time = times.get(i).timestamp().unwrap_or(NEVER);
                states[of(i)].event(time, input.positions.get(i));
            }),
            (None, None) => (0..groups.len()).for_each(|i| states[of(i)].event(NEVER, input.positions.get(i))),
        }
    }

    fn merge(&mut self, other: Group, (): &()) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.events += other.events;
        other.kept[..other.n as usize].iter().for_each(|e| self.keep(*e));
    }

    fn finish(self, (): &()) -> Value {
        let mut cell = Vec::with_capacity(24 + 16 * self.n as usize);
        cell.extend_from_slice(&self.first.to_le_bytes());
        cell.extend_from_slice(&self.last.to_le_bytes());
        cell.extend_from_slice(&self.events.to_le_bytes());
        for (time, position) in &self.kept[..self.n as usize] {
            cell.extend_from_slice(&time.to_le_bytes());
            cell.extend_from_slice(&position.to_le_bytes());
        }
        Value::Text(Kind::String, cell.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_events_whatever_the_order() {
        let events = [(9, 1), (3, 7), (3, 2), (8, 3), (NEVER, 0), (4, 4), (5, 5), (3, 2)];
        let expected = Trace {
            span: Some((3, 9)),
            events: 8,
            first: vec![(Some(3), 2), (Some(3), 7), (Some(4), 4), (Some(5), 5), (Some(8), 3)],
        };
        for turn in 0..events.len() {
            let (mut a, mut b) = (Group::default(), Group::default());
            for (i, (time, position)) in events.iter().cycle().skip(turn).take(events.len()).enumerate() {
                if i % 3 == 0 { &mut a } else { &mut b }.event(*time, *position);
            }
            let cells = [a.finish(&()), b.finish(&())];
            let mut all = Group::default();
            for cell in &cells {
                all.take(&cell.as_ref().text().expect("a cell"));
            }
            let cell = all.finish(&());
            assert_eq!(Trace::read(&cell.as_ref().text().expect("a cell")), expected);
        }
        assert_eq!(Trace::read(b""), Trace::default());
    }
}
