//! dnsmasq: questions, answers, leases.
//!
//! In: a message of `log-queries` or of its DHCP. Out: who asked for what name, what was answered, who got which
//! address. Source: dnsmasq 2.90, `cache.c` (`log_query`), `rfc2131.c` (`log_packet`).

use std::borrow::Cow;
use std::net::IpAddr;

use nhatle_event::{Event, Field};

use super::{happened, set_named, split_sole};
use crate::normalize::device::Act;
use crate::normalize::linux::set_source;

/// What of Pi-hole's kept a name from being answered (`FTL`, `get_blocking_reason`).
const BLOCKED_BY: [&str; 6] = ["gravity", "exactly", "regex", "exactly denied", "regex denied", "special domain"];

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    // log-queries=extra: `serial address/port ` in front.
    let mut words = message.splitn(3, ' ');
    let (first, second, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next());
    let is_extra = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) && second.contains('/');
    let text = match rest {
        Some(rest) if is_extra => {
            set_source(event, second.split('/').next().unwrap_or_default());
            rest
        }
        _ => message,
    };
    // log-dhcp: the transaction in front.
    let lease_text = match text.split_once(' ') {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    };
    if lease_text.starts_with("DHCP") {
        lease(event, lease_text);
    } else {
        event.set(Field::NETWORK_PROTOCOL, "dns");
        question(event, text);
    }
}

fn question(event: &mut Event, text: &str) {
    if let Some((kind, rest)) = text.strip_prefix("query[").and_then(|rest| rest.split_once("] ")) {
        let Some((name, address)) = rest.rsplit_once(" from ") else { return };
        happened(event, "dns_query", Act("network", &["connection", "protocol"], ""));
        event.set(Field::DNS_QUESTION_TYPE, record_type(kind).as_ref());
        event.set(Field::DNS_QUESTION_NAME, name);
        set_source(event, address);
    } else if let Some((_, rest)) = text.split_once(" blocked ").filter(|(by, _)| BLOCKED_BY.contains(by))
        && let Some((name, _)) = split_sole(rest, " is ")
    {
        happened(event, "dns_blocked", Act("network", &["connection", "denied"], "failure"));
        event.set(Field::DNS_QUESTION_NAME, name);
    } else if let Some(name) = text.strip_prefix("possible DNS-rebind attack detected: ") {
        happened(event, "dns_rebind", Act("network", &["connection", "denied"], "failure"));
        event.set(Field::DNS_QUESTION_NAME, name);
    } else if let Some((verb, rest)) = text.split_once(' ')
        && matches!(verb, "reply" | "cached" | "config" | "validation")
        && let Some((name, answer)) = split_sole(rest, " is ")
    {
        happened(event, "dns_answer", Act("network", &["connection", "protocol"], ""));
        event.set(Field::DNS_QUESTION_NAME, name);
        let answer = answer.trim();
        match answer.parse::<IpAddr>() {
            Ok(address) => event.set(Field::DNS_RESOLVED_IP, address),
            Err(_) if answer.starts_with("NXDOMAIN") => event.set(Field::DNS_RESPONSE_CODE, "NXDOMAIN"),
            Err(_) => event.set(Field::DNS_ANSWERS_DATA, answer),
        }
    } else if let Some(rest) = text.strip_prefix("using nameserver ") {
        happened(event, "nameserver_used", Act("configuration", &["change"], "success"));
        let address = rest.split(['#', ' ']).next().unwrap_or_default();
        if let Ok(address) = address.parse::<IpAddr>() {
            event.set(Field::DESTINATION_IP, address);
        }
    }
}

/// The name of a record type; dnsmasq writes those it does not know as `type=65` (RFC 3597 section 5).
fn record_type(kind: &str) -> Cow<'_, str> {
    match kind.strip_prefix("type=") {
        Some("65") => "HTTPS".into(),
        Some("64") => "SVCB".into(),
        Some(number) => format!("TYPE{number}").into(),
        None => kind.into(),
    }
}

/// `DHCPACK(eth0) 192.0.2.5 02:00:00:00:00:05 pc`, `DHCPDISCOVER(eth0) 02:… no address available`.
fn lease(event: &mut Event, text: &str) {
    event.set(Field::NETWORK_PROTOCOL, "dhcp");
    let Some((verb, rest)) = text.split_once('(').filter(|(verb, _)| verb.len() <= 20) else { return };
    let Some((interface, rest)) = rest.split_once(") ") else { return };
    let is_refused = rest.ends_with("no address available") || verb == "DHCPNAK";
    let (kinds, outcome): (&[&str], _) =
        if is_refused { (&["connection", "denied"], "failure") } else { (&["connection", "info"], "") };
    happened(event, "dhcp", Act("network", kinds, outcome));
    event.set(Field::EVENT_ACTION, verb.to_lowercase());
    set_named(event, "dnsmasq.dhcp.type", Some(verb));
    event.set(Field::OBSERVER_INGRESS_INTERFACE_NAME, interface);
    if is_refused && verb != "DHCPNAK" {
        event.set(Field::EVENT_REASON, "no address available");
    }
    let mut words = rest.split(' ').peekable();
    if let Some(Ok(address)) = words.peek().map(|word| word.parse::<IpAddr>()) {
        event.set(Field::SOURCE_IP, address);
        event.add(Field::RELATED_IP, address);
        words.next();
    }
    set_named(event, "source.mac", words.next().filter(|word| word.contains(':')));
    if verb == "DHCPACK" {
        set_named(event, "source.domain", words.next());
    } else if verb == "DHCPNAK" {
        // `DHCPNAK(eth0) 192.0.2.5 02:… wrong server-ID`: what follows the device is dnsmasq's own word.
        let reason = words.collect::<Vec<_>>().join(" ");
        set_named(event, "event.reason", Some(&reason));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn questions_answers_and_leases() {
        let line = |message: &str| format!("<30>Nov 23 20:10:00 gw-01 dnsmasq[7]: {message}");
        check(
            "dnsmasq",
            &line("query[TXT] a.example from 192.0.2.9"),
            &[("dns.question.name", "a.example"), ("dns.question.type", "TXT"), ("source.ip", "192.0.2.9")],
        );
        check(
            "dnsmasq",
            &line("17 192.0.2.9/4411 reply a.example is NXDOMAIN"),
            &[("source.ip", "192.0.2.9"), ("dns.response_code", "NXDOMAIN"), ("dns.question.name", "a.example")],
        );
        // Names may hold spaces: the client is the last word, a doubtful answer is none.
        check(
            "dnsmasq",
            &line("query[A] a from 198.51.100.1 from 192.0.2.9"),
            &[("dns.question.name", "a from 198.51.100.1"), ("source.ip", "192.0.2.9")],
        );
        check("dnsmasq", &line("reply a is 198.51.100.1 is 192.0.2.1"), &[("!dns.resolved_ip", "")]);
        check(
            "dnsmasq",
            &line("DHCPACK(br0) 192.0.2.50 02:00:00:00:00:05 may-01"),
            &[("source.ip", "192.0.2.50"), ("source.mac", "02:00:00:00:00:05"), ("source.domain", "may-01")],
        );
        check(
            "dnsmasq",
            "<30>Nov 23 20:10:00 gw-01 dnsmasq-dhcp[7]: 1847 DHCPACK(br0) 192.0.2.50 02:00:00:00:00:05 may-01",
            &[("source.ip", "192.0.2.50"), ("source.domain", "may-01"), ("network.protocol", "dhcp")],
        );
        check("dnsmasq", &line("query[type=65] a.example from 192.0.2.9"), &[("dns.question.type", "HTTPS")]);
        check(
            "dnsmasq",
            &line("gravity blocked ads.example is 0.0.0.0"),
            &[("event.action", "dns_blocked"), ("dns.question.name", "ads.example"), ("event.outcome", "failure")],
        );
        check(
            "dnsmasq",
            &line("DHCPDISCOVER(br0) 02:00:00:00:00:05 no address available"),
            &[("event.outcome", "failure"), ("event.reason", "no address available"), ("!source.ip", "")],
        );
    }
}
