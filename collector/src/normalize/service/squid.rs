//! Squid: who fetched what through the proxy, and what it refused.
//!
//! In: a line of `access.log` in Squid's native format without its moment, or in the combined format. Out: client,
//! account (`-` for nobody, as Elastic's module has it), address asked for, result, server. Squid takes spaces out of addresses and accounts, so that columns hold
//! no mark of a stranger's. Source: Squid 6, "Log Formats" (`squid`, `combined`), `access.log` FAQ, "Squid result codes".

use nhatle_event::{Event, Field, Text, Value};

use super::{set_named, set_number};
use crate::normalize::device::{Act, act, set_text};
use crate::normalize::linux::{set_source, set_user};
use crate::normalize::{Context, domain, web};
use crate::parse::date::Found;
use crate::parse::web_access;

/// The moment at the front of a native line: `1795399800.250`.
///
/// # Errors
/// None; what is no number is no moment.
pub fn date(text: &str) -> Found {
    let word = text.split(' ').next().unwrap_or_default();
    let (seconds, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_moment = seconds.len() == 10 && is_number(seconds) && is_number(fraction) && fraction.len() <= 6;
    let stamp =
        is_moment.then(|| crate::parse::json::moment(&Value::from(format!("{seconds}.{fraction}")), 0)).flatten();
    Ok(stamp.map(|stamp| (stamp, word.len())))
}

/// Whether a line is of the native log: moment, milliseconds, client, `TCP_MISS/200`, bytes, method. All of them stand before
/// the address asked for.
pub fn is_own(text: &str) -> bool {
    let Ok(Some((_, end))) = date(text) else { return false };
    let mut words = text.get(end..).unwrap_or_default().split_ascii_whitespace();
    let mut next = || words.next().unwrap_or_default();
    let (elapsed, client, result, bytes, method) = (next(), next(), next(), next(), next());
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let (code, status) = result.split_once('/').unwrap_or((result, ""));
    is_number(elapsed.trim_start_matches('-'))
        && client.parse::<std::net::IpAddr>().is_ok()
        && ["TCP_", "UDP_", "NONE"].iter().any(|front| code.starts_with(front))
        && status.len() == 3
        && is_number(status)
        && is_number(bytes)
        && !method.is_empty()
}

/// Sets what a line means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    let message = match date(message) {
        Ok(Some((stamp, used))) => {
            event.timestamp = stamp;
            message.get(used..).unwrap_or_default().trim_start()
        }
        _ => message,
    };
    event.set(Field::OBSERVER_VENDOR, "Squid");
    event.set(Field::OBSERVER_PRODUCT, "Squid");
    event.set(Field::OBSERVER_TYPE, "proxy");
    let plain = without_headers(message);
    // Quotes stand only around what a format of one's own adds: Squid writes none into an address.
    let (columns_text, added) = plain.split_once(" \"").unwrap_or((plain, ""));
    let words: Vec<&str> = columns_text.split_ascii_whitespace().take(64).collect();
    let words = words.get(..columns(&words)).unwrap_or_default();
    if let [elapsed, client, result, bytes, method, middle @ .., user, hierarchy, kind] = words
        && !middle.is_empty()
        && result.contains('/')
    {
        native(event, [elapsed, client, result, bytes, method, user, hierarchy, kind], &middle.join(" "));
        quoted(event, added);
    } else {
        combined(event, message, context.offset_s);
    }
}

/// A native line without the headers that `log_mime_hdrs on` puts behind it in brackets; Squid writes no bracket into an address.
fn without_headers(message: &str) -> &str {
    match message.find(" [") {
        Some(at) if message.ends_with(']') => message.get(..at).unwrap_or(message),
        _ => message,
    }
}

/// How many words are the native columns: up to the type behind the way to the server. Where the last but one is no such
/// way, a format of one's own has more columns, and the first one behind an address counts.
fn columns(words: &[&str]) -> usize {
    let is_way = |word: &&str| {
        word.split_once('/')
            .is_some_and(|(way, _)| way.len() >= 4 && way.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
    };
    if words.len() < 2 || is_way(&words[words.len() - 2]) {
        return words.len();
    }
    let at = words.iter().skip(7).position(is_way).map(|at| at + 7);
    at.map_or(words.len(), |at| (at + 2).min(words.len()))
}

/// What a format of one's own adds in quotes: the browser, and the page it came from.
fn quoted(event: &mut Event, more: &str) {
    for text in more.split('"').step_by(2).filter(|text| !matches!(*text, "" | "-")).take(4) {
        let field = if text.contains("://") && !text.contains(' ') {
            Field::HTTP_REQUEST_REFERRER
        } else {
            Field::USER_AGENT_ORIGINAL
        };
        event.set_default(field, Text::from(text));
    }
}

/// An address without the port behind it, and the port.
fn with_port(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (address, port)
        }
        _ => (text, ""),
    }
}

/// `5006 192.0.2.9 TCP_MISS/200 19763 GET http://a.example/ lan HIER_DIRECT/203.0.113.9 text/html`.
fn native(event: &mut Event, words: [&str; 8], target: &str) {
    let [elapsed, client, result, bytes, method, user, hierarchy, kind] = words;
    if let Ok(millis) = elapsed.parse::<i64>() {
        event.set(Field::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
    let (client, port) = with_port(client);
    set_source(event, client);
    set_text(event, Field::SOURCE_PORT, port);
    let (code, status) = result.split_once('/').unwrap_or((result, ""));
    outcome(event, code, status);
    // What went to the client; Elastic's module has it as the bytes of the client's side (ADR 23).
    set_text(event, Field::SOURCE_BYTES, bytes);
    set_text(event, Field::HTTP_RESPONSE_BODY_BYTES, bytes);
    asked(event, method, target);
    set_user(event, user);
    let (way, server) = hierarchy.split_once('/').unwrap_or((hierarchy, ""));
    set_named(event, "squid.hierarchy", Some(way));
    let (server, port) = with_port(server);
    set_text(event, Field::DESTINATION_IP, server);
    set_text(event, Field::DESTINATION_PORT, port);
    if kind != "-" {
        set_named(event, "http.response.mime_type", Some(kind));
    }
}

/// The combined format: an access line, then `TCP_MISS:HIER_DIRECT`.
fn combined(event: &mut Event, message: &str, offset_s: i32) {
    let Ok(Some(access)) = web_access::parse(message, offset_s) else { return };
    event.timestamp = access.timestamp;
    set_source(event, access.client);
    set_user(event, access.user);
    if let Some(request) = web_access::request(access.request) {
        asked(event, request.method, request.target);
        if let Some(version) = request.version {
            event.set(Field::HTTP_VERSION, version);
        }
    }
    let last = message.rsplit(' ').next().unwrap_or_default();
    let (code, way) = last.split_once(':').unwrap_or(("", ""));
    outcome(event, code, &access.status.map(|status| status.to_string()).unwrap_or_default());
    set_named(event, "squid.hierarchy", Some(way));
    if let Some(bytes) = access.bytes {
        event.set(Field::HTTP_RESPONSE_BODY_BYTES, bytes);
    }
    for (field, value) in [(Field::HTTP_REQUEST_REFERRER, access.referrer), (Field::USER_AGENT_ORIGINAL, access.agent)]
    {
        if let Some(value) = value.filter(|value| !matches!(*value, "" | "-")) {
            event.set(field, value);
        }
    }
}

/// Result codes with `DENIED` in them are Squid's own refusals.
fn outcome(event: &mut Event, code: &str, status: &str) {
    let is_denied = code.contains("DENIED");
    let status_code = status.parse::<i64>().unwrap_or_default();
    let is_failure = is_denied || status_code >= 400;
    let types: &[&str] = if is_denied { &["access", "denied"] } else { &["access"] };
    act(event, Act("web", types, if is_failure { "failure" } else { "success" }));
    if !code.is_empty() {
        event.set(Field::EVENT_ACTION, code);
    }
    if status_code > 0 {
        event.set(Field::HTTP_RESPONSE_STATUS_CODE, status_code);
    }
}

/// An address, or `host:port` of a tunnel.
fn asked(event: &mut Event, method: &str, target: &str) {
    event.set(Field::HTTP_REQUEST_METHOD, method);
    event.set(Field::EVENT_CODE, method);
    if method == "CONNECT" {
        event.set(Field::URL_ORIGINAL, target);
        let (host, port) = target.rsplit_once(':').unwrap_or((target, ""));
        event.set(Field::URL_DOMAIN, host.trim_matches(['[', ']']));
        set_number(event, "url.port", port);
        set_text(event, Field::DESTINATION_PORT, port);
    } else {
        web::set_url(event, target);
        set_file_name(event, target);
    }
    if let Some(host) = event.text(Field::URL_DOMAIN).map(Text::from) {
        domain::set_parts(event, "url", &host);
        domain::set_parts(event, "server", &host);
        event.set_named("server.domain", host);
    }
}

/// The file asked for: what stands behind the last slash of the path.
fn set_file_name(event: &mut Event, target: &str) {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let name = path.rsplit_once('/').map_or("", |(_, name)| name);
    if !name.is_empty() {
        event.set(Field::FILE_NAME, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn native_lines_from_file_and_syslog() {
        let line = "1795399800.250   5006 192.0.2.9 TCP_MISS/200 19763 GET http://a.example/x/tai-ve.exe?b=1 lan HIER_DIRECT/203.0.113.9 application/x-msdownload";
        let told = [
            ("event.dataset", "squid.log"),
            ("@timestamp", "2026-11-23T02:10:00.250Z"),
            ("source.ip", "192.0.2.9"),
            ("destination.ip", "203.0.113.9"),
            ("user.name", "lan"),
            ("url.domain", "a.example"),
            ("url.path", "/x/tai-ve.exe"),
            ("url.extension", "exe"),
            ("file.name", "tai-ve.exe"),
            ("server.domain", "a.example"),
            ("source.bytes", "19763"),
            ("event.code", "GET"),
            ("event.action", "TCP_MISS"),
            ("event.outcome", "success"),
            ("http.response.mime_type", "application/x-msdownload"),
            ("event.duration", "5006000000"),
        ];
        check("squid", line, &told);
        check("", &format!("<134>Nov 23 02:10:00 proxy-01 (squid-1)[7]: {line}"), &told);
        check("linux", &format!("<134>Nov 23 02:10:00 proxy-01 squid[7]: {line}"), &told);
    }

    #[test]
    fn tunnels_refusals_and_the_combined_format() {
        check(
            "squid",
            "1795399800.250 0 192.0.2.9 TCP_DENIED/403 3900 CONNECT 203.0.113.9:443 - HIER_NONE/- text/html",
            &[
                ("url.domain", "203.0.113.9"),
                ("!server.registered_domain", ""),
                ("url.port", "443"),
                ("event.outcome", "failure"),
                ("event.type", "access,denied"),
                ("user.name", "-"),
                ("!destination.ip", ""),
            ],
        );
        check(
            "squid",
            "192.0.2.9 - lan [23/Nov/2026:09:10:00 +0700] \"GET http://a.example/ HTTP/1.1\" 200 1234 \"-\" \"curl/8\" TCP_MISS:HIER_DIRECT",
            &[
                ("source.ip", "192.0.2.9"),
                ("user_agent.original", "curl/8"),
                ("event.action", "TCP_MISS"),
                ("@timestamp", "2026-11-23T02:10:00Z"),
            ],
        );
        check("squid", "1795399800.250 x", &[("!source.ip", ""), ("message", "x")]);
    }

    #[test]
    fn unusual_lines_of_every_kind() {
        let rows: [(&str, &[(&str, &str)]); 15] = [
            (
                "1795399800.250 12 2001:db8::9 TCP_TUNNEL/200 3900 CONNECT [2001:db8::5]:443 - HIER_DIRECT/2001:db8::5 -",
                &[
                    ("source.ip", "2001:db8::9"),
                    ("destination.ip", "2001:db8::5"),
                    ("url.domain", "2001:db8::5"),
                    ("url.port", "443"),
                    ("user.name", "-"),
                    ("!http.response.mime_type", ""),
                ],
            ),
            (
                "1795399800.250 0 192.0.2.9 NONE_NONE/400 3900 - error:invalid-request - HIER_NONE/- text/html",
                &[("event.outcome", "failure"), ("event.action", "NONE_NONE"), ("!destination.ip", "")],
            ),
            (
                "1795399800.250 0 192.0.2.9 TCP_DENIED/407 3900 GET http://a.example/ - HIER_NONE/- text/html",
                &[("event.type", "access,denied"), ("http.response.status_code", "407"), ("!related.user", "")],
            ),
            (
                r"1795399800.250 9 192.0.2.9 TCP_MISS/200 1 GET http://a.example/x donghoi%5can HIER_DIRECT/203.0.113.9 text/html",
                &[("user.name", "donghoi%5can")],
            ),
            (
                "1795399800.250 -1 192.0.2.9 TCP_MEM_HIT/200 99999999999999999999 GET http://a.example/ an HIER_NONE/- text/html;charset=utf-8",
                &[("!source.bytes", ""), ("user.name", "an"), ("event.outcome", "success")],
            ),
            (
                "1795399800.250 9 192.0.2.9 TCP_MISS/000 0 POST http://a.example:8080/x.php?u=http://b.example/y.exe an FIRSTUP_PARENT/192.0.2.3 -",
                &[
                    ("url.domain", "a.example"),
                    ("url.extension", "php"),
                    ("destination.ip", "192.0.2.3"),
                    ("squid.hierarchy", "FIRSTUP_PARENT"),
                    ("!http.response.status_code", ""),
                ],
            ),
            (
                "1795399800.250 9 may-tram TCP_MISS/200 7 GET /relative an HIER_DIRECT/a.example text/html",
                &[
                    ("source.domain", "may-tram"),
                    ("!source.ip", ""),
                    ("url.path", "/relative"),
                    ("!destination.ip", ""),
                ],
            ),
            (
                "1795399800.250 9 192.0.2.9 TCP_MISS/200 7 GET http://a.example/x y TCP_MISS/200 z.exe an HIER_DIRECT/203.0.113.9 text/html",
                &[("source.ip", "192.0.2.9"), ("user.name", "an"), ("destination.ip", "203.0.113.9")],
            ),
            (
                "192.0.2.9 - - [23/Nov/2026:09:10:00 +0700] \"CONNECT a.example:443 HTTP/1.1\" 200 39 \"-\" \"-\" TCP_TUNNEL:HIER_DIRECT",
                &[
                    ("user.name", "-"),
                    ("!user_agent.original", ""),
                    ("!http.request.referrer", ""),
                    ("url.port", "443"),
                ],
            ),
            ("1795399800.250 9 192.0.2.9 TCP_MISS", &[("!source.ip", ""), ("event.module", "squid")]),
            ("1795399800.250", &[("event.module", "squid")]),
            ("2026/11/23 09:10:00| WARNING: disk space over limit", &[("!source.ip", ""), ("event.module", "squid")]),
            (
                r"1795399800.250 9 192.0.2.9 TCP_MISS/200 7 GET http://a.example/ an DIRECT/203.0.113.9 text/html [Host: a.example\r\nX: y NONE/- z\r\n] [HTTP/1.1 200 OK\r\n]",
                &[("user.name", "an"), ("destination.ip", "203.0.113.9"), ("http.response.mime_type", "text/html")],
            ),
            (
                r#"1795399800.250 9 192.0.2.9:51000 TCP_MISS/200 7 GET http://a.example/ an HIER_DIRECT/203.0.113.9:80 text/html "curl/8 NONE/-" "http://b.example/""#,
                &[
                    ("source.port", "51000"),
                    ("destination.port", "80"),
                    ("user_agent.original", "curl/8 NONE/-"),
                    ("http.request.referrer", "http://b.example/"),
                ],
            ),
            (
                "1795399800 9 192.0.2.9 TCP_MISS/200 7 GET http://a.example/ an HIER_NONE/- -",
                &[("user.name", "an"), ("source.ip", "192.0.2.9")],
            ),
        ];
        for (line, told) in rows {
            check("squid", line, told);
        }
    }
}
