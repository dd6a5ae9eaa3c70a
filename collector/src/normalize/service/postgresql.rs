//! PostgreSQL: sign-ins, statements, errors, as stderr or syslog lines with a prefix, as CSV or as JSON.
//!
//! In: a line without its date (or with one, where syslog carried it), a CSV record, the leaves of a JSON record.
//! Out: user, database, client, severity, statement. Promise: the prefix holds the user's and the database's
//! name, which whoever connects chooses before any password: a line with more than one severity in it and such names
//! in front is not read but marked (`event.action: database_line_ambiguous`). Source: PostgreSQL 16 manual, 20.8
//! "Error Reporting and Logging"; `postmaster.c`, `auth.c`; pgAudit 16 README, "Format".

use nhatle_event::json::Leaves;
use nhatle_event::time::offset_of;
use nhatle_event::{Event, Field, Value};

use super::{between, happened, moment, postgresql_prefix, set_named, set_number, sign_in};
use crate::normalize::Context;
use crate::normalize::device::{Act, act};
use crate::normalize::linux::{set_source, set_user};
use crate::parse::csv;

/// Severities, and what else stands in their place.
const SEVERITIES: &[&str] = &[
    "LOG",
    "FATAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "PANIC",
    "DETAIL",
    "HINT",
    "STATEMENT",
    "CONTEXT",
    "QUERY",
    "LOCATION",
    "DEBUG1",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "DEBUG5",
];
/// Zones that PostgreSQL writes by name, in seconds east of UTC.
const ZONES: &[(&str, i32)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("CET", 3600),
    ("CEST", 7200),
    ("EET", 7200),
    ("EEST", 10_800),
    ("MSK", 10_800),
    ("ICT", 25_200),
    ("JST", 32_400),
    ("EST", -18_000),
    ("EDT", -14_400),
    ("PST", -28_800),
    ("PDT", -25_200),
];
/// The columns of a CSV record, in order; an empty name is set by code.
const COLUMNS: &[&str] = &[
    "postgresql.log.timestamp",
    "",
    "postgresql.log.database",
    "",
    "",
    "postgresql.log.session_id",
    "postgresql.log.session_line_number",
    "postgresql.log.command_tag",
    "postgresql.log.session_start_time",
    "postgresql.log.virtual_transaction_id",
    "postgresql.log.transaction_id",
    "",
    "postgresql.log.sql_state_code",
    "",
    "postgresql.log.detail",
    "postgresql.log.hint",
    "postgresql.log.internal_query",
    "postgresql.log.internal_query_pos",
    "postgresql.log.context",
    "postgresql.log.query",
    "postgresql.log.query_pos",
    "postgresql.log.location",
    "postgresql.log.application_name",
    "postgresql.log.backend_type",
    "postgresql.log.leader_pid",
    "postgresql.log.query_id",
];
/// A CSV record has 23 columns in PostgreSQL 9 to 12, then more.
const COLUMNS_MIN: usize = 23;
/// The members of a JSON record, by column.
const MEMBERS: &[(&str, &str)] = &[
    ("dbname", "postgresql.log.database"),
    ("session_id", "postgresql.log.session_id"),
    ("line_num", "postgresql.log.session_line_number"),
    ("ps", "postgresql.log.command_tag"),
    ("session_start", "postgresql.log.session_start_time"),
    ("vxid", "postgresql.log.virtual_transaction_id"),
    ("txid", "postgresql.log.transaction_id"),
    ("state_code", "postgresql.log.sql_state_code"),
    ("detail", "postgresql.log.detail"),
    ("hint", "postgresql.log.hint"),
    ("context", "postgresql.log.context"),
    ("statement", "postgresql.log.query"),
    ("application_name", "postgresql.log.application_name"),
    ("backend_type", "postgresql.log.backend_type"),
];

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    let original = String::from_utf8_lossy(&context.record.bytes);
    if message.len() < original.len() && is_csv(original.trim()) {
        return csv_record(event, original.trim(), context.offset_s);
    }
    let Some((at, severity)) = first_severity(message) else { return };
    let (front, text) = (&message[..at], &message[at + severity.len() + 1..]);
    let is_carried = !original.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let prefix = postgresql_prefix::parse(front, is_carried);
    event.set(Field::LOG_LEVEL, severity);
    if let Some(pid) = prefix.pid.and_then(|pid| pid.parse::<i64>().ok()) {
        event.set(Field::PROCESS_PID, pid);
    }
    if let Some((zone, offset)) = prefix.zone.and_then(|zone| Some((zone, zone_offset(zone)?))) {
        let offset = offset_of(offset, context.offset_s);
        if let Some(stamp) = moment_of(&original, offset).filter(|_| !is_carried) {
            event.timestamp = stamp;
        }
        event.set(Field::EVENT_TIMEZONE, zone);
    }
    if prefix.is_doubtful || (prefix.has_names && first_severity(text).is_some()) {
        event.set(Field::EVENT_ACTION, "database_line_ambiguous");
        return;
    }
    set_number(event, "postgresql.log.session_line_number", prefix.line.unwrap_or_default());
    set_named(event, "postgresql.log.database", prefix.database);
    set_named(event, "postgresql.log.application_name", prefix.application);
    set_user(event, prefix.user.unwrap_or_default());
    if let Some(client) = prefix.client.filter(|client| postgresql_prefix::is_address(client)) {
        set_source(event, client.split('(').next().unwrap_or(client));
    }
    event.set(Field::MESSAGE, text.trim());
    meaning(event, severity, text.trim());
}

/// The offset that a word of a prefix means: a zone's name, or its number (`+07`, `+0530`, `-03:30`), which is all that
/// PostgreSQL has for zones without a name, such as Asia/Ho_Chi_Minh.
pub fn zone_offset(word: &str) -> Option<i32> {
    if let Some((_, offset_s)) = ZONES.iter().find(|(name, _)| *name == word) {
        return Some(*offset_s);
    }
    let (sign, digits) = match word.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let number = |tens: &u8, ones: &u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let (hours, minutes) = match digits {
        [a, b] => (number(a, b)?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (number(a, b)?, number(c, d)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The first place where a severity stands as the server writes it: the word, a colon and two spaces.
fn first_severity(text: &str) -> Option<(usize, &'static str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find(":  ").map(|at| at + from) {
        let front = &text[..at];
        let found = SEVERITIES.iter().find(|severity| {
            front
                .strip_suffix(**severity)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', ':', '\t', ',', ']', '>']))
        });
        if let Some(severity) = found {
            return Some((at - severity.len(), severity));
        }
        from = at + 3;
    }
    None
}

/// The moment at the front of a line, in a zone that the line names.
fn moment_of(line: &str, offset_s: i32) -> Option<nhatle_event::Timestamp> {
    let at = line.find(|c: char| c.is_ascii_digit())?;
    let mut words = line.get(at..)?.split([' ', 'T']);
    let (date, time) = (words.next()?, words.next()?);
    moment(
        date,
        time.split(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').next()?.trim_end_matches(':'),
        offset_s,
    )
}

/// What the server says behind the severity: every wording is looked for at the front.
fn meaning(event: &mut Event, severity: &str, text: &str) {
    match severity {
        "FATAL" | "PANIC" => fatal(event, text),
        "ERROR" => {
            happened(event, "database_error", Act("database", &["error"], "failure"));
            event.set(Field::ERROR_MESSAGE, text);
        }
        "STATEMENT" | "QUERY" => {
            event.set(Field::EVENT_ACTION, "database_failed_statement");
            set_named(event, "postgresql.log.query", Some(text));
        }
        "LOG" => log(event, text),
        _ => {}
    }
}

fn fatal(event: &mut Event, text: &str) {
    let refused = text.split_once(" authentication failed for user \"").filter(|(method, _)| !method.contains('"'));
    if let Some((method, user)) = refused {
        sign_in(event, "database_login", false);
        set_named(event, "postgresql.log.auth_method", Some(method));
        set_user(event, user.strip_suffix('"').unwrap_or(user));
    } else if let Some(rest) = text.strip_prefix("no pg_hba.conf entry for host \"") {
        sign_in(event, "database_login", false);
        set_source(event, rest.split('"').next().unwrap_or_default());
        set_user(event, between(rest, "\", user \"", "\", database \"").unwrap_or_default());
    } else if let Some(user) = text.strip_prefix("role \"").and_then(|rest| rest.strip_suffix("\" does not exist")) {
        sign_in(event, "database_login", false);
        set_user(event, user);
    } else if text.starts_with("database \"") && text.ends_with("\" does not exist") {
        sign_in(event, "database_login", false);
    } else {
        happened(event, "database_error", Act("database", &["error"], "failure"));
    }
    set_named(event, "event.reason", Some(text));
}

fn log(event: &mut Event, text: &str) {
    if let Some(rest) = text.strip_prefix("connection received: host=") {
        happened(event, "database_connection", Act("database", &["start"], ""));
        let (host, port) = rest.split_once(" port=").unwrap_or((rest, ""));
        set_source(event, host);
        super::set_port(event, port);
    } else if let Some(rest) = text.strip_prefix("connection authorized: user=") {
        sign_in(event, "database_login", true);
        // The application's name follows and is the client's choice.
        set_user(
            event,
            rest.split(" database=").next().unwrap_or_default().split(" application_name=").next().unwrap_or_default(),
        );
    } else if text.starts_with("disconnection: session time: ") {
        happened(event, "database_disconnection", Act("database", &["end"], ""));
        if let Some((_, host)) = text.rsplit_once(" host=") {
            let (host, port) = host.split_once(" port=").unwrap_or((host, ""));
            set_source(event, host.split(' ').next().unwrap_or_default());
            super::set_port(event, port);
        }
    } else if let Some(rest) = text.strip_prefix("AUDIT: ") {
        audited(event, rest);
    } else {
        statement(event, text);
    }
}

/// `statement: SQL`, `duration: 1.5 ms  statement: SQL`, `execute name: SQL`.
fn statement(event: &mut Event, text: &str) {
    let mut rest = text;
    if let Some((number, behind)) = text.strip_prefix("duration: ").and_then(|rest| rest.split_once(" ms")) {
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and the range is checked")]
        if let Ok(millis) = number.parse::<f64>().map(|millis| (millis * 1e6).round())
            && (0.0..9e18).contains(&millis)
        {
            event.set(Field::EVENT_DURATION, Value::Long(millis as i64));
        }
        rest = behind.trim_start();
    }
    let Some((step, query)) = rest.split_once(": ") else { return };
    let (step, name) = step.split_once(' ').unwrap_or((step, ""));
    if !matches!(step, "statement" | "execute" | "parse" | "bind" | "fastpath") {
        return;
    }
    happened(event, "database_statement", Act("database", &["access"], ""));
    event.set_named("postgresql.log.query_step", step);
    set_named(event, "postgresql.log.query_name", Some(name));
    event.set_named("postgresql.log.query", query);
}

/// pgAudit: `SESSION,1,1,READ,SELECT,TABLE,public.cong_dan,"select …",<none>`.
fn audited(event: &mut Event, text: &str) {
    let values = csv::values(text, '"');
    let [kind, _, _, class, command, object_type, object, query, ..] = values.as_slice() else { return };
    happened(event, "database_statement", Act("database", &["access"], "success"));
    let rows = [
        ("postgresql.audit.type", kind),
        ("postgresql.audit.class", class),
        ("postgresql.audit.command", command),
        ("postgresql.audit.object_type", object_type),
        ("postgresql.audit.object_name", object),
        ("postgresql.log.query", query),
    ];
    for (name, value) in rows {
        set_named(event, name, Some(value.trim()));
    }
}

/// A CSV record begins with its moment and a comma.
pub fn is_csv(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_date =
        bytes.first().is_some_and(u8::is_ascii_digit) && bytes.get(4) == Some(&b'-') && bytes.get(10) == Some(&b' ');
    let front = text.split(',').next().unwrap_or_default();
    is_date && front.len() <= 40 && !front.contains(['[', '<']) && csv::values(text, '"').len() >= COLUMNS_MIN
}

/// Whether a line is surely PostgreSQL's: a CSV record with a severity in its column, or a date and a zone with the process (or
/// the severity itself) right behind them. The names that whoever connects chooses stand behind.
pub fn is_own(text: &str) -> bool {
    if is_csv(text) {
        return csv::values(text, '"').get(11).is_some_and(|word| SEVERITIES.contains(&word.as_ref()));
    }
    let mut words = text.splitn(5, ' ');
    let mut next = || words.next().unwrap_or_default();
    let (day, time, zone, process) = (next(), next(), next(), next());
    let is_all = |word: &str, mark: u8| {
        word.contains(char::from(mark))
            && word.bytes().all(|byte| byte.is_ascii_digit() || byte == mark || byte == b'.')
    };
    let is_process = process
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']').or_else(|| rest.strip_suffix("]:")))
        .is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
    let is_severity = process.strip_suffix(':').is_some_and(|word| SEVERITIES.contains(&word));
    day.len() == 10
        && is_all(day, b'-')
        && is_all(time, b':')
        && zone_offset(zone).is_some()
        && (is_process || is_severity)
        && first_severity(text).is_some()
}

fn csv_record(event: &mut Event, text: &str, offset_s: i32) {
    let values = csv::values(text, '"');
    let of = |at: usize| values.get(at).map_or("", |value| value.as_ref());
    let zone = of(0).rsplit(' ').next().unwrap_or_default();
    let offset = zone_offset(zone).map_or(offset_s, |told| offset_of(told, offset_s));
    if let Some(stamp) = moment_of(of(0), offset) {
        event.timestamp = stamp;
    }
    for (name, value) in COLUMNS.iter().zip(&values).filter(|(name, _)| !name.is_empty()) {
        set_named(event, name, Some(value));
    }
    if let Ok(pid) = of(3).parse::<i64>() {
        event.set(Field::PROCESS_PID, pid);
    }
    set_user(event, of(1));
    let (host, port) = of(4).rsplit_once(':').unwrap_or((of(4), ""));
    set_source(event, host.trim_matches(['[', ']']));
    super::set_port(event, port);
    event.set(Field::LOG_LEVEL, of(11));
    event.set(Field::MESSAGE, of(13));
    meaning(event, of(11), of(13));
}

/// Whether a JSON record is one of `log_destination = jsonlog`.
pub fn is_json(leaves: &Leaves) -> bool {
    let has = |name: &str| leaves.iter().any(|(known, _)| known == name);
    has("error_severity") && has("backend_type") && has("session_id")
}

/// Sets the fields of a JSON record.
pub fn set_json(event: &mut Event, leaves: &Leaves, offset_s: i32) {
    act(event, Act("database", &[], ""));
    let text = |name: &str| leaves.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_text());
    let zoned = text("timestamp");
    if let Some((stamp, zone)) = zoned.as_deref().and_then(|stamp| stamp.rsplit_once(' ')) {
        let offset = zone_offset(zone).map(|told| offset_of(told, offset_s));
        if let Some(stamp) = offset.and_then(|offset| moment_of(stamp, offset)) {
            event.timestamp = stamp;
        }
    }
    for (member, name) in MEMBERS {
        set_named(event, name, text(member).as_deref());
    }
    if let Some(pid) = text("pid").and_then(|pid| pid.parse::<i64>().ok()) {
        event.set(Field::PROCESS_PID, pid);
    }
    set_user(event, text("user").as_deref().unwrap_or_default());
    set_source(event, text("remote_host").as_deref().unwrap_or_default());
    super::set_port(event, text("remote_port").as_deref().unwrap_or_default());
    let (severity, message) = (text("error_severity").unwrap_or_default(), text("message").unwrap_or_default());
    event.set(Field::LOG_LEVEL, severity.as_ref());
    event.set(Field::MESSAGE, message.as_ref());
    meaning(event, &severity, &message);
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn prefixes_of_several_kinds() {
        let told = [
            ("user.name", "lan"),
            ("event.action", "database_login"),
            ("event.outcome", "failure"),
            ("log.level", "FATAL"),
            ("@timestamp", "2026-11-23T02:10:00.500Z"),
        ];
        let words = "FATAL:  password authentication failed for user \"lan\"";
        check("postgresql", &format!("2026-11-23 02:10:00.500 UTC [147] lan@hoso {words}"), &told);
        check("postgresql", &format!("2026-11-23 09:10:00.500 ICT [147-2] {words}"), &told);
        check("postgresql", &format!("2026-11-23 02:10:00.500 UTC:203.0.113.9(5432):lan@hoso:[127]:{words}"), &told);
        check(
            "postgresql",
            &format!("2026-11-23 02:10:00.500 UTC [7] user=lan,db=hoso,app=psql,client=203.0.113.9 {words}"),
            &[("source.ip", "203.0.113.9"), ("user.name", "lan")],
        );
        check(
            "linux",
            &format!(
                "<134>1 2026-11-23T02:10:00.5Z csdl-02 postgres 23 - - [3-1] 2026-11-23 02:10:00.500 UTC [9] lan@hoso {words}"
            ),
            &told,
        );
    }

    #[test]
    fn zones_without_a_name_are_numbers() {
        let words = "LOG:  connection authorized: user=lan database=hoso";
        let told = [("@timestamp", "2026-11-23T02:10:00.500Z"), ("user.name", "lan"), ("process.pid", "147")];
        for zone in ["+07", "+0700", "+07:00"] {
            check("postgresql", &format!("2026-11-23 09:10:00.500 {zone} [147] lan@hoso {words}"), &told);
        }
        // The prefix that pgBadger asks for: process, then the line's number in its session.
        check(
            "postgresql",
            &format!("2026-11-23 09:10:00.500 +07 [147]: [3-1] user=lan,db=hoso,app=x,client=203.0.113.9 {words}"),
            &[
                ("process.pid", "147"),
                ("postgresql.log.session_line_number", "3"),
                ("source.ip", "203.0.113.9"),
                ("@timestamp", "2026-11-23T02:10:00.500Z"),
            ],
        );
        let json = r#"{"timestamp":"2026-11-23 09:10:00.500 +07","user":"lan","pid":147,"session_id":"a.7","error_severity":"LOG","message":"disconnection: session time: 0:00:01.2 user=lan database=hoso host=203.0.113.9 port=4411","backend_type":"client backend"}"#;
        check(
            "postgresql",
            json,
            &[("@timestamp", "2026-11-23T02:10:00.500Z"), ("source.ip", "203.0.113.9"), ("source.port", "4411")],
        );
    }

    #[test]
    fn statements_connections_and_refusals() {
        let line = |text: &str| format!("2026-11-23 02:10:00.500 UTC [147] {text}");
        check(
            "postgresql",
            &line("lan@hoso LOG:  duration: 1.5 ms  statement: SELECT 1"),
            &[
                ("postgresql.log.query", "SELECT 1"),
                ("event.duration", "1500000"),
                ("event.action", "database_statement"),
            ],
        );
        check(
            "postgresql",
            &line("LOG:  connection received: host=203.0.113.9 port=42304"),
            &[("source.ip", "203.0.113.9"), ("source.port", "42304")],
        );
        check(
            "postgresql",
            &line("lan@hoso LOG:  connection authorized: user=lan database=hoso application_name=x user=root"),
            &[("user.name", "lan"), ("event.outcome", "success")],
        );
        check(
            "postgresql",
            &line(
                "FATAL:  no pg_hba.conf entry for host \"203.0.113.9\", user \"postgres\", database \"hoso\", no encryption",
            ),
            &[("source.ip", "203.0.113.9"), ("user.name", "postgres"), ("event.outcome", "failure")],
        );
        check(
            "postgresql",
            &line("lan@hoso ERROR:  syntax error at or near \"'\" at character 7"),
            &[("event.action", "database_error"), ("error.message", "syntax error at or near \"'\" at character 7")],
        );
        check(
            "postgresql",
            &line(
                "lan@hoso LOG:  AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.cong_dan,\"select \"\"a\"\" from cong_dan\",<none>",
            ),
            &[
                ("postgresql.audit.object_name", "public.cong_dan"),
                ("postgresql.log.query", "select \"a\" from cong_dan"),
            ],
        );
    }

    #[test]
    fn a_name_with_a_severity_in_it_forges_nothing() {
        let line = "2026-11-23 02:10:00.500 UTC [147] x@y LOG:  connection authorized: user=postgres@hoso FATAL:  password authentication failed for user \"x@y LOG:  connection authorized: user=postgres\"";
        check(
            "postgresql",
            line,
            &[("event.action", "database_line_ambiguous"), ("!event.outcome", ""), ("!user.name", "")],
        );
        // Without names in the prefix the first severity is the server's.
        let line = "2026-11-23 02:10:00.500 UTC [147] LOG:  statement: SELECT 'LOG:  x'";
        check(
            "postgresql",
            line,
            &[("event.action", "database_statement"), ("postgresql.log.query", "SELECT 'LOG:  x'")],
        );
    }

    #[test]
    fn csv_and_json_records() {
        let line = "2026-11-23 02:10:00.554 UTC,\"lan\",\"hoso\",34,\"203.0.113.9:42304\",5ff25bb2.22,2,\"authentication\",2026-11-23 02:10:00 UTC,3/1,0,FATAL,28P01,\"password authentication failed for user \"\"x,LOG:  y\"\"\",,,,,,,,,\"psql\"";
        check(
            "postgresql",
            line,
            &[
                ("user.name", "x,LOG:  y"),
                ("source.ip", "203.0.113.9"),
                ("event.outcome", "failure"),
                ("postgresql.log.sql_state_code", "28P01"),
                ("@timestamp", "2026-11-23T02:10:00.554Z"),
            ],
        );
        let line = r#"{"timestamp":"2026-11-23 09:10:00.554 ICT","user":"lan","dbname":"hoso","pid":7,"remote_host":"203.0.113.9","remote_port":4411,"session_id":"a.7","error_severity":"LOG","message":"statement: SELECT 1","backend_type":"client backend"}"#;
        for profile in ["postgresql", ""] {
            check(
                profile,
                line,
                &[
                    ("event.dataset", "postgresql.log"),
                    ("postgresql.log.query", "SELECT 1"),
                    ("source.ip", "203.0.113.9"),
                    ("@timestamp", "2026-11-23T02:10:00.554Z"),
                ],
            );
        }
    }
}
