//! The whole command line as one clap tree (contract, section 'Command line').

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli_accounts::{EnrollArgs, TokenCommand, UserCommand};
use crate::cli_backup::{BackupArgs, RestoreArgs};
use crate::cli_erase::EraseCommand;
use crate::cli_evidence::{EvidenceArgs, ProofCommand, VerifyArgs};
use crate::cli_reference::{AssetCommand, GeoCommand, IntelCommand};
use crate::cli_retention::RetentionCommand;

/// A SIEM engine for a city: collect, detect, investigate.
#[derive(Debug, Parser)]
#[command(name = "nhatle", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What nhatle can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything until SIGTERM.
    #[command(
        after_help = "Example: nhatle serve --data /var/lib/nhatle --http 127.0.0.1:8080 --syslog-tcp 0.0.0.0:5514"
    )]
    Serve(ServeArgs),
    /// Run a demo city in a temporary folder and replay its recorded day.
    #[command(after_help = "Example: nhatle demo --http 127.0.0.1:8080")]
    Demo(DemoArgs),
    /// Try rules on files, without a store.
    #[command(
        after_help = "Example: nhatle detect evidence/ logs.zip --format count\nExample: nhatle detect --rules sigma/rules --level high --from 2026-02-03 --zone +07:00 --format html -o timeline.html evidence/\nExample: zcat auth.log.gz | nhatle detect --source sshd --format table -\n\nExit code: 0 done; 1 done, but a rule did not load or a file is damaged or could not be read (named on standard error); 2 wrong arguments; 3 no rules, no such file, or the output cannot be written."
    )]
    Detect(DetectArgs),
    /// Show each record of files as one normalized ECS JSON line.
    #[command(after_help = "Example: nhatle parse --source sshd /var/log/auth.log")]
    Parse(ParseArgs),
    /// Take files through the whole pipeline into a store.
    #[command(after_help = "Example: nhatle import --data demo --unit DH01 /var/log/auth.log Security.evtx")]
    Import(ImportArgs),
    /// Find stored events, newest first.
    #[command(after_help = "Example: nhatle search --data demo 'source.ip:203.0.113.0/24 AND sshd' --limit 20")]
    Search(SearchArgs),
    /// Query stored events in SQL.
    #[command(after_help = crate::cli_sql::SQL_EXAMPLES)]
    Sql(crate::cli_sql::SqlArgs),
    /// Check, explain and list rules.
    #[command(subcommand)]
    Rule(RuleCommand),
    /// Run today's rules over stored events.
    #[command(
        after_help = "Example: nhatle replay --data demo --from 2026-02-01 --to 2026-02-08T12:00:00Z --format table"
    )]
    Replay(ReplayArgs),
    /// Check that nothing in a store, or in an evidence package, was altered.
    #[command(after_help = crate::cli_evidence::VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Put an incident, an alert or events with their proofs into one file.
    #[command(after_help = crate::cli_evidence::EVIDENCE_EXAMPLES)]
    Evidence(EvidenceArgs),
    /// The key that signs the proof, and times for it.
    #[command(subcommand)]
    Proof(ProofCommand),
    /// Collect in a ward and send to the city.
    #[command(
        after_help = "Example: nhatle forward --config ward.toml\nExample: nhatle forward --config ward.toml --check"
    )]
    Forward(ForwardArgs),
    /// Copy a store into one file, also while a server uses it.
    #[command(
        after_help = "Example: nhatle backup --data /var/lib/nhatle --since /srv/backup/1.backup /srv/backup/2.backup"
    )]
    Backup(BackupArgs),
    /// Make a store from a backup, in a new folder, or only see whether one could.
    #[command(after_help = "Example: nhatle restore --drill /srv/backup/1.backup /srv/backup/2.backup")]
    Restore(RestoreArgs),
    /// Say what is wrong with this installation.
    #[command(after_help = "Example: nhatle doctor")]
    Doctor(DoctorArgs),
    /// Work with the configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The city's machines and networks.
    #[command(subcommand)]
    Asset(AssetCommand),
    /// Places and networks of public addresses.
    #[command(subcommand)]
    Geoip(GeoCommand),
    /// Lists of threat indicators.
    #[command(subcommand)]
    Intel(IntelCommand),
    /// How long events are kept, and legal holds.
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Erase what is about a person from what is stored; the proof stays true.
    #[command(subcommand)]
    Erase(EraseCommand),
    /// Accounts of people.
    #[command(subcommand)]
    User(UserCommand),
    /// Access tokens of programs.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Give out a code, to be used once, with which a ward's machine becomes a sender of the city.
    #[command(after_help = "Example: nhatle enroll phuong-hai-thanh --unit 18853 --data data")]
    Enroll(EnrollArgs),
}

/// Where the store is.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
}

/// `nhatle serve`
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where pages and the API listen.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Where syslog over UDP listens.
    #[arg(long, value_name = "ADDR")]
    pub syslog_udp: Option<SocketAddr>,
    /// Where syslog over TCP listens.
    #[arg(long, value_name = "ADDR")]
    pub syslog_tcp: Option<SocketAddr>,
    /// Rule files or folders; replaces the rules that come with the program.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
}

/// `nhatle demo`
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// The data folder; a temporary one that is removed at the end if not given.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where pages and the API listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Keep the temporary folder at the end.
    #[arg(long)]
    pub keep: bool,
}

/// How `detect` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetectFormat {
    /// One JSON object a match.
    Jsonl,
    /// Columns for people.
    Table,
    /// Comma-separated values.
    Csv,
    /// One JSON object with counts and times.
    Summary,
    /// A line a rule: how many findings, level, title, first and last time.
    Count,
    /// One page to open in a browser or print: a timeline in Vietnamese and English.
    Html,
}

/// `nhatle detect`
#[derive(Clone, Debug, Args)]
pub struct DetectArgs {
    /// Rule files or folders; the rules that come with the program if not given.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: DetectFormat,
    /// Print in order of time, not of files.
    #[arg(long)]
    pub by_time: bool,
    /// Only rules of this level and above: informational, low, medium, high, critical.
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Only events from this moment on: RFC 3339, or a day in UTC.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only events before this moment.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Show times of csv, table, count and html at this distance from UTC, such as +07:00; jsonl stays in UTC.
    #[arg(long, value_name = "OFFSET", default_value = "+00:00", allow_hyphen_values = true)]
    pub zone: String,
    /// Print into a file, not on standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How many threads; all cores if not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Try every rule on every event.
    #[arg(long)]
    pub ignore_logsource: bool,
    /// Value lists for placeholders: a configuration file, or TOML of nothing but lists.
    #[arg(long, value_name = "FILE")]
    pub placeholders: Option<PathBuf>,
    /// The source profile of the files; detected by content if not given.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// EVTX, JSON lines, JSON array, syslog or text; also .gz, .zst and .zip; folders are walked; - is standard input.
    #[arg(value_name = "FILE|DIR", required = true)]
    pub files: Vec<PathBuf>,
}

/// `nhatle parse`
#[derive(Clone, Debug, Args)]
pub struct ParseArgs {
    /// The source profile; detected by content if not given.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Nested objects in place of dotted keys.
    #[arg(long)]
    pub ecs_nested: bool,
    /// Minutes east of UTC of times that name no zone.
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_hyphen_values = true,
        value_parser = clap::value_parser!(i32).range(-1439..=1439))]
    pub offset: i32,
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `nhatle import`
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// The source profile; detected by content if not given.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// The organization unit the files belong to.
    #[arg(long, value_name = "CODE")]
    pub unit: Option<String>,
    /// Rule files or folders; the rules that come with the program if not given.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// The files; folders are walked.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// How `search` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// One JSON object a row.
    Jsonl,
    /// Columns for people.
    Table,
    /// Comma-separated values.
    Csv,
}

/// `nhatle search`
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
    /// The query line, as on the search page.
    #[arg(value_name = "QUERY")]
    pub query: String,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// The address of a running server, in place of a folder.
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<String>,
    /// The access token for `--url`.
    #[arg(long, value_name = "T")]
    pub token: Option<String>,
    /// Only events at or after this time (RFC 3339).
    #[arg(long, value_name = "T")]
    pub from: Option<String>,
    /// Only events before this time (RFC 3339).
    #[arg(long, value_name = "T")]
    pub to: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print only how many there are.
    #[arg(long)]
    pub count: bool,
    /// Print what the search did instead of what it found: what was skipped, read, and how long it took.
    #[arg(long, conflicts_with = "count")]
    pub explain: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: RowFormat,
}

/// How `replay` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayFormat {
    /// One JSON object a match.
    Jsonl,
    /// Columns for people.
    Table,
    /// Comma-separated values.
    Csv,
    /// One JSON object with counts and times.
    Summary,
}

/// `nhatle replay`
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Events that happened at or after this time (RFC 3339, or a day).
    #[arg(long, value_name = "T")]
    pub from: String,
    /// Events that happened before this time; to the newest if not given.
    #[arg(long, value_name = "T")]
    pub to: Option<String>,
    /// Rule files or folders; the rules that come with the program if not given.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Only the rule or correlation with this id.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// How to print.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: ReplayFormat,
    /// Make alerts of what is new, marked as found late. Not while a server has the folder open.
    #[arg(long)]
    pub store: bool,
    /// Read every event, also what cannot match: slower, with the same result.
    #[arg(long)]
    pub full_scan: bool,
}

/// `nhatle rule …`
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Compile rules and say what is wrong with them.
    #[command(after_help = "Example: nhatle rule check rules/sigma")]
    Check {
        /// Rule files or folders.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Print errors and warnings as JSON lines.
        #[arg(long)]
        json: bool,
        /// Value lists for placeholders: a configuration file, or TOML of nothing but lists.
        #[arg(long, value_name = "FILE")]
        placeholders: Option<PathBuf>,
    },
    /// Take in a pack of rules made by others, or a newer one in its place.
    #[command(after_help = "Example: nhatle rule import sigma_core.zip --name sigmahq --off --data data")]
    Import(RuleImportArgs),
    /// Run the samples beside rules through the real collector and engine.
    #[command(
        after_help = "Example: nhatle rule test rules/mine\n\nSamples stand beside a rule in NAME.samples.jsonl, one JSON object a line: expect (match or silent), profile, lines, why."
    )]
    Test {
        /// Rule files or folders; the rules that come with the program if not given.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Print as JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Say why a rule matches an event or not.
    #[command(after_help = "Example: nhatle rule explain rule.yml event.json")]
    Explain {
        /// The rule file.
        #[arg(value_name = "RULE")]
        rule: PathBuf,
        /// A file with one event, as `detect` reads it.
        #[arg(value_name = "EVENT.json")]
        event: PathBuf,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// ATT&CK coverage of the rules.
    #[command(after_help = "Example: nhatle rule coverage --data data --navigator layer.json")]
    Coverage(CoverageArgs),
    /// List the rules that come with the program, or those of paths.
    #[command(after_help = "Example: nhatle rule list --data data")]
    List {
        /// Rule files or folders.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// A data folder: its packs too, and what was decided about rules.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Print as JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// `nhatle rule coverage`
#[derive(Clone, Debug, Args)]
pub struct CoverageArgs {
    /// Rule files or folders; the rules that come with the program if not given.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// The data folder that says what arrives and what is proven; without it nothing is green.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Only what this unit sends.
    #[arg(long, value_name = "CODE")]
    pub unit: Option<String>,
    /// Write a layer for ATT&CK Navigator (format 4.5) into this file.
    #[arg(long, value_name = "FILE")]
    pub navigator: Option<PathBuf>,
    /// Print as JSON lines.
    #[arg(long)]
    pub json: bool,
}

/// `nhatle rule import`
#[derive(Clone, Debug, Args)]
pub struct RuleImportArgs {
    /// A folder of rules, or a ZIP archive.
    #[arg(value_name = "DIR|ZIP")]
    pub source: PathBuf,
    /// Where the store is.
    #[command(flatten)]
    pub data: DataArgs,
    /// What the pack is called; the name of the folder or archive if not given.
    #[arg(long, value_name = "PACK")]
    pub name: Option<String>,
    /// Its rules are off until they are switched on one by one.
    #[arg(long)]
    pub off: bool,
    /// Its rules are on, where the pack was imported with --off before.
    #[arg(long, conflicts_with = "off")]
    pub on: bool,
    /// The file with its licence, where it is not in the pack.
    #[arg(long, value_name = "FILE")]
    pub license: Option<PathBuf>,
    /// Value lists for placeholders: a configuration file, or TOML of nothing but lists.
    #[arg(long, value_name = "FILE")]
    pub placeholders: Option<PathBuf>,
    /// Print the report as JSON lines.
    #[arg(long)]
    pub json: bool,
}

/// `nhatle forward`
#[derive(Clone, Debug, Args)]
pub struct ForwardArgs {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Say whether everything is in order, and end.
    #[arg(long, conflicts_with = "status")]
    pub check: bool,
    /// Say how the running forwarder stands, and end.
    #[arg(long)]
    pub status: bool,
    /// Print the status as JSON.
    #[arg(long, requires = "status")]
    pub json: bool,
}

/// `nhatle doctor`
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Where the store is; a server may be running on it.
    #[command(flatten)]
    pub data: DataArgs,
    /// The configuration file the server runs with.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask a running server instead (http://HOST:PORT).
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Its access token, of role auditor or more.
    #[arg(long, value_name = "TOKEN", requires = "url")]
    pub token: Option<String>,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
    /// vi or en; as LANG says where not given.
    #[arg(long, value_name = "LANG")]
    pub lang: Option<String>,
}

/// `nhatle config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file.
    #[command(after_help = "Example: nhatle config check nhatle.toml")]
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
