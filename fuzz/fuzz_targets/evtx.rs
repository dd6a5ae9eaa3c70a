//! `cargo fuzz run evtx`: see `nhatle_fuzz::evtx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::evtx(data));
