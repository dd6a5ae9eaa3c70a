//! Services that send their own records as JSON: AWS, Microsoft 365, Entra ID and Azure, Defender, Google, Okta, GitHub, and others.
//!
//! In: the leaves of an object. Out: the event with all members as they were sent (Sigma's rules name them so) and ECS by the table of the
//! service. Promise: a service is known by a member that only it has, and what stands beside it; who did it is never taken from what was asked for.
//! Failure: none. Source: the makers' schemas, named in [`table`].

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text, Timestamp, Value};

use super::device::{finish, set_text};
use super::{Context, set_sent};
use crate::parse::json;

mod judge;
pub(super) mod line;
mod table;

/// A service, and how it is known and read.
pub(super) struct Service {
    /// A member that only this service has.
    mark: &'static str,
    /// What its text begins with; empty = anything.
    says: &'static str,
    /// Members that stand beside it.
    also: &'static [&'static str],
    module: &'static str,
    dataset: &'static str,
    /// Where the time stands, the first that can be read counts; without a zone it is UTC.
    times: &'static [&'static str],
    /// Member, ECS field; of several rows for a field the first that says something counts.
    rows: &'static [(&'static str, Field)],
    /// What the event is.
    judge: fn(&mut Event, &Members<'_>),
}

/// The members of an object.
pub(super) struct Members<'a>(&'a Leaves);

impl<'a> Members<'a> {
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The first text of a member, where it says something.
    fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.value(name)?.each().next()?.text()?.trim();
        (!matches!(text, "" | "-" | "null" | "None" | "N/A" | "Not Available")).then_some(text)
    }

    fn long(&self, name: &str) -> Option<i64> {
        self.value(name)?.as_long()
    }

    /// The element of one list that stands where another list has a value.
    fn beside(&self, names: &str, wanted: &str, values: &str) -> Option<&'a str> {
        let at = self.value(names)?.each().position(|name| name.text() == Some(wanted))?;
        self.value(values)?.each().nth(at)?.text()
    }
}

/// Which services, by their place in the table, a member may be the mark of.
static MARKS: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let mut marks: HashMap<&'static str, Vec<usize>> = HashMap::new();
    for (at, service) in table::SERVICES.iter().enumerate() {
        marks.entry(service.mark).or_default().push(at);
    }
    marks
});

/// The service that surely wrote an object; of several the one that stands first in the table.
pub(super) fn find(leaves: &Leaves) -> Option<&'static Service> {
    let members = Members(leaves);
    let fits = |service: &Service| {
        (service.says.is_empty() || members.text(service.mark).is_some_and(|text| text.starts_with(service.says)))
            && service.also.iter().all(|name| members.value(name).is_some())
    };
    let marked = leaves.iter().filter_map(|(name, _)| MARKS.get(name.as_str())).flatten();
    let first = marked.copied().filter(|at| table::SERVICES.get(*at).is_some_and(fits)).min()?;
    table::SERVICES.get(first)
}

/// The event of an object of a service; `told` is the time that carried it, where it has none of its own.
pub(super) fn event(
    leaves: &Leaves,
    service: &'static Service,
    told: Option<Timestamp>,
    context: &Context<'_>,
) -> Event {
    let members = Members(leaves);
    let stamp = service.times.iter().find_map(|name| json::moment(members.value(name)?.each().next()?, 0));
    let stamp = stamp.or_else(|| json::timestamp(leaves, context.offset_s)).or(told);
    let mut event = context.event(stamp, service.module, service.dataset);
    event.reserve(leaves.len() + 24);
    for (name, value) in leaves {
        set_sent(&mut event, name, value.clone());
    }
    // Members that are called like fields of ECS mean something else there.
    for field in service.rows.iter().map(|(_, field)| *field).chain([Field::EVENT_ACTION, Field::EVENT_OUTCOME]) {
        event.remove(field);
    }
    for (name, field) in service.rows {
        if event.get(*field).is_none()
            && let Some(text) = members.value(name).and_then(|value| value.each().next()?.as_text())
            && !matches!(text.trim(), "" | "-" | "null" | "None" | "NA")
        {
            set_one(&mut event, *field, text.trim());
        }
    }
    (service.judge)(&mut event, &members);
    finish(&mut event);
    event
}

/// Sets a value; addresses may have a port behind them, and a name that is no address is left out of `source.ip`.
fn set_one(event: &mut Event, field: Field, text: &str) {
    if field != Field::SOURCE_IP {
        return set_text(event, field, text);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        event.set(field, address.to_canonical());
    } else if let Ok(socket) = text.parse::<SocketAddr>() {
        event.set(field, socket.ip().to_canonical());
        event.set(Field::SOURCE_PORT, socket.port());
    } else {
        event.set(Field::SOURCE_ADDRESS, Text::from(text));
    }
}

/// `lan@a.example` as e-mail address, with its two halves where the service writes accounts so.
fn set_account(event: &mut Event, account: &str) {
    if let Some((name, domain)) =
        account.rsplit_once('@').filter(|(name, domain)| !name.is_empty() && domain.contains('.'))
    {
        event.set(Field::USER_EMAIL, Text::from(account));
        event.set(Field::USER_DOMAIN, Text::from(domain));
        event.set(Field::USER_NAME, Text::from(name));
        event.add(Field::RELATED_USER, Text::from(account));
    } else {
        event.set(Field::USER_NAME, Text::from(account));
    }
}

#[cfg(test)]
mod tests;
