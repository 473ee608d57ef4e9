//! What came out against what must.

use super::answer::Answer;
use super::case::{Case, Expected};

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    Answered(Answer),
    /// Refused because of the query: the first error's message and the text it underlines.
    Refused {
        message: String,
        span: String,
    },
    /// Anything else.
    Failed(String),
}

/// The difference in words, or nothing.
pub fn difference(case: &Case, ended: &Ended) -> Option<String> {
    match (&case.expected, ended) {
        (Expected::Rows { columns, rows, ordered }, Ended::Answered(answer)) => {
            let expected = Answer { columns: columns.clone(), rows: rows.clone() };
            let (expected, actual) =
                if *ordered { (expected, answer.clone()) } else { (expected.sorted(), answer.clone().sorted()) };
            (expected != actual).then(|| diff(&expected.table(), &actual.table()))
        }
        (Expected::Output(expected), Ended::Answered(answer)) => {
            let actual = answer.table();
            (*expected != actual).then(|| diff(expected, &actual))
        }
        (Expected::Error { message, span }, Ended::Refused { message: actual, span: underlined }) => {
            if !actual.contains(message.as_str()) {
                Some(diff(&format!("{message}\n"), &format!("{actual}\n")))
            } else {
                let wrong = span.as_ref().is_some_and(|s| s != underlined);
                wrong.then(|| diff(&format!("{}\n", span.as_deref().unwrap_or("")), &format!("{underlined}\n")))
            }
        }
        // The text is compared where it is printed: in the pass through the binary.
        (Expected::ErrorOutput(_), Ended::Refused { .. }) => None,
        (_, Ended::Refused { message, span }) => Some(format!("  refused: {message} at `{span}`\n")),
        (_, Ended::Failed(why)) => Some(format!("  failed: {why}\n")),
        (expected, Ended::Answered(answer)) => {
            Some(format!("  must be refused: {expected:?}\n  but was answered:\n{}", diff("", &answer.table())))
        }
    }
}

/// Lines of both, `-` for expected and `+` for actual, the common ones once.
pub fn diff(expected: &str, actual: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    // Longest common subsequence from every pair of positions on; cases are small.
    let mut common = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        let (mark, line) = if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            (' ', a[i - 1])
        } else if j == b.len() || i < a.len() && common[i + 1][j] >= common[i][j + 1] {
            i += 1;
            ('-', a[i - 1])
        } else {
            j += 1;
            ('+', b[j - 1])
        };
        out.push_str(&format!("  {mark} {line}\n"));
    }
    out
}
