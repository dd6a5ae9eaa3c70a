//! BSD syslog as it is really sent: the date's forms, no year, no host, no tag, no priority.
//!
//! In: the text of one message. Out: its parts, borrowed; what is not there is `None` and the rest is the
//! message. Failure: a priority past 191, or a date that does not exist; nothing else is refused.
//! Source: RFC 3164 sections 4 and 5.4; rsyslog's, Cisco's and journald's habits.

use nhatle_event::Timestamp;

use super::{Fault, Syslog, cut, date, digits, priority};

/// How long a tag or a host may be (RFC 3164 allows 32, programs and names are longer).
const WORD_BYTES_MAX: usize = 255;

/// Whether text without a priority begins with a syslog date: BSD's, or RFC 3339's with a `T`.
pub fn begins_with_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [b'A'..=b'Z' | b'a'..=b'z', ..] => {
            date::month(bytes).is_some() && !matches!(date::bsd(text, Timestamp(0), 0), Ok(None))
        }
        [b'0'..=b'9', ..] if date::has_iso_form(bytes) => match bytes.get(10) {
            Some(b'T') => has_tag(text),
            // macOS, and files of FTP servers: the process id says that it is a tag.
            Some(b' ') => has_firm_tag(text),
            _ => false,
        },
        [b'0'..=b'9', ..] => bytes.get(10) == Some(&b'-') && date::has_colons_form(bytes) && has_tag(text),
        _ => false,
    }
}

/// Whether behind a date of two words stands a tag with its process id, alone or behind a host. A word in capitals is a level, no host.
fn has_firm_tag(text: &str) -> bool {
    let mut words = text.splitn(6, ' ').skip(2).filter(|word| !word.is_empty());
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_level = !first.bytes().any(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_firm_tag(first) || (!is_level && is_host(first) && is_firm_tag(second))
}

/// Whether text without date begins with a tag that names a process id, or with a host and such a tag.
pub fn begins_with_tag(text: &str) -> bool {
    let (first, rest) = cut(text, b' ').unwrap_or((text, ""));
    let second = cut(rest, b' ').map_or(rest, |(second, _)| second);
    is_firm_tag(first) || (is_firm_tag(second) && is_host(first))
}

fn is_host(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !word.is_empty() && word.len() <= WORD_BYTES_MAX && word.bytes().all(is_part)
}

/// `name[77]:`: no other thing is written so.
fn is_firm_tag(word: &str) -> bool {
    let body = word.strip_suffix(':').or_else(|| word.starts_with("proftpd[").then_some(word));
    let Some((name, pid)) = body.and_then(|body| body.strip_suffix(']')?.rsplit_once('[')) else { return false };
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    let is_name = name.bytes().all(is_part) && name.starts_with(|c: char| c.is_ascii_alphabetic());
    // A level in capitals is one of Asterisk's or another program's: `NOTICE[77]:`.
    let is_level = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_name && !is_level && !pid.is_empty() && pid.len() <= 10 && pid.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the third word of a line looks like a syslog tag (`name:` or `name[pid]:`).
fn has_tag(text: &str) -> bool {
    let mut words = text.splitn(4, ' ');
    // A colon behind the date is how programs begin their own lines.
    if words.next().is_some_and(|date| date.ends_with(':')) {
        return false;
    }
    let is_tag = |word: &str| tag(word).is_some();
    words.next().is_some_and(is_tag) || words.next().is_some_and(is_tag)
}

/// Reads one message. `received` gives the missing year, `offset_s` the missing zone.
///
/// # Errors
/// A priority past 191, or a date that does not exist.
pub fn parse(text: &str, received: Timestamp, offset_s: i32) -> Result<Syslog<'_>, Fault> {
    let (priority, rest) = priority(text)?;
    let mut syslog = Syslog { priority, ..Syslog::default() };
    let rest = rest.trim_start_matches(' ');
    let rest = skip_sequence(rest);
    let at = text.len() - rest.len();
    let shift = |fault: Fault| Fault { offset: fault.offset + at, ..fault };
    let found = match date::bsd(rest, received, offset_s).map_err(shift)? {
        Some(found) => Some(found),
        None => match date::iso(rest, offset_s).map_err(shift)? {
            Some(found) => Some(found),
            None => date::colons(rest, offset_s).map_err(shift)?,
        },
    };
    let Some((stamp, used)) = found else {
        // No date: RFC 3164 section 4.3.3 takes all of it as the message; a tag in front is still told, and a host before it.
        match rest
            .split_once(' ')
            .filter(|(host, back)| is_host(host) && back.split(' ').next().is_some_and(is_firm_tag))
        {
            Some((host, back)) => {
                syslog.host = Some(host);
                split_tag(back, &mut syslog);
            }
            None => split_tag(rest, &mut syslog),
        }
        return Ok(syslog);
    };
    syslog.timestamp = Some(stamp);
    let rest = rest.get(used..).unwrap_or_default();
    // A colon may follow the date (Cisco).
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let rest = rest.trim_start_matches(' ');
    // FreeBSD's verbose form: `<mail.info> ` behind the date.
    let rest = match rest.strip_prefix('<').and_then(|inside| inside.split_once("> ")) {
        Some((inside, rest)) if inside.len() <= 20 && inside.contains('.') && is_host(inside) => rest,
        _ => rest,
    };
    let (first, after) = cut(rest, b' ').unwrap_or((rest, ""));
    let is_spaced_pid = after
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
        .is_some_and(|(pid, _)| !pid.is_empty() && pid.len() <= 10 && pid.bytes().all(|byte| byte.is_ascii_digit()));
    // macOS sets it between dashes.
    let is_repeat = ["last message repeated ", "message repeated ", "--- last message repeated "]
        .iter()
        .any(|front| rest.starts_with(front));
    if is_repeat
        || first.is_empty()
        || tag(first).is_some()
        || is_mark(first)
        || is_spaced_pid
        || first.len() > WORD_BYTES_MAX
    {
        split_tag(rest, &mut syslog);
    } else {
        syslog.host = Some(first.trim_end_matches(':')).filter(|host| *host != "-");
        let after = after.trim_start_matches(' ');
        // Dashes stand before the tag of programs that log through `logger`'s older form.
        let tagged =
            after.strip_prefix("-- ").filter(|rest| rest.split(' ').next().is_some_and(|word| tag(word).is_some()));
        split_tag(tagged.unwrap_or(after), &mut syslog);
    }
    Ok(syslog)
}

const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "err", "error", "warning", "notice", "info", "debug"];

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Cisco's sequence number and clock marks in front of the date: `000123: *Mar  1 …`, `29: .Mar …`.
fn skip_sequence(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut rest = text;
    if let Some((_, count)) = digits(bytes, 10)
        && bytes.get(count..count + 2) == Some(b": ")
    {
        rest = text.get(count + 2..).unwrap_or_default();
    }
    match rest.as_bytes() {
        [b'*' | b'.' | b':', b'A'..=b'Z', ..] => rest.get(1..).unwrap_or(rest),
        // A day of the week before the month.
        [_, _, _, b' ', month @ ..]
            if DAYS.contains(&rest.get(..3).unwrap_or_default()) && date::month(month).is_some() =>
        {
            rest.get(4..).unwrap_or(rest)
        }
        _ => rest,
    }
}

/// The mark of a format, which FortiOS writes with a space behind it: no program's tag.
fn is_mark(word: &str) -> bool {
    matches!(word, "CEF:" | "LEEF:")
}

/// A word that is a tag: `app:`, `app[pid]:`, `app[pid]`. Its parts.
fn tag(word: &str) -> Option<(&str, Option<&str>)> {
    let bare = word.strip_suffix(':');
    let body = bare.unwrap_or(word);
    if let Some((app, pid)) = body.strip_suffix(']').and_then(|body| body.rsplit_once('[')) {
        let is_pid = !pid.is_empty() && pid.len() <= 64 && !pid.contains(['[', '"', '=']);
        return (is_pid && !app.is_empty()).then_some((app, Some(pid)));
    }
    let is_name = bare.is_some() && !body.is_empty() && body.len() <= WORD_BYTES_MAX && !body.contains(['=', '"', '{']);
    is_name.then_some((body, None))
}

/// Takes the tag off the front of a message, where there is one.
fn split_tag<'a>(text: &'a str, syslog: &mut Syslog<'a>) {
    let (first, after) = cut(text, b' ').unwrap_or((text, ""));
    if is_mark(first) {
        syslog.message = text;
        return;
    }
    if let Some((app, procid)) = tag(first) {
        (syslog.app, syslog.procid, syslog.message) = (Some(app), procid, after);
        return;
    }
    // `app: message` without the space, and `app[pid]:message`.
    if let Some(at) = first.find("]:").map(|at| at + 2)
        && let Some((app, procid)) = first.get(..at).and_then(tag)
    {
        (syslog.app, syslog.procid) = (Some(app), procid);
        syslog.message = text.get(at..).unwrap_or_default();
        return;
    }
    // `sogod [77]: message`: a space in front of the process id.
    if after.starts_with('[')
        && let Some((pid, rest)) = after.strip_prefix('[').and_then(|rest| rest.split_once("]:"))
        && !pid.is_empty()
        && pid.len() <= 10
        && pid.bytes().all(|byte| byte.is_ascii_digit())
        && is_host(first)
    {
        (syslog.app, syslog.procid, syslog.message) = (Some(first), Some(pid), rest.trim_start());
        return;
    }
    // `syslogd 1.4.1: restart.`: a version between the name and the colon.
    let (second, rest) = after.split_once(' ').unwrap_or((after, ""));
    let is_version = second.strip_suffix(':').is_some_and(|version| {
        version.starts_with(|c: char| c.is_ascii_digit()) && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    });
    if is_version && !first.is_empty() {
        (syslog.app, syslog.message) = (Some(first), rest);
        return;
    }
    // `notice httpd[77]: …`: BIG-IP writes the level's word before the tag.
    if LEVELS.contains(&first) && is_firm_tag(second) {
        return split_tag(after, syslog);
    }
    syslog.message = text;
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Option<u8>, Option<&'a str>, Option<&'a str>, Option<&'a str>, &'a str);

    #[track_caller]
    fn check(text: &str, stamp: Option<&str>, expected: Parts<'_>) {
        let received = Timestamp::parse("2026-06-01T00:00:00Z", 0).unwrap();
        let found = parse(text, received, 0).expect("is syslog");
        assert_eq!(found.timestamp.map(|stamp| stamp.to_string()).as_deref(), stamp, "{text}");
        assert_eq!((found.priority, found.host, found.app, found.procid, found.message), expected, "{text}");
    }

    #[test]
    fn messages_as_really_sent() {
        let date = Some("2026-02-03T04:05:06Z");
        check("<38>Feb  3 04:05:06 web sshd[71]: hi", date, (Some(38), Some("web"), Some("sshd"), Some("71"), "hi"));
        check("Feb  3 04:05:06 web sshd[71]: hi", date, (None, Some("web"), Some("sshd"), Some("71"), "hi"));
        check("<38>Feb  3 04:05:06 sshd[71]: hi", date, (Some(38), None, Some("sshd"), Some("71"), "hi"));
        check(
            "<38>Feb  3 04:05:06 web kernel: [ 1.2] x",
            date,
            (Some(38), Some("web"), Some("kernel"), None, "[ 1.2] x"),
        );
        check("<38>Feb  3 04:05:06 web just words", date, (Some(38), Some("web"), None, None, "just words"));
        check("<38>:Feb  3 04:05:06 web su: x", date, (Some(38), Some("web"), Some("su"), None, "x"));
        check("<38>Tue Feb  3 04:05:06 2026 web su: x", date, (Some(38), Some("web"), Some("su"), None, "x"));
        check("<38>2026:02:03-04:05:06 web su[7]: x", date, (Some(38), Some("web"), Some("su"), Some("7"), "x"));
        check("<38>2026-02-03T04:05:06+00:00 web su: x", date, (Some(38), Some("web"), Some("su"), None, "x"));
        check("<38>Feb  3 04:05:06 web CEF: 0|a|b", date, (Some(38), Some("web"), None, None, "CEF: 0|a|b"));
        check("<38>CEF: 0|a|b", None, (Some(38), None, None, None, "CEF: 0|a|b"));
        check("<38>sshd[71]: no date", None, (Some(38), None, Some("sshd"), Some("71"), "no date"));
        check("<38>words only", None, (Some(38), None, None, None, "words only"));
        check("<38>", None, (Some(38), None, None, None, ""));
        check(
            "<189>29: *Feb  3 2026 04:05:06.000 UTC: %SYS-5-CONFIG_I: Configured",
            date,
            (Some(189), None, Some("%SYS-5-CONFIG_I"), None, "Configured"),
        );
        check(
            "<167>Feb  3 04:05:06 10.0.0.8 %PIX-7-710005: UDP",
            date,
            (Some(167), Some("10.0.0.8"), Some("%PIX-7-710005"), None, "UDP"),
        );
        check(
            "Feb  3 04:05:06 web syslogd 1.4.1: restart.",
            date,
            (None, Some("web"), Some("syslogd"), None, "restart."),
        );
        check(
            "Feb  3 04:05:06 last message repeated 2 times",
            date,
            (None, None, None, None, "last message repeated 2 times"),
        );
        check("Feb  3 04:05:06 web -- MARK --", date, (None, Some("web"), None, None, "-- MARK --"));
        check("<38>Feb  3 04:05:06 web notice su[7]: x", date, (Some(38), Some("web"), Some("su"), Some("7"), "x"));
        check("<38>Feb  3 04:05:06 web notice to all", date, (Some(38), Some("web"), None, None, "notice to all"));
        check("Feb  3 2026 04:05:06: web app: x", date, (None, Some("web"), Some("app"), None, "x"));
        check("Feb  3 04:05:06 2001:db8::7 su: x", date, (None, Some("2001:db8::7"), Some("su"), None, "x"));
    }

    #[test]
    fn a_date_that_does_not_exist_is_named_with_its_byte() {
        let fault = parse("<38>Feb 30 04:05:06 web su: x", Timestamp(0), 0).expect_err("does not exist");
        assert_eq!((fault.reason.as_str(), fault.offset), ("syslog: no such date", 8));
    }
}
