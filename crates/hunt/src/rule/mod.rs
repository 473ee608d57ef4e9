//! A rule: what its front matter says, and its query.

mod file;
pub mod param;
pub mod spec;

pub use file::{Problem, read};

use param::Param;
use serde::Deserialize;
use spec::Test;
use std::collections::BTreeMap;

/// A detection rule.
///
/// The keys are those of Sigma where Sigma has one, so that its authors know the file at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it finds, in a line.
    pub title: String,
    /// Dotted, stable, unique.
    pub id: String,
    /// A short name, such as `API-002`.
    #[serde(default)]
    pub alias: Option<String>,
    /// How far it can be trusted.
    #[serde(default)]
    pub status: Status,
    /// How bad it is if it is true.
    pub level: Level,
    /// What happens and why it matters.
    #[serde(default)]
    pub description: String,
    /// The logs it reads.
    pub logsource: LogSource,
    /// Fields without which it cannot find anything.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Fields that make it better.
    #[serde(default)]
    pub optional: Vec<String>,
    /// What a finding is about.
    pub entity: Entity,
    /// Whether the times of a finding are those of a window or of the whole group.
    #[serde(default)]
    pub time: Option<Time>,
    /// Values of the query that can be turned.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// ATT&CK and OWASP, as in Sigma: `attack.t1110.001`, `attack.credential_access`, `owasp.api2`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What looks the same and is harmless.
    #[serde(default)]
    pub falsepositives: Vec<String>,
    /// Entities that never count.
    #[serde(default)]
    pub suppress: Option<Suppress>,
    /// Lists the query looks things up in; without them it cannot run.
    #[serde(default)]
    pub lookups: Vec<String>,
    /// Fields of the events to show with a finding.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Pages to read.
    #[serde(default)]
    pub references: Vec<String>,
    /// Who wrote it.
    #[serde(default)]
    pub author: Option<String>,
    /// When.
    #[serde(default)]
    pub date: Option<String>,
    /// When it was last changed.
    #[serde(default)]
    pub modified: Option<String>,
    /// The licence of a rule that came from elsewhere.
    #[serde(default)]
    pub license: Option<String>,
    /// What was measured: false positives on named data, and the like.
    #[serde(default)]
    pub notes: Option<String>,
    /// Proof that it works.
    #[serde(default)]
    pub tests: Vec<Test>,
    /// The query as written, with `$name` for parameters.
    #[serde(skip)]
    pub query: String,
    /// The file it stands in, as named by whoever read it.
    #[serde(skip)]
    pub file: String,
    /// The line of the file the query begins in, from 1 on.
    #[serde(skip)]
    pub line: usize,
}

/// How far a rule can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Status {
    Experimental,
    #[default]
    Test,
    Stable,
    Deprecated,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Level {
    #[serde(alias = "info")]
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

/// All levels, the worst first.
pub const LEVELS: [Level; 5] = [Level::Critical, Level::High, Level::Medium, Level::Low, Level::Informational];

impl Level {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// The level of a name, any case; `info` is short for informational.
    pub fn of(name: &str) -> Option<Level> {
        let name = if name.eq_ignore_ascii_case("info") { "informational" } else { name };
        LEVELS.into_iter().find(|l| l.name().eq_ignore_ascii_case(name))
    }

    /// One step less bad: what an attempt is compared with a success.
    pub fn lower(self) -> Level {
        let at = LEVELS.iter().position(|l| *l == self).unwrap_or(0);
        LEVELS[(at + 1).min(LEVELS.len() - 1)]
    }

    /// What it adds to the score of an entity.
    pub fn weight(self) -> u64 {
        match self {
            Level::Informational => 1,
            Level::Low => 3,
            Level::Medium => 10,
            Level::High => 30,
            Level::Critical => 100,
        }
    }
}

/// The logs a rule reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSource {
    /// A [`profile`](crate::profile), or `any`.
    pub category: String,
}

/// What a finding is about.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "EntityForm")]
pub struct Entity {
    /// `ip`, `user`, `key`, `principal`, `route`, `api`, `account`, …
    pub kind: String,
    /// The column or field that holds its value.
    pub field: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EntityForm {
    Kind(String),
    Full { r#type: String, field: String },
}

impl From<EntityForm> for Entity {
    fn from(form: EntityForm) -> Entity {
        match form {
            EntityForm::Full { r#type, field } => Entity { kind: r#type, field },
            EntityForm::Kind(kind) => {
                let field = match kind.as_str() {
                    "key" => "apiKeyId",
                    "api" => "apiId",
                    same => same,
                };
                Entity { field: field.to_owned(), kind }
            }
        }
    }
}

/// Which times a finding has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Time {
    /// Those of a window column.
    Window,
    /// First to last event of the group.
    Span,
}

/// Entities that never count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppress {
    /// The field that is looked up.
    pub by: String,
    /// The list it is looked up in.
    pub list: String,
}

impl Rule {
    /// True for the id, or the alias in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.alias.as_ref().is_some_and(|a| a.eq_ignore_ascii_case(name))
    }

    /// The alias, or the id where there is none.
    pub fn short(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.id)
    }
}
