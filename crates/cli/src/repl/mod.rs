//! The interactive prompt: queries over one input, one answer after another.

mod commands;
mod complete;
pub(crate) mod held;
mod helper;
mod pivot;
pub(crate) mod seen;
mod session;
mod step;
mod survey;

use crate::args::{Common, ReadArgs};
use crate::cancel;
use crate::config;
use crate::exit;
use crate::query::Failure;
use crate::run::Input;
use crate::terminal;
use backsight_engine::error::Error;
use helper::Guide;
use rustyline::config::BellStyle;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    KeyCode, KeyEvent, Modifiers, Movement, RepeatCount,
};
use session::{After, Session};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is asked for input with.
const PROMPT: &str = "backsight> ";
/// Queries that are kept.
const HISTORY: usize = 5_000;

/// Asks until the end of input.
pub(crate) fn repl(paths: &[OsString], reading: &ReadArgs, common: &Common) -> Result<u8, Failure> {
    let input = Arc::new(Input::open(paths, reading)?);
    cancel::stay();
    let mut session = Session::new(input, reading.clone(), common.clone());
    session.sample();
    let failed = |e: ReadlineError| Error::Io { what: "terminal".into(), source: std::io::Error::other(e) };
    let step = Arc::new(AtomicUsize::new(NO_STEP));
    let mut editor = editor(&session, &step).map_err(failed)?;
    let history = history_file();
    if let Some(file) = &history {
        // The first session has no history yet.
        let _ = editor.load_history(file);
    }
    // What the next line begins with, and where the cursor is in it.
    let mut typed: Option<(String, usize)> = None;
    loop {
        let read = match typed.take() {
            Some((text, at)) => editor.readline_with_initial(PROMPT, text.split_at(at)),
            None => editor.readline(PROMPT),
        };
        let line = match read {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(failed(e).into()),
        };
        let cursor = step.swap(NO_STEP, Ordering::Relaxed);
        if cursor != NO_STEP {
            report(session.step_at(&line, cursor), &session);
            let at = (0..=cursor.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            typed = Some((line, at));
            continue;
        }
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(line);
        match report(session.line(line), &session) {
            After::Go => {}
            After::Edit(text) => typed = Some((text.clone(), text.len())),
            After::Leave => break,
        }
    }
    if let Some(file) = &history {
        // History is a convenience; a home that cannot be written is no reason to fail.
        let _ = file.parent().map(std::fs::create_dir_all);
        let _ = editor.append_history(file);
    }
    Ok(exit::ANSWERED)
}

/// Whatever happens to one query, the prompt comes back.
fn report(result: Result<After, Failure>, session: &Session) -> After {
    result.unwrap_or_else(|failure| {
        crate::report(failure, session.common());
        After::Go
    })
}

fn editor(session: &Session, step: &Arc<AtomicUsize>) -> rustyline::Result<Editor<Guide, DefaultHistory>> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .completion_prompt_limit(200)
        .bell_style(BellStyle::None)
        // The highlighter also keeps what is pasted from steering the terminal, so it is asked without colour too.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Guide { words: session.words(), color: terminal::look(session.common(), false).color }));
    for key in [KeyEvent(KeyCode::F(5), Modifiers::NONE), KeyEvent::alt('s')] {
        editor.bind_sequence(Event::from(key), EventHandler::Conditional(Box::new(StepKey(Arc::clone(step)))));
    }
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    editor.bind_sequence(KeyEvent::ctrl('X'), Cmd::Kill(Movement::WholeBuffer));
    Ok(editor)
}

/// No step is asked for.
const NO_STEP: usize = usize::MAX;

/// The key that shows the answer up to the stage under the cursor: notes the place and hands the line in.
struct StepKey(Arc<AtomicUsize>);

impl ConditionalEventHandler for StepKey {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        if context.line().trim().is_empty() || helper::is_command(context.line()) {
            return Some(Cmd::Noop);
        }
        self.0.store(context.pos(), Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

/// `$XDG_STATE_HOME/backsight/history`, or its default place; none without a home.
fn history_file() -> Option<PathBuf> {
    Some(config::folder("state")?.join("history"))
}
