//! Columns that cannot be decoded, while the others can: those compressed in a way nobody here knows, and variants.

use super::thrift::{Thrift, wire};
use super::{Damage, ParquetFile};
use ::parquet::basic::{Compression, LogicalType};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::schema::types::{SchemaDescriptor, Type};
use backsight_engine::source::Counters;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// A column, or a part of one, that cannot be decoded. It has no values, and who asks for them is told.
#[derive(Debug)]
pub(super) struct Unsupported {
    /// The leaf columns it is made of.
    leaves: Range<usize>,
    why: String,
    told: AtomicBool,
}

impl Unsupported {
    fn new(leaves: Range<usize>, why: String) -> Unsupported {
        Unsupported { leaves, why, told: AtomicBool::new(false) }
    }

    /// True if it has one of these leaf columns.
    pub(super) fn meets(&self, leaves: &Range<usize>) -> bool {
        self.leaves.start < leaves.end && leaves.start < self.leaves.end
    }
}

/// All of a file.
pub(super) fn columns(metadata: &ParquetMetaData, schema: &SchemaDescriptor) -> Vec<Unsupported> {
    let mut found = Vec::new();
    variants(schema.root_schema(), &mut 0, &mut Vec::new(), &mut found);
    let groups = metadata.row_groups();
    let is_foreign = |leaf: &usize| groups.iter().any(|g| g.column(*leaf).compression() == Compression::LZO);
    for leaf in (0..schema.num_columns()).filter(is_foreign) {
        let name = schema.column(leaf).path().string();
        let why = format!("column `{name}` is not supported: its compression is LZO or one not known yet");
        found.push(Unsupported::new(leaf..leaf + 1, why));
    }
    found
}

fn variants<'t>(node: &'t Type, leaf: &mut usize, path: &mut Vec<&'t str>, found: &mut Vec<Unsupported>) {
    let first = *leaf;
    if node.is_primitive() {
        *leaf += 1;
        return;
    }
    for member in node.get_fields() {
        path.push(member.name());
        variants(member, leaf, path, found);
        path.pop();
    }
    if let Some(LogicalType::Variant(_)) = node.get_basic_info().logical_type_ref() {
        let why = format!("column `{}` is not supported: it is a VARIANT", path.join("."));
        found.push(Unsupported::new(first..*leaf, why));
    }
}

impl ParquetFile {
    /// Says which of the columns that are asked for cannot be decoded, each once.
    pub(super) fn tell_unsupported(&self, asked: &[usize], counters: &Counters) {
        for column in asked.iter().filter_map(|at| self.unsupported.get(*at)) {
            if !column.told.swap(true, Ordering::Relaxed) {
                counters.note(Damage::new(column.why.clone()).note(&self.origin.file));
            }
        }
    }
}

/// The code of LZO, the one compression that is known by name and cannot be read, as Thrift writes it.
const LZO: u8 = 3 << 1;

/// The codes of compressions there are.
const KNOWN: Range<i64> = 0..8;

/// A footer in which unknown compressions are called LZO: the decoder gives up all of a file for one column it does not know.
/// Nothing if there are none, or it is no footer.
pub(super) fn with_known_codecs(footer: &[u8]) -> Option<Vec<u8>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    Thrift::new(footer).fields(|t, number, kind| {
        each(t, (number, kind), 4, |t| {
            t.fields(|t, number, kind| each(t, (number, kind), 1, |t| chunk(t, &mut places)))
        })
    })?;
    let mut footer = footer.to_vec();
    for place in &places {
        // As many bytes as there were: all but the last have their highest bit set.
        let bytes = &mut footer[place.clone()];
        bytes.fill(0x80);
        *bytes.last_mut()? = 0;
        *bytes.first_mut()? |= LZO;
    }
    (!places.is_empty()).then_some(footer)
}

/// Reads each struct of the list that is field `wanted`.
fn each(
    t: &mut Thrift<'_>,
    (number, kind): (i64, u8),
    wanted: i64,
    mut read: impl FnMut(&mut Thrift<'_>) -> Option<()>,
) -> Option<bool> {
    if (number, kind) != (wanted, wire::LIST) {
        return Some(false);
    }
    let (element, size) = t.list()?;
    if element != wire::STRUCT {
        return None;
    }
    (0..size).try_for_each(|_| read(t))?;
    Some(true)
}

/// Reads a column chunk: where its compression is said, if that is an unknown one.
fn chunk(t: &mut Thrift<'_>, places: &mut Vec<Range<usize>>) -> Option<()> {
    t.fields(|t, number, kind| {
        if (number, kind) != (3, wire::STRUCT) {
            return Some(false);
        }
        t.fields(|t, number, kind| {
            if (number, kind) != (4, wire::I32) {
                return Some(false);
            }
            let start = t.position();
            if !KNOWN.contains(&t.integer()?) {
                places.push(start..t.position());
            }
            Some(true)
        })?;
        Some(true)
    })
}
