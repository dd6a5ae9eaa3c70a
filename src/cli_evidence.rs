//! The part of the command line that proves: `nhatle verify`, `nhatle evidence`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::DataArgs;

/// Below the help of `nhatle verify`.
pub const VERIFY_EXAMPLES: &str = "Example: nhatle verify --data demo\n\
Example: nhatle verify --data demo --head kept-head.txt\n\
Example: nhatle verify --key city-key.txt incident-7.tar\n\n\
Exit code: 0 nothing was altered; 1 something was, a line each; 2 wrong arguments; 3 it cannot be read.";
/// Below the help of `nhatle evidence`.
pub const EVIDENCE_EXAMPLES: &str = "Example: nhatle evidence --data demo --incident 7 -o incident-7.tar\n\
Example: nhatle evidence --data demo --query 'source.ip:203.0.113.9' -o events.tar\n\
Example: nhatle evidence --data demo --document report-11.pdf -o report-11.tar";

/// `nhatle verify`
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print findings as JSON lines.
    #[arg(long)]
    pub json: bool,
    /// A head that was kept elsewhere (or a file of many): the store must still be the one it was signed for, and not
    /// older.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub head: Option<PathBuf>,
    /// The key that must have signed: as text, or a file with it.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Make the leaf of every stored event again, beside checking every file: takes as long as reading all of them.
    #[arg(long, conflicts_with = "file")]
    pub deep: bool,
    /// Certificates (PEM) of who must have vouched for the authority of time-stamps (RFC 3161); else that is not looked at.
    #[arg(long, value_name = "FILE")]
    pub timestamp_ca: Option<PathBuf>,
    /// An exported evidence package, in place of a store.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `nhatle proof …`
#[derive(Clone, Debug, Subcommand)]
pub enum ProofCommand {
    /// Sign heads with a new key from now on: the old one vouches for it and is deleted. Stop the server first.
    #[command(after_help = "Example: nhatle proof new-key --data data\n\n\
        Hand out the new pki/proof.pub: packages made from now on are signed with it.")]
    NewKey(DataArgs),
    /// Write what a time-stamping authority (RFC 3161) is to be asked about the newest head into a file, where this machine
    /// has no line to one.
    #[command(after_help = "Example: nhatle proof request-timestamp --data data -o head.tsq\n\n\
        Carry the file to a machine with a network: curl -H 'Content-Type: application/timestamp-query' \
        --data-binary @head.tsq http://TSA/ -o head.tsr")]
    RequestTimestamp(RequestTimestampArgs),
    /// Check what the authority answered, and keep it beside its head.
    #[command(after_help = "Example: nhatle proof add-timestamp --data data --timestamp-ca tsa-ca.pem head.tsr")]
    AddTimestamp(AddTimestampArgs),
}

/// `nhatle proof request-timestamp`
#[derive(Clone, Debug, Args)]
pub struct RequestTimestampArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// The file to make.
    #[arg(short, long, value_name = "FILE.tsq")]
    pub output: PathBuf,
}

/// `nhatle proof add-timestamp`
#[derive(Clone, Debug, Args)]
pub struct AddTimestampArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Certificates (PEM) of who must have vouched for the authority.
    #[arg(long, value_name = "FILE")]
    pub timestamp_ca: PathBuf,
    /// The answer.
    #[arg(value_name = "FILE.tsr")]
    pub file: PathBuf,
}

/// `nhatle evidence`
#[derive(Clone, Debug, Args)]
pub struct EvidenceArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// An incident, with its alerts, their events, and what was done.
    #[arg(long, value_name = "NUMBER")]
    pub incident: Option<u64>,
    /// An alert, with its events.
    #[arg(long, value_name = "ID")]
    pub alert: Option<String>,
    /// Events by their names.
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub event: Vec<String>,
    /// The events that a query finds.
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
    /// A file that leaves the house, a report say: it is written down in the signed log first.
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    /// Who asks for it, written into the package.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Print what was done as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The file to make.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}
