//! The guide in `docs/` and the README: every example is run, every query compiles, every link leads somewhere, and the
//! reference is what the tables say. `BLESS=1` rewrites outputs and the reference; read the diff.
//!
//! A block marked `console` holds commands behind `$ ` and what a terminal of 100 columns shows then; one marked `repl`
//! with paths is a session over them. A line `…` stands for any lines. Blocks marked `file NAME` are files, `bsq` are
//! queries, `toml` is a configuration file. Everything runs in a folder that has `fixtures` and `queries`.

use backsight_engine::{agg, func};
use backsight_lang::commands::{COMMANDS, Status};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some_and(|value| value == "1")
}

/// All pages, the README too.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the guide") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// A fenced block: its mark, its text, and where that stands in the page.
struct Block {
    mark: String,
    text: String,
    place: Range<usize>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (event, place) in Parser::new_ext(page, Options::ENABLE_TABLES).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(mark))), _) => {
                open = Some(Block { mark: mark.to_string(), text: String::new(), place: 0..0 });
            }
            (Event::Text(text), Some(block)) => {
                block.place = if block.text.is_empty() { place } else { block.place.start..place.end };
                block.text.push_str(&text);
            }
            (Event::End(TagEnd::CodeBlock), Some(_)) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

/// Runs a command line in a terminal of 100 columns; what it shows, without colour.
fn shown(folder: &Path, command: &str) -> String {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    use std::io::Read;
    let binary = Path::new(env!("CARGO_BIN_EXE_backsight"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.parent().expect("a folder").display());
    let size = PtySize { rows: 500, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let mut shell = CommandBuilder::new("timeout");
    shell.args(["30", "sh", "-c", command]);
    shell.cwd(folder);
    shell.env_clear();
    let home = folder.to_string_lossy();
    for (name, value) in
        [("PATH", path.as_str()), ("HOME", &home), ("TERM", "xterm"), ("NO_COLOR", "1"), ("LC_ALL", "C.UTF-8")]
    {
        shell.env(name, value);
    }
    let mut child = pair.slave.spawn_command(shell).expect("sh runs");
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().expect("a reader");
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    // The end of a terminal is an error on some systems.
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..n]);
    }
    child.wait().expect("a child");
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

/// Without what differs from run to run.
fn steady(text: &str) -> String {
    let times = regex::Regex::new(r" in [0-9.]+ (ms|s)( \([0-9.]+ [kMG]?B/s\))?").expect("a pattern");
    text.lines().map(|line| times.replace_all(line.trim_end(), " in …").into_owned() + "\n").collect()
}

/// Whether a text is as expected, where a line `…` stands for any lines.
fn matches(expected: &str, actual: &str) -> bool {
    let expected: Vec<&str> = expected.lines().collect();
    let actual: Vec<&str> = actual.lines().collect();
    fits(&expected, &actual)
}

fn fits(expected: &[&str], actual: &[&str]) -> bool {
    match (expected, actual) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=actual.len()).any(|skipped| fits(rest, &actual[skipped..])),
        ([a, rest @ ..], [b, more @ ..]) => a == b && fits(rest, more),
        _ => false,
    }
}

/// A folder in which the examples of a page run.
fn stage() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["fixtures", "queries"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).expect("a link");
    }
    folder
}

/// A block of commands as it should be, the outputs filled in.
fn played(block: &str, folder: &Path) -> String {
    let mut out = String::new();
    let mut lines = block.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        let mut expected = String::new();
        while let Some(more) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected.push_str(&format!("{more}\n"));
        }
        out.push_str(&format!("{line}\n"));
        out.push_str(&settled(expected, shown(folder, command)));
    }
    out
}

/// A session as it should be: each line typed, and what the prompt shows then. A line that the prompt echoes tells where
/// an answer ends.
fn session(block: &str, paths: &str, folder: &Path) -> String {
    const MARK: &str = "no such command; `\\?` lists them";
    let typed: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("backsight> ")).collect();
    let input: String = typed.iter().map(|line| format!("{line}\n\\=====\n")).collect();
    fs::write(folder.join(".typed"), input).expect("a temporary file");
    let all = shown(folder, &format!("backsight repl {paths} < .typed"));
    let end = format!("error: \\=====: {MARK}\n");
    let mut answers = all.split(&end);
    let mut expected =
        block.split("backsight> ").skip(1).map(|part| part.split_once('\n').map_or("", |(_, rest)| rest));
    let mut out = String::new();
    for line in typed {
        let answer = answers.next().unwrap_or("").to_string();
        let expected = expected.next().unwrap_or("").to_string();
        out.push_str(&format!("backsight> {line}\n{}", settled(expected, answer)));
    }
    out
}

/// What stands there, if that is what is shown.
fn settled(expected: String, actual: String) -> String {
    let actual: String = actual.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if matches(&steady(&expected), &steady(&actual)) { expected } else { actual }
}

#[test]
fn every_example_runs_and_shows_what_it_says() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let mut rewritten = text.clone();
        let folder = stage();
        let mut changes = Vec::new();
        for block in blocks(&text) {
            let actual = match block.mark.split_once(' ').unwrap_or((&block.mark, "")) {
                ("file", name) => {
                    fs::write(folder.path().join(name), &block.text).expect("a temporary file");
                    continue;
                }
                ("console", _) => played(&block.text, folder.path()),
                ("repl", paths) => session(&block.text, paths, folder.path()),
                _ => continue,
            };
            if actual != block.text {
                wrong.push(format!("{}: expected\n{}shown\n{actual}", page.display(), block.text));
                changes.push((block.place, actual));
            }
        }
        for (place, actual) in changes.into_iter().rev() {
            rewritten.replace_range(place, &actual);
        }
        if blessing() && rewritten != text {
            fs::write(&page, rewritten).expect("a page");
        }
    }
    assert!(blessing() || wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_query_and_configuration_is_valid() {
    for page in pages() {
        for block in blocks(&fs::read_to_string(&page).expect("a page")) {
            let at = format!("{}:\n{}", page.display(), block.text);
            match block.mark.as_str() {
                "bsq" if block.text.contains("#--- rule") => {
                    let (rules, problems) = backsight_hunt::rule::read([("example.bsq", block.text.as_str())]);
                    assert!(!rules.is_empty() && problems.is_empty(), "{at}{problems:?}");
                }
                "bsq" => {
                    let folder = stage();
                    fs::write(folder.path().join("query.bsq"), &block.text).expect("a temporary file");
                    let all =
                        fs::read_to_string(root().join("fixtures/access/numbers/access.ndjson")).expect("a fixture");
                    let few: String = all.split_inclusive('\n').take(20).collect();
                    fs::write(folder.path().join("few.ndjson"), few).expect("a temporary file");
                    let out = shown(folder.path(), "backsight query -f query.bsq few.ndjson > answer || echo FAILED");
                    assert!(!out.contains("error[") && !out.contains("FAILED"), "{at}{out}");
                }
                "toml" => {
                    let folder = stage();
                    fs::write(folder.path().join("config.toml"), &block.text).expect("a temporary file");
                    let out = shown(folder.path(), "backsight --config config.toml formats ndjson");
                    assert!(!out.contains("error"), "{at}{out}");
                }
                "json" => drop(serde_json::from_str::<serde_json::Value>(&block.text).expect(&at)),
                "" | "console" | "sql" | "sh" | "text" => {}
                mark if mark.starts_with("repl ") || mark.starts_with("file ") => {}
                mark => panic!("no test knows what to do with a block marked `{mark}`: {at}"),
            }
        }
    }
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_listed() {
    let mut listed = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for event in Parser::new(&text) {
            let Event::Start(Tag::Link { dest_url, .. }) = event else { continue };
            if dest_url.contains("://") || dest_url.starts_with('#') {
                continue;
            }
            let target = dest_url.split('#').next().unwrap_or("");
            let path = page.parent().expect("a folder").join(target);
            assert!(path.exists(), "{}: {dest_url} leads nowhere", page.display());
            if page.ends_with("SUMMARY.md") {
                listed.push(path.canonicalize().expect("it exists"));
            }
        }
    }
    let guide =
        pages().into_iter().filter(|page| page.starts_with(root().join("docs")) && !page.ends_with("SUMMARY.md"));
    for page in guide {
        assert!(listed.contains(&page.canonicalize().expect("it exists")), "{} is not listed", page.display());
    }
}

/// Text within a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn code(text: &str) -> String {
    // Inside a table even code needs its bars escaped.
    format!("`{}`", cell(text))
}

fn commands() -> String {
    let mut out = String::from(
        "# Commands\n\nA query is a pipeline of these, `|` between them. Those marked *extension* are not part of Logs \
         Insights.\n",
    );
    for command in COMMANDS.iter().filter(|c| c.tier > 0) {
        out.push_str(&format!("\n## {}\n\n{}", command.name, command.about));
        if command.status == Status::Extension {
            out.push_str(" *Extension.*");
        }
        if !command.aliases.is_empty() {
            let names: Vec<String> = command.aliases.iter().map(|a| format!("`{a}`")).collect();
            out.push_str(&format!(" Also written {}.", names.join(", ")));
        }
        out.push_str(&format!(
            "\n\n```text\n{}\n```\n\nFor example:\n\n```text\n{}\n```\n",
            command.syntax, command.example
        ));
    }
    out
}

fn form(name: &str, params: &[(&str, func::Type)], optional: usize, variadic: bool) -> String {
    let mut out = format!("{name}(");
    for (i, (param, _)) in params.iter().enumerate() {
        out.push_str(if i >= params.len() - optional { "[" } else { "" });
        out.push_str(if i > 0 { ", " } else { "" });
        out.push_str(param);
    }
    out.push_str(if variadic { ", …" } else { "" });
    out + &"]".repeat(optional.min(params.len())) + ")"
}

fn names(aliases: &[&str], extension: bool) -> String {
    let mut notes: Vec<String> = aliases.iter().map(|a| format!("also `{a}`")).collect();
    if extension {
        notes.push("extension".into());
    }
    if notes.is_empty() { String::new() } else { format!(" *({})*", notes.join(", ")) }
}

fn examples(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(e, r)| format!("{} → {}", code(e), code(r))).collect::<Vec<_>>().join("<br>")
}

fn functions() -> String {
    let mut out = String::from(
        "# Functions\n\nNull in gives null out, unless a function says otherwise.\n\n| form | what it gives | examples |\n|---|---|---|\n",
    );
    for f in func::functions() {
        let about = cell(f.about) + &names(f.aliases, f.status != func::Status::Insights);
        out.push_str(&format!(
            "| {} | {about} | {} |\n",
            code(&form(f.name, f.params, f.optional, f.variadic)),
            examples(f.examples)
        ));
    }
    out
}

fn aggregates() -> String {
    let mut out = String::from(
        "# Aggregates\n\nWhat `stats` computes of the rows of a group; rows where the argument is null are left out.\n\n| form | what it gives |\n|---|---|\n",
    );
    for a in agg::aggregates() {
        let about = cell(a.about) + &names(a.aliases, a.status != func::Status::Insights);
        out.push_str(&format!("| {} | {about} |\n", code(&form(a.name, a.params, a.optional, false))));
    }
    out
}

fn formats() -> String {
    let mut out = String::from(
        "# Input formats\n\nA file's format is found from its content, whatever its name; `--as FORMAT` overrides that. \
         Compression is found in the same way.\n\n| name | what it is | usual extensions |\n|---|---|---|\n",
    );
    for f in backsight_io::FORMATS {
        out.push_str(&format!("| `{}` | {} | {} |\n", f.name, cell(f.about), f.extensions.join(", ")));
    }
    out
}

#[test]
fn the_reference_is_what_the_tables_say() {
    for (name, text) in [
        ("commands.md", commands()),
        ("functions.md", functions()),
        ("aggregates.md", aggregates()),
        ("formats.md", formats()),
    ] {
        let page = root().join("docs/src/language").join(name);
        if blessing() {
            fs::write(&page, &text).expect("a page");
        }
        let stands = fs::read_to_string(&page).unwrap_or_default();
        assert!(stands == text, "{}: BLESS=1 brings it up to date", page.display());
    }
}
