//! Lines of JSON and of text: what each kind of line becomes.

use super::{read_bytes, read_scan, scan};
use arrow::buffer::BooleanBuffer;
use backsight_engine::source::{Counters, Filter};
use backsight_engine::value::column::Batch;
use backsight_io::Options;

/// A line, what is wanted, and the cell that must come out (`kind:text`, null as nothing).
const CELLS: &[(&str, &str, &str)] = &[
    (r#"{"a":"x"}"#, "a", "String:x"),
    (r#"{"a":""}"#, "a", "String:"),
    (r#"{"a":"0042"}"#, "a", "String:0042"),
    (r#"{"a":404}"#, "a", "Number:404"),
    (r#"{"a":1.0}"#, "a", "Number:1.0"),
    (r#"{"a":-0.0e1}"#, "a", "Number:-0.0e1"),
    (r#"{"a":9223372036854775808}"#, "a", "String:9223372036854775808"),
    (r#"{"a":true}"#, "a", "Bool:true"),
    (r#"{"a":null}"#, "a", ""),
    (r#"{"b":1}"#, "a", ""),
    (r#"{"a":[1,2.50]}"#, "a", "List:[1,2.50]"),
    (r#"{"a": {"b": 1, "c": [true, null]} }"#, "a", r#"Map:{"b":1,"c":[true,null]}"#),
    (r#"{"a":"tab\there \u00e9 \"q\""}"#, "a", "String:tab\there é \"q\""),
    (r#"{"a":"\ud800"}"#, "a", "String:\u{fffd}"),
    (r#"  { "a" : "x" }  "#, "a", "String:x"),
    (r#"{"a":1,"a":2}"#, "a", "Number:2"),
    (r#"{"a":{"b":1},"a":{"c":2}}"#, "a.b", ""),
    (r#"{"a":1,"a":null}"#, "a", ""),
    (r#"{"\u0061":"escaped key"}"#, "a", "String:escaped key"),
    (r#"{"a":{"b":{"c":"deep"}}}"#, "a.b.c", "String:deep"),
    (r#"{"a":[{"b":"x"},{"b":"y"}]}"#, "a.1.b", "String:y"),
    (r#"{"a":[1]}"#, "a.1", ""),
    (r#"{"a":{"0":"key"}}"#, "a.0", "String:key"),
    (r#"{"a.b":"literal","a":{"b":"nested"}}"#, "a.b", "String:nested"),
    (r#"{"a.b":"literal","a":{"b":"nested"}}"#, "`a.b`", "String:literal"),
    (r#"{"a":{"b":"nested"}}"#, "`a.b`", "String:nested"),
    (r#"{"@x":1}"#, "@@x", "Number:1"),
    (r#"{"@x":1}"#, "@x", ""),
    (r#"{"a":1}"#, "@message", r#"String:{"a":1}"#),
    ("not json", "@message", "String:not json"),
    ("not json", "a", ""),
    ("[1,2]", "@message", "String:[1,2]"),
    (r#"{"a":1"#, "@message", r#"String:{"a":1"#),
    (r#"{"a":1} x"#, "a", ""),
    (r#"{"@message":"plain text","a":1}"#, "@message", "String:plain text"),
    (r#"{"@message":"plain text","a":1}"#, "a", "Number:1"),
    (r#"{"@message":"{\"a\":1,\"b\":\"x\"}","a":2}"#, "a", "Number:2"),
    (r#"{"@message":"{\"a\":1,\"b\":\"x y\"}","a":2}"#, "b", "String:x y"),
    (r#"{"@message":"{\"a\":{\"b\": [1, 2]}}"}"#, "a", r#"Map:{"b":[1,2]}"#),
    (r#"{"@timestamp":"2024-05-01T10:00:00Z","@message":"{\"@timestamp\":\"1999\"}"}"#, "@@timestamp", "String:1999"),
    (r#"{"@timestamp":"2024-05-01T10:00:00Z"}"#, "@@timestamp", ""),
    (r#"{"@log":"123:group","@logStream":"s"}"#, "@log", "String:123:group"),
    (r#"{"@log":"123:group","@logStream":"s"}"#, "@logStream", "String:s"),
    (r#"{"a":1}"#, "@log", "String:log"),
    (r#"{"a":1}"#, "@logStream", "String:log"),
    (r#"{"a":1}"#, "@ptr", "String:log#log:0"),
    (r#"{"@ptr":"p"}"#, "@ptr", "String:p"),
    (r#"{"a":1}"#, "@ingestionTime", ""),
    (r#"{"@timestamp":"2024-05-01 10:00:00.500"}"#, "@timestamp", "Time:2024-05-01 10:00:00.500"),
    (r#"{"@timestamp":1714557600000,"time":0}"#, "@timestamp", "Time:2024-05-01 10:00:00.000"),
    (r#"{"ts":"0","time":1714557600}"#, "@timestamp", "Time:2024-05-01 10:00:00.000"),
    (r#"{"timestamp":null,"time":"1714557600"}"#, "@timestamp", "Time:2024-05-01 10:00:00.000"),
    (r#"{"requestTime":"01/May/2024:12:00:00 +0200"}"#, "@timestamp", "Time:2024-05-01 10:00:00.000"),
    (r#"{"eventTime":"2024-05-01T10:00:00Z"}"#, "@timestamp", "Time:2024-05-01 10:00:00.000"),
    (r#"{"timestamp":"no time","time":0}"#, "@timestamp", ""),
    (r#"{"timestamp":true}"#, "@timestamp", ""),
    (r#"{"@message":"{\"timestamp\":1714557600}"}"#, "@timestamp", "Time:2024-05-01 10:00:00.000"),
    ("plain", "@timestamp", ""),
];

#[test]
fn cells() {
    for (line, want, expected) in CELLS {
        let pass = read_bytes(line.as_bytes(), &[want], Options::default());
        assert_eq!(pass.rows, [[*expected]], "{want} of {line}");
    }
}

#[test]
fn cells_of_many_lines_in_any_cut() {
    let all: String = CELLS.iter().map(|(line, ..)| format!("{line}\n")).collect();
    let mut wants: Vec<&str> = CELLS.iter().map(|(_, want, _)| *want).collect();
    wants.sort_unstable();
    wants.dedup();
    let whole = read_bytes(all.as_bytes(), &wants, Options::default());
    assert_eq!(whole.rows.len(), CELLS.len());
    for (row, (line, want, expected)) in whole.rows.iter().zip(CELLS) {
        let slot = wants.iter().position(|w| w == want).expect("wanted");
        if *want != "@ptr" {
            assert_eq!(row[slot], *expected, "{want} of {line}");
        }
    }
    for morsel in [1, 2, 3, 5, 17, 64, 300, 1000] {
        let cut = read_bytes(all.as_bytes(), &wants, Options { morsel, ..Options::default() });
        assert_eq!(cut.rows, whole.rows, "cut at {morsel}");
        assert_eq!(cut.positions, whole.positions, "cut at {morsel}");
        assert_eq!(cut.records(), whole.records());
    }
}

#[test]
fn line_ends_marks_and_blank_lines() {
    let plain = "{\"a\":1}\n{\"a\":2}\ntext\n";
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    };
    for (what, content) in [
        ("as it is", plain.as_bytes().to_vec()),
        ("no line feed at the end", plain.trim_end().into()),
        ("CRLF", plain.replace('\n', "\r\n").into()),
        ("blank lines", plain.replace('\n', "\n\n \t\r\n").into()),
        ("mark", format!("\u{feff}{plain}").into()),
        ("UTF-16, little-endian", utf16(plain, false)),
        ("UTF-16, big-endian, CRLF", utf16(&plain.replace('\n', "\r\n"), true)),
    ] {
        for morsel in [1, 7, 4096] {
            let pass = read_bytes(&content, &["a", "@message"], Options { morsel, ..Options::default() });
            assert_eq!(pass.column(0), ["1", "2", ""], "{what}");
            assert_eq!(pass.column(1), ["{\"a\":1}", "{\"a\":2}", "text"], "{what}");
            assert_eq!(pass.records(), 3, "{what}");
            assert_eq!(Counters::get(&pass.counters.not_json), 1, "{what}");
        }
    }
    let blank = read_bytes(b"\n\r\n  \n{\"a\":1}\n\n", &["a"], Options::default());
    assert_eq!((blank.records(), Counters::get(&blank.counters.blank)), (1, 4));
}

#[test]
fn bytes_that_are_not_utf8_are_kept_and_counted() {
    let pass = read_bytes(b"{\"a\":\"\xff\"}\n{\"a\":\"\xc3\xa9\"}\n\xc3\n", &["a", "@message"], Options::default());
    assert_eq!(Counters::get(&pass.counters.not_utf8), 2);
    assert_eq!(pass.column(0), ["\u{fffd}", "é", ""]);
}

#[test]
fn empty_files_have_no_records() {
    let pass = read_bytes(b"", &["a"], Options::default());
    assert!(pass.rows.is_empty() && pass.error.is_none());
    assert_eq!(pass.notes(backsight_engine::source::Weight::Notice)[0].message, "empty");
}

#[test]
fn records_beyond_the_limit_are_left_out_and_located() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    let content = format!("{{\"a\":1}}\n{long}\n{{\"a\":2}}\n{long}");
    for morsel in [64, 1 << 16] {
        for compressed in [false, true] {
            let options = Options { morsel, record_limit: 100_000, ..Options::default() };
            let bytes = if compressed { super::damage::gzip(content.as_bytes()) } else { content.clone().into_bytes() };
            let pass = read_bytes(&bytes, &["a"], options);
            assert_eq!(pass.column(0), ["1", "2"], "{morsel} {compressed}");
            let offsets: Vec<_> =
                pass.notes(backsight_engine::source::Weight::Damage).iter().map(|n| n.offset).collect();
            assert_eq!(offsets, [Some(8), Some(8 + long.len() as u64 + 1 + 8)], "{morsel} {compressed}");
        }
    }
}

#[test]
fn the_time_may_be_another_field() {
    let timestamp_field = scan(&["detail.when"]).want.pop().map(|f| match f {
        backsight_engine::source::Field::Path(path) => path,
        other => panic!("{other:?}"),
    });
    let options = Options { timestamp_field, ..Options::default() };
    let line = br#"{"timestamp":0,"detail":{"when":"2024-05-01"}}"#;
    assert_eq!(read_bytes(line, &["@timestamp"], options).rows, [["Time:2024-05-01 00:00:00.000"]]);
}

/// Lines of a few layouts, in runs and mixed, with values of all kinds.
fn lines_alike(seed: u64, count: usize) -> String {
    let mut state = seed;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut out = String::new();
    let mut layout = 0;
    for _ in 0..count {
        if next(20) == 0 {
            layout = next(5);
        }
        let mut text = || match next(12) {
            0 => r#"a \"quoted\" and \\ escaped text \u00e9"#.to_owned(),
            1 => "\\n".repeat(next(40) as usize),
            2 => "é".repeat(next(50) as usize),
            3 => String::new(),
            n => "status 404 and needle ".repeat(next(n) as usize),
        };
        let (a, b, c) = (text(), text(), text());
        let mut bare = || ["0", "7", "403", "-1.5e3", "true", "null", "[]", "[1,2]", "{}"][next(9) as usize];
        let (x, y) = (bare(), bare());
        let line = match layout {
            0 => format!(r#"{{"a":"{a}","b":"{b}","x":{x},"c":"{c}"}}"#),
            1 => format!(r#"{{"a": "{a}", "n": {{"b": "{b}", "x": {x}}}, "y": {y}}}"#),
            2 => format!(r#"{{"x":{x},"y":{y},"timestamp":"2024-05-0{}T00:00:00Z","a":"{a}"}}"#, 1 + next(9)),
            3 => format!(r#"{{"list":["{b}",{x}],"a":"{a}","a.b":"{c}"}}"#),
            _ => format!(r#"{{"y":{y},"c":"{c}","\u0061":"{a}","b":"{b}"}} "#),
        };
        out += &line;
        out.push_str(if next(30) == 0 { "\r\n" } else { "\n" });
    }
    out
}

/// Reading by layouts, fields of a filter first, and not reading lines without a needle, against reading every line in
/// the general way, which is what `strict` does.
#[test]
fn fast_ways_of_reading_give_what_the_plain_one_gives() {
    let want = ["a", "@timestamp", "x", "n.b", "list", "@message", "c", "a.b", "@ptr", "y"];
    let passes = |batch: &Batch| {
        BooleanBuffer::collect_bool(batch.rows, |row| {
            batch.columns[0].get(row).text().is_some_and(|text| memchr::memmem::find(&text, b"needle").is_some())
        })
    };
    for seed in 0..6 {
        let content = lines_alike(seed, 3000);
        let plain = read_scan(content.as_bytes(), &scan(&want), Options { strict: true, ..Options::default() });
        for morsel in [1 << 10, 4 << 20] {
            let options = || Options { morsel, ..Options::default() };
            let fast = read_scan(content.as_bytes(), &scan(&want), options());
            assert_eq!(fast.positions, plain.positions);
            for (row, (fast, plain)) in fast.rows.iter().zip(&plain.rows).enumerate() {
                assert_eq!(fast, plain, "seed {seed}, row {row}");
            }
            let counted = read_scan(content.as_bytes(), &scan(&[]), options());
            assert_eq!((counted.rows.len(), counted.records()), (plain.rows.len(), plain.records()));

            let kept: Vec<usize> = (0..plain.rows.len()).filter(|row| plain.rows[*row][0].contains("needle")).collect();
            let filter = Some(Filter { fields: &[0], keep: &passes });
            for needles in [vec![], vec![vec![b"needle".to_vec()]]] {
                let some = read_scan(content.as_bytes(), &super::Scan { filter, needles, ..scan(&want) }, options());
                // What does not pass may be there all the same.
                let passing = (0..some.rows.len()).filter(|row| some.rows[*row][0].contains("needle"));
                let found: Vec<_> = passing.map(|row| (some.positions[row], &some.rows[row])).collect();
                let expected: Vec<_> = kept.iter().map(|row| (plain.positions[*row], &plain.rows[*row])).collect();
                assert!(found == expected, "seed {seed}");
                assert_eq!(some.records(), plain.records());
            }
        }
    }
}
