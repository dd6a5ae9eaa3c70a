//! CEF: `CEF:version|vendor|product|device version|class id|name|severity|key=value …`.
//!
//! In: a message that holds a CEF record. Out: the event; who sent it as `observer.*`, the extension under
//! `cef.extensions.*` with the keys as sent, custom pairs (`cs1Label=Policy cs1=…`) also under `cef.labels.*`.
//! Failure: a header of fewer than seven fields. Promise: a key that comes twice counts the first time, and
//! an escaped `=` begins no key. Source: ArcSight, "Implementing ArcSight Common Event Format (CEF)", version 26.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text, Value};

use super::{Act, Row, act, set_pairs, stamp, unifi, verdict};
use crate::normalize::Context;
use crate::parse::{Fault, Syslog};

/// How many pairs of one record are read; what follows stays in the message.
pub const PAIRS_MAX: usize = 256;
/// How far into a record `CEF:` may stand, behind whatever header its sender writes.
const MARK_AT_MAX: usize = 256;
const HOME: &str = "cef.extensions.";

const TABLE: &[Row] = &[
    ("act", Field::EVENT_ACTION),
    ("dhost", Field::DESTINATION_DOMAIN),
    ("destinationDnsDomain", Field::DESTINATION_DOMAIN),
    ("dmac", Field::DESTINATION_MAC),
    ("dpt", Field::DESTINATION_PORT),
    ("dst", Field::DESTINATION_IP),
    ("destinationTranslatedAddress", Field::DESTINATION_NAT_IP),
    ("destinationTranslatedPort", Field::DESTINATION_NAT_PORT),
    ("duser", Field::DESTINATION_USER_NAME),
    ("duid", Field::USER_TARGET_ID),
    ("dtz", Field::EVENT_TIMEZONE),
    ("deviceExternalId", Field::OBSERVER_NAME),
    ("dvchost", Field::OBSERVER_NAME),
    ("deviceInboundInterface", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("deviceOutboundInterface", Field::OBSERVER_EGRESS_INTERFACE_NAME),
    ("deviceProcessName", Field::PROCESS_NAME),
    ("dvcpid", Field::PROCESS_PID),
    ("sproc", Field::PROCESS_NAME),
    ("spid", Field::PROCESS_PID),
    ("eventId", Field::EVENT_ID),
    ("externalId", Field::EVENT_ID),
    ("filePath", Field::FILE_PATH),
    ("fname", Field::FILE_NAME),
    ("fsize", Field::FILE_SIZE),
    ("in", Field::SOURCE_BYTES),
    ("out", Field::DESTINATION_BYTES),
    ("msg", Field::MESSAGE),
    ("proto", Field::NETWORK_TRANSPORT),
    ("reason", Field::EVENT_REASON),
    ("request", Field::URL_ORIGINAL),
    ("requestClientApplication", Field::USER_AGENT_ORIGINAL),
    ("requestContext", Field::HTTP_REQUEST_REFERRER),
    ("requestMethod", Field::HTTP_REQUEST_METHOD),
    ("shost", Field::SOURCE_DOMAIN),
    ("smac", Field::SOURCE_MAC),
    ("spt", Field::SOURCE_PORT),
    ("src", Field::SOURCE_IP),
    ("sourceTranslatedAddress", Field::SOURCE_NAT_IP),
    ("sourceTranslatedPort", Field::SOURCE_NAT_PORT),
    ("suser", Field::SOURCE_USER_NAME),
    ("rule_uid", Field::RULE_UUID),
    ("ifname", Field::OBSERVER_INGRESS_INTERFACE_NAME),
    ("BitdefenderGZMalwareName", Field::RULE_NAME),
    ("BitdefenderGZMalwareHash", Field::FILE_HASH_SHA256),
    ("TrendMicroDsFileMD5", Field::FILE_HASH_MD5),
    ("TrendMicroDsFileSHA1", Field::FILE_HASH_SHA1),
    ("TrendMicroDsFileSHA256", Field::FILE_HASH_SHA256),
    ("c6a2", Field::SOURCE_IP),
    ("c6a3", Field::DESTINATION_IP),
];

/// Labels of custom pairs, without spaces, that name the rule.
const RULE_LABELS: &[Row] = &[
    ("ruleid", Field::RULE_ID),
    ("rulename", Field::RULE_NAME),
    // What antivirus found.
    ("virusname", Field::RULE_NAME),
    ("threatname", Field::RULE_NAME),
    ("malwarename", Field::RULE_NAME),
    ("ruleuid", Field::RULE_UUID),
    ("matchedcategory", Field::RULE_CATEGORY),
];

/// Times in the order they are believed: when the device received it, when it ended, when it began.
const TIMES: [&str; 5] = ["rt", "FTNTFGTeventtime", "end", "start", "deviceReceiptTime"];

/// A record taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Version, vendor, product, device version, class id, name, severity.
    pub header: [Cow<'a, str>; 7],
    /// The pairs, each key once.
    pub extension: Vec<(&'a str, Cow<'a, str>)>,
}

impl Parts<'_> {
    /// The value of a key that is not empty.
    pub fn value(&self, key: &str) -> Option<&str> {
        let found = self.extension.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_ref());
        found.filter(|value| !value.is_empty())
    }
}

/// Where a record begins in text with some header in front.
pub fn starts_at(text: &str, mark: &str) -> Option<usize> {
    let places = text.match_indices(mark).map(|(at, _)| at).take_while(|at| *at <= MARK_AT_MAX);
    // FortiOS writes a space behind the mark.
    let version = |at: &usize| text.get(at + mark.len()..).map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
    places.into_iter().find(|at| version(at).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

/// Whether a message is CEF from its first byte.
pub fn is_cef(parts: &Syslog<'_>) -> bool {
    starts_at(parts.message.trim_start(), "CEF:") == Some(0)
}

/// Takes a record apart; `text` begins with `CEF:`.
///
/// # Errors
/// The header has fewer than seven fields.
pub fn parse(text: &str) -> Result<Parts<'_>, Fault> {
    let body = text.strip_prefix("CEF:").unwrap_or(text);
    let front = text.len() - body.len();
    let (mut pieces, mut rest) = (Vec::with_capacity(7), body);
    while pieces.len() < 7 {
        let Some(at) = unescaped_pipe(rest) else { break };
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after.get(1..).unwrap_or_default();
    }
    // The extension may be left out with its pipe. UniFi OS leaves out the name: six fields and the pairs.
    let is_pairs =
        |text: &str| text.split_once('=').is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(is_key_byte));
    match pieces.len() {
        7 => {}
        6 if is_pairs(rest.trim_start()) => pieces.insert(5, pieces.get(4).copied().unwrap_or_default()),
        6 => pieces.push(std::mem::take(&mut rest)),
        _ => return Err(Fault::new("cef: the header is too short", (front + body.len()).min(text.len()))),
    }
    let header = std::array::from_fn(|at| unescape(pieces.get(at).copied().unwrap_or_default().trim()));
    Ok(Parts { header, extension: extension(rest) })
}

fn unescaped_pipe(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'|' => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
}

/// The pairs: a value reaches to the next word that is a key and `=`.
fn extension(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut keys: Vec<(usize, usize)> = Vec::with_capacity(16);
    let (mut word, mut is_key, mut is_escaped) = (0, true, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => (is_escaped, is_key) = (true, false),
            b' ' | b'\t' => (word, is_key) = (at + 1, true),
            b'=' => {
                if is_key && at > word && keys.len() < PAIRS_MAX {
                    keys.push((word, at));
                }
                is_key = false;
            }
            byte => is_key &= is_key_byte(byte),
        }
    }
    let mut found: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(keys.len());
    for (index, (start, equals)) in keys.iter().enumerate() {
        let end = keys.get(index + 1).map_or(text.len(), |(next, _)| *next);
        let (Some(key), Some(value)) = (text.get(*start..*equals), text.get(equals + 1..end)) else { continue };
        if !found.iter().any(|(known, _)| *known == key) {
            found.push((key, unescape(value.trim())));
        }
    }
    found
}

fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(next @ ('\\' | '|' | '='))) => {
                text.push(next);
                chars.next();
            }
            ('\\', Some('n' | 'r')) => {
                text.push('\n');
                chars.next();
            }
            _ => text.push(c),
        }
    }
    Cow::Owned(text)
}

/// The event of a message.
///
/// # Errors
/// See [`parse`]; also where there is no `CEF:` at all.
pub fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    let message = parts.message.trim();
    let front = parts.message.len() - parts.message.trim_start().len();
    let at = starts_at(message, "CEF:").ok_or_else(|| Fault::new("cef: expected CEF:", front))?;
    let record = parse(&message[at..]).map_err(|fault| Fault { offset: fault.offset + at + front, ..fault })?;
    if record.header[1] == "Ubiquiti" {
        return Ok(unifi::of_cef(&record, parts, context));
    }
    let mut event = context.event(moment(&record, context).or(parts.timestamp), "cef", "cef.log");
    fill(&mut event, &record);
    Ok(event)
}

/// When, as the record says.
pub fn moment(record: &Parts<'_>, context: &Context<'_>) -> Option<nhatle_event::Timestamp> {
    let offset_s = record.value("dtz").and_then(stamp::zone).unwrap_or(context.offset_s);
    TIMES.iter().find_map(|key| stamp::moment_in(record.value(key)?, context, offset_s))
}

/// Sets what any vendor's record tells.
pub fn fill(event: &mut Event, record: &Parts<'_>) {
    let [version, vendor, product, device_version, class, name, severity] = &record.header;
    event.reserve(record.extension.len() * 2 + 16);
    let header = [
        (Field::OBSERVER_VENDOR, vendor),
        (Field::OBSERVER_PRODUCT, product),
        (Field::OBSERVER_VERSION, device_version),
        (Field::EVENT_CODE, class),
        (Field::MESSAGE, name),
    ];
    for (field, text) in header.into_iter().filter(|(_, text)| !text.is_empty()) {
        event.set(field, Text::from(text.as_ref()));
    }
    for (named, text) in [("cef.version", version), ("cef.name", name), ("cef.severity", severity)] {
        event.set_named(named, Text::from(text.as_ref()));
    }
    if let Some(severity) = severity_of(severity) {
        event.set(Field::EVENT_SEVERITY, Value::Long(severity));
    }
    set_pairs(event, HOME, TABLE, record.extension.iter().map(|(key, value)| (*key, value.as_ref())));
    labels(event, record);
    more(event, record);
    let denied_or_allowed = record.value("act").map(verdict).unwrap_or_default();
    let told = record.value("outcome").or_else(|| record.value("categoryOutcome"));
    let outcome = outcome_of(told.unwrap_or_default());
    let lower = name.to_ascii_lowercase();
    if ["login", "logon", "log in", "signed in", "authentication"].iter().any(|word| lower.contains(word)) {
        let is_bad = ["fail", "denied", "invalid", "incorrect"].iter().any(|word| lower.contains(word));
        let is_good = ["success", "succeeded", "signed in", "logged in"].iter().any(|word| lower.contains(word));
        let outcome = match (is_bad, outcome) {
            (true, _) => "failure",
            (false, "") if is_good => "success",
            (false, told) => told,
        };
        act(event, Act("authentication", &["start"], outcome));
    } else if is_malware(&lower, class) {
        act(event, Act("malware", &["info"], outcome));
    } else if event.get(Field::SOURCE_IP).is_some() && event.get(Field::DESTINATION_IP).is_some() {
        act(event, Act("network", &["connection"], outcome));
    } else if !outcome.is_empty() {
        event.set(Field::EVENT_OUTCOME, outcome);
    }
    for kind in denied_or_allowed {
        event.add(Field::EVENT_TYPE, *kind);
    }
}

/// Whether a record is of malware that was found (Kaspersky's classes name it), and not of the words that find it.
fn is_malware(lower: &str, class: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    class.starts_with("GNRL_EV_VIRUS_FOUND")
        || (has(&["malware", "virus", "malicious object", "trojan", "ransomware"])
            && has(&["detect", "found", "infected", "blocked", "cleaned", "quarantine", "deleted"])
            && !has(&["update", "definition", "signature"]))
}

/// What a table row cannot say: a hash by its length, an application in small letters, who did it.
fn more(event: &mut Event, record: &Parts<'_>) {
    if let Some(hash) = record.value("fileHash") {
        let field = match hash.len() {
            32 => Some(Field::FILE_HASH_MD5),
            40 => Some(Field::FILE_HASH_SHA1),
            64 => Some(Field::FILE_HASH_SHA256),
            _ => None,
        };
        if let Some(field) = field {
            event.set(field, Text::from(hash));
        }
    }
    if let Some(app) = record.value("app") {
        event.set(Field::NETWORK_PROTOCOL, app.to_ascii_lowercase());
    }
    if let Some(user) = record.value("suser").or_else(|| record.value("duser")) {
        event.set(Field::USER_NAME, Text::from(user));
    }
    match record.value("deviceDirection") {
        Some("0") => event.set(Field::NETWORK_DIRECTION, "inbound"),
        Some("1") => event.set(Field::NETWORK_DIRECTION, "outbound"),
        _ => {}
    }
    for (key, named) in [("dvc", "observer.ip"), ("dvcmac", "observer.mac"), ("dvchost", "observer.hostname")] {
        if let Some(value) = record.value(key) {
            event.set_named(named, Text::from(value));
        }
    }
}

/// `cs1Label=Policy cs1=Web` is `cef.labels.policy: Web`.
fn labels(event: &mut Event, record: &Parts<'_>) {
    for (key, label) in &record.extension {
        let Some(value) = key.strip_suffix("Label").and_then(|key| record.value(key)) else { continue };
        let plain = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let label: String = label.trim().chars().take(64).map(plain).collect();
        if !label.is_empty() {
            event.set_named(&format!("cef.labels.{label}"), Text::from(value));
        }
        // Custom pairs that firewalls of several makers use for the rule that decided.
        let plain = label.replace('_', "");
        if let Some((_, field)) = RULE_LABELS.iter().find(|(known, _)| *known == plain) {
            event.set_default(*field, Text::from(value));
        }
    }
}

/// Severity as a number from 0 to 10; a word is the lower end of its band.
fn severity_of(text: &str) -> Option<i64> {
    let words = [("low", 0), ("medium", 4), ("high", 7), ("very-high", 9)];
    let by_word = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, number)| *number);
    by_word.or_else(|| text.parse().ok().filter(|number| (0..=10).contains(number)))
}

/// What came of it, in ECS's words; ArcSight's own categories have a slash in front.
pub fn outcome_of(text: &str) -> &'static str {
    match text.trim_start_matches('/').to_ascii_lowercase().as_str() {
        "success" | "successful" | "succeeded" | "true" | "ok" => "success",
        "failure" | "failed" | "fail" | "false" | "error" | "denied" => "failure",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
