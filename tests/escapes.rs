//! Sequences that drive a terminal, reorder text or cannot be seen, sent through every way out: none arrives as it is.

mod screen;

use screen::Terminal;
use std::fs;
use std::time::{Duration, Instant};

/// Sixty of them. Those that are one character are looked for alone, the others whole.
const HOSTILE: &[&str] = &[
    "\x1b[2J",
    "\x1b[H",
    "\x1b[31m",
    "\x1b[1;1H",
    "\x1b[999D",
    "\x1b[?1049h",
    "\x1b[?25l",
    "\x1b[6n",
    "\x1b[c",
    "\x1b]0;evil\x07",
    "\x1b]2;evil\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]8;;http://evil\x1b\\",
    "\x1b]4;1;?\x07",
    "\x1b]1337;File=evil\x07",
    "\x1bP$qm\x1b\\",
    "\x1bPevil\x1b\\",
    "\x1b_evil\x1b\\",
    "\x1b^evil\x1b\\",
    "\x1bXevil\x1b\\",
    "\x1bc",
    "\x1b(0",
    "\x1b#8",
    "\x1bM",
    "\x1b7",
    "\x1b8",
    "\x1b[200~evil",
    "\u{9b}31m",
    "\u{9d}0;evil\u{9c}",
    "\u{90}evil",
    "\u{84}",
    "\u{85}",
    "\u{8d}",
    "\u{9e}",
    "\u{9f}",
    "\x07",
    "\x08",
    "\x0b",
    "\x0c",
    "\x0e",
    "\x0f",
    "\x7f",
    "\x05",
    "\u{202a}",
    "\u{202b}",
    "\u{202c}",
    "\u{202d}",
    "\u{202e}",
    "\u{2066}",
    "\u{2067}",
    "\u{2068}",
    "\u{2069}",
    "\u{200e}",
    "\u{200f}",
    "\u{61c}",
    "\u{200b}",
    "\u{200d}",
    "\u{2060}",
    "\u{feff}",
    "\u{e0041}",
];

/// The data: each sequence as a value, all of them in one value, and in the name of a field.
fn data() -> String {
    let json = |text: &str| serde_json::to_string(text).expect("a string");
    let all = HOSTILE.concat();
    let mut out: String = HOSTILE.iter().map(|s| format!("{{\"v\":{},\"n\":1}}\n", json(&format!("a{s}b")))).collect();
    out.push_str(&format!("{{\"v\":{},{}:1}}\n", json(&all), json(&format!("k{all}"))));
    out
}

/// The sequences among bytes that went to a terminal.
fn found(raw: &[u8]) -> Vec<&'static str> {
    let holds = |s: &&&str| raw.windows(s.len()).any(|bytes| bytes == s.as_bytes());
    HOSTILE.iter().filter(holds).copied().collect()
}

/// What a command writes to a terminal.
fn written(folder: &std::path::Path, args: &[&str]) -> Vec<u8> {
    let terminal = Terminal::start(folder, args, (100, 40), &[("NO_COLOR", "1")]);
    let started = Instant::now();
    while !terminal.is_closed() {
        assert!(started.elapsed() < Duration::from_secs(20), "{args:?} did not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    terminal.raw()
}

#[test]
fn none_reaches_the_terminal_raw() {
    assert_eq!(HOSTILE.len(), 60);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = format!("evil{}.ndjson", HOSTILE.concat().replace('/', "").chars().take(40).collect::<String>());
    fs::write(folder.path().join(&name), data()).expect("a temporary file");
    let all = HOSTILE.concat();
    fs::write(folder.path().join("bad.bsq"), format!("#--- query q{all}\nfields v | filtr {all}\n")).expect("a file");
    fs::write(folder.path().join("good.bsq"), format!("#--- query q{all}\nfields v\n")).expect("a file");
    let wrong = format!("fields v | filter nosuch{all}(v)");
    let alias = format!("fields v as `x{}`", all.replace('`', ""));
    let mut ways: Vec<Vec<&str>> = ["table", "vertical", "markdown", "html", "csv", "tsv", "json", "ndjson"]
        .iter()
        .map(|format| vec!["query", "fields v, n", name.as_str(), "--format", format])
        .collect();
    ways.push(vec!["query", "fields @message", &name, "--format", "csv", "--csv-raw"]);
    ways.push(vec!["query", &alias, &name]);
    ways.push(vec!["query", &wrong, &name]);
    ways.push(vec!["query", "fields v", &all]);
    ways.push(vec!["query", "fields v", &name, "--as", &all]);
    ways.push(vec!["explain", &alias, &name]);
    ways.push(vec!["functions", &all]);
    ways.push(vec!["lint", "bad.bsq"]);
    ways.push(vec!["run", "bad.bsq", "--on", &name]);
    ways.push(vec!["run", "good.bsq", "--on", &name, "-o", "out"]);
    for way in &ways {
        let raw = written(folder.path(), way);
        assert_eq!(found(&raw), [""; 0], "{way:?}: {}", String::from_utf8_lossy(&raw).escape_debug());
    }
    // The prompt draws with sequences of its own; looked for are those that it never uses.
    let own = |s: &&str| ["\x1b[31m", "\x1b[H", "\x07", "\x08", "\x1b[?25l", "\x1b[6n"].contains(s);
    let mut terminal = Terminal::start(folder.path(), &["repl", &name], (100, 40), &[]);
    let prompt = |screen: &str| screen.trim_end().ends_with("backsight>");
    terminal.until("the prompt", prompt);
    for line in [
        "\\files",
        "\\fields",
        "\\top v",
        "\\hist v",
        "fields v",
        "fields v | stats count(*) by v",
        "\\losses",
        "\\step",
    ] {
        terminal.keys(&format!("{line}\r"));
        terminal.until(line, |screen| screen.contains(line) || screen.contains("rows"));
        terminal.until("the prompt", prompt);
    }
    terminal.shows("filter v = \t", "filter v = ");
    // The first may end the list of values, the second then the line.
    terminal.keys("\x03");
    std::thread::sleep(Duration::from_millis(300));
    terminal.keys("\x03");
    terminal.until("the prompt", prompt);
    let raw = terminal.raw();
    let arrived: Vec<_> = found(&raw).into_iter().filter(|s| !own(s)).collect();
    assert_eq!(arrived, [""; 0], "the prompt: {}", String::from_utf8_lossy(&raw).escape_debug());
}
