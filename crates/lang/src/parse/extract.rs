//! Commands that take values apart: `parse json unnest expand pattern unmask`.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt, value};
use nom::sequence::preceded;

use super::expr::expr;
use super::input::{Found, Input, Label, comma_list, sign, word};
use super::name::{new_name, path, string};
use super::operand::note_flags;
use super::select::{item, postfix};
use crate::ast::{Name, Parse, ParseHow, Regex, StageKind, Text};
use crate::diag::Diagnostic;
use crate::glob::Glob;
use crate::leak;
use crate::lex::token::{Sign, TokenKind};
use crate::span::Span;

/// `parse [field] pattern …`
pub(crate) fn parse(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, field) = if starts_pattern(input) {
        (input, None)
    } else {
        let (after, field) = cut(postfix).parse(input)?;
        (after, Some(field))
    };
    let (after, (how, names)) = cut(alt((glob, regex, logfmt, csv, xml))).parse(after)?;
    Ok((after, StageKind::Parse(Parse { field, how, names })))
}

/// A string or regular expression right behind `parse` is the pattern, and so is a format word before `as`.
fn starts_pattern(input: Input<'_>) -> bool {
    let format = input.is_word(0, "logfmt") || input.is_word(0, "csv");
    matches!(input.peek().kind, TokenKind::Text { .. } | TokenKind::Regex(_)) || format && input.is_word(1, "as")
}

/// A pattern and the names it fills.
type Pattern = (ParseHow, Vec<Name>);

fn names(input: Input<'_>) -> Found<'_, Vec<Name>> {
    comma_list(new_name).parse(input)
}

fn as_names(input: Input<'_>) -> Found<'_, Vec<Name>> {
    preceded(word("as"), cut(names)).parse(input)
}

fn glob(input: Input<'_>) -> Found<'_, Pattern> {
    let (after, text) = string(input)?;
    let (after, names) = cut(alt((as_names, bare_names))).parse(after)?;
    check_glob(input, &text, &names);
    Ok((after, (ParseHow::Glob(text), names)))
}

/// Names behind a glob without `as`.
fn bare_names(input: Input<'_>) -> Found<'_, Vec<Name>> {
    let (after, names) = names(input)?;
    input.state.report(leak::BARE_GLOB_NAMES.note(input.span_to(after)));
    Ok((after, names))
}

fn check_glob(input: Input<'_>, text: &Text, names: &[Name]) {
    let glob = Glob::new(&text.raw);
    let (wildcards, count) = (glob.wildcards(), names.len());
    if glob.has_adjacent_wildcards() {
        input.state.report(Diagnostic::error("E021", text.span, "pattern has adjacent wildcards"));
    } else if wildcards == 0 && count == 1 {
        input.state.report(leak::NO_WILDCARD.note(text.span));
    } else if wildcards != count {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (w, n) = (plural(wildcards), plural(count));
        let message = format!("pattern has {wildcards} wildcard{w} but {count} name{n}");
        input.state.report(Diagnostic::error("E021", text.span, message));
    }
}

fn regex(input: Input<'_>) -> Found<'_, Pattern> {
    let (after, (regex, span)) = regex_literal(input)?;
    let (after, before) = opt(word("multi")).parse(after)?;
    let (after, names) = opt(as_names).parse(after)?;
    let (after, behind) = if before.is_none() { opt(word("multi")).parse(after)? } else { (after, None) };
    let multi = before.or(behind).is_some();
    Ok((after, (ParseHow::Regex { regex, multi, span }, names.unwrap_or_default())))
}

fn regex_literal(input: Input<'_>) -> Found<'_, (Regex, Span)> {
    match &input.peek().kind {
        TokenKind::Regex(regex) => {
            note_flags(input, regex);
            Ok((input.skip(), (regex.clone(), input.peek().span)))
        }
        _ => input.miss(Label::Kind("a regular expression")),
    }
}

fn logfmt(input: Input<'_>) -> Found<'_, Pattern> {
    let one = preceded(word("as"), new_name).map(|name| vec![name]);
    preceded(word("logfmt"), cut(one)).map(|names| (ParseHow::Logfmt, names)).parse(input)
}

fn csv(input: Input<'_>) -> Found<'_, Pattern> {
    preceded(word("csv"), cut(as_names)).map(|names| (ParseHow::Csv, names)).parse(input)
}

fn xml(input: Input<'_>) -> Found<'_, Pattern> {
    if !input.is_word(0, "xml") {
        return input.miss(Label::Exactly("logfmt"));
    }
    let diagnostic = Diagnostic::error("E080", input.peek().span, "`xml` is not supported");
    input.fail(diagnostic.help("use a regular expression: `parse @message /<id>(?<id>[^<]*)/`"))
}

/// `json field=f "a.b" as n`
pub(crate) fn json(input: Input<'_>) -> Found<'_, StageKind> {
    let field = preceded((word("field"), sign(Sign::Eq)), path);
    let alias = preceded(word("as"), new_name);
    let all = cut((field, string, alias));
    all.map(|(field, path, alias)| StageKind::Json { field, path, alias }).parse(input)
}

pub(crate) fn unnest(input: Input<'_>) -> Found<'_, StageKind> {
    let alias = preceded(word("into"), new_name);
    cut((expr, alias)).map(|(list, alias)| StageKind::Unnest { list, alias }).parse(input)
}

pub(crate) fn expand(input: Input<'_>) -> Found<'_, StageKind> {
    cut(postfix).map(StageKind::Expand).parse(input)
}

pub(crate) fn pattern(input: Input<'_>) -> Found<'_, StageKind> {
    cut(expr).map(StageKind::Pattern).parse(input)
}

pub(crate) fn unmask(input: Input<'_>) -> Found<'_, StageKind> {
    cut(item).map(StageKind::Unmask).parse(input)
}

/// `diff [previousDay|previousWeek|previousMonth]`
pub(crate) fn diff(input: Input<'_>) -> Found<'_, StageKind> {
    let period = alt((word("previousDay"), word("previousWeek"), word("previousMonth")));
    let name = |span: Span| Name { text: span.text(input.state.source).to_string(), span };
    opt(period.map(name)).map(StageKind::Diff).parse(input)
}

pub(crate) fn anomaly(input: Input<'_>) -> Found<'_, StageKind> {
    value(StageKind::Anomaly, nom::combinator::success(())).parse(input)
}

pub(crate) fn estimate(input: Input<'_>) -> Found<'_, StageKind> {
    value(StageKind::Estimate, nom::combinator::success(())).parse(input)
}
