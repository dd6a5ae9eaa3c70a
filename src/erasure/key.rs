//! `nhatle.subject_key`: what makes the leaf of an event with a person's fields one that nobody can guess once it is erased
//! ([ADR 38](../../docs/adr/0038-erasure.md)). In: events on their way into the store. Out: the same with the key, where
//! `storage.subject_keys` asks for it. Promise: events with the same key have the same values in all these fields; what the
//! keys are made with lives in the memory of this process, for a day, and is never written.

use std::sync::{Mutex, PoisonError};

use nhatle_engine::retention::erasure::{FIELDS, KEY_FIELD};
use nhatle_event::json::hex;
use nhatle_event::{Event, Field, Text, Timestamp, Value};
use nhatle_storage::compact::day_of;
use sha2::{Digest, Sha256};

/// How many bytes of the hash are kept: 128 bits cannot be tried.
const KEY_BYTES: usize = 16;

/// Gives events their keys.
#[derive(Default)]
pub struct SubjectKeys {
    is_on: bool,
    /// The day, and what the keys of it are made with.
    of_day: Mutex<Option<(i64, [u8; 32])>>,
}

impl SubjectKeys {
    /// Off, or on with a secret of its own.
    pub fn new(is_on: bool) -> SubjectKeys {
        SubjectKeys { is_on, of_day: Mutex::default() }
    }

    /// Puts keys in.
    pub fn put<'a>(&self, events: impl Iterator<Item = &'a mut Event>, now: Timestamp) {
        if !self.is_on {
            return;
        }
        let secret = self.secret(day_of(now));
        let fields: Vec<Field> = FIELDS.iter().filter_map(|name| Field::intern(name)).collect();
        for event in events {
            if let Some(key) = key_of(&secret, &fields, event) {
                event.set_named(KEY_FIELD, Value::Text(Text::from(key)));
            }
        }
    }

    fn secret(&self, day: i64) -> [u8; 32] {
        let mut of_day = self.of_day.lock().unwrap_or_else(PoisonError::into_inner);
        match &*of_day {
            Some((known, secret)) if *known == day => *secret,
            _ => of_day.insert((day, rand::random())).1,
        }
    }
}

/// The key of an event; `None` where it has none of the fields.
fn key_of(secret: &[u8; 32], fields: &[Field], event: &Event) -> Option<String> {
    let mut hash = Sha256::new();
    hash.update(secret);
    let mut has_any = false;
    for (number, field) in (0u64..).zip(fields) {
        let values = event.get(*field).into_iter().flat_map(Value::each).filter_map(Value::as_text);
        for text in values {
            has_any = true;
            hash.update(number.to_le_bytes());
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    has_any.then(|| hex(&hash.finalize()[..KEY_BYTES]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: i64 = 86_400_000_000_000;

    fn event(user: &str, address: u8) -> Event {
        let mut event = Event::new(Timestamp(0), *b"line");
        event.set_named("user.name", user);
        event.set(Field::SOURCE_IP, Value::Ip([10, 0, 0, address].into()));
        event
    }

    fn key(keys: &SubjectKeys, mut event: Event, day: i64) -> Option<String> {
        keys.put(std::iter::once(&mut event), Timestamp(day * DAY_NS));
        event.get(Field::lookup(KEY_FIELD)?)?.text().map(str::to_owned)
    }

    #[test]
    fn it_repeats_with_all_the_values_of_a_day_and_with_nothing_else() {
        let keys = SubjectKeys::new(true);
        let first = key(&keys, event("an", 1), 5).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(key(&keys, event("an", 1), 5).as_ref(), Some(&first));
        for (name, other) in [
            ("another person", key(&keys, event("binh", 1), 5)),
            ("another address", key(&keys, event("an", 2), 5)),
            ("the next day", key(&keys, event("an", 1), 6)),
            ("that day again", key(&keys, event("an", 1), 5)),
            ("another process", key(&SubjectKeys::new(true), event("an", 1), 5)),
        ] {
            assert!(other.is_some() && other.as_ref() != Some(&first), "{name}");
        }
        assert_eq!(key(&keys, Event::new(Timestamp(0), *b"line"), 5), None);
        assert_eq!(key(&SubjectKeys::new(false), event("an", 1), 5), None);
    }
}
