//! libFuzzer program of the target `hypodd_phase`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::hypodd_phase(data));
