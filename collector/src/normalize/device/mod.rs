//! Network devices: firewalls, routers, switches, access points, sensors.
//!
//! In: a record's text, and the device's profile where it is given or its content says so. Out: the event
//! in ECS, every value of the device under its own home (`fortinet.firewall.*`, `suricata.eve.*`, …).
//! What a value means in ECS is a row of a device's table; wordings are [`template::Template`]s. Promise: what
//! the device did not write itself (a user name, a URL) is a value and never read as wording.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Kind, Text, Value};

use crate::parse::{self, Fault, Format, Syslog, zeek_layout};
use crate::profile::Profile;

use super::{Context, carried, syslog, typed};

pub mod template;
pub mod fortigate;
pub mod mikrotik;
pub mod cisco;
pub mod ftd;
pub mod filterlog;
pub mod json_sensor;
mod dns_answers;
mod fast_log;
mod named;
mod pensando;
mod zeek_protocols;
pub mod stamp;
mod sides;
pub(super) mod community;
pub(super) mod junos;
pub mod cef;
pub mod leef;
pub mod paloalto;
pub mod sophos;
mod sophos_utm;
pub mod draytek;
pub mod unifi;
pub mod camera;
pub(super) mod maker;

#[cfg(test)]
mod variant_tests;
#[cfg(test)]
mod corpus_tests;

/// What a device calls a value, and the ECS field it is.
pub type Row = (&'static str, Field);

/// What an event is: category, types, outcome (empty = not told).
#[derive(Clone, Copy, Debug)]
pub struct Act(pub &'static str, pub &'static [&'static str], pub &'static str);

/// Whether a profile is read here.
pub fn is_device(profile: Profile) -> bool {
    matches!(
        profile,
        Profile::Fortigate
            | Profile::Mikrotik
            | Profile::Pfsense
            | Profile::Opnsense
            | Profile::CiscoAsa
            | Profile::CiscoIos
            | Profile::Suricata
            | Profile::Zeek
            | Profile::PaloAlto
            | Profile::Sophos
            | Profile::Draytek
            | Profile::Unifi
            | Profile::Hikvision
            | Profile::Dahua
            | Profile::Cef
            | Profile::Leef
            | Profile::Pensando
    )
}

/// The device that a message's own words name; `None` = not told, or no device.
pub fn detect(parts: &Syslog<'_>) -> Option<Profile> {
    let message = parts.message.trim_start();
    if fortigate::is_fortigate(message) {
        return Some(Profile::Fortigate);
    }
    if mikrotik::is_mikrotik(message) {
        return Some(Profile::Mikrotik);
    }
    if parts.app == Some("filterlog") {
        return Some(Profile::Pfsense);
    }
    if let Some(device) = detect_more(parts, message) {
        return Some(device);
    }
    cisco::is_asa(parts).map(|is_asa| if is_asa { Profile::CiscoAsa } else { Profile::CiscoIos })
}

fn detect_more(parts: &Syslog<'_>, message: &str) -> Option<Profile> {
    // What a first byte rules out costs nothing more.
    match message.as_bytes().first()? {
        b'C' if cef::is_cef(parts) => Some(Profile::Cef),
        b'C' if camera::is_dahua(message) => Some(Profile::Dahua),
        b'L' if leef::is_leef(parts) => Some(Profile::Leef),
        b'd' if sophos::is_sophos(message) => Some(Profile::Sophos),
        b'i' | b's' if sophos_utm::is_utm(message) => Some(Profile::Sophos),
        b'0'..=b'9' | b',' if paloalto::is_paloalto(message) => Some(Profile::PaloAlto),
        b'[' if pensando::is_pensando(parts) => Some(Profile::Pensando),
        b'[' if fast_log::is_alert(message) => Some(Profile::Suricata),
        b'0'..=b'1' if message.as_bytes().get(2) == Some(&b'/') && fast_log::is_alert(message) => {
            Some(Profile::Suricata)
        }
        b'[' | b'L' | b'D' if draytek::is_draytek(parts) => Some(Profile::Draytek),
        b'<' if camera::is_alert_xml(message) => Some(Profile::Hikvision),
        _ => unifi::is_unifi(parts).then_some(Profile::Unifi),
    }
}

/// The header behind a relay's own, and the device whose message it heads: `… relay <164>Nov 23 … fw-01 : %ASA-…`. Only where
/// no program put its tag in front: then the message is the relay's words, and these begin as a header does.
pub(super) fn passed_on<'a>(parts: &Syslog<'a>, context: &Context<'_>) -> Option<(Syslog<'a>, Profile)> {
    let message = parts.message.trim_start();
    if parts.app.is_some() || !matches!(message.as_bytes(), [b'<', b'0'..=b'9', ..] | [b'A'..=b'Z' | b'0'..=b'9', ..]) {
        return None;
    }
    let inner = parse::syslog(message, context.record.received, context.offset_s).ok()?;
    if inner.timestamp.is_none() && inner.priority.is_none() {
        return None;
    }
    let device = detect(&inner)?;
    let (priority, host) = (inner.priority.or(parts.priority), inner.host.or(parts.host));
    Some((Syslog { priority, host, timestamp: inner.timestamp.or(parts.timestamp), ..inner }, device))
}

/// [`detect`] for text without a syslog header.
pub fn detect_text(text: &str) -> Option<Profile> {
    detect(&Syslog { message: text, ..Syslog::default() })
}

/// The event of a record whose profile is a device's.
///
/// # Errors
/// The text claims the device's format and breaks it.
pub fn event(text: &str, profile: Profile, context: &Context<'_>) -> Result<Event, Fault> {
    let parts = match body_at(text, profile) {
        Some(at) => Syslog { message: text.get(at..).unwrap_or_default(), ..header(&text[..at], context)? },
        None if camera::is_alert_xml(text) => Syslog { message: text, ..Syslog::default() },
        None if text.starts_with('<')
            || matches!(profile, Profile::CiscoAsa | Profile::CiscoIos)
            || is_dated(text)
            || matches!(parse::detect(text), Format::Syslog) =>
        {
            parse::syslog(text, context.record.received, context.offset_s)?
        }
        None => Syslog { message: text, ..Syslog::default() },
    };
    let parts = match passed_on(&parts, context) {
        Some((inner, device)) if device == profile => inner,
        _ => parts,
    };
    let mut event = of_parts(&parts, profile, context).map_err(|fault| in_text(text, &parts, fault))?;
    syslog::set_header(&mut event, &parts);
    Ok(event)
}

/// Whether a line begins with a date that only a header has: of a device's own profile, `2026-11-23T02:10:00Z fw-01 …`.
fn is_dated(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && parse::date::has_iso_form(text.as_bytes())
}

/// Where the device's own format begins behind a header, for those whose senders put up headers that no RFC knows.
fn body_at(text: &str, profile: Profile) -> Option<usize> {
    match profile {
        Profile::Cef | Profile::Unifi => cef::starts_at(text, "CEF:"),
        Profile::Leef => cef::starts_at(text, "LEEF:"),
        Profile::PaloAlto => paloalto::starts_at(text),
        _ => None,
    }
}

/// The device whose format says so itself behind a header that no RFC knows.
pub(super) fn behind_any_header(text: &str) -> Option<Profile> {
    [Profile::Cef, Profile::Leef].into_iter().find(|profile| body_at(text, *profile).is_some())
}

/// A header alone. One of RFC 5424 that stops after the host is read as one of the older kind.
fn header<'a>(text: &'a str, context: &Context<'_>) -> Result<Syslog<'a>, Fault> {
    let (received, offset_s) = (context.record.received, context.offset_s);
    let found = match parse::syslog(text, received, offset_s) {
        Ok(parts) if parts.host.is_some() || !parse::rfc5424::is_rfc5424(text) => parts,
        Err(fault) if !parse::rfc5424::is_rfc5424(text) => return Err(fault),
        _ => {
            let (priority, rest) = parse::priority(text)?;
            let rest = rest.strip_prefix("1 ").unwrap_or(rest);
            Syslog { priority, ..parse::rfc3164::parse(rest, received, offset_s).unwrap_or_default() }
        }
    };
    Ok(found)
}

/// The event of a syslog message of a device; the header's fields are the caller's.
///
/// # Errors
/// See [`event`]; offsets count from the message.
pub fn of_parts(parts: &Syslog<'_>, profile: Profile, context: &Context<'_>) -> Result<Event, Fault> {
    let message = parts.message.trim();
    let mut event = match profile {
        Profile::Fortigate => fortigate::event(message, parts, context)?,
        Profile::Mikrotik => mikrotik::event(message, parts, context),
        Profile::Pfsense | Profile::Opnsense => filterlog::event(parts, profile == Profile::Opnsense, context)?,
        Profile::CiscoAsa | Profile::CiscoIos => cisco::event(parts, profile == Profile::CiscoAsa, context),
        Profile::PaloAlto => paloalto::event(parts, context)?,
        Profile::Sophos => sophos::event(message, parts, context)?,
        Profile::Draytek => draytek::event(message, parts, context),
        Profile::Unifi if !cef::is_cef(parts) => unifi::event(message, parts, context),
        Profile::Cef | Profile::Unifi => cef::event(parts, context)?,
        Profile::Leef => leef::event(parts, context)?,
        Profile::Pensando => pensando::event(message, parts, context)?,
        Profile::Hikvision => camera::hikvision(message, parts, context)?,
        Profile::Dahua => camera::dahua(message, parts, context)?,
        Profile::Suricata | Profile::Zeek => match carried(parts, context) {
            Some(event) => event,
            None if profile == Profile::Zeek => {
                json_sensor::headless(message, parts.app.and_then(zeek_layout::log_of_tag), context)?
            }
            None => match fast_log::event(parts, context)? {
                Some(event) => event,
                None => context.event(parts.timestamp, "syslog", "syslog"),
            },
        },
        _ => context.event(parts.timestamp, "syslog", "syslog"),
    };
    event.set_default(Field::MESSAGE, message);
    if let Some(host) = parts.host {
        event.set_default(Field::OBSERVER_NAME, host);
    }
    finish(&mut event);
    if matches!(profile, Profile::PaloAlto | Profile::Sophos) {
        sides::copy(&mut event);
    }
    Ok(event)
}

/// The event of a camera's alert that came as JSON.
pub fn leaves_event(leaves: &nhatle_event::json::Leaves, context: &Context<'_>) -> Event {
    let mut event = camera::of_leaves(leaves, &Syslog::default(), context);
    finish(&mut event);
    event
}

fn in_text(text: &str, parts: &Syslog<'_>, fault: Fault) -> Fault {
    let front = text.len().saturating_sub(parts.message.len());
    Fault { offset: (fault.offset + front).min(text.len()), ..fault }
}

/// The types that a device's word for its verdict means; none where the word is not known.
pub(super) fn verdict(word: &str) -> &'static [&'static str] {
    const DENIED: [&str; 11] = [
        "deny",
        "denied",
        "block",
        "blocked",
        "drop",
        "dropped",
        "reject",
        "rejected",
        "reset",
        "quarantine",
        "prevented",
    ];
    const ALLOWED: [&str; 8] = ["allow", "allowed", "accept", "accepted", "permit", "permitted", "pass", "passed"];
    let word = word.trim();
    if DENIED.iter().any(|known| known.eq_ignore_ascii_case(word)) {
        return &["denied"];
    }
    if ALLOWED.iter().any(|known| known.eq_ignore_ascii_case(word)) { &["allowed"] } else { &[] }
}

/// Sets category, types and outcome.
pub(super) fn act(event: &mut Event, Act(category, types, outcome): Act) {
    if !category.is_empty() {
        event.set(Field::EVENT_CATEGORY, category);
    }
    for kind in types {
        event.add(Field::EVENT_TYPE, *kind);
    }
    if !outcome.is_empty() {
        event.set(Field::EVENT_OUTCOME, outcome);
    }
}

/// Who watched: vendor, product, type of device, its name.
pub(super) fn observer(event: &mut Event, vendor: &'static str, product: &'static str, kind: &'static str) {
    event.set(Field::OBSERVER_VENDOR, vendor);
    event.set(Field::OBSERVER_PRODUCT, product);
    event.set(Field::OBSERVER_TYPE, kind);
}

/// A hash, by its length; devices write sums that are none, too, as FortiOS its CRC32.
fn set_hash(event: &mut Event, hash: &str) {
    let field = match hash.len() {
        32 => Field::FILE_HASH_MD5,
        40 => Field::FILE_HASH_SHA1,
        64 => Field::FILE_HASH_SHA256,
        _ => return,
    };
    if hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        set_text(event, field, hash);
    }
}

/// Sets a value that a device wrote, in its field's type. Devices write `N/A` and `-` where there is nothing; a
/// host name where an address is expected is the domain of that side.
pub(super) fn set_text(event: &mut Event, field: Field, value: &str) {
    let value = parse::trimmed(value);
    if matches!(value, "" | "-" | "N/A" | "(null)") {
        return;
    }
    if field == Field::NETWORK_TRANSPORT {
        return set_transport(event, value);
    }
    if let Some(mac) = undotted(field, value) {
        return event.set(field, mac);
    }
    // What [`typed`] makes of a text, without making a value of it first.
    match field.kind() {
        Kind::Keyword | Kind::Text => event.set(field, value),
        Kind::Ip => match value.parse::<IpAddr>() {
            Ok(address) => event.set(field, address),
            Err(_) => set_domain(event, field, value),
        },
        Kind::Long => {
            if let Ok(number) = value.parse::<i64>() {
                event.set(field, number);
            }
        }
        kind => event.set(field, typed(kind, Value::from(value))),
    }
}

/// Cisco's `0011.2233.4455` as all others write it, so that one card is one value.
fn undotted(field: Field, value: &str) -> Option<String> {
    let is_mac = matches!(field, Field::SOURCE_MAC | Field::DESTINATION_MAC | Field::CLIENT_MAC);
    let is_dotted =
        value.len() == 14 && value.as_bytes().get(4) == Some(&b'.') && value.as_bytes().get(9) == Some(&b'.');
    (is_mac && is_dotted).then_some(())?;
    let digits: Vec<u8> = value.bytes().filter(u8::is_ascii_hexdigit).collect();
    (digits.len() == 12).then_some(())?;
    let pairs: Vec<String> = digits.chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_lowercase()).collect();
    Some(pairs.join(":"))
}

fn set_domain(event: &mut Event, field: Field, name: &str) {
    match field {
        // Rules of the second layer have cards where others have addresses.
        Field::SOURCE_IP if undotted(Field::SOURCE_MAC, name).is_some() => set_text(event, Field::SOURCE_MAC, name),
        Field::DESTINATION_IP if undotted(Field::SOURCE_MAC, name).is_some() => {
            set_text(event, Field::DESTINATION_MAC, name);
        }
        Field::SOURCE_IP => event.set(Field::SOURCE_DOMAIN, name),
        Field::DESTINATION_IP => event.set(Field::DESTINATION_DOMAIN, name),
        _ => {}
    }
}

/// The protocols that devices give by number or by name: number, ECS name.
const TRANSPORTS: &[(&str, &str)] = &[
    ("1", "icmp"),
    ("2", "igmp"),
    ("6", "tcp"),
    ("17", "udp"),
    ("41", "ipv6"),
    ("47", "gre"),
    ("50", "esp"),
    ("51", "ah"),
    ("58", "ipv6-icmp"),
    ("89", "ospf"),
    ("112", "vrrp"),
    ("132", "sctp"),
];

fn set_transport(event: &mut Event, value: &str) {
    // As most write it, before what some do.
    if let Some((number, name)) = TRANSPORTS.iter().find(|(number, name)| *number == value || *name == value) {
        event.set(Field::NETWORK_TRANSPORT, *name);
        event.set(Field::NETWORK_IANA_NUMBER, *number);
        return;
    }
    let lower = value.to_ascii_lowercase();
    let lower = lower.strip_prefix("protocol ").map(str::to_owned).unwrap_or(lower);
    let lower = if lower == "icmpv6" || lower == "icmp6" { "ipv6-icmp".to_owned() } else { lower };
    match TRANSPORTS.iter().find(|(number, name)| *number == lower || *name == lower) {
        Some((number, name)) => {
            event.set(Field::NETWORK_TRANSPORT, *name);
            event.set(Field::NETWORK_IANA_NUMBER, *number);
        }
        None if lower.bytes().all(|byte| byte.is_ascii_digit()) => event.set(Field::NETWORK_IANA_NUMBER, lower),
        None => event.set(Field::NETWORK_TRANSPORT, lower),
    }
}

/// Sets the values of a device below its home, and those that a table knows in ECS too.
pub(super) fn set_pairs<'a>(
    event: &mut Event,
    home: &str,
    table: &'static [Row],
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    named::each(home, table, pairs, |named, key, value| {
        named.keep(event, home, key, value);
        named.rows().iter().for_each(|field| set_text(event, *field, value));
    });
}

/// What follows from the fields of any device: who is related, the network's type, the sum of bytes.
pub(super) fn finish(event: &mut Event) {
    let sides = [
        Field::SOURCE_IP,
        Field::DESTINATION_IP,
        Field::SOURCE_NAT_IP,
        Field::DESTINATION_NAT_IP,
        Field::CLIENT_IP,
        Field::HOST_IP,
    ];
    for address in sides.map(|field| event.get(field)?.as_ip()).into_iter().flatten() {
        event.add(Field::RELATED_IP, address);
    }
    if let Some(address) = event.get(Field::SOURCE_IP).and_then(Value::as_ip) {
        event.set_default(Field::NETWORK_TYPE, if address.is_ipv6() { "ipv6" } else { "ipv4" });
    }
    split_url(event);
    for field in [
        Field::USER_NAME,
        Field::USER_EFFECTIVE_NAME,
        Field::USER_TARGET_NAME,
        Field::SOURCE_USER_NAME,
        Field::DESTINATION_USER_NAME,
    ] {
        // Words that Elastic's modules keep as the name of nobody (ADR 23).
        let name = event.text(field).filter(|name| !matches!(*name, "-" | "No Authentication Required"));
        if let Some(user) = name.map(Text::from) {
            event.add(Field::RELATED_USER, user);
        }
    }
    for field in [Field::FILE_HASH_MD5, Field::FILE_HASH_SHA1, Field::FILE_HASH_SHA256, Field::PROCESS_HASH_SHA256] {
        if let Some(hash) = event.text(field).map(Text::from) {
            event.add(Field::RELATED_HASH, hash);
        }
    }
    for field in [Field::SOURCE_DOMAIN, Field::DESTINATION_DOMAIN, Field::URL_DOMAIN] {
        if let Some(name) = event.text(field).map(Text::from) {
            event.add(Field::RELATED_HOSTS, name);
        }
    }
    let sums = [
        (Field::SOURCE_BYTES, Field::DESTINATION_BYTES, Field::NETWORK_BYTES),
        (Field::SOURCE_PACKETS, Field::DESTINATION_PACKETS, Field::NETWORK_PACKETS),
    ];
    for (sent, received, sum) in sums {
        let of = |field| event.get(field).and_then(Value::as_long);
        if let (Some(sent), Some(received)) = (of(sent), of(received)) {
            event.set_default(sum, sent.saturating_add(received));
        }
    }
}

/// Path, query, extension and domain of `url.original`, where the device gives only the whole.
fn split_url(event: &mut Event) {
    if event.get(Field::URL_PATH).is_some() {
        return;
    }
    let Some(url) = event.text(Field::URL_ORIGINAL).map(Text::from) else { return };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
    let Some(at) = rest.find('/') else { return };
    let (host, path) = rest.split_at(at);
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let is_host =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let file = path.rsplit('/').next().unwrap_or_default();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_extension = extension.len() <= 10 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let extension = if is_extension { extension } else { "" };
    let domain = if is_host { host } else { "" };
    let found = [
        (Field::URL_PATH, path),
        (Field::URL_QUERY, query),
        (Field::URL_EXTENSION, extension),
        (Field::URL_SCHEME, scheme),
        (Field::URL_DOMAIN, domain),
    ];
    for (field, text) in found.into_iter().filter(|(_, text)| !text.is_empty()) {
        event.set_default(field, Text::from(text));
    }
}

#[cfg(test)]
#[track_caller]
pub(super) fn check(line: &str, profile: Option<Profile>, expected: &[(&str, &str)]) {
    let mut record = nhatle_event::Record::new(line.as_bytes(), "test", nhatle_event::Timestamp(0));
    record.profile = profile.map(|profile| Text::from(profile.name()));
    let event = crate::to_event(&record, &crate::Settings::default()).expect("is an event");
    assert_eq!(event.get(Field::NHATLE_PROFILE_READ), None, "is never read as another: {line}");
    for (name, wanted) in expected {
        let value = Field::lookup(name).and_then(|field| event.get(field));
        let held = value.map(|value| value.each().filter_map(Value::as_text).collect::<Vec<_>>().join(","));
        assert_eq!(held.as_deref().unwrap_or("(absent)"), *wanted, "{name} of {line}\n{event:#?}");
    }
}

#[cfg(test)]
#[track_caller]
pub(super) fn check_dead(line: &str, profile: Profile, reason: &str, offset: usize) {
    let mut record = nhatle_event::Record::new(line.as_bytes(), "test", nhatle_event::Timestamp(0));
    record.profile = Some(Text::from(profile.name()));
    let dead = crate::to_event(&record, &crate::Settings::default()).expect_err("is broken");
    assert_eq!((dead.reason.as_str(), dead.offset), (reason, offset), "{line}");
}
