//! What the line editor asks while somebody types: colours, hints, candidates, whether the query is whole.

use super::commands;
use super::complete::{self, Candidate, Words};
use crate::escape;
use crate::reference;
use backsight_engine::{agg, func};
use backsight_lang::Class;
use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::SearchDirection;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use unicode_width::UnicodeWidthChar;

/// Answers the editor's questions.
pub(crate) struct Guide {
    /// What the session knows; the session adds to it.
    pub(crate) words: Arc<Mutex<Words>>,
    /// The terminal shows colour.
    pub(crate) color: bool,
}

impl Helper for Guide {}

impl Guide {
    fn words(&self) -> std::sync::MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a line is for the prompt and not a query.
pub(crate) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with('\\')
}

impl Completer for Guide {
    type Candidate = Candidate;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Candidate>)> {
        let before = &line[..pos];
        if !is_command(before) {
            return Ok(complete::query(before, &self.words()));
        }
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let typed = &before[start..];
        let words = self.words();
        let plain = |names: Vec<String>| complete::matching(names.into_iter().map(Candidate::plain), typed);
        let name = before.split_whitespace().next().unwrap_or("");
        if before.trim_start() == name {
            let start = before.len() - name.len();
            let names =
                commands::COMMANDS.iter().map(|c| Candidate { shown: c.usage(), text: format!("\\{} ", c.name) });
            return Ok((start, complete::matching(names, name)));
        }
        let found = match commands::find(&name[1..]).map(|c| c.takes) {
            Some(commands::Takes::Field) => {
                let (start, found) = complete::query(&format!("fields {typed}"), &words);
                return Ok((before.len() + start - 7 - typed.len(), found));
            }
            Some(commands::Takes::Query) => {
                let (at, found) = complete::query(before.trim_start().split_at(name.len()).1, &words);
                return Ok((before.len() - before.trim_start().len() + name.len() + at, found));
            }
            Some(commands::Takes::File) => {
                let (start, pairs) = FilenameCompleter::new().complete_path(before, pos)?;
                let found =
                    pairs.into_iter().filter(|pair| !pair.replacement.chars().any(escape::needs_json_escape)).map(
                        |pair| Candidate { shown: escape::visible(&pair.display).into_owned(), text: pair.replacement },
                    );
                return Ok((start, found.collect()));
            }
            Some(commands::Takes::Saved) => plain(words.queries.clone()),
            Some(commands::Takes::One(choices)) => plain(choices().into_iter().collect()),
            Some(commands::Takes::Nothing | commands::Takes::Text) | None => Vec::new(),
        };
        Ok((start, found))
    }
}

/// Text shown behind the cursor.
pub(crate) struct Ghost {
    text: String,
    /// → puts it into the line.
    insert: bool,
}

impl Hint for Ghost {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.insert.then_some(self.text.as_str())
    }
}

impl Hinter for Guide {
    type Hint = Ghost;

    fn hint(&self, line: &str, pos: usize, ctx: &Context<'_>) -> Option<Ghost> {
        // Without colour nothing would say that it is not there yet.
        if !self.color || pos < line.len() || line.trim().is_empty() {
            return None;
        }
        if let Some(text) = form_hint(line) {
            return Some(Ghost { text, insert: false });
        }
        let index = ctx.history_index().checked_sub(usize::from(ctx.history_index() == ctx.history().len()))?;
        let found = ctx.history().starts_with(line, index, SearchDirection::Reverse).ok()??;
        let rest = found.entry.get(pos..).filter(|rest| !rest.is_empty() && !rest.contains('\n'))?;
        let safe = !rest.chars().any(escape::needs_json_escape);
        safe.then(|| Ghost { text: rest.to_string(), insert: true })
    }
}

/// What a call or a command just begun takes.
fn form_hint(line: &str) -> Option<String> {
    if is_command(line) {
        let name = line.trim_start().strip_prefix('\\')?;
        let args = commands::find(name.strip_suffix(' ')?)?.args;
        return (!args.is_empty()).then(|| args.to_string());
    }
    let tokens = backsight_lang::tokens(line);
    let (last, class) = tokens.last()?;
    if last.text(line) == "(" && last.end == line.len() {
        let (name, _) = tokens.iter().rev().nth(1).filter(|(_, class)| *class == Class::Function)?;
        let name = name.text(line);
        let form = func::find(name)
            .map(|f| reference::form(f.name, f.params, f.optional, f.variadic))
            .or_else(|| agg::find(name).map(|a| reference::form(a.name, a.params, a.optional, false)))?;
        return form.split_once('(').map(|(_, args)| args.to_string());
    }
    if *class == Class::Command && line.ends_with(' ') && line.trim_end().len() == last.end {
        let command = backsight_lang::commands::find(last.text(line))?;
        return command.syntax.split_once(' ').map(|(_, rest)| rest.to_string());
    }
    None
}

impl Validator for Guide {
    fn validate(&self, ctx: &mut ValidationContext) -> Result<ValidationResult> {
        let text = ctx.input();
        let whole = is_command(text) || text.trim().is_empty() || backsight_lang::is_complete(text);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Highlighter for Guide {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        match (self.color, is_command(line)) {
            (true, false) => Cow::Owned(colored(line)),
            _ => inert(line),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        if self.color { Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[90m{hint}\x1b[0m"))
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

fn colored(line: &str) -> String {
    let mut out = String::with_capacity(line.len() * 2);
    let mut at = 0;
    for (span, class) in backsight_lang::tokens(line) {
        let color = match class {
            Class::Command => "1;34",
            Class::Keyword => "34",
            Class::Function => "36",
            Class::Parameter => "35",
            Class::String | Class::Regex => "32",
            Class::Number => "33",
            Class::Comment => "90",
            Class::Error => "31",
            Class::Name | Class::Operator => "",
        };
        out.push_str(&inert(&line[at..span.start]));
        let text = inert(span.text(line));
        if color.is_empty() {
            out.push_str(&text);
        } else {
            // A line feed inside a colour would take it along to the next prompt.
            out.push_str(&format!("\x1b[{color}m{text}\x1b[0m"));
        }
        at = span.end;
    }
    out + &inert(&line[at..])
}

/// The text as it may be typed to a terminal: of the same width, without what steers it or takes no room.
fn inert(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && c != '\t' && escape::needs_json_escape(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if escape::needs_json_escape(c) => out.push_str(&" ".repeat(c.width().unwrap_or(0))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_nothing_else() {
        let color = regex::Regex::new("\x1b\\[[0-9;]*m").expect("a pattern");
        for text in ["fields a, strlen(b) as c | filter d = \"x\" # why", "日本 | é = 'open", "", "filter a\n| limit 3"]
        {
            let plain = color.replace_all(&colored(text), "").into_owned();
            assert_eq!(plain, text);
        }
        assert!(
            !colored("fields \x1b]0;x\x07 \u{202e}\u{200b}a")
                .replace("\x1b[", "")
                .contains(['\x1b', '\x07', '\u{202e}', '\u{200b}'])
        );
    }

    #[test]
    fn hints_show_what_comes_next() {
        for (line, hint) in [
            ("filter strlen(", Some("s)")),
            ("stats count_distinct(", Some("x)")),
            ("filter ", Some("condition")),
            ("fields a | sort ", Some("e [asc|desc], …")),
            ("\\top ", Some("FIELD [N]")),
            ("fields a", None),
            ("fields nosuch(", None),
        ] {
            assert_eq!(form_hint(line).as_deref(), hint, "{line}");
        }
    }
}
