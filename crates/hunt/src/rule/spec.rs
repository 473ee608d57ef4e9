//! Tests of rules, as they stand in the rule or in a file beside it.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Events, and what the rule must make of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What is tested.
    pub name: String,
    /// How often `event` is repeated, `{i}` in its texts being the number of the repetition from 0 on.
    #[serde(default = "one")]
    pub rows: u64,
    /// One event.
    #[serde(default)]
    pub event: Option<Value>,
    /// Events one after another, each with its own `rows` if it is `{ rows: n, event: {…} }`.
    #[serde(default)]
    pub events: Vec<Value>,
    /// Parameters other than the default.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// The lists the query looks things up in: their entries.
    #[serde(default)]
    pub lists: BTreeMap<String, Vec<String>>,
    /// What must come out.
    pub expect: Expect,
}

fn one() -> u64 {
    1
}

/// What must come out of a test. Whatever is not said is not checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// How many findings.
    pub findings: u64,
    /// The entity of one of them.
    #[serde(default)]
    pub entity: Option<Value>,
    /// The entities of all of them, in any order.
    #[serde(default)]
    pub entities: Option<Vec<Value>>,
    /// The level of every one.
    #[serde(default)]
    pub level: Option<super::Level>,
    /// The outcome of every one: `success` or `attempt`.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Events behind all of them together.
    #[serde(default)]
    pub count: Option<u64>,
    /// Columns of the first finding.
    #[serde(default)]
    pub columns: BTreeMap<String, Value>,
}

/// A test in a file beside the rules: it may have to say which rule it is of.
#[derive(Debug, Deserialize)]
pub(super) struct BesideTest {
    /// Id or alias.
    #[serde(default)]
    pub(super) rule: Option<String>,
    #[serde(flatten)]
    pub(super) test: Test,
}

/// One run of equal events: how many, and what they look like.
pub(crate) struct Run<'a> {
    /// Repetitions.
    pub(crate) rows: u64,
    /// The event.
    pub(crate) event: &'a Value,
}

impl Test {
    /// The events in order.
    pub(crate) fn runs(&self) -> Vec<Run<'_>> {
        let single = self.event.iter().map(|event| Run { rows: self.rows, event });
        let listed = self.events.iter().map(|entry| match (entry.get("rows"), entry.get("event")) {
            (Some(rows), Some(event)) => Run { rows: rows.as_u64().unwrap_or(1), event },
            (None, Some(event)) if entry.as_object().is_some_and(|o| o.len() == 1) => Run { rows: 1, event },
            _ => Run { rows: 1, event: entry },
        });
        single.chain(listed).collect()
    }

    /// Whether the rule must find something.
    pub fn is_positive(&self) -> bool {
        self.expect.findings > 0
    }
}
