//! `cargo fuzz run assets`: see `nhatle_fuzz::assets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::assets(data));
