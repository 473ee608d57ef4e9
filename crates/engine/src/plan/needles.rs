//! Literals that a record must hold to pass the query's first filters: advice for the scan.
//!
//! Sound by construction (language reference, §4.1): text compares as spelled, so a quoted literal of an equality
//! stands in the record byte for byte, unless an escape hides it; a record with a backslash is always read. Number
//! literals (404 may be spelled 4.04e2), negations (an absent field passes), and the texts a boolean equals do not
//! qualify.

use super::{CompareOp, Expr, Matcher, Op, Plan, Slot};
use crate::source::Field;
use crate::value::{Kind, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One entry per condition that has needles: the record must hold one of them.
pub(super) fn of(plan: &Plan) -> Vec<Vec<Vec<u8>>> {
    let searchable: BTreeSet<Slot> = plan
        .scan
        .fields
        .iter()
        .filter(|(f, _)| matches!(f, Field::Path(_) | Field::Message))
        .map(|(_, s)| *s)
        .collect();
    let mut out = Vec::new();
    for op in &plan.ops {
        match op {
            Op::Filter(Expr::And(all)) => out.extend(all.iter().filter_map(|e| needles(e, &searchable))),
            Op::Filter(e) => out.extend(needles(e, &searchable)),
            Op::Extend(_) | Op::Lookup(_) | Op::Drop(_) | Op::Trace { .. } | Op::Range { .. } | Op::Parse { .. } => {}
            // What follows sees other rows than the scan delivers.
            Op::Edges(_)
            | Op::Unnest { .. }
            | Op::Group { .. }
            | Op::Sort { .. }
            | Op::Limit { .. }
            | Op::Dedup(_)
            | Op::Ordered(_)
            | Op::Nested(_) => break,
        }
    }
    out
}

/// Fields that must have one of some texts.
pub(super) fn equals(plan: &Plan) -> Vec<(Field, Vec<Vec<u8>>)> {
    let fields: BTreeMap<Slot, &Field> =
        plan.scan.fields.iter().filter(|(f, _)| matches!(f, Field::Path(_))).map(|(f, s)| (*s, f)).collect();
    let mut out = Vec::new();
    for op in &plan.ops {
        match op {
            Op::Filter(Expr::And(all)) => out.extend(all.iter().filter_map(|e| equal(e, &fields))),
            Op::Filter(e) => out.extend(equal(e, &fields)),
            Op::Range { .. } | Op::Drop(_) | Op::Trace { .. } => {}
            // What follows sees other rows, or other values, than the scan delivers.
            _ => break,
        }
    }
    out
}

fn equal(e: &Expr, fields: &BTreeMap<Slot, &Field>) -> Option<(Field, Vec<Vec<u8>>)> {
    let field = |e: &Expr| match e {
        Expr::Slot(slot) => fields.get(slot).map(|f| (*f).clone()),
        _ => None,
    };
    match e {
        Expr::Compare(CompareOp::Eq, a, b) => match (&**a, &**b) {
            (slot, Expr::Literal(v)) | (Expr::Literal(v), slot) => Some((field(slot)?, vec![exact(v)?])),
            _ => None,
        },
        Expr::In(slot, set) => Some((field(slot)?, set.values().iter().map(exact).collect::<Option<_>>()?)),
        _ => None,
    }
}

fn needles(e: &Expr, searchable: &BTreeSet<Slot>) -> Option<Vec<Vec<u8>>> {
    let field = |e: &Expr| matches!(e, Expr::Slot(s) if searchable.contains(s));
    match e {
        Expr::Compare(CompareOp::Eq, a, b) => match (&**a, &**b) {
            (slot, Expr::Literal(v)) | (Expr::Literal(v), slot) if field(slot) => Some(vec![exact(v)?]),
            _ => None,
        },
        Expr::In(slot, set) if field(slot) => set.values().iter().map(exact).collect(),
        Expr::Like(slot, Matcher::Substring(finder)) if field(slot) => Some(vec![piece(finder.needle())?]),
        Expr::Like(slot, Matcher::Regex(regex)) if field(slot) => prefixes(regex.as_str()),
        Expr::Or(all) => Some(all.iter().map(|e| needles(e, searchable)).collect::<Option<Vec<_>>>()?.concat()),
        Expr::And(all) => all.iter().find_map(|e| needles(e, searchable)),
        _ => None,
    }
}

/// The bytes of a quoted literal, if only they can equal it.
fn exact(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Text(Kind::String, t) if !t.is_empty() && !matches!(&**t, b"0" | b"1") => clean(t).then(|| t.to_vec()),
        _ => None,
    }
}

/// The longest piece of a `like` text that must stand in the record even if the field is an object, whose compact text
/// has other spacing than its source.
fn piece(text: &[u8]) -> Option<Vec<u8>> {
    let cut = |c: &u8| matches!(c, b'"' | b':' | b',' | b'[' | b']' | b'{' | b'}') || c.is_ascii_whitespace();
    let longest = text.split(cut).max_by_key(|p| p.len())?;
    (!longest.is_empty() && clean(longest)).then(|| longest.to_vec())
}

/// The literals every match of a regular expression starts with.
fn prefixes(source: &str) -> Option<Vec<Vec<u8>>> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(source).ok()?;
    let mut extractor = regex_syntax::hir::literal::Extractor::new();
    extractor.limit_total(64);
    let seq = extractor.extract(&hir);
    let literals = seq.literals()?;
    if literals.is_empty() {
        return None;
    }
    literals.iter().map(|l| piece(l.as_bytes())).collect()
}

/// Bytes a format could spell differently without a backslash: none in printable ASCII; others are left alone.
fn clean(text: &[u8]) -> bool {
    text.iter().all(|c| (0x20..0x7f).contains(c) && *c != b'"' && *c != b'\\')
}
