//! ModSecurity: what the web application firewall saw, stopped, or only noted.
//!
//! In: its line in the error log of Apache or nginx, an entry of the serial audit log (version 2), the leaves of a
//! JSON audit log (versions 2 and 3). Out: client, request, the rules that matched, whether it was stopped
//! (`event.action` is `waf_blocked` or `waf_detected`). Promise: a request is a stranger's text: a key that stands more
//! than once in a line is not read (`[id "…"] [id "…"]`). Source: ModSecurity 2 reference manual, "Audit Log", "Error
//! Log Format"; ModSecurity 3 reference manual, "SecAuditLogFormat"; OWASP CRS 4 documentation.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text, Value};

use super::json_rows::{Row, fill, has_all, text, value};
use super::{set_named, set_number, split_sole};
use crate::normalize::device::{Act, act, finish, set_text};
use crate::normalize::linux::set_source;
use crate::normalize::{Context, web};
use crate::parse::{self, Fault, date, web_access};

/// How many lines of one audit entry are looked at.
const LINES_MAX: usize = 2_000;
/// Keys of a message that have a name of their own.
const KEYS: &[(&str, &str)] = &[
    ("data", "modsecurity.data"),
    ("severity", "modsecurity.severity"),
    ("file", "modsecurity.file"),
    ("ver", "modsecurity.version"),
    ("unique_id", "modsecurity.unique_id"),
];
const ROWS: &[Row] = &[
    ("transaction.client_ip", Field::SOURCE_IP),
    ("transaction.remote_address", Field::SOURCE_IP),
    ("transaction.client_port", Field::SOURCE_PORT),
    ("transaction.remote_port", Field::SOURCE_PORT),
    ("transaction.host_ip", Field::DESTINATION_IP),
    ("transaction.local_address", Field::DESTINATION_IP),
    ("transaction.host_port", Field::DESTINATION_PORT),
    ("transaction.local_port", Field::DESTINATION_PORT),
    ("transaction.unique_id", Field::EVENT_ID),
    ("transaction.transaction_id", Field::EVENT_ID),
    ("transaction.request.method", Field::HTTP_REQUEST_METHOD),
    ("transaction.request.http_version", Field::HTTP_VERSION),
    ("transaction.response.http_code", Field::HTTP_RESPONSE_STATUS_CODE),
    ("response.status", Field::HTTP_RESPONSE_STATUS_CODE),
    ("transaction.messages.details.ruleId", Field::RULE_ID),
    ("transaction.messages.message", Field::RULE_NAME),
    ("transaction.request.headers.Host", Field::URL_DOMAIN),
    ("transaction.request.headers.User-Agent", Field::USER_AGENT_ORIGINAL),
    ("request.headers.Host", Field::URL_DOMAIN),
    ("request.headers.User-Agent", Field::USER_AGENT_ORIGINAL),
];

/// Sets what a message in a web server's error log means; `false` = it is none of ModSecurity's.
pub fn set_message(event: &mut Event, message: &str) -> bool {
    // Apache repeats the client in front.
    let bare =
        message.strip_prefix("[client ").and_then(|rest| rest.split_once("] ")).map_or(message, |(_, rest)| rest);
    let Some(told) = bare
        .strip_prefix("ModSecurity: ")
        .or_else(|| bare.strip_prefix("*").and_then(|rest| rest.split_once(" ModSecurity: ")).map(|(_, rest)| rest))
    else {
        return false;
    };
    event.set(Field::EVENT_MODULE, "modsecurity");
    event.set(Field::EVENT_DATASET, "modsecurity.error");
    finding(event, told);
    meaning(
        event,
        told.starts_with("Access denied"),
        told.starts_with("Access denied") || told.starts_with("Warning."),
    );
    if let Some(host) = sole(told, "hostname") {
        event.set_default(Field::DESTINATION_DOMAIN, host);
    }
    if let Some(uri) = sole(told, "uri")
        && event.get(Field::URL_ORIGINAL).is_none()
    {
        web::set_url(event, uri);
    }
    true
}

/// The value of a key that stands once: `[id "930100"]`.
fn sole<'a>(message: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = split_sole(message, &format!("[{key} \""))?;
    rest.split_once("\"]").map(|(value, _)| value)
}

/// Adds one finding: the rule's number and words, and what else the keys tell.
fn finding(event: &mut Event, message: &str) {
    if let Some(id) = sole(message, "id") {
        event.add(Field::RULE_ID, id);
    }
    if let Some(words) = sole(message, "msg") {
        event.add(Field::RULE_NAME, words);
        score(event, words);
    }
    for (key, name) in KEYS {
        set_named(event, name, sole(message, key));
    }
    for part in message.split("[tag \"").skip(1).take(32) {
        if let (Some((tag, _)), Some(field)) = (part.split_once("\"]"), Field::intern("modsecurity.tags")) {
            event.add(field, tag);
        }
    }
}

/// `Inbound Anomaly Score Exceeded (Total Score: 8)`.
fn score(event: &mut Event, words: &str) {
    if let Some((_, number)) = words.split_once("Total Score: ") {
        set_number(event, "modsecurity.anomaly_score", number.split([')', ' ', ',']).next().unwrap_or_default());
    }
}

fn meaning(event: &mut Event, is_stopped: bool, is_finding: bool) {
    let types: &[&str] = if is_stopped { &["access", "denied"] } else { &["access", "allowed"] };
    event.remove(Field::EVENT_TYPE);
    act(event, Act("web", types, ""));
    if !is_finding {
        return;
    }
    event.add(Field::EVENT_CATEGORY, "intrusion_detection");
    event.set(Field::EVENT_KIND, "alert");
    event.set(Field::EVENT_ACTION, if is_stopped { "waf_blocked" } else { "waf_detected" });
    event.set(Field::EVENT_OUTCOME, if is_stopped { "failure" } else { "success" });
}

/// The event of an entry of the serial audit log.
///
/// # Errors
/// Its date does not exist.
pub fn audit_entry(entry: &str, context: &Context<'_>) -> Result<Event, Fault> {
    let mut event = context.event(None, "modsecurity", "modsecurity.audit");
    let (mut part, mut is_stopped, mut has_finding, mut at) = (' ', false, false, 0);
    // Only marks with the number of the first are the firewall's: the body of a request may hold others.
    let number = entry.lines().next().and_then(mark).map(|(number, _)| number);
    for line in entry.lines().take(LINES_MAX) {
        if let Some((_, next)) = mark(line).filter(|(found, _)| Some(*found) == number) {
            (part, at) = (next, 0);
            continue;
        }
        match part {
            'A' if at == 0 => connection(&mut event, line, context.offset_s)?,
            'B' if at == 0 => request(&mut event, line),
            'B' => header(&mut event, line),
            'F' if at == 0 => {
                set_text(&mut event, Field::HTTP_RESPONSE_STATUS_CODE, line.split(' ').nth(1).unwrap_or_default())
            }
            'H' => {
                if let Some(message) = line.strip_prefix("Message: ") {
                    finding(&mut event, message);
                    has_finding = true;
                    event.set_default(Field::MESSAGE, message);
                } else if let Some(action) = line.strip_prefix("Action: ") {
                    is_stopped |= action.starts_with("Intercepted");
                } else if let Some(mode) = line.strip_prefix("Engine-Mode: ") {
                    event.set_named("modsecurity.engine_mode", mode.trim_matches('"'));
                }
            }
            _ => {}
        }
        at += 1;
    }
    meaning(&mut event, is_stopped, has_finding);
    event.set_default(Field::MESSAGE, entry.lines().next().unwrap_or_default());
    finish(&mut event);
    Ok(event)
}

/// Number and letter of `--a1b2c3d4-H--`.
fn mark(line: &str) -> Option<(&str, char)> {
    let rest = line.strip_prefix("--")?.strip_suffix("--")?;
    let (id, part) = rest.rsplit_once('-')?;
    let is_mark = id.bytes().all(|byte| byte.is_ascii_alphanumeric()) && part.len() == 1;
    part.chars().next().filter(|letter| is_mark && letter.is_ascii_uppercase()).map(|letter| (id, letter))
}

/// `[23/Nov/2026:09:10:00 +0700] AbC 203.0.113.9 4411 192.0.2.20 443`.
fn connection(event: &mut Event, line: &str, offset_s: i32) -> Result<(), Fault> {
    let inner = line.trim_start_matches('[');
    // Version 2.9.3 writes a fraction behind the seconds, which the common form has not.
    let (whole, zone) = inner.split_once(' ').unwrap_or((inner, ""));
    let plain = format!("{} {zone}", whole.split('.').next().unwrap_or(whole));
    if let Some((stamp, _)) = date::common_log(&plain, offset_s)? {
        event.timestamp = stamp;
    }
    let words: Vec<&str> = line.split_once("] ").map_or("", |(_, rest)| rest).split(' ').collect();
    if let [id, source, source_port, destination, destination_port] = words.as_slice() {
        event.set(Field::EVENT_ID, *id);
        set_source(event, source);
        set_text(event, Field::SOURCE_PORT, source_port);
        set_text(event, Field::DESTINATION_IP, destination);
        set_text(event, Field::DESTINATION_PORT, destination_port);
    }
    Ok(())
}

fn request(event: &mut Event, line: &str) {
    let Some(request) = web_access::request(line) else { return };
    event.set(Field::HTTP_REQUEST_METHOD, request.method);
    if let Some(version) = request.version {
        event.set(Field::HTTP_VERSION, version);
    }
    web::set_url(event, request.target);
}

fn header(event: &mut Event, line: &str) {
    let Some((name, value)) = line.split_once(": ") else { return };
    match name.to_ascii_lowercase().as_str() {
        "host" => event.set(Field::URL_DOMAIN, value.split(':').next().unwrap_or(value)),
        "user-agent" => event.set(Field::USER_AGENT_ORIGINAL, value),
        "referer" => event.set(Field::HTTP_REQUEST_REFERRER, value),
        _ => {}
    }
}

/// Whether a record is of the JSON audit log.
pub fn is_record(leaves: &Leaves) -> bool {
    has_all(leaves, &["transaction.client_ip", "transaction.request.uri"])
        || has_all(leaves, &["transaction.remote_address", "request.request_line"])
}

/// The event of a JSON audit log's record.
pub fn event(leaves: Leaves, context: &Context<'_>) -> Event {
    let told = text(&leaves, "transaction.time_stamp").or_else(|| text(&leaves, "transaction.time"));
    let stamp = told.and_then(|told| {
        date::ctime(told, context.offset_s).ok().flatten().map(|(stamp, _)| stamp).or_else(|| {
            let (whole, zone) = told.split_once(' ').unwrap_or((told, ""));
            date::common_log(&format!("{} {zone}", whole.split('.').next().unwrap_or(whole)), context.offset_s)
                .ok()
                .flatten()
                .map(|(stamp, _)| stamp)
        })
    });
    let mut event = context.event(stamp, "modsecurity", "modsecurity.audit");
    let target = text(&leaves, "transaction.request.uri").map(str::to_owned);
    let line = text(&leaves, "request.request_line").map(str::to_owned);
    let is_told = value(&leaves, "audit_data.action.intercepted").is_some_and(|value| *value == Value::Boolean(true));
    let status = value(&leaves, "transaction.response.http_code").and_then(Value::as_long).unwrap_or_default();
    let engine = text(&leaves, "transaction.producer.secrules_engine")
        .or_else(|| text(&leaves, "audit_data.engine_mode"))
        .unwrap_or_default()
        .to_owned();
    // Version 3 does not say that it stopped a request: it answers 403 (or as configured) where the engine is on.
    let is_on = matches!(engine.as_str(), "Enabled" | "ENABLED" | "On");
    let messages: Vec<String> = value(&leaves, "audit_data.messages")
        .into_iter()
        .flat_map(|value| value.each().take(64))
        .filter_map(|one| one.text().map(str::to_owned))
        .collect();
    fill(&mut event, "modsecurity.", ROWS, leaves);
    for message in &messages {
        finding(&mut event, message);
    }
    set_named(&mut event, "modsecurity.engine_mode", Some(&engine));
    if let Some(line) = line {
        request(&mut event, &line);
    }
    if let Some(target) = target {
        web::set_url(&mut event, &target);
    }
    let has_finding = event.get(Field::RULE_ID).is_some() || !messages.is_empty();
    meaning(&mut event, is_told || (is_on && status == 403 && has_finding), has_finding);
    let names: Vec<Text> = event
        .get(Field::RULE_NAME)
        .into_iter()
        .flat_map(Value::each)
        .filter_map(|one| one.text().map(Text::from))
        .collect();
    for name in &names {
        score(&mut event, name);
    }
    event.set_default(Field::MESSAGE, names.first().cloned().unwrap_or_else(|| "request".into()));
    finish(&mut event);
    event
}

/// Whether text is an entry of the serial audit log.
pub fn is_audit_entry(text: &str) -> bool {
    text.starts_with("--") && text.lines().next().and_then(mark).is_some_and(|(_, letter)| letter == 'A')
}

/// The moment of a record is its own; a line of no form is a message.
///
/// # Errors
/// The line's date does not exist.
pub fn line(text: &str, context: &Context<'_>) -> Result<Event, Fault> {
    if is_audit_entry(text) {
        return audit_entry(text, context);
    }
    if matches!(parse::detect(text), parse::Format::WebError) {
        return web::event(text, context);
    }
    let mut event = context.event(None, "modsecurity", "modsecurity.error");
    event.set(Field::MESSAGE, text);
    set_message(&mut event, text);
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const KEYS: &str = "[file \"/etc/crs/REQUEST-930.conf\"] [line \"47\"] [id \"930100\"] [msg \"Path Traversal Attack\"] [data \"Matched Data: /../\"] [severity \"CRITICAL\"] [ver \"OWASP_CRS/4\"] [tag \"attack-lfi\"] [hostname \"cong.example\"] [uri \"/\"] [unique_id \"Y1\"]";

    #[test]
    fn lines_of_both_servers() {
        let told = [
            ("event.module", "modsecurity"),
            ("event.action", "waf_detected"),
            ("rule.id", "930100"),
            ("rule.name", "Path Traversal Attack"),
            ("source.ip", "203.0.113.9"),
            ("modsecurity.severity", "CRITICAL"),
            ("modsecurity.tags", "attack-lfi"),
        ];
        let apache = format!(
            "[Mon Nov 23 02:10:00.123456 2026] [:error] [pid 7:tid 9] [client 203.0.113.9:4411] [client 203.0.113.9] ModSecurity: Warning. Pattern match \"x\" at ARGS:a. {KEYS}"
        );
        let nginx = format!(
            "2026/11/23 02:10:00 [info] 7#7: *1083 ModSecurity: Warning. Matched \"Operator\" {KEYS}, client: 203.0.113.9, server: cong.example, request: \"GET /?a=../ HTTP/1.1\", host: \"cong.example\""
        );
        for line in [apache, nginx] {
            check("modsecurity", &line, &told);
            check("", &line, &told);
        }
        let denied = format!(
            "[Mon Nov 23 02:10:00.123456 2026] [:error] [pid 7] [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). x {KEYS}"
        );
        check("apache", &denied, &[("event.action", "waf_blocked"), ("event.type", "access,denied")]);
    }

    #[test]
    fn a_request_with_keys_in_it_forges_none() {
        let line = format!(
            "2026/11/23 02:10:00 [info] 7#7: *1083 ModSecurity: Warning. (Value: `x [id \"1\"] [msg \"harmless\"]' ) {KEYS}, client: 203.0.113.9"
        );
        check(
            "",
            &line,
            &[("!rule.id", ""), ("!rule.name", ""), ("event.action", "waf_detected"), ("source.ip", "203.0.113.9")],
        );
    }

    #[test]
    fn an_entry_of_the_serial_audit_log() {
        let entry = format!(
            "--a1b2c3d4-A--\n[23/Nov/2026:09:10:00.123456 +0700] Y1 203.0.113.9 4411 192.0.2.20 443\n--a1b2c3d4-B--\nPOST /tai-len/x.php?cmd=id HTTP/1.1\nHost: cong.example\nUser-Agent: curl/8\n\n--a1b2c3d4-C--\n--0badbad0-H--\nMessage: forged [id \"1\"]\nEngine-Mode: \"x\"\n--a1b2c3d4-F--\nHTTP/1.1 403 Forbidden\n\n--a1b2c3d4-H--\nMessage: Access denied with code 403 (phase 2). {KEYS}\nAction: Intercepted (phase 2)\nEngine-Mode: \"ENABLED\"\n\n--a1b2c3d4-Z--"
        );
        for profile in ["modsecurity", ""] {
            check(
                profile,
                &entry,
                &[
                    ("event.action", "waf_blocked"),
                    ("source.ip", "203.0.113.9"),
                    ("destination.port", "443"),
                    ("url.path", "/tai-len/x.php"),
                    ("url.domain", "cong.example"),
                    ("rule.id", "930100"),
                    ("http.response.status_code", "403"),
                    ("modsecurity.engine_mode", "ENABLED"),
                    ("@timestamp", "2026-11-23T02:10:00Z"),
                ],
            );
        }
    }

    #[test]
    fn json_of_both_versions() {
        let three = r#"{"transaction":{"client_ip":"203.0.113.9","time_stamp":"Mon Nov 23 02:10:00 2026","client_port":4411,"host_ip":"192.0.2.20","host_port":443,"unique_id":"Y1","request":{"method":"GET","http_version":1.1,"uri":"/?a=../","headers":{"Host":"cong.example"}},"response":{"http_code":200},"producer":{"secrules_engine":"DetectionOnly"},"messages":[{"message":"Path Traversal Attack","details":{"ruleId":"930100","data":"x"}},{"message":"Inbound Anomaly Score Exceeded (Total Score: 8)","details":{"ruleId":"949110"}}]}}"#;
        let told = [
            ("event.action", "waf_detected"),
            ("rule.id", "930100,949110"),
            ("source.ip", "203.0.113.9"),
            ("modsecurity.engine_mode", "DetectionOnly"),
            ("modsecurity.anomaly_score", "8"),
            ("@timestamp", "2026-11-23T02:10:00Z"),
            ("url.query", "a=../"),
        ];
        for profile in ["modsecurity", ""] {
            check(profile, three, &told);
        }
        let two = r#"{"transaction":{"time":"23/Nov/2026:09:10:00 +0700","transaction_id":"Y1","remote_address":"203.0.113.9","remote_port":4411,"local_address":"192.0.2.20","local_port":443},"request":{"request_line":"GET /?a=../ HTTP/1.1","headers":{"Host":"cong.example"}},"response":{"status":403},"audit_data":{"messages":["Access denied with code 403 (phase 2). x [id \"930100\"] [msg \"Path Traversal Attack\"]"],"action":{"intercepted":true,"phase":2},"engine_mode":"ENABLED"}}"#;
        check(
            "modsecurity",
            two,
            &[
                ("event.action", "waf_blocked"),
                ("rule.id", "930100"),
                ("http.response.status_code", "403"),
                ("url.path", "/"),
                ("@timestamp", "2026-11-23T02:10:00Z"),
            ],
        );
    }
}
