//! Any bytes are opened as an archive of files.

#![no_main]

use backsight_fuzz::readers::hold;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hold(None, data));
