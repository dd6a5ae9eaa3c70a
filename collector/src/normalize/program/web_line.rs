//! Requests as applications write them to their own log, in other forms than web servers.
//!
//! In: what stands behind the date and level of a line. Out: who asked for what, and what came of it. Promise: the client is an address in
//! its place or nothing is set. Source: Uvicorn and Gunicorn `access`; Gin's logger; Play's AccessLogFilter; Exchange's protocol logs of IMAP, POP and SMTP.

use std::net::{IpAddr, SocketAddr};

use nhatle_event::{Event, Field};

use super::super::device::{Act, act};
use super::super::linux::{Outcome, authentication, set_source, set_user};
use super::super::web::set_request;
use super::set_port;
use crate::parse::{Needle, cut};

const BEFORE_REQUEST: Needle = Needle::new(" - \"");
const TOOK: Needle = Needle::new(" took ");

/// Which forms a line may have, by the marks that stand in it: of its ends none has a mark that it has not.
pub(super) struct Marks {
    has_request: bool,
    has_bars: bool,
    has_took: bool,
}

impl Marks {
    /// Those of a line.
    pub(super) fn of(line: &str) -> Marks {
        Marks {
            has_request: BEFORE_REQUEST.is_in(line),
            has_bars: memchr::memchr_iter(b'|', line.as_bytes()).nth(2).is_some(),
            has_took: TOOK.is_in(line),
        }
    }

    /// Sets what the line, or an end of it, says of a request. Whether it is one.
    pub(super) fn set_fields(&self, event: &mut Event, text: &str) -> bool {
        (self.has_request && asgi(event, text))
            || bracketed(event, text)
            || (self.has_bars && gin(event, text))
            || (self.has_took && play(event, text))
    }
}

/// `203.0.113.9:4411`, `203.0.113.9`, in brackets or not.
fn peer(word: &str) -> Option<(IpAddr, Option<&str>)> {
    let word = word.trim_matches(['[', ']', ',']);
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some((address, None));
    }
    let (address, port) = word.rsplit_once(':')?;
    Some((address.trim_matches(['[', ']']).parse::<IpAddr>().ok()?, Some(port)))
}

fn set(event: &mut Event, client: (IpAddr, Option<&str>), request: &str, status: &str) -> bool {
    let Ok(status) = status.parse::<u16>() else { return false };
    if !(100..=599).contains(&status) {
        return false;
    }
    act(event, Act("web", &["access"], if status < 400 { "success" } else { "failure" }));
    event.set(Field::EVENT_ACTION, "web_request");
    event.set(Field::HTTP_RESPONSE_STATUS_CODE, status);
    set_source(event, &client.0.to_canonical().to_string());
    set_port(event, client.1);
    set_request(event, request);
    true
}

/// `203.0.113.9:4411 - "POST /login HTTP/1.1" 401 Unauthorized`.
fn asgi(event: &mut Event, text: &str) -> bool {
    let Some((front, rest)) = BEFORE_REQUEST.split(text) else { return false };
    let (Some(client), Some((request, rest))) = (peer(front.trim()), rest.split_once("\" ")) else { return false };
    set(event, client, request, rest.split(' ').next().unwrap_or_default())
}

/// `[203.0.113.9:4411] 401 Unauthorized "POST /login HTTP/1.1"`.
fn bracketed(event: &mut Event, text: &str) -> bool {
    let Some((front, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { return false };
    let (Some(client), Some((status, rest))) = (peer(front), rest.split_once(' ')) else { return false };
    let request = rest.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map(|(request, _)| request);
    request.is_some_and(|request| set(event, client, request, status))
}

/// `401 |     505.317µs |       203.0.113.9 | POST     "/client"`.
fn gin(event: &mut Event, text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(4, '|').map(str::trim).collect();
    let [status, _, client, request] = parts[..] else { return false };
    let Some(client) = peer(client) else { return false };
    let Some((method, target)) = request.split_once(char::is_whitespace) else { return false };
    set(event, client, &format!("{method} {}", target.trim().trim_matches('"')), status)
}

/// `203.0.113.9 POST /api/v1/login took 8ms and returned 401 65 bytes`.
fn play(event: &mut Event, text: &str) -> bool {
    let Some((front, rest)) = TOOK.split(text) else { return false };
    let Some((client, request)) = front.split_once(' ') else { return false };
    let (Some(client), Some((_, back))) = (peer(client), rest.split_once(" and returned ")) else { return false };
    set(event, client, request, back.split(' ').next().unwrap_or_default())
}

/// A line of Exchange behind its date: IMAP and POP `session,seq,server,client,user,duration,…,command,parameters,context`, SMTP
/// `connector,session,seq,server,client,event,data,context`.
pub(super) fn exchange(event: &mut Event, text: &str) -> bool {
    let is_session = |word: &str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (first, rest) = cut(text, b',').unwrap_or((text, ""));
    if !is_session(first) && !is_session(cut(rest, b',').map_or(rest, |(second, _)| second)) {
        return false;
    }
    let words: Vec<&str> = text.splitn(12, ',').collect();
    let is_smtp = words.get(1).is_some_and(|word| is_session(word));
    let at = if is_smtp { 3 } else { 2 };
    if !is_smtp && !words.first().is_some_and(|word| is_session(word)) {
        return false;
    }
    let end = |at: usize| words.get(at).and_then(|word| word.parse::<SocketAddr>().ok());
    let (Some(server), Some(client)) = (end(at), end(at + 1)) else { return false };
    set_source(event, &client.ip().to_canonical().to_string());
    event.set(Field::SOURCE_PORT, client.port());
    event.set(Field::DESTINATION_IP, server.ip().to_canonical());
    event.set(Field::DESTINATION_PORT, server.port());
    let rest = words.get(at + 2..).unwrap_or_default();
    event.set_named("exchange.session", words.get(usize::from(is_smtp)).copied().unwrap_or_default());
    if is_smtp {
        let data = rest.get(1).copied().unwrap_or_default();
        match data.split(' ').next() {
            Some("535") => authentication(event, "smtp_login", Outcome::Failure),
            Some("235") => authentication(event, "smtp_login", Outcome::Success),
            _ => smtp(event),
        }
        event.set_named("exchange.data", data);
        return true;
    }
    set_user(event, rest.first().copied().unwrap_or_default());
    let (command, context) = (rest.get(4).copied().unwrap_or_default(), rest.get(5..).unwrap_or_default().join(","));
    event.set_named("exchange.command", command);
    let is_sign_in = ["auth", "login", "pass"].iter().any(|word| command.starts_with(word));
    if !is_sign_in {
        smtp(event);
        event.set(Field::EVENT_ACTION, "mail_command");
        return true;
    }
    let is_out = ["LogonDenied", "AuthFailed", "NO ", "-ERR", "failed"].iter().any(|mark| context.contains(mark));
    authentication(event, "mail_login", if is_out { Outcome::Failure } else { Outcome::Success });
    true
}

fn smtp(event: &mut Event) {
    act(event, Act("email", &["info"], ""));
    event.set(Field::EVENT_ACTION, "smtp_command");
}
