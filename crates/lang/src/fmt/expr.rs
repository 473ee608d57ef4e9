//! Expressions as canonical text, with no more parentheses than their trees need.

use super::Printer;
use super::word;
use crate::ast::{BinaryOp, Expr, ExprKind, InSet};
use crate::parse::expr::{Binding, LONG_CHAIN};

/// How tightly the text of an expression is bound.
fn binding(expr: &Expr) -> Binding {
    match &expr.kind {
        ExprKind::Binary { op, .. } => op.binding(),
        ExprKind::Like { .. } | ExprKind::In { .. } => Binding::Compare,
        ExprKind::Not(_) => Binding::Not,
        ExprKind::Negate(_) => Binding::Unary,
        ExprKind::String(_)
        | ExprKind::Number(_)
        | ExprKind::Bool(_)
        | ExprKind::Null
        | ExprKind::Duration(_)
        | ExprKind::Regex(_)
        | ExprKind::Param(_)
        | ExprKind::Path(_)
        | ExprKind::Member { .. }
        | ExprKind::Call { .. }
        | ExprKind::Broken => Binding::Operand,
    }
}

impl Printer<'_> {
    /// The expression, in parentheses if its operators bind less tightly than `least`.
    pub(super) fn expr(&mut self, expr: &Expr, least: Binding) -> String {
        // Where `not` binds too loosely, `!` does the same.
        if let ExprKind::Not(inner) = &expr.kind
            && least > Binding::Not
            && least <= Binding::Unary
        {
            return format!("!{}", self.expr(inner, Binding::Unary));
        }
        let text = self.bare(expr);
        if binding(expr) < least { format!("({text})") } else { text }
    }

    fn bare(&mut self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::String(text) => word::string(text),
            ExprKind::Number(digits) => digits.clone(),
            ExprKind::Bool(value) => value.to_string(),
            ExprKind::Null => "null".to_string(),
            ExprKind::Duration(duration) => word::duration(*duration),
            ExprKind::Regex(regex) => word::regex(regex),
            ExprKind::Param(name) => format!("${name}"),
            ExprKind::Path(path) => word::path(path),
            ExprKind::Member { base, segments } => {
                // A dot right behind these would become part of them.
                let joins = matches!(
                    base.kind,
                    ExprKind::Path(_) | ExprKind::Member { .. } | ExprKind::Number(_) | ExprKind::Duration(_)
                );
                let text = self.expr(base, Binding::Operand);
                let text = if joins { format!("({text})") } else { text };
                text + &word::segments(segments)
            }
            ExprKind::Call { name, args, star } => {
                let args = if *star { "*".to_string() } else { self.exprs(args) };
                format!("{}({args})", name.text)
            }
            ExprKind::Negate(inner) => format!("-{}", self.expr(inner, Binding::Unary)),
            ExprKind::Not(inner) => format!("not {}", self.expr(inner, Binding::Not)),
            ExprKind::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), .. } => self.chain(*op, expr),
            ExprKind::Binary { op, left, right, .. } => {
                let left_least = match op.binding() {
                    Binding::Compare => Binding::Sum,
                    Binding::Power => Binding::Operand,
                    other => other,
                };
                let left = self.expr(left, left_least);
                format!("{left} {} {}", op.text(), self.expr(right, op.right_binding()))
            }
            ExprKind::Like { left, right, negated, regex_op } => {
                let left = self.expr(left, Binding::Sum);
                let op = if *regex_op { "=~" } else { "like" };
                format!("{left} {}{op} {}", not(*negated), self.expr(right, Binding::Sum))
            }
            ExprKind::In { left, set, negated } => {
                let left = self.expr(left, Binding::Sum);
                format!("{left} {}in {}", not(*negated), self.set(set))
            }
            ExprKind::Broken => String::new(),
        }
    }

    /// Expressions between commas.
    pub(super) fn exprs(&mut self, exprs: &[Expr]) -> String {
        let texts: Vec<String> = exprs.iter().map(|expr| self.expr(expr, Binding::Or)).collect();
        texts.join(", ")
    }

    fn set(&mut self, set: &InSet) -> String {
        match set {
            InSet::List(items, _) => format!("[{}]", self.exprs(items)),
            InSet::Param(name) => format!("${}", name.text),
            InSet::Query(query) => self.sub_query(query),
            InSet::Table { name, column: None } => format!("table {}", word::column(name)),
            InSet::Table { name, column: Some(column) } => {
                format!("table {}.{}", word::column(name), word::column(column))
            }
        }
    }

    /// A chain of `and` or `or`. Written without parentheses it must read back as this very tree, which a long chain
    /// does if it is balanced, and a short one if it leans to the left.
    fn chain(&mut self, op: BinaryOp, expr: &Expr) -> String {
        let leaves = leaves(op, expr);
        let operands =
            if leaves.len() > LONG_CHAIN && is_balanced(op, expr, leaves.len()) { leaves } else { spine(op, expr) };
        let separator = format!(" {} ", op.text());
        if operands.len() > LONG_CHAIN && !is_balanced(op, expr, operands.len()) {
            let halves = halves(op, expr).map(|half| self.expr(half, op.right_binding()));
            return halves.join(&separator);
        }
        let texts: Vec<String> = operands.into_iter().map(|operand| self.expr(operand, op.right_binding())).collect();
        texts.join(&separator)
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

/// Both sides of an `op`; twice the expression itself if it is none.
fn halves(op: BinaryOp, expr: &Expr) -> [&Expr; 2] {
    match &expr.kind {
        ExprKind::Binary { op: o, left, right, .. } if *o == op => [left, right],
        _ => [expr, expr],
    }
}

fn is_op(op: BinaryOp, expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Binary { op: o, .. } if *o == op)
}

/// The operands of the tree of `op` that `expr` is the top of, in order.
fn leaves(op: BinaryOp, expr: &Expr) -> Vec<&Expr> {
    let (mut leaves, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        if is_op(op, expr) {
            let [left, right] = halves(op, expr);
            open.extend([right, left]);
        } else {
            leaves.push(expr);
        }
    }
    leaves
}

/// The operands along the left edge of that tree, in order.
fn spine(op: BinaryOp, mut expr: &Expr) -> Vec<&Expr> {
    let mut operands = Vec::new();
    while is_op(op, expr) {
        let [left, right] = halves(op, expr);
        operands.push(right);
        expr = left;
    }
    operands.push(expr);
    operands.reverse();
    operands
}

/// Whether `expr` is the tree that the parser makes of a long chain of `count` operands.
fn is_balanced(op: BinaryOp, expr: &Expr, count: usize) -> bool {
    if count <= 1 || !is_op(op, expr) {
        return count == 1 && !is_op(op, expr);
    }
    let [left, right] = halves(op, expr);
    is_balanced(op, left, count - count / 2) && is_balanced(op, right, count / 2)
}
