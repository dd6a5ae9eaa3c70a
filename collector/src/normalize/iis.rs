//! IIS and HTTP.sys: W3C extended logs of sites, and the log of requests that never reached one.
//!
//! In: a line's values by the names of its `#Fields` line, or a line without one, which is read by the layouts that
//! IIS writes by default. Out: who asked for what, and what came of it. Failure: a line of no known layout. Source:
//! Microsoft Learn, "W3C Logging" and "Error logging in HTTP APIs"; times are UTC, `+` stands for a space.

use nhatle_event::{Event, Field, Value};

use super::device::set_text;
use super::linux::{set_source, set_user};
use super::{Context, web};
use crate::parse::Fault;

/// What a column means in ECS. Columns that code reads (`date`, `cs-uri-stem`, …) are not here.
const COLUMNS: &[(&str, Field)] = &[
    ("s-port", Field::DESTINATION_PORT),
    ("c-port", Field::SOURCE_PORT),
    ("cs-method", Field::HTTP_REQUEST_METHOD),
    ("sc-status", Field::HTTP_RESPONSE_STATUS_CODE),
    ("sc-bytes", Field::HTTP_RESPONSE_BODY_BYTES),
    ("cs-bytes", Field::HTTP_REQUEST_BODY_BYTES),
];
/// Columns that keep a name of their own.
const OWN: &[(&str, &str)] = &[
    ("s-sitename", "iis.access.site_name"),
    ("s-computername", "iis.access.server_name"),
    ("sc-substatus", "iis.access.sub_status"),
    ("sc-win32-status", "iis.access.win32_status"),
    ("cs(Cookie)", "iis.access.cookie"),
    ("OriginalIP", "network.forwarded_ip"),
    ("X-Forwarded-For", "network.forwarded_ip"),
    ("x-forwarded-for", "network.forwarded_ip"),
    ("s-siteid", "iis.error.site_id"),
    ("s-reason", "iis.error.reason_phrase"),
    ("s-queuename", "iis.error.queue_name"),
];
/// What lines without a header may be: IIS 10 and 8 (with referrer), with the client behind a balancer, IIS 7, and
/// HTTP.sys of two ages.
const LAYOUTS: &[&str] = &[
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken",
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken OriginalIP",
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-substatus sc-win32-status time-taken",
    "date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
    "date time c-ip c-port s-ip s-port cs-version cs-method cs-uri sc-status s-siteid s-reason s-queuename",
    "date time c-ip c-port s-ip s-port cs-version cs-method cs-uri streamid sc-status s-siteid s-reason s-queuename",
];

/// The event of a line by its column names.
///
/// # Errors
/// Its date does not exist.
pub fn event(values: &[(&str, &str)], line: &str, context: &Context<'_>) -> Result<Event, Fault> {
    let of = |name: &str| {
        values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).filter(|value| *value != "-")
    };
    let stamp = match (of("date"), of("time")) {
        (Some(date), Some(time)) => {
            let stamp = nhatle_event::Timestamp::parse(&format!("{date}T{time}"), 0);
            Some(stamp.ok_or_else(|| Fault::new("iis: no such date", 0))?)
        }
        _ => None,
    };
    let is_error = of("s-reason").is_some() || values.iter().any(|(name, _)| *name == "s-queuename");
    let mut event = context.event(stamp, "iis", if is_error { "iis.error" } else { "iis.access" });
    event.set(Field::EVENT_CATEGORY, "web");
    event.set(Field::EVENT_TYPE, if is_error { "error" } else { "access" });
    event.set(Field::MESSAGE, line);
    for (name, value) in values.iter().filter(|(_, value)| *value != "-") {
        for (_, field) in COLUMNS.iter().filter(|(known, _)| known == name) {
            set_text(&mut event, *field, value);
        }
        for (_, own) in OWN.iter().filter(|(known, _)| known == name) {
            let number = value.parse().ok().filter(|_| own.ends_with("status")).map(Value::Long);
            event.set_named(own, number.unwrap_or_else(|| Value::from(*value)));
        }
    }
    sides(&mut event, of("c-ip"), of("s-ip"), of("cs-host"));
    if let Some(name) = of("s-computername") {
        event.set(Field::HOST_NAME, name);
    }
    if let Some(user) = of("cs-username") {
        user_name(&mut event, user);
    }
    request(&mut event, of("cs-uri-stem").or_else(|| of("cs-uri")), of("cs-uri-query"));
    for (name, field) in [("cs(User-Agent)", Field::USER_AGENT_ORIGINAL), ("cs(Referer)", Field::HTTP_REQUEST_REFERRER)]
    {
        if let Some(value) = of(name) {
            event.set(field, value.replace('+', " "));
        }
    }
    if let Some(version) = of("cs-version") {
        event.set(Field::HTTP_VERSION, version.trim_start_matches("HTTP/"));
    }
    if let Some(millis) = of("time-taken").and_then(|millis| millis.parse::<i64>().ok()) {
        event.set(Field::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
    if let Some(status) = of("sc-status").and_then(|status| status.parse::<i64>().ok()) {
        event.set(Field::EVENT_OUTCOME, if status < 400 { "success" } else { "failure" });
    }
    Ok(event)
}

/// The event of a line without a header above it: by the layout that fits; a comment is a message.
///
/// # Errors
/// No layout fits, or the line's date does not exist.
pub fn headless(line: &str, context: &Context<'_>) -> Result<Event, Fault> {
    if line.starts_with('#') {
        let mut event = context.event(None, "iis", "iis.access");
        event.set(Field::MESSAGE, line);
        return Ok(event);
    }
    let words: Vec<&str> = line.split_ascii_whitespace().take(64).collect();
    for layout in LAYOUTS {
        let names: Vec<&str> = layout.split(' ').collect();
        let pairs: Vec<(&str, &str)> = names.iter().copied().zip(words.iter().copied()).collect();
        if names.len() == words.len() && pairs.iter().all(|(name, value)| fits(name, value)) {
            return event(&pairs, line, context);
        }
    }
    Err(Fault::new("iis: no #Fields line above it and no default layout", 0))
}

fn fits(name: &str, value: &str) -> bool {
    match name {
        "c-ip" | "s-ip" => {
            value == "-" || value.split('%').next().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok())
        }
        "s-port" | "c-port" | "sc-status" | "time-taken" => {
            value == "-" || value.bytes().all(|byte| byte.is_ascii_digit())
        }
        "date" => value.len() == 10 && value.as_bytes().get(4) == Some(&b'-'),
        _ => true,
    }
}

fn sides(event: &mut Event, client: Option<&str>, server: Option<&str>, host: Option<&str>) {
    if let Some(client) = client {
        set_source(event, client);
    }
    if let Some(server) = server {
        event.set(Field::DESTINATION_ADDRESS, server);
        if let Some(Ok(address)) = server.split('%').next().map(str::parse::<std::net::IpAddr>) {
            event.set(Field::DESTINATION_IP, address.to_canonical());
            event.add(Field::RELATED_IP, address.to_canonical());
        }
    }
    if let Some(host) = host {
        event.set(Field::DESTINATION_DOMAIN, host);
        event.set(Field::URL_DOMAIN, host.split(':').next().unwrap_or(host));
    }
}

/// `DOMAIN\\user`, `user`.
fn user_name(event: &mut Event, user: &str) {
    match user.split_once('\\') {
        Some((domain, user)) => {
            event.set(Field::USER_DOMAIN, domain);
            set_user(event, user);
        }
        None => set_user(event, user),
    }
}

fn request(event: &mut Event, stem: Option<&str>, query: Option<&str>) {
    match (stem, query) {
        (Some(stem), Some(query)) => web::set_url(event, &format!("{stem}?{query}")),
        (Some(stem), None) => web::set_url(event, stem),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::{check, event_of};

    #[test]
    fn lines_without_a_header_are_read_by_default_layouts() {
        let line = r"2026-11-23 02:10:00 192.0.2.20 POST /tai-len/x.aspx cmd=whoami 443 PHUONG\lan 203.0.113.9 Mozilla/5.0+(Windows+NT+10.0) - 200 0 0 15";
        check(
            "iis",
            line,
            &[
                ("@timestamp", "2026-11-23T02:10:00Z"),
                ("event.dataset", "iis.access"),
                ("source.ip", "203.0.113.9"),
                ("destination.ip", "192.0.2.20"),
                ("destination.port", "443"),
                ("user.name", "lan"),
                ("user.domain", "PHUONG"),
                ("url.path", "/tai-len/x.aspx"),
                ("url.query", "cmd=whoami"),
                ("url.extension", "aspx"),
                ("user_agent.original", "Mozilla/5.0 (Windows NT 10.0)"),
                ("http.response.status_code", "200"),
                ("event.outcome", "success"),
                ("event.duration", "15000000"),
                ("!http.request.referrer", ""),
            ],
        );
        check(
            "iis",
            "2026-11-23 02:10:00 203.0.113.9 2094 192.0.2.20 80 HTTP/1.1 GET /x.txt 503 - ConnLimit -",
            &[
                ("event.dataset", "iis.error"),
                ("iis.error.reason_phrase", "ConnLimit"),
                ("source.port", "2094"),
                ("http.version", "1.1"),
            ],
        );
        check("iis", "#Software: Microsoft Internet Information Services 10.0", &[("event.module", "iis")]);
    }

    #[test]
    fn what_fits_no_layout_is_a_dead_letter() {
        let mut record =
            nhatle_event::Record::new(&b"2026-11-23 02:10:00 x GET /"[..], "test", nhatle_event::Timestamp(0));
        record.profile = Some("iis".into());
        let dead = crate::to_event(&record, &crate::Settings::default()).expect_err("is broken");
        assert_eq!(dead.reason, "iis: no #Fields line above it and no default layout");
        let _ = event_of("", b"2026-11-23 02:10:00 x GET /");
    }
}
