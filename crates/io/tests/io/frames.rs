//! JSON that is not one object a line: the same records come out of every frame, however the file is cut.

use super::damage::gzip;
use super::{read, read_bytes, scan};
use backsight_engine::source::{Counters, Weight};
use backsight_io::{Options, formats};

/// Records that try the framing: brackets and quotes in strings, escapes before quotes, nesting, other scripts.
const RECORDS: &[&str] = &[
    r#"{"id":1,"text":"}],{\"id\":9}","more":{"list":[1,[2,{}],"]"]}}"#,
    r#"{"id":2,"text":"back\\\\slash\\","more":null}"#,
    r#"{"id":3}"#,
    r#"{ "id" : 4 , "text" : "spaced" }"#,
    r#"{"id":5,"text":"ünï 日本","more":[]}"#,
    r#"{"id":6,"text":"\\\"","more":{"a":{"b":{"c":{}}}}}"#,
];

/// Sizes of pieces to cut by.
const CUTS: &[usize] = &[1, 2, 3, 5, 17, 64, 65, 100, 1 << 20];

fn framed() -> Vec<(&'static str, String, &'static str)> {
    let joined = |by: &str| RECORDS.join(by);
    let pretty: Vec<String> =
        RECORDS.iter().map(|r| r.replacen('{', "{\n  ", 1).replacen(',', ",\n  ", 1) + "\n").collect();
    vec![
        ("a line each", joined("\n"), "ndjson"),
        ("list", format!("[{}]", joined(",")), "json"),
        ("list over lines", format!("[\n  {}\n]\n", joined(",\n  ")), "json"),
        ("nothing between", joined(""), "json"),
        ("blanks between", joined("\r\n\n"), "ndjson"),
        ("over several lines", pretty.concat(), "json"),
        ("list of pretty ones", format!("[{}]", pretty.join(",")), "json"),
        ("a list with a mark", format!("\u{feff}[{}]", joined(",")), "json"),
        ("envelope", format!("{{\"Records\":[{}]}}", joined(",")), "json"),
        (
            "envelope in the middle",
            format!(
                "{{\"fileVersion\":\"1\",\"configSnapshotId\":\"x\",\"configurationItems\":[{}],\"after\":{{\"a\":[1]}},\"n\":1}}\n",
                joined(", ")
            ),
            "config",
        ),
        (
            "envelopes",
            RECORDS.chunks(2).map(|r| format!("{{ \"Records\" : [ {} ] }}\n", r.join(","))).collect(),
            "json",
        ),
        (
            "envelopes without anything between",
            RECORDS.chunks(4).map(|r| format!("{{\"Records\":[{}]}}", r.join(","))).collect::<String>()
                + "{\"Records\":[]}",
            "json",
        ),
    ]
}

#[test]
fn every_frame_gives_the_same_records_in_any_cut() {
    let plain: Vec<String> = RECORDS.iter().map(|r| format!("String:{r}")).collect();
    for (what, content, format) in framed() {
        assert_eq!(formats::sniff(content.as_bytes()).name, format, "{what}");
        for &morsel in CUTS {
            for compressed in [false, true] {
                let bytes = if compressed { gzip(content.as_bytes()) } else { content.clone().into_bytes() };
                let options = Options { morsel, ..Options::default() };
                let pass = read_bytes(&bytes, &["id", "@message", "more"], options);
                assert_eq!(pass.column(0), ["1", "2", "3", "4", "5", "6"], "{what} cut at {morsel}");
                if !what.contains("several lines") && !what.contains("pretty") {
                    let messages: Vec<&String> = pass.rows.iter().map(|r| &r[1]).collect();
                    assert!(messages.iter().zip(&plain).all(|(a, b)| *a == b), "{what}: {messages:?}");
                }
                for (row, position) in pass.rows.iter().zip(&pass.positions) {
                    let at = &content.as_bytes()[*position as usize..];
                    let message = row[1].strip_prefix("String:").expect("a message");
                    assert!(at.starts_with(message.as_bytes()), "{what}: a record lies where it says");
                }
                let counts = [&pass.counters.records, &pass.counters.not_json].map(Counters::get);
                assert_eq!(counts, [6, 0], "{what} cut at {morsel}");
                assert!(pass.error.is_none() && pass.notes(Weight::Damage).is_empty());
            }
        }
    }
}

#[test]
fn a_list_on_one_line_is_read_without_holding_it() {
    let record = |i: usize| format!("{{\"id\":{i},\"text\":\"{}\"}}", "x".repeat(i % 300));
    let content = format!("{{\"Records\":[{}]}}", (0..20_000).map(record).collect::<Vec<_>>().join(","));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log.json");
    std::fs::write(&path, &content).expect("written");
    let options = Options { morsel: 1 << 16, record_limit: 1 << 12, ..Options::default() };
    let files = backsight_io::open(&[path], options).expect("a file");
    let pass = read(&files, &scan(&["id"]));
    assert_eq!(pass.rows.len(), 20_000);
    assert!(pass.notes(Weight::Damage).is_empty(), "no record is longer than the limit, whatever the line is");
}

#[test]
fn what_is_no_record_in_a_list_is_kept() {
    let content = "[{\"id\":1}, 5, \"a, b\", null,{\"id\":2} garbage,\n{\"id\":3},{\"id\":\"cut o";
    for &morsel in CUTS {
        let pass = read_bytes(content.as_bytes(), &["id", "@message"], Options { morsel, ..Options::default() });
        assert_eq!(pass.column(0), ["1", "", "", "", "2", "", "3", ""], "{morsel}");
        let kept: Vec<&str> = pass.column(1).into_iter().filter(|m| !m.ends_with('}')).collect();
        assert_eq!(kept, ["5", "\"a, b\"", "null", "garbage", "{\"id\":\"cut o"]);
        assert_eq!(Counters::get(&pass.counters.not_json), 5);
    }
}

#[test]
fn a_broken_record_costs_itself_alone() {
    // A string that is not closed ends at the line feed.
    let content = "[\n{\"id\":1},\n{\"id\":\"open},\n{\"id\":2}\n]";
    let pass = read_bytes(content.as_bytes(), &["id"], Options::default());
    assert_eq!(pass.column(0), ["1", "", "2"]);
    // Not well-formed, but its brackets say where it ends.
    let pass = read_bytes(b"{\"Records\":[{\"id\":1},{\"id\":01},{\"id\":2}]}", &["id"], Options::default());
    assert_eq!(pass.column(0), ["1", "", "2"]);
}

#[test]
fn records_behind_a_gap_are_found() {
    let list = |from: usize| {
        let records: Vec<String> =
            (from..from + 400).map(|i| format!("{{\"id\":{i},\"x\":\"{}\"}}", i * 7919)).collect();
        format!("{{\"Records\":[{}]}}", records.join(","))
    };
    let (first, second) = (gzip(list(0).as_bytes()), gzip(list(1000).as_bytes()));
    let damaged = [&first[..first.len() / 2], &second].concat();
    let pass = read_bytes(&damaged, &["id"], Options::default());
    let ids = pass.column(0);
    assert!(ids.contains(&"1000") && ids.contains(&"1399") && ids.contains(&"0"), "{}", ids.len());
    assert!(ids.iter().filter(|id| id.is_empty()).count() <= 1, "half a record, if it is there at all");
    assert_eq!(pass.notes(Weight::Damage).len(), 1);
}

#[test]
fn a_record_beyond_the_limit_is_left_out_and_the_next_is_read() {
    let content = format!("{{\"Records\":[{{\"id\":1}},{{\"id\":\"{}\"}},{{\"id\":2}}]}}", "x".repeat(300_000));
    for morsel in [64, 1 << 16] {
        for compressed in [false, true] {
            let bytes = if compressed { gzip(content.as_bytes()) } else { content.clone().into_bytes() };
            let pass = read_bytes(&bytes, &["id"], Options { morsel, record_limit: 100_000, ..Options::default() });
            assert_eq!(pass.column(0), ["1", "2"], "{morsel} {compressed}");
            let at: Vec<_> = pass.notes(Weight::Damage).iter().map(|n| n.offset).collect();
            assert_eq!(at, [Some(20)], "{morsel} {compressed}");
        }
    }
}

/// A file, its format, the fields to look at, and the rows.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static [&'static str]]);

const CLOUDWATCH: &[Case] = &[
    (
        r#"{"events":[{"logStreamName":"web/1","timestamp":1714557600000,"message":"plain \"text\"","ingestionTime":1714557600100,"eventId":"e1"},{"logStreamName":"web/2","timestamp":1714557600001,"message":"{\"level\":\"WARN\",\"timestamp\":\"inner\"}","ingestionTime":1714557600101,"eventId":"e2"}],"searchedLogStreams":[]}"#,
        "cwl-events",
        &["@timestamp", "@message", "@logStream", "@ingestionTime", "level", "timestamp", "eventId"],
        &[
            &["2024-05-01 10:00:00.000", "plain \"text\"", "web/1", "1714557600100", "", "", "e1"],
            &[
                "2024-05-01 10:00:00.001",
                r#"{"level":"WARN","timestamp":"inner"}"#,
                "web/2",
                "1714557600101",
                "WARN",
                "inner",
                "e2",
            ],
        ],
    ),
    (
        "{\n    \"events\": [\n        {\n            \"timestamp\": 1714557600000,\n            \"message\": \"a\\nb\",\n            \"ingestionTime\": 1714557600100\n        }\n    ],\n    \"nextForwardToken\": \"f/1\",\n    \"nextBackwardToken\": \"b/1\"\n}\n",
        "cwl-events",
        &["@timestamp", "@message", "@logStream"],
        &[&["2024-05-01 10:00:00.000", "a\nb", "log"]],
    ),
    (
        r#"{"results":[[{"field":"@timestamp","value":"2024-05-01 10:00:00.000"},{"field":"@message","value":"{\"a\":1}"},{"field":"@ptr","value":"CmE"}],[{"field":"status","value":"403"},{"field":"count(*)","value":"7"}]],"statistics":{"recordsMatched":2.0},"status":"Complete"}"#,
        "cwl-events",
        &["@timestamp", "@message", "@ptr", "a", "status", "`count(*)`"],
        &[
            &["2024-05-01 10:00:00.000", r#"{"a":1}"#, "CmE", "1", "", ""],
            &[
                "",
                r#"[{"field":"status","value":"403"},{"field":"count(*)","value":"7"}]"#,
                "log#log:143",
                "",
                "403",
                "7",
            ],
        ],
    ),
    (
        concat!(
            r#"{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/api","logStream":"s1","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1714557600000,"message":"{\"ip\":\"203.0.113.9\"}"},{"id":"2","timestamp":1714557601000,"message":"text"}]}"#,
            r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1714557600000,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#,
            r#"{"logEvents":[{"id":"3","timestamp":1714557602000,"message":"behind"}],"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/api","logStream":"s2","subscriptionFilters":["f"]}"#,
        ),
        "cwl-events",
        &["@timestamp", "@message", "@logStream", "@log", "ip", "id"],
        &[
            &["2024-05-01 10:00:00.000", r#"{"ip":"203.0.113.9"}"#, "s1", "123456789012:/aws/api", "203.0.113.9", "1"],
            &["2024-05-01 10:00:01.000", "text", "s1", "123456789012:/aws/api", "", "2"],
            &["2024-05-01 10:00:02.000", "behind", "s2", "123456789012:/aws/api", "", "3"],
        ],
    ),
    (
        r#"{"Events":[{"EventId":"1","EventName":"CreateUser","EventTime":"2024-05-01T10:00:00+00:00","CloudTrailEvent":"{\"eventName\":\"CreateUser\",\"userIdentity\":{\"arn\":\"a\"}}"}]}"#,
        "cloudtrail",
        &["@timestamp", "@message", "eventName", "userIdentity.arn", "EventId"],
        &[&[
            "2024-05-01 10:00:00.000",
            r#"{"eventName":"CreateUser","userIdentity":{"arn":"a"}}"#,
            "CreateUser",
            "a",
            "1",
        ]],
    ),
];

#[test]
fn events_of_cloudwatch_logs() {
    for (content, format, want, expected) in CLOUDWATCH {
        assert_eq!(formats::sniff(content.as_bytes()).name, *format, "{content}");
        for &morsel in CUTS {
            let pass = read_bytes(content.as_bytes(), want, Options { morsel, ..Options::default() });
            let found: Vec<Vec<&str>> = pass
                .rows
                .iter()
                .map(|r| r.iter().map(|c| c.split_once(':').map_or("", |(_, t)| t)).collect())
                .collect();
            assert_eq!(found, expected.iter().map(|r| r.to_vec()).collect::<Vec<_>>(), "{content} cut at {morsel}");
        }
    }
}

/// The start of a file, and what it is taken for.
const RECOGNISED: &[(&str, &str)] = &[
    (
        r#"{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventTime":"2024-05-01T10:00:00Z"}"#,
        "cloudtrail",
    ),
    (
        r#"{"Records":[{"eventVersion":"1.08","userIdentity":{"type":"IAMUser"},"eventTime":"2024-05-01T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject"}]}"#,
        "cloudtrail",
    ),
    (
        r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2024-05-01T10:00:00Z","s3":{}}]}"#,
        "json",
    ),
    (
        r#"[{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventTime":"2024-05-01T10:00:00Z","awsRegion":"us-east-1"}]"#,
        "cloudtrail",
    ),
    (r#"{"timestamp":1,"formatVersion":1,"webaclId":"arn","action":"ALLOW","httpRequest":{"clientIp":"::1"}}"#, "waf"),
    (
        r#"{"requestId":"r","ip":"203.0.113.9","requestTime":"01/May/2024:10:00:00 +0000","httpMethod":"GET","status":"200"}"#,
        "apigw",
    ),
    (r#"{"requestId":"r","routeKey":"GET /x","status":"200","sourceIp":"203.0.113.9"}"#, "apigw"),
    (r#"{"requestId":"r","status":"200","path":"/x"}"#, "ndjson"),
    (
        r#"{"schemaVersion":"2.0","accountId":"1","type":"Recon:EC2/Portscan","service":{},"severity":5,"id":"x"}"#,
        "guardduty",
    ),
    (r#"{"configurationItemCaptureTime":"2024-05-01T10:00:00Z","resourceType":"AWS::S3::Bucket"}"#, "config"),
    (
        r#"{"version":"1.1","query_timestamp":"2024-05-01T10:00:00Z","query_name":"a.","query_type":"A","rcode":"NOERROR"}"#,
        "resolver",
    ),
    (r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","verb":"get"}"#, "eks"),
    (
        r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"auditID":"x","verb":"get","requestURI":"/api"}]}"#,
        "eks",
    ),
    (r#"{"time":"2024-05-01T10:00:00Z","type":"platform.start","record":{"requestId":"x"}}"#, "lambda"),
    (r#"{"timestamp":"2024-05-01T10:00:00Z","level":"INFO","message":"hello","requestId":"x"}"#, "lambda"),
    (r#"{"class_uid":3002,"metadata":{},"time":1714557600000}"#, "ocsf"),
    (r#"{"a":1}"#, "ndjson"),
    (r#"{"events":[1,2]}"#, "ndjson"),
    (r#"{"level":"info","events":[{"a":1}]}"#, "ndjson"),
    ("plain text", "ndjson"),
    ("[2024-05-01] text", "ndjson"),
    ("[1,2]", "ndjson"),
    ("", "ndjson"),
];

#[test]
fn sources_are_recognised_by_their_keys() {
    for (content, format) in RECOGNISED {
        assert_eq!(formats::sniff(content.as_bytes()).name, *format, "{content}");
        // Also by what there is of a record that is longer than what is looked at.
        let long = content.replacen(['}'], &format!(",\"z\":\"{}\"}}", "x".repeat(80_000)), 1);
        if content.starts_with("{\"") && !content.contains("[]") {
            formats::sniff(&long.as_bytes()[..formats::HEAD]);
        }
    }
}

/// What a broken string in a list is does not depend on what follows it, so that any cut gives the same.
#[test]
fn broken_strings_in_lists_are_the_same_in_any_cut() {
    let input = b"[{\"a\n\"b\": \"2024\",\n \"\x01n\": 1,:0&:01Z\",\n x \"s\": \"\xc3\xbc\"\n }.\n]\n";
    let read = |morsel| super::read_bytes(input, &["@message"], Options { morsel, ..Options::default() }).rows;
    let whole = read(1 << 20);
    for morsel in 1..80 {
        assert_eq!(read(morsel), whole, "pieces of {morsel}");
    }
}
