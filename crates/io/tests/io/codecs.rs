//! Every compression: whole, chained, nested, cut, flipped and padded.

use super::archives::{DEFLATED, Zip, tar};
use super::damage::{damages, gzip, numbers, pass, records};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Weight};
use backsight_io::codec;
use std::io::Write;

/// A name and what compresses.
type Row = (&'static str, fn(&[u8]) -> Vec<u8>);

/// All of them.
pub(crate) const ALL: &[Row] = &[("gzip", gzip), ("zstd", zstd), ("bzip2", bzip2), ("xz", xz), ("lz4", lz4)];

const NOTHING: Row = ("nothing", |bytes| bytes.to_vec());

/// With a checksum, which the function for beginners leaves out.
fn zstd(content: &[u8]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).expect("known");
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    context.compress2(&mut out, content).expect("memory");
    out
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

fn lz4(content: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn whole_files_and_chains_of_units() {
    let (a, b) = (records(0, 50), records(50, 100));
    let whole = a.clone() + &b;
    for (name, compress) in ALL {
        let chain: Vec<u8> = whole.as_bytes().chunks(37).flat_map(compress).collect();
        for bytes in [compress(whole.as_bytes()), [compress(a.as_bytes()), compress(b.as_bytes())].concat(), chain] {
            assert_eq!(codec::sniff(&bytes).map(|c| c.name), Some(*name));
            let pass = pass(&bytes);
            assert_eq!(numbers(&pass), (0..100).collect::<Vec<_>>(), "{name}");
            assert_eq!(damages(&pass), [], "{name}");
            assert_eq!(Counters::get(&pass.counters.input_bytes), bytes.len() as u64, "{name}");
        }
    }
}

/// Content decides, and a name that says otherwise is told of.
#[test]
fn names_that_lie() {
    let plain = records(0, 20);
    let table = backsight_io::parquet::testing::from_ndjson(&plain).expect("a table");
    let plain = plain.into_bytes();
    let zip = Zip::default().add("member", &plain, DEFLATED).finish();
    let others =
        [("zip", zip), ("tar", tar(&[("member", &plain)])), ("parquet", table), ("text", plain.clone())].into_iter();
    let folder = tempfile::tempdir().expect("a folder");
    let endings = [
        ("text", "json"),
        ("text", "csv"),
        ("gzip", "gz"),
        ("gzip", "tgz"),
        ("zstd", "zst"),
        ("bzip2", "bz2"),
        ("xz", "xz"),
        ("lz4", "lz4"),
        ("zip", "zip"),
        ("tar", "tar"),
        ("parquet", "parquet"),
    ];
    for (content, bytes) in ALL.iter().map(|(name, compress)| (*name, compress(&plain))).chain(others) {
        for (kind, ending) in endings {
            let path = folder.path().join(format!("a.{ending}"));
            std::fs::write(&path, &bytes).expect("written");
            let files = backsight_io::open(&[path], backsight_io::Options::default()).expect("a file");
            let pass = super::read(&files, &super::scan(&["n"]));
            assert!(numbers(&pass).into_iter().eq(0..20), "{content} called .{ending}");
            assert_eq!(damages(&pass), []);
            let told = pass.notes(Weight::Notice).iter().any(|n| n.message.contains("but its content is"));
            assert_eq!(told, content != kind, "{content} called .{ending}");
        }
    }
}

#[test]
fn any_in_any() {
    for (outer, compress) in ALL {
        for (inner, before) in ALL {
            let content = records(0, 30);
            let pass = pass(&compress(&before(content.as_bytes())));
            assert_eq!((numbers(&pass).len(), damages(&pass)), (30, vec![]), "{inner} in {outer}");
        }
    }
    let four = ALL.iter().take(4).fold(records(0, 3).into_bytes(), |bytes, (_, compress)| compress(&bytes));
    assert!(pass(&four).error.is_some_and(|e| e.to_string().contains("compressed more than 3 times")));
}

#[test]
fn cut_at_every_byte() {
    for (name, compress) in ALL {
        let bytes = compress(records(0, 60).as_bytes());
        let mut most = 0;
        for len in (10..bytes.len()).filter(|len| len % 3 == 0 || len + 20 > bytes.len()) {
            let pass = pass(&bytes[..len]);
            assert!(pass.error.is_none(), "{name} cut at {len}: {:?}", pass.error);
            let numbers = numbers(&pass);
            assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "{name} cut at {len}");
            assert!(numbers.len() >= most, "{name}: fewer rows for more bytes: cut at {len}");
            most = numbers.len();
            let damages = damages(&pass);
            assert_eq!(damages.len(), 1, "{name} cut at {len}: {damages:?}");
            assert!(damages[0].1.starts_with("truncated"), "{name} cut at {len}: {damages:?}");
            assert!(damages[0].0.is_some_and(|at| at <= len as u64));
        }
        assert_eq!(most, 60, "{name}: a cut in the trailer loses no row");
    }
}

#[test]
fn flipped_bits_are_noticed_and_later_units_are_read() {
    for (name, compress) in ALL.iter().skip(1) {
        let units = [(0, 40), (40, 80), (80, 90)].map(|(from, to)| compress(records(from, to).as_bytes()));
        let good = units.concat();
        let first = units[0].len();
        for bit in (0..units[1].len() * 8).step_by(11) {
            let mut bytes = good.clone();
            bytes[first + bit / 8] ^= 1 << (bit % 8);
            let pass = pass(&bytes);
            let found = pass.column(0);
            let has = |mut range: std::ops::Range<usize>| range.all(|n| found.contains(&n.to_string().as_str()));
            assert!(has(0..40), "{name} bit {bit}: the unit before");
            assert!(has(80..90), "{name} bit {bit}: the unit behind");
            assert!(!damages(&pass).is_empty() || found.len() == 90, "{name} bit {bit} went unnoticed");
        }
    }
}

#[test]
fn what_follows_the_last_unit() {
    let noise: Vec<u8> = (0..70_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
    for (name, compress) in ALL {
        let good = compress(records(0, 20).as_bytes());
        for tail in [vec![0; 1], vec![0; 512], vec![0; 65_536], noise.clone()] {
            let pass = pass(&[good.clone(), tail.clone()].concat());
            assert_eq!((numbers(&pass).len(), damages(&pass)), (20, vec![]), "{name} and {} bytes", tail.len());
            let notices = pass.notes(Weight::Notice);
            assert_eq!(notices[0].offset, Some(good.len() as u64), "{name}");
            assert!(notices[0].message.starts_with(&tail.len().to_string()), "{name}: {}", notices[0].message);
        }
        // Between units it is damage: something stood there.
        let pass = pass(&[good, noise.clone(), compress(records(20, 30).as_bytes())].concat());
        assert_eq!((numbers(&pass).len(), damages(&pass).len()), (30, 1), "{name}");
    }
}

/// C7: what becomes too large, at once or by way of another compression, is a limit.
#[test]
fn bombs_are_a_limit() {
    for (outer, compress) in ALL {
        for (inner, before) in ALL.iter().chain(&[NOTHING]) {
            let bytes = compress(&before(&vec![b' '; 4 << 20]));
            let options =
                backsight_io::Options { expansion: 50, expansion_floor: 1 << 20, ..backsight_io::Options::default() };
            let pass = super::read_bytes(&bytes, &["n"], options);
            assert!(matches!(pass.error, Some(Error::Limit(_))), "{inner} in {outer}: {:?}", pass.error);
        }
    }
}

/// What zstd allows beside plain frames.
#[test]
fn frames_of_zstd() {
    let content = records(0, 20);
    let frame = zstd(content.as_bytes());
    let skippable = [b"\x53\x2a\x4d\x18\x05\0\0\0hello".to_vec(), frame.clone()].concat();
    let between = [frame.clone(), b"\x50\x2a\x4d\x18\0\0\0\0".to_vec()].concat();
    let mut unchecked = vec![0; 4096];
    let n = zstd_safe::compress(&mut unchecked[..], content.as_bytes(), 3).expect("memory");
    unchecked.truncate(n);
    for (what, bytes) in [("a skippable frame before", skippable), ("one behind", between), ("no checksum", unchecked)]
    {
        let pass = pass(&bytes);
        assert_eq!((numbers(&pass).len(), damages(&pass)), (20, vec![]), "{what}");
    }
    // A header that asks for a window of 2 GiB.
    let mut huge = b"\x28\xb5\x2f\xfd\x00\xa8".to_vec();
    huge.extend_from_slice(b"\x01\0\0");
    let pass = pass(&[huge, frame].concat());
    assert_eq!(numbers(&pass).len(), 20);
    assert!(damages(&pass)[0].1.contains("more than 128 MiB"), "{:?}", damages(&pass));
}
