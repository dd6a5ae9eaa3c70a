//! `cargo fuzz run matcher`: see `nhatle_fuzz::matcher`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::matcher(data));
