//! Files that are chains of compressed units: zstd frames, bzip2 and xz streams, lz4 frames.
//!
//! Each unit is decompressed up to its end or the first fault; behind a fault the next unit is searched for, since logs
//! are often written as many units and the rest of them is intact. gzip ([`super::gzip`]) goes by the same rules, with
//! headers and checksums of its own.

use super::{Decoder, Feed, Finding, State};
use backsight_engine::error::Error;
use backsight_engine::source::Weight;

/// One unit of a kind of compression.
pub(super) trait Unit: Send + Sized {
    /// What messages call the compression.
    const NAME: &'static str;
    /// What messages call a unit of it.
    const UNIT: &'static str;
    /// What a unit starts with. Searched for behind damage.
    const MAGIC: &'static [u8];

    /// True if a unit may start with these bytes, of which there are at least as many as in the magic number.
    fn starts(bytes: &[u8]) -> bool;

    /// A unit at its first byte; `None` if there is no memory for it.
    fn begin() -> Option<Self>;

    /// Decompresses from `at` into `out`, which is not empty: bytes written, and why it stopped. Moves `at`.
    fn fill(&mut self, feed: &mut Feed, at: &mut usize, out: &mut [u8]) -> (usize, End);
}

/// How decompressing a stretch ended.
#[derive(Debug)]
pub(super) enum End {
    /// The room is used up.
    Full,
    /// The file ends within the unit.
    CutShort,
    /// The unit is whole.
    Done,
    /// The unit is whole and not what was compressed.
    WrongChecksum,
    /// What follows makes no sense.
    Corrupt(&'static str),
}

/// A step of a decompressor that is given bytes and room: what it took and wrote, or what is wrong.
pub(super) struct Step {
    pub read: usize,
    pub wrote: usize,
    /// Set once there is nothing more to come.
    pub end: Option<End>,
}

/// Runs steps until the room is used up, the bytes end, or the unit does.
pub(super) fn steps(
    feed: &mut Feed,
    at: &mut usize,
    out: &mut [u8],
    mut step: impl FnMut(&[u8], &mut [u8]) -> Step,
) -> (usize, End) {
    let mut written = 0;
    loop {
        let input = feed.from(*at, 1);
        let starved = input.is_empty();
        let Step { read, wrote, end } = step(input, &mut out[written..]);
        *at += read;
        written += wrote;
        match end {
            Some(end) => return (written, end),
            None if written == out.len() => return (written, End::Full),
            None if starved && wrote == 0 => return (written, End::CutShort),
            None if read == 0 && wrote == 0 => return (written, End::Corrupt("no end")),
            None => {}
        }
    }
}

/// The decoder of a chain.
pub(super) struct Chain<U> {
    feed: Feed,
    /// Where in the file we are: compressed bytes taken.
    at: usize,
    /// The unit being decompressed, and where it begins.
    unit: Option<(usize, U)>,
    /// Set behind a fault: from where to search for the next unit.
    rescan: Option<usize>,
    /// Bytes decompressed a second time after damage, to bound what crafted files can make us do.
    again: usize,
}

/// A unit that is tried out is decompressed so far.
const TRIAL: usize = 64 << 10;

impl<U: Unit> Chain<U> {
    pub(super) fn new(feed: Feed) -> Chain<U> {
        Chain { feed, at: 0, unit: None, rescan: None, again: 0 }
    }

    fn note(&self, findings: &mut Vec<Finding>, weight: Weight, offset: usize, message: impl Into<String>) {
        findings.push(Finding { weight, offset: offset as u64, message: message.into(), lost: 0 });
    }

    /// Between units: what comes next?
    fn between(&mut self, findings: &mut Vec<Finding>) -> Option<State> {
        if let Some(from) = self.rescan.take() {
            self.search(from, true, findings);
            return self.unit.is_none().then_some(State::End);
        }
        let start = self.at;
        let bytes = self.feed.from(start, U::MAGIC.len());
        if bytes.is_empty() {
            if start < self.feed.len() {
                self.note(findings, Weight::Damage, start, "the file was cut short while being read");
            }
            return Some(State::End);
        }
        if bytes.len() >= U::MAGIC.len() && U::starts(bytes) {
            self.begin(start);
            return None;
        }
        if bytes.len() < U::MAGIC.len() && U::MAGIC.starts_with(bytes) {
            let what = format!("truncated: the file ends within the first bytes of a {} {}", U::NAME, U::UNIT);
            self.note(findings, Weight::Damage, start, what);
            self.at = self.feed.len();
            return Some(State::End);
        }
        self.search(start, false, findings);
        Some(if self.unit.is_some() { State::Gap } else { State::End })
    }

    fn begin(&mut self, start: usize) {
        self.at = start;
        self.unit = U::begin().map(|unit| (start, unit));
    }

    /// Looks for a unit from `from` on, where none is (or one is `broken`), and begins it.
    fn search(&mut self, from: usize, broken: bool, findings: &mut Vec<Finding>) {
        let fault = self.at;
        let mut at = from;
        let mut only_zeros = true;
        loop {
            let window = self.feed.from(at, U::MAGIC.len());
            if window.is_empty() {
                break;
            }
            only_zeros &= broken || window.iter().all(|b| *b == 0);
            let hit = memchr::memmem::find(window, U::MAGIC);
            let step = if window.len() >= U::MAGIC.len() { window.len() - (U::MAGIC.len() - 1) } else { window.len() };
            let Some(hit) = hit else {
                at += step;
                continue;
            };
            let start = at + hit;
            if self.is_unit(start) {
                let (what, weight) = match (broken, only_zeros) {
                    (true, _) => (format!("reading goes on with the {} {} at this byte", U::NAME, U::UNIT), false),
                    (_, true) => (format!("zero bytes stand before the {} {} at this byte", U::NAME, U::UNIT), false),
                    _ => (format!("bytes that are no {} {} come before this byte", U::NAME, U::UNIT), true),
                };
                let weight = if weight { Weight::Damage } else { Weight::Notice };
                let lost = if only_zeros { 0 } else { start.saturating_sub(fault) as u64 };
                findings.push(Finding { weight, offset: start as u64, message: what, lost });
                self.begin(start);
                return;
            }
            at = start + 1;
        }
        let end = self.feed.len();
        let n = end.saturating_sub(fault);
        if broken {
            if n > 0 {
                let message =
                    format!("the last {n} bytes of the file are lost: no {} {} begins there", U::NAME, U::UNIT);
                findings.push(Finding { weight: Weight::Notice, offset: fault as u64, message, lost: n as u64 });
            }
        } else if only_zeros {
            self.note(findings, Weight::Notice, from, format!("{n} zero bytes after the last {} {}", U::NAME, U::UNIT));
        } else {
            let what = format!("{n} bytes after the last {} {} are no {} data", U::NAME, U::UNIT, U::NAME);
            self.note(findings, Weight::Notice, from, what);
        }
        self.at = end;
    }

    /// Tries the unit at `start`: its magic may also turn up by chance.
    fn is_unit(&mut self, start: usize) -> bool {
        if !U::starts(self.feed.from(start, U::MAGIC.len())) {
            return false;
        }
        let Some(mut unit) = U::begin() else { return false };
        let mut at = start;
        let (n, end) = unit.fill(&mut self.feed, &mut at, &mut vec![0; TRIAL]);
        match end {
            End::Full | End::Done => true,
            End::CutShort | End::WrongChecksum | End::Corrupt(_) => n > 0,
        }
    }

    /// Where to search after a fault in the unit at `start`. A fault may be noticed late, with bytes of later units
    /// already taken for this one's; but going back is bounded, or a crafted file could be read without end.
    fn search_from(&mut self, start: usize) -> usize {
        let back = start + U::MAGIC.len();
        self.again = self.again.saturating_add(self.at.saturating_sub(back));
        let from = if self.again > self.feed.len().saturating_mul(4) { self.at.max(back) } else { back };
        from.max(self.feed.earliest())
    }

    fn turn(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> (usize, State) {
        let mut filled = 0;
        loop {
            let Some((start, unit)) = &mut self.unit else {
                match self.between(findings) {
                    None => continue,
                    Some(state) => return (filled, state),
                }
            };
            let (start, before) = (*start, self.at);
            let (n, end) = unit.fill(&mut self.feed, &mut self.at, &mut out[filled..]);
            filled += n;
            let (what, state) = match end {
                End::Full => return (filled, State::More),
                End::Done => {
                    self.unit = None;
                    if filled == out.len() {
                        return (filled, State::More);
                    }
                    continue;
                }
                End::CutShort => ("truncated: the file ends within".to_owned(), State::Gap),
                End::WrongChecksum => ("checksum mismatch in".to_owned(), State::Break),
                End::Corrupt("") => ("corrupt data in".to_owned(), State::Gap),
                End::Corrupt(why) => (format!("corrupt data ({why}) in"), State::Gap),
            };
            self.unit = None;
            let what = format!("{what} the {} {} that begins at byte {start}", U::NAME, U::UNIT);
            // Of a block that is not whole nothing comes out.
            let is_lost = n == 0 && self.at == self.feed.len();
            let lost = if is_lost { (self.at - before) as u64 } else { 0 };
            findings.push(Finding { weight: Weight::Damage, offset: self.at as u64, message: what, lost });
            let next = self.feed.from(self.at, U::MAGIC.len());
            if state == State::Gap || self.at <= start || !(next.is_empty() || U::starts(next)) {
                self.rescan = Some(self.search_from(start));
            }
            return (filled, state);
        }
    }
}

impl<U: Unit> Decoder for Chain<U> {
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        let own = findings.len();
        let (n, state) = self.turn(out, findings);
        self.feed.settle(own, findings)?;
        Ok((n, state))
    }

    fn taken(&self) -> u64 {
        self.feed.taken(self.at)
    }
}
