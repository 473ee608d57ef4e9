//! `backsight functions`, `commands` and `formats`: the reference, printed from the tables the program itself uses.

use crate::args::ListArgs;
use crate::escape;
use crate::output::{self, Format, Look, target::Target, target::output_error};
use backsight_engine::error::Error;
use backsight_engine::value::Value;
use backsight_engine::value::column::{Batch, Positions};
use backsight_engine::{agg, func};
use backsight_lang::commands::{COMMANDS, Status};
use backsight_lang::diag;

/// One thing of the language or of the world that Backsight knows.
struct Entry {
    name: &'static str,
    aliases: Vec<&'static str>,
    /// How it is written.
    form: String,
    /// What it gives, or where it comes from, in a word.
    kind: String,
    about: String,
    examples: Vec<String>,
}

/// Prints all functions and aggregates, or one.
pub(crate) fn functions(args: &ListArgs, look: Look) -> Result<(), Error> {
    let functions = func::functions().map(|f| Entry {
        name: f.name,
        aliases: f.aliases.to_vec(),
        form: form(f.name, f.params, f.optional, f.variadic),
        kind: origin(f.status == func::Status::Insights).into(),
        about: f.about.into(),
        examples: examples(f.examples),
    });
    let aggregates = agg::aggregates().map(|a| Entry {
        name: a.name,
        aliases: a.aliases.to_vec(),
        form: form(a.name, a.params, a.optional, false),
        kind: format!("{}, aggregate", origin(a.status == func::Status::Insights)),
        about: a.about.into(),
        examples: examples(a.examples),
    });
    list("function", functions.chain(aggregates).collect(), args, look)
}

/// Prints all commands, or one.
pub(crate) fn commands(args: &ListArgs, look: Look) -> Result<(), Error> {
    let entries = COMMANDS.iter().filter(|c| c.tier > 0).map(|c| Entry {
        name: c.name,
        aliases: c.aliases.to_vec(),
        form: c.syntax.into(),
        kind: origin(c.status == Status::LogsInsights).into(),
        about: c.about.into(),
        examples: vec![c.example.into()],
    });
    list("command", entries.collect(), args, look)
}

/// Prints all input formats, or one.
pub(crate) fn formats(args: &ListArgs, look: Look) -> Result<(), Error> {
    let entries = backsight_io::FORMATS.iter().map(|f| Entry {
        name: f.name,
        aliases: f.sources.to_vec(),
        form: f.time.into(),
        kind: f.extensions.join(", "),
        about: f.about.into(),
        examples: [f.example].into_iter().chain(f.fields.names()).map(String::from).collect(),
    });
    list("format", entries.collect(), args, look)
}

fn origin(insights: bool) -> &'static str {
    if insights { "Logs Insights" } else { "extension" }
}

/// `substr(s, from[, len])`
pub(crate) fn form(name: &str, params: &[(&str, func::Type)], optional: usize, variadic: bool) -> String {
    let mut out = format!("{name}(");
    for (i, (param, _)) in params.iter().enumerate() {
        let may_be_left_out = i >= params.len() - optional;
        out.push_str(if may_be_left_out { "[" } else { "" });
        out.push_str(if i > 0 { ", " } else { "" });
        out.push_str(param);
    }
    out.push_str(if variadic { ", …" } else { "" });
    out.push_str(&"]".repeat(optional.min(params.len())));
    out + ")"
}

fn examples(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(expression, result)| format!("{expression}  gives  {result}")).collect()
}

fn list(what: &str, entries: Vec<Entry>, args: &ListArgs, look: Look) -> Result<(), Error> {
    let columns = if what == "format" { FORMAT_COLUMNS } else { COLUMNS };
    let Some(name) = &args.name else { return print(&entries, &columns[..4], args.format, look) };
    let is = |e: &&Entry| std::iter::once(&e.name).chain(&e.aliases).any(|n| n.eq_ignore_ascii_case(name));
    let found: Vec<Entry> = {
        let known: Vec<&'static str> = entries.iter().map(|e| e.name).collect();
        if !entries.iter().any(|e| is(&e)) {
            let hint = diag::nearest(name, known).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            let why = format!("unknown {what}{hint}");
            return Err(Error::Input { file: escape::visible(name).into_owned(), offset: None, why });
        }
        entries.into_iter().filter(|e| is(&e)).collect()
    };
    print(&found, columns, args.format.or(look.width.map(|_| Format::Vertical)), look)
}

/// A column: its name, and the cell of an entry.
type Column = (&'static str, fn(&Entry) -> String);

const COLUMNS: &[Column] = &[
    ("name", |e| e.name.into()),
    ("form", |e| e.form.clone()),
    ("origin", |e| e.kind.clone()),
    ("about", |e| e.about.clone()),
    ("aliases", |e| e.aliases.join(", ")),
    ("examples", |e| e.examples.join("; ")),
];

/// What is said of a format in the places of a function's form, origin, aliases and examples.
const FORMAT_COLUMNS: &[Column] = &[
    ("name", |e| e.name.into()),
    ("@timestamp", |e| e.form.clone()),
    ("extensions", |e| e.kind.clone()),
    ("about", |e| e.about.clone()),
    ("data sources", |e| e.aliases.join(", ")),
    ("example", |e| e.examples.first().cloned().unwrap_or_default()),
    ("fields", |e| e.examples.get(1..).unwrap_or_default().join(", ")),
];

fn print(entries: &[Entry], columns: &[Column], format: Option<Format>, look: Look) -> Result<(), Error> {
    let batch = Batch {
        columns: columns.iter().map(|(_, cell)| entries.iter().map(|e| Value::string(cell(e))).collect()).collect(),
        rows: entries.len(),
        positions: Positions::sequence(0, entries.len()),
    };
    let names: Vec<String> = columns.iter().map(|(name, _)| name.to_string()).collect();
    let mut target = Target::open(None, false)?;
    let format = format.unwrap_or_else(|| look.default_format());
    let mut writer = output::writer(format, look, &names, target.writer());
    writer.write(&batch).and_then(|()| writer.finish()).map_err(output_error)?;
    drop(writer);
    target.commit()
}

#[cfg(test)]
mod tests {
    use super::form;
    use backsight_engine::func::Type;

    #[test]
    fn forms() {
        let params = [("s", Type::Text), ("from", Type::Number), ("len", Type::Number)];
        assert_eq!(form("substr", &params, 1, false), "substr(s, from[, len])");
        assert_eq!(form("concat", &params[..1], 0, true), "concat(s, …)");
        assert_eq!(form("now", &[], 0, false), "now()");
        assert_eq!(form("bin", &params[..1], 1, false), "bin([s])");
    }
}
