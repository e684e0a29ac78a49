//! libFuzzer program of the target `segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::segment(data));
