//! From the syntax tree to a plan, one stage after another.

use super::expr::Context;
use super::param::Param;
use super::scope::Scope;
use super::spelling::column_text;
use super::tables::SetSource;
use super::{Expr, Op, Plan, ScanPlan, Slot, SortKey, SourceRef, needles};
use crate::error::Error;
use crate::func::Clock;
use crate::source::Field;
use crate::when::Edges;
use backsight_lang::ast::{self, Query, Stage, StageKind};
use backsight_lang::diag::{Diagnostic, Severity};
use backsight_lang::span::Span;
use std::collections::HashMap;

/// What a query is compiled for, besides its text.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The query's clock and time range.
    pub clock: Clock,
    /// `--param name=value`, overriding `let`.
    pub params: Vec<(String, String)>,
    /// `--table name=FILE`: a table of the query with the same name wins.
    pub tables: Vec<(String, String)>,
    /// Literals of filters reach the source.
    pub pushdown: bool,
    /// Every row of the answer comes with its [`Trace`](crate::agg::trace::Trace) in a last column, [`TRACE`].
    pub trace: bool,
    /// First and last time of the sources that the query counts from; [`crate::Compiled::unknown`] names what is missing.
    pub edges: Vec<(Vec<SourceRef>, Edges)>,
}

/// What is said of `unmask`.
pub(super) const UNMASKED: &str = "nothing is masked in an export: `unmask` changes nothing";

/// The column of traces.
pub const TRACE: &str = "@trace";

/// Sources whose first and last time a plan needs and does not have.
pub type Unknown = Vec<Vec<SourceRef>>;

/// Compiles a parsed query. Warnings and notes come back with the plan.
///
/// # Errors
/// [`Error::Query`] with all errors of the first phase that has any: names and arity, then stage checks.
pub fn lower(query: &Query, text: &str, settings: &Settings) -> Result<(Plan, Vec<Diagnostic>, Unknown), Error> {
    let mut lowering = Lowering::new(text, settings);
    lowering.declare(query);
    let plan = lowering.query(query);
    let mut diagnostics = std::mem::take(&mut lowering.diagnostics);
    diagnostics.sort_by_key(|d| (d.severity != Severity::Error, phase(d.code), d.span));
    diagnostics.dedup();
    match diagnostics.first() {
        Some(first) if first.severity == Severity::Error => {
            let deciding = phase(first.code);
            diagnostics.retain(|d| d.severity == Severity::Error && phase(d.code) == deciding);
            Err(Error::Query(diagnostics))
        }
        _ => Ok((plan, diagnostics, lowering.unknown_edges)),
    }
}

/// The phase of checking an error belongs to.
fn phase(code: &str) -> u8 {
    match code {
        "E010" | "E011" | "E050" | "E051" | "E052" | "E080" => 0,
        _ => 1,
    }
}

/// The state of one compilation.
pub(super) struct Lowering<'a> {
    pub text: &'a str,
    pub settings: &'a Settings,
    pub diagnostics: Vec<Diagnostic>,
    pub params: HashMap<String, Param>,
    pub ops: Vec<Op>,
    pub scope: Scope,
    pub sets: Vec<SetSource>,
    /// Tables by name, the query's own last.
    pub tables: Vec<(String, String)>,
    /// Joins whose right sides may still be read from.
    pub joins: Vec<super::nested::OpenJoin<'a>>,
    /// Joins that a row-reshaping command has put out of reach.
    pub closed_joins: Vec<super::nested::OpenJoin<'a>>,
    /// The expression of a `pattern` right before a comparison of patterns.
    pub compared: Option<ast::Expr>,
    /// Something is relative to the first or last event.
    pub needs_edges: bool,
    /// See [`ScanPlan::timed`].
    pub timed: Option<(Span, &'static str)>,
    /// Sources whose first and last time are not known yet.
    pub unknown_edges: Vec<Vec<SourceRef>>,
    /// What is read, and where the query says so.
    pub sources: Vec<(SourceRef, Span)>,
    /// The query's time range.
    pub range: super::window::Range,
    /// What of it, and before it, a comparison of two windows reads.
    pub read: Option<super::window::Range>,
    /// Only the size of the input is asked for.
    pub estimate: bool,
    /// Fields and slots of the source stage, kept when its scope is replaced.
    scan: Option<ScanPlan>,
}

impl<'a> Lowering<'a> {
    fn new(text: &'a str, settings: &'a Settings) -> Lowering<'a> {
        Lowering {
            text,
            settings,
            diagnostics: Vec::new(),
            params: HashMap::new(),
            ops: Vec::new(),
            scope: Scope::source(),
            sets: Vec::new(),
            tables: settings.tables.clone(),
            joins: Vec::new(),
            closed_joins: Vec::new(),
            compared: None,
            needs_edges: false,
            timed: None,
            unknown_edges: Vec::new(),
            sources: Vec::new(),
            range: (settings.clock.start, settings.clock.end),
            read: None,
            estimate: false,
            scan: None,
        }
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }

    fn unsupported(&mut self, what: &str, span: Span, help: &str) {
        self.report(Diagnostic::error("E080", span, format!("`{what}` is not supported")).help(help));
    }

    /// Lowers a (sub-)query in this lowering's scope.
    fn query(&mut self, query: &Query) -> Plan {
        self.stages(&query.stages);
        let mut shown = self.scope.shown();
        if self.settings.trace
            && let Some(slot) = self.scope.created(TRACE)
            && shown.iter().all(|(name, _)| name != TRACE)
        {
            shown.push((TRACE.to_owned(), slot));
        }
        self.settle(None);
        self.finish(shown)
    }

    /// Lowers one stage after another.
    pub fn stages(&mut self, stages: &[Stage]) {
        for (i, stage) in stages.iter().enumerate() {
            match (&stage.kind, stages.get(i + 1).map(|next| &next.kind)) {
                // The two are one: what is compared is patterns.
                (StageKind::Pattern(e), Some(StageKind::Diff(_) | StageKind::LogCompare(_))) => {
                    self.compared = Some(e.clone());
                }
                (StageKind::Estimate, Some(_)) => self.error(
                    "E002",
                    stage.word,
                    "expected `estimate` to be the last command, found another behind it",
                ),
                _ => self.stage(stage),
            }
        }
    }

    /// The plan of what was lowered, with these columns.
    pub fn finish(&mut self, shown: Vec<(String, Slot)>) -> Plan {
        self.close_joins();
        if self.needs_edges {
            let time = self.source_time();
            self.ops.insert(0, Op::Edges(time));
        }
        let read = self.read.unwrap_or(self.range);
        if read != (None, None) {
            self.keep_range(read);
        }
        let mut scan = self.scan.take().unwrap_or_default();
        if !self.scope.closed {
            scan = ScanPlan {
                fields: std::mem::take(&mut self.scope.fields),
                places: std::mem::take(&mut self.scope.places),
                slots: self.scope.slots,
                ..ScanPlan::default()
            };
        }
        (scan.sources, scan.spans) = std::mem::take(&mut self.sources).into_iter().unzip();
        (scan.range, scan.timed) = (read, self.timed);
        let (ops, sets) = (std::mem::take(&mut self.ops), std::mem::take(&mut self.sets));
        let mut plan = Plan { scan, ops, shown, sets, estimate: self.estimate };
        super::rewrite::drop_unread(&mut plan);
        if self.settings.pushdown {
            plan.scan.needles = needles::of(&plan);
            plan.scan.first = needles::first(&plan);
            plan.scan.equals = needles::equals(&plan);
            plan.scan.words = true;
            plan.scan.top = needles::top(&plan);
        }
        plan
    }

    /// The scan of the source stage, once its scope has been replaced.
    pub fn scan_fields(&mut self) -> Option<&mut ScanPlan> {
        self.scan.as_mut()
    }

    /// Something here needs the time of events; `without` says what an event without one is to it (W007).
    pub fn needs_time(&mut self, span: Span, without: &'static str) {
        if !self.scope.closed && self.timed.is_none() {
            self.timed = Some((span, without));
        }
    }

    /// A query inside this one, with the same parameters. Returns its plan.
    pub fn nested(&mut self, query: &Query) -> Plan {
        let mut inner = self.inner();
        let plan = inner.query(query);
        self.take_in(inner);
        plan
    }

    /// What a lowering for a query inside this one has found out.
    pub fn take_in(&mut self, mut inner: Lowering<'a>) {
        self.diagnostics.append(&mut inner.diagnostics);
        self.unknown_edges.append(&mut inner.unknown_edges);
        if inner.estimate {
            self.error("E080", Span::default(), "`estimate` is not supported inside of a query");
        }
    }

    /// A lowering for a query inside this one.
    pub fn inner(&self) -> Lowering<'a> {
        let mut inner = Lowering::new(self.text, self.settings);
        inner.params = self.params.clone();
        inner.tables = self.tables.clone();
        inner
    }

    /// Makes the rows' order real: before anything that depends on it, and at the end. `limit` keeps the first rows.
    pub fn settle(&mut self, limit: Option<u64>) {
        let scope = &mut self.scope;
        if scope.default_order && !scope.sorted {
            scope.default_order = false;
            let slot = scope.field(Field::Timestamp);
            scope.order.push(SortKey { slot, descending: true, by_text: false });
        }
        if scope.sorted || (scope.order.is_empty() && limit.is_none()) {
            if let Some(rows) = limit {
                self.ops.push(Op::Limit { rows, any: false });
            }
            return;
        }
        scope.sorted = true;
        self.ops.push(Op::Sort { keys: scope.order.clone(), limit });
    }

    /// A row-reshaping command was lowered: from here on only `scope`'s columns exist.
    pub fn reshape(&mut self, scope: Scope) {
        let old = std::mem::replace(&mut self.scope, scope);
        self.closed_joins.append(&mut self.joins);
        if self.scan.is_none() {
            let (fields, places) = (old.fields, old.places);
            self.scan = Some(ScanPlan { fields, places, slots: old.slots, ..ScanPlan::default() });
        }
    }

    fn stage(&mut self, stage: &Stage) {
        match &stage.kind {
            StageKind::Fields(items) => {
                let columns = self.items(items);
                self.scope.shown.select(&columns);
            }
            StageKind::Display(items) => {
                let columns = self.items(items);
                self.scope.shown.fix(&columns);
            }
            StageKind::Filter(e) | StageKind::FilterIndex(e) if self.is_lost_flag(e) => {}
            StageKind::Filter(e) | StageKind::FilterIndex(e) => {
                let condition = self.row_expr(e);
                self.ops.push(Op::Filter(condition));
            }
            StageKind::Stats(stats) => self.stats(stage, stats),
            StageKind::Sort(keys) => self.sort(keys),
            StageKind::Limit { any, count } => self.limit(stage, *any, count.as_ref()),
            StageKind::Dedup(fields) => {
                let slots = fields.iter().map(|e| self.slot_of(e)).collect();
                self.settle(None);
                self.ops.push(Op::Dedup(slots));
            }
            StageKind::Parse(parse) => self.parse(parse),
            StageKind::Unnest { list, alias } => {
                let list = self.row_expr(list);
                self.unnest(list, &alias.text);
            }
            StageKind::Unmask(item) => {
                let columns = self.items(std::slice::from_ref(item));
                self.scope.shown.append(&columns);
                self.report(Diagnostic::warning("W004", stage.word, UNMASKED));
            }
            StageKind::Source(source) => self.source(stage, source),
            StageKind::Broken => {}
            StageKind::Lookup(lookup) => self.lookup(lookup),
            StageKind::CidrLookup(lookup) => self.cidrlookup(lookup),
            StageKind::Union(query) => self.union(query),
            StageKind::AppendCols { options, query } => self.appendcols(options, query),
            StageKind::Join(join) => self.join(join),
            StageKind::Pattern(e) => self.pattern(e),
            StageKind::Expand(e) => self.expand(e),
            StageKind::Json { field, path, alias } => self.json(field, path, alias),
            StageKind::Accum { field, alias, by } => self.accum(field, alias.as_ref(), by),
            StageKind::Autoregress { field, alias, lags, lag_span, by } => {
                self.autoregress(field, alias.as_ref(), *lags, *lag_span, by)
            }
            StageKind::Baseline { field, alias, by } => self.baseline(field, alias.as_ref(), by),
            StageKind::FillDown(names) => self.filldown(names),
            StageKind::FillMissing(with) => self.fillmissing(with, stage.word),
            StageKind::Sessionize { fields, maxspan, alias } => {
                self.sessionize(fields, maxspan.as_ref(), alias.as_ref(), stage.word);
            }
            StageKind::CountFrequent(fields) => self.count_frequent(fields),
            StageKind::AddTotals { options, fields } => self.addtotals(options, fields),
            StageKind::Outlier { options, fields } => self.outlier(options, fields),
            StageKind::Burst { keys, within, value, op, bound } => self.burst(keys, within, value, *op, bound),
            StageKind::Sequence { keys, within, steps } => self.sequence(keys, within, steps),
            StageKind::FirstSeen { fields, by, history, after } => {
                self.firstseen(fields, by, history.as_ref(), after.as_ref(), stage.word);
            }
            StageKind::Anomaly => {
                self.unsupported("anomaly", stage.word, "use `pattern`, `firstseen` or `outlier`");
            }
            StageKind::Diff(period) => self.diff(period.as_ref(), stage.word),
            StageKind::LogCompare(period) => self.log_compare(period, stage.word),
            StageKind::RelevantFields { fields, condition } => self.relevant_fields(fields, condition),
            StageKind::Estimate => {
                self.estimate = true;
                self.scope = Scope::of_slots(vec![("bytes".to_owned(), 0)], 1);
                self.ops.clear();
            }
        }
    }

    /// Items of `fields` and `display`: their columns, left to right; an alias can be used by the items after it.
    fn items(&mut self, items: &[ast::Item]) -> Vec<(String, Slot)> {
        let mut columns = Vec::new();
        for item in items {
            let slot = self.slot_of(&item.expr);
            match &item.alias {
                Some(alias) => self.scope.create(&alias.text, slot),
                None if !matches!(item.expr.kind, ast::ExprKind::Path(_)) => self.scope.create(&item.text, slot),
                None => {}
            }
            columns.push((item.name().to_owned(), slot));
        }
        columns
    }

    /// Lowers an expression over rows.
    pub fn row_expr(&mut self, e: &ast::Expr) -> Expr {
        self.expr(&mut Context::Rows, e)
    }

    /// The slot that holds an expression's value, computed if need be.
    pub fn slot_of(&mut self, e: &ast::Expr) -> Slot {
        let expr = self.row_expr(e);
        self.materialize(expr)
    }

    /// The slot that holds a lowered expression's value.
    pub fn materialize(&mut self, expr: Expr) -> Slot {
        if let Expr::Slot(slot) = expr {
            return slot;
        }
        let slot = self.scope.slot();
        match self.ops.last_mut() {
            Some(Op::Extend(columns)) => columns.push((slot, expr)),
            _ => self.ops.push(Op::Extend(vec![(slot, expr)])),
        }
        slot
    }

    /// The text of an expression for column names and lookups by text.
    pub fn text_of(&self, e: &ast::Expr) -> String {
        column_text(e.span.text(self.text))
    }
}

/// `1 name`, `2 names`
pub(super) fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("{n} {what}") } else { format!("{n} {what}s") }
}
