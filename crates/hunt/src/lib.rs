//! Detections: rules as files, their tests, and the hunt over a folder of mixed exports.
//!
//! A rule is a query with front matter in its comments ([`rule`]). Its query is written on canonical fields, which a
//! [`profile`] finds in the records of each log source. [`check`] runs the tests that stand in the rule, [`lint`] looks
//! for what makes a rule weak. Nothing here opens a file or prints: rules come as texts, logs as a
//! [`Source`](backsight_engine::source::Source).

pub mod canonical;
pub mod check;
pub mod finding;
pub mod gaps;
pub mod lint;
pub mod memory;
pub mod pass;
pub mod profile;
pub mod query;
pub mod report;
pub mod rule;

/// The built-in rules and their tests: name below `queries/`, text.
pub const PACK: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pack.rs"));
