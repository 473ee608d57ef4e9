//! gzip (RFC 1952), damage included.
//!
//! A file is a chain of members. Each is inflated up to its end or the first fault; behind a fault the next member is
//! searched for, since logs are often written as many members and the rest of them is intact.

use super::whole::Content;
use super::{Decoder, Feed, Finding, State};
use arrow::buffer::Buffer;
use backsight_engine::error::Error;
use backsight_engine::source::Weight;
use flate2::{Decompress, FlushDecompress, Status};

/// True for the first bytes of a gzip file, however few there are.
pub fn sniff(head: &[u8]) -> bool {
    head.starts_with(&MAGIC) || !head.is_empty() && MAGIC.starts_with(head)
}

/// Starts decompressing.
pub fn open(feed: Feed) -> Box<dyn Decoder> {
    Box::new(Gzip { feed, at: 0, whole: None, in_one_go: true, all: false, member: None, rescan: None, again: 0 })
}

/// [`open`], with nothing inflated in one go.
#[cfg(test)]
pub(super) fn open_streaming(feed: Feed) -> Box<dyn Decoder> {
    Box::new(Gzip { feed, at: 0, whole: None, in_one_go: false, all: false, member: None, rescan: None, again: 0 })
}

/// The magic number and the only method there is, deflate.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Bytes of the checksum and the size behind the deflate stream.
pub(super) const TRAILER: usize = 8;

/// Bytes of a large file that are inflated piece by piece before the rest is in one go: many a reader looks at the first
/// records only.
const IN_ONE_GO_FROM: u32 = 2 << 20;

struct Gzip {
    feed: Feed,
    /// Where in the file we are: compressed bytes taken.
    at: usize,
    /// What is in the file, if it is one member and was inflated in one go; else that may still be tried.
    whole: Option<Content>,
    in_one_go: bool,
    /// All of the file will be asked for.
    all: bool,
    member: Option<Member>,
    /// Set behind a fault: from where to search for the next member.
    rescan: Option<usize>,
    /// Bytes gone back after faults.
    again: usize,
}

/// A member that is being inflated.
pub(super) struct Member {
    start: usize,
    /// Where its deflate stream begins.
    body: usize,
    inflate: Decompress,
    crc: crc32fast::Hasher,
    /// Bytes so far, as the trailer counts them.
    size: u32,
}

/// How inflating a stretch ended.
pub(super) enum Inflated {
    Full,
    EndOfInput,
    EndOfStream,
    Corrupt,
}

impl Member {
    pub(super) fn new(start: usize, body: usize) -> Member {
        Member { start, body, inflate: Decompress::new(false), crc: crc32fast::Hasher::new(), size: 0 }
    }

    /// The checksum so far.
    pub(super) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Inflates from `at` into `out`: bytes written, and why it stopped. Moves `at`.
    pub(super) fn inflate(&mut self, feed: &mut Feed, at: &mut usize, out: &mut [u8]) -> (usize, Inflated) {
        let mut written = 0;
        let end = loop {
            let input = feed.from(*at, 1);
            let (read_before, written_before) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(input, &mut out[written..], FlushDecompress::None);
            // Totals are right after an error too: they count what was done before it.
            let read = (self.inflate.total_in() - read_before) as usize;
            let wrote = (self.inflate.total_out() - written_before) as usize;
            let starved = input.is_empty();
            *at += read;
            written += wrote;
            match result {
                Err(_) => break Inflated::Corrupt,
                Ok(Status::StreamEnd) => break Inflated::EndOfStream,
                Ok(_) if written == out.len() => break Inflated::Full,
                Ok(_) if starved && wrote == 0 => break Inflated::EndOfInput,
                Ok(_) if read == 0 && wrote == 0 && !starved => break Inflated::Corrupt,
                Ok(_) => {}
            }
        };
        self.crc.update(&out[..written]);
        self.size = self.size.wrapping_add(written as u32);
        (written, end)
    }
}

/// What stands where a member may start.
enum Header {
    /// A member; its deflate stream begins here.
    Body(usize),
    /// The start of one, and the file ends.
    CutShort,
    /// Something else.
    None,
}

fn header(feed: &mut Feed, start: usize) -> Header {
    // Names and comments have no limit, but nobody writes 64 KiB of them.
    let bytes = feed.from(start, 64 << 10);
    let magic = bytes.len().min(MAGIC.len());
    if magic == 0 || bytes[..magic] != MAGIC[..magic] {
        return Header::None;
    }
    body(bytes).map_or(Header::CutShort, |n| n.map_or(Header::None, |n| Header::Body(start + n)))
}

/// Length of a header; `None` if the bytes end before it does, `Some(None)` if it is none after all.
fn body(bytes: &[u8]) -> Option<Option<usize>> {
    let flags = *bytes.get(3)?;
    if flags & 0xe0 != 0 {
        return Some(None);
    }
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    }
    // Original name, comment: up to a zero byte.
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += memchr::memchr(0, bytes.get(at..)?)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at <= bytes.len()).then_some(Some(at))
}

impl Gzip {
    /// Between members: what comes next?
    fn between(&mut self, findings: &mut Vec<Finding>) -> Option<State> {
        if let Some(from) = self.rescan.take() {
            let from = self.search_from(from);
            self.search(from, findings);
            return (self.member.is_none()).then_some(State::End);
        }
        let start = self.at;
        match header(&mut self.feed, start) {
            Header::Body(body) => {
                self.in_one_go &= start == 0;
                if self.in_one_go && self.feed.all().is_some_and(Content::is_small) {
                    self.whole(body);
                }
                if self.whole.is_none() {
                    self.begin(start, body);
                }
                None
            }
            Header::CutShort => {
                self.note(findings, Weight::Damage, start, "truncated: the file ends within a gzip header");
                self.at = self.feed.len();
                self.rescan = Some(start + MAGIC.len()).filter(|from| *from < self.at);
                Some(State::Gap)
            }
            Header::None => {
                if self.feed.from(start, 1).is_empty() {
                    if start < self.feed.len() {
                        self.note(findings, Weight::Damage, start, "the file was cut short while being read");
                    }
                    return Some(State::End);
                }
                self.search(start, findings);
                if self.member.is_some() { Some(State::Gap) } else { Some(State::End) }
            }
        }
    }

    fn begin(&mut self, start: usize, body: usize) {
        self.member = Some(Member::new(start, body));
        self.at = body;
    }

    /// Inflates the file in one go, if it is one member whose stream begins at `body`.
    fn whole(&mut self, body: usize) {
        self.in_one_go = false;
        self.whole = self.feed.all().and_then(|file| Content::of(file, body));
        if self.whole.is_some() {
            self.at = self.feed.len() - TRAILER;
            self.feed.release();
        }
    }

    /// Whoever wants so much of a file wants all of it, most likely.
    fn rest_in_one_go(&mut self) {
        let Some(Member { body, size, .. }) = self.member else { return };
        if !self.in_one_go || size < IN_ONE_GO_FROM && !self.all {
            return;
        }
        self.whole(body);
        if let Some(content) = &mut self.whole {
            // They have been given out.
            content.pass(size as usize);
            self.member = None;
        }
    }

    fn note(&self, findings: &mut Vec<Finding>, weight: Weight, offset: usize, message: impl Into<String>) {
        findings.push(Finding { weight, offset: offset as u64, message: message.into(), lost: 0 });
    }

    /// Where to search after a fault, if possible from `from` on, behind the start of the broken member. But going back is
    /// bounded, or a crafted file could be read without end.
    fn search_from(&mut self, from: usize) -> usize {
        self.again = self.again.saturating_add(self.at.saturating_sub(from));
        let from = if self.again > self.feed.len().saturating_mul(4) { self.at.max(from) } else { from };
        from.max(self.feed.earliest())
    }

    /// Looks for a member from `from` on, where none is or one is broken, and begins it.
    fn search(&mut self, from: usize, findings: &mut Vec<Finding>) {
        let broken = self.at > from;
        let mut at = from;
        let mut only_zeros = true;
        loop {
            let window = self.feed.from(at, MAGIC.len());
            if window.is_empty() {
                break;
            }
            only_zeros &= window.iter().all(|b| *b == 0);
            let hit = memchr::memmem::find(window, &MAGIC);
            // The magic may lie across the windows' border.
            let end = at + if window.len() > 2 { window.len() - 2 } else { window.len() };
            let Some(hit) = hit else {
                at = end;
                continue;
            };
            let start = at + hit;
            if let Header::Body(body) = header(&mut self.feed, start)
                && self.is_member(start, body)
            {
                let what = if broken {
                    "reading goes on with the gzip member at this byte"
                } else {
                    "bytes that are no gzip member come before this byte"
                };
                let weight = if broken { Weight::Notice } else { Weight::Damage };
                let lost = start.saturating_sub(self.at) as u64;
                findings.push(Finding { weight, offset: start as u64, message: what.into(), lost });
                self.begin(start, body);
                return;
            }
            at = start + 1;
        }
        let end = self.feed.len();
        if broken && self.at < end {
            let lost = (end - self.at) as u64;
            let message = format!("the last {lost} bytes of the file are lost: no gzip member begins there");
            findings.push(Finding { weight: Weight::Notice, offset: self.at as u64, message, lost });
        }
        if !broken {
            let n = end - from;
            let what = if only_zeros {
                format!("{n} zero bytes after the last gzip member")
            } else {
                format!("{n} bytes after the last gzip member are no gzip data")
            };
            self.note(findings, Weight::Notice, from, what);
        }
        self.at = self.feed.len();
    }

    /// Tries the member at `start`: three bytes of magic also turn up by chance. What inflates to 64 KiB without a fault,
    /// or to its end with the right checksum, or at least to the end of the file, is one.
    fn is_member(&mut self, start: usize, body: usize) -> bool {
        let mut member = Member::new(start, body);
        let mut out = vec![0; 64 << 10];
        let mut at = body;
        let (n, end) = member.inflate(&mut self.feed, &mut at, &mut out);
        match end {
            Inflated::Full => true,
            Inflated::EndOfInput => n > 512,
            Inflated::EndOfStream => trailer(&mut self.feed, at).is_some_and(|t| t == (member.crc(), n as u32)),
            Inflated::Corrupt => false,
        }
    }
}

/// Checksum and size behind a deflate stream; `None` if the file ends before.
fn trailer(feed: &mut Feed, at: usize) -> Option<(u32, u32)> {
    let bytes = feed.from(at, TRAILER).get(..TRAILER)?;
    let (crc, size) = bytes.split_at(4);
    Some((u32::from_le_bytes(crc.try_into().ok()?), u32::from_le_bytes(size.try_into().ok()?)))
}

impl Gzip {
    fn turn(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> (usize, State) {
        let mut filled = 0;
        self.rest_in_one_go();
        loop {
            if let Some(content) = &mut self.whole {
                filled += content.give(&mut out[filled..]);
                if !content.is_over() {
                    return (filled, State::More);
                }
                let sum = content.sum();
                self.whole = None;
                if let Some(state) = self.member_ends(0, sum, findings) {
                    return (filled, state);
                }
                if filled == out.len() {
                    return (filled, State::More);
                }
                continue;
            }
            let Some(member) = &mut self.member else {
                match self.between(findings) {
                    None => continue,
                    Some(state) => return (filled, state),
                }
            };
            let (n, end) = member.inflate(&mut self.feed, &mut self.at, &mut out[filled..]);
            filled += n;
            let start = member.start;
            match end {
                Inflated::Full => return (filled, State::More),
                Inflated::EndOfInput => {
                    self.member = None;
                    let what = format!("truncated: the file ends within the gzip member that begins at byte {start}");
                    self.note(findings, Weight::Damage, self.at, what);
                    // Damage may have hidden the end of this member and so swallowed others.
                    self.rescan = Some(start + MAGIC.len());
                    return (filled, State::Gap);
                }
                Inflated::Corrupt => {
                    self.member = None;
                    let what = format!("corrupt data in the gzip member that begins at byte {start}");
                    self.note(findings, Weight::Damage, self.at, what);
                    // A fault may be noticed late, with bytes of the next members already taken for this one's.
                    self.rescan = Some(start + MAGIC.len());
                    return (filled, State::Gap);
                }
                Inflated::EndOfStream => {
                    let sum = (member.crc(), member.size);
                    self.member = None;
                    if let Some(state) = self.member_ends(start, sum, findings) {
                        return (filled, state);
                    }
                }
            }
            if filled == out.len() {
                return (filled, State::More);
            }
        }
    }
}

impl Gzip {
    /// Compares checksum and size of a member with the trailer, which is next: what is wrong, if anything.
    fn member_ends(&mut self, start: usize, sum: (u32, u32), findings: &mut Vec<Finding>) -> Option<State> {
        let Some(expected) = trailer(&mut self.feed, self.at) else {
            self.note(findings, Weight::Damage, self.at, "truncated: the file ends within a gzip checksum");
            self.at = self.feed.len();
            self.rescan = Some(start + MAGIC.len());
            return Some(State::Gap);
        };
        self.at += TRAILER;
        if expected == sum {
            return None;
        }
        let what = format!("checksum mismatch in the gzip member that begins at byte {start}");
        self.note(findings, Weight::Damage, self.at - TRAILER, what);
        // The stream may have ended too early, by the very damage: then no member begins here.
        if matches!(header(&mut self.feed, self.at), Header::None) && self.at < self.feed.len() {
            self.rescan = Some(start + MAGIC.len());
            return Some(State::Gap);
        }
        Some(State::Break)
    }
}

impl Decoder for Gzip {
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        let own = findings.len();
        let (n, state) = self.turn(out, findings);
        self.feed.settle(own, findings)?;
        Ok((n, state))
    }

    fn taken(&self) -> u64 {
        self.feed.taken(self.at)
    }

    fn peek(&self, back: usize, len: usize) -> Option<Buffer> {
        self.whole.as_ref()?.peek(back, len)
    }

    fn pass(&mut self, n: usize) {
        if let Some(content) = &mut self.whole {
            content.pass(n);
        }
    }

    fn expect_all(&mut self) {
        self.all = true;
    }

    fn expect_little(&mut self) {
        self.in_one_go = false;
    }
}
