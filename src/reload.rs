//! The configuration, read again while the server runs: by SIGHUP or `POST /api/v1/reload`.
//!
//! In: the file and flags of the start. Out: what changed, what needs a restart; or every problem at once, and all stays
//! as it was. Inputs whose address stays keep their connections; see [`Inputs::change`]. Settings that are in no list
//! below need a restart, so that a new one is never silently ignored. Rules have their own way
//! ([`crate::live_rules`]); SIGHUP does both.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use nhatle_collector::listen::http::PushLimits;
use serde_json::Value;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::cli::ServeArgs;
use crate::config::{Config, ConfigError, ConfigFile};
use crate::inputs::Inputs;
use crate::pipeline::Shared;
use crate::units::{self, Units};

/// Keys, and sections by their first word and a dot, that may change while the server runs.
const LIVE: &[&str] = &[
    "collector.syslog_udp",
    "collector.syslog_udp_sockets",
    "collector.syslog_tcp",
    "collector.syslog_tls",
    "collector.syslog_tls_client",
    "collector.relp",
    "collector.gelf_udp",
    "collector.gelf_tcp",
    "collector.netflow",
    "collector.record_bytes_max",
    "collector.connection_count_max",
    "collector.unfinished_bytes_max",
    "collector.push_bytes_max",
    "engine.incident_span_s",
    "engine.incident_level",
    "engine.importance",
    "canary.",
    "assets.",
    "geoip.",
    "intel.",
    "backup.",
    "threat_list",
    "retention",
    "unit",
];

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Inputs that began, moved or ended.
    pub inputs: Vec<&'static str>,
    /// Keys whose new value is in force.
    pub changed: Vec<String>,
    /// Keys whose new value is in force after a restart.
    pub needs_restart: Vec<String>,
}

/// Reads again what a running server was started with.
pub struct Reloader {
    args: ServeArgs,
    shared: Weak<Shared>,
    push_limits: watch::Sender<PushLimits>,
    running: Mutex<Running>,
}

struct Running {
    /// `None` once the server stops.
    inputs: Option<Inputs>,
    /// The settings in force, by key.
    settings: BTreeMap<String, Value>,
}

impl Reloader {
    /// For a server that was just started with this file and these inputs.
    pub fn new(
        args: ServeArgs,
        file: &ConfigFile,
        shared: Weak<Shared>,
        push_limits: watch::Sender<PushLimits>,
        inputs: Inputs,
    ) -> Reloader {
        let running = Running { inputs: Some(inputs), settings: settings(file) };
        Reloader { args, shared, push_limits, running: Mutex::new(running) }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inputs, for the end of the server; nothing is reloaded after it.
    pub fn take_inputs(&self) -> Option<Inputs> {
        self.running().inputs.take()
    }

    /// Reads the configuration again and puts in force what may change. Blocks; not to be called from a task.
    ///
    /// # Errors
    /// Everything that is wrong with it, or the address that cannot be bound. Nothing has changed then.
    pub fn reload(&self) -> Result<Report, ConfigError> {
        let one = |text: String| ConfigError { problems: vec![text] };
        let file = ConfigFile::load(&self.args)?;
        let new = settings(&file);
        let config = Config::check(file)?;
        let mut running = self.running();
        let running = &mut *running;
        let (Some(shared), Some(inputs)) = (self.shared.upgrade(), &mut running.inputs) else {
            return Err(one("the server is stopping".to_owned()));
        };
        // The only part that can go wrong comes first.
        let mut report =
            Report { inputs: inputs.change(&config).map_err(|error| one(said(&error)))?, ..Report::default() };
        shared.inputs().renew(inputs);
        self.push_limits.send_replace(crate::command::serve::push_limits(&config));
        shared.canary_schedule.set(config.canary.clone());
        shared.importance.set(config.importance.clone());
        shared.grouping.set(config.grouping);
        shared.retention.set(config.retention.clone());
        let mut conversion = (*shared.settings.get()).clone();
        conversion.units = crate::command::serve::unit_rules(&config);
        shared.settings.set(conversion);
        let units = Units::new(config.units.clone());
        units::keep(&*shared.disk, &units);
        shared.units.set(units);
        crate::reference::live::configure(&shared, &config.reference);
        let keys: std::collections::BTreeSet<&String> = running.settings.keys().chain(new.keys()).collect();
        let changed = keys.into_iter().filter(|key| running.settings.get(*key) != new.get(*key));
        let (live, fixed): (Vec<String>, Vec<String>) = changed.cloned().partition(|key| is_live(key));
        for key in &live {
            match new.get(key) {
                Some(value) => drop(running.settings.insert(key.clone(), value.clone())),
                None => drop(running.settings.remove(key)),
            }
        }
        (report.changed, report.needs_restart) = (live, fixed);
        info!(inputs = ?report.inputs, changed = ?report.changed, "configuration read again");
        if !report.needs_restart.is_empty() {
            warn!(needs_restart = ?report.needs_restart, "settings changed that need a restart");
        }
        shared.tick();
        Ok(report)
    }
}

fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| key == *live || (live.ends_with('.') && key.starts_with(live)))
}

/// An error with its cause: an address alone does not say why.
fn said(error: &nhatle_collector::listen::ListenError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Every setting by its key, `section.name`.
fn settings(file: &ConfigFile) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let Ok(Value::Object(sections)) = serde_json::to_value(file) else { return flat };
    for (section, value) in sections {
        match value {
            Value::Object(settings) => {
                flat.extend(settings.into_iter().map(|(name, value)| (format!("{section}.{name}"), value)));
            }
            value => drop(flat.insert(section, value)),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_key_that_needs_a_restart_and_no_other() {
        for (language, text) in
            [("English", include_str!("../docs/operate.md")), ("Vietnamese", include_str!("../docs/operate.vi.md"))]
        {
            let part = text.split("`needs_restart`").nth(1).and_then(|rest| rest.split("(422)").next());
            let named: Vec<&str> = part.expect("it has the list").split('`').skip(1).step_by(2).collect();
            let is_named = |key: &str| {
                named.iter().any(|name| *name == key || name.strip_suffix('*').is_some_and(|of| key.starts_with(of)))
            };
            for key in settings(&ConfigFile::default()).keys() {
                assert_eq!(is_named(key), !is_live(key), "{key} in {language}");
            }
        }
    }

    #[test]
    fn every_live_key_is_a_key() {
        let known = settings(&ConfigFile::default());
        for key in LIVE {
            let is_key = known.keys().any(|known| known == key || (key.ends_with('.') && known.starts_with(key)));
            assert!(is_key, "{key}");
        }
        assert!(
            is_live("canary.daily_at") && !is_live("canary") && !is_live("data") && !is_live("storage.reserve_bytes")
        );
    }
}
