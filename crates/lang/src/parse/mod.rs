//! Tokens to syntax tree: nom parsers over the token stream, one small file per family.
//!
//! The parser knows the shape of a call and no function names; those are the planner's. An error ends its stage, not the
//! query: parsing goes on at the next `|`, in sub-queries too, so every bad stage is reported at once.

pub(crate) mod check;
pub(crate) mod combine;
pub(crate) mod compare;
pub(crate) mod expr;
pub(crate) mod extract;
pub(crate) mod follow;
pub(crate) mod input;
pub(crate) mod name;
pub(crate) mod operand;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod select;

use crate::ast::Query;
use crate::diag::{Diagnostic, MOST_DIAGNOSTICS, Severity};
use crate::lex::lex;

/// What became of a query's text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree. Stages that could not be read are [`StageKind::Broken`](crate::ast::StageKind::Broken).
    pub query: Query,
    /// Lexical errors, then errors of parsing, then notes; each group in order of position.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// The errors, without notes.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error)
    }

    /// Whether the query has no error.
    pub fn is_ok(&self) -> bool {
        self.errors().next().is_none()
    }
}

/// Reads a query. Of many errors or notes the first hundred are kept. Never fails and never panics, whatever the text: what is wrong is in the diagnostics.
///
/// Every span of the result lies within `text` and on character boundaries. Time and memory are linear in its length,
/// and no tree is higher than [`MAX_DEPTH`](crate::MAX_DEPTH).
pub fn parse(text: &str) -> Parsed {
    let lexed = lex(text);
    let state = input::State::new(text, &lexed.tokens);
    let query = query::whole_query(input::Input::start(&state));
    let (mut errors, mut notes) = (state.errors.into_inner(), state.notes.into_inner());
    errors.sort_by_key(|d| d.span.start);
    notes.sort_by_key(|d| d.span.start);
    let mut diagnostics = lexed.diagnostics;
    // What is said of a text that is no token yet is a consequence.
    errors.retain(|e| !diagnostics.iter().any(|d| d.span.start < e.span.end && e.span.start < d.span.end));
    diagnostics.extend(errors);
    diagnostics.truncate(MOST_DIAGNOSTICS);
    diagnostics.extend(notes);
    Parsed { query: Query { comments: lexed.comments, ..query }, diagnostics }
}
