//! What lies behind a group: when its events were, how many, and where the first of them stand. Not in the language:
//! the planner adds it to a query whose answers must be traced back to their events ([`Settings::trace`]).
//!
//! [`Settings::trace`]: crate::plan::CompileSettings::trace

use super::cells::present;
use super::group::{PerGroup, State};
use super::{Aggregate, Input};
use crate::func::{Status, Type};
use crate::value::column::{Column, Positions};
use crate::value::{Kind, Value};
use arrow::array::Array;
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
            span: time(group.first.0).map(|first| (first, group.last)),
            events: group.events,
            first: group.kept().map(|(t, p)| (time(t), p)).collect(),
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

/// A group often has a single event, so that what more need lies elsewhere; and most events are neither the first of
/// their group nor anything but the latest, so that this can be told from what lies here.
#[derive(Serialize, Deserialize)]
struct Group {
    events: u64,
    /// Time and position of the first.
    first: (i64, u64),
    /// The latest time; smaller than any if none is known.
    last: i64,
    /// No event after this time is kept.
    full: i64,
    more: Option<Box<More>>,
}

#[derive(Serialize, Deserialize)]
struct More {
    /// The events behind the first, `n` of them.
    kept: [(i64, u64); KEPT - 1],
    n: u8,
}

impl Default for Group {
    fn default() -> Group {
        Group { events: 0, first: LAST, last: i64::MIN, full: NEVER, more: None }
    }
}

/// Behind every event.
const LAST: (i64, u64) = (NEVER, u64::MAX);

/// The time as the latest so far.
fn latest(time: i64) -> i64 {
    if time == NEVER { i64::MIN } else { time }
}

impl Group {
    #[inline]
    fn event(&mut self, time: i64, position: u64) {
        self.events += 1;
        self.last = self.last.max(latest(time));
        if time <= self.full {
            self.keep((time, position));
        }
    }

    /// Adds events to their groups.
    fn events(states: &mut [Group], groups: &[u32], events: impl Iterator<Item = (i64, u64)>) {
        match states {
            [one] => events.for_each(|(time, position)| one.event(time, position)),
            many => {
                events.zip(groups).for_each(|((time, position), group)| many[*group as usize].event(time, position))
            }
        }
    }

    /// Keeps an event if it is one of the first. Rows made of one record share its position: it is kept once.
    fn keep(&mut self, mut event: (i64, u64)) {
        if event == self.first || event == LAST {
            return;
        }
        if self.first == LAST {
            self.first = event;
            return;
        }
        if event < self.first {
            std::mem::swap(&mut event, &mut self.first);
        }
        let more = self.more.get_or_insert_with(|| Box::new(More { kept: [LAST; KEPT - 1], n: 0 }));
        let n = more.n as usize;
        let at = more.kept[..n].partition_point(|e| *e < event);
        if at == KEPT - 1 || more.kept[at] == event {
            return;
        }
        more.kept.copy_within(at..KEPT - 2, at + 1);
        more.kept[at] = event;
        more.n = (n + 1).min(KEPT - 1) as u8;
        // Of as many as are kept the last is behind all others.
        self.full = more.kept[KEPT - 2].0;
    }

    fn kept(&self) -> impl Iterator<Item = (i64, u64)> {
        let more = self.more.iter().flat_map(|m| m.kept[..m.n as usize].iter().copied());
        (self.first != LAST).then_some(self.first).into_iter().chain(more)
    }

    /// Takes in the number of some events and their latest time; the first of them are kept one by one.
    fn add(&mut self, events: u64, last: i64, kept: impl IntoIterator<Item = (i64, u64)>) {
        kept.into_iter().for_each(|event| self.keep(event));
        self.events += events;
        self.last = self.last.max(last);
    }

    fn take(&mut self, cell: &[u8]) {
        let mut words = cell.chunks_exact(8).map(|w| i64::from_le_bytes(w.try_into().expect("eight bytes")));
        let (Some(last), Some(events)) = (words.next(), words.next()) else { return };
        let kept: Vec<(i64, u64)> =
            std::iter::from_fn(|| Some((words.next()?, words.next()? as u64))).take(KEPT).collect();
        self.add(events as u64, last, kept);
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
            (None, Some(Column::Time(times))) if times.null_count() == 0 => {
                let times = times.values().iter().copied();
                match input.positions {
                    Positions::Near { base, offsets } => {
                        let positions = offsets.iter().map(|offset| base + u64::from(*offset));
                        Group::events(states, groups, times.zip(positions));
                    }
                    Positions::Far(all) => Group::events(states, groups, times.zip(all.iter().copied())),
                }
            }
            (None, Some(times)) => (0..groups.len()).for_each(|i| {
                let time = times.get(i).timestamp().unwrap_or(NEVER);
                states[of(i)].event(time, input.positions.get(i));
            }),
            (None, None) => (0..groups.len()).for_each(|i| states[of(i)].event(NEVER, input.positions.get(i))),
        }
    }

    fn merge(&mut self, other: Group, (): &()) {
        self.add(other.events, other.last, other.kept());
    }

    fn finish(self, (): &()) -> Value {
        let mut cell = Vec::with_capacity(16 + 16 * KEPT);
        cell.extend_from_slice(&self.last.to_le_bytes());
        cell.extend_from_slice(&self.events.to_le_bytes());
        for (time, position) in self.kept() {
            cell.extend_from_slice(&time.to_le_bytes());
            cell.extend_from_slice(&position.to_le_bytes());
        }
        Value::Text(Kind::String, cell.into())
    }

    fn heap_bytes(&self) -> usize {
        self.more.as_ref().map_or(0, |_| size_of::<More>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_event_of_another_worker_is_not_the_latest() {
        let cell = |time, position| {
            let mut group = Group::default();
            group.event(time, position);
            group.finish(&())
        };
        let mut both = Group::default();
        for one in [cell(5, 2), cell(3, 1)] {
            both.take(&one.as_ref().text().expect("a cell"));
        }
        assert_eq!((both.first.0, both.last), (3, 5));
    }

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
