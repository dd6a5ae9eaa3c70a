//! Bundles of STIX 2.1: the indicators whose patterns say "this value".
//!
//! In: the text of a bundle. Out: an indicator for each value that a pattern compares with `=`, `IN` or `ISSUBSET`, alone
//! or joined by `OR`. Failure: JSON of another shape is an error. A pattern that says more (`AND`, `FOLLOWEDBY`, `LIKE`,
//! times, another language) would mean less than its parts, so it is left out, counted and named; so is one revoked.
//!
//! Source: STIX 2.1, sections 4.7 (indicator), 7.2.1.4 (TLP markings), 9 (patterns); appendix A (confidence scales).

use std::collections::BTreeMap;

use nhatle_event::{Text, Timestamp};
use serde::Deserialize;

use super::{Found, IntelError, Kind, NOTE_BYTES_MAX, cut, tlp_of};

/// How long a pattern may be, in bytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// How many values one pattern may compare with.
const VALUES_MAX: usize = 10_000;

/// The markings every STIX 2.1 program knows without being told (section 7.2.1.4).
const TLP_MARKINGS: &[(&str, &str)] = &[
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "CLEAR"),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "GREEN"),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "AMBER"),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "RED"),
];

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    pattern_type: String,
    #[serde(default)]
    valid_from: String,
    #[serde(default)]
    valid_until: String,
    #[serde(default)]
    confidence: Option<u8>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    indicator_types: Vec<String>,
    #[serde(default)]
    object_marking_refs: Vec<String>,
}

/// Reads a bundle.
///
/// # Errors
/// It is no bundle.
pub fn read(text: &str) -> Result<Found, IntelError> {
    let shape = |reason: String| IntelError::Shape { what: "bundle of STIX 2.1", reason };
    let bundle: Bundle = serde_json::from_str(text).map_err(|error| shape(error.to_string()))?;
    if bundle.kind != "bundle" {
        return Err(shape(format!("type {:?}", cut(&bundle.kind, 40))));
    }
    let named = bundle.objects.iter().filter(|object| object.kind == "marking-definition");
    let tlp: BTreeMap<&str, &str> = TLP_MARKINGS
        .iter()
        .copied()
        .chain(named.map(|object| (object.id.as_str(), tlp_of(&object.name))).filter(|(_, tlp)| !tlp.is_empty()))
        .collect();
    let mut found = Found::default();
    for object in bundle.objects.iter().filter(|object| object.kind == "indicator") {
        if object.revoked {
            found.leave_out("revoked");
            continue;
        }
        if !matches!(object.pattern_type.as_str(), "stix" | "") {
            found.leave_out(&format!("pattern of {}", cut(&object.pattern_type, 40)));
            continue;
        }
        match values(&object.pattern) {
            Ok(values) => values.into_iter().for_each(|(kind, value)| take(object, kind, &value, &tlp, &mut found)),
            Err(reason) => found.leave_out(&reason),
        }
    }
    Ok(found)
}

fn take(object: &Object, kind: Kind, value: &str, tlp: &BTreeMap<&str, &str>, found: &mut Found) {
    let moment = |text: &str| Timestamp::parse(text, 0);
    found.take(Some(kind), value, |indicator| {
        indicator.confidence = object.confidence.filter(|confidence| *confidence <= 100);
        indicator.first_seen = moment(&object.valid_from);
        indicator.until = moment(&object.valid_until);
        let marks = object.object_marking_refs.iter();
        indicator.note.tlp =
            Text::from(marks.filter_map(|id| tlp.get(id.as_str()).copied()).next().unwrap_or_default());
        let said = std::iter::once(&object.name).chain(&object.labels).chain(&object.indicator_types);
        let said: Vec<&str> = said.map(String::as_str).filter(|text| !text.is_empty()).collect();
        indicator.note.tags = Text::from(cut(&said.join(", "), NOTE_BYTES_MAX));
        indicator.note.reference = Text::from(cut(&object.id, NOTE_BYTES_MAX));
    });
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `[`, `]`, `(`, `)`, `,`, `=`.
    Sign(char),
    /// A word or an object path, quoted parts of it without their quotes.
    Word(String),
    /// `'text'`.
    Text(String),
}

/// The values a pattern compares with.
///
/// # Errors
/// Why it is not of the simple kind.
fn values(pattern: &str) -> Result<Vec<(Kind, String)>, String> {
    if PATTERN_BYTES_MAX < pattern.len() {
        return Err("a pattern that is too long".to_owned());
    }
    let tokens = tokens(pattern).ok_or("a pattern that breaks off")?;
    let mut tokens = tokens.into_iter().peekable();
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut wants_value = true;
    while let Some(token) = tokens.next() {
        match token {
            Token::Sign('[' | '(') if wants_value => depth += 1,
            Token::Sign(']' | ')') if !wants_value && 0 < depth => depth -= 1,
            Token::Word(word) if !wants_value && word.eq_ignore_ascii_case("or") => wants_value = true,
            Token::Word(word) if !wants_value => return Err(format!("pattern with {}", cut(&word.to_uppercase(), 20))),
            Token::Word(path) if wants_value && 0 < depth => {
                let kind = kind_of(&path).ok_or_else(|| format!("pattern over {}", cut(&path, 60)))?;
                compared(&mut tokens, kind, &mut found)?;
                wants_value = false;
            }
            _ => return Err("a pattern of another shape".to_owned()),
        }
        if VALUES_MAX < found.len() {
            return Err("a pattern with too many values".to_owned());
        }
    }
    if wants_value || depth != 0 { Err("a pattern that breaks off".to_owned()) } else { Ok(found) }
}

/// What follows an object path: `= 'x'`, `IN ('x', 'y')`, `ISSUBSET 'x/24'`.
fn compared(
    tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>,
    kind: Kind,
    found: &mut Vec<(Kind, String)>,
) -> Result<(), String> {
    let broken = || "a pattern that breaks off".to_owned();
    match tokens.next().ok_or_else(broken)? {
        Token::Sign('=') => {}
        Token::Word(word) if kind == Kind::Ip && word.eq_ignore_ascii_case("issubset") => {}
        Token::Word(word) if word.eq_ignore_ascii_case("in") => {
            if tokens.next() != Some(Token::Sign('(')) {
                return Err(broken());
            }
            loop {
                let Some(Token::Text(value)) = tokens.next() else { return Err(broken()) };
                found.push((kind, value));
                match tokens.next() {
                    Some(Token::Sign(',')) if found.len() <= VALUES_MAX => {}
                    Some(Token::Sign(')')) => return Ok(()),
                    _ => return Err(broken()),
                }
            }
        }
        Token::Word(word) => return Err(format!("pattern with {}", cut(&word.to_uppercase(), 20))),
        _ => return Err(broken()),
    }
    match tokens.next() {
        Some(Token::Text(value)) => found.push((kind, value)),
        _ => return Err(broken()),
    }
    Ok(())
}

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '[' | ']' | '(' | ')' | ',' | '=' => tokens.push(Token::Sign(c)),
            '\'' => tokens.push(Token::Text(quoted(&mut chars)?)),
            c => {
                let mut word = String::from(c);
                while let Some(next) = chars.peek().copied() {
                    match next {
                        '\'' => {
                            chars.next();
                            word.push_str(&quoted(&mut chars)?);
                        }
                        c if c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | ',' | '=') => break,
                        c => {
                            chars.next();
                            word.push(c);
                        }
                    }
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}

/// The rest of a quoted text; a backslash stands before a quote or a backslash that is meant.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' => return Some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

fn kind_of(path: &str) -> Option<Kind> {
    let path = path.to_ascii_lowercase();
    Some(match path.as_str() {
        "ipv4-addr:value" | "ipv6-addr:value" => Kind::Ip,
        "network-traffic:dst_ref.value" | "network-traffic:src_ref.value" => Kind::Ip,
        "domain-name:value" => Kind::Domain,
        "url:value" => Kind::Url,
        "email-addr:value" | "email-message:from_ref.value" | "email-message:sender_ref.value" => Kind::Email,
        "file:hashes.md5" | "file:hashes.sha-1" | "file:hashes.sha1" | "file:hashes.sha-256" | "file:hashes.sha256" => {
            Kind::File
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: Result<&[(Kind, &str)], &str>) {
        let found = values(pattern);
        let found: Result<Vec<(Kind, &str)>, &str> = found
            .as_ref()
            .map(|rows| rows.iter().map(|(kind, value)| (*kind, value.as_str())).collect())
            .map_err(|why| why.as_str());
        assert_eq!(found, expected.map(<[_]>::to_vec), "{pattern}");
    }

    #[test]
    fn patterns_that_say_a_value_are_read() {
        check("[ipv4-addr:value = '198.51.100.1']", Ok(&[(Kind::Ip, "198.51.100.1")]));
        check(
            "[ipv4-addr:value='198.51.100.1/32' OR ipv4-addr:value = '198.51.100.2']",
            Ok(&[(Kind::Ip, "198.51.100.1/32"), (Kind::Ip, "198.51.100.2")]),
        );
        check(
            "[domain-name:value IN ('a.example', 'b.example')]",
            Ok(&[(Kind::Domain, "a.example"), (Kind::Domain, "b.example")]),
        );
        check(
            "[file:hashes.'SHA-256' = 'aa'] OR [file:hashes.MD5 = 'bb']",
            Ok(&[(Kind::File, "aa"), (Kind::File, "bb")]),
        );
        check("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", Ok(&[(Kind::Ip, "198.51.100.0/24")]));
        check("[(url:value = 'http://evil.example/it\\'s')]", Ok(&[(Kind::Url, "http://evil.example/it's")]));
    }

    #[test]
    fn patterns_that_say_more_are_named() {
        check("[ipv4-addr:value = 'a' AND domain-name:value = 'b']", Err("pattern with AND"));
        check("[ipv4-addr:value = 'a'] FOLLOWEDBY [url:value = 'b']", Err("pattern with FOLLOWEDBY"));
        check("[url:value LIKE '%evil%']", Err("pattern with LIKE"));
        check("[url:value = 'a'] WITHIN 5 SECONDS", Err("pattern with WITHIN"));
        check("[process:name = 'a']", Err("pattern over process:name"));
        check("[url:value NOT = 'a']", Err("pattern with NOT"));
        for broken in
            ["", "[", "[url:value", "[url:value =", "[url:value = 'a", "[url:value = 'a'", "[url:value IN ('a'", "]"]
        {
            assert!(values(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_bundle_gives_its_indicators_with_what_is_said_of_them() {
        let bundle = r#"{"type": "bundle", "id": "bundle--1", "objects": [
          {"type": "identity", "id": "identity--1", "name": "x"},
          {"type": "indicator", "id": "indicator--1", "name": "C2", "pattern": "[domain-name:value = 'Evil.example']", "pattern_type": "stix",
           "valid_from": "2026-11-01T00:00:00Z", "valid_until": "2026-12-01T00:00:00Z", "confidence": 85, "labels": ["c2"],
           "object_marking_refs": ["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"]},
          {"type": "indicator", "id": "indicator--2", "pattern": "alert tcp any any", "pattern_type": "snort"},
          {"type": "indicator", "id": "indicator--3", "pattern": "[url:value = 'http://x.example']", "pattern_type": "stix", "revoked": true}]}"#;
        let found = super::super::read(bundle.as_bytes(), Form::Any).expect("is a bundle");
        assert_eq!(found.indicators.len(), 1);
        let one = &found.indicators[0];
        assert_eq!((one.kind, &*one.value, one.confidence), (Kind::Domain, "evil.example", Some(85)));
        assert_eq!(one.until, Timestamp::parse("2026-12-01T00:00:00Z", 0));
        assert_eq!((&*one.note.tlp, &*one.note.tags, &*one.note.reference), ("AMBER", "C2, c2", "indicator--1"));
        let left: Vec<(&str, u64)> = found.left_out.iter().map(|(why, count)| (why.as_str(), *count)).collect();
        assert_eq!(left, [("pattern of snort", 1), ("revoked", 1)]);
        assert!(read(r#"{"type": "report"}"#).is_err());
    }
}
