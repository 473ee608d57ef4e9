//! The reader as a whole: every type, round trips, and files that are damaged or strange.

use super::testing::from_ndjson;
use super::*;
use ::parquet::arrow::ArrowWriter;
use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field as ArrowField, Fields, Int32Type, Schema};
use backsight_engine::source::Field;
use backsight_engine::value::column::{Column, OFFSET_BITS};
use backsight_engine::value::{Kind, ValueRef};
use backsight_lang::ast::Path;
use backsight_lang::span::Span;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Names and kinds, as `kind:text`; `-` for null.
pub(super) type Rows = Vec<Vec<String>>;

fn segments(path: &str) -> Vec<Segment> {
    path.split('.')
        .map(|part| match part.parse() {
            Ok(n) => Segment::Index(n),
            Err(_) => Segment::Name { text: part.into(), quoted: false },
        })
        .collect()
}

pub(super) fn field(path: &str) -> Field {
    Field::named(&Path { segments: segments(path), span: Span::default() })
}

fn shown(value: ValueRef<'_>) -> String {
    let kind = match value.kind() {
        None => return "-".into(),
        Some(Kind::String) => 's',
        Some(Kind::Number | Kind::Float) => 'n',
        Some(Kind::Bool) => 'b',
        Some(Kind::Time) => 't',
        Some(Kind::List) => 'l',
        Some(Kind::Map) => 'm',
    };
    format!("{kind}:{}", String::from_utf8_lossy(&value.text().unwrap_or_default()))
}

pub(super) fn open(data: Vec<u8>) -> Result<ParquetFile, Error> {
    let origin = Origin {
        file: "x.parquet".into(),
        number: 3,
        log: "src".into(),
        log_stream: "x.parquet".into(),
        pointer: "src#x.parquet:".into(),
    };
    ParquetFile::open(data.into(), origin)
}

/// Reads all rows of a file, stretch by stretch. Texts that come as words of dictionaries are the same as others.
pub(super) fn read(file: &ParquetFile, want: &[&str]) -> (Rows, Counters) {
    let scan = |words| Scan { want: want.iter().map(|p| field(p)).collect(), words, ..Default::default() };
    let (rows, counters) = read_scan(file, &scan(false));
    let (in_words, also) = read_scan(file, &scan(true));
    if notes(&counters).is_empty() && notes(&also).is_empty() {
        assert_eq!(rows, in_words);
        assert_eq!(Counters::get(&counters.no_timestamp), Counters::get(&also.no_timestamp));
    }
    (rows, counters)
}

/// What a scan gives.
pub(super) fn read_scan(file: &ParquetFile, scan: &Scan<'_>) -> (Rows, Counters) {
    let times: Vec<_> = ["timestamp", "time", "eventTime"].iter().map(|p| segments(p)).collect();
    let counters = Counters::default();
    let mut rows = Vec::new();
    let mut next = 3 << OFFSET_BITS;
    for stretch in file.stretches() {
        let mut give = |batch: Batch| {
            for i in 0..batch.rows {
                assert!(batch.positions.get(i) >= next, "positions rise");
                next = batch.positions.get(i) + 1;
                rows.push(batch.columns.iter().map(|c: &Column| shown(c.get(i))).collect());
            }
            Ok(Flow::More)
        };
        file.read(&stretch, scan, &times, &counters, &mut give).expect("the receiver never fails");
    }
    (rows, counters)
}

pub(super) fn notes(counters: &Counters) -> Vec<String> {
    counters.notes.lock().expect("no panic").iter().map(|n| format!("{}: {}", n.file, n.message)).collect()
}

/// A column of two or three rows, and what its cells are.
fn typed() -> Vec<(ArrayRef, [&'static str; 2])> {
    let tags = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let user = StructArray::new(
        Fields::from(vec![
            ArrowField::new("name", DataType::Utf8, true),
            ArrowField::new("uid", DataType::UInt64, false),
            ArrowField::new("at", DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None), true),
        ]),
        vec![
            Arc::new(StringArray::from(vec![Some("a\"b"), None])),
            Arc::new(UInt64Array::from(vec![u64::MAX, 7])),
            Arc::new(TimestampSecondArray::from(vec![Some(1), None])),
        ],
        Some(NullBuffer::from(vec![true, false])),
    );
    let entries = StructArray::from(vec![
        (
            Arc::new(ArrowField::new("keys", DataType::Utf8, false)),
            Arc::new(StringArray::from(vec!["k", "l"])) as ArrayRef,
        ),
        (
            Arc::new(ArrowField::new("values", DataType::Float64, true)),
            Arc::new(Float64Array::from(vec![Some(1.5), None])),
        ),
    ]);
    let map = MapArray::new(
        Arc::new(ArrowField::new("entries", entries.data_type().clone(), false)),
        OffsetBuffer::new(vec![0, 2, 2].into()),
        entries,
        None,
        false,
    );
    let dictionary: DictionaryArray<Int32Type> = [Some("often"), None].into_iter().collect();
    vec![
        (Arc::new(StringArray::from(vec![Some("plain"), None])), ["s:plain", "-"]),
        (Arc::new(LargeStringArray::from(vec!["007", ""])), ["s:007", "s:"]),
        (
            Arc::new(BinaryArray::from(vec![&b"\xff\xfe text longer than twelve bytes"[..], b""])),
            ["s:\u{fffd}\u{fffd} text longer than twelve bytes", "s:"],
        ),
        (Arc::new(dictionary), ["s:often", "-"]),
        (Arc::new(BooleanArray::from(vec![Some(true), None])), ["b:true", "-"]),
        (Arc::new(Int8Array::from(vec![-128, 127])), ["n:-128", "n:127"]),
        (Arc::new(UInt32Array::from(vec![u32::MAX, 0])), ["n:4294967295", "n:0"]),
        (Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])), ["n:-9223372036854775808", "n:9223372036854775807"]),
        (Arc::new(UInt64Array::from(vec![u64::MAX, 1])), ["s:18446744073709551615", "n:1"]),
        (Arc::new(Float32Array::from(vec![0.1, f32::NAN])), ["n:0.1", "-"]),
        (Arc::new(Float32Array::from(vec![1e20, 16_777_217.0])), ["n:100000000000000000000", "n:16777216"]),
        (Arc::new(Float64Array::from(vec![1e21, f64::INFINITY])), ["n:1e+21", "-"]),
        (Arc::new(TimestampSecondArray::from(vec![Some(-1), None])), ["t:1969-12-31 23:59:59.000", "-"]),
        (
            Arc::new(TimestampMillisecondArray::from(vec![-1, 0])),
            ["t:1969-12-31 23:59:59.999", "t:1970-01-01 00:00:00.000"],
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![-1, 1999]).with_timezone("+02:00")),
            ["t:1969-12-31 23:59:59.999", "t:1970-01-01 00:00:00.001"],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![-1, 1_999_999])),
            ["t:1969-12-31 23:59:59.999", "t:1970-01-01 00:00:00.001"],
        ),
        (Arc::new(Date32Array::from(vec![Some(19_844), None])), ["s:2024-05-01", "-"]),
        (Arc::new(Date64Array::from(vec![19_844 * 86_400_000, 0])), ["s:2024-05-01", "s:1970-01-01"]),
        (Arc::new(Time32MillisecondArray::from(vec![3_723_004, 0])), ["s:01:02:03.004", "s:00:00:00.000"]),
        (Arc::new(Time64MicrosecondArray::from(vec![3_723_000_004, 0])), ["s:01:02:03.000004", "s:00:00:00.000000"]),
        (
            Arc::new(Decimal128Array::from(vec![-1234, 5]).with_precision_and_scale(10, 2).expect("fits")),
            ["n:-12.34", "n:0.05"],
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![99_999_999_999_999_999_999, 5])
                    .with_precision_and_scale(38, 0)
                    .expect("fits"),
            ),
            ["s:99999999999999999999", "n:5"],
        ),
        (
            Arc::new(FixedSizeBinaryArray::try_from_iter([*b"abc", *b"xyz"].into_iter()).expect("same size")),
            ["s:abc", "s:xyz"],
        ),
        (Arc::new(NullArray::new(2)), ["-", "-"]),
        (Arc::new(tags), ["l:[1,null]", "-"]),
        (
            Arc::new(user),
            ["m:{\"name\":\"a\\\"b\",\"uid\":18446744073709551615,\"at\":\"1970-01-01 00:00:01.000\"}", "-"],
        ),
        (Arc::new(map), ["m:{\"k\":1.5,\"l\":null}", "m:{}"]),
    ]
}

pub(super) fn written(columns: Vec<(String, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<ArrowField> =
        columns.iter().map(|(name, a)| ArrowField::new(name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, a)| a).collect()).expect("sound");
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).expect("a schema Parquet has");
    writer.write(&batch).expect("writes to memory");
    writer.into_inner().expect("writes to memory")
}

#[test]
fn every_type() {
    let typed = typed();
    let columns = typed.iter().enumerate().map(|(i, (array, _))| (format!("c{i}"), Arc::clone(array))).collect();
    let file = open(written(columns)).expect("opens");
    let names: Vec<String> = (0..typed.len()).map(|i| format!("c{i}")).collect();
    let (rows, counters) = read(&file, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for (i, (array, expected)) in typed.iter().enumerate() {
        assert_eq!([&rows[0][i], &rows[1][i]], *expected, "{}", array.data_type());
    }
    assert_eq!(notes(&counters), [""; 0]);
}

#[test]
fn paths_into_columns() {
    let typed = typed();
    let columns = |from: usize| {
        typed[from..].iter().zip(["tags", "user", "map"]).map(|((a, _), n)| (n.to_string(), Arc::clone(a)))
    };
    let mut all: Vec<_> = columns(typed.len() - 3).collect();
    all.push(("user.name".into(), Arc::new(StringArray::from(vec!["literal", "literal"]))));
    let file = open(written(all)).expect("opens");
    for (path, expected) in [
        ("user.uid", ["s:18446744073709551615", "-"]),
        ("user.name", ["s:a\"b", "s:literal"]),
        ("user.at", ["t:1970-01-01 00:00:01.000", "-"]),
        ("user.nothing", ["-", "-"]),
        ("tags.0", ["n:1", "-"]),
        ("tags.1", ["-", "-"]),
        ("map.k", ["n:1.5", "-"]),
        ("Map.k", ["-", "-"]),
        (
            "@message",
            [
                r#"s:{"tags":[1,null],"user":{"name":"a\"b","uid":18446744073709551615,"at":"1970-01-01 00:00:01.000"},"map":{"k":1.5,"l":null},"user.name":"literal"}"#,
                r#"s:{"map":{},"user.name":"literal"}"#,
            ],
        ),
        ("@ptr", ["s:src#x.parquet:0", "s:src#x.parquet:1"]),
    ] {
        let (rows, _) = read(&file, &[path]);
        assert_eq!([&rows[0][0], &rows[1][0]], expected, "{path}");
        // Beside others, columns have other places.
        let (rows, _) = read(&file, &["map.k", path, "user.uid", "tags"]);
        assert_eq!([&rows[0][1], &rows[1][1]], expected, "{path} among others");
    }
}

#[test]
fn ndjson_comes_back() {
    let lines = r#"{"id":"007","n":1,"f":1.5,"ok":true,"tags":["a",{"b":null}],"mixed":1}
{"id":"x","n":-2,"mixed":"1","time":"2024-05-01T12:00:00Z","user":{"name":"é","ids":[10,20]}}

{"n":3,"mixed":1.0,"big":18446744073709551616,"e":1e3,"time":null}
not JSON
{"n":4,"a.b":"literal","id":"\ud83d\ude00\u0001", "@x": [1, 2]}"#;
    let file = open(from_ndjson(lines).expect("representable")).expect("opens");
    assert!(file.stretches().len() > 1);
    let want = [
        "id",
        "n",
        "f",
        "ok",
        "tags",
        "tags.1",
        "mixed",
        "user.name",
        "user.ids.1",
        "big",
        "e",
        "a.b",
        "@@x.1",
        "@timestamp",
    ];
    let (rows, counters) = read(&file, &want);
    let expected: [[&str; 14]; 5] = [
        [
            "s:007",
            "n:1",
            "n:1.5",
            "b:true",
            "l:[\"a\",{\"b\":null}]",
            "m:{\"b\":null}",
            "n:1",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
        ],
        ["s:x", "n:-2", "-", "-", "-", "-", "s:1", "s:é", "n:20", "-", "-", "-", "-", "t:2024-05-01 12:00:00.000"],
        ["-", "n:3", "-", "-", "-", "-", "n:1.0", "-", "-", "s:18446744073709551616", "n:1e3", "-", "-", "-"],
        ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"],
        ["s:😀\u{1}", "n:4", "-", "-", "-", "-", "-", "-", "-", "-", "-", "s:literal", "n:2", "-"],
    ];
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    assert_eq!((rows.len(), Counters::get(&counters.records), Counters::get(&counters.no_timestamp)), (5, 5, 4));
    let (messages, _) = read(&file, &["@message"]);
    let texts: Vec<&str> = messages.iter().map(|r| &r[0][2..]).collect();
    assert_eq!(texts, lines.lines().filter(|l| !l.is_empty()).collect::<Vec<_>>());
}

#[test]
fn text_is_not_looked_into() {
    let lines = "{\"l\":\"[7,8]\",\"s\":\"[9]\"}\n{\"l\":[7,8],\"s\":\"{}\"}\n";
    let file = open(from_ndjson(lines).expect("representable")).expect("opens");
    let (rows, _) = read(&file, &["l", "l.0", "s.0"]);
    assert_eq!(rows, [["s:[7,8]", "-", "-"], ["l:[7,8]", "n:7", "-"]]);
}

#[test]
fn compact_lines_need_no_message_column() {
    let lines = "{\"a\":18446744073709551616,\"b\":\"x\"}\n{\"b\":\"y\"}\n";
    let file = open(from_ndjson(lines).expect("representable")).expect("opens");
    assert_eq!(file.columns.len(), 2);
    let (rows, _) = read(&file, &["@message"]);
    assert_eq!(rows, [[r#"s:{"a":18446744073709551616,"b":"x"}"#], [r#"s:{"b":"y"}"#]]);
    assert!(from_ndjson("{\"@message\":1}").is_none());
}

#[test]
fn fields_inside_an_exported_message() {
    let lines = r#"{"@timestamp":"2024-05-01 12:00:00.000","@message":"{\"ip\":\"10.0.0.1\",\"@timestamp\":5}","@log":"1:group"}
{"@message":"plain text","ip":"10.0.0.2"}"#;
    let file = open(from_ndjson(lines).expect("representable")).expect("opens");
    let (rows, _) = read(&file, &["ip", "@timestamp", "@message", "@log", "@@timestamp"]);
    assert_eq!(
        rows,
        [
            ["s:10.0.0.1", "t:2024-05-01 12:00:00.000", "s:{\"ip\":\"10.0.0.1\",\"@timestamp\":5}", "s:1:group", "n:5"],
            ["s:10.0.0.2", "-", "s:plain text", "s:src", "-"],
        ]
    );
}

#[test]
fn large_row_groups_are_cut() {
    let rows = 3 * STRETCH as i64 / 2;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("w{}", n % 1000))));
    let file = open(written(vec![("n".into(), numbers), ("w".into(), words)])).expect("opens");
    assert_eq!(file.stretches().len(), 2);
    let (all, counters) = read(&file, &["n", "w"]);
    assert_eq!(all.len() as i64, rows);
    assert!(all.iter().enumerate().all(|(i, r)| r[0] == format!("n:{i}") && r[1] == format!("s:w{}", i % 1000)));
    let (none, again) = read(&file, &[]);
    assert_eq!(none.len() as i64, rows);
    assert!(Counters::get(&counters.bytes) > rows as u64);
    assert_eq!((Counters::get(&again.records) as i64, Counters::get(&again.bytes)), (rows, 0));
}

/// The public test files, if they are at hand.
fn corpus() -> Vec<PathBuf> {
    let shared = std::env::var_os("BACKSIGHT_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let mut out = Vec::new();
    for folder in ["data", "data/aes256", "data/geospatial", "bad_data"] {
        let entries = std::fs::read_dir(shared.join("data/parquet-testing").join(folder));
        let paths = entries.into_iter().flatten().flatten().map(|e| e.path());
        out.extend(paths.filter(|p| p.to_string_lossy().contains(".parquet")));
    }
    if out.is_empty() {
        eprintln!("SKIPPED: no apache/parquet-testing under {} (set BACKSIGHT_SHARED)", shared.display());
    }
    out.sort();
    out
}

/// Reads everything there is in a file: rows, and complaints.
fn exhaust(data: Vec<u8>) -> (usize, Vec<String>) {
    let file = match open(data) {
        Ok(file) => file,
        Err(error) => return (0, vec![error.to_string()]),
    };
    let mut want: Vec<&str> = file.columns.iter().map(|n| n.name.as_str()).collect();
    want.extend(["@message", "@timestamp"]);
    let (rows, counters) = read(&file, &want);
    (rows.len(), notes(&counters))
}

#[test]
fn public_files() {
    // What must be refused, and in which words; everything else must be read without complaint.
    let refused: &[(&str, &str)] = &[
        ("encrypted.json", "not a Parquet file"),
        ("encrypted", "encrypted"),
        // An index of no bits: one entry, which is what the readers of today make of it.
        ("bad_data/ARROW-GH-43605", ""),
        ("bad_data/", "x.parquet: "),
        ("corrupt-checksum", "checksum mismatch"),
        ("nation.dict-malformed", "beyond its column"),
        // Its writer used a field number that the format has since given to something else.
        ("dict-page-offset-zero", "list element type"),
        // Two gigabytes of zeros in two kilobytes.
        ("large_string_map.brotli", "claims to expand"),
    ];
    for path in corpus() {
        let name = path.to_string_lossy().replace('\\', "/");
        let (rows, complaints) = exhaust(std::fs::read(&path).expect("a readable file"));
        println!("{name}: {rows} rows {complaints:?}");
        assert!(!complaints.iter().any(|c| c.contains("decoder failed")), "{name}: {complaints:?}");
        match refused.iter().find(|(part, _)| name.contains(part)) {
            Some((_, why)) if !why.is_empty() => assert!(complaints[0].contains(why), "{name}: {complaints:?}"),
            _ => assert_eq!(complaints, [""; 0], "{name}"),
        }
    }
}

/// A reproducible stream of numbers (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Damaged files give rows or complaints, and soon. `BACKSIGHT_MUTATIONS` sets how many are tried.
#[test]
fn damage_is_survived() {
    let count = std::env::var("BACKSIGHT_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let seed = std::env::var("BACKSIGHT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1u64);
    let mut seeds: Vec<Vec<u8>> =
        corpus().iter().filter_map(|p| std::fs::read(p).ok()).filter(|d| d.len() < 20_000).collect();
    seeds.push(
        from_ndjson("{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"c\":[1,2]}\n{\"b\":\"a longer text than twelve\"}\n")
            .expect("representable"),
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
    for round in 0..count {
        let mut data = seeds[random.below(seeds.len())].clone();
        if random.below(8) == 0 {
            data.truncate(random.below(data.len()));
        } else {
            // Half of the time in the footer, where the numbers are.
            let from = if random.below(2) == 0 { data.len().saturating_sub(1000) } else { 0 };
            for _ in 0..=random.below(16) {
                let at = from + random.below(data.len() - from);
                data[at] ^= 1 << random.below(8);
            }
        }
        let start = Instant::now();
        if std::env::var_os("BACKSIGHT_KEEP").is_some() {
            std::fs::write(std::env::temp_dir().join("backsight-mutation.parquet"), &data).expect("a temporary file");
        }
        exhaust(data);
        assert!(start.elapsed() < Duration::from_secs(10), "round {round} of seed {seed} took {:?}", start.elapsed());
    }
}
