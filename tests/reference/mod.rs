//! The meaning of the language as a program: a naive interpreter, one row at a time.
//!
//! Written from the language reference alone and without any code of the engine, so that the two can be held against
//! each other. It is slow and never clever; where the reference says nothing, a comment says what was settled.
//!
//! | file | what it says |
//! |---|---|
//! | `value` | values, their texts, how input is read |
//! | `compare` | `=`, `<`, the order of `sort` |
//! | `expr` | operators and fields |
//! | `func` | functions |
//! | `stats` | aggregates |
//! | `stages` | commands, shown columns, order of rows |
//! | `past` | commands that look at earlier rows |
//! | `beside` | commands that put other things beside the rows: joins, columns, rows for empty bins, outliers |
//! | `shapes` | commands that make other rows: patterns, bursts, sequences, totals, unions |
//!
//! Beside it stand `generate`, which makes up queries and events, and `executor`, which asks the engine.

pub mod beside;
pub mod compare;
pub mod executor;
pub mod expr;
pub mod func;
pub mod generate;
pub mod past;
pub mod shapes;
pub mod stages;
pub mod stats;
pub mod value;

use crate::support::answer::Answer;
use backsight_lang::ast::{self, ExprKind, LetValue};
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use value::V;

/// A result, or what the interpreter does not know.
pub type Outcome<T> = Result<T, String>;

/// Says that something is beyond the interpreter.
pub fn unsupported<T>(what: impl Into<String>) -> Outcome<T> {
    Err(what.into())
}

/// A row: what the query made, and behind it the event it came from.
#[derive(Clone, Debug)]
pub struct Row {
    /// Fields the query has named, in order of their first definition. After `stats` there is nothing else.
    pub made: Vec<(String, V)>,
    /// Fields of the event.
    pub event: Vec<(String, V)>,
    /// The event's time, which the default order goes by.
    pub time: V,
    /// Where the row stands in source order.
    pub place: Vec<usize>,
    /// What a `join` has put beside it: fields that bare names mean where the row has none.
    pub beside: Option<V>,
}

/// What all rows of a query share.
pub struct World<'a> {
    /// The query's text.
    pub text: &'a str,
    /// The events in source order.
    pub events: Vec<Row>,
    lets: HashMap<String, LetValue>,
    regexes: RefCell<HashMap<String, Option<Regex>>>,
}

impl World<'_> {
    pub fn param(&self, name: &str) -> Outcome<&LetValue> {
        self.lets.get(name).ok_or_else(|| format!("undefined parameter {name}"))
    }

    /// A compiled regular expression; `None` for text that is none.
    pub fn regex(&self, pattern: &str) -> Option<Regex> {
        let compile = || Regex::new(pattern).ok();
        self.regexes.borrow_mut().entry(pattern.into()).or_insert_with(compile).clone()
    }
}

/// The answer to a valid query, or what the interpreter does not know.
pub fn answer(query: &str, input: &str) -> Outcome<Answer> {
    let parsed = backsight_lang::parse(query);
    if !parsed.is_ok() {
        return unsupported("a query with errors");
    }
    if !parsed.query.tables.is_empty() {
        return unsupported("`table`");
    }
    let named = |l: &ast::Let| query.contains(&format!("${}", l.name.text));
    let expression = |l: &&ast::Let| matches!(&l.value, LetValue::One(e) if matches!(e.kind, ExprKind::Regex(_)));
    let shape = parsed.query.shape();
    let expressions = || shape.split("/\"").skip(1).filter_map(|rest| rest.split("\"/").next());
    let in_expression = |l: &ast::Let| {
        let names = [format!("${}", l.name.text), format!("${{{}}}", l.name.text)];
        expressions().any(|text| names.iter().any(|name| text.contains(name)))
    };
    if parsed.query.lets.iter().any(|l| expression(&l) || named(l) && in_expression(l)) {
        return unsupported("a parameter in a regular expression");
    }
    let lets = parsed.query.lets.iter().map(|l| (l.name.text.clone(), l.value.clone())).collect();
    let events = input.lines().filter(|l| !l.trim().is_empty()).enumerate().map(|(at, l)| event(at, l)).collect();
    let world = World { text: query, events, lets, regexes: RefCell::default() };
    let answer = stages::run(&world, &parsed.query.stages)?;
    let cells = |row: Vec<V>| row.iter().map(|v| v.text().unwrap_or_default()).collect();
    Ok(Answer { columns: answer.columns, rows: answer.rows.into_iter().map(cells).collect() })
}

/// "Events and system fields": a line as an event.
fn event(at: usize, line: &str) -> Row {
    const SYSTEM: [&str; 6] = ["@timestamp", "@message", "@logStream", "@log", "@ingestionTime", "@ptr"];
    const TIMES: [&str; 5] = ["timestamp", "time", "eventTime", "requestTime", "ts"];
    let mut fields: Vec<(String, V)> = Vec::new();
    let members = match value::read_json(line) {
        Some(V::Map(members)) => members,
        _ => Vec::new(),
    };
    let own = |name: &str| members.iter().find(|(k, v)| k == name && !v.is_null()).map(|(_, v)| v);
    let timestamp = own("@timestamp").or_else(|| TIMES.iter().find_map(|name| own(name)));
    let time = timestamp.map_or(V::Null, value::read_timestamp);
    fields.push(("@timestamp".into(), time.clone()));
    fields.push(("@message".into(), own("@message").cloned().unwrap_or_else(|| V::string(line))));
    for (key, value) in &members {
        match key.as_str() {
            "@timestamp" | "@message" => {}
            name if SYSTEM.contains(&name) => fields.push((key.clone(), value.clone())),
            _ => fields.push((escaped(key), value.clone())),
        }
    }
    if let Some(V::String(message)) = own("@message")
        && let Some(V::Map(inner)) = value::read_json(message)
    {
        for (key, value) in inner {
            let key = escaped(&key);
            if !fields.iter().any(|(k, _)| *k == key) {
                fields.push((key, value));
            }
        }
    }
    Row { made: Vec::new(), event: fields, time, place: vec![at], beside: None }
}

/// "Any other data key starting with `@` is shown with one more `@`."
fn escaped(key: &str) -> String {
    if key.starts_with('@') { format!("@{key}") } else { key.to_string() }
}
