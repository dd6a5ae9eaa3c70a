//! Access logs of nginx and Apache: common, combined, with virtual host in front, and Apache's SSL
//! request log.
//!
//! In: one line. Out: its parts, borrowed; `None` where the line has no such form; a fault where its
//! date does not exist. A request that is no `METHOD target HTTP/x` is kept as it was sent.
//! Source: Apache `mod_log_config` and nginx `log_format combined`.

use std::net::IpAddr;

use nhatle_event::Timestamp;

use super::{Fault, cut, cut_at_last, date, digits};

/// The parts of one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access<'a> {
    /// When the request came.
    pub timestamp: Timestamp,
    /// The virtual host, where the line begins with it.
    pub virtual_host: Option<&'a str>,
    /// Who asked: an address or a name.
    pub client: &'a str,
    /// The user name, `-` where there is none.
    pub user: &'a str,
    /// The request line as sent, `-` where there was none.
    pub request: &'a str,
    /// Status code.
    pub status: Option<u16>,
    /// Bytes of the body.
    pub bytes: Option<i64>,
    /// Where the link was, `-` where there is none.
    pub referrer: Option<&'a str>,
    /// The browser, `-` where there is none.
    pub agent: Option<&'a str>,
    /// TLS version and cipher, of the SSL request log.
    pub tls: Option<(&'a str, &'a str)>,
    /// What stands behind the browser: fields of a format of the site's own.
    pub more: &'a str,
}

/// The request line's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The target as sent.
    pub target: &'a str,
    /// `1.1`, where the line names it.
    pub version: Option<&'a str>,
}

/// How far in front the date of an access line must begin.
const FRONT_BYTES_MAX: usize = 512;

/// The place of the `[` before the date.
fn date_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let front = bytes.get(..bytes.len().min(FRONT_BYTES_MAX))?;
    memchr::memchr_iter(b'[', front).find(|at| {
        let is_date = |day: usize| {
            bytes.get(at + 1..at + 1 + day).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
                && matches!(bytes.get(at + 1 + day..at + 11 + day), Some([b'/', _, _, _, b'/', .., b':']))
                && bytes.get(at + 2 + day..).is_some_and(|rest| date::month(rest).is_some())
        };
        // cPanel: `06/10/2021:11:19:31`, the month first.
        let is_numbered = || {
            bytes.get(at + 1..at + 12).is_some_and(|date| {
                date.iter().zip(b"dd/dd/dddd:").all(|(byte, form)| match form {
                    b'd' => byte.is_ascii_digit(),
                    exact => byte == exact,
                })
            })
        };
        is_date(2) || is_date(1) || is_numbered()
    })
}

/// Whether text is a line of an access log: a date in brackets near the front, a quote after it.
pub fn is_access_line(text: &str) -> bool {
    date_at(text).is_some_and(|at| text.as_bytes().get(at..).is_some_and(|rest| memchr::memchr(b'"', rest).is_some()))
}

/// Reads one line.
///
/// # Errors
/// The date does not exist.
pub fn parse(text: &str, offset_s: i32) -> Result<Option<Access<'_>>, Fault> {
    let Some(at) = date_at(text) else { return Ok(None) };
    let date_text = text.get(at + 1..).unwrap_or_default();
    let shift = |fault: Fault| Fault { offset: fault.offset + at + 1, ..fault };
    let Some((timestamp, used)) = date::common_log(date_text, offset_s).map_err(shift)? else { return Ok(None) };
    let Some(rest) = date_text.get(used..).and_then(|rest| rest.strip_prefix(']')) else { return Ok(None) };
    let mut access = Access { timestamp, client: "-", user: "-", request: "-", ..Access::default() };
    let rest = rest.trim_start();
    let front = text.get(..at).unwrap_or_default().trim_end();
    let rest = if front.is_empty() {
        let Some(rest) = ssl_front(rest, &mut access) else { return Ok(None) };
        rest
    } else {
        client_front(front, &mut access);
        rest
    };
    let Some((request, rest)) = quoted(rest) else { return Ok(None) };
    access.request = request;
    back(rest, &mut access);
    Ok(Some(access))
}

/// `client TLSv1.3 cipher ` of the SSL request log.
fn ssl_front<'a>(text: &'a str, access: &mut Access<'a>) -> Option<&'a str> {
    let mut words = text.splitn(4, ' ');
    access.client = words.next()?;
    access.tls = Some((words.next()?, words.next()?));
    words.next()
}

/// `[virtual host] client[, client …] ident user`.
fn client_front<'a>(front: &'a str, access: &mut Access<'a>) {
    let mut words = Words { rest: front };
    let is_address = |word: &str| word.trim_end_matches(',').parse::<IpAddr>().is_ok();
    let mut client = words.next().unwrap_or("-");
    if !is_address(client) && words.peek().is_some_and(|word| is_address(word) || front.matches(' ').count() >= 3) {
        access.virtual_host = Some(client);
        client = words.next().unwrap_or("-");
    }
    access.client = client.trim_end_matches(',');
    while client.ends_with(',') {
        client = words.next().unwrap_or("-");
    }
    // The identity (RFC 1413) is never used; what follows it up to the date is the user, spaces and all.
    access.user = words.next().map_or("-", |_identity| words.rest());
}

/// Words between spaces, with what is left of the text.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        Some(self.cut().0).filter(|word| !word.is_empty())
    }

    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.cut();
        (!word.is_empty()).then(|| self.rest = rest)?;
        Some(word)
    }

    /// The first word, and what follows it.
    fn cut(&self) -> (&'a str, &'a str) {
        let rest = self.rest.trim_start_matches(' ');
        rest.split_at(memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len()))
    }

    /// What is left, `-` where that is nothing.
    fn rest(&self) -> &'a str {
        Some(self.rest.trim()).filter(|rest| !rest.is_empty()).unwrap_or("-")
    }
}

/// `status bytes ["referrer" "agent"]`, or only bytes in the SSL request log.
fn back<'a>(text: &'a str, access: &mut Access<'a>) {
    let mut rest = text.trim_start();
    let mut number = || {
        let (word, after) = cut(rest, b' ').unwrap_or((rest, ""));
        let is_number = digits(word.as_bytes(), 18).is_some_and(|(_, count)| count == word.len());
        (is_number || word == "-").then(|| {
            rest = after.trim_start();
            word.parse::<i64>().ok()
        })
    };
    if access.tls.is_none() {
        access.status = number().flatten().and_then(|status| u16::try_from(status).ok());
    }
    access.bytes = number().flatten();
    // Versions of Traefik write the dash of no link and of no browser without quotes.
    let bare = rest.strip_prefix("- ").filter(|after| after.starts_with(['"', '-'])).map(|after| ("-", after));
    if let Some((referrer, after)) = bare.or_else(|| quoted(rest)) {
        access.referrer = Some(referrer);
        let after = after.trim_start();
        let bare = after.strip_prefix("- ").filter(|_| bare.is_some()).map(|more| ("-", more));
        if let Some((agent, more)) = bare.or_else(|| quoted(after)) {
            (access.agent, access.more) = (Some(agent), more.trim());
        }
    }
}

/// The inside of the quotes at the front, escapes left as they are; and what follows. A quote that does
/// not close takes the rest: the line was cut.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)).map(|at| from + at) {
        if bytes.get(at) == Some(&b'"') {
            return Some((inner.get(..at)?, inner.get(at + 1..)?));
        }
        from = at + 2;
    }
    Some((inner, ""))
}

/// Takes a request line apart; `None` where it is none (a scanner's bytes, TLS spoken to plain HTTP).
pub fn request(line: &str) -> Option<Request<'_>> {
    let (method, rest) = cut(line, b' ')?;
    let is_method = !method.is_empty()
        && method.len() <= 32
        && method.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'));
    is_method.then_some(())?;
    match cut_at_last(rest, " HTTP/") {
        Some((target, version)) => Some(Request { method, target, version: Some(version) }),
        None if rest.contains(' ') || rest.is_empty() => None,
        None => Some(Request { method, target: rest, version: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, change: impl Fn(&mut Access<'_>)) {
        let mut expected = Access {
            timestamp: Timestamp::parse("2026-02-03T04:05:06Z", 0).unwrap(),
            client: "10.0.0.1",
            user: "-",
            request: "GET /x HTTP/1.1",
            status: Some(200),
            bytes: Some(7),
            ..Access::default()
        };
        change(&mut expected);
        assert_eq!(parse(text, 0).expect("exists"), Some(expected), "{text}");
    }

    #[test]
    fn lines_of_all_shapes() {
        check(r#"10.0.0.1 - - [03/Feb/2026:11:05:06 +0700] "GET /x HTTP/1.1" 200 7"#, |_| {});
        check(
            r#"10.0.0.1 - an b [03/Feb/2026:11:05:06 +0700] "GET /x HTTP/1.1" 200 - "-" "curl \"x\"" "1.1.1.1""#,
            |it| {
                (it.user, it.bytes) = ("an b", None);
                (it.referrer, it.agent, it.more) = (Some("-"), Some(r#"curl \"x\""#), r#""1.1.1.1""#);
            },
        );
        check(r#"web.example:443 10.0.0.1 - - [03/Feb/2026:11:05:06 +0700] "GET /x HTTP/1.1" 200 7"#, |it| {
            it.virtual_host = Some("web.example:443");
        });
        check(r#"10.0.0.1, 10.0.0.2 - - [03/Feb/2026:11:05:06 +0700] "GET /x HTTP/1.1" 200 7"#, |_| {});
        check(r#"host.example - - [03/Feb/2026:11:05:06 +0700] "-" 408 -"#, |it| {
            (it.client, it.request, it.status, it.bytes) = ("host.example", "-", Some(408), None);
        });
        check(r#"[03/Feb/2026:11:05:06 +0700] 10.0.0.1 TLSv1.3 AES "GET /x HTTP/1.1" 7"#, |it| {
            (it.status, it.tls) = (None, Some(("TLSv1.3", "AES")));
        });
        check(r#"10.0.0.1 - - [03/Feb/2026:11:05:06 +0700] "GET /x HTTP/1.1"#, |it| {
            (it.status, it.bytes) = (None, None)
        });
    }

    #[test]
    fn requests_are_taken_apart_or_left_whole() {
        let all = Request { method: "GET", target: "/a b", version: Some("1.1") };
        assert_eq!(request("GET /a b HTTP/1.1"), Some(all));
        assert_eq!(request("GET /a").and_then(|it| it.version), None);
        assert_eq!(request(r"\x16\x03\x01 x"), None);
        assert_eq!(request("-"), None);
    }

    #[test]
    fn a_date_that_does_not_exist_is_a_fault() {
        let fault =
            parse(r#"1.1.1.1 - - [30/Feb/2026:11:05:06 +0700] "GET / HTTP/1.1" 200 7"#, 0).expect_err("no such day");
        assert_eq!(fault.offset, 13);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(front in ".{0,20}", back in "[\" \\\\a-z0-9-]{0,40}") {
            prop_assert!(parse(&format!("{front} [03/Feb/2026:11:05:06 +0700] {back}"), 0).is_ok(), "is read");
            let _ = request(&front);
        }
    }
}
