//! Archives: files that hold other files. Members are read where they lie, as files of their own; nothing is unpacked.
//!
//! A member of a stored archive is a stretch of its bytes, so that members are read side by side and large ones are cut
//! like any plain file. Of a compressed tar there is only one way through: its members are read one after another, while
//! other workers read what was cut off before.

mod tar;
mod zip;

use crate::bytes::{RELEASE_FROM, Stored};
use crate::codec::{Decoder, Finding};
use crate::content::{Body, decode_all};
use crate::discover;
use crate::files::{Begun, Files};
use crate::formats::{Pass, Queue};
use crate::input::{Input, Method};
use crate::records::{Broken, finding};
use backsight_engine::error::Error;
use backsight_engine::source::{Counters, Morsel, Weight};
use std::ops::Range;
use std::sync::Arc;

/// One kind of archive.
#[derive(Debug)]
pub struct Container {
    /// Its name.
    pub name: &'static str,
    /// True if a file that starts with these bytes (decompressed) is such an archive.
    pub sniff: fn(&[u8]) -> bool,
    /// Gives its members; the last number bounds how many of them get a number of their own.
    open: fn(Arc<Stored>) -> (Iter, u64),
    /// Reads one that is not stored but decompressed, from front to back; `None` if that cannot be done.
    stream: Option<Stream>,
}

/// Finds members front to back.
type Iter = Box<dyn Iterator<Item = Member> + Send>;

/// Reads an archive that is decompressed on the way.
type Stream = for<'a> fn(Parent<'a>, Box<dyn Decoder>) -> Box<dyn Queue<'a> + 'a>;

/// All kinds.
pub const CONTAINERS: &[Container] = &[
    Container { name: "zip", sniff: zip::sniff, open: zip::open, stream: None },
    Container { name: "tar", sniff: tar::sniff, open: tar::open, stream: Some(tar::stream) },
];

/// Archives within archives that are opened.
pub const MAX_DEPTH: u8 = 3;

/// The kind of archive that starts with `head`.
pub fn sniff(head: &[u8]) -> Option<&'static Container> {
    CONTAINERS.iter().find(|c| (c.sniff)(head))
}

/// The kind of archive that ends like this: its start may be damaged, or something else stand before it.
pub(crate) fn sniff_end(body: &Body) -> Option<&'static Container> {
    let Body::Plain(stored) = body else { return None };
    let len = stored.bytes().len();
    let end = stored.bytes().get(len.checked_sub(zip::END_LEN)?..stored.check(len))?;
    sniff(end).filter(|_| zip::sniff(end))
}

/// One thing met in an archive.
enum Member {
    /// A file.
    File { name: String, place: Range<usize>, method: Method },
    /// A file that cannot be read, or something that is no file.
    Left { name: String, weight: Weight, why: String, lost: u64 },
    /// Something about the archive itself.
    Finding(Finding),
}

/// The archive members belong to.
pub(crate) struct Parent<'a> {
    files: &'a Files,
    pass: Pass<'a>,
    /// Numbers for its members: the next one, and what is between two of them.
    next: u64,
    step: u64,
}

impl<'a> Parent<'a> {
    fn new(files: &'a Files, pass: Pass<'a>, most: u64) -> Parent<'a> {
        let (next, step) = (pass.input.number + 1, pass.input.span / (most + 1));
        Parent { files, pass, next, step }
    }

    /// The pass over a member; nothing, and a note, if its name says that it is no log.
    fn member(&mut self, name: &str, method: Method, stored: Option<Arc<Stored>>) -> Option<Pass<'a>> {
        let parent = &self.pass.input;
        let number = self.next.min(parent.number + parent.span - 1);
        self.next += self.step.max(1);
        let span = self.step.clamp(1, parent.number + parent.span - number);
        let input = Arc::new(Input::member(parent, name, (number, span), method, stored));
        let pass = self.pass.on(input);
        if let Some(why) = discover::unwanted_path(name) {
            pass.note(Weight::Notice, None, format!("skipped: {why}"));
            pass.counters.flush();
            return None;
        }
        Some(pass)
    }

    /// Notes that a member is left out, and so many bytes are lost with it.
    fn leave(&self, name: &str, weight: Weight, why: &str, lost: u64) -> Result<(), Error> {
        let shown = self.pass.input.member_name(name);
        if weight == Weight::Damage && self.pass.options.strict {
            return Err(Error::Input { file: shown, offset: None, why: why.into() });
        }
        Counters::add(&self.pass.counters.lost, lost);
        self.pass.note_on(shown, weight, None, why);
        Ok(())
    }

    fn found(&self, found: &Finding) -> Result<(), Error> {
        finding(&self.pass, found)
    }
}

/// Opens an archive.
pub(crate) fn open<'a>(
    container: &'static Container,
    files: &'a Files,
    pass: Pass<'a>,
    head: Vec<u8>,
    body: Body,
) -> Result<Box<dyn Queue<'a> + 'a>, Error> {
    let stored = match body {
        Body::Plain(stored) => stored,
        Body::Decoded(decoder, state) => match container.stream {
            Some(stream) => {
                let decoder = Box::new(crate::codec::Again::new(decoder, head, state));
                return Ok(stream(Parent::new(files, pass, STREAMED), decoder));
            }
            None => Arc::new(Stored::from(decode_all(&pass, decoder, head, state)?)),
        },
    };
    let size = stored.bytes().len() as u64;
    let (members, most) = (container.open)(Arc::clone(&stored));
    let parent = Parent::new(files, pass, most);
    Ok(Box::new(Members { parent, members, stored, current: None, rest: size, given_back: 0 }))
}

/// Members of a streamed archive that get a number of their own.
const STREAMED: u64 = 1 << 12;

/// The members of a stored archive.
struct Members<'a> {
    parent: Parent<'a>,
    members: Iter,
    stored: Arc<Stored>,
    current: Option<Box<dyn Queue<'a> + 'a>>,
    /// Bytes of the archive that are no member's.
    rest: u64,
    /// How far memory was given back.
    given_back: usize,
}

/// Bytes behind a member within which others are still read.
const IN_USE: usize = 16 << 20;

impl<'a> Members<'a> {
    /// Gives back memory well before a member that begins here.
    fn give_back(&mut self, start: usize) {
        let end = start.saturating_sub(IN_USE);
        if self.stored.bytes().len() >= RELEASE_FROM && end > self.given_back + IN_USE {
            self.stored.release(std::mem::replace(&mut self.given_back, end)..end);
        }
    }

    /// Takes note of the bytes of a member. Members of one archive may lie over each other, and then hold more than it does:
    /// that is expansion like any other. Of deflated ones what they become is counted, and where they end may not be known.
    fn take(&mut self, pass: &Pass<'_>, method: Method, size: u64) -> Result<(), Error> {
        let beyond = size.saturating_sub(self.rest);
        self.rest -= size - beyond;
        if beyond == 0 || matches!(method, Method::Deflated { .. }) {
            return Ok(());
        }
        pass.input.expands(beyond, (size, size), pass.options)
    }

    fn step(&mut self) -> Result<Option<Box<dyn Morsel + 'a>>, Error> {
        loop {
            if let Some(morsel) = self.current.as_mut().and_then(|q| q.next()) {
                return Ok(Some(morsel));
            }
            self.current = None;
            match self.members.next() {
                None => {
                    Counters::add(&self.parent.pass.counters.input_bytes, std::mem::take(&mut self.rest));
                    return Ok(None);
                }
                Some(Member::Finding(found)) => self.parent.found(&found)?,
                Some(Member::Left { name, weight, why, lost }) => self.parent.leave(&name, weight, &why, lost)?,
                Some(Member::File { name, place, method }) => {
                    let size = place.len() as u64;
                    self.give_back(place.start);
                    let stored = Arc::new(self.stored.part(place));
                    let Some(pass) = self.parent.member(&name, method, Some(stored)) else { continue };
                    self.take(&pass, method, size)?;
                    match self.parent.files.begin(pass, false)? {
                        Begun::Nothing => {}
                        Begun::Morsel(morsel) => return Ok(Some(morsel)),
                        Begun::Queue(queue) => self.current = Some(queue),
                    }
                }
            }
        }
    }
}

impl<'a> Queue<'a> for Members<'a> {
    fn next(&mut self) -> Option<Box<dyn Morsel + 'a>> {
        match self.step() {
            Ok(morsel) => morsel,
            Err(e) => {
                self.current = None;
                self.members = Box::new(std::iter::empty());
                Some(Box::new(Broken(e)))
            }
        }
    }
}
