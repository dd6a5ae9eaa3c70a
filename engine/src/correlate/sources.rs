//! From what happened to what counts: the matches of an event, and the firings of inner correlations, become
//! parts of hits in groups of a correlation.
//!
//! In: a match with its event, or a firing. Out: the key of its group, and what it counts for. A firing has the
//! values of its own group; what an outer correlation asks for beyond them is taken from the event that
//! completes it, when that event arrives, and carried along ([`Carried`]), so that a firing means the same
//! whenever it is found.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;
use nhatle_event::{Event, Field, Text, Value};
use nhatle_rules::predicate::RuleField;
use nhatle_rules::{CorrelationKind, GroupBy, Referred, RuleSet, Scope};

use super::condition::bit;
use super::group::Carried;
use super::scope;
use super::units::Units;
use super::window::{Weight, weight_of};
use crate::local::Names;

/// Finds the value of a field name in events; remembers which field answers to it, and how well.
#[derive(Clone, Debug)]
pub struct Finder {
    name: RuleField,
    /// By number of the field: 0 not known yet, 1 does not answer, else two more than the rank.
    ranks: Vec<u16>,
    /// Where it stood last: events of a source are alike.
    place: usize,
}

/// The rank of a field that no other can beat.
const BEST: u16 = 2;

impl Finder {
    fn new(name: &RuleField) -> Finder {
        Finder { name: name.clone(), ranks: Vec::new(), place: 0 }
    }

    /// That of the best field the event has.
    pub fn find<'e>(&mut self, event: &'e Event) -> Option<&'e Value> {
        let fields = event.fields();
        if let Some((field, value)) = fields.get(self.place)
            && self.ranks.get(field.index()) == Some(&BEST)
        {
            return Some(value);
        }
        let mut best = (u16::MAX, None);
        for (place, (field, value)) in fields.iter().enumerate() {
            let known = self.ranks.get(field.index()).copied().unwrap_or(0);
            let rank = if known == 0 { self.learn(*field) } else { known };
            if 1 < rank && rank < best.0 {
                best = (rank, Some(value));
                self.place = place;
            }
        }
        best.1
    }

    fn learn(&mut self, field: Field) -> u16 {
        let rank = self
            .name
            .rank(field)
            .map_or(1, |rank| u16::try_from(rank).unwrap_or(u16::MAX).saturating_add(BEST).min(u16::MAX - 1));
        if self.ranks.len() <= field.index() {
            self.ranks.resize(field.index() + 1, 0);
        }
        self.ranks[field.index()] = rank;
        rank
    }
}

/// Where a correlation finds a value, for one of what it refers to.
#[derive(Clone, Debug)]
enum Pick {
    /// In the event.
    Event(Finder),
    /// At this place of the firing's group, which has so many values.
    Group(usize, usize),
    /// At this place of what the firing carries.
    Carried(usize),
}

/// How a correlation makes hits.
#[derive(Clone, Debug)]
pub struct Picks {
    /// By entry of `group-by`, then by place in `referred`.
    group_by: Vec<Vec<Pick>>,
    /// What those values name, in the same order.
    names: Vec<Vec<Names>>,
    /// By place: where what a firing carries has the unit of its event.
    units: Vec<Option<usize>>,
    scope: Scope,
    /// The same for the fields of the condition.
    values: Vec<Vec<Pick>>,
    counts: Counts,
    /// The firings of this correlation must carry values.
    pub is_carrying: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Itself,
    Values,
    Rule,
    Number,
}

/// What the picks of all correlations share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    carried: Vec<Finder>,
    text: String,
    /// Seed of the hash of values.
    pub seed: u64,
    /// Of the hits.
    pub units: Units,
}

/// Something a correlation refers to, as it happened.
#[derive(Clone, Copy)]
pub enum Happened<'a> {
    /// The event itself matched; its organization unit.
    Event(&'a Event, Option<&'a str>),
    /// An inner correlation fired: key of its group, and what it carries.
    Inner(&'a str, Option<&'a Carried>),
}

/// The picks of a whole rule set.
pub fn picks(rules: &RuleSet, seed: u64) -> (Vec<Picks>, Shared) {
    let mut fields: Vec<RuleField> = Vec::new();
    let names = scope::names(rules);
    let numbers = 0..rules.correlations.len();
    let mut all: Vec<Picks> = numbers.map(|number| Picks::new(rules, number, &names, &mut fields)).collect();
    // Who is referred to by one that needs carried values, or carries itself, carries.
    for (number, correlation) in rules.correlations.iter().enumerate().rev() {
        for (place, referred) in correlation.referred.iter().enumerate() {
            let needs = |picks: &Picks| picks.is_carrying || picks.asks_carried(place);
            if let Referred::Correlation(inner) = referred
                && all.get(number).is_some_and(needs)
                && let Some(inner) = all.get_mut(inner.0 as usize)
            {
                inner.is_carrying = true;
            }
        }
    }
    (
        all,
        Shared {
            carried: fields.iter().map(Finder::new).collect(),
            text: String::new(),
            seed,
            units: Units::default(),
        },
    )
}

impl Picks {
    fn new(rules: &RuleSet, number: usize, names: &[Vec<Vec<Names>>], carried: &mut Vec<RuleField>) -> Picks {
        let correlation = &rules.correlations[number];
        let (counts, entries): (_, &[GroupBy]) = match &correlation.kind {
            CorrelationKind::EventCount(_) => (Counts::Itself, &[]),
            CorrelationKind::ValueCount(_, entries) => (Counts::Values, entries),
            CorrelationKind::Temporal(_)
            | CorrelationKind::TemporalOrdered(_)
            | CorrelationKind::Extended(_)
            | CorrelationKind::ExtendedOrdered(_) => (Counts::Rule, &[]),
            CorrelationKind::ValueSum(_, entry)
            | CorrelationKind::ValueAvg(_, entry)
            | CorrelationKind::ValuePercentile(_, entry, _)
            | CorrelationKind::ValueMedian(_, entry) => (Counts::Number, std::slice::from_ref(entry)),
        };
        let mut pick = |entry: &GroupBy| -> Vec<Pick> {
            let referred = correlation.referred.iter().zip(&entry.fields);
            referred.map(|(referred, field)| pick_of(entry, field, *referred, rules, carried)).collect()
        };
        let group_by: Vec<Vec<Pick>> = correlation.group_by.iter().map(&mut pick).collect();
        let values = entries.iter().map(&mut pick).collect();
        let is_carried = |place: usize| group_by.iter().any(|entry| matches!(entry.get(place), Some(Pick::Carried(_))));
        let unit = |(place, referred): (usize, &Referred)| {
            let is_asked = scope::asks_unit(rules, correlation, *referred, names) || {
                scope::of(correlation) == Scope::Values && is_carried(place)
            };
            is_asked.then(|| carried_place(&unit_field(), carried))
        };
        let units = correlation.referred.iter().enumerate().map(unit).collect();
        let (names, scope) = (names[number].clone(), scope::of(correlation));
        Picks { names, units, scope, values, counts, group_by, is_carrying: false }
    }

    fn asks_carried(&self, place: usize) -> bool {
        let entries = self.group_by.iter().chain(&self.values);
        let is_carried = |pick: &Pick| matches!(pick, Pick::Carried(_));
        self.units.get(place).is_some_and(Option::is_some)
            || entries.filter_map(|entry| entry.get(place)).any(is_carried)
    }

    /// Writes the key of the group into `key`; false where a field is missing. One value is the key itself,
    /// several stand behind their lengths, so that no value can be made to look like two. The unit stands before them
    /// where the group is of one.
    pub fn key(&mut self, happened: Happened<'_>, place: usize, key: &mut String) -> bool {
        key.clear();
        let count = self.group_by.len();
        let carried = self.units.get(place).copied().flatten();
        let unit = if self.scope == Scope::City { None } else { unit_of(happened, carried) };
        let length = unit.map_or(0, |unit| scope::begin(key, unit));
        let mut is_city = unit.is_none() || self.scope == Scope::Values;
        for (entry, names) in self.group_by.iter_mut().zip(&self.names) {
            let value = entry.get_mut(place).and_then(|pick| value_of(pick, happened));
            let Some(value) = value else { return false };
            is_city = is_city && (length == 0 || !names.get(place).is_some_and(|names| names.is_local(&value)));
            write_value(&value, count, key);
        }
        if is_city {
            scope::take_off(key, length);
        }
        true
    }

    /// What it counts for, or `None` where a field is missing or is no number.
    pub fn weight(&mut self, happened: Happened<'_>, place: usize, shared: &mut Shared) -> Option<Weight> {
        match self.counts {
            Counts::Itself => Some(0),
            Counts::Rule => Some(bit(place)),
            Counts::Values => {
                shared.text.clear();
                let count = self.values.len();
                for entry in &mut self.values {
                    let value = value_of(entry.get_mut(place)?, happened)?;
                    write_value(&value, count, &mut shared.text);
                }
                Some(hash_of(&shared.text, shared.seed))
            }
            Counts::Number => {
                let value = value_of(self.values.first_mut()?.get_mut(place)?, happened)?;
                crate::matching::number_of(&value).map(weight_of)
            }
        }
    }
}

impl Shared {
    /// What an event has of the values that outer correlations may ask for.
    pub fn carried(&mut self, event: &Event) -> Carried {
        let text = |finder: &mut Finder| finder.find(event).and_then(first_text).map(|text| Text::from(&*text));
        Arc::from_iter(self.carried.iter_mut().map(text))
    }
}

fn pick_of(
    entry: &GroupBy,
    field: &RuleField,
    referred: Referred,
    rules: &RuleSet,
    carried: &mut Vec<RuleField>,
) -> Pick {
    if !matches!(referred, Referred::Correlation(_)) {
        return Pick::Event(Finder::new(field));
    }
    match scope::inner_place(rules, referred, &entry.name, &field.name) {
        Some((inner, place)) => Pick::Group(place, rules.correlations[inner].group_by.len()),
        None => Pick::Carried(carried_place(field, carried)),
    }
}

fn carried_place(field: &RuleField, carried: &mut Vec<RuleField>) -> usize {
    let place = carried.iter().position(|known| known == field).unwrap_or(carried.len());
    if place == carried.len() {
        carried.push(field.clone());
    }
    place
}

fn unit_field() -> RuleField {
    RuleField { name: Field::NHATLE_UNIT.name().to_owned(), candidates: vec![Field::NHATLE_UNIT] }
}

/// The organization unit of an event; of a firing that of its group, else that of the event that completed it.
fn unit_of<'a>(happened: Happened<'a>, carried_at: Option<usize>) -> Option<&'a str> {
    match happened {
        Happened::Event(_, unit) => unit,
        Happened::Inner(key, carried) => {
            let of_event = || carried?.get(carried_at?)?.as_deref();
            scope::divided(key).0.or_else(of_event)
        }
    }
}

fn value_of<'a>(pick: &mut Pick, happened: Happened<'a>) -> Option<Cow<'a, str>> {
    match (pick, happened) {
        (Pick::Event(finder), Happened::Event(event, _)) => finder.find(event).and_then(first_text),
        (Pick::Group(place, count), Happened::Inner(key, _)) => values_of(key, *count).nth(*place).map(Cow::Borrowed),
        (Pick::Carried(place), Happened::Inner(_, carried)) => carried?.get(*place)?.as_deref().map(Cow::Borrowed),
        _ => None,
    }
}

/// Writes one of so many values.
fn write_value(value: &str, count: usize, text: &mut String) {
    if 1 < count {
        write!(text, "{}:", value.len()).expect("writing to a string cannot go wrong");
    }
    text.push_str(value);
}

/// The values of a key of so many.
pub fn values_of(key: &str, count: usize) -> impl Iterator<Item = &str> {
    let mut rest = (0 < count).then(|| scope::divided(key).1);
    std::iter::from_fn(move || {
        let text = rest?;
        if count == 1 {
            rest = None;
            return Some(text);
        }
        let (length, text) = text.split_once(':')?;
        let (value, after) = text.split_at_checked(length.parse().ok()?)?;
        rest = Some(after);
        Some(value)
    })
}

/// A list is looked at by its first value.
fn first_text(value: &Value) -> Option<Cow<'_, str>> {
    value.each().find_map(Value::as_text)
}

/// 128 bits of a text; two different texts have the same ones with a chance of 2^-64 among four thousand
/// million. The seed is not known to who sends the values.
pub fn hash_of(text: &str, seed: u64) -> u128 {
    let half = |seed: u64| {
        let mut hasher = FixedState::with_seed(seed).build_hasher();
        hasher.write(text.as_bytes());
        u128::from(hasher.finish())
    };
    half(seed) << 64 | half(seed ^ 0x6e68_6174_6c65_0002)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_values_back() {
        let split = |key, count| values_of(key, count).collect::<Vec<_>>();
        assert_eq!(split("", 0), [""; 0]);
        assert_eq!(split("1:a", 1), ["1:a"]);
        assert_eq!(split("1:a3:2:b", 2), ["a", "2:b"]);
        assert_eq!(split("2:ổ", 2), [""; 0]);
        assert_eq!(split("9:a", 2), [""; 0]);
    }
}
