//! Numbers the texts of batches that follow each other, column by column.

use super::coder::Coder;
use crate::exec::ctl::Ctl;
use crate::exec::hashes::is_same;
use crate::value::column::{Batch, Column};
use crate::value::dictionary::Dictionary;
use std::sync::Arc;

/// One coder a column.
#[derive(Default)]
pub(in crate::exec) struct Coders(Vec<Coder>);

impl Coders {
    /// A batch with its texts numbered.
    pub fn code(&mut self, batch: Batch, ctl: &Ctl) -> Batch {
        self.0.resize_with(batch.columns.len(), || Coder::new(ctl));
        let mut columns: Vec<Column> = Vec::with_capacity(batch.columns.len());
        for (at, column) in batch.columns.iter().enumerate() {
            // One field often has several names.
            let same = batch.columns[..at].iter().position(|before| is_same(before, column));
            columns.push(match same {
                Some(before) => columns[before].clone(),
                None => self.0[at].code(column.clone()),
            });
        }
        Batch { columns, ..batch }
    }
}

/// The dictionaries met in batches that are kept. Who numbers texts counts the bytes of the dictionary at hand only.
#[derive(Default)]
pub(in crate::exec) struct Met {
    last: Vec<Option<Arc<Dictionary>>>,
    left: usize,
}

impl Met {
    /// Whether the dictionary of column `at` is another than in the batch before.
    pub fn is_new(&mut self, at: usize, dictionary: &Arc<Dictionary>) -> bool {
        if self.last.len() <= at {
            self.last.resize(at + 1, None);
        }
        let last = &mut self.last[at];
        let is_new = last.as_ref().is_none_or(|last| last.id() != dictionary.id());
        if is_new && let Some(old) = last.replace(Arc::clone(dictionary)) {
            self.left += old.bytes() - old.given_bytes();
        }
        is_new
    }

    /// Bytes of dictionaries that their owners have left, without what came with the input.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Those, and of the dictionaries at hand.
    pub fn bytes(&self) -> usize {
        let at_hand = self.last.iter().flatten().map(|last| last.bytes() - last.given_bytes());
        self.left + at_hand.sum::<usize>()
    }
}
