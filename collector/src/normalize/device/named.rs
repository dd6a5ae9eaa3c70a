//! What the names of a device's values are as fields, worked out when a name is first seen.
//!
//! In: a home (`fortinet.firewall.`), a device's table, a name. Out: the field of the vendor's own name below that home, and
//! the ECS fields that the table has for it. Promise: the same as asking interner and table each time. Bounded: a thread
//! remembers at most [`NAMES_MAX`] names; long ones are not remembered.

use std::cell::RefCell;

use hashbrown::HashMap;
use nhatle_event::field::FIELD_NAME_BYTES_MAX;
use nhatle_event::{Event, Field, Text, Value};

use super::Row;

/// How many names one thread remembers; past it all are forgotten.
pub const NAMES_MAX: usize = 4096;
/// How many homes, each with a table.
const HOMES_MAX: usize = 64;

/// What a name is.
pub struct Named {
    /// The field of the vendor's own name; `None` where there is no room for it.
    own: Option<Field>,
    /// The ECS fields of its table.
    rows: Box<[Field]>,
}

impl Named {
    fn of(home: &str, table: &[Row], key: &str) -> Named {
        let rows = table.iter().filter(|(known, _)| *known == key).map(|(_, field)| *field).collect();
        Named { own: Field::intern(&format!("{home}{key}")), rows }
    }

    /// The ECS fields of its table.
    pub fn rows(&self) -> &[Field] {
        &self.rows
    }

    /// Keeps a value under the vendor's own name.
    pub fn keep(&self, event: &mut Event, home: &str, key: &str, value: impl Into<Value>) {
        match self.own {
            Some(own) => event.set_interned(own, value),
            None => event.set_named(&format!("{home}{key}"), value),
        }
    }
}

/// A name that was seen.
struct Known {
    key: Box<str>,
    named: Named,
    /// Which one came after it last: a device writes its values in the same order again and again.
    next: usize,
}

struct Home {
    home: Text,
    table: &'static [Row],
    known: Vec<Known>,
    /// Where in `known` a name is.
    places: HashMap<Text, usize, foldhash::fast::RandomState>,
    /// Which one came first last.
    first: usize,
}

#[derive(Default)]
struct Homes {
    homes: Vec<Home>,
    names: usize,
}

thread_local! {
    static HOMES: RefCell<Homes> = const { RefCell::new(Homes { homes: Vec::new(), names: 0 }) };
}

impl Homes {
    fn of(&mut self, home: &str, table: &'static [Row]) -> usize {
        let is_it = |known: &Home| std::ptr::eq(known.table, table) && known.home == home;
        if let Some(at) = self.homes.iter().position(is_it) {
            return at;
        }
        if HOMES_MAX <= self.homes.len() {
            *self = Homes::default();
        }
        self.homes.push(Home { home: home.into(), table, known: Vec::new(), places: HashMap::default(), first: 0 });
        self.homes.len() - 1
    }

    /// Where in its home a name is that came after another one, or first.
    fn place(&mut self, at: usize, before: Option<usize>, key: &str) -> usize {
        let home = &self.homes[at];
        let guess = before.and_then(|before| home.known.get(before)).map_or(home.first, |before| before.next);
        if home.known.get(guess).is_some_and(|known| *known.key == *key) {
            return guess;
        }
        if NAMES_MAX <= self.names && !home.places.contains_key(key) {
            for home in &mut self.homes {
                home.known.clear();
                home.places.clear();
            }
            self.names = 0;
        }
        let home = &mut self.homes[at];
        let place = *home.places.entry_ref(key).or_insert_with(|| {
            self.names += 1;
            let named = Named::of(&home.home, home.table, key);
            home.known.push(Known { key: key.into(), named, next: 0 });
            home.known.len() - 1
        });
        match before.and_then(|before| home.known.get_mut(before)) {
            Some(before) => before.next = place,
            None => home.first = place,
        }
        place
    }
}

/// Gives each of `pairs` to `each` with what its name is. `each` must not come here again.
pub fn each<K: AsRef<str>, V>(
    home: &str,
    table: &'static [Row],
    pairs: impl IntoIterator<Item = (K, V)>,
    mut each: impl FnMut(&Named, &str, V),
) {
    HOMES.with_borrow_mut(|homes| {
        let at = homes.of(home, table);
        let mut before = None;
        for (key, value) in pairs {
            let key = key.as_ref();
            if FIELD_NAME_BYTES_MAX < key.len() {
                each(&Named::of(home, table, key), key, value);
                continue;
            }
            let place = homes.place(at, before, key);
            before = Some(place);
            each(&homes.homes[at].known[place].named, key, value);
        }
    });
}

#[cfg(test)]
mod tests {
    use nhatle_event::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const TABLE: &[Row] = &[("src", Field::SOURCE_IP), ("src", Field::CLIENT_IP), ("u", Field::USER_NAME)];
    const OTHER: &[Row] = &[("src", Field::SOURCE_DOMAIN)];

    fn plain(event: &mut Event, home: &str, table: &[Row], pairs: &[(String, i64)]) {
        for (key, value) in pairs {
            event.set_named(&format!("{home}{key}"), *value);
            table.iter().filter(|(known, _)| known == key).for_each(|(_, field)| event.set(*field, *value));
        }
    }

    proptest! {
        #[test]
        fn names_are_what_interner_and_table_say(
            calls in proptest::collection::vec(
                (prop_oneof![Just("a."), Just("b."), Just("")], any::<bool>(),
                 proptest::collection::vec((prop_oneof![Just("src".to_owned()), Just("u".to_owned()), "[a-c]{0,2}"], 0i64..9), 0..6)),
                0..8),
        ) {
            let (mut event, mut expected) = (Event::new(Timestamp(0), *b"x"), Event::new(Timestamp(0), *b"x"));
            for (home, is_other, pairs) in &calls {
                let table = if *is_other { OTHER } else { TABLE };
                each(home, table, pairs.iter().map(|(key, value)| (key, *value)), |named, key, value| {
                    named.keep(&mut event, home, key, value);
                    named.rows().iter().for_each(|field| event.set(*field, value));
                });
                plain(&mut expected, home, table, pairs);
            }
            prop_assert_eq!(event, expected);
        }
    }

    #[test]
    fn more_names_than_are_remembered_are_forgotten() {
        for round in 0..3 {
            let keys: Vec<String> = (0..NAMES_MAX + 10).map(|at| format!("k{round}.{at}")).collect();
            let mut count = 0;
            each("bound.", TABLE, keys.iter().map(|key| (key, ())), |named, key, ()| {
                count += usize::from(named.own == Field::lookup(&format!("bound.{key}")));
            });
            assert_eq!(count, keys.len());
            HOMES.with_borrow(|homes| {
                let kept: usize = homes.homes.iter().map(|home| home.known.len()).sum();
                assert!(kept <= NAMES_MAX && kept == homes.names, "{kept}");
                assert!(homes.homes.iter().all(|home| home.known.len() == home.places.len()));
            });
        }
        let long = "l".repeat(FIELD_NAME_BYTES_MAX + 1);
        let mut event = Event::new(Timestamp(0), *b"x");
        each("bound.", TABLE, [(&long, "v")], |named, key, value| named.keep(&mut event, "bound.", key, value));
        assert_eq!(event.text(Field::NHATLE_OVERFLOW), Some(format!("bound.{long}=v").as_str()));
    }
}
