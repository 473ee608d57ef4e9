//! Two executors must agree: the engine, and the reference interpreter under `reference`.
//!
//! `BACKSIGHT_RANDOM=10000` asks for that many random queries instead of a few; `BACKSIGHT_SEED` is where they start.
//! A difference names its seed: run it alone with that seed and `BACKSIGHT_RANDOM=1`. What it showed becomes a case
//! under `cases`.

#[allow(dead_code)]
mod reference;
#[allow(dead_code)]
mod support;

use reference::executor::Files;
use reference::generate::Sample;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use support::case::{self, Expected};
use support::check::{self, Ended};

#[test]
fn the_reference_passes_the_conformance_cases() {
    let (mut known, mut failures, mut unknown) = (0, String::new(), std::collections::BTreeMap::new());
    for case in case::all() {
        let [(_, input)] = &case.input[..] else { continue };
        // The interpreter reads JSON lines and nothing else.
        let is_layout = case.title.starts_with("formats/");
        if is_layout
            || !case.args.is_empty()
            || matches!(case.expected, Expected::Error { .. } | Expected::ErrorOutput(_))
        {
            continue;
        }
        match reference::answer(&case.query, input) {
            Err(what) => *unknown.entry(what).or_insert(0) += 1,
            Ok(answer) => {
                known += 1;
                if let Some(difference) = check::difference(&case, &Ended::Answered(answer)) {
                    failures.push_str(&format!("{}\n{difference}\n", case.title));
                }
            }
        }
    }
    println!("{known} cases; beyond the interpreter: {unknown:?}");
    assert!(failures.is_empty(), "the interpreter is wrong\n\n{failures}");
    assert!(known > 180, "only {known} cases are known to the interpreter");
}

#[test]
fn both_executors_agree_on_random_queries() {
    let setting = |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (count, start): (u64, u64) = (setting("BACKSIGHT_RANDOM", 300), setting("BACKSIGHT_SEED", 1));
    println!("seeds {start} to {}", start + count - 1);
    let (next, differences) = (AtomicU64::new(start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= start + count || differences.lock().expect("no panic").len() >= LISTED {
                        return;
                    }
                    let sample = Sample::new(seed);
                    if std::env::var_os("BACKSIGHT_SHOW").is_some() {
                        println!("{}", sample.query());
                    }
                    if let Some(difference) = difference(&sample) {
                        let text = explain(seed, smaller(sample, difference));
                        differences.lock().expect("no panic").push((seed, text));
                    }
                }
            });
        }
    });
    let mut differences = differences.into_inner().expect("no panic");
    differences.sort();
    let texts: Vec<String> = differences.into_iter().map(|(_, text)| text).collect();
    assert!(texts.is_empty(), "the executors differ\n\n{}", texts.join("\n"));
}

/// So many differences are enough to look at.
const LISTED: usize = 200;

/// A difference between the two.
struct Difference {
    /// Why one of the executors gave no answer at all, if so.
    refused: Option<String>,
    text: String,
}

fn difference(sample: &Sample) -> Option<Difference> {
    let (query, input) = (sample.query(), sample.input());
    let expected = reference::answer(&query, &input);
    for (way, actual) in Files::new(&input).answers(&query) {
        let text = match (&expected, actual) {
            (Ok(expected), Ok(actual)) if *expected == actual => continue,
            (Ok(expected), Ok(actual)) => {
                let text = check::diff(&expected.table(), &actual.table());
                return Some(Difference { refused: None, text: format!("[{way}]\n{text}") });
            }
            (Ok(_), Err(why)) => format!("the engine gave no answer: {why}"),
            (Err(what), _) => format!("beyond the interpreter: {what}"),
        };
        return Some(Difference { text: format!("[{way}]\n  {text}\n"), refused: Some(text) });
    }
    None
}

/// The sample without whatever can go while it still differs in the same manner.
fn smaller(mut sample: Sample, mut found: Difference) -> (Sample, Difference) {
    loop {
        let mut candidates = Vec::new();
        for at in (0..sample.stages.len()).rev() {
            let mut candidate = sample.clone();
            candidate.stages.remove(at);
            candidates.push(candidate);
            for item in 0..sample.stages[at].items.len() {
                let mut candidate = sample.clone();
                candidate.stages[at].items.remove(item);
                candidates.push(candidate);
            }
        }
        for at in 0..sample.lines.len() {
            let mut candidate = sample.clone();
            candidate.lines.remove(at);
            candidates.push(candidate);
        }
        candidates.retain(|c| !c.stages.is_empty() && c.stages.iter().all(|stage| !stage.items.is_empty()));
        let still = |c: Sample| difference(&c).filter(|d| d.refused == found.refused).map(|d| (c, d));
        match candidates.into_iter().find_map(still) {
            Some(next) => (sample, found) = next,
            None => return (sample, found),
        }
    }
}

fn explain(seed: u64, (sample, found): (Sample, Difference)) -> String {
    let (query, input) = (sample.query(), sample.input());
    format!("--- seed {seed}: `-` is the reference, `+` the engine\n{query}\n{input}{}", found.text)
}
