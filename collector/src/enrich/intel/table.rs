//! The indicators in force, laid out for looking up: what an event holds that one of them names.
//!
//! In: lists of indicators, and what never matches. Out: [`Indicators`], never changed; [`Indicators::find`] gives the
//! hits of an event, [`Indicators::enrich`] writes them into it as ECS `threat.*`. Values stand one behind the other in
//! one text, a hash table holds their places, ranges of addresses are a [`PrefixMap`]: some 60 bytes an indicator.
//! Domains match with everything below them. What a hit is must be in force at the moment asked for. Total: no event
//! fails here. Addresses that are not public are never looked up, so a list cannot ring for the city's own networks.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashSet;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use nhatle_event::{Event, Field, Text, Timestamp, Value};

use super::fields::{FIELDS, Holds, PLACES};
use super::{Indicator, Kind, Note, domain};

use crate::enrich::prefix::PrefixMap;
use crate::enrich::{Cidr, is_public};

/// How many indicators may be in force.
pub const TABLE_MAX: usize = 8_000_000;
/// How many lists may be in force.
pub const LISTS_MAX: usize = 1_000;
/// How many hits one event is told.
pub const HITS_MAX: usize = 16;
/// How many labels of a name are cut off at most.
const PARENTS_MAX: usize = 16;
/// Confidence of an indicator about which neither its source nor its list says anything.
pub const CONFIDENCE_DEFAULT: u8 = 50;
/// The list of values by which anybody can try the whole way, rules included.
pub const TEST_LIST: &str = "nhatle.test";

/// What is said of a list as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListInfo {
    /// Its name.
    pub name: Text,
    /// When those of its indicators end that say no end themselves.
    pub until: Option<Timestamp>,
    /// Confidence of those that say none.
    pub confidence: Option<u8>,
}

/// Values that never match, whatever lists say: the city's own, and what everybody uses.
#[derive(Debug, Default)]
pub struct Never {
    ranges: PrefixMap,
    domains: HashSet<Text>,
}

impl Never {
    /// Of addresses, ranges and domains (with everything below them).
    ///
    /// # Errors
    /// The texts that are neither.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<Never, Vec<String>> {
        let (mut ranges, mut domains, mut wrong) = (Vec::new(), HashSet::default(), Vec::new());
        for text in texts {
            match (text.parse::<Cidr>(), domain::normal(text.trim_start_matches("*."))) {
                (Ok(range), _) => ranges.push((range, 0)),
                (_, Some(name)) => drop(domains.insert(name)),
                _ => wrong.push(text.clone()),
            }
        }
        if wrong.is_empty() { Ok(Never { ranges: PrefixMap::new(ranges), domains }) } else { Err(wrong) }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.ranges.find(address).next().is_some()
    }

    fn has_domain(&self, name: &str) -> bool {
        !self.domains.is_empty() && domain::with_parents(name).take(PARENTS_MAX).any(|name| self.domains.contains(name))
    }
}

/// An indicator in 28 bytes; moments are seconds since 1970, 0 = none.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u32,
    len: u16,
    list: u16,
    note: u32,
    first_seen_s: u32,
    until_s: u32,
    confidence: u8,
    is_default: bool,
    kind: Kind,
}

/// See the module.
pub struct Indicators {
    lists: Vec<ListInfo>,
    hits: Vec<AtomicU64>,
    texts: String,
    entries: Vec<Entry>,
    notes: Vec<Note>,
    by_text: HashTable<u32>,
    /// Hashes of the hosts of all URLs: of most URLs in events the host alone says that nobody named them.
    url_hosts: HashSet<u64>,
    hasher: RandomState,
    ranges: PrefixMap,
    never: Never,
}

impl std::fmt::Debug for Indicators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indicators").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Default for Indicators {
    fn default() -> Indicators {
        Indicators::new(std::iter::empty::<(ListInfo, std::iter::Empty<Indicator>)>(), Never::default())
    }
}

/// What an event holds that an indicator names.
#[derive(Clone, Debug)]
pub struct Hit {
    entry: u32,
    /// Where it stands.
    pub field: Field,
    /// What stands there.
    pub value: Text,
}

/// Values of the documentation's networks and of `.invalid`, one for each kind and confidence, that nobody else has.
fn test_indicators() -> impl Iterator<Item = Indicator> {
    let grades = [("high", 90u8), ("medium", 50), ("low", 10)];
    (1..).zip(grades).flat_map(|(number, (word, confidence))| {
        let values = [
            (Kind::Ip, format!("2001:db8:ca9a::{number}")),
            (Kind::Domain, format!("domain-{word}.nhatle.invalid")),
            (Kind::Url, format!("url-{word}.nhatle.invalid/test")),
            (Kind::File, format!("{:0>32}", format!("ca9a000{number}"))),
            (Kind::Email, format!("email-{word}@nhatle.invalid")),
        ];
        values.into_iter().map(move |(kind, value)| Indicator {
            kind,
            value: Text::from(value),
            confidence: Some(confidence),
            first_seen: None,
            until: None,
            note: Note { tags: Text::from("test"), ..Note::default() },
        })
    })
}

impl Indicators {
    /// The table of these lists, and of the [`TEST_LIST`]. Past [`TABLE_MAX`] indicators or [`LISTS_MAX`] lists the rest
    /// is left out.
    pub fn new<I: Iterator<Item = Indicator>>(
        lists: impl IntoIterator<Item = (ListInfo, I)>,
        never: Never,
    ) -> Indicators {
        let mut table = Indicators {
            lists: Vec::new(),
            hits: Vec::new(),
            texts: String::new(),
            entries: Vec::new(),
            notes: vec![Note::default()],
            by_text: HashTable::new(),
            url_hosts: HashSet::default(),
            hasher: RandomState::default(),
            ranges: PrefixMap::default(),
            never,
        };
        let mut notes = foldhash::HashMap::default();
        let mut ranges = Vec::new();
        let test = ListInfo { name: Text::from(TEST_LIST), ..ListInfo::default() };
        table.add(test, test_indicators(), &mut notes, &mut ranges);
        for (info, indicators) in lists.into_iter().take(LISTS_MAX) {
            table.add(info, indicators, &mut notes, &mut ranges);
        }
        table.ranges = PrefixMap::new(ranges);
        table.entries.shrink_to_fit();
        table.texts.shrink_to_fit();
        table
    }

    fn add(
        &mut self,
        info: ListInfo,
        indicators: impl Iterator<Item = Indicator>,
        notes: &mut foldhash::HashMap<Note, u32>,
        ranges: &mut Vec<(Cidr, u32)>,
    ) {
        let list = u16::try_from(self.lists.len()).unwrap_or(u16::MAX);
        for one in indicators {
            let (Ok(at), Ok(number)) = (u32::try_from(self.texts.len()), u32::try_from(self.entries.len())) else {
                break;
            };
            if TABLE_MAX <= self.entries.len() {
                break;
            }
            let note = match one.note == Note::default() {
                true => 0,
                false => *notes.entry(one.note).or_insert_with_key(|note| {
                    self.notes.push(note.clone());
                    u32::try_from(self.notes.len() - 1).unwrap_or(0)
                }),
            };
            let until = one.until.or(info.until);
            self.entries.push(Entry {
                at,
                len: u16::try_from(one.value.len()).unwrap_or(0),
                list,
                note,
                first_seen_s: one.first_seen.map_or(0, seconds),
                until_s: until.map_or(0, |until| seconds(until).max(1)),
                confidence: one.confidence.or(info.confidence).unwrap_or(CONFIDENCE_DEFAULT),
                is_default: one.confidence.is_none() && info.confidence.is_none(),
                kind: one.kind,
            });
            self.texts.push_str(&one.value);
            if one.kind == Kind::Ip {
                ranges.extend(one.value.parse::<Cidr>().ok().map(|range| (range, number)));
                continue;
            }
            if one.kind == Kind::Url {
                self.url_hosts.insert(hash(&self.hasher, Kind::Url, super::UrlParts::of(&one.value).bare));
            }
            let hash = hash(&self.hasher, one.kind, &one.value);
            let (texts, entries, hasher) = (&self.texts, &self.entries, &self.hasher);
            let hash_of = |at: &u32| entries.get(*at as usize).map_or(0, |entry| hash_entry(hasher, texts, entry));
            self.by_text.insert_unique(hash, number, hash_of);
        }
        self.lists.push(info);
        self.hits.push(AtomicU64::new(0));
    }

    /// How many indicators there are, those of the [`TEST_LIST`] among them.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none but those of the [`TEST_LIST`].
    pub fn is_empty(&self) -> bool {
        self.lists.len() <= 1
    }

    /// Bytes held, counted.
    pub fn bytes(&self) -> usize {
        let notes: usize =
            self.notes.iter().map(|note| note.tags.len() + note.reference.len() + size_of::<Note>()).sum();
        self.texts.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.by_text.allocation_size()
            // A number and a control byte for each place.
            + self.url_hosts.capacity() * 9
            + self.ranges.bytes()
            + notes
    }

    /// How many hits each list had since the table was made, by name.
    pub fn hits(&self) -> impl Iterator<Item = (&str, u64)> {
        self.lists.iter().zip(&self.hits).map(|(list, hits)| (list.name.as_str(), hits.load(Ordering::Relaxed)))
    }

    fn text(&self, entry: &Entry) -> &str {
        let at = usize::try_from(entry.at).unwrap_or(usize::MAX);
        self.texts.get(at..at.saturating_add(usize::from(entry.len))).unwrap_or_default()
    }

    /// The indicators of this very value, in force or not.
    fn of_text<'a>(&'a self, kind: Kind, value: &'a str) -> impl Iterator<Item = u32> + 'a {
        let found = self.by_text.iter_hash(hash(&self.hasher, kind, value)).copied();
        found.filter(move |at| {
            self.entries.get(*at as usize).is_some_and(|entry| entry.kind == kind && self.text(entry) == value)
        })
    }

    fn is_in_force(&self, entry: u32, at_s: u32) -> bool {
        self.entries.get(entry as usize).is_some_and(|entry| entry.until_s == 0 || at_s < entry.until_s)
    }

    /// What the event holds that is named by an indicator in force at this moment; at most [`HITS_MAX`].
    pub fn find(&self, event: &Event, at: Timestamp) -> Vec<Hit> {
        let mut finding = Finding { table: self, at_s: seconds(at), hits: Vec::new() };
        // Which of the fields the event has, in one pass over it; looked at in their own order.
        let (places, mut present) = (&*PLACES, 0u64);
        for (field, _) in event.fields() {
            present |= places.get(field.index()).copied().unwrap_or(0);
        }
        while let Some((holds, field)) = FIELDS.get(present.trailing_zeros() as usize) {
            present &= present - 1;
            let Some(value) = event.get(*field) else { continue };
            for one in value.each() {
                finding.look(*holds, *field, one, event);
            }
        }
        finding.hits
    }

    /// Whether a value of one of these fields may be an indicator: what a search through stored terms asks. Says yes
    /// too often rather than too seldom.
    pub fn may_name(&self, text: &str) -> bool {
        if let Ok(address) = text.trim().parse::<IpAddr>() {
            return self.ranges.find(address).next().is_some();
        }
        let lower = text.trim().to_lowercase();
        let is_domain = domain::normal(&lower).is_some_and(|name| {
            domain::with_parents(&name).take(PARENTS_MAX).any(|name| self.of_text(Kind::Domain, name).next().is_some())
        });
        let is_mail = || super::email(&lower).is_some_and(|mail| self.of_text(Kind::Email, &mail).next().is_some());
        is_domain || is_mail() || self.of_text(Kind::File, &lower).next().is_some()
    }

    /// Writes the hits of an event into it; returns how many there are. Fields of the surest indicator stand alone,
    /// those of the match are lists in the same order.
    pub fn enrich(&self, event: &mut Event, at: Timestamp) -> usize {
        let hits = self.find(event, at);
        if hits.is_empty() {
            return 0;
        }
        self.write(event, &hits);
        hits.len()
    }

    fn write(&self, event: &mut Event, hits: &[Hit]) {
        let entry = |hit: &Hit| self.entries.get(hit.entry as usize).copied();
        let list = |entry: &Entry| self.lists.get(usize::from(entry.list)).map_or("", |list| &list.name);
        let mut hits: Vec<(&Hit, Entry)> = hits.iter().filter_map(|hit| Some((hit, entry(hit)?))).collect();
        // The surest one first, then the first list; the rest in the order of fields.
        hits.sort_by_key(|(_, entry)| (std::cmp::Reverse(entry.confidence), entry.list));
        let Some((hit, first)) = hits.first().copied() else { return };
        let value = self.text(&first);
        event.set(Field::THREAT_INDICATOR_TYPE, type_of(first.kind, value));
        event.set(Field::THREAT_INDICATOR_NAME, value);
        event.set(Field::THREAT_INDICATOR_CONFIDENCE, word_of(&first));
        if first.first_seen_s != 0 {
            event.set(Field::THREAT_INDICATOR_FIRST_SEEN, Timestamp::from_seconds(i64::from(first.first_seen_s)));
        }
        if let Some(note) = self.notes.get(usize::try_from(first.note).unwrap_or(0)) {
            let rows = [
                (Field::THREAT_INDICATOR_DESCRIPTION, &note.tags),
                (Field::THREAT_INDICATOR_REFERENCE, &note.reference),
                (Field::THREAT_INDICATOR_MARKING_TLP, &note.tlp),
            ];
            rows.into_iter()
                .filter(|(_, text)| !text.is_empty())
                .for_each(|(field, text)| event.set(field, text.clone()));
        }
        event.set(Field::THREAT_FEED_NAME, list(&first));
        event.set(Field::THREAT_ENRICHMENTS_MATCHED_ATOMIC, hit.value.clone());
        event.set(Field::THREAT_ENRICHMENTS_MATCHED_FIELD, hit.field.name());
        event.set(Field::THREAT_ENRICHMENTS_MATCHED_TYPE, "indicator_match_rule");
        event.remove(Field::NHATLE_INDICATOR_LIST);
        for (hit, one) in &hits {
            event.add(Field::NHATLE_INDICATOR_LIST, list(one));
            event.add(Field::THREAT_ENRICHMENTS_MATCHED_ATOMIC, hit.value.clone());
            event.add(Field::THREAT_ENRICHMENTS_MATCHED_FIELD, hit.field.name());
            if let Some(hits) = self.hits.get(usize::from(one.list)) {
                hits.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// One look through an event.
struct Finding<'a> {
    table: &'a Indicators,
    at_s: u32,
    hits: Vec<Hit>,
}

impl Finding<'_> {
    fn look(&mut self, holds: Holds, field: Field, value: &Value, event: &Event) {
        let text = |value: &Value| value.to_text();
        match holds {
            Holds::Address => {
                if let Some(address) = value.as_ip() {
                    self.address(field, address);
                }
            }
            Holds::Domain => {
                if let Some(text) = text(value) {
                    self.host(field, &text);
                }
            }
            Holds::Hash => {
                if let Some(hash) = value.text().and_then(super::hash) {
                    self.texts(Kind::File, field, &hash, &hash);
                }
            }
            Holds::Email => {
                if let Some(mail) =
                    value.text().filter(|text| text.len() <= super::VALUE_BYTES_MAX).and_then(super::email)
                {
                    self.texts(Kind::Email, field, &mail, &mail);
                }
            }
            Holds::Url => {
                if let Some(text) = value.text().filter(|text| text.len() <= super::VALUE_BYTES_MAX) {
                    self.url(field, text, event);
                }
            }
        }
    }

    fn hit(&mut self, entry: u32, field: Field, value: &str) {
        let is_known = self.hits.iter().any(|hit| hit.entry == entry && hit.value == value);
        if self.hits.len() < HITS_MAX && !is_known && self.table.is_in_force(entry, self.at_s) {
            self.hits.push(Hit { entry, field, value: Text::from(value) });
        }
    }

    fn address(&mut self, field: Field, address: IpAddr) {
        let address = address.to_canonical();
        if !is_public(address) {
            return;
        }
        let table = self.table;
        let mut found = table.ranges.find(address).peekable();
        if found.peek().is_none() || table.never.has_address(address) {
            return;
        }
        let value = address.to_string();
        found.for_each(|entry| self.hit(entry, field, &value));
    }

    fn host(&mut self, field: Field, text: &str) {
        let text = text.trim();
        if text.len() > domain::NAME_BYTES_MAX * 4 {
            return;
        }
        let bare = text.trim_matches(['[', ']']);
        let is_number = bare.as_bytes().last().is_some_and(u8::is_ascii_digit) || bare.contains(':');
        if is_number && let Ok(address) = bare.parse::<IpAddr>() {
            return self.address(field, address);
        }
        let Some(name) = domain::normal(text) else { return };
        self.domain(field, &name);
    }

    fn domain(&mut self, field: Field, name: &str) {
        let table = self.table;
        let mut is_asked = false;
        for parent in domain::with_parents(name).take(PARENTS_MAX) {
            for entry in table.of_text(Kind::Domain, parent) {
                if !std::mem::replace(&mut is_asked, true) && table.never.has_domain(name) {
                    return;
                }
                self.hit(entry, field, name);
            }
        }
    }

    fn texts(&mut self, kind: Kind, field: Field, value: &str, shown: &str) {
        let table = self.table;
        table.of_text(kind, value).for_each(|entry| self.hit(entry, field, shown));
    }

    /// A URL whole, and without what follows the question mark; its host where the event names it nowhere else.
    fn url(&mut self, field: Field, text: &str, event: &Event) {
        let known_host =
            || event.get(Field::URL_DOMAIN).or_else(|| event.get(Field::DESTINATION_DOMAIN)).and_then(Value::to_text);
        let path_of = if text.starts_with('/') { known_host() } else { None };
        let front = match &path_of {
            Some(host) => host.as_str(),
            None if !text.starts_with('/') && text.contains("://") => text,
            None => return,
        };
        let Some(host) = super::url_host(front) else { return };
        let is_host_named = self.table.url_hosts.contains(&hash(&self.table.hasher, Kind::Url, &host));
        if is_host_named && !self.table.never.has_domain(&host) {
            let whole = if path_of.is_some() { super::url(&format!("{front}{text}")) } else { super::url(text) };
            let Ok(url) = whole else { return };
            self.texts(Kind::Url, field, &url, text);
            if let Some((bare, _)) = url.split_once('?') {
                self.texts(Kind::Url, field, bare, text);
            }
        }
        if event.get(Field::URL_DOMAIN).is_none() {
            self.host(field, &host);
        }
    }
}

fn hash(hasher: &RandomState, kind: Kind, text: &str) -> u64 {
    let mut state = hasher.build_hasher();
    kind.hash(&mut state);
    state.write(text.as_bytes());
    state.finish()
}

fn hash_entry(hasher: &RandomState, texts: &str, entry: &Entry) -> u64 {
    let at = usize::try_from(entry.at).unwrap_or(usize::MAX);
    hash(hasher, entry.kind, texts.get(at..at.saturating_add(usize::from(entry.len))).unwrap_or_default())
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.0.div_euclid(1_000_000_000).max(0)).unwrap_or(u32::MAX)
}

/// The words of ECS `threat.indicator.type`.
fn type_of(kind: Kind, value: &str) -> &'static str {
    match kind {
        Kind::Ip if value.contains(':') => "ipv6-addr",
        Kind::Ip => "ipv4-addr",
        Kind::Domain => "domain-name",
        Kind::Url => "url",
        Kind::File => "file",
        Kind::Email => "email-addr",
    }
}

/// The words of ECS `threat.indicator.confidence`, by the scale of STIX 2.1 appendix A.
fn word_of(entry: &Entry) -> &'static str {
    match entry.confidence {
        _ if entry.is_default => "Not Specified",
        0 => "None",
        1..30 => "Low",
        30..70 => "Medium",
        _ => "High",
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
