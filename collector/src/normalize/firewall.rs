//! The kernel's packet log: iptables, nftables, UFW.
//!
//! In: a kernel message. Out: where a packet came from and went to, what was done with it, and every
//! value under `iptables.<KEY>`. Source: Linux `nf_log_syslog.c`; UFW's and Ubiquiti's log prefixes.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

use super::linux::category;

/// How many values one packet's line gives.
const PAIRS_MAX: usize = 64;

/// Sets what a kernel message means.
pub fn kernel(event: &mut Event, message: &str) {
    let text = message.trim_start();
    // The uptime in front: `[ 16571.459614] `.
    let text = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((uptime, rest)) if uptime.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            rest.trim_start()
        }
        _ => text,
    };
    if super::daemon::wireguard(event, text) {
        return;
    }
    if let Some(at) = packet_at(text) {
        packet(event, text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default());
    }
}

/// Where the packet's values begin.
fn packet_at(text: &str) -> Option<usize> {
    let at = text.find("IN=").or_else(|| text.find("OUT="))?;
    let rest = text.get(at..)?;
    (rest.contains(" SRC=") && rest.contains(" DST=")).then_some(at)
}

fn packet(event: &mut Event, prefix: &str, values: &str) {
    category(event, "network", &["connection"]);
    set_action(event, prefix);
    let mut source = "";
    for (key, value) in values.split(' ').filter_map(|word| word.split_once('=')).take(PAIRS_MAX) {
        if !value.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            event.set_named(&format!("iptables.{key}"), value);
        }
        let address = |value: &str| value.parse::<IpAddr>().ok();
        match key {
            "SRC" => {
                source = value;
                set_address(event, Field::SOURCE_IP, address(value));
            }
            "DST" => set_address(event, Field::DESTINATION_IP, address(value)),
            "SPT" => set_number(event, Field::SOURCE_PORT, value),
            "DPT" => set_number(event, Field::DESTINATION_PORT, value),
            "IN" if !value.is_empty() => event.set(Field::OBSERVER_INGRESS_INTERFACE_NAME, value),
            "OUT" if !value.is_empty() => event.set(Field::OBSERVER_EGRESS_INTERFACE_NAME, value),
            "PROTO" => event.set(Field::NETWORK_TRANSPORT, transport(value)),
            "MAC" => set_hardware(event, value),
            // An ICMP error quotes the packet it is about in brackets; that is not this packet.
            "[SRC" => break,
            _ => {}
        }
    }
    if event.get(Field::NETWORK_TYPE).is_none() && !source.is_empty() {
        event.set(Field::NETWORK_TYPE, if source.contains(':') { "ipv6" } else { "ipv4" });
    }
}

fn set_address(event: &mut Event, field: Field, address: Option<IpAddr>) {
    if let Some(address) = address {
        event.set(field, address);
        event.add(Field::RELATED_IP, address);
    }
}

fn set_number(event: &mut Event, field: Field, value: &str) {
    if let Ok(number) = value.parse::<i64>() {
        event.set(field, Value::Long(number));
    }
}

fn transport(name: &str) -> String {
    match name {
        "ICMPv6" | "58" => "ipv6-icmp".to_owned(),
        "1" => "icmp".to_owned(),
        "2" => "igmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// `dd:dd:dd:dd:dd:dd:ss:ss:ss:ss:ss:ss:tt:tt`: destination, source, Ethernet type.
fn set_hardware(event: &mut Event, value: &str) {
    if value.len() < 41 || !value.is_ascii() {
        return;
    }
    event.set(Field::DESTINATION_MAC, &value[..17]);
    event.set(Field::SOURCE_MAC, &value[18..35]);
    match &value[36..41] {
        "08:00" => event.set(Field::NETWORK_TYPE, "ipv4"),
        "86:dd" => event.set(Field::NETWORK_TYPE, "ipv6"),
        _ => {}
    }
}

/// The rule's log prefix: `[UFW BLOCK] `, `iptables DROP_INPUT: `, `[wan-lan-default-D]` (Ubiquiti).
fn set_action(event: &mut Event, prefix: &str) {
    // firewalld's prefixes of old stand in quotes.
    let prefix = prefix.trim().trim_matches('"').trim().trim_end_matches(':');
    let inner = prefix.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    // EdgeOS and UniFi: `[<rule set>-<rule>-<A, D or R>]`, where the rule is a number or `default`.
    let ubiquiti =
        inner.and_then(|inner| inner.rsplit_once('-')).filter(|(_, verdict)| matches!(*verdict, "A" | "D" | "R"));
    if let Some((set, rule)) = ubiquiti.and_then(|(rule, _)| rule.rsplit_once('-'))
        && (rule == "default" || rule.bytes().all(|byte| byte.is_ascii_digit()))
    {
        event.set(Field::RULE_ID, rule);
        event.set(Field::RULE_NAME, set);
    }
    let (name, action) = match inner {
        Some(inner) => match inner.rsplit_once('-') {
            Some((rule, verdict @ ("D" | "A" | "R"))) => {
                // The set of rules, and the rule's number in it or `default`.
                let is_number = |number: &str| number == "default" || number.bytes().all(|byte| byte.is_ascii_digit());
                let (set, number) = rule.rsplit_once('-').filter(|(_, it)| is_number(it)).unwrap_or((rule, ""));
                if !number.is_empty() {
                    event.set(Field::RULE_ID, number);
                }
                let action = match verdict {
                    "D" => "drop",
                    "A" => "accept",
                    _ => "reject",
                };
                (set, action.to_owned())
            }
            _ => (inner, inner.strip_prefix("UFW ").unwrap_or(inner).trim().to_ascii_lowercase().replace(' ', "_")),
        },
        None => (prefix, prefix.strip_prefix("iptables ").unwrap_or(prefix).to_ascii_lowercase().replace(' ', "_")),
    };
    if name.is_empty() {
        return;
    }
    event.set_default(Field::RULE_NAME, name);
    let has = |words: &[&str]| words.iter().any(|word| action.contains(word));
    if has(&["drop", "block", "deny", "denied", "reject"]) {
        event.add(Field::EVENT_TYPE, "denied");
    } else if has(&["accept", "allow", "permit"]) {
        event.add(Field::EVENT_TYPE, "allowed");
    }
    event.set(Field::EVENT_ACTION, action);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::Timestamp;

    #[track_caller]
    fn check(message: &str, expected: &[(&str, &str)]) {
        let mut event = Event::new(Timestamp(0), *b"x");
        kernel(&mut event, message);
        for (name, value) in expected {
            let found = Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::as_text);
            assert_eq!(found.as_deref(), Some(*value), "{name} of {message}");
        }
        assert_eq!(expected.is_empty(), event.fields().is_empty(), "{message}");
    }

    #[test]
    fn packets_with_their_rule() {
        let values = "IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=10.0.0.1 DST=10.0.0.2 LEN=40 PROTO=TCP SPT=5 DPT=22 SYN URGP=0";
        check(
            &format!("[  12.3] [UFW BLOCK] {values}"),
            &[
                ("source.ip", "10.0.0.1"),
                ("destination.ip", "10.0.0.2"),
                ("source.port", "5"),
                ("destination.port", "22"),
                ("source.mac", "02:00:00:00:00:02"),
                ("destination.mac", "02:00:00:00:00:01"),
                ("network.transport", "tcp"),
                ("network.type", "ipv4"),
                ("event.action", "block"),
                ("iptables.LEN", "40"),
                ("observer.ingress.interface.name", "eth0"),
            ],
        );
        check(&format!("iptables DROP_INPUT: {values}"), &[("event.action", "drop_input")]);
        check(
            &format!("[wan-lan-10-D]{values}"),
            &[("event.action", "drop"), ("rule.name", "wan-lan"), ("rule.id", "10")],
        );
        check(&format!("[wan-in-D]{values}"), &[("event.action", "drop"), ("rule.name", "wan-in")]);
        check(
            &format!("[WAN_IN-3001-A]{values}"),
            &[("event.action", "accept"), ("rule.name", "WAN_IN"), ("rule.id", "3001")],
        );
        check(
            "IN= OUT=lo SRC=2001:db8::1 DST=2001:db8::2 PROTO=ICMPv6",
            &[("network.transport", "ipv6-icmp"), ("network.type", "ipv6")],
        );
        check("usb 1-1: new device IN= nothing", &[]);
    }
}
