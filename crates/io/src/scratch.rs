//! Temporary files for what a query cannot keep in memory.

use backsight_engine::{Scratch, ScratchFile};
use std::io;

/// Files in the folder for temporary files (`TMPDIR`). They have no name, so nothing is left of them whatever ends the
/// process.
#[derive(Clone, Copy, Debug)]
pub struct TemporaryFiles;

impl Scratch for TemporaryFiles {
    fn file(&self) -> io::Result<Box<dyn ScratchFile>> {
        Ok(Box::new(tempfile::tempfile()?))
    }

    fn place(&self) -> String {
        std::env::temp_dir().display().to_string()
    }
}
