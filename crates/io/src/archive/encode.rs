//! Columns to the bytes of a row group, and files of row groups.

use super::columns::{self, Run};
use super::output::{Output, Written, io_error};
use super::schema::{Field, Schema, System, Type};
use ::parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::bloom_filter::Sbbf;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::ColumnPath;
use arrow::array::{Array, ArrayRef, AsArray};
use backsight_engine::error::Error;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of a group. Dictionaries serve many rows, and a group can still be passed over.
pub(crate) const GROUP_ROWS: usize = 1 << 18;

/// Rows of a page.
pub(crate) const PAGE_ROWS: usize = 1 << 13;

/// Key of the archive's own facts in the footer of its files.
pub(crate) const FACTS: &str = "backsight.archive";

/// A schema with all that is needed to write by it.
pub(crate) struct Encoder {
    pub schema: Schema,
    /// Of the format; goes up when columns are added.
    pub version: u32,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
}

/// A row group, encoded.
pub(crate) struct Group {
    chunks: Vec<ArrowColumnChunk>,
    pub rows: u64,
    /// Number of its first record in the archive.
    pub first: u64,
    partitions: Partitions,
    /// Of each column of ids, its number and the filters of its pages.
    filters: Vec<(usize, Vec<u8>)>,
}

/// By number of the input: fields that its folders give.
pub(crate) type Partitions = BTreeMap<u32, Vec<(String, String)>>;

impl Encoder {
    pub(crate) fn new(schema: Schema, version: u32) -> Result<Encoder, ParquetError> {
        let properties = std::sync::Arc::new(properties(&schema));
        let file = SerializedFileWriter::new(Vec::new(), schema.parquet.root_schema_ptr(), properties.clone())?;
        let factory = ArrowRowGroupWriterFactory::new(&file, schema.arrow.clone());
        Ok(Encoder { schema, version, properties, factory })
    }

    /// Encodes rows.
    pub(crate) fn encode(&self, runs: &[Run], partitions: Partitions) -> Result<Group, ParquetError> {
        let arrays = columns::build(&self.schema, runs);
        let writers = self.factory.create_column_writers(0)?;
        let mut chunks = Vec::with_capacity(arrays.len());
        let ids = self.schema.ids();
        let filters = ids.into_iter().map(|column| Ok((column, filters(&arrays[column])?)));
        let filters = filters.collect::<Result<Vec<_>, ParquetError>>()?;
        // An array is let go as soon as it is encoded.
        for ((mut writer, array), field) in writers.into_iter().zip(arrays).zip(self.schema.arrow.fields()) {
            for leaf in compute_leaves(field, &array)? {
                writer.write(&leaf)?;
            }
            chunks.push(writer.close()?);
        }
        let first = runs.first().map_or(0, |run| run.seq + run.rows.start as u64);
        Ok(Group { chunks, rows: columns::rows(runs) as u64, first, partitions, filters })
    }
}

/// Bytes of the filter of a page.
pub(crate) const FILTER_BYTES: usize = PAGE_ROWS;

/// Bloom filters of stretches of [`PAGE_ROWS`] rows, one behind the other. The filter of the row group says that an id
/// may be in there; these say where, so that a handful of pages is read for one record.
fn filters(array: &ArrayRef) -> Result<Vec<u8>, ParquetError> {
    let mut out = Vec::new();
    for first in (0..array.len()).step_by(PAGE_ROWS) {
        let rows = array.slice(first, PAGE_ROWS.min(array.len() - first));
        let mut filter = Sbbf::new_with_num_of_bytes(FILTER_BYTES);
        if let Some(ids) = rows.as_fixed_size_binary_opt() {
            ids.iter().flatten().for_each(|id| filter.insert(id));
        } else if let Some(ids) = rows.as_binary_view_opt() {
            ids.iter().flatten().for_each(|id| filter.insert(id));
        }
        filter.write_bitset(&mut out)?;
    }
    Ok(out)
}

fn properties(schema: &Schema) -> WriterProperties {
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let system = |column: System| path(schema.arrow.field(column as usize).name());
    let mut out = WriterProperties::builder()
        .set_created_by(concat!("backsight ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_page_size_limit(8 << 20)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(32))
        .set_bloom_filter_for_dictionary_encoded_chunks(true);
    for column in [System::Timestamp, System::Seq] {
        out = out
            .set_column_dictionary_enabled(system(column), false)
            .set_column_encoding(system(column), Encoding::DELTA_BINARY_PACKED);
    }
    for column in [System::Bytes, System::Lead, System::Extra, System::Layout, System::Preamble] {
        out = out.set_column_statistics_enabled(system(column), EnabledStatistics::Chunk);
    }
    for Field { name, ty, bloom, .. } in &schema.fields {
        match ty {
            // Sixteen bytes of chance do not compress.
            Type::Uuid => {
                out = out
                    .set_column_dictionary_enabled(path(name), false)
                    .set_column_compression(path(name), Compression::UNCOMPRESSED);
            }
            Type::Json => out = out.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk),
            _ => {}
        }
        if *bloom {
            out = out
                .set_column_bloom_filter_enabled(path(name), true)
                .set_column_bloom_filter_fpp(path(name), 0.02)
                .set_column_bloom_filter_max_ndv(path(name), GROUP_ROWS as u64);
        }
    }
    out.build()
}

/// A file of an archive while it is written.
pub(crate) struct File {
    writer: SerializedFileWriter<Output>,
    pub rows: u64,
    /// Number of its first record in the archive.
    pub first: u64,
    /// Of the inputs it holds records of.
    pub partitions: Partitions,
    /// Row group, column, and offset of the filters of pages.
    pub filters: Vec<(usize, usize, u64)>,
    groups: usize,
}

impl File {
    pub(crate) fn new(output: Output, encoder: &Encoder, first: u64) -> Result<File, ParquetError> {
        let root = encoder.schema.parquet.root_schema_ptr();
        let writer = SerializedFileWriter::new(output, root, encoder.properties.clone())?;
        Ok(File { writer, rows: 0, first, partitions: Partitions::new(), filters: Vec::new(), groups: 0 })
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    pub(crate) fn append(&mut self, group: Group) -> Result<(), ParquetError> {
        self.rows += group.rows;
        self.partitions.extend(group.partitions);
        let mut writer = self.writer.next_row_group()?;
        for chunk in group.chunks {
            chunk.append_to_row_group(&mut writer)?;
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
