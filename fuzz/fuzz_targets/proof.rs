//! `cargo fuzz run proof`: see `nhatle_fuzz::proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::proof(data));
