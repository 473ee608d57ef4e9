//! The query language of Backsight: text to syntax tree and back, with diagnostics. Knows no data and no functions.
//!
//! A query is a pipeline of commands as in CloudWatch Logs Insights. [`parse`] always gives a [`ast::Query`], together
//! with whatever is wrong with the text: one run finds every bad stage, and an editor can work with a broken query.
//! [`format()`] turns a tree into canonical text that reads back as the same tree.
//!
//! ```
//! use backsight_lang::{ast::StageKind, format, parse};
//!
//! let text = "FIELDS ip, status | where status=404 and not isPrivateIP( ip ) | head 5";
//! let parsed = parse(text);
//! assert!(parsed.is_ok());
//! assert!(matches!(parsed.query.stages[1].kind, StageKind::Filter(_)));
//! assert_eq!(
//!     format(&parsed.query, text),
//!     "fields ip, status\n| filter status = 404 and not isPrivateIP(ip)\n| limit 5",
//! );
//!
//! let text = "fields ip | filtr status = 404 | limit -1";
//! let found: Vec<String> = parse(text).errors().map(|e| format!("{} {}", e.code, e.span.text(text))).collect();
//! assert_eq!(found, ["E001 filtr", "E030 -1"]);
//! ```
//!
//! The way of a text through the crate:
//!
//! 1. `lex` cuts it into tokens. It alone knows where `/` opens a regular expression.
//! 2. `parse` makes the tree, command by command through the table [`commands::COMMANDS`]. An error ends its stage and
//!    parsing goes on at the next `|`. Forms of other languages with a clear meaning ([`leak::LEAKS`]) are accepted
//!    with a note.
//! 3. `fmt` writes a tree as text; [`ast::Query::shape`] writes it without any regard to the text, for comparison.
//!
//! What a name means, whether a function exists and what it takes is for the planner to say.
//!
//! No tree is higher than [`MAX_DEPTH`], however long its text, so walking or dropping one may recurse.

pub mod ast;
pub mod commands;
pub mod diag;
mod fmt;
pub mod glob;
mod highlight;
pub mod leak;
mod lex;
mod parse;
mod shape;
pub mod span;

pub use fmt::{format, format_expr};
pub use highlight::{Class, is_complete, tokens};
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
