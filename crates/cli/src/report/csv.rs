//! CSV: a finding a line, the first columns those of Timesketch.

use super::message;
use crate::escape;
use backsight_hunt::report::Report;
use std::io::{self, Write};

/// The columns.
const COLUMNS: &[&str] = &[
    "message",
    "datetime",
    "timestamp_desc",
    "level",
    "rule",
    "rule_id",
    "title",
    "entity_type",
    "entity",
    "outcome",
    "first_seen",
    "last_seen",
    "count",
    "score",
    "tags",
    "params",
    "file",
    "offset",
    "event",
    "sha256",
];

/// Writes the findings.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for row in &report.findings {
        let evidence = row.evidence.first();
        let cells = [
            message(row),
            row.first_seen.clone().unwrap_or_default(),
            "First seen".into(),
            row.level.into(),
            row.rule.alias.clone(),
            row.rule.id.clone(),
            row.title.clone(),
            row.entity.r#type.clone(),
            row.entity.value.clone().unwrap_or_default(),
            row.outcome.clone().unwrap_or_default(),
            row.first_seen.clone().unwrap_or_default(),
            row.last_seen.clone().unwrap_or_default(),
            row.count.to_string(),
            row.score.to_string(),
            row.tags.join(" "),
            row.settings(),
            evidence.map_or(String::new(), |e| e.file.clone()),
            evidence.map_or(String::new(), |e| e.offset.to_string()),
            evidence.map_or(String::new(), |e| e.event.clone()),
            evidence.and_then(|e| e.sha256.clone()).unwrap_or_default(),
        ];
        writer.write_record(cells.iter().map(|c| guarded(c)))?;
    }
    writer.flush()
}

/// A cell that no spreadsheet runs as a formula and no terminal as a command.
fn guarded(cell: &str) -> String {
    let shown = escape::visible(cell);
    match shown.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{shown}"),
        _ => shown.into_owned(),
    }
}
