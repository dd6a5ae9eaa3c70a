//! Unbound: questions and answers.
//!
//! In: a message of unbound, with or without its process and level (`[7:0] info: …`), or a line of its own file
//! (`[1795399800] unbound[7:0] info: …`). Out: who asked for what name, and the answer's code. Unbound writes dots and odd bytes of names as
//! `\\ddd`, so a name holds no space. Source: unbound.conf(5), `log-queries`, `log-replies`, `log-local-actions`; Unbound 1.22 `util/log.c`.

use std::net::IpAddr;

use nhatle_event::{Event, Field};

use super::{happened, set_named};
use crate::normalize::Context;
use crate::normalize::device::Act;
use crate::normalize::linux::set_source;
use crate::parse;

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    event.set(Field::NETWORK_PROTOCOL, "dns");
    let message = own_front(event, message, context);
    // `[7:0] ` where syslog carries it.
    let text = message.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(message, |(_, rest)| rest);
    let (level, text) = text.split_once(": ").unwrap_or(("", text));
    if !matches!(level, "info" | "notice" | "warning" | "error" | "debug" | "fatal error" | "query" | "reply") {
        return;
    }
    // `log-tag-queryreply` has its own words in the level's place.
    if !matches!(level, "query" | "reply") {
        event.set(Field::LOG_LEVEL, level);
    }
    question(event, text);
}

/// Takes `[1795399800] unbound[7:0] ` off a line of unbound's own file, and its moment with it.
fn own_front<'a>(event: &mut Event, message: &'a str, context: &Context<'_>) -> &'a str {
    let Some((stamp, rest)) = message.strip_prefix('[').and_then(|rest| rest.split_once("] unbound[")) else {
        return message;
    };
    let Some((process, rest)) = rest.split_once("] ") else { return message };
    if let Some(stamp) = parse::json::moment(&stamp.into(), context.offset_s) {
        event.timestamp = stamp;
    }
    if let Some(pid) = process.split(':').next().and_then(|pid| pid.parse::<i64>().ok()) {
        event.set(Field::PROCESS_PID, pid);
    }
    rest
}

/// `192.0.2.9 a.example. A IN`, and behind it of a reply `NOERROR 0.000123 0 45`; `zone. action address@port name. A IN` of a local zone.
fn question(event: &mut Event, text: &str) {
    let words: Vec<&str> = text.split(' ').take(12).collect();
    let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
    match words.as_slice() {
        [client, name, kind, "IN" | "CH" | "HS" | "ANY", rest @ ..] if is_address(client) => {
            set_source(event, client);
            asked(event, name, kind);
            if let [code, seconds, ..] = rest {
                happened(event, "dns_answer", Act("network", &["connection", "protocol"], ""));
                event.set(Field::DNS_RESPONSE_CODE, *code);
                set_named(event, "unbound.seconds", Some(seconds));
            } else {
                happened(event, "dns_query", Act("network", &["connection", "protocol"], ""));
            }
        }
        [zone, action, client, name, kind, "IN", ..] if client.contains('@') && zone.ends_with('.') => {
            let (address, port) = client.rsplit_once('@').unwrap_or((client, ""));
            if !is_address(address) {
                return;
            }
            set_source(event, address);
            super::set_port(event, port);
            let is_stopped = matches!(
                *action,
                "deny" | "refuse" | "always_nxdomain" | "always_refuse" | "always_deny" | "static" | "always_null"
            );
            let kinds: &[&str] = if is_stopped { &["connection", "denied"] } else { &["connection", "protocol"] };
            happened(event, "dns_policy", Act("network", kinds, ""));
            set_named(event, "unbound.local_zone", Some(zone.trim_end_matches('.')));
            set_named(event, "unbound.local_action", Some(action));
            asked(event, name, kind);
        }
        _ => {}
    }
}

fn asked(event: &mut Event, name: &str, kind: &str) {
    event.set(Field::DNS_QUESTION_NAME, if name == "." { name } else { name.trim_end_matches('.') });
    event.set(Field::DNS_QUESTION_TYPE, kind);
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn questions_replies_and_local_zones() {
        let told = [
            ("event.module", "unbound"),
            ("source.ip", "192.0.2.9"),
            ("dns.question.name", "a.example"),
            ("dns.question.type", "AAAA"),
            ("event.action", "dns_query"),
            ("log.level", "info"),
        ];
        check("", "<30>Nov 23 20:10:00 gw-01 unbound[7]: [7:0] info: 192.0.2.9 a.example. AAAA IN", &told);
        check("unbound", "[1795439400] unbound[7:0] info: 192.0.2.9 a.example. AAAA IN", &told);
        check(
            "unbound",
            "[1795439400] unbound[7:0] info: x",
            &[("@timestamp", "2026-11-23T13:10:00Z"), ("process.pid", "7")],
        );
        check(
            "opnsense",
            "<30>Nov 23 20:10:00 gw-01 unbound[7]: [7:2] info: 2001:db8::9 a.example. A IN NXDOMAIN 0.000123 0 45",
            &[("source.ip", "2001:db8::9"), ("dns.response_code", "NXDOMAIN"), ("event.action", "dns_answer")],
        );
        check(
            "unbound",
            "<30>Nov 23 20:10:00 gw-01 unbound: info: ads.example. always_nxdomain 192.0.2.9@4411 x.ads.example. A IN",
            &[("event.type", "connection,denied"), ("dns.question.name", "x.ads.example"), ("source.port", "4411")],
        );
    }
}
