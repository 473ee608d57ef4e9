//! SARIF 2.1.0, for code scanning and continuous integration.

use super::message;
use backsight_hunt::report::Report;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes the findings as one run.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = report
        .rules
        .iter()
        .map(|r| {
            json!({
                "id": r.rule.id, "name": r.rule.alias,
                "shortDescription": { "text": r.title },
                "defaultConfiguration": { "level": level(r.level) },
                "properties": { "source": r.source, "level": r.level },
            })
        })
        .collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|row| {
            let places: Vec<Value> = row.evidence.iter().map(|e| {
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&e.file) },
                    "region": { "byteOffset": e.offset, "byteLength": e.event.len(), "snippet": { "text": e.event } },
                },
            })
        }).collect();
            let index = report.rules.iter().position(|r| r.rule == row.rule);
            json!({
                "ruleId": row.rule.id, "ruleIndex": index, "level": level(row.level),
                "message": { "text": message(row) },
                "locations": places,
                "partialFingerprints": {
                    "ruleAndEntity": format!("{}/{}/{}", row.rule.id, row.who(), row.outcome.as_deref().unwrap_or("")),
                },
                "properties": {
                    "level": row.level, "entityType": row.entity.r#type, "entity": row.entity.value, "count": row.count,
                    "firstSeen": row.first_seen, "lastSeen": row.last_seen, "tags": row.tags, "params": row.params,
                },
            })
        })
        .collect();
    // Files of the evidence, for those who check that it is still what it was.
    let hashes = report.hashes();
    let artifacts =
        hashes.iter().map(|(file, hash)| json!({ "location": { "uri": uri(file) }, "hashes": { "sha-256": hash } }));
    let artifacts: Vec<Value> = artifacts.collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Backsight", "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "utf16CodeUnits",
            "artifacts": artifacts,
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &sarif)?;
    out.write_all(b"\n")
}

/// SARIF has four levels.
fn level(level: &str) -> &'static str {
    match level {
        "critical" | "high" => "error",
        "medium" => "warning",
        _ => "note",
    }
}

/// A path as a relative reference: what is not plain is written as its bytes.
fn uri(file: &str) -> String {
    let mut out = String::new();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
