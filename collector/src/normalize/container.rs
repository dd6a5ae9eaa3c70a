//! Containers' lines as their runtimes write them down, and the journal as `journalctl` writes it in JSON.
//!
//! In: a line with the runtime's moment and stream in front (`2026-11-23T02:10:00.1Z stdout F …`), an object of Docker's
//! `json-file` driver, or an entry of the journal in JSON. Out: the event of the line inside, at its own moment or else at the one
//! around it, with the stream. Promise: `event.original` is the whole record; nothing inside passes for the runtime's words, which stand in front.
//! Failure: that of the line inside, at its place in the record. Source: Kubernetes, "CRI logging format" (design proposal
//! `kubelet-cri-logging`); Docker, "JSON File logging driver"; systemd.journal-fields(7), journalctl(1) `--output=json`.

use std::borrow::Cow;

use nhatle_event::json::Leaves;
use nhatle_event::{DeadLetter, Event, Record, Timestamp, Value};

use super::{Context, Problem, syslog, unwrapped};
use crate::parse::{self, Fault, Syslog};
use crate::profile::Profile;

/// How long the moment at the front of a line of the runtime may be.
const STAMP_BYTES_MAX: usize = 40;
/// How far in front the bar behind a service's name stands.
const COMPOSE_BYTES_MAX: usize = 80;
/// The structured data element of what the journal alone knows, as for a journal that is followed.
const ELEMENT: &str = "journald@32473";
/// What the journal knows of a sender, by the name in that element.
const KNOWN: [(&str, &str); 4] =
    [("unit", "_SYSTEMD_UNIT"), ("uid", "_UID"), ("exe", "_EXE"), ("transport", "_TRANSPORT")];

/// A line with the runtime's words taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    stamp: Timestamp,
    stream: &'static str,
    is_partial: bool,
    /// What the container wrote.
    pub(super) text: &'a str,
}

/// Takes the name that `docker compose logs` puts in front off a line, and gives both: `kho-1  | time=…`. `None` = it has none, or what stands
/// behind it is no log line of a form of its own, so that a bar in a text is no such name.
pub(super) fn composed(text: &str) -> Option<(&str, &str)> {
    let front = text.as_bytes().get(..text.len().min(COMPOSE_BYTES_MAX))?;
    // Nearly every line has an end to this within its first word.
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let end = front.iter().position(|byte| !is_of_name(byte))?;
    let spaces = front[end..].iter().position(|byte| *byte != b' ')?;
    if end == 0 || spaces == 0 || !front[end + spaces..].starts_with(b"| ") {
        return None;
    }
    let (name, line) = (text.get(..end)?, text.get(end + spaces + 2..)?);
    let is_name = name.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_line = || {
        parse::detect(line) != parse::Format::Plain
            || parse::date::anywhere_in_front(line, 0).is_ok_and(|found| found.is_some_and(|(_, used)| used < 40))
    };
    (is_name && is_line()).then_some((name, line))
}

/// The event of such a line.
///
/// # Errors
/// Those of the line inside.
pub(super) fn composed_event(name: &str, line: &str, text: &str, context: &Context<'_>) -> Result<Event, Problem> {
    let front = text.len() - line.len();
    let received = context.record.received;
    let read = inner(line, received, context.profile, context.record, context.offset_s);
    let mut event = read.map_err(|problem| shifted(problem, front, context.record))?;
    event.set_named("container.name", name);
    Ok(event)
}

/// A problem of the line inside, at its place in the record.
fn shifted(problem: Problem, front: usize, record: &Record) -> Problem {
    match problem {
        Problem::Fault(fault) => Fault { offset: fault.offset + front, ..fault }.into(),
        Problem::DeadLetter(letter) => {
            let offset = letter.offset + front;
            Problem::DeadLetter(Box::new(DeadLetter { record: record.clone(), offset, ..*letter }))
        }
    }
}

/// Takes the runtime's words off a line; `None` = it has none. Costs two bytes' look where there is no such date.
pub(super) fn line(text: &str) -> Option<Line<'_>> {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_digit) || bytes.get(10) != Some(&b'T') {
        return None;
    }
    let front = bytes.get(..STAMP_BYTES_MAX.min(bytes.len()))?;
    let (stamp, rest) = text.split_at_checked(memchr::memchr(b' ', front)?)?;
    let (stream, rest) = [(" stdout ", "stdout"), (" stderr ", "stderr")]
        .iter()
        .find_map(|(mark, stream)| Some((*stream, rest.strip_prefix(mark)?)))?;
    // Tags are joined by colons; the first says whether the line goes on.
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_partial = match tags.split(':').next() {
        Some("F") => false,
        Some("P") => true,
        _ => return None,
    };
    Some(Line { stamp: Timestamp::parse(stamp, 0)?, stream, is_partial, text })
}

/// The event of such a line of the record's `text`.
///
/// # Errors
/// Those of the line inside.
pub(super) fn event(
    line: Line<'_>,
    text: &str,
    profile: Option<Profile>,
    record: &Record,
    offset_s: i32,
) -> Result<Event, Problem> {
    let front = text.len() - line.text.len();
    let read = inner(line.text, line.stamp, profile, record, offset_s);
    let mut event = read.map_err(|problem| shifted(problem, front, record))?;
    event.set_named("stream", line.stream);
    if line.is_partial {
        event.set_named("log.flags", "partial");
    }
    Ok(event)
}

/// The event of the text that a record carries, at its own moment where it has one.
fn inner(
    text: &str,
    stamp: Timestamp,
    profile: Option<Profile>,
    record: &Record,
    offset_s: i32,
) -> Result<Event, Problem> {
    let carried = Record { bytes: text.as_bytes().into(), ..record.clone() };
    let mut event = unwrapped(text, profile, &carried, offset_s)?;
    if event.timestamp == record.received {
        event.timestamp = stamp;
    }
    event.original = record.bytes.clone();
    Ok(event)
}

/// The event of an object of Docker's or of the journal's; `None` = it is neither.
pub(super) fn of_leaves(leaves: &Leaves, context: &Context<'_>) -> Option<Result<Event, Problem>> {
    let value = |name: &str| leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    if let Some(log) = value("log").and_then(Value::text)
        && let Some(stream @ ("stdout" | "stderr")) = value("stream").and_then(Value::text)
        && let Some(stamp) = value("time").and_then(|time| parse::json::moment(time, 0))
    {
        let read = inner(log.trim_end(), stamp, context.profile, context.record, context.offset_s);
        return Some(read.map(|mut event| {
            event.set_named("stream", stream);
            for (name, value) in leaves.iter().filter(|(name, _)| name.starts_with("attrs.")) {
                event.set_named(&format!("container.labels.{}", &name["attrs.".len()..]), value.clone());
            }
            event
        }));
    }
    let is_journal = value("__REALTIME_TIMESTAMP").is_some() && value("MESSAGE").is_some();
    is_journal.then(|| Ok(of_journal(leaves, context)))
}

/// The event of an entry of the journal. What is not UTF-8 stands there as a list of bytes.
fn of_journal(leaves: &Leaves, context: &Context<'_>) -> Event {
    let value = |name: &str| leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let text = |name: &str| value(name).map(written).filter(|text| !text.is_empty());
    let number = |name: &str| text(name)?.parse::<i64>().ok();
    let micros = number("__REALTIME_TIMESTAMP").and_then(|micros| micros.checked_mul(1000));
    let is_kernel = text("_TRANSPORT").is_some_and(|transport| transport == "kernel");
    let severity = number("PRIORITY").filter(|severity| (0..8).contains(severity));
    let facility = number("SYSLOG_FACILITY").filter(|facility| (0..24).contains(facility));
    let priority = severity.map(|severity| facility.unwrap_or(if is_kernel { 0 } else { 3 }) * 8 + severity);
    let (host, message) = (text("_HOSTNAME"), text("MESSAGE").unwrap_or_default());
    let app = text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM")).or_else(|| is_kernel.then(|| "kernel".into()));
    let procid = text("SYSLOG_PID").or_else(|| text("_PID"));
    let known: Vec<_> = KNOWN.iter().filter_map(|(name, field)| Some((*name, text(field)?))).collect();
    let parts = Syslog {
        priority: priority.and_then(|priority| u8::try_from(priority).ok()),
        timestamp: micros.map(Timestamp),
        host: host.as_deref(),
        app: app.as_deref(),
        procid: procid.as_deref(),
        structured: known.iter().map(|(name, value)| (ELEMENT, *name, Cow::Borrowed(value.as_ref()))).collect(),
        message: &message,
        ..Syslog::default()
    };
    syslog::event(&parts, context)
}

/// A value as text; a list of numbers is the bytes of one.
fn written(value: &Value) -> Cow<'_, str> {
    if let Some(text) = value.text() {
        return Cow::Borrowed(text);
    }
    let byte = |value: &Value| value.as_long().and_then(|byte| u8::try_from(byte.rem_euclid(256)).ok());
    match value {
        Value::List(values) => match values.iter().map(byte).collect::<Option<Vec<u8>>>() {
            Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            None => Cow::Borrowed(""),
        },
        other => other.as_text().map_or(Cow::Borrowed(""), |text| Cow::Owned(text.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::{check, event_of};
    use super::{COMPOSE_BYTES_MAX, composed};
    use nhatle_event::Field;

    #[test]
    fn a_line_of_a_runtime_is_the_line_inside() {
        let access = r#"192.0.2.9 - lan [23/Nov/2026:09:10:00 +0700] "GET /x HTTP/1.1" 404 7 "-" "curl/8""#;
        for profile in ["", "nginx", "apache"] {
            check(
                profile,
                &format!("2026-11-23T02:10:01.5Z stdout F {access}"),
                &[
                    ("source.ip", "192.0.2.9"),
                    ("user.name", "lan"),
                    ("url.path", "/x"),
                    ("stream", "stdout"),
                    ("@timestamp", "2026-11-23T02:10:00Z"),
                    ("!url.domain", ""),
                ],
            );
        }
        let line = "2026-11-23T09:10:01.5+07:00 stderr P level=error msg=\"no room\"";
        check(
            "",
            line,
            &[
                ("log.level", "error"),
                ("message", "no room"),
                ("log.flags", "partial"),
                ("@timestamp", "2026-11-23T02:10:01.500Z"),
            ],
        );
        assert_eq!(&*event_of("", line.as_bytes()).original, line.as_bytes());
        let inside = "2026-11-23 09:10:00.250 +07 [7] lan@hoso LOG:  statement: SELECT 1";
        check(
            "postgresql",
            &format!("2026-11-23T02:10:01.5Z stderr F {inside}"),
            &[("@timestamp", "2026-11-23T02:10:00.250Z"), ("user.name", "lan"), ("stream", "stderr")],
        );
        // Words that only look like a runtime's are a message.
        for line in ["2026-11-23T02:10:01Z stdout X y", "2026-11-23T02:10:01Z stdin F y"] {
            check("", line, &[("!stream", "")]);
        }
    }

    #[test]
    fn a_service_of_compose_is_named_and_its_line_read() {
        check(
            "",
            "kho-1         | time=2026-11-23T02:10:00Z level=WARN msg=\"x\" client_ip=203.0.113.9",
            &[("container.name", "kho-1"), ("log.level", "WARN"), ("source.ip", "203.0.113.9")],
        );
        check(
            "",
            "web_1 | 192.0.2.9 - - [23/Nov/2026:09:10:00 +0700] \"GET / HTTP/1.1\" 200 7",
            &[("container.name", "web_1"), ("source.ip", "192.0.2.9"), ("!url.domain", "")],
        );
        let line = "level=info msg=\"x\"";
        let far = format!("{} | {line}", "x".repeat(COMPOSE_BYTES_MAX - 2));
        let fronts = [" | ", "kho| ", "kho |", "k ho | ", "đ | ", "k|o | "].map(|front| format!("{front}{line}"));
        let plain =
            ["INFO | 2026-11-23 02:10:00 x", "a | b | c", "kho | x", "kho", "kho ", "kho |", ""].map(str::to_owned);
        for line in fronts.iter().chain(&plain).chain([&far]) {
            assert_eq!(composed(line), None, "{line}");
        }
        for line in ["INFO | 2026-11-23 02:10:00 x", "a | b | c", "kho | x"] {
            check("", line, &[("!container.name", "")]);
        }
    }

    #[test]
    fn fronts_in_fronts_are_a_message() {
        let front = "2026-11-23T02:10:01.5Z stdout F ";
        for line in [front.repeat(100_000), "kho-1 | 2026-11-23T02:10:01.5Z stdout F ".repeat(100_000)] {
            check("", &line, &[("event.module", "syslog"), ("@timestamp", "2026-11-23T02:10:01.500Z")]);
        }
    }

    #[test]
    fn an_object_of_docker_is_the_line_inside() {
        let line = r#"{"log":"{\"level\":\"warn\",\"msg\":\"x\"}\n","stream":"stderr","attrs":{"tag":"kho"},"time":"2026-11-23T02:10:00.5Z"}"#;
        check(
            "",
            line,
            &[
                ("log.level", "warn"),
                ("message", "x"),
                ("stream", "stderr"),
                ("container.labels.tag", "kho"),
                ("@timestamp", "2026-11-23T02:10:00.500Z"),
            ],
        );
    }

    #[test]
    fn entries_of_the_journal() {
        let told = [
            ("user.name", "root"),
            ("source.ip", "203.0.113.9"),
            ("event.outcome", "failure"),
            ("host.name", "may-01"),
            ("process.pid", "99"),
            ("log.syslog.priority", "86"),
            ("log.syslog.structured_data.journald@32473.unit", "ssh.service"),
            ("@timestamp", "2026-11-23T02:10:00.123456Z"),
        ];
        let entry = |message: &str| {
            format!(
                r#"{{"__REALTIME_TIMESTAMP":"1795399800123456","_HOSTNAME":"may-01","SYSLOG_IDENTIFIER":"sshd","_PID":"99","PRIORITY":"6","SYSLOG_FACILITY":"10","_SYSTEMD_UNIT":"ssh.service","MESSAGE":{message}}}"#
            )
        };
        let text = "Failed password for root from 203.0.113.9 port 5000 ssh2";
        for profile in ["", "linux", "syslog"] {
            check(profile, &entry(&format!("\"{text}\"")), &told);
            let bytes: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
            check(profile, &entry(&format!("[{}]", bytes.join(","))), &told);
        }
        let event = event_of("json", entry("\"x\"").as_bytes());
        assert_eq!(event.text(Field::EVENT_MODULE), Some("json"), "a named form stays");
    }
}
