//! What every reader must hold, whatever the bytes: no panic, and the same rows however the file is cut and however little
//! of it is asked for.

use backsight_engine::source::{Counters, Field, Flow, Scan, Source, Weight};
use backsight_io::{Options, open};
use backsight_lang::ast::{Path, Segment};
use backsight_lang::span::Span;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Fields that are asked for: those of the system, and some that seeds have. Dots divide.
const FIELDS: &[&str] = &["@message", "@timestamp", "@logStream", "n", "a.b", "status", "userIdentity.type", "x"];

/// Literals to search for: a word, and what is part of much.
const NEEDLES: &[&str] = &["error", "1"];

/// The folder the bytes are put into to be read.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("backsight-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder to write to");
    place
});

/// What a pass gave.
#[derive(Debug, Default)]
struct Pass {
    /// The cells, nulls as nothing.
    rows: Vec<Vec<Option<Vec<u8>>>>,
    positions: Vec<u64>,
    records: u64,
    /// Bytes of the file that were read or passed over.
    consumed: u64,
    failed: bool,
    /// Something could not be read: what is read of it all the same depends on how one goes about it.
    damaged: bool,
}

fn field(name: &str) -> Field {
    let segments = name.split('.').map(|part| Segment::Name { text: part.into(), quoted: false });
    Field::named(&Path { segments: segments.collect(), span: Span::default() })
}

fn pass(path: &PathBuf, options: &Options, want: &[&str], needle: Option<&str>) -> Pass {
    let mut pass = Pass::default();
    let Ok(files) = open(std::slice::from_ref(path), options.clone()) else {
        pass.failed = true;
        return pass;
    };
    let scan = Scan {
        want: want.iter().map(|name| field(name)).collect(),
        needles: needle.map(|needle| vec![needle.as_bytes().to_vec()]).into_iter().collect(),
        ..Scan::default()
    };
    let counters = Counters::default();
    let (mut rows, mut positions) = (Vec::new(), Vec::new());
    let mut out = |batch: backsight_engine::value::column::Batch| {
        for row in 0..batch.rows {
            positions.push(batch.positions.get(row));
            rows.push(batch.columns.iter().map(|c| c.get(row).text().map(|t| t.into_owned())).collect());
        }
        Ok(Flow::More)
    };
    pass.failed = Source::open(&files, &scan, &counters)
        .and_then(|morsels| {
            while let Some(morsel) = morsels.next() {
                morsel.read(&mut out)?;
            }
            Ok(())
        })
        .is_err();
    pass.damaged = counters.notes.lock().expect("no panic").iter().any(|note| note.weight == Weight::Damage);
    (pass.rows, pass.positions) = (rows, positions);
    pass.records = Counters::get(&counters.records);
    pass.consumed = Counters::get(&counters.input_bytes);
    pass
}

/// Reads these bytes in every way, as a format or as what they look like.
pub fn hold(format: Option<&str>, bytes: &[u8]) {
    let path = PLACE.join("log");
    std::fs::write(&path, bytes).expect("written");
    let options = Options {
        format: format.map(str::to_owned),
        expansion: 100,
        expansion_floor: 4 << 20,
        ..Options::default()
    };
    let whole = pass(&path, &options, FIELDS, None);
    if whole.failed || whole.damaged {
        // The other ways have to end, too.
        let _ = pass(&path, &Options { morsel: 64, ..options.clone() }, FIELDS, None);
        let _ = pass(&path, &options, &[], None);
        return;
    }
    assert!(whole.positions.is_sorted(), "rows come in source order");
    assert_eq!(whole.records, whole.rows.len() as u64, "every record is a row");
    // Members of a zip archive may overlap: then some bytes are read twice.
    let overlaps = bytes.windows(2).any(|pair| pair == b"PK");
    assert!(overlaps || whole.consumed <= bytes.len() as u64, "{} of {} bytes", whole.consumed, bytes.len());
    let pieces = pass(&path, &Options { morsel: 64, ..options.clone() }, FIELDS, None);
    assert!(!pieces.failed && pieces.rows == whole.rows, "cut into small pieces: {}", differ(&whole, &pieces));
    assert_eq!((pieces.consumed, pieces.records), (whole.consumed, whole.records));
    let counted = pass(&path, &options, &[], None);
    assert_eq!((counted.records, counted.rows.len()), (whole.records, whole.rows.len()), "only counted");
    for needle in NEEDLES {
        let some = pass(&path, &options, FIELDS, Some(needle));
        assert_eq!(some.records, whole.records, "searched for {needle}");
        let mut left = some.rows.iter();
        let holds = |row: &&Vec<Option<Vec<u8>>>| {
            row[0].as_ref().is_some_and(|text| text.windows(needle.len()).any(|w| w == needle.as_bytes()))
        };
        for row in whole.rows.iter().filter(holds) {
            assert!(left.any(|other| other == row), "searched for {needle}: lost {row:?}");
        }
    }
}

fn differ(a: &Pass, b: &Pass) -> String {
    let at = a.rows.iter().zip(&b.rows).position(|(a, b)| a != b).unwrap_or(a.rows.len().min(b.rows.len()));
    let row = |pass: &Pass| pass.rows.get(at).map(|row| format!("{row:?}"));
    format!("row {at} of {} and {}: {:?} and {:?}", a.rows.len(), b.rows.len(), row(a), row(b))
}
