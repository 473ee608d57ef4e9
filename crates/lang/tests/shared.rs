//! The conformance cases and the corpus of real queries, as far as parsing decides them.
//!
//! They lie beside the workspace, in `../shared` or where `BACKSIGHT_SHARED` says. Without them these tests say so on
//! standard error and pass.

use std::path::PathBuf;

use backsight_lang::{format, parse};

/// The text of a file of the shared folder, or `None` with a loud word about it.
fn shared(path: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("BACKSIGHT_SHARED").map_or_else(beside, PathBuf::from);
    let file = root.join(path);
    let text = std::fs::read_to_string(&file);
    if let Err(error) = &text {
        eprintln!("SKIPPED: {} cannot be read: {error}", file.display());
    }
    text.ok()
}

const TOPICS: &[&str] = &[
    "bin",
    "datetime",
    "dedup",
    "display",
    "errors",
    "filter",
    "ip",
    "json-nesting",
    "multi-stats",
    "nulls",
    "parse",
    "pattern",
    "seed",
    "sequences",
    "sort",
    "stats",
    "strings",
    "types-coercion",
];

/// Codes of errors that parsing finds; the others are the planner's.
const OURS: &[&str] = &[
    "unknown command",
    "unterminated",
    "wildcard",
    "`limit` needs",
    "unknown time unit",
    "comparison with null",
    "`in` needs",
    "chained",
    "a string is not a condition",
    "arithmetic on a string",
    "empty command",
    "expected",
    "unexpected character",
    "`stats` needs at least one aggregate",
];

#[test]
fn conformance() {
    let mut checked = 0;
    for topic in TOPICS {
        let Some(text) = shared(&format!("conformance/{topic}.toml")) else { return };
        let table: toml::Table = text.parse().expect("a conformance file is TOML");
        for case in table["case"].as_array().expect("cases") {
            let text = |key: &str| case.get(key).and_then(|v| v.as_str());
            let (name, query) = (text("name").unwrap_or("?"), text("query").expect("a query"));
            check_case(name, query, text("error"), text("error_span"));
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} cases");
}

fn check_case(name: &str, query: &str, error: Option<&str>, span: Option<&str>) {
    let parsed = parse(query);
    let first = parsed.errors().next();
    match error {
        // A bare number as a period is seen by the planner, which knows `bin`.
        Some(error) if OURS.iter().any(|ours| error.contains(ours)) && name != "error-bin-needs-period" => {
            let first = first.unwrap_or_else(|| panic!("{name}: no error"));
            assert!(first.message.contains(error), "{name}: {first:?}");
            if let Some(span) = span {
                assert_eq!(first.span.text(query), span, "{name}");
            }
        }
        _ => {
            assert_eq!(first, None, "{name}: {query}");
            check_round_trip(query);
        }
    }
}

#[test]
fn corpus() {
    let Some(text) = shared("corpus/queries.jsonl") else { return };
    let mut checked = 0;
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row is JSON");
        let text = |key: &str| row[key].as_str();
        let query = text("filled").or(text("query")).expect("a query");
        let parsed = parse(query);
        let rejected = row.get("likely_rejected_by_aws").is_some_and(|r| !r.is_null());
        if !rejected {
            // What is refused is refused by name.
            let errors: Vec<_> = parsed.errors().filter(|d| d.code != "E080").collect();
            assert!(errors.is_empty(), "{}: {errors:?}\n{query}", row["id"]);
        }
        if parsed.is_ok() {
            check_round_trip(query);
        }
        for found in &parsed.diagnostics {
            eprintln!("{} {:?} {} [{}] {:?}", row["id"], found.code, found.message, found.span.text(query), found.help);
        }
        checked += 1;
    }
    assert!(checked > 300, "only {checked} rows");
}

/// Formatting keeps the tree and does nothing the second time.
fn check_round_trip(query: &str) {
    let tree = parse(query).query;
    let text = format(&tree, query);
    let again = parse(&text);
    assert!(again.is_ok(), "{query}\n---\n{text}\n{:?}", again.diagnostics);
    assert_eq!(tree.shape(), again.query.shape(), "{query}\n---\n{text}");
    assert_eq!(format(&again.query, &text), text, "{query}");
}
