//! `cargo fuzz run forward`: see `nhatle_fuzz::forward`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::forward(data));
