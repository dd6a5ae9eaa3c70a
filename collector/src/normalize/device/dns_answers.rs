//! Answers of the name service that sensors saw, and mail that they took apart.
//!
//! In: an event with a sensor's own fields. Out: `dns.answers.*` as lists of one length, the addresses among them; sender, recipients, subject. Source:
//! Suricata, "EVE JSON Format", DNS (versions 1 to 3) and SMTP; Zeek, `dns.log`; ECS 8.17 dns, email.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

fn told(event: &Event, name: &str) -> Option<Value> {
    Field::lookup(name).and_then(|field| event.get(field)).cloned()
}

/// What an EVE record tells beyond single members.
pub(super) fn of_eve(event: &mut Event, kind: &str) {
    match kind {
        "dns" => eve_answers(event),
        "smtp" => {
            for (from, to) in [
                ("email.from", "email.from.address"),
                ("email.to", "email.to.address"),
                ("email.cc", "email.cc.address"),
                ("email.subject", "email.subject"),
                ("email.attachment", "email.attachments.file.name"),
            ] {
                if let Some(value) = told(event, &format!("suricata.eve.{from}")) {
                    event.set_named(to, value);
                }
            }
        }
        _ => {}
    }
}

fn eve_answers(event: &mut Event) {
    if let Some(kind) = told(event, "suricata.eve.dns.type").as_ref().and_then(Value::text) {
        event.set_named("dns.type", if matches!(kind, "query" | "request") { "query" } else { "answer" });
    }
    for (from, to) in [
        ("answers.rrname", "dns.answers.name"),
        ("answers.rrtype", "dns.answers.type"),
        ("answers.ttl", "dns.answers.ttl"),
        ("answers.rdata", "dns.answers.data"),
    ] {
        if let Some(value) = told(event, &format!("suricata.eve.dns.{from}")) {
            event.set_named(to, as_list(value));
        }
    }
    // Version 1 writes a record for each answer.
    if told(event, "suricata.eve.dns.rdata").is_some() {
        for (from, to) in [("rdata", "data"), ("rrname", "name"), ("rrtype", "type"), ("ttl", "ttl")] {
            if let Some(value) = told(event, &format!("suricata.eve.dns.{from}")) {
                event.set_named(&format!("dns.answers.{to}"), as_list(value));
            }
        }
    }
    resolved(event);
}

/// The lifetimes that Zeek writes beside its answers, where each answer has one.
pub(super) fn of_zeek(event: &mut Event) {
    let count = |value: &Value| value.each().count();
    let Some(answers) = event.get(Field::DNS_ANSWERS_DATA).map(count) else { return };
    if let Some(ttls) = told(event, "zeek.dns.TTLs").filter(|ttls| count(ttls) == answers) {
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        let whole = |ttl: &Value| ttl.as_number().map_or(Value::Null, |seconds| Value::Long(seconds as i64));
        event.set_named("dns.answers.ttl", Value::List(ttls.each().map(whole).collect()));
    }
    resolved(event);
}

fn as_list(value: Value) -> Value {
    match value {
        Value::List(values) => Value::List(values),
        one => Value::List(vec![one]),
    }
}

/// The addresses among the answers.
fn resolved(event: &mut Event) {
    let Some(answers) = event.get(Field::DNS_ANSWERS_DATA) else { return };
    let addresses: Vec<IpAddr> = answers.each().filter_map(|answer| answer.text()?.parse().ok()).collect();
    for address in addresses {
        event.add(Field::DNS_RESOLVED_IP, address);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn answers_of_all_versions() {
        let line = |dns: &str| {
            format!(
                r#"{{"timestamp":"2026-11-23T02:10:00.1+0000","flow_id":1,"event_type":"dns","src_ip":"10.45.0.5","src_port":5,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{dns}}}"#
            )
        };
        check(
            &line(
                r#"{"version":2,"type":"answer","id":7,"rrname":"a.example","rrtype":"A","rcode":"NOERROR","answers":[{"rrname":"a.example","rrtype":"CNAME","ttl":60,"rdata":"b.example"},{"rrname":"b.example","rrtype":"A","ttl":50,"rdata":"203.0.113.9"}]}"#,
            ),
            Some(Profile::Suricata),
            &[
                ("dns.answers.data", "b.example,203.0.113.9"),
                ("dns.answers.name", "a.example,b.example"),
                ("dns.answers.ttl", "60,50"),
                ("dns.answers.type", "CNAME,A"),
                ("dns.resolved_ip", "203.0.113.9"),
                ("dns.type", "answer"),
            ],
        );
        check(
            &line(
                r#"{"type":"answer","id":7,"rrname":"a.example","rrtype":"A","rcode":"NOERROR","ttl":60,"rdata":"203.0.113.9"}"#,
            ),
            Some(Profile::Suricata),
            &[("dns.answers.data", "203.0.113.9"), ("dns.resolved_ip", "203.0.113.9")],
        );
        check(
            r#"{"_path":"dns","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","query":"a.example","answers":["b.example","192.0.2.7"],"TTLs":[60.0,5.0]}"#,
            Some(Profile::Zeek),
            &[("dns.answers.ttl", "60,5"), ("dns.resolved_ip", "192.0.2.7")],
        );
    }

    #[test]
    fn mail_and_what_is_no_certificate() {
        check(
            r#"{"timestamp":"2026-11-23T02:10:00.1+0000","flow_id":1,"event_type":"smtp","src_ip":"10.45.0.5","dest_ip":"192.0.2.25","proto":"TCP","smtp":{"helo":"x"},"email":{"from":"a@b","to":["c@d","e@f"],"subject":"s","attachment":["x.doc"]}}"#,
            Some(Profile::Suricata),
            &[("email.from.address", "a@b"), ("email.to.address", "c@d,e@f"), ("email.attachments.file.name", "x.doc")],
        );
        check(
            r#"{"_path":"smtp","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","subject":"s"}"#,
            Some(Profile::Zeek),
            &[("email.subject", "s"), ("tls.server.subject", "(absent)")],
        );
        check(
            r#"{"_path":"software","ts":1,"host":"10.0.0.1","software_type":"HTTP::BROWSER","name":"x"}"#,
            Some(Profile::Zeek),
            &[("url.domain", "(absent)"), ("source.ip", "10.0.0.1")],
        );
    }
}
