//! LEEF 1.0 and 2.0: `LEEF:version|vendor|product|device version|event id|[delimiter|]key=value<delimiter>…`.
//!
//! In: a message that holds a LEEF record. Out: the event; who sent it as `observer.*`, the attributes under
//! `leef.extensions.*`. Failure: a header of fewer than five fields. Promise: an attribute that comes twice counts
//! the first time. Source: IBM, "QRadar Log Event Extended Format (LEEF) guide", versions 1.0 and 2.0.

use nhatle_event::{Event, Field, Text, Value};

use super::{Act, Row, act, cef, set_pairs, stamp, verdict};
use crate::normalize::Context;
use crate::parse::{Fault, Syslog};

/// How many attributes of one record are read; what follows stays in the message.
const PAIRS_MAX: usize = 256;
const HOME: &str = "leef.extensions.";

const TABLE: &[Row] = &[
    ("action", Field::EVENT_ACTION),
    ("src", Field::SOURCE_IP),
    ("dst", Field::DESTINATION_IP),
    ("srcPort", Field::SOURCE_PORT),
    ("dstPort", Field::DESTINATION_PORT),
    ("srcMAC", Field::SOURCE_MAC),
    ("dstMAC", Field::DESTINATION_MAC),
    ("srcPostNAT", Field::SOURCE_NAT_IP),
    ("dstPostNAT", Field::DESTINATION_NAT_IP),
    ("srcPostNATPort", Field::SOURCE_NAT_PORT),
    ("dstPostNATPort", Field::DESTINATION_NAT_PORT),
    ("srcBytes", Field::SOURCE_BYTES),
    ("dstBytes", Field::DESTINATION_BYTES),
    ("srcPackets", Field::SOURCE_PACKETS),
    ("dstPackets", Field::DESTINATION_PACKETS),
    ("totalPackets", Field::NETWORK_PACKETS),
    ("proto", Field::NETWORK_TRANSPORT),
    ("usrName", Field::USER_NAME),
    ("accountName", Field::USER_NAME),
    ("domain", Field::USER_DOMAIN),
    ("groupID", Field::GROUP_ID),
    ("identHostName", Field::HOST_NAME),
    ("policy", Field::RULE_NAME),
    ("RuleName", Field::RULE_NAME),
    ("resource", Field::FILE_NAME),
    ("url", Field::URL_ORIGINAL),
    ("reason", Field::EVENT_REASON),
    ("msg", Field::MESSAGE),
];

/// A record taken apart.
struct Parts<'a> {
    /// Version, vendor, product, device version, event id.
    header: [&'a str; 5],
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        self.attributes
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| *value)
            .filter(|value| !value.is_empty())
    }
}

/// Whether a message is LEEF from its first byte.
pub fn is_leef(parts: &Syslog<'_>) -> bool {
    cef::starts_at(parts.message.trim_start(), "LEEF:") == Some(0)
}

fn parse(text: &str) -> Result<Parts<'_>, Fault> {
    let mut pieces = text.splitn(6, '|');
    let mut header = [""; 5];
    for slot in &mut header {
        *slot = pieces.next().ok_or_else(|| Fault::new("leef: the header is too short", text.len()))?.trim();
    }
    header[0] = header[0].strip_prefix("LEEF:").unwrap_or(header[0]);
    let rest = pieces.next().ok_or_else(|| Fault::new("leef: the header is too short", text.len()))?;
    let (delimiter, rest) = delimiter(rest, header[0].starts_with('2'));
    let mut attributes: Vec<(&str, &str)> = Vec::with_capacity(16);
    for pair in rest.split(delimiter).take(PAIRS_MAX) {
        if let Some((key, value)) = pair.split_once('=') {
            let key = key.trim();
            let is_key = !key.is_empty() && key.len() <= 128 && !key.contains([' ', '|']);
            if is_key && !attributes.iter().any(|(known, _)| *known == key) {
                attributes.push((key, value.trim()));
            }
        }
    }
    Ok(Parts { header, attributes })
}

/// What stands between the attributes. Version 1.0 has tabs; some senders write `|`. Version 2.0 names it: one
/// character, or its number as `0x5E` or `x5E`; nothing there is a tab too.
fn delimiter(rest: &str, is_two: bool) -> (char, &str) {
    let fallback = |rest: &str| if rest.contains('\t') || !rest.contains('|') { '\t' } else { '|' };
    if !is_two {
        return (fallback(rest), rest);
    }
    let Some((named, attributes)) = rest.split_once('|').filter(|(named, _)| named.len() <= 6 && !named.contains('='))
    else {
        return (fallback(rest), rest);
    };
    let hex = named.strip_prefix("0x").or_else(|| named.strip_prefix('x'));
    let by_number = hex.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
    let mut chars = named.chars();
    match (by_number, chars.next(), chars.next()) {
        (Some(character), ..) | (None, Some(character), None) => (character, attributes),
        _ => ('\t', attributes),
    }
}

/// The event of a message.
///
/// # Errors
/// There is no `LEEF:`, or its header is too short.
pub fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    let message = parts.message.trim();
    let front = parts.message.len() - parts.message.trim_start().len();
    let at = cef::starts_at(message, "LEEF:").ok_or_else(|| Fault::new("leef: expected LEEF:", front))?;
    let record = parse(&message[at..]).map_err(|fault| Fault { offset: fault.offset + at + front, ..fault })?;
    let stamp = record.value("devTime").and_then(|text| stamp::moment(text, context));
    let mut event = context.event(stamp.or(parts.timestamp), "leef", "leef.log");
    event.reserve(record.attributes.len() * 2 + 12);
    let [version, vendor, product, device_version, id] = record.header;
    let header = [
        (Field::OBSERVER_VENDOR, vendor),
        (Field::OBSERVER_PRODUCT, product),
        (Field::OBSERVER_VERSION, device_version),
        (Field::EVENT_CODE, id),
    ];
    for (field, text) in header.into_iter().filter(|(_, text)| !text.is_empty()) {
        event.set(field, Text::from(text));
    }
    event.set_named("leef.version", Text::from(version));
    set_pairs(&mut event, HOME, TABLE, record.attributes.iter().copied());
    if let Some(severity) = record.value("sev").and_then(|text| text.parse().ok()).filter(|one| (0..=10).contains(one))
    {
        event.set(Field::EVENT_SEVERITY, Value::Long(severity));
    }
    mean(&mut event, &record);
    Ok(event)
}

fn mean(event: &mut Event, record: &Parts<'_>) {
    let is = |key: &str| record.value(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let outcome = record.value("outcome").map(cef::outcome_of).unwrap_or_default();
    if is("isLoginEvent") {
        act(event, Act("authentication", &["start"], outcome));
    } else if is("isLogoutEvent") {
        act(event, Act("authentication", &["end"], outcome));
    } else if event.get(Field::SOURCE_IP).is_some() && event.get(Field::DESTINATION_IP).is_some() {
        act(event, Act("network", &["connection"], outcome));
    }
    for kind in record.value("action").map(verdict).unwrap_or_default() {
        event.add(Field::EVENT_TYPE, *kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    #[test]
    fn both_versions_and_every_delimiter() {
        let told = [
            ("observer.vendor", "Acme"),
            ("observer.product", "Guard"),
            ("event.code", "deny"),
            ("source.ip", "203.0.113.45"),
            ("destination.port", "22"),
            ("user.name", "lan anh"),
            ("event.severity", "5"),
            ("leef.extensions.cat", "x"),
            ("event.dataset", "leef.log"),
        ];
        let of = |front: &str, mark: &str| {
            let pairs = ["cat=x", "sev=5", "src=203.0.113.45", "dst=192.0.2.20", "dstPort=22", "usrName=lan anh"];
            format!("<134>Nov 23 09:10:00 gw {front}{}", pairs.join(mark))
        };
        for (front, mark) in [
            ("LEEF:1.0|Acme|Guard|1|deny|", "\t"),
            ("LEEF:1.0|Acme|Guard|1|deny|", "|"),
            ("LEEF:2.0|Acme|Guard|1|deny|^|", "^"),
            ("LEEF:2.0|Acme|Guard|1|deny|0x5E|", "^"),
            ("LEEF:2.0|Acme|Guard|1|deny|xa6|", "¦"),
            ("LEEF:2.0|Acme|Guard|1|deny||", "\t"),
            ("LEEF:2.0|Acme|Guard|1|deny|", "\t"),
        ] {
            check(&of(front, mark), Some(Profile::Leef), &told);
            check(&of(front, mark), None, &told);
        }
    }

    #[test]
    fn times_logins_and_attributes_that_come_twice() {
        check(
            "LEEF:2.0|A|B|1|7|^|devTime=Nov 23 2026 02:10:00 GMT^src=203.0.113.45^usrName=x^isLoginEvent=true^outcome=failed^src=198.51.100.66",
            None,
            &[("source.ip", "203.0.113.45"), ("event.category", "authentication"), ("event.outcome", "failure")],
        );
    }

    #[test]
    fn a_short_header_is_a_dead_letter() {
        check_dead("LEEF:1.0|A|B|1", Profile::Leef, "leef: the header is too short", 14);
        check_dead("nothing", Profile::Leef, "leef: expected LEEF:", 0);
        let long = format!("LEEF:1.0|A|B|1|7|{}", "a=b\t".repeat(50_000));
        check(&long, Some(Profile::Leef), &[("leef.extensions.a", "b")]);
    }
}
