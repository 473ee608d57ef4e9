//! The report as one HTML page that needs nothing beside it. A policy in the page forbids everything but its own style
//! and script, by their hashes, so whatever a log says stays text.

use crate::chart::svg::{self, Bar, Stack};
use crate::escape;
use crate::summary::grouped;
use backsight_hunt::report::{Report, Row, TACTICS, tactic};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use std::io::{self, Write};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The levels, the worst first.
const LEVELS: [&str; 5] = ["critical", "high", "medium", "low", "informational"];

/// Writes the page.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(report).into_string().as_bytes())
}

fn page(report: &Report) -> Markup {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { "Backsight hunt report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                main {
                    (charts(report))
                    (entities(report))
                    (findings(report))
                    (coverage(report))
                    (gaps(report))
                    (sources(report))
                    (hashes(report))
                    (rules(report))
                    (unread(report))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// A time with a space where the line may break.
fn readable(time: Option<&str>) -> String {
    time.unwrap_or_default().replacen('T', " ", 1)
}

/// Text of the log, made visible.
fn shown(text: &str) -> String {
    escape::visible(text).into_owned()
}

fn header(report: &Report) -> Markup {
    let records: u64 = report.sources.iter().map(|s| s.records).sum();
    let files: usize = report.sources.iter().map(|s| s.files).sum();
    let first = report.sources.iter().filter_map(|s| s.first.as_ref()).min();
    let last = report.sources.iter().filter_map(|s| s.last.as_ref()).max();
    let ran = report.rules.iter().filter(|r| r.state == "ran").count();
    html! {
        header {
            h1 { "Hunt report" }
            p.sub {
                (grouped(records)) " records in " (grouped(files as u64)) " files"
                @if let (Some(first), Some(last)) = (first, last) { ", " (first) " to " (last) }
                ". " (ran) " of " (report.rules.len()) " rules could run."
            }
            @if report.partial { p.partial { "Interrupted: only a part of the input was read." } }
            ul.levels {
                @for level in LEVELS {
                    @let n = report.findings.iter().filter(|f| f.level == level).count();
                    li class=(level) { b { (n) } " " (level) }
                }
            }
        }
    }
}

fn findings(report: &Report) -> Markup {
    html! {
        section id="findings" {
            h2 { "Findings" }
            @if report.findings.is_empty() { p { "Nothing was found." } } @else {
                div.tools {
                    label { "Filter " input id="q" type="search" placeholder="address, rule, text of an event"; }
                    span.boxes {
                        @for level in LEVELS {
                            label { input type="checkbox" name="level" value=(level) checked; " " (level) }
                        }
                    }
                    span id="shown" role="status" { (report.findings.len()) " of " (report.findings.len()) }
                }
                table.sort.findings {
                    thead { tr {
                        (head("Level")) (head("Rule")) (head("What")) (head("Entity")) (head("Events")) (head("First seen")) (head("Last seen"))
                    } }
                    @for row in &report.findings { (finding(row)) }
                }
            }
        }
    }
}

fn head(name: &str) -> Markup {
    html! { th scope="col" { button type="button" { (name) } } }
}

fn finding(row: &Row) -> Markup {
    let rank = LEVELS.iter().position(|l| *l == row.level).unwrap_or(LEVELS.len());
    html! {
        tbody data-level=(row.level) {
            tr {
                td data-v=(rank) { span.level.(row.level) { (row.level) } }
                td.alias data-v=(row.rule.alias) { (row.rule.alias) }
                td data-v=(row.title) { (shown(&row.title)) @if let Some(o) = &row.outcome { " " span.outcome { (o) } } }
                td data-v=(shown(row.who())) { span.kind { (row.entity.r#type) } " " b.who { (shown(row.who())) } }
                td.n data-v=(row.count) data-name="events" { (grouped(row.count)) }
                td.t data-v=(row.first_seen.as_deref().unwrap_or("")) data-name="first" { (readable(row.first_seen.as_deref())) }
                td.t data-v=(row.last_seen.as_deref().unwrap_or("")) data-name="last" { (readable(row.last_seen.as_deref())) }
            }
            tr.more { td colspan="7" { details { summary { "Evidence and next steps" } (details(row)) } } }
        }
    }
}

fn details(row: &Row) -> Markup {
    html! {
        @if !row.description.is_empty() { p { (shown(&row.description)) } }
        dl {
            @for (name, value) in &row.columns { dt { (shown(name)) } dd { (shown(value)) } }
            @if !row.params.is_empty() { dt { "parameters" } dd { (shown(&row.settings())) } }
            @if !row.tags.is_empty() { dt { "tags" } dd { (row.tags.join(", ")) } }
            @if !row.falsepositives.is_empty() { dt { "may be harmless" } dd { (shown(&row.falsepositives.join("; "))) } }
            dt { "rule" } dd { (row.rule.id) }
        }
        @for e in &row.evidence {
            p.place { (shown(&e.file)) " at " (e.offset) @if let Some(t) = &e.time { ", " (t) } }
            pre { (shown(&e.event)) }
        }
        @if !row.next_query.is_empty() { p { "Next: all events of the entity" } pre.query { (shown(&row.next_query)) } }
    }
}

fn charts(report: &Report) -> Markup {
    let found: Vec<Stack<'_>> = report
        .timeline
        .iter()
        .map(|bin| Stack {
            label: &bin.start,
            parts: LEVELS.into_iter().rev().map(|l| (l, bin.findings.get(l).copied().unwrap_or(0))).collect(),
        })
        .collect();
    let records: Vec<Stack<'_>> =
        report.timeline.iter().map(|bin| Stack { label: &bin.start, parts: vec![("records", bin.records)] }).collect();
    html! {
        @if !found.is_empty() {
            section {
                h2 { "Timeline" }
                @if !report.findings.is_empty() {
                    h3 { "Findings, by their first event" }
                    div.chart { (PreEscaped(svg::columns("Findings over time", &found))) }
                }
                h3 { "Records" }
                div.chart { (PreEscaped(svg::columns("Records over time", &records))) }
            }
        }
    }
}

/// Entities in the chart.
const CHARTED: usize = 12;

fn entities(report: &Report) -> Markup {
    let class = |level: &str| LEVELS.into_iter().find(|l| *l == level).unwrap_or("informational");
    let bars: Vec<Bar> = report
        .entities
        .iter()
        .take(CHARTED)
        .map(|e| Bar {
            label: format!("{} {}", e.entity.r#type, e.entity.value.as_deref().unwrap_or("")),
            value: e.score,
            class: class(e.level),
        })
        .collect();
    html! {
        @if !report.entities.is_empty() {
            section {
                h2 { "Entities" }
                p.sub { "The score adds up the weights of the levels, times the number of different tactics." }
                div.chart { (PreEscaped(svg::bars("Entities by score", &bars))) }
                div.wide { table.sort.cards {
                    thead { tr { (head("Score")) (head("Level")) (head("Entity")) (head("Rules")) (head("Tactics")) (head("First seen")) (head("Last seen")) } }
                    tbody { @for e in &report.entities {
                        @let rank = LEVELS.iter().position(|l| *l == e.level).unwrap_or(LEVELS.len());
                        tr {
                            td.n data-v=(e.score) data-name="score" { (grouped(e.score)) }
                            td data-v=(rank) { span.level.(e.level) { (e.level) } }
                            td { span.kind { (e.entity.r#type) } " " b.who { (shown(e.entity.value.as_deref().unwrap_or(""))) } }
                            td data-name="rules" { @for rule in &e.rules { span.rule { (rule) } " " } }
                            td data-name="tactics" { (e.tactics.join(", ").replace('_', " ")) }
                            td.t data-name="first seen" { (readable(e.first_seen.as_deref())) }
                            td.t data-name="last seen" { (readable(e.last_seen.as_deref())) }
                        }
                    } }
                } }
            }
        }
    }
}

fn coverage(report: &Report) -> Markup {
    let of = |name: &str| report.coverage.iter().find(|c| tactic(&c.tag) == Some(name));
    html! {
        section {
            h2 { "Coverage" }
            h3 { "ATT&CK tactics, in the order of an attack" }
            ul.tactics {
                @for name in TACTICS {
                    @let c = of(name);
                    @let hits = c.map_or(0, |c| c.findings);
                    @let class = match c { Some(_) if hits > 0 => "hit", Some(c) if c.ran > 0 => "seen", _ => "blind" };
                    li class=(class) {
                        b { (name.replace('_', " ")) }
                        span { (hits) " findings" }
                        span { (c.map_or(0, |c| c.ran)) " rules ran, " (c.map_or(0, |c| c.skipped)) " could not" }
                    }
                }
            }
            details {
                summary { "Techniques and OWASP API Security" }
                div.wide { table.sort {
                    thead { tr { (head("Tag")) (head("Findings")) (head("Rules that ran")) (head("Rules that could not")) } }
                    tbody { @for c in report.coverage.iter().filter(|c| tactic(&c.tag).is_none()) {
                        tr { td { (c.tag) } td.n data-v=(c.findings) { (c.findings) } td.n data-v=(c.ran) { (c.ran) } td.n data-v=(c.skipped) { (c.skipped) } }
                    } }
                } }
            }
        }
    }
}

fn gaps(report: &Report) -> Markup {
    html! {
        @if !report.gaps.is_empty() {
            section {
                h2 { "Logging gaps" }
                div.wide { table.sort {
                    thead { tr { (head("Gap")) (head("Source")) (head("What is missing")) (head("What to do")) (head("Blind rules")) } }
                    tbody { @for g in &report.gaps {
                        tr { td { (g.id) } td { (g.source) } td { (shown(&g.message)) } td { (shown(&g.advice)) } td { @for rule in &g.rules { span.rule { (rule) } " " } } }
                    } }
                } }
            }
        }
    }
}

fn hashes(report: &Report) -> Markup {
    let hashes = report.hashes();
    html! {
        @if !hashes.is_empty() {
            section {
                h2 { "Evidence files" }
                div.wide { table.sort {
                    thead { tr { (head("File")) (head("SHA-256")) } }
                    tbody { @for (file, hash) in &hashes { tr { td { (shown(file)) } td { code { (hash) } } } } }
                } }
            }
        }
    }
}

fn sources(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Logs" }
            div.wide { table.sort {
                thead { tr { (head("Source")) (head("Format")) (head("Files")) (head("Records")) (head("First")) (head("Last")) } }
                tbody { @for s in &report.sources {
                    tr {
                        td { @if s.source.is_empty() { "not known to any rule" } @else { (s.source) } }
                        td { (s.format) }
                        td.n data-v=(s.files) { (grouped(s.files as u64)) }
                        td.n data-v=(s.records) { (grouped(s.records)) }
                        td.t { (s.first.as_deref().unwrap_or("")) }
                        td.t { (s.last.as_deref().unwrap_or("")) }
                    }
                } }
            } }
        }
    }
}

fn rules(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Rules" }
            details {
                summary { (report.rules.len()) " rules" }
                div.wide { table.sort {
                    thead { tr { (head("Rule")) (head("Level")) (head("Source")) (head("Title")) (head("State")) (head("Findings")) (head("Why")) } }
                    tbody { @for r in &report.rules {
                        @let rank = LEVELS.iter().position(|l| *l == r.level).unwrap_or(LEVELS.len());
                        tr {
                            td { (r.rule.alias) }
                            td data-v=(rank) { span.level.(r.level) { (r.level) } }
                            td { (r.source) }
                            td { (shown(&r.title)) }
                            td { (r.state) }
                            td.n data-v=(r.findings) { (r.findings) }
                            td { (shown(&r.why)) }
                        }
                    } }
                } }
            }
        }
    }
}

fn unread(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Not read" }
            @if report.unread.is_empty() { p { "Everything was read." } } @else {
                details open[report.unread.len() <= 20] {
                    summary { (report.unread.len()) " places" }
                    div.wide { table.sort {
                        thead { tr { (head("File")) (head("Offset")) (head("What")) (head("Weight")) } }
                        tbody { @for u in &report.unread {
                            tr {
                                td { (shown(&u.file)) }
                                td.n data-v=(u.offset.unwrap_or(0)) { (u.offset.map_or(String::new(), |o| o.to_string())) }
                                td { (shown(&u.message)) }
                                td { @if u.damage { "damage" } @else { "notice" } }
                            }
                        } }
                    } }
                }
            }
        }
    }
}
