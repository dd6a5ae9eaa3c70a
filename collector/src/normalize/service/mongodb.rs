//! MongoDB: connections and sign-ins, as text lines (to 4.2) or structured (from 4.4).
//!
//! In: a line of `mongod`'s or `mongos`' own log, of syslog, or the leaves of a structured one. Out: severity, component, client, account, outcome. An
//! account's name is a stranger's text: a wording is looked for at the front, the client from the back. Source: MongoDB manual, "Log
//! Messages" (structured logging, severity levels, components), and that of version 4.2; `src/mongo/db/auth`, `session_workflow`.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field};

use super::json_rows::{fill, text, value};
use super::{happened, set_named, set_port, sign_in};
use crate::normalize::Context;
use crate::normalize::device::{Act, act, finish};
use crate::normalize::linux::{set_source, set_user};
use crate::parse::{self, date};

/// Components; one with an underscore is a part of the first word's.
const COMPONENTS: [&str; 20] = [
    "ACCESS", "ASIO", "COMMAND", "CONNPOOL", "CONTROL", "ELECTION", "FTDC", "GEO", "INDEX", "INITSYNC", "JOURNAL",
    "NETWORK", "QUERY", "RECOVERY", "REPL", "ROLLBACK", "SHARDING", "STORAGE", "TXN", "WRITE",
];
/// Messages by their number that are more than a notice: sign-in refused, let in.
const REFUSED: [&str; 2] = ["20249", "5286307"];
const ALLOWED: [&str; 2] = ["20250", "5286306"];

/// `I NETWORK  [conn1] end connection 127.0.0.1:55404 …`: severity, component, thread, message.
fn take(text: &str) -> Option<[&str; 4]> {
    let (severity, rest) = text.split_once(' ')?;
    let is_severity = matches!(severity.as_bytes(), [b'F' | b'E' | b'W' | b'I' | b'D'] | [b'D', b'1'..=b'5']);
    let (component, rest) = rest.trim_start().split_once(' ').filter(|_| is_severity)?;
    let is_component = component == "-" || COMPONENTS.contains(&component.split('_').next().unwrap_or_default());
    let (thread, message) = rest.trim_start().strip_prefix('[').filter(|_| is_component)?.split_once("] ")?;
    Some([severity, component, thread, message])
}

/// Whether a line is surely MongoDB's: the moment, severity, component and thread in front of any message.
pub fn is_own(text: &str, offset_s: i32) -> bool {
    let Ok(Some((_, end))) = date::iso(text, offset_s) else { return false };
    text.get(end..).is_some_and(|rest| take(rest.trim_start()).is_some())
}

/// Sets what a text line means.
pub fn set_fields(event: &mut Event, message: &str) {
    let Some([severity, component, thread, words]) = take(message) else { return };
    event.set(Field::LOG_LEVEL, severity);
    set_named(event, "mongodb.log.component", Some(component));
    set_named(event, "mongodb.log.context", Some(thread));
    event.set(Field::MESSAGE, words);
    if let Some(rest) = words.strip_prefix("connection accepted from ") {
        happened(event, "database_connection", Act("database", &["start"], ""));
        set_client(event, rest.split(' ').next().unwrap_or_default());
    } else if let Some(rest) = words.strip_prefix("end connection ") {
        happened(event, "database_disconnection", Act("database", &["end"], ""));
        set_client(event, rest.split(' ').next().unwrap_or_default());
    } else if let Some((_, rest)) = words
        .split_once(" authentication failed for ")
        .filter(|(front, _)| !front.trim_start_matches("SASL ").contains(' '))
    {
        sign_in(event, "database_login", false);
        let (account, client) = rest.rsplit_once(" from client ").unwrap_or((rest, ""));
        set_client(event, client.split(' ').next().unwrap_or_default());
        let (user, database) = account.rsplit_once(" on ").unwrap_or((account, ""));
        set_user(event, user);
        set_named(event, "mongodb.log.database", Some(database));
    } else if let Some(rest) = words.strip_prefix("Successfully authenticated as principal ") {
        sign_in(event, "database_login", true);
        let (account, client) = rest.rsplit_once(" from client ").unwrap_or((rest, ""));
        set_client(event, client.split(' ').next().unwrap_or_default());
        set_user(event, account.rsplit_once(" on ").map_or(account, |(user, _)| user));
    } else if matches!(severity, "E" | "F") {
        event.set_default(Field::EVENT_TYPE, "error");
    }
}

fn set_client(event: &mut Event, client: &str) {
    let Some((address, port)) = client.rsplit_once(':') else { return };
    set_source(event, address.trim_matches(['[', ']']));
    set_port(event, port);
}

/// Whether a record is a structured line.
pub fn is_record(leaves: &Leaves) -> bool {
    ["t.$date", "s", "c", "id", "ctx", "msg"].iter().all(|name| value(leaves, name).is_some())
}

/// The event of a structured line.
pub fn event(leaves: Leaves, context: &Context<'_>) -> Event {
    let stamp = value(&leaves, "t.$date").and_then(|value| parse::json::moment(value, context.offset_s));
    let mut event = context.event(stamp, "mongodb", "mongodb.log");
    act(&mut event, Act("database", &[], ""));
    let shown = |name: &str| text(&leaves, name).map(str::to_owned);
    let id = value(&leaves, "id").and_then(nhatle_event::Value::as_text).map(|id| id.to_string()).unwrap_or_default();
    if let Some(severity) = shown("s") {
        event.set(Field::LOG_LEVEL, severity);
    }
    if let Some(message) = shown("msg") {
        event.set(Field::MESSAGE, message);
    }
    event.set(Field::EVENT_CODE, id.as_str());
    set_named(&mut event, "mongodb.log.component", shown("c").as_deref());
    set_named(&mut event, "mongodb.log.context", shown("ctx").as_deref());
    match id.as_str() {
        "22943" => happened(&mut event, "database_connection", Act("database", &["start"], "")),
        "22944" => happened(&mut event, "database_disconnection", Act("database", &["end"], "")),
        id if REFUSED.contains(&id) => sign_in(&mut event, "database_login", false),
        id if ALLOWED.contains(&id) => sign_in(&mut event, "database_login", true),
        _ => {}
    }
    let client = ["attr.remote", "attr.client"].iter().find_map(|name| shown(name));
    set_client(&mut event, client.as_deref().unwrap_or_default());
    let user = ["attr.principalName", "attr.user"].iter().find_map(|name| shown(name));
    set_user(&mut event, user.as_deref().unwrap_or_default());
    let attributes = leaves.into_iter().filter(|(name, _)| name.starts_with("attr.")).collect();
    fill(&mut event, "mongodb.log.", &[], attributes);
    event.set_default(Field::EVENT_TYPE, "info");
    finish(&mut event);
    event
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn severities_padded_with_two_spaces() {
        check(
            "mongodb",
            "2026-11-23T20:10:00.123+0700 I  ACCESS   [conn5] SASL SCRAM-SHA-1 authentication failed for lan on admin from client 203.0.113.9:4411 ; UserNotFound: x",
            &[
                ("source.ip", "203.0.113.9"),
                ("user.name", "lan"),
                ("event.outcome", "failure"),
                ("mongodb.log.component", "ACCESS"),
            ],
        );
    }

    #[test]
    fn text_lines() {
        check(
            "mongodb",
            "2026-11-23T09:10:00.657+0700 I NETWORK  [listener] connection accepted from 203.0.113.9:55406 #2 (1 connection now open)",
            &[
                ("event.dataset", "mongodb.log"),
                ("source.ip", "203.0.113.9"),
                ("source.port", "55406"),
                ("log.level", "I"),
                ("mongodb.log.component", "NETWORK"),
                ("event.action", "database_connection"),
                ("@timestamp", "2026-11-23T02:10:00.657Z"),
            ],
        );
        check(
            "mongodb",
            "2026-11-23T09:10:00.657+0700 I ACCESS   [conn7] SCRAM-SHA-1 authentication failed for lan on hoso from client 203.0.113.9:5 ; AuthenticationFailed: x",
            &[("user.name", "lan"), ("source.ip", "203.0.113.9"), ("event.outcome", "failure")],
        );
        // An account's name moves no client and passes for no wording.
        check(
            "mongodb",
            "2026-11-23T09:10:00.657+0700 I ACCESS   [conn7] SCRAM-SHA-1 authentication failed for a on b from client 192.0.2.1:5 on hoso from client 203.0.113.9:5 ; x",
            &[("source.ip", "203.0.113.9"), ("user.name", "a on b from client 192.0.2.1:5")],
        );
        check(
            "mongodb",
            "2026-11-23T09:10:00.657+0700 I COMMAND  [conn7] command x authentication failed for root on admin from client 192.0.2.1:5 ; x",
            &[("!event.outcome", ""), ("!source.ip", "")],
        );
        check("mongodb", "2026-11-23T09:10:00.657+0700 x", &[("message", "x"), ("!log.level", "")]);
    }

    #[test]
    fn structured_lines() {
        let line = r#"{"t":{"$date":"2026-11-23T09:10:00.657+07:00"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn281","msg":"Authentication failed","attr":{"mechanism":"SCRAM-SHA-256","principalName":"lan","authenticationDatabase":"hoso","remote":"203.0.113.9:37106","error":"x"}}"#;
        for profile in ["mongodb", ""] {
            check(
                profile,
                line,
                &[
                    ("event.module", "mongodb"),
                    ("user.name", "lan"),
                    ("source.ip", "203.0.113.9"),
                    ("event.outcome", "failure"),
                    ("event.code", "20249"),
                    ("mongodb.log.attr.mechanism", "SCRAM-SHA-256"),
                    ("@timestamp", "2026-11-23T02:10:00.657Z"),
                ],
            );
        }
    }
}
