//! libFuzzer program of the target `sac`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::sac(data));
