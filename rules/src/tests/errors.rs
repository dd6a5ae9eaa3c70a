//! What is refused, where, and what the message says to write instead; and what loads with a warning.

use super::{load, rule};

/// The one reason a document is refused for: place and a part of the message.
#[track_caller]
fn check(text: &str, line: usize, column: usize, reason: &str) {
    let set = load(text);
    assert_eq!((set.rules.len(), set.correlations.len()), (0, 0), "{text}");
    let [error] = set.errors.as_slice() else { panic!("{text}: {:?}", set.errors) };
    assert!(error.reason.contains(reason), "{text}: {error}");
    assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
}

#[track_caller]
fn check_item(item: &str, column: usize, reason: &str) {
    check(&rule(&format!("  sel:\n    {item}\n  condition: sel")), 7, column, reason);
}

#[test]
fn modifiers_that_mean_nothing_are_refused_where_they_stand() {
    let rows = [
        ("A|containz: x", 5, "did you mean `contains`"),
        ("A|Contains: x", 5, "write `contains`"),
        ("A|frobnicate: x", 5, "unknown modifier `frobnicate`"),
        ("A|: x", 5, "unknown modifier"),
        ("A|i: x", 5, "write `re|i`"),
        ("A|i|re: x", 5, "write `re|i`"),
        ("A|contains|contains: x", 5, "twice"),
        ("A|startswith|endswith: x", 5, "contradict"),
        ("A|exists|contains: true", 5, "stands alone"),
        ("A|exists: maybe", 15, "needs true or false"),
        ("A|exists: [true, false]", 5, "one value"),
        ("A|cidr|contains: 10.0.0.0/8", 22, "`contains` cannot be applied to a network"),
        ("A|contains|cidr: 10.0.0.0/8", 22, "`cidr` cannot be applied"),
        ("A|cidr: 10.0.0.0/33", 13, "its prefix is too long"),
        ("A|cidr: 10.0.0.1/8", 13, "bits after the prefix"),
        ("A|cidr: host", 13, "not a network"),
        ("A|gt|contains: 5", 20, "cannot be applied to a comparison"),
        ("A|gt: many", 11, "needs a number"),
        ("A|gt|lt: 5", 14, "contradicts"),
        ("A|hour: noon", 13, "needs a number"),
        ("A|contains|re: x", 20, "write `re` first"),
        ("A|re|cased: x", 5, "case-sensitive already"),
        ("A|re|windash: x", 19, "cannot be applied to a regular expression"),
        ("A|re: '(a'", 11, "does not compile"),
        ("A|re: 'a(?=b)'", 11, "does not compile"),
        ("A|re: '(\\w{1000}){1000}'", 11, "repetitions smaller"),
        ("A|base64: a*b", 15, "a wildcard cannot stand in Base64"),
        ("A|contains|base64: ab", 24, "`contains` after `base64`"),
        ("A|base64offset: a", 21, "at least 2 bytes"),
        ("A|wide: ấ", 13, "add `base64`"),
        ("A|windash: -a -b -c -d", 16, "at most 3 dashes"),
        ("A|expand: '%Servers%'", 15, "placeholder %Servers% has no values"),
        ("A|contains: null", 17, "cannot be applied to null"),
        ("A|startswith|fieldref: B", 28, "write it first"),
        ("A|fieldref: B*", 17, "a wildcard cannot stand in the name"),
        ("A|cased|cidr: 10.0.0.0/8", 5, "an address has no case"),
        ("'|exists': true", 5, "needs a field"),
        ("'|gt': 5", 5, "needs a field"),
        ("A: {b: c}", 8, "is a map"),
        ("A: [[x]]", 9, "is a list"),
    ];
    for (item, column, reason) in rows {
        check_item(item, column, reason);
    }
}

#[test]
fn a_condition_error_points_into_the_condition() {
    let rows = [
        ("a and c", 14, "there is no search `c`; the searches are `a`, `b`"),
        ("a | count() > 5", 16, "write a correlation rule"),
        ("a and 1 of z*", 14, "no search matches the pattern `z*`"),
        ("a AND b", 16, "write `and`"),
        ("a b", 16, "`b` cannot stand here"),
        ("a and", 16, "after `and` must stand"),
        ("not", 17, "ends where the name"),
        ("(a and b", 22, "not closed"),
        ("a)", 15, "has no `(`"),
        ("2 of a*", 16, "`1`, `any` or `all`"),
        ("a*", 14, "needs `1 of` or `all of`"),
        ("''", 15, "empty"),
        ("1 of _*", 14, "no search matches"),
    ];
    for (condition, column, reason) in rows {
        let detection = format!("  a:\n    A: 1\n  b:\n    B: 1\n  condition: {condition}");
        check(&rule(&detection), 10, column, reason);
    }
}

#[test]
fn a_document_that_is_no_rule_says_what_is_missing() {
    let sel = "detection:\n  sel:\n    A: x\n  condition: sel\n";
    let rows = [
        (format!("logsource:\n  category: t\n{sel}"), 1, 1, "no `title`"),
        (format!("title: t\n{sel}"), 1, 1, "no `logsource`"),
        (format!("title: t\nlogsource:\n  definition: x\n{sel}"), 3, 3, "names nothing"),
        ("title: t\nlogsource:\n  category: t\n".into(), 1, 1, "no `detection`"),
        (format!("title: t\nlogsource:\n  category: t\nlevel: urgent\n{sel}"), 4, 8, "unknown level `urgent`"),
        (format!("title: t\nnhatle: {{scope: city}}\nlogsource:\n  category: t\n{sel}"), 2, 17, "is for a correlation"),
        ("title: t\nnhatle:\n  scope: ward\ncorrelation: {type: event_count, rules: t, timespan: 5m, condition: {gte: 2}}".into(), 3, 10, "unknown scope `ward`; write `city` or `unit`"),
        ("title: t\nnhatle: {scope: [unit]}\ncorrelation: {type: event_count, rules: t, timespan: 5m, condition: {gte: 2}}".into(), 2, 17, "`scope` is a list"),
        (format!("title: t\ntaxonomy: ocsf\nlogsource:\n  category: t\n{sel}"), 2, 11, "taxonomy `ocsf`"),
        (format!("action: globall\ntitle: t\nlogsource:\n  category: t\n{sel}"), 1, 9, "did you mean `global`"),
        ("- a\n- b\n".into(), 1, 1, "the document is a list"),
        ("title: [unclosed\n".into(), 2, 1, "not YAML"),
        ("title: a\ntitle: b\n".into(), 2, 1, "twice (first in line 1)"),
        (rule("  sel:\n    A: x\n    A: y\n  condition: sel"), 8, 5, "the key `A` stands here twice"),
        (rule("  sel:\n    A: x"), 6, 3, "no `condition`"),
        (rule("  condition: sel"), 6, 3, "no search"),
        (rule("  sel: {}\n  condition: sel"), 6, 8, "empty"),
        (rule("  sel:\n    - null\n  condition: sel"), 7, 7, "keyword cannot be null"),
        (rule("  sel:\n    A: x\n  timeframe: 5m\n  condition: sel"), 8, 3, "`timespan`"),
    ];
    for (text, line, column, reason) in &rows {
        check(text, *line, *column, reason);
    }
}

#[test]
fn a_bad_document_does_not_take_its_neighbors_with_it() {
    let good = |id: u32| {
        format!(
            "title: t{id}\nid: 00000000-0000-4000-8000-00000000000{id}\nlogsource:\n  category: t\ndetection:\n  s:\n    A: x\n  condition: s\n"
        )
    };
    let set = load(&format!("{}---\ntitle: [\n---\n{}---\n# nothing\n", good(1), good(2)));
    assert_eq!(set.rules.len(), 2);
    let places: Vec<_> = set.errors.iter().map(|error| error.line).collect();
    assert_eq!(places.len(), 1, "{:?}", set.errors);
    assert!((10..=12).contains(&places[0]), "{:?}", set.errors);
    assert_eq!(set.rules[1].meta.line, 12, "a rule knows its line in the file");
}

#[test]
fn the_later_of_two_rules_with_one_id_is_refused() {
    let one = rule("  s:\n    A: x\n  condition: s");
    let set = load(&format!("{one}---\n{one}"));
    assert_eq!((set.rules.len(), set.errors.len()), (1, 1));
    assert!(set.errors[0].to_string().starts_with("t.yml:10:1: the id"), "{}", set.errors[0]);
}

#[test]
fn rules_without_id_get_stable_ones() {
    let text = "title: same\nlogsource:\n  category: t\ndetection:\n  s:\n    A: x\n  condition: s\n";
    let set = load(&format!("{text}---\n{}", text.replace("A: x", "A: y")));
    assert_eq!((set.rules.len(), set.errors.len()), (2, 0), "{:?}", set.errors);
    let again = load(&format!("{text}---\n{}", text.replace("A: x", "A: y")));
    let ids = |set: &crate::RuleSet| set.rules.iter().map(|rule| rule.meta.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&set), ids(&again));
}

/// What is missing in every small rule here.
const MISSING: [&str; 3] = ["level-missing", "status-missing", "description-missing"];

/// The one warning of a text, but for what is missing in it.
#[track_caller]
fn check_warning(text: &str, lint: &str, reason: &str) {
    let set = load(text);
    assert_eq!(set.errors, [], "{text}");
    let found = set.warnings.iter().filter(|warning| !warning.lint.is_some_and(|lint| MISSING.contains(&lint)));
    let found: Vec<_> = found.collect();
    let [warning] = found.as_slice() else { panic!("{text}: {found:?}") };
    assert!(warning.lint == Some(lint) && warning.reason.contains(reason), "{text}: {warning}");
    assert!(warning.to_string().ends_with(&format!(" [{lint}]")), "{warning}");
    assert!(crate::lint::NAMES.contains(&lint), "{lint}");
}

#[test]
fn what_looks_wrong_is_a_warning() {
    let rows = [
        ("  s:\n    A|all: x\n  condition: s", "all-with-one-value", "no effect"),
        ("  s:\n    A|all: [x, y]\n  condition: s", "all-of-different-values", "`contains|all`"),
        ("  s:\n    A: [x, null]\n  condition: s", "null-in-list", "does not belong"),
        ("  s:\n    A: []\n  condition: s", "empty-list", "read as null"),
        ("  s:\n    A|contains: [x, 5]\n  condition: s", "type-of-value", "write '5'"),
        ("  s:\n    A|gte: '5'\n  condition: s", "type-of-value", "write 5"),
        ("  s:\n    A|base64offset: abc\n  condition: s", "base64offset-without-contains", "add `contains`"),
        ("  s:\n    A: '*'\n  condition: s", "only-wildcard", "`exists` says it plainer"),
        ("  s:\n    A|re: plain-text\n  condition: s", "regex-is-text", "write `contains`"),
        ("  s:\n    A: x\n  t:\n    B: x\n  condition: s", "search-unused", "`t` is not used"),
        ("  s:\n    A: x\n  _t:\n    B: x\n  condition: s and not s", "impossible", "never both true"),
        ("  s1:\n    A: x\n  s2:\n    B: x\n  condition: s1 and not 1 of s*", "impossible", "`not s1`"),
        ("  s:\n    A: x\n  t:\n    B: x\n  condition: t and (s or not s)", "always-true", "every event"),
    ];
    for (detection, lint, reason) in rows {
        check_warning(&rule(detection), lint, reason);
    }
    for good in [
        "A|all: ['x*', '*y']",
        "A|re: 'a.b'",
        "A|contains|all: [x, y]",
        "A|all: [x, X]",
        "A|re: 4.8",
        "A|hour: 5",
        "A|contains: 00429",
    ] {
        let set = load(&rule(&format!("  s:\n    {good}\n  condition: s")));
        assert!(set.warnings.iter().all(|one| one.lint.is_some_and(|lint| MISSING.contains(&lint))), "{good}");
    }
}

#[test]
fn what_a_rule_says_of_itself_is_looked_at() {
    let body = "logsource: {product: windows, category: process_creation}\ndetection: {s: {Image: x}, condition: s}\n";
    let id = "id: 00000000-0000-4000-8000-000000000001\n";
    let rows = [
        (format!("title: t\n{body}"), "id-missing", "made from its title"),
        (format!("title: t\nid: 7\n{body}"), "id-not-uuid", "not a UUID"),
        (format!("title: t\n{id}status: soon\n{body}"), "status-unknown", "`soon`"),
        (format!("title: t\n{id}date: 2026/01/01\n{body}"), "date-format", "YYYY-MM-DD"),
        (format!("title: t\n{id}tags: [T1110]\n{body}"), "tag-format", "attack.t1110.001"),
        (format!("title: t\n{id}tags: [high]\n{body}"), "level-in-tags", "`level:`"),
        (format!("title: t\n{id}tags: [attack.t11]\n{body}"), "attack-tag-unknown", "neither a tactic"),
        (
            format!("title: t\n{id}tags: [attack.executoin, attack.t1059, attack.g0007]\n{body}"),
            "attack-tag-unknown",
            "did you mean `execution`",
        ),
        (format!("title: t\n{id}{}", body.replace("Image", "Imagee")), "field-unknown", "did you mean `Image`"),
        (
            format!("title: t\n{id}{}", body.replace("Image", "commandline")),
            "field-unknown",
            "did you mean `CommandLine`",
        ),
        (
            format!("title: t\n{id}{}", body.replace("Image", "proces.executable")),
            "field-unknown",
            "`process.executable`",
        ),
        (format!("title: t\n{id}{}", body.replace("process_creation", "file_access")), "asleep", "never runs"),
        (
            format!("title: t\n{id}{body}---\ntitle: T\n{}{body}", id.replace("0001", "0002")),
            "duplicate-title",
            "t.yml:1 has the same title",
        ),
        (
            format!(
                "title: t\nname: t\n{id}{body}---\ntitle: c\n{}correlation: {{type: event_count, rules: t, timespan: 5m, condition: {{gte: 2}}}}\n",
                id.replace("0001", "0002")
            ),
            "no-group-by",
            "count together",
        ),
        (
            format!(
                "title: t\nname: t\n{id}{body}---\ntitle: c\n{}correlation: {{type: value_percentile, rules: t, group-by: [a], timespan: 5m, condition: {{field: b, gte: 2}}}}\n",
                id.replace("0001", "0002")
            ),
            "percentile-missing",
            "median",
        ),
        (
            format!(
                "title: t\nname: t\n{id}{body}---\ntitle: f\n{}logsource: {{product: windows}}\nfilter: {{rules: [t], s: {{Image: y}}, condition: s}}\n",
                id.replace("0001", "0002")
            ),
            "filter-without-not",
            "`not selection`",
        ),
        (
            format!(
                "title: f\n{id}logsource: {{product: windows}}\nfilter: {{rules: [t], s: {{Image: y}}, condition: not s}}\n"
            ),
            "filter-for-nothing",
            "not loaded",
        ),
    ];
    for (text, lint, reason) in &rows {
        check_warning(text, lint, reason);
    }
    let lints: Vec<_> = load(&format!("title: t\n{id}{body}")).warnings.iter().filter_map(|one| one.lint).collect();
    assert_eq!(lints, MISSING);
}

#[test]
fn every_warning_is_documented() {
    for language in ["rules.md", "rules.vi.md"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(language);
        let text = std::fs::read_to_string(path).unwrap();
        for name in crate::lint::NAMES {
            assert!(text.contains(&format!("`{name}`")), "{language}: {name}");
        }
    }
}
