//! The part of the command line that is about how long events are kept.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::DataArgs;

/// `nhatle retention …`
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Say how the store grows, what the rules let go and when, what is held, and what went.
    #[command(after_help = "Example: nhatle retention show --data data --config nhatle.toml")]
    Show(RetentionShowArgs),
    /// Keep everything of a span of time, whatever the rules say, until a day.
    #[command(
        after_help = "Example: nhatle retention hold --from 2026-02-01 --to 2026-02-08 --until 2027-12-31 --reason 'điều tra vụ 12' --data data"
    )]
    Hold(HoldArgs),
    /// Let a hold last longer.
    #[command(after_help = "Example: nhatle retention extend 1 --until 2028-06-30 --reason 'công văn 45' --data data")]
    Extend {
        /// The hold's number.
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// Until when it lasts now.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
    },
    /// End a hold.
    #[command(after_help = "Example: nhatle retention release 1 --reason 'vụ đã khép lại' --data data")]
    Release {
        /// The hold's number.
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
    },
}

/// `nhatle retention show`
#[derive(Clone, Debug, Args)]
pub struct RetentionShowArgs {
    /// Where the store is; a server may be running on it.
    #[command(flatten)]
    pub data: DataArgs,
    /// The configuration file the server runs with.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
}

/// `nhatle retention hold`
#[derive(Clone, Debug, Args)]
pub struct HoldArgs {
    /// From when, in happening or storing (2026-02-01, 2026-02-01T12:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// To before when.
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// Until when the hold lasts.
    #[arg(long, value_name = "TIME")]
    pub until: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
}
