//! What a line editor wants to know of a text that is still being typed: what each token is, and whether more must follow.

use crate::commands::{self, Command, Form};
use crate::lex::lex;
use crate::lex::token::{RESERVED, Sign, Token, TokenKind, is_one_of};
use crate::span::Span;

/// What a piece of a query is, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A command at the start of a stage.
    Command,
    /// A word of the grammar: `by`, `as`, `and`, `true`, …
    Keyword,
    /// The name of a call.
    Function,
    /// A field, alias, table, or any other word.
    Name,
    /// `$name`
    Parameter,
    /// A string, or a time without quotes.
    String,
    /// A number or duration.
    Number,
    /// A regular expression.
    Regex,
    /// A comment.
    Comment,
    /// An operator or punctuation.
    Operator,
    /// Something with a lexical error.
    Error,
}

/// The pieces of `text` in order, without the white space between them. Every span lies on character boundaries.
pub fn tokens(text: &str) -> Vec<(Span, Class)> {
    let lexed = lex(text);
    let mut classes: Vec<(Span, Class)> = lexed.comments.iter().map(|c| (c.span, Class::Comment)).collect();
    let mut command = None;
    for (at, token) in lexed.tokens.iter().enumerate() {
        if matches!(token.kind, TokenKind::End) {
            continue;
        }
        let class = classify(text, &lexed.tokens, at, command);
        if class == Class::Command {
            command = commands::find_or_foreign(token.span.text(text));
        }
        classes.push((token.span, class));
    }
    classes.sort_by_key(|(span, _)| span.start);
    classes
}

fn classify(text: &str, tokens: &[Token], at: usize, command: Option<&Command>) -> Class {
    let Some(token) = tokens.get(at) else { return Class::Error };
    match &token.kind {
        _ if token.faulty => Class::Error,
        TokenKind::Word => classify_word(text, tokens, at, command),
        TokenKind::Quoted => Class::Name,
        TokenKind::Text { .. } | TokenKind::Raw => Class::String,
        TokenKind::Number | TokenKind::Duration(_) => Class::Number,
        TokenKind::Regex(_) => Class::Regex,
        TokenKind::Param => Class::Parameter,
        TokenKind::Sign(_) => Class::Operator,
        TokenKind::Invalid | TokenKind::End => Class::Error,
    }
}

fn classify_word(text: &str, tokens: &[Token], at: usize, command: Option<&Command>) -> Class {
    let sign_at = |at: Option<usize>| match at.and_then(|at| tokens.get(at)).map(|token| &token.kind) {
        Some(TokenKind::Sign(sign)) => Some(*sign),
        _ => None,
    };
    let word = tokens.get(at).map_or("", |token| token.span.text(text));
    let (before, behind) = (sign_at(at.checked_sub(1)), sign_at(Some(at + 1)));
    if before == Some(Sign::Dot) {
        return Class::Name;
    }
    // A prelude needs no `|` behind it, and a sub-query begins at its parenthesis.
    let in_prelude = command.is_some_and(|c| matches!(c.form, Form::Prelude)) && before != Some(Sign::Eq);
    let may_begin = at == 0 || matches!(before, Some(Sign::Pipe | Sign::Semicolon | Sign::Open)) || in_prelude;
    if may_begin && behind != Some(Sign::Open) && commands::find_or_foreign(word).is_some() {
        return Class::Command;
    }
    let of_command = command.is_some_and(|command| is_one_of(word, command.keywords));
    let behind_in =
        at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|t| is_one_of(t.span.text(text), &["in"]));
    match behind {
        _ if is_one_of(word, RESERVED) || of_command => Class::Keyword,
        _ if behind_in && is_one_of(word, &["table"]) => Class::Keyword,
        Some(Sign::Open) => Class::Function,
        _ => Class::Name,
    }
}

/// Whether `text` can stand as a whole query: false where it ends inside parentheses or brackets, behind `|`, a comma,
/// an operator, or a word such as `and` that something must follow. An unterminated string is whole: its line has ended.
pub fn is_complete(text: &str) -> bool {
    let lexed = lex(text);
    let mut open = 0i64;
    for token in &lexed.tokens {
        match token.kind {
            TokenKind::Sign(Sign::Open | Sign::OpenList) => open += 1,
            TokenKind::Sign(Sign::Close | Sign::CloseList) => open -= 1,
            _ => {}
        }
    }
    // Before the end token.
    let last = lexed.tokens.iter().rev().nth(1);
    let expects_more = last.is_some_and(|token| match token.kind {
        TokenKind::Sign(Sign::Semicolon | Sign::Close | Sign::CloseList) => false,
        // `count(*` is open anyway; `filldown cpu*` is whole.
        TokenKind::Sign(Sign::Star) => false,
        TokenKind::Sign(_) => true,
        TokenKind::Word => is_one_of(token.span.text(text), &["and", "or", "not", "in", "like", "as", "by"]),
        _ => false,
    });
    open <= 0 && !expects_more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_tokens() {
        let letter = |class| match class {
            Class::Command => 'C',
            Class::Keyword => 'K',
            Class::Function => 'F',
            Class::Name => 'n',
            Class::Parameter => 'p',
            Class::String => 's',
            Class::Number => '1',
            Class::Regex => 'r',
            Class::Comment => '#',
            Class::Operator => '.',
            Class::Error => '!',
        };
        let cases = [
            ("fields a, f(b) as c # d", "Cn.F.n.Kn#"),
            ("filter a like /x/ and not b = 'c'", "CnKrKKn.s"),
            ("filter limit = 5m | limit 10", "Cn.1.C1"),
            ("stats count(*) by sort, bin(5m) | sort sort desc", "CF...Kn.F.1..CnK"),
            ("let a = 5 filter b > $a", "Cn.1Cn.p"),
            ("filter x in (source 'y' | fields z)", "CnK.Cs.Cn."),
            ("source a start=-1d | fields start", "CnK.s.Cn"),
            ("fields a.by, \"open", "Cn.n.!"),
            ("filter ip in table bad", "CnKKn"),
            ("order by a desc | fields desc", "CKnK.Cn"),
        ];
        for (text, expected) in cases {
            let found: String = tokens(text).into_iter().map(|(_, class)| letter(class)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn whole_and_open_queries() {
        let whole = [
            "",
            "fields a",
            "fields a;",
            "count(*)",
            "fields 'x",
            "limit",
            "filldown cpu*",
            "fields a)",
            "# c",
            "stats count(*) by a # by",
        ];
        for text in whole {
            assert!(is_complete(text), "{text}");
        }
        let open = [
            "fields a |",
            "fields a,",
            "filter a in [1,",
            "f(",
            "filter a =",
            "filter a and",
            "stats x BY",
            "fields a | # c",
            "a -",
        ];
        for text in open {
            assert!(!is_complete(text), "{text}");
        }
    }
}
