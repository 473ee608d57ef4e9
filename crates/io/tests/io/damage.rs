//! gzip files that are cut, flipped, chained and padded.

use super::{Pass, read_bytes};
use backsight_engine::error::Error;
use backsight_engine::source::Weight;
use backsight_io::Options;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

/// Lines of numbered records, of no great compressibility.
pub(crate) fn records(from: usize, to: usize) -> String {
    (from..to).map(|i| format!("{{\"n\":{i},\"x\":\"{:x}\"}}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

pub(crate) fn pass(bytes: &[u8]) -> Pass {
    read_bytes(bytes, &["n"], Options { morsel: 256, ..Options::default() })
}

pub(crate) fn numbers(pass: &Pass) -> Vec<usize> {
    pass.column(0).iter().map(|n| n.parse().expect("a number")).collect()
}

pub(crate) fn damages(pass: &Pass) -> Vec<(Option<u64>, String)> {
    pass.notes(Weight::Damage).into_iter().map(|n| (n.offset, n.message)).collect()
}

#[test]
fn whole_files_and_chains_of_members() {
    let (a, b) = (records(0, 50), records(50, 100));
    let whole = a.clone() + &b;
    let mut chain = Vec::new();
    for piece in whole.as_bytes().chunks(37) {
        chain.extend(gzip(piece));
    }
    for bytes in [gzip(whole.as_bytes()), [gzip(a.as_bytes()), gzip(b.as_bytes())].concat(), chain] {
        let pass = pass(&bytes);
        assert_eq!(numbers(&pass), (0..100).collect::<Vec<_>>());
        assert_eq!(damages(&pass), []);
        assert_eq!(backsight_engine::source::Counters::get(&pass.counters.input_bytes), bytes.len() as u64);
    }
}

#[test]
fn headers_with_everything() {
    let mut encoder = flate2::GzBuilder::new()
        .filename("a.json")
        .comment("c")
        .extra(vec![1; 300])
        .write(Vec::new(), Compression::fast());
    encoder.write_all(b"{\"n\":1}\n").expect("memory");
    let pass = pass(&encoder.finish().expect("memory"));
    assert_eq!((numbers(&pass), damages(&pass)), (vec![1], vec![]));
}

#[test]
fn cut_at_every_byte() {
    let content = records(0, 60);
    let bytes = gzip(content.as_bytes());
    let mut most = 0;
    for len in 1..bytes.len() {
        let pass = pass(&bytes[..len]);
        assert!(pass.error.is_none());
        let numbers = numbers(&pass);
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "cut at {len}");
        assert!(numbers.len() >= most, "fewer rows for more bytes: cut at {len}");
        most = numbers.len();
        let damages = damages(&pass);
        assert_eq!(damages.len(), 1, "cut at {len}: {damages:?}");
        assert!(damages[0].1.starts_with("truncated"), "cut at {len}: {damages:?}");
        assert!(damages[0].0.is_some_and(|at| at <= len as u64));
    }
    assert_eq!(most, 60, "a cut in the trailer loses no row");
    // Behind a whole member, too.
    for len in 1..bytes.len() {
        let pass = pass(&[&bytes[..], &bytes[..len]].concat());
        let found = numbers(&pass);
        assert_eq!(found[..60], (0..60).collect::<Vec<_>>(), "cut at {len} behind a member");
        assert!(damages(&pass)[0].1.starts_with("truncated"), "cut at {len} behind a member: {:?}", damages(&pass));
    }
}

#[test]
fn wrong_checksum_or_size() {
    let good = gzip(records(0, 20).as_bytes());
    for at in good.len() - 8..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let pass = pass(&bytes);
        assert_eq!(numbers(&pass).len(), 20);
        let message = "checksum mismatch in the gzip member that begins at byte 0".to_owned();
        assert_eq!(damages(&pass), [(Some(good.len() as u64 - 8), message)]);
    }
}

#[test]
fn any_flipped_bit_is_noticed_and_later_members_are_read() {
    let (first, second, third) =
        (gzip(records(0, 40).as_bytes()), gzip(records(40, 80).as_bytes()), gzip(records(80, 90).as_bytes()));
    let good = [first.clone(), second.clone(), third].concat();
    for bit in 0..second.len() * 8 {
        let at = first.len() + bit / 8;
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (bit % 8);
        // Time, extra flags and system say nothing about the content.
        if (4..10).contains(&(bit / 8)) {
            continue;
        }
        let pass = pass(&bytes);
        let found = pass.column(0);
        let has = |range: std::ops::Range<usize>| range.into_iter().all(|n| found.contains(&n.to_string().as_str()));
        assert!(has(0..40), "bit {bit}: the member before");
        assert!(has(80..90), "bit {bit}: the member behind");
        // Flags of the header may turn what follows into a name or comment, which changes nothing if the rest is whole.
        assert!(!damages(&pass).is_empty() || found.len() == 90, "bit {bit} went unnoticed");
    }
}

/// Flips anywhere in a file of many members: what is not there is said to be lost.
#[test]
fn random_bits_of_many_members() {
    let good: Vec<u8> = (0..30).flat_map(|i| gzip(records(i * 10, i * 10 + 10).as_bytes())).collect();
    let mut bit = 0usize;
    for flip in 0..500 {
        bit = (bit + 0x9e37_79b9 + flip) % (good.len() * 8);
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let pass = pass(&bytes);
        let all = pass.column(0).into_iter().eq((0..300).map(|n| n.to_string()));
        assert!(all || pass.error.is_some() || !damages(&pass).is_empty(), "bit {bit} went unnoticed");
        let there = pass.column(0).iter().filter_map(|n| n.parse::<usize>().ok()).filter(|n| *n < 300).count();
        assert!(bit < 32 || there >= 280, "bit {bit}: {there} rows of 300, from 29 whole members");
    }
}

#[test]
fn what_follows_the_last_member() {
    let good = gzip(records(0, 20).as_bytes());
    let noise: Vec<u8> = (0..70_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
    for (tail, says) in [
        (vec![0; 1], "1 zero bytes after the last gzip member"),
        (vec![0; 512], "512 zero bytes after the last gzip member"),
        (vec![0; 65_536], "65536 zero bytes after the last gzip member"),
        (noise.clone(), "70000 bytes after the last gzip member are no gzip data"),
    ] {
        let pass = pass(&[good.clone(), tail].concat());
        assert_eq!((numbers(&pass).len(), damages(&pass)), (20, vec![]));
        let notices = pass.notes(Weight::Notice);
        assert_eq!((notices[0].offset, notices[0].message.as_str()), (Some(good.len() as u64), says));
    }
    // Between members it is damage: something stood there.
    let pass = pass(&[good.clone(), noise, gzip(records(20, 30).as_bytes())].concat());
    assert_eq!((numbers(&pass).len(), damages(&pass).len()), (30, 1));
}

#[test]
fn strict_stops_at_damage() {
    let bytes = gzip(records(0, 60).as_bytes());
    let pass = read_bytes(&bytes[..bytes.len() / 2], &["n"], Options { strict: true, ..Options::default() });
    assert!(matches!(pass.error, Some(Error::Input { offset: Some(_), .. })), "{:?}", pass.error);
}

#[test]
fn a_bomb_is_a_limit() {
    let bytes = gzip(&vec![b' '; 8 << 20]);
    let options = Options { expansion: 100, expansion_floor: 1 << 20, ..Options::default() };
    let pass = read_bytes(&bytes, &["n"], options);
    assert!(matches!(pass.error, Some(Error::Limit(_))), "{:?}", pass.error);
}

#[test]
fn compressed_twice() {
    let pass = pass(&gzip(&gzip(records(0, 20).as_bytes())));
    assert_eq!((numbers(&pass).len(), damages(&pass)), (20, vec![]));
}
