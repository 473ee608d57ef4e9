//! The glue: from paths and options to an input, from a query's text to batches of its answer.

use crate::args::ReadArgs;
use crate::when::{Edges, When};
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::plan::{CompileSettings, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source};
use backsight_engine::value::column::Batch;
use backsight_engine::{Compiled, Ctl, Outcome};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What queries run over: the paths of the command line, and files that queries name themselves.
pub(crate) struct Input {
    options: backsight_io::Options,
    /// The paths of the command line; `None` if there are none.
    files: Option<Arc<backsight_io::Files>>,
}

impl Input {
    /// Finds the files. None of them is read as a whole yet.
    ///
    /// # Errors
    /// [`Error::Input`] where there is nothing to read.
    pub(crate) fn open(paths: &[OsString], reading: &ReadArgs) -> Result<Input, Error> {
        let options = options(reading);
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let files = if paths.is_empty() { None } else { Some(Arc::new(backsight_io::open(&paths, &options)?)) };
        Ok(Input { options, files })
    }
}

impl Catalog for Input {
    fn open(&self, wanted: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        if wanted.is_empty() {
            return match &self.files {
                Some(files) => Ok(Arc::clone(files) as Arc<dyn Source + Send>),
                None => Err(nothing("no input: name a file, a directory, a glob, or `-` for standard input")),
            };
        }
        let mut paths = Vec::new();
        for source in wanted {
            match source {
                SourceRef::Name(name) => paths.push(PathBuf::from(name)),
                SourceRef::Prefix(_) | SourceRef::Format(_) => {
                    return Err(nothing("a `source` that is not a path needs a catalog, and there is none"));
                }
            }
        }
        Ok(Arc::new(backsight_io::open(&paths, &self.options)?))
    }
}

fn nothing(why: &str) -> Error {
    Error::Input { file: "input".into(), offset: None, why: why.into() }
}

fn options(reading: &ReadArgs) -> backsight_io::Options {
    backsight_io::Options {
        format: reading.format_as.clone(),
        timestamp_field: reading.timestamp_field.clone(),
        strict: reading.strict,
        ..backsight_io::Options::default()
    }
}

/// Name and summary of each input format.
pub(crate) fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
    backsight_io::FORMATS.iter().map(|f| (f.name, f.about))
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
        let edges = if relative { edges(input, reading)? } else { None };
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

/// The first and the last time in the input.
fn edges(input: &Input, reading: &ReadArgs) -> Result<Edges, Error> {
    let compiled = compile("stats min(@timestamp) as first, max(@timestamp) as last", Clock::default(), reading)?;
    let ctl = control(reading)?;
    let mut edges = None;
    run(&compiled, input, &Clock::default(), &ctl, &mut |batch| {
        if let [first, last] = batch.columns.as_slice()
            && batch.rows > 0
        {
            edges = first.get(0).timestamp().zip(last.get(0).timestamp());
        }
        Ok(())
    })?;
    Ok(edges)
}

/// Parses and plans a query.
pub(crate) fn compile(text: &str, clock: Clock, reading: &ReadArgs) -> Result<Compiled, Error> {
    let settings = CompileSettings { clock, params: reading.param.clone(), pushdown: !reading.no_pushdown };
    backsight_engine::compile(text, &settings)
}

/// The control of one run.
pub(crate) fn control(reading: &ReadArgs) -> Result<Arc<Ctl>, Error> {
    let threads = reading.threads.map_or(0, usize::from);
    Ctl::new(threads).map(Arc::new).map_err(|why| Error::Limit(format!("threads: {why}")))
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
