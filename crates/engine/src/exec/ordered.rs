//! Ops over all rows in their order. Each takes one batch that holds every row and gives one.

mod baseline;
pub(super) mod owners;
mod timeline;

use super::eval::arithmetic;
use super::steps::put;
use super::{Cx, past, relevant};
use crate::func::Grid;
use crate::plan::Slot;
use crate::plan::ordered::Ordered;
use crate::value::column::{Batch, Column, ColumnBuilder, Positions};
use crate::value::number::Number;
use crate::value::{Value, ValueRef};
use backsight_lang::ast::BinaryOp;
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
            let columns = baseline::baseline(&rows, keys, *input, cx);
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
            let ids = timeline::sessions(&rows, keys, *time, *gap, cx);
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
            let question = relevant::Question { holds: *holds, fields, message: *message, without };
            relevant::relevant(&rows, &question, cx)
        }
        Ordered::Burst { keys, time, within, value, op, bound, trace } => {
            timeline::bursts(&rows, keys, *time, *within, value, *op, bound, *trace, cx)
        }
        Ordered::Sequence { keys, time, within, steps, trace } => {
            timeline::sequences(&rows, keys, *time, *within, steps, *trace, cx)
        }
    }
}

/// What is gone through until the run is to stop at once; what comes of it is then no answer.
pub(super) fn stoppable<T>(all: impl IntoIterator<Item = T>, cx: &Cx<'_>) -> impl Iterator<Item = T> {
    all.into_iter().take_while(move |_| !cx.ctl.aborted())
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
