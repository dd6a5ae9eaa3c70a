//! The part of the command line that is about reference data: assets, places of addresses, lists of indicators.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::DataArgs;

/// `nhatle asset …`
#[derive(Debug, Subcommand)]
pub enum AssetCommand {
    /// Take a table of assets in, in place of the one before; a running server has it in force a second later.
    #[command(
        after_help = "Example: nhatle asset import assets.csv --data data\n\nHeadings: host, address, mac, owner, importance, system level, unit, observe only, role; or in Vietnamese: tên máy, địa chỉ IP, địa chỉ MAC, chủ quản, mức quan trọng, cấp độ, đơn vị, chỉ quan sát, vai trò."
    )]
    Import {
        /// The table (CSV).
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
    },
    /// List the assets in force.
    #[command(after_help = "Example: nhatle asset list --data data")]
    List {
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
        /// Print as JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// `nhatle geoip …`
#[derive(Debug, Subcommand)]
pub enum GeoCommand {
    /// Take a MaxMind DB file in: cities or countries, or autonomous systems.
    #[command(after_help = "Example: nhatle geoip import GeoLite2-City.mmdb --data data")]
    Import {
        /// The file (.mmdb).
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
    },
}

/// `nhatle intel …`
#[derive(Debug, Subcommand)]
pub enum IntelCommand {
    /// Take a list of indicators in, in place of the one of that name; new ones are looked for in what is stored.
    #[command(after_help = "Example: nhatle intel import feed.csv --list ncsc --days 30 --data data")]
    Import(IntelImportArgs),
    /// List the lists.
    #[command(after_help = "Example: nhatle intel list --data data")]
    List {
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
        /// Print as JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Take a list out of force.
    #[command(after_help = "Example: nhatle intel remove ncsc --data data")]
    Remove {
        /// The list.
        #[arg(value_name = "NAME")]
        list: String,
        /// Where the store is.
        #[command(flatten)]
        data: DataArgs,
    },
}

/// `nhatle intel import`
#[derive(Clone, Debug, Args)]
pub struct IntelImportArgs {
    /// A file: a value a line, CSV, an event of MISP, a bundle of STIX 2.1; or the folder of a MISP feed.
    #[arg(value_name = "FILE|DIR")]
    pub file: PathBuf,
    /// The list.
    #[arg(long, value_name = "NAME")]
    pub list: String,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Indicators that say no end themselves end after so many days.
    #[arg(long, value_name = "N")]
    pub days: Option<u32>,
    /// Confidence of indicators that say none, 0 to 100.
    #[arg(long, value_name = "N")]
    pub confidence: Option<u8>,
    /// How it is written: auto, lines, csv, misp, stix.
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub kind: String,
}
