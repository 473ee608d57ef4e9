//! The rows between two ops: all in memory, or coming one batch after another.

use super::ctl::Ctl;
use super::memory::{Share, cost, keep};
use super::sort::gathered;
use super::spill::rows::RowBuilder;
use super::spill::{self, Sorter};
use crate::error::Error;
use crate::value::column::Batch;

/// Rows in order.
pub(crate) enum Rows<'a> {
    /// In memory.
    Held(Held),
    /// More than that: read from temporary files, or made as they are asked for.
    Stream(Stream<'a>),
}

/// Batches one after another.
pub(crate) type Stream<'a> = Box<dyn Iterator<Item = Result<Batch, Error>> + Send + 'a>;

/// Rows in memory.
pub(crate) struct Held {
    pub batches: Vec<Batch>,
    share: Share,
}

impl Held {
    /// Accounts for batches.
    pub fn new(batches: Vec<Batch>, ctl: &Ctl) -> Held {
        let mut held = Held { share: ctl.memory().share(), batches };
        held.share.set(cost(&held.batches));
        held
    }

    /// Accounts for dictionaries beside the batches.
    pub fn with_words(mut self, bytes: usize) -> Held {
        self.share.set(self.share.held() + bytes);
        self
    }

    /// Bytes of memory.
    pub fn cost(&self) -> usize {
        self.share.held()
    }
}

impl<'a> Rows<'a> {
    /// Rows in memory.
    pub fn held(batches: Vec<Batch>, ctl: &Ctl) -> Rows<'a> {
        Rows::Held(Held::new(batches, ctl))
    }

    /// The batches one by one; what was given is forgotten here.
    pub fn stream(self) -> Stream<'a> {
        match self {
            Rows::Stream(stream) => stream,
            Rows::Held(Held { batches, mut share }) => Box::new(batches.into_iter().map(move |batch| {
                share.set(share.held().saturating_sub(batch.cost()));
                Ok(batch)
            })),
        }
    }

    /// Each batch changed by itself.
    pub fn map(self, f: impl Fn(Batch) -> Batch + Send + 'a, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        Ok(match self {
            Rows::Held(held) => {
                let mut batches = Vec::with_capacity(held.batches.len());
                for batch in held.batches {
                    ctl.check()?;
                    batches.push(f(batch));
                }
                Rows::held(batches, ctl)
            }
            Rows::Stream(stream) => Rows::Stream(Box::new(stream.map(move |batch| batch.map(&f)))),
        })
    }

    /// All rows in memory, for ops that must see them at once.
    ///
    /// # Errors
    /// [`Error::Limit`] where they do not fit; `what` says for what.
    pub fn hold(self, what: &str, ctl: &Ctl) -> Result<Held, Error> {
        let mut held = match self {
            Rows::Held(held) => held,
            Rows::Stream(stream) => {
                let mut held = Held::new(Vec::new(), ctl);
                for batch in stream {
                    let batch = keep(batch?);
                    held.share.need(held.cost() + batch.cost(), what)?;
                    held.batches.push(batch);
                }
                held
            }
        };
        // The rows, and what is made of them.
        let cost = held.cost();
        held.share.need(2 * cost, what)?;
        held.share.set(cost);
        Ok(held)
    }

    /// The same rows without what they are read from: in memory or in a file.
    pub fn settle<'b>(self, ctl: &'b Ctl) -> Result<Rows<'b>, Error> {
        match self {
            Rows::Held(held) => Ok(Rows::Held(held)),
            Rows::Stream(stream) => gathered(stream, &[], ctl),
        }
    }
}

/// The rows of sorted records, the first `limit` of them.
pub(super) fn sorted<'a>(sorters: Vec<Sorter<'a>>, limit: Option<u64>, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
    Ok(Rows::Stream(Box::new(spill::rows::Sorted::new(spill::merge(sorters, ctl)?, limit))))
}

/// Batches of the rows that `next` gives, until it gives none.
pub(super) fn built<'a>(mut next: impl FnMut(&mut RowBuilder) -> Result<bool, Error> + Send + 'a) -> Stream<'a> {
    let (mut rows, mut more) = (RowBuilder::default(), true);
    Box::new(std::iter::from_fn(move || {
        while more && !rows.is_full() {
            match next(&mut rows) {
                Ok(going) => more = going,
                Err(e) => {
                    more = false;
                    return Some(Err(e));
                }
            }
        }
        let batch = rows.take();
        (batch.rows > 0).then_some(Ok(batch))
    }))
}
