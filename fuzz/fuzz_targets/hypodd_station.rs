//! libFuzzer program of the target `hypodd_station`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::hypodd_station(data));
