//! Configuration: defaults < file < flags. `ConfigFile` is what the user wrote; `Config` is what it means. In: one TOML file. Out:
//! checked values, or every problem at once, each with its key. Start-up is strict: an unknown key, a range that is no range, two
//! listeners on one address stop the program. `nhatle.example.toml` lists every key with its default; a test compares the two.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nhatle_collector::{Cidr, listen::datagram::SOCKETS_MAX};
use nhatle_engine::correlate::Limits;
use nhatle_engine::retention::Rule;
use nhatle_engine::rhythm::Calendar;
use serde::{Deserialize, Serialize};

use crate::canary::run::Schedule;
use crate::cli::ServeArgs;
use crate::followed::{self, EvtxSource, FileSource};
use crate::objects::settings::BackupFile;
use crate::pki::{ClientCert, Own};
use crate::postgres::config::{Postgres, PostgresFile};
use crate::prove::settings::{Proof, ProofFile};
use crate::reference::config::{self as reference, AssetsFile, GeoFiles, Intel, ThreatList};
use crate::reference::live::Configured;
use crate::sentinel::settings::Sentinel;
use crate::source_settings::{self, Clocks, Source};
use crate::sql::settings::SqlFile;
use crate::units::{self, Unit};

/// The file as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// The data folder.
    pub data: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[collector]`
    pub collector: Collector,
    /// `[storage]`
    pub storage: nhatle_storage::Config,
    /// `[sql]`
    pub sql: SqlFile,
    /// `[rules]`
    pub rules: Rules,
    /// `[engine]`
    pub engine: Engine,
    /// `[canary]`
    pub canary: Canary,
    /// `[assets]`
    pub assets: AssetsFile,
    /// `[geoip]`
    pub geoip: GeoFiles,
    /// `[intel]`
    pub intel: Intel,
    /// `[[threat_list]]`
    pub threat_list: Vec<ThreatList>,
    /// `[sentinel]`
    pub sentinel: Sentinel,
    /// `[proof]`
    pub proof: ProofFile,
    /// `[postgres]`
    pub postgres: PostgresFile,
    /// `[backup]`
    pub backup: BackupFile,
    /// `[[retention]]`
    pub retention: Vec<Rule>,
    /// `[[unit]]`
    pub unit: Vec<Unit>,
    /// `[[source]]`
    pub source: Vec<Source>,
}

impl Default for ConfigFile {
    fn default() -> ConfigFile {
        ConfigFile {
            data: PathBuf::from("data"),
            server: Server::default(),
            collector: Collector::default(),
            storage: nhatle_storage::Config::default(),
            sql: SqlFile::default(),
            rules: Rules::default(),
            engine: Engine::default(),
            canary: Canary::default(),
            assets: AssetsFile::default(),
            geoip: GeoFiles::default(),
            intel: Intel::default(),
            threat_list: Vec::new(),
            sentinel: Sentinel::default(),
            proof: ProofFile::default(),
            postgres: PostgresFile::default(),
            backup: BackupFile::default(),
            retention: Vec::new(),
            unit: Vec::new(),
            source: Vec::new(),
        }
    }
}

/// Pages and the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where pages and the API listen. Loopback only, until TLS stands in front of it.
    pub http: SocketAddr,
    /// The address people open, if another one stands in front (`https://soc.example`).
    pub public_url: String,
    /// Whose it is: the name in the head of every page and on every print.
    pub organization: String,
    /// Where pages, API and pushes listen over TLS; empty = nowhere.
    pub https: String,
    /// The operator's own certificate chain (PEM), shown in place of the city's; empty = the city's.
    pub tls_certificate: PathBuf,
    /// Its key (PEM).
    pub tls_key: PathBuf,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            http: loopback(8080),
            public_url: String::new(),
            organization: String::new(),
            https: String::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
        }
    }
}

/// Where records come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Collector {
    /// Where syslog over UDP listens; empty = nowhere.
    pub syslog_udp: String,
    /// How many sockets share the address of syslog over UDP.
    pub syslog_udp_sockets: usize,
    /// Where syslog over TCP listens; empty = nowhere.
    pub syslog_tcp: String,
    /// Where syslog over TLS listens; empty = nowhere.
    pub syslog_tls: String,
    /// Whether its senders show a certificate of the city.
    pub syslog_tls_client: ClientCert,
    /// Addresses of balancers in front of syslog over TCP and TLS and of HTTPS, which speak the PROXY protocol.
    pub proxy_from: Vec<String>,
    /// Where RELP listens; empty = nowhere.
    pub relp: String,
    /// Where GELF over UDP listens; empty = nowhere.
    pub gelf_udp: String,
    /// Where GELF over TCP listens; empty = nowhere.
    pub gelf_tcp: String,
    /// Where NetFlow v5, v9 and IPFIX over UDP listen; empty = nowhere.
    pub netflow: String,
    /// Where an Elasticsearch face of its own listens, for senders that cannot be given a path; empty = nowhere.
    pub elastic: String,
    /// Files that grow.
    pub file: Vec<FileSource>,
    /// Whether the journal of this host is read.
    pub journald: bool,
    /// Folders of EVTX files.
    pub evtx: Vec<EvtxSource>,
    /// A record longer than this is cut and marked.
    pub record_bytes_max: usize,
    /// How many TCP connections are served at once.
    pub connection_count_max: usize,
    /// What unfinished frames of all TCP connections may hold together, bytes.
    pub unfinished_bytes_max: usize,
    /// A pushed request body may have at most so many bytes, decompressed.
    pub push_bytes_max: usize,
    /// A time without a zone is taken at so many minutes east of UTC (Vietnam: 420).
    pub default_offset_minutes: i32,
    /// A time so many seconds past its receipt is not believed; 0 = any is.
    pub time_ahead_max_s: u64,
    /// A time so many seconds before its receipt is not believed; 0 = any is.
    pub time_behind_max_s: u64,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector {
            syslog_udp: "127.0.0.1:5514".to_owned(),
            syslog_udp_sockets: 1,
            syslog_tcp: "127.0.0.1:5514".to_owned(),
            syslog_tls: String::new(),
            syslog_tls_client: ClientCert::Optional,
            proxy_from: Vec::new(),
            relp: String::new(),
            gelf_udp: String::new(),
            gelf_tcp: String::new(),
            netflow: String::new(),
            elastic: String::new(),
            file: Vec::new(),
            journald: false,
            evtx: Vec::new(),
            record_bytes_max: 1 << 20,
            connection_count_max: 1_024,
            unfinished_bytes_max: 256 << 20,
            push_bytes_max: 64 << 20,
            default_offset_minutes: 420,
            time_ahead_max_s: 86_400,
            time_behind_max_s: 0,
        }
    }
}

/// Which rules run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The rules that come with the program.
    pub builtin: bool,
    /// Rule files and folders of your own.
    pub paths: Vec<PathBuf>,
    /// Value lists for the placeholders of rules (`%name%` under `expand`), by name without the percent signs.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { builtin: true, paths: Vec::new(), placeholders: BTreeMap::new() }
    }
}

impl Rules {
    /// The rules of these paths, or those that come with the program where there are none.
    pub fn of(paths: &[PathBuf]) -> Rules {
        Rules { builtin: paths.is_empty(), paths: paths.to_vec(), ..Rules::default() }
    }
}

/// Reads value lists for placeholders: a configuration file with `[rules.placeholders]`, or a TOML file of nothing
/// but lists.
///
/// # Errors
/// It cannot be read, or is neither.
pub fn read_placeholders(path: &Path) -> Result<BTreeMap<String, Vec<String>>, ConfigError> {
    let problem = |text: String| ConfigError { problems: vec![format!("{}: {text}", path.display())] };
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    toml::from_str(&text).or_else(|lists| match toml::from_str::<ConfigFile>(&text) {
        Ok(file) => Ok(file.rules.placeholders),
        Err(_) => Err(problem(format!("write for example `servers = [\"srv1\", \"srv2\"]`: {lists}"))),
    })
}

/// How alerts become incidents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// Alerts of one entity this far apart are one incident.
    pub incident_span_s: u64,
    /// Alerts below this level open no incident: informational, low, medium, high, critical.
    pub incident_level: String,
    /// How important hosts, accounts and addresses are, by name: 1 to 5.
    pub importance: BTreeMap<String, u8>,
    /// How late events may be for correlations, seconds; sources that usually need more are given more.
    pub lateness_s: u64,
    /// The most that is given to any source.
    pub lateness_max_s: u64,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine {
            incident_span_s: 4 * 3600,
            incident_level: "medium".to_owned(),
            importance: BTreeMap::new(),
            lateness_s: 600,
            lateness_max_s: 7 * 86_400,
        }
    }
}

/// `[canary]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Canary {
    /// Whether rules are proven by canaries.
    pub enabled: bool,
    /// When each day, local time, `HH:MM`.
    pub daily_at: String,
    /// Seconds after the start, or after rules changed.
    pub first_after_s: u64,
    /// Seconds of silence of a source after which its rules are red.
    pub source_silent_s: u64,
}

impl Default for Canary {
    fn default() -> Canary {
        Canary { enabled: true, daily_at: "03:10".to_owned(), first_after_s: 60, source_silent_s: 86_400 }
    }
}

impl Canary {
    fn schedule(&self, offset_minutes: i32, problems: &mut Vec<String>) -> Schedule {
        let time = self.daily_at.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute) = (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?);
            ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 3600 + minute * 60)
        });
        if time.is_none() {
            problems.push(format!("canary.daily_at: {} is no time as HH:MM", self.daily_at));
        }
        let silent_ns = i64::try_from(self.source_silent_s).ok().and_then(|s| s.checked_mul(1_000_000_000));
        if silent_ns.is_none_or(|ns| ns == 0) {
            problems.push("canary.source_silent_s: 0 or too large".to_owned());
        }
        Schedule {
            is_on: self.enabled,
            first_after: Duration::from_secs(self.first_after_s),
            daily_at_s: time.unwrap_or_default(),
            zone_offset_s: i64::from(offset_minutes) * 60,
            silent_ns: silent_ns.unwrap_or(i64::MAX),
        }
    }
}

/// The configuration as checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where pages and the API listen.
    pub http: SocketAddr,
    /// The address people open.
    pub public_url: Option<String>,
    /// Whose it is, for the head of every page.
    pub organization: String,
    /// Where syslog over UDP listens.
    pub syslog_udp: Option<SocketAddr>,
    /// Where syslog over TCP listens.
    pub syslog_tcp: Option<SocketAddr>,
    /// Where syslog over TLS listens.
    pub syslog_tls: Option<SocketAddr>,
    /// Where pages, API and pushes listen over TLS.
    pub https: Option<SocketAddr>,
    /// The operator's own certificate.
    pub own_certificate: Option<Own>,
    /// Balancers.
    pub proxy_from: Vec<Cidr>,
    /// Where RELP listens.
    pub relp: Option<SocketAddr>,
    /// Where GELF over UDP listens.
    pub gelf_udp: Option<SocketAddr>,
    /// Where GELF over TCP listens.
    pub gelf_tcp: Option<SocketAddr>,
    /// Where NetFlow and IPFIX listen.
    pub netflow: Option<SocketAddr>,
    /// Where the Elasticsearch face listens.
    pub elastic: Option<SocketAddr>,
    /// Limits of the collector.
    pub collector: Collector,
    /// Sizes and limits of the store.
    pub storage: nhatle_storage::Config,
    /// What queries in SQL may take.
    pub sql: nhatle_storage::sql::Limits,
    /// Which rules run.
    pub rules: Rules,
    /// When alerts belong together.
    pub grouping: nhatle_engine::incident::Grouping,
    /// Organization units.
    pub units: Vec<Unit>,
    /// What is said of single senders.
    pub sources: nhatle_collector::SourceSettings,
    /// Between which times clocks are believed.
    pub clocks: Clocks,
    /// How important hosts, accounts and addresses are, by name: 1 to 5.
    pub importance: BTreeMap<String, u8>,
    /// Files of assets, places and indicators that are followed.
    pub reference: Configured,
    /// When canaries are sent.
    pub canary: Schedule,
    /// Days off for the rhythms of sources; `None` = nobody watches them.
    pub sentinel: Option<Calendar>,
    /// The proof's second parties.
    pub proof: Proof,
    /// Where clients of PostgreSQL are answered.
    pub postgres: Postgres,
    /// How much correlations remember.
    pub correlation: Limits,
    /// How long events are kept.
    pub retention: Vec<Rule>,
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct ConfigError {
    /// What is wrong, each with its key.
    pub problems: Vec<String>,
}

impl ConfigFile {
    /// What `serve` is told: the file of `--config` if there is one, then the flags.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(args: &ServeArgs) -> Result<ConfigFile, ConfigError> {
        let mut file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        if let Some(data) = &args.data {
            file.data.clone_from(data);
        }
        if let Some(http) = args.http {
            file.server.http = http;
        }
        if let Some(address) = args.syslog_udp {
            file.collector.syslog_udp = address.to_string();
        }
        if let Some(address) = args.syslog_tcp {
            file.collector.syslog_tcp = address.to_string();
        }
        if !args.rules.is_empty() {
            file.rules = Rules { builtin: false, paths: args.rules.clone(), ..file.rules };
        }
        Ok(file)
    }
}

impl Config {
    /// The configuration of `serve`, checked.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(args: &ServeArgs) -> Result<Config, ConfigError> {
        Config::check(ConfigFile::load(args)?)
    }

    /// Checks what was written.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(file: ConfigFile) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let mut address = |key: &str, text: &str| match text {
            "" => None,
            text => text.parse::<SocketAddr>().map_err(|_bad| problems.push(format!("{key}: no address: {text}"))).ok(),
        };
        let syslog_udp = address("collector.syslog_udp", &file.collector.syslog_udp);
        let syslog_tcp = address("collector.syslog_tcp", &file.collector.syslog_tcp);
        let syslog_tls = address("collector.syslog_tls", &file.collector.syslog_tls);
        let https = address("server.https", &file.server.https);
        let relp = address("collector.relp", &file.collector.relp);
        let gelf_udp = address("collector.gelf_udp", &file.collector.gelf_udp);
        let gelf_tcp = address("collector.gelf_tcp", &file.collector.gelf_tcp);
        let netflow = address("collector.netflow", &file.collector.netflow);
        let elastic = address("collector.elastic", &file.collector.elastic);
        let taken = [
            ("server.https", https),
            ("collector.syslog_tcp", syslog_tcp),
            ("collector.syslog_tls", syslog_tls),
            ("collector.relp", relp),
            ("collector.gelf_tcp", gelf_tcp),
            ("collector.elastic", elastic),
        ];
        check_distinct("server.http", file.server.http, &taken, &mut problems);
        if let (Some(syslog), Some(gelf)) = (syslog_udp, gelf_udp) {
            check_distinct("collector.syslog_udp", syslog, &[("collector.gelf_udp", Some(gelf))], &mut problems);
        }
        crate::pki::names::check_public_url(&file.server.public_url, &mut problems);
        let own_certificate = own_certificate(&file.server, &mut problems);
        let mut proxy_from = Vec::new();
        for text in &file.collector.proxy_from {
            match text.parse::<Cidr>() {
                Ok(range) => proxy_from.push(range),
                Err(error) => problems.push(format!("collector.proxy_from: {error}")),
            }
        }
        if let Some(netflow) = netflow {
            let taken = [("syslog_udp", syslog_udp), ("gelf_udp", gelf_udp)];
            check_distinct("collector.netflow", netflow, &taken, &mut problems);
        }
        let mut range = |key: &str, value: usize, low: usize, high: usize| {
            if !(low..=high).contains(&value) {
                problems.push(format!("{key}: {value} is not within {low} to {high}"));
            }
        };
        range("collector.record_bytes_max", file.collector.record_bytes_max, 1024, 16 << 20);
        range("collector.syslog_udp_sockets", file.collector.syslog_udp_sockets, 1, SOCKETS_MAX);
        range("collector.connection_count_max", file.collector.connection_count_max, 1, 65_536);
        range("collector.unfinished_bytes_max", file.collector.unfinished_bytes_max, 8 << 20, 1 << 30);
        range("collector.push_bytes_max", file.collector.push_bytes_max, 1024, 1 << 30);
        followed::check("collector", &file.collector.file, &file.collector.evtx, &mut problems);
        if !(-14 * 60..=14 * 60).contains(&file.collector.default_offset_minutes) {
            problems.push("collector.default_offset_minutes: not within -840 to 840".to_owned());
        }
        let level = nhatle_rules::Level::from_name(&file.engine.incident_level);
        if level.is_none() {
            problems.push(format!("engine.incident_level: unknown level {}", file.engine.incident_level));
        }
        let span_ns = i64::try_from(file.engine.incident_span_s).ok().and_then(|s| s.checked_mul(1_000_000_000));
        if span_ns.is_none() {
            problems.push("engine.incident_span_s: too large".to_owned());
        }
        for (name, level) in file.engine.importance.iter().filter(|(_, level)| !(1..=5).contains(*level)) {
            problems.push(format!("engine.importance: {name} = {level} is not within 1 to 5"));
        }
        let (least, most) = (file.engine.lateness_s, file.engine.lateness_max_s);
        if !(60..=most).contains(&least) || 30 * 86_400 < most {
            problems.push(format!("engine.lateness_s, lateness_max_s: not 60 <= {least} <= {most} <= 2592000"));
        }
        for path in file.rules.paths.iter().filter(|path| !path.try_exists().unwrap_or(false)) {
            problems.push(format!("rules.paths: {} is not there", path.display()));
        }
        file.sql.check(&mut problems);
        file.backup.check(&mut problems);
        let sql = file.sql.limits(&file.data);
        let proof = file.proof.check(&mut problems);
        let postgres = file.postgres.check(&mut problems);
        let sentinel = file.sentinel.calendar(file.collector.default_offset_minutes, &mut problems);
        let canary = file.canary.schedule(file.collector.default_offset_minutes, &mut problems);
        let reference = reference::check((&file.assets, &file.geoip, &file.intel, &file.threat_list), &mut problems);
        units::check(&file.unit, &mut problems);
        crate::retention::check_rules(&file.retention, &mut problems);
        let (ahead_max_s, behind_max_s) = (file.collector.time_ahead_max_s, file.collector.time_behind_max_s);
        let clocks = Clocks { ahead_max_s, behind_max_s };
        let sources = source_settings::check(&file.source, &file.unit, clocks, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        Ok(Config {
            data: file.data,
            http: file.server.http,
            organization: file.server.organization,
            public_url: Some(file.server.public_url).filter(|url| !url.is_empty()),
            syslog_udp,
            syslog_tcp,
            syslog_tls,
            https,
            own_certificate,
            proxy_from,
            relp,
            gelf_udp,
            gelf_tcp,
            netflow,
            elastic,
            collector: file.collector,
            storage: file.storage,
            sql,
            rules: file.rules,
            reference,
            canary,
            sentinel,
            proof,
            postgres,
            correlation: limits(&file.engine),
            importance: file.engine.importance.clone(),
            grouping: nhatle_engine::incident::Grouping {
                span_ns: span_ns.unwrap_or(i64::MAX),
                opens_at: level.unwrap_or_default(),
            },
            units: file.unit,
            retention: file.retention,
            sources,
            clocks,
        })
    }
}

/// Reads a configuration file.
///
/// # Errors
/// It cannot be read, is no TOML, or has keys nobody knows; with line and column.
pub fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let problem = |text: String| ConfigError { problems: vec![format!("{}: {text}", path.display())] };
    toml::from_str(&std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?)
        .map_err(|error| problem(error.to_string()))
}

/// The operator's own certificate, where both halves are named.
fn own_certificate(server: &Server, problems: &mut Vec<String>) -> Option<Own> {
    let (certificate, key) = (server.tls_certificate.clone(), server.tls_key.clone());
    let (has_certificate, has_key) = (!certificate.as_os_str().is_empty(), !key.as_os_str().is_empty());
    if has_certificate != has_key {
        problems.push("server.tls_certificate, server.tls_key: one is missing beside the other".to_owned());
    }
    has_certificate.then_some(Own { certificate, key })
}

/// Finds listeners on one address; port 0 is a free one for each.
fn check_distinct(name: &str, first: SocketAddr, others: &[(&str, Option<SocketAddr>)], problems: &mut Vec<String>) {
    let mut seen = vec![(name, first)];
    for (name, address) in others.iter().filter_map(|(name, address)| Some((*name, (*address)?))) {
        if let Some((taken, _)) = seen.iter().find(|(_, known)| *known == address && address.port() != 0) {
            problems.push(format!("{name}: the same address as {taken}"));
        }
        seen.push((name, address));
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn limits(engine: &Engine) -> Limits {
    let nanos = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    Limits { lateness_ns: nanos(engine.lateness_s), lateness_max_ns: nanos(engine.lateness_max_s), ..Limits::default() }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
