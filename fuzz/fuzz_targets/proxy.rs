//! `cargo fuzz run proxy`: see `nhatle_fuzz::proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::proxy(data));
