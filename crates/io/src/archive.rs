//! Archives: exports converted to Parquet, from which every byte comes back.
//!
//! A record becomes a row. What is said by it goes into typed columns named like its keys, which any reader of Parquet
//! understands; what its text holds beyond that, keys and spacing and what stands between records, is its [`layout`].
//! Columns whose names start with `@` hold the rest:
//!
//! | column | holds |
//! |---|---|
//! | `@timestamp`, `@log`, `@logStream` | the fields of that name |
//! | `@layout` | the layout of the record; null if `@bytes` has all of it |
//! | `@text` | the text of a record that is no JSON object |
//! | `@bytes` | a record that is not UTF-8 |
//! | `@extra` | JSON: values as spelled that the column of their key does not hold, or not with their spelling |
//! | `@kind.x` | the kinds of the values of `x`, where they differ |
//! | `@before` | what stands in the record before `@message` |
//! | `@lead` | bytes before the record that belong to no other |
//! | `@preamble` | of a record that is not direct: what a file starts with that is read the same way: a header, say |
//! | `@pointer` | what `@ptr` has before the offset, where that is not `@log` and `@logStream` |
//! | `@direct` | the event is what columns say; else its text has to be read by the reader of its format |
//! | `@seq` | number of the record, in source order |
//! | `@input` | number of the input in the manifest |
//! | `@gap` | bytes between the record before, in this row group, and this one; where the input changes, its offset |
//!
//! A chunk of records is taken apart ([`tap`], [`block`], [`traces`]), gathered into row groups ([`gather`]), made into columns
//! ([`schema`], [`columns`], [`fields`], [`words`]) and written ([`group`], [`chunk`], [`encode`], [`output`]), all by [`convert`].

mod account;
mod bits;
mod block;
mod bloom;
mod chunk;
mod columns;
mod convert;
mod deltas;
mod digest;
mod encode;
mod fields;
mod fixed;
mod gather;
mod group;
mod journal;
mod keys;
mod layout;
mod manifest;
mod order;
mod output;
mod parser;
mod pipeline;
mod rebuild;
mod restore;
mod schema;
mod slot;
mod stretch;
mod tap;
mod traces;
mod words;
mod writing;

pub use convert::{Converted, Settings, convert};
pub(crate) use encode::{FACTS, FILTER_BYTES, PAGE_ROWS};
pub use gather::Partition;
pub use manifest::{FileEntry, InputEntry, Loss, MANIFEST, Manifest};
pub use output::Faults;
pub(crate) use rebuild::{Cells, Columns, Rebuilder, Rebuilt, integer, text};
pub use restore::{Check, Restored, restore, verify};
pub(crate) use schema::{System, uuid};
pub use tap::Tap;
