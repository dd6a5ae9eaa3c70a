//! The same as [`super::json`] without anything kept: every name is compared with all it may be, every time.
//!
//! In: flattened JSON. Out: an `Event`. For tests only.

use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Record, Text, Value};

use super::ecs::to_event;
use super::json::{BESIDE, NXLOG_PARTS, TIMES, TRANSPORT, element_of, is_attribute, named_data, set_sent};
use super::steps::moment;
use super::system::{EVENT_DATA, PART_COUNT, PARTS, Part, USER_DATA, WindowsEvent};

/// The Windows event these leaves are; `None` where they are no Windows event.
pub(super) fn from_leaves(leaves: Leaves, record: &Record) -> Option<Event> {
    let form = form_of(&leaves)?;
    let mut source = WindowsEvent::default();
    let rest = match form {
        Form::Winlogbeat => winlogbeat(leaves, &mut source),
        Form::EvtxDump => evtx_dump(leaves, &mut source),
        Form::Flat => flat(leaves, &mut source),
    };
    let mut event = to_event(source, record.bytes.clone(), record.received, record);
    for (name, value) in rest {
        set_sent(&mut event, &name, value);
    }
    Some(event)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Winlogbeat,
    EvtxDump,
    Flat,
}

fn form_of(leaves: &Leaves) -> Option<Form> {
    let has = |wanted: &str| leaves.iter().any(|(name, _)| name == wanted);
    if has("winlog.event_id") {
        Some(Form::Winlogbeat)
    } else if has("EventID") && BESIDE.iter().any(|name| has(name)) {
        Some(Form::Flat)
    } else if leaves.iter().any(|(name, _)| name.starts_with("Event.System.")) {
        Some(Form::EvtxDump)
    } else {
        None
    }
}

/// `winlog.*` as Winlogbeat writes it; what stands beside it is ECS already.
fn winlogbeat(leaves: Leaves, source: &mut WindowsEvent) -> Leaves {
    let mut rest = Leaves::new();
    for (name, value) in leaves {
        if let Some(data) = name.strip_prefix(EVENT_DATA) {
            source.add_named(EVENT_DATA, data, value);
        } else if let Some(data) = name.strip_prefix(USER_DATA) {
            source.add_named(USER_DATA, data, value);
        } else if name == "@timestamp" {
            source.set(Part::TimeCreated, value);
        } else if name == "message" {
            source.set(Part::Message, value);
        } else if let Some(row) = PARTS.iter().find(|row| row.field == name) {
            source.set(row.part, value);
        } else if name == "winlog.task" {
            source.set(Part::TaskText, value);
        } else {
            rest.push((name, value));
        }
    }
    // Classic events have no names for their data; rules call all of it `Data`.
    let params = (1..).map_while(|n| source.get(Field::lookup(&format!("{EVENT_DATA}param{n}"))?).cloned());
    let params: Vec<_> = params.take(super::system::UNNAMED_MAX).collect();
    params.into_iter().for_each(|one| source.add_unnamed(one));
    rest
}

/// `{"Event":{"System":…,"EventData":…}}` with attributes under `#attributes`, `@Name` or `_attributes`.
fn evtx_dump(leaves: Leaves, source: &mut WindowsEvent) -> Leaves {
    let mut names = Vec::new();
    let mut rest = Leaves::new();
    for (name, value) in leaves {
        let Some(inner) = name.strip_prefix("Event.") else {
            rest.push((name, value));
            continue;
        };
        let (section, path) = inner.split_once('.').unwrap_or((inner, ""));
        let path = path.strip_suffix(".#text").unwrap_or(path);
        match section {
            "System" => {
                let (element, attribute) = element_of(path);
                if let Some(part) = Part::of_element(element, attribute) {
                    source.set(part, value);
                }
            }
            "RenderingInfo" => {
                if let Some(part) = Part::of_rendering(path) {
                    source.set(part, value);
                }
            }
            "EventData" if path == "Data.@Name" || path == "Data.#attributes.Name" => names.push(value),
            "UserData" | "ProcessingErrorData" => user_data(path, value, source),
            _ if is_attribute(path) => {}
            "EventData" if path == "Data" => named_data(names.pop(), value, source),
            "EventData" if !path.is_empty() => source.add_named(EVENT_DATA, path, value),
            _ => {}
        }
    }
    rest
}

/// A leaf of `UserData` under its own name; the element it all stands in gives `xml_name`.
fn user_data(path: &str, value: Value, source: &mut WindowsEvent) {
    let Some((first, _)) = path.split_once('.') else { return };
    let xml_name = Field::intern(&format!("{USER_DATA}xml_name"));
    if let Some(field) = xml_name.filter(|field| source.get(*field).is_none()) {
        source.add_new(field, Value::from(first));
    }
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
    if !last.trim_start_matches('@').starts_with("xmlns") {
        source.add_named(USER_DATA, &name, value);
    }
}

/// Flat names: a name of a System part is that part, anything else is data.
fn flat(leaves: Leaves, source: &mut WindowsEvent) -> Leaves {
    let is_nxlog = leaves.iter().any(|(name, _)| name == "SourceModuleName");
    let taken = places_of(&leaves);
    let time = taken[Part::TimeCreated as usize].map(|at| &leaves[at]);
    source.time = time.filter(|(name, _)| TIMES.contains(&name.as_str())).and_then(|(_, value)| moment(value));
    let mut part_of: Vec<Option<Part>> = vec![None; leaves.len()];
    for (row, place) in taken.iter().enumerate().rev() {
        if let Some(place) = place {
            part_of[*place] = Some(PARTS[row].part);
        }
    }
    let mut rest = Leaves::new();
    for ((name, value), part) in leaves.into_iter().zip(part_of) {
        let nxlog = || NXLOG_PARTS.iter().find(|(known, _)| is_nxlog && *known == name).map(|(_, part)| *part);
        if let Some(part) = part.or_else(nxlog) {
            source.set(part, value);
        } else if TRANSPORT.contains(&name.as_str()) {
            rest.push((name, value));
        } else if let Some(inner) = name.strip_prefix("EventData.") {
            source.add_named(EVENT_DATA, inner, value);
        } else if let Some(inner) = name.strip_prefix("UserData.") {
            source.add_named(USER_DATA, inner, value);
        } else if Field::lookup(&name).is_some_and(|field| field.known().is_some()) || name.starts_with("nhatle.") {
            rest.push((name, value));
        } else {
            source.add_named(EVENT_DATA, &name, value);
        }
    }
    rest
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

/// Which leaf holds each part: of the names that are there and fit, the surest. So a name with a `System_` twin is
/// left for the data.
fn places_of(leaves: &Leaves) -> [Option<usize>; PART_COUNT] {
    let mut best = [(usize::MAX, None); PART_COUNT];
    for (at, (name, value)) in leaves.iter().enumerate() {
        for (row, rank) in PART_NAMES.get(name.as_str()).into_iter().flatten() {
            let fits = || match PARTS[*row].part {
                Part::Message | Part::TaskText | Part::ProviderName => value.text().is_some(),
                Part::TimeCreated => moment(value).is_some(),
                _ => true,
            };
            if *rank < best[*row].0 && fits() {
                best[*row] = (*rank, Some(at));
            }
        }
    }
    best.map(|(_, place)| place)
}
