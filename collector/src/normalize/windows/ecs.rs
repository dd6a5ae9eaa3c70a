//! A `WindowsEvent` becomes an `Event`: `winlog.*` as sent, then ECS by the tables.
//!
//! In: a `WindowsEvent`, its bytes, the time to take where it has none. Out: an `Event`. Promise: data fields stay as
//! sent (empty text stays empty text, `-` stays `-`); ECS fields are only set from values that say something.
//! Source: ECS 8.17; the level names and keyword bits of winmeta.xml.

use std::sync::{Arc, LazyLock};

use nhatle_event::event::FIELDS_MAX;
use nhatle_event::{Event, Field, Kind, Record, Text, Timestamp, Value};

use super::system::{PART_COUNT, PARTS, Part, WindowsEvent};
use super::table::{How, Ready, ReadyMove, meaning_of};
use super::{channels, steps};

/// Bits of `Keywords` that say how an audited action ended (winmeta.xml).
const AUDIT_FAILURE: u64 = 0x0010_0000_0000_0000;
const AUDIT_SUCCESS: u64 = 0x0020_0000_0000_0000;

/// How many fields an event has of its record, its System parts and what is added later; room is made at once.
const OWN_FIELDS: usize = 28;
/// How many ECS fields an event usually gains from its data.
const ECS_FIELDS: usize = 24;

/// Where the data fields of an event stand, by the lowest bits of their numbers. Fields of an event under way are
/// only ever added behind.
struct Places {
    places: [u16; 256],
    /// Every data field was noted.
    is_whole: bool,
}

impl Places {
    const NONE: u16 = u16::MAX;
    /// Several fields have these lowest bits, or the place is past what is noted.
    const UNSURE: u16 = u16::MAX - 1;

    fn new() -> Places {
        Places { places: [Places::NONE; 256], is_whole: true }
    }

    /// A field stands at this place.
    fn note(&mut self, field: Field, at: usize) {
        let slot = &mut self.places[field.index() % 256];
        *slot = match u16::try_from(at) {
            Ok(at) if *slot == Places::NONE && at < Places::UNSURE => at,
            _ => Places::UNSURE,
        };
    }

    #[inline]
    fn get<'e>(&self, event: &'e Event, field: Field) -> Option<&'e Value> {
        let slot = self.places[field.index() % 256];
        match event.fields().get(usize::from(slot)) {
            Some((known, value)) if *known == field => Some(value),
            _ if self.is_whole && slot != Places::UNSURE => None,
            _ => event.get(field),
        }
    }
}

/// The fields of the parts, and what else is set for every event.
struct Known {
    parts: [Option<Field>; PART_COUNT],
    data: Option<Field>,
    params: Vec<Option<Field>>,
    utc_time: Option<Field>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known {
    parts: std::array::from_fn(|at| Field::intern(PARTS[at].field)),
    data: Field::intern("winlog.event_data.Data"),
    params: (1..=super::system::UNNAMED_MAX).map(|n| Field::intern(&format!("winlog.event_data.param{n}"))).collect(),
    utc_time: Field::intern("winlog.event_data.UtcTime"),
});

/// The fields `param1`, `param2`, … of data without names.
pub(super) fn params() -> &'static [Option<Field>] {
    &KNOWN.params
}

/// Makes the `Event`. `fallback` is the time it is given where it has none of its own.
pub(crate) fn to_event(
    mut source: WindowsEvent,
    original: impl Into<Arc<[u8]>>,
    fallback: Timestamp,
    record: &Record,
) -> Event {
    drain(&mut source, original, fallback, record)
}

/// [`to_event`] that leaves the source empty, for the next event.
pub(crate) fn drain(
    source: &mut WindowsEvent,
    original: impl Into<Arc<[u8]>>,
    fallback: Timestamp,
    record: &Record,
) -> Event {
    let known = &*KNOWN;
    let mut event = Event::with_capacity(fallback, original, OWN_FIELDS + source.data_count() + ECS_FIELDS);
    event.set_record_origin(record);
    let dataset = dataset_of(source);
    if let Some(stamp) = time_of(source, dataset, known) {
        event.timestamp = stamp;
    }
    (source.time, source.written) = (None, None);
    event.push_new(Field::EVENT_KIND, const { Text::const_new("event") });
    event.push_new(Field::EVENT_MODULE, const { Text::const_new("windows") });
    event.push_new(Field::HOST_OS_TYPE, const { Text::const_new("windows") });
    set_dataset(&mut event, dataset, source);
    let task = source.take(Part::TaskText);
    set_system(&mut event, source, known);
    let mut places = Places::new();
    for (field, value) in source.drain_data() {
        places.note(field, event.fields().len());
        if event.fields().len() < FIELDS_MAX {
            event.push_new(field, value);
        } else {
            event.set_named(field.name(), value);
        }
    }
    let (unnamed, overflow) = source.take_others();
    places.is_whole = unnamed.is_empty() && overflow.is_empty() && event.fields().len() < FIELDS_MAX;
    set_unnamed(&mut event, unnamed, known);
    for (name, value) in overflow {
        event.set_named(&name, value);
    }
    let code = event.get(Field::EVENT_CODE).and_then(Value::as_long);
    let provider = event.text(Field::EVENT_PROVIDER).unwrap_or_default();
    if let Some(ready) = code.and_then(|code| meaning_of(dataset?, code, provider)) {
        apply(ready, &mut event, &places);
    }
    finish(&mut event, task);
    event
}

/// `event.dataset` of the channels that have tables, by channel or provider.
fn dataset_of(source: &WindowsEvent) -> Option<&'static str> {
    let channel = source.part(Part::Channel).text().unwrap_or_default();
    let provider = source.part(Part::ProviderName).text().unwrap_or_default();
    Some(match (channel, provider) {
        ("Security", _) | ("", "Microsoft-Windows-Security-Auditing") => "windows.security",
        ("System", _) | ("", "Service Control Manager") => "windows.system",
        ("Application", _) => "windows.application",
        ("Windows PowerShell" | "Microsoft-Windows-PowerShell/Operational" | "PowerShellCore/Operational", _)
        | ("", "PowerShell" | "Microsoft-Windows-PowerShell") => "windows.powershell",
        ("Microsoft-Windows-Windows Defender/Operational", _) | ("", "Microsoft-Windows-Windows Defender") => {
            "windows.defender"
        }
        ("Microsoft-Windows-Sysmon/Operational", _) | (_, "Microsoft-Windows-Sysmon") => "windows.sysmon",
        _ => return channels::CHANNELS.iter().find(|(known, ..)| *known == channel).map(|(_, dataset, _)| *dataset),
    })
}

/// `event.dataset`: a known one, else `windows.` and the channel (or provider) in lower case with `_` for what is
/// neither letter nor digit.
fn set_dataset(event: &mut Event, dataset: Option<&'static str>, source: &WindowsEvent) {
    if let Some(dataset) = dataset {
        event.push_new(Field::EVENT_DATASET, Text::const_new(dataset));
        return;
    }
    let names = [Part::Channel, Part::ProviderName].map(|part| source.part(part).text().unwrap_or_default());
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or("unknown");
    let slug: Text = name
        .trim_start_matches("Microsoft-Windows-")
        .chars()
        .take(128)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    event.set(Field::EVENT_DATASET, format!("windows.{slug}"));
}

/// When it happened. Sysmon says so itself (`UtcTime`); `TimeCreated` is when its record was written.
fn time_of(source: &WindowsEvent, dataset: Option<&str>, known: &Known) -> Option<Timestamp> {
    let is_own = dataset == Some("windows.sysmon");
    let own = || is_own.then(|| Timestamp::parse(source.get(known.utc_time?)?.text()?, 0))?;
    source.time.or_else(own).or(source.written).or_else(|| steps::moment(source.part(Part::TimeCreated)))
}

fn set_system(event: &mut Event, source: &mut WindowsEvent, known: &Known) {
    if let Some(code) = source.part(Part::EventId).to_text() {
        event.push_new(Field::EVENT_CODE, code.clone());
        source.set(Part::EventId, Value::Text(code));
    }
    if let Value::Text(provider) = source.part(Part::ProviderName) {
        event.push_new(Field::EVENT_PROVIDER, provider.clone());
    }
    if let Value::Text(computer) = source.part(Part::Computer) {
        event.push_new(Field::HOST_NAME, computer.clone());
    }
    let level = source.part(Part::Level).as_long().and_then(level_name);
    let rendered = || source.part(Part::LevelText).text().map(str::to_lowercase).map(Text::from);
    if let Some(level) = level.map(Text::const_new).or_else(rendered) {
        event.push_new(Field::LOG_LEVEL, level);
    }
    if let Some(outcome) = outcome_of(source.part(Part::Keywords)) {
        event.push_new(Field::EVENT_OUTCOME, Text::const_new(outcome));
    }
    if let message @ Value::Text(_) = source.take(Part::Message) {
        event.push_new(Field::MESSAGE, message);
    }
    while let Some((row, value)) = source.take_next() {
        if let (Some(field), false) = (known.parts[row], says_nothing(&value)) {
            event.push_new(field, typed(field, value));
        }
    }
}

/// The names of levels 0 to 5; 0 is written for audits, which are information.
fn level_name(level: i64) -> Option<&'static str> {
    ["information", "critical", "error", "warning", "information", "verbose"].get(usize::try_from(level).ok()?).copied()
}

/// `event.outcome` of an audited action: bits of a number (also written as signed), or the names of the bits.
fn outcome_of(keywords: &Value) -> Option<&'static str> {
    for one in keywords.each() {
        let bits = match one {
            Value::Long(bits) => u64::from_ne_bytes(bits.to_ne_bytes()),
            Value::Text(text) if text == "Audit Success" => AUDIT_SUCCESS,
            Value::Text(text) if text == "Audit Failure" => AUDIT_FAILURE,
            Value::Text(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).unwrap_or(0),
                None => text.parse().unwrap_or(0),
            },
            _ => 0,
        };
        if bits & AUDIT_FAILURE != 0 {
            return Some("failure");
        }
        if bits & AUDIT_SUCCESS != 0 {
            return Some("success");
        }
    }
    None
}

/// `param1`, `param2`, … and `Data` with all of them.
fn set_unnamed(event: &mut Event, mut values: Vec<Value>, known: &Known) {
    if values.is_empty() {
        return;
    }
    for (value, field) in values.iter().zip(&known.params) {
        if let Some(field) = field {
            event.set_default(*field, value.clone());
        }
    }
    if let Some(field) = known.data {
        event.set_default(field, if values.len() == 1 { values.remove(0) } else { Value::List(values) });
    }
}

fn apply(ready: &'static Ready, event: &mut Event, places: &Places) {
    let meaning = ready.meaning;
    event.set(Field::EVENT_ACTION, Text::const_new(meaning.action));
    for (field, names) in [(Field::EVENT_CATEGORY, meaning.categories), (Field::EVENT_TYPE, meaning.types)] {
        match names {
            [] => {}
            [name] => event.set(field, Text::const_new(name)),
            names => event.set(field, Value::List(names.iter().map(|name| Text::const_new(name).into()).collect())),
        }
    }
    for one in &ready.moves {
        if let Some((field, value)) = moved(one, event, places) {
            if one.is_list {
                event.add(field, value);
            } else {
                event.push_new(field, value);
            }
        }
    }
    steps::apply(meaning.extra, event);
}

/// The ECS field a move sets, and its value; `None` where there is nothing to say.
fn moved(one: &ReadyMove, event: &Event, places: &Places) -> Option<(Field, Value)> {
    let to = one.to?;
    let [first, second] = one.from;
    let value = first.and_then(|from| places.get(event, from)).or_else(|| places.get(event, second?))?;
    // A move to a field that is set already would come to nothing.
    if says_nothing(value) || (!one.is_list && event.get(to).is_some()) {
        return None;
    }
    if one.how == How::Same {
        return Some((to, typed(to, value.clone())));
    }
    let text = value.as_text()?;
    steps::changed(one.how, &text).map(|value| (to, value))
}

/// Whether a value carries nothing for ECS: absent, empty, or the dash Windows writes for "none".
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => matches!(text.as_str(), "" | "-"),
        Value::List(values) => values.is_empty(),
        _ => false,
    }
}

/// The value in the type its field has; as it is where it does not fit.
pub(super) fn typed(field: Field, value: Value) -> Value {
    match (field.kind(), value) {
        (_, Value::List(values)) => Value::List(values.into_iter().map(|one| typed(field, one)).collect()),
        (Kind::Long, value) => steps::number(&value).map_or(value, Value::Long),
        (Kind::Ip, value) => value.as_ip().map_or(value, Value::Ip),
        (Kind::Date, value) => steps::moment(&value).map_or(value, Value::Date),
        (Kind::Keyword | Kind::Text, value @ (Value::Long(_) | Value::Double(_) | Value::Boolean(_))) => {
            if field.known().is_some() { value.to_text().map_or(Value::Null, Value::Text) } else { value }
        }
        (_, value) => value,
    }
}

/// What holds for every event: the account it ran as, and an action where no table gave one.
fn finish(event: &mut Event, task: Value) {
    if let Some(id) = event.text(Field::WINLOG_USER_IDENTIFIER).map(Text::from) {
        event.set_default(Field::USER_ID, id);
    }
    if let Value::Text(task) = task
        && !task.is_empty()
    {
        event.set_default(Field::EVENT_ACTION, task);
    }
}
