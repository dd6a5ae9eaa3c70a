//! Input made to hurt: bombs, depth, size, and text at random.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{load, rule};
use crate::{LoadOptions, RuleSet};

/// Refused with this reason, and soon.
#[track_caller]
fn check(text: &str, reason: &str) {
    let start = Instant::now();
    let set = load(text);
    assert!(set.rules.is_empty(), "{reason}");
    assert!(set.errors.iter().any(|error| error.reason.contains(reason)), "{reason}: {:?}", set.errors.first());
    assert!(start.elapsed() < Duration::from_secs(20), "{reason}: {:?}", start.elapsed());
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..=9 {
        let item = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", [item.as_str(); 9].join(", ")).unwrap();
    }
    check(&bomb, "aliases repeat more than");
    let long = "x".repeat(100_000);
    check(&format!("a: &a {long}\nb: [{}]", ["*a"; 20].join(", ")), "aliases repeat more than");
    check("a: &a [*a]\n", "alias");
}

#[test]
fn an_alias_that_is_no_bomb_works() {
    let set = load(&rule("  s:\n    A: &list [x, y]\n    B: *list\n  condition: s"));
    assert_eq!(set.errors, []);
    assert_eq!(set.atoms.len(), 2);
}

#[test]
fn depth_and_size_are_bounded() {
    check(&"[".repeat(100_000), "recursion limit");
    check(&format!("{}{}", "[".repeat(40), "]".repeat(40)), "deep");
    check(&format!("a:\n{}", (1..200).map(|n| format!("{}- \n", " ".repeat(n))).collect::<String>()), "deep");
    check(&rule(&format!("  s:\n    A: x\n  condition: {}s{}", "(".repeat(1000), ")".repeat(1000))), "brackets nest");
    check(&rule(&format!("  s:\n    A: x\n  condition: {}s", "not ".repeat(10_000))), "longer than");
    check(&format!("title: {}", "x".repeat(2_000_000)), "the document is larger than");
    check(&"- x\n".repeat(250_000), "more than 200000 values");
    check(&(0..5_000).map(|n| format!("k{n}: x\n")).collect::<String>(), "more than 2000 keys");
    check(&format!("title: {}\n", "x".repeat(1000)), "longer than 512 bytes");
}

#[test]
fn a_million_documents_are_read_up_to_the_bound() {
    let set = load(&"---\na: 1\n".repeat(1_000_000));
    assert_eq!((set.rules.len(), set.errors.len()), (0, crate::yaml::DOCUMENTS_MAX + 1));
    assert!(set.errors[0].reason.contains("the rest is left out"), "{}", set.errors[0]);
    assert!(set.is_balanced());
}

#[test]
fn a_hundred_thousand_values_are_one_test() {
    let values: String = (0..100_000).map(|n| format!("{n},")).collect();
    let set = load(&rule(&format!("  s:\n    A|contains: [{values}]\n  condition: s")));
    assert_eq!(set.errors, []);
    assert_eq!(set.atoms.len(), 1);
    let dashes = ["-a -b -c"; 2_000].join("', '");
    check(&rule(&format!("  s:\n    A|windash: ['{dashes}']\n  condition: s")), "the item comes to more than");
}

#[test]
fn many_regular_expressions_in_one_rule_are_bounded() {
    let rule_of = |pattern: &str, count: usize| {
        rule(&format!("  s:\n    A|re: [{}]\n  condition: s", vec![format!("'{pattern}'"); count].join(", ")))
    };
    assert_eq!(load(&rule_of("a.c", crate::compile::value::REGEX_COST_MAX)).errors, []);
    check(&rule_of("a.c", 20_000), "too many or too large");
    check(&rule_of("\\w{20}x", 20_000), "too many or too large");
}

#[test]
fn a_condition_cannot_multiply_a_large_search() {
    let searches: String = (0..900).map(|n| format!("  s{n}:\n    A: x{n}\n    B: y{n}\n")).collect();
    let condition = ["1 of them"; 400].join(" or ");
    check(&rule(&format!("{searches}  condition: {condition}")), "repeats its searches");
}

#[test]
fn a_file_of_50_megabytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.yml");
    std::fs::File::create(&file).unwrap().set_len(50 * 1024 * 1024).unwrap();
    std::fs::write(folder.path().join("bad.yml"), [0xff, 0xfe]).unwrap();
    std::fs::write(folder.path().join("good.yaml"), rule("  s:\n    A: x\n  condition: s")).unwrap();
    std::fs::write(folder.path().join("README.md"), "not a rule").unwrap();
    let set = RuleSet::load(&[folder.path().to_owned(), folder.path().join("absent.yml")], &LoadOptions::default());
    let reasons: Vec<_> = set.errors.iter().map(|error| error.reason.as_str()).collect();
    assert_eq!(set.rules.len(), 1);
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("larger than")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("not UTF-8 at byte 0")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("cannot be read")), "{reasons:?}");
}

#[test]
fn a_regular_expression_that_explodes_elsewhere_is_harmless_or_refused() {
    // Catastrophic for backtracking engines, linear here.
    assert_eq!(load(&rule("  s:\n    A|re: '^(a+)+$'\n  condition: s")).errors, []);
    check(&rule("  s:\n    A|re: '((a{100}){100}){100}'\n  condition: s"), "repetitions smaller");
    check(
        &rule(&format!("  s:\n    A|re: '{}a{}'\n  condition: s", "(".repeat(3000), ")".repeat(3000))),
        "does not compile",
    );
    check(&rule(&format!("  s:\n    A|re: '{}'\n  condition: s", "a".repeat(10_000))), "longer than 8192");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,300}") {
        load(&text);
    }

    #[test]
    fn no_yaml_like_text_panics(text in "[-:\\[\\]{}&*!|>'\"%@?#,\\\\ \t\r\na-c0-9~<ấ]{0,200}") {
        load(&text);
    }

    #[test]
    fn no_detection_panics(
        key in "[a-c]{0,2}(\\|(contains|all|re|i|cidr|windash|base64offset|base64|wide|utf16|neq|gt|hour|expand|fieldref|cased|exists|startswith)){0,4}",
        value in "(?s)'[^']{0,40}'|[0-9.x-]{1,8}|null|true|\\[[a-z*, ]{0,20}\\]",
        condition in "(sel|not|and|or|1 of|all of|them|s\\*|\\(|\\)| ){0,12}",
    ) {
        let set = RuleSet::from_texts(
            &[(PathBuf::from("t.yml"), rule(&format!("  sel:\n    {key}: {value}\n  condition: {condition}")))],
            &LoadOptions::default(),
        );
        prop_assert_eq!(set.rules.len() + set.errors.len(), 1, "every document is accounted for");
    }
}
