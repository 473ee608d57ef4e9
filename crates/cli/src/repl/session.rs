//! What the prompt remembers from line to line, and how a query becomes an answer on the screen.

use super::complete::{Words, quoted};
use super::held::{self, Held};
use super::seen;
use super::step::{self, Step};
use super::{commands, helper, pivot};
use crate::args::{Common, ReadArgs};
use crate::chart::series::Points;
use crate::chart::{self, Choice};
use crate::draw::{self, Text};
use crate::escape;
use crate::output::target::{Target, output_error};
use crate::output::{self, Format, Look};
use crate::queries::Saved;
use crate::query::{Failure, Ready, refuse_binary};
use crate::run::{self, Input};
use crate::summary::{Summary, counted, grouped};
use crate::terminal;
use backsight_engine::error::Error;
use backsight_engine::value::column::Batch;
use backsight_lang::ast::{Stage, StageKind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of an answer that are printed at a time.
const PAGE: usize = 1_000;
/// Rows that are printed of an answer nobody waited for, and of a step.
const GLANCE: usize = 20;

/// What the prompt does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Asks again.
    Go,
    /// Asks again, this text already typed.
    Edit(String),
    /// Ends.
    Leave,
}

/// An answer that is kept: for its next page, for export, and as the source `_`.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) query: String,
    pub(crate) rows: Arc<Held>,
    pub(crate) summary: Summary,
    /// Rows that were printed.
    shown: usize,
}

/// The state of a conversation.
pub(crate) struct Session {
    pub(crate) input: Arc<Input>,
    /// The input as the last query sees it: rules name fields as the profile of their log source does.
    pub(crate) view: Arc<Input>,
    pub(crate) reading: ReadArgs,
    pub(crate) common: Common,
    pub(crate) format: Format,
    pub(crate) chart: Choice,
    /// The line of numbers behind each answer.
    pub(crate) timing: bool,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) saved: Vec<Saved>,
    /// The last query somebody typed or ran, whole.
    pub(crate) query: String,
    pub(crate) last: Option<Answer>,
    words: Arc<Mutex<Words>>,
}

impl Session {
    /// A new conversation over an input.
    pub(crate) fn new(input: Arc<Input>, mut reading: ReadArgs, common: Common) -> Session {
        let words = Words {
            tables: reading.table.iter().map(|(name, _)| name.clone()).collect(),
            sources: std::iter::once(held::NAME.into()).chain(reading.sources.keys().cloned()).collect(),
            ..Words::default()
        };
        let params = std::mem::take(&mut reading.param);
        let session = Session {
            format: match (terminal::look(&common, false), common.terminal_format) {
                (look, Some(format)) if look.width.is_some() && !format.is_binary() => format,
                (look, _) => look.default_format(),
            },
            chart: common.terminal_chart.unwrap_or_default(),
            view: Arc::clone(&input),
            input,
            reading,
            common,
            timing: true,
            params,
            saved: Vec::new(),
            query: String::new(),
            last: None,
            words: Arc::new(Mutex::new(words)),
        };
        session.offer();
        session
    }

    /// What every command understands.
    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// What completion offers.
    pub(crate) fn words(&self) -> Arc<Mutex<Words>> {
        Arc::clone(&self.words)
    }

    /// Calls `change` with what completion offers.
    pub(crate) fn with_words<T>(&self, change: impl FnOnce(&mut Words) -> T) -> T {
        change(&mut self.words.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the fields and values of the input in the background.
    pub(crate) fn sample(&self) {
        seen::sample(&self.input, &self.words());
    }

    /// Brings what completion offers up to date.
    pub(crate) fn offer(&self) {
        let params = self.params.iter().map(|(name, _)| name.clone()).collect();
        let queries = self.saved.iter().map(|saved| saved.name.clone()).collect();
        self.with_words(|words| {
            words.params = params;
            words.queries = queries;
        });
    }

    /// Does what a line says.
    pub(crate) fn line(&mut self, line: &str) -> Result<After, Failure> {
        if helper::is_command(line) {
            return commands::run(self, line.trim());
        }
        if line.starts_with('|') {
            self.ask(&(self.continued() + line))?;
        } else {
            self.view = Arc::clone(&self.input);
            self.ask(line)?;
        }
        Ok(After::Go)
    }

    /// What a line that begins with `|` goes on from: the last query.
    fn continued(&self) -> String {
        if self.query.is_empty() { String::new() } else { format!("{}\n", self.query) }
    }

    /// Asks a query and shows its answer.
    pub(crate) fn ask(&mut self, text: &str) -> Result<(), Failure> {
        // A query that fails can be mended by going on from it, one that is wrong cannot.
        let answer = self.answer(text)?;
        self.query = text.to_string();
        let most = if answer.summary.partial { GLANCE } else { PAGE };
        self.last = Some(answer);
        self.page(most)?;
        self.draw_chart()?;
        self.conclude();
        Ok(())
    }

    /// Runs a query; nothing is printed but warnings and progress.
    pub(crate) fn answer(&self, text: &str) -> Result<Answer, Failure> {
        let (text, reading) = self.with_params(&self.with_columns(text));
        let source = Text { name: "query", text: &text };
        let in_query = |e| Failure::of(e, source);
        let ready = Ready::new(&text, &self.view, &reading).map_err(in_query)?;
        if !self.common.quiet {
            let color = terminal::colored_messages(&self.common);
            terminal::say(&draw::diagnostics(source, ready.warnings(), color));
        }
        let mut batches: Vec<Batch> = Vec::new();
        let summary = ready.run(&self.view, &self.common, &mut |batch| {
            if batch.rows > 0 {
                batches.push(batch.clone());
            }
            Ok(())
        });
        let summary = summary.map_err(in_query)?;
        if !self.common.quiet {
            let found = ready.afterwards(&summary, &self.view).map_err(in_query)?;
            terminal::say(&draw::diagnostics(source, &found, terminal::colored_messages(&self.common)));
        }
        let columns = ready.columns();
        self.with_words(|words| words.seen.answer(&columns, &batches));
        let rows = Arc::new(Held { columns, batches });
        self.hold(&rows);
        Ok(Answer { query: text, rows, summary, shown: 0 })
    }

    /// A query that only narrows the last answer shows all its columns.
    fn with_columns(&self, text: &str) -> String {
        let parsed = backsight_lang::parse(text);
        let stages = &parsed.query.stages;
        let narrows = |stage: &Stage| {
            matches!(
                stage.kind,
                StageKind::Source(_)
                    | StageKind::Filter(_)
                    | StageKind::Sort(_)
                    | StageKind::Limit { .. }
                    | StageKind::Dedup(_)
            )
        };
        let (Some(first), Some(last)) = (stages.first(), &self.last) else { return text.into() };
        let reads_last = first.span.text(text).split_whitespace().eq(["source", held::NAME]);
        if !parsed.is_ok() || !reads_last || !stages.iter().all(narrows) {
            return text.into();
        }
        let columns: Vec<String> =
            last.rows.columns.iter().map(|name| format!("`{}`", name.replace('`', ""))).collect();
        let (front, rest) = text.split_at(first.span.end);
        format!("{front} | fields {}{rest}", columns.join(", "))
    }

    /// The query and the options with the session's parameters: those it declares are set, those it only uses are
    /// declared in front.
    pub(crate) fn with_params(&self, text: &str) -> (String, ReadArgs) {
        let declared: Vec<String> =
            backsight_lang::parse(text).query.lets.into_iter().map(|declared| declared.name.text).collect();
        let used = |name: &str| {
            let wanted = format!("${name}");
            backsight_lang::tokens(text).iter().any(|(span, _)| span.text(text) == wanted)
        };
        let mut reading = self.reading.clone();
        reading.table.push((held::NAME.into(), held::NAME.into()));
        let mut front = String::new();
        for (name, value) in &self.params {
            if declared.contains(name) {
                reading.param.push((name.clone(), value.clone()));
            } else if used(name) {
                front.push_str(&format!("let {name} = {}\n", literal(value)));
            }
        }
        (front + text, reading)
    }

    /// Prints the next rows of the last answer.
    pub(crate) fn page(&mut self, most: usize) -> Result<(), Failure> {
        let look = self.look();
        refuse_binary(self.format, &look)?;
        let format = self.format;
        let Some(answer) = &mut self.last else { return Ok(()) };
        let rows = window(&answer.rows.batches, answer.shown, most);
        let mut target = Target::open(None, false)?;
        let mut writer = output::writer(format, look, &answer.rows.columns, target.writer());
        rows.iter().try_for_each(|batch| writer.write(batch)).and_then(|()| writer.finish()).map_err(output_error)?;
        drop(writer);
        answer.shown += rows.iter().map(|batch| batch.rows).sum::<usize>();
        target.commit()?;
        let left = answer.left();
        if left > 0 {
            let rows = if left == 1 { "row" } else { "rows" };
            let left = grouped(left as u64);
            terminal::say(&format!("{left} more {rows}; \\more shows the next, \\export FILE writes all\n"));
        }
        Ok(())
    }

    /// Draws the last answer, if it is a time series.
    fn draw_chart(&self) -> Result<(), Failure> {
        let look = self.look();
        let Some(answer) = &self.last else { return Ok(()) };
        let wanted = match self.chart {
            Choice::Auto => look.width.is_some(),
            Choice::Bar | Choice::Line => true,
            Choice::None => false,
        };
        if !wanted || !matches!(self.format, Format::Table | Format::Vertical) {
            return Ok(());
        }
        let Some(mut points) = Points::of(&answer.query, &answer.rows.columns) else { return Ok(()) };
        answer.rows.batches.iter().for_each(|batch| points.push(batch));
        match points.chart() {
            Some(chart) => self.print(&chart::drawn(&chart, &look)),
            None => Ok(()),
        }
    }

    /// The next page of the last answer.
    pub(crate) fn next_page(&mut self) -> Result<(), Failure> {
        self.page(PAGE)
    }

    /// Makes an answer the last one, already shown.
    pub(crate) fn keep(&mut self, query: String, answer: Answer) {
        self.query = query;
        self.last = Some(Answer { shown: answer.count(), ..answer });
    }

    /// Says what there is to say about the last run.
    pub(super) fn conclude(&self) {
        if let Some(answer) = self.last.as_ref().filter(|answer| self.timing || answer.summary.partial) {
            terminal::say(&answer.summary.text(u64::MAX));
        }
    }

    /// Shows the answer of a query up to the stage under the cursor.
    pub(crate) fn step_at(&mut self, text: &str, cursor: usize) -> Result<After, Failure> {
        let front = if text.trim_start().starts_with('|') { self.continued() } else { String::new() };
        match step::at(&format!("{front}{text}"), front.len() + cursor) {
            Some(step) => self.step(step),
            None => Ok(After::Go),
        }
    }

    /// Shows the first rows up to a stage. The whole query and its answer stay the last.
    pub(crate) fn step(&mut self, step: Step) -> Result<After, Failure> {
        let answer = self.answer(&format!("{}\n| limit {GLANCE}", step.text))?;
        if let Some(last) = &self.last {
            self.hold(&last.rows);
        }
        let stage = escape::lines(&step.stage).into_owned();
        self.print(&format!("stage {} of {}: {}\n", step.number, step.of, stage.lines().next().unwrap_or("")))?;
        let kept = self.last.replace(answer);
        let printed = self.page(GLANCE);
        self.last = kept;
        printed.map(|()| After::Go)
    }

    /// Keeps rows as the source `_`.
    fn hold(&self, rows: &Arc<Held>) {
        self.input.hold(rows);
        self.view.hold(rows);
    }

    /// Shows the events behind a row of the last answer, counted from one.
    pub(crate) fn pivot(&mut self, number: usize) -> Result<(), Failure> {
        let Some(answer) = &self.last else { return Err(wrong("\\pivot", "there is no answer yet")) };
        let found = number.checked_sub(1).and_then(|from| window(&answer.rows.batches, from, 1).into_iter().next());
        let Some(row) = found else {
            return Err(wrong("\\pivot", &format!("the answer has {}", counted(answer.count() as u64, "row"))));
        };
        let cell = |name: &str| {
            let place = answer.rows.columns.iter().position(|column| column == name)?;
            row.columns.get(place).map(|column| column.get(0).to_value())
        };
        let text = pivot::query(&answer.query, cell).map_err(|why| wrong("\\pivot", &why))?;
        self.print(&format!("{}\n", escape::lines(&text)))?;
        self.ask(&text)
    }

    /// How to write to the terminal.
    pub(crate) fn look(&self) -> Look {
        let title = self.last.as_ref().map_or(String::new(), |answer| answer.query.clone());
        Look { title, chart: self.chart, ..terminal::look(&self.common, false) }
    }

    /// Writes text that is safe to show.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut target = Target::open(None, false)?;
        target.writer().write_all(text.as_bytes()).map_err(output_error)?;
        Ok(target.commit()?)
    }

    /// Writes the last answer, all of it, to a file.
    pub(crate) fn export(&self, path: &Path, force: bool) -> Result<(), Failure> {
        let Some(answer) = &self.last else { return Err(wrong("\\export", "there is no answer yet")) };
        let format = Format::of_file(path).ok_or_else(|| {
            let name = path.display().to_string();
            wrong(&name, &format!("no format has this extension; there are {}", Format::extensions()))
        })?;
        let mut target = Target::open(Some(path), force)?;
        let crew = Some(run::control(&self.reading)?);
        let look = Look { width: None, color: false, crew, ..self.look() };
        let mut writer = output::writer(format, look, &answer.rows.columns, target.writer());
        let batches = &answer.rows.batches;
        batches
            .iter()
            .try_for_each(|batch| writer.write(batch))
            .and_then(|()| writer.finish())
            .map_err(output_error)?;
        drop(writer);
        target.commit()?;
        let rows = counted(answer.count() as u64, "row");
        let partial = if answer.summary.partial { " of an answer that is partial" } else { "" };
        terminal::say(&format!("{rows}{partial} written to {}\n", escape::visible(&path.display().to_string())));
        Ok(())
    }
}

impl Answer {
    fn count(&self) -> usize {
        self.rows.batches.iter().map(|batch| batch.rows).sum()
    }

    fn left(&self) -> usize {
        self.count() - self.shown
    }
}

/// Rows `from` to `from + most` of some batches.
fn window(batches: &[Batch], from: usize, most: usize) -> Vec<Batch> {
    let (mut skip, mut room) = (from, most);
    let mut out = Vec::new();
    for batch in batches {
        if room == 0 {
            break;
        }
        if skip >= batch.rows {
            skip -= batch.rows;
            continue;
        }
        let rows = (batch.rows - skip).min(room);
        let wanted: Vec<u32> = (skip as u32..(skip + rows) as u32).collect();
        out.push(if rows == batch.rows { batch.clone() } else { batch.take(&wanted) });
        room -= rows;
        skip = 0;
    }
    out
}

/// A parameter's value as the language writes it: as it stands where it is a literal, else a string.
fn literal(value: &str) -> String {
    let parsed = backsight_lang::parse(&format!("let x = {value}\nlimit 1"));
    if parsed.is_ok() && parsed.query.lets.len() == 1 && !value.contains('\n') {
        value.into()
    } else {
        quoted(value, '"')
    }
}

/// An error about a word of a command.
pub(crate) fn wrong(what: &str, why: &str) -> Failure {
    Error::Input { file: what.into(), offset: None, why: why.into() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::batch;
    use backsight_engine::value::Value;

    #[test]
    fn pages_of_batches() {
        let batches = [batch(vec![(0..5).map(Value::Int).collect()]), batch(vec![(5..8).map(Value::Int).collect()])];
        let page = |from, most| -> Vec<String> {
            let text = |v: backsight_engine::value::ValueRef<'_>| v.scalar_text().unwrap_or_default().into_owned();
            window(&batches, from, most)
                .iter()
                .flat_map(|b| b.columns[0].iter().map(text).collect::<Vec<_>>())
                .collect()
        };
        assert_eq!(page(0, 3), ["0", "1", "2"]);
        assert_eq!(page(3, 3), ["3", "4", "5"]);
        assert_eq!(page(6, 100), ["6", "7"]);
        assert_eq!(page(8, 3), [""; 0]);
    }

    #[test]
    fn parameters_are_literals_or_strings() {
        for (value, expected) in [
            ("20", "20"),
            ("5m", "5m"),
            ("-1", "-1"),
            ("true", "true"),
            ("[\"a\", 2]", "[\"a\", 2]"),
            ("\"quoted\"", "\"quoted\""),
            ("plain text", "\"plain text\""),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("1 | limit 3", "\"1 | limit 3\""),
        ] {
            assert_eq!(literal(value), expected, "{value}");
        }
    }
}
