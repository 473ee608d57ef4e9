//! What the query's first filters need: advice for the scan. The literals a record must hold to pass them, and which
//! filters can be asked before all fields are read.
//!
//! Sound by construction (language reference, §4.1): text compares as spelled, so a quoted literal of an equality
//! stands in the record byte for byte, unless an escape hides it; a record with a backslash is always read. Number
//! literals (404 may be spelled 4.04e2), negations (an absent field passes), and the texts a boolean equals do not
//! qualify.

use super::{CompareOp, Expr, Matcher, Op, Plan, Slot};
use crate::source::Field;
use crate::value::{Kind, Value};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::cmp::Reverse;
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

/// The filters and ranges that look at nothing but fields of the scan, by their numbers.
pub(super) fn first(plan: &Plan) -> Vec<usize> {
    let mut fields: BTreeSet<Slot> = plan.scan.fields.iter().map(|(_, slot)| *slot).collect();
    let mut out = Vec::new();
    for (i, op) in plan.ops.iter().enumerate() {
        match op {
            Op::Filter(e) if e.slots().iter().all(|slot| fields.contains(slot)) => out.push(i),
            Op::Range { time, .. } if fields.contains(time) => out.push(i),
            Op::Extend(columns) => fields.retain(|slot| columns.iter().all(|(written, _)| written != slot)),
            Op::Filter(_) | Op::Range { .. } | Op::Parse { .. } | Op::Lookup(_) | Op::Drop(_) | Op::Trace { .. } => {}
            // What follows sees other rows than the scan delivers.
            _ => break,
        }
    }
    out
}

/// True if the scan's rows are sorted and only the first are kept, and the first key is a field of the scan as it is read:
/// rows that come too late by it need not be read wholly.
pub(super) fn top(plan: &Plan) -> bool {
    let mut fields: BTreeSet<Slot> = plan.scan.fields.iter().map(|(_, slot)| *slot).collect();
    for op in &plan.ops {
        match op {
            Op::Extend(columns) => fields.retain(|slot| columns.iter().all(|(written, _)| written != slot)),
            Op::Filter(_) | Op::Drop(_) => {}
            // Rows without a time are told of where the query needs it.
            Op::Sort { keys, limit: Some(_) } => {
                return plan.scan.timed.is_none() && keys.first().is_some_and(|key| fields.contains(&key.slot));
            }
            _ => return false,
        }
    }
    false
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
        Expr::Like(slot, Matcher::Regex(regex)) if field(slot) => literals(regex.as_str()),
        Expr::Or(all) => Some(all.iter().map(|e| needles(e, searchable)).collect::<Option<Vec<_>>>()?.concat()),
        Expr::And(all) => best(all.iter().filter_map(|e| needles(e, searchable))),
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

/// Literals of which every match of a regular expression holds one. Where a letter stands for both cases it is written
/// in lower case: to the scan they are the same.
fn literals(source: &str) -> Option<Vec<Vec<u8>>> {
    required(&regex_syntax::ParserBuilder::new().utf8(false).build().parse(source).ok()?)
}

fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => sequence(std::slice::from_ref(hir)),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(all) => Some(all.iter().map(required).collect::<Option<Vec<_>>>()?.concat()),
        HirKind::Concat(all) => sequence(all),
        HirKind::Repetition(_) | HirKind::Look(_) | HirKind::Empty => None,
    }
}

/// The literals of expressions that match one after another: runs of fixed text, or what one of them requires.
fn sequence(all: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut run = Vec::new();
    for hir in all {
        match hir.kind() {
            HirKind::Literal(literal) => run.extend_from_slice(&literal.0),
            HirKind::Class(class) if let Some(letter) = letter(class) => run.push(letter),
            HirKind::Look(_) | HirKind::Empty => {}
            kind => {
                found.extend(piece(&std::mem::take(&mut run)).map(|text| vec![text]));
                if !matches!(kind, HirKind::Class(_)) {
                    found.extend(required(hir));
                }
            }
        }
    }
    found.extend(piece(&run).map(|text| vec![text]));
    best(found.into_iter())
}

/// The lower case of the letter a class consists of, both cases and what else is the same letter.
fn letter(class: &Class) -> Option<u8> {
    let members: Vec<u32> = match class {
        Class::Unicode(class) => {
            class.ranges().iter().flat_map(|r| u32::from(r.start())..=u32::from(r.end())).take(5).collect()
        }
        Class::Bytes(class) => {
            class.ranges().iter().flat_map(|r| u32::from(r.start())..=u32::from(r.end())).take(5).collect()
        }
    };
    let lower = members.iter().filter_map(|c| u8::try_from(*c).ok()).find(u8::is_ascii_lowercase)?;
    let same = |c: &u32| match (c, lower) {
        (0x17f, b's') | (0x212a, b'k') => true,
        (c, lower) => u8::try_from(*c).is_ok_and(|c| c.to_ascii_lowercase() == lower),
    };
    members.iter().all(same).then_some(lower)
}

/// The needles that promise to be the most selective: those of which the shortest is the longest.
fn best(all: impl Iterator<Item = Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    all.max_by_key(|needles| (needles.iter().map(Vec::len).min(), Reverse(needles.len())))
}

/// Bytes a format could spell differently without a backslash: none in printable ASCII; others are left alone.
fn clean(text: &[u8]) -> bool {
    text.iter().all(|c| (0x20..0x7f).contains(c) && *c != b'"' && *c != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_expressions() {
        for (source, expected) in [
            ("(?i)sqlmap|nikto", Some(vec!["sqlmap", "nikto"])),
            ("^5", Some(vec!["5"])),
            (r"a(bc|d.*efg)hi", Some(vec!["hi"])),
            (r".*(union\s+select)?x", Some(vec!["x"])),
            (r"(union\s+select)+", Some(vec!["select"])),
            ("foo\\bbar|baz", Some(vec!["foobar", "baz"])),
            ("[a-z]+", None),
            ("a?|b", None),
            ("40[13]", Some(vec!["40"])),
            ("(?i)Größe", Some(vec!["gr"])),
            (r#"a "b", longest: c"#, Some(vec!["longest"])),
        ] {
            let found = literals(source);
            let found = found.as_ref().map(|all| all.iter().map(|l| String::from_utf8_lossy(l)).collect::<Vec<_>>());
            let expected = expected.map(|all| all.into_iter().map(std::borrow::Cow::from).collect::<Vec<_>>());
            assert_eq!(found, expected, "{source}");
        }
    }
}
