//! Events of MISP, as its feeds have them: `manifest.json` and one JSON file an event.
//!
//! In: the text of an event, or of a manifest. Out: the indicators among its attributes and those of its objects, those
//! that MISP marks for detection (`to_ids`) and that nobody deleted; or the names of a feed's files. Failure: JSON of
//! another shape is an error; attributes of types that no event of ours has (mutexes, certificates …) are counted.
//!
//! Source: MISP core format (draft-16), sections 2.2 and 2.4; taxonomy `misp:confidence-level`.

use std::collections::BTreeMap;

use nhatle_event::{Text, Timestamp};
use serde::Deserialize;

use super::{Found, Indicator, IntelError, Kind, NOTE_BYTES_MAX, cut, tlp_of};

/// How many events one feed may have.
pub const EVENTS_MAX: usize = 100_000;

#[derive(Deserialize)]
struct File {
    #[serde(rename = "Event")]
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    info: String,
    #[serde(default)]
    uuid: String,
    #[serde(rename = "Tag", default)]
    tags: Vec<Tag>,
    #[serde(rename = "Attribute", default)]
    attributes: Vec<Attribute>,
    #[serde(rename = "Object", default)]
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "Attribute", default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    to_ids: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    timestamp: serde_json::Value,
    #[serde(default)]
    first_seen: Option<String>,
    #[serde(rename = "Tag", default)]
    tags: Vec<Tag>,
}

/// Reads an event.
///
/// # Errors
/// It is no event of MISP.
pub fn read(text: &str) -> Result<Found, IntelError> {
    let shape = |error: serde_json::Error| IntelError::Shape { what: "event of MISP", reason: error.to_string() };
    let File { event } = serde_json::from_str(text).map_err(shape)?;
    let mut found = Found::default();
    let of_objects = event.objects.iter().filter(|object| !object.deleted).flat_map(|object| &object.attributes);
    for attribute in event.attributes.iter().chain(of_objects) {
        take(attribute, &event, &mut found);
    }
    Ok(found)
}

fn take(attribute: &Attribute, event: &Event, found: &mut Found) {
    if attribute.deleted {
        return found.leave_out("deleted");
    }
    if !attribute.to_ids {
        return found.leave_out("not marked for detection");
    }
    // `domain|ip`, `filename|sha256`: two values, of two types.
    let types = attribute.kind.split('|');
    let mut any = false;
    for (kind, value) in types.zip(attribute.value.split('|')) {
        let kind = match kind {
            "ip-src" | "ip-dst" | "ip" => Kind::Ip,
            "domain" | "hostname" => Kind::Domain,
            "url" | "uri" => Kind::Url,
            "md5" | "sha1" | "sha256" => Kind::File,
            "email" | "email-src" | "email-dst" | "email-reply-to" => Kind::Email,
            _ => continue,
        };
        any = true;
        found.take(Some(kind), value, |indicator| fill(indicator, attribute, event));
    }
    if !any {
        found.leave_out(&format!("type {}", cut(&attribute.kind, 40)));
    }
}

fn fill(indicator: &mut Indicator, attribute: &Attribute, event: &Event) {
    let names = || attribute.tags.iter().chain(&event.tags).map(|tag| tag.name.as_str());
    indicator.confidence = names().find_map(confidence);
    let seen = attribute.first_seen.as_deref().and_then(|text| Timestamp::parse(text, 0));
    let changed = match &attribute.timestamp {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    let changed = changed.filter(|seconds| (0..=i64::from(u32::MAX)).contains(seconds)).map(Timestamp::from_seconds);
    indicator.first_seen = seen.or(changed);
    indicator.note.tlp = Text::from(names().map(tlp_of).find(|tlp| !tlp.is_empty()).unwrap_or_default());
    let is_said = |name: &&str| tlp_of(name).is_empty() && !name.starts_with("misp:");
    let tags: Vec<&str> =
        std::iter::once(event.info.as_str()).chain(names().filter(is_said)).filter(|tag| !tag.is_empty()).collect();
    indicator.note.tags = Text::from(cut(&tags.join(", "), NOTE_BYTES_MAX));
    indicator.note.reference = Text::from(cut(&event.uuid, NOTE_BYTES_MAX));
}

/// The machine tags of MISP's own taxonomy.
fn confidence(tag: &str) -> Option<u8> {
    Some(match tag.strip_prefix("misp:confidence-level=")?.trim_matches('"') {
        "completely-confident" => 100,
        "usually-confident" => 75,
        "fairly-confident" => 50,
        "rarely-confident" => 25,
        "unconfident" => 0,
        _ => return None,
    })
}

/// The names of the files of a feed, from its manifest. A name that is no UUID is left out: it would be a path.
///
/// # Errors
/// It is no manifest, or has more than [`EVENTS_MAX`] events.
pub fn manifest(text: &str) -> Result<Vec<String>, IntelError> {
    let shape = |reason: String| IntelError::Shape { what: "manifest of MISP", reason };
    let events: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| shape(error.to_string()))?;
    if EVENTS_MAX < events.len() {
        return Err(shape(format!("more than {EVENTS_MAX} events")));
    }
    let is_uuid =
        |name: &&String| name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    Ok(events.keys().filter(is_uuid).map(|uuid| format!("{uuid}.json")).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;

    const EVENT: &str = r#"{"Event": {"info": "Chiến dịch thử", "uuid": "5b0c7f1e-0000-4000-8000-000000000001", "date": "2026-11-20",
        "Tag": [{"name": "tlp:amber"}, {"name": "misp:confidence-level=\"usually-confident\""}, {"name": "type:OSINT"}],
        "Attribute": [
          {"type": "ip-dst|port", "value": "198.51.100.7|443", "to_ids": true, "timestamp": "1790000000"},
          {"type": "domain|ip", "value": "evil.example|198.51.100.8", "to_ids": true, "timestamp": 1790000000},
          {"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e", "to_ids": false},
          {"type": "mutex", "value": "x", "to_ids": true},
          {"type": "domain", "value": "gone.example", "to_ids": true, "deleted": true}],
        "Object": [{"name": "file", "Attribute": [
          {"type": "filename|sha256", "value": "a.exe|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "to_ids": true,
           "Tag": [{"name": "misp:confidence-level=\"completely-confident\""}]}]}]}}"#;

    #[test]
    fn an_event_gives_what_is_marked_for_detection() {
        let found = super::super::read(EVENT.as_bytes(), Form::Any).expect("is an event");
        let values: Vec<(&str, &str, Option<u8>)> =
            found.indicators.iter().map(|one| (one.kind.name(), one.value.as_str(), one.confidence)).collect();
        assert_eq!(
            values,
            [
                ("ip", "198.51.100.7", Some(75)),
                ("ip", "198.51.100.8", Some(75)),
                ("domain", "evil.example", Some(75)),
                ("file", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Some(100)),
            ]
        );
        let note = &found.indicators[0].note;
        assert_eq!((&*note.tlp, &*note.tags), ("AMBER", "Chiến dịch thử, type:OSINT"));
        assert_eq!(found.indicators[0].first_seen, Some(Timestamp::from_seconds(1_790_000_000)));
        let left: Vec<(&str, u64)> = found.left_out.iter().map(|(why, count)| (why.as_str(), *count)).collect();
        assert_eq!(left, [("deleted", 1), ("not marked for detection", 1), ("type mutex", 1)]);
    }

    #[test]
    fn a_manifest_names_files_and_no_paths() {
        let text = r#"{"5b0c7f1e-0000-4000-8000-000000000001": {"info": "x"}, "../../etc/passwd": {}}"#;
        assert_eq!(manifest(text), Ok(vec!["5b0c7f1e-0000-4000-8000-000000000001.json".to_owned()]));
        assert!(manifest("[]").is_err() && read("{}").is_err());
    }
}
