//! `cargo fuzz run json`: see `nhatle_fuzz::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::json(data));
