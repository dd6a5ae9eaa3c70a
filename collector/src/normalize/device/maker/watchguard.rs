//! WatchGuard Fireware: `SERIAL firewall: msg_id="3000-0148" Deny 0-External Firebox 52 tcp 20 127 203.0.113.9 192.0.2.1 4411 22 … (policy-00)`.
//!
//! In: a message with `msg_id="` behind serial number and program. Out: packets and requests with verdict, sign-ins; values that have names
//! under `watchguard.*`. Failure: none. Source: WatchGuard, "Fireware log catalog", "Read a log message".

use std::net::IpAddr;
use std::sync::LazyLock;

use nhatle_event::{Event, Field, Text};

use super::{Act, LOGIN, LOGOUT, REFUSED, Row, act, key_value, observer, set_all, set_text, value};
use crate::normalize::Context;
use crate::normalize::device::template::{Rows, Wordings};
use crate::parse::Syslog;

const TABLE: &[Row] = &[
    ("msg_id", Field::EVENT_CODE),
    ("src_user", Field::USER_NAME),
    ("op", Field::HTTP_REQUEST_METHOD),
    ("dstname", Field::URL_DOMAIN),
    ("arg", Field::URL_ORIGINAL),
    ("sent_bytes", Field::SOURCE_BYTES),
    ("rcvd_bytes", Field::DESTINATION_BYTES),
    ("src_ip_nat", Field::SOURCE_NAT_IP),
    ("src_port_nat", Field::SOURCE_NAT_PORT),
    ("dst_ip_nat", Field::DESTINATION_NAT_IP),
    ("dst_port_nat", Field::DESTINATION_NAT_PORT),
    ("app_name", Field::NETWORK_APPLICATION),
    ("signature_name", Field::RULE_NAME),
    ("signature_id", Field::RULE_ID),
    ("virus", Field::RULE_NAME),
    ("reason", Field::EVENT_REASON),
    ("geo_src", Field::SOURCE_GEO_COUNTRY_ISO_CODE),
    ("geo_dst", Field::DESTINATION_GEO_COUNTRY_ISO_CODE),
];

const PEOPLE: Rows = &[
    ("Authentication of <> user [<user.name*>] from <source.ip> was rejected, <event.reason>", "login-failed", REFUSED),
    ("Authentication of <> user [<user.name*>] from <source.ip> was rejected", "login-failed", REFUSED),
    ("Authentication of <> user [<user.name*>] from <source.ip> was accepted", "logged-in", LOGIN),
    (
        "Authentication server <> user [<user.name*>] from <source.ip> was rejected, <event.reason>",
        "login-failed",
        REFUSED,
    ),
    ("Management user <user.name*> from <source.ip> logged in", "logged-in", LOGIN),
    ("Management user <user.name*> from <source.ip> logged out", "logged-out", LOGOUT),
    (
        "Management user <user.name*> from <source.ip> log in attempt was rejected<event.reason>",
        "login-failed",
        REFUSED,
    ),
    ("SSL VPN user <user.name*> from <source.ip> logged in<>", "logged-in", LOGIN),
    ("SSL VPN user <user.name*> from <source.ip> logged out<>", "logged-out", LOGOUT),
    ("<> VPN user <user.name*> from <source.ip> logged in<>", "logged-in", LOGIN),
    ("<> VPN user <user.name*> from <source.ip> logged out<>", "logged-out", LOGOUT),
    ("Firewall user <user.name*> from <source.ip> logged in<>", "logged-in", LOGIN),
    ("Firewall user <user.name*> from <source.ip> logged out<>", "logged-out", LOGOUT),
];

static WORDINGS: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(PEOPLE));

/// How far into a message `msg_id="` may stand.
const MARK_AT_MAX: usize = 120;

/// Whether a message is a Firebox's.
pub(super) fn is_watchguard(message: &str) -> bool {
    let front = message.as_bytes().get(..message.len().min(MARK_AT_MAX)).unwrap_or_default();
    memchr::memmem::find(front, b": msg_id=\"").is_some()
}

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let at = message.find("msg_id=\"").unwrap_or_default();
    let (front, body) = message.split_at(at);
    let mut event = context.event(parts.timestamp, "watchguard_firebox", "watchguard_firebox.log");
    observer(&mut event, "WatchGuard", "Firebox", "firewall");
    let serial = front.split(' ').next().filter(|word| word.len() == 13 && !word.contains(':'));
    set_text(&mut event, Field::OBSERVER_SERIAL_NUMBER, serial.unwrap_or_default());
    let program = front.trim_end_matches([' ', ':']).rsplit(' ').next().or(parts.app).unwrap_or_default();
    let (name, pid) = program.split_once('[').unwrap_or((program, ""));
    set_text(&mut event, Field::PROCESS_NAME, parts.app.unwrap_or(name));
    set_text(&mut event, Field::PROCESS_PID, pid.trim_end_matches(']'));
    let pairs = key_value::pairs(body);
    set_all(&mut event, "watchguard.", TABLE, &pairs);
    // `msg_id="3000-0148" `
    let told = body.splitn(3, '"').nth(2).unwrap_or_default().trim_start();
    event.set(Field::MESSAGE, Text::from(told));
    let (verdict, rest) = told.split_once(' ').unwrap_or((told, ""));
    if matches!(verdict, "Allow" | "Deny") {
        passed(&mut event, verdict, rest, &pairs);
    } else if WORDINGS.fill(told, &mut event) {
        let user = event.text(Field::USER_NAME).map(Text::from);
        if let Some((user, domain)) = user.as_deref().and_then(|user| user.rsplit_once('@')) {
            event.set(Field::USER_NAME, Text::from(user));
            event.set(Field::USER_DOMAIN, Text::from(domain));
        }
    } else {
        act(&mut event, Act("host", &["info"], ""));
    }
    event
}

/// `1-Trusted 0-External 40 tcp 20 63 10.45.0.9 203.0.113.9 5000 443 …`; a proxy leaves the numbers before the addresses out.
fn passed(event: &mut Event, verdict: &str, rest: &str, pairs: &super::Values<'_>) {
    const WORDS_MAX: usize = 16;
    let words: Vec<&str> = rest.split(' ').filter(|word| !word.is_empty()).take(WORDS_MAX).collect();
    set_text(event, Field::OBSERVER_INGRESS_INTERFACE_NAME, words.first().copied().unwrap_or_default());
    set_text(event, Field::OBSERVER_EGRESS_INTERFACE_NAME, words.get(1).copied().unwrap_or_default());
    let address = |at: usize| words.get(at).and_then(|word| word.parse::<IpAddr>().ok());
    let Some(at) = (2..words.len()).find(|at| address(*at).is_some() && address(at + 1).is_some()) else { return };
    let protocol =
        words.get(2..at).unwrap_or_default().iter().find(|word| !word.bytes().all(|byte| byte.is_ascii_digit()));
    let (protocol, transport) = protocol.map_or(("", ""), |word| word.split_once('/').unwrap_or(("", word)));
    set_text(event, Field::NETWORK_PROTOCOL, protocol);
    set_text(event, Field::NETWORK_TRANSPORT, transport);
    for (place, field) in [(at, Field::SOURCE_IP), (at + 1, Field::DESTINATION_IP)] {
        set_text(event, field, words.get(place).copied().unwrap_or_default());
    }
    if matches!(transport, "tcp" | "udp") {
        for (place, field) in [(at + 2, Field::SOURCE_PORT), (at + 3, Field::DESTINATION_PORT)] {
            set_text(event, field, words.get(place).copied().unwrap_or_default());
        }
    }
    let policy = rest.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once('(')).map(|(_, name)| name);
    if event.get(Field::RULE_NAME).is_none() {
        set_text(event, Field::RULE_NAME, policy.unwrap_or_default());
    }
    let kinds: &[&str] = if verdict == "Deny" { &["connection", "denied"] } else { &["connection", "allowed"] };
    event.set(Field::EVENT_ACTION, verdict.to_ascii_lowercase());
    act(event, Act("network", kinds, "success"));
    if value(pairs, "signature_name").is_some() || value(pairs, "virus").is_some() {
        event.set(Field::EVENT_KIND, "alert");
        let category = if value(pairs, "virus").is_some() { "malware" } else { "intrusion_detection" };
        event.add(Field::EVENT_CATEGORY, category);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn packets_requests_and_sign_ins() {
        let line = |rest: &str| format!("<140>Nov 23 02:10:00 fb-cho 80A602900001A {rest}");
        check(
            &line(
                r#"firewall: msg_id="3000-0148" Deny 0-External Firebox 52 tcp 20 127 203.0.113.9 192.0.2.1 4411 22 offset 8 S 1 win 32 (Unhandled External Packet-00)"#,
            ),
            None,
            &[
                ("event.dataset", "watchguard_firebox.log"),
                ("event.type", "connection,denied"),
                ("source.ip", "203.0.113.9"),
                ("source.port", "4411"),
                ("destination.ip", "192.0.2.1"),
                ("destination.port", "22"),
                ("network.transport", "tcp"),
                ("rule.name", "Unhandled External Packet-00"),
                ("event.code", "3000-0148"),
            ],
        );
        check(
            &line(
                r#"http-proxy[77]: msg_id="1AFF-0024" Allow 1-Trusted 0-External tcp 10.45.0.9 203.0.113.9 5000 80 msg="HTTP request" op="GET" dstname="a.example" arg="/b" sent_bytes="1" rcvd_bytes="2" (HTTP-proxy-00)"#,
            ),
            None,
            &[("http.request.method", "GET"), ("network.bytes", "3"), ("process.pid", "77"), ("source.port", "5000")],
        );
        check(
            &line(
                r#"admd[7]: msg_id="1100-0005" Authentication of SSLVPN user [lan@Firebox-DB] from 203.0.113.9 was rejected, password is incorrect"#,
            ),
            None,
            &[("user.name", "lan"), ("source.ip", "203.0.113.9"), ("event.outcome", "failure")],
        );
    }
}
