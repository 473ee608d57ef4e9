//! Any bytes are decompressed: what is before, between and behind damage is read the same in every way.

#![no_main]

use backsight_fuzz::readers::hold;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hold(None, data));
