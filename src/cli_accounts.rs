//! Arguments of the commands for accounts, tokens and enrolment codes.

use clap::{Args, Subcommand};

use crate::cli::DataArgs;

/// Who an account or token is for.
#[derive(Clone, Debug, Args)]
pub struct GrantArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// admin, analyst, ward, auditor or ingest.
    #[arg(long, value_name = "ROLE")]
    pub role: String,
    /// The organization unit it is limited to.
    #[arg(long, value_name = "CODE")]
    pub unit: Option<String>,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
}

/// An account or token that is there.
#[derive(Clone, Debug, Args)]
pub struct KnownArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
}

/// `nhatle user list`, `nhatle token list`
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
}

/// `nhatle enroll`
#[derive(Clone, Debug, Args)]
pub struct EnrollArgs {
    /// What the sender will be called.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The organization unit its records belong to.
    #[arg(long, value_name = "CODE")]
    pub unit: String,
    /// How long the code works.
    #[arg(long, value_name = "N", default_value_t = crate::enroll::CODE_HOURS)]
    pub hours: u32,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `nhatle user …`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account.
    #[command(
        after_help = "Example: echo \"$PASSWORD\" | nhatle user add lan --role analyst --password-stdin --data data"
    )]
    Add {
        /// Who it is for.
        #[command(flatten)]
        grant: GrantArgs,
        /// Read the password from standard input (one line).
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Give an account another password; its sessions end.
    #[command(after_help = "Example: echo \"$PASSWORD\" | nhatle user password lan --password-stdin --data data")]
    Password {
        /// Whose.
        #[command(flatten)]
        known: KnownArgs,
        /// Read the password from standard input (one line).
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Switch an account off for good; its sessions end. Its name stays taken.
    #[command(after_help = "Example: nhatle user disable lan --data data")]
    Disable(KnownArgs),
    /// List accounts.
    #[command(after_help = "Example: nhatle user list --data data")]
    List(ListArgs),
}

/// `nhatle token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make an access token and print it, alone, on standard output.
    #[command(after_help = "Example: nhatle token add web01 --role ingest --unit DH01 --data data")]
    Add {
        /// What it is for.
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Take a token back for good. Its name stays taken.
    #[command(after_help = "Example: nhatle token revoke web01 --data data")]
    Revoke(KnownArgs),
    /// List tokens; their text is kept nowhere.
    #[command(after_help = "Example: nhatle token list --data data")]
    List(ListArgs),
}
