//! What kinds of event sources send, and when each was last received: what tells a rule whose source is silent
//! from one whose source never was.
//!
//! A kind is the values log-source gates look at, with the unit. In: committed events. Out: the newest event
//! behind a gate. Bounded: [`KINDS_MAX`] kinds; past it the kind not seen for longest goes. Kept as a mark of the
//! store, so a restart does not forget that a source had sent.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use foldhash::{HashMap, HashMapExt};
use nhatle_engine::detect::gate_passes;
use nhatle_event::{Event, Field, Timestamp, Value};
use nhatle_rules::predicate::Gate;
use serde::{Deserialize, Serialize};

/// The mark that keeps the kinds.
pub const MARK: &str = "kinds";
/// How many kinds are remembered.
pub const KINDS_MAX: usize = 20_000;
/// Of how many events of a batch one is looked at closely, besides the first of each kind.
pub const SAMPLE_EVERY: usize = 32;
/// How long a value of a kind may be; a longer one is cut.
const VALUE_BYTES_MAX: usize = 128;

/// The fields that make a kind.
const FIELDS: [Field; 6] = [
    Field::EVENT_MODULE,
    Field::EVENT_DATASET,
    Field::WINLOG_CHANNEL,
    Field::EVENT_CODE,
    Field::PROCESS_NAME,
    Field::EVENT_CATEGORY,
];
/// Registry events share an event id; this tells them apart.
const EVENT_TYPE: &str = "winlog.event_data.EventType";

/// One kind of event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// Field names and values, in the order of the fields.
    pub values: Vec<(String, String)>,
    /// The unit it came from.
    pub unit: Option<String>,
}

/// What is known of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When the newest was received, nanoseconds.
    pub newest_ns: i64,
    /// How many were.
    pub count: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Kinds {
    inner: Mutex<Inner>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Inner {
    seen: HashMap<Kind, Seen>,
    /// Something was seen that the mark does not say.
    is_fresh: bool,
}

impl Kinds {
    /// The kinds as their mark kept them; none where there is no mark.
    pub fn new(mark: Option<&[u8]>) -> Kinds {
        let kept: Vec<(Kind, Seen)> = mark.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        Kinds {
            inner: Mutex::new(Inner { seen: kept.into_iter().collect(), is_fresh: false }),
            hasher: RandomState::default(),
        }
    }

    /// What the mark is to keep, where it does not say it yet.
    pub fn fresh_mark(&self) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        if !std::mem::take(&mut inner.is_fresh) {
            return None;
        }
        let mut rows: Vec<(&Kind, &Seen)> = inner.seen.iter().collect();
        rows.sort_by(|left, right| left.0.values.cmp(&right.0.values));
        serde_json::to_vec(&rows).ok()
    }

    /// Takes in the events of a batch. Gives back one of each source and kind, and every [`SAMPLE_EVERY`]th: those
    /// that are worth a closer look.
    pub fn see<'e>(&self, events: impl Iterator<Item = &'e Event>) -> Vec<&'e Event> {
        // Counted outside the lock first, by a hash: a batch has many events and few kinds, and only those are made.
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut found: Vec<(Kind, Seen)> = Vec::new();
        let mut sample = Vec::new();
        for (number, event) in events.enumerate() {
            let before = found.len();
            let place = *places.entry(self.hash_of(event)).or_insert_with(|| {
                found.push((kind_of(event), Seen { newest_ns: i64::MIN, count: 0 }));
                found.len() - 1
            });
            if before < found.len() || number % SAMPLE_EVERY == SAMPLE_EVERY - 1 {
                sample.push(event);
            }
            let (_, seen) = &mut found[place];
            seen.newest_ns = seen.newest_ns.max(event.received.0);
            seen.count += 1;
        }
        if found.is_empty() {
            return sample;
        }
        let mut inner = self.lock();
        inner.is_fresh = true;
        for (kind, fresh) in found {
            let seen = inner.seen.entry(kind).or_insert(Seen { newest_ns: i64::MIN, count: 0 });
            seen.newest_ns = seen.newest_ns.max(fresh.newest_ns);
            seen.count += fresh.count;
        }
        while KINDS_MAX < inner.seen.len() {
            let Some(oldest) = inner.seen.iter().min_by_key(|(_, seen)| seen.newest_ns).map(|(kind, _)| kind.clone())
            else {
                break;
            };
            inner.seen.remove(&oldest);
        }
        sample
    }

    /// The kinds as they are, to be asked about many gates.
    pub fn look(&self, is_asked: impl Fn(&Kind) -> bool) -> Look {
        let inner = self.lock();
        let asked = inner.seen.iter().filter(|(kind, _)| is_asked(kind));
        Look { rows: asked.map(|(kind, seen)| (event_of(kind), seen.newest_ns)).collect(), known: HashMap::new() }
    }

    /// All kinds, in no order.
    pub fn all(&self) -> Vec<(Kind, Seen)> {
        self.lock().seen.iter().map(|(kind, seen)| (kind.clone(), *seen)).collect()
    }

    /// Of the texts a kind is made of. Keyed, so that nobody can make two kinds fall together.
    fn hash_of(&self, event: &Event) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let event_type = Field::lookup(EVENT_TYPE);
        for field in FIELDS.into_iter().chain([Field::NHATLE_UNIT, Field::NHATLE_SOURCE]).chain(event_type) {
            for text in event.get(field).into_iter().flat_map(Value::each).filter_map(Value::as_text) {
                hasher.write(text.as_bytes());
                hasher.write_u8(0xff);
            }
            hasher.write_u8(0xfe);
        }
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds at one moment; remembers what it was asked.
pub struct Look {
    rows: Vec<(Event, i64)>,
    known: HashMap<Gate, Option<Timestamp>>,
}

impl Look {
    /// When the newest event was received that passes a gate.
    pub fn newest(&mut self, gate: &Gate) -> Option<Timestamp> {
        if let Some(known) = self.known.get(gate) {
            return *known;
        }
        let passing = self.rows.iter().filter(|(event, _)| gate_passes(gate, event));
        let newest = passing.map(|(_, newest_ns)| Timestamp(*newest_ns)).max();
        self.known.insert(gate.clone(), newest);
        newest
    }
}

fn kind_of(event: &Event) -> Kind {
    let mut values = Vec::with_capacity(FIELDS.len());
    let mut add = |name: &str, value: &Value| {
        for text in value.each().filter_map(Value::as_text) {
            let end = (0..=VALUE_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            values.push((name.to_owned(), text[..end].to_owned()));
        }
    };
    for field in FIELDS {
        if let Some(value) = event.get(field) {
            add(field.name(), value);
        }
    }
    let event_type = Field::lookup(EVENT_TYPE).and_then(|field| event.get(field));
    if let Some(value) = event_type {
        add(EVENT_TYPE, value);
    }
    Kind { values, unit: event.text(Field::NHATLE_UNIT).map(str::to_owned) }
}

/// An event of a kind, for a gate to look at.
fn event_of(kind: &Kind) -> Event {
    let mut event = Event::new(Timestamp::default(), *b"");
    for (name, value) in &kind.values {
        if let Some(field) = Field::intern(name) {
            event.add(field, value.as_str());
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use nhatle_rules::predicate::GateCase;

    use super::*;

    fn event(module: &str, code: &str, received: i64, unit: &str) -> Event {
        let mut event = Event::new(Timestamp(0), *b"x");
        event.received = Timestamp(received);
        event.set(Field::EVENT_MODULE, module);
        event.set(Field::EVENT_CODE, code);
        event.add(Field::EVENT_CATEGORY, "process");
        event.add(Field::EVENT_CATEGORY, "file");
        event.set(Field::NHATLE_UNIT, unit);
        event
    }

    fn gate(module: &str, code: &str, category: &str) -> Gate {
        let list = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        Gate::Cases(vec![GateCase {
            modules: list(module),
            codes: list(code),
            categories: list(category),
            ..GateCase::default()
        }])
    }

    #[test]
    fn the_newest_behind_a_gate_is_found_also_after_a_restart() {
        let kinds = Kinds::default();
        kinds.see([event("windows", "1", 5, "A"), event("windows", "1", 3, "A"), event("linux", "", 9, "B")].iter());
        let kinds = Kinds::new(kinds.fresh_mark().as_deref());
        assert_eq!(kinds.fresh_mark(), None, "nothing new");
        for (gate, expected) in [
            (gate("windows", "1", ""), Some(5)),
            (gate("windows", "1", "file"), Some(5)),
            (gate("windows", "1", "registry"), None),
            (gate("windows", "2", ""), None),
            (Gate::Any, Some(9)),
            (Gate::Never, None),
        ] {
            assert_eq!(kinds.look(|_| true).newest(&gate), expected.map(Timestamp), "{gate:?}");
        }
        assert_eq!(kinds.look(|kind| kind.unit.as_deref() == Some("A")).newest(&Gate::Any), Some(Timestamp(5)));
        assert_eq!(kinds.all().iter().map(|(_, seen)| seen.count).sum::<u64>(), 3);
    }

    #[test]
    fn a_sender_that_invents_kinds_pushes_out_only_what_is_old() {
        let kinds = Kinds::default();
        kinds.see([event("old", "", 0, "A")].iter());
        let many: Vec<Event> = (1..=20_100).map(|at| event("m", &at.to_string(), at, "A")).collect();
        kinds.see(many.iter());
        assert_eq!(kinds.all().len(), KINDS_MAX);
        let mut look = kinds.look(|_| true);
        assert_eq!(look.newest(&gate("old", "", "")), None);
        assert_eq!(look.newest(&gate("m", "20100", "")), Some(Timestamp(20_100)));
    }
}
