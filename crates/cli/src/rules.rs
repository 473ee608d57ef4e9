//! Rules from files and folders, and `backsight rule`: what they are, and whether they are any good.

use crate::args::{Common, RuleAction, RuleArgs, RuleForm};
use crate::escape;
use crate::exit;
use crate::output::{self, Look, target::Target, target::output_error};
use crate::query::text_of;
use crate::terminal;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::value::Value;
use backsight_engine::value::column::{Batch, Positions};
use backsight_hunt::check::Checker;
use backsight_hunt::lint;
use backsight_hunt::profile::Profiles;
use backsight_hunt::query::{self, Overrides};
use backsight_hunt::rule::{self, Problem, Rule};
use backsight_lang::diag;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The rules of files and folders, or the built-in ones.
///
/// # Errors
/// [`Error::Input`] and [`Error::Io`] for what cannot be read.
pub(crate) fn load(paths: &[PathBuf]) -> Result<(Vec<Rule>, Vec<Problem>), Error> {
    if paths.is_empty() {
        return Ok(rule::read(backsight_hunt::PACK.iter().copied()));
    }
    let mut files = Vec::new();
    for path in paths {
        walk(path, &mut files)?;
        // Tests may lie beside a rule that is named itself.
        let beside = path.with_extension("tests.jsonl");
        if path.is_file() && beside.is_file() {
            files.push(beside);
        }
    }
    files.sort();
    files.dedup();
    let texts: Vec<(String, String)> =
        files.iter().map(|f| Ok((f.display().to_string(), text_of(f)?))).collect::<Result<_, Error>>()?;
    Ok(rule::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
}

pub(crate) fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let fail = |source| Error::Io { what: path.display().to_string(), source };
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path).map_err(fail)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(fail)?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() {
            walk(&entry, files)?;
        } else if name.ends_with(".bsq") || name.ends_with(".tests.jsonl") {
            files.push(entry);
        }
    }
    Ok(())
}

/// A rule as a plain query.
pub(crate) struct Plain {
    /// The query, its parameters filled in.
    pub(crate) text: String,
    /// The log source whose names it uses.
    pub(crate) category: String,
    /// The values that it took.
    pub(crate) params: Vec<(String, String)>,
}

/// Makes a rule a plain query.
///
/// # Errors
/// [`Error::Input`] for a rule that is none, or a value that does not fit.
pub(crate) fn as_query(file: &str, text: &str, params: &[(String, String)]) -> Result<Plain, Error> {
    let wrong = |why: String| Error::Input { file: file.into(), offset: None, why };
    let (rules, problems) = rule::read([(file, text)]);
    let Some(rule) = rules.first() else {
        let why = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(wrong(if why.is_empty() { "is not a rule".into() } else { why }));
    };
    plain(rule, params)
}

/// A built-in rule as a plain query.
///
/// # Errors
/// [`Error::Input`] for a name there is not, or a value that does not fit.
pub(crate) fn built_in(name: &str, params: &[(String, String)]) -> Result<Plain, Error> {
    let (rules, _) = load(&[])?;
    plain(named(&rules, name)?, params)
}

fn plain(rule: &Rule, params: &[(String, String)]) -> Result<Plain, Error> {
    let wrong = |why: String| Error::Input { file: rule.short().to_owned(), offset: None, why };
    let params: Vec<(String, String)> =
        params.iter().filter(|(name, _)| rule.params.contains_key(name)).cloned().collect();
    let text = query::filled(rule, &overrides(&params)).map_err(wrong)?;
    Ok(Plain { text, category: rule.logsource.category.clone(), params })
}

/// The log sources: the built-in ones, and what files of the user add.
///
/// # Errors
/// [`Error::Input`] for a file that is not one of profiles.
pub(crate) fn profiles(files: &[PathBuf]) -> Result<Profiles, Error> {
    let wrong = |file: String| move |why| Error::Input { file, offset: None, why };
    let mut profiles = Profiles::built_in().map_err(Error::Bug)?;
    for file in files {
        profiles.add(&text_of(file)?).map_err(wrong(file.display().to_string()))?;
    }
    Ok(profiles)
}

/// `backsight rule`
pub(crate) fn rule(args: &RuleArgs, common: &Common) -> Result<u8, Error> {
    match &args.action {
        RuleAction::List { paths, format } => {
            let (rules, problems) = load(paths)?;
            say(&problems);
            list(&rules, *format, terminal::look(common, false))?;
            Ok(if problems.is_empty() { exit::ANSWERED } else { exit::FOUND })
        }
        RuleAction::Show { name, rules, form, param } => show(name, rules, *form, param),
        RuleAction::Test { paths, log_sources } => test(paths, log_sources, common),
        RuleAction::Lint { paths, log_sources, mutate } => lint_all(paths, log_sources, *mutate, common),
    }
}

fn say(problems: &[Problem]) {
    for problem in problems {
        terminal::say(&format!("{}\n", escape::visible(&problem.to_string())));
    }
}

fn list(rules: &[Rule], format: Option<output::Format>, look: Look) -> Result<(), Error> {
    type Cell = fn(&Rule) -> String;
    let columns: &[(&str, Cell)] = &[
        ("alias", |r| r.short().to_owned()),
        ("level", |r| r.level.name().to_owned()),
        ("source", |r| r.logsource.category.clone()),
        ("title", |r| r.title.clone()),
        ("entity", |r| r.entity.kind.clone()),
        ("tests", |r| r.tests.len().to_string()),
        ("id", |r| r.id.clone()),
        ("tags", |r| r.tags.join(" ")),
    ];
    let batch = Batch {
        columns: columns.iter().map(|(_, cell)| rules.iter().map(|r| Value::string(cell(r))).collect()).collect(),
        rows: rules.len(),
        positions: Positions::sequence(0, rules.len()),
    };
    let names: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut target = Target::open(None, false)?;
    let mut writer = output::writer(format.unwrap_or_else(|| look.default_format()), look, &names, target.writer());
    writer.write(&batch).and_then(|()| writer.finish()).map_err(output_error)?;
    drop(writer);
    target.commit()
}

/// The rule of a name.
///
/// # Errors
/// [`Error::Input`] with the nearest name.
pub(crate) fn named<'r>(rules: &'r [Rule], name: &str) -> Result<&'r Rule, Error> {
    rules.iter().find(|r| r.is_called(name)).ok_or_else(|| {
        let known = rules.iter().flat_map(|r| [r.short(), r.id.as_str()]);
        let hint = diag::nearest(name, known).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        Error::Input { file: name.to_owned(), offset: None, why: format!("unknown rule{hint}") }
    })
}

/// Parameters given as `name=value`, for one rule.
pub(crate) fn overrides(params: &[(String, String)]) -> Overrides {
    params.iter().map(|(n, v)| (n.clone(), serde_json::Value::from(v.as_str()))).collect()
}

fn show(name: &str, paths: &[PathBuf], form: Option<RuleForm>, params: &[(String, String)]) -> Result<u8, Error> {
    let (rules, problems) = load(paths)?;
    say(&problems);
    let rule = named(&rules, name)?;
    let wrong = |why: String| Error::Input { file: rule.short().to_owned(), offset: None, why };
    let text = match form {
        Some(RuleForm::Aws) => match query::aws(rule, &overrides(params)) {
            Ok(text) => text,
            Err(reasons) => {
                terminal::say(&format!("{}: not expressible in AWS: {}\n", rule.short(), reasons.join(", ")));
                return Ok(exit::FOUND);
            }
        },
        Some(RuleForm::Query) => query::filled(rule, &overrides(params)).map_err(wrong)?,
        None => described(rule),
    };
    let mut target = Target::open(None, false)?;
    writeln!(target.writer(), "{}", escape::lines(&text)).map_err(output_error)?;
    target.commit()?;
    Ok(exit::ANSWERED)
}

/// A rule for people.
fn described(rule: &Rule) -> String {
    let mut out = format!("{}  {}\n", rule.short(), rule.title);
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{name:15} {value}\n"));
        }
    };
    line("id", rule.id.clone());
    line("level", rule.level.name().into());
    line("log source", rule.logsource.category.clone());
    line("entity", format!("{} ({})", rule.entity.kind, rule.entity.field));
    line("requires", rule.requires.join(", "));
    line("lookups", rule.lookups.join(", "));
    line("tags", rule.tags.join(", "));
    line("description", rule.description.trim().into());
    line("false positives", rule.falsepositives.join("; "));
    line("references", rule.references.join(" "));
    for (name, param) in &rule.params {
        let why = param.why.as_ref().map_or(String::new(), |w| format!(": {w}"));
        line("parameter", format!("{name} = {}{why}", rule::param::plain(&param.default)));
    }
    line("tests", rule.tests.len().to_string());
    out + "\n" + &rule.query
}

fn test(paths: &[PathBuf], profile: &[PathBuf], common: &Common) -> Result<u8, Error> {
    let started = Instant::now();
    let (rules, problems) = load(paths)?;
    say(&problems);
    let (profiles, ctl) = (profiles(profile)?, control()?);
    let checker = Checker::new(&profiles, &ctl);
    let (mut n, mut failed) = (0, problems.len());
    for rule in &rules {
        for case in &rule.tests {
            n += 1;
            if let Err(why) = checker.test(rule, case, &Overrides::new()) {
                failed += 1;
                let text = format!("{}: {}: {}: {why}", rule.file, rule.short(), case.name);
                terminal::say(&format!("{}\n", escape::visible(&text)));
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    conclude(common, &format!("{} rules, {n} tests, {failed} failed in {seconds:.2} s", rules.len()), failed)
}

fn lint_all(paths: &[PathBuf], profile: &[PathBuf], mutate: bool, common: &Common) -> Result<u8, Error> {
    let started = Instant::now();
    let (rules, mut problems) = load(paths)?;
    let profiles = profiles(profile)?;
    problems.extend(lint::lint(&rules, &profiles));
    if mutate {
        problems.extend(lint::mutate(&rules, &profiles, &control()?));
    }
    say(&problems);
    let (n, seconds) = (problems.len(), started.elapsed().as_secs_f64());
    conclude(common, &format!("{} rules, {n} problems in {seconds:.2} s", rules.len()), n)
}

fn conclude(common: &Common, text: &str, failed: usize) -> Result<u8, Error> {
    if !common.quiet {
        terminal::say(&format!("{text}\n"));
    }
    Ok(if failed == 0 { exit::ANSWERED } else { exit::FOUND })
}

/// One thread: a test is too small to share.
fn control() -> Result<Ctl, Error> {
    Ctl::new(1).map_err(|why| Error::Limit(format!("threads: {why}")))
}
