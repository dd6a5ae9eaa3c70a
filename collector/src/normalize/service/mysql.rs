//! MySQL and MariaDB: error log, general log, slow log, audit plugin.
//!
//! In: a line without its date, or an entry of the slow log with all its lines. Out: account, client, statement,
//! outcome. An account's name is a stranger's text: the client is read from the back. Source: MySQL 8.4 manual, 7.4
//! "MySQL Server Logs"; MariaDB knowledge base, "Error Log", "MariaDB Audit Plugin - Log Format"; Percona Server,
//! "Slow Query Log".

use nhatle_event::{Event, Field, Value};

use super::{happened, moment, set_named, set_number, sign_in, split_sole};
use crate::normalize::Context;
use crate::normalize::device::Act;
use crate::normalize::linux::{set_source, set_user};
use crate::parse::csv;
use crate::parse::date::{self, Found};

/// Numbers and words of the slow log: name in the log, ours.
const SLOW: &[(&str, &str)] = &[
    ("Lock_time", "mysql.slowlog.lock_time.sec"),
    ("Rows_sent", "mysql.slowlog.rows_sent"),
    ("Rows_examined", "mysql.slowlog.rows_examined"),
    ("Rows_affected", "mysql.slowlog.rows_affected"),
    ("Bytes_sent", "mysql.slowlog.bytes_sent"),
    ("Schema", "mysql.slowlog.schema"),
    ("Last_errno", "mysql.slowlog.last_errno"),
    ("Killed", "mysql.slowlog.killed"),
    ("Id", "mysql.thread_id"),
    ("Thread_id", "mysql.thread_id"),
];
/// The columns of the audit plugin's lines behind the moment, in order.
const AUDIT: &[&str] = &["", "", "", "mysql.thread_id", "mysql.audit.query_id", "", "mysql.audit.database", "", ""];

/// The moment at the front of a line: ISO, `2026-11-23  2:10:00` (MariaDB), `261123  2:10:00` (5.6 and before),
/// `20261123 02:10:00` (audit plugin), `# Time: …` (slow log); and where the rest begins.
///
/// # Errors
/// It has a date's form and is none.
pub fn date(text: &str, offset_s: i32) -> Found {
    if text.starts_with('#') {
        return Ok(text.find("# Time: ").and_then(|at| {
            let (stamp, _) = short(text.get(at + 8..)?, offset_s)
                .or_else(|| date::iso(text.get(at + 8..)?, offset_s).ok().flatten())?;
            Some((stamp, 0))
        }));
    }
    match date::iso(text, offset_s)? {
        Some(found) => Ok(Some(found)),
        None => Ok(short(text, offset_s)),
    }
}

/// `261123  2:10:00`, `20261123 02:10:00`, `2026-11-23  2:10:00`.
fn short(text: &str, offset_s: i32) -> Option<(nhatle_event::Timestamp, usize)> {
    let (day, rest) = text.split_once(' ')?;
    let digits: String = day.chars().take(11).filter(|c| *c != '-').collect();
    if day.len() > 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = if digits.len() == 6 { format!("20{digits}") } else { digits };
    let (year, month, day_of) = (digits.get(..4)?, digits.get(4..6)?, digits.get(6..8).filter(|_| digits.len() == 8)?);
    let padding = rest.len() - rest.trim_start().len();
    let time = rest.trim_start().split([' ', ',', '\t', '\n', '\r']).next()?;
    let stamp = moment(&format!("{year}-{month}-{day_of}"), &format!("{time:0>8}"), offset_s)?;
    Some((stamp, day.len() + 1 + padding + time.len()))
}

/// Levels of the error log that only these servers write so.
const LEVELS: [&str; 3] = ["Note", "Warning", "System"];
/// Commands of the general log.
const COMMANDS: [&str; 8] = ["Connect", "Query", "Quit", "Prepare", "Execute", "Init", "Close", "Change"];

/// Whether a line (or an entry of the slow log) is surely of MySQL or MariaDB: an entry's first two comments, or the moment and
/// behind it thread and level, thread and command, or the audit plugin's columns. The words a client sends stand behind.
pub fn is_own(text: &str, offset_s: i32) -> bool {
    if text.starts_with("# Time: ") || text.starts_with("# User@Host: ") {
        return text.contains("# Query_time: ");
    }
    let Ok(Some((_, end))) = date(text, offset_s) else { return false };
    let rest = text.get(end..).unwrap_or_default();
    // `261123  2:10:00`: no other program writes a day in six digits with the time behind it.
    let is_short = text.as_bytes().get(6) == Some(&b' ');
    if rest.starts_with(',') {
        return text.as_bytes().get(8) == Some(&b' ') && csv::values(rest, '\'').len() > AUDIT.len();
    }
    let mut words = rest.split_ascii_whitespace();
    let mut word = words.next().unwrap_or_default();
    if word == "mysqld_safe" {
        return is_short || text.as_bytes().get(10) == Some(&b'T');
    }
    let has_thread = word.bytes().all(|byte| byte.is_ascii_digit());
    if has_thread {
        word = words.next().unwrap_or_default();
    }
    if let Some(level) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        let has_code = words.next().is_some_and(|code| code.starts_with("[MY-"));
        let is_level = LEVELS.contains(&level) || (level == "ERROR" && (is_short || has_code));
        return is_level && (has_thread || is_short);
    }
    has_thread && COMMANDS.contains(&word) && rest.contains('\t')
}

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    // Syslog carries the line with its own date.
    let message =
        date(message, context.offset_s).ok().flatten().and_then(|(_, end)| message.get(end..)).unwrap_or(message);
    let message = message.trim_start();
    if message.starts_with("# ") && message.contains("# Query_time: ") {
        return slow(event, message);
    }
    if let Some(record) = message.strip_prefix(',').or_else(|| message.strip_prefix("mysql-server_auditing: ")) {
        return audited(event, record);
    }
    let text = message.trim_start();
    let (thread, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    // MariaDB 10.1 writes the thread's address in memory.
    let is_address = thread.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_address || (thread.bytes().all(|byte| byte.is_ascii_digit()) && !thread.is_empty()) {
        set_number(event, "mysql.thread_id", thread);
        match rest.trim_start().strip_prefix('[') {
            Some(_) => error_line(event, rest.trim_start()),
            None => command(event, rest.trim_start()),
        }
    } else {
        error_line(event, text);
    }
}

/// `[Note] [MY-010926] [Server] Access denied for user 'root'@'192.0.2.9' (using password: YES)`.
fn error_line(event: &mut Event, text: &str) {
    let mut rest = text;
    let mut at = 0;
    while let Some((word, behind)) = rest.strip_prefix('[').and_then(|inside| inside.split_once("] ")) {
        // A level is one word; a date in brackets is another program's.
        if at == 0 && !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            break;
        }
        match (at, word.starts_with("MY-")) {
            (0, _) => event.set(Field::LOG_LEVEL, word),
            (_, true) => event.set(Field::EVENT_CODE, word),
            _ => event.set(Field::EVENT_PROVIDER, word),
        }
        (at, rest) = (at + 1, behind);
        if at == 3 {
            break;
        }
    }
    if 0 < at {
        event.set(Field::MESSAGE, rest.trim_end());
    }
    if !denied(event, rest) {
        aborted(event, rest);
    }
    if event.text(Field::LOG_LEVEL) == Some("ERROR") {
        event.set_default(Field::EVENT_TYPE, "error");
        event.set_default(Field::ERROR_MESSAGE, rest);
    }
}

/// `Access denied for user 'x'@'host' (using password: YES)`: whether it is that.
fn denied(event: &mut Event, text: &str) -> bool {
    let Some(rest) = text.strip_prefix("Access denied for user '") else { return false };
    sign_in(event, "database_login", false);
    event.set(Field::EVENT_REASON, text.rsplit_once(" (").map_or(text, |(_, reason)| reason.trim_end_matches(')')));
    // `… to database 'x'`: the database is the client's word, too.
    let rest = match rest.matches(" to database ").count() {
        0 => rest,
        1 => rest.split(" to database ").next().unwrap_or(rest),
        _ => return true,
    };
    // From the end: a name may hold quotes.
    if let Some((user, host)) = rest.rsplit_once("'@'") {
        set_user(event, user);
        set_source(event, host.split('\'').next().unwrap_or_default());
    }
    true
}

/// `Aborted connection 5 to db: 'hoso' user: 'lan' host: '192.0.2.9' (Got an error reading communication packets).`
fn aborted(event: &mut Event, text: &str) {
    let Some(rest) = text.strip_prefix("Aborted connection ") else { return };
    // Names of a stranger's choice stand twice or not at all: a mark that comes again makes them doubtful.
    let Some((front, back)) = split_sole(rest, "' user: '") else { return };
    let Some((user, back)) = split_sole(back, "' host: '") else { return };
    let Some((host, reason)) = back.rsplit_once("' (") else { return };
    happened(event, "database_connection_aborted", Act("database", &["connection", "end"], ""));
    set_named(event, "mysql.database", split_sole(front, " to db: '").map(|(_, database)| database));
    if user != "unauthenticated" {
        set_user(event, user);
    }
    set_source(event, host);
    set_named(event, "event.reason", Some(reason.trim_end_matches(['.', ')'])));
}

/// The general log: `Connect\troot@192.0.2.9 on hoso using TCP/IP`, `Query\tSELECT 1`.
fn command(event: &mut Event, text: &str) {
    let (verb, argument) = text.split_once('\t').unwrap_or_else(|| {
        // Some shippers write the tab as spaces.
        text.split_once("  ").or_else(|| text.split_once(' ')).unwrap_or((text, ""))
    });
    let argument = argument.trim();
    event.set(Field::EVENT_DATASET, "mysql.general");
    match verb {
        "Connect" if denied(event, argument) => {}
        "Connect" => {
            sign_in(event, "database_login", true);
            // Account and database may hold the words between them.
            let Some((account, _)) = split_sole(argument, " on ") else { return };
            let (user, host) = account.rsplit_once('@').unwrap_or((account, ""));
            set_user(event, user);
            set_source(event, host);
        }
        "Query" | "Execute" | "Prepare" => {
            happened(event, "database_statement", Act("database", &["access"], ""));
            set_named(event, "mysql.log.query", Some(argument));
        }
        "Quit" => happened(event, "database_disconnection", Act("database", &["end"], "")),
        _ => {}
    }
}

/// The audit plugin: `host,root,localhost,8,12,QUERY,hoso,'select 1',0`.
fn audited(event: &mut Event, text: &str) {
    let values = csv::values(text, '\'');
    let of = |at: usize| values.get(at).map_or("", |value| value.trim());
    if values.len() < AUDIT.len() {
        return;
    }
    event.set(Field::EVENT_DATASET, "mysql.audit");
    for (name, value) in AUDIT.iter().zip(&values).filter(|(name, _)| !name.is_empty()) {
        set_named(event, name, Some(value.trim()));
    }
    let (operation, code) = (of(5), values.last().map_or("", |code| code.trim()));
    event.set(Field::EVENT_CODE, code);
    let is_done = code == "0";
    match operation {
        "CONNECT" => sign_in(event, "database_login", is_done),
        "FAILED_CONNECT" => sign_in(event, "database_login", false),
        "DISCONNECT" => happened(event, "database_disconnection", Act("database", &["end"], "")),
        "QUERY" | "QUERY_DDL" | "QUERY_DML" | "QUERY_DCL" | "QUERY_DML_NO_SELECT" => {
            let meaning = if is_done { "success" } else { "failure" };
            happened(event, "database_statement", Act("database", &["access"], meaning));
            set_named(event, "mysql.log.query", Some(of(7)));
        }
        _ => {}
    }
    set_named(event, "mysql.audit.operation", Some(operation));
    event.set(Field::HOST_NAME, of(0));
    set_user(event, of(1));
    set_source(event, of(2));
}

/// An entry of the slow log: comment lines with pairs, then the statement.
fn slow(event: &mut Event, text: &str) {
    event.set(Field::EVENT_DATASET, "mysql.slowlog");
    happened(event, "database_statement", Act("database", &["access"], ""));
    let mut query = String::new();
    for line in text.lines() {
        if query.is_empty() && line.starts_with('#') {
            if let Some(account) = line.strip_prefix("# User@Host: ") {
                slow_account(event, account);
            }
            slow_pairs(event, line.trim_start_matches(['#', ' ']));
        } else if query.is_empty() && (line.starts_with("SET timestamp=") || line.starts_with("use ")) {
            if let Some(seconds) =
                line.strip_prefix("SET timestamp=").and_then(|rest| rest.trim_end_matches(';').parse().ok())
            {
                event.timestamp = nhatle_event::Timestamp::from_seconds(seconds);
            }
        } else {
            query.push_str(line);
            query.push('\n');
        }
    }
    set_named(event, "mysql.log.query", Some(query.trim_end()));
    event.set_named("mysql.slowlog.query", query.trim_end());
}

/// `root[root] @ localhost [192.0.2.9]  Id: 7`.
fn slow_account(event: &mut Event, text: &str) {
    let Some((user, host)) = text.split_once("] @ ") else { return };
    let (user, current) = user.rsplit_once('[').unwrap_or((user, ""));
    set_user(event, user);
    set_named(event, "mysql.slowlog.current_user", Some(current));
    let (name, address) = host.split_once('[').unwrap_or((host, ""));
    let name = name.trim();
    set_source(event, address.split(']').next().unwrap_or_default());
    set_named(event, "source.domain", Some(name));
}

/// `Query_time: 2.0  Lock_time: 0.0 Rows_sent: 1`.
fn slow_pairs(event: &mut Event, line: &str) {
    let mut words = line.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_suffix(':') else { continue };
        let Some(value) = words.peek().filter(|value| !value.ends_with(':')) else { continue };
        if let Some((_, field)) = SLOW.iter().find(|(known, _)| *known == name) {
            match value.parse::<i64>() {
                Ok(number) => event.set_named(field, Value::Long(number)),
                Err(_) => event.set_named(field, *value),
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and the range is checked")]
        if name == "Query_time"
            && let Some(nanos) = value
                .parse::<f64>()
                .ok()
                .map(|seconds| (seconds * 1e9).round())
                .filter(|nanos| (0.0..9e18).contains(nanos))
        {
            event.set(Field::EVENT_DURATION, Value::Long(nanos as i64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn connections_that_broke_and_threads_by_address() {
        check(
            "mysql",
            "2026-11-23T02:10:00.123456Z 5 [Note] [MY-010914] [Server] Aborted connection 5 to db: 'hoso' user: 'lan' host: '203.0.113.9' (Got an error reading communication packets).",
            &[
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("mysql.database", "hoso"),
                ("event.reason", "Got an error reading communication packets"),
            ],
        );
        check(
            "mysql",
            "2026-11-23T02:10:00.123456Z 5 [Note] Aborted connection 5 to db: 'x' user: 'y' host: '198.51.100.1' user: 'lan' host: '203.0.113.9' (Got timeout).",
            &[("!source.ip", ""), ("!user.name", "")],
        );
        check(
            "mysql",
            "2026-11-23 02:10:00 0x7f01 [Note] InnoDB: x",
            &[("log.level", "Note"), ("message", "InnoDB: x")],
        );
    }

    #[test]
    fn refused_accounts_in_every_form() {
        let told = [
            ("user.name", "root"),
            ("source.ip", "203.0.113.9"),
            ("event.action", "database_login"),
            ("event.outcome", "failure"),
        ];
        let words = "Access denied for user 'root'@'203.0.113.9' (using password: YES)";
        for line in [
            format!("2026-11-23T02:10:00.861934Z 344 [Note] {words}"),
            format!("2026-11-23T02:10:00.861934Z 25 [Note] [MY-010926] [Server] {words}"),
            format!("2026-11-23  2:10:00 8 [Warning] {words}"),
            format!("261123  2:10:00 [Warning] {words}"),
            format!("2026-11-23T02:10:00.861934Z\t   14 Connect\t{words}"),
            format!("<28>Nov 23 02:10:00 csdl-03 mariadbd[7]: 2026-11-23  2:10:00 8 [Warning] {words}"),
            "20261123 02:10:00,csdl-03,root,203.0.113.9,8,0,FAILED_CONNECT,,,1045".to_owned(),
        ] {
            check("mysql", &line, &told);
        }
        check(
            "mysql",
            "261123  2:10:00 [Warning] x",
            &[("@timestamp", "2026-11-23T02:10:00Z"), ("log.level", "Warning")],
        );
    }

    #[test]
    fn statements_in_every_form() {
        check(
            "mysql",
            "2026-11-23T02:10:00.861934Z\t    8 Query\tSELECT 1",
            &[("mysql.log.query", "SELECT 1"), ("event.dataset", "mysql.general")],
        );
        check(
            "mysql",
            "2026-11-23T02:10:00.861934Z\t    8 Connect\tlan@203.0.113.9 on hoso using TCP/IP",
            &[("user.name", "lan"), ("source.ip", "203.0.113.9"), ("event.outcome", "success")],
        );
        check(
            "mysql",
            "20261123 02:10:00,csdl-03,lan,203.0.113.9,8,12,QUERY,hoso,'select \\'a,b\\'',0",
            &[("mysql.log.query", "select 'a,b'"), ("mysql.audit.database", "hoso"), ("event.outcome", "success")],
        );
        check(
            "mysql",
            "# Time: 2026-11-23T02:10:00.861934Z\n# User@Host: lan[lan] @ localhost [203.0.113.9]  Id:     8\n# Query_time: 2.5  Lock_time: 0.0 Rows_sent: 7  Rows_examined: 9\nSET timestamp=1795399800;\nSELECT *\nFROM cong_dan;",
            &[
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("event.duration", "2500000000"),
                ("mysql.slowlog.rows_sent", "7"),
                ("mysql.log.query", "SELECT *\nFROM cong_dan;"),
                ("mysql.thread_id", "8"),
            ],
        );
    }

    #[test]
    fn an_accounts_name_moves_no_client() {
        check(
            "mysql",
            "2026-11-23  2:10:00 8 [Warning] Access denied for user 'a'@'192.0.2.1' x'@'203.0.113.9' (using password: NO)",
            &[("source.ip", "203.0.113.9"), ("user.name", "a'@'192.0.2.1' x")],
        );
        check(
            "mysql",
            "2026-11-23T02:10:00.861934Z\t    8 Connect\troot@203.0.113.9 on b@192.0.2.1 on c using TCP/IP",
            &[("!source.ip", ""), ("!user.name", "")],
        );
        check(
            "mysql",
            "2026-11-23  2:10:00 8 [Warning] Access denied for user 'lan'@'203.0.113.9' to database 'x'@'192.0.2.1'",
            &[("source.ip", "203.0.113.9"), ("user.name", "lan")],
        );
        // A statement with the words of a refusal is a statement.
        check(
            "mysql",
            "2026-11-23T02:10:00.861934Z\t    8 Query\tSELECT 'Access denied for user ''root''@''192.0.2.1'''",
            &[("event.action", "database_statement"), ("!source.ip", "")],
        );
    }
}
