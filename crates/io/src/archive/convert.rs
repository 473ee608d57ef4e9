//! Converting files to an archive: what it goes by, and what came of it. The work is done by a
//! [`pipeline`](super::pipeline).

use super::account::{manifest, publish};
use super::gather::{Form, Partition};
use super::journal::settled;
use super::manifest::Manifest;
use super::output::{Faults, Target};
use super::pipeline::Pipeline;
use crate::files::Files;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use std::path::PathBuf;
use std::sync::PoisonError;

/// How to convert.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder or file to make.
    pub target: PathBuf,
    /// Folders of a folder.
    pub partition: Partition,
    /// Replace what is there.
    pub force: bool,
    /// Go on where an earlier run was stopped.
    pub resume: bool,
    /// Stored bytes of inputs after which files are closed and settled for good.
    pub part_bytes: u64,
    /// Bytes of memory to stay below.
    pub memory: u64,
    /// Worker threads.
    pub threads: usize,
    /// The command, for the manifest.
    pub command: Vec<String>,
    /// For tests.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            target: PathBuf::new(),
            partition: Partition::Day,
            force: false,
            resume: false,
            part_bytes: 512 << 20,
            memory: 1 << 30,
            threads: 1,
            command: Vec::new(),
            faults: Faults::default(),
        }
    }
}

impl Settings {
    /// True if the target is one file.
    pub fn is_single(&self) -> bool {
        self.target.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
    }

    pub(super) fn form(&self) -> Form {
        // A group is held as chunks while it waits, as columns while it is encoded, and encoded; one waits, and each
        // worker has one.
        let group_bytes = (self.memory / (3 * (self.threads as u64 + 1))).clamp(4 << 20, 96 << 20) as usize;
        let partition = if self.is_single() { Partition::None } else { self.partition };
        Form { partition, group_bytes, part_bytes: self.part_bytes, single: self.is_single() }
    }
}

/// What a conversion did.
#[derive(Clone, Debug)]
pub struct Converted {
    /// As written.
    pub manifest: Manifest,
    /// Inputs that an earlier run had converted.
    pub resumed: usize,
}

/// Converts files to an archive.
///
/// # Errors
/// [`Error::Input`] where the target may not be written, [`Error::Io`] for the disk, [`Error::Cancelled`]. Nothing is then
/// under the target's name. Damage in the input is noted in the counters of `ctl` and in the manifest.
pub fn convert(files: &Files, settings: &Settings, ctl: &Ctl) -> Result<Converted, Error> {
    let target = Target::claim(&settings.target, settings.force, settings.resume, settings.faults.clone())?;
    let parts = if settings.resume { settled(&target, files)? } else { Vec::new() };
    let resumed = parts.last().map_or(0, |p| p.next_input);
    let pipeline = Pipeline::new(settings, target, parts, files.inputs().first().map_or(1, |input| input.span));
    let result = pipeline.run(files, resumed, ctl);
    let mut state = pipeline.writing.into_inner().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(()) => {}
        Err(error) => {
            match error {
                Error::Cancelled if !state.parts.is_empty() => state.target.keep(),
                _ => state.target.discard(),
            }
            return Err(error);
        }
    }
    let manifest = manifest(files, settings, state.parts, ctl)?;
    publish(state.target, settings, &manifest)?;
    Ok(Converted { manifest, resumed })
}
