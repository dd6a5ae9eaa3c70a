//! `nhatle`: parses arguments, runs the command, turns an error into an exit code.
//!
//! Exit codes (contract): 0 done, 1 done with findings, 2 usage or configuration, 3 the world failed.

use std::process::ExitCode;

use clap::Parser;
use nhatle::cli::Cli;

/// Texts of events are made on one thread and dropped on another, which the system's allocator is slow at (ADR 31).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap exits with 2 for a usage error and 0 for --help by itself.
    let cli = Cli::parse();
    nhatle::telemetry::start();
    nhatle::command::run(cli.command)
}
