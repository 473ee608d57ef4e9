//! Functions: one table row each, read by the planner, the executor, completion, the reference and the tests.

mod encode;
mod general;
mod json;
mod memo;
mod net;
mod number;
mod pattern;
mod search;
mod string;
mod time;

#[cfg(test)]
mod tests;

pub use memo::Regexes;
pub use net::parse_cidr;
pub(crate) use time::YEARS;
pub use time::grid::Grid;

use crate::value::column::{Column, Nulls, TextBuilder};
use crate::value::number::Number;
use crate::value::{Kind, Value, ValueRef};
use arrow::buffer::BooleanBuffer;
use backsight_lang::ast::Duration;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::sync::Arc;

/// What an argument is expected to be, and what a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Anything.
    Any,
    /// Text; scalars give their canonical text.
    Text,
    /// A number.
    Number,
    /// A condition: the numbers 1 and 0.
    Predicate,
    /// A timestamp.
    Time,
    /// A list or map.
    Nested,
    /// A literal period such as `5m` (or a duration parameter).
    Period,
    /// A regular expression: literal, or text. A literal is compiled by the planner (E020).
    Regex,
    /// A network such as `10.0.0.0/8`. A literal is read by the planner (E033, W005).
    Cidr,
}

/// Whether Logs Insights has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In Logs Insights.
    Insights,
    /// Backsight only.
    Extension,
}

/// Everything known about a function.
pub struct Function {
    /// The name as written in the reference.
    pub name: &'static str,
    /// Other names of the same function.
    pub aliases: &'static [&'static str],
    /// Name and type of each parameter.
    pub params: &'static [(&'static str, Type)],
    /// How many of the last parameters may be left out.
    pub optional: usize,
    /// The last parameter may be repeated.
    pub variadic: bool,
    /// What it gives.
    pub result: Type,
    /// Whether Logs Insights has it.
    pub status: Status,
    /// One line for people: meaning, units, nulls.
    pub about: &'static str,
    /// Expression and the canonical text of its result, run by a test over one fixed event.
    pub examples: &'static [(&'static str, &'static str)],
    /// How it is computed.
    pub eval: Eval,
}

/// What most rows of the table have in common.
const ROW: Function = Function {
    name: "",
    aliases: &[],
    params: &[],
    optional: 0,
    variadic: false,
    result: Type::Any,
    status: Status::Insights,
    about: "",
    examples: &[],
    eval: Eval::Values(|args| Column::null(args.rows)),
};

/// How a function is computed: over whole batches, never failing on data (bad data gives null, or 0 for predicates).
#[derive(Clone, Copy)]
pub enum Eval {
    /// One cell a row.
    Values(fn(&Args<'_>) -> Column),
    /// One bit a row; shown as the numbers 1 and 0.
    Predicate(fn(&Args<'_>) -> BooleanBuffer),
}

/// What the planner made of a literal argument.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// Of a [`Type::Regex`] parameter.
    Regex(Arc<Regex>),
    /// Of a [`Type::Period`] parameter.
    Period(Duration),
    /// Of a [`Type::Cidr`] parameter, host bits cleared.
    Cidr(ipnet::IpNet),
}

/// The query's clock: the only notion of time the engine has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// `now`, epoch milliseconds.
    pub now: i64,
    /// Start of the query's range, epoch milliseconds, inclusive.
    pub start: Option<i64>,
    /// End of the query's range, epoch milliseconds, exclusive.
    pub end: Option<i64>,
}

/// The arguments of one call over one batch.
pub struct Args<'a> {
    /// One column per argument; for a prepared literal, a constant column of its text.
    pub columns: &'a [Column],
    /// What the planner prepared of literal arguments, one entry per argument.
    pub prepared: &'a [Option<Prepared>],
    /// Rows in the batch.
    pub rows: usize,
    /// The query's clock.
    pub clock: &'a Clock,
}

impl<'a> Args<'a> {
    /// Number of arguments.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// True without arguments.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Argument `arg` of row `row`; null where the argument was left out.
    pub fn get(&self, arg: usize, row: usize) -> ValueRef<'a> {
        self.columns.get(arg).map_or(ValueRef::Null, |c| c.get(row))
    }

    /// The argument as text: the canonical text of a scalar; `None` for null, list and map.
    pub fn text(&self, arg: usize, row: usize) -> Option<Cow<'a, str>> {
        self.get(arg, row).scalar_text()
    }

    /// The argument as a number, a boolean as 1 or 0.
    pub fn number(&self, arg: usize, row: usize) -> Option<Number<'a>> {
        self.get(arg, row).operand()
    }

    /// What the planner prepared of a literal argument.
    pub fn prepared(&self, arg: usize) -> Option<&'a Prepared> {
        self.prepared.get(arg)?.as_ref()
    }

    /// The argument's canonical text as it is, not always UTF-8; `None` for null, list and map.
    pub fn bytes(&self, arg: usize, row: usize) -> Option<Cow<'a, [u8]>> {
        let value = self.get(arg, row);
        if value.is_nested() { None } else { value.text() }
    }

    /// The argument as a whole number, a fraction cut off; beyond 64 bits the nearest end of the range.
    pub fn integer(&self, arg: usize, row: usize) -> Option<i64> {
        Some(match self.number(arg, row)? {
            Number::Int(n) => n,
            Number::Float(x) => x as i64,
            Number::Big(digits) if digits.starts_with('-') => i64::MIN,
            Number::Big(_) => i64::MAX,
        })
    }

    /// True where every row has the same arguments: one computation serves them all.
    pub fn is_constant(&self) -> bool {
        self.columns.iter().all(|c| matches!(c, Column::Const(..)))
    }

    /// A column computed row by row, of nothing but the arguments.
    pub fn map(&self, mut f: impl FnMut(usize) -> Value) -> Column {
        if self.is_constant() { Column::Const(f(0), self.rows) } else { (0..self.rows).map(f).collect() }
    }

    /// A column of strings computed row by row, of nothing but the arguments: each is written into the buffer, which
    /// comes empty; `None` makes the cell null.
    pub fn strings(&self, f: impl FnMut(usize, &mut Vec<u8>) -> Option<()>) -> Column {
        self.texts(Kind::String, f)
    }

    /// [`Args::strings`], the text being of another kind.
    pub fn texts(&self, kind: Kind, mut f: impl FnMut(usize, &mut Vec<u8>) -> Option<()>) -> Column {
        let mut buffer = Vec::new();
        if self.is_constant() {
            let value = f(0, &mut buffer).map_or(Value::Null, |()| Value::Text(kind, buffer.into()));
            return Column::Const(value, self.rows);
        }
        let mut out = TextBuilder::default();
        for row in 0..self.rows {
            buffer.clear();
            match f(row, &mut buffer) {
                Some(()) => out.push_text(kind, &buffer),
                None => out.push(ValueRef::Null),
            }
        }
        out.finish()
    }

    /// The rows where an argument is not null.
    pub fn present(&self, arg: usize) -> BooleanBuffer {
        match self.columns.get(arg).map_or(Nulls::All, Column::nulls) {
            Nulls::None => BooleanBuffer::new_set(self.rows),
            Nulls::All => BooleanBuffer::new_unset(self.rows),
            Nulls::Some(nulls) => nulls.inner().clone(),
        }
    }

    /// A predicate computed row by row, of nothing but the arguments.
    pub fn test(&self, mut f: impl FnMut(usize) -> bool) -> BooleanBuffer {
        if !self.is_constant() {
            BooleanBuffer::collect_bool(self.rows, f)
        } else if f(0) {
            BooleanBuffer::new_set(self.rows)
        } else {
            BooleanBuffer::new_unset(self.rows)
        }
    }
}

/// All functions, by family.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    [
        number::FUNCTIONS,
        string::FUNCTIONS,
        search::FUNCTIONS,
        encode::FUNCTIONS,
        general::FUNCTIONS,
        json::FUNCTIONS,
        net::FUNCTIONS,
        time::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The function of a name or alias, any case.
pub fn find(name: &str) -> Option<&'static Function> {
    functions().find(|f| f.name.eq_ignore_ascii_case(name) || f.aliases.iter().any(|a| a.eq_ignore_ascii_case(name)))
}
