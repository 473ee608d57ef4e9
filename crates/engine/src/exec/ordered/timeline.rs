//! Commands that look at the events of each identity in ascending time: sessions, bursts, sequences.

use super::owners::Owners;
use super::stoppable;
use crate::agg::Input;
use crate::agg::trace::Trace;
use crate::exec::{Cx, column};
use crate::plan::{AggCall, CompareOp, Slot};
use crate::value::column::{Batch, Column, Positions};
use crate::value::{Value, ValueRef, compare};
use rayon::prelude::*;
use std::cmp::Ordering;

/// The texts of a row's keys; `None` where one is null.
fn identity(columns: &[Column], i: usize) -> Option<Vec<Vec<u8>>> {
    columns.iter().map(|c| c.get(i).text().map(|t| t.into_owned())).collect()
}

/// Who, and the times and rows of their events.
type Timeline = (Vec<Vec<u8>>, Vec<(i64, usize)>);

/// The rows of each identity in ascending time, rows without time or identity left out; identities by their texts.
fn by_identity(rows: &Batch, keys: &[Slot], time: Slot, cx: &Cx<'_>) -> Vec<Timeline> {
    let columns: Vec<Column> = keys.iter().map(|slot| column(rows, *slot)).collect();
    let times = column(rows, time);
    let timeline = |rows: &[u32]| {
        let event = |row: &u32| times.get(*row as usize).timestamp().map(|t| (t, *row as usize));
        let mut events: Vec<(i64, usize)> = rows.iter().filter_map(event).collect();
        events.sort_by_key(|(t, _)| *t);
        let (_, first) = events.first()?;
        Some((identity(&columns, *first)?, events))
    };
    let mut all: Vec<Timeline> = Owners::of(rows, keys, cx).each(cx, timeline).into_iter().flatten().collect();
    cx.ctl.install(|| all.par_sort_unstable_by(|(a, _), (b, _)| a.cmp(b)));
    all
}

/// What comes of each timeline, one after another.
fn each<T: Send>(all: &[Timeline], cx: &Cx<'_>, of: impl Fn(&Timeline) -> Vec<T> + Sync) -> Vec<T> {
    let some = |timeline: &Timeline| if cx.ctl.aborted() { Vec::new() } else { of(timeline) };
    // Fewer timelines are not worth another thread.
    const ROWS: usize = 128;
    let few = (cx.ctl.part_rows() / ROWS).max(1);
    let found: Vec<Vec<T>> = cx.ctl.install(|| all.par_iter().with_min_len(few).map(some).collect());
    found.into_iter().flatten().collect()
}

/// The number of each row's session.
pub(super) fn sessions(rows: &Batch, keys: &[Slot], time: Slot, gap: i64, cx: &Cx<'_>) -> Column {
    let all = by_identity(rows, keys, time, cx);
    // Sessions are numbered by their start, ties by identity, so they are found first and numbered then.
    let mut found: Vec<(i64, usize, std::ops::Range<usize>)> = Vec::new();
    for (who, (_, events)) in stoppable(all.iter().enumerate(), cx) {
        let mut first = 0;
        for at in 1..=events.len() {
            if at == events.len() || events[at].0 - events[at - 1].0 > gap {
                found.push((events[first].0, who, first..at));
                first = at;
            }
        }
    }
    found.sort_unstable_by_key(|(start, who, _)| (*start, *who));
    let mut ids = vec![None; rows.rows];
    for (number, (_, who, members)) in found.into_iter().enumerate() {
        all[who].1[members].iter().for_each(|(_, row)| ids[*row] = Some(number as i64 + 1));
    }
    Column::Int(ids.into_iter().collect())
}

/// The rows of a reshaping op: keys, then cells.
fn event_rows(keys: usize, mut found: Vec<(Vec<Vec<u8>>, Vec<Value>)>, width: usize) -> Batch {
    found.sort_by(|a, b| compare::total(a.1[0].as_ref(), b.1[0].as_ref()).then_with(|| a.0.cmp(&b.0)));
    let mut columns = Vec::new();
    for k in 0..keys {
        columns.push(found.iter().map(|(key, _)| Value::string(&key[k])).collect());
    }
    for c in 0..width {
        columns.push(found.iter().map(|(_, cells)| cells[c].clone()).collect());
    }
    Batch { columns, rows: found.len(), positions: Positions::sequence(0, found.len()) }
}

/// The windows of time in which an identity reaches a bound.
#[allow(clippy::too_many_arguments)]
pub(super) fn bursts(
    rows: &Batch,
    keys: &[Slot],
    time: Slot,
    within: i64,
    value: &AggCall,
    op: CompareOp,
    bound: &Value,
    trace: Option<Slot>,
    cx: &Cx<'_>,
) -> Batch {
    let traces = trace.map(|s| column(rows, s));
    let args: Vec<Column> = value.args.iter().map(|s| column(rows, *s)).collect();
    let times = value.time.map(|s| column(rows, s));
    let counts_rows = value.settings.star && value.aggregate.name == "count";
    let found = each(&by_identity(rows, keys, time, cx), cx, |(key, events)| {
        let mut found = Vec::new();
        // The open burst: start, end, index of its first event, peak.
        let mut open: Option<(i64, i64, usize, Value)> = None;
        let mut from = 0;
        let mut close = |burst: Option<(i64, i64, usize, Value)>| {
            if let Some((start, end, first, peak)) = burst {
                let n = events[first..].iter().take_while(|(t, _)| *t <= end).count();
                let mut cells = vec![Value::Time(start), Value::Time(end), Value::Int(n as i64), peak];
                cells.extend(traces.iter().map(|t| Trace::join(t, events[first..first + n].iter().map(|(_, i)| *i))));
                found.push((key.clone(), cells));
            }
        };
        for to in 0..events.len() {
            let (t, _) = events[to];
            while events[from].0 <= t - within {
                from += 1;
            }
            // Events at one instant share a window: it is judged when the last of them is in.
            if events.get(to + 1).is_some_and(|(next, _)| *next == t) {
                continue;
            }
            let window: Vec<u32> = events[from..=to].iter().map(|(_, i)| *i as u32).collect();
            let measured = if counts_rows {
                Value::Int(window.len() as i64)
            } else {
                measure(value, &args, times.as_ref(), rows, &window)
            };
            if !holds(op, measured.as_ref(), bound.as_ref()) {
                continue;
            }
            open = match open.take() {
                // Windows overlap or touch where this one starts no later than the last one ended.
                Some((start, end, first, peak)) if t - within <= end => {
                    let peak = if compare::total(peak.as_ref(), measured.as_ref()) == Ordering::Less {
                        measured
                    } else {
                        peak
                    };
                    Some((start, t, first, peak))
                }
                before => {
                    close(before);
                    Some((events[from].0, t, from, measured))
                }
            };
        }
        close(open);
        found
    });
    event_rows(keys.len(), found, 4 + usize::from(trace.is_some()))
}

fn measure(value: &AggCall, args: &[Column], times: Option<&Column>, rows: &Batch, window: &[u32]) -> Value {
    let mut state = (value.aggregate.new)(&value.settings);
    let args: Vec<Column> = args.iter().map(|c| c.take(window)).collect();
    let times = times.map(|c| c.take(window));
    let positions = rows.positions.take(window);
    state.update(&Input { args: &args, times: times.as_ref(), positions: &positions }, &vec![0; window.len()], 1);
    state.finish(1).get(0).to_value()
}

fn holds(op: CompareOp, a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match (op, compare::order(a, b)) {
        (_, None) => false,
        (CompareOp::Eq, Some(o)) => o == Ordering::Equal,
        (CompareOp::Ne, Some(o)) => o != Ordering::Equal,
        (CompareOp::Lt, Some(o)) => o == Ordering::Less,
        (CompareOp::Le, Some(o)) => o != Ordering::Greater,
        (CompareOp::Gt, Some(o)) => o == Ordering::Greater,
        (CompareOp::Ge, Some(o)) => o != Ordering::Less,
    }
}

/// The steps that follow each other in the events of an identity.
pub(super) fn sequences(
    rows: &Batch,
    keys: &[Slot],
    time: Slot,
    within: i64,
    steps: &[(Slot, u64)],
    trace: Option<Slot>,
    cx: &Cx<'_>,
) -> Batch {
    let traces = trace.map(|s| column(rows, s));
    let conditions: Vec<(Column, u64)> = steps.iter().map(|(s, n)| (column(rows, *s), (*n).max(1))).collect();
    let matches = |step: usize, row: usize| compare::truth(conditions[step].0.get(row));
    let found = each(&by_identity(rows, keys, time, cx), cx, |(key, events)| {
        let (mut found, mut at) = (Vec::new(), 0);
        'start: while at < events.len() {
            if !matches(0, events[at].1) {
                at += 1;
                continue;
            }
            let start = events[at].0;
            let (mut step, mut seen) = (0, 0u64);
            let mut used: Vec<usize> = Vec::new();
            let mut reached = vec![start; steps.len()];
            for (i, (t, row)) in events.iter().enumerate().skip(at) {
                if t - start > within {
                    break;
                }
                if !matches(step, *row) {
                    continue;
                }
                used.push(*row);
                seen += 1;
                reached[step] = *t;
                if seen < conditions[step].1 {
                    continue;
                }
                (step, seen) = (step + 1, 0);
                if step == steps.len() {
                    let mut cells = vec![Value::Time(start), Value::Time(*t), Value::Int(used.len() as i64)];
                    cells.extend(reached.iter().map(|t| Value::Time(*t)));
                    cells.extend(traces.iter().map(|t| Trace::join(t, used.iter().copied())));
                    found.push((key.clone(), cells));
                    at = i + 1;
                    continue 'start;
                }
            }
            at += 1;
        }
        found
    });
    event_rows(keys.len(), found, 3 + steps.len() + usize::from(trace.is_some()))
}
