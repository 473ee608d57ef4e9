//! Expressions over a batch: [`eval`] gives a column, [`mask`] the rows where a condition is true.
//!
//! The common pairs (text against literals) are tight loops; everything else goes cell by cell through the one
//! definition of the language in [`compare`].

use super::repeats::Repeats;
use super::{Cx, told};
use crate::func::{Args, Eval, Function};
use crate::plan::{Call, CompareOp, Expr, Matcher};
use crate::value::column::{Batch, Column, Kinds};
use crate::value::number::Number;
use crate::value::set::Set;
use crate::value::{Kind, Value, ValueRef, compare, json};
use arrow::array::{Array, BinaryViewArray};
use arrow::buffer::BooleanBuffer;
use backsight_lang::ast::{BinaryOp, Segment};
use std::cmp::Ordering;

/// The value of an expression in every row.
pub(crate) fn eval(e: &Expr, batch: &Batch, cx: &Cx<'_>) -> Column {
    match e {
        Expr::Call(Call { function: Function { eval: Eval::Values(_), .. }, .. })
        | Expr::Member(..)
        | Expr::Arithmetic(..)
        | Expr::Negate(_) => told::eval(e, batch, cx).unwrap_or_else(|| eval_rows(e, batch, cx)),
        _ => eval_rows(e, batch, cx),
    }
}

/// The same, of every row by itself.
pub(super) fn eval_rows(e: &Expr, batch: &Batch, cx: &Cx<'_>) -> Column {
    match e {
        Expr::Slot(slot) => super::column(batch, *slot),
        Expr::Literal(value) => Column::Const(value.clone(), batch.rows),
        Expr::Member(inner, segments) => member(&eval(inner, batch, cx), segments),
        Expr::Call(call) => match call.function.eval {
            Eval::Values(f) => with_args(call, batch, cx, |args| match args.columns {
                // Of the same in every row it is the same in every row.
                [_, ..] if args.rows > 1 && args.columns.iter().all(|c| matches!(c, Column::Const(..))) => {
                    let columns: Vec<Column> = args.columns.iter().map(|c| c.slice(0, 1)).collect();
                    Column::Const(f(&Args { columns: &columns, rows: 1, ..*args }).get(0).to_value(), args.rows)
                }
                _ => f(args),
            }),
            Eval::Predicate(f) => Column::predicate(&with_args(call, batch, cx, f)),
        },
        Expr::Arithmetic(op, a, b) => {
            let a = eval(a, batch, cx);
            if let Column::Const(Value::Null, _) = a {
                return a;
            }
            let b = eval(b, batch, cx);
            if let Column::Const(Value::Null, _) = b {
                return b;
            }
            (0..batch.rows).map(|i| arithmetic(*op, a.get(i), b.get(i))).collect()
        }
        Expr::Negate(inner) => {
            let inner = eval(inner, batch, cx);
            (0..batch.rows).map(|i| arithmetic(BinaryOp::Sub, ValueRef::Int(0), inner.get(i))).collect()
        }
        Expr::Compare(..)
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::Like(..)
        | Expr::In(..)
        | Expr::InQuery(..) => Column::predicate(&mask(e, batch, cx)),
    }
}

fn with_args<T>(call: &Call, batch: &Batch, cx: &Cx<'_>, f: impl FnOnce(&Args<'_>) -> T) -> T {
    let columns: Vec<Column> = call.args.iter().map(|e| eval(e, batch, cx)).collect();
    f(&Args { columns: &columns, prepared: &call.prepared, rows: batch.rows, clock: cx.clock })
}

/// The rows in which an expression is true.
pub(crate) fn mask(e: &Expr, batch: &Batch, cx: &Cx<'_>) -> BooleanBuffer {
    match e {
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) | Expr::Literal(_) => mask_rows(e, batch, cx),
        _ => told::mask(e, batch, cx).unwrap_or_else(|| mask_rows(e, batch, cx)),
    }
}

/// The same, of every row by itself.
pub(super) fn mask_rows(e: &Expr, batch: &Batch, cx: &Cx<'_>) -> BooleanBuffer {
    let rows = batch.rows;
    match e {
        Expr::And(all) => {
            let mut out = BooleanBuffer::new_set(rows);
            for e in all {
                out = &out & &mask(e, batch, cx);
                if out.count_set_bits() == 0 {
                    break;
                }
            }
            out
        }
        Expr::Or(all) => all.iter().fold(BooleanBuffer::new_unset(rows), |out, e| &out | &mask(e, batch, cx)),
        Expr::Not(inner) => !&mask(inner, batch, cx),
        Expr::Compare(op, a, b) => match (&**a, &**b) {
            (a, Expr::Literal(v)) => against_literal(*op, &eval(a, batch, cx), v),
            (Expr::Literal(v), b) => against_literal(op.flipped(), &eval(b, batch, cx), v),
            (a, b) => {
                let (a, b) = (eval(a, batch, cx), eval(b, batch, cx));
                BooleanBuffer::collect_bool(rows, |i| compared(*op, a.get(i), b.get(i)))
            }
        },
        Expr::In(inner, set) => members(&eval(inner, batch, cx), set),
        Expr::InQuery(inner, n) => match cx.sets.get(*n) {
            Some(set) => members(&eval(inner, batch, cx), set),
            None => BooleanBuffer::new_unset(rows),
        },
        Expr::Like(inner, matcher) => like(&eval(inner, batch, cx), matcher, batch, cx),
        Expr::Call(call) => match call.function.eval {
            Eval::Predicate(f) => with_args(call, batch, cx, f),
            Eval::Values(_) => truths(&eval(e, batch, cx)),
        },
        Expr::Slot(_) | Expr::Literal(_) | Expr::Member(..) | Expr::Arithmetic(..) | Expr::Negate(_) => {
            truths(&eval(e, batch, cx))
        }
    }
}

fn truths(column: &Column) -> BooleanBuffer {
    BooleanBuffer::collect_bool(column.len(), |i| compare::truth(column.get(i)))
}

fn compared(op: CompareOp, a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match op {
        CompareOp::Eq => compare::equal(a, b),
        CompareOp::Ne => compare::comparable(a, b) && !compare::equal(a, b),
        CompareOp::Lt => compare::order(a, b) == Some(Ordering::Less),
        CompareOp::Le => matches!(compare::order(a, b), Some(Ordering::Less | Ordering::Equal)),
        CompareOp::Gt => compare::order(a, b) == Some(Ordering::Greater),
        CompareOp::Ge => matches!(compare::order(a, b), Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn against_literal(op: CompareOp, column: &Column, literal: &Value) -> BooleanBuffer {
    let text = literal.as_ref().kind() == Some(Kind::String);
    match (op, column) {
        (CompareOp::Eq, Column::Text(..)) if text => members(column, &Set::new([literal.clone()])),
        (CompareOp::Ne, Column::Text(array, Kinds::All(Kind::String | Kind::Number))) if text => {
            let equal = members(column, &Set::new([literal.clone()]));
            let differs = !&equal;
            match array.nulls() {
                Some(nulls) => &differs & nulls.inner(),
                None => differs,
            }
        }
        (_, Column::Const(v, rows)) => match compared(op, v.as_ref(), literal.as_ref()) {
            true => BooleanBuffer::new_set(*rows),
            false => BooleanBuffer::new_unset(*rows),
        },
        _ => BooleanBuffer::collect_bool(column.len(), |i| compared(op, column.get(i), literal.as_ref())),
    }
}

/// The rows whose value is in the set.
fn members(column: &Column, set: &Set) -> BooleanBuffer {
    match column {
        Column::Const(v, rows) if set.contains(v.as_ref()) => BooleanBuffer::new_set(*rows),
        Column::Const(_, rows) => BooleanBuffer::new_unset(*rows),
        // Two texts are equal if their spelling is, and a number equals a string by its spelling.
        Column::Text(array, Kinds::All(kind)) if decided_by_text(*kind, set) => text_members(array, set),
        _ => BooleanBuffer::collect_bool(column.len(), |i| set.contains(column.get(i))),
    }
}

fn decided_by_text(kind: Kind, set: &Set) -> bool {
    match kind {
        Kind::String => {
            !set.has_networks()
                && set.values().iter().all(|v| matches!(v.as_ref().kind(), Some(Kind::String | Kind::Number)))
        }
        Kind::Number => set.text_only(),
        Kind::Float | Kind::Bool | Kind::Time | Kind::List | Kind::Map => false,
    }
}

fn text_members(array: &BinaryViewArray, set: &Set) -> BooleanBuffer {
    let found = match set.views() {
        Some([]) => return BooleanBuffer::new_unset(array.len()),
        Some([one]) => BooleanBuffer::collect_bool(array.len(), |i| array.views()[i] == *one),
        Some([one, two]) => {
            BooleanBuffer::collect_bool(array.len(), |i| array.views()[i] == *one || array.views()[i] == *two)
        }
        Some(views) => BooleanBuffer::collect_bool(array.len(), |i| views.contains(&array.views()[i])),
        None => {
            // Length and first bytes stand in the view: they tell most texts apart without looking at them.
            let starts = set.starts();
            BooleanBuffer::collect_bool(array.len(), |i| {
                let start = array.views()[i] as u64;
                (starts.is_empty() || starts.contains(&start)) && array.is_valid(i) && set.has_text(array.value(i))
            })
        }
    };
    match array.nulls() {
        // A null's view reads as the empty text.
        Some(nulls) => &found & nulls.inner(),
        None => found,
    }
}

fn like(column: &Column, matcher: &Matcher, batch: &Batch, cx: &Cx<'_>) -> BooleanBuffer {
    match matcher {
        Matcher::Substring(finder) => texts(column, |t| finder.find(t).is_some()),
        Matcher::Regex(regex) => texts(column, |t| regex.is_match(t)),
        Matcher::SubstringOf(e) => {
            let needles = eval(e, batch, cx);
            BooleanBuffer::collect_bool(column.len(), |i| match (column.get(i).text(), needles.get(i).text()) {
                (Some(text), Some(needle)) => memchr::memmem::find(&text, &needle).is_some(),
                _ => false,
            })
        }
        Matcher::RegexOf(e) => {
            let sources = eval(e, batch, cx);
            let mut last: Option<(Vec<u8>, Option<regex::bytes::Regex>)> = None;
            let hits: Vec<bool> = (0..column.len())
                .map(|i| {
                    let (Some(text), Some(source)) = (column.get(i).text(), sources.get(i).text()) else {
                        return false;
                    };
                    if last.as_ref().is_none_or(|(s, _)| s[..] != source[..]) {
                        let compiled = std::str::from_utf8(&source).ok().and_then(|s| regex::bytes::Regex::new(s).ok());
                        last = Some((source.to_vec(), compiled));
                    }
                    last.as_ref().and_then(|(_, r)| r.as_ref()).is_some_and(|r| r.is_match(&text))
                })
                .collect();
            BooleanBuffer::from(hits)
        }
    }
}

/// The rows whose canonical text passes; null never does.
fn texts(column: &Column, pass: impl Fn(&[u8]) -> bool) -> BooleanBuffer {
    match column {
        Column::Text(array, _) => {
            let mut repeats = Repeats::new();
            BooleanBuffer::collect_bool(array.len(), |i| {
                array.is_valid(i) && repeats.get(array.views()[i], || pass(array.value(i)))
            })
        }
        Column::Const(v, rows) => match v.as_ref().text() {
            Some(t) if pass(&t) => BooleanBuffer::new_set(*rows),
            _ => BooleanBuffer::new_unset(*rows),
        },
        other => BooleanBuffer::collect_bool(other.len(), |i| other.get(i).text().is_some_and(|t| pass(&t))),
    }
}

/// The part of a list or map at a path; null where there is none.
fn member(column: &Column, segments: &[Segment]) -> Column {
    let mut out = crate::value::column::ColumnBuilder::default();
    for v in column.iter() {
        match v {
            ValueRef::Text(Kind::List | Kind::Map, text) => match json::get(text, segments) {
                Some((kind, t)) => out.push(ValueRef::Text(kind, &t)),
                None => out.push(ValueRef::Null),
            },
            _ => out.push(ValueRef::Null),
        }
    }
    out.finish()
}

/// Arithmetic of two cells (language reference, §4.6).
pub(crate) fn arithmetic(op: BinaryOp, a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    let (Some(x), Some(y)) = (a.operand(), b.operand()) else { return Value::Null };
    let (time_a, time_b) = (a.timestamp().is_some(), b.timestamp().is_some());
    let value = match (x, y) {
        (Number::Int(x), Number::Int(y)) => integers(op, x, y),
        _ => floats(op, x.as_f64(), y.as_f64()),
    };
    // A time moved by a number is a time; the span of two times is a number.
    match (op, value) {
        (BinaryOp::Add, value) if time_a != time_b => as_time(value),
        (BinaryOp::Sub, value) if time_a && !time_b => as_time(value),
        (_, value) => value,
    }
}

fn as_time(value: Value) -> Value {
    match value {
        Value::Int(ms) => Value::Time(ms),
        Value::Float(x) if x.abs() < 9e15 => Value::Time(x.floor() as i64),
        _ => Value::Null,
    }
}

fn integers(op: BinaryOp, x: i64, y: i64) -> Value {
    let exact = match op {
        BinaryOp::Add => x.checked_add(y),
        BinaryOp::Sub => x.checked_sub(y),
        BinaryOp::Mul => x.checked_mul(y),
        BinaryOp::Div if y == 0 => return Value::Null,
        BinaryOp::Div => (x.checked_rem(y) == Some(0)).then(|| x.checked_div(y)).flatten(),
        BinaryOp::Rem if y == 0 => return Value::Null,
        BinaryOp::Rem => Some(x.wrapping_rem(y)),
        BinaryOp::Pow => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        _ => return Value::Null,
    };
    match (exact, op) {
        (Some(n), _) => Value::Int(n),
        // Beyond 64 bits: the exact result, rounded once.
        (None, BinaryOp::Add) => Value::float((i128::from(x) + i128::from(y)) as f64),
        (None, BinaryOp::Sub) => Value::float((i128::from(x) - i128::from(y)) as f64),
        (None, BinaryOp::Mul) => Value::float((i128::from(x) * i128::from(y)) as f64),
        (None, _) => floats(op, x as f64, y as f64),
    }
}

fn floats(op: BinaryOp, x: f64, y: f64) -> Value {
    Value::float(match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div => x / y,
        BinaryOp::Rem => x % y,
        BinaryOp::Pow => x.powf(y),
        _ => return Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_table() {
        use BinaryOp::{Add, Div, Mul, Pow, Rem, Sub};
        let s = ValueRef::string;
        let cases = [
            (Add, ValueRef::Int(i64::MAX), ValueRef::Int(1), "9223372036854776000"),
            (Mul, s("3"), ValueRef::Bool(true), "3"),
            (Div, ValueRef::Int(7), ValueRef::Int(2), "3.5"),
            (Div, ValueRef::Int(8), ValueRef::Int(2), "4"),
            (Div, ValueRef::Int(1), ValueRef::Int(0), ""),
            (Div, ValueRef::Float(1.0), ValueRef::Int(0), ""),
            (Rem, ValueRef::Int(-7), ValueRef::Int(3), "-1"),
            (Rem, ValueRef::Int(i64::MIN), ValueRef::Int(-1), "0"),
            (Pow, ValueRef::Int(2), ValueRef::Int(3), "8"),
            (Pow, ValueRef::Int(2), ValueRef::Int(-1), "0.5"),
            (Pow, ValueRef::Int(-1), ValueRef::Float(0.5), ""),
            (Sub, ValueRef::Time(5000), ValueRef::Time(2000), "3000"),
            (Sub, ValueRef::Time(5000), ValueRef::Int(5000), "1970-01-01 00:00:00.000"),
            (Add, ValueRef::Int(1), ValueRef::Time(0), "1970-01-01 00:00:00.001"),
            (Add, s("x"), ValueRef::Int(1), ""),
            (Add, ValueRef::Null, ValueRef::Int(1), ""),
        ];
        for (op, a, b, expected) in cases {
            let value = arithmetic(op, a, b);
            let text = value.as_ref().text().unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(&text), expected, "{op:?} {a:?} {b:?}");
        }
    }
}
