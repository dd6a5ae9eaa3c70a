//! Every kind of test solved alone and together, contradictions refused; over a corpus, how many rules it solves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nhatle_rules::{LoadOptions, RuleId, RuleSet};

use super::solve::is_matched;
use super::{Unsolved, solve};

fn rules(detection: &str) -> RuleSet {
    let text = format!(
        "title: t\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a11\nstatus: test\nlogsource: {{product: windows, category: process_creation}}\nlevel: low\ndetection:\n{detection}\n"
    );
    let set = RuleSet::load_with(&[(PathBuf::from("t.yml"), text)], &[], &LoadOptions::default());
    assert!(set.errors.is_empty(), "{:?}", set.errors);
    set
}

#[track_caller]
fn check(detection: &str) {
    let set = rules(detection);
    let solution = solve(&set, RuleId(0)).unwrap_or_else(|error| panic!("{error}: {detection}"));
    assert!(is_matched(&set, RuleId(0), &solution), "{solution:?}");
}

#[test]
fn every_kind_of_test_can_be_met() {
    for one in [
        "A: one",
        "A: 'c:\\*\\x?y.exe'",
        "A|contains|all: [one, two, -three]",
        "A|startswith: [abc, d]\n    A|endswith: xyz\n    A|contains: '-enc'",
        "A|endswith: ['\\cmd.exe', '\\pwsh.exe']\n    A|contains: pwsh",
        "A|re: '^(?:foo|ba+r)\\s+\\d{3,5}\\b.*[xyz]$'",
        "A|re: 'a.b'\n    A|contains: 'q w'\n    A|startswith: zz",
        "A|cased|contains: QwE",
        "A|base64offset|contains: http",
        "A|gt: 10\n    A|lte: 12",
        "A: 4688",
        "A|cidr: 10.20.0.0/14",
        "A|cidr: 2001:db8::/33",
        "A|exists: true\n    B|exists: false",
        "A: null\n    B: ''",
        "A|hour|gte: 22\n    A|month: 2\n    A|week: 9",
        "A|fieldref: B\n    B|startswith: x",
        "A|fieldref|contains: B\n    A|startswith: y",
        "A|windash|contains: ' -x '",
    ] {
        check(&format!("  s:\n    {one}\n  condition: s"));
    }
}

#[test]
fn conditions_with_denials_are_met_around_them() {
    check("  s:\n    A|contains: one\n  f:\n    A|endswith: one\n  condition: s and not f");
    check("  s:\n    A: [one, two, three]\n  f:\n    A: [one, two]\n  condition: s and not f");
    check("  s:\n    A|cidr: 10.0.0.0/8\n  f:\n    A|cidr: [10.0.0.0/9, 10.128.0.0/16]\n  condition: s and not f");
    check(
        "  s:\n    A|startswith: c\n  f1:\n    B: null\n  f2:\n    B: ['', '-', canary]\n  condition: s and not 1 of f*",
    );
    check("  a:\n    A: x\n    B: y\n  b:\n    A: z\n  c:\n    A: x\n  condition: (a or b) and not c");
    check("  k: [one, two]\n  n: [three]\n  condition: k and not n");
    check("  s:\n    A|gt: 5\n  f:\n    A: [6, 7, 8]\n  condition: s and not f");
    check("  s:\n    A|contains: x\n  f:\n    A|fieldref: B\n  condition: s and not f");
}

#[test]
fn what_cannot_match_is_refused_with_a_reason() {
    let refused = |detection: &str| solve(&rules(detection), RuleId(0)).expect_err("cannot match");
    assert_eq!(
        refused("  s:\n    A: one\n  f:\n    A|contains: n\n  condition: s and not f"),
        Unsolved::Field("A".to_owned())
    );
    assert!(matches!(refused("  s:\n    A: one\n  condition: s and not s"), Unsolved::GivenUp(_) | Unsolved::Field(_)));
    assert_eq!(solve(&RuleSet::default(), RuleId(0)), Err(Unsolved::NoRule));
}

/// Of SigmaHQ's rules nearly all can be solved; those that cannot are counted by reason.
#[test]
fn most_rules_of_a_large_set_are_solved() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("NHATLE_CORPUS").map_or_else(beside, PathBuf::from).join("sigma/rules");
    if !folder.is_dir() {
        eprintln!("skipped: no corpus");
        return;
    }
    let set = RuleSet::load(&[folder], &LoadOptions::default());
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut solved = 0usize;
    for (number, rule) in (0u32..).zip(&set.rules) {
        match solve(&set, RuleId(number)) {
            Ok(solution) => {
                if is_matched(&set, RuleId(number), &solution) {
                    solved += 1;
                } else {
                    reasons
                        .entry(format!("wrong {solution:?}"))
                        .or_default()
                        .push(rule.meta.file.display().to_string());
                }
            }
            Err(reason) => reasons.entry(reason.to_string()).or_default().push(rule.meta.file.display().to_string()),
        }
    }
    eprintln!("solved {solved} of {}", set.rules.len());
    for (reason, files) in &reasons {
        eprintln!("{}: {reason}: {}", files.len(), files[..files.len().min(3)].join(" "));
    }
    assert!(set.rules.len() * 95 < solved * 100, "{solved} of {}", set.rules.len());
}
