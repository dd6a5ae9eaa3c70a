//! One file per command; this one picks it and turns its end into an exit code.

pub mod accounts;
pub mod backup;
pub mod coverage;
pub mod demo;
pub mod detect;
pub mod forward;
pub mod import;
pub mod output;
pub mod parse;
pub mod progress;
pub mod reference;
pub mod replay;
pub mod rule;
pub mod rule_import;
pub mod rule_explain;
pub mod rule_test;
pub mod restore;
pub mod drill;
pub mod retention;
pub mod erase;
pub mod search;
pub mod sql;
pub mod serve;
pub mod doctor;
pub mod verify;
pub mod evidence;
pub mod new_key;
pub mod timestamp;

use std::process::ExitCode;

use crate::cli::{Command, ConfigCommand, RuleCommand};
use crate::cli_evidence::ProofCommand;
use crate::config::{Config, ConfigError};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Done.
    Done,
    /// Done, and something was found that asks for attention.
    Findings,
}

/// A problem with what the user asked for, not with the world: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Runs a command to its end.
pub fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Detect(args) => detect::run(&args),
        Command::Parse(args) => parse::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Rule(RuleCommand::Check { paths, json, placeholders }) => {
            rule::check(&paths, placeholders.as_deref(), json)
        }
        Command::Rule(RuleCommand::Import(args)) => rule_import::run(&args),
        Command::Rule(RuleCommand::Explain { rule, event, json }) => rule_explain::run(&rule, &event, json),
        Command::Rule(RuleCommand::Test { paths, json }) => rule_test::run(&paths, json),
        Command::Rule(RuleCommand::List { paths, data, json }) => rule::list(&paths, data.as_deref(), json),
        Command::Verify(args) => verify::run(&args),
        Command::Evidence(args) => evidence::run(&args),
        Command::Proof(ProofCommand::NewKey(args)) => new_key::run(&args),
        Command::Proof(ProofCommand::RequestTimestamp(args)) => timestamp::request(&args),
        Command::Proof(ProofCommand::AddTimestamp(args)) => timestamp::add(&args),
        Command::Config(ConfigCommand::Check { file }) => config_check(&file),
        Command::Asset(command) => reference::asset(&command),
        Command::Geoip(command) => reference::geo(&command),
        Command::Intel(command) => reference::intel(&command),
        Command::User(command) => accounts::user(&command),
        Command::Token(command) => accounts::token(&command),
        Command::Enroll(args) => accounts::enroll(&args),
        Command::Sql(args) => sql::run(&args),
        Command::Rule(RuleCommand::Coverage(args)) => coverage::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Retention(command) => retention::run(&command),
        Command::Erase(command) => erase::run(&command),
        Command::Doctor(args) => doctor::run(&args),
    };
    match result {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Findings) => ExitCode::from(1),
        // Whoever read our output has enough (`nhatle search … | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("nhatle: {error:#}"));
            let is_usage =
                error.downcast_ref::<UsageError>().is_some() || error.downcast_ref::<ConfigError>().is_some();
            ExitCode::from(if is_usage { 2 } else { 3 })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn config_check(file: &std::path::Path) -> anyhow::Result<End> {
    Config::check(crate::config::read(file)?)?;
    output::line(&format!("{}: good", file.display()))?;
    Ok(End::Done)
}
