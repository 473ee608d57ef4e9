//! Two executors must agree: the engine, and the reference interpreter under `reference`.

#[allow(dead_code)]
mod reference;
#[allow(dead_code)]
mod support;

use support::case::{self, Expected};
use support::check::{self, Ended};

#[test]
fn the_reference_passes_the_conformance_cases() {
    let (mut known, mut failures, mut unknown) = (0, String::new(), std::collections::BTreeMap::new());
    for case in case::all() {
        let [(_, input)] = &case.input[..] else { continue };
        if !case.args.is_empty() || matches!(case.expected, Expected::Error { .. } | Expected::ErrorOutput(_)) {
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
    assert!(known > 200, "only {known} cases are known to the interpreter");
}
