//! `cargo fuzz run journal`: see `nhatle_fuzz::journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::journal(data));
