//! Commands that make other rows of the rows: `pattern`, `diff`, `logcompare`, `burst`, `sequence`, `addtotals`, `union`.

use super::compare::{order, sort_order, total_order};
use super::expr::arithmetic;
use super::stages::{self, State};
use super::stats;
use super::value::V;
use super::{Outcome, Row, unsupported};
use backsight_lang::ast::{BinaryOp, Expr, ExprKind, Path, Query, Setting, Step};
use regex::Regex;
use std::cmp::Ordering;

/// A row's keys and its time.
type Event = (Vec<V>, i64, usize);

impl State<'_> {
    /// From here on there are only these rows, which stand in their order.
    pub(super) fn replace(&mut self, columns: Vec<String>, rows: Vec<Vec<V>>) {
        let row = |(at, cells): (usize, Vec<V>)| Row {
            made: columns.iter().cloned().zip(cells).collect(),
            event: Vec::new(),
            time: V::Null,
            place: vec![at],
            beside: None,
        };
        self.rows = rows.into_iter().enumerate().map(row).collect();
        self.reshaped(columns);
    }

    /// The pattern of a text in each row that has one, and the row.
    fn patterns(&self, text: &Expr) -> Outcome<Vec<(String, Row)>> {
        let mut found = Vec::new();
        for row in &self.rows {
            if let Some(text) = self.env(row).eval(text)?.scalar() {
                found.push((masked(&text), row.clone()));
            }
        }
        Ok(found)
    }

    pub(super) fn pattern(&mut self, text: &Expr) -> Outcome<()> {
        let found = self.patterns(text)?;
        let mut counts: Vec<(String, usize)> = Vec::new();
        for (pattern, _) in &found {
            match counts.iter_mut().find(|(p, _)| p == pattern) {
                Some((_, count)) => *count += 1,
                None => counts.push((pattern.clone(), 1)),
            }
        }
        counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| total_order(&V::string(a), &V::string(b))));
        let row = |(pattern, count): (String, usize)| {
            let ratio = arithmetic(BinaryOp::Div, &V::int(count), &V::int(found.len()));
            let lower = pattern.to_lowercase();
            let label = [("error", "ERROR"), ("warn", "WARN"), ("", "INFO")];
            let label = label.iter().find(|(word, _)| lower.contains(word)).expect("the empty word").1;
            vec![V::string(pattern), ratio, V::int(count), V::string(label)]
        };
        let columns = ["@pattern", "@ratio", "@sampleCount", "@severityLabel"].map(String::from).to_vec();
        let rows = counts.into_iter().map(row).collect();
        self.replace(columns, rows);
        Ok(())
    }

    /// Patterns of two windows of time: the second half of all events and the first, or the last so many milliseconds
    /// and those before.
    pub(super) fn diff(&mut self, back: Option<&Expr>) -> Outcome<()> {
        let times: Vec<i64> = self.world.events.iter().filter_map(|e| e.time.millis()).collect();
        let (first, end) = (times.iter().min().copied().unwrap_or(0), times.iter().max().map_or(0, |t| t + 1));
        let length = match (back, self.world.events.first()) {
            (Some(back), Some(row)) => self.env(row).period(back)?.millis().ok_or("a calendar period")?,
            _ => end - (first + (end - first) / 2),
        };
        let text = match self.compared.take() {
            Some(text) => text,
            None => match &backsight_lang::parse("filter @message").query.stages[0].kind {
                backsight_lang::ast::StageKind::Filter(text) => text.clone(),
                _ => return unsupported("no text"),
            },
        };
        let mut counts: Vec<(String, i64, i64)> = Vec::new();
        for (pattern, row) in self.patterns(&text)? {
            let age = match row.shown("@timestamp").millis() {
                Some(t) => end - t,
                None => continue,
            };
            // A window ends before its end.
            if age <= 0 || age > 2 * length {
                continue;
            }
            let at = counts.iter().position(|(p, ..)| *p == pattern).unwrap_or_else(|| {
                counts.push((pattern, 0, 0));
                counts.len() - 1
            });
            if age <= length { counts[at].1 += 1 } else { counts[at].2 += 1 }
        }
        counts.sort_by(|a, b| {
            let change = |c: &(String, i64, i64)| (c.1 - c.2).abs();
            change(b).cmp(&change(a)).then_with(|| total_order(&V::string(&a.0), &V::string(&b.0)))
        });
        let columns = ["@pattern", "@sampleCount", "@previousCount", "@difference"].map(String::from).to_vec();
        let row = |(p, m, n): (String, i64, i64)| vec![V::string(p), V::int(m), V::int(n), V::int(m - n)];
        let rows = counts.into_iter().map(row).collect();
        self.replace(columns, rows);
        Ok(())
    }

    /// The events of each identity without a null, in ascending time; ties in the order of rows.
    fn by_identity(&self, keys: &[Path]) -> Vec<Vec<Event>> {
        let mut groups: Vec<Vec<Event>> = Vec::new();
        let texts = |keys: &[V]| keys.iter().map(V::text).collect::<Vec<_>>();
        for (at, row) in self.rows.iter().enumerate() {
            let identity: Vec<V> = keys.iter().map(|k| row.path(k, self.grouped)).collect();
            let (false, Some(time)) = (identity.iter().any(V::is_null), row.shown("@timestamp").millis()) else {
                continue;
            };
            let event = (identity, time, at);
            match groups.iter_mut().find(|g| texts(&g[0].0) == texts(&event.0)) {
                Some(group) => group.push(event),
                None => groups.push(vec![event]),
            }
        }
        groups.iter_mut().for_each(|group| group.sort_by_key(|event| event.1));
        groups
    }

    /// Rows of identities: by the first column after the keys, then by the texts of the keys.
    fn replace_by_identity(&mut self, keys: &[Path], columns: &[&str], mut rows: Vec<Vec<V>>) {
        let n = keys.len();
        let text = |v: &V| V::string(v.text().unwrap_or_default());
        rows.iter_mut().for_each(|row| row[..n].iter_mut().for_each(|key| *key = text(key)));
        rows.sort_by(|a, b| {
            let orders = [n].into_iter().chain(0..n).map(|at| total_order(&a[at], &b[at]));
            orders.fold(Ordering::Equal, Ordering::then)
        });
        let names = keys.iter().map(Path::text).chain(columns.iter().map(|c| c.to_string())).collect();
        self.replace(names, rows);
    }

    pub(super) fn burst(
        &mut self,
        keys: &[Path],
        within: &Expr,
        value: &Expr,
        op: BinaryOp,
        bound: &Expr,
    ) -> Outcome<()> {
        self.ascending();
        let mut rows = Vec::new();
        for events in self.by_identity(keys) {
            let env = self.env(&self.rows[events[0].2]);
            let (length, bound) = (env.period(within)?.millis().ok_or("a calendar period")?, env.eval(bound)?);
            // Hot windows: start, end, the first event in it, what was measured.
            let mut bursts: Vec<(i64, i64, V)> = Vec::new();
            let mut last: Option<i64> = None;
            for (_, t, _) in &events {
                if last.replace(*t) == Some(*t) {
                    continue;
                }
                let window: Vec<&Event> = events.iter().filter(|e| e.1 > t - length && e.1 <= *t).collect();
                let members: Vec<Row> = window.iter().map(|e| self.rows[e.2].clone()).collect();
                let measured = match &value.kind {
                    ExprKind::Call { star: true, .. } => V::int(members.len()),
                    ExprKind::Call { name, args, .. } => {
                        let name = name.text.to_lowercase();
                        let value = stats::aggregate(self.world, &members, self.grouped, &name, args)?;
                        value.ok_or("an aggregate that is none")?
                    }
                    _ => return unsupported("no aggregate"),
                };
                let hot = match (op, order(&measured, &bound)) {
                    (_, None) => false,
                    (BinaryOp::Ge, Some(o)) => o != Ordering::Less,
                    (BinaryOp::Gt, Some(o)) => o == Ordering::Greater,
                    (BinaryOp::Le, Some(o)) => o != Ordering::Greater,
                    (BinaryOp::Lt, Some(o)) => o == Ordering::Less,
                    (BinaryOp::Eq, Some(o)) => o == Ordering::Equal,
                    (_, Some(o)) => o != Ordering::Equal,
                };
                if !hot {
                    continue;
                }
                match bursts.last_mut() {
                    Some((_, end, peak)) if t - length <= *end => {
                        *end = *t;
                        if total_order(peak, &measured) == Ordering::Less {
                            *peak = measured;
                        }
                    }
                    _ => bursts.push((window[0].1, *t, measured)),
                }
            }
            for (start, end, peak) in bursts {
                let count = events.iter().filter(|e| e.1 >= start && e.1 <= end).count();
                let mut row = events[0].0.clone();
                row.extend([V::Time(start), V::Time(end), V::int(count), peak]);
                rows.push(row);
            }
        }
        self.replace_by_identity(keys, &["burst_start", "burst_end", "events", "peak"], rows);
        Ok(())
    }

    pub(super) fn sequence(&mut self, keys: &[Path], within: &Expr, steps: &[Step]) -> Outcome<()> {
        self.ascending();
        let mut rows = Vec::new();
        for events in self.by_identity(keys) {
            let length = self.env(&self.rows[events[0].2]).period(within)?.millis().ok_or("a calendar period")?;
            let mut wanted: Vec<(usize, String)> = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                let least = match step.at_least.as_ref().map(|e| &e.kind) {
                    None => 1,
                    Some(ExprKind::Number(digits)) => digits.parse().map_err(|_| "a number that is none")?,
                    Some(_) => return unsupported("a computed number of steps"),
                };
                wanted.extend((0..least).map(|_| (number, step.name.text.clone())));
            }
            let mut from = 0;
            'start: while from < events.len() {
                // Each event wanted is the next that fits; all of them within the time of the first.
                let (mut at, mut taken) = (from, Vec::new());
                for (step, _) in &wanted {
                    loop {
                        let Some(event) = events.get(at) else {
                            from += 1;
                            continue 'start;
                        };
                        let start = *taken.first().unwrap_or(&event.1);
                        if event.1 - start > length || (taken.is_empty() && at > from) {
                            from += 1;
                            continue 'start;
                        }
                        at += 1;
                        if self.env(&self.rows[event.2]).eval(&steps[*step].condition)?.is_true() {
                            taken.push(event.1);
                            break;
                        }
                    }
                }
                let mut row = events[0].0.clone();
                row.extend([V::Time(taken[0]), V::Time(taken[taken.len() - 1]), V::int(taken.len())]);
                for number in 0..steps.len() {
                    let last = wanted.iter().rposition(|(step, _)| *step == number).expect("each is wanted");
                    row.push(V::Time(taken[last]));
                }
                rows.push(row);
                from = at;
            }
        }
        let times: Vec<String> = steps.iter().map(|s| format!("{}_time", s.name.text)).collect();
        let columns = ["seq_start", "seq_end", "events"].into_iter().chain(times.iter().map(String::as_str));
        self.replace_by_identity(keys, &columns.collect::<Vec<_>>(), rows);
        Ok(())
    }

    pub(super) fn add_totals(&mut self, options: &[Setting], fields: &[Path]) {
        let (mut name, mut in_rows, mut in_columns) = ("Total".to_string(), true, false);
        for option in options {
            let on = matches!(option.value.text.as_str(), "true" | "1");
            match option.key.text.as_str() {
                "fieldname" => name = option.value.text.clone(),
                "row" => in_rows = on,
                _ => in_columns = on,
            }
        }
        let names: Vec<String> =
            if fields.is_empty() { self.shown.clone() } else { fields.iter().map(Path::text).collect() };
        let cell = |row: &Row, at: usize| match fields.get(at) {
            Some(path) => row.path(path, self.grouped),
            None => row.shown(&names[at]),
        };
        // Numbers and their texts; times, and texts that are no numbers, count nothing.
        let total = |cells: Vec<V>| {
            let numbers = cells.into_iter().filter(|v| v.number().is_some() && v.millis().is_none());
            numbers.fold(V::int(0), |sum, v| arithmetic(BinaryOp::Add, &sum, &v))
        };
        let has_number =
            |at: usize| self.rows.iter().any(|r| cell(r, at).number().is_some() && cell(r, at).millis().is_none());
        let of_columns: Vec<(String, V)> = (0..names.len())
            .filter(|at| !fields.is_empty() || has_number(*at))
            .map(|at| (names[at].clone(), total(self.rows.iter().map(|r| cell(r, at)).collect())))
            .collect();
        let of_rows: Vec<V> =
            self.rows.iter().map(|r| total((0..names.len()).map(|at| cell(r, at)).collect())).collect();
        if in_rows {
            self.rows.iter_mut().zip(of_rows).for_each(|(row, sum)| row.set(&name, sum));
        }
        if in_columns {
            let mut made = of_columns.clone();
            if in_rows {
                made.push((name.clone(), total(of_columns.into_iter().map(|(_, sum)| sum).collect())));
            }
            let others = self.rows.iter().flat_map(|row| row.made.iter().map(|(name, _)| name.clone()));
            for name in others.collect::<std::collections::BTreeSet<_>>() {
                if !made.iter().any(|(known, _)| *known == name) {
                    made.push((name, V::Null));
                }
            }
            let place = vec![usize::MAX, self.rows.len()];
            self.rows.push(Row { made, event: Vec::new(), time: V::Null, place, beside: None });
        }
        if in_rows {
            self.append([name.as_str()]);
        }
    }

    /// Columns by name; newest first again if there is a time, else the rows as they come.
    pub(super) fn union(&mut self, query: &Query) -> Outcome<()> {
        let right = stages::run(self.world, &query.stages)?;
        let mut columns = self.shown.clone();
        columns.extend(right.columns.iter().filter(|c| !self.shown.contains(c)).cloned());
        let mut rows: Vec<Vec<V>> = Vec::new();
        for row in &self.rows {
            let cell = |name: &String| if self.shown.contains(name) { row.shown(name) } else { V::Null };
            rows.push(columns.iter().map(cell).collect());
        }
        for row in &right.rows {
            let cell =
                |name: &String| right.columns.iter().position(|c| c == name).map_or(V::Null, |at| row[at].clone());
            rows.push(columns.iter().map(cell).collect());
        }
        if let Some(time) = columns.iter().position(|c| c == "@timestamp") {
            rows.sort_by(|a, b| sort_order(&b[time], &a[time]));
        }
        self.replace(columns, rows);
        Ok(())
    }
}

/// Times, addresses, ids and numbers replaced by numbered tokens.
fn masked(text: &str) -> String {
    const LABELS: [(&str, &str); 5] = [
        ("Time", r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2}([.,]\d+)?(Z|[+-]\d{2}:?\d{2})?)?"),
        ("ID", r"^[[:xdigit:]]{8}-[[:xdigit:]]{4}-[[:xdigit:]]{4}-[[:xdigit:]]{4}-[[:xdigit:]]{12}"),
        ("IP", r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"),
        ("ID", r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"),
        ("Number", r"^[0-9]+(\.[0-9]+)?"),
    ];
    let long_enough = |run: &str| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= 8 && digits >= 4 && digits < run.len()
    };
    let (mut out, mut rest, mut count) = (String::new(), text, 0);
    let mut before: Option<char> = None;
    while let Some(first) = rest.chars().next() {
        let starts = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        let found = LABELS.iter().enumerate().filter(|_| starts).find_map(|(at, (label, pattern))| {
            // Digits of the labels are ASCII.
            let regex = Regex::new(&pattern.replace(r"\d", "[0-9]")).expect("a valid expression");
            let length = regex.find(rest)?.end();
            (at != 3 || long_enough(&rest[..length])).then_some((label, length))
        });
        let length = match found {
            Some((label, length)) => {
                count += 1;
                out.push_str(&format!("<{label}-{count}>"));
                length
            }
            None => {
                out.push(first);
                first.len_utf8()
            }
        };
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    out
}
