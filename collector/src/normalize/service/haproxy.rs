//! HAProxy: who asked for what through the balancer, and which server answered.
//!
//! In: a message of HAProxy in its HTTP, TCP, error or default format, whatever carried it. Out: client, request, status, server, how the
//! session ended. Promise: all that stands before the request is HAProxy's own; headers it captured stand in braces, the request in quotes at
//! the end, and neither is searched for wording. Source: HAProxy 2.8 Configuration Manual, 8.2 "Log formats" (8.2.1 default, 8.2.2
//! TCP, 8.2.3 HTTP, 8.2.5 error), 8.5 "Session state at disconnection".

use nhatle_event::{Event, Field, Value};

use super::{happened, set_named, set_number, set_port};
use crate::normalize::device::{Act, act, set_text};
use crate::normalize::linux::set_source;
use crate::normalize::{Context, web};
use crate::parse::{date, web_access};

/// The timers of the HTTP format; those of the TCP format are the last three of these without the last but one.
const TIMERS: [&str; 5] = [
    "haproxy.http.request.time_wait_ms",
    "haproxy.total_waiting_time_ms",
    "haproxy.connection_wait_time_ms",
    "haproxy.http.request.time_wait_without_data_ms",
    "",
];
const CONNECTIONS: [&str; 5] = ["active", "frontend", "backend", "server", "retries"];

/// The words of a line one after another.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        let (word, rest) = self.0.trim_start().split_once(' ').unwrap_or((self.0.trim_start(), ""));
        self.0 = rest;
        word
    }
}

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    if let Some(rest) = message.strip_prefix("Connect from ") {
        return connect(event, rest);
    }
    let mut words = Words(message);
    let (client, at) = (words.next(), words.next());
    let Some(stamp) = accepted(at, context.offset_s) else { return };
    let Some((address, port)) = client.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) else { return };
    event.timestamp = stamp;
    if address != "-" {
        set_source(event, address.trim_matches(['[', ']']));
    }
    set_port(event, port);
    let frontend = words.next();
    if let Some(rest) = frontend.strip_suffix(':') {
        return refused(event, rest, words.0.trim());
    }
    set_named(event, "haproxy.frontend_name", Some(frontend));
    let (backend, server) = words.next().split_once('/').unwrap_or_default();
    set_named(event, "haproxy.backend_name", Some(backend));
    set_named(event, "haproxy.server_name", Some(server));
    let mut timers = words.next();
    if !is_numbers(timers) {
        // Where a site writes the name asked for behind the server, it is one word before the timers.
        set_text(event, Field::DESTINATION_DOMAIN, timers);
        timers = words.next();
    }
    match timers.split('/').count() {
        5 => http(event, timers, &mut words),
        3 => tcp(event, timers, &mut words),
        _ => {}
    }
}

/// Whether a line without a header is surely HAProxy's: a client with its port, the moment with its thousandths, a frontend.
pub fn is_own(text: &str, offset_s: i32) -> bool {
    let mut words = Words(text);
    let (client, at, frontend) = (words.next(), words.next(), words.next());
    let address = client.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    address.is_some_and(|(address, _)| address.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok())
        && at.contains('.')
        && accepted(at, offset_s).is_some()
        && (words.next().contains('/') || frontend.ends_with(':'))
}

/// `[23/Nov/2026:09:10:00.123]`.
fn accepted(word: &str, offset_s: i32) -> Option<nhatle_event::Timestamp> {
    let inside = word.strip_prefix('[')?.strip_suffix(']')?;
    let (whole, millis) = inside.split_once('.').unwrap_or((inside, "0"));
    let (stamp, _) = date::common_log(whole, offset_s).ok()??;
    let millis = millis.parse::<u16>().ok().filter(|millis| *millis < 1000)?;
    Some(nhatle_event::Timestamp(stamp.0.saturating_add(i64::from(millis) * 1_000_000)))
}

/// `0/0/1/+30/-1`: numbers between slashes.
fn is_numbers(word: &str) -> bool {
    word.contains('/')
        && word.split('/').all(|number| {
            let digits = number.trim_start_matches(['+', '-']);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// `TR/Tw/Tc/Tr/Ta status bytes cookie cookie state connections queues {…} {…} "request"`.
fn http(event: &mut Event, timers: &str, words: &mut Words<'_>) {
    for (name, value) in TIMERS.iter().zip(timers.split('/')).filter(|(name, _)| !name.is_empty()) {
        set_number(event, name, value);
    }
    duration(event, timers.rsplit('/').next().unwrap_or_default());
    let (status, bytes, _, _) = (words.next(), words.next(), words.next(), words.next());
    set_text(event, Field::HTTP_RESPONSE_STATUS_CODE, status);
    set_number(event, "http.response.bytes", bytes.trim_start_matches('+'));
    let code = status.parse::<i64>().unwrap_or_default();
    let is_failure = !(0..400).contains(&code);
    act(event, Act("web", &["access"], if is_failure { "failure" } else { "success" }));
    state(event, words);
    if let Some(request) = words.0.split_once('"').map(|(_, rest)| rest.trim_end().trim_end_matches('"')) {
        match web_access::request(request) {
            Some(request) => {
                event.set(Field::HTTP_REQUEST_METHOD, request.method);
                if let Some(version) = request.version {
                    event.set(Field::HTTP_VERSION, version);
                }
                web::set_url(event, request.target);
            }
            None => set_named(event, "haproxy.http.request.raw_request_line", Some(request)),
        }
    }
}

/// `Tw/Tc/Tt bytes state connections queues`.
fn tcp(event: &mut Event, timers: &str, words: &mut Words<'_>) {
    duration(event, timers.rsplit('/').next().unwrap_or_default());
    set_number(event, "haproxy.bytes_read", words.next().trim_start_matches('+'));
    act(event, Act("network", &["connection"], ""));
    event.set(Field::NETWORK_TRANSPORT, "tcp");
    state(event, words);
}

/// The state at the end and who was connected. `S` or `C` with `D`, `C`, `T` in front is how it ended, `PR` a refusal by HAProxy's own rule.
fn state(event: &mut Event, words: &mut Words<'_>) {
    let (state, connections, queues) = (words.next(), words.next(), words.next());
    set_named(event, "haproxy.termination_state", Some(state));
    if state.starts_with("PR") {
        event.add(Field::EVENT_TYPE, "denied");
    }
    for (name, value) in CONNECTIONS.iter().zip(connections.split('/')) {
        set_number(event, &format!("haproxy.connections.{name}"), value.trim_start_matches('+'));
    }
    let (server, backend) = queues.split_once('/').unwrap_or((queues, ""));
    set_number(event, "haproxy.server_queue", server);
    set_number(event, "haproxy.backend_queue", backend);
}

fn duration(event: &mut Event, millis: &str) {
    if let Some(millis) = millis.trim_start_matches('+').parse::<i64>().ok().filter(|millis| 0 <= *millis) {
        event.set(Field::EVENT_DURATION, Value::Long(millis.saturating_mul(1_000_000)));
    }
}

/// `192.0.2.9:4022 to 192.0.2.1:443 (web/HTTP)`.
fn connect(event: &mut Event, text: &str) {
    happened(event, "connection_accepted", Act("network", &["connection", "start"], ""));
    let Some((client, rest)) = text.split_once(" to ") else { return };
    let (server, front) = rest.split_once(" (").unwrap_or((rest, ""));
    if let Some((address, port)) = client.rsplit_once(':') {
        set_source(event, address.trim_matches(['[', ']']));
        set_port(event, port);
    }
    if let Some((address, port)) = server.rsplit_once(':') {
        set_text(event, Field::DESTINATION_IP, address.trim_matches(['[', ']']));
        set_text(event, Field::DESTINATION_PORT, port);
    }
    let (front, mode) = front.trim_end_matches(')').split_once('/').unwrap_or((front, ""));
    set_named(event, "haproxy.frontend_name", Some(front));
    set_named(event, "haproxy.mode", Some(mode));
}

/// `web/1: SSL handshake failure`: a connection that came to nothing.
fn refused(event: &mut Event, bind: &str, reason: &str) {
    happened(event, "connection_failed", Act("network", &["connection", "error"], "failure"));
    let (front, name) = bind.split_once('/').unwrap_or((bind, ""));
    set_named(event, "haproxy.frontend_name", Some(front));
    set_named(event, "haproxy.bind_name", Some(name));
    set_named(event, "event.reason", Some(reason));
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const HTTP: &str = r#"203.0.113.9:33317 [23/Nov/2026:09:10:00.655] web-in~ cong/may-2 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {cong.example|curl} {} "GET /a/index.html?x=1 HTTP/1.1""#;

    #[test]
    fn requests_connections_and_refusals() {
        let told = [
            ("event.dataset", "haproxy.log"),
            ("source.ip", "203.0.113.9"),
            ("source.port", "33317"),
            ("http.response.status_code", "200"),
            ("http.response.bytes", "2750"),
            ("http.request.method", "GET"),
            ("http.version", "1.1"),
            ("url.path", "/a/index.html"),
            ("url.query", "x=1"),
            ("haproxy.backend_name", "cong"),
            ("haproxy.server_name", "may-2"),
            ("haproxy.termination_state", "----"),
            ("event.outcome", "success"),
            ("event.duration", "109000000"),
            ("@timestamp", "2026-11-23T09:10:00.655Z"),
        ];
        for profile in ["haproxy", "linux", ""] {
            check(profile, &format!("<134>Nov 23 09:10:00 lb-01 haproxy[14389]: {HTTP}"), &told);
        }
        check("haproxy", HTTP, &told);
        check(
            "haproxy",
            r#"-:222 [23/Nov/2026:09:10:00.655] web-in~ cong/<NOSRV> cong.example -1/-1/-1/-1/+50 403 +7 - - PR-- 1/1/1/1/+2 0/0 "OPTIONS * HTTP/2.0""#,
            &[
                ("!source.ip", ""),
                ("source.port", "222"),
                ("destination.domain", "cong.example"),
                ("event.outcome", "failure"),
                ("event.type", "access,denied"),
                ("haproxy.connections.retries", "2"),
                ("event.duration", "50000000"),
            ],
        );
        check(
            "haproxy",
            "[2001:db8::9]:33313 [23/Nov/2026:09:10:00.655] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
            &[("source.ip", "2001:db8::9"), ("haproxy.bytes_read", "212"), ("network.transport", "tcp")],
        );
        check(
            "haproxy",
            "Connect from 203.0.113.9:33312 to 192.0.2.1:8012 (www/HTTP)",
            &[("source.ip", "203.0.113.9"), ("destination.port", "8012"), ("haproxy.mode", "HTTP")],
        );
        check(
            "haproxy",
            "203.0.113.9:59293 [23/Nov/2026:09:10:00.655] www/1: SSL handshake failure",
            &[("event.outcome", "failure"), ("event.reason", "SSL handshake failure"), ("haproxy.bind_name", "1")],
        );
        for line in ["Proxy www started.", "203.0.113.9 [x] y", "", "203.0.113.9:4 [23/Nov/2026:09:10:00.655]"] {
            check("haproxy", &format!("<134>Nov 23 09:10:00 lb-01 haproxy[1]: {line}"), &[("!event.outcome", "")]);
        }
    }

    #[test]
    fn what_a_client_sends_moves_nothing() {
        check(
            "haproxy",
            r#"203.0.113.9:1 [23/Nov/2026:09:10:00.655] web cong/may-2 1/0/3/6/10 400 7 - - ---- 1/1/1/1/0 0/0 {a 192.0.2.1:5 [23/Nov/2026:09:10:00.655] x} "GET /\" 200 HTTP/1.0 HTTP/1.1""#,
            &[("source.ip", "203.0.113.9"), ("http.response.status_code", "400"), ("event.outcome", "failure")],
        );
        check(
            "haproxy",
            r#"203.0.113.9:1 [23/Nov/2026:09:10:00.655] web cong/may-2 1/0/3/6/10 400 7 - - ---- 1/1/1/1/0 0/0 "<BADREQ>""#,
            &[("haproxy.http.request.raw_request_line", "<BADREQ>"), ("!http.request.method", "")],
        );
    }
}
