//! The forwarder's configuration: one TOML file, checked whole.
//!
//! In: a file. Out: [`Config`], or every problem at once, each with its key. `nhatle.forward.example.toml` lists every key
//! with its default; a test compares the two.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::client::City;
use crate::config::ConfigError;
use crate::followed::{self, EvtxSource, FileSource, Source};

/// How important an input is when not everything can be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Last to go: sign-ins, the audit trail.
    High,
    /// Everything else.
    #[default]
    Normal,
    /// First to go: what is much and says little.
    Low,
}

impl Priority {
    /// The spool's lane.
    pub fn lane(self) -> u32 {
        match self {
            Priority::High => 1,
            Priority::Normal => 2,
            Priority::Low => 3,
        }
    }
}

/// `[[file]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// A file, or a pattern in the last part of the path.
    pub path: PathBuf,
    /// The source profile; empty = by content.
    pub profile: String,
    /// How important it is.
    pub priority: Priority,
}

/// `[[evtx]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evtx {
    /// The folder.
    pub folder: PathBuf,
    /// How important it is.
    pub priority: Priority,
}

/// The file as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// The city's address.
    pub server: String,
    /// The code from the city, for the first start.
    pub code: String,
    /// A token in place of a code: for the lab, over plain HTTP.
    pub token: String,
    /// What it calls itself where no certificate says so.
    pub name: String,
    /// Where spool, key and certificate are kept.
    pub state: PathBuf,
    /// The bound of the spool.
    pub spool_bytes_max: u64,
    /// Bytes sent in a second at most, packed; 0 = as fast as the line allows.
    pub bytes_per_second_max: u64,
    /// A longer record is cut and marked.
    pub record_bytes_max: usize,
    /// Where syslog over UDP listens.
    pub syslog_udp: String,
    /// Where syslog over TCP listens.
    pub syslog_tcp: String,
    /// How important what they take is.
    pub syslog_priority: Priority,
    /// Whether the journal is read.
    pub journald: bool,
    /// The program that reads it.
    pub journalctl: PathBuf,
    /// How important it is.
    pub journald_priority: Priority,
    /// Files that grow.
    pub file: Vec<File>,
    /// Folders of EVTX files.
    pub evtx: Vec<Evtx>,
}

impl Default for ConfigFile {
    fn default() -> ConfigFile {
        ConfigFile {
            server: String::new(),
            code: String::new(),
            token: String::new(),
            name: String::new(),
            state: PathBuf::from("/var/lib/nhatle-forward"),
            spool_bytes_max: 1 << 30,
            bytes_per_second_max: 0,
            record_bytes_max: 256 << 10,
            syslog_udp: String::new(),
            syslog_tcp: String::new(),
            syslog_priority: Priority::Normal,
            journald: false,
            journalctl: PathBuf::from("journalctl"),
            journald_priority: Priority::High,
            file: Vec::new(),
            evtx: Vec::new(),
        }
    }
}

/// The configuration as checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The city.
    pub city: City,
    /// The code for the first start.
    pub code: Option<crate::pki::Code>,
    /// A token in place of a certificate.
    pub token: Option<String>,
    /// What it calls itself.
    pub name: String,
    /// Where syslog over UDP listens.
    pub syslog_udp: Option<SocketAddr>,
    /// Where syslog over TCP listens.
    pub syslog_tcp: Option<SocketAddr>,
    /// What is followed, each with its lane.
    pub followed: Vec<(Source, u32)>,
    /// The rest, as written.
    pub file: ConfigFile,
}

/// Reads and checks a file.
///
/// # Errors
/// All problems at once.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let problem = |text: String| ConfigError { problems: vec![format!("{}: {text}", path.display())] };
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    check(toml::from_str(&text).map_err(|error| problem(error.to_string()))?)
}

/// Checks what was written.
///
/// # Errors
/// All problems at once.
pub fn check(file: ConfigFile) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let city = match file.server.as_str() {
        "" => Err("the city's address is missing, as https://10.45.0.10:8443".to_owned()),
        url => City::read(url),
    };
    let city = city.map_err(|error| problems.push(format!("server: {error}"))).ok();
    let code = Some(file.code.trim()).filter(|code| !code.is_empty()).map(str::parse::<crate::pki::Code>).transpose();
    let code = code.unwrap_or_else(|error| {
        problems.push(format!("code: {error}"));
        None
    });
    let token = Some(file.token.trim().to_owned()).filter(|token| !token.is_empty());
    if code.is_some() && token.is_some() {
        problems.push("code, token: one of them, not both".to_owned());
    }
    if city.as_ref().is_some_and(|city| !city.is_tls) && token.is_none() {
        problems.push("server: http:// is for the lab and takes a token; a code needs https://".to_owned());
    }
    let mut address = |key: &str, text: &str| match text {
        "" => None,
        text => text.parse::<SocketAddr>().map_err(|_bad| problems.push(format!("{key}: no address: {text}"))).ok(),
    };
    let syslog_udp = address("syslog_udp", &file.syslog_udp);
    let syslog_tcp = address("syslog_tcp", &file.syslog_tcp);
    let mut range = |key: &str, value: u64, low: u64, high: u64| {
        if !(low..=high).contains(&value) {
            problems.push(format!("{key}: {value} is not within {low} to {high}"));
        }
    };
    range("spool_bytes_max", file.spool_bytes_max, 4 << 20, 1 << 40);
    range("record_bytes_max", file.record_bytes_max as u64, 1024, 1 << 20);
    if file.bytes_per_second_max != 0 {
        range("bytes_per_second_max", file.bytes_per_second_max, 1024, 1 << 40);
    }
    let files: Vec<FileSource> = file
        .file
        .iter()
        .map(|one| FileSource { path: one.path.clone(), profile: one.profile.clone(), unit: String::new() })
        .collect();
    let folders: Vec<EvtxSource> =
        file.evtx.iter().map(|one| EvtxSource { folder: one.folder.clone(), unit: String::new() }).collect();
    followed::check("forward", &files, &folders, &mut problems);
    let mut followed: Vec<(Source, u32)> = Vec::new();
    followed.extend(files.into_iter().map(Source::File).zip(file.file.iter().map(|one| one.priority.lane())));
    followed.extend(folders.into_iter().map(Source::Evtx).zip(file.evtx.iter().map(|one| one.priority.lane())));
    followed.extend(file.journald.then(|| (Source::Journald(file.journalctl.clone()), file.journald_priority.lane())));
    if followed.is_empty() && syslog_udp.is_none() && syslog_tcp.is_none() && problems.is_empty() {
        problems.push("nothing to collect: set syslog_udp, syslog_tcp, journald, [[file]] or [[evtx]]".to_owned());
    }
    let name = Some(file.name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(host_name);
    match city.filter(|_| problems.is_empty()) {
        Some(city) => Ok(Config { city, code, token, name, syslog_udp, syslog_tcp, followed, file }),
        None => Err(ConfigError { problems }),
    }
}

/// This machine's name.
pub fn host_name() -> String {
    let told =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name: String = told.unwrap_or_default().trim().chars().take(64).collect();
    if name.is_empty() { "forwarder".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_said_at_once() {
        let text = "server = \"soc\"\ncode = \"x\"\nsyslog_udp = \"here\"\nspool_bytes_max = 1\n\
                    [[file]]\npath = \"/var/*/a\"\npriority = \"low\"\n";
        let problems = check(toml::from_str(text).expect("is TOML")).expect_err("has problems").problems;
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(toml::from_str::<ConfigFile>("servers = 1").is_err());
        let nothing = ConfigFile { server: "http://127.0.0.1:1".into(), token: "t".into(), ..ConfigFile::default() };
        assert!(check(nothing).expect_err("collects nothing").to_string().contains("nothing to collect"));
    }
}
