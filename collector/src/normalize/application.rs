//! Programs' own logs: the level and the logger that stand behind the date.
//!
//! In: what stands behind the date of a line that no reader knows. Out: `log.level` as it was written, `log.logger`. Promise: only words
//! in front are looked at, and only those that are a level; a text that begins with one in small letters is no level
//! unless it is set off. Source: the default layouts of Log4j 2 (`[%d][%p][%c]`, `%d %p [%t] %c`), Logback and Spring Boot, `java.util.logging` as
//! Tomcat sets it up, Apache Kafka's `log4j.properties`, Python's `logging`, Icinga 2 "FileLogger", Kubernetes' klog.

use nhatle_event::{Event, Field, Timestamp};

use crate::parse::date;

/// Words that are a level, in capitals.
const LEVELS: [&str; 22] = [
    "TRACE",
    "DEBUG",
    "INFO",
    "INFORMATION",
    "NOTICE",
    "WARN",
    "WARNING",
    "ERROR",
    "ERR",
    "SEVERE",
    "CRITICAL",
    "CRIT",
    "FATAL",
    "ALERT",
    "EMERG",
    "EMERGENCY",
    "PANIC",
    "FINE",
    "FINER",
    "FINEST",
    "CONFIG",
    "VERBOSE",
];
/// How many brackets in front of a level are passed over (threads, processes).
const BRACKETS_MAX: usize = 3;
/// How long a logger's name may be.
const LOGGER_BYTES_MAX: usize = 200;

/// How a word stands in the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Alone: only capitals are a level.
    Bare,
    /// In brackets, before a colon or between dashes.
    Off,
}

/// Whether a word in front of a line is a level, however it is set off.
pub(super) fn is_level_word(word: &str) -> bool {
    let bare = word.trim_end_matches([':', ']', ',']);
    is_level(bare, Set::Off)
}

fn is_level(word: &str, set: Set) -> bool {
    let is_known = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    is_known && (set == Set::Off || word.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// Sets level and logger of what stands behind a line's date.
pub(super) fn set_level(event: &mut Event, behind_date: &str) {
    let is_mark = |c: char| c.is_whitespace() || matches!(c, ']' | ')' | ':' | '|' | '-' | ',');
    let mut rest = behind_date.trim_start_matches(is_mark);
    for _ in 0..BRACKETS_MAX {
        let Some((inside, after)) = bracket(rest) else { break };
        if is_level(inside, Set::Off) {
            event.set(Field::LOG_LEVEL, inside);
            if let Some((logger, _)) = bracket(after.trim_start()) {
                set_logger(event, logger);
            }
            return;
        }
        rest = after.trim_start_matches(is_mark);
    }
    let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    // Icinga: `warning/PluginNotificationTask: …`.
    if let Some((level, facility)) = word.strip_suffix(':').and_then(|word| word.split_once('/'))
        && is_level(level, Set::Off)
    {
        event.set(Field::LOG_LEVEL, level);
        set_logger(event, facility);
        return;
    }
    let (bare, set) = word.strip_suffix(':').map_or((word, Set::Bare), |word| (word, Set::Off));
    // Asterisk: `NOTICE[77]`.
    let bare = bare.split_once('[').map_or(bare, |(bare, _)| bare);
    if is_level(bare, set) {
        event.set(Field::LOG_LEVEL, bare);
        logger_behind(event, after.trim());
    } else if let Some((name, level)) = between_dashes(rest) {
        event.set(Field::LOG_LEVEL, level);
        set_logger(event, name);
    }
}

/// Sets the level that a line begins with: `ERROR 2026-11-23T02:10:00 - …`, `WARN: …`, `[info] …`.
pub(super) fn set_level_in_front(event: &mut Event, text: &str) {
    let text = text.trim_start();
    let (word, set) = match bracket(text) {
        Some((inside, _)) => (inside, Set::Off),
        None => {
            let word = text.split([' ', '\t']).next().unwrap_or_default();
            (word.strip_suffix(':').unwrap_or(word), Set::Bare)
        }
    };
    if is_level(word, set) {
        event.set(Field::LOG_LEVEL, word);
    }
}

/// The inside of brackets at the front, and what follows.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    Some((inside.trim(), after))
}

/// `name - INFO - …`: Python's usual layout.
fn between_dashes(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.splitn(4, " - ");
    let (name, second) = (parts.next()?, parts.next()?);
    let third = parts.next().unwrap_or_default();
    [second, third].into_iter().find(|word| is_level(word, Set::Off)).map(|level| (name, level))
}

/// The logger behind a level: `1 --- [main] a.b.C : …`, `[main] a.b.C: …`, `a.b.C - …`, or `… (a.b.C)` at the end.
fn logger_behind(event: &mut Event, text: &str) {
    if let Some((_, last)) = text.strip_suffix(')').and_then(|text| text.rsplit_once(" ("))
        && set_logger(event, last)
    {
        return;
    }
    let mut rest = text.split_once("--- ").filter(|(process, _)| process.len() <= 12).map_or(text, |(_, rest)| rest);
    while let Some((_, after)) = bracket(rest) {
        rest = after.trim_start();
    }
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_name = word.ends_with([':', ']']) || after.trim_start().starts_with([':', '-']);
    if is_name || word.matches('.').count() >= 2 {
        set_logger(event, word.trim_end_matches([':', ']']));
    }
}

/// Sets a logger where the word can be one: dotted or with colons, of letters. Whether it could.
fn set_logger(event: &mut Event, name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'$' | b':' | b'/');
    let is_logger = (1..=LOGGER_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_part)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !name.ends_with('.');
    if is_logger {
        event.set(Field::LOG_LOGGER, name);
    }
    is_logger
}

/// A line of klog: `I1123 09:10:00.123456       1 server.go:5] …`: its moment and level.
pub(super) fn klog(text: &str, received: Timestamp, offset_s: i32) -> Option<(Timestamp, &'static str)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let level = match text.as_bytes() {
        [b'I', b'0'..=b'1', b'0'..=b'9', ..] => "INFO",
        [b'W', b'0'..=b'1', b'0'..=b'9', ..] => "WARNING",
        [b'E', b'0'..=b'1', b'0'..=b'9', ..] => "ERROR",
        [b'F', b'0'..=b'1', b'0'..=b'9', ..] => "FATAL",
        _ => return None,
    };
    let (front, _) = text.split_once("] ")?;
    let (day, time) = front.get(1..)?.split_once(' ')?;
    let (month, day) = day.split_at_checked(2).filter(|(_, day)| day.len() == 2)?;
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    let time = time.split(' ').next().filter(|time| time.len() == "09:10:00.123456".len())?;
    let found = date::bsd(&format!("{month} {day} {time}"), received, offset_s).ok().flatten()?;
    Some((found.0, level))
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    #[test]
    fn levels_and_loggers_of_usual_layouts() {
        const AT: &str = "2026-11-23 09:10:00,123";
        for (line, level, logger) in [
            (format!("[{AT}] WARN No such topic (kafka.server.KafkaApis)"), "WARN", "kafka.server.KafkaApis"),
            (format!("[{AT}][ERROR][o.e.c.Node           ] [may-01] x"), "ERROR", "o.e.c.Node"),
            (format!("[{AT}][WARN ][o.e.d.x.Y] x"), "WARN", "o.e.d.x.Y"),
            (format!("{AT} INFO  [main] vn.hoso.Cong: x=1"), "INFO", "vn.hoso.Cong"),
            (format!("{AT}  INFO 1 --- [           main] vn.hoso.Cong : x"), "INFO", "vn.hoso.Cong"),
            (format!("{AT} [http-1] DEBUG vn.hoso.Cong - x"), "DEBUG", "vn.hoso.Cong"),
            (format!("{AT} - vn.hoso - CRITICAL - x"), "CRITICAL", "vn.hoso"),
            (format!("{AT} [error] x"), "error", ""),
            ("ERROR    2026-11-23T09:10:00 - x".to_owned(), "ERROR", ""),
            ("WARN: x".to_owned(), "WARN", ""),
            ("[info] o.t.s.Loc x".to_owned(), "info", ""),
            ("[Nov 23 09:10:00] NOTICE[77] chan_sip.c: x".to_owned(), "NOTICE", "chan_sip.c"),
            (format!("[{AT} +0700] warning/PluginTask: x"), "warning", "PluginTask"),
            (
                "23-Nov-2026 09:10:00.123 SEVERE [main] org.apache.catalina.Core.start x".to_owned(),
                "SEVERE",
                "org.apache.catalina.Core.start",
            ),
            ("[2026-11-23T02:10:00Z INFO  kho::phuc_vu] x".to_owned(), "INFO", "kho::phuc_vu"),
        ] {
            let logger = if logger.is_empty() { ("!log.logger", "") } else { ("log.logger", logger) };
            check("", &line, &[("log.level", level), logger, ("message", &line)]);
            // A line of another program in a web server's log keeps its level, too.
            check("apache", &line, &[("log.level", level)]);
        }
    }

    #[test]
    fn words_of_a_text_are_no_level() {
        for line in
            ["2026-11-23 09:10:00 error in line 5", "2026-11-23 09:10:00 Information desk", "2026-11-23 09:10:00 [a] b"]
        {
            check("", line, &[("!log.level", "")]);
        }
    }

    #[test]
    fn lines_of_klog() {
        check(
            "",
            "E1123 02:10:00.123456       7 kubelet.go:99] \"no room\" err=\"x\"",
            &[("log.level", "ERROR"), ("@timestamp", "2026-11-23T02:10:00.123456Z")],
        );
        check("", "E9923 02:10:00.123456       7 kubelet.go:99] x", &[("!log.level", "")]);
    }
}
