//! Public samples of real logs, read as they are, with no flags. They lie beside the workspace, in `../shared/data` or where
//! `BACKSIGHT_SHARED` says; without them these tests say so on standard error and pass.

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder of a sample; `None`, said aloud, if it is not there.
fn sample(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("BACKSIGHT_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("data").join(name);
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no {} (set BACKSIGHT_SHARED)", folder.display());
    None
}

/// The rows of an answer, canonical texts, null as nothing.
fn answer(query: &str, paths: &[PathBuf]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut command = Command::cargo_bin("backsight").expect("the binary is built");
    command.args(["query", "--format", "csv", "--csv-raw", "--quiet", "--", query]).args(paths);
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    let mut reader = csv::Reader::from_reader(&output.stdout[..]);
    let names = reader.headers().expect("a header").iter().map(String::from).collect();
    let rows = reader.records().map(|r| r.expect("a row").iter().map(String::from).collect()).collect();
    (names, rows)
}

fn count(path: PathBuf) -> String {
    answer("stats count(*) as n", &[path]).1[0][0].clone()
}

/// Runs the questions of an `expected.json` and compares all it says of the answers.
///
/// These were made by a program that leaves out the group of events without the key. In the language there is such a group,
/// so an answer may have it besides what is expected: one, whose key is null, of `keyless` events.
fn expected(folder: &Path, data: PathBuf, keyless: &str) -> usize {
    let text = std::fs::read(folder.join("expected.json")).expect("the expected answers");
    let expected: Value = serde_json::from_slice(&text).expect("JSON");
    let queries = expected["queries"].as_array().expect("a list");
    for question in queries {
        let query = question["query"].as_str().expect("a query");
        let (columns, mut rows) = answer(query, std::slice::from_ref(&data));
        let is_keyless = |row: &Vec<String>| row.len() > 1 && row[0].is_empty();
        let without: Vec<Vec<String>> = rows.extract_if(.., |row| is_keyless(row)).collect();
        assert!(without.len() < 2 && without.iter().all(|row| row[1] == keyless), "{query}: {without:?}");
        assert_eq!(Value::from(columns), question["columns"], "{query}");
        assert_eq!(rows.len() as u64, question["row_count"].as_u64().expect("a number"), "{query}");
        let mut first: Vec<Vec<String>> = question["rows"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| row.as_array().expect("a row").iter().map(cell).collect())
            .collect();
        if first.len() == rows.len() {
            // What the question leaves unordered, the answers may.
            rows.sort();
            first.sort();
        } else {
            // Ties beyond what the question orders by may come in another order: compare what it counts.
            let numbers = |rows: &[Vec<String>]| -> Vec<String> {
                rows.iter().map(|r| r.last().cloned().unwrap_or_default()).collect()
            };
            let top = &rows[..first.len()];
            assert_eq!(numbers(top), numbers(&first), "{query}");
            first.retain(|row| rows.contains(row));
            rows.truncate(first.len());
            assert_eq!(first.len(), question["rows"].as_array().expect("a list").len(), "{query}: every row is there");
            continue;
        }
        assert_eq!(rows, first, "{query}");
    }
    queries.len()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn cloudtrail() {
    let Some(folder) = sample("cloudtrail-invictus") else { return };
    assert_eq!(expected(&folder, folder.join("CloudTrail"), "none"), 10);
    let (_, rows) =
        answer("stats count(*) as n, min(@timestamp) as first, max(@timestamp) as last", &[folder.join("CloudTrail")]);
    assert_eq!(rows, [["2900", "2023-07-10 11:42:18.000", "2023-07-10 12:37:50.000"]]);
}

#[test]
fn apache() {
    let Some(folder) = sample("web-apache-elastic") else { return };
    let log = folder.join("apache_combined.log.gz");
    // One line is not of the form the questions' regular expression reads: it has no status, no address, no user agent.
    assert_eq!(expected(&folder, log.clone(), "1"), 10);
    let (_, rows) = answer("stats count(*) as n by status | sort n desc | limit 2", std::slice::from_ref(&log));
    assert_eq!(
        rows,
        [["200", "9126"], ["304", "445"]],
        "the fields are there without `parse`; one line only its regex does not read"
    );
    let (_, rows) = answer("stats count_distinct(remote_addr) as ips, min(@timestamp) as first", &[log]);
    assert_eq!(rows, [["1753", "2015-05-17 10:05:00.000"]]);
}

#[test]
fn formats_of_aws() {
    let Some(folder) = sample("aws-format-samples") else { return };
    let rows = |query, file: &str| answer(query, &[folder.join(file)]).1;
    let elb =
        rows("stats count(*) as n, count(@timestamp) as timed, count(client_ip) as clients", "alb_nlb_access.log");
    assert_eq!(elb, [["8", "8", "8"]]);
    let apigw = rows("stats count(*) as n by status | sort status", "apigw_rest_access.jsonl");
    assert_eq!(apigw, [["200", "3"], ["403", "1"]]);
    let flow = rows("stats count(*) as n by logStatus, action | sort logStatus, action", "vpcflow_v2.log");
    assert_eq!(flow, [["NODATA", "-", "1"], ["OK", "ACCEPT", "3"], ["OK", "REJECT", "2"], ["SKIPDATA", "-", "1"]]);
    let flow = rows("fields srcAddr, vpcId, pktDstAddr, pktDstAwsService, trafficPath", "vpcflow_v5.log");
    assert_eq!(flow, [["89.160.20.156", "vpc-09676f97xxxxxb8a7", "10.200.0.80", "CLOUDFRONT", "1"]]);
    let waf = rows("stats count(*) as n, min(@timestamp) as first by action | sort action", "waf.jsonl");
    assert_eq!(waf, [["ALLOW", "1", "2020-06-17 01:26:32.516"], ["BLOCK", "3", "2019-12-13 23:40:12.771"]]);
}

#[test]
fn events_of_panther() {
    let Some(folder) = sample("panther-aws-events") else { return };
    let counts = [
        ("cloudtrail", "300"),
        ("wafwebacl", "33"),
        ("vpcdns", "21"),
        ("vpcflow", "11"),
        ("s3serveraccess", "7"),
        ("guardduty", "6"),
        ("alb", "5"),
        ("bedrockmodelinvocation", "4"),
        ("securityfindingformat", "2"),
    ];
    for (name, n) in counts {
        assert_eq!(count(folder.join(format!("{name}.events.jsonl"))), n, "{name}");
    }
}

#[test]
fn other_logs() {
    if let Some(folder) = sample("sshd-authlog") {
        let log = folder.join("auth.log.gz");
        assert_eq!(count(log.clone()), "7121");
        let (_, rows) =
            answer("filter @message like 'Failed password' | stats count(*) as n", std::slice::from_ref(&log));
        assert_eq!(rows, [["713"]]);
        let parsed = r"parse @message /Invalid user .* from (?<ip>\S+)/ | filter ispresent(ip) | stats count(*) as n by ip | sort n desc | limit 3";
        let (_, rows) = answer(parsed, &[log]);
        assert_eq!(rows, [["91.197.232.109", "58"], ["34.204.227.175", "43"], ["181.26.186.35", "4"]]);
    }
    if let Some(folder) = sample("nginxplus-status-json") {
        assert_eq!(count(folder.join("nginxplus_status.jsonl.gz")), "500");
    }
}

/// Hunts over paths: exit status, the findings.
fn hunt(paths: &[PathBuf]) -> (Option<i32>, Vec<Value>) {
    let mut command = Command::cargo_bin("backsight").expect("the binary is built");
    let output = command.args(["hunt", "--quiet", "--report", "jsonl"]).args(paths).output().expect("it runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let findings = lines.lines().map(|line| serde_json::from_str(line).expect("a finding")).collect();
    (output.status.code(), findings)
}

#[test]
fn findings_are_as_judged() {
    let Some(folder) = sample("cloudtrail-invictus") else { return };
    let judged =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cloudtrail-invictus.tsv"))
            .expect("the judged findings");
    let judged: Vec<&str> = judged
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("level\t"))
        .map(|line| line.rsplit_once('\t').expect("a verdict").0)
        .collect();
    let (status, findings) = hunt(&[folder.join("CloudTrail")]);
    let text = |v: &Value| v.as_str().unwrap_or("-").to_string();
    let found: Vec<String> = findings
        .iter()
        .map(|f| {
            let count = f["count"].to_string();
            let parts = [&f["level"], &f["rule"]["alias"], &f["outcome"]].map(text);
            let rest = [&f["first_seen"], &f["last_seen"], &f["entity"]["value"]].map(text);
            [parts.join("\t"), count, rest.join("\t")].join("\t")
        })
        .collect();
    assert_eq!((status, found), (Some(0), judged.into_iter().map(String::from).collect()));
}

#[test]
fn ordinary_visitors_are_no_attack() {
    let Some(folder) = sample("web-apache-elastic") else { return };
    let (status, findings) = hunt(&[folder.join("apache_combined.log.gz")]);
    let grave: Vec<&Value> = findings.iter().filter(|f| f["level"] == "high" || f["level"] == "critical").collect();
    assert_eq!((status, grave), (Some(0), Vec::new()));
}

/// All samples at once, hostile files among them: what cannot be read is named, and nothing stops the rest.
#[test]
fn a_folder_of_everything_is_hunted() {
    let Some(folder) = sample("") else { return };
    let mut command = Command::cargo_bin("backsight").expect("the binary is built");
    let output = command.args(["hunt", "--report", "json"]).arg(folder).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "damaged files are among them: {said}");
    assert!(!said.contains("panicked"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|f| f["rule"]["alias"] == "CT-012"), "{} findings", findings.len());
}

/// How many of the events that somebody else has labelled are found, each hunted by itself. `BACKSIGHT_LABELS=1` prints the
/// table of `queries/README.md`.
#[test]
fn labelled_events() {
    if std::env::var_os("BACKSIGHT_LABELS").is_none() {
        eprintln!("SKIPPED: BACKSIGHT_LABELS is not set");
        return;
    }
    let Some(folder) = sample("panther-aws-events") else { return };
    println!("| log | to be found | found | of them medium or worse | others | fire | of them medium or worse |");
    println!("|---|---|---|---|---|---|---|");
    for log in ["cloudtrail", "wafwebacl", "vpcdns", "guardduty", "vpcflow", "s3serveraccess", "alb"] {
        let read = |kind: &str| std::fs::read_to_string(folder.join(format!("{log}.{kind}.jsonl"))).expect("events");
        let (events, labels) = (read("events"), read("labels"));
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut table = [[0; 3]; 2];
        for (event, label) in events.lines().zip(labels.lines()) {
            let label: Value = serde_json::from_str(label).expect("a label");
            let file = place.path().join("event.jsonl");
            std::fs::write(&file, format!("{event}\n")).expect("a temporary file");
            let (_, findings) = hunt(&[file]);
            let grave = |f: &Value| !["informational", "low"].contains(&f["level"].as_str().unwrap_or_default());
            let row = &mut table[usize::from(label["expected"] != true)];
            row[0] += 1;
            row[1] += usize::from(!findings.is_empty());
            row[2] += usize::from(findings.iter().any(grave));
        }
        let [[events, found, grave], [others, fire, fire_grave]] = table;
        println!("| {log} | {events} | {found} | {grave} | {others} | {fire} | {fire_grave} |");
    }
}
