//! Expressions, and what they are made of.

use super::{Name, Query};
use crate::span::Span;

/// A field reference.
#[derive(Clone, Debug)]
pub struct Path {
    /// At least one; the first is always [`Segment::Name`].
    pub segments: Vec<Segment>,
    /// Where it stands.
    pub span: Span,
}

/// One step of a path.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A key. `quoted`: it stood in backticks, so a dot in it is part of the name.
    Name { text: String, quoted: bool },
    /// A zero-based position, from `.0` or `[0]`.
    Index(u64),
}

impl Path {
    /// The path as text: segments joined by dots, without backticks.
    pub fn text(&self) -> String {
        let parts: Vec<String> = self
            .segments
            .iter()
            .map(|s| match s {
                Segment::Name { text, .. } => text.clone(),
                Segment::Index(n) => n.to_string(),
            })
            .collect();
        parts.join(".")
    }
}

/// A regular expression literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    /// Between the slashes, `\/` already turned into `/`.
    pub pattern: String,
    /// Some of `i s m x`.
    pub flags: String,
}

impl Regex {
    /// The pattern with its flags in front, as the `regex` crate reads it.
    pub fn source(&self) -> String {
        match self.flags.as_str() {
            "" => self.pattern.clone(),
            f => format!("(?{f}){}", self.pattern),
        }
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands, enclosing parentheses included.
    pub span: Span,
}

/// Every form of expression.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `"…"`
    String(String),
    /// Digits as written.
    Number(String),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
    /// `5m`
    Duration(Duration),
    /// `/…/` as an argument or right of `like`.
    Regex(Regex),
    /// `$name`, without the `$`.
    Param(String),
    /// A field.
    Path(Path),
    /// `.x` or `[i]` behind a call or parenthesis.
    Member { base: Box<Expr>, segments: Vec<Segment> },
    /// `name(args)`; `star` for `name(*)`.
    Call { name: Name, args: Vec<Expr>, star: bool },
    /// `-x`
    Negate(Box<Expr>),
    /// `not x` or `!x`.
    Not(Box<Expr>),
    /// Arithmetic, comparison, `and`, `or`.
    Binary { op: BinaryOp, op_span: Span, left: Box<Expr>, right: Box<Expr> },
    /// `[not] like`, `[not] =~`; `regex_op` for `=~`.
    Like { left: Box<Expr>, right: Box<Expr>, negated: bool, regex_op: bool },
    /// `[not] in …`
    In { left: Box<Expr>, set: InSet, negated: bool },
    /// Could not be parsed.
    Broken,
}

/// The right side of `in`.
///
/// Fields are named after their place in the form that the variant's line shows.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum InSet {
    /// `[a, b]`
    List(Vec<Expr>, Span),
    /// `$list`
    Param(Name),
    /// `( query )`
    Query(Box<Query>),
    /// `table name` or `table name.column`
    Table { name: Name, column: Option<Name> },
}

/// `count` of `unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duration {
    /// At least 1.
    pub count: u64,
    /// The unit.
    pub unit: Unit,
}

/// Units of time (language reference, "Literals").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// `ms`
    Millisecond,
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
    /// `q`
    Quarter,
    /// `y`
    Year,
}

impl Duration {
    /// Milliseconds, for units up to weeks; `None` for calendar units and beyond 64 bits.
    pub fn millis(self) -> Option<i64> {
        let unit: i64 = match self.unit {
            Unit::Millisecond => 1,
            Unit::Second => 1_000,
            Unit::Minute => 60_000,
            Unit::Hour => 3_600_000,
            Unit::Day => 86_400_000,
            Unit::Week => 604_800_000,
            Unit::Month | Unit::Quarter | Unit::Year => return None,
        };
        unit.checked_mul(i64::try_from(self.count).ok()?)
    }
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `^`
    Pow,
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
}

impl BinaryOp {
    /// The operator as written.
    pub fn text(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }
}
