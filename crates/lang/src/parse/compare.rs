//! Comparisons: the signs, `like`, `=~`, `in` and their `not` forms, and those of other languages.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt};
use nom::sequence::{delimited, preceded};

use super::check;
use super::expr::{Binding, MAX_DEPTH, Tall, at_least, binary, element, required, too_deep};
use super::input::{Found, Input, Label, comma_list, sign, word};
use super::name;
use super::operand::regex;
use super::query::sub_query;
use crate::ast::{BinaryOp, Expr, ExprKind, InSet, Name};
use crate::commands;
use crate::leak::{self, Leak};
use crate::lex::token::{Sign, TokenKind};
use crate::span::Span;

/// What a comparison does.
#[derive(Clone, Copy)]
pub(crate) struct Comparison {
    how: How,
    negated: bool,
    /// Tokens of the operator.
    length: usize,
    leak: Option<&'static Leak>,
}

#[derive(Clone, Copy)]
enum How {
    Sign(BinaryOp),
    Like,
    Match,
    In,
    Exists,
    IsNull,
}

/// The signs that compare, `==` and `<>` of other languages among them.
const SIGNS: &[(Sign, BinaryOp)] = &[
    (Sign::Eq, BinaryOp::Eq),
    (Sign::DoubleEq, BinaryOp::Eq),
    (Sign::Ne, BinaryOp::Ne),
    (Sign::Unequal, BinaryOp::Ne),
    (Sign::Lt, BinaryOp::Lt),
    (Sign::Le, BinaryOp::Le),
    (Sign::Gt, BinaryOp::Gt),
    (Sign::Ge, BinaryOp::Ge),
];

/// The comparison operator at `input`, if there is one.
pub(crate) fn comparison_at(input: Input<'_>) -> Option<Comparison> {
    let plain = |how, length| Some(Comparison { how, negated: false, length, leak: None });
    let with = |how, negated, length, leak| Some(Comparison { how, negated, length, leak: Some(leak) });
    if let TokenKind::Sign(sign) = input.peek().kind
        && let Some((_, op)) = SIGNS.iter().find(|(s, _)| *s == sign)
    {
        return plain(How::Sign(*op), 1);
    }
    if input.is_sign(0, Sign::BangTilde) {
        return with(How::Match, true, 1, &leak::BANG_TILDE);
    }
    if input.is_word(0, "is") {
        let not = usize::from(input.is_word(1, "not"));
        return match input.is_word(1 + not, "null") {
            true if not == 1 => with(How::IsNull, true, 3, &leak::IS_NOT_NULL),
            true => with(How::IsNull, false, 2, &leak::IS_NULL),
            false => None,
        };
    }
    let not = usize::from(input.is_word(0, "not"));
    let positive = if input.is_word(not, "like") {
        plain(How::Like, 1 + not)
    } else if input.is_word(not, "in") {
        plain(How::In, 1 + not)
    } else if input.is_sign(not, Sign::Match) {
        plain(How::Match, 1 + not)
    } else if input.is_sign(not, Sign::TildeEq) {
        with(How::Match, false, 1 + not, &leak::TILDE_EQ)
    } else if input.is_word(not, "exists") {
        with(How::Exists, false, 1 + not, if not == 1 { &leak::NOT_EXISTS } else { &leak::EXISTS })
    } else {
        None
    };
    positive.map(|comparison| Comparison { negated: comparison.negated || not == 1, ..comparison })
}

/// The comparison of `left` with what stands behind the operator at `input`. `again`: `left` is a comparison itself.
pub(crate) fn comparison<'a>(
    start: Input<'a>,
    input: Input<'a>,
    left: Tall,
    comparison: Comparison,
    again: bool,
) -> Found<'a, Tall> {
    check::foreign_operator(input)?;
    let mut behind = input;
    for _ in 0..comparison.length {
        behind = behind.skip();
    }
    let op_span = input.span_to(behind);
    if let Some(leak) = comparison.leak {
        input.state.report(leak.note(op_span));
    }
    let chained = again.then_some(left.expr.span);
    let (after, tall) = match comparison.how {
        How::Sign(op) => {
            let (after, right) = required(behind, Binding::Sum)?;
            check::null_comparison(input, &left.expr, &right.expr, op);
            binary(start, input, after, op, left, right)?
        }
        How::Like | How::Match => pattern(start, behind, left, comparison)?,
        How::In => membership(start, behind, left, comparison.negated)?,
        How::Exists => presence(start, behind, left, op_span, comparison.negated)?,
        How::IsNull => presence(start, behind, left, op_span, !comparison.negated)?,
    };
    if let Some(first) = chained {
        check::chained_comparison(input, op_span, first, &tall.expr);
    }
    Ok((after, tall))
}

/// The right side of `like` and `=~`.
fn pattern<'a>(start: Input<'a>, behind: Input<'a>, left: Tall, comparison: Comparison) -> Found<'a, Tall> {
    let sum = |input| at_least(input, Binding::Sum);
    let (after, right) = cut(alt((regex, sum))).parse(behind)?;
    check::null_pattern(behind, &left.expr, &right.expr);
    let height = left.height.max(right.height) + 1;
    let kind = ExprKind::Like {
        left: left.expr,
        right: right.expr,
        negated: comparison.negated,
        regex_op: matches!(comparison.how, How::Match),
    };
    finish(start, after, kind, height)
}

/// The right side of `in`.
fn membership<'a>(start: Input<'a>, behind: Input<'a>, left: Tall, negated: bool) -> Found<'a, Tall> {
    let (after, (set, set_height)) = cut(alt((list_set, param_set, table_set, round_set))).parse(behind)?;
    if let InSet::List(items, span) = &set {
        check::list(behind, &left.expr, items, *span);
    }
    let height = left.height.max(set_height) + 1;
    finish(start, after, ExprKind::In { left: left.expr, set, negated }, height)
}

fn finish<'a>(start: Input<'a>, after: Input<'a>, kind: ExprKind, height: usize) -> Found<'a, Tall> {
    if height > MAX_DEPTH {
        return too_deep(start, start.peek().span);
    }
    Ok((after, Tall { expr: Box::new(Expr { kind, span: start.span_to(after) }), height }))
}

/// `ispresent(left)`, or its negation.
fn presence<'a>(start: Input<'a>, after: Input<'a>, left: Tall, word: Span, negated: bool) -> Found<'a, Tall> {
    let span = start.span_to(after);
    let name = Name { text: "ispresent".to_string(), span: word };
    let call = ExprKind::Call { name, args: vec![*left.expr], star: false };
    let kind = match negated {
        true => ExprKind::Not(Box::new(Expr { kind: call, span })),
        false => call,
    };
    finish(start, after, kind, left.height + 2)
}

/// Expressions with the height of the tallest of them.
type Set = (InSet, usize);

/// `[a, b]`
pub(crate) fn list(input: Input<'_>) -> Found<'_, (Vec<Expr>, Span, usize)> {
    enclosed(input, Sign::OpenList, Sign::CloseList)
}

fn enclosed(input: Input<'_>, open: Sign, close: Sign) -> Found<'_, (Vec<Expr>, Span, usize)> {
    let items = opt(comma_list(element));
    let (after, items) = delimited(sign(open), items, cut(sign(close))).parse(input)?;
    let items = items.unwrap_or_default();
    let height = items.iter().map(|item| item.height).max().unwrap_or(0);
    Ok((after, (items.into_iter().map(|item| *item.expr).collect(), input.span_to(after), height)))
}

fn list_set(input: Input<'_>) -> Found<'_, Set> {
    map(list, |(items, span, height)| (InSet::List(items, span), height)).parse(input)
}

fn param_set(input: Input<'_>) -> Found<'_, Set> {
    let token = input.peek();
    match token.kind {
        TokenKind::Param => {
            let name = Name { text: input.text(token).trim_start_matches('$').to_string(), span: token.span };
            Ok((input.skip(), (InSet::Param(name), 0)))
        }
        _ => input.miss(Label::Kind("a parameter")),
    }
}

fn table_set(input: Input<'_>) -> Found<'_, Set> {
    let column = opt(preceded(sign(Sign::Dot), cut(name::column)));
    let named = (cut(name::column), column);
    map(preceded(word("table"), named), |(name, column)| (InSet::Table { name, column }, 0)).parse(input)
}

/// `( query )`; or a list in round brackets, as SQL has it.
fn round_set(input: Input<'_>) -> Found<'_, Set> {
    if !input.is_sign(0, Sign::Open) {
        return input.miss(Label::Kind("a sub-query"));
    }
    if !holds_list(input.skip()) {
        return sub_query.map(|(query, height)| (InSet::Query(Box::new(query)), height)).parse(input);
    }
    let (after, (items, span, height)) = enclosed(input, Sign::Open, Sign::Close)?;
    input.state.report(leak::ROUND_LIST.note(span));
    Ok((after, (InSet::List(items, span), height)))
}

/// Whether the text behind a parenthesis is a list of values, not a query.
fn holds_list(input: Input<'_>) -> bool {
    let ends_item = |ahead| input.is_sign(ahead, Sign::Comma) || input.is_sign(ahead, Sign::Close);
    match input.peek().kind {
        TokenKind::Text { .. } | TokenKind::Number | TokenKind::Duration(_) | TokenKind::Param => true,
        TokenKind::Sign(Sign::Minus) => true,
        TokenKind::Word | TokenKind::Quoted => commands::find(input.text(input.peek())).is_none() && ends_item(1),
        _ => false,
    }
}
