//! FortiGate (FortiOS) in its default syslog form: key=value pairs.
//!
//! In: a message that begins with `date=`. Out: traffic, UTM (IPS, antivirus, web, application, DNS) and event
//! (VPN, users, system, configuration) records in ECS; all values under `fortinet.firewall.*`. Failure: a
//! date or time that does not exist. Source: Fortinet, "FortiOS Log Message Reference" 7.4.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Timestamp, Value};

use crate::parse::key_value::{self, Pairs};
use crate::parse::{self, Fault, Syslog};

use super::{Act, Row, act, observer, set_hash, set_pairs, set_text};
use crate::normalize::Context;

const HOME: &str = "fortinet.firewall.";

const TABLE: &[Row] = &[
    ("devname", Field::OBSERVER_NAME),
    ("devid", Field::OBSERVER_SERIAL_NUMBER),
    ("logid", Field::EVENT_CODE),
    ("level", Field::LOG_LEVEL),
    ("action", Field::EVENT_ACTION),
    ("reason", Field::EVENT_REASON),
    ("tz", Field::EVENT_TIMEZONE),
    ("msg", Field::MESSAGE),
    ("logdesc", Field::RULE_DESCRIPTION),
    ("srcip", Field::SOURCE_IP),
    ("srcport", Field::SOURCE_PORT),
    ("srcmac", Field::SOURCE_MAC),
    ("srcdomain", Field::SOURCE_DOMAIN),
    ("srccountry", Field::SOURCE_GEO_COUNTRY_NAME),
    ("dstip", Field::DESTINATION_IP),
    ("dstport", Field::DESTINATION_PORT),
    ("dstmac", Field::DESTINATION_MAC),
    ("dstcountry", Field::DESTINATION_GEO_COUNTRY_NAME),
    ("hostname", Field::DESTINATION_DOMAIN),
    ("transip", Field::SOURCE_NAT_IP),
    ("transport", Field::SOURCE_NAT_PORT),
    ("tranip", Field::DESTINATION_NAT_IP),
    ("tranport", Field::DESTINATION_NAT_PORT),
    ("sentbyte", Field::SOURCE_BYTES),
    ("rcvdbyte", Field::DESTINATION_BYTES),
    ("sentpkt", Field::SOURCE_PACKETS),
    ("rcvdpkt", Field::DESTINATION_PACKETS),
    ("proto", Field::NETWORK_TRANSPORT),
    ("srcintf", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("dstintf", Field::OBSERVER_EGRESS_INTERFACE_NAME),
    ("policyid", Field::RULE_ID),
    ("policyname", Field::RULE_NAME),
    ("poluuid", Field::RULE_UUID),
    ("policytype", Field::RULE_RULESET),
    ("appcat", Field::RULE_CATEGORY),
    ("app", Field::NETWORK_APPLICATION),
    ("qname", Field::DNS_QUESTION_NAME),
    ("qtype", Field::DNS_QUESTION_TYPE),
    ("xid", Field::DNS_ID),
    ("url", Field::URL_PATH),
    ("agent", Field::USER_AGENT_ORIGINAL),
    ("httpmethod", Field::HTTP_REQUEST_METHOD),
    ("referralurl", Field::HTTP_REQUEST_REFERRER),
    ("filename", Field::FILE_NAME),
    ("filesize", Field::FILE_SIZE),
    ("src_port", Field::SOURCE_PORT),
    ("dst_port", Field::DESTINATION_PORT),
    ("stamac", Field::SOURCE_MAC),
];

/// Signatures: in ECS the rule is the signature, not the policy that let it look.
const SIGNATURE_TABLE: &[Row] = &[
    ("attackid", Field::RULE_ID),
    ("attack", Field::RULE_NAME),
    ("virusid", Field::RULE_ID),
    ("virus", Field::RULE_NAME),
];

/// Whether a message is a FortiGate's: its date, its device's name or serial number, its log number.
pub fn is_fortigate(message: &str) -> bool {
    let front = message.as_bytes().get(..message.len().min(400)).unwrap_or_default();
    // FortiAnalyzer passes on with its own keys in front; the form of RFC 5424 leaves date and device to the header.
    let is_front = |key: &&str| message.starts_with(*key);
    if !["date=", "logver=", "eventtime=", "timestamp=", "devname=", "itime="].iter().any(is_front) {
        return false;
    }
    let has = |key: &[u8]| memchr::memchr_iter(b'=', front).any(|at| front[..at].ends_with(key));
    let has_device = has(b" devid") || has(b" devname") || message.starts_with('e') || message.starts_with("devname=");
    let has_keys = has(b" logid") && has_device && has(b" type");
    let has_columns = || has(b",logid") && (has(b",devid") || has(b",devname")) && has(b",type");
    has_keys || has_columns()
}

/// The pairs of `set format csv`: commas between them, none inside quotes.
fn comma_pairs(message: &str) -> Pairs<'_> {
    let mut pairs = Pairs::new();
    let mut rest = message;
    while let Some((key, after)) = rest.split_once('=') {
        if key_value::PAIRS_MAX <= pairs.len() {
            break;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(inner) => {
                let end = closing_quote(inner);
                (&inner[..end], inner.get(end + 1..).unwrap_or_default())
            }
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        let is_escaped = value.contains('\\');
        let value = if is_escaped { value.replace("\\\"", "\"").replace("\\\\", "\\").into() } else { value.into() };
        pairs.push((key.trim(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    pairs
}

/// Where a quoted value ends: the first quote that is not escaped.
fn closing_quote(inner: &str) -> usize {
    let mut is_escaped = false;
    let ends = |(_, byte): &(usize, u8)| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    };
    inner.bytes().enumerate().find(ends).map_or(inner.len(), |(at, _)| at)
}

/// The event of a message.
///
/// # Errors
/// `date` and `time` stand in front and are none.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    // `date=2026-11-23,time=…`: a day is ten bytes long.
    let has_commas = message.as_bytes().get("date=2026-11-23".len()) == Some(&b',');
    let pairs = if has_commas { comma_pairs(message) } else { key_value::pairs(message) };
    let stamp = moment(&pairs, context)?.or(parts.timestamp);
    let kind = value(&pairs, "type").unwrap_or_default();
    let dataset = match kind {
        "traffic" => "fortinet.traffic",
        "utm" => "fortinet.utm",
        "event" => "fortinet.event",
        _ => "fortinet.firewall",
    };
    let mut event = context.event(stamp, "fortinet", dataset);
    event.reserve(pairs.len() * 2);
    observer(&mut event, "Fortinet", "Fortigate", "firewall");
    set_pairs(&mut event, HOME, TABLE, each(&pairs));
    if value(&pairs, "proto").is_none() {
        event.remove(Field::NETWORK_TRANSPORT);
    }
    if let Some(name) = value(&pairs, "devname") {
        event.set(Field::HOST_NAME, name);
    }
    match value(&pairs, "direction") {
        Some("incoming") => event.set(Field::NETWORK_DIRECTION, "inbound"),
        Some("outgoing") => event.set(Field::NETWORK_DIRECTION, "outbound"),
        Some(told) => set_text(&mut event, Field::NETWORK_DIRECTION, told),
        None => {}
    }
    for hash in [value(&pairs, "filehash"), value(&pairs, "analyticscksum")].into_iter().flatten() {
        set_hash(&mut event, hash);
    }
    // One address or several: `198.51.100.1, 198.51.100.2`.
    let resolved = value(&pairs, "ipaddr").unwrap_or_default().split([',', ' ']);
    for address in resolved.filter_map(|text| text.trim().parse::<std::net::IpAddr>().ok()) {
        event.add(Field::DNS_RESOLVED_IP, address);
    }
    if let Some(service) = value(&pairs, "service") {
        event.set(Field::NETWORK_PROTOCOL, service.to_ascii_lowercase());
    }
    if let Some(seconds) = value(&pairs, "duration").and_then(|text| text.parse::<i64>().ok()) {
        event.set(Field::EVENT_DURATION, seconds.saturating_mul(1_000_000_000));
    }
    match kind {
        "traffic" => traffic(&mut event, &pairs),
        "utm" => utm(&mut event, &pairs),
        _ => device_event(&mut event, &pairs),
    }
    Ok(event)
}

fn each<'a>(pairs: &'a Pairs<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs.iter().map(|(key, value)| (*key, value.as_ref()))
}

fn value<'a>(pairs: &'a Pairs<'_>, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
    found.filter(|value| !matches!(*value, "" | "N/A" | "N/A,"))
}

/// `date` and `time` in the zone `tz`, with the fraction of `eventtime` where both tell the same second. FortiOS
/// before 6.2 writes whole seconds of local time into `eventtime`, so that alone is trusted last.
fn moment(pairs: &Pairs<'_>, context: &Context<'_>) -> Result<Option<Timestamp>, Fault> {
    let exact = value(pairs, "eventtime").and_then(|text| parse::json::moment(&Value::from(text), 0));
    let (Some(date), Some(time)) = (value(pairs, "date"), value(pairs, "time")) else { return Ok(exact) };
    let zone = value(pairs, "tz").unwrap_or_default();
    let text: Cow<'_, str> = format!("{date}T{time}{zone}").into();
    let told = Timestamp::parse(&text, context.offset_s)
        .or_else(|| Timestamp::parse(&format!("{date}T{time}"), far_zone(zone).unwrap_or(context.offset_s)))
        .ok_or_else(|| Fault::new("fortigate: no such date", "date=".len()))?;
    Ok(Some(exact.filter(|exact| told.since(*exact).abs() < 1_000_000_000).unwrap_or(told)))
}

/// FortiAnalyzer's `UTC+7:00`, in seconds.
fn far_zone(text: &str) -> Option<i32> {
    let (sign, rest) = text.trim_start_matches(|c: char| c.is_ascii_alphabetic()).split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    let offset_s = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    let offset_s = if sign == "-" { -offset_s } else { offset_s };
    (-86_400..86_400).contains(&offset_s).then_some(offset_s)
}

fn traffic(event: &mut Event, pairs: &Pairs<'_>) {
    let kinds: &[&str] = match value(pairs, "action").unwrap_or_default() {
        "deny" | "blocked" | "block" => &["connection", "end", "denied"],
        "start" => &["connection", "start", "allowed"],
        _ => &["connection", "end", "allowed"],
    };
    act(event, Act("network", kinds, "success"));
    set_user(event, Field::SOURCE_USER_NAME, value(pairs, "user").or_else(|| value(pairs, "unauthuser")));
}

fn utm(event: &mut Event, pairs: &Pairs<'_>) {
    event.set(Field::EVENT_KIND, "alert");
    let is_stopped = matches!(
        value(pairs, "action"),
        Some(
            "blocked"
                | "block"
                | "dropped"
                | "reset"
                | "reset_client"
                | "reset_server"
                | "deny"
                | "drop_session"
                | "clear_session"
                | "drop"
                | "quarantined"
        )
    );
    let subtype = value(pairs, "subtype").unwrap_or_default();
    let category = match subtype {
        "ips" | "anomaly" => "intrusion_detection",
        "virus" => "malware",
        "webfilter" | "waf" => "web",
        "dlp" | "file-filter" => "file",
        "emailfilter" => "email",
        _ => "network",
    };
    if !matches!(subtype, "ips" | "anomaly" | "virus") {
        event.set(Field::EVENT_KIND, "event");
    }
    let kinds: &[&str] = if is_stopped { &["denied"] } else { &["allowed"] };
    act(event, Act(category, kinds, "success"));
    if matches!(subtype, "ips" | "anomaly" | "virus") {
        let signature = each(pairs).filter(|(key, _)| SIGNATURE_TABLE.iter().any(|(known, _)| known == key));
        for (key, text) in signature {
            for (_, field) in SIGNATURE_TABLE.iter().filter(|(known, _)| *known == key) {
                set_text(event, *field, text);
            }
        }
    }
    if let (Some(host), Some(path)) = (value(pairs, "hostname"), value(pairs, "url")) {
        event.set(Field::URL_DOMAIN, host);
        event.set(Field::URL_ORIGINAL, path);
    }
    // Newer versions write the whole address; its parts are taken from it.
    if let Some(url) = value(pairs, "url").filter(|url| url.contains("://")) {
        event.remove(Field::URL_PATH);
        event.set(Field::URL_ORIGINAL, url);
    }
    if subtype == "emailfilter" {
        for (key, named) in [("from", "email.from.address"), ("to", "email.to.address"), ("subject", "email.subject")] {
            if let Some(text) = value(pairs, key) {
                event.set_named(named, text);
            }
        }
    }
    set_user(event, Field::SOURCE_USER_NAME, value(pairs, "user"));
}

/// What happened on the device itself.
fn device_event(event: &mut Event, pairs: &Pairs<'_>) {
    let subtype = value(pairs, "subtype").unwrap_or_default();
    let (action, status) = (value(pairs, "action").unwrap_or_default(), value(pairs, "status").unwrap_or_default());
    let outcome = match status {
        "failed" | "failure" | "negotiate_error" | "fail" | "error" => "failure",
        "success" | "logon" | "up" => "success",
        _ if action.ends_with("-login-fail") || action == "auth-failure" => "failure",
        _ => "",
    };
    let lower = action.to_ascii_lowercase();
    let meaning = if value(pairs, "cfgpath").is_some() {
        match lower.as_str() {
            "add" => Act("configuration", &["creation"], "success"),
            "delete" => Act("configuration", &["deletion"], "success"),
            _ => Act("configuration", &["change"], "success"),
        }
    } else if lower.ends_with("login-fail") {
        Act("authentication", &["start"], "failure")
    } else if lower == "login" || lower.ends_with("-logon") || lower == "authentication" {
        Act("authentication", &["start"], if outcome.is_empty() { "success" } else { outcome })
    } else if lower == "logout" || lower.ends_with("-logoff") {
        Act("authentication", &["end"], "success")
    } else {
        match (subtype, lower.as_str()) {
            ("vpn", "tunnel-up") => Act("network", &["connection", "start"], "success"),
            ("vpn", "tunnel-down") => Act("network", &["connection", "end"], "success"),
            ("vpn", _) => Act("network", &["connection"], outcome),
            ("wireless", _) => Act("network", &["info"], outcome),
            _ => Act("host", &["info"], outcome),
        }
    };
    act(event, meaning);
    let is_about_vpn = subtype == "vpn";
    // A remote peer is where a VPN comes from; `ui` names where an administrator sits: `https(203.0.113.9)`.
    let peer = value(pairs, "remip").filter(|_| is_about_vpn).or_else(|| {
        let ui = value(pairs, "ui")?;
        Some(ui.split_once('(').map_or(ui, |(_, rest)| rest.trim_end_matches(')'))).filter(|text| is_address(text))
    });
    if let Some(peer) = peer
        && event.get(Field::SOURCE_IP).is_none()
    {
        set_text(event, Field::SOURCE_IP, peer);
    }
    // A lease or a machine's agent: whose it is, is not whom it spoke to.
    if event.get(Field::SOURCE_IP).is_none() && (value(pairs, "dhcp_msg").is_some() || subtype == "endpoint") {
        set_text(event, Field::SOURCE_IP, value(pairs, "ip").unwrap_or_default());
        set_text(event, Field::SOURCE_MAC, value(pairs, "mac").unwrap_or_default());
        let name = value(pairs, "hostname").or_else(|| value(pairs, "name"));
        set_text(event, Field::SOURCE_DOMAIN, name.unwrap_or_default());
    }
    ends_of_tunnel(event, pairs);
    set_user(event, Field::USER_NAME, value(pairs, "user").or_else(|| value(pairs, "xauthuser")));
    set_user(event, Field::SOURCE_USER_NAME, value(pairs, "user"));
    if value(pairs, "cfgpath").is_some_and(|path| matches!(path, "system.admin" | "user.local")) {
        set_user(event, Field::USER_TARGET_NAME, value(pairs, "cfgobj"));
    }
}

/// Both ends of an IPsec tunnel: who began it (`init`) is its source.
fn ends_of_tunnel(event: &mut Event, pairs: &Pairs<'_>) {
    let (Some(here), Some(there)) = (value(pairs, "locip"), value(pairs, "remip")) else { return };
    let (here_port, there_port) = (value(pairs, "locport"), value(pairs, "remport"));
    let is_ours = value(pairs, "init") == Some("local");
    let (from, to) =
        if is_ours { ((here, here_port), (there, there_port)) } else { ((there, there_port), (here, here_port)) };
    set_text(event, Field::SOURCE_IP, from.0);
    set_text(event, Field::DESTINATION_IP, to.0);
    set_text(event, Field::SOURCE_PORT, from.1.unwrap_or_default());
    set_text(event, Field::DESTINATION_PORT, to.1.unwrap_or_default());
    set_text(event, Field::NETWORK_DIRECTION, value(pairs, "dir").unwrap_or_default());
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

fn set_user(event: &mut Event, field: Field, name: Option<&str>) {
    if let Some(name) = name {
        set_text(event, field, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    const LINE: &str = r#"<189>date=2026-11-23 time=09:10:00 devname="FGT-UBND" devid="FGT60FTK00000001" eventtime=1795399800123456789 tz="+0700" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.45.0.31 srcport=50330 srcintf="lan" dstip=203.0.113.80 dstport=443 dstintf="wan1" proto=6 action="deny" policyid=7 service="HTTPS" duration=3 sentbyte=60 rcvdbyte=40"#;

    #[test]
    fn traffic_is_told_with_and_without_its_profile() {
        let told = [
            ("event.dataset", "fortinet.traffic"),
            ("event.action", "deny"),
            ("source.ip", "10.45.0.31"),
            ("destination.port", "443"),
            ("network.transport", "tcp"),
            ("network.protocol", "https"),
            ("network.bytes", "100"),
            ("event.duration", "3000000000"),
            ("observer.name", "FGT-UBND"),
            ("rule.id", "7"),
            ("fortinet.firewall.subtype", "forward"),
            ("log.syslog.priority", "189"),
        ];
        check(LINE, Some(Profile::Fortigate), &told);
        check(LINE, None, &told);
        check(LINE.trim_start_matches("<189>"), None, &told[..9]);
    }

    #[test]
    fn what_a_user_types_is_a_value() {
        let line = r#"date=2026-11-23 time=02:10:00 devname="f" devid="F" logid="0100032002" type="event" subtype="system" action="login" status="failed" user="x\" srcip=198.51.100.66 z=\"" ui="https(203.0.113.9)" msg="no""#;
        check(
            line,
            Some(Profile::Fortigate),
            &[("source.ip", "203.0.113.9"), ("event.outcome", "failure"), ("event.category", "authentication")],
        );
    }

    #[test]
    fn the_way_is_in_ecs_words() {
        let line = r#"date=2026-11-23 time=09:10:00 devname="f" devid="F" logid="0419016384" type="utm" subtype="ips" srcip=203.0.113.9 dstip=192.0.2.20 action="dropped" direction="incoming" attack="Worm""#;
        check(line, None, &[("network.direction", "inbound"), ("fortinet.firewall.direction", "incoming")]);
    }

    #[test]
    fn who_began_a_tunnel_is_its_source() {
        let line = |init: &str| {
            format!(
                r#"date=2026-11-23 time=09:10:00 devname="f" devid="F" logid="0101037127" type="event" subtype="vpn" action="negotiate" remip=203.0.113.9 locip=192.0.2.1 remport=4500 locport=500 status="success" init="{init}" dir="outbound""#
            )
        };
        check(
            &line("local"),
            None,
            &[("source.ip", "192.0.2.1"), ("destination.port", "4500"), ("network.direction", "outbound")],
        );
        check(&line("remote"), None, &[("source.ip", "203.0.113.9"), ("destination.ip", "192.0.2.1")]);
    }

    #[test]
    fn the_other_forms_of_its_syslog_setting() {
        let told = [
            ("event.dataset", "fortinet.traffic"),
            ("source.ip", "10.45.0.31"),
            ("destination.port", "443"),
            ("observer.name", "FGT, UBND"),
            ("rule.id", "7"),
        ];
        let line = r#"<189>date=2026-11-23,time=09:10:00,devname="FGT, UBND",devid="FGT60FTK00000001",logid="0000000013",type="traffic",subtype="forward",level="notice",srcip=10.45.0.31,dstip=203.0.113.80,dstport=443,action="deny",policyid=7,msg="a \"b\", c""#;
        for profile in [None, Some(Profile::Fortigate)] {
            check(line, profile, &told);
        }
        check(line, None, &[("message", r#"a "b", c"#)]);
        let cef = "<189>Nov 23 09:10:00 FGT-UBND CEF: 0|Fortinet|Fortigate|v6.4.9|00013|traffic:forward deny|5|src=10.45.0.31 dst=203.0.113.80 dpt=443 act=deny";
        check(cef, None, &[("event.module", "cef"), ("source.ip", "10.45.0.31"), ("event.type", "connection,denied")]);
        check(cef, Some(Profile::Cef), &[("event.code", "00013"), ("observer.vendor", "Fortinet")]);
    }

    #[test]
    fn what_an_analyzer_passes_on_and_whole_addresses() {
        let line = r#"<189>logver=702081639 timestamp=1795399800 tz="UTC+7:00" devname="FGT-1" devid="F" vd="root" date=2026-11-23 time=09:10:00 logid="0316013056" type="utm" subtype="webfilter" level="warning" srcip=10.45.0.9 dstip=203.0.113.9 action="blocked" hostname="a.example" url="https://a.example/x.exe?b=1""#;
        let told = [
            ("source.ip", "10.45.0.9"),
            ("url.path", "/x.exe"),
            ("url.query", "b=1"),
            ("url.domain", "a.example"),
            ("url.original", "https://a.example/x.exe?b=1"),
            ("event.type", "denied"),
        ];
        check(line, None, &told);
        check(line, Some(Profile::Fortigate), &told);
        let line = r#"<189>1 2026-11-23T09:10:00Z FGT-1 - - - - eventtime=1795399800123456789 logid="0100026001" type="event" subtype="system" level="information" logdesc="DHCP Ack log" interface="lan" dhcp_msg="Ack" mac="00:11:22:33:44:55" ip=10.45.0.9 hostname="PC-1""#;
        check(
            line,
            None,
            &[("source.ip", "10.45.0.9"), ("source.mac", "00:11:22:33:44:55"), ("source.domain", "PC-1")],
        );
    }

    #[test]
    fn hashes_by_length_and_every_address_of_an_answer() {
        let line = |more: &str| {
            format!(
                r#"date=2026-11-23 time=09:10:00 devname="f" devid="F" logid="1501054802" type="utm" subtype="dns" srcip=10.45.0.31 qname="a.example" ipaddr="198.51.100.1, 2001:db8::2" {more}"#
            )
        };
        let sum = "0".repeat(64);
        check(
            &line(&format!(r#"analyticscksum="{sum}" filehash="7c6f6f3b""#)),
            None,
            &[
                ("dns.resolved_ip", "198.51.100.1,2001:db8::2"),
                ("file.hash.sha256", &sum),
                ("file.hash.md5", "(absent)"),
            ],
        );
    }

    #[test]
    fn a_date_that_does_not_exist_is_a_dead_letter() {
        let line = "<189>date=2026-13-23 time=09:10:00 devname=\"f\" devid=\"F\" logid=\"1\" type=\"event\"";
        super::super::check_dead(line, Profile::Fortigate, "fortigate: no such date", 10);
    }
}
