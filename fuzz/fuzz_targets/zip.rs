//! `cargo fuzz run zip`: see `nhatle_fuzz::zip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::zip(data));
