//! The shape of a tree: its nodes as nested lists, without any place in the text. Two queries of one shape mean the same.
//!
//! Written apart from the formatter, so that formatting can be checked against it.

use std::fmt::Write;

use crate::ast::{
    Expr, ExprKind, GlobName, InSet, Item, Join, LetValue, Lookup, Name, Output, ParseHow, Path, Query, Regex, Segment,
    Setting, SourceSpec, SourceStage, Stage, StageKind, Text,
};

impl Query {
    /// The tree as nested lists, such as `(filter (= a 1))`: one line per stage, no spans and no comments.
    pub fn shape(&self) -> String {
        let mut shape = Shape::default();
        shape.query(self);
        shape.out
    }

    /// Whether both are the same query: equal trees, wherever their parts stand in the text and however they are spaced.
    pub fn same(&self, other: &Query) -> bool {
        self.shape() == other.shape()
    }
}

impl Expr {
    /// The expression as nested lists, as in [`Query::shape`].
    pub fn shape(&self) -> String {
        let mut shape = Shape::default();
        shape.expr(self);
        shape.out
    }
}

#[derive(Default)]
struct Shape {
    out: String,
}

impl Shape {
    /// Adds `text`, apart from what stands before.
    fn atom(&mut self, text: &str) {
        if !self.out.is_empty() && !self.out.ends_with(['(', '\n']) {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    /// Adds `text` so that it cannot be taken for anything else.
    fn quoted(&mut self, text: &str) {
        self.atom(&format!("{text:?}"));
    }

    /// Adds `(head …)`.
    fn list(&mut self, head: &str, inside: impl FnOnce(&mut Shape)) {
        self.atom("(");
        self.atom(head);
        inside(self);
        self.out.push(')');
    }

    fn query(&mut self, query: &Query) {
        for declared in &query.lets {
            self.list("let", |s| {
                s.name(&declared.name);
                match &declared.value {
                    LetValue::One(value) => s.expr(value),
                    LetValue::List(values) => s.list("list", |s| s.exprs(values)),
                }
            });
            self.out.push('\n');
        }
        for table in &query.tables {
            self.list("table", |s| {
                s.name(&table.name);
                s.quoted(&table.file);
            });
            self.out.push('\n');
        }
        for stage in &query.stages {
            self.stage(stage);
            self.out.push('\n');
        }
    }

    fn stage(&mut self, stage: &Stage) {
        match &stage.kind {
            StageKind::Fields(items) => self.list("fields", |s| s.items(items)),
            StageKind::Display(items) => self.list("display", |s| s.items(items)),
            StageKind::Filter(condition) => self.list("filter", |s| s.expr(condition)),
            StageKind::Stats(stats) => self.list("stats", |s| {
                s.items(&stats.items);
                s.list("by", |s| s.items(&stats.by));
                s.option("offset", stats.offset.as_ref(), Shape::expr);
            }),
            StageKind::Sort(keys) => self.list("sort", |s| {
                for key in keys {
                    let direction = match (key.explicit, key.descending) {
                        (false, _) => "key",
                        (true, true) => "desc",
                        (true, false) => "asc",
                    };
                    s.list(direction, |s| s.item(&key.item));
                }
            }),
            StageKind::Limit { any, count } => self.list(if *any { "limit-any" } else { "limit" }, |s| {
                s.exprs(count.as_slice());
            }),
            StageKind::Dedup(fields) => self.list("dedup", |s| s.exprs(fields)),
            StageKind::Parse(parse) => self.list("parse", |s| {
                s.option("field", parse.field.as_ref(), Shape::expr);
                match &parse.how {
                    ParseHow::Glob(text) => s.list("glob", |s| s.text(text)),
                    ParseHow::Regex { regex, multi, span: _ } => {
                        s.list(if *multi { "multi" } else { "regex" }, |s| s.regex(regex))
                    }
                    ParseHow::Logfmt => s.atom("logfmt"),
                    ParseHow::Csv => s.atom("csv"),
                }
                s.names(&parse.names);
            }),
            StageKind::Json { field, path, alias } => self.list("json", |s| {
                s.path(field);
                s.text(path);
                s.name(alias);
            }),
            StageKind::Pattern(expr) => self.list("pattern", |s| s.expr(expr)),
            StageKind::Diff(period) => self.list("diff", |s| {
                s.option("period", period.as_ref(), |s, p| s.quoted(&p.text.to_lowercase()));
            }),
            StageKind::Anomaly => self.atom("(anomaly)"),
            StageKind::Unnest { list, alias } => self.list("unnest", |s| {
                s.expr(list);
                s.name(alias);
            }),
            StageKind::Expand(field) => self.list("expand", |s| s.expr(field)),
            StageKind::Lookup(lookup) => self.lookup(lookup),
            StageKind::CidrLookup(lookup) => self.list("cidrlookup", |s| {
                s.name(&lookup.table);
                s.expr(&lookup.ip);
                s.option("as", lookup.column.as_ref(), Shape::name);
                s.output(&lookup.output);
            }),
            StageKind::Join(join) => self.join(join),
            StageKind::Source(source) => self.source(source),
            StageKind::FilterIndex(condition) => self.list("filter-index", |s| s.expr(condition)),
            StageKind::Unmask(item) => self.list("unmask", |s| s.item(item)),
            StageKind::AddTotals { options, fields } => self.list("addtotals", |s| {
                s.settings(options);
                s.paths(fields);
            }),
            StageKind::Accum { field, alias, by } => self.list("accum", |s| s.running(field, alias, by)),
            StageKind::Baseline { field, alias, by } => self.list("baseline", |s| s.running(field, alias, by)),
            StageKind::Autoregress { field, alias, lags, lag_span: _, by } => self.list("autoregress", |s| {
                s.running(field, alias, by);
                s.atom(&format!("{lags:?}"));
            }),
            StageKind::FillDown(names) => self.list("filldown", |s| names.iter().for_each(|name| s.glob_name(name))),
            StageKind::FillMissing(values) => self.list("fillmissing", |s| {
                for (value, path) in values {
                    s.expr(value);
                    s.path(path);
                }
            }),
            StageKind::Sessionize { fields, maxspan, alias } => self.list("sessionize", |s| {
                s.paths(fields);
                s.option("maxspan", maxspan.as_ref(), Shape::expr);
                s.option("as", alias.as_ref(), Shape::name);
            }),
            StageKind::CountFrequent(fields) => self.list("count-frequent", |s| s.paths(fields)),
            StageKind::Outlier { options, fields } => self.list("outlier", |s| {
                s.settings(options);
                s.paths(fields);
            }),
            StageKind::AppendCols { options, query } => self.list("appendcols", |s| {
                s.settings(options);
                s.list("query", |s| s.query(query));
            }),
            StageKind::LogCompare(period) => self.list("logcompare", |s| s.expr(period)),
            StageKind::RelevantFields { fields, condition } => self.list("relevantfields", |s| {
                s.paths(fields);
                s.list("where", |s| s.expr(condition));
            }),
            StageKind::Estimate => self.atom("(estimate)"),
            StageKind::Burst { keys, within, value, op, bound } => self.list("burst", |s| {
                s.paths(keys);
                s.expr(within);
                s.list(op.text(), |s| {
                    s.expr(value);
                    s.expr(bound);
                });
            }),
            StageKind::Sequence { keys, within, steps } => self.list("sequence", |s| {
                s.paths(keys);
                s.expr(within);
                for step in steps {
                    s.list("step", |s| {
                        s.name(&step.name);
                        s.expr(&step.condition);
                        s.option("at-least", step.at_least.as_ref(), Shape::expr);
                    });
                }
            }),
            StageKind::FirstSeen { fields, by, history, after } => self.list("firstseen", |s| {
                s.paths(fields);
                s.paths(by);
                s.option("history", history.as_ref(), Shape::expr);
                s.option("after", after.as_ref(), Shape::text);
            }),
            StageKind::Union(query) => self.list("union", |s| s.query(query)),
            StageKind::Broken => self.atom("(broken)"),
        }
    }

    /// A field of which something is kept from row to row.
    fn running(&mut self, field: &Path, alias: &Option<Name>, by: &[Path]) {
        self.path(field);
        self.option("as", alias.as_ref(), Shape::name);
        self.paths(by);
    }

    fn option<T>(&mut self, head: &str, value: Option<&T>, inside: impl FnOnce(&mut Shape, &T)) {
        if let Some(value) = value {
            self.list(head, |s| inside(s, value));
        }
    }

    fn items(&mut self, items: &[Item]) {
        items.iter().for_each(|item| self.item(item));
    }

    /// Without an alias the text is part of the meaning: it names the column.
    fn item(&mut self, item: &Item) {
        match &item.alias {
            Some(alias) => self.list("as", |s| {
                s.expr(&item.expr);
                s.name(alias);
            }),
            None => self.list("item", |s| {
                s.expr(&item.expr);
                s.quoted(&item.text);
            }),
        }
    }

    fn names(&mut self, names: &[Name]) {
        self.list("names", |s| names.iter().for_each(|name| s.name(name)));
    }

    fn name(&mut self, name: &Name) {
        self.quoted(&name.text);
    }

    fn paths(&mut self, paths: &[Path]) {
        self.list("paths", |s| paths.iter().for_each(|path| s.path(path)));
    }

    fn path(&mut self, path: &Path) {
        self.segments("", &path.segments);
    }

    /// `a.0."b c"`: quoted names in quotes.
    fn segments(&mut self, base: &str, segments: &[Segment]) {
        let mut text = base.to_string();
        for segment in segments {
            if !text.is_empty() {
                text.push('.');
            }
            let _ = match segment {
                Segment::Name { text: name, quoted: true } => write!(text, "{name:?}"),
                Segment::Name { text: name, quoted: false } => write!(text, "{name}"),
                Segment::Index(index) => write!(text, "{index}"),
            };
        }
        self.atom(&text);
    }

    fn text(&mut self, text: &Text) {
        self.quoted(&text.raw);
    }

    fn regex(&mut self, regex: &Regex) {
        self.atom(&format!("/{:?}/{}", regex.pattern, regex.flags));
    }

    fn glob_name(&mut self, name: &GlobName) {
        match &name.path {
            Some(path) => self.path(path),
            None => self.list("glob", |s| s.quoted(&name.text)),
        }
    }

    fn settings(&mut self, settings: &[Setting]) {
        for setting in settings {
            self.list("set", |s| {
                s.name(&setting.key);
                s.name(&setting.value);
            });
        }
    }

    fn lookup(&mut self, lookup: &Lookup) {
        self.list("lookup", |s| {
            s.name(&lookup.table);
            for (column, field) in &lookup.keys {
                s.list("key", |s| {
                    s.name(column);
                    s.option("as", field.as_ref(), Shape::path);
                });
            }
            s.output(&lookup.output);
        });
    }

    fn output(&mut self, output: &Output) {
        self.list(if output.only_new { "output-new" } else { "output" }, |s| {
            for (column, alias) in &output.columns {
                s.list("column", |s| {
                    s.name(column);
                    s.option("as", alias.as_ref(), Shape::name);
                });
            }
        });
    }

    fn join(&mut self, join: &Join) {
        self.list(if join.left_outer { "left-join" } else { "join" }, |s| {
            s.option("left", join.left.as_ref(), Shape::name);
            s.option("right", join.right.as_ref(), Shape::name);
            s.path(&join.on.0);
            s.path(&join.on.1);
            s.list("query", |s| s.query(&join.query));
        });
    }

    fn source(&mut self, source: &SourceStage) {
        self.list("source", |s| {
            for spec in &source.specs {
                match spec {
                    SourceSpec::Name(text) => s.text(text),
                    SourceSpec::LogGroups(arguments) => s.list("log-groups", |s| {
                        for (name, texts) in arguments {
                            s.list("argument", |s| {
                                s.name(name);
                                texts.iter().for_each(|text| s.text(text));
                            });
                        }
                    }),
                    SourceSpec::DataSource(texts) => {
                        s.list("data-source", |s| texts.iter().for_each(|text| s.text(text)));
                    }
                }
            }
            s.option("start", source.start.as_ref(), Shape::text);
            s.option("end", source.end.as_ref(), Shape::text);
        });
    }

    fn exprs(&mut self, exprs: &[Expr]) {
        exprs.iter().for_each(|expr| self.expr(expr));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::String(text) => self.quoted(text),
            ExprKind::Number(digits) => self.atom(digits),
            ExprKind::Bool(value) => self.atom(&value.to_string()),
            ExprKind::Null => self.atom("null"),
            ExprKind::Duration(duration) => self.atom(&format!("{}{}", duration.count, duration.unit.symbol())),
            ExprKind::Regex(regex) => self.regex(regex),
            ExprKind::Param(name) => self.atom(&format!("${name}")),
            ExprKind::Path(path) => self.path(path),
            ExprKind::Member { base, segments } => self.list("member", |s| {
                s.expr(base);
                s.segments("", segments);
            }),
            ExprKind::Call { name, args, star } => self.list(&format!("call {}", name.text), |s| {
                if *star {
                    s.atom("*");
                }
                s.exprs(args);
            }),
            ExprKind::Negate(inner) => self.list("neg", |s| s.expr(inner)),
            ExprKind::Not(inner) => self.list("not", |s| s.expr(inner)),
            ExprKind::Binary { op, op_span: _, left, right } => self.list(op.text(), |s| {
                s.expr(left);
                s.expr(right);
            }),
            ExprKind::Like { left, right, negated, regex_op } => {
                let head = match (negated, regex_op) {
                    (false, false) => "like",
                    (true, false) => "not-like",
                    (false, true) => "=~",
                    (true, true) => "not-=~",
                };
                self.list(head, |s| {
                    s.expr(left);
                    s.expr(right);
                });
            }
            ExprKind::In { left, set, negated } => self.list(if *negated { "not-in" } else { "in" }, |s| {
                s.expr(left);
                s.set(set);
            }),
            ExprKind::Broken => self.atom("broken"),
        }
    }

    fn set(&mut self, set: &InSet) {
        match set {
            InSet::List(items, _) => self.list("list", |s| s.exprs(items)),
            InSet::Param(name) => self.atom(&format!("${}", name.text)),
            InSet::Query(query) => self.list("query", |s| s.query(query)),
            InSet::Table { name, column } => self.list("table", |s| {
                s.name(name);
                s.option("column", column.as_ref(), Shape::name);
            }),
        }
    }
}
