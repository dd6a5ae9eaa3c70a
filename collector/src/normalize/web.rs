//! Web servers' access and error logs as ECS.
//!
//! In: one line of nginx or Apache. Out: the event: who asked for what, and what came of it. The two
//! write the same access log; without a profile it is taken as nginx's unless Apache alone writes so.
//! Source: ECS 8.17 http, url, user_agent.

use std::borrow::Cow;
use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

use super::linux::set_source;
use super::service::modsecurity;
use super::{Context, tls, web_tail};
use crate::parse::web_access::{self, Access};
use crate::parse::web_error::{self, ErrorLine, Server};
use crate::parse::{self, Fault, Format};
use crate::profile::Profile;

/// The event of a line; one that has neither form keeps its message.
///
/// # Errors
/// The line's date does not exist.
pub fn event(text: &str, context: &Context<'_>) -> Result<Event, Fault> {
    if let Some(error) =
        web_error::is_error_line(text).then(|| web_error::parse(text, context.offset_s)).transpose()?.flatten()
    {
        return Ok(error_event(&error, context));
    }
    match web_access::parse(text, context.offset_s)? {
        Some(access) => Ok(access_event(&access, context)),
        None => super::plain(text, context),
    }
}

/// The event of a web server's line carried by syslog; `None` where the message is no such line.
pub fn line(message: &str, context: &Context<'_>) -> Option<Event> {
    matches!(parse::detect(message), Format::WebAccess | Format::WebError).then_some(())?;
    event(message, context).ok()
}

fn access_event(access: &Access<'_>, context: &Context<'_>) -> Event {
    let is_apache = context.profile == Some(Profile::Apache) || (context.profile.is_none() && access.tls.is_some());
    let (module, dataset) = if is_apache { ("apache", "apache.access") } else { ("nginx", "nginx.access") };
    let mut event = context.event(Some(access.timestamp), module, dataset);
    event.set(Field::EVENT_CATEGORY, "web");
    event.set(Field::EVENT_TYPE, "access");
    // A health check of the machine itself comes from a socket that has no address.
    if !matches!(access.client, "-" | "unix:") {
        set_source(&mut event, access.client);
    }
    // Elastic's module for Apache keeps the dash of nobody, and that for nginx does not.
    if access.user != "-" || is_apache {
        event.set(Field::USER_NAME, access.user);
    }
    if let Some(host) = access.virtual_host {
        let (host, port) = host
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or((host, None), |(host, port)| (host, Some(port)));
        event.set(Field::DESTINATION_DOMAIN, host);
        event.set(Field::URL_DOMAIN, host);
        if host.parse::<IpAddr>().is_ok() {
            set_ip(&mut event, Field::DESTINATION_IP, host);
        }
        if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
            event.set(Field::URL_PORT, port);
        }
    }
    set_request(&mut event, access.request);
    if let Some(status) = access.status {
        event.set(Field::HTTP_RESPONSE_STATUS_CODE, status);
        event.set(Field::EVENT_OUTCOME, if status < 400 { "success" } else { "failure" });
    }
    if let Some(bytes) = access.bytes {
        event.set(Field::HTTP_RESPONSE_BODY_BYTES, bytes);
    }
    if let Some(referrer) = access.referrer.filter(|text| is_given(text)) {
        event.set(Field::HTTP_REQUEST_REFERRER, referrer);
    }
    if let Some(agent) = access.agent.filter(|text| is_given(text)) {
        event.set(Field::USER_AGENT_ORIGINAL, agent);
    }
    if let Some((version, cipher)) = access.tls {
        tls::set_version(&mut event, version);
        event.set(Field::TLS_CIPHER, cipher);
    }
    web_tail::set(&mut event, access.more);
    let message = crate::lossy(&context.record.bytes);
    event.set(Field::MESSAGE, message.trim_end());
    event
}

fn is_given(text: &str) -> bool {
    !text.is_empty() && text != "-"
}

fn set_ip(event: &mut Event, field: Field, text: &str) {
    if let Ok(address) = text.parse::<IpAddr>() {
        event.set(field, address);
    }
}

/// Method, version, and the address asked for: as sent, and its parts decoded.
pub(super) fn set_request(event: &mut Event, line: &str) {
    let Some(request) = web_access::request(line) else {
        if is_given(line) {
            event.set(Field::URL_ORIGINAL, line);
        }
        return;
    };
    event.set(Field::HTTP_REQUEST_METHOD, request.method);
    if let Some(version) = request.version {
        event.set(Field::HTTP_VERSION, version);
    }
    // What is asked of a tunnel is a host and a port (RFC 9110 section 9.3.6), no path.
    let tunnel = (request.method == "CONNECT").then(|| request.target.rsplit_once(':')).flatten();
    match tunnel.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(port) => {
            event.set(Field::URL_ORIGINAL, request.target);
            event.set(Field::URL_DOMAIN, domain_of(request.target));
            event.set(Field::URL_PORT, port);
        }
        None => set_url(event, request.target),
    }
}

/// The address asked for: as sent, and its parts decoded.
pub(super) fn set_url(event: &mut Event, target: &str) {
    event.set(Field::URL_ORIGINAL, target);
    let after_scheme =
        parse::cut_at(target, "://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let rest = match after_scheme {
        Some((scheme, rest)) => {
            event.set(Field::URL_SCHEME, scheme);
            let (host, rest) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
            event.set(Field::URL_DOMAIN, domain_of(host));
            rest
        }
        None => target,
    };
    let rest = parse::cut(rest, b'#').map_or(rest, |(rest, _)| rest);
    let (path, query) = parse::cut(rest, b'?').map_or((rest, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() {
        let path = percent_decoded(path);
        let last = parse::cut_last(&path, b'/').map_or(&*path, |(_, last)| last);
        if let Some((_, extension)) = parse::cut_last(last, b'.').filter(|(_, extension)| is_extension(extension)) {
            event.set(Field::URL_EXTENSION, extension);
        }
        event.set(Field::URL_PATH, path.as_ref());
    }
    if let Some(query) = query {
        event.set(Field::URL_QUERY, percent_decoded(query).as_ref());
    }
}

/// The host of `host:port`, of `[2001:db8::1]:port` the address (RFC 3986 section 3.2.2).
fn domain_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

fn is_extension(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'~')
}

/// `%41` undone once (RFC 3986 section 2.1); what is no such code stays.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |place: usize| bytes.get(place).and_then(|byte| char::from(*byte).to_digit(16));
        if *byte == b'%'
            && let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2))
        {
            decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(decoded)
        .map_or_else(|error| Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()), Cow::Owned)
}

fn error_event(error: &ErrorLine<'_>, context: &Context<'_>) -> Event {
    let (module, dataset) = match error.server {
        Server::Apache => ("apache", "apache.error"),
        Server::Nginx => ("nginx", "nginx.error"),
    };
    let mut event = context.event(Some(error.timestamp), module, dataset);
    event.set(Field::EVENT_CATEGORY, "web");
    let is_error = matches!(error.level, "emerg" | "alert" | "crit" | "error" | "warn");
    event.set(Field::EVENT_TYPE, if is_error { "error" } else { "info" });
    event.set(Field::LOG_LEVEL, error.level);
    event.set(Field::MESSAGE, error.message);
    if let Some(module) = error.module {
        event.set(Field::LOG_LOGGER, module);
    }
    if let Some(pid) = error.pid {
        event.set(Field::PROCESS_PID, pid);
    }
    if let Some(tid) = error.tid {
        event.set(Field::PROCESS_THREAD_ID, tid);
    }
    if let Some(client) = error.client {
        set_client(&mut event, client);
    }
    if let Some(request) = error.request {
        set_request(&mut event, request);
    }
    if let Some(host) = error.host {
        event.set(Field::DESTINATION_DOMAIN, host);
    }
    if let Some(referrer) = error.referrer {
        event.set(Field::HTTP_REQUEST_REFERRER, Value::from(referrer));
    }
    if let Some(server) = error.server_address {
        event.set(Field::DESTINATION_IP, server.ip());
        event.set(Field::DESTINATION_PORT, server.port());
    }
    set_sign_in(&mut event, error);
    modsecurity::set_message(&mut event, error.message);
    event
}

/// What an error says of a sign-in: Apache's `user lan: authentication failure for "/": Password Mismatch`, `user lan not found: /`, with its number
/// or without; nginx's `user "lan": password mismatch`, `client login failed: "…"`.
fn set_sign_in(event: &mut Event, error: &ErrorLine<'_>) {
    let message = match error.message.split_once(": ") {
        Some((number, rest)) if number.starts_with("AH") && number.len() == 7 => rest,
        _ => error.message,
    };
    const REASONS: [&str; 8] = [
        ": authentication failure for ",
        ": password mismatch",
        " was not found in ",
        " not found: ",
        ": denied by ",
        ": nonce expired",
        " in realm ",
        " user/password was provided",
    ];
    let user = message.strip_prefix("user ").and_then(|rest| {
        let (at, _) = REASONS.iter().filter_map(|reason| Some((rest.find(reason)?, reason))).min()?;
        Some(rest.get(..at)?.trim_matches(['"', '`', '\'']))
    });
    let login = error.login.filter(|_| message.starts_with("client login failed"));
    if let Some(user) = user.or(login) {
        event.set(Field::EVENT_CATEGORY, Value::List(vec!["web".into(), "authentication".into()]));
        event.set(Field::EVENT_ACTION, "web_login");
        event.set(Field::EVENT_OUTCOME, "failure");
        super::linux::set_user(event, user);
    }
}

/// The event of a line of Apache's error log that came without its date. `None` where it is no such line.
pub(super) fn undated(message: &str, context: &Context<'_>) -> Option<Event> {
    let error = web_error::undated(message, context.record.received)?;
    (error.client.is_some() || error.module.is_some()).then(|| error_event(&error, context))
}

/// `address`, `address:port`, `[address]:port`.
fn set_client(event: &mut Event, client: &str) {
    if let Ok(socket) = client.parse::<std::net::SocketAddr>() {
        set_source(event, &socket.ip().to_string());
        event.set(Field::SOURCE_PORT, socket.port());
    } else {
        set_source(event, client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::{Record, Timestamp};

    #[track_caller]
    fn check(text: &str, profile: Option<Profile>, expected: &[(Field, &str)]) {
        let record = Record::new(text.as_bytes(), "test", Timestamp(0));
        let event = event(text, &Context { record: &record, profile, offset_s: 0 }).expect("is an event");
        for (field, value) in expected {
            let found = event.get(*field).and_then(Value::as_text);
            assert_eq!(found.as_deref(), Some(*value), "{field} of {text}");
        }
    }

    #[test]
    fn access_lines_tell_who_asked_for_what() {
        let text = r#"10.0.0.1 - lan [03/Feb/2026:11:05:06 +0700] "GET /a%20b/x.php?id=1%27%20OR HTTP/1.1" 404 7 "-" "sqlmap""#;
        check(
            text,
            Some(Profile::Apache),
            &[
                (Field::EVENT_DATASET, "apache.access"),
                (Field::SOURCE_IP, "10.0.0.1"),
                (Field::USER_NAME, "lan"),
                (Field::HTTP_REQUEST_METHOD, "GET"),
                (Field::URL_ORIGINAL, "/a%20b/x.php?id=1%27%20OR"),
                (Field::URL_PATH, "/a b/x.php"),
                (Field::URL_QUERY, "id=1' OR"),
                (Field::URL_EXTENSION, "php"),
                (Field::HTTP_RESPONSE_STATUS_CODE, "404"),
                (Field::EVENT_OUTCOME, "failure"),
                (Field::USER_AGENT_ORIGINAL, "sqlmap"),
            ],
        );
        check(text, None, &[(Field::EVENT_DATASET, "nginx.access")]);
    }

    #[test]
    fn an_ingress_tells_the_request_and_its_upstream() {
        let text = r#"192.0.2.9 - - [03/Feb/2026:11:05:06 +0700] "GET /x HTTP/1.1" 200 7 "-" "curl/8" 91 0.250 [cong-web-80] [] 198.51.100.5:8080 59 0.001 200 0123456789abcdef0123456789abcdef"#;
        check(
            text,
            Some(Profile::Nginx),
            &[(Field::EVENT_DURATION, "250000000"), (Field::USER_AGENT_ORIGINAL, "curl/8")],
        );
        let record = Record::new(text.as_bytes(), "test", Timestamp(0));
        let event = event(text, &Context { record: &record, profile: None, offset_s: 0 }).expect("is an event");
        for (name, value) in [
            ("http.request.id", "0123456789abcdef0123456789abcdef"),
            ("nginx.ingress_controller.upstream.name", "cong-web-80"),
            ("nginx.ingress_controller.upstream.address", "198.51.100.5:8080"),
        ] {
            let found = Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::as_text);
            assert_eq!(found.as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn unusual_lines_of_apache() {
        let apache = |text: &str, told: &[(Field, &str)], absent: &[Field]| {
            check(text, Some(Profile::Apache), told);
            let record = Record::new(text.as_bytes(), "test", Timestamp(0));
            let context = Context { record: &record, profile: Some(Profile::Apache), offset_s: 0 };
            let event = event(text, &context).expect("is an event");
            for field in absent {
                assert_eq!(event.get(*field), None, "{field} of {text}");
            }
        };
        const AT: &str = "[03/Feb/2026:11:05:06 +0700]";
        let (nobody, no_referrer) = ((Field::USER_NAME, "-"), Field::HTTP_REQUEST_REFERRER);
        apache(
            &format!(r#"10.0.0.1 - - {AT} "GET / HTTP/1.1" 304 -"#),
            &[nobody],
            &[no_referrer, Field::HTTP_RESPONSE_BODY_BYTES],
        );
        // Sigma's `cs-referer: null` is a request without one.
        apache(
            &format!(r#"10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 7 "-" "-""#),
            &[nobody],
            &[no_referrer, Field::USER_AGENT_ORIGINAL],
        );
        apache(
            &format!(r#"2001:db8::9 - "an b" {AT} "GET /x HTTP/2.0" 200 7 "http://a.example/" "x""#),
            &[
                (Field::SOURCE_IP, "2001:db8::9"),
                (Field::URL_PATH, "/x"),
                (Field::HTTP_REQUEST_REFERRER, "http://a.example/"),
            ],
            &[],
        );
        apache(
            &format!(r#"cong.example:443 10.0.0.1 - an {AT} "GET /x HTTP/1.1" 200 7 "-" "x""#),
            &[(Field::DESTINATION_DOMAIN, "cong.example"), (Field::SOURCE_IP, "10.0.0.1"), (Field::USER_NAME, "an")],
            &[],
        );
        apache(
            &format!(r#"10.0.0.1 - - {AT} "-" 408 -"#),
            &[(Field::HTTP_RESPONSE_STATUS_CODE, "408"), (Field::EVENT_OUTCOME, "failure")],
            &[Field::URL_PATH, Field::HTTP_REQUEST_METHOD],
        );
        apache(
            &format!(r#"10.0.0.1 - - {AT} "\x16\x03\x01" 400 226 "-" "-""#),
            &[(Field::HTTP_RESPONSE_STATUS_CODE, "400")],
            &[Field::HTTP_REQUEST_METHOD],
        );
        apache(
            &format!(r#"10.0.0.1 - - {AT} "GET /a?x=\" 200 0 \" HTTP/1.1" 404 7 "-" "a \" b""#),
            &[(Field::HTTP_RESPONSE_STATUS_CODE, "404")],
            &[],
        );
        apache(
            &format!(r#"10.0.0.1 - - {AT} "GET //x//../y.php;j=1?q#f HTTP/1.0" 200 7"#),
            &[(Field::HTTP_REQUEST_METHOD, "GET"), (Field::HTTP_VERSION, "1.0")],
            &[],
        );
        apache(
            &format!(r#"may-tram - - {AT} "POST http://a.example/x HTTP/1.1" 502 7 "-" "x""#),
            &[(Field::SOURCE_DOMAIN, "may-tram"), (Field::URL_DOMAIN, "a.example")],
            &[Field::SOURCE_IP],
        );
        apache(
            "[Tue Feb 03 04:05:06.123456 2026] [proxy_fcgi:error] [pid 7:tid 140000000000000] [client 203.0.113.9:40000] AH01071: Got error 'client 198.51.100.66:1] x', referer: http://a.example/",
            &[(Field::SOURCE_IP, "203.0.113.9"), (Field::LOG_LEVEL, "error"), (Field::PROCESS_PID, "7")],
            &[],
        );
        apache(
            "[Tue Feb 03 04:05:06 2026] [notice] caught SIGTERM, shutting down",
            &[(Field::LOG_LEVEL, "notice")],
            &[Field::SOURCE_IP],
        );
        apache(
            &format!(r#"10.0.0.1 - - {AT} "CONNECT [2001:db8::5]:443 HTTP/1.1" 405 7 "-" "x""#),
            &[(Field::URL_DOMAIN, "2001:db8::5"), (Field::URL_PORT, "443"), (Field::HTTP_REQUEST_METHOD, "CONNECT")],
            &[Field::URL_PATH],
        );
        apache(
            &format!(r#"- - - {AT} "GET http://[2001:db8::5]:8080/x HTTP/1.1" 200 7 "-" "x""#),
            &[(Field::URL_DOMAIN, "2001:db8::5"), (Field::URL_PATH, "/x")],
            &[Field::SOURCE_DOMAIN, Field::SOURCE_ADDRESS],
        );
        apache(
            "[2026-02-03 04:05:06.123456] [core:error] [pid 7] [client 2001:db8::9:40000] AH00126: x",
            &[(Field::LOG_LEVEL, "error"), (Field::PROCESS_PID, "7"), (Field::EVENT_CATEGORY, "web")],
            &[],
        );
        apache(
            "[Tue Feb 03 04:05:06 2026] [error] [client 203.0.113.9",
            &[(Field::EVENT_DATASET, "apache.error")],
            &[Field::SOURCE_IP],
        );
        apache(
            "AH00558: apache2: Could not reliably determine the server's name",
            &[(Field::EVENT_DATASET, "apache.error")],
            &[Field::SOURCE_IP],
        );
    }

    #[test]
    fn error_lines_tell_level_and_client() {
        check(
            "[Tue Feb 03 04:05:06 2026] [core:error] [pid 7] [client [2001:db8::1]:9] x",
            None,
            &[
                (Field::EVENT_DATASET, "apache.error"),
                (Field::SOURCE_IP, "2001:db8::1"),
                (Field::SOURCE_PORT, "9"),
                (Field::LOG_LEVEL, "error"),
            ],
        );
    }

    #[test]
    fn codes_are_undone_once() {
        assert_eq!(percent_decoded("%2541%zz%"), "%41%zz%");
        assert_eq!(percent_decoded("%ff"), "\u{fffd}");
    }
}
