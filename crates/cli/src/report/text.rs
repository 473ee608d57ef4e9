//! The report for the terminal: 80 columns and up, quiet on a pipe.

use crate::escape;
use crate::output::Look;
use crate::summary::grouped;
use backsight_hunt::report::{Report, Row};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Findings of one rule that are listed one by one.
const LISTED: usize = 10;
/// Entities listed.
const ENTITIES: usize = 20;

/// Writes the report.
pub(super) fn write(report: &Report, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { color: look.color, text: String::new() };
    page.sources(report);
    page.findings(report);
    page.entities(report);
    page.timeline(report);
    page.coverage(report);
    page.gaps(report);
    page.hashes(report);
    page.rules(report);
    out.write_all(page.text.as_bytes())
}

struct Page {
    color: bool,
    text: String,
}

impl Page {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn level(&self, level: &str) -> String {
        let code = match level {
            "critical" => "1;97;41",
            "high" => "1;31",
            "medium" => "33",
            "low" => "36",
            _ => "2",
        };
        self.paint(code, level)
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let text = self.paint("1", text);
        self.line("");
        self.line(&text);
    }

    fn sources(&mut self, report: &Report) {
        let text = self.paint("1", "Logs");
        self.line(&text);
        if report.partial {
            self.line("  interrupted: only a part was read");
        }
        for s in &report.sources {
            let name = if s.source.is_empty() { "(no source that rules know)" } else { &s.source };
            let span = match (&s.first, &s.last) {
                (Some(first), Some(last)) => format!(", {first} to {last}"),
                _ => String::new(),
            };
            let files = if s.files == 1 { "1 file".to_owned() } else { format!("{} files", grouped(s.files as u64)) };
            self.line(&format!("  {name} ({}): {} records in {files}{span}", s.format, grouped(s.records)));
        }
    }

    fn findings(&mut self, report: &Report) {
        self.heading("Findings");
        if report.findings.is_empty() {
            self.line("  none");
        }
        let mut rest = report.findings.as_slice();
        while let Some(first) = rest.first() {
            let same = |r: &&Row| r.rule == first.rule && r.level == first.level;
            let n = rest.iter().take_while(same).count();
            let (mine, others) = rest.split_at(n);
            rest = others;
            let level = self.level(first.level);
            let counted = if n == 1 { String::new() } else { format!(" ({n})") };
            self.line(&format!("  {level}  {}  {}{counted}", first.rule.alias, escape::visible(&first.title)));
            for row in mine.iter().take(LISTED) {
                self.finding(row);
            }
            if n > LISTED {
                self.line(&format!("      … and {} more", n - LISTED));
            }
        }
    }

    fn finding(&mut self, row: &Row) {
        let who = escape::visible(row.who()).into_owned();
        let outcome = row.outcome.as_ref().filter(|o| *o == "attempt").map_or("", |_| " (attempt)");
        let events = if row.count == 1 { "1 event".to_owned() } else { format!("{} events", grouped(row.count)) };
        let span = match (&row.first_seen, &row.last_seen) {
            (Some(first), Some(last)) if first == last => format!(", {first}"),
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        let who = self.paint("1", &who);
        self.line(&format!("      {who}{outcome}  {events}{span}"));
        let columns: Vec<String> = row.columns.iter().map(|(n, v)| format!("{n} {v}")).collect();
        if !columns.is_empty() {
            let text = self.paint("2", &clipped(&columns.join(", ")));
            self.line(&format!("        {text}"));
        }
        if let Some(e) = row.evidence.first() {
            let text = self.paint("2", &clipped(&format!("{}@{}: {}", e.file, e.offset, e.event)));
            self.line(&format!("        {text}"));
        }
    }

    fn entities(&mut self, report: &Report) {
        if report.entities.is_empty() {
            return;
        }
        self.heading("Entities by score");
        for e in report.entities.iter().take(ENTITIES) {
            let who = escape::visible(e.entity.value.as_deref().unwrap_or("")).into_owned();
            let level = self.level(e.level);
            self.line(&format!("  {:>6}  {level}  {} {who}: {}", grouped(e.score), e.entity.r#type, e.rules.join(" ")));
        }
        if report.entities.len() > ENTITIES {
            self.line(&format!("  … and {} more", report.entities.len() - ENTITIES));
        }
    }

    fn timeline(&mut self, report: &Report) {
        let most = report.timeline.iter().map(|b| b.findings.values().sum::<u64>()).max().unwrap_or(0);
        if most == 0 {
            return;
        }
        self.heading("Findings over time, by their first event");
        for bin in report.timeline.iter().filter(|b| !b.findings.is_empty()) {
            let n: u64 = bin.findings.values().sum();
            let bar = "█".repeat(((n * 40).div_ceil(most)) as usize);
            self.line(&format!("  {}  {bar} {n}", bin.start));
        }
    }

    fn coverage(&mut self, report: &Report) {
        let hit: Vec<String> =
            report.coverage.iter().filter(|c| c.findings > 0).map(|c| format!("{} ({})", c.tag, c.findings)).collect();
        if !hit.is_empty() {
            self.heading("ATT&CK and OWASP, with findings");
            let text = hit.join(", ");
            self.line(&format!("  {text}"));
        }
    }

    fn gaps(&mut self, report: &Report) {
        if report.gaps.is_empty() {
            return;
        }
        self.heading("Logging gaps");
        for gap in &report.gaps {
            let mut line = format!("  {}  {}: {}", gap.id, gap.source, gap.message);
            if !gap.rules.is_empty() {
                let _ = write!(line, " ({} blind)", gap.rules.join(" "));
            }
            self.line(&escape::visible(&line));
            let advice = self.paint("2", &gap.advice);
            self.line(&format!("           {advice}"));
        }
    }

    /// One a line, the hash first, as `sha256sum` writes them.
    fn hashes(&mut self, report: &Report) {
        let hashes = report.hashes();
        if !hashes.is_empty() {
            self.heading("Evidence files, SHA-256");
        }
        hashes.iter().for_each(|(file, hash)| self.line(&format!("  {hash}  {}", escape::visible(file))));
    }

    fn rules(&mut self, report: &Report) {
        let skipped = report.rules.iter().filter(|r| r.state == "skipped");
        let mut why: Vec<(&str, Vec<&str>)> = Vec::new();
        for rule in skipped {
            match why.iter_mut().find(|(w, _)| *w == rule.why) {
                Some((_, rules)) => rules.push(&rule.rule.alias),
                None => why.push((&rule.why, vec![&rule.rule.alias])),
            }
        }
        if why.is_empty() {
            return;
        }
        self.heading("Rules that could not run");
        for (why, rules) in why {
            let listed = if rules.len() > 12 { format!("{} rules", rules.len()) } else { rules.join(" ") };
            self.line(&format!("  {listed}: {}", escape::visible(why)));
        }
    }
}

/// The start of a text, made visible.
fn clipped(text: &str) -> String {
    const MOST: usize = 160;
    let shown = escape::visible(text);
    if shown.chars().count() <= MOST {
        return shown.into_owned();
    }
    shown.chars().take(MOST).chain(['…']).collect()
}
