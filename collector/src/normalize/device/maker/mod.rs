//! Appliances whose messages are named values or a few fixed columns: firewalls, balancers, access control, endpoint protection.
//!
//! In: a syslog message that one of them surely wrote. Out: the event in ECS by the maker's table; every value under its own home
//! (`checkpoint.*`, `sonicwall.firewall.*`, …). Promise: a message is asked for by its program or its first bytes, so that all others pay
//! next to nothing; a value that a stranger chose is never read as wording. Failure: none; what is not understood keeps its message.
//! Source: the makers' log references, named in each file.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text};

use super::{Act, Row, act, finish, observer, set_pairs, set_text};
use crate::normalize::Context;
use crate::parse::{Syslog, key_value};

mod balancer;
mod barracuda;
mod checkpoint;
mod endpoint;
mod fortinet;
mod ise;
mod meraki;
mod sonicwall;
mod watchguard;

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Check Point's log exporter.
    CheckPoint,
    /// SonicOS.
    SonicWall,
    /// Meraki.
    Meraki,
    /// Cisco ISE.
    Ise,
    /// FortiMail, FortiWeb.
    Fortinet,
    /// F5's application security.
    Asm,
    /// Citrix NetScaler.
    NetScaler,
    /// Fireware.
    WatchGuard,
    /// Barracuda's web application firewall.
    Barracuda,
    /// Symantec Endpoint Protection Manager.
    Symantec,
    /// Trellix (McAfee) ePO.
    Epo,
}

/// The pairs of a message.
type Values<'a> = [(&'a str, Cow<'a, str>)];

/// Who surely wrote this message; `None` = none of them.
pub fn find(parts: &Syslog<'_>) -> Option<Maker> {
    match parts.app.unwrap_or_default() {
        "CheckPoint" => return Some(Maker::CheckPoint),
        "ASM" => return Some(Maker::Asm),
        "SymantecServer" => return Some(Maker::Symantec),
        "EPOEvents" => return Some(Maker::Epo),
        "" => {}
        _ => return parts.message.starts_with("msg_id=\"").then_some(Maker::WatchGuard),
    }
    of_message(parts.message.trim_start())
}

fn of_message(message: &str) -> Option<Maker> {
    match message.as_bytes().first()? {
        b'A' if message.starts_with("ASM:") => Some(Maker::Asm),
        b'A' | b'a' if checkpoint::is_spaced(message) => Some(Maker::CheckPoint),
        b'C' if message.starts_with("CISE_") => Some(Maker::Ise),
        b'i' if message.starts_with("id=") && sonicwall::is_sonicwall(message) => Some(Maker::SonicWall),
        b'd' if message.starts_with("date=") && fortinet::is_other(message) => Some(Maker::Fortinet),
        b'0'..=b'3' if balancer::is_netscaler(message) => Some(Maker::NetScaler),
        b'1' if meraki::is_meraki(message) => Some(Maker::Meraki),
        b'0'..=b'9' | b'A'..=b'F' if watchguard::is_watchguard(message) => Some(Maker::WatchGuard),
        b'2' if barracuda::is_waf(message) => Some(Maker::Barracuda),
        _ => None,
    }
}

/// The event of a message; the header's fields are the caller's.
pub fn event(maker: Maker, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let message = parts.message.trim();
    let mut event = match maker {
        Maker::CheckPoint => checkpoint::event(message, parts, context),
        Maker::SonicWall => sonicwall::event(message, parts, context),
        Maker::Meraki => meraki::event(message, parts, context),
        Maker::Ise => ise::event(message, parts, context),
        Maker::Fortinet => fortinet::event(message, parts, context),
        Maker::Asm => balancer::asm(message, parts, context),
        Maker::NetScaler => balancer::netscaler(message, parts, context),
        Maker::WatchGuard => watchguard::event(message, parts, context),
        Maker::Barracuda => barracuda::event(message, parts, context),
        Maker::Symantec => endpoint::symantec(message, parts, context),
        Maker::Epo => endpoint::epo(message, parts, context),
    };
    event.set_default(Field::MESSAGE, message);
    if let Some(host) = parts.host {
        event.set_default(Field::OBSERVER_NAME, host);
    }
    finish(&mut event);
    event
}

/// [`find`] for text without a syslog header.
pub fn is_text(text: &str) -> bool {
    of_message(text).is_some()
}

/// The event of a text without a syslog header.
pub fn text_event(text: &str, context: &Context<'_>) -> Event {
    let parts = Syslog { message: text, ..Syslog::default() };
    match of_message(text) {
        Some(maker) => event(maker, &parts, context),
        None => context.event(None, "syslog", "syslog"),
    }
}

/// The value of a key that says something.
fn value<'a>(pairs: &'a Values<'_>, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref().trim());
    found.filter(|value| !matches!(*value, "" | "-" | "N/A" | "none" | "None" | "unknown"))
}

/// Sets the pairs below a home, and those of a table in ECS too.
fn set_all(event: &mut Event, home: &str, table: &'static [Row], pairs: &Values<'_>) {
    event.reserve(pairs.len() * 2 + 12);
    set_pairs(event, home, table, pairs.iter().map(|(key, value)| (*key, value.as_ref())));
}

/// `203.0.113.9:4411`, `[2001:db8::9]:4411`, `203.0.113.9`.
fn set_socket(event: &mut Event, address: Field, port: Field, text: &str) {
    match text.parse::<std::net::SocketAddr>() {
        Ok(socket) => {
            event.set(address, socket.ip());
            event.set(port, socket.port());
        }
        Err(_) => set_text(event, address, text),
    }
}

/// The file's name of a path that was told.
fn set_file_name(event: &mut Event) {
    let name = event.text(Field::FILE_PATH).and_then(|path| path.rsplit(['\\', '/']).next()).map(Text::from);
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        event.set_default(Field::FILE_NAME, name);
    }
}

/// Parts of a text in small letters, action, meaning; the first row whose words all stand in it counts.
type Said = &'static [(&'static [&'static str], &'static str, Act)];

fn said(rows: Said, text: &str) -> Option<(&'static str, Act)> {
    let lower = text.to_ascii_lowercase();
    let row = rows.iter().find(|(words, ..)| words.iter().all(|word| lower.contains(word)));
    row.map(|(_, action, meaning)| (*action, *meaning))
}

/// Sets action and meaning.
fn mean(event: &mut Event, (action, meaning): (&'static str, Act)) {
    if !action.is_empty() {
        event.set(Field::EVENT_ACTION, action);
    }
    act(event, meaning);
}

const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");
const LOGOUT: Act = Act("authentication", &["end"], "success");
