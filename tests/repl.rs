//! The prompt in a real pseudo-terminal: keys in, screens out. One row is a sequence of keys and what the screen must
//! show then.

mod screen;

use screen::Terminal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const EVENTS: &str = r#"{"@timestamp":"2024-05-01T10:00:00Z","ip":"198.51.100.7","status":401,"user":{"arn":"arn:root"},"ms":3}
{"@timestamp":"2024-05-01T11:00:00Z","ip":"198.51.100.7","status":403,"user":{"arn":"arn:eve"},"ms":14}
{"@timestamp":"2024-05-01T11:30:00Z","ip":"203.0.113.9","status":200,"user":{"arn":"arn:bob"},"ms":250}
no JSON at all
{"@timestamp":"2024-05-01T13:00:00Z","ip":"203.0.113.9","status":200,"user":{"arn":"arn:bob"},"ms":260}
"#;

const ENTER: &str = "\r";
const DROP: &str = "\x03";
const F5: &str = "\x1b[15~";
const PROMPT: &str = "backsight> ";

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("events.ndjson"), EVENTS).expect("a temporary file");
    folder
}

fn start(folder: &Path) -> Terminal {
    let terminal = Terminal::start(folder, &["repl", "events.ndjson"], (100, 40), &[]);
    terminal.until("the prompt", |screen| screen.contains(PROMPT));
    terminal
}

/// Plays rows of keys and texts; each row starts on a clear screen.
#[track_caller]
fn play(terminal: &mut Terminal, rows: &[(&str, &str)]) {
    for (keys, text) in rows {
        terminal.clear();
        terminal.shows(keys, text);
        if *keys == DROP {
            idle(terminal);
        }
    }
}

/// The prompt is back, and nothing is typed.
#[track_caller]
fn idle(terminal: &Terminal) -> String {
    terminal.until("an empty prompt", |screen| screen.trim_end().ends_with(PROMPT.trim_end()))
}

/// Waits for the sample of the data, by the fields it finds.
#[track_caller]
fn sampled(terminal: &mut Terminal) {
    for _ in 0..100 {
        terminal.keys("\\fields user\r");
        idle(terminal);
        if terminal.until("an answer", |screen| screen.contains("looked at")).contains("user.arn") {
            return;
        }
        terminal.clear();
    }
    panic!("the data was never looked at");
}

#[test]
fn typing_and_completing() {
    let folder = place();
    let mut terminal = start(folder.path());
    sampled(&mut terminal);
    play(
        &mut terminal,
        &[
            // Commands, functions with their arguments, fields and values of the data.
            ("fie\t", "backsight> fields "),
            ("us\t", "backsight> fields user.arn"),
            (" | filt\t", "filterIndex"),
            (" ip = \t", "filter ip = \""),
            ("2\t", "filter ip = \"203.0.113.9\""),
            (ENTER, "2 rows from 5 records"),
            ("filter strl\t", "strlen("),
            (DROP, PROMPT),
            ("filter strlen(", "strlen(s)"),
            (DROP, PROMPT),
            ("stats count_d\t", "count_distinct("),
            (DROP, PROMPT),
            ("filter status in [\t", "401"),
            (DROP, PROMPT),
            ("sort ", "sort e [asc|desc], …"),
            (DROP, PROMPT),
            ("\\ex\t", "\\explain [QUERY]"),
            (DROP, PROMPT),
            ("\\export ev\t", "\\export events.ndjson"),
            (DROP, PROMPT),
            // A query goes on until it is whole.
            ("stats count(*) as n by ip |\rsort n desc,\rip\r", "203.0.113.9  │ 2"),
            ("fields ip\x1b\r| limit 1\r", "1 row from"),
            ("filter ip in [\r\"203.0.113.9\"\r] | stats count(*) as hits\r", "hits"),
            // History.
            ("\x1b[A", "filter ip in [\n\"203.0.113.9\"\n]"),
            (DROP, PROMPT),
            ("\x12sort n", "stats count(*) as n by ip |"),
            (ENTER, "198.51.100.7 │ 2"),
            ("stats count(*) as n by ip |\x1b[F", "stats count(*) as n by ip |"),
            (DROP, PROMPT),
            // Going on from the last query.
            ("fields ip, status\r", "198.51.100.7 │    401"),
            ("| filter status = 403\r", "1 row from"),
            // Mistakes are shown where they are.
            ("fields ip | filtr status\r", "            ^^^^^"),
            ("fields ip | filter nosuch(ip)\r", "unknown function `nosuch`"),
            ("\\nosuch\r", "no such command"),
        ],
    );
    idle(&terminal);
    terminal.keys("\x04");
    assert_eq!(terminal.end(), 0);
    let history = fs::read_to_string(folder.path().join(".local/state/backsight/history")).expect("a history");
    assert!(history.contains("filter status = 403"), "{history}");
    // The next session finds it.
    let mut terminal = start(folder.path());
    terminal.shows("\x12nosuch(", "filter nosuch(ip)");
    terminal.keys(DROP);
    idle(&terminal);
    terminal.keys("\\q\r");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn commands_of_the_prompt() {
    let folder = place();
    let mut terminal = start(folder.path());
    sampled(&mut terminal);
    play(
        &mut terminal,
        &[
            ("\\?\r", "\\losses"),
            ("\\files\r", "ndjson            events.ndjson"),
            ("\\fields arn\r", "arn:bob"),
            ("\\top ip 1\r", "198.51.100.7  2  ███"),
            ("\\hist ms\r", "260  "),
            ("\\hist @timestamp\r", "events by bin(5m) (UTC)"),
            ("stats count(*) as n by bin(1h)\r", "n by bin(1h) (UTC)"),
            ("\\chart none\r", "chart is none"),
            ("stats count(*) as n by bin(1h)\r", "4 rows from"),
            ("\\explain fields ip\r", "scan    read ip"),
            ("\\losses\r", "1 record not JSON"),
            ("\\tz Asia/Tokyo\r", "times are Asia/Tokyo"),
            ("fields @timestamp | limit 1\r", "2024-05-01 22:00:00.000+09:00"),
            ("\\start 2024-05-01T12:00:00Z\r", "from 2024-05-01T12:00:00Z to open"),
            ("fields ip\r", "1 row from"),
            ("\\start tomorrow\r", "is not a time"),
            ("\\start off\r", "from open to open"),
            ("\\format vertical\r", "format is vertical"),
            ("fields ip | limit 1\r", "row 1\n  ip  203.0.113.9"),
            ("\\format csv\r", "format is csv"),
            ("\\timing off\r", "timing is off"),
            ("fields ip, ms | sort ms\r", "198.51.100.7,3"),
            ("\\format table\r", "format is table"),
            ("source _ | filter ms > 100\r", "203.0.113.9 │ 260"),
            ("filter ip in table _ | stats count(*) as from_table\r", "from_table"),
            ("\\param lowest=250\r", "$lowest = 250"),
            ("filter ms > $lowest | fields ms\r", "260"),
            ("\\save found.bsq slow ones\r", "1 query: slow ones"),
            ("let lowest = 9 filter ms > $lowest | stats max(ms) as most\r", "most"),
            ("\\run slow ones\r", "260"),
            ("\\edit slow ones\r", "filter ms > $lowest"),
            (DROP, PROMPT),
            ("fields ip | stats count(*) as n by ip | sort n desc\r", "203.0.113.9  │ 2"),
            ("\\pivot 1\r", "filter ip = \"198.51.100.7\""),
            ("\\pivot 9\r", "the answer has 2 rows"),
            ("\\rule API-00\t", "API-002"),
            (DROP, PROMPT),
            ("\\rule nosuch\r", "nosuch"),
            ("filter ms > $lowest | fields ms\r", "260"),
            ("\\step\r", "  2  fields ms"),
            ("\\step 1\r", "stage 1 of 2: filter ms > $lowest"),
            ("\\step 7\r", "stages 1 to 2"),
            ("\\export out.csv\r", "1 row written to out.csv"),
            ("\\export out.csv\r", "exists already"),
            ("\\export out.csv force\r", "1 row written to out.csv"),
            ("\\export out.parquet\r", "1 row written to out.parquet"),
            ("\\format parquet\r", "is not for a terminal"),
        ],
    );
    // Step mode: the stage under the cursor, the line as it was.
    terminal.clear();
    terminal.keys("filter status = 200 | stats count(*) as n by ip");
    terminal.keys(&"\x1b[D".repeat(30));
    let screen = terminal.shows(F5, "stage 1 of 2: filter status = 200");
    assert!(!screen.contains("│ n"), "{screen}");
    terminal.until("the line again", |screen| screen.trim_end().ends_with("stats count(*) as n by ip"));
    terminal.shows(ENTER, "203.0.113.9 │ 2");
    idle(&terminal);
    terminal.keys("\\q\r");
    assert_eq!(terminal.end(), 0);
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).expect("written"), "ms\n260\n");
}

#[test]
fn pasted_queries_of_the_console_run() {
    let folder = place();
    let mut terminal = start(folder.path());
    let pasted = "fields @timestamp, ip\n| filter status >= 400\n| sort @timestamp desc\n| limit 20";
    terminal.keys(&format!("\x1b[200~{pasted}\x1b[201~"));
    terminal.until("the pasted lines", |screen| screen.contains("| limit 20"));
    terminal.shows(ENTER, "2 rows from 5 records");
    // A terminal without bracketed paste types line by line: each goes on from the one before.
    terminal.clear();
    terminal.keys(&(pasted.replace('\n', "\r") + "\r"));
    let screen = terminal.until("the answer", |screen| {
        screen.contains("| limit 20\n@timestamp (UTC)") && screen.matches("2 rows from 5 records").count() >= 2
    });
    assert!(screen.contains("2024-05-01 11:00:00.000 │ 198.51.100.7"), "{screen}");
}

#[test]
fn other_sizes() {
    let folder = place();
    let mut terminal = start(folder.path());
    terminal.shows("fields @timestamp, ip, status, user.arn, ms\r", "5 rows from 5 records");
    idle(&terminal);
    terminal.resize(40, 30);
    terminal.clear();
    terminal.shows("fields @timestamp, ip, status, user.arn, ms | limit 2\r", "row 1");
    let screen = terminal.until("blocks", |screen| screen.contains("  ms                250"));
    assert!(screen.lines().filter(|line| line.starts_with("  ")).all(|line| line.chars().count() <= 40), "{screen}");
    idle(&terminal);
    terminal.resize(100, 40);
    terminal.clear();
    terminal.shows("fields ip, status | limit 2\r", "│");
    idle(&terminal);
    terminal.keys("\x04");
    assert_eq!(terminal.end(), 0);
    // One column is no width for anything, but no reason to fail either.
    let terminal = Terminal::start(folder.path(), &["query", "fields ip, status", "events.ndjson"], (1, 5), &[]);
    assert_eq!(terminal.end(), 0);
}

#[test]
fn many_rows_come_in_pages() {
    let folder = place();
    let rows: String = (0..2_500).map(|i| format!("{{\"n\":{i}}}\n")).collect();
    fs::write(folder.path().join("events.ndjson"), rows).expect("a temporary file");
    let mut terminal = start(folder.path());
    terminal.shows("fields n | sort n\r", "1,500 more rows; \\more shows the next");
    idle(&terminal);
    terminal.keys("\\more\r");
    terminal.until("two pages", |screen| screen.contains("\n500 more rows; "));
    idle(&terminal);
    terminal.shows("\\more\r", "2499\n");
    idle(&terminal);
    terminal.shows("\\export all.ndjson\r", "2,500 rows written");
    assert_eq!(fs::read_to_string(folder.path().join("all.ndjson")).expect("written").lines().count(), 2_500);
}

#[test]
fn a_long_query_shows_progress_and_stops_at_once() {
    let folder = place();
    let line = format!("{{\"ip\":\"198.51.100.7\",\"text\":\"{}\"}}\n", "x".repeat(60));
    fs::write(folder.path().join("long.ndjson"), line.repeat(300_000)).expect("a temporary file");
    let mut terminal = Terminal::start(folder.path(), &["repl", "long.ndjson"], (100, 40), &[]);
    terminal.until("the prompt", |screen| screen.contains(PROMPT));
    // Some seconds of work, in pieces of a fraction of one.
    let depth = if cfg!(debug_assertions) { 8 } else { 150 };
    let slow = format!("stats count_distinct({}text{}) as n by ip\r", "sha256(".repeat(depth), ")".repeat(depth));
    terminal.keys(&slow);
    terminal.until("progress", |screen| screen.contains(" left, long.ndjson") && screen.contains("MB/s"));
    let asked = Instant::now();
    terminal.keys("\x03");
    terminal.until("the end of it", |screen| screen.contains("interrupted"));
    let screen = idle(&terminal);
    assert!(!screen.contains(" left, "), "the progress is gone: {screen}");
    // A tenth of it on a quiet machine.
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // Impatience is no reason to lose the session.
    terminal.keys("\x03");
    terminal.until("another prompt", |screen| screen.matches(PROMPT.trim_end()).count() == 3);
    terminal.clear();
    terminal.shows("fields ip | limit any 1\r", "1 row from");
    idle(&terminal);
    terminal.keys("\\q\r");
    assert_eq!(terminal.end(), 0);
}
