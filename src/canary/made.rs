//! Canaries of rules without samples: made from the rule itself, by [`nhatle_engine::canary`].
//!
//! In: a rule or correlation in force. Out: raw records with the profile they are read with, or why there are none.

use nhatle_engine::canary::{Raw, Unsolved, of_correlation, of_rule};
use nhatle_event::Timestamp;
use nhatle_rules::{Referred, RuleSet};

use super::EVENTS_MAX;

/// Records that must make a rule or correlation fire.
///
/// # Errors
/// None can be made; why.
pub fn records(rules: &RuleSet, which: Referred, at: Timestamp) -> Result<Vec<Raw>, Unsolved> {
    match which {
        Referred::Rule(rule) => of_rule(rules, rule, at),
        Referred::Correlation(correlation) => of_correlation(rules, correlation, at, EVENTS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::Arc;

    use nhatle_collector::{Settings, to_event};
    use nhatle_engine::detect::Detector;
    use nhatle_event::{Event, Record, Text};
    use nhatle_rules::{LoadOptions, RuleId, RuleSet};

    use super::super::judge::judge;
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);

    fn events(raws: &[Raw]) -> Vec<Event> {
        let event = |raw: &Raw| {
            let mut record = Record::new(raw.line.as_bytes(), "canary", NOW);
            record.profile = raw.profile.map(Text::from);
            to_event(&record, &Settings::default()).expect("a canary can be parsed")
        };
        raws.iter().map(event).collect()
    }

    /// Of what is loaded: how many there are, how many are proven, and why not the others; `none:` begins the reasons
    /// of those that no canary could be made for.
    fn proven(set: RuleSet) -> (usize, usize, BTreeMap<String, Vec<String>>) {
        let set = Arc::new(set);
        let detector = Detector::new(set.clone());
        let (mut count, mut proven) = (0, 0);
        let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (which, meta) in super::super::coverage::alerting(&set) {
            count += 1;
            let result = records(&set, which, NOW).map_err(|unsolved| format!("none: {unsolved}")).and_then(|raws| {
                judge(&meta.id, &events(&raws), &detector).map_err(|fault| format!("{fault:?} {}", raws[0].line))
            });
            match result {
                Ok(()) => proven += 1,
                Err(why) => {
                    let why: String = why.chars().take(600).collect();
                    reasons.entry(why).or_default().push(meta.file.display().to_string());
                }
            }
        }
        (count, proven, reasons)
    }

    #[test]
    fn canaries_of_correlations_fire() {
        let rule = "title: r\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a21\nname: r1\nlevel: low\nlogsource: {product: windows, service: security}\ndetection:\n  s: {EventID: 4625}\n  condition: s\n---\ntitle: q\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a22\nname: r2\nlevel: low\nlogsource: {product: windows, service: security}\ndetection:\n  s: {EventID: 4624}\n  condition: s\n";
        let correlation = |body: &str| {
            let text = format!(
                "{rule}---\ntitle: c\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a23\nlevel: high\ncorrelation:\n  group-by: [IpAddress]\n  timespan: 10m\n  generate: true\n{body}\n"
            );
            let set = RuleSet::load_with(&[(PathBuf::from("c.yml"), text)], &[], &LoadOptions::default());
            assert!(set.errors.is_empty(), "{:?}", set.errors);
            proven(set)
        };
        for body in [
            "  type: event_count\n  rules: [r1]\n  condition: {gte: 5}",
            "  type: value_count\n  rules: [r1]\n  condition: {gt: 4, field: TargetUserName}",
            "  type: temporal\n  rules: [r2, r1]",
            "  type: temporal_ordered\n  rules: [r1, r2]",
        ] {
            let (count, proven, reasons) = correlation(body);
            assert_eq!((count, proven), (3, 3), "{body}: {reasons:?}");
        }
        let (count, proven, reasons) = correlation("  type: value_sum\n  rules: [r1]\n  condition: {gte: 5, field: X}");
        assert_eq!((count, proven), (3, 2), "{reasons:?}");
    }

    #[test]
    fn nearly_every_rule_of_our_own_pack_has_one_that_goes_through() {
        let (count, proven, reasons) =
            proven(RuleSet::load_with(&crate::ruleset::builtin_texts(), &[], &LoadOptions::default()));
        eprintln!("our own pack: {proven} of {count}; {reasons:#?}");
        assert!(count * 90 <= proven * 100, "{proven} of {count}: {reasons:#?}");
    }

    #[test]
    fn nearly_every_rule_of_a_large_set_has_one_that_goes_through() {
        let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        let folder = std::env::var_os("NHATLE_CORPUS").map_or_else(beside, PathBuf::from).join("sigma/rules");
        if !folder.is_dir() {
            eprintln!("skipped: no corpus");
            return;
        }
        let (count, proven, reasons) = proven(RuleSet::load(&[folder], &LoadOptions::default()));
        eprintln!("a large set: {proven} of {count}; {reasons:#?}");
        assert!(count * 99 < proven * 100, "{proven} of {count}");
        assert!(reasons.keys().all(|why| why.starts_with("none: ")), "what is made goes through: {reasons:#?}");
    }

    #[test]
    fn a_rule_that_cannot_match_has_none() {
        let set = RuleSet::default();
        assert_eq!(records(&set, Referred::Rule(RuleId(0)), NOW), Err(Unsolved::NoRule));
    }
}
