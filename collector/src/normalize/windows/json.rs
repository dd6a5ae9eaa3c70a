//! JSON that is a Windows event, in the four forms it comes in, to a `WindowsEvent`.
//!
//! In: a JSON document. Out: an `Event`, or `None` for JSON that is no Windows event. Promise: data fields keep name and
//! type as sent; what a name means is told once and kept by name ([`Names`]), which changes nothing but the time it takes
//! (`json_plain` is the same without); nothing a stranger sends may set `nhatle.*` (it becomes `labels.nhatle.*`).
//!
//! The forms: Winlogbeat (`winlog.event_id`, `winlog.event_data.*`), evtx_dump (`Event.System.…`), and flat names as
//! Sigma's taxonomy, NXLog or an exporter write them (`EventID` beside `Channel`, `Provider_Name`, `SourceName`,
//! `Computer` or `EventRecordID`). In flat JSON a `System_Channel` says that `Channel` is data; the same holds for
//! every other name that has a `System_` twin.

use std::cell::Cell;
use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::json::Document;
use nhatle_event::{Event, Field, Record, Text, Timestamp, Value};

use super::ecs::{drain, typed};
use super::names::Names;
use super::steps::moment;
use super::system::{EVENT_DATA, PART_COUNT, PARTS, Part, USER_DATA, WindowsEvent};

/// The Windows event this document is; `None` where it is no Windows event, and then it is as it was.
pub fn from_document(document: &mut Document<'_>, record: &Record) -> Option<Event> {
    let form = form_of(document)?;
    let mut desk = DESK.take().unwrap_or_default();
    let Desk { source, known } = &mut *desk;
    known.rest.clear();
    match form {
        Form::Winlogbeat => winlogbeat(document, source, known),
        Form::EvtxDump => evtx_dump(document, source, known),
        Form::Flat => flat(document, source, known),
    }
    let mut event = drain(source, record.bytes.clone(), record.received, record);
    for at in &known.rest {
        let value = document.take(*at);
        set_sent(&mut event, document.leaf(*at).0, value);
    }
    DESK.set(Some(desk));
    Some(event)
}

thread_local! {
    /// What this thread works with.
    static DESK: Cell<Option<Box<Desk>>> = const { Cell::new(None) };
}

/// What is kept from one document to the next.
#[derive(Default)]
struct Desk {
    /// Empty between documents; its lists are used again.
    source: WindowsEvent,
    known: Known,
}

/// What names mean in each form, and lists that are used again for each document.
#[derive(Default)]
struct Known {
    flat: Names<FlatName>,
    winlogbeat: Names<BeatName>,
    evtx_dump: Names<DumpName>,
    /// The data fields that the leaves of a flat document are for sure.
    sure: Vec<Option<Field>>,
    /// The leaves that are not of the Windows event.
    rest: Vec<usize>,
}

/// A data field under its full name; `None` where the register of fields does not take it.
#[derive(Debug)]
struct DataName {
    home: &'static str,
    name: Text,
    field: Option<Field>,
}

impl DataName {
    fn new(home: &'static str, name: &str) -> DataName {
        DataName { home, name: Text::from(name), field: Field::intern(&format!("{home}{name}")) }
    }

    fn put(&self, value: Value, source: &mut WindowsEvent) {
        match self.field {
            Some(field) => source.add(field, value),
            None => source.add_named(self.home, &self.name, value),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Winlogbeat,
    EvtxDump,
    Flat,
}

/// Names of which one must stand beside `EventID` in flat JSON.
pub(super) const BESIDE: &[&str] =
    &["Channel", "System_Channel", "Provider_Name", "SourceName", "EventRecordID", "Computer"];

fn form_of(document: &Document<'_>) -> Option<Form> {
    let has = |wanted: &str| document.get(wanted).is_some();
    if has("EventID") && BESIDE.iter().any(|name| has(name)) {
        return Some(if has("winlog.event_id") { Form::Winlogbeat } else { Form::Flat });
    }
    if has("winlog.event_id") {
        Some(Form::Winlogbeat)
    } else if document.leaves().any(|(name, _)| name.starts_with("Event.System.")) {
        Some(Form::EvtxDump)
    } else {
        None
    }
}

/// What a name means in `winlog.*` as Winlogbeat writes it.
enum BeatName {
    Data(DataName),
    Part(Part),
    /// ECS already.
    Sent,
}

impl BeatName {
    fn of(name: &str) -> BeatName {
        if let Some(data) = name.strip_prefix(EVENT_DATA) {
            return BeatName::Data(DataName::new(EVENT_DATA, data));
        }
        if let Some(data) = name.strip_prefix(USER_DATA) {
            return BeatName::Data(DataName::new(USER_DATA, data));
        }
        match name {
            "@timestamp" => BeatName::Part(Part::TimeCreated),
            "message" => BeatName::Part(Part::Message),
            _ => match PARTS.iter().find(|row| row.field == name) {
                Some(row) => BeatName::Part(row.part),
                None if name == "winlog.task" => BeatName::Part(Part::TaskText),
                None => BeatName::Sent,
            },
        }
    }
}

/// `winlog.*` as Winlogbeat writes it; what stands beside it is ECS already.
fn winlogbeat(document: &mut Document<'_>, source: &mut WindowsEvent, known: &mut Known) {
    known.winlogbeat.begin(document);
    for at in 0..document.len() {
        match known.winlogbeat.meaning(document, at, BeatName::of) {
            BeatName::Data(data) => data.put(document.take(at), source),
            BeatName::Part(part) => source.set(*part, document.take(at)),
            BeatName::Sent => known.rest.push(at),
        }
    }
    // Classic events have no names for their data; rules call all of it `Data`.
    let params = super::ecs::params().iter().map_while(|field| source.get((*field)?).cloned());
    let params: Vec<_> = params.collect();
    params.into_iter().for_each(|one| source.add_unnamed(one));
}

/// What a name means in `{"Event":{"System":…,"EventData":…}}`.
enum DumpName {
    Part(Part),
    /// The names of `<Data>`, apart from their values.
    DataNames,
    /// The values of `<Data>`.
    DataValues,
    Data(DataName),
    /// A leaf of `UserData`, and the element it all stands in; `None` for what is only a namespace.
    User(Text, Option<DataName>),
    /// An attribute that says nothing, a part that is not kept.
    Nothing,
    /// It stands outside of the event.
    Sent,
}

impl DumpName {
    fn of(name: &str) -> DumpName {
        let Some(inner) = name.strip_prefix("Event.") else { return DumpName::Sent };
        let (section, path) = inner.split_once('.').unwrap_or((inner, ""));
        let path = path.strip_suffix(".#text").unwrap_or(path);
        match section {
            "System" => {
                let (element, attribute) = element_of(path);
                Part::of_element(element, attribute).map_or(DumpName::Nothing, DumpName::Part)
            }
            "RenderingInfo" => Part::of_rendering(path).map_or(DumpName::Nothing, DumpName::Part),
            "EventData" if path == "Data.@Name" || path == "Data.#attributes.Name" => DumpName::DataNames,
            "UserData" | "ProcessingErrorData" => user_data(path),
            _ if is_attribute(path) => DumpName::Nothing,
            "EventData" if path == "Data" => DumpName::DataValues,
            "EventData" if !path.is_empty() => DumpName::Data(DataName::new(EVENT_DATA, path)),
            _ => DumpName::Nothing,
        }
    }
}

/// `{"Event":{"System":…,"EventData":…}}` with attributes under `#attributes`, `@Name` or `_attributes`.
fn evtx_dump(document: &mut Document<'_>, source: &mut WindowsEvent, known: &mut Known) {
    known.evtx_dump.begin(document);
    let mut names = Vec::new();
    for at in 0..document.len() {
        match known.evtx_dump.meaning(document, at, DumpName::of) {
            DumpName::Part(part) => source.set(*part, document.take(at)),
            DumpName::DataNames => names.push(document.take(at)),
            DumpName::DataValues => named_data(names.pop(), document.take(at), source),
            DumpName::Data(data) => data.put(document.take(at), source),
            DumpName::User(element, data) => {
                if let Some(field) = XML_NAME.filter(|field| source.get(*field).is_none()) {
                    source.add_new(field, Value::Text(element.clone()));
                }
                if let Some(data) = data {
                    data.put(document.take(at), source);
                }
            }
            DumpName::Nothing => {}
            DumpName::Sent => known.rest.push(at),
        }
    }
}

/// The element that all of `UserData` stands in.
static XML_NAME: LazyLock<Option<Field>> = LazyLock::new(|| Field::intern(&format!("{USER_DATA}xml_name")));

/// A leaf of `UserData` under its own name; the element it all stands in gives `xml_name`.
fn user_data(path: &str) -> DumpName {
    let Some((first, _)) = path.split_once('.') else { return DumpName::Nothing };
    let mut parts = path.rsplitn(3, '.');
    let (last, before, element) = (parts.next().unwrap_or(path), parts.next().unwrap_or(""), parts.next());
    let name = match (before.strip_suffix("_attributes"), last.strip_prefix('@')) {
        _ if before == "#attributes" => {
            let element = element.map_or("", |path| path.rsplit('.').next().unwrap_or(path));
            Text::from(format!("{element}_{last}"))
        }
        (Some(element), _) => Text::from(format!("{element}_{last}")),
        (None, Some(attribute)) => Text::from(format!("{before}_{attribute}")),
        (None, None) => Text::from(last),
    };
    let is_namespace = last.trim_start_matches('@').starts_with("xmlns");
    DumpName::User(Text::from(first), (!is_namespace).then(|| DataName::new(USER_DATA, &name)))
}

/// Names and values of `<Data>` that came as two lists; without names of the same number, values stand alone.
pub(super) fn named_data(names: Option<Value>, values: Value, source: &mut WindowsEvent) {
    let count = names.as_ref().map_or(0, |names| names.each().count());
    match names {
        Some(names) if count == values.each().count() => {
            for (name, value) in names.each().zip(values.each()) {
                match name.text() {
                    Some(name) => source.add_named(EVENT_DATA, name, value.clone()),
                    None => source.add_unnamed(value.clone()),
                }
            }
        }
        _ => source.add_unnamed(values),
    }
}

pub(super) fn is_attribute(path: &str) -> bool {
    path.contains("#attributes") || path.contains('@') || path.contains("_attributes.")
}

/// `Provider.#attributes.Name` is element `Provider`, attribute `Name`.
pub(super) fn element_of(path: &str) -> (&str, &str) {
    let Some((element, attribute)) = path.split_once('.') else {
        return path.strip_suffix("_attributes").map_or((path, ""), |element| (element, ""));
    };
    let element = element.strip_suffix("_attributes").unwrap_or(element);
    let attribute = attribute.strip_prefix("#attributes.").unwrap_or(attribute);
    (element, attribute.strip_prefix('@').unwrap_or(attribute))
}

/// What NXLog and shippers say about the transport, which is no data of the event.
pub(super) const TRANSPORT: &[&str] = &[
    "EventReceivedTime",
    "SourceModuleName",
    "SourceModuleType",
    "SeverityValue",
    "Severity",
    "EventTypeOrignal",
    "@version",
    "host",
    "port",
    "tags",
    "type",
];
/// Names that are System's only where NXLog wrote them.
pub(super) const NXLOG_PARTS: &[(&str, Part)] =
    &[("ProcessID", Part::ProcessId), ("ThreadID", Part::ThreadId), ("Category", Part::TaskText)];

/// Names that say when the event happened, in the contract's words; other names say when it was written.
pub(super) const TIMES: &[&str] = &["@timestamp", "timestamp", "UtcTimeCreated", "SystemTime", "time", "date"];

/// What a name means in flat JSON.
struct FlatName {
    /// The System parts it may be: row, and how sure it is for it (0 is surest).
    parts: &'static [(usize, usize)],
    /// The part it is where NXLog wrote it.
    nxlog: Option<Part>,
    /// What it is where it is no part.
    other: Other,
}

enum Other {
    /// ECS or about the transport.
    Sent,
    /// Data: its home and how much of the name stands before its own.
    Unmet(&'static str, usize),
    /// The same, once a document had it as data: only then its field is made known.
    Data(DataName),
}

impl FlatName {
    fn of(name: &str) -> FlatName {
        let other = if TRANSPORT.contains(&name) {
            Other::Sent
        } else if name.starts_with("EventData.") {
            Other::Unmet(EVENT_DATA, "EventData.".len())
        } else if name.starts_with("UserData.") {
            Other::Unmet(USER_DATA, "UserData.".len())
        } else if Field::lookup(name).is_some_and(|field| field.known().is_some()) || name.starts_with("nhatle.") {
            Other::Sent
        } else {
            Other::Unmet(EVENT_DATA, 0)
        };
        let nxlog = NXLOG_PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part);
        FlatName { parts: PART_NAMES.get(name).map_or(&[], Vec::as_slice), nxlog, other }
    }

    /// The data field it is whatever stands beside it, where a document had it before.
    fn sure(&self) -> Option<Field> {
        match &self.other {
            Other::Data(data) if self.parts.is_empty() && self.nxlog.is_none() => data.field,
            _ => None,
        }
    }

    /// The data field it is, where it is data.
    fn data<'n>(&mut self, name: impl FnOnce() -> &'n str) -> Option<&DataName> {
        if let Other::Unmet(home, front) = self.other {
            self.other = Other::Data(DataName::new(home, name().get(front..).unwrap_or_default()));
        }
        if let Other::Data(data) = &self.other { Some(data) } else { None }
    }
}

/// Flat names: a name of a System part is that part, anything else is data.
fn flat(document: &mut Document<'_>, source: &mut WindowsEvent, known: &mut Known) {
    let is_nxlog = document.get("SourceModuleName").is_some();
    let best = places_of(document, known);
    if let Some(stamp) = best.stamp {
        let name = document.leaf(best.places[Part::TimeCreated as usize].1).0;
        if TIMES.contains(&name) { source.time = Some(stamp) } else { source.written = Some(stamp) }
    }
    for (at, sure) in known.sure.iter().enumerate() {
        if let Some(field) = sure {
            source.add(*field, document.take(at));
            continue;
        }
        let name = known.flat.meaning(document, at, FlatName::of);
        let is_best = |(row, _): &&(usize, usize)| best.places[*row].1 == at;
        let part = name.parts.iter().find(is_best).map(|(row, _)| PARTS[*row].part);
        if let Some(part) = part.or(name.nxlog.filter(|_part| is_nxlog)) {
            source.set(part, document.take(at));
        } else if let Some(data) = name.data(|| document.leaf(at).0) {
            data.put(document.take(at), source);
        } else {
            known.rest.push(at);
        }
    }
}

/// The names of System parts in flat JSON: which row they are of, and how sure they are for it (0 is surest).
static PART_NAMES: LazyLock<HashMap<&'static str, Vec<(usize, usize)>>> = LazyLock::new(|| {
    let mut names: HashMap<&'static str, Vec<(usize, usize)>> = HashMap::new();
    for (row, part) in PARTS.iter().enumerate() {
        for (rank, name) in part.flat.iter().enumerate() {
            names.entry(*name).or_default().push((row, rank));
        }
    }
    names
});

/// Which leaf holds each part.
struct Best {
    /// For each part how sure its leaf is and where it stands; no place where there is none.
    places: [(usize, usize); PART_COUNT],
    /// The moment that the leaf of `TimeCreated` tells.
    stamp: Option<Timestamp>,
}

/// Which leaf holds each part: of the names that are there and fit, the surest. So a name with a `System_` twin is
/// left for the data.
fn places_of(document: &Document<'_>, known: &mut Known) -> Best {
    let mut best = Best { places: [(usize::MAX, usize::MAX); PART_COUNT], stamp: None };
    known.flat.begin(document);
    known.sure.clear();
    for at in 0..document.len() {
        let name = known.flat.meaning(document, at, FlatName::of);
        known.sure.push(name.sure());
        for (row, rank) in name.parts {
            if best.places[*row].0 <= *rank {
                continue;
            }
            let value = document.leaf(at).1;
            let fits = match PARTS[*row].part {
                Part::Message | Part::TaskText | Part::ProviderName => value.text().is_some(),
                Part::TimeCreated => {
                    let stamp = moment(value);
                    best.stamp = stamp.or(best.stamp);
                    stamp.is_some()
                }
                _ => true,
            };
            if fits {
                best.places[*row] = (*rank, at);
            }
        }
    }
    best
}

/// Names whose value is ours to say.
const OURS: &[&str] = &[
    "@timestamp",
    "event.created",
    "event.dataset",
    "event.hash",
    "event.ingested",
    "event.kind",
    "event.module",
    "event.original",
];

/// Sets what the sender said beside the Windows event: ECS names in their type, `nhatle.*` out of harm's way.
pub(super) fn set_sent(event: &mut Event, name: &str, value: Value) {
    if OURS.contains(&name) {
        return;
    }
    if name.starts_with("nhatle.") {
        event.set_named(&format!("labels.{name}"), value);
        return;
    }
    match Field::lookup(name).filter(|field| field.known().is_some()) {
        Some(field) => event.set(field, typed(field, value)),
        None => event.set_named(name, value),
    }
}

/// The event of leaves that were read already.
#[cfg(test)]
pub fn from_leaves(leaves: nhatle_event::json::Leaves, record: &Record) -> Option<Event> {
    from_document(&mut nhatle_event::json::Reader::default().hold(leaves), record)
}
