//! Envelopes: records that carry a line or document of somebody else, with a time and a host of their own.
//!
//! In: an object of Splunk HEC, one OpenTelemetry log record (as [`crate::listen::http`] writes it down), a GELF
//! message, or a document of Filebeat with a line nobody has parsed. Out: the event that the inner text means, and
//! what the envelope adds: its time where it names one, host, file, and its other fields where the inner text says
//! nothing of them. Failure: a [`Problem`], when the envelope is none or the inner text breaks the format it claims.
//! Source: Splunk "Format events for HTTP Event Collector"; opentelemetry-proto logs v1; GELF 1.1; Filebeat
//! "Exported fields".

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Timestamp, Value};
use serde_json::{Map, Value as Json};

use super::{Context, Problem, normalize, set_sent, syslog};
use crate::parse::json::moment;
use crate::parse::{self, Fault, Format};
use crate::profile::Profile;

/// The profile of an object of Splunk HEC.
pub const HEC: &str = "hec";
/// The profile of an OpenTelemetry log record.
pub const OTLP: &str = "otlp";
/// The profile of a GELF message.
pub const GELF: &str = "gelf";

/// What an envelope says besides its inner text.
#[derive(Default)]
struct Outer {
    /// When it happened, by the envelope.
    timestamp: Option<Timestamp>,
    /// How the inner text is read, where the envelope says so.
    profile: Option<Profile>,
    /// Fields for which the inner text has none.
    fields: Vec<(String, Value)>,
}

/// Whether a profile is an envelope's.
pub(crate) fn is_envelope(profile: Profile) -> bool {
    matches!(profile, Profile::Hec | Profile::Otlp | Profile::Gelf)
}

/// The event of an envelope.
///
/// # Errors
/// The text is no such envelope, or its inner text breaks its format.
pub(crate) fn event(text: &str, profile: Profile, context: &Context<'_>) -> Result<Event, Problem> {
    let name = profile.name();
    let fault = |reason: String, offset| Problem::Fault(Fault::new(format!("{name}: {reason}"), offset));
    // The bounds on leaves and depth are those of any JSON record.
    parse::json::parse(text)?;
    let envelope: Map<String, Json> =
        serde_json::from_str(text).map_err(|error| fault(error.to_string(), error.column()))?;
    let (inner, outer) = match profile {
        Profile::Hec => hec(envelope),
        Profile::Otlp => otlp(envelope),
        _ => gelf(envelope),
    };
    let mut event = match inner {
        Some(inner) if !inner.trim().is_empty() => {
            let is_plain = outer.profile.is_none() && parse::detect(&inner) == Format::Plain;
            let mut event = normalize(inner.trim_end(), outer.profile, context.record, context.offset_s)
                .map_err(|problem| fault(reason_of(&problem), 0))?;
            if is_plain && event.text(Field::EVENT_DATASET) == Some("syslog") {
                event.set(Field::EVENT_MODULE, name);
                event.set(Field::EVENT_DATASET, name);
            }
            event
        }
        // A log record may be all attributes.
        _ if profile == Profile::Otlp => context.event(None, OTLP, OTLP),
        _ => return Err(fault("there is no event in it".to_owned(), 0)),
    };
    if let Some(timestamp) = outer.timestamp {
        event.timestamp = timestamp;
    }
    fill(&mut event, outer.fields);
    Ok(event)
}

fn reason_of(problem: &Problem) -> String {
    match problem {
        Problem::Fault(fault) => fault.reason.to_string(),
        Problem::DeadLetter(letter) => letter.reason.to_string(),
    }
}

/// Sets what the event has nothing of yet.
fn fill(event: &mut Event, fields: impl IntoIterator<Item = (String, Value)>) {
    for (name, value) in fields {
        let is_known = Field::lookup(&name).is_some_and(|field| event.get(field).is_some());
        if !is_known {
            set_sent(event, &name, value);
        }
    }
}

/// A text, or a document as its text.
fn inner_text(value: Option<Json>) -> Option<String> {
    match value? {
        Json::String(text) => Some(text),
        Json::Null => None,
        other => Some(other.to_string()),
    }
}

/// The leaves of a JSON value under a name.
fn leaves_of(name: &str, value: &Json, into: &mut Vec<(String, Value)>) {
    let named = Json::Object(Map::from_iter([(name.to_owned(), value.clone())])).to_string();
    if let Ok(leaves) = parse::json::parse(&named) {
        into.extend(leaves.into_iter().map(|(name, value)| (name.to_string(), value)));
    }
}

/// `{"time","host","source","sourcetype","index","fields","event"}`.
fn hec(mut envelope: Map<String, Json>) -> (Option<String>, Outer) {
    let mut outer = Outer { timestamp: envelope.get("time").and_then(epoch), ..Outer::default() };
    let text = |name: &str| envelope.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    outer.profile = text("sourcetype").and_then(profile_of_source_type);
    for (name, field) in [
        ("host", "host.name"),
        ("source", "log.file.path"),
        ("sourcetype", "labels.sourcetype"),
        ("index", "labels.index"),
    ] {
        outer.fields.extend(text(name).map(|text| (field.to_owned(), Value::from(text))));
    }
    for (name, value) in envelope.get("fields").and_then(Json::as_object).into_iter().flatten() {
        leaves_of(name, value, &mut outer.fields);
    }
    (inner_text(envelope.remove("event")), outer)
}

/// Seconds since 1970 as a number or text, with a fraction or without.
fn epoch(value: &Json) -> Option<Timestamp> {
    let value = match value {
        Json::Number(number) => number.as_i64().map(Value::Long).or_else(|| number.as_f64().map(Value::Double))?,
        Json::String(text) => Value::from(text.as_str()),
        _ => return None,
    };
    moment(&value, 0)
}

/// The profile that a Splunk source type means, where it is one of ours.
pub(crate) fn profile_of_source_type(name: &str) -> Option<Profile> {
    let name = name.to_ascii_lowercase();
    let known = match name.as_str() {
        "access_combined" | "access_combined_wcookie" | "access_common" | "apache:access" => "apache",
        "apache:error" => "apache",
        "nginx:plus:access" | "nginx:plus:error" | "nginx:access" | "nginx:error" => "nginx",
        "linux_secure" | "linux_messages_syslog" | "cron" => "linux",
        "linux_audit" | "linux:audit" => "auditd",
        "wineventlog" | "xmlwineventlog" => "windows",
        "cisco:asa" => "cisco_asa",
        "cisco:ios" => "cisco_ios",
        "fgt_log" | "fortigate_log" | "fortinet" => "fortigate",
        "pan:traffic" | "pan:threat" | "pan:system" | "pan:log" => "paloalto",
        "bro:json" | "zeek:json" => "zeek",
        _ if name.starts_with("wineventlog:") || name.starts_with("xmlwineventlog:") => "windows",
        _ if name.starts_with("fgt_") || name.starts_with("fortigate_") => "fortigate",
        other => other,
    };
    Profile::from_name(known).ok().filter(|profile| !is_envelope(*profile) && *profile != Profile::Json)
}

/// One log record with its `resource` and `scope`.
fn otlp(mut envelope: Map<String, Json>) -> (Option<String>, Outer) {
    let mut outer = Outer::default();
    let nanos = |name: &str| {
        let told = envelope.get(name)?;
        told.as_str().and_then(|text| text.parse().ok()).or_else(|| told.as_i64()).filter(|nanos| 0 < *nanos)
    };
    outer.timestamp = nanos("timeUnixNano").or_else(|| nanos("observedTimeUnixNano")).map(Timestamp);
    for (name, field) in [
        ("severityText", "log.level"),
        ("severityNumber", "event.severity"),
        ("traceId", "trace.id"),
        ("spanId", "span.id"),
        ("eventName", "event.action"),
    ] {
        match envelope.get(name) {
            Some(Json::String(text)) if !text.is_empty() => {
                outer.fields.push((field.to_owned(), Value::from(text.as_str())))
            }
            Some(Json::Number(number)) => {
                outer.fields.extend(number.as_i64().map(|n| (field.to_owned(), Value::Long(n))))
            }
            _ => {}
        }
    }
    for group in ["attributes", "resource"] {
        for (name, value) in envelope.get(group).and_then(Json::as_object).into_iter().flatten() {
            leaves_of(name, value, &mut outer.fields);
        }
    }
    if let Some(scope) = envelope.get("scope").and_then(Json::as_str).filter(|scope| !scope.is_empty()) {
        outer.fields.push(("log.logger".to_owned(), Value::from(scope)));
    }
    (inner_text(envelope.remove("body")), outer)
}

/// GELF 1.1: `version`, `host`, `short_message`, `full_message`, `timestamp`, `level`, and `_` before all others.
fn gelf(mut envelope: Map<String, Json>) -> (Option<String>, Outer) {
    let mut outer = Outer { timestamp: envelope.get("timestamp").and_then(epoch), ..Outer::default() };
    for (name, value) in &envelope {
        match (name.as_str(), value) {
            ("host", Json::String(host)) => outer.fields.push(("host.name".to_owned(), Value::from(host.as_str()))),
            ("full_message", Json::String(text)) => {
                outer.fields.push(("gelf.full_message".to_owned(), Value::from(text.as_str())));
            }
            ("level", Json::Number(level)) => {
                let code = level.as_i64().filter(|code| (0..8).contains(code));
                if let Some(name) = code.and_then(|code| u8::try_from(code).ok()).map(syslog::severity_name) {
                    outer.fields.push(("log.level".to_owned(), Value::from(name)));
                }
                outer.fields.extend(code.map(|code| ("log.syslog.severity.code".to_owned(), Value::Long(code))));
            }
            (other, value) => {
                if let Some(name) = other.strip_prefix('_') {
                    leaves_of(name, value, &mut outer.fields);
                }
            }
        }
    }
    (inner_text(envelope.remove("short_message")), outer)
}

/// The line that a document around it carries: `message`, or `event.original` where a shipper has taken the line apart.
pub(crate) fn carried_line(leaves: &Leaves) -> Option<&str> {
    let text = |name: &str| leaves.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.text());
    text("message").or_else(|| text("event.original")).filter(|line| !line.trim().is_empty())
}

/// What a shipper says of a line it carries: on which host and in which file the line stood.
pub(crate) fn fill_from_shipper(event: &mut Event, leaves: &Leaves) {
    const TOLD: [&str; 4] = ["host.name", "host.hostname", "host.ip", "log.file.path"];
    let told = leaves.iter().filter(|(name, _)| TOLD.contains(&name.as_str()));
    fill(event, told.map(|(name, value)| (name.to_string(), value.clone())));
}

/// A document with a line in `message` that nobody has parsed, whose module says how to: Filebeat's, whose
/// modules leave the parsing to a pipeline of Elasticsearch. `None` where it is no such document, or the line is
/// not what the module says.
pub(crate) fn unparsed_line(leaves: &Leaves, context: &Context<'_>) -> Option<Event> {
    let text = |name: &str| leaves.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.text());
    let line = text("message")?;
    if is_parsed(leaves) {
        return None;
    }
    let profile = ["event.dataset", "event.module", "fileset.module", "service.type"]
        .into_iter()
        .find_map(|name| profile_of_module(text(name)?))?;
    line_in(leaves, line, Some(profile), context)
}

/// A document with a line that nobody has parsed and that says nothing of its source, where the line's own form leaves no
/// doubt: a web server's, a device's, a syslog message with its header. `None` where there is no such line.
pub(crate) fn known_line(leaves: &Leaves, context: &Context<'_>) -> Option<Event> {
    let text = |name: &str| leaves.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.text());
    let line = ["message", "event.original", "log"].into_iter().find_map(text)?;
    if is_parsed(leaves) || !is_certain(line, context) {
        return None;
    }
    line_in(leaves, line, None, context)
}

/// Whether a line can be of one kind of source only.
fn is_certain(line: &str, context: &Context<'_>) -> bool {
    match parse::detect(line) {
        Format::WebAccess | Format::WebError | Format::Auditd | Format::WindowsXml => true,
        Format::Syslog => parse::syslog(line, context.record.received, context.offset_s)
            .is_ok_and(|parts| parts.app.is_some() && (parts.priority.is_some() || parts.host.is_some())),
        Format::KeyValue | Format::Plain => super::device::detect_text(line).is_some(),
        Format::Json => false,
    }
}

/// Whether somebody has taken the line of a document apart already.
fn is_parsed(leaves: &Leaves) -> bool {
    ["event.category", "event.action", "source.ip", "process.name"]
        .iter()
        .any(|name| leaves.iter().any(|(known, _)| known == name))
}

/// The event of a document's line, with what else the document says.
fn line_in(leaves: &Leaves, line: &str, profile: Option<Profile>, context: &Context<'_>) -> Option<Event> {
    let mut event = normalize(line.trim_end(), profile, context.record, context.offset_s).ok()?;
    if event.timestamp == context.record.received
        && let Some(stamp) = parse::json::timestamp(leaves, context.offset_s)
    {
        event.timestamp = stamp;
    }
    let is_of_line = |name: &str, value: &Value| {
        matches!(name, "message" | "event.original" | "event.dataset" | "event.module")
            || (name == "log" && value.text() == Some(line))
    };
    let more = leaves.iter().filter(|(name, value)| !is_of_line(name, value));
    fill(&mut event, more.map(|(name, value)| (name.to_string(), value.clone())));
    Some(event)
}

fn profile_of_module(name: &str) -> Option<Profile> {
    let known = match name {
        "system.auth" | "system.syslog" | "system" => "linux",
        "auditd.log" => "auditd",
        "fortinet.firewall" | "fortinet_fortigate.log" => "fortigate",
        "cisco.asa" | "cisco_asa.log" | "cisco.ftd" => "cisco_asa",
        "cisco.ios" | "cisco_ios.log" => "cisco_ios",
        "panw.panos" => "paloalto",
        "cef.log" => "cef",
        other => other.split_once('.').map_or(other, |(module, _)| module),
    };
    Profile::from_name(known).ok().filter(|profile| !is_envelope(*profile) && *profile != Profile::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, to_event};
    use nhatle_event::{Record, Text};

    const NOW: Timestamp = Timestamp(1_770_091_600_000_000_000);

    /// The event of a text with a profile, or the reason there is none.
    fn read(profile: Option<&'static str>, text: &str) -> Result<Event, String> {
        let mut record = Record::new(text.as_bytes(), "test", NOW);
        record.profile = profile.map(Text::const_new);
        to_event(&record, &Settings::default()).map_err(|letter| letter.reason.to_string())
    }

    #[track_caller]
    fn check(profile: Option<&'static str>, text: &str, expected: &[(&str, &str)]) {
        let event = read(profile, text).expect("is read");
        assert_eq!(event.original[..], *text.as_bytes(), "the bytes stay as they came");
        for (name, value) in expected {
            let found = Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::as_text);
            assert_eq!(found.as_deref(), Some(*value), "{name} of {text}");
        }
    }

    #[test]
    fn a_line_in_an_envelope_is_read_as_if_it_came_alone() {
        let line =
            r"<34>1 2026-02-03T04:05:06Z may-01 sshd 77 - - Failed password for root from 203.0.113.9 port 4022 ssh2";
        let expected = [
            ("host.name", "may-01"),
            ("user.name", "root"),
            ("source.ip", "203.0.113.9"),
            ("event.outcome", "failure"),
        ];
        check(Some(HEC), &format!(r#"{{"event":"{line}","host":"relay"}}"#), &expected);
        check(Some(OTLP), &format!(r#"{{"body":"{line}","resource":{{"host.name":"relay"}}}}"#), &expected);
        check(Some(GELF), &format!(r#"{{"host":"relay","short_message":"{line}"}}"#), &expected);
    }

    #[test]
    fn gelf_gives_its_time_level_and_other_fields() {
        let text = r#"{"version":"1.1","host":"may-01","short_message":"hỏng đĩa","timestamp":1770091500.25,"level":3,
            "_user.name":"an","_app":"portal","_nhatle.unit":"W9"}"#;
        check(
            Some(GELF),
            text,
            &[
                ("message", "hỏng đĩa"),
                ("host.name", "may-01"),
                ("log.level", "error"),
                ("log.syslog.severity.code", "3"),
                ("user.name", "an"),
                ("app", "portal"),
                ("event.dataset", "gelf"),
            ],
        );
        let event = read(Some(GELF), text).expect("is read");
        assert_eq!(event.timestamp, Timestamp(1_770_091_500_250_000_000));
        assert_eq!(event.get(Field::NHATLE_UNIT), None, "what a sender writes sets no field of ours");
    }

    #[test]
    fn a_line_of_filebeat_is_read_by_its_module() {
        let text = r#"{"@timestamp":"2026-02-03T04:05:07.000Z","event":{"module":"nginx","dataset":"nginx.access"},
            "message":"203.0.113.9 - - [03/Feb/2026:04:05:06 +0000] \"GET /a HTTP/1.1\" 404 12 \"-\" \"curl\"",
            "host":{"name":"web-01"},"log":{"file":{"path":"/var/log/nginx/access.log"}}}"#;
        let expected = [
            ("source.ip", "203.0.113.9"),
            ("http.response.status_code", "404"),
            ("host.name", "web-01"),
            ("log.file.path", "/var/log/nginx/access.log"),
            ("event.module", "nginx"),
        ];
        check(None, text, &expected);
        assert_eq!(
            read(None, text).expect("is read").timestamp,
            Timestamp(1_770_091_506_000_000_000),
            "the line's own"
        );
        // Parsed by somebody before: left as it is.
        let parsed =
            r#"{"event":{"module":"nginx","action":"x"},"message":"203.0.113.9 - - [x","source":{"ip":"10.0.0.1"}}"#;
        check(None, parsed, &[("source.ip", "10.0.0.1"), ("event.action", "x")]);
    }

    #[test]
    fn a_line_whose_form_leaves_no_doubt_is_read_whoever_carries_it() {
        let fortigate = r#"date=2026-11-23 time=09:10:00 devname=\"fw-01\" devid=\"FGT60F0000000001\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip=10.45.0.31 srcport=50330 dstip=203.0.113.80 dstport=443 proto=6 action=\"deny\" policyid=7"#;
        let nginx = r#"203.0.113.9 - - [23/Nov/2026:09:10:00 +0700] \"GET /a HTTP/1.1\" 404 12 \"-\" \"curl\""#;
        let sshd = "<34>Nov 23 09:10:00 may-01 sshd[7]: Failed password for root from 203.0.113.9 port 4022 ssh2";
        let lines: [(&str, &[(&str, &str)]); 3] = [
            (fortigate, &[("source.ip", "10.45.0.31"), ("destination.port", "443"), ("event.module", "fortinet")]),
            (nginx, &[("source.ip", "203.0.113.9"), ("http.response.status_code", "404"), ("event.module", "nginx")]),
            (sshd, &[("source.ip", "203.0.113.9"), ("user.name", "root"), ("event.outcome", "failure")]),
        ];
        for (line, told) in lines {
            check(Some(HEC), &format!(r#"{{"event":"{line}","sourcetype":"_json"}}"#), told);
            check(Some(HEC), &format!(r#"{{"event":{{"message":"{line}"}}}}"#), told);
            check(Some(OTLP), &format!(r#"{{"body":"{line}"}}"#), told);
            check(Some(OTLP), &format!(r#"{{"body":{{"message":"{line}"}}}}"#), told);
            check(Some(GELF), &format!(r#"{{"host":"relay","short_message":"{line}"}}"#), told);
            check(None, &format!(r#"{{"@timestamp":"2026-11-23T02:10:01Z","message":"{line}"}}"#), told);
            check(None, &format!(r#"{{"log":"{line}\n","stream":"stdout"}}"#), told);
        }
        // What the document says besides stays; what a stranger wrote into a message of another program is no line.
        let text = format!(
            r#"{{"message":"{sshd}","host":{{"name":"relay"}},"labels":{{"city":"dh"}},"nhatle":{{"unit":"W9"}}}}"#
        );
        check(None, &text, &[("host.name", "may-01"), ("labels.city", "dh"), ("labels.nhatle.unit", "W9")]);
        for text in [
            r#"{"message":"user said: <34>Nov 23 09:10:00 may-01 sshd[7]: Failed password for root from 203.0.113.9 port 1 ssh2"}"#,
            r#"{"message":"level=info msg=\"hello there\" srcip=10.0.0.1"}"#,
            r#"{"message":"{\"event_type\":\"alert\"}"}"#,
            r#"{"message":"x","log":{"file":{"path":"/var/log/a"}}}"#,
            r#"{"message":"","log":""}"#,
            r#"{"message":7}"#,
        ] {
            let event = read(None, text).expect("is read");
            assert_eq!(event.text(Field::EVENT_MODULE), Some("json"), "{text}");
            assert_eq!(event.get(Field::SOURCE_IP), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        for (profile, text, reason) in [
            (HEC, r#"{"time":1}"#, "hec: there is no event in it"),
            (HEC, r#"{"event":"  "}"#, "hec: there is no event in it"),
            (GELF, r#"{"host":"a"}"#, "gelf: there is no event in it"),
            (HEC, r#"{"event":{"a":1}"#, "json: "),
            (GELF, "no json", "json: "),
            (HEC, r#"{"event":"<34>1 2026-13-40T04:05:06Z a b - - - x"}"#, "hec: "),
        ] {
            let told = read(Some(profile), text).expect_err("is none");
            assert!(told.starts_with(reason), "{text}: {told}");
        }
        assert!(read(Some(OTLP), r#"{"attributes":{"a":1}}"#).is_ok(), "a log record may be all attributes");
    }

    #[test]
    fn a_source_type_means_a_profile_only_where_it_is_one() {
        assert_eq!(profile_of_source_type("Access_Combined"), Some(Profile::Apache));
        assert_eq!(profile_of_source_type("WinEventLog:Security"), Some(Profile::Windows));
        for none in ["hec", "json", "_json", "something", ""] {
            assert_eq!(profile_of_source_type(none), None, "{none}");
        }
    }

    #[test]
    fn a_document_around_a_line_tells_the_host_and_the_line_all_else() {
        let eve = r#"{\"timestamp\":\"2026-11-23T09:10:00+0700\",\"event_type\":\"dns\",\"flow_id\":7,\"src_ip\":\"192.0.2.9\",\"dns\":{\"rrname\":\"a.example\"}}"#;
        check(
            Some("suricata"),
            &format!(r#"{{"host":{{"name":"ids-01"}},"event":{{"original":"{eve}"}}}}"#),
            &[("event.dataset", "suricata.dns"), ("source.ip", "192.0.2.9"), ("host.name", "ids-01")],
        );
        check(
            Some("nginx"),
            r#"{"host":{"name":"web-01"},"message":"192.0.2.9 - - [23/Nov/2026:09:10:00 +0700] \"GET /x HTTP/1.1\" 200 7\n"}"#,
            &[("event.dataset", "nginx.access"), ("url.path", "/x"), ("host.name", "web-01")],
        );
        // A record of the sensor that has a text of its own is the sensor's.
        check(
            Some("zeek"),
            r#"{"_path":"syslog","ts":1,"uid":"C1","id.orig_h":"192.0.2.9","id.resp_h":"192.0.2.1","message":"x y"}"#,
            &[("event.dataset", "zeek.syslog"), ("message", "x y"), ("source.ip", "192.0.2.9")],
        );
    }
}
