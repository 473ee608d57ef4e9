//! The columns of a plan, read side by side: texts by [`super::texts`], all else by the `parquet` crate.

use super::pages::Pages;
use super::plan::{Cells, Plan};
use super::schema::{Meaning, Shape};
use super::texts::{Texts, is_plain_text};
use super::{Damage, ParquetFile, Stretch};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use backsight_engine::source::BATCH_ROWS;

/// Columns of a stretch, open for reading.
pub(super) struct Reader<'k> {
    columns: Vec<From>,
    texts: Vec<Texts>,
    others: Option<ParquetRecordBatchReader>,
    /// What the others have given, and how much of it has been handed out.
    batch: Option<(RecordBatch, usize)>,
    /// The rows wanted, if not all, by their numbers in the row group.
    kept: Option<&'k [u32]>,
    /// Rows left to be read; checked against what is there only where all of a row group is read.
    left: usize,
    to_the_end: bool,
}

/// Where a column comes from.
enum From {
    /// From the texts.
    Texts(usize),
    /// From what the others give.
    Others(usize),
}

impl<'k> Reader<'k> {
    /// Opens the columns of a plan. `kept`: the only rows of the stretch that are wanted, by their numbers in the group.
    pub(super) fn open(
        file: &ParquetFile,
        plan: &Plan<'_>,
        stretch: &Stretch,
        kept: Option<&'k [u32]>,
    ) -> Result<Reader<'k>, Damage> {
        let metadata = &file.metadata;
        let group = metadata.metadata().row_group(stretch.group);
        let read = group.columns().iter().zip(&plan.leaves).filter(|(_, read)| **read);
        let (pages, simple) = Pages::check(&file.data, read.map(|(chunk, _)| chunk))?;
        let rows = kept.map_or(stretch.rows as usize, <[u32]>::len);
        let mut reader = Reader {
            columns: Vec::new(),
            texts: Vec::new(),
            others: None,
            batch: None,
            kept,
            left: rows,
            to_the_end: kept.is_none() && stretch.skip + stretch.rows == group.num_rows() as u64,
        };
        let mut leaves = plan.leaves.clone();
        let mut others = 0;
        for (at, node) in plan.read() {
            let leaf = node.leaves.start;
            let checked = plan.leaves[..leaf].iter().filter(|read| **read).count();
            let is_text = plan.words
                && matches!(node.shape, Shape::Leaf(Meaning::Plain))
                && metadata.schema().field(at).data_type() == &DataType::BinaryView
                && is_plain_text(group.column(leaf))
                && simple.get(checked) == Some(&true);
            reader.columns.push(match is_text {
                true => {
                    leaves[leaf] = false;
                    let place = (stretch.skip as usize, rows);
                    reader.texts.push(Texts::open(pages.clone(), group.column(leaf), place)?);
                    From::Texts(reader.texts.len() - 1)
                }
                false => {
                    others += 1;
                    From::Others(others - 1)
                }
            });
        }
        if others > 0 {
            let wanted = leaves.iter().enumerate().filter(|(_, read)| **read).map(|(leaf, _)| leaf);
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), wanted);
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, metadata.clone())
                .with_row_groups(vec![stretch.group])
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS);
            let builder = match kept {
                Some(kept) => builder.with_row_selection(selection(kept)),
                None if stretch.rows < group.num_rows() as u64 => {
                    builder.with_offset(stretch.skip as usize).with_limit(stretch.rows as usize)
                }
                None => builder,
            };
            reader.others = Some(builder.build()?);
        }
        Ok(reader)
    }

    /// The next rows of all columns, one or more, but not more than `most`; `None` behind the last.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<(Vec<Cells>, usize)>, Damage> {
        if let Some(others) = &mut self.others
            && self.batch.as_ref().is_none_or(|(batch, done)| *done == batch.num_rows())
        {
            self.batch = match others.next() {
                Some(batch) => Some((batch?, 0)),
                None => return Ok(None),
            };
        }
        let rows = match &self.batch {
            Some((batch, done)) => (batch.num_rows() - done).min(most),
            None => most.min(self.left),
        };
        if rows == 0 && self.to_the_end {
            for texts in &mut self.texts {
                if !texts.is_done()? {
                    return Err(Damage::new("there are more than the footer says"));
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let mut texts = Vec::with_capacity(self.texts.len());
        let kept = match &mut self.kept {
            Some(kept) => {
                let Some((now, later)) = kept.split_at_checked(rows) else {
                    return Err(Damage::new("more rows than were chosen"));
                };
                *kept = later;
                Some(now)
            }
            None => None,
        };
        for column in &mut self.texts {
            texts.push(match kept {
                Some(kept) => column.take(kept)?,
                None => column.next(rows)?,
            });
        }
        let cells = self.columns.iter().map(|from| match (from, &self.batch) {
            (From::Texts(at), _) => Cells::Column(texts[*at].clone()),
            (From::Others(at), Some((batch, done))) => Cells::Array(batch.column(*at).slice(*done, rows)),
            (From::Others(_), None) => Cells::Column(backsight_engine::value::column::Column::null(rows)),
        });
        let cells = cells.collect();
        self.left = self.left.saturating_sub(rows);
        if let Some((_, done)) = &mut self.batch {
            *done += rows;
        }
        Ok(Some((cells, rows)))
    }
}

/// Rows of a group as the decoder wants them named.
fn selection(kept: &[u32]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for row in kept {
        let row = *row as usize;
        if row > at {
            selectors.push(RowSelector::skip(row - at));
        }
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    RowSelection::from(selectors)
}
