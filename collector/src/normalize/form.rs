//! What a line surely is, by its own form: the profile of a line whose form leaves no doubt.
//!
//! In: a record's text. Out: the one profile that writes so, or `None` where there is a doubt. Promise: what a stranger
//! chose (a browser, an account, an address asked for) does not decide: every form begins with the first byte of the line, or
//! behind a syslog header with the program's tag, and all that stands before a stranger's text is checked. Where a form of ours
//! could be two things it is none. Costs more than [`parse::detect`]: it is asked only of lines nobody could read
//! ([`super::misnamed`]). Source: the formats' own, named in the readers asked here.

use std::net::IpAddr;

use nhatle_event::json::Leaves;

use super::{Context, device, iis, linux, looks_like_windows, service, windows};
use crate::parse::web_error::Server;
use crate::parse::{self, Format, Syslog, key_value, web_access, web_error};
use crate::profile::Profile;

/// Levels that RouterOS writes among the topics (its manual, "Log", "Topics").
const MIKROTIK_LEVELS: [&str; 5] = ["info", "warning", "error", "critical", "debug"];

/// The profile that a text is surely of.
pub(crate) fn sure(text: &str, context: &Context<'_>) -> Option<Profile> {
    let text = text.trim();
    match parse::detect(text) {
        Format::Json => json(text, context),
        Format::WindowsXml if device::camera::is_alert_xml(text) => Some(Profile::Hikvision),
        Format::WindowsXml => parse::windows_event::from_xml(text, context.record).is_ok().then_some(Profile::Windows),
        Format::Auditd => key_value::auditd(text).is_ok().then_some(Profile::Auditd),
        Format::WebError => web_error(text, context),
        Format::WebAccess => web_access(text, context).or_else(|| service::own_file(text, context)),
        Format::Syslog => syslog(text, context),
        Format::KeyValue | Format::Plain => {
            bare_device(text).or_else(|| service::own_file(text, context)).or_else(|| {
                let is_w3c = !text.starts_with('#') && iis::headless(text, context).is_ok();
                is_w3c.then_some(Profile::Iis)
            })
        }
    }
}

/// An object whose members only one program writes.
fn json(text: &str, context: &Context<'_>) -> Option<Profile> {
    let read = |mut document: nhatle_event::json::Document<'_>| {
        let is_windows =
            looks_like_windows(&document) && windows::from_document(&mut document, context.record).is_some();
        if is_windows { Some(Profile::Windows) } else { of_leaves(&document.to_leaves()) }
    };
    parse::json::with_document(text, read).ok()?
}

fn of_leaves(leaves: &Leaves) -> Option<Profile> {
    let camera = || device::camera::is_alert(leaves).then_some(Profile::Hikvision);
    device::json_sensor::detect(leaves).or_else(|| service::json_profile(leaves)).or_else(camera)
}

/// A line of an error log names its level, of those the server has.
fn web_error(text: &str, context: &Context<'_>) -> Option<Profile> {
    let line = web_error::parse(text, context.offset_s).ok()??;
    let is_level = matches!(
        line.level,
        "emerg" | "alert" | "crit" | "error" | "warn" | "notice" | "info" | "debug" | "trace1" | "trace2"
    );
    is_level.then_some(match line.server {
        Server::Apache => Profile::Apache,
        Server::Nginx => Profile::Nginx,
    })
}

/// An access line whose first word is an address, with two words behind it and then the date: nothing that a client sends
/// stands in front of the request. (A site's name may stand before the address where it has its port.)
fn web_access(text: &str, context: &Context<'_>) -> Option<Profile> {
    let access = web_access::parse(text, context.offset_s).ok()??;
    access.client.parse::<IpAddr>().ok()?;
    if let Some((version, _)) = access.tls {
        return (version.starts_with("TLSv") || version.starts_with("SSLv")).then_some(Profile::Apache);
    }
    let has_port = |host: &str| host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let is_front = access.virtual_host.map_or(text.starts_with(access.client), has_port) && !access.user.contains(' ');
    let is_status = access.status.is_some_and(|status| (100..=999).contains(&status));
    (is_front && is_status).then_some(Profile::Nginx)
}

/// A message behind a syslog header: a device that puts no program in front, or a program known by its tag.
fn syslog(text: &str, context: &Context<'_>) -> Option<Profile> {
    let parts = parse::syslog(text, context.record.received, context.offset_s).ok()?;
    // Marks of devices, which are no program's tag.
    let is_mark = |app: &str| app.starts_with('%') || app.starts_with("pen-") || app == "filterlog";
    let Some(app) = parts.app.filter(|app| !is_mark(app)) else {
        return device::detect(&parts).filter(|device| is_firm(*device, parts.message));
    };
    if parts.priority.is_none() && parts.host.is_none() {
        return None;
    }
    if super::syslog::is_audit_record(app, parts.message) {
        return Some(Profile::Auditd);
    }
    if let Some(program) = service::by_tag(app) {
        return Some(program.profile());
    }
    let is_linux = matches!(linux::dataset_of(app, None, "", false), Some("linux.auth" | "linux.cron"));
    (is_linux || app == "systemd").then_some(Profile::Linux)
}

/// A device's line without a header.
fn bare_device(text: &str) -> Option<Profile> {
    let found = device::detect(&Syslog { message: text, ..Syslog::default() })?;
    is_firm(found, text).then_some(found)
}

/// Whether a device's form is more than a word in front. RouterOS has only its topics, so a level must be among them.
fn is_firm(device: Profile, message: &str) -> bool {
    let topics = message.trim_start().split(' ').next().unwrap_or_default();
    device != Profile::Mikrotik || topics.split(',').skip(1).any(|topic| MIKROTIK_LEVELS.contains(&topic))
}
