//! Lines of AWS: flows of a VPC in their default form, requests that an application load balancer logged.
//!
//! In: `2 123456789012 eni-… 10.45.0.9 203.0.113.9 5000 443 6 10 2500 1795399800 1795399860 ACCEPT OK`; `https 2026-11-23T02:10:00.125Z app/a/7
//! 203.0.113.9:4411 10.45.0.80:80 … "GET https://…" "agent" …`. Out: the event; `None` for every other line. Source: AWS, "VPC flow log records",
//! "Access logs for your Application Load Balancer".

use nhatle_event::{Event, Field, Text, Timestamp};

use super::super::Context;
use super::super::device::{Act, act, finish, set_text};
use super::super::web::set_url;
use super::set_one;

/// The event of a line that is one of these.
pub(in super::super) fn event(text: &str, context: &Context<'_>) -> Option<Event> {
    match text.as_bytes().first()? {
        b'2' => flow(text, context),
        b'h' | b'w' | b'g' => request(text, context),
        _ => None,
    }
}

fn epoch(text: &str) -> Option<Timestamp> {
    text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000_000)).map(Timestamp)
}

fn flow(text: &str, context: &Context<'_>) -> Option<Event> {
    let columns: Vec<&str> = text.split(' ').take(15).collect();
    let [_, account, card, from, to, from_port, to_port, protocol, packets, bytes, start, end, verdict, _] =
        columns.as_slice()
    else {
        return None;
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && card.starts_with("eni-")).then_some(())?;
    let mut event = context.event(epoch(end), "aws", "aws.vpcflow");
    for (field, value) in [
        (Field::SOURCE_IP, from),
        (Field::DESTINATION_IP, to),
        (Field::SOURCE_PORT, from_port),
        (Field::DESTINATION_PORT, to_port),
        (Field::NETWORK_TRANSPORT, protocol),
        (Field::SOURCE_PACKETS, packets),
        (Field::SOURCE_BYTES, bytes),
        (Field::NETWORK_PACKETS, packets),
        (Field::NETWORK_BYTES, bytes),
    ] {
        set_text(&mut event, field, value);
    }
    for (field, told) in [(Field::EVENT_START, start), (Field::EVENT_END, end)] {
        if let Some(stamp) = epoch(told) {
            event.set(field, nhatle_event::Value::Date(stamp));
        }
    }
    event.set_named("cloud.account.id", Text::from(*account));
    event.set_named("aws.vpcflow.interface_id", Text::from(*card));
    let kinds: &[&str] = match *verdict {
        "ACCEPT" => &["connection", "allowed"],
        "REJECT" => &["connection", "denied"],
        _ => &["info"],
    };
    if *verdict != "-" {
        event.set(Field::EVENT_ACTION, verdict.to_ascii_lowercase());
    }
    act(&mut event, Act("network", kinds, if kinds.len() > 1 { "success" } else { "" }));
    event.set(Field::MESSAGE, Text::from(text));
    finish(&mut event);
    Some(event)
}

fn request(text: &str, context: &Context<'_>) -> Option<Event> {
    let (front, rest) = text.split_once('"')?;
    let columns: Vec<&str> = front.split(' ').filter(|word| !word.is_empty()).take(13).collect();
    let [kind, stamp, balancer, client, target, _, _, _, status, _, received, sent] = columns.as_slice() else {
        return None;
    };
    let is_kind = matches!(*kind, "http" | "https" | "h2" | "ws" | "wss" | "grpcs");
    (is_kind && balancer.starts_with("app/")).then_some(())?;
    let mut event = context.event(Timestamp::parse(stamp, 0), "aws", "aws.elb_logs");
    let mut quoted = rest.split('"');
    let mut words = quoted.next().unwrap_or_default().split(' ');
    set_one(&mut event, Field::SOURCE_IP, client);
    set_one_target(&mut event, target);
    set_text(&mut event, Field::HTTP_REQUEST_METHOD, words.next().unwrap_or_default());
    if let Some(url) = words.next().filter(|url| *url != "-") {
        set_url(&mut event, url);
    }
    if let Some(version) = words.next().and_then(|word| word.strip_prefix("HTTP/")) {
        event.set(Field::HTTP_VERSION, Text::from(version));
    }
    set_text(&mut event, Field::HTTP_RESPONSE_STATUS_CODE, status);
    set_text(&mut event, Field::HTTP_REQUEST_BODY_BYTES, received);
    set_text(&mut event, Field::HTTP_RESPONSE_BODY_BYTES, sent);
    set_text(&mut event, Field::USER_AGENT_ORIGINAL, quoted.nth(1).unwrap_or_default());
    let outcome = match status.parse::<u16>() {
        Ok(status) if status < 400 => "success",
        Ok(_) => "failure",
        Err(_) => "",
    };
    act(&mut event, Act("web", &["access"], outcome));
    event.set(Field::MESSAGE, Text::from(text));
    finish(&mut event);
    Some(event)
}

fn set_one_target(event: &mut Event, target: &str) {
    if let Ok(socket) = target.parse::<std::net::SocketAddr>() {
        event.set(Field::DESTINATION_IP, socket.ip());
        event.set(Field::DESTINATION_PORT, socket.port());
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::service::tests::check;

    #[test]
    fn flows_and_requests() {
        check(
            "",
            "2 123456789012 eni-0a 203.0.113.9 10.45.0.5 4411 22 6 3 180 1795399740 1795399800 REJECT OK",
            &[
                ("event.dataset", "aws.vpcflow"),
                ("event.type", "connection,denied"),
                ("source.ip", "203.0.113.9"),
                ("destination.port", "22"),
                ("network.transport", "tcp"),
                ("network.bytes", "180"),
                ("@timestamp", "2026-11-23T02:10:00Z"),
            ],
        );
        check(
            "",
            r#"https 2026-11-23T02:10:00.125Z app/a/7 203.0.113.9:4411 10.45.0.80:80 0.1 0.1 0.1 403 403 500 57 "GET https://a.example:443/b?c=1 HTTP/1.1" "curl/8" X TLSv1.2 arn"#,
            &[
                ("event.dataset", "aws.elb_logs"),
                ("event.outcome", "failure"),
                ("source.port", "4411"),
                ("destination.ip", "10.45.0.80"),
                ("url.path", "/b"),
                ("user_agent.original", "curl/8"),
            ],
        );
        check("", "2 gates are open", &[("event.dataset", "syslog")]);
    }
}
