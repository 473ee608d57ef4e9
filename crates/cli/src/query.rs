//! `backsight query` and `backsight explain`: one question, one answer.

use crate::args::{Common, ExplainArgs, OutputArgs, QueryArgs, Question, ReadArgs, Stats};
use crate::cancel;
use crate::chart::Choice;
use crate::chart::series::{Chart, Points};
use crate::chart::terminal::{self as terminal_chart, Style};
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
    let (reading, output) = (&args.reading, &args.output);
    // Errors of the query come before anything is read.
    run::compile(&asked.text, Clock::default(), reading).map_err(|e| Failure::of(e, asked.source()))?;
    let format = format_of(output, terminal::look(common, false))?;
    let input = &Arc::new(Input::open(&asked.paths, reading)?);
    let desk = Desk { input, reading, output, format, common, most_rows: u64::MAX };
    desk.answer(asked.source()).map_err(|e| Failure::of(e, asked.source()))
}

/// Everything an answer depends on but the query.
pub(crate) struct Desk<'a> {
    /// What is read.
    pub(crate) input: &'a Arc<Input>,
    /// How it is read.
    pub(crate) reading: &'a ReadArgs,
    /// Where the answer goes.
    pub(crate) output: &'a OutputArgs,
    /// How it is written.
    pub(crate) format: Format,
    /// What is said beside it.
    pub(crate) common: &'a Common,
    /// Rows that are printed; of the others only the number is said.
    pub(crate) most_rows: u64,
}

impl Desk<'_> {
    /// Runs a query, writes its answer and what there is to say about the run. Returns the exit status.
    pub(crate) fn answer(&self, source: Text<'_>) -> Result<u8, Error> {
        let started = Instant::now();
        let clock = Times::of(self.reading)?.clock(self.input, self.reading)?;
        let compiled = run::compile_over(source.text, clock, self.reading, self.input)?;
        let as_json = self.output.stats == Some(Stats::Json);
        if !self.common.quiet && !as_json {
            let color = terminal::colored_messages(self.common);
            terminal::say(&draw::diagnostics(source, &compiled.warnings, color));
        }
        let file = self.output.output.as_deref().filter(|path| *path != Path::new("-"));
        let mut target = Target::open(file, self.output.force)?;
        let columns: Vec<String> = compiled.plan.columns().iter().map(|name| name.to_string()).collect();
        let look = self.look(file.is_some(), source);
        if self.format.is_binary() && look.width.is_some() {
            return Err(Error::Input {
                file: "--format".into(),
                offset: None,
                why: "this format is not for a terminal; write it to a file with -o".into(),
            });
        }
        let mut points = self.is_drawn(&look).then(|| Points::of(source.text, &columns)).flatten();
        let mut writer = output::writer(self.format, look.clone(), &columns, target.writer());
        let ctl = run::control(self.reading)?;
        let mut room = self.most_rows;
        self.input.forget_size();
        let mut progress = Progress::watch(&ctl, self.input, !self.common.quiet);
        let outcome = cancel::cancelling(&ctl, || {
            run::run(&compiled, self.input, &clock, &ctl, &mut |batch| {
                progress.stop();
                if let Some(points) = &mut points {
                    points.push(batch);
                }
                let rows = batch.rows as u64;
                let fits = if rows <= room { batch } else { &batch.clone().head(room as usize) };
                room = room.saturating_sub(rows);
                writer.write(fits).map_err(output_error)
            })
        })?;
        drop(progress);
        writer.finish().map_err(output_error)?;
        drop(writer);
        if let Some(chart) = points.and_then(Points::chart) {
            let drawn = self.drawn(&chart, &look);
            target.writer().write_all(drawn.as_bytes()).map_err(output_error)?;
        }
        match file {
            // A file under its name is a whole answer; what an interrupted run has goes to a stream only.
            Some(path) if outcome.partial => {
                let path = path.display().to_string();
                terminal::say(&format!("{}: not written, the answer is partial\n", escape::visible(&path)));
            }
            _ => target.commit()?,
        }
        let summary = Summary::new(&ctl.counters, &self.input.notes(), outcome, started.elapsed());
        let status = match () {
            () if outcome.partial => exit::INTERRUPTED,
            () if summary.damaged() && !self.reading.lenient => exit::DAMAGED,
            () => exit::ANSWERED,
        };
        if as_json {
            let stats = summary.json(status, &warnings(source, &compiled.warnings));
            terminal::say(&format!("{stats}\n"));
        } else if !self.common.quiet {
            terminal::say(&summary.text(self.most_rows));
        }
        Ok(status)
    }

    fn look(&self, to_file: bool, source: Text<'_>) -> Look {
        let look = Look { title: source.text.into(), ..terminal::look(self.common, self.output.csv_raw) };
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

    fn drawn(&self, chart: &Chart, look: &Look) -> String {
        let width = look.width.unwrap_or(80);
        let style = match self.output.chart {
            Choice::Bar => Style::Bar,
            Choice::Line => Style::Line,
            Choice::Auto | Choice::None => Style::fitting(chart, width),
        };
        format!("\n{}", terminal_chart::draw(chart, style, width, &look.zone, look.color))
    }
}

/// `backsight explain`
pub(crate) fn explain(args: ExplainArgs) -> Result<u8, Failure> {
    let asked = Asked::new(args.question)?;
    let in_query = |error| Failure::of(error, asked.source());
    run::compile(&asked.text, Clock::default(), &args.reading).map_err(in_query)?;
    let input = Input::open(&asked.paths, &args.reading)?;
    let clock = Times::of(&args.reading)?.clock(&input, &args.reading)?;
    // Without an input the plan is shown with the times it counts from left open.
    let compiled = match asked.paths.is_empty() {
        true => run::compile(&asked.text, clock, &args.reading),
        false => run::compile_over(&asked.text, clock, &args.reading, &input),
    }
    .map_err(in_query)?;
    let plan = escape::lines(&compiled.plan.explain()).into_owned();
    let mut target = Target::open(None, false)?;
    target.writer().write_all(plan.as_bytes()).map_err(output_error)?;
    target.commit()?;
    Ok(exit::ANSWERED)
}

/// The format asked for, by name or by the extension of the file.
fn format_of(to: &OutputArgs, look: Look) -> Result<Format, Error> {
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
