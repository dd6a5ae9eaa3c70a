//! Cisco ISE: `CISE_<category> <id> <parts> <part> <time> <zone> <sequence> <code> <level> <class>: <text>, key=value, …`.
//!
//! In: a message that begins with `CISE_`. Out: who signed in with what outcome, over which device; sessions, commands; values under
//! `cisco_ise.log.*`. Failure: none. Source: Cisco, "Identity Services Engine syslogs".

use std::borrow::Cow;
use std::net::IpAddr;

use nhatle_event::{Event, Field, Text, Timestamp};

use super::{Act, LOGOUT, Row, Values, act, mean, observer, set_all, set_text, value};
use crate::normalize::Context;
use crate::parse::Syslog;

const HOME: &str = "cisco_ise.log.";
/// How many values one record may have; what follows stays in the message.
const PAIRS_MAX: usize = 256;

const TABLE: &[Row] = &[
    ("DestinationIPAddress", Field::DESTINATION_IP),
    ("DestinationPort", Field::DESTINATION_PORT),
    ("Protocol", Field::NETWORK_PROTOCOL),
    ("FailureReason", Field::EVENT_REASON),
    ("Acct-Input-Octets", Field::SOURCE_BYTES),
    ("Acct-Output-Octets", Field::DESTINATION_BYTES),
    ("Acct-Input-Packets", Field::SOURCE_PACKETS),
    ("Acct-Output-Packets", Field::DESTINATION_PACKETS),
    ("SelectedAccessService", Field::RULE_RULESET),
    ("AuthorizationPolicyMatchedRule", Field::RULE_NAME),
];

/// `key=value` behind commas; a comma of a value is written `\,`.
fn pairs(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut found = Vec::with_capacity(48);
    let (mut from, mut at) = (0, 0);
    while at <= text.len() && found.len() < PAIRS_MAX {
        let next = text.get(at..).and_then(|rest| rest.find(',')).map_or(text.len(), |next| at + next);
        if next < text.len() && text.as_bytes()[..next].ends_with(b"\\") {
            at = next + 1;
            continue;
        }
        if let Some((key, value)) = text.get(from..next).and_then(|piece| piece.split_once('=')) {
            let value = value.trim();
            let value = if value.contains('\\') { value.replace("\\,", ",").into() } else { value.into() };
            found.push((key.trim(), value));
        }
        (from, at) = (next + 1, next + 1);
    }
    found
}

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    // Category, id, how many parts, which part; of the later parts only the values are there.
    let mut words = message.splitn(5, ' ');
    let category = words.next().unwrap_or_default().trim_start_matches("CISE_");
    let is_first = words.nth(2).is_none_or(|part| part == "0");
    let rest = words.next().unwrap_or_default();
    let front: Vec<&str> = if is_first { rest.splitn(7, ' ').collect() } else { Vec::new() };
    let text = front.get(6).copied().unwrap_or(rest);
    let stamp = match front.as_slice() {
        [date, time, zone, ..] => Timestamp::parse(&format!("{date}T{time}{zone}"), context.offset_s),
        _ => None,
    };
    let mut event = context.event(stamp.or(parts.timestamp), "cisco_ise", "cisco_ise.log");
    observer(&mut event, "Cisco", "ISE", "policy-server");
    let pairs = pairs(text);
    set_all(&mut event, HOME, TABLE, &pairs);
    event.set_named("cisco_ise.log.category.name", Text::from(category));
    let class = text.split(',').next().unwrap_or_default();
    if let [_, _, _, _, code, level, ..] = front.as_slice() {
        set_text(&mut event, Field::EVENT_CODE, code);
        event.set(Field::LOG_LEVEL, level.to_ascii_lowercase());
        event.set(Field::MESSAGE, Text::from(class));
    }
    set_sides(&mut event, &pairs);
    set_meaning(&mut event, category, class, &pairs);
    event
}

/// Who, and from where: the machine's address, or the administrator's. The device that asks is kept as such.
fn set_sides(event: &mut Event, pairs: &Values<'_>) {
    let user = ["UserName", "User-Name", "User", "AdminName"].iter().find_map(|name| value(pairs, name));
    if let Some(user) = user {
        let (domain, name) = user.split_once('\\').unwrap_or(("", user));
        event.set(Field::USER_NAME, Text::from(name));
        set_text(event, Field::USER_DOMAIN, domain);
    }
    let station = value(pairs, "Calling-Station-ID").unwrap_or_default();
    let address = ["Framed-IP-Address", "AdminIPAddress", "Remote-Address"]
        .iter()
        .filter_map(|name| value(pairs, name))
        .chain([station])
        .find_map(|text| text.parse::<IpAddr>().ok());
    if let Some(address) = address {
        event.set(Field::SOURCE_IP, address);
    }
    if station.len() == 17 && station.parse::<IpAddr>().is_err() {
        set_text(event, Field::SOURCE_MAC, station);
    }
    for name in ["Device IP Address", "NAS-IP-Address"] {
        if let Some(address) = value(pairs, name).and_then(|text| text.parse::<IpAddr>().ok()) {
            event.add(Field::RELATED_IP, address);
        }
    }
}

fn set_meaning(event: &mut Event, category: &str, class: &str, pairs: &Values<'_>) {
    let lower = class.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let outcome = if has(&["fail", "reject", "denied"]) {
        "failure"
    } else if has(&["succeeded", "success", "passed"]) {
        "success"
    } else {
        ""
    };
    match category {
        "Passed_Authentications" if has(&["authoriz"]) && !has(&["authentication"]) => {
            mean(event, ("authorization-passed", Act("iam", &["info"], "success")));
        }
        "Passed_Authentications" => {
            mean(event, ("passed-authentication", Act("authentication", &["start"], "success")))
        }
        "Failed_Attempts" => mean(event, ("failed-attempt", Act("authentication", &["start"], "failure"))),
        "RADIUS_Accounting" => {
            let kind: &[&str] = match value(pairs, "Acct-Status-Type") {
                Some("Start") => &["start"],
                Some("Stop") => &["end"],
                _ => &["info"],
            };
            mean(event, ("radius-accounting", Act("session", kind, "")));
        }
        "TACACS_Accounting" => {
            let command = value(pairs, "CmdSet").and_then(|text| text.split_once("CmdAV=")).map(|(_, rest)| {
                rest.trim_end_matches([' ', ']']).trim_end_matches("<cr>").replace(" CmdArgAV=", " ").trim().to_owned()
            });
            match command.filter(|command| !command.is_empty()) {
                Some(command) => {
                    event.set(Field::PROCESS_COMMAND_LINE, command);
                    mean(event, ("command-executed", Act("process", &["start"], "")));
                }
                None => mean(event, ("tacacs-accounting", Act("session", &["info"], ""))),
            }
        }
        _ if lower.starts_with("administrator-login") => {
            mean(event, ("administrator-login", Act("authentication", &["start"], outcome)));
        }
        _ if lower.starts_with("administrator-logout") => mean(event, ("administrator-logout", LOGOUT)),
        _ if lower.starts_with("configuration-changes") || has(&["added configuration", "changed configuration"]) => {
            mean(event, ("configuration-changed", Act("configuration", &["change"], outcome)));
        }
        _ => act(event, Act("host", &["info"], "")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn sign_ins_sessions_and_commands() {
        let line = |category: &str, code: &str, text: &str| {
            format!(
                "<181>Nov 23 02:10:00 ise-01 CISE_{category} 0000000007 1 0 2026-11-23 09:10:00.125 +07:00 0000000008 {code} NOTICE {text}"
            )
        };
        check(
            &line(
                "Failed_Attempts",
                "5400",
                r"Failed-Attempt: Authentication failed, Device IP Address=10.45.7.2, UserName=HUE\lan, FailureReason=22040 Sai mat khau\, thu lai, Calling-Station-ID=AA-BB-CC-00-11-22",
            ),
            None,
            &[
                ("event.dataset", "cisco_ise.log"),
                ("event.category", "authentication"),
                ("event.outcome", "failure"),
                ("event.reason", "22040 Sai mat khau, thu lai"),
                ("user.name", "lan"),
                ("user.domain", "HUE"),
                ("source.ip", "(absent)"),
                ("source.mac", "AA-BB-CC-00-11-22"),
                ("event.code", "5400"),
                ("host.name", "ise-01"),
            ],
        );
        check(
            &line(
                "RADIUS_Accounting",
                "3001",
                "Radius-Accounting: RADIUS Accounting stop request, UserName=lan, Acct-Status-Type=Stop, Framed-IP-Address=10.45.20.4",
            ),
            None,
            &[("event.category", "session"), ("event.type", "end"), ("source.ip", "10.45.20.4")],
        );
        check(
            &line(
                "TACACS_Accounting",
                "3300",
                "Tacacs-Accounting: TACACS+ Accounting with Command, CmdSet=[ CmdAV=show CmdArgAV=run <cr> ], User=lan, Remote-Address=10.45.1.9",
            ),
            None,
            &[("process.command_line", "show run"), ("user.name", "lan"), ("source.ip", "10.45.1.9")],
        );
        check(
            &line(
                "Administrative_and_Operational_Audit",
                "51001",
                "Administrator-Login: Administrator authentication succeeded, AdminIPAddress=10.45.1.5, AdminName=quan-tri,",
            ),
            None,
            &[("event.category", "authentication"), ("event.outcome", "success"), ("user.name", "quan-tri")],
        );
    }
}
