//! Puts a report together.

use super::timeline::timeline;
use super::{
    Coverage, Entity, EntityName, Events, Evidence, Report, Row, RuleName, RuleRow, SCHEMA, Source, TACTICS, Unread,
    instant, tactic,
};
use crate::finding::Finding;
use crate::gaps;
use crate::pass::{Group, Outcome, Setup, State};
use crate::profile::{Profile, Take, field};
use crate::rule::{Level, Rule};
use backsight_engine::source::{Field, Note, Weight};
use backsight_engine::value::json;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
    let entity = field(&rule.entity.field).ok();
    let places = profile.zip(entity).and_then(|(p, entity)| p.places(&entity)).unwrap_or_default();
    let found =
        places.iter().filter(|p| p.take == Take::Same && p.from[0].inside.is_none()).find(|p| holds(&p.from[0].field));
    let name = found.map_or_else(|| rule.entity.field.clone(), |p| p.from[0].field.name());
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
