//! What the reader of a format knows of records already: where their values lie.
//!
//! Lines that are read by a layout ([`crate::json`]) have been compared with it in all their bytes. The first line of each
//! is taken apart once more; where that finds the same values, they hold for all other lines of it. Of most lines only what
//! the reader noted is kept, two bytes a value; where a value lies is worked out when its column is filled.

use super::block::{Block, Row};
use super::parser::Said;
use super::slot::Slot;
use crate::json::{Form, Kept, Traced};

/// Records in order, and what forms they have.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    list: Vec<Trace>,
    /// For each form of the block the number of its layout, once that is known.
    layouts: Vec<Option<u32>>,
    /// The next one to be asked for.
    next: usize,
}

/// Where a record lies.
#[derive(Debug)]
struct Trace {
    start: u32,
    text_end: u32,
    /// Where the next line begins.
    end: u32,
    form: u16,
    /// Its first value among those of the block, or what the reader noted of it.
    first: u32,
    way: Option<Way>,
}

/// The way to the values of a record of which only the reader's notes are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Number of its form in the block.
    pub form: u16,
    /// There are backslashes in it.
    pub slashed: bool,
}

impl Way {
    /// A value of a record of the block that begins at `start`; the notes on it begin at `first`.
    #[inline]
    pub(crate) fn slot(self, block: &Block, start: u32, first: u32, value: usize) -> Slot {
        let (data, ends) = (&block.data[..], &block.ends[first as usize..]);
        let line = Kept { data, start: start as usize, ends, slashed: self.slashed };
        let (start, end, shape) = block.forms[usize::from(self.form)].value(line, value);
        Slot::checked(start, end, shape)
    }
}

impl Trace {
    /// True if this is the record, and its `@message` the line.
    fn is(&self, said: &Said, end: usize) -> bool {
        self.start == said.start && self.end as usize == end && said.message == Some((self.start, self.text_end))
    }

    fn slot(&self, block: &Block, value: usize) -> Slot {
        match self.way {
            Some(way) => way.slot(block, self.start, self.first, value),
            None => block.slots[self.first as usize + value],
        }
    }
}

impl Traces {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds records, and what there is to know of their values to the block.
    pub(crate) fn add(&mut self, traced: &Traced<'_>, block: &mut Block) {
        let mut form = 0;
        if self.list.is_empty() {
            // Room for the whole chunk, should it go on like this.
            let (rows, values) = traced.outlook();
            self.list.reserve(rows);
            block.ends.reserve(rows + values);
        }
        // Not a loop: each line would be copied, part by part, and waited for.
        traced.lines().for_each(|line| {
            if !block.forms.get(form).is_some_and(|known: &Form| known.is_of(&line)) {
                form = block.forms.iter().position(|known| known.is_of(&line)).unwrap_or(block.forms.len());
                if form == usize::from(u16::MAX) {
                    return;
                }
                if form == block.forms.len() {
                    block.forms.push(line.form());
                    self.layouts.push(None);
                }
            }
            let (mut first, mut way) = (block.ends.len(), None);
            if block.forms[form].suffices(&line) {
                block.ends.extend_from_slice(line.ends());
                way = Some(Way { form: form as u16, slashed: line.slashed() });
            } else {
                first = block.slots.len();
                if line.values(|start, end, shape| block.slots.push(Slot::checked(start, end, shape))).is_none() {
                    block.slots.truncate(first);
                    return;
                }
            }
            self.list.push(Trace {
                start: line.start as u32,
                text_end: line.text_end as u32,
                end: line.end as u32,
                form: form as u16,
                first: first as u32,
                way,
            });
        });
    }

    /// The layout of a record and how to find its values, if both are known. Records are asked for in order.
    #[inline]
    pub(crate) fn known(&mut self, said: &Said, end: usize) -> Option<(u32, u32, Option<Way>)> {
        while self.list.get(self.next).is_some_and(|trace| trace.start < said.start) {
            self.next += 1;
        }
        let trace = self.list.get(self.next).filter(|trace| trace.is(said, end))?;
        self.layouts[usize::from(trace.form)].map(|layout| (layout, trace.first, trace.way))
    }

    /// Learns from the record that was last asked for, after it was taken apart.
    pub(crate) fn learn(&mut self, said: &Said, row: &Row, block: &Block) {
        let Some(trace) = self.list.get(self.next).filter(|trace| trace.is(said, row.end as usize)) else { return };
        let known = &mut self.layouts[usize::from(trace.form)];
        let Some(layout) = block.layout(row).filter(|_| known.is_none()) else { return };
        let values = block.forms[usize::from(trace.form)].values();
        if layout.is_text || row.before != 0 || layout.values() != values {
            return;
        }
        if (0..values).all(|value| block.slot(row, value) == trace.slot(block, value)) {
            *known = row.layout;
        }
    }
}
