//! Queries that other people wrote, from the folder of public samples: each runs over made-up events of its kind, or is
//! refused with a place and a reason. Nothing of them is part of the project; without the folder the test says so.

#[allow(dead_code)]
mod support;

use backsight_engine::error::Error;
use backsight_engine::plan::{CompileSettings, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source, Table};
use backsight_engine::{Ctl, compile_over, run};
use backsight_lang::diag::{Diagnostic, Severity};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::case;

/// One of the queries.
struct Row {
    id: i64,
    query: String,
    kind: String,
    /// Logs Insights itself would refuse it, and why.
    rejected: Option<String>,
}

#[test]
fn published_queries_run_or_are_refused_with_a_reason() {
    let Some(rows) = rows() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ctl = Ctl::new(2).expect("threads");
    let (mut ran, mut refused, mut noted, mut wrong) = (0, 0, 0, String::new());
    for row in &rows {
        let file = folder.path().join(format!("{}.ndjson", row.id));
        std::fs::write(&file, events(row)).expect("a temporary file");
        match (answer(&row.query, &file, &ctl), &row.rejected) {
            (Ok((_, notes)), reason) => {
                ran += 1;
                noted += usize::from(!notes.is_empty());
                // `values` is in the Logs Insights of today.
                let documented = reason.as_deref().is_none_or(|r| r.contains("function values"));
                if !documented && notes.is_empty() {
                    wrong += &format!("{}: {reason:?}, and no note\n{}\n", row.id, row.query);
                }
            }
            (Err(Error::Query(found)), reason) => {
                refused += 1;
                let placed = |d: &Diagnostic| row.query.get(d.span.start..d.span.end).is_some_and(|t| !t.is_empty());
                let meant = reason.is_some() || found.iter().all(|d| d.code == "E080");
                if !meant || !found.iter().all(placed) {
                    wrong += &format!("{}: {found:?}\n{}\n", row.id, row.query);
                }
            }
            (Err(other), _) => wrong += &format!("{}: {other}\n{}\n", row.id, row.query),
        }
    }
    println!("{} queries: {ran} ran, {noted} of them with notes; {refused} refused", rows.len());
    assert!(wrong.is_empty(), "{wrong}");
}

fn rows() -> Option<Vec<Row>> {
    let beside = || case::folder().join("../../../shared");
    let root = std::env::var_os("BACKSIGHT_SHARED").map_or_else(beside, PathBuf::from);
    let file = root.join("corpus/queries.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        // Written past the capture of the test runner: a skipped test must not look like one that passed.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} cannot be read", file.display());
        return None;
    };
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row is JSON");
        let text = |key: &str| row[key].as_str().map(str::to_owned);
        Row {
            id: row["id"].as_i64().expect("a number"),
            query: text("filled").or(text("query")).expect("a query"),
            kind: text("kind").unwrap_or_default(),
            rejected: Some(row["likely_rejected_by_aws"].to_string()).filter(|r| r != "null"),
        }
    };
    Some(text.lines().map(row).collect())
}

fn answer(query: &str, file: &Path, ctl: &Ctl) -> Result<(usize, Vec<Diagnostic>), Error> {
    let settings = CompileSettings { pushdown: true, ..CompileSettings::default() };
    let catalog = One(file.to_path_buf());
    let compiled = compile_over(query, &settings, &catalog, ctl)?;
    let mut rows = 0;
    run(&compiled.plan, &catalog, &settings.clock, ctl, &mut |batch| {
        rows += batch.rows;
        Ok(Flow::More)
    })?;
    let notes = compiled.warnings.into_iter().filter(|d| d.severity != Severity::Error).collect();
    Ok((rows, notes))
}

/// One file, whatever source or table is asked for.
struct One(PathBuf);

impl Catalog for One {
    fn open(&self, _: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        Ok(Arc::new(backsight_io::open(std::slice::from_ref(&self.0), backsight_io::Options::default())?))
    }

    fn table(&self, _: &str) -> Result<Table, Error> {
        Ok(Table::default())
    }
}

/// Events of the query's kind, and some that have the fields it names, with the values it compares them to.
fn events(row: &Row) -> String {
    let (paths, mut values) = (words(&row.query), literals(&row.query));
    values.extend(["\"a\"", "7", "\"404\"", "true"].map(String::from));
    let mut out = String::new();
    for at in 0..12 {
        let mut event = serde_json::json!({"@timestamp": format!("2024-05-01T10:{at:02}:00Z")});
        for (i, path) in paths.iter().enumerate() {
            let value = serde_json::from_str(&values[(at + i) % values.len()]).expect("a literal");
            put(&mut event, path, value);
        }
        if at % 3 == 0 {
            event["@message"] = values.join(" ").into();
        }
        out += &format!("{event}\n");
    }
    out + kind(&row.kind)
}

/// What may be the name of a field.
fn words(query: &str) -> BTreeSet<String> {
    let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let words = query.split(|c| !name(c)).map(|w| w.trim_matches(['.', '-']));
    words.filter(|w| w.starts_with(char::is_alphabetic)).take(60).map(str::to_owned).collect()
}

/// The strings and numbers of the query, as JSON.
fn literals(query: &str) -> Vec<String> {
    let strings = query.split(['"', '\'']).skip(1).step_by(2).map(|s| serde_json::Value::from(s).to_string());
    let number = |w: &&str| w.parse::<u32>().is_ok() && !(w.len() > 1 && w.starts_with('0'));
    let numbers = query.split(|c: char| !c.is_ascii_digit()).filter(number).map(str::to_owned);
    strings.chain(numbers).take(40).collect()
}

/// Sets a field by its path; what stands in the way stays.
fn put(event: &mut serde_json::Value, path: &str, value: serde_json::Value) {
    let mut at = event;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(map) = at.as_object_mut() else { return };
        if parts.peek().is_none() {
            map.entry(part).or_insert(value);
            return;
        }
        at = map.entry(part).or_insert_with(|| serde_json::json!({}));
    }
}

/// Events as the sources of that kind write them.
fn kind(kind: &str) -> &'static str {
    match kind {
        "cloudtrail" | "security" => concat!(
            r#"{"eventVersion":"1.08","eventTime":"2024-05-01T10:00:00Z","eventName":"ConsoleLogin","eventSource":"signin.amazonaws.com","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7","userAgent":"curl/8","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann","userName":"ann"},"responseElements":{"ConsoleLogin":"Failure"},"errorMessage":"Failed authentication","additionalEventData":{"MFAUsed":"No"}}"#,
            "\n"
        ),
        "apigw" => concat!(
            r#"{"requestId":"r-1","ip":"198.51.100.7","requestTime":"01/May/2024:10:00:00 +0000","httpMethod":"GET","resourcePath":"/v1/login","status":"401","responseLatency":"12","user":"-"}"#,
            "\n"
        ),
        "waf" => concat!(
            r#"{"timestamp":1714557600000,"action":"BLOCK","terminatingRuleId":"SQLi","httpRequest":{"clientIp":"198.51.100.7","country":"NL","uri":"/","httpMethod":"GET","headers":[{"name":"Host","value":"example.com"}]},"labels":[{"name":"awswaf:managed:x"}]}"#,
            "\n"
        ),
        "lambda" => concat!(
            r#"{"@timestamp":"2024-05-01T10:00:00Z","@message":"REPORT RequestId: 11111111-2222-3333-4444-555555555555\tDuration: 12.5 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 64 MB","@type":"REPORT","@duration":12.5,"@billedDuration":13,"@memorySize":128000000,"@maxMemoryUsed":64000000,"@initDuration":100.1,"@requestId":"11111111-2222-3333-4444-555555555555"}"#,
            "\n"
        ),
        "vpc" => concat!(
            r#"{"@timestamp":"2024-05-01T10:00:00Z","@message":"2 111122223333 eni-1 198.51.100.7 10.0.0.5 443 52000 6 10 840 1714557600 1714557660 REJECT OK","srcAddr":"198.51.100.7","dstAddr":"10.0.0.5","srcPort":"443","dstPort":"52000","protocol":"6","bytes":"840","action":"REJECT"}"#,
            "\n"
        ),
        _ => concat!(r#"{"@timestamp":"2024-05-01T10:00:00Z","level":"ERROR","msg":"no route","log":"x"}"#, "\n"),
    }
}
