//! F5 BIG-IP's application security, Citrix NetScaler.
//!
//! In: `ASM:unit_hostname="…",…`; ` 11/23/2026:02:10:00 GMT ns-01 0-PPE-0 : default SSLVPN LOGIN 7 0 : User lan - Client_ip … - …`. Out:
//! requests with verdict and what they broke; sign-ins, sessions, connections, commands; values under `f5.asm.*`, `citrix.*`. Failure: none.
//! Source: F5, "BIG-IP ASM: Logging application security events"; NetScaler, "Syslog message reference".

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text, Timestamp};

use super::{
    Act, LOGIN, LOGOUT, REFUSED, Row, Values, act, key_value, mean, observer, set_all, set_socket, set_text, value,
};
use crate::normalize::Context;
use crate::normalize::device::stamp;
use crate::parse::Syslog;

const ASM: &[Row] = &[
    ("unit_hostname", Field::OBSERVER_NAME),
    ("ip_client", Field::SOURCE_IP),
    ("src_port", Field::SOURCE_PORT),
    ("dest_ip", Field::DESTINATION_IP),
    ("dest_port", Field::DESTINATION_PORT),
    ("method", Field::HTTP_REQUEST_METHOD),
    ("response_code", Field::HTTP_RESPONSE_STATUS_CODE),
    ("uri", Field::URL_PATH),
    ("query_string", Field::URL_QUERY),
    ("username", Field::USER_NAME),
    ("support_id", Field::EVENT_ID),
    ("policy_name", Field::RULE_RULESET),
    ("sig_ids", Field::RULE_ID),
    ("sig_names", Field::RULE_NAME),
    ("attack_type", Field::RULE_CATEGORY),
    ("violations", Field::EVENT_REASON),
    ("request_status", Field::EVENT_ACTION),
];

/// The event of a request that BIG-IP's application security judged.
pub(super) fn asm(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let pairs = key_value::pairs(message.strip_prefix("ASM:").unwrap_or(message));
    let stamp = value(&pairs, "date_time").and_then(|text| stamp::moment(text, context)).or(parts.timestamp);
    let mut event = context.event(stamp, "f5_bigip", "f5_bigip.log");
    observer(&mut event, "F5", "BIG-IP ASM", "waf");
    set_all(&mut event, "f5.asm.", ASM, &pairs);
    if let Some(protocol) = value(&pairs, "protocol") {
        event.set(Field::NETWORK_PROTOCOL, protocol.to_ascii_lowercase());
    }
    if let Some(address) = value(&pairs, "management_ip_address") {
        event.set_named("observer.ip", Text::from(address));
    }
    // No answer was sent to what was stopped.
    if value(&pairs, "response_code") == Some("0") {
        event.remove(Field::HTTP_RESPONSE_STATUS_CODE);
    }
    let kinds: &[&str] = match value(&pairs, "request_status") {
        Some("blocked") => &["access", "denied"],
        Some("passed") => &["access", "allowed"],
        _ => &["access"],
    };
    act(&mut event, Act("web", kinds, ""));
    if value(&pairs, "violations").is_some() || value(&pairs, "attack_type").is_some() {
        event.set(Field::EVENT_KIND, "alert");
        event.add(Field::EVENT_CATEGORY, "intrusion_detection");
    }
    event
}

const NETSCALER: &[Row] = &[
    ("User", Field::USER_NAME),
    ("Client_ip", Field::SOURCE_IP),
    ("ClientIP", Field::SOURCE_IP),
    ("ClientPort", Field::SOURCE_PORT),
    ("Remote_ip", Field::SOURCE_IP),
    ("Failure_reason", Field::EVENT_REASON),
    ("Reason", Field::EVENT_REASON),
    ("Browser_type", Field::USER_AGENT_ORIGINAL),
    ("Browser", Field::USER_AGENT_ORIGINAL),
    ("Command", Field::PROCESS_COMMAND_LINE),
    ("Total_bytes_send", Field::SOURCE_BYTES),
    ("Total_bytes_recv", Field::DESTINATION_BYTES),
    ("ClientVersion", Field::TLS_VERSION),
    ("CipherSuite", Field::TLS_CIPHER),
];

/// `MM/DD/YYYY:hh:mm:ss GMT`, as it is set unless someone chose another order.
fn moment(text: &str, offset_s: i32) -> Option<Timestamp> {
    let (date, time) = text.split_once(':')?;
    let mut numbers = date.split('/');
    let (first, second, year) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let (month, day) = if 12 < first.parse::<u8>().ok()? { (second, first) } else { (first, second) };
    Timestamp::parse(&format!("{year}-{month}-{day}T{time}"), offset_s)
}

/// Whether a message is NetScaler's: its date, and what made the message between two colons.
pub(super) fn is_netscaler(message: &str) -> bool {
    let bytes = message.as_bytes();
    bytes.get(2) == Some(&b'/')
        && bytes.get(5) == Some(&b'/')
        && bytes.get(10) == Some(&b':')
        && message.get(..90.min(message.len())).is_some_and(|front| front.contains(" : "))
}

/// `User lan - Client_ip 203.0.113.9 - …`: a key is a word, or some that a colon ends.
fn dashed(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    const PAIRS_MAX: usize = 64;
    let pieces = text.split("- ").take(PAIRS_MAX).filter_map(|piece| piece.trim().split_once(' '));
    pieces.map(|(key, value)| (key.trim_end_matches(':'), Cow::Borrowed(value.trim().trim_matches('"')))).collect()
}

/// The event of a message of NetScaler.
pub(super) fn netscaler(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let (front, rest) = message.split_once(" : ").unwrap_or((message, ""));
    let mut words = front.split(' ').filter(|word| !word.is_empty());
    let date = words.next().unwrap_or_default();
    let mut host = words.next();
    let mut offset_s = context.offset_s;
    if let Some(zone) = host.filter(|word| matches!(*word, "GMT" | "UTC")).and(Some(0)) {
        (offset_s, host) = (zone, words.next());
    }
    let stamp = moment(date, offset_s).or(parts.timestamp);
    let mut event = context.event(stamp, "citrix_adc", "citrix_adc.log");
    observer(&mut event, "Citrix", "NetScaler", "load-balancer");
    if let Some(host) = host.filter(|host| !host.contains("PPE")) {
        event.set(Field::OBSERVER_NAME, Text::from(host));
        event.set(Field::HOST_NAME, Text::from(host));
    }
    let (what, told) = rest.split_once(" : ").unwrap_or((rest, ""));
    let told = told.trim().trim_start_matches('"');
    let mut names = what.split(' ').filter(|word| !word.is_empty() && *word != "default");
    let (feature, name) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    event.set(Field::EVENT_CODE, Text::from(name));
    event.set(Field::MESSAGE, Text::from(told));
    event.set_named("citrix.feature", Text::from(feature));
    let pairs = dashed(told);
    // Before the first word that is a key stands free text in some messages; only the known keys are believed.
    set_all(&mut event, "citrix.", NETSCALER, &pairs);
    for (key, address, port) in [
        ("Source", Field::SOURCE_IP, Field::SOURCE_PORT),
        ("Destination", Field::DESTINATION_IP, Field::DESTINATION_PORT),
        ("Vserver", Field::DESTINATION_IP, Field::DESTINATION_PORT),
        ("VserverServiceIP", Field::DESTINATION_IP, Field::DESTINATION_PORT),
    ] {
        if let Some(text) = value(&pairs, key).filter(|text| text.parse::<std::net::SocketAddr>().is_ok()) {
            set_socket(&mut event, address, port, text);
        }
    }
    judge(&mut event, feature, name, told, &pairs);
    event
}

fn judge(event: &mut Event, feature: &str, name: &str, told: &str, pairs: &Values<'_>) {
    match (feature, name) {
        ("SSLVPN" | "AAA" | "AAATM", "LOGIN") => mean(event, ("logged-in", LOGIN)),
        ("SSLVPN" | "AAA" | "AAATM", "LOGIN_FAILED" | "LOGIN_FAILURE") => mean(event, ("login-failed", REFUSED)),
        ("SSLVPN" | "AAA" | "AAATM", "LOGOUT" | "TIMEOUT") => mean(event, ("logged-out", LOGOUT)),
        ("SSLVPN", _) if name.starts_with("TCPCONN") || name.starts_with("UDPFLOW") => {
            act(event, Act("network", &["connection", "info"], ""));
        }
        ("UI" | "CLI" | "API" | "GUI", "CMD_EXECUTED") => {
            let is_bad = value(pairs, "Status").is_some_and(|status| status != "Success");
            mean(event, ("command-executed", Act("process", &["start"], if is_bad { "failure" } else { "success" })));
        }
        ("TCP" | "UDP", "CONN_TERMINATE") => {
            set_text(event, Field::NETWORK_TRANSPORT, feature);
            mean(event, ("connection-ended", Act("network", &["connection", "end"], "")));
        }
        ("TCP" | "UDP", "CONN_DELINK" | "CONN_ESTABLISH" | "OTHERCONN_DELINK") => {
            set_text(event, Field::NETWORK_TRANSPORT, feature);
            act(event, Act("network", &["connection", "info"], ""));
        }
        ("SSLLOG", _) => act(event, Act("network", &["connection", "info"], "")),
        ("APPFW", _) => {
            let mut words = told.split(' ');
            set_text(event, Field::SOURCE_IP, words.next().unwrap_or_default());
            if let Some(url) = words.find(|word| word.starts_with("http://") || word.starts_with("https://")) {
                event.set(Field::URL_ORIGINAL, Text::from(url));
            }
            event.set(Field::EVENT_KIND, "alert");
            event.set(Field::RULE_NAME, Text::from(name));
            let kinds: &[&str] = if told.ends_with("<blocked>") { &["info", "denied"] } else { &["info"] };
            mean(event, ("", Act("intrusion_detection", kinds, "")));
        }
        _ => act(event, Act("host", &["info"], "")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn requests_that_were_judged() {
        check(
            r#"<134>Nov 23 02:10:00 f5-01 ASM:unit_hostname="f5-01.a.example",management_ip_address="10.45.1.4",policy_name="/Common/p",violations="Attack signature detected",support_id="77",request_status="blocked",response_code="0",ip_client="203.0.113.9",method="GET",protocol="HTTPS",query_string="a=1",sig_names="XSS",date_time="2026-11-23 02:10:00",attack_type="Cross Site Scripting (XSS)",username="N/A",src_port="4411",dest_port="443",dest_ip="10.45.0.80",uri="/b.php""#,
            None,
            &[
                ("event.dataset", "f5_bigip.log"),
                ("event.category", "web,intrusion_detection"),
                ("event.type", "access,denied"),
                ("source.ip", "203.0.113.9"),
                ("destination.port", "443"),
                ("url.path", "/b.php"),
                ("rule.name", "XSS"),
                ("http.response.status_code", "(absent)"),
                ("user.name", "(absent)"),
            ],
        );
    }

    #[test]
    fn sign_ins_commands_and_connections() {
        let line = |rest: &str| format!("<134> 11/23/2026:02:10:00 GMT ns-01 0-PPE-0 : default {rest}");
        check(
            &line(
                r#"SSLVPN LOGIN 7 0 : Context lan@203.0.113.9 - SessionId: 12- User lan - Client_ip 203.0.113.9 - Nat_ip "Mapped Ip" - Vserver 192.0.2.2:443 - Browser_type "Mozilla/5.0""#,
            ),
            None,
            &[
                ("event.category", "authentication"),
                ("event.outcome", "success"),
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("destination.port", "443"),
                ("host.name", "ns-01"),
            ],
        );
        check(
            &line(r#"AAA LOGIN_FAILED 8 0 : User lan - Client_ip 203.0.113.9 - Failure_reason "sai""#),
            None,
            &[("event.outcome", "failure"), ("event.reason", "sai")],
        );
        check(
            &line(
                r#"UI CMD_EXECUTED 9 0 : User nsroot - Remote_ip 10.45.0.9 - Command "show version" - Status "Success""#,
            ),
            None,
            &[("process.command_line", "show version"), ("source.ip", "10.45.0.9"), ("event.outcome", "success")],
        );
        check(
            &line(
                "TCP CONN_TERMINATE 10 0 : Source 203.0.113.9:4411 - Destination 10.45.0.80:80 - Total_bytes_send 1 - Total_bytes_recv 2",
            ),
            None,
            &[("source.port", "4411"), ("network.transport", "tcp"), ("network.bytes", "3")],
        );
    }
}
