//! zip archives, zip64 included, by their directory; by the headers of their members where that is missing or damaged.
//!
//! Read by hand, because the usual library gives up an archive at its first flaw and keeps only one member a name.

use super::{Iter, Member};
use crate::bytes::Stored;
use crate::codec::{self, Finding};
use crate::input::{Method, UNKNOWN};
use backsight_engine::source::Weight;
use memchr::memmem;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";

/// Bytes of these before what varies in length.
const LOCAL_LEN: usize = 30;
const ENTRY_LEN: usize = 46;
pub(super) const END_LEN: usize = 22;
const LOCATOR64_LEN: usize = 20;

/// Bytes of a path that a link may lead to.
const LONGEST_LINK: u64 = 4096;

/// True for the first bytes of a zip archive, an empty one included.
pub(super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(LOCAL) || head.starts_with(END)
}

/// The members, in the order of the directory, and how many there may be.
pub(super) fn open(stored: Arc<Stored>) -> (Iter, u64) {
    match directory(&stored) {
        Some(directory) => {
            // The number of entries may be damaged, and has 16 bits in archives that have more.
            let room = (directory.end - directory.at) / ENTRY_LEN;
            let most = if room <= usize::from(u16::MAX) { directory.entries } else { room as u64 };
            (Box::new(directory), most)
        }
        None => {
            let message = "truncated: the archive has no directory; its members are found by their own headers";
            let offset = stored.bytes().len() as u64;
            let lost = Finding { weight: Weight::Damage, offset, message: message.into(), lost: 0 };
            let most = offset / LOCAL_LEN as u64;
            let end = stored.bytes().len();
            (Box::new(std::iter::once(Member::Finding(lost)).chain(Headers { stored, at: 0, end, passed: 0 })), most)
        }
    }
}

/// Little-endian numbers at places; nothing beyond the end.
#[derive(Clone, Copy)]
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn two(self, at: usize) -> Option<u64> {
        Some(u16::from_le_bytes(*self.0.get(at..)?.first_chunk()?).into())
    }

    fn four(self, at: usize) -> Option<u64> {
        Some(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?).into())
    }

    fn eight(self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }
}

/// The bytes of an archive that can be touched now.
fn bytes(stored: &Stored) -> &[u8] {
    &stored.bytes()[..stored.check(usize::MAX)]
}

/// The directory, being read.
struct Directory {
    stored: Arc<Stored>,
    /// Where the next entry is, and where the last ends.
    at: usize,
    end: usize,
    /// What is to be added to offsets: an archive may stand behind something else.
    shift: usize,
    entries: u64,
    /// Entries read so far.
    read: u64,
    /// Where members lie that were found, and where each begins.
    places: Vec<Range<usize>>,
    starts: HashSet<usize>,
    /// A member is not where the directory says, or not in it: those that nobody told of are searched for by their headers.
    damaged: bool,
    search: Option<Search>,
}

/// A search for members where the directory tells of none.
struct Search {
    headers: Headers,
    /// Stretches to search in afterwards, last first.
    gaps: Vec<Range<usize>>,
}

fn directory(stored: &Arc<Stored>) -> Option<Directory> {
    let all = bytes(stored);
    let from = all.len().saturating_sub(END_LEN + usize::from(u16::MAX));
    let is_end =
        |at: &usize| Fields(all).two(at + 20).is_some_and(|comment| at + END_LEN + comment as usize <= all.len());
    let at = from + memmem::rfind_iter(&all[from..], END).find(|at| is_end(&(from + at)))?;
    let (mut entries, mut size, mut offset) =
        (Fields(all).two(at + 10)?, Fields(all).four(at + 12)?, Fields(all).four(at + 16)?);
    let mut end = at;
    if let Some(locator) = at.checked_sub(LOCATOR64_LEN).and_then(|at| all.get(at..at + LOCATOR64_LEN))
        && locator.starts_with(LOCATOR64)
    {
        // The offset may be wrong where something stands before the archive; what it leads to lies right here mostly.
        let said = usize::try_from(Fields(locator).eight(8)?).ok();
        let at64 = said.filter(|at| all.get(*at..).is_some_and(|b| b.starts_with(END64)));
        let at64 = at64.or_else(|| memmem::rfind(&all[..at], END64))?;
        let fields = Fields(&all[at64..]);
        (entries, size, offset) = (fields.eight(32)?, fields.eight(40)?, fields.eight(48)?);
        end = at64;
    }
    let (size, offset) = (usize::try_from(size).ok()?, usize::try_from(offset).ok()?);
    let start = end.checked_sub(size)?;
    let starts = |at: usize| entries == 0 || all.get(at..).is_some_and(|b| b.starts_with(ENTRY));
    let (at, shift) = match () {
        () if starts(start) => (start, start.checked_sub(offset)?),
        () if starts(offset) => (offset, 0),
        () => return None,
    };
    Some(Directory {
        stored: Arc::clone(stored),
        at,
        end,
        shift,
        entries,
        read: 0,
        places: Vec::new(),
        starts: HashSet::new(),
        damaged: false,
        search: None,
    })
}

impl Directory {
    /// The entry at `at`; nothing if there is none.
    fn entry(&mut self) -> Option<Member> {
        let all = bytes(&self.stored);
        let entry = all.get(self.at..self.end)?;
        if !entry.starts_with(ENTRY) {
            return None;
        }
        let fields = Fields(entry);
        let (name, extra) = (fields.two(28)? as usize, fields.two(30)? as usize);
        let comment = fields.two(32)? as usize;
        let name_bytes = entry.get(ENTRY_LEN..ENTRY_LEN + name)?;
        let extra_bytes = entry.get(ENTRY_LEN + name..ENTRY_LEN + name + extra)?;
        self.at += ENTRY_LEN + name + extra + comment;
        let mut head = Head {
            raw_name: name_bytes.to_vec(),
            flags: fields.two(8)?,
            method: fields.two(10)?,
            crc: fields.four(16)? as u32,
            packed: fields.four(20)?,
            size: fields.four(24)?,
        };
        let mut offset = fields.four(42)?;
        wide(extra_bytes, &mut [&mut head.size, &mut head.packed, &mut offset]);
        let start = usize::try_from(offset).ok().and_then(|n| n.checked_add(self.shift));
        let (data, is_its) = start.and_then(|start| data(all, start, &head)).unzip();
        if let (Some(start), Some(data)) = (start, data) {
            let packed = usize::try_from(head.packed).unwrap_or(usize::MAX);
            self.places.push(start..data.saturating_add(packed).min(all.len()));
        }
        self.read += 1;
        self.damaged |= is_its != Some(true);
        if data.is_some() && start.is_some_and(|start| !self.starts.insert(start)) {
            // What is read once is not lost.
            let weight = if is_its == Some(true) { Weight::Notice } else { Weight::Damage };
            let why = "skipped: the same bytes as a member before it".into();
            return Some(Member::Left { name: head.name(), weight, why, lost: 0 });
        }
        // The type of a file, where the archive was made on Unix. What a link leads to is a path; the others are empty.
        let kind = (fields.two(4)? >> 8 == 3).then_some(fields.four(38)? >> 28);
        match kind {
            Some(0xa) if head.size <= LONGEST_LINK => return Some(head.left(Weight::Notice, "skipped: a link")),
            Some(0x1 | 0x2 | 0x6 | 0xc) if head.size == 0 => {
                return Some(head.left(Weight::Notice, "skipped: not a regular file"));
            }
            _ => {}
        }
        Some(head.member(data, all))
    }

    /// The next member, as the directory has it.
    fn listed(&mut self) -> Option<Member> {
        while bytes(&self.stored).get(self.at..self.end).is_some_and(|rest| rest.starts_with(ENTRY)) {
            match self.entry() {
                Some(Member::File { name, place, .. }) if name.ends_with('/') && place.is_empty() => {}
                Some(member) => return Some(member),
                None => break,
            }
        }
        self.at = self.end;
        let said = std::mem::replace(&mut self.entries, self.read);
        // The number has 16 bits, and not all who write archives with more members mind that.
        if said == self.read || said == self.read & 0xffff {
            return None;
        }
        self.damaged |= self.read < said;
        let message = format!("the directory of the archive has {} members, not {said} as it should", self.read);
        Some(Member::Finding(Finding { weight: Weight::Damage, offset: self.end as u64, message, lost: 0 }))
    }

    /// Stretches before the directory in which no member lies that it tells of, last first.
    fn gaps(&mut self) -> Vec<Range<usize>> {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by_key(|place| place.start);
        let mut at = 0;
        let mut gaps = Vec::new();
        for place in places.into_iter().chain(std::iter::once(self.end..self.end)) {
            if place.start >= at + LOCAL_LEN {
                gaps.push(at..place.start);
            }
            at = at.max(place.end);
        }
        gaps.reverse();
        gaps
    }
}

impl Iterator for Directory {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        if self.search.is_none()
            && let Some(member) = self.listed()
        {
            return Some(member);
        }
        if !self.damaged {
            return None;
        }
        if self.search.is_none() {
            let headers = Headers { stored: Arc::clone(&self.stored), at: 0, end: 0, passed: 0 };
            self.search = Some(Search { headers, gaps: self.gaps() });
        }
        let search = self.search.as_mut()?;
        loop {
            if let Some(member) = search.headers.next() {
                return Some(member);
            }
            let Some(gap) = search.gaps.pop() else {
                let lost = std::mem::take(&mut search.headers.passed) as u64;
                let message = format!("{lost} bytes of the archive are in no member that is found");
                let found = Finding { weight: Weight::Notice, offset: self.end as u64, message, lost };
                return (lost > 0).then_some(Member::Finding(found));
            };
            (search.headers.at, search.headers.end) = (gap.start, gap.end);
        }
    }
}

/// Where the data of the member begins whose own header is at `start`, and whether that is surely its header; nothing if
/// there is none, or plainly another's.
fn data(all: &[u8], start: usize, head: &Head) -> Option<(usize, bool)> {
    let header = all.get(start..)?;
    let fields = Fields(header);
    header.starts_with(LOCAL).then_some(())?;
    let name = fields.two(26)? as usize;
    let same_name = header.get(LOCAL_LEN..LOCAL_LEN + name)? == head.raw_name;
    // A name may be spelled in two ways; the checksum may stand behind the data only.
    let same_sum = fields.two(6)? & 8 == 0 && fields.four(14)? == u64::from(head.crc);
    let is_its = same_name || same_sum;
    (is_its || name == head.raw_name.len()).then_some((start + LOCAL_LEN + name + fields.two(28)? as usize, is_its))
}

/// Takes the numbers that are too large for their places from the extra field: those whose place is full of ones.
fn wide(extra: &[u8], numbers: &mut [&mut u64]) {
    let mut rest = extra;
    while let (Some(tag), Some(len)) = (Fields(rest).two(0), Fields(rest).two(2)) {
        let Some(field) = rest.get(4..4 + len as usize) else { return };
        if tag == 1 {
            let mut at = 0;
            for number in numbers.iter_mut().filter(|n| ***n == u64::from(u32::MAX)) {
                let Some(value) = Fields(field).eight(at) else { return };
                **number = value;
                at += 8;
            }
            return;
        }
        rest = &rest[4 + len as usize..];
    }
}

/// What the archive says about a member.
struct Head {
    raw_name: Vec<u8>,
    flags: u64,
    method: u64,
    crc: u32,
    /// Bytes in the archive.
    packed: u64,
    /// Bytes of the file.
    size: u64,
}

impl Head {
    fn left(self, weight: Weight, why: impl Into<String>) -> Member {
        let lost = if weight == Weight::Damage { self.packed } else { 0 };
        Member::Left { name: self.name(), weight, why: why.into(), lost }
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(&self.raw_name).into_owned()
    }

    /// The member whose data begins at `data`.
    fn member(self, data: Option<usize>, all: &[u8]) -> Member {
        let end = all.len();
        if self.flags & 1 != 0 {
            return self.left(Weight::Damage, "is encrypted and cannot be read");
        }
        let Some(start) = data.filter(|start| *start <= end) else {
            // What is lost with it shows once all of the archive was searched for it.
            return Member::Left {
                name: self.name(),
                weight: Weight::Damage,
                why: "is not where the directory of the archive says".into(),
                lost: 0,
            };
        };
        let mut packed = usize::try_from(self.packed).unwrap_or(usize::MAX).min(end - start);
        let method = match self.method {
            0 if self.size == UNKNOWN => Method::Plain,
            0 => {
                // Both sizes are that of the file. If they differ, what lies behind the lesser may be another's.
                packed = packed.min(usize::try_from(self.size).unwrap_or(usize::MAX));
                Method::Stored { crc: self.crc, size: self.size.max(self.packed) }
            }
            8 => Method::Deflated { crc: self.crc, size: self.size },
            // These compress to what is a file of its own.
            12 | 93 | 95 if codec::sniff(&all[start..]).is_some() || packed == 0 => Method::Plain,
            other => {
                return self.left(Weight::Damage, format!("uses compression method {other}, which cannot be read"));
            }
        };
        Member::File { name: self.name(), place: start..start + packed, method }
    }
}

/// Members found by their own headers, where the directory is missing.
struct Headers {
    stored: Arc<Stored>,
    at: usize,
    /// Where to stop.
    end: usize,
    /// Bytes that were passed over, in search of a member.
    passed: usize,
}

impl Headers {
    /// The member whose header is at `start`; nothing if there is none.
    fn member(&mut self, start: usize) -> Option<Member> {
        let all = bytes(&self.stored);
        let all = &all[..self.end.min(all.len())];
        let fields = Fields(all.get(start..)?);
        let (name, extra) = (fields.two(26)? as usize, fields.two(28)? as usize);
        let data = start + LOCAL_LEN + name + extra;
        let mut head = Head {
            raw_name: all.get(start + LOCAL_LEN..start + LOCAL_LEN + name)?.to_vec(),
            flags: fields.two(6)?,
            method: fields.two(8)?,
            crc: fields.four(14)? as u32,
            packed: fields.four(18)?,
            size: fields.four(22)?,
        };
        wide(all.get(data.checked_sub(extra)?..data)?, &mut [&mut head.size, &mut head.packed]);
        let rest = all.get(data..)?;
        let next = || {
            let local = memmem::find(rest, LOCAL).unwrap_or(rest.len());
            memmem::find(&rest[..local], ENTRY).unwrap_or(local)
        };
        if head.flags & 8 == 0 {
            let packed = usize::try_from(head.packed).unwrap_or(usize::MAX);
            let follows = rest.get(packed..).is_some_and(|behind| {
                behind.is_empty() || [LOCAL, ENTRY, DESCRIPTOR].iter().any(|magic| behind.starts_with(magic))
            });
            // The size may be what is damaged: then only its own header says where the next member begins.
            self.at = data + if follows { packed } else { next() };
        } else {
            // Sizes that stand behind the data are not known here: the next member begins at the next header. Deflated
            // data say themselves where they end.
            let next = next();
            self.at = data + next;
            head.packed = if head.method == 8 { rest.len() } else { next } as u64;
            head.size = UNKNOWN;
        }
        Some(head.member(Some(data), all))
    }

    fn step(&mut self) -> Option<Member> {
        loop {
            let all = bytes(&self.stored);
            let rest = all.get(self.at..self.end.min(all.len())).unwrap_or_default();
            let hit = memmem::find(rest, LOCAL);
            self.passed += hit.unwrap_or(rest.len());
            let Some(hit) = hit else {
                self.at = self.end;
                return None;
            };
            let start = self.at + hit;
            self.at = start;
            match self.member(start) {
                Some(member) => return Some(member),
                None => {
                    self.passed += LOCAL.len();
                    self.at = start + LOCAL.len();
                }
            }
        }
    }
}

impl Iterator for Headers {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        loop {
            match self.step()? {
                Member::File { name, place, .. } if name.ends_with('/') && place.is_empty() => {}
                member => return Some(member),
            }
        }
    }
}
