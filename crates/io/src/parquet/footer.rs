//! The footer of a file: found, looked over, decoded.

use super::thrift::{Thrift, wire};
use super::{Damage, unsupported};
use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use ::parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use backsight_engine::value::column::OFFSET_BITS;
use std::sync::Arc;

const MAGIC: &[u8] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8] = b"PARE";
/// Groups within groups a schema may hold; the decoder recurses.
const MAX_SCHEMA_DEPTH: usize = 64;
/// Columns a schema may hold, groups included.
const MAX_SCHEMA: usize = 100_000;
/// Bytes of a fixed-size value.
const MAX_FIXED: i64 = 1 << 20;

/// True for the first bytes of a Parquet file, encrypted ones included.
pub fn sniff(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || head.starts_with(MAGIC_ENCRYPTED)
}

/// A decoded footer.
pub(super) struct Footer {
    /// The metadata, with text columns stripped of their annotations (see [`plain`]).
    pub metadata: Arc<ParquetMetaData>,
    /// The schema as the file states it.
    pub schema: Arc<SchemaDescriptor>,
    /// The rows it claims that the file has in all.
    pub claimed: i64,
}

/// Finds and decodes the footer.
pub(super) fn read(data: &[u8]) -> Result<Footer, Damage> {
    let bytes = locate(data)?;
    let facts = check(bytes).ok_or_else(|| Damage::new("the footer is damaged"))?;
    if facts.encrypted {
        return Err(Damage::new("the file is encrypted, which is not supported"));
    }
    let schema = ParquetMetaDataReader::decode_schema(bytes)?;
    let relaxed = Arc::new(SchemaDescriptor::new(plain(schema.root_schema_ptr().as_ref())?));
    let options = ParquetMetaDataOptions::new()
        .with_schema(relaxed)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let decode = |bytes: &[u8]| ParquetMetaDataReader::decode_metadata_with_options(bytes, Some(&options));
    let metadata = decode(bytes).or_else(|error| decode(&unsupported::with_known_codecs(bytes).ok_or(error)?))?;
    let rows = metadata.row_groups().iter().try_fold(0i64, |sum, group| match group.num_rows() {
        n if n >= 0 => sum.checked_add(n),
        _ => None,
    });
    let Some(rows) = rows.filter(|n| n >> OFFSET_BITS == 0) else {
        return Err(Damage::new("the footer claims more rows than can be"));
    };
    let claimed = metadata.file_metadata().num_rows();
    Ok(Footer { metadata: Arc::new(with_rows(metadata, rows)), schema, claimed })
}

/// The metadata with that many rows in all: some writers leave a zero, and the decoders size their batches by it.
fn with_rows(metadata: ParquetMetaData, rows: i64) -> ParquetMetaData {
    let file = metadata.file_metadata();
    if file.num_rows() == rows {
        return metadata;
    }
    let file = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(String::from),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    ParquetMetaData::new(file, metadata.row_groups().to_vec())
}

fn locate(data: &[u8]) -> Result<&[u8], Damage> {
    if data.len() < 12 || !sniff(data) {
        return Err(Damage::new("not a Parquet file"));
    }
    let (rest, tail) = data.split_at(data.len() - 8);
    let (length, magic) = tail.split_at(4);
    match magic {
        MAGIC => {}
        MAGIC_ENCRYPTED => return Err(Damage::new("the file is encrypted, which is not supported")),
        _ => return Err(Damage::new("the footer is missing: the file is cut off or damaged at its end")),
    }
    let length = length.try_into().map(u32::from_le_bytes).expect("split at four bytes") as usize;
    match rest.len().checked_sub(length) {
        Some(start) if start >= MAGIC.len() => Ok(&rest[start..]),
        _ => Err(Damage::new("the footer is damaged: it claims to be larger than the file")),
    }
}

#[derive(Default)]
struct Facts {
    encrypted: bool,
}

/// Walks a footer without decoding it. `None` if it is not Thrift, or its schema claims what cannot be.
fn check(footer: &[u8]) -> Option<Facts> {
    let mut facts = Facts::default();
    let mut open: Vec<usize> = Vec::new();
    Thrift::new(footer).fields(|t, number, kind| {
        match (number, kind) {
            (2, wire::LIST) => {
                let (element, size) = t.list()?;
                if element != wire::STRUCT || size > MAX_SCHEMA {
                    return None;
                }
                for at in 0..size {
                    let children = schema_element(t)?;
                    // One open group loses a place to this element; the element may open a group of its own.
                    if at > 0 {
                        *open.last_mut()? -= 1;
                    }
                    if children > 0 {
                        open.push(children);
                    }
                    if open.len() > MAX_SCHEMA_DEPTH || open.iter().sum::<usize>() > size - at - 1 {
                        return None;
                    }
                    while open.last() == Some(&0) {
                        open.pop();
                    }
                }
            }
            (8, _) => {
                facts.encrypted = true;
                return Some(false);
            }
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(facts)
}

/// Reads an element of the schema: the number of its children.
fn schema_element(t: &mut Thrift<'_>) -> Option<usize> {
    let (mut children, mut length) = (0, 0);
    t.fields(|t, number, kind| {
        match (number, kind) {
            (2, wire::I32) => length = t.integer()?,
            (5, wire::I32) => children = t.integer()?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    if length > MAX_FIXED { None } else { usize::try_from(children).ok() }
}

/// The same type with text and JSON columns as mere bytes.
///
/// What a log says is not always UTF-8, whatever the writer of the file annotated; as bytes it is delivered as it
/// stands, and not checked, which costs time. The annotations are looked up in the schema of the file.
fn plain(node: &Type) -> Result<TypePtr, Damage> {
    let info = node.get_basic_info();
    let made = match node {
        Type::PrimitiveType { physical_type: Physical::BYTE_ARRAY, .. } if is_text(node) => {
            Type::primitive_type_builder(node.name(), Physical::BYTE_ARRAY)
                .with_repetition(info.repetition())
                .build()?
        }
        Type::PrimitiveType { .. } => node.clone(),
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().map(|f| plain(f)).collect::<Result<Vec<_>, _>>()?;
            let mut builder = Type::group_type_builder(node.name())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_converted_type(info.converted_type())
                .with_fields(fields);
            if info.has_repetition() {
                builder = builder.with_repetition(info.repetition());
            }
            builder.build()?
        }
    };
    Ok(Arc::new(made))
}

fn is_text(node: &Type) -> bool {
    let info = node.get_basic_info();
    match info.logical_type_ref() {
        Some(LogicalType::String | LogicalType::Json | LogicalType::Enum | LogicalType::Bson) => true,
        Some(_) => false,
        None => matches!(
            info.converted_type(),
            ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM | ConvertedType::BSON
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(data: &[u8]) -> String {
        read(data).err().map(|d| d.why).unwrap_or_default()
    }

    #[test]
    fn what_is_no_footer() {
        for (data, expected) in [
            (&b"PAR1"[..], "not a Parquet file"),
            (b"{\"a\": 1, \"b\": 2}", "not a Parquet file"),
            (b"PAR1 and then nothing of note", "cut off"),
            (b"PARE\0\0\0\0\0\0\0\0PARE", "encrypted"),
            (b"PAR1\xff\xff\xff\x7fPAR1", "larger than the file"),
            (b"PAR1\xff\xff\xff\xff\x04\0\0\0PAR1", "damaged"),
        ] {
            assert!(why(data).contains(expected), "{:?}: {}", String::from_utf8_lossy(data), why(data));
        }
    }

    /// A footer whose only field is a schema of these child counts.
    fn schema(children: &[i8]) -> Vec<u8> {
        let mut out = vec![0x29, 0xfc, children.len() as u8];
        for n in children {
            out.extend([0x55, (*n as u8) << 1, 0]);
        }
        out.push(0);
        out
    }

    #[test]
    fn schemas_are_weighed() {
        for (children, sound) in [
            (&[2, 0, 0][..], true),
            (&[1, 2, 0, 0], true),
            (&[3, 0, 0], false),
            (&[63, 0], false),
            (&[1; 100], false),
            (&[], true),
        ] {
            assert_eq!(check(&schema(children)).is_some(), sound, "{children:?}");
        }
    }
}
