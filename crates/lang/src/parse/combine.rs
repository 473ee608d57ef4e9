//! Commands that bring in other data: `source lookup cidrlookup join union appendcols`.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::multi::{many0, many1};
use nom::sequence::{delimited, pair, preceded, separated_pair, terminated};

use super::expr::expr;
use super::input::{Found, Input, Label, comma_list, sign, word};
use super::name::{self, alias, column, path, setting_value, string, time};
use super::query::sub_query;
use super::report::list_of;
use crate::ast::{CidrLookup, Join, Lookup, Name, Output, Query, Setting, SourceSpec, SourceStage, StageKind, Text};
use crate::diag::Diagnostic;
use crate::lex::token::{Sign, TokenKind};

/// `source specs [start=t] [end=t]`
pub(crate) fn source(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, specs) = cut(many1(spec)).parse(input)?;
    let mut source = SourceStage { specs, start: None, end: None };
    let mut input = after;
    while let (after, Some((is_start, text))) = opt(bound).parse(input)? {
        if is_start {
            source.start = Some(text);
        } else {
            source.end = Some(text);
        }
        input = after;
    }
    Ok((input, StageKind::Source(source)))
}

/// `start=t` or `end=t`; true for the first.
fn bound(input: Input<'_>) -> Found<'_, (bool, Text)> {
    let key = alt((word("start").map(|_| true), word("end").map(|_| false)));
    pair(terminated(key, cut(sign(Sign::Eq))), cut(time)).parse(input)
}

fn spec(input: Input<'_>) -> Found<'_, SourceSpec> {
    let option = (input.is_word(0, "start") || input.is_word(0, "end")) && input.is_sign(1, Sign::Eq);
    let named = matches!(input.peek().kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Text { .. });
    if option || !named {
        return input.miss(Label::Kind("a source"));
    }
    if input.is_sign(1, Sign::Open) {
        return alt((log_groups, data_source)).parse(input);
    }
    if matches!(input.peek().kind, TokenKind::Text { .. }) {
        return string.map(SourceSpec::Name).parse(input);
    }
    let (after, name) = name::new_name(input)?;
    Ok((after, SourceSpec::Name(Text { raw: name.text.clone(), text: name.text, span: name.span })))
}

/// `logGroups(namePrefix: ['a', 'b'], class: 'STANDARD')`
fn log_groups(input: Input<'_>) -> Found<'_, SourceSpec> {
    let one = |input| string.map(|text| vec![text]).parse(input);
    let argument = move |input| separated_pair(column, cut(sign(Sign::Colon)), cut(alt((texts, one)))).parse(input);
    let arguments = delimited(sign(Sign::Open), opt(comma_list(argument)), cut(sign(Sign::Close)));
    preceded(word("logGroups"), arguments).map(|args| SourceSpec::LogGroups(args.unwrap_or_default())).parse(input)
}

/// `dataSource(['aws_waf.access'])`
fn data_source(input: Input<'_>) -> Found<'_, SourceSpec> {
    let list = delimited(sign(Sign::Open), cut(texts), cut(sign(Sign::Close)));
    preceded(word("dataSource"), list).map(SourceSpec::DataSource).parse(input)
}

fn texts(input: Input<'_>) -> Found<'_, Vec<Text>> {
    delimited(sign(Sign::OpenList), cut(comma_list(string)), cut(sign(Sign::CloseList))).parse(input)
}

/// `lookup table column [as field], … output|outputnew column [as name], …`
pub(crate) fn lookup(input: Input<'_>) -> Found<'_, StageKind> {
    let key = |input| pair(column, opt(preceded(word("as"), cut(path)))).parse(input);
    cut((column, comma_list(key), output))
        .map(|(table, keys, output)| StageKind::Lookup(Lookup { table, keys, output }))
        .parse(input)
}

/// `cidrlookup table e [as column] output|outputnew column [as name], …`
pub(crate) fn cidr_lookup(input: Input<'_>) -> Found<'_, StageKind> {
    let networks = opt(preceded(word("as"), cut(column)));
    cut((column, expr, networks, output))
        .map(|(table, ip, column, output)| StageKind::CidrLookup(CidrLookup { table, ip, column, output }))
        .parse(input)
}

fn output(input: Input<'_>) -> Found<'_, Output> {
    let only_new = alt((word("outputnew").map(|_| true), word("output").map(|_| false)));
    let column = |input| pair(column, alias).parse(input);
    pair(only_new, cut(comma_list(column))).map(|(only_new, columns)| Output { only_new, columns }).parse(input)
}

/// `join [type=inner|left] [left=a] [right=b] where a.x = b.y ( query )`
pub(crate) fn join(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, options) = many0(settings(&["type", "left", "right"])).parse(input)?;
    let mut left_outer = false;
    let (mut left, mut right) = (None, None);
    for Setting { key, value } in options {
        match key.text.as_str() {
            "type" => left_outer = join_type(input, &value),
            "left" => left = Some(value),
            _ => right = Some(value),
        }
    }
    let on = separated_pair(path, sign(Sign::Eq), path);
    let (after, (_, on, query)) = cut((word("where"), on, boxed_query)).parse(after)?;
    Ok((after, StageKind::Join(Join { left_outer, left, right, on, query })))
}

fn join_type(input: Input<'_>, value: &Name) -> bool {
    let left = value.text.eq_ignore_ascii_case("left");
    if !left && !value.text.eq_ignore_ascii_case("inner") {
        let message = format!("expected `inner` or `left`, found `{}`", value.text);
        input.state.report(Diagnostic::error("E002", value.span, message).help_nearest(&value.text, ["inner", "left"]));
    }
    left
}

fn boxed_query(input: Input<'_>) -> Found<'_, Box<Query>> {
    let (after, (query, height)) = sub_query(input)?;
    let tallest = &input.state.tallest;
    tallest.set(tallest.get().max(height));
    Ok((after, Box::new(query)))
}

pub(crate) fn union(input: Input<'_>) -> Found<'_, StageKind> {
    cut(boxed_query).map(StageKind::Union).parse(input)
}

pub(crate) fn append_columns(input: Input<'_>) -> Found<'_, StageKind> {
    let (after, options) = many0(settings(&["override", "max"])).parse(input)?;
    cut(boxed_query).map(|query| StageKind::AppendCols { options: options.clone(), query }).parse(after)
}

/// `key=value` with a key out of `keys`. A word before `=` that is none of them is an error.
pub(crate) fn settings<'a>(keys: &'static [&'static str]) -> impl Fn(Input<'a>) -> Found<'a, Setting> {
    move |input| {
        if !input.is_sign(1, Sign::Eq) {
            for key in keys {
                let _: Found<'_, ()> = input.miss(Label::Exactly(key));
            }
            return input.miss(Label::Exactly(keys.first().copied().unwrap_or("=")));
        }
        let (value_at, key) = column(input)?;
        let text = key.text.to_ascii_lowercase();
        if !keys.contains(&text.as_str()) {
            let labels: Vec<Label> = keys.iter().map(|key| Label::Exactly(key)).collect();
            let message = format!("expected {}, found `{}`", list_of(&labels), key.text);
            let diagnostic = Diagnostic::error("E002", key.span, message);
            return input.fail(diagnostic.help_nearest(&key.text, keys.iter().copied()));
        }
        let (after, value) = cut(setting_value).parse(value_at.skip())?;
        Ok((after, Setting { key: Name { text, span: key.span }, value }))
    }
}
