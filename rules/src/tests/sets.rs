//! What a whole set comes to: meta fields, correlations, filters, chains, routing.

use std::path::PathBuf;

use super::load;
use crate::predicate::{Comparison, Gate, Predicate};
use crate::set::{CorrelationKind, Expression, Level, Referred, Scope, Threshold};
use crate::{CorrelationId, LoadOptions, Routing, RuleId, RuleSet};

const RULES: &str = "title: fail
id: 00000000-0000-4000-8000-00000000000a
name: fail
logsource: {product: linux, service: sshd}
detection: {s: {a: fail}, condition: s}
---
title: ok
id: 00000000-0000-4000-8000-00000000000b
name: ok
logsource: {product: windows, service: security}
detection: {s: {a: ok}, condition: s}
";

fn correlation(body: &str) -> String {
    format!("---\ntitle: c\nname: c\ncorrelation:\n  {}\n", body.replace('\n', "\n  "))
}

fn load_correlation(body: &str) -> RuleSet {
    load(&format!("{RULES}{}", correlation(body)))
}

#[test]
fn a_rule_keeps_what_it_says_of_itself() {
    let set = load(
        "title: Titel
id: 00000000-0000-4000-8000-00000000000F
status: test
description: |
  two
  lines
author: me
license: MIT
references: [https://example.org]
tags: [attack.t1110.001]
level: High
falsepositives: [none]
fields: [A]
custom: kept
nhatle:
  title_vi: Tiêu đề
  explanation: {vi: câu, en: sentence}
  questions: {vi: [a, b, c], en: [x, y, z]}
  suppress_s: 60
  entity: [user.name]
logsource: {category: Process_Creation, product: windows}
detection: {sel: {A: x}, condition: sel}
",
    );
    assert_eq!((set.errors.as_slice(), set.warnings.as_slice()), (&[][..], &[][..]));
    let meta = &set.rules[0].meta;
    assert_eq!(meta.id, "00000000-0000-4000-8000-00000000000f");
    assert_eq!(
        (meta.title_vi.as_deref(), meta.explanation_vi.as_deref(), meta.explanation_en.as_deref()),
        (Some("Tiêu đề"), Some("câu"), Some("sentence"))
    );
    assert_eq!(
        (meta.suppress_s, meta.entity.as_slice(), meta.level),
        (Some(60), &["user.name".to_owned()][..], Level::High)
    );
    assert_eq!((meta.questions_vi.join(" "), meta.questions_en.join(" ")), ("a b c".into(), "x y z".into()));
    assert_eq!((meta.description.as_str(), meta.line), ("two\nlines", 1));
    assert_eq!(meta.logsource, [Some("process_creation".into()), Some("windows".into()), None]);
    assert!(meta.text.starts_with("title: Titel"));
    assert_eq!(set.rules[0].searches.len(), 1);
}

#[test]
fn every_correlation_type_loads() {
    let at_least = |number| Threshold(vec![(Comparison::GreaterOrEqual, number)]);
    let rows = [
        (
            "type: event_count\nrules: fail\ntimespan: 5m\ncondition: {gte: 3}",
            CorrelationKind::EventCount(at_least(3.0)),
        ),
        (
            "type: Event_Count\nrules: fail\ntimespan: 5m\ncondition: {gte: '3'}",
            CorrelationKind::EventCount(at_least(3.0)),
        ),
        ("type: temporal\nrules: [fail, ok]\ntimespan: 5m", CorrelationKind::Temporal(at_least(2.0))),
        (
            "type: temporal_ordered\nrules: [fail, ok]\ntimespan: 5m\ncondition: {gte: 1}",
            CorrelationKind::TemporalOrdered(at_least(1.0)),
        ),
        (
            "type: temporal\nrules: [ok, fail]\ntimespan: 5m\ncondition: ok and not fail",
            CorrelationKind::Extended(Expression::All(vec![
                Expression::Occurred(0),
                Expression::Not(Box::new(Expression::Occurred(1))),
            ])),
        ),
        (
            "type: temporal_ordered\ntimespan: 5m\ncondition: fail or ok",
            CorrelationKind::ExtendedOrdered(Expression::Any(vec![Expression::Occurred(0), Expression::Occurred(1)])),
        ),
        (
            "type: event_count\nrules: [fail]\ntimespan: 5m\ncondition: {gt: 1.5, lte: 20}",
            CorrelationKind::EventCount(Threshold(vec![(Comparison::Greater, 1.5), (Comparison::LessOrEqual, 20.0)])),
        ),
    ];
    for (body, expected) in rows {
        let set = load_correlation(body);
        assert_eq!(set.errors, [], "{body}");
        assert_eq!(set.correlations[0].kind, expected, "{body}");
        assert_eq!(set.correlations[0].timespan_ns, 300_000_000_000);
    }
    for kind in ["value_count", "value_sum", "value_avg", "value_percentile", "value_median"] {
        let set = load_correlation(&format!(
            "type: {kind}\nrules: [fail]\ngroup-by: [u]\ntimespan: 1d\ncondition: {{field: n, gte: 3}}"
        ));
        assert_eq!(set.errors, [], "{kind}");
    }
    let set = load_correlation(
        "type: value_percentile\nrules: [fail]\ntimespan: 1w\ncondition: {field: n, gte: 3, percentile: 95}",
    );
    assert!(
        matches!(&set.correlations[0].kind, CorrelationKind::ValuePercentile(_, group, percentile) if group.name == "n" && *percentile == 95.0)
    );
}

#[test]
fn a_correlation_may_say_whose_events_are_counted_together() {
    let body = "type: event_count\nrules: [fail]\ntimespan: 5m\ncondition: {gte: 3}";
    for (own, scope) in [
        ("", Scope::Values),
        ("nhatle: {suppress_s: 1}\n", Scope::Values),
        ("nhatle: {scope: city}\n", Scope::City),
        ("nhatle: {scope: unit}\n", Scope::Unit),
    ] {
        let set = load(&format!("{RULES}{}{own}", correlation(body)));
        assert_eq!((set.errors.as_slice(), set.correlations[0].scope), (&[][..], scope), "{own}");
    }
}

#[test]
fn a_correlation_that_cannot_be_is_refused() {
    let rows = [
        ("type: event_count\nrules: [nobody]\ntimespan: 5m\ncondition: {gte: 3}", "no rule `nobody`"),
        ("type: event_count\nrules: [c]\ntimespan: 5m\ncondition: {gte: 3}", "circle"),
        ("type: often\nrules: [fail]\ntimespan: 5m\ncondition: {gte: 3}", "unknown correlation type"),
        ("type: event_count\nrules: [fail]\ntimespan: 0m\ncondition: {gte: 3}", "above 0"),
        ("type: event_count\nrules: [fail]\ntimespan: -5m\ncondition: {gte: 3}", "above 0"),
        ("type: event_count\nrules: [fail]\ntimespan: 99999999999y\ncondition: {gte: 3}", "above 0"),
        ("type: event_count\nrules: [fail]\ncondition: {gte: 3}", "no `timespan`"),
        ("type: event_count\nrules: [fail]\ntimespan: 5m", "no `condition`"),
        ("type: event_count\nrules: [fail]\ntimespan: 5m\ncondition: {more: 3}", "unknown comparison"),
        ("type: event_count\nrules: [fail]\ntimespan: 5m\ncondition: {gte: x}", "needs a number"),
        ("type: event_count\nrules: [fail]\ntimespan: 5m\ncondition: fail", "write a map"),
        ("type: value_sum\nrules: [fail]\ntimespan: 5m\ncondition: {gte: 3}", "exactly one `field`"),
        ("type: temporal\nrules: [fail, ok]\ntimespan: 5m\ncondition: fail", "`ok` does not occur"),
        ("type: temporal\nrules: [fail]\ntimespan: 5m\ncondition: fail and ok", "not in `rules`"),
        ("type: temporal\nrules: [fail, ok]\ntimespan: 5m\naliases: {a: {other: x}}", "names the rule `other`"),
        ("type: temporal\nrules: [fail, fail]\ntimespan: 5m", "twice"),
    ];
    for (body, reason) in rows {
        let set = load_correlation(body);
        assert_eq!((set.rules.len(), set.correlations.len(), set.errors.len()), (2, 0, 1), "{body}: {:?}", set.errors);
        assert!(set.errors[0].reason.contains(reason), "{body}: {}", set.errors[0]);
    }
}

#[test]
fn aliases_give_each_rule_its_field() {
    let set = load_correlation(
        "type: temporal\nrules: [fail, ok]\ngroup-by: [who, host]\ntimespan: 5m\naliases: {who: {fail: user.name, ok: TargetUserName}}",
    );
    let names = |place: usize| {
        set.correlations[0].group_by[place].fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["user.name", "TargetUserName"]);
    assert_eq!(names(1), ["host", "host"]);
}

#[test]
fn an_alias_calls_a_rule_by_name_or_id_whatever_the_list_says() {
    let id = "5f3c1c1e-9a44-4b5e-8a3b-0f6f6a6d1a11";
    let rule = format!(
        "title: a\nname: fail\nid: {id}\nlogsource: {{category: test}}\ndetection: {{s: {{A: x}}, condition: s}}\n"
    );
    for (listed, aliased) in [("fail", id), (id, "fail")] {
        let set = load(&format!(
            "{rule}---\ntitle: c\ncorrelation: {{type: event_count, rules: [{listed}], group-by: [who], timespan: 1m, \
             condition: {{gte: 2}}, aliases: {{who: {{{aliased}: B}}}}}}\n"
        ));
        assert_eq!(set.errors, [], "{listed}");
        assert_eq!(set.correlations[0].group_by[0].fields[0].name, "B", "{listed}");
    }
}

#[test]
fn referred_rules_are_silent_unless_generate_says_otherwise() {
    let body = "type: event_count\nrules: [fail]\ntimespan: 5m\ncondition: {gte: 3}";
    let alerting = |set: &RuleSet| set.rules.iter().map(|rule| rule.is_alerting).collect::<Vec<_>>();
    assert_eq!(alerting(&load_correlation(body)), [false, true]);
    assert_eq!(alerting(&load_correlation(&format!("{body}\ngenerate: true"))), [true, true]);
    assert_eq!(alerting(&load(&format!("{RULES}{}generate: true\n", correlation(body)))), [true, true]);
}

#[test]
fn a_chain_stands_in_order_whatever_the_order_of_files() {
    let inner = "title: many\nid: ffffffff-0000-4000-8000-000000000001\nname: many\ncorrelation: {type: event_count, rules: [fail], timespan: 5m, condition: {gte: 3}}\n";
    let outer = "title: then\nid: 11111111-0000-4000-8000-000000000001\ncorrelation: {type: temporal_ordered, rules: [many, ok], timespan: 5m}\n";
    let set = load(&format!("{outer}---\n{inner}---\n{RULES}"));
    assert_eq!(set.errors, []);
    assert_eq!(set.correlations.iter().map(|one| one.meta.title.as_str()).collect::<Vec<_>>(), ["many", "then"]);
    assert_eq!(set.correlations[1].referred, [Referred::Correlation(CorrelationId(0)), Referred::Rule(RuleId(1))]);
    assert!(!set.correlations[0].is_alerting && set.correlations[1].is_alerting);
}

#[test]
fn a_filter_narrows_the_rules_it_is_for() {
    let filter = |rules: &str, logsource: &str, condition: &str| {
        format!(
            "---\ntitle: f\nlogsource: {logsource}\nfilter: {{rules: {rules}, good: {{u: root}}, condition: {condition}}}\n"
        )
    };
    let rows = [
        ("[fail]", "{product: linux}", "not good", [true, false]),
        ("[00000000-0000-4000-8000-00000000000a]", "{product: linux}", "not 1 of g*", [true, false]),
        ("any", "{product: linux}", "not good", [true, false]),
        ("[]", "{service: security}", "not good", [false, true]),
        ("[fail]", "{product: windows}", "not good", [false, false]),
    ];
    for (rules, logsource, condition, expected) in rows {
        let set = load(&format!("{RULES}{}", filter(rules, logsource, condition)));
        assert_eq!(set.errors, [], "{rules} {logsource}");
        let found = set
            .rules
            .iter()
            .map(|rule| matches!(&rule.predicate, Predicate::All(parts) if matches!(parts[1], Predicate::Not(_))));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{rules} {logsource}");
    }
    let set = load(&format!("{RULES}{}", filter("[fail]", "{product: linux}", "good")));
    assert!(set.warnings.iter().any(|warning| warning.reason.contains("has no `not`")), "{:?}", set.warnings);
    let set = load(&format!("{RULES}{}", filter("[nobody]", "{product: linux}", "not good")));
    assert!(
        set.warnings.iter().any(|warning| warning.reason.contains("`nobody`, which is not loaded")),
        "{:?}",
        set.warnings
    );
    let set = load(&format!(
        "{RULES}---\ntitle: f\nlogsource: {{product: linux}}\nfilter: {{good: {{u: root}}, condition: not good}}\n"
    ));
    assert!(set.errors[0].reason.contains("which `rules` it is for"), "{:?}", set.errors);
}

#[test]
fn routing_can_be_switched_off() {
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let set = RuleSet::from_texts(&[(PathBuf::from("t.yml"), RULES.to_owned())], &options);
    assert!(set.rules.iter().all(|rule| rule.gate == Gate::Any));
}

#[test]
fn rules_stand_in_order_of_id_whatever_the_order_of_files() {
    let parts: Vec<(PathBuf, String)> =
        RULES.split("---\n").map(|text| (PathBuf::from("t.yml"), text.to_owned())).collect();
    let reversed: Vec<_> = parts.iter().rev().cloned().collect();
    let ids = |texts: &[(PathBuf, String)]| {
        RuleSet::from_texts(texts, &LoadOptions::default())
            .rules
            .iter()
            .map(|rule| rule.meta.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&parts), ids(&reversed));
}

#[test]
fn questions_stand_in_both_languages_and_are_few() {
    let rule = |questions: &str| {
        format!(
            "title: q\nlogsource: {{product: windows}}\ndetection: {{s: {{A: x}}, condition: s}}\nnhatle:\n  questions: {questions}\n"
        )
    };
    for (questions, is_good) in [
        ("{vi: [a], en: [b]}", true),
        ("{vi: [a, b], en: [b]}", false),
        ("{vi: [a]}", false),
        ("{vi: [a, b, c, d, e, f], en: [a, b, c, d, e, f]}", false),
        ("{vi: [''], en: [x]}", false),
    ] {
        assert_eq!(load(&rule(questions)).errors.is_empty(), is_good, "{questions}");
    }
}
