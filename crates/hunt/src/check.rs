//! Runs the tests of rules: events in memory, through the same queries, profiles and findings as a hunt.

use crate::canonical::Canonical;
use crate::finding::{Finding, Findings};
use crate::memory::{Events, Lists};
use crate::profile::{Profile, Profiles};
use crate::query::{self, Overrides};
use crate::rule::Rule;
use crate::rule::param::plain;
use crate::rule::spec::{Expect, Test};
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::plan::{Plan, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source, Table};
use backsight_engine::{Ctl, run};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most events of one test: a test is an example, not a load.
const MOST_EVENTS: u64 = 1_000_000;

/// Runs tests, and keeps what several of them need: profiles, and the plans of the rule at hand.
pub struct Checker<'a> {
    ctl: &'a Ctl,
    profiles: BTreeMap<&'a str, Arc<Profile>>,
    /// Plans by their text and tables.
    plans: RefCell<Vec<(String, Vec<String>, Plan)>>,
}

/// Plans kept.
const PLANS: usize = 8;

impl<'a> Checker<'a> {
    /// A checker that reads through these profiles.
    pub fn new(profiles: &'a Profiles, ctl: &'a Ctl) -> Checker<'a> {
        let profiles = profiles.iter().map(|p| (p.name.as_str(), Arc::new(p.clone()))).collect();
        Checker { ctl, profiles, plans: RefCell::default() }
    }

    /// Runs a test of a rule. `turned`: parameters that differ from the defaults where the test does not set them itself.
    ///
    /// # Errors
    /// What came out instead, for people.
    pub fn test(&self, rule: &Rule, test: &Test, turned: &Overrides) -> Result<(), String> {
        compare(&test.expect, &self.findings(rule, test, turned)?)
    }

    /// What a rule finds in the events of a test.
    ///
    /// # Errors
    /// Why the rule cannot run.
    pub fn findings(&self, rule: &Rule, test: &Test, turned: &Overrides) -> Result<Vec<Finding>, String> {
        let mut overrides = turned.clone();
        overrides.extend(test.params.iter().map(|(k, v)| (k.clone(), v.clone())));
        let mut entries = test.lists.clone();
        rule.lookups.iter().for_each(|name| {
            entries.entry(name.clone()).or_default();
        });
        let lists = Lists::of(&entries);
        let text = query::hunting(rule, &overrides, &|name| lists.0.contains_key(name))?;
        let events: Arc<dyn Source + Send> = Arc::new(Events::new(events(test)?));
        let source = match self.profiles.get(rule.logsource.category.as_str()) {
            Some(profile) => Arc::new(Canonical::new(events, Arc::clone(profile))),
            None => events,
        };
        let plan = self.plan(text, lists.0.keys().cloned().collect())?;
        let mut found = Findings::new(rule, plan.columns().iter().map(|c| (*c).to_owned()).collect());
        run(&plan, &Desk { source, lists: &lists }, &Clock::default(), self.ctl, &mut |batch| {
            found.add(&batch);
            Ok(Flow::More)
        })
        .map_err(|e| e.to_string())?;
        Ok(found.finish())
    }

    /// The plan of a text; tests of one rule mostly share it.
    fn plan(&self, text: String, tables: Vec<String>) -> Result<Plan, String> {
        let mut plans = self.plans.borrow_mut();
        if let Some((.., plan)) = plans.iter().find(|(t, names, _)| *t == text && *names == tables) {
            return Ok(plan.clone());
        }
        let plan = query::plan(&text, Clock::default(), &tables).map_err(|e| e.to_string())?;
        if plans.len() == PLANS {
            plans.remove(0);
        }
        plans.push((text, tables, plan.clone()));
        Ok(plan)
    }
}

/// One source, and some lists.
struct Desk<'a> {
    source: Arc<dyn Source + Send>,
    lists: &'a Lists,
}

impl Catalog for Desk<'_> {
    fn open(&self, _: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        Ok(Arc::clone(&self.source))
    }

    fn table(&self, file: &str) -> Result<Table, Error> {
        self.lists.table(file)
    }
}

/// The events of a test as JSON texts.
fn events(test: &Test) -> Result<Vec<String>, String> {
    let runs = test.runs();
    let total: u64 = runs.iter().fold(0, |n, run| n.saturating_add(run.rows));
    if total > MOST_EVENTS {
        return Err(format!("{total} events are too many for a test"));
    }
    let mut out = Vec::with_capacity(total as usize);
    for run in runs {
        let template = Template::new(&run.event.to_string());
        out.extend((0..run.rows).map(|i| template.fill(i)));
    }
    Ok(out)
}

/// A text with places for the number of the repetition: `{i}`, `{i%60}`, `{i/60%60+1}`, `{i:03}`.
struct Template {
    /// A text, and the place behind it.
    parts: Vec<(String, Place)>,
    rest: String,
}

struct Place {
    steps: Vec<(u8, u64)>,
    width: usize,
}

impl Template {
    fn new(text: &str) -> Template {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("{i") {
            literal.push_str(&rest[..at]);
            let found = rest[at + 2..].find('}').and_then(|end| {
                let place = Place::parse(&rest[at + 2..at + 2 + end], &literal, !parts.is_empty())?;
                Some((place, at + 2 + end + 1))
            });
            match found {
                Some((place, next)) => {
                    parts.push((std::mem::take(&mut literal), place));
                    rest = &rest[next..];
                }
                None => {
                    literal.push_str("{i");
                    rest = &rest[at + 2..];
                }
            }
        }
        literal.push_str(rest);
        Template { parts, rest: literal }
    }

    fn fill(&self, i: u64) -> String {
        let mut out = String::with_capacity(self.rest.len() + self.parts.len() * 32);
        for (text, place) in &self.parts {
            out.push_str(text);
            let n = place.steps.iter().fold(i, |n, (op, by)| match op {
                b'%' => n % by,
                b'/' => n / by,
                b'*' => n.wrapping_mul(*by),
                b'-' => n.saturating_sub(*by),
                _ => n.wrapping_add(*by),
            });
            out.push_str(&format!("{n:0width$}", width = place.width));
        }
        out + &self.rest
    }
}

impl Place {
    /// What stands between `{i` and `}`; `before` is the text in front, behind another place or not: in a time or date,
    /// numbers have two digits.
    fn parse(text: &str, before: &str, behind_place: bool) -> Option<Place> {
        let (sum, width) = match text.split_once(':') {
            Some((sum, width)) => (sum, width.parse().ok().filter(|w| *w <= 20)?),
            None => {
                let mut back = before.bytes().rev();
                let (last, digit) = (back.next(), back.next().map_or(behind_place, |c| c.is_ascii_digit()));
                (text, if digit && matches!(last, Some(b':' | b'T' | b'-')) { 2 } else { 1 })
            }
        };
        let mut steps = Vec::new();
        let mut rest = sum;
        while let Some(op) = rest.bytes().next() {
            if !b"%/*+-".contains(&op) {
                return None;
            }
            let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            let by: u64 = rest[1..1 + digits].parse().ok()?;
            if by == 0 && matches!(op, b'%' | b'/') {
                return None;
            }
            steps.push((op, by));
            rest = &rest[1 + digits..];
        }
        Some(Place { steps, width })
    }
}

fn compare(expect: &Expect, findings: &[Finding]) -> Result<(), String> {
    let show = |f: &Finding| {
        let entity = f.entity.as_deref().unwrap_or("(none)");
        let outcome = f.outcome.as_ref().map_or(String::new(), |o| format!(", {o}"));
        let columns: String = f.columns.iter().map(|(n, v)| format!(", {n} {v}")).collect();
        format!("{} {entity}{outcome}{columns}", f.level.name())
    };
    let shown: Vec<String> = findings.iter().take(5).map(show).collect();
    let found = if shown.is_empty() { "nothing".to_owned() } else { shown.join("; ") };
    let wrong = |what: String| Err(format!("expected {what}, found {found}"));
    if findings.len() as u64 != expect.findings {
        let n = findings.len();
        return Err(format!("expected {} findings, found {n}: {found}", expect.findings));
    }
    let has = |wanted: &serde_json::Value| match wanted {
        serde_json::Value::Null => findings.iter().any(|f| f.entity.is_none()),
        other => findings.iter().any(|f| f.entity.as_deref() == Some(&plain(other))),
    };
    if let Some(missing) = expect.entity.iter().chain(expect.entities.iter().flatten()).find(|e| !has(e)) {
        return wrong(format!("the entity {}", plain(missing)));
    }
    if let Some(level) = expect.level.filter(|level| findings.iter().any(|f| f.level != *level)) {
        return wrong(format!("level {}", level.name()));
    }
    if let Some(outcome) = &expect.outcome
        && findings.iter().any(|f| f.outcome.as_ref() != Some(outcome))
    {
        return wrong(format!("outcome {outcome}"));
    }
    if let Some(count) = expect.count {
        let events: u64 = findings.iter().map(|f| f.trace.events).sum();
        if events != count {
            return Err(format!("expected {count} events behind the findings, found {events}"));
        }
    }
    for (name, value) in &expect.columns {
        let cell = findings.first().and_then(|f| f.columns.iter().find(|(n, _)| n == name)).map(|(_, v)| v.as_str());
        if cell != Some(&plain(value)) {
            return wrong(format!("column {name} to be {}", plain(value)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for (template, at, text) in [
            ("a{i}b", 7, "a7b"),
            ("T10:{i/60}:{i%60}Z", 65, "T10:01:05Z"),
            ("2026-01-{i%28+1}T00", 3, "2026-01-04T00"),
            ("10.0.{i/250}.{i%250}", 251, "10.0.1.1"),
            ("item-{i:04}", 12, "item-0012"),
            ("{i%0} {if} {i", 1, "{i%0} {if} {i"),
            (r#"{"a":{"i":1}}"#, 1, r#"{"a":{"i":1}}"#),
        ] {
            assert_eq!(Template::new(template).fill(at), text);
        }
    }
}
