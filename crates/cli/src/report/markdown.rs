//! The report as Markdown.

use crate::escape;
use crate::summary::grouped;
use backsight_hunt::report::Report;
use std::io::{self, Write};

/// Writes the report.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Hunt report\n")?;
    if report.partial {
        writeln!(out, "**Interrupted: only a part was read.**\n")?;
    }
    let sources = report.sources.iter().map(|s| {
        let span = |t: &Option<String>| t.clone().unwrap_or_default();
        vec![s.source.clone(), s.format.clone(), s.files.to_string(), grouped(s.records), span(&s.first), span(&s.last)]
    });
    table(out, &["source", "format", "files", "records", "first", "last"], sources)?;
    writeln!(out, "\n## Findings\n")?;
    let findings = report.findings.iter().map(|f| {
        vec![
            f.level.to_owned(),
            f.rule.alias.clone(),
            f.title.clone(),
            format!("{} {}", f.entity.r#type, f.who()),
            f.outcome.clone().unwrap_or_default(),
            grouped(f.count),
            f.first_seen.clone().unwrap_or_default(),
            f.last_seen.clone().unwrap_or_default(),
        ]
    });
    table(out, &["level", "rule", "title", "entity", "outcome", "events", "first seen", "last seen"], findings)?;
    for f in &report.findings {
        writeln!(out, "\n### {} {}: {}\n", f.rule.alias, inline(&f.title), inline(f.who()))?;
        if !f.description.is_empty() {
            writeln!(out, "{}\n", inline(&f.description))?;
        }
        if !f.columns.is_empty() {
            let columns: Vec<String> = f.columns.iter().map(|(n, v)| format!("{n} {v}")).collect();
            writeln!(out, "{}\n", inline(&columns.join(", ")))?;
        }
        for e in &f.evidence {
            writeln!(out, "- {} at {}\n", inline(&e.file), e.offset)?;
            code(out, "  ", &e.event)?;
        }
        if !f.next_query.is_empty() {
            writeln!(out, "\nNext:\n")?;
            code(out, "", &f.next_query)?;
        }
    }
    writeln!(out, "\n## Entities\n")?;
    let entities = report.entities.iter().map(|e| {
        let who = format!("{} {}", e.entity.r#type, e.entity.value.as_deref().unwrap_or(""));
        vec![grouped(e.score), e.level.to_owned(), who, e.rules.join(" "), e.tactics.join(" ")]
    });
    table(out, &["score", "level", "entity", "rules", "tactics"], entities)?;
    writeln!(out, "\n## Coverage\n")?;
    let coverage = report
        .coverage
        .iter()
        .map(|c| vec![c.tag.clone(), c.findings.to_string(), c.ran.to_string(), c.skipped.to_string()]);
    table(out, &["tag", "findings", "rules ran", "rules skipped"], coverage)?;
    writeln!(out, "\n## Logging gaps\n")?;
    let gaps = report
        .gaps
        .iter()
        .map(|g| vec![g.id.into(), g.source.clone(), g.message.clone(), g.advice.clone(), g.rules.join(" ")]);
    table(out, &["gap", "source", "what", "advice", "blind rules"], gaps)?;
    let hashes = report.hashes();
    if !hashes.is_empty() {
        writeln!(out, "\n## Evidence files\n")?;
        let hashes = hashes.iter().map(|(file, hash)| vec![(*file).to_owned(), (*hash).to_owned()]);
        table(out, &["file", "SHA-256"], hashes)?;
    }
    writeln!(out, "\n## Rules that could not run\n")?;
    let skipped = report
        .rules
        .iter()
        .filter(|r| r.state == "skipped")
        .map(|r| vec![r.rule.alias.clone(), r.title.clone(), r.why.clone()]);
    table(out, &["rule", "title", "why"], skipped)?;
    writeln!(out, "\n## Not read\n")?;
    let unread = report
        .unread
        .iter()
        .map(|u| vec![u.file.clone(), u.offset.map_or(String::new(), |o| o.to_string()), u.message.clone()]);
    table(out, &["file", "offset", "what"], unread)
}

fn table(out: &mut dyn Write, names: &[&str], rows: impl Iterator<Item = Vec<String>>) -> io::Result<()> {
    writeln!(out, "| {} |", names.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(names.len()))?;
    for row in rows {
        let cells: Vec<String> = row.iter().map(|c| inline(c)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Text that is nothing but text: every character with a meaning is escaped.
fn inline(text: &str) -> String {
    let shown = escape::visible(text);
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A block of code that its own text cannot end.
fn code(out: &mut dyn Write, indent: &str, text: &str) -> io::Result<()> {
    let shown = escape::visible(text);
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(out, "{indent}{fence}\n{indent}{shown}\n{indent}{fence}")
}
