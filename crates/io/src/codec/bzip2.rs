//! bzip2: streams one after another.

use super::chain::{Chain, End, Step, Unit, steps};
use super::{Decoder, Feed};
use bzip2::{Decompress, Status};

/// True for the first bytes of a bzip2 file.
pub fn sniff(head: &[u8]) -> bool {
    head.len() >= 10 && Stream::starts(head)
}

/// Starts decompressing.
pub fn open(feed: Feed) -> Box<dyn Decoder> {
    Box::new(Chain::<Stream>::new(feed))
}

struct Stream(Decompress);

/// What stands behind the size of a stream: the start of a block, or of the end of a stream without any.
const BLOCKS: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];

impl Unit for Stream {
    const NAME: &'static str = "bzip2";
    const UNIT: &'static str = "stream";
    const MAGIC: &'static [u8] = b"BZh";

    fn starts(bytes: &[u8]) -> bool {
        let behind = bytes.get(4..).unwrap_or_default();
        let n = behind.len().min(6);
        bytes.starts_with(Stream::MAGIC)
            && bytes.get(3).is_none_or(|size| matches!(size, b'1'..=b'9'))
            && BLOCKS.iter().any(|block| behind[..n] == block[..n])
    }

    fn begin() -> Option<Stream> {
        Some(Stream(Decompress::new(false)))
    }

    fn fill(&mut self, feed: &mut Feed, at: &mut usize, out: &mut [u8]) -> (usize, End) {
        steps(feed, at, out, |input, out| {
            let (read, wrote) = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress(input, out);
            let end = match result {
                Ok(Status::StreamEnd) => Some(End::Done),
                Ok(Status::MemNeeded) => Some(End::Corrupt("out of memory")),
                Ok(_) => None,
                Err(_) => Some(End::Corrupt("")),
            };
            let (read, wrote) = (self.0.total_in() - read, self.0.total_out() - wrote);
            Step { read: read as usize, wrote: wrote as usize, end }
        })
    }
}
