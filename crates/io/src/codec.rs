//! Compression: the table of codecs, and what a codec has to offer.
//!
//! A codec is recognised by the first bytes of a file, not its name. It hands out the bytes before any damage, says
//! where that is, and goes on behind it where the container allows.

mod gzip;
mod utf16;

pub use utf16::Utf16;

use crate::bytes::Stored;
use backsight_engine::error::Error;
use backsight_engine::source::Weight;
use std::sync::Arc;

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
pub const CODECS: &[Codec] = &[Codec { name: "gzip", sniff: gzip::sniff, open: gzip::open }];

/// The codec of a file that starts with `head`, if it is compressed.
pub fn sniff(head: &[u8]) -> Option<&'static Codec> {
    CODECS.iter().find(|c| (c.sniff)(head))
}

/// The compressed bytes of a file.
#[derive(Clone, Debug)]
pub struct Feed {
    stored: Arc<Stored>,
    /// What [`Stored::check`] has allowed so far.
    safe: usize,
}

/// Bytes looked at without asking for the file's size again.
const WINDOW: usize = 1 << 20;

impl Feed {
    /// The bytes of a stored file.
    pub fn new(stored: Arc<Stored>) -> Feed {
        Feed { stored, safe: 0 }
    }

    /// Bytes of the file.
    pub fn len(&self) -> usize {
        self.stored.bytes().len()
    }

    /// True for an empty file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from `at` on: at least `need`, mostly more, less only where the file ends (or was cut short).
    pub fn from(&mut self, at: usize, need: usize) -> &[u8] {
        if at + need > self.safe || at >= self.safe {
            self.safe = self.stored.check(at.saturating_add(need.max(WINDOW)));
        }
        &self.stored.bytes()[at.min(self.safe)..self.safe.min(at.saturating_add(WINDOW.max(need)))]
    }
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
        self.at as u64
    }
}
