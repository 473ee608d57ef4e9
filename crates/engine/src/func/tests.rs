//! Evaluates expression texts for the tests of the functions, and runs the examples of the table.

use super::{Args, Clock, Eval, Prepared, Type, find, functions, parse_cidr};
use crate::value::column::{Column, ColumnBuilder};
use crate::value::{Kind, Value, ValueRef, compare, json, number, time};
use arrow::buffer::BooleanBuffer;
use backsight_lang::ast::{Duration, Segment, Unit};
use regex::bytes::Regex;
use std::cmp::Ordering;
use std::sync::Arc;

/// The event of the language reference ("Worked examples"), and a field that is not UTF-8.
fn field(name: &str) -> Value {
    match name {
        "@timestamp" => Value::Time(time::parse(b"2024-05-01T10:37:12.345Z").expect("a time")),
        "n" => text(Kind::Number, b"-7.5"),
        "js" => Value::string(r#"{"a":[1,2]}"#),
        "l" => text(Kind::List, br#"["p","q"]"#),
        "m" => text(Kind::Map, br#"{"k":1}"#),
        "latin" => text(Kind::String, b"caf\xe9"),
        "missing" => Value::Null,
        _ => panic!("no field {name}"),
    }
}

fn text(kind: Kind, text: &[u8]) -> Value {
    Value::Text(kind, text.into())
}

/// How the values of an expression lie in columns: the answer must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    /// As constants, literals prepared as the planner does.
    Constant,
    /// Behind a null, so that the column keeps the value's type.
    Typed,
    /// Between other values, as text of many kinds; read off behind one that differs.
    Mixed,
    /// The same as words of a dictionary.
    Words,
}

const LAYOUTS: [Layout; 4] = [Layout::Constant, Layout::Typed, Layout::Mixed, Layout::Words];

impl Layout {
    fn column(self, value: Value) -> Column {
        let values = match self {
            Layout::Constant => return Column::Const(value, 1),
            Layout::Typed => vec![Value::Null, value],
            Layout::Mixed | Layout::Words => vec![Value::Null, value.clone(), Value::string("~"), value],
        };
        let column: Column = values.into_iter().collect();
        if self == Layout::Words { column.in_words() } else { column }
    }

    fn rows(self) -> usize {
        match self {
            Layout::Constant => 1,
            Layout::Typed => 2,
            Layout::Mixed | Layout::Words => 4,
        }
    }
}

/// A value on its way through an expression.
struct Operand {
    column: Column,
    period: Option<Duration>,
    literal: bool,
}

/// A reader that evaluates as it goes: literals, fields, calls, `.a`, `[1]`, `=`, `<`, `>`.
struct Reader<'a> {
    rest: &'a str,
    layout: Layout,
}

impl Reader<'_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn while_(&mut self, test: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !test(c)).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.rest = rest;
        found.into()
    }

    fn expression(&mut self) -> Operand {
        let left = self.postfix();
        let test: fn(ValueRef<'_>, ValueRef<'_>) -> bool = if self.take("=") {
            compare::equal
        } else if self.take("<") {
            |a, b| compare::order(a, b) == Some(Ordering::Less)
        } else if self.take(">") {
            |a, b| compare::order(a, b) == Some(Ordering::Greater)
        } else {
            return left;
        };
        let right = self.postfix();
        let mask = BooleanBuffer::collect_bool(self.layout.rows(), |i| test(left.column.get(i), right.column.get(i)));
        computed(Column::predicate(&mask))
    }

    fn postfix(&mut self) -> Operand {
        let mut operand = self.primary();
        loop {
            let segment = if self.rest.starts_with('[') {
                self.take("[");
                let index = self.while_(|c| c.is_ascii_digit()).parse().expect("an index");
                assert!(self.take("]"));
                Segment::Index(index)
            } else if self.rest.starts_with('.') {
                self.take(".");
                Segment::Name { text: self.while_(char::is_alphanumeric), quoted: false }
            } else {
                return operand;
            };
            // A path is followed as a whole: a key may hold a dot.
            let mut segments = vec![segment];
            while self.rest.starts_with('.') {
                self.take(".");
                segments.push(Segment::Name { text: self.while_(char::is_alphanumeric), quoted: false });
            }
            let mut cells = ColumnBuilder::default();
            for value in operand.column.iter() {
                let found = match value {
                    ValueRef::Text(Kind::List | Kind::Map, text) => json::get(text, &segments),
                    _ => None,
                };
                cells.push(found.as_ref().map_or(ValueRef::Null, |(kind, text)| ValueRef::Text(*kind, text)));
            }
            operand = computed(cells.finish());
        }
    }

    fn primary(&mut self) -> Operand {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next().expect("more text");
        match first {
            '"' => {
                let text = self.string();
                self.literal(Value::string(text))
            }
            '/' => {
                self.take("/");
                let mut source = String::new();
                while !self.take("/") {
                    if self.take("\\/") {
                        source.push('/');
                        continue;
                    }
                    let c = self.rest.chars().next().expect("an end of the regex");
                    source.push(c);
                    self.rest = &self.rest[c.len_utf8()..];
                }
                self.literal(Value::string(source))
            }
            '-' | '0'..='9' => self.number(),
            _ => self.name(),
        }
    }

    fn string(&mut self) -> String {
        self.rest = &self.rest[1..];
        let mut out = String::new();
        loop {
            let c = self.rest.chars().next().expect("an end of the string");
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '"' => return out,
                '\\' => {
                    let next = self.rest.chars().next().expect("an escape");
                    self.rest = &self.rest[next.len_utf8()..];
                    match next {
                        '\\' | '"' => out.push(next),
                        'u' => {
                            let (code, rest) = self.rest.split_at(4);
                            self.rest = rest;
                            let code = u32::from_str_radix(code, 16).expect("four digits");
                            out.push(char::from_u32(code).expect("a character"));
                        }
                        other => out.extend(['\\', other]),
                    }
                }
                c => out.push(c),
            }
        }
    }

    fn number(&mut self) -> Operand {
        let before = self.rest;
        self.take("-");
        self.while_(|c| c.is_ascii_digit() || c == '.');
        if self.rest.strip_prefix('e').is_some_and(|r| r.starts_with(|c: char| c == '-' || c.is_ascii_digit())) {
            self.take("e");
            self.take("-");
            self.while_(|c| c.is_ascii_digit());
        }
        let spelled = &before[..before.len() - self.rest.len()];
        let unit = match self.while_(char::is_alphabetic).as_str() {
            "" => {
                return self.literal(match number::json(spelled.as_bytes()).expect("a number") {
                    number::Number::Int(n) => Value::Int(n),
                    number::Number::Float(x) => Value::Float(x),
                    number::Number::Big(digits) => Value::string(digits),
                });
            }
            "ms" => Unit::Millisecond,
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "mo" => Unit::Month,
            "y" => Unit::Year,
            other => panic!("no unit {other}"),
        };
        let period = Duration { count: spelled.parse().expect("a count"), unit };
        Operand { period: Some(period), ..self.literal(Value::string(spelled)) }
    }

    fn name(&mut self) -> Operand {
        let name = self.while_(|c| c.is_alphanumeric() || c == '_' || c == '@');
        assert!(!name.is_empty(), "cannot read {}", self.rest);
        if !self.take("(") {
            let value = match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                name => field(name),
            };
            return Operand { literal: false, ..self.literal(value) };
        }
        let mut args = Vec::new();
        while !self.take(")") {
            args.push(self.expression());
            self.take(",");
        }
        self.call(&name, args)
    }

    fn literal(&self, value: Value) -> Operand {
        Operand { literal: true, ..computed(self.layout.column(value)) }
    }

    fn call(&self, name: &str, mut args: Vec<Operand>) -> Operand {
        let function = find(name).unwrap_or_else(|| panic!("no function {name}"));
        let required = function.params.len() - function.optional;
        assert!(
            args.len() >= required && (function.variadic || args.len() <= function.params.len()),
            "arity of {name}"
        );
        let mut params: Vec<Type> = function.params.iter().map(|(_, t)| *t).collect();
        if name == "bin" {
            args.insert(0, computed(self.layout.column(field("@timestamp"))));
            params.insert(0, Type::Time);
        }
        let prepared: Vec<Option<Prepared>> = args
            .iter()
            .zip(params.iter().chain(std::iter::repeat(&Type::Any)))
            .map(|(arg, param)| self.prepare(arg, *param))
            .collect();
        let columns: Vec<Column> = args.into_iter().map(|a| a.column).collect();
        let clock = Clock { now: 1_714_564_800_999, start: Some(1_714_521_600_000), end: Some(1_714_608_000_000) };
        let args = Args { columns: &columns, prepared: &prepared, rows: self.layout.rows(), clock: &clock };
        let column = match function.eval {
            Eval::Values(f) => f(&args),
            Eval::Predicate(f) => Column::predicate(&f(&args)),
        };
        assert_eq!(column.len(), self.layout.rows(), "rows of {name}");
        computed(column)
    }

    /// What the planner would prepare: literals, while they are constant; a literal it would refuse is left to the row.
    fn prepare(&self, arg: &Operand, param: Type) -> Option<Prepared> {
        if param == Type::Period {
            return Some(Prepared::Period(arg.period.expect("a period")));
        }
        if !arg.literal || self.layout != Layout::Constant {
            return None;
        }
        let text = arg.column.get(0).scalar_text()?;
        match param {
            Type::Regex => Some(Prepared::Regex(Arc::new(Regex::new(&text).ok()?))),
            Type::Cidr => Some(Prepared::Cidr(parse_cidr(&text)?.trunc())),
            _ => None,
        }
    }
}

fn computed(column: Column) -> Operand {
    Operand { column, period: None, literal: false }
}

/// The canonical text of an expression: nothing for null, `""` for the empty string.
fn evaluate(expression: &str, layout: Layout) -> String {
    let mut reader = Reader { rest: expression, layout };
    let column = reader.expression().column;
    assert_eq!(reader.rest.trim(), "", "left over of {expression}");
    let show = |row| match column.get(row).text() {
        None => String::new(),
        Some(text) if text.is_empty() => "\"\"".into(),
        Some(text) => String::from_utf8_lossy(&text).into_owned(),
    };
    let last = show(layout.rows() - 1);
    if layout.rows() == 4 {
        assert_eq!(show(1), last, "rows 1 and 3 of {expression}");
    }
    last
}

/// Checks expressions against their canonical texts, in every layout: nothing for null, `""` for the empty string.
pub(super) fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        for layout in LAYOUTS {
            assert_eq!(evaluate(expression, layout), *expected, "{expression} {layout:?}");
        }
    }
}

#[test]
fn examples_of_the_table() {
    for function in functions() {
        assert!(!function.examples.is_empty(), "{} has no example", function.name);
        assert!(
            function.examples.iter().any(|(e, _)| e.contains(function.name)),
            "{} is not in its examples",
            function.name
        );
        for (expression, expected) in function.examples {
            for layout in LAYOUTS {
                let found = evaluate(expression, layout);
                assert_eq!(if found == "\"\"" { "" } else { &found }, *expected, "{expression} {layout:?}");
            }
        }
    }
}

#[test]
fn names_are_unique_and_rows_are_complete() {
    let mut seen = std::collections::HashSet::new();
    for function in functions() {
        for name in std::iter::once(&function.name).chain(function.aliases) {
            assert!(seen.insert(name.to_lowercase()), "{name} twice");
            assert!(std::ptr::eq(find(&name.to_uppercase()).expect("found"), function), "{name}");
        }
        assert!(
            function.about.ends_with('.') && !function.about.contains('\n'),
            "{}: {}",
            function.name,
            function.about
        );
        assert!(function.about.contains(|c: char| c.is_alphabetic()), "{} says nothing", function.name);
        assert!(function.optional <= function.params.len(), "{}", function.name);
    }
}

#[test]
fn no_rows_give_no_rows() {
    for function in functions() {
        let one: Column = [Value::string("x")].into_iter().collect();
        let columns = vec![one.take(&[]); function.params.len()];
        let prepared = vec![None; columns.len()];
        let args = Args { columns: &columns, prepared: &prepared, rows: 0, clock: &Clock::default() };
        let rows = match function.eval {
            Eval::Values(f) => f(&args).len(),
            Eval::Predicate(f) => f(&args).len(),
        };
        assert_eq!(rows, 0, "{}", function.name);
    }
}
