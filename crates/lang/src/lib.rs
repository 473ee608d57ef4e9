//! The query language of Backsight: text to syntax tree and back, with diagnostics. Knows no data.

pub mod ast;
pub mod commands;
pub mod diag;
pub mod glob;
pub mod leak;
mod lex;
mod parse;
pub mod span;

pub use parse::expr::MAX_DEPTH;
pub use parse::{Parsed, parse};
