//! `backsight hunt`: the rules over a folder of mixed exports.

use crate::args::{Common, HuntArgs};
use crate::cancel;
use crate::escape;
use crate::exit;
use crate::output::target::{Target, output_error};
use crate::report::Form;
use crate::rules;
use crate::run::{self, Input, Times};
use crate::summary::Summary;
use crate::tables;
use crate::terminal;
use backsight_engine::error::Error;
use backsight_engine::source::{Note, Source, Table, Weight};
use backsight_engine::{Ctl, Outcome};
use backsight_hunt::memory::{self, Lists};
use backsight_hunt::pass::{self, Group, Setup};
use backsight_hunt::profile::{Profile, Profiles};
use backsight_hunt::query::Overrides;
use backsight_hunt::report::{Events, Report, positions};
use backsight_hunt::rule::{Level, Rule, Status};
use backsight_io::Files;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// `backsight hunt`
pub(crate) fn hunt(args: &HuntArgs, common: &Common) -> Result<u8, Error> {
    let started = Instant::now();
    let profiles = rules::profiles(&args.log_sources)?;
    let rules = chosen(args)?;
    let mut paths = args.paths.clone();
    // The order in which paths are named is not to show in the report.
    paths.sort();
    let input = Arc::new(Input::open(&paths, &args.reading)?);
    let files = input.source()?;
    let clock = Times::of(&args.reading)?.clock(&input, &args.reading)?;
    let setup = Setup { params: params(&rules, &args.reading.param)?, rules: &rules, lists: lists(args)?, clock };
    let form = Form::of(args.report, args.output.as_deref())?;
    let mut target = Target::open(args.output.as_deref().filter(|p| *p != Path::new("-")), args.force)?;
    let notes = input.notes();
    let ctl = run::control(&args.reading)?;
    let groups = groups(&files, &profiles, &ctl);
    // All of the files are read, and those of findings once more.
    backsight_io::codec::set_room(run::memory(&args.reading) / INFLATED);
    let outcome = cancel::cancelling(&ctl, || pass::hunt(&groups, &setup, &ctl))?;
    let least = args.level.unwrap_or(Level::Informational);
    let mut events = Found::read(&files, &positions(&outcome, least), &ctl)?;
    let mut notes = notes;
    if args.hash {
        events.hash(&mut notes, &ctl);
    }
    let summary = Summary::new(&ctl.counters, &notes, Outcome::default(), started.elapsed());
    let report = backsight_hunt::report::report(&outcome, &groups, &setup, least, &events, &summary.notes);
    let look = terminal::look(common, false);
    form.write(&report, look, target.writer()).map_err(output_error)?;
    target.commit()?;
    if args.explain {
        explain(&report, &groups);
    }
    if !common.quiet {
        terminal::say(&said(&report, &summary));
    }
    let status = status(args, &report, &summary, &ctl);
    // The process ends here, and with it all memory: to give back findings and their events one by one takes longer.
    std::mem::forget((report, outcome, events));
    Ok(status)
}

/// The part of the memory that gzip files may be inflated into in one go.
const INFLATED: u64 = 4;

fn status(args: &HuntArgs, report: &Report, summary: &Summary, ctl: &Ctl) -> u8 {
    let fires = args.fail_on.is_some_and(|level| report.worst().is_some_and(|worst| worst >= level));
    match () {
        () if ctl.cancelled() => exit::INTERRUPTED,
        () if fires => exit::FOUND,
        () if summary.damaged() && !args.reading.lenient => exit::DAMAGED,
        () => exit::ANSWERED,
    }
}

/// The rules asked for: files and folders, or ids, aliases and tags of the built-in ones.
fn chosen(args: &HuntArgs) -> Result<Vec<Rule>, Error> {
    let (paths, names): (Vec<&String>, Vec<&String>) = args.rules.iter().partition(|r| Path::new(r).exists());
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    let (mut rules, problems) = rules::load(&paths)?;
    if let Some(first) = problems.first() {
        return Err(Error::Input { file: "rules".into(), offset: None, why: first.to_string() });
    }
    let by_tag = |rule: &Rule, name: &str| {
        rule.tags.iter().any(|t| t.eq_ignore_ascii_case(name)) || rule.logsource.category == name
    };
    for name in &names {
        if !rules.iter().any(|r| r.is_called(name) || by_tag(r, name)) {
            rules::named(&rules, name)?;
        }
    }
    rules.retain(|r| names.is_empty() || names.iter().any(|n| r.is_called(n) || by_tag(r, n)));
    rules.retain(|r| r.status != Status::Deprecated);
    rules.sort_by(|a, b| a.short().cmp(b.short()));
    Ok(rules)
}

/// `name=value` for every rule that has such a parameter, `RULE.name=value` for one.
fn params(rules: &[Rule], given: &[(String, String)]) -> Result<BTreeMap<String, Overrides>, Error> {
    let mut out: BTreeMap<String, Overrides> = BTreeMap::new();
    for (name, value) in given {
        let of_one = name.rsplit_once('.');
        let meant: Vec<(&Rule, &str)> = rules
            .iter()
            .filter_map(|rule| match of_one {
                Some((who, name)) => (rule.is_called(who) && rule.params.contains_key(name)).then_some((rule, name)),
                None => rule.params.contains_key(name).then_some((rule, name.as_str())),
            })
            .collect();
        if meant.is_empty() {
            return Err(Error::Input { file: "--param".into(), offset: None, why: format!("no rule has `{name}`") });
        }
        for (rule, name) in meant {
            let value = serde_json::Value::from(value.as_str());
            rule.params[name].literal(&value).map_err(|why| Error::Input {
                file: "--param".into(),
                offset: None,
                why: format!("{}: {why}", rule.short()),
            })?;
            out.entry(rule.id.clone()).or_default().insert(name.to_owned(), value);
        }
    }
    Ok(out)
}

fn lists(args: &HuntArgs) -> Result<Lists, Error> {
    let given = args.lookup.iter().chain(&args.reading.table);
    Ok(Lists(given.map(|(name, file)| Ok((name.clone(), list(name, file)?))).collect::<Result<_, Error>>()?))
}

/// A list: an entry a line, `#` for comments; or a table, CSV or JSON lines.
fn list(name: &str, file: &str) -> Result<Table, Error> {
    let text = crate::query::text_of(Path::new(file))?;
    let entries: Vec<String> =
        text.lines().map(|l| l.split('#').next().unwrap_or("").trim().to_owned()).filter(|l| !l.is_empty()).collect();
    let is_table = entries.first().is_some_and(|e| e.starts_with('{') || e.contains(','));
    if is_table { tables::read(file) } else { Ok(memory::table(name, &entries)) }
}

/// The files by log source and format, in the order of their names. A file whose format cannot be told is left to the
/// pass, which says why.
fn groups(files: &Files, profiles: &Profiles, ctl: &Ctl) -> Vec<Group> {
    let mut by_name: BTreeMap<(String, String, bool), BTreeSet<u64>> = BTreeMap::new();
    let look = |input: &Arc<backsight_io::Input>| {
        let format = files.detect(input).map_or("", |d| d.format.name);
        let recognised = || pass::recognise(&files.glance(input), profiles).ok().flatten();
        let form = profiles.of_format(format).map(|profile| (profile, false)).or_else(recognised);
        (format, form.map(|(profile, in_tables)| (profile.name.clone(), in_tables)))
    };
    let looked: Vec<(&str, Option<(String, bool)>)> = ctl.install(|| files.inputs().par_iter().map(look).collect());
    for (input, (format, profile)) in files.inputs().iter().zip(looked) {
        // Records of a source that stand in general formats are one group, whatever the format.
        let format = if profiles.of_format(format).is_some() { format } else { "records" };
        let (profile, in_tables) = profile.unwrap_or_default();
        by_name.entry((profile, format.to_owned(), in_tables)).or_default().insert(input.number);
    }
    by_name
        .into_iter()
        .map(|((profile, format, in_tables), numbers)| {
            let one = files.only(|input| numbers.contains(&input.number));
            Group {
                profile: profiles.named(&profile).map(|profile| Arc::new(Profile { in_tables, ..profile.clone() })),
                format,
                files: one.inputs().iter().map(|i| i.shown.clone()).collect(),
                source: Arc::new(one) as Arc<dyn Source + Send>,
            }
        })
        .collect()
}

/// The events behind the findings.
struct Found<'a> {
    files: &'a Files,
    texts: BTreeMap<u64, Vec<u8>>,
    /// SHA-256 in hexadecimal of files on the disk, as far as they were hashed.
    hashes: BTreeMap<PathBuf, String>,
}

/// The longest event that is shown as a whole.
const LONGEST: usize = 16 << 10;

impl<'a> Found<'a> {
    fn read(files: &'a Files, positions: &BTreeSet<u64>, ctl: &Ctl) -> Result<Found<'a>, Error> {
        Ok(Found { files, texts: files.events(positions, ctl.threads())?, hashes: BTreeMap::new() })
    }

    /// Hashes the files that the events are of, one after another. One that cannot be read any more is noted.
    fn hash(&mut self, notes: &mut Vec<Note>, ctl: &Ctl) {
        let inputs = self.texts.keys().filter_map(|position| self.files.place(*position));
        let stored: BTreeSet<&Path> =
            inputs.filter(|(input, _)| input.size.is_some()).map(|(input, _)| input.path.as_path()).collect();
        for path in stored {
            match sha256(path, ctl) {
                Ok(Some(hash)) => {
                    self.hashes.insert(path.to_owned(), hash);
                }
                Ok(None) => return,
                Err(error) => notes.push(Note {
                    file: path.display().to_string(),
                    offset: None,
                    message: format!("not hashed: {error}"),
                    weight: Weight::Damage,
                }),
            }
        }
    }
}

/// SHA-256 of a file as it is stored, in hexadecimal; nothing if the run is to end.
fn sha256(path: &Path, ctl: &Ctl) -> io::Result<Option<String>> {
    const AT_A_TIME: usize = 1 << 20;
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes) = (Sha256::new(), vec![0; AT_A_TIME]);
    while !ctl.cancelled() {
        match file.read(&mut bytes)? {
            0 => return Ok(Some(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())),
            n => hasher.update(&bytes[..n]),
        }
    }
    Ok(None)
}

impl Events for Found<'_> {
    fn place(&self, position: u64) -> Option<(String, u64)> {
        self.files.place(position).map(|(input, offset)| (input.shown.clone(), offset))
    }

    fn sha256(&self, position: u64) -> Option<String> {
        let (input, _) = self.files.place(position)?;
        self.hashes.get(&input.path).cloned()
    }

    fn text(&self, position: u64) -> Option<String> {
        let bytes = self.texts.get(&position)?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
        Some(if bytes.len() > LONGEST { format!("{text}…") } else { text.into_owned() })
    }
}

/// Which rules ran on what, and why others did not.
fn explain(report: &Report, groups: &[Group]) {
    let mut out = String::new();
    for (source, group) in report.sources.iter().zip(groups) {
        let name = if source.source.is_empty() { "no known source" } else { &source.source };
        out.push_str(&format!("{name} ({}): {} records in {} files\n", source.format, source.records, source.files));
        for file in &group.files {
            out.push_str(&format!("  {file}\n"));
        }
    }
    for rule in &report.rules {
        let why = if rule.why.is_empty() { format!("{} findings", rule.findings) } else { rule.why.clone() };
        out.push_str(&format!("{:9} {:7} {}: {why}\n", rule.rule.alias, rule.state, rule.title));
    }
    terminal::say(&escape::lines(&out));
}

fn said(report: &Report, summary: &Summary) -> String {
    let ran = report.rules.iter().filter(|r| r.state == "ran").count();
    let found: Vec<String> =
        report.levels().iter().filter(|(_, n)| *n > 0).map(|(l, n)| format!("{n} {}", l.name())).collect();
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    let text = summary.text(u64::MAX);
    let rest = text.split_once(" from ").map_or(text.as_str(), |(_, rest)| rest);
    format!("{found}; {ran} of {} rules ran over {rest}", report.rules.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_lines_or_tables() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("list");
        std::fs::write(&file, "# bad ones\n192.0.2.1 # a comment\n\n10.0.0.0/8\n").expect("written");
        let table = list("bad", &file.display().to_string()).expect("a list");
        assert_eq!((table.names(), table.rows), (vec!["bad"], 2));
        std::fs::write(&file, "ip,asn\n192.0.2.1,64500\n").expect("written");
        let table = list("bad", &file.display().to_string()).expect("a table");
        assert_eq!((table.names(), table.rows), (vec!["ip", "asn"], 1));
        assert!(Form::of(None, Some(Path::new("a.html"))).is_ok());
    }
}
