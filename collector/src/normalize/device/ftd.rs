//! Security events of Cisco FTD (`%FTD-n-430001` to `430005`): `Key: Value, Key: Value`.
//!
//! In: the text behind the mark. Out: connections, files, malware and intrusions in ECS, every value under
//! `cisco.ftd.*`. Promise: a key that comes twice (in a URL, say) counts the first time; nothing is refused. Source:
//! Cisco, "Secure Firewall Threat Defense Syslog Messages", Security Event Syslog Messages.

use nhatle_event::{Event, Field, Text, Value};

use super::{Act, Row, act, set_pairs, set_text};
use crate::normalize::tls;

/// How many pairs of one message are read.
const PAIRS_MAX: usize = 96;

const TABLE: &[Row] = &[
    ("SrcIP", Field::SOURCE_IP),
    ("DstIP", Field::DESTINATION_IP),
    ("SrcPort", Field::SOURCE_PORT),
    ("DstPort", Field::DESTINATION_PORT),
    ("Protocol", Field::NETWORK_TRANSPORT),
    ("IngressInterface", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("EgressInterface", Field::OBSERVER_EGRESS_INTERFACE_NAME),
    ("ACPolicy", Field::RULE_RULESET),
    ("AccessControlRuleName", Field::RULE_NAME),
    ("AccessControlRuleReason", Field::EVENT_REASON),
    ("InitiatorBytes", Field::SOURCE_BYTES),
    ("ResponderBytes", Field::DESTINATION_BYTES),
    ("InitiatorPackets", Field::SOURCE_PACKETS),
    ("ResponderPackets", Field::DESTINATION_PACKETS),
    ("NAT_InitiatorIP", Field::SOURCE_NAT_IP),
    ("NAT_InitiatorPort", Field::SOURCE_NAT_PORT),
    ("NAT_ResponderIP", Field::DESTINATION_NAT_IP),
    ("NAT_ResponderPort", Field::DESTINATION_NAT_PORT),
    ("SSLServerName", Field::TLS_CLIENT_SERVER_NAME),
    ("SSLCipherSuite", Field::TLS_CIPHER),
    ("URL", Field::URL_ORIGINAL),
    ("URI", Field::URL_ORIGINAL),
    ("HTTPReferer", Field::HTTP_REQUEST_REFERRER),
    ("HTTPResponse", Field::HTTP_RESPONSE_STATUS_CODE),
    ("UserAgent", Field::USER_AGENT_ORIGINAL),
    ("DNSQuery", Field::DNS_QUESTION_NAME),
    ("FileName", Field::FILE_NAME),
    ("FileSize", Field::FILE_SIZE),
    ("FileSHA256", Field::FILE_HASH_SHA256),
    ("ThreatName", Field::RULE_NAME),
    ("Message", Field::RULE_NAME),
    ("SID", Field::RULE_ID),
    ("Classification", Field::RULE_CATEGORY),
];

/// Types of DNS records as FTD writes them out, and their names. Source: IANA, "DNS Parameters".
const RECORD_TYPES: &[(&str, &str)] = &[
    ("a host address", "A"),
    ("ip6 address", "AAAA"),
    ("an authoritative name server", "NS"),
    ("the canonical name for an alias", "CNAME"),
    ("marks the start of a zone of authority", "SOA"),
    ("a domain name pointer", "PTR"),
    ("host information", "HINFO"),
    ("mail exchange", "MX"),
    ("text strings", "TXT"),
    ("server selection", "SRV"),
    ("naming authority pointer", "NAPTR"),
    ("delegation signer", "DS"),
    ("a request for all records the server/cache has available", "ANY"),
];

/// Answers of DNS servers as FTD writes them out, and their names. Source: IANA, "DNS Parameters".
const RESPONSES: &[(&str, &str)] = &[
    ("no error", "NOERROR"),
    ("format error", "FORMERR"),
    ("server failure", "SERVFAIL"),
    ("non-existent domain", "NXDOMAIN"),
    ("not implemented", "NOTIMP"),
    ("query refused", "REFUSED"),
    ("name exists when it should not", "YXDOMAIN"),
    ("rr set exists when it should not", "YXRRSET"),
    ("rr set that should exist does not", "NXRRSET"),
    ("not authorized", "NOTAUTH"),
    ("server not authoritative for zone", "NOTAUTH"),
    ("name not contained in zone", "NOTZONE"),
];

/// Message number, action, category, types.
const KINDS: &[(&str, &str, Act)] = &[
    ("430001", "intrusion-detected", Act("intrusion_detection", &["info"], "")),
    ("430002", "connection-started", Act("network", &["connection", "start"], "")),
    ("430003", "connection-finished", Act("network", &["connection", "end"], "")),
    ("430004", "file-detected", Act("file", &["info"], "")),
    ("430005", "malware-detected", Act("malware", &["info"], "")),
];

/// Sets what a security event tells; whether the number is one.
pub fn fill(code: &str, message: &str, event: &mut Event) -> bool {
    let Some((_, action, meaning)) = KINDS.iter().find(|(known, ..)| *known == code) else { return false };
    let pairs = pairs(message);
    let value = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    set_pairs(event, "cisco.ftd.", TABLE, pairs.iter().copied());
    event.set(Field::EVENT_ACTION, *action);
    act(event, *meaning);
    if matches!(code, "430001" | "430005") {
        event.set(Field::EVENT_KIND, "alert");
    }
    if let Some(verdict) = value("AccessControlRuleAction").or_else(|| value("FileAction")) {
        let lower = verdict.to_ascii_lowercase();
        let is_stopped = lower.starts_with("block") || lower.contains("reset");
        event.add(Field::EVENT_TYPE, if is_stopped { "denied" } else { "allowed" });
        if matches!(code, "430002" | "430003") {
            event.set(Field::EVENT_OUTCOME, if is_stopped { "failure" } else { "success" });
        }
    }
    if let Some(host) = value("ReferencedHost") {
        let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let bare = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(bare, _)| bare);
        set_text(event, Field::URL_DOMAIN, bare);
    }
    let named = |table: &[(&str, &'static str)], told: &str| {
        table.iter().find(|(known, _)| known.eq_ignore_ascii_case(told)).map(|(_, name)| *name)
    };
    if let Some(told) = value("DNSRecordType") {
        set_text(event, Field::DNS_QUESTION_TYPE, named(RECORD_TYPES, told).unwrap_or(told));
    }
    // FTD leaves the answer out where there was no error.
    match value("DNSResponseType") {
        Some(told) => set_text(event, Field::DNS_RESPONSE_CODE, named(RESPONSES, told).unwrap_or(told)),
        None if value("DNSQuery").or_else(|| value("DNSRecordType")).is_some() => {
            event.set(Field::DNS_RESPONSE_CODE, "NOERROR")
        }
        None => {}
    }
    // `No Authentication Required` is nobody; it is kept as Elastic's module has it, and ties no alerts together.
    if let Some(user) = value("User") {
        set_text(event, Field::USER_NAME, user);
        set_text(event, Field::USER_ID, user);
    }
    if let Some(version) = value("SSLVersion") {
        tls::set_version(event, version);
    }
    if let Some(address) = value("OriginalClientSrcIP").filter(|text| text.parse::<std::net::IpAddr>().is_ok()) {
        event.set_named("network.forwarded_ip", Text::from(address));
    }
    if let Some(protocol) = value("ApplicationProtocol") {
        event.set(Field::NETWORK_PROTOCOL, Text::from(protocol.to_ascii_lowercase().as_str()));
    }
    if let Some(seconds) = value("ConnectionDuration").and_then(|text| text.parse::<i64>().ok()) {
        event.set(Field::EVENT_DURATION, Value::Long(seconds.saturating_mul(1_000_000_000)));
    }
    true
}

/// The same for a message that came without its mark, told by the values it has; whether it is one.
pub fn fill_unmarked(message: &str, event: &mut Event) -> bool {
    let pairs = pairs(message);
    let has = |name: &str| pairs.iter().any(|(key, _)| *key == name);
    let known = pairs.iter().filter(|(key, _)| TABLE.iter().any(|(name, _)| name == key)).count();
    let code = match () {
        () if known < 2 || pairs.len() < 2 => return false,
        () if has("ThreatName") || has("SHA_Disposition") => "430005",
        () if has("FileAction") => "430004",
        () if has("SID") || has("GID") || has("Message") => "430001",
        () if has("ConnectionDuration") => "430003",
        () => "430002",
    };
    event.set(Field::EVENT_CODE, code);
    event.set(Field::MESSAGE, message);
    fill(code, message, event)
}

/// The pairs, each key once; a piece that begins no pair belongs to the value before it.
fn pairs(message: &str) -> Vec<(&str, &str)> {
    let is_key = |key: &str| {
        (2..=40).contains(&key.len())
            && key.starts_with(|c: char| c.is_ascii_uppercase())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-'))
    };
    // Where each pair begins, and how long its key is.
    let pieces = std::iter::once(0).chain(message.match_indices(", ").map(|(at, _)| at + 2));
    let starts: Vec<(usize, &str)> = pieces
        .filter_map(|at| {
            let rest = message.get(at..)?;
            let front = rest.get(..rest.len().min(48)).unwrap_or(rest);
            front.split_once(": ").map(|(key, _)| key).filter(|key| is_key(key)).map(|key| (at, key))
        })
        .take(PAIRS_MAX)
        .collect();
    let mut found: Vec<(&str, &str)> = Vec::with_capacity(starts.len());
    for (index, (at, key)) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(message.len(), |(next, _)| next - 2);
        let value = message.get(at + key.len() + 2..end).unwrap_or_default().trim();
        if !found.iter().any(|(known, _)| known == key) {
            found.push((key, value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn a_connection_and_what_its_url_says() {
        let line = "<113>2026-11-23T02:10:00Z ftd-01 : %FTD-1-430003: AccessControlRuleAction: Block, SrcIP: 10.45.0.31, DstIP: 203.0.113.80, SrcPort: 50330, DstPort: 80, Protocol: tcp, ACPolicy: default, AccessControlRuleName: No news, please, User: No Authentication Required, ApplicationProtocol: HTTP, ConnectionDuration: 2, InitiatorBytes: 60, ResponderBytes: 40, URL: http://news.example/a, SrcIP: 198.51.100.66";
        let told = [
            ("event.action", "connection-finished"),
            ("event.type", "connection,end,denied"),
            ("source.ip", "10.45.0.31"),
            ("destination.port", "80"),
            ("rule.name", "No news, please"),
            ("network.protocol", "http"),
            ("network.bytes", "100"),
            ("event.duration", "2000000000"),
            ("url.original", "http://news.example/a"),
            ("user.name", "No Authentication Required"),
            ("log.level", "alert"),
            ("cisco.ftd.ACPolicy", "default"),
        ];
        check(line, Some(Profile::CiscoAsa), &told);
        check(
            "%FTD-1-430001: SrcIP: 10.0.0.1, SID: 7, Message: \"LOCAL\"",
            None,
            &[("event.kind", "alert"), ("rule.id", "7")],
        );
        check(
            "%FTD-6-430003: SrcIP: 10.45.0.9, DstIP: 203.0.113.9, Protocol: tcp, NAT_InitiatorIP: 192.0.2.1, NAT_InitiatorPort: 4711, SSLVersion: TLSv1.3, SSLServerName: a.example, OriginalClientSrcIP: 198.51.100.7",
            None,
            &[
                ("source.nat.ip", "192.0.2.1"),
                ("source.nat.port", "4711"),
                ("tls.version", "1.3"),
                ("tls.client.server_name", "a.example"),
                ("network.forwarded_ip", "198.51.100.7"),
            ],
        );
        let long = format!("%FTD-1-430003: {}", "A1: b, ".repeat(20_000));
        check(&long, Some(Profile::CiscoAsa), &[("cisco.ftd.A1", "b")]);
    }
}
