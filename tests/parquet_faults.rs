//! Parquet that is damaged, lies or is unusual (rows P2 to P5 of the faults): an error for the file or its rows, never the end
//! of the process; and tables of AWS, known by their columns.

use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use backsight_engine::source::{Counters, Flow, Scan, Source};
use backsight_io::Options;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type, Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows of an answer, and what was said.
fn ask(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    command.current_dir(folder).args(["query", "--format", "csv", "--csv-raw"]).args(args).arg(".");
    let output = command.output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn column(name: &str, array: impl arrow::array::Array + 'static) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(array))
}

/// A table of all kinds of columns, with so many rows.
fn table(rows: i64) -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        lists.values().append_value(format!("l{row}"));
        lists.append(row % 3 > 0);
    }
    let inner: ArrayRef = Arc::new(Int32Array::from_iter((0..rows as i32).map(|n| (n % 5 > 0).then_some(n))));
    let nested = StructArray::from(vec![(Arc::new(Field::new("b", DataType::Int32, true)), inner)]);
    let decimal = Decimal128Array::from_iter_values((0..rows).map(i128::from)).with_precision_and_scale(20, 2);
    RecordBatch::try_from_iter([
        column("n", Int64Array::from_iter_values(0..rows)),
        column("s", StringArray::from_iter((0..rows).map(|n| (n % 4 > 0).then(|| format!("text {}", n % 7))))),
        column("time", TimestampMicrosecondArray::from_iter_values((0..rows).map(|n| 1_700_000_000_000_000 + n))),
        column("d", decimal.expect("fits")),
        column("l", lists.finish()),
        column("a", nested),
    ])
    .expect("columns of one length")
}

fn written(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a schema");
    writer.write(batch).expect("memory");
    writer.close().expect("memory");
    bytes
}

/// The files that are damaged: with and without compression, dictionaries, several groups and pages.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![std::fs::read("fixtures/access/parquet/access.parquet").expect("the fixture")];
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        for dictionary in [true, false] {
            for (rows, group) in [(7, 100), (300, 64)] {
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_dictionary_enabled(dictionary)
                    .set_max_row_group_row_count(Some(group))
                    .set_data_page_row_count_limit(16)
                    .set_write_batch_size(16);
                seeds.push(written(&table(rows), properties.build()));
            }
        }
    }
    seeds
}

/// Reads all of a file in this process: `None` if it fails.
fn read(path: &Path) -> Option<usize> {
    let files = backsight_io::open(&[path.to_owned()], Options::default()).ok()?;
    let names = ["n", "s", "time", "d", "l", "a"]
        .map(|name| backsight_lang::ast::Segment::Name { text: name.into(), quoted: false });
    let want = names.into_iter().map(|name| backsight_engine::source::Field::Path(vec![name]));
    let want = want.chain([backsight_engine::source::Field::Timestamp, backsight_engine::source::Field::Message]);
    let (scan, counters) = (Scan { want: want.collect(), ..Scan::default() }, Counters::default());
    let morsels = Source::open(&files, &scan, &counters).ok()?;
    let mut rows = 0;
    while let Some(morsel) = morsels.next() {
        morsel
            .read(&mut |batch| {
                rows += batch.rows;
                Ok(Flow::More)
            })
            .ok()?;
    }
    Some(rows)
}

/// P2: so many random damages, 20,000 with `BACKSIGHT_FAULTS=20000`.
#[test]
fn random_damage() {
    let times: u64 = std::env::var("BACKSIGHT_FAULTS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let seeds = seeds();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut slowest = Duration::ZERO;
    for time in 0..times {
        let mut bytes = seeds[random(seeds.len())].clone();
        let footer = bytes.len() - (bytes.len() / 4).min(600);
        match random(4) {
            0 => bytes.truncate(random(bytes.len())),
            // Anywhere, in the footer, in the first pages.
            place => {
                for _ in 0..1 << random(7) {
                    let at = match place {
                        1 => random(bytes.len()),
                        2 => footer + random(bytes.len() - footer),
                        _ => random(200),
                    };
                    bytes[at] ^= 1 << random(8);
                }
            }
        }
        std::fs::write(&path, &bytes).expect("written");
        let started = Instant::now();
        let kept = path.clone();
        let ended = std::panic::catch_unwind(move || read(&kept));
        slowest = slowest.max(started.elapsed());
        assert!(ended.is_ok() && slowest < Duration::from_secs(10), "damage {time} took {slowest:?}");
    }
}

/// A footer, written by hand in the compact protocol of Thrift.
#[derive(Default)]
struct Thrift(Vec<u8>);

impl Thrift {
    fn varint(mut self, mut n: u64) -> Thrift {
        while n > 127 {
            self.0.push(n as u8 | 128);
            n >>= 7;
        }
        self.0.push(n as u8);
        self
    }

    /// A number of the type: 5 for 32 bits, 6 for 64, `delta` fields behind the last.
    fn number(mut self, delta: u8, kind: u8, n: i64) -> Thrift {
        self.0.push(delta << 4 | kind);
        self.varint((n << 1 ^ n >> 63) as u64)
    }

    fn text(mut self, delta: u8, text: &str) -> Thrift {
        self.0.push(delta << 4 | 8);
        self = self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// The start of a list of structs.
    fn list(mut self, delta: u8, len: u64) -> Thrift {
        self.0.extend_from_slice(&[delta << 4 | 9, 0xfc]);
        self.varint(len)
    }

    fn stop(mut self) -> Thrift {
        self.0.push(0);
        self
    }

    /// An element of the schema: a group of so many, or, with none, a column of integers.
    fn element(self, name: &str, children: i64) -> Thrift {
        match children {
            0 => self.number(1, 5, 2).number(2, 5, 0).text(1, name).stop(),
            n => self.text(4, name).number(1, 5, n).stop(),
        }
    }

    /// The file it is the footer of.
    fn file(self) -> Vec<u8> {
        let length = (self.0.len() as u32).to_le_bytes();
        [b"PAR1", &[0; 64][..], &self.0, &length, b"PAR1"].concat()
    }
}

/// P3: what a footer claims is not believed before there is any memory for it.
#[test]
fn footers_that_lie() {
    let begin = || Thrift::default().number(1, 5, 1);
    let schema = |footer: Thrift| footer.list(1, 2).element("schema", 1).element("n", 0);
    // A column chunk of a group: its place in the file, then what is in it.
    let chunk = |footer: Thrift, values: i64, size: i64, at: i64| {
        let mut footer = footer.number(2, 6, at);
        footer.0.push(1 << 4 | 12);
        let mut footer = footer.number(1, 5, 2);
        footer.0.extend_from_slice(&[1 << 4 | 9, 0x15, 0]);
        footer.0.extend_from_slice(&[1 << 4 | 9, 0x18, 1, b'n']);
        footer.number(1, 5, 0).number(1, 6, values).number(1, 6, size).number(1, 6, size).number(2, 6, at).stop().stop()
    };
    let group = |rows: i64, size: i64, at: i64| {
        let footer = schema(begin()).number(1, 6, rows).list(1, 1).list(1, 1);
        chunk(footer, rows, size, at).number(1, 6, size).number(1, 6, rows).stop().stop()
    };
    let deep = (0..100_000).fold(begin().list(1, 100_001), |footer, _| footer.element("x", 1)).element("n", 0);
    let lies = [
        ("2^31 rows and no group", schema(begin()).number(1, 6, 1 << 31).list(1, 0).stop()),
        ("less than no rows", group(-1, 64, 4)),
        ("a group of 2^31 rows", group(1 << 31, 64, 4)),
        ("a group of 2^62 rows", group(1 << 62, 64, 4)),
        ("a column of a negative size", group(3, -64, 4)),
        ("a column of 2^62 bytes", group(3, 1 << 62, 4)),
        ("a column before the file", group(3, 64, -4)),
        ("a column behind the file", group(3, 64, 1 << 40)),
        ("10^9 columns", begin().list(1, 1_000_000_001).element("schema", 1_000_000_000)),
        ("10^9 groups", schema(begin()).number(1, 6, 3).list(1, 1_000_000_000)),
        ("100,000 levels", deep.number(1, 6, 0).list(1, 0).stop()),
    ];
    for (what, footer) in lies {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.parquet"), footer.file()).expect("written");
        std::fs::write(folder.path().join("b.json"), "{\"n\":1}\n{\"n\":2}\n").expect("written");
        let started = Instant::now();
        let (exit, out, err) = ask(folder.path(), &["stats sum(n) as n"]);
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: took too long");
        assert!(!err.contains("panicked") && matches!(exit, 0 | 3) && out == "n\n3\n", "{what}: {exit} {out}{err}");
        assert!(exit == 3 && err.contains("a.parquet"), "{what}: {exit} {err}");
    }
}

/// P4: columns of one name and different types; P5: nothing in a file.
#[test]
fn unusual_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, batch: &RecordBatch| {
        std::fs::write(folder.path().join(name), written(batch, WriterProperties::default())).expect("written");
    };
    let drift = |columns: Vec<(String, ArrayRef)>| RecordBatch::try_from_iter(columns).expect("columns of one length");
    write("1.parquet", &drift(vec![column("n", Int64Array::from(vec![401])), column("x", Int32Array::from(vec![1]))]));
    write(
        "2.parquet",
        &drift(vec![column("n", StringArray::from(vec!["401"])), column("y", Int32Array::from(vec![2]))]),
    );
    write("3.parquet", &table(0));
    write("4.parquet", &RecordBatch::new_empty(Arc::new(Schema::empty())));
    let (exit, out, err) = ask(folder.path(), &["stats count(*) as c, sum(x) as x, sum(y) as y by n"]);
    assert_eq!((exit, out.as_str()), (0, "n,c,x,y\n401,2,1,2\n"), "{err}");
    for empty in ["3.parquet", "4.parquet"] {
        let alone = tempfile::tempdir().expect("a folder");
        std::fs::copy(folder.path().join(empty), alone.path().join(empty)).expect("copied");
        let (exit, out, err) = ask(alone.path(), &["stats count(*) as c"]);
        assert_eq!((exit, out.as_str()), (0, "c\n0\n"), "{empty}: {err}");
    }
    // An encrypted footer.
    std::fs::write(folder.path().join("5.parquet"), b"PAREnothing that can be read....PARE").expect("written");
    let (exit, out, err) = ask(folder.path(), &["stats count(*) as c"]);
    assert!(exit == 3 && out == "c\n2\n" && err.contains("5.parquet"), "{exit} {out}{err}");
}

/// P4: decimals, dictionaries, lists and members of structs.
#[test]
fn columns_of_every_kind() {
    for dictionary in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let properties = WriterProperties::builder().set_dictionary_enabled(dictionary).build();
        std::fs::write(folder.path().join("a.parquet"), written(&table(300), properties)).expect("written");
        let (exit, out, err) = ask(folder.path(), &["filter n in [5, 7] | fields n, d, s, l.0, a.b, time | sort n"]);
        let expected = "n,d,s,l.0,a.b,time\n5,0.05,text 5,l5,,2023-11-14 22:13:20.000\n7,0.07,text 0,l7,7,2023-11-14 22:13:20.000\n";
        assert_eq!((exit, out.as_str()), (0, expected), "{err}");
    }
}

/// A file of a schema that Arrow has no types for, written column by column.
fn by_columns(schema: &str, write: &[&dyn Fn(&mut SerializedColumnWriter<'_>)]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).expect("memory");
    let mut group = file.next_row_group().expect("memory");
    for write in write {
        let mut column = group.next_column().expect("memory").expect("as many columns");
        write(&mut column);
        column.close().expect("memory");
    }
    group.close().expect("memory");
    file.close().expect("memory");
    bytes
}

fn numbers(column: &mut SerializedColumnWriter<'_>) {
    column.typed::<Int64Type>().write_batch(&[1, 2], None, None).expect("memory");
}

fn texts(column: &mut SerializedColumnWriter<'_>) {
    let texts = [ByteArray::from("one"), ByteArray::from("two")];
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).expect("memory");
}

/// P4: times of 96 bits, as Spark and Athena wrote them.
#[test]
fn times_of_96_bits() {
    // Nanoseconds of the day, in two halves, and the Julian day.
    let time = |nanos: u64, day: u32| Int96::from(vec![nanos as u32, (nanos >> 32) as u32, day]);
    let times = [time(36_000_123_000_000, 2_460_432), time(0, 2_440_588)];
    let bytes = by_columns(
        "message m { required int64 n; required int96 time; }",
        &[&numbers, &|column| {
            column.typed::<Int96Type>().write_batch(&times, None, None).expect("memory");
        }],
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.parquet"), bytes).expect("written");
    let (exit, out, err) = ask(folder.path(), &["fields n, time, @timestamp | sort n"]);
    let expected = "n,time,@timestamp\n1,2024-05-01 10:00:00.123,2024-05-01 10:00:00.123\n\
                    2,1970-01-01 00:00:00.000,1970-01-01 00:00:00.000\n";
    assert_eq!((exit, out.as_str()), (0, expected), "{err}");
}

/// P4: a column that cannot be decoded is named and has no values; the others are read, and so are other files.
#[test]
fn columns_that_cannot_be_decoded() {
    let flat = by_columns("message m { required int64 n; required binary x (STRING); }", &[&numbers, &texts]);
    // The end of the path of the column, then the number of its compression.
    let codec = |code: u8| {
        let mut bytes = flat.clone();
        let path = [0x19, 0x18, 1, b'x', 0x15];
        let at = bytes.windows(path.len()).rposition(|w| w == path).expect("the column") + path.len();
        bytes[at] = code << 1;
        bytes
    };
    let nested = "message m { required int64 n; required group x { required int64 y; required binary z (STRING); } }";
    let nested = by_columns(nested, &[&numbers, &numbers, &texts]);
    let in_group = {
        let mut bytes = nested.clone();
        let path = [0x19, 0x28, 1, b'x', 1, b'z', 0x15];
        let at = bytes.windows(path.len()).rposition(|w| w == path).expect("the column") + path.len();
        bytes[at] = 42 << 1;
        bytes
    };
    let variant = "message m { required int64 n; required group x (VARIANT) { required binary metadata; required binary value; } }";
    let variant = by_columns(variant, &[&numbers, &texts, &texts]);
    let compression = "column `x` is not supported: its compression is LZO or one not known yet";
    for (what, bytes, asked, why) in [
        ("a codec of tomorrow", codec(42), "x", compression),
        ("LZO", codec(3), "x", compression),
        ("in a group", in_group.clone(), "x.z", "column `x.z` is not supported: its compression"),
        ("a VARIANT", variant, "x", "column `x` is not supported: it is a VARIANT"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.parquet"), bytes).expect("written");
        std::fs::write(folder.path().join("b.json"), "{\"n\":3,\"x\":{\"z\":\"three\"}}\n").expect("written");
        let (exit, out, err) = ask(folder.path(), &["stats count(*) as c, sum(n) as n"]);
        assert_eq!((exit, out.as_str()), (0, "c,n\n3,6\n"), "{what}: {err}");
        let (exit, out, err) = ask(folder.path(), &[&format!("fields n, ispresent({asked}) as there | sort n")]);
        assert_eq!((exit, out.as_str()), (3, "n,there\n1,0\n2,0\n3,1\n"), "{what}: {err}");
        assert_eq!(err.matches(why).count(), 1, "{what}: {err}");
        let (exit, out, err) = ask(folder.path(), &["filter n = 2 | fields @message"]);
        assert_eq!((exit, out.as_str()), (3, "@message\n\"{\"\"n\"\":2}\"\n"), "{what}: {err}");
        assert_eq!(err.matches(why).count(), 1, "{what}: {err}");
    }
    // The other members of a group are read.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.parquet"), in_group).expect("written");
    let (exit, out, err) = ask(folder.path(), &["stats sum(x.y) as y, max(n) as n"]);
    assert_eq!((exit, out.as_str()), (0, "y,n\n3,2\n"), "{err}");
}

/// Tables of Security Lake and of delivered logs are known by their columns, whatever the file is called.
#[test]
fn tables_of_aws() {
    let texts = |texts: &[&str]| StringArray::from_iter_values(texts);
    let nested = |name: &str, inner: ArrayRef| {
        StructArray::from(vec![(Arc::new(Field::new(name, inner.data_type().clone(), true)), inner)])
    };
    let product = nested("product", Arc::new(nested("name", Arc::new(texts(&["CloudTrail", "CloudTrail"])))));
    let ocsf = RecordBatch::try_from_iter([
        column("metadata", product),
        column("time", Int64Array::from(vec![1_714_557_600_000, 1_714_557_601_000])),
        column("class_uid", Int32Array::from(vec![6003, 3002])),
        column("category_uid", Int32Array::from(vec![6, 3])),
        column("activity_id", Int32Array::from(vec![1, 1])),
        column("api", nested("operation", Arc::new(texts(&["CreateUser", "ConsoleLogin"])))),
    ])
    .expect("columns of one length");
    let flow = RecordBatch::try_from_iter([
        column("version", Int32Array::from(vec![2])),
        column("account_id", texts(&["123456789012"])),
        column("interface_id", texts(&["eni-1"])),
        column("srcaddr", texts(&["198.51.100.7"])),
        column("dstaddr", texts(&["10.0.0.1"])),
        column("srcport", Int32Array::from(vec![443])),
        column("dstport", Int32Array::from(vec![51000])),
        column("start", Int64Array::from(vec![1_714_557_600])),
        column("end", Int64Array::from(vec![1_714_557_660])),
        column("action", texts(&["REJECT"])),
        column("log_status", texts(&["OK"])),
    ])
    .expect("columns of one length");
    for (batch, query, expected, format) in [
        (
            &ocsf,
            "fields @timestamp, api.operation, metadata.product.name | sort class_uid | limit 1",
            "2024-05-01 10:00:01.000,ConsoleLogin,CloudTrail\n",
            "ocsf",
        ),
        (&flow, "fields @timestamp, srcaddr, action", "2024-05-01 10:00:00.000,198.51.100.7,REJECT\n", "vpcflow"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("part-0"), written(batch, WriterProperties::default())).expect("written");
        let (exit, out, err) = ask(folder.path(), &[query, "--stats", "json"]);
        assert_eq!((exit, out.split_once('\n').map_or("", |(_, rows)| rows)), (0, expected), "{err}");
        assert!(err.contains(&format!("\"format\":\"{format}\"")), "{err}");
    }
}
