//! Error logs of Apache and nginx.
//!
//! In: one line. Out: its parts, borrowed; `None` where the line has no such form; a fault where its
//! date does not exist. Source: Apache `ErrorLogFormat` (2.2 and 2.4 defaults), nginx `error_log`.

use nhatle_event::Timestamp;

use super::{Fault, date, digits};

/// Apache's levels (`LogLevel`).
const LEVELS: [&str; 16] = [
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1", "trace2", "trace3", "trace4",
    "trace5", "trace6", "trace7", "trace8",
];

/// Which server wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Apache httpd.
    Apache,
    /// nginx.
    Nginx,
}

/// The parts of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorLine<'a> {
    /// Who wrote it.
    pub server: Server,
    /// When.
    pub timestamp: Timestamp,
    /// `error`, `warn`, `notice`, …
    pub level: &'a str,
    /// Apache's module.
    pub module: Option<&'a str>,
    /// Process id.
    pub pid: Option<i64>,
    /// Thread id.
    pub tid: Option<i64>,
    /// Who asked: `address`, `address:port`, `[address]:port`.
    pub client: Option<&'a str>,
    /// nginx: the request line.
    pub request: Option<&'a str>,
    /// nginx: the Host header.
    pub host: Option<&'a str>,
    /// nginx: where the link was.
    pub referrer: Option<&'a str>,
    /// nginx: the server's address, where it is one (of mail and streams).
    pub server_address: Option<std::net::SocketAddr>,
    /// nginx: the account at a mailbox.
    pub login: Option<&'a str>,
    /// The message.
    pub message: &'a str,
}

/// Whether text is a line of an error log.
pub fn is_error_line(text: &str) -> bool {
    match text.as_bytes() {
        [b'[', a, b, c, b' ', rest @ ..] => {
            [a, b, c].iter().all(|byte| byte.is_ascii_alphabetic()) && date::month(rest).is_some()
        }
        // `%{cu}t` of `ErrorLogFormat`; others write such a date, too, but no module and level behind it.
        [b'[', b'1'..=b'2', rest @ ..] if date::has_iso_form(text.as_bytes().get(1..).unwrap_or(rest)) => {
            let inside = text.split_once("] [").and_then(|(_, rest)| rest.split_once("] ")).map(|(inside, _)| inside);
            inside.and_then(|inside| inside.split_once(':')).is_some_and(|(module, level)| {
                module.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                    && LEVELS.contains(&level)
            })
        }
        [b'0'..=b'9', _, _, _, b'/', _, _, b'/', _, _, b' ', ..] => {
            text.get(19..).is_some_and(|rest| rest.starts_with(" ["))
        }
        _ => false,
    }
}

/// Reads one line.
///
/// # Errors
/// The date does not exist.
pub fn parse(text: &str, offset_s: i32) -> Result<Option<ErrorLine<'_>>, Fault> {
    if text.starts_with('[') { apache(text, offset_s) } else { nginx(text, offset_s) }
}

fn apache(text: &str, offset_s: i32) -> Result<Option<ErrorLine<'_>>, Fault> {
    let inner = text.get(1..).unwrap_or_default();
    let shift = |fault: Fault| Fault { offset: fault.offset + 1, ..fault };
    let form = if inner.starts_with(|c: char| c.is_ascii_digit()) { date::iso } else { date::ctime };
    let Some((timestamp, used)) = form(inner, offset_s).map_err(shift)? else { return Ok(None) };
    let Some(rest) = inner.get(used..).and_then(|rest| rest.strip_prefix(']')) else { return Ok(None) };
    Ok(Some(apache_behind_date(rest, timestamp)))
}

/// A line of Apache that came without its date, as syslog carries it: `[core:error] [pid 7] [client 203.0.113.9:4411] …`. `None` where a level
/// of Apache does not stand in front.
pub fn undated(text: &str, timestamp: Timestamp) -> Option<ErrorLine<'_>> {
    let (front, _) = bracket(text)?;
    let level = front.split_once(':').map_or(front, |(_, level)| level);
    LEVELS.contains(&level).then(|| apache_behind_date(text, timestamp))
}

fn apache_behind_date(mut rest: &str, timestamp: Timestamp) -> ErrorLine<'_> {
    let mut line = ErrorLine {
        server: Server::Apache,
        timestamp,
        level: "",
        module: None,
        pid: None,
        tid: None,
        client: None,
        request: None,
        host: None,
        referrer: None,
        server_address: None,
        login: None,
        message: "",
    };
    while let Some((word, after)) = bracket(rest) {
        if let Some(pids) = word.strip_prefix("pid ") {
            let (pid, tid) = pids.split_once(":tid ").map_or((pids, None), |(pid, tid)| (pid, Some(tid)));
            (line.pid, line.tid) = (pid.parse().ok(), tid.and_then(|tid| tid.parse().ok()));
        } else if let Some(client) = word.strip_prefix("client ").or_else(|| word.strip_prefix("remote ")) {
            line.client = Some(client);
            rest = after;
            break;
        } else if line.level.is_empty() {
            let (module, level) = word.split_once(':').map_or((None, word), |(module, level)| (Some(module), level));
            (line.module, line.level) = (module.filter(|module| !module.is_empty()), level);
        } else {
            break;
        }
        rest = after;
    }
    line.message = rest.trim_start();
    // The system's own words for an error may stand before the client: `(13)Permission denied: [client 203.0.113.9:4411] …`.
    if line.client.is_none()
        && let Some((number, words)) = line.message.strip_prefix('(').and_then(|rest| rest.split_once(')'))
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && let Some((_, client)) = words.split_once(": [client ")
    {
        line.client = client.split(']').next();
    }
    line
}

/// The inside of the brackets at the front (an IPv6 address in brackets may stand in it) and the rest.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let inner = text.trim_start().strip_prefix('[')?;
    let mut depth = 0usize;
    for (at, byte) in inner.bytes().enumerate().take(512) {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 0 => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            b']' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn nginx(text: &str, offset_s: i32) -> Result<Option<ErrorLine<'_>>, Fault> {
    let Some((timestamp, used)) = date::slashed(text, offset_s)? else { return Ok(None) };
    let Some((level, rest)) = text.get(used..).and_then(bracket) else { return Ok(None) };
    let mut rest = rest.trim_start();
    let (mut pid, mut tid) = (None, None);
    if let Some((number, count)) = digits(rest.as_bytes(), 9)
        && let Some(after) = rest.get(count..).and_then(|after| after.strip_prefix('#'))
        && let Some((thread, after)) = after.split_once(": ")
    {
        (pid, tid) = (Some(i64::from(number)), thread.parse().ok());
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('*')
        && let Some((connection, after)) = after.split_once(' ')
        && connection.bytes().all(|byte| byte.is_ascii_digit())
    {
        rest = after;
    }
    let (client, told) = match nginx_client(rest) {
        Some((client, told)) => (Some(client), told),
        None => (None, rest),
    };
    let of_stream = || rest.strip_prefix("client ")?.split_once(" connected to ");
    Ok(Some(ErrorLine {
        server: Server::Nginx,
        timestamp,
        level,
        module: None,
        pid,
        tid,
        client: client.or_else(|| of_stream().map(|(client, _)| client)),
        request: tail(told, ", request: \""),
        host: tail(told, ", host: \""),
        referrer: tail(told, ", referrer: \""),
        server_address: told
            .find(", server: ")
            .and_then(|at| told.get(at + 10..)?.split(',').next())
            .or_else(|| of_stream().map(|(_, server)| server))
            .and_then(|server| server.parse().ok()),
        login: tail(told, ", login: \""),
        message: rest,
    }))
}

/// The client of a line, and what stands behind it. Before it stands what it asked for, decoded, as in `open() "/srv/x" failed`; behind it
/// the request and headers as sent. All of that is in quotes, so of several the one outside of quotes counts; where a stranger's own
/// quotes make that doubtful, none does.
fn nginx_client(text: &str) -> Option<(&str, &str)> {
    const MARK: &str = ", client: ";
    let client_at = |at: usize| {
        let behind = text.get(at + MARK.len()..)?;
        Some((behind.split([',', ' ']).next()?, behind))
    };
    let mut all = text.match_indices(MARK).filter_map(|(at, _)| Some((at, client_at(at)?)));
    let (_, first) = all.next()?;
    if all.all(|(_, (client, _))| client == first.0) {
        return Some(first);
    }
    let mut outside: Option<(&str, &str)> = None;
    for (number, (begin, part)) in quoted_parts(text).enumerate() {
        if number % 2 == 1 {
            continue;
        }
        // Behind the end of what is quoted no word goes on: there the server's opening quote would be taken for an end.
        if 0 < number && !part.starts_with([',', ' ', ')', ']', ':', ';']) && !part.is_empty() {
            return None;
        }
        for (at, _) in part.match_indices(MARK) {
            let found = client_at(begin + at)?;
            if outside.is_some_and(|(known, _)| known != found.0) {
                return None;
            }
            outside = outside.or(Some(found));
        }
    }
    outside
}

/// What stands between quotes, each with where it begins; every second one is inside of them.
fn quoted_parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('"').scan(0, |begin, part| {
        let here = *begin;
        *begin += part.len() + 1;
        Some((here, part))
    })
}

/// The quoted value that follows `name`.
fn tail<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(name)? + name.len();
    text.get(at..)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn apache_lines_of_both_ages() {
        let text = "[Tue Feb 03 04:05:06.123456 2026] [core:error] [pid 7:tid 8] [client [2001:db8::1]:99] AH1: no [x]";
        let line = parse(text, 0).expect("exists").expect("is one");
        assert_eq!(line.timestamp.to_string(), "2026-02-03T04:05:06.123456Z");
        assert_eq!((line.level, line.module, line.pid, line.tid), ("error", Some("core"), Some(7), Some(8)));
        assert_eq!((line.client, line.message), (Some("[2001:db8::1]:99"), "AH1: no [x]"));
        let text =
            "[Tue Feb 03 04:05:06.1 2026] [core:error] [pid 7] (13)Permission denied: [client 10.0.0.1:9] AH1: no";
        let line = parse(text, 0).expect("exists").expect("is one");
        assert_eq!(line.client, Some("10.0.0.1:9"));
        let line =
            parse("[Tue Feb 03 04:05:06 2026] [error] [client 10.0.0.1] [x] no", 0).expect("exists").expect("is one");
        assert_eq!((line.level, line.client, line.message), ("error", Some("10.0.0.1"), "[x] no"));
        let line = parse("[Tue Feb 03 04:05:06 2026] [notice] up", 0).expect("exists").expect("is one");
        assert_eq!((line.level, line.client, line.message), ("notice", None, "up"));
    }

    #[test]
    fn nginx_lines() {
        let text = "2026/02/03 04:05:06 [error] 7#8: *9 open() failed, client: 10.0.0.1, server: a, request: \"GET /x HTTP/1.1\", host: \"h\"";
        let line = parse(text, 0).expect("exists").expect("is one");
        assert_eq!((line.level, line.pid, line.tid, line.client), ("error", Some(7), Some(8), Some("10.0.0.1")));
        assert_eq!((line.request, line.host, line.referrer), (Some("GET /x HTTP/1.1"), Some("h"), None));
        assert!(line.message.starts_with("open() failed"));
    }

    #[test]
    fn what_a_client_of_nginx_asks_for_is_not_who_asks() {
        for (asked, sent, client) in [
            ("/srv/x, client: 198.51.100.66, y", "-", Some("203.0.113.9")),
            ("/srv/x, client: 198.51.100.66, server: a, request: ", "-", Some("203.0.113.9")),
            ("/srv/x", "http://h/, client: 198.51.100.66", Some("203.0.113.9")),
            // With quotes of its own it can make itself nobody, not somebody else.
            ("/srv/x\", client: 198.51.100.66, y", "-", None),
            ("/srv/x\", client: 198.51.100.66, server: a, y ", "\"", None),
            ("/srv/x\", client: 198.51.100.66, request: \"\" z ", "\"", None),
            ("/srv/x\", client: 198.51.100.66, \"", "-", None),
            ("/srv/x", "\", client: 198.51.100.66, \"", None),
            ("/srv/x\", client: 203.0.113.9, \"", "-", Some("203.0.113.9")),
        ] {
            let text = format!(
                "2026/02/03 04:05:06 [error] 7#8: *9 open() \"{asked}\" failed (2: No such file or directory), client: 203.0.113.9, server: a, request: \"GET /x HTTP/1.1\", host: \"h\", referrer: \"{sent}\""
            );
            let line = parse(&text, 0).expect("exists").expect("is one");
            assert_eq!(line.client, client, "{text}");
            if client.is_some() && !asked.contains('"') {
                assert_eq!((line.request, line.host), (Some("GET /x HTTP/1.1"), Some("h")), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(back in "[\\[\\]\" a-z0-9:#*,]{0,60}|.{0,30}") {
            prop_assert!(parse(&format!("2026/02/03 04:05:06 {back}"), 0).is_ok(), "is read");
            prop_assert!(parse(&format!("[Tue Feb 03 04:05:06 2026]{back}"), 0).is_ok(), "is read");
        }
    }
}
