//! The account of a conversion: what is said of its inputs, and the manifest in its place.

use super::convert::Settings;
use super::manifest::{InputEntry, Loss, MANIFEST, Manifest, Part, VERSION};
use super::output::{Target, hex, io_error as failed};
use crate::bytes::io_error;
use crate::files::{EMPTY, Files, Input};
use crate::input::MEMBER;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use backsight_engine::source::{Note, Weight};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::PoisonError;
use std::time::UNIX_EPOCH;

/// The manifest of what was converted.
pub(super) fn manifest(files: &Files, settings: &Settings, parts: Vec<Part>, ctl: &Ctl) -> Result<Manifest, Error> {
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
    inputs.extend(silent(files, &inputs, &notes, records)?);
    let known: HashSet<&str> = inputs.iter().map(|entry| entry.path.as_str()).collect();
    skipped.extend(notes.iter().filter(|note| !known.contains(note.file.as_str())).map(loss));
    Ok(Manifest {
        version: VERSION,
        tool: concat!("backsight ", env!("CARGO_PKG_VERSION")).into(),
        command: settings.command.clone(),
        records,
        inputs,
        skipped,
        files: outputs,
    })
}

/// Inputs that were read without a fault and gave nothing: empty files, also compressed ones, and tables without rows.
fn silent(files: &Files, inputs: &[InputEntry], notes: &[Note], first: u64) -> Result<Vec<InputEntry>, Error> {
    let mut said = HashSet::new();
    let named: HashSet<&str> = files.inputs().iter().map(|input| input.shown.as_str()).collect();
    let is_fault = |note: &&Note| note.message != EMPTY || !named.contains(note.file.as_str());
    let at_fault = notes.iter().filter(is_fault).map(|note| &note.file);
    for path in inputs.iter().map(|entry| &entry.path).chain(at_fault) {
        said.insert(path.as_str());
        // Members speak for their archives, and for those these lie in.
        said.extend(path.match_indices(MEMBER).map(|(at, _)| &path[..at]));
    }
    let mut out: Vec<InputEntry> = Vec::new();
    for input in files.inputs().iter().filter(|input| !said.contains(input.shown.as_str())) {
        let mut start = Vec::new();
        let read = std::fs::File::open(&input.path).and_then(|file| file.take(4).read_to_end(&mut start));
        let is_table = read.is_ok() && start == b"PAR1";
        let sha256 = hex(&Sha256::new().finalize());
        out.push(InputEntry { sha256, first, ..entry(input, if is_table { "parquet" } else { "" }, is_table) });
    }
    stored_sums(&mut out, &HashMap::new())?;
    Ok(out)
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

/// True if the file of an input is not what was read of it.
pub(super) fn differs_from_file(entry: &InputEntry) -> bool {
    entry.size.is_some() && (entry.size != Some(entry.bytes) || entry.is_table)
}

/// The hash of a file that was read.
pub(super) fn stored_sum(path: &str) -> Result<String, Error> {
    Ok(sha256_of(Path::new(path)).map_err(|e| io_error(path, e))?.0)
}

/// Fills in the hashes of inputs as stored; `known`: those of some files.
pub(super) fn stored_sums(inputs: &mut [InputEntry], known: &HashMap<String, String>) -> Result<(), Error> {
    for entry in inputs.iter_mut().filter(|entry| entry.size.is_some()) {
        entry.sha256_stored = Some(match known.get(&entry.path) {
            Some(sum) if differs_from_file(entry) => sum.clone(),
            _ if differs_from_file(entry) => stored_sum(&entry.path)?,
            // Not compressed: what was read is what is stored.
            _ => entry.sha256.clone(),
        });
    }
    Ok(())
}
