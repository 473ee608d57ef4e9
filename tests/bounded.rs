//! Input that is made to take all memory or time there is: what reads it stays small. With `BACKSIGHT_FAULTS` set the inputs
//! have the size of the list of faults (a gigabyte, 100,000 files), else one that a debug build gets through in a moment.
//!
//! In release, on two cores: a gzip bomb of 1 MiB becomes 1 GiB in 78 MiB of memory and half a second, a line of 1 GiB is
//! passed over in 77 MiB, 100,000 files of one record take two seconds.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn full() -> bool {
    std::env::var_os("BACKSIGHT_FAULTS").is_some()
}

struct Run {
    exit: Option<i32>,
    out: String,
    err: String,
    /// Mebibytes at its largest, mapped pages included.
    peak: u64,
}

/// Runs a query over a folder and watches how much memory it has.
fn run(folder: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("backsight"));
    command.current_dir(folder).args(["query", "--format", "csv", "--quiet"]).args(args).arg(".");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let exit = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let said = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = said.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = kib.unwrap_or(0).max(peak);
        match child.try_wait().expect("it is ours") {
            Some(exit) => break exit,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut out).expect("UTF-8");
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("UTF-8");
    Run { exit: exit.code(), out, err, peak: peak >> 10 }
}

/// C7: a gzip file that becomes a thousand times as large, as one line and as many.
#[test]
fn a_bomb_is_read_in_little_memory() {
    let size = if full() { 1 << 30 } else { 96 << 20 };
    let line = format!("{{\"n\":1,\"pad\":\"{}\"}}\n", "x".repeat(1 << 16)).into_bytes();
    for (what, piece, records) in [("blanks", vec![b' '; 1 << 16], 0), ("lines", line.clone(), size / line.len())] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = std::fs::File::create(folder.path().join("a.gz")).expect("made");
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::best());
        for _ in 0..size / piece.len() {
            encoder.write_all(&piece).expect("written");
        }
        encoder.finish().expect("written");
        let run = run(folder.path(), &["stats count(*) as c, count(n) as n", "--max-expansion", "2000"]);
        let blanks = u64::from(records == 0);
        assert_eq!(run.out, format!("c,n\n{records},{records}\n"), "{what}: {}", run.err);
        assert!(run.exit == Some(0) || blanks == 1 && run.exit == Some(3), "{what}: {:?} {}", run.exit, run.err);
        assert!(run.peak < 300, "{what}: {} MiB", run.peak);
        eprintln!("a bomb of {what}: {} MiB", run.peak);
    }
}

/// J5: a line that is longer than a record may be, plain.
#[test]
fn a_long_line_is_passed_over_in_little_memory() {
    let size = if full() { 1 << 30 } else { 96 << 20 };
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = std::fs::File::create(folder.path().join("a.json")).expect("made");
    file.write_all(b"{\"n\":1}\n{\"n\":5,\"pad\":\"").expect("written");
    for _ in 0..size >> 20 {
        file.write_all(&[b'x'; 1 << 20]).expect("written");
    }
    file.write_all(b"\"}\n{\"n\":2}\n").expect("written");
    let run = run(folder.path(), &["stats count(*) as c, sum(n) as n"]);
    assert_eq!((run.exit, run.out.as_str()), (Some(3), "c,n\n2,3\n"), "{}", run.err);
    assert!(run.peak < 300, "{} MiB", run.peak);
    eprintln!("a long line: {} MiB", run.peak);
}

/// J6: every record has a key that no other has.
#[test]
fn keys_without_end_are_read_in_little_memory() {
    let records = if full() { 1_000_000 } else { 50_000 };
    let folder = tempfile::tempdir().expect("a folder");
    let lines: String = (0..records).map(|i| format!("{{\"n\":1,\"key{i}\":{i}}}\n")).collect();
    std::fs::write(folder.path().join("a.json"), lines).expect("written");
    let run = run(folder.path(), &["stats count(*) as c, sum(n) as n, sum(key7) as seven"]);
    assert_eq!((run.exit, run.out), (Some(0), format!("c,n,seven\n{records},{records},7\n")), "{}", run.err);
    assert!(run.peak < 300, "{} MiB", run.peak);
}

/// F2: many files in one folder.
#[test]
fn many_files_are_read() {
    let files: u64 = if full() { 100_000 } else { 2_000 };
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..files {
        let below = folder.path().join(format!("d{}", n % 10));
        if n < 10 {
            std::fs::create_dir(&below).expect("made");
        }
        std::fs::write(below.join(format!("{n}.json")), format!("{{\"n\":{n}}}\n")).expect("written");
    }
    let started = Instant::now();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("backsight"));
    let fields = command.current_dir(folder.path()).args(["fields", "--format", "csv", "--quiet", "."]).output();
    let fields = String::from_utf8(fields.expect("it runs").stdout).expect("UTF-8");
    assert!(fields.contains(&format!("ndjson,n,{files},100,number,")), "{fields}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let run = run(folder.path(), &["stats count(*) as c, count_distinct(@logStream) as files, sum(n) as n"]);
    let sum = files * (files - 1) / 2;
    assert_eq!((run.exit, run.out), (Some(0), format!("c,files,n\n{files},{files},{sum}\n")), "{}", run.err);
    assert!(run.peak < 300, "{} MiB", run.peak);
}
