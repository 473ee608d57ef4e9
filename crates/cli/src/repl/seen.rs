//! What the data holds, as far as it was seen: names of fields, and values of each. Completion offers them.

use super::complete::Words;
use crate::run::Input;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::plan::CompileSettings;
use backsight_engine::source::{Catalog, Flow, Source};
use backsight_engine::value::column::Batch;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Fields that are remembered.
const MOST_FIELDS: usize = 5_000;
/// Values remembered of a field.
const MOST_VALUES: usize = 200;
/// Bytes of a value worth offering.
const LONGEST: usize = 100;
/// Files looked into at the start, spread over all of them.
const MOST_FILES: usize = 40;
/// Records looked at, of all files together.
const RECORDS: usize = 4_000;
/// Levels of nesting that are looked into.
const DEPTH: usize = 6;

/// Fields and values seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// By the name a query gives it.
    pub(crate) fields: BTreeMap<String, Field>,
    /// Records they come from.
    pub(crate) records: u64,
}

/// What was seen of one field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    /// Records that have it.
    pub(crate) count: u64,
    /// Scalar values and how often each was seen.
    pub(crate) values: BTreeMap<String, u64>,
    /// Some values were numbers, and a query writes them without quotes.
    pub(crate) numbers: bool,
}

impl Seen {
    /// Takes a record: its fields, those inside of maps, and those of the first element of lists.
    pub(crate) fn record(&mut self, record: &Value) {
        self.records += 1;
        if let Value::Object(map) = record {
            map.iter().for_each(|(key, value)| self.value(name(key), value, 0));
        }
    }

    fn value(&mut self, name: String, value: &Value, depth: usize) {
        match value {
            Value::Null => {}
            Value::Object(map) if depth < DEPTH => {
                for (key, value) in map {
                    self.value(format!("{name}.{}", self::name(key)), value, depth + 1);
                }
            }
            Value::Array(list) if depth < DEPTH => {
                self.saw(&name, None, false);
                if let Some(first @ (Value::Object(_) | Value::Array(_))) = list.first() {
                    self.value(format!("{name}.0"), first, depth + 1);
                }
            }
            Value::Object(_) | Value::Array(_) => self.saw(&name, None, false),
            Value::String(text) => self.saw(&name, Some(text), false),
            Value::Number(n) => self.saw(&name, Some(&n.to_string()), true),
            Value::Bool(b) => self.saw(&name, Some(if *b { "true" } else { "false" }), true),
        }
    }

    /// Takes a value of a field.
    fn saw(&mut self, name: &str, value: Option<&str>, number: bool) {
        if !self.fields.contains_key(name) && self.fields.len() >= MOST_FIELDS {
            return;
        }
        let field = self.fields.entry(name.to_string()).or_default();
        field.count += 1;
        field.numbers |= number;
        let Some(value) = value.filter(|v| !v.is_empty() && v.len() <= LONGEST) else { return };
        let full = field.values.len() >= MOST_VALUES;
        match field.values.get_mut(value) {
            Some(n) => *n += 1,
            None if full => {}
            None => drop(field.values.insert(value.to_string(), 1)),
        }
    }

    /// Takes the columns of an answer and the values in them.
    pub(crate) fn answer(&mut self, columns: &[String], batches: &[Batch]) {
        for (i, column) in columns.iter().enumerate().filter(|(_, name)| is_path(name)) {
            let cells = batches.iter().filter_map(|b| b.columns.get(i)).flat_map(|c| c.iter()).take(MOST_VALUES);
            for cell in cells.filter(|cell| !cell.is_null()) {
                let text = cell.scalar_text();
                let number = matches!(cell.kind(), Some(backsight_engine::value::Kind::Number));
                self.saw(column, text.as_deref(), number);
            }
        }
    }
}

/// A segment as a query writes it: in backticks unless it is a plain word.
fn name(key: &str) -> String {
    if is_path(key) && !key.contains('.') { key.to_string() } else { format!("`{}`", key.replace('`', "``")) }
}

/// Whether a text is a field as a query names it.
pub(crate) fn is_path(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(is_word)
}

fn is_word(text: &str) -> bool {
    let rest = text.strip_prefix('@').unwrap_or(text);
    rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Looks into the files in the background.
pub(crate) fn sample(input: &Arc<Input>, words: &Arc<Mutex<Words>>) {
    let (input, words) = (Arc::clone(input), Arc::clone(words));
    std::thread::spawn(move || look(&input, &words));
}

/// The names of fields in some of the records.
pub(crate) fn names(input: &Input) -> Vec<String> {
    let words = Mutex::new(Words::default());
    look(input, &words);
    words.into_inner().unwrap_or_else(PoisonError::into_inner).seen.fields.into_keys().collect()
}

fn look(input: &Input, words: &Mutex<Words>) {
    let files = input.files();
    let every = files.len().div_ceil(MOST_FILES).max(1);
    let chosen: Vec<PathBuf> = files.into_iter().step_by(every).collect();
    let share = RECORDS / chosen.len().max(1);
    for file in chosen {
        // A failure here is met by the query as well, which reports it.
        let _ = look_into(input, file, share.max(50), words);
    }
}

fn look_into(input: &Input, file: PathBuf, records: usize, words: &Mutex<Words>) -> Result<(), Error> {
    let source = input.only(file)?;
    let settings = CompileSettings { pushdown: true, ..CompileSettings::default() };
    let query = format!("fields @message | limit any {records}");
    let compiled = backsight_engine::compile(&query, &settings)?;
    let ctl = Ctl::new(1).map_err(Error::Limit)?;
    backsight_engine::run(&compiled.plan, &One(source), &settings.clock, &ctl, &mut |batch| {
        let records: Vec<Value> = (0..batch.rows)
            .filter_map(|row| serde_json::from_slice(&batch.columns.first()?.get(row).text()?).ok())
            .collect();
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().for_each(|record| words.seen.record(record));
        Ok(Flow::More)
    })?;
    Ok(())
}

/// A catalog of one source.
struct One(Arc<dyn Source + Send>);

impl Catalog for One {
    fn open(&self, _: &[backsight_engine::plan::SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        Ok(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_inside_of_records() {
        let mut seen = Seen::default();
        for text in [
            r#"{"ip":"10.0.0.1","status":200,"user":{"arn":"a","odd key":null},"tags":["x"],"r":[{"type":"s3"}]}"#,
            r#"{"ip":"10.0.0.1","status":"404","x y":true,"empty":null}"#,
        ] {
            seen.record(&serde_json::from_str(text).expect("JSON"));
        }
        let names: Vec<&str> = seen.fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["`x y`", "ip", "r", "r.0.type", "status", "tags", "user.arn"]);
        assert_eq!((seen.records, seen.fields["ip"].count, seen.fields["ip"].values["10.0.0.1"]), (2, 2, 2));
        assert!(seen.fields["status"].numbers && !seen.fields["ip"].numbers);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for i in 0..MOST_FIELDS + 10 {
            seen.saw(&format!("f{i}"), Some("v"), false);
        }
        for i in 0..MOST_VALUES + 10 {
            seen.saw("f0", Some(&i.to_string()), false);
        }
        assert_eq!((seen.fields.len(), seen.fields["f0"].values.len()), (MOST_FIELDS, MOST_VALUES));
    }
}
