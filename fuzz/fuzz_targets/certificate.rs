//! `cargo fuzz run certificate`: see `nhatle_fuzz::certificate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::certificate(data));
