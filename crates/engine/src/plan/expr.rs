//! Expressions: names to slots, calls to table rows, literals to values.

use super::lower::Lowering;
use super::param::{Param, number_literal};
use super::spelling::without_parentheses;
use super::stats::Groups;
use super::{CompareOp, Expr, Slot};
use crate::agg;
use crate::value::Value;
use crate::value::set::Set;
use backsight_lang::ast::{self, BinaryOp, ExprKind, InSet, Segment};
use backsight_lang::diag::Diagnostic;
use backsight_lang::span::Span;
use std::sync::Arc;

/// Where an expression stands.
pub(super) enum Context<'g> {
    /// Over the rows of the current scope.
    Rows,
    /// An argument of an aggregate, or a group key: over rows, where earlier aggregates are columns by their text.
    Argument,
    /// An item of `stats`: over groups.
    Groups(&'g mut Groups),
}

impl Lowering<'_> {
    /// Lowers an expression. Errors are reported, and the expression is then null.
    pub fn expr(&mut self, cx: &mut Context<'_>, e: &ast::Expr) -> Expr {
        if let Some(found) = self.by_text(cx, e) {
            return found;
        }
        match &e.kind {
            ExprKind::String(s) => Expr::Literal(Value::string(s)),
            ExprKind::Number(n) => Expr::Literal(number_literal(n).unwrap_or_default()),
            ExprKind::Bool(b) => Expr::Literal(Value::Bool(*b)),
            ExprKind::Null | ExprKind::Broken => Expr::Literal(Value::Null),
            ExprKind::Duration(d) => Expr::Literal(self.duration_millis(*d, e.span)),
            ExprKind::Regex(regex) => Expr::Literal(Value::string(self.with_params(&regex.source(), e.span))),
            ExprKind::Param(name) => Expr::Literal(self.param(name, e.span)),
            ExprKind::Path(path) => self.path(cx, path),
            ExprKind::Member { base, segments } => self.member(cx, base, segments),
            ExprKind::Call { name, args, star } => self.call(cx, e, name, args, *star),
            ExprKind::Negate(inner) => match self.expr(cx, inner) {
                Expr::Literal(Value::Int(n)) => Expr::Literal(n.checked_neg().map_or(Value::Null, Value::Int)),
                Expr::Literal(Value::Float(x)) => Expr::Literal(Value::Float(-x)),
                other => Expr::Negate(Box::new(other)),
            },
            ExprKind::Not(inner) => Expr::Not(Box::new(self.expr(cx, inner))),
            ExprKind::Binary { op, left, right, .. } => self.binary(cx, *op, left, right),
            ExprKind::Like { left, right, negated, regex_op } => {
                let input = Box::new(self.expr(cx, left));
                negate(Expr::Like(input, self.matcher(cx, right, *regex_op)), *negated)
            }
            ExprKind::In { left, set, negated } => {
                let input = self.expr(cx, left);
                negate(self.membership(cx, input, set), *negated)
            }
        }
    }

    /// After `stats`, an expression whose text is that of an unaliased column is that column.
    fn by_text(&mut self, cx: &mut Context<'_>, e: &ast::Expr) -> Option<Expr> {
        if matches!(
            e.kind,
            ExprKind::String(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null | ExprKind::Path(_)
        ) {
            return None;
        }
        let text = self.text_of(e);
        let text = without_parentheses(&text);
        match cx {
            Context::Rows | Context::Argument => {
                self.scope.by_text(text).or_else(|| self.aliased(text, e.span)).map(Expr::Slot)
            }
            // A call of an aggregate is always a new one.
            Context::Groups(_) if matches!(&e.kind, ExprKind::Call { name, .. } if agg::find(&name.text).is_some()) => {
                None
            }
            Context::Groups(groups) => groups.key_by_text(text).map(Expr::Slot),
        }
    }

    /// The column that a `stats` has computed by this text and given another name: read as that, with a note.
    fn aliased(&mut self, text: &str, span: Span) -> Option<Slot> {
        let (name, slot) = self.scope.by_aliased_text(text)?;
        let note = Diagnostic::note("N022", span, format!("`{text}` is read as the column `{name}`"));
        self.report(note.help("after `stats … as name` a column goes by its name"));
        Some(slot)
    }

    /// A field, or a column, by its name.
    pub fn path(&mut self, cx: &mut Context<'_>, path: &ast::Path) -> Expr {
        if !self.joins.is_empty()
            && !matches!(cx, Context::Groups(_))
            && let Some(found) = self.joined(path)
        {
            return found;
        }
        let resolved = match cx {
            Context::Rows | Context::Argument => self.scope.resolve(path).map(|r| (r.slot, r.rest)),
            Context::Groups(groups) => groups.resolve(path),
        };
        if let Some((slot, rest)) = resolved {
            return if rest.is_empty() { Expr::Slot(slot) } else { Expr::Member(Box::new(Expr::Slot(slot)), rest) };
        }
        let name = path.text();
        if matches!(cx, Context::Rows | Context::Argument)
            && let Some(slot) = self.aliased(&name, path.span)
        {
            return Expr::Slot(slot);
        }
        let diagnostic = match cx {
            Context::Groups(_) => Diagnostic::error(
                "E013",
                path.span,
                format!("`{name}` must be inside an aggregate or listed after `by`"),
            ),
            Context::Rows | Context::Argument => {
                let names = self.scope.names();
                let error = Diagnostic::error("E014", path.span, format!("`{name}` is not available after `stats`"));
                let near = backsight_lang::diag::nearest(&name, names.iter().copied()).map(str::to_owned);
                match near {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("available: {}", names.join(", "))),
                }
            }
        };
        self.report(diagnostic);
        Expr::Literal(Value::Null)
    }

    fn member(&mut self, cx: &mut Context<'_>, base: &ast::Expr, segments: &[Segment]) -> Expr {
        match self.expr(cx, base) {
            Expr::Literal(Value::Null) => Expr::Literal(Value::Null),
            inner => Expr::Member(Box::new(inner), segments.to_vec()),
        }
    }

    fn binary(&mut self, cx: &mut Context<'_>, op: BinaryOp, left: &ast::Expr, right: &ast::Expr) -> Expr {
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            let mut all = Vec::new();
            flatten(op, left, &mut all);
            flatten(op, right, &mut all);
            let all = all.into_iter().map(|e| self.expr(cx, e)).collect();
            return if op == BinaryOp::And { Expr::And(all) } else { Expr::Or(all) };
        }
        let (l, r) = (Box::new(self.expr(cx, left)), Box::new(self.expr(cx, right)));
        match CompareOp::of(op) {
            Some(compare) => Expr::Compare(compare, l, r),
            None => Expr::Arithmetic(op, l, r),
        }
    }

    fn membership(&mut self, cx: &mut Context<'_>, input: Expr, set: &InSet) -> Expr {
        match set {
            InSet::List(items, _) => {
                let items: Vec<Expr> = items.iter().map(|e| self.expr(cx, e)).collect();
                let literals: Option<Vec<Value>> = items
                    .iter()
                    .map(|e| match e {
                        Expr::Literal(v) => Some(v.clone()),
                        _ => None,
                    })
                    .collect();
                match literals {
                    Some(values) => Expr::In(Box::new(input), Arc::new(Set::new(values))),
                    None => Expr::Or(
                        items
                            .into_iter()
                            .map(|e| Expr::Compare(CompareOp::Eq, Box::new(input.clone()), Box::new(e)))
                            .collect(),
                    ),
                }
            }
            InSet::Param(name) => match self.params.get(&name.text).cloned() {
                Some(Param::List(values)) => Expr::In(Box::new(input), Arc::new(Set::new(values))),
                _ => {
                    let value = self.param(&name.text, name.span);
                    Expr::In(Box::new(input), Arc::new(Set::new([value])))
                }
            },
            InSet::Query(query) => {
                let plan = self.nested(query);
                if plan.shown.len() != 1 {
                    let found = plan.columns().join(", ");
                    let error = Diagnostic::error("E053", query.span, "sub-query must return exactly one column");
                    self.report(error.help(format!("it returns {found}: end it with `fields` or `display` of one")));
                }
                self.sets.push(super::tables::SetSource::Query(Box::new(plan)));
                Expr::InQuery(Box::new(input), self.sets.len() - 1)
            }
            InSet::Table { name, column } => self.in_table(input, name, column.as_ref()),
        }
    }
}

fn negate(e: Expr, negated: bool) -> Expr {
    if negated { Expr::Not(Box::new(e)) } else { e }
}

/// The operands of a tree of one operator, left to right. The parser bounds its height.
fn flatten<'e>(op: BinaryOp, e: &'e ast::Expr, out: &mut Vec<&'e ast::Expr>) {
    match &e.kind {
        ExprKind::Binary { op: inner, left, right, .. } if *inner == op => {
            flatten(op, left, out);
            flatten(op, right, out);
        }
        _ => out.push(e),
    }
}
