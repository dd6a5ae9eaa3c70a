//! FortiMail and FortiWeb: `date=… time=… device_id=… log_id=… type=… pri=…`.
//!
//! In: a message that begins with `date=` and names its device by `device_id`. Out: mails, attacks, sign-ins, settings; values under
//! `fortinet.fortimail.*`, `fortinet.fortiweb.*`. Failure: none. Source: Fortinet, "FortiMail Log Reference", "FortiWeb Log Reference".

use nhatle_event::{Event, Field, Text, Timestamp};

use super::{Act, LOGIN, LOGOUT, REFUSED, Row, Values, act, key_value, mean, observer, set_all, set_text, value};
use crate::normalize::Context;
use crate::parse::Syslog;

const TABLE: &[Row] = &[
    ("device_id", Field::OBSERVER_SERIAL_NUMBER),
    ("log_id", Field::EVENT_CODE),
    ("pri", Field::LOG_LEVEL),
    ("action", Field::EVENT_ACTION),
    ("msg", Field::MESSAGE),
    ("client_ip", Field::SOURCE_IP),
    ("client_name", Field::SOURCE_DOMAIN),
    ("dst_ip", Field::DESTINATION_IP),
    ("src", Field::SOURCE_IP),
    ("src_port", Field::SOURCE_PORT),
    ("dst", Field::DESTINATION_IP),
    ("dst_port", Field::DESTINATION_PORT),
    ("srccountry", Field::SOURCE_GEO_COUNTRY_NAME),
    ("user", Field::USER_NAME),
    ("user_name", Field::USER_NAME),
    ("policy", Field::RULE_RULESET),
    ("signature_id", Field::RULE_ID),
    ("main_type", Field::RULE_CATEGORY),
    ("virus", Field::RULE_NAME),
    ("http_method", Field::HTTP_REQUEST_METHOD),
    ("http_url", Field::URL_ORIGINAL),
    ("http_host", Field::URL_DOMAIN),
    ("http_agent", Field::USER_AGENT_ORIGINAL),
    ("http_refer", Field::HTTP_REQUEST_REFERRER),
    ("http_retcode", Field::HTTP_RESPONSE_STATUS_CODE),
    ("http_version", Field::HTTP_VERSION),
    ("service", Field::NETWORK_PROTOCOL),
];

/// Whether a message that begins with `date=` is one of these.
pub(super) fn is_other(message: &str) -> bool {
    let front = message.as_bytes().get(..message.len().min(400)).unwrap_or_default();
    let has = |text: &str| memchr::memmem::find(front, text.as_bytes()).is_some();
    has(" device_id=") && has(" log_id=") && has(" type=")
}

/// The event of a message.
pub(super) fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let pairs = key_value::pairs(message);
    let stamp = match (value(&pairs, "date"), value(&pairs, "time")) {
        (Some(date), Some(time)) => {
            let zone = value(&pairs, "timezone").and_then(zone).unwrap_or(context.offset_s);
            Timestamp::parse(&format!("{date}T{time}"), zone)
        }
        _ => None,
    };
    let is_web = value(&pairs, "device_id").is_some_and(|id| id.starts_with("FV"));
    let (module, dataset, product, home, kind) = match is_web {
        true => ("fortinet_fortiweb", "fortinet_fortiweb.log", "FortiWeb", "fortinet.fortiweb.", "waf"),
        false => ("fortinet_fortimail", "fortinet_fortimail.log", "FortiMail", "fortinet.fortimail.", "mail-gateway"),
    };
    let mut event = context.event(stamp.or(parts.timestamp), module, dataset);
    observer(&mut event, "Fortinet", product, kind);
    set_all(&mut event, home, TABLE, &pairs);
    if let Some(proto) = value(&pairs, "proto") {
        set_text(&mut event, Field::NETWORK_TRANSPORT, proto);
    }
    if let Some(method) = value(&pairs, "http_method") {
        event.set(Field::HTTP_REQUEST_METHOD, method.to_ascii_uppercase());
    }
    for (key, named) in [("from", "email.from.address"), ("to", "email.to.address"), ("subject", "email.subject")] {
        if let Some(text) = value(&pairs, key) {
            event.set_named(named, Text::from(text));
        }
    }
    match value(&pairs, "type").unwrap_or_default() {
        "attack" => attack(&mut event, &pairs),
        "traffic" => act(&mut event, Act("web", &["access"], "")),
        "statistics" | "history" => {
            let is_refused = value(&pairs, "disposition").is_some_and(|told| {
                ["reject", "discard", "quarantine"].iter().any(|word| told.to_ascii_lowercase().contains(word))
            });
            let kinds: &[&str] = if is_refused { &["info", "denied"] } else { &["info"] };
            act(&mut event, Act("email", kinds, ""));
        }
        "spam" | "encrypt" => act(&mut event, Act("email", &["info"], "")),
        "virus" => {
            event.set(Field::EVENT_KIND, "alert");
            act(&mut event, Act("malware", &["info"], ""));
        }
        _ => own(&mut event, &pairs),
    }
    event
}

/// `(GMT+7:00)Bangkok,Hanoi,Jakarta`, in seconds.
fn zone(text: &str) -> Option<i32> {
    let inside = text.split_once("GMT")?.1.split(')').next()?;
    let (sign, rest) = inside.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let offset_s = hours.parse::<i32>().ok()?.checked_mul(3600)? + minutes.parse::<i32>().ok()?.checked_mul(60)?;
    let offset_s = if sign == "-" { -offset_s } else { offset_s };
    (-86_400..86_400).contains(&offset_s).then_some(offset_s)
}

/// What the web firewall found.
fn attack(event: &mut Event, pairs: &Values<'_>) {
    event.set(Field::EVENT_KIND, "alert");
    let is_stopped = value(pairs, "action").is_some_and(|action| {
        let lower = action.to_ascii_lowercase();
        lower.contains("deny") || lower.contains("block") || lower.contains("redirect")
    });
    let kinds: &[&str] = if is_stopped { &["info", "denied"] } else { &["info"] };
    act(event, Act("intrusion_detection", kinds, ""));
    let name = value(pairs, "sub_type").or_else(|| value(pairs, "main_type"));
    set_text(event, Field::RULE_NAME, name.unwrap_or_default());
}

/// What happened on the appliance: `ui=GUI(10.45.0.9)` is where an administrator sits.
fn own(event: &mut Event, pairs: &Values<'_>) {
    let peer = value(pairs, "ui").and_then(|ui| ui.split_once('(')).map(|(_, rest)| rest.trim_end_matches(')'));
    if let Some(address) = peer.and_then(|text| text.parse::<std::net::IpAddr>().ok()) {
        event.set(Field::SOURCE_IP, address);
    }
    let is_bad = value(pairs, "status").is_some_and(|status| status.to_ascii_lowercase().starts_with("fail"));
    let action = value(pairs, "action").unwrap_or_default().to_ascii_lowercase();
    match action.as_str() {
        "login" => act(event, if is_bad { REFUSED } else { LOGIN }),
        "logout" => act(event, LOGOUT),
        "add" | "edit" | "delete" | "set" => {
            mean(event, ("", Act("configuration", &["change"], if is_bad { "failure" } else { "success" })));
        }
        _ if value(pairs, "subtype") == Some("smtp") => act(event, Act("email", &["info"], "")),
        _ => act(event, Act("host", &["info"], "")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn mails_attacks_and_sign_ins() {
        check(
            r#"<187>date=2026-11-23 time=02:10:00 device_id=FE200F0000000001 log_id=0200000001 type=statistics pri=information session_id="s" client_name="mx.a.example" client_ip="203.0.113.9" dst_ip="10.45.0.25" from="a@a.example" to="lan@b.example" subject="chao" disposition="Reject""#,
            None,
            &[
                ("event.dataset", "fortinet_fortimail.log"),
                ("event.category", "email"),
                ("event.type", "info,denied"),
                ("source.ip", "203.0.113.9"),
                ("destination.ip", "10.45.0.25"),
                ("email.from.address", "a@a.example"),
            ],
        );
        check(
            r#"<185>date=2026-11-23 time=09:10:00 log_id=20000008 msg_id=1 device_id=FV100 vd="root" timezone="(GMT+7:00)Hanoi" type=attack pri=alert main_type="Signature Detection" sub_type="SQL Injection" proto=tcp action=Alert_Deny src=203.0.113.9 src_port=4411 dst=10.45.0.80 dst_port=80 http_method=get http_url="/a?b=1" http_host="c.example""#,
            None,
            &[
                ("event.kind", "alert"),
                ("rule.name", "SQL Injection"),
                ("event.type", "info,denied"),
                ("url.original", "/a?b=1"),
                ("http.request.method", "GET"),
                ("source.port", "4411"),
            ],
        );
        check(
            r#"<187>date=2026-11-23 time=02:10:00 device_id=FE200F0000000001 log_id=0001000001 type=event subtype=admin pri=information user=admin ui=GUI(10.45.0.9) action=login status=failure reason=none msg="User admin login failed""#,
            None,
            &[("event.category", "authentication"), ("event.outcome", "failure"), ("source.ip", "10.45.0.9")],
        );
    }
}
