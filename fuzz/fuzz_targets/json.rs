//! Any bytes are read as JSON, in lines and otherwise, in every dialect.

#![no_main]

use backsight_fuzz::readers::hold;
use libfuzzer_sys::fuzz_target;

/// What the bytes behind the first are read as; nothing: as what they look like.
const FORMATS: &[&str] = &["ndjson", "json", "cwl-events", "cloudtrail", "lambda", "eks"];

fuzz_target!(|data: &[u8]| {
    if let [first, rest @ ..] = data {
        hold(FORMATS.get(usize::from(*first) % (FORMATS.len() + 1)).copied(), rest);
    }
});
