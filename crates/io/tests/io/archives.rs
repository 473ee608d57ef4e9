//! zip and tar: members read in place, whatever the archive does to prevent it.

use super::codecs::ALL;
use super::damage::{damages, gzip, numbers, pass, records};
use super::{Pass, read, read_bytes, scan};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Weight};
use backsight_io::{Options, open};
use std::io::Write;
use std::time::{Duration, Instant};

/// A zip archive being made.
#[derive(Default)]
pub(crate) struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

/// What is special about a member; all of it in one place, so that tests name only what they mean.
#[derive(Clone, Copy, Default)]
pub(crate) struct Special {
    /// Compressed with deflate.
    deflated: bool,
    /// Flags of its header; 8: sizes stand behind the data.
    flags: u16,
    /// Its type and mode on Unix.
    mode: u32,
    /// The compression method to claim.
    method: Option<u16>,
    /// What to add to its checksum.
    wrong: u32,
    /// Its sizes and place stand in an extra field.
    wide: bool,
}

impl Zip {
    pub(crate) fn add(mut self, name: &str, content: &[u8], special: Special) -> Zip {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let data = if special.deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(content).expect("memory");
            encoder.finish().expect("memory")
        } else {
            content.to_vec()
        };
        let offset = self.bytes.len();
        let method = special.method.unwrap_or(if special.deflated { 8 } else { 0 });
        let sums = |known: bool| {
            let (packed, size) =
                if special.wide { (u32::MAX, u32::MAX) } else { (data.len() as u32, content.len() as u32) };
            [crc.sum().wrapping_add(special.wrong), packed, size]
                .map(|n| if known { n } else { 0 }.to_le_bytes())
                .concat()
        };
        let extra = |with_offset: bool| {
            let mut numbers = vec![content.len() as u64, data.len() as u64];
            numbers.extend(with_offset.then_some(offset as u64));
            let numbers: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
            let head = [1u16.to_le_bytes(), (numbers.len() as u16).to_le_bytes()].concat();
            if special.wide { [head, numbers].concat() } else { Vec::new() }
        };
        let head = [20, special.flags, method, 0, 0].map(u16::to_le_bytes).concat();
        let lengths = |extra: &[u8]| [name.len() as u16, extra.len() as u16].map(u16::to_le_bytes).concat();
        let after = special.flags & 8 != 0;
        for part in
            [b"PK\x03\x04", &head[..], &sums(!after), &lengths(&extra(false)), name.as_bytes(), &extra(false), &data]
        {
            self.bytes.extend_from_slice(part);
        }
        if after {
            self.bytes.extend_from_slice(&[&b"PK\x07\x08"[..], &sums(true)].concat());
        }
        let place = if special.wide { u32::MAX } else { offset as u32 };
        let tail = [&[0; 6][..], &(special.mode << 16).to_le_bytes(), &place.to_le_bytes()].concat();
        let made_by = [20, 3];
        let more = extra(true);
        for part in
            [b"PK\x01\x02", &made_by[..], &head, &sums(true), &lengths(&more), &tail[..], name.as_bytes(), &more]
        {
            self.directory.extend_from_slice(part);
        }
        self.entries = self.entries.wrapping_add(1);
        self
    }

    /// So many more entries that lead to the last member.
    fn again(mut self, times: u16) -> Zip {
        let start = self.directory.windows(4).rposition(|magic| magic == b"PK\x01\x02").expect("an entry");
        let entry = self.directory[start..].to_vec();
        self.directory.extend(entry.repeat(times.into()));
        self.entries = self.entries.wrapping_add(times);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let (at, size) = (self.bytes.len() as u32, self.directory.len() as u32);
        let entries = self.entries.to_le_bytes();
        let end = [&b"PK\x05\x06\0\0\0\0"[..], &entries, &entries, &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]];
        [self.bytes, self.directory, end.concat()].concat()
    }
}

/// A tar archive of members made by `tar`.
pub(crate) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).expect("memory");
    }
    builder.into_inner().expect("memory")
}

/// A member with any header.
fn block(name: &str, kind: tar::EntryType, said: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(said);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn notices(pass: &Pass) -> Vec<(String, String)> {
    let name = |file: String| file.rsplit_once("log").map_or(file.clone(), |(_, name)| name.to_owned());
    pass.notes(Weight::Notice).into_iter().map(|n| (name(n.file), n.message)).collect()
}

/// The numbers of all records but one that was cut in half, which is kept as text.
fn whole(pass: &Pass) -> Vec<usize> {
    pass.column(0).iter().filter_map(|n| n.parse().ok()).collect()
}

fn expect(what: &str, bytes: &[u8], rows: usize) -> Pass {
    let pass = pass(bytes);
    assert!(pass.error.is_none(), "{what}: {:?}", pass.error);
    assert!(numbers(&pass).into_iter().eq(0..rows), "{what}: {} rows, {:?}", pass.rows.len(), damages(&pass).first());
    let mut sorted = pass.positions.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, pass.positions, "{what}: positions in order");
    pass
}

pub(crate) const DEFLATED: Special = Special { deflated: true, flags: 0, mode: 0, method: None, wrong: 0, wide: false };

#[test]
fn members_are_files() {
    let [a, b, c] = [(0, 40), (40, 41), (41, 90)].map(|(from, to)| records(from, to).into_bytes());
    let plain = Special::default();
    let archives: &[(&str, Vec<u8>)] = &[
        ("zip, stored", Zip::default().add("a", &a, plain).add("d/b", &b, plain).add("c", &c, plain).finish()),
        ("zip, deflated", Zip::default().add("a", &a, DEFLATED).add("b", &b, DEFLATED).add("c", &c, DEFLATED).finish()),
        ("zip64", {
            let wide = Special { wide: true, ..DEFLATED };
            Zip::default().add("a", &a, wide).add("b", &b, wide).add("c", &c, wide).finish()
        }),
        ("zip behind something", {
            let zip = Zip::default().add("a", &a, plain).add("b", &b, DEFLATED).add("c", &c, plain).finish();
            [b"PK\x03\x04 a stub that is no member ".to_vec(), zip].concat()
        }),
        ("sizes behind the data", {
            let after = Special { flags: 8, ..DEFLATED };
            Zip::default().add("a", &a, after).add("b", &b, after).add("c", &c, after).finish()
        }),
        (
            "zip of gzip",
            Zip::default().add("a", &gzip(&a), plain).add("b", &b, plain).add("c", &gzip(&c), DEFLATED).finish(),
        ),
        ("the same name twice", Zip::default().add("a", &a, plain).add("a", &b, plain).add("a", &c, plain).finish()),
        ("names that lead elsewhere", {
            Zip::default().add("../../a", &a, plain).add("/etc/b", &b, plain).add("c:\\c", &c, DEFLATED).finish()
        }),
        ("tar", tar(&[("a", &a), ("d/b", &b), ("c", &c)])),
        ("tar of gzip", tar(&[("a", &gzip(&a)), ("b", &gzip(&b)), ("c", &gzip(&c))])),
        ("long names", tar(&[(&("long/".repeat(60) + "a"), &a), ("b", &b), (&"x".repeat(200), &c)])),
        (
            "zip in tar",
            tar(&[("a.zip", &Zip::default().add("a", &a, DEFLATED).add("b", &b, plain).finish()), ("c", &c)]),
        ),
        (
            "tar in zip",
            Zip::default().add("a.tar", &tar(&[("a", &a), ("b", &b)]), DEFLATED).add("c", &c, plain).finish(),
        ),
        ("PAX size and path", {
            let pax = format!("18 path=some/name\n{:2} size={}\n", 8 + a.len().to_string().len() + 1, a.len());
            let pax = pax.into_bytes();
            let head = block("pax", tar::EntryType::XHeader, pax.len() as u64, &pax);
            [head, block("short", tar::EntryType::Regular, 0, &a), tar(&[("b", &b), ("c", &c)])].concat()
        }),
        ("two archives, zeros between", [tar(&[("a", &a), ("b", &b)]), tar(&[("c", &c)])].concat()),
    ];
    for (what, bytes) in archives {
        let pass = expect(what, bytes, 90);
        assert_eq!(damages(&pass), [], "{what}");
        for (name, compress) in ALL {
            let pass = expect(what, &compress(bytes), 90);
            assert_eq!(damages(&pass), [], "{what} in {name}");
        }
    }
}

#[test]
fn what_is_not_a_file_is_named() {
    let a = records(0, 10).into_bytes();
    let with = |mode, flags, method| Special { mode, flags, method, ..Special::default() };
    let zip = Zip::default()
        .add("dir/", b"", with(0o040_755, 0, None))
        .add("link", b"../../etc/passwd", with(0o120_777, 0, None))
        .add("fifo", b"", with(0o010_644, 0, None))
        .add(".hidden", &a, Special::default())
        .add("README.md", &a, Special::default())
        .add("secret", &a, with(0, 1, None))
        .add("odd", &a, with(0, 0, Some(98)))
        .add("a", &a, Special::default())
        .finish();
    let pass = expect("zip", &zip, 10);
    let said = |name: &str, why: &str| (format!("!{name}"), why.to_owned());
    let not_logs = [said(".hidden", "skipped: hidden"), said("README.md", "skipped: not a log by its name")];
    let expected = [said("fifo", "skipped: not a regular file"), said("link", "skipped: a link")];
    assert_eq!(notices(&pass), [&not_logs[..], &expected[..]].concat());
    let damaged: Vec<_> = damages(&pass).into_iter().map(|(_, why)| why).collect();
    assert_eq!(damaged, ["uses compression method 98, which cannot be read", "is encrypted and cannot be read"]);

    let members = [
        block("dir/", tar::EntryType::Directory, 0, b""),
        block("hard", tar::EntryType::Link, 100, b""),
        block("soft", tar::EntryType::Symlink, 0, b""),
        block("device", tar::EntryType::Char, 0, b""),
        block("sparse", tar::EntryType::GNUSparse, 3, b"abc"),
        tar(&[("a", &a)]),
    ];
    for bytes in [members.concat(), gzip(&members.concat())] {
        let pass = expect("tar", &bytes, 10);
        let links = [said("device", "skipped: not a regular file"), said("hard", "skipped: a link")];
        assert_eq!(notices(&pass), [&links[..], &[said("soft", "skipped: a link")]].concat());
        assert_eq!(damages(&pass), [(None, "is a sparse file, which cannot be read".to_owned())]);
    }
}

#[test]
fn damage_costs_what_it_hits() {
    let [a, b, c] = [(0, 40), (40, 80), (80, 90)].map(|(from, to)| records(from, to).into_bytes());
    let zip = |special| Zip::default().add("a", &a, special).add("b", &b, special).add("c", &c, special).finish();
    for special in [Special::default(), DEFLATED, Special { flags: 8, ..DEFLATED }] {
        // Cut anywhere: the members before the cut are there, found by their own headers.
        let good = zip(special);
        for len in (200..good.len()).step_by(23) {
            let pass = pass(&good[..len]);
            let numbers = whole(&pass);
            assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "cut at {len}");
            assert!(!damages(&pass).is_empty(), "cut at {len}");
        }
        let wrong =
            Zip::default().add("a", &a, special).add("b", &b, Special { wrong: 1, ..special }).add("c", &c, special);
        let pass = expect("wrong checksum", &wrong.finish(), 90);
        assert_eq!(
            damages(&pass).iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>(),
            ["checksum mismatch in the member"]
        );
    }
    let good = tar(&[("a", &a), ("b", &b), ("c", &c)]);
    for len in (600..good.len() - 1024).step_by(101) {
        for bytes in [good[..len].to_vec(), gzip(&good[..len])] {
            let pass = pass(&bytes);
            let numbers = whole(&pass);
            assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "cut at {len}");
        }
    }
    // A header that is none: its member is lost, the next is found.
    let mut bytes = good.clone();
    bytes[512 + a.len().next_multiple_of(512)] ^= 0x20;
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let pass = pass(&bytes);
        assert_eq!(numbers(&pass), (0..40).chain(80..90).collect::<Vec<_>>());
        assert!(damages(&pass)[0].1.ends_with("bytes that are no member of a tar archive"), "{:?}", damages(&pass));
        assert!(Counters::get(&pass.counters.lost) > b.len() as u64);
    }
    // Three gzip members, the second broken: of the tar behind it, what is whole is found again. The borders lie within the
    // data of the first and of the second member of the tar.
    let within = |member: &[u8]| good.windows(member.len()).position(|w| w == member).expect("it is in there") + 100;
    let borders = [0, within(&a), within(&b) + b.len() / 2, good.len()];
    let pieces: Vec<Vec<u8>> = borders.windows(2).map(|part| gzip(&good[part[0]..part[1]])).collect();
    let mut bytes = pieces.concat();
    bytes[pieces[0].len() + 40] ^= 0xff;
    let pass = pass(&bytes);
    assert!(pass.error.is_none() && !damages(&pass).is_empty());
    assert!(pass.column(0).starts_with(&["0", "1", "2"]), "{:?}", pass.column(0));
    assert!(pass.column(0).ends_with(&["88", "89"]), "{:?}", pass.column(0));
}

#[test]
fn archives_in_archives_have_an_end() {
    let a = records(0, 5).into_bytes();
    let mut zip = Zip::default().add("a", &a, DEFLATED).finish();
    for _ in 0..2 {
        zip = Zip::default().add("in.zip", &zip, DEFLATED).finish();
    }
    expect("three deep", &zip, 5);
    for depth in 4..12 {
        zip = Zip::default().add("in.zip", &zip, DEFLATED).finish();
        let pass = expect(&format!("{depth} deep"), &zip, 0);
        assert_eq!(notices(&pass)[0].1, "skipped: an archive within 3 archives");
    }
}

/// An archive may give the same bytes out as many members, so that it holds more than it has.
#[test]
fn members_over_each_other() {
    let a = records(0, 40).into_bytes();
    let zip = Zip::default().add("a", &a, DEFLATED).again(60_000).finish();
    let pass = expect("one member 60,000 times", &zip, 40);
    assert_eq!(notices(&pass).len(), 60_000);
    assert_eq!(notices(&pass)[0].1, "skipped: the same bytes as a member before it");

    // Each member holds the header of the next, and all end with the same bytes.
    let kernel = lines(1 << 20);
    let mut bytes = kernel;
    let (mut directory, mut names) = (Vec::new(), Vec::new());
    for n in 0..300 {
        let one = Zip::default().add(&format!("{n:03}"), &bytes, Special::default());
        directory.push(one.directory);
        names.push(one.bytes.len());
        bytes = one.bytes;
    }
    for (entry, len) in directory.iter_mut().zip(names) {
        let place = entry.len() - 7..entry.len() - 3;
        entry[place].copy_from_slice(&((bytes.len() - len) as u32).to_le_bytes());
    }
    let entries = directory.len() as u16;
    let zip = Zip { bytes, directory: directory.concat(), entries }.finish();
    let options = Options { expansion: 20, expansion_floor: 1 << 20, ..Options::default() };
    let pass = read_bytes(&zip, &["n"], options);
    assert!(matches!(pass.error, Some(Error::Limit(_))), "{:?}", pass.error);
    assert!(pass.rows.len() < 25 * 4, "{} rows", pass.rows.len());
}

/// A few long lines that have this size together.
fn lines(size: usize) -> Vec<u8> {
    format!("{{\"n\":1,\"pad\":\"{}\"}}\n", "x".repeat(size / 4)).repeat(4).into_bytes()
}

/// A million in release, on two busy cores: 11 s and 0.5 GB for a zip archive, 13 s and 0.4 GB for a tar archive, stored or
/// compressed. That is some 400 bytes a member, for what is counted about each. `BACKSIGHT_FAULTS` says how many here.
#[test]
fn many_members() {
    // More than the directory has digits for, if asked to.
    let n = std::env::var("BACKSIGHT_FAULTS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let member = |i| (format!("{i}.json"), format!("{{\"n\":{i}}}\n").into_bytes());
    let zip = (0..n).map(member).fold(Zip::default(), |zip, (name, text)| zip.add(&name, &text, Special::default()));
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in (0..n).map(member) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, name, &text[..]).expect("memory");
    }
    let tar = builder.into_inner().expect("memory");
    // Sizes stand behind the data, and there is no directory: where a member ends shows only once it is inflated.
    let streamed = Special { flags: 8, ..DEFLATED };
    let streamed = (0..n).map(member).fold(Zip::default(), |zip, (name, text)| zip.add(&name, &text, streamed)).bytes;
    let archives = [("zip", zip.finish()), ("zip cut off", streamed), ("compressed tar", gzip(&tar)), ("tar", tar)];
    for (what, bytes) in archives {
        let started = Instant::now();
        let options = Options { expansion: 2, expansion_floor: 1 << 20, ..Options::default() };
        let pass = read_bytes(&bytes, &["n"], options);
        assert!(pass.error.is_none() && numbers(&pass).into_iter().eq(0..n), "{what}: {:?}", pass.error);
        assert!(started.elapsed() < Duration::from_millis(10_000 + n as u64), "{what}: {:?}", started.elapsed());
    }
}

#[test]
fn members_have_names_and_fields() {
    let a = b"{\"n\":1}\n";
    let zip = Zip::default().add("dt=2024-05-01/a.json", a, DEFLATED).add("./b\n.json", a, DEFLATED).finish();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("logs.zip");
    std::fs::write(&path, zip).expect("written");
    let files = open(&[path], Options::default()).expect("a file");
    let pass = read(&files, &scan(&["@logStream", "dt"]));
    assert_eq!(pass.column(0), ["logs.zip!dt=2024-05-01/a.json", "logs.zip!./b\n.json"]);
    assert_eq!(pass.column(1), ["2024-05-01", ""]);
    let files = pass.counters.files.lock().expect("no panic");
    let taken: Vec<_> = files.iter().map(|f| f.taken_for.get().copied()).collect();
    assert_eq!(taken, [Some(("zip", None)), Some(("ndjson", None)), Some(("ndjson", None))]);
    assert_eq!(files.iter().map(|f| Counters::get(&f.counts.records)).collect::<Vec<_>>(), [0, 1, 1]);
}

/// Bits of an archive flipped: what is not hit is read, and what is lost is said. Every bit if `BACKSIGHT_FAULTS` is set, else
/// one of every third byte.
#[test]
fn any_flipped_bit_costs_one_member() {
    let [a, b, c] = [(0, 12), (12, 24), (24, 30)].map(|(from, to)| records(from, to).into_bytes());
    let all = std::env::var_os("BACKSIGHT_FAULTS").is_some();
    for special in [DEFLATED, Special::default(), Special { flags: 8, ..DEFLATED }] {
        let good = Zip::default().add("a", &a, special).add("b", &b, special).add("c", &c, special).finish();
        let bits = (0..good.len() * 8).filter(|bit| all || bit % 24 == bit / 24 * 5 % 24);
        for (at, bit) in bits.map(|bit| (bit / 8, bit % 8)) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let pass = pass(&bytes);
            let found = pass.column(0);
            let has =
                |range: std::ops::Range<usize>| range.into_iter().all(|n| found.contains(&n.to_string().as_str()));
            let hit = [has(0..12), has(12..24), has(24..30)].iter().filter(|whole| !**whole).count();
            assert!(pass.error.is_none() && hit <= 1, "bit {bit} of byte {at}: {:?} {found:?}", pass.error);
            assert!(found.len() == 30 && hit == 0 || !damages(&pass).is_empty(), "bit {bit} of byte {at}: unnoticed");
        }
    }
}
