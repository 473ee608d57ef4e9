//! How fast lines are read, by how they lie: `cargo bench -p backsight-io`.

use backsight_engine::source::{Counters, Field, Flow, Scan, Source};
use backsight_io::{Files, Options, open};
use backsight_lang::ast::{Path, Segment};
use backsight_lang::span::Span;
use divan::Bencher;
use divan::counter::BytesCount;
use std::io::Write;

fn main() {
    divan::main();
}

const ROWS: usize = 20_000;

/// A way of writing the fields of a row.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Plain,
    Numbers,
    Shuffled,
    Optional,
    Nested,
    Escapes,
    Wide,
}

const SHAPES: [Shape; 7] =
    [Shape::Plain, Shape::Numbers, Shape::Shuffled, Shape::Optional, Shape::Nested, Shape::Escapes, Shape::Wide];

fn row(shape: Shape, i: usize) -> String {
    let mut fields: Vec<(String, String)> = vec![
        ("requestId".into(), format!("\"{:08x}-{:04x}-4aaa-8bbb-{:012x}\"", i * 7919, i % 4096, i * 104_729)),
        ("ip".into(), format!("\"10.{}.{}.{}\"", i % 7, i * 31 % 256, i * 17 % 256)),
        ("user".into(), format!("\"user{}\"", i % 97)),
        ("requestTime".into(), format!("\"25/Nov/2026:18:{:02}:{:02} +0000\"", i / 60 % 60, i % 60)),
        ("resourcePath".into(), format!("\"/v1/orders/{}/items\"", i % 513)),
        ("status".into(), format!("\"{}\"", [200, 200, 200, 404, 403][i % 5])),
        ("responseLength".into(), format!("\"{}\"", i * 13 % 99_991)),
        ("userAgent".into(), "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"".into()),
    ];
    match shape {
        Shape::Plain => {}
        Shape::Numbers => {
            for (_, value) in &mut fields[5..7] {
                *value = value.replace('"', "");
            }
        }
        Shape::Shuffled => fields.rotate_left(i * 5 % 8),
        Shape::Optional => {
            fields.retain(|(key, _)| key.len() != 4 && key.len() != 9 || !(i * key.len()).is_multiple_of(3))
        }
        Shape::Nested => fields.insert(1, ("request".into(), r#"{"http": {"tags": ["a", 1, null]}}"#.into())),
        Shape::Escapes => fields[7].1 = r#""a \"quoted\" agent\n\u00e9""#.into(),
        Shape::Wide => fields.extend((0..200).map(|k| (format!("field{k}"), format!("\"{}\"", k * 31)))),
    }
    let members: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A file of rows, which is gone when the folder is dropped.
fn file(shape: Shape) -> (tempfile::TempDir, Files, u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rows.ndjson");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("created"));
    for i in 0..ROWS {
        writeln!(out, "{}", row(shape, i)).expect("written");
    }
    out.flush().expect("written");
    let size = std::fs::metadata(&path).expect("there").len();
    (dir, open(&[path], Options::default()).expect("a file"), size)
}

fn fields(names: &[&str]) -> Vec<Field> {
    let segments = |name: &&str| vec![Segment::Name { text: (*name).into(), quoted: false }];
    names.iter().map(|name| Field::named(&Path { segments: segments(name), span: Span::default() })).collect()
}

/// Reads all of a file on this thread; the number of rows.
fn read(files: &Files, scan: &Scan) -> usize {
    let counters = Counters::default();
    let morsels = files.open(scan, &counters).expect("open");
    let mut rows = 0;
    while let Some(morsel) = morsels.next() {
        let flow = morsel.read(&mut |batch| {
            rows += divan::black_box(batch).rows;
            Ok(Flow::More)
        });
        flow.expect("read");
    }
    rows
}

fn bench(bencher: Bencher, shape: Shape, names: &[&str], needles: &[&[u8]]) {
    let (_dir, files, size) = file(shape);
    let needles = if needles.is_empty() { vec![] } else { vec![needles.iter().map(|n| n.to_vec()).collect()] };
    let scan = Scan { want: fields(names), needles, ..Scan::default() };
    bencher.counter(BytesCount::new(size)).bench_local(|| read(&files, &scan));
}

#[divan::bench(args = SHAPES)]
fn two_fields(bencher: Bencher, shape: Shape) {
    bench(bencher, shape, &["ip", "status"], &[]);
}

#[divan::bench(args = SHAPES)]
fn time_and_message(bencher: Bencher, shape: Shape) {
    bench(bencher, shape, &["@timestamp", "@message"], &[]);
}

#[divan::bench(args = SHAPES)]
fn lines_only(bencher: Bencher, shape: Shape) {
    bench(bencher, shape, &[], &[]);
}

#[divan::bench]
fn one_needle(bencher: Bencher) {
    bench(bencher, Shape::Plain, &["ip", "status"], &[b"00000000-0000-4aaa"]);
}

#[divan::bench]
fn three_needles(bencher: Bencher) {
    bench(bencher, Shape::Plain, &["ip", "status"], &[b"sqlmap", b"nikto", b"masscan"]);
}
