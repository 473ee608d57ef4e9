//! What an expression is worth in a row.

use super::compare::{equal, order};
use super::func;
use super::stats;
use super::value::{N, V};
use super::{Outcome, Row, World, unsupported};
use backsight_lang::ast::{BinaryOp, Duration, Expr, ExprKind, InSet, LetValue, Path, Segment};
use num_bigint::BigInt;
use std::cmp::Ordering;

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub world: &'a World<'a>,
    pub row: &'a Row,
    /// The row comes out of a `stats`: columns may be named by the text of the expression they show.
    pub grouped: bool,
    /// The rows of the group, for the items of a `stats`, and whether those are `grouped` themselves.
    pub members: Option<(&'a [Row], bool)>,
}

impl<'a> Env<'a> {
    pub fn eval(&self, expr: &Expr) -> Outcome<V> {
        if let Some(value) = self.aggregate(expr)? {
            return Ok(value);
        }
        if let Some(value) = self.named_by_text(expr) {
            return Ok(value);
        }
        Ok(match &expr.kind {
            ExprKind::String(text) => V::string(text),
            ExprKind::Number(text) => V::literal(text),
            ExprKind::Bool(b) => V::Bool(*b),
            ExprKind::Null => V::Null,
            ExprKind::Duration(d) => V::int(d.millis().expect("checked when planned")),
            ExprKind::Regex(regex) => V::string(regex.source()),
            ExprKind::Param(name) => match self.world.param(name)? {
                LetValue::One(expr) => self.eval(expr)?,
                LetValue::List(_) => return unsupported("a list parameter as a value"),
            },
            ExprKind::Path(path) => self.row.path(path, self.grouped),
            ExprKind::Member { base, segments } => walk(&self.eval(base)?, segments),
            ExprKind::Call { name, args, .. } => func::call(self, &name.text.to_ascii_lowercase(), args)?,
            ExprKind::Negate(inner) => arithmetic(BinaryOp::Sub, &V::int(0), &self.eval(inner)?),
            ExprKind::Not(inner) => V::truth(!self.eval(inner)?.is_true()),
            ExprKind::Binary { op, left, right, .. } => binary(*op, &self.eval(left)?, &self.eval(right)?),
            ExprKind::Like { left, right, negated, regex_op } => {
                let found = match self.eval(left)?.text() {
                    None => false,
                    Some(text) => {
                        let right_value = self.eval(right)?;
                        match right_value.text() {
                            None => false,
                            Some(r) if *regex_op || matches!(right.kind, ExprKind::Regex(_)) => {
                                self.world.regex(&r).is_some_and(|regex| regex.is_match(&text))
                            }
                            Some(r) => text.contains(&r),
                        }
                    }
                };
                V::truth(found != *negated)
            }
            ExprKind::In { left, set, negated } => {
                let left = self.eval(left)?;
                let found = self.members_of(set)?.iter().any(|v| equal(&left, v) == Some(true));
                V::truth(found != *negated)
            }
            ExprKind::Broken => return unsupported("a broken query"),
        })
    }

    fn members_of(&self, set: &InSet) -> Outcome<Vec<V>> {
        match set {
            InSet::List(items, _) => items.iter().map(|e| self.eval(e)).collect(),
            InSet::Param(name) => match self.world.param(&name.text)? {
                LetValue::One(_) => unsupported("a single value as a list"),
                LetValue::List(items) => items.iter().map(|e| self.eval(e)).collect(),
            },
            InSet::Query(query) => {
                let answer = super::stages::run(self.world, &query.stages)?;
                Ok(answer.rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
            }
            InSet::Table { .. } => unsupported("`in table`"),
        }
    }

    /// In a `stats` item: the value of an aggregate.
    fn aggregate(&self, expr: &Expr) -> Outcome<Option<V>> {
        let (Some((rows, grouped)), ExprKind::Call { name, args, .. }) = (self.members, &expr.kind) else {
            return Ok(None);
        };
        stats::aggregate(self.world, rows, grouped, &name.text.to_ascii_lowercase(), args)
    }

    /// "Unaliased columns are referred to by their text, compared without white space and case."
    fn named_by_text(&self, expr: &Expr) -> Option<V> {
        let computed = matches!(expr.kind, ExprKind::Call { .. } | ExprKind::Binary { .. } | ExprKind::Negate(_));
        if !self.grouped || !computed {
            return None;
        }
        let mut text = &self.world.text[expr.span.start..expr.span.end];
        while encloses(text) {
            text = text[1..text.len() - 1].trim();
        }
        self.row.loose(&text.replace('`', "")).cloned()
    }

    /// A period: a literal, or a parameter that is one.
    pub fn period(&self, expr: &Expr) -> Outcome<Duration> {
        match &expr.kind {
            ExprKind::Duration(d) => Ok(*d),
            ExprKind::Param(name) => match self.world.param(name)? {
                LetValue::One(expr) => self.period(expr),
                LetValue::List(_) => unsupported("a list as a period"),
            },
            _ => unsupported("a computed period"),
        }
    }
}

/// Whether the parenthesis that opens the text closes at its end.
fn encloses(text: &str) -> bool {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at > 0 && at + 1 == text.len();
        }
    }
    false
}

impl Row {
    /// The value of a field: first what the query made, then what the event holds.
    pub fn path(&self, path: &Path, grouped: bool) -> V {
        let text = path.text();
        if let Some(value) = self.made(&text) {
            return value.clone();
        }
        let [Segment::Name { text: first, quoted }, rest @ ..] = &path.segments[..] else {
            return V::Null;
        };
        if let Some(value) = self.made(first) {
            return walk(value, rest);
        }
        let nested = |segments: &[Segment]| walk(&V::Map(self.event.clone()), segments);
        let literal = |key: &str| self.event.iter().find(|(k, _)| k == key).map_or(V::Null, |(_, v)| v.clone());
        let or = |a: V, b: V| if a.is_null() { b } else { a };
        if *quoted && rest.is_empty() {
            let name = |text: &str| Segment::Name { text: text.into(), quoted: true };
            let parts: Vec<Segment> = first.split('.').map(name).collect();
            return or(literal(first), nested(&parts));
        }
        let own = or(nested(&path.segments), literal(&text));
        let beside = self.beside.as_ref().filter(|_| !text.starts_with('@'));
        match or(own, beside.map_or(V::Null, |fields| walk(fields, &path.segments))) {
            V::Null if grouped => self.loose(&text).cloned().unwrap_or(V::Null),
            value => value,
        }
    }

    /// The value under a column's name.
    pub fn shown(&self, name: &str) -> V {
        let event = || self.event.iter().find(|(k, _)| k == name).map(|(_, v)| v);
        self.made(name).or_else(event).cloned().unwrap_or(V::Null)
    }

    pub fn made(&self, name: &str) -> Option<&V> {
        self.made.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Sets a field that the query makes.
    pub fn set(&mut self, name: &str, value: V) {
        match self.made.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.made.push((name.into(), value)),
        }
    }

    fn loose(&self, text: &str) -> Option<&V> {
        let squeeze = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let text = squeeze(text);
        let find = |same: &dyn Fn(&str) -> bool| self.made.iter().find(|(n, _)| same(&squeeze(n))).map(|(_, v)| v);
        find(&|n| n == text).or_else(|| find(&|n| n.to_lowercase() == text.to_lowercase()))
    }
}

/// Follows the steps of a path into a value; null where it leads nowhere.
pub fn walk(value: &V, segments: &[Segment]) -> V {
    let mut value = value;
    for segment in segments {
        let next = match (value, segment) {
            (V::Map(members), Segment::Name { text, .. }) => members.iter().find(|(k, _)| k == text).map(|(_, v)| v),
            (V::Map(members), Segment::Index(n)) => members.iter().find(|(k, _)| *k == n.to_string()).map(|(_, v)| v),
            (V::List(items), Segment::Index(n)) => items.get(*n as usize),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return V::Null,
        }
    }
    value.clone().settled()
}

fn binary(op: BinaryOp, a: &V, b: &V) -> V {
    let ordered = |wanted: &[Ordering]| V::truth(order(a, b).is_some_and(|o| wanted.contains(&o)));
    match op {
        BinaryOp::And => V::truth(a.is_true() && b.is_true()),
        BinaryOp::Or => V::truth(a.is_true() || b.is_true()),
        BinaryOp::Eq => V::truth(equal(a, b) == Some(true)),
        BinaryOp::Ne => V::truth(equal(a, b) == Some(false)),
        BinaryOp::Lt => ordered(&[Ordering::Less]),
        BinaryOp::Le => ordered(&[Ordering::Less, Ordering::Equal]),
        BinaryOp::Gt => ordered(&[Ordering::Greater]),
        BinaryOp::Ge => ordered(&[Ordering::Greater, Ordering::Equal]),
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Pow => {
            arithmetic(op, a, b)
        }
    }
}

/// Arithmetic: exact between integers, null for whatever is no number, NaN or infinite.
pub fn arithmetic(op: BinaryOp, a: &V, b: &V) -> V {
    let (Some(x), Some(y)) = (a.operand(), b.operand()) else { return V::Null };
    // How far times reach is not said: a float moves a time no further than 9e15, an integer anywhere.
    let whole = |v: V| match v {
        V::Number(N::Int(n), _) => i64::try_from(&n).map_or(V::Null, V::Time),
        V::Number(N::Float(x), _) if x.abs() < 9e15 => V::Time(x.floor() as i64),
        _ => V::Null,
    };
    match (op, a, b) {
        (BinaryOp::Sub, V::Time(a), V::Time(b)) => V::int(a - b),
        // Two times added up are said to be nothing: a number.
        (BinaryOp::Add, V::Time(_), V::Time(_)) => reckon(op, x, y),
        (BinaryOp::Add | BinaryOp::Sub, V::Time(_), _) | (BinaryOp::Add, _, V::Time(_)) => whole(reckon(op, x, y)),
        _ => reckon(op, x, y),
    }
}

fn reckon(op: BinaryOp, x: N, y: N) -> V {
    if matches!(op, BinaryOp::Div | BinaryOp::Rem) && y.is_zero() {
        return V::Null;
    }
    let (a, b) = match (&x, &y) {
        (N::Int(a), N::Int(b)) => (a, b),
        _ => {
            let (a, b) = (x.float(), y.float());
            return V::float(match op {
                BinaryOp::Add => a + b,
                BinaryOp::Sub => a - b,
                BinaryOp::Mul => a * b,
                BinaryOp::Div => a / b,
                BinaryOp::Rem => a % b,
                _ => a.powf(b),
            });
        }
    };
    match op {
        BinaryOp::Add => V::int(a + b),
        BinaryOp::Sub => V::int(a - b),
        BinaryOp::Mul => V::int(a * b),
        BinaryOp::Div if a % b == BigInt::ZERO => V::int(a / b),
        BinaryOp::Div => V::float(x.float() / y.float()),
        BinaryOp::Rem => V::int(a % b),
        // Exponents are kept small by giving up exactness where no 64 bits could hold the result anyway.
        _ => match u32::try_from(b).ok().filter(|n| *n <= 64) {
            Some(n) if i64::try_from(a.pow(n)).is_ok() => V::int(a.pow(n)),
            _ => V::float(x.float().powf(y.float())),
        },
    }
}
