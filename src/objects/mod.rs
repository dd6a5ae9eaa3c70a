//! Backups in an object store: a bucket that speaks S3, or a folder laid out the same way ([ADR 40](../../docs/adr/0040-backups-in-an-object-store.md)).
//!
//! Below the prefix: `objects/ab/<SHA-256>`, each file of a store once, named by its content; and
//! `backups/<when>-<SHA-256>.json`, the index of each backup, put last and named by its own hash. So a backup that was cut off
//! has no index and is none; what is there already is not sent again; every byte is checked by its name. An index names every
//! file of its store: no backup needs another one.

pub mod settings;
pub mod address;
pub mod remote;
pub mod index;
pub mod send;
pub mod fetch;
pub mod keep;
pub mod transfer;
