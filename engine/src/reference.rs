//! Reference data: which files of assets, places of addresses and indicators are in force, and who put them there.
//!
//! In: changes of stream `reference/NAME` with who and when; names are `assets`, `geoip-city`, `geoip-asn` and
//! `intel-LIST`. Out: for each name the file in force by its SHA-256 (the file itself lies below the data folder under
//! that name), and which new indicators are still to be looked for in what is stored. Failure: a change that is refused,
//! and why. Bounded by the constants below.

use std::collections::BTreeMap;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::Refused;

/// How many names there may be.
pub const REFERENCES_MAX: usize = 1_000;
/// How long a name may be, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// How many steps of one name's history are kept in memory; the register keeps all.
pub const STEPS_MAX: usize = 50;
/// How many imports of one list may wait to be looked for; of more, the oldest are given up.
pub const PENDING_MAX: usize = 16;
/// What names of lists begin with.
pub const INTEL: &str = "intel-";
/// The name of the table of assets.
pub const ASSETS: &str = "assets";
/// The name of the file of cities or countries.
pub const GEO_CITY: &str = "geoip-city";
/// The name of the file of autonomous systems.
pub const GEO_ASN: &str = "geoip-asn";

/// A step in the life of reference data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReferenceChange {
    /// This file is in force, in place of the one before.
    Put(ReferenceFile),
    /// None is.
    Remove {},
    /// What is stored was looked through for new indicators.
    LookedBack {
        /// The file of the new ones.
        sha256: String,
        /// Events that were looked at, or that cannot match.
        events: u64,
        /// Events that hold one of them.
        found: u64,
        /// Alerts that came of it.
        alerts: u64,
    },
}

/// A file of reference data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceFile {
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// What it was called where it came from, without its path.
    pub source: String,
    /// SHA-256 of what it was made of, where a configured file is followed; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub followed: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows, networks or indicators, by kind.
    pub counts: BTreeMap<String, u64>,
    /// What was not taken, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// When its maker made it, nanoseconds, where it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_ns: Option<i64>,
    /// Its indicators end so many days after it was put in force, where they say no end themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_valid: Option<u32>,
    /// Confidence of indicators that say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    /// The file of the indicators that the list did not have before, and how many they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Fresh>,
}

/// Indicators that are new in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fresh {
    /// SHA-256 of the file that has them.
    pub sha256: String,
    /// How many they are.
    pub count: u64,
}

/// How a look back ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedBack {
    /// When.
    pub at: Timestamp,
    /// Events that were looked at, or that cannot match.
    pub events: u64,
    /// Events that hold a new indicator.
    pub found: u64,
    /// Alerts that came of it.
    pub alerts: u64,
}

/// Reference data as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The file in force; `None` once it was removed.
    pub file: Option<ReferenceFile>,
    /// When it was put in force.
    pub put: Timestamp,
    /// By whom.
    pub by: String,
    /// What the configured file that is followed was last seen as.
    pub followed: String,
    /// New indicators that are still to be looked for, oldest first, with when they came.
    pub pending: Vec<(Timestamp, Fresh)>,
    /// The last look back.
    pub looked_back: Option<LookedBack>,
    /// What was done, oldest first: when, by whom, and what (`put`, `remove`, `looked_back`).
    pub steps: Vec<(Timestamp, String, &'static str)>,
}

impl Reference {
    /// When the indicators end that say no end themselves.
    pub fn until(&self) -> Option<Timestamp> {
        let days = self.file.as_ref()?.days_valid?;
        Some(self.put.plus_nanos(i64::from(days).saturating_mul(86_400_000_000_000)))
    }
}

/// Whether a list can be called so: letters, digits, `-`, `_` and `.`, no dot in front.
pub fn is_list_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty()
        && INTEL.len() + name.len() <= NAME_CHARS_MAX
        && !name.starts_with('.')
        && name.chars().all(is_plain)
}

fn is_name(name: &str) -> bool {
    matches!(name, ASSETS | GEO_CITY | GEO_ASN) || name.strip_prefix(INTEL).is_some_and(is_list_name)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Folds one change in.
///
/// # Errors
/// The change is refused: no such name, a hash that is none, or nothing there to remove.
pub fn apply(
    before: Option<&Reference>,
    name: &str,
    change: &ReferenceChange,
    actor: &str,
    at: Timestamp,
) -> Result<Reference, Refused> {
    if !is_name(name) {
        return Err(Refused::UnknownWord { what: "form of name", word: name.to_owned() });
    }
    let mut after = before.cloned().unwrap_or_default();
    let word = match change {
        ReferenceChange::Put(file) => {
            let fresh = file.fresh.as_ref().map(|fresh| fresh.sha256.as_str());
            if let Some(bad) = [Some(file.sha256.as_str()), fresh].into_iter().flatten().find(|hash| !is_sha256(hash)) {
                return Err(Refused::UnknownWord { what: "SHA-256", word: bad.to_owned() });
            }
            after.pending.extend(file.fresh.clone().map(|fresh| (at, fresh)));
            if PENDING_MAX < after.pending.len() {
                after.pending.remove(0);
            }
            if !file.followed.is_empty() {
                after.followed.clone_from(&file.followed);
            }
            (after.put, after.by) = (at, actor.to_owned());
            after.file = Some(file.clone());
            "put"
        }
        ReferenceChange::Remove {} => {
            after.file.take().ok_or(Refused::Unknown)?;
            after.pending.clear();
            "remove"
        }
        ReferenceChange::LookedBack { sha256, events, found, alerts } => {
            let place = after.pending.iter().position(|(_, fresh)| fresh.sha256 == *sha256).ok_or(Refused::Unknown)?;
            after.pending.remove(place);
            after.looked_back = Some(LookedBack { at, events: *events, found: *found, alerts: *alerts });
            "looked_back"
        }
    };
    after.steps.push((at, actor.to_owned(), word));
    if STEPS_MAX < after.steps.len() {
        after.steps.remove(0);
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(digit: char, fresh: Option<char>) -> ReferenceFile {
        let hash = |digit: char| std::iter::repeat_n(digit, 64).collect::<String>();
        ReferenceFile {
            sha256: hash(digit),
            fresh: fresh.map(|digit| Fresh { sha256: hash(digit), count: 1 }),
            days_valid: Some(2),
            ..ReferenceFile::default()
        }
    }

    #[test]
    fn new_indicators_wait_until_they_are_looked_for_and_go_with_their_list() {
        let name = "intel-ncsc";
        let put = |before: Option<&Reference>, file: ReferenceFile, at: i64| {
            apply(before, name, &ReferenceChange::Put(file), "lan", Timestamp(at)).expect("is taken")
        };
        let one = put(None, file('a', Some('b')), 1);
        assert_eq!((one.by.as_str(), one.until()), ("lan", Some(Timestamp(1 + 2 * 86_400_000_000_000))));
        let two = put(Some(&one), file('c', Some('d')), 2);
        let waiting: Vec<char> = two.pending.iter().filter_map(|(_, fresh)| fresh.sha256.chars().next()).collect();
        assert_eq!(waiting, ['b', 'd']);
        let sha256 = two.pending[0].1.sha256.clone();
        let looked = ReferenceChange::LookedBack { sha256, events: 9, found: 2, alerts: 1 };
        let three = apply(Some(&two), name, &looked, "nhatle", Timestamp(3)).expect("is taken");
        assert_eq!((three.pending.len(), three.looked_back.as_ref().map(|looked| looked.found)), (1, Some(2)));
        assert_eq!(apply(Some(&three), name, &looked, "nhatle", Timestamp(3)), Err(Refused::Unknown));
        let gone = apply(Some(&three), name, &ReferenceChange::Remove {}, "lan", Timestamp(4)).expect("is taken");
        assert!(gone.file.is_none() && gone.pending.is_empty());
        assert_eq!(apply(Some(&gone), name, &ReferenceChange::Remove {}, "lan", Timestamp(5)), Err(Refused::Unknown));
        assert_eq!(
            gone.steps.iter().map(|(_, _, word)| *word).collect::<Vec<_>>(),
            ["put", "put", "looked_back", "remove"]
        );
    }

    #[test]
    fn names_and_hashes_are_no_paths() {
        for name in ["intel-../x", "intel-", "intel-.x", "other", "intel-a/b", "geoip"] {
            let change = ReferenceChange::Put(file('a', None));
            assert!(
                matches!(apply(None, name, &change, "x", Timestamp(1)), Err(Refused::UnknownWord { .. })),
                "{name}"
            );
        }
        let change = ReferenceChange::Put(ReferenceFile { sha256: "../../x".to_owned(), ..file('a', None) });
        assert!(apply(None, "assets", &change, "x", Timestamp(1)).is_err());
        assert!(["ncsc", "a.b-c_9"].into_iter().all(is_list_name));
    }
}
