//! `cargo fuzz run frame`: see `nhatle_fuzz::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::frame(data));
