//! The other way: input files from an archive, and proof that an archive is what its manifest says.

use super::account::{modified, sha256_of};
use super::manifest::{FileEntry, InputEntry, Manifest};
use super::output::{Faults, Output, Target, hex, unhex};
use super::rebuild::{Cells, Rebuilder, integer, text};
use super::schema::System;
use crate::bytes::Stored;
use crate::parquet::archive::{next_rows, open, spread};
use crate::parquet::{ParquetFile, Stretch};
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use arrow::array::RecordBatch;
use backsight_engine::Ctl;
use backsight_engine::error::Error;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// What was restored.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Files made.
    pub files: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Inputs that do not come back whole: their names, and why.
    pub wrong: Vec<(String, String)>,
}

/// Makes the input files of an archive again below the folder `target`, decompressed.
///
/// # Errors
/// [`Error::Input`] where there is no archive or the target may not be written; nothing is then under its name.
pub fn restore(archive: &Path, target: &Path, force: bool, faults: &Faults, ctl: &Ctl) -> Result<Restored, Error> {
    let manifest = Manifest::of(archive)?;
    let target = Target::claim(target, force, false, faults.clone())?;
    let mut names = Names::default();
    let out = {
        let mut make = |entry: &InputEntry| target.create(&names.of(entry)).map(Some);
        rebuild(archive, &manifest, &mut make, ctl)?
    };
    target.finish_folder()?;
    Ok(out)
}

/// What was found wrong with an archive.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// Files of the archive that were looked at.
    pub files: u64,
    /// Records.
    pub records: u64,
    /// Inputs that are still there and were compared.
    pub inputs: u64,
    /// What is wrong: where, and what.
    pub wrong: Vec<(String, String)>,
}

/// Checks an archive: its files against the manifest, the streams its records make against the hashes of what was read,
/// and the inputs that are still there.
///
/// # Errors
/// [`Error::Input`] where there is no archive.
pub fn verify(archive: &Path, ctl: &Ctl) -> Result<Check, Error> {
    let manifest = Manifest::of(archive)?;
    let mut check = Check::default();
    for file in &manifest.files {
        check.files += 1;
        match sha256_of(&place(archive, file)) {
            Err(e) => check.wrong.push((file.path.clone(), e.to_string())),
            Ok((sum, _)) if sum != file.sha256 => {
                check.wrong.push((file.path.clone(), "is not what was written".into()))
            }
            Ok(_) => {}
        }
    }
    if check.wrong.is_empty() {
        let rebuilt = rebuild(archive, &manifest, &mut |_| Ok(None), ctl)?;
        check.records = rebuilt.records;
        check.wrong.extend(rebuilt.wrong);
    }
    let mut last: Option<(&str, Option<String>)> = None;
    for entry in manifest.inputs.iter().filter(|entry| entry.size.is_some()) {
        let path = Path::new(&entry.path);
        if !path.is_file() {
            continue;
        }
        check.inputs += 1;
        if last.as_ref().is_none_or(|(path, _)| *path != entry.path) {
            last = Some((&entry.path, sha256_of(path).ok().map(|(sum, _)| sum)));
        }
        if last.as_ref().and_then(|(_, sum)| sum.clone()) != entry.sha256_stored {
            let when = if modified(path) == entry.modified { "" } else { ", and was changed since" };
            check.wrong.push((entry.path.clone(), format!("is not what was converted{when}")));
        }
    }
    Ok(check)
}

/// Where a file of an archive is.
fn place(archive: &Path, file: &FileEntry) -> PathBuf {
    if archive.is_dir() { archive.join(&file.path) } else { archive.to_path_buf() }
}

/// Makes the streams of all inputs again, into the files that `make` gives, and compares them with what was read.
fn rebuild(
    archive: &Path,
    manifest: &Manifest,
    make: &mut dyn FnMut(&InputEntry) -> Result<Option<Output>, Error>,
    ctl: &Ctl,
) -> Result<Restored, Error> {
    let mut out = Restored::default();
    let mut rows = Rows::new(archive, &manifest.files);
    for (number, entry) in manifest.inputs.iter().enumerate() {
        let mut file = make(entry)?;
        let (mut hash, mut bytes, mut records) = (Sha256::new(), 0u64, 0u64);
        let fail = |e| super::output::io_error(Path::new(&entry.path), e);
        let mut put = |text: &[u8]| {
            hash.update(text);
            bytes += text.len() as u64;
            file.as_mut().map_or(Ok(()), |file| file.write_all(text).map_err(fail))
        };
        let mut text = Vec::with_capacity(1 << 20);
        while records < entry.records {
            if ctl.cancelled() {
                return Err(Error::Cancelled);
            }
            if !rows.next(number as i64, entry.first + records, &mut text)? {
                break;
            }
            records += 1;
            if text.len() >= 1 << 20 {
                put(&text)?;
                text.clear();
            }
        }
        put(&text)?;
        put(&unhex(&entry.tail).unwrap_or_default())?;
        if let Some(file) = file {
            file.finish().map_err(fail)?;
        }
        out.files += 1;
        out.records += records;
        out.bytes += bytes;
        if records != entry.records {
            out.wrong.push((entry.path.clone(), format!("{} of its {} records are there", records, entry.records)));
        } else if hex(&hash.finalize()) != entry.sha256 {
            out.wrong.push((entry.path.clone(), "does not come back as it was read".into()));
        }
    }
    Ok(out)
}

/// The rows of all files of an archive, in order of their numbers.
struct Rows<'a> {
    archive: &'a Path,
    /// In order of their first rows; those at the front are open or done.
    files: Vec<&'a FileEntry>,
    opened: usize,
    open: Vec<Source>,
    /// The source of the row before: mostly also that of the next.
    last: usize,
    /// Rows decoded at a time.
    batch: usize,
}

/// A file being read front to back.
struct Source {
    name: String,
    file: ParquetFile,
    /// Number of columns.
    columns: usize,
    rebuilder: Rebuilder,
    stretches: std::vec::IntoIter<Stretch>,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<(RecordBatch, Cells)>,
    row: usize,
    /// The number of the row.
    seq: Option<u64>,
}

/// Rows decoded at a time by all sources together.
const DECODED: usize = 1 << 16;

impl<'a> Rows<'a> {
    fn new(archive: &'a Path, files: &'a [FileEntry]) -> Rows<'a> {
        let mut files: Vec<&FileEntry> = files.iter().collect();
        files.sort_by_key(|f| f.first);
        let batch = (DECODED / files.len().max(1)).clamp(64, 8192);
        Rows { archive, files, opened: 0, open: Vec::new(), last: 0, batch }
    }

    /// Adds the record of that number of that input to `out`, with what leads to it; false if it is not there.
    fn next(&mut self, input: i64, seq: u64, out: &mut Vec<u8>) -> Result<bool, Error> {
        while let Some(file) = self.files.get(self.opened).filter(|file| file.first <= seq) {
            self.opened += 1;
            self.open.push(Source::open(&place(self.archive, file), self.batch)?);
        }
        let is_it = |source: &Source| source.seq == Some(seq);
        if !self.open.get(self.last).is_some_and(is_it) {
            // What has come to its end is let go.
            self.open.retain(|source| source.seq.is_some());
            match self.open.iter().position(is_it) {
                Some(at) => self.last = at,
                None => return Ok(false),
            }
        }
        self.open[self.last].take(input, self.batch, out)
    }
}

impl Source {
    fn open(path: &Path, batch: usize) -> Result<Source, Error> {
        let name = path.display().to_string();
        // Of an archive with a folder a day all files may be in use at once.
        let bytes = Stored::bytes_of(path).map_err(|e| crate::bytes::io_error(&name, e))?;
        let file = open(bytes, &name)?;
        let Some(archive) = file.archive() else {
            return Err(Error::Input { file: name, offset: None, why: "not a file of an archive".into() });
        };
        let (columns, rebuilder) = (archive.columns.len(), Rebuilder::new(archive.columns.clone()));
        let stretches = file.stretches().into_iter();
        let mut out =
            Source { name, file, columns, rebuilder, stretches, reader: None, batch: None, row: 0, seq: None };
        out.advance(batch)?;
        Ok(out)
    }

    fn damage(&self, why: impl Into<String>) -> Error {
        Error::Input { file: self.name.clone(), offset: None, why: why.into() }
    }

    /// Moves to the next row, if the current batch has no more.
    fn advance(&mut self, rows: usize) -> Result<(), Error> {
        let leaves = vec![true; self.columns];
        while self.batch.as_ref().is_none_or(|(batch, _)| self.row >= batch.num_rows()) {
            self.batch = None;
            let next = self.reader.as_mut().map_or(Ok(None), next_rows);
            if let Some(batch) = next.map_err(|d| self.damage(d.to_string()))? {
                let batch = spread(&batch, &leaves);
                let cells = Cells::new(&batch);
                self.batch = Some((batch, cells));
                self.row = 0;
                continue;
            }
            let Some(stretch) = self.stretches.next() else {
                self.seq = None;
                return Ok(());
            };
            self.reader =
                Some(self.file.open_columns(&stretch, &leaves, rows).map_err(|d| self.damage(d.to_string()))?);
        }
        let batch = self.batch.as_ref();
        let seq = batch.and_then(|(batch, _)| integer(batch, System::Seq as usize, self.row));
        self.seq = seq.and_then(|n| u64::try_from(n).ok());
        Ok(())
    }

    fn take(&mut self, input: i64, rows: usize, out: &mut Vec<u8>) -> Result<bool, Error> {
        let Some((batch, cells)) = &self.batch else { return Ok(false) };
        if integer(batch, System::Input as usize, self.row) != Some(input) {
            return Ok(false);
        }
        out.extend_from_slice(text(batch, System::Lead as usize, self.row).unwrap_or_default());
        if self.rebuilder.add(cells, self.row, out).is_none() {
            return Err(self.damage("the columns do not give a record"));
        }
        self.row += 1;
        self.advance(rows)?;
        Ok(true)
    }
}

/// Names of restored files below a folder.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
}

/// Endings of compressed files, which restored files are not.
const COMPRESSED: [&str; 7] = [".gz", ".gzip", ".zst", ".bz2", ".xz", ".lz4", ".zstd"];

impl Names {
    /// The path of an input, made relative; a number is added where that is taken.
    fn of(&mut self, entry: &InputEntry) -> String {
        let parts: Vec<&str> = Path::new(&entry.path)
            .components()
            .filter_map(|c| match c {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        let mut name = parts.join("/");
        if entry.size != Some(entry.bytes)
            && !entry.is_table
            && let Some(shorter) = COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).filter(|n| !n.is_empty())
        {
            name = shorter.to_owned();
        }
        if entry.is_table {
            name.push_str(".ndjson");
        }
        if name.is_empty() {
            name = "stdin".to_owned();
        }
        let mut free = name.clone();
        let mut n = 1;
        while !self.taken.insert(free.clone()) {
            n += 1;
            free = format!("{name}-{n}");
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_folder() {
        let mut names = Names::default();
        let mut name = |path: &str, size| {
            names.of(&InputEntry { path: path.into(), size: Some(size), bytes: 10, ..InputEntry::default() })
        };
        assert_eq!(name("/var/log/a.json", 10), "var/log/a.json");
        assert_eq!(name("../../etc/passwd", 10), "etc/passwd");
        assert_eq!(name("a.json.gz", 5), "a.json");
        assert_eq!(name("a.json", 10), "a.json-2");
        assert_eq!(name("b.gz", 10), "b.gz");
        assert_eq!(name("..", 10), "stdin");
    }
}
