//! The hunt: rules chosen by what logs there are, all of them run in one pass over each source, and what they found.

use crate::canonical::Canonical;
use crate::finding::{Finding, Findings};
use crate::memory::Lists;
use crate::profile::{Profile, Profiles, field};
use crate::query::{self, Overrides};
use crate::rule::Rule;
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::plan::{Plan, SourceRef};
use backsight_engine::source::{Catalog, Counters, Field, Flow, Scan, Source, Table};
use backsight_engine::value::column::{Batch, Column};
use backsight_engine::{Ctl, run_all};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Files of one log source and format.
#[derive(Clone)]
pub struct Group {
    /// The log source, where the records are of a known one.
    pub profile: Option<Arc<Profile>>,
    /// What reads them.
    pub format: String,
    /// The names of the files.
    pub files: Vec<String>,
    /// Their records.
    pub source: Arc<dyn Source + Send>,
}

/// What a hunt goes by.
pub struct Setup<'a> {
    /// The rules.
    pub rules: &'a [Rule],
    /// Parameters other than the default, by id of the rule.
    pub params: BTreeMap<String, Overrides>,
    /// Lists by name.
    pub lists: Lists,
    /// Time range and clock.
    pub clock: Clock,
}

/// What came of a rule.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The rule, by its place among the rules.
    pub rule: usize,
    /// What became of it.
    pub state: State,
    /// What it found.
    pub findings: Vec<Finding>,
}

/// Whether a rule could find anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It ran, over logs that have what it needs.
    Ran,
    /// There are no logs of its source.
    NoSource,
    /// It needs lists that were not given.
    NoList(Vec<String>),
    /// No record has these fields.
    NoField(Vec<String>),
    /// It needed more than there was, memory for one, and was given up.
    Stopped(String),
}

/// What a pass over a group saw of it.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Records.
    pub records: u64,
    /// The first and last time, epoch milliseconds.
    pub span: Option<(i64, i64)>,
    /// In how many records each field is, of those that rules need.
    pub present: BTreeMap<String, u64>,
    /// Records per [`STEP`], by its start, in order.
    pub counts: Vec<(i64, u64)>,
    /// The same of each place the records say they come from: of an API and its stage, or of a region.
    pub places: BTreeMap<Place, Vec<(i64, u64)>>,
    /// Stages of APIs that records of changes name, and that were not deleted in the end.
    pub stages: BTreeSet<Place>,
    /// Identifiers that several records have, and the number of these records.
    pub duplicates: (u64, u64),
}

/// Where records come from: the values of the source's [`PLACES`], where they are known.
pub type Place = Vec<Option<String>>;

/// The fields that say of a log source where its records come from.
const PLACES: &[(&str, &[&str])] =
    &[("access", &["apiId", "stage"]), ("cloudtrail", &["region"]), ("vpcflow", &["region"]), ("config", &["region"])];

/// Milliseconds between two entries of [`Survey::counts`].
pub const STEP: i64 = 300_000;

/// The outcome of a hunt.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One a rule, in their order.
    pub ran: Vec<Ran>,
    /// One a group, in their order.
    pub surveys: Vec<Survey>,
    /// It was interrupted.
    pub partial: bool,
}

/// Runs the rules over the groups, one pass each.
///
/// # Errors
/// What is wrong with a rule or a parameter, or what the sources report.
pub fn hunt(groups: &[Group], setup: &Setup<'_>, ctl: &Ctl) -> Result<Outcome, Error> {
    let mut outcome = Outcome { ran: Vec::new(), ..Outcome::default() };
    for (rule, r) in setup.rules.iter().enumerate() {
        let missing: Vec<String> = r.lookups.iter().filter(|l| !setup.lists.0.contains_key(*l)).cloned().collect();
        let state = if missing.is_empty() { State::NoSource } else { State::NoList(missing) };
        outcome.ran.push(Ran { rule, state, findings: Vec::new() });
    }
    let plans = plans(setup)?;
    for group in groups {
        let survey = pass(group, setup, &plans, &mut outcome, ctl)?;
        outcome.surveys.push(survey);
    }
    outcome.partial = ctl.cancelled();
    Ok(outcome)
}

/// The plan of every rule that can run.
fn plans(setup: &Setup<'_>) -> Result<Vec<Option<Plan>>, Error> {
    let tables: Vec<String> = setup.lists.0.keys().cloned().collect();
    let none = Overrides::new();
    let plan = |rule: &Rule| {
        if rule.lookups.iter().any(|l| !setup.lists.0.contains_key(l)) {
            return Ok(None);
        }
        let wrong = |why: String| Error::Input { file: format!("rule {}", rule.short()), offset: None, why };
        let params = setup.params.get(&rule.id).unwrap_or(&none);
        let text = query::hunting(rule, params, &|l| setup.lists.0.contains_key(l)).map_err(wrong)?;
        query::plan(&text, setup.clock, &tables).map(Some).map_err(|e| match e {
            Error::Query(_) => wrong(e.to_string()),
            other => other,
        })
    };
    // The first of them that is wrong is the one to be told.
    let plans: Vec<Result<Option<Plan>, Error>> = setup.rules.par_iter().map(plan).collect();
    plans.into_iter().collect()
}

fn pass(
    group: &Group,
    setup: &Setup<'_>,
    plans: &[Option<Plan>],
    outcome: &mut Outcome,
    ctl: &Ctl,
) -> Result<Survey, Error> {
    let category = group.profile.as_ref().map_or("", |p| p.name.as_str());
    let mine: Vec<usize> = (0..setup.rules.len())
        .filter(|i| {
            let wanted = &setup.rules[*i].logsource.category;
            plans[*i].is_some() && (wanted == category || wanted == "any")
        })
        .collect();
    let mut fields = needed(setup.rules, &mine);
    if category == "access" {
        fields.extend(SECRETS.iter().map(|s| (*s).to_owned()));
    }
    let own = surveys(category, &fields, setup.clock)?;
    let all: Vec<&Plan> = own.iter().chain(mine.iter().filter_map(|i| plans[*i].as_ref())).collect();
    let source: Arc<dyn Source + Send> = match &group.profile {
        Some(profile) => Arc::new(Canonical::new(Arc::clone(&group.source), Arc::clone(profile))),
        None => Arc::clone(&group.source),
    };
    let mut survey = Survey::default();
    let mut found: Vec<Findings<'_>> = mine
        .iter()
        .map(|i| {
            let names = plans[*i].iter().flat_map(|p| p.columns()).map(str::to_owned).collect();
            Findings::new(&setup.rules[*i], names)
        })
        .collect();
    let outcomes = run_all(&all, &Desk { source, lists: &setup.lists }, &setup.clock, ctl, &mut |plan, batch| {
        match plan.checked_sub(own.len()) {
            Some(i) => found[i].add(&batch),
            None if plan == 0 => survey.add_totals(&batch, &fields),
            None if plan == 1 => survey.add_counts(&batch),
            None if plan == 2 => survey.add_duplicates(&batch),
            None => survey.add_stages(&batch),
        }
        Ok(Flow::More)
    })?;
    survey.settle();
    let mut outcomes = outcomes.into_iter();
    for outcome in outcomes.by_ref().take(own.len()) {
        outcome?;
    }
    for ((i, findings), came) in mine.iter().zip(found).zip(outcomes) {
        let rule = &setup.rules[*i];
        match came {
            Ok(_) => {}
            Err(Error::Limit(why)) => {
                outcome.ran[*i].state = State::Stopped(why);
                continue;
            }
            Err(error) => return Err(error),
        }
        let absent: Vec<String> =
            rule.requires.iter().filter(|f| survey.present.get(*f).is_none_or(|n| *n == 0)).cloned().collect();
        let ran = &mut outcome.ran[*i];
        ran.state = match std::mem::replace(&mut ran.state, State::Ran) {
            done @ (State::Ran | State::Stopped(_)) => done,
            _ if absent.is_empty() => State::Ran,
            _ => State::NoField(absent),
        };
        join(&mut ran.findings, findings.finish());
    }
    Ok(survey)
}

/// Takes in what the same rule found in another group. Each entity and outcome is there once in either.
fn join(all: &mut Vec<Finding>, more: Vec<Finding>) {
    let name = |f: &Finding| (f.entity.clone(), f.outcome.clone());
    let known: BTreeMap<_, usize> = all.iter().enumerate().map(|(at, f)| (name(f), at)).collect();
    for finding in more {
        match known.get(&name(&finding)) {
            Some(same) => all[*same].join(finding),
            None => all.push(finding),
        }
    }
}

/// The fields that rules require or would like, each once.
fn needed(rules: &[Rule], mine: &[usize]) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for name in mine.iter().flat_map(|i| rules[*i].requires.iter().chain(&rules[*i].optional)) {
        if !fields.contains(name) && field(name).is_ok() {
            fields.push(name.clone());
        }
    }
    fields.sort();
    fields
}

/// Fields of access logs that hold what must not be in a log: keys and tokens.
pub const SECRETS: &[&str] =
    &["identity.apiKey", "apiKey", "api_key", "authorization", "headers.Authorization", "`x-api-key`"];

/// Records with the identifier of another: delivered twice, or edited.
const DUPLICATES: &str = "stats count(*) as n by eventID | filter n > 1 and ispresent(eventID) \
                          | stats count(*) as ids, sum(n) as records";

/// Stages of APIs that were changed, and what was done to them last. REST APIs and HTTP APIs name themselves differently.
const STAGES: &str = "filter eventSource = 'apigateway.amazonaws.com' and ispresent(requestParameters.stageName) \
                      | stats latest(eventName) as done by coalesce(requestParameters.restApiId, requestParameters.apiId) \
                      as api, requestParameters.stageName as stage | filter done != 'DeleteStage'";

/// What every pass asks for itself: totals, and counts over time and place.
fn surveys(category: &str, fields: &[String], clock: Clock) -> Result<Vec<Plan>, Error> {
    let mut totals = "stats count(*) as n, min(@timestamp) as first, max(@timestamp) as last".to_owned();
    for (i, field) in fields.iter().enumerate() {
        totals.push_str(&format!(", count({field}) as f{i}"));
    }
    let places = PLACES.iter().find(|(source, _)| *source == category).map_or(&[][..], |(_, fields)| fields);
    let keys: String = places.iter().map(|field| format!(", {field}")).collect();
    let counts = format!("stats count(*) as n by bin({}s) as t{keys}", STEP / 1000);
    let settings = backsight_engine::plan::CompileSettings { clock, pushdown: true, ..Default::default() };
    let plan = |text: &str| {
        let compiled = backsight_engine::compile(text, &settings);
        compiled.map(|c| c.plan).map_err(|e| Error::Bug(format!("survey of fields: {e}")))
    };
    let mut plans = vec![plan(&totals)?, plan(&counts)?];
    if category == "cloudtrail" {
        plans.push(plan(DUPLICATES)?);
        plans.push(plan(STAGES)?);
    }
    Ok(plans)
}

impl Survey {
    fn add_totals(&mut self, batch: &Batch, fields: &[String]) {
        if batch.rows == 0 {
            return;
        }
        let cell = |at: usize| batch.columns.get(at).map(|c| c.get(0));
        let number = |at: usize| cell(at).and_then(|v| v.number()).map_or(0, |n| n.as_f64() as u64);
        self.records += number(0);
        let time = |at: usize| cell(at).and_then(|v| v.timestamp());
        self.span = time(1).zip(time(2)).or(self.span);
        for (i, field) in fields.iter().enumerate() {
            *self.present.entry(field.clone()).or_default() += number(3 + i);
        }
    }

    fn add_duplicates(&mut self, batch: &Batch) {
        if let ([ids, records], true) = (batch.columns.as_slice(), batch.rows > 0) {
            let number = |c: &Column| c.get(0).number().map_or(0, |n| n.as_f64() as u64);
            self.duplicates = (number(ids), number(records));
        }
    }

    fn add_counts(&mut self, batch: &Batch) {
        let [times, places @ .., counts] = batch.columns.as_slice() else { return };
        for row in 0..batch.rows {
            if let (Some(t), Some(n)) = (times.get(row).timestamp(), counts.get(row).number()) {
                self.places.entry(place(places, row)).or_default().push((t, n.as_f64() as u64));
            }
        }
    }

    fn add_stages(&mut self, batch: &Batch) {
        let keys = batch.columns.len().saturating_sub(1);
        self.stages.extend((0..batch.rows).map(|row| place(&batch.columns[..keys], row)));
    }

    /// Everything is there.
    fn settle(&mut self) {
        let mut all: BTreeMap<i64, u64> = BTreeMap::new();
        for counts in self.places.values_mut() {
            counts.sort_unstable();
            counts.iter().for_each(|(t, n)| *all.entry(*t).or_default() += n);
        }
        self.counts = all.into_iter().collect();
    }
}

fn place(columns: &[Column], row: usize) -> Place {
    let text = |column: &Column| column.get(row).text().map(|text| String::from_utf8_lossy(&text).into_owned());
    columns.iter().map(text).collect()
}

/// The group's source, and the lists.
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

/// A log source, and whether its records have the form of tables.
pub type Form<'p> = (&'p Profile, bool);

/// Rows looked at to recognise a log source.
const LOOKED_AT: usize = 200;

/// The log source of records of a general format, going by the fields of the first ones: one whose signs at least half of
/// them carry. Where they carry those of its tables, it is that of tables.
///
/// # Errors
/// What the source reports.
pub fn recognise<'p>(source: &dyn Source, profiles: &'p Profiles) -> Result<Option<Form<'p>>, Error> {
    let scan = Scan { want: profiles.sign_fields(), ..Scan::default() };
    let counters = Counters::default();
    let mut head: Option<Batch> = None;
    {
        let morsels = source.open(&scan, &counters)?;
        while head.is_none() {
            let Some(morsel) = morsels.next() else { break };
            morsel.read(&mut |batch| {
                if batch.rows > 0 && head.is_none() {
                    head = Some(batch.head(LOOKED_AT).owned());
                    return Ok(Flow::Enough);
                }
                Ok(Flow::More)
            })?;
        }
    }
    let Some(head) = head else { return Ok(None) };
    let column = |field: &Field| scan.want.iter().position(|f| f == field).and_then(|at| head.columns.get(at));
    let forms = profiles.iter().flat_map(|p| [((p, false), &p.signs), ((p, true), &p.tables.signs)]);
    let columns: Vec<(Form<'_>, Vec<Vec<&Column>>)> = forms
        .map(|(form, signs)| (form, signs.iter().filter_map(|s| s.iter().map(column).collect()).collect()))
        .collect();
    let carries = |sign: &Vec<&Column>, row: usize| sign.iter().all(|c| !c.get(row).is_null());
    // The source of most rows; of several, the one with the longest sign. Profiles come in the order of their names.
    let mut best: Option<((usize, usize), Form<'_>)> = None;
    for (form, signs) in &columns {
        let rows = (0..head.rows).filter(|row| signs.iter().any(|s| carries(s, *row))).count();
        let present = signs.iter().filter(|s| (0..head.rows).any(|row| carries(s, row)));
        let rank = (rows, present.map(Vec::len).max().unwrap_or(0));
        if rows * 2 >= head.rows && best.as_ref().is_none_or(|(before, _)| rank > *before) {
            best = Some((rank, *form));
        }
    }
    Ok(best.filter(|((rows, _), _)| *rows > 0).map(|(_, form)| form))
}
