//! Which fields tell the rows where a condition holds from the others: `relevantfields`.

use super::Cx;
use super::ordered::stoppable;
use crate::plan::Slot;
use crate::value::column::{Batch, Column, Positions};
use crate::value::{Kind, Value, compare, json};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

type Hasher = foldhash::fast::RandomState;

/// How often each text of a field stands in rows where the condition holds, and in the others.
type Counts = HashMap<Vec<u8>, [u64; 2], Hasher>;

/// The value of a key.
type Cell<'t> = (Kind, Cow<'t, [u8]>);

/// What is to be told apart by what.
pub(super) struct Question<'q> {
    /// The column that says where the condition holds.
    pub holds: Slot,
    /// Names and columns of fields.
    pub fields: &'q [(String, Slot)],
    /// The events' text, whose own fields are looked at, too.
    pub message: Option<Slot>,
    /// Fields of the text that are left out.
    pub without: &'q [String],
}

/// One row per field: name, score, the value whose share differs most, its share where the condition holds, and elsewhere.
pub(super) fn relevant(rows: &Batch, question: &Question<'_>, cx: &Cx<'_>) -> Batch {
    let holds = super::column(rows, question.holds);
    let side: Vec<usize> = holds.iter().map(|v| usize::from(!compare::truth(v))).collect();
    let mut totals = [0u64; 2];
    side.iter().for_each(|s| totals[*s] += 1);
    let at_once = rows.rows.div_ceil(cx.ctl.threads()).max(1);
    let pieces: Vec<Range<usize>> =
        (0..rows.rows).step_by(at_once).map(|first| first..rows.rows.min(first + at_once)).collect();
    let count = |piece: Range<usize>| {
        let mut found = Found::default();
        found.count(&rows.slice(piece.start, piece.len()), &side[piece], question, cx);
        found.by_name()
    };
    let counted: Vec<BTreeMap<String, Counts>> = cx.ctl.install(|| pieces.into_par_iter().map(count).collect());
    // A field without a value is one, too, if it was asked for.
    let mut all: BTreeMap<String, Vec<Counts>> =
        question.fields.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    counted.into_iter().flatten().for_each(|(name, counts)| all.entry(name).or_default().push(counts));
    let scored: Vec<[Value; 5]> = cx.ctl.install(|| {
        let all: Vec<(String, Vec<Counts>)> = all.into_iter().collect();
        all.into_par_iter().map(|(name, counts)| row(&name, &together(counts), totals)).collect()
    });
    let columns: Vec<Column> = (0..5).map(|c| scored.iter().map(|row| row[c].clone()).collect()).collect();
    Batch { columns, rows: scored.len(), positions: Positions::sequence(0, scored.len()) }
}

fn add(counts: &mut Counts, text: &[u8], [here, elsewhere]: [u64; 2]) {
    let both = counts.entry_ref(text).or_insert([0; 2]);
    *both = [both[0] + here, both[1] + elsewhere];
}

/// All counts of a field.
fn together(mut counts: Vec<Counts>) -> Counts {
    counts.sort_by_key(Counts::len);
    let mut all = counts.pop().unwrap_or_default();
    counts.iter().flatten().for_each(|(text, both)| add(&mut all, text, *both));
    all
}

/// A row of the condition (0), or another (1).
fn one(side: usize) -> [u64; 2] {
    [1 - side as u64, side as u64]
}

/// Fields that are found as rows are gone through.
#[derive(Default)]
struct Found {
    fields: Vec<Field>,
    names: HashMap<String, usize, Hasher>,
    /// The fields of keys of an object, which is at a field itself, or nowhere.
    keys: HashMap<(Option<usize>, Vec<u8>), usize, Hasher>,
    /// Objects so far.
    objects: u64,
}

struct Field {
    name: String,
    counts: Counts,
    skipped: bool,
    /// The object at hand has it, at this place of its entries.
    seen: (u64, usize),
}

/// Asks for a key of an object without copying it.
#[derive(Hash)]
struct Key<'k>(Option<usize>, &'k [u8]);

impl hashbrown::Equivalent<(Option<usize>, Vec<u8>)> for Key<'_> {
    fn equivalent(&self, key: &(Option<usize>, Vec<u8>)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl Found {
    fn count(&mut self, rows: &Batch, side: &[usize], question: &Question<'_>, cx: &Cx<'_>) {
        for (name, slot) in question.fields {
            let field = self.field(name.clone(), question);
            let counts = &mut self.fields[field].counts;
            for (v, side) in stoppable(super::column(rows, *slot).iter().zip(side), cx) {
                v.text().into_iter().for_each(|text| add(counts, &text, one(*side)));
            }
        }
        let Some(slot) = question.message else { return };
        for (v, side) in stoppable(super::column(rows, slot).iter().zip(side), cx) {
            v.text().into_iter().for_each(|text| self.discover(None, &text, one(*side), question));
        }
    }

    /// The number of a field.
    fn field(&mut self, name: String, question: &Question<'_>) -> usize {
        if let Some(known) = self.names.get(&name) {
            return *known;
        }
        let skipped = question.without.contains(&name) || question.fields.iter().any(|(n, _)| *n == name);
        self.names.insert(name.clone(), self.fields.len());
        self.fields.push(Field { name, counts: Counts::default(), skipped, seen: (0, 0) });
        self.fields.len() - 1
    }

    /// The fields of a JSON object, those of objects inside it by their path; of equal keys the last.
    fn discover(&mut self, inside: Option<usize>, text: &[u8], by: [u64; 2], question: &Question<'_>) {
        self.objects += 1;
        let object = self.objects;
        let mut last: Vec<(usize, Option<Cell<'_>>)> = Vec::new();
        for (key, value) in json::entries(text) {
            let field = match self.keys.get(&Key(inside, &key)) {
                Some(field) => *field,
                None => {
                    let prefix = inside.map_or(String::new(), |field| format!("{}.", self.fields[field].name));
                    let field = self.field(prefix + &String::from_utf8_lossy(&key), question);
                    self.keys.insert((inside, key.into_owned()), field);
                    field
                }
            };
            let seen = &mut self.fields[field].seen;
            match *seen {
                (of, at) if of == object => last[at].1 = value,
                _ => {
                    *seen = (object, last.len());
                    last.push((field, value));
                }
            }
        }
        for (field, value) in last {
            match value {
                None => {}
                Some((Kind::Map, inner)) => self.discover(Some(field), &inner, by, question),
                Some(_) if self.fields[field].skipped => {}
                Some((_, value)) => add(&mut self.fields[field].counts, &value, by),
            }
        }
    }

    /// What was counted.
    fn by_name(self) -> BTreeMap<String, Counts> {
        let counted = self.fields.into_iter().filter(|field| !field.counts.is_empty());
        counted.map(|field| (field.name, field.counts)).collect()
    }
}

fn row(name: &str, counts: &Counts, totals: [u64; 2]) -> [Value; 5] {
    let share =
        |both: &[u64; 2], side: usize| if totals[side] == 0 { 0.0 } else { both[side] as f64 / totals[side] as f64 };
    let difference = |both: &[u64; 2]| (share(both, 0) - share(both, 1)).abs();
    // Of equals the first text.
    let top = counts.iter().max_by(|(a, x), (b, y)| difference(x).total_cmp(&difference(y)).then_with(|| b.cmp(a)));
    let sum = |side: usize| counts.values().map(|both| both[side]).sum::<u64>();
    let absent = [0, 1].map(|side| totals[side] - sum(side));
    // How many values have the same counts: in order, so that sums do not depend on that of the table.
    let mut cells: BTreeMap<[u64; 2], u64> = BTreeMap::new();
    counts.values().chain((absent != [0, 0]).then_some(&absent)).for_each(|both| *cells.entry(*both).or_default() += 1);
    let (text, shares) = match top {
        Some((text, both)) => (Value::string(text), [rounded(share(both, 0)), rounded(share(both, 1))]),
        None => (Value::Null, [Value::Null, Value::Null]),
    };
    let [here, elsewhere] = shares;
    [Value::string(name), rounded(association(&cells, totals)), text, here, elsewhere]
}

/// Cramér's V without its bias (Bergsma 2013): 0 where values and condition have nothing to do with each other, and for
/// a field that is different in every row; 1 where one decides the other.
fn association(cells: &BTreeMap<[u64; 2], u64>, totals: [u64; 2]) -> f64 {
    let n = (totals[0] + totals[1]) as f64;
    let values: u64 = cells.values().sum();
    if totals.contains(&0) || values < 2 || n < 2.0 {
        return 0.0;
    }
    let mut phi = 0.0;
    for (both, times) in cells {
        let row = (both[0] + both[1]) as f64;
        for side in [0, 1] {
            let expected = row * totals[side] as f64 / n;
            phi += *times as f64 * (both[side] as f64 - expected).powi(2) / expected / n;
        }
    }
    let k = values as f64;
    let corrected = (phi - (k - 1.0) / (n - 1.0)).max(0.0);
    let least = (k - (k - 1.0).powi(2) / (n - 1.0)).min(2.0 - 1.0 / (n - 1.0)) - 1.0;
    if least <= 0.0 { 0.0 } else { (corrected / least).sqrt().min(1.0) }
}

/// Four digits are enough to compare by eye.
fn rounded(x: f64) -> Value {
    super::ordered::whole((x * 1e4).round() / 1e4)
}
