//! Query files in batches, the configuration file, completions and manual pages, and odd environments.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

const EVENTS: &str = r#"{"@timestamp":"2024-05-01T10:00:00Z","ip":"198.51.100.7","status":401}
{"@timestamp":"2024-05-01T11:00:00Z","ip":"198.51.100.7","status":"403"}
{"@timestamp":"2024-05-01T12:00:00Z","ip":"203.0.113.9","status":200}
"#;

const QUERIES: &str = "\
fields ip, status | filter status = 200
#--- query by ip
stats count(*) as n by ip
#--- query busy
let lowest = 2
stats count(*) as n by ip | filter n >= $lowest
";

const RULE: &str = r#"#--- rule
# title: A failed request
# id: t.failed
# level: low
# logsource: { category: any }
# requires: [status]
# entity: ip
# params:
#   wanted: { default: 403, type: int, why: "an example" }
#---
filter status = $wanted | fields ip, status
"#;

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).expect("a temporary file");
    write("events.ndjson", EVENTS);
    write("queries.bsq", QUERIES);
    place
}

struct Run {
    status: i32,
    out: String,
    err: String,
}

fn command(place: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("backsight").expect("the binary is built");
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "BACKSIGHT_CONFIG"] {
        command.env_remove(name);
    }
    command.current_dir(place).env("HOME", place).args(args);
    command
}

fn run(place: &Path, args: &[&str]) -> Run {
    let output = command(place, args).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_file_of_queries_gives_a_result_each() {
    let place = place();
    let batch = ["run", "queries.bsq", "--on", "events.ndjson", "-o", "results"];
    let ran = run(place.path(), &batch);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for (name, text) in [
        ("queries.csv", "ip,status\n203.0.113.9,200\n"),
        ("by-ip.csv", "ip,n\n198.51.100.7,2\n203.0.113.9,1\n"),
        ("busy.csv", "ip,n\n198.51.100.7,2\n"),
    ] {
        assert_eq!(fs::read_to_string(place.path().join("results").join(name)).expect(name), text);
        assert!(ran.err.contains(name), "the summary names {name}: {}", ran.err);
    }
    // What is there is not written over, but kept or replaced as told.
    let again = run(place.path(), &batch);
    assert!(again.status == 2 && again.err.contains("--resume"), "{}", again.err);
    fs::remove_file(place.path().join("results/busy.csv")).expect("it was there");
    fs::write(place.path().join("results/by-ip.csv"), "mine").expect("a temporary file");
    let resumed = run(place.path(), &[&batch[..], &["--resume", "--param", "lowest=1"]].concat());
    assert!(resumed.status == 0 && resumed.err.contains("kept"), "{}", resumed.err);
    let read = |name: &str| fs::read_to_string(place.path().join("results").join(name)).expect(name);
    assert_eq!((read("by-ip.csv").as_str(), read("busy.csv").lines().count()), ("mine", 3));
    assert_eq!(run(place.path(), &[&batch[..], &["--force"]].concat()).status, 0);
    assert_eq!(read("by-ip.csv").lines().count(), 3);
}

#[test]
fn folders_rules_and_other_formats() {
    let place = place();
    fs::create_dir_all(place.path().join("pack/deep")).expect("a folder");
    fs::write(place.path().join("pack/deep/rule.bsq"), RULE).expect("a temporary file");
    fs::rename(place.path().join("queries.bsq"), place.path().join("pack/queries.bsq")).expect("a temporary file");
    let args = ["run", "pack", "--on", "events.ndjson", "-o", "out", "--format", "ndjson", "--param", "wanted=401"];
    let ran = run(place.path(), &args);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let found = fs::read_to_string(place.path().join("out/t.failed.ndjson")).expect("a result");
    assert_eq!(found, "{\"ip\":\"198.51.100.7\",\"status\":401}\n");
    assert_eq!(fs::read_dir(place.path().join("out")).expect("a folder").count(), 4);
    let printed = run(place.path(), &["run", "pack/queries.bsq", "--on", "events.ndjson", "--format", "markdown"]);
    assert!(printed.out.contains("## by ip\n\n| ip | n |"), "{}", printed.out);
}

#[test]
fn what_is_wrong_is_found_before_anything_runs() {
    let place = place();
    fs::write(place.path().join("bad.bsq"), "fields ip\n#--- query second\n\nfiltr ip = 1\n")
        .expect("a temporary file");
    let ran = run(place.path(), &["run", "queries.bsq", "bad.bsq", "--on", "events.ndjson", "-o", "results"]);
    assert_eq!((ran.status, place.path().join("results").exists()), (2, false), "{}", ran.err);
    assert!(ran.err.contains("bad.bsq:4:1") && ran.err.contains("nothing was run: 1 of 5"), "{}", ran.err);
    let unknown = run(place.path(), &["run", "queries.bsq", "--on", "events.ndjson", "--param", "nosuch=1"]);
    assert!(unknown.status == 2 && unknown.err.contains("no query declares"), "{}", unknown.err);
    fs::write(place.path().join("empty.bsq"), "# nothing\n").expect("a temporary file");
    assert_eq!(run(place.path(), &["run", "empty.bsq", "--on", "events.ndjson"]).status, 2);
    assert_eq!(run(place.path(), &["run", "gone.bsq", "--on", "events.ndjson"]).status, 2);
    let damaged = "{\"ip\":\"x\"}\n".repeat(3);
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut zipped, damaged.as_bytes()).expect("memory");
    let zipped = zipped.finish().expect("memory");
    fs::write(place.path().join("cut.gz"), &zipped[..zipped.len() - 6]).expect("a temporary file");
    let ran = run(place.path(), &["run", "queries.bsq", "--on", "cut.gz", "-o", "results"]);
    assert_eq!(ran.status, 3, "{}", ran.err);
}

#[test]
fn the_configuration_file_fills_in_what_is_left_open() {
    let place = place();
    let write = |text: &str| fs::write(place.path().join("conf.toml"), text).expect("a temporary file");
    write(
        "[defaults]\ntz = \"Asia/Tokyo\"\nparam = { lowest = 1 }\n[sources]\nweb = [\"events.ndjson\"]\n\
         [profiles.late]\nstart = \"2024-05-01T12:00:00Z\"\ntz = \"UTC\"\n",
    );
    let on = |args: &[&str]| run(place.path(), &[args, &["--config", "conf.toml", "-q"]].concat());
    let times = on(&["query", "fields @timestamp | sort @timestamp | limit 1", "@web"]);
    assert_eq!(times.out, "@timestamp\n2024-05-01 19:00:00.000+09:00\n", "{}", times.err);
    let late = on(&["query", "fields @timestamp | sort @timestamp | limit 1", "@web", "--profile", "late"]);
    assert_eq!(late.out, "@timestamp\n2024-05-01 12:00:00.000\n", "{}", late.err);
    let won = on(&["query", "fields @timestamp | limit 1", "@web", "--tz", "+01:00"]);
    assert!(won.out.contains("+01:00"), "{}", won.out);
    let named = on(&["query", "source web | stats count(*) as n"]);
    assert_eq!(named.out, "n\n3\n", "{}", named.err);
    let declared = on(&["query", "let lowest = 9 stats count(*) as n by ip | filter n > $lowest", "@web"]);
    assert_eq!(declared.out.lines().count(), 2, "{}", declared.err);
    assert!(on(&["query", "fields a", "@web", "--profile", "lat"]).err.contains("did you mean `late`?"));
    for (text, said) in [
        ("[defaults]\ntimezone = \"UTC\"\n", "conf.toml:2"),
        ("[defaults]\ntz = \"Mars\"\n", "tz"),
        ("[defaults]\nchart = \"pie\"\n", "chart"),
        ("nonsense", "conf.toml:1"),
    ] {
        write(text);
        let wrong = on(&["query", "fields a", "events.ndjson"]);
        assert!(wrong.status == 2 && wrong.err.contains(said), "{text}: {}", wrong.err);
    }
    let missing = run(place.path(), &["query", "fields a", "events.ndjson", "--config", "gone.toml"]);
    assert_eq!(missing.status, 2, "{}", missing.err);
    // In its place it needs no mention.
    fs::create_dir_all(place.path().join(".config/backsight")).expect("a folder");
    fs::write(place.path().join(".config/backsight/config.toml"), "[defaults]\ntz = \"+05:00\"\n").expect("a file");
    let found = run(place.path(), &["query", "fields @timestamp | limit 1", "events.ndjson"]);
    assert!(found.out.contains("+05:00"), "{}", found.out);
}

#[test]
fn shells_and_man_are_served() {
    let place = place();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(place.path(), &["completions", shell]);
        assert!(script.status == 0 && script.out.contains("timestamp-field"), "{shell}");
    }
    let page = run(place.path(), &["man"]);
    assert!(page.status == 0 && page.out.contains(".TH backsight 1"), "{}", page.out);
    assert!(run(place.path(), &["man", "query"]).out.contains("timestamp"), "the page of a command");
    assert_eq!(run(place.path(), &["man", "nosuch"]).status, 2);
    assert_eq!(run(place.path(), &["man", "-o", "pages"]).status, 0);
    assert!(place.path().join("pages/backsight-query.1").exists());
}

/// Missing and odd surroundings are no reason to fail.
#[test]
fn odd_environments() {
    let place = place();
    let query = ["query", "fields ip | sort ip | limit 1", "events.ndjson", "-q"];
    let mut bare = command(place.path(), &query);
    bare.env_clear().assert().success().stdout("ip\n198.51.100.7\n");
    for (name, value) in
        [("HOME", "/nonexistent"), ("TERM", ""), ("TERM", "dumb"), ("COLUMNS", "1"), ("TZ", "Nowhere"), ("LANG", "")]
    {
        command(place.path(), &query).env(name, value).assert().success().stdout("ip\n198.51.100.7\n");
    }
    // A prompt that reads from a pipe, without a home for its history.
    let mut prompt = command(place.path(), &["repl", "events.ndjson", "-q"]);
    let prompt = prompt.env_remove("HOME").env_remove("TERM").write_stdin("stats count(*) as n\n\\q\n");
    prompt.assert().success().stdout("n\n3\n");
    // Colour only where it is wanted.
    let colored = |name: &str, value: &str| {
        let mut command = command(place.path(), &["query", "fields ip", "events.ndjson", "-q", "--format", "table"]);
        String::from_utf8_lossy(&command.env(name, value).output().expect("it runs").stdout).contains('\x1b')
    };
    assert!(!colored("NO_COLOR", "1") && !colored("TERM", "xterm"));
    let closed = |redirect: &str| {
        let binary = env!("CARGO_BIN_EXE_backsight");
        let line = format!("'{binary}' query 'stats count(*) as n' events.ndjson {redirect}");
        std::process::Command::new("sh").args(["-c", &line]).current_dir(place.path()).output().expect("sh runs")
    };
    let out = closed("<&-");
    assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(0), &b"n\n3\n"[..]), "closed standard input");
    assert_eq!(closed("2>&-").stdout, b"n\n3\n", "closed standard error");
    assert!(closed(">&-").status.code().is_some_and(|code| code != 101), "closed standard output");
}
