//! Organization units: the dated tree of city, wards and communes, from configuration (data, not code).
//!
//! A unit has a code, names, a parent, and the address ranges and hosts whose records belong to it. An
//! account limited to a unit sees that unit and those below it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use nhatle_rules::nearest::nearest;
use nhatle_storage::Disk;
use serde::{Deserialize, Serialize};

use crate::state;

/// One organization unit as the configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its code, as events carry it in `nhatle.unit`.
    pub code: String,
    /// Its name in Vietnamese.
    pub name: String,
    /// Its name in English; the Vietnamese one where empty.
    #[serde(default)]
    pub name_en: String,
    /// Code of the unit above; empty for the top.
    #[serde(default)]
    pub parent: String,
    /// Networks whose records belong to it (`10.45.1.0/24`).
    #[serde(default)]
    pub networks: Vec<String>,
    /// Hosts whose records belong to it, by name.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// System level 1 to 5 of its hosts; 0 = not set.
    #[serde(default)]
    pub system_level: u8,
    /// First day it exists (`2021-01-01`), where it is known.
    #[serde(default)]
    pub from: String,
    /// Day it was merged or dissolved, where it was.
    #[serde(default)]
    pub until: String,
}

/// Whether text is an address range (`10.45.1.0/24`) or an address.
pub fn is_network(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "0"));
    match (address.parse::<IpAddr>(), prefix.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(prefix)) => prefix <= 32,
        (Ok(IpAddr::V6(_)), Ok(prefix)) => prefix <= 128,
        _ => false,
    }
}

/// The tree.
#[derive(Clone, Debug, Default)]
pub struct Units {
    by_code: BTreeMap<String, Unit>,
}

/// Where the units of the configuration in force are kept, for commands that work beside the server.
const PATH: &str = "state/units.json";
/// So many units of the longest names are far less.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How many units are named to whoever gave one that is none.
const NAMED_MAX: usize = 40;

/// Keeps which units there are. That they cannot be kept is told in the log: commands then know those of before.
pub fn keep(disk: &dyn Disk, units: &Units) {
    let codes: Vec<&String> = units.by_code.keys().collect();
    let kept = serde_json::to_vec(&codes).map_err(io::Error::other).and_then(|json| state::keep(disk, PATH, &json));
    if let Err(error) = kept {
        tracing::warn!(%error, file.path = PATH, "which units there are was not kept");
    }
}

/// The codes of the units of the server that ran here last; none where none were configured, or it never ran.
///
/// # Errors
/// The file is damaged, or what the disk says.
pub fn kept(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let bytes = state::read(disk, PATH, FILE_BYTES_MAX)?;
    Ok(bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?.unwrap_or_default())
}

/// Checks that a unit is one of those that are known; where none are, each is.
///
/// # Errors
/// It is none of them: the nearest one and all of them, as a sentence.
pub fn check_known(code: &str, known: &[&str]) -> Result<(), String> {
    if known.is_empty() || known.contains(&code) {
        return Ok(());
    }
    let meant =
        nearest(code, known.iter().copied()).map_or_else(|| ".".to_owned(), |known| format!("; did you mean {known}?"));
    let named = known.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = match known.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(format!("no unit is called {code}{meant} The configuration has: {named}{more}"))
}

/// How deep units may stand below each other.
const DEPTH_MAX: usize = 16;

impl Units {
    /// A tree of these units; of two with the same code the later one counts.
    pub fn new(units: impl IntoIterator<Item = Unit>) -> Units {
        Units { by_code: units.into_iter().map(|unit| (unit.code.clone(), unit)).collect() }
    }

    /// The unit of this code.
    pub fn get(&self, code: &str) -> Option<&Unit> {
        self.by_code.get(code)
    }

    /// All units, by code.
    pub fn all(&self) -> impl Iterator<Item = &Unit> {
        self.by_code.values()
    }

    /// Whether `code` is `limit` or stands below it.
    pub fn is_within(&self, code: &str, limit: &str) -> bool {
        let mut at = code;
        for _ in 0..DEPTH_MAX {
            if at == limit {
                return true;
            }
            match self.by_code.get(at) {
                Some(unit) if !unit.parent.is_empty() => at = &unit.parent,
                _ => return false,
            }
        }
        false
    }

    /// `limit` and all codes below it.
    pub fn within(&self, limit: &str) -> Vec<String> {
        let mut codes: Vec<String> = self.by_code.keys().filter(|code| self.is_within(code, limit)).cloned().collect();
        if !codes.iter().any(|code| code == limit) {
            codes.push(limit.to_owned());
        }
        codes
    }
}

/// Finds what is wrong with units, each problem with the unit's code.
pub fn check(units: &[Unit], problems: &mut Vec<String>) {
    let codes: std::collections::BTreeSet<&str> = units.iter().map(|unit| unit.code.as_str()).collect();
    for unit in units {
        if unit.code.is_empty() || unit.code.len() > 64 {
            problems.push("unit.code: must have 1 to 64 characters".to_owned());
        }
        if !unit.parent.is_empty() && !codes.contains(unit.parent.as_str()) {
            problems.push(format!("unit {}: no unit has the code of its parent {}", unit.code, unit.parent));
        }
        for network in unit.networks.iter().filter(|network| !is_network(network)) {
            problems.push(format!("unit {}: no network: {network}", unit.code));
        }
        if unit.system_level > 5 {
            problems.push(format!("unit {}: system_level is 1 to 5 (0 = not set)", unit.code));
        }
    }
    if codes.len() < units.len() {
        problems.push("unit: two units have the same code".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_unit_is_refused_with_the_nearest_and_all_named() {
        let check = |code: &str, known: &[&str]| check_known(code, known).err();
        assert_eq!(check("18853", &["18853", "TP01"]), None);
        assert_eq!(check("anything", &[]), None, "no units are configured");
        let told = check("1885", &["18853", "TP01"]).unwrap();
        assert_eq!(told, "no unit is called 1885; did you mean 18853? The configuration has: 18853, TP01");
        let many: Vec<String> = (0..100).map(|number| format!("U{number:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(check("ward", &many).unwrap().ends_with("U038, U039 and 60 more"));
        let disk = nhatle_storage::disk::sim::SimDisk::new(1);
        assert_eq!(kept(&disk).unwrap(), Vec::<String>::new());
        keep(&disk, &Units::new([Unit { code: "TP01".to_owned(), ..Unit::default() }]));
        assert_eq!(kept(&disk).unwrap(), ["TP01"]);
    }

    #[test]
    fn a_limit_covers_the_units_below_it_and_no_other() {
        let unit = |code: &str, parent: &str| Unit { code: code.into(), parent: parent.into(), ..Unit::default() };
        let units = Units::new([unit("city", ""), unit("a", "city"), unit("a1", "a"), unit("b", "city")]);
        assert_eq!(units.within("a"), ["a", "a1"]);
        assert_eq!(units.within("new"), ["new"]);
        assert!(!units.is_within("b", "a"));
        let looped = Units::new([unit("x", "y"), unit("y", "x")]);
        assert!(!looped.is_within("x", "z"));
    }
}
