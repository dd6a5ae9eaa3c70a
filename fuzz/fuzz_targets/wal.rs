//! `cargo fuzz run wal`: see `nhatle_fuzz::wal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nhatle_fuzz::wal(data));
