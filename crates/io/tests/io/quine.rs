//! Archives that hold themselves, to the byte: who follows them without a limit never comes to an end.
//!
//! As deflated data are a program of "print these bytes" and "print again what was printed", one can be written that prints
//! itself (Russ Cox, "Zip Files All The Way Down").

use super::damage::{damages, pass};
use backsight_engine::source::Weight;
use std::time::{Duration, Instant};

/// Bits as deflate packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// A number, its lowest bit first.
    fn number(&mut self, n: usize, bits: usize) {
        for bit in 0..bits {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            self.bytes[self.len / 8] |= ((n >> bit & 1) as u8) << (self.len % 8);
            self.len += 1;
        }
    }

    /// A Huffman code, its highest bit first.
    fn code(&mut self, code: usize, bits: usize) {
        (0..bits).rev().for_each(|bit| self.number(code >> bit, 1));
    }

    /// The start of a block with the fixed code.
    fn block(&mut self, last: bool) {
        self.number(usize::from(last), 1);
        self.number(1, 2);
    }

    /// "Print `length` bytes again, from `distance` bytes back on", with a length below 258.
    fn again(&mut self, length: usize, distance: usize) {
        let x = length - 3;
        let extra = x.max(4).ilog2() as usize - 2;
        match 257 + (extra << 2) + (x >> extra) {
            symbol @ ..280 => self.code(symbol - 256, 7),
            symbol => self.code(symbol - 280 + 0xc0, 8),
        }
        self.number(x & ((1 << extra) - 1), extra);
        let x = distance - 1;
        let extra = x.max(2).ilog2() as usize - 1;
        self.code(2 * extra + (x >> extra), 5);
        self.number(x & ((1 << extra) - 1), extra);
    }

    fn end(&mut self) {
        self.code(0, 7);
    }
}

/// "Print the `n` bytes that follow": five bytes.
fn print(n: usize) -> Vec<u8> {
    let n = n as u16;
    [&[0][..], &n.to_le_bytes(), &(!n).to_le_bytes()].concat()
}

/// "Print the last `n` bytes again", `n` as a sum. With an empty block behind it, or as the last block of all.
fn again(lengths: &[usize], empty: bool, last: bool) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.block(last);
    lengths.iter().for_each(|length| bits.again(*length, lengths.iter().sum()));
    bits.end();
    if empty {
        bits.block(false);
        bits.end();
    }
    bits.bytes
}

/// What comes to itself when what stands between `prefix` and `suffix` is inflated. All commands have five bytes, which
/// settles the length of the prefix.
fn quine(prefix: &[u8], suffix: &[u8]) -> Vec<u8> {
    assert_eq!(prefix.len(), 60);
    let (nothing, one, four, whole) = (print(0), print(5), print(20), print(65));
    let (four_again, whole_again) = (again(&[10, 10], false, false), again(&[65], true, false));
    assert_eq!((four_again.len(), whole_again.len()), (5, 5));
    let rest = |len: usize| again(&[len + suffix.len()], false, true);
    let rest_again = (3..8).map(rest).zip(3..).find(|(rest, len)| rest.len() == *len).expect("a length that fits").0;
    let tail = print(rest_again.len() + suffix.len());
    [
        prefix,
        // The prefix, twice.
        &[&whole, prefix, &whole, &whole_again].concat(),
        // The commands so far.
        &[&one[..], &whole_again, &one, &one, &four, &whole_again, &one, &one, &four, &four_again].concat(),
        // What follows, up to the suffix.
        &[&four[..], &four_again, &four, &four_again, &four, &four_again].concat(),
        &[&four[..], &four_again, &nothing, &nothing, &tail, &four_again, &nothing, &nothing].concat(),
        // The suffix, twice.
        &[&tail[..], &rest_again, suffix, &rest_again].concat(),
        suffix,
    ]
    .concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The bytes that have the checksum they are made with. A checksum is linear in the bits: what each bit of it changes is
/// found by a try, and the rest is a system of 32 equations.
fn with_its_checksum(make: impl Fn(u32) -> Vec<u8>) -> Option<Vec<u8>> {
    let base = crc(&make(0));
    let columns: Vec<u32> = (0..32).map(|bit| crc(&make(1 << bit)) ^ base ^ 1 << bit).collect();
    // Row by row: the bits of the unknown that are summed up, and their sum above them.
    let row =
        |row: u32| (0..32).fold(u64::from(base >> row & 1) << 32, |all, n| all | u64::from(columns[n] >> row & 1) << n);
    let mut rows: Vec<u64> = (0..32).map(row).collect();
    for column in 0..32 {
        let pivot = (column..32).find(|row| rows[*row] >> column & 1 == 1)?;
        rows.swap(column, pivot);
        let pivot = rows[column];
        for (at, row) in rows.iter_mut().enumerate() {
            if at != column && *row >> column & 1 == 1 {
                *row ^= pivot;
            }
        }
    }
    let sum = (0..32).fold(0, |sum, bit| sum | ((rows[bit] >> 32 & 1) as u32) << bit);
    Some(make(sum))
}

/// A zip archive whose only member it is itself; `time` is of no account but for the checksum.
fn zip(time: u16, crc: u32) -> Vec<u8> {
    let name = b"logs/the-archive-in-itself.zip";
    let make = |packed: u32, size: u32| {
        let numbers = |list: &[u32]| list.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let head = [20, 0, 8, time, 0].map(u16::to_le_bytes).concat();
        let sums = numbers(&[crc, packed, size]);
        let lengths = [name.len() as u16, 0].map(u16::to_le_bytes).concat();
        let prefix = [b"PK\x03\x04", &head[..], &sums, &lengths, name].concat();
        let entry = [b"PK\x01\x02", &[20, 3][..], &head, &sums, &lengths, &[0; 14], name].concat();
        let place = numbers(&[entry.len() as u32, prefix.len() as u32 + packed]);
        let suffix = [&entry[..], b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &place, &[0, 0]].concat();
        (quine(&prefix, &suffix), prefix.len() + suffix.len())
    };
    let (bytes, around) = make(0, 0);
    make((bytes.len() - around) as u32, bytes.len() as u32).0
}

/// A gzip file that comes to itself when it is decompressed.
fn gzip(time: u16, crc: u32) -> Vec<u8> {
    let [low, high] = time.to_le_bytes();
    let head = [0x1f, 0x8b, 8, 8, low, high, 0, 0, 0, 3];
    let prefix = [&head[..], &[b'x'; 49], &[0]].concat();
    let make = |size: u32| quine(&prefix, &[crc.to_le_bytes(), size.to_le_bytes()].concat());
    make(make(0).len() as u32)
}

fn solved(make: fn(u16, u32) -> Vec<u8>) -> Vec<u8> {
    (0..100).find_map(|time| with_its_checksum(|crc| make(time, crc))).expect("an archive of itself")
}

#[test]
fn a_zip_archive_of_itself() {
    let zip = solved(zip);
    let mut inside = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&zip[60..]), &mut inside).expect("deflated");
    assert!(inside == zip, "its member is not what it is");
    let started = Instant::now();
    let pass = pass(&zip);
    assert!(pass.error.is_none() && pass.rows.is_empty(), "{:?}", pass.error);
    assert_eq!(damages(&pass), [], "its checksums are right");
    let notices = pass.notes(Weight::Notice);
    assert!(
        notices[0].file.ends_with(
            "log!logs/the-archive-in-itself.zip!logs/the-archive-in-itself.zip!logs/the-archive-in-itself.zip"
        )
    );
    assert_eq!(notices[0].message, "skipped: an archive within 3 archives");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_gzip_file_of_itself() {
    let gzip = solved(gzip);
    let mut inside = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut inside).expect("compressed");
    assert!(inside == gzip, "its content is not what it is");
    let pass = pass(&gzip);
    let why = pass.error.expect("it has no end").to_string();
    assert!(pass.rows.is_empty() && why.contains("compressed more than 3 times"), "{why}");
}
