//! Normalizing: what a record's parts mean, as ECS fields.
//!
//! In: a record's text, its profile where one is given, its zone. Out: the event with kind, module,
//! dataset, message and all that the format tells. Failure: a [`Problem`], which becomes a dead letter.
//! Promise: nothing a sender writes sets a field of ours (`nhatle.*`) or passes for one of our alerts.

use nhatle_event::json::{Document, Leaves};
use nhatle_event::{DeadLetter, Event, Field, Kind, Record, Timestamp, Value};

use crate::parse::headed::Header;
use crate::parse::{self, Fault, Format, Syslog};
use crate::profile::Profile;

pub mod syslog;
pub mod linux;
pub mod account;
mod daemon;
mod program;
mod words;
#[cfg(test)]
mod daemon_tests;
pub mod sshd;
mod eset;
pub mod firewall;
pub mod service;
pub mod auditd;
pub mod web;
mod web_json;
mod web_tail;
pub mod iis;
mod domain;
mod tls;
pub mod device;
pub mod windows;
pub mod netflow;
pub mod envelope;
mod container;
mod kubernetes;
mod cloud;
mod application;
mod unknown;
pub(crate) mod form;
pub(crate) mod misnamed;

#[cfg(test)]
mod misnamed_tests;

use unknown::{fill_from_usual_names, key_value, plain};

/// Why there is no event.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The text breaks its format at a byte of the text.
    Fault(Fault),
    /// The same, made by a reader that knows the record.
    DeadLetter(Box<DeadLetter>),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem::Fault(fault)
    }
}

/// What every normalizer is given.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The record, for its bytes and origin.
    pub record: &'a Record,
    /// The profile it is read with, where one is given.
    pub profile: Option<Profile>,
    /// Seconds east of UTC of its times without a zone.
    pub offset_s: i32,
}

impl Context<'_> {
    /// A new event of this record: origin, kind, module and dataset set.
    pub fn event(&self, timestamp: Option<Timestamp>, module: &'static str, dataset: &'static str) -> Event {
        let mut event = Event::roomy(timestamp.unwrap_or(self.record.received), self.record.bytes.clone());
        event.set(Field::EVENT_KIND, "event");
        event.set(Field::EVENT_MODULE, module);
        event.set(Field::EVENT_DATASET, dataset);
        event.set_record_origin(self.record);
        event
    }
}

/// The event that a record's text means. One that the named profile does not know and that is surely of another is read as
/// that ([`misnamed`]).
///
/// # Errors
/// The text claims a format and breaks it.
pub fn normalize(text: &str, profile: Option<Profile>, record: &Record, offset_s: i32) -> Result<Event, Problem> {
    if let Some(line) = container::line(text) {
        return container::event(line, text, profile, record, offset_s);
    }
    if profile.is_none()
        && let Some((name, line)) = container::composed(text)
    {
        return container::composed_event(name, line, text, &Context { record, profile, offset_s });
    }
    unwrapped(text, profile, record, offset_s)
}

/// [`normalize`] for a text that no container's runtime has written down: what such a one carries is not unwrapped again, so
/// that a text made of many fronts costs no more than one.
fn unwrapped(text: &str, profile: Option<Profile>, record: &Record, offset_s: i32) -> Result<Event, Problem> {
    let read = as_named(text, profile, record, offset_s);
    match profile {
        Some(named) => misnamed::settle(read, text, named, &Context { record, profile, offset_s }),
        None => read,
    }
}

/// The event that a text means to the reader of its profile; without one, to the reader its content names.
fn as_named(text: &str, profile: Option<Profile>, record: &Record, offset_s: i32) -> Result<Event, Problem> {
    let context = Context { record, profile, offset_s };
    if let Some(envelope) = profile.filter(|profile| envelope::is_envelope(*profile)) {
        return envelope::event(text.trim(), envelope, &context);
    }
    if profile == Some(Profile::Netflow) {
        return Ok(netflow::event(text.trim(), &context)?);
    }
    let detected = parse::detect(text);
    if profile == Some(Profile::Zeek) && !matches!(detected, Format::Json | Format::Syslog) {
        return Ok(device::json_sensor::headless(text, None, &context)?);
    }
    if let Some(device) = profile.filter(|profile| device::is_device(*profile) && detected != Format::Json) {
        let front = text.len() - text.trim_start().len();
        let shift = |fault: Fault| Fault { offset: fault.offset + front, ..fault };
        return Ok(device::event(&text[front..], device, &context).map_err(shift)?);
    }
    if let Some(program) = profile.and_then(service::by_profile).filter(|_| detected != Format::Json) {
        let front = text.len() - text.trim_start().len();
        let shift = |fault: Fault| Fault { offset: fault.offset + front, ..fault };
        return Ok(service::event(&text[front..], program, &context).map_err(shift)?);
    }
    if profile == Some(Profile::Iis) && detected != Format::Json {
        let carried = text.starts_with('<').then(|| parse::syslog(text, record.received, offset_s)).transpose()?;
        let line = carried.as_ref().map_or(text, |parts| parts.message);
        let mut event = iis::headless(line.trim(), &context)?;
        if let Some(parts) = &carried {
            syslog::set_header(&mut event, parts);
        }
        return Ok(event);
    }
    if profile.is_none() && detected != Format::Json && service::modsecurity::is_audit_entry(text) {
        return Ok(service::modsecurity::audit_entry(text, &context)?);
    }
    let format = match (profile, detected) {
        (None, detected) => detected,
        (_, Format::Json) => Format::Json,
        (Some(Profile::Json), _) => Format::Json,
        (Some(Profile::Windows | Profile::Sysmon), detected) => detected,
        (Some(Profile::KeyValue), _) => Format::KeyValue,
        (Some(Profile::Auditd), Format::Syslog) => Format::Syslog,
        (Some(Profile::Auditd), _) => Format::Auditd,
        (Some(Profile::Nginx | Profile::Apache), detected) => detected,
        (Some(Profile::Syslog | Profile::Sshd | Profile::Sudo | Profile::Linux), _) => Format::Syslog,
        (Some(_), detected) => detected,
    };
    let front = text.len() - text.trim_start().len();
    let trimmed = &text[front..];
    let shift = |fault: Fault| Fault { offset: fault.offset + front, ..fault };
    match format {
        Format::Json => json(trimmed, &context).map_err(|problem| match problem {
            Problem::Fault(fault) => Problem::Fault(shift(fault)),
            other => other,
        }),
        Format::WindowsXml if device::camera::is_alert_xml(trimmed) => {
            Ok(device::event(trimmed, Profile::Hikvision, &context).map_err(shift)?)
        }
        Format::WindowsXml => {
            let problem = |letter| Problem::DeadLetter(Box::new(letter));
            Ok(parse::windows_event::from_xml(text, record).map_err(problem)?)
        }
        Format::Syslog => {
            let by_content = matches!(profile, None | Some(Profile::Syslog));
            match parse::syslog(trimmed, record.received, offset_s) {
                Ok(parts) => Ok(syslog::event(&parts, &context)),
                Err(fault) => match device::behind_any_header(trimmed).filter(|_| by_content) {
                    Some(device) => Ok(device::event(trimmed, device, &context).map_err(shift)?),
                    None => Err(shift(fault).into()),
                },
            }
        }
        Format::Auditd => {
            let parts = parse::key_value::auditd(trimmed).map_err(shift)?;
            Ok(auditd::event(&parts, trimmed, &context))
        }
        Format::WebAccess if profile.is_none() && service::haproxy::is_own(trimmed, offset_s) => {
            let program = service::by_profile(Profile::Haproxy).ok_or_else(|| Fault::new("haproxy: not read", 0))?;
            Ok(service::event(trimmed, program, &context).map_err(shift)?)
        }
        Format::WebAccess | Format::WebError => Ok(web::event(trimmed, &context).map_err(shift)?),
        Format::KeyValue | Format::Plain if profile.is_none() && device::detect_text(trimmed).is_some() => {
            let device = device::detect_text(trimmed).unwrap_or(Profile::Syslog);
            Ok(device::event(trimmed, device, &context).map_err(shift)?)
        }
        Format::KeyValue | Format::Plain if profile.is_none() && device::maker::is_text(trimmed) => {
            Ok(device::maker::text_event(trimmed, &context))
        }
        Format::KeyValue => Ok(key_value(trimmed, &context)),
        Format::Plain => {
            if profile.is_none()
                && let Some(parts) = syslog::kiwi(trimmed, &context)
            {
                return Ok(syslog::event(&parts, &context));
            }
            if profile.is_none()
                && let Some(event) = cloud::line::event(trimmed, &context)
            {
                return Ok(event);
            }
            // Without a profile a program's own file is known where its form leaves no doubt.
            let own = profile.is_none().then(|| service::own_file(trimmed, &context)).flatten();
            match own.and_then(service::by_profile) {
                Some(program) => Ok(service::event(trimmed, program, &context).map_err(shift)?),
                None => Ok(plain(text, &context).map_err(Problem::Fault)?),
            }
        }
    }
}

/// The event of a line that means what the header above it says.
///
/// # Errors
/// The line has not the values that the header names.
pub fn headed(text: &str, header: &Header, record: &Record, offset_s: i32) -> Result<Event, Fault> {
    match header {
        Header::Zeek(header) => {
            let context = Context { record, profile: Some(Profile::Zeek), offset_s };
            Ok(device::json_sensor::event(header.leaves(text)?, Profile::Zeek, &context))
        }
        Header::W3c(names) => {
            let context = Context { record, profile: Some(Profile::Iis), offset_s };
            iis::event(&parse::headed::w3c(names, text)?, text, &context)
        }
    }
}

/// JSON: a Windows record in one of its JSON forms, a log line wrapped in `message`, or what it says.
fn json(text: &str, context: &Context<'_>) -> Result<Event, Problem> {
    parse::json::with_document(text, |mut document| match windows::from_document(&mut document, context.record) {
        Some(event) => Ok(event),
        None => other_json(document.to_leaves(), context),
    })?
}

fn other_json(leaves: Leaves, context: &Context<'_>) -> Result<Event, Problem> {
    if context.profile.is_none()
        && let Some(event) = envelope::unparsed_line(&leaves, context)
    {
        return Ok(event);
    }
    if context.profile != Some(Profile::Json)
        && let Some(read) = container::of_leaves(&leaves, context)
    {
        return read;
    }
    let carried = envelope::carried_line(&leaves);
    let told = device::json_sensor::detect(&leaves).filter(|_| carried.is_none_or(|line| !line.starts_with('{')));
    let sensor = match context.profile {
        Some(profile @ (Profile::Suricata | Profile::Zeek)) => {
            (told == Some(profile) || carried.is_none()).then_some(profile)
        }
        None => told.filter(|_| carried.is_none()),
        Some(_) => None,
    };
    if let Some(sensor) = sensor {
        return Ok(device::json_sensor::event(leaves, sensor, context));
    }
    if let Some(event) = service::json_record(&leaves, context) {
        return Ok(event);
    }
    if matches!(context.profile, None | Some(Profile::Nginx | Profile::Apache))
        && let Some(event) = web_json::event(&leaves, context)
    {
        return Ok(event);
    }
    if context.profile.is_none()
        && let Some(event) = kubernetes::event(&leaves, context)
    {
        return Ok(event);
    }
    if context.profile.is_none()
        && let Some(service) = cloud::find(&leaves)
    {
        return Ok(cloud::event(&leaves, service, None, context));
    }
    let is_alert = matches!(context.profile, None | Some(Profile::Hikvision)) && device::camera::is_alert(&leaves);
    if is_alert {
        return Ok(device::leaves_event(&leaves, context));
    }
    let wrapped = matches!(
        context.profile,
        Some(
            Profile::Syslog
                | Profile::Sshd
                | Profile::Sudo
                | Profile::Linux
                | Profile::Auditd
                | Profile::Nginx
                | Profile::Apache
                | Profile::Iis
        )
    ) || context
        .profile
        .is_some_and(|profile| device::is_device(profile) || service::by_profile(profile).is_some());
    if wrapped && let Some(line) = envelope::carried_line(&leaves) {
        let mut event = normalize(line.trim_end(), context.profile, context.record, context.offset_s)?;
        envelope::fill_from_shipper(&mut event, &leaves);
        return Ok(event);
    }
    if context.profile.is_none()
        && let Some(event) = envelope::known_line(&leaves, context)
    {
        return Ok(event);
    }
    let timestamp = parse::json::timestamp(&leaves, context.offset_s);
    let mut event = context.event(timestamp, "json", "json");
    set_leaves(&mut event, leaves);
    fill_from_usual_names(&mut event);
    Ok(event)
}

/// Names that only Windows records have, in the forms that [`windows::from_document`] reads.
fn looks_like_windows(document: &Document<'_>) -> bool {
    document.get("EventID").is_some()
        || document.get("winlog.event_id").is_some()
        || document.leaves().any(|(name, _)| name.starts_with("Event.System."))
}

/// Sets all leaves of a document, names as sent.
pub(crate) fn set_leaves(event: &mut Event, leaves: Leaves) {
    for (name, value) in leaves {
        set_sent(event, &name, value);
    }
}

/// Sets a field that the sender named. ECS names get their type; names of ours and the four times,
/// which only the program sets, go below `labels.`.
pub(crate) fn set_sent(event: &mut Event, name: &str, value: Value) {
    let is_ours = name.starts_with("nhatle.")
        || matches!(
            name,
            "nhatle"
                | "event.created"
                | "event.ingested"
                | "event.original"
                | "event.hash"
                | "event.kind"
                | "event.module"
        )
        || (name == "event.dataset" && value.text().is_none_or(|dataset| dataset.starts_with("nhatle")));
    match name {
        "" | "@timestamp" => {}
        "event.kind" if value.text().is_some_and(|kind| !matches!(kind, "signal" | "pipeline_error")) => {
            event.set(Field::EVENT_KIND, value);
        }
        "event.module" if value.text().is_some_and(|module| !module.starts_with("nhatle")) => {
            event.set(Field::EVENT_MODULE, value);
        }
        _ if is_ours => event.set_named(&format!("labels.{name}"), value),
        _ => match Field::intern(name) {
            Some(field) if field.known().is_some() => event.set(field, typed(field.kind(), value)),
            Some(field) => event.set_interned(field, value),
            None => event.set_named(name, value),
        },
    }
}

/// A sent value in the type its ECS field has; what does not fit stays as sent.
pub(crate) fn typed(kind: Kind, value: Value) -> Value {
    if let Value::List(values) = value {
        return Value::List(values.into_iter().map(|one| typed(kind, one)).collect());
    }
    let fitting = match (kind, &value) {
        (_, Value::Null) => None,
        (Kind::Keyword | Kind::Text, Value::Text(_)) => None,
        (Kind::Keyword | Kind::Text, other) => other.as_text().map(|text| Value::from(&*text)),
        (Kind::Long, Value::Text(_)) => value.as_long().map(Value::Long),
        (Kind::Double, Value::Text(_)) => value.as_number().map(Value::Double),
        (Kind::Boolean, Value::Text(text)) => match text.as_str() {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        (Kind::Ip, Value::Text(_)) => value.as_ip().map(Value::Ip),
        (Kind::Date, Value::Text(_) | Value::Long(_)) => parse::json::moment(&value, 0).map(Value::Date),
        _ => None,
    };
    fitting.unwrap_or(value)
}

/// Adds what a syslog message carries in a format of its own: JSON (also behind `@cee:`), a Windows
/// record in JSON or XML. `None` where it carries none that can be read.
pub(crate) fn carried(parts: &Syslog<'_>, context: &Context<'_>) -> Option<Event> {
    let message = parts.message.trim_start();
    let message = message.strip_prefix("@cee:").map_or(message, str::trim_start);
    match parse::detect(message) {
        Format::Json => {
            let read = |mut document: Document<'_>| match looks_like_windows(&document) {
                true => Err(windows::from_document(&mut document, context.record)),
                false => Ok(document.to_leaves()),
            };
            let leaves = match parse::json::with_document(message, read).ok()? {
                Ok(leaves) => leaves,
                Err(windows) => return windows,
            };
            if let Some(sensor) = device::json_sensor::detect(&leaves) {
                return Some(device::json_sensor::event(leaves, sensor, context));
            }
            if let Some(event) = service::json_record(&leaves, context) {
                return Some(event);
            }
            if matches!(context.profile, None | Some(Profile::Syslog))
                && let Some(service) = cloud::find(&leaves)
            {
                return Some(cloud::event(&leaves, service, parts.timestamp, context));
            }
            let mut event = context.event(parts.timestamp, "json", "json");
            set_leaves(&mut event, leaves);
            fill_from_usual_names(&mut event);
            Some(event)
        }
        Format::WindowsXml => parse::windows_event::from_xml(message, context.record).ok(),
        _ => None,
    }
}
