//! Commands that hold a row against earlier ones: `accum`, `autoregress`, `baseline`, `firstseen`.

use super::compare::total_order;
use super::expr::arithmetic;
use super::stages::State;
use super::value::{V, read_time};
use super::{Outcome, Row, unsupported};
use backsight_lang::ast::{BinaryOp, Expr, Name, Path, Text};
use std::cmp::Ordering;

impl State<'_> {
    /// The texts of each row's keys; `None` where one is null.
    fn keys(&self, by: &[Path]) -> Vec<Option<Vec<String>>> {
        self.rows.iter().map(|row| by.iter().map(|k| row.path(k, self.grouped).text()).collect()).collect()
    }

    /// For each row the rows before it that have its keys, the nearest first; `None` for a row with a null key.
    fn earlier(&self, by: &[Path]) -> Vec<Option<Vec<usize>>> {
        let keys = self.keys(by);
        let same = |at: usize| (0..at).rev().filter(|before| keys[*before] == keys[at]).collect();
        (0..keys.len()).map(|at| keys[at].is_some().then(|| same(at))).collect()
    }

    fn values(&self, field: &Path) -> Vec<V> {
        self.rows.iter().map(|row| row.path(field, self.grouped)).collect()
    }

    fn put(&mut self, name: &str, cells: Vec<V>) {
        self.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.set(name, cell));
        self.append([name]);
    }

    /// Unlike that of `stats`, a running sum is one addition after another.
    pub(super) fn accum(&mut self, field: &Path, alias: Option<&Name>, by: &[Path]) {
        self.ascending();
        let values = self.values(field);
        let add = |total: V, value: &V| match value.operand() {
            Some(n) if total.is_null() => n.value(),
            Some(n) => arithmetic(BinaryOp::Add, &total, &n.value()),
            None => total,
        };
        let sum = |(at, earlier): (usize, Option<Vec<usize>>)| {
            earlier.map_or(V::Null, |before| {
                let upto_here = before.iter().rev().chain([&at]);
                upto_here.fold(V::Null, |total, at| add(total, &values[*at]))
            })
        };
        let sums = self.earlier(by).into_iter().enumerate().map(sum).collect();
        self.put(&alias.map_or_else(|| format!("accum_{}", field.text()), |a| a.text.clone()), sums);
    }

    pub(super) fn autoregress(&mut self, field: &Path, alias: Option<&Name>, (from, to): (u64, u64), by: &[Path]) {
        self.ascending();
        let (values, earlier) = (self.values(field), self.earlier(by));
        for lag in from..=to {
            let name = match alias {
                Some(alias) if from == to => alias.text.clone(),
                Some(alias) => format!("{}_p{lag}", alias.text),
                None => format!("{}_p{lag}", field.text()),
            };
            let before = |before: &Option<Vec<usize>>| {
                before.as_ref().and_then(|b| b.get(lag as usize - 1)).map_or(V::Null, |at| values[*at].clone())
            };
            let cells = earlier.iter().map(before).collect();
            self.put(&name, cells);
        }
    }

    /// Median, median distance from it, and number of the numbers in the key's earlier rows.
    pub(super) fn baseline(&mut self, field: &Path, alias: Option<&Name>, by: &[Path]) {
        self.ascending();
        let values = self.values(field);
        let median = |mut sorted: Vec<V>| {
            sorted.sort_by(total_order);
            sorted.get(sorted.len().div_ceil(2).saturating_sub(1)).cloned().unwrap_or(V::Null)
        };
        let (mut medians, mut distances, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for earlier in self.earlier(by) {
            let past: Option<Vec<V>> = earlier
                .map(|rows| rows.iter().map(|at| values[*at].clone()).filter(|v| v.number().is_some()).collect());
            let middle = past.clone().map_or(V::Null, median);
            let distance = |v: &V| {
                let difference = arithmetic(BinaryOp::Sub, v, &middle);
                let negative = total_order(&difference, &V::int(0)) == Ordering::Less;
                if negative { arithmetic(BinaryOp::Sub, &V::int(0), &difference) } else { difference }
            };
            distances.push(past.as_ref().map_or(V::Null, |past| median(past.iter().map(distance).collect())));
            medians.push(middle);
            counts.push(past.map_or(V::Null, |past| V::int(past.len())));
        }
        let name = alias.map_or_else(|| field.text(), |a| a.text.clone());
        self.put(&format!("{name}_median"), medians);
        self.put(&format!("{name}_mad"), distances);
        self.put(&format!("{name}_past"), counts);
    }

    pub(super) fn first_seen(
        &mut self,
        fields: &[Path],
        by: &[Path],
        history: Option<&Expr>,
        after: Option<&Text>,
    ) -> Outcome<()> {
        let all: Vec<Path> = by.iter().chain(fields).cloned().collect();
        // The boundary counts from the first event there is, whatever a filter has left of it.
        let first_event = self.world.events.iter().filter_map(|e| e.time.millis()).min();
        let bound = match (history, after) {
            (Some(period), _) => {
                let Some(row) = self.world.events.first() else { return unsupported("a history of nothing") };
                let length = self.env(row).period(period)?.millis().ok_or("a calendar period")?;
                Some(first_event.map(|t| t + length))
            }
            (None, Some(text)) => match read_time(&text.text) {
                Some(t) => Some(Some(t)),
                None => return unsupported("a relative time"),
            },
            (None, None) => None,
        };
        let mut groups: Vec<(Vec<V>, Vec<i64>, usize)> = Vec::new();
        let texts = |keys: &[V]| keys.iter().map(V::text).collect::<Vec<_>>();
        for row in &self.rows {
            let keys: Vec<V> = all.iter().map(|f| row.path(f, self.grouped)).collect();
            let at = groups.iter().position(|g| texts(&g.0) == texts(&keys)).unwrap_or_else(|| {
                groups.push((keys.clone(), Vec::new(), 0));
                groups.len() - 1
            });
            let group = &mut groups[at];
            for (known, key) in group.0.iter_mut().zip(keys) {
                if key.kind() < known.kind() {
                    *known = key;
                }
            }
            group.1.extend(row.shown("@timestamp").millis());
            group.2 += 1;
        }
        let first = |g: &(Vec<V>, Vec<i64>, usize)| g.1.iter().min().copied();
        let time = |t: Option<i64>| t.map_or(V::Null, V::Time);
        let mut rows = Vec::new();
        for group in &groups {
            if bound.is_some_and(|bound| bound.is_none() || first(group) < bound) {
                continue;
            }
            let mut cells = group.0.clone();
            cells.extend([time(first(group)), time(group.1.iter().max().copied()), V::int(group.2)]);
            if !by.is_empty() {
                let mine = texts(&group.0[..by.len()]);
                let limit = bound.unwrap_or(first(group));
                let same_key = groups.iter().filter(|g| texts(&g.0[..by.len()]) == mine);
                let known = same_key.filter(|g| first(g).is_some() && first(g) < limit).count();
                let unknown = limit.is_none() || mine.iter().any(Option::is_none);
                cells.push(if unknown { V::Null } else { V::int(known) });
            }
            rows.push(cells);
        }
        // By first time, then keys.
        let n = all.len();
        rows.sort_by(|a, b| {
            let orders = [n].into_iter().chain(0..n).map(|at| total_order(&a[at], &b[at]));
            orders.fold(Ordering::Equal, Ordering::then)
        });
        let mut columns: Vec<String> = all.iter().map(Path::text).collect();
        columns.extend(["first_time", "last_time", "events"].map(String::from));
        if !by.is_empty() {
            columns.push("known".into());
        }
        let row = |(at, cells): (usize, Vec<V>)| Row {
            made: columns.iter().cloned().zip(cells).collect(),
            event: Vec::new(),
            time: V::Null,
            place: vec![at],
            beside: None,
        };
        self.rows = rows.into_iter().enumerate().map(row).collect();
        self.reshaped(columns);
        Ok(())
    }
}
