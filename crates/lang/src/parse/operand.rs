//! Operands: literals, fields, parameters, calls, parentheses.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::multi::many1;
use nom::sequence::{pair, preceded};

use super::expr::{Binding, MAX_DEPTH, Tall, element, required, too_deep};
use super::input::{Found, Input, Label, comma_list, sign, word};
use super::name::{self, is_reserved};
use crate::ast::{Expr, ExprKind, Name, Regex};
use crate::leak;
use crate::lex::token::{Sign, TokenKind, is_one_of};

/// An operand and what hangs on it: `.name`, `.0`, `[0]`.
pub(crate) fn operand(input: Input<'_>) -> Found<'_, Tall> {
    let (after, primary) = primary(input)?;
    // A number with a dot behind it is an address or a version without its quotes.
    if matches!(input.peek().kind, TokenKind::Number | TokenKind::Duration(_)) {
        return Ok((after, primary));
    }
    let (after, segments) = name::tail(after)?;
    if segments.is_empty() {
        return Ok((after, primary));
    }
    let kind = ExprKind::Member { base: primary.expr, segments };
    tall(input, after, kind, primary.height + 1)
}

fn tall<'a>(start: Input<'a>, after: Input<'a>, kind: ExprKind, height: usize) -> Found<'a, Tall> {
    if height > MAX_DEPTH {
        return too_deep(start, start.peek().span);
    }
    Ok((after, Tall { expr: Box::new(Expr { kind, span: start.span_to(after) }), height }))
}

fn primary(input: Input<'_>) -> Found<'_, Tall> {
    let token = input.peek();
    let text = input.text(token);
    let after = input.skip();
    let kind = match &token.kind {
        TokenKind::Text { text, .. } => ExprKind::String(text.clone()),
        TokenKind::Number => ExprKind::Number(text.to_string()),
        TokenKind::Duration(duration) => ExprKind::Duration(*duration),
        TokenKind::Param => ExprKind::Param(text.trim_start_matches('$').to_string()),
        TokenKind::Sign(Sign::Open) => return parenthesis(input),
        TokenKind::Word if is_one_of(text, &["true", "false"]) => ExprKind::Bool(text.eq_ignore_ascii_case("true")),
        TokenKind::Word if text.eq_ignore_ascii_case("null") => ExprKind::Null,
        TokenKind::Word if !is_reserved(input) => return named(input),
        TokenKind::Quoted => return field(input),
        _ => return input.miss(Label::Kind("an expression")),
    };
    tall(input, after, kind, 1)
}

/// A word: a call, a form of another language, or a field.
fn named(input: Input<'_>) -> Found<'_, Tall> {
    if input.is_sign(1, Sign::Open) {
        return call(input);
    }
    if input.is_word(0, "case") && input.is_word(1, "when") {
        return sql_case(input);
    }
    if is_prefix_exists(input) {
        return prefix_exists(input);
    }
    field(input)
}

fn field(input: Input<'_>) -> Found<'_, Tall> {
    let (after, path) = name::path(input)?;
    tall(input, after, ExprKind::Path(path), 1)
}

fn parenthesis(input: Input<'_>) -> Found<'_, Tall> {
    let (after, mut inner) = required(input.skip(), Binding::Or)?;
    let (after, _) = cut(sign(Sign::Close)).parse(after)?;
    inner.expr.span = input.span_to(after);
    Ok((after, inner))
}

/// `name(*)`, `name()`, `name(a, b)`
pub(crate) fn call(input: Input<'_>) -> Found<'_, Tall> {
    let token = input.peek();
    let mut name = Name { text: input.text(token).to_string(), span: token.span };
    let inside = input.skip().skip();
    let star = inside.is_sign(0, Sign::Star) && inside.is_sign(1, Sign::Close);
    let inside = if star { inside.skip() } else { inside };
    let args = opt(comma_list(argument));
    let (after, args) = pair(args, cut(sign(Sign::Close))).map(|(args, _)| args.unwrap_or_default()).parse(inside)?;
    let height = args.iter().map(|arg| arg.height).max().unwrap_or(0) + 1;
    let args: Vec<Expr> = args.into_iter().map(|arg| *arg.expr).collect();
    if args.len() == 1 && name.text.eq_ignore_ascii_case("exists") {
        input.state.report(leak::EXISTS_CALL.note(token.span));
        name.text = "ispresent".to_string();
    }
    tall(input, after, ExprKind::Call { name, args, star }, height)
}

fn argument(input: Input<'_>) -> Found<'_, Tall> {
    alt((regex, element)).parse(input)
}

/// A regular expression literal.
pub(crate) fn regex(input: Input<'_>) -> Found<'_, Tall> {
    match &input.peek().kind {
        TokenKind::Regex(regex) => {
            note_flags(input, regex);
            tall(input, input.skip(), ExprKind::Regex(regex.clone()), 1)
        }
        _ => input.miss(Label::Kind("a regular expression")),
    }
}

/// Flags behind a regular expression are those of other languages.
pub(crate) fn note_flags(input: Input<'_>, regex: &Regex) {
    if !regex.flags.is_empty() {
        let note = leak::REGEX_FLAGS.note(input.peek().span);
        input.state.report(note.help(format!("Logs Insights has flags inside: `/(?{})…/`", regex.flags)));
    }
}

/// `case when c then v … [else d] end`, as SQL has it: the call `case(c, v, …, d)`.
fn sql_case(input: Input<'_>) -> Found<'_, Tall> {
    let branch = pair(preceded(word("when"), cut(element)), preceded(cut(word("then")), cut(element)));
    let otherwise = opt(preceded(word("else"), cut(element)));
    let (after, (branches, otherwise)) = cut((many1(branch), otherwise)).parse(input.skip())?;
    let (after, _) = cut(word("end")).parse(after)?;
    let parts = branches.into_iter().flat_map(|(condition, value)| [condition, value]).chain(otherwise);
    let (mut args, mut height) = (Vec::new(), 1);
    for part in parts {
        height = height.max(part.height + 1);
        args.push(*part.expr);
    }
    let token = input.peek();
    input.state.report(leak::SQL_CASE.note(input.span_to(after)));
    let name = Name { text: "case".to_string(), span: token.span };
    tall(input, after, ExprKind::Call { name, args, star: false }, height)
}

/// `exists x` at the start of a condition. Elsewhere `exists` is a field with something unexpected behind it.
fn is_prefix_exists(input: Input<'_>) -> bool {
    let begins = input.previous().is_some_and(|token| match token.kind {
        TokenKind::Sign(sign) => matches!(sign, Sign::Open | Sign::Bang),
        TokenKind::Word => is_one_of(input.text(token), &["filter", "where", "and", "or", "not"]),
        _ => false,
    });
    begins
        && input.is_word(0, "exists")
        && matches!(input.peek_at(1).kind, TokenKind::Word | TokenKind::Quoted)
        && !is_reserved(input.skip())
}

fn prefix_exists(input: Input<'_>) -> Found<'_, Tall> {
    let (after, inner) = cut(field).parse(input.skip())?;
    let token = input.peek();
    input.state.report(leak::EXISTS_CALL.note(token.span));
    let name = Name { text: "ispresent".to_string(), span: token.span };
    tall(input, after, ExprKind::Call { name, args: vec![*inner.expr], star: false }, inner.height + 1)
}
