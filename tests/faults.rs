//! Bad input of every kind, and what must come of it: each row makes the fault, runs the program over it, and compares
//! answer, exit status and what was said. Compression other than gzip, and archives, have rows of their own in
//! `crates/io/tests/io`: `codecs.rs` (C3, C5, C8), `archives.rs` (C9, C10), `damage.rs` (C1 to C5 at every byte).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// A file of a row: its name and its bytes.
type File = (&'static str, Vec<u8>);

/// A fault and what must come of it.
struct Fault {
    /// The number in the list of faults, and the fault.
    what: &'static str,
    files: Vec<File>,
    /// The query, then options.
    args: &'static [&'static str],
    /// The answer as CSV, lines divided by blanks, and the exit status.
    answer: &'static str,
    exit: i32,
    /// What must be said on standard error.
    said: &'static [&'static str],
}

/// Counts all records, those with a field `n`, and adds those up: whatever is lost or doubled shows.
const COUNT: &[&str] = &["stats count(*) as all, count(n) as with, sum(n) as total"];

fn fault(
    what: &'static str,
    files: Vec<File>,
    answer: &'static str,
    exit: i32,
    said: &'static [&'static str],
) -> Fault {
    Fault { what, files, args: COUNT, answer, exit, said }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Records with these numbers.
fn records(numbers: std::ops::Range<u32>) -> Vec<u8> {
    numbers
        .flat_map(|n| format!("{{\"n\":{n},\"pad\":\"{:x}\"}}\n", n.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

/// Record 1 and 2, with something between them.
fn between(bytes: &[u8]) -> Vec<u8> {
    [b"{\"n\":1}\n", bytes, b"\n{\"n\":2}\n"].concat()
}

fn flipped(mut bytes: Vec<u8>, from_the_end: usize) -> Vec<u8> {
    let at = bytes.len() - from_the_end;
    bytes[at] ^= 0x55;
    bytes
}

/// A line, so many times.
fn lines_of(line: &[u8], times: usize) -> Vec<u8> {
    [line, b"\n"].concat().repeat(times)
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(unit).collect()
}

fn containers() -> Vec<Fault> {
    let whole = gzip(&records(0..100));
    let cut = whole[..whole.len() - 4].to_vec();
    let half = whole[..whole.len() / 2].to_vec();
    let members: Vec<u8> = records(0..100).chunks(7).flat_map(gzip).collect();
    let [first, second, third] = [0..40, 40..80, 80..100].map(|r| gzip(&records(r)));
    let broken = [first.clone(), flipped(second.clone(), second.len() / 2), third.clone()].concat();
    let padded = [whole.clone(), vec![0; 512]].concat();
    let noise = [whole.clone(), b"tape label".to_vec()].concat();
    vec![
        fault(
            "C1 cut in the header",
            vec![("a.gz", whole[..8].to_vec()), ("b", records(0..2))],
            "2,2,1",
            3,
            &["truncated"],
        ),
        fault(
            "C1 cut in the magic number",
            vec![("a.gz", whole[..1].to_vec()), ("b", records(0..2)), ("c.gz", Vec::new())],
            "2,2,1",
            3,
            &["a.gz at byte 0: truncated", "c.gz at byte 0: truncated"],
        ),
        fault("C1 cut in the trailer", vec![("a.gz", cut)], "100,100,4950", 3, &["truncated", "at byte"]),
        Fault {
            args: &["stats count(*) > 20 and count(*) < 80 as half"],
            ..fault("C1 cut in half", vec![("a.gz", half)], "1", 3, &["truncated"])
        },
        fault(
            "C2 wrong checksum",
            vec![("a.gz", flipped(whole.clone(), 8))],
            "100,100,4950",
            3,
            &["checksum mismatch"],
        ),
        fault("C2 wrong size", vec![("a.gz", flipped(whole.clone(), 1))], "100,100,4950", 3, &["checksum mismatch"]),
        Fault {
            args: &["filter n < 40 or n >= 80 | stats count(*) as n, sum(n) as total"],
            ..fault("C3 a flipped bit", vec![("a.gz", broken)], "60,2570", 3, &["damaged: ./a.gz at byte"])
        },
        fault("C4 many members", vec![("a.gz", members)], "100,100,4950", 0, &[]),
        fault("C5 zeros behind", vec![("a.gz", padded)], "100,100,4950", 0, &["512 zero bytes after"]),
        fault("C5 garbage behind", vec![("a.gz", noise)], "100,100,4950", 0, &["10 bytes after"]),
        fault("C6 plain under .gz", vec![("a.gz", records(0..3))], "3,3,3", 0, &["its content is text"]),
        fault("C6 gzip under .json", vec![("a.json", gzip(&records(0..3)))], "3,3,3", 0, &["its content is gzip"]),
        fault(
            "C6 compressed by what cannot be read",
            vec![("a.rar", b"Rar!\x1a\x07\x01\0".to_vec()), ("a.Z", b"\x1f\x9d\x90".to_vec()), ("b", records(0..2))],
            "2,2,1",
            3,
            &["a.rar: not a log: a RAR archive, which cannot be read", "a.Z: not a log: compressed by compress"],
        ),
        Fault {
            args: const { &[COUNT[0], "--max-expansion", "1"] },
            ..fault("C7 small for a bomb", vec![("a.gz", gzip(&vec![b' '; 5 << 20]))], "0,0,", 0, &[])
        },
        Fault {
            args: const { &[COUNT[0], "--max-expansion", "10"] },
            ..fault(
                "C7 a bomb",
                vec![("a.gz", gzip(&vec![b' '; 24 << 20]))],
                "",
                4,
                &["--max-expansion raises the limit"],
            )
        },
        Fault {
            args: const { &[COUNT[0], "--max-expansion", "10"] },
            ..fault(
                "C7 a bomb in a compressed file",
                vec![("a.gz", gzip(&gzip(&vec![b' '; 24 << 20])))],
                "",
                4,
                &["--max-expansion raises the limit"],
            )
        },
        Fault {
            args: const { &[COUNT[0], "--lenient"] },
            ..fault("lenient", vec![("a.gz", flipped(whole.clone(), 8))], "100,100,4950", 0, &["damaged"])
        },
        Fault {
            args: const { &[COUNT[0], "--strict"] },
            ..fault("strict", vec![("a.gz", flipped(whole.clone(), 8))], "", 2, &["checksum mismatch"])
        },
    ]
}

fn lines() -> Vec<Fault> {
    let deep = |n: usize| [b"{\"n\":".repeat(n), b"1".to_vec(), b"}".repeat(n)].concat();
    let many_keys: String = (0..10_000).map(|i| format!("\"k{i}\":{i},")).collect();
    let many_records: String = (0..20_000).map(|i| format!("{{\"n\":1,\"k{i}\":{i}}}\n")).collect();
    let waf = |n| {
        format!(
            "{{\"timestamp\":1714557600000,\"formatVersion\":1,\"webaclId\":\"arn\",\"terminatingRuleId\":\"r\",\
             \"action\":\"BLOCK\",\"httpSourceName\":\"ALB\",\"httpRequest\":{{\"clientIp\":\"198.51.100.7\",\"args\":\"{}\"}}}}\n",
            "x".repeat(n)
        )
    };
    let line = std::fs::read_to_string("fixtures/alb/access.log").expect("the fixture");
    let line = line.lines().next().expect("a line");
    let balancer = format!("{line}\n{line} \"new\" 17\n{}\n", line.replace("\"GET ", "\"GET \\\"x\\\" "));
    let long = format!("{{\"n\":5,\"pad\":\"{}\"}}", "x".repeat(3 << 20));
    let not_json = &["1 record not JSON"];
    vec![
        fault("J1 a garbage line", vec![("a", between(b"no json at all"))], "3,2,3", 0, not_json),
        fault("J1 half a record", vec![("a", between(b"{\"n\":7,\"x\":"))], "3,2,3", 0, not_json),
        fault("J1 empty and blank lines", vec![("a", between(b"\n   \n\t\n"))], "2,2,3", 0, &[]),
        fault("J2 no line feed at the end", vec![("a", b"{\"n\":1}\n{\"n\":2}".to_vec())], "2,2,3", 0, &[]),
        fault("J2 carriage returns", vec![("a", b"{\"n\":1}\r\n{\"n\":2}\r\n".to_vec())], "2,2,3", 0, &[]),
        fault("J2 a byte order mark", vec![("a", b"\xef\xbb\xbf{\"n\":1}\n{\"n\":2}\n".to_vec())], "2,2,3", 0, &[]),
        fault("J2 UTF-16, little endian", vec![("a", utf16("{\"n\":1}\r\n{\"n\":2}", false))], "2,2,3", 0, &[]),
        fault("J2 UTF-16, big endian", vec![("a", utf16("{\"n\":1}\n{\"n\":2}\n", true))], "2,2,3", 0, &[]),
        fault("J2 UTF-16 without a mark", vec![("a", utf16("{\"n\":1}\r\n{\"n\":2}", false)[2..].to_vec())], "2,2,3", 0, &[]),
        fault("J2 UTF-16 without a mark, big endian", vec![("a", utf16("{\"n\":1}\n{\"n\":2}", true)[2..].to_vec())], "2,2,3", 0, &[]),
        fault("J2 UTF-16 in gzip", vec![("a", gzip(&utf16("{\"n\":1}\n{\"n\":2}", false)))], "2,2,3", 0, &[]),
        fault("J3 zeros before the first line", vec![("a", [&[0; 4096][..], b"\n", &records(0..3)].concat())], "4,3,3", 0, &["1 record not JSON"]),
        fault("J3 invalid UTF-8", vec![("a", between(b"{\"n\":4,\"s\":\"\xff\xfe\"}"))], "3,3,7", 0, &["1 record not UTF-8"]),
        fault("J3 overlong UTF-8", vec![("a", between(b"{\"n\":4,\"s\":\"\xc0\xaf\"}"))], "3,3,7", 0, &["1 record not UTF-8"]),
        fault(
            "J3 half a surrogate pair",
            vec![("a", between(br#"{"n":4,"s":"\ud800"}"#))],
            "3,3,7",
            0,
            &["1 record with half a surrogate pair"],
        ),
        fault(
            "J3 half a surrogate pair in every line",
            vec![("a", lines_of(br#"{"n":4,"s":"\udc00 \ud83d\ude00"}"#, 300))],
            "300,300,1200",
            0,
            &["300 records with half a surrogate pair"],
        ),
        fault(
            "J3 zero characters",
            vec![("a", between(b"{\"n\":4,\"s\":\"a\\u0000\"}\na\0b"))],
            "4,3,7",
            0,
            &["2 records with a zero character", "1 record not JSON"],
        ),
        Fault {
            args: &["filter n = 4 | fields s"],
            ..fault("J3 half a surrogate pair, shown", vec![("a", between(br#"{"n":4,"s":"a\ud800b"}"#))], "a\u{fffd}b", 0, &[])
        },
        fault("J4 128 levels", vec![("a", between(&deep(128)))], "3,3,3", 0, &[]),
        fault("J4 129 levels", vec![("a", between(&deep(129)))], "3,2,3", 0, not_json),
        fault("J4 a million levels", vec![("a", between(&deep(1_000_000)))], "3,2,3", 0, not_json),
        fault("J4 200,000 levels", vec![("a", between(&[b'['; 200_000]))], "3,2,3", 0, not_json),
        fault("J5 a line of 3 MiB", vec![("a", between(long.as_bytes()))], "3,3,8", 0, &[]),
        fault(
            "J6 a key twice: the last counts",
            vec![("a", between(br#"{"n":100,"n":4}"#))],
            "3,3,7",
            0,
            &["1 record with a repeated key"],
        ),
        fault(
            "J6 a key twice in every line, deep down",
            vec![("a", lines_of(br#"{"n":4,"a":[{"b":1,"c":"x","b":2}]}"#, 300))],
            "300,300,1200",
            0,
            &["300 records with a repeated key"],
        ),
        Fault {
            args: &["fields `a.b`, `A`, `a`, ``, `c``d`, `e f`, `@@x`, `g-h` | limit 1"],
            ..fault(
                "J6 odd keys",
                vec![("a", br#"{"":1,"a.b":2,"A":3,"a":4,"c`d":5,"e f":6,"@x":7,"g-h":8}"#.to_vec())],
                "2,3,4,1,5,6,7,8",
                0,
                &[],
            )
        },
        fault("J6 20,000 keys over the file", vec![("a", many_records.into_bytes())], "20000,20000,20000", 0, &[]),
        fault("J5 a line beyond the limit", vec![("a", between(&vec![b'x'; 65 << 20]))], "2,2,3", 3, &["longer than the limit"]),
        Fault {
            args: &["stats count(*) as c, max(strlen(action)) as action, count(@timestamp) as timed"],
            ..fault("J11 a WAF record of 1.2 MiB", vec![("waf.log", [waf(1_200_000), waf(10)].concat().into_bytes())], "2,5,2", 0, &[])
        },
        fault("J9 objects without line feeds", vec![("a", br#"{"n":1}{"n":2} {"n":3}"#.to_vec())], "3,3,6", 0, &[]),
        fault("J9 pretty-printed", vec![("a", b"{\n  \"n\": 1\n}\n{\n  \"n\": 2\n}\n".to_vec())], "2,2,3", 0, &[]),
        fault("J9 a list", vec![("a", b"[\n{\"n\":1},\n{\"n\":2}]".to_vec())], "2,2,3", 0, &[]),
        fault(
            "J9 a list that is cut off",
            vec![("a", b"[\n{\"n\":1},\n{\"n\":2}".to_vec()), ("b.gz", gzip(b"[{\"n\":3},{\"n\":4"))],
            "4,3,6",
            3,
            &["a at byte 18: truncated: the list of records is not closed", "b.gz at byte", "1 record not JSON"],
        ),
        fault(
            "J9 an envelope that is cut off",
            vec![("a", br#"{"Records":[{"n":1,"eventVersion":"1.08"},{"n":2}"#.to_vec()), ("b", br#"{"Records":[{"n":3}]"#.to_vec())],
            "3,3,6",
            3,
            &["a at byte 49: truncated", "b at byte 20: truncated"],
        ),
        fault(
            "J9 an envelope",
            vec![("a", br#"{"Records":[{"n":1,"eventVersion":"1.08","eventTime":"2024-01-01T00:00:00Z"},{"n":2}]}"#.to_vec())],
            "2,2,3",
            0,
            &[],
        ),
        Fault {
            args: &["fields toMillis(@timestamp) - 1714557600000 as t, @message, n | sort t"],
            ..fault(
                "J10 lines of an export task",
                vec![("a", b"2024-05-01T10:00:00.000Z {\"n\":1}\n2024-05-01T10:00:01.000Z START\n2024-05-01T10:00:02.000Z {half\n".to_vec())],
                "0,\"{\"\"n\"\":1}\",1 1000,START, 2000,{half,",
                0,
                &[],
            )
        },
        Fault {
            args: &["fields srcAddr, dstPort, action, logStatus, `made-up` | sort action"],
            ..fault(
                "J11 a flow log with an unknown field and without data",
                vec![("a", b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status made-up\n\
                    5 123456789012 eni-1 198.51.100.7 10.0.0.1 443 51000 6 1 40 1714557600 1714557660 ACCEPT OK new\n\
                    5 123456789012 eni-1 - - - - - - - 1714557600 1714557660 - NODATA -\n".to_vec())],
                "-,-,-,NODATA,- 198.51.100.7,51000,ACCEPT,OK,new",
                0,
                &[],
            )
        },
        Fault {
            args: &["stats count(*) as c, count(client_ip) as clients, count(@timestamp) as timed"],
            ..fault("J11 load balancers with fields of tomorrow", vec![("a", balancer.into_bytes())], "3,3,3", 0, &[])
        },
        Fault {
            args: &["stats count(*) as c, count(@timestamp) as timed"],
            ..fault(
                "J12 what is no time",
                vec![("a", b"{\"@timestamp\":\"2024-01-01T00:00:00Z\"}\n{\"@timestamp\":\"soon\"}\n".to_vec())],
                "2,1",
                0,
                &["1 row without timestamp"],
            )
        },
        fault("J6 10,000 keys", vec![("a", between(format!("{{{many_keys}\"n\":4}}").as_bytes()))], "3,3,7", 0, &[]),
        Fault {
            args: &["fields n | limit 10"],
            ..fault(
                "J7 numbers keep their spelling",
                vec![("a", b"{\"n\":-0}\n{\"n\":1e400}\n{\"n\":9223372036854775808}\n{\"n\":0.1}\n{\"n\":9007199254740993}\n".to_vec())],
                "-0 1e400 9223372036854775808 0.1 9007199254740993",
                0,
                &[],
            )
        },
        fault("J7 no numbers", vec![("a", b"{\"n\":01}\n{\"n\":+1}\n{\"n\":NaN}\n{\"n\":1}\n".to_vec())], "4,1,1", 0, &["3 records not JSON"]),
        Fault {
            args: &["filter n in ['401', '403'] | stats count(*) as c"],
            ..fault(
                "J8 numbers and strings mixed",
                vec![("a", b"{\"n\":401}\n{\"n\":\"401\"}\n{\"n\":\"403\"}\n{\"n\":[401]}\n{\"n\":{\"a\":1}}\n{\"n\":null}\n{}\n".to_vec())],
                "3",
                0,
                &[],
            )
        },
    ]
}

fn files() -> Vec<Fault> {
    vec![
        fault(
            "P3 a footer that claims too much",
            vec![("a.parquet", b"PAR1\xff\xff\xff\x7fPAR1".to_vec()), ("b", records(0..2))],
            "2,2,1",
            3,
            &["a.parquet"],
        ),
        fault(
            "F3 odd names",
            vec![("-n", records(0..1)), ("a\nb\x1b[31m", records(1..3)), ("\u{202e}c", b"x\n".to_vec())],
            "4,3,3",
            0,
            &["\\u{202e}c: 1 record not JSON"],
        ),
    ]
}

#[test]
fn every_fault_has_its_answer() {
    let (mut wrong, mut rows) = (String::new(), 0);
    for fault in containers().into_iter().chain(lines()).chain(files()) {
        rows += 1;
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in &fault.files {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        }
        let started = Instant::now();
        let run = run(folder.path(), fault.args, &[]);
        let expected: String = fault.answer.split(' ').flat_map(|line| [line, "\n"]).collect();
        let body = run.out.split_once('\n').map_or("", |(_, body)| body);
        let unsaid: Vec<_> = fault.said.iter().filter(|said| !run.err.contains(**said)).collect();
        let same = if matches!(fault.exit, 2 | 4) { body.is_empty() } else { body == expected };
        if !same || run.exit != fault.exit || !unsaid.is_empty() || started.elapsed() > Duration::from_secs(20) {
            let _ = writeln!(wrong, "{}: exit {}, not said: {unsaid:?}\n{body}{}\n", fault.what, run.exit, run.err);
        }
    }
    assert!(wrong.is_empty(), "of {rows} faults:\n{wrong}");
}

struct Run {
    exit: i32,
    out: String,
    err: String,
}

/// Runs a query over everything in a folder.
fn run(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    command.current_dir(folder).env_remove("NO_COLOR").envs(env.iter().copied());
    let output =
        command.arg("query").args(["--format", "csv", "--csv-raw"]).args(args).arg(".").output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// C1: a gzip file that is cut at any byte has the rows before the cut, a located loss and its exit status.
#[test]
fn a_file_cut_at_every_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.gz");
    let whole = gzip(&records(0..8));
    let mut most = 0;
    for len in 0..=whole.len() {
        std::fs::write(&path, &whole[..len]).expect("written");
        let run = run(folder.path(), COUNT, &[]);
        let rows = (0..=8).find(|n: &usize| {
            let total = if *n == 0 { String::new() } else { (0..*n).sum::<usize>().to_string() };
            run.out == format!("all,with,total\n{n},{n},{total}\n")
        });
        let rows = rows.unwrap_or_else(|| panic!("cut at {len}: {}{}", run.out, run.err));
        assert!(rows >= most, "cut at {len}: fewer rows for more bytes");
        most = rows;
        if len == whole.len() {
            assert_eq!((run.exit, rows), (0, 8), "{}", run.err);
            continue;
        }
        assert_eq!(run.exit, 3, "cut at {len}: {}", run.err);
        let located =
            run.err.lines().any(|line| line.starts_with("damaged: ./a.gz at byte ") && line.contains("truncated"));
        assert!(located, "cut at {len}: {}", run.err);
    }
    assert_eq!(most, 8, "a cut in the trailer loses no row");
}

/// J12: what a time means does not depend on where the program runs.
#[test]
fn times_do_not_depend_on_the_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let times = [
        "\"2024-03-31T02:30:00Z\"",
        "\"2024-03-31T02:30:00\"",
        "\"2016-12-31T23:59:60Z\"",
        "\"0000-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:59Z\"",
        "1711852200000",
        "1711852200",
        "\"1711852200000\"",
        "\"31/Mar/2024:02:30:00 +0200\"",
        "\"not a time\"",
    ];
    let text: String = times.iter().map(|time| format!("{{\"@timestamp\":{time}}}\n")).collect();
    std::fs::write(folder.path().join("a"), text).expect("written");
    let answers: BTreeMap<String, &str> = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "nonsense"]
        .into_iter()
        .zip(["C", "de_DE.UTF-8", "tr_TR.UTF-8", "ar_SA", "nonsense"])
        .map(|(zone, locale)| {
            let run =
                run(folder.path(), &["fields @timestamp, toMillis(@timestamp)"], &[("TZ", zone), ("LC_ALL", locale)]);
            (format!("{} {}", run.exit, run.out), zone)
        })
        .collect();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers.keys().all(|answer| answer.starts_with("0 ")), "{answers:#?}");
}

/// C9: whatever names the members of an archive have, nothing is written.
#[test]
fn members_are_not_unpacked() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("made");
    let mut archive = Vec::new();
    for name in ["../escaped.json", "/tmp/backsight-escaped.json", "below/deep.json"] {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        for (at, text) in [(100, "0000644"), (124, "00000000010"), (156, "0"), (257, "ustar\x0000"), (148, "        ")]
        {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(b"{\"n\":1}\n");
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    std::fs::write(inner.join("a.tar"), &archive).expect("written");
    std::fs::write(inner.join("b.tgz"), gzip(&archive)).expect("written");
    let run = run(&inner, COUNT, &[]);
    assert_eq!((run.exit, run.out.as_str()), (0, "all,with,total\n6,6,6\n"), "{}", run.err);
    let list = |folder: &Path| std::fs::read_dir(folder).expect("listed").count();
    assert_eq!((list(folder.path()), list(&inner)), (1, 2));
    assert!(!Path::new("/tmp/backsight-escaped.json").exists());
}

/// F1: a file that grows, goes or is replaced while it is read: what was there when it was opened is read, and of what was
/// added later is told.
#[cfg(unix)]
#[test]
fn files_that_grow_go_or_are_replaced() {
    use std::io::Write;
    let bytes = records(0..100_000);
    let new = records(0..10);
    let change: [fn(&Path, &[u8]); 3] = [
        |path, new| {
            let file = std::fs::OpenOptions::new().append(true).open(path);
            file.and_then(|mut file| file.write_all(new)).expect("grown");
        },
        |path, _| std::fs::remove_file(path).expect("removed"),
        |path, new| {
            let beside = path.with_extension("new");
            std::fs::write(&beside, new).and_then(|()| std::fs::rename(beside, path)).expect("replaced");
        },
    ];
    // The times of change fall before, into and behind the run.
    for (at, change) in change.iter().cycle().take(9).enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, &bytes).expect("written");
        std::fs::write(folder.path().join("b"), b"{\"n\":1}\n").expect("written");
        let changer = std::thread::spawn({
            let (path, new, change) = (path.clone(), new.clone(), *change);
            move || {
                std::thread::sleep(Duration::from_millis(at as u64 / 3 * 15));
                change(&path, &new);
            }
        });
        let run = run(folder.path(), &["stats count(*) as c"], &[]);
        changer.join().expect("no panic");
        // All, all and the new, or what it is now.
        let possible = ["c\n100001\n", "c\n100011\n", "c\n1\n", "c\n11\n"];
        assert!(possible.contains(&run.out.as_str()), "change {at}: {} {}", run.out, run.err);
        assert!(run.exit == 0 || run.err.contains("cannot be read"), "change {at}: {} {}", run.exit, run.err);
    }
}

/// F3: names of any bytes and of any length, and one that looks like an option.
#[cfg(target_os = "linux")]
#[test]
fn names_of_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().expect("a folder");
    let long = "l".repeat(255);
    let names: [&[u8]; 4] = [b"\xff\xfe.json", long.as_bytes(), b"--format", b"\x1b]0;title\x07"];
    for name in names {
        std::fs::write(folder.path().join(OsStr::from_bytes(name)), b"{\"n\":1}\nno json\n").expect("written");
    }
    let run = run(folder.path(), COUNT, &[]);
    assert_eq!((run.exit, run.out.as_str()), (0, "all,with,total\n8,4,4\n"), "{}", run.err);
    assert!(run.err.contains("1 record not JSON") && !run.err.contains('\x1b'), "{}", run.err);
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    let output =
        command.current_dir(folder.path()).args(["query", "--format", "csv", "--", COUNT[0], "--format"]).output();
    let output = output.expect("runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all,with,total\n2,1,1\n");
}

/// F1: a file that is cut short while it is read is an error for that file, never the end of the process.
#[cfg(unix)]
#[test]
fn files_that_change_while_they_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    let bytes = records(0..200_000);
    std::fs::write(folder.path().join("b"), b"{\"n\":1}\n").expect("written");
    // Each takes a fifth of a second.
    let times: u64 = std::env::var("BACKSIGHT_FAULTS").ok().and_then(|n| n.parse().ok()).unwrap_or(8).min(500);
    for time in 0..times {
        std::fs::write(&path, &bytes).expect("written");
        let cutter = std::thread::spawn({
            let path = path.clone();
            move || {
                std::thread::sleep(Duration::from_micros(time * 7919 % 200_000));
                std::fs::OpenOptions::new().write(true).open(path).and_then(|f| f.set_len(time * 1001)).expect("cut");
            }
        });
        let run = run(folder.path(), &["stats count(*) > 0 as some"], &[]);
        cutter.join().expect("no panic");
        assert!(matches!(run.exit, 0 | 3), "cut {time}: {} {}", run.exit, run.err);
        assert_eq!(run.out, "some\n1\n", "cut {time}: {}", run.err);
        if run.exit == 3 {
            assert!(run.err.contains("cut short while being read"), "{}", run.err);
        }
    }
}

/// P1 and the JSON test suite: folders of hostile files are answered as a whole.
#[test]
fn hostile_folders() {
    let Some(shared) = std::env::var_os("BACKSIGHT_SHARED") else {
        eprintln!("skipped: BACKSIGHT_SHARED is not set");
        return;
    };
    for folder in ["data/jsontestsuite", "data/parquet-testing"] {
        let folder = Path::new(&shared).join(folder);
        if !folder.is_dir() {
            eprintln!("skipped: {} is not there", folder.display());
            continue;
        }
        let started = Instant::now();
        let run = run(&folder, &["stats count(*) > 0 as some"], &[]);
        assert!(matches!(run.exit, 0 | 3), "{}: {} {}", folder.display(), run.exit, run.err);
        assert_eq!(run.out, "some\n1\n", "{}", run.err);
        assert!(!run.err.contains("panicked") && started.elapsed() < Duration::from_secs(60), "{}", run.err);
    }
}

/// J3: sequences that are no text, and what is odd in text, shown as JSON that says the same again.
#[test]
fn strings_come_back() {
    let raw: &[&[u8]] = &[
        b"\\u0000",
        b"\\u001b[31m",
        b"\\u007f",
        b"\\u0085",
        b"\\u2028\\u2029",
        b"\\ud83d\\ude00",
        b"\\\"\\\\\\/",
        b"\\b\\f\\n\\r\\t",
        b"\xc3\xa9",
        b"\xf0\x9f\x98\x80",
        b"\xe2\x80\xae",
        b"\xef\xbb\xbf",
        b"\xef\xbf\xbe",
        b"\x7f",
        b"\xc2\x9b31m",
    ];
    // With U+FFFD for what is no character.
    let lossy: &[&[u8]] = &[
        b"\\ud800",
        b"\\udfff",
        b"\\ud800\\ud800",
        b"\\udc00\\ud800",
        b"\\ud83dx",
        b"\xff",
        b"\xfe\xff",
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"a\xffb",
        b"\xc3(",
        b"\xe2(\xa1",
        b"\xf0(\x8c(",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let line = |text: &&[u8]| [b"{\"s\":\"a", *text, b"z\"}\n"].concat();
    let input: Vec<u8> = raw.iter().chain(lossy).flat_map(line).collect();
    std::fs::write(folder.path().join("a.json"), &input).expect("written");
    let query = ["fields s | sort @ptr | limit 100"];
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    command.current_dir(folder.path()).args(["query", "--format", "ndjson", query[0], "a.json"]);
    let output = command.output().expect("runs");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8(output.stdout).expect("what is written is UTF-8");
    assert_eq!((output.status.code(), out.lines().count()), (Some(0), 40), "{err}");
    for (text, shown) in raw.iter().zip(out.lines()) {
        let line = line(text);
        let same: serde_json::Value = serde_json::from_slice(&line).expect("sound");
        assert_eq!(serde_json::from_str::<serde_json::Value>(shown).expect("JSON"), same);
    }
    for (text, shown) in lossy.iter().zip(out.lines().skip(raw.len())) {
        let shown: serde_json::Value = serde_json::from_str(shown).expect("JSON");
        let shown = shown["s"].as_str().expect("a string").to_owned();
        let plain = text.iter().all(u8::is_ascii);
        let marked =
            if plain { shown.contains('\u{fffd}') } else { shown.contains('\u{fffd}') || shown.contains("\\x") };
        assert!(shown.starts_with('a') && shown.ends_with('z') && marked, "{text:?}: {shown:?}");
    }
    assert!(err.contains("20 records not UTF-8") && err.contains("5 records with half a surrogate pair"), "{err}");
}

/// F2: what is no file, cannot be read or leads back is named and left out, and the rest is read.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_named() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("d/e")).expect("made");
    std::fs::write(at("d/e/a.json"), records(0..2)).expect("written");
    symlink("..", at("d/e/up")).expect("linked");
    symlink("nowhere", at("dangling")).expect("linked");
    symlink("/dev/null", at("device")).expect("linked");
    symlink("a.json", at("d/e/same")).expect("linked");
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("bound");
    let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status().is_ok_and(|s| s.success());
    std::fs::write(at("locked"), records(0..1)).expect("written");
    std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o000)).expect("locked");
    let locked = std::fs::File::open(at("locked")).is_err();
    let run = run(folder.path(), COUNT, &[]);
    let (answer, exit) = if locked { ("2,2,1", 3) } else { ("3,3,1", 3) };
    assert_eq!((run.out.as_str(), run.exit), (&*format!("all,with,total\n{answer}\n"), exit), "{}", run.err);
    for (name, why, there) in [
        ("up", "a link back to", true),
        ("dangling", "cannot be read", true),
        ("device", "not a regular file", true),
        ("socket", "not a regular file", true),
        ("same", "the same file as", true),
        ("fifo", "not a regular file", fifo),
        ("locked", "cannot be read", locked),
    ] {
        if !there {
            eprintln!("SKIPPED: {name}: there can be none for who runs this");
        }
        let said = run.err.lines().any(|line| line.contains(name) && line.contains(why));
        assert!(said || !there, "{name}: {}", run.err);
    }
}

/// F2: files of `/proc` claim to be empty and are not.
#[cfg(target_os = "linux")]
#[test]
fn files_that_claim_to_be_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/proc/version", folder.path().join("version")).expect("linked");
    assert_eq!(run(folder.path(), &["stats count(*) as c"], &[]).out, "c\n1\n");
}
