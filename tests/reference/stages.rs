//! Commands: each maps a table of rows to a table of rows.

use super::compare::{group_order, sort_order};
use super::expr::{Env, walk};
use super::stats;
use super::value::{V, read_json};
use super::{Outcome, Row, World, unsupported};
use backsight_lang::ast::{
    Expr, ExprKind, GlobName, Item, LetValue, Name, Parse, ParseHow, Path, SortKey, Stage, StageKind,
};
use backsight_lang::glob::Glob;
use regex::Regex;
use std::cmp::Ordering;

/// Columns and rows as values.
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<V>>,
}

/// The state between two commands.
pub(super) struct State<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) rows: Vec<Row>,
    /// Columns shown.
    pub(super) shown: Vec<String>,
    /// A `fields` of this stage has replaced the default columns.
    chosen: bool,
    /// A `display` of this stage has fixed the columns.
    fixed: bool,
    /// A `stats` came before: only made fields exist.
    pub(super) grouped: bool,
    /// Columns of the last `stats` that are a `bin()`, which `sort @timestamp` may mean.
    bins: Vec<String>,
    /// The first of them, and its length in milliseconds where that is fixed.
    pub(super) every: Option<(String, i64)>,
    /// The group keys of the last `stats`.
    pub(super) keys: Vec<String>,
    /// A `sort` or `stats` came before, or a command that works in ascending time.
    ordered: bool,
    /// The text of a `pattern` right before a `diff`.
    pub(super) compared: Option<Expr>,
}

/// Runs a pipeline over all events, to the columns it shows.
pub fn run(world: &World<'_>, stages: &[Stage]) -> Outcome<Table> {
    let state = rows(world, stages)?;
    let rows = state.rows.iter().map(|row| state.shown.iter().map(|name| row.shown(name)).collect()).collect();
    Ok(Table { columns: state.shown, rows })
}

/// Runs a pipeline over all events.
pub(super) fn rows<'a>(world: &'a World<'a>, stages: &[Stage]) -> Outcome<State<'a>> {
    let mut rows = world.events.clone();
    // Default order: newest first, no time last, ties in source order.
    rows.sort_by_key(|row| match row.time {
        V::Time(ms) => (0, -ms),
        _ => (1, 0),
    });
    let shown = vec!["@timestamp".to_string(), "@message".to_string()];
    let mut state = State {
        world,
        rows,
        shown,
        chosen: false,
        fixed: false,
        grouped: false,
        bins: Vec::new(),
        every: None,
        keys: Vec::new(),
        ordered: false,
        compared: None,
    };
    for (at, stage) in stages.iter().enumerate() {
        let next = stages.get(at + 1).map(|s| &s.kind);
        match &stage.kind {
            StageKind::Pattern(text) if matches!(next, Some(StageKind::Diff(_) | StageKind::LogCompare(_))) => {
                state.compared = Some(text.clone());
            }
            other => state.apply(other)?,
        }
    }
    Ok(state)
}

impl<'a> State<'a> {
    fn apply(&mut self, kind: &StageKind) -> Outcome<()> {
        match kind {
            StageKind::Fields(items) => {
                self.compute(items)?;
                if !self.chosen && !self.fixed {
                    self.shown.clear();
                }
                self.chosen = true;
                self.append(items.iter().map(Item::name));
            }
            StageKind::Display(items) => {
                self.compute(items)?;
                self.fixed = false;
                self.shown.clear();
                self.append(items.iter().map(Item::name));
                self.fixed = true;
            }
            StageKind::Filter(condition) | StageKind::FilterIndex(condition) => {
                self.rows = self.flat_map(|env| {
                    let keep = env.eval(condition)?.is_true();
                    Ok(keep.then(|| env.row.clone()).into_iter().collect())
                })?;
            }
            StageKind::Stats(stats) => {
                self.rows = stats::group(self.world, stats, &self.rows, self.grouped)?;
                self.reshaped(stats::columns(stats));
                let is_bin = |item: &&Item| matches!(&item.expr.kind, ExprKind::Call { name, .. } if name.text.eq_ignore_ascii_case("bin"));
                self.bins = stats.by.iter().filter(is_bin).map(|item| item.name().to_string()).collect();
                self.keys = stats.by.iter().map(|item| item.name().to_string()).collect();
                self.every = stats.by.iter().find(is_bin).and_then(|item| match &item.expr.kind {
                    ExprKind::Call { args, .. } => match &args.first()?.kind {
                        ExprKind::Duration(length) => Some((item.name().to_string(), length.millis()?)),
                        _ => None,
                    },
                    _ => None,
                });
            }
            StageKind::Sort(keys) => self.sort(keys)?,
            StageKind::Limit { count, .. } => {
                let count = count.as_ref().map_or_else(|| unsupported("no limit"), |e| self.count(e))?;
                self.rows.truncate(count);
            }
            StageKind::Dedup(fields) => self.dedup(fields)?,
            StageKind::Parse(parse) => self.parse(parse)?,
            StageKind::Unnest { list, alias } => self.unnest(list, &alias.text, false)?,
            // "`unnest f into f`": the name as written.
            StageKind::Expand(list) => {
                let name = self.world.text[list.span.start..list.span.end].replace('`', "");
                self.unnest(list, &name, true)?;
            }
            StageKind::Json { field, path, alias } => {
                let steps = backsight_lang::parse(&format!("fields x.{}", path.text));
                let Some(StageKind::Fields(items)) = steps.query.stages.first().map(|s| &s.kind) else {
                    return unsupported("a path that is none");
                };
                let ExprKind::Path(steps) = &items[0].expr.kind else { return unsupported("a path that is none") };
                self.rows = self.flat_map(|env| {
                    let base = match env.row.path(field, env.grouped) {
                        V::String(text) => read_json(&text).unwrap_or(V::Null),
                        other => other,
                    };
                    let mut row = env.row.clone();
                    row.set(&alias.text, walk(&base, &steps.segments[1..]));
                    Ok(vec![row])
                })?;
                self.append([alias.text.as_str()]);
            }
            StageKind::CountFrequent(fields) => self.count_frequent(fields)?,
            StageKind::Accum { field, alias, by } => self.accum(field, alias.as_ref(), by),
            StageKind::Autoregress { field, alias, lags, by, .. } => {
                self.autoregress(field, alias.as_ref(), lags.unwrap_or((1, 1)), by);
            }
            StageKind::Baseline { field, alias, by } => self.baseline(field, alias.as_ref(), by),
            StageKind::FirstSeen { fields, by, history, after } => {
                self.first_seen(fields, by, history.as_ref(), after.as_ref())?;
            }
            StageKind::FillDown(names) => {
                self.ascending();
                let plain = |name: &GlobName| match &name.path {
                    Some(path) => Ok((path.text(), Some(path.clone()))),
                    None => unsupported("`filldown` with `*`"),
                };
                let mut fields = names.iter().map(plain).collect::<Outcome<Vec<_>>>()?;
                if names.is_empty() {
                    fields = self.shown.iter().map(|name| (name.clone(), None)).collect();
                }
                for (name, path) in fields {
                    let mut last = V::Null;
                    for row in &mut self.rows {
                        let value = match &path {
                            Some(path) => row.path(path, self.grouped),
                            None => row.shown(&name),
                        };
                        if !value.is_null() {
                            last = value;
                        }
                        row.set(&name, last.clone());
                    }
                }
            }
            StageKind::Sessionize { fields, maxspan, alias } => self.sessionize(fields, maxspan.as_ref(), alias)?,
            StageKind::Pattern(text) => self.pattern(text)?,
            StageKind::Burst { keys, within, value, op, bound } => self.burst(keys, within, value, *op, bound)?,
            StageKind::Sequence { keys, within, steps } => self.sequence(keys, within, steps)?,
            StageKind::AddTotals { options, fields } => self.add_totals(options, fields),
            StageKind::Union(query) => self.union(query)?,
            StageKind::Join(join) => self.join(join)?,
            StageKind::AppendCols { options, query } => self.append_cols(options, query)?,
            StageKind::FillMissing(with) => self.fill_missing(with)?,
            StageKind::Outlier { options, fields } => self.outlier(options, fields)?,
            StageKind::RelevantFields { fields, condition } => self.relevant_fields(fields, condition)?,
            StageKind::Source(_) => return unsupported("`source`"),
            StageKind::Diff(None) => self.diff(None)?,
            StageKind::LogCompare(back) => self.diff(Some(back))?,
            other => {
                let name = format!("{other:?}");
                return unsupported(name.split([' ', '(']).next().unwrap_or_default());
            }
        }
        Ok(())
    }

    /// A row-reshaping command: only its columns exist from here on, in the order it has made.
    pub(super) fn reshaped(&mut self, columns: Vec<String>) {
        self.shown = columns;
        (self.chosen, self.fixed, self.grouped, self.ordered) = (false, false, true, true);
    }

    /// Shows more columns, unless a `display` has fixed them. A name occurs once.
    pub(super) fn append<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if !self.fixed && !self.shown.iter().any(|n| n == name) {
                self.shown.push(name.to_string());
            }
        }
    }

    pub(super) fn env<'e>(&'e self, row: &'e Row) -> Env<'e> {
        Env { world: self.world, row, grouped: self.grouped, members: None }
    }

    fn flat_map(&self, change: impl Fn(Env<'_>) -> Outcome<Vec<Row>>) -> Outcome<Vec<Row>> {
        let lists = self.rows.iter().map(|row| change(self.env(row))).collect::<Outcome<Vec<_>>>()?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// Evaluates items left to right; a later one sees the earlier ones.
    fn compute(&mut self, items: &[Item]) -> Outcome<()> {
        for item in items {
            self.rows = self.flat_map(|env| {
                let mut row = env.row.clone();
                row.set(item.name(), env.eval(&item.expr)?);
                Ok(vec![row])
            })?;
        }
        Ok(())
    }

    fn count(&self, expr: &Expr) -> Outcome<usize> {
        match &expr.kind {
            ExprKind::Number(digits) => digits.parse().map_err(|_| "a limit that is no number".to_string()),
            ExprKind::Param(name) => match self.world.param(name)? {
                LetValue::One(expr) => self.count(expr),
                LetValue::List(_) => unsupported("a list as a limit"),
            },
            _ => unsupported("a computed limit"),
        }
    }

    fn sort(&mut self, keys: &[SortKey]) -> Outcome<()> {
        let mut decorated = Vec::new();
        for row in &self.rows {
            let mut row = row.clone();
            let mut values = Vec::new();
            for key in keys {
                let value = match (&key.item.expr.kind, &self.bins[..]) {
                    // A published habit: the time that a `stats` dropped means its one `bin()` column, if any.
                    (ExprKind::Path(path), bins)
                        if self.grouped && path.text() == "@timestamp" && row.made("@timestamp").is_none() =>
                    {
                        if let [bin] = bins { row.made(bin).cloned().unwrap_or(V::Null) } else { V::Null }
                    }
                    _ => self.env(&row).eval(&key.item.expr)?,
                };
                if let Some(alias) = &key.item.alias {
                    row.set(&alias.text, value.clone());
                }
                values.push(value);
            }
            decorated.push((values, row));
        }
        decorated.sort_by(|(a, _), (b, _)| {
            let orders = keys.iter().zip(a.iter().zip(b)).map(|(key, (a, b))| match key.descending {
                true => sort_order(b, a),
                false => sort_order(a, b),
            });
            orders.fold(Ordering::Equal, Ordering::then)
        });
        self.rows = decorated.into_iter().map(|(_, row)| row).collect();
        self.ordered = true;
        Ok(())
    }

    /// Order-dependent commands without a `sort` or `stats` before work in ascending time, no time last.
    pub(super) fn ascending(&mut self) {
        if !self.ordered {
            self.rows.sort_by_key(|row| match row.time {
                V::Time(ms) => (0, ms, row.place.clone()),
                _ => (1, 0, row.place.clone()),
            });
            self.ordered = true;
        }
    }

    /// Numbers the sessions of each identity by their start, ties by identity.
    fn sessionize(&mut self, fields: &[Path], maxspan: Option<&Expr>, alias: &Option<Name>) -> Outcome<()> {
        self.ascending();
        let name = alias.as_ref().map_or("session_id", |a| &a.text).to_string();
        // Without any row there is nothing to ask the period of.
        let Some(first) = self.rows.first() else {
            self.append([name.as_str()]);
            return Ok(());
        };
        let longest = match maxspan {
            Some(expr) => self.env(first).period(expr)?.millis().ok_or("a calendar period")?,
            None => 30 * 60_000,
        };
        // Each row's identity and time, in ascending time.
        let mut visits: Vec<(i64, Vec<usize>, Vec<V>, usize)> = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let identity: Vec<V> = fields.iter().map(|f| row.path(f, self.grouped)).collect();
            if let (V::Time(time), false) = (row.shown("@timestamp"), identity.iter().any(V::is_null)) {
                visits.push((time, row.place.clone(), identity, at));
            }
        }
        visits.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let texts = |identity: &[V]| identity.iter().map(V::text).collect::<Vec<_>>();
        // Sessions: identity, start, last time so far, rows.
        let mut sessions: Vec<(Vec<V>, i64, i64, Vec<usize>)> = Vec::new();
        for (time, _, identity, at) in visits {
            let open = sessions.iter_mut().rev().find(|s| texts(&s.0) == texts(&identity));
            match open.filter(|s| time - s.2 <= longest) {
                Some(session) => {
                    session.2 = time;
                    session.3.push(at);
                }
                None => sessions.push((identity, time, time, vec![at])),
            }
        }
        // "Ties by identity": by its text, as what it is known by.
        sessions.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| texts(&a.0).cmp(&texts(&b.0))));
        self.rows.iter_mut().for_each(|row| row.set(&name, V::Null));
        for (number, session) in sessions.iter().enumerate() {
            session.3.iter().for_each(|at| self.rows[*at].set(&name, V::int(number + 1)));
        }
        self.append([name.as_str()]);
        Ok(())
    }

    /// The first row of each combination; rows with a null are all kept.
    fn dedup(&mut self, fields: &[Expr]) -> Outcome<()> {
        let mut seen: Vec<Vec<String>> = Vec::new();
        let mut kept = Vec::new();
        for row in &self.rows {
            let values = fields.iter().map(|e| self.env(row).eval(e)).collect::<Outcome<Vec<V>>>()?;
            match values.iter().map(V::text).collect::<Option<Vec<String>>>() {
                Some(texts) if seen.contains(&texts) => continue,
                Some(texts) => seen.push(texts),
                None => {}
            }
            kept.push(row.clone());
        }
        self.rows = kept;
        Ok(())
    }

    fn unnest(&mut self, list: &Expr, name: &str, read_strings: bool) -> Outcome<()> {
        self.rows = self.flat_map(|env| {
            let items = match env.eval(list)? {
                V::List(items) => items,
                V::String(text) if read_strings => match read_json(&text) {
                    Some(V::List(items)) => items,
                    _ => vec![V::String(text)],
                },
                other => vec![other],
            };
            let copy = |(at, item): (usize, V)| {
                let mut row = env.row.clone();
                row.place.push(at);
                row.set(name, item.settled());
                row
            };
            Ok(items.into_iter().enumerate().map(copy).collect())
        })?;
        self.append([name]);
        Ok(())
    }

    fn parse(&mut self, parse: &Parse) -> Outcome<()> {
        let (regex, multi, names) = match &parse.how {
            ParseHow::Glob(glob) => (glob_regex(&Glob::new(&glob.raw)), false, texts(&parse.names)),
            ParseHow::Regex { regex, multi, .. } => {
                let regex = Regex::new(&regex.source()).map_err(|e| e.to_string())?;
                let named = regex.capture_names().flatten().map(str::to_string).collect();
                (regex, *multi, if parse.names.is_empty() { named } else { texts(&parse.names) })
            }
            ParseHow::Logfmt | ParseHow::Csv => return unsupported("`parse` of logfmt or csv"),
        };
        // With `as`, groups are named in order; otherwise they bear their names.
        let groups: Vec<usize> = match (&parse.how, parse.names.is_empty()) {
            (ParseHow::Regex { .. }, true) => {
                regex.capture_names().enumerate().filter(|(_, name)| name.is_some()).map(|(at, _)| at).collect()
            }
            _ => (1..=names.len()).collect(),
        };
        self.rows = self.flat_map(|env| {
            let message = || env.row.event.iter().find(|(k, _)| k == "@message").map(|(_, v)| v.clone());
            let text = match &parse.field {
                Some(expr) => env.eval(expr)?,
                None => env.row.made("@message").cloned().or_else(message).unwrap_or(V::Null),
            };
            let text = text.scalar();
            let mut matches: Vec<Vec<V>> = Vec::new();
            for found in regex.captures_iter(text.as_deref().unwrap_or_default()) {
                let group = |at: &usize| found.get(*at).map_or(V::Null, |m| V::string(m.as_str()));
                matches.push(groups.iter().map(group).collect());
            }
            if text.is_none() || matches.is_empty() {
                matches = vec![vec![V::Null; names.len()]];
            }
            matches.truncate(if multi { usize::MAX } else { 1 });
            let copy = |(at, values): (usize, Vec<V>)| {
                let mut row = env.row.clone();
                row.place.push(at);
                names.iter().zip(values).for_each(|(name, value)| row.set(name, value));
                row
            };
            Ok(matches.into_iter().enumerate().map(copy).collect())
        })?;
        self.append(names.iter().map(String::as_str));
        Ok(())
    }

    fn count_frequent(&mut self, fields: &[Path]) -> Outcome<()> {
        let mut groups: Vec<(Vec<V>, usize)> = Vec::new();
        for row in &self.rows {
            let keys: Vec<V> = fields.iter().map(|f| row.path(f, self.grouped)).collect();
            let texts = |keys: &[V]| keys.iter().map(V::text).collect::<Vec<_>>();
            match groups.iter_mut().find(|(k, _)| texts(k) == texts(&keys)) {
                Some((known, count)) => {
                    for (known, key) in known.iter_mut().zip(keys) {
                        if key.kind() < known.kind() {
                            *known = key;
                        }
                    }
                    *count += 1;
                }
                None => groups.push((keys, 1)),
            }
        }
        groups.sort_by(|(a, m), (b, n)| {
            let orders = a.iter().zip(b).map(|(a, b)| group_order(a, b));
            n.cmp(m).then(orders.fold(Ordering::Equal, Ordering::then))
        });
        let mut columns: Vec<String> = fields.iter().map(|f| f.text()).collect();
        columns.push("_approxcount".into());
        let row = |(at, (keys, count)): (usize, (Vec<V>, usize))| {
            let values = keys.into_iter().chain([V::int(count)]);
            Row {
                made: columns.iter().cloned().zip(values).collect(),
                event: Vec::new(),
                time: V::Null,
                place: vec![at],
                beside: None,
            }
        };
        self.rows = groups.into_iter().enumerate().map(row).collect();
        self.reshaped(columns);
        Ok(())
    }
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(|n| n.text.clone()).collect()
}

/// The pattern of `parse "…*…"`: stars take as little as possible, one at the end takes the rest.
fn glob_regex(glob: &Glob) -> Regex {
    let mut pattern = String::from("(?s)");
    for (at, literal) in glob.literals.iter().enumerate() {
        let last = at + 1 == glob.literals.len();
        match (at, last && literal.is_empty()) {
            (0, _) => {}
            (_, true) => pattern.push_str("(.*)"),
            (_, false) => pattern.push_str("(.*?)"),
        }
        pattern.push_str(&regex::escape(literal));
    }
    Regex::new(&pattern).expect("a valid expression")
}
