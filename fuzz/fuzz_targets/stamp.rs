//! `cargo fuzz run stamp`: see `nhatle_fuzz::stamp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::stamp(data));
