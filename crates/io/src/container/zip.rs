//! zip archives, zip64 included, by their directory; by the headers of their members where that is missing.
//!
//! Read by hand, because the usual library gives up an archive at its first flaw and keeps only one member a name.

use super::{Iter, Member};
use crate::bytes::Stored;
use crate::codec::Finding;
use crate::input::{Method, UNKNOWN};
use backsight_engine::source::Weight;
use memchr::memmem;
use std::sync::Arc;

const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";

/// Bytes of these before what varies in length.
const LOCAL_LEN: usize = 30;
const ENTRY_LEN: usize = 46;
const END_LEN: usize = 22;
const LOCATOR64_LEN: usize = 20;

/// True for the first bytes of a zip archive, an empty one included.
pub(super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(LOCAL) || head.starts_with(END)
}

/// The members, in the order of the directory, and how many there may be.
pub(super) fn open(stored: Arc<Stored>) -> (Iter, u64) {
    match directory(&stored) {
        Some(directory) => {
            let most = directory.entries;
            (Box::new(directory), most)
        }
        None => {
            let message = "truncated: the archive has no directory; its members are found by their own headers";
            let offset = stored.bytes().len() as u64;
            let lost = Finding { weight: Weight::Damage, offset, message: message.into(), lost: 0 };
            let most = offset / LOCAL_LEN as u64;
            (Box::new(std::iter::once(Member::Finding(lost)).chain(Headers { stored, at: 0 })), most)
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
    left: u64,
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
    Some(Directory { stored: Arc::clone(stored), at, end, shift, entries, left: entries })
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
            name: String::from_utf8_lossy(name_bytes).into_owned(),
            flags: fields.two(8)?,
            method: fields.two(10)?,
            crc: fields.four(16)? as u32,
            packed: fields.four(20)?,
            size: fields.four(24)?,
        };
        let mut offset = fields.four(42)?;
        wide(extra_bytes, &mut [&mut head.size, &mut head.packed, &mut offset]);
        // The type of a file, where the archive was made on Unix.
        let kind = (fields.two(4)? >> 8 == 3).then_some(fields.four(38)? >> 28);
        match kind {
            Some(0xa) => return Some(head.left(Weight::Notice, "skipped: a link")),
            Some(0x1 | 0x2 | 0x6 | 0xc) => return Some(head.left(Weight::Notice, "skipped: not a regular file")),
            _ => {}
        }
        let start = usize::try_from(offset).ok().and_then(|n| n.checked_add(self.shift));
        let data = start.and_then(|start| data(all, start));
        Some(head.member(data, all.len()))
    }
}

impl Iterator for Directory {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        while self.left > 0 {
            self.left -= 1;
            match self.entry() {
                // A directory.
                Some(Member::File { name, place, .. }) if name.ends_with('/') && place.is_empty() => {}
                Some(member) => return Some(member),
                None => {
                    let missing = std::mem::take(&mut self.left) + 1;
                    let message = format!("the directory of the archive is damaged: {missing} members are not found");
                    let offset = self.at as u64;
                    return Some(Member::Finding(Finding { weight: Weight::Damage, offset, message, lost: 0 }));
                }
            }
        }
        None
    }
}

/// Where the data of the member begins whose own header is at `start`.
fn data(all: &[u8], start: usize) -> Option<usize> {
    let header = all.get(start..)?;
    let fields = Fields(header);
    header.starts_with(LOCAL).then_some(())?;
    Some(start + LOCAL_LEN + fields.two(26)? as usize + fields.two(28)? as usize)
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
    name: String,
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
        Member::Left { name: self.name, weight, why: why.into() }
    }

    /// The member whose data begins at `data`.
    fn member(self, data: Option<usize>, end: usize) -> Member {
        if self.flags & 1 != 0 {
            return self.left(Weight::Damage, "is encrypted and cannot be read");
        }
        let Some(start) = data.filter(|start| *start <= end) else {
            return self.left(Weight::Damage, "is not where the directory of the archive says");
        };
        let packed = usize::try_from(self.packed).unwrap_or(usize::MAX).min(end - start);
        let method = match self.method {
            0 => Method::Stored { crc: self.crc, size: self.size },
            8 => Method::Deflated { crc: self.crc, size: self.size },
            // These compress to what is a file of its own.
            12 | 93 | 95 => Method::Plain,
            other => {
                return self.left(Weight::Damage, format!("uses compression method {other}, which cannot be read"));
            }
        };
        Member::File { name: self.name, place: start..start + packed, method }
    }
}

/// Members found by their own headers, where the directory is missing.
struct Headers {
    stored: Arc<Stored>,
    at: usize,
}

impl Headers {
    fn step(&mut self) -> Option<Member> {
        let all = bytes(&self.stored);
        let start = self.at + memmem::find(all.get(self.at..)?, LOCAL)?;
        self.at = start + LOCAL.len();
        let fields = Fields(&all[start..]);
        let (name, extra) = (fields.two(26)? as usize, fields.two(28)? as usize);
        let name_bytes = all.get(start + LOCAL_LEN..start + LOCAL_LEN + name)?;
        let data = start + LOCAL_LEN + name + extra;
        let mut head = Head {
            name: String::from_utf8_lossy(name_bytes).into_owned(),
            flags: fields.two(6)?,
            method: fields.two(8)?,
            crc: fields.four(14)? as u32,
            packed: fields.four(18)?,
            size: fields.four(22)?,
        };
        wide(all.get(data.checked_sub(extra)?..data)?, &mut [&mut head.size, &mut head.packed]);
        // Sizes that stand behind the data are not known here: the next member begins at the next header. Deflated data
        // say themselves where they end.
        if head.flags & 8 != 0 {
            let rest = all.get(data..)?;
            let next = [LOCAL, ENTRY].iter().filter_map(|magic| memmem::find(rest, magic)).min();
            self.at = data + next.unwrap_or(rest.len());
            head.packed = if head.method == 8 { rest.len() } else { next.unwrap_or(rest.len()) } as u64;
            head.size = UNKNOWN;
        } else {
            self.at = data.saturating_add(usize::try_from(head.packed).unwrap_or(usize::MAX)).max(self.at);
        }
        Some(head.member(Some(data), all.len()))
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
