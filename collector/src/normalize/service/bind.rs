//! BIND: questions, refusals, zone transfers.
//!
//! In: a message of named, with or without its own date, category and severity. Out: who asked for what name,
//! and what came of it. BIND escapes brackets and quotes in names, so a name cannot pass for wording. Failure: a
//! date that does not exist. Source: BIND 9.18, `query.c`, `xfrout.c`, `update.c`, `log.c`.

use nhatle_event::{Event, Field, Timestamp, Value};

use super::{happened, set_named, set_port};
use crate::normalize::device::Act;
use crate::normalize::linux::set_source;
use crate::parse::Fault;
use crate::parse::date::Found;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The moment of a line of named's own file: `23-Nov-2026 20:10:00.123`, and how long it is. `None` = there is none.
///
/// # Errors
/// It has a date's form and is none.
pub fn date(text: &str, offset_s: i32) -> Found {
    // `print-time iso8601` and `iso8601-utc`.
    if text.as_bytes().get(10) == Some(&b'T') {
        return crate::parse::date::iso(text, offset_s);
    }
    let mut words = text.splitn(3, ' ');
    let (date, time) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut parts = date.splitn(3, '-');
    let (Some(day), Some(month), Some(year)) = (parts.next(), parts.next(), parts.next()) else { return Ok(None) };
    let Some(month) = MONTHS.iter().position(|name| *name == month) else { return Ok(None) };
    let told = format!("{year}-{:02}-{day:0>2}T{time}", month + 1);
    match Timestamp::parse(&told, offset_s) {
        Some(stamp) => Ok(Some((stamp, date.len() + 1 + time.len()))),
        None => Err(Fault::new("bind: no such date", 0)),
    }
}

/// Whether a line is surely of named's own file: its moment, then category and severity.
pub fn is_own(text: &str, offset_s: i32) -> bool {
    let Ok(Some((_, end))) = date(text, offset_s) else { return false };
    let rest = text.get(end..).unwrap_or_default();
    // Without `print-category` and `print-severity` only a client's address and port, or its pointer, say so.
    if let Some(client) = rest.trim_start().strip_prefix("client ") {
        let client = client.strip_prefix("@0x").and_then(|rest| rest.split_once(' ')).map_or(client, |(_, rest)| rest);
        let peer = client.split_once('#').and_then(|(address, port)| Some((address, port.split([' ', ':']).next()?)));
        return peer
            .is_some_and(|(address, port)| address.parse::<std::net::IpAddr>().is_ok() && port.parse::<u16>().is_ok());
    }
    let mut words = rest.split_ascii_whitespace().map(|word| word.strip_suffix(':'));
    let is_category =
        words.next().flatten().is_some_and(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    let level = words.next().flatten();
    is_category && level.is_some_and(|word| matches!(word, "critical" | "error" | "warning" | "notice" | "info"))
}

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    event.set(Field::NETWORK_PROTOCOL, "dns");
    let message = log_level(event, message);
    // `client` stands behind date, category and severity, which hold no name that a stranger chose.
    let text = match message.find("client ") {
        Some(at) if message[..at].split(' ').all(is_front) => &message[at + "client ".len()..],
        _ => return,
    };
    let text = text.strip_prefix('@').and_then(|rest| rest.split_once(' ')).map_or(text, |(_, rest)| rest);
    let Some((client, what)) = text.split_once(": ") else { return };
    let client = client.split(' ').next().unwrap_or(client);
    let (address, port) = client.split_once('#').unwrap_or((client, ""));
    set_source(event, address);
    set_port(event, port.trim_end_matches(':'));
    let what = what.strip_prefix("view ").and_then(|rest| rest.split_once(": ")).map_or(what, |(_, rest)| rest);
    request(event, what);
}

/// Takes category and severity off the front of a line that carries them: `security: error: client …`.
fn log_level<'a>(event: &mut Event, message: &'a str) -> &'a str {
    let front = message.find("client ").map_or(message, |at| &message[..at]);
    let mut words = front.split(' ').filter_map(|word| word.strip_suffix(':'));
    let level = words.find(|word| matches!(*word, "critical" | "error" | "warning" | "notice" | "info"));
    if let Some(level) = level {
        event.set(Field::LOG_LEVEL, level);
    }
    message
}

fn is_front(word: &str) -> bool {
    let is_time = word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':'));
    let is_level = matches!(word, "critical" | "error" | "warning" | "notice" | "info");
    word.is_empty() || is_time || is_level || word.ends_with(':') || word.split('-').count() == 3
}

fn request(event: &mut Event, what: &str) {
    if let Some(rest) = what.strip_prefix("query: ") {
        let mut words = rest.split(' ');
        happened(event, "dns_query", Act("network", &["connection", "protocol"], ""));
        set_question(event, words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        return;
    }
    if let Some(rest) = what.strip_prefix("query failed (") {
        let Some((code, rest)) = rest.split_once(") for ") else { return };
        happened(event, "dns_query", Act("network", &["connection", "protocol"], "failure"));
        event.set(Field::DNS_RESPONSE_CODE, code);
        set_triple(event, rest.split(' ').next().unwrap_or(rest));
        return;
    }
    // `rpz QNAME NXDOMAIN rewrite name/A/IN via name.of.the.zone`: answered by policy; BIND escapes spaces in names.
    if let Some(rest) = what.strip_prefix("rpz ").or_else(|| what.strip_prefix("disabled rpz ")) {
        let mut words = rest.split(' ');
        let (trigger, policy) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if words.next() == Some("rewrite") {
            let is_let = policy == "PASSTHRU" || what.starts_with("disabled");
            let kinds: &[&str] = if is_let { &["connection", "allowed"] } else { &["connection", "denied"] };
            happened(event, "dns_policy", Act("network", kinds, if is_let { "success" } else { "failure" }));
            set_triple(event, words.next().unwrap_or_default());
            set_named(event, "bind.rpz.trigger", Some(trigger));
            set_named(event, "bind.rpz.policy", Some(policy));
            set_named(event, "rule.name", words.nth(1));
        }
        return;
    }
    let denied = [
        ("query (cache) '", "dns_query"),
        ("query '", "dns_query"),
        ("zone transfer '", "dns_zone_transfer"),
        ("update '", "dns_update"),
    ];
    for (front, action) in denied {
        let Some((question, end)) = what.strip_prefix(front).and_then(|rest| rest.rsplit_once('\'')) else { continue };
        if end.trim().starts_with("denied") {
            happened(event, action, Act("network", &["connection", "denied"], "failure"));
            set_triple(event, question);
            return;
        }
    }
    let started = what.strip_prefix("transfer of '").and_then(|rest| rest.split_once("': "));
    if let Some((zone, end)) = started {
        let kinds: &[&str] = if end.contains("started") { &["connection", "start"] } else { &["connection", "end"] };
        happened(event, "dns_zone_transfer", Act("network", kinds, "success"));
        set_triple(event, zone);
        set_named(event, "event.reason", Some(end));
    }
}

/// `name/TYPE/CLASS`, `name/CLASS/TYPE` (query errors), `zone/IN`.
fn set_triple(event: &mut Event, text: &str) {
    let mut words = text.rsplitn(3, '/');
    let (last, middle, first) = (words.next().unwrap_or_default(), words.next(), words.next());
    match (first, middle) {
        (Some(name), Some(kind)) => set_question(event, name, if kind == "IN" { last } else { kind }),
        (None, Some(zone)) => set_question(event, zone, ""),
        _ => {}
    }
}

fn set_question(event: &mut Event, name: &str, kind: &str) {
    let name = name.trim_end_matches('.');
    if !name.is_empty() {
        event.set(Field::DNS_QUESTION_NAME, Value::from(name));
    }
    if !kind.is_empty() {
        event.set(Field::DNS_QUESTION_TYPE, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::date;

    #[test]
    fn questions_refusals_and_transfers() {
        check(
            "bind",
            "<30>Nov 23 20:10:00 ns-01 named[7]: client @0x7f00 192.0.2.9#4411 (phuong.example): query: phuong.example IN A +E(0) (192.0.2.1)",
            &[
                ("source.ip", "192.0.2.9"),
                ("source.port", "4411"),
                ("dns.question.name", "phuong.example"),
                ("dns.question.type", "A"),
            ],
        );
        check(
            "bind",
            "23-Nov-2026 20:10:00.250 security: error: client @0x7f00 203.0.113.9#4411 (phuong.example): zone transfer 'phuong.example/AXFR/IN' denied",
            &[
                ("@timestamp", "2026-11-23T20:10:00.250Z"),
                ("event.action", "dns_zone_transfer"),
                ("event.outcome", "failure"),
                ("dns.question.type", "AXFR"),
                ("source.ip", "203.0.113.9"),
            ],
        );
        check(
            "bind",
            "23-Nov-2026 20:10:00.250 query-errors: info: client @0x7f00 192.0.2.9#1 (x.example): query failed (NXDOMAIN) for x.example/IN/A at query.c:7",
            &[("dns.response_code", "NXDOMAIN"), ("dns.question.name", "x.example"), ("dns.question.type", "A")],
        );
        // A view, an IPv6 client, and syslog that repeats named's own date.
        check(
            "",
            "Nov 23 20:10:00 ns-01 named[7]: 23-Nov-2026 20:10:00.250 security: error: client @0x7f 2001:db8::9#62449 (x.example): view inner: query (cache) 'x.example/ANY/IN' denied",
            &[("source.ip", "2001:db8::9"), ("event.outcome", "failure"), ("log.level", "error")],
        );
        check(
            "bind",
            "2026-11-23T13:10:00.250Z security: info: client @0x7f 203.0.113.9#4411 (x.example): query (cache) 'x.example/A/IN' denied (allow-query-cache did not match)",
            &[
                ("source.ip", "203.0.113.9"),
                ("event.outcome", "failure"),
                ("@timestamp", "2026-11-23T13:10:00.250Z"),
                ("process.name", "named"),
            ],
        );
        check(
            "bind",
            "<30>Nov 23 20:10:00 ns-01 named[7]: client @0x7f 192.0.2.9#4411 (x.example): rpz QNAME NXDOMAIN rewrite x.example/A/IN via x.example.chan.rpz",
            &[
                ("event.action", "dns_policy"),
                ("event.type", "connection,denied"),
                ("dns.question.name", "x.example"),
                ("rule.name", "x.example.chan.rpz"),
            ],
        );
        check("bind", "23-Nov-2026 20:10:00.250 general: info: zone x client y: z", &[("!source.ip", "")]);
    }

    #[test]
    fn a_date_that_does_not_exist_is_a_fault() {
        assert!(date("31-Feb-2026 20:10:00.250 x", 0).is_err());
        assert!(date("a-b-c d", 0).is_ok_and(|stamp| stamp.is_none()));
    }
}
