//! Log files of every shape as a [`Source`] of rows.
//!
//! [`open`] takes what a person names on a command line, finds the files behind it, and gives [`Files`], which the
//! engine reads as one source. Format and compression are found from the content of each file.
//!
//! ```no_run
//! use backsight_io::{Options, open};
//!
//! let files = open(&["logs/2024".into(), "extra.json.gz".into()], Options::default())?;
//! for note in files.notes() {
//!     eprintln!("{}: {}", note.file, note.message); // what was left out, and why
//! }
//! // `backsight_engine` runs a plan over `&files`; findings about the content arrive in its `Counters`.
//! # Ok::<(), backsight_engine::error::Error>(())
//! ```
//!
//! From the disk to a batch a byte passes these layers, one module each:
//!
//! | layer | module |
//! |---|---|
//! | paths to files | [`discover`] |
//! | a file's bytes, mapped or read | [`bytes`] |
//! | compression: a table of codecs | [`codec`] |
//! | what the first bytes of a file show | [`head`] |
//! | archives: a table of those whose members are read in place | [`container`] |
//! | formats: a table, and what each must offer | [`formats`] |
//! | one file of code a format | [`layouts`] |
//! | a file of records cut into chunks of whole records | [`records`] |
//! | JSON records to batches | [`json`] |
//! | lines of text to batches | `text` |
//!
//! [`archive`] goes the other way: it converts any of this to Parquet, loses nothing, and gives it back.
//!
//! [`Source`]: backsight_engine::source::Source

pub mod archive;
pub mod bytes;
mod claims;
pub mod codec;
mod columnar;
pub mod container;
mod content;
pub mod dates;
pub mod discover;
mod fetch;
pub mod files;
pub mod formats;
pub mod head;
pub mod input;
pub mod json;
pub mod layouts;
pub mod parquet;
pub mod partitions;
pub mod profile;
pub mod records;
pub mod rows;
mod scratch;
mod sequence;
pub mod system;
pub mod tally;
mod text;
mod walk;

pub use files::{Files, Input, open};
pub use formats::FORMATS;
pub use scratch::TemporaryFiles;

use backsight_lang::ast::Segment;

/// How to read, apart from what a query asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The format of all files (`--as`), instead of finding it from their content.
    pub format: Option<String>,
    /// The field that holds `@timestamp` (`--timestamp-field`), instead of the usual ones. Not empty.
    pub timestamp_field: Option<Vec<Segment>>,
    /// `@log` of all events, instead of the path as given.
    pub log: Option<String>,
    /// Damage stops the run with an error, and no record is passed over unread.
    pub strict: bool,
    /// Bytes of a piece of work. Answers do not depend on it.
    pub morsel: usize,
    /// Bytes of the longest record that is read; longer ones are noted and left out. At most [`RECORD_LIMIT_MAX`].
    pub record_limit: usize,
    /// A compressed file may expand to this many times its size,
    pub expansion: u64,
    /// or to this many bytes, whichever is more.
    pub expansion_floor: u64,
}

/// The largest useful [`Options::record_limit`]: offsets within a piece of work have 32 bits.
pub const RECORD_LIMIT_MAX: usize = 2 << 30;

impl Default for Options {
    fn default() -> Options {
        Options {
            format: None,
            timestamp_field: None,
            log: None,
            strict: false,
            morsel: 4 << 20,
            record_limit: 64 << 20,
            expansion: 1000,
            expansion_floor: 1 << 30,
        }
    }
}
