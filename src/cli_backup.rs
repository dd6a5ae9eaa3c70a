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
    /// Leave out what this backup, or those before it, hold already: an increment, of use only together with them. In an
    /// object store every backup does so by itself.
    #[arg(long, value_name = "PREVIOUS")]
    pub since: Option<PathBuf>,
    /// The configuration file: how an object store is reached, `[backup]`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// In an object store: delete all but the newest COUNT backups once this one is whole; else `backup.keep`, where 0
    /// keeps all.
    #[arg(long, value_name = "COUNT")]
    pub keep: Option<usize>,
    /// The backup: a new file, or the part of an object store it goes to (s3://BUCKET/PREFIX, file:///DIR).
    #[arg(value_name = "FILE|ADDRESS")]
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
    /// Where the folder of a drill is made; else beside the newest backup, or of an object store beside the data folder.
    #[arg(long, value_name = "DIR", requires = "drill")]
    pub scratch: Option<PathBuf>,
    /// The configuration file: how an object store is reached, `[backup]`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Of an object store: the backup whose name begins so, as `--list` tells them; else the newest.
    #[arg(long, value_name = "NAME")]
    pub backup: Option<String>,
    /// Only list the backups of an object store.
    #[arg(long, conflicts_with_all = ["drill", "backup"])]
    pub list: bool,
    /// The backup, and the increments behind it in their order; or an object store (s3://BUCKET/PREFIX, file:///DIR).
    #[arg(value_name = "FILE|ADDRESS", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
}
