//! What makes a rule weak, beside what keeps it from running at all.

use crate::check::Checker;
use crate::profile::{self, Profiles};
use crate::query::{self, Overrides};
use crate::rule::{Level, Problem, Rule};
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::source::Field;
use backsight_lang::ast::{BinaryOp, Expr, ExprKind, StageKind};
use backsight_lang::{Class, tokens};
use std::collections::BTreeSet;

/// Tests of each kind that a rule must have.
const FEWEST_TESTS: usize = 2;

/// Looks at rules. Problems come in the order of the rules.
pub fn lint(rules: &[Rule], profiles: &Profiles) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut ids, mut aliases) = (BTreeSet::new(), BTreeSet::new());
    for rule in rules {
        let mut say = Say { rule, problems: &mut problems };
        if !ids.insert(rule.id.clone()) {
            say.problem(format!("another rule has the id `{}`", rule.id));
        }
        if rule.alias.as_ref().is_some_and(|a| !aliases.insert(a.to_ascii_uppercase())) {
            say.problem(format!("another rule has the alias `{}`", rule.short()));
        }
        front_matter(rule, profiles, &mut say);
        query_text(rule, profiles, &mut say);
        tests(rule, &mut say);
    }
    problems
}

struct Say<'a> {
    rule: &'a Rule,
    problems: &'a mut Vec<Problem>,
}

impl Say<'_> {
    fn problem(&mut self, message: String) {
        self.at(0, message);
    }

    fn at(&mut self, line: usize, message: String) {
        let (file, rule) = (self.rule.file.clone(), self.rule.short().to_owned());
        self.problems.push(Problem { file, line, rule, message });
    }
}

fn front_matter(rule: &Rule, profiles: &Profiles, say: &mut Say<'_>) {
    if rule.level > Level::Informational && rule.tags.is_empty() {
        say.problem(format!("level {} without a tag that says of what", rule.level.name()));
    }
    for tag in rule.tags.iter().filter(|t| !is_tag(t)) {
        say.problem(format!("tag `{tag}` is neither `attack.…` nor `owasp.…`"));
    }
    if rule.description.trim().is_empty() {
        say.problem("no description".into());
    }
    let category = &rule.logsource.category;
    if category != "any" && profiles.named(category).is_none() {
        let known: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
        say.problem(format!("unknown log source `{category}`; there are {}", known.join(", ")));
    }
    for (name, param) in &rule.params {
        if param.is_threshold() && param.why.as_ref().is_none_or(|w| w.trim().is_empty()) {
            say.problem(format!("threshold `{name}` without a `why`"));
        }
        if let Err(why) = param.literal(&param.default) {
            say.problem(format!("default of `{name}`: {why}"));
        }
        let used = tokens(&rule.query).into_iter().any(|(span, class)| {
            let text = span.text(&rule.query);
            class == Class::Parameter && text == format!("${name}")
                || class == Class::Regex && text.contains(&format!("${name}"))
        });
        if !used {
            say.problem(format!("parameter `{name}` is not used"));
        }
    }
}

fn is_tag(tag: &str) -> bool {
    let known = ["attack.", "owasp.", "cve.", "detection.", "gap.", "seed."];
    known.iter().any(|start| tag.strip_prefix(start).is_some_and(|rest| !rest.is_empty()))
}

fn query_text(rule: &Rule, profiles: &Profiles, say: &mut Say<'_>) {
    let text = match query::hunting(rule, &Overrides::new(), &|_| true) {
        Ok(text) => text,
        Err(why) => return say.problem(why),
    };
    let mut tables = rule.lookups.clone();
    tables.extend(rule.suppress.iter().map(|s| s.list.clone()));
    let plan = match query::plan(&text, Clock::default(), &tables) {
        Ok(plan) => plan,
        Err(Error::Query(diagnostics)) => {
            for found in diagnostics {
                let line = text[..found.span.start.min(text.len())].matches('\n').count();
                let help = found.help.map_or(String::new(), |h| format!(" ({h})"));
                say.at(rule.line + line, format!("{}: {}{help}", found.code, found.message));
            }
            return;
        }
        Err(e) => return say.problem(e.to_string()),
    };
    if !plan.columns().contains(&rule.entity.field.as_str()) {
        say.problem(format!("the answer has no column `{}` for the entity", rule.entity.field));
    }
    let Ok(filled) = query::filled(rule, &Overrides::new()) else { return };
    unknown_fields(rule, &plan.scan.fields.iter().map(|(f, _)| f).collect::<Vec<_>>(), profiles, say);
    literal_thresholds(rule, say);
    for (span, class) in tokens(&filled) {
        let regex = span.text(&filled);
        if class == Class::Regex && (regex.starts_with("/.*") || regex.ends_with(".*/")) {
            say.problem(format!("`.*` at an end of {regex} matches nothing more and costs time"));
        }
    }
}

/// Fields that are neither canonical nor in any event of a test: misspelt, most likely.
fn unknown_fields(rule: &Rule, fields: &[&Field], profiles: &Profiles, say: &mut Say<'_>) {
    let Some(profile) = profiles.named(&rule.logsource.category) else { return };
    let events: Vec<String> =
        rule.tests.iter().flat_map(|t| t.runs().into_iter().map(|run| run.event.to_string())).collect();
    for field in fields {
        let Field::Path(path) = field else { continue };
        let raw = || profile.fields.values().flatten().any(|place| place.from.iter().any(|spot| spot.field == **field));
        let in_test = || {
            let found = |e: &String| backsight_engine::value::json::get(e.as_bytes(), path).is_some();
            events.iter().any(found)
        };
        if !profile.is_canonical(field) && !raw() && !in_test() {
            let name = field.name();
            let known = profile.fields.keys().map(String::as_str);
            let hint = backsight_lang::diag::nearest(&name, known).map_or(String::new(), |n| format!("; `{n}`?"));
            say.problem(format!("field `{name}` is not canonical for `{}` and in no test event{hint}", profile.name));
        }
    }
    for name in &rule.requires {
        if profile::field(name).is_err() {
            say.problem(format!("required field `{name}` is not the name of a field"));
        }
    }
}

/// Numbers compared with what `stats` computed: they are thresholds and must be parameters.
fn literal_thresholds(rule: &Rule, say: &mut Say<'_>) {
    let parsed = backsight_lang::parse(&rule.query).query;
    let mut behind = false;
    for stage in &parsed.stages {
        match &stage.kind {
            StageKind::Stats(_) => behind = true,
            StageKind::Burst { bound, .. } => literal_bound(rule, bound, say),
            StageKind::Sequence { steps, .. } => {
                steps.iter().filter_map(|s| s.at_least.as_ref()).for_each(|n| literal_bound(rule, n, say));
            }
            StageKind::Filter(_) if behind => query::visit(stage, &mut |e| {
                if let ExprKind::Binary { op, left, right, .. } = &e.kind
                    && matches!(op, BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge)
                {
                    literal_bound(rule, right, say);
                    literal_bound(rule, left, say);
                }
            }),
            _ => {}
        }
    }
}

fn literal_bound(rule: &Rule, e: &Expr, say: &mut Say<'_>) {
    if let ExprKind::Number(text) = &e.kind
        && !matches!(text.as_str(), "0" | "1")
    {
        let line = rule.query[..e.span.start.min(rule.query.len())].matches('\n').count();
        say.at(rule.line + line, format!("`{text}` is a threshold: make it a parameter with a `why`"));
    }
}

fn tests(rule: &Rule, say: &mut Say<'_>) {
    let positive = rule.tests.iter().filter(|t| t.is_positive()).count();
    let negative = rule.tests.len() - positive;
    for (n, what) in [(positive, "positive"), (negative, "negative")] {
        if n < FEWEST_TESTS {
            say.problem(format!("{n} {what} tests, at least {FEWEST_TESTS} are wanted"));
        }
    }
    let mut names = BTreeSet::new();
    for test in rule.tests.iter().filter(|t| !names.insert(t.name.as_str())) {
        say.problem(format!("two tests are named `{}`", test.name));
    }
}

/// Turns every threshold by one step, up and down: a test must notice.
pub fn mutate(rules: &[Rule], profiles: &Profiles, ctl: &Ctl) -> Vec<Problem> {
    let mut problems = Vec::new();
    let checker = Checker::new(profiles, ctl);
    for rule in rules {
        let mut say = Say { rule, problems: &mut problems };
        for (name, param) in rule.params.iter().filter(|(_, p)| p.is_threshold()) {
            for value in param.neighbours() {
                if param.literal(&value).is_err() {
                    continue;
                }
                let turned = Overrides::from([(name.clone(), value.clone())]);
                let notices = |t: &&crate::rule::spec::Test| checker.test(rule, t, &turned).is_err();
                if !rule.tests.iter().any(|t| notices(&t)) {
                    let default = crate::rule::param::plain(&param.default);
                    let to = crate::rule::param::plain(&value);
                    say.problem(format!("no test notices `{name}` turned from {default} to {to}"));
                }
            }
        }
    }
    problems
}
