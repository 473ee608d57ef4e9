//! Names: paths to fields, new names, column names, names with wildcards, and the words of settings.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::preceded;

use super::input::{Found, Input, Label, word};
use crate::ast::{GlobName, Name, Path, Segment, Text};
use crate::leak;
use crate::lex;
use crate::lex::token::{RESERVED, RESERVED_IN_SORT, Sign, Token, TokenKind, is_one_of};
use crate::span::Span;

/// Whether the next token is a word that is no name here.
pub(crate) fn is_reserved(input: Input<'_>) -> bool {
    let token = input.peek();
    let is = |words| is_one_of(input.text(token), words);
    matches!(token.kind, TokenKind::Word) && (is(RESERVED) || input.state.in_sort.get() && is(RESERVED_IN_SORT))
}

/// The text of a name token without its backticks.
pub(crate) fn unquoted<'a>(input: Input<'a>, token: &Token) -> String {
    lex::unquoted(input.text(token))
}

/// A field: `a`, `a.b.0`, `a[0].b`, `` `a b`.c ``.
pub(crate) fn path(input: Input<'_>) -> Found<'_, Path> {
    let token = input.peek();
    let quoted = match token.kind {
        TokenKind::Quoted => true,
        TokenKind::Word if !is_reserved(input) => false,
        _ => return input.miss(Label::Kind("a field")),
    };
    let first = Segment::Name { text: unquoted(input, token), quoted };
    let (after, mut tail) = tail(input.skip())?;
    tail.insert(0, first);
    Ok((after, Path { segments: tail, span: input.span_to(after) }))
}

/// Any number of `.name`, `.0` and `[0]`.
pub(crate) fn tail(mut input: Input<'_>) -> Found<'_, Vec<Segment>> {
    let mut segments = Vec::new();
    loop {
        let found = match input.peek().kind {
            TokenKind::Sign(Sign::Dot) => cut(dotted).parse(input.skip()),
            TokenKind::Sign(Sign::OpenList) => cut(bracketed).parse(input.skip()),
            _ => return Ok((input, segments)),
        };
        let (after, segment) = found?;
        segments.push(segment);
        input = after;
    }
}

fn dotted(input: Input<'_>) -> Found<'_, Segment> {
    let token = input.peek();
    let segment = match token.kind {
        // A position beyond 64 bits can only be a key.
        TokenKind::Number => match input.text(token).parse() {
            Ok(index) => Segment::Index(index),
            Err(_) => Segment::Name { text: input.text(token).to_string(), quoted: false },
        },
        TokenKind::Word => Segment::Name { text: input.text(token).to_string(), quoted: false },
        TokenKind::Quoted => Segment::Name { text: unquoted(input, token), quoted: true },
        _ => return input.miss(Label::Kind("a name or position")),
    };
    Ok((input.skip(), segment))
}

fn bracketed(input: Input<'_>) -> Found<'_, Segment> {
    let (after, index) = whole_number(Label::Kind("a position")).parse(input)?;
    let (after, _) = cut(super::input::sign(Sign::CloseList)).parse(after)?;
    Ok((after, Segment::Index(index)))
}

/// Digits; a count beyond 64 bits is the largest there is.
pub(crate) fn whole_number<'a>(label: Label) -> impl Fn(Input<'a>) -> Found<'a, u64> + Copy {
    move |input| {
        let token = input.peek();
        let text = input.text(token);
        match token.kind {
            TokenKind::Number if text.bytes().all(|b| b.is_ascii_digit()) => {
                Ok((input.skip(), text.parse().unwrap_or(u64::MAX)))
            }
            _ => input.miss(label),
        }
    }
}

/// A name for something new. With dots it is still one name.
pub(crate) fn new_name(input: Input<'_>) -> Found<'_, Name> {
    let token = input.peek();
    if !matches!(token.kind, TokenKind::Word | TokenKind::Quoted) || is_reserved(input) {
        return input.miss(Label::Kind("a name"));
    }
    let mut text = unquoted(input, token);
    let mut after = input.skip();
    while after.is_sign(0, Sign::Dot)
        && matches!(after.peek_at(1).kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Number)
    {
        text.push('.');
        text.push_str(&unquoted(after, after.peek_at(1)));
        after = after.skip().skip();
    }
    Ok((after, Name { text, span: input.span_to(after) }))
}

/// `[as name]`
pub(crate) fn alias(input: Input<'_>) -> Found<'_, Option<Name>> {
    opt(preceded(word("as"), cut(alt((new_name, string_alias))))).parse(input)
}

/// `as "Total"`, as in SQL.
fn string_alias(input: Input<'_>) -> Found<'_, Name> {
    let token = input.peek();
    match &token.kind {
        TokenKind::Text { text, .. } if !text.is_empty() && !text.contains(['`', '\n', '\r']) => {
            input.state.report(leak::STRING_ALIAS.note(token.span));
            Ok((input.skip(), Name { text: text.clone(), span: token.span }))
        }
        _ => input.miss(Label::Kind("a name")),
    }
}

/// A single name of a column or table: `a` or `` `a b` ``.
pub(crate) fn column(input: Input<'_>) -> Found<'_, Name> {
    let token = input.peek();
    match token.kind {
        TokenKind::Word | TokenKind::Quoted if !is_reserved(input) => {
            Ok((input.skip(), Name { text: unquoted(input, token), span: token.span }))
        }
        _ => input.miss(Label::Kind("a name")),
    }
}

/// The value of a setting: a word, name, number or string.
pub(crate) fn setting_value(input: Input<'_>) -> Found<'_, Name> {
    let token = input.peek();
    let text = match &token.kind {
        TokenKind::Word | TokenKind::Number => input.text(token).to_string(),
        TokenKind::Quoted => unquoted(input, token),
        TokenKind::Text { text, .. } => text.clone(),
        _ => return input.miss(Label::Kind("a value")),
    };
    Ok((input.skip(), Name { text, span: token.span }))
}

/// A string literal.
pub(crate) fn string(input: Input<'_>) -> Found<'_, Text> {
    let token = input.peek();
    match &token.kind {
        TokenKind::Text { text, raw } => {
            Ok((input.skip(), Text { text: text.clone(), raw: raw.clone(), span: token.span }))
        }
        _ => input.miss(Label::Kind("a string")),
    }
}

/// A bare time or a string.
pub(crate) fn time(input: Input<'_>) -> Found<'_, Text> {
    let token = input.peek();
    match token.kind {
        TokenKind::Raw => {
            let text = input.text(token).to_string();
            Ok((input.skip(), Text { raw: text.clone(), text, span: token.span }))
        }
        TokenKind::Text { .. } => string(input),
        _ => input.miss(Label::Kind("a time")),
    }
}

/// A name in which `*` stands for any characters: the tokens up to the next white space or comma.
pub(crate) fn glob_name(input: Input<'_>) -> Found<'_, GlobName> {
    let belongs = |token: &Token| {
        matches!(
            token.kind,
            TokenKind::Word
                | TokenKind::Quoted
                | TokenKind::Number
                | TokenKind::Duration(_)
                | TokenKind::Sign(Sign::Star | Sign::Dot)
        )
    };
    if !belongs(input.peek()) || input.is_sign(0, Sign::Dot) {
        return input.miss(Label::Kind("a field"));
    }
    let mut after = input.skip();
    while belongs(after.peek()) && after.peek().span.start == after.end_of_previous() {
        after = after.skip();
    }
    let span: Span = input.span_to(after);
    let text = span.text(input.state.source).replace('`', "");
    if text.contains('*') {
        return Ok((after, GlobName { text, path: None, span }));
    }
    let (after, path) = path(input)?;
    Ok((after, GlobName { text, span: path.span, path: Some(path) }))
}
