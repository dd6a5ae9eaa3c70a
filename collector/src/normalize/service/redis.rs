//! Redis and Valkey: what the server says.
//!
//! In: a line of its own file or of syslog. Out: process, role, level, message; connections and refused passwords are in no Redis
//! log. Source: Redis 7 `server.c`, `serverLogRaw`: `pid:role day month year hour:minute:second.millis level message`; 2.8 and before `[pid] day month
//! hour:minute:second level message`; levels `.-*#` (`redis.conf`, "loglevel").

use nhatle_event::{Event, Field};

use super::set_named;
use crate::normalize::Context;
use crate::parse::date;

/// What the sign before a message means.
const LEVELS: [(&str, &str); 4] = [(".", "debug"), ("-", "verbose"), ("*", "notice"), ("#", "warning")];
/// Roles: child (RDB, AOF), master, replica, sentinel.
const ROLES: [(&str, &str); 4] = [("C", "child"), ("M", "master"), ("S", "slave"), ("X", "sentinel")];

/// A line's parts: process, role, day and month (and year), time, level, message.
struct Line<'a> {
    pid: i64,
    role: Option<&'static str>,
    /// `23 Nov 2026`, or without its year.
    day: String,
    has_year: bool,
    time: &'a str,
    level: &'static str,
    message: &'a str,
}

fn take(text: &str) -> Option<Line<'_>> {
    let name =
        |table: &[(&str, &'static str)], word: &str| table.iter().find(|(mark, _)| *mark == word).map(|row| row.1);
    let (front, rest) = text.split_once(' ')?;
    let (pid, role) = match front.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(pid) => (pid, None),
        None => {
            let (pid, role) = front.split_once(':')?;
            (pid, Some(name(&ROLES, role)?))
        }
    };
    let pid = pid.parse().ok()?;
    let mut words = rest.splitn(4, ' ');
    let (day, month, third) = (words.next()?, words.next()?, words.next()?);
    day.parse::<u8>().ok().filter(|day| (1..=31).contains(day))?;
    date::month(month.as_bytes())?;
    let rest = words.next()?;
    let has_year = third.len() == 4 && third.bytes().all(|byte| byte.is_ascii_digit());
    let (time, rest) = if has_year { rest.split_once(' ')? } else { (third, rest) };
    if time.as_bytes().get(2) != Some(&b':') || time.as_bytes().get(5) != Some(&b':') {
        return None;
    }
    let (level, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let day = if has_year { format!("{day} {month} {third}") } else { format!("{month} {day:>2}") };
    Some(Line { pid, role, day, has_year, time, level: name(&LEVELS, level)?, message })
}

/// Whether a line is surely of Redis: process, role, date, time and level in their places, in front of any text.
pub fn is_own(text: &str) -> bool {
    take(text).is_some()
}

/// Sets what a line means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    let Some(line) = take(message) else { return };
    event.set(Field::PROCESS_PID, line.pid);
    set_named(event, "redis.log.role", line.role);
    event.set(Field::LOG_LEVEL, line.level);
    event.set(Field::MESSAGE, line.message);
    let stamp = if line.has_year {
        let mut parts = line.day.split(' ');
        let (day, month, year) = (parts.next(), parts.next(), parts.next());
        let month = month.and_then(|month| date::month(month.as_bytes()));
        day.zip(year).zip(month).and_then(|((day, year), month)| {
            super::moment(&format!("{year}-{month:02}-{day:0>2}"), line.time, context.offset_s)
        })
    } else {
        let told = format!("{} {}", line.day, line.time);
        date::bsd(&told, context.record.received, context.offset_s).ok().flatten().map(|(stamp, _)| stamp)
    };
    if let Some(stamp) = stamp {
        event.timestamp = stamp;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn lines_of_both_ages() {
        let told = [
            ("event.dataset", "redis.log"),
            ("process.pid", "2932"),
            ("log.level", "notice"),
            ("message", "Server started"),
            ("redis.log.role", "master"),
            ("@timestamp", "2026-11-23T09:10:00.123Z"),
        ];
        check("redis", "2932:M 23 Nov 2026 09:10:00.123 * Server started", &told);
        check(
            "redis",
            "<134>Nov 23 09:10:00 kho-01 redis-server[9]: 2932:M 23 Nov 2026 09:10:00.123 * Server started",
            &told,
        );
        check(
            "redis",
            "[2932] 23 Nov 09:10:00 # Open data file dump.rdb: No such file or directory",
            &[
                ("log.level", "warning"),
                ("@timestamp", "2026-11-23T09:10:00Z"),
                ("message", "Open data file dump.rdb: No such file or directory"),
            ],
        );
        for line in
            ["2932:M 23 Nov 2026 x", "2932:Q 23 Nov 2026 09:10:00.123 * x", "[x] 23 Nov 09:10:00 # x", "", "1:M"]
        {
            check("redis", line, &[("!log.level", ""), ("event.module", "redis")]);
        }
    }
}
