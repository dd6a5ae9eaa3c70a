//! `action: global`, `reset` and `repeat`: what each document of a file comes to.

use super::load;

const RULE: &str = "title: a\ndetection:\n  s:\n    A: x\n  condition: s\n";

#[test]
fn a_global_document_lends_its_keys_until_reset() {
    let set = load(&format!(
        "action: global\nid: 00000000-0000-4000-8000-000000000001\nlevel: high\nlogsource:\n  category: t\ndetection:\n  f:\n    B: y\n\
         ---\n{}---\nlevel: low\n{}---\naction: reset\n---\n{RULE}",
        RULE.replace("condition: s", "condition: s and not f"),
        RULE.replace("condition: s", "condition: s or f"),
    ));
    assert_eq!((set.rules.len(), set.errors.len(), set.document_count), (2, 1, 3), "{:?}", set.errors);
    assert!(set.errors[0].reason.contains("no `logsource`"), "after reset nothing is lent: {:?}", set.errors);
    let levels: Vec<_> = set.rules.iter().map(|rule| rule.meta.level.name()).collect();
    assert!(levels.contains(&"high") && levels.contains(&"low"), "what a document says itself wins: {levels:?}");
    assert_ne!(set.rules[0].meta.id, set.rules[1].meta.id);
    assert_eq!(set.rules[0].meta.id, "00000000-0000-4000-8000-000000000001");
    assert!(set.rules.iter().all(|rule| rule.meta.text.contains("action: global") && rule.meta.text.contains("A: x")));
    assert!(set.is_balanced());
}

#[test]
fn a_repeated_document_is_the_one_before_with_changes() {
    let first = format!("logsource:\n  category: t\n{RULE}");
    let set = load(&format!(
        "{first}---\naction: repeat\ntitle: b\ndetection:\n  s:\n    B: y\n---\naction: repeat\ntitle: c\n"
    ));
    assert_eq!(set.errors, []);
    let titles: Vec<_> = set.rules.iter().map(|rule| rule.meta.title.as_str()).collect();
    assert_eq!((titles.len(), set.document_count), (3, 3), "{titles:?}");
    let changed = set.rules.iter().filter(|rule| rule.meta.title != "a");
    for rule in changed {
        assert!(
            matches!(&rule.predicate, crate::predicate::Predicate::All(parts) if parts.len() == 2),
            "both A and B: {:?}",
            rule.predicate
        );
    }
}

#[test]
fn an_action_that_cannot_be_done_is_refused_where_it_stands() {
    let rows = [
        ("title: a\naction: repeat\n", 2, "no rule before it"),
        ("title: [\n---\naction: repeat\n", 3, "no rule before it"),
        ("title: a\naction: Reset\n", 2, "did you mean `reset`"),
        ("title: a\naction: [global]\n", 2, "write global, reset or repeat"),
    ];
    for (text, line, reason) in rows {
        let set = load(text);
        let error = set.errors.last().expect("is refused");
        assert!(error.line == line && error.reason.contains(reason), "{text}: {error}");
        assert!(set.is_balanced());
    }
}

#[test]
fn what_actions_repeat_is_bounded() {
    let list: String = (0..1_500).map(|n| format!("      - x{n}\n")).collect();
    let global = format!("action: global\nlogsource:\n  category: t\ndetection:\n  s:\n    A:\n{list}  condition: s\n");
    let rules: String = (0..200).map(|n| format!("---\ntitle: t{n}\n")).collect();
    let set = load(&format!("{global}{rules}"));
    assert!(set.rules.len() < 100 && 100 < set.errors.len(), "{} {}", set.rules.len(), set.errors.len());
    assert!(set.errors[0].reason.contains("repeat more than"), "{}", set.errors[0]);
    assert!(set.is_balanced());
}
