//! Commands that take a value apart: `parse`, `unnest`, `expand`, `json`.

use super::call::table_call;
use super::lower::{Lowering, plural};
use super::{Expr, Op, ParsePattern, Slot};
use crate::source::Field;
use backsight_lang::ast::{self, ParseHow};
use backsight_lang::diag::Diagnostic;
use backsight_lang::glob::Glob;
use backsight_lang::span::Span;
use std::sync::Arc;

impl Lowering<'_> {
    /// `parse`: the columns its pattern gives.
    pub fn parse(&mut self, parse: &ast::Parse) {
        let input = match &parse.field {
            Some(e) => self.row_expr(e),
            None => match self.scope.system(Field::Message) {
                Some(slot) => Expr::Slot(slot),
                None => {
                    let span = parse_span(parse);
                    return self.error("E014", span, "`@message` is not available after `stats`");
                }
            },
        };
        let mut names: Vec<String> = parse.names.iter().map(|n| n.text.clone()).collect();
        let pattern = match &parse.how {
            ParseHow::Glob(glob) => {
                ParsePattern::Glob(Glob::new(&glob.raw).literals.into_iter().map(String::into_bytes).collect())
            }
            ParseHow::Regex { regex, multi, span } => {
                let (source, marked) = plain_group_names(&self.with_params(&regex.source(), *span));
                let Some(compiled) = self.regex(&source, *span) else { return };
                let Some(groups) = self.groups(&compiled, &mut names, *span) else { return };
                for (plain, name) in &marked {
                    names.iter_mut().filter(|n| *n == plain).for_each(|n| n.clone_from(name));
                }
                ParsePattern::Regex { regex: compiled, groups, multi: *multi }
            }
            ParseHow::Logfmt => ParsePattern::Logfmt,
            ParseHow::Csv => ParsePattern::Csv,
        };
        let outputs: Vec<Slot> = names.iter().map(|_| self.scope.slot()).collect();
        self.ops.push(Op::Parse { input, pattern, outputs: outputs.clone() });
        let columns: Vec<(String, Slot)> = names.into_iter().zip(outputs).collect();
        columns.iter().for_each(|(name, slot)| self.scope.create(name, *slot));
        self.scope.shown.append(&columns);
    }

    /// The capture groups that feed the names; fills `names` from named groups where there is no `as`.
    fn groups(&mut self, regex: &Arc<regex::bytes::Regex>, names: &mut Vec<String>, span: Span) -> Option<Vec<usize>> {
        let all = regex.captures_len() - 1;
        if all == 0 {
            self.report(
                Diagnostic::error("E022", span, "no capture group in the expression")
                    .help("name what to keep: `(?<name>…)`"),
            );
            return None;
        }
        if names.is_empty() {
            let named: Vec<(usize, String)> =
                regex.capture_names().enumerate().filter_map(|(i, n)| Some((i, n?.to_owned()))).collect();
            if named.is_empty() {
                self.report(
                    Diagnostic::error("E022", span, "no capture group has a name")
                        .help("name what to keep: `(?<name>…)`, or add `as`"),
                );
                return None;
            }
            *names = named.iter().map(|(_, n)| n.clone()).collect();
            return Some(named.into_iter().map(|(i, _)| i).collect());
        }
        if all != names.len() {
            let message =
                format!("expression has {} but {}", plural(all, "capture group"), plural(names.len(), "name"));
            self.error("E021", span, message);
            return None;
        }
        Some((1..=all).collect())
    }

    /// `unnest l into n`: a row for each element of a list.
    pub fn unnest(&mut self, list: Expr, name: &str) {
        let output = self.scope.slot();
        self.ops.push(Op::Unnest { list, output });
        self.scope.create(name, output);
        self.scope.shown.append(&[(name.to_owned(), output)]);
    }

    /// `expand f`: `unnest f into f`, where a string may hold a JSON array.
    pub fn expand(&mut self, e: &ast::Expr) {
        let list = self.row_expr(e);
        // Only a string that holds an array is read; a map, or the text of one, is a list of one.
        let is_list = table_call("ispresent", vec![table_call("jsonArraySize", vec![list.clone()])]);
        let parsed = table_call("if", vec![is_list, or_parsed(list.clone()), list]);
        let name = self.text_of(e);
        self.unnest(parsed, &name);
    }

    /// `json field=f "a.b" as n`: a part of a map, or of the JSON text of one.
    pub fn json(&mut self, field: &ast::Path, path: &ast::Text, alias: &ast::Name) {
        let e = ast::Expr { kind: ast::ExprKind::Path(field.clone()), span: field.span };
        let whole = or_parsed(self.row_expr(&e));
        let segments = path
            .text
            .split('.')
            .map(|s| match s.parse() {
                Ok(n) => ast::Segment::Index(n),
                Err(_) => ast::Segment::Name { text: s.to_owned(), quoted: false },
            })
            .collect();
        let slot = self.materialize(Expr::Member(Box::new(whole), segments));
        self.scope.create(&alias.text, slot);
        self.scope.shown.append(&[(alias.text.clone(), slot)]);
    }
}

/// The value, or what the JSON text it holds stands for.
fn or_parsed(e: Expr) -> Expr {
    table_call("coalesce", vec![table_call("jsonParse", vec![e.clone()]), e])
}

/// Group names that the regex engine does not take (`(?<@domain>…)`, as published queries write them) replaced by ones
/// it does: the new source, and each replacement with the name it stands for.
fn plain_group_names(source: &str) -> (String, Vec<(String, String)>) {
    let mut out = String::with_capacity(source.len());
    let mut replaced = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("(?<@").map(|a| a + 3).or_else(|| rest.find("(?P<@").map(|a| a + 4)) {
        let Some(end) = rest[at..].find('>') else { break };
        let name = &rest[at..at + end];
        let plain = format!("backsight_{}", replaced.len());
        out.push_str(&rest[..at]);
        out.push_str(&plain);
        replaced.push((plain, name.to_owned()));
        rest = &rest[at + end..];
    }
    out.push_str(rest);
    (out, replaced)
}

fn parse_span(parse: &ast::Parse) -> Span {
    match &parse.how {
        ParseHow::Glob(t) => t.span,
        ParseHow::Regex { span, .. } => *span,
        ParseHow::Logfmt | ParseHow::Csv => parse.names.first().map_or(Span::default(), |n| n.span),
    }
}
