//! The configuration file: defaults of options, profiles of them, and names for sources.
//!
//! What the command line says wins over the profile it names, and that over the defaults. The file can set options and
//! name paths; it cannot run anything.

use crate::args::{Cli, Color, Command, Common, OutputArgs, ReadArgs, size};
use crate::chart::Choice;
use crate::output::Format;
use crate::zone::Zone;
use backsight_engine::error::Error;
use backsight_lang::diag;
use clap::ValueEnum;
use etcetera::BaseStrategy;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    defaults: Settings,
    #[serde(default)]
    profiles: BTreeMap<String, Settings>,
    #[serde(default)]
    sources: BTreeMap<String, Paths>,
}

/// Options by the names they have on the command line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    color: Option<String>,
    tz: Option<String>,
    format: Option<String>,
    chart: Option<String>,
    start: Option<String>,
    end: Option<String>,
    timestamp_field: Option<String>,
    #[serde(rename = "as")]
    format_as: Option<String>,
    threads: Option<u16>,
    memory_limit: Option<String>,
    max_expansion: Option<u64>,
    #[serde(default)]
    param: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    table: BTreeMap<String, PathBuf>,
}

/// One path or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Paths {
    One(String),
    Several(Vec<String>),
}

/// Names for paths.
pub(crate) type Sources = BTreeMap<String, Vec<PathBuf>>;

/// Reads the file, if there is one, and fills in what the command line leaves open.
///
/// # Errors
/// [`Error::Input`] for a file or a profile that is wrong.
pub(crate) fn apply(cli: &mut Cli) -> Result<(), Error> {
    let Some(path) = file(&cli.common)? else {
        return match &cli.common.profile {
            Some(name) => Err(wrong("--profile", &format!("there is no configuration file that has `{name}`"))),
            None => Ok(()),
        };
    };
    let text = crate::query::text_of(&path)?;
    let name = path.display().to_string();
    let config: Config = toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        wrong(&format!("{name}:{line}"), e.message())
    })?;
    let beside = path.parent().unwrap_or(Path::new("."));
    let mut layers = Vec::new();
    if let Some(wanted) = &cli.common.profile {
        let profile = config.profiles.get(wanted).ok_or_else(|| {
            let hint = diag::nearest(wanted, config.profiles.keys().map(String::as_str));
            let hint = hint.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            wrong("--profile", &format!("{name} has no profile `{wanted}`{hint}"))
        })?;
        layers.push(profile);
    }
    layers.push(&config.defaults);
    let sources: Sources = config.sources.iter().map(|(name, paths)| (name.clone(), paths.resolved(beside))).collect();
    for settings in layers {
        settings.fill(cli, beside).map_err(|(key, why)| wrong(&format!("{name}: {key}"), &why))?;
    }
    if let Some(reading) = reading(&mut cli.command) {
        reading.sources = sources;
    }
    Ok(())
}

/// The file to read: named, or in its place.
fn file(common: &Common) -> Result<Option<PathBuf>, Error> {
    let named = common
        .config
        .clone()
        .or_else(|| std::env::var_os("BACKSIGHT_CONFIG").filter(|f| !f.is_empty()).map(PathBuf::from));
    match named {
        Some(path) if path.is_file() => Ok(Some(path)),
        Some(path) => Err(wrong(&path.display().to_string(), "there is no such configuration file")),
        None => Ok(folder("config").map(|folder| folder.join("config.toml")).filter(|path| path.is_file())),
    }
}

/// The program's folder for `config` or `state`; none without a home.
pub(crate) fn folder(what: &str) -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    let base = match what {
        "state" => strategy.state_dir().unwrap_or_else(|| strategy.data_dir()),
        _ => strategy.config_dir(),
    };
    // Without HOME the user database knows a home, which a program in a bare environment should leave alone.
    std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(base.join("backsight"))
}

fn wrong(what: &str, why: &str) -> Error {
    Error::Input { file: what.into(), offset: None, why: why.into() }
}

/// The options of reading that a command has.
fn reading(command: &mut Option<Command>) -> Option<&mut ReadArgs> {
    match command {
        Some(Command::Query(args)) => Some(&mut args.reading),
        Some(Command::Explain(args)) => Some(&mut args.reading),
        Some(Command::Repl(args)) => Some(&mut args.reading),
        Some(Command::Run(args)) => Some(&mut args.reading),
        _ => None,
    }
}

type Wrong = (&'static str, String);

impl Settings {
    fn fill(&self, cli: &mut Cli, beside: &Path) -> Result<(), Wrong> {
        let common = &mut cli.common;
        if let (Color::Auto, Some(color)) = (common.color, &self.color) {
            common.color = choice("color", color)?;
        }
        if let (None, Some(zone)) = (&common.tz, &self.tz) {
            common.tz = Some(Zone::parse(zone).map_err(|why| ("tz", why))?);
        }
        let chart: Option<Choice> = self.chart.as_deref().map(|text| choice("chart", text)).transpose()?;
        // A format is what people want to see: on a pipe or in a file the usual one stays.
        let format: Option<Format> = self.format.as_deref().map(|text| choice("format", text)).transpose()?;
        common.terminal_format = common.terminal_format.or(format);
        common.terminal_chart = common.terminal_chart.or(chart);
        let Some(reading) = reading(&mut cli.command) else { return Ok(()) };
        let or = |mine: &mut Option<String>, theirs: &Option<String>| {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        };
        or(&mut reading.start, &self.start);
        or(&mut reading.end, &self.end);
        or(&mut reading.timestamp_field, &self.timestamp_field);
        or(&mut reading.format_as, &self.format_as);
        reading.threads = reading.threads.or(self.threads.filter(|n| *n > 0));
        reading.max_expansion = reading.max_expansion.or(self.max_expansion);
        if let (None, Some(text)) = (reading.memory_limit, &self.memory_limit) {
            reading.memory_limit = Some(size(text).map_err(|why| ("memory-limit", why))?);
        }
        for (name, value) in &self.param {
            if !reading.usual.iter().any(|(known, _)| known == name) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
                reading.usual.push((name.clone(), text));
            }
        }
        for (name, path) in &self.table {
            if !reading.table.iter().any(|(known, _)| known == name) {
                reading
                    .table
                    .push((name.clone(), resolved(&path.to_string_lossy(), beside).to_string_lossy().into_owned()));
            }
        }
        Ok(())
    }
}

impl Paths {
    fn resolved(&self, beside: &Path) -> Vec<PathBuf> {
        match self {
            Paths::One(path) => vec![resolved(path, beside)],
            Paths::Several(paths) => paths.iter().map(|path| resolved(path, beside)).collect(),
        }
    }
}

/// A path of the file: below the home, absolute, or beside the file.
fn resolved(path: &str, beside: &Path) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => beside.join(path),
    }
}

fn choice<T: ValueEnum>(key: &'static str, text: &str) -> Result<T, Wrong> {
    T::from_str(text, true).map_err(|_| (key, format!("`{text}` is none of its values")))
}

/// Fills in the options of output that depend on where it goes.
pub(crate) fn for_terminal(output: &mut OutputArgs, common: &Common, terminal: bool) {
    if let (Choice::Auto, Some(chart)) = (output.chart, common.terminal_chart) {
        output.chart = chart;
    }
    if terminal && output.output.is_none() {
        output.format = output.format.or(common.terminal_format);
    }
}
