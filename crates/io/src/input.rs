//! One file of a source: what it is called, where its bytes are, what its place in the order is.

use crate::bytes::{Stored, io_error};
use crate::discover::{Found, Origin};
use crate::{Options, partitions};
use backsight_engine::error::Error;
use backsight_engine::value::column::OFFSET_BITS;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Stands between an archive and its member in names for people.
pub(crate) const MEMBER: char = '!';

/// One file of a source.
#[derive(Debug)]
pub struct Input {
    /// Its number in source order.
    pub number: u64,
    /// Numbers from its own on that are its own or its members', if it is an archive.
    pub span: u64,
    /// The number of the first file of the Parquet archive it belongs to; its own if it is of none.
    pub family: u64,
    /// Where it is; of a member of an archive, where the archive is.
    pub path: PathBuf,
    /// Its name for people; `archive.zip!member` for a member of an archive.
    pub shown: String,
    /// `@log` of its events, unless they have their own.
    pub log: String,
    /// `@logStream` of its events, unless they have their own.
    pub stream: String,
    /// Fields its folders give: `year=2024/…`.
    pub partitions: Vec<(String, String)>,
    /// Bytes as stored; `None` for a pipe.
    pub size: Option<u64>,
    /// Archives it lies in.
    pub depth: u8,
    source: Bytes,
    /// What the file on the disk has become so far, decompressed.
    expansion: Arc<Expansion>,
}

/// Where the bytes of a file are.
#[derive(Debug)]
enum Bytes {
    /// On the disk.
    File,
    /// In a pipe. What it held, once it has been read.
    Pipe(Origin, OnceLock<Arc<Stored>>),
    /// In an archive.
    Member(Method, Arc<Stored>),
    /// In an archive that is decompressed: only who does that has them.
    Passing,
}

/// How a member lies in its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Plain,
    /// As it is, with a checksum.
    Stored {
        /// CRC-32 of the file.
        crc: u32,
        /// Bytes of the file, or [`UNKNOWN`].
        size: u64,
    },
    /// Deflated.
    Deflated {
        /// CRC-32 of the file.
        crc: u32,
        /// Bytes of the file, or [`UNKNOWN`].
        size: u64,
    },
}

/// The size of a member whose size and checksum the archive does not tell beforehand.
pub const UNKNOWN: u64 = u64::MAX;

/// How far a file on the disk expands, members of members included.
#[derive(Debug, Default)]
struct Expansion {
    size: u64,
    given: AtomicU64,
}

impl Input {
    /// The file behind something found.
    pub(crate) fn new(found: Found, (number, span): (u64, u64), options: &Options) -> Input {
        let size = if let Origin::File(size) = found.origin { Some(size) } else { None };
        Input {
            number,
            span,
            family: number,
            shown: if found.origin == Origin::Stdin {
                "standard input".into()
            } else {
                found.path.to_string_lossy().into_owned()
            },
            log: options.log.clone().unwrap_or(found.root),
            partitions: partitions::of(&found.path),
            path: found.path,
            stream: found.below,
            size,
            depth: 0,
            source: match found.origin {
                Origin::File(_) => Bytes::File,
                pipe => Bytes::Pipe(pipe, OnceLock::new()),
            },
            expansion: Arc::new(Expansion { size: size.unwrap_or(0), given: AtomicU64::new(0) }),
        }
    }

    /// An input that is not read from its file.
    pub(crate) fn elsewhere(log: String, stream: String) -> Input {
        Input {
            number: 0,
            span: 1,
            family: 0,
            path: PathBuf::new(),
            shown: stream.clone(),
            log,
            stream,
            partitions: Vec::new(),
            size: None,
            depth: 0,
            source: Bytes::Passing,
            expansion: Arc::default(),
        }
    }

    /// A member of an archive; without `stored`, one that whoever decompresses the archive hands out.
    pub(crate) fn member(
        archive: &Input,
        name: &str,
        (number, span): (u64, u64),
        method: Method,
        stored: Option<Arc<Stored>>,
    ) -> Input {
        Input {
            number,
            span,
            family: number,
            path: archive.path.clone(),
            shown: archive.member_name(name),
            log: archive.log.clone(),
            stream: format!("{}!{name}", archive.stream),
            partitions: [archive.partitions.clone(), partitions::of(Path::new(name))].concat(),
            size: stored.as_ref().map(|stored| stored.bytes().len() as u64),
            depth: archive.depth + 1,
            source: stored.map_or(Bytes::Passing, |stored| Bytes::Member(method, stored)),
            expansion: Arc::clone(&archive.expansion),
        }
    }

    /// The name for people of a member of this archive.
    pub(crate) fn member_name(&self, name: &str) -> String {
        format!("{}{MEMBER}{name}", self.shown)
    }

    /// Position of the record at `offset` of the (decompressed) file, or of that row number.
    pub fn position(&self, offset: u64) -> u64 {
        (self.number << OFFSET_BITS) + offset
    }

    /// Its bytes, and how they lie there.
    pub(crate) fn stored(&self) -> Result<(Arc<Stored>, Method), Error> {
        let fail = |e| io_error(&self.shown, e);
        match &self.source {
            Bytes::File => Ok((Arc::new(Stored::open(&self.path).map_err(fail)?), Method::Plain)),
            Bytes::Member(method, stored) => Ok((Arc::clone(stored), *method)),
            Bytes::Passing => Err(Error::Bug(format!("{} cannot be read out of order", self.shown))),
            Bytes::Pipe(origin, drained) => {
                if let Some(stored) = drained.get() {
                    return Ok((Arc::clone(stored), Method::Plain));
                }
                let stored = match origin {
                    Origin::Stdin => Stored::drain(std::io::stdin().lock()),
                    _ => File::open(&self.path).and_then(Stored::drain),
                };
                let stored = Arc::new(stored.map_err(fail)?);
                Ok((Arc::clone(drained.get_or_init(|| stored)), Method::Plain))
            }
        }
    }

    /// Takes note of `n` bytes more that its file on the disk has expanded to.
    ///
    /// # Errors
    /// [`Error::Limit`] where that is more than allowed. `taken` and `given` are what this file alone took and gave.
    pub(crate) fn expands(&self, n: u64, (taken, given): (u64, u64), options: &Options) -> Result<(), Error> {
        let all = self.expansion.given.fetch_add(n, Ordering::Relaxed) + n;
        let is_too_much =
            |given: u64, size: u64| given > options.expansion_floor && given > size.saturating_mul(options.expansion);
        if is_too_much(given, taken) || (self.expansion.size > 0 && is_too_much(all, self.expansion.size)) {
            let file = &self.shown;
            return Err(Error::Limit(format!(
                "{file} expands to more than {} times its size; --max-expansion raises the limit",
                options.expansion
            )));
        }
        Ok(())
    }
}
