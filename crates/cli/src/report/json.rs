//! JSON: the whole report, a finding a line, and events for Timesketch.

use super::message;
use backsight_hunt::report::Report;
use serde_json::json;
use std::io::{self, BufWriter, Write};

/// The whole report as one object.
pub(super) fn whole(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    // It is written in very small pieces.
    let mut out = BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A finding a line.
pub(super) fn lines(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for row in &report.findings {
        serde_json::to_writer(&mut *out, row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// The first and the last event of every finding, a line each, as Timesketch takes them.
pub(super) fn timesketch(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for row in &report.findings {
        let times = [(&row.first_seen, "First seen"), (&row.last_seen, "Last seen")];
        for (time, what) in times.iter().filter(|(t, _)| t.is_some()) {
            let line = json!({
                "message": message(row), "datetime": time, "timestamp_desc": what,
                "level": row.level, "rule": row.rule.alias, "rule_id": row.rule.id, "entity_type": row.entity.r#type,
                "entity": row.entity.value, "count": row.count, "tag": row.tags,
            });
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}
