//! osquery: results of scheduled questions (differences, snapshots, batches) and the status log.
//!
//! In: the leaves of a record. Out: which question, what changed on which host. Source: osquery 5 documentation,
//! "Logging" and "Aggregating Logs": event, snapshot and batch format, status logs.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field};

use super::json_rows::{Row, fill, has_all, text, value};
use crate::normalize::Context;
use crate::normalize::device::{Act, act, finish};
use crate::parse;

const ROWS: &[Row] = &[
    ("name", Field::RULE_NAME),
    ("action", Field::EVENT_ACTION),
    ("host_identifier", Field::HOST_NAME),
    ("host_identifier", Field::HOST_HOSTNAME),
    ("h", Field::HOST_NAME),
    ("decorations.host_uuid", Field::HOST_ID),
    ("decorations.username", Field::USER_NAME),
    ("columns.username", Field::USER_TARGET_NAME),
    ("columns.path", Field::FILE_PATH),
    ("columns.target_path", Field::FILE_PATH),
    ("columns.size", Field::FILE_SIZE),
    ("columns.md5", Field::FILE_HASH_MD5),
    ("columns.sha1", Field::FILE_HASH_SHA1),
    ("columns.sha256", Field::FILE_HASH_SHA256),
    ("columns.pid", Field::PROCESS_PID),
    ("columns.cmdline", Field::PROCESS_COMMAND_LINE),
    ("columns.parent", Field::PROCESS_PARENT_PID),
    ("columns.uid", Field::USER_ID),
    ("message", Field::MESSAGE),
    ("m", Field::MESSAGE),
];
/// Severities of the status log.
const LEVELS: &[&str] = &["info", "warning", "error", "fatal"];
/// Members that the result log writes in another way than ECS modules name them.
const RENAMED: &[(&str, &str)] =
    &[("hostIdentifier", "host_identifier"), ("calendarTime", "calendar_time"), ("unixTime", "unix_time")];

/// Whether a record is osquery's.
pub fn is_record(leaves: &Leaves) -> bool {
    has_all(leaves, &["hostIdentifier", "unixTime"])
        && (has_all(leaves, &["name"]) || has_all(leaves, &["severity", "filename"]))
        || has_all(leaves, &["h", "u", "s", "f", "m"])
}

/// The event of a record.
pub fn event(mut leaves: Leaves, context: &Context<'_>) -> Event {
    let stamp =
        value(&leaves, "unixTime").or_else(|| value(&leaves, "u")).and_then(|value| parse::json::moment(value, 0));
    let severity = text(&leaves, "severity").or_else(|| text(&leaves, "s")).map(str::to_owned);
    let is_status = value(&leaves, "name").is_none();
    let mut event = context.event(stamp, "osquery", if is_status { "osquery.status" } else { "osquery.result" });
    act(&mut event, Act("host", &["info"], ""));
    if let Some(level) = severity.and_then(|severity| severity.parse::<usize>().ok()).and_then(|at| LEVELS.get(at)) {
        event.set(Field::LOG_LEVEL, *level);
    }
    let told = text(&leaves, "name").zip(text(&leaves, "action")).map(|(name, action)| format!("{name} {action}"));
    if text(&leaves, "action").is_none() && !is_status {
        // The batch format gives both sides at once.
        event.set(Field::EVENT_ACTION, "changed");
    }
    for (name, _) in &mut leaves {
        if let Some((_, ours)) = RENAMED.iter().find(|(sent, _)| name == sent) {
            *name = (*ours).into();
        }
    }
    fill(&mut event, if is_status { "osquery.status." } else { "osquery.result." }, ROWS, leaves);
    if let Some(told) = told {
        event.set_default(Field::MESSAGE, told);
    }
    finish(&mut event);
    event
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn differences_snapshots_batches_and_status() {
        let line = r#"{"name":"pack_city_listening_ports","hostIdentifier":"may-01","calendarTime":"x","unixTime":1795399800,"epoch":0,"counter":1,"decorations":{"host_uuid":"U1","username":"lan"},"columns":{"port":"4444","pid":"77","path":"/tmp/x"},"action":"added"}"#;
        for profile in ["osquery", ""] {
            check(
                profile,
                line,
                &[
                    ("event.dataset", "osquery.result"),
                    ("rule.name", "pack_city_listening_ports"),
                    ("event.action", "added"),
                    ("host.name", "may-01"),
                    ("host.id", "U1"),
                    ("user.name", "lan"),
                    ("process.pid", "77"),
                    ("file.path", "/tmp/x"),
                    ("osquery.result.columns.port", "4444"),
                    ("osquery.result.host_identifier", "may-01"),
                    ("!osquery.result.hostIdentifier", ""),
                    ("@timestamp", "2026-11-23T02:10:00Z"),
                ],
            );
        }
        check(
            "osquery",
            r#"{"snapshot":[{"user":"a"},{"user":"b"}],"action":"snapshot","name":"users","hostIdentifier":"may-01","unixTime":1795399800}"#,
            &[("osquery.result.snapshot.user", "a,b"), ("event.action", "snapshot")],
        );
        check(
            "osquery",
            r#"{"diffResults":{"added":[{"user":"a"}],"removed":[]},"name":"users","hostIdentifier":"may-01","unixTime":1795399800}"#,
            &[("osquery.result.diffResults.added.user", "a"), ("event.action", "changed")],
        );
        check(
            "osquery",
            r#"{"hostIdentifier":"may-01","unixTime":1795399800,"severity":"2","filename":"a.cpp","line":"7","message":"cannot open","version":"5"}"#,
            &[("event.dataset", "osquery.status"), ("log.level", "error"), ("message", "cannot open")],
        );
    }

    #[test]
    fn no_column_names_a_field_of_ours() {
        let line = r#"{"name":"x","hostIdentifier":"h","unixTime":1,"action":"added","columns":{"nhatle":{"alert":{"id":"1"}}},"event.kind":"signal","nhatle.unit":"x"}"#;
        check("osquery", line, &[("!nhatle.alert.id", ""), ("event.kind", "event"), ("!nhatle.unit", "")]);
    }
}
