//! Errors of meaning that a parse already shows: comparison with null, text as a condition, arithmetic on text, chained
//! comparisons, operators of other languages. All but the last leave the tree as it is and let parsing go on.

use super::expr::{Binding, Link};
use super::input::{Fault, Input};
use crate::ast::{BinaryOp, Expr, ExprKind};
use crate::diag::Diagnostic;
use crate::lex::token::{Sign, TokenKind};
use crate::span::Span;

/// Operators of other languages, the code of the error, what to write here, and whether parsing goes on as if that were written.
///
/// Behind `||` it does not: as likely as an `or` it is an empty command, and then a command follows.
const FOREIGN: &[(Sign, &str, &str, bool)] = &[
    (Sign::DoubleEq, "E080", "=", true),
    (Sign::DoubleAnd, "E002", "and", true),
    (Sign::DoublePipe, "E002", "or", false),
    (Sign::Unequal, "E002", "!=", true),
];

/// Reports an operator of another language at `input`.
pub(crate) fn foreign_operator(input: Input<'_>) -> Result<(), nom::Err<Fault>> {
    let TokenKind::Sign(sign) = input.peek().kind else { return Ok(()) };
    let Some((_, code, ours, go_on)) = FOREIGN.iter().find(|(foreign, ..)| *foreign == sign) else { return Ok(()) };
    let message = match *code {
        "E080" => format!("`{}` is not supported: expected `{ours}`", sign.text()),
        _ => format!("expected `{ours}`, found `{}`", sign.text()),
    };
    let diagnostic = Diagnostic::error(code, input.peek().span, message).help(format!("use `{ours}`"));
    if *go_on {
        input.state.report(diagnostic);
        return Ok(());
    }
    input.fail(diagnostic).map(|(_, ())| ())
}

/// E045 if `operand` of an arithmetic operator is text that is no number.
pub(crate) fn arithmetic(input: Input<'_>, operand: &Expr) {
    if let ExprKind::String(text) = &operand.kind
        && !is_numeric(text)
    {
        let diagnostic = Diagnostic::error("E045", operand.span, "cannot do arithmetic on a string");
        input.state.report(diagnostic.help("join texts with `concat`"));
    }
}

/// Text of the form `-?[0-9]+(\.[0-9]+)?`.
fn is_numeric(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// E044 if `operand` is a bare string where a condition must stand. `before`: the operands it follows in an `and` or
/// `or` chain.
pub(crate) fn condition(input: Input<'_>, operand: &Expr, before: Option<(BinaryOp, &[Link])>) {
    if !matches!(operand.kind, ExprKind::String(_)) {
        return;
    }
    let source = input.state.source;
    let text = operand.span.text(source);
    let comparison =
        before.and_then(|(op, links)| Some((op, links.iter().rev().find_map(|(_, link)| compared(link))?)));
    let help = match comparison {
        Some((op, (comparison, left, sign))) if !comparison.text(source).contains('\n') => {
            let (comparison, left) = (comparison.text(source), left.text(source));
            format!("repeat the comparison: `{comparison} {} {left} {} {text}`", op.text(), sign.text())
        }
        Some(_) => "repeat the comparison: `status = \"401\" or status = \"403\"`".to_string(),
        None => format!("compare it, or search for it: `@message like {text}`"),
    };
    input.state.report(Diagnostic::error("E044", operand.span, "a string is not a condition").help(help));
}

/// The place of a comparison by sign, of its left side, and the sign.
fn compared(expr: &Expr) -> Option<(Span, Span, BinaryOp)> {
    match &expr.kind {
        ExprKind::Binary { op, left, .. } if op.binding() == Binding::Compare => Some((expr.span, left.span, *op)),
        _ => None,
    }
}

/// E044 for every bare string in a chain of `and` or `or`.
pub(crate) fn conditions(input: Input<'_>, op: BinaryOp, links: &[Link]) {
    for (at, (_, operand)) in links.iter().enumerate() {
        condition(input, operand, Some((op, &links[..at])));
    }
}

/// E040 if one side of a comparison by sign is null.
pub(crate) fn null_comparison(input: Input<'_>, left: &Expr, right: &Expr, op: BinaryOp) {
    let other = match (&left.kind, &right.kind) {
        (_, ExprKind::Null) => left,
        (ExprKind::Null, _) => right,
        _ => return,
    };
    let not = if op == BinaryOp::Ne { "" } else { "not " };
    null(input, left.span.to(right.span), other, not);
}

/// E040 if one side of `like` or `=~` is null.
pub(crate) fn null_pattern(input: Input<'_>, left: &Expr, right: &Expr) {
    if matches!(left.kind, ExprKind::Null) || matches!(right.kind, ExprKind::Null) {
        null(input, left.span.to(right.span), left, "not ");
    }
}

fn null(input: Input<'_>, span: Span, other: &Expr, not: &str) {
    let other = match other.kind {
        ExprKind::Path(_) => other.span.text(input.state.source),
        _ => "x",
    };
    let diagnostic = Diagnostic::error("E040", span, "comparison with null is never true");
    input.state.report(diagnostic.help(format!("use `{not}ispresent({other})`")));
}

/// E041 for an empty list, E040 for a null in it.
pub(crate) fn list(input: Input<'_>, left: &Expr, items: &[Expr], brackets: Span) {
    if items.is_empty() {
        input.state.report(Diagnostic::error("E041", brackets, "`in` needs at least one value"));
    }
    if items.iter().any(|item| matches!(item.kind, ExprKind::Null)) || matches!(left.kind, ExprKind::Null) {
        null(input, left.span.to(brackets), left, "not ");
    }
}

/// E043: `second` compares what is a comparison, at `first`, already.
pub(crate) fn chained_comparison(input: Input<'_>, second: Span, first: Span, whole: &Expr) {
    let source = input.state.source;
    let middle = match &whole.kind {
        ExprKind::Binary { left, .. } => right_side(left),
        _ => None,
    };
    let help = match middle {
        Some(middle) => {
            let rest = Span::new(second.start, whole.span.end);
            format!("use `{} and {} {}`", first.text(source), middle.text(source), rest.text(source))
        }
        None => "use `a < b and b < c`".to_string(),
    };
    input.state.report(Diagnostic::error("E043", second, "comparisons cannot be chained").help(help));
}

fn right_side(comparison: &Expr) -> Option<Span> {
    match &comparison.kind {
        ExprKind::Binary { op, right, .. } if op.binding() == Binding::Compare => Some(right.span),
        _ => None,
    }
}
