//! What values and modifiers come to: escapes, wildcards, windash, base64offset, UTF-16, numbers, searches.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{load, rule};
use crate::predicate::{Comparison, Part, Pattern, Position, Predicate, Test, TimePart};
use crate::{LoadOptions, RuleSet};

/// The atoms' tests of a rule with one item, and the shape of its predicate.
#[track_caller]
fn tests(item: &str) -> Vec<Test> {
    let set = load(&rule(&format!("  sel:\n    {item}\n  condition: sel")));
    assert_eq!(set.errors, [], "{item}");
    set.atoms.into_iter().map(|atom| atom.test).collect()
}

/// A pattern as one text: `*` and `?` for wildcards, literals in quotes.
fn shown(pattern: &Pattern) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => format!("'{text}'"),
        Part::Many => "*".into(),
        Part::One => "?".into(),
    };
    pattern.parts.iter().map(part).collect()
}

/// The only pattern of an item.
#[track_caller]
fn pattern(item: &str) -> String {
    match tests(item).as_slice() {
        [Test::Text(pattern)] => shown(pattern),
        other => panic!("{item}: {other:?}"),
    }
}

#[test]
fn yaml_tags_say_the_type_or_are_refused() {
    assert_eq!(tests("A: !!str null"), tests("A: 'null'"));
    assert_eq!(tests("A: !!str 5"), tests("A: '5'"));
    assert_eq!(tests("A: !!int 5"), tests("A: 5"));
    assert_eq!(tests("A: !!seq [x, y]"), tests("A: [x, y]"));
    for (item, tag) in [("A: !secret x", "secret"), ("A: !!binary YWJj", "binary"), ("A: !list [x]", "list")] {
        let set = load(&rule(&format!("  sel:\n    {item}\n  condition: sel")));
        let [error] = set.errors.as_slice() else { panic!("{item}: {:?}", set.errors) };
        assert!(error.reason.contains(&format!("the YAML tag `{tag}`")), "{item}: {error}");
        assert_eq!(error.line, 7, "{item}");
    }
}

#[test]
fn a_merge_key_lends_what_the_map_does_not_say_itself() {
    let lent = "x: &x\n  A: lent\n  B: lent\ny: &y\n  B: later\n  C: later\n";
    for (merge, wanted) in [("*x", "B: lent"), ("[*x, *y]", "B: lent\n    C: later")] {
        let merged = format!("{lent}{}", rule(&format!("  sel:\n    <<: {merge}\n    A: own\n  condition: sel")));
        let plain = rule(&format!("  sel:\n    A: own\n    {wanted}\n  condition: sel"));
        let (merged, plain) = (load(&merged), load(&plain));
        assert_eq!((&merged.errors, &merged.atoms), (&plain.errors, &plain.atoms), "{merge}");
    }
    let set = load(&rule("  sel:\n    <<: text\n    A: own\n  condition: sel"));
    assert!(set.errors[0].reason.contains("`<<` takes the entries of a map"), "{:?}", set.errors);
}

#[test]
fn escapes_and_wildcards_are_read_as_specified() {
    let rows = [
        (r"'a\b'", r"'a\b'"),
        (r"'a\\b'", r"'a\b'"),
        (r"'a\*b'", "'a*b'"),
        (r"'a\?b'", "'a?b'"),
        (r"'a\\*'", r"'a\'*"),
        (r"'a\\\*'", r"'a\*'"),
        (r"'\\\\srv'", r"'\\srv'"),
        (r"'a\\\b'", r"'a\\b'"),
        (r"'a\'", r"'a\'"),
        (r#""a\\b""#, r"'a\b'"),
        ("'a*b?c'", "'a'*'b'?'c'"),
        ("'**a'", "*'a'"),
        ("'ẤN Đ'", "'ấn đ'"),
        ("''", ""),
        ("'*'", "*"),
        ("true", "'true'"),
        ("0017-x", "'0017-x'"),
        ("2026-01-01", "'2026-01-01'"),
        ("1:30", "'1:30'"),
        ("1_000", "'1_000'"),
        ("12e5", "'12e5'"),
        ("yes", "'yes'"),
        ("9007199254740993", "'9007199254740993'"),
    ];
    for (value, expected) in rows {
        assert_eq!(pattern(&format!("A: {value}")), expected, "{value}");
    }
}

#[test]
fn positions_put_wildcards_where_there_are_none() {
    let rows = [
        ("A|contains: b", "*'b'*"),
        ("A|contains: '*b'", "*'b'*"),
        ("A|contains: ''", "*"),
        (r"A|contains: \Temp\", r"*'\temp\'*"),
        (r"A|endswith: '\cmd.exe'", r"*'\cmd.exe'"),
        ("A|startswith: 'a*b'", "'a'*'b'*"),
        ("A|contains: 68", "*'68'*"),
        ("A|cased: Ab", "'Ab'"),
        ("A|contains|cased: 12", "*'12'*"),
        ("'|contains': Ab", "*'ab'*"),
        ("'|all': Ab", "*'ab'*"),
        ("'|startswith': Ab", "'ab'*"),
    ];
    for (item, expected) in rows {
        assert_eq!(pattern(item), expected, "{item}");
    }
}

#[test]
fn typed_values_are_tests_of_their_own() {
    let rows = [
        ("A: 4625", vec![Test::Number(4625.0)]),
        ("A: -1.5", vec![Test::Number(-1.5)]),
        ("A: null", vec![Test::Null]),
        ("A:", vec![Test::Null]),
        ("A: []", vec![Test::Null]),
        ("A|gte: 5", vec![Test::Compare(Comparison::GreaterOrEqual, 5.0)]),
        ("A|hour: 22", vec![Test::TimePart(TimePart::Hour, Comparison::Equal, 22.0)]),
        ("A|hour|gte: 22", vec![Test::TimePart(TimePart::Hour, Comparison::GreaterOrEqual, 22.0)]),
        ("A|exists: true", vec![Test::Exists]),
        ("A|re: a+", vec![Test::Regex("a+".into())]),
        ("A|re: \"e\\u0302\\u0301+\"", vec![Test::Regex("ế+".into())]),
        ("A|re|i|s: a+", vec![Test::Regex("(?is)a+".into())]),
        ("A|re|startswith: a|b", vec![Test::Regex(r"\A(?:a|b)".into())]),
        ("A|re: 'C:\\\\x'", vec![Test::Regex(r"C:\\x".into())]),
        ("A|cidr: 10.0.0.0/8", vec![Test::Cidr { network: [10, 0, 0, 0].into(), prefix: 8 }]),
    ];
    for (item, expected) in rows {
        assert_eq!(tests(item), expected, "{item}");
    }
    let hexadecimal = tests("A: 0x17");
    assert!(
        matches!(hexadecimal.as_slice(), [Test::Text(_), Test::Number(number)] if *number == 23.0),
        "{hexadecimal:?}"
    );
    let reference = tests("A|fieldref|endswith: B");
    assert!(matches!(reference.as_slice(), [Test::FieldRef { position: Position::End, .. }]), "{reference:?}");
}

#[test]
fn alternatives_are_one_atom_and_equal_atoms_are_shared() {
    let set = load(&rule("  a:\n    A: [y, x, X]\n  b:\n    A: [x, y]\n  c:\n    A: [x, 1]\n  condition: 1 of them"));
    let Test::OneOf(patterns) = &set.atoms[0].test else { panic!("{:?}", set.atoms) };
    assert_eq!(patterns.iter().map(shown).collect::<Vec<_>>(), ["'x'", "'y'"]);
    assert_eq!(set.atoms.len(), 3, "{:?}", set.atoms);
}

#[test]
fn all_is_over_values_and_neq_over_the_item() {
    let set = load(&rule("  s:\n    A|contains|windash|all: [' -a', ' -b']\n  condition: s"));
    assert!(
        matches!(&set.rules[0].predicate, Predicate::All(parts) if parts.len() == 2),
        "{:?}",
        set.rules[0].predicate
    );
    assert!(set.atoms.iter().all(|atom| matches!(&atom.test, Test::OneOf(forms) if forms.len() == 5)));
    let set = load(&rule("  s:\n    A|neq: [a, b]\n  condition: s"));
    assert!(matches!(&set.rules[0].predicate, Predicate::Not(_)));
    let set = load(&rule("  s:\n    A|exists: false\n  condition: s"));
    assert!(matches!(&set.rules[0].predicate, Predicate::Not(_)));
}

#[test]
fn windash_varies_only_dashes_at_word_starts() {
    let rows = [
        ("-a", 5),
        ("/a", 5),
        ("\u{2014}a", 5),
        ("a-b", 1),
        ("--a", 5),
        ("a -", 1),
        ("-a -b", 25),
        ("- a", 1),
        ("*-a", 5),
    ];
    for (value, count) in rows {
        let found = match tests(&format!("A|windash: '{value}'")).as_slice() {
            [Test::Text(_)] => 1,
            [Test::OneOf(forms)] => forms.len(),
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(found, count, "{value}");
    }
}

/// The texts of an item's alternatives, without their wildcards.
fn literals(item: &str) -> Vec<String> {
    let patterns = match tests(item).remove(0) {
        Test::Text(one) => vec![one],
        Test::OneOf(several) => several,
        other => panic!("{item}: {other:?}"),
    };
    let literal = |pattern: Pattern| {
        pattern.parts.into_iter().find_map(|part| if let Part::Literal(text) = part { Some(text) } else { None })
    };
    patterns.into_iter().filter_map(literal).collect()
}

#[test]
fn base64offset_is_found_at_every_alignment() {
    for value in ["ab", "abc", "abcd", "abcde", "abcdef", "mật khẩu"] {
        let found = literals(&format!("A|base64offset|contains|cased: {value}"));
        for before in 0..6 {
            for after in 0..6 {
                let bytes = [&vec![0xff; before], value.as_bytes(), &vec![0xff; after]].concat();
                let text = STANDARD.encode(bytes);
                assert!(
                    found.iter().any(|literal| text.contains(literal)),
                    "{value} {before} {after}: {text} {found:?}"
                );
            }
        }
    }
}

#[test]
fn utf16_is_encoded_in_the_order_written() {
    let rows = [
        ("A|wide|base64|cased: cmd", "YwBtAGQA"),
        ("A|utf16le|base64|cased: cmd", "YwBtAGQA"),
        ("A|utf16be|base64|cased: cmd", "AGMAbQBk"),
        ("A|utf16|base64|cased: cmd", "//5jAG0AZAA="),
        ("A|wide|base64|cased: ấ", "pR4="),
        ("A|base64|cased: a\\*b", "YSpi"),
        ("A|wide: ab", "a\0b\0"),
    ];
    for (item, expected) in rows {
        assert_eq!(literals(item), [expected], "{item}");
    }
}

#[test]
fn placeholders_take_the_values_given() {
    let placeholders = [("Servers".to_owned(), vec!["srv1".to_owned(), "dc*".to_owned()])].into();
    let options = LoadOptions { placeholders, ..LoadOptions::default() };
    let text = rule(
        r"  s:
    A|contains|expand: 'x%Servers%\%y'
  condition: s",
    );
    let set = RuleSet::from_texts(&[("t.yml".into(), text)], &options);
    assert_eq!(set.errors, []);
    let Test::OneOf(forms) = &set.atoms[0].test else { panic!("{:?}", set.atoms) };
    assert_eq!(forms.iter().map(shown).collect::<Vec<_>>(), ["*'xdc'*'%y'*", "*'xsrv1%y'*"]);
}

#[test]
fn searches_and_conditions_have_sigmas_precedence() {
    let detection =
        |condition: &str| format!("  a:\n    A: 1\n  b:\n    A: 2\n  _c:\n    A: 3\n  condition: {condition}");
    let rows = [
        ("a or b and not _c", "(0 or (1 and not 2))"),
        ("(a or b) and _c", "((0 or 1) and 2)"),
        ("1 of them", "(0 or 1)"),
        ("all of them", "(0 and 1)"),
        ("any of *", "(0 or 1)"),
        ("not all of *", "not (0 and 1)"),
        ("not not a", "0"),
        ("[a, b and _c]", "(0 or (1 and 2))"),
        ("not(a)", "not 0"),
        ("1 of a", "0"),
    ];
    for (condition, expected) in rows {
        let set = load(&rule(&detection(condition)));
        assert_eq!(set.errors, [], "{condition}");
        assert_eq!(written(&set.rules[0].predicate), expected, "{condition}");
    }
}

fn written(predicate: &Predicate) -> String {
    let joined =
        |parts: &[Predicate], word: &str| format!("({})", parts.iter().map(written).collect::<Vec<_>>().join(word));
    match predicate {
        Predicate::Constant(constant) => constant.to_string(),
        Predicate::Atom(id) => id.0.to_string(),
        Predicate::All(parts) => joined(parts, " and "),
        Predicate::Any(parts) => joined(parts, " or "),
        Predicate::Not(part) => format!("not {}", written(part)),
    }
}

#[test]
fn keywords_and_maps_mix_in_lists() {
    let set = load(&rule("  s:\n    - word\n    - 42\n    - A: x\n      B: y\n  condition: s"));
    assert_eq!(set.errors, []);
    let Test::OneOf(words) = &set.atoms[0].test else { panic!("{:?}", set.atoms) };
    assert_eq!(words.iter().map(shown).collect::<Vec<_>>(), ["*'42'*", "*'word'*"]);
    assert_eq!(written(&set.rules[0].predicate), "(0 or (1 and 2))");
    assert_eq!(set.atoms[0].field, None);
}
