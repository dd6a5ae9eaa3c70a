//! `nhatle`: parses arguments, runs the command, turns an error into an exit code.
//!
//! Exit codes (contract): 0 done, 1 done with findings, 2 usage or configuration, 3 the world failed.

use std::process::ExitCode;

use clap::Parser;
use nhatle::cli::Cli;

fn main() -> ExitCode {
    // clap exits with 2 for a usage error and 0 for --help by itself.
    let cli = Cli::parse();
    nhatle::telemetry::start();
    nhatle::command::run(cli.command)
}
