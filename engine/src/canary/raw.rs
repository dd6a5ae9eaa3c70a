//! A solution as the source would send it: a Windows record in flat JSON, a line of a web server's access log, a
//! record of the audit log, a syslog line, or else JSON in ECS names.
//!
//! The form follows from the rule's log source alone and is not chosen by trying: a form that the collector no
//! longer reads as before must show, not be worked around. In: a [`Solution`]. Out: profile and text. Pure; cannot fail.

use nhatle_event::{Field, Kind, Timestamp};
use nhatle_rules::predicate::{Predicate, RuleField, Test};
use nhatle_rules::{RuleId, RuleSet};
use serde_json::{Map, Value as Json};

use super::Solution;

/// A record to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The source profile it is read with; `None`: by content.
    pub profile: Option<&'static str>,
    /// The record.
    pub line: String,
}

/// The host that canaries say they come from.
const HOST: &str = "canary";

/// A record that carries a solution.
pub fn raw(rules: &RuleSet, rule: RuleId, solution: &Solution, at: Timestamp) -> Raw {
    let case = &solution.case;
    let is_windows = !case.channels.is_empty() || case.modules.iter().any(|module| module == "windows");
    if is_windows {
        return windows(solution, at);
    }
    let is_dataset = |wanted: &dyn Fn(&str) -> bool| case.datasets.first().is_some_and(|name| wanted(name));
    if is_dataset(&|name| name == "nginx.access")
        && let Some(line) = access_line(solution, at)
    {
        return Raw { profile: Some("nginx"), line };
    }
    if is_dataset(&|name| name == "auditd.log")
        && let Some(line) = audit_line(solution, at)
    {
        return Raw { profile: Some("auditd"), line };
    }
    let is_linux =
        case.modules.iter().any(|module| module == "linux") || is_dataset(&|name| name.starts_with("linux."));
    if is_linux && let Some(line) = syslog_line(solution, at) {
        return Raw { profile: Some("linux"), line };
    }
    ecs(rules, rule, solution, at)
}

/// Flat JSON as agents send it: `EventID`, `Channel`, and the data by name.
fn windows(solution: &Solution, at: Timestamp) -> Raw {
    let mut record = Map::new();
    let mut set = |name: &str, text: &str| record.insert(name.to_owned(), Json::from(text));
    set("@timestamp", &at.to_string());
    for (name, text) in &solution.fields {
        set(name, text);
    }
    let given = solution.fields.get("EventType");
    let is_asked = |kind: &&String| given.is_none_or(|given| kind.eq_ignore_ascii_case(given));
    if let Some(kind) = solution.case.event_types.iter().find(is_asked) {
        // Spelled as Sysmon does: rules write it as they like.
        set("EventType", kind);
    }
    if solution.fields.contains_key("SourceName") {
        // Alone it would be the provider's name.
        set("Provider_Name", HOST);
    }
    if let Some(message) = &solution.message {
        set("Message", message);
    }
    let channel = solution.case.channels.first();
    if let Some(channel) = channel {
        // Where the data has a field of that name too, the system's own has another.
        let is_taken = solution.fields.get("Channel").is_some_and(|taken| !taken.eq_ignore_ascii_case(channel));
        set(if is_taken { "System_Channel" } else { "Channel" }, channel);
    }
    let code = solution.case.codes.first().map_or("1", String::as_str);
    for (name, text) in [("EventID", code), ("Computer", HOST)] {
        if !solution.fields.contains_key(name) {
            set(name, text);
        }
    }
    Raw { profile: Some("windows"), line: Json::Object(record).to_string() }
}

/// A line of the combined format; `None` where the rule asks for what such a line does not hold.
fn access_line(solution: &Solution, at: Timestamp) -> Option<String> {
    let (mut path, mut query, mut uri) = (None, None, None);
    let (mut method, mut status, mut referrer, mut agent, mut address) = ("GET", "200", "-", "-", "203.0.113.7");
    for (name, text) in &solution.fields {
        if text.contains(['"', '\n', '\\']) {
            return None;
        }
        match name.as_str() {
            "cs-method" => method = text,
            "sc-status" => status = text,
            "cs-referer" | "cs-referrer" => referrer = text,
            "cs-user-agent" | "c-useragent" => agent = text,
            "c-ip" | "src_ip" => address = text,
            "c-uri" | "cs-uri" => uri = Some(text.as_str()),
            "cs-uri-stem" | "c-uri-stem" => path = Some(text.as_str()),
            "cs-uri-query" | "c-uri-query" => query = Some(text.as_str()),
            _ => return None,
        }
    }
    let target = match (uri, path, query, &solution.message) {
        (Some(uri), None, None, None) => uri.to_owned(),
        // Rules put the whole request there, too.
        (None, None, Some(query), None) if query.starts_with('/') => query.to_owned(),
        (None, path, query, None) if path.is_some() || query.is_some() => {
            format!("{}?{}", path.unwrap_or("/"), query.unwrap_or("canary"))
        }
        (None, None, None, None) => "/canary".to_owned(),
        (None, None, None, Some(message)) => format!("/canary?{message}"),
        _ => return None,
    };
    let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    if !target.starts_with('/') || [&*target, method, status, address].iter().any(|text| !is_word(text)) {
        return None;
    }
    let (civil, method) = (at.civil(), method.to_ascii_uppercase());
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.get(usize::try_from(civil.month).ok()?.checked_sub(1)?)?;
    Some(format!(
        "{address} - - [{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000] \"{method} {target} HTTP/1.1\" {status} 77 \"{referrer}\" \"{agent}\"",
        civil.day, civil.year, civil.hour, civil.minute, civil.second
    ))
}

/// A record of the audit log; `None` where a name or a value cannot stand in one.
fn audit_line(solution: &Solution, at: Timestamp) -> Option<String> {
    let kind = solution.fields.get("type").map_or("SYSCALL", String::as_str);
    let is_plain = |text: &str| !text.contains(['"', '\n', '\'']) && !text.is_empty();
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if solution.message.is_some()
        || !solution.fields.iter().all(|(name, text)| is_name(name) && is_plain(text))
        || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return None;
    }
    let kind = kind.to_ascii_uppercase();
    let mut line = format!("type={kind} msg=audit({}.000:7431):", at.seconds());
    for (name, text) in solution.fields.iter().filter(|(name, _)| *name != "type") {
        line.push_str(&format!(" {name}=\"{text}\""));
    }
    Some(line)
}

/// A syslog line with the text keywords look for; `None` where the rule asks for fields as well.
fn syslog_line(solution: &Solution, at: Timestamp) -> Option<String> {
    let message = solution.message.as_ref().filter(|message| !message.contains(['\n', '\r']) && !message.is_empty())?;
    if !solution.fields.is_empty() {
        return None;
    }
    // White space at the ends of a record is nobody's, so something stands around it.
    let (before, after) = if message.trim() == message { ("", "") } else { ("canary ", " canary") };
    let case = &solution.case;
    let program = match (case.programs.first(), case.datasets.first().map(String::as_str)) {
        (Some(program), _) => program,
        (None, Some("linux.auth")) => "login",
        (None, Some("linux.cron")) => "CRON",
        (None, Some("linux.kernel")) => "kernel",
        (None, Some("linux.syslog") | None) => "canary",
        (None, Some(_)) => return None,
    };
    let facility = match case.datasets.first().map(String::as_str) {
        Some("linux.auth") => 38,
        Some("linux.cron") => 78,
        Some("linux.kernel") => 6,
        _ => 30,
    };
    Some(format!("<{facility}>1 {at} {HOST} {program} 7431 - - {before}{message}{after}"))
}

/// JSON in the names our own readers give, for sources whose raw form is not written here.
fn ecs(rules: &RuleSet, rule: RuleId, solution: &Solution, at: Timestamp) -> Raw {
    let mut record = Map::new();
    let case = &solution.case;
    let mut set = |name: &str, text: &str| record.insert(name.to_owned(), Json::from(text));
    set("@timestamp", &at.to_string());
    let facts: [(Field, &[String]); 6] = [
        (Field::EVENT_MODULE, &case.modules),
        (Field::EVENT_DATASET, &case.datasets),
        (Field::EVENT_CODE, &case.codes),
        (Field::EVENT_CATEGORY, &case.categories),
        (Field::PROCESS_NAME, &case.programs),
        (Field::WINLOG_CHANNEL, &case.channels),
    ];
    for (field, list) in facts {
        if let Some(text) = list.first() {
            set(field.name(), text);
        }
    }
    let names = rule_fields(rules, rule);
    for (name, text) in &solution.fields {
        let known = names.iter().find(|field| field.name == *name).and_then(|field| ecs_name(field, text));
        // Two of the rule's names can mean one field of ours; then the second keeps its own.
        let taken = |known: &&str| record_has(solution, &names, name, known);
        set(known.filter(|known| !taken(known)).unwrap_or(name), text);
    }
    if let Some(message) = &solution.message {
        set("message", message);
    }
    Raw { profile: Some("json"), line: Json::Object(record).to_string() }
}

/// Whether another field of the solution has this ECS name.
fn record_has(solution: &Solution, names: &[&RuleField], name: &str, known: &str) -> bool {
    let others = solution.fields.iter().filter(|(other, _)| *other != name);
    others.into_iter().any(|(other, text)| {
        names.iter().find(|field| field.name == *other).and_then(|field| ecs_name(field, text)) == Some(known)
            || other == known
    })
}

/// The field of ours a rule's name means best, if its type can hold the text.
fn ecs_name(field: &RuleField, text: &str) -> Option<&'static str> {
    let known = field.candidates.iter().find(|candidate| candidate.known().is_some())?;
    let fits = match known.kind() {
        Kind::Ip => text.parse::<std::net::IpAddr>().is_ok(),
        Kind::Long => text.parse::<i64>().is_ok(),
        Kind::Keyword | Kind::Text => true,
        _ => false,
    };
    let is_ours = matches!(known.name(), "@timestamp" | "message") || known.name().starts_with("nhatle.");
    (fits && !is_ours).then_some(known.name())
}

/// The field names a rule reads.
pub fn rule_fields(rules: &RuleSet, rule: RuleId) -> Vec<&RuleField> {
    let mut fields = Vec::new();
    if let Some(rule) = rules.rules.get(rule.0 as usize) {
        collect(rules, &rule.predicate, &mut fields);
    }
    fields
}

fn collect<'r>(rules: &'r RuleSet, predicate: &Predicate, fields: &mut Vec<&'r RuleField>) {
    match predicate {
        Predicate::Constant(_) => {}
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| collect(rules, part, fields)),
        Predicate::Not(part) => collect(rules, part, fields),
        Predicate::Atom(atom) => {
            let Some(atom) = rules.atoms.get(atom.0 as usize) else { return };
            let other = match &atom.test {
                Test::FieldRef { other, .. } => Some(*other),
                _ => None,
            };
            for field in atom.field.into_iter().chain(other) {
                if let Some(field) = rules.fields.get(field.0 as usize)
                    && !fields.contains(&field)
                {
                    fields.push(field);
                }
            }
        }
    }
}
