//! Juniper SRX: sessions, screens, attacks and web filtering, with the values in the structured data of RFC 5424.
//!
//! In: a message of a program `RT_…` whose structured data is `junos@2636…`. Out: both sides, translation, bytes, policy, verdict in ECS; the
//! values as sent stay below `log.syslog.structured_data.*`. Failure: none. Source: Juniper, "System log explorer" (`RT_FLOW`, `RT_IDS`, `RT_IDP`,
//! `RT_UTM`, `RT_AAMW`).

use nhatle_event::{Event, Field};

use super::{Act, Row, act, finish, observer, set_text};
use crate::normalize::Context;
use crate::parse::Syslog;

const TABLE: &[Row] = &[
    ("source-address", Field::SOURCE_IP),
    ("source-port", Field::SOURCE_PORT),
    ("destination-address", Field::DESTINATION_IP),
    ("destination-port", Field::DESTINATION_PORT),
    ("nat-source-address", Field::SOURCE_NAT_IP),
    ("nat-source-port", Field::SOURCE_NAT_PORT),
    ("nat-destination-address", Field::DESTINATION_NAT_IP),
    ("nat-destination-port", Field::DESTINATION_NAT_PORT),
    ("bytes-from-client", Field::SOURCE_BYTES),
    ("bytes-from-server", Field::DESTINATION_BYTES),
    ("packets-from-client", Field::SOURCE_PACKETS),
    ("packets-from-server", Field::DESTINATION_PACKETS),
    ("protocol-id", Field::NETWORK_TRANSPORT),
    ("policy-name", Field::RULE_NAME),
    ("attack-name", Field::RULE_NAME),
    ("malware-info", Field::RULE_NAME),
    ("username", Field::USER_NAME),
    ("reason", Field::EVENT_REASON),
    ("url", Field::URL_ORIGINAL),
    ("filename", Field::FILE_NAME),
    ("sample-sha256", Field::FILE_HASH_SHA256),
    ("packet-incoming-interface", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("interface-name", Field::OBSERVER_INGRESS_INTERFACE_NAME),
];

/// The beginning of a message's name, its action, meaning; the first that fits counts.
const KINDS: &[(&str, &str, Act)] = &[
    ("RT_FLOW_SESSION_CREATE", "flow_started", Act("network", &["connection", "start", "allowed"], "success")),
    ("RT_FLOW_SESSION_CLOSE", "flow_close", Act("network", &["connection", "end", "allowed"], "success")),
    ("RT_FLOW_SESSION_DENY", "flow_deny", Act("network", &["connection", "denied"], "failure")),
    ("APPTRACK_SESSION_CREATE", "flow_started", Act("network", &["connection", "start"], "success")),
    ("APPTRACK_SESSION_CLOSE", "flow_close", Act("network", &["connection", "end"], "success")),
    ("APPTRACK_SESSION", "flow_update", Act("network", &["connection", "info"], "")),
    ("RT_SCREEN_", "screen_attack", Act("intrusion_detection", &["info"], "")),
    ("IDP_", "security_threat", Act("intrusion_detection", &["info"], "")),
    ("WEBFILTER_URL_BLOCKED", "web_filter", Act("web", &["access", "denied"], "failure")),
    ("WEBFILTER_URL", "web_filter", Act("web", &["access", "allowed"], "success")),
    ("AV_VIRUS_", "virus_detected", Act("malware", &["info"], "")),
    ("CONTENT_FILTERING_BLOCKED", "content_filter", Act("web", &["access", "denied"], "failure")),
    ("AAMW_MALWARE_EVENT", "malware_detected", Act("malware", &["info"], "")),
    ("AAMW_", "malware_detected", Act("malware", &["info"], "")),
];

/// Whether a message is one of these.
pub fn is_junos(parts: &Syslog<'_>) -> bool {
    parts.app.is_some_and(|app| app.starts_with("RT_"))
        && parts.structured.first().is_some_and(|(id, ..)| id.starts_with("junos@"))
}

/// The event of a message; the header's fields are the caller's.
pub fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let mut event = context.event(parts.timestamp, "juniper", "juniper.srx");
    observer(&mut event, "Juniper", "SRX", "firewall");
    let value = |name: &str| {
        let found = parts.structured.iter().find(|(_, known, _)| *known == name).map(|(.., value)| value.as_ref());
        found.filter(|value| !matches!(*value, "" | "N/A" | "None" | "UNKNOWN"))
    };
    for (name, field) in TABLE {
        if let Some(value) = value(name) {
            set_text(&mut event, *field, value);
        }
    }
    let name = parts.msgid.unwrap_or_default();
    set_text(&mut event, Field::EVENT_CODE, name);
    if let Some((_, action, meaning)) = KINDS.iter().find(|(front, ..)| name.starts_with(front)) {
        event.set(Field::EVENT_ACTION, *action);
        act(&mut event, *meaning);
        if matches!(meaning.0, "intrusion_detection" | "malware") {
            event.set(Field::EVENT_KIND, "alert");
        }
    }
    if let Some(verdict) = value("action")
        && ["drop", "close", "block", "deny"].iter().any(|word| verdict.to_ascii_lowercase().starts_with(word))
    {
        event.add(Field::EVENT_TYPE, "denied");
    }
    if let Some(host) = parts.host {
        event.set(Field::OBSERVER_NAME, host);
    }
    if let Some(app) = parts.app {
        event.set(Field::PROCESS_NAME, app);
    }
    finish(&mut event);
    event
}

#[cfg(test)]
mod tests {
    use super::super::check;

    #[test]
    fn sessions_and_attacks() {
        let line = |app: &str, name: &str, more: &str| {
            format!(
                "<14>1 2026-11-23T02:10:00.125Z srx-01 {app} - {name} [junos@2636.1.1.1.2.129 source-address=\"10.45.0.9\" source-port=\"5000\" destination-address=\"203.0.113.9\" destination-port=\"443\" protocol-id=\"6\" username=\"N/A\" {more}]"
            )
        };
        check(
            &line(
                "RT_FLOW",
                "RT_FLOW_SESSION_CLOSE",
                "reason=\"TCP FIN\" nat-source-address=\"192.0.2.1\" nat-source-port=\"6000\" policy-name=\"ra\" bytes-from-client=\"100\" bytes-from-server=\"200\"",
            ),
            None,
            &[
                ("event.action", "flow_close"),
                ("source.ip", "10.45.0.9"),
                ("destination.port", "443"),
                ("source.nat.ip", "192.0.2.1"),
                ("network.transport", "tcp"),
                ("network.bytes", "300"),
                ("rule.name", "ra"),
                ("user.name", "(absent)"),
                ("observer.name", "srx-01"),
                ("host.name", "srx-01"),
                ("process.name", "RT_FLOW"),
            ],
        );
        check(
            &line("RT_IDS", "RT_SCREEN_TCP", "attack-name=\"TCP sweep!\" action=\"drop\""),
            None,
            &[("event.kind", "alert"), ("rule.name", "TCP sweep!"), ("event.type", "info,denied")],
        );
    }
}
