//! Where an archive is written: whole under its name, or not there at all.
//!
//! Everything is written into a folder beside the target, whose name starts with `.backsight-tmp-`, and renamed when it
//! is complete and on the disk. A lock keeps a second run away from the same target; the system lets go of it however
//! this process ends, so what is found in the folder later belongs to nobody.

use backsight_engine::error::Error;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Start of the names of what is unfinished.
const UNFINISHED: &str = ".backsight-tmp-";

/// Makes writing fail, for tests: each step on the disk takes one, the last one fails as on a full disk.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<AtomicU64>>);

impl Faults {
    /// The `n`th step fails, counted from 1.
    pub fn at(n: u64) -> Faults {
        Faults(Some(Arc::new(AtomicU64::new(n))))
    }

    /// True if the fault has struck.
    pub fn struck(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
    }

    fn step(&self) -> io::Result<()> {
        let Some(left) = &self.0 else { return Ok(()) };
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) {
            Ok(1) => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

/// A target that is being written.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    /// What is written so far lies here.
    work: PathBuf,
    lock: PathBuf,
    _locked: File,
    force: bool,
    faults: Faults,
    /// What is there is left for a run that resumes.
    keep: bool,
    done: bool,
}

impl Target {
    /// Claims a target. `resume`: what an earlier run left is kept.
    ///
    /// # Errors
    /// [`Error::Input`] where something is there already and may not be replaced, or another run writes it.
    pub(crate) fn claim(path: &Path, force: bool, resume: bool, faults: Faults) -> Result<Target, Error> {
        let Some(name) = path.file_name() else {
            return Err(refused(path, "is not the name of a file or a directory"));
        };
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let beside = |end: &str| {
            let mut file = std::ffi::OsString::from(UNFINISHED);
            file.push(name);
            file.push(end);
            parent.join(file)
        };
        let (work, lock) = (beside(""), beside(".lock"));
        faults.step().map_err(|e| io_error(path, e))?;
        let locked = lock_file(&lock).map_err(|e| io_error(path, e))?;
        let Some(locked) = locked else { return Err(refused(path, "another run is writing it")) };
        let target =
            Target { path: path.into(), work, lock, _locked: locked, force, faults, keep: resume, done: false };
        if !force && target.exists() {
            return Err(refused(path, "exists already; --force replaces it"));
        }
        if !resume {
            target.clear().map_err(|e| io_error(path, e))?;
        }
        target.step(|| fs::create_dir_all(&target.work))?;
        Ok(target)
    }

    /// True if something other than an empty folder is there.
    fn exists(&self) -> bool {
        match fs::read_dir(&self.path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => self.path.symlink_metadata().is_ok(),
        }
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.work) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn step<T>(&self, act: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        self.faults.step().and_then(|()| act()).map_err(|e| io_error(&self.path, e))
    }

    /// The folder of what is unfinished.
    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    /// Leaves what is written for a later run if this one does not finish.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Throws away what this run would leave.
    pub(crate) fn discard(&mut self) {
        self.keep = false;
    }

    /// A new file below the folder.
    pub(crate) fn create(&self, below: &str) -> Result<Output, Error> {
        let path = self.work.join(below);
        self.step(|| {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = File::create(&path)?;
            Ok(Output {
                file: BufWriter::with_capacity(1 << 18, Counted { file, faults: self.faults.clone() }),
                hash: Sha256::new(),
                bytes: 0,
                ahead: None,
            })
        })
    }

    /// Adds a line to a file below the folder, on the disk when this returns.
    pub(crate) fn append(&self, below: &str, line: &str) -> Result<(), Error> {
        self.step(|| {
            let mut file = OpenOptions::new().create(true).append(true).open(self.work.join(below))?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        })
    }

    /// Removes files below the folder that are not among these.
    pub(crate) fn retain(&self, below: &[&str]) -> Result<(), Error> {
        for file in files(&self.work) {
            let known = file.strip_prefix(&self.work).ok().and_then(Path::to_str).is_some_and(|f| below.contains(&f));
            if !known {
                self.step(|| fs::remove_file(&file))?;
            }
        }
        Ok(())
    }

    /// Gives the folder its name.
    pub(crate) fn finish_folder(mut self) -> Result<(), Error> {
        for folder in folders(&self.work) {
            self.step(|| sync_folder(&folder))?;
        }
        let mut old = None;
        if self.exists() {
            if !self.force {
                return Err(refused(&self.path, "exists already; --force replaces it"));
            }
            let aside = self.lock.with_extension("old");
            self.step(|| fs::rename(&self.path, &aside))?;
            old = Some(aside);
        }
        let renamed = self.step(|| fs::rename(&self.work, &self.path));
        if let (Err(error), Some(aside)) = (&renamed, &old) {
            // Back with what was there; that this fails too is no reason to hide why.
            let _ = fs::rename(aside, &self.path);
            return Err(Error::Io { what: error.to_string(), source: ErrorKind::StorageFull.into() });
        }
        renamed?;
        self.done = true;
        sync_parent(&self.path);
        if let Some(aside) = old {
            let _ = if aside.is_dir() { fs::remove_dir_all(&aside) } else { fs::remove_file(&aside) };
        }
        Ok(())
    }

    /// Gives files below the folder their names beside the target, in order: the last one is the target's.
    pub(crate) fn finish_files(mut self, files: &[(&str, PathBuf)]) -> Result<(), Error> {
        if !self.force && self.exists() {
            return Err(refused(&self.path, "exists already; --force replaces it"));
        }
        let mut made = Vec::new();
        for (below, to) in files {
            let renamed = self.step(|| fs::rename(self.work.join(below), to));
            if renamed.is_err() {
                made.iter().for_each(|to: &&PathBuf| drop(fs::remove_file(to)));
                return renamed;
            }
            made.push(to);
        }
        self.done = true;
        sync_parent(&self.path);
        let _ = self.clear();
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.done && !self.keep {
            let _ = self.clear();
        }
        let _ = fs::remove_file(&self.lock);
    }
}

/// The lock, or `None` if somebody has it.
fn lock_file(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // Whoever had it before may have removed it meanwhile; then it is another file that counts.
        if same_file(&file, path) {
            return Ok(Some(file));
        }
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

fn folders(top: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(top).contents_first(true).into_iter().flatten();
    walk.filter(|e| e.file_type().is_dir()).map(walkdir::DirEntry::into_path).collect()
}

fn files(top: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(top).into_iter().flatten();
    walk.filter(|e| !e.file_type().is_dir()).map(walkdir::DirEntry::into_path).collect()
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The renaming itself is done; that it survives a power cut is all that can fail here.
fn sync_parent(path: &Path) {
    let parent = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
    let _ = sync_folder(parent);
}

/// A file being written.
pub(crate) struct Output {
    file: BufWriter<Counted>,
    hash: Sha256,
    bytes: u64,
    ahead: Option<Ahead>,
}

/// Bytes that are brought to the disk together.
const AHEAD: u64 = 8 << 20;

/// Brings a file to the disk while more is written to it, so that there is little to wait for in the end.
struct Ahead {
    /// Each asks for it once more.
    orders: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Ahead {
    fn of(file: &File) -> io::Result<Ahead> {
        let file = file.try_clone()?;
        let (orders, received) = sync_channel(1);
        let work = move || received.into_iter().try_for_each(|()| file.sync_data());
        Ok(Ahead { orders: Some(orders), thread: Some(std::thread::spawn(work)) })
    }

    /// Asks for what is written by now. If that has been asked for already, nothing more is to do.
    fn order(&self) {
        let _ = self.orders.as_ref().map(|orders| orders.try_send(()));
    }

    /// What came of it: the system says of a fault only once.
    fn end(&mut self) -> io::Result<()> {
        self.orders = None;
        let died = |_| Err(io::Error::other("a thread that writes has failed"));
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(died))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// What a finished file holds.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub bytes: u64,
    pub sha256: String,
}

struct Counted {
    file: File,
    faults: Faults,
}

impl Write for Counted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.faults.step()?;
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.hash.update(&buf[..n]);
        let before = self.bytes;
        self.bytes += n as u64;
        if before / AHEAD < self.bytes / AHEAD {
            let file = &self.file.get_ref().file;
            match &self.ahead {
                Some(ahead) => ahead,
                None => self.ahead.insert(Ahead::of(file)?),
            }
            .order();
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output {
    /// Brings everything to the disk.
    pub(crate) fn finish(self) -> io::Result<Written> {
        let Output { file, hash, bytes, ahead } = self;
        let counted = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        counted.faults.step()?;
        ahead.map_or(Ok(()), |mut ahead| ahead.end())?;
        counted.file.sync_all()?;
        Ok(Written { bytes, sha256: hex(&hash.finalize()) })
    }
}

/// Small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(b"0123456789abcdef"[usize::from(n)])).collect()
}

/// The bytes of hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Input { file: path.display().to_string(), offset: None, why: why.into() }
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> Error {
    let free = if source.kind() == ErrorKind::StorageFull { free(path) } else { None };
    let free = free.map_or(String::new(), |bytes| format!(", where {bytes} bytes are free"));
    Error::Io { what: format!("writing {}{free}", path.display()), source }
}

/// Bytes that are free where a file would be.
#[cfg(unix)]
fn free(path: &Path) -> Option<u64> {
    let found = path.ancestors().skip(1).map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    let stat = found.into_iter().find_map(|folder| rustix::fs::statvfs(folder).ok())?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_belongs_to_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let first = Target::claim(&path, false, false, Faults::default()).expect("free");
        assert!(matches!(Target::claim(&path, true, false, Faults::default()), Err(Error::Input { .. })));
        first.create("a/b").expect("created").finish().expect("on the disk");
        assert!(!path.exists());
        first.finish_folder().expect("renamed");
        assert!(path.join("a/b").exists());
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing else is left");
        assert!(matches!(Target::claim(&path, false, false, Faults::default()), Err(Error::Input { .. })));
        let forced = Target::claim(&path, true, false, Faults::default()).expect("forced");
        forced.create("c").expect("created").finish().expect("on the disk");
        forced.finish_folder().expect("replaced");
        assert!(path.join("c").exists() && !path.join("a").exists());
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn what_goes_to_the_disk_ahead_is_as_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target::claim(&folder.path().join("out"), false, false, Faults::default()).expect("free");
        let bytes: Vec<u8> = (0..3 * AHEAD as u32 + 5).map(|n| (n >> 8 ^ n) as u8).collect();
        let mut output = target.create("a").expect("created");
        bytes.chunks(300_001).for_each(|piece| output.write_all(piece).expect("there is room"));
        assert!(output.ahead.is_some());
        let written = output.finish().expect("on the disk");
        assert_eq!((written.bytes, written.sha256), (bytes.len() as u64, hex(&Sha256::digest(&bytes))));
        assert!(fs::read(target.work().join("a")).expect("readable") == bytes);
        // One that is given up leaves nobody at work.
        let mut given_up = target.create("b").expect("created");
        given_up.write_all(&bytes).expect("there is room");
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0, 0x9f, 255]), "009fff");
        assert_eq!(unhex("009fff"), Some(vec![0, 0x9f, 255]));
        assert!(unhex("0").is_none() && unhex("0g").is_none());
    }
}
