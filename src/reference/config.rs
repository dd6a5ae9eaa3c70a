//! What the configuration says of reference data: `[assets]`, `[geoip]`, `[intel]`, `[[threat_list]]`.
//!
//! In: the file as written. Out: [`Configured`], or what is wrong with it, each with its key. A file that is not there
//! yet is no mistake: it is taken when it comes, and said on the page until then.

use std::path::PathBuf;

use nhatle_collector::enrich::intel::Form;
use nhatle_collector::enrich::intel::table::{LISTS_MAX, Never};
use nhatle_engine::reference::is_list_name;
use serde::{Deserialize, Serialize};

use super::import::ListOptions;
use super::live::Configured;

/// How many values that never match may be configured.
pub const NEVER_MAX: usize = 10_000;

/// `[assets]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssetsFile {
    /// A table of assets (CSV) that is followed; empty = none.
    pub file: PathBuf,
}

/// `[geoip]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeoFiles {
    /// A MaxMind DB file of cities or countries that is followed; empty = none.
    pub city: PathBuf,
    /// One of autonomous systems.
    pub asn: PathBuf,
}

/// `[intel]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intel {
    /// Addresses, ranges and domains (with everything below them) that never match, whatever lists say.
    pub never: Vec<String>,
}

/// `[[threat_list]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreatList {
    /// Its name, as events carry it in `threat.feed.name`.
    pub name: String,
    /// A file, or the folder of a feed, that is followed.
    pub path: PathBuf,
    /// How it is written: auto, lines, csv, misp, stix.
    pub kind: String,
    /// Its indicators end so many days after they came, where they say nothing else; 0 = they do not end.
    pub days_valid: u32,
    /// Confidence of indicators that say none, 0 to 100.
    pub confidence: Option<u8>,
}

/// Checks what is written.
pub fn check(
    (assets, geo, intel, lists): (&AssetsFile, &GeoFiles, &Intel, &[ThreatList]),
    problems: &mut Vec<String>,
) -> Configured {
    let some = |path: &PathBuf| Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
    let mut configured = Configured {
        assets: some(&assets.file),
        geo_city: some(&geo.city),
        geo_asn: some(&geo.asn),
        never: intel.never.clone(),
        lists: Vec::new(),
    };
    if NEVER_MAX < intel.never.len() {
        problems.push(format!("intel.never: more than {NEVER_MAX}"));
    }
    if let Err(wrong) = Never::new(&intel.never) {
        problems.extend(wrong.iter().map(|text| format!("intel.never: {text} is no address, range or domain")));
    }
    if LISTS_MAX < lists.len() {
        problems.push(format!("threat_list: more than {LISTS_MAX}"));
    }
    for list in lists {
        let name = &list.name;
        if !is_list_name(name) {
            problems.push(format!("threat_list: name {name:?} has other than letters, digits, '-', '_' and '.'"));
        }
        if configured.lists.iter().any(|(known, ..)| known == name) {
            problems.push(format!("threat_list {name}: two lists have this name"));
        }
        if list.path.as_os_str().is_empty() {
            problems.push(format!("threat_list {name}: no path"));
        }
        let form = Form::from_name(&list.kind);
        if form.is_none() {
            problems.push(format!("threat_list {name}: kind {:?} is not auto, lines, csv, misp or stix", list.kind));
        }
        if list.confidence.is_some_and(|confidence| 100 < confidence) {
            problems.push(format!("threat_list {name}: confidence is 0 to 100"));
        }
        let options = ListOptions {
            form: form.unwrap_or_default(),
            days_valid: Some(list.days_valid).filter(|days| *days != 0),
            confidence: list.confidence,
        };
        configured.lists.push((name.clone(), list.path.clone(), options));
    }
    configured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_said_with_its_key() {
        let lists = [
            ThreatList { name: "a b".into(), path: "x".into(), ..ThreatList::default() },
            ThreatList { name: "c".into(), kind: "xml".into(), confidence: Some(101), ..ThreatList::default() },
            ThreatList { name: "c".into(), path: "x".into(), ..ThreatList::default() },
        ];
        let intel = Intel { never: vec!["x y".into(), "donghoi.gov.vn".into()] };
        let mut problems = Vec::new();
        check((&AssetsFile::default(), &GeoFiles::default(), &intel, &lists), &mut problems);
        assert_eq!(problems.len(), 6, "{problems:#?}");
        let mut problems = Vec::new();
        let good = ThreatList { name: "ncsc".into(), path: "x".into(), days_valid: 30, ..ThreatList::default() };
        let found = check((&AssetsFile::default(), &GeoFiles::default(), &Intel::default(), &[good]), &mut problems);
        assert!(problems.is_empty() && found.lists[0].2.days_valid == Some(30) && found.assets.is_none());
    }
}
