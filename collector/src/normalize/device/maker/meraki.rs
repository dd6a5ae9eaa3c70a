//! Cisco Meraki: `1 1795399800.125 NAME flows src=… dst=… …`.
//!
//! In: a message that begins with a version, seconds and a name. Out: flows, URLs, attacks, wireless and VPN events; values under
//! `cisco_meraki.*`. Failure: none. Source: Cisco Meraki, "Syslog Event Types and Log Samples".

use nhatle_event::{Event, Field, Text};

use super::{
    Act, LOGIN, LOGOUT, REFUSED, Row, Values, act, key_value, mean, observer, set_all, set_socket, set_text, value,
};
use crate::normalize::Context;
use crate::normalize::device::stamp;
use crate::parse::Syslog;

const HOME: &str = "cisco_meraki.";

const TABLE: &[Row] = &[
    ("protocol", Field::NETWORK_TRANSPORT),
    ("sport", Field::SOURCE_PORT),
    ("dport", Field::DESTINATION_PORT),
    ("translated_src_ip", Field::SOURCE_NAT_IP),
    ("translated_dst_ip", Field::DESTINATION_NAT_IP),
    ("mac", Field::SOURCE_MAC),
    ("client_mac", Field::SOURCE_MAC),
    ("dhost", Field::DESTINATION_MAC),
    ("agent", Field::USER_AGENT_ORIGINAL),
    ("identity", Field::USER_NAME),
    ("signature", Field::RULE_ID),
    ("name", Field::FILE_NAME),
    ("sha256", Field::FILE_HASH_SHA256),
    ("url", Field::URL_ORIGINAL),
    ("decision", Field::EVENT_ACTION),
];

const TALK: Act = Act("network", &["connection", "info"], "");

/// What an event is called, action, meaning.
const KINDS: &[(&str, &str, Act)] = &[
    ("association", "wifi-association-request", Act("network", &["access", "connection"], "")),
    ("disassociation", "wifi-disassociation-request", Act("network", &["access", "end"], "")),
    ("wpa_auth", "wifi-wpa-authentication", Act("authentication", &["start"], "")),
    ("wpa_deauth", "wifi-wpa-failed-auth-or-deauth", Act("authentication", &["end"], "")),
    ("8021x_eap_success", "wifi-8021x-auth", LOGIN),
    ("8021x_eap_failure", "wifi-8021x-failed-authentication-attempt", REFUSED),
    ("8021x_auth", "wifi-8021x-auth", Act("authentication", &["start"], "")),
    ("8021x_deauth", "wifi-8021x-failed-auth-or-deauth", Act("authentication", &["end"], "")),
    ("8021x_client_deauth", "wifi-8021x-failed-auth-or-deauth", Act("authentication", &["end"], "")),
    ("splash_auth", "splash-authentication", Act("authentication", &["start"], "")),
    ("vpn_connectivity_change", "vpn-connectivity-change", Act("session", &["info"], "")),
    ("vpn_registry_change", "vpn-registry-change", Act("session", &["info"], "")),
    ("device_packet_flood", "wireless-packet-flood-detected", Act("intrusion_detection", &["info"], "")),
    ("rogue_ssid_detected", "rogue-ssid-detected", Act("intrusion_detection", &["info"], "")),
    ("ssid_spoofing_detected", "ssid-spoofing-detected", Act("intrusion_detection", &["info"], "")),
    ("dfs_event", "dynamic-frequency-selection-detected", Act("network", &["info"], "")),
    ("ids_alerted", "ids-signature-matched", Act("intrusion_detection", &["info"], "")),
    ("security_filtering_file_scanned", "malicious-file-actioned", Act("malware", &["info"], "")),
    (
        "security_filtering_disposition_change",
        "issued-retrospective-malicious-disposition",
        Act("malware", &["info"], ""),
    ),
];

/// Whether a message is an access point's, a switch's or a gateway's.
pub(super) fn is_meraki(message: &str) -> bool {
    let Some(rest) = message.strip_prefix("1 ") else { return false };
    let Some((seconds, rest)) = rest.split_once(' ') else { return false };
    let is_epoch = seconds.split_once('.').is_some_and(|(whole, part)| {
        whole.len() == 10 && whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit())
    });
    let kind = rest.split(' ').nth(1).unwrap_or_default();
    is_epoch
        && matches!(
            kind,
            "flows"
                | "firewall"
                | "vpn_firewall"
                | "cellular_firewall"
                | "bridge_anyconnect_client_vpn_firewall"
                | "l7_firewall"
                | "urls"
                | "events"
                | "ids-alerts"
                | "security_event"
                | "airmarshal_events"
                | "ip_flow_start"
                | "ip_flow_end"
        )
}

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let mut words = message.splitn(5, ' ').skip(1);
    let (seconds, name, kind) =
        (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let rest = words.next().unwrap_or_default();
    let stamp = stamp::moment(seconds, context).or(parts.timestamp);
    let mut event = context.event(stamp, "cisco_meraki", "cisco_meraki.log");
    observer(&mut event, "Cisco", "Meraki", if kind.contains("flow") { "firewall" } else { "wireless" });
    event.set(Field::OBSERVER_NAME, Text::from(name));
    event.set_named("observer.hostname", Text::from(name));
    event.set(Field::MESSAGE, Text::from(rest));
    event.set_named("cisco_meraki.event_type", Text::from(kind));
    // Behind these words stands free text.
    let told = [" pattern: ", " request: ", " message: "].iter().find_map(|mark| rest.split_once(mark));
    let pairs = key_value::pairs(told.map_or(rest, |(pairs, _)| pairs));
    set_all(&mut event, HOME, TABLE, &pairs);
    for (key, address, port) in
        [("src", Field::SOURCE_IP, Field::SOURCE_PORT), ("dst", Field::DESTINATION_IP, Field::DESTINATION_PORT)]
    {
        if let Some(text) = value(&pairs, key) {
            set_socket(&mut event, address, port, text);
        }
    }
    if let Some(port) = value(&pairs, "translated_port") {
        let is_source = event.get(Field::SOURCE_NAT_IP).is_some();
        set_text(&mut event, if is_source { Field::SOURCE_NAT_PORT } else { Field::DESTINATION_NAT_PORT }, port);
    }
    let subtype = value(&pairs, "type").unwrap_or_else(|| rest.split(' ').next().unwrap_or_default());
    let told = told.map_or("", |(_, told)| told);
    match kind {
        "urls" => url(&mut event, told),
        "events" | "ids-alerts" | "security_event" | "airmarshal_events" => {
            happening(&mut event, &pairs, rest, if kind == "ids-alerts" { "ids_alerted" } else { subtype }, told);
        }
        "ip_flow_start" => mean(&mut event, ("ip-flow-start", Act("network", &["connection", "start"], ""))),
        "ip_flow_end" => mean(&mut event, ("ip-flow-end", Act("network", &["connection", "end"], ""))),
        _ => flow(&mut event, &pairs, rest, told),
    }
    event
}

/// A flow with the rule that let it pass or not: `pattern: allow all`, `allow` or `deny` in front.
fn flow(event: &mut Event, pairs: &Values<'_>, rest: &str, told: &str) {
    let decision = value(pairs, "decision").unwrap_or_default();
    let verdict = rest.split(' ').next().filter(|word| matches!(*word, "allow" | "deny"));
    match verdict.or_else(|| told.split(' ').next()).unwrap_or_default() {
        "allow" => {
            mean(event, ("layer3-firewall-allowed-flow", Act("network", &["connection", "allowed"], "success")));
        }
        "deny" => mean(event, ("layer3-firewall-denied-flow", Act("network", &["connection", "denied"], "success"))),
        _ if decision == "blocked" => act(event, Act("network", &["connection", "denied"], "success")),
        _ => act(event, TALK),
    }
}

/// `request: GET https://a.example/b`.
fn url(event: &mut Event, told: &str) {
    let (method, target) = told.split_once(' ').unwrap_or(("", told));
    if method != "UNKNOWN" {
        set_text(event, Field::HTTP_REQUEST_METHOD, method);
    }
    set_text(event, Field::URL_ORIGINAL, target.trim_end_matches('.'));
    mean(event, ("http-access", Act("web", &["access"], "")));
}

/// What happened on the network or the device.
fn happening(event: &mut Event, pairs: &Values<'_>, rest: &str, subtype: &str, told: &str) {
    if let Some((_, action, meaning)) = KINDS.iter().find(|(known, ..)| *known == subtype) {
        mean(event, (*action, *meaning));
        if matches!(meaning.0, "intrusion_detection" | "malware") {
            event.set(Field::EVENT_KIND, "alert");
            set_text(event, Field::RULE_NAME, told);
            event.remove(Field::NETWORK_TRANSPORT);
            set_text(
                event,
                Field::NETWORK_TRANSPORT,
                value(pairs, "protocol").unwrap_or_default().trim_end_matches("/ip"),
            );
        }
        if value(pairs, "action") == Some("block") || value(pairs, "decision") == Some("blocked") {
            event.add(Field::EVENT_TYPE, "denied");
        }
        if let Some(peer) = value(pairs, "peer_contact") {
            set_socket(event, Field::DESTINATION_IP, Field::DESTINATION_PORT, peer);
        }
        return;
    }
    // `client_vpn_connect user id 'lan' local ip 10.45.9.4 connected from 203.0.113.9`: the name is the stranger's, so the end counts.
    if let Some(body) = rest.strip_prefix("client_vpn_connect user id '") {
        mean(event, ("client-vpn-connect", Act("session", &["start"], "success")));
        if let Some((user, after)) = body.rsplit_once("' local ip ") {
            event.set(Field::USER_NAME, Text::from(user));
            let (inner, peer) = after.split_once(" connected from ").unwrap_or((after, ""));
            set_text(event, Field::SOURCE_IP, peer.trim());
            set_text(event, Field::SOURCE_NAT_IP, inner.trim());
        }
    } else if let Some(body) = rest.strip_prefix("client_vpn_disconnect user id '") {
        mean(event, ("client-vpn-disconnect", LOGOUT));
        if let Some((user, _)) = body.split_once('\'') {
            event.set(Field::USER_NAME, Text::from(user));
        }
    } else if rest.to_ascii_lowercase().starts_with("site-to-site vpn") {
        mean(event, ("site-to-site-vpn", Act("session", &["info"], "")));
    } else {
        act(event, Act("network", &["info"], ""));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn flows_addresses_and_happenings() {
        let line = |rest: &str| format!("<134>1 1795399800.125000000 MX_CHO {rest}");
        let flow =
            "flows src=10.45.0.9 dst=203.0.113.9 mac=AA:BB:CC:00:11:22 protocol=tcp sport=5000 dport=443 pattern: ";
        check(
            &line(&format!("{flow}allow all")),
            None,
            &[
                ("event.dataset", "cisco_meraki.log"),
                ("event.type", "connection,allowed"),
                ("source.ip", "10.45.0.9"),
                ("source.port", "5000"),
                ("destination.port", "443"),
                ("network.transport", "tcp"),
                ("observer.name", "MX_CHO"),
            ],
        );
        check(&line(&format!("{flow}deny all")), None, &[("event.type", "connection,denied")]);
        check(
            &line(
                "urls src=10.45.0.9:5000 dst=203.0.113.9:443 mac=AA:BB:CC:00:11:22 request: GET https://a.example/b?c=1",
            ),
            None,
            &[("url.path", "/b"), ("http.request.method", "GET"), ("source.port", "5000"), ("event.category", "web")],
        );
        check(
            &line(
                "security_event ids_alerted signature=1:28423:1 priority=1 dhost=AA:BB:CC:00:11:22 direction=ingress protocol=tcp/ip src=203.0.113.9:80 dst=10.45.0.9:5000 message: La lung",
            ),
            None,
            &[
                ("event.kind", "alert"),
                ("rule.name", "La lung"),
                ("rule.id", "1:28423:1"),
                ("source.ip", "203.0.113.9"),
                ("network.transport", "tcp"),
            ],
        );
        check(
            &line("events client_vpn_connect user id 'lan' local ip 10.45.9.4 connected from 203.0.113.9"),
            None,
            &[("user.name", "lan"), ("source.ip", "203.0.113.9"), ("event.category", "session")],
        );
        check(
            &line("events type=8021x_eap_failure radio='0' vap='1' identity='lan' aid='5'"),
            None,
            &[("user.name", "lan"), ("event.outcome", "failure"), ("event.category", "authentication")],
        );
    }
}
