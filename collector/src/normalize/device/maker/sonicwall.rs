//! SonicWall: SonicOS syslog, `id=firewall sn=… time="…" fw=… pri=6 c=1024 m=537 msg="…" src=ip:port:interface:name …`.
//!
//! In: a message that begins with `id=`. Out: both sides, bytes, verdict, sign-ins, what its services found; values under
//! `sonicwall.firewall.*`. Failure: none. Source: SonicWall, "SonicOS Log Events Reference Guide".

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text};

use super::{Act, LOGIN, LOGOUT, REFUSED, Row, Said, act, key_value, mean, observer, said, set_all, set_text, value};
use crate::normalize::Context;
use crate::normalize::device::stamp;
use crate::parse::Syslog;

const HOME: &str = "sonicwall.firewall.";

const TABLE: &[Row] = &[
    ("id", Field::OBSERVER_NAME),
    ("sn", Field::OBSERVER_SERIAL_NUMBER),
    ("m", Field::EVENT_CODE),
    ("n", Field::EVENT_SEQUENCE),
    ("pri", Field::EVENT_SEVERITY),
    ("msg", Field::MESSAGE),
    ("usr", Field::USER_NAME),
    ("user", Field::USER_NAME),
    ("srcMac", Field::SOURCE_MAC),
    ("dstMac", Field::DESTINATION_MAC),
    ("sent", Field::SOURCE_BYTES),
    ("rcvd", Field::DESTINATION_BYTES),
    ("spkt", Field::SOURCE_PACKETS),
    ("rpkt", Field::DESTINATION_PACKETS),
    ("rule", Field::RULE_ID),
    ("sid", Field::RULE_ID),
    ("ipscat", Field::RULE_CATEGORY),
    ("arg", Field::URL_PATH),
    ("dstname", Field::URL_DOMAIN),
    ("result", Field::HTTP_RESPONSE_STATUS_CODE),
    ("appName", Field::NETWORK_APPLICATION),
];

const DROPPED: Act = Act("network", &["denied"], "success");
const DENIED: Act = Act("network", &["connection", "denied"], "success");
const FOUND: Act = Act("intrusion_detection", &["info"], "success");
const STOPPED: Act = Act("intrusion_detection", &["denied"], "success");

/// What a message says: first who signs in, then services, then connections.
const SAID: Said = &[
    (&["login", "denied"], "login-failed", REFUSED),
    (&["login", "fail"], "login-failed", REFUSED),
    (&["login", "incorrect"], "login-failed", REFUSED),
    (&["authentication", "fail"], "login-failed", REFUSED),
    (&["login allowed"], "logged-in", LOGIN),
    (&["login successful"], "logged-in", LOGIN),
    (&["logged out"], "logged-out", LOGOUT),
    (&["session terminated"], "logged-out", LOGOUT),
    (&["intrusion", "blocked"], "intrusion-prevented", STOPPED),
    (&["ips prevention"], "intrusion-prevented", STOPPED),
    (&["ips detection"], "intrusion-detected", FOUND),
    (&["anti-spyware prevention"], "spyware-prevented", Act("malware", &["denied"], "success")),
    (&["anti-spyware detection"], "spyware-detected", Act("malware", &["info"], "success")),
    (&["gateway anti-virus alert"], "virus-blocked", Act("malware", &["denied"], "success")),
    (&["virus", "blocked"], "virus-blocked", Act("malware", &["denied"], "success")),
    (&["port scan"], "port-scan", FOUND),
    (&["flood"], "flood", FOUND),
    (&["spoof"], "spoofed", FOUND),
    (&["attack"], "attack-detected", FOUND),
    (&["botnet", "blocked"], "connection-denied", DENIED),
    (&["country blocked"], "connection-denied", DENIED),
    (&["web site", "denied"], "web-denied", Act("web", &["access", "denied"], "success")),
    (&["web site", "block"], "web-denied", Act("web", &["access", "denied"], "success")),
    (&["web site", "allowed"], "web-allowed", Act("web", &["access", "allowed"], "success")),
    (&["web site hit"], "web-hit", Act("web", &["access"], "success")),
    (&["connection opened"], "connection-opened", Act("network", &["connection", "start"], "success")),
    (&["connection closed"], "connection-closed", Act("network", &["connection", "end"], "success")),
    (&["connection", "dropped"], "connection-denied", DENIED),
    (&["connection", "denied"], "connection-denied", DENIED),
    (&["dropped"], "packet-dropped", DROPPED),
    (&["policy", "deleted"], "configuration-changed", Act("configuration", &["deletion"], "success")),
    (&["policy", "added"], "configuration-changed", Act("configuration", &["creation"], "success")),
    (&["policy", "modified"], "configuration-changed", Act("configuration", &["change"], "success")),
    (&["configuration", "changed"], "configuration-changed", Act("configuration", &["change"], "success")),
    (&["configuration", "modified"], "configuration-changed", Act("configuration", &["change"], "success")),
];

/// Whether a message that begins with `id=` is SonicOS's.
pub(super) fn is_sonicwall(message: &str) -> bool {
    let has = |text: &str| memchr::memmem::find(message.as_bytes(), text.as_bytes()).is_some();
    has(" sn=") && has(" fw=") && has(" pri=")
}

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let pairs = key_value::pairs(message);
    let stamp = value(&pairs, "time").and_then(|text| moment(text, context)).or(parts.timestamp);
    let mut event = context.event(stamp, "sonicwall", "sonicwall_firewall.log");
    observer(&mut event, "SonicWall", "SonicOS", "firewall");
    set_all(&mut event, HOME, TABLE, &pairs);
    set_side(&mut event, &pairs, "src");
    set_side(&mut event, &pairs, "dst");
    for (key, address, port) in [
        ("natSrc", Field::SOURCE_NAT_IP, Field::SOURCE_NAT_PORT),
        ("natDst", Field::DESTINATION_NAT_IP, Field::DESTINATION_NAT_PORT),
    ] {
        if let Some(text) = value(&pairs, key) {
            super::set_socket(&mut event, address, port, text);
        }
    }
    if let Some(address) = value(&pairs, "fw") {
        event.set_named("observer.ip", Text::from(address));
    }
    if let Some(level) = value(&pairs, "pri").and_then(|text| text.parse::<u8>().ok()).filter(|level| *level < 8) {
        event.set(Field::LOG_LEVEL, crate::normalize::syslog::severity_name(level));
    }
    // `tcp/https`, `udp/53`.
    if let Some(told) = value(&pairs, "proto") {
        let (transport, protocol) = told.split_once('/').unwrap_or((told, ""));
        set_text(&mut event, Field::NETWORK_TRANSPORT, transport);
        if !protocol.bytes().all(|byte| byte.is_ascii_digit()) {
            set_text(&mut event, Field::NETWORK_PROTOCOL, protocol);
        }
    }
    if let Some(method) = match value(&pairs, "op") {
        Some("1" | "GET") => Some("GET"),
        Some("2" | "POST") => Some("POST"),
        Some("3" | "HEAD") => Some("HEAD"),
        _ => None,
    } {
        event.set(Field::HTTP_REQUEST_METHOD, method);
    }
    let told = value(&pairs, "msg").unwrap_or_default();
    match said(SAID, told) {
        Some(known) => {
            mean(&mut event, known);
            if matches!(known.1.0, "intrusion_detection" | "malware") {
                event.set(Field::EVENT_KIND, "alert");
                event.set(Field::RULE_NAME, Text::from(told.split_once(": ").map_or(told, |(_, name)| name)));
            }
        }
        None if event.get(Field::SOURCE_IP).is_some() && event.get(Field::DESTINATION_IP).is_some() => {
            act(&mut event, Act("network", &["connection", "info"], ""));
        }
        None => act(&mut event, Act("host", &["info"], "")),
    }
    match value(&pairs, "fw_action") {
        Some("drop") => event.set(Field::EVENT_ACTION, "packet-dropped"),
        Some("forward") => event.set(Field::EVENT_ACTION, "packet-forwarded"),
        Some("mgmt") => event.set(Field::EVENT_ACTION, "packet-management"),
        _ => {}
    }
    event
}

/// `2026-11-23 09:10:00 UTC`: the zone stands there where UTC was asked for.
fn moment(text: &str, context: &Context<'_>) -> Option<nhatle_event::Timestamp> {
    match text.strip_suffix(" UTC") {
        Some(text) => stamp::moment_in(text, context, 0),
        None => stamp::moment(text, context),
    }
}

/// `10.45.0.9:5000:X0:name`, or its address in `srcV6` with nothing before the first colon.
fn set_side(event: &mut Event, pairs: &[(&str, Cow<'_, str>)], side: &str) {
    let [address, port, interface, name] = match side {
        "src" => [Field::SOURCE_IP, Field::SOURCE_PORT, Field::OBSERVER_INGRESS_INTERFACE_NAME, Field::SOURCE_DOMAIN],
        _ => [
            Field::DESTINATION_IP,
            Field::DESTINATION_PORT,
            Field::OBSERVER_EGRESS_INTERFACE_NAME,
            Field::DESTINATION_DOMAIN,
        ],
    };
    let mut pieces = value(pairs, side).unwrap_or_default().splitn(4, ':');
    for field in [address, port, interface, name] {
        set_text(event, field, pieces.next().unwrap_or_default());
    }
    set_text(event, address, value(pairs, if side == "src" { "srcV6" } else { "dstV6" }).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn connections_attacks_and_sign_ins() {
        let line = |more: &str| {
            format!(r#"<134>id=fw-cho sn=0040100A0001 time="2026-11-23 02:10:00 UTC" fw=192.0.2.1 pri=6 c=1024 {more}"#)
        };
        check(
            &line(
                r#"m=537 msg="Connection Closed" n=7 src=10.45.0.9:5000:X0 dst=203.0.113.9:443:X1:a.example proto=tcp/https sent=100 rcvd=200 rule="1 (LAN->WAN)""#,
            ),
            None,
            &[
                ("event.dataset", "sonicwall_firewall.log"),
                ("event.code", "537"),
                ("event.category", "network"),
                ("event.type", "connection,end"),
                ("source.ip", "10.45.0.9"),
                ("source.port", "5000"),
                ("destination.ip", "203.0.113.9"),
                ("destination.domain", "a.example"),
                ("network.transport", "tcp"),
                ("network.protocol", "https"),
                ("network.bytes", "300"),
                ("observer.ingress.interface.name", "X0"),
            ],
        );
        check(
            &line(
                r#"m=30 msg="Administrator login denied due to bad credentials" usr="admin" src=203.0.113.9:0:X1 dst=192.0.2.1:443:X1"#,
            ),
            None,
            &[("event.category", "authentication"), ("event.outcome", "failure"), ("user.name", "admin")],
        );
        check(
            &line(r#"m=29 msg="Administrator login allowed" usr="admin" src=10.45.0.9:0:X0 dst=10.45.0.1:443:X0"#),
            None,
            &[("event.category", "authentication"), ("event.outcome", "success")],
        );
        check(
            &line(
                r#"m=608 msg="IPS Detection Alert: ICMP la" sid=310 ipscat="ICMP" src=203.0.113.9:3:X1 dst=10.45.0.5::X0"#,
            ),
            None,
            &[("event.kind", "alert"), ("rule.name", "ICMP la"), ("rule.id", "310"), ("destination.ip", "10.45.0.5")],
        );
    }
}
