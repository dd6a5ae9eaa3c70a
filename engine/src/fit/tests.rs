//! What is seen, its bounds, and rules held against it.

use std::path::PathBuf;

use nhatle_event::{Event, Field, Timestamp};
use nhatle_rules::{LoadOptions, Referred, RuleId, RuleSet};

use super::seen::{FIELDS_MAX, IDLE_NS, KINDS_MAX, SOURCES_MAX, VALUES_MAX};
use super::{Expressions, Fit, Hint, Seen, fit_all, fit_of};

fn rules(source: &str, detection: &str) -> RuleSet {
    let text = format!(
        "title: t\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a31\nlogsource: {source}\nlevel: low\ndetection:\n{detection}\n"
    );
    let set = RuleSet::load_with(&[(PathBuf::from("t.yml"), text)], &[], &LoadOptions::default());
    assert!(set.errors.is_empty(), "{:?}", set.errors);
    set
}

fn windows(source: &str, channel: &str, code: &str, fields: &[(&str, &str)]) -> Event {
    let mut event = Event::new(Timestamp(0), *b"x");
    event.set(Field::NHATLE_SOURCE, source);
    event.set(Field::EVENT_MODULE, "windows");
    event.set(Field::WINLOG_CHANNEL, channel);
    event.set(Field::EVENT_CODE, code);
    for (name, text) in fields {
        event.set_named(&format!("winlog.event_data.{name}"), *text);
    }
    event
}

fn fit(set: &RuleSet, seen: &Seen, source: &str) -> Fit {
    let source = seen.source(source).expect("it sent something");
    let fit = fit_of(set, Referred::Rule(RuleId(0)), &source, &Expressions::default());
    assert_eq!(
        fit_all(set, &source, &Expressions::default()),
        [(Referred::Rule(RuleId(0)), fit.clone())],
        "one by one as all together"
    );
    fit
}

const PROCESS: &str = "{product: windows, category: process_creation}";

#[test]
fn a_missing_field_is_named_with_what_to_switch_on() {
    let mut seen = Seen::default();
    seen.look(&windows("a", "Security", "4688", &[("NewProcessName", "C:\\x.exe")]));
    seen.look(&windows(
        "b",
        "Microsoft-Windows-Sysmon/Operational",
        "1",
        &[("Image", "C:\\x.exe"), ("CommandLine", "x -y")],
    ));
    seen.look(&windows("c", "System", "7045", &[("ServiceName", "x")]));
    let set = rules(PROCESS, "  s:\n    Image|endswith: x.exe\n    CommandLine|contains: '-y'\n  condition: s");
    let Fit::Missing { fields, looked_for, hint } = fit(&set, &seen, "a") else {
        panic!("{:?}", fit(&set, &seen, "a"))
    };
    assert_eq!((fields, hint), (vec!["CommandLine".to_owned()], Some(Hint::ProcessCommandLine)));
    assert!(looked_for.contains(&"winlog.event_data.CommandLine".to_owned()), "{looked_for:?}");
    assert_eq!(fit(&set, &seen, "b"), Fit::Can);
    assert_eq!(fit(&set, &seen, "c"), Fit::NoSource(Some(Hint::ProcessAudit)));
    let set = rules(PROCESS, "  s:\n    OriginalFileName: x\n  condition: s");
    assert!(matches!(fit(&set, &seen, "a"), Fit::Missing { hint: Some(Hint::SysmonInstead), .. }));
}

#[test]
fn what_only_a_list_of_indicators_gives_is_missing_from_no_source() {
    let mut seen = Seen::default();
    seen.look(&windows("a", "Security", "4624", &[("LogonType", "3")]));
    let source = "{product: windows, service: security}";
    let detection =
        "  s:\n    nhatle.indicator.list|exists: true\n    threat.indicator.type: [ipv4-addr]\n  condition: s";
    let set = rules(source, detection);
    let fields = vec!["nhatle.indicator.list".to_owned(), "threat.indicator.type".to_owned()];
    assert_eq!(fit(&set, &seen, "a"), Fit::Indicators { fields });
    let both = rules(source, &detection.replace("  s:", "  s:\n    Nothing: x"));
    assert_eq!(fit(&both, &seen, "a").name(), "missing", "a field that the source lacks, too");
    let mut hit = windows("a", "Security", "4624", &[("LogonType", "3")]);
    hit.set(Field::THREAT_INDICATOR_TYPE, "domain-name");
    hit.set_named("nhatle.indicator.list", "mine");
    seen.look(&hit);
    assert_eq!(fit(&set, &seen, "a").name(), "unseen");
}

#[test]
fn values_that_never_came_are_told_from_fields_that_never_came() {
    let mut seen = Seen::default();
    seen.look(&windows("a", "Security", "4624", &[("LogonType", "3"), ("TargetUserName", "lan")]));
    let check = |detection: &str, expected: &str| {
        let set = rules("{product: windows, service: security}", detection);
        assert_eq!(fit(&set, &seen, "a").name(), expected, "{detection}");
    };
    check("  s:\n    LogonType: 3\n  condition: s", "can");
    check("  s:\n    LogonType: 10\n  condition: s", "unseen");
    check("  s:\n    LogonType: 10\n  t:\n    TargetUserName: lan\n  condition: s or t", "can");
    check("  s:\n    LogonType: 3\n  f:\n    Nothing: x\n  condition: s and not f", "can");
    check("  s:\n    Nothing: null\n  condition: s", "can");
    check("  s:\n    LogonType: 3\n  f:\n    Nothing: null\n  condition: s and not f", "missing");
    check("  s:\n    Nothing|exists: true\n  condition: s", "missing");
    check("  s:\n    LogonType: 3\n    TargetUserName|fieldref: Nothing\n  condition: s", "missing");
    check("  k: [anything]\n  condition: k", "can");
}

#[test]
fn a_rule_of_another_event_id_lacks_the_event_and_not_its_fields() {
    let mut seen = Seen::default();
    let mut event = windows("a", "Security", "4624", &[("LogonType", "3")]);
    event.set(Field::WINLOG_EVENT_ID, "4624");
    seen.look(&event);
    let source = "{product: windows, service: security}";
    let set = rules(source, "  s:\n    EventID: 4662\n    Properties|contains: x\n  condition: s");
    assert_eq!(fit(&set, &seen, "a"), Fit::NoSource(Some(Hint::AuditPolicy)));
    let set = rules(source, "  s:\n    EventID: [4624, 4662]\n    Properties|contains: x\n  condition: s");
    assert!(matches!(fit(&set, &seen, "a"), Fit::Missing { .. }));
}

#[test]
fn a_field_of_many_values_can_hold_any() {
    let mut seen = Seen::default();
    for number in 0..=VALUES_MAX {
        seen.look(&windows("a", "Security", "4624", &[("TargetUserName", &format!("user-{number}"))]));
    }
    let set = rules("{product: windows, service: security}", "  s:\n    TargetUserName: other\n  condition: s");
    assert_eq!(fit(&set, &seen, "a"), Fit::Can);
    assert_eq!(seen.size().1, 4, "the facts of the kind only; the many are let go");
}

#[test]
fn nothing_a_sender_invents_grows_past_its_bound() {
    let mut seen = Seen::default();
    for number in 0..KINDS_MAX + 50 {
        seen.look(&windows("kinds", "Security", &number.to_string(), &[]));
    }
    assert_eq!(seen.source("kinds").map(|source| source.kinds().count()), Some(KINDS_MAX));
    let mut wide = windows("wide", "Security", "1", &[]);
    for number in 0..FIELDS_MAX + 50 {
        wide.set_named(&format!("field-{number}"), "x".repeat(10_000));
    }
    seen.look(&wide);
    let kind = seen.source("wide").and_then(|source| source.kinds().next().map(|kind| kind.fields.iter().count()));
    assert_eq!(kind, Some(FIELDS_MAX));
    // These two are not idle when the others come. They once were pushed out here, as the oldest; that made two thousand
    // and one sources learn each other away, so now what is heard stays.
    for number in 2..SOURCES_MAX + 50 {
        seen.look(&received(&format!("source-{number}"), IDLE_NS - 1));
    }
    assert_eq!((seen.sources().len(), seen.passed_over()), (SOURCES_MAX, 50));
    assert!(seen.source("kinds").is_some() && seen.source("wide").is_some());
    for number in 0..SOURCES_MAX {
        seen.look(&received(&format!("late-{number}"), 2 * IDLE_NS));
    }
    assert_eq!((seen.sources().len(), seen.passed_over()), (SOURCES_MAX, 50));
    assert!(seen.source("kinds").is_none() && seen.source("wide").is_none(), "idle ones went");
    assert_eq!(seen.size(), (SOURCES_MAX * 4, SOURCES_MAX * 4), "and what was theirs with them");
}

fn received(source: &str, at: i64) -> Event {
    let mut event = windows(source, "Security", "1", &[]);
    event.received = Timestamp(at);
    event
}

#[test]
fn the_source_idle_for_longest_gives_its_place_and_one_heard_again_keeps_it() {
    let mut seen = Seen::default();
    let at = |number: usize| i64::try_from(number).expect("small");
    for number in 0..SOURCES_MAX {
        seen.look(&received(&format!("source-{number}"), at(number)));
    }
    seen.look(&received("new", IDLE_NS - 1));
    assert!(seen.source("new").is_none(), "none is idle yet");
    seen.look(&received("new", IDLE_NS + 9));
    assert!(seen.source("new").is_some() && seen.source("source-0").is_none() && seen.source("source-1").is_some());
    // It was found idle with the first nine, and is heard before its turn comes.
    seen.look(&received("source-1", IDLE_NS + 9));
    for name in ["a", "b"] {
        seen.look(&received(name, IDLE_NS + 9));
    }
    assert!(seen.source("source-1").is_some() && seen.source("source-2").is_none() && seen.source("b").is_some());
    assert_eq!((seen.sources().len(), seen.passed_over()), (SOURCES_MAX, 1));
}

/// More sources than there is room for, in turns: the work is counted, not the time it takes.
#[test]
fn sources_past_the_bound_cost_no_search_and_push_nobody_out() {
    const SOURCES: usize = 3_000;
    const ROUNDS: usize = 20;
    let names: Vec<String> = (0..SOURCES).map(|number| format!("source-{number}")).collect();
    let mut seen = Seen::default();
    let mut now = 0;
    for _ in 0..ROUNDS {
        for name in &names {
            // One event a millisecond, so that each source is heard every three seconds.
            now += 1_000_000;
            seen.look(&received(name, now));
        }
    }
    let past = (SOURCES - SOURCES_MAX) * ROUNDS;
    assert_eq!(seen.passed_over(), past as u64, "the first ones are learned, the others are passed over each time");
    assert_eq!(seen.surveys, 1, "all are gone through once, not for each of those");
    let counts = names.iter().filter_map(|name| seen.source(name)).map(|source| {
        let counts: Vec<u64> = source.kinds().map(|kind| kind.count).collect();
        assert_eq!(counts, [ROUNDS as u64], "nothing is learned anew");
    });
    assert_eq!(counts.count(), SOURCES_MAX);
    // All of them silent for the time: then the others are learned, some hundred at a survey.
    now += IDLE_NS;
    for name in &names[SOURCES_MAX..] {
        seen.look(&received(name, now));
    }
    assert_eq!(seen.passed_over(), past as u64);
    assert!(seen.surveys < 20, "{}", seen.surveys);
    assert!(names[SOURCES_MAX..].iter().all(|name| seen.source(name).is_some()));
}
