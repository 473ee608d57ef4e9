//! Commands that look at rows in an order or at many rows at once: totals, running values, gaps, sessions, sequences.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::multi::many0;
use nom::sequence::{delimited, pair, preceded, separated_pair, terminated};

use super::combine::settings;
use super::expr::expr;
use super::input::{Found, Input, Label, comma_list, sign, word};
use super::name::{self, alias, glob_name, path, time, whole_number};
use super::operand::call;
use super::query::constant;
use super::select::{comparison_sign, condition, option, param, period};
use crate::ast::{Expr, ExprKind, GlobName, Name, Path, StageKind, Step};
use crate::diag::Diagnostic;
use crate::lex::token::{Sign, TokenKind};

pub(crate) fn add_totals(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, options) = many0(settings(&["fieldname", "row", "col"])).parse(input)?;
    let (after, fields) = opt(comma_list(path)).parse(after)?;
    Ok((after, StageKind::AddTotals { options, fields: fields.unwrap_or_default() }))
}

pub(crate) fn accum(input: Input<'_>) -> Found<'_, StageKind> {
    cut((path, alias, keys)).map(|(field, alias, by)| StageKind::Accum { field, alias, by }).parse(input)
}

pub(crate) fn baseline(input: Input<'_>) -> Found<'_, StageKind> {
    cut((path, alias, keys)).map(|(field, alias, by)| StageKind::Baseline { field, alias, by }).parse(input)
}

/// `[by k, …]`
fn keys(input: Input<'_>) -> Found<'_, Vec<Path>> {
    opt(preceded(word("by"), cut(comma_list(path)))).map(Option::unwrap_or_default).parse(input)
}

/// `autoregress f [as n] [p=a[-b]] [by k, …]`
pub(crate) fn autoregress(input: Input<'_>) -> Found<'_, StageKind> {
    let number = whole_number(Label::Kind("a whole number"));
    let (after, (field, alias)) = cut((path, alias)).parse(input)?;
    if !after.is_word(0, "p") {
        let _: Found<'_, ()> = after.miss(Label::Exactly("p"));
        let lag_span = input.span_to(after);
        let (end, by) = keys(after)?;
        return Ok((end, StageKind::Autoregress { field, alias, lags: None, lag_span, by }));
    }
    let (first_at, _) = cut((word("p"), sign(Sign::Eq))).parse(after)?;
    let (end, (first, last)) = cut(pair(number, opt(preceded(sign(Sign::Minus), cut(number))))).parse(first_at)?;
    let lags = Some((first, last.unwrap_or(first)));
    let lag_span = first_at.span_to(end);
    let (end, by) = keys(end)?;
    Ok((end, StageKind::Autoregress { field, alias, lags, lag_span, by }))
}

/// Names with optional commas between them.
fn loose_list<'a, O>(
    item: impl Parser<Input<'a>, Output = O, Error = super::input::Fault> + Copy,
) -> impl FnMut(Input<'a>) -> Found<'a, Vec<O>> {
    move |input| {
        let next = alt((preceded(sign(Sign::Comma), cut(item)), item));
        let (after, first) = opt(item).parse(input)?;
        let Some(first) = first else { return Ok((after, Vec::new())) };
        let (after, mut rest) = many0(next).parse(after)?;
        rest.insert(0, first);
        Ok((after, rest))
    }
}

pub(crate) fn fill_down(input: Input<'_>) -> Found<'_, StageKind> {
    let names: fn(Input<'_>) -> Found<'_, GlobName> = glob_name;
    loose_list(names).map(StageKind::FillDown).parse(input)
}

/// `fillmissing [with v for f, …]`
pub(crate) fn fill_missing(input: Input<'_>) -> Found<'_, StageKind> {
    let pair = |input| separated_pair(constant, cut(word("for")), cut(path)).parse(input);
    let (after, values) = opt(preceded(word("with"), cut(comma_list(pair)))).parse(input)?;
    Ok((after, StageKind::FillMissing(values.unwrap_or_default())))
}

pub(crate) fn sessionize(input: Input<'_>) -> Found<'_, StageKind> {
    let maxspan = opt(option("maxspan", period));
    cut((comma_list(path), maxspan, alias))
        .map(|(fields, maxspan, alias)| StageKind::Sessionize { fields, maxspan, alias })
        .parse(input)
}

pub(crate) fn count_frequent(input: Input<'_>) -> Found<'_, StageKind> {
    cut(comma_list(path)).map(StageKind::CountFrequent).parse(input)
}

pub(crate) fn outlier(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, options) = many0(settings(&["action", "param", "uselower", "mark"])).parse(input)?;
    let (end, fields) = loose_list(path).parse(after)?;
    if fields.is_empty() {
        return cut(path).parse(end).map(|(end, _)| (end, StageKind::Broken));
    }
    Ok((end, StageKind::Outlier { options, fields }))
}

pub(crate) fn log_compare(input: Input<'_>) -> Found<'_, StageKind> {
    cut(option("timeshift", period)).map(StageKind::LogCompare).parse(input)
}

/// `relevantfields [f, …] where e`
pub(crate) fn relevant_fields(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, fields) = if input.is_word(0, "where") { (input, None) } else { opt(comma_list(path)).parse(input)? };
    let (after, condition) = cut(preceded(word("where"), condition)).parse(after)?;
    Ok((after, StageKind::RelevantFields { fields: fields.unwrap_or_default(), condition }))
}

/// `by k, … within d`
fn keys_and_period(input: Input<'_>) -> Found<'_, (Vec<Path>, Expr)> {
    let keys = preceded(word("by"), comma_list(path));
    cut(pair(keys, option("within", period))).parse(input)
}

/// `burst by k, … within d count >= n`
pub(crate) fn burst(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, (keys, within)) = keys_and_period(input)?;
    let (after, (value, op, bound)) = cut((aggregate, comparison_sign, bound)).parse(after)?;
    Ok((after, StageKind::Burst { keys, within, value, op, bound }))
}

/// A call; `count` alone is `count(*)`.
fn aggregate(input: Input<'_>) -> Found<'_, Expr> {
    let token = input.peek();
    if matches!(token.kind, TokenKind::Word) && input.is_sign(1, Sign::Open) && !name::is_reserved(input) {
        return super::expr::noted(input, call);
    }
    let (after, span) = word("count")(input)?;
    let name = Name { text: "count".to_string(), span };
    Ok((after, Expr { kind: ExprKind::Call { name, args: Vec::new(), star: true }, span }))
}

/// What an aggregate is compared with.
fn bound(input: Input<'_>) -> Found<'_, Expr> {
    if let Ok(found) = param(input) {
        return Ok(found);
    }
    match constant(input) {
        Ok((after, value)) if matches!(value.kind, ExprKind::Number(_) | ExprKind::Negate(_)) => Ok((after, value)),
        _ => input.miss(Label::Kind("a number")),
    }
}

/// `sequence by k, … within d [ step ; … ]`
pub(crate) fn sequence(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, (keys, within)) = keys_and_period(input)?;
    let more = many0(preceded(sign(Sign::Semicolon), opt(step)));
    let steps = pair(cut(step), more).map(|(first, more)| {
        let mut steps = vec![first];
        steps.extend(more.into_iter().flatten());
        steps
    });
    let (after, steps) = cut(delimited(sign(Sign::OpenList), steps, cut(sign(Sign::CloseList)))).parse(after)?;
    Ok((after, StageKind::Sequence { keys, within, steps }))
}

/// `name: condition [at least n]`
fn step(input: Input<'_>) -> Found<'_, Step> {
    let (after, name) = terminated(name::column, cut(sign(Sign::Colon))).parse(input)?;
    let (after, condition) = condition(after)?;
    let times = preceded(word("at"), cut(preceded(word("least"), bound)));
    let (end, at_least) = opt(times).parse(after)?;
    let good = match at_least.as_ref().map(|n| &n.kind) {
        None | Some(ExprKind::Param(_)) => true,
        Some(ExprKind::Number(digits)) => matches!(digits.parse(), Ok(1u64..)),
        Some(_) => false,
    };
    if let Some(n) = at_least.as_ref().filter(|_| !good) {
        let message = format!("expected a whole number of at least 1, found `{}`", n.span.text(input.state.source));
        input.state.report(Diagnostic::error("E002", n.span, message));
    }
    Ok((end, Step { name, condition, at_least }))
}

/// `firstseen f, … [by k, …] [history d|after time]`
pub(crate) fn first_seen(input: Input<'_>) -> Found<'_, StageKind> {
    let (end, (fields, by)) = cut((comma_list(path), keys)).parse(input)?;
    let (end, history) = opt(option("history", period)).parse(end)?;
    if history.is_some() {
        return Ok((end, StageKind::FirstSeen { fields, by, history, after: None }));
    }
    let (end, after) = opt(preceded(word("after"), cut(time))).parse(end)?;
    Ok((end, StageKind::FirstSeen { fields, by, history, after }))
}

/// `filterIndex f = v` or `filterIndex f in [ … ]`, read as the expression it is.
pub(crate) fn filter_index(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, condition) = cut(expr).parse(input)?;
    let fits = match &condition.kind {
        ExprKind::Binary { op: crate::ast::BinaryOp::Eq, left, right, .. } => {
            matches!(left.kind, ExprKind::Path(_)) && is_value(right)
        }
        ExprKind::In { left, set, negated: false } => {
            let list = matches!(set, crate::ast::InSet::List(..) | crate::ast::InSet::Param(_));
            matches!(left.kind, ExprKind::Path(_)) && list
        }
        _ => false,
    };
    if !fits {
        let found = condition.span.text(input.state.source);
        let message = format!("expected `field = value` or `field in [ … ]`, found `{found}`");
        let diagnostic = Diagnostic::error("E002", condition.span, message);
        return input.fail(diagnostic.help("use `filter` for any other condition"));
    }
    Ok((after, StageKind::FilterIndex(condition)))
}

fn is_value(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::String(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null | ExprKind::Param(_) => true,
        ExprKind::Negate(inner) => matches!(inner.kind, ExprKind::Number(_)),
        _ => false,
    }
}
