//! Layouts: where the values of a line lie, learned from one line for the next ones.
//!
//! Logs are written by programs, line after line with the same keys in the same order. A layout is everything of a line
//! but its values: the *literals* between them, keys and punctuation and spaces, byte for byte. A line matches if all
//! literals stand where its quotes say they must, and then it *is* those literals and values, so nothing is taken on
//! trust: what matches is well-formed and has the same keys at the same places, and every path leads to the same value.

use super::wanted::{Leaf, MESSAGE, Tree, Want};
use super::{Plan, odd};
use backsight_engine::value::json::{Cursor, Malformed, Shape};

/// Up to 32 bytes that are the same in every line: (part of) a literal.
#[derive(Debug)]
pub(super) struct Check {
    pub text: [u8; 32],
    /// All bits set in the bytes that count.
    pub mask: [u8; 32],
    /// It stands at the end of this value, by its number plus one, or, for 0, at the start of the line,
    pub value: usize,
    /// moved by so many bytes.
    pub moved: isize,
}

impl Check {
    /// The checks of a literal that stands behind so many values, `back` bytes before the place of the last one's end.
    fn literal(text: &[u8], value: usize, back: usize) -> impl Iterator<Item = Check> {
        text.chunks(32).enumerate().map(move |(i, part)| {
            let (mut text, mut mask) = ([0; 32], [0; 32]);
            text[..part.len()].copy_from_slice(part);
            mask[..part.len()].fill(0xff);
            Check { text, mask, value, moved: (32 * i) as isize - back as isize }
        })
    }
}

/// A value between two literals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Its end is the place of a quote, less this: 0 for a string, whose end that quote is.
    pub back: usize,
    /// Added to the place of the quote before to get to its start.
    pub ahead: usize,
}

/// What is asked of a value that is not in quotes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bare {
    /// Which value it is.
    pub value: usize,
    /// It was `null`, and some path would lead to it if it were not.
    pub must_be_null: bool,
    /// Some path leads elsewhere if it is `null`.
    pub must_not_be_null: bool,
    /// Some path leads into it if it is a list or map.
    pub must_not_nest: bool,
}

/// Where a wanted value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// In no line of this layout.
    Null,
    /// A system field records of this layout say nothing about.
    Unsaid,
    /// A string, by the number of the value.
    Text(usize),
    /// A value without quotes.
    Bare(usize),
    /// A list or map with strings in it: from so many bytes into a literal to so many bytes into another.
    Span {
        /// Literal, and bytes into it.
        from: (usize, usize),
        /// Literal, and bytes into it.
        to: (usize, usize),
    },
    /// The whole line.
    Line,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Layout {
    /// All literals: one before each value, and one behind the last, the end of the line included.
    pub checks: Vec<Check>,
    /// Bytes of the last literal.
    pub tail: usize,
    pub slots: Vec<Slot>,
    /// Values without quotes.
    pub bare: Vec<Bare>,
    /// Quotes of a line.
    pub quotes: usize,
    /// By quotes seen so far: which of the next 64 are ends of values.
    pub ends: Vec<u64>,
    /// The last value is not in quotes: it ends at the end of the line.
    pub bare_last: bool,
    /// Lines end in CR LF.
    pub carriage_return: bool,
    /// Some object has a key twice.
    pub repeats: bool,
    /// One for each slot of the scan.
    pub picks: Vec<Pick>,
    /// Where the time is.
    pub time: Pick,
    /// Where the values of the record itself lie; empty if that cannot be said for all lines of the layout.
    pub tops: Vec<Pick>,
}

/// The longest line a layout is learned from, and the most values. Longer lines gain nothing from it.
const MAX_LINE: usize = 64 << 10;
const MAX_VALUES: usize = 1024;

impl Layout {
    /// Learns the layout of a line, given without its end; `None` if there is nothing to be won with such lines.
    pub(super) fn learn(text: &[u8], carriage_return: bool, plan: &Plan) -> Option<Layout> {
        if text.len() > MAX_LINE || text.iter().any(|b| *b < b' ') {
            return None;
        }
        let mut walk = Walk::new(text, &plan.tree);
        let mut cursor = Cursor::new(text);
        walk.map(&mut cursor, Some(0), true).ok()?;
        cursor.end().ok()?;
        let Walk { values, places, tops, repeated, .. } = walk;
        if values.is_empty()
            || values.len() > MAX_VALUES
            || repeated
            || plan.reserved && places[MESSAGE as usize].is_some()
        {
            return None;
        }

        let mut escaped = false;
        let is_quote = |i: &usize| {
            let quote = text[*i] == b'"' && !escaped;
            escaped = text[*i] == b'\\' && !escaped;
            quote
        };
        let quotes: Vec<usize> = (0..text.len()).filter(is_quote).collect();
        let mut layout = Layout {
            checks: Vec::new(),
            tail: 0,
            slots: vec![Slot::default(); values.len()],
            bare: Vec::new(),
            quotes: quotes.len(),
            ends: Vec::new(),
            bare_last: false,
            carriage_return,
            repeats: odd::repeats(text),
            picks: Vec::new(),
            time: Pick::Null,
            tops: tops.iter().map(|place| place.pick(&values)).collect::<Option<_>>().unwrap_or_default(),
        };
        let mut is_end = vec![false; quotes.len() + 64];
        *is_end.get_mut(quotes.len().checked_sub(1)?)? = true;
        // The literal before a value starts at the end of the value before: so many bytes before the place of its end.
        let (mut before, mut back) = (0, 0);
        for (k, value) in values.iter().enumerate() {
            if text[before..value.start].contains(&b'\\') {
                return None;
            }
            layout.checks.extend(Check::literal(&text[before..value.start], k, back));
            layout.slots[k].ahead = (value.start - before).checked_sub(back)?;
            let next = values.get(k + 1).map_or(text.len(), |v| v.start);
            // The quote that ends it: its own, or the first in the literal behind it.
            let end = quotes.partition_point(|q| *q < value.end);
            match quotes.get(end) {
                Some(quote) if *quote < next => {
                    is_end[end] = true;
                    layout.slots[k].back = quote - value.end;
                }
                _ if k + 1 == values.len() => layout.bare_last = true,
                // Nothing but commas between two values of a list.
                _ => return None,
            }
            (before, back) = (value.end, layout.slots[k].back);
        }
        let tail = [&text[before..], if carriage_return { b"\r\n" } else { b"\n" }].concat();
        layout.checks.extend(Check::literal(&tail, values.len(), back));
        layout.tail = tail.len();
        let word = |from: usize| (0..64).fold(0, |bits, i| bits | u64::from(is_end[from + i]) << i);
        layout.ends = (0..quotes.len()).map(word).collect();

        let mut bare: Vec<Option<Bare>> = values
            .iter()
            .enumerate()
            .map(|(value, v)| v.bare.then_some(Bare { value, must_not_nest: v.leads_on, ..Bare::default() }))
            .collect();
        let mut picker = Picker { places: &places, text, values: &values, bare: &mut bare };
        layout.picks = plan.slots.iter().map(|want| picker.want(want)).collect::<Option<_>>()?;
        layout.time = picker.first(&plan.times)?;
        layout.bare = bare.into_iter().flatten().collect();
        Some(layout)
    }

    /// Values of a line.
    pub(super) fn values(&self) -> usize {
        self.slots.len()
    }
}

/// A value found in the line.
struct Value {
    start: usize,
    end: usize,
    /// Not in quotes, and without any within.
    bare: bool,
    /// Wanted paths lead further, should it be a list or map.
    leads_on: bool,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
enum Place {
    Value(usize),
    /// A list or map, by offsets in the line; the number of the first value behind its start, and behind its end.
    /// `clean`: its text is canonical.
    Span {
        start: usize,
        end: usize,
        first: usize,
        behind: usize,
        clean: bool,
    },
}

impl Place {
    /// Where it is found in lines of the layout; `None` for what is not canonical as it stands.
    fn pick(self, values: &[Value]) -> Option<Pick> {
        match self {
            Place::Value(k) if values[k].bare => Some(Pick::Bare(k)),
            Place::Value(k) => Some(Pick::Text(k)),
            Place::Span { clean: false, .. } => None,
            Place::Span { start, end, first, behind, .. } => {
                let into = |value: usize, at: usize| (value, at - value.checked_sub(1).map_or(0, |k| values[k].end));
                Some(Pick::Span { from: into(first, start), to: into(behind, end) })
            }
        }
    }
}

struct Walk<'a> {
    text: &'a [u8],
    tree: &'a Tree,
    values: Vec<Value>,
    /// One for each leaf.
    places: Vec<Option<Place>>,
    /// The values of the record itself.
    tops: Vec<Place>,
    met: Vec<bool>,
    /// A key of some path stands twice in one object.
    repeated: bool,
}

impl<'a> Walk<'a> {
    fn new(text: &'a [u8], tree: &'a Tree) -> Walk<'a> {
        let (leaves, nodes) = tree.size();
        let (places, met) = (vec![None; leaves], vec![false; nodes]);
        Walk { text, tree, values: Vec::new(), places, tops: Vec::new(), met, repeated: false }
    }

    fn map(&mut self, cursor: &mut Cursor<'_>, node: Option<u32>, outer: bool) -> Result<(), Malformed> {
        cursor.enter_map()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let place = if outer && let Some(leaf) = self.tree.reserved(&key) {
                self.repeated |= self.places[leaf as usize].is_some();
                self.value(cursor, None, Some(leaf))?
            } else {
                let child = node.and_then(|node| self.tree.by_key(node, &key));
                self.child(cursor, child)?
            };
            if outer {
                self.tops.push(place);
            }
        }
        Ok(())
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, node: Option<u32>) -> Result<(), Malformed> {
        cursor.enter_list()?;
        let mut first = true;
        let mut at = 0;
        while cursor.element(&mut first)? {
            let child = node.and_then(|node| self.tree.by_index(node, at));
            self.child(cursor, child)?;
            at += 1;
        }
        Ok(())
    }

    fn child(&mut self, cursor: &mut Cursor<'_>, node: Option<u32>) -> Result<Place, Malformed> {
        if let Some(node) = node {
            self.repeated |= std::mem::replace(&mut self.met[node as usize], true);
        }
        self.value(cursor, node, node.and_then(|node| self.tree.leaf(node)))
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, node: Option<u32>, leaf: Option<Leaf>) -> Result<Place, Malformed> {
        let opening = cursor.peek();
        let start = cursor.at();
        let mut inside = cursor.clone();
        let shape = cursor.value()?.shape;
        let end = cursor.at();
        let first = self.values.len();
        let place = if opening == Some(b'"') {
            self.values.push(Value { start: start + 1, end: end - 1, bare: false, leads_on: false });
            Place::Value(first)
        } else if !self.text[start..end].contains(&b'"') {
            let leads_on = node.is_some_and(|node| self.tree.leads_on(node));
            self.values.push(Value { start, end, bare: true, leads_on });
            Place::Value(first)
        } else {
            if opening == Some(b'{') {
                self.map(&mut inside, node, false)?
            } else {
                self.list(&mut inside, node)?
            }
            let clean = matches!(shape, Shape::List { clean: true } | Shape::Map { clean: true });
            Place::Span { start, end, first, behind: self.values.len(), clean }
        };
        if let Some(leaf) = leaf {
            self.places[leaf as usize] = Some(place);
        }
        Ok(place)
    }
}

struct Picker<'p> {
    places: &'p [Option<Place>],
    text: &'p [u8],
    values: &'p [Value],
    bare: &'p mut [Option<Bare>],
}

impl Picker<'_> {
    /// Where a slot of the scan is found; `None` if it cannot be said for all lines of the layout.
    fn want(&mut self, want: &Want) -> Option<Pick> {
        match want {
            Want::Path(leaves) => self.first(leaves),
            Want::System(leaf) => match self.first(&[*leaf])? {
                Pick::Null => Some(Pick::Unsaid),
                said => Some(said),
            },
            Want::Message => Some(Pick::Line),
            Want::Time => Some(Pick::Unsaid),
        }
    }

    /// The first of some leaves that is not `null`; notes what must hold for it to be the first in other lines too.
    fn first(&mut self, leaves: &[Leaf]) -> Option<Pick> {
        let mut present = leaves.iter().filter_map(|leaf| self.places[*leaf as usize]).peekable();
        while let Some(place) = present.next() {
            match place {
                Place::Span { .. } => return place.pick(self.values),
                Place::Value(k) => {
                    let Some(bare) = &mut self.bare[k] else { return Some(Pick::Text(k)) };
                    let is_null = &self.text[self.values[k].start..self.values[k].end] == b"null";
                    match (is_null, present.peek().is_some()) {
                        (true, true) => bare.must_be_null = true,
                        (false, true) => {
                            bare.must_not_be_null = true;
                            return Some(Pick::Bare(k));
                        }
                        (_, false) => return Some(Pick::Bare(k)),
                    }
                }
            }
        }
        Some(Pick::Null)
    }
}
