//! A plan as text for `backsight explain`: every op in the order it runs, nothing left out.

use super::nested::Combine;
use super::ordered::Ordered;
use super::tables::SetSource;
use super::{AggCall, CompareOp, Expr, Matcher, Op, ParsePattern, Plan, Slot, SortKey};
use crate::value::{Kind, Value, number, time};
use backsight_lang::ast::{BinaryOp, Segment};
use std::fmt::Write;

impl Plan {
    /// The plan, one op a line: the word for the op, then what it does. Ends with a newline.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, "");
        out
    }

    fn write(&self, out: &mut String, indent: &str) {
        let mut names = Names::default();
        for (field, slot) in &self.scan.fields {
            names.set(*slot, field.name());
        }
        let fields: Vec<String> = self.scan.fields.iter().map(|(f, _)| f.name()).collect();
        let read = if fields.is_empty() { "no field".to_owned() } else { fields.join(", ") };
        let _ = writeln!(out, "{indent}scan    read {read}");
        for source in &self.scan.sources {
            let _ = writeln!(out, "{indent}        of {source:?}");
        }
        for any in &self.scan.needles {
            let any: Vec<String> = any.iter().map(|n| format!("{:?}", String::from_utf8_lossy(n))).collect();
            let _ = writeln!(
                out,
                "{indent}        advice: a record that passes holds {}, or a backslash",
                any.join(" or ")
            );
        }
        let first: Vec<String> = self.first_fields().map(|field| field.name()).collect();
        if !first.is_empty() && first.len() < self.scan.fields.len() {
            let _ = writeln!(out, "{indent}        advice: {} first, the rest for records that pass", first.join(", "));
        }
        for (field, texts) in &self.scan.equals {
            let any: Vec<String> = texts.iter().map(|t| format!("{:?}", String::from_utf8_lossy(t))).collect();
            let (field, any) = (field.name(), any.join(" or "));
            let _ = writeln!(
                out,
                "{indent}        advice: of Parquet, only what statistics and bloom filters allow to hold {field} = {any}"
            );
        }
        if self.ops.iter().any(|op| matches!(op, Op::Range { .. })) {
            let _ = writeln!(out, "{indent}        advice: of Parquet, only row groups of that time");
        }
        for op in &self.ops {
            let _ = writeln!(out, "{indent}{}", names.op(op));
            if let Op::Nested(nested) = op {
                nested.plan.write(out, &format!("{indent}        "));
            }
        }
        let shown: Vec<String> = self.shown.iter().map(|(n, _)| n.clone()).collect();
        let _ = writeln!(out, "{indent}show    {}", shown.join(", "));
        for (i, set) in self.sets.iter().enumerate() {
            match set {
                SetSource::Query(plan) => {
                    let _ = writeln!(out, "{indent}set {} from a query, run first", i + 1);
                    plan.write(out, &format!("{indent}  "));
                }
                SetSource::Table { file, column } => {
                    let column = column.as_deref().unwrap_or("its first column");
                    let _ = writeln!(out, "{indent}set {} from {file:?}, {column}", i + 1);
                }
            }
        }
    }
}

/// What slots are called.
#[derive(Default)]
struct Names(Vec<Option<String>>);

impl Names {
    fn set(&mut self, slot: Slot, name: String) {
        if self.0.len() <= slot {
            self.0.resize(slot + 1, None);
        }
        self.0[slot] = Some(name);
    }

    fn get(&self, slot: Slot) -> String {
        self.0.get(slot).cloned().flatten().unwrap_or_else(|| format!("#{slot}"))
    }

    fn list(&self, slots: &[Slot]) -> String {
        slots.iter().map(|s| self.get(*s)).collect::<Vec<_>>().join(", ")
    }

    fn op(&mut self, op: &Op) -> String {
        match op {
            Op::Filter(e) => format!("filter  {}", self.expr(e)),
            Op::Range { start, end, .. } => {
                let side = |t: &Option<i64>| t.map_or("…".to_owned(), crate::value::time::format);
                format!("range   {} <= @timestamp < {}; events without a time are left out", side(start), side(end))
            }
            Op::Edges(time) => format!("edges   first and last {}, of all events", self.get(*time)),
            Op::Extend(columns) => {
                let all: Vec<String> = columns
                    .iter()
                    .map(|(slot, e)| {
                        let text = self.expr(e);
                        self.set(*slot, text.clone());
                        format!("#{slot} = {text}")
                    })
                    .collect();
                format!("extend  {}", all.join(", "))
            }
            Op::Parse { input, pattern, outputs } => {
                let how = match pattern {
                    ParsePattern::Glob(pieces) => format!("glob of {} stars", pieces.len() - 1),
                    ParsePattern::Regex { regex, multi: true, .. } => format!("/{regex}/, one row a match"),
                    ParsePattern::Regex { regex, .. } => format!("/{regex}/"),
                    ParsePattern::Logfmt => "logfmt".into(),
                    ParsePattern::Csv => "csv".into(),
                };
                format!("parse   {} by {how} into {}", self.expr(input), self.list(outputs))
            }
            Op::Unnest { list, output } => format!("unnest  {} into #{output}", self.expr(list)),
            Op::Drop(slots) => format!("drop    {}", self.list(slots)),
            Op::Trace { output, .. } => format!("trace   into #{output}"),
            Op::Group { keys, aggs, .. } => {
                let key_names: Vec<String> = keys.iter().map(|s| self.get(*s)).collect();
                let calls: Vec<String> = aggs.iter().map(|a| self.call(a)).collect();
                let by = if keys.is_empty() { "all rows".to_owned() } else { format!("by {}", key_names.join(", ")) };
                self.0.clear();
                key_names.into_iter().chain(calls.iter().cloned()).enumerate().for_each(|(i, n)| self.set(i, n));
                format!("group   {by}: {}", calls.join(", "))
            }
            Op::Sort { keys, limit } => {
                let keys: Vec<String> = keys.iter().map(|k| self.key(k)).collect();
                let keys = if keys.is_empty() { "source order".to_owned() } else { keys.join(", ") };
                match limit {
                    Some(n) => format!("top     {n} by {keys}"),
                    None => format!("sort    {keys}"),
                }
            }
            Op::Limit { rows, any: true } => format!("limit   any {rows}"),
            Op::Limit { rows, any: false } => format!("limit   {rows}"),
            Op::Dedup(slots) => format!("dedup   {}", self.list(slots)),
            Op::Nested(nested) => match &nested.how {
                Combine::Union(columns) => {
                    let text = format!("union   {} columns with", columns.len());
                    self.0.clear();
                    text
                }
                Combine::Paste { .. } => "paste   row by row".into(),
                Combine::Join { left, outer, .. } => {
                    format!(
                        "join    {} {} with",
                        self.get(*left),
                        if *outer { "(all rows stay)" } else { "(equal keys only)" }
                    )
                }
            },
            Op::Lookup(lookup) => {
                let columns: Vec<&str> = lookup.outputs.iter().map(|(c, ..)| c.as_str()).collect();
                format!("lookup  {} from {:?}", columns.join(", "), lookup.file)
            }
            Op::Ordered(op) => {
                let text = self.ordered(op);
                if op.renumbers() {
                    self.0.clear();
                }
                text
            }
        }
    }

    /// A command over all rows in their order: its word, then what it looks at.
    fn ordered(&self, op: &Ordered) -> String {
        let of = |keys: &[Slot]| match keys {
            [] => "of all rows".to_owned(),
            keys => format!("of each {}", self.list(keys)),
        };
        match op {
            Ordered::Accum { keys, input, output } => {
                format!("accum   #{output} = running sum of {}, {}", self.get(*input), of(keys))
            }
            Ordered::Autoregress { keys, input, outputs } => {
                let lags: Vec<String> = outputs.iter().map(|(lag, to)| format!("#{to} = {lag} before")).collect();
                format!("earlier {} in rows {}: {}", self.get(*input), of(keys), lags.join(", "))
            }
            Ordered::Baseline { keys, input, outputs: [median, mad, past] } => {
                let input = self.get(*input);
                let of = of(keys);
                format!(
                    "past    #{median} = median, #{mad} = distance from it, #{past} = number of {input} before, {of}"
                )
            }
            Ordered::New { after, known, .. } => {
                let since = after.map_or("all values".to_owned(), |t| format!("values first seen since {t}"));
                let known = known.as_ref().map_or(String::new(), |(_, to)| format!(", #{to} = values known before"));
                format!("new     {since}{known}")
            }
            Ordered::FillDown(columns) => {
                let from: Vec<Slot> = columns.iter().map(|(from, _)| *from).collect();
                format!("fill    nulls of {} from above", self.list(&from))
            }
            Ordered::Sessionize { keys, gap, output, .. } => {
                format!("session #{output} = number {}, a pause over {gap} ms starts one", of(keys))
            }
            Ordered::Totals { inputs, row, column, .. } => {
                let row = row.map_or(String::new(), |to| format!(", in each row as #{to}"));
                let column = if *column { ", in a last row" } else { "" };
                format!("totals  of {}{row}{column}", self.list(inputs))
            }
            Ordered::FillMissing { bin, period, keys, .. } => {
                let period = format!("{}{}", period.count, period.unit.symbol());
                format!("bins    of {period} missing in {}, {}", self.get(*bin), of(keys))
            }
            Ordered::Outlier { columns, param, lower, remove } => {
                let from: Vec<Slot> = columns.iter().map(|(from, ..)| *from).collect();
                let what = if *remove { "rows dropped" } else { "values clamped" };
                let sides = if *lower { "above and below" } else { "above" };
                format!("outlier {what} {param} quartile ranges {sides} in {}", self.list(&from))
            }
            Ordered::Patterns { pattern, .. } => format!("ratio   and severity of {}", self.get(*pattern)),
            Ordered::Relevant { holds, fields, message, .. } => {
                let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                names.extend(message.map(|_| "all fields of the events"));
                format!("rank    {} by how they tell {}", names.join(", "), self.get(*holds))
            }
            Ordered::Burst { keys, within, value, op, bound, .. } => {
                let (call, bound) = (self.call(value), literal(bound));
                format!("burst   {call} {} {bound} within {within} ms, {}", op.symbol(), of(keys))
            }
            Ordered::Sequence { keys, within, steps, .. } => {
                let steps: Vec<String> = steps.iter().map(|(s, n)| format!("{n} times {}", self.get(*s))).collect();
                format!("follow  {} within {within} ms, {}", steps.join(", then "), of(keys))
            }
        }
    }

    fn key(&self, key: &SortKey) -> String {
        format!("{}{}", self.get(key.slot), if key.descending { " desc" } else { "" })
    }

    fn call(&self, call: &AggCall) -> String {
        let args = if call.settings.star { "*".to_owned() } else { self.list(&call.args) };
        match call.settings.number {
            Some(n) => format!("{}({args}, {n})", call.aggregate.name),
            None => format!("{}({args})", call.aggregate.name),
        }
    }

    /// How the sides of a comparison with a literal are taken: which coercion decides it.
    fn compared(&self, op: CompareOp, a: &Expr, b: &Expr) -> &'static str {
        let ((Expr::Literal(value), other) | (other, Expr::Literal(value))) = (a, b) else { return "" };
        let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        let is_time = matches!(other, Expr::Slot(s) if self.get(*s) == "@timestamp");
        match value {
            Value::Text(Kind::String, text) if is_time && time::parse_readable(text).is_some() => " (as times)",
            Value::Text(Kind::String, _) if equality => " (as text)",
            Value::Text(Kind::String, text) if number::numeric(text).is_none() => " (as text)",
            Value::Int(_) | Value::Float(_) if equality => " (as numbers; a string by its text)",
            Value::Int(_) | Value::Float(_) | Value::Text(Kind::String, _) => " (as numbers; other text by code point)",
            _ => "",
        }
    }

    fn expr(&self, e: &Expr) -> String {
        match e {
            Expr::Slot(s) => self.get(*s),
            Expr::Literal(v) => literal(v),
            Expr::Member(e, segments) => {
                let mut out = self.expr(e);
                for segment in segments {
                    match segment {
                        Segment::Name { text, .. } => out.push_str(&format!(".{text}")),
                        Segment::Index(n) => out.push_str(&format!("[{n}]")),
                    }
                }
                out
            }
            Expr::Call(call) => {
                let args: Vec<String> = call
                    .args
                    .iter()
                    .zip(&call.prepared)
                    .map(|(arg, ready)| match ready {
                        Some(crate::func::Prepared::Period(d)) => format!("{} {:?}", d.count, d.unit).to_lowercase(),
                        _ => self.expr(arg),
                    })
                    .collect();
                format!("{}({})", call.function.name, args.join(", "))
            }
            Expr::Arithmetic(op, a, b) => format!("({} {} {})", self.expr(a), arithmetic(*op), self.expr(b)),
            Expr::Negate(e) => format!("-{}", self.expr(e)),
            Expr::Compare(op, a, b) => {
                format!("{} {} {}{}", self.expr(a), op.symbol(), self.expr(b), self.compared(*op, a, b))
            }
            Expr::And(all) => all.iter().map(|e| self.expr(e)).collect::<Vec<_>>().join(" and "),
            Expr::Or(all) => format!("({})", all.iter().map(|e| self.expr(e)).collect::<Vec<_>>().join(" or ")),
            Expr::Not(e) => format!("not ({})", self.expr(e)),
            Expr::Like(e, Matcher::SubstringOf(m)) => format!("{} holds {}", self.expr(e), self.expr(m)),
            Expr::Like(e, Matcher::RegexOf(m)) => format!("{} matches {}", self.expr(e), self.expr(m)),
            Expr::Like(e, matcher) => format!("{} like {matcher:?}", self.expr(e)),
            Expr::In(e, set) => {
                format!("{} in [{}]", self.expr(e), set.values().iter().map(literal).collect::<Vec<_>>().join(", "))
            }
            Expr::InQuery(e, n) => format!("{} in set {}", self.expr(e), n + 1),
        }
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Text(Kind::String, t) => format!("{:?}", String::from_utf8_lossy(t)),
        other => other.as_ref().text().map_or(String::new(), |t| String::from_utf8_lossy(&t).into_owned()),
    }
}

fn arithmetic(op: BinaryOp) -> &'static str {
    match op {
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
