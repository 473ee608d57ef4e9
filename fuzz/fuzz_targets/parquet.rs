//! Any bytes are read as Parquet.

#![no_main]

use backsight_fuzz::readers::hold;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hold(Some("parquet"), data));
