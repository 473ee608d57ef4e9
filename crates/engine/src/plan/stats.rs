//! `stats`: expressions over aggregates, keys and earlier aliases become one group op and what is computed from it.

use super::expr::Context;
use super::lower::{Lowering, TRACE};
use super::ordering::bin_period;
use super::scope::Scope;
use super::{AggCall, Expr, Op, Slot, SortKey};
use crate::agg::{self, Aggregate, Settings};
use crate::func::Type;
use crate::source::Field;
use crate::value::Value;
use backsight_lang::ast::{self, BinaryOp, Duration, ExprKind, InSet, Segment, Stage, Stats};
use backsight_lang::diag::Diagnostic;

/// What an item of `stats` can name: keys, aliases before it, and the aggregates it asks for.
pub(super) struct Groups {
    /// Column names and slots: keys, then items so far.
    names: Vec<(String, Slot)>,
    /// Texts of the unaliased keys, without white space.
    key_texts: Vec<(String, Slot)>,
    /// Number of keys.
    keys: usize,
    /// The aggregates, slots `keys..`.
    calls: Vec<AggCall>,
}

impl Groups {
    /// The key whose text this is.
    pub fn key_by_text(&self, text: &str) -> Option<Slot> {
        let text: String = text.split_whitespace().collect();
        self.key_texts.iter().find(|(t, _)| *t == text).map(|(_, s)| *s)
    }

    /// A key or an earlier alias, by the longest prefix of the path.
    pub fn resolve(&self, path: &ast::Path) -> Option<(Slot, Vec<Segment>)> {
        (1..=path.segments.len()).rev().find_map(|end| {
            let head = ast::Path { segments: path.segments[..end].to_vec(), span: path.span }.text();
            let (_, slot) = self.names.iter().find(|(n, _)| *n == head)?;
            Some((*slot, path.segments[end..].to_vec()))
        })
    }

    /// The slot of an aggregate's result.
    pub fn aggregate(&mut self, call: AggCall) -> Slot {
        self.calls.push(call);
        self.keys + self.calls.len() - 1
    }
}

/// Computed items get slots from here on until the number of aggregates is known.
const COMPUTED: Slot = 1 << 32;

impl Lowering<'_> {
    pub(super) fn stats(&mut self, stage: &Stage, stats: &Stats) {
        if !stats.items.iter().any(|i| has_aggregate(&i.expr)) {
            let span = stats.items.first().map_or(stage.word, |i| i.span);
            return self.error("E060", span, "`stats` needs at least one aggregate");
        }
        self.duplicate_columns(stats);
        let mut groups = Groups { names: Vec::new(), key_texts: Vec::new(), keys: stats.by.len(), calls: Vec::new() };
        let (keys, bins) = self.keys(stats, &mut groups);
        let mut columns: Vec<String> = stats.by.iter().map(|i| i.name().to_owned()).collect();
        let mut results: Vec<Expr> = Vec::new();
        for (i, item) in stats.items.iter().enumerate() {
            results.push(self.expr(&mut Context::Groups(&mut groups), &item.expr));
            groups.names.push((item.name().to_owned(), COMPUTED + i));
            columns.push(item.name().to_owned());
        }
        let trace = self.trace_call().map(|call| groups.aggregate(call));
        let aggs = groups.calls;
        let base = keys.len() + aggs.len();
        self.ops.push(Op::Group { keys: keys.clone(), aggs, slots: base });
        self.regroup(stats, results, columns, base, bins);
        trace.into_iter().for_each(|slot| self.scope.create(TRACE, slot));
    }

    /// The aggregate that traces groups back to events, where that is asked for.
    pub(super) fn trace_call(&mut self) -> Option<AggCall> {
        if !self.settings.trace {
            return None;
        }
        let (args, time) = match self.scope.created(TRACE) {
            Some(earlier) => (vec![earlier], None),
            None => (Vec::new(), self.scope.system(Field::Timestamp)),
        };
        Some(AggCall { aggregate: &agg::trace::TRACE, args, time, settings: Settings::default() })
    }

    /// The scope after the group op: every item a column, computed ones in slots after the aggregates.
    fn regroup(
        &mut self,
        stats: &Stats,
        results: Vec<Expr>,
        columns: Vec<String>,
        base: usize,
        bins: Vec<(Slot, Option<Duration>)>,
    ) {
        let keys = stats.by.len();
        let mut slots: Vec<Slot> = (0..keys).collect();
        let mut extend = Vec::new();
        for result in results {
            // An earlier item of the same `stats` is known by its number until now.
            let items = &slots[keys..];
            let result = result.map_slots(&mut |s| Expr::Slot(if s >= COMPUTED { items[s - COMPUTED] } else { s }));
            if let Expr::Slot(slot) = result {
                slots.push(slot);
            } else {
                slots.push(base + extend.len());
                extend.push((base + extend.len(), result));
            }
        }
        let total = base + extend.len();
        if let Some(Op::Group { slots, .. }) = self.ops.last_mut() {
            *slots = total;
        }
        if !extend.is_empty() {
            self.ops.push(Op::Extend(extend));
        }
        let pairs: Vec<(String, Slot)> = columns.into_iter().zip(slots).collect();
        let mut scope = Scope::of_slots(pairs.clone(), total);
        for (item, (_, slot)) in stats.by.iter().chain(&stats.items).zip(&pairs) {
            match &item.alias {
                None => scope.create_text(&item.text, *slot),
                Some(alias) => scope.create_aliased(&item.text, &alias.text, *slot),
            }
        }
        scope.order = (0..keys).map(|slot| SortKey { slot, descending: false, by_text: true }).collect();
        scope.bins = bins;
        scope.keys = (0..keys).collect();
        self.reshape(scope);
    }

    fn duplicate_columns(&mut self, stats: &Stats) {
        let mut seen: Vec<&str> = Vec::new();
        for item in stats.by.iter().chain(&stats.items) {
            let name = item.name();
            if seen.contains(&name) {
                let span = item.alias.as_ref().map_or(item.span, |a| a.span);
                // Two unaliased aggregates of the same text are one column twice: only an alias can be at fault.
                if item.alias.is_some() {
                    self.error("E062", span, format!("duplicate column `{name}`"));
                }
            }
            seen.push(name);
        }
    }

    /// Lowers the `by` items. Returns their slots, and the positions of those that are `bin()`.
    fn keys(&mut self, stats: &Stats, groups: &mut Groups) -> (Vec<Slot>, Vec<(Slot, Option<Duration>)>) {
        let offset = stats.offset.as_ref().map(|e| self.period(e).and_then(|d| d.millis()));
        if let (Some(None), Some(e)) = (offset, &stats.offset) {
            self.error("E034", e.span, "expected a period such as 5m");
        }
        let (mut keys, mut bins) = (Vec::new(), Vec::new());
        for (i, item) in stats.by.iter().enumerate() {
            let mut expr = self.expr(&mut Context::Argument, &item.expr);
            if is_bin(&item.expr) {
                bins.push((i, bin_period(&expr)));
                if let Some(Some(ms)) = offset {
                    expr = Expr::Arithmetic(BinaryOp::Add, Box::new(expr), Box::new(Expr::Literal(Value::Int(ms))));
                }
            }
            keys.push(self.materialize(expr));
            groups.names.push((item.name().to_owned(), i));
            if item.alias.is_none() {
                groups.key_texts.push((item.text.split_whitespace().collect(), i));
            }
        }
        (keys, bins)
    }

    /// One aggregate call: its arguments over rows, its literal settings.
    pub(super) fn aggregate(
        &mut self,
        aggregate: &'static Aggregate,
        e: &ast::Expr,
        name: &ast::Name,
        args: &[ast::Expr],
        star: bool,
    ) -> Option<AggCall> {
        if star || (args.is_empty() && aggregate.star) {
            if !aggregate.star || !args.is_empty() {
                self.arity(e, &name.text, aggregate.params.len(), aggregate.optional, false, args.len(), star);
                return None;
            }
            return Some(AggCall {
                aggregate,
                args: Vec::new(),
                time: None,
                settings: Settings { star: true, ..Settings::default() },
            });
        }
        if !self.arity(e, &name.text, aggregate.params.len(), aggregate.optional, false, args.len(), false) {
            return None;
        }
        let mut call = AggCall { aggregate, args: Vec::new(), time: None, settings: Settings::default() };
        for (i, arg) in args.iter().enumerate() {
            if !aggregate.literal.contains(&i) {
                let expr = self.expr(&mut Context::Argument, arg);
                call.args.push(self.materialize(expr));
            } else if aggregate.params[i].1 == Type::Period {
                call.settings.period = self.period(arg);
                if call.settings.period.is_none() {
                    self.error("E034", arg.span, "expected a period such as 5m");
                }
            } else {
                call.settings.number = self.setting(aggregate, arg);
            }
        }
        if aggregate.needs_time {
            self.needs_time(e.span, "does not count for it");
            // Of rows with the same time it is their order that decides.
            if self.scope.explicit {
                self.settle(None);
            }
            call.time = self.scope.system(Field::Timestamp);
            if call.time.is_none() {
                self.error("E014", e.span, "`@timestamp` is not available after `stats`");
            }
        }
        Some(call)
    }

    /// A literal number argument of an aggregate.
    fn setting(&mut self, aggregate: &Aggregate, arg: &ast::Expr) -> Option<f64> {
        let number = self.literal(arg).and_then(|v| v.as_ref().number().map(|n| n.as_f64()));
        let percentile = matches!(aggregate.name, "pct" | "approx_pct");
        let bad = match number {
            None => true,
            Some(p) if percentile => !(0.0..=100.0).contains(&p),
            Some(n) => n < 1.0 || n.fract() != 0.0,
        };
        if bad {
            let (code, message) = if percentile {
                ("E032", "percentile must be between 0 and 100")
            } else {
                ("E030", "expected a whole number of at least 1")
            };
            self.report(Diagnostic::error(code, arg.span, message));
        }
        number
    }
}

fn is_bin(e: &ast::Expr) -> bool {
    let floors = ["bin", "datefloor", "dateceil"];
    matches!(&e.kind, ExprKind::Call { name, .. } if floors.iter().any(|f| name.text.eq_ignore_ascii_case(f)))
}

/// True if an aggregate call occurs anywhere in the expression.
fn has_aggregate(e: &ast::Expr) -> bool {
    match &e.kind {
        // A name nobody knows may be a misspelt aggregate: that is the better thing to report.
        ExprKind::Call { name, args, .. } => {
            agg::find(&name.text).is_some() || crate::func::find(&name.text).is_none() || args.iter().any(has_aggregate)
        }
        ExprKind::Member { base: e, .. } | ExprKind::Negate(e) | ExprKind::Not(e) => has_aggregate(e),
        ExprKind::Binary { left, right, .. } | ExprKind::Like { left, right, .. } => {
            has_aggregate(left) || has_aggregate(right)
        }
        ExprKind::In { left, set, .. } => {
            has_aggregate(left) || matches!(set, InSet::List(items, _) if items.iter().any(has_aggregate))
        }
        _ => false,
    }
}
