//! The account of a conversion: what is said of its inputs, and the manifest in its place.

use super::convert::Settings;
use super::manifest::{InputEntry, Loss, MANIFEST, Manifest, Part, VERSION};
use super::output::{Target, hex, io_error as failed};
use crate::bytes::io_error;
use crate::files::{Files, Input};
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::source::{Note, Weight};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::PoisonError;
use std::time::UNIX_EPOCH;

/// The manifest of what was converted.
pub(super) fn manifest(files: &Files, settings: &Settings, parts: Vec<Part>, ctl: &Ctl) -> Manifest {
    let notes: Vec<Note> = {
        let mut notes = ctl.counters.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.extend_from_slice(files.notes());
        notes.sort();
        notes.dedup();
        notes
    };
    let loss = |note: &Note| Loss { path: note.file.clone(), offset: note.offset, why: note.message.clone() };
    let mut inputs: Vec<InputEntry> = Vec::new();
    let mut outputs = Vec::new();
    let records = parts.last().map_or(0, |p| p.next_record);
    for part in parts {
        inputs.extend(part.inputs);
        outputs.extend(part.files);
    }
    for entry in &mut inputs {
        let of_it = |note: &&Note| note.file == entry.path && note.weight == Weight::Damage;
        let losses: Vec<Loss> = notes.iter().filter(of_it).map(loss).collect();
        if !losses.is_empty() {
            entry.losses = losses;
        }
    }
    let mut skipped: Vec<Loss> = Vec::new();
    let is_input = |path: &str, inputs: &[InputEntry]| inputs.iter().any(|entry| entry.path == path);
    for input in files.inputs() {
        if input.size == Some(0) && !is_input(&input.shown, &inputs) {
            let empty = hex(&Sha256::new().finalize());
            inputs.push(InputEntry {
                sha256_stored: Some(empty.clone()),
                sha256: empty,
                first: records,
                ..entry(input, "", false)
            });
        }
    }
    skipped.extend(notes.iter().filter(|note| !is_input(&note.file, &inputs)).map(loss));
    Manifest {
        version: VERSION,
        tool: concat!("backsight ", env!("CARGO_PKG_VERSION")).into(),
        command: settings.command.clone(),
        records,
        inputs,
        skipped,
        files: outputs,
    }
}

/// Puts the manifest beside the files, and all of it under the name of the target.
pub(super) fn publish(target: Target, settings: &Settings, manifest: &Manifest) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(manifest).map_err(|e| Error::Bug(e.to_string()))?;
    let mut file = target.create(MANIFEST)?;
    let write = |e| failed(&settings.target, e);
    file.write_all(&text).map_err(write)?;
    file.finish().map_err(write)?;
    if !settings.is_single() {
        target.retain(&manifest.files.iter().map(|f| f.path.as_str()).chain([MANIFEST]).collect::<Vec<_>>())?;
        return target.finish_folder();
    }
    let mut renames = vec![(MANIFEST, Manifest::beside(&settings.target))];
    renames.extend(manifest.files.iter().map(|f| (f.path.as_str(), settings.target.clone())));
    target.finish_files(&renames)
}

/// SHA-256 and size of a file.
pub(crate) fn sha256_of(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 18], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex(&hash.finalize()), bytes)),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// Modification time of a file in milliseconds.
pub(crate) fn modified(path: &Path) -> Option<i64> {
    let time = std::fs::metadata(path).ok()?.modified().ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_millis() as i64)
}

/// What there is to say of an input at first.
pub(super) fn entry(input: &Input, format: &str, is_table: bool) -> InputEntry {
    InputEntry {
        is_table,
        path: input.shown.clone(),
        log: input.log.clone(),
        stream: input.stream.clone(),
        format: format.to_owned(),
        size: input.size,
        modified: input.size.and_then(|_| modified(&input.path)),
        partitions: input.partitions.clone(),
        ..InputEntry::default()
    }
}

/// Fills in the hashes of inputs as stored.
pub(super) fn stored_sums(inputs: &mut [InputEntry]) -> Result<(), Error> {
    let mut last: Option<(String, String)> = None;
    for entry in inputs {
        if entry.size.is_none() {
            continue;
        }
        if entry.size == Some(entry.bytes) && !entry.is_table {
            // Not compressed: what was read is what is stored.
            entry.sha256_stored = Some(entry.sha256.clone());
            continue;
        }
        if last.as_ref().is_none_or(|(path, _)| *path != entry.path) {
            let (sum, _) = sha256_of(Path::new(&entry.path)).map_err(|e| io_error(&entry.path, e))?;
            last = Some((entry.path.clone(), sum));
        }
        entry.sha256_stored = last.as_ref().map(|(_, sum)| sum.clone());
    }
    Ok(())
}
