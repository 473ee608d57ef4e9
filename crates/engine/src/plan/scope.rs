//! What a name means at one point of the pipeline, and which columns are shown (language reference, §5.1 and §5.2).

use super::{Slot, SortKey};
use crate::source::Field;
use backsight_lang::ast::{Duration, Path, Segment};
use backsight_lang::span::Span;
use std::collections::HashMap;

/// What a path resolves to: a column, and the steps into its value that remain.
pub(super) struct Resolved {
    pub slot: Slot,
    pub rest: Vec<Segment>,
}

/// The names and columns at one point of the pipeline.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The names made by commands.
    created: HashMap<String, Slot>,
    /// Names of unaliased columns of a `stats`, without white space: how an expression refers to them.
    texts: Vec<(String, Slot)>,
    /// Texts of the columns of a `stats` that have another name, which may be meant by them all the same.
    aliased: Vec<(String, String, Slot)>,
    /// True after a row-reshaping command: only `created` exists.
    pub closed: bool,
    /// The fields read from the source so far, before any row-reshaping command.
    pub fields: Vec<(Field, Slot)>,
    /// Where each of them is named first.
    pub places: Vec<(Field, Span)>,
    /// Slots handed out.
    pub slots: usize,
    /// What is shown.
    pub shown: Shown,
    /// The order rows are in as far as the query can tell; not necessarily established yet.
    pub order: Vec<SortKey>,
    /// Rows are in the default order of raw events, which `order` does not spell out yet.
    pub default_order: bool,
    /// A `sort`, a `stats`, or a command that orders rows itself has said how they are ordered.
    pub explicit: bool,
    /// The rows really are in `order`.
    pub sorted: bool,
    /// The `bin()` columns of the last `stats`, with their periods.
    pub bins: Vec<(Slot, Option<Duration>)>,
    /// The group keys of the last `stats`.
    pub keys: Vec<Slot>,
}

/// The shown columns of a stage.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The stage's own columns, before any `fields`; `None` stands for `@timestamp, @message`.
    base: Option<Vec<(String, Slot)>>,
    /// What `fields` asked for or commands appended.
    list: Vec<(String, Slot)>,
    /// A `fields` replaced the base.
    replaced: bool,
    /// A `display` fixed the list.
    pub fixed: bool,
}

impl Shown {
    fn columns(columns: Vec<(String, Slot)>) -> Shown {
        Shown { base: Some(columns), ..Shown::default() }
    }

    fn put(&mut self, name: &str, slot: Slot) {
        let base = self.base.iter_mut().flatten().filter(|_| !self.replaced);
        match base.chain(self.list.iter_mut()).find(|(n, _)| n == name) {
            Some(entry) => entry.1 = slot,
            None => self.list.push((name.to_owned(), slot)),
        }
    }

    /// `fields`
    pub fn select(&mut self, items: &[(String, Slot)]) {
        if self.fixed {
            return self.redefine(items);
        }
        if !self.replaced {
            self.replaced = true;
            self.list.clear();
        }
        items.iter().for_each(|(n, s)| self.put(n, *s));
    }

    /// Names made by `parse` and its like.
    pub fn append(&mut self, items: &[(String, Slot)]) {
        if self.fixed {
            return self.redefine(items);
        }
        items.iter().for_each(|(n, s)| self.put(n, *s));
    }

    /// `display`
    pub fn fix(&mut self, items: &[(String, Slot)]) {
        *self = Shown { replaced: true, fixed: true, base: None, list: Vec::new() };
        items.iter().for_each(|(n, s)| self.put(n, *s));
    }

    /// A shown name has another value from here on.
    pub fn replace(&mut self, name: &str, slot: Slot) {
        let columns = self.base.iter_mut().flatten().chain(self.list.iter_mut());
        columns.filter(|(n, _)| n == name).for_each(|entry| entry.1 = slot);
    }

    /// After a `display` a name that is shown changes its value; no name is added.
    fn redefine(&mut self, items: &[(String, Slot)]) {
        for (name, slot) in items {
            if let Some(entry) = self.list.iter_mut().find(|(n, _)| n == name) {
                entry.1 = *slot;
            }
        }
    }
}

impl Scope {
    /// The scope of raw events.
    pub fn source() -> Scope {
        Scope { default_order: true, ..Scope::default() }
    }

    /// A scope after a row-reshaping command with these columns; `slots` slots are taken.
    pub fn of_slots(columns: Vec<(String, Slot)>, slots: usize) -> Scope {
        Scope {
            closed: true,
            explicit: true,
            slots,
            created: columns.iter().cloned().collect(),
            shown: Shown::columns(columns),
            ..Scope::default()
        }
    }

    /// The one `bin()` column of the last `stats`, and its period.
    pub fn bin_period(&self) -> Option<(Slot, Duration)> {
        match self.bins.as_slice() {
            [(slot, Some(period)), ..] => Some((*slot, *period)),
            _ => None,
        }
    }

    /// A fresh slot.
    pub fn slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    /// Binds a name from here on.
    pub fn create(&mut self, name: &str, slot: Slot) {
        self.created.insert(name.to_owned(), slot);
    }

    /// Makes an unaliased column reachable by its text.
    pub fn create_text(&mut self, text: &str, slot: Slot) {
        self.texts.push((squeeze(text), slot));
    }

    /// Makes a column that has a name reachable by its text, with a note.
    pub fn create_aliased(&mut self, text: &str, name: &str, slot: Slot) {
        self.aliased.push((squeeze(text), name.to_owned(), slot));
    }

    /// The one column with a name of its own whose text this is: its name and slot.
    pub fn by_aliased_text(&self, text: &str) -> Option<(String, Slot)> {
        let text = squeeze(text);
        let mut found = self.aliased.iter().filter(|(t, ..)| *t == text);
        match (found.next(), found.next()) {
            (Some((_, name, slot)), None) => Some((name.clone(), *slot)),
            _ => None,
        }
    }

    /// The unaliased column with this text, exact case first.
    pub fn by_text(&self, text: &str) -> Option<Slot> {
        if self.texts.is_empty() {
            return None;
        }
        let text = squeeze(text);
        let exact = self.texts.iter().find(|(t, _)| *t == text);
        exact.or_else(|| self.texts.iter().find(|(t, _)| t.eq_ignore_ascii_case(&text))).map(|(_, s)| *s)
    }

    /// The one unaliased column that is a call of `name`.
    pub fn only_call_of(&self, name: &str) -> Option<(String, Slot)> {
        let is_call = |text: &str| text.split_once('(').is_some_and(|(f, _)| f.eq_ignore_ascii_case(name));
        let mut found = self.texts.iter().filter(|(text, _)| is_call(text));
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one.clone()),
            _ => None,
        }
    }

    /// The slot of a created name.
    pub fn created(&self, name: &str) -> Option<Slot> {
        self.created.get(name).copied()
    }

    /// Whether a path is certainly one of this scope's names.
    pub fn has(&self, path: &Path) -> bool {
        let starts = (1..=path.segments.len()).rev();
        let mut heads = starts.map(|end| Path { segments: path.segments[..end].to_vec(), span: path.span }.text());
        heads.any(|head| self.created(&head).is_some()) || path.text().starts_with('@')
    }

    /// The names made by commands, and their slots, by name.
    pub fn made(&self) -> Vec<(String, Slot)> {
        let mut made: Vec<(String, Slot)> = self.created.iter().map(|(n, s)| (n.clone(), *s)).collect();
        made.sort();
        made
    }

    /// The names that exist; in the source stage, only those made by commands.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.created.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Resolves a path: the longest prefix that is a created name, else a field of the source; `None` if neither can be.
    pub fn resolve(&mut self, path: &Path) -> Option<Resolved> {
        let segments = &path.segments;
        for end in (1..=segments.len()).rev() {
            let head = Path { segments: segments[..end].to_vec(), span: path.span };
            if let Some(slot) = self.created(&head.text()) {
                return Some(Resolved { slot, rest: segments[end..].to_vec() });
            }
        }
        if self.closed {
            let slot = self.by_text(&path.text())?;
            return Some(Resolved { slot, rest: Vec::new() });
        }
        let field = Field::named(path);
        if !self.places.iter().any(|(named, _)| *named == field) {
            self.places.push((field.clone(), path.span));
        }
        Some(Resolved { slot: self.field(field), rest: Vec::new() })
    }

    /// The slot of a field of the source, which is read from now on.
    pub fn field(&mut self, field: Field) -> Slot {
        if let Some((_, slot)) = self.fields.iter().find(|(f, _)| *f == field) {
            return *slot;
        }
        let slot = self.slot();
        self.fields.push((field, slot));
        slot
    }

    /// The slot of a system field, as the query may have redefined it; `None` where it does not exist any more.
    pub fn system(&mut self, field: Field) -> Option<Slot> {
        match self.created(&field.name()) {
            Some(slot) => Some(slot),
            None if self.closed => None,
            None => Some(self.field(field)),
        }
    }

    /// The shown columns at this point; reads the default ones where nothing else was asked for.
    pub fn shown(&mut self) -> Vec<(String, Slot)> {
        let mut all = Vec::new();
        if !self.shown.replaced {
            match self.shown.base.clone() {
                Some(base) => all = base,
                None => {
                    for field in [Field::Timestamp, Field::Message] {
                        let name = field.name();
                        if let Some(slot) = self.system(field) {
                            all.push((name, slot));
                        }
                    }
                }
            }
        }
        for (name, slot) in &self.shown.list {
            match all.iter_mut().find(|(n, _)| n == name) {
                Some(entry) => entry.1 = *slot,
                None => all.push((name.clone(), *slot)),
            }
        }
        all
    }
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '`').collect()
}
