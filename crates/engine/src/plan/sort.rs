//! `sort` and `limit`, and what they make of names that a `stats` has left behind (language reference, §5.2).

use super::lower::Lowering;
use super::{Op, Slot, SortKey};
use crate::source::Field;
use crate::value::Value;
use backsight_lang::ast::{self, Stage};
use backsight_lang::diag::Diagnostic;

impl Lowering<'_> {
    pub(super) fn sort(&mut self, keys: &[ast::SortKey]) {
        let mut order = Vec::new();
        for key in keys {
            if let Some(slot) = self.called(&key.item.expr) {
                order.push(SortKey { slot, descending: key.descending, by_text: false });
                continue;
            }
            let slot = match self.lost(&key.item.expr) {
                Some(Some(bin)) => bin,
                Some(None) => continue,
                None => self.slot_of(&key.item.expr),
            };
            if let Some(alias) = &key.item.alias {
                self.scope.create(&alias.text, slot);
            }
            order.push(SortKey { slot, descending: key.descending, by_text: false });
        }
        if order.is_empty() {
            return;
        }
        // The sort is stable: what ordered the rows before still orders equals.
        if self.scope.default_order && !self.scope.sorted {
            self.scope.default_order = false;
            let slot = self.scope.field(Field::Timestamp);
            self.scope.order.push(SortKey { slot, descending: true, by_text: false });
        }
        order.extend(
            self.scope
                .order
                .iter()
                .copied()
                .filter(|k| !order.iter().any(|o: &SortKey| o.slot == k.slot && !k.by_text))
                .collect::<Vec<_>>(),
        );
        self.scope.order = order;
        self.scope.explicit = true;
        self.scope.sorted = false;
    }

    /// `sort count` after a `stats` with one unaliased `count(…)`: that column, with a note (published queries do it).
    fn called(&mut self, e: &ast::Expr) -> Option<Slot> {
        let ast::ExprKind::Path(path) = &e.kind else { return None };
        let name = path.text();
        if !self.scope.closed || self.scope.created(&name).is_some() {
            return None;
        }
        let (text, slot) = self.scope.only_call_of(&name)?;
        let note = Diagnostic::note("N021", e.span, format!("`{name}` is read as the column `{text}`"));
        self.report(note.help("name it: `… as n`, then `sort n`"));
        Some(slot)
    }

    /// A bare field as a condition that a `stats` has left behind. Logs Insights answers with no rows; that is refused
    /// here by name, as published queries mean the field of the events.
    pub(super) fn is_lost_flag(&mut self, e: &ast::Expr) -> bool {
        let ast::ExprKind::Path(path) = &e.kind else { return false };
        let name = path.text();
        let lost =
            self.scope.closed && self.scope.resolve(path).is_none() && self.scope.by_aliased_text(&name).is_none();
        if lost {
            let message = format!("`{name}` as a condition after `stats` is not supported: it is not available there");
            let help = format!("put `filter {name}` before the `stats`, or list `{name}` after its `by`");
            self.report(Diagnostic::error("E080", e.span, message).help(help));
        }
        lost
    }

    /// `sort` by a field that a `stats` has left behind: nothing, as all its cells are empty; for `@timestamp` its one
    /// `bin()` column (language reference, §5.2).
    fn lost(&mut self, e: &ast::Expr) -> Option<Option<Slot>> {
        let ast::ExprKind::Path(path) = &e.kind else { return None };
        if !self.scope.closed || self.scope.resolve(path).is_some() {
            return None;
        }
        let name = path.text();
        if Field::named(path) != Field::Timestamp {
            if self.scope.by_aliased_text(&name).is_some() {
                return None;
            }
            let message = format!("`{name}` is not available after `stats`: the order stays as it is");
            let names = self.scope.names();
            let help = match backsight_lang::diag::nearest(&name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("available: {}", names.join(", ")),
            };
            self.report(Diagnostic::warning("W008", e.span, message).help(help));
            return Some(None);
        }
        self.report(Diagnostic::warning(
            "W008",
            e.span,
            "`@timestamp` is not available after `stats`; its `bin()` column is sorted instead, if there is one",
        ));
        Some(match self.scope.bins.as_slice() {
            [(one, _)] => Some(*one),
            _ => None,
        })
    }

    pub(super) fn limit(&mut self, stage: &Stage, any: bool, count: Option<&ast::Expr>) {
        let span = count.map_or(stage.word, |e| e.span);
        let value = count.and_then(|e| self.literal(e));
        let Some(rows) = value.and_then(|v| match v {
            Value::Int(n) => u64::try_from(n).ok(),
            _ => None,
        }) else {
            return self.error("E030", span, "`limit` needs a whole number");
        };
        if any { self.ops.push(Op::Limit { rows, any }) } else { self.settle(Some(rows)) }
    }
}
