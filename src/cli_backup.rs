//! The part of the command line that is about copies of a store.

use std::path::PathBuf;

use clap::Args;

use crate::cli::DataArgs;

/// `nhatle backup`
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print what was done as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Leave out what this backup, or those before it, hold already: an increment, of use only together with them.
    #[arg(long, value_name = "PREVIOUS")]
    pub since: Option<PathBuf>,
    /// The backup.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `nhatle restore`
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// Where the store is to be.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print what was done as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Restore into a folder that is deleted again, read and count everything, and print one dated line: whether this
    /// backup is worth anything. Exit code 1 where something differs.
    #[arg(long)]
    pub drill: bool,
    /// Where the folder of a drill is made; else beside the newest backup.
    #[arg(long, value_name = "DIR", requires = "drill")]
    pub scratch: Option<PathBuf>,
    /// The backup, and the increments behind it in their order.
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
}
