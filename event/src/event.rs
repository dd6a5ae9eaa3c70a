//! `Event`: one normalized happening, held as ECS fields; `Seq`, `EventId` and `Stored` are what it
//! gains by being committed.
//!
//! An event holds few fields (some forty), so they stand in one vector in the order they were set and
//! are found by comparing numbers. A field stands in it at most once. Most questions are for fields that an
//! event does not have, so a few bits say which ones it cannot have.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::field::{Field, Marks};
use crate::record::Record;
use crate::time::Timestamp;
use crate::value::{Text, Value, address_text};

/// `event.dataset` of records that could not be parsed.
pub const DEAD_LETTERS: &str = "nhatle.dead_letters";
/// `event.dataset` of our own alerts (`event.kind: signal`).
pub const ALERTS: &str = "nhatle.alerts";
/// `event.dataset` of the receipt book's ended hours.
pub const RECEIPTS: &str = "nhatle.receipts";

/// How many fields one event may have; what comes after goes to `nhatle.overflow` by name.
pub const FIELDS_MAX: usize = 1024;
/// A list of fields with more room than this is not kept for the next event.
const ROOM_MAX: usize = 256;

thread_local! {
    /// The roomy list that the last event gave back ([`Event::fit`]), empty. Asking the allocator for one each time costs more
    /// than a tenth of what reading a line of syslog does: it is large enough to make it tidy up.
    static ROOM: Cell<Vec<(Field, Value)>> = const { Cell::new(Vec::new()) };
}

/// One normalized happening.
#[derive(Clone)]
pub struct Event {
    /// When it happened, as the source says, else when it was received (`@timestamp`).
    pub timestamp: Timestamp,
    /// When a listener read it (`event.created`).
    pub received: Timestamp,
    /// The bytes as received (`event.original`).
    pub original: Arc<[u8]>,
    fields: Vec<(Field, Value)>,
    /// Of the fields; may say yes to one that was taken out.
    present: Marks,
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        self.timestamp == other.timestamp
            && self.received == other.received
            && self.original == other.original
            && self.fields == other.fields
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("timestamp", &self.timestamp)
            .field("received", &self.received)
            .field("original", &self.original)
            .field("fields", &self.fields)
            .finish()
    }
}

impl Event {
    /// An event with no fields yet, received when it happened until told otherwise.
    pub fn new(timestamp: Timestamp, original: impl Into<Arc<[u8]>>) -> Event {
        Event::with_capacity(timestamp, original, 32)
    }

    /// [`Event::new`] with room for so many fields.
    pub fn with_capacity(timestamp: Timestamp, original: impl Into<Arc<[u8]>>, count: usize) -> Event {
        let fields = Vec::with_capacity(count.min(FIELDS_MAX));
        Event { timestamp, received: timestamp, original: original.into(), fields, present: Marks::default() }
    }

    /// [`Event::new`] in the room that the last event gave back to this thread, for whoever calls [`Event::fit`] in the end.
    pub fn roomy(timestamp: Timestamp, original: impl Into<Arc<[u8]>>) -> Event {
        let mut fields = ROOM.take();
        fields.reserve(32);
        Event { timestamp, received: timestamp, original: original.into(), fields, present: Marks::default() }
    }

    /// The value of a field, or `None` where the event does not have it.
    #[inline]
    pub fn get(&self, field: Field) -> Option<&Value> {
        if !self.present.may_hold(field) {
            return None;
        }
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    #[inline]
    fn get_mut(&mut self, field: Field) -> Option<&mut Value> {
        if !self.present.may_hold(field) {
            return None;
        }
        // What is changed is mostly what was set last.
        self.fields.iter_mut().rev().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    /// The text of a field, where it is text.
    #[inline]
    pub fn text(&self, field: Field) -> Option<&str> {
        self.get(field)?.text()
    }

    /// Sets a field, replacing what it held.
    pub fn set(&mut self, field: Field, value: impl Into<Value>) {
        let value = value.into();
        match self.get_mut(field) {
            Some(held) => *held = value,
            None => self.append(field, value),
        }
    }

    /// Sets a field that the caller knows the event does not have yet, without looking for it.
    #[inline]
    pub fn push_new(&mut self, field: Field, value: impl Into<Value>) {
        debug_assert!(self.get(field).is_none(), "{field} is there already");
        self.append(field, value.into());
    }

    #[inline]
    fn append(&mut self, field: Field, value: Value) {
        self.present.mark(field);
        self.fields.push((field, value));
    }

    /// Sets all fields of another, in their order.
    pub fn take_over(&mut self, other: Event) {
        self.reserve(other.fields.len());
        other.fields.into_iter().for_each(|(field, value)| self.set(field, value));
    }

    /// Makes room for so many more fields at once.
    pub fn reserve(&mut self, count: usize) {
        self.fields.reserve(count.min(FIELDS_MAX));
    }

    /// Gives back the room for fields that it did not need: events wait in memory by the ten thousand.
    pub fn fit(&mut self) {
        if self.fields.len() < self.fields.capacity() {
            // Moved, not shrunk in place: the roomy list is used again for the next event while it is warm.
            let mut fitting = Vec::with_capacity(self.fields.len());
            fitting.append(&mut self.fields);
            let roomy = std::mem::replace(&mut self.fields, fitting);
            if roomy.capacity() <= ROOM_MAX {
                ROOM.set(roomy);
            }
        }
    }

    /// Sets a field unless the event has it already.
    pub fn set_default(&mut self, field: Field, value: impl Into<Value>) {
        if self.get(field).is_none() {
            self.append(field, value.into());
        }
    }

    /// Adds a value to a field: a second value makes it a list; a value it holds already is not repeated.
    pub fn add(&mut self, field: Field, value: impl Into<Value>) {
        let value = value.into();
        match self.get_mut(field) {
            Some(held) if held.each().any(|one| *one == value) => {}
            Some(held) => held.push(value),
            None => self.append(field, value),
        }
    }

    /// Sets a field by name, known or vendor's. A name past the bounds of [`Field::intern`] or an event
    /// past [`FIELDS_MAX`] keeps the value in `nhatle.overflow` as `name=value`.
    pub fn set_named(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match Field::intern(name) {
            Some(field) => self.set_interned(field, value),
            None => self.overflow(name, &value),
        }
    }

    /// [`Event::set_named`] for a name that is a field already.
    pub fn set_interned(&mut self, field: Field, value: impl Into<Value>) {
        if self.fields.len() < FIELDS_MAX || self.get(field).is_some() {
            self.set(field, value);
        } else {
            self.overflow(field.name(), &value.into());
        }
    }

    fn overflow(&mut self, name: &str, value: &Value) {
        let shown: Vec<_> = value.each().filter_map(|one| one.as_text().map(String::from)).collect();
        self.add(Field::NHATLE_OVERFLOW, format!("{name}={}", shown.join(",")));
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: Field) -> Option<Value> {
        let at = self.fields.iter().position(|(known, _)| *known == field)?;
        // Its bit stays: other fields may share it, and a bit too many only costs a look.
        Some(self.fields.remove(at).1)
    }

    /// All fields, in the order they were set.
    pub fn fields(&self) -> &[(Field, Value)] {
        &self.fields
    }

    /// Writes down where the record came from: input, peer, unit, source, and that it was cut.
    pub fn set_record_origin(&mut self, record: &Record) {
        self.received = record.received;
        self.set(Field::NHATLE_INPUT, record.input.clone());
        if let Some(peer) = record.peer {
            self.set(Field::LOG_SOURCE_ADDRESS, address_text(peer));
        }
        if let Some(unit) = &record.unit {
            self.set(Field::NHATLE_UNIT, unit.clone());
        }
        if let Some(canary) = &record.canary {
            self.set(Field::NHATLE_CANARY, canary.clone());
        }
        if record.is_truncated {
            self.set(Field::NHATLE_TRUNCATED, true);
        }
    }

    /// SHA-256 of the bytes as received.
    pub fn original_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.original).into()
    }

    /// The fields as they are, for a decoder that knows each stands there once.
    pub(crate) fn from_parts(
        timestamp: Timestamp,
        received: Timestamp,
        original: Arc<[u8]>,
        fields: Vec<(Field, Value)>,
    ) -> Event {
        let mut present = Marks::default();
        fields.iter().for_each(|(field, _)| present.mark(*field));
        Event { timestamp, received, original, fields, present }
    }
}

/// The store-wide number of an event: order of commit, first is 1. The upper 16 bits are the writer's
/// number (0 on one machine), so that several writers never give the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a stored event in addresses and in evidence (`event.id` of what we store): the
/// `Seq` in lower-case base 32 without vowels' look-alikes, 13 characters, same order as the number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Text);

const ID_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl From<Seq> for EventId {
    fn from(seq: Seq) -> EventId {
        let digit = |at: u32| char::from(ID_ALPHABET[usize::try_from(seq.0 >> (5 * at) & 31).unwrap_or(0)]);
        EventId((0..13).rev().map(digit).collect())
    }
}

impl EventId {
    /// The number this is the name of, or `None` for text that is no event's name.
    pub fn seq(&self) -> Option<Seq> {
        (self.0.len() == 13).then_some(())?;
        self.0
            .bytes()
            .try_fold(0u64, |sum, byte| {
                let digit = ID_ALPHABET.iter().position(|known| *known == byte)?;
                sum.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)
            })
            .map(Seq)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event with what commit gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its place in the order of commit.
    pub seq: Seq,
    /// When the log made it durable (`event.ingested`).
    pub committed: Timestamp,
    /// The event itself.
    pub event: Event,
}

impl Stored {
    /// The event's name.
    pub fn id(&self) -> EventId {
        EventId::from(self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_name_numbers_in_the_same_order() {
        let numbers = [0, 1, 31, 32, 1 << 40, u64::MAX];
        let ids: Vec<_> = numbers.iter().map(|number| EventId::from(Seq(*number))).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().zip(numbers).all(|(id, number)| id.seq() == Some(Seq(number))));
        assert_eq!(EventId("zzzzzzzzzzzzz".into()).seq(), None);
        assert_eq!(EventId("../../etc/pas".into()).seq(), None);
    }

    #[test]
    fn a_second_value_makes_a_list_and_a_repeated_one_does_not() {
        let mut event = Event::new(Timestamp(0), *b"x");
        for address in ["10.0.0.1", "10.0.0.2", "10.0.0.1"] {
            event.add(Field::RELATED_IP, address);
        }
        assert_eq!(event.get(Field::RELATED_IP).map(|value| value.each().count()), Some(2));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, i64),
        Add(usize, i64),
        Default(usize, i64),
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Every 256th field shares a mark.
        let field = || prop_oneof![0usize..6, 256usize..262, 512usize..518];
        prop_oneof![
            (field(), 0i64..3).prop_map(|(field, value)| Step::Set(field, value)),
            (field(), 0i64..3).prop_map(|(field, value)| Step::Add(field, value)),
            (field(), 0i64..3).prop_map(|(field, value)| Step::Default(field, value)),
            field().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn fields_are_found_as_in_a_plain_list(steps in proptest::collection::vec(step(), 0..40)) {
            let fields: Vec<_> = (0..1024).filter_map(|n| Field::intern(&format!("test.marks.{n}"))).collect();
            let mut event = Event::new(Timestamp(0), *b"x");
            let mut plain: Vec<(Field, Value)> = Vec::new();
            for step in steps {
                let at = |plain: &[(Field, Value)], field| plain.iter().position(|(known, _)| *known == field);
                match step {
                    Step::Set(field, number) => {
                        event.set(fields[field], number);
                        match at(&plain, fields[field]) {
                            Some(at) => plain[at].1 = Value::Long(number),
                            None => plain.push((fields[field], Value::Long(number))),
                        }
                    }
                    Step::Add(field, number) => {
                        event.add(fields[field], number);
                        match at(&plain, fields[field]) {
                            Some(at) if plain[at].1.each().any(|one| *one == Value::Long(number)) => {}
                            Some(at) => plain[at].1.push(Value::Long(number)),
                            None => plain.push((fields[field], Value::Long(number))),
                        }
                    }
                    Step::Default(field, number) => {
                        event.set_default(fields[field], number);
                        if at(&plain, fields[field]).is_none() {
                            plain.push((fields[field], Value::Long(number)));
                        }
                    }
                    Step::Remove(field) => {
                        let expected = at(&plain, fields[field]).map(|at| plain.remove(at).1);
                        prop_assert_eq!(event.remove(fields[field]), expected);
                    }
                }
                prop_assert_eq!(event.fields(), &*plain);
                for field in &fields[..8] {
                    let expected = at(&plain, *field).map(|at| &plain[at].1);
                    prop_assert_eq!(event.get(*field), expected);
                }
            }
        }
    }

    #[test]
    fn a_name_past_the_bound_is_kept_in_the_overflow() {
        let mut event = Event::new(Timestamp(0), *b"x");
        event.set_named(&"n".repeat(5000), "kept");
        let overflow = event.text(Field::NHATLE_OVERFLOW).expect("the value is kept");
        assert!(overflow.ends_with("=kept"));
    }
}
