//! `cargo fuzz run parse`: see `nhatle_fuzz::parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::parse(data));
