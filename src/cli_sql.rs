//! The part of the command line that is about SQL.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::DataArgs;

/// Examples of `nhatle sql`.
pub const SQL_EXAMPLES: &str = "Example: nhatle sql --data demo --format table 'SELECT source.ip, count(*) AS n FROM events GROUP BY source.ip ORDER BY n DESC LIMIT 10'\n\
     Example: nhatle sql --url https://127.0.0.1:8443 --ca data/pki/ca.pem --token T --format parquet 'SELECT * FROM alerts' > alerts.parquet";

/// How `sql` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SqlRowFormat {
    /// One JSON object a row.
    Jsonl,
    /// Columns for people.
    Table,
    /// Comma-separated values.
    Csv,
    /// An Apache Parquet file.
    Parquet,
}

/// `nhatle sql`
#[derive(Clone, Debug, Args)]
pub struct SqlArgs {
    /// The query; tables are events, alerts, incidents, sources, dead_letters (docs/sql.md).
    #[arg(value_name = "QUERY")]
    pub query: String,
    /// Values of $1, $2, … of the query, as text.
    #[arg(long = "param", value_name = "VALUE")]
    pub params: Vec<String>,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// The address of a running server, in place of a folder.
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<String>,
    /// The access token for `--url`.
    #[arg(long, value_name = "T")]
    pub token: Option<String>,
    /// The certificate of the server's authority (PEM), for https; that of the data folder where it is not given.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: SqlRowFormat,
}
