//! What a file holds on disk, as bytes: mapped into memory where it is large, else read.
//!
//! A mapped file that is cut short by someone else while it is being read would end the process (SIGBUS). Its size is
//! therefore asked again before each piece is touched ([`Stored::check`]), and in the window of microseconds that this
//! leaves a [`guard`] puts zeros where the file has nothing any more, and says so.

mod guard;

use backsight_engine::error::Error;
use bytes::Bytes;
use guard::Guard;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Files from this size on are mapped. A smaller one costs less to read than its page faults.
const MAP_FROM: u64 = 1 << 20;

/// Of mapped files from this size on, memory is given back piece by piece.
pub const RELEASE_FROM: usize = 64 << 20;

/// The bytes of a pipe that are kept in memory; more go to a temporary file.
const PIPE_IN_MEMORY: usize = 64 << 20;

/// All bytes of a file as stored.
#[derive(Debug)]
pub struct Stored {
    bytes: Bytes,
    /// The file behind the map, if the bytes are one, and where in it they begin.
    mapped: Option<(Arc<Mapped>, usize)>,
}

/// What stands behind a map.
#[derive(Debug)]
struct Mapped {
    file: File,
    /// Size and time of the last change when it was opened.
    opened: (u64, Option<SystemTime>),
    guard: Arc<Guard>,
    /// Set once somebody was told that the file changed.
    told: AtomicBool,
}

fn state(file: &File) -> std::io::Result<(u64, Option<SystemTime>)> {
    file.metadata().map(|metadata| (metadata.len(), metadata.modified().ok()))
}

/// A map with its guard, which goes first. It does without the file.
struct Watched {
    map: memmap2::Mmap,
    guard: Arc<Guard>,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.guard.release();
    }
}

/// See [`Stored::passing`].
struct Passing {
    stored: Arc<Stored>,
    place: std::ops::Range<usize>,
}

impl AsRef<[u8]> for Passing {
    fn as_ref(&self) -> &[u8] {
        &self.stored.bytes[self.place.clone()]
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.stored.mapped.is_some() {
            guard::release(self.as_ref());
        }
    }
}

impl Stored {
    /// Maps or reads a regular file.
    pub fn open(path: &Path) -> std::io::Result<Stored> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        if size >= MAP_FROM {
            return Stored::map(file);
        }
        // Not `size` bytes exactly: the file may grow, and files of /proc claim to be empty.
        let mut bytes = Vec::with_capacity(size as usize + 1);
        file.read_to_end(&mut bytes)?;
        Ok(Stored { bytes: bytes.into(), mapped: None })
    }

    /// The bytes of a regular file, which are not held in memory and keep no file open.
    pub(crate) fn bytes_of(path: &Path) -> std::io::Result<Bytes> {
        let file = File::open(path)?;
        // Nothing cannot be mapped.
        if file.metadata()?.len() == 0 {
            return Ok(Bytes::new());
        }
        Ok(Stored::map(file)?.bytes)
    }

    fn map(file: File) -> std::io::Result<Stored> {
        let opened = state(&file)?;
        // SAFETY: the map is only read, `check` keeps to the size the file has, and the guard is there for the moment in
        // between. That other processes may change its bytes meanwhile is accepted: bytes are all that is made of them,
        // nothing is checked once and trusted later.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        let guard = Arc::new(Guard::new(&map));
        let bytes = Bytes::from_owner(Watched { map, guard: Arc::clone(&guard) });
        let mapped = Arc::new(Mapped { guard, file, opened, told: AtomicBool::new(false) });
        Ok(Stored { bytes, mapped: Some((mapped, 0)) })
    }

    /// Reads a pipe to its end, into memory or, if it is long, a temporary file without a name.
    pub fn drain(mut pipe: impl Read) -> std::io::Result<Stored> {
        let mut bytes = Vec::new();
        pipe.by_ref().take(PIPE_IN_MEMORY as u64).read_to_end(&mut bytes)?;
        if bytes.len() < PIPE_IN_MEMORY {
            return Ok(Stored { bytes: bytes.into(), mapped: None });
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&bytes)?;
        drop(bytes);
        std::io::copy(&mut pipe, &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Stored::map(file)
    }

    /// All bytes. Touch none beyond what [`Stored::check`] says.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many of the first `end` bytes can be touched safely, now.
    pub fn check(&self, end: usize) -> usize {
        let end = end.min(self.bytes.len());
        let Some((mapped, start)) = &self.mapped else { return end };
        match mapped.file.metadata() {
            Ok(now) => end.min(usize::try_from(now.len()).unwrap_or(usize::MAX).saturating_sub(*start)),
            Err(_) => 0,
        }
    }

    /// Gives back the memory of bytes that were read, if they are mapped; whoever looks at them again reads them again.
    pub fn release(&self, range: std::ops::Range<usize>) {
        let Some(bytes) = self.mapped.as_ref().and_then(|_| self.bytes.get(range)) else { return };
        guard::release(bytes);
    }

    /// What happened to the file since it was opened, if anything; said once.
    pub fn changed(&self) -> Option<Change> {
        let (mapped, _) = self.mapped.as_ref()?;
        let (size, time) = mapped.opened;
        let change = match state(&mapped.file) {
            _ if mapped.guard.was_hit() => Change::Zeros,
            Ok((now, _)) if now < size => Change::Shrunk,
            Ok((now, _)) if now > size => Change::Grown(now - size),
            Ok((_, now)) if now != time => Change::Touched,
            _ => return None,
        };
        (!mapped.told.swap(true, Ordering::Relaxed)).then_some(change)
    }

    /// A part of the bytes for who reads all of a large file and keeps some of it for a while: once nobody looks at it any
    /// more, its pages no longer count as memory of this process.
    pub fn passing(self: &Arc<Stored>, place: std::ops::Range<usize>) -> Bytes {
        Bytes::from_owner(Passing { stored: Arc::clone(self), place })
    }

    /// A part of the file as if it were one. The place must lie within it.
    pub fn part(&self, place: std::ops::Range<usize>) -> Stored {
        let mapped = self.mapped.as_ref().map(|(file, start)| (Arc::clone(file), start + place.start));
        Stored { bytes: self.bytes.slice(place), mapped }
    }
}

/// What happened to a file while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was cut short, and zeros were read for what is gone.
    Zeros,
    /// It was cut short.
    Shrunk,
    /// It has so many bytes more.
    Grown(u64),
    /// Somebody wrote to it.
    Touched,
}

impl From<Vec<u8>> for Stored {
    fn from(bytes: Vec<u8>) -> Stored {
        Stored { bytes: bytes.into(), mapped: None }
    }
}

/// The error for a file the system does not let us read.
pub fn io_error(file: &str, error: std::io::Error) -> Error {
    Error::Io { what: format!("cannot read {file}"), source: error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_and_large_ones_mapped() {
        let dir = tempfile::tempdir().expect("a directory");
        for size in [0, 1, MAP_FROM as usize - 1, MAP_FROM as usize] {
            let path = dir.path().join(size.to_string());
            let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            let stored = Stored::open(&path).expect("open");
            assert_eq!(stored.bytes(), &bytes[..]);
            assert_eq!(stored.mapped.is_some(), size as u64 >= MAP_FROM);
            assert_eq!(stored.check(usize::MAX), size);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn many_files_can_be_looked_at_with_few_open() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut all = Vec::new();
        for n in 0..100u8 {
            let path = dir.path().join(n.to_string());
            std::fs::write(&path, vec![n; usize::from(n)]).expect("written");
            all.push(Stored::bytes_of(&path).expect("open"));
        }
        let open = std::fs::read_dir("/proc/self/fd").expect("of this process").flatten();
        let of_it = open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(dir.path())));
        assert_eq!(of_it.count(), 0);
        assert!(
            all.iter().enumerate().all(|(n, bytes)| bytes.len() == n && bytes.iter().all(|b| usize::from(*b) == n))
        );
    }

    #[test]
    fn a_mapped_file_that_shrinks_is_noticed() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(MAP_FROM).expect("sized");
        let stored = Stored::open(file.path()).expect("open");
        file.as_file().set_len(10).expect("cut");
        assert_eq!(stored.check(4096), 10);
        assert_eq!((stored.changed(), stored.changed()), (Some(Change::Shrunk), None));
    }

    #[test]
    fn pipes_are_drained() {
        let long = vec![7u8; PIPE_IN_MEMORY + 10];
        let stored = Stored::drain(&long[..]).expect("drained");
        assert!(stored.mapped.is_some() && stored.bytes() == &long);
        assert_eq!(Stored::drain(&b"abc"[..]).expect("drained").bytes(), &b"abc"[..]);
    }
}
