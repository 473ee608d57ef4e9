//! Forms of other languages that are accepted because their meaning is clear. Each use gives a note that names the
//! Logs Insights form.

use crate::diag::Diagnostic;
use crate::span::Span;

/// One accepted form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The code of its note. Variants of one form share it.
    pub code: &'static str,
    /// What was written, in general.
    pub written: &'static str,
    /// The Logs Insights form.
    pub read_as: &'static str,
}

impl Leak {
    /// The note for a use of this form at `span`.
    pub(crate) fn note(&self, span: Span) -> Diagnostic {
        Diagnostic::note(self.code, span, format!("`{}` is read as `{}`", self.written, self.read_as))
    }
}

const fn leak(code: &'static str, written: &'static str, read_as: &'static str) -> Leak {
    Leak { code, written, read_as }
}

pub(crate) const TILDE_EQ: Leak = leak("N001", "~=", "=~");
pub(crate) const BANG_TILDE: Leak = leak("N002", "!~", "not =~");
pub(crate) const ORDER_BY: Leak = leak("N003", "order by", "sort");
pub(crate) const SORT_BY: Leak = leak("N004", "sort by", "sort");
pub(crate) const EXISTS: Leak = leak("N005", "x exists", "ispresent(x)");
pub(crate) const NOT_EXISTS: Leak = leak("N005", "x not exists", "not ispresent(x)");
pub(crate) const EXISTS_CALL: Leak = leak("N005", "exists(x)", "ispresent(x)");
pub(crate) const IS_NULL: Leak = leak("N006", "x is null", "not ispresent(x)");
pub(crate) const IS_NOT_NULL: Leak = leak("N006", "x is not null", "ispresent(x)");
pub(crate) const SQL_CASE: Leak = leak("N007", "case when c then v else d end", "case(c, v, d)");
pub(crate) const BARE_COUNT: Leak = leak("N008", "count", "count(*)");
pub(crate) const BARE_GLOB_NAMES: Leak = leak("N009", "parse x \"…*…\" a", "parse x \"…*…\" as a");
pub(crate) const ROUND_LIST: Leak = leak("N010", "in ( … )", "in [ … ]");
pub(crate) const STRING_ALIAS: Leak = leak("N011", "as \"name\"", "as `name`");
pub(crate) const REGEX_FLAGS: Leak = leak("N013", "/regex/i", "/(?i)regex/");
pub(crate) const WHERE: Leak = leak("N014", "where", "filter");
pub(crate) const HEAD: Leak = leak("N015", "head", "limit");
pub(crate) const NO_WILDCARD: Leak = leak("N012", "parse x \"text\" as a", "parse x /(?<a>text)/");

/// The form that a word is in place of a command.
pub(crate) fn of_command(word: &str) -> Option<&'static Leak> {
    [&WHERE, &HEAD].into_iter().find(|leak| leak.written.eq_ignore_ascii_case(word))
}

/// All accepted forms.
pub const LEAKS: &[Leak] = &[
    TILDE_EQ,
    BANG_TILDE,
    ORDER_BY,
    SORT_BY,
    EXISTS,
    NOT_EXISTS,
    EXISTS_CALL,
    IS_NULL,
    IS_NOT_NULL,
    SQL_CASE,
    BARE_COUNT,
    BARE_GLOB_NAMES,
    ROUND_LIST,
    STRING_ALIAS,
    NO_WILDCARD,
    REGEX_FLAGS,
    WHERE,
    HEAD,
];
