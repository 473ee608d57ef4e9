//! Encoded row groups, written to files in order.

use super::convert::Settings;
use super::encode::{self, Encoder, File};
use super::gather::Place;
use super::group::Group;
use super::journal::{JOURNAL, line};
use super::manifest::{FileEntry, Part, VERSION};
use super::output::Target;
use super::schema::Schema;
use backsight_engine::error::Error;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bytes of a file of an archive after which the next one is begun.
const FILE_BYTES: u64 = 512 << 20;

/// Files that are written at the same time, at most: each takes a handle and a buffer.
const MOST_OPEN: usize = 32;

/// The order of what is written.
pub(super) struct Writing {
    pub target: Target,
    pub parts: Vec<Part>,
    next: u64,
    early: BTreeMap<u64, Done>,
    /// With the number of the job that wrote to it last.
    open: HashMap<Place, (File, u64)>,
    /// Files of places so far, for their names.
    begun: HashMap<Place, u32>,
    closed: Vec<FileEntry>,
}

/// A job that is done.
pub(super) enum Done {
    Group(Place, Arc<Encoder>, Group),
    Part(Part),
    /// Nothing is to be written.
    Nothing,
}

impl Writing {
    pub(super) fn new(target: Target, parts: Vec<Part>) -> Writing {
        Writing {
            target,
            parts,
            next: 0,
            early: BTreeMap::new(),
            open: HashMap::new(),
            begun: HashMap::new(),
            closed: Vec::new(),
        }
    }

    /// Takes what a job made, and writes all whose turn has come.
    pub(super) fn take(&mut self, number: u64, done: Done, settings: &Settings) -> Result<(), Error> {
        self.early.insert(number, done);
        while let Some(done) = self.early.remove(&self.next) {
            self.next += 1;
            self.write(done, settings)?;
        }
        Ok(())
    }

    fn write(&mut self, done: Done, settings: &Settings) -> Result<(), Error> {
        let fail = |e| encode::error(&settings.target, e);
        match done {
            Done::Nothing => {}
            Done::Group(place, encoder, group) => {
                let (file, last) = match self.open.entry(place.clone()) {
                    std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        let number = self.begun.entry(place.clone()).and_modify(|n| *n += 1).or_insert(0);
                        let output = self.target.create(&name(&place, *number))?;
                        entry.insert((File::new(output, &encoder, group.first).map_err(fail)?, 0))
                    }
                };
                file.append(group).map_err(fail)?;
                *last = self.next;
                if file.bytes() >= FILE_BYTES && !settings.is_single() {
                    self.close(&place, settings)?;
                }
                if self.open.len() > MOST_OPEN
                    && let Some((oldest, _)) = self.open.iter().min_by_key(|(_, (_, last))| *last)
                {
                    self.close(&oldest.clone(), settings)?;
                }
            }
            Done::Part(mut part) => {
                if settings.is_single() && self.open.is_empty() {
                    // Who asked for one file gets one, though there be nothing to put into it.
                    let encoder = Schema::new(Vec::new()).and_then(Encoder::new).map_err(fail)?;
                    let place = Place { folder: String::new(), format: "ndjson", part: 0, version: 0 };
                    let output = self.target.create(&name(&place, 0))?;
                    let file = File::new(output, &encoder, part.next_record).map_err(fail)?;
                    self.open.insert(place, (file, self.next));
                }
                let mut places: Vec<Place> = self.open.keys().cloned().collect();
                places.sort();
                places.iter().try_for_each(|place| self.close(place, settings))?;
                part.files = std::mem::take(&mut self.closed);
                part.files.sort_by_key(|f| f.first);
                self.begun.clear();
                self.target.append(JOURNAL, &line(&part)?)?;
                self.parts.push(part);
            }
        }
        Ok(())
    }

    fn close(&mut self, place: &Place, settings: &Settings) -> Result<(), Error> {
        let Some((file, _)) = self.open.remove(place) else { return Ok(()) };
        let number = self.begun.get(place).copied().unwrap_or_default();
        let (rows, first) = (file.rows, file.first);
        let (lines, preambles) = file.lines();
        let facts = serde_json::json!({
            "version": VERSION, "format": place.format, "partitions": file.partitions, "filters": file.filters,
            "lines": lines, "preambles": preambles,
        });
        let facts = facts.to_string();
        let written = file.finish(facts).map_err(|e| encode::error(&settings.target, e))?;
        self.closed.push(FileEntry {
            path: name(place, number),
            rows,
            bytes: written.bytes,
            sha256: written.sha256,
            first,
            format: place.format.to_owned(),
        });
        Ok(())
    }
}

/// The name of the `n`th file of a place.
fn name(place: &Place, n: u32) -> String {
    let Place { folder, format, part, version } = place;
    format!("{folder}{format}-{part:05}-{version:02}{n:02}.parquet")
}
