//! `backsight fields`: what is in some files, before any query.

use crate::args::{Common, FieldsArgs};
use crate::escape;
use crate::exit;
use crate::output::target::{Target, output_error};
use crate::output::{self, Format, Look};
use crate::query::format_of;
use crate::run::{self, Input, Times};
use crate::summary::Summary;
use crate::{cancel, terminal};
use backsight_engine::Outcome;
use backsight_engine::error::Error;
use backsight_engine::value::column::{Batch, Column, Positions};
use backsight_engine::value::{Value, time};
use backsight_io::profile::{FieldProfile, Fields, FileProfile, KINDS, MOST_DISTINCT, MOST_FIELDS, Profile, profile};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Files that people are shown one by one; of more only the sums.
const LISTED: usize = 30;

/// A table to be written: names, and cells row by row.
struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

/// Prints the files and their fields.
pub(crate) fn fields(args: &FieldsArgs, common: &Common) -> Result<u8, Error> {
    let started = Instant::now();
    let look = terminal::look(common, args.output.csv_raw);
    let format = format_of(&args.output, look.clone())?;
    let input = Input::open(&args.paths, &args.reading)?;
    let clock = Times::of(&args.reading)?.clock(&input, &args.reading)?;
    let ctl = run::control(&args.reading)?;
    let files = input.source()?;
    let found = cancel::cancelling(&ctl, || profile(&files, (clock.start, clock.end), &ctl))?;

    let file = args.output.output.as_deref().filter(|path| *path != Path::new("-"));
    let look = if file.is_some() { Look { width: None, color: false, ..look } } else { look };
    let mut target = Target::open(file, args.output.force)?;
    let for_people = matches!(format, Format::Table | Format::Vertical | Format::Markdown);
    let mut tables = Vec::new();
    if args.files || for_people {
        let many = for_people && !args.files && found.files.len() > LISTED;
        tables.push(if many { sums(&found.files) } else { list(&found.files) });
    }
    if !args.files {
        tables.push(of_formats(&found));
    }
    let rows = tables.iter().map(|table| table.rows.len() as u64).sum();
    for (i, table) in tables.into_iter().enumerate() {
        if i > 0 {
            writeln!(target.writer()).map_err(output_error)?;
        }
        write(table, format, &look, target.writer())?;
    }
    target.commit()?;

    let summary = Summary::new(
        &ctl.counters,
        &input.notes(),
        Outcome { rows, partial: false, ..Outcome::default() },
        started.elapsed(),
    );
    let status = if summary.damaged() && !args.reading.lenient { exit::DAMAGED } else { exit::ANSWERED };
    if args.output.stats.is_some() {
        terminal::say(&format!("{}\n", summary.json(status, &[])));
    } else if !common.quiet {
        terminal::say(&summary.text(u64::MAX));
        for (name, _) in found.formats.iter().filter(|(_, fields)| fields.more) {
            terminal::say(&format!("{name}: more than {MOST_FIELDS} fields; the others are not listed\n"));
        }
    }
    Ok(status)
}

fn write(table: Table, format: Format, look: &Look, out: &mut dyn std::io::Write) -> Result<(), Error> {
    let names: Vec<String> = table.columns.iter().map(|name| name.to_string()).collect();
    let rows = table.rows.len();
    let column = |i: usize| table.rows.iter().map(|row| row[i].clone()).collect::<Column>();
    let columns = (0..names.len()).map(column).collect();
    let mut writer = output::writer(format, look.clone(), &names, out);
    let batch = Batch { columns, rows, positions: Positions::sequence(0, rows) };
    writer.write(&batch).and_then(|()| writer.finish()).map_err(output_error)
}

fn number(n: u64) -> Value {
    i64::try_from(n).map_or(Value::Null, Value::Int)
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::string)
}

fn times(times: Option<(i64, i64)>) -> [Value; 2] {
    let shown = |at: Option<i64>| at.map_or(Value::Null, |at| Value::string(time::format(at)));
    [shown(times.map(|t| t.0)), shown(times.map(|t| t.1))]
}

/// One row a file.
fn list(files: &[FileProfile]) -> Table {
    let row = |f: &FileProfile| {
        let counts = [text(f.format), text(f.codec), number(f.records), number(f.bytes)];
        [vec![Value::string(&*escape::visible(&f.file))], counts.to_vec(), times(f.times).to_vec()].concat()
    };
    Table {
        columns: &["file", "format", "compression", "records", "bytes", "first", "last"],
        rows: files.iter().map(row).collect(),
    }
}

/// What files of one format and compression have together.
#[derive(Default)]
struct Sum {
    files: u64,
    records: u64,
    bytes: u64,
    times: Option<(i64, i64)>,
}

/// One row for all files of one format and compression.
fn sums(files: &[FileProfile]) -> Table {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for file in files {
        let sum = sums.entry((file.format, file.codec)).or_default();
        sum.files += 1;
        sum.records += file.records;
        sum.bytes += file.bytes;
        sum.times = match (sum.times, file.times) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
    let row = |((format, codec), sum): ((_, _), Sum)| {
        let counts = [number(sum.files), text(format), text(codec), number(sum.records), number(sum.bytes)];
        [counts.to_vec(), times(sum.times).to_vec()].concat()
    };
    Table {
        columns: &["files", "format", "compression", "records", "bytes", "first", "last"],
        rows: sums.into_iter().map(row).collect(),
    }
}

/// One row a field of each format.
fn of_formats(found: &Profile) -> Table {
    let rows = found.formats.iter().flat_map(|(name, fields)| {
        let text = (fields.texts > 0).then(|| only_text(name, fields));
        text.into_iter().chain(fields.fields.iter().map(|field| row(name, fields, field)))
    });
    Table { columns: &["format", "field", "present", "percent", "kinds", "distinct", "examples"], rows: rows.collect() }
}

/// The row of records without fields.
fn only_text(format: &str, fields: &Fields) -> Vec<Value> {
    let share = percent(fields.texts, fields.records);
    let head = [Value::string(format), Value::string("@message"), number(fields.texts), share];
    [head.to_vec(), vec![Value::string("text without fields"), Value::Null, Value::Null]].concat()
}

fn row(format: &str, fields: &Fields, field: &FieldProfile) -> Vec<Value> {
    let head = [Value::string(format), Value::string(&field.path), number(field.present)];
    let distinct = match field.distinct {
        Some(0) => Value::Null,
        Some(n) => Value::string(n.to_string()),
        None => Value::string(format!("≥{MOST_DISTINCT}")),
    };
    let tail =
        [percent(field.present, fields.records), Value::string(kinds(field)), distinct, examples(&field.examples)];
    [head.to_vec(), tail.to_vec()].concat()
}

/// `100`, `33.3`: never 100 or 0 for what is only nearly so.
fn percent(part: u64, all: u64) -> Value {
    let share = part as f64 * 100.0 / all.max(1) as f64;
    Value::string(match () {
        () if part == all => "100".to_owned(),
        () if share > 99.9 => "99.9".to_owned(),
        () if share < 0.1 && part > 0 => "<0.1".to_owned(),
        () => format!("{share:.1}"),
    })
}

/// `string`, or `string 98 %, number 2 %`, the most frequent first.
fn kinds(field: &FieldProfile) -> String {
    let all: u64 = field.kinds.iter().sum();
    let mut kinds: Vec<(u64, &str)> = field.kinds.iter().copied().zip(KINDS).filter(|(n, _)| *n > 0).collect();
    kinds.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    if let [(_, only)] = kinds[..] {
        return only.to_owned();
    }
    let share = |n: u64| (n as f64 * 100.0 / all.max(1) as f64).round().clamp(1.0, 99.0);
    kinds.iter().map(|(n, kind)| format!("{kind} {} %", share(*n))).collect::<Vec<_>>().join(", ")
}

fn examples(examples: &[String]) -> Value {
    if examples.is_empty() {
        return Value::Null;
    }
    Value::string(examples.iter().map(|e| escape::visible(e).into_owned()).collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_honest() {
        let shown = |part, all| percent(part, all).as_ref().text().map(|t| String::from_utf8_lossy(&t).into_owned());
        for (part, all, text) in
            [(3, 3, "100"), (1, 3, "33.3"), (99_999, 100_000, "99.9"), (1, 100_000, "<0.1"), (0, 5, "0.0")]
        {
            assert_eq!(shown(part, all).as_deref(), Some(text));
        }
    }

    #[test]
    fn kinds_by_frequency() {
        let field = |kinds| FieldProfile { path: "a".into(), present: 1, kinds, distinct: None, examples: Vec::new() };
        assert_eq!(kinds(&field([0, 2, 0, 0, 0, 0])), "number");
        assert_eq!(kinds(&field([1, 999, 0, 0, 0, 0])), "number 99 %, string 1 %");
    }
}
