//! The one test binary of the root package; a module per file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::type_complexity,
    reason = "tests stop at the first surprise and say what they saw"
)]

mod support;
mod accounts;
mod backlog;
mod backup;
mod beside;
mod canary;
mod cli;
mod correlate;
mod crash;
mod demo;
mod detect;
mod doctor;
mod erase;
mod exceptions;
mod faults;
mod flows;
mod forward;
mod forward_losses;
mod fuzz_corpus;
mod hostile;
mod hostile_load;
mod hunt;
mod import;
mod live_rules;
mod loggen;
mod manual;
mod objects;
mod overload;
mod overload_kernel;
mod pages;
mod pages_proof;
mod postgres;
mod postgres_idle;
mod proof;
mod proof_alter;
mod proof_table;
mod proof_witness;
mod reference;
mod replay;
mod retention;
mod rule_import;
mod rule_samples;
mod rule_tools;
mod senders;
mod senders_journal;
mod senders_python;
mod senders_syslog;
mod sentinel;
mod sql;
mod sql_duckdb;
mod tamper;
mod tidy;
mod timestamps;
mod tls;
mod vietnamese;
mod ward;
mod ward_officer;
mod ward_sheet;
