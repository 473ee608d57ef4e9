//! The one runner of everything under `tests/cases`: each case in many setups, and once through the binary.
//!
//! `CASES=text` runs the cases whose title contains the text. `BLESS=1` fills in what `.test` files expect; read the
//! difference before committing it. `conformance/pending.txt` lists cases whose feature is not there yet: they must
//! be refused as unsupported, so that the list shrinks as soon as it can.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use support::case::{self, Case, Expected};
use support::check::{self, Ended};
use support::run::{self, SETUPS};

/// What is wrong with a case; nothing if it is right.
type Verdict = Option<String>;

#[test]
fn every_setup_gives_the_expected_answer() {
    let blessing = std::env::var_os("BLESS").is_some();
    judge(|case| {
        if !case.args.is_empty() {
            return None;
        }
        let mut expected = case.clone();
        let mut wrong: Vec<(String, Vec<&str>)> = Vec::new();
        for setup in SETUPS {
            let ended = run::in_process(case, setup);
            if blessing
                && setup.name == SETUPS[0].name
                && let (Expected::Output(text), Ended::Answered(answer)) = (&mut expected.expected, &ended)
                && *text != answer.table()
            {
                *text = answer.table();
                case::bless(case, "output", text);
            }
            if let Some(difference) = check::difference(&expected, &ended) {
                match wrong.iter_mut().find(|(same, _)| *same == difference) {
                    Some((_, setups)) => setups.push(setup.name),
                    None => wrong.push((difference, vec![setup.name])),
                }
            }
        }
        let in_setups = |(difference, setups): &(String, Vec<&str>)| match setups.len() {
            all if all == SETUPS.len() => difference.clone(),
            _ => format!("  [{}]\n{difference}", setups.join("; ")),
        };
        (!wrong.is_empty()).then(|| wrong.iter().map(in_setups).collect())
    });
}

#[test]
fn the_binary_gives_the_expected_answer() {
    let blessing = std::env::var_os("BLESS").is_some();
    judge(|case| match &case.expected {
        Expected::ErrorOutput(text) => match run::printed_error(case, text) {
            Ok(()) => None,
            Err((actual, _)) if blessing => {
                case::bless(case, "error", &actual);
                None
            }
            Err((_, difference)) => Some(difference),
        },
        Expected::Output(text) if !case.args.is_empty() && blessing => {
            if let Ended::Answered(answer) = run::through_binary(case)
                && *text != answer.table()
            {
                case::bless(case, "output", &answer.table());
            }
            None
        }
        _ => check::difference(case, &run::through_binary(case)),
    });
}

#[test]
fn pending_cases_exist() {
    let names: BTreeSet<String> = case::all().into_iter().map(|c| c.name).collect();
    let unknown: Vec<String> = pending().into_iter().filter(|p| !names.contains(p)).collect();
    assert!(std::env::var_os("CASES").is_some() || unknown.is_empty(), "pending, but no case: {unknown:?}");
}

/// Judges all cases and reports every failure at once.
fn judge(verdict: impl Fn(&Case) -> Verdict) {
    let pending = pending();
    let (mut failures, mut failed) = (String::new(), 0);
    let cases = case::all();
    for case in &cases {
        let wrong = match (verdict(case), pending.contains(&case.name)) {
            (None, true) => Some("  passes: remove it from pending.txt\n".to_string()),
            (Some(wrong), true) if wrong.contains("is not supported") => None,
            (Some(wrong), true) => Some(format!("  pending, but not refused as unsupported:\n{wrong}")),
            (wrong, false) => wrong,
        };
        if let Some(wrong) = wrong {
            failed += 1;
            let _ = write!(failures, "{}\n{wrong}\n", case.title);
        }
    }
    assert!(failed == 0, "{failed} of {} cases fail\n\n{failures}", cases.len());
}

/// Names of conformance cases that must be refused as unsupported still. A line is a name; `#` starts a comment.
fn pending() -> BTreeSet<String> {
    let text = std::fs::read_to_string(case::folder().join("conformance/pending.txt")).expect("the list is there");
    let name = |line: &str| line.split('#').next().unwrap_or("").trim().to_string();
    text.lines().map(name).filter(|name| !name.is_empty()).collect()
}
