//! DHCP servers of ISC: dhcpd and Kea.
//!
//! In: a message of dhcpd or of kea-dhcp4. Out: the device, the address it has or asks for, refusals. A device names
//! itself: its name stands in brackets before ` via `, and the last such place counts. Source: ISC DHCP 4.4 `dhcp.c`;
//! Kea 2.4 Administrator Reference Manual, "Kea Messages Manual".

use std::sync::LazyLock;

use nhatle_event::{Event, Field};

use super::{between, happened, set_named};
use crate::normalize::device::template::Template;
use crate::normalize::device::{Act, set_text};

/// dhcpd's wordings. What follows the interface is read by code.
const WORDINGS: &[&str] = &[
    "DHCPDISCOVER from <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPDISCOVER from <source.mac> via <dhcpd.via>",
    "DHCPOFFER on <source.ip> to <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPOFFER on <source.ip> to <source.mac> via <dhcpd.via>",
    "DHCPREQUEST for <source.ip> (<dhcpd.server_ip>) from <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPREQUEST for <source.ip> (<dhcpd.server_ip>) from <source.mac> via <dhcpd.via>",
    "DHCPREQUEST for <source.ip> from <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPREQUEST for <source.ip> from <source.mac> via <dhcpd.via>",
    "DHCPACK on <source.ip> to <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPACK on <source.ip> to <source.mac> via <dhcpd.via>",
    "DHCPACK to <source.ip> (<source.mac>) via <dhcpd.via>",
    "DHCPNAK on <source.ip> to <source.mac> via <dhcpd.via>",
    "DHCPDECLINE of <source.ip> from <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPDECLINE of <source.ip> from <source.mac> via <dhcpd.via>",
    "DHCPRELEASE of <source.ip> from <source.mac> (<source.domain*>) via <dhcpd.via>",
    "DHCPRELEASE of <source.ip> from <source.mac> via <dhcpd.via>",
    "DHCPINFORM from <source.ip> via <dhcpd.via>",
];
/// Other messages of dhcpd: front, action, what of it is the reason.
const OTHERS: &[(&str, &str)] = &[
    ("Abandoning IP address <source.ip>: <event.reason>", "dhcp_address_abandoned"),
    ("uid lease <source.ip> for client <source.mac> is duplicate on <dhcpd.network>", "dhcp_duplicate_lease"),
    ("parse_option_buffer: malformed option <event.reason>", "dhcp_malformed"),
    ("Advertise NA: address <source.ip> to client with duid <dhcpd.duid> iaid = <> valid for <>", "dhcpoffer"),
    ("Reply NA: address <source.ip> to client with duid <dhcpd.duid> iaid = <> valid for <>", "dhcpack"),
    ("<> from <source.ip> port <source.port>, transaction ID <>", "dhcp_message"),
];
/// Kea's messages: identifier (a prefix where it ends in `_`), action, outcome.
const KEA: &[(&str, &str, &str)] = &[
    ("DHCP4_LEASE_ALLOC", "dhcpack", ""),
    ("DHCP4_LEASE_ADVERT", "dhcpoffer", ""),
    ("DHCP4_LEASE_OFFER", "dhcpoffer", ""),
    ("DHCP4_PACKET_NAK_", "dhcpnak", "failure"),
    ("DHCP4_RELEASE", "dhcprelease", ""),
    ("DHCP4_DECLINE_LEASE", "dhcpdecline", "failure"),
    ("DHCP6_LEASE_ALLOC", "dhcpack", ""),
    ("DHCP6_LEASE_RENEW", "dhcpack", ""),
    ("DHCP6_LEASE_ADVERT", "dhcpoffer", ""),
    ("DHCP6_RELEASE_NA", "dhcprelease", ""),
    ("DHCP6_DECLINE_LEASE", "dhcpdecline", "failure"),
    ("ALLOC_ENGINE_V6_ALLOC_FAIL", "dhcp_no_address", "failure"),
    ("ALLOC_ENGINE_V6_ALLOC_FAIL_", "dhcp_no_address", "failure"),
    ("ALLOC_ENGINE_V4_ALLOC_FAIL", "dhcp_no_address", "failure"),
    ("ALLOC_ENGINE_V4_ALLOC_FAIL_", "dhcp_no_address", "failure"),
    ("ALLOC_ENGINE_V4_DECLINED_RECOVERED", "dhcp_address_recovered", ""),
];

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| WORDINGS.iter().map(|text| Template::new(text)).collect());
static OTHER_TEMPLATES: LazyLock<Vec<(Template, &str)>> =
    LazyLock::new(|| OTHERS.iter().map(|(text, action)| (Template::new(text), *action)).collect());

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    event.set(Field::NETWORK_PROTOCOL, "dhcp");
    if let Some(verb) = message.split(' ').next().filter(|verb| verb.starts_with("DHCP") && !verb.contains('_')) {
        if TEMPLATES.iter().any(|template| template.fill(message, event)) {
            packet(event, verb);
        }
    } else if let Some((_, action)) = OTHER_TEMPLATES.iter().find(|(template, _)| template.fill(message, event)) {
        happened(event, action, Act("network", &["connection", "info"], ""));
    } else {
        kea(event, message);
    }
}

/// `via eth0: network 192.0.2/24: no free leases`.
fn packet(event: &mut Event, verb: &str) {
    let via = Field::lookup("dhcpd.via").and_then(|field| event.text(field)).unwrap_or_default().to_owned();
    let (interface, reason) = via.split_once(": ").unwrap_or((via.as_str(), ""));
    let interface = interface.split(' ').next().unwrap_or(interface);
    event.set_named("dhcpd.via", interface);
    event.set(Field::OBSERVER_INGRESS_INTERFACE_NAME, interface);
    let is_refused = matches!(verb, "DHCPNAK" | "DHCPDECLINE") || !reason.is_empty();
    let kinds: &[&str] = if is_refused { &["connection", "denied"] } else { &["connection", "info"] };
    happened(event, "dhcp", Act("network", kinds, if is_refused { "failure" } else { "" }));
    event.set(Field::EVENT_ACTION, verb.to_lowercase());
    if reason.ends_with("no free leases") {
        event.set(Field::EVENT_REASON, "no address available");
    } else {
        set_named(event, "event.reason", Some(reason.trim_end_matches('.')));
    }
}

/// `INFO  [kea-dhcp4.leases/7.1] DHCP4_LEASE_ALLOC [hwtype=1 02:00:…], cid=[…], tid=0x1: lease 192.0.2.5 has …`.
fn kea(event: &mut Event, message: &str) {
    let mut words = message.split_ascii_whitespace().take(4);
    let is_code = |word: &&str| {
        word.contains('_')
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let Some(code) = words.find(is_code) else { return };
    event.set(Field::EVENT_CODE, code);
    if let Some(level) =
        message.split(' ').next().filter(|word| matches!(*word, "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL"))
    {
        event.set(Field::LOG_LEVEL, level);
    }
    let rest = message.split_once(code).map_or("", |(_, rest)| rest);
    set_text(event, Field::SOURCE_MAC, between(rest, "[hwtype=1 ", "]").unwrap_or_default());
    let found = KEA.iter().find(|(known, _, _)| *known == code || (known.ends_with('_') && code.starts_with(known)));
    let Some((_, action, outcome)) = found else { return };
    let kinds: &[&str] = if outcome.is_empty() { &["connection", "info"] } else { &["connection", "denied"] };
    happened(event, action, Act("network", kinds, outcome));
    if *action == "dhcp_no_address" {
        event.set(Field::EVENT_REASON, "no address available");
    }
    let address = rest.split_once(": ").map_or("", |(_, text)| text);
    let address = address.split([' ', ',']).find(|word| word.parse::<std::net::IpAddr>().is_ok());
    set_text(event, Field::SOURCE_IP, address.unwrap_or_default());
}

/// How far into a line of Kea's own file its logger's name stands: behind date and level.
const LOGGER_AT_MAX: usize = 48;

/// Whether a line is of Kea's own file: `2026-11-23 02:10:00.125 INFO  [kea-dhcp4.leases/900.1] …`.
pub(super) fn is_kea(text: &str) -> bool {
    let front = text.as_bytes().get(..text.len().min(LOGGER_AT_MAX)).unwrap_or_default();
    front.first().is_some_and(u8::is_ascii_digit) && memchr::memmem::find(front, b" [kea-dhcp").is_some()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn leases_and_refusals_of_dhcpd() {
        let line = |message: &str| format!("<30>Nov 23 20:10:00 gw-01 dhcpd[7]: {message}");
        check(
            "dhcpd",
            &line("DHCPACK on 192.0.2.50 to 02:00:00:00:00:05 (may-01) via eth0"),
            &[
                ("source.ip", "192.0.2.50"),
                ("source.mac", "02:00:00:00:00:05"),
                ("source.domain", "may-01"),
                ("event.action", "dhcpack"),
                ("!event.outcome", ""),
            ],
        );
        check(
            "",
            &line("DHCPDISCOVER from 02:00:00:00:00:05 via eth0: network 192.0.2.0/24: no free leases"),
            &[
                ("event.reason", "no address available"),
                ("event.outcome", "failure"),
                ("dhcpd.via", "eth0"),
                ("source.mac", "02:00:00:00:00:05"),
            ],
        );
        check(
            "linux",
            &line("DHCPREQUEST for 198.51.100.7 (198.51.100.1) from 02:00:00:00:00:05 via eth0: wrong network."),
            &[("dhcpd.server_ip", "198.51.100.1"), ("event.reason", "wrong network"), ("source.ip", "198.51.100.7")],
        );
        check(
            "dhcpd",
            &line("Abandoning IP address 192.0.2.7: pinged before offer"),
            &[("event.reason", "pinged before offer"), ("source.ip", "192.0.2.7")],
        );
    }

    #[test]
    fn a_device_that_names_itself_like_the_server_forges_nothing() {
        check(
            "dhcpd",
            "<30>Nov 23 20:10:00 gw-01 dhcpd[7]: DHCPDISCOVER from 02:00:00:00:00:05 (x) via eth9: network 1: no free leases) via eth0",
            &[("dhcpd.via", "eth0"), ("!event.reason", ""), ("source.mac", "02:00:00:00:00:05")],
        );
    }

    #[test]
    fn messages_of_kea() {
        check(
            "dhcpd",
            "2026-11-23 20:10:00.123 INFO  [kea-dhcp4.leases/7.139] DHCP4_LEASE_ALLOC [hwtype=1 02:00:00:00:00:05], cid=[no info], tid=0x1: lease 192.0.2.15 has been allocated for 3600 seconds",
            &[
                ("source.ip", "192.0.2.15"),
                ("source.mac", "02:00:00:00:00:05"),
                ("event.code", "DHCP4_LEASE_ALLOC"),
                ("event.action", "dhcpack"),
                ("@timestamp", "2026-11-23T20:10:00.123Z"),
                ("log.level", "INFO"),
            ],
        );
        check(
            "dhcpd",
            "<30>Nov 23 20:10:00 gw-01 kea-dhcp6[7]: INFO  DHCP6_LEASE_ALLOC duid=[00:01], [no hwaddr info], tid=0x1: lease for address 2001:db8::50 and iaid=1 has been allocated for 4000 seconds",
            &[("source.ip", "2001:db8::50"), ("event.action", "dhcpack")],
        );
        check(
            "dhcpd",
            "<30>Nov 23 20:10:00 gw-01 dhcpd[7]: Reply NA: address 2001:db8::50 to client with duid 00:01 iaid = 1 valid for 300 seconds",
            &[("source.ip", "2001:db8::50"), ("event.action", "dhcpack"), ("dhcpd.duid", "00:01")],
        );
        check(
            "",
            "<28>Nov 23 20:10:00 gw-01 kea-dhcp4[7]: WARN  [kea-dhcp4.alloc-engine/7] ALLOC_ENGINE_V4_ALLOC_FAIL_NO_POOLS [hwtype=1 02:00:00:00:00:05], cid=[no info], tid=0x1: no pools were available for the address allocation",
            &[
                ("event.action", "dhcp_no_address"),
                ("event.reason", "no address available"),
                ("event.outcome", "failure"),
            ],
        );
    }
}
