//! Cases as data: conformance TOML and our own `.test` files.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A query, its input, and what must come out.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name, as printed and filtered: `conformance/stats.toml: stats-count`.
    pub title: String,
    /// The name of a conformance case; empty for a `.test` file.
    pub name: String,
    /// The file the case stands in.
    pub path: PathBuf,
    /// The query text.
    pub query: String,
    /// Input files by name.
    pub input: Vec<(String, String)>,
    /// More arguments for the command line. Such a case runs through the binary only.
    pub args: Vec<String>,
    /// What must come out.
    pub expected: Expected,
}

/// What must come out of a case.
#[derive(Clone, Debug)]
pub enum Expected {
    /// These cells; rows as a multiset unless `ordered`.
    Rows { columns: Vec<String>, rows: Vec<Vec<String>>, ordered: bool },
    /// The first error's message contains `message`; it underlines `span` exactly.
    Error { message: String, span: Option<String> },
    /// The answer as an aligned table.
    Output(String),
    /// What the binary prints about the query, which fails.
    ErrorOutput(String),
}

#[derive(Deserialize)]
struct ConformanceFile {
    case: Vec<ConformanceCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConformanceCase {
    name: String,
    /// `doc` or `rule`: for readers.
    #[serde(rename = "source")]
    _source: String,
    input: String,
    query: String,
    columns: Option<Vec<String>>,
    rows: Option<Vec<Vec<String>>>,
    #[serde(default)]
    ordered: bool,
    error: Option<String>,
    error_span: Option<String>,
}

/// Where the cases are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// All cases under `tests/cases`, in order of path. `CASES=text` keeps those whose title contains the text.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in files(&folder()) {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => cases.extend(conformance(&path, &text)),
            Some("test") => cases.push(ours(&path, &text)),
            _ => {}
        }
    }
    if let Ok(wanted) = std::env::var("CASES") {
        cases.retain(|c| c.title.contains(&wanted));
    }
    cases
}

/// All files below a folder, in order of path.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable folder").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn title(path: &Path) -> String {
    path.strip_prefix(folder()).unwrap_or(path).display().to_string()
}

fn conformance(path: &Path, text: &str) -> Vec<Case> {
    let file: ConformanceFile = toml::from_str(text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let case = |c: ConformanceCase| {
        let title = format!("{}: {}", title(path), c.name);
        let expected = match (c.columns, c.rows, c.error) {
            (Some(columns), Some(rows), None) => Expected::Rows { columns, rows, ordered: c.ordered },
            (None, None, Some(message)) => Expected::Error { message, span: c.error_span },
            _ => panic!("{title}: either columns and rows, or error"),
        };
        let input = vec![("input.ndjson".to_string(), c.input)];
        Case { title, name: c.name, path: path.into(), query: c.query, input, args: Vec::new(), expected }
    };
    file.case.into_iter().map(case).collect()
}

/// The query, then sections: `--- NAME` input files (`--- NAME < PATH`: with what that file holds), `--- args` (one a line), and
/// last `--- output` or `--- error`.
fn ours(path: &Path, text: &str) -> Case {
    let title = title(path);
    let mut sections = sections(text).into_iter();
    let (_, query) = sections.next().expect("the text before the first section");
    let (mut input, mut args, mut expected) = (Vec::new(), Vec::new(), None);
    for (name, body) in sections {
        match name {
            "output" => expected = Some(Expected::Output(body.into())),
            "error" => expected = Some(Expected::ErrorOutput(body.into())),
            "args" => args = body.lines().map(str::to_string).collect(),
            file => match file.split_once(" < ") {
                Some((name, fixture)) => input.push((name.to_string(), read(&title, fixture))),
                None => input.push((file.to_string(), body.to_string())),
            },
        }
    }
    let expected = expected.unwrap_or_else(|| panic!("{title}: no `--- output` or `--- error` section"));
    Case { title, name: String::new(), path: path.into(), query: query.into(), input, args, expected }
}

/// The content of a fixture, by its path in the workspace.
fn read(title: &str, fixture: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{title}: {}: {e}", path.display()))
}

fn sections(text: &str) -> Vec<(&str, &str)> {
    let mut sections = Vec::new();
    let (mut name, mut start, mut at) = ("", 0, 0);
    for line in text.split_inclusive('\n') {
        if let Some(next) = line.strip_prefix("--- ") {
            sections.push((name, &text[start..at]));
            (name, start) = (next.trim_end(), at + line.len());
        }
        at += line.len();
    }
    sections.push((name, &text[start..]));
    sections
}

/// Replaces the last section of a `.test` file.
pub fn bless(case: &Case, section: &str, body: &str) {
    let text = std::fs::read_to_string(&case.path).expect("was read before");
    let heading = format!("--- {section}\n");
    let at = text.find(&heading).unwrap_or_else(|| panic!("{}: no `{}` to fill in", case.title, heading.trim_end()));
    std::fs::write(&case.path, format!("{}{heading}{body}", &text[..at])).expect("the case can be rewritten");
}
