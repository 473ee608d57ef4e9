//! From the paths a person names to the files behind them.
//!
//! A directory is walked in order of names; what is left out on the way (hidden files, files that are clearly no logs,
//! pipes, loops of links) is named in a note, never dropped silently. The same file reached twice is read once.

use crate::archive;
use crate::walk::{self, Met, What};
use backsight_engine::error::Error;
use backsight_engine::source::{Note, Weight};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::HashMap;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// The path argument it was found through, as given.
    pub root: String,
    /// Its path below that argument; the file name if the argument is the file itself.
    pub below: String,
    /// What is known without opening it.
    pub origin: Origin,
}

/// What kind of thing a [`Found`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A regular file of so many bytes.
    File(u64),
    /// A pipe or device named on purpose: can be read once, to its end.
    Pipe,
    /// Standard input.
    Stdin,
}

/// Finds the files behind `paths`, in order, and notes what was left out.
///
/// Fails if a path does not exist, cannot be read, or has no log behind it.
pub fn discover(paths: &[PathBuf]) -> Result<(Vec<Found>, Vec<Note>), Error> {
    let mut search = Search::default();
    for path in paths {
        search.path(path)?;
    }
    Ok((search.found, search.notes))
}

#[derive(Default)]
struct Search {
    found: Vec<Found>,
    notes: Vec<Note>,
    /// Files seen, by what the system knows them by.
    seen: HashMap<Identity, String>,
}

/// Endings and whole names of files that lie beside logs and are none. Lower case.
const NOT_LOGS: &[&str] = &[
    ".md",
    ".rst",
    ".html",
    ".htm",
    ".css",
    ".js",
    ".py",
    ".rs",
    ".sh",
    ".sql",
    ".toml",
    ".yaml",
    ".yml",
    ".ini",
    ".pdf",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".ico",
    ".exe",
    ".dll",
    ".so",
    ".md5",
    ".sha1",
    ".sha256",
    ".sha512",
    ".sig",
    ".asc",
    ".crc",
    ".tmp",
    ".part",
    ".swp",
    ".bsq",
    ".parquet.manifest.json",
    "_backsight.json",
    "_success",
    "_metadata",
    "_common_metadata",
    "license",
    "license.txt",
    "readme",
    "readme.txt",
    "thumbs.db",
    "desktop.ini",
    // What CloudWatch Logs writes to see whether it may export here.
    "aws-logs-write-test",
];

/// Why a file or folder met on a walk is left out, going by its name.
fn unwanted(name: &str) -> Option<&'static str> {
    if name.starts_with('.') {
        return Some("hidden");
    }
    let name = name.to_ascii_lowercase();
    NOT_LOGS
        .iter()
        .any(|n| if n.starts_with('.') { name.ends_with(n) } else { name == *n })
        .then_some("not a log by its name")
}

/// The same, and whether it holds for directories too.
fn by_name(name: &str) -> Option<(&'static str, bool)> {
    unwanted(name).map(|why| (why, why == "hidden"))
}

/// Why a member of an archive is left out, going by its path.
pub(crate) fn unwanted_path(path: &str) -> Option<&'static str> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let hidden = folders.split('/').any(|f| f.starts_with('.') && !matches!(f, "." | ".."));
    if hidden { Some("hidden") } else { unwanted(name) }
}

fn input_error(path: &Path, why: impl Into<String>) -> Error {
    Error::Input { file: path.to_string_lossy().into_owned(), offset: None, why: why.into() }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// True for pipes and character devices: what a shell's `<(command)` gives.
#[cfg(unix)]
fn is_pipe(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_fifo() || kind.is_char_device()
}

#[cfg(not(unix))]
fn is_pipe(_: FileType) -> bool {
    false
}

/// What the system knows a file by.
#[cfg(unix)]
pub(crate) type Identity = (u64, u64);
#[cfg(not(unix))]
pub(crate) type Identity = PathBuf;

#[cfg(unix)]
pub(crate) fn identity(_: &Path, metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(path: &Path, _: &Metadata) -> Option<Identity> {
    path.canonicalize().ok()
}

impl Search {
    fn note(&mut self, path: &Path, weight: Weight, message: impl Into<String>) {
        let file = path.to_string_lossy().into_owned();
        self.notes.push(Note { file, offset: None, message: message.into(), weight });
    }

    fn path(&mut self, path: &Path) -> Result<(), Error> {
        let root = path.to_string_lossy().into_owned();
        if root == "-" {
            let below = "stdin".to_owned();
            self.found.push(Found { path: path.into(), root, below, origin: Origin::Stdin });
            return Ok(());
        }
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && root.contains(['*', '?', '[', '{']) => {
                return self.glob(path);
            }
            Err(e) => return Err(input_error(path, reason(&e))),
        };
        if metadata.is_dir() {
            let before = self.found.len();
            self.walk(path, path, &root, |_| true)?;
            // All files of this directory may have been found through another path before.
            if self.found.len() == before && !self.knows_below(path) {
                return Err(input_error(path, "no log in this directory"));
            }
            return Ok(());
        }
        let below = path.file_name().map_or_else(|| root.clone(), |n| n.to_string_lossy().into_owned());
        if is_pipe(metadata.file_type()) {
            self.found.push(Found { path: path.into(), root, below, origin: Origin::Pipe });
            return Ok(());
        }
        if !metadata.is_file() {
            return Err(input_error(path, "not a file or directory"));
        }
        // Say now that it cannot be read, while nothing has been answered yet.
        std::fs::File::open(path).map_err(|e| input_error(path, reason(&e)))?;
        self.file(path, root, below, &metadata);
        Ok(())
    }

    fn knows_below(&self, directory: &Path) -> bool {
        let prefix = directory.to_string_lossy();
        self.notes.iter().any(|n| n.file.starts_with(&*prefix) && n.message.starts_with(SAME))
    }

    fn file(&mut self, path: &Path, root: String, below: String, metadata: &Metadata) {
        let shown = path.to_string_lossy().into_owned();
        if let Some(identity) = identity(path, metadata)
            && let Some(before) = self.seen.insert(identity, shown)
        {
            self.note(path, Weight::Notice, format!("{SAME} {before}, read once"));
            return;
        }
        self.found.push(Found { path: path.into(), root, below, origin: Origin::File(metadata.len()) });
    }

    /// Finds all files under `from` that `wanted` takes; their stream names are relative to `base`.
    fn walk(&mut self, from: &Path, base: &Path, root: &str, wanted: impl Fn(&Path) -> bool) -> Result<(), Error> {
        let met = walk::walk(from, by_name).map_err(|error| input_error(from, reason(&error)))?;
        for Met { path, what } in met {
            let path = path.as_path();
            match what {
                // The manifest of an archive is part of it, not something left out.
                What::File(_) | What::Unwanted(_) if path.file_name() == Some(archive::MANIFEST.as_ref()) => {}
                What::Loop(up) => self.note(path, Weight::Notice, format!("skipped: a link back to {}", up.display())),
                What::Fault(error) => self.note(path, Weight::Damage, format!("cannot be read: {}", reason(&error))),
                _ if !wanted(path) => {}
                What::Unwanted(why) => self.note(path, Weight::Notice, format!("skipped: {why}")),
                What::Other => self.note(path, Weight::Notice, "skipped: not a regular file"),
                What::File(metadata) => {
                    let below = path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned();
                    self.file(path, root.to_owned(), below, &metadata);
                }
            }
        }
        Ok(())
    }

    /// Finds what a pattern matches: files, and everything in directories.
    fn glob(&mut self, pattern: &Path) -> Result<(), Error> {
        let root = pattern.to_string_lossy().into_owned();
        let matcher: GlobMatcher = GlobBuilder::new(&root)
            .literal_separator(true)
            .build()
            .map_err(|e| input_error(pattern, format!("not a pattern: {}", e.kind())))?
            .compile_matcher();
        // Walk from the last directory that is spelled out.
        let base: PathBuf = pattern
            .components()
            .take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
            .collect();
        let from = if base.as_os_str().is_empty() { Path::new(".") } else { base.as_path() };
        if !from.is_dir() {
            return Err(input_error(pattern, "no such file or directory"));
        }
        let (found, notes) = (self.found.len(), self.notes.len());
        self.walk(from, from, &root, |path| {
            let path = if base.as_os_str().is_empty() { path.strip_prefix(".").unwrap_or(path) } else { path };
            path.ancestors().any(|p| matcher.is_match(p))
        })?;
        if self.found.len() == found && !self.notes[notes..].iter().any(|n| n.message.starts_with(SAME)) {
            return Err(input_error(pattern, "no log matches this pattern"));
        }
        Ok(())
    }
}

/// How the note about a file that was found before starts.
const SAME: &str = "the same file as";
