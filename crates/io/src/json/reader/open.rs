//! What a record turns out to be: where what is wanted lies in it, and what is odd about it.

use super::super::follow::{Follow, Seen};
use super::super::index::Indexing;
use super::super::odd::{Escaped, escaped, repeats};
use super::super::simd::dispatch;
use super::super::skim::Sought;
use super::super::walk;
use super::super::wanted::{Hit, MESSAGE};
use super::{Line, Reader};
use backsight_engine::value::json::{self, Shape};

/// What a line turned out to be.
pub(super) enum Read {
    /// Nothing is in it.
    Blank,
    /// No JSON object.
    Text,
    /// A record; what is wanted is in the hits, and whether some is in those of its `@message`.
    Record { message: Option<Hit>, has_inner: bool },
}

/// What a record was seen to look like.
#[derive(Clone, Copy)]
pub(super) struct Looks {
    /// Nothing if it was too long for that.
    seen: Option<Seen>,
    /// Some object may have a key twice.
    may_repeat: bool,
}

impl Reader<'_> {
    /// The line at `at`, where the line feed behind it is, what it turns out to be, and what it looks like.
    pub(super) fn open_line(&mut self, data: &[u8], at: usize) -> (Line, usize, Read, Looks) {
        let bounds = |feed: usize| {
            let carriage_return = feed > at && data[feed - 1] == b'\r';
            (Line { start: at, end: feed - usize::from(carriage_return) }, feed)
        };
        let end = || memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |n| at + n);
        if self.follows() {
            let (line, feed) = bounds(end());
            if let Some((read, looks)) = self.follow(data, line) {
                return (line, feed, read, looks);
            }
        }
        let indexed = dispatch(self.level, Indexing { data, at, index: &mut self.index });
        let (line, feed) = bounds(if indexed { at + self.index.len } else { end() });
        let (read, looks) = self.walk(data, line, indexed);
        (line, feed, read, looks)
    }

    /// [`Reader::open_line`] for a record that lies at known places.
    pub(super) fn open_record(&mut self, data: &[u8], line: Line) -> (Read, Looks) {
        if self.follows()
            && let Some(found) = self.follow(data, line)
        {
            return found;
        }
        let text = &data[line.start..line.end];
        let indexed = dispatch(self.level, Indexing { data: text, at: 0, index: &mut self.index });
        let indexed = indexed && self.index.len == text.len();
        self.walk(data, line, indexed)
    }

    /// True if what is known of parts of others should be tried on the next record.
    fn follows(&mut self) -> bool {
        !self.pass.options.strict && self.ways.worth_trying()
    }

    /// Finds what is wanted in a record whose parts are known; `None` if they are not.
    fn follow(&mut self, data: &[u8], line: Line) -> Option<(Read, Looks)> {
        let Line { start, end } = line;
        let (ways, hits, quotes) = (&mut self.ways, &mut self.hits, &mut self.quotes);
        let seen = dispatch(self.level, Follow { data, start, end, ways, hits, quotes });
        self.learns = self.ways.tried(seen.is_some(), end - start);
        let looks = Looks { seen: Some(seen?), may_repeat: false };
        Some((self.record_found(&data[start..end]), looks))
    }

    /// Finds what is wanted in a record by its tokens, if they are in the index.
    fn walk(&mut self, data: &[u8], line: Line, indexed: bool) -> (Read, Looks) {
        let text = &data[line.start..line.end];
        let (found, seen, may_repeat) = match indexed {
            true => {
                let found = walk::find(&self.plan.tree, text, &self.index, &mut self.hits, &mut self.keys);
                let seen = Seen { high: self.index.high, slashed: self.index.slashed };
                (found, Some(seen), self.keys.may_repeat)
            }
            false => (self.plan.tree.find(text, true, &mut self.hits), None, true),
        };
        let learns = std::mem::take(&mut self.learns);
        let read = match found {
            Ok(()) => self.record_found(text),
            Err(_) if text.trim_ascii().is_empty() => Read::Blank,
            Err(_) => Read::Text,
        };
        if learns && found.is_ok() {
            self.ways.learn(text, &self.plan.tree);
        }
        (read, Looks { seen, may_repeat })
    }

    /// A record of which all that is wanted is in the hits.
    fn record_found(&mut self, text: &[u8]) -> Read {
        let message = if self.plan.reserved { self.hits.get(MESSAGE) } else { None };
        let has_inner = message.is_some_and(|hit| self.open_message(text, hit));
        Read::Record { message, has_inner }
    }

    /// Looks into the text of a record's `@message`: true if it is a JSON object, whose fields are then in `inner_hits`.
    fn open_message(&mut self, text: &[u8], message: Hit) -> bool {
        self.inner.clear();
        let whole = &text[message.start..message.end];
        match message.shape {
            Shape::String { .. } => drop(json::decode(&whole[1..whole.len() - 1], &mut self.inner)),
            _ => self.inner.extend_from_slice(whole),
        }
        self.plan.tree.find(&self.inner, false, &mut self.inner_hits).is_ok()
    }

    /// Counts what is odd in a record that was opened.
    pub(super) fn count_odd(&mut self, text: &[u8], read: &Read, looks: Looks) {
        let Looks { seen, may_repeat } = looks;
        let high = seen.map_or_else(|| !text.is_ascii(), |seen| seen.high);
        let is_broken = high && simdutf8::basic::from_utf8(text).is_err();
        let is_record = matches!(read, Read::Record { .. });
        let escaped = match seen {
            _ if !is_record => Escaped { zero: memchr::memchr(0, text).is_some(), half: false },
            Some(Seen { slashed: false, .. }) => Escaped::default(),
            _ => escaped(text),
        };
        self.count.not_utf8 += u64::from(is_broken);
        self.count.half_surrogates += u64::from(escaped.half);
        self.count.zeros += u64::from(escaped.zero);
        self.count.repeated_keys += u64::from(is_record && may_repeat && repeats(text));
    }

    /// Counts a record that lies in a file among others, without reading it, where nothing the filters want is in it.
    pub(in super::super) fn pass_over(&mut self, data: &[u8], line: Line) -> bool {
        if !self.skims {
            return false;
        }
        let needles = self.plan.needles.get(data);
        let is_sought = dispatch(self.level, Sought { data, start: line.start, end: line.end, needles });
        self.skims = self.pays.after(u64::from(!is_sought), u64::from(is_sought));
        self.count.records += u64::from(!is_sought);
        !is_sought
    }
}
