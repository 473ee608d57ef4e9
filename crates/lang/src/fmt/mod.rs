//! Syntax tree to canonical text. The text reads back as the same tree, and formatting it again changes nothing.
//!
//! One stage a line, each behind the first with `| `; sub-queries indented; keywords in lower case; commands in their
//! canonical spelling. Comments keep their line: one of its own before a stage, or the end of a stage's line.

mod expr;
mod stage;
mod word;

use crate::ast::{Comment, Expr, Query, Stage, StageKind};
use crate::lex::lex;
use crate::lex::token::{Token, TokenKind};
use crate::parse::expr::Binding;
use crate::span::Span;

/// One level of nesting.
const INDENT: &str = "    ";

/// The canonical text of `query`, without a newline at the end. `source` must be the text it was parsed from: comments
/// and the columns without a name of their own are taken from there. What could not be parsed stays as it is.
pub fn format(query: &Query, source: &str) -> String {
    let mut printer = Printer::new(source, &query.comments);
    let mut out = String::new();
    printer.block(query, source.len(), &mut out);
    out.truncate(out.trim_end().len());
    out
}

/// The canonical text of one expression.
pub fn format_expr(expr: &Expr) -> String {
    Printer::new("", &[]).expr(expr, Binding::Or)
}

/// What is needed to print: the source for what is kept of it, and how far its comments have been printed.
struct Printer<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    comments: &'a [Comment],
    /// Index of the first comment that has not been printed.
    next_comment: usize,
    /// Comments inside the stage being printed, outside of its sub-queries.
    inner: Vec<&'a Comment>,
    level: usize,
}

/// What a block is made of.
enum Line<'q> {
    Declaration(&'q crate::ast::Let),
    Table(&'q crate::ast::Table),
    Stage { stage: &'q Stage, first: bool },
}

impl Line<'_> {
    fn span(&self) -> Span {
        match self {
            Line::Declaration(declared) => declared.span,
            Line::Table(table) => table.span,
            Line::Stage { stage, .. } => stage.span,
        }
    }
}

impl<'a> Printer<'a> {
    fn new(source: &'a str, comments: &'a [Comment]) -> Printer<'a> {
        Printer { source, tokens: lex(source).tokens, comments, next_comment: 0, inner: Vec::new(), level: 0 }
    }

    /// The lines of a query and the comments before byte `end`, each line with its newline.
    fn block(&mut self, query: &Query, end: usize, out: &mut String) {
        let mut lines: Vec<Line<'_>> = query.lets.iter().map(Line::Declaration).collect();
        lines.extend(query.tables.iter().map(Line::Table));
        lines.sort_by_key(|line| line.span().start);
        lines.extend(query.stages.iter().enumerate().map(|(at, stage)| Line::Stage { stage, first: at == 0 }));
        for (at, line) in lines.iter().enumerate() {
            let next = lines.get(at + 1).map_or(end, |next| next.span().start);
            self.line(line, next, out);
        }
        self.own_lines(end, out);
    }

    /// One line with the comments before, inside and behind it. `next`: where the next line's text starts.
    fn line(&mut self, line: &Line<'_>, next: usize, out: &mut String) {
        let span = line.span();
        self.own_lines(span.start, out);
        let outer = std::mem::take(&mut self.inner);
        let (pipe, text) = match line {
            Line::Declaration(declared) => ("", self.declaration(declared)),
            Line::Table(table) => ("", self.table(table)),
            Line::Stage { stage, first } => (if *first { "" } else { "| " }, self.stage(stage)),
        };
        self.set_inner(span.end);
        if matches!(line, Line::Stage { stage: Stage { kind: StageKind::Broken, .. }, .. }) {
            // Its text is the source's, comments and all.
            self.inner.clear();
        }
        for comment in std::mem::replace(&mut self.inner, outer) {
            self.push_line(&comment.text, out);
        }
        if pipe.is_empty() && self.blank_before(span.start) && !out.is_empty() {
            out.push('\n');
        }
        let trailing = self.comments.get(self.next_comment).filter(|comment| {
            let gap = self.source.get(span.end..comment.span.start);
            comment.span.start < next && gap.is_some_and(|gap| !gap.contains('\n'))
        });
        match trailing {
            Some(comment) => {
                self.next_comment += 1;
                self.push_line(&format!("{pipe}{text} {}", comment.text), out);
            }
            None => self.push_line(&format!("{pipe}{text}"), out),
        }
    }

    fn push_line(&self, text: &str, out: &mut String) {
        out.push_str(&INDENT.repeat(self.level));
        out.push_str(text);
        out.push('\n');
    }

    /// The comments before byte `end` that are left, each on a line of its own. A blank line before one is kept.
    fn own_lines(&mut self, end: usize, out: &mut String) {
        while let Some(comment) = self.comments.get(self.next_comment).filter(|c| c.span.start < end) {
            if self.blank_before(comment.span.start) && !out.is_empty() {
                out.push('\n');
            }
            self.push_line(&comment.text, out);
            self.next_comment += 1;
        }
    }

    /// Sets the comments before byte `end` that are left aside for the stage being printed.
    fn set_inner(&mut self, end: usize) {
        while let Some(comment) = self.comments.get(self.next_comment).filter(|c| c.span.start < end) {
            self.inner.push(comment);
            self.next_comment += 1;
        }
    }

    /// `( query )` over several lines.
    fn sub_query(&mut self, query: &Query) -> String {
        let behind = self.tokens.partition_point(|token| token.span.start < query.span.end);
        let before = self.tokens.partition_point(|token| token.span.start < query.span.start);
        let open = before.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.start);
        let close = self.tokens.get(behind).map_or(query.span.end, |token| token.span.start);
        self.set_inner(open);
        self.level += 1;
        let mut out = String::new();
        self.block(query, close, &mut out);
        self.level -= 1;
        format!("(\n{out}{})", INDENT.repeat(self.level))
    }

    /// Whether an empty line stands right before byte `at`.
    fn blank_before(&self, at: usize) -> bool {
        let before = self.source.get(..at).unwrap_or("");
        let gap = &before[before.trim_end().len()..];
        gap.matches('\n').count() > 1
    }

    /// The source text at `span`.
    fn source_text(&self, span: Span) -> &'a str {
        self.source.get(span.start..span.end).unwrap_or("").trim_end()
    }

    /// The source at `span` with white space and comments collapsed to single spaces; `None` without a source.
    fn collapsed(&self, span: Span) -> Option<String> {
        let first = self.tokens.partition_point(|token| token.span.start < span.start);
        let mut text = String::new();
        let mut end = span.start;
        for token in self.tokens.iter().skip(first) {
            if token.span.end > span.end || matches!(token.kind, TokenKind::End) {
                break;
            }
            if token.span.start > end {
                text.push(' ');
            }
            text.push_str(token.span.text(self.source));
            end = token.span.end;
        }
        (!text.is_empty()).then_some(text)
    }
}
