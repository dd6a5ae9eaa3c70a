//! `cargo fuzz run intel`: see `nhatle_fuzz::intel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::intel(data));
