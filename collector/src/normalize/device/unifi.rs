//! Ubiquiti UniFi: access points and switches (`model,mac,version: program: …`), gateways (packets as iptables
//! writes them), and the CEF records of UniFi Network 9 and UniFi OS.
//!
//! In: a message of such a device. Out: who joined and left the wireless and why, packets, threats, administrators'
//! sign-ins and changes in ECS; the rest under `unifi.*`. Failure: a CEF header that is too short. Promise: names that
//! strangers choose (a host name, an SSID) are values. Source: Ubiquiti help center, "UniFi System Logs & SIEM
//! Integration"; hostapd's messages; `nf_log_syslog.c`.

use std::sync::LazyLock;

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text, Value};

use super::template::{Template, Wordings};
use super::{Act, Row, act, cef, observer, set_text, stamp};
use crate::normalize::{Context, firewall};
use crate::parse::{self, Syslog};

const JOINED: Act = Act("network", &["connection", "start"], "success");
const LEFT: Act = Act("network", &["connection", "end"], "");
const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");

/// What programs on an access point say: wording, action, meaning.
const WORDINGS: &[(&str, &str, Act)] = &[
    ("<unifi.radio>: STA <source.mac> IEEE 802.11: associated<>", "wifi-associated", JOINED),
    ("<unifi.radio>: STA <source.mac> IEEE 802.11: authenticated<>", "wifi-authenticated", LOGIN),
    (
        "<unifi.radio>: STA <source.mac> IEEE 802.11: deauthenticated due to <event.reason>",
        "wifi-deauthenticated",
        LEFT,
    ),
    ("<unifi.radio>: STA <source.mac> IEEE 802.11: deauthenticated<>", "wifi-deauthenticated", LEFT),
    ("<unifi.radio>: STA <source.mac> IEEE 802.11: disassociated<>", "wifi-disassociated", LEFT),
    ("<unifi.radio>: STA <source.mac> WPA: pairwise key handshake completed <>", "wifi-key-agreed", LOGIN),
    ("<unifi.radio>: STA <source.mac> WPA: invalid MIC in msg 2/4 <>", "wifi-wrong-key", REFUSED),
    ("<unifi.radio>: AP-STA-POSSIBLE-PSK-MISMATCH <source.mac>", "wifi-wrong-key", REFUSED),
    ("<unifi.radio>: STA <source.mac> IEEE 802.1X: authentication failed <>", "wifi-wrong-key", REFUSED),
    ("<unifi.radio>: STA <source.mac> IEEE 802.1X: authenticated <>", "wifi-key-agreed", LOGIN),
    ("wevent.ubnt_custom_event(): EVENT_STA_JOIN <unifi.radio>: <source.mac> / <>", "wifi-associated", JOINED),
    ("wevent.ubnt_custom_event(): EVENT_STA_LEAVE <unifi.radio>: <source.mac> / <>", "wifi-disassociated", LEFT),
    ("Bad password attempt for '<user.name*>' from <source.ip>:<source.port>", "login-failed", REFUSED),
    ("Password auth succeeded for '<user.name*>' from <source.ip>:<source.port>", "logged-in", LOGIN),
];

static TEMPLATES: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(WORDINGS));

/// Keys that UniFi adds to CEF.
const TABLE: &[Row] = &[
    ("UNIFIadmin", Field::USER_NAME),
    ("UNIFIclientMac", Field::SOURCE_MAC),
    ("UNIFIclientIp", Field::SOURCE_IP),
    ("UNIFIclientHostname", Field::SOURCE_DOMAIN),
    ("UNIFIwifiName", Field::NETWORK_NAME),
    ("UNIFIssid", Field::NETWORK_NAME),
    ("UNIFIdeviceName", Field::OBSERVER_NAME),
    ("UNIFIconnectedToDeviceName", Field::OBSERVER_NAME),
    ("UNIFIlastConnectedToDeviceName", Field::OBSERVER_NAME),
    ("UNIFIhost", Field::HOST_NAME),
    ("UNIFIdirection", Field::NETWORK_DIRECTION),
    ("UNIFIpolicyName", Field::RULE_RULESET),
    ("UNIFIipsSignature", Field::RULE_NAME),
    ("UNIFIipsSignatureId", Field::RULE_ID),
    ("UNIFIbytesSent", Field::SOURCE_BYTES),
    ("UNIFIbytesReceived", Field::DESTINATION_BYTES),
    ("UNIFIpacketsSent", Field::SOURCE_PACKETS),
    ("UNIFIpacketsReceived", Field::DESTINATION_PACKETS),
    ("UNIFIsrcRegion", Field::SOURCE_GEO_COUNTRY_NAME),
    ("UNIFIdstRegion", Field::DESTINATION_GEO_COUNTRY_NAME),
];

/// What an event's name holds (in small letters, `-` for spaces), and what it means; the first that fits counts.
const NAMES: &[(&str, Act)] = &[
    ("rogue", Act("intrusion_detection", &["info"], "")),
    ("honeypot", Act("intrusion_detection", &["info"], "")),
    ("threat", Act("intrusion_detection", &["info"], "")),
    ("intrusion", Act("intrusion_detection", &["info"], "")),
    ("login-fail", REFUSED),
    ("failed-login", REFUSED),
    ("authentication-fail", REFUSED),
    ("accessed", LOGIN),
    ("config", Act("configuration", &["change"], "success")),
    ("setting", Act("configuration", &["change"], "success")),
    ("admin", Act("configuration", &["change"], "success")),
    ("adopted", Act("configuration", &["creation"], "success")),
    ("disconnected", LEFT),
    ("connected", JOINED),
    ("blocked", Act("network", &["connection"], "")),
    ("offline", Act("host", &["info"], "")),
];

/// `U7PG2,802aa853a30a,v4.0.69.10871` or `802aa853a30a,U6-LR-6.6.55+15189`: the tag of an access point or switch.
fn device_tag(word: &str) -> Option<(&str, &str)> {
    // Two pieces at least, so nothing without a comma.
    memchr::memchr(b',', word.as_bytes())?;
    // Firmware before 4 puts it in brackets and quotes: `("U7LR,fcecda000001,v3.9")`.
    let word = word.trim_end_matches(':').trim_matches(['(', ')', '"']);
    let mut pieces = word.split(',');
    let mac = word.split(',').find(|piece| piece.len() == 12 && piece.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let model = pieces.find(|piece| *piece != mac)?;
    (word.len() <= 128).then_some((mac, model))
}

/// Whether a message is a UniFi device's own.
pub fn is_unifi(parts: &Syslog<'_>) -> bool {
    let first = parse::cut(parts.message, b' ').map_or(parts.message, |(first, _)| first);
    parts.app.is_some_and(|app| device_tag(app).is_some())
        || (first.ends_with(':') && device_tag(first).is_some())
        || parts.host.is_some_and(|host| host.contains(',') && device_tag(host).is_some())
}

/// The event of a message that is not CEF.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let mut event = context.event(parts.timestamp, "unifi", "unifi.device");
    observer(&mut event, "Ubiquiti", "UniFi", "access-point");
    // Gateways write their name twice.
    let repeated = parts.host.and_then(|host| message.strip_prefix(host)?.strip_prefix(' ')).unwrap_or(message);
    let (first, rest) = repeated.split_once(' ').unwrap_or((repeated, ""));
    let in_front = Some(first).filter(|first| first.ends_with(':'));
    let tag = [parts.app, in_front, parts.host].into_iter().flatten().find_map(device_tag);
    if let Some((mac, model)) = tag {
        event.set_named("observer.mac", Text::from(mac));
        event.set_named("unifi.model", Text::from(model));
        // Where such a mark stands for the host's name, the hardware address is the name it has.
        if parts.host.and_then(device_tag).is_some() {
            event.set(Field::HOST_NAME, Text::from(mac));
            event.set(Field::HOST_HOSTNAME, Text::from(mac));
        }
    }
    let text = if in_front.and_then(device_tag).is_some() { rest } else { repeated };
    let own = parts.app.filter(|app| device_tag(app).is_none() && !app.is_empty());
    let (program, text) = match own {
        Some(app) => (app, text),
        None => program(text),
    };
    if !program.is_empty() {
        event.set(Field::PROCESS_NAME, Text::from(program));
    }
    event.set(Field::MESSAGE, Text::from(text));
    if text.contains(" SRC=") && text.contains("IN=") {
        packet(&mut event, text);
    } else if program == "stahtd" && text.contains('{') {
        tracked(&mut event, text);
    } else if !TEMPLATES.fill(text, &mut event) && program == "sshd" {
        crate::normalize::linux::set_fields(&mut event, program, text);
    }
    event
}

/// `hostapd: text`, `mcad[77]: mcad: text`, `: wevent: text`: the program and its text.
fn program(text: &str) -> (&str, &str) {
    let (mut name, mut left) = ("", text.trim_start_matches([':', ' ']));
    for _ in 0..2 {
        let Some((word, rest)) = left.split_once(": ") else { break };
        let bare = word.split('[').next().unwrap_or_default();
        let is_name = !bare.is_empty()
            && bare.len() <= 32
            && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_name || !(name.is_empty() || name == bare) {
            break;
        }
        (name, left) = (bare, rest);
    }
    (name, left.trim())
}

/// `[WAN_LOCAL-D-2147483647] DESCR="…" IN=…`: rule set, verdict, rule number, and the packet.
fn packet(event: &mut Event, text: &str) {
    event.set(Field::OBSERVER_TYPE, "firewall");
    firewall::kernel(event, text.get(text.find("IN=").unwrap_or_default()..).unwrap_or_default());
    let Some((prefix, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) else { return };
    let mut pieces = prefix.rsplitn(3, '-');
    let (last, middle, first) = (pieces.next(), pieces.next(), pieces.next());
    let (ruleset, verdict, number) = match (first, middle, last) {
        (Some(set), Some(verdict @ ("A" | "D" | "R")), number) => (set, verdict, number),
        (set, middle, Some(verdict @ ("A" | "D" | "R"))) => (middle.or(set).unwrap_or_default(), verdict, None),
        _ => return,
    };
    event.set(Field::RULE_RULESET, Text::from(ruleset));
    if let Some(number) = number {
        event.set(Field::RULE_ID, Text::from(number));
    }
    if let Some(name) = rest.trim_start().strip_prefix("DESCR=\"").and_then(|rest| rest.split('"').next()) {
        set_text(event, Field::RULE_NAME, name);
    }
    let (action, kind) = match verdict {
        "A" => ("accept", "allowed"),
        "R" => ("reject", "denied"),
        _ => ("drop", "denied"),
    };
    event.set(Field::EVENT_ACTION, action);
    event.add(Field::EVENT_TYPE, kind);
}

/// The station tracker's JSON: one object an attempt to join.
fn tracked(event: &mut Event, text: &str) {
    let Some(leaves) = text.find('{').and_then(|at| parse::json::parse(text.get(at..)?.trim_end()).ok()) else {
        return;
    };
    let leaves: Leaves = leaves;
    let told = |name: &str| leaves.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_text());
    let (action, meaning) = match told("event_type").as_deref() {
        Some("failure") => ("wifi-association-failed", Act("network", &["connection"], "failure")),
        Some("soft failure") => ("wifi-association-incomplete", Act("network", &["connection"], "")),
        Some("success" | "fixup") => ("wifi-associated", JOINED),
        Some("sta_leave") => ("wifi-disassociated", LEFT),
        _ => ("wifi-station-tracked", Act("network", &["info"], "")),
    };
    event.set(Field::EVENT_ACTION, action);
    act(event, meaning);
    if let Some(mac) = told("mac") {
        set_text(event, Field::SOURCE_MAC, &mac);
    }
    for (name, value) in leaves {
        if name.len() <= 64 {
            event.set_named(&format!("unifi.{name}"), value);
        }
    }
}

/// The event of a CEF record of UniFi Network or UniFi OS.
pub fn of_cef(record: &cef::Parts<'_>, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let told = record.value("UNIFIutcTime").and_then(|text| stamp::moment_in(text, context, 0));
    let at = told.or_else(|| cef::moment(record, context)).or(parts.timestamp);
    let mut event = context.event(at, "unifi", "unifi.network");
    cef::fill(&mut event, record);
    event.set(Field::OBSERVER_TYPE, "access-point");
    for (key, value) in &record.extension {
        let Some(own) = key.strip_prefix("UNIFI") else { continue };
        if value.is_empty() || value == "null" {
            continue;
        }
        event.set_named(&format!("unifi.{own}"), Text::from(value.as_ref()));
        for (_, field) in TABLE.iter().filter(|(known, _)| known == key) {
            set_text(&mut event, *field, value);
        }
    }
    if let Some(address) = record.value("UNIFIdeviceIp") {
        event.set_named("observer.ip", Text::from(address));
    }
    let [_, _, product, _, _, name, _] = &record.header;
    let action: String = name.chars().take(64).map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
    event.set(Field::EVENT_ACTION, action.as_str());
    let kinds: Vec<Value> =
        event.get(Field::EVENT_TYPE).map(|kinds| kinds.each().cloned().collect()).unwrap_or_default();
    event.remove(Field::EVENT_TYPE);
    if let Some((_, meaning)) = NAMES.iter().find(|(word, _)| action.contains(word)) {
        act(&mut event, *meaning);
        if meaning.0 == "intrusion_detection" {
            event.set(Field::EVENT_KIND, "alert");
        }
    }
    let is_blocked = action.contains("blocked");
    let verdicts = kinds.iter().filter_map(Value::text).filter(|kind| matches!(*kind, "denied" | "allowed"));
    for kind in verdicts.chain(is_blocked.then_some("denied")) {
        event.add(Field::EVENT_TYPE, Text::from(kind));
    }
    // UniFi OS leaves the name out and says all in words; what somebody is called is greedy.
    if product.as_ref() == "UniFi OS"
        && let Some(message) = record.value("msg")
    {
        let came = Template::new("<user.name*> accessed the UniFi OS via <unifi.accessMethod>. Source IP: <source.ip>");
        if came.fill(message, &mut event) {
            event.set(Field::EVENT_ACTION, "admin-accessed-unifi-os");
            act(&mut event, LOGIN);
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    #[test]
    fn a_mark_in_place_of_a_name_is_taken_apart() {
        check(
            "<30>Nov 23 09:10:00 (\"U7LR,fcecda000001,v3.9.54\") hostapd: ath0: STA 00:11:22:33:44:55 IEEE 802.11: associated",
            Some(Profile::Unifi),
            &[("unifi.model", "U7LR"), ("host.name", "fcecda000001"), ("source.mac", "00:11:22:33:44:55")],
        );
    }

    #[test]
    fn access_points_old_and_new() {
        for front in [
            "<30>Nov 23 09:10:00 U6-Hall 1c6a1b60baa0,U6-LR-6.6.55+15189: hostapd: ",
            "<30>Nov 23 09:10:00 U7PG2,1c6a1b60baa0,v4.3.20.11298: hostapd: ",
            "<30>Nov 23 09:10:00 U6-Hall 1c6a1b60baa0,U6-LR-6.6.55+15189: : hostapd[77]: hostapd: ",
        ] {
            let told = [
                ("event.dataset", "unifi.device"),
                ("event.action", "wifi-deauthenticated"),
                ("source.mac", "02:00:00:00:00:01"),
                ("event.reason", "inactivity (timer DEAUTH/REMOVE)"),
                ("process.name", "hostapd"),
                ("observer.mac", "1c6a1b60baa0"),
            ];
            let line = format!(
                "{front}ath0: STA 02:00:00:00:00:01 IEEE 802.11: deauthenticated due to inactivity (timer DEAUTH/REMOVE)"
            );
            check(&line, Some(Profile::Unifi), &told);
            check(&line, None, &told);
            check(
                &format!("{front}ath0: AP-STA-POSSIBLE-PSK-MISMATCH 02:00:00:00:00:01"),
                None,
                &[("event.outcome", "failure"), ("event.action", "wifi-wrong-key")],
            );
        }
        check(
            r#"<30>Nov 23 09:10:00 U6 1c6a1b60baa0,U6-6.6.55: stahtd: stahtd: [STA-TRACKER].stahtd_dump_event(): {"message_type":"STA_ASSOC_TRACKER","mac":"02:00:00:00:00:01","vap":"wifi0ap1","event_type":"failure","wpa_auth_failures":"1"}"#,
            None,
            &[
                ("event.action", "wifi-association-failed"),
                ("event.outcome", "failure"),
                ("source.mac", "02:00:00:00:00:01"),
                ("unifi.vap", "wifi0ap1"),
            ],
        );
    }

    #[test]
    fn packets_of_a_gateway() {
        for host in ["UDM", "UDM UDM"] {
            let line = format!(
                "Nov 23 09:10:00 {host} [WAN_LOCAL-D-7] DESCR=\"[WAN_LOCAL]Block all\" IN=eth8 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=203.0.113.45 DST=192.0.2.1 LEN=60 PROTO=TCP SPT=40000 DPT=22"
            );
            check(
                &line,
                Some(Profile::Unifi),
                &[
                    ("event.action", "drop"),
                    ("event.type", "connection,denied"),
                    ("source.ip", "203.0.113.45"),
                    ("destination.port", "22"),
                    ("rule.id", "7"),
                    ("rule.name", "[WAN_LOCAL]Block all"),
                    ("rule.ruleset", "WAN_LOCAL"),
                ],
            );
        }
    }

    #[test]
    fn records_of_the_controller() {
        check(
            "<14>Nov 23 02:10:00 UDM CEF:0|Ubiquiti|UniFi Network|9.3.45|544|Admin Accessed UniFi Network|1|UNIFIcategory=System UNIFIsubCategory=Admin UNIFIhost=Office UDM UNIFIaccessMethod=web UNIFIadmin=Lan Anh src=203.0.113.9 UNIFIutcTime=2026-11-23T02:10:00.445Z msg=Lan Anh accessed UniFi Network using the web. Source IP: 203.0.113.9",
            None,
            &[
                ("event.dataset", "unifi.network"),
                ("event.module", "unifi"),
                ("event.category", "authentication"),
                ("event.outcome", "success"),
                ("user.name", "Lan Anh"),
                ("source.ip", "203.0.113.9"),
                ("unifi.accessMethod", "web"),
                ("event.action", "admin-accessed-unifi-network"),
                ("event.code", "544"),
            ],
        );
        check(
            "CEF:0|Ubiquiti|UniFi Network|9.4.19|201|Threat Detected and Blocked|7|proto=TCP src=10.0.0.100 spt=52331 dst=192.0.2.33 dpt=443 UNIFIcategory=Security UNIFIipsSignature=LOCAL bad UNIFIipsSignatureId=7 UNIFIflowId=null",
            Some(Profile::Unifi),
            &[
                ("event.category", "intrusion_detection"),
                ("event.type", "info,denied"),
                ("event.kind", "alert"),
                ("rule.id", "7"),
                ("unifi.flowId", "(absent)"),
            ],
        );
        check(
            "<14>Nov 23 09:10:00 UDM CEF:0|Ubiquiti|UniFi OS|4.3.6|admins|1|msg=x accessed the UniFi OS via y. Source IP: 198.51.100.66 accessed the UniFi OS via unifi.ui.com. Source IP: 203.0.113.9",
            Some(Profile::Unifi),
            &[
                ("source.ip", "203.0.113.9"),
                ("event.action", "admin-accessed-unifi-os"),
                ("event.category", "authentication"),
            ],
        );
        check_dead("CEF:0|Ubiquiti|UniFi", Profile::Unifi, "cef: the header is too short", 20);
    }
}
