//! Printing keeps the tree, and does nothing the second time.

#![no_main]

use backsight_lang::{format, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = parse(text);
    if !parsed.is_ok() {
        return;
    }
    let printed = format(&parsed.query, text);
    let again = parse(&printed);
    assert!(again.is_ok(), "{printed}\n{:?}", again.diagnostics);
    assert_eq!(parsed.query.shape(), again.query.shape(), "{printed}");
    assert_eq!(format(&again.query, &printed), printed);
});
