//! Archives: nothing is lost, nothing is half there, and others can read them.
//!
//! `BACKSIGHT_RANDOM=10000` asks for that many hostile records, `BACKSIGHT_KILLS=200` for that many kills.

use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_io::archive::{self, Converted, Faults, Manifest, Settings};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// A generator of numbers that is good enough for tests (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }
}

const KEYS: &[&[u8]] = &[
    b"a",
    b"A",
    b"id",
    b"status",
    b"Status",
    b"a.b",
    b"",
    b"@x",
    b"@timestamp",
    b"@message",
    b"@@y",
    b"time",
    b"k\\u0065y",
    b"\\u0061",
    b"with space",
    b"caf\xc3\xa9",
    b"not utf8 \xff",
    b"back`tick",
    b"@seq",
    b"@layout",
    b"day",
];

const VALUES: &[&[u8]] = &[
    b"1",
    b"-0",
    b"0.10",
    b"1e400",
    b"9223372036854775808",
    b"123456789012345678901234567890",
    b"1.0",
    b"true",
    b"false",
    b"null",
    b"\"\"",
    b"\"x\"",
    b"\"401\"",
    b"401",
    b"\"\\u00e9\"",
    b"\"\\/\"",
    b"\"\\\"\"",
    b"\"\\ud800\"",
    b"\"a\\nb\"",
    b"\"\xff\xfe\"",
    b"\"caf\xc3\xa9\"",
    b"\"\\u0001\\u0002\\u0003\"",
    b"[]",
    b"{}",
    b"[1, 2]",
    b"{\"b\": {\"c\": [null]}}",
    b"{\"@timestamp\":1}",
    b"\"0293ed93-d9da-143e-084f-d80a3f27823b\"",
    b"\"0293ED93-d9da-143e-084f-d80a3f27823b\"",
    b"\"2024-05-01T10:00:00Z\"",
    b"1714557600000",
    b"\"{\\\"in\\\":1}\"",
    b"\"\x7f\"",
];

const LINES: &[&[u8]] = &[
    b"",
    b" ",
    b"\t",
    b"not JSON",
    b"{",
    b"}",
    b"[1]",
    b"\"text\"",
    b"{\"a\":1}}",
    b"{\"a\":1} ",
    b" {\"a\":1}",
    b"{\"a\" : 1}",
    b"\xff\xfe\x00",
    b"\x01\x02\x03\x04",
    b"{\"a\":01}",
    b"{\"a\":\"\t\"}",
    b"{\"a\":1,}",
    b"\xef\xbb\xbf{\"a\":1}",
    b"{\"a\":1}\r",
    b"null",
    b"{\"a\":1}\x01",
    b"\x0b",
    b"{\"a\":1}\x0c",
    b"{\"a\":\x01}",
];

/// A record that tries to come back wrong.
fn hostile(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => return random.pick(LINES).to_vec(),
        1 => return (0..random.below(40)).map(|_| random.next() as u8).filter(|b| *b != b'\n').collect(),
        2 => {
            let depth = 1 + random.below(140);
            return [b"{\"deep\":".repeat(depth), b"1".to_vec(), b"}".repeat(depth)].concat();
        }
        _ => {}
    }
    let mut out = b"{".to_vec();
    let spaced = random.below(4) == 0;
    for n in 0..random.below(9) {
        if n > 0 {
            out.extend_from_slice(if spaced { b" , " } else { b"," });
        }
        out.push(b'"');
        if random.below(20) == 0 {
            out.extend_from_slice(format!("key {}", random.below(5000)).as_bytes());
        } else {
            out.extend_from_slice(random.pick(KEYS));
        }
        out.extend_from_slice(if spaced { b"\": " } else { b"\":" });
        out.extend_from_slice(random.pick(VALUES));
    }
    out.push(b'}');
    out
}

fn hostile_lines(seed: u64, count: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut out = Vec::new();
    for n in 0..count {
        out.extend(hostile(&mut random));
        match random.below(30) {
            0 => out.extend_from_slice(b"\r\n"),
            1 => out.extend_from_slice(b"\n\n \n"),
            2 if n + 1 == count => {}
            _ => out.push(b'\n'),
        }
    }
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn convert(paths: &[PathBuf], settings: &Settings) -> Result<Converted, Error> {
    convert_reading(paths, settings, false)
}

/// `strict`: no reader bets on what lines have in common.
fn convert_reading(paths: &[PathBuf], settings: &Settings, strict: bool) -> Result<Converted, Error> {
    let options = backsight_io::Options { morsel: 1 << 12, strict, ..backsight_io::Options::default() };
    let files = backsight_io::open(paths, options)?;
    archive::convert(&files, settings, &Ctl::new(1).expect("threads"))
}

fn to(target: PathBuf) -> Settings {
    Settings { target, threads: 2, ..Settings::default() }
}

/// The files below a folder and their bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                out.insert(path.strip_prefix(folder).expect("below").to_path_buf(), bytes);
            }
        }
    }
    out
}

/// The Parquet files of an archive and their bytes.
fn parquet(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = contents(folder);
    out.retain(|path, _| path.extension().is_some_and(|e| e == "parquet"));
    out
}

/// Converts, restores, and compares what comes back with what went in.
#[track_caller]
fn comes_back(paths: &[PathBuf], target: PathBuf) -> Converted {
    let folder = tempfile::tempdir().expect("a folder");
    let done = convert(paths, &to(target.clone())).expect("converted");
    let ctl = Ctl::new(1).expect("threads");
    let restored = archive::restore(&target, &folder.path().join("back"), false, &Faults::default(), &ctl);
    let restored = restored.expect("restored");
    assert_eq!(restored.wrong, []);
    let check = archive::verify(&target, &ctl).expect("an archive");
    assert_eq!((check.wrong, check.records), (Vec::new(), done.manifest.records));
    // The restored files are what the inputs hold, not only what the manifest says.
    let mut back: Vec<Vec<u8>> = contents(&folder.path().join("back")).into_values().collect();
    let mut sent: Vec<Vec<u8>> = done
        .manifest
        .inputs
        .iter()
        .map(|entry| {
            let bytes = std::fs::read(&entry.path).expect("the input is there");
            if bytes.starts_with(b"\x1f\x8b") { gunzip(&bytes) } else { bytes }
        })
        .collect();
    back.sort();
    sent.sort();
    assert!(back == sent, "restored files differ");
    done
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).expect("sound gzip");
    out
}

#[test]
fn hostile_records_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = setting("BACKSIGHT_RANDOM", 600) as usize;
    let inputs = folder.path().join("in");
    std::fs::create_dir_all(inputs.join("dt=2024-05-01")).expect("a folder");
    for (name, bytes) in [
        ("a.ndjson", hostile_lines(1, count)),
        ("dt=2024-05-01/b.ndjson", [&b"\xef\xbb\xbf"[..], &hostile_lines(2, count / 2)].concat()),
        ("c.ndjson.gz", gzip(&hostile_lines(3, count / 2))),
        ("empty.ndjson", Vec::new()),
        ("blank.ndjson", b"\n \n\r\n".to_vec()),
        ("one.json", b"{\"a\":1}".to_vec()),
    ] {
        std::fs::write(inputs.join(name), bytes).expect("written");
    }
    let done = comes_back(std::slice::from_ref(&inputs), folder.path().join("folder"));
    assert_eq!(done.manifest.inputs.len(), 6);
    comes_back(&[inputs], folder.path().join("single.parquet"));
}

#[test]
fn real_samples_come_back() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("BACKSIGHT_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if !shared.is_dir() {
        eprintln!("SKIPPED: no samples at {} (set BACKSIGHT_SHARED)", shared.display());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&shared).expect("readable") {
        let path = entry.expect("readable").path();
        // Parquet is no text, and of that test suite the valid files follow.
        if !path.ends_with("parquet-testing") && !path.ends_with("jsontestsuite") {
            paths.push(path);
        }
    }
    let done = comes_back(&paths, folder.path().join("archive"));
    assert!(done.manifest.records > 1000, "{}", done.manifest.records);
    let suite = shared.join("jsontestsuite/test_parsing");
    if suite.is_dir() {
        let valid = contents(&suite).into_iter().filter(|(name, _)| name.to_string_lossy().starts_with("y_"));
        let records: Vec<u8> = valid.flat_map(|(_, bytes)| [bytes, b"\n".to_vec()].concat()).collect();
        let path = folder.path().join("valid.ndjson");
        std::fs::write(&path, records).expect("written");
        comes_back(&[path], folder.path().join("valid.parquet"));
    }
}

/// A small tree of inputs over several days.
fn tree(folder: &Path, files: usize, lines: usize) -> PathBuf {
    let inputs = folder.join("in");
    std::fs::create_dir_all(&inputs).expect("a folder");
    for file in 0..files {
        let text: String = (0..lines)
            .map(|n| {
                let (day, id) = (1 + (n * 3 / lines), file * lines + n);
                format!(
                    "{{\"time\":\"2024-05-{day:02}T10:00:00Z\",\"id\":\"{id:08x}-0000-4000-8000-000000000000\",\"ip\":\"10.0.{}.{}\",\"n\":{n},\"status\":\"{}\"}}\n",
                    id / 256 % 256, id % 256, 200 + n % 5,
                )
            })
            .collect();
        std::fs::write(inputs.join(format!("{file:03}.ndjson")), text).expect("written");
    }
    inputs
}

#[test]
fn a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = tree(folder.path(), 2, 40);
    let before = contents(&inputs);
    for name in ["archive", "archive.parquet"] {
        let target = folder.path().join(name);
        let mut k = 0;
        loop {
            k += 1;
            let faults = Faults::at(k);
            match convert(
                std::slice::from_ref(&inputs),
                &Settings { faults: faults.clone(), part_bytes: 1, ..to(target.clone()) },
            ) {
                Ok(_) => break assert!(!faults.struck(), "step {k} failed unnoticed"),
                Err(Error::Io { source, .. }) => assert_eq!(source.kind(), ErrorKind::StorageFull, "step {k}"),
                Err(other) => panic!("step {k}: {other}"),
            }
            let left: Vec<_> =
                std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
            assert!(!left.iter().any(|n| n.to_string_lossy().contains(name)), "step {k} left {left:?}");
        }
        assert!(k > 10, "only {k} steps");
        let _ = if target.is_dir() { std::fs::remove_dir_all(&target) } else { std::fs::remove_file(&target) };
        let _ = std::fs::remove_file(Manifest::beside(&target));
    }
    assert!(contents(&inputs) == before, "inputs were touched");
}

#[cfg(unix)]
#[test]
fn the_program_ends_with_4_where_files_cannot_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    tree(folder.path(), 2, 400);
    let binary = assert_cmd::cargo::cargo_bin("backsight");
    let mut limits = 0;
    for (target, blocks) in [("archive", 1), ("archive.parquet", 1), ("archive", 2), ("archive.parquet", 8)] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" convert in -o {target} --part-size 1K -q");
        let output = Command::new("sh").args(["-c", &limited]).arg(&binary).current_dir(folder.path()).output();
        let output = output.expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let made = folder.path().join(target);
            let _ = if made.is_dir() { std::fs::remove_dir_all(&made) } else { std::fs::remove_file(&made) };
            let _ = std::fs::remove_file(Manifest::beside(&made));
            continue;
        }
        limits += 1;
        assert_eq!(output.status.code(), Some(4), "{blocks}: {said}");
        assert!(said.contains(target), "{said}");
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["in"], "{blocks} left something");
    }
    assert!(limits >= 2, "{limits}");
}

#[test]
fn many_days_need_few_open_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = folder.path().join("in.ndjson");
    let line = |n: usize| {
        format!("{{\"time\":\"2024-{:02}-{:02}T{:02}:00:00Z\",\"n\":{n}}}\n", 1 + n % 12, 1 + n % 28, n % 24)
    };
    std::fs::write(&inputs, (0..3000).map(line).collect::<String>()).expect("written");
    let done = comes_back(&[inputs], folder.path().join("archive"));
    assert!(done.manifest.files.len() >= 84, "{}", done.manifest.files.len());
}

/// Runs the program in a folder: what it prints.
fn backsight(folder: &Path, args: &[&str]) -> String {
    let binary = assert_cmd::cargo::cargo_bin("backsight");
    let output = Command::new(binary).current_dir(folder).args(args).output().expect("runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_layout_is_answered_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let (fixtures, archive) = (fixtures.to_string_lossy(), folder.path().join("archive"));
    let archive = archive.to_string_lossy();
    backsight(folder.path(), &["convert", "-q", &fixtures, "-o", &archive]);
    for query in [
        "fields @timestamp, @message, @log, @logStream, @ptr, @ingestionTime | limit 10000",
        "fields ip, status, srcAddr, action, eventName, requestId, user, client_ip, c_ip, level, field_3 | limit 10000",
        "filter @message like /4[0-9][0-9]/ | stats count(*), min(@timestamp), count_distinct(@ptr) by @logStream",
        "filter status >= 400 | sort @timestamp asc, @ptr desc | limit 20",
    ] {
        let asked = |input: &str| backsight(folder.path(), &["query", "-q", "--format", "ndjson", query, input]);
        let (plain, kept) = (asked(&fixtures), asked(&archive));
        assert!(plain.lines().count() > 1, "{query}");
        assert_eq!(plain, kept, "{query}");
    }
}

#[test]
fn lines_under_several_headers_are_answered_from_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, header: &str, line: &dyn Fn(u32) -> String| {
        let lines: String = (0..3000).map(line).collect();
        std::fs::write(folder.path().join(name), format!("{header}\n{lines}")).expect("written");
    };
    std::fs::create_dir(folder.path().join("in")).expect("a folder");
    write("in/a.csv", "time,ip,status,note", &|n| format!("2024-05-01T10:00:00Z,10.0.0.{},200,a{n:x}\n", n % 9));
    write("in/b.csv", "note,status,time,who", &|n| format!("b{n:x},{},2024-05-02T10:00:00Z,x{n}\n", 200 + n % 7));
    write("in/c.csv", "ip,Status", &|n| format!("10.1.0.{},{}\n", n % 5, 400 + n % 3));
    let run = |args: &[&str]| backsight(folder.path(), args);
    run(&["convert", "in", "-o", "archive", "-q", "--partition", "none"]);
    for query in [
        "fields @timestamp, @message, @logStream, @ptr, ip, status, Status, who, note, field_1 | limit 10000",
        "filter status >= 203 | stats count(*), min(@timestamp) by ip, status | sort ip, status",
        "stats count(*) as n by Status, who | sort n desc, who | limit 20",
        "filter ispresent(note) and not ispresent(ip) | fields who, note | limit 10000",
    ] {
        let asked = |input: &str| run(&["query", "-q", "--format", "ndjson", query, input]);
        assert_eq!(asked("in"), asked("archive"), "{query}");
    }
    // The notes, most of the bytes, need not be looked at.
    let binary = assert_cmd::cargo::cargo_bin("backsight");
    let args = ["query", "-q", "--stats", "json", "stats count(*) by status", "archive"];
    let output = Command::new(binary).current_dir(folder.path()).args(args).output().expect("runs");
    let stats: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON");
    let read = stats["fetched_bytes"].as_u64().expect("a number");
    let all: usize = parquet(&folder.path().join("archive")).values().map(Vec::len).sum();
    assert!(read * 20 < all as u64, "{read} of {all}");
}

#[test]
fn rows_of_tables_are_converted_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "{\"time\":\"2024-05-01T10:00:00Z\",\"n\":1,\"ip\":\"10.0.0.1\",\"tags\":[1,2]}\n\
                {\"time\":\"2024-05-02T10:00:00Z\",\"n\":25,\"ip\":\"10.0.0.2\",\"@message\":\"own\"}\n\
                {\"n\":null,\"ip\":\"\"}\n";
    let table = backsight_io::parquet::testing::from_ndjson(text).expect("a table");
    std::fs::write(folder.path().join("t.parquet"), table).expect("written");
    let run = |args: &[&str]| backsight(folder.path(), args);
    run(&["convert", "t.parquet", "-o", "archive", "-q"]);
    for query in [
        "fields @timestamp, @message, @logStream, @ptr, n, ip, tags.0",
        "filter n > 1 | fields ip, @message",
        "stats count(*), sum(n) by ip | sort ip",
    ] {
        let asked = |input| run(&["query", "--quiet", "--format", "ndjson", query, input]);
        assert_eq!(asked("t.parquet"), asked("archive"), "{query}");
    }
    run(&["convert", "archive", "-o", "back", "--restore", "-q"]);
    let back = std::fs::read_to_string(folder.path().join("back/t.parquet.ndjson")).expect("restored");
    assert_eq!(back.lines().count(), 3);
    run(&["convert", "archive", "--verify", "-q"]);
}

#[test]
fn inputs_without_records_are_on_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = folder.path().join("in");
    std::fs::create_dir(&inputs).expect("a folder");
    let table = backsight_io::parquet::testing::from_ndjson("").expect("a table");
    let all: [(&str, Vec<u8>); 7] = [
        ("blank.ndjson", b"\n \n".to_vec()),
        ("deliveries.json", b"{\"Records\":[]}\n".to_vec()),
        ("empty.ndjson", Vec::new()),
        ("list.json", b"[]\n".to_vec()),
        ("nothing.json.gz", gzip(b"")),
        ("one!.json", Vec::new()),
        ("table.parquet", table),
    ];
    for (name, bytes) in &all {
        std::fs::write(inputs.join(name), bytes).expect("written");
    }
    let run = |args: &[&str]| backsight(folder.path(), args);
    for (input, target, count) in [("in", "archive", all.len()), ("in/table.parquet", "one.parquet", 1)] {
        run(&["convert", "-q", input, "-o", target]);
        run(&["convert", "-q", "--verify", target]);
        let manifest = archive::Manifest::of(&folder.path().join(target)).expect("a manifest");
        assert_eq!((manifest.inputs.len(), manifest.records), (count, 0), "{:?}", manifest.skipped);
        assert!(manifest.inputs.iter().all(|entry| entry.sha256.len() == 64 && entry.sha256_stored.is_some()));
        let back = format!("{target}.back");
        run(&["convert", "-q", "--restore", target, "-o", &back]);
        let back = contents(&folder.path().join(back));
        assert_eq!(back.len(), count);
        for (path, bytes) in back {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            // Compressed files and tables come back as what was in them.
            let sent = all.iter().find(|(sent, _)| *sent == name).map_or(&[][..], |(_, sent)| sent);
            assert_eq!(bytes, sent, "{name}");
        }
    }
    let counted = run(&["query", "-q", "--format", "csv", "stats count(*) as n", "one.parquet"]);
    assert_eq!(counted, "n\n0\n");
}

#[test]
fn any_number_of_threads_gives_the_same_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = tree(folder.path(), 5, 300);
    let made = |threads: usize| {
        let target = folder.path().join(format!("archive{threads}"));
        convert(std::slice::from_ref(&inputs), &Settings { threads, ..to(target.clone()) }).expect("converted");
        parquet(&target)
    };
    let one = made(1);
    assert_eq!(one.len(), 3, "a file a day");
    assert!(one == made(4));
}

#[test]
fn killed_runs_leave_nothing_and_are_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    tree(folder.path(), 12, 1500);
    let run = |target: &str, more: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("backsight"));
        command.current_dir(folder.path()).args(["convert", "in", "-o", target, "--part-size", "300K"]).args(more);
        command.stderr(Stdio::piped());
        command
    };
    let started = std::time::Instant::now();
    assert!(run("whole", &[]).status().expect("runs").success());
    let took = started.elapsed();
    let whole = parquet(&folder.path().join("whole"));
    let mut random = Random(setting("BACKSIGHT_SEED", 1));
    for kill in 0..setting("BACKSIGHT_KILLS", 8) {
        let target = folder.path().join("target");
        let mut resume: &[&str] = &[];
        // Killed up to three times on the way.
        for _ in 0..1 + random.below(3) {
            let mut child = run("target", resume).spawn().expect("runs");
            std::thread::sleep(Duration::from_micros(random.next() % (took.as_micros() as u64 + 1)));
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            if target.exists() {
                break;
            }
            resume = &["--resume"];
        }
        if target.exists() {
            assert!(parquet(&target) == whole, "kill {kill}: what is visible is not whole");
        } else {
            let journal = std::fs::read_to_string(folder.path().join(".backsight-tmp-target/journal"));
            let settled = journal.is_ok_and(|text| text.contains('\n'));
            let output = run("target", &["--resume"]).output().expect("runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "kill {kill}: {said}");
            assert_eq!(said.contains("taken over"), settled, "kill {kill}: {said}");
        }
        assert!(parquet(&target) == whole, "kill {kill}: resumed to something else");
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
        // The lock of a run that was killed after it was done may be left.
        assert!(left.len() <= 4, "kill {kill} left {left:?}");
        std::fs::remove_dir_all(&target).expect("removed");
    }
}

/// Lines of a few forms with everything in them that a reader may trip over.
fn similar_lines(random: &mut Random, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for n in 0..count {
        let value = |random: &mut Random| random.pick(VALUES).to_vec();
        let form = random.below(5);
        let (open, close): (&[u8], &[u8]) = match form {
            0 => (b"{\"n\": ", b" }"),
            1 => (b"{\"\":{\"in\":{\"s\":\"x\"},\"l\":[\"a\", \"b\"]},\"n\":", b"}"),
            2 => (b"{\"deep\":{\"s\":\"x\"},\"n\":", b"}"),
            _ => (b"{\"n\":", b"}"),
        };
        let common = format!(",\"time\":\"2024-05-01T10:{:02}:00Z\",\"s\":\"text {}\"", n % 60, random.below(90));
        let values = [value(random), value(random)];
        for part in [open, &values[0], common.as_bytes(), b",\"v\":", &values[1], close] {
            out.extend_from_slice(part);
        }
        let end: &[u8] = if random.below(40) == 0 {
            b"\n \n"
        } else if form == 3 {
            b"\r\n"
        } else {
            b"\n"
        };
        out.extend_from_slice(end);
    }
    out
}

#[test]
fn what_the_reader_knows_of_lines_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = [folder.path().join("similar.ndjson"), folder.path().join("hostile.ndjson")];
    let count = setting("BACKSIGHT_RANDOM", 600) as usize;
    std::fs::write(&inputs[0], similar_lines(&mut Random(7), 2 * count)).expect("written");
    std::fs::write(&inputs[1], hostile_lines(8, count)).expect("written");
    let made = |strict: bool| {
        let target = folder.path().join(format!("archive-{strict}"));
        convert_reading(&inputs, &to(target.clone()), strict).expect("converted");
        parquet(&target)
    };
    assert!(made(true) == made(false));
    comes_back(&inputs, folder.path().join("archive"));
}

#[test]
fn two_runs_to_one_target_cannot_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = tree(folder.path(), 3, 300);
    for round in 0..setting("BACKSIGHT_RACES", 5) {
        let target = folder.path().join(format!("archive{round}"));
        let results: Vec<bool> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| convert(std::slice::from_ref(&inputs), &to(target.clone())).is_ok()))
                .collect();
            runs.into_iter().map(|run| run.join().expect("no panic")).collect()
        });
        assert_eq!(results.iter().filter(|ok| **ok).count(), 1, "round {round}");
        assert_eq!(archive::verify(&target, &Ctl::new(1).expect("threads")).expect("an archive").wrong, []);
    }
}

#[test]
fn an_archive_that_was_changed_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = tree(folder.path(), 1, 50);
    let target = folder.path().join("archive");
    convert(std::slice::from_ref(&inputs), &to(target.clone())).expect("converted");
    let ctl = Ctl::new(1).expect("threads");
    std::fs::write(inputs.join("000.ndjson"), "{}\n").expect("written");
    let wrong = archive::verify(&target, &ctl).expect("an archive").wrong;
    assert!(wrong.len() == 1 && wrong[0].1.contains("not what was converted"), "{wrong:?}");
    let (name, mut bytes) = parquet(&target).pop_first().expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(target.join(&name), bytes).expect("written");
    let wrong = archive::verify(&target, &ctl).expect("an archive").wrong;
    assert!(wrong.iter().any(|(path, _)| Path::new(path) == name), "{wrong:?}");
}

#[test]
fn existing_output_is_kept_without_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = tree(folder.path(), 1, 5);
    let target = folder.path().join("archive.parquet");
    std::fs::write(&target, "theirs").expect("written");
    assert!(matches!(convert(std::slice::from_ref(&inputs), &to(target.clone())), Err(Error::Input { .. })));
    assert_eq!(std::fs::read(&target).expect("kept"), b"theirs");
    convert(&[inputs], &Settings { force: true, ..to(target.clone()) }).expect("replaced");
    assert!(std::fs::read(&target).expect("there").starts_with(b"PAR1"));
}

const PEERS: &str = r#"
import sys, duckdb, polars
files = sys.argv[1] + '/**/*.parquet'
q = 'select count(*), sum(n), count(distinct id), count(distinct ip), count(*) filter (status = $$202$$) from read_parquet(?)'
print(*duckdb.execute(q, [files]).fetchone())
t = polars.read_parquet(files)
print(t.height, t['n'].sum(), t['id'].n_unique(), t['ip'].n_unique(), (t['status'] == '202').sum())
"#;

#[test]
fn others_read_archives() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/venv/bin/python");
    let usual = if beside.is_file() { beside } else { "python3".into() };
    let python = std::env::var_os("BACKSIGHT_PYTHON").map_or(usual, PathBuf::from);
    let has_them = Command::new(&python).args(["-c", "import duckdb, polars"]).stderr(Stdio::null()).status();
    if !has_them.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: {} has no duckdb and polars (set BACKSIGHT_PYTHON)", python.display());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let inputs = tree(folder.path(), 4, 500);
    let target = folder.path().join("archive");
    convert(&[inputs], &to(target.clone())).expect("converted");
    let output = Command::new(python).args(["-c", PEERS]).arg(&target).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!("2000 {} 2000 2000 400\n", 4 * 499 * 500 / 2);
    assert_eq!(said, expected.repeat(2), "{}", String::from_utf8_lossy(&output.stderr));
}
