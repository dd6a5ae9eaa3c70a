//! Which values keywords are looked for in, and which value counts as null.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Value};

use crate::moment::moment_field;

/// Whether a value counts as `null`: absent, null, a list with a null in it or with nothing.
pub fn has_null(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::List(values)) => values.is_empty() || values.contains(&Value::Null),
        Some(_) => false,
    }
}

/// The values that keywords are looked for in: what was sent, not what we say of it. Left out are our own
/// fields and the ECS words for kinds of events, which no sender of a plain log wrote.
pub fn searched_texts(event: &Event) -> impl Iterator<Item = Cow<'_, str>> {
    searched_fields(event).flat_map(|(_, value)| value.each()).filter_map(Value::as_text)
}

/// The fields that keywords are looked for in, see [`searched_texts`].
pub fn searched_fields(event: &Event) -> impl Iterator<Item = (Field, &Value)> {
    event.fields().iter().filter(|(field, _)| is_searched(*field)).map(|(field, value)| (*field, value))
}

/// Whether keywords are looked for in the values of a field.
pub fn is_searched(field: Field) -> bool {
    let is_ours = match field {
        Field::EVENT_KIND
        | Field::EVENT_CATEGORY
        | Field::EVENT_TYPE
        | Field::EVENT_ACTION
        | Field::EVENT_OUTCOME
        | Field::EVENT_MODULE
        | Field::EVENT_DATASET
        | Field::EVENT_SEVERITY
        | Field::EVENT_TIMEZONE
        | Field::EVENT_START
        | Field::EVENT_END
        | Field::HOST_OS_TYPE
        | Field::NETWORK_TYPE
        | Field::NETWORK_DIRECTION
        | Field::LOG_OFFSET
        | Field::LOG_FILE_PATH
        | Field::LOG_SOURCE_ADDRESS
        | Field::LOG_SYSLOG_PRIORITY
        | Field::LOG_SYSLOG_FACILITY_CODE
        | Field::LOG_SYSLOG_FACILITY_NAME
        | Field::LOG_SYSLOG_SEVERITY_CODE
        | Field::LOG_SYSLOG_SEVERITY_NAME
        | Field::OBSERVER_VENDOR
        | Field::OBSERVER_PRODUCT => true,
        known if known.known().is_some() => known.name().starts_with("nhatle."),
        other if Some(other) == moment_field() => true,
        _ => false,
    };
    !is_ours
}
