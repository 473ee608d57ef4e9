//! `stats`: groups and aggregates.

use super::compare::{group_order, total_order};
use super::expr::Env;
use super::value::{N, V, nearest};
use super::{Outcome, Row, World, unsupported};
use backsight_lang::ast::{Expr, ExprKind, Item, Stats};
use num_bigint::BigInt;
use std::cmp::Ordering;

/// Names of the aggregates the interpreter knows, in lower case.
const AGGREGATES: &[&str] = &[
    "count",
    "count_distinct",
    "countdistinct",
    "sum",
    "avg",
    "min",
    "max",
    "pct",
    "median",
    "variance",
    "stddev",
    "earliest",
    "latest",
    "sortsfirst",
    "sortslast",
    "values",
    "collect_values",
    "topk",
    "countif",
];

/// The rows of the groups, in order of their keys.
pub fn group(world: &World<'_>, stats: &Stats, rows: &[Row], grouped: bool) -> Outcome<Vec<Row>> {
    if stats.offset.is_some() {
        return unsupported("`offset`");
    }
    // A group is known by the texts of its keys; null has none and is a group of its own.
    let mut groups: Vec<(Vec<V>, Vec<Row>)> = Vec::new();
    for row in rows {
        let env = Env { world, row, grouped, members: None };
        let keys = stats.by.iter().map(|item| env.eval(&item.expr)).collect::<Outcome<Vec<V>>>()?;
        let texts = |keys: &[V]| keys.iter().map(V::text).collect::<Vec<_>>();
        match groups.iter_mut().find(|(k, _)| texts(k) == texts(&keys)) {
            Some((known, members)) => {
                for (known, key) in known.iter_mut().zip(keys) {
                    if key.kind() < known.kind() {
                        *known = key;
                    }
                }
                members.push(row.clone());
            }
            None => groups.push((keys, vec![row.clone()])),
        }
    }
    if stats.by.is_empty() && groups.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    groups.sort_by(|(a, _), (b, _)| {
        let orders = a.iter().zip(b).map(|(a, b)| group_order(a, b));
        orders.fold(Ordering::Equal, Ordering::then)
    });
    groups.into_iter().enumerate().map(|(at, (keys, members))| one(world, stats, at, keys, &members, grouped)).collect()
}

/// The row of a group: keys, then items, which may use keys and earlier items.
fn one(world: &World<'_>, stats: &Stats, at: usize, keys: Vec<V>, members: &[Row], grouped: bool) -> Outcome<Row> {
    let mut row = Row { made: Vec::new(), event: Vec::new(), time: V::Null, place: vec![at], beside: None };
    for (item, key) in stats.by.iter().zip(keys) {
        row.set(item.name(), key);
    }
    for item in &stats.items {
        let env = Env { world, row: &row, grouped: true, members: Some((members, grouped)) };
        let value = env.eval(&item.expr)?;
        row.set(item.name(), value);
    }
    Ok(row)
}

/// The columns that a `stats` shows.
pub fn columns(stats: &Stats) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in stats.by.iter().chain(&stats.items).map(Item::name) {
        if !names.iter().any(|n| n == name) {
            names.push(name.into());
        }
    }
    names
}

/// The value of an aggregate over rows; `None` for a function that is none.
pub fn aggregate(world: &World<'_>, rows: &[Row], grouped: bool, name: &str, args: &[Expr]) -> Outcome<Option<V>> {
    if !AGGREGATES.contains(&name) {
        return Ok(None);
    }
    let argument = |expr: &Expr| {
        let value = |row| Env { world, row, grouped, members: None }.eval(expr);
        rows.iter().map(value).collect::<Outcome<Vec<V>>>()
    };
    let of = |at: usize| -> Outcome<Vec<V>> {
        match args.get(at) {
            Some(expr) => Ok(argument(expr)?.into_iter().filter(|v| !v.is_null()).collect()),
            None => Ok(Vec::new()),
        }
    };
    let numeric = |values: Vec<V>| values.into_iter().filter(|v| v.number().is_some()).collect::<Vec<V>>();
    // Sums take integers beyond 64 bits exactly; their squares count as floats. The language says neither.
    let exact = |values: &[V]| values.iter().filter_map(V::number_or_bool).collect::<Vec<N>>();
    let reckoned = |values: &[V]| values.iter().filter_map(V::operand).collect::<Vec<N>>();
    Ok(Some(match name {
        "count" if args.is_empty() => V::int(rows.len()),
        "count" => V::int(of(0)?.len()),
        "countif" => V::int(argument(&args[0])?.iter().filter(|v| v.is_true()).count()),
        "count_distinct" | "countdistinct" => V::int(distinct(&of(0)?).len()),
        "sum" => sum(&exact(&of(0)?)),
        "avg" => average(&exact(&of(0)?)),
        "variance" => variance(&reckoned(&of(0)?)).map_or(V::Null, V::float),
        "stddev" => variance(&reckoned(&of(0)?)).map_or(V::Null, |v| V::float(v.sqrt())),
        "min" | "max" => {
            let values = of(0)?;
            let numbers = numeric(values.clone());
            pick(if numbers.is_empty() { values } else { numbers }, name == "max")
        }
        "sortsfirst" | "sortslast" => pick(of(0)?, name == "sortslast"),
        "pct" => rank(numeric(of(0)?), &literal(&args[1])?),
        "median" => rank(numeric(of(0)?), "50"),
        "earliest" | "latest" => {
            // Of the same time, the first or last as the rows stand.
            let mut best: Option<(i64, V)> = None;
            for (row, value) in rows.iter().zip(argument(&args[0])?) {
                let V::Time(time) = timestamp(row) else { continue };
                if value.is_null() {
                    continue;
                }
                let better = best.as_ref().is_none_or(|(t, _)| if name == "earliest" { time < *t } else { time >= *t });
                if better {
                    best = Some((time, value));
                }
            }
            best.map_or(V::Null, |(_, value)| value)
        }
        "values" | "collect_values" => {
            let mut texts = distinct(&of(0)?);
            texts.sort_by(total_order);
            if let Some(most) = args.get(1) {
                texts.truncate(literal(most)?.parse().map_err(|_| "a computed count")?);
            }
            V::List(texts)
        }
        _ => {
            let wanted: usize = literal(&args[0])?.parse().map_err(|_| "a computed count")?;
            let values = of(1)?;
            let mut texts = distinct(&values);
            let times = |text: &V| values.iter().filter(|v| v.text() == text.text()).count();
            texts.sort_by(|a, b| times(b).cmp(&times(a)).then_with(|| total_order(a, b)));
            texts.truncate(wanted);
            V::List(texts)
        }
    }))
}

fn timestamp(row: &Row) -> V {
    let event = || row.event.iter().find(|(k, _)| k == "@timestamp").map(|(_, v)| v);
    row.made("@timestamp").or_else(event).cloned().unwrap_or(V::Null)
}

fn literal(expr: &Expr) -> Outcome<String> {
    match &expr.kind {
        ExprKind::Number(digits) => Ok(digits.clone()),
        _ => unsupported("a computed number"),
    }
}

/// The distinct canonical texts, as strings.
fn distinct(values: &[V]) -> Vec<V> {
    let mut texts: Vec<String> = values.iter().filter_map(V::text).collect();
    texts.sort();
    texts.dedup();
    texts.into_iter().map(V::String).collect()
}

/// The first or last value in sort order, equals ordered by text.
fn pick(values: Vec<V>, last: bool) -> V {
    let best = values.into_iter().reduce(|a, b| match total_order(&a, &b) {
        Ordering::Greater if !last => b,
        Ordering::Less if last => b,
        _ => a,
    });
    best.unwrap_or(V::Null)
}

/// Nearest rank: of n values ascending, number ⌈p·n/100⌉, at least 1.
fn rank(mut values: Vec<V>, percent: &str) -> V {
    values.sort_by(total_order);
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().expect("a plain number");
    let scale = 100 * 10u128.pow(fraction.len() as u32);
    let at = (digits * values.len() as u128).div_ceil(scale).max(1) as usize;
    values.get(at - 1).cloned().unwrap_or(V::Null)
}

/// All numbers are whole; otherwise the float nearest to the exact sum.
fn sum(numbers: &[N]) -> V {
    match (numbers, whole(numbers)) {
        ([], _) => V::Null,
        (_, Some(total)) => V::int(total),
        (all, None) => V::float(nearest(&scaled_sum(all), &(BigInt::from(1) << 1074))),
    }
}

fn average(numbers: &[N]) -> V {
    let count = BigInt::from(numbers.len());
    match (numbers, whole(numbers)) {
        ([], _) => V::Null,
        (_, Some(total)) if &total % &count == BigInt::ZERO => V::int(total / count),
        (_, Some(total)) => V::float(nearest(&total, &count)),
        (all, None) => V::float(nearest(&scaled_sum(all), &(count << 1074))),
    }
}

/// The sum of whole numbers.
fn whole(numbers: &[N]) -> Option<BigInt> {
    numbers.iter().try_fold(BigInt::ZERO, |total, n| match n {
        N::Int(n) => Some(total + n),
        N::Float(_) => None,
    })
}

fn scaled_sum(numbers: &[N]) -> BigInt {
    numbers.iter().map(N::scaled).sum()
}

/// Population variance: (n·Σx² − (Σx)²) / n², exact and rounded once.
fn variance(numbers: &[N]) -> Option<f64> {
    let count = BigInt::from(numbers.len());
    let total = scaled_sum(numbers);
    let squares: BigInt = numbers.iter().map(|n| n.scaled() * n.scaled()).sum();
    let divisor = (&count * &count) << 2148;
    (!numbers.is_empty()).then(|| nearest(&(count * squares - &total * &total), &divisor))
}
