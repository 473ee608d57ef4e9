//! From a rule to a query that runs: parameters become literals, a rule about single events becomes one finding an
//! entity.

use crate::rule::param::Type;
use crate::rule::{LogSource, Rule};
use backsight_engine::error::Error;
use backsight_engine::func::{self, Clock};
use backsight_engine::plan::{CompileSettings, Plan};
use backsight_engine::{agg, compile};
use backsight_lang::ast::{Expr, ExprKind, InSet, Query, Stage, StageKind};
use backsight_lang::commands::{self, Status};
use backsight_lang::{Class, tokens};
use serde_json::Value;
use std::collections::BTreeMap;

/// Values of parameters other than the default, by name.
pub type Overrides = BTreeMap<String, Value>;

/// The column that says whether what was tried succeeded.
pub const OUTCOME: &str = "outcome";

/// The query of a rule with its parameters filled in.
///
/// # Errors
/// Why a value does not fit, or which parameter there is not.
pub fn filled(rule: &Rule, overrides: &Overrides) -> Result<String, String> {
    for name in overrides.keys() {
        if !rule.params.contains_key(name) {
            return Err(format!("no parameter `{name}`"));
        }
    }
    let literal = |name: &str| -> Result<String, String> {
        let param = rule.params.get(name).ok_or_else(|| format!("no parameter `{name}` is declared"))?;
        param.literal(overrides.get(name).unwrap_or(&param.default)).map_err(|e| format!("parameter `{name}`: {e}"))
    };
    let mut out = String::with_capacity(rule.query.len());
    let mut at = 0;
    for (span, class) in tokens(&rule.query) {
        let text = span.text(&rule.query);
        let value = match class {
            Class::Parameter => literal(text.trim_start_matches('$'))?,
            Class::Regex => inside(text, &mut |name| {
                let is_regex = rule.params.get(name).is_some_and(|p| p.r#type == Type::Regex);
                if is_regex { literal(name).map(Some) } else { Ok(None) }
            })?,
            _ => continue,
        };
        out.push_str(&rule.query[at..span.start]);
        out.push_str(&value);
        at = span.end;
    }
    out.push_str(&rule.query[at..]);
    Ok(out)
}

/// A regular expression with the parameters in it filled in: `/^$routes$/`. They are not part of another word, as `$` with
/// something behind it matches nothing otherwise.
fn inside(regex: &str, literal: &mut dyn FnMut(&str) -> Result<Option<String>, String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), regex);
    while let Some(at) = rest.find('$') {
        let (before, name) = (&rest[..at], &rest[at + 1..]);
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())];
        out.push_str(before);
        match literal(name)? {
            Some(value) if !before.ends_with('\\') => {
                let alone = regex.len() == name.len() + 3;
                let source = &value[1..value.len() - 1];
                out.push_str(&if alone { source.to_owned() } else { format!("(?:{source})") });
            }
            _ => {
                out.push('$');
                out.push_str(name);
            }
        }
        rest = &rest[at + 1 + name.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The text that a hunt runs: the query, entities on the list left out if there is one, and a count by entity behind a
/// query about single events.
///
/// # Errors
/// As [`filled`].
pub fn hunting(rule: &Rule, overrides: &Overrides, has_list: &dyn Fn(&str) -> bool) -> Result<String, String> {
    let query = filled(rule, overrides)?;
    let parsed = backsight_lang::parse(&query).query;
    let mut out = String::new();
    if let Some(suppress) = rule.suppress.as_ref().filter(|s| has_list(&s.list)) {
        // In front, unless the query begins with declarations or sources of its own.
        let first = parsed.stages.first().map_or(0, |s| s.span.start);
        out.push_str(&query[..first]);
        out.push_str(&format!("filter not ({} in table {})\n| ", suppress.by, suppress.list));
        out.push_str(&query[first..]);
    } else {
        out.push_str(&query);
    }
    if !reshapes(&parsed) {
        out.push_str("\n| stats count(*) as events");
        for field in &rule.fields {
            out.push_str(&format!(", values({field}, 5) as `{field}`"));
        }
        out.push_str(&format!(" by {}", rule.entity.field));
        if is_cloudtrail(&rule.logsource) && rule.entity.field != OUTCOME {
            out.push_str(&format!(", {OUTCOME}"));
        }
    }
    Ok(out)
}

fn is_cloudtrail(source: &LogSource) -> bool {
    source.category == "cloudtrail"
}

/// True if the query's rows are not events any more.
pub fn reshapes(query: &Query) -> bool {
    query.stages.iter().any(|stage| {
        matches!(
            stage.kind,
            StageKind::Stats(_)
                | StageKind::Burst { .. }
                | StageKind::Sequence { .. }
                | StageKind::FirstSeen { .. }
                | StageKind::CountFrequent(_)
                | StageKind::Pattern(_)
        )
    })
}

/// Compiles what a hunt runs for a rule.
///
/// # Errors
/// What is wrong with the query; its places are in `text`.
pub fn plan(text: &str, clock: Clock, tables: &[String]) -> Result<Plan, Error> {
    let settings = CompileSettings {
        clock,
        tables: tables.iter().map(|name| (name.clone(), name.clone())).collect(),
        pushdown: true,
        trace: true,
        ..CompileSettings::default()
    };
    compile(text, &settings).map(|compiled| compiled.plan)
}

/// The query as Logs Insights takes it: parameters filled in, no comments.
///
/// # Errors
/// What keeps Logs Insights from expressing it.
pub fn aws(rule: &Rule, overrides: &Overrides) -> Result<String, Vec<String>> {
    let text = filled(rule, overrides).map_err(|e| vec![e])?;
    let parsed = backsight_lang::parse(&text);
    let mut reasons: Vec<String> = parsed.errors().map(|e| e.message.clone()).collect();
    extensions(&parsed.query, &text, &mut reasons);
    reasons.sort();
    reasons.dedup();
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let mut query = parsed.query;
    query.comments.clear();
    Ok(backsight_lang::format(&query, &text))
}

fn extensions(query: &Query, text: &str, out: &mut Vec<String>) {
    if !query.lets.is_empty() {
        out.push("`let`".into());
    }
    if !query.tables.is_empty() {
        out.push("`table`".into());
    }
    for stage in &query.stages {
        let word = stage.word.text(text);
        if commands::find(word).is_some_and(|c| c.status == Status::Extension) {
            out.push(format!("`{}`", word.to_ascii_lowercase()));
        }
        visit(stage, &mut |e| match &e.kind {
            ExprKind::Call { name, .. } => {
                let extension = match (agg::find(&name.text), func::find(&name.text)) {
                    (Some(a), _) => a.status == func::Status::Extension,
                    (None, Some(f)) => f.status == func::Status::Extension,
                    (None, None) => false,
                };
                if extension {
                    out.push(format!("`{}()`", name.text));
                }
            }
            ExprKind::In { set: InSet::Table { .. }, .. } => out.push("`in table`".into()),
            _ => {}
        });
    }
}

/// Calls `f` with every expression of a stage.
pub fn visit<'a>(stage: &'a Stage, f: &mut dyn FnMut(&'a Expr)) {
    match &stage.kind {
        StageKind::Fields(items) | StageKind::Display(items) => items.iter().for_each(|i| expr(&i.expr, f)),
        StageKind::Filter(e) | StageKind::FilterIndex(e) | StageKind::Pattern(e) | StageKind::Expand(e) => expr(e, f),
        StageKind::Stats(s) => s.items.iter().chain(&s.by).for_each(|i| expr(&i.expr, f)),
        StageKind::Sort(keys) => keys.iter().for_each(|k| expr(&k.item.expr, f)),
        StageKind::Dedup(fields) => fields.iter().for_each(|e| expr(e, f)),
        StageKind::Unnest { list, .. } => expr(list, f),
        StageKind::Parse(parse) => parse.field.iter().for_each(|e| expr(e, f)),
        StageKind::Burst { value, .. } => expr(value, f),
        StageKind::Sequence { steps, .. } => steps.iter().for_each(|s| expr(&s.condition, f)),
        StageKind::CidrLookup(lookup) => expr(&lookup.ip, f),
        _ => {}
    }
}

/// Calls `f` with an expression and everything below it.
pub fn expr<'a>(e: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    f(e);
    match &e.kind {
        ExprKind::Call { args, .. } => args.iter().for_each(|a| expr(a, f)),
        ExprKind::Member { base, .. } => expr(base, f),
        ExprKind::Negate(inner) | ExprKind::Not(inner) => expr(inner, f),
        ExprKind::Binary { left, right, .. } | ExprKind::Like { left, right, .. } => {
            expr(left, f);
            expr(right, f);
        }
        ExprKind::In { left, set, .. } => {
            expr(left, f);
            if let InSet::List(items, _) = set {
                items.iter().for_each(|i| expr(i, f));
            }
        }
        _ => {}
    }
}
