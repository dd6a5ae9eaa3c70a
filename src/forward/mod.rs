//! The ward kit: `nhatle forward` on one side, `POST /api/v1/forward` on the other (ADR 14).
//!
//! `spool` keeps what a ward's inputs gave; `sender` brings it to the city, in order and once; `receive` is the city's
//! end; `run` is the command. The bytes between them are `nhatle_collector::wire`.

pub mod client;
pub mod config;
pub mod head;
pub mod identity;
pub mod losses;
pub mod receive;
pub mod run;
pub mod sender;
pub mod spool;
pub mod spool_file;
mod spool_read;
mod spool_write;
pub mod status;

#[cfg(test)]
mod spool_tests;
