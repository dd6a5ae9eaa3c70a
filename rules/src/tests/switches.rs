//! What is off, what runs on because it is counted, and what has another level.

use std::path::PathBuf;

use crate::{Level, LoadOptions, RuleSet, Switch, Switches};

const RULES: &str = "title: fail
id: A
name: fail
level: low
logsource: {product: linux}
detection: {s: {x: 1}, condition: s}
---
title: ok
id: b
logsource: {product: linux}
detection: {s: {x: 2}, condition: s}
---
title: many
id: c
name: many
correlation: {type: event_count, rules: [fail], timespan: 5m, condition: {gte: 3}}
---
title: then
id: d
correlation: {type: temporal_ordered, rules: [many, B], timespan: 5m}
---
title: narrowed
id: f
logsource: {product: linux}
filter: {rules: [b], good: {u: root}, condition: not good}
";

fn set(on: &[(&str, bool)], off_folders: &[&str]) -> RuleSet {
    let switch = |is_on: bool| Switch { is_on: Some(is_on), level: None };
    let switches = Switches {
        rules: on.iter().map(|(id, is_on)| ((*id).to_owned(), switch(*is_on))).collect(),
        off_folders: off_folders.iter().map(PathBuf::from).collect(),
    };
    let options = LoadOptions { switches, ..LoadOptions::default() };
    let set = RuleSet::from_texts(&[(PathBuf::from("rules/pack/t.yml"), RULES.to_owned())], &options);
    assert_eq!(set.errors, []);
    let unused = set.warnings.iter().find(|warning| warning.reason.contains("not loaded"));
    assert_eq!(unused, None, "a filter of a rule that is off is not one of an unknown rule");
    assert!(set.is_balanced() && set.document_count == 5, "{}", set.document_count);
    set
}

/// Ids of what runs, those that alert in upper case.
fn running(set: &RuleSet) -> String {
    let rules = set.rules.iter().map(|rule| (&rule.meta.id, rule.is_alerting));
    let all = rules.chain(set.correlations.iter().map(|one| (&one.meta.id, one.is_alerting)));
    all.map(|(id, is_alerting)| if is_alerting { id.to_uppercase() } else { id.clone() }).collect()
}

#[test]
fn a_rule_that_is_off_runs_on_only_where_it_is_counted() {
    type Row = (&'static [(&'static str, bool)], &'static [&'static str], &'static str);
    let rows: [Row; 9] = [
        (&[], &[], "abcD"),
        // Nothing counts then, and what it counted does not begin to alert.
        (&[("d", false)], &[], "abc"),
        // Unless it was switched on by itself.
        (&[("d", false), ("b", true)], &[], "aBc"),
        (&[("d", false), ("c", false)], &[], "ab"),
        // Counted by `c`, which is counted by `d`.
        (&[("a", false)], &[], "abcD"),
        (&[("c", false)], &[], "abcD"),
        (&[("a", false), ("c", false), ("d", false)], &[], "b"),
        (&[], &["rules/pack"], ""),
        (&[("c", true)], &["rules/pack", "rules/other"], "aC"),
    ];
    for (on, off_folders, expected) in rows {
        let set = set(on, off_folders);
        assert_eq!(running(&set), expected, "{on:?} {off_folders:?}");
        let off = set.off.iter().map(|off| off.meta.id.clone()).collect::<Vec<_>>();
        assert!(off.is_sorted() && off.len() + expected.len() == 4, "{on:?}: {off:?}");
    }
}

#[test]
fn a_level_that_was_decided_stands_beside_the_one_written() {
    let decided = |level| Switch { is_on: None, level: Some(level) };
    let switches = Switches {
        rules: [("a".to_owned(), decided(Level::High)), ("d".to_owned(), decided(Level::Critical))].into(),
        off_folders: Vec::new(),
    };
    let options = LoadOptions { switches, ..LoadOptions::default() };
    let set = RuleSet::from_texts(&[(PathBuf::from("t.yml"), RULES.to_owned())], &options);
    let levels: Vec<_> = set.metas().map(|(meta, _)| (meta.id.as_str(), meta.level, meta.level_written)).collect();
    assert!(levels.contains(&("a", Level::High, Some(Level::Low))), "{levels:?}");
    assert!(levels.contains(&("b", Level::Informational, None)), "{levels:?}");
    assert!(levels.contains(&("d", Level::Critical, Some(Level::Informational))), "{levels:?}");
}

#[test]
fn every_document_is_loaded_refused_or_retired() {
    let bad = "title: x\nid: a\nlogsource: {product: linux}\ndetection: {s: {x: 1}, condition: nobody}\n---\n[\n---\n- 1\n---\n";
    let retired =
        "---\ntitle: old\nstatus: deprecated\nlogsource: {product: linux}\ndetection: {s: {x: 1}, condition: s}\n";
    let texts = [("a", RULES.to_owned()), ("b", bad.to_owned()), ("c", retired.to_owned()), ("d", RULES.to_owned())];
    let texts: Vec<_> = texts.into_iter().map(|(name, text)| (PathBuf::from(name), text)).collect();
    let set = RuleSet::load_with(&texts, &[PathBuf::from("is/not/there")], &LoadOptions::default());
    assert!(set.is_balanced(), "{} documents: {:?}", set.document_count, set.errors);
    assert_eq!((set.loaded_count(), set.retired.len(), set.document_count), (5, 1, 15), "{:?}", set.errors);
}
