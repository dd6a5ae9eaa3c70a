//! The leaf of a stored event: one sequence of bytes that anybody can make again from the row of the Parquet file or
//! from an evidence package. In: a [`Stored`]. Out: [`leaf`]. Described byte by byte in `docs/format/proof.md`; that page
//! and this file change together, with a new [`FORM`].
//!
//! ```text
//! Seq u64 | committed i64 | @timestamp i64 | event.created i64 | SHA-256 of event.original | count u32 | count x field
//! field:  name length u32, name, value          in order of the bytes of the name
//! value:  n null | f false | t true | l long i64 | d double 8 bytes | s text length u32, text | 4, 6 address 4, 16 bytes
//!         m moment i64 | a list count u32, values
//! ```
//!
//! All numbers are little-endian, times are nanoseconds since 1970. A double that is no number is written as the one
//! with the bits 7ff8000000000000.

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::{Field, Stored, Value};

use super::tree::{Hash, Tree, leaf_hash};

/// The version of this form, in the entry of each segment.
pub const FORM: u32 = 1;
/// How many fields the remembered orders may have together.
const ORDERED_FIELDS_MAX: usize = 1 << 18;

/// An event and the hash of its bytes as received, worked out once for everybody who needs it.
#[derive(Clone, Copy)]
pub struct Hashed<'a> {
    /// The event.
    pub stored: &'a Stored,
    /// SHA-256 of `event.original`.
    pub original: Hash,
}

impl<'a> Hashed<'a> {
    /// Hashes the bytes of an event.
    pub fn of(stored: &'a Stored) -> Hashed<'a> {
        Hashed { stored, original: stored.event.original_hash() }
    }
}

/// Makes leaves. Events of one source have the same fields in the same order: how these stand by name is worked out when
/// they are first seen.
pub struct Canonical {
    bytes: Vec<u8>,
    /// Length and name of each field, by its number.
    heads: Vec<Option<Box<[u8]>>>,
    /// For the fields of an event as they stand there: their places in the order of names.
    orders: HashMap<Box<[Field]>, Box<[u32]>>,
    ordered_fields: usize,
    shape: Vec<Field>,
}

impl Default for Canonical {
    fn default() -> Canonical {
        Canonical { bytes: Vec::new(), heads: Vec::new(), orders: HashMap::new(), ordered_fields: 0, shape: Vec::new() }
    }
}

impl Canonical {
    /// The data of an event's leaf.
    pub fn data(&mut self, stored: &Stored) -> &[u8] {
        self.data_of(&Hashed::of(stored))
    }

    /// [`Canonical::data`] with the hash at hand.
    pub fn data_of(&mut self, hashed: &Hashed<'_>) -> &[u8] {
        let (stored, event) = (hashed.stored, &hashed.stored.event);
        let fields = event.fields();
        self.shape.clear();
        self.shape.extend(fields.iter().map(|(field, _)| *field));
        self.learn();
        let Canonical { bytes, heads, orders, shape, .. } = self;
        bytes.clear();
        bytes.extend_from_slice(&stored.seq.0.to_le_bytes());
        for stamp in [stored.committed, event.timestamp, event.received] {
            bytes.extend_from_slice(&stamp.0.to_le_bytes());
        }
        bytes.extend_from_slice(&hashed.original);
        put_count(bytes, fields.len());
        for place in orders.get(&**shape).into_iter().flatten() {
            let (field, value) = &fields[*place as usize];
            bytes.extend_from_slice(heads[field.index()].as_deref().unwrap_or_default());
            put_value(bytes, value);
        }
        bytes
    }

    /// The hash of an event's leaf.
    pub fn leaf(&mut self, stored: &Stored) -> Hash {
        leaf_hash(self.data(stored))
    }

    /// [`Canonical::leaf`] with the hash of the bytes at hand.
    pub fn leaf_of(&mut self, hashed: &Hashed<'_>) -> Hash {
        leaf_hash(self.data_of(hashed))
    }

    /// Knows the order of the fields in `shape` from here on.
    fn learn(&mut self) {
        if self.orders.contains_key(&*self.shape) {
            return;
        }
        for field in &self.shape {
            let at = field.index();
            if self.heads.len() <= at {
                self.heads.resize(at + 1, None);
            }
            if self.heads[at].is_none() {
                let mut head = Vec::new();
                put_text(&mut head, field.name());
                self.heads[at] = Some(head.into());
            }
        }
        if ORDERED_FIELDS_MAX < self.ordered_fields + self.shape.len() {
            self.orders.clear();
            self.ordered_fields = 0;
        }
        self.ordered_fields += self.shape.len();
        let mut named: Vec<(&'static str, u32)> = self.shape.iter().map(|field| field.name()).zip(0..).collect();
        named.sort_unstable();
        let order = named.into_iter().map(|(_, place)| place).collect();
        self.orders.insert(self.shape.as_slice().into(), order);
    }
}

/// The tree over events of one segment, in order of `Seq`.
pub fn tree(events: &[&Stored]) -> Tree {
    tree_of(events.iter().map(|stored| Hashed::of(stored)).collect())
}

/// [`tree`] with the hashes at hand.
pub fn tree_of(mut events: Vec<Hashed<'_>>) -> Tree {
    events.sort_unstable_by_key(|hashed| hashed.stored.seq);
    let mut canonical = Canonical::default();
    Tree::of(events.iter().map(|hashed| canonical.leaf_of(hashed)).collect())
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    // A frame of the log has at most 64 MiB, so nothing in it is longer.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(b'n'),
        Value::Boolean(false) => out.push(b'f'),
        Value::Boolean(true) => out.push(b't'),
        Value::Long(number) => {
            out.push(b'l');
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Double(number) => {
            out.push(b'd');
            let bits = if number.is_nan() { 0x7ff8_0000_0000_0000 } else { number.to_bits() };
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(b's');
            put_text(out, text);
        }
        Value::Ip(IpAddr::V4(address)) => {
            out.push(b'4');
            out.extend_from_slice(&address.octets());
        }
        Value::Ip(IpAddr::V6(address)) => {
            out.push(b'6');
            out.extend_from_slice(&address.octets());
        }
        Value::Date(stamp) => {
            out.push(b'm');
            out.extend_from_slice(&stamp.0.to_le_bytes());
        }
        Value::List(values) => {
            out.push(b'a');
            put_count(out, values.len());
            values.iter().for_each(|value| put_value(out, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::json::hex;
    use nhatle_event::{Event, Field, Seq, Text, Timestamp};

    use super::*;

    fn stored(fields: &[(&str, Value)]) -> Stored {
        let mut event = Event::new(Timestamp(2), *b"x");
        event.received = Timestamp(3);
        fields.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
        Stored { seq: Seq(1), committed: Timestamp(-1), event }
    }

    #[test]
    fn the_bytes_are_those_of_the_page() {
        let address = |text: &str| Value::Ip(text.parse().expect("an address"));
        let event = stored(&[
            ("b", Value::List(vec![Value::Null, Value::Boolean(true), Value::Boolean(false)])),
            ("a", Value::Long(-2)),
            ("đ", Value::Text(Text::from("ớ"))),
            ("source.ip", address("10.0.0.1")),
            ("c", address("::1")),
            ("d", Value::Double(1.5)),
            ("e", Value::Date(Timestamp(258))),
        ]);
        let number = |number: u64| hex(&number.to_le_bytes());
        let expected = [
            number(1),
            number(u64::MAX),
            number(2),
            number(3),
            "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881".to_owned(),
            "07000000".to_owned(),
            format!("01000000{}6c{}", hex(b"a"), number(u64::MAX - 1)),
            format!("01000000{}61030000006e7466", hex(b"b")),
            format!("01000000{}36{}01", hex(b"c"), "00".repeat(15)),
            format!("01000000{}64{}", hex(b"d"), number(1.5f64.to_bits())),
            format!("01000000{}6d{}", hex(b"e"), number(258)),
            format!("09000000{}340a000001", hex(b"source.ip")),
            "02000000c49173".to_owned() + "03000000" + &hex("ớ".as_bytes()),
        ];
        assert_eq!(hex(Canonical::default().data(&event)), expected.concat());
    }

    #[test]
    fn the_order_of_fields_does_not_matter_and_every_part_does() {
        let leaf = |stored: &Stored| Canonical::default().leaf(stored);
        let text = |text: &str| Value::Text(Text::from(text));
        let first = stored(&[("a.b", text("v")), ("user.name", text("w"))]);
        assert_eq!(leaf(&first), leaf(&stored(&[("user.name", text("w")), ("a.b", text("v"))])));
        let mut others = vec![
            stored(&[("a.b", text("w")), ("user.name", text("v"))]),
            stored(&[("a.b", text("v"))]),
            stored(&[("a.bv", text("")), ("user.name", text("w"))]),
            stored(&[("a.b", Value::Null), ("user.name", text("w"))]),
        ];
        let mut with = |alter: &dyn Fn(&mut Stored)| {
            let mut other = first.clone();
            alter(&mut other);
            others.push(other);
        };
        with(&|one| one.seq = Seq(2));
        with(&|one| one.committed = Timestamp(5));
        with(&|one| one.event.timestamp = Timestamp(5));
        with(&|one| one.event.received = Timestamp(5));
        with(&|one| one.event.original = (*b"y").into());
        with(&|one| one.event.set(Field::MESSAGE, "m"));
        for other in &others {
            assert_ne!(leaf(&first), leaf(other), "{other:?}");
        }
    }

    /// The definition, each event for itself.
    fn plain(stored: &Stored) -> Vec<u8> {
        let event = &stored.event;
        let mut fields: Vec<(&str, &Value)> =
            event.fields().iter().map(|(field, value)| (field.name(), value)).collect();
        fields.sort_by_key(|(name, _)| *name);
        let mut out = stored.seq.0.to_le_bytes().to_vec();
        for stamp in [stored.committed, event.timestamp, event.received] {
            out.extend_from_slice(&stamp.0.to_le_bytes());
        }
        out.extend_from_slice(&event.original_hash());
        put_count(&mut out, fields.len());
        for (name, value) in fields {
            put_text(&mut out, name);
            put_value(&mut out, value);
        }
        out
    }

    proptest::proptest! {
        #[test]
        fn orders_that_are_remembered_change_nothing(
            events in proptest::collection::vec(proptest::collection::vec(("[a-f]{1,2}", 0i64..9), 0..6), 1..40),
        ) {
            let mut canonical = Canonical::default();
            for fields in events {
                let fields: Vec<(&str, Value)> =
                    fields.iter().map(|(name, number)| (name.as_str(), Value::Long(*number))).collect();
                let event = stored(&fields);
                proptest::prop_assert_eq!(canonical.data(&event), plain(&event));
            }
        }
    }

    #[test]
    fn more_orders_than_are_remembered_are_forgotten() {
        let mut canonical = Canonical::default();
        let names: Vec<String> = (0..1000).map(|at| format!("n{at}")).collect();
        for first in 0..ORDERED_FIELDS_MAX / 1000 + 3 {
            let fields: Vec<(&str, Value)> =
                names[first..].iter().chain(&names[..first]).map(|name| (name.as_str(), Value::Null)).collect();
            let event = stored(&fields);
            assert_eq!(canonical.data(&event), plain(&event));
            assert!(canonical.ordered_fields <= ORDERED_FIELDS_MAX);
        }
        assert!(canonical.orders.len() < 10, "they were forgotten");
    }
}
