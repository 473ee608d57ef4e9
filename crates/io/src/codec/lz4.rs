//! The frame format of lz4, and the older one: blocks with their sizes, decompressed one by one.

use super::chain::{Chain, End, Unit};
use super::{Decoder, Feed};
use lz4_flex::block::decompress_into_with_dict;
use twox_hash::XxHash32;

/// True for the first bytes of an lz4 file.
pub fn sniff(head: &[u8]) -> bool {
    Frame::starts(head)
}

/// Starts decompressing.
pub fn open(feed: Feed) -> Box<dyn Decoder> {
    Box::new(Chain::<Frame>::new(feed))
}

/// What the older format starts with.
const LEGACY: &[u8] = b"\x02\x21\x4c\x18";

/// Bytes of a block of the older format, decompressed.
const LEGACY_BLOCK: usize = 8 << 20;

/// Blocks may refer to so many bytes before them.
const DICTIONARY: usize = 64 << 10;

/// A frame being decompressed.
struct Frame {
    shape: Option<Shape>,
    /// The end of the blocks before, then the last block.
    bytes: Vec<u8>,
    /// What of `bytes` is handed out.
    given: usize,
    hash: XxHash32,
}

/// What the header says.
#[derive(Clone, Copy)]
struct Shape {
    legacy: bool,
    linked: bool,
    block_sums: bool,
    content_sum: bool,
    /// Bytes of a block, at most.
    block: usize,
}

/// What the header of a frame is, and its length.
enum Header {
    Whole(Shape, usize),
    CutShort,
    Wrong(&'static str),
}

fn header(bytes: &[u8]) -> Header {
    if bytes.starts_with(LEGACY) {
        let shape = Shape { legacy: true, linked: false, block_sums: false, content_sum: false, block: LEGACY_BLOCK };
        return Header::Whole(shape, LEGACY.len());
    }
    let &[_, _, _, _, flags, sizes, ..] = bytes else { return Header::CutShort };
    let len = 7 + if flags & 8 != 0 { 8 } else { 0 } + if flags & 1 != 0 { 4 } else { 0 };
    let Some(described) = bytes.get(4..len) else { return Header::CutShort };
    let (described, sum) = described.split_at(len - 5);
    let block = match (sizes >> 4) & 7 {
        n @ 4..=7 => 1 << (8 + 2 * n),
        _ => return Header::Wrong("an unknown size of blocks"),
    };
    if flags >> 6 != 1 || sum != [(XxHash32::oneshot(0, described) >> 8) as u8] {
        return Header::Wrong("a wrong header");
    }
    if flags & 1 != 0 {
        return Header::Wrong("a dictionary is needed");
    }
    let shape = Shape {
        legacy: false,
        linked: flags & 0x20 == 0,
        block_sums: flags & 0x10 != 0,
        content_sum: flags & 4 != 0,
        block,
    };
    Header::Whole(shape, len)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|four| u32::from_le_bytes(*four))
}

impl Frame {
    /// Reads the next block into `bytes`; says how the frame ended if there is none.
    fn block(&mut self, feed: &mut Feed, at: &mut usize) -> Option<End> {
        let shape = match self.shape {
            Some(shape) => shape,
            None => match header(feed.from(*at, 32)) {
                Header::Whole(shape, len) => {
                    *at += len;
                    *self.shape.insert(shape)
                }
                Header::CutShort => return Some(End::CutShort),
                Header::Wrong(why) => return Some(End::Corrupt(why)),
            },
        };
        let head = feed.from(*at, 4);
        let Some(size) = number(head) else {
            return Some(if shape.legacy && head.is_empty() { End::Done } else { End::CutShort });
        };
        if !shape.legacy && size == 0 {
            return Some(self.trailer(shape, feed, at));
        }
        if shape.legacy && Frame::starts(head) {
            return Some(End::Done);
        }
        let stored = !shape.legacy && size >> 31 != 0;
        let size = (size & 0x7fff_ffff) as usize;
        // What does not get smaller is stored as it is; the older format has no such mark.
        if size > shape.block + if shape.legacy { shape.block / 255 + 16 } else { 0 } {
            return Some(End::Corrupt("a block too long"));
        }
        let sum = if shape.block_sums { 4 } else { 0 };
        let bytes = feed.from(*at + 4, size + sum);
        let Some(block) = bytes.get(..size) else { return Some(End::CutShort) };
        if shape.block_sums {
            match bytes.get(size..).and_then(number) {
                None => return Some(End::CutShort),
                Some(sum) if sum != XxHash32::oneshot(0, block) => {
                    return Some(End::Corrupt("a wrong checksum of a block"));
                }
                Some(_) => {}
            }
        }
        self.keep_dictionary(shape);
        let before = self.bytes.len();
        if stored {
            self.bytes.extend_from_slice(block);
        } else {
            self.bytes.resize(before + shape.block, 0);
            let (dictionary, room) = self.bytes.split_at_mut(before);
            match decompress_into_with_dict(block, room, dictionary) {
                Ok(n) => self.bytes.truncate(before + n),
                Err(_) => {
                    self.bytes.truncate(before);
                    return Some(End::Corrupt(""));
                }
            }
        }
        *at += 4 + size + sum;
        if shape.content_sum {
            std::hash::Hasher::write(&mut self.hash, &self.bytes[before..]);
        }
        None
    }

    /// Lets go of what no further block can refer to.
    fn keep_dictionary(&mut self, shape: Shape) {
        let kept = if shape.linked { self.bytes.len().min(DICTIONARY) } else { 0 };
        self.bytes.drain(..self.bytes.len() - kept);
        self.given = kept;
    }

    fn trailer(&self, shape: Shape, feed: &mut Feed, at: &mut usize) -> End {
        if !shape.content_sum {
            *at += 4;
            return End::Done;
        }
        let Some(sum) = feed.from(*at, 8).get(4..).and_then(number) else { return End::CutShort };
        *at += 8;
        if sum == self.hash.finish_32() { End::Done } else { End::WrongChecksum }
    }
}

impl Unit for Frame {
    const NAME: &'static str = "lz4";
    const UNIT: &'static str = "frame";
    const MAGIC: &'static [u8] = b"\x04\x22\x4d\x18";

    fn starts(bytes: &[u8]) -> bool {
        bytes.starts_with(Frame::MAGIC) || bytes.starts_with(LEGACY)
    }

    fn begin() -> Option<Frame> {
        Some(Frame { shape: None, bytes: Vec::new(), given: 0, hash: XxHash32::with_seed(0) })
    }

    fn fill(&mut self, feed: &mut Feed, at: &mut usize, out: &mut [u8]) -> (usize, End) {
        let mut written = 0;
        loop {
            let ready = &self.bytes[self.given..];
            let n = ready.len().min(out.len() - written);
            out[written..written + n].copy_from_slice(&ready[..n]);
            self.given += n;
            written += n;
            if written == out.len() {
                return (written, End::Full);
            }
            if let Some(end) = self.block(feed, at) {
                return (written, end);
            }
        }
    }
}
