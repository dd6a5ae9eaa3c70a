//! What `main`, tests and benches call: the wiring of nhatle, in the order of one record's walk.
//!
//! `cli` and `config` say what is wanted; `pipeline` is the walk; `registry`, `alerts` and `sources` are what it
//! leaves in memory; `desk` is what pages may see of it; `command` has a file for each command.

pub mod cli;
pub mod cli_reference;
pub mod cli_accounts;
pub mod cli_sql;
pub mod cli_evidence;
pub mod config;
pub mod units;
pub mod source_settings;
pub mod ruleset;
pub mod overload;
pub mod pack;
pub mod pki;
pub mod enroll;
pub mod live;
pub mod live_rules;
pub mod samples;
pub mod inputs;
pub mod followed;
pub mod pipeline;
pub mod sources;
pub mod sentinel;
pub mod prove;
pub mod evidence;
pub mod places;
pub mod postgres;
pub mod forward;
pub mod alerts;
pub mod registry;
pub mod reload;
pub mod exceptions;
pub mod reference;
pub mod canary;
pub mod hunt;
pub mod backup;
pub mod objects;
pub mod sql;
pub mod desk;
pub mod demo;
pub mod telemetry;
pub mod cli_backup;
pub mod cli_retention;
pub mod cli_erase;
pub mod retention;
pub mod handover;
pub mod erasure;
pub mod tend;
pub mod state;
pub mod command;
