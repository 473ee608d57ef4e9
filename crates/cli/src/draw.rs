//! Draws diagnostics: code, message, the text underlined, one way out.

use crate::escape;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use backsight_lang::diag::{Diagnostic, Severity};
use backsight_lang::span::Span;
use std::borrow::Cow;

/// A query and what to call it: the file it came from, or `query`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// The name shown before line and column.
    pub(crate) name: &'a str,
    /// The text the spans are about.
    pub(crate) text: &'a str,
}

/// All diagnostics, an empty line between them, ended by a line feed.
pub(crate) fn diagnostics(source: Text<'_>, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for (i, diagnostic) in diagnostics.iter().enumerate() {
        out.push_str(if i > 0 { "\n" } else { "" });
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let name = escape::visible(source.name);
        let (text, span) = drawable(source.text, within(source.text, diagnostic.span));
        let snippet = Snippet::source(text).path(name.as_ref()).annotation(AnnotationKind::Primary.span(span));
        let title = level.primary_title(escape::visible(&diagnostic.message)).id(diagnostic.code);
        let mut group = Group::with_title(title).element(snippet);
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(escape::visible(help)));
        }
        out.push_str(&renderer.render(&[group]));
        out.push('\n');
    }
    out
}

/// Line and column of a byte, both from 1; the column counts characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..floor(text, at)];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The text and a span of it without what the renderer would let through to the terminal: C1 controls, marks that
/// reorder text, characters that take no room. Each becomes U+FFFD; C0 controls the renderer shows itself.
fn drawable(text: &str, span: std::ops::Range<usize>) -> (Cow<'_, str>, std::ops::Range<usize>) {
    let let_through = |c: char| u32::from(c) >= 0x80 && escape::needs_json_escape(c);
    if !text.contains(let_through) {
        return (Cow::Borrowed(text), span);
    }
    let mut out = String::with_capacity(text.len());
    let (mut start, mut end) = (None, None);
    for (at, c) in text.char_indices() {
        if at == span.start {
            start = Some(out.len());
        }
        if at == span.end {
            end = Some(out.len());
        }
        out.push(if let_through(c) { char::REPLACEMENT_CHARACTER } else { c });
    }
    let (start, end) = (start.unwrap_or(out.len()), end.unwrap_or(out.len()));
    (Cow::Owned(out), start..end)
}

/// The span cut to the text and widened to whole characters.
fn within(text: &str, span: Span) -> std::ops::Range<usize> {
    let start = floor(text, span.start);
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, span: Span, message: &str, help: Option<&str>) -> String {
        let mut diagnostic = Diagnostic::error("E010", span, message);
        diagnostic.help = help.map(str::to_string);
        diagnostics(Text { name: "query", text }, &[diagnostic], false)
    }

    #[test]
    fn an_error_shows_where_what_and_a_way_out() {
        let text = "fields ip\n| filter strcontain(path, \"..\")";
        let at = text.find("strcontain").expect("is there");
        let out =
            drawn(text, Span::new(at, at + 10), "unknown function `strcontain`", Some("did you mean `strcontains`?"));
        assert_eq!(
            out,
            "error[E010]: unknown function `strcontain`\n --> query:2:10\n  |\n2 | | filter strcontain(path, \"..\")\n  |          ^^^^^^^^^^\n  |\n  = help: did you mean `strcontains`?\n"
        );
    }

    #[test]
    fn any_span_of_any_text_can_be_drawn() {
        for text in ["", "é", "filter a = “x”\r\n\t|", "\x1b[31m\u{202e}", "\u{9b}2J é\u{200b}", "a\n\n\n"] {
            for start in 0..text.len() + 2 {
                for end in start..text.len() + 3 {
                    let out = drawn(text, Span::new(start, end), "m\x1b[0m", None);
                    assert!(
                        out.contains("m\\x1b[0m") && !out.contains(['\x1b', '\u{202e}', '\u{9b}', '\u{200b}']),
                        "{out:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn several_are_reported_together() {
        let text = "filtr a | limitt 1";
        let both = [
            Diagnostic::error("E001", Span::new(0, 5), "unknown command `filtr`"),
            Diagnostic::warning("W003", Span::new(10, 16), "unknown command `limitt`"),
        ];
        let out = diagnostics(Text { name: "q.bsq", text }, &both, false);
        assert!(out.contains("error[E001]") && out.contains("q.bsq:1:1") && out.contains("^^^^^"), "{out}");
        assert!(out.contains("warning[W003]") && out.contains("q.bsq:1:11"), "{out}");
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(line_and_column("ab\ncé=d", 0), (1, 1));
        assert_eq!(line_and_column("ab\ncé=d", 6), (2, 3));
        assert_eq!(line_and_column("ab", 99), (1, 3));
    }
}
