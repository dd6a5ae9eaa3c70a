//! `cargo fuzz run encoding`: see `nhatle_fuzz::encoding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::encoding(data));
