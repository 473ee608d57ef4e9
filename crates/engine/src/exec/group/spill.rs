//! Groups beyond memory: a table becomes records under its groups' keys, and every group is put together again when its
//! records, of whatever worker and time, come by in order.
//!
//! A record's key is the group's key, two bytes of the number of the aggregate (from 1), and the key the aggregate gives
//! to the part of its state. Number 0 has the kinds of the key's cells.

use super::key::{cell_at, cell_size, key_cell};
use super::kinds::LAST;
use super::{GroupTable, fresh};
use crate::agg::Restore;
use crate::error::Error;
use crate::exec::ctl::Ctl;
use crate::exec::memory::Share;
use crate::exec::rows::{Rows, built};
use crate::exec::spill::rows::{RowBuilder, push_cell};
use crate::exec::spill::{self, Merged, Sorter};
use crate::value::Kind;

impl<'a> GroupTable<'a> {
    /// Puts all groups into files and starts anew.
    pub(super) fn spill(&mut self) -> Result<(), Error> {
        let mut sorter = self.sorter.take().unwrap_or_else(|| Sorter::new(self.ctl));
        let mut states = std::mem::take(&mut self.states);
        let (mut key, mut kinds) = (Vec::new(), Vec::new());
        for group in 0..self.len() {
            self.key(group, &mut key);
            key.extend_from_slice(&0u16.to_be_bytes());
            kinds.clear();
            kinds.extend(self.kinds.iter().map(|k| k.least(group) as u8));
            sorter.push(&key, &kinds)?;
        }
        for (i, state) in states.iter_mut().enumerate() {
            let number = (i as u16 + 1).to_be_bytes();
            state.save(&mut |group, part, value| {
                self.key(group as usize, &mut key);
                key.extend_from_slice(&number);
                key.extend_from_slice(part);
                sorter.push(&key, value)
            })?;
            *state = fresh(&self.calls[i], self.ctl);
        }
        (self.sorter, self.states) = (Some(sorter), states);
        self.clear();
        self.share.set(0);
        Ok(())
    }

    /// The groups of tables of which some are in files.
    pub(super) fn merge_spilled(mut tables: Vec<GroupTable<'a>>, ctl: &'a Ctl) -> Result<Rows<'a>, Error> {
        tables.iter_mut().try_for_each(GroupTable::spill)?;
        let (keys, calls) = (tables[0].keys, tables[0].calls);
        let sorters = tables.into_iter().filter_map(|t| t.sorter).collect();
        let mut groups = Groups {
            merged: spill::merge(sorters, ctl)?,
            restores: calls.iter().map(|c| (c.aggregate.new)(&c.settings).restore()).collect(),
            kinds: vec![LAST; keys.len()],
            key: None,
            row: Vec::new(),
            share: ctl.memory().share(),
        };
        Ok(Rows::Stream(built(move |rows| groups.next(rows))))
    }
}

/// Groups as their records come by.
struct Groups<'a> {
    merged: Merged<'a>,
    restores: Vec<Box<dyn Restore>>,
    /// Least kinds of the cells of the key at hand.
    kinds: Vec<Kind>,
    /// The key at hand.
    key: Option<Vec<u8>>,
    row: Vec<u8>,
    share: Share,
}

/// State of one group that is not worth accounting for.
const LITTLE: usize = 64 << 10;

impl Groups<'_> {
    /// Takes the next record, and gives the group before it where it starts another; false after the last.
    fn next(&mut self, rows: &mut RowBuilder) -> Result<bool, Error> {
        let Some((record, value)) = self.merged.next()? else {
            if let Some(key) = self.key.take() {
                finish(&key, &mut self.kinds, &mut self.restores, &mut self.row);
                rows.push(&self.row);
            }
            return Ok(false);
        };
        let end = self.kinds.iter().fold(0, |at, _| {
            let (length, from) = cell_at(record, at);
            from + cell_size(length)
        });
        let (key, rest) = record.split_at(end);
        if self.key.as_deref() != Some(key) {
            let mut buffer = self.key.take().unwrap_or_default();
            if !buffer.is_empty() {
                finish(&buffer, &mut self.kinds, &mut self.restores, &mut self.row);
                rows.push(&self.row);
                self.share.set(0);
            }
            buffer.clear();
            buffer.extend_from_slice(key);
            self.key = Some(buffer);
        }
        let (number, part) = rest.split_at(2);
        match u16::from_be_bytes([number[0], number[1]]) {
            0 => {
                for (kind, new) in self.kinds.iter_mut().zip(value) {
                    *kind = (*kind).min(Kind::of(*new).unwrap_or(LAST));
                }
            }
            n => {
                let restore = &mut self.restores[usize::from(n) - 1];
                restore.add(part, value)?;
                let bytes = restore.bytes();
                if bytes > LITTLE && bytes > self.share.held() {
                    // The result is copied once more.
                    self.share.need(3 * bytes, "one group of `stats`")?;
                }
            }
        }
        Ok(true)
    }
}

/// Makes the row of a group, and makes ready for the next.
fn finish(key: &[u8], kinds: &mut [Kind], restores: &mut [Box<dyn Restore>], row: &mut Vec<u8>) {
    row.clear();
    let mut at = 0;
    for kind in kinds {
        at = key_cell(key, at, *kind, |value| push_cell(value, row));
        *kind = LAST;
    }
    restores.iter_mut().for_each(|restore| push_cell(restore.finish().as_ref(), row));
}
