//! What the reader of a format knows of records already: where their values lie.
//!
//! Lines that are read by a layout ([`crate::json`]) have been compared with it in all their bytes. The first line of each
//! is taken apart once more; where that finds the same values, they hold for all other lines of it.

use super::block::{Block, Row, Said};
use super::slot::Slot;
use crate::json::{Form, Traced};

/// Records in order, and what forms they have.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    list: Vec<Trace>,
    forms: Vec<Known>,
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
    form: u32,
    /// Its first value among those of the block.
    first: u32,
}

impl Trace {
    /// True if this is the record, and its `@message` the line.
    fn is(&self, said: &Said, end: usize) -> bool {
        self.start == said.start && self.end as usize == end && said.message == Some((self.start, self.text_end))
    }
}

/// A form of lines.
#[derive(Debug)]
struct Known {
    form: Form,
    values: usize,
    /// The number of its layout in the block, once that is known.
    layout: Option<u32>,
}

impl Traces {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds records, and their values to `slots`.
    pub(crate) fn add(&mut self, traced: &Traced<'_>, slots: &mut Vec<Slot>) {
        let mut form = 0;
        if self.list.is_empty() {
            // Room for the whole chunk, should it go on like this.
            let (rows, values) = traced.outlook();
            self.list.reserve(rows);
            slots.reserve(values);
        }
        for line in traced.lines() {
            let first = slots.len();
            if line.values(|start, end, shape| slots.push(Slot::checked(start, end, shape))).is_none() {
                slots.truncate(first);
                continue;
            }
            if !self.forms.get(form).is_some_and(|known| known.form.is_of(&line)) {
                form = self.forms.iter().position(|known| known.form.is_of(&line)).unwrap_or_else(|| {
                    self.forms.push(Known { form: line.form(), values: slots.len() - first, layout: None });
                    self.forms.len() - 1
                });
            }
            self.list.push(Trace {
                start: line.start as u32,
                text_end: line.text_end as u32,
                end: line.end as u32,
                form: form as u32,
                first: first as u32,
            });
        }
    }

    /// The layout of a record and its first value, if both are known. Records are asked for in order.
    #[inline]
    pub(crate) fn known(&mut self, said: &Said, end: usize) -> Option<(u32, u32)> {
        while self.list.get(self.next).is_some_and(|trace| trace.start < said.start) {
            self.next += 1;
        }
        let trace = self.list.get(self.next).filter(|trace| trace.is(said, end))?;
        self.forms[trace.form as usize].layout.map(|layout| (layout, trace.first))
    }

    /// Learns from the record that was last asked for, after it was taken apart.
    pub(crate) fn learn(&mut self, said: &Said, row: &Row, block: &Block) {
        let Some(trace) = self.list.get(self.next).filter(|trace| trace.is(said, row.end as usize)) else { return };
        let known = &mut self.forms[trace.form as usize];
        let Some((layout, slots)) = block.values(row).filter(|_| known.layout.is_none()) else { return };
        let traced = &block.slots[trace.first as usize..][..known.values];
        if !layout.is_text && row.before == 0 && slots == traced {
            known.layout = row.layout;
        }
    }
}
