//! A column of texts of a row group, read page by page: as words of the dictionary that stands before its pages, as long as
//! those are numbers of its entries, else as views into the pages.
//!
//! Writers give a dictionary up where it grows too large, so the pages of a chunk may be of both sorts. A dictionary that
//! has nearly as many entries as there are rows is of no use, and its cells are views into it.

use super::Damage;
use super::hybrid::Hybrid;
use super::pages::Pages;
use super::unpack::opened;
use ::parquet::basic::Encoding;
use ::parquet::column::page::{Page, PageReader};
use ::parquet::file::metadata::ColumnChunkMetaData;
use arrow::array::{Array, BinaryViewArray};
use arrow::buffer::Buffer;
use backsight_engine::value::Kind;
use backsight_engine::value::column::{Column, Kinds};
use backsight_engine::value::dictionary::Dictionary;
use backsight_engine::value::views::Views;
use bytes::Bytes;
use std::sync::Arc;

/// A dictionary of so few entries is kept however few rows there are.
const FEW: usize = 64;

/// Rows decoded at once where only some are wanted.
const AT_ONCE: usize = 1 << 13;

/// The pages of a column of texts.
pub(super) struct Texts {
    pages: Box<dyn PageReader>,
    name: String,
    nullable: bool,
    entries: Option<Entries>,
    page: Option<Data>,
    /// The next row, counted from the start of the row group.
    at: usize,
    /// Entries of the largest dictionary that is kept as such.
    most: usize,
    /// Of the rows at hand: levels, and indices.
    levels: Vec<u32>,
    indices: Vec<u32>,
}

/// The entries of a dictionary page.
struct Entries {
    texts: BinaryViewArray,
    /// The same, if it is kept as such.
    dictionary: Option<Arc<Dictionary>>,
}

/// A data page.
struct Data {
    /// Rows that are not read yet.
    left: usize,
    /// Whether there is a value, row by row; `None` if there always is.
    levels: Option<Hybrid>,
    values: Values,
}

/// The values of a page.
enum Values {
    /// Indices of entries.
    Indices(Hybrid),
    /// Texts, each behind its length, from `at` on.
    Plain { page: Buffer, at: usize },
}

/// Cells that were read.
enum Cells {
    Words(Vec<u32>, Arc<Dictionary>),
    Views(Views),
}

impl Texts {
    /// A column from row `first` of its group on, of which about `rows` rows are wanted.
    pub(super) fn open(
        pages: Pages,
        chunk: &ColumnChunkMetaData,
        (first, rows): (usize, usize),
    ) -> Result<Texts, Damage> {
        let column = chunk.column_descr();
        let pages = opened(pages, chunk)?;
        let mut texts = Texts::of(pages, column.path().string(), column.max_def_level() > 0, rows);
        texts.skip_to(first)?;
        Ok(texts)
    }

    /// A column of these pages, of which about `rows` rows are wanted.
    fn of(pages: Box<dyn PageReader>, name: String, nullable: bool, rows: usize) -> Texts {
        Texts {
            pages,
            name,
            nullable,
            entries: None,
            page: None,
            at: 0,
            most: (rows / 2).max(FEW),
            levels: Vec::new(),
            indices: Vec::new(),
        }
    }

    /// The next rows.
    pub(super) fn next(&mut self, rows: usize) -> Result<Column, Damage> {
        let mut out = None;
        let mut left = rows;
        while left > 0 {
            let n = self.begin()?.min(left);
            self.decode(n, None, rows, &mut out)?;
            left -= n;
        }
        Ok(finished(out, rows))
    }

    /// Some of the rows to come, by their numbers in the row group, which rise.
    pub(super) fn take(&mut self, rows: &[u32]) -> Result<Column, Damage> {
        let (mut out, mut picked) = (None, Vec::new());
        let mut rest = rows;
        while let Some(first) = rest.first() {
            self.skip_to(*first as usize)?;
            let end = self.at + self.begin()?.min(AT_ONCE);
            let count = rest.partition_point(|row| (*row as usize) < end);
            let (now, later) = rest.split_at(count);
            picked.clear();
            picked.extend(now.iter().map(|row| *row - self.at as u32));
            let n = picked.last().map_or(0, |last| *last as usize + 1);
            self.decode(n, Some(&picked), rows.len(), &mut out)?;
            rest = later;
        }
        Ok(finished(out, rows.len()))
    }

    /// True if no page is left.
    pub(super) fn is_done(&mut self) -> Result<bool, Damage> {
        while self.page.is_none() {
            let Some(next) = self.pages.peek_next_page()? else { return Ok(true) };
            if !next.is_dict && next.num_levels != Some(0) {
                return Ok(false);
            }
            self.pages.skip_next_page()?;
        }
        Ok(false)
    }

    fn damaged(&self, why: &str) -> Damage {
        Damage::new(format!("column `{}`: {why}", self.name))
    }

    /// Opens the next page if none is open. Returns the rows it has left.
    fn begin(&mut self) -> Result<usize, Damage> {
        loop {
            if let Some(page) = &self.page {
                return Ok(page.left);
            }
            let Some(page) = self.pages.get_next_page()? else { return Err(self.damaged("it ends too early")) };
            match page {
                Page::DictionaryPage { buf, num_values, .. } => {
                    let texts = entries(buf, num_values as usize);
                    let texts = texts.ok_or_else(|| self.damaged("its dictionary is cut off"))?;
                    let kept = (texts.len() <= self.most).then(|| Arc::new(Dictionary::of_strings(texts.clone())));
                    self.entries = Some(Entries { texts, dictionary: kept });
                }
                Page::DataPage { buf, num_values, encoding, .. } => {
                    let levels = |buf: &Bytes| {
                        let length = u32::from_le_bytes(*buf.first_chunk()?) as usize;
                        Some((4, length.checked_add(4).filter(|end| *end <= buf.len())?))
                    };
                    let (start, end) = if self.nullable {
                        levels(&buf).ok_or_else(|| self.damaged("its levels are cut off"))?
                    } else {
                        (0, 0)
                    };
                    self.data(&buf, (start, end), encoding, num_values)?;
                }
                Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    def_levels_byte_len: def,
                    rep_levels_byte_len: rep,
                    ..
                } => {
                    let end = (rep as usize).checked_add(def as usize).filter(|end| *end <= buf.len());
                    let end = end.ok_or_else(|| self.damaged("its levels are cut off"))?;
                    self.data(&buf, (rep as usize, end), encoding, num_values)?;
                }
            }
        }
    }

    /// Opens a data page of so many rows, whose levels stand between the two places and its values behind them.
    fn data(&mut self, page: &Bytes, levels: (usize, usize), encoding: Encoding, rows: u32) -> Result<(), Damage> {
        let rest = page.slice(levels.1..);
        let values = match encoding {
            Encoding::PLAIN => Values::Plain { page: Buffer::from(rest), at: 0 },
            #[allow(deprecated)]
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                if self.entries.is_none() {
                    return Err(self.damaged("the dictionary of its pages is missing"));
                }
                // A page of nulls need not have the byte that says how wide its indices are.
                let width = rest.first().copied().unwrap_or(0);
                let indices = Hybrid::new(rest.slice(rest.len().min(1)..), width);
                Values::Indices(indices.ok_or_else(|| self.damaged("indices of more than 32 bits"))?)
            }
            other => return Err(self.damaged(&format!("a page is encoded as {other}"))),
        };
        let levels = if self.nullable { Hybrid::new(page.slice(levels.0..levels.1), 1) } else { None };
        self.page = (rows > 0).then_some(Data { left: rows as usize, levels, values });
        Ok(())
    }

    /// Passes over the rows before row `row` of the group.
    fn skip_to(&mut self, row: usize) -> Result<(), Damage> {
        while self.at < row {
            let wanted = row - self.at;
            if self.page.is_none() {
                match self.pages.peek_next_page()? {
                    Some(next) if !next.is_dict && next.num_levels.is_some_and(|rows| rows <= wanted) => {
                        self.pages.skip_next_page()?;
                        self.at += next.num_levels.unwrap_or(0);
                        continue;
                    }
                    Some(next) if next.is_dict => {
                        // It may be needed for a later page.
                        self.begin()?;
                        continue;
                    }
                    _ => {}
                }
            }
            let n = self.begin()?.min(wanted).min(AT_ONCE);
            let present = self.present(n)?;
            let done = match self.page.as_mut().map(|page| &mut page.values) {
                Some(Values::Indices(indices)) => indices.skip(present),
                Some(Values::Plain { page, at }) => (0..present).try_for_each(|_| piece(page, at).map(|_| ())),
                None => Some(()),
            };
            done.ok_or_else(|| self.damaged("a page has fewer values than it claims"))?;
            self.pass(n);
        }
        Ok(())
    }

    /// Which of the next rows have a value goes to `levels`, which stays empty if all have. Returns how many.
    fn present(&mut self, rows: usize) -> Result<usize, Damage> {
        self.levels.clear();
        let Some(levels) = self.page.as_mut().and_then(|page| page.levels.as_mut()) else { return Ok(rows) };
        if levels.same(rows) == Some(1) {
            if levels.skip(rows).is_some() {
                return Ok(rows);
            }
        } else if levels.read(rows, &mut self.levels).is_some() {
            return Ok(self.levels.iter().filter(|level| **level == 1).count());
        }
        Err(self.damaged("a page has fewer levels than it claims"))
    }

    fn pass(&mut self, rows: usize) {
        self.at += rows;
        if let Some(page) = &mut self.page {
            page.left -= rows;
            if page.left == 0 {
                self.page = None;
            }
        }
    }

    /// Reads the next `rows` rows of the open page; those that are `picked`, or all, become cells.
    fn decode(
        &mut self,
        rows: usize,
        picked: Option<&[u32]>,
        expected: usize,
        out: &mut Option<Cells>,
    ) -> Result<(), Damage> {
        let present = self.present(rows)?;
        let Some(page) = &mut self.page else { return Ok(()) };
        let read = match &mut page.values {
            Values::Plain { page, at } => {
                let views = as_views(out, expected);
                plain(page, at, (rows, &self.levels, picked), views)
            }
            Values::Indices(indices) => {
                self.indices.clear();
                // Where all rows have a value, only those wanted are unpacked.
                let some = picked.filter(|_| self.levels.is_empty());
                let read = match some {
                    Some(picked) => indices.pick(present, picked, &mut self.indices),
                    None => indices.read(present, &mut self.indices),
                };
                if read.is_none() {
                    return Err(self.damaged("a page has fewer values than it claims"));
                }
                let Some(entries) = &self.entries else { return Err(Damage::new("a dictionary is missing")) };
                let most = self.indices.iter().fold(0, |most, index| most.max(*index));
                if !self.indices.is_empty() && most as usize >= entries.texts.len() {
                    let why = format!("entry {most} of a dictionary of {} is asked for", entries.texts.len());
                    return Err(self.damaged(&why));
                }
                self.indices.iter_mut().for_each(|index| *index += 1);
                if !self.levels.is_empty() {
                    spread(&mut self.indices, &self.levels);
                }
                entries.give(&self.indices, picked.filter(|_| some.is_none()), expected, out);
                read
            }
        };
        read.ok_or_else(|| self.damaged("a page has fewer values than it claims"))?;
        self.pass(rows);
        Ok(())
    }
}

impl Entries {
    /// Adds cells: entries by their numbers, counted from 1; 0 is null.
    fn give(&self, numbers: &[u32], picked: Option<&[u32]>, expected: usize, out: &mut Option<Cells>) {
        if out.is_none()
            && let Some(dictionary) = &self.dictionary
        {
            *out = Some(Cells::Words(Vec::with_capacity(expected), Arc::clone(dictionary)));
        }
        match (out, picked) {
            (Some(Cells::Words(words, _)), None) => words.extend_from_slice(numbers),
            (Some(Cells::Words(words, _)), Some(picked)) => {
                words.extend(picked.iter().map(|row| numbers[*row as usize]))
            }
            (out, picked) => {
                let views = as_views(out, expected);
                let cell = |number: u32| (number as usize).checked_sub(1);
                match picked {
                    None => views.extend(&self.texts, numbers.iter().map(|number| cell(*number))),
                    Some(picked) => views.extend(&self.texts, picked.iter().map(|row| cell(numbers[*row as usize]))),
                }
            }
        }
    }
}

/// The cells as views; what was words so far becomes views.
fn as_views(out: &mut Option<Cells>, expected: usize) -> &mut Views {
    let before = out.take();
    let views = match before {
        Some(Cells::Views(views)) => views,
        None => Views::with_capacity(expected),
        Some(Cells::Words(words, dictionary)) => {
            let mut views = Views::with_capacity(expected);
            if let Some(texts) = dictionary.given() {
                views.extend(texts, words.iter().map(|word| (*word as usize).checked_sub(1)));
            }
            views
        }
    };
    match out.insert(Cells::Views(views)) {
        Cells::Views(views) => views,
        Cells::Words(..) => unreachable!("just put there"),
    }
}

fn finished(cells: Option<Cells>, rows: usize) -> Column {
    match cells {
        None => Column::null(rows),
        Some(Cells::Words(words, _)) if words.iter().all(|word| *word == Dictionary::NULL) => Column::null(rows),
        Some(Cells::Words(words, dictionary)) => Column::Dict(words.into(), dictionary),
        Some(Cells::Views(views)) => {
            let array = views.finish();
            match array.null_count() == array.len() {
                true => Column::null(rows),
                false => Column::Text(array, Kinds::All(Kind::String)),
            }
        }
    }
}

/// Moves values to the rows that have one; the others get 0.
fn spread(values: &mut Vec<u32>, levels: &[u32]) {
    let mut from = values.len();
    values.resize(levels.len(), 0);
    for (row, level) in levels.iter().enumerate().rev() {
        values[row] = match level {
            1 => {
                from -= 1;
                values[from]
            }
            _ => Dictionary::NULL,
        };
    }
}

/// The next text of a plain page: where it begins, and its length.
#[inline]
fn piece(page: &[u8], at: &mut usize) -> Option<(usize, usize)> {
    let length = u32::from_le_bytes(*page.get(*at..)?.first_chunk()?) as usize;
    let start = *at + 4;
    let end = start.checked_add(length).filter(|end| *end <= page.len())?;
    *at = end;
    Some((start, length))
}

/// Reads rows of a plain page, of which some have a value (all, if there are no levels), and some are picked.
fn plain(
    page: &Buffer,
    at: &mut usize,
    (rows, levels, picked): (usize, &[u32], Option<&[u32]>),
    views: &mut Views,
) -> Option<()> {
    let buffer = views.buffer(page);
    let data = page.as_slice();
    let mut picked = picked.map(|picked| picked.iter().copied().peekable());
    for row in 0..rows {
        let text = match levels.get(row) {
            None | Some(1) => Some(piece(data, at)?),
            Some(_) => None,
        };
        if let Some(picked) = &mut picked
            && picked.next_if_eq(&(row as u32)).is_none()
        {
            continue;
        }
        match text {
            None => views.push_null(),
            Some((start, length)) => views.push(buffer, start, length).then_some(())?,
        }
    }
    Some(())
}

/// The texts of a dictionary page.
fn entries(page: Bytes, count: usize) -> Option<BinaryViewArray> {
    // Each has a length of four bytes before it.
    if count > page.len() / 4 {
        return None;
    }
    let mut views = Views::with_capacity(count);
    plain(&Buffer::from(page), &mut 0, (count, &[], None), &mut views)?;
    Some(views.finish())
}

/// True if a column is read here: texts, one a row or null, and no more to them.
pub(super) fn is_plain_text(chunk: &ColumnChunkMetaData) -> bool {
    let column = chunk.column_descr();
    column.physical_type() == ::parquet::basic::Type::BYTE_ARRAY
        && column.max_rep_level() == 0
        && column.max_def_level() <= 1
}

#[cfg(test)]
mod tests;
