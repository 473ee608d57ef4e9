//! The outcome of a hunt as people read it: findings with their evidence, entities, times, coverage, gaps. Serializes to
//! the JSON report; every order in it is fixed by content.

mod build;
mod timeline;

pub use build::{positions, report};

use crate::gaps::Gap;
use crate::rule::param::plain;
use crate::rule::{LEVELS, Level};
use backsight_engine::value::time;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the report's form; grows with any change that is not an addition.
pub const SCHEMA: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Part of the input was not read, because the hunt was interrupted.
    pub partial: bool,
    /// What was read.
    pub sources: Vec<Source>,
    /// What was found: the worst first.
    pub findings: Vec<Row>,
    /// Who: the highest score first.
    pub entities: Vec<Entity>,
    /// Findings and records over time.
    pub timeline: Vec<Bin>,
    /// What the rules look for, and what of it was seen.
    pub coverage: Vec<Coverage>,
    /// What the logs do not say.
    pub gaps: Vec<Gap>,
    /// Every rule, and what became of it.
    pub rules: Vec<RuleRow>,
    /// What was not read, or not cleanly.
    pub unread: Vec<Unread>,
}

/// Files of one log source and format.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// The log source; empty where no rule is about it.
    pub source: String,
    /// The format.
    pub format: String,
    /// Number of files.
    pub files: usize,
    /// Records read.
    pub records: u64,
    /// Time of the first and the last.
    pub first: Option<String>,
    /// Time of the last.
    pub last: Option<String>,
}

/// A finding.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which rule.
    pub rule: RuleName,
    /// What it is, in a line.
    pub title: String,
    /// How bad.
    pub level: &'static str,
    /// Weight of the level.
    pub score: u64,
    /// ATT&CK and OWASP.
    pub tags: Vec<String>,
    /// The log source.
    pub source: String,
    /// What it is about.
    pub entity: EntityName,
    /// `success` or `attempt`, where told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Time of the first event.
    pub first_seen: Option<String>,
    /// Time of the last event.
    pub last_seen: Option<String>,
    /// Events behind it.
    pub count: u64,
    /// Parameters that were used.
    pub params: BTreeMap<String, serde_json::Value>,
    /// What the rule's query computed.
    pub columns: BTreeMap<String, String>,
    /// The first events.
    pub evidence: Vec<Evidence>,
    /// What looks the same and is harmless.
    pub falsepositives: Vec<String>,
    /// What happens and why it matters.
    pub description: String,
    /// A query for all events of the entity.
    pub next_query: String,
    /// How bad, for order.
    #[serde(skip)]
    pub rank: Level,
    /// Milliseconds of the first event.
    #[serde(skip)]
    pub first: Option<i64>,
    /// Milliseconds of the last event.
    #[serde(skip)]
    pub last: Option<i64>,
}

/// Id and alias of a rule.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleName {
    /// Dotted and stable.
    pub id: String,
    /// Short; the id where there is none.
    pub alias: String,
}

/// What a finding is about.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntityName {
    /// `ip`, `user`, …
    pub r#type: String,
    /// Its value; null where the events do not say.
    pub value: Option<String>,
}

/// An event behind a finding.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// The file.
    pub file: String,
    /// Byte offset in the (decompressed) file, or number of the row in a Parquet file.
    pub offset: u64,
    /// When.
    pub time: Option<String>,
    /// The event as it stands there.
    pub event: String,
    /// SHA-256 of the file on the disk (of a member of an archive: of the archive), in hexadecimal, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// One entity with all that was found of it.
#[derive(Clone, Debug, Serialize)]
pub struct Entity {
    /// Who.
    pub entity: EntityName,
    /// Weights of the levels, times the number of different tactics.
    pub score: u64,
    /// The worst level.
    pub level: &'static str,
    /// Aliases of the rules.
    pub rules: Vec<String>,
    /// Tactics.
    pub tactics: Vec<String>,
    /// Events behind all findings.
    pub count: u64,
    /// Time of the first event.
    pub first_seen: Option<String>,
    /// Time of the last event.
    pub last_seen: Option<String>,
}

/// A stretch of time.
#[derive(Clone, Debug, Serialize)]
pub struct Bin {
    /// Its start.
    pub start: String,
    /// Records.
    pub records: u64,
    /// Findings that begin in it, by level.
    pub findings: BTreeMap<&'static str, u64>,
}

/// A technique, tactic or OWASP entry that rules are about.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    /// The tag.
    pub tag: String,
    /// Findings.
    pub findings: u64,
    /// Rules that ran.
    pub ran: usize,
    /// Rules that could not.
    pub skipped: usize,
}

/// A rule, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct RuleRow {
    /// Which.
    pub rule: RuleName,
    /// In a line.
    pub title: String,
    /// Its level.
    pub level: &'static str,
    /// Its log source.
    pub source: String,
    /// `ran` or `skipped`.
    pub state: &'static str,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Findings.
    pub findings: usize,
}

/// Something that was not read, or not cleanly.
#[derive(Clone, Debug, Serialize)]
pub struct Unread {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: Option<u64>,
    /// What.
    pub message: String,
    /// Part of the input is missing.
    pub damage: bool,
}

/// The events behind findings: where each stands, and what it says.
pub trait Events: Sync {
    /// File and offset of a position.
    fn place(&self, position: u64) -> Option<(String, u64)>;
    /// SHA-256 of the file of a position, if that is known.
    fn sha256(&self, position: u64) -> Option<String>;
    /// The text of the event at a position.
    fn text(&self, position: u64) -> Option<String>;
}

/// The tactics of ATT&CK in the order of an attack.
pub const TACTICS: [&str; 14] = [
    "reconnaissance",
    "resource_development",
    "initial_access",
    "execution",
    "persistence",
    "privilege_escalation",
    "defense_evasion",
    "credential_access",
    "discovery",
    "lateral_movement",
    "collection",
    "command_and_control",
    "exfiltration",
    "impact",
];

/// The tactic a tag names.
pub fn tactic(tag: &str) -> Option<&str> {
    let name = tag.strip_prefix("attack.")?;
    TACTICS.contains(&name).then_some(name)
}

/// RFC 3339, UTC, with milliseconds only where there are some.
pub fn instant(ms: i64) -> String {
    let text = time::format(ms).replacen(' ', "T", 1);
    let text = text.strip_suffix(".000").unwrap_or(&text);
    format!("{text}Z")
}

impl Report {
    /// The files that evidence comes from and whose SHA-256 was asked for, with it, by name.
    pub fn hashes(&self) -> BTreeMap<&str, &str> {
        let evidence = self.findings.iter().flat_map(|row| &row.evidence);
        evidence.filter_map(|e| Some((e.file.as_str(), e.sha256.as_deref()?))).collect()
    }

    /// Number of findings of each level, the worst first.
    pub fn levels(&self) -> Vec<(Level, usize)> {
        LEVELS.into_iter().map(|l| (l, self.findings.iter().filter(|f| f.rank == l).count())).collect()
    }

    /// The worst level found.
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|f| f.rank).max()
    }
}

impl Row {
    /// The entity for people.
    pub fn who(&self) -> &str {
        self.entity.value.as_deref().unwrap_or("(not said)")
    }

    /// Parameters as `name=value`.
    pub fn settings(&self) -> String {
        self.params.iter().map(|(n, v)| format!("{n}={}", plain(v))).collect::<Vec<_>>().join(" ")
    }
}
