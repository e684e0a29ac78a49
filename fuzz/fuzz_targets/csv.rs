//! libFuzzer program of the target `csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::csv(data));
