//! PAN-OS: comma-separated columns, whose meaning hangs on the type in the fourth.
//!
//! In: a line of a firewall's or Panorama's syslog, with whatever header. Out: the event; traffic, threats, sign-ins,
//! configuration and GlobalProtect in ECS, every column that has a name under `panw.panos.*`. Failure: a line that is
//! shorter than its type's documented first version. What a newer version adds stands behind and may be missing.
//! Source: Palo Alto Networks, "Syslog Field Descriptions" of PAN-OS 8.1 to 11.1.

use std::borrow::Cow;
use std::sync::LazyLock;

use nhatle_event::{Event, Field, Text, Value};

use super::sides::name_and_domain;
use super::template::Wordings;
use super::{Act, act, observer, set_text, stamp, zeek_protocols};
use crate::normalize::Context;
use crate::parse::{Fault, Syslog};

mod columns;

use columns::{Column, Layout, layout};

/// How many columns of one line are read.
const COLUMNS_MAX: usize = 160;
/// How far into a line the first column may end, behind a header.
const FRONT_MAX: usize = 200;
const TYPES: [&str; 18] = [
    "TRAFFIC",
    "THREAT",
    "SYSTEM",
    "CONFIG",
    "GLOBALPROTECT",
    "USERID",
    "HIPMATCH",
    "AUTHENTICATION",
    "DECRYPTION",
    "CORRELATION",
    "START",
    "END",
    "TUNNEL",
    "SCTP",
    "GTP",
    "IPTAG",
    "AUDIT",
    "HIP-MATCH",
];

/// Where the columns begin in a line with some header in front: at the column before `,yyyy/mm/dd`.
pub fn starts_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_date = |at: usize| {
        let year = bytes.get(at + 1..at + 5).is_some_and(|year| year.iter().all(u8::is_ascii_digit));
        year && matches!(bytes.get(at + 5), Some(b'/' | b'-')) && bytes.get(at + 8) == bytes.get(at + 5)
    };
    let commas = memchr::memchr_iter(b',', bytes).take_while(|at| *at <= FRONT_MAX);
    let comma = commas.into_iter().find(|at| is_date(*at))?;
    let front = text.get(..comma)?;
    let at = front.rfind([' ', ':', '>']).map_or(0, |at| at + 1);
    let mut columns = text.get(at..)?.splitn(5, ',').skip(2);
    let (serial, kind) = (columns.next()?, columns.next()?);
    // A type of a newer version still has the columns that all share, behind a serial number.
    let is_new = (3..=20).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let is_serial = (8..=20).contains(&serial.len()) && serial.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (TYPES.contains(&kind) || (is_new && is_serial)).then_some(at)
}

/// Whether a message is PAN-OS's from its first byte.
pub fn is_paloalto(message: &str) -> bool {
    starts_at(message) == Some(0)
}

/// The columns; a quoted one may hold commas and doubled quotes.
fn split(line: &str) -> Vec<Cow<'_, str>> {
    let mut found = Vec::with_capacity(80);
    let mut rest = line;
    while found.len() < COLUMNS_MAX {
        let (column, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (column, after) = unquote(quoted);
                (column, after.find(',').map(|at| &after[at..]))
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (Cow::Borrowed(rest[..end].trim()), Some(&rest[end..]).filter(|after| !after.is_empty()))
            }
        };
        found.push(column);
        match after {
            Some(after) => rest = &after[1..],
            None => break,
        }
    }
    found
}

/// The text up to the quote that stands alone, and what follows it. One that never ends takes all.
fn unquote(text: &str) -> (Cow<'_, str>, &str) {
    let (mut from, mut is_doubled) = (0, false);
    while let Some(at) = text[from..].find('"').map(|at| at + from) {
        if text.as_bytes().get(at + 1) != Some(&b'"') {
            let raw = &text[..at];
            return (
                if is_doubled { Cow::Owned(raw.replace("\"\"", "\"")) } else { Cow::Borrowed(raw) },
                &text[at + 1..],
            );
        }
        (from, is_doubled) = (at + 2, true);
    }
    (Cow::Borrowed(text), "")
}

/// The event of a message.
///
/// # Errors
/// There are no such columns, or fewer than the type's first version has.
pub fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    let at = starts_at(parts.message).ok_or_else(|| Fault::new("paloalto: expected columns", 0))?;
    let line = parts.message[at..].trim();
    let columns = split(line);
    let column = |at: usize| columns.get(at).map_or("", |text| text.as_ref());
    let kind = column(3);
    let Layout { dataset, least, table } = layout(kind);
    if columns.len() < least {
        return Err(Fault::new("paloalto: the line is too short", at + line.len()));
    }
    let time = |at: usize| stamp::moment(column(at), context);
    let mut event = context.event(time(6).or_else(|| time(1)).or(parts.timestamp), "panw", dataset);
    event.reserve(columns.len());
    observer(&mut event, "Palo Alto Networks", "PAN-OS", "firewall");
    set_text(&mut event, Field::OBSERVER_SERIAL_NUMBER, column(2));
    // The clock of the device as it wrote it: "at night" is a matter of local time.
    let told = [("panw.panos.type", kind), ("panw.panos.subtype", column(4)), ("panw.panos.generated_time", column(6))];
    for (name, text) in told.into_iter().filter(|(_, text)| !text.is_empty()) {
        event.set_named(name, Text::from(text));
    }
    let mut name = String::with_capacity(48);
    for Column(at, plain, field) in table {
        let value = column(*at).trim();
        if value.is_empty() {
            continue;
        }
        if !plain.is_empty() {
            name.clear();
            name.push_str("panw.panos.");
            name.push_str(plain);
            event.set_named(&name, Text::from(value));
        }
        if let Some(field) = field {
            set_text(&mut event, *field, value);
        }
    }
    mean(&mut event, kind, &column);
    users(&mut event);
    zeek_protocols::set_direction(&mut event);
    Ok(event)
}

fn mean<'a>(event: &mut Event, kind: &str, column: &impl Fn(usize) -> &'a str) {
    match kind {
        "TRAFFIC" => traffic(event, column(4), column(30)),
        "THREAT" => threat(event, column),
        "DECRYPTION" => act(event, Act("network", &["connection"], "")),
        "SYSTEM" => system(event, column),
        "CONFIG" => config(event, column),
        "GLOBALPROTECT" => portal(event, column),
        "USERID" => {
            event.set(Field::EVENT_ACTION, Text::from(column(4)));
            act(event, Act("authentication", if column(4) == "logout" { &["end"] } else { &["start"] }, "success"));
        }
        "AUTHENTICATION" => {
            let told = column(20).to_ascii_lowercase();
            let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
            let outcome = match () {
                () if has(&["fail", "reject", "denied", "timeout", "invalid"]) => "failure",
                () if has(&["success", "succeed"]) => "success",
                () => "",
            };
            act(event, Act("authentication", &["start"], outcome));
        }
        "CORRELATION" => {
            event.set(Field::EVENT_KIND, "alert");
            act(event, Act("intrusion_detection", &["info"], ""));
        }
        "START" | "TUNNEL" => act(event, Act("network", &["connection", "start"], "")),
        "END" => act(event, Act("network", &["connection", "end"], "")),
        "SCTP" | "GTP" => act(event, Act("network", &["connection"], "")),
        _ => act(event, Act("host", &["info"], "")),
    }
}

/// What a session did, and what a threat's log is about, in the words that other readers of these logs use; what the firewall
/// did stands in `event.type` and `panw.panos.action`. Type, sub-type, action.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("TRAFFIC", "start", "flow_started"),
    ("TRAFFIC", "end", "flow_terminated"),
    ("TRAFFIC", "drop", "flow_dropped"),
    ("TRAFFIC", "deny", "flow_denied"),
    ("THREAT", "data", "data_match"),
    ("THREAT", "dlp", "data_match"),
    ("THREAT", "file", "file_match"),
    ("THREAT", "flood", "flood_detected"),
    ("THREAT", "packet", "packet_attack"),
    ("THREAT", "scan", "scan_detected"),
    ("THREAT", "spyware", "spyware_detected"),
    ("THREAT", "url", "url_filtering"),
    ("THREAT", "virus", "virus_detected"),
    ("THREAT", "ml-virus", "virus_detected"),
    ("THREAT", "vulnerability", "exploit_detected"),
    ("THREAT", "wildfire", "wildfire_verdict"),
    ("THREAT", "wildfire-virus", "wildfire_virus_detected"),
];

fn set_action(event: &mut Event, kind: &str, subtype: &str) {
    if let Some((_, _, action)) = ACTIONS.iter().find(|(known, sub, _)| *known == kind && *sub == subtype) {
        event.set(Field::EVENT_ACTION, *action);
    }
}

/// Sub-types: `start`, `end`, `drop` (before a rule), `deny` (by a rule).
fn traffic(event: &mut Event, subtype: &str, action: &str) {
    let kinds: &[&str] = match subtype {
        _ if !matches!(action, "" | "allow") => &["connection", "denied"],
        "start" => &["connection", "start", "allowed"],
        "end" => &["connection", "end", "allowed"],
        _ => &["connection", "denied"],
    };
    set_action(event, "TRAFFIC", subtype);
    act(event, Act("network", kinds, "success"));
    let duration = Field::lookup("panw.panos.elapsed_time").and_then(|field| event.get(field)?.as_long());
    if let Some(seconds) = duration {
        event.set(Field::EVENT_DURATION, Value::Long(seconds.saturating_mul(1_000_000_000)));
    }
}

/// Actions of the threat log that let the traffic pass ("Threat Log Fields", Action).
const PASSED: [&str; 4] = ["alert", "allow", "forward", "continue"];

fn threat<'a>(event: &mut Event, column: &impl Fn(usize) -> &'a str) {
    let category = match column(4) {
        "virus" | "wildfire-virus" | "wildfire" | "ml-virus" => "malware",
        "url" => "web",
        "file" | "data" => "file",
        _ => "intrusion_detection",
    };
    if matches!(category, "malware" | "intrusion_detection") {
        event.set(Field::EVENT_KIND, "alert");
    }
    let kinds: &[&str] = if PASSED.contains(&column(30)) { &["allowed"] } else { &["denied"] };
    act(event, Act(category, kinds, "success"));
    set_action(event, "THREAT", column(4));
    // `Eicar Test File(100000)`; URL logs have only the number. `rule.name` is the policy's, as in the other logs.
    let threat = column(32);
    if let Some((name, id)) = threat.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
        for (named, text) in [("panw.panos.threat.name", name), ("panw.panos.threat.id", id)] {
            if !text.trim().is_empty() {
                event.set_named(named, Text::from(text.trim()));
            }
        }
    }
    // Whom a proxy asked for: of several the first (RFC 7239 section 5.2 has them in this order).
    let forwarded = column(48).split(',').next().unwrap_or_default().trim();
    if let Ok(address) = forwarded.parse::<std::net::IpAddr>() {
        event.set_named("network.forwarded_ip", Text::from(forwarded));
        event.add(Field::RELATED_IP, address);
    }
    // A name that was asked for, where spyware is known by it.
    if column(14).starts_with("dns") && column(4) == "spyware" {
        set_text(event, Field::DNS_QUESTION_NAME, column(31));
    }
    // The way of the attack: towards the server that was asked, or from it.
    match column(35) {
        "client-to-server" => event.set(Field::NETWORK_DIRECTION, "inbound"),
        "server-to-client" => event.set(Field::NETWORK_DIRECTION, "outbound"),
        _ => {}
    }
    let what = column(31);
    match column(4) {
        _ if what.is_empty() => {}
        "url" => {
            set_text(event, Field::URL_ORIGINAL, what);
            let host = what.split_once("://").map_or(what, |(_, rest)| rest).split(['/', '?', ':']).next();
            set_text(event, Field::URL_DOMAIN, host.unwrap_or_default());
        }
        "file" | "virus" | "wildfire" | "wildfire-virus" | "ml-virus" | "data" => {
            set_text(event, Field::FILE_NAME, what)
        }
        _ if what.contains('/') => set_text(event, Field::URL_ORIGINAL, what),
        _ => set_text(event, Field::FILE_NAME, what),
    }
    let digest = match column(43).len() {
        32 => Some(Field::FILE_HASH_MD5),
        64 => Some(Field::FILE_HASH_SHA256),
        _ => None,
    };
    if let Some(field) = digest {
        set_text(event, field, column(43));
    }
}

const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");

/// Sign-ins of administrators are words in a system record's description.
const WORDINGS: &[(&str, &str, Act)] = &[
    ("User <user.name*> logged in via <panw.panos.via> from <source.ip> using <>", "", LOGIN),
    (
        "User <user.name*> logged out via <panw.panos.via> from <source.ip>",
        "",
        Act("authentication", &["end"], "success"),
    ),
    ("authenticated for user '<user.name*>'.<>From: <source.ip*>.", "", LOGIN),
    ("authenticated for user '<user.name*>'.", "", LOGIN),
    ("failed authentication for user '<user.name*>'. Reason: <event.reason> From: <source.ip*>.", "", REFUSED),
    ("failed authentication for user '<user.name*>'. <event.reason>", "", REFUSED),
    (
        "GlobalProtect <> user authentication succeeded. Login from: <source.ip>, Source region: <>, User name: <user.name*>, <>",
        "",
        LOGIN,
    ),
    (
        "GlobalProtect <> user authentication failed. Login from: <source.ip>, Source region: <>, User name: <user.name*>, Client OS version: <>, Reason: <event.reason>, Auth type: <>",
        "",
        REFUSED,
    ),
    (
        "GlobalProtect <> user authentication failed. Login from: <source.ip>, Source region: <>, User name: <user.name*>, <event.reason>",
        "",
        REFUSED,
    ),
    (
        "GlobalProtect <> user login succeeded. Login from: <source.ip>, Source region: <>, User name: <user.name*>, <>",
        "",
        LOGIN,
    ),
    (
        "GlobalProtect <> user logout succeeded. User name: <user.name*>, Client OS version: <>",
        "",
        Act("authentication", &["end"], "success"),
    ),
    (
        "GlobalProtect <> client configuration generated. User name: <user.name*>, Private IP: <source.nat.ip>, <>",
        "",
        Act("network", &["connection", "start"], "success"),
    ),
    (
        "IKE phase-<> negotiation is succeeded as <>. Established SA: <source.ip>[<source.port>]-<destination.ip>[<destination.port>] <>",
        "",
        Act("network", &["connection", "start"], "success"),
    ),
    (
        "IKE phase-<> negotiation is failed as <>. Failed SA: <source.ip>[<source.port>]-<destination.ip>[<destination.port>] <>",
        "",
        Act("network", &["connection", "error"], "failure"),
    ),
];

static TEMPLATES: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(WORDINGS));

fn system<'a>(event: &mut Event, column: &impl Fn(usize) -> &'a str) {
    if TEMPLATES.fill(column(14).trim(), event) {
        return;
    }
    let is_refused = column(8).starts_with("auth-fail");
    act(event, if is_refused { REFUSED } else { Act("host", &["info"], "") });
}

fn config<'a>(event: &mut Event, column: &impl Fn(usize) -> &'a str) {
    let outcome = match column(12).to_ascii_lowercase().as_str() {
        "succeeded" => "success",
        "failed" | "unauthorized" => "failure",
        _ => "",
    };
    let kinds: &[&str] = match column(9) {
        "add" | "clone" => &["creation"],
        "delete" => &["deletion"],
        _ => &["change"],
    };
    act(event, Act("configuration", kinds, outcome));
}

fn portal<'a>(event: &mut Event, column: &impl Fn(usize) -> &'a str) {
    let outcome = match column(28) {
        "success" => "success",
        "failure" | "failed" => "failure",
        _ => "",
    };
    let meaning = match column(8) {
        "gateway-connected" => Act("network", &["connection", "start"], outcome),
        "gateway-logout" | "gateway-tunnel-down" => Act("network", &["connection", "end"], outcome),
        event if event.contains("auth") || event.contains("login") => Act("authentication", &["start"], outcome),
        _ => Act("network", &["connection"], outcome),
    };
    act(event, meaning);
    // The address of the tunnel is the machine's own; it has none before it signs in.
    if column(17) != "0.0.0.0" {
        set_text(event, Field::HOST_IP, column(17));
    } else {
        event.remove(Field::SOURCE_NAT_IP);
    }
}

/// `domain\user` and `user@domain` are a domain and a name.
fn users(event: &mut Event) {
    let pairs = [
        (Field::SOURCE_USER_NAME, Some(Field::USER_NAME)),
        (Field::DESTINATION_USER_NAME, None),
        (Field::USER_NAME, None),
    ];
    for (field, also) in pairs {
        let Some(name) = event.text(field).map(str::to_owned) else { continue };
        let (bare, domain) = name_and_domain(&name);
        event.set(field, Text::from(bare));
        if let Some(also) = also {
            event.set_default(also, Text::from(bare));
        }
        if field != Field::DESTINATION_USER_NAME && !domain.is_empty() {
            event.set_default(Field::USER_DOMAIN, Text::from(domain));
        }
    }
}

#[cfg(test)]
mod tests;
