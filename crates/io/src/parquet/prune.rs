//! What need not be read, going by statistics, bloom filters, and the filters of pages in our own archives.
//!
//! All of it is advice and errs on the side of reading. Of a bloom filter one block of 32 bytes is looked at.

use super::archive::Archive;
use super::paths;
use super::schema::{Meaning, Node, Shape};
use super::thrift::{Thrift, wire};
use super::{ParquetFile, Stretch};
use crate::archive::{FILTER_BYTES, PAGE_ROWS, System, uuid};
use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::file::statistics::Statistics;
use backsight_engine::source::{Field, Scan};
use std::ops::Range;
use twox_hash::XxHash64;

/// A column that must hold one of some values, as they are stored.
struct Wanted {
    column: usize,
    values: Vec<Vec<u8>>,
}

impl ParquetFile {
    /// True if no row of the stretch can pass the filters that `scan` tells of.
    pub(super) fn is_hopeless(&self, stretch: &Stretch, scan: &Scan) -> bool {
        self.out_of_time(stretch, scan)
            || self.wanted(stretch, scan).iter().any(|wanted| !self.may_hold(stretch, wanted))
    }

    /// Rows of the stretch, as ranges from its first row on, that may pass; `None` if nothing is known.
    pub(super) fn hopeful(&self, archive: &Archive, stretch: &Stretch, scan: &Scan) -> Option<Vec<Range<usize>>> {
        let mut pages: Option<Vec<bool>> = None;
        for wanted in self.wanted(stretch, scan) {
            let Some(filters) = archive.filters(stretch.group, wanted.column) else { continue };
            let count = (stretch.rows as usize).div_ceil(PAGE_ROWS);
            let bytes =
                usize::try_from(filters).ok().and_then(|at| self.data.get(at..)?.get(..count * FILTER_BYTES))?;
            let may: Vec<bool> = bytes
                .chunks_exact(FILTER_BYTES)
                .map(|filter| wanted.values.iter().any(|value| holds(filter, value)))
                .collect();
            match &mut pages {
                None => pages = Some(may),
                Some(pages) => pages.iter_mut().zip(may).for_each(|(page, may)| *page &= may),
            }
        }
        let pages = pages?;
        let rows = stretch.rows as usize;
        let hits = pages.iter().enumerate().filter(|(_, may)| **may);
        Some(hits.map(|(page, _)| page * PAGE_ROWS..rows.min((page + 1) * PAGE_ROWS)).collect())
    }

    /// Conditions on columns of which no other column may hold the field.
    fn wanted(&self, stretch: &Stretch, scan: &Scan) -> Vec<Wanted> {
        let of = |(field, texts): &(Field, Vec<Vec<u8>>)| {
            let Field::Path(path) = field else { return None };
            if self.archive.as_ref().is_some_and(|archive| !self.is_column(archive, stretch, field)) {
                return None;
            }
            let ways = paths::find(&self.columns, path);
            let [way] = &ways[..] else { return None };
            let ([at], None) = (&way.steps[..], &way.rest) else { return None };
            let values: Option<Vec<Option<Vec<u8>>>> =
                texts.iter().map(|t| stored(&self.columns[*at], self, t)).collect();
            let values = values?.into_iter().flatten().collect();
            Some(Wanted { column: way.leaves.start, values })
        };
        scan.equals.iter().filter_map(of).collect()
    }

    fn out_of_time(&self, stretch: &Stretch, scan: &Scan) -> bool {
        if self.archive.is_none() {
            return false;
        }
        let chunk = self.metadata.metadata().row_group(stretch.group).column(System::Timestamp as usize);
        let Some(Statistics::Int64(s)) = chunk.statistics() else { return false };
        let (Some(least), Some(most), Some(0)) = (s.min_opt(), s.max_opt(), s.null_count_opt()) else { return false };
        let (start, end) = scan.range;
        start.is_some_and(|start| *most < start) || end.is_some_and(|end| *least >= end)
    }

    fn may_hold(&self, stretch: &Stretch, wanted: &Wanted) -> bool {
        let group = self.metadata.metadata().row_group(stretch.group);
        let Some(chunk) = group.columns().get(wanted.column) else { return true };
        let filter = chunk.bloom_filter_offset().and_then(|at| bitset(self.data.get(usize::try_from(at).ok()?..)?));
        wanted.values.iter().any(|value| {
            let in_range = match chunk.statistics() {
                Some(Statistics::ByteArray(s)) if !s.is_min_max_backwards_compatible() => {
                    // Cut off or not, the least is no more than any value; the greatest is at least its own start.
                    let least = s.min_opt().is_none_or(|min| min.data() <= &value[..]);
                    let most = s.max_opt().is_none_or(|max| !s.max_is_exact() || max.data() >= &value[..]);
                    least && most
                }
                _ => true,
            };
            in_range && filter.is_none_or(|filter| holds(filter, value))
        })
    }
}

/// A text as a column stores it; `Some(None)` if no value of the column has it; `None` if that cannot be said.
fn stored(node: &Node, file: &ParquetFile, text: &[u8]) -> Option<Option<Vec<u8>>> {
    let column = file.schema.column(node.leaves.start);
    let plain = matches!(column.logical_type_ref(), None | Some(LogicalType::String | LogicalType::Uuid))
        && matches!(column.converted_type(), ConvertedType::NONE | ConvertedType::UTF8);
    match (&node.shape, column.physical_type()) {
        _ if !plain => None,
        (Shape::Leaf(Meaning::Plain), Physical::BYTE_ARRAY) => Some(Some(text.to_vec())),
        // What is no UUID in small letters is the text of none.
        (Shape::Leaf(Meaning::Uuid), Physical::FIXED_LEN_BYTE_ARRAY) => Some(uuid(text).map(|id| id.to_vec())),
        _ => None,
    }
}

/// The bits of the bloom filter that begins here.
fn bitset(bytes: &[u8]) -> Option<&[u8]> {
    let mut length = 0;
    let mut thrift = Thrift::new(bytes);
    thrift.fields(|t, number, kind| {
        if (number, kind) != (1, wire::I32) {
            return Some(false);
        }
        length = t.integer()?;
        Some(true)
    })?;
    let bits = bytes.get(thrift.position()..)?.get(..usize::try_from(length).ok()?)?;
    (!bits.is_empty() && bits.len() % BLOCK == 0).then_some(bits)
}

/// Bytes of a block of a bloom filter.
const BLOCK: usize = 32;

/// As the Parquet format lays down for split block bloom filters.
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// False if the filter says that the value is not there.
fn holds(filter: &[u8], value: &[u8]) -> bool {
    let hash = XxHash64::oneshot(0, value);
    let blocks = (filter.len() / BLOCK) as u64;
    let at = (((hash >> 32) * blocks) >> 32) as usize * BLOCK;
    let Some(block) = filter.get(at..at + BLOCK) else { return true };
    SALT.iter().zip(block.chunks_exact(4)).all(|(salt, word)| {
        let bit = (hash as u32).wrapping_mul(*salt) >> 27;
        word.try_into().is_ok_and(|word| u32::from_le_bytes(word) >> bit & 1 == 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::bloom_filter::Sbbf;

    #[test]
    fn filters_are_those_of_the_format() {
        let mut filter = Sbbf::new_with_num_of_bytes(8192);
        let value = |n: u32| format!("value {n}").into_bytes();
        (0..5000).for_each(|n| filter.insert(&value(n)[..]));
        let mut written = Vec::new();
        filter.write_bitset(&mut written).expect("memory");
        assert!((0..5000).all(|n| holds(&written, &value(n))));
        let others = 5000..15_000;
        assert!(others.clone().all(|n| holds(&written, &value(n)) == filter.check(&value(n)[..])));
        assert!(others.filter(|n| holds(&written, &value(*n))).count() < 300);
    }

    #[test]
    fn a_header_is_passed_over() {
        // 64 bytes; algorithm, hash and compression as empty structs in structs.
        let mut bytes = vec![0x15, 0x80, 1, 0x1c, 0x1c, 0, 0, 0x1c, 0x1c, 0, 0, 0x1c, 0x1c, 0, 0, 0];
        bytes.extend([7; 64]);
        assert_eq!(bitset(&bytes), Some(&[7; 64][..]));
        assert_eq!(bitset(&bytes[..40]), None);
    }
}
