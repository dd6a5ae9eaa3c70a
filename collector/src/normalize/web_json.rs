//! Access logs that a web server or proxy writes as JSON.
//!
//! In: the leaves of an object. Out: who asked for what, and what came of it, as of any access log; the members as they were
//! sent beside it. Promise: an object is one only where it has a client's address, a status and a request together; members
//! fill the fields of this table and no others of ECS. Source: nginx `log_format escape=json` with its variables' names; Apache `mod_log_json`
//! and Elastic's example; Caddy "JSON access logs"; Traefik "Access logs", format `json`; pino-http and hapi (Kibana), whose objects are `req` and `res`.

use std::borrow::Cow;
use std::net::IpAddr;

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Timestamp, Value};

use super::linux::set_source;
use super::web::{set_request, set_url};
use super::{Context, set_leaves};
use crate::parse::{date, json, web_access};
use crate::profile::Profile;

const CLIENT: &[&str] = &[
    "remote_addr",
    "remote_ip",
    "client_ip",
    "clientip",
    "ClientHost",
    "request.remote_ip",
    "remoteIP",
    "req.remoteAddress",
    "client",
    "remoteAddr",
    "downstream_remote_address",
    "visitor_ip",
];
const STATUS: &[&str] = &[
    "status",
    "status_code",
    "response_code",
    "DownstreamStatus",
    "res.statusCode",
    "response",
    "http_status",
    "httpStatus",
];
const REQUEST_LINE: &[&str] = &["request", "request_line"];
const METHOD: &[&str] = &["request_method", "method", "http_method", "RequestMethod", "request.method", "req.method"];
const TARGET: &[&str] = &[
    "request_uri",
    "uri",
    "RequestPath",
    "request.uri",
    "req.url",
    "path",
    "url",
    "request",
    "x-envoy-origin-path",
    "http_path",
];
const USER: &[&str] = &["remote_user", "ClientUsername", "user_id", "auth"];
const AGENT: &[&str] = &[
    "http_user_agent",
    "user_agent",
    "userAgent",
    "user-agent",
    "agent",
    "request_User-Agent",
    "request.headers.User-Agent",
    "req.headers.user-agent",
];
const REFERRER: &[&str] = &[
    "http_referer",
    "http_referrer",
    "referer",
    "referrer",
    "request_Referer",
    "request.headers.Referer",
    "req.headers.referer",
];
const BYTES: &[&str] = &["body_bytes_sent", "bytes_sent", "bytes", "size", "DownstreamContentSize"];
const HOST: &[&str] = &["http_host", "host", "server_name", "vhost", "RequestHost", "request.host"];
const VERSION: &[&str] = &["server_protocol", "protocol", "RequestProtocol", "request.proto"];
const FORWARDED: &[&str] = &["http_x_forwarded_for", "x_forwarded_for", "xff", "request.headers.X-Forwarded-For"];
const SECONDS: &[&str] = &["request_time", "duration"];
const TIMES: &[&str] =
    &["time_iso8601", "StartUTC", "@timestamp", "timestamp", "time", "ts", "msec", "time_local", "date"];

struct Members<'a>(&'a Leaves);

impl<'a> Members<'a> {
    fn value(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value))
    }

    /// The first of these members that says something.
    fn text(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        let told = |name: &&str| {
            let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
            value.each().next()?.as_text().filter(|text| !matches!(text.trim(), "" | "-"))
        };
        names.iter().find_map(told)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// The event of an object that is an entry of an access log; `None` = it is none.
pub(super) fn event(leaves: &Leaves, context: &Context<'_>) -> Option<Event> {
    let members = Members(leaves);
    let client = members.text(CLIENT)?;
    // Envoy writes the port, too.
    let socket = client.parse::<std::net::SocketAddr>().ok();
    let client = socket.map_or(client, |socket| Cow::from(socket.ip().to_string()));
    client.parse::<IpAddr>().ok()?;
    let status = members.text(STATUS)?.parse::<u16>().ok().filter(|status| (0..=999).contains(status))?;
    let line = members.text(REQUEST_LINE).filter(|line| web_access::request(line).is_some());
    let method = members.text(METHOD).filter(|word| is_method(word));
    let target = members.text(TARGET).filter(|target| target.starts_with('/') || target.contains("://"));
    if line.is_none() && (method.is_none() || target.is_none()) {
        return None;
    }
    let (module, dataset) = module_of(&members, context.profile);
    let mut event = context.event(moment(&members, context.offset_s), module, dataset);
    set_leaves(&mut event, leaves.clone());
    event.set(Field::EVENT_CATEGORY, "web");
    event.set(Field::EVENT_TYPE, "access");
    set_source(&mut event, &client);
    if let Some(socket) = socket {
        event.set(Field::SOURCE_PORT, socket.port());
    }
    match (line, method, target) {
        (Some(line), ..) => set_request(&mut event, &line),
        (None, Some(method), Some(target)) => {
            event.set(Field::HTTP_REQUEST_METHOD, method.as_ref());
            let query = members.text(&["query", "query_string", "args"]).filter(|_| !target.contains('?'));
            match query {
                Some(query) => set_url(&mut event, &format!("{target}?{}", query.trim_start_matches('?'))),
                None => set_url(&mut event, &target),
            }
        }
        _ => {}
    }
    if status > 0 {
        event.set(Field::HTTP_RESPONSE_STATUS_CODE, i64::from(status));
        event.set(Field::EVENT_OUTCOME, if status < 400 { "success" } else { "failure" });
    }
    set_others(&mut event, &members);
    Some(event)
}

fn is_method(word: &str) -> bool {
    let is_letters =
        |is_letter: fn(&u8) -> bool| word.bytes().all(|byte| is_letter(&byte) || matches!(byte, b'-' | b'_'));
    (1..=32).contains(&word.len()) && (is_letters(u8::is_ascii_uppercase) || is_letters(u8::is_ascii_lowercase))
}

fn module_of(members: &Members<'_>, profile: Option<Profile>) -> (&'static str, &'static str) {
    if members.has("ClientHost") && members.has("RequestMethod") {
        ("traefik", "traefik.access")
    } else if members.text(&["logger"]).is_some_and(|logger| logger.starts_with("http.log.access")) {
        ("caddy", "caddy.access")
    } else if profile == Some(Profile::Apache) {
        ("apache", "apache.access")
    } else {
        ("nginx", "nginx.access")
    }
}

fn moment(members: &Members<'_>, offset_s: i32) -> Option<Timestamp> {
    TIMES.iter().find_map(|name| {
        let value = members.value(&[name])?;
        json::moment(value, offset_s)
            .or_else(|| date::common_log(value.text()?, offset_s).ok().flatten().map(|(stamp, _)| stamp))
    })
}

fn set_others(event: &mut Event, members: &Members<'_>) {
    for (names, field) in
        [(USER, Field::USER_NAME), (AGENT, Field::USER_AGENT_ORIGINAL), (REFERRER, Field::HTTP_REQUEST_REFERRER)]
    {
        if let Some(text) = members.text(names) {
            event.set(field, text.as_ref());
        }
    }
    if let Some(bytes) = members.text(BYTES).and_then(|text| text.parse::<i64>().ok()) {
        event.set(Field::HTTP_RESPONSE_BODY_BYTES, bytes);
    }
    if let Some(version) = members.text(VERSION).as_deref().and_then(|text| text.strip_prefix("HTTP/")) {
        event.set_default(Field::HTTP_VERSION, version);
    }
    if let Some(host) = members.text(HOST) {
        let host =
            host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(&*host, |(host, _)| host);
        event.set_default(Field::URL_DOMAIN, host);
        event.set_default(Field::DESTINATION_DOMAIN, host);
    }
    if let Some(first) = members.text(FORWARDED).as_deref().and_then(|text| text.split(',').next())
        && let Ok(address) = first.trim().parse::<IpAddr>()
    {
        event.set_named("network.forwarded_ip", address);
    }
    let seconds = members.value(SECONDS).and_then(Value::as_number);
    let nanos = members.value(&["Duration"]).and_then(Value::as_long);
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and the range is checked")]
    let nanos = nanos.or_else(|| seconds.filter(|told| (0.0..9e9).contains(told)).map(|told| (told * 1e9) as i64));
    if let Some(nanos) = nanos {
        event.set(Field::EVENT_DURATION, Value::Long(nanos));
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    #[test]
    fn entries_of_several_servers() {
        let told = [
            ("event.category", "web"),
            ("source.ip", "192.0.2.9"),
            ("http.request.method", "GET"),
            ("url.path", "/x"),
            ("url.query", "y=1"),
            ("http.response.status_code", "404"),
            ("event.outcome", "failure"),
            ("http.response.body.bytes", "7"),
            ("user_agent.original", "curl/8"),
            ("@timestamp", "2026-11-23T02:10:00Z"),
        ];
        let nginx = r#"{"time_local":"23/Nov/2026:09:10:00 +0700","remote_addr":"192.0.2.9","remote_user":"","request":"GET /x?y=1 HTTP/1.1","status":"404","body_bytes_sent":"7","request_time":"0.250","http_referer":"-","http_user_agent":"curl/8","http_x_forwarded_for":"203.0.113.9, 192.0.2.9"}"#;
        for profile in ["", "nginx", "apache"] {
            check(profile, nginx, &told);
        }
        check(
            "",
            nginx,
            &[
                ("event.dataset", "nginx.access"),
                ("http.version", "1.1"),
                ("network.forwarded_ip", "203.0.113.9"),
                ("!http.request.referrer", ""),
                ("!user.name", ""),
                ("event.duration", "250000000"),
            ],
        );
        let apache = r#"{"time":"2026-11-23T09:10:00+0700","remoteIP":"192.0.2.9","host":"cong.example","request":"/x","query":"?y=1","method":"GET","status":"404","bytes":"7","userAgent":"curl/8","referer":"-"}"#;
        check("apache", apache, &told);
        check("apache", apache, &[("event.dataset", "apache.access"), ("url.domain", "cong.example")]);
        let caddy = r#"{"level":"info","ts":1795399800,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"192.0.2.9","proto":"HTTP/2.0","method":"GET","host":"cong.example","uri":"/x?y=1","headers":{"User-Agent":["curl/8"]}},"duration":0.25,"size":7,"status":404}"#;
        check("", caddy, &told);
        check("", caddy, &[("event.dataset", "caddy.access"), ("http.version", "2.0"), ("url.domain", "cong.example")]);
        let traefik = r#"{"ClientAddr":"192.0.2.9:4411","ClientHost":"192.0.2.9","ClientUsername":"-","DownstreamContentSize":7,"DownstreamStatus":404,"Duration":250000000,"RequestMethod":"GET","RequestPath":"/x?y=1","RequestHost":"cong.example","RequestProtocol":"HTTP/1.1","StartUTC":"2026-11-23T02:10:00Z","request_User-Agent":"curl/8","level":"info","msg":"","time":"2026-11-23T02:10:01Z"}"#;
        check("", traefik, &told);
        check("", traefik, &[("event.dataset", "traefik.access"), ("!user.name", ""), ("event.duration", "250000000")]);
    }

    #[test]
    fn requests_and_responses_of_node() {
        let line = r#"{"type":"response","@timestamp":"2026-11-23T02:10:00.5Z","pid":77,"method":"get","statusCode":404,"req":{"url":"/x?y=1","method":"get","headers":{"user-agent":"curl/8","referer":"http://a.example/"},"remoteAddress":"192.0.2.9"},"res":{"statusCode":404,"responseTime":8},"message":"GET /x 404"}"#;
        check(
            "",
            line,
            &[
                ("source.ip", "192.0.2.9"),
                ("http.request.method", "get"),
                ("url.path", "/x"),
                ("http.response.status_code", "404"),
                ("user_agent.original", "curl/8"),
                ("http.request.referrer", "http://a.example/"),
                ("message", "GET /x 404"),
            ],
        );
    }

    #[test]
    fn other_objects_are_none() {
        for line in [
            r#"{"client":"192.0.2.9","status":"404","time":"2026-11-23T02:10:00Z"}"#,
            r#"{"remote_addr":"kho","status":404,"request":"GET /x HTTP/1.1"}"#,
            r#"{"remote_addr":"192.0.2.9","status":"open","method":"GET","path":"/x"}"#,
        ] {
            check("", line, &[("event.dataset", "json"), ("!event.category", "")]);
        }
    }
}
