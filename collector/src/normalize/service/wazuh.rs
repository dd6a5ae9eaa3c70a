//! Wazuh: the alerts that its manager raises.
//!
//! In: the leaves of a line of `alerts.json`. Out: Wazuh's rule, its level and ATT&CK, whom and what it is about.
//! `event.kind` is `alert`: a finding of another system, which our rules may take over. Source: Wazuh 4 documentation,
//! "Alert management" and `alerts.json`; levels 0 to 16, "Rules classification".

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text};

use super::json_rows::{Row, fill, has_all, value};
use crate::normalize::Context;
use crate::normalize::device::{Act, act, finish};
use crate::parse;

const ROWS: &[Row] = &[
    ("id", Field::EVENT_ID),
    ("rule.id", Field::RULE_ID),
    ("rule.description", Field::RULE_NAME),
    ("rule.groups", Field::RULE_CATEGORY),
    ("rule.level", Field::EVENT_SEVERITY),
    ("rule.mitre.id", Field::THREAT_TECHNIQUE_ID),
    ("rule.mitre.tactic", Field::THREAT_TACTIC_NAME),
    ("agent.name", Field::HOST_NAME),
    ("agent.ip", Field::HOST_IP),
    ("manager.name", Field::OBSERVER_NAME),
    ("predecoder.program_name", Field::PROCESS_NAME),
    ("data.srcip", Field::SOURCE_IP),
    ("data.src_ip", Field::SOURCE_IP),
    ("data.win.eventdata.ipAddress", Field::SOURCE_IP),
    ("data.srcport", Field::SOURCE_PORT),
    ("data.src_port", Field::SOURCE_PORT),
    ("data.dstip", Field::DESTINATION_IP),
    ("data.dest_ip", Field::DESTINATION_IP),
    ("data.dstport", Field::DESTINATION_PORT),
    ("data.dest_port", Field::DESTINATION_PORT),
    ("data.protocol", Field::NETWORK_TRANSPORT),
    ("data.dstuser", Field::USER_NAME),
    ("data.win.eventdata.targetUserName", Field::USER_NAME),
    ("data.srcuser", Field::SOURCE_USER_NAME),
    ("data.url", Field::URL_ORIGINAL),
    ("data.command", Field::PROCESS_COMMAND_LINE),
    ("data.win.eventdata.commandLine", Field::PROCESS_COMMAND_LINE),
    ("data.win.eventdata.image", Field::PROCESS_EXECUTABLE),
    ("data.win.system.eventID", Field::EVENT_CODE),
    ("data.win.system.channel", Field::EVENT_PROVIDER),
    ("syscheck.path", Field::FILE_PATH),
    ("syscheck.event", Field::EVENT_ACTION),
    ("syscheck.md5_after", Field::FILE_HASH_MD5),
    ("syscheck.sha1_after", Field::FILE_HASH_SHA1),
    ("syscheck.sha256_after", Field::FILE_HASH_SHA256),
    ("full_log", Field::MESSAGE),
];

/// Whether a record is an alert of Wazuh.
pub fn is_record(leaves: &Leaves) -> bool {
    has_all(leaves, &["rule.id", "rule.level", "manager.name"])
        && (has_all(leaves, &["agent.id"]) || has_all(leaves, &["decoder.name"]))
}

/// The event of an alert.
pub fn event(leaves: Leaves, context: &Context<'_>) -> Event {
    let stamp = value(&leaves, "timestamp").and_then(|value| parse::json::moment(value, context.offset_s));
    let mut event = context.event(stamp, "wazuh", "wazuh.alerts");
    act(&mut event, Act("intrusion_detection", &["info"], ""));
    event.set(Field::EVENT_KIND, "alert");
    event.set(Field::OBSERVER_VENDOR, "Wazuh");
    event.set(Field::OBSERVER_PRODUCT, "Wazuh");
    fill(&mut event, "wazuh.", ROWS, leaves);
    if let Some(name) = event.text(Field::RULE_NAME).map(Text::from) {
        event.set_default(Field::MESSAGE, name);
    }
    finish(&mut event);
    event
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn an_alert_of_wazuh() {
        let line = r#"{"timestamp":"2026-11-23T09:10:00.000+0700","rule":{"level":10,"description":"sshd: brute force","id":"5712","mitre":{"id":["T1110"],"tactic":["Credential Access"]},"groups":["syslog","sshd"]},"agent":{"id":"003","name":"web-01","ip":"192.0.2.20"},"manager":{"name":"wazuh-01"},"id":"1.2","full_log":"Nov 23 x","decoder":{"name":"sshd"},"data":{"srcip":"203.0.113.9","dstuser":"root"},"location":"/var/log/auth.log"}"#;
        let told = [
            ("event.kind", "alert"),
            ("event.module", "wazuh"),
            ("rule.id", "5712"),
            ("rule.name", "sshd: brute force"),
            ("event.severity", "10"),
            ("threat.technique.id", "T1110"),
            ("host.name", "web-01"),
            ("source.ip", "203.0.113.9"),
            ("user.name", "root"),
            ("wazuh.location", "/var/log/auth.log"),
            ("@timestamp", "2026-11-23T02:10:00Z"),
        ];
        check("wazuh", line, &told);
        check("", line, &told);
        check(
            "",
            &format!("<132>Nov 23 09:10:00 wazuh-01 ossec: {line}"),
            &[("rule.id", "5712"), ("host.name", "web-01")],
        );
    }

    #[test]
    fn what_a_log_line_holds_names_no_field() {
        let line = r#"{"rule":{"level":3,"id":"1"},"agent":{"id":"0"},"manager":{"name":"m"},"data":{"nhatle.alert.id":"x"},"event":{"kind":"signal"},"nhatle":{"unit":"u"}}"#;
        check("wazuh", line, &[("event.kind", "alert"), ("!nhatle.alert.id", ""), ("!nhatle.unit", "")]);
    }
}
