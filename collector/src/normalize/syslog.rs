//! Syslog of any sender: the header's fields, then whoever knows the program.
//!
//! In: a message's parts. Out: the event. Programs of a Linux host go to [`super::linux`], audit records
//! and web server lines to their own, JSON and Windows records carried as messages likewise; what
//! nobody knows keeps its message.

use nhatle_event::{Event, Field, Text, Timestamp, Value};

use crate::parse::{self, Needle, Syslog, key_value, zeek_layout};
use crate::profile::Profile;

use super::{Context, auditd, carried, device, linux, service, web, windows};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// The name of a severity by its code, 0 to 7 (RFC 5424 section 6.2.1).
pub(crate) fn severity_name(code: u8) -> &'static str {
    SEVERITIES.get(usize::from(code)).copied().unwrap_or("debug")
}

/// The event a syslog message means.
pub fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let app = parts.app.unwrap_or_default();
    let message = parts.message.trim_start();
    let mut event = if let Some(event) = audit_record(app, message, context) {
        event
    } else if windows::snare::is_snare(message)
        && let Some(event) = windows::snare::event(message, context)
    {
        event
    } else if is_windows(app)
        && let Some(event) = windows::passed::event(parts, context)
    {
        event
    } else if is_web_server(linux::program_name(app))
        && let Some(event) = web::line(message, context).or_else(|| {
            let mut event = web::undated(message, context)?;
            event.timestamp = parts.timestamp.unwrap_or(event.timestamp);
            Some(event)
        })
    {
        event
    } else if matches!(message.as_bytes().first(), Some(b'{' | b'<' | b'@'))
        && let Some(event) = carried(parts, context)
    {
        event
    } else if (app.starts_with("zeek") || app.starts_with("bro"))
        && let Some(log) = zeek_tag(app)
        && let Ok(event) = device::json_sensor::headless(message, log, context)
    {
        event
    } else if matches!(context.profile, None | Some(Profile::Syslog))
        && let Some(device) = device::detect(parts)
        && let Ok(event) = device::of_parts(parts, device, context)
    {
        event
    } else if device::junos::is_junos(parts) {
        device::junos::event(parts, context)
    } else if matches!(context.profile, None | Some(Profile::Syslog))
        && let Some(maker) = device::maker::find(parts)
    {
        device::maker::event(maker, parts, context)
    } else if matches!(context.profile, None | Some(Profile::Syslog))
        && let Some((inner, device)) = device::passed_on(parts, context)
        && let Ok(mut event) = device::of_parts(&inner, device, context)
    {
        set_header(&mut event, &inner);
        return event;
    } else if let Some(program) = service::by_tag(app) {
        service::of_parts(parts, program, context)
    } else {
        plain(parts, context)
    };
    set_header(&mut event, parts);
    event
}

/// Whether a program is a web server, as `nginx` or `nginx/access`.
fn is_web_server(program: &str) -> bool {
    let behind = ["nginx", "httpd", "apache2", "apache"].iter().find_map(|name| {
        let rest = program.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(())
    });
    behind.is_some()
}

/// Whether a program is called like a source of Windows' audit events.
fn is_windows(app: &str) -> bool {
    app == "Security-Auditing" || app.starts_with("Microsoft-Windows-")
}

/// The parts of a line of Kiwi's own file: date, facility and severity, sender, message, between tabs.
pub(super) fn kiwi<'a>(text: &'a str, context: &Context<'_>) -> Option<Syslog<'a>> {
    const LEVELS: [&str; 8] = ["emerg", "alert", "critical", "error", "warning", "notice", "info", "debug"];
    if text.as_bytes().get("2026-11-23 02:10:00".len()) != Some(&b'\t') {
        return None;
    }
    let mut columns = text.splitn(4, '\t');
    let (date, told, host) = (columns.next()?, columns.next()?.to_ascii_lowercase(), columns.next()?);
    let message = columns.next()?;
    let (facility, level) = told.split_once('.')?;
    let facility = FACILITIES.iter().position(|name| *name == facility)?;
    let level = LEVELS.iter().position(|name| *name == level)?;
    let priority = u8::try_from(facility * 8 + level).ok()?;
    let timestamp = Timestamp::parse(date, context.offset_s)?;
    let inner = parse::syslog(message, context.record.received, context.offset_s).ok()?;
    let (timestamp, host) = (inner.timestamp.or(Some(timestamp)), inner.host.or(Some(host)));
    Some(Syslog { priority: Some(priority), timestamp, host, ..inner })
}

/// The log that a tag of Zeek's names; `Some(None)` = Zeek, of no log.
fn zeek_tag(app: &str) -> Option<Option<&'static str>> {
    let log = zeek_layout::log_of_tag(app);
    (log.is_some() || matches!(app, "zeek" | "bro")).then_some(log)
}

/// An audit record passed on by audispd, the kernel, or journald.
fn audit_record(app: &str, message: &str, context: &Context<'_>) -> Option<Event> {
    let message = audit_text(app, message)?;
    let parts = key_value::auditd(message).ok()?;
    Some(auditd::event(&parts, message, context))
}

/// The record in a message of whoever passes audit records on.
fn audit_text<'a>(app: &str, message: &'a str) -> Option<&'a str> {
    if !matches!(app, "audispd" | "audisp-syslog" | "audit" | "auditd" | "kernel" | "") {
        return None;
    }
    // The kernel puts its uptime in front.
    let message = match message.strip_prefix('[') {
        Some(rest) => rest.split_once("] ").map_or(message, |(_, rest)| rest),
        None => message,
    };
    key_value::is_auditd(message).then_some(message)
}

/// Whether a program's message is an audit record that it passes on.
pub(super) fn is_audit_record(app: &str, message: &str) -> bool {
    audit_text(app, message.trim_start()).is_some_and(|message| key_value::auditd(message).is_ok())
}

const KERNEL_PACKET: Needle = Needle::new(" SRC=");

fn plain(parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let is_linux = matches!(context.profile, Some(Profile::Linux | Profile::Sshd | Profile::Sudo));
    let dataset = linux::dataset_of(parts.app.unwrap_or_default(), parts.procid, parts.message, is_linux);
    let (module, dataset) = dataset.map_or(("syslog", "syslog"), |dataset| ("linux", dataset));
    let mut event = context.event(parts.timestamp, module, dataset);
    event.set(Field::MESSAGE, parts.message.trim_end());
    if let Some(app) = parts.app {
        let name = linux::program_name(app);
        event.set(Field::PROCESS_NAME, name);
        if let Some(pid) = parts.procid.and_then(|pid| pid.parse::<i64>().ok()) {
            event.set(Field::PROCESS_PID, pid);
        }
        linux::set_fields(&mut event, app, parts.message.trim());
        linux::set_fields_of_any(&mut event, app, parts.message.trim());
    } else if KERNEL_PACKET.is_in(parts.message) {
        // Gateways send the kernel's packets without its name.
        super::firewall::kernel(&mut event, parts.message.trim());
    } else {
        linux::set_fields_of_any(&mut event, "", parts.message.trim());
    }
    event
}

/// The header's fields; what the message itself told stands.
pub(super) fn set_header(event: &mut Event, parts: &Syslog<'_>) {
    if let Some(priority) = parts.priority {
        let (facility, severity) = (priority / 8, priority % 8);
        event.set(Field::LOG_SYSLOG_PRIORITY, i64::from(priority));
        event.set(Field::LOG_SYSLOG_FACILITY_CODE, i64::from(facility));
        event.set(Field::LOG_SYSLOG_SEVERITY_CODE, i64::from(severity));
        if let Some(name) = FACILITIES.get(usize::from(facility)) {
            event.set(Field::LOG_SYSLOG_FACILITY_NAME, *name);
        }
        if let Some(name) = SEVERITIES.get(usize::from(severity)) {
            event.set(Field::LOG_SYSLOG_SEVERITY_NAME, *name);
            event.set_default(Field::LOG_LEVEL, *name);
        }
    }
    if let Some(host) = parts.host {
        event.set_default(Field::HOST_NAME, host);
        event.set_default(Field::HOST_HOSTNAME, host);
        event.set(Field::LOG_SYSLOG_HOSTNAME, host);
        event.add(Field::RELATED_HOSTS, host);
    }
    let texts = [
        (Field::LOG_SYSLOG_APPNAME, parts.app),
        (Field::LOG_SYSLOG_PROCID, parts.procid),
        (Field::LOG_SYSLOG_MSGID, parts.msgid),
        (Field::LOG_SYSLOG_VERSION, parts.version),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            event.set(field, text);
        }
    }
    for (id, name, value) in &parts.structured {
        let name = ["log.syslog.structured_data.", *id, ".", *name].concat();
        event.set_named(&name, Value::Text(Text::from(value.as_ref())));
    }
}
