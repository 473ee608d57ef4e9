//! Logs of text: what their layouts make of every kind of line, however the file is cut.

use super::damage::gzip;
use super::read_bytes;
use backsight_engine::source::Counters;
use backsight_io::{Options, formats};

/// Sizes of pieces to cut by.
const CUTS: &[usize] = &[1, 7, 64, 100, 1 << 20];

/// A file, its format, the fields to look at, the rows, and how many records are unlike the others.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static [&'static str]], u64);

const CASES: &[Case] = &[
    (
        "2024-05-01T10:00:00.000Z first\n  second line\n\n2024-05-01T10:00:01.500Z {\"a\":{\"b\":1}}\n2024-05-01T10:00:02.000Z {\n  \"a\": {\"b\": 2}\n}\r\n2024-05-01T10:00:03.000Z \n2024-05-01T10:00:04Z not a new one",
        "cwl-export",
        &["@timestamp", "@message", "a.b"],
        &[
            &["2024-05-01 10:00:00.000", "first\n  second line\n", ""],
            &["2024-05-01 10:00:01.500", "{\"a\":{\"b\":1}}", "1"],
            &["2024-05-01 10:00:02.000", "{\n  \"a\": {\"b\": 2}\n}", "2"],
            &["2024-05-01 10:00:03.000", "\n2024-05-01T10:00:04Z not a new one", ""],
        ],
        0,
    ),
    (
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 1 40 1714557600 1714557660 ACCEPT OK\n2 1 eni-1 - - - - - - - 1714557601 1714557660 - NODATA extra\nshort line\n",
        "vpcflow",
        &["@timestamp", "srcaddr", "dst_port", "logStatus", "vpcId"],
        &[
            &["2024-05-01 10:00:00.000", "10.0.0.1", "22", "OK", ""],
            &["2024-05-01 10:00:01.000", "-", "-", "NODATA", "extra"],
            &["", "", "", "", ""],
        ],
        1,
    ),
    (
        "version vpc-id srcaddr dstaddr start never-heard-of\n10 vpc-1 10.0.0.1 10.0.0.2 1714557600 x\nversion vpc-id srcaddr dstaddr start never-heard-of\n10 vpc-2 10.0.0.3 10.0.0.2 1714557601 y\nstart srcaddr vpc-id\n1714557602 10.0.0.4 vpc-3\n",
        "vpcflow",
        &["@timestamp", "srcAddr", "vpcId", "neverHeardOf", "version"],
        &[
            &["2024-05-01 10:00:00.000", "10.0.0.1", "vpc-1", "x", "10"],
            &["2024-05-01 10:00:01.000", "10.0.0.3", "vpc-2", "y", "10"],
            &["2024-05-01 10:00:02.000", "10.0.0.4", "vpc-3", "", ""],
        ],
        0,
    ),
    (
        "a,b\n1,\"x\ny\"\n2,\"\"\"q\"\"\"\n,4\n5,\n6,\n7,\n8,\n3\n",
        "csv",
        &["a", "b"],
        &[&["1", "x\ny"], &["2", "\"q\""], &["", "4"], &["5", ""], &["6", ""], &["7", ""], &["8", ""], &["3", ""]],
        0,
    ),
    (
        "#Fields: date time c-ip cs(User-Agent)\r\n2024-05-01\t10:00:00\t10.0.0.1\ta b\r\n#Fields: date time cs-method\r\n2024-05-01\t10:00:01\tGET\r\n",
        "cloudfront",
        &["@timestamp", "c_ip", "cs_user_agent", "csMethod", "`cs(User-Agent)`"],
        &[&["2024-05-01 10:00:00.000", "10.0.0.1", "a b", "", "a b"], &["2024-05-01 10:00:01.000", "", "", "GET", ""]],
        0,
    ),
    (
        "::1 - - [01/May/2024:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1\ngarbage\nvhost ::1 - - [01/May/2024:10:00:00 +0000] \"GET /b HTTP/1.1\" 200 1 \"-\" \"x\"\n",
        "clf",
        &["remote_addr", "path", "status", "user_agent", "server_name"],
        &[&["::1", "/", "200", "", ""], &["", "", "", "", ""], &["::1", "/b", "200", "x", "vhost"]],
        1,
    ),
];

#[test]
fn every_layout_gives_the_same_rows_in_any_cut() {
    for (content, format, want, expected, unlike) in CASES {
        assert_eq!(formats::sniff(content.as_bytes()).name, *format, "{content}");
        for &morsel in CUTS {
            for compressed in [false, true] {
                let bytes = if compressed { gzip(content.as_bytes()) } else { content.as_bytes().to_vec() };
                let pass = read_bytes(&bytes, want, Options { morsel, ..Options::default() });
                let text = |cell: &String| cell.split_once(':').map_or(String::new(), |(_, text)| text.to_string());
                let found: Vec<Vec<String>> = pass.rows.iter().map(|r| r.iter().map(text).collect()).collect();
                assert_eq!(found, *expected, "{content} cut at {morsel}, compressed {compressed}");
                assert_eq!(Counters::get(&pass.counters.unlike), *unlike);
                assert_eq!(Counters::get(&pass.counters.not_json), 0);
                assert_eq!(pass.records() as usize, expected.len());
            }
        }
    }
}

/// The start of a file, and what it is taken for.
const RECOGNISED: &[(&str, &str)] = &[
    ("https 2024-05-01T10:00:00.1Z app/x/1 1.2.3.4:1 - -1 -1 -1 200 - 1 2 \"GET / HTTP/1.1\" \"a\" - -", "alb"),
    ("2024-05-01T10:00:00.1Z 1.2.3.4 36280 443 TLSv1.2 X 4.0 \"CN=a\" - - Success TID", "alb"),
    ("tls 2.0 2024-05-01T10:00:00 net/x/1 l 1.2.3.4:1 1.2.3.4:2 5 2 98 246 - - -", "nlb"),
    ("2024-05-01T10:00:00.1Z lb 1.2.3.4:1 1.2.3.4:2 0.1 0.1 0.1 200 200 0 1 \"GET / HTTP/1.1\" \"a\" - -", "clb"),
    (
        "owner bucket [06/Feb/2024:00:00:38 +0000] 1.2.3.4 - ID REST.GET.OBJECT k \"GET /k HTTP/1.1\" 200 - 1 1 1 - \"-\" \"a\" -",
        "s3access",
    ),
    ("START RequestId: 1 Version: 1\n", "lambda"),
    ("1.2.3.4 - - [01/May/2024:10:00:00 +0000]\"GET / HTTP/1.1\" 200 1 c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "apigw"),
    ("1.2.3.4 - - [01/May/2024:10:00:00 +0000] \"GET GET /a HTTP/1.1\" 200 1 JKJaXmPLvHcESHA=", "apigw"),
    ("1.2.3.4 - - [01/May/2024:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1", "clf"),
    ("6 TransitGateway 1 tgw-1 tgw-attach-1 1 1 vpc-1 vpc-2 subnet-1 subnet-2 eni-1 eni-2 az1 az2", "vpcflow"),
    ("srcaddr dstaddr\n10.0.0.1 10.0.0.2\n", "vpcflow"),
    ("2024-05-01T10:00:00 what `tail --format short` prints\n", "cwl-export"),
    ("time;ip;status\n2024-05-01T10:00:00Z;1.2.3.4;200\n", "csv"),
    ("time|ip\n2024-05-01T10:00:00Z|1.2.3.4\n", "csv"),
    ("INFO|app|started\nWARN|app|slow\n", "ndjson"),
    ("INFO,app,started\nINFO,web,started\n", "ndjson"),
    ("a,b,c\n1,2,3\na,b,c\n4,5,6\n", "csv"),
    ("time,level,message\n1,INFO,a\n2,INFO,a, b\n3,INFO,c\n", "csv"),
    ("name\tvalue\na\t1\n", "tsv"),
    ("name\tvalue\tnote\na\t1\t\nb\t\t\nc\t\t\n", "tsv"),
    ("ip,status\n1.2.3.4,200\n", "csv"),
    ("one, two\nthree, four, five\n", "ndjson"),
    ("2024-05-01 10:00:00,123 INFO started, all well\n2024-05-01 10:00:01,123 INFO more, of it\n", "ndjson"),
    ("Error: a, b\nError: c, d\n", "ndjson"),
    ("Hello, world\nGood bye, world\n", "ndjson"),
    ("May  1 10:00:00 host sshd[1]: Failed password for root from 1.2.3.4 port 1 ssh2\n", "ndjson"),
    ("2024-05-01T10:00:00Z INFO an application of our own\n", "ndjson"),
    ("2 apples, 3 pears\n", "ndjson"),
];

#[test]
fn text_is_recognised_by_its_first_lines() {
    for (content, format) in RECOGNISED {
        assert_eq!(formats::sniff(content.as_bytes()).name, *format, "{content}");
    }
}

/// J11: the fields of flow logs as versions brought them, each with its header and, of the same order, without.
#[test]
fn flow_logs_of_every_version() {
    let versions: &[(&str, &str)] = &[
        (
            "2",
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
        ),
        ("3", "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr"),
        ("4", "region az-id sublocation-type sublocation-id"),
        ("5", "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"),
        (
            "7",
            "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id \
             ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id",
        ),
        ("8", "reject-reason"),
        ("9", "resource-id"),
        ("10", "encryption-status"),
    ];
    let mut names: Vec<&str> = Vec::new();
    for (version, more) in versions {
        names.extend(more.split_ascii_whitespace());
        let value = |name: &&str| match *name {
            "version" => (*version).to_owned(),
            "account-id" => "123456789012".into(),
            "interface-id" => "eni-1".into(),
            "start" => "1714557600".into(),
            "log-status" => "OK".into(),
            other => format!("<{other}>"),
        };
        let values: Vec<String> = names.iter().map(value).collect();
        let (header, line) = (names.join(" "), values.join(" "));
        for content in [format!("{header}\n{line}\n"), format!("{line}\n")] {
            assert_eq!(formats::sniff(content.as_bytes()).name, "vpcflow", "version {version}");
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let want: Vec<&str> = quoted.iter().map(String::as_str).chain(["@timestamp"]).collect();
            let pass = read_bytes(content.as_bytes(), &want, Options::default());
            let found: Vec<&str> = (0..want.len()).map(|at| pass.column(at)[0]).collect();
            let expected: Vec<&str> = values.iter().map(String::as_str).chain(["2024-05-01 10:00:00.000"]).collect();
            assert_eq!((pass.rows.len(), found), (1, expected), "version {version}");
        }
    }
}
