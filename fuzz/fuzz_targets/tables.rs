//! Any bytes are read as tables with a header.

#![no_main]

use backsight_fuzz::readers::hold;
use libfuzzer_sys::fuzz_target;

/// What the bytes behind the first are read as; nothing: as what they look like.
const FORMATS: &[&str] = &["csv", "tsv"];

fuzz_target!(|data: &[u8]| {
    if let [first, rest @ ..] = data {
        hold(FORMATS.get(usize::from(*first) % (FORMATS.len() + 1)).copied(), rest);
    }
});
