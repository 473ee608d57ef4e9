//! Compression: the table of codecs, and what a codec has to offer.
//!
//! A codec is recognised by the first bytes of a file, not its name. It hands out the bytes before any damage, says
//! where that is, and goes on behind it where the container allows.

mod bzip2;
mod chain;
mod deflate;
mod feed;
mod gzip;
mod lz4;
mod utf16;
mod whole;
mod xz;
mod zstd;

pub use deflate::{Deflated, checked};
pub use feed::Feed;
pub use utf16::Utf16;
pub use whole::set_room;

use arrow::buffer::Buffer;
use backsight_engine::error::Error;
use backsight_engine::source::Weight;

/// One kind of compression.
#[derive(Debug)]
pub struct Codec {
    /// Its name.
    pub name: &'static str,
    /// True if a file that starts with these bytes is compressed this way.
    pub sniff: fn(&[u8]) -> bool,
    /// Starts decompressing.
    pub open: fn(Feed) -> Box<dyn Decoder>,
}

/// All codecs.
pub const CODECS: &[Codec] = &[
    Codec { name: "gzip", sniff: gzip::sniff, open: gzip::open },
    Codec { name: "zstd", sniff: zstd::sniff, open: zstd::open },
    Codec { name: "bzip2", sniff: bzip2::sniff, open: bzip2::open },
    Codec { name: "xz", sniff: xz::sniff, open: xz::open },
    Codec { name: "lz4", sniff: lz4::sniff, open: lz4::open },
];

/// The codec of a file that starts with `head`, if it is compressed.
pub fn sniff(head: &[u8]) -> Option<&'static Codec> {
    CODECS.iter().find(|c| (c.sniff)(head))
}

/// Something found while decompressing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it bears on the answer.
    pub weight: Weight,
    /// Where in the compressed file.
    pub offset: u64,
    /// What.
    pub message: String,
    /// Bytes of the compressed file that were not read because of it.
    pub lost: u64,
}

/// What [`Decoder::fill`] ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There may be more.
    More,
    /// Bytes were lost here: what came before may be cut off, and what follows does not continue it.
    Gap,
    /// What came before is wrong somewhere, so that what follows must not be taken to continue it.
    Break,
    /// There is no more.
    End,
}

/// Gives the decompressed bytes of one file, front to back.
pub trait Decoder: Send {
    /// Writes the next bytes to the front of `out`, which is not empty: how many, and whether there is more. Zero bytes
    /// with [`State::More`] does not occur. Findings are added to `findings`.
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error>;

    /// Bytes of the compressed file taken so far.
    fn taken(&self) -> u64;

    /// `len` bytes as they lie in memory already, from `back` before the next one on, if they and more do: to be looked at
    /// there instead of being copied. None of them counts as given.
    fn peek(&self, _back: usize, _len: usize) -> Option<Buffer> {
        None
    }

    /// Gives the next `n` bytes to somebody who has peeked at them.
    fn pass(&mut self, _n: usize) {}

    /// Says that all of the file will be asked for.
    fn expect_all(&mut self) {}

    /// Says that only the first bytes will be asked for.
    fn expect_little(&mut self) {}
}

/// No compression: the bytes as they are. For files that need another filter all the same.
#[derive(Debug)]
pub struct Identity {
    feed: Feed,
    at: usize,
}

impl Identity {
    /// Starts at the front.
    pub fn new(feed: Feed) -> Identity {
        Identity { feed, at: 0 }
    }
}

impl Decoder for Identity {
    fn fill(&mut self, out: &mut [u8], _: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        let bytes = self.feed.from(self.at, 1);
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        self.at += n;
        Ok((n, if n == 0 { State::End } else { State::More }))
    }

    fn taken(&self) -> u64 {
        self.feed.taken(self.at)
    }
}

/// A decoder whose first bytes were looked at and are to be given again.
pub struct Again {
    head: Vec<u8>,
    given: usize,
    /// How the head ended.
    state: State,
    inner: Box<dyn Decoder>,
}

impl Again {
    /// `head`: what `inner` gave so far, and how that ended.
    pub fn new(inner: Box<dyn Decoder>, head: Vec<u8>, state: State) -> Again {
        Again { head, given: 0, state, inner }
    }
}

impl Decoder for Again {
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        let rest = &self.head[self.given..];
        if rest.is_empty() && self.state == State::More {
            return self.inner.fill(out, findings);
        }
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        self.given += n;
        let over = self.given == self.head.len();
        Ok((n, if over { std::mem::replace(&mut self.state, State::More) } else { State::More }))
    }

    fn taken(&self) -> u64 {
        self.inner.taken()
    }
}
