//! libFuzzer program of the target `steim`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::steim(data));
