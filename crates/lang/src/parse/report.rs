//! E002: what was expected, what was found, and the most likely reason.

use super::input::{Fault, Input, Label};
use super::name::is_reserved;
use crate::commands;
use crate::diag::Diagnostic;
use crate::lex::token::{Sign, Token, TokenKind};

/// Longest text of a token repeated in a message, in characters.
const SHOWN: usize = 40;

/// Reports the token a parser gave up at.
pub(crate) fn unexpected(input: Input<'_>, fault: Fault) {
    let place = input.to_token(fault.at);
    let token = place.peek();
    let labels = input.state.expected_at(fault.at);
    let expected = list_of(&labels);
    let (found, span) = match token.kind {
        TokenKind::End => ("the end of the query".to_string(), place.previous().map_or(token.span, |last| last.span)),
        _ => (format!("`{}`", shown(place.text(token))), token.span),
    };
    let diagnostic = Diagnostic::error("E002", span, format!("expected {expected}, found {found}"));
    input.state.report(match reason(place, token, &labels) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    });
}

/// ``"`a`, `b` or c"``
pub(crate) fn list_of(labels: &[Label]) -> String {
    let texts: Vec<String> = labels
        .iter()
        .map(|label| match label {
            Label::Exactly(text) => format!("`{text}`"),
            Label::Kind(text) => text.to_string(),
        })
        .collect();
    match texts.as_slice() {
        [] => "something else".to_string(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// The mistake that usually leads to `token` being where it is.
fn reason(place: Input<'_>, token: &Token, labels: &[Label]) -> Option<String> {
    let text = place.text(token);
    let wants = |text| labels.contains(&Label::Exactly(text));
    let ends_list = match token.kind {
        TokenKind::Sign(sign) => matches!(sign, Sign::Pipe | Sign::Close | Sign::CloseList),
        TokenKind::Word => is_reserved(place),
        TokenKind::End => true,
        _ => false,
    };
    let behind = |sign| place.previous().is_some_and(|p| matches!(p.kind, TokenKind::Sign(s) if s == sign));
    if ends_list && behind(Sign::Comma) {
        return Some("remove the comma before it".to_string());
    }
    for close in [Sign::Close, Sign::CloseList].map(Sign::text) {
        if ends_list && wants(close) {
            return Some(format!("a `{close}` is missing"));
        }
    }
    if matches!(token.kind, TokenKind::Sign(Sign::Dot))
        && place.previous().is_some_and(|p| matches!(p.kind, TokenKind::Number))
    {
        return Some("an address or a version needs quotes".to_string());
    }
    if matches!(token.kind, TokenKind::Word) && is_reserved(place) && labels.iter().any(|l| matches!(l, Label::Kind(_)))
    {
        let names = ["an expression", "a field", "a name"];
        let wants_name = labels.iter().any(|label| matches!(label, Label::Kind(kind) if names.contains(kind)));
        return wants_name.then(|| format!("`{text}` is a reserved word; a field of this name needs backticks"));
    }
    if wants("|") && matches!(token.kind, TokenKind::Word) && commands::find(text).is_some() {
        return Some(format!("a `|` is missing before `{text}`"));
    }
    let begins_operand = matches!(
        token.kind,
        TokenKind::Word | TokenKind::Quoted | TokenKind::Text { .. } | TokenKind::Number | TokenKind::Param
    );
    let missing = if wants("by") { "a comma or `by` is missing" } else { "a comma is missing" };
    (wants(",") && begins_operand).then(|| missing.to_string())
}
