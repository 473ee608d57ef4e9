//! The manifest: what an archive was made from and what it is made of.

use super::schema::Field;
use backsight_engine::error::Error;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the manifest in the folder of an archive. The underscore hides it from readers of data sets.
pub const MANIFEST: &str = "_backsight.json";

/// What is known of an archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this form of archive.
    pub version: u32,
    /// Name and version of the program that wrote it.
    pub tool: String,
    /// Its arguments.
    pub command: Vec<String>,
    /// Records in all.
    pub records: u64,
    /// What was read, in order.
    pub inputs: Vec<InputEntry>,
    /// Inputs that were not converted, and why.
    pub skipped: Vec<Loss>,
    /// What was written, in order of the first record.
    pub files: Vec<FileEntry>,
}

/// An input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputEntry {
    /// As named or found.
    pub path: String,
    /// `@log` of its records, unless they have their own.
    pub log: String,
    /// `@logStream` of its records, unless they have their own.
    pub stream: String,
    /// What it was taken for.
    pub format: String,
    /// Bytes as stored; absent for a pipe.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Modification time, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modified: Option<i64>,
    /// SHA-256 of the bytes as stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256_stored: Option<String>,
    /// It is a table, whose rows were taken as lines of JSON: they are the stream.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_table: bool,
    /// Bytes of the decompressed stream, as far as it was read.
    pub bytes: u64,
    /// SHA-256 of the decompressed stream, as far as it was read.
    pub sha256: String,
    /// Records in it.
    pub records: u64,
    /// Number of its first record in the archive.
    pub first: u64,
    /// Bytes behind the last record that belong to none, in hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub tail: String,
    /// Fields its folders give.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub partitions: Vec<(String, String)>,
    /// Parts of it that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub losses: Vec<Loss>,
}

/// Something that is not in the archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The input.
    pub path: String,
    /// Where, in the bytes as stored, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<u64>,
    /// What is lost, or why.
    pub why: String,
}

/// A Parquet file of the archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the folder of the archive.
    pub path: String,
    /// Rows, one a record.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of all its bytes.
    pub sha256: String,
    /// Number of its first record in the archive.
    pub first: u64,
    /// Its records were read as this format.
    pub format: String,
}

/// A stretch of inputs that is written and settled before the next begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub inputs: Vec<InputEntry>,
    /// Inputs passed so far, those without records included.
    pub next_input: usize,
    pub next_record: u64,
    pub files: Vec<FileEntry>,
    /// The columns of each format.
    pub fields: Vec<(String, Vec<Field>)>,
}

impl Manifest {
    /// Where the manifest of an archive is: in its folder, or beside its one file.
    pub fn beside(archive: &Path) -> PathBuf {
        if archive.is_dir() {
            return archive.join(MANIFEST);
        }
        let mut name = archive.file_name().unwrap_or_default().to_owned();
        name.push(".manifest.json");
        archive.with_file_name(name)
    }

    /// Reads the manifest of an archive.
    ///
    /// # Errors
    /// [`Error::Input`] where there is none, or it cannot be understood.
    pub fn of(archive: &Path) -> Result<Manifest, Error> {
        let path = Manifest::beside(archive);
        let fail = |why: String| Error::Input { file: path.display().to_string(), offset: None, why };
        let text = std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => fail("there is no such manifest: not an archive".into()),
            _ => fail(e.to_string()),
        })?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| fail(format!("not a manifest: {e}")))?;
        if manifest.version != VERSION {
            return Err(fail(format!("of version {}, which this program does not know", manifest.version)));
        }
        Ok(manifest)
    }
}

/// The form of archive this program writes.
pub(crate) const VERSION: u32 = 1;
