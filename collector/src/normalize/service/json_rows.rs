//! Agents that write JSON: what their members mean, by rows of a table.
//!
//! In: the leaves of a record, a table. Out: every member under the agent's home as it was sent, and in ECS where a
//! row says so. Promise: members cannot name fields: they only fill the ones of the table and of the home.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Value};

use crate::normalize::device::set_text;
use crate::normalize::typed;

/// A member and the ECS field it is.
pub type Row = (&'static str, Field);

/// The value of a member.
pub fn value<'a>(leaves: &'a Leaves, name: &str) -> Option<&'a Value> {
    leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The text of a member.
pub fn text<'a>(leaves: &'a Leaves, name: &str) -> Option<&'a str> {
    value(leaves, name).and_then(|value| value.each().next()).and_then(Value::text)
}

/// Whether a record has all these members.
pub fn has_all(leaves: &Leaves, names: &[&str]) -> bool {
    names.iter().all(|name| value(leaves, name).is_some())
}

/// Sets the members below `home`, and those of the table in ECS; the first row of a field that has a value counts.
pub fn fill(event: &mut Event, home: &str, rows: &[Row], leaves: Leaves) {
    event.reserve(leaves.len() * 2);
    for (member, field) in rows {
        let Some(value) = value(&leaves, member).filter(|_| event.get(*field).is_none()) else { continue };
        match value {
            Value::Null => {}
            Value::Text(text) => set_text(event, *field, text),
            other => event.set(*field, typed(field.kind(), other.clone())),
        }
    }
    let mut name = String::with_capacity(64);
    for (member, value) in leaves {
        name.clear();
        name.push_str(home);
        name.push_str(&member);
        event.set_named(&name, value);
    }
}
