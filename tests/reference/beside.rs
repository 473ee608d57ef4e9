//! Commands that put other things beside the rows: `join`, `appendcols`, rows for empty bins, and what all values of a
//! field say of one: `outlier`, `relevantfields`.

use super::compare::{group_order, numbers, sort_order};
use super::stages::{self, State};
use super::value::V;
use super::{Outcome, Row, unsupported};
use backsight_lang::ast::{Expr, Join, Path, Query, Segment, Setting};
use std::cmp::Ordering;

impl State<'_> {
    /// "Null keys never match; one row per pair, left order then right order, default columns stay those of the left."
    /// The sides go by their names alone here: `l.a`, `r.b`.
    pub(super) fn join(&mut self, join: &Join) -> Outcome<()> {
        let (Some(left_name), Some(right_name)) = (&join.left, &join.right) else {
            return unsupported("a side of a `join` without a name");
        };
        let right = stages::rows(self.world, &join.query.stages)?;
        let side = |path: &Path| match path.segments.split_first() {
            Some((Segment::Name { text, .. }, rest)) if !rest.is_empty() => {
                Some((text.clone(), Path { segments: rest.to_vec(), span: path.span }))
            }
            _ => None,
        };
        let (Some((a, first)), Some((_, second))) = (side(&join.on.0), side(&join.on.1)) else {
            return unsupported("a key of a `join` without a side");
        };
        let (on_left, on_right) = if a == left_name.text { (first, second) } else { (second, first) };
        let fields = |row: &Row| V::Map(row.made.iter().chain(&row.event).cloned().collect());
        let mut rows = Vec::new();
        for row in &self.rows {
            let key = row.path(&on_left, self.grouped).text();
            let same = |other: &&Row| key.is_some() && other.path(&on_right, right.grouped).text() == key;
            let mut partners: Vec<Option<&Row>> = right.rows.iter().filter(same).map(Some).collect();
            if partners.is_empty() && join.left_outer {
                partners.push(None);
            }
            for (at, partner) in partners.into_iter().enumerate() {
                let mut pair = row.clone();
                pair.event.push((left_name.text.clone(), fields(row)));
                pair.event.push((right_name.text.clone(), partner.map_or(V::Null, fields)));
                pair.beside = partner.map(fields);
                pair.place.push(at);
                rows.push(pair);
            }
        }
        self.rows = rows;
        Ok(())
    }

    /// "Pastes columns by row position": of columns both have, the left one stays unless `override`.
    pub(super) fn append_cols(&mut self, options: &[Setting], query: &Query) -> Outcome<()> {
        let (mut over, mut max) = (false, usize::MAX);
        for option in options {
            match option.key.text.as_str() {
                "override" => over = matches!(option.value.text.as_str(), "true" | "1"),
                _ => max = option.value.text.parse().map_err(|_| "`max` that is no number".to_string())?,
            }
        }
        let right = stages::run(self.world, &query.stages)?;
        let shown = self.shown.clone();
        for (c, name) in right.columns.iter().enumerate().filter(|(_, name)| over || !shown.contains(name)) {
            for (at, row) in self.rows.iter_mut().enumerate() {
                let there = right.rows.get(at).filter(|_| at < max);
                let own = if shown.contains(name) { row.shown(name) } else { V::Null };
                let value = there.map_or(own, |cells| cells[c].clone());
                row.set(name, value);
            }
            self.append([name.as_str()]);
        }
        Ok(())
    }

    /// "After `stats … by bin()`: adds absent bins between first and last bin; with further group keys, per key
    /// combination; other cells null unless `with`." The order of the groups holds for the new rows, too.
    pub(super) fn fill_missing(&mut self, with: &[(Expr, Path)]) -> Outcome<()> {
        let (Some((bin, every)), keys) = (self.every.clone(), self.keys.clone()) else {
            return unsupported("no `bin()` of a fixed length");
        };
        let others: Vec<&String> = keys.iter().filter(|k| **k != bin).collect();
        let time = |row: &Row| match row.shown(&bin) {
            V::Time(t) => Some(t),
            _ => None,
        };
        let identity = |row: &Row| others.iter().map(|k| row.shown(k)).collect::<Vec<V>>();
        let texts = |values: Vec<V>| values.iter().map(V::text).collect::<Vec<_>>();
        let timed: Vec<Row> = self.rows.iter().filter(|row| time(row).is_some()).cloned().collect();
        let (first, last) = (timed.iter().filter_map(time).min(), timed.iter().filter_map(time).max());
        let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
        let mut identities: Vec<Vec<V>> = Vec::new();
        for row in &timed {
            if !identities.iter().any(|known| texts(known.clone()) == texts(identity(row))) {
                identities.push(identity(row));
            }
        }
        for at in (first..=last).step_by(every as usize) {
            for values in &identities {
                let is_there = |row: &Row| time(row) == Some(at) && texts(identity(row)) == texts(values.clone());
                if timed.iter().any(is_there) {
                    continue;
                }
                let mut row = Row {
                    made: Vec::new(),
                    event: Vec::new(),
                    time: V::Null,
                    place: vec![self.rows.len()],
                    beside: None,
                };
                for (value, path) in with {
                    row.set(&path.text(), self.env(&timed[0]).eval(value)?);
                }
                row.set(&bin, V::Time(at));
                others.iter().zip(values).for_each(|(key, value)| row.set(key, value.clone()));
                self.rows.push(row);
            }
        }
        let by_keys = |a: &Row, b: &Row| {
            let orders = keys.iter().map(|k| group_order(&a.shown(k), &b.shown(k)));
            orders.fold(Ordering::Equal, Ordering::then)
        };
        self.rows.sort_by(by_keys);
        Ok(())
    }

    /// "Per field q1, q3 by `pct`; bound q3 + param·IQR (and q1 − param·IQR with `uselower`), param 2.5; `transform` clamps
    /// (default), `remove` drops, `mark=true` adds `f_outlier` 1/0."
    pub(super) fn outlier(&mut self, options: &[Setting], fields: &[Path]) -> Outcome<()> {
        let (mut remove, mut param, mut lower, mut mark) = (false, 2.5, false, false);
        for option in options {
            let value = option.value.text.as_str();
            match option.key.text.as_str() {
                "action" => remove = value == "remove",
                "param" => param = value.parse().map_err(|_| "`param` that is no number".to_string())?,
                "uselower" => lower = value == "true",
                _ => mark = value == "true",
            }
        }
        let mut dropped = vec![false; self.rows.len()];
        let before: Vec<Vec<V>> =
            fields.iter().map(|f| self.rows.iter().map(|row| row.path(f, self.grouped)).collect()).collect();
        for (field, values) in fields.iter().zip(before) {
            let mut sorted: Vec<_> = values.iter().filter_map(V::number).collect();
            sorted.sort_by(numbers);
            let quartile = |p: usize| (sorted.len() * p).div_ceil(100).max(1) - 1;
            let bounds = (!sorted.is_empty()).then(|| {
                let (q1, q3) = (sorted[quartile(25)].float(), sorted[quartile(75)].float());
                (if lower { q1 - param * (q3 - q1) } else { f64::NEG_INFINITY }, q3 + param * (q3 - q1))
            });
            for (at, value) in values.into_iter().enumerate() {
                let x = value.number().map(|n| n.float());
                let bound = match (bounds, x) {
                    (Some((_, high)), Some(x)) if x > high => Some(high),
                    (Some((low, _)), Some(x)) if x < low => Some(low),
                    _ => None,
                };
                dropped[at] |= remove && bound.is_some();
                let row = &mut self.rows[at];
                row.set(&field.text(), bound.filter(|_| !remove).map_or(value, whole));
                if mark {
                    let flag = if bounds.is_some() { V::int(i64::from(bound.is_some())) } else { V::Null };
                    row.set(&format!("{}_outlier", field.text()), flag);
                }
            }
            if mark {
                self.append([format!("{}_outlier", field.text()).as_str()]);
            }
        }
        let mut dropped = dropped.into_iter();
        self.rows.retain(|_| !dropped.next().unwrap_or(false));
        Ok(())
    }

    /// "Fields ranked by how differently their values are distributed when e holds": Cramér's V without its bias
    /// (Bergsma 2013), no value being a value too.
    pub(super) fn relevant_fields(&mut self, fields: &[Path], condition: &Expr) -> Outcome<()> {
        if fields.is_empty() {
            return unsupported("`relevantfields` of all fields");
        }
        let mut sides = Vec::new();
        for row in &self.rows {
            sides.push(usize::from(!self.env(row).eval(condition)?.is_true()));
        }
        let total = |side: usize| sides.iter().filter(|s| **s == side).count() as f64;
        let totals = [total(0), total(1)];
        let mut rows: Vec<Vec<V>> = Vec::new();
        let mut names: Vec<String> = fields.iter().map(Path::text).collect();
        names.sort();
        names.dedup();
        for name in names {
            let field = fields.iter().find(|f| f.text() == name).expect("one of them");
            let mut counts: Vec<(Option<String>, [f64; 2])> = Vec::new();
            for (row, side) in self.rows.iter().zip(&sides) {
                let text = row.path(field, self.grouped).text();
                match counts.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, both)) => both[*side] += 1.0,
                    None => counts.push((text, if *side == 0 { [1.0, 0.0] } else { [0.0, 1.0] })),
                }
            }
            counts.sort_by(|(a, _), (b, _)| (a.is_none(), a).cmp(&(b.is_none(), b)));
            let share =
                |both: &[f64; 2], side: usize| if totals[side] == 0.0 { 0.0 } else { both[side] / totals[side] };
            let difference = |both: &[f64; 2]| (share(both, 0) - share(both, 1)).abs();
            let mut most: Option<&(Option<String>, [f64; 2])> = None;
            for entry in counts.iter().filter(|(text, _)| text.is_some()) {
                if most.is_none_or(|(_, both)| difference(&entry.1) > difference(both)) {
                    most = Some(entry);
                }
            }
            let cells: Vec<[f64; 2]> = counts.iter().map(|(_, both)| *both).collect();
            let mut row = vec![V::string(name), rounded(association(&cells, totals))];
            match most {
                Some((text, both)) => {
                    row.push(V::string(text.clone().unwrap_or_default()));
                    row.extend([rounded(share(both, 0)), rounded(share(both, 1))]);
                }
                None => row.extend([V::Null, V::Null, V::Null]),
            }
            rows.push(row);
        }
        rows.sort_by(|a, b| sort_order(&b[1], &a[1]).then_with(|| a[0].text().cmp(&b[0].text())));
        let columns = ["@fieldName", "@relevanceScore", "@value", "@share", "@otherShare"].map(String::from);
        self.replace(columns.to_vec(), rows);
        Ok(())
    }
}

/// 0 where values and condition have nothing to do with each other, 1 where one decides the other.
fn association(cells: &[[f64; 2]], totals: [f64; 2]) -> f64 {
    let (n, k) = (totals[0] + totals[1], cells.len() as f64);
    if totals.contains(&0.0) || cells.len() < 2 {
        return 0.0;
    }
    let mut phi = 0.0;
    for both in cells {
        for side in [0, 1] {
            let expected = (both[0] + both[1]) * totals[side] / n;
            phi += (both[side] - expected).powi(2) / expected / n;
        }
    }
    let corrected = (phi - (k - 1.0) / (n - 1.0)).max(0.0);
    let least = (k - (k - 1.0).powi(2) / (n - 1.0)).min(2.0 - 1.0 / (n - 1.0)) - 1.0;
    if least <= 0.0 { 0.0 } else { (corrected / least).sqrt().min(1.0) }
}

fn rounded(x: f64) -> V {
    whole((x * 1e4).round() / 1e4)
}

/// A float, as an integer where it is one.
fn whole(x: f64) -> V {
    if x.fract() == 0.0 && x.abs() < 9e15 { V::int(x as i64) } else { V::float(x) }
}
