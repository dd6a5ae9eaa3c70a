//! What a rule as written means for an event as logged: a row for each reading of `docs/sigma.md`.
//!
//! Rules go through the real loader, events through the real JSON reader; each answer is that of the detector and of
//! its naive twin. Source: Sigma specification 2.1.0; what it leaves open is said in `docs/sigma.md`.

use std::path::PathBuf;

use nhatle_event::Timestamp;
use nhatle_event::json::flatten;
use nhatle_rules::{LoadOptions, Routing};

use super::*;
use crate::needs;

fn rules(detection: &str) -> RuleSet {
    let text = format!("title: t\nlogsource:\n  category: test\ndetection:\n{detection}\n");
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    RuleSet::from_texts(&[(PathBuf::from("t.yml"), text)], &options)
}

fn event(json: &str) -> Event {
    let mut event = Event::new(Timestamp(0), *b"raw");
    for (name, value) in flatten(json.as_bytes()).expect("is JSON") {
        event.set_named(&name, value);
    }
    event
}

/// Which of the events a detection matches.
#[track_caller]
fn detection(detection: &str, events: &[(&str, bool)]) {
    let rules = rules(detection);
    assert_eq!(rules.errors, [], "{detection}");
    let seen: Vec<Event> = events.iter().map(|(json, _)| event(json)).collect();
    let found = Detector::new(Arc::new(rules.clone())).detect_events(&seen);
    assert_eq!(found, naive::detect(&rules, &seen), "{detection}: the twins differ");
    for (position, (json, expected)) in events.iter().enumerate() {
        let matches = found.iter().any(|one| one.position == position);
        assert_eq!(matches, *expected, "{detection}\non {json}");
        let is_hunted = needs::of(&rules).holds(&seen[position]);
        assert!(is_hunted || !matches, "{detection}\non {json}: a hunt would not look at it");
    }
}

/// Which of the events one item matches.
#[track_caller]
fn item(item: &str, events: &[(&str, bool)]) {
    detection(&format!("  sel:\n    {item}\n  condition: sel"), events);
}

#[track_caller]
fn refused(detection: &str, reason: &str) {
    let rules = rules(detection);
    let [error] = rules.errors.as_slice() else { panic!("{detection}: {:?}", rules.errors) };
    assert!(error.reason.contains(reason), "{detection}: {error}");
}

#[test]
fn letters_fold_in_every_kind_of_pattern() {
    item("A: ĐƯỜNG", &[(r#"{"A":"đường"}"#, true), (r#"{"A":"duong"}"#, false)]);
    item("A|contains: ổ", &[(r#"{"A":"MỞ Ổ ĐĨA"}"#, true), (r#"{"A":"MỞ O ĐĨA"}"#, false)]);
    item("A|contains: [x1, x2, x3, 'Ắ']", &[(r#"{"A":"bằng chứng: bắc"}"#, true)]);
    item("A|startswith: Ấ", &[(r#"{"A":"ấn"}"#, true)]);
    item("A|endswith: Ỹ", &[(r#"{"A":"kỹ"}"#, true)]);
    item("A: 'Đ?NG*'", &[(r#"{"A":"đồng nai"}"#, true), (r#"{"A":"đng"}"#, false)]);
    item("A: ΣΊΣΥΦΟΣ", &[(r#"{"A":"σίσυφος"}"#, true)]);
    // Simple folding keeps lengths: no `ß` = `ss`, no dotted `İ` = `i`.
    item("A: STRASSE", &[(r#"{"A":"straße"}"#, false), (r#"{"A":"strasse"}"#, true)]);
    item("A: i", &[(r#"{"A":"İ"}"#, false), (r#"{"A":"I"}"#, true)]);
    detection("  k: [ĐẠI]\n  condition: k", &[(r#"{"x":"vĩ đại"}"#, true)]);
}

#[test]
fn composed_and_decomposed_letters_differ() {
    item("A: \u{1ea5}", &[("{\"A\":\"\u{1ea5}\"}", true), ("{\"A\":\"a\u{302}\u{301}\"}", false)]);
}

#[test]
fn wildcards_cross_lines_and_question_marks_are_one_character() {
    item("A: 'a*z'", &[(r#"{"A":"a\nb\r\nz"}"#, true), (r#"{"A":"az"}"#, true), (r#"{"A":"azy"}"#, false)]);
    item("A: 'a?z'", &[(r#"{"A":"a\nz"}"#, true), (r#"{"A":"aấz"}"#, true), (r#"{"A":"az"}"#, false)]);
    item("A: 'a??z'", &[(r#"{"A":"aấz"}"#, false), (r#"{"A":"a😀bz"}"#, true)]);
    item("A: '?*'", &[(r#"{"A":""}"#, false), (r#"{"A":"x"}"#, true)]);
    item("A: '*?*?*'", &[(r#"{"A":"x"}"#, false), (r#"{"A":"xy"}"#, true)]);
    item("A|contains: 'x*y'", &[(r#"{"A":"--x\n--y--"}"#, true), (r#"{"A":"yx"}"#, false)]);
    item(
        "A|startswith: 'C:\\Users\\\\*\\Temp'",
        &[(r#"{"A":"c:\\users\\an\\temp\\x.exe"}"#, true), (r#"{"A":"d:\\users\\an\\temp\\x.exe"}"#, false)],
    );
    item("A|endswith: 'a?c'", &[(r#"{"A":"xxabc"}"#, true), (r#"{"A":"abcx"}"#, false)]);
    // Anchored, unlike a regular expression.
    item("A: 'Sec?rity'", &[(r#"{"A":"Security"}"#, true), (r#"{"A":"MySecurityLog"}"#, false)]);
}

#[test]
fn backslashes_are_read_as_the_specification_says() {
    item(r"A: '\\*'", &[(r#"{"A":"\\x"}"#, true), (r#"{"A":"\\"}"#, true), (r#"{"A":"x"}"#, false)]);
    item(r"A: '\\\*'", &[(r#"{"A":"\\*"}"#, true), (r#"{"A":"\\x"}"#, false)]);
    item(r"A: '\\\\srv\s'", &[(r#"{"A":"\\\\srv\\s"}"#, true), (r#"{"A":"\\srv\\s"}"#, false)]);
    item(r"A: '\\srv\s'", &[(r#"{"A":"\\srv\\s"}"#, true), (r#"{"A":"\\\\srv\\s"}"#, false)]);
    item(r"A: '\\\x'", &[(r#"{"A":"\\\\x"}"#, true)]);
    item(r"A: 'C:\Users\*\Temp'", &[(r#"{"A":"C:\\Users*\\Temp"}"#, true), (r#"{"A":"C:\\Users\\a\\Temp"}"#, false)]);
    item(r"A|endswith: '\cmd.exe'", &[(r#"{"A":"C:\\CMD.EXE"}"#, true), (r#"{"A":"C:\\xcmd.exe"}"#, false)]);
    item(r"A|contains: '\Temp\'", &[(r#"{"A":"C:\\temp\\x"}"#, true), (r#"{"A":"C:\\temp"}"#, false)]);
    item(r#"A: "a\\b""#, &[(r#"{"A":"a\\b"}"#, true)]);
    item(r#"A: "a\tb""#, &[(r#"{"A":"a\tb"}"#, true)]);
    item(r"A: '\?'", &[(r#"{"A":"?"}"#, true), (r#"{"A":"x"}"#, false)]);
}

#[test]
fn numbers_equal_numbers_and_their_text() {
    item(
        "A: 4625",
        &[(r#"{"A":4625}"#, true), (r#"{"A":"4625"}"#, true), (r#"{"A":"4625.0"}"#, true), (r#"{"A":"x4625"}"#, false)],
    );
    item("A: '4625'", &[(r#"{"A":4625}"#, true), (r#"{"A":"4625"}"#, true), (r#"{"A":46250}"#, false)]);
    item("A: 1.5", &[(r#"{"A":1.5}"#, true), (r#"{"A":"1.50"}"#, true), (r#"{"A":15}"#, false)]);
    item("A: -3", &[(r#"{"A":-3}"#, true), (r#"{"A":3}"#, false)]);
    item("A: [1, two]", &[(r#"{"A":1}"#, true), (r#"{"A":"TWO"}"#, true), (r#"{"A":2}"#, false)]);
    item("A|startswith: 46", &[(r#"{"A":4625}"#, true), (r#"{"A":1462}"#, false)]);
    item("A|endswith: 25", &[(r#"{"A":"4625"}"#, true)]);
    item(
        "A: true",
        &[(r#"{"A":true}"#, true), (r#"{"A":"True"}"#, true), (r#"{"A":false}"#, false), (r#"{"A":1}"#, false)],
    );
    item("A: false", &[(r#"{"A":"false"}"#, true), (r#"{"A":false}"#, true), ("{}", false)]);
    item("A: 0x1F", &[(r#"{"A":"0x1f"}"#, true), (r#"{"A":31}"#, true)]);
    item("A: '0x1F'", &[(r#"{"A":"0x1f"}"#, true), (r#"{"A":31}"#, false)]);
}

#[test]
fn what_yaml_versions_read_differently_is_text() {
    item("A: yes", &[(r#"{"A":"yes"}"#, true), (r#"{"A":true}"#, false)]);
    item("A: off", &[(r#"{"A":"OFF"}"#, true), (r#"{"A":false}"#, false)]);
    item("A: 1_000", &[(r#"{"A":"1_000"}"#, true), (r#"{"A":1000}"#, false)]);
    item("A: 2026-01-01", &[(r#"{"A":"2026-01-01"}"#, true)]);
    item("A: 1:30", &[(r#"{"A":"1:30"}"#, true), (r#"{"A":90}"#, false)]);
    item("A: 1e3", &[(r#"{"A":"1e3"}"#, true), (r#"{"A":1000}"#, false)]);
    item("A: 007", &[(r#"{"A":"007"}"#, true), (r#"{"A":7}"#, true)]);
    item("A: .5", &[(r#"{"A":".5"}"#, true)]);
    item("A: ~", &[("{}", true), (r#"{"A":"~"}"#, false)]);
}

#[test]
fn null_empty_and_absent_are_three_things() {
    item("A: null", &[("{}", true), (r#"{"A":null}"#, true), (r#"{"A":""}"#, false), (r#"{"A":"null"}"#, false)]);
    item("A: ''", &[("{}", false), (r#"{"A":null}"#, false), (r#"{"A":""}"#, true), (r#"{"A":" "}"#, false)]);
    item("A: '*'", &[("{}", false), (r#"{"A":null}"#, false), (r#"{"A":""}"#, true), (r#"{"A":0}"#, true)]);
    item("A: ['', null]", &[("{}", true), (r#"{"A":""}"#, true), (r#"{"A":"x"}"#, false)]);
    item("A: [x, null]", &[("{}", true), (r#"{"A":"x"}"#, true), (r#"{"A":"y"}"#, false)]);
    item("A: []", &[("{}", true), (r#"{"A":""}"#, false)]);
    item("A|contains: ''", &[(r#"{"A":"x"}"#, true), (r#"{"A":""}"#, true), ("{}", false)]);
    item("A|exists: true", &[(r#"{"A":null}"#, true), (r#"{"A":""}"#, true), ("{}", false)]);
    item("A|exists: false", &[(r#"{"A":null}"#, false), (r#"{"A":""}"#, false), ("{}", true)]);
    item("A|exists: true", &[(r#"{"A":{"B":1}}"#, false), (r#"{"A.B":1}"#, false)]);
    item("A.B|exists: true", &[(r#"{"A":{"B":1}}"#, true), (r#"{"A":{"B":null}}"#, true), (r#"{"A":{}}"#, false)]);
    item(
        "A: null",
        &[(r#"{"A":{"B":1}}"#, true), (r#"{"A":[]}"#, true), (r#"{"A":[null,1]}"#, true), (r#"{"A":[1]}"#, false)],
    );
}

#[test]
fn a_test_on_an_absent_field_is_false_and_its_not_true() {
    detection(
        "  s: {A: x}\n  f: {B: y}\n  condition: s and not f",
        &[
            (r#"{"A":"x"}"#, true),
            (r#"{"A":"x","B":null}"#, true),
            (r#"{"A":"x","B":"y"}"#, false),
            (r#"{"B":"z"}"#, false),
        ],
    );
    for negated in ["A|neq: x", "A|re|neq: x", "A|contains|neq: x", "A|neq: [x, y]", "A|cidr|neq: 10.0.0.0/8"] {
        item(negated, &[("{}", true)]);
    }
    for positive in ["A: x", "A|re: '.*'", "A|cidr: 0.0.0.0/0", "A|lt: 5", "A|hour: 3", "A|fieldref: B"] {
        item(positive, &[("{}", false), (r#"{"A":null}"#, false)]);
    }
    detection(
        "  s: {A: x}\n  f1: {B: null}\n  condition: s and not 1 of f*",
        &[(r#"{"A":"x"}"#, false), (r#"{"A":"x","B":"b"}"#, true)],
    );
}

#[test]
fn neq_is_none_of_its_values() {
    item("A|neq: [x, 'y*']", &[(r#"{"A":"X"}"#, false), (r#"{"A":"yes"}"#, false), (r#"{"A":"z"}"#, true)]);
    item("A|neq: ''", &[(r#"{"A":""}"#, false), (r#"{"A":"x"}"#, true), ("{}", true)]);
    item("A|neq: null", &[("{}", false), (r#"{"A":"x"}"#, true)]);
    item("A|contains|all|neq: [a, b]", &[(r#"{"A":"ab"}"#, false), (r#"{"A":"a"}"#, true)]);
    item("A|neq: x", &[(r#"{"A":["x","y"]}"#, false), (r#"{"A":["y"]}"#, true)]);
    item("A|gt|neq: 5", &[(r#"{"A":6}"#, false), (r#"{"A":5}"#, true), (r#"{"A":"many"}"#, true)]);
    item("A|neq|cased: X", &[(r#"{"A":"x"}"#, true), (r#"{"A":"X"}"#, false)]);
}

#[test]
fn lists_and_maps_nest() {
    item("A: [x, y]", &[(r#"{"A":["q","Y"]}"#, true), (r#"{"A":["q"]}"#, false)]);
    item("A|contains|all: [x, y]", &[(r#"{"A":["x","y"]}"#, true), (r#"{"A":"xy"}"#, true), (r#"{"A":["x"]}"#, false)]);
    detection(
        "  s:\n    - A: x\n      B: y\n    - C: z\n  condition: s",
        &[(r#"{"A":"x"}"#, false), (r#"{"A":"x","B":"y"}"#, true), (r#"{"C":"z"}"#, true)],
    );
    detection(
        "  s:\n    - [{A: x}, {B: y}]\n    - word\n    - 42\n  condition: s",
        &[
            (r#"{"B":"y"}"#, true),
            (r#"{"m":"a WORD here"}"#, true),
            (r#"{"m":"x423"}"#, true),
            (r#"{"m":42}"#, true),
            (r#"{"m":4}"#, false),
        ],
    );
    detection(
        "  s: {a.b: x}\n  condition: s",
        &[
            (r#"{"a":[{"b":"y"},{"b":"x"}]}"#, true),
            (r#"{"a":{"b":"x"}}"#, true),
            (r#"{"a.b":"y","a":{"b":"x"}}"#, false),
        ],
    );
    detection("  s: {cs-uri-query: x}\n  condition: s", &[(r#"{"cs-uri-query":"x"}"#, true)]);
    detection("  s: {ThreatName: x}\n  condition: s", &[(r#"{"Threat Name":"x"}"#, true)]);
}

#[test]
fn keywords_are_contained_in_single_values() {
    detection("  k: word\n  condition: k", &[(r#"{"a":{"b":"some WORDs"}}"#, true), (r#"{"word":"x"}"#, false)]);
    detection(
        "  k: ['wo*d', 'a\\*b']\n  condition: k",
        &[
            (r#"{"m":"-- wo-d --"}"#, true),
            (r#"{"m":"xa*by"}"#, true),
            (r#"{"m":"xaXby"}"#, false),
            (r#"{"a":"wo","b":"d"}"#, false),
        ],
    );
    detection("  k: {'|contains': [x1, x2]}\n  condition: k", &[(r#"{"m":"ax2"}"#, true), (r#"{"m":"x"}"#, false)]);
    detection(
        "  k: {'|contains|all': [x1, x2]}\n  condition: k",
        &[(r#"{"a":"x1","b":"-x2-"}"#, true), (r#"{"m":"x1"}"#, false)],
    );
    detection("  k: {'|re': '^a\\d+$'}\n  condition: k", &[(r#"{"m":"a12"}"#, true), (r#"{"m":"A12"}"#, false)]);
    detection("  k: {'|cased': Word}\n  condition: k", &[(r#"{"m":"a Word"}"#, true), (r#"{"m":"a word"}"#, false)]);
    detection("  k: {'|startswith': wo}\n  condition: k", &[(r#"{"m":"word"}"#, true), (r#"{"m":"a word"}"#, false)]);
    detection("  k: {'|endswith': rd}\n  condition: k", &[(r#"{"m":"word"}"#, true), (r#"{"m":"words"}"#, false)]);
    detection("  k: [true]\n  condition: k", &[(r#"{"m":true}"#, true), (r#"{"m":"it is True"}"#, true)]);
    detection(
        "  k: {'|all': [word, 42]}\n  s: {A: x}\n  condition: s and not k",
        &[(r#"{"A":"x","m":"word 42"}"#, false), (r#"{"A":"x","m":"word"}"#, true)],
    );
    detection("  k: {'|windash|contains': ' -a'}\n  condition: k", &[(r#"{"m":"x /a"}"#, true)]);
    detection("  k: {'|base64offset|contains': secret}\n  condition: k", &[(r#"{"m":"--eHNlY3JldA--"}"#, true)]);
    detection(
        "  k: {'|cidr': 10.0.0.0/8}\n  condition: k",
        &[(r#"{"m":"10.2.3.4"}"#, true), (r#"{"m":"11.2.3.4"}"#, false)],
    );
}

#[test]
fn regular_expressions_search_with_case_and_flags() {
    item("A|re: 'b+'", &[(r#"{"A":"abbc"}"#, true), (r#"{"A":"aBBc"}"#, false)]);
    item("A|re|i: '^ẤN$'", &[(r#"{"A":"ấn"}"#, true), (r#"{"A":"ấn x"}"#, false)]);
    item("A|re: 'a.b'", &[(r#"{"A":"a\nb"}"#, false), (r#"{"A":"axb"}"#, true)]);
    item("A|re|s: 'a.b'", &[(r#"{"A":"a\nb"}"#, true)]);
    item("A|re|m: '^b$'", &[(r#"{"A":"a\nb\nc"}"#, true)]);
    item("A|re: '^b$'", &[(r#"{"A":"a\nb\nc"}"#, false)]);
    item("A|re|ignorecase|multiline|dotall: '^B.C$'", &[(r#"{"A":"a\nb\nc"}"#, true)]);
    item("A|re|startswith: 'a|b'", &[(r#"{"A":"bx"}"#, true), (r#"{"A":"xb"}"#, false)]);
    item("A|re|endswith: 'a|b'", &[(r#"{"A":"xb"}"#, true), (r#"{"A":"bx"}"#, false)]);
    item("A|re|contains: 'b+'", &[(r#"{"A":"abbc"}"#, true)]);
    item("A|re: '(?i)ABC'", &[(r#"{"A":"xabc"}"#, true)]);
    item("A|re: '\\*'", &[(r#"{"A":"a*b"}"#, true), (r#"{"A":"ab"}"#, false)]);
    item("A|re: 'a$'", &[(r#"{"A":"a\n"}"#, true), (r#"{"A":"a\n\n"}"#, false), (r#"{"A":"a\nb"}"#, false)]);
    item("A|re|m: 'a$'", &[(r#"{"A":"a\nb"}"#, true)]);
    item("A|re: '^a{2,3}$'", &[(r#"{"A":"aaa"}"#, true), (r#"{"A":"aaaa"}"#, false)]);
    item("A|re: ['^x', 'y$']", &[(r#"{"A":"xa"}"#, true), (r#"{"A":"ay"}"#, true), (r#"{"A":"axya"}"#, false)]);
    item("A|re|all: ['^x', 'y$']", &[(r#"{"A":"xy"}"#, true), (r#"{"A":"xa"}"#, false)]);
    item("A|re: '^\\d+$'", &[(r#"{"A":42}"#, true)]);
    item("A|re: ''", &[(r#"{"A":""}"#, true), ("{}", false)]);
}

#[test]
fn regular_expressions_are_read_as_pcre_and_re2_do() {
    item(r"A|re: '\<script\>'", &[(r#"{"A":"a<script>b"}"#, true), (r#"{"A":"a script b"}"#, false)]);
    item("A|re: 'x[;&&|]y'", &[(r#"{"A":"x&y"}"#, true), (r#"{"A":"x;y"}"#, true), (r#"{"A":"xy"}"#, false)]);
    item("A|re: '^[[a]b]$'", &[(r#"{"A":"[b]"}"#, true), (r#"{"A":"ab]"}"#, true), (r#"{"A":"a"}"#, false)]);
    item(r"A|re: '\${jndi:'", &[(r#"{"A":"x ${jndi:ldap"}"#, true), (r#"{"A":"jndi:"}"#, false)]);
    item("A|re: '^[[:alpha:]]+$'", &[(r#"{"A":"ab"}"#, true), (r#"{"A":"a:"}"#, false)]);
    item("A|re: '^a{2,3}$'", &[(r#"{"A":"aaa"}"#, true), (r#"{"A":"aaaa"}"#, false)]);
}

#[test]
fn encodings_are_found_in_the_text_they_make() {
    // Base64 of `foobar` at its three alignments, made with another program.
    item(
        "A|base64offset|contains: foobar",
        &[
            (r#"{"A":"Zm9vYmFy"}"#, true),
            (r#"{"A":"eGZvb2Jhcg=="}"#, true),
            (r#"{"A":"eHhmb29iYXI="}"#, true),
            (r#"{"A":"eHh4Zm9vYmFyeQ=="}"#, true),
            (r#"{"A":"Zm9vYmF6"}"#, false),
        ],
    );
    item("A|wide|base64offset|contains: cmd", &[(r#"{"A":"YwBtAGQA"}"#, true), (r#"{"A":"eGMAbQBkAA=="}"#, true)]);
    item("A|utf16le|base64offset|contains: ấn", &[(r#"{"A":"pR5uAA=="}"#, true)]);
    item(
        "A|base64offset|contains: ab",
        &[(r#"{"A":"eHhhYg=="}"#, true), (r#"{"A":"eGFieA=="}"#, true), (r#"{"A":"YWJ4"}"#, true)],
    );
    item("A|base64: foobar", &[(r#"{"A":"Zm9vYmFy"}"#, true), (r#"{"A":"xZm9vYmFy"}"#, false)]);
    item("A|base64: fooba", &[(r#"{"A":"Zm9vYmE="}"#, true)]);
    item("A|base64|contains: [foo, bar]", &[(r#"{"A":"--YmFy--"}"#, true)]);
    item("A|base64|startswith: foo", &[(r#"{"A":"Zm9vx"}"#, true), (r#"{"A":"xZm9v"}"#, false)]);
    item(
        "A|base64offset|contains|all: [foobar, bazqux]",
        &[(r#"{"A":"Zm9vYmFyYmF6cXV4"}"#, true), (r#"{"A":"Zm9vYmFy"}"#, false)],
    );
    item("A|wide: ab", &[(r#"{"A":"a\u0000b\u0000"}"#, true), (r#"{"A":"ab"}"#, false)]);
    item("A|utf16be: ab", &[(r#"{"A":"\u0000a\u0000b"}"#, true)]);
}

#[test]
fn every_dash_at_a_word_start_is_any_dash() {
    for dash in ["-", "/", "–", "—", "―"] {
        let json = format!(r#"{{"A":"x {dash}f y-z"}}"#);
        item("A|windash|contains: ' -f'", &[(&json, true)]);
        item("A|windash|contains: ' /f'", &[(&json, true)]);
        item("A|contains|windash: ' -f'", &[(&json, true)]);
    }
    item("A|windash|contains: y-z", &[(r#"{"A":"y/z"}"#, false), (r#"{"A":"Y-Z"}"#, true)]);
    item("A|windash|contains|all: [' -a', ' -b']", &[(r#"{"A":"x /b —a"}"#, true), (r#"{"A":"x /b"}"#, false)]);
    item("A|windash|endswith: ' -a -b'", &[(r#"{"A":"x /a ―b"}"#, true)]);
    item("A|windash|startswith: '-a'", &[(r#"{"A":"/a x"}"#, true)]);
    item("A|windash: '-a*'", &[(r#"{"A":"/abc"}"#, true)]);
    item("A|windash|cased|contains: ' -A'", &[(r#"{"A":"x /A"}"#, true), (r#"{"A":"x /a"}"#, false)]);
}

#[test]
fn networks_hold_addresses_and_nothing_else() {
    item(
        "A|cidr: 10.0.0.0/8",
        &[
            (r#"{"A":"10.255.0.1"}"#, true),
            (r#"{"A":"11.0.0.0"}"#, false),
            (r#"{"A":"10.0.0"}"#, false),
            (r#"{"A":"10.0.0.1:80"}"#, false),
            (r#"{"A":"host"}"#, false),
        ],
    );
    item("A|cidr: [10.0.0.0/8, 2001:db8::/32]", &[(r#"{"A":"2001:DB8::1"}"#, true), (r#"{"A":"2001:db9::1"}"#, false)]);
    item("A|cidr: 0.0.0.0/0", &[(r#"{"A":"1.2.3.4"}"#, true), (r#"{"A":"::1"}"#, false)]);
    item("A|cidr: '::/0'", &[(r#"{"A":"::1"}"#, true), (r#"{"A":"1.2.3.4"}"#, false)]);
    item("A|cidr: 192.168.1.7", &[(r#"{"A":"192.168.1.7"}"#, true), (r#"{"A":"192.168.1.8"}"#, false)]);
    item("A|cidr: fe80::/10", &[(r#"{"A":"febf::1"}"#, true), (r#"{"A":"fec0::1"}"#, false)]);
    item("A|cidr: 10.0.0.0/8", &[(r#"{"A":["8.8.8.8","10.1.1.1"]}"#, true)]);
    item("A|cidr: fe80::/10", &[(r#"{"A":"fe80::79bf:8ee2%12"}"#, true), (r#"{"A":"fec0::1%fe80::1"}"#, false)]);
    item("A|cidr: 10.0.0.0/8", &[(r#"{"A":"10.0.0.1%1"}"#, false)]);
    detection(
        "  s: {A|exists: true}\n  f: {A|cidr: 10.0.0.0/8}\n  condition: s and not f",
        &[(r#"{"A":"host"}"#, true)],
    );
}

#[test]
fn comparisons_are_of_numbers() {
    item(
        "A|lt: 10",
        &[
            (r#"{"A":9}"#, true),
            (r#"{"A":"9"}"#, true),
            (r#"{"A":10}"#, false),
            (r#"{"A":"many"}"#, false),
            (r#"{"A":""}"#, false),
        ],
    );
    item("A|lte: 10", &[(r#"{"A":10}"#, true), (r#"{"A":10.1}"#, false)]);
    item("A|gt: 10", &[(r#"{"A":"100"}"#, true), (r#"{"A":10}"#, false), (r#"{"A":-11}"#, false)]);
    item("A|gte: 10.5", &[(r#"{"A":10.5}"#, true), (r#"{"A":10}"#, false)]);
    item("A|gt: '10'", &[(r#"{"A":11}"#, true)]);
    item("A|lt: -5", &[(r#"{"A":-6}"#, true), (r#"{"A":-4}"#, false)]);
    item("A|gt: [5, 100]", &[(r#"{"A":6}"#, true), (r#"{"A":5}"#, false)]);
    detection("  s:\n    A|gte: 5\n    A|lt: 10\n  condition: s", &[(r#"{"A":5}"#, true), (r#"{"A":10}"#, false)]);
    item("A|gt: 5", &[(r#"{"A":true}"#, false), (r#"{"A":[1,9]}"#, true), (r#"{"A":"0x10"}"#, false)]);
}

#[test]
fn parts_of_a_date_are_those_written_in_it() {
    item("A|hour: 22", &[(r#"{"A":"2026-03-09T22:41:07+07:00"}"#, true), (r#"{"A":"2026-03-09T15:41:07Z"}"#, false)]);
    item("A|hour|gte: 22", &[(r#"{"A":"2026-03-09T23:00:00Z"}"#, true), (r#"{"A":"2026-03-09T21:59:59Z"}"#, false)]);
    item("A|hour|lt: 6", &[(r#"{"A":"2026-03-09T05:59:59Z"}"#, true)]);
    item("A|hour: [1, 2]", &[(r#"{"A":"2026-03-09T02:00:00Z"}"#, true), (r#"{"A":"2026-03-09T03:00:00Z"}"#, false)]);
    item("A|day: 9", &[(r#"{"A":"2026-03-09"}"#, true)]);
    item("A|month: 3", &[(r#"{"A":"2026-03-09 22:41:07.123"}"#, true), (r#"{"A":"2026-04-09 22:41:07.123"}"#, false)]);
    item("A|year: 2026", &[(r#"{"A":"2026-03-09T22:41:07Z"}"#, true)]);
    item("A|minute: 41", &[(r#"{"A":"2026-03-09T22:41:07Z"}"#, true)]);
    item("A|week: 53", &[(r#"{"A":"2026-12-31T00:00:00Z"}"#, true), (r#"{"A":"2025-12-31T00:00:00Z"}"#, false)]);
    item("A|year|neq: 2026", &[(r#"{"A":"2026-03-09T22:41:07Z"}"#, false), (r#"{"A":"2025-03-09"}"#, true)]);
    item("A|hour: 22", &[(r#"{"A":"at night"}"#, false), (r#"{"A":1773096067}"#, true)]);
}

#[test]
fn the_moment_of_an_event_is_a_field_of_it() {
    // The events of these tests happened at 1970-01-01T00:00:00Z.
    let any = |expected| [(r#"{"A":"x"}"#, expected)];
    item("'@timestamp|hour': 0", &any(true));
    item("'@timestamp|hour': [22, 23]", &any(false));
    item("'@timestamp|year|lt': 1971", &any(true));
    item("'@timestamp|startswith': '1970-01-01T00:'", &any(true));
    item("'@timestamp|exists': true", &any(true));
    item("'@timestamp': null", &any(false));
    item("A|fieldref|contains: '@timestamp'", &[(r#"{"A":"at 1970-01-01T00:00:00Z"}"#, true), (r#"{"A":"x"}"#, false)]);
    item("UtcTimeCreated|day: 1", &any(true));
    item("TimeCreated|day: 1", &[(r#"{"TimeCreated":"2026-03-09T22:41:07Z"}"#, false)]);
    detection("  s:\n  - '1970-01'\n  condition: s", &any(false));
    detection("  s: {A: x}\n  f: {'@timestamp|hour': 0}\n  condition: s and not f", &any(false));
}

#[test]
fn fieldref_compares_two_fields_of_the_event() {
    item(
        "A|fieldref: B",
        &[(r#"{"A":"Đ","B":"đ"}"#, true), (r#"{"A":"x","B":"y"}"#, false), (r#"{"A":"x"}"#, false), ("{}", false)],
    );
    item("A|fieldref|cased: B", &[(r#"{"A":"x","B":"X"}"#, false), (r#"{"A":"x","B":"x"}"#, true)]);
    item("A|fieldref|startswith: B", &[(r#"{"A":"abc","B":"AB"}"#, true), (r#"{"A":"abc","B":"bc"}"#, false)]);
    item("A|fieldref|endswith: B", &[(r#"{"A":"abc","B":"bc"}"#, true)]);
    item("A|fieldref|contains: B", &[(r#"{"A":"abcd","B":"bc"}"#, true), (r#"{"A":"abcd","B":"x"}"#, false)]);
    item(
        "A|fieldref|neq: B",
        &[(r#"{"A":"x","B":"y"}"#, true), (r#"{"A":"x","B":"x"}"#, false), (r#"{"A":"x"}"#, true)],
    );
    item("A|fieldref: [B, C]", &[(r#"{"A":"x","B":"y","C":"x"}"#, true)]);
    item(
        "A|fieldref: B",
        &[
            (r#"{"A":1,"B":"1"}"#, true),
            (r#"{"A":["p","q"],"B":"q"}"#, true),
            (r#"{"A":"*","B":"xyz"}"#, false),
            (r#"{"A":"xyz","B":"x*"}"#, false),
        ],
    );
    item("A|fieldref: a.b", &[(r#"{"A":"x","a":{"b":"x"}}"#, true)]);
    item(
        "A|fieldref|contains: B",
        &[(r#"{"A":["p","xQy"],"B":["z","q"]}"#, true), (r#"{"A":["p"],"B":["z"]}"#, false)],
    );
    item("A|fieldref|cased: B", &[(r#"{"A":["p","q"],"B":["z","Q"]}"#, false), (r#"{"A":["p","Q"],"B":["Q"]}"#, true)]);
}

#[test]
fn fieldref_over_two_long_lists_is_bounded() {
    // Each with each would be 10^10 comparisons.
    let list = |front: &str| (0..100_000).map(|n| format!("\"{front}{n}\"")).collect::<Vec<_>>().join(",");
    let long = format!("{{\"A\":[{},\"end\"],\"B\":[{},\"END\"]}}", list("a"), list("b"));
    item("A|fieldref: B", &[(&long, true)]);
    item("A|fieldref|contains: B", &[(&long, false)]);
}

#[test]
fn conditions_bind_as_the_specification_says() {
    let three = "  a: {A: x}\n  b: {B: x}\n  c: {C: x}\n  _d: {D: x}\n  condition: ";
    let rows: &[(&str, &[(&str, bool)])] = &[
        ("a or b and c", &[(r#"{"A":"x"}"#, true), (r#"{"B":"x"}"#, false)]),
        ("not a and b", &[(r#"{"B":"x"}"#, true), (r#"{"A":"x","B":"x"}"#, false)]),
        ("not (a or b)", &[("{}", true), (r#"{"B":"x"}"#, false)]),
        ("1 of them", &[(r#"{"D":"x"}"#, false), (r#"{"C":"x"}"#, true)]),
        ("any of them", &[(r#"{"C":"x"}"#, true)]),
        ("all of them", &[(r#"{"A":"x","B":"x","C":"x"}"#, true), (r#"{"A":"x","B":"x"}"#, false)]),
        ("not 1 of them", &[("{}", true), (r#"{"A":"x"}"#, false)]),
        ("not all of them", &[(r#"{"A":"x"}"#, true), (r#"{"A":"x","B":"x","C":"x"}"#, false)]),
        ("_d", &[(r#"{"D":"x"}"#, true)]),
        ("1 of * and not _d", &[(r#"{"A":"x"}"#, true), (r#"{"A":"x","D":"x"}"#, false)]),
        ("(a)", &[(r#"{"A":"x"}"#, true)]),
        ("((a or b)) and not(c)", &[(r#"{"B":"x"}"#, true), (r#"{"B":"x","C":"x"}"#, false)]),
        ("[a, b and c]", &[(r#"{"A":"x"}"#, true), (r#"{"B":"x"}"#, false), (r#"{"B":"x","C":"x"}"#, true)]),
        ("'a\n\n    or b'", &[(r#"{"B":"x"}"#, true)]),
    ];
    for (condition, events) in rows {
        detection(&format!("{three}{condition}"), events);
    }
    detection(
        "  notsel: {A: x}\n  android: {B: x}\n  oracle: {C: x}\n  1st: {D: x}\n  condition: notsel or android or oracle or 1st",
        &[(r#"{"A":"x"}"#, true), (r#"{"D":"x"}"#, true)],
    );
    detection(
        "  sel_a_x: {A: x}\n  sel_b_x: {B: x}\n  sel_b_y: {C: x}\n  condition: all of sel_*_x",
        &[(r#"{"A":"x","B":"x"}"#, true), (r#"{"A":"x","C":"x"}"#, false)],
    );
    refused("  a: {A: x}\n  condition: a and 1 of filter_*", "no search matches the pattern `filter_*`");
    refused("  a: {A: x}\n  condition: a and near b", "cannot stand here");
}

#[test]
fn a_percent_sign_is_plain_without_expand() {
    item("A: '%SystemRoot%'", &[(r#"{"A":"%systemroot%"}"#, true)]);
    item("A|contains: '50%'", &[(r#"{"A":"at 50% now"}"#, true)]);
    refused("  s:\n    A|expand: '%Servers%'\n  condition: s", "placeholder %Servers% has no values");
    item("A|expand: '100\\%'", &[(r#"{"A":"100%"}"#, true)]);
}
