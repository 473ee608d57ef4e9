//! `backsight query` and `backsight explain`: one question, one answer.

use crate::afterwards;
use crate::args::{Common, ExplainArgs, OutputArgs, QueryArgs, Question, ReadArgs, Stats};
use crate::cancel;
use crate::chart::series::Points;
use crate::chart::{self, Choice};
use crate::config;
use crate::draw::{self, Text};
use crate::escape;
use crate::exit;
use crate::output::target::{Target, output_error};
use crate::output::{self, Format, Look};
use crate::progress::Progress;
use crate::run::{self, Input, Times};
use crate::summary::Summary;
use crate::terminal;
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::value::column::Batch;
use backsight_engine::{Compiled, Ctl};
use backsight_lang::diag::Diagnostic;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A query's text, what to call it, and the paths it runs over.
struct Asked {
    name: String,
    text: String,
    paths: Vec<OsString>,
}

impl Asked {
    /// Takes the query from its file or from the first argument.
    fn new(question: Question) -> Result<Asked, Error> {
        let Question { file, mut arguments } = question;
        if let Some(file) = file {
            return Ok(Asked { name: file.display().to_string(), text: text_of(&file)?, paths: arguments });
        }
        let query = arguments.remove(0);
        let text = query.into_string().map_err(|_| Error::Input {
            file: "query".into(),
            offset: None,
            why: "is not UTF-8".into(),
        })?;
        Ok(Asked { name: "query".into(), text, paths: arguments })
    }

    fn source(&self) -> Text<'_> {
        Text { name: &self.name, text: &self.text }
    }
}

/// The text of a query file; `-` is standard input.
pub(crate) fn text_of(file: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let name = file.display().to_string();
    let bytes = read.map_err(|source| Error::Io { what: name.clone(), source })?;
    String::from_utf8(bytes).map_err(|e| Error::Input {
        file: name,
        offset: Some(e.utf8_error().valid_up_to() as u64),
        why: "is not UTF-8".into(),
    })
}

/// `backsight query`
pub(crate) fn query(args: QueryArgs, common: &Common) -> Result<u8, Failure> {
    let asked = Asked::new(args.question)?;
    let mut output = args.output;
    config::for_terminal(&mut output, common, terminal::look(common, false).width.is_some());
    let (reading, output) = (&args.reading, &output);
    // Errors of the query come before anything is read.
    run::compile(&asked.text, Clock::default(), reading).map_err(|e| Failure::of(e, asked.source()))?;
    let format = format_of(output, terminal::look(common, false))?;
    let input = &Arc::new(Input::open(&asked.paths, reading)?);
    let desk = Desk { input, reading, output, format, common };
    desk.answer(asked.source()).map_err(|e| Failure::of(e, asked.source()))
}

/// A query that is ready to run over an input.
pub(crate) struct Ready {
    compiled: Compiled,
    clock: Clock,
    ctl: Arc<Ctl>,
    started: Instant,
}

impl Ready {
    /// Plans the query; looks at the input where a time is relative to its first or last event.
    pub(crate) fn new(text: &str, input: &Input, reading: &ReadArgs) -> Result<Ready, Error> {
        let started = Instant::now();
        let clock = Times::of(reading)?.clock(input, reading)?;
        let compiled = run::compile_over(text, clock, reading, input)?;
        Ok(Ready { compiled, clock, ctl: run::control(reading)?, started })
    }

    /// Plans the query without a look at the input for times that the query itself counts from its events.
    fn unread(text: &str, input: &Input, reading: &ReadArgs) -> Result<Ready, Error> {
        let started = Instant::now();
        let clock = Times::of(reading)?.clock(input, reading)?;
        let compiled = run::compile(text, clock, reading)?;
        Ok(Ready { compiled, clock, ctl: run::control(reading)?, started })
    }

    /// The names of the answer's columns.
    pub(crate) fn columns(&self) -> Vec<String> {
        self.compiled.plan.columns().iter().map(|name| name.to_string()).collect()
    }

    /// What the planner has to say.
    pub(crate) fn warnings(&self) -> &[Diagnostic] {
        &self.compiled.warnings
    }

    /// What the data has to say of the query, once it has run.
    pub(crate) fn afterwards(&self, summary: &Summary, input: &Arc<Input>) -> Result<Vec<Diagnostic>, Error> {
        cancel::cancelling(&self.ctl, || afterwards::warnings(&self.compiled.plan, summary, input, &self.ctl))
    }

    /// The plan for people.
    pub(crate) fn explain(&self) -> String {
        escape::lines(&self.compiled.plan.explain()).into_owned()
    }

    /// Runs it, Ctrl-C in hand and progress in view; the answer's batches go to `out`.
    pub(crate) fn run(
        &self,
        input: &Arc<Input>,
        common: &Common,
        out: &mut dyn FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<Summary, Error> {
        input.forget_size();
        let shared = Arc::clone(input);
        let mut progress = Progress::watch(&self.ctl, move || shared.size(), !common.quiet);
        let outcome = cancel::cancelling(&self.ctl, || {
            run::run(&self.compiled, input, &self.clock, &self.ctl, &mut |batch| {
                progress.stop();
                out(batch)
            })
        })?;
        Ok(Summary::new(&self.ctl.counters, &input.notes(), outcome, self.started.elapsed()))
    }
}

/// Everything an answer depends on but the query.
struct Desk<'a> {
    input: &'a Arc<Input>,
    reading: &'a ReadArgs,
    output: &'a OutputArgs,
    format: Format,
    common: &'a Common,
}

impl Desk<'_> {
    /// Runs a query, writes its answer and what there is to say about the run. Returns the exit status.
    fn answer(&self, source: Text<'_>) -> Result<u8, Error> {
        let ready = Ready::new(source.text, self.input, self.reading)?;
        let as_json = self.output.stats == Some(Stats::Json);
        if !self.common.quiet && !as_json {
            let color = terminal::colored_messages(self.common);
            terminal::say(&draw::diagnostics(source, ready.warnings(), color));
        }
        let file = self.output.output.as_deref().filter(|path| *path != Path::new("-"));
        let columns = ready.columns();
        let look = Look { crew: Some(Arc::clone(&ready.ctl)), ..self.look(file.is_some(), source) };
        refuse_binary(self.format, &look)?;
        let mut target = Target::open(file, self.output.force)?;
        let mut points = self.is_drawn(&look).then(|| Points::of(source.text, &columns)).flatten();
        let mut writer = output::writer(self.format, look.clone(), &columns, target.writer());
        let summary = ready.run(self.input, self.common, &mut |batch| {
            if let Some(points) = &mut points {
                points.push(batch);
            }
            writer.write(batch).map_err(output_error)
        })?;
        writer.finish().map_err(output_error)?;
        drop(writer);
        if let Some(chart) = points.and_then(Points::chart) {
            let drawn = chart::drawn(&chart, &look);
            target.writer().write_all(drawn.as_bytes()).map_err(output_error)?;
        }
        match file {
            // A file under its name is a whole answer; what an interrupted run has goes to a stream only.
            Some(path) if summary.partial => {
                let path = path.display().to_string();
                terminal::say(&format!("{}: not written, the answer is partial\n", escape::visible(&path)));
            }
            _ => target.commit()?,
        }
        let status = summary.status(self.reading.lenient);
        if as_json {
            let all = [ready.warnings(), &ready.afterwards(&summary, self.input)?].concat();
            terminal::say(&format!("{}\n", summary.json(status, &warnings(source, &all))));
        } else if !self.common.quiet {
            let found = ready.afterwards(&summary, self.input)?;
            terminal::say(&draw::diagnostics(source, &found, terminal::colored_messages(self.common)));
            terminal::say(&summary.text(u64::MAX));
        }
        Ok(status)
    }

    fn look(&self, to_file: bool, source: Text<'_>) -> Look {
        let look = terminal::look(self.common, self.output.csv_raw);
        let look = Look { title: source.text.into(), chart: self.output.chart, ..look };
        if to_file { Look { width: None, color: false, ..look } } else { look }
    }

    /// Whether a chart follows the answer, if it is a time series.
    fn is_drawn(&self, look: &Look) -> bool {
        let for_people = matches!(self.format, Format::Table | Format::Vertical);
        for_people
            && match self.output.chart {
                Choice::Auto => look.width.is_some(),
                Choice::Bar | Choice::Line => true,
                Choice::None => false,
            }
    }
}

/// Bytes that are no text are nothing for a terminal.
pub(crate) fn refuse_binary(format: Format, look: &Look) -> Result<(), Error> {
    match look.width {
        Some(_) if format.is_binary() => Err(Error::Input {
            file: "--format".into(),
            offset: None,
            why: "this format is not for a terminal; write it to a file with -o".into(),
        }),
        _ => Ok(()),
    }
}

/// `backsight explain`
pub(crate) fn explain(args: ExplainArgs) -> Result<u8, Failure> {
    let asked = Asked::new(args.question)?;
    let in_query = |error| Failure::of(error, asked.source());
    run::compile(&asked.text, Clock::default(), &args.reading).map_err(in_query)?;
    let input = Input::open(&asked.paths, &args.reading)?;
    let ready = match asked.paths.is_empty() {
        // Without an input the plan is shown with the times it counts from left open.
        true => Ready::unread(&asked.text, &input, &args.reading),
        false => Ready::new(&asked.text, &input, &args.reading),
    }
    .map_err(in_query)?;
    let mut target = Target::open(None, false)?;
    target.writer().write_all(ready.explain().as_bytes()).map_err(output_error)?;
    target.commit()?;
    Ok(exit::ANSWERED)
}

/// The format asked for, by name or by the extension of the file.
pub(crate) fn format_of(to: &OutputArgs, look: Look) -> Result<Format, Error> {
    match (to.format, &to.output) {
        (Some(format), _) => Ok(format),
        (None, Some(path)) if path != Path::new("-") => Format::of_file(path).ok_or_else(|| Error::Input {
            file: path.display().to_string(),
            offset: None,
            why: format!("no format has this extension ({}); --format names one", Format::extensions()),
        }),
        (None, _) => Ok(look.default_format()),
    }
}

fn warnings(source: Text<'_>, warnings: &[Diagnostic]) -> Vec<serde_json::Value> {
    let one = |w: &Diagnostic| {
        let (line, column) = draw::line_and_column(source.text, w.span.start);
        serde_json::json!({ "code": w.code, "message": w.message, "line": line, "column": column, "help": w.help })
    };
    warnings.iter().map(one).collect()
}

/// An error with the query it is about, so that the edge can draw it.
pub(crate) struct Failure {
    /// What happened.
    pub(crate) error: Error,
    /// Name and text of the query, for errors in it.
    pub(crate) query: Option<(String, String)>,
}

impl Failure {
    /// An error that may be about this query.
    pub(crate) fn of(error: Error, source: Text<'_>) -> Failure {
        let query = matches!(error, Error::Query(_)).then(|| (source.name.to_string(), source.text.to_string()));
        Failure { error, query }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, query: None }
    }
}
