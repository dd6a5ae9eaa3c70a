//! Barracuda Web Application Firewall: columns behind `<date> <time> <zone> <unit> <kind>`.
//!
//! In: a message that begins so. Out: attacks (`WF`), requests (`TR`), what administrators did (`AUDIT`), packets (`NF`). Failure: none.
//! Source: Barracuda, "How to configure syslog and other logs" (its default formats).

use nhatle_event::{Event, Field, Text, Timestamp};

use super::{Act, LOGIN, LOGOUT, REFUSED, act, mean, observer, set_text};
use crate::normalize::Context;
use crate::parse::Syslog;

/// How many columns are looked at.
const COLUMNS_MAX: usize = 48;

/// Columns between spaces; quotes and brackets hold some together.
fn columns(text: &str) -> Vec<&str> {
    let mut found = Vec::with_capacity(24);
    let mut rest = text.trim_start();
    while !rest.is_empty() && found.len() < COLUMNS_MAX {
        let close = match rest.as_bytes().first() {
            Some(b'"') => Some('"'),
            Some(b'[') => Some(']'),
            _ => None,
        };
        let (column, after) = match close.and_then(|close| rest.get(1..)?.split_once(close)) {
            Some(parts) => parts,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        found.push(column);
        rest = after.trim_start();
    }
    found
}

/// Whether a message is this firewall's.
pub(super) fn is_waf(message: &str) -> bool {
    let mut words = message.splitn(6, ' ');
    let is_dated = message.as_bytes().get(4) == Some(&b'-') && message.as_bytes().get(10) == Some(&b' ');
    is_dated
        && words.nth(2).is_some_and(|zone| zone.starts_with(['+', '-']) && zone.len() == 5)
        && matches!(words.nth(1), Some("WF" | "TR" | "AUDIT" | "NF" | "SYS"))
}

/// A column's number, its field.
type Place = (usize, Field);

/// Behind the kind: severity, attack, client, port, service, port, rule, its kind, action, follow-up, details, method, URL, protocol, session, agent,
/// proxy's address and port, account, referrer.
const ATTACK: &[Place] = &[
    (6, Field::RULE_NAME),
    (7, Field::SOURCE_IP),
    (8, Field::SOURCE_PORT),
    (9, Field::DESTINATION_IP),
    (10, Field::DESTINATION_PORT),
    (11, Field::RULE_RULESET),
    (13, Field::EVENT_ACTION),
    (15, Field::EVENT_REASON),
    (16, Field::HTTP_REQUEST_METHOD),
    (17, Field::URL_ORIGINAL),
    (20, Field::USER_AGENT_ORIGINAL),
    (23, Field::USER_NAME),
    (24, Field::HTTP_REQUEST_REFERRER),
];

/// Behind the kind: service, port, client, port, login, certificate, method, protocol, host, version, status, bytes sent, bytes received.
const REQUEST: &[Place] = &[
    (5, Field::DESTINATION_IP),
    (6, Field::DESTINATION_PORT),
    (7, Field::SOURCE_IP),
    (8, Field::SOURCE_PORT),
    (9, Field::USER_NAME),
    (11, Field::HTTP_REQUEST_METHOD),
    (13, Field::URL_DOMAIN),
    (15, Field::HTTP_RESPONSE_STATUS_CODE),
    (16, Field::HTTP_RESPONSE_BODY_BYTES),
];

/// Behind the kind: severity, protocol, client, port, destination, port, action, rule.
const PACKET: &[Place] = &[
    (6, Field::NETWORK_TRANSPORT),
    (7, Field::SOURCE_IP),
    (8, Field::SOURCE_PORT),
    (9, Field::DESTINATION_IP),
    (10, Field::DESTINATION_PORT),
    (11, Field::EVENT_ACTION),
    (12, Field::RULE_NAME),
];

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let columns = columns(message);
    let column = |at: usize| columns.get(at).copied().unwrap_or_default();
    let stamp = Timestamp::parse(&format!("{}T{}{}", column(0), column(1), column(2)), context.offset_s);
    let mut event = context.event(stamp.or(parts.timestamp), "barracuda", "barracuda.waf");
    observer(&mut event, "Barracuda", "Web Application Firewall", "waf");
    set_text(&mut event, Field::OBSERVER_NAME, column(3));
    let places = match column(4) {
        "WF" => ATTACK,
        "TR" => REQUEST,
        "NF" => PACKET,
        _ => &[],
    };
    for (at, field) in places {
        set_text(&mut event, *field, column(*at).trim_matches('"'));
    }
    match column(4) {
        "WF" => {
            event.set(Field::EVENT_KIND, "alert");
            let kinds: &[&str] = if column(13) == "DENY" { &["info", "denied"] } else { &["info"] };
            act(&mut event, Act("intrusion_detection", kinds, ""));
        }
        "TR" => act(&mut event, Act("web", &["access"], "")),
        "NF" => {
            let kinds: &[&str] = match column(11) {
                "DENY" => &["connection", "denied"],
                "ALLOW" => &["connection", "allowed"],
                _ => &["connection", "info"],
            };
            act(&mut event, Act("network", kinds, ""));
        }
        "AUDIT" => {
            set_text(&mut event, Field::USER_NAME, column(5));
            set_text(&mut event, Field::SOURCE_IP, column(7));
            match column(9) {
                "LOGIN" => mean(&mut event, ("login", LOGIN)),
                "UNSUCCESSFUL_LOGIN" => mean(&mut event, ("login", REFUSED)),
                "LOGOUT" => mean(&mut event, ("logout", LOGOUT)),
                "CONFIG" => mean(&mut event, ("config", Act("configuration", &["change"], "success"))),
                _ => act(&mut event, Act("host", &["info"], "")),
            }
        }
        _ => act(&mut event, Act("host", &["info"], "")),
    }
    event.set(Field::MESSAGE, Text::from(message));
    event
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn attacks_and_administrators() {
        check(
            r#"<134>Nov 23 02:10:00 waf-01 2026-11-23 09:10:00.125 +0700 WAF1 WF ALER SQL_INJECTION_IN_PARAM 203.0.113.9 4411 10.45.0.80 80 chinh-sach GLOBAL DENY NONE [type="sql"] GET a.example/b?c=1 HTTP - "Mozilla/5.0" 203.0.113.9 4411 - -"#,
            None,
            &[
                ("event.dataset", "barracuda.waf"),
                ("event.kind", "alert"),
                ("event.type", "info,denied"),
                ("source.ip", "203.0.113.9"),
                ("destination.port", "80"),
                ("rule.name", "SQL_INJECTION_IN_PARAM"),
                ("user_agent.original", "Mozilla/5.0"),
            ],
        );
        check(
            "<134>Nov 23 02:10:00 waf-01 2026-11-23 09:10:00.125 +0700 WAF1 AUDIT admin GUI 10.45.0.9 24784 UNSUCCESSFUL_LOGIN 0 - - - -",
            None,
            &[("event.category", "authentication"), ("event.outcome", "failure"), ("source.ip", "10.45.0.9")],
        );
    }
}
