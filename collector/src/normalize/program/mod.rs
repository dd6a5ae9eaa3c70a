//! Programs of hosts and servers that are told by tables: each row a wording, what it is, and the fields its words fill.
//!
//! In: the program's name with its message, or the line of a program's own file. Out: ECS fields on the event. Promise: what a
//! stranger chose is a value between marks of the program's own, greedy where it could hold them; a wording that no row has
//! sets nothing. Source: each table names its programs' own messages.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::{Event, Field, Text, Value};

use super::device::template::{Rows, Wordings};
use super::device::{Act, act, finish};
use super::linux::set_source;

mod appliance;
mod host;
mod mail;
mod mail_table;
mod network;
mod web_line;
mod web_table;
mod own;
mod pairs;
#[cfg(test)]
mod tests;

pub(super) use own::line as own_line;

/// Wordings of programs: their names (in small letters), rows of wording, action, meaning.
type Table = (&'static [&'static str], Rows);

/// A sign-in that was refused.
const OUT: Act = Act("authentication", &["start"], "failure");
/// A sign-in that was let in.
const IN: Act = Act("authentication", &["start"], "success");
/// A session that ends.
const END: Act = Act("session", &["end"], "success");
/// A connection that came.
const COMES: Act = Act("network", &["connection", "start"], "");
/// A connection that ended.
const GOES: Act = Act("network", &["connection", "end"], "");
/// A connection that was refused.
const DENIED: Act = Act("network", &["connection", "denied"], "failure");
/// What watches found.
const FOUND: Act = Act("intrusion_detection", &["info"], "");
/// An address that was shut out.
const BANNED: Act = Act("intrusion_detection", &["denied"], "");
/// A mail that was refused.
const REFUSED: Act = Act("email", &["denied"], "failure");
/// A mail, or a talk about one.
const MAIL: Act = Act("email", &["info"], "");
/// Something that is so.
const INFO: Act = Act("process", &["info"], "");
/// Something that went wrong.
const ERROR: Act = Act("process", &["error"], "failure");
/// A request that a web application refused.
const NO_ACCESS: Act = Act("web", &["access", "denied"], "failure");

/// All tables, and which of them a name has.
struct Tables {
    wordings: Vec<Wordings>,
    by_name: HashMap<&'static str, Vec<usize>>,
    by_front: Vec<(&'static str, usize)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut tables = Tables { wordings: Vec::new(), by_name: HashMap::new(), by_front: Vec::new() };
    let all = [appliance::TABLES, host::TABLES, mail_table::TABLES, network::TABLES, web_table::TABLES];
    for (at, (names, rows)) in all.into_iter().flatten().enumerate() {
        tables.wordings.push(Wordings::new(rows));
        for name in *names {
            match name.strip_suffix('*') {
                Some(front) => tables.by_front.push((front, at)),
                None => tables.by_name.entry(name).or_default().push(at),
            }
        }
    }
    tables
});

impl Tables {
    /// The wordings of a program, those of its name first.
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Wordings> {
        let named = self.by_name.get(name).into_iter().flatten().copied();
        let fronts = self.by_front.iter().filter(move |(front, _)| name.starts_with(front)).map(|(_, at)| *at);
        named.chain(fronts).filter_map(|at| self.wordings.get(at))
    }
}

/// Sets what a message of one of these programs means. Whether a reader knew it.
pub(super) fn set_fields(event: &mut Event, name: &str, message: &str) -> bool {
    let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::from(name.to_ascii_lowercase()),
        false => Cow::from(name),
    };
    if mail::set_fields(event, &name, message) || pairs::set_fields(event, &name, message) {
        settle(event);
        return true;
    }
    // The kernel's uptime stands in front: `[ 16571.459614] `.
    let message = match message.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((uptime, rest))
            if name == "kernel" && uptime.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b' ')) =>
        {
            rest
        }
        _ => message,
    };
    let known = TABLES.of(&name).any(|wordings| wordings.fill(message, event));
    if known {
        settle(event);
    }
    known
}

/// What follows from what a row has set: the peer's address and port, who is related, a session with a sign-in.
fn settle(event: &mut Event) {
    if event.get(Field::SOURCE_IP).is_none()
        && let Some(peer) = event.text(Field::SOURCE_ADDRESS).map(Text::from)
    {
        set_peer(event, &peer);
    }
    if let Some(address) = event.get(Field::SOURCE_IP).and_then(Value::as_ip)
        && address.is_ipv6()
    {
        event.set(Field::SOURCE_IP, address.to_canonical());
    }
    if event.text(Field::EVENT_CATEGORY) == Some("authentication")
        && event.text(Field::EVENT_OUTCOME) == Some("success")
        && event.text(Field::EVENT_TYPE) == Some("start")
    {
        event.set(Field::EVENT_CATEGORY, Value::List(vec!["authentication".into(), "session".into()]));
    }
    finish(event);
}

/// The peer as programs write it: `203.0.113.9`, `::ffff:203.0.113.9`, `203.0.113.9:4411`, `[2001:db8::9]:4411`, `name[203.0.113.9]`,
/// `name [203.0.113.9]`, `name (203.0.113.9)`, `/203.0.113.9:4411` (Java), `203.0.113.9, 192.0.2.1` (a proxy's list), `203.0.113.9/32`.
fn set_peer(event: &mut Event, text: &str) {
    let text = text.trim().trim_start_matches('/').trim_matches(['\'', '"', '`']);
    // In front of brackets stands the name that the address resolves to, or what the client calls itself.
    let inside = ['[', '('].into_iter().find_map(|open| {
        let close = if open == '[' { ']' } else { ')' };
        let (front, back) = text.rsplit_once(open)?;
        let (inside, after) = back.split_once(close)?;
        let port = after.strip_prefix(':').and_then(|port| port.split([' ', ',', ';']).next());
        inside.parse::<IpAddr>().ok().map(|address| (front.trim(), address, port))
    });
    if let Some((name, address, port)) = inside {
        set_source(event, &address.to_canonical().to_string());
        set_port(event, port);
        let is_name = !name.is_empty() && !name.contains([' ', '(', '[', '@']) && name.parse::<IpAddr>().is_err();
        if is_name && name != "unknown" {
            event.set(Field::SOURCE_DOMAIN, name);
        }
        return;
    }
    let first = text.split([',', ' ', ';', '/', '(']).next().unwrap_or_default().trim_end_matches(['.', ')', ']']);
    if let Ok(address) = first.parse::<IpAddr>() {
        return set_source(event, &address.to_canonical().to_string());
    }
    match first.rsplit_once(':').filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
        Some((address, port)) => {
            set_source(event, address);
            set_port(event, Some(port));
        }
        None => set_source(event, first),
    }
}

fn set_port(event: &mut Event, port: Option<&str>) {
    if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
        event.set(Field::SOURCE_PORT, port);
    }
}
