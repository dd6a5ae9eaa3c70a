//! How long events are kept, as pure rules. In: rules of the configuration, the legal minimums of a profile, what kinds
//! of events a segment holds, legal holds. Out: why a rule is refused, and until when a segment is kept.
//!
//! What no rule speaks of is kept for good. A segment lives as long as its event with the longest rule: a segment is
//! dropped whole, never a row. Age counts from when an event was stored, which is not before it happened; a month is 31
//! days, so that it is never shorter than a calendar's. No clock, no disk.

pub mod hold;
pub mod erasure;
mod profile;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

pub use profile::{Minimum, PROFILE, minimums};

/// How many rules there may be.
pub const RULES_MAX: usize = 256;
/// The longest time, in months.
pub const MONTHS_MAX: u32 = 1_200;
/// A month, in nanoseconds.
pub const MONTH_NS: i64 = 31 * 86_400 * 1_000_000_000;

/// What records are kept for, in the words of the law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Security of the systems.
    #[default]
    Security,
    /// System log of what serves people online: accounts, signing in and out, what was posted.
    OnlineService,
    /// Kept for investigation.
    Investigation,
    /// Addresses, ports and translations of an Internet provider.
    InternetProvider,
}

impl Purpose {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Security => "security",
            Purpose::OnlineService => "online_service",
            Purpose::Investigation => "investigation",
            Purpose::InternetProvider => "internet_provider",
        }
    }
}

/// One rule. An empty list is all there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Of these datasets (`events`, `alerts`, …).
    pub datasets: Vec<String>,
    /// Of these kinds of sources (`event.module`: `linux`, `fortigate`, …).
    pub kinds: Vec<String>,
    /// Of systems of these levels, 1 to 5. An event whose system has no known level is not among them.
    pub levels: Vec<u8>,
    /// What the records are kept for.
    pub purpose: Purpose,
    /// How many months they are at hand.
    pub online_months: u32,
    /// How many months after that they are in the archive: compressed more, searched in the same way.
    pub archive_months: u32,
    /// Where that is written, in words.
    pub basis: String,
}

impl Rule {
    /// All the months.
    pub fn months(&self) -> u32 {
        self.online_months.saturating_add(self.archive_months)
    }

    /// It speaks of this kind of events.
    pub fn covers(&self, dataset: &str, kind: &Kind<'_>) -> bool {
        let is_in = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
        is_in(&self.datasets, dataset)
            && is_in(&self.kinds, kind.module)
            && (self.levels.is_empty() || self.levels.contains(&kind.level))
    }

    /// What the profile demands at least of the records it speaks of: the strictest.
    pub fn minimum(&self) -> Option<&'static Minimum> {
        let concerns = |minimum: &&Minimum| {
            let of_level = minimum.level == 0 || self.levels.is_empty() || self.levels.contains(&minimum.level);
            let of_purpose = minimum.purpose.is_none_or(|purpose| purpose == self.purpose);
            of_level && of_purpose
        };
        minimums().iter().filter(concerns).max_by_key(|minimum| minimum.months)
    }
}

/// Says what is wrong with a rule, by its key.
///
/// # Errors
/// It keeps less than the law demands, names no dataset there is, no level there is, or has no basis.
pub fn check(rule: &Rule, datasets: &[&str]) -> Result<(), (&'static str, String)> {
    if let Some(unknown) = rule.datasets.iter().find(|name| !datasets.contains(&name.as_str())) {
        return Err(("datasets", format!("{unknown:?} is none of {}", datasets.join(", "))));
    }
    if let Some(unknown) = rule.levels.iter().find(|level| !(1..=5).contains(*level)) {
        return Err(("levels", format!("{unknown} is no system level from 1 to 5")));
    }
    if rule.basis.trim().is_empty() {
        return Err(("basis", "say where it is written why records may go".to_owned()));
    }
    if MONTHS_MAX < rule.months() || rule.online_months == 0 {
        return Err(("online_months", format!("from 1 to {MONTHS_MAX} months, together with archive_months")));
    }
    // Canaries are our own, and no record of anybody.
    let is_canaries = !rule.datasets.is_empty() && rule.datasets.iter().all(|name| name == "canaries");
    match rule.minimum() {
        Some(minimum) if rule.months() < minimum.months && !is_canaries => Err((
            "online_months",
            format!(
                "{} months, with archive_months; at least {} are demanded: {} (profile {PROFILE}, checked {})",
                rule.months(),
                minimum.months,
                minimum.basis,
                minimum.checked
            ),
        )),
        _ => Ok(()),
    }
}

/// A kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind<'a> {
    /// `event.module`; empty where there is none.
    pub module: &'a str,
    /// The system's level; 0 where it is not known.
    pub level: u8,
}

/// How long something is kept, and by which rule (its place among the rules).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Months at hand.
    pub online_months: u32,
    /// All months.
    pub months: u32,
    /// The rule that keeps it longest.
    pub rule: usize,
}

impl Keep {
    /// From when on it belongs in the archive, where the last event was stored at `last`.
    pub fn archived_from(&self, last: Timestamp) -> Timestamp {
        last.plus_nanos(i64::from(self.online_months).saturating_mul(MONTH_NS))
    }

    /// From when on it may go.
    pub fn gone_from(&self, last: Timestamp) -> Timestamp {
        last.plus_nanos(i64::from(self.months).saturating_mul(MONTH_NS))
    }
}

/// How long a segment of these kinds is kept; `None` is for good. `kinds` is `None` where they are not known: then it is
/// kept as long as any rule of the dataset demands, if one of them speaks of all its events.
pub fn keep(rules: &[Rule], dataset: &str, kinds: Option<&[Kind<'_>]>) -> Option<Keep> {
    let of = |wanted: &dyn Fn(&Rule) -> bool| -> Option<Keep> {
        let found = rules.iter().enumerate().filter(|(_, rule)| wanted(rule));
        found.fold(None, |longest: Option<Keep>, (at, rule)| {
            let (online_months, months) = (rule.online_months, rule.months());
            Some(match longest {
                // The longest of each: what one rule wants at hand is at hand, whatever another archives.
                Some(longest) if months <= longest.months => {
                    Keep { online_months: longest.online_months.max(online_months), ..longest }
                }
                Some(longest) => Keep { online_months: longest.online_months.max(online_months), months, rule: at },
                None => Keep { online_months, months, rule: at },
            })
        })
    };
    let is_of = |rule: &Rule| rule.datasets.is_empty() || rule.datasets.iter().any(|name| name == dataset);
    let Some(kinds) = kinds else {
        let is_for_all = |rule: &Rule| is_of(rule) && rule.kinds.is_empty() && rule.levels.is_empty();
        return rules.iter().any(is_for_all).then(|| of(&is_of)).flatten();
    };
    let mut longest: Option<Keep> = None;
    for kind in kinds {
        let keep = of(&|rule| rule.covers(dataset, kind))?;
        longest = Some(match longest {
            Some(before) if keep.months <= before.months => {
                Keep { online_months: before.online_months.max(keep.online_months), ..before }
            }
            Some(before) => Keep { online_months: before.online_months.max(keep.online_months), ..keep },
            None => keep,
        });
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASETS: [&str; 3] = ["events", "alerts", "canaries"];

    fn rule(levels: &[u8], purpose: Purpose, online: u32, archive: u32) -> Rule {
        Rule {
            levels: levels.to_vec(),
            purpose,
            online_months: online,
            archive_months: archive,
            basis: "Quy chế an toàn thông tin".to_owned(),
            ..Rule::default()
        }
    }

    #[test]
    fn a_rule_below_the_minimum_is_refused_with_the_basis() {
        let refused = |rule: &Rule| check(rule, &DATASETS).err().map(|(key, text)| format!("{key}: {text}"));
        // The table of TCVN 14423:2026, by level, and the twelve months of the decree.
        for (level, months) in [(1, 0), (2, 1), (3, 3), (4, 6), (5, 12)] {
            for given in 1..=13 {
                let one = rule(&[level], Purpose::Security, 1, given - 1);
                assert_eq!(refused(&one).is_some(), given < months, "level {level}, {given} months");
            }
        }
        for purpose in [Purpose::OnlineService, Purpose::Investigation, Purpose::InternetProvider] {
            assert!(refused(&rule(&[1], purpose, 3, 8)).is_some());
            assert!(refused(&rule(&[1], purpose, 3, 9)).is_none());
        }
        // Without levels the highest counts; of several the highest named.
        assert!(refused(&rule(&[], Purpose::Security, 11, 0)).unwrap().contains("TCVN 14423:2026"));
        assert!(refused(&rule(&[], Purpose::Security, 3, 9)).is_none());
        assert!(refused(&rule(&[2, 4], Purpose::Security, 5, 0)).is_some());
        let canaries = Rule { datasets: vec!["canaries".into()], ..rule(&[], Purpose::Security, 1, 0) };
        assert!(refused(&canaries).is_none());
        for bad in [
            Rule { basis: " ".into(), ..rule(&[], Purpose::Security, 12, 0) },
            Rule { datasets: vec!["event".into()], ..rule(&[], Purpose::Security, 12, 0) },
            rule(&[6], Purpose::Security, 12, 0),
            rule(&[2], Purpose::Security, 0, 12),
            rule(&[2], Purpose::Security, u32::MAX, u32::MAX),
        ] {
            assert!(refused(&bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_rule_keeps_a_segment_and_what_no_rule_names_stays() {
        let rules = [
            Rule { kinds: vec!["linux".into()], ..rule(&[], Purpose::Security, 12, 0) },
            Rule { kinds: vec!["fortigate".into()], levels: vec![2], ..rule(&[2], Purpose::Security, 1, 1) },
        ];
        let kind = |module: &'static str, level| Kind { module, level };
        let months =
            |kinds: &[Kind<'_>]| keep(&rules, "events", Some(kinds)).map(|keep| (keep.online_months, keep.months));
        assert_eq!(months(&[kind("fortigate", 2)]), Some((1, 2)));
        assert_eq!(months(&[kind("fortigate", 2), kind("linux", 0)]), Some((12, 12)));
        assert_eq!(months(&[kind("fortigate", 0)]), None, "its level is not known");
        assert_eq!(months(&[kind("fortigate", 2), kind("other", 2)]), None);
        // Kinds that are not known: for good, unless a rule speaks of all.
        assert_eq!(keep(&rules, "events", None), None);
        let with_all = [rules.as_slice(), &[rule(&[], Purpose::Security, 3, 11)]].concat();
        let kept = keep(&with_all, "events", None).unwrap();
        assert_eq!((kept.online_months, kept.months, kept.rule), (12, 14, 2));
        assert_eq!(kept.gone_from(Timestamp(0)), Timestamp(14 * MONTH_NS));
        assert_eq!(kept.archived_from(Timestamp(5)), Timestamp(12 * MONTH_NS + 5));
        let of_alerts = [Rule { datasets: vec!["alerts".into()], ..rule(&[], Purpose::Security, 12, 0) }];
        assert_eq!(keep(&of_alerts, "events", Some(&[kind("", 0)])), None);
        assert!(keep(&of_alerts, "alerts", Some(&[kind("", 0)])).is_some());
        assert_eq!(keep(&[], "events", None), None);
    }
}
