//! The cells of a record whose values have been found.

use super::super::bet::Take;
use super::super::wanted::{Hit, Leaf, Want};
use super::open::Read;
use super::{Around, Line, Reader};
use crate::rows::{Cells, Side, view};
use crate::text;
use backsight_engine::value::Kind;
use backsight_engine::value::json::{self, Shape};
use std::borrow::Cow;

impl Reader<'_> {
    /// Adds the cells of a line that was opened.
    pub(super) fn fill(&mut self, data: &[u8], line: Line, read: &Read, take: Take<'_>, around: &Around<'_>) {
        let Read::Record { message, has_inner } = *read else { return self.text_row(line, take, around) };
        let text = &data[line.start..line.end];
        for slot in take.slots.iter().copied() {
            match &self.plan.slots[slot] {
                Want::Path(leaves) => match self.hits.first(leaves) {
                    Some(hit) => self.put(slot, data, line, hit, around),
                    None => match self.inner_hits.first(leaves).filter(|_| has_inner) {
                        Some(hit) => {
                            let (cells, side) = self.rows.next(slot);
                            push_copy(cells, side, &self.inner, hit);
                        }
                        None => self.rows.null(slot),
                    },
                },
                Want::Message => match message {
                    Some(hit) => self.put(slot, data, line, hit, around),
                    None => self.message(slot, line, around),
                },
                Want::System(leaf) => match self.hits.get(*leaf) {
                    // Rows before one that says it have what is filled in at the end.
                    Some(hit) => self.put(slot, data, line, hit, around),
                    None => self.system(slot, *leaf, around),
                },
                Want::Time => {}
            }
        }
        if take.timed {
            let inner = || self.inner_hits.first(&self.plan.times).filter(|_| has_inner);
            let found = || match self.hits.first(&self.plan.times) {
                Some(hit) => Some((text, hit)),
                None => inner().map(|hit| (&self.inner[..], hit)),
            };
            let time = around.time.or_else(|| {
                let (text, hit) = found()?;
                let (kind, text) = canonical(text, hit);
                self.times.read(kind, &text)
            });
            self.count.no_timestamp += u64::from(time.is_none());
            self.rows.times.push(time);
        }
    }

    /// Adds a value of a record, which lies in the chunk or elsewhere.
    fn put(&mut self, slot: usize, data: &[u8], line: Line, hit: Hit, around: &Around<'_>) {
        let (cells, side) = self.rows.next(slot);
        match around.elsewhere {
            true => push_copy(cells, side, &data[line.start..line.end], hit),
            false => push(cells, side, data, line.start, hit),
        }
    }

    /// `@message` of a record that does not say another: its own text.
    fn message(&mut self, slot: usize, line: Line, around: &Around<'_>) {
        let Line { start, end } = around.message.unwrap_or(line);
        let data = self.chunk.data.as_slice();
        self.rows.next(slot).0.push(view(data, 0, start, end - start), Kind::String);
    }

    /// A system field of a record that does not say it itself.
    fn system(&mut self, slot: usize, leaf: Leaf, around: &Around<'_>) {
        match around.system(leaf) {
            Some(text) => {
                let (cells, side) = self.rows.next(slot);
                cells.push(side.keep(text, 1), Kind::String);
            }
            None => self.rows.null(slot),
        }
    }

    /// A record that is no JSON object: nothing but `@message`, and what its text looks like may say.
    fn text_row(&mut self, line: Line, take: Take<'_>, around: &Around<'_>) {
        // Text that lies elsewhere is never shown.
        let line = around.message.filter(|_| around.elsewhere).unwrap_or(line);
        let data = self.chunk.data.clone();
        let text = &data[line.start..line.end];
        let found = text::divide(around.lines, text, &mut self.spans);
        for slot in take.slots.iter().copied() {
            match &self.plan.slots[slot] {
                Want::Message => self.message(slot, line, around),
                Want::System(leaf) => self.system(slot, *leaf, around),
                Want::Path(_) => match found.and_then(|plan| plan.picks[slot]) {
                    Some(pick) => {
                        let (cells, side) = self.rows.next(slot);
                        text::push(cells, side, &data, line.start, text, pick, &self.spans);
                    }
                    None => self.rows.null(slot),
                },
                Want::Time => {}
            }
        }
        if take.timed {
            self.count.no_timestamp += u64::from(around.time.is_none());
            self.rows.times.push(around.time);
        }
    }
}

/// Kind and canonical text of a hit in `text`.
fn canonical(text: &[u8], hit: Hit) -> (Kind, Cow<'_, [u8]>) {
    let raw = json::Raw { text: &text[hit.start..hit.end], shape: hit.shape };
    raw.canonical().expect("a hit is never null")
}

/// Adds a value that lies in a line of the chunk: in place, unless its text must be made.
fn push(cells: &mut Cells, side: &mut Side, data: &[u8], line: usize, hit: Hit) {
    let (start, len) = (line + hit.start, hit.end - hit.start);
    match hit.shape {
        Shape::String { escaped: false } => cells.push(view(data, 0, start + 1, len - 2), Kind::String),
        Shape::Number => cells.push(view(data, 0, start, len), json::number_kind(&data[start..start + len])),
        Shape::Bool => cells.push(view(data, 0, start, len), Kind::Bool),
        Shape::List { clean: true } => cells.push(view(data, 0, start, len), Kind::List),
        Shape::Map { clean: true } => cells.push(view(data, 0, start, len), Kind::Map),
        _ => push_copy(cells, side, &data[line..], hit),
    }
}

/// Adds a value whose text must be made, or lies nowhere for long.
fn push_copy(cells: &mut Cells, side: &mut Side, text: &[u8], hit: Hit) {
    let (kind, text) = canonical(text, hit);
    cells.push(side.keep(&text, 1), kind);
}
