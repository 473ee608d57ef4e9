//! Queries: preludes, then commands between `|`, and what happens after an error in one of them.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, preceded};

use super::compare::list;
use super::expr::nested;
use super::input::{Fault, Found, Input, Label, sign, word};
use super::operand::regex;
use super::{name, report};
use crate::ast::{Expr, ExprKind, Let, LetValue, Query, Stage, StageKind, Table};
use crate::commands::{self, Form};
use crate::diag::Diagnostic;
use crate::leak;
use crate::lex::token::{Sign, TokenKind};
use crate::span::Span;

/// A sub-query takes as much stack to parse as this many levels of parentheses.
const SUB_QUERY_LEVELS: usize = 10;

/// What is being parsed: the whole text, or what stands in parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Parenthesis,
}

/// The whole text. What is wrong with it is in the state afterwards.
pub(crate) fn whole_query(input: Input<'_>) -> Query {
    let (mut rest, query) = query(input, Place::Whole);
    if rest.is_sign(0, Sign::Semicolon) {
        rest = rest.skip();
        if !matches!(rest.peek().kind, TokenKind::End) {
            let _: Found<'_, ()> = rest.miss(Label::Kind("the end of the query"));
            report::unexpected(rest, Fault { at: rest.at, reported: false });
        }
    }
    Query { span: Span::new(0, input.state.source.len()), ..query }
}

/// `( query )`, with the height of its tallest expression.
pub(crate) fn sub_query(input: Input<'_>) -> Found<'_, (Query, usize)> {
    let state = input.state;
    let inner = |input| {
        nested(input, SUB_QUERY_LEVELS, |input| {
            let in_sort = state.in_sort.replace(false);
            let outer = state.tallest.replace(0);
            let (after, query) = query(input, Place::Parenthesis);
            state.in_sort.set(in_sort);
            let height = state.tallest.replace(outer);
            Ok((after, (query, height)))
        })
    };
    delimited(sign(Sign::Open), cut(inner), cut(sign(Sign::Close))).parse(input)
}

fn query(start: Input<'_>, place: Place) -> (Input<'_>, Query) {
    let mut query = Query::default();
    let mut input = preludes(start, place, &mut query);
    let mut pipe = None;
    if input.is_sign(0, Sign::Pipe) {
        pipe = Some(input.peek().span);
        input = input.skip();
    }
    loop {
        if let Some(after) = gap(input, place, pipe) {
            input = after;
        } else {
            let (after, stage) = stage(input, place, query.stages.as_slice());
            query.stages.push(stage);
            input = after;
        }
        if !input.is_sign(0, Sign::Pipe) {
            break;
        }
        pipe = Some(input.peek().span);
        input = input.skip();
    }
    query.span = start.span_to(input);
    (input, query)
}

/// Reports that nothing stands between two `|`, or behind the last one.
fn gap<'a>(input: Input<'a>, place: Place, pipe: Option<Span>) -> Option<Input<'a>> {
    let nothing = match input.peek().kind {
        TokenKind::Sign(Sign::Pipe) | TokenKind::End => true,
        TokenKind::Sign(Sign::Close) => place == Place::Parenthesis,
        TokenKind::Sign(Sign::Semicolon) => pipe.is_some(),
        _ => false,
    };
    if !nothing {
        return None;
    }
    match pipe {
        Some(pipe) => input.state.report(Diagnostic::error("E007", pipe, "empty command")),
        None => {
            let _: Found<'_, ()> = input.miss(Label::Kind("a command"));
            report::unexpected(input, Fault { at: input.at, reported: false });
        }
    }
    Some(input)
}

/// One command. After an error the input stands before the next `|` and the stage is [`StageKind::Broken`].
fn stage<'a>(start: Input<'a>, place: Place, before: &[Stage]) -> (Input<'a>, Stage) {
    let word = start.peek().span;
    let (after, kind) =
        match command(start, before).and_then(|(after, kind)| ended(after, place).map(|()| (after, kind))) {
            Ok(found) => found,
            Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
                if !fault.reported && !hides_faults(start, fault.at) {
                    report::unexpected(start, fault);
                }
                (recover(start, fault.at, place), StageKind::Broken)
            }
            Err(nom::Err::Incomplete(_)) => (recover(start, start.at, place), StageKind::Broken),
        };
    (after, Stage { kind, word, span: start.span_to(after) })
}

/// The command word and what follows it.
fn command<'a>(start: Input<'a>, before: &[Stage]) -> Found<'a, StageKind> {
    let token = start.peek();
    if !matches!(token.kind, TokenKind::Word) {
        return start.miss(Label::Kind("a command"));
    }
    let text = start.text(token);
    let Some(command) = commands::find_or_foreign(text) else {
        return start.fail(commands::unknown(text, token.span));
    };
    let parse = match command.form {
        Form::Stage(parse) => parse,
        Form::Prelude => {
            let message = format!("expected `{}` before the first command, found it here", command.name);
            return start.fail(Diagnostic::error("E002", token.span, message));
        }
    };
    let late = before.iter().any(|stage| !matches!(stage.kind, StageKind::Source(_) | StageKind::Broken));
    if command.leads && late {
        let message = format!("expected `{}` before all other commands, found it here", command.name);
        let help = "other logs join in with `join … ( source … )` or `union ( source … )`";
        return start.fail(Diagnostic::error("E002", token.span, message).help(help));
    }
    if let Some(leak) = leak::of_command(text) {
        start.state.report(leak.note(token.span));
    }
    parse(start.skip())
}

/// Whether a command may end here.
fn ended(input: Input<'_>, place: Place) -> Result<(), nom::Err<Fault>> {
    let ended = match input.peek().kind {
        TokenKind::Sign(Sign::Pipe) | TokenKind::End => true,
        TokenKind::Sign(Sign::Close) => place == Place::Parenthesis,
        TokenKind::Sign(Sign::Semicolon) => place == Place::Whole,
        _ => false,
    };
    if ended {
        return Ok(());
    }
    sign(Sign::Pipe)(input).map(|_| ())
}

/// Whether a lexical error stands between the start of a stage and token `at`: then a parse error is its consequence.
fn hides_faults(start: Input<'_>, at: usize) -> bool {
    start.state.tokens.iter().take(at + 1).skip(start.at).any(|token| token.faulty)
}

/// The place of the `|` behind a stage that went wrong at token `at`, or of the end of its query.
///
/// A `|` in a parenthesis opened behind the error belongs to a sub-query that was not reached. One in a parenthesis
/// opened before it ends the stage: that parenthesis was never closed.
fn recover<'a>(start: Input<'a>, at: usize, place: Place) -> Input<'a> {
    let mut open = 0usize;
    let mut input = start;
    while input.at < at && !matches!(input.peek().kind, TokenKind::End) {
        match input.peek().kind {
            TokenKind::Sign(Sign::Open) => open += 1,
            TokenKind::Sign(Sign::Close) => open = open.saturating_sub(1),
            _ => {}
        }
        input = input.skip();
    }
    let mut within = 0usize;
    loop {
        match input.peek().kind {
            TokenKind::End => return input,
            TokenKind::Sign(Sign::Pipe) if within == 0 => return input,
            TokenKind::Sign(Sign::Open) => within += 1,
            TokenKind::Sign(Sign::Close) if within > 0 => within -= 1,
            TokenKind::Sign(Sign::Close) if open > 0 => open -= 1,
            TokenKind::Sign(Sign::Close) if place == Place::Parenthesis => return input,
            _ => {}
        }
        input = input.skip();
    }
}

/// `let` and `table` declarations. One that is wrong ends with its line.
fn preludes<'a>(mut input: Input<'a>, place: Place, query: &mut Query) -> Input<'a> {
    loop {
        let start = input;
        let found = if input.is_word(0, "let") {
            declaration(input).map(|(after, found)| {
                query.lets.push(found);
                after
            })
        } else if input.is_word(0, "table") {
            table(input).map(|(after, found)| {
                query.tables.push(found);
                after
            })
        } else {
            return input;
        };
        input = match found {
            Ok(after) => opt(sign(Sign::Semicolon)).parse(after).map_or(after, |(after, _)| after),
            Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
                if !fault.reported && !hides_faults(start, fault.at) {
                    report::unexpected(start, fault);
                }
                next_line(start, fault.at, place)
            }
            Err(nom::Err::Incomplete(_)) => next_line(start, start.at, place),
        };
    }
}

/// The first token on a line of its own behind `at`, or before that a `|`, the end, or what follows a `;`.
fn next_line<'a>(start: Input<'a>, at: usize, place: Place) -> Input<'a> {
    let mut input = start.skip();
    loop {
        let token = input.peek();
        let gap = Span::new(input.end_of_previous(), token.span.start);
        let new_line = input.at >= at && gap.text(input.state.source).contains('\n');
        match token.kind {
            TokenKind::End | TokenKind::Sign(Sign::Pipe) => return input,
            TokenKind::Sign(Sign::Close) if place == Place::Parenthesis => return input,
            TokenKind::Sign(Sign::Semicolon) if input.at >= at => return input.skip(),
            _ if new_line => return input,
            _ => input = input.skip(),
        }
    }
}

/// `let name = value`
fn declaration(start: Input<'_>) -> Found<'_, Let> {
    let (after, name) = cut(name::column).parse(start.skip())?;
    let (after, value) = cut(preceded(sign(Sign::Eq), let_value)).parse(after)?;
    Ok((after, Let { name, value, span: start.span_to(after) }))
}

fn let_value(input: Input<'_>) -> Found<'_, LetValue> {
    if !input.is_sign(0, Sign::OpenList) {
        let expression = regex.map(|tall| *tall.expr);
        let (after, value) = cut(alt((expression, constant))).parse(input)?;
        return Ok((after, LetValue::One(value)));
    }
    let (after, (items, span, _)) = list(input)?;
    if items.is_empty() {
        input.state.report(Diagnostic::error("E041", span, "`in` needs at least one value"));
    }
    let strange = items.iter().find(|item| !is_constant(item));
    if let Some(item) = strange {
        let message = format!("expected a literal, found `{}`", item.span.text(input.state.source));
        input.state.report(Diagnostic::error("E002", item.span, message));
    }
    Ok((after, LetValue::List(items)))
}

fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::String(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null | ExprKind::Duration(_) => true,
        ExprKind::Negate(inner) => matches!(inner.kind, ExprKind::Number(_)),
        _ => false,
    }
}

/// A literal, a duration, or a number with a minus in front.
pub(crate) fn constant(input: Input<'_>) -> Found<'_, Expr> {
    if input.is_sign(0, Sign::Minus) && matches!(input.peek_at(1).kind, TokenKind::Number) {
        let number =
            Expr { kind: ExprKind::Number(input.text(input.peek_at(1)).to_string()), span: input.peek_at(1).span };
        let after = input.skip().skip();
        return Ok((after, Expr { kind: ExprKind::Negate(Box::new(number)), span: input.span_to(after) }));
    }
    let token = input.peek();
    let text = input.text(token).to_ascii_lowercase();
    let kind = match &token.kind {
        TokenKind::Text { text, .. } => ExprKind::String(text.clone()),
        TokenKind::Number => ExprKind::Number(input.text(token).to_string()),
        TokenKind::Duration(duration) => ExprKind::Duration(*duration),
        TokenKind::Word if text == "true" || text == "false" => ExprKind::Bool(text == "true"),
        TokenKind::Word if text == "null" => ExprKind::Null,
        _ => return input.miss(Label::Kind("a literal")),
    };
    Ok((input.skip(), Expr { kind, span: token.span }))
}

/// `table name from "file"`
fn table(start: Input<'_>) -> Found<'_, Table> {
    let (after, name) = cut(name::column).parse(start.skip())?;
    let (after, file) = cut(preceded(word("from"), cut(name::string))).parse(after)?;
    Ok((after, Table { name, file: file.text, span: start.span_to(after) }))
}
