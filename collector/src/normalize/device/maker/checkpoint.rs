//! Check Point: what its log exporter sends as syslog.
//!
//! In: `[action:"Accept"; src:"10.45.0.9"; …]` (RFC 5424), the same as structured data, or `action="accept" src="…"`. Out: both sides,
//! translation, verdict, rule, protection, file, sign-ins; values under `checkpoint.*`. Failure: none. Source: Check Point, "Log
//! Exporter" (sk122323), "Description of fields in logs" (sk144192).

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text};

use super::{Act, LOGIN, REFUSED, Row, Values, act, observer, set_all, set_text, value};
use crate::normalize::Context;
use crate::normalize::device::stamp;
use crate::parse::{Syslog, key_value};

const HOME: &str = "checkpoint.";
/// How many values one record may have; what follows stays in the message.
const PAIRS_MAX: usize = 256;

const TABLE: &[Row] = &[
    ("src", Field::SOURCE_IP),
    ("dst", Field::DESTINATION_IP),
    ("s_port", Field::SOURCE_PORT),
    ("service", Field::DESTINATION_PORT),
    ("proto", Field::NETWORK_TRANSPORT),
    ("service_id", Field::NETWORK_APPLICATION),
    ("app_name", Field::NETWORK_APPLICATION),
    ("appi_name", Field::NETWORK_APPLICATION),
    ("ifdir", Field::NETWORK_DIRECTION),
    ("layer_name", Field::NETWORK_NAME),
    ("bytes", Field::NETWORK_BYTES),
    ("packets", Field::NETWORK_PACKETS),
    ("client_outbound_bytes", Field::SOURCE_BYTES),
    ("sent_bytes", Field::SOURCE_BYTES),
    ("server_outbound_bytes", Field::DESTINATION_BYTES),
    ("received_bytes", Field::DESTINATION_BYTES),
    ("client_outbound_packets", Field::SOURCE_PACKETS),
    ("server_outbound_packets", Field::DESTINATION_PACKETS),
    ("mac_source_address", Field::SOURCE_MAC),
    ("mac_destination_address", Field::DESTINATION_MAC),
    ("src_machine_name", Field::SOURCE_DOMAIN),
    ("dst_machine_name", Field::DESTINATION_DOMAIN),
    ("destination_dns_hostname", Field::DESTINATION_DOMAIN),
    ("user_group", Field::GROUP_NAME),
    ("rule_name", Field::RULE_NAME),
    ("rule_uid", Field::RULE_UUID),
    ("match_id", Field::RULE_ID),
    ("protection_type", Field::RULE_CATEGORY),
    ("protection_id", Field::RULE_ID),
    ("origin", Field::OBSERVER_NAME),
    ("loguid", Field::EVENT_ID),
    ("sequencenum", Field::EVENT_SEQUENCE),
    ("severity", Field::EVENT_SEVERITY),
    ("reason", Field::EVENT_REASON),
    ("file_name", Field::FILE_NAME),
    ("dlp_file_name", Field::FILE_NAME),
    ("file_size", Field::FILE_SIZE),
    ("file_md5", Field::FILE_HASH_MD5),
    ("file_sha1", Field::FILE_HASH_SHA1),
    ("file_sha256", Field::FILE_HASH_SHA256),
    ("resource", Field::URL_ORIGINAL),
    ("method", Field::HTTP_REQUEST_METHOD),
    ("http_method", Field::HTTP_REQUEST_METHOD),
    ("referrer", Field::HTTP_REQUEST_REFERRER),
    ("user_agent", Field::USER_AGENT_ORIGINAL),
    ("domain_name", Field::DNS_QUESTION_NAME),
    ("dns_query", Field::DNS_QUESTION_NAME),
    ("dns_type", Field::DNS_QUESTION_TYPE),
    ("process_name", Field::PROCESS_NAME),
    ("parent_process_name", Field::PROCESS_PARENT_NAME),
    ("process_md5", Field::PROCESS_HASH_MD5),
    ("tid", Field::DNS_ID),
];

/// Whether a message is of the exporter's older form, `action="accept" … product="…"`.
pub(super) fn is_spaced(message: &str) -> bool {
    (message.starts_with("Action=\"") || message.starts_with("action=\""))
        && message.contains(" product=\"")
        && (message.contains(" UUid=\"") || message.contains(" loguid=\"") || message.contains(" originsicname=\""))
}

/// `key:"value"; …`: a value ends at a quote that `;`, `]` or nothing follows.
fn colon_pairs(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut pairs: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(32);
    let mut rest = text.trim_start_matches(['[', ' ']);
    while let Some((key, after)) = rest.split_once(":\"") {
        if PAIRS_MAX <= pairs.len() {
            break;
        }
        let mut from = 0;
        let end = loop {
            let Some(at) = after.get(from..).and_then(|left| left.find('"')).map(|at| at + from) else {
                break after.len();
            };
            let is_escaped = after.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
            let next = after.get(at + 1..).unwrap_or_default().trim_start();
            if !is_escaped && (next.is_empty() || next.starts_with(';') || next.starts_with(']')) {
                break at;
            }
            from = at + 1;
        };
        let value = after.get(..end).unwrap_or_default();
        let is_escaped = value.contains('\\');
        let value: Cow<'_, str> = if is_escaped {
            value.replace("\\\"", "\"").replace("\\]", "]").replace("\\\\", "\\").into()
        } else {
            value.into()
        };
        pairs.push((key.trim(), value));
        rest = after.get(end + 1..).unwrap_or_default().trim_start_matches([';', ' ', ']']);
    }
    pairs
}

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let told: Vec<(&str, Cow<'_, str>)> = if message.starts_with('[') {
        colon_pairs(message)
    } else if parts.structured.is_empty() {
        key_value::pairs(message)
    } else {
        parts.structured.iter().map(|(_, name, value)| (*name, Cow::Borrowed(value.as_ref()))).collect()
    };
    // Translations and ports that are not there.
    let is_nothing = |(key, value): &(&str, Cow<'_, str>)| {
        (key.starts_with("xlate") && matches!(value.as_ref(), "0" | "0.0.0.0")) || value.is_empty()
    };
    let pairs: Vec<_> = told.into_iter().filter(|pair| !is_nothing(pair)).collect();
    let stamp = value(&pairs, "time").and_then(|text| stamp::moment(text, context)).or(parts.timestamp);
    let mut event = context.event(stamp, "checkpoint", "checkpoint.firewall");
    observer(&mut event, "Checkpoint", "", "firewall");
    event.set(Field::OBSERVER_PRODUCT, Text::from(value(&pairs, "product").unwrap_or("Firewall")));
    set_all(&mut event, HOME, TABLE, &pairs);
    for (key, field) in [
        ("xlatesrc", Field::SOURCE_NAT_IP),
        ("xlatesport", Field::SOURCE_NAT_PORT),
        ("xlatedst", Field::DESTINATION_NAT_IP),
        ("xlatedport", Field::DESTINATION_NAT_PORT),
    ] {
        set_text(&mut event, field, value(&pairs, key).unwrap_or_default());
    }
    if event.get(Field::SOURCE_IP).is_none() {
        set_text(&mut event, Field::SOURCE_IP, value(&pairs, "client_ip").unwrap_or_default());
    }
    for (key, named) in [("inzone", "observer.ingress.zone"), ("outzone", "observer.egress.zone")] {
        if let Some(zone) = value(&pairs, key) {
            event.set_named(named, Text::from(zone));
        }
    }
    let interface = match value(&pairs, "ifdir") {
        Some("outbound") => Field::OBSERVER_EGRESS_INTERFACE_NAME,
        _ => Field::OBSERVER_INGRESS_INTERFACE_NAME,
    };
    set_text(&mut event, interface, value(&pairs, "ifname").unwrap_or_default());
    set_people(&mut event, &pairs);
    set_protection(&mut event, &pairs);
    set_meaning(&mut event, &pairs);
    event
}

/// `Lan Pham (lanp)` is `lanp`.
fn account(text: &str) -> &str {
    text.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map_or(text, |(_, inside)| inside).trim()
}

fn set_people(event: &mut Event, pairs: &Values<'_>) {
    let user = ["user", "administrator", "src_user_name", "source_user_name"]
        .iter()
        .find_map(|name| value(pairs, name))
        .map(account);
    if let Some(user) = user {
        event.set(Field::USER_NAME, Text::from(user));
        event.set(Field::SOURCE_USER_NAME, Text::from(user));
    }
    if let Some(user) = value(pairs, "dst_user_name").map(account) {
        event.set(Field::DESTINATION_USER_NAME, Text::from(user));
    }
    for (key, named) in [("from", "email.from.address"), ("to", "email.to.address"), ("email_subject", "email.subject")]
    {
        if let Some(text) = value(pairs, key) {
            event.set_named(named, Text::from(text));
        }
    }
}

/// What a protection found is the rule of the event, not the policy's that let it look.
fn set_protection(event: &mut Event, pairs: &Values<'_>) {
    if let Some(name) = value(pairs, "protection_name") {
        event.set(Field::RULE_NAME, Text::from(name));
    }
    if let Some(says) = ["attack_info", "sys_message", "description", "additional_info", "malware_action"]
        .iter()
        .find_map(|name| value(pairs, name))
    {
        event.set(Field::MESSAGE, Text::from(says));
    }
}

fn set_meaning(event: &mut Event, pairs: &Values<'_>) {
    let action = value(pairs, "action").or_else(|| value(pairs, "Action")).unwrap_or_default();
    let told = value(pairs, "rule_action").unwrap_or(action);
    if !action.is_empty() {
        event.set(Field::EVENT_ACTION, Text::from(action));
    }
    let is_sign_in = value(pairs, "operation") == Some("Log In") || value(pairs, "event_type") == Some("Login");
    let is_bad = matches!(value(pairs, "audit_status").or_else(|| value(pairs, "status")), Some("Failure" | "Failed"));
    match action {
        "Failed Log In" => {
            event.set(Field::EVENT_ACTION, "logon-failed");
            return act(event, REFUSED);
        }
        "Log In" => {
            event.set(Field::EVENT_ACTION, if is_bad { "logon-failed" } else { "logged-in" });
            return act(event, if is_bad { REFUSED } else { LOGIN });
        }
        "Log Out" => return act(event, super::LOGOUT),
        _ if is_sign_in => return act(event, if is_bad { REFUSED } else { LOGIN }),
        _ => {}
    }
    event.set(Field::EVENT_CATEGORY, "network");
    let lower = told.to_ascii_lowercase();
    let outcome = match value(pairs, "audit_status") {
        Some("Success") => "success",
        Some("Failure") => "failure",
        _ => "",
    };
    match lower.as_str() {
        "accept" | "allow" | "bypass" => act(event, Act("", &["allowed", "connection"], "success")),
        "drop" | "reject" | "block" | "prevent" => act(event, Act("", &["connection", "denied"], "success")),
        _ if value(pairs, "administrator").is_some() => act(event, Act("configuration", &["change"], outcome)),
        _ => act(event, Act("", &["info"], outcome)),
    }
    let is_malware = value(pairs, "malware_action").is_some();
    let is_attack = value(pairs, "attack").is_some() || value(pairs, "protection_type") == Some("IPS");
    if is_malware {
        event.add(Field::EVENT_CATEGORY, "malware");
    } else if is_attack || matches!(lower.as_str(), "detect" | "prevent") {
        event.add(Field::EVENT_CATEGORY, "intrusion_detection");
    }
    if is_malware || is_attack || matches!(lower.as_str(), "detect" | "prevent" | "quarantine") {
        event.set(Field::EVENT_KIND, "alert");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn connections_attacks_and_sign_ins() {
        let line = |more: &str| {
            format!(
                "<134>1 2026-11-23T02:10:00Z gw-ubnd CheckPoint 18160 - [{more}; origin:\"192.0.2.1\"; time:\"1795399800\"]"
            )
        };
        check(
            &line(
                r#"action:"Accept"; ifdir:"inbound"; ifname:"eth1"; loguid:"{0x1,0x2}"; src:"10.45.0.9"; dst:"203.0.113.9"; proto:"6"; s_port:"5000"; service:"443"; service_id:"https"; rule_name:"Ra ngoai"; rule_uid:"u-1"; xlatesrc:"192.0.2.1"; xlatesport:"6000"; xlatedst:"0.0.0.0"; xlatedport:"0"; product:"VPN-1 & FireWall-1""#,
            ),
            None,
            &[
                ("event.dataset", "checkpoint.firewall"),
                ("event.action", "Accept"),
                ("event.category", "network"),
                ("event.type", "allowed,connection"),
                ("event.outcome", "success"),
                ("source.ip", "10.45.0.9"),
                ("destination.port", "443"),
                ("source.nat.port", "6000"),
                ("destination.nat.ip", "(absent)"),
                ("network.transport", "tcp"),
                ("network.application", "https"),
                ("network.direction", "inbound"),
                ("observer.name", "192.0.2.1"),
                ("observer.ingress.interface.name", "eth1"),
                ("rule.name", "Ra ngoai"),
                ("related.ip", "10.45.0.9,203.0.113.9,192.0.2.1"),
            ],
        );
        check(
            &line(
                r#"action:"Prevent"; attack:"Chen lenh"; src:"203.0.113.9"; dst:"10.45.0.5"; protection_name:"Chen lenh \"a\"; b"; protection_type:"IPS"; resource:"http://a.example/b?c=1"; user:"Lan (lan@a.example)"; product:"SmartDefense""#,
            ),
            None,
            &[
                ("event.kind", "alert"),
                ("event.category", "network,intrusion_detection"),
                ("event.type", "connection,denied"),
                ("rule.name", r#"Chen lenh "a"; b"#),
                ("url.path", "/b"),
                ("user.name", "lan@a.example"),
            ],
        );
        for (action, status, outcome) in [
            ("Log In", "Success", "success"),
            ("Log In", "Failure", "failure"),
            ("Failed Log In", "Failure", "failure"),
        ] {
            check(
                &line(&format!(
                    r#"action:"{action}"; administrator:"lan"; client_ip:"10.45.0.9"; audit_status:"{status}"; product:"SmartConsole""#
                )),
                None,
                &[
                    ("event.category", "authentication"),
                    ("event.outcome", outcome),
                    ("user.name", "lan"),
                    ("source.ip", "10.45.0.9"),
                ],
            );
        }
    }
}
