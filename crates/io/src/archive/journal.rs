//! What an unfinished archive has settled, for a run that resumes.

use super::account::{modified, sha256_of};
use super::manifest::Part;
use super::output::Target;
use crate::files::Files;
use backsight_engine::error::Error;

/// Name of the list of parts that are settled.
pub(super) const JOURNAL: &str = "journal";

/// The parts an earlier run has settled, checked against the disk.
pub(super) fn settled(target: &Target, files: &Files) -> Result<Vec<Part>, Error> {
    let text = std::fs::read_to_string(target.work().join(JOURNAL)).unwrap_or_default();
    let mut parts: Vec<Part> = Vec::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let Ok(part) = serde_json::from_str::<Part>(line) else { break };
        let from = parts.last().map_or(0, |p| p.next_input);
        let same = part.next_input <= files.inputs().len()
            && part.inputs.iter().all(|entry| {
                files.inputs()[from..part.next_input].iter().any(|input| {
                    input.shown == entry.path && input.size == entry.size && modified(&input.path) == entry.modified
                })
            })
            && part.files.iter().all(|file| {
                sha256_of(&target.work().join(&file.path))
                    .is_ok_and(|(sum, bytes)| sum == file.sha256 && bytes == file.bytes)
            });
        if !same {
            break;
        }
        parts.push(part);
    }
    let mut known: Vec<&str> = parts.iter().flat_map(|p| p.files.iter().map(|f| f.path.as_str())).collect();
    known.push(JOURNAL);
    target.retain(&known)?;
    // Parts that did not stand up are not to be found by the next run either.
    std::fs::remove_file(target.work().join(JOURNAL)).ok();
    for part in &parts {
        target.append(JOURNAL, &line(part)?)?;
    }
    Ok(parts)
}

/// A part as a line of the list.
pub(super) fn line(part: &Part) -> Result<String, Error> {
    let text = serde_json::to_string(part).map_err(|e| Error::Bug(e.to_string()))?;
    Ok(text + "\n")
}
