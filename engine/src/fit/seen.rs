//! What sources send: for each source and kind of event the fields, and the values of those that have few.
//!
//! In: events, not necessarily all of them. A kind is the facts that log-source gates look at. Bounded in every
//! direction a sender could grow: [`SOURCES_MAX`], [`KINDS_MAX`], [`FIELDS_MAX`], [`VALUES_MAX`], and over all
//! [`CELLS_MAX`] fields and [`TEXTS_MAX`] values; past them the source not heard of for longest goes, a kind or field
//! is not taken in, a field counts as one of many values.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use nhatle_event::{Event, Field, Text, Timestamp, Value};

/// How many sources are remembered.
pub const SOURCES_MAX: usize = 2_000;
/// Of how many it is known at once that they were not heard of for longest.
const OLDEST_MAX: usize = SOURCES_MAX / 16;
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
    pub fields: HashMap<Field, FieldSeen>,
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
    /// Those not heard of for longest when this was found out, the longest last.
    oldest: Vec<(Timestamp, Text)>,
    hasher: RandomState,
    cells: usize,
    texts: usize,
}

impl Seen {
    /// Takes one event in.
    pub fn look(&mut self, event: &Event) {
        let name = event.text(Field::NHATLE_SOURCE).unwrap_or_default();
        if !self.sources.contains_key(name) && SOURCES_MAX <= self.sources.len() {
            self.let_oldest_go();
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
        let new = || KindSeen { facts: facts_of(event), count: 0, fields: HashMap::new() };
        let kind = source.kinds.entry(key).or_insert_with(new);
        kind.count += 1;
        for (field, value) in event.fields() {
            if !kind.fields.contains_key(field) {
                if FIELDS_MAX <= kind.fields.len() || CELLS_MAX <= self.cells {
                    continue;
                }
                self.cells += 1;
                kind.fields.insert(*field, FieldSeen { count: 0, values: Values::Few(Vec::new()) });
            }
            if let Some(seen) = kind.fields.get_mut(field) {
                seen.count += 1;
                add(&mut seen.values, value, &mut self.texts);
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

    fn let_oldest_go(&mut self) {
        let gone = loop {
            match self.oldest.pop() {
                // One that was heard of since is among the oldest no more.
                Some((newest, name)) if self.sources.get(&name).is_some_and(|source| source.newest == newest) => {
                    break self.sources.remove(&name);
                }
                Some(_) => {}
                None if self.sources.is_empty() => return,
                None => self.oldest = self.find_oldest(),
            }
        };
        let Some(gone) = gone else { return };
        for field in gone.kinds.values().flat_map(|kind| kind.fields.values()) {
            self.cells -= 1;
            if let Values::Few(texts) = &field.values {
                self.texts -= texts.len();
            }
        }
    }

    /// The sources not heard of for longest, some at once: where more of them send than there is room for, one goes for
    /// nearly each event.
    fn find_oldest(&self) -> Vec<(Timestamp, Text)> {
        let mut all: Vec<(Timestamp, &Text)> =
            self.sources.iter().map(|(name, source)| (source.newest, name)).collect();
        if OLDEST_MAX < all.len() {
            all.select_nth_unstable(OLDEST_MAX);
            all.truncate(OLDEST_MAX);
        }
        all.sort_unstable_by(|left, right| right.cmp(left));
        all.into_iter().map(|(newest, name)| (newest, name.clone())).collect()
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
    let mut facts = Event::new(Timestamp::default(), *b"");
    for field in kind_fields(event) {
        if let Some(value) = event.get(field) {
            facts.set(field, value.clone());
        }
    }
    facts
}

fn add(values: &mut Values, value: &Value, texts: &mut usize) {
    let Values::Few(known) = values else { return };
    for text in value.each().filter_map(Value::as_text) {
        if known.iter().any(|one| *one == *text) {
            continue;
        }
        if VALUES_MAX <= known.len() || VALUE_BYTES_MAX < text.len() || TEXTS_MAX <= *texts {
            *texts -= known.len();
            *values = Values::Many;
            return;
        }
        known.push(Text::from(&*text));
        *texts += 1;
    }
}
