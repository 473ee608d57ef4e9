//! `backsight run`: files of queries over one input, a result for each.
//!
//! What can be wrong is found before anything is read: queries, parameters, results that exist already. Queries that
//! read the same source share one pass over it. A result appears under its name only when it is whole, so that a run
//! that was stopped goes on with `--resume`.

use crate::args::{Common, ReadArgs, RunArgs};
use crate::cancel;
use crate::draw::{self, Text};
use crate::escape;
use crate::exit;
use crate::output::target::{Target, output_error};
use crate::output::{self, Format, Look};
use crate::progress::Progress;
use crate::queries::{self, Saved};
use crate::query::{Failure, refuse_binary, text_of};
use crate::rules::{self, Plain};
use crate::run::{self, Input, Times};
use crate::summary::Summary;
use crate::terminal;
use backsight_engine::error::Error;
use backsight_engine::func::Clock;
use backsight_engine::value::Value;
use backsight_engine::value::column::{Batch, Positions};
use backsight_engine::{Compiled, Outcome};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// One query and its result.
struct Job {
    name: String,
    /// The file it comes from.
    file: String,
    text: String,
    /// The log source whose names it uses, if it is a rule.
    category: Option<String>,
    /// The options with the parameters it declares.
    reading: ReadArgs,
    /// Where its result goes; `None` is standard output.
    target: Option<PathBuf>,
    outcome: State,
}

/// What became of a query.
enum State {
    Waiting,
    /// Its result was there already.
    Kept,
    Rows(u64),
    Partial,
    Failed(String, u8),
}

/// `backsight run`
pub(crate) fn run(args: &RunArgs, common: &Common) -> Result<u8, Failure> {
    let format = args.format.unwrap_or(if args.output.is_some() {
        Format::Csv
    } else {
        terminal::look(common, false).default_format()
    });
    if args.output.is_none() {
        refuse_binary(format, &terminal::look(common, false))?;
    }
    let mut jobs = jobs(args, format)?;
    let wrong = check(&jobs, common);
    if wrong > 0 {
        terminal::say(&format!("nothing was run: {wrong} of {} queries are wrong\n", jobs.len()));
        return Ok(exit::WRONG);
    }
    settle_existing(&mut jobs, args)?;
    if let Some(folder) = &args.output {
        let failed = |source| Error::Io { what: folder.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let input = Arc::new(Input::open(&args.on, &args.reading)?);
    let mut status = exit::ANSWERED;
    let mut categories: Vec<Option<String>> = jobs.iter().map(|job| job.category.clone()).collect();
    categories.sort_unstable();
    categories.dedup();
    for category in categories {
        let input = match &category {
            Some(category) => Arc::new(input.through(category)?),
            None => Arc::clone(&input),
        };
        let mut chosen: Vec<&mut Job> =
            jobs.iter_mut().filter(|job| job.category == category && matches!(job.outcome, State::Waiting)).collect();
        if !chosen.is_empty() {
            status = worse(status, pass(&mut chosen, &input, args, format, common)?);
        }
        if status == exit::INTERRUPTED {
            break;
        }
    }
    let failed =
        jobs.iter().filter_map(|job| if let State::Failed(_, status) = job.outcome { Some(status) } else { None });
    let status = failed.fold(status, worse);
    if !common.quiet {
        terminal::say(&table(&jobs, common)?);
    }
    Ok(status)
}

/// The queries of all files, in order of name, each with a result of its own.
fn jobs(args: &RunArgs, format: Format) -> Result<Vec<Job>, Error> {
    let mut files = Vec::new();
    for path in &args.files {
        rules::walk(path, &mut files)?;
    }
    files.retain(|file| file.extension().is_none_or(|extension| extension != "jsonl"));
    let mut jobs: Vec<Job> = Vec::new();
    for file in files {
        let stem = file.file_stem().map_or("query".into(), |stem| stem.to_string_lossy().into_owned());
        for saved in queries::split(&stem, &text_of(&file)?) {
            jobs.push(job(saved, &file, args)?);
        }
    }
    if jobs.is_empty() {
        let files: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
        return Err(Error::Input { file: files.join(", "), offset: None, why: "holds no query".into() });
    }
    for (name, _) in &args.reading.param {
        if !jobs.iter().any(|job| job.reading.param.iter().any(|(n, _)| n == name)) {
            let why = "no query declares this parameter".into();
            return Err(Error::Input { file: format!("--param {name}"), offset: None, why });
        }
    }
    let mut taken: Vec<String> = Vec::new();
    for job in &mut jobs {
        let mut name = job.name.clone();
        let mut n = 2;
        while taken.contains(&file_name(&name)) {
            name = format!("{}-{n}", job.name);
            n += 1;
        }
        taken.push(file_name(&name));
        job.target =
            args.output.as_ref().map(|folder| folder.join(format!("{}.{}", file_name(&name), format.extension())));
        job.name = name;
    }
    Ok(jobs)
}

fn job(saved: Saved, file: &Path, args: &RunArgs) -> Result<Job, Error> {
    let Saved { name, text, is_rule } = saved;
    let shown = file.display().to_string();
    let mut reading = ReadArgs { param: Vec::new(), ..args.reading.clone() };
    if !is_rule {
        let declared = backsight_lang::parse(&text).query.lets;
        let is_declared = |name: &str| declared.iter().any(|d| d.name.text == name);
        reading.param = args.reading.param.iter().filter(|(name, _)| is_declared(name)).cloned().collect();
        return Ok(Job { name, file: shown, text, category: None, reading, target: None, outcome: State::Waiting });
    }
    let Plain { text, category, params } = rules::as_query(&shown, &text, &args.reading.param)?;
    let job = Job { name, file: shown, text, category: Some(category), reading, target: None, outcome: State::Waiting };
    // They are part of the text now; here they only say that somebody wanted them.
    Ok(Job { reading: ReadArgs { param: params, ..job.reading.clone() }, ..job })
}

impl Job {
    fn source(&self) -> Text<'_> {
        Text { name: &self.file, text: &self.text }
    }

    /// Plans the query; with an input, over it.
    fn compile(&self, clock: Clock, input: Option<&Input>) -> Result<Compiled, Error> {
        let reading = match &self.category {
            None => &self.reading,
            Some(_) => &ReadArgs { param: Vec::new(), ..self.reading.clone() },
        };
        match input {
            None => run::compile(&self.text, clock, reading),
            Some(input) => run::compile_over(&self.text, clock, reading, input),
        }
    }
}

/// Says what is wrong with the queries; how many are.
fn check(jobs: &[Job], common: &Common) -> usize {
    let mut wrong = 0;
    for job in jobs {
        if let Err(error) = job.compile(Clock::default(), None) {
            wrong += 1;
            crate::report(Failure::of(error, job.source()), common);
        }
    }
    wrong
}

/// Results that exist already: kept, replaced, or a reason not to begin.
fn settle_existing(jobs: &mut [Job], args: &RunArgs) -> Result<(), Error> {
    for job in jobs {
        let Some(path) = job.target.as_ref().filter(|path| path.symlink_metadata().is_ok()) else { continue };
        if args.resume {
            job.outcome = State::Kept;
        } else if !args.force {
            let why = "exists already; --force replaces results, --resume keeps them".into();
            return Err(Error::Input { file: path.display().to_string(), offset: None, why });
        }
    }
    Ok(())
}

/// Runs the queries of one view of the input; the exit status so far.
fn pass(
    jobs: &mut [&mut Job],
    input: &Arc<Input>,
    args: &RunArgs,
    format: Format,
    common: &Common,
) -> Result<u8, Error> {
    let started = Instant::now();
    let clock = Times::of(&args.reading)?.clock(input, &args.reading)?;
    let ctl = run::control(&args.reading)?;
    let compiled: Vec<Compiled> = jobs.iter().map(|job| job.compile(clock, Some(input))).collect::<Result<_, _>>()?;
    if !common.quiet {
        let color = terminal::colored_messages(common);
        for (job, compiled) in jobs.iter().zip(&compiled) {
            terminal::say(&draw::diagnostics(job.source(), &compiled.warnings, color));
        }
    }
    let several = jobs.len() > 1;
    let look = Look { crew: Some(Arc::clone(&ctl)), ..terminal::look(common, args.csv_raw) };
    let mut write = |number: usize, batches: &[Batch]| {
        let job = &mut *jobs[number];
        job.outcome = match result(job, &compiled[number], batches, several, args, format, &look) {
            Ok(rows) => State::Rows(rows),
            Err(Error::Closed) => return Err(Error::Closed),
            Err(error) => State::Failed(error.to_string(), exit::status(&error)),
        };
        Ok(())
    };
    let shared = Arc::clone(input);
    let progress = Progress::watch(&ctl, move || shared.size(), !common.quiet);
    let outcomes = cancel::cancelling(&ctl, || run::run_all(&compiled, input, &clock, &ctl, &mut write))?;
    drop(progress);
    for (job, outcome) in jobs.iter_mut().zip(&outcomes) {
        if outcome.partial && matches!(job.outcome, State::Waiting) {
            job.outcome = State::Partial;
        }
    }
    let partial = ctl.cancelled();
    let rows = jobs.iter().map(|job| if let State::Rows(rows) = job.outcome { rows } else { 0 }).sum();
    let summary =
        Summary::new(&ctl.counters, &input.notes(), Outcome { rows, partial, ..Outcome::default() }, started.elapsed());
    if !common.quiet {
        terminal::say(&summary.text(u64::MAX));
    }
    Ok(summary.status(args.reading.lenient))
}

/// Writes the result of one query; its number of rows.
fn result(
    job: &Job,
    compiled: &Compiled,
    batches: &[Batch],
    several: bool,
    args: &RunArgs,
    format: Format,
    look: &Look,
) -> Result<u64, Error> {
    let columns: Vec<String> = compiled.plan.columns().iter().map(|name| name.to_string()).collect();
    let look = Look { title: job.text.trim().into(), ..look.clone() };
    let look = if job.target.is_some() { Look { width: None, color: false, ..look } } else { look };
    let mut target = Target::open(job.target.as_deref(), args.force)?;
    if job.target.is_none() && several {
        let name = escape::visible(&job.name);
        match format {
            Format::Table | Format::Vertical => writeln!(target.writer(), "── {name}").map_err(output_error)?,
            Format::Markdown => writeln!(target.writer(), "## {name}\n").map_err(output_error)?,
            _ => terminal::say(&format!("{name}:\n")),
        }
    }
    let mut writer = output::writer(format, look, &columns, target.writer());
    batches.iter().try_for_each(|batch| writer.write(batch)).and_then(|()| writer.finish()).map_err(output_error)?;
    drop(writer);
    if job.target.is_none() && several && matches!(format, Format::Table | Format::Vertical | Format::Markdown) {
        writeln!(target.writer()).map_err(output_error)?;
    }
    target.commit()?;
    Ok(batches.iter().map(|batch| batch.rows as u64).sum())
}

/// What each query gave.
fn table(jobs: &[Job], common: &Common) -> Result<String, Error> {
    let result = |job: &Job| match &job.outcome {
        State::Kept => "kept".into(),
        State::Waiting => "not run".into(),
        State::Partial => "interrupted".into(),
        State::Failed(why, _) => format!("failed: {why}"),
        State::Rows(_) => job.target.as_ref().map_or("printed".into(), |path| path.display().to_string()),
    };
    let rows = |job: &Job| match job.outcome {
        State::Rows(rows) => Value::Int(rows as i64),
        _ => Value::Null,
    };
    let batch = Batch {
        columns: vec![
            jobs.iter().map(|job| Value::string(&job.name)).collect(),
            jobs.iter().map(rows).collect(),
            jobs.iter().map(|job| Value::string(result(job))).collect(),
        ],
        rows: jobs.len(),
        positions: Positions::sequence(0, jobs.len()),
    };
    let mut out = Vec::new();
    let look = Look { color: terminal::colored_messages(common), ..Look::default() };
    let names = ["query", "rows", "result"].map(String::from);
    let mut writer = output::writer(Format::Table, look, &names, &mut out);
    writer.write(&batch).and_then(|()| writer.finish()).map_err(output_error)?;
    drop(writer);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The status that says more.
fn worse(a: u8, b: u8) -> u8 {
    const ORDER: [u8; 6] = [exit::ANSWERED, exit::FOUND, exit::DAMAGED, exit::WRONG, exit::LIMIT, exit::INTERRUPTED];
    let rank = |status: u8| ORDER.iter().position(|s| *s == status).unwrap_or(0);
    if rank(b) > rank(a) { b } else { a }
}

/// A name that is one on every disk: letters, digits and a few signs.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.trim().chars().map(plain).take(120).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { "query".into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_harmless() {
        for (name, file) in [
            ("by ip", "by-ip"),
            ("../../etc/passwd", "etc-passwd"),
            ("bs.api.x", "bs.api.x"),
            ("a/b\\c:d\x1b", "a-b-c-d"),
            ("日本", "日本"),
            ("...", "query"),
        ] {
            assert_eq!(file_name(name), file, "{name}");
        }
    }

    #[test]
    fn the_worst_status_counts() {
        assert_eq!([0, 3, 0, 2].into_iter().fold(0, worse), 2);
        assert_eq!([3, 130, 4].into_iter().fold(0, worse), 130);
        assert_eq!([0, 3, 0].into_iter().fold(0, worse), 3);
    }
}
