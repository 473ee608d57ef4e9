//! The outcome of a hunt as people read it: findings with their evidence, entities, times, coverage, gaps. Serializes to
//! the JSON report; every order in it is fixed by content.

use crate::finding::Finding;
use crate::gaps::{self, Gap};
use crate::pass::{Group, Outcome, STEP, Setup, State};
use crate::profile::{Profile, Take};
use crate::rule::param::plain;
use crate::rule::{LEVELS, Level, Rule};
use backsight_engine::source::{Field, Note, Weight};
use backsight_engine::value::{json, time};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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

/// The positions of all events that a report shows.
pub fn positions(outcome: &Outcome, least: Level) -> BTreeSet<u64> {
    let findings = outcome.ran.iter().flat_map(|r| &r.findings).filter(|f| f.level >= least);
    findings.flat_map(|f| f.trace.first.iter().map(|(_, position)| *position)).collect()
}

/// Puts a report together; findings below `least` are left out.
pub fn report(
    outcome: &Outcome,
    groups: &[Group],
    setup: &Setup<'_>,
    least: Level,
    events: &dyn Events,
    notes: &[Note],
) -> Report {
    let mut findings: Vec<Row> = Vec::new();
    for ran in &outcome.ran {
        let rule = &setup.rules[ran.rule];
        let profile = groups.iter().filter_map(|g| g.profile.as_deref()).find(|p| p.name == rule.logsource.category);
        let shown = ran.findings.par_iter().filter(|f| f.level >= least);
        findings.par_extend(shown.map(|f| row(rule, f, setup, profile, events)));
    }
    findings.sort_by(|a, b| {
        let by_level = b.rank.cmp(&a.rank).then_with(|| a.rule.alias.cmp(&b.rule.alias));
        by_level.then_with(|| (b.count, &a.entity, &a.outcome).cmp(&(a.count, &b.entity, &b.outcome)))
    });
    let unread = notes.iter().map(|n| Unread {
        file: n.file.clone(),
        offset: n.offset,
        message: n.message.clone(),
        damage: n.weight == Weight::Damage,
    });
    Report {
        schema: SCHEMA,
        partial: outcome.partial,
        sources: sources(outcome, groups),
        entities: entities(&findings),
        timeline: timeline(&findings, outcome),
        coverage: coverage(&findings, outcome, setup.rules),
        gaps: gaps::gaps(outcome, groups, setup.rules),
        rules: outcome.ran.iter().map(|ran| rule_row(ran, &setup.rules[ran.rule], least)).collect(),
        unread: unread.collect(),
        findings,
    }
}

fn sources(outcome: &Outcome, groups: &[Group]) -> Vec<Source> {
    let of = |(group, survey): (&Group, &crate::pass::Survey)| Source {
        source: group.profile.as_ref().map_or(String::new(), |p| p.name.clone()),
        format: group.format.clone(),
        files: group.files.len(),
        records: survey.records,
        first: survey.span.map(|s| instant(s.0)),
        last: survey.span.map(|s| instant(s.1)),
    };
    groups.iter().zip(&outcome.surveys).map(of).collect()
}

fn row(rule: &Rule, f: &Finding, setup: &Setup<'_>, profile: Option<&Profile>, events: &dyn Events) -> Row {
    let given = setup.params.get(&rule.id);
    let value = |name: &String| given.and_then(|g| g.get(name)).unwrap_or(&rule.params[name].default).clone();
    let evidence: Vec<Evidence> = f
        .trace
        .first
        .iter()
        .filter_map(|(at, position)| {
            let (file, offset) = events.place(*position)?;
            let event = events.text(*position).unwrap_or_default();
            Some(Evidence { file, offset, time: at.map(instant), event, sha256: events.sha256(*position) })
        })
        .collect();
    let first_event = evidence.first().map(|e| e.event.clone()).unwrap_or_default();
    Row {
        rule: RuleName { id: rule.id.clone(), alias: rule.short().to_owned() },
        title: rule.title.clone(),
        level: f.level.name(),
        score: f.level.weight(),
        tags: rule.tags.clone(),
        source: rule.logsource.category.clone(),
        entity: EntityName { r#type: rule.entity.kind.clone(), value: f.entity.clone() },
        outcome: f.outcome.clone(),
        first_seen: f.trace.span.map(|s| instant(s.0)),
        last_seen: f.trace.span.map(|s| instant(s.1)),
        count: f.trace.events,
        params: rule.params.keys().map(|name| (name.clone(), value(name))).collect(),
        columns: f.columns.iter().cloned().collect(),
        next_query: next_query(rule, f, profile, &first_event),
        evidence,
        falsepositives: rule.falsepositives.clone(),
        description: rule.description.trim().to_owned(),
        rank: f.level,
        first: f.trace.span.map(|s| s.0),
        last: f.trace.span.map(|s| s.1),
    }
}

/// A query for all events of the entity, by the field that holds it in the evidence.
fn next_query(rule: &Rule, f: &Finding, profile: Option<&Profile>, event: &str) -> String {
    let Some(value) = &f.entity else { return String::new() };
    let holds = |field: &Field| match field {
        Field::Path(path) => json::get(event.as_bytes(), path).is_some_and(|(_, t)| *t == *value.as_bytes()),
        _ => false,
    };
    let places = profile.and_then(|p| p.fields.get(&rule.entity.field)).map_or(&[][..], Vec::as_slice);
    let found = places.iter().filter(|p| p.take == Take::Same).find(|p| holds(&p.from[0]));
    let name = found.map_or_else(|| rule.entity.field.clone(), |p| p.from[0].name());
    let plain_name = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '@'));
    let name = if plain_name { name } else { format!("`{name}`") };
    let literal = serde_json::Value::from(value.as_str());
    format!("fields @timestamp, @message | filter {name} = {literal} | sort @timestamp asc")
}

fn entities(findings: &[Row]) -> Vec<Entity> {
    let mut by_name: BTreeMap<&EntityName, Vec<&Row>> = BTreeMap::new();
    for row in findings.iter().filter(|r| r.entity.value.is_some()) {
        by_name.entry(&row.entity).or_default().push(row);
    }
    let mut out: Vec<Entity> = by_name.into_par_iter().map(|(name, rows)| entity(name, &rows)).collect();
    out.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.entity.cmp(&b.entity)));
    out
}

fn entity(name: &EntityName, rows: &[&Row]) -> Entity {
    let tactics: BTreeSet<&str> = rows.iter().flat_map(|r| r.tags.iter()).filter_map(|t| tactic(t)).collect();
    let weights: u64 = rows.iter().map(|r| r.score).sum();
    Entity {
        entity: name.clone(),
        score: weights * (tactics.len().max(1) as u64),
        level: rows.iter().map(|r| r.rank).max().unwrap_or(Level::Informational).name(),
        rules: rows.iter().map(|r| r.rule.alias.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
        tactics: tactics.into_iter().map(str::to_owned).collect(),
        count: rows.iter().map(|r| r.count).sum(),
        first_seen: rows.iter().filter_map(|r| r.first).min().map(instant),
        last_seen: rows.iter().filter_map(|r| r.last).max().map(instant),
    }
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

/// Bins of a timeline, at most.
const BINS: i64 = 60;

/// Lengths of bins that people can read, in milliseconds.
const LENGTHS: [i64; 12] = [
    STEP,
    3 * STEP,
    6 * STEP,
    12 * STEP,
    36 * STEP,
    72 * STEP,
    144 * STEP,
    288 * STEP,
    7 * 288 * STEP,
    30 * 288 * STEP,
    91 * 288 * STEP,
    365 * 288 * STEP,
];

fn timeline(findings: &[Row], outcome: &Outcome) -> Vec<Bin> {
    let spans = outcome.surveys.iter().filter_map(|s| s.span);
    let found = findings.iter().filter_map(|f| f.first.zip(f.last));
    let Some((first, last)) = spans.chain(found).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Vec::new();
    };
    let length = LENGTHS.into_iter().find(|l| (last - first) / l < BINS).unwrap_or(((last - first) / BINS).max(1));
    let start = first.div_euclid(length) * length;
    let n = ((last - start) / length + 1).clamp(1, 2 * BINS) as usize;
    let mut bins: Vec<Bin> = (0..n)
        .map(|i| Bin { start: instant(start + i as i64 * length), records: 0, findings: BTreeMap::new() })
        .collect();
    let mut at = |t: i64, f: &mut dyn FnMut(&mut Bin)| {
        let place = usize::try_from((t - start).div_euclid(length)).unwrap_or(0).min(n - 1);
        f(&mut bins[place]);
    };
    for (t, records) in outcome.surveys.iter().flat_map(|s| &s.counts) {
        at((*t).max(start), &mut |bin| bin.records += records);
    }
    for row in findings {
        if let Some(t) = row.first {
            at(t, &mut |bin| *bin.findings.entry(row.level).or_default() += 1);
        }
    }
    bins
}

fn coverage(findings: &[Row], outcome: &Outcome, rules: &[Rule]) -> Vec<Coverage> {
    let mut by_tag: BTreeMap<&str, Coverage> = BTreeMap::new();
    for ran in &outcome.ran {
        for tag in &rules[ran.rule].tags {
            let entry =
                by_tag.entry(tag).or_insert_with(|| Coverage { tag: tag.clone(), findings: 0, ran: 0, skipped: 0 });
            match ran.state {
                State::Ran => entry.ran += 1,
                _ => entry.skipped += 1,
            }
        }
    }
    for tag in findings.iter().flat_map(|f| &f.tags) {
        if let Some(entry) = by_tag.get_mut(tag.as_str()) {
            entry.findings += 1;
        }
    }
    let mut all: Vec<Coverage> = by_tag.into_values().collect();
    // Tactics in the order of an attack, then everything else by name.
    let place =
        |c: &Coverage| tactic(&c.tag).and_then(|t| TACTICS.iter().position(|x| *x == t)).unwrap_or(TACTICS.len());
    all.sort_by(|a, b| (place(a), &a.tag).cmp(&(place(b), &b.tag)));
    all
}

fn rule_row(ran: &crate::pass::Ran, rule: &Rule, least: Level) -> RuleRow {
    let (state, why) = match &ran.state {
        State::Ran => ("ran", String::new()),
        State::NoSource => ("skipped", format!("there are no logs of source `{}`", rule.logsource.category)),
        State::NoList(lists) => {
            let options: Vec<String> = lists.iter().map(|l| format!("--lookup {l}=FILE")).collect();
            ("skipped", format!("needs {}", options.join(" ")))
        }
        State::Stopped(why) => ("stopped", why.clone()),
        State::NoField(fields) => ("skipped", format!("no record has {}", fields.join(", "))),
    };
    RuleRow {
        rule: RuleName { id: rule.id.clone(), alias: rule.short().to_owned() },
        title: rule.title.clone(),
        level: rule.level.name(),
        source: rule.logsource.category.clone(),
        state,
        why,
        findings: ran.findings.iter().filter(|f| f.level >= least).count(),
    }
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
