//! Where an answer goes: standard output, or a file that appears under its name only when it is whole.

use backsight_engine::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Start of the names of unfinished files.
const UNFINISHED: &str = ".backsight-tmp-";

/// The place an answer is written to.
pub(crate) enum Target {
    /// Standard output.
    Stdout(BufWriter<io::StdoutLock<'static>>),
    /// A file written beside its final place.
    File {
        /// The unfinished file; removed when dropped.
        out: BufWriter<NamedTempFile>,
        /// The final name.
        path: PathBuf,
        /// An existing file may be replaced.
        force: bool,
    },
}

impl Target {
    /// Standard output without `path`, else a file that must not exist unless `force`.
    pub(crate) fn open(path: Option<&Path>, force: bool) -> Result<Target, Error> {
        let Some(path) = path else {
            return Ok(Target::Stdout(BufWriter::with_capacity(1 << 16, io::stdout().lock())));
        };
        if !force && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        if path.metadata().is_ok_and(|m| !m.is_file()) {
            return Err(refused(path, "is not a regular file"));
        }
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // An answer is an ordinary file: its mode is what the umask leaves, not the 0600 of a secret.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(|e| io_error(path, e))?;
        Ok(Target::File { out: BufWriter::with_capacity(1 << 16, file), path: path.to_path_buf(), force })
    }

    /// Where to write.
    pub(crate) fn writer(&mut self) -> &mut dyn Write {
        match self {
            Target::Stdout(out) => out,
            Target::File { out, .. } => out,
        }
    }

    /// Makes what was written visible: flushed, or synced and renamed. Without this a file leaves no trace.
    pub(crate) fn commit(self) -> Result<(), Error> {
        match self {
            Target::Stdout(mut out) => out.flush().map_err(output_error),
            Target::File { out, path, force } => {
                let file = out.into_inner().map_err(|e| io_error(&path, e.into_error()))?;
                file.as_file().sync_all().map_err(|e| io_error(&path, e))?;
                let renamed = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
                match renamed {
                    Ok(_) => Ok(()),
                    Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(&path)),
                    Err(e) => Err(io_error(&path, e.error)),
                }
            }
        }
    }
}

/// The program's error for a failed write to standard output.
pub(crate) fn output_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::Closed,
        _ => Error::Io { what: "writing the answer".into(), source: error },
    }
}

fn exists(path: &Path) -> Error {
    refused(path, "exists already; --force replaces it")
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Input { file: path.display().to_string(), offset: None, why: why.into() }
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io { what: format!("writing {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_absent() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.csv");
        let names = || std::fs::read_dir(folder.path()).expect("readable").count();

        let mut dropped = Target::open(Some(&path), false).expect("new");
        dropped.writer().write_all(b"half").expect("disk");
        drop(dropped);
        assert_eq!(names(), 0);

        let mut target = Target::open(Some(&path), false).expect("new");
        target.writer().write_all(b"whole").expect("disk");
        target.commit().expect("disk");
        assert_eq!(std::fs::read(&path).expect("written"), b"whole");

        assert!(matches!(Target::open(Some(&path), false), Err(Error::Input { .. })));
        let mut forced = Target::open(Some(&path), true).expect("forced");
        forced.writer().write_all(b"new").expect("disk");
        forced.commit().expect("disk");
        assert_eq!(std::fs::read(&path).expect("written"), b"new");
        assert_eq!(names(), 1);

        assert!(
            matches!(Target::open(Some(folder.path()), true), Err(Error::Input { .. })),
            "a folder is never replaced"
        );
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.csv");
        let target = Target::open(Some(&path), false).expect("new");
        std::fs::write(&path, b"theirs").expect("disk");
        assert!(matches!(target.commit(), Err(Error::Input { .. })));
        assert_eq!(std::fs::read(&path).expect("kept"), b"theirs");
    }
}
