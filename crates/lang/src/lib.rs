//! The query language of Backsight: text to syntax tree and back, with diagnostics. Knows no data.

pub mod ast;
pub mod commands;
pub mod diag;
mod fmt;
pub mod glob;
pub mod leak;
mod lex;
mod parse;
mod shape;
pub mod span;

pub use fmt::{format, format_expr};
pub use parse::expr::MAX_DEPTH;
pub use parse::{Parsed, parse};

/// Reads a duration such as `5m` or `90s`, as a query spells it; `None` for any other text.
pub fn duration(text: &str) -> Option<ast::Duration> {
    match lex::literal::quantity(text.trim()) {
        Ok(("", quantity)) => match quantity.period() {
            lex::literal::Period::Valid(duration) => Some(duration),
            lex::literal::Period::UnknownUnit | lex::literal::Period::BadCount => None,
        },
        _ => None,
    }
}
