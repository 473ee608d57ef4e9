//! Calls: of functions and aggregates, their arguments checked and prepared.

use super::expr::Context;
use super::foreign;
use super::lower::{Lowering, plural};
use super::param::Param;
use super::{Call, Expr};
use crate::func::{self, Function, Prepared, Type};
use crate::source::Field;
use crate::value::Value;
use crate::{agg, func::functions};
use backsight_lang::ast::{self, ExprKind, Segment, Unit};
use backsight_lang::diag::Diagnostic;
use backsight_lang::span::Span;

impl Lowering<'_> {
    /// A call of an aggregate or of a function.
    pub fn call(
        &mut self,
        cx: &mut Context<'_>,
        e: &ast::Expr,
        name: &ast::Name,
        args: &[ast::Expr],
        star: bool,
    ) -> Expr {
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

/// A call of a function of the table.
pub(super) fn table_call(name: &str, args: Vec<Expr>) -> Expr {
    let prepared = args.iter().map(|_| None).collect();
    Expr::Call(Call { function: func::find(name).expect("a function of the table"), args, prepared })
}

fn timestamp_path(span: Span) -> ast::Path {
    ast::Path { segments: vec![Segment::Name { text: "@timestamp".into(), quoted: false }], span }
}
