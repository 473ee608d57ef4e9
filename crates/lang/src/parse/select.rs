//! Commands that choose rows and columns: `fields display filter stats sort limit dedup`.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::preceded;

use super::check;
use super::expr::{Binding, at_least, expr, noted};
use super::input::{Found, Input, Label, comma_list, word};
use super::name::alias;
use super::operand::operand;
use crate::ast::{BinaryOp, Expr, ExprKind, Item, Name, SortKey, StageKind, Stats};
use crate::diag::Diagnostic;
use crate::leak;
use crate::lex;
use crate::lex::token::{Sign, TokenKind};
use crate::span::Span;

/// `e [as n]`
pub(crate) fn item(input: Input<'_>) -> Found<'_, Item> {
    let (after_expr, expr) = expr(input)?;
    let (after, alias) = alias(after_expr)?;
    let text = column_name(input, after_expr);
    Ok((after, Item { expr, alias, text, span: input.span_to(after) }))
}

/// The text between two places, white space and comments collapsed to single spaces, backticks left out.
fn column_name(start: Input<'_>, after: Input<'_>) -> String {
    let mut text = String::new();
    let mut end = start.peek().span.start;
    for token in start.state.tokens.iter().take(after.at).skip(start.at) {
        if token.span.start > end {
            text.push(' ');
        }
        match token.kind {
            TokenKind::Quoted => text.push_str(&lex::unquoted(start.text(token))),
            _ => text.push_str(start.text(token)),
        }
        end = token.span.end;
    }
    text
}

pub(crate) fn fields(input: Input<'_>) -> Found<'_, StageKind> {
    cut(comma_list(item)).map(StageKind::Fields).parse(input)
}

pub(crate) fn display(input: Input<'_>) -> Found<'_, StageKind> {
    cut(comma_list(item)).map(StageKind::Display).parse(input)
}

/// An expression that is a condition as a whole.
pub(crate) fn condition(input: Input<'_>) -> Found<'_, Expr> {
    let (after, condition) = cut(expr).parse(input)?;
    check::condition(input, &condition, None);
    Ok((after, condition))
}

pub(crate) fn filter(input: Input<'_>) -> Found<'_, StageKind> {
    condition.map(StageKind::Filter).parse(input)
}

pub(crate) fn stats(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, items) = opt(comma_list(item)).parse(input)?;
    let (after, by) = opt(preceded(word("by"), cut(comma_list(item)))).parse(after)?;
    let (after, offset) = opt(option("offset", period)).parse(after)?;
    let (mut items, by) = (items.unwrap_or_default(), by.unwrap_or_default());
    if items.is_empty() {
        let span = input.previous().map_or(input.peek().span, |word| word.span);
        let help = "count the rows of each group with `count(*)`";
        let diagnostic = Diagnostic::error("E060", span, "`stats` needs at least one aggregate");
        input.state.report(diagnostic.help(help));
    }
    read_bare_counts(input, &mut items, &by);
    Ok((after, StageKind::Stats(Stats { items, by, offset })))
}

/// `stats count by x`: the word alone means `count(*)`, unless it names a group key or an earlier item.
fn read_bare_counts(input: Input<'_>, items: &mut [Item], by: &[Item]) {
    let is_count = |text: &str| text.eq_ignore_ascii_case("count");
    let named = |items: &[Item]| items.iter().any(|item| is_count(item.name()));
    if named(by) {
        return;
    }
    for at in 0..items.len() {
        let (before, rest) = items.split_at_mut(at);
        let Some(item) = rest.first_mut() else { return };
        let ExprKind::Path(path) = &item.expr.kind else { continue };
        let in_backticks = path.span.text(input.state.source).starts_with('`');
        if !is_count(&path.text()) || in_backticks || named(before) {
            continue;
        }
        input.state.report(leak::BARE_COUNT.note(path.span));
        let name = Name { text: "count".to_string(), span: path.span };
        item.expr.kind = ExprKind::Call { name, args: Vec::new(), star: true };
    }
}

/// `keyword value`, where the value parser is told where the keyword stands.
pub(crate) fn option<'a, O>(
    keyword: &'static str,
    value: impl Fn(Input<'a>, Span) -> Found<'a, O>,
) -> impl Fn(Input<'a>) -> Found<'a, O> {
    move |input| {
        let (after, span) = word(keyword)(input)?;
        cut(|input| value(input, span)).parse(after)
    }
}

/// A duration or parameter. Another literal is E034 at its place, and so is nothing at all, at the `keyword`.
pub(crate) fn period(input: Input<'_>, keyword: Span) -> Found<'_, Expr> {
    // What stands in brackets behind a parameter is not a part of it: `within $window [ step: … ]`.
    if let Ok(found) = param(input) {
        return Ok(found);
    }
    let (after, value, span) = match at_least(input, Binding::Unary) {
        Ok((after, tall)) => {
            let span = tall.expr.span;
            (after, *tall.expr, span)
        }
        Err(nom::Err::Error(_)) => (input, Expr { kind: ExprKind::Broken, span: keyword }, keyword),
        Err(other) => return Err(other),
    };
    if !matches!(value.kind, ExprKind::Duration(_) | ExprKind::Param(_)) {
        input.state.report(Diagnostic::error("E034", span, "expected a period such as 5m"));
    }
    Ok((after, value))
}

pub(crate) fn sort(input: Input<'_>) -> Found<'_, StageKind> {
    let behind_by = input.is_word(0, "by").then(|| {
        input.state.report(leak::SORT_BY.note(input.peek().span));
        input.skip()
    });
    sort_keys(behind_by.unwrap_or(input))
}

/// `order by …` of SQL.
pub(crate) fn order(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, _) = cut(word("by")).parse(input)?;
    let span = input.previous().map_or(input.peek().span, |order| order.span.to(input.peek().span));
    input.state.report(leak::ORDER_BY.note(span));
    sort_keys(after)
}

fn sort_keys(input: Input<'_>) -> Found<'_, StageKind> {
    input.state.in_sort.set(true);
    let found = cut(comma_list(sort_key)).parse(input);
    input.state.in_sort.set(false);
    found.map(|(after, keys)| (after, StageKind::Sort(keys)))
}

fn sort_key(input: Input<'_>) -> Found<'_, SortKey> {
    let (after, item) = item(input)?;
    let (after, direction) = opt(nom::branch::alt((word("asc"), word("desc")))).parse(after)?;
    let descending = direction.is_some_and(|span| span.text(input.state.source).eq_ignore_ascii_case("desc"));
    Ok((after, SortKey { item, descending, explicit: direction.is_some() }))
}

pub(crate) fn limit(input: Input<'_>) -> Found<'_, StageKind> {
    let word = input.previous().map_or(input.peek().span, |word| word.span);
    let any = input.is_word(0, "any");
    let input = if any { input.skip() } else { input };
    let (after, count) = opt(expr).parse(input)?;
    let whole = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u64>().is_ok();
    let good = match count.as_ref().map(|count| &count.kind) {
        Some(ExprKind::Number(text)) => whole(text),
        Some(ExprKind::Param(_)) => true,
        _ => false,
    };
    if !good {
        let span = count.as_ref().map_or(word, |count| count.span);
        input.state.report(Diagnostic::error("E030", span, "`limit` needs a whole number"));
    }
    Ok((after, StageKind::Limit { any, count }))
}

pub(crate) fn dedup(input: Input<'_>) -> Found<'_, StageKind> {
    cut(comma_list(postfix)).map(StageKind::Dedup).parse(input)
}

/// An expression without operators outside of parentheses.
pub(crate) fn postfix(input: Input<'_>) -> Found<'_, Expr> {
    noted(input, operand)
}

/// `$name`
pub(crate) fn param(input: Input<'_>) -> Found<'_, Expr> {
    let token = input.peek();
    match token.kind {
        TokenKind::Param => {
            let name = input.text(token).trim_start_matches('$').to_string();
            Ok((input.skip(), Expr { kind: ExprKind::Param(name), span: token.span }))
        }
        _ => input.miss(Label::Kind("a parameter")),
    }
}

/// The comparison signs, for commands that take one.
pub(crate) fn comparison_sign(input: Input<'_>) -> Found<'_, BinaryOp> {
    const SIGNS: &[(Sign, BinaryOp)] = &[
        (Sign::Eq, BinaryOp::Eq),
        (Sign::Ne, BinaryOp::Ne),
        (Sign::Lt, BinaryOp::Lt),
        (Sign::Le, BinaryOp::Le),
        (Sign::Gt, BinaryOp::Gt),
        (Sign::Ge, BinaryOp::Ge),
    ];
    match SIGNS.iter().find(|(sign, _)| input.is_sign(0, *sign)) {
        Some((_, op)) => Ok((input.skip(), *op)),
        None => input.miss(Label::Kind("a comparison")),
    }
}
