//! CrowdSec: its alerts and decisions, as JSON or as lines of its own log.
//!
//! In: the leaves of an alert (`cscli alerts list -o json`, the HTTP notification), or a line of `crowdsec.log`. Out:
//! the scenario, the address, the decision. `event.kind` is `alert`. Source: CrowdSec 1.6 documentation, `Alert` of the
//! local API's Swagger, "Notification plugins"; `pkg/apiserver` log lines.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text};

use super::json_rows::{Row, fill, has_all, text, value};
use super::{happened, set_named};
use crate::normalize::Context;
use crate::normalize::device::{Act, act, finish};
use crate::normalize::linux::set_source;
use crate::parse::{self, key_value};

const ROWS: &[Row] = &[
    ("uuid", Field::EVENT_ID),
    ("id", Field::EVENT_ID),
    ("scenario", Field::RULE_NAME),
    ("scenario_hash", Field::RULE_UUID),
    ("message", Field::MESSAGE),
    ("source.ip", Field::SOURCE_IP),
    ("machine_id", Field::OBSERVER_NAME),
    ("start_at", Field::EVENT_START),
    ("stop_at", Field::EVENT_END),
];
const HOME: &str = "crowdsec.alert.";

/// Whether a record is an alert of CrowdSec.
pub fn is_record(leaves: &Leaves) -> bool {
    has_all(leaves, &["scenario", "source.scope", "events_count"])
}

/// The event of an alert.
pub fn event(leaves: Leaves, context: &Context<'_>) -> Event {
    let stamp =
        ["stop_at", "created_at", "start_at"].iter().find_map(|name| parse::json::moment(value(&leaves, name)?, 0));
    let mut event = context.event(stamp, "crowdsec", "crowdsec.alert");
    base(&mut event);
    let is_address = text(&leaves, "source.scope").is_some_and(|scope| scope.eq_ignore_ascii_case("ip"));
    if let Some(address) = text(&leaves, "source.value").filter(|_| is_address) {
        set_source(&mut event, address);
    }
    let copies = [
        ("source.cn", "source.geo.country_iso_code"),
        ("source.as_name", "source.as.organization.name"),
        ("source.as_number", "source.as.number"),
    ];
    for (member, name) in copies {
        set_named(&mut event, name, text(&leaves, member));
    }
    let decision = text(&leaves, "decisions.type").unwrap_or("alert").to_owned();
    event.set(Field::EVENT_ACTION, decision.as_str());
    fill(&mut event, HOME, ROWS, leaves);
    if let Some(name) = event.text(Field::RULE_NAME).map(Text::from) {
        event.set_default(Field::MESSAGE, name);
    }
    finish(&mut event);
    event
}

fn base(event: &mut Event) {
    act(event, Act("intrusion_detection", &["info"], ""));
    event.set(Field::EVENT_KIND, "alert");
    event.set(Field::OBSERVER_VENDOR, "CrowdSec");
    event.set(Field::OBSERVER_PRODUCT, "CrowdSec");
}

/// `time="…" level=info msg="(may-01/crowdsec) crowdsecurity/ssh-bf by ip 203.0.113.9 (VN/1) : 4h ban on Ip 203.0.113.9"`.
pub fn set_fields(event: &mut Event, message: &str) {
    let pairs = key_value::pairs(message);
    let of = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
    if let Some(stamp) = of("time").and_then(|time| nhatle_event::Timestamp::parse(time, 0)) {
        event.timestamp = stamp;
    }
    set_named(event, "log.level", of("level"));
    let Some(told) = of("msg") else { return };
    event.set(Field::MESSAGE, told);
    let Some((scenario, rest)) =
        told.strip_prefix('(').and_then(|rest| rest.split_once(") ")).and_then(|(_, rest)| rest.split_once(" by ip "))
    else {
        return;
    };
    let Some((_, decision)) = rest.split_once(" : ") else { return };
    if scenario.contains(' ') {
        return;
    }
    base(event);
    event.set(Field::RULE_NAME, scenario);
    set_source(event, rest.split(' ').next().unwrap_or_default());
    let words: Vec<&str> = decision.split(' ').collect();
    if let [duration, kind, "on", ..] = words.as_slice() {
        happened(event, "ban", Act("intrusion_detection", &["denied"], "success"));
        event.set(Field::EVENT_ACTION, *kind);
        event.set_named("crowdsec.alert.decisions.duration", *duration);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn alerts_as_json_and_as_lines() {
        let line = r#"{"id":7,"created_at":"2026-11-23T02:10:00Z","scenario":"crowdsecurity/ssh-bf","message":"Ip 203.0.113.9 performed 'crowdsecurity/ssh-bf'","events_count":6,"source":{"scope":"Ip","value":"203.0.113.9","ip":"203.0.113.9","cn":"VN"},"decisions":[{"type":"ban","duration":"4h","scope":"Ip","value":"203.0.113.9"}],"events":[{"meta":[{"key":"target_user","value":"nhatle.unit"}]}]}"#;
        for profile in ["crowdsec", ""] {
            check(
                profile,
                line,
                &[
                    ("rule.name", "crowdsecurity/ssh-bf"),
                    ("source.ip", "203.0.113.9"),
                    ("event.action", "ban"),
                    ("event.kind", "alert"),
                    ("crowdsec.alert.events_count", "6"),
                    ("@timestamp", "2026-11-23T02:10:00Z"),
                ],
            );
        }
        check(
            "crowdsec",
            r#"time="2026-11-23T02:10:00Z" level=info msg="(may-01/crowdsec) crowdsecurity/ssh-bf by ip 203.0.113.9 (VN/1) : 4h ban on Ip 203.0.113.9""#,
            &[
                ("rule.name", "crowdsecurity/ssh-bf"),
                ("source.ip", "203.0.113.9"),
                ("event.action", "ban"),
                ("@timestamp", "2026-11-23T02:10:00Z"),
            ],
        );
        check(
            "crowdsec",
            r#"time="2026-11-23T02:10:00Z" level=info msg="Starting processing data""#,
            &[("!rule.name", ""), ("message", "Starting processing data")],
        );
    }
}
