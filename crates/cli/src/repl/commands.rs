//! What can be asked of the prompt itself: lines that begin with a backslash.

use super::session::{After, Session, wrong};
use super::{step, survey};
use crate::chart::Choice;
use crate::escape;
use crate::output::Format;
use crate::queries::{self, Saved};
use crate::query::{Failure, Ready, text_of};
use crate::rules;
use crate::run::Times;
use crate::summary::{amount, counted};
use crate::terminal;
use crate::zone::Zone;
use backsight_engine::when::When;
use backsight_lang::diag;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything known about one command.
pub(super) struct Command {
    /// As typed, without the backslash.
    pub(super) name: &'static str,
    /// Other spellings.
    aliases: &'static [&'static str],
    /// What follows it.
    pub(super) args: &'static str,
    about: &'static str,
    /// What completion offers behind it.
    pub(super) takes: Takes,
    run: fn(&mut Session, &str) -> Result<After, Failure>,
}

/// What stands behind a command.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    Text,
    Field,
    Query,
    File,
    Saved,
    One(fn() -> Vec<String>),
}

const fn command(
    name: &'static str,
    args: &'static str,
    about: &'static str,
    takes: Takes,
    run: fn(&mut Session, &str) -> Result<After, Failure>,
) -> Command {
    Command { name, aliases: &[], args, about, takes, run }
}

impl Command {
    const fn alias(self, aliases: &'static [&'static str]) -> Command {
        Command { aliases, ..self }
    }

    /// `\top FIELD [N]`
    pub(super) fn usage(&self) -> String {
        format!("\\{} {}", self.name, self.args).trim_end().to_string()
    }
}

/// Every command, in the order in which `\?` lists them.
pub(super) static COMMANDS: &[Command] = &[
    command("?", "", "this list", Takes::Nothing, |session, _| help(session)).alias(&["help", "h"]),
    command("files", "", "the files of the input: format, compression, size", Takes::Nothing, |s, _| files(s)),
    command("fields", "[TEXT]", "fields seen in the data, with examples", Takes::Field, fields),
    command("top", "FIELD [N]", "the most frequent values of a field", Takes::Field, top),
    command("hist", "FIELD", "how a field's values are spread", Takes::Field, |session, field| {
        survey::hist(session, needed("hist", field)?).map(|()| After::Go)
    }),
    command("more", "", "the next 1,000 rows of the answer", Takes::Nothing, |session, _| more(session)),
    command("step", "[N]", "the last query up to stage N; without N its stages", Takes::Text, step),
    command("explain", "[QUERY]", "how a query, or the last one, would run", Takes::Query, explain),
    command("losses", "", "all that was not clean in the last run", Takes::Nothing, |s, _| losses(s))
        .alias(&["rejects"]),
    command("export", "FILE [force]", "write the last answer; the extension is the format", Takes::File, export),
    command("save", "FILE [NAME]", "append the last query to a query file", Takes::File, save),
    command("load", "FILE", "read a query file; \\run runs its queries", Takes::File, load),
    command("run", "NAME", "run a query that was loaded or saved", Takes::Saved, run_saved),
    command("edit", "[NAME]", "put a query, or the last one, on the line", Takes::Saved, edit),
    command("rule", "ID", "run a built-in rule, with the parameters that are set", Takes::One(rule_names), rule),
    command("pivot", "N", "the events behind row N of an answer that groups, such as a finding", Takes::Text, pivot),
    command("param", "[NAME=VALUE]", "set a parameter; `NAME=` forgets it", Takes::Text, param).alias(&["set"]),
    command("start", "[TIME]", "only events from this time on; `off` forgets it", Takes::Text, |session, text| {
        let old = session.reading.start.clone();
        session.reading.start = time(text, old);
        range(session)
    }),
    command("end", "[TIME]", "only events before this time; `off` forgets it", Takes::Text, |session, text| {
        let old = session.reading.end.clone();
        session.reading.end = time(text, old);
        range(session)
    }),
    command("tz", "[ZONE]", "the time zone of times shown", Takes::Text, zone),
    command("format", "[NAME]", "the format of answers", Takes::One(names_of::<Format>), format).alias(&["f"]),
    command("chart", "[KIND]", "how time series are drawn", Takes::One(names_of::<Choice>), chart),
    command(
        "timing",
        "[on|off]",
        "the line of numbers behind each answer",
        Takes::One(|| vec!["on".into(), "off".into()]),
        timing,
    ),
    command("quit", "", "leave, as Ctrl-D does", Takes::Nothing, |_, _| Ok(After::Leave)).alias(&["q", "exit"]),
];

const KEYS: &str = "\
A query runs when it is complete: after `|`, `,` or inside brackets Enter goes on
in the next line, Alt-Enter always does. A line that begins with `|` goes on from
the last query; `source _` reads the last answer.
  Tab           complete              →  End      take the hint
  Ctrl-R        search the history    F5  Alt-S   the answer up to this stage
  Ctrl-C        stop a query          Ctrl-D      leave
The language: `backsight commands`, `backsight functions`.
";

/// The command of that name, without its backslash.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name == name || c.aliases.contains(&name))
}

/// Runs a line.
pub(super) fn run(session: &mut Session, line: &str) -> Result<After, Failure> {
    let (name, args) = line[1..].split_once(char::is_whitespace).unwrap_or((&line[1..], ""));
    match find(name) {
        Some(command) => (command.run)(session, args.trim()),
        None => {
            let hint = diag::nearest(name, COMMANDS.iter().map(|c| c.name))
                .map_or("`\\?` lists them".into(), |near| format!("did you mean `\\{near}`?"));
            Err(wrong(&format!("\\{name}"), &format!("no such command; {hint}")))
        }
    }
}

fn needed<'t>(name: &str, args: &'t str) -> Result<&'t str, Failure> {
    if args.is_empty() {
        let usage = find(name).map_or(String::new(), Command::usage);
        return Err(wrong(&format!("\\{name}"), &format!("expected {usage}")));
    }
    Ok(args)
}

fn help(session: &Session) -> Result<After, Failure> {
    let widest = COMMANDS.iter().map(|c| c.usage().chars().count()).max().unwrap_or(0);
    let line = |c: &Command| {
        let also: Vec<String> = c.aliases.iter().map(|alias| format!("\\{alias}")).collect();
        let also = if also.is_empty() { String::new() } else { format!(" ({})", also.join(", ")) };
        format!("  {:widest$}  {}{also}\n", c.usage(), c.about)
    };
    let list: String = COMMANDS.iter().map(line).collect();
    session.print(&format!("{KEYS}{list}")).map(|()| After::Go)
}

fn files(session: &Session) -> Result<After, Failure> {
    let mut out = String::new();
    for (name, size, what) in session.input.described() {
        let size = size.map_or("-".into(), |size| amount(size as f64));
        out.push_str(&format!("{size:>8}  {what:<16}  {}\n", escape::visible(&name)));
    }
    for note in session.input.notes() {
        out.push_str(&format!("{:>8}  {:<16}  {}\n", "-", escape::visible(&note.message), escape::visible(&note.file)));
    }
    session.print(if out.is_empty() { "no files\n" } else { &out }).map(|()| After::Go)
}

fn fields(session: &mut Session, text: &str) -> Result<After, Failure> {
    let lower = text.to_ascii_lowercase();
    let out = session.with_words(|words| {
        let seen = &words.seen;
        let found = seen.fields.iter().filter(|(name, _)| name.to_ascii_lowercase().contains(&lower));
        let widest = found.clone().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(40);
        let lines = found.map(|(name, field)| {
            let share = 100.0 * field.count as f64 / seen.records.max(1) as f64;
            let mut values: Vec<(&String, &u64)> = field.values.iter().collect();
            values.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let examples: Vec<String> =
                values.iter().take(3).map(|(v, _)| crate::chart::cut(&escape::visible(v), 24)).collect();
            format!("{:widest$}  {:>4.0} %  {}\n", escape::visible(name), share.min(100.0), examples.join(", "))
        });
        let lines: String = lines.collect();
        format!("{lines}{} looked at\n", counted(seen.records, "record"))
    });
    session.print(&out).map(|()| After::Go)
}

fn top(session: &mut Session, args: &str) -> Result<After, Failure> {
    let args = needed("top", args)?;
    let (field, most) = match args.rsplit_once(char::is_whitespace) {
        Some((field, n)) if n.parse::<u64>().is_ok() => (field.trim(), n.parse().unwrap_or(10)),
        _ => (args, 10),
    };
    survey::top(session, field, most).map(|()| After::Go)
}

fn more(session: &mut Session) -> Result<After, Failure> {
    if session.last.is_none() {
        return Err(wrong("\\more", "there is no answer yet"));
    }
    session.next_page().map(|()| After::Go)
}

fn step(session: &mut Session, args: &str) -> Result<After, Failure> {
    if session.query.is_empty() {
        return Err(wrong("\\step", "there is no query yet"));
    }
    if args.is_empty() {
        let stages = step::stages(&session.query);
        let line =
            |(i, stage): (usize, &String)| format!("{:>3}  {}\n", i + 1, escape::lines(stage).replace('\n', "\n     "));
        let list: String = stages.iter().enumerate().map(line).collect();
        return session.print(&list).map(|()| After::Go);
    }
    let number = args.parse().unwrap_or(0);
    match step::nth(&session.query, number) {
        Some(step) => session.step(step),
        None => {
            let of = step::stages(&session.query).len();
            Err(wrong("\\step", &format!("the last query has stages 1 to {of}")))
        }
    }
}

fn explain(session: &mut Session, text: &str) -> Result<After, Failure> {
    let text = if text.is_empty() { session.query.clone() } else { text.to_string() };
    let (text, reading) = session.with_params(needed("explain", &text)?);
    let source = crate::draw::Text { name: "query", text: &text };
    let ready = Ready::new(&text, &session.view, &reading).map_err(|e| Failure::of(e, source))?;
    session.print(&ready.explain()).map(|()| After::Go)
}

fn losses(session: &Session) -> Result<After, Failure> {
    let Some(answer) = &session.last else { return Err(wrong("\\losses", "nothing has run yet")) };
    let out = answer.summary.losses();
    session.print(if out.is_empty() { "the last run was clean\n" } else { &out }).map(|()| After::Go)
}

fn export(session: &mut Session, args: &str) -> Result<After, Failure> {
    let args = needed("export", args)?;
    let (file, force) = match args.strip_suffix("force") {
        Some(file) if file.ends_with(char::is_whitespace) => (file.trim(), true),
        _ => (args, false),
    };
    session.export(&path(file), force).map(|()| After::Go)
}

fn save(session: &mut Session, args: &str) -> Result<After, Failure> {
    let (file, name) = needed("save", args)?.split_once(char::is_whitespace).unwrap_or((args, ""));
    if session.query.is_empty() {
        return Err(wrong("\\save", "there is no query yet"));
    }
    let path = path(file);
    let stem = stem(&path);
    let (text, reading) = session.with_params(&session.query);
    // Values that `\param` gave become part of the saved text.
    let text = reading.param.iter().fold(text, |text, (name, value)| crate::queries::with_value(&text, name, value));
    let entry = queries::entry(if name.is_empty() { &stem } else { name.trim() }, &text);
    let failed = |source| backsight_engine::error::Error::Io { what: file.into(), source };
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    std::io::Write::write_all(&mut out, entry.as_bytes()).map_err(failed)?;
    load(session, file)
}

fn load(session: &mut Session, file: &str) -> Result<After, Failure> {
    let path = path(needed("load", file)?);
    let found = queries::split(&stem(&path), &text_of(&path)?);
    if found.is_empty() {
        return Err(wrong(file, "holds no query"));
    }
    let names: Vec<String> = found.iter().map(|q| escape::visible(&q.name).into_owned()).collect();
    session.saved.retain(|old| !found.iter().any(|new| new.name == old.name));
    session.saved.extend(found);
    session.offer();
    terminal::say(&format!(
        "{}: {}\n",
        if names.len() == 1 { "1 query".into() } else { format!("{} queries", names.len()) },
        names.join(", ")
    ));
    Ok(After::Go)
}

fn run_saved(session: &mut Session, name: &str) -> Result<After, Failure> {
    let query = saved(session, needed("run", name)?)?;
    if query.is_rule {
        let plain = rules::as_query(name, &query.text, &session.params)?;
        session.view = Arc::new(session.input.through(&plain.category)?);
        return session.ask(&plain.text).map(|()| After::Go);
    }
    session.view = Arc::clone(&session.input);
    session.ask(&query.text).map(|()| After::Go)
}

fn edit(session: &mut Session, name: &str) -> Result<After, Failure> {
    let text = if name.is_empty() { session.query.clone() } else { saved(session, name)?.text };
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(queries::MARK)).collect();
    Ok(After::Edit(lines.join("\n").trim().to_string()))
}

fn rule_names() -> Vec<String> {
    let (rules, _) = backsight_hunt::rule::read(backsight_hunt::PACK.iter().copied());
    rules.iter().flat_map(|rule| [Some(rule.id.clone()), rule.alias.clone()]).flatten().collect()
}

fn rule(session: &mut Session, name: &str) -> Result<After, Failure> {
    let name = needed("rule", name)?;
    let plain = rules::built_in(name, &session.params)?;
    session.view = Arc::new(session.input.through(&plain.category)?);
    session.ask(&plain.text).map(|()| After::Go)
}

fn pivot(session: &mut Session, text: &str) -> Result<After, Failure> {
    let number = needed("pivot", text)?.parse().map_err(|_| wrong("\\pivot", "expected the number of a row"))?;
    session.pivot(number).map(|()| After::Go)
}

fn saved(session: &Session, name: &str) -> Result<Saved, Failure> {
    let names = || session.saved.iter().map(|q| q.name.as_str());
    match session.saved.iter().find(|q| q.name == name) {
        Some(query) => Ok(query.clone()),
        None => {
            let hint = diag::nearest(name, names())
                .map_or("\\load reads a query file".into(), |n| format!("did you mean `{n}`?"));
            Err(wrong(name, &format!("no such query; {hint}")))
        }
    }
}

fn param(session: &mut Session, text: &str) -> Result<After, Failure> {
    if let Some((name, value)) = text.split_once('=') {
        let (name, value) = (name.trim().trim_start_matches('$').to_string(), value.trim().to_string());
        session.params.retain(|(old, _)| *old != name);
        if !value.is_empty() {
            session.params.push((name, value));
        }
        session.offer();
    } else if !text.is_empty() {
        return Err(wrong("\\param", "expected NAME=VALUE"));
    }
    let line = |(name, value): &(String, String)| format!("${name} = {}\n", escape::visible(value));
    let list: String = session.params.iter().map(line).collect();
    session.print(if list.is_empty() { "no parameters\n" } else { &list }).map(|()| After::Go)
}

/// The time to be set; without one the old stays.
fn time(text: &str, old: Option<String>) -> Option<String> {
    match text {
        "" => old,
        "off" => None,
        text => Some(text.into()),
    }
}

fn range(session: &mut Session) -> Result<After, Failure> {
    if let Err(error) = Times::of(&session.reading) {
        // A time that cannot be read would make every query fail.
        let bad = |text: &Option<String>| text.as_deref().is_some_and(|t| When::parse(t).is_err());
        if bad(&session.reading.start) {
            session.reading.start = None;
        }
        if bad(&session.reading.end) {
            session.reading.end = None;
        }
        return Err(error.into());
    }
    let show = |text: &Option<String>| text.as_deref().map_or("open".into(), |t| escape::visible(t).into_owned());
    let line = format!("from {} to {}\n", show(&session.reading.start), show(&session.reading.end));
    session.print(&line).map(|()| After::Go)
}

fn zone(session: &mut Session, text: &str) -> Result<After, Failure> {
    if !text.is_empty() {
        session.common.tz = Some(Zone::parse(text).map_err(|why| wrong(text, &why))?);
    }
    let name = session.common.tz.clone().unwrap_or_default().name();
    session.print(&format!("times are {name}\n")).map(|()| After::Go)
}

fn names_of<T: ValueEnum>() -> Vec<String> {
    let name = |v: &T| v.to_possible_value().map(|v| v.get_name().to_string());
    T::value_variants().iter().filter_map(name).collect()
}

/// The choice that a word names.
fn choice<T: ValueEnum>(text: &str) -> Result<T, Failure> {
    T::from_str(text, true).map_err(|_| wrong(text, &format!("expected one of {}", names_of::<T>().join(", "))))
}

fn name_of<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map_or(String::new(), |v| v.get_name().to_string())
}

fn format(session: &mut Session, text: &str) -> Result<After, Failure> {
    if !text.is_empty() {
        let chosen: Format = choice(text)?;
        crate::query::refuse_binary(chosen, &session.look())?;
        session.format = chosen;
    }
    session.print(&format!("format is {}\n", name_of(&session.format))).map(|()| After::Go)
}

fn chart(session: &mut Session, text: &str) -> Result<After, Failure> {
    if !text.is_empty() {
        session.chart = choice(text)?;
    }
    session.print(&format!("chart is {}\n", name_of(&session.chart))).map(|()| After::Go)
}

fn timing(session: &mut Session, text: &str) -> Result<After, Failure> {
    session.timing = match text {
        "" => !session.timing,
        "on" => true,
        "off" => false,
        _ => return Err(wrong("\\timing", "expected on or off")),
    };
    session.print(if session.timing { "timing is on\n" } else { "timing is off\n" }).map(|()| After::Go)
}

/// A path as typed: `~/` is the home.
fn path(text: &str) -> PathBuf {
    let text = text.trim_matches(['"', '\'']);
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(text),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or("query".into(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_explained() {
        let mut names: Vec<&str> =
            COMMANDS.iter().flat_map(|c| std::iter::once(&c.name).chain(c.aliases)).copied().collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(COMMANDS.iter().all(|c| !c.about.is_empty() && find(c.name).is_some()));
    }
}
