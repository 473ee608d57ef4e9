//! How the commands that look at rows in their order become ops.

use super::lower::{Lowering, TRACE};
use super::ordered::Ordered;
use super::scope::Scope;
use super::{AggCall, Call, CompareOp, Expr, Op, Slot, SortKey};
use crate::source::Field;
use crate::value::Value;
use crate::{agg, func};
use backsight_lang::ast::{self, Duration, ExprKind, Path};
use backsight_lang::span::Span;

impl Lowering<'_> {
    /// Rows in ascending time, null times last, unless `sort` or `stats` ordered them.
    pub(super) fn settle_ascending(&mut self) {
        self.trace_rows();
        if !self.scope.explicit {
            self.scope.explicit = true;
            self.scope.default_order = false;
            self.scope.sorted = false;
            let time = self.scope.field(Field::Timestamp);
            let present = func::find("ispresent").expect("a function of the table");
            let is_present = Expr::Call(Call { function: present, args: vec![Expr::Slot(time)], prepared: vec![None] });
            let absent = self.materialize(Expr::Not(Box::new(is_present)));
            let ascending = |slot| SortKey { slot, descending: false, by_text: false };
            self.scope.order = vec![ascending(absent), ascending(time)];
        }
        self.settle(None);
    }

    /// Traces go into a column, where they are asked for, before rows lose their place in the source.
    fn trace_rows(&mut self) {
        if self.settings.trace && !self.scope.closed && self.scope.created(TRACE).is_none() {
            let time = self.scope.field(Field::Timestamp);
            let output = self.scope.slot();
            self.ops.push(Op::Trace { time, output });
            self.scope.create(TRACE, output);
        }
    }

    pub(super) fn path_slot(&mut self, path: &Path) -> Slot {
        self.slot_of(&ast::Expr { kind: ExprKind::Path(path.clone()), span: path.span })
    }

    pub(super) fn path_slots(&mut self, paths: &[Path]) -> Vec<Slot> {
        paths.iter().map(|p| self.path_slot(p)).collect()
    }

    /// Binds and shows a name that a command made.
    pub(super) fn append(&mut self, name: &str, slot: Slot) {
        self.scope.create(name, slot);
        self.scope.shown.append(&[(name.to_owned(), slot)]);
    }

    pub(super) fn filldown(&mut self, names: &[ast::GlobName]) {
        let shown = self.scope.shown();
        let mut wanted: Vec<(String, Slot)> = Vec::new();
        for name in names {
            match &name.path {
                Some(path) => wanted.push((path.text(), self.path_slot(path))),
                None => wanted.extend(shown.iter().filter(|(n, _)| wildcard(&name.text, n)).cloned()),
            }
        }
        if names.is_empty() {
            wanted = shown.clone();
        }
        wanted.dedup();
        self.settle_ascending();
        let columns: Vec<(Slot, Slot)> = wanted.iter().map(|(_, from)| (*from, self.scope.slot())).collect();
        self.ops.push(Op::Ordered(Ordered::FillDown(columns.clone())));
        for ((name, _), (_, to)) in wanted.iter().zip(columns) {
            self.scope.create(name, to);
            if shown.iter().any(|(n, _)| n == name) {
                self.scope.shown.replace(name, to);
            }
        }
    }

    pub(super) fn sessionize(
        &mut self,
        fields: &[Path],
        maxspan: Option<&ast::Expr>,
        alias: Option<&ast::Name>,
        word: Span,
    ) {
        let gap = match maxspan {
            None => Some(30 * 60_000),
            Some(e) => self.period(e).and_then(Duration::millis),
        };
        let Some(gap) = gap else {
            return self.error("E034", maxspan.map_or(word, |e| e.span), "expected a period such as 5m");
        };
        let keys = self.path_slots(fields);
        let Some(time) = self.time_or_error(word) else { return };
        self.settle_ascending();
        let output = self.scope.slot();
        self.ops.push(Op::Ordered(Ordered::Sessionize { keys, time, gap, output }));
        let name = alias.map_or("session_id", |a| &a.text).to_owned();
        self.append(&name, output);
    }

    fn time_or_error(&mut self, span: Span) -> Option<Slot> {
        let time = self.scope.system(Field::Timestamp);
        if time.is_none() {
            self.error("E014", span, "`@timestamp` is not available after `stats`");
        }
        time
    }

    pub(super) fn addtotals(&mut self, options: &[ast::Setting], fields: &[Path]) {
        let (mut name, mut row, mut column) = ("Total".to_owned(), true, false);
        for option in options {
            match option.key.text.as_str() {
                "fieldname" => name = option.value.text.clone(),
                "row" => row = truth(&option.value.text),
                _ => column = truth(&option.value.text),
            }
        }
        let shown = self.scope.shown();
        let inputs = if fields.is_empty() { shown.iter().map(|(_, s)| *s).collect() } else { self.path_slots(fields) };
        self.settle(None);
        let output = row.then(|| self.scope.slot());
        self.ops.push(Op::Ordered(Ordered::Totals { inputs, numbers_only: fields.is_empty(), row: output, column }));
        if let Some(slot) = output {
            self.append(&name, slot);
        }
    }

    pub(super) fn fillmissing(&mut self, with: &[(ast::Expr, Path)], word: Span) {
        let Some((bin, period)) = self.scope.bin_period() else {
            return self.error("E002", word, "expected a `stats … by bin(…)` before `fillmissing`, found none");
        };
        let keys = self.scope.keys.iter().copied().filter(|s| *s != bin).collect();
        let with = with.iter().map(|(e, p)| (self.path_slot(p), self.literal(e).unwrap_or_default())).collect();
        self.settle(None);
        let range = self.range;
        self.ops.push(Op::Ordered(Ordered::FillMissing { bin, period, keys, with, range }));
        // The new rows stand at the end until the order is made again.
        self.scope.sorted = false;
    }

    pub(super) fn outlier(&mut self, options: &[ast::Setting], fields: &[Path]) {
        let (mut remove, mut param, mut lower, mut mark) = (false, 2.5, false, false);
        for option in options {
            let value = option.value.text.as_str();
            match option.key.text.as_str() {
                "action" => remove = value.eq_ignore_ascii_case("remove") || value.eq_ignore_ascii_case("rm"),
                "param" => match value.parse() {
                    Ok(p) => param = p,
                    Err(_) => self.error("E002", option.value.span, format!("expected a number, found `{value}`")),
                },
                "uselower" => lower = truth(value),
                _ => mark = truth(value),
            }
        }
        self.settle(None);
        let mut columns = Vec::new();
        for path in fields {
            let from = self.path_slot(path);
            let to = self.scope.slot();
            let flag = mark.then(|| self.scope.slot());
            columns.push((path.text(), from, to, flag));
        }
        let slots = columns.iter().map(|(_, from, to, flag)| (*from, *to, *flag)).collect();
        self.ops.push(Op::Ordered(Ordered::Outlier { columns: slots, param, lower, remove }));
        for (name, _, to, flag) in columns {
            self.scope.create(&name, to);
            self.scope.shown.replace(&name, to);
            if let Some(flag) = flag {
                self.append(&format!("{name}_outlier"), flag);
            }
        }
    }

    pub(super) fn burst(
        &mut self,
        keys: &[Path],
        within: &ast::Expr,
        value: &ast::Expr,
        op: ast::BinaryOp,
        bound: &ast::Expr,
    ) {
        let Some(span) = self.period(within).and_then(Duration::millis) else {
            return self.error("E034", within.span, "expected a period such as 5m");
        };
        let Some(call) = self.window_value(value) else { return };
        let Some(op) = CompareOp::of(op) else { return };
        let Some(limit) = self.literal(bound).filter(|v| v.as_ref().number().is_some()) else {
            return self.error("E002", bound.span, "expected a number to compare with");
        };
        let names: Vec<String> = keys.iter().map(Path::text).collect();
        let keys = self.path_slots(keys);
        let Some(time) = self.time_or_error(within.span) else { return };
        self.settle_ascending();
        let trace = self.scope.created(TRACE);
        self.ops.push(Op::Ordered(Ordered::Burst { keys, time, within: span, value: call, op, bound: limit, trace }));
        let mut columns = vec!["burst_start", "burst_end", "events", "peak"];
        columns.extend(trace.map(|_| TRACE));
        self.events_of(names, &columns);
    }

    /// `count` or an aggregate call.
    fn window_value(&mut self, value: &ast::Expr) -> Option<AggCall> {
        let (name, args, star) = match &value.kind {
            ExprKind::Call { name, args, star } => (name.clone(), args.as_slice(), *star),
            ExprKind::Path(path) => (ast::Name { text: path.text(), span: path.span }, &[][..], true),
            _ => (ast::Name { text: String::new(), span: value.span }, &[][..], false),
        };
        match agg::find(&name.text) {
            Some(aggregate) => self.aggregate(aggregate, value, &name, args, star),
            None => {
                self.error("E002", value.span, "expected an aggregate such as `count`");
                None
            }
        }
    }

    pub(super) fn sequence(&mut self, keys: &[Path], within: &ast::Expr, steps: &[ast::Step]) {
        let Some(span) = self.period(within).and_then(Duration::millis) else {
            return self.error("E034", within.span, "expected a period such as 5m");
        };
        let names: Vec<String> = keys.iter().map(Path::text).collect();
        let keys = self.path_slots(keys);
        let conditions: Vec<(Slot, u64)> =
            steps.iter().map(|s| (self.condition_slot(&s.condition), self.repetitions(s.at_least.as_ref()))).collect();
        let Some(time) = self.time_or_error(within.span) else { return };
        // A row that is no step is in no match, and all that remain are held at once.
        self.ops.push(Op::Filter(Expr::Or(conditions.iter().map(|(slot, _)| Expr::Slot(*slot)).collect())));
        self.settle_ascending();
        let trace = self.scope.created(TRACE);
        self.ops.push(Op::Ordered(Ordered::Sequence { keys, time, within: span, steps: conditions, trace }));
        let times: Vec<String> = steps.iter().map(|s| format!("{}_time", s.name.text)).collect();
        let mut columns = vec!["seq_start", "seq_end", "events"];
        columns.extend(times.iter().map(String::as_str));
        columns.extend(trace.map(|_| TRACE));
        self.events_of(names, &columns);
    }

    /// The number of `at least`, 1 without it.
    fn repetitions(&mut self, at_least: Option<&ast::Expr>) -> u64 {
        let Some(e) = at_least else { return 1 };
        match self.literal(e) {
            Some(Value::Int(n @ 1..)) => n as u64,
            // A number beyond 64 bits is more events than there can be.
            Some(Value::Text(..)) if matches!(e.kind, ExprKind::Number(_)) => u64::MAX,
            _ => {
                self.error("E030", e.span, "`at least` needs a whole number of at least 1");
                1
            }
        }
    }

    /// A column that is 1 where a condition is true.
    fn condition_slot(&mut self, e: &ast::Expr) -> Slot {
        let condition = self.row_expr(e);
        self.materialize(Expr::And(vec![condition]))
    }

    /// The scope after a command that gives one row per event group: keys, then its own columns, ordered by the first
    /// of those, then the keys.
    pub(super) fn events_of(&mut self, keys: Vec<String>, columns: &[&str]) {
        let n = keys.len();
        let pairs: Vec<(String, Slot)> = keys
            .into_iter()
            .chain(columns.iter().map(|c| (*c).to_owned()))
            .enumerate()
            .map(|(slot, name)| (name, slot))
            .collect();
        let total = pairs.len();
        let mut scope = Scope::of_slots(pairs, total);
        let key = |slot| SortKey { slot, descending: false, by_text: true };
        scope.order = std::iter::once(n).chain(0..n).map(key).collect();
        self.reshape(scope);
    }

    pub(super) fn count_frequent(&mut self, fields: &[Path]) {
        let names: Vec<String> = fields.iter().map(Path::text).collect();
        let keys = self.path_slots(fields);
        let n = keys.len();
        let aggregate = agg::find("count").expect("an aggregate of the table");
        let call = AggCall {
            aggregate,
            args: Vec::new(),
            time: None,
            settings: agg::Settings { star: true, ..Default::default() },
        };
        self.ops.push(Op::Group { keys, aggs: vec![call], slots: n + 1 });
        self.events_of(names, &["_approxcount"]);
        self.scope.order[0] = SortKey { slot: n, descending: true, by_text: false };
    }
}

/// `true`, `t`, `1`, `yes`, any case.
fn truth(text: &str) -> bool {
    ["true", "t", "1", "yes"].iter().any(|t| text.eq_ignore_ascii_case(t))
}

/// `*` stands for any characters.
fn wildcard(pattern: &str, text: &str) -> bool {
    let pieces: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = pieces.as_slice() else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The period of a `bin()` or `bin`-like call of a group key.
pub(super) fn bin_period(e: &Expr) -> Option<Duration> {
    match e {
        Expr::Call(call) if matches!(call.function.name, "bin" | "datefloor" | "dateceil") => {
            call.prepared.iter().flatten().find_map(|p| match p {
                func::Prepared::Period(d) => Some(*d),
                _ => None,
            })
        }
        Expr::Arithmetic(_, a, _) => bin_period(a),
        _ => None,
    }
}
