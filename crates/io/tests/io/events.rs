//! Single events, fetched by their positions, are what reading all of them gave.

use super::archives::{DEFLATED, Zip, tar};
use super::codecs::ALL;
use super::damage::gzip;
use super::{read, scan};
use backsight_io::{Options, open};
use std::collections::{BTreeMap, BTreeSet};

/// Lines of JSON: most are short, some longer than what a decoder is asked for at once.
fn lines() -> String {
    let line = |i: usize| {
        let length = if i % 500 == 77 { 300_000 } else { i * 7919 % 301 };
        format!("{{\"n\":{i},\"nested\":{{\"text\":\"}} {}\"}}}}\n", "x".repeat(length))
    };
    (0..1000).map(line).collect()
}

/// A list of records in an envelope.
fn envelope() -> String {
    let record = |i: usize| format!("{{\"eventVersion\":\"1.08\",\"eventID\":\"{i}\",\"eventName\":\"A\"}}");
    format!("{{\"Records\":[{}]}}", (0..300).map(record).collect::<Vec<_>>().join(",\n "))
}

#[test]
fn events_are_found_wherever_they_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = lines();
    let half = lines[..lines.len() / 2].rfind('\n').expect("a line") + 1;
    let (first, second) = lines.as_bytes().split_at(half);
    let text: String = (0..900).map(|i| format!("line {i} of no format\n")).collect();
    let mut broken = [gzip(first), gzip(second)].concat();
    let at = gzip(first).len() / 2;
    broken[at] ^= 0x10;
    let mut files: Vec<(String, Vec<u8>)> =
        ALL.iter().map(|(name, pack)| (format!("lines.{name}"), pack(lines.as_bytes()))).collect();
    files.extend([
        ("lines".into(), lines.clone().into()),
        ("tails".into(), lines.replace("{\"n\":50", "{} {\"n\":50").into()),
        ("one-after-another".into(), gzip(lines.replace('\n', "").as_bytes())),
        ("two-members".into(), [gzip(first), gzip(second)].concat()),
        ("broken".into(), broken),
        ("twice".into(), gzip(&gzip(first))),
        ("envelope".into(), envelope().into()),
        ("envelope.gz".into(), gzip(envelope().as_bytes())),
        ("text.gz".into(), gzip(text.as_bytes())),
        ("members.zip".into(), Zip::default().add("a", first, DEFLATED).add("b", second, DEFLATED).finish()),
        ("members.tar.gz".into(), gzip(&tar(&[("a", first), ("b", second)]))),
    ]);
    for (name, bytes) in &files {
        std::fs::write(dir.path().join(name), bytes).expect("written");
    }
    let all = open(&[dir.path().to_owned()], Options::default()).expect("files");
    let pass = read(&all, &scan(&["@message"]));
    assert!(pass.error.is_none() && pass.positions.len() > 9_000, "{:?}", pass.positions.len());
    let texts: BTreeMap<u64, &str> = pass.positions.iter().copied().zip(pass.column(0)).collect();
    for (step, threads) in [(1, 3), (7, 2), (300, 8), (usize::MAX, 2)] {
        let wanted: BTreeSet<u64> = texts.keys().copied().step_by(step).collect();
        let found = all.events(&wanted, threads).expect("read");
        assert_eq!(found.len(), wanted.len());
        for (position, text) in found {
            let (shown, place) = all.place(position).map(|(input, place)| (&input.shown, place)).expect("a file");
            assert!(texts[&position].as_bytes() == text, "{shown} at {place}");
        }
    }
    // What is not there any more is left out.
    let names = |name: &str| all.inputs().iter().find(|i| i.shown.ends_with(name)).expect("there").position(0);
    let gone: BTreeSet<u64> = ["lines", "lines.gzip"].iter().map(|name| names(name) + lines.len() as u64).collect();
    assert!(all.events(&gone, 2).expect("read").is_empty());
}
