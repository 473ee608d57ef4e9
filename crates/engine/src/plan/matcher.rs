//! Regular expressions: what `like` and `=~` look for, and parameters inside of expressions: `/^\/api\/$route/`.

use super::expr::Context;
use super::lower::Lowering;
use super::param::Param;
use super::{Expr, Matcher};
use crate::value::Value;
use backsight_lang::ast::{self, ExprKind};
use backsight_lang::diag::Diagnostic;
use backsight_lang::span::Span;
use regex::bytes::{Regex, RegexBuilder};
use std::sync::Arc;

/// Compiled regular expressions may take this much memory; more is refused (`(x{1000}){1000}`).
const REGEX_BYTES: usize = 10 << 20;

impl Lowering<'_> {
    /// What `like` looks for, or `=~` where `regex_op`.
    pub fn matcher(&mut self, cx: &mut Context<'_>, right: &ast::Expr, regex_op: bool) -> Matcher {
        if let Some(source) = self.regex_source(right) {
            return match self.regex(&source, right.span) {
                Some(regex) => Matcher::Regex(regex),
                None => Matcher::SubstringOf(Box::new(Expr::Literal(Value::Null))),
            };
        }
        let value = self.expr(cx, right);
        let Expr::Literal(literal) = &value else {
            return if regex_op { Matcher::RegexOf(Box::new(value)) } else { Matcher::SubstringOf(Box::new(value)) };
        };
        let Some(text) = literal.as_ref().text() else { return Matcher::SubstringOf(Box::new(value)) };
        if regex_op {
            return match self.regex(&String::from_utf8_lossy(&text), right.span) {
                Some(regex) => Matcher::Regex(regex),
                None => Matcher::SubstringOf(Box::new(Expr::Literal(Value::Null))),
            };
        }
        if text.contains(&b'%') {
            let warning = Diagnostic::warning("W003", right.span, "`%` is an ordinary character in `like`");
            self.report(
                warning
                    .help("`like` looks for the text anywhere; use a regular expression such as `/^a.*b$/` for more"),
            );
        }
        Matcher::Substring(Arc::new(memchr::memmem::Finder::new(&*text).into_owned()))
    }

    /// Compiles a regular expression (E020).
    pub fn regex(&mut self, source: &str, span: Span) -> Option<Arc<Regex>> {
        match RegexBuilder::new(source).size_limit(REGEX_BYTES).build() {
            Ok(regex) => Some(Arc::new(regex)),
            Err(error) => {
                self.report(
                    Diagnostic::error("E020", span, "invalid regular expression").help(regex_reason(source, &error)),
                );
                None
            }
        }
    }

    /// The source of a regular expression: a literal, or a parameter of that type.
    fn regex_source(&mut self, e: &ast::Expr) -> Option<String> {
        match &e.kind {
            ExprKind::Regex(regex) => Some(self.with_params(&regex.source(), e.span)),
            ExprKind::Param(name) => match self.params.get(name) {
                Some(Param::Regex(source)) => Some(source.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// A regular expression in which each `$name` of a declared parameter is replaced: by its expression, or by what
    /// matches exactly its text, or one of its texts. Any other `$` keeps its meaning; alone, `/$name/` must be declared
    /// (E050).
    pub fn with_params(&mut self, source: &str, span: Span) -> String {
        let mut out = String::new();
        let mut rest = source;
        while let Some((before, name, after)) = next(rest) {
            out.push_str(before);
            match self.params.get(name) {
                Some(Param::Regex(source)) => out.push_str(&format!("(?:{source})")),
                Some(Param::List(values)) => {
                    let texts: Vec<String> = values.iter().map(exactly).collect();
                    out.push_str(&format!("(?:{})", texts.join("|")));
                }
                Some(Param::Value(_) | Param::Duration(_)) => {
                    let value = self.param(name, span);
                    out.push_str(&exactly(&value));
                }
                None => {
                    if name.len() + 1 == source.len() {
                        self.lone_param(name, span);
                    }
                    out.push('$');
                    out.push_str(name);
                }
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// `/$name/` without such a parameter: an error where the query declares any; else it is what it says, which
    /// matches nothing.
    fn lone_param(&mut self, name: &str, span: Span) {
        if self.params.is_empty() {
            let note =
                Diagnostic::note("N024", span, format!("`/${name}/` matches nothing: `$` is the end of the text"));
            self.report(note.help(format!("for a parameter, declare it: `let {name} = /…/`")));
        } else {
            self.param(name, span);
        }
    }
}

/// A regular expression that matches a value's text and nothing else.
fn exactly(value: &Value) -> String {
    regex::escape(&value.as_ref().text().map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default())
}

/// Why a regular expression was refused, in one line.
fn regex_reason(source: &str, error: &regex::Error) -> String {
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|p| source.contains(p)) {
        return "look-around is not supported: the engine takes time linear in the text".into();
    }
    match error {
        regex::Error::CompiledTooBig(_) => "the expression is too large once its repetitions are expanded".into(),
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ");
            if reason.contains("backreference") {
                "back-references are not supported".into()
            } else {
                reason.to_owned()
            }
        }
        other => other.to_string(),
    }
}

/// The first `$name` of a regular expression that is neither escaped nor in a character class: what stands before it,
/// its name, and what stands behind.
pub(super) fn next(source: &str) -> Option<(&str, &str, &str)> {
    let bytes = source.as_bytes();
    // Character classes open here; in one, the first character is never its end.
    let mut classes = 0u32;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => {
                classes += 1;
                at += usize::from(bytes.get(at + 1) == Some(&b'^'));
                at += usize::from(bytes.get(at + 1) == Some(&b']'));
            }
            b']' => classes = classes.saturating_sub(1),
            b'$' if classes == 0 => {
                let behind = &source[at + 1..];
                let end = behind.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(behind.len());
                if end > 0 && !behind.starts_with(|c: char| c.is_ascii_digit()) {
                    return Some((&source[..at], &behind[..end], &behind[end..]));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn where_parameters_stand() {
        for (source, found) in [
            ("$a", Some(("", "a", ""))),
            ("^/x/$route_2/?$", Some(("^/x/", "route_2", "/?$"))),
            (r"\$a|$b", Some((r"\$a|", "b", ""))),
            ("[$a]$b", Some(("[$a]", "b", ""))),
            ("[]$a]x", None),
            ("[^]$a]$", None),
            ("a$", None),
            ("$1|$", None),
        ] {
            assert_eq!(next(source), found, "{source}");
        }
    }
}
