//! The part of the command line that is about erasing what is about a person.

use clap::{Args, Subcommand};

use crate::cli::DataArgs;

/// `nhatle erase …`
#[derive(Debug, Subcommand)]
pub enum EraseCommand {
    /// Count what would be erased, and say what is not reached. Nothing is changed; a server may be running.
    #[command(
        after_help = "Example: nhatle erase plan --subject nguyen.van.a --data data\nExample: nhatle erase plan --query 'host.name:kiosk-7' --fields user.name,user.email --data data"
    )]
    Plan(ErasePlanArgs),
    /// Erase; where a server has the folder, it does so.
    #[command(
        after_help = "Example: nhatle erase run --subject - --basis 'Luật 91/2025/QH15, đơn số 12' --by lan --expect 41 --data data < value.txt"
    )]
    Run(EraseRunArgs),
    /// Go on with what was interrupted; a server does so when it starts.
    #[command(after_help = "Example: nhatle erase resume --data data")]
    Resume {
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
    },
    /// Say what was erased, by whom and on what basis, and what is not finished.
    #[command(after_help = "Example: nhatle erase show --data data")]
    Show {
        /// Where the store is; a server may be running on it.
        #[command(flatten)]
        data: DataArgs,
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// `nhatle erase plan`
#[derive(Clone, Debug, Args)]
pub struct ErasePlanArgs {
    /// What.
    #[command(flatten)]
    pub wanted: WantedArgs,
    /// Where the store is; a server may be running on it.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `nhatle erase run`
#[derive(Clone, Debug, Args)]
pub struct EraseRunArgs {
    /// What.
    #[command(flatten)]
    pub wanted: WantedArgs,
    /// On what basis; it is kept for good, so it may not hold the value.
    #[arg(long, value_name = "TEXT")]
    pub basis: String,
    /// The administrator's account in whose name it is done.
    #[arg(long, value_name = "ACCOUNT")]
    pub by: String,
    /// How many events the plan counted.
    #[arg(long, value_name = "N")]
    pub expect: u64,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is to be erased.
#[derive(Clone, Debug, Args)]
pub struct WantedArgs {
    /// The value to erase wherever it stands; - reads it from the first line of standard input.
    #[arg(long, value_name = "VALUE", required_unless_present = "query")]
    pub subject: Option<String>,
    /// Only in the events that this line of the search language finds; without --subject, the values that the fields have there.
    #[arg(long, value_name = "LINE")]
    pub query: Option<String>,
    /// The fields that are asked (user.name, user.email, source.ip and the like where not given).
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Fields that go too in each event that is touched, whatever they hold.
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub also: Vec<String>,
    /// From when, by @timestamp.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// To before when.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Leave events under a legal hold as they are and erase the others; else nothing is erased where a hold keeps any.
    #[arg(long)]
    pub leave_held: bool,
}
