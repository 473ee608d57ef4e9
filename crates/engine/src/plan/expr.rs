//! Expressions: names to slots, calls to table rows, literals to values.

use super::foreign;
use super::lower::{Lowering, Param, plural};
use super::stats::Groups;
use super::{Call, CompareOp, Expr, Matcher, Slot};
use crate::func::{self, Function, Prepared, Type};
use crate::source::Field;
use crate::value::set::Set;
use crate::value::{Kind, Value, number};
use crate::{agg, func::functions};
use backsight_lang::ast::{self, BinaryOp, ExprKind, InSet, Segment, Unit};
use backsight_lang::diag::Diagnostic;
use backsight_lang::span::Span;
use regex::bytes::{Regex, RegexBuilder};
use std::sync::Arc;

/// Where an expression stands.
pub(super) enum Context<'g> {
    /// Over the rows of the current scope.
    Rows,
    /// An argument of an aggregate, or a group key: over rows, where earlier aggregates are columns by their text.
    Argument,
    /// An item of `stats`: over groups.
    Groups(&'g mut Groups),
}

/// Compiled regular expressions may take this much memory; more is refused (`(x{1000}){1000}`).
const REGEX_BYTES: usize = 10 << 20;

impl Lowering<'_> {
    /// Lowers an expression. Errors are reported, and the expression is then null.
    pub fn expr(&mut self, cx: &mut Context<'_>, e: &ast::Expr) -> Expr {
        if let Some(found) = self.by_text(cx, e) {
            return found;
        }
        match &e.kind {
            ExprKind::String(s) => Expr::Literal(Value::string(s)),
            ExprKind::Number(n) => Expr::Literal(number_literal(n).unwrap_or_default()),
            ExprKind::Bool(b) => Expr::Literal(Value::Bool(*b)),
            ExprKind::Null | ExprKind::Broken => Expr::Literal(Value::Null),
            ExprKind::Duration(d) => Expr::Literal(self.duration_millis(*d, e.span)),
            ExprKind::Regex(regex) => Expr::Literal(Value::string(self.with_params(&regex.source(), e.span))),
            ExprKind::Param(name) => Expr::Literal(self.param(name, e.span)),
            ExprKind::Path(path) => self.path(cx, path),
            ExprKind::Member { base, segments } => self.member(cx, base, segments),
            ExprKind::Call { name, args, star } => self.call(cx, e, name, args, *star),
            ExprKind::Negate(inner) => match self.expr(cx, inner) {
                Expr::Literal(Value::Int(n)) => Expr::Literal(n.checked_neg().map_or(Value::Null, Value::Int)),
                Expr::Literal(Value::Float(x)) => Expr::Literal(Value::Float(-x)),
                other => Expr::Negate(Box::new(other)),
            },
            ExprKind::Not(inner) => Expr::Not(Box::new(self.expr(cx, inner))),
            ExprKind::Binary { op, left, right, .. } => self.binary(cx, *op, left, right),
            ExprKind::Like { left, right, negated, regex_op } => {
                let input = Box::new(self.expr(cx, left));
                negate(Expr::Like(input, self.matcher(cx, right, *regex_op)), *negated)
            }
            ExprKind::In { left, set, negated } => {
                let input = self.expr(cx, left);
                negate(self.membership(cx, input, set), *negated)
            }
        }
    }

    /// After `stats`, an expression whose text is that of an unaliased column is that column.
    fn by_text(&mut self, cx: &mut Context<'_>, e: &ast::Expr) -> Option<Expr> {
        if matches!(
            e.kind,
            ExprKind::String(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null | ExprKind::Path(_)
        ) {
            return None;
        }
        let text = self.text_of(e);
        let text = without_parentheses(&text);
        match cx {
            Context::Rows | Context::Argument => {
                self.scope.by_text(text).or_else(|| self.aliased(text, e.span)).map(Expr::Slot)
            }
            // A call of an aggregate is always a new one.
            Context::Groups(_) if matches!(&e.kind, ExprKind::Call { name, .. } if agg::find(&name.text).is_some()) => {
                None
            }
            Context::Groups(groups) => groups.key_by_text(text).map(Expr::Slot),
        }
    }

    /// The column that a `stats` has computed by this text and given another name: read as that, with a note.
    fn aliased(&mut self, text: &str, span: Span) -> Option<Slot> {
        let (name, slot) = self.scope.by_aliased_text(text)?;
        let note = Diagnostic::note("N022", span, format!("`{text}` is read as the column `{name}`"));
        self.report(note.help("after `stats … as name` a column goes by its name"));
        Some(slot)
    }

    fn path(&mut self, cx: &mut Context<'_>, path: &ast::Path) -> Expr {
        if !self.joins.is_empty()
            && !matches!(cx, Context::Groups(_))
            && let Some(found) = self.joined(path)
        {
            return found;
        }
        let resolved = match cx {
            Context::Rows | Context::Argument => self.scope.resolve(path).map(|r| (r.slot, r.rest)),
            Context::Groups(groups) => groups.resolve(path),
        };
        if let Some((slot, rest)) = resolved {
            return if rest.is_empty() { Expr::Slot(slot) } else { Expr::Member(Box::new(Expr::Slot(slot)), rest) };
        }
        let name = path.text();
        if matches!(cx, Context::Rows | Context::Argument)
            && let Some(slot) = self.aliased(&name, path.span)
        {
            return Expr::Slot(slot);
        }
        let diagnostic = match cx {
            Context::Groups(_) => Diagnostic::error(
                "E013",
                path.span,
                format!("`{name}` must be inside an aggregate or listed after `by`"),
            ),
            Context::Rows | Context::Argument => {
                let names = self.scope.names();
                let error = Diagnostic::error("E014", path.span, format!("`{name}` is not available after `stats`"));
                let near = backsight_lang::diag::nearest(&name, names.iter().copied()).map(str::to_owned);
                match near {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("available: {}", names.join(", "))),
                }
            }
        };
        self.report(diagnostic);
        Expr::Literal(Value::Null)
    }

    fn member(&mut self, cx: &mut Context<'_>, base: &ast::Expr, segments: &[Segment]) -> Expr {
        match self.expr(cx, base) {
            Expr::Literal(Value::Null) => Expr::Literal(Value::Null),
            inner => Expr::Member(Box::new(inner), segments.to_vec()),
        }
    }

    fn binary(&mut self, cx: &mut Context<'_>, op: BinaryOp, left: &ast::Expr, right: &ast::Expr) -> Expr {
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            let mut all = Vec::new();
            flatten(op, left, &mut all);
            flatten(op, right, &mut all);
            let all = all.into_iter().map(|e| self.expr(cx, e)).collect();
            return if op == BinaryOp::And { Expr::And(all) } else { Expr::Or(all) };
        }
        let (l, r) = (Box::new(self.expr(cx, left)), Box::new(self.expr(cx, right)));
        match CompareOp::of(op) {
            Some(compare) => Expr::Compare(compare, l, r),
            None => Expr::Arithmetic(op, l, r),
        }
    }

    fn matcher(&mut self, cx: &mut Context<'_>, right: &ast::Expr, regex_op: bool) -> Matcher {
        if let Some(source) = self.regex_source(right) {
            return match self.regex(&source, right.span) {
                Some(regex) => Matcher::Regex(regex),
                None => Matcher::SubstringOf(Box::new(Expr::Literal(Value::Null))),
            };
        }
        let value = self.expr(cx, right);
        let Expr::Literal(literal) = &value else {
            return if regex_op { Matcher::RegexOf(Box::new(value)) } else { Matcher::SubstringOf(Box::new(value)) };
        };
        let Some(text) = literal.as_ref().text() else { return Matcher::SubstringOf(Box::new(value)) };
        if regex_op {
            return match self.regex(&String::from_utf8_lossy(&text), right.span) {
                Some(regex) => Matcher::Regex(regex),
                None => Matcher::SubstringOf(Box::new(Expr::Literal(Value::Null))),
            };
        }
        if text.contains(&b'%') {
            let warning = Diagnostic::warning("W003", right.span, "`%` is an ordinary character in `like`");
            self.report(
                warning
                    .help("`like` looks for the text anywhere; use a regular expression such as `/^a.*b$/` for more"),
            );
        }
        Matcher::Substring(Arc::new(memchr::memmem::Finder::new(&*text).into_owned()))
    }

    fn membership(&mut self, cx: &mut Context<'_>, input: Expr, set: &InSet) -> Expr {
        match set {
            InSet::List(items, _) => {
                let items: Vec<Expr> = items.iter().map(|e| self.expr(cx, e)).collect();
                let literals: Option<Vec<Value>> = items
                    .iter()
                    .map(|e| match e {
                        Expr::Literal(v) => Some(v.clone()),
                        _ => None,
                    })
                    .collect();
                match literals {
                    Some(values) => Expr::In(Box::new(input), Arc::new(Set::new(values))),
                    None => Expr::Or(
                        items
                            .into_iter()
                            .map(|e| Expr::Compare(CompareOp::Eq, Box::new(input.clone()), Box::new(e)))
                            .collect(),
                    ),
                }
            }
            InSet::Param(name) => match self.params.get(&name.text).cloned() {
                Some(Param::List(values)) => Expr::In(Box::new(input), Arc::new(Set::new(values))),
                _ => {
                    let value = self.param(&name.text, name.span);
                    Expr::In(Box::new(input), Arc::new(Set::new([value])))
                }
            },
            InSet::Query(query) => {
                let plan = self.nested(query);
                if plan.shown.len() != 1 {
                    let found = plan.columns().join(", ");
                    let error = Diagnostic::error("E053", query.span, "sub-query must return exactly one column");
                    self.report(error.help(format!("it returns {found}: end it with `fields` or `display` of one")));
                }
                self.sets.push(super::tables::SetSource::Query(Box::new(plan)));
                Expr::InQuery(Box::new(input), self.sets.len() - 1)
            }
            InSet::Table { name, column } => self.in_table(input, name, column.as_ref()),
        }
    }

    fn call(&mut self, cx: &mut Context<'_>, e: &ast::Expr, name: &ast::Name, args: &[ast::Expr], star: bool) -> Expr {
        if let Some(aggregate) = agg::find(&name.text) {
            if let Some(here) = foreign::accepted(&name.text) {
                let message = format!("`{}` is read as `{here}`", name.text);
                self.report(Diagnostic::note("N023", name.span, message));
            }
            return match cx {
                Context::Groups(groups) => match self.aggregate(aggregate, e, name, args, star) {
                    Some(call) => Expr::Slot(groups.aggregate(call)),
                    None => Expr::Literal(Value::Null),
                },
                Context::Argument => {
                    self.error("E015", e.span, "aggregates cannot be nested");
                    Expr::Literal(Value::Null)
                }
                Context::Rows => {
                    self.error("E012", e.span, format!("aggregate `{}` is only allowed in `stats`", name.text));
                    Expr::Literal(Value::Null)
                }
            };
        }
        let Some(function) = func::find(&name.text) else {
            let error = Diagnostic::error("E010", name.span, format!("unknown function `{}`", name.text));
            let known = functions().map(|f| f.name).chain(agg::aggregates().map(|a| a.name));
            self.report(match foreign::instead(&name.text) {
                Some(help) => error.help(help),
                None => error.help_nearest(&name.text, known),
            });
            return Expr::Literal(Value::Null);
        };
        if let ("bin", [first, _]) = (function.name, args) {
            // `bin(@timestamp, 1h)`, as other languages write it.
            if matches!(&first.kind, ExprKind::Path(path) if Field::named(path) == Field::Timestamp) {
                let note = Diagnostic::note(
                    "N020",
                    e.span,
                    "`bin` works on `@timestamp` and takes only a period in Logs Insights",
                );
                self.report(note.help(format!("write `bin({})`", self.text_of(&args[1]))));
                return self.call(cx, e, name, &args[1..], star);
            }
        }
        if let Some(edge) = self.query_time(function, args) {
            return edge;
        }
        if !self.arity(e, &name.text, function.params.len(), function.optional, function.variadic, args.len(), star) {
            return Expr::Literal(Value::Null);
        }
        if function.name == "unmask" {
            self.report(Diagnostic::warning("W004", e.span, super::lower::UNMASKED));
        }
        let mut lowered = Vec::with_capacity(args.len() + 1);
        let mut prepared = Vec::with_capacity(args.len() + 1);
        if function.name == "bin" {
            // `bin(p)` floors the event's time.
            self.needs_time(e.span, "is in a bin of its own, without a time");
            match self.event_time(cx, e) {
                Some(time) => lowered.push(time),
                None => return Expr::Literal(Value::Null),
            }
            prepared.push(None);
        }
        for (i, arg) in args.iter().enumerate() {
            let kind = function.params[i.min(function.params.len() - 1)].1;
            let (expr, ready) = self.argument(cx, kind, arg);
            if let (Some(Prepared::Period(d)), "bin") = (&ready, function.name) {
                self.beyond_cap(*d, arg.span);
            }
            lowered.push(expr);
            prepared.push(ready);
        }
        Expr::Call(Call { function, args: lowered, prepared })
    }

    /// Logs Insights cuts a long period to the most it takes of the unit, without a word (W002).
    fn beyond_cap(&mut self, period: ast::Duration, span: Span) {
        let most = match period.unit {
            Unit::Millisecond => 1000,
            Unit::Second | Unit::Minute => 60,
            Unit::Hour => 24,
            _ => return,
        };
        if period.count > most {
            let unit = period.unit.symbol();
            let message = format!("Logs Insights would take {most}{unit} for `{}{unit}`", period.count);
            self.report(
                Diagnostic::warning("W002", span, message)
                    .help("here it is as long as it says; there, write it in a larger unit, such as `5m`"),
            );
        }
    }

    /// `queryStartTime()` and its like, which are known once the source is.
    fn query_time(&mut self, function: &Function, args: &[ast::Expr]) -> Option<Expr> {
        let time: fn(i64, i64) -> i64 = match function.name {
            "queryStartTime" => |start, _| start,
            "queryEndTime" => |_, end| end,
            "queryTimeRange" => |start, end| end.saturating_sub(start),
            _ => return None,
        };
        let (start, end) = if args.is_empty() { self.window() } else { return None };
        let known = (start, end) != (0, 0);
        Some(Expr::Literal(if known { Value::Int(time(start, end)) } else { Value::Null }))
    }

    /// `@timestamp` for `bin`; after `stats` only if it is still a column.
    fn event_time(&mut self, cx: &mut Context<'_>, e: &ast::Expr) -> Option<Expr> {
        let slot = match cx {
            Context::Rows | Context::Argument => self.scope.system(Field::Timestamp),
            Context::Groups(groups) => groups.resolve(&timestamp_path(e.span)).map(|(slot, _)| slot),
        };
        if slot.is_none() {
            self.path(cx, &timestamp_path(e.span));
        }
        slot.map(Expr::Slot)
    }

    /// An argument, and what can be made of it once and for all.
    fn argument(&mut self, cx: &mut Context<'_>, kind: Type, arg: &ast::Expr) -> (Expr, Option<Prepared>) {
        match kind {
            Type::Period if is_auto(arg) => (Expr::Literal(Value::Null), Some(Prepared::Period(self.auto_period()))),
            Type::Period => match self.period(arg) {
                Some(d) => (Expr::Literal(Value::Null), Some(Prepared::Period(d))),
                None => {
                    self.error("E034", arg.span, "expected a period such as 5m");
                    (Expr::Literal(Value::Null), None)
                }
            },
            Type::Regex => {
                let expr = self.expr(cx, arg);
                let source = match &expr {
                    Expr::Literal(value) => value.as_ref().text().map(|t| String::from_utf8_lossy(&t).into_owned()),
                    _ => None,
                };
                let ready = source.and_then(|s| self.regex(&s, arg.span)).map(Prepared::Regex);
                (expr, ready)
            }
            Type::Cidr => {
                let expr = self.expr(cx, arg);
                let Expr::Literal(value) = &expr else { return (expr, None) };
                let Some(text) = value.as_ref().scalar_text() else { return (expr, None) };
                match text.parse::<ipnet::IpNet>() {
                    Ok(net) => {
                        if net.trunc() != net {
                            let message = format!("`{text}` has host bits; read as `{}`", net.trunc());
                            self.report(Diagnostic::warning("W005", arg.span, message));
                        }
                        (expr, Some(Prepared::Cidr(net.trunc())))
                    }
                    Err(_) => {
                        let error = Diagnostic::error("E033", arg.span, format!("invalid CIDR `{text}`"));
                        self.report(error.help("write an address and a prefix length, such as `10.0.0.0/8`"));
                        (expr, None)
                    }
                }
            }
            Type::Any | Type::Text | Type::Number | Type::Predicate | Type::Time | Type::Nested => {
                (self.expr(cx, arg), None)
            }
        }
    }

    /// A literal period, or a parameter that is one.
    pub fn period(&mut self, arg: &ast::Expr) -> Option<ast::Duration> {
        match &arg.kind {
            ExprKind::Duration(d) => Some(*d),
            ExprKind::Param(name) => match self.params.get(name) {
                Some(Param::Duration(d)) => Some(*d),
                _ => None,
            },
            _ => None,
        }
    }

    /// Checks the number of arguments (E011).
    #[expect(clippy::too_many_arguments, reason = "the facts of one message")]
    pub fn arity(
        &mut self,
        e: &ast::Expr,
        name: &str,
        params: usize,
        optional: usize,
        variadic: bool,
        given: usize,
        star: bool,
    ) -> bool {
        let least = params - optional;
        let fits = given >= least && (variadic || given <= params) && !star;
        if !fits {
            let wanted = match (variadic, optional) {
                (true, _) => format!("at least {}", plural(least, "argument")),
                (false, 0) => plural(params, "argument"),
                (false, 1) => format!("{least} or {}", plural(params, "argument")),
                (false, _) => format!("{least} to {}", plural(params, "argument")),
            };
            let call_is_period = name.eq_ignore_ascii_case("bin") && given == 0;
            if call_is_period {
                self.error("E034", e.span, "expected a period such as 5m");
            } else {
                let given = if star { "`*`".to_owned() } else { given.to_string() };
                let mut error = Diagnostic::error("E011", e.span, format!("`{name}` takes {wanted}, {given} given"));
                if let Some(f) = func::find(name) {
                    error = error.help(format!("`{}`", signature(f)));
                }
                self.report(error);
            }
        }
        fits
    }

    /// Compiles a regular expression (E020).
    pub fn regex(&mut self, source: &str, span: Span) -> Option<Arc<Regex>> {
        match RegexBuilder::new(source).size_limit(REGEX_BYTES).build() {
            Ok(regex) => Some(Arc::new(regex)),
            Err(error) => {
                self.report(
                    Diagnostic::error("E020", span, "invalid regular expression").help(regex_reason(source, &error)),
                );
                None
            }
        }
    }

    /// The source of a regular expression: a literal, or a parameter of that type.
    fn regex_source(&mut self, e: &ast::Expr) -> Option<String> {
        match &e.kind {
            ExprKind::Regex(regex) => Some(self.with_params(&regex.source(), e.span)),
            ExprKind::Param(name) => match self.params.get(name) {
                Some(Param::Regex(source)) => Some(source.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// A regular expression in which each `$name` of a declared parameter is replaced: by its expression, or by what
    /// matches exactly its text, or one of its texts. Any other `$` keeps its meaning; alone, `/$name/` must be declared
    /// (E050).
    pub fn with_params(&mut self, source: &str, span: Span) -> String {
        let mut out = String::new();
        let mut rest = source;
        while let Some((before, name, after)) = super::param::next(rest) {
            out.push_str(before);
            match self.params.get(name) {
                Some(Param::Regex(source)) => out.push_str(&format!("(?:{source})")),
                Some(Param::List(values)) => {
                    let texts: Vec<String> = values.iter().map(exactly).collect();
                    out.push_str(&format!("(?:{})", texts.join("|")));
                }
                Some(Param::Value(_) | Param::Duration(_)) => {
                    let value = self.param(name, span);
                    out.push_str(&exactly(&value));
                }
                None => {
                    if name.len() + 1 == source.len() {
                        self.lone_param(name, span);
                    }
                    out.push('$');
                    out.push_str(name);
                }
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// `/$name/` without such a parameter: an error where the query declares any; else it is what it says, which
    /// matches nothing.
    fn lone_param(&mut self, name: &str, span: Span) {
        if self.params.is_empty() {
            let note =
                Diagnostic::note("N024", span, format!("`/${name}/` matches nothing: `$` is the end of the text"));
            self.report(note.help(format!("for a parameter, declare it: `let {name} = /…/`")));
        } else {
            self.param(name, span);
        }
    }

    /// The value of a parameter (E050).
    pub fn param(&mut self, name: &str, span: Span) -> Value {
        match self.params.get(name).cloned() {
            Some(Param::Value(v)) => v,
            Some(Param::Regex(source)) => Value::string(source),
            Some(Param::Duration(d)) => self.duration_millis(d, span),
            Some(Param::List(_)) => {
                self.error("E002", span, format!("expected a value, found the list `${name}`"));
                Value::Null
            }
            None => {
                let known: Vec<String> = self.params.keys().map(|k| format!("${k}")).collect();
                let error = Diagnostic::error("E050", span, format!("undefined parameter `${name}`"));
                self.report(error.help_nearest(&format!("${name}"), known.iter().map(String::as_str)));
                Value::Null
            }
        }
    }

    /// A duration where a number is expected: its milliseconds.
    fn duration_millis(&mut self, d: ast::Duration, span: Span) -> Value {
        match d.millis() {
            Some(ms) => Value::Int(ms),
            None => {
                let error = Diagnostic::error(
                    "E034",
                    span,
                    "expected a period such as 5m: months and longer have no fixed length",
                );
                self.report(error);
                Value::Null
            }
        }
    }

    /// The value of a literal, negated literal or parameter; `None` for anything else.
    pub fn literal(&mut self, e: &ast::Expr) -> Option<Value> {
        match &e.kind {
            ExprKind::String(s) => Some(Value::string(s)),
            ExprKind::Number(n) => number_literal(n),
            ExprKind::Bool(b) => Some(Value::Bool(*b)),
            ExprKind::Null => Some(Value::Null),
            ExprKind::Duration(d) => Some(self.duration_millis(*d, e.span)),
            ExprKind::Param(name) => Some(self.param(name, e.span)),
            ExprKind::Negate(inner) => match self.literal(inner)? {
                Value::Int(n) => Some(Value::Int(n.checked_neg()?)),
                Value::Float(x) => Some(Value::Float(-x)),
                _ => None,
            },
            _ => None,
        }
    }

    /// [`Lowering::literal`], under the name its callers think of.
    pub fn constant(&mut self, e: &ast::Expr) -> Option<Value> {
        self.literal(e)
    }
}

/// How a function is written, for help lines and the reference: `substr(s, from[, len])`.
pub fn signature(f: &Function) -> String {
    let mut out = format!("{}(", f.name);
    let required = f.params.len() - f.optional;
    for (i, (name, _)) in f.params.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        if i >= required {
            out.push_str(&format!("[{comma}{name}"));
        } else {
            out.push_str(&format!("{comma}{name}"));
        }
    }
    if f.variadic {
        out.push_str(", …");
    }
    out.push_str(&"]".repeat(f.optional));
    out.push(')');
    out
}

/// `auto`, in place of a period.
fn is_auto(e: &ast::Expr) -> bool {
    matches!(&e.kind, ExprKind::Path(path) if path.text().eq_ignore_ascii_case("auto"))
}

/// A regular expression that matches a value's text and nothing else.
fn exactly(value: &Value) -> String {
    regex::escape(&value.as_ref().text().map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default())
}

/// A call of a function of the table.
pub(super) fn table_call(name: &str, args: Vec<Expr>) -> Expr {
    let prepared = args.iter().map(|_| None).collect();
    Expr::Call(Call { function: func::find(name).expect("a function of the table"), args, prepared })
}

fn timestamp_path(span: Span) -> ast::Path {
    ast::Path { segments: vec![Segment::Name { text: "@timestamp".into(), quoted: false }], span }
}

fn negate(e: Expr, negated: bool) -> Expr {
    if negated { Expr::Not(Box::new(e)) } else { e }
}

/// The operands of a tree of one operator, left to right. The parser bounds its height.
fn flatten<'e>(op: BinaryOp, e: &'e ast::Expr, out: &mut Vec<&'e ast::Expr>) {
    match &e.kind {
        ExprKind::Binary { op: inner, left, right, .. } if *inner == op => {
            flatten(op, left, out);
            flatten(op, right, out);
        }
        _ => out.push(e),
    }
}

/// A number literal: an exact integer, an integer beyond 64 bits as its digits, or a float.
pub(super) fn number_literal(text: &str) -> Option<Value> {
    Some(match number::json(text.as_bytes())? {
        number::Number::Int(n) => Value::Int(n),
        number::Number::Float(x) => Value::Float(x),
        number::Number::Big(digits) => Value::Text(Kind::String, digits.as_bytes().into()),
    })
}

/// The text without the parentheses around all of it.
fn without_parentheses(text: &str) -> &str {
    let mut inner = text;
    while let Some(stripped) = inner.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        let mut depth = 0i32;
        // `(a) + (b)` starts and ends so, too, but its first parenthesis closes early.
        let closes_early = stripped.chars().any(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth < 0
        });
        if closes_early {
            break;
        }
        inner = stripped.trim();
    }
    inner
}

/// Source text as a column name: white space and comments collapsed to one space, backticks left out.
pub(super) fn column_text(source: &str) -> String {
    let mut words = Vec::new();
    for line in source.lines() {
        words.extend(strip_comment(line).split_whitespace());
    }
    words.join(" ").replace('`', "")
}

/// A line without its comment; `#` inside quotes is text.
fn strip_comment(line: &str) -> &str {
    let mut quote = None;
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return &line[..i],
            (None, '"' | '\'' | '`') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            _ => {}
        }
    }
    line
}

/// Why a regular expression was refused, in one line.
fn regex_reason(source: &str, error: &regex::Error) -> String {
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|p| source.contains(p)) {
        return "look-around is not supported: the engine takes time linear in the text".into();
    }
    match error {
        regex::Error::CompiledTooBig(_) => "the expression is too large once its repetitions are expanded".into(),
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ");
            if reason.contains("backreference") {
                "back-references are not supported".into()
            } else {
                reason.to_owned()
            }
        }
        other => other.to_string(),
    }
}
