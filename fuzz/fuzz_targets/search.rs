//! `cargo fuzz run search`: see `nhatle_fuzz::search`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::search(data));
