//! libFuzzer program of the target `quakeml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::quakeml(data));
