//! The plan: what will run, as a list. A query is a pipeline, so its plan is a list and not a tree; a nested query is
//! a plan inside an op.
//!
//! Names are resolved to *slots*: positions in the columns of a batch. A slot is written once; redefining a name binds
//! it to a new slot. A row-reshaping op ([`Op::Group`]) starts a new numbering.

mod call;
pub mod explain;
mod expr;
mod foreign;
mod lower;
mod matcher;
mod needles;
pub mod nested;
pub mod ordered;
mod ordering;
mod param;
mod parse;
pub mod past;
mod pattern;
pub(crate) mod reach;
mod rewrite;
mod scope;
mod sort;
mod spelling;
mod stats;
pub mod tables;
mod window;

use crate::agg::{Aggregate, Settings};
use crate::func::{Function, Prepared};
use crate::source::Field;
use crate::value::Value;
use crate::value::set::Set;
use backsight_lang::ast::{BinaryOp, Segment};
use backsight_lang::span::Span;
use regex::bytes::Regex;
use std::sync::Arc;

pub use lower::{Settings as CompileSettings, TRACE, Unknown, lower};

/// Position of a column in a batch.
pub type Slot = usize;

/// A compiled query.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is read.
    pub scan: ScanPlan,
    /// What is done, in order.
    pub ops: Vec<Op>,
    /// The answer's columns: name and slot.
    pub shown: Vec<(String, Slot)>,
    /// The sets of `in ( … )` and `in table`, found out first; [`Expr::InQuery`] refers to them by number.
    pub sets: Vec<tables::SetSource>,
    /// Only the size of what would be read is asked for: one row, `bytes`.
    pub estimate: bool,
}

impl Plan {
    /// The names of the answer's columns, in order.
    pub fn columns(&self) -> Vec<&str> {
        self.shown.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// True if the run is given every event of its source, so that a field it never meets is in none.
    pub fn reads_all(&self) -> bool {
        let ScanPlan { needles, first, equals, range, top, .. } = &self.scan;
        let stops = |op: &Op| matches!(op, Op::Limit { any: true, .. });
        let spared = !(needles.is_empty() && first.is_empty() && equals.is_empty() && *range == (None, None) && !top);
        !spared && !self.estimate && !self.ops.iter().any(stops)
    }

    /// The fields that the ops of [`ScanPlan::first`] look at, in the order of the scan.
    pub fn first_fields(&self) -> impl Iterator<Item = &Field> {
        let slots = self.first_slots();
        self.scan.fields.iter().filter(move |(_, slot)| slots.contains(slot)).map(|(field, _)| field)
    }

    /// Their slots.
    pub(crate) fn first_slots(&self) -> Vec<Slot> {
        let of = |op: &Op| match op {
            Op::Filter(e) => e.slots(),
            Op::Range { time, .. } => vec![*time],
            _ => Vec::new(),
        };
        self.scan.first.iter().filter_map(|i| self.ops.get(*i)).flat_map(of).collect()
    }
}

/// The first stage's input.
#[derive(Clone, Debug, Default)]
pub struct ScanPlan {
    /// Fields and the slots they go to.
    pub fields: Vec<(Field, Slot)>,
    /// Number of slots up to the first op that renumbers them.
    pub slots: usize,
    /// Where the query names fields of its events first.
    pub places: Vec<(Field, Span)>,
    /// Where the query needs the time of its events first, and what an event without one then is.
    pub timed: Option<(Span, &'static str)>,
    /// See [`crate::source::Scan::needles`].
    pub needles: Vec<Vec<Vec<u8>>>,
    /// Advice: filters and ranges, by their numbers among the ops, that look at nothing but fields of the scan.
    pub first: Vec<usize>,
    /// See [`crate::source::Scan::equals`].
    pub equals: Vec<(Field, Vec<Vec<u8>>)>,
    /// See [`crate::source::Scan::words`].
    pub words: bool,
    /// Advice: of the rows, which are sorted, only the first by a field of the scan are kept.
    pub top: bool,
    /// The sources named by `source` commands, in order; empty for the default source.
    pub sources: Vec<SourceRef>,
    /// Where the query names each of them.
    pub spans: Vec<Span>,
    /// The time range that is read, half-open, epoch milliseconds; [`Op::Range`] keeps it.
    pub range: (Option<i64>, Option<i64>),
}

/// A source named in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRef {
    /// A catalog name, path or glob.
    Name(String),
    /// Catalog entries whose name starts so.
    Prefix(String),
    /// Inputs of a format.
    Format(String),
}

impl SourceRef {
    /// As the query names it.
    pub fn name(&self) -> &str {
        match self {
            SourceRef::Name(name) | SourceRef::Prefix(name) | SourceRef::Format(name) => name,
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub enum Op {
    /// Keeps rows where the condition is true.
    Filter(Expr),
    /// Keeps rows whose `@timestamp` (in the slot) is in the query's range; the others without one are counted.
    Range {
        /// Slot of `@timestamp`.
        time: Slot,
        /// First instant, epoch milliseconds.
        start: Option<i64>,
        /// One past the last instant.
        end: Option<i64>,
    },
    /// Takes note of the first and the last time among the source's events, for what is relative to them.
    Edges(Slot),
    /// Computes columns, left to right.
    Extend(Vec<(Slot, Expr)>),
    /// `parse`: strings cut out of a text.
    Parse {
        /// The text.
        input: Expr,
        /// How it is cut.
        pattern: ParsePattern,
        /// One slot a captured name.
        outputs: Vec<Slot>,
    },
    /// One row per element of a list.
    Unnest {
        /// The list.
        list: Expr,
        /// Where the elements go.
        output: Slot,
    },
    /// Forgets columns that nothing reads any more.
    Drop(Vec<Slot>),
    /// Remembers when each row's event was and where it stands, before its place in the source is forgotten.
    Trace {
        /// `@timestamp`.
        time: Slot,
        /// Where the trace goes.
        output: Slot,
    },
    /// `stats`: slots are renumbered: keys first, then aggregates, then room for what is computed from them.
    Group {
        /// Slots of the group keys.
        keys: Vec<Slot>,
        /// The aggregates.
        aggs: Vec<AggCall>,
        /// Slots of the new numbering.
        slots: usize,
    },
    /// Sorts, ties by source order; with a limit, keeps the first rows only.
    Sort {
        /// The keys, most significant first.
        keys: Vec<SortKey>,
        /// Rows kept.
        limit: Option<u64>,
    },
    /// The first rows in the order at hand; `any`: any rows, so reading can stop early.
    Limit {
        /// How many.
        rows: u64,
        /// Any rows will do.
        any: bool,
    },
    /// The first row per combination of values, rows with a null in one of them all kept.
    Dedup(Vec<Slot>),
    /// A command that looks at all rows in their order.
    Ordered(ordered::Ordered),
    /// Cells of a table beside the data.
    Lookup(tables::Lookup),
    /// A query inside this one.
    Nested(Box<nested::Nested>),
}

/// One aggregate of a [`Op::Group`].
#[derive(Clone)]
pub struct AggCall {
    /// Which.
    pub aggregate: &'static Aggregate,
    /// Slots of the arguments that are columns.
    pub args: Vec<Slot>,
    /// Slot of `@timestamp`, where needed.
    pub time: Option<Slot>,
    /// The literal arguments.
    pub settings: Settings,
}

impl std::fmt::Debug for AggCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})", self.aggregate.name, self.args)
    }
}

/// A key of [`Op::Sort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column.
    pub slot: Slot,
    /// Largest first.
    pub descending: bool,
    /// Equals are ordered by canonical text (group order), not left in source order.
    pub by_text: bool,
}

/// How `parse` cuts a text.
#[derive(Clone, Debug)]
pub enum ParsePattern {
    /// Literal pieces around the stars: `pieces.len()` is one more than the number of stars.
    Glob(Vec<Vec<u8>>),
    /// Capture groups, by number, for the outputs in order; `multi`: one row a match.
    Regex {
        /// The expression.
        regex: Arc<Regex>,
        /// Group number of each output.
        groups: Vec<usize>,
        /// One row a match.
        multi: bool,
    },
    /// `key=value` pairs into one map.
    Logfmt,
    /// One RFC 4180 record.
    Csv,
}

impl ParsePattern {
    /// Whether a row may become several.
    pub fn repeats_rows(&self) -> bool {
        matches!(self, ParsePattern::Regex { multi: true, .. })
    }
}

/// Order comparisons and equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
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
}

impl CompareOp {
    /// The comparison an operator stands for.
    pub fn of(op: BinaryOp) -> Option<CompareOp> {
        Some(match op {
            BinaryOp::Eq => CompareOp::Eq,
            BinaryOp::Ne => CompareOp::Ne,
            BinaryOp::Lt => CompareOp::Lt,
            BinaryOp::Le => CompareOp::Le,
            BinaryOp::Gt => CompareOp::Gt,
            BinaryOp::Ge => CompareOp::Ge,
            _ => return None,
        })
    }

    /// The same comparison with its sides exchanged.
    pub fn flipped(self) -> CompareOp {
        match self {
            CompareOp::Lt => CompareOp::Gt,
            CompareOp::Le => CompareOp::Ge,
            CompareOp::Gt => CompareOp::Lt,
            CompareOp::Ge => CompareOp::Le,
            same => same,
        }
    }

    /// How it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Eq => "=",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }
}

/// What `like` looks for.
#[derive(Clone)]
pub enum Matcher {
    /// A substring.
    Substring(Arc<memchr::memmem::Finder<'static>>),
    /// A regular expression.
    Regex(Arc<Regex>),
    /// A substring given by a value.
    SubstringOf(Box<Expr>),
    /// A regular expression given by a value.
    RegexOf(Box<Expr>),
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Matcher::Substring(s) => write!(f, "{:?}", String::from_utf8_lossy(s.needle())),
            Matcher::Regex(r) => write!(f, "/{r}/"),
            Matcher::SubstringOf(e) => write!(f, "{e:?}"),
            Matcher::RegexOf(e) => write!(f, "regex {e:?}"),
        }
    }
}

/// A resolved expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A column.
    Slot(Slot),
    /// A constant.
    Literal(Value),
    /// A part of a list or map.
    Member(Box<Expr>, Vec<Segment>),
    /// A function of the table.
    Call(Call),
    /// Arithmetic.
    Arithmetic(BinaryOp, Box<Expr>, Box<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// A comparison.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// All are true.
    And(Vec<Expr>),
    /// One is true.
    Or(Vec<Expr>),
    /// Plain negation.
    Not(Box<Expr>),
    /// `like`, `=~`
    Like(Box<Expr>, Matcher),
    /// Equal to one of the values.
    In(Box<Expr>, Arc<Set>),
    /// Equal to one of the values of a set that is found out first.
    InQuery(Box<Expr>, usize),
}

/// A function call.
#[derive(Clone)]
pub struct Call {
    /// Which.
    pub function: &'static Function,
    /// The arguments; a prepared one is a literal of its text.
    pub args: Vec<Expr>,
    /// What the planner made of literal arguments.
    pub prepared: Vec<Option<Prepared>>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.function.name, self.args)
    }
}

impl Expr {
    /// Calls `f` with this expression and everything below it.
    pub fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        match self {
            Expr::Slot(_) | Expr::Literal(_) => {}
            Expr::Member(e, _) | Expr::Negate(e) | Expr::Not(e) | Expr::In(e, _) | Expr::InQuery(e, _) => e.visit(f),
            Expr::Call(call) => call.args.iter().for_each(|e| e.visit(f)),
            Expr::Arithmetic(_, a, b) | Expr::Compare(_, a, b) => {
                a.visit(f);
                b.visit(f);
            }
            Expr::And(all) | Expr::Or(all) => all.iter().for_each(|e| e.visit(f)),
            Expr::Like(e, matcher) => {
                e.visit(f);
                if let Matcher::SubstringOf(m) | Matcher::RegexOf(m) = matcher {
                    m.visit(f);
                }
            }
        }
    }

    /// The same expression with other expressions for its slots.
    pub fn map_slots(&self, f: &mut dyn FnMut(Slot) -> Expr) -> Expr {
        if let Expr::Slot(slot) = self {
            return f(*slot);
        }
        let mut again = |e: &Expr| Box::new(e.map_slots(f));
        match self {
            Expr::Slot(_) | Expr::Literal(_) => self.clone(),
            Expr::Member(e, segments) => Expr::Member(again(e), segments.clone()),
            Expr::Call(call) => {
                Expr::Call(Call { args: call.args.iter().map(|e| *again(e)).collect(), ..call.clone() })
            }
            Expr::Arithmetic(op, a, b) => Expr::Arithmetic(*op, again(a), again(b)),
            Expr::Negate(e) => Expr::Negate(again(e)),
            Expr::Compare(op, a, b) => Expr::Compare(*op, again(a), again(b)),
            Expr::And(all) => Expr::And(all.iter().map(|e| *again(e)).collect()),
            Expr::Or(all) => Expr::Or(all.iter().map(|e| *again(e)).collect()),
            Expr::Not(e) => Expr::Not(again(e)),
            Expr::Like(e, matcher) => {
                let input = again(e);
                let matcher = match matcher {
                    Matcher::SubstringOf(m) => Matcher::SubstringOf(again(m)),
                    Matcher::RegexOf(m) => Matcher::RegexOf(again(m)),
                    same => same.clone(),
                };
                Expr::Like(input, matcher)
            }
            Expr::In(e, set) => Expr::In(again(e), Arc::clone(set)),
            Expr::InQuery(e, n) => Expr::InQuery(again(e), *n),
        }
    }

    /// The slots read.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.visit(&mut |e| {
            if let Expr::Slot(s) = e {
                slots.push(*s);
            }
        });
        slots
    }

    /// True where the value is the number 1 or 0, so that it can be computed as a mask.
    pub fn is_predicate(&self) -> bool {
        match self {
            Expr::Compare(..)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Like(..)
            | Expr::In(..)
            | Expr::InQuery(..) => true,
            Expr::Call(call) => matches!(call.function.eval, crate::func::Eval::Predicate(_)),
            _ => false,
        }
    }
}
