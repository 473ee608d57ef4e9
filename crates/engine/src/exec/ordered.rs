//! Ops over all rows in their order. Each takes one batch that holds every row and gives one.

use super::eval::arithmetic;
use super::group::key::Keys;
use super::steps::put;
use super::{Cx, past, relevant};
use crate::agg::Input;
use crate::agg::trace::Trace;
use crate::func::Grid;
use crate::plan::ordered::Ordered;
use crate::plan::{AggCall, CompareOp, Slot};
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::number::Number;
use crate::value::{Value, ValueRef, compare};
use backsight_lang::ast::BinaryOp;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Applies an op to all rows.
pub(super) fn ordered(op: &Ordered, mut rows: Batch, cx: &Cx<'_>) -> Batch {
    match op {
        Ordered::Accum { keys, input, output } => {
            let sums = past::accum(&rows, keys, *input, cx);
            put(&mut rows, *output, sums);
            rows
        }
        Ordered::Autoregress { keys, input, outputs } => {
            let outputs: Vec<(Slot, Column)> =
                outputs.iter().map(|(lag, slot)| (*slot, past::earlier(&rows, keys, *input, *lag, cx))).collect();
            outputs.into_iter().for_each(|(slot, column)| put(&mut rows, slot, column));
            rows
        }
        Ordered::Baseline { keys, input, outputs } => {
            let columns = past::baseline(&rows, keys, *input, cx);
            outputs.iter().zip(columns).for_each(|(slot, column)| put(&mut rows, *slot, column));
            rows
        }
        Ordered::New { first, after, known } => past::new_values(rows, *first, *after, known.as_ref(), cx),
        Ordered::FillDown(columns) => {
            for (from, to) in columns {
                let column = super::column(&rows, *from);
                let mut last = ValueRef::Null;
                let mut out = ColumnBuilder::default();
                for v in stoppable(column.iter(), cx) {
                    if !v.is_null() {
                        last = v;
                    }
                    out.push(last);
                }
                put(&mut rows, *to, out.finish());
            }
            rows
        }
        Ordered::Sessionize { keys, time, gap, output } => {
            let ids = sessions(&rows, keys, *time, *gap, cx);
            put(&mut rows, *output, ids);
            rows
        }
        Ordered::Totals { inputs, numbers_only, row, column } => totals(rows, inputs, *numbers_only, *row, *column),
        Ordered::FillMissing { bin, period, keys, with, range } => match Grid::new(*period) {
            Some(grid) => fill_missing(rows, *bin, &grid, keys, with, *range),
            None => rows,
        },
        Ordered::Outlier { columns, param, lower, remove } => outliers(rows, columns, *param, *lower, *remove),
        Ordered::Patterns { pattern, count, ratio, severity } => {
            let (patterns, counts) = (super::column(&rows, *pattern), super::column(&rows, *count));
            let count = |v: ValueRef<'_>| v.number().map_or(0.0, Number::as_f64);
            let all: f64 = counts.iter().map(count).sum();
            let ratios = counts.iter().map(|v| whole(count(v) / all)).collect();
            let severities = patterns
                .iter()
                .map(|v| {
                    let text = v.scalar_text().unwrap_or_default().to_lowercase();
                    let label = if text.contains("error") {
                        "ERROR"
                    } else if text.contains("warn") {
                        "WARN"
                    } else {
                        "INFO"
                    };
                    Value::string(label)
                })
                .collect();
            put(&mut rows, *ratio, ratios);
            put(&mut rows, *severity, severities);
            rows
        }
        Ordered::Relevant { holds, fields, message, without } => {
            relevant::relevant(&rows, *holds, fields, *message, without)
        }
        Ordered::Burst { keys, time, within, value, op, bound, trace } => {
            bursts(&rows, keys, *time, *within, value, *op, bound, *trace, cx)
        }
        Ordered::Sequence { keys, time, within, steps, trace } => {
            sequences(&rows, keys, *time, *within, steps, *trace, cx)
        }
    }
}

/// What is gone through until the run is to stop at once; what comes of it is then no answer.
pub(super) fn stoppable<T>(all: impl IntoIterator<Item = T>, cx: &Cx<'_>) -> impl Iterator<Item = T> {
    all.into_iter().take_while(move |_| !cx.ctl.aborted())
}

/// The texts of a row's keys; `None` where one is null.
fn identity(columns: &[Column], i: usize) -> Option<Vec<Vec<u8>>> {
    columns.iter().map(|c| c.get(i).text().map(|t| t.into_owned())).collect()
}

/// The rows of each identity in ascending time, rows without time or identity left out; identities by their texts.
fn by_identity(rows: &Batch, keys: &[Slot], time: Slot, cx: &Cx<'_>) -> BTreeMap<Vec<Vec<u8>>, Vec<(i64, usize)>> {
    let columns: Vec<Column> = keys.iter().map(|s| super::column(rows, *s)).collect();
    let times = super::column(rows, time);
    // The number of each identity, the first row that has it, and its events.
    let (mut known, mut groups) = (Keys::new(), Vec::<(usize, Vec<(i64, usize)>)>::new());
    for i in stoppable(0..rows.rows, cx) {
        if let Some(t) = times.get(i).timestamp()
            && known.of(&columns, i).is_some()
        {
            let (number, new) = known.intern();
            if new {
                groups.push((i, Vec::new()));
            }
            groups[number].1.push((t, i));
        }
    }
    let events = |(first, mut events): (usize, Vec<(i64, usize)>)| {
        events.sort_by_key(|(t, _)| *t);
        identity(&columns, first).map(|key| (key, events))
    };
    groups.into_iter().filter_map(events).collect()
}

fn sessions(rows: &Batch, keys: &[Slot], time: Slot, gap: i64, cx: &Cx<'_>) -> Column {
    // Sessions are numbered by their start, ties by identity, so they are found first and numbered then.
    let mut found: Vec<(i64, Vec<Vec<u8>>, Vec<usize>)> = Vec::new();
    for (key, events) in stoppable(by_identity(rows, keys, time, cx), cx) {
        let mut last = None;
        for (t, i) in events {
            match (last, found.last_mut()) {
                (Some(before), Some((_, _, members))) if t - before <= gap => members.push(i),
                _ => found.push((t, key.clone(), vec![i])),
            }
            last = Some(t);
        }
    }
    found.sort();
    let mut ids = vec![Value::Null; rows.rows];
    for (number, (_, _, members)) in found.into_iter().enumerate() {
        for i in members {
            ids[i] = Value::Int(number as i64 + 1);
        }
    }
    ids.into_iter().collect()
}

/// The sum of the cells that are numbers; 0 for none.
fn total<'a>(cells: impl Iterator<Item = ValueRef<'a>>) -> Value {
    cells
        .filter(|v| v.number().is_some() && v.timestamp().is_none())
        .fold(Value::Int(0), |sum, v| arithmetic(BinaryOp::Add, sum.as_ref(), v))
}

fn totals(mut rows: Batch, inputs: &[Slot], numbers_only: bool, row: Option<Slot>, column: bool) -> Batch {
    let columns: Vec<(Slot, Column)> = inputs.iter().map(|s| (*s, super::column(&rows, *s))).collect();
    if let Some(slot) = row {
        let sums = (0..rows.rows).map(|i| total(columns.iter().map(|(_, c)| c.get(i)))).collect();
        put(&mut rows, slot, sums);
    }
    if !column {
        return rows;
    }
    let mut last: HashMap<Slot, Value> = HashMap::new();
    for (slot, cells) in &columns {
        let any = cells.iter().any(|v| v.number().is_some() && v.timestamp().is_none());
        if any || !numbers_only {
            last.insert(*slot, total(cells.iter()));
        }
    }
    if let Some(slot) = row {
        let grand = total(last.values().map(Value::as_ref));
        last.insert(slot, grand);
    }
    append(rows, vec![last])
}

/// Adds rows with the given cells at the end; all other cells are null.
fn append(rows: Batch, new: Vec<HashMap<Slot, Value>>) -> Batch {
    let n = rows.rows + new.len();
    let columns = rows
        .columns
        .iter()
        .enumerate()
        .map(|(slot, column)| {
            let mut out = ColumnBuilder::default();
            out.extend(column);
            new.iter().for_each(|row| out.push(row.get(&slot).map_or(ValueRef::Null, Value::as_ref)));
            out.finish()
        })
        .collect();
    Batch { columns, rows: n, positions: Positions::sequence(0, n) }
}

/// More bins than this are not added: a period of milliseconds over years is a mistake, not a question.
const MOST_BINS: usize = 5_000_000;

fn fill_missing(
    rows: Batch,
    bin: Slot,
    grid: &Grid,
    keys: &[Slot],
    with: &[(Slot, Value)],
    range: (Option<i64>, Option<i64>),
) -> Batch {
    let bins = super::column(&rows, bin);
    let columns: Vec<Column> = keys.iter().map(|s| super::column(&rows, *s)).collect();
    let mut present: HashSet<(Vec<Option<Vec<u8>>>, i64)> = HashSet::new();
    let mut identities: BTreeMap<Vec<Option<Vec<u8>>>, usize> = BTreeMap::new();
    let (mut first, mut last) = (range.0.and_then(|t| grid.floor(t)), range.1.and_then(|t| grid.floor(t - 1)));
    for i in 0..rows.rows {
        let Some(t) = bins.get(i).timestamp() else { continue };
        let key: Vec<Option<Vec<u8>>> = columns.iter().map(|c| c.get(i).text().map(|t| t.into_owned())).collect();
        first = Some(first.map_or(t, |f: i64| f.min(t)));
        last = Some(last.map_or(t, |l: i64| l.max(t)));
        identities.entry(key.clone()).or_insert(i);
        present.insert((key, t));
    }
    let (Some(first), Some(last)) = (first, last) else { return rows };
    let mut new = Vec::new();
    let mut t = first;
    while t <= last && new.len() < MOST_BINS {
        for (key, example) in &identities {
            if present.contains(&(key.clone(), t)) {
                continue;
            }
            let mut row: HashMap<Slot, Value> = with.iter().cloned().collect();
            row.insert(bin, Value::Time(t));
            for (slot, column) in keys.iter().zip(&columns) {
                row.insert(*slot, column.get(*example).to_value());
            }
            new.push(row);
        }
        match grid.next(t) {
            Some(next) if next > t => t = next,
            _ => break,
        }
    }
    append(rows, new)
}

fn outliers(mut rows: Batch, columns: &[(Slot, Slot, Option<Slot>)], param: f64, lower: bool, remove: bool) -> Batch {
    let mut keep = vec![true; rows.rows];
    for (from, to, mark) in columns {
        let column = super::column(&rows, *from);
        let mut sorted: Vec<Number<'_>> = column.iter().filter_map(ValueRef::number).collect();
        sorted.sort_by(|a, b| a.compare(*b));
        let quartile = |p: usize| sorted.get((sorted.len() * p).div_ceil(100).max(1) - 1).map(|n| n.as_f64());
        let (Some(q1), Some(q3)) = (quartile(25), quartile(75)) else {
            put(&mut rows, *to, column.clone());
            continue;
        };
        let (low, high) = (if lower { q1 - param * (q3 - q1) } else { f64::NEG_INFINITY }, q3 + param * (q3 - q1));
        let outside: Vec<Option<f64>> = column
            .iter()
            .map(|v| {
                let x = v.number()?.as_f64();
                if x > high { Some(high) } else { (x < low).then_some(low) }
            })
            .collect();
        if remove {
            keep.iter_mut().zip(&outside).for_each(|(k, o)| *k &= o.is_none());
        }
        let clamped: Column = column
            .iter()
            .zip(&outside)
            .map(|(v, o)| match o {
                Some(bound) if !remove => whole(*bound),
                _ => v.to_value(),
            })
            .collect();
        if let Some(mark) = mark {
            let marks = outside.iter().map(|o| Value::Int(i64::from(o.is_some()))).collect();
            put(&mut rows, *mark, marks);
        }
        put(&mut rows, *to, clamped);
    }
    rows.filter(&keep.into())
}

/// A float, as an integer where it is one.
pub(super) fn whole(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 9e15 { Value::Int(x as i64) } else { Value::float(x) }
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

#[allow(clippy::too_many_arguments)]
fn bursts(
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
    let traces = trace.map(|s| super::column(rows, s));
    let args: Vec<Column> = value.args.iter().map(|s| super::column(rows, *s)).collect();
    let times = value.time.map(|s| super::column(rows, s));
    let counts_rows = value.settings.star && value.aggregate.name == "count";
    let mut found = Vec::new();
    for (key, events) in stoppable(by_identity(rows, keys, time, cx), cx) {
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
    }
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

fn sequences(
    rows: &Batch,
    keys: &[Slot],
    time: Slot,
    within: i64,
    steps: &[(Slot, u64)],
    trace: Option<Slot>,
    cx: &Cx<'_>,
) -> Batch {
    let traces = trace.map(|s| super::column(rows, s));
    let conditions: Vec<(Column, u64)> = steps.iter().map(|(s, n)| (super::column(rows, *s), (*n).max(1))).collect();
    let matches = |step: usize, row: usize| compare::truth(conditions[step].0.get(row));
    let mut found = Vec::new();
    for (key, events) in stoppable(by_identity(rows, keys, time, cx), cx) {
        let mut at = 0;
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
    }
    event_rows(keys.len(), found, 3 + steps.len() + usize::from(trace.is_some()))
}
