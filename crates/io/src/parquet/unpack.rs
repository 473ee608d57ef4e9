//! Pages of columns that are compressed by zstd, or not at all, as most are: with one decompressor a thread, and into
//! buffers that are used again, of which there would else be a fresh one a page for the system to fill with zeros.

use super::Damage;
use super::pages::{Header, Pages, Second, header, range};
use ::parquet::basic::{Compression, Encoding};
use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{ChunkReader, Length};
use ::parquet::file::serialized_reader::SerializedPageReader;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use zstd_safe::DCtx;

/// The pages of a chunk, which have been [`check`](Pages::check)ed and are simple.
pub(super) fn opened(pages: Pages, chunk: &ColumnChunkMetaData) -> std::result::Result<Box<dyn PageReader>, Damage> {
    let packed = match chunk.compression() {
        Compression::ZSTD(_) => true,
        Compression::UNCOMPRESSED => false,
        _ => return Ok(Box::new(SerializedPageReader::new(Arc::new(pages), chunk, 0, None)?)),
    };
    let range = range(chunk, pages.len() as usize)?;
    Ok(Box::new(Unpacked { pages, at: range.start, end: range.end, packed }))
}

struct Unpacked {
    pages: Pages,
    /// The next header.
    at: usize,
    end: usize,
    packed: bool,
}

fn damaged(why: &str) -> ParquetError {
    ParquetError::General(why.into())
}

impl Unpacked {
    /// The header of the next page, and where its body is; pages of no use are passed over.
    fn next_header(&mut self) -> Result<Option<(Header, usize, usize)>> {
        while self.at < self.end {
            let rest = self.pages.get_bytes(self.at as u64, self.end - self.at)?;
            let (header, length) = header(&rest).ok_or_else(|| damaged("damaged page header"))?;
            let size = usize::try_from(header.compressed).ok().filter(|size| *size <= rest.len() - length);
            let size = size.ok_or_else(|| damaged("a page reaches beyond its column"))?;
            let body = self.at + length;
            if header.data_page || header.dictionary_page {
                return Ok(Some((header, body, size)));
            }
            self.at = body + size;
        }
        Ok(None)
    }

    /// The body of a page, unpacked.
    fn body(&self, header: &Header, bytes: Bytes) -> Result<Bytes> {
        let size = usize::try_from(header.uncompressed)?;
        let levels = match header.second {
            Some(Second { definition, repetition, .. }) => {
                let levels = definition.checked_add(repetition).and_then(|n| usize::try_from(n).ok());
                levels.filter(|n| *n <= size && *n <= bytes.len()).ok_or_else(|| damaged("levels beyond their page"))?
            }
            None => 0,
        };
        if !self.packed || header.second.is_some_and(|second| !second.compressed) {
            return Ok(bytes);
        }
        let mut out = Lent::new(size);
        out.0.extend_from_slice(&bytes[..levels]);
        if levels > 0 {
            let mut rest = Lent::new(size - levels);
            unpack(&bytes[levels..], size - levels, &mut rest.0)?;
            out.0.extend_from_slice(&rest.0);
        } else {
            unpack(&bytes, size, &mut out.0)?;
        }
        Ok(Bytes::from_owner(out))
    }
}

impl PageReader for Unpacked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some((header, body, size)) = self.next_header()? else { return Ok(None) };
        let bytes = self.pages.get_bytes(body as u64, size)?;
        let buf = self.body(&header, bytes)?;
        self.at = body + size;
        #[allow(deprecated)]
        let encoding = match header.encoding {
            0 => Encoding::PLAIN,
            2 => Encoding::PLAIN_DICTIONARY,
            8 => Encoding::RLE_DICTIONARY,
            other => return Err(damaged(&format!("encoding {other} is not one of simple pages"))),
        };
        let values = u32::try_from(header.values)?;
        Ok(Some(match header.second {
            _ if header.dictionary_page => Page::DictionaryPage {
                buf,
                num_values: u32::try_from(header.entries)?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            },
            Some(Second { definition, repetition, compressed }) => Page::DataPageV2 {
                buf,
                num_values: values,
                encoding,
                num_nulls: 0,
                num_rows: values,
                def_levels_byte_len: u32::try_from(definition)?,
                rep_levels_byte_len: u32::try_from(repetition)?,
                is_compressed: compressed,
                statistics: None,
            },
            None => Page::DataPage {
                buf,
                num_values: values,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            },
        }))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let Some((header, ..)) = self.next_header()? else { return Ok(None) };
        let rows = usize::try_from(header.values).ok().filter(|_| header.data_page);
        Ok(Some(PageMetadata { num_rows: rows, num_levels: rows, is_dict: header.dictionary_page }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if let Some((_, body, size)) = self.next_header()? {
            self.at = body + size;
        }
        Ok(())
    }
}

impl Iterator for Unpacked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

thread_local! {
    static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// Unpacks what becomes `size` bytes to an empty buffer that has room for them.
fn unpack(bytes: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
    if size > 0 {
        CONTEXT.with_borrow_mut(|context| {
            if context.is_none() {
                *context = DCtx::try_create();
            }
            let Some(context) = context else { return Err(damaged("no memory for a decompressor")) };
            context.decompress(out, bytes).map_err(|code| damaged(zstd_safe::get_error_name(code)))
        })?;
    }
    if out.len() == size { Ok(()) } else { Err(damaged("a page is not as large as it says")) }
}

/// A buffer that is given back.
struct Lent(Vec<u8>);

/// Buffers that were given back.
static IDLE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes of buffers that are kept, and of the smallest that is worth it.
const MOST: usize = 32 << 20;
const LEAST: usize = 64 << 10;

impl Lent {
    /// An empty buffer with room for so many bytes.
    fn new(size: usize) -> Lent {
        let fitting = |idle: &mut Vec<Vec<u8>>| {
            let fits = |buffer: &&Vec<u8>| buffer.capacity() >= size && buffer.capacity() / 4 <= size;
            let at = idle.iter().position(|buffer| fits(&buffer))?;
            Some(idle.swap_remove(at))
        };
        let known = if size >= LEAST { IDLE.lock().ok().and_then(|mut idle| fitting(&mut idle)) } else { None };
        // A little more than is asked for, so that it also serves for a page that is a little larger.
        Lent(known.unwrap_or_else(|| Vec::with_capacity(if size >= LEAST { size + size / 8 } else { size })))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        if let Ok(mut idle) = IDLE.lock()
            && buffer.capacity() >= LEAST
            && idle.iter().map(Vec::capacity).sum::<usize>() + buffer.capacity() <= MOST
        {
            idle.push(buffer);
        }
    }
}
