//! What is JSON and what is not (J7): the decisions about the files of JSONTestSuite, as the guide prints them.
//!
//! The suite lies beside the workspace, or where `BACKSIGHT_SHARED` says; without it these tests say so and pass. `BLESS=1`
//! rewrites the table.

use backsight_engine::value::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/src/language/json.md";

/// The files of the suite by their names, and what is in them.
fn suite() -> Option<BTreeMap<String, Vec<u8>>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("BACKSIGHT_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("data/jsontestsuite/test_parsing");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no {} (set BACKSIGHT_SHARED)", folder.display());
        return None;
    };
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("listed").path();
        let name = path.file_stem()?.to_string_lossy().into_owned();
        Some((name, std::fs::read(&path).expect("read")))
    };
    Some(files.filter_map(read).collect())
}

fn is_json(text: &[u8]) -> bool {
    json::whole(text.trim_ascii()).is_ok()
}

/// What becomes of the text of a file.
fn decision(name: &str, text: &[u8]) -> &'static str {
    let units = |order: fn([u8; 2]) -> u16| text.as_chunks::<2>().0.iter().map(|c| order(*c)).collect::<Vec<_>>();
    let is_utf16 =
        |order| String::from_utf16(&units(order)).is_ok_and(|t| is_json(t.trim_start_matches('\u{feff}').as_bytes()));
    let depth = text.iter().filter(|b| matches!(b, b'[' | b'{')).count();
    if !is_json(text) {
        return match text.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if is_json(rest) => "JSON at the start of a file, text elsewhere",
            _ if is_utf16(u16::from_le_bytes) || is_utf16(u16::from_be_bytes) => "JSON where all of the file is UTF-16",
            _ if depth > 128 => "text: more than 128 levels",
            _ => "text",
        };
    }
    match std::str::from_utf8(text) {
        Err(_) => "JSON; what is no UTF-8 is kept, shown as U+FFFD and counted",
        Ok(_) if name.contains("_number_") => "JSON; the number keeps its spelling",
        Ok(text) if serde_json::from_str::<serde_json::Value>(text).is_ok() => "JSON",
        Ok(_) => "JSON; half a surrogate pair is shown as U+FFFD and counted",
    }
}

/// The rows of the table: files that may be read either way one by one, the others by what they are about.
fn table(suite: &BTreeMap<String, Vec<u8>>) -> String {
    let mut rows: Vec<(String, &str, usize)> = Vec::new();
    for (name, text) in suite {
        let mut decision = decision(name, text);
        let mut parts = name.splitn(3, '_');
        let (kind, about) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let what = if kind == "i" { format!("`{name}`") } else { format!("`{kind}_{about}_…`") };
        if kind != "i" {
            // That numbers and bytes stay what they are is no different here.
            decision = decision.split([';', ':']).next().unwrap_or_default();
        }
        match rows.iter_mut().find(|row| row.0 == what && row.1 == decision) {
            Some(row) => row.2 += 1,
            None => rows.push((what, decision, 1)),
        }
    }
    let lines = rows.iter().map(|(what, decision, files)| format!("| {what} | {files} | {decision} |\n"));
    ["| files | how many | taken for |\n".to_owned(), "|---|---|---|\n".to_owned()].into_iter().chain(lines).collect()
}

#[test]
fn the_guide_prints_what_is_decided() {
    let Some(suite) = suite() else { return };
    for (name, text) in &suite {
        let decision = decision(name, text);
        match &name[..1] {
            "y" => assert!(decision.starts_with("JSON"), "{name}: {decision}"),
            "n" => assert!(decision.starts_with("text"), "{name}: {decision}"),
            _ => {}
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let start = page.find("| files |").expect("the table");
    let end = start + page[start..].find("\n\n").map_or(page.len() - start, |end| end + 1);
    let table = table(&suite);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, [&page[..start], &table, &page[end..]].concat()).expect("written");
    } else {
        assert_eq!(page[start..end], table, "BLESS=1 rewrites {PAGE}");
    }
}

/// Each file as one line between two records, whose lines are there whatever stands between them.
#[test]
fn lines_around_it_are_read() {
    let Some(suite) = suite() else { return };
    let good = |n: usize| format!("{{\"n\":{n}}}\n").into_bytes();
    let line =
        |text: &Vec<u8>| [&text.iter().copied().filter(|b| *b != b'\n').collect::<Vec<u8>>()[..], b"\n"].concat();
    let mut bytes = good(0);
    let (mut lines, mut objects, mut blank) = (1, 1, 0);
    for (n, text) in suite.values().enumerate() {
        let line = line(text);
        let is_blank = line.trim_ascii().is_empty();
        lines += 1 + usize::from(!is_blank);
        blank += usize::from(is_blank);
        objects += 1 + usize::from(is_json(&line) && line.trim_ascii().starts_with(b"{"));
        bytes.extend_from_slice(&line);
        bytes.extend(good(n + 1));
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.json"), bytes).expect("written");
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    let query = "stats count(*) as all, count(n) as good, sum(n) as total";
    let command =
        command.current_dir(folder.path()).args(["query", "--format", "csv", "--stats", "json", query, "a.json"]);
    let output = command.output().expect("runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let files = suite.len();
    let expected = format!("all,good,total\n{lines},{},{}\n", files + 1, files * (files + 1) / 2);
    assert_eq!((output.status.code(), &*out), (Some(0), &*expected), "{err}");
    let stats: serde_json::Value = err.lines().find_map(|line| serde_json::from_str(line).ok()).expect("statistics");
    assert_eq!((&stats["not_json"], &stats["blank"]), (&(lines - objects).into(), &blank.into()), "{err}");
}
