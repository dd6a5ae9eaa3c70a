//! What servers write behind the browser of an access line.
//!
//! In: the rest of the line. Out: what it tells where its form is a known one: Kubernetes' ingress-nginx, Traefik, the
//! `X-Forwarded-For` of nginx's own `main` format. Promise: what a client can send (that header) is never a side of the connection.
//! Source: ingress-nginx manual, "Log format"; Traefik, "Access logs", CLF; nginx.conf of the nginx packages, `log_format main`; ECS
//! `network.forwarded_ip`.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

use crate::parse;

/// Sets what the rest of a line tells.
pub(super) fn set(event: &mut Event, more: &str) {
    if more.is_empty() {
        return;
    }
    ingress(event, more);
    if !traefik(event, more) {
        forwarded(event, more);
    }
}

/// `length seconds [upstream] [other upstream]`, what the upstream answered, the id of the request.
fn ingress(event: &mut Event, more: &str) {
    let Some((front, upstreams)) = parse::cut_at(more, " [") else { return };
    let mut numbers = front.split(' ');
    let (Some(length), Some(seconds), None) = (numbers.next(), numbers.next(), numbers.next()) else { return };
    let (Ok(length), Ok(seconds)) = (length.parse::<i64>(), seconds.parse::<f64>()) else { return };
    let Some((upstream, answered)) = upstreams.split_once("] [") else { return };
    let Some((_, answered)) = answered.split_once("] ") else { return };
    let id = answered.rsplit(' ').next().unwrap_or_default();
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return;
    }
    event.set_named("http.request.id", id);
    event.set_named("http.request.bytes", length);
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and the range is checked")]
    if (0.0..9e9).contains(&seconds) {
        event.set(Field::EVENT_DURATION, Value::Long((seconds * 1e9) as i64));
    }
    event.set_named("nginx.ingress_controller.upstream.name", upstream);
    let address = answered.split([' ', ',']).next().filter(|address| is_given(address));
    if let Some(address) = address {
        event.set_named("nginx.ingress_controller.upstream.address", address);
    }
}

/// `262 "router@docker" "http://192.0.2.5:80" 2ms`; a dash without quotes where there is none of them. Whether it was that.
fn traefik(event: &mut Event, more: &str) -> bool {
    let Some((count, rest)) = parse::cut(more, b' ') else { return false };
    let Some((millis, rest)) = rest.strip_suffix("ms").and_then(|rest| rest.rsplit_once(' ')).map(|(r, m)| (m, r))
    else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(count) || !is_number(millis) {
        return false;
    }
    let Some((router, server)) = word(rest) else { return false };
    let Some((server, "")) = word(server.trim_start()) else { return false };
    event.set(Field::EVENT_MODULE, "traefik");
    event.set(Field::EVENT_DATASET, "traefik.access");
    if let Ok(millis) = millis.parse::<i64>() {
        event.set(Field::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
    if let Ok(count) = count.parse::<i64>() {
        event.set_named("traefik.access.request_count", count);
    }
    for (name, value) in [("traefik.access.frontend_name", router), ("traefik.access.backend_url", server)] {
        if is_given(value) {
            event.set_named(name, value);
        }
    }
    true
}

/// A quoted word at the front, or a bare dash; and what follows.
fn word(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('"') {
        Some(inner) => inner.split_once('"'),
        None => text.strip_prefix('-').map(|rest| ("-", rest)),
    }
}

/// `"203.0.113.9, 10.0.0.1"` right behind the browser: whom a proxy in front says it speaks for.
fn forwarded(event: &mut Event, more: &str) {
    let first =
        more.strip_prefix('"').and_then(|rest| rest.split_once('"')).and_then(|(list, _)| list.split(',').next());
    if let Some(address) = first.and_then(|first| first.trim().parse::<IpAddr>().ok()) {
        event.set_named("network.forwarded_ip", address);
    }
}

fn is_given(text: &str) -> bool {
    !text.is_empty() && text != "-"
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    #[test]
    fn a_router_and_its_server() {
        let line = |back: &str| format!(r#"192.0.2.9 - - [23/Nov/2026:09:10:00 +0700] "GET /x HTTP/1.1" 200 7 {back}"#);
        let told = [
            ("event.dataset", "traefik.access"),
            ("event.duration", "250000000"),
            ("source.ip", "192.0.2.9"),
            ("!http.request.referrer", ""),
        ];
        for back in [
            r#""-" "curl/8" 262 "cong@docker" "http://192.0.2.5:80" 250ms"#,
            r#"- "curl/8" 262 "cong@docker" "http://192.0.2.5:80" 250ms"#,
        ] {
            check("", &line(back), &told);
            check(
                "",
                &line(back),
                &[("traefik.access.frontend_name", "cong@docker"), ("user_agent.original", "curl/8")],
            );
        }
        // Nobody's user, no link, no browser, no router: dashes, quoted or not.
        for back in [r#""-" "-" 7 "-" "-" 250ms"#, r#"- - 7 - - 250ms"#, r#""-" "-" 7 - - 250ms"#] {
            check("", &line(back), &told);
            check(
                "nginx",
                &line(back),
                &[
                    ("!user.name", ""),
                    ("!user_agent.original", ""),
                    ("!traefik.access.frontend_name", ""),
                    ("!traefik.access.backend_url", ""),
                ],
            );
        }
    }

    #[test]
    fn whom_a_proxy_speaks_for_is_no_side() {
        let line = |more: &str| {
            format!(r#"192.0.2.9 - - [23/Nov/2026:09:10:00 +0700] "GET /x HTTP/1.1" 200 7 "-" "curl/8" {more}"#)
        };
        check(
            "nginx",
            &line(r#""203.0.113.9, 10.0.0.1" "x""#),
            &[("source.ip", "192.0.2.9"), ("network.forwarded_ip", "203.0.113.9")],
        );
        for more in [r#""-""#, r#""x""#, "rt=0.1", r#""203.0.113.9"#] {
            check("nginx", &line(more), &[("source.ip", "192.0.2.9"), ("!network.forwarded_ip", "")]);
        }
    }
}
