//! Findings and records over time.

use super::{Bin, Row, instant};
use crate::pass::{Outcome, STEP};
use std::collections::BTreeMap;

/// Bins of a timeline, at most.
const BINS: i64 = 60;

/// Lengths of bins that people can read, in milliseconds.
const LENGTHS: [i64; 12] = [
    STEP,
    3 * STEP,
    6 * STEP,
    12 * STEP,
    36 * STEP,
    72 * STEP,
    144 * STEP,
    288 * STEP,
    7 * 288 * STEP,
    30 * 288 * STEP,
    91 * 288 * STEP,
    365 * 288 * STEP,
];

pub(super) fn timeline(findings: &[Row], outcome: &Outcome) -> Vec<Bin> {
    let spans = outcome.surveys.iter().filter_map(|s| s.span);
    let found = findings.iter().filter_map(|f| f.first.zip(f.last));
    let Some((first, last)) = spans.chain(found).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Vec::new();
    };
    let length = LENGTHS.into_iter().find(|l| (last - first) / l < BINS).unwrap_or(((last - first) / BINS).max(1));
    let start = first.div_euclid(length) * length;
    let n = ((last - start) / length + 1).clamp(1, 2 * BINS) as usize;
    let mut bins: Vec<Bin> = (0..n)
        .map(|i| Bin { start: instant(start + i as i64 * length), records: 0, findings: BTreeMap::new() })
        .collect();
    let mut at = |t: i64, f: &mut dyn FnMut(&mut Bin)| {
        let place = usize::try_from((t - start).div_euclid(length)).unwrap_or(0).min(n - 1);
        f(&mut bins[place]);
    };
    for (t, records) in outcome.surveys.iter().flat_map(|s| &s.counts) {
        at((*t).max(start), &mut |bin| bin.records += records);
    }
    for row in findings {
        if let Some(t) = row.first {
            at(t, &mut |bin| *bin.findings.entry(row.level).or_default() += 1);
        }
    }
    bins
}
