//! Fills the placeholders of a rule's one-sentence explanation.
//!
//! `{source.ip}` is the event's field of that name, or a vendor's short name (`{Image}`), or a value of
//! `group-by`; `{count}` is how many events there were. What is not there becomes an en dash, so that a
//! sentence always reads to its end. A value is cut at 200 characters.

use nhatle_event::{Event, Field};

use super::shown;

const VALUE_CHARS_MAX: usize = 200;
const HOMES: &[&str] = &["", "winlog.event_data.", "winlog.user_data.", "auditd.data.", "iptables."];

/// The sentence with its placeholders filled, or `None` where the rule has none.
pub fn sentence(template: Option<&str>, event: &Event, group: &[(String, String)], count: u64) -> Option<String> {
    let mut rest = template?;
    let mut text = String::with_capacity(rest.len() + 64);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            break;
        };
        let value = if name == "count" { Some(count.to_string()) } else { lookup(name, event, group) };
        match value.filter(|value| !value.is_empty()) {
            Some(value) => text.extend(value.chars().take(VALUE_CHARS_MAX)),
            None => text.push('–'),
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

fn lookup(name: &str, event: &Event, group: &[(String, String)]) -> Option<String> {
    if let Some((_, value)) = group.iter().find(|(known, _)| known == name) {
        return Some(value.clone());
    }
    HOMES
        .iter()
        .filter_map(|home| Field::lookup(&format!("{home}{name}")))
        .find_map(|field| event.get(field))
        .map(shown)
}
