//! Which fields tell the rows where a condition holds from the others: `relevantfields`.

use crate::plan::Slot;
use crate::value::column::{Batch, Column, Positions};
use crate::value::{Kind, Value, compare, json};
use std::collections::{BTreeMap, HashMap};

/// How often each text of a field stands in rows where the condition holds, and in the others.
type Counts = HashMap<Vec<u8>, [u64; 2]>;

/// One row per field: name, score, the value whose share differs most, its share where the condition holds, and elsewhere.
pub(super) fn relevant(
    rows: &Batch,
    holds: Slot,
    fields: &[(String, Slot)],
    message: Option<Slot>,
    without: &[String],
) -> Batch {
    let holds = super::column(rows, holds);
    let side: Vec<usize> = holds.iter().map(|v| usize::from(!compare::truth(v))).collect();
    let mut totals = [0u64; 2];
    side.iter().for_each(|s| totals[*s] += 1);
    let mut found: BTreeMap<String, Counts> = BTreeMap::new();
    for (name, slot) in fields {
        let counts = found.entry(name.clone()).or_default();
        for (v, side) in super::column(rows, *slot).iter().zip(&side) {
            if let Some(text) = v.text() {
                add(counts, &text, *side);
            }
        }
    }
    if let Some(slot) = message {
        let skipped = |name: &str| without.iter().any(|w| w == name) || fields.iter().any(|(n, _)| n == name);
        for (v, side) in super::column(rows, slot).iter().zip(&side) {
            if let Some(text) = v.text() {
                discover("", &text, &mut |name, value| {
                    if !skipped(name) {
                        add(found.entry(name.to_owned()).or_default(), value, *side);
                    }
                });
            }
        }
    }
    let scored: Vec<[Value; 5]> = found.iter().map(|(name, counts)| row(name, counts, totals)).collect();
    let columns: Vec<Column> = (0..5).map(|c| scored.iter().map(|row| row[c].clone()).collect()).collect();
    Batch { columns, rows: scored.len(), positions: Positions::sequence(0, scored.len()) }
}

fn add(counts: &mut Counts, text: &[u8], side: usize) {
    match counts.get_mut(text) {
        Some(both) => both[side] += 1,
        None => {
            let mut both = [0; 2];
            both[side] = 1;
            counts.insert(text.to_vec(), both);
        }
    }
}

/// The fields of a JSON object, those of objects inside it by their path; of equal keys the last.
fn discover(prefix: &str, text: &[u8], out: &mut dyn FnMut(&str, &[u8])) {
    let mut last: BTreeMap<String, (Kind, Vec<u8>)> = BTreeMap::new();
    for (key, value) in json::entries(text) {
        let name = format!("{prefix}{}", String::from_utf8_lossy(&key));
        match value {
            Some((kind, text)) => last.insert(name, (kind, text.into_owned())),
            None => last.remove(&name),
        };
    }
    for (name, (kind, value)) in last {
        match kind {
            Kind::Map => discover(&format!("{name}."), &value, out),
            _ => out(&name, &value),
        }
    }
}

fn row(name: &str, counts: &Counts, totals: [u64; 2]) -> [Value; 5] {
    // Text order, so that sums do not depend on that of the table.
    let mut values: Vec<(&Vec<u8>, [u64; 2])> = counts.iter().map(|(text, both)| (text, *both)).collect();
    values.sort_unstable();
    let share =
        |both: &[u64; 2], side: usize| if totals[side] == 0 { 0.0 } else { both[side] as f64 / totals[side] as f64 };
    let difference = |both: &[u64; 2]| (share(both, 0) - share(both, 1)).abs();
    let top = values.iter().rev().max_by(|a, b| difference(&a.1).total_cmp(&difference(&b.1)));
    let absent = [0, 1].map(|side| totals[side] - values.iter().map(|(_, both)| both[side]).sum::<u64>());
    let cells: Vec<[u64; 2]> =
        values.iter().map(|(_, both)| *both).chain((absent != [0, 0]).then_some(absent)).collect();
    let (text, shares) = match top {
        Some((text, both)) => (Value::string(text), [rounded(share(both, 0)), rounded(share(both, 1))]),
        None => (Value::Null, [Value::Null, Value::Null]),
    };
    let [here, elsewhere] = shares;
    [Value::string(name), rounded(association(&cells, totals)), text, here, elsewhere]
}

/// Cramér's V without its bias (Bergsma 2013): 0 where values and condition have nothing to do with each other, and for
/// a field that is different in every row; 1 where one decides the other.
fn association(cells: &[[u64; 2]], totals: [u64; 2]) -> f64 {
    let n = (totals[0] + totals[1]) as f64;
    if totals.contains(&0) || cells.len() < 2 || n < 2.0 {
        return 0.0;
    }
    let mut phi = 0.0;
    for both in cells {
        let row = (both[0] + both[1]) as f64;
        for side in [0, 1] {
            let expected = row * totals[side] as f64 / n;
            phi += (both[side] as f64 - expected).powi(2) / expected / n;
        }
    }
    let k = cells.len() as f64;
    let corrected = (phi - (k - 1.0) / (n - 1.0)).max(0.0);
    let least = (k - (k - 1.0).powi(2) / (n - 1.0)).min(2.0 - 1.0 / (n - 1.0)) - 1.0;
    if least <= 0.0 { 0.0 } else { (corrected / least).sqrt().min(1.0) }
}

/// Four digits are enough to compare by eye.
fn rounded(x: f64) -> Value {
    super::ordered::whole((x * 1e4).round() / 1e4)
}
