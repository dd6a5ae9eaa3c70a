//! What sources send: for each source and kind of event the fields, and the values of those that have few.
//!
//! In: events, not necessarily all of them. A kind is the facts that log-source gates look at. Bounded in every
//! direction a sender could grow: [`SOURCES_MAX`], [`KINDS_MAX`], [`FIELDS_MAX`], [`VALUES_MAX`], and over all
//! [`CELLS_MAX`] fields and [`TEXTS_MAX`] values; past them a kind or field is not taken in, a field counts as one of
//! many values. A source that is still heard is kept: past [`SOURCES_MAX`] a new one takes the place of one not heard
//! for [`IDLE_NS`], or is passed over and counted, which costs one comparison.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use nhatle_event::{Event, Field, Text, Timestamp, Value};

/// How many sources are remembered.
pub const SOURCES_MAX: usize = 2_000;
/// A source not heard for so long gives its place to a new one: ten minutes, by times of receipt.
pub const IDLE_NS: i64 = 600_000_000_000;
/// Of how many it is known at once that they are idle.
const IDLE_MAX: usize = SOURCES_MAX / 16;
/// How many kinds of event of one source.
pub const KINDS_MAX: usize = 256;
/// How many fields of one kind.
pub const FIELDS_MAX: usize = 256;
/// How many values of one field, before it counts as one of many.
pub const VALUES_MAX: usize = 16;
/// How long a value may be; a field with a longer one counts as one of many.
pub const VALUE_BYTES_MAX: usize = 128;
/// How many fields over all sources and kinds.
pub const CELLS_MAX: usize = 200_000;
/// How many values over all of them.
pub const TEXTS_MAX: usize = 400_000;

/// The facts of a kind, but for the program, which only syslog's gates ask for.
const FACTS: [Field; 6] = [
    Field::EVENT_MODULE,
    Field::EVENT_DATASET,
    Field::WINLOG_CHANNEL,
    Field::EVENT_CODE,
    Field::EVENT_CATEGORY,
    Field::HOST_OS_TYPE,
];
const EVENT_TYPE: &str = "winlog.event_data.EventType";

/// The values of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// These, so far.
    Few(Vec<Text>),
    /// More than are kept.
    Many,
}

/// A field of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSeen {
    /// In how many of the events looked at.
    pub count: u64,
    /// What it held.
    pub values: Values,
}

/// A kind of event of a source.
#[derive(Clone, Debug)]
pub struct KindSeen {
    /// An event with the facts of the kind, for gates to look at.
    pub facts: Event,
    /// How many events were looked at.
    pub count: u64,
    /// Their fields.
    pub fields: FieldsSeen,
}

/// Fields, in order. A list with hardly any room to spare: there are [`CELLS_MAX`] of them, and a table for each kind takes three times
/// as much.
#[derive(Clone, Debug, Default)]
pub struct FieldsSeen(Vec<(Field, FieldSeen)>);

impl FieldsSeen {
    /// A field, where it came.
    pub fn get(&self, field: Field) -> Option<&FieldSeen> {
        self.find(field).ok().map(|at| &self.0[at].1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &FieldSeen)> {
        self.0.iter().map(|(field, seen)| (*field, seen))
    }

    fn find(&self, field: Field) -> Result<usize, usize> {
        self.0.binary_search_by_key(&field, |(field, _)| *field)
    }
}

/// A source.
#[derive(Clone, Debug, Default)]
pub struct SourceSeen {
    /// The unit it belongs to.
    pub unit: Option<Text>,
    /// When the newest event was received.
    pub newest: Timestamp,
    kinds: HashMap<u64, KindSeen>,
}

impl SourceSeen {
    /// Its kinds of event, in no order.
    pub fn kinds(&self) -> impl Iterator<Item = &KindSeen> {
        self.kinds.values()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Seen {
    sources: HashMap<Text, Arc<SourceSeen>>,
    /// Those that were idle when this was found out, the longest last.
    idle: Vec<(Timestamp, Text)>,
    /// Received before this, no event finds one that is idle besides.
    full_until: Timestamp,
    hasher: RandomState,
    cells: usize,
    texts: usize,
    passed_over: u64,
    /// How often all sources were gone through for idle ones.
    pub(super) surveys: u64,
}

impl Seen {
    /// Takes one event in.
    pub fn look(&mut self, event: &Event) {
        let name = event.text(Field::NHATLE_SOURCE).unwrap_or_default();
        if SOURCES_MAX <= self.sources.len() && !self.sources.contains_key(name) && !self.make_room(event.received) {
            self.passed_over += 1;
            return;
        }
        let key = self.key(event);
        // Copied only while somebody looks at it.
        let source = Arc::make_mut(self.sources.entry_ref(name).or_default());
        source.newest = source.newest.max(event.received);
        if let Some(unit) = event.text(Field::NHATLE_UNIT)
            && source.unit.as_deref() != Some(unit)
        {
            source.unit = Some(unit.into());
        }
        if !source.kinds.contains_key(&key) && KINDS_MAX <= source.kinds.len() {
            return;
        }
        let field_count = event.fields().len().min(FIELDS_MAX);
        let fields = || FieldsSeen(Vec::with_capacity(field_count));
        let new = || KindSeen { facts: facts_of(event), count: 0, fields: fields() };
        let kind = source.kinds.entry(key).or_insert_with(new);
        kind.count += 1;
        for (field, value) in event.fields() {
            let at = kind.fields.find(*field);
            let fields = &mut kind.fields.0;
            match at {
                Ok(at) => {
                    let seen = &mut fields[at].1;
                    seen.count += 1;
                    add(&mut seen.values, value, &mut self.texts);
                }
                Err(at) if fields.len() < FIELDS_MAX && self.cells < CELLS_MAX => {
                    self.cells += 1;
                    let mut values = Values::Few(Vec::new());
                    add(&mut values, value, &mut self.texts);
                    if fields.len() == fields.capacity() {
                        fields.reserve_exact(1 + fields.len() / 8);
                    }
                    fields.insert(at, (*field, FieldSeen { count: 1, values }));
                }
                Err(_) => {}
            }
        }
    }

    /// The sources with their names, in order of name.
    pub fn sources(&self) -> Vec<(Text, Arc<SourceSeen>)> {
        let mut sources: Vec<_> = self.sources.iter().map(|(name, source)| (name.clone(), source.clone())).collect();
        sources.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        sources
    }

    /// One source.
    pub fn source(&self, name: &str) -> Option<Arc<SourceSeen>> {
        self.sources.get(name).cloned()
    }

    /// How many fields and values are held, for the gauges.
    pub fn size(&self) -> (usize, usize) {
        (self.cells, self.texts)
    }

    /// How many events of new sources were passed over for want of room.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Lets the source go that was not heard for longest, if it is idle by this time of receipt. Says whether there is
    /// room.
    fn make_room(&mut self, received: Timestamp) -> bool {
        loop {
            while let Some((newest, name)) = self.idle.pop() {
                // One that was heard since is not idle any more.
                if self.sources.get(&name).is_some_and(|source| source.newest == newest) {
                    self.let_go(&name);
                    return true;
                }
            }
            if received < self.full_until {
                return false;
            }
            self.find_idle(received);
            if self.idle.is_empty() {
                return false;
            }
        }
    }

    fn let_go(&mut self, name: &str) {
        let Some(gone) = self.sources.remove(name) else { return };
        for field in gone.kinds.values().flat_map(|kind| &kind.fields.0) {
            self.cells -= 1;
            if let Values::Few(texts) = &field.1.values {
                self.texts -= texts.len();
            }
        }
    }

    /// Finds sources that are idle by this time of receipt, some at once, and until when there are no others.
    fn find_idle(&mut self, received: Timestamp) {
        self.surveys += 1;
        let border = received.plus_nanos(-IDLE_NS);
        let heard = self.sources.values().map(|source| source.newest).filter(|newest| border < *newest);
        self.full_until = heard.min().map_or(received, |oldest| oldest.plus_nanos(IDLE_NS));
        let idle = self.sources.iter().filter(|(_, source)| source.newest <= border);
        let mut idle: Vec<(Timestamp, &Text)> = idle.map(|(name, source)| (source.newest, name)).collect();
        if IDLE_MAX < idle.len() {
            idle.select_nth_unstable(IDLE_MAX);
            idle.truncate(IDLE_MAX);
            self.full_until = received;
        }
        idle.sort_unstable_by(|left, right| right.cmp(left));
        self.idle = idle.into_iter().map(|(newest, name)| (newest, name.clone())).collect();
    }

    /// Of the facts. Keyed, so that nobody can make two kinds fall together.
    fn key(&self, event: &Event) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for field in kind_fields(event) {
            for text in event.get(field).into_iter().flat_map(Value::each).filter_map(Value::as_text) {
                hasher.write(text.as_bytes());
                hasher.write_u8(0xff);
            }
            hasher.write_u8(0xfe);
        }
        hasher.finish()
    }
}

/// The fields that make an event's kind. A Windows event's program is its subject, not its kind.
fn kind_fields(event: &Event) -> impl Iterator<Item = Field> {
    let is_windows = event.get(Field::WINLOG_CHANNEL).is_some();
    let program = (!is_windows).then_some(Field::PROCESS_NAME);
    let event_type = is_windows.then(|| Field::lookup(EVENT_TYPE)).flatten();
    FACTS.into_iter().chain(program).chain(event_type)
}

fn facts_of(event: &Event) -> Event {
    let mut facts = Event::with_capacity(Timestamp::default(), *b"", 0);
    for field in kind_fields(event) {
        if let Some(value) = event.get(field) {
            facts.set(field, value.clone());
        }
    }
    facts.fit();
    facts
}

fn add(values: &mut Values, value: &Value, texts: &mut usize) {
    let Values::Few(known) = values else { return };
    for value in value.each() {
        let owned;
        let text = match value {
            Value::Text(text) => text,
            other => match other.to_text() {
                Some(text) => {
                    owned = text;
                    &owned
                }
                None => continue,
            },
        };
        if known.contains(text) {
            continue;
        }
        if VALUES_MAX <= known.len() || VALUE_BYTES_MAX < text.len() || TEXTS_MAX <= *texts {
            *texts -= known.len();
            *values = Values::Many;
            return;
        }
        // Most fields of a kind have one value.
        if known.len() == known.capacity() {
            known.reserve_exact(known.len().max(1));
        }
        known.push(text.clone());
        *texts += 1;
    }
}
