//! The glue: from paths and options to an input, from a query's text to batches of its answer.

use crate::args::ReadArgs;
use crate::config::Sources;
use crate::machine;
use crate::repl::held::{self, Held};
use crate::tables;
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::plan::{CompileSettings, Plan, SourceRef};
use backsight_engine::source::{Catalog, Flow, Note, Source, Table};
use backsight_engine::value::column::Batch;
use backsight_engine::when::When;
use backsight_engine::{Compiled, Ctl, Outcome};
use backsight_hunt::canonical::Canonical;
use backsight_hunt::profile::{Profile, Profiles};
use backsight_lang::ast::{Expr, ExprKind, Item, Segment, Stage, StageKind};
use backsight_lang::diag;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What queries run over: the paths of the command line, and files that queries name themselves.
pub(crate) struct Input {
    options: backsight_io::Options,
    /// The paths of the command line; `None` if there are none.
    files: Option<Arc<backsight_io::Files>>,
    /// Names for paths.
    sources: Sources,
    /// The names of fields are those of this log source.
    profile: Option<Arc<Profile>>,
    /// What was left out while looking for the files that queries name.
    named: Mutex<Vec<Note>>,
    /// The last answer of a conversation.
    held: Mutex<Option<Arc<Held>>>,
    /// Bytes on disk of all that was opened; `None` once something has no known size.
    size: Mutex<Option<u64>>,
}

/// Files whose format is looked at to know the log source.
const LOOKED_AT: usize = 50;

impl Input {
    /// Finds the files. None of them is read as a whole yet.
    ///
    /// # Errors
    /// [`Error::Input`] where there is nothing to read.
    pub(crate) fn open(paths: &[OsString], reading: &ReadArgs) -> Result<Input, Error> {
        let options = options(reading)?;
        let paths: Vec<PathBuf> = paths.iter().flat_map(|path| named(path, &reading.sources)).collect();
        let files = if paths.is_empty() { None } else { Some(Arc::new(backsight_io::open(&paths, options.clone())?)) };
        Ok(Input {
            options,
            files,
            sources: reading.sources.clone(),
            profile: None,
            named: Mutex::default(),
            held: Mutex::default(),
            size: Mutex::new(Some(0)),
        })
    }

    /// The same input for rules about a log source, which name fields as that source's profile does.
    ///
    /// # Errors
    /// [`Error::Bug`] for built-in profiles that cannot be read; a test sees to it that they can.
    pub(crate) fn through(&self, category: &str) -> Result<Input, Error> {
        let profiles = Profiles::built_in().map_err(Error::Bug)?;
        let fits = |profile: &&Profile| category == "any" || profile.name == category;
        let of_files = self.files.as_ref().and_then(|files| {
            let formats = files.inputs().iter().take(LOOKED_AT).filter_map(|input| files.detect(input).ok());
            formats.map(|found| found.format.name).find_map(|format| profiles.of_format(format).filter(fits))
        });
        Ok(Input {
            options: self.options.clone(),
            files: self.files.clone(),
            sources: self.sources.clone(),
            profile: of_files.or_else(|| profiles.named(category)).cloned().map(Arc::new),
            named: Mutex::default(),
            held: Mutex::new(self.held()),
            size: Mutex::new(Some(0)),
        })
    }

    /// Keeps the rows of an answer as the source `_`.
    pub(crate) fn hold(&self, rows: &Arc<Held>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(rows));
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The paths of the files, without standard input, which can be read only once.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let inputs = self.files.as_ref().map_or(&[][..], |files| files.inputs());
        inputs.iter().filter(|input| input.size.is_some()).map(|input| input.path.clone()).collect()
    }

    /// The paths of the files of a format.
    fn of_format(&self, format: &str) -> Vec<PathBuf> {
        let Some(files) = &self.files else { return Vec::new() };
        let Some(format) = backsight_io::formats::data_source(format) else { return Vec::new() };
        files.of_formats(&[format]).inputs().iter().map(|input| input.path.clone()).collect()
    }

    /// One file, read as the whole input is.
    pub(crate) fn only(&self, file: PathBuf) -> Result<Arc<dyn Source + Send>, Error> {
        Ok(Arc::new(backsight_io::open(&[file], self.options.clone())?))
    }

    /// Name, size and format of each file.
    pub(crate) fn described(&self) -> Vec<(String, Option<u64>, String)> {
        let Some(files) = &self.files else { return Vec::new() };
        let describe = |input: &Arc<backsight_io::files::Input>| {
            let what = match files.detect(input) {
                Ok(found) => match found.codec {
                    Some(codec) => format!("{}, {}", found.format.name, codec.name),
                    None => found.format.name.to_string(),
                },
                Err(error) => error.to_string(),
            };
            (input.shown.clone(), input.size, what)
        };
        files.inputs().iter().map(describe).collect()
    }

    /// Bytes on disk of what queries opened so far, where all of them are known.
    pub(crate) fn size(&self) -> Option<u64> {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to count anew what is opened.
    pub(crate) fn forget_size(&self) {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner) = Some(0);
    }

    fn opened(&self, source: Arc<dyn Source + Send>) -> Arc<dyn Source + Send> {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        *size = size.zip(source.size()).map(|(a, b)| a + b);
        drop(size);
        match &self.profile {
            Some(profile) => Arc::new(Canonical::new(source, Arc::clone(profile))),
            None => source,
        }
    }

    /// The files of the command line.
    ///
    /// # Errors
    /// [`Error::Input`] where none were named.
    pub(crate) fn source(&self) -> Result<Arc<backsight_io::Files>, Error> {
        self.files.clone().ok_or_else(|| nothing("none given"))
    }

    /// What was left out while looking for files, and why.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let mut notes = self.named.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.extend_from_slice(self.files.as_ref().map_or(&[], |files| files.notes()));
        notes
    }
}

/// The paths behind a path of the command line: `@name` is a source of the configuration file.
fn named(path: &OsString, sources: &Sources) -> Vec<PathBuf> {
    let name = path.to_str().and_then(|path| path.strip_prefix('@'));
    match name.and_then(|name| sources.get(name)) {
        Some(paths) if !Path::new(path).exists() => paths.clone(),
        _ => vec![PathBuf::from(path)],
    }
}

impl Catalog for Input {
    fn open(&self, wanted: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        if wanted.is_empty() {
            return match &self.files {
                Some(files) => Ok(self.opened(Arc::clone(files) as Arc<dyn Source + Send>)),
                None => Err(nothing("none given; name a file, a directory, a glob, or `-` for standard input")),
            };
        }
        if let [SourceRef::Name(name)] = wanted
            && name == held::NAME
            && let Some(held) = self.held()
        {
            return Ok(self.opened(held));
        }
        let formats = wanted.iter().filter_map(|source| match source {
            SourceRef::Format(name) => Some(format(name)),
            _ => None,
        });
        let formats = formats.collect::<Result<Vec<_>, _>>()?;
        // Files chosen by what they hold stay what they are: their streams are named from the same folder.
        if let Some(files) = &self.files
            && formats.len() == wanted.len()
        {
            return Ok(self.opened(Arc::new(files.of_formats(&formats))));
        }
        let mut paths = Vec::new();
        for source in wanted {
            match source {
                SourceRef::Name(name) => match self.sources.get(name) {
                    Some(known) => paths.extend(known.iter().cloned()),
                    None => paths.push(PathBuf::from(name)),
                },
                SourceRef::Prefix(prefix) => {
                    let fitting = self.sources.iter().filter(|(name, _)| name.starts_with(prefix));
                    paths.extend(fitting.flat_map(|(_, known)| known.iter().cloned()));
                }
                SourceRef::Format(format) => paths.extend(self.of_format(format)),
            }
        }
        if paths.is_empty() {
            return Err(nothing("no file of the input and no source of the configuration file is what `source` names"));
        }
        let files = backsight_io::open(&paths, self.options.clone())?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(files.notes());
        Ok(self.opened(Arc::new(files)))
    }

    fn table(&self, file: &str) -> Result<Table, Error> {
        match self.held() {
            Some(held) if file == held::NAME => Ok(held.table()),
            _ => tables::read(file),
        }
    }
}

/// Finds the files of the command line.
pub(crate) fn files(paths: &[OsString], reading: &ReadArgs) -> Result<backsight_io::Files, Error> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    backsight_io::open(&paths, options(reading)?)
}

/// The format a data source of CloudWatch Logs stands for.
fn format(name: &str) -> Result<&'static backsight_io::formats::Format, Error> {
    backsight_io::formats::data_source(name).ok_or_else(|| {
        let known = backsight_io::FORMATS.iter().flat_map(|f| std::iter::once(&f.name).chain(f.sources));
        let hint = diag::nearest(name, known.copied()).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        Error::Input { file: name.into(), offset: None, why: format!("no such data source{hint}") }
    })
}

fn nothing(why: &str) -> Error {
    Error::Input { file: "input".into(), offset: None, why: why.into() }
}

fn options(reading: &ReadArgs) -> Result<backsight_io::Options, Error> {
    let defaults = backsight_io::Options::default();
    let field = |text: &String| {
        field(text).ok_or_else(|| wrong("--timestamp-field", format!("`{text}` is not the name of a field")))
    };
    Ok(backsight_io::Options {
        format: reading.format_as.clone(),
        timestamp_field: reading.timestamp_field.as_ref().map(field).transpose()?,
        strict: reading.strict,
        expansion: reading.max_expansion.unwrap_or(defaults.expansion),
        // Who sets a limit means it, but for what is small in any case.
        expansion_floor: reading.max_expansion.map_or(defaults.expansion_floor, |_| 16 << 20),
        ..defaults
    })
}

/// The segments of a field as a query names it, such as `detail.time`.
fn field(text: &str) -> Option<Vec<Segment>> {
    let parsed = backsight_lang::parse(&format!("fields {text}"));
    match parsed.query.stages.as_slice() {
        [Stage { kind: StageKind::Fields(items), .. }] if parsed.is_ok() => match items.as_slice() {
            [Item { expr: Expr { kind: ExprKind::Path(path), .. }, alias: None, .. }] => Some(path.segments.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The times of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    now: i64,
    start: Option<When>,
    end: Option<When>,
}

impl Times {
    /// Reads the options. The machine's clock is looked at here and nowhere else.
    ///
    /// # Errors
    /// [`Error::Input`] for what is not a time.
    pub(crate) fn of(reading: &ReadArgs) -> Result<Times, Error> {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let time = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => When::parse(text).map(Some).map_err(|why| wrong(option, why)),
        };
        let now = match time("--now", &reading.now)? {
            None => machine,
            Some(when) => {
                when.resolve(machine, None).ok_or_else(|| wrong("--now", "must not depend on the input".into()))?
            }
        };
        Ok(Times { now, start: time("--start", &reading.start)?, end: time("--end", &reading.end)? })
    }

    /// The query's clock. Runs a query of its own if a time is relative to the first or last event of `input`.
    pub(crate) fn clock(self, input: &Input, reading: &ReadArgs) -> Result<Clock, Error> {
        let relative = [self.start, self.end].into_iter().flatten().any(When::needs_edges);
        let edges = if relative { backsight_engine::edges(&[], input, &*control(reading)?)? } else { None };
        let resolve = |option: &str, when: Option<When>| match when {
            None => Ok(None),
            Some(when) => when
                .resolve(self.now, edges)
                .map(Some)
                .ok_or_else(|| wrong(option, "no event of the input has a timestamp".into())),
        };
        Ok(Clock { now: self.now, start: resolve("--start", self.start)?, end: resolve("--end", self.end)? })
    }
}

fn wrong(option: &str, why: String) -> Error {
    Error::Input { file: option.into(), offset: None, why }
}

/// Parses and plans a query.
pub(crate) fn compile(text: &str, clock: Clock, reading: &ReadArgs) -> Result<Compiled, Error> {
    backsight_engine::compile(text, &settings(text, clock, reading))
}

/// [`compile`] for a run over `input`, which is looked at first where the query counts from its first or last event.
pub(crate) fn compile_over(text: &str, clock: Clock, reading: &ReadArgs, input: &Input) -> Result<Compiled, Error> {
    let compiled = compile(text, clock, reading)?;
    if compiled.unknown.is_empty() {
        return Ok(compiled);
    }
    backsight_engine::compile_over(text, &settings(text, clock, reading), input, &*control(reading)?)
}

fn settings(text: &str, clock: Clock, reading: &ReadArgs) -> CompileSettings {
    let (mut params, tables) = (reading.param.clone(), reading.table.clone());
    if !reading.usual.is_empty() {
        let declared = backsight_lang::parse(text).query.lets;
        let wanted = |name: &String| {
            declared.iter().any(|d| d.name.text == *name) && !reading.param.iter().any(|(set, _)| set == name)
        };
        params.extend(reading.usual.iter().filter(|(name, _)| wanted(name)).cloned());
    }
    CompileSettings { clock, params, tables, pushdown: !reading.no_pushdown, ..CompileSettings::default() }
}

/// The memory limit where the machine does not say what it has.
const MEMORY: u64 = 2 << 30;

/// The control of one run.
pub(crate) fn control(reading: &ReadArgs) -> Result<Arc<Ctl>, Error> {
    let threads = reading.threads.map_or(0, usize::from);
    let ctl = Ctl::new(threads).map_err(|why| Error::Limit(format!("threads: {why}")))?;
    Ok(Arc::new(ctl.with_memory_limit(memory(reading), Box::new(backsight_io::TemporaryFiles))))
}

/// Bytes of memory a run may use.
pub(crate) fn memory(reading: &ReadArgs) -> u64 {
    reading.memory_limit.or_else(|| machine::memory().map(|bytes| bytes / 2)).unwrap_or(MEMORY)
}

/// Runs a query and gives its answer's batches, in order, to `out`.
pub(crate) fn run(
    compiled: &Compiled,
    input: &Input,
    clock: &Clock,
    ctl: &Ctl,
    out: &mut dyn FnMut(&Batch) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    backsight_engine::run(&compiled.plan, input, clock, ctl, &mut |batch| out(&batch).map(|()| Flow::More))
}

/// Takes the answers of several queries: the number of the query, all its batches.
pub(crate) type Answers<'a> = &'a mut dyn FnMut(usize, &[Batch]) -> Result<(), Error>;

/// Runs several queries, those of one source in one pass over it, and gives their answers, one query after another, to
/// `out`; none for those that were interrupted.
pub(crate) fn run_all(
    compiled: &[Compiled],
    input: &Input,
    clock: &Clock,
    ctl: &Ctl,
    out: Answers<'_>,
) -> Result<Vec<Outcome>, Error> {
    let plans: Vec<&Plan> = compiled.iter().map(|compiled| &compiled.plan).collect();
    // The answers come one after another; this is the one that is coming.
    let mut coming: Option<(usize, Vec<Batch>)> = None;
    let mut given = vec![false; plans.len()];
    let outcomes = backsight_engine::run_all(&plans, input, clock, ctl, &mut |number, batch| {
        match &mut coming {
            Some((n, batches)) if *n == number => batches.push(batch),
            coming => {
                if let Some((n, batches)) = coming.replace((number, vec![batch])) {
                    given[n] = true;
                    out(n, &batches)?;
                }
            }
        }
        Ok(Flow::More)
    })?;
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    if ctl.cancelled() {
        return Ok(outcomes);
    }
    if let Some((n, batches)) = coming {
        given[n] = true;
        out(n, &batches)?;
    }
    let without_rows = given.iter().enumerate().filter(|(_, given)| !**given);
    without_rows.map(|(n, _)| n).try_for_each(|n| out(n, &[]))?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_named_as_in_a_query() {
        for (text, segments) in [("ts", 1), ("detail.time", 2), ("`event time`", 1), ("items[0].at", 3)] {
            assert_eq!(field(text).map(|s| s.len()), Some(segments), "{text}");
        }
        for bad in ["", "a, b", "a as b", "now()", "a | limit 1", "1"] {
            assert_eq!(field(bad), None, "{bad}");
        }
    }
}
