//! libFuzzer program of the target `parquet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::parquet(data));
