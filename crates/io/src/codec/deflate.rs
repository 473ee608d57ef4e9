//! A deflate stream without a container of its own: a member of a zip archive.

use super::gzip::{Inflated, Member};
use super::{Decoder, Feed, Finding, State};
use crate::bytes::Stored;
use crate::input::UNKNOWN;
use backsight_engine::error::Error;
use backsight_engine::source::Weight;
use flate2::Crc;

/// Inflates a member of known checksum and size.
pub struct Deflated {
    feed: Feed,
    at: usize,
    /// Nothing once the stream is over.
    member: Option<Member>,
    crc: u32,
    size: u64,
    given: u64,
}

impl Deflated {
    /// A member whose file has this checksum and size; a size of [`UNKNOWN`]: neither is known.
    pub fn new(feed: Feed, crc: u32, size: u64) -> Deflated {
        Deflated { feed, at: 0, member: Some(Member::new(0, 0)), crc, size, given: 0 }
    }
}

impl Decoder for Deflated {
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        let Some(member) = &mut self.member else { return Ok((0, State::End)) };
        let (n, end) = member.inflate(&mut self.feed, &mut self.at, out);
        self.given += n as u64;
        let crc = member.crc();
        let lost = (self.feed.len() - self.at) as u64;
        let damage = match end {
            Inflated::Full => return Ok((n, State::More)),
            Inflated::EndOfStream if self.size == UNKNOWN => None,
            Inflated::EndOfStream => wrong(self.given, crc, self.size, self.crc).map(|why| (why, 0)),
            Inflated::EndOfInput => Some(("truncated: the member ends within its compressed data".into(), 0)),
            Inflated::Corrupt => Some(("corrupt compressed data in the member".into(), lost)),
        };
        self.member = None;
        let Some((message, lost)) = damage else { return Ok((n, State::End)) };
        findings.push(Finding { weight: Weight::Damage, offset: self.at as u64, message, lost });
        Ok((n, if matches!(end, Inflated::EndOfStream) { State::Break } else { State::Gap }))
    }

    fn taken(&self) -> u64 {
        self.feed.taken(self.at)
    }
}

/// What is wrong with a file of so many bytes and that checksum, where others were promised.
fn wrong(size: u64, crc: u32, promised_size: u64, promised: u32) -> Option<String> {
    match () {
        () if size != promised_size => Some(format!("the member has {size} bytes, not {promised_size} as it should")),
        () if crc != promised => Some("checksum mismatch in the member".into()),
        () => None,
    }
}

/// Checks a member that is stored as it is.
pub fn checked(stored: &Stored, crc: u32, size: u64) -> Option<Finding> {
    const WINDOW: usize = 1 << 20;
    if size == UNKNOWN {
        return None;
    }
    let mut sum = Crc::new();
    let mut at = 0;
    loop {
        let end = stored.check(at + WINDOW);
        if end <= at {
            break;
        }
        sum.update(&stored.bytes()[at..end]);
        at = end;
    }
    let message = match at as u64 {
        n if n < size => format!("truncated: the member ends {} bytes before its end", size - n),
        n => wrong(n, sum.sum(), size, crc)?,
    };
    Some(Finding { weight: Weight::Damage, offset: at as u64, message, lost: 0 })
}
