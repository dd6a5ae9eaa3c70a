//! Whose a source's name is: two units never stand in one row of the receipt book.
//!
//! In: the name a record gives itself, and its unit. Out: that name, or `UNIT/name` where it is another unit's. The host's name
//! is the sender's own word, so without this a ward that names a machine of another would see its counts, take it from that
//! ward's pages, and could plan an outage for it. Who came first has the name. It passes on where its unit is dissolved, and from
//! no unit to one that the configuration gives (`[[unit]]` was written later), never to one that only a token or a
//! certificate claims. Bounded as the book is.

use std::sync::{PoisonError, RwLock};

use foldhash::HashMap;
use nhatle_event::{Event, Field, Record, Text, Timestamp};

use super::{OTHER_SOURCE, SOURCES_MAX, SourceBook};
use crate::units::{Unit, Units};

/// See the module.
#[derive(Debug, Default)]
pub struct Owners {
    of: RwLock<HashMap<Text, Option<Text>>>,
}

/// How a unit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A token, a certificate or whoever imports: the sender has no say in it.
    Grant,
    /// The configuration, from address or host name.
    Configuration,
}

impl By {
    /// How the unit of a record is known.
    pub fn of(record: &Record) -> By {
        if record.unit.is_some() { By::Grant } else { By::Configuration }
    }
}

impl Owners {
    /// As the book has it.
    pub fn of(book: &SourceBook) -> Owners {
        let rows = book.rows().map(|(name, row)| (Text::from(name), row.unit.as_deref().map(Text::from)));
        Owners { of: RwLock::new(rows.collect()) }
    }

    /// Gives events the names their sources have in the book. Most are their own: one look for all of them.
    pub fn name_all<'e>(&self, events: impl Iterator<Item = (By, &'e mut Event)>, units: &Units, now: Timestamp) {
        let of = self.of.read().unwrap_or_else(PoisonError::into_inner);
        let is_settled = |event: &Event| {
            let Some(source) = event.text(Field::NHATLE_SOURCE) else { return true };
            let unit = event.text(Field::NHATLE_UNIT);
            of.get(source).is_some_and(|owner| unit.is_none() || owner.as_deref() == unit)
        };
        let others: Vec<_> = events.filter(|(_, event)| !is_settled(event)).collect();
        drop(of);
        for (by, event) in others {
            self.name(event, by, units, now);
        }
    }

    /// Gives an event the name its source has in the book.
    pub fn name(&self, event: &mut Event, by: By, units: &Units, now: Timestamp) {
        let Some(source) = event.text(Field::NHATLE_SOURCE) else { return };
        let renamed = self.renamed(source, event.text(Field::NHATLE_UNIT), by, units, now);
        if let Some(name) = renamed {
            event.set(Field::NHATLE_SOURCE, name);
        }
    }

    /// The name a source has in place of its own, if any.
    pub fn renamed(&self, source: &str, unit: Option<&str>, by: By, units: &Units, now: Timestamp) -> Option<String> {
        let owner = |name: &str| self.of.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let Some(unit) = unit else {
            // Its row shows nothing to anybody but the city.
            if owner(source).is_none() {
                self.take(source, None);
            }
            return None;
        };
        if owner(source).flatten().is_some_and(|owner| owner == unit) {
            return None;
        }
        let may_have = |name: &str| match owner(name) {
            Some(Some(owner)) if owner == unit => true,
            Some(Some(owner)) => is_dissolved(units.get(&owner), now),
            Some(None) => by == By::Configuration,
            // Names that begin with another unit are kept for that unit.
            None => name.split_once('/').is_none_or(|(front, _)| front == unit || units.get(front).is_none()),
        };
        if source == OTHER_SOURCE || may_have(source) {
            self.take(source, Some(unit));
            return None;
        }
        let name = format!("{unit}/{source}");
        // Where even that is somebody else's, it is counted with what is nobody's own.
        if !may_have(&name) {
            return Some(OTHER_SOURCE.to_owned());
        }
        self.take(&name, Some(unit));
        Some(name)
    }

    fn take(&self, source: &str, unit: Option<&str>) {
        let is_so = |of: &HashMap<Text, Option<Text>>| of.get(source).is_some_and(|owner| owner.as_deref() == unit);
        if source == OTHER_SOURCE || is_so(&self.of.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut of = self.of.write().unwrap_or_else(PoisonError::into_inner);
        if of.len() < SOURCES_MAX || of.contains_key(source) {
            of.insert(Text::from(source), unit.map(Text::from));
        }
    }
}

fn is_dissolved(unit: Option<&Unit>, now: Timestamp) -> bool {
    let today = now.to_string();
    unit.is_some_and(|unit| !unit.until.is_empty() && today.get(..10).is_some_and(|today| unit.until.as_str() <= today))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{Tally, Whose};

    fn unit(code: &str, until: &str) -> Unit {
        Unit { code: code.into(), until: until.into(), ..Unit::default() }
    }

    #[test]
    fn who_came_first_has_the_name() {
        let mut book = SourceBook::default();
        let mut tally = Tally::new();
        for (source, unit) in [("web", Some("A")), ("old", Some("GONE")), ("city", None)] {
            tally.reject(Whose { source, input: "http", unit }, "flood", 1, Timestamp(1));
        }
        book.add(&tally);
        let owners = Owners::of(&book);
        let units = Units::new([unit("A", ""), unit("B", "2999-01-01"), unit("GONE", "1970-01-01")]);
        let rows = [
            ("web", Some("A"), By::Grant, None),
            ("web", Some("B"), By::Grant, Some("B/web")),
            ("web", Some("B"), By::Configuration, Some("B/web")),
            ("web", None, By::Grant, None),
            ("new", Some("B"), By::Grant, None),
            ("new", Some("A"), By::Grant, Some("A/new")),
            // What a unit had that is dissolved goes to who has it now.
            ("old", Some("B"), By::Grant, None),
            ("old", Some("A"), By::Grant, Some("A/old")),
            // A token does not make a machine of the city its own; the configuration does.
            ("city", Some("B"), By::Grant, Some("B/city")),
            ("city", Some("A"), By::Configuration, None),
            ("fresh", None, By::Grant, None),
            ("fresh", Some("B"), By::Grant, Some("B/fresh")),
            // Nobody takes beforehand what another unit's would be called.
            ("A/x", Some("B"), By::Grant, Some("B/A/x")),
            ("A/x", Some("A"), By::Grant, None),
            ("kit/x", Some("B"), By::Grant, None),
            (OTHER_SOURCE, Some("B"), By::Grant, None),
        ];
        for (source, unit, by, expected) in rows {
            let name = owners.renamed(source, unit, by, &units, Timestamp(86_400_000_000_000));
            assert_eq!(name.as_deref(), expected, "{source} {unit:?} {by:?}");
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let owners = Owners::default();
        let units = Units::default();
        for number in 0..SOURCES_MAX + 10 {
            owners.renamed(&format!("s{number}"), Some("A"), By::Grant, &units, Timestamp(0));
        }
        assert_eq!(owners.of.read().unwrap().len(), SOURCES_MAX);
        assert_eq!(owners.renamed("s7", Some("B"), By::Grant, &units, Timestamp(0)).as_deref(), Some("B/s7"));
    }
}
