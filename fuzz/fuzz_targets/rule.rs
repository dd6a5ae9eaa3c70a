//! `cargo fuzz run rule`: see `nhatle_fuzz::rule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::rule(data));
