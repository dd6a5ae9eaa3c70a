//! Sophos UTM (SG, the former Astaro): `id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="…" key="value"`.
//!
//! In: the message of one of its own programs (packet filter, web proxy, mail, reverse proxy, IPS, ATP, sign-ins, VPN). Out: the event in ECS, all
//! values under `sophos.utm.*`. What its other programs write (sshd, named, dhcpd) is theirs. Failure: none; a
//! value that does not fit is left out. Source: Sophos UTM 9.7, "Log file reference".

use nhatle_event::{Event, Field, Text};

use super::{Act, Row, act, observer, set_pairs, set_text, verdict};
use crate::normalize::Context;
use crate::parse::Syslog;
use crate::parse::key_value::{self, Pairs};

const HOME: &str = "sophos.utm.";

const TABLE: &[Row] = &[
    ("id", Field::EVENT_CODE),
    ("severity", Field::LOG_LEVEL),
    ("name", Field::MESSAGE),
    ("reason", Field::EVENT_REASON),
    ("action", Field::EVENT_ACTION),
    ("event", Field::EVENT_ACTION),
    ("fwrule", Field::RULE_ID),
    ("sid", Field::RULE_ID),
    ("threatname", Field::RULE_NAME),
    ("virus", Field::RULE_NAME),
    ("class", Field::RULE_CATEGORY),
    ("categoryname", Field::RULE_CATEGORY),
    ("initf", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("outitf", Field::OBSERVER_EGRESS_INTERFACE_NAME),
    ("srcmac", Field::SOURCE_MAC),
    ("dstmac", Field::DESTINATION_MAC),
    ("srcip", Field::SOURCE_IP),
    ("dstip", Field::DESTINATION_IP),
    ("localip", Field::DESTINATION_IP),
    ("srcport", Field::SOURCE_PORT),
    ("dstport", Field::DESTINATION_PORT),
    ("port", Field::DESTINATION_PORT),
    ("proto", Field::NETWORK_TRANSPORT),
    ("app", Field::NETWORK_APPLICATION),
    ("user", Field::SOURCE_USER_NAME),
    ("username", Field::SOURCE_USER_NAME),
    ("ad_domain", Field::USER_DOMAIN),
    ("virtual_ip", Field::SOURCE_NAT_IP),
    ("method", Field::HTTP_REQUEST_METHOD),
    ("statuscode", Field::HTTP_RESPONSE_STATUS_CODE),
    ("url", Field::URL_ORIGINAL),
    ("server", Field::URL_DOMAIN),
    ("referer", Field::HTTP_REQUEST_REFERRER),
    ("ua", Field::USER_AGENT_ORIGINAL),
    ("sha", Field::FILE_HASH_SHA256),
    ("filename", Field::FILE_NAME),
];

/// Sub-system, data set, category, whether it is an alert.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("packetfilter", "sophos.firewall", "network", false),
    ("http", "sophos.web", "web", false),
    ("smtp", "sophos.mail", "email", false),
    ("pop3", "sophos.mail", "email", false),
    ("ips", "sophos.ips", "intrusion_detection", true),
    ("atp", "sophos.atp", "intrusion_detection", true),
    ("reverseproxy", "sophos.waf", "web", false),
    ("auth", "sophos.event", "authentication", false),
    ("vpn", "sophos.event", "network", false),
];

/// Whether a message is of one of UTM's own programs.
pub fn is_utm(message: &str) -> bool {
    let front = message.as_bytes().get(..message.len().min(120)).unwrap_or_default();
    let has = |what: &[u8]| memchr::memmem::find(front, what).is_some();
    (message.starts_with("id=\"") && has(b" sys=\"") && has(b" sub=\""))
        || (message.starts_with("srcip=\"") && has(b" localip=\"") && has(b" size=\""))
}

/// The event of such a message.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let pairs = key_value::pairs(message);
    let threat = value(&pairs, "threatname").map(|_| "atp");
    // The reverse proxy writes no sub-system.
    let sub = threat.or_else(|| value(&pairs, "sub")).unwrap_or("reverseproxy").to_ascii_lowercase();
    let known = KINDS.iter().find(|(name, ..)| *name == sub);
    let (_, dataset, category, is_alert) = known.copied().unwrap_or(("", "sophos.utm", "host", false));
    let mut event = context.event(parts.timestamp, "sophos", dataset);
    event.reserve(pairs.len() * 2);
    observer(&mut event, "Sophos", "UTM", "firewall");
    set_pairs(&mut event, HOME, TABLE, pairs.iter().map(|(key, value)| (*key, value.as_ref())));
    if is_alert {
        event.set(Field::EVENT_KIND, "alert");
        // What was found is told as the reason.
        if let Some(found) = value(&pairs, "reason").filter(|_| sub == "ips") {
            event.set(Field::RULE_NAME, Text::from(found));
        }
    }
    let bytes = if sub == "smtp" { Field::SOURCE_BYTES } else { Field::DESTINATION_BYTES };
    set_text(&mut event, bytes, value(&pairs, "size").unwrap_or_default());
    for (key, named) in [("from", "email.from.address"), ("to", "email.to.address"), ("subject", "email.subject")] {
        if let Some(text) = value(&pairs, key) {
            event.set_named(named, Text::from(text));
        }
    }
    if let Some(query) = value(&pairs, "query").filter(|_| sub == "reverseproxy") {
        event.set(Field::URL_QUERY, Text::from(query.trim_start_matches('?')));
    }
    if matches!(sub.as_str(), "http" | "smtp" | "pop3") {
        event.set(Field::NETWORK_PROTOCOL, sub.as_str());
    }
    if let Some(user) = event.text(Field::SOURCE_USER_NAME).map(Text::from) {
        event.set(Field::USER_NAME, user);
    }
    mean(&mut event, &pairs, category);
    event
}

fn mean(event: &mut Event, pairs: &Pairs<'_>, category: &'static str) {
    let told = value(pairs, "name").or_else(|| value(pairs, "event")).unwrap_or_default().to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
    let meaning = match category {
        "authentication" if has(&["fail", "denied"]) => Act(category, &["start"], "failure"),
        "authentication" if has(&["logout", "logged out"]) => Act(category, &["end"], "success"),
        "authentication" if has(&["success", "logged in", "login"]) => Act(category, &["start"], "success"),
        "network" if has(&["started"]) => Act(category, &["connection", "start"], "success"),
        "network" if has(&["terminated", "ended"]) => Act(category, &["connection", "end"], "success"),
        "network" => Act(category, &["connection"], ""),
        _ => Act(category, &["info"], ""),
    };
    act(event, meaning);
    let action = value(pairs, "action").unwrap_or_default();
    let types = verdict(action);
    let types = if types.is_empty() && has(&["dropped", "rejected", "blocked"]) { &["denied"] } else { types };
    for kind in types {
        event.add(Field::EVENT_TYPE, *kind);
    }
}

fn value<'a>(pairs: &'a Pairs<'_>, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
    found.filter(|value| !matches!(*value, "" | "-"))
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn packets_pages_mail_and_people() {
        let dropped = r#"<30>2026:11:23-09:10:00 utm-01 ulogd[5000]: id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped" action="drop" fwrule="60002" initf="eth1" srcmac="00:11:22:33:44:55" srcip="203.0.113.9" dstip="10.45.0.5" proto="6" length="60" srcport="50000" dstport="22" tcpflags="SYN""#;
        let told = [
            ("event.dataset", "sophos.firewall"),
            ("host.name", "utm-01"),
            ("source.ip", "203.0.113.9"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("rule.id", "60002"),
            ("event.type", "connection,denied"),
            ("event.code", "2001"),
            ("sophos.utm.tcpflags", "SYN"),
        ];
        check(dropped, None, &told);
        check(dropped, Some(Profile::Sophos), &told);
        check(
            r#"<30>2026:11:23-09:10:00 utm-01 httpproxy[5000]: id="0001" severity="info" sys="SecureWeb" sub="http" name="http access" action="pass" method="GET" srcip="10.45.0.9" dstip="203.0.113.9" user="an" statuscode="200" size="1000" url="http://a.example/x" ua="curl""#,
            None,
            &[
                ("user.name", "an"),
                ("url.path", "/x"),
                ("http.response.status_code", "200"),
                ("destination.bytes", "1000"),
                ("event.category", "web"),
            ],
        );
        check(
            r#"<30>2026:11:23-09:10:00 utm-01 aua[5000]: id="3006" severity="info" sys="System" sub="auth" name="Authentication failed" srcip="203.0.113.9" user="an" caller="portal" reason="DENIED""#,
            Some(Profile::Sophos),
            &[("event.outcome", "failure"), ("source.ip", "203.0.113.9"), ("user.name", "an")],
        );
        check(
            r#"<30>2026:11:23-09:10:00 utm-01 afcd[5000]: id="2022" severity="warn" sys="SecureNet" sub="packetfilter" name="Packet dropped (ATP)" srcip="10.45.0.9" dstip="203.0.113.9" proto="17" threatname="C2/Generic-A" action="drop""#,
            None,
            &[("event.kind", "alert"), ("rule.name", "C2/Generic-A"), ("event.dataset", "sophos.atp")],
        );
        check(
            r#"<30>2026:11:23-09:10:00 utm-01 reverseproxy: srcip="203.0.113.9" localip="192.0.2.1" size="10" user="-" host="203.0.113.9" method="GET" statuscode="403" url="/x" server="a.example" port="443" query="?a=1""#,
            None,
            &[("event.dataset", "sophos.waf"), ("url.domain", "a.example"), ("url.query", "a=1")],
        );
        // Its other programs are what they are everywhere.
        check(
            "<30>2026:11:23-09:10:00 utm-01 sshd[5000]: Failed password for invalid user x from 203.0.113.9 port 5 ssh2",
            None,
            &[("source.ip", "203.0.113.9"), ("event.outcome", "failure"), ("host.name", "utm-01")],
        );
    }
}
