//! Lines under a wrong name, lines under their own, and lines whose writer would like another reader.

use nhatle_event::{Event, Field, Record, Text, Timestamp};

use crate::{Settings, to_event};

const FORTIGATE: &str = r#"<189>date=2026-11-23 time=09:10:00 devname="FGT-UBND" devid="FGT60FTK00000001" tz="+0700" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.45.0.31 srcport=50330 dstip=203.0.113.80 dstport=443 proto=6 action="deny" policyid=7"#;
const SOPHOS: &str = r#"device="SFW" date=2026-11-23 time=09:10:00 timezone="+07" device_name="XG" device_id=C1 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" status="Allow" src_ip=10.45.0.31 dst_ip=203.0.113.80 protocol="TCP" src_port=5 dst_port=443"#;
const ACCESS: &str = r#"203.0.113.9 - - [23/Nov/2026:09:10:00 +0700] "GET /a HTTP/1.1" 404 12 "-" "curl""#;
const APACHE_ERROR: &str = "[Mon Nov 23 09:10:00.103522 2026] [core:error] [pid 7] [client 203.0.113.9:4] AH1: x";
const NGINX_ERROR: &str = "2026/11/23 09:10:00 [error] 7#8: *9 open() failed, client: 203.0.113.9, server: a";
const AUDIT: &str = r#"type=EXECVE msg=audit(1795399800.123:7): argc=1 a0="id""#;
const SSHD: &str = "<34>Nov 23 09:10:00 may-01 sshd[7]: Failed password for root from 203.0.113.9 port 4022 ssh2";
const ASA: &str = "<166>Nov 23 09:10:00 asa-01 : %ASA-6-302013: Built outbound TCP connection 7 for outside:203.0.113.80/443 (203.0.113.80/443) to inside:10.45.0.31/5 (10.45.0.31/5)";
const CEF: &str = "CEF:0|Vendor|Product|1.0|100|worm|10|src=10.45.0.31 dst=203.0.113.80 spt=1232";
const EVE: &str = r#"{"timestamp":"2026-11-23T09:10:00+0700","event_type":"dns","flow_id":7,"src_ip":"192.0.2.9","dns":{"rrname":"a.example"}}"#;
const OSQUERY: &str = r#"{"name":"q","hostIdentifier":"may-01","calendarTime":"x","unixTime":1795399800,"columns":{"pid":"7"},"action":"added"}"#;
const SQUID: &str =
    "1795399800.250   5006 192.0.2.9 TCP_MISS/200 19763 GET http://a.example/ lan HIER_DIRECT/203.0.113.9 text/html";
const IIS: &str = "2026-11-23 02:10:00 10.45.0.5 GET /a - 443 - 203.0.113.9 curl/8 - 404 0 0 15";
const MYSQL: &str = "2026-11-23T02:10:00.861934Z 25 [Note] [MY-010926] [Server] Access denied for user 'root'@'203.0.113.9' (using password: YES)";
const SLOW: &str = "# Time: 2026-11-23T02:10:00.861934Z\n# User@Host: lan[lan] @ localhost [203.0.113.9]  Id:     8\n# Query_time: 2.5  Lock_time: 0.0 Rows_sent: 7  Rows_examined: 9\nSET timestamp=1795399800;\nSELECT 1;";
const POSTGRESQL: &str =
    "2026-11-23 02:10:00.500 UTC [147] lan@hoso FATAL:  password authentication failed for user \"lan\"";
const BIND: &str =
    "23-Nov-2026 20:10:00.123 queries: info: client @0x7f 192.0.2.9#4 (a.example): query: a.example IN A + (192.0.2.1)";
const PANOS: &str = "1,2026/11/23 09:10:00,0011,SYSTEM,general,0,2026/11/23 09:10:00,,general,,0,0,general,informational,\"x\",1,0x0,0,0,0,0,,PA";
const MIKROTIK: &str = "system,error,critical login failure for user admin from 203.0.113.9 via ssh";
const POSTFIX: &str = "<22>Nov 23 20:10:00 mail-01 postfix/smtpd[9]: connect from unknown[203.0.113.9]";
const HAPROXY: &str = r#"203.0.113.9:33317 [23/Nov/2026:09:10:00.655] web-in~ cong/may-2 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {cong.example} {} "GET /a HTTP/1.1""#;
const MONGODB: &str = "2026-11-23T09:10:00.657+0700 I NETWORK  [listener] connection accepted from 203.0.113.9:55406 #2 (1 connection now open)";
const MONGODB_JSON: &str = r#"{"t":{"$date":"2026-11-23T09:10:00.657+07:00"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn281","msg":"Authentication failed","attr":{"principalName":"lan","remote":"203.0.113.9:37106"}}"#;
const REDIS: &str = "2932:M 23 Nov 2026 09:10:00.123 # WARNING overcommit_memory is set to 0!";

/// Names of Linux hosts: any program's message is theirs.
const HOSTS: [&str; 4] = ["linux", "syslog", "sshd", "sudo"];
/// Boxes that send what every program on them says.
const BOXES: [&str; 3] = ["pfsense", "opnsense", "unifi"];

/// The profile, a line of it, a field that its reader tells, and other names under which it stays as it is.
type Line = (&'static str, &'static str, (&'static str, &'static str), &'static [&'static [&'static str]]);

const LINES: &[Line] = &[
    ("fortigate", FORTIGATE, ("source.ip", "10.45.0.31"), &[&["syslog", "kv"]]),
    ("sophos", SOPHOS, ("source.ip", "10.45.0.31"), &[&["syslog", "kv"]]),
    ("nginx", ACCESS, ("http.response.status_code", "404"), &[&["apache", "modsecurity", "squid"]]),
    ("apache", APACHE_ERROR, ("source.ip", "203.0.113.9"), &[&["nginx", "modsecurity"]]),
    ("nginx", NGINX_ERROR, ("source.ip", "203.0.113.9"), &[&["apache", "modsecurity"]]),
    ("auditd", AUDIT, ("event.module", "auditd"), &[&HOSTS, &["kv"]]),
    ("linux", SSHD, ("user.name", "root"), &[&HOSTS, &BOXES]),
    ("cisco_asa", ASA, ("event.code", "302013"), &[&["syslog", "cisco_ios"]]),
    ("cef", CEF, ("source.ip", "10.45.0.31"), &[&["syslog", "unifi", "kv"]]),
    ("suricata", EVE, ("dns.question.name", "a.example"), &[&["json"]]),
    ("osquery", OSQUERY, ("rule.name", "q"), &[&["json"]]),
    ("squid", SQUID, ("source.ip", "192.0.2.9"), &[&BOXES]),
    ("iis", IIS, ("http.response.status_code", "404"), &[]),
    ("mysql", MYSQL, ("user.name", "root"), &[]),
    ("mysql", SLOW, ("mysql.log.query", "SELECT 1;"), &[]),
    ("postgresql", POSTGRESQL, ("user.name", "lan"), &[]),
    ("bind", BIND, ("dns.question.name", "a.example"), &[&BOXES]),
    ("paloalto", PANOS, ("event.module", "panw"), &[&["syslog"]]),
    ("mikrotik", MIKROTIK, ("source.ip", "203.0.113.9"), &[&["syslog"]]),
    ("postfix", POSTFIX, ("source.ip", "203.0.113.9"), &[&HOSTS, &BOXES]),
    ("haproxy", HAPROXY, ("source.ip", "203.0.113.9"), &[&BOXES]),
    ("mongodb", MONGODB, ("source.ip", "203.0.113.9"), &[]),
    ("mongodb", MONGODB_JSON, ("user.name", "lan"), &[&["json"]]),
    ("redis", REDIS, ("log.level", "warning"), &[]),
];

const NAMED: [&str; 33] = [
    "syslog",
    "linux",
    "auditd",
    "nginx",
    "apache",
    "kv",
    "json",
    "fortigate",
    "mikrotik",
    "pfsense",
    "cisco_asa",
    "cisco_ios",
    "suricata",
    "zeek",
    "paloalto",
    "sophos",
    "draytek",
    "hikvision",
    "dahua",
    "cef",
    "leef",
    "postfix",
    "dovecot",
    "bind",
    "dnsmasq",
    "openvpn",
    "postgresql",
    "mysql",
    "iis",
    "squid",
    "dhcpd",
    "osquery",
    "wazuh",
];

fn read(profile: &str, line: &str) -> Result<Event, String> {
    let mut record = Record::new(line.as_bytes(), "test", Timestamp(1_795_400_000_000_000_000));
    record.profile = Some(Text::from(profile));
    to_event(&record, &Settings::default()).map_err(|letter| letter.reason.to_string())
}

fn told(event: &Event, name: &str) -> String {
    let value = Field::lookup(name).and_then(|field| event.get(field)).and_then(nhatle_event::Value::as_text);
    value.map_or_else(|| "(absent)".to_owned(), |text| text.to_string())
}

#[test]
fn a_line_is_read_as_what_it_is_whatever_name_its_source_has() {
    for (kind, line, (field, value), kept) in LINES {
        for named in NAMED.iter().filter(|named| *named != kind && !kept.iter().any(|names| names.contains(named))) {
            let event = read(named, line).unwrap_or_else(|reason| panic!("{kind} named {named}: {reason}"));
            let found = [told(&event, "nhatle.profile.named"), told(&event, "nhatle.profile.read")];
            assert_eq!(found, [*named, *kind], "{line}\n{event:#?}");
            assert_eq!(told(&event, field), *value, "{kind} named {named}");
            assert_eq!(event.original[..], *line.as_bytes());
        }
    }
}

#[test]
fn a_line_of_its_own_profile_says_nothing_of_names() {
    for (kind, line, (field, value), kept) in LINES {
        let event = read(kind, line).expect("is read");
        assert_eq!([told(&event, "nhatle.profile.read"), told(&event, field)], ["(absent)", *value], "{line}");
        for named in kept.iter().flat_map(|names| names.iter()).filter(|named| *named != kind) {
            // A dead letter says nothing of names either.
            let is_read =
                read(named, line).map_or_else(|_| "(absent)".to_owned(), |event| told(&event, "nhatle.profile.read"));
            assert_eq!(is_read, "(absent)", "{kind} named {named}");
        }
    }
}

/// What a stranger can put into a line, and where: each piece is a whole line of another source.
#[test]
fn what_a_stranger_writes_into_a_line_picks_no_reader() {
    let pieces = LINES.iter().map(|(_, line, ..)| *line).filter(|line| !line.contains('\n'));
    for piece in pieces {
        let quoted = piece.replace('"', "\\\"");
        let lines = [
            (
                "apache",
                format!(r#"203.0.113.9 - - [23/Nov/2026:09:10:00 +0700] "GET /a HTTP/1.1" 404 12 "-" "{quoted}""#),
            ),
            ("apache", format!(r#"203.0.113.9 - - [23/Nov/2026:09:10:00 +0700] "{quoted}" 400 12 "-" "-""#)),
            (
                "nginx",
                format!(r#"203.0.113.9 - {quoted} [23/Nov/2026:09:10:00 +0700] "GET /a HTTP/1.1" 404 12 "-" "-""#),
            ),
            (
                "apache",
                format!("[Mon Nov 23 09:10:00.103522 2026] [core:error] [pid 7] [client 203.0.113.9:4] {piece}"),
            ),
            ("nginx", format!("2026/11/23 09:10:00 [error] 7#8: *9 open() \"{piece}\" failed, client: 203.0.113.9")),
            ("linux", format!("<34>Nov 23 09:10:00 may-01 sshd[7]: Invalid user {piece} from 203.0.113.9 port 4022")),
            ("linux", format!("<34>Nov 23 09:10:00 may-01 portal[7]: {piece}")),
            ("linux", format!("Nov 23 09:10:00 may-01 portal: {piece}")),
            ("postfix", format!("<22>Nov 23 20:10:00 mail-01 postfix/smtpd[9]: {piece}")),
            ("dovecot", format!("<22>Nov 23 20:10:00 mail-01 dovecot: {piece}")),
            ("openvpn", format!("<22>Nov 23 20:10:00 vpn-01 openvpn[9]: {piece}")),
            ("mysql", format!("2026-11-23T02:10:00.861934Z\t    8 Query\t{piece}")),
            ("mysql", format!("2026-11-23T02:10:00.861934Z 8 [Note] {piece}")),
            ("postgresql", format!("2026-11-23 02:10:00.500 UTC [147] lan@hoso LOG:  statement: {piece}")),
            (
                "squid",
                format!(
                    "1795399800.250 9 192.0.2.9 TCP_MISS/200 7 GET http://a.example/{piece} an HIER_DIRECT/203.0.113.9 text/html"
                ),
            ),
            ("fortigate", format!("{FORTIGATE} msg=\"{quoted}\"")),
            (
                "cisco_asa",
                format!(
                    "<166>Nov 23 09:10:00 asa-01 : %ASA-5-111010: User '{piece}', running 'CLI' from IP 10.0.0.1, executed 'x'"
                ),
            ),
            ("cef", format!("{CEF} msg={piece}")),
            ("auditd", format!("type=USER_LOGIN msg=audit(1795399800.123:7): acct=\"{quoted}\"")),
            ("osquery", OSQUERY.replace("\"pid\":\"7\"", &format!("\"cmdline\":{}", serde_json::Value::from(piece)))),
            (
                "iis",
                format!(
                    "2026-11-23 02:10:00 10.45.0.5 GET /a {} 443 - 203.0.113.9 curl/8 - 404 0 0 15",
                    piece.replace(' ', "+")
                ),
            ),
        ];
        for (profile, line) in lines {
            // A line that breaks its format is a dead letter of it.
            let read = read(profile, &line)
                .map_or_else(|_| "(absent)".to_owned(), |event| told(&event, "nhatle.profile.read"));
            assert_eq!(read, "(absent)", "{profile}: {line}");
        }
    }
}

#[test]
fn a_doubtful_line_stays_with_its_name() {
    for (named, line) in [
        ("apache", "user said: type=EXECVE msg=audit(1795399800.123:7): argc=1"),
        ("apache", "x 203.0.113.9 - - [23/Nov/2026:09:10:00 +0700] y"),
        ("mysql", "an - - [23/Nov/2026:09:10:00 +0700] \"GET /a HTTP/1.1\" 404 12"),
        ("mysql", "203.0.113.9 a b c d [23/Nov/2026:09:10:00 +0700] \"GET /a HTTP/1.1\" 404 12"),
        ("apache", "2026-11-23 02:10:00 8 [ERROR] something broke"),
        ("apache", "2026-11-23T02:10:00Z [Warning] something broke"),
        ("apache", "2026-11-23 02:10:00 UTC portal LOG:  it works"),
        ("fortigate", "<34>Nov 23 09:10:00 may-01 portal[7]: signed in"),
        ("postfix", "<34>Nov 23 09:10:00 may-01 portal[7]: signed in"),
        ("apache", "level=info msg=\"hello there\" srcip=10.0.0.1"),
        ("apache", r#"{"message":"x","level":"info"}"#),
        ("nginx", r#"{"src_ip":"192.0.2.9","status":404}"#),
        ("apache", "firewall,one of two"),
        ("squid", "1795399800.250 9 192.0.2.9 TCP_MISS"),
    ] {
        let event = read(named, line).expect("is read");
        assert_eq!(told(&event, "nhatle.profile.read"), "(absent)", "{line}\n{event:#?}");
    }
    // Nobody is sure, so the reason is the named reader's.
    assert!(read("iis", "no such line").expect_err("is none").starts_with("iis: "));
    assert!(read("json", "no such line").expect_err("is none").starts_with("json: "));
}

#[test]
fn a_shipper_around_the_line_changes_nothing() {
    let line = serde_json::json!({ "message": AUDIT, "host": { "name": "may-01" } }).to_string();
    let event = read("apache", &line).expect("is read");
    let found =
        ["nhatle.profile.named", "nhatle.profile.read", "event.module", "host.name"].map(|name| told(&event, name));
    assert_eq!(found, ["apache", "auditd", "auditd", "may-01"]);
    // Nobody but the program says what was named.
    let line = r#"{"nhatle":{"profile":{"named":"x","read":"y"}},"a":1}"#;
    let event = read("json", line).expect("is read");
    assert_eq!([told(&event, "nhatle.profile.read"), told(&event, "labels.nhatle.profile.read")], ["(absent)", "y"]);
}
