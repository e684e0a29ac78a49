//! libFuzzer program of the target `mseed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::mseed(data));
