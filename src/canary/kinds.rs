//! What kinds of event sources send, and when each was last received: what tells a rule whose source is silent
//! from one whose source never was.
//!
//! A kind is the values log-source gates look at, with the unit. In: committed events. Out: the newest event
//! behind a gate, and which events are worth a closer look. Bounded: [`KINDS_MAX`] kinds; past it the kind not seen for
//! longest goes; [`FAMILIAR_MAX`] kinds of single sources, past which all are new again. Kept as a mark of the
//! store, so a restart does not forget that a source had sent.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
/// How many kinds of single sources are familiar at once.
const FAMILIAR_MAX: usize = 100_000;
/// So many events of a source's kind are looked at closely at first. A city has thousands of kinds of single sources: each
/// more is a part of what all of them send in a day.
const FIRST_LOOKS: u32 = 8;
/// Then one of so many,
pub const SAMPLE_EVERY: u32 = 32;
/// and one that comes so long after the last look, nanoseconds.
const LOOK_AGAIN_NS: i64 = 60_000_000_000;
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
    seen: HashMap<Arc<Kind>, Seen>,
    /// By [`Kinds::hash_of`].
    familiar: HashMap<u64, Familiar>,
    /// How many batches were taken in.
    batches: u64,
    /// Something was seen that the mark does not say.
    is_fresh: bool,
}

/// A kind of one source.
#[derive(Debug)]
struct Familiar {
    kind: Arc<Kind>,
    count: u32,
    /// When one was looked at closely.
    looked: Timestamp,
    /// The last batch it was in, and where in what was found there.
    batch: u64,
    place: usize,
}

impl Familiar {
    /// Whether this event, received then, is worth a closer look.
    fn is_worth_a_look(&mut self, received: Timestamp) -> bool {
        self.count = self.count.saturating_add(1);
        let is_worth = self.count <= FIRST_LOOKS
            || self.count.is_multiple_of(SAMPLE_EVERY)
            || LOOK_AGAIN_NS <= received.since(self.looked);
        if is_worth {
            self.looked = received;
        }
        is_worth
    }
}

impl Kinds {
    /// The kinds as their mark kept them; none where there is no mark.
    pub fn new(mark: Option<&[u8]>) -> Kinds {
        let kept: Vec<(Kind, Seen)> = mark.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        let seen = kept.into_iter().map(|(kind, seen)| (Arc::new(kind), seen)).collect();
        Kinds { inner: Mutex::new(Inner { seen, ..Inner::default() }), hasher: RandomState::default() }
    }

    /// What the mark is to keep, where it does not say it yet.
    pub fn fresh_mark(&self) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        if !std::mem::take(&mut inner.is_fresh) {
            return None;
        }
        let mut rows: Vec<(&Kind, &Seen)> = inner.seen.iter().map(|(kind, seen)| (&**kind, seen)).collect();
        rows.sort_by(|left, right| left.0.values.cmp(&right.0.values));
        serde_json::to_vec(&rows).ok()
    }

    /// Takes in the events of a batch. Gives back those that are worth a closer look: of each source and kind the first
    /// ones, then one of [`SAMPLE_EVERY`] and one a minute.
    pub fn see<'e>(&self, events: impl Iterator<Item = &'e Event>) -> Vec<&'e Event> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.batches += 1;
        // A batch has many events and few kinds: each is counted here first.
        let mut found: Vec<(Arc<Kind>, Seen)> = Vec::new();
        let mut sample = Vec::new();
        for event in events {
            let hash = self.hash_of(event);
            if FAMILIAR_MAX <= inner.familiar.len() && !inner.familiar.contains_key(&hash) {
                inner.familiar.clear();
            }
            let familiar = inner.familiar.entry(hash).or_insert_with(|| {
                let kind = kind_of(event);
                let kind = inner.seen.get_key_value(&kind).map_or_else(|| Arc::new(kind), |(known, _)| known.clone());
                Familiar { kind, count: 0, looked: event.received, batch: 0, place: 0 }
            });
            if familiar.batch != inner.batches {
                (familiar.batch, familiar.place) = (inner.batches, found.len());
                found.push((familiar.kind.clone(), Seen { newest_ns: i64::MIN, count: 0 }));
            }
            if familiar.is_worth_a_look(event.received) {
                sample.push(event);
            }
            if let Some((_, seen)) = found.get_mut(familiar.place) {
                seen.newest_ns = seen.newest_ns.max(event.received.0);
                seen.count += 1;
            }
        }
        inner.is_fresh |= !found.is_empty();
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
        self.lock().seen.iter().map(|(kind, seen)| ((**kind).clone(), *seen)).collect()
    }

    /// Of the values a kind is made of. Keyed, so that nobody can make two kinds fall together.
    fn hash_of(&self, event: &Event) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let mut add = |field: Field| {
            match event.get(field) {
                // Nearly always one text, or none.
                Some(Value::Text(text)) => add_value(&mut hasher, text.as_bytes()),
                Some(value) => value.each().for_each(|one| match one {
                    Value::Long(number) => {
                        hasher.write_i64(*number);
                        hasher.write_u8(0xff);
                    }
                    one => add_value(&mut hasher, one.as_text().unwrap_or_default().as_bytes()),
                }),
                None => {}
            }
            hasher.write_u8(0xfe);
        };
        FIELDS.into_iter().for_each(&mut add);
        [Field::NHATLE_UNIT, Field::NHATLE_SOURCE].into_iter().chain(event_type()).for_each(&mut add);
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

fn add_value(hasher: &mut impl Hasher, value: &[u8]) {
    hasher.write(value);
    hasher.write_u8(0xff);
}

/// The field of [`EVENT_TYPE`], once an event had it.
fn event_type() -> Option<Field> {
    static FIELD: OnceLock<Field> = OnceLock::new();
    FIELD.get().copied().or_else(|| {
        let field = Field::lookup(EVENT_TYPE)?;
        Some(*FIELD.get_or_init(|| field))
    })
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
    if let Some(value) = event_type().and_then(|field| event.get(field)) {
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
    fn the_first_ones_of_a_kind_are_looked_at_then_some_and_each_after_a_minute() {
        let kinds = Kinds::default();
        let looked = |count: i64, from_ns: i64, step_ns: i64| {
            let events: Vec<Event> = (0..count).map(|at| event("m", "1", from_ns + at * step_ns, "A")).collect();
            events.chunks(10).map(|batch| kinds.see(batch.iter()).len()).sum::<usize>()
        };
        assert_eq!(looked(8, 0, 1), 8, "the first ones");
        assert_eq!(looked(24, 50, 1), 1, "the 32nd");
        assert_eq!(looked(320, 100, 1), 10, "one of 32");
        assert_eq!(looked(5, 10 * LOOK_AGAIN_NS, LOOK_AGAIN_NS), 5, "each that comes a minute after the last");
        assert_eq!(kinds.see([event("m", "1", 15 * LOOK_AGAIN_NS, "B")].iter()).len(), 1, "of another unit");
        assert_eq!(kinds.all().iter().map(|(_, seen)| seen.count).sum::<u64>(), 8 + 24 + 320 + 5 + 1);
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
