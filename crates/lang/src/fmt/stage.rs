//! Stages and declarations as canonical text, one line each but for sub-queries.

use super::Printer;
use super::word;
use crate::ast::{
    ExprKind, Item, Join, Let, LetValue, Lookup, Name, Output, Parse, ParseHow, Path, Setting, SourceSpec, SourceStage,
    Stage, StageKind, Stats, Table, Text,
};
use crate::parse::expr::Binding;

impl Printer<'_> {
    /// `let name = value`
    pub(super) fn declaration(&mut self, declared: &Let) -> String {
        let value = match &declared.value {
            LetValue::One(value) => self.expr(value, Binding::Or),
            LetValue::List(values) => format!("[{}]", self.exprs(values)),
        };
        format!("let {} = {value}", word::column(&declared.name))
    }

    /// `table name from "file"`
    pub(super) fn table(&mut self, table: &Table) -> String {
        format!("table {} from {}", word::column(&table.name), word::string(&table.file))
    }

    /// A stage without the `|`.
    pub(super) fn stage(&mut self, stage: &Stage) -> String {
        match &stage.kind {
            StageKind::Fields(items) => format!("fields {}", self.items(items)),
            StageKind::Display(items) => format!("display {}", self.items(items)),
            StageKind::Filter(condition) => format!("filter {}", self.expr(condition, Binding::Or)),
            StageKind::Stats(stats) => self.stats(stats),
            StageKind::Sort(keys) => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| {
                        let direction = match (key.explicit, key.descending) {
                            (false, _) => "",
                            (true, false) => " asc",
                            (true, true) => " desc",
                        };
                        self.item(&key.item) + direction
                    })
                    .collect();
                format!("sort {}", keys.join(", "))
            }
            StageKind::Limit { any, count } => {
                let count = count.as_ref().map(|count| format!(" {}", self.expr(count, Binding::Or)));
                format!("limit{}{}", if *any { " any" } else { "" }, count.unwrap_or_default())
            }
            StageKind::Dedup(fields) => {
                let fields: Vec<String> = fields.iter().map(|field| self.expr(field, Binding::Operand)).collect();
                format!("dedup {}", fields.join(", "))
            }
            StageKind::Parse(parse) => self.parse(parse),
            StageKind::Json { field, path, alias } => {
                format!("json field={} {} as {}", word::path(field), word::text(path), word::new_name(alias))
            }
            StageKind::Pattern(expr) => format!("pattern {}", self.expr(expr, Binding::Or)),
            StageKind::Diff(None) => "diff".to_string(),
            StageKind::Diff(Some(period)) => format!("diff {}", period.text),
            StageKind::Anomaly => "anomaly".to_string(),
            StageKind::Unnest { list, alias } => {
                format!("unnest {} into {}", self.expr(list, Binding::Or), word::new_name(alias))
            }
            StageKind::Expand(field) => format!("expand {}", self.expr(field, Binding::Operand)),
            StageKind::Lookup(lookup) => lookup_text(lookup),
            StageKind::CidrLookup(lookup) => {
                let ip = self.expr(&lookup.ip, Binding::Or);
                let column = optional(" as ", lookup.column.as_ref(), word::column);
                format!("cidrlookup {} {ip}{column} {}", word::column(&lookup.table), output(&lookup.output))
            }
            StageKind::Join(join) => self.join(join),
            StageKind::Source(source) => source_text(source),
            StageKind::FilterIndex(condition) => format!("filterIndex {}", self.expr(condition, Binding::Or)),
            StageKind::Unmask(item) => format!("unmask {}", self.item(item)),
            StageKind::AddTotals { options, fields } => {
                format!("addtotals{}{}", settings(options), spaced(&paths(fields)))
            }
            StageKind::Accum { field, alias, by } => {
                format!("accum {}{}{}", word::path(field), as_name(alias.as_ref()), by_keys(by))
            }
            StageKind::Baseline { field, alias, by } => {
                format!("baseline {}{}{}", word::path(field), as_name(alias.as_ref()), by_keys(by))
            }
            StageKind::Autoregress { field, alias, lags, lag_span: _, by } => {
                let lags = match lags {
                    None => String::new(),
                    Some((first, last)) if first == last => format!(" p={first}"),
                    Some((first, last)) => format!(" p={first}-{last}"),
                };
                format!("autoregress {}{}{lags}{}", word::path(field), as_name(alias.as_ref()), by_keys(by))
            }
            StageKind::FillDown(names) => {
                let names: Vec<String> = names.iter().map(word::glob_name).collect();
                format!("filldown{}", spaced(&names.join(", ")))
            }
            StageKind::FillMissing(values) => {
                let values: Vec<String> = values
                    .iter()
                    .map(|(value, field)| format!("{} for {}", self.expr(value, Binding::Unary), word::path(field)))
                    .collect();
                if values.is_empty() {
                    "fillmissing".to_string()
                } else {
                    format!("fillmissing with {}", values.join(", "))
                }
            }
            StageKind::Sessionize { fields, maxspan, alias } => {
                let maxspan = maxspan.as_ref().map(|d| format!(" maxspan {}", self.expr(d, Binding::Unary)));
                format!("sessionize {}{}{}", paths(fields), maxspan.unwrap_or_default(), as_name(alias.as_ref()))
            }
            StageKind::CountFrequent(fields) => format!("countFrequent {}", paths(fields)),
            StageKind::Outlier { options, fields } => {
                format!("outlier{}{}", settings(options), spaced(&paths(fields)))
            }
            StageKind::AppendCols { options, query } => {
                format!("appendcols{} {}", settings(options), self.sub_query(query))
            }
            StageKind::LogCompare(period) => format!("logcompare timeshift {}", self.expr(period, Binding::Unary)),
            StageKind::RelevantFields { fields, condition } => {
                format!("relevantfields{} where {}", spaced(&paths(fields)), self.expr(condition, Binding::Or))
            }
            StageKind::Estimate => "estimate".to_string(),
            StageKind::Burst { keys, within, value, op, bound } => {
                let value = match &value.kind {
                    ExprKind::Call { name, star: true, .. } if name.text.eq_ignore_ascii_case("count") => {
                        "count".to_string()
                    }
                    _ => self.expr(value, Binding::Operand),
                };
                let (within, bound) = (self.expr(within, Binding::Unary), self.expr(bound, Binding::Unary));
                format!("burst by {} within {within} {value} {} {bound}", paths(keys), op.text())
            }
            StageKind::Sequence { keys, within, steps } => {
                let steps: Vec<String> = steps
                    .iter()
                    .map(|step| {
                        let condition = self.expr(&step.condition, Binding::Or);
                        let times =
                            step.at_least.as_ref().map(|n| format!(" at least {}", self.expr(n, Binding::Unary)));
                        format!("{}: {condition}{}", word::column(&step.name), times.unwrap_or_default())
                    })
                    .collect();
                let within = self.expr(within, Binding::Unary);
                format!("sequence by {} within {within} [ {} ]", paths(keys), steps.join(" ; "))
            }
            StageKind::FirstSeen { fields, by, history, after } => {
                let history = history.as_ref().map(|d| format!(" history {}", self.expr(d, Binding::Unary)));
                let after = optional(" after ", after.as_ref(), word::text);
                format!("firstseen {}{}{}{after}", paths(fields), by_keys(by), history.unwrap_or_default())
            }
            StageKind::Union(query) => format!("union {}", self.sub_query(query)),
            StageKind::Broken => self.source_text(stage.span).to_string(),
        }
    }

    fn stats(&mut self, stats: &Stats) -> String {
        let mut text = format!("stats {}", self.items(&stats.items));
        if !stats.by.is_empty() {
            text += &format!(" by {}", self.items(&stats.by));
        }
        if let Some(offset) = &stats.offset {
            text += &format!(" offset {}", self.expr(offset, Binding::Unary));
        }
        text
    }

    fn items(&mut self, items: &[Item]) -> String {
        let items: Vec<String> = items.iter().map(|item| self.item(item)).collect();
        items.join(", ")
    }

    /// An item without a name of its own keeps its text: it is the column's name.
    fn item(&mut self, item: &Item) -> String {
        match &item.alias {
            Some(alias) => format!("{} as {}", self.expr(&item.expr, Binding::Or), word::new_name(alias)),
            None => match self.collapsed(item.span) {
                Some(text) => text,
                None => self.expr(&item.expr, Binding::Or),
            },
        }
    }

    fn parse(&mut self, parse: &Parse) -> String {
        let field = parse.field.as_ref().map(|field| format!(" {}", self.expr(field, Binding::Operand)));
        let names: Vec<String> = parse.names.iter().map(word::new_name).collect();
        let names = if names.is_empty() { String::new() } else { format!(" as {}", names.join(", ")) };
        let how = match &parse.how {
            ParseHow::Glob(text) => word::text(text) + &names,
            ParseHow::Regex { regex, multi, span: _ } => {
                format!("{}{}{names}", word::regex(regex), if *multi { " multi" } else { "" })
            }
            ParseHow::Logfmt => format!("logfmt{names}"),
            ParseHow::Csv => format!("csv{names}"),
        };
        format!("parse{} {how}", field.unwrap_or_default())
    }

    fn join(&mut self, join: &Join) -> String {
        let kind = if join.left_outer { " type=left" } else { "" };
        let left = optional(" left=", join.left.as_ref(), word::setting_value);
        let right = optional(" right=", join.right.as_ref(), word::setting_value);
        let (a, b) = (word::path(&join.on.0), word::path(&join.on.1));
        format!("join{kind}{left}{right} where {a} = {b} {}", self.sub_query(&join.query))
    }
}

fn optional<T>(before: &str, value: Option<&T>, text: impl Fn(&T) -> String) -> String {
    value.map_or(String::new(), |value| format!("{before}{}", text(value)))
}

fn as_name(alias: Option<&Name>) -> String {
    optional(" as ", alias, word::new_name)
}

/// `text` with a space in front, unless it is empty.
fn spaced(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {text}") }
}

/// ` by k, …`, or nothing.
fn by_keys(keys: &[Path]) -> String {
    if keys.is_empty() { String::new() } else { format!(" by {}", paths(keys)) }
}

fn paths(paths: &[Path]) -> String {
    let paths: Vec<String> = paths.iter().map(word::path).collect();
    paths.join(", ")
}

/// Each setting with a space in front.
fn settings(settings: &[Setting]) -> String {
    settings.iter().map(|s| format!(" {}={}", s.key.text, word::setting_value(&s.value))).collect()
}

fn lookup_text(lookup: &Lookup) -> String {
    let keys: Vec<String> = lookup
        .keys
        .iter()
        .map(|(column, field)| word::column(column) + &optional(" as ", field.as_ref(), word::path))
        .collect();
    format!("lookup {} {} {}", word::column(&lookup.table), keys.join(", "), output(&lookup.output))
}

fn output(output: &Output) -> String {
    let columns: Vec<String> =
        output.columns.iter().map(|(column, alias)| word::column(column) + &as_name(alias.as_ref())).collect();
    format!("{} {}", if output.only_new { "outputnew" } else { "output" }, columns.join(", "))
}

fn source_text(source: &SourceStage) -> String {
    let specs: Vec<String> = source.specs.iter().map(spec).collect();
    let start = optional(" start=", source.start.as_ref(), word::text);
    let end = optional(" end=", source.end.as_ref(), word::text);
    format!("source {}{start}{end}", specs.join(" "))
}

fn spec(spec: &SourceSpec) -> String {
    match spec {
        SourceSpec::Name(text) => word::text(text),
        SourceSpec::LogGroups(arguments) => {
            let arguments: Vec<String> =
                arguments.iter().map(|(name, values)| format!("{}: {}", word::column(name), texts(values))).collect();
            format!("logGroups({})", arguments.join(", "))
        }
        SourceSpec::DataSource(values) => format!("dataSource({})", texts(values)),
    }
}

fn texts(texts: &[Text]) -> String {
    let texts: Vec<String> = texts.iter().map(word::text).collect();
    format!("[{}]", texts.join(", "))
}
