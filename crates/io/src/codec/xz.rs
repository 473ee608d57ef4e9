//! xz: streams one after another.

use super::chain::{Chain, End, Step, Unit, steps};
use super::{Decoder, Feed};
use liblzma::stream::{Action, Error, Status};

/// True for the first bytes of an xz file.
pub fn sniff(head: &[u8]) -> bool {
    Stream::starts(head)
}

/// Starts decompressing.
pub fn open(feed: Feed) -> Box<dyn Decoder> {
    Box::new(Chain::<Stream>::new(feed))
}

/// Memory a stream may ask for. `xz -9` needs 65 MiB.
const MEMORY: u64 = 192 << 20;

struct Stream(liblzma::stream::Stream);

impl Unit for Stream {
    const NAME: &'static str = "xz";
    const UNIT: &'static str = "stream";
    const MAGIC: &'static [u8] = b"\xfd7zXZ\0";

    fn starts(bytes: &[u8]) -> bool {
        bytes.starts_with(Stream::MAGIC)
    }

    fn begin() -> Option<Stream> {
        liblzma::stream::Stream::new_stream_decoder(MEMORY, 0).ok().map(Stream)
    }

    fn fill(&mut self, feed: &mut Feed, at: &mut usize, out: &mut [u8]) -> (usize, End) {
        steps(feed, at, out, |input, out| {
            let (read, wrote) = (self.0.total_in(), self.0.total_out());
            let end = match self.0.process(input, out, Action::Run) {
                Ok(Status::StreamEnd) => Some(End::Done),
                Ok(_) => None,
                Err(Error::MemLimit) => Some(End::Corrupt("it needs more than 192 MiB of memory")),
                Err(_) => Some(End::Corrupt("")),
            };
            let (read, wrote) = (self.0.total_in() - read, self.0.total_out() - wrote);
            Step { read: read as usize, wrote: wrote as usize, end }
        })
    }
}
