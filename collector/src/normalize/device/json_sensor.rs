//! Sensors that write JSON: Suricata's EVE and Zeek's JSON logs.
//!
//! In: the leaves of one object. Out: the event in ECS; every value as the sensor named it under
//! `suricata.eve.*` or `zeek.<log>.*`. What a value means is a row of the tables below. Source: Suricata 7 user
//! guide, "EVE JSON format"; Zeek 6 log reference. Zeek's tab-separated
//! logs come here as leaves too ([`crate::parse::headed`]).

use std::borrow::Cow;

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text, Value};

use super::{Act, Row, act, dns_answers, finish, named, observer, set_text, zeek_protocols};
use crate::normalize::{Context, tls, typed};
use crate::parse::{self, Fault};
use crate::profile::Profile;

const SURICATA: &[Row] = &[
    ("src_ip", Field::SOURCE_IP),
    ("src_port", Field::SOURCE_PORT),
    ("dest_ip", Field::DESTINATION_IP),
    ("dest_port", Field::DESTINATION_PORT),
    ("proto", Field::NETWORK_TRANSPORT),
    ("app_proto", Field::NETWORK_PROTOCOL),
    ("community_id", Field::NETWORK_COMMUNITY_ID),
    ("in_iface", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("host", Field::OBSERVER_NAME),
    ("alert.signature_id", Field::RULE_ID),
    ("alert.signature", Field::RULE_NAME),
    ("alert.category", Field::RULE_CATEGORY),
    ("alert.severity", Field::EVENT_SEVERITY),
    ("dns.rrname", Field::DNS_QUESTION_NAME),
    ("dns.rrtype", Field::DNS_QUESTION_TYPE),
    ("dns.rcode", Field::DNS_RESPONSE_CODE),
    ("dns.id", Field::DNS_ID),
    ("dns.queries.rrname", Field::DNS_QUESTION_NAME),
    ("dns.queries.rrtype", Field::DNS_QUESTION_TYPE),
    ("http.hostname", Field::URL_DOMAIN),
    ("http.hostname", Field::DESTINATION_DOMAIN),
    ("http.url", Field::URL_ORIGINAL),
    ("http.http_user_agent", Field::USER_AGENT_ORIGINAL),
    ("http.http_method", Field::HTTP_REQUEST_METHOD),
    ("http.http_refer", Field::HTTP_REQUEST_REFERRER),
    ("http.status", Field::HTTP_RESPONSE_STATUS_CODE),
    ("http.length", Field::HTTP_RESPONSE_BODY_BYTES),
    ("tls.sni", Field::TLS_CLIENT_SERVER_NAME),
    ("tls.sni", Field::DESTINATION_DOMAIN),
    ("ether.src_mac", Field::SOURCE_MAC),
    ("ether.dest_mac", Field::DESTINATION_MAC),
    ("tls.subject", Field::TLS_SERVER_SUBJECT),
    ("tls.issuerdn", Field::TLS_SERVER_ISSUER),
    ("tls.fingerprint", Field::TLS_SERVER_HASH_SHA1),
    ("tls.ja3.hash", Field::TLS_CLIENT_JA3),
    ("tls.ja3s.hash", Field::TLS_SERVER_JA3S),
    ("fileinfo.filename", Field::FILE_PATH),
    ("fileinfo.size", Field::FILE_SIZE),
    ("fileinfo.md5", Field::FILE_HASH_MD5),
    ("fileinfo.sha1", Field::FILE_HASH_SHA1),
    ("fileinfo.sha256", Field::FILE_HASH_SHA256),
    ("krb5.cname", Field::USER_NAME),
    ("krb5.realm", Field::USER_DOMAIN),
    ("smb.filename", Field::FILE_NAME),
    ("smb.ntlmssp.user", Field::USER_NAME),
    ("smb.ntlmssp.domain", Field::USER_DOMAIN),
    ("nfs.filename", Field::FILE_NAME),
    ("tftp.file", Field::FILE_NAME),
    ("ftp_data.filename", Field::FILE_NAME),
    ("rdp.cookie", Field::USER_NAME),
    ("dhcp.client_mac", Field::SOURCE_MAC),
    ("dhcp.hostname", Field::SOURCE_DOMAIN),
    ("quic.sni", Field::TLS_CLIENT_SERVER_NAME),
    ("quic.sni", Field::DESTINATION_DOMAIN),
    ("quic.ua", Field::USER_AGENT_ORIGINAL),
    ("mqtt.connect.username", Field::USER_NAME),
    ("pgsql.request.startup_parameters.user", Field::USER_NAME),
    ("sip.method", Field::EVENT_ACTION),
    ("ftp.command", Field::EVENT_ACTION),
    ("smb.command", Field::EVENT_ACTION),
    ("nfs.procedure", Field::EVENT_ACTION),
    ("netflow.bytes", Field::SOURCE_BYTES),
    ("netflow.pkts", Field::SOURCE_PACKETS),
    ("netflow.start", Field::EVENT_START),
    ("netflow.end", Field::EVENT_END),
    ("flow.bytes_toserver", Field::SOURCE_BYTES),
    ("flow.bytes_toclient", Field::DESTINATION_BYTES),
    ("flow.pkts_toserver", Field::SOURCE_PACKETS),
    ("flow.pkts_toclient", Field::DESTINATION_PACKETS),
    ("flow.start", Field::EVENT_START),
    ("flow.end", Field::EVENT_END),
];

const ZEEK: &[Row] = &[
    ("id.orig_h", Field::SOURCE_IP),
    ("id.orig_p", Field::SOURCE_PORT),
    ("id.resp_h", Field::DESTINATION_IP),
    ("id.resp_p", Field::DESTINATION_PORT),
    ("proto", Field::NETWORK_TRANSPORT),
    ("service", Field::NETWORK_PROTOCOL),
    ("community_id", Field::NETWORK_COMMUNITY_ID),
    ("uid", Field::EVENT_ID),
    ("orig_ip_bytes", Field::SOURCE_BYTES),
    ("resp_ip_bytes", Field::DESTINATION_BYTES),
    ("orig_pkts", Field::SOURCE_PACKETS),
    ("resp_pkts", Field::DESTINATION_PACKETS),
    ("query", Field::DNS_QUESTION_NAME),
    ("qtype_name", Field::DNS_QUESTION_TYPE),
    ("rcode_name", Field::DNS_RESPONSE_CODE),
    ("host", Field::URL_DOMAIN),
    ("uri", Field::URL_ORIGINAL),
    ("method", Field::HTTP_REQUEST_METHOD),
    ("user_agent", Field::USER_AGENT_ORIGINAL),
    ("referrer", Field::HTTP_REQUEST_REFERRER),
    ("status_code", Field::HTTP_RESPONSE_STATUS_CODE),
    ("request_body_len", Field::HTTP_REQUEST_BODY_BYTES),
    ("response_body_len", Field::HTTP_RESPONSE_BODY_BYTES),
    ("username", Field::USER_NAME),
    ("user", Field::USER_NAME),
    ("server_name", Field::TLS_CLIENT_SERVER_NAME),
    ("cipher", Field::TLS_CIPHER),
    ("subject", Field::TLS_SERVER_SUBJECT),
    ("issuer", Field::TLS_SERVER_ISSUER),
    ("established", Field::TLS_ESTABLISHED),
    ("ja3", Field::TLS_CLIENT_JA3),
    ("ja3s", Field::TLS_SERVER_JA3S),
    ("md5", Field::FILE_HASH_MD5),
    ("sha1", Field::FILE_HASH_SHA1),
    ("sha256", Field::FILE_HASH_SHA256),
    ("mime_type", Field::FILE_MIME_TYPE),
    ("filename", Field::FILE_NAME),
    ("total_bytes", Field::FILE_SIZE),
    ("file_size", Field::FILE_SIZE),
    ("src", Field::SOURCE_IP),
    ("client_addr", Field::SOURCE_IP),
    ("server_addr", Field::DESTINATION_IP),
    ("src_addr", Field::SOURCE_IP),
    ("dst_addr", Field::DESTINATION_IP),
    ("src_port", Field::SOURCE_PORT),
    ("dst_port", Field::DESTINATION_PORT),
    ("sig_id", Field::RULE_ID),
    ("dst", Field::DESTINATION_IP),
    ("p", Field::DESTINATION_PORT),
    ("note", Field::RULE_NAME),
    ("msg", Field::MESSAGE),
];

/// Types of EVE records that are about a protocol, and its name where the type is another.
const EVE_PROTOCOLS: &[(&str, &str)] = &[
    ("bittorrent_dht", ""),
    ("dcerpc", ""),
    ("dhcp", ""),
    ("dnp3", ""),
    ("dns", ""),
    ("doh2", "dns"),
    ("enip", ""),
    ("ftp", ""),
    ("ftp_data", "ftp-data"),
    ("http", ""),
    ("http2", ""),
    ("ike", ""),
    ("krb5", ""),
    ("ldap", ""),
    ("mdns", ""),
    ("modbus", ""),
    ("mqtt", ""),
    ("nfs", ""),
    ("pgsql", ""),
    ("pop3", ""),
    ("quic", ""),
    ("rdp", ""),
    ("rfb", ""),
    ("sip", ""),
    ("smb", ""),
    ("smtp", ""),
    ("snmp", ""),
    ("ssh", ""),
    ("telnet", ""),
    ("tftp", ""),
    ("tls", ""),
    ("websocket", ""),
];

/// What an EVE record's `event_type` or a Zeek log is about.
const MEANINGS: &[(&str, Act)] = &[
    ("alert", Act("intrusion_detection", &["info"], "")),
    ("anomaly", Act("network", &["info"], "")),
    ("notice", Act("intrusion_detection", &["info"], "")),
    ("weird", Act("network", &["info"], "")),
    ("dns", Act("network", &["protocol"], "")),
    ("http", Act("network", &["protocol", "access"], "")),
    ("tls", Act("network", &["protocol"], "")),
    ("ssl", Act("network", &["protocol"], "")),
    ("ssh", Act("network", &["protocol"], "")),
    ("rdp", Act("network", &["protocol"], "")),
    ("flow", Act("network", &["connection"], "")),
    ("netflow", Act("network", &["connection"], "")),
    ("conn", Act("network", &["connection"], "")),
    ("fileinfo", Act("file", &["info"], "")),
    ("files", Act("file", &["info"], "")),
    ("stats", Act("host", &["info"], "")),
];

/// Zeek logs by fields that only they have together, where the writer names no `_path`.
const ZEEK_LOGS: &[(&str, &str)] = &[
    // These have what the rows below go by, too.
    ("call_id", "sip"),
    ("sig_id", "signature"),
    ("conn_state", "conn"),
    ("qtype_name", "dns"),
    ("rejected", "dns"),
    ("mailfrom", "smtp"),
    ("helo", "smtp"),
    ("rcptto", "smtp"),
    ("last_reply", "smtp"),
    ("note", "notice"),
    ("action name path", "smb_files"),
    ("action path size", "smb_files"),
    ("reply_code", "ftp"),
    ("command reply_msg", "ftp"),
    ("base_object", "ldap_search"),
    ("opcode message_id", "ldap"),
    ("client_initial_dcid", "quic"),
    ("initiations", "wireguard"),
    ("analyzer_kind", "analyzer"),
    ("port_proto", "known_services"),
    ("issuer_subject", "known_certs"),
    ("level location", "reporter"),
    ("trans_depth", "http"),
    ("cert_chain_fuids", "ssl"),
    ("resumed", "ssl"),
    ("auth_attempts", "ssh"),
    ("seen.indicator", "intel"),
    ("fuid", "files"),
    ("cookie", "rdp"),
    ("share_type", "smb_mapping"),
    ("endpoint", "dce_rpc"),
    ("request_type", "kerberos"),
    ("hostname", "ntlm"),
    ("msg_types", "dhcp"),
    ("fc_request", "dnp3"),
    ("func", "modbus"),
    ("cmd arg", "mysql"),
    ("stratum", "ntp"),
    ("community", "snmp"),
    ("authentication_method", "rfb"),
    ("security_protocol", "rdp"),
    ("tree_service", "smb_cmd"),
    ("compile_ts", "pe"),
    ("framed_addr", "radius"),
    ("tunnel_client", "radius"),
    ("connect_info", "radius"),
    ("username result", "radius"),
    ("command value", "irc"),
    ("failure_reason", "dpd"),
    ("tunnel_type", "tunnel"),
    ("kex_alg", "ssh"),
    ("certificate.serial", "x509"),
    ("certStatus", "ocsp"),
    ("percent_lost", "capture_loss"),
    ("pkts_proc", "stats"),
    ("software_type", "software"),
    ("bound.host", "socks"),
    ("request.host", "socks"),
    ("facility severity", "syslog"),
    ("name peer", "weird"),
    ("src dst proto", "traceroute"),
    ("command", "ftp"),
];

fn value<'a>(leaves: &'a Leaves, name: &str) -> Option<&'a Value> {
    leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The sensor whose record this is.
pub fn detect(leaves: &Leaves) -> Option<Profile> {
    let has = |name: &str| value(leaves, name).is_some();
    if has("event_type") && has("timestamp") && (has("flow_id") || has("src_ip") || has("stats.uptime")) {
        return Some(Profile::Suricata);
    }
    let is_reporter = || has("level") && has("location") && has("message");
    (has("ts") && ((has("uid") && has("id.orig_h")) || has("_path") || is_reporter())).then_some(Profile::Zeek)
}

/// The event of a sensor's record.
pub fn event(leaves: Leaves, profile: Profile, context: &Context<'_>) -> Event {
    if profile == Profile::Suricata { suricata(leaves, context) } else { zeek(leaves, context) }
}

fn suricata(leaves: Leaves, context: &Context<'_>) -> Event {
    let look = Look::new(&leaves);
    let kind = look.text("event_type").unwrap_or_default().to_owned();
    let stamp = look.value("timestamp").and_then(|value| parse::json::moment(value, context.offset_s));
    let dataset = match kind.as_str() {
        "alert" => "suricata.alert",
        "dns" => "suricata.dns",
        "http" => "suricata.http",
        "tls" => "suricata.tls",
        "flow" => "suricata.flow",
        _ => "suricata.eve",
    };
    let mut event = context.event(stamp, "suricata", dataset);
    observer(&mut event, "OISF", "Suricata", "ids");
    mean(&mut event, &kind);
    let action = look.text("alert.action").map(Text::from);
    if kind == "alert" {
        event.set(Field::EVENT_KIND, "alert");
        event.add(Field::EVENT_TYPE, if action.as_deref() == Some("blocked") { "denied" } else { "allowed" });
    }
    let tls_version = look.text("tls.version").map(Text::from);
    let http_version = look.text("http.protocol").map(Text::from);
    fill(&mut event, "suricata.eve.", SURICATA, leaves);
    if let Some(version) = tls_version {
        tls::set_version(&mut event, &version);
    }
    if let Some(version) = http_version.as_deref().and_then(|version| version.strip_prefix("HTTP/")) {
        event.set(Field::HTTP_VERSION, version);
    }
    // What an event of a protocol is about, where no detection named the protocol (`app_proto` is of flows).
    if let Some((_, protocol)) = EVE_PROTOCOLS.iter().find(|(known, _)| *known == kind) {
        event.set_default(Field::NETWORK_PROTOCOL, if protocol.is_empty() { kind.as_str() } else { protocol });
    }
    if kind == "drop" {
        event.set(Field::EVENT_ACTION, "drop");
        event.add(Field::EVENT_TYPE, "denied");
    }
    dns_answers::of_eve(&mut event, &kind);
    zeek_protocols::set_direction(&mut event);
    if let Some(name) = event.text(Field::RULE_NAME).map(Text::from) {
        event.set_default(Field::MESSAGE, name);
    }
    finish(&mut event);
    event
}

fn zeek(leaves: Leaves, context: &Context<'_>) -> Event {
    let look = Look::new(&leaves);
    let named = look.text("_path").filter(|path| is_log_name(path)).map(str::to_owned);
    let has_all = |fields: &str| fields.split(' ').all(|field| look.value(field).is_some());
    let by_field = || ZEEK_LOGS.iter().find(|(fields, _)| has_all(fields)).map(|(_, log)| *log);
    let log = named.unwrap_or_else(|| by_field().unwrap_or("log").to_owned());
    let stamp = look.value("ts").and_then(|value| parse::json::moment(value, 0));
    let mut event = context.event(stamp, "zeek", "zeek.log");
    event.set(Field::EVENT_DATASET, format!("zeek.{log}"));
    observer(&mut event, "Zeek", "Zeek", "ids");
    mean(&mut event, &log);
    if matches!(log.as_str(), "notice" | "intel" | "signature" | "signatures") {
        event.set(Field::EVENT_KIND, "alert");
    }
    let seconds = look.value("duration").and_then(Value::as_number);
    let outcome = look.value("auth_success").cloned();
    fill(&mut event, &format!("zeek.{log}."), ZEEK, leaves);
    zeek_protocols::set_fields(&mut event, &log);
    match log.as_str() {
        "dns" => dns_answers::of_zeek(&mut event),
        // Its subject is the mail's.
        "smtp" => drop(event.remove(Field::TLS_SERVER_SUBJECT)),
        // Its host is where the program runs, or the certificate is shown.
        "software" | "known_hosts" | "known_services" | "known_certs" | "known_devices" => {
            if let Some(host) = event.remove(Field::URL_DOMAIN).as_ref().and_then(Value::as_ip) {
                event.set(Field::SOURCE_IP, host);
            }
        }
        _ => {}
    }
    zeek_protocols::set_direction(&mut event);
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and the range is checked")]
    if let Some(seconds) = seconds.filter(|seconds| (0.0..9e9).contains(seconds)) {
        event.set(Field::EVENT_DURATION, Value::Long((seconds * 1e9) as i64));
    }
    if let Some(Value::Boolean(is_in)) = outcome {
        act(&mut event, Act("authentication", &[], if is_in { "success" } else { "failure" }));
    }
    finish(&mut event);
    event
}

/// The event of a line of Zeek's tab-separated logs that came without its header: by the default columns of the only
/// log it fits. A comment or a line of text is a message. rsyslog passes a tab on as `#011`.
///
/// # Errors
/// It is a line of values, and fits no log or several.
pub fn headless(text: &str, log: Option<&str>, context: &Context<'_>) -> Result<Event, Fault> {
    let line = if text.contains('\t') { Cow::Borrowed(text) } else { Cow::Owned(text.replace("#011", "\t")) };
    if text.starts_with('#') || !line.contains('\t') {
        let mut event = context.event(None, "zeek", "zeek.log");
        event.set(Field::MESSAGE, text);
        return Ok(event);
    }
    let header = parse::zeek_layout::header(&line, log)?;
    Ok(zeek(header.leaves(&line)?, context))
}

/// A log's name is a word: it becomes part of field names.
fn is_log_name(path: &str) -> bool {
    !path.is_empty() && path.len() <= 32 && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn mean(event: &mut Event, kind: &str) {
    let known = MEANINGS.iter().find(|(known, _)| *known == kind).map(|(_, meaning)| *meaning);
    act(event, known.unwrap_or(Act("network", &["info"], "")));
}

fn fill(event: &mut Event, home: &str, table: &'static [Row], leaves: Leaves) {
    event.reserve(leaves.len() * 2);
    named::each(home, table, leaves, |named, key, value| {
        for field in named.rows() {
            match &value {
                Value::Text(text) => set_text(event, *field, text),
                Value::Null => {}
                other => event.set(*field, typed(field.kind(), other.clone())),
            }
        }
        named.keep(event, home, key, value);
    });
}

/// The names of a document's leaves, for many questions of which most are answered with no.
struct Look<'a> {
    leaves: &'a Leaves,
    /// A bit for each name by its length, first and last byte; several names may share one.
    marks: [u64; 4],
}

impl<'a> Look<'a> {
    fn new(leaves: &'a Leaves) -> Look<'a> {
        let mut marks = [0; 4];
        for (name, _) in leaves {
            let mark = mark(name);
            marks[mark / 64] |= 1 << (mark % 64);
        }
        Look { leaves, marks }
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        let mark = mark(name);
        (self.marks[mark / 64] >> (mark % 64) & 1 == 1).then(|| value(self.leaves, name))?
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.value(name).and_then(Value::text)
    }
}

fn mark(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default());
    (name.len().wrapping_mul(41) + at(bytes.first()).wrapping_mul(7) + at(bytes.last())) % 256
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn an_alert_of_suricata() {
        let line = r#"{"timestamp":"2026-11-23T09:10:00.123456+0700","flow_id":7,"event_type":"alert","src_ip":"203.0.113.45","src_port":40000,"dest_ip":"192.0.2.20","dest_port":443,"proto":"TCP","alert":{"action":"allowed","signature_id":1000001,"signature":"LOCAL test","category":"Misc","severity":1}}"#;
        let told = [
            ("event.dataset", "suricata.alert"),
            ("event.kind", "alert"),
            ("source.ip", "203.0.113.45"),
            ("destination.port", "443"),
            ("network.transport", "tcp"),
            ("rule.id", "1000001"),
            ("suricata.eve.alert.severity", "1"),
            ("nhatle.alert.id", "(absent)"),
        ];
        check(line, Some(Profile::Suricata), &told);
        check(line, None, &told);
        check(&format!("<134>Nov 23 09:10:00 ids suricata[7]: {line}"), None, &told[..4]);
    }

    #[test]
    fn logs_of_zeek_by_path_and_by_what_they_hold() {
        let line = r#"{"ts":1770091506.25,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":5000,"id.resp_h":"203.0.113.9","id.resp_p":53,"proto":"udp","query":"a.example","qtype_name":"A"}"#;
        check(
            line,
            None,
            &[("event.dataset", "zeek.dns"), ("dns.question.name", "a.example"), ("zeek.dns.query", "a.example")],
        );
        let line = r#"{"_path":"conn","ts":1770091506.25,"uid":"C1","id.orig_h":"10.0.0.1","duration":2.5,"orig_ip_bytes":1,"resp_ip_bytes":2}"#;
        check(
            line,
            Some(Profile::Zeek),
            &[("event.dataset", "zeek.conn"), ("event.duration", "2500000000"), ("network.bytes", "3")],
        );
        // A log's name is the sender's word; it must not become any field's name.
        let line = r#"{"_path":"nhatle.x","ts":1,"uid":"C1","id.orig_h":"10.0.0.1"}"#;
        check(line, Some(Profile::Zeek), &[("event.dataset", "zeek.log")]);
    }

    #[test]
    fn logs_of_zeek_that_share_a_member() {
        let line = |more: &str| {
            format!(
                r#"{{"ts":1770091506.25,"uid":"C1","id.orig_h":"10.45.0.1","id.orig_p":5000,"id.resp_h":"203.0.113.9","id.resp_p":445,{more}}}"#
            )
        };
        for (more, dataset, told) in [
            (
                r#""fuid":"F1","action":"SMB::FILE_OPEN","path":"\\\\kho\\chung","name":"a.txt","size":5"#,
                "zeek.smb_files",
                ("event.action", "SMB::FILE_OPEN"),
            ),
            (
                r#""fuid":"F1","proto":"tcp","note":"SSL::Invalid_Server_Cert","msg":"bad","src":"10.45.0.1""#,
                "zeek.notice",
                ("event.kind", "alert"),
            ),
            (
                r#""trans_depth":1,"helo":"pc","mailfrom":"a@x.example","rcptto":["b@x.example"],"subject":"s""#,
                "zeek.smtp",
                ("network.protocol", "smtp"),
            ),
            (
                r#""fuid":"F1","user":"an","command":"RETR","arg":"ftp://a","reply_code":226,"reply_msg":"ok""#,
                "zeek.ftp",
                ("event.action", "RETR"),
            ),
            (
                r#""message_id":1,"version":3,"opcode":"bind simple","result":"invalidCredentials""#,
                "zeek.ldap",
                ("event.outcome", "failure"),
            ),
            (r#""fuid":"F1","source":"HTTP","depth":0,"seen_bytes":1"#, "zeek.files", ("event.category", "file")),
        ] {
            check(&line(more), None, &[("event.dataset", dataset), told]);
            check(&line(more), Some(Profile::Zeek), &[("event.dataset", dataset), told]);
        }
        check(
            r#"{"ts":1770091506.25,"level":"Reporter::ERROR","message":"x","location":""}"#,
            Some(Profile::Zeek),
            &[("event.dataset", "zeek.reporter")],
        );
        check(
            r#"{"_path":"known_services","ts":1770091506.25,"host":"10.45.0.9","port_num":22,"port_proto":"tcp","service":["SSH"]}"#,
            None,
            &[("source.ip", "10.45.0.9"), ("source.port", "22"), ("network.transport", "tcp")],
        );
    }

    #[test]
    fn protocols_of_eve() {
        let line = |kind: &str, more: &str| {
            format!(
                r#"{{"timestamp":"2026-11-23T02:10:00.1+0000","flow_id":1,"event_type":"{kind}","src_ip":"10.45.0.5","src_port":5,"dest_ip":"192.0.2.53","dest_port":53,"proto":"TCP","{kind}":{more}}}"#
            )
        };
        for (kind, more, told) in [
            (
                "smb",
                r#"{"command":"SMB2_COMMAND_CREATE","ntlmssp":{"domain":"CITY","user":"an"}}"#,
                ("user.name", "an"),
            ),
            ("tftp", r#"{"packet":"read","file":"a.bin"}"#, ("file.name", "a.bin")),
            ("netflow", r#"{"pkts":4,"bytes":496}"#, ("source.bytes", "496")),
            ("quic", r#"{"version":"1","sni":"a.example"}"#, ("tls.client.server_name", "a.example")),
            ("drop", r#"{"len":60,"reason":"rules"}"#, ("event.type", "info,denied")),
            ("ftp_data", r#"{"filename":"a.txt","command":"RETR"}"#, ("network.protocol", "ftp-data")),
            ("pgsql", r#"{"request":{"startup_parameters":{"user":"an"}}}"#, ("user.name", "an")),
            (
                "dns",
                r#"{"type":"answer","id":7,"rcode":"NOERROR","rrname":"a.example","rrtype":"A","ttl":60,"rdata":"203.0.113.7"}"#,
                ("dns.answers.ttl", "60"),
            ),
        ] {
            check(&line(kind, more), Some(Profile::Suricata), &[told]);
        }
    }
}
