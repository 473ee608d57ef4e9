//! How columns are encoded, and files of row groups.

use super::chunk::{Keep, LEVEL};
use super::columns;
use super::group::{Chunk, Group, Lines, Partitions};
use super::output::{Output, Written, io_error};
use super::schema::{Schema, System, Type};
use ::parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::SerializedFileWriter;
use backsight_engine::error::Error;
use std::path::Path;
use std::sync::Arc;

/// Rows of a group. Dictionaries serve many rows, and a group can still be passed over.
pub(crate) const GROUP_ROWS: usize = 1 << 18;

/// Rows of a page.
pub(crate) const PAGE_ROWS: usize = 1 << 13;

/// Key of the archive's own facts in the footer of its files.
pub(crate) const FACTS: &str = "backsight.archive";

/// A schema with all that is needed to write by it.
pub(crate) struct Encoder {
    pub schema: Schema,
    properties: WriterPropertiesPtr,
    pub factory: ArrowRowGroupWriterFactory,
    pub sizes: columns::Sizes,
}

/// Starts of files that are said in a footer, and their bytes, at most: there may be as many as files.
const PREAMBLES: usize = 32;
const PREAMBLE_BYTES: usize = 16 << 10;

impl Encoder {
    pub(crate) fn new(schema: Schema) -> Result<Encoder, ParquetError> {
        let properties = Arc::new(properties()?);
        let file = SerializedFileWriter::new(Vec::new(), schema.parquet.root_schema_ptr(), properties.clone())?;
        let factory = ArrowRowGroupWriterFactory::new(&file, schema.arrow.clone());
        let sizes = columns::Sizes::new(&schema);
        Ok(Encoder { schema, properties, factory, sizes })
    }

    /// What is kept of a column besides its values. Least and greatest are of no use where texts are whole records or
    /// their layouts.
    pub(crate) fn keep(&self, column: usize) -> Keep {
        use System::{Before, Bytes, Extra, Layout, Lead, Pointer, Preamble, Text};
        let useless = [Layout, Text, Bytes, Extra, Lead, Before, Preamble, Pointer].map(|system| system as usize);
        let field = column.checked_sub(System::COUNT).and_then(|n| self.schema.fields.get(n));
        Keep {
            pages: !useless.contains(&column) && field.is_none_or(|field| field.ty != Type::Json),
            bloom: field.is_some_and(|field| field.bloom),
        }
    }
}

/// Bytes of the filter of a page: a Bloom filter of [`PAGE_ROWS`] rows. The filter of the row group says that an id may be in
/// there; these say where, so that a handful of pages is read for one record.
pub(crate) const FILTER_BYTES: usize = PAGE_ROWS;

/// For the columns that the library encodes.
fn properties() -> Result<WriterProperties, ParquetError> {
    let out = WriterProperties::builder()
        .set_created_by(concat!("backsight ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_dictionary_page_size_limit(8 << 20)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Page);
    Ok(out.build())
}

/// A file of an archive while it is written.
pub(crate) struct File {
    writer: SerializedFileWriter<Output>,
    pub rows: u64,
    /// Number of its first record in the archive.
    pub first: u64,
    /// Of the inputs it holds records of.
    pub partitions: Partitions,
    lines: Lines,
    /// Row group, column, and offset of the filters of pages.
    pub filters: Vec<(usize, usize, u64)>,
    groups: usize,
}

impl File {
    pub(crate) fn new(output: Output, encoder: &Encoder, first: u64) -> Result<File, ParquetError> {
        let root = encoder.schema.parquet.root_schema_ptr();
        let writer = SerializedFileWriter::new(output, root, encoder.properties.clone())?;
        Ok(File {
            writer,
            rows: 0,
            first,
            partitions: Partitions::new(),
            lines: Lines::default(),
            filters: Vec::new(),
            groups: 0,
        })
    }

    /// Whether there are records whose columns are tokens of lines; and what files start with whose lines are divided like
    /// them, unless that is not all there is to know.
    pub(crate) fn lines(&self) -> (bool, Option<Vec<&str>>) {
        let all = &self.lines.preambles;
        let is_all = !self.lines.objects && all.len() <= PREAMBLES && all.iter().all(|p| p.len() <= PREAMBLE_BYTES);
        let texts = || all.iter().map(|preamble| str::from_utf8(preamble).ok()).collect();
        (!all.is_empty(), if is_all { texts() } else { None })
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    pub(crate) fn append(&mut self, group: Group) -> Result<(), ParquetError> {
        self.rows += group.rows;
        self.partitions.extend(group.partitions);
        self.lines.merge(group.lines);
        let mut writer = self.writer.next_row_group()?;
        for chunk in group.chunks {
            match chunk {
                Chunk::Own((bytes, closed)) => writer.append_column(&bytes, closed)?,
                Chunk::Library(chunk) => chunk.append_to_row_group(&mut writer)?,
            }
        }
        writer.close()?;
        for (column, filters) in group.filters {
            self.filters.push((self.groups, column, self.bytes()));
            self.writer.write_all(&filters)?;
        }
        self.groups += 1;
        Ok(())
    }

    /// Writes the footer, and brings the file to the disk.
    pub(crate) fn finish(mut self, facts: String) -> Result<Written, ParquetError> {
        self.writer.append_key_value_metadata(KeyValue::new(FACTS.to_owned(), facts));
        let output = self.writer.into_inner()?;
        output.finish().map_err(|e| ParquetError::External(Box::new(e)))
    }
}

/// The error of the program for one of the encoders, which is that of the disk if there is one.
pub(crate) fn error(path: &Path, error: ParquetError) -> Error {
    if let ParquetError::External(inner) = error {
        return match inner.downcast::<std::io::Error>() {
            Ok(io) => io_error(path, *io),
            Err(other) => Error::Bug(other.to_string()),
        };
    }
    Error::Bug(error.to_string())
}
