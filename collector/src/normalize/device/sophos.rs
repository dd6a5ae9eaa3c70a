//! Sophos Firewall (SFOS, XG): key=value pairs, in the older form (`device="SFW" date=… time=…`) and the newer one
//! (`device_name=… timestamp=… log_type=…`).
//!
//! In: a message of such a firewall, or of Sophos UTM ([`super::sophos_utm`]). Out: firewall, IPS, antivirus, web, WAF, VPN and sign-in records in ECS; all
//! values under `sophos.xg.*`. Failure: a date that does not exist. Source: Sophos, "SFOS syslog guide" 17.5 to 20.0.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text, Timestamp, Value};

use super::{Act, Row, act, observer, set_pairs, set_text, sophos_utm, stamp};
use crate::normalize::{Context, tls};
use crate::parse::key_value::{self, Pairs};
use crate::parse::{Fault, Syslog};

const HOME: &str = "sophos.xg.";

const TABLE: &[Row] = &[
    ("device_id", Field::OBSERVER_SERIAL_NUMBER),
    ("device_serial_id", Field::OBSERVER_SERIAL_NUMBER),
    ("log_id", Field::EVENT_CODE),
    ("reason", Field::EVENT_REASON),
    ("message", Field::MESSAGE),
    ("src_ip", Field::SOURCE_IP),
    ("sourceip", Field::SOURCE_IP),
    ("src_port", Field::SOURCE_PORT),
    ("src_mac", Field::SOURCE_MAC),
    ("src_country", Field::SOURCE_GEO_COUNTRY_NAME),
    ("src_country_code", Field::SOURCE_GEO_COUNTRY_NAME),
    ("src_domainname", Field::SOURCE_DOMAIN),
    ("dst_ip", Field::DESTINATION_IP),
    ("destinationip", Field::DESTINATION_IP),
    ("dest_ip", Field::DESTINATION_IP),
    ("ep_ip", Field::SOURCE_IP),
    ("ep_name", Field::SOURCE_DOMAIN),
    ("client_physical_address", Field::SOURCE_MAC),
    ("client_host_name", Field::SOURCE_DOMAIN),
    ("FTP_url", Field::URL_ORIGINAL),
    ("ftp_url", Field::URL_ORIGINAL),
    ("file_path", Field::FILE_PATH),
    ("sha1", Field::FILE_HASH_SHA1),
    ("sha256", Field::FILE_HASH_SHA256),
    ("sni", Field::TLS_CLIENT_SERVER_NAME),
    ("cipher_suite", Field::TLS_CIPHER),
    ("localip", Field::DESTINATION_IP),
    ("localinterfaceip", Field::DESTINATION_IP),
    ("dst_port", Field::DESTINATION_PORT),
    ("dst_mac", Field::DESTINATION_MAC),
    ("dst_country", Field::DESTINATION_GEO_COUNTRY_NAME),
    ("dst_country_code", Field::DESTINATION_GEO_COUNTRY_NAME),
    ("dst_domainname", Field::DESTINATION_DOMAIN),
    ("tran_src_ip", Field::SOURCE_NAT_IP),
    ("tran_src_port", Field::SOURCE_NAT_PORT),
    ("src_trans_ip", Field::SOURCE_NAT_IP),
    ("src_trans_port", Field::SOURCE_NAT_PORT),
    ("tran_dst_ip", Field::DESTINATION_NAT_IP),
    ("tran_dst_port", Field::DESTINATION_NAT_PORT),
    ("dst_trans_ip", Field::DESTINATION_NAT_IP),
    ("dst_trans_port", Field::DESTINATION_NAT_PORT),
    ("sent_bytes", Field::SOURCE_BYTES),
    ("bytes_sent", Field::SOURCE_BYTES),
    ("bytesrcv", Field::SOURCE_BYTES),
    ("recv_bytes", Field::DESTINATION_BYTES),
    ("bytes_received", Field::DESTINATION_BYTES),
    ("bytessent", Field::DESTINATION_BYTES),
    ("sent_pkts", Field::SOURCE_PACKETS),
    ("packets_sent", Field::SOURCE_PACKETS),
    ("recv_pkts", Field::DESTINATION_PACKETS),
    ("packets_received", Field::DESTINATION_PACKETS),
    ("protocol", Field::NETWORK_TRANSPORT),
    ("in_interface", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("out_interface", Field::OBSERVER_EGRESS_INTERFACE_NAME),
    ("application", Field::NETWORK_APPLICATION),
    ("app_name", Field::NETWORK_APPLICATION),
    ("fw_rule_id", Field::RULE_ID),
    ("fw_rule_name", Field::RULE_NAME),
    ("signature_id", Field::RULE_ID),
    ("signature_msg", Field::RULE_NAME),
    ("signature_name", Field::RULE_NAME),
    ("threat", Field::RULE_NAME),
    ("virus", Field::RULE_NAME),
    ("threatname", Field::RULE_NAME),
    ("malware", Field::RULE_NAME),
    ("classification", Field::RULE_CATEGORY),
    ("url", Field::URL_ORIGINAL),
    ("domain", Field::URL_DOMAIN),
    ("domainname", Field::URL_DOMAIN),
    ("querystring", Field::URL_QUERY),
    ("user_agent", Field::USER_AGENT_ORIGINAL),
    ("useragent", Field::USER_AGENT_ORIGINAL),
    ("http_user_agent", Field::USER_AGENT_ORIGINAL),
    ("referer", Field::HTTP_REQUEST_REFERRER),
    ("method", Field::HTTP_REQUEST_METHOD),
    ("status_code", Field::HTTP_RESPONSE_STATUS_CODE),
    ("httpstatus", Field::HTTP_RESPONSE_STATUS_CODE),
    ("http_status", Field::HTTP_RESPONSE_STATUS_CODE),
    ("ws_protocol", Field::HTTP_VERSION),
    ("filename", Field::FILE_NAME),
    ("file_name", Field::FILE_NAME),
    ("download_file_name", Field::FILE_NAME),
    ("execution_path", Field::PROCESS_EXECUTABLE),
    ("filepath", Field::FILE_PATH),
    ("file_size", Field::FILE_SIZE),
    ("filesize", Field::FILE_SIZE),
    ("sha1sum", Field::FILE_HASH_SHA1),
    ("user_name", Field::SOURCE_USER_NAME),
    ("user", Field::SOURCE_USER_NAME),
];

/// What an administrator's sign-in is called.
const SIGN_IN_WORDS: [&str; 5] = ["logged in", "login", "log in", "sign in", "signed in"];

/// Applications that are protocols.
const PROTOCOLS: [&str; 12] =
    ["DNS", "FTP", "HTTP", "HTTPS", "IMAP", "LDAP", "NTP", "POP3", "RDP", "SMTP", "SNMP", "SSH"];

/// A record's type, the data set, the category, whether it is an alert.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("Firewall", "sophos.firewall", "network", false),
    ("IDP", "sophos.ips", "intrusion_detection", true),
    ("ATP", "sophos.atp", "intrusion_detection", true),
    ("Anti-Virus", "sophos.antivirus", "malware", true),
    ("Anti-Spam", "sophos.mail", "email", false),
    ("Content Filtering", "sophos.web", "web", false),
    ("WAF", "sophos.waf", "web", false),
    ("Sandbox", "sophos.sandbox", "malware", true),
    ("Sandstorm", "sophos.sandbox", "malware", true),
    ("SSL", "sophos.ssl", "network", false),
    ("Heartbeat", "sophos.heartbeat", "host", false),
    ("Wireless Protection", "sophos.wireless", "network", false),
    ("System Health", "sophos.health", "host", false),
    ("Event", "sophos.event", "host", false),
];

/// Whether a message is a Sophos firewall's.
pub fn is_sophos(message: &str) -> bool {
    let front = message.as_bytes().get(..message.len().min(400)).unwrap_or_default();
    let has = |what: &[u8]| memchr::memmem::find(front, what).is_some();
    (message.starts_with("device=\"") || message.starts_with("device_name=\""))
        && has(b" log_type=\"")
        && has(b"log_id=")
}

/// The event of a message.
///
/// # Errors
/// `date` and `time` stand there and are none.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    if sophos_utm::is_utm(message) {
        return Ok(sophos_utm::event(message, parts, context));
    }
    let pairs = key_value::pairs(message);
    let stamp = moment(&pairs, message, context)?.or(parts.timestamp);
    let kind = value(&pairs, "log_type").unwrap_or_default();
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    let (_, dataset, category, is_alert) = known.copied().unwrap_or(("", "sophos.xg", "host", false));
    let mut event = context.event(stamp, "sophos", dataset);
    event.reserve(pairs.len() * 2);
    observer(&mut event, "Sophos", "XG", "firewall");
    // Where nothing was translated the device writes port 0, which is kept.
    set_pairs(&mut event, HOME, TABLE, pairs.iter().map(|(key, value)| (*key, value.as_ref())));
    if kind == "System Health" {
        // Its `user` is the share of the processor that programs have.
        event.remove(Field::SOURCE_USER_NAME);
    }
    set_direction(&mut event, &pairs);
    mail(&mut event, &pairs);
    // The newer form calls the model so, the older one the name.
    let name = value(&pairs, "device_name").filter(|_| value(&pairs, "date").is_some());
    if let Some(name) = name {
        event.set(Field::OBSERVER_NAME, Text::from(name));
    }
    if let Some(level) = level(&pairs) {
        event.set(Field::LOG_LEVEL, Text::from(level.as_ref()));
    }
    if let Some(protocol) = value(&pairs, "application").filter(|name| PROTOCOLS.contains(name)) {
        event.set(Field::NETWORK_PROTOCOL, protocol.to_ascii_lowercase());
    }
    if let Some(seconds) = value(&pairs, "duration").and_then(|text| text.parse::<i64>().ok()) {
        event.set(Field::EVENT_DURATION, Value::Long(seconds.saturating_mul(1_000_000_000)));
    }
    if is_alert {
        event.set(Field::EVENT_KIND, "alert");
    }
    mean(&mut event, &pairs, kind, category);
    if event.get(Field::EVENT_CATEGORY).is_some() {
        event.set_default(Field::EVENT_TYPE, "info");
    }
    if let Some(user) = event.text(Field::SOURCE_USER_NAME).map(Text::from) {
        event.set(Field::USER_NAME, user);
    }
    Ok(event)
}

fn value<'a>(pairs: &'a Pairs<'_>, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
    found.filter(|value| !matches!(*value, "" | "-" | "N/A"))
}

/// `date` and `time` of the older form, which may end in a `timestamp` of the session in seconds; `timestamp` of the newer.
fn moment(pairs: &Pairs<'_>, message: &str, context: &Context<'_>) -> Result<Option<Timestamp>, Fault> {
    let offset_s = value(pairs, "timezone").and_then(stamp::zone).unwrap_or(context.offset_s);
    let (text, at): (Cow<'_, str>, &str) = match (value(pairs, "date"), value(pairs, "time")) {
        (Some(date), Some(time)) => (format!("{date}T{time}").into(), "date="),
        _ => match value(pairs, "timestamp") {
            Some(text) => (text.into(), "timestamp="),
            None => return Ok(None),
        },
    };
    let at = message.find(at).unwrap_or_default();
    stamp::moment_in(&text, context, offset_s).map(Some).ok_or_else(|| Fault::new("sophos: no such date", at))
}

/// What Sophos calls a severity in words, and the digit of it in a log id.
const LEVELS: [(&str, &str); 8] = [
    ("emergency", "emergency"),
    ("alert", "alert"),
    ("critical", "critical"),
    ("error", "error"),
    ("warning", "warning"),
    ("notice", "notification"),
    ("information", "informational"),
    ("debug", "debug"),
];

/// The level, as Cisco's devices spell it too; a record that does not write it has it as the seventh digit of its log id (type,
/// component and sub-type of two digits each, severity, message).
fn level<'a>(pairs: &'a Pairs<'_>) -> Option<Cow<'a, str>> {
    if let Some(told) = value(pairs, "priority").or_else(|| value(pairs, "severity")) {
        let known = LEVELS.iter().find(|(word, _)| word.eq_ignore_ascii_case(told)).map(|(_, level)| *level);
        return Some(known.map_or_else(|| told.to_ascii_lowercase().into(), Cow::Borrowed));
    }
    let id = value(pairs, "log_id").filter(|id| id.len() == 12)?;
    let digit = id.as_bytes().get(6)?.checked_sub(b'0')?;
    LEVELS.get(usize::from(digit)).map(|(_, level)| Cow::Borrowed(*level))
}

/// The way by the types of both zones: LAN, DMZ, VPN and the like are inside.
fn set_direction(event: &mut Event, pairs: &Pairs<'_>) {
    let is_outside = |name| value(pairs, name).map(|zone| zone == "WAN");
    let of = |old, new| is_outside(old).or_else(|| is_outside(new));
    let way = match (of("srczonetype", "src_zone_type"), of("dstzonetype", "dst_zone_type")) {
        (Some(false), Some(true)) => "outbound",
        (Some(true), Some(false)) => "inbound",
        (Some(false), Some(false)) => "internal",
        (Some(true), Some(true)) => "external",
        _ => return,
    };
    event.set(Field::NETWORK_DIRECTION, way);
}

/// Sender, receiver and subject of a mail; the version of a connection's TLS.
fn mail(event: &mut Event, pairs: &Pairs<'_>) {
    for (key, named) in [
        ("from_email_address", "email.from.address"),
        ("sender", "email.from.address"),
        ("to_email_address", "email.to.address"),
        ("recipient", "email.to.address"),
        ("email_subject", "email.subject"),
        ("subject", "email.subject"),
    ] {
        if let Some(text) = value(pairs, key) {
            event.set_named(named, Text::from(text));
        }
    }
    if let Some(version) = value(pairs, "tls_version") {
        tls::set_version(event, version);
    }
}

fn mean(event: &mut Event, pairs: &Pairs<'_>, kind: &str, category: &'static str) {
    let subtype = value(pairs, "log_subtype").unwrap_or_default().to_ascii_lowercase();
    let status = value(pairs, "status").unwrap_or_default();
    let outcome = match status {
        "Successful" | "Established" | "Connected" => "success",
        "Failed" => "failure",
        // The newer form has no status at the sign-ins of administrators.
        "" if kind == "Event" => outcome_by_words(value(pairs, "message").unwrap_or_default()),
        _ => "",
    };
    if !subtype.is_empty() {
        event.set(Field::EVENT_ACTION, Text::from(subtype.as_str()));
    }
    if kind == "Event" {
        return happened(event, pairs, status, outcome);
    }
    let is_stopped = match kind {
        "WAF" => value(pairs, "httpstatus").is_some_and(|status| status == "403") || value(pairs, "reason").is_some(),
        _ => ["den", "drop", "block", "virus", "reject"].iter().any(|word| subtype.starts_with(word)),
    };
    let mut kinds: Vec<&'static str> = if kind == "Firewall" { vec!["connection"] } else { Vec::new() };
    match value(pairs, "connevent").or_else(|| value(pairs, "con_event")) {
        Some("Start") => kinds.push("start"),
        Some("Stop") => kinds.push("end"),
        _ => {}
    }
    if matches!(category, "network" | "web" | "intrusion_detection" | "malware") && !subtype.is_empty() || is_stopped {
        kinds.push(if is_stopped { "denied" } else { "allowed" });
    }
    event.set(Field::EVENT_CATEGORY, category);
    event.set(Field::EVENT_OUTCOME, "success");
    for kind in kinds {
        event.add(Field::EVENT_TYPE, kind);
    }
    if kind == "WAF" {
        event.set(Field::EVENT_ACTION, if is_stopped { "denied" } else { "allowed" });
        if let Some(host) = value(pairs, "server") {
            event.set(Field::URL_DOMAIN, Text::from(host.split(':').next().unwrap_or_default()));
        }
    }
}

/// What came of a sign-in by the device's words, which stand behind the name that was typed (`Admin 'x' from '…' failed to …`).
fn outcome_by_words(message: &str) -> &'static str {
    let words = message.rsplit_once('\'').map_or(message, |(_, words)| words);
    if [" failed to ", "wrong credentials", "failed"].iter().any(|word| words.contains(word)) {
        "failure"
    } else if ["signed in", "logged in", "successfully"].iter().any(|word| words.contains(word)) {
        "success"
    } else {
        ""
    }
}

/// What happened on the device itself: sign-ins, VPN, changes.
fn happened(event: &mut Event, pairs: &Pairs<'_>, status: &str, outcome: &'static str) {
    let component = value(pairs, "log_component").unwrap_or_default();
    let subtype = value(pairs, "log_subtype").unwrap_or_default();
    let message = value(pairs, "message").unwrap_or_default();
    let meaning = match (component, subtype) {
        (_, "Authentication") if message.contains("logged out") => Act("authentication", &["end"], outcome),
        (_, "Authentication") => Act("authentication", &["start"], outcome),
        (_, "Admin") if SIGN_IN_WORDS.iter().any(|word| message.contains(word)) => {
            Act("authentication", &["start"], outcome)
        }
        (_, "Admin") if message.contains("logged out") => Act("authentication", &["end"], outcome),
        (_, "Admin") => Act("configuration", &["change"], outcome),
        ("SSL VPN" | "IPSec" | "L2TP" | "PPTP" | "IPSEC" | "RED", _) => match status {
            "Established" | "Connected" | "Successful" => Act("network", &["connection", "start"], "success"),
            "Terminated" | "Disconnected" | "Expire" => Act("network", &["connection", "end"], ""),
            _ => Act("network", &["connection"], outcome),
        },
        _ => Act("host", &["info"], outcome),
    };
    act(event, meaning);
    if !status.is_empty() {
        event.set(Field::EVENT_ACTION, Text::from(status.to_ascii_lowercase().as_str()));
    }
    if let Some(peer) = value(pairs, "remoteinterfaceip").or_else(|| value(pairs, "remote_ip"))
        && event.get(Field::SOURCE_IP).is_none()
    {
        set_text(event, Field::SOURCE_IP, peer);
    }
    // The address that a lease is about, or that the tunnel gave.
    if let Some(address) = value(pairs, "ipaddress").filter(|_| component.starts_with("DHCP")) {
        set_text(event, Field::SOURCE_IP, address);
    }
    if let Some(name) = value(pairs, "name").filter(|_| value(pairs, "user_name").is_none()) {
        set_text(event, Field::SOURCE_USER_NAME, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    #[test]
    fn both_forms_of_a_firewall_record() {
        let told = [
            ("event.dataset", "sophos.firewall"),
            ("event.action", "denied"),
            ("event.type", "connection,denied"),
            ("source.ip", "203.0.113.45"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("rule.id", "7"),
            ("sophos.xg.log_component", "Firewall Rule"),
            ("log.level", "informational"),
            ("client.ip", "203.0.113.45"),
            ("server.port", "22"),
        ];
        for line in [
            r#"<30>device="SFW" date=2026-11-23 time=09:10:00 timezone="+07" device_name="XGS107" device_id=C1 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Denied" status="Deny" priority=Information fw_rule_id=7 src_ip=203.0.113.45 dst_ip=192.0.2.20 protocol="TCP" src_port=40000 dst_port=22 tran_src_port=0"#,
            r#"<30>device_name="SFW" timestamp="2026-11-23T09:10:00+0700" device_model="XGS107" device_serial_id="C1" log_id="010101600001" log_type="Firewall" log_component="Firewall Rule" log_subtype="Denied" severity="Information" fw_rule_id="7" src_ip="203.0.113.45" dst_ip="192.0.2.20" protocol="TCP" src_port=40000 dst_port=22"#,
        ] {
            check(line, Some(Profile::Sophos), &told);
            check(line, None, &told);
        }
    }

    #[test]
    fn sign_ins_and_what_is_typed_at_them() {
        let line = |name: &str| {
            format!(
                r#"<29>device="SFW" date=2026-11-23 time=09:10:00 timezone="+07" device_name="XG" device_id=C1 log_id=062009617502 log_type="Event" log_component="GUI" log_subtype="Admin" status="Failed" priority=Notice user_name="{name}" src_ip=203.0.113.9 message="User '{name}' failed to login from '203.0.113.9' using WebAdmin because of wrong credentials""#
            )
        };
        let told = [("event.category", "authentication"), ("event.outcome", "failure"), ("source.ip", "203.0.113.9")];
        check(&line("admin"), None, &told);
        check(&line(r#"x\" src_ip=198.51.100.66 y=\""#), None, &told);
        check(
            r#"device="SFW" date=2026-11-23 time=09:10:00 log_id=1 log_type="IDP" log_component="Signatures" log_subtype="Detect" signature_id=7 signature_msg="Worm" src_ip=203.0.113.9 dst_ip=192.0.2.1"#,
            None,
            &[("event.kind", "alert"), ("event.type", "allowed"), ("rule.name", "Worm"), ("rule.id", "7")],
        );
    }

    #[test]
    fn the_newer_form_tells_by_words() {
        let line = |back: &str| {
            format!(
                r#"<30>device_name="SFW" timestamp="2026-11-23T09:10:00+0700" device_model="XGS116" device_serial_id="X1" log_id="062009617502" log_type="Event" log_component="GUI" log_subtype="Admin" severity="Notice" user_name="an" src_ip="203.0.113.9" message="Admin 'an' from '203.0.113.9' {back}""#
            )
        };
        for (back, outcome) in [
            ("failed to sign in to WebAdmin because of wrong credentials", "failure"),
            ("successfully signed in to WebAdmin", "success"),
        ] {
            check(&line(back), None, &[("event.category", "authentication"), ("event.outcome", outcome)]);
        }
        check(
            r#"<30>device_name="SFW" timestamp="2026-11-23T09:10:00+0700" device_model="XGS116" device_serial_id="X1" log_id="020803407001" log_type="IDP" log_component="Signatures" log_subtype="Detect" severity="Warning" signature_id="7" signature_name="Worm" src_ip="203.0.113.9" dst_ip="192.0.2.1" protocol="TCP""#,
            None,
            &[("rule.name", "Worm"), ("rule.id", "7")],
        );
    }

    #[test]
    fn what_the_log_id_the_zones_and_the_session_tell() {
        let line = |more: &str| {
            format!(
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 timezone="+07" device_name="XG" device_id=C1 log_id=010101400001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" {more}"#
            )
        };
        check(
            &line(
                r#"application="DNS" src_ip=10.45.0.31 dst_ip=203.0.113.80 tran_src_port=0 srczonetype="LAN" dstzonetype="WAN" timestamp=1795399800"#,
            ),
            None,
            &[
                ("log.level", "warning"),
                ("network.protocol", "dns"),
                ("network.direction", "outbound"),
                ("source.nat.port", "0"),
                ("client.nat.port", "0"),
                ("observer.name", "XG"),
            ],
        );
        check(
            &line(r#"priority=Notice srczonetype="WAN" dstzonetype="DMZ""#),
            None,
            &[("log.level", "notification"), ("network.direction", "inbound")],
        );
    }

    #[test]
    fn a_date_that_does_not_exist_is_a_dead_letter() {
        let line = r#"device="SFW" date=2026-13-23 time=09:10:00 log_id=1 log_type="Event" log_subtype="Admin""#;
        check_dead(line, Profile::Sophos, "sophos: no such date", 13);
    }

    #[test]
    fn hosts_mail_and_health_mean_what_they_say() {
        let line = |kind: &str, more: &str| {
            format!(
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 timezone="+07" device_name="XG" device_id=C1 log_id=086320518009 log_type="{kind}" log_component="x" log_subtype="Drop" priority=Warning {more}"#
            )
        };
        for (kind, more, told) in [
            (
                "ATP",
                "sourceip=10.45.0.9 destinationip=203.0.113.9 threatname=C2/Generic-A",
                ("destination.ip", "203.0.113.9"),
            ),
            ("Heartbeat", r#"ep_ip=10.45.0.9 ep_name="PC-1" ep_health="Red""#, ("source.ip", "10.45.0.9")),
            ("System Health", "system=1.2% user=2% idle=96%", ("user.name", "(absent)")),
            (
                "Anti-Spam",
                r#"from_email_address="a@x.example" email_subject="s" src_ip=203.0.113.9"#,
                ("email.from.address", "a@x.example"),
            ),
            (
                "Firewall",
                r#"src_zone_type="LAN" dst_zone_type="WAN" src_ip=10.45.0.9"#,
                ("network.direction", "outbound"),
            ),
        ] {
            check(&line(kind, more), Some(Profile::Sophos), &[told]);
        }
    }
}
