//! The interactive prompt: queries over one input, one answer after another.

use crate::args::{Common, OutputArgs, ReadArgs};
use crate::draw::Text;
use crate::exit;
use crate::output::Format;
use crate::query::{Desk, Failure};
use crate::run::Input;
use crate::terminal;
use backsight_engine::error::Error;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Editor, Helper};
use std::ffi::OsString;
use std::path::PathBuf;

/// Rows of an answer that are printed.
const MOST_ROWS: u64 = 1_000;

const HELP: &str = "\
A query runs when it is complete: Enter after `|`, `,` or inside brackets goes on in the next line.
  \\q       leave (also Ctrl-D)
  \\?       this help
  \\f NAME  answer format: table, vertical, json, ndjson, csv, tsv, markdown
The language: `backsight commands`, `backsight functions`.
";

/// Asks until the end of input.
pub(crate) fn repl(paths: &[OsString], reading: &ReadArgs, common: &Common) -> Result<u8, Failure> {
    let input = std::sync::Arc::new(Input::open(paths, reading)?);
    let failed = |e: ReadlineError| Error::Io { what: "terminal".into(), source: std::io::Error::other(e) };
    let mut editor: Editor<Whole, DefaultHistory> = Editor::new().map_err(failed)?;
    editor.set_helper(Some(Whole));
    let history = history_file();
    if let Some(file) = &history {
        // The first session has no history yet.
        let _ = editor.load_history(file);
    }
    let output = OutputArgs::default();
    let mut format = terminal::look(common, false).default_format();
    loop {
        let line = match editor.readline("backsight> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(failed(e).into()),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(line);
        match line.strip_prefix('\\').map(|c| c.split_once(' ').unwrap_or((c, ""))) {
            None => {
                let desk = Desk { input: &input, reading, output: &output, format, common, most_rows: MOST_ROWS };
                let source = Text { name: "query", text: line };
                // Whatever happens to one query, the prompt comes back.
                if let Err(error) = desk.answer(source) {
                    crate::report(Failure::of(error, source), common);
                }
            }
            Some(("q", _)) => break,
            Some(("f", name)) => match <Format as clap::ValueEnum>::from_str(name.trim(), true) {
                Ok(chosen) => format = chosen,
                Err(_) => terminal::say(HELP),
            },
            Some(_) => terminal::say(HELP),
        }
    }
    if let Some(file) = &history {
        // History is a convenience; a home that cannot be written is no reason to fail.
        let _ = file.parent().map(std::fs::create_dir_all);
        let _ = editor.save_history(file);
    }
    Ok(exit::ANSWERED)
}

/// `$XDG_STATE_HOME/backsight/history`, or its default place; none without a home.
fn history_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("backsight").join("history"))
}

/// Lets Enter go on in the next line while the query is not complete.
struct Whole;

impl Helper for Whole {}
impl Completer for Whole {
    type Candidate = String;
}
impl Hinter for Whole {
    type Hint = String;
}
impl Highlighter for Whole {}

impl Validator for Whole {
    fn validate(&self, ctx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = ctx.input();
        let complete =
            text.trim_start().starts_with('\\') || text.trim().is_empty() || backsight_lang::is_complete(text);
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}
