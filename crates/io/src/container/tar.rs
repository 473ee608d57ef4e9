//! tar archives: old, ustar, GNU and PAX, stored or decompressed on the way.

use super::{Iter, Member, Parent};
use crate::bytes::Stored;
use crate::codec::{Decoder, Finding, State};
use crate::content::Content;
use crate::formats::Queue;
use crate::input::Method;
use crate::records::Broken;
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Morsel, Weight};
use std::sync::{Arc, Mutex, PoisonError};
use tar::{EntryType, Header, PaxExtensions};

/// The size of everything in a tar archive is a multiple of this.
const BLOCK: usize = 512;

/// Where in a header all but the oldest say what they are.
const USTAR: (usize, &[u8]) = (257, b"ustar");

/// Bytes of names and other properties that stand before a member, at most.
const PROPERTIES: u64 = 1 << 20;

/// True for the first bytes of a tar archive: a header with the right checksum.
pub(super) fn sniff(head: &[u8]) -> bool {
    header(head).is_some()
}

/// The header at the front of these bytes, if it is one.
fn header(bytes: &[u8]) -> Option<&Header> {
    let block = bytes.get(..BLOCK)?;
    let header = Header::from_byte_slice(block);
    // The checksum is the sum of all bytes, its own taken for blanks.
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let own: u32 = block[148..156].iter().map(|b| u32::from(*b)).sum();
    let sound = block[0] != 0 && header.cksum().is_ok_and(|said| said == sum - own + 8 * u32::from(b' '));
    (sound && header.entry_size().is_ok()).then_some(header)
}

/// Bytes read front to back.
trait Bytes {
    /// The next bytes without taking them: as many as asked for, fewer only before a gap or the end.
    fn peek(&mut self, n: usize) -> &[u8];

    /// Takes bytes, as far as there are any before a gap or the end.
    fn skip(&mut self, n: u64);

    /// Bytes taken.
    fn at(&self) -> u64;

    /// Steps over a gap in what was decompressed, if that is where we are.
    fn cross_gap(&mut self) -> bool;
}

/// A member as its header says.
struct Found {
    name: String,
    size: u64,
    /// Why it is left out.
    left: Option<(Weight, &'static str)>,
}

/// Properties that stand before a member and overrule its header.
#[derive(Default)]
struct Properties {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Finds the next member; its data come next then.
fn next(bytes: &mut impl Bytes, findings: &mut Vec<Finding>) -> Option<Found> {
    let mut properties = Properties::default();
    loop {
        let at = bytes.at();
        let block = bytes.peek(BLOCK);
        if block.iter().all(|b| *b == 0) {
            let n = block.len();
            bytes.skip(n as u64);
            if n == BLOCK || bytes.cross_gap() {
                continue;
            }
            return None;
        }
        let Some(header) = header(block) else {
            if !search(bytes, findings) {
                return None;
            }
            continue;
        };
        let size = header.entry_size().unwrap_or(0);
        let kind = header.entry_type();
        let name = header.path_bytes().into_owned();
        bytes.skip(BLOCK as u64);
        let is_properties = matches!(
            kind,
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        );
        if is_properties {
            let text = bytes.peek(size.min(PROPERTIES) as usize);
            if (text.len() as u64) < size {
                let message = "truncated or damaged: the name of a member is not whole";
                findings.push(Finding { weight: Weight::Damage, offset: at, message: message.into(), lost: 0 });
            }
            properties.take(kind, text);
            bytes.skip(padded(size));
            continue;
        }
        let size = properties.size.take().unwrap_or(size);
        let name = properties.name.take().unwrap_or(name);
        let left = match kind {
            EntryType::Regular | EntryType::Continuous => None,
            EntryType::Directory => {
                bytes.skip(padded(size));
                continue;
            }
            EntryType::Symlink | EntryType::Link => Some((Weight::Notice, "skipped: a link")),
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                Some((Weight::Notice, "skipped: not a regular file"))
            }
            EntryType::GNUSparse => Some((Weight::Damage, "is a sparse file, which cannot be read")),
            // A label, say.
            other if other.as_byte().is_ascii_uppercase() => {
                bytes.skip(padded(size));
                continue;
            }
            _ => None,
        };
        // The old way to write a directory.
        if name.ends_with(b"/") && left.is_none() {
            bytes.skip(padded(size));
            continue;
        }
        // Links have a size that says something about what they link to.
        let size = if left.is_some_and(|(weight, _)| weight == Weight::Notice) { 0 } else { size };
        return Some(Found { name: String::from_utf8_lossy(&name).into_owned(), size, left });
    }
}

impl Properties {
    fn take(&mut self, kind: EntryType, text: &[u8]) {
        match kind {
            EntryType::GNULongName => {
                self.name = Some(text[..memchr::memchr(0, text).unwrap_or(text.len())].to_vec());
            }
            EntryType::XHeader => {
                for property in PaxExtensions::new(text).flatten() {
                    match property.key_bytes() {
                        b"path" => self.name = Some(property.value_bytes().to_vec()),
                        b"size" => self.size = property.value().ok().and_then(|n| n.parse().ok()).or(self.size),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Bytes lost with a member of that size that is left out.
fn lost(weight: Weight, size: u64) -> u64 {
    if weight == Weight::Damage { size } else { 0 }
}

/// The size with what fills the last block.
fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

/// Looks for the next header where none is: behind damage it may stand at any byte.
fn search(bytes: &mut impl Bytes, findings: &mut Vec<Finding>) -> bool {
    let start = bytes.at();
    let found = loop {
        let window = bytes.peek(64 << 10);
        let hit = memchr::memmem::find_iter(window, USTAR.1)
            .filter_map(|hit| hit.checked_sub(USTAR.0))
            .find(|at| header(&window[*at..]).is_some());
        if let Some(hit) = hit {
            bytes.skip(hit as u64);
            break true;
        }
        let n = window.len();
        if n > BLOCK {
            bytes.skip((n - (BLOCK - 1)) as u64);
            continue;
        }
        bytes.skip(n as u64);
        if !bytes.cross_gap() && n == 0 {
            break false;
        }
    };
    let lost = bytes.at() - start;
    if lost > 0 {
        let message = format!("{lost} bytes that are no member of a tar archive");
        findings.push(Finding { weight: Weight::Damage, offset: start, message, lost });
    }
    found
}

/// The members of an archive whose bytes lie in memory, and how many there may be.
pub(super) fn open(stored: Arc<Stored>) -> (Iter, u64) {
    let most = (stored.bytes().len() / BLOCK) as u64;
    (Box::new(Placed { bytes: Lying { stored, at: 0 }, ready: Vec::new() }), most)
}

/// Bytes that lie in memory.
struct Lying {
    stored: Arc<Stored>,
    at: usize,
}

impl Bytes for Lying {
    fn peek(&mut self, n: usize) -> &[u8] {
        let end = self.stored.check(self.at.saturating_add(n));
        &self.stored.bytes()[self.at.min(end)..end]
    }

    fn skip(&mut self, n: u64) {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        self.at = self.at.saturating_add(n).min(self.stored.bytes().len());
    }

    fn at(&self) -> u64 {
        self.at as u64
    }

    fn cross_gap(&mut self) -> bool {
        false
    }
}

struct Placed {
    bytes: Lying,
    /// What was found and is not given yet, last first.
    ready: Vec<Member>,
}

impl Iterator for Placed {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        if let Some(member) = self.ready.pop() {
            return Some(member);
        }
        let mut findings = Vec::new();
        let found = next(&mut self.bytes, &mut findings);
        if let Some(Found { name, size, left }) = found {
            let start = self.bytes.at;
            self.bytes.skip(size);
            let place = start..self.bytes.at;
            let missing = size - place.len() as u64;
            if missing > 0 {
                findings.push(cut_off(&name, start as u64, missing));
            }
            self.bytes.skip(padded(size) - size);
            self.ready.push(match left {
                Some((weight, why)) => Member::Left { name, weight, why: why.into(), lost: lost(weight, size) },
                None => Member::File { name, place, method: Method::Plain },
            });
        }
        self.ready.extend(findings.into_iter().rev().map(Member::Finding));
        self.ready.pop()
    }
}

fn cut_off(name: &str, offset: u64, missing: u64) -> Finding {
    let message = format!("truncated: the archive ends {missing} bytes before the end of its member {name}");
    Finding { weight: Weight::Damage, offset, message, lost: 0 }
}

/// An archive that is decompressed, front to back.
struct Flowing {
    decoder: Box<dyn Decoder>,
    /// Decompressed bytes; those before `given` are taken.
    bytes: Vec<u8>,
    given: usize,
    at: u64,
    /// What comes behind `bytes`.
    state: State,
    findings: Vec<Finding>,
    error: Option<Error>,
}

impl Flowing {
    fn fill(&mut self, n: usize) {
        while self.bytes.len() - self.given < n && self.state == State::More {
            self.bytes.drain(..std::mem::take(&mut self.given));
            let len = self.bytes.len();
            self.bytes.resize(len + n.max(64 << 10), 0);
            let (n, state) = match self.decoder.fill(&mut self.bytes[len..], &mut self.findings) {
                // All bytes are there, though some may be wrong.
                Ok((n, State::Break)) => (n, State::More),
                Ok(filled) => filled,
                Err(error) => {
                    self.error = Some(error);
                    (0, State::End)
                }
            };
            self.bytes.truncate(len + n);
            self.state = state;
        }
    }
}

impl Bytes for Flowing {
    fn peek(&mut self, n: usize) -> &[u8] {
        self.fill(n);
        let ready = &self.bytes[self.given..];
        &ready[..n.min(ready.len())]
    }

    fn skip(&mut self, n: u64) {
        let mut left = n;
        while left > 0 {
            self.fill(1);
            let n = left.min((self.bytes.len() - self.given) as u64);
            if n == 0 {
                return;
            }
            self.given += n as usize;
            self.at += n;
            left -= n;
        }
    }

    fn at(&self) -> u64 {
        self.at
    }

    fn cross_gap(&mut self) -> bool {
        let is_gap = self.given == self.bytes.len() && self.state == State::Gap;
        if is_gap {
            self.state = State::More;
        }
        is_gap
    }
}

/// A member of an archive that is being decompressed.
struct Flow {
    archive: Arc<Mutex<Flowing>>,
    left: u64,
    /// Compressed bytes taken before it.
    before: u64,
}

impl Decoder for Flow {
    fn fill(&mut self, out: &mut [u8], findings: &mut Vec<Finding>) -> Result<(usize, State), Error> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let room = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let ready = archive.peek(room.min(64 << 10));
        let n = ready.len();
        out[..n].copy_from_slice(ready);
        archive.skip(n as u64);
        self.left -= n as u64;
        findings.append(&mut archive.findings);
        if let Some(error) = archive.error.take() {
            return Err(error);
        }
        // Behind a gap there is no telling what belongs to this member: the archive goes on with the next.
        let cut = n == 0 && self.left > 0;
        let state = if cut && archive.state == State::Gap { State::Gap } else { State::End };
        if cut && state == State::End {
            let missing = self.left;
            let message = format!("truncated: the archive ends {missing} bytes before the end of this member");
            findings.push(Finding { weight: Weight::Damage, offset: archive.decoder.taken(), message, lost: 0 });
        }
        if cut {
            self.left = 0;
            return Ok((0, state));
        }
        Ok((n, if self.left == 0 { State::End } else { State::More }))
    }

    fn taken(&self) -> u64 {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner).decoder.taken().saturating_sub(self.before)
    }
}

/// The members of an archive that is decompressed on the way.
pub(super) fn stream<'a>(parent: Parent<'a>, decoder: Box<dyn Decoder>) -> Box<dyn Queue<'a> + 'a> {
    let archive =
        Flowing { decoder, bytes: Vec::new(), given: 0, at: 0, state: State::More, findings: Vec::new(), error: None };
    Box::new(Streamed {
        parent,
        archive: Arc::new(Mutex::new(archive)),
        current: None,
        end: Some(0),
        counted: 0,
        before: 0,
    })
}

struct Streamed<'a> {
    parent: Parent<'a>,
    archive: Arc<Mutex<Flowing>>,
    current: Option<Box<dyn Queue<'a> + 'a>>,
    /// Where the current member ends in the decompressed archive; nothing once all is over.
    end: Option<u64>,
    /// Compressed bytes that members counted, and those taken before the current one.
    counted: u64,
    before: u64,
}

impl<'a> Streamed<'a> {
    fn step(&mut self) -> Result<Option<Box<dyn Morsel + 'a>>, Error> {
        loop {
            if let Some(morsel) = self.current.as_mut().and_then(|q| q.next()) {
                return Ok(Some(morsel));
            }
            let was_read = self.current.take().is_some();
            let Some(end) = self.end else { return Ok(None) };
            let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
            if was_read {
                self.counted += archive.decoder.taken().saturating_sub(self.before);
            }
            // What nobody read of the last member, and what fills its last block.
            let rest = end.saturating_sub(archive.at);
            archive.skip(rest);
            archive.cross_gap();
            let mut findings = Vec::new();
            let found = next(&mut *archive, &mut findings);
            findings.append(&mut archive.findings);
            let error = archive.error.take();
            let (start, taken) = (archive.at, archive.decoder.taken());
            drop(archive);
            for found in &findings {
                self.parent.found(found)?;
            }
            if let Some(error) = error {
                return Err(error);
            }
            let Some(Found { name, size, left }) = found else {
                self.end = None;
                Counters::add(&self.parent.pass.counters.input_bytes, taken.saturating_sub(self.counted));
                continue;
            };
            self.end = Some(start.saturating_add(padded(size)));
            if let Some((weight, why)) = left {
                self.parent.leave(&name, weight, why, lost(weight, size))?;
                continue;
            }
            let Some(pass) = self.parent.member(&name, Method::Plain, None) else { continue };
            self.before = taken;
            let decoder = Flow { archive: Arc::clone(&self.archive), left: size, before: taken };
            let content = Content::of(&pass.input, Box::new(decoder))?;
            self.current = self.parent.files.begin_streamed(pass, content)?;
        }
    }
}

impl<'a> Queue<'a> for Streamed<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        match self.step() {
            Ok(morsel) => morsel,
            Err(e) => {
                (self.current, self.end) = (None, None);
                Some(Box::new(Broken(e)))
            }
        }
    }
}
