//! ESET PROTECT: what its server sends of endpoints, as JSON.
//!
//! In: an event with the members as sent. Out: the same with ECS beside them; nothing of JSON that is not ESET's. Failure: none. Source: ESET PROTECT,
//! "Events exported to JSON format" (`occured` is how it is written).

use nhatle_event::{Event, Field, Text};

use super::device::{Act, act, finish, observer, set_text};
use crate::parse::date;

/// Member, ECS field.
const TABLE: &[(&str, Field)] = &[
    ("ipv4", Field::HOST_IP),
    ("ipv6", Field::HOST_IP),
    ("threat_name", Field::RULE_NAME),
    ("rulename", Field::RULE_NAME),
    ("rule_name", Field::RULE_NAME),
    ("rule_id", Field::RULE_ID),
    ("threat_type", Field::RULE_CATEGORY),
    ("action", Field::EVENT_ACTION),
    ("action_taken", Field::EVENT_ACTION),
    ("processname", Field::PROCESS_EXECUTABLE),
    ("process_name", Field::PROCESS_EXECUTABLE),
    ("application", Field::PROCESS_EXECUTABLE),
    ("command_line", Field::PROCESS_COMMAND_LINE),
    ("source_address", Field::SOURCE_IP),
    ("source_port", Field::SOURCE_PORT),
    ("target_address", Field::DESTINATION_IP),
    ("target_port", Field::DESTINATION_PORT),
    ("protocol", Field::NETWORK_TRANSPORT),
];

/// Kind of event, meaning.
const KINDS: &[(&str, Act)] = &[
    ("Threat_Event", Act("malware", &["info"], "")),
    ("FirewallAggregated_Event", Act("network", &["connection"], "")),
    ("HipsAggregated_Event", Act("intrusion_detection", &["info"], "")),
    ("FilteredWebsites_Event", Act("web", &["access"], "")),
    ("BlockedFiles_Event", Act("malware", &["denied"], "")),
    ("EnterpriseInspectorAlert_Event", Act("intrusion_detection", &["info"], "")),
    ("Audit_Event", Act("configuration", &["info"], "")),
];

/// Sets what an event of ESET's means; whether it is one.
pub(super) fn set_fields(event: &mut Event) -> bool {
    let text = |event: &Event, name: &str| {
        let found = Field::lookup(name).and_then(|field| event.get(field)?.as_text().map(|text| Text::from(&*text)));
        found.filter(|text| !text.is_empty())
    };
    let Some(kind) = text(event, "event_type").filter(|_| text(event, "source_uuid").is_some()) else { return false };
    let Some(written) = text(event, "occured") else { return false };
    let Some((_, meaning)) = KINDS.iter().find(|(known, _)| *known == kind) else { return false };
    // `23-Nov-2026 02:10:00`, in UTC.
    let mut parts = written.split(['-', ' ']);
    if let (Some(day), Some(month), Some(year), Some(time)) = (parts.next(), parts.next(), parts.next(), parts.next())
        && let Ok(Some((stamp, _))) = date::bsd(&format!("{month} {day} {year} {time}"), event.timestamp, 0)
    {
        event.timestamp = stamp;
    }
    event.set(Field::EVENT_DATASET, "eset.protect");
    observer(event, "ESET", "PROTECT", "endpoint-protection");
    for (name, field) in TABLE {
        if let Some(value) = text(event, name) {
            set_text(event, *field, &value);
        }
    }
    if let Some(name) = event.text(Field::PROCESS_EXECUTABLE).and_then(|path| path.rsplit(['\\', '/']).next()) {
        let name = Text::from(name);
        event.set(Field::PROCESS_NAME, name);
    }
    // A system's own accounts have a space in their domain: `NT AUTHORITY\SYSTEM`.
    if let Some(account) = text(event, "username").or_else(|| text(event, "account")).or_else(|| text(event, "user")) {
        let (domain, user) = account.rsplit_once('\\').unwrap_or(("", &account));
        event.set(Field::USER_NAME, user);
        set_text(event, Field::USER_DOMAIN, domain);
    }
    if let Some(uri) = text(event, "object_uri") {
        match uri.strip_prefix("file:///") {
            Some(path) => {
                event.set(Field::FILE_PATH, path);
                event.set(Field::FILE_NAME, path.rsplit(['\\', '/']).next().unwrap_or(path));
            }
            None if uri.contains("://") => event.set(Field::URL_ORIGINAL, uri.clone()),
            None => {}
        }
    }
    if let Some(hash) = text(event, "hash").filter(|hash| hash.len() == 40) {
        event.set(Field::FILE_HASH_SHA1, hash.to_ascii_lowercase());
    }
    act(event, *meaning);
    let told = text(event, "action_taken").or_else(|| text(event, "action")).unwrap_or_default().to_ascii_lowercase();
    if ["block", "denied", "terminated"].iter().any(|word| told.contains(word)) {
        event.add(Field::EVENT_TYPE, "denied");
    }
    if kind == "Audit_Event" {
        let outcome = match text(event, "result").as_deref() {
            Some("Success") => "success",
            Some(_) => "failure",
            None => "",
        };
        // Who tries to sign in is the target; nobody is known yet.
        if told.starts_with("log") {
            let types: &[&str] = if told.starts_with("logout") { &["end"] } else { &["start"] };
            event.remove(Field::EVENT_TYPE);
            act(event, Act("authentication", types, outcome));
            if let Some(target) = text(event, "target") {
                event.set(Field::USER_NAME, target);
            }
        } else {
            act(event, Act("", &[], outcome));
        }
    }
    finish(event);
    true
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    #[test]
    fn threats_connections_and_sign_ins() {
        let line = |kind: &str, more: &str| {
            format!(
                r#"<14>1 2026-11-23T02:10:05Z eset-01 ERAServer 7 - - {{"event_type":"{kind}","ipv4":"10.45.0.9","hostname":"may-7","source_uuid":"u","occured":"23-Nov-2026 02:10:00","severity":"Warning",{more}}}"#
            )
        };
        check(
            "",
            &line(
                "Threat_Event",
                r#""threat_type":"test file","threat_name":"Eicar","object_uri":"file:///C:/tam/eicar.com","action_taken":"blocked","username":"HUE\\lan","processname":"C:\\x\\y.exe","hash":"3395856CE81F2B7382DEE72602F798B642F14140""#,
            ),
            &[
                ("@timestamp", "2026-11-23T02:10:00Z"),
                ("event.category", "malware"),
                ("event.type", "info,denied"),
                ("rule.name", "Eicar"),
                ("user.name", "lan"),
                ("user.domain", "HUE"),
                ("file.path", "C:/tam/eicar.com"),
                ("file.hash.sha1", "3395856ce81f2b7382dee72602f798b642f14140"),
                ("process.name", "y.exe"),
                ("host.ip", "10.45.0.9"),
                ("host.name", "may-7"),
            ],
        );
        check(
            "",
            &line(
                "FirewallAggregated_Event",
                r#""source_address":"203.0.113.9","source_port":4411,"target_address":"10.45.0.9","target_port":445,"protocol":"TCP","account":"NT AUTHORITY\\SYSTEM","action":"Blocked""#,
            ),
            &[
                ("source.ip", "203.0.113.9"),
                ("destination.port", "445"),
                ("network.transport", "tcp"),
                ("user.name", "SYSTEM"),
                ("event.type", "connection,denied"),
            ],
        );
        check(
            "",
            &line(
                "Audit_Event",
                r#""domain":"Native user","action":"Login attempt","target":"lan","user":"","result":"Failure""#,
            ),
            &[("user.name", "lan"), ("event.category", "authentication"), ("event.outcome", "failure")],
        );
    }
}
