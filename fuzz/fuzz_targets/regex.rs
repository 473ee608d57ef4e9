//! Any regular expression is refused or answers, the same with and without push-down of its literals.

#![no_main]

use backsight_fuzz::{Answer, ask};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str)| {
    let (pattern, text) = data;
    if pattern.contains(['\n', '\r']) {
        return;
    }
    let pattern = pattern.replace('/', "\\/");
    let like = ask(&format!("filter @message like /{pattern}/ | display @message"), text);
    let negated = ask(&format!("filter @message not like /{pattern}/ | display @message"), text);
    if let (Answer::Rows(some), Answer::Rows(others)) = (like, negated) {
        assert_eq!(some.len() + others.len(), 1, "{pattern}");
    }
    let _ = ask(&format!("parse @message /{pattern}/ multi | display @message"), text);
    let _ = ask(&format!("display regexReplace(@message, /{pattern}/, \"$1\") as r"), text);
});
