//! `@timestamp` for rules: an event keeps the moment beside its fields, rules name it like one.
//!
//! In: an event. Out: the same with its moment as the field `@timestamp`, RFC 3339 in UTC. Made only where a rule
//! reads it ("outside office hours"), because it costs a copy of the event. Total; cannot fail.

use std::borrow::Cow;
use std::sync::LazyLock;

use nhatle_event::{Event, Field};
use nhatle_rules::RuleSet;

/// The field `@timestamp`. No event has it; names of other times that Windows sources write lead to it too
/// (`rules/src/taxonomy/fields.rs`).
static MOMENT: LazyLock<Option<Field>> = LazyLock::new(|| Field::intern("@timestamp"));

/// See [`MOMENT`].
pub(crate) fn moment_field() -> Option<Field> {
    *MOMENT
}

/// The event with its moment as a field.
pub(crate) fn with_moment(event: &Event) -> Event {
    let mut event = event.clone();
    if let Some(field) = moment_field() {
        event.set(field, event.timestamp.to_string());
    }
    event
}

/// [`with_moment`] where a rule of the set reads it.
pub(crate) fn seen_by<'e>(rules: &RuleSet, event: &'e Event) -> Cow<'e, Event> {
    let reads = |field| rules.fields.iter().any(|name| name.candidates.contains(&field));
    if moment_field().is_some_and(reads) { Cow::Owned(with_moment(event)) } else { Cow::Borrowed(event) }
}
