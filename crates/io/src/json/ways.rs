//! Ways through records: what has followed each value of earlier records, learned from one record for the next ones.
//!
//! Where records of many kinds take turns, as in CloudTrail, no layout of a whole record ([`super::layout`]) lasts, but
//! what stands between one value and the next does: behind the value of `awsRegion` comes `","sourceIPAddress":"`, most
//! likely. So the ways are a graph. A *place* is a key, with the objects and lists around it; from the value at a place
//! *steps* lead to the next, each with its *literal*, all bytes between the two. A record that is made of such literals
//! and of values ([`super::follow`]) is well-formed, since places tell what is open around them, and its keys are known.

use super::walk;
use super::wanted::{Leaf, Tree};
use backsight_engine::value::json::{Cursor, Malformed, Shape};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Bytes of a literal that are compared at once.
pub(super) const FIRST: usize = 32;

/// From a value to the next, or to the end.
#[derive(Debug)]
pub(super) struct Step {
    /// The first bytes of the literal, and how many of them there are.
    pub first: [u8; FIRST],
    pub known: u8,
    /// The bytes behind those.
    pub rest: Box<[u8]>,
    /// Quotes in the literal.
    pub quotes: u16,
    /// What the literal leads to.
    pub to: Target,
    /// The place of that.
    pub place: u32,
    /// The place whose key is in the literal, if that is all that happens within it, and whether it is in an object that
    /// is an element of a list.
    pub key: Option<u32>,
    pub is_listed: bool,
    /// The path of the value is wanted.
    pub leaf: Option<Leaf>,
    /// What happens within the literal otherwise, in order.
    pub marks: Box<[Mark]>,
}

/// What a literal leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A string. Its opening quote belongs to the literal before, its closing one to that behind.
    Text,
    /// A number.
    Number,
    /// A word, or a list or map without anything in it: the last so many bytes of the literal.
    Word(u8, Shape),
    /// The end of the record.
    End,
}

/// What happens within a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The key of a place. Behind [`Mark::Element`] in a list; it may not come twice in the same object.
    Key(u32),
    /// An object begins that is an element of a list.
    Element,
    /// A list or map that is wanted begins so many bytes into the literal,
    Open(Leaf, usize),
    /// or ends.
    Close(Leaf, usize),
}

/// Elements of lists have none.
type Key = Option<Box<[u8]>>;

/// A place.
#[derive(Debug)]
pub(super) struct Place {
    /// The last that was taken comes first.
    pub steps: Vec<Step>,
    /// Lists around it.
    lists: u8,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// The first is the beginning of a record.
    pub places: Vec<Place>,
    /// The record, or the element of a list, each place was met in last.
    pub met: Vec<u32>,
    /// Places by the one around them and their key.
    by_key: HashMap<(u32, Key), u32>,
    /// Goes up with each record, and each element of a list.
    pub serial: u32,
    /// In the last record: steps that were taken, and that others were looked at before.
    pub taken: u32,
    pub missed: u32,
    /// Goes up with records that were followed to the end and down with others.
    credit: u32,
    /// Records still to be read without trying.
    pause: u32,
    /// Records that may still be learned from.
    lessons: u32,
    followed: u32,
    /// About the bytes of all this.
    size: usize,
}

/// Steps from a place that are kept, and bytes of all that is known, about.
const MAX_STEPS: usize = 48;
const MAX_SIZE: usize = 4 << 20;

/// The longest literal.
const MAX_LITERAL: usize = 1 << 12;

/// Credit at the start, and the most there is; what a record is worth that was followed.
const CREDIT: u32 = 256;
const WORTH: u32 = 2;

/// Bytes of a usual record, at most.
const USUAL: usize = 2048;

/// Records read without trying once all credit is gone.
const PAUSE: u32 = 4000;

/// The most lessons there are, and the records to be followed for another.
const LESSONS: u32 = 512;
const LESSON: u32 = 16;

impl Ways {
    /// Ways that another reader has left, or none yet.
    pub(super) fn of(left: &Mutex<Vec<Ways>>) -> Ways {
        let left = left.lock().unwrap_or_else(PoisonError::into_inner).pop();
        left.unwrap_or_else(|| Ways { credit: CREDIT, lessons: LESSONS, ..Ways::default() })
    }

    /// Leaves them to another reader.
    pub(super) fn give_back(self, left: &Mutex<Vec<Ways>>) {
        left.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// True if the next record should be tried; called once a record.
    pub(super) fn worth_trying(&mut self) -> bool {
        self.pause = self.pause.saturating_sub(1);
        self.pause == 0
    }

    /// A record of so many bytes was tried: whether it could be followed. True if it should be learned from.
    pub(super) fn tried(&mut self, followed: bool, bytes: usize) -> bool {
        // A long record costs as much as many.
        let cost = 1 + (bytes / USUAL) as u32;
        // Where keys come in any order, looking for the right step costs more than it saves.
        let is_straight = self.missed <= 2 * self.taken;
        if followed && is_straight {
            self.credit = (self.credit + WORTH * cost).min(CREDIT);
            self.followed += 1;
            if self.followed >= LESSON {
                self.followed = 0;
                self.lessons = (self.lessons + 1).min(LESSONS);
            }
            return false;
        }
        self.credit = self.credit.saturating_sub(cost);
        if self.credit == 0 {
            (self.pause, self.credit) = (PAUSE, CREDIT / 4);
        }
        let learns = !followed && self.lessons > 0 && self.size < MAX_SIZE;
        if learns {
            self.lessons = self.lessons.saturating_sub(cost);
        }
        learns
    }

    /// Learns the way through a record that is well-formed.
    pub(super) fn learn(&mut self, text: &[u8], tree: &Tree) {
        if self.places.is_empty() {
            self.add_place(0);
        }
        let lesson = Lesson { text, tree, ways: self, from: 0, behind: 0, marks: Vec::new() };
        // What cannot be followed is left unsaid: such records are read in the general way.
        let _ = lesson.record();
    }

    /// The place of a key, or of elements of a list, within another.
    fn place(&mut self, around: u32, key: Option<&[u8]>) -> u32 {
        let new = self.places.len() as u32;
        let place = *self.by_key.entry((around, key.map(Box::from))).or_insert(new);
        if place == new {
            let lists = self.places[around as usize].lists + u8::from(key.is_none());
            self.size += key.map_or(0, <[u8]>::len);
            self.add_place(lists);
        }
        place
    }

    fn add_place(&mut self, lists: u8) {
        self.places.push(Place { steps: Vec::new(), lists });
        self.met.push(self.serial);
        // With its entry in the map.
        self.size += 2 * size_of::<Place>() + size_of::<Key>();
    }
}

/// A record being learned from. What it has learned before it meets something that cannot be followed stays.
struct Lesson<'l> {
    text: &'l [u8],
    tree: &'l Tree,
    ways: &'l mut Ways,
    /// The place of the last value, and where it ends.
    from: u32,
    behind: usize,
    /// What happened since.
    marks: Vec<Mark>,
}

/// It cannot be followed.
struct Odd;

impl From<Malformed> for Odd {
    fn from(_: Malformed) -> Odd {
        Odd
    }
}

impl Lesson<'_> {
    fn record(mut self) -> Result<(), Odd> {
        let mut cursor = Cursor::new(self.text);
        if cursor.peek() != Some(b'{') {
            return Err(Odd);
        }
        self.map(&mut cursor, 0, Some(0), true)?;
        self.step(self.text.len(), Target::End, 0, None)
    }

    fn map(&mut self, cursor: &mut Cursor<'_>, around: u32, node: Option<u32>, outer: bool) -> Result<(), Odd> {
        cursor.enter_map()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            if key.escaped {
                return Err(Odd);
            }
            let place = self.ways.place(around, Some(key.inner));
            self.marks.push(Mark::Key(place));
            match self.tree.reserved(&key).filter(|_| outer) {
                Some(leaf) => self.value(cursor, place, None, Some(leaf))?,
                None => {
                    let node = node.and_then(|node| self.tree.by_key(node, &key));
                    self.value(cursor, place, node, node.and_then(|node| self.tree.leaf(node)))?;
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, around: u32) -> Result<(), Odd> {
        cursor.enter_list()?;
        let place = self.ways.place(around, None);
        let mut first = true;
        while cursor.element(&mut first)? {
            if cursor.peek() == Some(b'{') {
                // Which object a key belongs to is kept for one level of lists.
                if self.ways.places[place as usize].lists > 1 {
                    return Err(Odd);
                }
                self.marks.push(Mark::Element);
            }
            self.value(cursor, place, None, None)?;
        }
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, place: u32, node: Option<u32>, leaf: Option<Leaf>) -> Result<(), Odd> {
        let opening = cursor.peek().ok_or(Odd)?;
        let start = cursor.at();
        let mut inside = cursor.clone();
        let raw = cursor.value()?;
        let end = cursor.at();
        match raw.shape {
            Shape::String { .. } => {
                self.step(start + 1, Target::Text, place, leaf)?;
                self.behind = end - 1;
            }
            Shape::Number => {
                self.step(start, Target::Number, place, leaf)?;
                self.behind = end;
            }
            Shape::List { .. } if node.is_some_and(|node| self.tree.leads_on_by_index(node)) => return Err(Odd),
            Shape::List { .. } | Shape::Map { .. } if !is_empty(raw.text) => {
                if let Some(leaf) = leaf {
                    self.marks.push(Mark::Open(leaf, start - self.behind));
                }
                match opening {
                    b'{' => self.map(&mut inside, place, node, false)?,
                    _ => self.list(&mut inside, place)?,
                }
                if let Some(leaf) = leaf {
                    self.marks.push(Mark::Close(leaf, end - self.behind));
                }
            }
            shape => {
                let length = u8::try_from(end - start).map_err(|_| Odd)?;
                self.step(end, Target::Word(length, shape), place, leaf)?;
                self.behind = end;
            }
        }
        Ok(())
    }

    /// Adds the step whose literal reaches to `end`, if it is not known.
    fn step(&mut self, end: usize, to: Target, place: u32, leaf: Option<Leaf>) -> Result<(), Odd> {
        let literal = &self.text[self.behind..end];
        if literal.contains(&b'\\') || literal.len() > MAX_LITERAL || self.ways.size > MAX_SIZE {
            return Err(Odd);
        }
        let known = literal.len().min(FIRST);
        let mut first = [0; FIRST];
        first[..known].copy_from_slice(&literal[..known]);
        let mut marks = std::mem::take(&mut self.marks);
        let key = match marks[..] {
            [Mark::Key(key)] => Some(key),
            _ => None,
        };
        if key.is_some() {
            marks.clear();
        }
        let step = Step {
            first,
            known: known as u8,
            rest: literal[known..].into(),
            quotes: literal.iter().filter(|byte| **byte == b'"').count() as u16,
            to,
            place,
            key,
            is_listed: key.is_some_and(|key| self.ways.places[key as usize].is_listed()),
            leaf,
            marks: marks.into(),
        };
        let steps = &mut self.ways.places[self.from as usize].steps;
        let same = |known: &Step| {
            (known.first, &known.rest, known.to, known.place) == (step.first, &step.rest, step.to, step.place)
                && known.known == step.known
        };
        if !steps.iter().any(same) {
            self.ways.size += size_of::<Step>() + step.rest.len() + size_of_val(&*step.marks);
            steps.truncate(MAX_STEPS - 1);
            steps.insert(0, step);
        }
        self.from = place;
        Ok(())
    }
}

/// True for a list or map without anything in it.
fn is_empty(text: &[u8]) -> bool {
    text[1..text.len() - 1].trim_ascii().is_empty()
}

impl Place {
    /// It is in an object that is an element of a list.
    #[inline(always)]
    pub(super) fn is_listed(&self) -> bool {
        self.lists > 0
    }
}

/// The length of the number a text starts with; 0 if it starts with none, or one that is not well-formed.
#[inline(always)]
pub(super) fn number(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match text.get(digits) {
        Some(b',' | b'}' | b']') if matches!(text, [b'1'..=b'9', ..] | [b'0', b',' | b'}' | b']', ..]) => digits,
        _ => other_number(text),
    }
}

#[inline(never)]
fn other_number(text: &[u8]) -> usize {
    let within = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = text.iter().take_while(within).count();
    match walk::other_scalar(&text[..length]) {
        Ok(Shape::Number) => length,
        _ => 0,
    }
}
