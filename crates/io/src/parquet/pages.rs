//! Column chunks, looked over before they are decoded.
//!
//! A page header says how large the page becomes and how many values it holds, and the decoders reserve memory by it.
//! So the headers of a chunk are walked first, which touches a few bytes a page, and pages whose numbers cannot be true
//! are refused. The check sums the headers may carry are kept and compared when the page is fetched.

use super::Damage;
use super::thrift::{Thrift, wire};
use ::parquet::basic::Encoding;
use ::parquet::column::page::{Page, PageReader};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{ChunkReader, Length};
use ::parquet::file::serialized_reader::SerializedPageReader;
use bytes::{Buf, Bytes};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A page may expand this many times ...
const MAX_EXPANSION: u64 = 1000;
/// ... or to this many bytes, whichever is more.
const LARGE_PAGE: u64 = 256 << 20;

/// A file whose chunks have been [`check`](Pages::check)ed, as the decoders read it.
#[derive(Clone)]
pub(super) struct Pages {
    data: Bytes,
    /// CRC-32 of page bodies by their offset.
    sums: Arc<HashMap<u64, u32>>,
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.data.len() as u64
    }
}

impl ChunkReader for Pages {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let rest = slice(&self.data, start, self.len().saturating_sub(start))?;
        Ok(rest.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let page = slice(&self.data, start, length as u64)?;
        if let Some(expected) = self.sums.get(&start) {
            let mut crc = flate2::Crc::new();
            crc.update(&page);
            if crc.sum() != *expected {
                return Err(ParquetError::General(format!("checksum mismatch in the page at byte {start}")));
            }
        }
        Ok(page)
    }
}

fn slice(data: &Bytes, start: u64, length: u64) -> Result<Bytes, ParquetError> {
    match start.checked_add(length) {
        Some(end) if end <= data.len() as u64 => Ok(data.slice(start as usize..end as usize)),
        _ => Err(ParquetError::EOF(format!("{length} bytes at byte {start} lie beyond the end of the file"))),
    }
}

/// What the header of a page says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Header {
    pub(super) uncompressed: i64,
    pub(super) compressed: i64,
    crc: Option<u32>,
    /// Values of a data page, nulls included.
    pub(super) values: i64,
    /// Values of a dictionary page.
    pub(super) entries: i64,
    pub(super) encoding: i64,
    /// Of a data page of the second version: bytes of its levels, which are not compressed, and whether the rest is.
    pub(super) second: Option<Second>,
    /// How the levels of a data page of the first version are encoded, and the entries of a dictionary page.
    levels: i64,
    order: i64,
    pub(super) data_page: bool,
    pub(super) dictionary_page: bool,
}

/// What only the header of a data page of the second version says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Second {
    /// Bytes of its levels, which are never compressed.
    pub(super) definition: i64,
    pub(super) repetition: i64,
    /// Whether the rest is compressed.
    pub(super) compressed: bool,
}

/// Numbers of encodings.
mod encoding {
    pub(super) const PLAIN: i64 = 0;
    pub(super) const PLAIN_DICTIONARY: i64 = 2;
    pub(super) const RLE: i64 = 3;
    pub(super) const RLE_DICTIONARY: i64 = 8;
}

impl Header {
    /// Its values are as they are, or indices into a dictionary.
    fn is_simple(&self) -> bool {
        match self.data_page {
            true => {
                self.levels == encoding::RLE
                    && matches!(self.encoding, encoding::PLAIN | encoding::PLAIN_DICTIONARY | encoding::RLE_DICTIONARY)
            }
            // Pages of other sorts are passed over.
            false => !self.dictionary_page || matches!(self.order, encoding::PLAIN | encoding::PLAIN_DICTIONARY),
        }
    }
}

/// Reads a page header and its length in bytes.
pub(super) fn header(bytes: &[u8]) -> Option<(Header, usize)> {
    let mut out = Header::default();
    let mut thrift = Thrift::new(bytes);
    thrift.fields(|t, number, kind| {
        match (number, kind) {
            (2, wire::I32) => out.uncompressed = t.integer()?,
            (3, wire::I32) => out.compressed = t.integer()?,
            (4, wire::I32) => out.crc = Some(t.integer()? as u32),
            (5 | 8, wire::STRUCT) => {
                out.data_page = true;
                let values = if number == 5 { 2 } else { 4 };
                out.levels = encoding::RLE;
                let mut second = Second { definition: 0, repetition: 0, compressed: true };
                t.fields(|t, inner, kind| {
                    let target = match (inner, kind) {
                        (1, wire::I32) => &mut out.values,
                        (n, wire::I32) if n == values => &mut out.encoding,
                        (3, wire::I32) if number == 5 => &mut out.levels,
                        (5, wire::I32) => &mut second.definition,
                        (6, wire::I32) => &mut second.repetition,
                        (7, wire::FALSE) => {
                            second.compressed = false;
                            return Some(true);
                        }
                        _ => return Some(false),
                    };
                    *target = t.integer()?;
                    Some(true)
                })?;
                out.second = (number == 8).then_some(second);
            }
            (7, wire::STRUCT) => {
                out.dictionary_page = true;
                t.fields(|t, inner, kind| {
                    let target = match (inner, kind) {
                        (1, wire::I32) => &mut out.entries,
                        (2, wire::I32) => &mut out.order,
                        _ => return Some(false),
                    };
                    *target = t.integer()?;
                    Some(true)
                })?
            }
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some((out, thrift.position()))
}

/// Where a chunk lies in a file of `size` bytes.
pub(super) fn range(chunk: &ColumnChunkMetaData, size: usize) -> Result<Range<usize>, Damage> {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let bounds = || {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(chunk.compressed_size()).ok()?)?;
        (end <= size).then_some(start..end)
    };
    bounds().ok_or_else(|| Damage::new(format!("column `{}` lies outside the file", chunk.column_path().string())))
}

impl Pages {
    /// Looks over the named chunks of a row group. Second: which of them are simple, their pages all plain or of indices
    /// into a dictionary.
    pub(super) fn check<'a>(
        data: &Bytes,
        chunks: impl Iterator<Item = &'a ColumnChunkMetaData>,
    ) -> Result<(Pages, Vec<bool>), Damage> {
        let (mut sums, mut simple) = (HashMap::new(), Vec::new());
        for chunk in chunks {
            simple.push(walk(data, chunk, &mut sums)?.simple);
        }
        Ok((Pages { data: data.clone(), sums: Arc::new(sums) }, simple))
    }
}

/// What the pages of a chunk hold.
struct Chunk {
    /// Values in its data pages.
    values: u64,
    simple: bool,
}

/// The number of values in the data pages of a chunk, by their headers; for a column that is not nested, its rows.
pub(super) fn count_values(data: &Bytes, chunk: &ColumnChunkMetaData) -> Result<u64, Damage> {
    Ok(walk(data, chunk, &mut HashMap::new())?.values)
}

fn walk(data: &Bytes, chunk: &ColumnChunkMetaData, sums: &mut HashMap<u64, u32>) -> Result<Chunk, Damage> {
    let range = range(chunk, data.len())?;
    let mut at = range.start;
    let mut values = 0u64;
    let (mut delta, mut simple) = (false, true);
    while at < range.end {
        let damaged = |why: String| Damage { offset: Some(at as u64), why };
        let (header, length) = header(&data[at..range.end]).ok_or_else(|| damaged("damaged page header".into()))?;
        let body = at + length;
        let compressed = usize::try_from(header.compressed).ok().filter(|n| *n <= range.end - body);
        let (Some(compressed), Ok(uncompressed)) = (compressed, u64::try_from(header.uncompressed)) else {
            return Err(damaged("a page reaches beyond its column".into()));
        };
        if uncompressed > LARGE_PAGE.max(MAX_EXPANSION * compressed as u64) {
            return Err(damaged(format!("a page of {compressed} bytes claims to expand to {uncompressed}")));
        }
        // Every dictionary entry takes at least a byte: fixed types by their width, others by the length before them.
        if header.entries < 0 || header.entries as u64 > uncompressed || header.values < 0 {
            return Err(damaged("a page claims more values than it can hold".into()));
        }
        simple &= header.is_simple();
        if header.data_page {
            values += header.values as u64;
            delta |= matches!(header.encoding, 6 | 7);
        }
        if let Some(crc) = header.crc {
            sums.insert(body as u64, crc);
        }
        at = body + compressed;
    }
    if delta {
        check_lengths(data, chunk)?;
    }
    Ok(Chunk { values, simple })
}

/// The delta encodings of text begin with a count of lengths that the decoder reserves memory for; it stands in the
/// page, behind the compression, so such pages (they are rare) are opened once more than needed.
fn check_lengths(data: &Bytes, chunk: &ColumnChunkMetaData) -> Result<(), Damage> {
    let mut reader = SerializedPageReader::new(Arc::new(data.clone()), chunk, 0, None)?;
    let column = chunk.column_descr();
    while let Some(page) = reader.get_next_page()? {
        let (buffer, encoding, claimed, start) = match &page {
            Page::DictionaryPage { .. } => continue,
            Page::DataPage { buf, encoding, num_values, .. } => {
                let mut at = 0;
                for levels in [column.max_rep_level(), column.max_def_level()] {
                    if levels > 0 {
                        let length = buf.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
                        at += 4 + length.unwrap_or(0) as usize;
                    }
                }
                (buf, *encoding, *num_values, at)
            }
            Page::DataPageV2 { buf, encoding, num_values, def_levels_byte_len, rep_levels_byte_len, .. } => (
                buf,
                *encoding,
                *num_values,
                (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize),
            ),
        };
        let streams = match encoding {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            Encoding::DELTA_BYTE_ARRAY => 2,
            _ => continue,
        };
        let mut rest = buffer.get(start..).unwrap_or_default();
        for _ in 0..streams {
            rest = skip_delta(rest, u64::from(claimed))
                .ok_or_else(|| Damage::new(format!("damaged lengths in column `{}`", chunk.column_path().string())))?;
        }
    }
    Ok(())
}

/// Passes over a delta-packed run of at most `limit` integers.
fn skip_delta(data: &[u8], limit: u64) -> Option<&[u8]> {
    let mut at = 0;
    let varint = |at: &mut usize| {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *data.get(*at)?;
            *at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    let (block, minis, count) = (varint(&mut at)?, varint(&mut at)?, varint(&mut at)?);
    varint(&mut at)?;
    if count > limit || minis == 0 || block == 0 || block % minis != 0 || minis > data.len() as u64 {
        return None;
    }
    let per_mini = block / minis;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        varint(&mut at)?;
        let widths = data.get(at..at + minis as usize)?;
        at += minis as usize;
        for width in widths {
            // Miniblocks behind the last value are not stored.
            if left == 0 {
                break;
            }
            let bits = per_mini.checked_mul(u64::from(*width))?;
            at = at.checked_add(usize::try_from(bits.div_ceil(8)).ok()?)?;
            left = left.saturating_sub(per_mini);
        }
    }
    data.get(at.min(data.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_a_data_page() {
        // type 0, uncompressed 100, compressed 40, crc 7, data page { 12 values, encoding 8, 3, 3 }
        let bytes = [0x15, 0, 0x15, 200, 1, 0x15, 80, 0x15, 14, 0x1c, 0x15, 24, 0x15, 16, 0x15, 6, 0x15, 6, 0, 0, 0xff];
        let (header, length) = header(&bytes).expect("well formed");
        assert_eq!(length, bytes.len() - 1);
        let expected = Header {
            uncompressed: 100,
            compressed: 40,
            crc: Some(7),
            values: 12,
            entries: 0,
            encoding: 8,
            second: None,
            levels: 3,
            order: 0,
            data_page: true,
            dictionary_page: false,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn delta_runs_are_measured() {
        // Blocks of 128 in 4 miniblocks, 3 values: first 5, then one miniblock of width 1 (4 bytes).
        let run = [128, 1, 4, 3, 10, 0, 1, 0, 0, 0, 0b11, 0, 0, 0, 42];
        assert_eq!(skip_delta(&run, 3), Some(&[42][..]));
        assert_eq!(skip_delta(&run, 2), None, "more values than the page has");
    }
}
