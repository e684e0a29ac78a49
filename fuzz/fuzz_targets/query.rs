//! libFuzzer program of the target `query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::query(data));
