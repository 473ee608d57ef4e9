//! Parameters and literals: what `let` declares, what the command line gives instead, and their values.

use super::lower::Lowering;
use crate::value::{Kind, Value, number};
use backsight_lang::ast::{self, ExprKind, LetValue, Query};
use backsight_lang::diag::Diagnostic;
use backsight_lang::span::Span;

/// A declared parameter.
#[derive(Clone, Debug)]
pub(super) enum Param {
    /// One value.
    Value(Value),
    /// A duration.
    Duration(ast::Duration),
    /// A list of values.
    List(Vec<Value>),
    /// A regular expression.
    Regex(String),
}

impl Lowering<'_> {
    /// Takes in the `let`s, and their overrides.
    pub fn declare(&mut self, query: &Query) {
        self.tables.extend(query.tables.iter().map(|t| (t.name.text.clone(), t.file.clone())));
        for declared in &query.lets {
            let param = match &declared.value {
                LetValue::One(e) => self.param_value(e),
                LetValue::List(all) => Param::List(all.iter().map(|e| self.literal(e).unwrap_or_default()).collect()),
            };
            let name = &declared.name.text;
            let param = match self.settings.params.iter().rev().find(|(n, _)| n == name) {
                Some((_, given)) => match override_param(&param, given) {
                    Some(p) => p,
                    None => {
                        self.error(
                            "E034",
                            declared.span,
                            format!("`{given}` does not fit the type of parameter `{name}`"),
                        );
                        param
                    }
                },
                None => param,
            };
            self.params.insert(name.clone(), param);
        }
        for (name, _) in &self.settings.params {
            if !self.params.contains_key(name) {
                let known: Vec<String> = self.params.keys().cloned().collect();
                let error = Diagnostic::error("E050", Span::default(), format!("undefined parameter `${name}`"));
                self.report(error.help_nearest(name, known.iter().map(String::as_str)));
            }
        }
    }

    fn param_value(&mut self, e: &ast::Expr) -> Param {
        match &e.kind {
            ExprKind::Duration(d) => Param::Duration(*d),
            ExprKind::Regex(regex) => Param::Regex(regex.source()),
            _ => Param::Value(self.literal(e).unwrap_or_default()),
        }
    }

    /// The value of a parameter (E050).
    pub fn param(&mut self, name: &str, span: Span) -> Value {
        match self.params.get(name).cloned() {
            Some(Param::Value(v)) => v,
            Some(Param::Regex(source)) => Value::string(source),
            Some(Param::Duration(d)) => self.duration_millis(d, span),
            Some(Param::List(_)) => {
                self.error("E002", span, format!("expected a value, found the list `${name}`"));
                Value::Null
            }
            None => {
                let known: Vec<String> = self.params.keys().map(|k| format!("${k}")).collect();
                let error = Diagnostic::error("E050", span, format!("undefined parameter `${name}`"));
                self.report(error.help_nearest(&format!("${name}"), known.iter().map(String::as_str)));
                Value::Null
            }
        }
    }

    /// A duration where a number is expected: its milliseconds.
    pub fn duration_millis(&mut self, d: ast::Duration, span: Span) -> Value {
        match d.millis() {
            Some(ms) => Value::Int(ms),
            None => {
                let error = Diagnostic::error(
                    "E034",
                    span,
                    "expected a period such as 5m: months and longer have no fixed length",
                );
                self.report(error);
                Value::Null
            }
        }
    }

    /// The value of a literal, negated literal or parameter; `None` for anything else.
    pub fn literal(&mut self, e: &ast::Expr) -> Option<Value> {
        match &e.kind {
            ExprKind::String(s) => Some(Value::string(s)),
            ExprKind::Number(n) => number_literal(n),
            ExprKind::Bool(b) => Some(Value::Bool(*b)),
            ExprKind::Null => Some(Value::Null),
            ExprKind::Duration(d) => Some(self.duration_millis(*d, e.span)),
            ExprKind::Param(name) => Some(self.param(name, e.span)),
            ExprKind::Negate(inner) => match self.literal(inner)? {
                Value::Int(n) => Some(Value::Int(n.checked_neg()?)),
                Value::Float(x) => Some(Value::Float(-x)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A number literal: an exact integer, an integer beyond 64 bits as its digits, or a float.
pub(super) fn number_literal(text: &str) -> Option<Value> {
    Some(match number::json(text.as_bytes())? {
        number::Number::Int(n) => Value::Int(n),
        number::Number::Float(x) => Value::Float(x),
        number::Number::Big(digits) => Value::Text(Kind::String, digits.as_bytes().into()),
    })
}

/// A parameter given on the command line, read as the type its `let` has.
fn override_param(declared: &Param, given: &str) -> Option<Param> {
    Some(match declared {
        Param::Duration(_) => Param::Duration(backsight_lang::duration(given)?),
        Param::Regex(_) => Param::Regex(given.to_owned()),
        Param::List(items) => {
            let parts = given.split(',').map(|part| override_value(items.first(), part.trim()));
            Param::List(parts.collect::<Option<_>>()?)
        }
        Param::Value(value) => Param::Value(override_value(Some(value), given)?),
    })
}

fn override_value(declared: Option<&Value>, given: &str) -> Option<Value> {
    Some(match declared {
        Some(Value::Int(_) | Value::Float(_)) => number_literal(given.trim())?,
        Some(Value::Bool(_)) => Value::Bool(given.trim().parse().ok()?),
        _ => Value::string(given),
    })
}
