//! `cargo fuzz run netflow`: see `nhatle_fuzz::netflow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::netflow(data));
