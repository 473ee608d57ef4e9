//! The contract of the command line: exit statuses, streams, messages, files.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

const EVENTS: &str = r#"{"@timestamp":"2024-05-01T10:00:00Z","ip":"198.51.100.7","status":401}
{"@timestamp":"2024-05-01T11:00:00Z","ip":"198.51.100.7","status":"403"}
{"@timestamp":"2024-05-01T12:00:00Z","ip":"203.0.113.9","status":200}
"#;

/// The binary in a folder of its own that holds `events.ndjson`.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().expect("a temporary folder") };
        place.write("events.ndjson", EVENTS);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a temporary file");
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, "")
    }

    fn run_with(&self, args: &[&str], stdin: &str) -> Run {
        let mut command = Command::cargo_bin("backsight").expect("the binary is built");
        command.current_dir(self.folder.path()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        Run::new(command.args(args).write_stdin(stdin).output().expect("the binary runs"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("readable");
        let mut names: Vec<_> =
            entries.map(|e| e.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

struct Run {
    status: i32,
    out: String,
    err: String,
}

impl Run {
    fn new(output: Output) -> Run {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Run { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Ended with this status, printed exactly this, and said all of these on standard error.
    #[track_caller]
    fn is(&self, status: i32, out: &str, said: &[&str]) -> &Run {
        assert_eq!((self.status, self.out.as_str()), (status, out), "{}", self.err);
        for text in said {
            assert!(self.err.contains(text), "not said: {text}\n{}", self.err);
        }
        self
    }
}

#[test]
fn an_answer_goes_to_stdout_and_the_summary_to_stderr() {
    let place = Place::new();
    let query = "stats count(*) as n by ip";
    let answer = "ip,n\n198.51.100.7,2\n203.0.113.9,1\n";
    place.run(&["query", query, "events.ndjson"]).is(0, answer, &["2 rows from 3 records, 214 B in "]);
    assert_eq!(place.run(&["query", "-q", query, "events.ndjson"]).is(0, answer, &[]).err, "");
    let run = place.run(&["query", "--stats", "json", query, "events.ndjson"]);
    let stats: serde_json::Value = serde_json::from_str(&run.is(0, answer, &[]).err).expect("one JSON object");
    for (key, value) in [("rows", 2.into()), ("records", 3.into()), ("exit", 0.into()), ("partial", false.into())] {
        let value: serde_json::Value = value;
        assert_eq!(stats[key], value, "{key}");
    }
}

#[test]
fn standard_input_is_a_path() {
    let place = Place::new();
    place.run_with(&["query", "stats count(*) as n", "-"], EVENTS).is(0, "n\n3\n", &["3 records"]);
    place.run_with(&["query", "-f", "-", "events.ndjson"], "stats count(*) as n").is(0, "n\n3\n", &[]);
}

#[test]
fn wrong_queries_are_drawn_and_answer_nothing() {
    let place = Place::new();
    place.run(&["query", "fields ip\n| filter strcontain(ip, \"1\")", "events.ndjson"]).is(
        2,
        "",
        &[
            "error[E010]: unknown function `strcontain`",
            "query:2:10",
            "2 | | filter strcontain(ip, \"1\")",
            "  |          ^^^^^^^^^^",
            "help: did you mean `strcontains`?",
        ],
    );
    place.run(&["query", "filter ip = \"198", "events.ndjson"]).is(
        2,
        "",
        &["error[E003]: unterminated string literal", "1 | filter ip = \"198", "  |             ^^^^"],
    );
    place.run(&["query", "fields ip status", "events.ndjson"]).is(
        2,
        "",
        &["error[E002]: expected", "  |           ^^^^^^", "help: a comma is missing"],
    );
    let several = place.run(&["query", "filtr a | sortt b | limit 1", "events.ndjson"]);
    several.is(2, "", &["unknown command `filtr`", "unknown command `sortt`", "did you mean `filter`?"]);
    place.write("wrong.bsq", "# comment\nfields ip | limt 3\n");
    place.run(&["query", "-f", "wrong.bsq", "events.ndjson"]).is(2, "", &["wrong.bsq:2:13"]);
}

#[test]
fn a_query_is_judged_before_the_input() {
    let place = Place::new();
    let run = place.run(&["query", "fields a | limt 1", "missing.ndjson"]);
    run.is(2, "", &["unknown command `limt`"]);
    assert!(!run.err.contains("missing.ndjson"), "{}", run.err);
}

#[test]
fn arguments_that_are_wrong() {
    let place = Place::new();
    for (args, said) in [
        (&["query"][..], "QUERY"),
        (&["query", "fields a"], "none given"),
        (&["query", "fields a", "events.ndjson", "--threads", "0"], "--threads"),
        (&["query", "fields a", "events.ndjson", "--format", "pdf"], "pdf"),
        (&["query", "fields a", "events.ndjson", "--start", "someday"], "--start: `someday` is not a time"),
        (&["query", "fields a", "events.ndjson", "--strict", "--lenient"], "--lenient"),
        (&["query", "fields a", "events.ndjson", "--param", "x"], "NAME=VALUE"),
        (&["query", "fields a", "events.ndjson", "--param", "x=1"], "undefined parameter `$x`"),
        (&["query", "fields a", "events.ndjson", "-o", "x.pdf"], ".csv"),
        (&["query", "-f", "missing.bsq", "events.ndjson"], "missing.bsq"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ] {
        place.run(args).is(2, "", &[said]);
    }
}

#[test]
fn input_that_is_not_there() {
    let place = Place::new();
    place.run(&["query", "fields a", "missing.ndjson"]).is(2, "", &["missing.ndjson"]);
    place.run(&["query", "fields a", "*.none"]).is(2, "", &["*.none"]);
    fs::create_dir(place.path("empty")).expect("a folder");
    place.run(&["query", "fields a", "empty"]).is(2, "", &["empty"]);
}

#[test]
fn an_empty_file_is_an_answer() {
    let place = Place::new();
    place.write("empty.ndjson", "");
    place.run(&["query", "fields a", "empty.ndjson"]).is(0, "a\n", &["0 rows from 0 records"]);
    place.run(&["query", "stats count(*) as n", "empty.ndjson"]).is(0, "n\n0\n", &[]);
}

#[test]
fn lines_that_are_not_json_are_events_and_are_counted() {
    let place = Place::new();
    place.write("mixed.log", format!("{EVENTS}no json at all\n"));
    place.run(&["query", "stats count(*) as n, count(ip) as ips", "mixed.log"]).is(
        0,
        "n,ips\n4,3\n",
        &["1 record not JSON"],
    );
}

#[test]
fn part_of_the_input_damaged() {
    let place = Place::new();
    let whole = gzip(EVENTS.as_bytes());
    place.write("cut.ndjson.gz", &whole[..whole.len() - 12]);
    let query = "stats count(*) > 0 as some";
    let run = place.run(&["query", query, "cut.ndjson.gz", "events.ndjson"]);
    run.is(3, "some\n1\n", &["1 damaged place", "damaged: cut.ndjson.gz"]);
    place.run(&["query", query, "cut.ndjson.gz", "events.ndjson", "--lenient"]).is(0, "some\n1\n", &["damaged"]);
    place.run(&["query", query, "cut.ndjson.gz", "events.ndjson", "--strict"]).is(2, "", &["cut.ndjson.gz"]);
}

#[test]
fn a_parquet_file_cut_in_half() {
    let place = Place::new();
    // No footer: nothing of it can be read.
    place.write("half.parquet", b"PAR1\x15\x04\x15\x10\x15\x14\x4c\x15\x02\x15\x00\x00");
    place.run(&["query", "stats count(*) as n", "half.parquet"]).is(2, "", &["half.parquet"]);
    let both = place.run(&["query", "stats count(*) as n", "half.parquet", "events.ndjson"]);
    both.is(3, "n\n3\n", &["half.parquet"]);
}

#[test]
fn output_files_are_whole_or_absent() {
    let place = Place::new();
    let query = "stats count(*) as n by ip";
    place.run(&["query", query, "events.ndjson", "-o", "out.json"]).is(0, "", &["2 rows"]);
    let written = fs::read_to_string(place.path("out.json")).expect("written");
    assert_eq!(written, "[\n{\"ip\":\"198.51.100.7\",\"n\":2},\n{\"ip\":\"203.0.113.9\",\"n\":1}\n]\n");

    place.run(&["query", "stats count(*)", "events.ndjson", "-o", "out.json"]).is(2, "", &["out.json", "--force"]);
    assert_eq!(fs::read_to_string(place.path("out.json")).expect("kept"), written);
    place.run(&["query", "stats count(*) as n", "events.ndjson", "-o", "out.json", "--force"]).is(0, "", &[]);
    assert_eq!(fs::read_to_string(place.path("out.json")).expect("replaced"), "[\n{\"n\":3}\n]\n");

    place.run(&["query", "fields a | nonsense", "events.ndjson", "-o", "new.csv"]).is(2, "", &[]);
    place.run(&["query", "fields a", "missing.ndjson", "-o", "new.csv"]).is(2, "", &[]);
    place.run(&["query", "fields a", "events.ndjson", "-o", "no/such/folder.csv"]).is(2, "", &["no/such/folder.csv"]);
    assert_eq!(place.names(), ["events.ndjson", "out.json"]);
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::io::Read;
    use std::process::{Command, Stdio};
    let place = Place::new();
    place.write("many.ndjson", EVENTS.repeat(20_000));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("backsight"))
        .current_dir(place.folder.path())
        .args(["query", "fields ip, status, @message", "many.ndjson"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = [0; 20];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("an answer");
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn times_of_the_command_line() {
    let place = Place::new();
    for (args, n) in [
        (&["--start", "2024-05-01T11:00:00Z"][..], 2),
        (&["--start", "2024-05-01T10:00:00Z", "--end", "2024-05-01T12:00:00Z"], 2),
        (&["--start", "last-1h"], 2),
        (&["--end", "first+1h"], 1),
        (&["--now", "2024-05-01T13:00:00Z", "--start", "-90m"], 1),
    ] {
        let all = [&["query", "stats count(*) as n", "events.ndjson"], args].concat();
        place.run(&all).is(0, &format!("n\n{n}\n"), &[]);
    }
}

#[test]
fn parameters_override_let() {
    let place = Place::new();
    let query = "let least = 3\nstats count(*) as n by ip | filter n >= $least";
    place.run(&["query", query, "events.ndjson"]).is(0, "ip,n\n", &[]);
    place.run(&["query", query, "events.ndjson", "--param", "least=2"]).is(0, "ip,n\n198.51.100.7,2\n", &[]);
}

#[test]
fn tables_come_from_files() {
    let place = Place::new();
    place.write("iocs.csv", "ip,why\n198.51.100.7,seen before\n");
    place.write("nets.ndjson", "{\"net\":\"203.0.113.0/24\"}\n");
    let query = "table bad from \"iocs.csv\"\nfilter ip in table bad | stats count(*) as n by ip";
    place.run(&["query", query, "events.ndjson"]).is(0, "ip,n\n198.51.100.7,2\n", &[]);
    let query = "filter ip in table nets | stats count(*) as n by ip";
    place.run(&["query", query, "events.ndjson", "--table", "nets=nets.ndjson"]).is(0, "ip,n\n203.0.113.9,1\n", &[]);
    place.run(&["query", query, "events.ndjson"]).is(2, "", &["unknown table `nets`"]);
    place.run(&["query", query, "events.ndjson", "--table", "nets=gone.csv"]).is(2, "", &["gone.csv"]);
}

#[test]
fn messages_nobody_reads_are_no_failure() {
    use std::process::Stdio;
    let place = Place::new();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("backsight"))
        .current_dir(place.folder.path())
        .args(["query", "stats count(*) as n", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stderr.take());
    drop(child.stdin.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"n\n0\n"[..]));
}

#[test]
fn hostile_values_and_names_reach_no_terminal() {
    let place = Place::new();
    let name = "evil\u{202e}\x1b]0;x\x07.ndjson";
    place.write(name, "{\"v\":\"\\u001b[31m\\u202ered\",\"f\":\"=cmd|' /C calc'!A0\"}\nnot json\n");
    for format in ["table", "vertical", "markdown", "html", "csv", "tsv", "json", "ndjson"] {
        let run = place.run(&["query", "fields v, f", name, "--format", format]);
        assert_eq!(run.status, 0, "{format}: {}", run.err);
        for (stream, text) in [("out", &run.out), ("err", &run.err)] {
            assert!(!text.contains(['\x1b', '\u{202e}', '\x07']), "{format} {stream}: {text:?}");
        }
    }
    let csv = place.run(&["query", "fields f", name, "-q"]);
    assert!(csv.out.contains("'=cmd"), "{}", csv.out);
    let raw = place.run(&["query", "fields v, f", name, "-q", "--csv-raw"]);
    assert!(raw.out.contains("\x1b[31m\u{202e}red,=cmd"), "{:?}", raw.out);
    let missing = place.run(&["query", "fields v", "no\x1b[31m.ndjson"]);
    assert!(missing.status == 2 && !missing.err.contains('\x1b'), "{:?}", missing.err);
}

#[test]
fn typed_files_are_read_back_as_they_were_written() {
    let place = Place::new();
    let query = "fields @timestamp, ip, status, 1.5 as x | sort @timestamp";
    let plain = place.run(&["query", query, "events.ndjson", "-q"]);
    place.run(&["query", query, "events.ndjson", "-o", "out.parquet"]).is(0, "", &["3 rows"]);
    place.run(&["query", query, "out.parquet", "-q"]).is(0, &plain.out, &[]);
    place.run(&["query", query, "events.ndjson", "-o", "out.arrow"]).is(0, "", &[]);
    let arrow = fs::read(place.path("out.arrow")).expect("written");
    assert!(arrow.starts_with(b"ARROW1"));
    let piped = Command::cargo_bin("backsight")
        .expect("the binary is built")
        .current_dir(place.folder.path())
        .args(["query", query, "events.ndjson", "-q", "--format", "arrow"])
        .output()
        .expect("the binary runs");
    assert_eq!(piped.stdout, arrow, "the same bytes on a pipe");
}

#[test]
fn a_page_needs_nothing_beside_it() {
    let place = Place::new();
    place.run(&["query", "fields @timestamp, ip", "events.ndjson", "-o", "out.html"]).is(0, "", &[]);
    let page = fs::read_to_string(place.path("out.html")).expect("written");
    assert!(page.contains("<th>@timestamp (UTC)</th>") && page.contains("<td>198.51.100.7</td>"), "{page}");
}

#[test]
fn times_are_shown_in_the_zone_asked_for() {
    let place = Place::new();
    let query = ["query", "fields @timestamp | limit 1", "events.ndjson", "-q", "--tz", "Europe/Berlin"];
    place.run(&query).is(0, "@timestamp\n2024-05-01 14:00:00.000+02:00\n", &[]);
    let table = place.run(&[&query[..], &["--format", "table"]].concat());
    assert!(table.out.starts_with("@timestamp (Europe/Berlin)\n"), "{}", table.out);
    place.run(&[&query[..], &["--format", "ndjson"]].concat()).is(
        0,
        "{\"@timestamp\":\"2024-05-01 12:00:00.000\"}\n",
        &[],
    );
    place.run(&["query", "fields a", "events.ndjson", "--tz", "Mars"]).is(2, "", &["no such time zone"]);
}

#[test]
fn a_time_series_is_drawn_where_asked() {
    let place = Place::new();
    let query = ["query", "stats count(*) as n by bin(1h)", "events.ndjson", "-q", "--format", "table"];
    assert!(!place.run(&query).out.contains('┤'), "not on a pipe");
    let drawn = place.run(&[&query[..], &["--chart", "bar"]].concat());
    assert!(drawn.out.contains("n by bin(1h) (UTC)\n") && drawn.out.contains('█'), "{}", drawn.out);
    let lines = place.run(&[&query[..], &["--chart", "line"]].concat());
    assert!(lines.out.contains("n by bin(1h) (UTC)\n") && !lines.out.contains('█'), "{}", lines.out);
}

#[test]
fn explain_says_what_runs_and_reads_nothing() {
    let place = Place::new();
    let run = place.run(&["explain", "filter status = \"403\" | stats count(*) as n by ip", "events.ndjson"]);
    run.is(0, &run.out, &[]);
    for word in ["scan", "filter", "group", "ip"] {
        assert!(run.out.contains(word), "{word}: {}", run.out);
    }
}

#[test]
fn the_reference_comes_from_the_tables() {
    let place = Place::new();
    for (args, said) in [
        (&["functions"][..], "strcontains"),
        (&["functions"], "count_distinct"),
        (&["commands"], "dedup"),
        (&["formats"], "ndjson"),
        (&["functions", "STRLEN"], "strlen("),
        (&["commands", "where", "--format", "vertical"], "filter condition"),
    ] {
        let run = place.run(args);
        assert!(run.status == 0 && run.out.contains(said), "{args:?}: {} {}", run.out, run.err);
    }
    place.run(&["functions", "strlenn"]).is(2, "", &["unknown function", "did you mean `strlen`?"]);
}

#[test]
fn query_files_are_formatted_and_checked() {
    let place = Place::new();
    place.write("q.bsq", "FIELDS   ip,status|FILTER status=\"401\"");
    let canonical = place.run(&["fmt", "q.bsq"]);
    assert_eq!(canonical.status, 0, "{}", canonical.err);
    place.run(&["fmt", "--check", "q.bsq"]).is(1, "q.bsq\n", &[]);
    place.run(&["fmt", "--write", "q.bsq"]).is(0, "", &[]);
    assert_eq!(fs::read_to_string(place.path("q.bsq")).expect("there"), canonical.out);
    place.run(&["fmt", "--check", "q.bsq"]).is(0, "", &[]);
    place.run_with(&["fmt"], "limit   3").is(0, "limit 3\n", &[]);

    place.run(&["lint", "q.bsq"]).is(0, "", &[]);
    place.write("bad.bsq", "fields ip | limt 3");
    let lint = place.run(&["lint", "q.bsq", "bad.bsq"]);
    assert!(lint.status == 1 && lint.out.contains("bad.bsq:1:13"), "{} {}", lint.out, lint.err);
    place.run(&["fmt", "bad.bsq"]).is(2, "", &["unknown command `limt`"]);
}

/// The committed logs and queries tell their three stories, in every form and all together.
#[test]
fn the_fixtures_tell_their_stories() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let forms: Vec<PathBuf> =
        ["strings", "numbers", "gzip", "parquet"].iter().map(|f| root.join("fixtures/access").join(f)).collect();
    let all = root.join("fixtures");
    for (query, column, per_form) in [
        ("auth-failures-by-ip", "198.51.100.23,", Some(196)),
        ("endpoint-scanning", "192.0.2.66,57", None),
        ("high-frequency-users", "203.0.113.50,batch-export,", Some(1120)),
    ] {
        let file = root.join("queries/access").join(query).with_extension("bsq");
        for (input, times) in forms.iter().map(|f| (f, 1)).chain([(&all, forms.len())]) {
            let run = place.run(&["query", "-f", &file.to_string_lossy(), &input.to_string_lossy()]);
            assert_eq!(run.status, 0, "{query} over {}: {}", input.display(), run.err);
            let expected = per_form.map_or(column.to_string(), |n: usize| format!("{column}{}", n * times));
            let first = run.out.lines().nth(1);
            assert_eq!(first, Some(expected.as_str()), "{query} over {}:\n{}", input.display(), run.out);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn an_estimate_reads_nothing() {
    let place = Place::new();
    let run = place.run(&["query", "filter status = 401 | estimate", "events.ndjson"]);
    assert_eq!((run.status, run.out), (0, format!("bytes\n{}\n", EVENTS.len())));
    assert!(run.err.contains("0 records"), "{}", run.err);
}

/// `fields` lists what lines of text have, too: what their format is known for, and what a header names.
#[test]
fn fields_of_text() {
    let place = Place::new();
    let fixture =
        |name: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).expect("there");
    place.write("alb.log", fixture("alb/access.log"));
    place.write("t.csv", "time,ip,odd name\n2024-05-01T10:00:00Z,203.0.113.9,1\n2024-05-01T10:00:01Z,203.0.113.9,\n");
    place.write("words.log", "some words\n");
    let run = place.run(&["fields", "--format", "csv", "--csv-raw", "alb.log", "t.csv", "words.log"]);
    let row = |start: &str| run.out.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(row("alb,client_ip,").starts_with("alb,client_ip,3,75.0,string,3,"), "{}", run.out);
    assert!(row("csv,ip,").starts_with("csv,ip,2,100,string,1,203.0.113.9"), "{}", run.out);
    assert!(row("csv,`odd name`,").starts_with("csv,`odd name`,"), "{}", run.out);
    assert!(row("ndjson,@message,").ends_with(",text without fields,,"), "{}", run.out);
}
