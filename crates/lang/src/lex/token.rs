//! The tokens of a query: what the lexer gives and the parser, the formatter and the highlighter read.

use crate::ast::{Duration, Regex};
use crate::span::Span;

/// One token and its place.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
    /// A lexical error has been reported for it, so a parse error at or behind it in the same stage says nothing new.
    pub faulty: bool,
}

/// Every kind of token. Texts that equal their source are not repeated here: read them through the span.
#[derive(Clone, Debug)]
pub(crate) enum TokenKind {
    /// A plain word: keyword, command, function or field.
    Word,
    /// A name in backticks, perhaps with `@` in front.
    Quoted,
    /// A string: the text after escapes, and as written between the quotes.
    Text { text: String, raw: String },
    /// Digits, perhaps with fraction and exponent; behind a dot, a position.
    Number,
    /// `5m`
    Duration(Duration),
    /// `/…/flags`
    Regex(Regex),
    /// `$name`
    Param,
    /// A time in `source … start=` and `firstseen … after`: any characters up to white space.
    Raw,
    /// An operator or punctuation.
    Sign(Sign),
    /// Nothing of the language; its error has been reported.
    Invalid,
    /// Behind the last token; its span is empty.
    End,
}

/// Operators and punctuation, among them a few of other languages that deserve a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Pipe,
    Comma,
    Open,
    Close,
    OpenList,
    CloseList,
    Semicolon,
    Colon,
    Dot,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Match,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    Bang,
    /// `==`
    DoubleEq,
    /// `&&`
    DoubleAnd,
    /// `||`
    DoublePipe,
    /// `<>`
    Unequal,
    /// `~=`
    TildeEq,
    /// `!~`
    BangTilde,
}

/// Every sign with its text. A longer sign stands before its own beginnings.
pub(crate) const SIGNS: &[(&str, Sign)] = &[
    ("==", Sign::DoubleEq),
    ("=~", Sign::Match),
    ("!=", Sign::Ne),
    ("!~", Sign::BangTilde),
    ("<=", Sign::Le),
    ("<>", Sign::Unequal),
    (">=", Sign::Ge),
    ("~=", Sign::TildeEq),
    ("&&", Sign::DoubleAnd),
    ("||", Sign::DoublePipe),
    ("|", Sign::Pipe),
    (",", Sign::Comma),
    ("(", Sign::Open),
    (")", Sign::Close),
    ("[", Sign::OpenList),
    ("]", Sign::CloseList),
    (";", Sign::Semicolon),
    (":", Sign::Colon),
    (".", Sign::Dot),
    ("=", Sign::Eq),
    ("<", Sign::Lt),
    (">", Sign::Gt),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
    ("*", Sign::Star),
    ("/", Sign::Slash),
    ("%", Sign::Percent),
    ("^", Sign::Caret),
    ("!", Sign::Bang),
];

impl Sign {
    /// The sign as written.
    pub fn text(self) -> &'static str {
        SIGNS.iter().find(|(_, sign)| *sign == self).map_or("", |(text, _)| text)
    }
}

/// Words that are names only in backticks (language reference, "Lexical grammar").
pub(crate) const RESERVED: &[&str] = &["and", "or", "not", "in", "like", "as", "by", "true", "false", "null"];

/// Words that are names only in backticks inside `sort`.
pub(crate) const RESERVED_IN_SORT: &[&str] = &["asc", "desc"];

/// Whether `word` is one of `words`, in any case.
pub(crate) fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// Whether `c` can begin a plain name.
pub(crate) fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '@'
}

/// Whether `c` can stand inside a plain name.
pub(crate) fn continues_name(c: char) -> bool {
    starts_name(c) || c.is_ascii_digit()
}
