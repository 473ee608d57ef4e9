//! Texts as words against texts as arrays, in files of every make, and pages that are damaged.

use super::super::tests::{Rows, field, notes, open, read, read_scan};
use super::*;
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::column::page::PageMetadata;
use ::parquet::errors::Result as Read;
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Field as ArrowField, Schema};
use backsight_engine::source::{Filter, Scan};
use backsight_engine::value::ValueRef;
use backsight_engine::value::column::Batch;

const ROWS: usize = 700;

/// Columns of a few and of many texts, with and without nulls, and of what else has dictionaries.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let texts =
        |text: &dyn Fn(usize) -> Option<String>| -> ArrayRef { Arc::new((0..ROWS).map(text).collect::<StringArray>()) };
    let sure =
        |text: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..ROWS).map(text))) };
    vec![
        ("few", texts(&|i| Some(["GET", "POST", "a method of more than twelve bytes"][i % 3].into()))),
        ("required", sure(&|i| format!("required {}", i % 7))),
        ("nulls", texts(&|i| (i % 5 > 1).then(|| format!("value {}", i % 11)))),
        ("runs", texts(&|i| (i / 100 % 2 == 0).then(|| format!("run {}", i / 50)))),
        ("late", texts(&|i| (i > 600).then(|| "x".into()))),
        ("nothing", texts(&|_| None)),
        ("empty", texts(&|i| Some(" ".repeat(i % 2)))),
        // The dictionary is given up on the way.
        ("many", texts(&|i| Some(format!("text number {i}, different from all others")))),
        ("growing", texts(&|i| (i % 9 > 0).then(|| format!("{}", i * i / 300)))),
        ("numbers", Arc::new((0..ROWS as i64).map(|i| (i % 4 > 0).then_some(i % 6)).collect::<Int64Array>())),
        ("flags", Arc::new((0..ROWS).map(|i| (i % 4 > 0).then_some(i % 3 == 0)).collect::<BooleanArray>())),
        (
            "time",
            Arc::new(
                (0..ROWS as i64).map(|i| (i % 8 > 0).then_some(i / 9 * 1000)).collect::<TimestampMillisecondArray>(),
            ),
        ),
    ]
}

fn file(columns: &[(&'static str, ArrayRef)], properties: WriterProperties) -> Vec<u8> {
    let fields: Vec<ArrowField> = columns
        .iter()
        .map(|(name, array)| ArrowField::new(*name, array.data_type().clone(), *name != "required"))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("sound");
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).expect("a schema Parquet has");
    writer.write(&batch).expect("writes to memory");
    writer.into_inner().expect("writes to memory")
}

/// Every way a writer may write them.
fn files() -> Vec<(String, Vec<u8>)> {
    let columns = columns();
    let mut out = Vec::new();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for compression in [Compression::UNCOMPRESSED, Compression::ZSTD(Default::default()), Compression::SNAPPY] {
            for (group, page, dictionary) in
                [(ROWS, ROWS, 1 << 20), (300, 64, 1 << 20), (ROWS, 50, 2000), (256, 32, 300)]
            {
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_compression(compression)
                    .set_max_row_group_row_count(Some(group))
                    .set_data_page_row_count_limit(page)
                    .set_write_batch_size(16)
                    .set_dictionary_page_size_limit(dictionary)
                    // Delta encodings are read as arrays.
                    .set_column_encoding("growing".into(), Encoding::PLAIN)
                    .set_column_encoding("many".into(), Encoding::PLAIN)
                    .build();
                let name = format!("{version:?} {compression:?} {group} {page} {dictionary}");
                out.push((name, file(&columns, properties)));
            }
        }
    }
    out
}

#[test]
fn words_and_arrays_are_the_same() {
    let names: Vec<&str> = columns().iter().map(|(name, _)| *name).collect();
    let mut kinds = [0; 3];
    for (how, data) in files() {
        let file = open(data).expect("opens");
        let (rows, counters) = read(&file, &names);
        assert_eq!((rows.len(), notes(&counters)), (ROWS, vec![]), "{how}");
        assert_eq!(rows[4][..4], ["s:POST", "s:required 4", "s:value 4", "s:run 0"], "{how}");
        let scan = Scan { want: names.iter().map(|name| field(name)).collect(), words: true, ..Scan::default() };
        for stretch in file.stretches() {
            let mut look = |batch: Batch| {
                for column in &batch.columns {
                    kinds[match column {
                        Column::Dict(..) => 0,
                        Column::Text(..) => 1,
                        _ => 2,
                    }] += 1;
                }
                Ok(backsight_engine::source::Flow::More)
            };
            file.read(&stretch, &scan, &[], &Default::default(), &mut look).expect("is read");
        }
    }
    assert!(kinds.iter().all(|n| *n > 20), "all sorts of columns are met: {kinds:?}");
}

/// Rows are read in any pieces, and others passed over.
#[test]
fn what_a_filter_leaves() {
    let names: Vec<&str> = columns().iter().map(|(name, _)| *name).collect();
    for (how, data) in files() {
        let file = open(data).expect("opens");
        let (all, _) = read(&file, &names);
        for (at, wanted) in [
            (0, "s:nothing"),
            (1, "s:required 3"),
            (2, "s:value 9"),
            (3, "s:run 5"),
            (7, "s:text number 650, different from all others"),
            (9, "n:5"),
        ] {
            let keep = |batch: &Batch| {
                let column = &batch.columns[at];
                BooleanBuffer::collect_bool(batch.rows, |i| shown(column.get(i)) == wanted)
            };
            let filter = Some(Filter { fields: &[at], keep: &keep });
            let scan =
                Scan { want: names.iter().map(|name| field(name)).collect(), filter, words: true, ..Scan::default() };
            let (some, counters) = read_scan(&file, &scan);
            let expected: Rows = all.iter().filter(|row| row[at] == wanted).cloned().collect();
            // More may come where it does not pay.
            let some: Rows = some.into_iter().filter(|row| row[at] == wanted).collect();
            assert_eq!((some, notes(&counters)), (expected, vec![]), "{how}, {wanted}");
        }
    }
}

fn shown(cell: ValueRef<'_>) -> String {
    let kind = if cell.kind() == Some(Kind::Number) { "n" } else { "s" };
    cell.text().map_or("-".into(), |text| format!("{kind}:{}", String::from_utf8_lossy(&text)))
}

/// Pages in memory.
struct Made(std::vec::IntoIter<Page>);

impl Iterator for Made {
    type Item = Read<Page>;

    fn next(&mut self) -> Option<Read<Page>> {
        self.0.next().map(Ok)
    }
}

impl PageReader for Made {
    fn get_next_page(&mut self) -> Read<Option<Page>> {
        Ok(self.0.next())
    }

    fn peek_next_page(&mut self) -> Read<Option<PageMetadata>> {
        Ok(self.0.as_slice().first().map(|page| {
            let rows = page.is_data_page().then(|| page.num_values() as usize);
            PageMetadata { num_rows: rows, num_levels: rows, is_dict: page.is_dictionary_page() }
        }))
    }

    fn skip_next_page(&mut self) -> Read<()> {
        self.0.next();
        Ok(())
    }
}

fn dictionary(texts: &[&str]) -> Page {
    Page::DictionaryPage {
        buf: plain_texts(texts),
        num_values: texts.len() as u32,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    }
}

fn plain_texts(texts: &[&str]) -> Bytes {
    let pieces = texts.iter().flat_map(|t| (t.len() as u32).to_le_bytes().into_iter().chain(t.bytes()));
    pieces.collect::<Vec<u8>>().into()
}

fn page(encoding: Encoding, rows: u32, body: &[u8]) -> Page {
    Page::DataPage {
        buf: Bytes::copy_from_slice(body),
        num_values: rows,
        encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    }
}

fn texts(pages: Vec<Page>, nullable: bool) -> Texts {
    Texts::of(Box::new(Made(pages.into_iter())), "c".into(), nullable, 100)
}

#[test]
fn damaged_pages_are_named() {
    let words = || dictionary(&["a", "b", "c"]);
    let indices = |rows, body: &[u8]| page(Encoding::RLE_DICTIONARY, rows, body);
    let nulls = [&[2, 0, 0, 0, 10, 0][..], &[]].concat();
    let cases: Vec<(Vec<Page>, bool, u32, &str)> = vec![
        (vec![words(), indices(5, &[2, 10, 2])], false, 5, ""),
        (vec![words(), indices(5, &[2, 10, 3])], false, 5, "entry 3 of a dictionary of 3 is asked for"),
        (vec![words(), indices(5, &[32, 10, 255, 255, 255, 255])], false, 5, "entry 4294967295 of a dictionary of 3"),
        (vec![words(), indices(5, &[33, 10, 0])], false, 5, "indices of more than 32 bits"),
        (vec![words(), indices(5, &[2, 8, 2])], false, 5, "a page has fewer values than it claims"),
        (vec![words(), indices(5, &[])], false, 5, "a page has fewer values than it claims"),
        (vec![indices(5, &[2, 10, 2])], false, 5, "the dictionary of its pages is missing"),
        (vec![words(), indices(5, &[2, 10, 2])], false, 6, "it ends too early"),
        (vec![words(), indices(5, &[9, 0, 0, 0, 10, 1])], true, 5, "its levels are cut off"),
        (vec![words(), indices(5, &[2, 0, 0, 0, 8, 1, 2, 10, 2])], true, 5, "a page has fewer levels than it claims"),
        // Nulls ask nothing of a dictionary, be it empty or its indices missing.
        (vec![dictionary(&[]), indices(5, &nulls)], true, 5, ""),
        (vec![dictionary(&[]), indices(5, &[0, 10])], false, 5, "entry 0 of a dictionary of 0 is asked for"),
        (vec![page(Encoding::PLAIN, 2, &plain_texts(&["x", "y"]))], false, 2, ""),
        (vec![page(Encoding::PLAIN, 3, &plain_texts(&["x", "y"]))], false, 3, "a page has fewer values than it claims"),
        (vec![page(Encoding::PLAIN, 1, &[200, 0, 0, 0, 1])], false, 1, "a page has fewer values than it claims"),
        (vec![page(Encoding::DELTA_BYTE_ARRAY, 1, &[0])], false, 1, "a page is encoded as DELTA_BYTE_ARRAY"),
        (
            vec![Page::DictionaryPage {
                buf: Bytes::new(),
                num_values: 9,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            }],
            false,
            1,
            "its dictionary is cut off",
        ),
    ];
    for (pages, nullable, rows, expected) in cases {
        let all: Vec<u32> = (0..rows).collect();
        for read in [texts(pages.clone(), nullable).next(rows as usize), texts(pages, nullable).take(&all)] {
            let why = read.err().map(|damage| damage.why).unwrap_or_default();
            assert!(why.contains(expected) && expected.is_empty() == why.is_empty(), "{expected}: {why}");
        }
    }
}

#[test]
fn a_dictionary_that_is_given_up() {
    let pages = || {
        vec![
            dictionary(&["a", "a text longer than twelve bytes"]),
            page(Encoding::PLAIN_DICTIONARY, 3, &[1, 2, 1, 4, 0]),
            page(Encoding::PLAIN, 2, &plain_texts(&["plain", "another text longer than that"])),
            page(Encoding::RLE_DICTIONARY, 2, &[1, 4, 1]),
        ]
    };
    let shown = |column: &Column| -> Vec<String> {
        column.iter().map(|c| String::from_utf8_lossy(&c.text().unwrap_or_default()).into_owned()).collect()
    };
    let long = "a text longer than twelve bytes";
    let all = [long, "a", "a", "plain", "another text longer than that", long, long];
    let mut column = texts(pages(), false);
    let (first, rest) = (column.next(2).expect("sound"), column.next(5).expect("sound"));
    assert!(matches!((&first, &rest), (Column::Dict(..), Column::Text(..))));
    assert_eq!([shown(&first), shown(&rest)].concat(), all);
    assert!(column.is_done().expect("sound"));
    for rows in [&[0, 1, 4, 6][..], &[2], &[3, 5], &[6]] {
        let expected: Vec<&str> = rows.iter().map(|row| all[*row as usize]).collect();
        assert_eq!(shown(&texts(pages(), false).take(rows).expect("sound")), expected);
    }
    let mut late = texts(pages(), false);
    late.skip_to(4).expect("sound");
    assert_eq!(shown(&late.next(2).expect("sound")), [all[4], long]);
    assert!(!late.is_done().expect("sound"));
}
