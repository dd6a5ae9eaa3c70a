//! Append events durably, read them back.
//!
//! Promises: [`Store::append`] returns after the events are on disk; each has a [`Seq`] of its own, in
//! the order of commit, never given twice; a [`Snapshot`] never changes under its reader; what a crash
//! leaves is brought back to exactly the acknowledged events (an unacknowledged batch appears whole or
//! not at all); a damaged byte is reported with file and place, never returned as data.
//!
//! ```text
//! LOCK                                  held by the process that writes
//! log/<number>.log                      what is not in a segment yet (docs/format/log.md)
//! segments/<number>-<dataset>/…         sealed, immutable (docs/format/segment.md)
//! manifest/<number>.json                which segments live, marks, the next Seq; the newest counts
//! proof/{log.jsonl,nodes,heads}         what the store did, its tree, signed heads (docs/format/proof.md)
//! ```
//!
//! Nothing here is async, and nothing knows what an alert or an incident is: those are datasets.
//!
//! [`Seq`]: nhatle_event::Seq

pub mod config;
pub mod dataset;
pub mod error;
pub mod disk;
pub mod wal;
pub mod memtable;
pub mod segment;
pub mod live;
pub mod manifest;
pub mod recover;
pub mod snapshot;
pub mod store;
pub mod proof;
pub mod publish;
pub mod compact;
pub mod mention;
pub mod erase;
pub mod verify;
mod scrub_rest;
pub mod scrub;
pub mod backup;
pub mod pg;
pub mod query;
pub mod sql;
pub mod register;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_old_log;
#[cfg(test)]
mod tests_rows;
#[cfg(test)]
mod tests_world;
#[cfg(test)]
mod tests_compact;
#[cfg(test)]
mod tests_erase;
#[cfg(test)]
mod tests_mention;
#[cfg(test)]
mod tests_story;
#[cfg(test)]
mod tests_ledger;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_sync;
#[cfg(test)]
mod tests_rot;

pub use config::Config;
pub use dataset::Dataset;
pub use disk::{Disk, DiskFile, OsDisk};
pub use error::{Corrupt, OpenError, ReadError, WriteError};
pub use live::LiveSegment;
pub use memtable::Row;
pub use snapshot::Snapshot;
pub use store::{Marks, Stats, Store};
pub use verify::{Finding, verify};
pub use wal::Encoded;
