//! `cargo fuzz run lines`: see `nhatle_fuzz::lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::lines(data));
