//! Groups of texts that differ only in numbers, ids, addresses and times: `pattern`; and how their numbers change from
//! one window of time to another: `diff`, `logcompare`.

use super::call::table_call;
use super::lower::Lowering;
use super::ordered::Ordered;
use super::scope::Scope;
use super::window::{Range, Shift};
use super::{AggCall, CompareOp, Expr, Op, Slot, SortKey};
use crate::agg;
use crate::source::Field;
use crate::value::Value;
use backsight_lang::ast::{self, BinaryOp, ExprKind, Name};
use backsight_lang::diag::Diagnostic;
use backsight_lang::span::Span;

impl Lowering<'_> {
    pub(super) fn pattern(&mut self, e: &ast::Expr) {
        let text = self.row_expr(e);
        let pattern = self.masked(text);
        self.ops.push(Op::Group { keys: vec![pattern], aggs: vec![call("count", Vec::new())], slots: 4 });
        self.ops.push(Op::Ordered(Ordered::Patterns { pattern: 0, count: 1, ratio: 2, severity: 3 }));
        self.patterns(&[("@pattern", 0), ("@ratio", 2), ("@sampleCount", 1), ("@severityLabel", 3)], 1, 4);
    }

    /// The slot of a text's pattern; rows without one are dropped.
    fn masked(&mut self, text: Expr) -> Slot {
        let pattern = self.materialize(table_call("maskPattern", vec![text]));
        self.ops.push(Op::Filter(table_call("ispresent", vec![Expr::Slot(pattern)])));
        pattern
    }

    /// The scope after the patterns are counted: largest of `by` first, ties by the pattern in slot 0.
    fn patterns(&mut self, columns: &[(&str, Slot)], by: Slot, slots: usize) {
        let mut scope = Scope::of_slots(columns.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect(), slots);
        scope.order = vec![
            SortKey { slot: by, descending: true, by_text: false },
            SortKey { slot: 0, descending: false, by_text: true },
        ];
        self.reshape(scope);
    }

    /// `diff [previousDay|previousWeek|previousMonth]`
    pub(super) fn diff(&mut self, period: Option<&Name>, word: Span) {
        let shift = match period.map(|p| p.text.to_ascii_lowercase()).as_deref() {
            None => Shift::Length,
            Some("previousday") => Shift::Millis(86_400_000),
            Some("previousweek") => Shift::Millis(7 * 86_400_000),
            Some(_) => Shift::Month,
        };
        self.compare_patterns(shift, word);
    }

    /// `logcompare timeshift d`
    pub(super) fn log_compare(&mut self, period: &ast::Expr, word: Span) {
        match self.period(period).and_then(Shift::of) {
            Some(shift) => self.compare_patterns(shift, word),
            None => self.error("E034", period.span, "expected a period such as 5m"),
        }
    }

    fn compare_patterns(&mut self, shift: Shift, word: Span) {
        let text = match (self.compared.take(), self.scope.system(Field::Message)) {
            (Some(e), _) => self.row_expr(&e),
            (None, Some(message)) => Expr::Slot(message),
            (None, None) => {
                let error = Diagnostic::error("E014", word, "`@message` is not available after `stats`");
                return self.report(error.help("compare the patterns of another text: `pattern text | diff`"));
            }
        };
        let Some(time) = self.scope.system(Field::Timestamp) else {
            return self.error("E014", word, "`@timestamp` is not available after `stats`");
        };
        let (now, before) = self.windows(shift);
        self.read = Some((now.0.min(before.0), now.1.max(before.1)));
        let [now, before] = [now, before].map(|range| self.materialize(within(time, range)));
        self.ops.push(Op::Filter(Expr::Or(vec![Expr::Slot(now), Expr::Slot(before)])));
        let pattern = self.masked(text);
        let aggs = vec![call("countIf", vec![now]), call("countIf", vec![before])];
        self.ops.push(Op::Group { keys: vec![pattern], aggs, slots: 5 });
        let difference = Expr::Arithmetic(BinaryOp::Sub, Box::new(Expr::Slot(1)), Box::new(Expr::Slot(2)));
        self.ops.push(Op::Extend(vec![(3, difference), (4, table_call("abs", vec![Expr::Slot(3)]))]));
        self.patterns(&[("@pattern", 0), ("@sampleCount", 1), ("@previousCount", 2), ("@difference", 3)], 4, 5);
    }

    /// `relevantfields [f, …] where e`
    pub(super) fn relevant_fields(&mut self, fields: &[ast::Path], condition: &ast::Expr) {
        let holds = self.row_expr(condition);
        let holds = self.materialize(Expr::And(vec![holds]));
        let mut columns: Vec<(String, Slot)> = Vec::new();
        for field in fields {
            if !columns.iter().any(|(name, _)| *name == field.text()) {
                columns.push((field.text(), self.path_slot(field)));
            }
        }
        let mut used = Vec::new();
        names_in(condition, &mut used);
        let mut message = None;
        if fields.is_empty() {
            columns = if self.scope.closed { self.scope.shown() } else { self.scope.made() };
            columns.retain(|(name, _)| !used.contains(name) && !name.starts_with('@'));
            message = if self.scope.closed { None } else { self.scope.system(Field::Message) };
        }
        self.ops.push(Op::Ordered(Ordered::Relevant { holds, fields: columns, message, without: used }));
        let names = ["@fieldName", "@relevanceScore", "@value", "@share", "@otherShare"];
        let pairs: Vec<(String, Slot)> = names.iter().enumerate().map(|(i, n)| ((*n).to_owned(), i)).collect();
        let mut scope = Scope::of_slots(pairs, names.len());
        scope.order = vec![
            SortKey { slot: 1, descending: true, by_text: false },
            SortKey { slot: 0, descending: false, by_text: true },
        ];
        self.reshape(scope);
    }
}

/// The fields an expression reads.
fn names_in(e: &ast::Expr, names: &mut Vec<String>) {
    match &e.kind {
        ExprKind::Path(path) => names.push(path.text()),
        ExprKind::Member { base: e, .. } | ExprKind::Negate(e) | ExprKind::Not(e) | ExprKind::In { left: e, .. } => {
            names_in(e, names);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|e| names_in(e, names)),
        ExprKind::Binary { left, right, .. } | ExprKind::Like { left, right, .. } => {
            names_in(left, names);
            names_in(right, names);
        }
        _ => {}
    }
}

fn call(name: &str, args: Vec<Slot>) -> AggCall {
    let settings = agg::Settings { star: args.is_empty(), ..Default::default() };
    AggCall { aggregate: agg::find(name).expect("an aggregate of the table"), args, time: None, settings }
}

/// Whether a time lies in a half-open window.
fn within(time: Slot, (start, end): Range) -> Expr {
    let side = |op, t: Option<i64>| {
        t.map(|t| Expr::Compare(op, Box::new(Expr::Slot(time)), Box::new(Expr::Literal(Value::Time(t)))))
    };
    Expr::And(side(CompareOp::Ge, start).into_iter().chain(side(CompareOp::Lt, end)).collect())
}
