//! libFuzzer program of the target `stationxml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| starquake_fuzz::targets::stationxml(data));
